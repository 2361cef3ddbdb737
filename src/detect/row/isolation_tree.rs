//! What trees that isolate rows share: how they branch, and how far a row walks.

use crate::detect::{draws::Draws, rows::Rows};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;
/// The most rows that a tree is grown on; a tree is 16 splits deep then.
pub(in crate::detect) const MOST_ROWS: usize = 65_536;
/// The most rows of all trees together.
const MOST_ROWS_IN_ALL: usize = 1 << 22;
/// The most splits on a way that is read from a file.
const MOST_DEPTH: u16 = 64;

/// Mean number of steps of an unsuccessful search in a binary search tree of `n` items: `2 H(n - 1) - 2 (n - 1) / n` with
/// `H(i) ≈ ln i + γ`; 1 for two items, 0 below.
pub(in crate::detect) fn average_path(n: u32) -> f64 {
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        n => {
            let n = f64::from(n);
            2.0 * (libm::log(n - 1.0) + EULER) - 2.0 * (n - 1.0) / n
        }
    }
}

/// # Errors
/// `InvalidParameter` unless the trees are of a size that can be grown.
pub(in crate::detect) fn check_size(n_trees: usize, rows_per_tree: usize) -> Result<()> {
    if !(1..=10_000).contains(&n_trees) {
        return Err(Error::parameter("n_trees", "from 1 to 10000", n_trees));
    }
    if !(2..=MOST_ROWS).contains(&rows_per_tree) {
        return Err(Error::parameter("rows_per_tree", "from 2 to 65536", rows_per_tree));
    }
    if n_trees * rows_per_tree > MOST_ROWS_IN_ALL {
        let expected = format!("at most {MOST_ROWS_IN_ALL} with n_trees multiplied in");
        return Err(Error::parameter("rows_per_tree", expected, rows_per_tree));
    }
    Ok(())
}

/// How trees branch: trees one behind the other, children side by side behind their parent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::detect) struct BranchesRecord {
    roots: Vec<u32>,
    /// Distance from a node to its left child, which the right one follows; 0 for a leaf.
    step: Vec<u32>,
    /// Training rows that came to each node.
    n_rows: Vec<u32>,
}

/// Grows `n_trees` trees, each on `rows_per_tree` rows drawn without replacement, until rows stand alone, cannot be split or
/// lie `ceil(log2(rows_per_tree))` splits deep. `split` reorders the rows it is given so that those of the left side come
/// first, and says its cut and their number; `None` where the rows are all alike. Gives a cut for each node, one of no
/// meaning for leaves.
pub(in crate::detect) fn grow<C: Copy + Default>(
    rows: Rows<'_>,
    n_trees: usize,
    rows_per_tree: usize,
    chance: &mut Draws,
    mut split: impl FnMut(&mut [u32], &mut Draws) -> Option<(C, usize)>,
) -> (BranchesRecord, Vec<C>) {
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    let most_depth = rows_per_tree.next_power_of_two().trailing_zeros();
    let (mut trees, mut cuts) = (BranchesRecord::default(), Vec::new());
    let mut open = Vec::new();
    for _ in 0..n_trees {
        let members = chance.select(&mut order, rows_per_tree);
        trees.roots.push(cuts.len() as u32);
        open.push((trees.push(members.len(), &mut cuts), 0..members.len(), 0));
        while let Some((at, range, depth)) = open.pop() {
            if depth == most_depth || range.len() < 2 {
                continue;
            }
            let Some((cut, n_left)) = split(&mut members[range.clone()], chance) else {
                continue;
            };
            let middle = range.start + n_left;
            let left = trees.push(n_left, &mut cuts);
            let right = trees.push(range.len() - n_left, &mut cuts);
            trees.step[at] = (left - at) as u32;
            cuts[at] = cut;
            open.push((right, middle..range.end, depth + 1));
            open.push((left, range.start..middle, depth + 1));
        }
    }
    (trees, cuts)
}

impl BranchesRecord {
    /// Appends a leaf.
    fn push<C: Default>(&mut self, n_rows: usize, cuts: &mut Vec<C>) -> usize {
        self.step.push(0);
        self.n_rows.push(n_rows as u32);
        cuts.push(C::default());
        cuts.len() - 1
    }
}

