//! How complex a signal is: entropies, compressibility, self-similarity.
//!
//! Each measure is made once with its parameters and asked about window after window; work space belongs to the caller.
//! A window that is too short, holds NaN or infinity, or is constant where that has no meaning gives NaN.

mod detrended_fluctuation;
mod higuchi;
mod lempel_ziv;
mod permutation_entropy;
mod sample_entropy;

pub use detrended_fluctuation::{DetrendedFluctuation, FluctuationScratch};
pub use higuchi::HiguchiDimension;
pub use lempel_ziv::{LempelZiv, LempelZivScratch};
pub use permutation_entropy::{PermutationEntropy, PermutationScratch};
pub use sample_entropy::{ApproximateEntropy, EntropyScratch, SampleEntropy};

/// Mean and population standard deviation; none where a value is not finite or the deviation is not.
fn mean_and_sd(x: &[f64]) -> Option<(f64, f64)> {
    let mean = crate::signal::mean_of(x);
    let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / x.len() as f64;
    (mean.is_finite() && variance.is_finite()).then(|| (mean, variance.sqrt()))
}

/// Slope of the line of least squares through points.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let n = points.clone().count() as f64;
    let (sx, sy) = points.clone().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (mx, my) = (sx / n, sy / n);
    let (num, den) = points.fold((0.0, 0.0), |(a, b), (x, y)| {
        (a + (x - mx) * (y - my), b + (x - mx) * (x - mx))
    });
    num / den
}
