//! Running the chain, one row at a time or over a recording.

use super::{
    Pipeline,
    front::{ForRegressor, FrontScratch, FrontState},
    kinds::ChainDetectorState,
};
use crate::{
    decision::{
        Alarm, AlarmEventKind, AlarmEvents, AlarmInput, AlarmStanding, AlarmState, Cause, Condition, Decision,
        MAX_CAUSES,
    },
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureView},
    model::{Assessment, OnlineModel, RulDistribution, RulEstimate, UnusableReason},
    quantity::Timestamp,
    rul::{AnyRul, AnyRulState},
    signal::AssetHistory,
};
use serde::{Deserialize, Serialize};

/// What a chain remembers of one machine; carries the chain's fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineState {
    pub(super) model: Fingerprint,
    /// When the machine's life began: its first row, unless told otherwise.
    pub(super) born: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) front: FrontState,
    pub(super) detector: ChainDetectorState,
    pub(super) alarm: AlarmState,
    /// Where the regressor remembers. Not written where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rul: Option<Box<AnyRulState>>,
    /// Of a chain that does not prognose at every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prognosis: Option<Prognosis>,
}

/// The last estimate of remaining life, while it is carried along.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PrognosisRecord")]
pub(super) struct Prognosis {
    time: Timestamp,
    age: f64,
    estimate: RulEstimate,
}

impl Prognosis {
    fn at(self, time: Timestamp, age: f64) -> RulEstimate {
        if self.time == time {
            self.estimate
        } else {
            self.estimate.after(age - self.age)
        }
    }
}

#[derive(Deserialize)]
struct PrognosisRecord {
    time: Timestamp,
    age: f64,
    estimate: RulEstimate,
}

impl TryFrom<PrognosisRecord> for Prognosis {
    type Error = Error;

    fn try_from(r: PrognosisRecord) -> Result<Self> {
        if !r.age.is_finite() {
            return Err(Error::persistence(format!(
                "age at the last prognosis: expected a finite one, got {}",
                r.age
            )));
        }
        Ok(Self {
            time: r.time,
            age: r.age,
            estimate: r.estimate,
        })
    }
}

impl PipelineState {
    /// Instant of the last usable row.
    pub fn last_time(&self) -> Option<Timestamp> {
        self.last
    }

    /// The machine's alarm.
    pub fn alarm(&self) -> &AlarmState {
        &self.alarm
    }

    /// The machine's alarm, to acknowledge or to shelve it.
    pub fn alarm_mut(&mut self) -> &mut AlarmState {
        &mut self.alarm
    }
}

/// Buffers of one row on its way through the chain; one a thread.
#[derive(Clone, Debug)]
pub struct PipelineScratch {
    model: Fingerprint,
    pub(super) front: FrontScratch,
    /// Whether features are written at every row, asked for by the regressor or not.
    wants_features: bool,
    /// Whether `front` holds the features of the last row.
    has_features: bool,
    /// Whether the regressor was asked at the last row.
    is_prognosed: bool,
    pub(super) contributions: Vec<f64>,
    by_cause: Vec<f64>,
    /// Of the last row.
    events: AlarmEvents,
}

impl PipelineScratch {
    /// The same buffers, in which every row leaves its features, also where the chain has no regressor or does not ask it at
    /// this row.
    #[must_use]
    pub fn with_features(mut self) -> Self {
        self.wants_features = true;
        self
    }

    /// The features of the row last stepped with these buffers, in the order of [`Pipeline::feature_schema`], NaN where
    /// one is not defined yet; `None` where that row could not be used, or nobody
    /// [asked](PipelineScratch::with_features) for them.
    pub fn features(&self) -> Option<&[f64]> {
        self.has_features.then_some(self.front.features.as_slice())
    }

    /// What the row last stepped with these buffers did to the machine's alarm, in order, with causes; of a row that could
    /// not be used, too. Most rows do nothing.
    pub fn events(&self) -> &AlarmEvents {
        &self.events
    }
}

