//! Spectra averaged over segments of a signal.

use super::{
    Taper,
    tapered::{TaperedTransform, TransformScratch},
};
use crate::{
    error::{Error, Result},
    quantity::Hertz,
    signal::{Detrend, line_of, mean_of},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a bin of an averaged spectrum says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Power a hertz (unit² / Hz): for noise. The default.
    #[default]
    Density,
    /// Power (unit²): a sine of amplitude `A` shows `A² / 2`.
    Spectrum,
}

/// How segments are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// The mean. The default.
    #[default]
    Mean,
    /// The median, over its bias for noise: a burst in some segments does not show.
    Median,
}

/// Welch's method: spectra averaged over overlapping tapered segments. The conventions are those of `scipy.signal.welch`.
///
/// With `x_s` segment `s` after detrending, `w` the taper, `N` the segment's length and `X_s[k] = Σ_i w[i] x_s[i]
/// exp(-2πj k i / N)`,
///
/// ```text
/// psd[k] = c[k] average_s |X_s[k]|² · { 1 / (rate Σ w²)   density
///                                     { 1 / (Σ w)²        spectrum
/// ```
///
/// where `c` is 1 at zero and, for even `N`, at the Nyquist frequency, and 2 elsewhere. Segments start every `N - overlap`
/// samples; samples after the last full segment are left out. A median is divided by `1 - 1/2 + 1/3 - .. + 1/n` (`n` odd, the
/// number of segments or one less), its expectation for noise of mean power 1.
///
/// The same plan gives cross-spectra and coherence, spectrograms and spectral kurtosis. NaN or infinity in a segment makes
/// its spectrum NaN, and so every mean over it.
///
/// # Cost
/// A real transform a segment. Nothing is allocated after the first call, for medians after the first of that length: they
/// keep a row a segment.
///
/// Source: Welch (1967), <https://doi.org/10.1109/TAU.1967.1161901>; Allen et al. (2012),
/// <https://doi.org/10.1103/PhysRevD.85.122006>, for the bias of the median.
///
/// ```
/// use prognos::{quantity::Hertz, spectrum::{Scaling, Welch}};
/// let welch = Welch::params(Hertz::new(1000.0)?).segment(200).scaling(Scaling::Spectrum).build()?;
/// let x: Vec<f64> = (0..5000).map(|i| 3.0 * (std::f64::consts::TAU * 0.05 * f64::from(i)).sin()).collect();
/// let psd = welch.psd(&x)?;
/// assert_eq!(welch.frequency_hz(10), 50.0);
/// assert!((psd[10] - 4.5).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct Welch {
    pub(super) tapered: TaperedTransform,
    pub(super) settings: WelchParams,
}

/// Parameters of [`Welch`]: segments of 256 samples, half overlapping, Hann, mean removed, density, mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct WelchParams {
    pub(super) rate: Hertz,
    segment: usize,
    overlap: Option<usize>,
    taper: Taper,
    detrend: Detrend,
    scaling: Scaling,
    pub(super) average: Average,
}

impl WelchParams {
    /// Samples in a segment: bins lie `rate / segment` apart.
    pub fn segment(mut self, n_samples: usize) -> Self {
        self.segment = n_samples;
        self
    }

    /// Samples that neighbouring segments share; half a segment unless given.
    pub fn overlap(mut self, n_samples: usize) -> Self {
        self.overlap = Some(n_samples);
        self
    }

    /// The weights of each segment.
    pub fn taper(mut self, taper: Taper) -> Self {
        self.taper = taper;
        self
    }

    /// What is taken out of each segment.
    pub fn detrend(mut self, detrend: Detrend) -> Self {
        self.detrend = detrend;
        self
    }

    /// Density or power.
    pub fn scaling(mut self, scaling: Scaling) -> Self {
        self.scaling = scaling;
        self
    }

    /// Mean or median over segments.
    pub fn average(mut self, average: Average) -> Self {
        self.average = average;
        self
    }

    /// The plan.
    ///
    /// # Errors
    /// `InvalidParameter` unless the segment is in 2..=2^24 samples and the overlap below it.
    pub fn build(self) -> Result<Welch> {
        let tapered = TaperedTransform::new("segment", self.segment, self.taper)?;
        if let Some(overlap) = self.overlap
            && overlap >= self.segment
        {
            let expected = format!("below the segment of {} samples", self.segment);
            return Err(Error::parameter("overlap", expected, overlap));
        }
        Ok(Welch {
            tapered,
            settings: self,
        })
    }
}

/// Work space of one thread for [`Welch`].
#[derive(Clone)]
pub struct WelchScratch {
    pub(super) transform: TransformScratch,
    /// The transform of another channel's segment, and sums of squares.
    pub(super) other: Vec<realfft::num_complex::Complex<f64>>,
    pub(super) sums: Vec<f64>,
    pub(super) parts: Vec<realfft::num_complex::Complex<f64>>,
    /// A row a segment, where a median is asked for.
    rows: Vec<f64>,
    column: Vec<f64>,
}

