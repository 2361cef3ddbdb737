//! Gradient-boosted histogram trees.

use super::{
    forest::{Forest, ForestRecord},
    histogram_trees::{Binned, Grower, MAX_BINS, MAX_ROWS, TreeSettings},
    row_regressor::{LabelledRows, PointModel, RowRegressor, RowRegressorParams, RulAlgorithm},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;
use serde::{Deserialize, Serialize};

/// Remaining useful life by gradient-boosted regression trees on binned features (Friedman 2001,
/// doi 10.1214/aos/1013203451; histograms and best-first growth as in LightGBM, Ke et al. 2017).
///
/// The estimate is `mean(label) + sum of trees`, averaged over several seeded ensembles and clipped to `0..=cap`. Each
/// tree is fitted by squared loss to what the ones before it left, on a share of the rows and of the columns, splits
/// chosen by `GL^2/(nL + l2) + GR^2/(nR + l2)`; a leaf gives `learning_rate G/(n + l2)`. Gradients are rounded to 22 bits
/// and summed as whole numbers, so a model does not depend on the order of summation.
///
/// Intervals come from out-of-fold residuals in bins of the prediction, folds by asset: see
/// [`BinnedIntervals`](super::BinnedIntervals).
///
/// NaN is a value of its own: each split learns the side it goes to. A row with more than three quarters of its features missing,
/// or an infinite one, is unusable. Fitting costs `O(n_trees n_rows n_features log(max_leaves))` at worst, plus as much for
/// each fold; a prediction `O(n_trees log(max_leaves))` and no allocation. At most 1,048,575 training rows.
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable}, model::{Assessment, OnlineModel}, quantity::LifeUnit,
///     rul::{GradientBoosting, RulLabels}, signal::Channel,
/// };
/// // Ten assets of 100 rows whose one feature follows the age.
/// let schema = FeatureSchema::of_channels(&[Channel::new("wear", "µm")])?;
/// let wear = Array2::from_shape_fn((1000, 1), |(i, _)| (i % 100) as f64);
/// let labels = RulLabels::new((0..1000).map(|i| 99.0 - (i % 100) as f64).collect(), LifeUnit::Hours)?;
/// let table = FeatureTable::new(schema, wear, (0..1000).map(|i| i / 100).collect())?;
/// let model = GradientBoosting::params().n_trees(100).interval(0.9).fit(&DatasetBase::new(table.clone(), labels))?;
/// let row = table.views().nth(60).unwrap();
/// let Assessment::Ready(estimate) = model.assess(&(), row)? else { panic!() };
/// assert!((estimate.rul - 39.0).abs() < 3.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type GradientBoosting = RowRegressor<BoostedTrees>;

/// Parameters of [`GradientBoosting`].
pub type GradientBoostingParams = RowRegressorParams<GradientBoostingSettings>;

/// How [`GradientBoosting`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientBoostingSettings {
    n_trees: usize,
    n_ensembles: usize,
    n_bins: usize,
    tree: TreeSettings,
}

impl Default for GradientBoostingSettings {
    fn default() -> Self {
        Self {
            n_trees: 350,
            n_ensembles: 3,
            n_bins: 63,
            tree: TreeSettings {
                max_leaves: 15,
                min_leaf_rows: 40,
                l2: 2.0,
                learning_rate: 0.05,
                row_fraction: 0.6,
                column_fraction: 0.4,
            },
        }
    }
}

/// The fitted half of [`GradientBoosting`]: a base and trees to add to it.
#[derive(Clone, Debug, PartialEq)]
pub struct BoostedTrees {
    base: f64,
    forest: Forest,
}

/// [`BoostedTrees`] as they are written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoostedTreesRecord {
    base: f64,
    forest: ForestRecord,
}

impl GradientBoosting {
    /// Parameters that fit fleets of some ten thousand rows: 350 trees of 15 leaves, learning rate 0.05, 40% of the
    /// columns and 60% of the rows a tree, at least 40 rows a leaf, `l2` 2, 63 bins, three ensembles, 90% intervals from
    /// five folds, no cap.
    pub fn params() -> GradientBoostingParams {
        GradientBoostingParams::default()
    }

    /// Trees of all ensembles together.
    pub fn n_trees(&self) -> usize {
        self.point_model().forest.n_trees()
    }
}

impl GradientBoostingParams {
    /// Trees in an ensemble.
    #[must_use]
    pub fn n_trees(self, n: usize) -> Self {
        self.with(|s| s.n_trees = n)
    }

    /// Seeded ensembles whose mean is the estimate.
    #[must_use]
    pub fn n_ensembles(self, n: usize) -> Self {
        self.with(|s| s.n_ensembles = n)
    }

    /// Bins a feature, missing values not counted: 2..=255.
    #[must_use]
    pub fn n_bins(self, n: usize) -> Self {
        self.with(|s| s.n_bins = n)
    }

