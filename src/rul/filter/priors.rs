//! What recorded lives say of a new machine before its first reading.

use super::belief::GaussianBelief;
use crate::{
    error::{Error, Result},
    rul::{RecordedLife, lives_in_order::quantile},
};

/// The distribution over the states of new machines, from one estimate a life (in any order): their mean, and their covariance
/// for one machine more, with the correlations shrunk towards none where lives are few, and the squares of `floor` added.
pub(super) fn prior_of<const K: usize>(mut rows: Vec<[f64; K]>, floor: [f64; K]) -> Result<GaussianBelief> {
    // Sums must not depend on the order of lives.
    rows.sort_unstable_by(|a, b| {
        let differing = a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne());
        differing.unwrap_or(std::cmp::Ordering::Equal)
    });
    let n = rows.len() as f64;
    let mut mean = [0.0; K];
    for row in &rows {
        mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n);
    }
    let shrunk = (n - 1.0).max(0.0) / (n - 1.0 + K as f64);
    let mut covariance = ndarray::Array2::zeros((K, K));
    for ((i, j), out) in covariance.indexed_iter_mut() {
        let sum: f64 = rows.iter().map(|r| (r[i] - mean[i]) * (r[j] - mean[j])).sum();
        let sample = sum / (n - 1.0).max(1.0) * (1.0 + 1.0 / n);
        *out = if i == j {
            sample + floor[i] * floor[i]
        } else {
            shrunk * sample
        };
    }
    GaussianBelief::new(&mean, covariance.view())
}

/// How many times as wide the floors of [`prior_of`] are: one life tells nothing of how machines differ.
pub(super) fn widening(n_lives: usize) -> f64 {
    if n_lives == 1 { 5.0 } else { 1.0 }
}

/// The middle of these numbers, which may come in any order.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    quantile(&mut values, 0.5)
}

/// The reading at which lives end: the median of the last ones of machines that failed.
pub(super) fn end_of(lives: &[RecordedLife<'_>], name: &str) -> Result<f64> {
    let last = |l: &RecordedLife<'_>| l.values.last().copied();
    median(lives.iter().filter(|l| l.failed).filter_map(last).collect())
        .ok_or_else(|| Error::insufficient(name, "a setting, or at least 1 life that ended in failure", 0))
}

/// The median of the lives' ends, above 0.
pub(super) fn typical_life(lives: &[RecordedLife<'_>]) -> f64 {
    median(lives.iter().map(|l| l.end).filter(|e| *e > 0.0).collect()).unwrap_or(1.0)
}

/// Intercept and slope of the weighted least-squares line; `None` where `x` does not vary or a sum is no number.
pub(super) fn weighted_line(points: impl Iterator<Item = (f64, f64, f64)> + Clone) -> Option<(f64, f64)> {
    let (mut total, mut mean_x, mut mean_y) = (0.0, 0.0, 0.0);
    for (x, y, w) in points.clone() {
        total += w;
        mean_x += w * x;
        mean_y += w * y;
    }
    (mean_x, mean_y) = (mean_x / total, mean_y / total);
    let (mut xx, mut xy) = (0.0, 0.0);
    for (x, y, w) in points {
        xx += w * (x - mean_x) * (x - mean_x);
        xy += w * (x - mean_x) * (y - mean_y);
    }
    let slope = xy / xx;
    let intercept = mean_y - slope * mean_x;
    (xx > 0.0 && slope.is_finite() && intercept.is_finite()).then_some((intercept, slope))
}

/// The root of the median of each life's mean squared residual, held in `low..=high`.
pub(super) fn typical_sd(squares: Vec<f64>, low: f64, high: f64) -> f64 {
    median(squares).map_or(low, f64::sqrt).clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priors_by_hand() {
        let b = prior_of(vec![[1.0, 0.0], [3.0, 4.0]], [0.0, 1.0]).unwrap();
        // Sample covariance [[2, 4], [4, 8]], times 3/2; the correlation shrunk to a third.
        assert_eq!(b.mean(), [2.0, 2.0]);
        assert_eq!(b.covariance(), ndarray::arr2(&[[3.0, 2.0], [2.0, 13.0]]));
        let same = prior_of(vec![[3.0, 4.0], [1.0, 0.0]], [0.0, 1.0]).unwrap();
        assert_eq!(b, same);
        assert_eq!(prior_of(vec![[1.0]], [0.5]).unwrap().sd(0), 0.5);
        assert!(prior_of(Vec::<[f64; 1]>::new(), [0.5]).is_err());
        assert_eq!(median(vec![3.0, 1.0, 2.0, 10.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
        let line = [(0.0, 1.0, 1.0), (1.0, 3.0, 2.0), (2.0, 5.0, 0.5)];
        let (a, b) = weighted_line(line.iter().copied()).unwrap();
        assert!((a - 1.0).abs() < 1e-12 && (b - 2.0).abs() < 1e-12);
        assert!(weighted_line([(1.0, 1.0, 1.0), (1.0, 2.0, 1.0)].iter().copied()).is_none());
    }
}
