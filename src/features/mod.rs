//! Manipulation: feature rows with a schema, from waveform windows or telemetry rows.

mod extractor;
mod schema;
mod table;
mod telemetry;

pub use extractor::FeatureExtractor;
pub use schema::{Feature, FeatureSchema, FeatureView, Sampling};
pub use table::FeatureTable;
pub use telemetry::{TelemetryExtractor, TelemetrySpec, TelemetryState, telemetry};
