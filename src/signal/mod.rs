//! Acquisition: what sensors recorded, and the windows cut from it.
//!
//! Two kinds of data enter. A waveform is many samples a second at a constant rate, cut into windows of fixed length: a
//! [`Recording`] all at once, by [`WaveformWindower`] as chunks come in. Telemetry is one row of readings now and then, at
//! any spacing: [`AssetHistory`] for one machine, [`FleetHistory`] for many, [`RowWindow`] for the last rows of a running
//! machine.
//!
//! Between a sensor and what looks at its samples: [`EvenGrid`] for uneven times, [`QualityCheck`] for samples not to be trusted,
//! [`Butterworth`] and [`Notch`] filters as [`IirFilter`], [`Integrator`] from acceleration to velocity and displacement,
//! [`Resampler`] for other rates, [`Detrend`], and medians.

mod butterworth;
mod detrend;
mod even_grid;
mod history;
mod integration;
mod median;
mod notch;
mod quality;
mod recording;
mod resample;
mod row_window;
mod sections;
mod waveform_window;

pub use butterworth::{Butterworth, FilterBand};
pub use detrend::Detrend;
pub(crate) use detrend::{line_of, mean_of};
pub use even_grid::{EvenGrid, EvenSeries, Gaps, Interpolation};
pub use history::{AssetHistory, Channel, EndOfLife, FleetHistory};
pub use integration::{Integrated, Integrator, IntegratorParams, IntegratorScratch};
pub use median::{HampelFilter, MedianFilter, MedianScratch};
pub use notch::Notch;
pub use quality::{ChannelQuality, QualityCheck, QualityFlag, QualityFlags, QualityParams, QualityScratch};
pub(crate) use recording::check_names;
pub use recording::{Recording, RecordingWindow, RecordingWindows};
pub use resample::Resampler;
pub(crate) use resample::{bessel_i0, low_pass_into};
pub use row_window::RowWindow;
pub use sections::{FilterStart, FilterState, IirFilter, ZeroPhaseScratch};
pub use waveform_window::{Continuity, Pushed, WaveformWindower, WindowSpec};
