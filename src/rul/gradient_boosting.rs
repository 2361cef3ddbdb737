//! Gradient-boosted histogram trees.

use super::{
    BinnedIntervals, LabelSettings, PointRegressor, RulLabels, check_schema, estimate,
    forest::{Forest, ForestRecord},
    histogram_trees::{Binned, Grower, MAX_BINS, MAX_ROWS, TreeSettings},
    no_fingerprint, too_many_missing,
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{Assessment, OnlineModel, PersistentModel, RulDistribution, RulEstimate, RulRegressor, fingerprint_of},
    quantity::{LifeUnit, Seed},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;
use serde::{Deserialize, Serialize};

/// Parameters of [`GradientBoosting`], not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientBoostingParams(GradientBoostingValidParams);

/// Checked parameters of [`GradientBoosting`].
#[derive(Clone, Debug, PartialEq)]
pub struct GradientBoostingValidParams {
    labels: LabelSettings,
    n_trees: usize,
    n_ensembles: usize,
    n_bins: usize,
    tree: TreeSettings,
}

/// Remaining useful life by gradient-boosted regression trees on binned features (Friedman 2001,
/// doi 10.1214/aos/1013203451; histograms and best-first growth as in LightGBM, Ke et al. 2017).
///
/// The estimate is `mean(label) + sum of trees`, averaged over several seeded ensembles and clipped to `0..=cap`. Each
/// tree is fitted by squared loss to what the ones before it left, on a share of the rows and of the columns, splits
/// chosen by `GL^2/(nL + l2) + GR^2/(nR + l2)`; a leaf gives `learning_rate G/(n + l2)`. Gradients are rounded to 22 bits
/// and summed as whole numbers, so a model does not depend on the order of summation.
///
/// Intervals come from out-of-fold residuals in bins of the prediction, folds by asset: see [`BinnedIntervals`].
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
#[derive(Clone, Debug)]
pub struct GradientBoosting {
    schema: FeatureSchema,
    fingerprint: Fingerprint,
    base: f64,
    forest: Forest,
    cap: Option<f64>,
    unit: LifeUnit,
    intervals: Option<BinnedIntervals>,
}

/// [`GradientBoosting`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GradientBoostingRecord {
    schema: FeatureSchema,
    base: f64,
    forest: ForestRecord,
    cap: Option<f64>,
    unit: LifeUnit,
    intervals: Option<BinnedIntervals>,
}

impl GradientBoosting {
    /// Parameters that fit fleets of some ten thousand rows: 350 trees of 15 leaves, learning rate 0.05, 40% of the
    /// columns and 60% of the rows a tree, at least 40 rows a leaf, `l2` 2, 63 bins, three ensembles, 90% intervals from
    /// five folds, no cap.
    pub fn params() -> GradientBoostingParams {
        GradientBoostingParams(GradientBoostingValidParams {
            labels: LabelSettings::default(),
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
        })
    }

    /// Trees of all ensembles together.
    pub fn n_trees(&self) -> usize {
        self.forest.n_trees()
    }

    fn point(&self, row: &[f64]) -> f64 {
        let sum = self.base + self.forest.sum(row);
        sum.clamp(0.0, self.cap.unwrap_or(f64::MAX))
    }

    fn finished(mut self) -> Result<Self> {
        self.fingerprint = fingerprint_of(Self::KIND, &self.to_persisted())?;
        Ok(self)
    }
}

impl GradientBoostingParams {
    /// Learns remaining lives above `cap`, in life units, as `cap`.
    #[must_use]
    pub fn label_cap(mut self, cap: f64) -> Self {
        self.0.labels.cap = Some(cap);
        self
    }

    /// Nominal level of the interval.
    #[must_use]
    pub fn interval(mut self, level: f64) -> Self {
        self.0.labels.level = level;
        self
    }

    /// Folds by asset behind the interval.
    #[must_use]
    pub fn n_folds(mut self, n: usize) -> Self {
        self.0.labels.n_folds = n;
        self
    }

