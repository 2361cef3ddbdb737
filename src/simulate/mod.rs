//! Generated recordings whose truth is known: when a fault began, which one it was, how far it had gone at each row.
//!
//! The same seed gives the same bytes on every platform: the random numbers are integers, and exp, ln, pow and cos are
//! those of the `libm` crate.

mod bearing;
mod random;
mod turbofan;

pub use bearing::{BearingCondition, BearingVibration};
pub use turbofan::{FaultMode, TurbofanFleet, TurbofanParams, TurbofanTruth, turbofan_fleet};