impl Welch {
    /// Parameters for samples at `rate`.
    pub fn params(rate: Hertz) -> WelchParams {
        WelchParams {
            rate,
            segment: 256,
            overlap: None,
            taper: Taper::default(),
            detrend: Detrend::default(),
            scaling: Scaling::default(),
            average: Average::default(),
        }
    }

    /// Samples in a segment.
    pub fn n_samples(&self) -> usize {
        self.tapered.n_samples()
    }

    /// Bins of a spectrum, `n_samples / 2 + 1` rounded down.
    pub fn n_bins(&self) -> usize {
        self.tapered.n_bins()
    }

    /// Samples from one segment's start to the next one's.
    pub fn hop(&self) -> usize {
        self.n_samples() - self.settings.overlap.unwrap_or(self.n_samples() / 2)
    }

    /// Samples a second.
    pub fn rate(&self) -> Hertz {
        self.settings.rate
    }

    /// The frequency at the centre of `bin`.
    pub fn frequency_hz(&self, bin: usize) -> f64 {
        bin as f64 * self.settings.rate.get() / self.n_samples() as f64
    }

    /// Segments in a signal of `n_samples`.
    pub fn n_segments(&self, n_samples: usize) -> usize {
        match n_samples.checked_sub(self.n_samples()) {
            Some(rest) => rest / self.hop() + 1,
            None => 0,
        }
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> WelchScratch {
        let transform = self.tapered.new_scratch();
        WelchScratch {
            other: transform.transform.clone(),
            parts: transform.transform.clone(),
            transform,
            sums: vec![0.0; 2 * self.n_bins()],
            rows: Vec::new(),
            column: Vec::new(),
        }
    }

    /// Writes the averaged power spectrum of `x`, a value a bin.
    ///
    /// # Errors
    /// `InsufficientData` where `x` is shorter than a segment; `InvalidInput` where `out` has not a place a bin or the
    /// scratch is of another plan. `out` is unchanged then.
    pub fn psd_into(&self, x: &[f64], scratch: &mut WelchScratch, out: &mut [f64]) -> Result<()> {
        let n_segments = self.check(&[x], out.len(), scratch)?;
        match self.settings.average {
            Average::Mean => {
                out.fill(0.0);
                for segment in self.segments(x) {
                    self.transform(segment, &mut scratch.transform)?;
                    for (o, v) in out.iter_mut().zip(&scratch.transform.transform) {
                        *o += v.re * v.re + v.im * v.im;
                    }
                }
                self.tapered.scale(out, self.power_factor() / n_segments as f64);
            }
            Average::Median => {
                scratch.rows.clear();
                for segment in self.segments(x) {
                    self.transform(segment, &mut scratch.transform)?;
                    scratch
                        .rows
                        .extend(scratch.transform.transform.iter().map(|v| v.norm_sqr()));
                }
                let WelchScratch { rows, column, .. } = scratch;
                medians(rows, column, out);
                self.tapered.scale(out, self.power_factor() / median_bias(n_segments));
            }
        }
        Ok(())
    }

    /// The averaged power spectrum of `x`, in memory of its own.
    ///
    /// # Errors
    /// As [`psd_into`](Welch::psd_into).
    pub fn psd(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_bins()];
        self.psd_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// Lengths are those of the plan and all signals of one length; the number of segments.
    pub(super) fn check(&self, signals: &[&[f64]], n_out: usize, scratch: &WelchScratch) -> Result<usize> {
        self.tapered.check(self.n_samples(), n_out, &scratch.transform)?;
        let n = signals.first().map_or(0, |x| x.len());
        if let Some(other) = signals.iter().find(|x| x.len() != n) {
            return Err(Error::input(
                "second signal",
                format!("{n} samples as the first"),
                other.len(),
            ));
        }
        match self.n_segments(n) {
            0 => Err(Error::insufficient(
                "signal",
                format!("a segment of {} samples", self.n_samples()),
                n,
            )),
            segments => Ok(segments),
        }
    }

    pub(super) fn segments<'a>(&self, x: &'a [f64]) -> impl Iterator<Item = &'a [f64]> + use<'a> {
        x.windows(self.n_samples()).step_by(self.hop())
    }

    pub(super) fn transform(&self, segment: &[f64], scratch: &mut TransformScratch) -> Result<()> {
        let line = match self.settings.detrend {
            Detrend::None => (0.0, 0.0),
            Detrend::Mean => (mean_of(segment), 0.0),
            Detrend::Linear => line_of(segment),
        };
        self.tapered.run(segment, line, scratch)
    }