    /// Seed of rows, columns and folds.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.0.labels.seed = seed;
        self
    }

    /// Trees in an ensemble.
    #[must_use]
    pub fn n_trees(mut self, n: usize) -> Self {
        self.0.n_trees = n;
        self
    }

    /// Seeded ensembles whose mean is the estimate.
    #[must_use]
    pub fn n_ensembles(mut self, n: usize) -> Self {
        self.0.n_ensembles = n;
        self
    }

    /// Bins a feature, missing values not counted: 2..=255.
    #[must_use]
    pub fn n_bins(mut self, n: usize) -> Self {
        self.0.n_bins = n;
        self
    }

    /// Leaves of a tree at most: 2..=1024.
    #[must_use]
    pub fn max_leaves(mut self, n: usize) -> Self {
        self.0.tree.max_leaves = n;
        self
    }

    /// Rows in a leaf at least.
    #[must_use]
    pub fn min_leaf_rows(mut self, n: usize) -> Self {
        self.0.tree.min_leaf_rows = n;
        self
    }

    /// Penalty on squared leaf values.
    #[must_use]
    pub fn l2(mut self, l2: f64) -> Self {
        self.0.tree.l2 = l2;
        self
    }

    /// Share of a tree's values that is taken.
    #[must_use]
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.0.tree.learning_rate = rate;
        self
    }

    /// Share of the rows each tree sees.
    #[must_use]
    pub fn row_fraction(mut self, fraction: f64) -> Self {
        self.0.tree.row_fraction = fraction;
        self
    }

    /// Share of the columns each tree sees.
    #[must_use]
    pub fn column_fraction(mut self, fraction: f64) -> Self {
        self.0.tree.column_fraction = fraction;
        self
    }
}

impl ParamGuard for GradientBoostingParams {
    type Checked = GradientBoostingValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&GradientBoostingValidParams> {
        let p = &self.0;
        p.labels.check()?;
        let count = |name: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::parameter(name, format!("{low}..={high}"), value))
            }
        };
        count("n_trees", p.n_trees, 1, 100_000)?;
        count("n_ensembles", p.n_ensembles, 1, 1_000)?;
        count("n_bins", p.n_bins, 2, MAX_BINS)?;
        count("max_leaves", p.tree.max_leaves, 2, 1024)?;
        count("min_leaf_rows", p.tree.min_leaf_rows, 1, MAX_ROWS)?;
        for (name, value) in [
            ("row_fraction", p.tree.row_fraction),
            ("column_fraction", p.tree.column_fraction),
        ] {
            if !(value > 0.0 && value <= 1.0) {
                return Err(Error::parameter(name, "above 0 and at most 1", value));
            }
        }
        if !(p.tree.learning_rate > 0.0 && p.tree.learning_rate <= 1.0) {
            return Err(Error::parameter(
                "learning_rate",
                "above 0 and at most 1",
                p.tree.learning_rate,
            ));
        }
        if !(p.tree.l2.is_finite() && p.tree.l2 >= 0.0) {
            return Err(Error::parameter("l2", "finite and not negative", p.tree.l2));
        }
        Ok(p)
    }

    fn check(self) -> Result<GradientBoostingValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

impl PointRegressor for GradientBoostingValidParams {
    type Final = GradientBoosting;

    fn labels(&self) -> &LabelSettings {
        &self.labels
    }

