//! The continuous wavelet transform by Morlet's wavelet: amplitudes over time and frequency.

use super::tapered::LENGTHS;
use crate::{
    error::{Error, Result},
    quantity::Hertz,
};
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use rustfft::{Fft, FftPlanner};
use std::{
    f64::consts::{PI, SQRT_2, TAU},
    fmt,
    ops::RangeInclusive,
    sync::Arc,
};

/// Standard deviations at which a filter's flank is rounding: `exp(-8.6² / 2) = 9e-17`.
const REACH: f64 = 8.6;
/// Filter weights of all frequencies together.
const MOST_WEIGHTS: usize = 1 << 24;

/// The plan of continuous wavelet transforms of signals of one length, at given frequencies.
///
/// With `X` the transform of the samples, `ν` its frequencies and `ω₀` the number of radians under one standard deviation of
/// the wavelet,
///
/// ```text
/// W(f, t) = F⁻¹( c(ν) X(ν) exp(-ω₀² (ν / f - 1)² / 2) ),      c = 2 for 0 < ν < rate / 2, 1 at rate / 2, 0 else
/// ```
///
/// which is the convolution with Morlet's wavelet of scale `ω₀ / (2 π f)`, normalised so that `|W|` at frequency `f` is the
/// amplitude of a sine of that frequency. (A wavelet of unit energy, as in `pywt.cwt`, gives that times the root of
/// the scale.) The resolution is `f / ω₀` in frequency and `ω₀ / (2 π f)` in time, as standard deviations.
///
/// The signal is taken as periodic: within [`e_folding_s`](ContinuousWavelet::e_folding_s) of its ends amplitudes hold some of the
/// other end. NaN or infinity makes all of it NaN.
///
/// # Cost
/// One real transform, and a complex one a frequency; energies need the first alone. Nothing is allocated.
///
/// Source: Torrence & Compo (1998), <https://doi.org/10.1175/1520-0477(1998)079%3C0061:APGTWA%3E2.0.CO;2>.
///
/// ```
/// use prognos::{quantity::Hertz, spectrum::ContinuousWavelet};
/// // A tone of 100 Hz, after half the time one of 200 Hz.
/// let x: Vec<f64> = (0..1000).map(|i| {
///     let f = if i < 500 { 100.0 } else { 200.0 };
///     3.0 * (std::f64::consts::TAU * f * f64::from(i) / 1000.0).sin()
/// }).collect();
/// let plan = ContinuousWavelet::new(1000, Hertz::new(1000.0)?, &[100.0, 200.0], 6.0)?;
/// let rows = plan.amplitude(&x)?;
/// assert!((rows[250] - 3.0).abs() < 1e-6 && rows[750] < 1e-6 && (rows[1750] - 3.0).abs() < 1e-6);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct ContinuousWavelet {
    n: usize,
    rate: Hertz,
    omega_0: f64,
    filters: Arc<[Filter]>,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

struct Filter {
    frequency_hz: f64,
    /// The first bin that is not rounding.
    start: usize,
    /// `c` and the exponential, for the bins from there on.
    weights: Vec<f64>,
}

/// Work space of one thread for a [`ContinuousWavelet`].
#[derive(Clone)]
pub struct WaveletScratch {
    samples: Vec<f64>,
    half: Vec<Complex<f64>>,
    row: Vec<Complex<f64>>,
    work: Vec<Complex<f64>>,
}

