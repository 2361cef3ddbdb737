//! Relevance of features to a target, decided over many of them at a given share of false discoveries.

use super::{
    correlation::{ranks, ties},
    fisher::by_class,
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// The p-value of Kendall's rank correlation (tau-b) between a feature and a real target, by its normal approximation with
/// ties accounted for: how likely so strong an order would be if the two had nothing to do with each other.
///
/// Pairs with NaN are left out. 1 where either does not vary. Cost `O(n log n)`. The p-value takes rows as independent;
/// those of one machine are not: give one row a machine, or rows far apart, or read the p-values as an order only.
///
/// # Errors
/// `InvalidInput` where lengths differ or a number is infinite; `InsufficientData` with fewer than three pairs.
///
/// Source: Kendall, *Rank Correlation Methods* (1970); Knight (1966), <https://doi.org/10.1080/01621459.1966.10480879>.
///
/// ```
/// use prognos::features::selection::kendall_relevance;
/// let rul: Vec<f64> = (0..30).map(f64::from).collect();
/// let wear: Vec<f64> = rul.iter().map(|r| 1.0 / (1.0 + r)).collect();
/// assert!(kendall_relevance(&wear, &rul)? < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
pub fn kendall_relevance(feature: &[f64], target: &[f64]) -> Result<f64> {
    if feature.len() != target.len() {
        return Err(Error::input(
            "target",
            format!("{} values, one a reading", feature.len()),
            target.len(),
        ));
    }
    if let Some(v) = feature.iter().chain(target).find(|v| v.is_infinite()) {
        return Err(Error::input("readings and target", "finite numbers or NaN", v));
    }
    // -0.0 and 0.0 are one value, for sorting too.
    let mut pairs: Vec<(f64, f64)> = feature
        .iter()
        .map(|v| v + 0.0)
        .zip(target.iter().map(|v| v + 0.0))
        .collect();
    pairs.retain(|(x, y)| !x.is_nan() && !y.is_nan());
    if pairs.len() < 3 {
        return Err(Error::insufficient("pairs of reading and target", "3", pairs.len()));
    }
    let n = pairs.len() as f64;
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (x, mut y): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let both: f64 = pairs.chunk_by(|a, b| a == b).map(|g| two(g.len() as f64)).sum();
    let discordant = inversions(&mut y);
    let (x, y) = (Ties::of(&x), Ties::of(&y)); // `y` is sorted by now
    let all = two(n);
    let net = all - x.pairs - y.pairs + both - 2.0 * discordant;
    let m = n * (n - 1.0);
    let variance = (m * (2.0 * n + 5.0) - x.fives - y.fives) / 18.0
        + 2.0 * x.pairs * y.pairs / m
        + x.triples * y.triples / (9.0 * m * (n - 2.0));
    if x.pairs == all || y.pairs == all || variance <= 0.0 {
        return Ok(1.0);
    }
    Ok(libm::erfc(net.abs() / (2.0 * variance).sqrt()))
}

/// `t (t - 1) / 2`, the pairs among `t`.
fn two(t: f64) -> f64 {
    0.5 * t * (t - 1.0)
}

struct Ties {
    pairs: f64,
    triples: f64,
    fives: f64,
}

impl Ties {
    fn of(sorted: &[f64]) -> Self {
        let sum = |f: fn(f64) -> f64| ties(sorted).map(f).sum();
        Self {
            pairs: sum(two),
            triples: sum(|t| t * (t - 1.0) * (t - 2.0)),
            fives: sum(|t| t * (t - 1.0) * (2.0 * t + 5.0)),
        }
    }
}

/// Pairs in the wrong order; sorts `y` by merging.
fn inversions(y: &mut [f64]) -> f64 {
    let mut spare = y.to_vec();
    let (mut count, mut width) = (0.0, 1);
    while width < y.len() {
        for (from, to) in y.chunks(2 * width).zip(spare.chunks_mut(2 * width)) {
            let (mut left, mut right) = from.split_at(width.min(from.len()));
            for place in to {
                match (left, right) {
                    ([l, ..], [r, rest @ ..]) if r < l => {
                        count += left.len() as f64;
                        (*place, right) = (*r, rest);
                    }
                    ([l, rest @ ..], _) => (*place, left) = (*l, rest),
                    ([], [r, rest @ ..]) => (*place, right) = (*r, rest),
                    ([], []) => {}
                }
            }
        }
        y.copy_from_slice(&spare);
        width *= 2;
    }
    count
}

/// The p-value of the Kruskal-Wallis test between a feature and classes, by its chi-squared approximation with ties
/// accounted for: how likely the classes' ranks would lie so far apart if all were of one distribution. With two classes it
/// is the test of Mann and Whitney without continuity correction.
///
/// NaN readings are left out. 1 where the feature does not vary. Cost `O(n log n)`. Rows are taken as independent, as in
/// [`kendall_relevance`].
///
/// # Errors
/// `InvalidInput` where lengths differ or a reading is infinite; `InsufficientData` where fewer than two classes have a
/// reading.
///
/// Source: Kruskal & Wallis (1952), <https://doi.org/10.1080/01621459.1952.10483441>.
pub fn class_relevance(feature: &[f64], classes: &[u32]) -> Result<f64> {
    let groups = by_class(feature, classes)?;
    let pooled: Vec<f64> = groups.values().flatten().map(|v| v + 0.0).collect();
    let n = pooled.len() as f64;
    let ranks = ranks(&pooled);
    let mut rest = &ranks[..];
    let mut sum = 0.0;
    for g in groups.values() {
        let (own, others) = rest.split_at(g.len().min(rest.len()));
        sum += own.iter().sum::<f64>().powi(2) / own.len() as f64;
        rest = others;
    }
    let h = 12.0 / (n * (n + 1.0)) * sum - 3.0 * (n + 1.0);
    let mut sorted = pooled;
    sorted.sort_by(f64::total_cmp);
    let tied: f64 = ties(&sorted).map(|t| t * t * t - t).sum();
    let correction = 1.0 - tied / (n * n * n - n);
    if correction <= 0.0 {
        return Ok(1.0);
    }
    let freedom = (groups.len() - 1) as f64;
    let distribution = ChiSquared::new(freedom).map_err(|e| Error::not_converged(format!("chi-squared: {e}")))?;
    Ok(distribution.sf((h / correction).max(0.0)))
}

/// Which of many p-values count as discoveries so that at most a share of them is expected to be false.
///
/// ```
/// use prognos::features::selection::FalseDiscovery;
/// let p = [0.01, 0.02, 0.03, 0.6];
/// let adjusted = FalseDiscovery::BenjaminiHochberg.adjusted(&p)?;
/// assert_eq!(adjusted.iter().map(|q| *q <= 0.05).collect::<Vec<_>>(), [true, true, true, false]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FalseDiscovery {
    /// Holds whatever the features have to do with each other; the default. Benjamini & Yekutieli (2001),
    /// <https://doi.org/10.1214/aos/1013699998>.
    #[default]
    BenjaminiYekutieli,
    /// Holds for independent or positively dependent features; finds more. Benjamini & Hochberg (1995),
    /// <https://doi.org/10.1111/j.2517-6161.1995.tb02031.x>.
    BenjaminiHochberg,
}

