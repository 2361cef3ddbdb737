//! What makes alarms of scores: thresholds from held-out rows, tails, p-values and their combination.

pub(super) mod conformal;
pub(super) mod p_values;
pub(super) mod peaks_over_threshold;
pub(super) mod threshold;

pub use conformal::ConformalPValues;
pub use p_values::PValueRule;
pub use peaks_over_threshold::{DriftSpot, ParetoTail, PeaksOverThreshold, Spot, SpotParams, SpotVerdict};