/// Brings the members on the left side to the front and counts them.
pub(in crate::detect) fn partition(members: &mut [u32], is_left: impl Fn(u32) -> bool) -> usize {
    let mut n_left = 0;
    for i in 0..members.len() {
        if is_left(members[i]) {
            members.swap(i, n_left);
            n_left += 1;
        }
    }
    n_left
}

/// Branches that hold what walks rest on.
#[derive(Clone, Debug)]
pub(in crate::detect) struct Branches {
    record: BranchesRecord,
    /// For each node, the path a row would have if the tree ended there: splits above it and the average path of its rows.
    path: Vec<f64>,
    /// Splits on each tree's longest way.
    depths: Vec<u16>,
    /// Number of trees times the average path of a tree's rows.
    unit: f64,
}

impl Branches {
    /// # Errors
    /// `Persistence` unless every walk ends at a leaf of its tree, no node has two parents and rows divide among children.
    pub fn from_record(r: BranchesRecord) -> Result<Self> {
        let n = r.step.len();
        let broken = |what: String| Err(Error::persistence(format!("trees: {what}")));
        if r.n_rows.len() != n || r.roots.first() != Some(&0) {
            return broken("expected a first root at 0 and as many counts of rows as nodes".into());
        }
        let rows_per_tree = r.n_rows.first().copied().unwrap_or(0);
        if check_size(r.roots.len(), rows_per_tree as usize).is_err() {
            return broken(format!("cannot be {} of {rows_per_tree} rows each", r.roots.len()));
        }
        let ends = r.roots.iter().skip(1).map(|&e| e as usize).chain([n]);
        let mut path = vec![0.0; n];
        let mut above = vec![0_u16; n];
        let mut depths = Vec::with_capacity(r.roots.len());
        for (root, end) in r.roots.iter().map(|&r| r as usize).zip(ends) {
            if root >= end || end > n || r.n_rows[root] != rows_per_tree {
                return broken(format!(
                    "expected increasing roots below {n} with {rows_per_tree} rows each, got {root} before {end}"
                ));
            }
            let mut deepest = 0;
            for i in root..end {
                path[i] = f64::from(above[i]) + average_path(r.n_rows[i]);
                deepest = deepest.max(above[i]);
                if r.step[i] == 0 {
                    continue;
                }
                let left = i + r.step[i] as usize;
                let rows = |k: usize| u64::from(r.n_rows[k]);
                // No root is a child, so that what has a split above it has a parent already.
                let orphans = || above[left] == 0 && above[left + 1] == 0;
                if left + 1 >= end || !orphans() || rows(left) + rows(left + 1) != rows(i) || above[i] >= MOST_DEPTH {
                    return broken(format!(
                        "node {i}: expected two children of its own behind it in its tree that share its rows"
                    ));
                }
                above[left] = above[i] + 1;
                above[left + 1] = above[i] + 1;
            }
            depths.push(deepest);
        }
        let unit = r.roots.len() as f64 * average_path(rows_per_tree);
        Ok(Self {
            record: r,
            path,
            depths,
            unit,
        })
    }

    pub fn record(&self) -> &BranchesRecord {
        &self.record
    }

    pub fn n_nodes(&self) -> usize {
        self.path.len()
    }

    /// The left child of node `i`; `None` for a leaf.
    #[inline]
    pub fn left(&self, i: usize) -> Option<usize> {
        match self.record.step[i] {
            0 => None,
            step => Some(i + step as usize),
        }
    }

    /// The root of each tree, and the splits on its longest way.
    #[inline]
    pub fn trees(&self) -> impl ExactSizeIterator<Item = (usize, u16)> + Clone {
        let roots = self.record.roots.iter().map(|&r| r as usize);
        roots.zip(self.depths.iter().copied())
    }

    /// The path of a row that ends at each node.
    pub fn paths(&self) -> &[f64] {
        &self.path
    }

    /// `2^(-mean path / average path)`, for the sum of a row's paths in all trees.
    #[inline]
    pub fn score(&self, sum_of_paths: f64) -> f64 {
        libm::exp2(-sum_of_paths / self.unit)
    }