    /// Leaves of a tree at most: 2..=1024.
    #[must_use]
    pub fn max_leaves(self, n: usize) -> Self {
        self.with(|s| s.tree.max_leaves = n)
    }

    /// Rows in a leaf at least.
    #[must_use]
    pub fn min_leaf_rows(self, n: usize) -> Self {
        self.with(|s| s.tree.min_leaf_rows = n)
    }

    /// Penalty on squared leaf values.
    #[must_use]
    pub fn l2(self, l2: f64) -> Self {
        self.with(|s| s.tree.l2 = l2)
    }

    /// Share of a tree's values that is taken.
    #[must_use]
    pub fn learning_rate(self, rate: f64) -> Self {
        self.with(|s| s.tree.learning_rate = rate)
    }

    /// Share of the rows each tree sees.
    #[must_use]
    pub fn row_fraction(self, fraction: f64) -> Self {
        self.with(|s| s.tree.row_fraction = fraction)
    }

    /// Share of the columns each tree sees.
    #[must_use]
    pub fn column_fraction(self, fraction: f64) -> Self {
        self.with(|s| s.tree.column_fraction = fraction)
    }
}

impl RulAlgorithm for GradientBoostingSettings {
    type Point = BoostedTrees;

    fn check(&self) -> Result<()> {
        let count = |name: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::parameter(name, format!("{low}..={high}"), value))
            }
        };
        count("n_trees", self.n_trees, 1, 100_000)?;
        count("n_ensembles", self.n_ensembles, 1, 1_000)?;
        count("n_bins", self.n_bins, 2, MAX_BINS)?;
        count("max_leaves", self.tree.max_leaves, 2, 1024)?;
        count("min_leaf_rows", self.tree.min_leaf_rows, 1, MAX_ROWS)?;
        for (name, value) in [
            ("row_fraction", self.tree.row_fraction),
            ("column_fraction", self.tree.column_fraction),
        ] {
            if !(value > 0.0 && value <= 1.0) {
                return Err(Error::parameter(name, "above 0 and at most 1", value));
            }
        }
        if !(self.tree.learning_rate > 0.0 && self.tree.learning_rate <= 1.0) {
            return Err(Error::parameter(
                "learning_rate",
                "above 0 and at most 1",
                self.tree.learning_rate,
            ));
        }
        if !(self.tree.l2.is_finite() && self.tree.l2 >= 0.0) {
            return Err(Error::parameter("l2", "finite and not negative", self.tree.l2));
        }
        Ok(())
    }

    fn fit(&self, rows: LabelledRows<'_>, seed: Seed) -> Result<BoostedTrees> {
        let (table, target) = (rows.table, rows.lives);
        let n_rows = table.n_rows();
        if n_rows > MAX_ROWS {
            return Err(Error::input("training rows", format!("at most {MAX_ROWS}"), n_rows));
        }
        let base = target.iter().sum::<f64>() / n_rows as f64;
        let binned = Binned::new(table.schema().len(), self.n_bins, table.rows());
        let mut grower = Grower::new(&binned, self.tree);
        let mut forest = Forest::default();
        let (mut fitted, mut residual) = (vec![0.0; n_rows], vec![0.0; n_rows]);
        for e in 0..self.n_ensembles {
            let mut rng = Xoshiro256Plus::seed_from_u64(seed.part(e as u64).0);
            let mut ensemble = Forest::default();
            fitted.fill(base);
            for _ in 0..self.n_trees {
                for ((r, y), f) in residual.iter_mut().zip(target).zip(&fitted) {
                    *r = y - f;
                }
                if !grower.grow(&residual, &mut fitted, &mut rng, &mut ensemble) {
                    break;
                }
            }
            forest.extend(ensemble);
        }
        forest.scale(1.0 / self.n_ensembles as f64);
        Ok(BoostedTrees { base, forest })
    }

    /// One ensemble.
    fn for_held_out(&self) -> Self {
        Self {
            n_ensembles: 1,
            ..self.clone()
        }
    }
}

impl PointModel for BoostedTrees {
    const KIND: &'static str = "rul.gradient_boosting";
    type Record = BoostedTreesRecord;

    fn predict(&self, row: &[f64]) -> f64 {
        self.base + self.forest.sum(row)
    }

    fn to_record(&self) -> BoostedTreesRecord {
        BoostedTreesRecord {
            base: self.base,
            forest: self.forest.to_record(),
        }
    }

    fn from_record(r: BoostedTreesRecord, n_features: usize) -> Result<Self> {
        if !r.base.is_finite() {
            return Err(Error::persistence("gradient boosting: expected a finite base"));
        }
        Ok(Self {
            base: r.base,
            forest: Forest::from_record(r.forest, n_features)?,
        })
    }
}
