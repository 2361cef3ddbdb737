//! Regression trees: how they are grown, walked, explained, and written.

mod binned;
mod contributions;
mod forest;
mod grower;
mod histogram;
mod objective;
mod random_cuts;
mod split;

pub(super) use binned::{Binned, MAX_BINS};
pub(super) use contributions::PathScratch;
pub(super) use forest::{Forest, ForestRecord};
pub(super) use grower::{Grower, Planted, Round, TreeSettings, check_gains};
pub(super) use histogram::MAX_ROWS;
pub(super) use objective::Objective;
pub use objective::{AftNoise, BoostingLoss};
pub(super) use random_cuts::{MAX_LEAVES as MAX_CUT_LEAVES, RandomCutSettings, RandomCuts};
