//! How good predictions are, against the truth.
//!
//! All functions take slices of one entry a row. Lengths that differ, slices without a row, and numbers that are not
//! finite are errors that name the slice and the row: a NaN never hides in an average.
//!
//! Rows of a long-lived asset outnumber those of a short-lived one. The weighted variants correct for that;
//! [`asset_weights`] gives each asset the same say.

mod nab;
mod rul_error;

pub use nab::{NabFile, NabOptimum, NabProfile, NabWeights, nab_best_threshold, nab_normalised};
pub use rul_error::{
    asset_weights, coverage, coverage_weighted, mae, mae_weighted, mean_width, mean_width_weighted, phm08_score,
    phm08_score_weighted, rmse, rmse_weighted,
};
