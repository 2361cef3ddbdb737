//! Probabilities beyond a statistic when nothing has changed.

use crate::rul::degradation::gamma_above;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `P(K > x)` of Kolmogorov's distribution: `2 Σ (-1)^(k-1) exp(-2k²x²)`, and for small `x` the same by the theta function's
/// other series, `1 - √(2π)/x Σ exp(-(2k-1)²π²/(8x²))`. Five terms of either leave less than 1e-16 where they meet.
///
/// Source: A. Kolmogorov, *Giornale dell'Istituto Italiano degli Attuari* 4 (1933); N. Smirnov, *Annals of Mathematical
/// Statistics* 19 (1948), doi 10.1214/aoms/1177730256.
pub(super) fn kolmogorov_above(x: f64) -> f64 {
    if x.is_nan() || x < 0.04 {
        return 1.0; // 1 - 1e-330
    }
    let sum = |term: &dyn Fn(f64) -> f64| (1..=5).rev().map(|k| term(f64::from(k))).sum::<f64>();
    let above = if x < 1.0 {
        let exponent = PI * PI / (8.0 * x * x);
        let odd = |k: f64| (2.0 * k - 1.0) * (2.0 * k - 1.0);
        1.0 - (2.0 * PI).sqrt() / x * sum(&|k| libm::exp(-odd(k) * exponent))
    } else {
        2.0 * sum(&|k| (if k % 2.0 == 1.0 { 1.0 } else { -1.0 }) * libm::exp(-2.0 * k * k * x * x))
    };
    above.clamp(0.0, 1.0)
}

/// `P(X > x)` of the chi-squared distribution; 1 without a degree of freedom.
pub(super) fn chi_squared_above(x: f64, degrees: usize) -> f64 {
    if degrees == 0 || x.is_nan() {
        return 1.0;
    }
    if x == f64::INFINITY {
        return 0.0;
    }
    gamma_above(0.5 * degrees as f64, 0.5 * x).clamp(0.0, 1.0)
}

/// `P(Z > z)` of the standard normal distribution.
pub(super) fn normal_above(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// The most that the chance of a mean of `n` independent numbers from 0 to 1 at or below `mean` can be, where each is expected
/// to be `expected` or more: `exp(-n KL(mean || expected))`.
///
/// Source: W. Hoeffding, *Journal of the American Statistical Association* 58 (1963), theorem 1, doi
/// 10.1080/01621459.1963.10500830.
pub(super) fn hoeffding_below(mean: f64, expected: f64, n: f64) -> f64 {
    if mean.is_nan() || expected.is_nan() || mean >= expected || n <= 0.0 {
        return 1.0;
    }
    let (mean, expected) = (mean.clamp(0.0, 1.0), expected.clamp(0.0, 1.0));
    let part = |m: f64, e: f64| {
        if m <= 0.0 {
            0.0
        } else if e <= 0.0 {
            f64::INFINITY
        } else {
            m * libm::log(m / e)
        }
    };
    let divergence = part(mean, expected) + part(1.0 - mean, 1.0 - expected);
    libm::exp(-n * divergence.max(0.0))
}

/// One-sided p-value of Wilcoxon, Mann and Whitney: how likely `new` would lie this far above `old` (sorted) if both were
/// drawn alike. Normal approximation with correction for continuity, ties counted half and not taken off the variance: both
/// err to the side of no finding, as the approximation itself does for few values (the exact distribution ends, the normal
/// one does not).
///
/// Source: H. B. Mann and D. R. Whitney, *Annals of Mathematical Statistics* 18 (1947), doi 10.1214/aoms/1177730491.
pub(super) fn ranks_above(new: &[f64], old: &[f64]) -> f64 {
    let (n, m) = (new.len() as f64, old.len() as f64);
    if n == 0.0 || m == 0.0 {
        return 1.0;
    }
    let below = |x: &f64| {
        let less = old.partition_point(|o| o < x);
        let at_most = old.partition_point(|o| o <= x);
        0.5 * (less + at_most) as f64
    };
    let u: f64 = new.iter().map(below).sum(); // multiples of a half: exact in any order
    let spread = (n * m * (n + m + 1.0) / 12.0).sqrt();
    normal_above((u - 0.5 * n * m - 0.5) / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_series_meet() {
        let (below, above) = (kolmogorov_above(1.0_f64.next_down()), kolmogorov_above(1.0));
        assert!((below - above).abs() < 2e-15 && (above - 0.269_999_671_677_354_5).abs() < 2e-15);
        assert_eq!((kolmogorov_above(0.0), kolmogorov_above(f64::NAN)), (1.0, 1.0));
        assert_eq!((kolmogorov_above(f64::INFINITY), kolmogorov_above(-1.0)), (0.0, 1.0));
    }

    #[test]
    fn chi_squared_of_two_degrees_is_exponential() {
        for x in [0.0, 0.3, 5.0, 60.0] {
            assert!((chi_squared_above(x, 2) - libm::exp(-0.5 * x)).abs() < 1e-14);
        }
        assert_eq!((chi_squared_above(3.0, 0), chi_squared_above(f64::NAN, 3)), (1.0, 1.0));
        assert_eq!(chi_squared_above(f64::INFINITY, 3), 0.0);
    }

    #[test]
    fn no_hit_of_n_has_the_chance_of_n_misses() {
        assert!((hoeffding_below(0.0, 0.9, 5.0) - 1e-5).abs() < 1e-18);
        assert_eq!(hoeffding_below(0.9, 0.9, 50.0), 1.0);
        assert_eq!(hoeffding_below(0.5, 1.0, 1.0), 0.0);
        // Never below the exact binomial tail: 10 of 20 at 0.8.
        let exact: f64 = (0..=10)
            .map(|k| {
                let choose: f64 = (0..k).map(|i| f64::from(20 - i) / f64::from(i + 1)).product();
                choose * 0.8_f64.powi(k) * 0.2_f64.powi(20 - k)
            })
            .sum();
        let bound = hoeffding_below(0.5, 0.8, 20.0);
        assert!(exact < bound && bound < 10.0 * exact, "{exact} {bound}");
    }

    #[test]
    fn ranks_are_cautious_with_few_machines() {
        let old: Vec<f64> = (0..100).map(f64::from).collect();
        // Exactly: one in 101, and one in 101 102 103 / 6 = 176,851.
        assert!(ranks_above(&[1e9], &old) > 1.0 / 101.0);
        let three = ranks_above(&[1e9; 3], &old);
        assert!(three > 1.0 / 176_851.0 && three < 0.01, "{three}");
        assert!((ranks_above(&[49.5], &old) - 0.5).abs() < 0.01);
        assert!(ranks_above(&[-1.0; 5], &old) > 0.99);
        assert_eq!((ranks_above(&[], &old), ranks_above(&[1.0], &[])), (1.0, 1.0));
    }
}
