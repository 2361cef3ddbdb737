//! Sample and approximate entropy.

use super::mean_and_sd;
use crate::error::{Error, Result};

/// Windows longer than this have no entropy here: the work grows with their square.
const MOST_SAMPLES: usize = 1 << 17;

/// Sample entropy: how likely stretches that were alike stay alike for one sample more, `-ln(A / B)`.
///
/// With the first `n - m` stretches of `m` samples, `B` is the number of pairs whose samples all differ by `r` at most, and `A`
/// the number of those that do so for `m + 1` samples; `r` is a fraction of the window's standard deviation. Small for
/// regular signals, about 2.2 for noise at `m = 2, r = 0.2`.
///
/// Infinite where no pair stays alike; NaN where none is alike to begin with, for a constant window, one shorter than `m + 2`
/// or longer than 2^17, or with NaN or infinity in it.
///
/// # Cost
/// `O(n²)` comparisons at worst, mostly ended at the first sample.
///
/// Source: Richman & Moorman (2000), <https://doi.org/10.1152/ajpheart.2000.278.6.H2039>.
///
/// ```
/// use prognos::features::complexity::SampleEntropy;
/// let x: Vec<f64> = (0..200).map(|i| (0.3 * f64::from(i)).sin()).collect();
/// let entropy = SampleEntropy::new(2, 0.2)?;
/// assert!(entropy.value(&x, &mut entropy.new_scratch()) < 0.3);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleEntropy(Embedding);

/// Approximate entropy: `Φ(m) - Φ(m + 1)`, with `Φ(m)` the mean over stretches of `m` samples of the logarithm of the share of
/// stretches, itself included, that are alike within `r`.
///
/// Biased towards regularity by the self-matches; kept for comparison with published figures. NaN as [`SampleEntropy`], and
/// never infinite.
///
/// # Cost
/// `O(n²)` comparisons at worst.
///
/// Source: Pincus (1991), <https://doi.org/10.1073/pnas.88.6.2297>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApproximateEntropy(Embedding);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Embedding {
    length: usize,
    tolerance: f64,
}

/// Work space of one thread for [`SampleEntropy`] and [`ApproximateEntropy`].
#[derive(Clone, Debug, Default)]
pub struct EntropyScratch {
    short: Vec<u32>,
    long: Vec<u32>,
}

impl Embedding {
    fn new(length: usize, tolerance: f64) -> Result<Self> {
        if !(1..=16).contains(&length) {
            return Err(Error::parameter("length", "in 1..=16 samples", length));
        }
        if !(tolerance.is_finite() && tolerance > 0.0) {
            return Err(Error::parameter("tolerance", "finite and above 0", tolerance));
        }
        Ok(Self { length, tolerance })
    }

    /// The largest difference that counts as alike; none for windows without an answer.
    fn radius(&self, x: &[f64]) -> Option<f64> {
        if !(self.length + 2..=MOST_SAMPLES).contains(&x.len()) {
            return None;
        }
        let (_, sd) = mean_and_sd(x)?;
        let varies = x.windows(2).any(|w| w.first() != w.last());
        varies.then_some(self.tolerance * sd)
    }

    /// Whether the stretches from `a` and `b`, of at least `length` samples, are alike.
    fn alike(&self, a: &[f64], b: &[f64], radius: f64) -> bool {
        a.iter().zip(b).take(self.length).all(|(a, b)| (a - b).abs() <= radius)
    }
}

