//! Prognosis: regressors of remaining useful life (RUL), one a file, with intervals.
//!
//! Every regressor takes feature rows and keeps [`crate::model::RulRegressor`]. Labels may be capped: a machine in health
//! shows nothing of how long it will live, so remaining lives above the cap are all learned as the cap (Heimes 2008,
//! doi 10.1109/PHM.2008.4711422), and an estimate at the cap means "at least".

mod any;
mod forest;
mod gradient_boosting;
mod histogram_trees;
mod intervals;
mod labels;
mod life_prior;
mod ridge;
mod row_regressor;
mod trajectory_regressor;
mod updated_life_prior;

pub use any::{AnyRul, AnyRulParams, AnyRulState};
pub(crate) use any::{AnyRulRecord, AnyUncalibrated};
pub use gradient_boosting::{
    BoostedTrees, BoostedTreesRecord, GradientBoosting, GradientBoostingParams, GradientBoostingSettings,
};
pub use intervals::BinnedIntervals;
pub(crate) use intervals::CalibrationRow;
pub use labels::RulLabels;
pub(crate) use labels::{LabelSettings, check_level};
pub use life_prior::{
    LifeDistribution, LifeDistributionRecord, LifePrior, LifePriorParams, LifePriorSettings, LifeWeighting,
};
pub use ridge::{RidgeLine, RidgeLineRecord, RidgeRul, RidgeRulParams, RidgeSettings};
pub(crate) use row_regressor::Uncalibrated;
pub use row_regressor::{
    LabelledRows, PointModel, RowRegressor, RowRegressorParams, RowRegressorRecord, RowRegressorValidParams,
    RulAlgorithm,
};
pub use trajectory_regressor::{
    RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams,
    TrajectoryRegressorRecord, TrajectoryRegressorValidParams, TrajectoryState,
};
pub use updated_life_prior::{
    HeldOutGain, LifeEvidence, ReadingRise, UpdatedLife, UpdatedLifePrior, UpdatedLifePriorParams,
    UpdatedLifePriorSettings, UpdatedLifeRecord,
};