impl FalseDiscovery {
    /// The adjusted p-values: a feature is a discovery at share `q` where its own is at most `q`.
    ///
    /// With `p` sorted and `m` of them, `min over j >= i of c m p_j / j`, at most 1, where `c` is 1 or, for Yekutieli,
    /// `1 + 1/2 + .. + 1/m`.
    ///
    /// # Errors
    /// `InvalidInput` where a p-value is not in [0, 1].
    pub fn adjusted(self, p_values: &[f64]) -> Result<Vec<f64>> {
        if let Some(p) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return Err(Error::input("p-values", "in [0, 1]", p));
        }
        let m = p_values.len();
        let factor = match self {
            Self::BenjaminiHochberg => 1.0,
            Self::BenjaminiYekutieli => (1..=m).map(|i| 1.0 / i as f64).sum(),
        };
        let mut order: Vec<usize> = (0..m).collect();
        order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
        let (mut out, mut least) = (vec![1.0; m], 1.0_f64);
        for (rank, &i) in order.iter().enumerate().rev() {
            least = least.min(factor * p_values[i] * (m as f64 / (rank + 1) as f64));
            out[i] = least;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn merging_counts_what_pairs_count(x in prop::collection::vec(-3..3_i32, 0..40)) {
            let mut y: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
            let naive = (0..x.len()).flat_map(|i| (i..x.len()).map(move |j| (i, j))).filter(|&(i, j)| x[i] > x[j]).count();
            prop_assert_eq!(inversions(&mut y), naive as f64);
            prop_assert!(y.is_sorted());
        }

        #[test]
        fn more_false_discoveries_are_allowed_by_the_weaker_rule(p in prop::collection::vec(0.0..1.0_f64, 1..30)) {
            let [by, bh] = [FalseDiscovery::BenjaminiYekutieli, FalseDiscovery::BenjaminiHochberg].map(|f| f.adjusted(&p).unwrap());
            for i in 0..p.len() {
                prop_assert!(by[i] >= bh[i] && bh[i] >= p[i] && by[i] <= 1.0);
            }
        }
    }

    #[test]
    fn degenerate_features_are_irrelevant_and_bad_ones_refused() {
        let flat = [2.0; 5];
        let y = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(kendall_relevance(&flat, &y).unwrap(), 1.0);
        assert_eq!(kendall_relevance(&y, &flat).unwrap(), 1.0);
        assert_eq!(class_relevance(&flat, &[0, 0, 1, 1, 1]).unwrap(), 1.0);
        assert!(kendall_relevance(&y, &y[..4]).is_err());
        assert!(kendall_relevance(&[1.0, f64::NAN, 2.0], &[1.0, 2.0, 3.0]).is_err());
        assert!(kendall_relevance(&[1.0, f64::INFINITY, 2.0], &[1.0, 2.0, 3.0]).is_err());
        assert!(class_relevance(&y, &[0; 5]).is_err());
        assert!(FalseDiscovery::default().adjusted(&[0.5, f64::NAN]).is_err());
        assert!(FalseDiscovery::default().adjusted(&[]).unwrap().is_empty());
    }
}