impl SampleEntropy {
    /// For stretches of `length` samples and a tolerance in standard deviations; 2 and 0.2 are common.
    ///
    /// # Errors
    /// `InvalidParameter` unless the length is in 1..=16 and the tolerance finite and above 0.
    pub fn new(length: usize, tolerance: f64) -> Result<Self> {
        Embedding::new(length, tolerance).map(Self)
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> EntropyScratch {
        EntropyScratch::default()
    }

    /// The entropy of a window.
    pub fn value(&self, x: &[f64], _scratch: &mut EntropyScratch) -> f64 {
        let Some(radius) = self.0.radius(x) else {
            return f64::NAN;
        };
        let m = self.0.length;
        let (mut short, mut long) = (0_u64, 0_u64);
        // Every stretch has a sample after it.
        for (i, a) in x.windows(m + 1).enumerate() {
            for b in x.get(i + 1..).unwrap_or_default().windows(m + 1) {
                if self.0.alike(a, b, radius) {
                    short += 1;
                    let ends = a.last().zip(b.last());
                    long += u64::from(ends.is_some_and(|(a, b)| (a - b).abs() <= radius));
                }
            }
        }
        match (short, long) {
            (0, _) => f64::NAN,
            (_, 0) => f64::INFINITY,
            _ => libm::log(short as f64 / long as f64),
        }
    }
}

impl ApproximateEntropy {
    /// For stretches of `length` samples and a tolerance in standard deviations.
    ///
    /// # Errors
    /// As [`SampleEntropy::new`].
    pub fn new(length: usize, tolerance: f64) -> Result<Self> {
        Embedding::new(length, tolerance).map(Self)
    }

    /// Work space for one thread; it grows to the longest window.
    pub fn new_scratch(&self) -> EntropyScratch {
        EntropyScratch::default()
    }

    /// The entropy of a window.
    pub fn value(&self, x: &[f64], scratch: &mut EntropyScratch) -> f64 {
        let Some(radius) = self.0.radius(x) else {
            return f64::NAN;
        };
        let EntropyScratch { short, long } = scratch;
        let m = self.0.length;
        let (n_short, n_long) = (x.len() - m + 1, x.len() - m);
        // Each is alike to itself.
        for (counts, n) in [(&mut *short, n_short), (&mut *long, n_long)] {
            counts.clear();
            counts.resize(n, 1);
        }
        for (i, a) in x.windows(m).enumerate() {
            for (k, b) in x.get(i + 1..).unwrap_or_default().windows(m).enumerate() {
                let j = i + 1 + k;
                if !self.0.alike(a, b, radius) {
                    continue;
                }
                for place in [i, j] {
                    if let Some(c) = short.get_mut(place) {
                        *c += 1;
                    }
                }
                if let (Some(a), Some(b)) = (x.get(i + m), x.get(j + m))
                    && (a - b).abs() <= radius
                {
                    for place in [i, j] {
                        if let Some(c) = long.get_mut(place) {
                            *c += 1;
                        }
                    }
                }
            }
        }
        let phi = |counts: &[u32]| {
            let n = counts.len() as f64;
            counts.iter().map(|c| libm::log(f64::from(*c) / n)).sum::<f64>() / n
        };
        phi(short) - phi(long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256Plus;

    #[test]
    fn regular_signals_have_little_and_bad_windows_none() {
        let (sample, approximate) = (
            SampleEntropy::new(2, 0.2).unwrap(),
            ApproximateEntropy::new(2, 0.2).unwrap(),
        );
        let mut s = EntropyScratch::default();
        let regular: Vec<f64> = (0..300).map(|i| f64::from(i % 4)).collect();
        let mut rng = Xoshiro256Plus::seed_from_u64(1);
        let noise: Vec<f64> = (0..300).map(|_| rng.r#gen::<f64>()).collect();
        assert!(sample.value(&regular, &mut s) < 0.05 && approximate.value(&regular, &mut s).abs() < 0.05);
        assert!(sample.value(&noise, &mut s) > 1.5 && approximate.value(&noise, &mut s) > 0.5);
        let mut nan = noise.clone();
        nan[3] = f64::NAN;
        for bad in [&[][..], &[1.0, 2.0, 3.0], &[2.0; 50], &nan, &[f64::INFINITY; 20]] {
            assert!(sample.value(bad, &mut s).is_nan() && approximate.value(bad, &mut s).is_nan());
        }
        // Four far samples are alike to none.
        assert!(sample.value(&[0.0, 10.0, -30.0, 90.0, 400.0], &mut s).is_nan());
        assert!(SampleEntropy::new(0, 0.2).is_err() && SampleEntropy::new(2, f64::NAN).is_err());
        assert!(ApproximateEntropy::new(17, 0.2).is_err() && ApproximateEntropy::new(2, 0.0).is_err());
    }
}
