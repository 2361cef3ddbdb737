//! Out-of-fold scores by asset, and the conservative quantile that makes a threshold of them.

use super::peaks_over_threshold::PeaksOverThreshold;
use crate::{
    error::{Error, Result},
    features::FeatureTable,
    model::AssetFolds,
    quantity::Seed,
};
use std::fmt;

/// The share of held-out scores below the tail that thresholds for a risk are extrapolated from.
const TAIL_LEVEL: f64 = 0.95;

/// How a threshold is found: parameters that every detector shares, unchecked.
#[derive(Clone, PartialEq)]
pub(in crate::detect) struct ThresholdParams {
    pub false_alarm_rate: f64,
    pub n_folds: usize,
    pub seed: Seed,
    /// This threshold, and no folds.
    pub fixed: Option<f64>,
    /// In place of the rate: what a healthy score exceeds with this probability, from the tail of held-out scores.
    pub tail_risk: Option<f64>,
}

/// The setters of [`ThresholdParams`], the same for every detector: for the `impl` of parameters that hold them in
/// `self.0.threshold`.
macro_rules! threshold_setters {
    () => {
        /// Share of healthy rows that may exceed the threshold, above 0 and below 1. Default 0.01.
        #[must_use]
        pub fn false_alarm_rate(mut self, rate: f64) -> Self {
            self.0.threshold.false_alarm_rate = rate;
            self
        }

        /// A threshold that a healthy row exceeds with probability `risk`, above 0 and below 1, in place of the
        /// [`false_alarm_rate`](Self::false_alarm_rate): extrapolated from the highest twentieth of held-out scores by
        /// [`PeaksOverThreshold`](crate::detect::PeaksOverThreshold), for rates that the number of rows is too small to
        /// show.
        #[must_use]
        pub fn tail_risk(mut self, risk: f64) -> Self {
            self.0.threshold.tail_risk = Some(risk);
            self
        }

        /// This threshold, instead of one from held-out scores.
        #[must_use]
        pub fn fixed_threshold(mut self, threshold: f64) -> Self {
            self.0.threshold.fixed = Some(threshold);
            self
        }

        /// Number of folds behind what is learnt from held-out rows, at least 2. Default 5.
        #[must_use]
        pub fn n_folds(mut self, n: usize) -> Self {
            self.0.threshold.n_folds = n;
            self
        }

        /// Seed of everything random: the folds, and the algorithm's own chance. Default 0.
        #[must_use]
        pub fn seed(mut self, seed: crate::quantity::Seed) -> Self {
            self.0.threshold.seed = seed;
            self
        }
    };
}
pub(in crate::detect) use threshold_setters;

/// A setting that is not made is not told: files of models say the parameters in these words.
impl fmt::Debug for ThresholdParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ThresholdParams");
        text.field("false_alarm_rate", &self.false_alarm_rate)
            .field("n_folds", &self.n_folds)
            .field("seed", &self.seed);
        if let Some(fixed) = self.fixed {
            text.field("fixed", &fixed);
        }
        if let Some(risk) = self.tail_risk {
            text.field("tail_risk", &risk);
        }
        text.finish()
    }
}

impl Default for ThresholdParams {
    fn default() -> Self {
        Self {
            false_alarm_rate: 0.01,
            n_folds: 5,
            seed: Seed(0),
            fixed: None,
            tail_risk: None,
        }
    }
}

impl ThresholdParams {
    pub fn check(&self) -> Result<()> {
        check_probability("false_alarm_rate", self.false_alarm_rate)?;
        if self.n_folds < 2 {
            return Err(Error::parameter("n_folds", "at least 2", self.n_folds));
        }
        if let Some(risk) = self.tail_risk {
            check_probability("tail_risk", risk)?;
        }
        match self.fixed {
            Some(t) if !t.is_finite() => Err(Error::parameter("fixed_threshold", "finite", t)),
            _ => Ok(()),
        }
    }

    /// The threshold that held-out `scores` give.
    ///
    /// # Errors
    /// `InsufficientData` with too few scores for a tail.
    pub fn of_scores(&self, scores: &mut [f64]) -> Result<f64> {
        match (self.fixed, self.tail_risk) {
            (Some(fixed), _) => Ok(fixed),
            (None, Some(risk)) => PeaksOverThreshold::fit(scores, TAIL_LEVEL)?.threshold(risk),
            (None, None) => Ok(conservative_quantile(scores, 1.0 - self.false_alarm_rate)),
        }
    }
}

/// Fails unless `0 < value < 1`.
pub(in crate::detect) fn check_probability(name: &str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(Error::parameter(name, "above 0 and below 1", value))
    }
}

/// The rows of a table that can be trained on, and the fold that holds each out.
pub(in crate::detect) struct TrainingRows<'a> {
    rows: Vec<&'a [f64]>,
    fold_of: Vec<usize>,
    n_folds: usize,
}

