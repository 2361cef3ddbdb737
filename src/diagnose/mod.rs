//! Health assessment: how worn a machine is, fused from its sensors.

mod health_index;

pub use health_index::{HealthIndices, HealthIndicesParams, HealthIndicesRecord};