impl ContinuousWavelet {
    /// The plan for signals of `n_samples` at `rate`; `omega_0` is mostly 6, more resolves frequencies better and times worse.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 2..=2^24, `omega_0` in 5..=1,000 (below, the wavelet has a mean), and there is a
    /// frequency, each above 0 and at most `rate / 2`, and such that the wavelet's e-folding time on both sides fits into the
    /// signal; and where all filters together would pass 2^24 weights.
    pub fn new(n_samples: usize, rate: Hertz, frequencies_hz: &[f64], omega_0: f64) -> Result<Self> {
        if !LENGTHS.contains(&n_samples) {
            return Err(Error::parameter("n_samples", format!("in {LENGTHS:?}"), n_samples));
        }
        if !(5.0..=1000.0).contains(&omega_0) {
            return Err(Error::parameter("omega_0", "in 5..=1000", omega_0));
        }
        let (nyquist, duration_s) = (0.5 * rate.get(), n_samples as f64 / rate.get());
        let lowest = SQRT_2 * omega_0 / (PI * duration_s);
        let (mut filters, mut n_weights) = (Vec::new(), 0);
        for &f in frequencies_hz {
            if !(f >= lowest && f <= nyquist) {
                return Err(Error::parameter(
                    "frequencies_hz",
                    format!("in {lowest}..={nyquist}"),
                    f,
                ));
            }
            let bins = bins_of(f, n_samples, rate, omega_0);
            n_weights += bins.clone().count();
            if n_weights > MOST_WEIGHTS {
                let expected = format!("so few that filters have {MOST_WEIGHTS} weights");
                return Err(Error::parameter("frequencies_hz", expected, frequencies_hz.len()));
            }
            filters.push(Filter::new(f, bins, n_samples, rate, omega_0));
        }
        if filters.is_empty() {
            return Err(Error::parameter("frequencies_hz", "at least one", 0));
        }
        Ok(Self {
            n: n_samples,
            rate,
            omega_0,
            filters: filters.into(),
            forward: RealFftPlanner::new().plan_fft_forward(n_samples),
            inverse: FftPlanner::new().plan_fft_inverse(n_samples),
        })
    }

    /// Samples of a signal.
    pub fn n_samples(&self) -> usize {
        self.n
    }

    /// Frequencies.
    pub fn n_frequencies(&self) -> usize {
        self.filters.len()
    }

    /// The frequency of a row; none beyond the last.
    pub fn frequency_hz(&self, row: usize) -> Option<f64> {
        self.filters.get(row).map(|f| f.frequency_hz)
    }

    /// How long a row remembers: `√2 ω₀ / (2 π f)`, after which the power of what was falls to `1/e²`; none beyond the last row.
    pub fn e_folding_s(&self, row: usize) -> Option<f64> {
        self.frequency_hz(row).map(|f| SQRT_2 * self.omega_0 / (TAU * f))
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> WaveletScratch {
        let zero = Complex { re: 0.0, im: 0.0 };
        WaveletScratch {
            samples: vec![0.0; self.n],
            half: vec![zero; self.n / 2 + 1],
            row: vec![zero; self.n],
            work: vec![zero; self.work_len()],
        }
    }

    /// Writes `|W|`, in the unit of the samples: a row of `n_samples` for each frequency, one after the other.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn amplitude_into(&self, x: &[f64], scratch: &mut WaveletScratch, out: &mut [f64]) -> Result<()> {
        self.check(self.filters.len().saturating_mul(self.n), x, scratch, out)?;
        self.transform(x, scratch)?;
        let WaveletScratch { half, row, work, .. } = scratch;
        let scale = 1.0 / self.n as f64;
        for (filter, out) in self.filters.iter().zip(out.chunks_exact_mut(self.n)) {
            row.fill(Complex { re: 0.0, im: 0.0 });
            let bins = row.iter_mut().zip(&*half).skip(filter.start);
            for ((r, z), w) in bins.zip(&filter.weights) {
                *r = z * (w * scale);
            }
            let work = work
                .get_mut(..self.inverse.get_inplace_scratch_len())
                .unwrap_or_default();
            self.inverse.process_with_scratch(row, work);
            for (a, z) in out.iter_mut().zip(&*row) {
                *a = z.norm_sqr().sqrt();
            }
        }
        Ok(())
    }

