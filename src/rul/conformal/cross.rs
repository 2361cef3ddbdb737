//! CV+: cross-conformal prediction with the models of the folds.

use super::held_out::{CalibrationRow, check_level};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Folds at most.
const MAX_FOLDS: usize = 1000;
/// Residuals in magnitude at most, so that sums with predictions stay finite.
const LARGEST: f64 = 1e300;

/// Intervals from the models of `k` folds by asset, kept after fitting: CV+ (Barber, Candès, Ramdas and Tibshirani 2021,
/// doi 10.1214/20-AOS1965), the regression form of cross-conformal prediction (Vovk 2015, doi 10.1007/s10472-013-9368-4).
///
/// With `m_f(x)` the prediction of the model that fold `f` was left out of, and `R_i` the absolute residual of row `i` under
/// the model that its own asset was left out of, the upper end is the quantile `level` of all `m_f(i)(x) + R_i` where one
/// asset more is counted at infinity, the lower end its mirror image. The rows of an asset weigh one together (Lee, Barber and
/// Willett 2023, arXiv 2306.06342).
///
/// What is guaranteed for exchangeable assets is `1 - 2 (1 - level)`, lessened by at most
/// `min(2 (1 - 1/k)/(n/k + 1), (1 - k/n)/(k + 1))` for `n` assets in `k` folds of equal size: 0.8 less a little for a level of
/// 0.9. What is observed is near the level itself unless the models are unstable. All assets serve for both, fitting and
/// calibration, where [`SplitConformal`](super::SplitConformal) gives some away to keep its promise of the whole level; the price
/// is `k` predictions a row.
///
/// Shifting the final model's prediction by residuals of the folds' models, as [`BinnedIntervals`](super::BinnedIntervals) does,
/// costs one prediction and has no such guarantee: it rests on the models of the folds being like the final one.
///
/// ```
/// use prognos::rul::conformal::{CalibrationRow, CrossConformal};
/// // Two folds of ten assets; residuals 1, 2, .. 10 in each.
/// let fold = |first: u32| (0..10).map(move |i| CalibrationRow {
///     asset: first + i, predicted: 50.0, truth: 51.0 + f64::from(i),
/// }).collect::<Vec<_>>();
/// let cross = CrossConformal::fit(0.9, &[fold(0), fold(10)])?;
/// // Both models say 100: the 19th of twenty residuals counts.
/// assert_eq!(cross.interval(&[100.0, 100.0])?, (90.0, 110.0));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct CrossConformal {
    level: f64,
    n_assets: usize,
    folds: Vec<Fold>,
}

#[derive(Clone, Debug, PartialEq)]
struct Fold {
    /// Absolute residuals, rising.
    residuals: Vec<f64>,
    /// Weight of each and all before it; an asset weighs one.
    passed: Vec<f64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    level: f64,
    /// Of each fold, `(residual, weight)`.
    folds: Vec<Vec<(f64, f64)>>,
}

impl CrossConformal {
    /// From each fold's assets as predicted by the model that was fitted without them. No asset is in two folds.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < level < 1`; `InvalidInput` for numbers that are not finite, an asset in two folds, fewer
    /// than two folds or more than 1,000; `InsufficientData` with fewer than `level / (1 - level)` assets.
    pub fn fit(level: f64, folds: &[Vec<CalibrationRow>]) -> Result<Self> {
        check_level(level)?;
        let mut fold_of = std::collections::HashMap::new();
        let mut record = Vec::with_capacity(folds.len());
        for (f, rows) in folds.iter().enumerate() {
            for r in rows {
                if *fold_of.entry(r.asset).or_insert(f) != f {
                    return Err(Error::input(
                        "folds",
                        "each asset in one",
                        format!("asset {} in two", r.asset),
                    ));
                }
            }
            let scores: Vec<_> = rows.iter().map(|r| (r.asset, (r.truth - r.predicted).abs())).collect();
            record.push(super::held_out::weighted_scores(&scores, super::Coverage::AnyRow)?);
        }
        if !(2..=MAX_FOLDS).contains(&folds.len()) {
            return Err(Error::input("folds", format!("2..={MAX_FOLDS}"), folds.len()));
        }
        if fold_of.len() as f64 + 1e-9 < level * (fold_of.len() as f64 + 1.0) {
            return Err(Error::insufficient(
                &format!("intervals of level {level}"),
                format!("at least {} assets", (level / (1.0 - level)).ceil()),
                fold_of.len(),
            ));
        }
        Record { level, folds: record }.try_into()
    }

    /// Nominal probability.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Folds, and predictions [`interval`](CrossConformal::interval) wants.
    pub fn n_folds(&self) -> usize {
        self.folds.len()
    }

