//! Isolation forest.

use crate::detect::{
    draws::Draws,
    row::isolation_tree::{Branches, BranchesRecord, check_size, grow, partition},
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::check_numbers,
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// Walks side by side, so that one's wait for memory is the others' work.
const SIDE_BY_SIDE: usize = 8;
/// Rows that go through all trees before the next ones, so that they and a tree stay in the cache.
const ROWS_AT_ONCE: usize = 128;

/// Anomaly detector by isolation forest: how few random splits it takes to part a row from all others.
///
/// For many rows and columns without a model of what is usual, and where training rows may hold a few anomalies. Fast. Splits
/// look at one column at a time, so rows that are odd only by the relation between columns are found badly, and regions
/// that mirror clusters along the axes look usual; [`ExtendedIsolationForest`](crate::detect::ExtendedIsolationForest) splits
/// aslant.
///
/// # Method
///
/// Each of `n_trees` trees is grown on `rows_per_tree` rows drawn without replacement (all, where there are fewer): a node
/// draws one of the columns that vary among its rows and a place between the least and the greatest value, both evenly, until
/// rows stand alone, are all alike, or lie `ceil(log2(rows_per_tree))` splits deep. A row walks `h` splits to a leaf; where
/// `m` training rows ended there, `c(m)` is added for the tree not grown. With `n` rows a tree,
///
/// ```text
/// c(n) = 2 (ln(n - 1) + γ) - 2 (n - 1) / n        score = 2^(-mean(h) / c(n))
/// ```
///
/// A score is above 0 and at most 1; rows like all others have about 0.5 or less. This is `-score_samples` of scikit-learn.
///
/// # Contributions
///
/// If a tree ended at a node of depth `d` and `m` rows, the path there would be `d + c(m)`. By what a split changes that
/// figure, it shortens the row's path; that gain goes to the column it looks at. With `D` the mean of all gains, in units of
/// `c(n)`, the score is `2^D / 2`. Contribution of column `j` is `1 / (2 n_features) + (2^D - 1) / (2 D) D_j`: the score of
/// a row of average path shared evenly, the rest in proportion to gains. They add up to the score; one may be negative.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`, at least two usable rows a fold. Rows with a NaN or infinite value are left out when
/// fitting and [`Unusable`](crate::model::Assessment::Unusable) when scoring; other rows always score finite. Fitting costs
/// `O(n_trees rows_per_tree log rows_per_tree)` besides the passes over the rows that put them in standard units and score
/// them. A row costs `n_trees log2(rows_per_tree)` steps and allocates nothing up to 256 features.
/// [`assess_table`](RowDetector::assess_table) is faster than row after row.
///
/// # Source
///
/// Liu, Ting and Zhou, "Isolation Forest", ICDM 2008, doi
/// [10.1109/ICDM.2008.17](https://doi.org/10.1109/ICDM.2008.17).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::IsolationForest,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + 10.0 * ((i + 90 * j) as f64 * 0.7).sin());
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
///
/// let detector = IsolationForest::params().n_trees(50).fit(&DatasetBase::new(table, ()))?;
///
/// let score = |values: [f64; 2]| detector.assess(&(), FeatureView::new(&schema, &values)?).map(|a| a.ready());
/// assert!(!score([50.0, 51.7])?.unwrap().is_anomalous());
/// assert!(score([80.0, 20.0])?.unwrap().is_anomalous());
/// # Ok::<(), prognos::Error>(())
/// ```
pub type IsolationForest = RowDetector<IsolationTrees>;

/// Parameters of an [`IsolationForest`].
pub type IsolationForestParams = RowDetectorParams<IsolationForestSettings>;

/// How an [`IsolationForest`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct IsolationForestSettings {
    n_trees: usize,
    rows_per_tree: usize,
}

impl Default for IsolationForestSettings {
    fn default() -> Self {
        Self {
            n_trees: 100,
            rows_per_tree: 256,
        }
    }
}

impl IsolationForestParams {
    /// Number of trees, 1 to 10,000. Default 100.
    #[must_use]
    pub fn n_trees(self, n: usize) -> Self {
        self.with(|s| s.n_trees = n)
    }

    /// Rows that each tree is grown on, 2 to 65,536; times trees at most 2^22. Default 256.
    #[must_use]
    pub fn rows_per_tree(self, n: usize) -> Self {
        self.with(|s| s.rows_per_tree = n)
    }
}

