//! One-sided amplitude spectrum of a window.

use super::{
    Taper,
    tapered::{TaperedTransform, TransformScratch},
};
use crate::{error::Result, quantity::Hertz, signal::mean_of};
use std::fmt;

/// The plan of a one-sided spectrum over windows of one length: made once, shared, cheap to clone.
///
/// With `x` the samples of a window, `m` their mean, `w` the taper and `N` the length,
///
/// ```text
/// X[k] = Σ_i w[i] (x[i] - m) exp(-2πj k i / N),      k = 0 ..= N/2 (rounded down)
/// amplitude[k]   = c[k] |X[k]|  / Σ w                [unit of the samples]
/// mean_square[k] = c[k] |X[k]|² / (N Σ w²)           [its square]
/// ```
///
/// where `c` is 1 at zero and, for even `N`, at the Nyquist frequency, and 2 elsewhere. So
///
/// - a sine of amplitude `A` at the centre of a bin other than those two has amplitude `A` there (the taper's coherent
///   gain `Σ w / N` is divided out), whichever the taper;
/// - mean squares add up to the taper-weighted variance `Σ w² (x - m)² / Σ w²` (Parseval): the variance itself with
///   [`Taper::Rectangular`], and its unbiased estimate for stationary noise with [`Taper::Hann`].
///
/// The mean is removed before tapering, so that a Hann spectrum may have a little left in bin 0. NaN or infinity among the
/// samples makes every bin NaN.
///
/// # Cost
/// One real transform, `O(N log N)` for every `N`, least where `N` is a product of small primes. Nothing is allocated after
/// [`new_scratch`](AmplitudeSpectrum::new_scratch). The transform uses the vector instructions it finds: on one kind of
/// processor results are the same to the last bit, between kinds the last bits may differ.
///
/// Source: Harris, *On the use of windows for harmonic analysis with the discrete Fourier transform*, Proc. IEEE 66 (1978),
/// <https://doi.org/10.1109/PROC.1978.10837>.
///
/// ```
/// use prognos::{quantity::Hertz, spectrum::{AmplitudeSpectrum, Taper}};
/// let plan = AmplitudeSpectrum::new(100, Hertz::new(1000.0)?, Taper::Hann)?;
/// let x: Vec<f64> = (0..100).map(|i| 9.8 + 3.0 * (std::f64::consts::TAU * 0.05 * f64::from(i)).sin()).collect();
/// let (mut scratch, mut amplitude) = (plan.new_scratch(), vec![0.0; plan.n_bins()]);
/// plan.amplitude_into(&x, &mut scratch, &mut amplitude)?;
/// assert_eq!(plan.frequency_hz(5), 50.0);
/// assert!((amplitude[5] - 3.0).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct AmplitudeSpectrum {
    rate: Hertz,
    tapered: TaperedTransform,
}

/// Work space of one thread for an [`AmplitudeSpectrum`]; its content means nothing between calls.
#[derive(Clone)]
pub struct SpectrumScratch(TransformScratch);

impl AmplitudeSpectrum {
    /// The plan for windows of `n_samples` at `rate`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 2..=2^24.
    pub fn new(n_samples: usize, rate: Hertz, taper: Taper) -> Result<Self> {
        Ok(Self {
            rate,
            tapered: TaperedTransform::new("n_samples", n_samples, taper)?,
        })
    }

    /// Samples in a window.
    pub fn n_samples(&self) -> usize {
        self.tapered.n_samples()
    }

    /// Bins of the spectrum, `n_samples / 2 + 1` rounded down.
    pub fn n_bins(&self) -> usize {
        self.tapered.n_bins()
    }

    /// Samples a second.
    pub fn rate(&self) -> Hertz {
        self.rate
    }

    /// The taper.
    pub fn taper(&self) -> Taper {
        self.tapered.taper()
    }

    /// The frequency at the centre of `bin`; bins lie `rate / n_samples` apart.
    pub fn frequency_hz(&self, bin: usize) -> f64 {
        bin as f64 * self.rate.get() / self.n_samples() as f64
    }

