//! The standard normal distribution and its tails, the same bits on every machine.

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

/// `P(Z <= z)`.
pub(super) fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
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
pub(super) fn hazard(z: f64) -> f64 {
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
    -quantile(0.5 * (1.0 - level))
}

/// Coefficients from the highest power down.
#[inline]
fn ratio(p: [f64; 8], q: [f64; 8], r: f64) -> f64 {
    let value = |c: [f64; 8]| c.into_iter().fold(0.0, |sum, c| sum * r + c);
    value(p) / value(q)
}

/// The standard normal quantile function for `0 < p < 1`, to 16 digits: Wichura's algorithm AS 241 (PPND16), Applied
/// Statistics 37 (1988), doi 10.2307/2347330. Without a logarithm for 85% of all `p`.
#[inline]
pub(super) fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(CENTRE.0, CENTRE.1, 0.180625 - q * q);
    }
    tail_quantile(p, q)
}

fn tail_quantile(p: f64, q: f64) -> f64 {
    let r = (-libm::log(if q < 0.0 { p } else { 1.0 - p })).sqrt();
    let z = if r <= 5.0 {
        ratio(TAIL.0, TAIL.1, r - 1.6)
    } else {
        ratio(FAR_TAIL.0, FAR_TAIL.1, r - 5.0)
    };
    if q < 0.0 { -z } else { z }
}

const CENTRE: ([f64; 8], [f64; 8]) = (
    [
        2.509_080_928_730_122_6e3,
        3.343_057_558_358_813e4,
        6.726_577_092_700_87e4,
        4.592_195_393_154_987e4,
        1.373_169_376_550_946e4,
        1.971_590_950_306_551_4e3,
        1.331_416_678_917_843_9e2,
        3.387_132_872_796_366_5e0,
    ],
    [
        5.226_495_278_852_854e3,
        2.872_908_573_572_194_4e4,
        3.930_789_580_009_271e4,
        2.121_379_430_158_659_5e4,
        5.394_196_021_424_751e3,
        6.871_870_074_920_579e2,
        4.231_333_070_160_091e1,
        1.0,
    ],
);

const TAIL: ([f64; 8], [f64; 8]) = (
    [
        7.745_450_142_783_414e-4,
        0.022_723_844_989_269_187,
        2.417_807_251_774_506e-1,
        1.270_458_252_452_368_4e0,
        3.647_848_324_763_204_5e0,
        5.769_497_221_460_691e0,
        4.630_337_846_156_546e0,
        1.423_437_110_749_683_5e0,
    ],
    [
        1.050_750_071_644_416_9e-9,
        5.475_938_084_995_345e-4,
        0.015_198_666_563_616_457,
        1.481_039_764_274_800_8e-1,
        6.897_673_349_851e-1,
        1.676_384_830_183_803_8e0,
        2.053_191_626_637_759e0,
        1.0,
    ],
);

const FAR_TAIL: ([f64; 8], [f64; 8]) = (
    [
        2.010_334_399_292_288e-7,
        2.711_555_568_743_487_6e-5,
        1.242_660_947_388_078_5e-3,
        0.026_532_189_526_576_12,
        2.965_605_718_285_048_8e-1,
        1.784_826_539_917_291_3e0,
        5.463_784_911_164_114e0,
        6.657_904_643_501_103e0,
    ],
    [
        2.044_263_103_389_939_7e-15,
        1.421_511_758_316_446e-7,
        1.846_318_317_510_054_5e-5,
        7.868_691_311_456_133e-4,
        1.487_536_129_085_061_5e-2,
        1.369_298_809_227_358e-1,
        5.998_322_065_558_88e-1,
        1.0,
    ],
);

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

    #[test]
    fn quantiles_undo_the_distribution_function() {
        // erfc has a relative error of an ulp or two; the quantile's error is that times Φ(z) / (z φ(z)) and its own.
        for z in [
            -8.0, -6.0, -5.0, -3.5, -2.0, -1.5, -1.0, -0.3, -1e-3, 0.2, 0.7, 1.2, 1.9,
        ] {
            let back = quantile(cdf(z));
            assert!((back - z).abs() < 4e-15 * z.abs().max(1.0), "{z}: {back}");
        }
        // Tabulated (Abramowitz and Stegun, table 26.5).
        assert!((quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
        assert!((quantile(1e-9) + 5.997_807_015_007_687).abs() < 1e-13);
        assert_eq!(quantile(0.5), 0.0);
    }
}
