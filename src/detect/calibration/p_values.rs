//! One p-value of several.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// How the p-values of several detectors become one: small where the row is anomalous.
///
/// | Rule | Statistic of `k` p-values | Holds its level | Sees best |
/// |---|---|---|---|
/// | `Fisher` | `-2 Σ ln p`, chi-squared with `2k` degrees of freedom | independent p-values only | some evidence in several |
/// | `Stouffer` | `Σ Φ⁻¹(1 - p) / √k`, normal | independent only | weak evidence in all |
/// | `HarmonicMean` | `k / Σ 1/p` as it is | about, for small values, under many dependences | one of them strong, others correlated |
/// | `Cauchy` | mean of `tan((1/2 - p) π)`, Cauchy | as the level goes to 0, under many dependences | as the harmonic mean |
/// | `Bonferroni` | `k min p` | under any dependence | one of them strong |
///
/// Detectors of one row look at the same sensors: their p-values are positively dependent, and Fisher's and Stouffer's rule
/// then give values that are too small, by much. The harmonic mean taken as a p-value is a little too small even for
/// independent ones (at 0.05 and ten of them, by about a fifth); times `e ln k`, for `k` of at least 3, it holds under any
/// dependence (Vovk & Wang 2020, <https://doi.org/10.1093/biomet/asaa027>). Only Bonferroni's holds always as it is.
///
/// NaN stands for a detector that says nothing of the row and is left out; without any other, or with a value outside
/// `[0, 1]`, the result is NaN. A value of 0 gives 0. By the rules of Cauchy and Stouffer a value of exactly 1 among
/// `k > 1` counts as `1 - 1/k`: it would outweigh all others, and it is common where a score has a least value, as sums
/// that rest at zero.
///
/// Sources: Fisher (1925), *Statistical Methods for Research Workers*; Stouffer et al. (1949), *The American Soldier*;
/// Wilson (2019), <https://doi.org/10.1073/pnas.1814092116>; Liu & Xie (2020),
/// <https://doi.org/10.1080/01621459.2018.1554485>.
///
/// ```
/// use prognos::detect::PValueRule;
/// let p = [0.01, 0.20, f64::NAN];
/// assert!((PValueRule::Fisher.combine(&p) - 0.014_429).abs() < 1e-6);
/// assert_eq!(PValueRule::Bonferroni.combine(&p), 0.02);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PValueRule {
    /// Fisher's sum of logarithms.
    Fisher,
    /// Stouffer's sum of normal quantiles.
    Stouffer,
    /// Wilson's harmonic mean.
    HarmonicMean,
    /// Liu and Xie's sum of Cauchy quantiles.
    Cauchy,
    /// The smallest, times their number.
    Bonferroni,
}

impl PValueRule {
    /// Every rule.
    pub const ALL: [Self; 5] = [
        Self::Fisher,
        Self::Stouffer,
        Self::HarmonicMean,
        Self::Cauchy,
        Self::Bonferroni,
    ];

