//! Fisher's score of a feature against classes.

use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Fisher's score: how far a feature's class means lie apart, against its spread within the classes,
/// `Σ n_c (m_c - m)² / Σ n_c v_c`, with `n_c`, `m_c`, `v_c` the count, mean and (population) variance of class `c` and `m`
/// the mean of all.
///
/// NaN readings are left out. Infinite where the classes are apart and none varies, 0 where nothing varies at all.
///
/// # Errors
/// `InvalidInput` where lengths differ or a reading is infinite; `InsufficientData` where fewer than two classes have a
/// reading.
///
/// Source: Duda, Hart & Stork, *Pattern Classification* (Wiley, 2001); Gu, Li & Han (2011),
/// <https://arxiv.org/abs/1202.3725>.
///
/// ```
/// use prognos::features::selection::fisher_score;
/// let score = fisher_score(&[0.0, 2.0, 10.0, 12.0], &[0, 0, 1, 1])?;
/// assert_eq!(score, 25.0); // means 1 and 11 about 6, variances of 1
/// # Ok::<(), prognos::Error>(())
/// ```
pub fn fisher_score(feature: &[f64], classes: &[u32]) -> Result<f64> {
    let groups = by_class(feature, classes)?;
    let mean = |x: &[f64]| x.iter().map(|v| v / x.len() as f64).sum::<f64>();
    let n: f64 = groups.values().map(|g| g.len() as f64).sum();
    let means: Vec<(f64, f64)> = groups.values().map(|g| (g.len() as f64, mean(g))).collect();
    let all = means.iter().map(|(k, m)| k / n * m).sum::<f64>();
    let between: f64 = means.iter().map(|(k, m)| k * (m - all).powi(2)).sum();
    let within: f64 = groups.values().map(|g| within(g, mean(g))).sum();
    // Rounding of the means is no distance between classes.
    let apart = groups
        .values()
        .flatten()
        .any(|v| groups.values().flatten().next() != Some(v));
    Ok(if apart { between / within } else { 0.0 })
}

/// `Σ (x - mean)²`, exactly zero where all are equal.
fn within(x: &[f64], mean: f64) -> f64 {
    match x.first() {
        Some(first) if x.iter().all(|v| v == first) => 0.0,
        _ => x.iter().map(|v| (v - mean).powi(2)).sum(),
    }
}

/// The finite readings of each class.
pub(super) fn by_class(feature: &[f64], classes: &[u32]) -> Result<BTreeMap<u32, Vec<f64>>> {
    if feature.len() != classes.len() {
        return Err(Error::input(
            "classes",
            format!("{}, one a reading", feature.len()),
            classes.len(),
        ));
    }
    let mut groups: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for (v, c) in feature.iter().zip(classes) {
        if v.is_infinite() {
            return Err(Error::input("readings of a feature", "finite numbers or NaN", v));
        }
        if !v.is_nan() {
            groups.entry(*c).or_default().push(*v);
        }
    }
    if groups.len() < 2 {
        return Err(Error::insufficient("classes with a reading", "2", groups.len()));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn degenerate_features_have_limits() {
        assert_eq!(fisher_score(&[0.1; 6], &[0, 0, 0, 1, 1, 2]).unwrap(), 0.0);
        assert_eq!(fisher_score(&[0.1, 0.1, 0.3], &[0, 0, 1]).unwrap(), f64::INFINITY);
        assert_eq!(
            fisher_score(&[0.0, 2.0, f64::NAN, 10.0, 12.0], &[0, 0, 1, 1, 1]).unwrap(),
            25.0
        );
        assert!(fisher_score(&[1.0, f64::INFINITY], &[0, 1]).is_err());
        assert!(fisher_score(&[1.0, 2.0], &[0]).is_err());
        assert!(fisher_score(&[1.0, f64::NAN], &[0, 1]).is_err());
    }

    proptest! {
        /// Σ n_c v_c (1 + score) is the total sum of squares.
        #[test]
        fn between_and_within_add_up(x in prop::collection::vec(-1.0..1.0_f64, 4..60)) {
            let classes: Vec<u32> = (0..x.len() as u32).map(|i| i % 3).collect();
            let score = fisher_score(&x, &classes).unwrap();
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let total: f64 = x.iter().map(|v| (v - mean).powi(2)).sum();
            let inside: f64 = (0..3).map(|c| {
                let g: Vec<f64> = x.iter().zip(&classes).filter(|p| *p.1 == c).map(|p| *p.0).collect();
                let m = g.iter().sum::<f64>() / g.len() as f64;
                g.iter().map(|v| (v - m).powi(2)).sum::<f64>()
            }).sum();
            prop_assert!((inside * (1.0 + score) - total).abs() < 1e-12 * total.max(1e-3));
        }
    }
}
