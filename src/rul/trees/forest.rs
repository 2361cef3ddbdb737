//! Fitted regression trees: walking them, and their place in files.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Feature of a leaf in files.
const LEAF: u16 = u16::MAX;
const IS_LEAF: u16 = 2;
/// Splits on the way to a leaf at most: those of a tree of 1,024 leaves grown all to one side.
pub(super) const MAX_DEPTH: u16 = 1023;
const MISSING_LEFT: u16 = 1;
/// Trees walked side by side, so that one's wait for memory is the others' work.
const SIDE_BY_SIDE: usize = 8;
/// Trees among which those of like depth are put side by side: a group takes as many steps as its deepest.
const BLOCK: usize = 128;

/// One node of 16 bytes. A leaf keeps its value where others keep their threshold, and leads to itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Node {
    threshold_or_value: f64,
    feature: u16,
    flags: u16,
    /// Distance to the children in the list of nodes, forward; 0 for a leaf.
    left: u16,
    right: u16,
}

impl Node {
    pub(crate) fn leaf(value: f64) -> Self {
        Self {
            threshold_or_value: value,
            feature: 0,
            flags: IS_LEAF,
            left: 0,
            right: 0,
        }
    }

    /// A split whose left child follows it; the right one's place is told later.
    pub(crate) fn split(feature: u16, threshold: f64, missing_left: bool) -> Self {
        Self {
            threshold_or_value: threshold,
            feature,
            flags: if missing_left { MISSING_LEFT } else { 0 },
            left: 1,
            right: 0,
        }
    }

    fn is_leaf(&self) -> bool {
        self.flags & IS_LEAF != 0
    }

    #[inline(always)]
    fn goes_left(&self, row: &[f64]) -> bool {
        let x = row[usize::from(self.feature)];
        (x <= self.threshold_or_value) | (x.is_nan() & (self.flags & MISSING_LEFT != 0))
    }

    #[inline(always)]
    fn step(&self, row: &[f64]) -> usize {
        usize::from(if self.goes_left(row) { self.left } else { self.right })
    }
}

/// A split as one row meets it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fork {
    pub(super) feature: u16,
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) goes_left: bool,
}

/// Trees whose leaf values are summed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Forest {
    nodes: Vec<Node>,
    roots: Vec<u32>,
    /// Roots by depth within each block of trees, each with its tree's place in the block.
    lanes: Vec<(u32, u32)>,
    /// Depth of the deepest of each group of lanes that are walked side by side.
    depths: Vec<u16>,
    /// Training rows that came through each node; empty where that is not known.
    n_rows: Vec<u32>,
}

/// A [`Forest`] as it is written to files: one list a field.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ForestRecord {
    roots: Vec<u32>,
    /// Feature of each node, 65535 for a leaf.
    feature: Vec<u16>,
    /// Threshold of each inner node, value of each leaf.
    number: Vec<f64>,
    left: Vec<u16>,
    right: Vec<u16>,
    missing_left: Vec<bool>,
    /// Training rows that came through each node; files of old have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    n_rows: Vec<u32>,
}

impl Forest {
    /// Sum over all trees, in their order, of the leaf that `row` falls into. NaN follows each split's own side for missing
    /// values.
    pub(crate) fn sum(&self, row: &[f64]) -> f64 {
        let (mut sum, mut values) = (0.0, [0.0; BLOCK]);
        let depths = self.depths.chunks(BLOCK / SIDE_BY_SIDE);
        for (lanes, depths) in self.lanes.chunks(BLOCK).zip(depths) {
            for (lanes, &depth) in lanes.chunks(SIDE_BY_SIDE).zip(depths) {
                let mut at = [lanes[0].0 as usize; SIDE_BY_SIDE];
                at.iter_mut().zip(lanes).for_each(|(a, lane)| *a = lane.0 as usize);
                // A short last group walks its first tree several times over.
                for _ in 0..depth {
                    for a in &mut at {
                        *a += self.nodes[*a].step(row);
                    }
                }
                for (&a, &(_, place)) in at.iter().zip(lanes) {
                    values[place as usize % BLOCK] = self.nodes[a].threshold_or_value;
                }
            }
            sum = values[..lanes.len()].iter().fold(sum, |s, v| s + v);
        }
        sum
    }

