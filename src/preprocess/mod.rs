//! Preparation of rows: scaling, operating regimes, channels that drift, and the small least-squares solver both they and
//! the models below use.

mod least_squares;
mod non_negative_least_squares;
mod regimes;
mod scaling;
mod slow_channels;

pub(crate) use least_squares::{GramAccumulator, solve_positive_definite};
pub(crate) use non_negative_least_squares::convex_weights;
pub use regimes::{RegimeNormalizer, RegimeNormalizerRecord, Regimes};
pub use scaling::{Standardizer, StandardizerRecord};
pub use slow_channels::{SlowChannels, von_neumann_ratio};