    /// What is guaranteed of the level with `n` assets in folds of equal size; at least 0.
    pub fn guaranteed(&self) -> f64 {
        let (n, k) = (self.n_assets as f64, self.folds.len() as f64);
        let less = (2.0 * (1.0 - 1.0 / k) / (n / k + 1.0)).min((1.0 - k / n) / (k + 1.0));
        (1.0 - 2.0 * (1.0 - self.level) - less.max(0.0)).max(0.0)
    }

    /// The interval of a row for which the fold's models predict `predictions`, not clipped to any range. Allocates nothing;
    /// costs `O(k log n)` some hundred times.
    ///
    /// # Errors
    /// `InvalidInput` unless there is one finite prediction a fold, none beyond 1e300.
    pub fn interval(&self, predictions: &[f64]) -> Result<(f64, f64)> {
        if predictions.len() != self.folds.len() {
            return Err(Error::input(
                "predictions",
                format!("{}, one a fold", self.folds.len()),
                predictions.len(),
            ));
        }
        if let Some(p) = predictions.iter().find(|p| p.is_nan() || p.abs() > LARGEST) {
            return Err(Error::input("prediction of a fold", "finite, at most 1e300 in size", p));
        }
        let (low, high) = (self.upper(predictions, -1.0), self.upper(predictions, 1.0));
        Ok(if -low <= high {
            (-low, high)
        } else {
            // Folds that contradict each other may leave nothing; their middle then.
            let middle = high / 2.0 - low / 2.0;
            (middle, middle)
        })
    }

    /// The quantile of `sign * prediction + residual`.
    fn upper(&self, predictions: &[f64], sign: f64) -> f64 {
        let wanted = self.level * (self.n_assets as f64 + 1.0) - 1e-9;
        let each = || self.folds.iter().zip(predictions).map(move |(f, p)| (f, sign * p));
        let weight_to = |s: f64| -> f64 {
            each()
                .map(|(f, p)| match f.residuals.partition_point(|r| p + r <= s) {
                    0 => 0.0,
                    i => f.passed[i - 1],
                })
                .sum()
        };
        let ends = each().filter_map(|(f, p)| Some((p + f.residuals.first()?, p + f.residuals.last()?)));
        let (mut below, mut enough) = ends.fold((f64::MAX, f64::MIN), |(a, b), (x, y)| (a.min(x), b.max(y)));
        if weight_to(below) >= wanted {
            return below;
        }
        // Halve until no score lies between; the end is a score itself.
        loop {
            let middle = below / 2.0 + enough / 2.0;
            if !(middle > below && middle < enough) {
                return enough;
            }
            if weight_to(middle) >= wanted {
                // Down to the largest score that is not above.
                let score = each().filter_map(|(f, p)| {
                    let i = f.residuals.partition_point(|r| p + r <= middle);
                    i.checked_sub(1).map(|i| p + f.residuals[i])
                });
                enough = score.fold(f64::MIN, f64::max);
            } else {
                // Up to the smallest score above.
                let score = each().filter_map(|(f, p)| {
                    let i = f.residuals.partition_point(|r| p + r <= middle);
                    f.residuals.get(i).map(|r| p + r)
                });
                let next = score.fold(f64::MAX, f64::min);
                if weight_to(next) >= wanted {
                    return next;
                }
                below = next;
            }
        }
    }
}

impl TryFrom<Record> for CrossConformal {
    type Error = Error;

    fn try_from(r: Record) -> Result<Self> {
        let refused = || {
            Error::persistence(
                "cross-conformal intervals: expected a level above 0 and below 1 and 2..=1000 folds of rising residuals, none negative or beyond 1e300, whose weights are above 0 and add up to enough assets",
            )
        };
        let sound = r.level > 0.0
            && r.level < 1.0
            && (2..=MAX_FOLDS).contains(&r.folds.len())
            && r.folds.iter().all(|f| {
                f.iter()
                    .all(|(s, w)| *s >= 0.0 && *s <= LARGEST && *w > 0.0 && *w <= 1.0 + 1e-9)
                    && f.windows(2).all(|p| p[0].0 <= p[1].0)
            });
        let total: f64 = r.folds.iter().flatten().map(|(_, w)| w).sum();
        let n_assets = total.round();
        if !sound || total.is_nan() || (total - n_assets).abs() > 1e-6 || n_assets + 1e-9 < r.level * (n_assets + 1.0) {
            return Err(refused());
        }
        let folds = r.folds.iter().map(|f| {
            let mut sum = 0.0;
            let passed = f.iter().map(|(_, w)| {
                sum += w;
                sum
            });
            Fold {
                passed: passed.collect(),
                residuals: f.iter().map(|(s, _)| *s).collect(),
            }
        });
        Ok(Self {
            level: r.level,
            n_assets: n_assets as usize,
            folds: folds.collect(),
        })
    }
}

