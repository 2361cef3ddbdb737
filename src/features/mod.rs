//! Manipulation: feature rows with a schema, from waveform windows or telemetry rows.

pub mod band;
pub mod bearing;
pub mod complexity;
mod extractor;
pub mod fatigue;
pub mod gear;
mod schema;
pub mod selection;
pub mod severity;
mod table;
mod telemetry;
mod vibration;

pub use extractor::FeatureExtractor;
pub use schema::{Feature, FeatureSchema, FeatureView, Sampling};
pub use table::FeatureTable;
pub use telemetry::{TelemetryExtractor, TelemetrySpec, TelemetryState, telemetry};
pub use vibration::{VibrationExtractor, VibrationParams, VibrationScratch};
