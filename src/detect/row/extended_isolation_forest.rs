//! Extended isolation forest: slanted splits.

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

/// The largest element of a split's direction that is read from a file, and the largest place of a split.
const LARGEST_WEIGHT: f64 = 1e3;
const LARGEST_PLACE: f64 = 1e15;
/// The most elements that the directions of all splits hold.
const MOST_ELEMENTS: usize = 1 << 24;

/// Anomaly detector by extended isolation forest: how few random slanted splits it takes to part a row from all others.
///
/// As [`IsolationForest`](crate::detect::IsolationForest), where columns are correlated or clusters lie aslant; a row costs about
/// `level + 1` times as much.
///
/// # Method
///
/// Trees grow as in [`IsolationForest`](crate::detect::IsolationForest), by other splits. A node draws `level + 1` columns, a
/// direction `w` with normal elements in them, and a point `p`, evenly in the box that its rows span. Rows with
/// `Σ w_j z_j <= Σ w_j p_j` go left. One side may get no row: it is a leaf, and rows that end there have a short path.
/// Level 0 splits along the axes; the default is the fullest slant, of all columns. The score is that of the isolation forest,
/// `2^(-mean(h) / c(n))`.
///
/// Contributions are those of the isolation forest too, with the gain of a split shared among its columns in proportion to
/// `|w_j z_j|`, evenly where all are zero. They add up to the score; one may be negative.
///
/// # Shapes, missing values, cost
///
/// Those of the isolation forest; a step of a walk costs `O(level + 1)`, and so does the memory of a split.
///
/// # Source
///
/// Hariri, Carrasco Kind and Brunner, "Extended Isolation Forest", IEEE Trans. Knowledge and Data Engineering 33 (2021), doi
/// [10.1109/TKDE.2019.2947676](https://doi.org/10.1109/TKDE.2019.2947676).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::ExtendedIsolationForest,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// // Two sensors that rise and fall together.
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let load = |i: usize| (i as f64 * 0.7).sin();
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + 10.0 * load(i) + (j as f64) * load(7 * i));
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
///
/// let detector = ExtendedIsolationForest::params().n_trees(50).fit(&DatasetBase::new(table, ()))?;
///
/// let score = |values: [f64; 2]| detector.assess(&(), FeatureView::new(&schema, &values)?).map(|a| a.ready());
/// assert!(score([55.0, 55.0])?.unwrap().value < score([57.0, 43.0])?.unwrap().value);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type ExtendedIsolationForest = RowDetector<SlantedTrees>;

/// Parameters of an [`ExtendedIsolationForest`].
pub type ExtendedIsolationForestParams = RowDetectorParams<ExtendedIsolationForestSettings>;

/// How an [`ExtendedIsolationForest`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtendedIsolationForestSettings {
    n_trees: usize,
    rows_per_tree: usize,
    level: Option<usize>,
}

impl Default for ExtendedIsolationForestSettings {
    fn default() -> Self {
        Self {
            n_trees: 100,
            rows_per_tree: 256,
            level: None,
        }
    }
}

impl ExtendedIsolationForestParams {
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

    /// Columns of a split, less one: from 0, along the axes, to one less than there are columns that vary, the default.
    #[must_use]
    pub fn level(self, level: usize) -> Self {
        self.with(|s| s.level = Some(level))
    }
}

impl ExtendedIsolationForest {
    /// Default parameters: 100 trees of 256 rows, splits of all columns, a false alarm rate of 0.01, five folds, seed 0.
    pub fn params() -> ExtendedIsolationForestParams {
        ExtendedIsolationForestParams::default()
    }
}

impl RowAlgorithm for ExtendedIsolationForestSettings {
    type Scorer = SlantedTrees;

    fn check(&self) -> Result<()> {
        check_size(self.n_trees, self.rows_per_tree)
    }

    /// # Errors
    /// `InvalidParameter` for a level beyond the number of columns that vary, less one, and where the directions of all splits
    /// might hold more than 2^24 elements.
    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<SlantedTrees> {
        let width = rows.width();
        let n_terms = self.level.map_or(width, |l| l.saturating_add(1));
        if n_terms > width {
            let expected = format!("at most {}, with {width} columns that vary", width - 1);
            return Err(Error::parameter("level", expected, n_terms - 1));
        }
        let rows_per_tree = self.rows_per_tree.min(rows.len());
        if self.n_trees * rows_per_tree > MOST_ELEMENTS / n_terms {
            let expected =
                format!("at most {MOST_ELEMENTS} with rows_per_tree and {n_terms} columns a split multiplied in");
            return Err(Error::parameter("n_trees", expected, self.n_trees));
        }
        let mut columns: Vec<u32> = (0..width as u32).collect();
        let mut terms = Vec::new();
        let row = |i: u32| rows.get(i as usize).unwrap_or_default();
        let split = |members: &mut [u32], chance: &mut Draws| {
            let first = members.first().map_or(&[][..], |&i| row(i));
            if members.iter().all(|&i| row(i) == first) {
                return None;
            }
            let first_term = terms.len();
            let mut place = 0.0;
            for &mut column in chance.select(&mut columns, n_terms) {
                let (low, high) = members.iter().fold((f64::MAX, f64::MIN), |(l, h), &i| {
                    let x = row(i)[column as usize];
                    (l.min(x), h.max(x))
                });
                let weight = chance.normal();
                place += weight * chance.between(low, high);
                terms.push(Term { weight, column });
            }
            let cut = Cut {
                place,
                first_term: first_term as u32,
            };
            let own = &terms[first_term..];
            Some((cut, partition(members, |i| project(own, row(i)) <= place)))
        };
        let (branches, cuts) = grow(rows, self.n_trees, rows_per_tree, &mut Draws::new(seed), split);
        SlantedTrees::new(width, n_terms, Branches::from_record(branches)?, cuts, terms)
    }
}

