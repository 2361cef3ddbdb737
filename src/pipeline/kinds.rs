//! The detector of a chain: one, or several as one.

use crate::{
    detect::{
        AnyDetector, AnyDetectorParams, AnyDetectorRecord, AnyDetectorState, FusedDetector, FusionParams, FusionRecord,
        FusionState,
    },
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, PersistentModel},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use serde::{Deserialize, Serialize};

/// An unfitted detector of a chain: one, or several as one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChainDetectorParams {
    /// Any single detector.
    Single(AnyDetectorParams),
    /// A [`FusedDetector`].
    Fused(FusionParams),
}

impl<P: Into<AnyDetectorParams>> From<P> for ChainDetectorParams {
    fn from(params: P) -> Self {
        Self::Single(params.into())
    }
}

impl From<FusionParams> for ChainDetectorParams {
    fn from(params: FusionParams) -> Self {
        Self::Fused(params)
    }
}

/// A fitted detector of a chain.
#[derive(Clone, Debug)]
pub(super) enum ChainDetector {
    Single(AnyDetector),
    Fused(FusedDetector),
}

/// What a chain's detector remembers of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum ChainDetectorState {
    Single(AnyDetectorState),
    Fused(FusionState),
}

impl ChainDetectorParams {
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Single(p) => p.check(),
            Self::Fused(p) => p.check_ref().map(|_| ()),
        }
    }

    pub(super) fn fit(&self, table: FeatureTable) -> Result<ChainDetector> {
        Ok(match self {
            Self::Single(p) => ChainDetector::Single(p.fit(table)?),
            Self::Fused(p) => ChainDetector::Fused(p.fit(&DatasetBase::new(table, ()))?),
        })
    }
}

impl ChainDetector {
    pub(super) fn schema(&self) -> &FeatureSchema {
        match self {
            Self::Single(m) => m.schema(),
            Self::Fused(m) => m.schema(),
        }
    }

    pub(super) fn new_state(&self) -> ChainDetectorState {
        match self {
            Self::Single(m) => ChainDetectorState::Single(m.new_state()),
            Self::Fused(m) => ChainDetectorState::Fused(m.new_state()),
        }
    }

    /// Refuses a state of another detector, or one that this one cannot have made.
    pub(super) fn expect_state(&self, state: &ChainDetectorState) -> Result<()> {
        match (self, state) {
            (Self::Single(m), ChainDetectorState::Single(s)) => m.expect_state(s),
            (Self::Fused(m), ChainDetectorState::Fused(s)) => m.expect_state(s),
            _ => Err(another_detector()),
        }
    }

    pub(super) fn assess(&self, state: &ChainDetectorState, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        match (self, state) {
            (Self::Single(m), ChainDetectorState::Single(s)) => m.assess(s, x),
            (Self::Fused(m), ChainDetectorState::Fused(s)) => m.assess(s, x),
            _ => Err(another_detector()),
        }
    }

    pub(super) fn update(&self, state: &mut ChainDetectorState, x: FeatureView<'_>) -> Result<()> {
        match (self, state) {
            (Self::Single(m), ChainDetectorState::Single(s)) => m.update(s, x),
            (Self::Fused(m), ChainDetectorState::Fused(s)) => m.update(s, x),
            _ => Err(another_detector()),
        }
    }

    pub(super) fn contributions_into(
        &self,
        state: &ChainDetectorState,
        x: FeatureView<'_>,
        out: &mut [f64],
    ) -> Result<Assessment<()>> {
        match (self, state) {
            (Self::Single(m), ChainDetectorState::Single(s)) => m.contributions_into(s, x, out),
            (Self::Fused(m), ChainDetectorState::Fused(s)) => m.contributions_into(s, x, out),
            _ => Err(another_detector()),
        }
    }

    /// As it is written: one of the two.
    pub(super) fn to_records(&self) -> (Option<AnyDetectorRecord>, Option<FusionRecord>) {
        match self {
            Self::Single(m) => (Some(m.to_record()), None),
            Self::Fused(m) => (None, Some(m.to_persisted())),
        }
    }

    pub(super) fn from_records(single: Option<AnyDetectorRecord>, fused: Option<FusionRecord>) -> Result<Self> {
        match (single, fused) {
            (Some(r), None) => Ok(Self::Single(AnyDetector::from_record(r)?)),
            (None, Some(r)) => Ok(Self::Fused(FusedDetector::from_persisted(r)?)),
            _ => Err(Error::persistence(
                "detector: expected one or a fusion, got both or neither",
            )),
        }
    }
}

fn another_detector() -> Error {
    Error::state("state", "one of this chain's detector", "one of another")
}

/// A chain without a regressor has no fold models.
pub(super) fn no_regressor() -> Error {
    Error::parameter("rul", "a regressor", "none")
}
