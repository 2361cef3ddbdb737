//! How good predictions are, against the truth.
//!
//! | what | how |
//! |---|---|
//! | remaining lives and their intervals | [`rmse`], [`mae`], [`phm08_score`], [`coverage`], [`mean_width`], each weighted too |
//! | errors by how far the failure was | [`HorizonErrors`]; [`phm12_score`] in percent of the true life |
//! | distributions of remaining life | [`crps`], [`pinball_loss`], [`interval_score`]; [`Calibration`] and [`pit`]: whether they keep their word |
//! | a machine's predictions until it failed | [`PrognosisTrack`]: α-λ accuracy, prognostic horizon, relative accuracy, convergence |
//! | what a policy of stops would have cost | [`PolicyTally`]: failures missed, life not used, cost a life unit, beside run-to-failure and the best fixed age in hindsight |
//! | scores of anomaly, no threshold | [`roc_auc`], [`average_precision`], [`pr_auc`]; [`vus`] forgives alarms just beside an anomaly |
//! | alarms row by row | [`Confusion`]: precision, recall, F1, rates of false and missed alarms |
//! | alarms as ranges of rows | [`RangeBased`]; [`NabFile`], the score of the NAB benchmark, rewards the early |
//! | alarms in time | [`EventTally`]: delays, misses, false alarms a day; [`LeadTime`] before failures |
//!
//! Functions take slices of one entry a row. Lengths that differ, slices without a row, and numbers that are not
//! finite are errors that name the slice and the row: a NaN never hides in an average. What adds up over files or assets
//! is a value that does.
//!
//! Rows of a long-lived asset outnumber those of a short-lived one. The weighted variants correct for that;
//! [`asset_weights`] gives each asset the same say.

mod calibration;
mod detection;
mod horizon_errors;
mod maintenance_policy;
mod nab;
mod prognosis_track;
mod range_based;
mod ranking;
mod rul_distribution_error;
mod rul_error;
mod volume;

pub use calibration::{Calibration, CalibrationLevel};
pub use detection::{Confusion, EventTally, Interval, LeadTime, alarm_episodes};
pub use horizon_errors::{HorizonBin, HorizonErrors};
pub use maintenance_policy::{PolicyTally, first_stop};
pub use nab::{NabFile, NabOptimum, NabProfile, NabWeights, nab_best_threshold, nab_normalised};
pub use prognosis_track::{PrognosisTrack, WithinBounds, alpha_lambda_accuracy};
pub use range_based::{Cardinality, PositionalBias, RangeBased, RangeTally, row_ranges};
pub use ranking::{average_precision, pr_auc, roc_auc};
pub use rul_distribution_error::{
    crps, crps_weighted, interval_score, interval_score_weighted, pinball_loss, pinball_loss_weighted, pit,
};
pub use rul_error::{
    asset_weights, coverage, coverage_weighted, mae, mae_weighted, mean_width, mean_width_weighted, phm08_score,
    phm08_score_weighted, phm12_score, phm12_score_weighted, rmse, rmse_weighted,
};
pub use volume::{RangeAreas, range_auc, vus};