    /// Which trees are walked side by side, and how deep they go.
    fn find_depths(&mut self) {
        // Children lie behind their parent, so one backward pass knows every depth.
        let mut below = vec![0u16; self.nodes.len()];
        for i in (0..self.nodes.len()).rev() {
            let node = &self.nodes[i];
            if !node.is_leaf() {
                let children = [node.left, node.right].map(|step| below[i + usize::from(step)]);
                below[i] = children[0].max(children[1]).saturating_add(1);
            }
        }
        let depth = |root: u32| below[root as usize];
        self.lanes.clear();
        for block in self.roots.chunks(BLOCK) {
            let start = self.lanes.len();
            self.lanes
                .extend(block.iter().zip(0u32..).map(|(root, place)| (*root, place)));
            self.lanes[start..].sort_by_key(|lane| depth(lane.0));
        }
        let deepest = |lanes: &[(u32, u32)]| lanes.iter().map(|lane| depth(lane.0)).max().unwrap_or(0);
        // Whole groups fill a block, so groups do not reach over the end of one.
        self.depths = self.lanes.chunks(SIDE_BY_SIDE).map(deepest).collect();
    }

    /// Begins a tree; its nodes are [pushed](Forest::push) depth first, left before right.
    pub(crate) fn begin_tree(&mut self) {
        self.roots.push(self.nodes.len() as u32);
    }

    /// Appends a node; where it is the right child of a node pushed before, that one learns of it.
    pub(crate) fn push(&mut self, node: Node, n_rows: u32, parent_of_right: Option<usize>) -> usize {
        let at = self.nodes.len();
        if let Some(parent) = parent_of_right {
            self.nodes[parent].right = (at - parent) as u16;
        }
        self.nodes.push(node);
        self.n_rows.push(n_rows);
        at
    }

    pub(crate) fn n_trees(&self) -> usize {
        self.roots.len()
    }

    /// Splits on the way to the deepest leaf.
    pub(super) fn deepest(&self) -> usize {
        usize::from(self.depths.iter().copied().max().unwrap_or(0))
    }

    pub(super) fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Training rows that came through each node; empty where that is not known.
    pub(super) fn n_rows(&self) -> &[u32] {
        &self.n_rows
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = usize> {
        self.roots.iter().map(|r| *r as usize)
    }

    /// The children of a node and where `row` goes; `None` of a leaf.
    pub(super) fn split_at(&self, node: usize, row: &[f64]) -> Option<Fork> {
        let n = &self.nodes[node];
        let [left, right] = [n.left, n.right].map(|step| node + usize::from(step));
        (!n.is_leaf()).then(|| Fork {
            feature: n.feature,
            left,
            right,
            goes_left: n.goes_left(row),
        })
    }

    /// The value of a leaf.
    pub(super) fn value_at(&self, node: usize) -> f64 {
        self.nodes[node].threshold_or_value
    }

    /// Splits on each feature.
    pub(crate) fn splits_of(&self, n_features: usize) -> Vec<u64> {
        let mut splits = vec![0; n_features];
        for node in self.nodes.iter().filter(|n| !n.is_leaf()) {
            splits[usize::from(node.feature)] += 1;
        }
        splits
    }

    /// Keeps the first `n` trees.
    pub(crate) fn keep(&mut self, n: usize) {
        if let Some(&end) = self.roots.get(n) {
            self.roots.truncate(n);
            self.nodes.truncate(end as usize);
            self.n_rows.truncate(end as usize);
            self.find_depths();
        }
    }

    /// Adds the trees of `other`.
    pub(crate) fn extend(&mut self, other: Forest) {
        let offset = self.nodes.len() as u32;
        self.nodes.extend(other.nodes);
        self.n_rows.extend(other.n_rows);
        self.roots.extend(other.roots.iter().map(|r| r + offset));
        self.find_depths();
    }

    /// Multiplies every leaf.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.nodes
            .iter_mut()
            .filter(|n| n.is_leaf())
            .for_each(|n| n.threshold_or_value *= factor);
    }

