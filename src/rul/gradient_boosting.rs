//! Gradient-boosted histogram trees.

use super::{
    row_regressor::{LabelledRows, PointModel, RowRegressor, RowRegressorParams, RulAlgorithm},
    tree_explanations::{Contributions, FeatureImportance, TreeModel, contributions_of, importance_of},
    trees::{
        Binned, BoostingLoss, Forest, ForestRecord, Grower, MAX_BINS, MAX_ROWS, Objective, Planted, Round,
        TreeSettings, check_gains,
    },
};
use crate::{
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::Assessment,
    quantity::Seed,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use serde::{Deserialize, Serialize};

/// Log lives beyond this are held there: their exponential would be no number.
const LARGEST_LOG: f64 = 700.0;

/// Remaining useful life by gradient-boosted regression trees on binned features (Friedman 2001,
/// doi 10.1214/aos/1013203451; histograms and best-first growth as in LightGBM, Ke et al. 2017).
///
/// The estimate is `mean(label) + sum of trees`, averaged over several seeded ensembles and clipped to `0..=cap`. Each
/// tree is fitted by squared loss to what the ones before it left, on a share of the rows and of the columns, splits
/// chosen by `GL^2/(nL + l2) + GR^2/(nR + l2)`; a leaf gives `learning_rate G/(n + l2)`. Gradients are rounded to 22 bits
/// and summed as whole numbers, so a model does not depend on the order of summation. [`BoostingLoss`] lists other losses, one
/// of which learns from lives that are only known to be at least as long.
///
/// Predictions can be held to rise or fall with a feature ([`increasing`](GradientBoostingParams::increasing)), and trees be
/// grown until assets that are not learned from have no more use for them
/// ([`early_stopping`](GradientBoostingParams::early_stopping)). [`importance`](GradientBoosting::importance) tells which features
/// the trees use, [`contributions`](GradientBoosting::contributions) what each one adds to an estimate.
///
/// Intervals come from out-of-fold residuals in bins of the prediction, folds by asset: see
/// [`BinnedIntervals`](super::conformal::BinnedIntervals).
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
    loss: BoostingLoss,
    increasing: Vec<String>,
    decreasing: Vec<String>,
    early_stopping: Option<EarlyStopping>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct EarlyStopping {
    /// Share of the assets that are held out.
    share: f64,
    /// Trees without a better one.
    patience: usize,
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
            loss: BoostingLoss::Squared,
            increasing: Vec::new(),
            decreasing: Vec::new(),
            early_stopping: None,
        }
    }
}

/// The fitted half of [`GradientBoosting`]: a base and trees to add to it.
#[derive(Clone, Debug, PartialEq)]
pub struct BoostedTrees {
    base: f64,
    forest: Forest,
    /// Where the sum is a log life: what is added before it becomes a life.
    log_shift: Option<f64>,
    gains: Vec<f64>,
}

/// [`BoostedTrees`] as they are written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoostedTreesRecord {
    base: f64,
    forest: ForestRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_shift: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gains: Vec<f64>,
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

    /// How much the trees use each feature, in the order of the schema.
    pub fn importance(&self) -> Vec<FeatureImportance> {
        importance_of(self)
    }

    /// What each feature adds to the estimate of a row before it is clipped, or to its logarithm with
    /// [`BoostingLoss::Censored`] (the median's, whose base takes the noise's median in): path-dependent Shapley values
    /// (Lundberg et al. 2020, doi 10.1038/s42256-019-0138-9). A feature that is taken for unknown goes both ways of its splits,
    /// in the shares of the training rows. `O(n_trees max_leaves d^2)`, `d` the different features on the way to a leaf.
    ///
    /// # Errors
    /// `SchemaMismatch`; `InsufficientData` for a model from a file without counts of training rows.
    pub fn contributions(&self, x: FeatureView<'_>) -> Result<Assessment<Contributions>> {
        contributions_of(self, x)
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

    /// What is minimised. Unless told, squares.
    #[must_use]
    pub fn loss(self, loss: BoostingLoss) -> Self {
        self.with(|s| s.loss = loss)
    }

    /// Features with which the prediction never falls, the others held: splits that would let it are passed over, and the
    /// leaves on both sides of one that is taken stay on their sides of the middle between its values. Nothing is promised
    /// between a value and a missing one.
    #[must_use]
    pub fn increasing<S: Into<String>>(self, features: impl IntoIterator<Item = S>) -> Self {
        self.with(|s| s.increasing = features.into_iter().map(Into::into).collect())
    }

    /// Features with which the prediction never rises, as with [`increasing`](Self::increasing).
    #[must_use]
    pub fn decreasing<S: Into<String>>(self, features: impl IntoIterator<Item = S>) -> Self {
        self.with(|s| s.decreasing = features.into_iter().map(Into::into).collect())
    }

    /// Holds out `share` of the assets (at least one), and stops an ensemble when its last `patience` trees have not lowered
    /// the loss there; the trees up to the best stay. Each ensemble holds out assets of its own draw, so that several learn
    /// from all of them; no ensemble is fitted anew on what it held out. Bins are cut by all rows, without their lives.
    #[must_use]
    pub fn early_stopping(self, share: f64, patience: usize) -> Self {
        self.with(|s| s.early_stopping = Some(EarlyStopping { share, patience }))
    }
}

