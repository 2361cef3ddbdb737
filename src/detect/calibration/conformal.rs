//! Conformal p-values of scores.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The most scores kept, unless told otherwise.
const DEFAULT_KEPT: usize = 4096;
/// The most that may be asked for.
const LARGEST_KEPT: usize = 1 << 20;

/// Conformal p-values: the share of held-out healthy rows, and the new one, that score at least as high,
/// `p = (1 + #{held-out >= s}) / (n + 1)`.
///
/// A score alone says nothing of how rare it is; its p-value does, in the same unit for every detector, so that thresholds
/// are rates and values of several detectors can be [combined](crate::detect::PValueRule).
///
/// # Guarantee
/// Where the new healthy row and the held-out ones are exchangeable (as are independent rows of one distribution),
/// `P(p <= alpha) <= alpha` for every `alpha`, whatever the distribution and however good the detector. It is a
/// probability over the held-out rows, too: given one set of them the rate scatters about `alpha` by some
/// `sqrt(alpha / n)`. Successive rows of one machine are not exchangeable with rows of others; take held-out rows of many
/// machines. No p-value is below `1 / (n + 1)`.
///
/// Of more than 4,096 scores (or as many as [`fit_keeping`](ConformalPValues::fit_keeping) is told) not all are kept: half
/// of the places go to the highest ones, the other half to every so many of the rest. A p-value is never too small by
/// that; below `2048 / n` it is exact, above it is too large by at most `1 / 2048`.
///
/// Source: Vovk, Gammerman & Shafer (2005), *Algorithmic Learning in a Random World*; Bates et al. (2023),
/// <https://doi.org/10.1214/22-AOS2244>.
///
/// ```
/// use prognos::detect::ConformalPValues;
/// let p = ConformalPValues::fit(&[0.5, 0.1, 0.9, 0.3])?;
/// assert_eq!(p.p_value(2.0), 0.2);
/// assert_eq!(p.p_value(0.5), 0.6);
/// assert_eq!(p.p_value(0.0), 1.0);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ConformalRecord", into = "ConformalRecord")]
pub struct ConformalPValues {
    /// Held-out rows.
    n: u64,
    /// Kept scores, increasing.
    scores: Vec<f64>,
    /// Of each, how many held-out scores are at least it.
    at_least: Vec<u64>,
    /// Of each, how many are above it.
    above: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct ConformalRecord {
    n: u64,
    scores: Vec<f64>,
    at_least: Vec<u64>,
    above: Vec<u64>,
}

impl From<ConformalPValues> for ConformalRecord {
    fn from(p: ConformalPValues) -> Self {
        let ConformalPValues {
            n,
            scores,
            at_least,
            above,
        } = p;
        Self {
            n,
            scores,
            at_least,
            above,
        }
    }
}

impl TryFrom<ConformalRecord> for ConformalPValues {
    type Error = Error;

    fn try_from(r: ConformalRecord) -> Result<Self> {
        let broken = |what: &str| Err(Error::persistence(format!("conformal p-values: expected {what}")));
        let k = r.scores.len();
        if k == 0 || k > LARGEST_KEPT || r.at_least.len() != k || r.above.len() != k {
            return broken("1 to 1048576 scores with two counts each");
        }
        if !r.scores.iter().all(|s| s.is_finite()) || !r.scores.is_sorted_by(|a, b| a < b) {
            return broken("finite, increasing scores");
        }
        // Down the list: at least the first, above it, at least the second, ...
        let mut left = r.n;
        for (at_least, above) in r.at_least.iter().zip(&r.above) {
            if *at_least > left || above >= at_least {
                return broken("counts that fall from the lowest score to the highest");
            }
            left = *above;
        }
        if left != 0 || r.n > 1 << 53 {
            return broken("no held-out score above the highest");
        }
        Ok(Self {
            n: r.n,
            scores: r.scores,
            at_least: r.at_least,
            above: r.above,
        })
    }
}

impl ConformalPValues {
    /// From scores of healthy rows the detector was not fitted on, in any order. Those that are not finite are left out.
    ///
    /// # Errors
    /// `InsufficientData` without a finite score.
    pub fn fit(held_out: &[f64]) -> Result<Self> {
        Self::fit_keeping(held_out, DEFAULT_KEPT)
    }

