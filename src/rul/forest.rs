//! Fitted regression trees: walking them, and their place in files.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Feature of a leaf in files.
const LEAF: u16 = u16::MAX;
const IS_LEAF: u16 = 2;
/// Splits on the way to a leaf at most: those of a tree of 1,024 leaves grown all to one side.
const MAX_DEPTH: u16 = 1023;
const MISSING_LEFT: u16 = 1;
/// Trees walked side by side, so that one's wait for memory is the others' work.
const SIDE_BY_SIDE: usize = 8;

/// One node of 16 bytes. A leaf keeps its value where others keep their threshold, and leads to itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    threshold_or_value: f64,
    feature: u16,
    flags: u16,
    /// Distance to the children in the list of nodes, forward; 0 for a leaf.
    left: u16,
    right: u16,
}

impl Node {
    pub(super) fn leaf(value: f64) -> Self {
        Self {
            threshold_or_value: value,
            feature: 0,
            flags: IS_LEAF,
            left: 0,
            right: 0,
        }
    }

    /// A split whose left child follows it; the right one's place is told later.
    pub(super) fn split(feature: u16, threshold: f64, missing_left: bool) -> Self {
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
    fn step(&self, row: &[f64]) -> usize {
        let x = row[self.feature as usize];
        let left = (x <= self.threshold_or_value) | (x.is_nan() & (self.flags & MISSING_LEFT != 0));
        usize::from(if left { self.left } else { self.right })
    }
}

/// Trees whose leaf values are summed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Forest {
    nodes: Vec<Node>,
    roots: Vec<u32>,
    depths: Vec<u16>,
}

/// A [`Forest`] as it is written to files: one list a field.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ForestRecord {
    roots: Vec<u32>,
    /// Feature of each node, 65535 for a leaf.
    feature: Vec<u16>,
    /// Threshold of each inner node, value of each leaf.
    number: Vec<f64>,
    left: Vec<u16>,
    right: Vec<u16>,
    missing_left: Vec<bool>,
}

impl Forest {
    /// Sum over all trees, in their order, of the leaf that `row` falls into. NaN follows each split's own side for missing
    /// values.
    pub(super) fn sum(&self, row: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (roots, &depth) in self.roots.chunks(SIDE_BY_SIDE).zip(&self.depths) {
            let mut at = [roots[0] as usize; SIDE_BY_SIDE];
            at.iter_mut().zip(roots).for_each(|(a, r)| *a = *r as usize);
            // A short last group walks its first tree several times over.
            for _ in 0..depth {
                for a in &mut at {
                    *a += self.nodes[*a].step(row);
                }
            }
            sum = at[..roots.len()]
                .iter()
                .fold(sum, |s, &a| s + self.nodes[a].threshold_or_value);
        }
        sum
    }

    /// Depth of the deepest of each group of trees that are walked side by side.
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
        let deepest = |roots: &[u32]| roots.iter().map(|r| below[*r as usize]).max().unwrap_or(0);
        self.depths = self.roots.chunks(SIDE_BY_SIDE).map(deepest).collect();
    }

    /// Begins a tree; its nodes are [pushed](Forest::push) depth first, left before right.
    pub(super) fn begin_tree(&mut self) {
        self.roots.push(self.nodes.len() as u32);
    }

    /// Appends a node; where it is the right child of a node pushed before, that one learns of it.
    pub(super) fn push(&mut self, node: Node, parent_of_right: Option<usize>) -> usize {
        let at = self.nodes.len();
        if let Some(parent) = parent_of_right {
            self.nodes[parent].right = (at - parent) as u16;
        }
        self.nodes.push(node);
        at
    }

    pub(super) fn n_trees(&self) -> usize {
        self.roots.len()
    }

    /// Adds the trees of `other`.
    pub(super) fn extend(&mut self, other: Forest) {
        let offset = self.nodes.len() as u32;
        self.nodes.extend(other.nodes);
        self.roots.extend(other.roots.iter().map(|r| r + offset));
        self.find_depths();
    }

    /// Multiplies every leaf.
    pub(super) fn scale(&mut self, factor: f64) {
        self.nodes
            .iter_mut()
            .filter(|n| n.is_leaf())
            .for_each(|n| n.threshold_or_value *= factor);
    }

    pub(super) fn to_record(&self) -> ForestRecord {
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
        }
    }

    /// Reads back a record: every walk must end at a leaf, whatever the row.
    pub(super) fn from_record(r: ForestRecord, n_features: usize) -> Result<Self> {
        let n = r.feature.len();
        let broken = |what: String| Err(Error::persistence(format!("trees: {what}")));
        if [r.number.len(), r.left.len(), r.right.len(), r.missing_left.len()] != [n; 4] {
            return broken("expected lists of one length".into());
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
            depths: Vec::new(),
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