impl IsolationForest {
    /// Default parameters: 100 trees of 256 rows, a false alarm rate of 0.01, five folds, seed 0.
    pub fn params() -> IsolationForestParams {
        IsolationForestParams::default()
    }
}

impl RowAlgorithm for IsolationForestSettings {
    type Scorer = IsolationTrees;

    fn check(&self) -> Result<()> {
        check_size(self.n_trees, self.rows_per_tree)
    }

    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<IsolationTrees> {
        let mut columns: Vec<u32> = (0..rows.width() as u32).collect();
        let rows_per_tree = self.rows_per_tree.min(rows.len());
        let value = |i: u32, j: u32| rows.values()[i as usize * rows.width() + j as usize];
        let split = |members: &mut [u32], chance: &mut Draws| {
            // The first column that varies, in random order.
            for k in 0..columns.len() {
                let other = k + chance.below(columns.len() - k);
                columns.swap(k, other);
                let feature = columns[k];
                let (low, high) = members.iter().fold((f64::MAX, f64::MIN), |(l, h), &i| {
                    let x = value(i, feature);
                    (if x < l { x } else { l }, if x > h { x } else { h })
                });
                if low < high {
                    let split = chance.between(low, high);
                    return Some((
                        Cut { feature, split },
                        partition(members, |i| value(i, feature) <= split),
                    ));
                }
            }
            None
        };
        let (branches, cuts) = grow(rows, self.n_trees, rows_per_tree, &mut Draws::new(seed), split);
        IsolationTrees::new(rows.width(), Branches::from_record(branches)?, cuts.into_iter())
    }
}

/// Rows with at most `split` in column `feature` go left.
#[derive(Clone, Copy, Default)]
struct Cut {
    feature: u32,
    split: f64,
}

/// One node of 16 bytes. A leaf splits at infinity and leads to itself.
#[derive(Clone, Copy, Debug)]
struct Node {
    split: f64,
    feature: u32,
    /// Position of the left child; the right one follows.
    left: u32,
}

/// The fitted half of an [`IsolationForest`].
#[derive(Clone, Debug)]
pub struct IsolationTrees {
    width: usize,
    branches: Branches,
    nodes: Vec<Node>,
}

impl IsolationTrees {
    fn new(width: usize, branches: Branches, cuts: impl Iterator<Item = Cut>) -> Result<Self> {
        let node = |(i, cut): (usize, Cut)| match branches.left(i) {
            Some(left) => Node {
                split: cut.split,
                feature: cut.feature,
                left: left as u32,
            },
            None => Node {
                split: f64::INFINITY,
                feature: 0,
                left: i as u32,
            },
        };
        let nodes: Vec<Node> = cuts.enumerate().map(node).collect();
        if nodes.len() != branches.n_nodes() || nodes.iter().any(|n| n.feature as usize >= width) {
            return Err(Error::persistence(format!(
                "trees: expected {} cuts at columns below {width}, got {} or others",
                branches.n_nodes(),
                nodes.len()
            )));
        }
        Ok(Self { width, branches, nodes })
    }

    #[inline(always)]
    fn step(&self, at: u32, row: &[f64]) -> u32 {
        let node = &self.nodes[at as usize];
        node.left + u32::from(row[node.feature as usize] > node.split)
    }

    /// Adds the path of each of the rows in the tree at `root` to `sums`.
    #[inline(always)]
    fn add_paths<const N: usize>(&self, root: usize, depth: u16, rows: &[f64], sums: &mut [f64]) {
        let (nodes, paths) = (&self.nodes[..], self.branches.paths());
        let mut at = [root as u32; N];
        for _ in 0..depth {
            for (k, a) in at.iter_mut().enumerate() {
                let node = &nodes[*a as usize];
                let x = rows[k * self.width + node.feature as usize];
                *a = node.left + u32::from(x > node.split);
            }
        }
        sums.iter_mut().zip(at).for_each(|(s, a)| *s += paths[a as usize]);
    }
}

impl RowScorer for IsolationTrees {
    const KIND: &'static str = "detect.isolation_forest";
    type Record = IsolationForestRecord;

    fn width(&self) -> usize {
        self.width
    }

