//! Removal of the mean or of a straight line.

use serde::{Deserialize, Serialize};

/// What is taken out of a stretch of samples before it is looked at.
///
/// NaN or infinity among the samples makes all of them NaN, unless nothing is taken out.
///
/// ```
/// use prognos::signal::Detrend;
/// let mut x = [1.0, 3.0, 5.0, 8.0, 8.0];
/// Detrend::Linear.apply_in_place(&mut x);
/// let expected = [-0.2, -0.1, 0.0, 1.1, -0.8]; // what scipy.signal.detrend gives
/// assert!(x.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detrend {
    /// Nothing.
    None,
    /// The mean; the default.
    #[default]
    Mean,
    /// The straight line of least squares.
    Linear,
}

impl Detrend {
    /// Takes it out of `x`, in place; O(n), nothing is allocated.
    pub fn apply_in_place(self, x: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Mean => {
                let mean = mean_of(x);
                x.iter_mut().for_each(|v| *v -= mean);
            }
            Self::Linear => {
                let (mean, slope) = line_of(x);
                let centre = 0.5 * (x.len() as f64 - 1.0);
                for (i, v) in x.iter_mut().enumerate() {
                    *v = *v - mean - slope * (i as f64 - centre);
                }
            }
        }
    }
}

/// Mean, and slope a sample, of the line of least squares. The slope of a single sample is 0.
pub(crate) fn line_of(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = mean_of(x);
    if x.len() < 2 {
        return (mean, 0.0);
    }
    let centre = 0.5 * (n - 1.0);
    // Taken about the mean, so that a large offset does not drown the slope.
    let sum: f64 = x
        .iter()
        .enumerate()
        .map(|(i, v)| (i as f64 - centre) * (v - mean))
        .sum();
    (mean, sum / (n * (n * n - 1.0) / 12.0))
}

/// Mean of `x`, taken about the first of them: exact where all are equal, and without cancellation where a large
/// offset carries a small signal. NaN without samples.
pub(crate) fn mean_of(x: &[f64]) -> f64 {
    const LANES: usize = 8; // sums side by side, in vector registers
    let Some(&first) = x.first() else {
        return f64::NAN;
    };
    let mut sums = [0.0; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|x| x - first).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x - first;
        }
    }
    first + (sums.iter().sum::<f64>() + rest) / x.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_mean_moves_with_the_samples(x in prop::collection::vec(-1.0..1.0_f64, 1..100), offset in -1e6..1e6_f64) {
            let moved: Vec<f64> = x.iter().map(|v| v + offset).collect();
            prop_assert!((mean_of(&moved) - offset - mean_of(&x)).abs() < 4.0 * f64::EPSILON * (offset.abs() + 1.0));
            prop_assert_eq!(mean_of(&vec![offset; x.len()]), offset);
        }

        #[test]
        fn lines_vanish_and_residues_are_orthogonal_to_them(
            x in prop::collection::vec(-1.0..1.0_f64, 1..100), offset in -1e3..1e3_f64, slope in -10.0..10.0_f64,
        ) {
            let mut line: Vec<f64> = (0..x.len()).map(|i| offset + slope * i as f64).collect();
            let mut sum: Vec<f64> = x.iter().zip(&line).map(|(x, l)| x + l).collect();
            let mut alone = x.clone();
            for v in [&mut line, &mut sum, &mut alone] {
                Detrend::Linear.apply_in_place(v);
            }
            prop_assert!(line.iter().all(|v| v.abs() < 1e-11));
            prop_assert!(sum.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-11));
            let moment: f64 = alone.iter().enumerate().map(|(i, v)| i as f64 * v).sum();
            prop_assert!(alone.iter().sum::<f64>().abs() < 1e-12 && (x.len() < 2 || moment.abs() < 1e-10));
        }
    }

    #[test]
    fn bad_and_empty_samples_do_not_panic() {
        for d in [Detrend::None, Detrend::Mean, Detrend::Linear] {
            d.apply_in_place(&mut []);
            let mut one = [5.0];
            d.apply_in_place(&mut one);
            assert_eq!(one[0], if d == Detrend::None { 5.0 } else { 0.0 });
            let mut bad = [1.0, f64::NAN, 2.0];
            d.apply_in_place(&mut bad);
            assert_eq!(bad[0].is_nan(), d != Detrend::None);
        }
    }
}