impl<'a> TrainingRows<'a> {
    /// The rows of `table` without a missing or infinite value. Folds are by asset, one an asset where they are fewer
    /// than folds; of a single asset, folds are contiguous blocks of rows.
    ///
    /// # Errors
    /// `InsufficientData` with fewer usable rows than two a fold.
    pub fn new(table: &'a FeatureTable, n_folds: usize, seed: Seed) -> Result<Self> {
        let usable = |row: &[f64]| row.iter().all(|v| v.is_finite());
        let (rows, asset): (Vec<_>, Vec<_>) = table.rows().zip(table.asset()).filter(|(row, _)| usable(row)).unzip();
        let needed = n_folds.saturating_mul(2);
        if rows.len() < needed {
            return Err(Error::insufficient(
                "training rows without a missing value",
                format!("at least {needed}, two a fold"),
                format!("{} of {}", rows.len(), table.n_rows()),
            ));
        }
        // Assets without a usable row get no number, so that no fold is empty.
        let mut number: Vec<Option<usize>> = vec![None; table.n_assets()];
        let mut n_assets = 0;
        for &&a in &asset {
            if let Some(slot @ None) = number.get_mut(a as usize) {
                *slot = Some(n_assets);
                n_assets += 1;
            }
        }
        // Numbered by asset, not by first row: the order of rows must not move an asset to another fold.
        number.iter_mut().flatten().enumerate().for_each(|(i, slot)| *slot = i);
        let n = rows.len();
        // Only a single asset is cut into blocks.
        let (n_folds, fold_of) = if n_assets >= 2 {
            let (n_folds, fold_of) = folds_of(n_assets, n_folds, seed)?;
            let fold = |&&a: &&u32| {
                number
                    .get(a as usize)
                    .copied()
                    .flatten()
                    .and_then(|i| fold_of.get(i).copied())
            };
            let fold_of = asset.iter().map(|a| fold(a).unwrap_or(0)).collect(); // every asset here has a number
            (n_folds, fold_of)
        } else {
            (n_folds, (0..n).map(|i| block_of(i, n, n_folds)).collect())
        };
        Ok(Self { rows, fold_of, n_folds })
    }

    pub fn rows(&self) -> &[&'a [f64]] {
        &self.rows
    }

    /// The rows of `table` without a missing or infinite value, of which none is to be held out.
    ///
    /// # Errors
    /// `InsufficientData` with fewer than two.
    pub fn unfolded(table: &'a FeatureTable) -> Result<Self> {
        let rows: Vec<_> = table.rows().filter(|r| r.iter().all(|v| v.is_finite())).collect();
        if rows.len() < 2 {
            return Err(Error::insufficient(
                "training rows without a missing value",
                "at least 2",
                format!("{} of {}", rows.len(), table.n_rows()),
            ));
        }
        Ok(Self {
            fold_of: vec![0; rows.len()],
            rows,
            n_folds: 0,
        })
    }