    /// Makes shares of the score from `gains`: by how much the splits of each column shortened the row's paths, summed over
    /// trees. The score is `2^D / 2` with `D` the sum of gains over `unit`. A half is shared evenly, the rest in proportion
    /// to gains.
    pub fn share(&self, gains: &mut [f64]) {
        let total = gains.iter().sum::<f64>() / self.unit;
        // (2^D - 1) / D, which is ln 2 at 0.
        let slope = match total * std::f64::consts::LN_2 {
            x if x.abs() < 1e-12 => std::f64::consts::LN_2,
            x => libm::expm1(x) / total,
        };
        let even = 0.5 / gains.len().max(1) as f64;
        gains.iter_mut().for_each(|g| *g = even + 0.5 * slope * *g / self.unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, quantity::Seed};

    #[test]
    fn average_paths_by_hand() {
        assert_eq!([0, 1, 2].map(average_path), [0.0, 0.0, 1.0]);
        // 2 (ln 2 + γ) - 4 / 3.
        assert!((average_path(3) - 1.207_392_357_589_622_8).abs() < 1e-15);
    }

    #[test]
    fn trees_part_their_rows_until_each_stands_alone() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let rows = Rows::new(&values, 1);
        let halves = |members: &mut [u32], _: &mut Draws| {
            let middle = members.iter().sum::<u32>() / members.len() as u32;
            let n = partition(members, |i| i <= middle);
            assert!(members[..n].iter().all(|&i| i <= middle) && members[n..].iter().all(|&i| i > middle));
            Some((f64::from(middle), n))
        };
        let (record, cuts) = grow(rows, 3, 16, &mut Draws::new(Seed(0)), halves);
        let b = Branches::from_record(record.clone()).unwrap();
        assert_eq!((b.trees().len(), cuts.len()), (3, record.step.len()));
        assert!(b.trees().all(|(_, depth)| depth == 4 || depth == 3));
        let leaves = (0..b.n_nodes()).filter(|&i| b.left(i).is_none());
        assert_eq!(leaves.map(|i| record.n_rows[i]).sum::<u32>(), 48);
    }

    #[test]
    fn branches_that_do_not_hold_are_refused() {
        let good = BranchesRecord {
            roots: vec![0, 3],
            step: vec![1, 0, 0, 1, 0, 0],
            n_rows: vec![3, 1, 2, 3, 3, 0],
        };
        let b = Branches::from_record(good.clone()).unwrap();
        assert_eq!(
            b.paths(),
            [average_path(3), 1.0, 2.0, average_path(3), 1.0 + average_path(3), 1.0]
        );
        assert_eq!(b.trees().collect::<Vec<_>>(), [(0, 1), (3, 1)]);
        type Break = fn(&mut BranchesRecord);
        let breaks: [(&str, Break); 11] = [
            ("no trees", |r| r.roots.clear()),
            ("first root", |r| r.roots[0] = 1),
            ("root beyond", |r| r.roots[1] = 6),
            ("roots twice", |r| r.roots = vec![0, 3, 3]),
            ("child in the next tree", |r| r.step[0] = 2),
            ("child beyond", |r| r.step[3] = 2),
            ("step huge", |r| r.step[3] = u32::MAX),
            ("rows do not add up", |r| r.n_rows[1] = 2),
            ("trees of other sizes", |r| r.n_rows[3..].copy_from_slice(&[4, 4, 0])),
            ("no rows", |r| r.n_rows.fill(0)),
            ("counts short", |r| r.n_rows.truncate(5)),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            assert_ne!(r, good, "{what}");
            let e = Branches::from_record(r).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }

    #[test]
    fn a_child_of_two_parents_is_refused() {
        // Node 2 is the right child of the root and the left one of node 1: it would lie one and two splits deep.
        let r = BranchesRecord {
            roots: vec![0],
            step: vec![1, 1, 0, 0],
            n_rows: vec![2, 2, 0, 2],
        };
        assert_eq!(Branches::from_record(r).unwrap_err().kind(), ErrorKind::Persistence);
    }

    #[test]
    fn a_way_without_end_is_refused() {
        // Each split sends all rows on.
        let n = 200;
        let mut r = BranchesRecord {
            roots: vec![0],
            step: vec![0; 2 * n + 1],
            n_rows: vec![0; 2 * n + 1],
        };
        for i in 0..=n {
            let at = if i == 0 { 0 } else { 2 * i - 1 };
            r.n_rows[at] = 2;
            r.step[at] = if i == n {
                0
            } else if i == 0 {
                1
            } else {
                2
            };
        }
        assert_eq!(Branches::from_record(r).unwrap_err().kind(), ErrorKind::Persistence);
    }
}
