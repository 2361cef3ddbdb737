//! The analytic signal: a signal with its phase.

use super::tapered::LENGTHS;
use crate::{
    error::{Error, Result},
    quantity::Hertz,
};
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use rustfft::{Fft, FftPlanner};
use std::{fmt, ops::Range, sync::Arc};

/// The plan of analytic signals of one length, whole or of a band.
///
/// With `X` the transform of the `N` samples, the analytic signal is the inverse transform of `c X` over the bins of the
/// band, where `c` is 1 at zero and, for even `N`, at the Nyquist frequency, 2 between them and 0 at negative frequencies.
/// Over the whole spectrum its real part is the signal and its imaginary part the Hilbert transform
/// (`scipy.signal.hilbert`); over a band it is the band-passed signal, by a filter with edges at once: sharp transients ring.
/// Its magnitude is the envelope, and a band is thereby demodulated in one step.
///
/// The signal is taken as periodic: its ends are neighbours. NaN or infinity makes all of it NaN.
///
/// # Cost
/// One real and one complex transform, `O(N log N)`; nothing is allocated.
///
/// Source: Marple (1999), <https://doi.org/10.1109/78.782222>.
///
/// ```
/// use prognos::spectrum::AnalyticSignal;
/// let plan = AnalyticSignal::new(400)?;
/// let carrier = |i: i32| (0.2 * std::f64::consts::PI * f64::from(i)).sin();
/// let swell = |i: i32| 1.0 + 0.5 * (0.01 * std::f64::consts::PI * f64::from(i)).cos();
/// let x: Vec<f64> = (0..400).map(|i| swell(i) * carrier(i)).collect();
/// let envelope: Vec<f64> = plan.signal(&x)?.iter().map(|z| z.norm()).collect();
/// assert!((envelope[100] - swell(100)).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct AnalyticSignal {
    n: usize,
    bins: Range<usize>,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

/// Work space of one thread for an [`AnalyticSignal`].
#[derive(Clone)]
pub struct AnalyticScratch {
    samples: Vec<f64>,
    half: Vec<Complex<f64>>,
    work: Vec<Complex<f64>>,
}

impl AnalyticSignal {
    /// The plan for signals of `n_samples`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 2..=2^24.
    pub fn new(n_samples: usize) -> Result<Self> {
        if !LENGTHS.contains(&n_samples) {
            return Err(Error::parameter("n_samples", format!("in {LENGTHS:?}"), n_samples));
        }
        Ok(Self {
            n: n_samples,
            bins: 0..n_samples / 2 + 1,
            forward: RealFftPlanner::new().plan_fft_forward(n_samples),
            inverse: FftPlanner::new().plan_fft_inverse(n_samples),
        })
    }

    /// The plan for the band `lo_hz <= f < hi_hz`, or up to the Nyquist frequency and with it where `hi_hz` is that.
    ///
    /// # Errors
    /// `InvalidParameter` also where the band has not `0 <= lo < hi <= rate / 2`, or holds no bin.
    pub fn of_band(n_samples: usize, rate: Hertz, (lo_hz, hi_hz): (f64, f64)) -> Result<Self> {
        let mut plan = Self::new(n_samples)?;
        plan.bins = band_bins(n_samples, rate, (lo_hz, hi_hz))?;
        Ok(plan)
    }

