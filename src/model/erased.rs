//! The object-safe twin of the contract, for registries of mixed models.

use super::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, RulDistribution, RulEstimate, RulRegressor};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureView},
};
use serde::{Deserialize, Serialize};
use std::{any::Any, fmt, sync::Arc};

mod sealed {
    pub trait Sealed {}
    impl<M: super::OnlineModel> Sealed for M {}
}

/// The state of a model whose type is not known, with the fingerprint of the model that made it.
pub struct DynState {
    model: Fingerprint,
    state: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for DynState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynState")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct StateRecord<S> {
    model: Fingerprint,
    state: S,
}

/// [`OnlineModel`] without its associated types: what a list of different models holds.
///
/// Implemented for every [`OnlineModel`], and for nothing else. Every method refuses a [`DynState`] made by another model,
/// stateless ones included.
pub trait DynOnlineModel<O>: sealed::Sealed + Send + Sync {
    /// See [`OnlineModel::schema`].
    fn dyn_schema(&self) -> &FeatureSchema;
    /// See [`OnlineModel::fingerprint`].
    fn dyn_fingerprint(&self) -> Fingerprint;
    /// See [`OnlineModel::new_state`].
    fn new_dyn_state(&self) -> DynState;
    /// See [`OnlineModel::assess`].
    ///
    /// # Errors
    /// As there.
    fn dyn_assess(&self, state: &DynState, x: FeatureView<'_>) -> Result<Assessment<O>>;
    /// See [`OnlineModel::update`].
    ///
    /// # Errors
    /// As there.
    fn dyn_update(&self, state: &mut DynState, x: FeatureView<'_>) -> Result<()>;
    /// See [`OnlineModel::step`].
    ///
    /// # Errors
    /// As there.
    fn dyn_step(&self, state: &mut DynState, x: FeatureView<'_>) -> Result<Assessment<O>>;
    /// The state as bytes, with the model's fingerprint.
    ///
    /// # Errors
    /// `StateMismatch` for a state of another model.
    fn encode_state(&self, state: &DynState) -> Result<Vec<u8>>;
    /// The state behind bytes of [`encode_state`](DynOnlineModel::encode_state).
    ///
    /// # Errors
    /// `Persistence` for bytes that are no state of this kind, `StateMismatch` for one of another model.
    fn decode_state(&self, bytes: &[u8]) -> Result<DynState>;
}

/// [`AnomalyDetector`] without its associated types.
pub trait DynAnomalyDetector: DynOnlineModel<AnomalyScore> {
    /// See [`AnomalyDetector::contributions_into`].
    ///
    /// # Errors
    /// As there.
    fn dyn_contributions_into(&self, state: &DynState, x: FeatureView<'_>, out: &mut [f64]) -> Result<Assessment<()>>;
}

/// [`RulRegressor`] without its associated types.
pub trait DynRulRegressor: DynOnlineModel<RulEstimate> {
    /// See [`RulRegressor::distribution`].
    ///
    /// # Errors
    /// As there.
    fn dyn_distribution(&self, state: &DynState, x: FeatureView<'_>) -> Result<Assessment<RulDistribution>>;
}

/// Any detector, shared.
pub type SharedDetector = Arc<dyn DynAnomalyDetector>;
/// Any regressor of remaining useful life, shared.
pub type SharedRulRegressor = Arc<dyn DynRulRegressor>;

fn check<M: OnlineModel>(model: &M, made_by: Fingerprint) -> Result<()> {
    if made_by == model.fingerprint() {
        Ok(())
    } else {
        Err(Error::state(
            "state",
            format!("one of model {}", model.fingerprint()),
            format!("one of model {made_by}"),
        ))
    }
}

fn wrong_type<M: OnlineModel>() -> Error {
    Error::state("state", std::any::type_name::<M::State>(), "another type")
}

fn open<'a, M: OnlineModel>(model: &M, state: &'a DynState) -> Result<&'a M::State> {
    check(model, state.model)?;
    state.state.downcast_ref().ok_or_else(wrong_type::<M>)
}

fn open_mut<'a, M: OnlineModel>(model: &M, state: &'a mut DynState) -> Result<&'a mut M::State> {
    check(model, state.model)?;
    state.state.downcast_mut().ok_or_else(wrong_type::<M>)
}

impl<M: OnlineModel> DynOnlineModel<M::Output> for M {
    fn dyn_schema(&self) -> &FeatureSchema {
        self.schema()
    }

    fn dyn_fingerprint(&self) -> Fingerprint {
        self.fingerprint()
    }

    fn new_dyn_state(&self) -> DynState {
        DynState {
            model: self.fingerprint(),
            state: Box::new(self.new_state()),
        }
    }

    fn dyn_assess(&self, state: &DynState, x: FeatureView<'_>) -> Result<Assessment<M::Output>> {
        self.assess(open(self, state)?, x)
    }

    fn dyn_update(&self, state: &mut DynState, x: FeatureView<'_>) -> Result<()> {
        self.update(open_mut(self, state)?, x)
    }

    fn dyn_step(&self, state: &mut DynState, x: FeatureView<'_>) -> Result<Assessment<M::Output>> {
        self.step(open_mut(self, state)?, x)
    }

    fn encode_state(&self, state: &DynState) -> Result<Vec<u8>> {
        let record = StateRecord {
            model: self.fingerprint(),
            state: open(self, state)?,
        };
        rmp_serde::to_vec_named(&record)
            .map_err(|e| Error::persistence(format!("state cannot be encoded: {e}")).with_source(e))
    }

    fn decode_state(&self, bytes: &[u8]) -> Result<DynState> {
        let record: StateRecord<M::State> =
            crate::envelope::decode(bytes).map_err(|e| e.context("bytes are no state of this model"))?;
        check(self, record.model)?;
        Ok(DynState {
            model: record.model,
            state: Box::new(record.state),
        })
    }
}

impl<M: AnomalyDetector> DynAnomalyDetector for M {
    fn dyn_contributions_into(&self, state: &DynState, x: FeatureView<'_>, out: &mut [f64]) -> Result<Assessment<()>> {
        self.contributions_into(open(self, state)?, x, out)
    }
}

impl<M: RulRegressor> DynRulRegressor for M {
    fn dyn_distribution(&self, state: &DynState, x: FeatureView<'_>) -> Result<Assessment<RulDistribution>> {
        self.distribution(open(self, state)?, x)
    }
}
