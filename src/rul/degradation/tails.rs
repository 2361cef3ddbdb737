//! Probabilities of Student's and the gamma distribution, the same bits on every platform.

use crate::rul::normal;

/// The smallest divisor in a continued fraction.
const TINY: f64 = 1e-300;

/// `P(T >= t)` of Student's distribution with `df` degrees of freedom, which need not be whole.
pub(super) fn student_above(t: f64, df: f64) -> f64 {
    let square = t * t;
    let half = if square.is_finite() {
        0.5 * incomplete_beta(0.5 * df, 0.5, df / (df + square))
    } else {
        0.0
    };
    if t >= 0.0 { half } else { 1.0 - half }
}

/// The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22).
pub(super) fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let ln_front = a * libm::log(x) + b * libm::log1p(-x) + libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b);
    let held = |v: f64| if v.abs() < TINY { TINY } else { v };
    let (mut c, mut d) = (1.0, 1.0 / held(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / held(1.0 + term * d);
            c = held(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (libm::exp(ln_front) * fraction / a).clamp(0.0, 1.0)
}

/// `P(G >= x)` of a gamma variable `G` of `shape` and scale 1: the regularised upper incomplete gamma function. Above a shape
/// of 1e5 by the cube root of Wilson and Hilferty, which is wrong by less than 1e-6 there.
pub(crate) fn gamma_above(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if shape <= 0.0 {
        return 0.0;
    }
    if shape > 1e5 {
        let ninth = 1.0 / (9.0 * shape);
        return normal::cdf(-(libm::cbrt(x / shape) - 1.0 + ninth) / ninth.sqrt());
    }
    let front = libm::exp(shape * libm::log(x) - x - libm::lgamma(shape));
    if x < shape + 1.0 {
        // The series of the lower function (DLMF 8.7.1).
        let (mut term, mut sum, mut n) = (1.0 / shape, 1.0 / shape, shape);
        for _ in 0..20_000 {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    // The continued fraction of the upper one (DLMF 8.9.2).
    let mut b = x + 1.0 - shape;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut fraction = d;
    for i in 1..20_000 {
        let term = -f64::from(i) * (f64::from(i) - shape);
        b += 2.0;
        let held = |v: f64| if v.abs() < TINY { TINY } else { v };
        d = 1.0 / held(term * d + b);
        c = held(b + term / c);
        let change = c * d;
        fraction *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn closed_forms() {
        // P(T >= t) is 1/2 - atan(t)/π with one degree of freedom, (1 - t/√(2 + t²))/2 with two.
        for t in [-5.0, -0.3, 0.0, 0.5, 3.0, 1e3] {
            let two = 0.5 * (1.0 - t / libm::sqrt(2.0 + t * t));
            assert!(
                (student_above(t, 1.0) - (0.5 - libm::atan(t) / PI)).abs() < 1e-13,
                "{t}"
            );
            assert!((student_above(t, 2.0) - two).abs() < 1e-13, "{t}");
        }
        // P(G >= x) is exp(-x) for shape 1, exp(-x)(1 + x) for shape 2.
        for x in [1e-6, 0.5, 2.0, 30.0] {
            assert!((gamma_above(1.0, x) - libm::exp(-x)).abs() < 1e-14);
            assert!((gamma_above(2.0, x) - libm::exp(-x) * (1.0 + x)).abs() < 1e-14);
        }
        // The two ways to the gamma function meet.
        for z in [-3.0, 0.0, 2.0] {
            let x = 1e5 + z * libm::sqrt(1e5);
            assert!(
                (gamma_above(1e5, x) - gamma_above(1e5 * (1.0 + 1e-12), x)).abs() < 1e-6,
                "{z}"
            );
        }
        assert_eq!((student_above(f64::INFINITY, 3.0), normal::cdf(-40.0)), (0.0, 0.0));
    }
}
