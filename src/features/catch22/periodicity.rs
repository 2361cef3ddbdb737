//! A period, where the autocorrelation has one.

use super::autocorrelation::{Correlator, CorrelatorScratch};
use crate::error::Result;

/// How far a peak must rise above the trough before it.
const RISE: f64 = 0.01;
/// Cubic polynomials, and one more on either side of the knot.
const N_BASIS: usize = 5;

/// The plan of a trend, the cubic spline of least squares with one knot in the middle.
#[derive(Clone, Debug)]
pub(super) struct Periodicity {
    /// Orthonormal functions that span the splines, one after the other.
    basis: Vec<f64>,
    n: usize,
}

impl Periodicity {
    /// For at least 10 samples.
    pub(super) fn new(n: usize) -> Self {
        let knot = (n / 2).saturating_sub(1);
        let scale = 2.0 / (n as f64 - 1.0);
        let at = |i: usize, power: usize| {
            let t = scale * i as f64 - 1.0;
            match power {
                0 => 1.0,
                1 => t,
                2 => t * t,
                3 => t * t * t,
                _ => {
                    let beyond = scale * i.saturating_sub(knot) as f64;
                    beyond * beyond * beyond
                }
            }
        };
        let mut basis: Vec<f64> = Vec::with_capacity(N_BASIS * n);
        for power in 0..N_BASIS {
            let mut next: Vec<f64> = (0..n).map(|i| at(i, power)).collect();
            // Twice is enough: the second takes out what rounding left.
            for _ in 0..2 {
                for earlier in basis.chunks_exact(n) {
                    remove(earlier, &mut next);
                }
            }
            let norm = dot(&next, &next).sqrt();
            basis.extend(next.into_iter().map(|v| v / norm));
        }
        Self { basis, n }
    }

    /// The lag of the first peak of the autocovariance `c[k] = Σ y[i] y[i + k] / (n - k)`, `k = 1 .. ⌈n / 3⌉`, of the signal
    /// less its trend, that is not negative and at least 0.01 above the trough before it; 0 without one.
    pub(super) fn period(
        &self,
        z: &[f64],
        correlator: &Correlator,
        scratch: &mut CorrelatorScratch,
        rest: &mut Vec<f64>,
        covariance: &mut Vec<f64>,
    ) -> Result<f64> {
        rest.clear();
        rest.extend_from_slice(z);
        for function in self.basis.chunks_exact(self.n) {
            remove(function, rest);
        }
        covariance.clear();
        covariance.resize(self.n.div_ceil(3) + 1, 0.0);
        correlator.correlate_into(rest, scratch, covariance)?;
        for (k, c) in covariance.iter_mut().enumerate() {
            *c /= (self.n - k) as f64;
        }
        let mut trough = None;
        let lags = covariance.get(1..).unwrap_or_default();
        for (i, w) in lags.windows(3).enumerate() {
            if let [before, here, after] = w {
                if here < before && here < after {
                    trough = Some(*here);
                } else if here > before && here > after && *here >= 0.0 && trough.is_some_and(|t| here - t >= RISE) {
                    return Ok((i + 2) as f64);
                }
            }
        }
        Ok(0.0)
    }
}

/// Takes out of `x` what it has of a function of norm 1.
fn remove(function: &[f64], x: &mut [f64]) {
    let share = dot(function, x);
    x.iter_mut().zip(function).for_each(|(v, f)| *v -= share * f);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 4;
    let mut sums = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splines_vanish_and_functions_are_orthonormal() {
        for n in [10, 11, 200] {
            let plan = Periodicity::new(n);
            let functions: Vec<&[f64]> = plan.basis.chunks_exact(n).collect();
            assert_eq!(functions.len(), N_BASIS);
            for (i, a) in functions.iter().enumerate() {
                for (j, b) in functions.iter().enumerate() {
                    assert!((dot(a, b) - f64::from(u8::from(i == j))).abs() < 1e-14);
                }
            }
            let knot = n as f64 / 2.0 - 1.0;
            let spline = |i: usize| {
                let t = i as f64 - knot.floor();
                (1.0 + t - t * t + 0.1 * t * t * t + 3.0 * t.max(0.0).powi(3)) / (n as f64).powi(3)
            };
            let mut x: Vec<f64> = (0..n).map(spline).collect();
            functions.iter().for_each(|f| remove(f, &mut x));
            assert!(x.iter().all(|v| v.abs() < 1e-13));
        }
    }

    #[test]
    fn a_sine_on_a_trend_shows_its_period() {
        let n = 300;
        let x: Vec<f64> = (0..n)
            .map(|i| (std::f64::consts::TAU * i as f64 / 17.0).sin() + 1e-4 * (i * i) as f64)
            .collect();
        let plan = Correlator::new(n);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let period = Periodicity::new(n).period(&x, &plan, &mut plan.new_scratch(), &mut a, &mut b);
        assert_eq!(period.unwrap(), 17.0);
    }
}
