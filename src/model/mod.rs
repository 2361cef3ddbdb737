//! The contract every detector and regressor keeps.
//!
//! A fitted model is immutable and shared; what it remembers of one machine is a separate state. Scoring never mutates.
//! The same rows, all at once or one by one, give the same outcomes to the last bit.

mod assessment;
mod erased;
mod folds;
mod persist;
mod rul_distribution;

pub use assessment::{AnomalyScore, Assessment, NoPrognosis, RulEstimate, UnusableReason};
pub use erased::{DynAnomalyDetector, DynOnlineModel, DynRulRegressor, DynState, SharedDetector, SharedRulRegressor};
pub use folds::AssetFolds;
pub use persist::PersistentModel;
pub(crate) use persist::fingerprint_of;
pub use rul_distribution::{N_PERCENTILES, RulDistribution};

use crate::{
    envelope::Fingerprint,
    error::Result,
    features::{FeatureSchema, FeatureView},
};
use serde::{Serialize, de::DeserializeOwned};

/// A fitted model that assesses feature rows, with the memory of one machine kept outside it.
///
/// A stateless model has `State = ()`; one that remembers keeps all it remembers in its state. To fit a model, follow
/// linfa: `Params` -> [`linfa::ParamGuard::check`] -> valid params: [`linfa::traits::Fit`] -> the fitted model.
pub trait OnlineModel: Send + Sync + 'static {
    /// What the model remembers of one machine. A state with content carries the model's fingerprint, and every method
    /// refuses one made by another model.
    type State: Clone + Send + Sync + Serialize + DeserializeOwned + 'static;
    /// What a usable row gives.
    type Output: 'static;

    /// The rows this model takes.
    fn schema(&self) -> &FeatureSchema;

    /// Tells this model from every other: first eight bytes of the SHA-256 of its kind and persisted form.
    fn fingerprint(&self) -> Fingerprint;

    /// The state of a machine of which nothing is known yet.
    fn new_state(&self) -> Self::State;

    /// Assesses the row `x` as the next of the machine behind `state`, changing nothing.
    ///
    /// # Errors
    /// `SchemaMismatch` for a row of another schema, `StateMismatch` for a state of another model. Bad sensor data is no
    /// error but [`Assessment::Unusable`].
    fn assess(&self, state: &Self::State, x: FeatureView<'_>) -> Result<Assessment<Self::Output>>;

    /// Takes the row `x` into `state`. A row that is unusable leaves the state as it was.
    ///
    /// # Errors
    /// As [`assess`](OnlineModel::assess); the state is then unchanged.
    fn update(&self, state: &mut Self::State, x: FeatureView<'_>) -> Result<()>;

    /// [`assess`](OnlineModel::assess), then [`update`](OnlineModel::update), fused where that saves work.
    ///
    /// # Errors
    /// As [`assess`](OnlineModel::assess); the state is then unchanged.
    fn step(&self, state: &mut Self::State, x: FeatureView<'_>) -> Result<Assessment<Self::Output>> {
        let assessment = self.assess(state, x)?;
        self.update(state, x)?;
        Ok(assessment)
    }
}

/// A model whose score is higher the more anomalous a row is, and that can say which features made it high.
pub trait AnomalyDetector: OnlineModel<Output = AnomalyScore> {
    /// Writes each feature's share of the score of `x` into `out`, in the score's own unit. Where the detector's score is
    /// a sum over features, the shares add up to it; a share may be negative.
    ///
    /// `out` is left as it was unless the result is `Ready`.
    ///
    /// # Errors
    /// As [`assess`](OnlineModel::assess), and `InvalidInput` unless `out` has one place a feature.
    fn contributions_into(&self, state: &Self::State, x: FeatureView<'_>, out: &mut [f64]) -> Result<Assessment<()>>;
}

/// A model of remaining useful life. The estimate of [`assess`](OnlineModel::assess) sums up a whole distribution.
pub trait RulRegressor: OnlineModel<Output = RulEstimate> {
    /// The distribution of remaining life after the row `x`, changing nothing: any interval, the survival curve, the cost of
    /// waiting. Gives a result wherever [`assess`](OnlineModel::assess) does, and for the same reasons none, but for
    /// one: where more than half of all lives lie beyond what is known, there may be a distribution without a median, and
    /// [`NoPrognosis::BeyondKnownLives`] for an estimate. The point of the estimate need not be the median, nor its
    /// interval the central one: a model's page says which they are.
    ///
    /// # Errors
    /// As [`assess`](OnlineModel::assess).
    fn distribution(&self, state: &Self::State, x: FeatureView<'_>) -> Result<Assessment<RulDistribution>>;
}
