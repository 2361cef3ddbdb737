//! Exponentials and sums of many numbers, several abreast: the same bits on every machine, whatever its vectors.

const LANES: usize = 8;

/// The exponential of one number between -708 and 709, to two units in the last place: `2^n exp(r)`, Taylor's series of `r`
/// up to the thirteenth power (what is left out is below 4e-18).
#[inline(always)]
fn exp(x: f64) -> f64 {
    /// 1.5 * 2^52: adding it rounds to a whole number that stands in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const SERIES: [f64; 12] = [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
    ];
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut sum = SERIES[0];
    for c in &SERIES[1..] {
        sum = sum * r + c;
    }
    // The sum times r² is small beside r, r beside 1.
    let e = 1.0 + (r + r * r * sum);
    e * f64::from_bits((shifted.to_bits().wrapping_add(1023)) << 52)
}

/// Turns each number into its exponential; those below -708 count as -708, above 709 as infinity. NaN stays.
pub(super) fn exp_in_place(x: &mut [f64]) {
    for v in x.iter_mut() {
        let held = if *v < -708.0 { -708.0 } else { *v };
        let held = if held > 709.0 { 709.0 } else { held };
        let e = exp(held);
        *v = if *v > 709.0 { f64::INFINITY } else { e };
    }
}

/// The sum of products.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (blocks_a, rest_a) = a.as_chunks::<LANES>();
    let (blocks_b, rest_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in blocks_a.iter().zip(blocks_b) {
        for ((s, x), y) in sums.iter_mut().zip(x).zip(y) {
            *s += x * y;
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

/// The sum.
pub(super) fn sum(a: &[f64]) -> f64 {
    let (blocks, rest) = a.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for x in blocks {
        for (s, x) in sums.iter_mut().zip(x) {
            *s += x;
        }
    }
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// Adds `c x` to `out`.
pub(super) fn add_scaled(out: &mut [f64], c: f64, x: &[f64]) {
    for (o, x) in out.iter_mut().zip(x) {
        *o += c * x;
    }
}

/// `out = a * b`, number by number.
pub(super) fn multiply(out: &mut [f64], a: &[f64], b: &[f64]) {
    for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
        *o = a * b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_libm() {
        let xs: Vec<f64> = (0..200_000)
            .map(|i| -708.0 + 1417.0 * f64::from(i) / 200_000.0)
            .collect();
        let mut es = xs.clone();
        exp_in_place(&mut es);
        for (x, e) in xs.iter().zip(&es) {
            let expected = libm::exp(*x);
            assert!((e - expected).abs() <= 4.5e-16 * expected, "{x}: {e} {expected}");
        }
        let mut odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 710.0, -800.0, 0.0, -0.0];
        exp_in_place(&mut odd);
        assert!(odd[0].is_nan() && odd[1] == f64::INFINITY && odd[3] == f64::INFINITY);
        assert!(odd[2] > 0.0 && odd[2] < 1e-307 && odd[4] == odd[2] && odd[5] == 1.0 && odd[6] == 1.0);
    }

    #[test]
    fn sums_of_every_length() {
        for n in 0..30 {
            let a: Vec<f64> = (0..n).map(f64::from).collect();
            let b: Vec<f64> = (0..n).map(|i| f64::from(2 * i + 1)).collect();
            assert_eq!(dot(&a, &b), a.iter().zip(&b).map(|(x, y)| x * y).sum::<f64>());
            assert_eq!(sum(&b), f64::from(n * n));
            let mut out = a.clone();
            add_scaled(&mut out, 2.0, &b);
            multiply(&mut out, &b.clone(), &b);
            assert!(out.iter().zip(&b).all(|(o, b)| *o == b * b));
        }
    }
}
