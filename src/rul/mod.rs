//! Prognosis: regressors of remaining useful life (RUL), one a file, with intervals.
//!
//! Every one of them keeps [`RulRegressor`](crate::model::RulRegressor): an estimate with its interval, a whole
//! [`RulDistribution`](crate::model::RulDistribution) behind it, or the [reason](crate::model::NoPrognosis) why there is none.
//!
//! | what is known | regressors |
//! |---|---|
//! | many lives, many features a row | [`GradientBoosting`], [`ExtraTrees`], [`FourierRidge`], [`RidgeRul`], and [`StackedRul`] of them: [`RowRegressor`]s |
//! | lives and one or a few health readings | [`similarity`]: which recorded life is this one like? |
//! | a reading that runs to a threshold | [`degradation`]: lines, exponentials, Wiener and gamma processes |
//! | how the part wears, as an equation | [`filter`]: Kalman, unscented and particle filters over a state model; cracks, batteries, bearings |
//! | ages, failures and machines still running | [`survival`]: Kaplan-Meier, Weibull and log-normal accelerated lives, Cox |
//! | a handful of lives | [`LifePrior`], and [`UpdatedLifePrior`] where a reading has proved that it tells more |
//!
//! All but the first row are [`TrajectoryRegressor`]s: they remember a machine, in a bounded memory. [`conformal`] holds the
//! ways to intervals that hold, for any of them. [`AnyRul`] is the closed list, what a chain may hold.
//!
//! Labels of rows may be capped: a machine in health shows nothing of how long it will live, so remaining lives above the
//! cap are all learned as the cap (Heimes 2008, doi 10.1109/PHM.2008.4711422), and an estimate at the cap means "at least".

mod any;
pub mod conformal;
pub mod degradation;
mod drift_passage;
mod extra_trees;
pub mod filter;
mod fourier_ridge;
mod gradient_boosting;
mod labels;
mod life_prior;
mod lives_in_order;
mod normal;
mod ridge;
mod row_regressor;
pub mod similarity;
mod stack;
pub mod survival;
mod trajectory_regressor;
mod tree_explanations;
mod trees;
mod updated_life_prior;

pub use any::{AnyRul, AnyRulParams, AnyRulState};
pub(crate) use any::{AnyRulRecord, AnyUncalibrated};
pub use extra_trees::{ExtraTrees, ExtraTreesParams, ExtraTreesSettings, RandomTrees, RandomTreesRecord};
pub use fourier_ridge::{FourierCurve, FourierCurveRecord, FourierRidge, FourierRidgeParams, FourierRidgeSettings};
pub use gradient_boosting::{
    BoostedTrees, BoostedTreesRecord, GradientBoosting, GradientBoostingParams, GradientBoostingSettings,
};
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
pub use stack::{Stack, StackBase, StackRecord, StackSettings, StackedRul, StackedRulParams};
pub use trajectory_regressor::{
    RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams,
    TrajectoryRegressorRecord, TrajectoryRegressorValidParams, TrajectoryState,
};
pub use tree_explanations::{Contributions, FeatureImportance};
pub use trees::{AftNoise, BoostingLoss};
pub use updated_life_prior::{
    HeldOutGain, LifeEvidence, ReadingRise, UpdatedLife, UpdatedLifePrior, UpdatedLifePriorParams,
    UpdatedLifePriorSettings, UpdatedLifeRecord,
};