    /// `|W|`, row after row, in memory of its own.
    ///
    /// # Errors
    /// As [`amplitude_into`](ContinuousWavelet::amplitude_into).
    pub fn amplitude(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.filters.len().saturating_mul(x.len().min(self.n))];
        self.amplitude_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// Writes the energy at each frequency: the mean of `|W|² / 2` over time, for a sine of that frequency its mean square. Filters
    /// overlap or leave gaps, so these do not add up to the variance.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn energies_into(&self, x: &[f64], scratch: &mut WaveletScratch, out: &mut [f64]) -> Result<()> {
        self.check(self.filters.len(), x, scratch, out)?;
        self.transform(x, scratch)?;
        let scale = 0.5 / (self.n as f64 * self.n as f64);
        for (filter, energy) in self.filters.iter().zip(out) {
            let bins = scratch.half.iter().skip(filter.start).zip(&filter.weights);
            *energy = scale * bins.map(|(z, w)| z.norm_sqr() * w * w).sum::<f64>();
        }
        Ok(())
    }

    /// The energy at each frequency, in memory of its own.
    ///
    /// # Errors
    /// As [`energies_into`](ContinuousWavelet::energies_into).
    pub fn energies(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_frequencies()];
        self.energies_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    fn work_len(&self) -> usize {
        self.forward
            .get_scratch_len()
            .max(self.inverse.get_inplace_scratch_len())
    }

    fn check(&self, n_out: usize, x: &[f64], scratch: &WaveletScratch, out: &[f64]) -> Result<()> {
        for (what, expected, got) in [
            ("samples of a wavelet transform", self.n, x.len()),
            ("values of a wavelet transform", n_out, out.len()),
            ("samples a wavelet scratch is for", self.n, scratch.samples.len()),
            ("work space of a wavelet transform", self.work_len(), scratch.work.len()),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        Ok(())
    }

    /// `half` from the samples.
    fn transform(&self, x: &[f64], scratch: &mut WaveletScratch) -> Result<()> {
        scratch.samples.copy_from_slice(x);
        let work = scratch
            .work
            .get_mut(..self.forward.get_scratch_len())
            .unwrap_or_default();
        let done = self
            .forward
            .process_with_scratch(&mut scratch.samples, &mut scratch.half, work);
        done.map_err(|e| Error::input("transform", "buffers of its length", e))
    }
}

impl Filter {
    fn new(frequency_hz: f64, bins: RangeInclusive<usize>, n: usize, rate: Hertz, omega_0: f64) -> Self {
        let spacing = rate.get() / n as f64;
        let weight = |k: usize| {
            let off = omega_0 * (k as f64 * spacing / frequency_hz - 1.0);
            let c = if 2 * k == n { 1.0 } else { 2.0 };
            c * libm::exp(-0.5 * off * off)
        };
        Self {
            frequency_hz,
            start: *bins.start(),
            weights: bins.map(weight).collect(),
        }
    }
}

/// The bins in which the filter of a frequency is more than rounding.
fn bins_of(frequency_hz: f64, n: usize, rate: Hertz, omega_0: f64) -> RangeInclusive<usize> {
    let place = |share: f64| frequency_hz * share * n as f64 / rate.get();
    let start = place(1.0 - REACH / omega_0).ceil().max(1.0) as usize;
    let end = place(1.0 + REACH / omega_0).floor() as usize;
    start..=end.min(n / 2)
}