    fn score(&self, z: &[f64]) -> f64 {
        let paths = self.branches.paths();
        let mut trees = self.branches.trees();
        let mut sum = 0.0;
        while trees.len() > 0 {
            // A short last group walks a tree several times over, and counts it once.
            let n = trees.len().min(SIDE_BY_SIDE);
            let (mut at, mut deepest) = ([0; SIDE_BY_SIDE], 0);
            for (a, (root, depth)) in at.iter_mut().zip(trees.by_ref()) {
                *a = root as u32;
                deepest = deepest.max(depth);
            }
            for _ in 0..deepest {
                at.iter_mut().for_each(|a| *a = self.step(*a, z));
            }
            sum = at.iter().take(n).fold(sum, |s, &a| s + paths[a as usize]);
        }
        self.branches.score(sum)
    }

    fn scores_into(&self, rows: Rows<'_>, out: &mut [f64]) {
        let width = self.width;
        let blocks = rows.values().chunks(ROWS_AT_ONCE * width);
        for (block, sums) in blocks.zip(out.chunks_mut(ROWS_AT_ONCE)) {
            sums.fill(0.0);
            for (root, depth) in self.branches.trees() {
                let mut groups = block.chunks_exact(SIDE_BY_SIDE * width);
                let mut places = sums.chunks_exact_mut(SIDE_BY_SIDE);
                for (group, sums) in groups.by_ref().zip(places.by_ref()) {
                    self.add_paths::<SIDE_BY_SIDE>(root, depth, group, sums);
                }
                let rest = groups.remainder().chunks_exact(width);
                for (row, sum) in rest.zip(places.into_remainder().chunks_exact_mut(1)) {
                    self.add_paths::<1>(root, depth, row, sum);
                }
            }
            sums.iter_mut().for_each(|s| *s = self.branches.score(*s));
        }
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        let paths = self.branches.paths();
        for (root, _) in self.branches.trees() {
            let mut at = root;
            while self.branches.left(at).is_some() {
                let next = self.step(at as u32, z) as usize;
                out[self.nodes[at].feature as usize] += paths[at] - paths[next];
                at = next;
            }
        }
        self.branches.share(out);
    }

    fn to_record(&self) -> IsolationForestRecord {
        let split = |n: &Node| if n.split.is_finite() { n.split } else { 0.0 };
        IsolationForestRecord {
            branches: self.branches.record().clone(),
            feature: self.nodes.iter().map(|n| n.feature).collect(),
            split: self.nodes.iter().map(split).collect(),
        }
    }

    fn from_record(r: IsolationForestRecord, width: usize) -> Result<Self> {
        check_numbers("splits", &r.split, r.feature.len(), f64::is_finite)?;
        let cuts = r.feature.into_iter().zip(r.split);
        let cuts = cuts.map(|(feature, split)| Cut { feature, split });
        Self::new(width, Branches::from_record(r.branches)?, cuts)
    }
}