impl Pipeline {
    /// Buffers for [`step_with`](Pipeline::step_with).
    pub fn new_scratch(&self) -> PipelineScratch {
        PipelineScratch {
            model: self.fingerprint,
            front: self.front.new_scratch(),
            wants_features: false,
            has_features: false,
            is_prognosed: false,
            contributions: vec![0.0; self.cause_of_feature.len()],
            by_cause: vec![0.0; self.cause_names.len()],
            events: AlarmEvents::default(),
        }
    }

    /// The whole distribution of remaining life after the row last stepped into `state` with these buffers: any interval,
    /// the cost of waiting. `None` for a chain without a regressor, or where that row could not be used or was none at
    /// which the chain [prognoses](crate::pipeline::PipelineParams::prognose_every).
    ///
    /// # Errors
    /// `StateMismatch` for a state or scratch of another chain.
    pub fn remaining_life(
        &self,
        state: &PipelineState,
        scratch: &PipelineScratch,
    ) -> Result<Option<Assessment<RulDistribution>>> {
        self.expect_state(state)?;
        if scratch.model != self.fingerprint {
            return Err(Error::state(
                "scratch",
                format!("one of model {}", self.fingerprint),
                format!("one of {}", scratch.model),
            ));
        }
        let (Some(model), Some(features), Some(time)) = (&self.rul, scratch.features(), state.last) else {
            return Ok(None);
        };
        if !scratch.is_prognosed {
            return Ok(None);
        }
        let x = FeatureView::new(self.front.features.schema(), features)?.at(time);
        model.standing(state.rul.as_deref(), x).map(Some)
    }

    /// The state of a machine whose life began at `born`, before its first row: age counts from there.
    pub fn new_state_since(&self, born: Timestamp) -> PipelineState {
        PipelineState {
            born: Some(born),
            rul: self.following().map(|m| Box::new(m.new_state_since(born))),
            ..self.new_state()
        }
    }

