//! Envelope spectra: what repeats behind a resonance.

use super::{AmplitudeSpectrum, AnalyticScratch, AnalyticSignal, Complex, SpectrumScratch, Taper};
use crate::{
    error::{Error, Result},
    quantity::Hertz,
};
use serde::{Deserialize, Serialize};

/// What an [`EnvelopeSpectrum`] is the spectrum of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// The envelope `|z|`, in the unit of the samples.
    Magnitude,
    /// The squared envelope `|z|²`, in its square: no harmonics of its own making, sharper on impacts. The default.
    #[default]
    Squared,
}

/// The amplitude spectrum of a signal's envelope, over the whole signal or a band of it.
///
/// With `z` the [`AnalyticSignal`] of the band, `e` is `|z|` or `|z|²`, its mean is removed, and the result is that of
/// [`AmplitudeSpectrum`] over `e`. Impacts that ring at a resonance, as from a spalled bearing, show here as lines at the
/// rate of the impacts, though the signal's own spectrum has none there. Choose the band around the resonance, with
/// [`Kurtogram`](super::Kurtogram) if it is not known.
///
/// NaN or infinity among the samples makes every bin NaN.
///
/// # Cost
/// Three transforms; nothing is allocated.
///
/// Sources: Randall & Antoni (2011), <https://doi.org/10.1016/j.ymssp.2010.07.017>; Borghesani et al. (2013),
/// <https://doi.org/10.1016/j.ymssp.2012.09.013>, for the squared envelope.
///
/// ```
/// use prognos::{quantity::Hertz, spectrum::{Envelope, EnvelopeSpectrum}};
/// let rate = Hertz::new(10_000.0)?;
/// let plan = EnvelopeSpectrum::new(5000, rate, (2000.0, 4000.0), Envelope::Squared)?;
/// // 3 kHz, swelling 50 times a second.
/// let tau = std::f64::consts::TAU;
/// let x: Vec<f64> = (0..5000).map(|i| f64::from(i) / 1e4)
///     .map(|t| (1.0 + 0.5 * (tau * 50.0 * t).cos()) * (tau * 3000.0 * t).sin()).collect();
/// let spectrum = plan.spectrum(&x)?;
/// assert_eq!(plan.frequency_hz(25), 50.0);
/// assert!((spectrum[25] - 1.0).abs() < 1e-9); // (1 + cos/2)² = 1 + cos + ..
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EnvelopeSpectrum {
    analytic: AnalyticSignal,
    spectrum: AmplitudeSpectrum,
    envelope: Envelope,
}

/// Work space of one thread for an [`EnvelopeSpectrum`].
#[derive(Clone, Debug)]
pub struct EnvelopeScratch {
    analytic: AnalyticScratch,
    spectrum: SpectrumScratch,
    signal: Vec<Complex<f64>>,
    envelope: Vec<f64>,
}

impl EnvelopeSpectrum {
    /// The plan for `n_samples` at `rate`, over the band `(lo, hi)` in hertz; `(0, rate / 2)` is the whole signal.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 2..=2^24, `0 <= lo < hi <= rate / 2`, and the band holds a bin.
    pub fn new(n_samples: usize, rate: Hertz, band_hz: (f64, f64), envelope: Envelope) -> Result<Self> {
        Self::with_taper(n_samples, rate, band_hz, envelope, Taper::default())
    }

    /// As [`new`](EnvelopeSpectrum::new), with another taper on the envelope than Hann's.
    ///
    /// # Errors
    /// As [`new`](EnvelopeSpectrum::new).
    pub fn with_taper(
        n_samples: usize,
        rate: Hertz,
        band_hz: (f64, f64),
        envelope: Envelope,
        taper: Taper,
    ) -> Result<Self> {
        Ok(Self {
            analytic: AnalyticSignal::of_band(n_samples, rate, band_hz)?,
            spectrum: AmplitudeSpectrum::new(n_samples, rate, taper)?,
            envelope,
        })
    }

    /// Samples of a signal.
    pub fn n_samples(&self) -> usize {
        self.spectrum.n_samples()
    }

    /// Bins of the spectrum, `n_samples / 2 + 1` rounded down.
    pub fn n_bins(&self) -> usize {
        self.spectrum.n_bins()
    }

    /// The frequency at the centre of `bin`.
    pub fn frequency_hz(&self, bin: usize) -> f64 {
        self.spectrum.frequency_hz(bin)
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> EnvelopeScratch {
        EnvelopeScratch {
            analytic: self.analytic.new_scratch(),
            spectrum: self.spectrum.new_scratch(),
            signal: vec![Complex { re: 0.0, im: 0.0 }; self.n_samples()],
            envelope: vec![0.0; self.n_samples()],
        }
    }

    /// Writes the envelope itself, its mean included.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn envelope_into(&self, x: &[f64], scratch: &mut EnvelopeScratch, out: &mut [f64]) -> Result<()> {
        if out.len() != self.n_samples() {
            return Err(Error::input("places of an envelope", self.n_samples(), out.len()));
        }
        self.analytic
            .signal_into(x, &mut scratch.analytic, &mut scratch.signal)?;
        for (o, z) in out.iter_mut().zip(&scratch.signal) {
            *o = match self.envelope {
                Envelope::Squared => z.norm_sqr(),
                Envelope::Magnitude => z.norm_sqr().sqrt(),
            };
        }
        Ok(())
    }

    /// Writes the amplitude of each bin of the envelope's spectrum.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn spectrum_into(&self, x: &[f64], scratch: &mut EnvelopeScratch, out: &mut [f64]) -> Result<()> {
        let mut envelope = std::mem::take(&mut scratch.envelope);
        let done = self.envelope_into(x, scratch, &mut envelope);
        let done = done.and_then(|()| self.spectrum.amplitude_into(&envelope, &mut scratch.spectrum, out));
        scratch.envelope = envelope;
        done
    }

    /// The spectrum, in memory of its own.
    ///
    /// # Errors
    /// As [`spectrum_into`](EnvelopeSpectrum::spectrum_into).
    pub fn spectrum(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_bins()];
        self.spectrum_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impacts_show_at_their_rate_though_the_signal_has_no_line_there() {
        let (n, rate) = (8000, Hertz::new(8000.0).unwrap());
        let mut x = vec![0.0; n];
        for impact in (0..n).step_by(80) {
            for (i, v) in x[impact..].iter_mut().take(60).enumerate() {
                let t = i as f64;
                *v += (-0.1 * t).exp() * (std::f64::consts::TAU * 0.3 * t).sin();
            }
        }
        for envelope in [Envelope::Magnitude, Envelope::Squared] {
            let plan = EnvelopeSpectrum::new(n, rate, (1500.0, 3300.0), envelope).unwrap();
            let s = plan.spectrum(&x).unwrap();
            let strongest = (5..n / 2).max_by(|a, b| s[*a].total_cmp(&s[*b])).unwrap();
            assert_eq!(strongest, 100);
        }
        let plan = EnvelopeSpectrum::new(n, rate, (0.0, 4000.0), Envelope::Squared).unwrap();
        assert!(plan.spectrum(&x[1..]).is_err());
        let mut scratch = plan.new_scratch();
        assert!(plan.envelope_into(&x, &mut scratch, &mut [0.0; 3]).is_err());
        assert!(plan.spectrum_into(&x, &mut scratch, &mut [0.0; 3]).is_err());
        x[7] = f64::NAN;
        assert!(plan.spectrum(&x).unwrap().iter().all(|a| a.is_nan()));
        assert!(plan.spectrum(&vec![2.5; n]).unwrap().iter().all(|a| *a < 1e-12));
    }
}
