//! Natural logarithms of many numbers at once.

/// Bits of 1, and of the root of one half: mantissas are taken from there to the root of two.
const ONE: u64 = 0x3FF0_0000_0000_0000;
const ROOT_HALF: u64 = 0x3FE6_A09E_667F_3BCD;
const MANTISSA: u64 = 0x000F_FFFF_FFFF_FFFF;
/// 2^52: a whole number below it, in the bits below, is itself once 2^52 is taken off.
const WHOLE: u64 = 0x4330_0000_0000_0000;

/// `ln x` of normal `x > 0` within four units in the last place or 1e-16, by arithmetic alone: the compiler may put several
/// side by side, and the bits are the same everywhere. Below the least normal number it is near -708, the logarithm of that.
#[inline]
pub(super) fn ln(x: f64) -> f64 {
    let bits = x.to_bits().wrapping_add(ONE - ROOT_HALF);
    let exponent = f64::from_bits((bits >> 52) | WHOLE) - (4_503_599_627_370_496.0 + 1023.0);
    let m = f64::from_bits((bits & MANTISSA) + ROOT_HALF);
    // ln m = 2 atanh s = 2 s (1 + z / 3 + z² / 5 + ..) with z = s² < 0.0295: z^11 / 23 is below 1e-18.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let (z2, z4) = (z * z, (z * z) * (z * z));
    let low = (1.0 / 3.0 + z * (1.0 / 5.0)) + z2 * (1.0 / 7.0 + z * (1.0 / 9.0));
    let middle = (1.0 / 11.0 + z * (1.0 / 13.0)) + z2 * (1.0 / 15.0 + z * (1.0 / 17.0));
    let high = 1.0 / 19.0 + z * (1.0 / 21.0);
    let series = low + z4 * (middle + z4 * high);
    // ln 2 in two parts, the first of which times an exponent is exact.
    let (ln2_high, ln2_low) = (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10);
    exponent * ln2_high + (2.0 * s + (2.0 * s * z * series + exponent * ln2_low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_logarithm(x in prop::num::f64::POSITIVE.prop_filter("normal", |x| x.is_normal()), near in -0.5..0.5_f64) {
            for x in [x, 1.0 + near, 1.0 + 1e-9 * near] {
                let want = libm::log(x);
                prop_assert!((ln(x) - want).abs() <= 4.0 * f64::EPSILON * want.abs() + 1e-16, "{x:e}: {} {want}", ln(x));
            }
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(ln(1.0), 0.0);
        for x in [
            f64::MIN_POSITIVE,
            f64::MAX,
            2.0,
            0.5,
            std::f64::consts::SQRT_2,
            std::f64::consts::FRAC_1_SQRT_2,
        ] {
            assert!((ln(x) - x.ln()).abs() <= 4.0 * f64::EPSILON * x.ln().abs(), "{x:e}");
        }
        for x in [0.0, 5e-324, 1e-310] {
            assert!((-709.1..=-707.9).contains(&ln(x)), "{x:e}: {}", ln(x));
        }
    }
}
