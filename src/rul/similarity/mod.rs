//! Models that compare a machine with recorded lives.
//!
//! | model | compares |
//! |---|---|
//! | [`ResidualSimilarity`] | readings with the curve fitted to each life |
//! | [`PairwiseSimilarity`] | the last readings with those of each life, by difference, correlation or warping |
//! | [`HashSimilarity`] | vectors that histories are condensed to |

mod dtw;
mod hash;
mod library;
mod matches;
mod pairwise;
mod residual;

pub use hash::{CondensedLives, HashSimilarity, HashSimilarityParams, HashSimilaritySettings, VectorDistance};
pub use library::RecentReadings;
pub use pairwise::{
    Alignment, HistoryDistance, KeptHistories, PairwiseSimilarity, PairwiseSimilarityParams, PairwiseSimilaritySettings,
};
pub use residual::{FittedLives, LifeCurve, ResidualSimilarity, ResidualSimilarityParams, ResidualSimilaritySettings};