    /// The name as printed and parsed: `fisher`, `stouffer`, `harmonic_mean`, `cauchy`, `bonferroni`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fisher => "fisher",
            Self::Stouffer => "stouffer",
            Self::HarmonicMean => "harmonic_mean",
            Self::Cauchy => "cauchy",
            Self::Bonferroni => "bonferroni",
        }
    }

    /// From its name.
    ///
    /// # Errors
    /// `InvalidParameter` for any other.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|r| r.name() == name);
        found.ok_or_else(|| {
            Error::parameter(
                "rule of p-values",
                "fisher, stouffer, harmonic_mean, cauchy or bonferroni",
                format!("`{name}`"),
            )
        })
    }

    /// The p-value of them all, in `[0, 1]` or NaN. `O(k)`, without allocation.
    pub fn combine(self, p: &[f64]) -> f64 {
        let known = || p.iter().copied().filter(|p| !p.is_nan());
        let k = known().count();
        if k == 0 || !known().all(|p| (0.0..=1.0).contains(&p)) {
            return f64::NAN;
        }
        let least = known().fold(1.0, f64::min);
        if least == 0.0 {
            return 0.0;
        }
        if k == 1 {
            return least;
        }
        let n = k as f64;
        let capped = |p: f64| if p == 1.0 { 1.0 - 1.0 / n } else { p };
        let combined = match self {
            Self::Fisher => chi_squared_tail(known().map(|p| -libm::log(p)).sum(), k),
            Self::Stouffer => {
                let sum: f64 = known().map(|p| upper_normal_quantile(capped(p))).sum();
                upper_normal_tail(sum / n.sqrt())
            }
            // Shares of the sum, so that it does not overflow.
            Self::HarmonicMean => least * n / known().map(|p| least / p).sum::<f64>(),
            Self::Cauchy => {
                let mean = known().map(|p| cauchy_quantile(capped(p)) / n).sum();
                libm::atan2(1.0, mean) / PI
            }
            Self::Bonferroni => n * least,
        };
        combined.clamp(0.0, 1.0)
    }
}

/// `P(X > 2 half)` of chi-squared with `2k` degrees of freedom: `exp(-half) Σ half^i / i!` over `i < k`.
fn chi_squared_tail(half: f64, k: usize) -> f64 {
    if half <= 0.0 {
        return 1.0;
    }
    let log_half = libm::log(half);
    let term = |i: usize| libm::exp(i as f64 * log_half - half - libm::lgamma(i as f64 + 1.0));
    (0..k).map(term).sum()
}

/// `tan((1/2 - p) π)`, exact to rounding near both ends.
fn cauchy_quantile(p: f64) -> f64 {
    match p <= 0.5 {
        true => 1.0 / libm::tan(PI * p),
        false => -1.0 / libm::tan(PI * (1.0 - p)),
    }
}

fn upper_normal_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// `Φ⁻¹(1 - p)`: rational approximations to 1e-16, Wichura (1988), algorithm AS 241, <https://doi.org/10.2307/2347330>.
/// Infinite at 0 and 1.
fn upper_normal_quantile(p: f64) -> f64 {
    let horner = |c: &[f64], x: f64| c.iter().rev().fold(0.0, |sum, c| sum * x + c);
    let q = 0.5 - p;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * horner(&CENTRE.0, r) / horner(&CENTRE.1, r);
    }
    // Each tail by its own small probability.
    let tail = p.min(1.0 - p);
    if tail <= 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = (-libm::log(tail)).sqrt();
    let z = match r <= 5.0 {
        true => horner(&NEAR.0, r - 1.6) / horner(&NEAR.1, r - 1.6),
        false => horner(&FAR.0, r - 5.0) / horner(&FAR.1, r - 5.0),
    };
    z.copysign(q)
}