/// Rows whose projection is at most `place` go left.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    place: f64,
    /// Where its direction begins in the list of all terms.
    first_term: u32,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    weight: f64,
    column: u32,
}

#[inline(always)]
fn project(terms: &[Term], z: &[f64]) -> f64 {
    terms.iter().map(|t| t.weight * z[t.column as usize]).sum()
}

/// The fitted half of an [`ExtendedIsolationForest`].
#[derive(Clone, Debug)]
pub struct SlantedTrees {
    width: usize,
    n_terms: usize,
    branches: Branches,
    cuts: Vec<Cut>,
    terms: Vec<Term>,
}

impl SlantedTrees {
    fn new(width: usize, n_terms: usize, branches: Branches, cuts: Vec<Cut>, terms: Vec<Term>) -> Result<Self> {
        let inside = |c: &Cut| c.first_term as usize + n_terms <= terms.len();
        let mut splits = (0..branches.n_nodes()).filter(|&i| branches.left(i).is_some());
        let good = (1..=width).contains(&n_terms)
            && cuts.len() == branches.n_nodes()
            && terms.iter().all(|t| (t.column as usize) < width)
            && splits.all(|i| inside(&cuts[i]));
        if !good {
            return Err(Error::persistence(format!(
                "trees: expected {} cuts by directions in {n_terms} of {width} columns, got {} or others",
                branches.n_nodes(),
                cuts.len()
            )));
        }
        Ok(Self {
            width,
            n_terms,
            branches,
            cuts,
            terms,
        })
    }

    #[inline(always)]
    fn terms(&self, at: usize) -> &[Term] {
        let first = self.cuts[at].first_term as usize;
        &self.terms[first..first + self.n_terms]
    }

    /// The child of `at` that a row goes to; `None` at a leaf.
    #[inline(always)]
    fn next(&self, at: usize, z: &[f64]) -> Option<usize> {
        let left = self.branches.left(at)?;
        Some(left + usize::from(project(self.terms(at), z) > self.cuts[at].place))
    }
}

impl RowScorer for SlantedTrees {
    const KIND: &'static str = "detect.extended_isolation_forest";
    type Record = ExtendedIsolationForestRecord;

    fn width(&self) -> usize {
        self.width
    }

    fn score(&self, z: &[f64]) -> f64 {
        let paths = self.branches.paths();
        let sum = self.branches.trees().fold(0.0, |sum, (root, _)| {
            let mut at = root;
            while let Some(next) = self.next(at, z) {
                at = next;
            }
            sum + paths[at]
        });
        self.branches.score(sum)
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        let paths = self.branches.paths();
        for (root, _) in self.branches.trees() {
            let mut at = root;
            while let Some(next) = self.next(at, z) {
                let gain = paths[at] - paths[next];
                let terms = self.terms(at);
                let size = |t: &Term| (t.weight * z[t.column as usize]).abs();
                let total: f64 = terms.iter().map(size).sum();
                for t in terms {
                    let share = if total > 0.0 {
                        size(t) / total
                    } else {
                        1.0 / terms.len() as f64
                    };
                    out[t.column as usize] += gain * share;
                }
                at = next;
            }
        }
        self.branches.share(out);
    }

    fn to_record(&self) -> ExtendedIsolationForestRecord {
        ExtendedIsolationForestRecord {
            branches: self.branches.record().clone(),
            n_terms: self.n_terms as u32,
            place: self.cuts.iter().map(|c| c.place).collect(),
            first_term: self.cuts.iter().map(|c| c.first_term).collect(),
            column: self.terms.iter().map(|t| t.column).collect(),
            weight: self.terms.iter().map(|t| t.weight).collect(),
        }
    }

    fn from_record(r: ExtendedIsolationForestRecord, width: usize) -> Result<Self> {
        check_numbers("places of splits", &r.place, r.first_term.len(), |p| {
            p.abs() <= LARGEST_PLACE
        })?;
        check_numbers("directions", &r.weight, r.column.len(), |w| w.abs() <= LARGEST_WEIGHT)?;
        let cuts = r.place.into_iter().zip(r.first_term);
        let terms = r.column.into_iter().zip(r.weight);
        Self::new(
            width,
            r.n_terms as usize,
            Branches::from_record(r.branches)?,
            cuts.map(|(place, first_term)| Cut { place, first_term }).collect(),
            terms.map(|(column, weight)| Term { weight, column }).collect(),
        )
    }
}

