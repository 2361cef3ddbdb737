//! Extremely randomised trees.

use super::{
    row_regressor::{LabelledRows, PointModel, RowRegressor, RowRegressorParams, RulAlgorithm},
    tree_explanations::{Contributions, FeatureImportance, TreeModel, contributions_of, importance_of},
    trees::{Forest, ForestRecord, MAX_CUT_LEAVES, MAX_ROWS, Planted, RandomCutSettings, RandomCuts, check_gains},
};
use crate::{
    error::{Error, Result},
    features::FeatureView,
    model::Assessment,
    quantity::Seed,
};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;
use serde::{Deserialize, Serialize};

/// Nodes of all trees at most: two gibibytes of them.
const MOST_NODES: usize = 1 << 27;

/// Remaining useful life by extremely randomised trees (Geurts, Ernst and Wehenkel 2006, doi 10.1007/s10994-006-6226-1).
///
/// Each tree is grown on all rows. A node draws features until `column_fraction` of them are not constant there, cuts each at
/// one random place between its smallest and largest value, and takes the cut of greatest `SL^2/nL + SR^2/nR`, `S` the sum of
/// the lives on a side. A leaf gives the mean life of its rows, the estimate is the mean over the trees: never beyond the lives
/// it has seen. Lives are rounded to 22 bits and summed as whole numbers, so a model does not depend on the order of rows.
///
/// Next to boosted trees it has little to set, does not overfit with more trees, and is smoother.
///
/// NaN is a value of its own: each cut takes the better side for it. Fitting costs `O(n_trees n_rows n_features
/// column_fraction log(n_rows / min_leaf_rows))`, plus as much for each fold; a prediction `O(n_trees log(n_rows /
/// min_leaf_rows))` and no allocation. Trees are large in files: some `2 n_rows / min_leaf_rows` nodes each.
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable}, model::{Assessment, OnlineModel}, quantity::LifeUnit,
///     rul::{ExtraTrees, RulLabels}, signal::Channel,
/// };
/// let schema = FeatureSchema::of_channels(&[Channel::new("wear", "µm")])?;
/// let wear = Array2::from_shape_fn((1000, 1), |(i, _)| (i % 100) as f64);
/// let labels = RulLabels::new((0..1000).map(|i| 99.0 - (i % 100) as f64).collect(), LifeUnit::Hours)?;
/// let table = FeatureTable::new(schema, wear, (0..1000).map(|i| i / 100).collect())?;
/// let model = ExtraTrees::params().n_trees(50).fit(&DatasetBase::new(table.clone(), labels))?;
/// let Assessment::Ready(estimate) = model.assess(&(), table.views().nth(60).unwrap())? else { panic!() };
/// assert!((estimate.rul - 39.0).abs() < 1.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type ExtraTrees = RowRegressor<RandomTrees>;

/// Parameters of [`ExtraTrees`].
pub type ExtraTreesParams = RowRegressorParams<ExtraTreesSettings>;

/// How [`ExtraTrees`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtraTreesSettings {
    n_trees: usize,
    min_leaf_rows: usize,
    column_fraction: f64,
}

impl Default for ExtraTreesSettings {
    fn default() -> Self {
        Self {
            n_trees: 100,
            min_leaf_rows: 5,
            column_fraction: 1.0 / 3.0,
        }
    }
}

/// The fitted half of [`ExtraTrees`].
#[derive(Clone, Debug, PartialEq)]
pub struct RandomTrees {
    forest: Forest,
    gains: Vec<f64>,
}

/// [`RandomTrees`] as they are written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RandomTreesRecord {
    forest: ForestRecord,
    gains: Vec<f64>,
}

impl ExtraTrees {
    /// A hundred trees, at least five rows a leaf, a third of the columns a node, 90% intervals from five folds by asset, no
    /// cap.
    pub fn params() -> ExtraTreesParams {
        ExtraTreesParams::default()
    }

    /// Trees.
    pub fn n_trees(&self) -> usize {
        self.point_model().forest.n_trees()
    }

    /// How much the trees use each feature, in the order of the schema.
    pub fn importance(&self) -> Vec<FeatureImportance> {
        importance_of(self)
    }

