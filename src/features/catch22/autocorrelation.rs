//! The autocorrelation function and its first crossings and minima.

use super::transform::RealTransform;
use crate::error::Result;
use realfft::num_complex::Complex;

/// Autocorrelation of signals of up to `n` samples by transforms at least twice as long.
#[derive(Clone)]
pub(super) struct Correlator(RealTransform);

/// Work space of [`Correlator`].
#[derive(Clone)]
pub(super) struct CorrelatorScratch {
    padded: Vec<f64>,
    half: Vec<Complex<f64>>,
    work: Vec<Complex<f64>>,
}

impl Correlator {
    pub(super) fn new(n: usize) -> Self {
        // An even length without a prime factor above 5.
        let smooth = |length: &usize| {
            let mut rest = *length;
            for p in [2, 3, 5] {
                while rest.is_multiple_of(p) {
                    rest /= p;
                }
            }
            rest == 1 && length.is_multiple_of(2)
        };
        let length = (2 * n..4 * n).find(smooth).unwrap_or(4 * n);
        Self(RealTransform::new(length))
    }

    pub(super) fn new_scratch(&self) -> CorrelatorScratch {
        let (padded, half, work) = self.0.new_buffers();
        CorrelatorScratch { padded, half, work }
    }

    /// `r[k] = Σ_i x[i] x[i + k]` for each `k` that `out` has room for, at most the plan's `n`.
    pub(super) fn correlate_into(&self, x: &[f64], s: &mut CorrelatorScratch, out: &mut [f64]) -> Result<()> {
        self.0.forward(x, &mut s.padded, &mut s.half, &mut s.work)?;
        for v in &mut s.half {
            *v = Complex {
                re: v.norm_sqr(),
                im: 0.0,
            };
        }
        self.0.inverse(&mut s.half, &mut s.padded, &mut s.work)?;
        let scale = 1.0 / s.padded.len() as f64;
        for (r, v) in out.iter_mut().zip(&s.padded) {
            *r = scale * v;
        }
        Ok(())
    }
}

/// The lag at which `r / r[0]` first falls below `1/e`, on straight lines between lags; the number of lags where it does not.
pub(super) fn timescale(r: &[f64]) -> f64 {
    let level = r.first().map_or(f64::NAN, |r0| r0 / std::f64::consts::E);
    let crossing = r.windows(2).enumerate().find_map(|(i, pair)| match pair {
        [a, b] if *b < level => Some(i as f64 + (level - a) / (b - a)),
        _ => None,
    });
    crossing.unwrap_or(r.len() as f64)
}

/// The first lag at which `r` is not above zero; the number of lags where it always is.
pub(super) fn first_zero(r: &[f64]) -> usize {
    r.iter().position(|v| *v <= 0.0).unwrap_or(r.len())
}

/// The same on straight lines between lags.
pub(super) fn zero_crossing(r: &[f64]) -> f64 {
    let i = first_zero(r);
    match (i.checked_sub(1).and_then(|i| r.get(i)), r.get(i)) {
        (Some(a), Some(b)) => i as f64 - 1.0 + a / (a - b),
        _ => i as f64,
    }
}

/// The first lag at which `r` is below both neighbours; the number of lags where it is nowhere.
pub(super) fn first_minimum(r: &[f64]) -> f64 {
    let minimum = |w: &[f64]| matches!(w, [a, b, c] if b < a && b < c);
    r.windows(3).position(minimum).map_or(r.len(), |i| i + 1) as f64
}

/// The first lag from 2 at which the mutual information of normal variables, `-½ ln(1 - ρ²)`, is below that of both
/// neighbours; the longest lag, 40 or half the window, where it is nowhere. `ρ` is the correlation of the pairs that far
/// apart, about their own means.
///
/// The logarithm is monotonic: `ρ²` has its minima where the information has.
pub(super) fn information_timescale(z: &[f64], r: &[f64]) -> f64 {
    const LONGEST: usize = 40;
    let n = z.len();
    let longest = LONGEST.min(n.div_ceil(2));
    let (sum, squares) = z.iter().fold((0.0, 0.0), |(a, b), v| (a + v, b + v * v));
    // Sums over the pairs' first and second members: all but the last, all but the first `lag`.
    let (mut first, mut second) = ((sum, squares), (sum, squares));
    let mut window = [f64::NAN; 3];
    let ends = z.iter().rev().zip(z).zip(r.iter().skip(1)).enumerate();
    for (i, ((last, begin), r)) in ends.take(longest) {
        let lag = i + 1;
        let pairs = (n - lag) as f64;
        first = (first.0 - last, first.1 - last * last);
        second = (second.0 - begin, second.1 - begin * begin);
        let covariance = r - first.0 * second.0 / pairs;
        let variance = |(sum, squares): (f64, f64)| squares - sum * sum / pairs;
        window = [
            window[1],
            window[2],
            covariance * covariance / (variance(first) * variance(second)),
        ];
        if window[1] < window[0] && window[1] < window[2] {
            return (lag - 1) as f64;
        }
    }
    longest as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn transforms_correlate_as_sums_do(x in prop::collection::vec(-1.0..1.0_f64, 2..60), room in 0..20_usize) {
            let plan = Correlator::new(x.len() + room);
            let mut r = vec![0.0; x.len()];
            plan.correlate_into(&x, &mut plan.new_scratch(), &mut r).unwrap();
            for (k, r) in r.iter().enumerate() {
                let sum: f64 = x.iter().zip(&x[k..]).map(|(a, b)| a * b).sum();
                // A transform of 240 points rounds eight times, at the size of r[0] < 60.
                prop_assert!((r - sum).abs() < 1e-13, "{k}: {r} {sum}");
            }
        }
    }

    #[test]
    fn crossings_lie_between_lags() {
        let r = [1.0, 0.5, -0.5, -0.2, -0.3];
        assert_eq!((first_zero(&r), zero_crossing(&r), first_minimum(&r)), (2, 1.5, 2.0));
        assert!((timescale(&r) - (1.0 + 0.5 - (-1.0_f64).exp())).abs() < 1e-15);
        let above = [1.0, 0.9, 0.8];
        assert_eq!((first_zero(&above), zero_crossing(&above)), (3, 3.0));
        assert_eq!((timescale(&above), first_minimum(&above)), (3.0, 3.0));
    }
}
