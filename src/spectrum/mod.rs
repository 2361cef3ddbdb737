//! Manipulation: spectra of waveform windows.
//!
//! Plans are made once and shared; work space belongs to the caller. Every normalisation is stated where it is made.

mod amplitude;

pub(crate) use amplitude::mean_of;
pub use amplitude::{AmplitudeSpectrum, SpectrumScratch, Taper};
