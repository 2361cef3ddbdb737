//! Manipulation: feature rows with a schema, from waveform windows or telemetry rows.

pub mod band;
pub mod bearing;
pub mod catch22;
pub mod complexity;
mod extractor;
pub mod fatigue;
pub mod gear;
mod joined;
pub mod rolling;
mod schema;
pub mod selection;
pub mod severity;
mod table;
mod telemetry;
mod waveform;

pub use extractor::FeatureExtractor;
pub use joined::JoinedExtractor;
pub use schema::{Feature, FeatureSchema, FeatureView, Sampling};
pub use table::FeatureTable;
pub(crate) use telemetry::Decays;
pub use telemetry::{TelemetryExtractor, TelemetrySpec, TelemetryState, telemetry};
pub use waveform::{WaveformExtractor, WaveformParams, WaveformScratch};
