//! Health assessment: how worn a machine is, fused from its sensors.

mod health_index;

pub(crate) use health_index::LabelledRow;
pub use health_index::{HealthIndices, HealthIndicesParams, HealthIndicesRecord};
