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
//! | the angle of a shaft: from pulses, or from a profile of speeds | [`PulseTrigger`] and [`Tachometer`], [`ShaftAngle`] |
//! | samples at equal steps of the angle; amplitudes by multiples of the shaft's rate | [`AngularResampler`], [`OrderSpectrum`] |
//! | what repeats with a shaft; a gear's regular, residual and difference signals | [`SynchronousAverage`], [`GearSignal`] |
//! | energies of equal bands without loss; amplitudes over time and frequency | [`WaveletPacket`], [`ContinuousWavelet`] |
//! | families of lines: echoes, harmonics | [`Cepstrum`], [`CepstralPrewhitening`] |

mod amplitude;
mod analytic;
mod angular_resampler;
mod cepstrum;
mod continuous_wavelet;
mod cross;
mod envelope;
mod gear_signal;
mod kurtogram;
mod order_tracking;
mod real_fft;
mod shaft_angle;
mod stft;
mod synchronous_average;
mod tachometer;
mod taper;
mod tapered;
mod wavelet;
mod wavelet_packet;
mod welch;

pub use amplitude::{AmplitudeSpectrum, SpectrumScratch};
pub use analytic::{AnalyticScratch, AnalyticSignal};
pub use angular_resampler::AngularResampler;
pub use cepstrum::{CepstralPrewhitening, Cepstrum, CepstrumScratch, Lifter};
pub use continuous_wavelet::{ContinuousWavelet, WaveletScratch};
pub use envelope::{Envelope, EnvelopeScratch, EnvelopeSpectrum};
pub use gear_signal::{GearScratch, GearSignal, Parted};
pub use kurtogram::{Kurtogram, KurtogramBand, KurtogramScratch};
pub use order_tracking::{OrderScratch, OrderSpectrum};
pub use real_fft::{RealFft, RealFftScratch};
pub use realfft::num_complex::Complex;
pub use shaft_angle::ShaftAngle;
pub use synchronous_average::{Averaging, SynchronousAverage};
pub use tachometer::{PulseEdge, PulseGap, PulseTrigger, Tachometer, TachometerReading};
pub use taper::Taper;
pub use wavelet::Wavelet;
pub use wavelet_packet::{PacketScratch, WaveletPacket};
pub use welch::{Average, Scaling, Welch, WelchParams, WelchScratch};
