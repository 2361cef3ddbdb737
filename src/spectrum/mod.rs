//! Manipulation: spectra of waveform windows.
//!
//! Plans are made once and shared; work space belongs to the caller. Every normalisation is stated where it is made.
//!
//! | for | type |
//! |---|---|
//! | the bare transform and its inverse | [`RealFft`] |
//! | amplitudes of lines in one window | [`AmplitudeSpectrum`] |
//! | power density or power averaged over segments, spectrogram, cross-spectrum, coherence, spectral kurtosis | [`Welch`] |
//! | the analytic signal, whole or of a band | [`AnalyticSignal`] |
//! | what repeats behind a resonance: bearings | [`EnvelopeSpectrum`] |
//! | which band is most impulsive | [`Kurtogram`] |
//! | families of lines: echoes, harmonics | [`Cepstrum`], [`CepstralPrewhitening`] |

mod amplitude;
mod analytic;
mod cepstrum;
mod cross;
mod envelope;
mod kurtogram;
mod real_fft;
mod stft;
mod taper;
mod tapered;
mod welch;

pub use amplitude::{AmplitudeSpectrum, SpectrumScratch};
pub use analytic::{AnalyticScratch, AnalyticSignal};
pub use cepstrum::{CepstralPrewhitening, Cepstrum, CepstrumScratch, Lifter};
pub use envelope::{Envelope, EnvelopeScratch, EnvelopeSpectrum};
pub use kurtogram::{Kurtogram, KurtogramBand, KurtogramScratch};
pub use real_fft::{RealFft, RealFftScratch};
pub use realfft::num_complex::Complex;
pub use taper::Taper;
pub use welch::{Average, Scaling, Welch, WelchParams, WelchScratch};
