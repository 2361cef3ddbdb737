//! Higuchi's fractal dimension.

use super::slope;
use crate::error::{Error, Result};

/// Higuchi's fractal dimension of the graph of a signal: 1 for a smooth curve, 1.5 for a random walk, 2 for noise.
///
/// For steps `k = 1 ..= k_max` and starts `m < k`, the length of the curve through every `k`-th sample is
/// `L_m(k) = Σ |x[m + i k] - x[m + (i - 1) k]| (n - 1) / (⌊(n - 1 - m) / k⌋ k²)`; the result is the slope of the logarithm of
/// its mean over `m` over `ln(1 / k)`.
///
/// NaN for a window not longer than `2 k_max`, a constant one, or one with NaN or infinity.
///
/// # Cost
/// `O(n k_max)`.
///
/// Source: Higuchi (1988), <https://doi.org/10.1016/0167-2789(88)90081-4>.
///
/// ```
/// use prognos::features::complexity::HiguchiDimension;
/// let line: Vec<f64> = (0..100).map(f64::from).collect();
/// assert!((HiguchiDimension::new(10)?.value(&line) - 1.0).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HiguchiDimension {
    k_max: usize,
}

impl HiguchiDimension {
    /// The dimension from steps up to `k_max`; 10 is common.
    ///
    /// # Errors
    /// `InvalidParameter` unless `k_max` is in 2..=1,024.
    pub fn new(k_max: usize) -> Result<Self> {
        if !(2..=1024).contains(&k_max) {
            return Err(Error::parameter("k_max", "in 2..=1024", k_max));
        }
        Ok(Self { k_max })
    }

    /// The dimension of a window.
    pub fn value(&self, x: &[f64]) -> f64 {
        if x.len() <= 2 * self.k_max || x.iter().any(|v| !v.is_finite()) {
            return f64::NAN;
        }
        let n = x.len();
        let length = |k: usize| {
            let of_start = |m: usize| {
                let steps = (n - 1 - m) / k;
                let ends = x.iter().skip(m).step_by(k).zip(x.iter().skip(m + k).step_by(k));
                let sum: f64 = ends.map(|(a, b)| (b - a).abs()).sum();
                sum * (n - 1) as f64 / (steps * k * k) as f64
            };
            (0..k).map(of_start).sum::<f64>() / k as f64
        };
        // A constant window has length zero, whose logarithm leaves no slope.
        let dimension = slope((1..=self.k_max).map(|k| (-libm::log(k as f64), libm::log(length(k)))));
        if dimension.is_finite() { dimension } else { f64::NAN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_fills_the_plane_and_bad_windows_have_none() {
        let noise: Vec<f64> = (0..2000_i64).map(|i| (i * i * 7919 % 1013) as f64).collect();
        let d = HiguchiDimension::new(10).unwrap();
        assert!((d.value(&noise) - 2.0).abs() < 0.1);
        let mut nan = noise.clone();
        nan[5] = f64::NAN;
        for bad in [&[][..], &noise[..20], &[1.0; 50], &nan] {
            assert!(d.value(bad).is_nan());
        }
        assert!(HiguchiDimension::new(1).is_err() && HiguchiDimension::new(usize::MAX).is_err());
    }
}
