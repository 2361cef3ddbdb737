//! Acquisition: what sensors recorded, and the windows cut from it.
//!
//! Two kinds of data enter. A waveform is many samples a second at a constant rate, cut into windows of fixed length.
//! Telemetry is one row of readings now and then, at any spacing: [`AssetHistory`] for one machine, [`FleetHistory`] for
//! many.

mod history;
mod waveform_window;

pub use history::{AssetHistory, Channel, EndOfLife, FleetHistory};
pub use waveform_window::WindowSpec;