impl fmt::Debug for ContinuousWavelet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContinuousWavelet")
            .field("n_samples", &self.n)
            .field("rate", &self.rate)
            .field("n_frequencies", &self.filters.len())
            .field("omega_0", &self.omega_0)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WaveletScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaveletScratch")
            .field("n_samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    fn hz(v: f64) -> Hertz {
        Hertz::new(v).unwrap()
    }

    proptest! {
        #[test]
        fn energies_are_means_of_the_scalogram_and_amplitudes_scale(x in prop::collection::vec(-1.0..1.0_f64, 40..140), omega in 5.0..12.0_f64) {
            let n = x.len();
            let rate = hz(n as f64);
            let frequencies = [6.0, 9.5, 0.5 * n as f64];
            let plan = ContinuousWavelet::new(n, rate, &frequencies, omega).unwrap();
            let (mut scratch, mut rows) = (plan.new_scratch(), vec![f64::NAN; 3 * n]);
            plan.amplitude_into(&x, &mut scratch, &mut rows).unwrap();
            for (e, row) in plan.energies(&x).unwrap().iter().zip(rows.chunks(n)) {
                let mean = row.iter().map(|v| 0.5 * v * v).sum::<f64>() / n as f64;
                prop_assert!((e - mean).abs() <= 1e-12 * (mean + 1e-3), "{e} {mean}");
            }
            let scaled: Vec<f64> = x.iter().map(|v| -4.0 * v).collect();
            let mut four = vec![0.0; 3 * n];
            plan.amplitude_into(&scaled, &mut scratch, &mut four).unwrap();
            prop_assert!(four.iter().zip(&rows).all(|(a, b)| (a - 4.0 * b).abs() < 1e-12));
        }
    }

    #[test]
    fn sines_show_their_amplitude_and_the_flanks_are_the_formula() {
        let n = 2000;
        let x: Vec<f64> = (0..n)
            .map(|i| 7.0 + 3.0 * (TAU * 100.0 * f64::from(i) / 1000.0 + 0.2).cos())
            .collect();
        let frequencies = [80.0, 95.0, 100.0, 105.0, 130.0];
        let plan = ContinuousWavelet::new(2000, hz(1000.0), &frequencies, 6.0).unwrap();
        let mut rows = vec![0.0; 5 * 2000];
        plan.amplitude_into(&x, &mut plan.new_scratch(), &mut rows).unwrap();
        let energies = plan.energies(&x).unwrap();
        for (i, f) in frequencies.iter().enumerate() {
            let expected = 3.0 * (-18.0 * (100.0 / f - 1.0_f64).powi(2)).exp();
            assert!(
                rows[2000 * i..2000 * (i + 1)]
                    .iter()
                    .all(|v| (v - expected).abs() < 1e-12),
                "{f}"
            );
            assert!((energies[i] - 0.5 * expected * expected).abs() < 1e-12);
        }
        assert_eq!((plan.frequency_hz(1), plan.frequency_hz(5)), (Some(95.0), None));
        assert!((plan.e_folding_s(2).unwrap() - 0.0135047).abs() < 1e-6 && plan.e_folding_s(5).is_none());
    }

    #[test]
    fn it_is_the_convolution_with_morlets_wavelet() {
        // An impulse in the middle shows the wavelet itself: a Gaussian of standard deviation ω₀ / (2 π f).
        let (n, f, rate) = (1000, 40.0, 1000.0);
        let mut x = vec![0.0; n];
        x[500] = 1.0;
        let plan = ContinuousWavelet::new(n, hz(rate), &[f], 6.0).unwrap();
        let mut row = vec![0.0; n];
        plan.amplitude_into(&x, &mut plan.new_scratch(), &mut row).unwrap();
        let sd = 6.0 / (TAU * f);
        for (i, v) in row.iter().enumerate() {
            let t = (i as f64 - 500.0) / rate;
            let expected = 2.0 / (sd * TAU.sqrt() * rate) * (-0.5 * (t / sd).powi(2)).exp();
            // Negative frequencies, which are left out, hold exp(-18) of the wavelet.
            assert!((v - expected).abs() < 1e-8, "{i}: {v} {expected}");
        }
    }

    #[test]
    fn bad_plans_are_refused_and_bad_samples_are_nan() {
        for (n, frequencies, omega) in [
            (1, &[10.0][..], 6.0),
            (100, &[], 6.0),
            (100, &[0.0], 6.0),
            (100, &[50.1], 6.0),
            (100, &[2.0], 6.0),
            (100, &[f64::NAN], 6.0),
            (100, &[-10.0], 6.0),
            (100, &[10.0], 4.9),
            (100, &[10.0], f64::NAN),
            (100, &[10.0], f64::INFINITY),
            (1 << 24, &[50.0; 9], 6.0),
        ] {
            let e = ContinuousWavelet::new(n, hz(100.0), frequencies, omega).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{n} {frequencies:?} {omega}");
        }
        let plan = ContinuousWavelet::new(100, hz(100.0), &[10.0, 50.0], 6.0).unwrap();
        let mut rows = vec![0.0; 200];
        for bad in [f64::NAN, f64::INFINITY] {
            let mut x = [1.0; 100];
            x[3] = bad;
            plan.amplitude_into(&x, &mut plan.new_scratch(), &mut rows).unwrap();
            assert!(rows.iter().all(|v| v.is_nan()) && plan.energies(&x).unwrap().iter().all(|v| v.is_nan()));
        }
        assert!(plan.energies(&[5.0; 100]).unwrap().iter().all(|v| *v < 1e-25));
        assert!(plan.energies(&[5.0; 99]).is_err());
        assert!(
            plan.amplitude_into(&[5.0; 100], &mut plan.new_scratch(), &mut rows[..199])
                .is_err()
        );
        let mut other = ContinuousWavelet::new(101, hz(100.0), &[10.0], 6.0)
            .unwrap()
            .new_scratch();
        assert!(plan.amplitude_into(&[5.0; 100], &mut other, &mut rows).is_err());
    }
}
