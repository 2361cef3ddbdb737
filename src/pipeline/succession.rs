//! From one chain to its successor: what of a machine's memory stays.

use super::{Pipeline, PipelineState};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    model::OnlineModel,
};
use serde::Serialize;

/// What of a machine's memory a chain takes over from another. The machine's birth, and with it its age, always stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Carried {
    /// Rolling features for the detector and the regressor: both chains scale rows and take features alike.
    pub features: bool,
    /// The detector's memory: features stay and the detector is the same.
    pub detector: bool,
    /// The regressor's memory: features stay and the regressor is the same.
    pub regressor: bool,
    /// The alarm, with its acknowledgement and its shelving: both chains have the same policy.
    pub alarm: bool,
}

/// The step from one chain to another, worked out once for all machines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Succession {
    from: Fingerprint,
    to: Fingerprint,
    pub(crate) carried: Carried,
}

impl Pipeline {
    /// What this chain can take over from machines of `former`.
    ///
    /// # Errors
    /// `SchemaMismatch` where the two take different rows, `InvalidParameter` where they count life in different units.
    pub(crate) fn succeeding(&self, former: &Self) -> Result<Succession> {
        self.schema().expect(former.schema())?;
        if self.life_unit != former.life_unit {
            return Err(Error::parameter(
                "life unit of the new model",
                former.life_unit,
                self.life_unit,
            ));
        }
        if Fingerprint::of_value(&self.extractor)? != Fingerprint::of_value(&former.extractor)? {
            return Err(Error::parameter("extractor of the new model", "the same", "another"));
        }
        let features = Fingerprint::of_value(&self.front.to_record())?
            == Fingerprint::of_value(&former.front.to_record())?
            && self.rul.is_some() == former.rul.is_some();
        let detector = |m: &Self| Fingerprint::of_value(&m.detector.to_records());
        let regressor = |m: &Self| m.rul.as_ref().map(OnlineModel::fingerprint);
        Ok(Succession {
            from: former.fingerprint,
            to: self.fingerprint,
            carried: Carried {
                features,
                detector: features && detector(self)? == detector(former)?,
                regressor: features && regressor(self) == regressor(former),
                alarm: self.alarm == former.alarm,
            },
        })
    }

    /// The memory of a machine of the former chain, as this one goes on with it.
    ///
    /// # Errors
    /// `StateMismatch` for a state of another chain.
    pub(crate) fn succeed(&self, step: &Succession, state: &PipelineState) -> Result<PipelineState> {
        if (step.to, step.from) != (self.fingerprint, state.model) {
            return Err(Error::state(
                "state",
                format!("one of model {}", step.from),
                format!("one of {}", state.model),
            ));
        }
        let mut new = match state.born {
            Some(born) => self.new_state_since(born),
            None => self.new_state(),
        };
        new.last = state.last;
        let Carried {
            features,
            detector,
            regressor,
            alarm,
        } = step.carried;
        if features {
            new.front = state.front.clone();
        }
        if detector {
            new.detector = state.detector.clone();
        }
        if regressor {
            new.rul.clone_from(&state.rul);
            new.prognosis = state.prognosis;
        }
        if alarm {
            new.alarm = state.alarm.clone();
        }
        Ok(new)
    }
}