/// What is written of [`IsolationTrees`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IsolationForestRecord {
    branches: BranchesRecord,
    /// Column of each node's split; 0 for a leaf.
    feature: Vec<u32>,
    /// Place of each node's split; 0 for a leaf.
    split: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::detect::row::isolation_tree::average_path;

    fn noise(n: usize, width: usize) -> Vec<f64> {
        let mut c = Draws::new(Seed(3));
        (0..n * width).map(|_| c.normal()).collect()
    }

    fn settings(n_trees: usize, rows_per_tree: usize) -> IsolationForestSettings {
        IsolationForestSettings { n_trees, rows_per_tree }
    }

    #[test]
    fn two_rows_are_parted_by_one_split() {
        let rows = [0.0, 1.0];
        let f = settings(20, 256).fit(Rows::new(&rows, 1), Seed(0)).unwrap();
        // Every path is 1 and c(2) is 1.
        for x in [-1e6, 0.0, 0.5, 1.0, 1e6] {
            assert_eq!(f.score(&[x]), 0.5);
        }
        let splits: Vec<f64> = f.nodes.iter().map(|n| n.split).filter(|s| s.is_finite()).collect();
        assert_eq!(splits.len(), 20);
        assert!(splits.iter().all(|s| (0.0..1.0).contains(s)));
    }

    #[test]
    fn rows_all_alike_stay_together() {
        // One row of five stands apart: a tree is one split, four rows stay together.
        let rows = [0.0, 0.0, 0.0, 0.0, 1.0];
        let f = settings(10, 5).fit(Rows::new(&rows, 1), Seed(0)).unwrap();
        assert_eq!(f.nodes.len(), 30);
        let c = average_path(5);
        assert!((f.score(&[0.0]) - 2_f64.powf(-(1.0 + average_path(4)) / c)).abs() < 1e-15);
        assert!((f.score(&[1.0]) - 2_f64.powf(-1.0 / c)).abs() < 1e-15);
        let none = settings(10, 5).fit(Rows::new(&[2.0, 2.0], 1), Seed(0)).unwrap();
        assert_eq!(none.score(&[5.0]), 0.5); // no split at all: the path is c(2)
    }

    #[test]
    fn many_rows_score_as_one_by_one_to_the_last_bit() {
        for (width, n_trees) in [(1, 1), (3, 7), (20, 100), (300, 9)] {
            let train = noise(400, width);
            let f = settings(n_trees, 64).fit(Rows::new(&train, width), Seed(1)).unwrap();
            for n in [0, 1, 7, 8, 9, 129, 400] {
                let rows = Rows::new(&train[..n * width], width);
                let mut many = vec![f64::NAN; n];
                f.scores_into(rows, &mut many);
                let single: Vec<f64> = rows.iter().map(|z| f.score(z)).collect();
                assert_eq!(many, single);
            }
        }
    }

    #[test]
    fn scores_are_those_of_a_plain_walk_and_contributions_add_up() {
        let train = noise(300, 4);
        let f = settings(30, 100).fit(Rows::new(&train, 4), Seed(2)).unwrap();
        for z in Rows::new(&train, 4).iter().chain([&[9.0, -1e6, 1e6, 0.0][..]]) {
            let walk = |(root, _)| {
                let (mut at, mut h) = (root, 0.0);
                while let Some(left) = f.branches.left(at) {
                    let n = &f.nodes[at];
                    at = if z[n.feature as usize] <= n.split {
                        left
                    } else {
                        left + 1
                    };
                    h += 1.0;
                }
                h + (f.branches.paths()[at] - h)
            };
            let mean = f.branches.trees().map(walk).sum::<f64>() / 30.0;
            let expected = 2_f64.powf(-mean / average_path(100));
            assert!((f.score(z) - expected).abs() < 1e-14);
            let mut shares = [0.0; 4];
            f.contributions_into(z, &mut shares);
            assert!((shares.iter().sum::<f64>() - expected).abs() < 1e-13);
        }
    }

    #[test]
    fn the_column_that_is_off_carries_the_score() {
        let train = noise(500, 6);
        let f = settings(100, 256).fit(Rows::new(&train, 6), Seed(0)).unwrap();
        for j in 0..6 {
            let mut z = [0.1; 6];
            z[j] = 8.0;
            let mut shares = [0.0; 6];
            f.contributions_into(&z, &mut shares);
            assert!((0..6).all(|k| k == j || shares[k] < shares[j]), "{j}: {shares:?}");
        }
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        for (n_trees, rows, name) in [
            (0, 256, "n_trees"),
            (10_001, 2, "n_trees"),
            (100, 1, "rows_per_tree"),
            (1, 65_537, "rows_per_tree"),
            (10_000, 65_536, "rows_per_tree"),
        ] {
            let e = settings(n_trees, rows).check().unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
    }

    #[test]
    fn records_round_trip_and_broken_ones_are_refused() {
        let train = noise(100, 3);
        let f = settings(5, 32).fit(Rows::new(&train, 3), Seed(0)).unwrap();
        let good = f.to_record();
        let again = IsolationTrees::from_record(good.clone(), 3).unwrap();
        assert_eq!(again.to_record(), good);
        assert_eq!(again.score(&[1.0, 2.0, 3.0]), f.score(&[1.0, 2.0, 3.0]));
        type Break = fn(&mut IsolationForestRecord);
        let breaks: [(&str, Break); 5] = [
            ("column", |r| r.feature[0] = 3),
            ("splits short", |r| r.split.truncate(3)),
            ("split", |r| r.split[0] = f64::NAN),
            ("columns short", |r| {
                r.feature.pop();
                r.split.pop();
            }),
            ("branches", |r| r.branches = BranchesRecord::default()),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = IsolationTrees::from_record(r, 3).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }
}