/// Numerator and denominator for probabilities of 0.075 to 0.925.
const CENTRE: ([f64; 8], [f64; 8]) = (
    [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
);
/// For smaller ones, above `e^-25`.
const NEAR: ([f64; 8], [f64; 8]) = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);
/// For the smallest.
const FAR: ([f64; 8], [f64; 8]) = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_normal_quantile_is_the_inverse_of_the_tail() {
        for i in 0..=3000 {
            let p = libm::pow(10.0, -f64::from(i) / 10.0) * 0.7; // 0.7 to 7e-301
            let back = upper_normal_tail(upper_normal_quantile(p));
            // A relative error of z is one of z² in the tail; z² is 1380 at most.
            assert!((back - p).abs() <= 2e-12 * p, "{p:e} {back:e}");
        }
        assert_eq!(upper_normal_quantile(0.5), 0.0);
        assert_eq!(
            (upper_normal_quantile(0.0), upper_normal_quantile(1.0)),
            (f64::INFINITY, f64::NEG_INFINITY)
        );
    }

    #[test]
    fn edges() {
        for rule in PValueRule::ALL {
            assert_eq!(PValueRule::parse(rule.name()).unwrap(), rule);
            assert!(rule.combine(&[]).is_nan() && rule.combine(&[f64::NAN]).is_nan());
            for bad in [-0.1, 1.1, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(rule.combine(&[0.5, bad]).is_nan(), "{rule:?} {bad}");
            }
            assert_eq!(rule.combine(&[0.3, f64::NAN]), 0.3);
            assert_eq!(rule.combine(&[0.0, 1.0, 0.5]), 0.0);
            assert_eq!(rule.combine(&[1.0]), 1.0);
            let ones = rule.combine(&[1.0, 1.0]);
            assert!(ones > 0.49, "{rule:?} {ones}");
            for tiny in [5e-324, 1e-300] {
                let p = rule.combine(&[tiny; 3]);
                assert!((0.0..1e-280).contains(&p), "{rule:?} {p:e}");
            }
            // One that says nothing does not silence one that is sure.
            for ones in [&[1e-6, 1.0][..], &[1e-6, 1.0, 1.0]] {
                let p = rule.combine(ones);
                assert!((1e-7..0.02).contains(&p), "{rule:?} {p:e}");
            }
            // As many as will never come: no term overflows.
            let p = rule.combine(&[0.5; 5000]);
            assert!((0.3..=1.0).contains(&p), "{rule:?} {p}");
        }
        assert!(PValueRule::parse("tippett").is_err());
    }

    proptest! {
        /// Of two lists, the one with the smaller values has no larger result; the order means nothing.
        #[test]
        fn smaller_values_give_no_larger_result(p in prop::collection::vec(0.0..1.0_f64, 2..8), by in 0.0..1.0_f64, i in 0usize..8) {
            for rule in PValueRule::ALL {
                let all = rule.combine(&p);
                prop_assert!((0.0..=1.0).contains(&all));
                let mut less = p.clone();
                let i = i % p.len();
                less[i] *= by;
                prop_assert!(rule.combine(&less) <= all + 1e-12, "{:?}", rule);
                let mut turned = p.clone();
                turned.rotate_left(i);
                prop_assert!((rule.combine(&turned) - all).abs() <= 1e-9 * all, "{:?}", rule);
            }
        }

        /// Bonferroni's bound lies above the harmonic mean of the same.
        #[test]
        fn the_harmonic_mean_lies_between(p in prop::collection::vec(1e-6..1.0_f64, 2..8)) {
            let least = p.iter().copied().fold(1.0, f64::min);
            let mean = PValueRule::HarmonicMean.combine(&p);
            prop_assert!(mean >= least * (1.0 - 1e-12));
            prop_assert!(mean <= PValueRule::Bonferroni.combine(&p) * (1.0 + 1e-12));
        }
    }

    #[test]
    fn levels_hold_for_independent_values() {
        // A lattice that fills the cube evenly stands for independent uniform values (Roberts' R3 sequence).
        let n = 100_000;
        let part = |a: f64, i: usize| (0.5 + a * i as f64).fract();
        let draws: Vec<[f64; 3]> = (1..=n)
            .map(|i| {
                [
                    0.819_172_513_396_164_4,
                    0.671_043_606_703_789_2,
                    0.549_700_477_901_970_3,
                ]
                .map(|a| part(a, i))
            })
            .collect();
        for rule in PValueRule::ALL {
            for level in [0.01, 0.05] {
                let share = draws.iter().filter(|p| rule.combine(&p[..]) <= level).count() as f64 / n as f64;
                let (low, high) = match rule {
                    PValueRule::HarmonicMean => (1.0, 1.4), // as its documentation says
                    PValueRule::Bonferroni => (0.9, 1.01),
                    _ => (0.95, 1.05),
                };
                assert!(
                    (low * level..=high * level).contains(&share),
                    "{rule:?} {level}: {share}"
                );
            }
        }
    }
}