    /// What `|X|²` of a bin is multiplied with, for two-sided bins.
    pub(super) fn power_factor(&self) -> f64 {
        let t = &self.tapered;
        2.0 / match self.settings.scaling {
            Scaling::Density => self.settings.rate.get() * t.sum_of_squares,
            Scaling::Spectrum => t.sum * t.sum,
        }
    }
}

/// The median of each column of `rows`, NaN where a value is.
pub(super) fn medians(rows: &[f64], column: &mut Vec<f64>, out: &mut [f64]) {
    let n_bins = out.len();
    for (k, o) in out.iter_mut().enumerate() {
        column.clear();
        column.extend(rows.iter().skip(k).step_by(n_bins));
        *o = median(column);
    }
}

fn median(x: &mut [f64]) -> f64 {
    if x.is_empty() || x.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let n = x.len();
    let (below, middle, _) = x.select_nth_unstable_by(n / 2, f64::total_cmp);
    let upper = *middle;
    if n % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    0.5 * (lower + upper)
}

/// The expectation of the median of `n` periodograms of noise of mean 1.
pub(super) fn median_bias(n: usize) -> f64 {
    (1..=(n - 1) / 2).fold(1.0, |bias, i| {
        let even = 2.0 * i as f64;
        bias + 1.0 / (even + 1.0) - 1.0 / even
    })
}

impl fmt::Debug for Welch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Welch").field(&self.settings).finish()
    }
}

impl fmt::Debug for WelchScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WelchScratch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    fn rate() -> Hertz {
        Hertz::new(1000.0).unwrap()
    }

    proptest! {
        /// Without taper and overlap, densities times their width add up to the mean square about each segment's mean.
        #[test]
        fn power_adds_up(x in prop::collection::vec(-1.0..1.0_f64, 20..200), n in 2..20_usize) {
            let welch = Welch::params(rate()).segment(n).overlap(0).taper(Taper::Rectangular).build().unwrap();
            let total: f64 = welch.psd(&x).unwrap().iter().sum::<f64>() * 1000.0 / n as f64;
            let whole = &x[..x.len() / n * n];
            let expected: f64 = whole.chunks(n).map(|c| {
                let mean = c.iter().sum::<f64>() / n as f64;
                c.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
            }).sum::<f64>() / whole.len() as f64;
            prop_assert!((total - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn bad_parameters_and_lengths_are_refused() {
        for p in [
            Welch::params(rate()).segment(1),
            Welch::params(rate()).segment(usize::MAX),
            Welch::params(rate()).segment(8).overlap(8),
        ] {
            assert_eq!(p.build().unwrap_err().kind(), ErrorKind::InvalidParameter);
        }
        let welch = Welch::params(rate()).segment(8).build().unwrap();
        let other = Welch::params(rate()).segment(9).build().unwrap();
        let mut out = [7.0; 5];
        let e = welch
            .psd_into(&[0.0; 7], &mut welch.new_scratch(), &mut out)
            .unwrap_err();
        assert_eq!((e.kind(), out), (ErrorKind::InsufficientData, [7.0; 5]));
        assert!(welch.psd_into(&[0.0; 8], &mut other.new_scratch(), &mut out).is_err());
        assert!(
            welch
                .psd_into(&[0.0; 8], &mut welch.new_scratch(), &mut out[..4])
                .is_err()
        );
        assert_eq!(
            (welch.n_segments(7), welch.n_segments(8), welch.n_segments(12)),
            (0, 1, 2)
        );
    }

    #[test]
    fn flat_signals_are_silent_and_bad_samples_show() {
        for average in [Average::Mean, Average::Median] {
            let welch = Welch::params(rate()).segment(8).average(average).build().unwrap();
            assert!(welch.psd(&[3.3; 50]).unwrap().iter().all(|p| *p == 0.0));
            let mut x = [1.0; 50];
            x[20] = f64::NAN;
            assert!(welch.psd(&x).unwrap().iter().all(|p| p.is_nan()));
            x[20] = f64::INFINITY;
            assert!(welch.psd(&x).unwrap().iter().all(|p| p.is_nan()));
        }
    }

    #[test]
    fn a_median_does_not_hear_a_burst() {
        let mut x: Vec<f64> = (0..4096).map(|i| f64::from(i * 7919 % 1013) / 1013.0).collect();
        let median = Welch::params(rate())
            .segment(64)
            .average(Average::Median)
            .build()
            .unwrap();
        let mean = Welch::params(rate()).segment(64).build().unwrap();
        let (a, b) = (median.psd(&x).unwrap(), mean.psd(&x).unwrap());
        x[1000] += 1e3;
        let (c, d) = (median.psd(&x).unwrap(), mean.psd(&x).unwrap());
        assert!(c[10] < 2.0 * a[10] && d[10] > 1e3 * b[10]);
    }
}
