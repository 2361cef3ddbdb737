//! The tail of the standard normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// From here on the error function gives way to a continued fraction.
const FAR: f64 = 30.0;
/// From here on the tail is its leading term, to the last bit of what a life can show.
const VERY_FAR: f64 = 1e6;

/// `z + 1/(z + 2/(z + 3/(z + ..)))`, the hazard for large `z` (Laplace); twelve terms are exact from 30 on.
fn fraction(z: f64) -> f64 {
    (1..=12).rev().fold(z, |below, k| z + f64::from(k) / below)
}

fn log_density(z: f64) -> f64 {
    -0.5 * z * z - 0.5 * libm::log(2.0 * PI)
}

/// `ln P(Z > z)`.
pub(super) fn log_survival(z: f64) -> f64 {
    if z > FAR {
        log_density(z) - libm::log(fraction(z))
    } else if z > 0.0 {
        libm::log(0.5 * libm::erfc(z * FRAC_1_SQRT_2))
    } else {
        libm::log1p(-0.5 * libm::erfc(-z * FRAC_1_SQRT_2))
    }
}

/// Density over survival, the slope of `-log_survival`.
pub(in crate::rul) fn hazard(z: f64) -> f64 {
    if z > FAR {
        fraction(z)
    } else {
        libm::exp(log_density(z)) / (0.5 * libm::erfc(z * FRAC_1_SQRT_2))
    }
}

/// The `z` at which `-log_survival` is `hazard > 0`, by Newton's rule.
///
/// `-log_survival` rises and is convex, so that from the second step on each comes from the right, and none goes past.
pub(super) fn at_hazard(target: f64) -> f64 {
    descend(0.0, |z| -log_survival(z) - target)
}

/// How much further than `z0` the hazard is `more > 0` higher than there.
pub(super) fn advance(z0: f64, more: f64) -> f64 {
    if z0 > VERY_FAR {
        // The hazard is z²/2 there.
        2.0 * more / (z0 + libm::hypot(z0, (2.0 * more).sqrt()))
    } else {
        let so_far = -log_survival(z0);
        let target = so_far + more;
        if z0 < -1.0 {
            at_hazard(target) - z0
        } else {
            descend(z0, |z| -log_survival(z) - target) - z0
        }
    }
}

fn descend(start: f64, excess: impl Fn(f64) -> f64) -> f64 {
    let mut z = start;
    // Few are needed; from -38 on each takes more than 1/40 off.
    for _ in 0..2000 {
        let step = excess(z) / hazard(z);
        if !step.is_finite() {
            break;
        }
        z -= step;
        if step.abs() <= 1e-14 * z.abs().max(1.0) {
            break;
        }
    }
    z
}

/// The deviate that a share `level` of all lies within, on both sides.
pub(super) fn two_sided(level: f64) -> f64 {
    at_hazard(-libm::log(0.5 * (1.0 - level)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tails() {
        // By SciPy 1.17: norm.logsf, norm.isf.
        for (z, log) in [
            (-3.0, -0.001_350_809_964_748_192_5),
            (0.0, -core::f64::consts::LN_2),
            (5.0, -15.064_998_393_988_727),
            (40.0, -804.608_442_013_753_9),
        ] {
            assert!(
                (log_survival(z) - log).abs() <= 2e-15 * f64::abs(log).max(1e-3),
                "{z}: {}",
                log_survival(z)
            );
        }
        assert!((two_sided(0.95) - 1.959_963_984_540_054).abs() < 1e-14);
        assert!((two_sided(0.9) - 1.644_853_626_951_472_2).abs() < 1e-14);
        // Both sides of the change of method agree.
        assert!((hazard(FAR) - fraction(FAR)).abs() < 1e-11);
        assert!((log_survival(FAR) - log_density(FAR) + libm::log(fraction(FAR))).abs() < 1e-11);
    }

    #[test]
    fn advancing_adds_hazard() {
        for z0 in [-60.0, -5.0, -1.0, 0.0, 3.0, 29.0, 31.0, 500.0, 1e5] {
            for more in [5e-4, 0.1, 1.0, 7.6] {
                let further = advance(z0, more);
                let gained = log_survival(z0) - log_survival(z0 + further);
                // What is told apart at z0: its hazard is about z0² / 2, and z0 + further is rounded.
                let tolerance = 1e-13 + 1e-15 * z0 * z0;
                assert!(
                    (gained - more).abs() < tolerance.max(1e-12 * more),
                    "{z0} {more}: {gained}"
                );
            }
        }
        assert!((advance(1e9, 1.0) - 1e-9).abs() < 1e-20 && advance(1e200, 1.0) == 1e-200);
    }
}