impl GradientBoostingSettings {
    /// 1 for a feature that predictions rise with, -1 for one they fall with; empty where there is none.
    fn directions(&self, schema: &FeatureSchema) -> Result<Vec<i8>> {
        if self.increasing.is_empty() && self.decreasing.is_empty() {
            return Ok(Vec::new());
        }
        let mut directions = vec![0; schema.len()];
        for (setting, names, direction) in [
            ("increasing", &self.increasing, 1),
            ("decreasing", &self.decreasing, -1),
        ] {
            for name in names {
                let Some(at) = schema.position(name) else {
                    return Err(Error::parameter(setting, "features of the table", format!("`{name}`")));
                };
                directions[at] = direction;
            }
        }
        Ok(directions)
    }

    /// Rows that one ensemble learns from, and those that tell it when to stop.
    fn parts(&self, table: &FeatureTable, seed: Seed) -> Result<(Vec<u32>, Vec<u32>)> {
        let rows = 0..table.n_rows() as u32;
        let Some(EarlyStopping { share, .. }) = self.early_stopping else {
            return Ok((rows.collect(), Vec::new()));
        };
        let mut assets = table.asset().to_vec();
        assets.sort_unstable();
        assets.dedup();
        if assets.len() < 2 {
            return Err(Error::insufficient("early stopping", "at least 2 assets", assets.len()));
        }
        let n_held_out = ((assets.len() as f64 * share).round() as usize).clamp(1, assets.len() - 1);
        let mut rng = Xoshiro256Plus::seed_from_u64(seed.0);
        for i in 0..n_held_out {
            let j = rng.gen_range(i..assets.len());
            assets.swap(i, j);
        }
        let held_out = &mut assets[..n_held_out];
        held_out.sort_unstable();
        Ok(rows.partition(|r| held_out.binary_search(&table.asset()[*r as usize]).is_err()))
    }

