//! The closed list of the models a chain may hold.

use crate::{
    detect::{MahalanobisDetector, MahalanobisParams, PcaDetector, PcaParams, PcaRecord},
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

/// An unfitted detector of a chain.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DetectorParams {
    /// [`PcaDetector`].
    Pca(PcaParams),
    /// [`MahalanobisDetector`].
    Mahalanobis(MahalanobisParams),
}

impl From<PcaParams> for DetectorParams {
    fn from(p: PcaParams) -> Self {
        Self::Pca(p)
    }
}

impl From<MahalanobisParams> for DetectorParams {
    fn from(p: MahalanobisParams) -> Self {
        Self::Mahalanobis(p)
    }
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

/// A fitted detector.
#[derive(Clone, Debug)]
pub(super) enum DetectorModel {
    Pca(PcaDetector),
    Mahalanobis(MahalanobisDetector),
}

/// A fitted detector as it is written to files; the names are those of its kind.
#[derive(Serialize, Deserialize)]
pub(super) enum DetectorRecord {
    #[serde(rename = "detect.pca")]
    Pca(PcaRecord),
    #[serde(rename = "detect.mahalanobis")]
    Mahalanobis(<MahalanobisDetector as PersistentModel>::Persisted),
}

/// Calls the same method of whichever model it is.
macro_rules! each {
    ($kinds:ident, $model:expr, $m:ident => $call:expr) => {
        match $model {
            $kinds::Pca($m) => $call,
            $kinds::Mahalanobis($m) => $call,
        }
    };
}

impl DetectorParams {
    pub(super) fn check(&self) -> Result<()> {
        each!(DetectorParams, self, p => p.check_ref().map(|_| ()))
    }

    pub(super) fn fit(&self, table: FeatureTable) -> Result<DetectorModel> {
        let data = DatasetBase::new(table, ());
        Ok(match self {
            Self::Pca(p) => DetectorModel::Pca(p.fit(&data)?),
            Self::Mahalanobis(p) => DetectorModel::Mahalanobis(p.fit(&data)?),
        })
    }
}

impl DetectorModel {
    pub(super) fn schema(&self) -> &FeatureSchema {
        each!(DetectorModel, self, m => m.schema())
    }

    pub(super) fn assess(&self, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        each!(DetectorModel, self, m => m.assess(&(), x))
    }

    pub(super) fn contributions_into(&self, x: FeatureView<'_>, out: &mut [f64]) -> Result<Assessment<()>> {
        each!(DetectorModel, self, m => m.contributions_into(&(), x, out))
    }

    pub(super) fn to_record(&self) -> DetectorRecord {
        match self {
            Self::Pca(m) => DetectorRecord::Pca(m.to_persisted()),
            Self::Mahalanobis(m) => DetectorRecord::Mahalanobis(m.to_persisted()),
        }
    }

    pub(super) fn from_record(record: DetectorRecord) -> Result<Self> {
        Ok(match record {
            DetectorRecord::Pca(r) => Self::Pca(PcaDetector::from_persisted(r)?),
            DetectorRecord::Mahalanobis(r) => Self::Mahalanobis(MahalanobisDetector::from_persisted(r)?),
        })
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