    fn fit_point(&self, table: &FeatureTable, labels: &RulLabels, held_out: bool) -> Result<GradientBoosting> {
        let n_rows = table.n_rows();
        if labels.rul().len() != n_rows {
            return Err(Error::input(
                "labels",
                format!("{n_rows}, one a row"),
                labels.rul().len(),
            ));
        }
        if n_rows > MAX_ROWS {
            return Err(Error::input("training rows", format!("at most {MAX_ROWS}"), n_rows));
        }
        if let Some((i, v)) = table.values().iter().enumerate().find(|(_, v)| v.is_infinite()) {
            let (row, column) = (i / table.schema().len(), i % table.schema().len());
            let name = &table.schema().features()[column].name;
            return Err(Error::input(
                &format!("row {row}, feature `{name}`"),
                "finite or NaN",
                v,
            ));
        }
        let target: Vec<f64> = labels.rul().iter().map(|r| self.labels.capped(*r)).collect();
        let base = target.iter().sum::<f64>() / n_rows as f64;
        let binned = Binned::new(table.schema().len(), self.n_bins, table.rows());
        let mut grower = Grower::new(&binned, self.tree);
        let n_ensembles = if held_out { 1 } else { self.n_ensembles };
        let mut forest = Forest::default();
        let (mut fitted, mut residual) = (vec![0.0; n_rows], vec![0.0; n_rows]);
        for e in 0..n_ensembles {
            let mut rng = Xoshiro256Plus::seed_from_u64(self.labels.seed.part(e as u64).0);
            let mut ensemble = Forest::default();
            fitted.fill(base);
            for _ in 0..self.n_trees {
                for ((r, y), f) in residual.iter_mut().zip(&target).zip(&fitted) {
                    *r = y - f;
                }
                if !grower.grow(&residual, &mut fitted, &mut rng, &mut ensemble) {
                    break;
                }
            }
            forest.extend(ensemble);
        }
        forest.scale(1.0 / n_ensembles as f64);
        Ok(GradientBoosting {
            schema: table.schema().clone(),
            fingerprint: no_fingerprint(),
            base,
            forest,
            cap: self.labels.cap,
            unit: labels.unit(),
            intervals: None,
        })
    }

    fn predict(model: &GradientBoosting, row: &[f64]) -> f64 {
        model.point(row)
    }

    fn with_intervals(model: GradientBoosting, intervals: BinnedIntervals) -> Result<GradientBoosting> {
        GradientBoosting {
            intervals: Some(intervals),
            ..model
        }
        .finished()
    }
}

impl Fit<FeatureTable, RulLabels, Error> for GradientBoostingValidParams {
    type Object = GradientBoosting;

    fn fit(&self, dataset: &DatasetBase<FeatureTable, RulLabels>) -> Result<GradientBoosting> {
        self.fit_with_intervals(&dataset.records, &dataset.targets)
    }
}

impl OnlineModel for GradientBoosting {
    type State = ();
    type Output = RulEstimate;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) {}

    fn assess(&self, (): &(), x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
        check_schema(&self.schema, &x)?;
        match (too_many_missing(x.values()), &self.intervals) {
            (Some(reason), _) => Ok(Assessment::Unusable(reason)),
            (None, Some(intervals)) => estimate(self.point(x.values()), self.cap, self.unit, intervals),
            (None, None) => Err(Error::insufficient("gradient boosting", "intervals", "none")),
        }
    }

    fn update(&self, (): &mut (), x: FeatureView<'_>) -> Result<()> {
        check_schema(&self.schema, &x)
    }
}

impl RulRegressor for GradientBoosting {
    fn distribution(&self, (): &(), x: FeatureView<'_>) -> Result<Assessment<RulDistribution>> {
        check_schema(&self.schema, &x)?;
        match (too_many_missing(x.values()), &self.intervals) {
            (Some(reason), _) => Ok(Assessment::Unusable(reason)),
            (None, Some(intervals)) => intervals
                .distribution(self.point(x.values()), self.cap, self.unit)
                .map(Assessment::Ready),
            (None, None) => Err(Error::insufficient("gradient boosting", "intervals", "none")),
        }
    }
}

impl PersistentModel for GradientBoosting {
    const KIND: &'static str = "rul.gradient_boosting";
    const KIND_VERSION: u32 = 1;
    type Persisted = GradientBoostingRecord;

    fn to_persisted(&self) -> GradientBoostingRecord {
        GradientBoostingRecord {
            schema: self.schema.clone(),
            base: self.base,
            forest: self.forest.to_record(),
            cap: self.cap,
            unit: self.unit,
            intervals: self.intervals.clone(),
        }
    }

    fn from_persisted(r: GradientBoostingRecord) -> Result<Self> {
        if !r.base.is_finite() || r.cap.is_some_and(|c| !(c.is_finite() && c > 0.0)) || r.intervals.is_none() {
            return Err(Error::persistence(
                "gradient boosting: expected a finite base, a cap above 0 and intervals",
            ));
        }
        let forest = Forest::from_record(r.forest, r.schema.len())?;
        Self {
            schema: r.schema,
            fingerprint: no_fingerprint(),
            base: r.base,
            forest,
            cap: r.cap,
            unit: r.unit,
            intervals: r.intervals,
        }
        .finished()
    }
}