impl From<CrossConformal> for Record {
    fn from(c: CrossConformal) -> Self {
        let pairs = |f: &Fold| {
            let mut before = 0.0;
            let weights = f.passed.iter().map(|p| {
                let w = p - before;
                before = *p;
                w
            });
            f.residuals.iter().copied().zip(weights.collect::<Vec<_>>()).collect()
        };
        Self {
            level: c.level,
            folds: c.folds.iter().map(pairs).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All scores of all rows, sorted: what the bisection must give.
    fn naive(c: &CrossConformal, predictions: &[f64], sign: f64) -> f64 {
        let mut all = Vec::new();
        for (f, p) in c.folds.iter().zip(predictions) {
            let mut before = 0.0;
            for (r, passed) in f.residuals.iter().zip(&f.passed) {
                all.push((sign * p + r, passed - before));
                before = *passed;
            }
        }
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sum = 0.0;
        for (s, w) in &all {
            sum += w;
            if sum >= c.level * (c.n_assets as f64 + 1.0) - 1e-9 {
                return *s;
            }
        }
        f64::NAN
    }

    fn folds(k: usize, residuals: &[f64]) -> Vec<Vec<CalibrationRow>> {
        let row = |(i, r): (usize, &f64)| CalibrationRow {
            asset: (i / 3) as u32,
            predicted: 0.0,
            truth: *r,
        };
        let mut out = vec![Vec::new(); k];
        residuals
            .iter()
            .enumerate()
            .for_each(|i| out[(i.0 / 3) % k].push(row(i)));
        out
    }

    proptest! {
        #[test]
        fn the_ends_are_those_of_sorting(
            residuals in proptest::collection::vec(prop_oneof![-50.0..50.0f64, Just(3.0)], 40..90),
            predictions in proptest::collection::vec(0.0..100.0f64, 4),
            level in 0.5..0.92f64,
        ) {
            let c = CrossConformal::fit(level, &folds(4, &residuals)).unwrap();
            let (low, high) = c.interval(&predictions).unwrap();
            let expected = (-naive(&c, &predictions, -1.0), naive(&c, &predictions, 1.0));
            if expected.0 <= expected.1 {
                prop_assert_eq!((low, high), expected);
            } else {
                prop_assert!(low == high);
            }
        }
    }

    #[test]
    fn bad_input() {
        let rows: Vec<f64> = (0..60).map(f64::from).collect();
        let good = folds(3, &rows);
        assert!(CrossConformal::fit(1.0, &good).is_err());
        assert!(
            CrossConformal::fit(0.96, &good).is_err(),
            "20 assets hold at most 0.952"
        );
        assert!(CrossConformal::fit(0.5, &good[..1]).is_err());
        let mut twice = good.clone();
        twice[0].push(good[1][0]);
        assert!(
            CrossConformal::fit(0.9, &twice)
                .unwrap_err()
                .to_string()
                .contains("in two")
        );
        let mut bad = good.clone();
        bad[2][0].truth = f64::NAN;
        assert!(CrossConformal::fit(0.9, &bad).is_err());
        let c = CrossConformal::fit(0.9, &good).unwrap();
        assert!(c.interval(&[1.0, 2.0]).is_err() && c.interval(&[1.0, 2.0, f64::NAN]).is_err());
        // n = 20, k = 3: 0.8 - min(2 (2/3)/(20/3 + 1), (17/20)/4).
        let less = (4.0 / 3.0 / (20.0 / 3.0 + 1.0f64)).min(0.85 / 4.0);
        assert!((c.guaranteed() - (0.8 - less)).abs() < 1e-12);
        let bytes = rmp_serde::to_vec_named(&c).unwrap();
        let read: CrossConformal = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(
            read.interval(&[1.0, 2.0, 3.0]).unwrap(),
            c.interval(&[1.0, 2.0, 3.0]).unwrap()
        );
        for spoilt in [
            Record {
                level: 0.9,
                folds: vec![vec![(1.0, 1.0)]; 2],
            },
            Record {
                level: 0.5,
                folds: vec![vec![(2.0, 1.0), (1.0, 1.0)]; 2],
            },
            Record {
                level: 0.5,
                folds: vec![vec![(f64::NAN, 1.0)]; 2],
            },
            Record {
                level: 0.5,
                folds: vec![vec![(1.0, 0.7)]; 2],
            },
        ] {
            assert!(CrossConformal::try_from(spoilt).is_err());
        }
    }
}