    /// Samples of a signal.
    pub fn n_samples(&self) -> usize {
        self.n
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> AnalyticScratch {
        let zero = Complex { re: 0.0, im: 0.0 };
        let work = self
            .forward
            .get_scratch_len()
            .max(self.inverse.get_inplace_scratch_len());
        AnalyticScratch {
            samples: vec![0.0; self.n],
            half: vec![zero; self.n / 2 + 1],
            work: vec![zero; work],
        }
    }

    /// Writes the analytic signal of `x`.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn signal_into(&self, x: &[f64], scratch: &mut AnalyticScratch, out: &mut [Complex<f64>]) -> Result<()> {
        let work = self
            .forward
            .get_scratch_len()
            .max(self.inverse.get_inplace_scratch_len());
        for (what, expected, got) in [
            ("samples of an analytic signal", self.n, x.len()),
            ("places of an analytic signal", self.n, out.len()),
            ("samples an analytic scratch is for", self.n, scratch.samples.len()),
            ("work space of an analytic signal", work, scratch.work.len()),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        let AnalyticScratch { samples, half, work } = scratch;
        samples.copy_from_slice(x);
        let wrong = |e| Error::input("transform", "buffers of its length", e);
        let (n_forward, n_inverse) = (self.forward.get_scratch_len(), self.inverse.get_inplace_scratch_len());
        let (forward_work, inverse_work) = (work.get_mut(..n_forward), n_inverse);
        self.forward
            .process_with_scratch(samples, half, forward_work.unwrap_or_default())
            .map_err(wrong)?;
        out.fill(Complex { re: 0.0, im: 0.0 });
        let scale = 1.0 / self.n as f64;
        let n = self.n;
        let pairs = out.iter_mut().zip(&*half).enumerate();
        for (k, (o, v)) in pairs.take(self.bins.end).skip(self.bins.start) {
            let single = k == 0 || 2 * k == n;
            *o = v * if single { scale } else { 2.0 * scale };
        }
        self.inverse
            .process_with_scratch(out, work.get_mut(..inverse_work).unwrap_or_default());
        Ok(())
    }

    /// The analytic signal of `x`, in memory of its own.
    ///
    /// # Errors
    /// As [`signal_into`](AnalyticSignal::signal_into).
    pub fn signal(&self, x: &[f64]) -> Result<Vec<Complex<f64>>> {
        let mut out = vec![Complex { re: 0.0, im: 0.0 }; self.n];
        self.signal_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }
}

/// Bins of the band `lo <= f < hi`, with the Nyquist bin where `hi` is that frequency.
pub(super) fn band_bins(n: usize, rate: Hertz, (lo, hi): (f64, f64)) -> Result<Range<usize>> {
    let nyquist = 0.5 * rate.get();
    if !(lo >= 0.0 && lo < hi && hi <= nyquist * (1.0 + 1e-12)) {
        let expected = format!("0 <= lo < hi <= {nyquist} Hz, the Nyquist frequency");
        return Err(Error::parameter("band", expected, format!("({lo}, {hi})")));
    }
    // An edge within a billionth of a bin's centre lies on it.
    let bin = |f: f64| (f / rate.get() * n as f64 - 1e-9).ceil().max(0.0) as usize;
    let last = n / 2 + 1;
    let end = if hi >= nyquist * (1.0 - 1e-12) {
        last
    } else {
        bin(hi).min(last)
    };
    let bins = bin(lo)..end;
    if bins.is_empty() {
        let spacing = rate.get() / n as f64;
        return Err(Error::parameter(
            "band",
            format!("to hold a bin, {spacing} Hz apart"),
            format!("({lo}, {hi})"),
        ));
    }
    Ok(bins)
}

impl fmt::Debug for AnalyticSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnalyticSignal")
            .field("n_samples", &self.n)
            .field("bins", &self.bins)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AnalyticScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnalyticScratch")
            .field("n_samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_real_part_is_the_signal_and_bands_add_up_to_it(
            x in prop::collection::vec(-1.0..1.0_f64, 4..100), cut in 0.1..0.9_f64,
        ) {
            let rate = Hertz::new(100.0).unwrap();
            let whole = AnalyticSignal::new(x.len()).unwrap().signal(&x).unwrap();
            prop_assert!(whole.iter().zip(&x).all(|(z, x)| (z.re - x).abs() < 1e-13));
            let bands = [(0.0, 50.0 * cut), (50.0 * cut, 50.0)];
            let plans: Vec<_> = bands.iter().filter_map(|b| AnalyticSignal::of_band(x.len(), rate, *b).ok()).collect();
            prop_assume!(plans.len() == 2);
            let parts: Vec<_> = plans.iter().map(|p| p.signal(&x).unwrap()).collect();
            for (i, z) in whole.iter().enumerate() {
                prop_assert!((parts[0][i] + parts[1][i] - z).norm() < 1e-13);
            }
        }
    }

    #[test]
    fn bad_bands_and_lengths_are_refused() {
        let rate = Hertz::new(100.0).unwrap();
        for band in [
            (0.0, 50.1),
            (5.0, 5.0),
            (-1.0, 5.0),
            (f64::NAN, 5.0),
            (1.0, f64::NAN),
            (12.0, 14.0),
        ] {
            let e = AnalyticSignal::of_band(10, rate, band).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{band:?}");
        }
        assert!(AnalyticSignal::new(1).is_err() && AnalyticSignal::new(usize::MAX).is_err());
        let plan = AnalyticSignal::new(10).unwrap();
        assert!(plan.signal(&[0.0; 9]).is_err());
        assert!(plan.signal(&[f64::NAN; 10]).unwrap().iter().all(|z| z.re.is_nan()));
        let other = AnalyticSignal::new(11).unwrap();
        let mut out = vec![Complex { re: 0.0, im: 0.0 }; 10];
        assert!(
            plan.signal_into(&[0.0; 10], &mut other.new_scratch(), &mut out)
                .is_err()
        );
    }
}
