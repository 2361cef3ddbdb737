//! Preparation of rows: scaling, operating regimes, and the small least-squares solver both they and the models below use.

mod least_squares;
mod regimes;
mod scaling;

pub(crate) use least_squares::{GramAccumulator, solve_positive_definite};
pub use regimes::{RegimeNormalizer, RegimeNormalizerRecord, Regimes};
pub use scaling::{Standardizer, StandardizerRecord};
