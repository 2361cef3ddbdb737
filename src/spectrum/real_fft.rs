//! The bare transform of real samples, and its inverse.

use super::tapered::LENGTHS;
use crate::error::{Error, Result};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{fmt, sync::Arc};

/// The plan of discrete Fourier transforms of `N` real samples, there and back: made once, shared, cheap to clone.
///
/// ```text
/// X[k] = Σ_i x[i] exp(-2πj k i / N),                k = 0 ..= N/2 (rounded down)
/// x[i] = 1/N Σ_k c[k] Re(X[k] exp(2πj k i / N))
/// ```
///
/// where `c` is 1 at zero and, for even `N`, at the Nyquist frequency, and 2 elsewhere. The conventions of `numpy.fft.rfft` and `irfft`: no taper, nothing removed, the factor `1/N` on the way back. Spectra with a
/// taper and a norm: [`AmplitudeSpectrum`](super::AmplitudeSpectrum), [`Welch`](super::Welch).
///
/// NaN or infinity among the samples makes every bin not finite, and the other way round, but that imaginary parts of bin 0
/// and Nyquist are not read.
///
/// # Cost
/// `O(N log N)` for every `N`, least where `N` is even and a product of small primes; an odd length costs that of its double.
/// The transform works in its input, so [`forward_into`](RealFft::forward_into) copies the samples first, which takes up to
/// a quarter of the time; who has no use for them afterwards lends them to
/// [`forward_destroying`](RealFft::forward_destroying). Nothing is allocated after [`new_scratch`](RealFft::new_scratch).
/// Between kinds of processor the last bits may differ.
///
/// Source: Cooley & Tukey (1965), <https://doi.org/10.1090/S0025-5718-1965-0178586-1>; the transform is that of the crates
/// realfft and rustfft.
///
/// ```
/// use prognos::spectrum::{Complex, RealFft};
/// let fft = RealFft::new(4)?;
/// let (mut scratch, mut bins, mut back) = (fft.new_scratch(), [Complex::default(); 3], [0.0; 4]);
/// fft.forward_into(&[1.0, 2.0, 0.0, 0.0], &mut scratch, &mut bins)?;
/// assert_eq!(bins, [Complex::new(3.0, 0.0), Complex::new(1.0, -2.0), Complex::new(-1.0, 0.0)]);
/// fft.inverse_into(&bins, &mut scratch, &mut back)?;
/// assert_eq!(back, [1.0, 2.0, 0.0, 0.0]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct RealFft {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

/// Work space of one thread for a [`RealFft`]; its content means nothing between calls.
#[derive(Clone)]
pub struct RealFftScratch {
    samples: Vec<f64>,
    bins: Vec<Complex<f64>>,
    work: Vec<Complex<f64>>,
}

impl RealFft {
    /// The plan for `n_samples`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 2..=2^24.
    pub fn new(n_samples: usize) -> Result<Self> {
        if !LENGTHS.contains(&n_samples) {
            return Err(Error::parameter("n_samples", format!("in {LENGTHS:?}"), n_samples));
        }
        let mut planner = RealFftPlanner::new();
        Ok(Self {
            forward: planner.plan_fft_forward(n_samples),
            inverse: planner.plan_fft_inverse(n_samples),
        })
    }

    /// Samples of a transform.
    pub fn n_samples(&self) -> usize {
        self.forward.len()
    }