/// What is written of [`SlantedTrees`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExtendedIsolationForestRecord {
    branches: BranchesRecord,
    /// Columns of each split.
    n_terms: u32,
    /// For each node, where its split lies along its direction and where that begins in the lists below; 0 for a leaf.
    place: Vec<f64>,
    first_term: Vec<u32>,
    /// Directions, one behind the other.
    column: Vec<u32>,
    weight: Vec<f64>,
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

    fn settings(level: Option<usize>) -> ExtendedIsolationForestSettings {
        ExtendedIsolationForestSettings {
            n_trees: 40,
            rows_per_tree: 64,
            level,
        }
    }

    #[test]
    fn rows_that_are_alike_are_not_split() {
        let f = settings(None).fit(Rows::new(&[2.0; 12], 2), Seed(0)).unwrap();
        assert!(f.branches.n_nodes() == 40 && (f.score(&[5.0, 0.0]) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn two_rows_of_one_column_are_parted_by_one_split() {
        let f = settings(Some(0)).fit(Rows::new(&[0.0, 1.0], 1), Seed(0)).unwrap();
        for x in [-1e6, 0.0, 1.0, 1e6] {
            assert_eq!(f.score(&[x]), 0.5);
        }
    }

    #[test]
    fn scores_are_those_of_a_plain_walk_and_contributions_add_up() {
        let train = noise(200, 4);
        for level in [None, Some(0), Some(1), Some(3)] {
            let f = settings(level).fit(Rows::new(&train, 4), Seed(2)).unwrap();
            for z in Rows::new(&train, 4)
                .iter()
                .chain([&[9.0, -1e6, 1e6, 0.0][..], &[0.0; 4]])
            {
                let walk = |(root, _)| {
                    let mut at: usize = root;
                    while let Some(left) = f.branches.left(at) {
                        let first = f.cuts[at].first_term as usize;
                        let own = first..first + level.map_or(4, |l| l + 1);
                        let y: f64 = f.terms[own].iter().map(|t| t.weight * z[t.column as usize]).sum();
                        at = if y <= f.cuts[at].place { left } else { left + 1 };
                    }
                    f.branches.paths()[at]
                };
                let mean = f.branches.trees().map(walk).sum::<f64>() / 40.0;
                let expected = 2_f64.powf(-mean / average_path(64));
                assert!((f.score(z) - expected).abs() < 1e-14);
                let mut shares = [0.0; 4];
                f.contributions_into(z, &mut shares);
                assert!((shares.iter().sum::<f64>() - expected).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn the_column_that_is_off_carries_the_score() {
        let train = noise(300, 5);
        let f = settings(None).fit(Rows::new(&train, 5), Seed(0)).unwrap();
        for j in 0..5 {
            let mut z = [0.1; 5];
            z[j] = 8.0;
            let mut shares = [0.0; 5];
            f.contributions_into(&z, &mut shares);
            assert!((0..5).all(|k| k == j || shares[k] < shares[j]), "{j}: {shares:?}");
        }
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        let train = noise(20, 3);
        let e = settings(Some(3)).fit(Rows::new(&train, 3), Seed(0)).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InvalidParameter && e.to_string().contains("level"),
            "{e}"
        );
        let none = ExtendedIsolationForestSettings {
            n_trees: 0,
            ..settings(None)
        };
        assert!(none.check().unwrap_err().to_string().contains("n_trees"));
        let wide = noise(64, 300);
        let many = ExtendedIsolationForestSettings {
            n_trees: 10_000,
            ..settings(None)
        };
        let e = many.fit(Rows::new(&wide, 300), Seed(0)).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InvalidParameter && e.to_string().contains("n_trees"),
            "{e}"
        );
    }

    #[test]
    fn broken_records_are_refused() {
        let f = settings(Some(1)).fit(Rows::new(&noise(50, 3), 3), Seed(0)).unwrap();
        let good = f.to_record();
        assert_eq!(SlantedTrees::from_record(good.clone(), 3).unwrap().to_record(), good);
        type Break = fn(&mut ExtendedIsolationForestRecord);
        let breaks: [(&str, Break); 10] = [
            ("no columns", |r| r.n_terms = 0),
            ("too many columns", |r| r.n_terms = 4),
            ("column", |r| r.column[0] = 3),
            ("weights short", |r| r.weight.truncate(3)),
            ("weight", |r| r.weight[0] = 1e300),
            ("place", |r| r.place[0] = f64::NAN),
            ("places short", |r| r.place.truncate(3)),
            ("direction beyond", |r| r.first_term[0] = u32::MAX),
            ("cuts short", |r| {
                r.place.pop();
                r.first_term.pop();
            }),
            ("branches", |r| r.branches = BranchesRecord::default()),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = SlantedTrees::from_record(r, 3).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }
}