    /// One ensemble and where it starts.
    fn ensemble(
        &self,
        table: &FeatureTable,
        binned: &Binned,
        objective: &Objective,
        seed: Seed,
    ) -> Result<(f64, Planted)> {
        let n_rows = table.n_rows();
        let (known, held_out) = self.parts(table, seed.part(1))?;
        let base = objective.base(&known);
        let mut grower = Grower::new(binned, self.tree, known, self.directions(table.schema())?);
        let mut rng = Xoshiro256Plus::seed_from_u64(seed.0);
        let mut planted = Planted::new(table.schema().len());
        let (mut scores, mut gradient) = (vec![base; n_rows], vec![0.0; n_rows]);
        let mut curvature = vec![0.0; if objective.has_curvature() { n_rows } else { 0 }];
        let mut residuals = vec![0.0; if objective.leaf_quantile().is_some() { n_rows } else { 0 }];
        let (mut best, mut gains_of_best) = ((f64::INFINITY, 0), Vec::new());
        for tree in 0..=self.n_trees {
            if let Some(EarlyStopping { patience, .. }) = self.early_stopping {
                let loss = objective.mean_loss(&scores, &held_out);
                if loss < best.0 {
                    best = (loss, tree);
                    gains_of_best.clone_from(&planted.gains);
                } else if tree >= best.1 + patience {
                    break;
                }
            }
            objective.gradients(&scores, &mut gradient, &mut curvature);
            if objective.leaf_quantile().is_some() {
                objective.residuals(&scores, &mut residuals);
            }
            let round = Round {
                gradient: &gradient,
                curvature: &curvature,
                quantile: objective.leaf_quantile().map(|q| (&residuals[..], q)),
            };
            if tree == self.n_trees || !grower.grow(round, &mut scores, &mut rng, &mut planted) {
                break;
            }
        }
        if self.early_stopping.is_some() {
            planted.forest.keep(best.1);
            planted.gains = gains_of_best;
        }
        Ok((base, planted))
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
        // Places of nodes are 32 bits in a forest; this many leaves take some gigabytes.
        let n_leaves = self
            .n_trees
            .saturating_mul(self.n_ensembles)
            .saturating_mul(self.tree.max_leaves);
        count("n_trees x n_ensembles x max_leaves", n_leaves, 1, 1 << 27)?;
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
        if let Some(EarlyStopping { share, patience }) = self.early_stopping {
            if !(share > 0.0 && share < 1.0) {
                return Err(Error::parameter("early_stopping share", "above 0 and below 1", share));
            }
            count("early_stopping patience", patience, 1, 100_000)?;
        }
        if let Some(both) = self.increasing.iter().find(|name| self.decreasing.contains(name)) {
            let got = format!("`{both}` in both");
            return Err(Error::parameter("increasing", "features that are not decreasing", got));
        }
        self.loss.check()
    }

    fn takes_censored(&self) -> bool {
        self.loss.takes_censored()
    }

    fn fit(&self, rows: LabelledRows<'_>, seed: Seed) -> Result<BoostedTrees> {
        let table = rows.table;
        let n_rows = table.n_rows();
        if n_rows > MAX_ROWS {
            return Err(Error::input("training rows", format!("at most {MAX_ROWS}"), n_rows));
        }
        let n_features = table.schema().len();
        let objective = Objective::new(self.loss, rows.lives, rows.censored)?;
        let binned = Binned::new(n_features, self.n_bins, table.rows());
        let mut all = Planted::new(n_features);
        let mut base = 0.0;
        for e in 0..self.n_ensembles {
            let (start, planted) = self.ensemble(table, &binned, &objective, seed.part(e as u64))?;
            base += start;
            all.extend(planted);
        }
        let share = 1.0 / self.n_ensembles as f64;
        all.finish(share);
        Ok(BoostedTrees {
            base: base * share,
            forest: all.forest,
            log_shift: self.loss.log_shift(),
            gains: all.gains,
        })
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
        let sum = self.base + self.forest.sum(row);
        match self.log_shift {
            None => sum,
            Some(shift) => libm::exp((sum + shift).clamp(-LARGEST_LOG, LARGEST_LOG)),
        }
    }

    fn to_record(&self) -> BoostedTreesRecord {
        BoostedTreesRecord {
            base: self.base,
            forest: self.forest.to_record(),
            log_shift: self.log_shift,
            gains: self.gains.clone(),
        }
    }

    fn from_record(r: BoostedTreesRecord, n_features: usize) -> Result<Self> {
        if !r.base.is_finite() || r.log_shift.is_some_and(|s| !s.is_finite()) {
            return Err(Error::persistence(
                "gradient boosting: expected a finite base and shift",
            ));
        }
        check_gains(&r.gains, n_features)?;
        Ok(Self {
            base: r.base,
            forest: Forest::from_record(r.forest, n_features)?,
            log_shift: r.log_shift,
            gains: r.gains,
        })
    }
}

impl TreeModel for BoostedTrees {
    fn forest(&self) -> &Forest {
        &self.forest
    }

    fn gains(&self) -> &[f64] {
        &self.gains
    }

    fn base(&self) -> f64 {
        self.base + self.log_shift.unwrap_or(0.0)
    }
}
