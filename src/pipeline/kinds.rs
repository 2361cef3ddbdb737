//! The closed list of the regressors a chain may hold.

use crate::{
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{Assessment, OnlineModel, PersistentModel, RulEstimate},
    rul::{
        BinnedIntervals, GradientBoosting, GradientBoostingParams, GradientBoostingRecord, PointRegressor, RidgeRul,
        RidgeRulParams, RidgeRulRecord, RulLabels,
    },
};
use linfa::ParamGuard;
use serde::{Deserialize, Serialize};

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