    /// What each feature adds to the estimate of a row before it is clipped: path-dependent Shapley values, as in
    /// [`GradientBoosting`](super::GradientBoosting).
    ///
    /// # Errors
    /// `SchemaMismatch`.
    pub fn contributions(&self, x: FeatureView<'_>) -> Result<Assessment<Contributions>> {
        contributions_of(self, x)
    }
}

impl ExtraTreesParams {
    /// Trees: 1..=10,000.
    #[must_use]
    pub fn n_trees(self, n: usize) -> Self {
        self.with(|s| s.n_trees = n)
    }

    /// Rows in a leaf at least; a tree has at most 32,768 leaves, so more than 32,768 rows a unit of this are refused.
    #[must_use]
    pub fn min_leaf_rows(self, n: usize) -> Self {
        self.with(|s| s.min_leaf_rows = n)
    }

    /// Share of the columns each node draws.
    #[must_use]
    pub fn column_fraction(self, fraction: f64) -> Self {
        self.with(|s| s.column_fraction = fraction)
    }
}

impl RulAlgorithm for ExtraTreesSettings {
    type Point = RandomTrees;

    fn check(&self) -> Result<()> {
        if !(1..=10_000).contains(&self.n_trees) {
            return Err(Error::parameter("n_trees", "1..=10000", self.n_trees));
        }
        if !(1..=MAX_ROWS).contains(&self.min_leaf_rows) {
            let range = format!("1..={MAX_ROWS}");
            return Err(Error::parameter("min_leaf_rows", range, self.min_leaf_rows));
        }
        if !(self.column_fraction > 0.0 && self.column_fraction <= 1.0) {
            let range = "above 0 and at most 1";
            return Err(Error::parameter("column_fraction", range, self.column_fraction));
        }
        Ok(())
    }

    fn fit(&self, rows: LabelledRows<'_>, seed: Seed) -> Result<RandomTrees> {
        let (n_rows, n_features) = (rows.table.n_rows(), rows.table.schema().len());
        if n_rows > MAX_ROWS {
            return Err(Error::input("training rows", format!("at most {MAX_ROWS}"), n_rows));
        }
        if n_rows / self.min_leaf_rows > MAX_CUT_LEAVES {
            return Err(Error::parameter(
                "min_leaf_rows",
                format!("at least {} for {n_rows} rows", n_rows.div_ceil(MAX_CUT_LEAVES)),
                self.min_leaf_rows,
            ));
        }
        let most = self.n_trees * (2 * (n_rows / self.min_leaf_rows).max(1));
        if most > MOST_NODES {
            return Err(Error::parameter(
                "n_trees",
                format!(
                    "few enough for {MOST_NODES} nodes, with leaves of {} of {n_rows} rows",
                    self.min_leaf_rows
                ),
                self.n_trees,
            ));
        }
        let settings = RandomCutSettings {
            n_candidates: ((n_features as f64 * self.column_fraction).round() as usize).clamp(1, n_features),
            min_leaf_rows: self.min_leaf_rows,
        };
        let mut cuts = RandomCuts::new(n_features, rows.table.rows(), rows.lives, settings);
        let mut planted = Planted::new(n_features);
        for tree in 0..self.n_trees {
            let mut rng = Xoshiro256Plus::seed_from_u64(seed.part(tree as u64).0);
            cuts.grow(&mut rng, &mut planted);
        }
        planted.finish(1.0 / self.n_trees as f64);
        Ok(RandomTrees {
            forest: planted.forest,
            gains: planted.gains,
        })
    }
}

impl PointModel for RandomTrees {
    const KIND: &'static str = "rul.extra_trees";
    type Record = RandomTreesRecord;

    fn predict(&self, row: &[f64]) -> f64 {
        self.forest.sum(row)
    }

    fn to_record(&self) -> RandomTreesRecord {
        RandomTreesRecord {
            forest: self.forest.to_record(),
            gains: self.gains.clone(),
        }
    }

    fn from_record(r: RandomTreesRecord, n_features: usize) -> Result<Self> {
        check_gains(&r.gains, n_features)?;
        Ok(Self {
            forest: Forest::from_record(r.forest, n_features)?,
            gains: r.gains,
        })
    }
}

impl TreeModel for RandomTrees {
    fn forest(&self) -> &Forest {
        &self.forest
    }

    fn gains(&self) -> &[f64] {
        &self.gains
    }

    fn base(&self) -> f64 {
        0.0
    }
}