    /// The equivalent noise bandwidth of a bin in hertz, `rate Σ w² / (Σ w)²`: 1 bin for a rectangular taper, 1.5 for Hann.
    pub fn noise_bandwidth_hz(&self) -> f64 {
        self.rate.get() * self.tapered.sum_of_squares / (self.tapered.sum * self.tapered.sum)
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> SpectrumScratch {
        SpectrumScratch(self.tapered.new_scratch())
    }

    /// Writes the amplitude of each bin, in the unit of the samples.
    ///
    /// # Errors
    /// `InvalidInput` where the length of `samples` or `out`, or that of the window the scratch was made for, differs from
    /// the plan's; `out` is unchanged then.
    pub fn amplitude_into(&self, samples: &[f64], scratch: &mut SpectrumScratch, out: &mut [f64]) -> Result<()> {
        self.tapered.check(samples.len(), out.len(), &scratch.0)?;
        self.tapered.run(samples, (mean_of(samples), 0.0), &mut scratch.0)?;
        for (a, x) in out.iter_mut().zip(&scratch.0.transform) {
            *a = x.norm_sqr().sqrt();
        }
        self.tapered.scale(out, 2.0 / self.tapered.sum);
        Ok(())
    }

    /// The amplitude of each bin, in memory of its own.
    ///
    /// # Errors
    /// As [`amplitude_into`](AmplitudeSpectrum::amplitude_into).
    pub fn amplitude(&self, samples: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_bins()];
        self.amplitude_into(samples, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// Writes the mean square of each bin, in the square of the samples' unit: what the band around the bin adds to the
    /// variance.
    ///
    /// # Errors
    /// As [`amplitude_into`](AmplitudeSpectrum::amplitude_into).
    pub fn mean_square_into(&self, samples: &[f64], scratch: &mut SpectrumScratch, out: &mut [f64]) -> Result<()> {
        self.mean_square_about(mean_of(samples), samples, scratch, out)
    }

    /// [`mean_square_into`](AmplitudeSpectrum::mean_square_into) for who has the mean already.
    pub(crate) fn mean_square_about(
        &self,
        mean: f64,
        samples: &[f64],
        scratch: &mut SpectrumScratch,
        out: &mut [f64],
    ) -> Result<()> {
        self.tapered.check(samples.len(), out.len(), &scratch.0)?;
        self.tapered.run(samples, (mean, 0.0), &mut scratch.0)?;
        for (p, x) in out.iter_mut().zip(&scratch.0.transform) {
            *p = x.norm_sqr();
        }
        let t = &self.tapered;
        t.scale(out, 2.0 / (t.n_samples() as f64 * t.sum_of_squares));
        Ok(())
    }
}

impl fmt::Debug for AmplitudeSpectrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmplitudeSpectrum")
            .field("n_samples", &self.n_samples())
            .field("rate", &self.rate)
            .field("taper", &self.taper())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SpectrumScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpectrumScratch")
            .field("n_samples", &self.0.tapered.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;
    use realfft::num_complex::Complex;
    use std::f64::consts::{PI, TAU};

    fn plan(n: usize, taper: Taper) -> AmplitudeSpectrum {
        AmplitudeSpectrum::new(n, Hertz::new(1000.0).unwrap(), taper).unwrap()
    }

    /// Scratch full of what would show in a result.
    fn dirty(plan: &AmplitudeSpectrum) -> SpectrumScratch {
        let mut scratch = plan.new_scratch();
        let s = &mut scratch.0;
        s.tapered.fill(f64::NAN);
        s.transform.fill(Complex {
            re: f64::NAN,
            im: f64::INFINITY,
        });
        s.work.fill(Complex {
            re: f64::NAN,
            im: f64::NAN,
        });
        scratch
    }

    /// |X[k]| straight from its definition.
    fn naive(x: &[f64], taper: Taper) -> Vec<f64> {
        let n = x.len();
        let mean = x.iter().sum::<f64>() / n as f64;
        let w = |i: usize| match taper {
            Taper::Hann => 0.5 - 0.5 * (2.0 * PI * i as f64 / n as f64).cos(),
            _ => 1.0,
        };
        let line = |k: usize| {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, v) in x.iter().enumerate() {
                let angle = 2.0 * PI * ((k * i) % n) as f64 / n as f64;
                re += w(i) * (v - mean) * angle.cos();
                im -= w(i) * (v - mean) * angle.sin();
            }
            f64::hypot(re, im)
        };
        (0..=n / 2).map(line).collect()
    }

    proptest! {
        #[test]
        fn it_is_the_naive_transform(
            x in prop::collection::vec(-1.0..1.0_f64, 2..120),
            hann in any::<bool>(),
        ) {
            let taper = if hann { Taper::Hann } else { Taper::Rectangular };
            let p = plan(x.len(), taper);
            let (n, mut scratch) = (x.len() as f64, dirty(&p));
            let (mut amplitude, mut square) = (vec![f64::NAN; p.n_bins()], vec![f64::NAN; p.n_bins()]);
            p.amplitude_into(&x, &mut scratch, &mut amplitude).unwrap();
            p.mean_square_into(&x, &mut scratch, &mut square).unwrap();
            let (s1, s2) = if hann { (0.5 * n, if x.len() == 2 { 1.0 } else { 0.375 * n }) } else { (n, n) };
            // The naive sum rounds each of its n terms, each at most 2, with three roundings of an angle up to 2π.
            let error = n * 2.0 * 8.0 * f64::EPSILON;
            for (k, y) in naive(&x, taper).into_iter().enumerate() {
                let c = if k == 0 || 2 * k == x.len() { 1.0 } else { 2.0 };
                prop_assert!((amplitude[k] - c * y / s1).abs() <= c * error / s1, "bin {k}");
                prop_assert!((square[k] - c * y * y / (n * s2)).abs() <= c * (2.0 * y + error) * error / (n * s2), "bin {k}");
            }
            // Parseval, with the taper's weights.
            let mean = mean_of(&x);
            let weighted: f64 = x.iter().zip(p.tapered.weights()).map(|(v, w)| ((v - mean) * w).powi(2)).sum::<f64>() / p.tapered.sum_of_squares;
            let total: f64 = square.iter().sum();
            prop_assert!((total - weighted).abs() <= 1e-13 * weighted + 1e-30, "{total} {weighted}");
        }
    }

    #[test]
    fn a_centred_sine_shows_its_amplitude_and_its_mean_square() {
        for (n, bin) in [(64, 5), (63, 5), (2560, 100), (97, 40)] {
            for taper in [Taper::Hann, Taper::Rectangular] {
                let p = plan(n, taper);
                let x: Vec<f64> = (0..n)
                    .map(|i| 1e3 + 2.5 * (TAU * ((bin * i) % n) as f64 / n as f64).cos())
                    .collect();
                let mut out = vec![0.0; p.n_bins()];
                p.amplitude_into(&x, &mut dirty(&p), &mut out).unwrap();
                assert!((out[bin] - 2.5).abs() < 1e-11, "{n} {taper:?}: {}", out[bin]);
                p.mean_square_into(&x, &mut dirty(&p), &mut out).unwrap();
                let near: f64 = out[bin - 1..=bin + 1].iter().sum();
                assert!((near - 2.5 * 2.5 / 2.0).abs() < 1e-10, "{n} {taper:?}: {near}");
            }
        }
        assert!((plan(64, Taper::Hann).noise_bandwidth_hz() - 1.5 * 1000.0 / 64.0).abs() < 1e-12);
        assert_eq!(plan(64, Taper::Rectangular).frequency_hz(32), 500.0);
    }

    #[test]
    fn wrong_lengths_are_refused_and_nothing_written() {
        let (p, other) = (plan(8, Taper::Hann), plan(9, Taper::Hann));
        let mut out = [7.0; 5];
        for (x, scratch, n_out) in [(&[0.0; 7][..], &p, 5), (&[0.0; 8], &other, 5), (&[0.0; 8], &p, 4)] {
            let e = p
                .amplitude_into(x, &mut scratch.new_scratch(), &mut out[..n_out])
                .unwrap_err();
            assert_eq!((e.kind(), out), (ErrorKind::InvalidInput, [7.0; 5]));
        }
        for n in [0, 1, (1 << 24) + 1] {
            let e = AmplitudeSpectrum::new(n, Hertz::new(1.0).unwrap(), Taper::Hann).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter);
        }
    }

    #[test]
    fn bad_samples_make_every_bin_nan() {
        let p = plan(10, Taper::Hann);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for at in [0, 4, 9] {
                let mut x = [1.0; 10];
                x[at] = bad;
                let mut out = [0.0; 6];
                p.amplitude_into(&x, &mut p.new_scratch(), &mut out).unwrap();
                assert!(out.iter().all(|v| v.is_nan()), "{bad} at {at}: {out:?}");
            }
        }
    }
}