    pub(crate) fn to_record(&self) -> ForestRecord {
        ForestRecord {
            roots: self.roots.clone(),
            feature: self
                .nodes
                .iter()
                .map(|n| if n.is_leaf() { LEAF } else { n.feature })
                .collect(),
            number: self.nodes.iter().map(|n| n.threshold_or_value).collect(),
            left: self.nodes.iter().map(|n| n.left).collect(),
            right: self.nodes.iter().map(|n| n.right).collect(),
            missing_left: self.nodes.iter().map(|n| n.flags & MISSING_LEFT != 0).collect(),
            n_rows: self.n_rows.clone(),
        }
    }

    /// Reads back a record: every walk must end at a leaf, whatever the row.
    pub(crate) fn from_record(r: ForestRecord, n_features: usize) -> Result<Self> {
        let n = r.feature.len();
        let broken = |what: String| Err(Error::persistence(format!("trees: {what}")));
        if [r.number.len(), r.left.len(), r.right.len(), r.missing_left.len()] != [n; 4] {
            return broken("expected lists of one length".into());
        }
        if !r.n_rows.is_empty() && r.n_rows.len() != n {
            return broken(format!("expected counts of rows for {n} nodes, got {}", r.n_rows.len()));
        }
        // Trees lie one behind the other, so a walk through all of them takes no more steps than there are nodes.
        let roots = || r.roots.iter().map(|root| *root as usize);
        if roots().next().unwrap_or(n) != 0 && n > 0 {
            return broken("expected the first root at 0".into());
        }
        for (root, end) in roots().zip(roots().skip(1).chain([n])) {
            if root >= end || end > n {
                return broken(format!("expected increasing roots below {n}, got {root} before {end}"));
            }
            for i in root..end {
                if !r.number[i].is_finite() {
                    return broken(format!("expected finite numbers, got {} in node {i}", r.number[i]));
                }
                if r.n_rows.get(i) == Some(&0) {
                    return broken(format!("expected training rows in each node, got none in node {i}"));
                }
                if r.feature[i] == LEAF {
                    continue;
                }
                // Children lie behind their parent, so a walk cannot turn back.
                let inside = |step: u16| step > 0 && i + usize::from(step) < end;
                if usize::from(r.feature[i]) >= n_features || !inside(r.left[i]) || !inside(r.right[i]) {
                    return broken(format!(
                        "node {i}: expected a feature below {n_features} and children behind it in its tree"
                    ));
                }
                let n_rows = |step: u16| r.n_rows.get(i + usize::from(step)).copied().map(u64::from);
                if let (Some(all), Some(left), Some(right)) = (n_rows(0), n_rows(r.left[i]), n_rows(r.right[i]))
                    && all != left + right
                {
                    return broken(format!("node {i}: expected the rows of both children, got {all} rows"));
                }
            }
        }
        let node = |i: usize| match r.feature[i] {
            LEAF => Node::leaf(r.number[i]),
            feature => Node {
                threshold_or_value: r.number[i],
                feature,
                flags: if r.missing_left[i] { MISSING_LEFT } else { 0 },
                left: r.left[i],
                right: r.right[i],
            },
        };
        let mut forest = Self {
            nodes: (0..n).map(node).collect(),
            roots: r.roots,
            lanes: Vec::new(),
            depths: Vec::new(),
            n_rows: r.n_rows,
        };
        forest.find_depths();
        if forest.depths.iter().any(|d| *d > MAX_DEPTH) {
            return broken(format!(
                "expected at most {MAX_DEPTH} splits on the way to a leaf, got more"
            ));
        }
        Ok(forest)
    }
}
