//! Health assessment: how worn a machine is, fused from its sensors, and what is wrong with a bearing.

pub mod bearing;
mod fused_index;
mod health_index;

pub use fused_index::{FusedIndex, FusedIndexRecord, Fusion};
pub(crate) use health_index::LabelledRow;
pub use health_index::{HealthIndices, HealthIndicesParams, HealthIndicesRecord};