    /// What `scores` gives for each row under the model that `fit` makes of the rows of the other folds, in row order.
    ///
    /// # Errors
    /// The first of `fit`, naming the fold.
    pub fn out_of_fold<M, S: Copy + Default>(
        &self,
        fit: impl Fn(&[&'a [f64]]) -> Result<M>,
        scores: impl Fn(&M, &[&'a [f64]]) -> Vec<S>,
    ) -> Result<Vec<S>> {
        let mut out = vec![S::default(); self.rows.len()];
        let (mut train, mut held_out) = (Vec::with_capacity(self.rows.len()), Vec::new());
        for fold in 0..self.n_folds {
            let rows = || self.rows.iter().zip(&self.fold_of);
            train.clear();
            train.extend(rows().filter(|(_, f)| **f != fold).map(|(r, _)| *r));
            held_out.clear();
            held_out.extend(rows().filter(|(_, f)| **f == fold).map(|(r, _)| *r));
            let model = fit(&train)
                .map_err(|e| e.context(format_args!("fold {} of {}, for the threshold", fold + 1, self.n_folds)))?;
            let places = out.iter_mut().zip(&self.fold_of).filter(|(_, f)| **f == fold);
            places.zip(scores(&model, &held_out)).for_each(|((o, _), s)| *o = s);
        }
        Ok(out)
    }
}

/// The number of folds, and the fold that holds out each of `n` assets: few assets are each held out once.
///
/// # Errors
/// `InsufficientData` with fewer than two.
pub(in crate::detect) fn folds_of(n: usize, n_folds: usize, seed: Seed) -> Result<(usize, Vec<usize>)> {
    let folds = AssetFolds::new(n, n_folds.min(n.max(2)), seed)?;
    Ok((folds.n_folds(), (0..n).filter_map(|i| folds.fold_of(i)).collect()))
}

/// The block that place `i` of `n` falls in where they are cut into `n_blocks` contiguous ones of nearly equal size.
pub(in crate::detect) fn block_of(i: usize, n: usize, n_blocks: usize) -> usize {
    (i as u128 * n_blocks as u128 / n.max(1) as u128) as usize
}

/// The conservative empirical quantile: the value of rank `ceil((n + 1) q)`, at least 1 and at most `n`, counted from the
/// lowest. A new value, exchangeable with these, exceeds it with probability at most `1 - q` where the rank is below `n`.
/// Sorts `values`; gives 0 for none.
pub(in crate::detect) fn conservative_quantile(values: &mut [f64], q: f64) -> f64 {
    let n = values.len();
    values.sort_unstable_by(f64::total_cmp);
    // A rank that is a whole number but for rounding is that number.
    let rank = ((n as f64 + 1.0) * q * (1.0 - 1e-12)).ceil() as usize;
    values.get(rank.clamp(1, n.max(1)) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, features::FeatureSchema, signal::Channel};
    use ndarray::Array2;

    fn table(values: Vec<f64>, asset: Vec<u32>) -> FeatureTable {
        let schema = FeatureSchema::of_channels(&[Channel::new("a", "")]).unwrap();
        FeatureTable::new(
            schema,
            Array2::from_shape_vec((values.len(), 1), values).unwrap(),
            asset,
        )
        .unwrap()
    }

    #[test]
    fn quantile_is_the_rank_of_n_plus_one() {
        let mut v: Vec<f64> = (1..=99).rev().map(f64::from).collect();
        // (99 + 1) * 0.99 = 99, the highest; 0.95 -> 95; beyond the range it clamps.
        for (q, expected) in [(0.99, 99.0), (0.95, 95.0), (0.951, 96.0), (0.999, 99.0), (1e-9, 1.0)] {
            assert_eq!(conservative_quantile(&mut v, q), expected, "{q}");
        }
        assert_eq!(conservative_quantile(&mut [7.0], 0.5), 7.0);
        assert_eq!(conservative_quantile(&mut [], 0.5), 0.0);
    }

    #[test]
    fn quantile_bounds_the_false_alarm_rate_of_exchangeable_scores() {
        // Of n + 1 distinct exchangeable values each is equally often the new one: count how often it exceeds the rest.
        for n in [20_usize, 57, 100, 333] {
            for rate in [0.05, 0.1, 0.25] {
                let exceeding = (0..=n).filter(|&new| {
                    let mut rest: Vec<f64> = (0..=n).filter(|&i| i != new).map(|i| i as f64).collect();
                    new as f64 > conservative_quantile(&mut rest, 1.0 - rate)
                });
                assert!(exceeding.count() as f64 <= rate * (n as f64 + 1.0) + 1e-9, "{n} {rate}");
            }
        }
    }

    #[test]
    fn no_asset_lies_on_both_sides() {
        let asset: Vec<u32> = (0..70).map(|i| i % 7).collect();
        let t = table(asset.iter().map(|&a| f64::from(a)).collect(), asset);
        let rows = TrainingRows::new(&t, 5, Seed(3)).unwrap();
        let leaked = rows.out_of_fold(
            |train| Ok(train.iter().map(|r| r[0]).collect::<Vec<_>>()),
            |train, rows| rows.iter().map(|r| u8::from(train.contains(&r[0]))).collect(),
        );
        let leaked = leaked.unwrap();
        assert_eq!((leaked.len(), leaked.iter().sum::<u8>()), (70, 0));
    }

    #[test]
    fn few_assets_give_contiguous_blocks_and_bad_rows_go() {
        let mut values: Vec<f64> = (0..12).map(f64::from).collect();
        (values[3], values[7]) = (f64::NAN, f64::INFINITY);
        let t = table(values, vec![0; 12]);
        let rows = TrainingRows::new(&t, 5, Seed(0)).unwrap();
        assert_eq!(rows.rows().len(), 10);
        assert_eq!(rows.fold_of, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
        let e = TrainingRows::new(&t, 6, Seed(0)).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::InsufficientData);
        assert!(
            e.to_string().contains("at least 12") && e.to_string().contains("10 of 12"),
            "{e}"
        );
    }

    #[test]
    fn an_asset_without_a_usable_row_leaves_no_fold_empty() {
        let values: Vec<f64> = (0..30)
            .map(|i| if i % 6 == 2 { f64::NAN } else { f64::from(i) })
            .collect();
        let t = table(values, (0..30).map(|i| i % 6).collect());
        let rows = TrainingRows::new(&t, 5, Seed(9)).unwrap();
        for fold in 0..5 {
            assert_eq!(rows.fold_of.iter().filter(|f| **f == fold).count(), 5);
        }
    }

    #[test]
    fn errors_name_the_fold() {
        let t = table((0..10).map(f64::from).collect(), vec![0; 10]);
        let rows = TrainingRows::new(&t, 2, Seed(0)).unwrap();
        let e = rows
            .out_of_fold(|_| Err::<(), _>(Error::not_converged("why")), |_, _| vec![0.0])
            .unwrap_err();
        assert_eq!(e.to_string(), "fold 1 of 2, for the threshold: why");
    }
}