    /// [`OnlineModel::step`] with the caller's buffers: nothing is allocated once the machine's windows are full. What
    /// happened to the alarm is in [`PipelineScratch::events`].
    ///
    /// A row that is unusable for its missing readings leaves the state as it was, but for two things of the alarm: a
    /// policy that [watches sensors](crate::decision::AlarmPolicy::watches_sensors) counts it, and a shelving may end by it.
    ///
    /// # Errors
    /// `SchemaMismatch` for a row of another schema, `InvalidInput` for one without an instant, `StateMismatch` for a
    /// state or scratch of another chain. The state is then unchanged.
    pub fn step_with(
        &self,
        state: &mut PipelineState,
        x: FeatureView<'_>,
        scratch: &mut PipelineScratch,
    ) -> Result<Assessment<Decision>> {
        (scratch.has_features, scratch.is_prognosed) = (false, false);
        scratch.events.clear();
        if scratch.model != self.fingerprint {
            return Err(Error::state(
                "scratch",
                format!("one of model {}", self.fingerprint),
                format!("one of {}", scratch.model),
            ));
        }
        self.schema().expect(x.schema())?;
        self.expect_state(state)?;
        let time = x.time().ok_or_else(|| Error::input("row", "an instant", "none"))?;
        let born = state.born.unwrap_or(time);
        if state.last.is_some_and(|last| time <= last) || time < born {
            return Ok(Assessment::Unusable(UnusableReason::TimeNotIncreasing));
        }
        let age = self.life_unit.between(born, time);
        let n_rows = state.front.features.n_rows();
        let is_due = self.prognose_every == 1 || n_rows.is_multiple_of(u64::from(self.prognose_every));
        let for_regressor = match &self.rul {
            _ if scratch.wants_features => ForRegressor::Written,
            None => ForRegressor::Nothing,
            Some(model) if is_due || !model.is_stateless() => ForRegressor::Written,
            Some(_) => ForRegressor::Carried,
        };
        let front = self
            .front
            .step(&mut state.front, age, x.values(), for_regressor, &mut scratch.front)?;
        if let Err(reason) = front {
            if reason != UnusableReason::TimeNotIncreasing {
                self.alarm
                    .step_into(&mut state.alarm, time, AlarmInput::Missing, &mut scratch.events);
            }
            return Ok(Assessment::Unusable(reason));
        }
        scratch.has_features = for_regressor == ForRegressor::Written;
        state.born = Some(born);
        state.last = Some(time);
        let prognosis = match &self.rul {
            None => None,
            Some(model) => {
                let features = FeatureView::new(self.front.features.schema(), &scratch.front.features)?.at(time);
                let estimate = match &mut state.rul {
                    Some(memory) if is_due => model.step(memory, features)?.ready(),
                    Some(memory) => {
                        model.update(memory, features)?;
                        None
                    }
                    None if is_due => model.assess_stateless(features)?.ready(),
                    None => None,
                };
                let made_now = estimate.map(|estimate| Prognosis { time, age, estimate });
                if self.prognose_every == 1 {
                    made_now
                } else {
                    if is_due {
                        state.prognosis = made_now;
                    }
                    state.prognosis
                }
            }
        };
        scratch.is_prognosed = is_due;
        // What cannot be computed yet counts as zero, the mean over whole training lives; no alarm is built on such rows
        // unless a sensor has shown nothing at all.
        for v in scratch.front.detector_features.iter_mut().filter(|v| v.is_nan()) {
            *v = 0.0;
        }
        let view = FeatureView::new(self.front.detector_features.schema(), &scratch.front.detector_features)?.at(time);
        let condition = |score| Condition {
            time,
            age,
            life_unit: self.life_unit,
            score,
            rul: prognosis.map(|p| p.at(time, age)),
            rul_time: prognosis.map(|p| p.time),
        };
        let outcome = 'decided: {
            let score = match self.detector.assess(&state.detector, view)? {
                Assessment::Ready(score) => score,
                other => {
                    let input = match other {
                        Assessment::Unusable(_) => AlarmInput::Missing,
                        _ => AlarmInput::Unjudged,
                    };
                    self.alarm.step_into(&mut state.alarm, time, input, &mut scratch.events);
                    break 'decided other.map(|score| Decision::Normal(condition(score)));
                }
            };
            let condition = condition(score);
            // A row of which less than the detector's longest span is known counts for no alarm: the threshold was learnt of
            // others.
            let settled = self.front.is_settled(&state.front);
            let mut knows_contributions = false;
            let input = match &self.one_sided {
                _ if !settled => AlarmInput::Unjudged,
                Some(rules) => {
                    self.detector
                        .contributions_into(&state.detector, view, &mut scratch.contributions)?;
                    knows_contributions = true;
                    AlarmInput::Score(rules.counted(score, view.values(), &scratch.contributions))
                }
                None => AlarmInput::Score(score),
            };
            self.alarm.step_into(&mut state.alarm, time, input, &mut scratch.events);
            let standing = state.alarm.since().zip(state.alarm.severity());
            if standing.is_none() && !scratch.events.has_score() {
                break 'decided Assessment::Ready(Decision::Normal(condition));
            }
            if !knows_contributions {
                self.detector
                    .contributions_into(&state.detector, view, &mut scratch.contributions)?;
            }
            let causes = self.causes(&scratch.contributions, &mut scratch.by_cause);
            scratch.events.set_causes(&causes);
            let Some((since, severity)) = standing else {
                break 'decided Assessment::Ready(Decision::Normal(condition));
            };
            let stands = state.alarm.standing();
            Assessment::Ready(Decision::Alarm(Alarm {
                since,
                raised_now: scratch.events.has(AlarmEventKind::Raised),
                severity,
                acknowledged: stands == AlarmStanding::Acknowledged,
                returned: stands == AlarmStanding::ReturnedUnacknowledged,
                shelved: state.alarm.shelved_until().is_some(),
                condition,
                causes,
            }))
        };
        self.detector.update(&mut state.detector, view)?;
        Ok(outcome)
    }

    /// Tells the alarm that no row of the machine came by `time`: for a service whose machines may fall silent. Gives what
    /// happened: the sensor may be lost, a shelving may end. Nothing else changes.
    ///
    /// # Errors
    /// `StateMismatch` for a state of another chain.
    pub fn no_row(&self, state: &mut PipelineState, time: Timestamp) -> Result<AlarmEvents> {
        self.expect_state(state)?;
        Ok(self.alarm.step(&mut state.alarm, time, AlarmInput::Missing))
    }

    pub(crate) fn expect_state(&self, state: &PipelineState) -> Result<()> {
        if state.model != self.fingerprint {
            return Err(Error::state(
                "state",
                format!("one of model {}", self.fingerprint),
                format!("one of {}", state.model),
            ));
        }
        self.detector.expect_state(&state.detector)?;
        match &self.rul {
            Some(model) => model.expect_state(state.rul.as_deref()),
            None => Ok(()),
        }
    }

    /// The regressor, where it remembers.
    fn following(&self) -> Option<&AnyRul> {
        self.rul.as_ref().filter(|m| !m.is_stateless())
    }

    /// The channels that raised the score most.
    fn causes(&self, contributions: &[f64], by_cause: &mut [f64]) -> [Option<Cause>; MAX_CAUSES] {
        by_cause.fill(0.0);
        for (c, &cause) in contributions.iter().zip(&self.cause_of_feature) {
            if let Some(sum) = by_cause.get_mut(cause) {
                *sum += c;
            }
        }
        let total: f64 = by_cause.iter().filter(|c| **c > 0.0).sum();
        let mut causes = [const { None }; MAX_CAUSES];
        for cause in &mut causes {
            let best = by_cause
                .iter()
                .copied()
                .enumerate()
                .fold((0, 0.0), |b, (i, c)| if c > b.1 { (i, c) } else { b });
            if best.1 > 0.0
                && let Some(channel) = self.cause_names.get(best.0)
            {
                *cause = Some(Cause {
                    channel: channel.clone(),
                    share: best.1 / total,
                });
                by_cause[best.0] = 0.0;
            }
        }
        causes
    }

    /// Runs a recorded machine through the chain from its first row, as [`crate::fleet::Fleet`] would: one outcome a row.
    ///
    /// # Errors
    /// `SchemaMismatch` where the recording has another number of channels.
    pub fn assess_history(&self, asset: &AssetHistory) -> Result<Vec<Assessment<Decision>>> {
        let (mut state, mut scratch) = (self.new_state(), self.new_scratch());
        let row = |(time, values)| {
            self.step_with(
                &mut state,
                FeatureView::new(self.schema(), values)?.at(time),
                &mut scratch,
            )
        };
        let outcomes = asset.rows().map(row).collect::<Result<Vec<_>>>();
        outcomes.map_err(|e| e.context(format!("asset `{}`", asset.asset())))
    }
}

impl OnlineModel for Pipeline {
    type State = PipelineState;
    type Output = Decision;

    fn schema(&self) -> &FeatureSchema {
        self.front.input()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) -> PipelineState {
        PipelineState {
            model: self.fingerprint,
            born: None,
            last: None,
            front: self.front.new_state(),
            detector: self.detector.new_state(),
            alarm: self.alarm.new_state(),
            rul: self.following().map(|m| Box::new(m.new_state())),
            prognosis: None,
        }
    }

    /// Copies the state: `O(state)`. Where each row is also taken in, [`step`](OnlineModel::step) costs less.
    fn assess(&self, state: &PipelineState, x: FeatureView<'_>) -> Result<Assessment<Decision>> {
        self.step(&mut state.clone(), x)
    }

    fn update(&self, state: &mut PipelineState, x: FeatureView<'_>) -> Result<()> {
        self.step(state, x).map(|_| ())
    }

    fn step(&self, state: &mut PipelineState, x: FeatureView<'_>) -> Result<Assessment<Decision>> {
        self.step_with(state, x, &mut self.new_scratch())
    }
}
