#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub use realfft::{ComplexToReal, FftError, RealToComplex, num_complex::Complex};
pub use rustfft::Fft;

use realfft::RealFftPlanner;
use rustfft::FftPlanner;
use std::{fmt, sync::Arc};

/// Makes plans of transforms of real samples and of their inverses; plans of one planner share what they have in common.
pub struct RealPlanner(RealFftPlanner<f64>);

/// Makes plans of transforms of complex samples and of their inverses; plans of one planner share what they have in common.
pub struct ComplexPlanner(FftPlanner<f64>);

// What is inlined elsewhere is compiled there, kernels and all.
impl RealPlanner {
    /// A planner that has made no plan.
    #[inline(never)]
    pub fn new() -> Self {
        Self(RealFftPlanner::new())
    }

    /// The plan of `n` real samples to their `n / 2 + 1` bins.
    #[inline(never)]
    pub fn plan_forward(&mut self, n: usize) -> Arc<dyn RealToComplex<f64>> {
        self.0.plan_fft_forward(n)
    }

    /// The plan of `n / 2 + 1` bins back to `n` times the samples.
    #[inline(never)]
    pub fn plan_inverse(&mut self, n: usize) -> Arc<dyn ComplexToReal<f64>> {
        self.0.plan_fft_inverse(n)
    }
}

impl ComplexPlanner {
    /// A planner that has made no plan.
    #[inline(never)]
    pub fn new() -> Self {
        Self(FftPlanner::new())
    }

    /// The plan of `n` samples to their bins.
    #[inline(never)]
    pub fn plan_forward(&mut self, n: usize) -> Arc<dyn Fft<f64>> {
        self.0.plan_fft_forward(n)
    }

    /// The plan of `n` bins back to `n` times the samples.
    #[inline(never)]
    pub fn plan_inverse(&mut self, n: usize) -> Arc<dyn Fft<f64>> {
        self.0.plan_fft_inverse(n)
    }
}

impl Default for RealPlanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for ComplexPlanner {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RealPlanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealPlanner").finish_non_exhaustive()
    }
}

impl fmt::Debug for ComplexPlanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComplexPlanner").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// Even and odd lengths, of small primes and of none.
    const LENGTHS: [usize; 9] = [1, 2, 3, 8, 60, 64, 77, 101, 202];

    fn samples(n: usize) -> Vec<f64> {
        (0..n)
            .map(|i| (0.7 * i as f64).sin() + 0.01 * (i * i % 17) as f64)
            .collect()
    }

    /// The sum that a transform is.
    fn naive(x: &[Complex<f64>], sign: f64) -> Vec<Complex<f64>> {
        let n = x.len();
        let term = |k: usize, i: usize| x[i] * Complex::cis(sign * TAU * (k * i % n) as f64 / n as f64);
        (0..n).map(|k| (0..n).map(|i| term(k, i)).sum()).collect()
    }

    /// Both sides sum `n` terms below 1.2 with errors of some ulps each: 1e-12 is ten times that at the longest.
    #[track_caller]
    fn assert_close(got: &[Complex<f64>], wanted: &[Complex<f64>]) {
        assert_eq!(got.len(), wanted.len());
        for (k, (g, w)) in got.iter().zip(wanted).enumerate() {
            assert!(
                (g - w).norm() < 1e-12 * got.len() as f64,
                "{k} of {}: {g} for {w}",
                got.len()
            );
        }
    }

    #[test]
    fn real_plans_are_the_sum_and_its_inverse() {
        let mut planner = RealPlanner::new();
        for n in LENGTHS {
            let x = samples(n);
            let (forward, inverse) = (planner.plan_forward(n), planner.plan_inverse(n));
            let (mut lent, mut bins, mut back) = (x.clone(), forward.make_output_vec(), inverse.make_output_vec());
            forward.process(&mut lent, &mut bins).unwrap();
            let complex: Vec<_> = x.iter().map(|&re| Complex { re, im: 0.0 }).collect();
            assert_close(&bins, &naive(&complex, -1.0)[..n / 2 + 1]);
            inverse.process(&mut bins, &mut back).unwrap();
            for (b, v) in back.iter().zip(&x) {
                assert!((b / n as f64 - v).abs() < 1e-13, "{n}: {b} for {v}");
            }
        }
    }

    #[test]
    fn complex_plans_are_the_sum_and_its_inverse() {
        let mut planner = ComplexPlanner::new();
        for n in LENGTHS {
            let re = samples(n);
            let x: Vec<_> = (0..n)
                .map(|i| Complex {
                    re: re[i],
                    im: 0.5 * re[n - 1 - i],
                })
                .collect();
            for (plan, sign) in [(planner.plan_forward(n), -1.0), (planner.plan_inverse(n), 1.0)] {
                let mut bins = x.clone();
                plan.process(&mut bins);
                assert_close(&bins, &naive(&x, sign));
            }
        }
    }

    #[test]
    fn the_plans_are_those_of_realfft_and_rustfft() {
        for n in LENGTHS {
            let (ours, theirs) = (
                RealPlanner::new().plan_forward(n),
                RealFftPlanner::<f64>::new().plan_fft_forward(n),
            );
            let (mut a, mut b) = (ours.make_output_vec(), theirs.make_output_vec());
            ours.process(&mut samples(n), &mut a).unwrap();
            theirs.process(&mut samples(n), &mut b).unwrap();
            assert_eq!(a, b, "{n}");
        }
    }
}