    /// Bins of a transform, `n_samples / 2 + 1` rounded down.
    pub fn n_bins(&self) -> usize {
        self.n_samples() / 2 + 1
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> RealFftScratch {
        RealFftScratch {
            samples: vec![0.0; self.n_samples()],
            bins: vec![Complex::default(); self.n_bins()],
            work: vec![Complex::default(); self.n_work()],
        }
    }

    /// Writes the bins of `samples`.
    ///
    /// # Errors
    /// `InvalidInput` where the length of `samples` or `out`, or that of the samples the scratch was made for, differs from
    /// the plan's; `out` is unchanged then.
    pub fn forward_into(&self, samples: &[f64], scratch: &mut RealFftScratch, out: &mut [Complex<f64>]) -> Result<()> {
        self.check(samples.len(), out.len(), scratch)?;
        scratch.samples.copy_from_slice(samples);
        self.run(&mut scratch.samples, &mut scratch.work, out)
    }

    /// Writes the bins of `samples`, whose place serves as work space: what they are afterwards means nothing.
    ///
    /// # Errors
    /// As [`forward_into`](RealFft::forward_into); `samples` are unchanged then.
    pub fn forward_destroying(
        &self,
        samples: &mut [f64],
        scratch: &mut RealFftScratch,
        out: &mut [Complex<f64>],
    ) -> Result<()> {
        self.check(samples.len(), out.len(), scratch)?;
        self.run(samples, &mut scratch.work, out)
    }

    /// The bins of `samples`, in memory of their own.
    ///
    /// # Errors
    /// As [`forward_into`](RealFft::forward_into).
    pub fn forward(&self, samples: &[f64]) -> Result<Vec<Complex<f64>>> {
        let mut out = vec![Complex::default(); self.n_bins()];
        self.forward_into(samples, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// Writes the samples that have these `bins`. Imaginary parts of bin 0 and, for an even length, of Nyquist are taken
    /// for zero: real samples have none.
    ///
    /// # Errors
    /// `InvalidInput` where the length of `bins` or `out`, or that of the samples the scratch was made for, differs from the
    /// plan's; `out` is unchanged then.
    pub fn inverse_into(&self, bins: &[Complex<f64>], scratch: &mut RealFftScratch, out: &mut [f64]) -> Result<()> {
        self.check(out.len(), bins.len(), scratch)?;
        let factor = 1.0 / self.n_samples() as f64;
        for (s, b) in scratch.bins.iter_mut().zip(bins) {
            *s = b * factor;
        }
        if let Some(zero) = scratch.bins.first_mut() {
            zero.im = 0.0;
        }
        if self.n_samples().is_multiple_of(2)
            && let Some(nyquist) = scratch.bins.last_mut()
        {
            nyquist.im = 0.0;
        }
        self.inverse
            .process_with_scratch(&mut scratch.bins, out, &mut scratch.work)
            .map_err(|e| Error::input("transform", "buffers of its length", e))
    }

    /// The samples that have these `bins`, in memory of their own.
    ///
    /// # Errors
    /// As [`inverse_into`](RealFft::inverse_into).
    pub fn inverse(&self, bins: &[Complex<f64>]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_samples()];
        self.inverse_into(bins, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    fn n_work(&self) -> usize {
        self.forward.get_scratch_len().max(self.inverse.get_scratch_len())
    }

    fn check(&self, n_samples: usize, n_bins: usize, scratch: &RealFftScratch) -> Result<()> {
        for (what, expected, got) in [
            ("samples of a transform", self.n_samples(), n_samples),
            ("bins of a transform", self.n_bins(), n_bins),
            (
                "samples a transform's scratch is for",
                self.n_samples(),
                scratch.samples.len(),
            ),
            ("work space of a transform", self.n_work(), scratch.work.len()),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        Ok(())
    }

    fn run(&self, samples: &mut [f64], work: &mut [Complex<f64>], out: &mut [Complex<f64>]) -> Result<()> {
        self.forward
            .process_with_scratch(samples, out, work)
            .map_err(|e| Error::input("transform", "buffers of its length", e))
    }
}

impl fmt::Debug for RealFft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealFft")
            .field("n_samples", &self.n_samples())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RealFftScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealFftScratch")
            .field("n_samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    const BAD: Complex<f64> = Complex {
        re: f64::NAN,
        im: f64::INFINITY,
    };

    /// Scratch full of what would show in a result.
    fn dirty(plan: &RealFft) -> RealFftScratch {
        let mut scratch = plan.new_scratch();
        scratch.samples.fill(f64::NAN);
        scratch.bins.fill(BAD);
        scratch.work.fill(BAD);
        scratch
    }

    fn turn(k: usize, i: usize, n: usize) -> Complex<f64> {
        Complex::cis(TAU * ((k * i) % n) as f64 / n as f64)
    }

    proptest! {
        #[test]
        fn it_is_the_naive_transform(x in prop::collection::vec(-1.0..1.0_f64, 2..150)) {
            let (n, plan) = (x.len(), RealFft::new(x.len()).unwrap());
            let (mut out, mut twice) = (vec![BAD; plan.n_bins()], vec![BAD; plan.n_bins()]);
            plan.forward_into(&x, &mut dirty(&plan), &mut out).unwrap();
            plan.forward_destroying(&mut x.clone(), &mut dirty(&plan), &mut twice).unwrap();
            prop_assert_eq!(&out, &twice);
            // Each of the n terms of the naive sum is at most 1 and rounded thrice, with an angle of up to 2π.
            let error = n as f64 * 8.0 * f64::EPSILON;
            for (k, got) in out.iter().enumerate() {
                let naive: Complex<f64> = x.iter().enumerate().map(|(i, v)| turn(k, i, n).conj() * v).sum();
                prop_assert!((got - naive).norm() <= error, "bin {k}: {got} {naive}");
            }
        }

        #[test]
        fn the_way_back_is_the_naive_sum(
            parts in prop::collection::vec((-1.0..1.0_f64, -1.0..1.0_f64), 2..80),
            odd in any::<bool>(),
        ) {
            let n = 2 * (parts.len() - 1) + usize::from(odd);
            let plan = RealFft::new(n).unwrap();
            let bins: Vec<Complex<f64>> = parts.iter().map(|&(re, im)| Complex { re, im }).collect();
            let mut out = vec![f64::NAN; n];
            plan.inverse_into(&bins, &mut dirty(&plan), &mut out).unwrap();
            for (i, got) in out.iter().enumerate() {
                let term = |(k, b): (usize, &Complex<f64>)| {
                    if k == 0 || 2 * k == n { b.re * turn(k, i, n).re } else { 2.0 * (b * turn(k, i, n)).re }
                };
                let naive = bins.iter().enumerate().map(term).sum::<f64>() / n as f64;
                // n terms of at most √2, over n.
                prop_assert!((got - naive).abs() <= 16.0 * f64::EPSILON, "sample {i}: {got} {naive}");
            }
        }

        #[test]
        fn there_and_back_is_the_samples(x in prop::collection::vec(-1e6..1e6_f64, 2..400)) {
            let plan = RealFft::new(x.len()).unwrap();
            let back = plan.inverse(&plan.forward(&x).unwrap()).unwrap();
            // Rounding of a transform grows as log n; a prime length goes through one of at least twice its length, twice.
            for (a, b) in x.iter().zip(&back) {
                prop_assert!((a - b).abs() <= 1e6 * 100.0 * f64::EPSILON, "{a} {b}");
            }
        }
    }

    #[test]
    fn long_lengths_hold_their_line() {
        for n in [25_600, 1 << 16, 65_537] {
            let plan = RealFft::new(n).unwrap();
            let x: Vec<f64> = (0..n).map(|i| turn(1000, i, n).re).collect();
            for (k, b) in plan.forward(&x).unwrap().iter().enumerate() {
                let expected = if k == 1000 { 0.5 * n as f64 } else { 0.0 };
                // Each sample is rounded with an angle of up to 2π, and by log n steps of the transform.
                assert!(
                    (b - expected).norm() <= 16.0 * f64::EPSILON * n as f64,
                    "{n}, bin {k}: {b}"
                );
            }
        }
    }

    #[test]
    fn wrong_lengths_are_refused_and_nothing_written() {
        for n in [0, 1, (1 << 24) + 1, usize::MAX] {
            assert_eq!(RealFft::new(n).unwrap_err().kind(), ErrorKind::InvalidParameter);
        }
        let (plan, other) = (RealFft::new(8).unwrap(), RealFft::new(9).unwrap());
        let (mut bins, mut samples) = ([Complex::new(7.0, 7.0); 5], [7.0; 8]);
        for (n, scratch, n_bins) in [(7, &plan, 5), (8, &other, 5), (8, &plan, 4)] {
            let scratch = || scratch.new_scratch();
            let errors = [
                plan.forward_into(&[0.0; 8][..n], &mut scratch(), &mut bins[..n_bins]),
                plan.forward_destroying(&mut samples[..n], &mut scratch(), &mut bins[..n_bins]),
                plan.inverse_into(&[Complex::default(); 5][..n_bins], &mut scratch(), &mut samples[..n]),
            ];
            for e in errors {
                assert_eq!(e.unwrap_err().kind(), ErrorKind::InvalidInput);
            }
            assert_eq!((bins, samples), ([Complex::new(7.0, 7.0); 5], [7.0; 8]));
        }
    }

    #[test]
    fn bad_numbers_show_everywhere() {
        for n in [10, 11] {
            let plan = RealFft::new(n).unwrap();
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut x = vec![1.0; n];
                x[3] = bad;
                assert!(plan.forward(&x).unwrap().iter().all(|b| !b.is_finite()));
                let mut bins = vec![Complex::new(1.0, 0.0); plan.n_bins()];
                bins[2] = Complex::new(bad, bad);
                assert!(plan.inverse(&bins).unwrap().iter().all(|v| !v.is_finite()));
                bins[2] = Complex::new(1.0, 0.0);
                bins[0].im = bad;
                assert!(plan.inverse(&bins).unwrap().iter().all(|v| v.is_finite()));
            }
        }
    }
}