    /// [`fit`](ConformalPValues::fit), keeping at most `n_kept` scores.
    ///
    /// # Errors
    /// As [`fit`](ConformalPValues::fit); `InvalidParameter` unless `n_kept` is in 2..=1,048,576.
    pub fn fit_keeping(held_out: &[f64], n_kept: usize) -> Result<Self> {
        if !(2..=LARGEST_KEPT).contains(&n_kept) {
            return Err(Error::parameter("n_kept", "in 2..=1048576", n_kept));
        }
        // 0 and -0 are one score.
        let mut sorted: Vec<f64> = held_out.iter().filter(|s| s.is_finite()).map(|s| s + 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let n = sorted.len();
        if n == 0 {
            return Err(Error::insufficient(
                "held-out scores",
                "at least 1 finite one",
                format!("none of {}", held_out.len()),
            ));
        }
        let n_top = (n_kept / 2).max(1);
        let n_rest = n.saturating_sub(n_top);
        let stride = n_rest.div_ceil(n_kept - n_top).max(1);
        let mut kept = Self {
            n: n as u64,
            scores: Vec::new(),
            at_least: Vec::new(),
            above: Vec::new(),
        };
        let places = (0..n_rest).step_by(stride).chain(n_rest..n);
        for score in places.filter_map(|i| sorted.get(i).copied()) {
            if kept.scores.last() != Some(&score) {
                kept.scores.push(score);
                kept.at_least.push((n - sorted.partition_point(|s| *s < score)) as u64);
                kept.above.push((n - sorted.partition_point(|s| *s <= score)) as u64);
            }
        }
        Ok(kept)
    }

    /// The number of held-out scores.
    pub fn n_held_out(&self) -> u64 {
        self.n
    }

    /// The p-value of a score: at least `1 / (n + 1)`, at most 1; NaN for NaN. Costs a binary search.
    pub fn p_value(&self, score: f64) -> f64 {
        if score.is_nan() {
            return f64::NAN;
        }
        // The highest kept score that is not above this one.
        let below = self.scores.partition_point(|s| *s <= score).checked_sub(1);
        let count = match below.and_then(|i| Some((i, self.scores.get(i)?))) {
            None => Some(&self.n),
            Some((i, s)) if *s == score => self.at_least.get(i),
            Some((i, _)) => self.above.get(i),
        };
        (1.0 + count.map_or(self.n as f64, |c| *c as f64)) / (self.n as f64 + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(held_out: &[f64], score: f64) -> f64 {
        let n = held_out.len() as f64;
        (1.0 + held_out.iter().filter(|s| **s >= score).count() as f64) / (n + 1.0)
    }

    proptest! {
        #[test]
        fn counts_are_exact_or_too_large(held_out in prop::collection::vec(-8i32..40, 1..300), n_kept in 2usize..80, score in -9i32..42) {
            let held_out: Vec<f64> = held_out.into_iter().map(|s| f64::from(s) * 0.5).collect();
            let score = f64::from(score) * 0.5;
            let right = exact(&held_out, score);
            prop_assert_eq!(ConformalPValues::fit(&held_out).unwrap().p_value(score), right);
            let thin = ConformalPValues::fit_keeping(&held_out, n_kept).unwrap();
            prop_assert!(thin.scores.len() <= n_kept);
            let p = thin.p_value(score);
            prop_assert!(p >= right && p <= 1.0);
            let n = held_out.len() as f64;
            if right * (n + 1.0) <= (n_kept / 2) as f64 {
                prop_assert_eq!(p, right); // small ones are exact
            }
            let text = serde_json::to_string(&thin).unwrap();
            prop_assert_eq!(serde_json::from_str::<ConformalPValues>(&text).unwrap(), thin);
        }

        /// Of n + 1 exchangeable scores each is equally often the new one: count how often its p-value is small.
        #[test]
        fn the_guarantee_holds(all in prop::collection::vec(0i32..60, 2..120), n_kept in 2usize..200, alpha in 0.0..1.0_f64) {
            let all: Vec<f64> = all.into_iter().map(f64::from).collect();
            let small = (0..all.len()).filter(|&new| {
                let mut rest = all.clone();
                let score = rest.swap_remove(new);
                ConformalPValues::fit_keeping(&rest, n_kept).unwrap().p_value(score) <= alpha
            });
            prop_assert!(small.count() as f64 <= alpha * all.len() as f64 + 1e-9);
        }
    }

    #[test]
    fn edges_and_hostile_records() {
        let p = ConformalPValues::fit(&[0.0, -0.0, f64::NAN, f64::INFINITY, 3.0]).unwrap();
        assert_eq!((p.n_held_out(), p.scores.len()), (3, 2));
        assert_eq!(
            (p.p_value(-0.0), p.p_value(f64::INFINITY), p.p_value(f64::NEG_INFINITY)),
            (1.0, 0.25, 1.0)
        );
        assert!(p.p_value(f64::NAN).is_nan());
        assert!(ConformalPValues::fit(&[]).is_err() && ConformalPValues::fit(&[f64::NAN]).is_err());
        for bad in [0, 1, LARGEST_KEPT + 1, usize::MAX] {
            assert!(ConformalPValues::fit_keeping(&[1.0], bad).is_err());
        }
        for bad in [
            r#"{"n":2,"scores":[],"at_least":[],"above":[]}"#,
            r#"{"n":2,"scores":[1.0],"at_least":[3],"above":[0]}"#,
            r#"{"n":2,"scores":[1.0],"at_least":[2],"above":[1]}"#,
            r#"{"n":2,"scores":[1.0],"at_least":[0],"above":[0]}"#,
            r#"{"n":2,"scores":[null],"at_least":[2],"above":[0]}"#,
            r#"{"n":2,"scores":[2.0,1.0],"at_least":[2,1],"above":[1,0]}"#,
            r#"{"n":2,"scores":[1.0,2.0],"at_least":[2,2],"above":[1,0]}"#,
            r#"{"n":2,"scores":[1.0,2.0],"at_least":[2,1],"above":[1]}"#,
        ] {
            assert!(serde_json::from_str::<ConformalPValues>(bad).is_err(), "{bad}");
        }
    }
}
