//! Steps from one sample to the next.

use super::{bins::EvenBins, distribution::quantile};

/// The share of steps above 0.04 standard deviations.
pub(super) fn large_steps(increments: &[f64]) -> f64 {
    let large = increments.iter().filter(|d| d.abs() * 1000.0 > 40.0).count();
    large as f64 / increments.len() as f64
}

/// The mean cube of the steps: above zero for slow falls and fast rises.
pub(super) fn asymmetry(increments: &[f64]) -> f64 {
    increments.iter().map(|d| d * d * d).sum::<f64>() / increments.len() as f64
}

/// Work space of [`embedding_distance`].
#[derive(Clone, Debug)]
pub(super) struct EmbeddingScratch {
    distances: Vec<f64>,
    counts: Vec<u32>,
}

impl EmbeddingScratch {
    pub(super) fn new(n: usize) -> Self {
        Self {
            distances: Vec::with_capacity(n),
            counts: Vec::with_capacity(n),
        }
    }
}

/// How far the distances of successive points `(z[i], z[i + lag])` are from an exponential distribution of their mean: the
/// mean over the bins of a histogram of the difference of densities, the exponential's at the bin's centre.
///
/// The number of bins is the larger of Sturges' `⌈log₂ N⌉ + 1` and that of Freedman and Diaconis, `range N^⅓ / (2 IQR)`
/// rounded up, but at most the `N` distances. NaN where the distances are all the same.
pub(super) fn embedding_distance(increments: &[f64], lag: usize, s: &mut EmbeddingScratch) -> f64 {
    let pairs = increments.iter().zip(increments.get(lag..).unwrap_or_default());
    s.distances.clear();
    s.distances.extend(pairs.map(|(a, b)| (a * a + b * b).sqrt()));
    let d = &mut s.distances;
    let n = d.len();
    let mean = d.iter().sum::<f64>() / n as f64;
    let range = super::range_of(d);
    let spread = range.1 - range.0;
    // Below, what differs is rounding.
    if n < 2 || spread <= 1e-12 * range.1 {
        return f64::NAN;
    }
    let sturges = (usize::BITS - (n - 1).leading_zeros()) as usize + 1;
    let quartiles = (quantile(d, 0.25), quantile(d, 0.75));
    let width = 2.0 * (quartiles.1 - quartiles.0) / libm::cbrt(n as f64);
    let finest = if width > 0.0 { (spread / width).ceil() } else { 0.0 };
    let n_bins = sturges.max(finest.min(n as f64) as usize).min(n);
    let bins = EvenBins::new(range, n_bins);
    s.counts.clear();
    s.counts.resize(n_bins, 0);
    for v in d.iter() {
        if let Some(count) = s.counts.get_mut(bins.index(*v)) {
            *count += 1;
        }
    }
    let difference = |(i, count): (usize, &u32)| {
        let density = f64::from(*count) / (n as f64 * bins.width_of(i));
        (density - libm::exp(-bins.centre(i) / mean) / mean).abs()
    };
    s.counts.iter().enumerate().map(difference).sum::<f64>() / n_bins as f64
}
