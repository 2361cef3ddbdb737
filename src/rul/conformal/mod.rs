//! Intervals that hold: from models and assets they were not fitted on.
//!
//! | type | around | guarantee with exchangeable assets |
//! |---|---|---|
//! | [`SplitConformal`] | one model's point, one width | at least `level` |
//! | [`CrossConformal`] | the points of the models of folds (CV+) | at least `1 - 2 (1 - level)`, less a little |
//! | [`BinnedIntervals`] | a point, width by its size | none exact; near `level` in each bin |
//! | [`ConformalBand`] | two quantile models (CQR) | at least `level` |
//! | [`RecalibratedRul`] | the distribution of any regressor | at least `level` |
//! | [`AdaptiveCalibration`] | any distribution, truths coming later | long-run, for any sequence |
//!
//! Guarantees are marginal: over machines like the held-out ones, and over the held-out ones themselves. The rows of one
//! machine depend on each other and weigh one together; [`Coverage`] says what is held.

mod adaptive;
mod band;
mod binned;
mod cross;
mod held_out;
mod recalibrated;
mod split;

pub use adaptive::{AdaptiveCalibration, AdaptiveInterval, CoverageSoFar};
pub use band::{BandRow, ConformalBand};
pub use binned::BinnedIntervals;
pub use cross::CrossConformal;
pub use held_out::{CalibrationRow, Coverage};
pub use recalibrated::{RecalibratedRul, RecalibratedRulRecord};
pub use split::SplitConformal;
