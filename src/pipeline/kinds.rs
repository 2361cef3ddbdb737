//! The closed lists of the models a chain may hold.

use crate::{
    detect::{
        AnyDetector, AnyDetectorParams, AnyDetectorRecord, AnyDetectorState, FusedDetector, FusionParams, FusionRecord,
        FusionState,
    },
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, PersistentModel, RulEstimate},
    rul::{
        BinnedIntervals, GradientBoosting, GradientBoostingParams, GradientBoostingRecord, PointRegressor, RidgeRul,
        RidgeRulParams, RidgeRulRecord, RulLabels,
    },
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
    Single(Box<AnyDetectorState>),
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
            Self::Single(m) => ChainDetectorState::Single(Box::new(m.new_state())),
            Self::Fused(m) => ChainDetectorState::Fused(m.new_state()),
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

/// An unfitted RUL regressor of a chain.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RulParams {
    /// [`GradientBoosting`].
    GradientBoosting(GradientBoostingParams),
    /// [`RidgeRul`].
    Ridge(RidgeRulParams),
}

impl From<GradientBoostingParams> for RulParams {
    fn from(p: GradientBoostingParams) -> Self {
        Self::GradientBoosting(p)
    }
}

impl From<RidgeRulParams> for RulParams {
    fn from(p: RidgeRulParams) -> Self {
        Self::Ridge(p)
    }
}

/// A fitted regressor.
#[derive(Clone, Debug)]
pub(super) enum RulModel {
    GradientBoosting(GradientBoosting),
    Ridge(RidgeRul),
}

/// A fitted regressor as it is written to files; the names are those of its kind.
#[derive(Serialize, Deserialize)]
pub(super) enum RulRecord {
    #[serde(rename = "rul.gradient_boosting")]
    GradientBoosting(GradientBoostingRecord),
    #[serde(rename = "rul.ridge")]
    Ridge(RidgeRulRecord),
}

impl RulParams {
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::GradientBoosting(p) => p.check_ref().map(|_| ()),
            Self::Ridge(p) => p.check_ref().map(|_| ()),
        }
    }

    /// Cap, level, folds and seed.
    pub(super) fn labels(&self) -> Result<&crate::rul::LabelSettings> {
        Ok(match self {
            Self::GradientBoosting(p) => p.check_ref()?.labels(),
            Self::Ridge(p) => p.check_ref()?.labels(),
        })
    }

    /// A point model; `held_out` for those behind intervals.
    pub(super) fn fit_point(&self, table: &FeatureTable, labels: &RulLabels, held_out: bool) -> Result<RulModel> {
        Ok(match self {
            Self::GradientBoosting(p) => RulModel::GradientBoosting(p.check_ref()?.fit_point(table, labels, held_out)?),
            Self::Ridge(p) => RulModel::Ridge(p.check_ref()?.fit_point(table, labels, held_out)?),
        })
    }
}

impl RulModel {
    pub(super) fn schema(&self) -> &FeatureSchema {
        match self {
            Self::GradientBoosting(m) => m.schema(),
            Self::Ridge(m) => m.schema(),
        }
    }

    pub(super) fn point(&self, row: &[f64]) -> f64 {
        match self {
            Self::GradientBoosting(m) => <GradientBoostingParams as ParamGuard>::Checked::predict(m, row),
            Self::Ridge(m) => <RidgeRulParams as ParamGuard>::Checked::predict(m, row),
        }
    }

    pub(super) fn with_intervals(self, intervals: BinnedIntervals) -> Result<Self> {
        Ok(match self {
            Self::GradientBoosting(m) => Self::GradientBoosting(
                <GradientBoostingParams as ParamGuard>::Checked::with_intervals(m, intervals)?,
            ),
            Self::Ridge(m) => Self::Ridge(<RidgeRulParams as ParamGuard>::Checked::with_intervals(m, intervals)?),
        })
    }

    pub(super) fn assess(&self, x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
        match self {
            Self::GradientBoosting(m) => m.assess(&(), x),
            Self::Ridge(m) => m.assess(&(), x),
        }
    }

    pub(super) fn to_record(&self) -> RulRecord {
        match self {
            Self::GradientBoosting(m) => RulRecord::GradientBoosting(m.to_persisted()),
            Self::Ridge(m) => RulRecord::Ridge(m.to_persisted()),
        }
    }

    pub(super) fn from_record(record: RulRecord) -> Result<Self> {
        Ok(match record {
            RulRecord::GradientBoosting(r) => Self::GradientBoosting(GradientBoosting::from_persisted(r)?),
            RulRecord::Ridge(r) => Self::Ridge(RidgeRul::from_persisted(r)?),
        })
    }
}

/// A chain without a regressor has no fold models.
pub(super) fn no_regressor() -> Error {
    Error::parameter("rul", "a regressor", "none")
}
