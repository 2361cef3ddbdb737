//! Regression trees grown best split first on binned features.

use super::{
    binned::Binned,
    forest::{Forest, Node},
    histogram::{accumulate, packed, rounded, scale_of},
    split::{Bounds, Search, Split, Total, goes_left},
};
use crate::error::{Error, Result};
use rand::Rng;

/// How one tree is grown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TreeSettings {
    pub(crate) max_leaves: usize,
    pub(crate) min_leaf_rows: usize,
    pub(crate) l2: f64,
    pub(crate) learning_rate: f64,
    pub(crate) row_fraction: f64,
    pub(crate) column_fraction: f64,
}

/// What the next tree is fitted to: numbers a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round<'a> {
    /// The way down of the loss.
    pub(crate) gradient: &'a [f64],
    /// Its second derivative, above 0; empty where that is 1 everywhere.
    pub(crate) curvature: &'a [f64],
    /// Residuals and the quantile of theirs that a leaf gives, where not the gradient's mean.
    pub(crate) quantile: Option<(&'a [f64], f64)>,
}

/// Trees, and how much each feature's splits gained.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Planted {
    pub(crate) forest: Forest,
    pub(crate) gains: Vec<f64>,
}

impl Planted {
    pub(crate) fn new(n_features: usize) -> Self {
        Self {
            forest: Forest::default(),
            gains: vec![0.0; n_features],
        }
    }

    /// Adds the trees and gains of `other`.
    pub(crate) fn extend(&mut self, other: Planted) {
        self.forest.extend(other.forest);
        for (gain, more) in self.gains.iter_mut().zip(other.gains) {
            *gain += more;
        }
    }

    /// Multiplies every leaf once all trees are there, and holds gains to numbers.
    pub(crate) fn finish(&mut self, factor: f64) {
        self.forest.extend(Forest::default());
        self.forest.scale(factor);
        self.gains.iter_mut().for_each(|g| *g = g.clamp(0.0, f64::MAX));
    }
}

/// Gains of a file: none, or one a feature, finite and not negative.
pub(crate) fn check_gains(gains: &[f64], n_features: usize) -> Result<()> {
    let sound = gains.is_empty() || gains.len() == n_features;
    if sound && gains.iter().all(|g| g.is_finite() && *g >= 0.0) {
        Ok(())
    } else {
        Err(Error::persistence(format!(
            "trees: expected {n_features} finite gains that are not negative"
        )))
    }
}

/// Grows trees one after the other on the same binned rows; all buffers are made once.
pub(crate) struct Grower<'a> {
    data: &'a Binned,
    settings: TreeSettings,
    directions: Vec<i8>,
    wide: bool,
    /// Rows that bags are drawn from, increasing.
    known: Vec<u32>,
    /// Rows in the bag, grouped by leaf while a tree grows.
    rows: Vec<u32>,
    spare: Vec<u32>,
    /// Numbers of the rows of the leaf at hand, in its order.
    gathered: Vec<i64>,
    gradient: Vec<i64>,
    curvature: Vec<i64>,
    in_bag: Vec<bool>,
    columns: Vec<usize>,
    all_columns: Vec<usize>,
    histograms: Vec<Vec<i64>>,
    curvatures: Vec<Vec<i64>>,
    residuals: Vec<f64>,
}

struct Leaf {
    node: usize,
    start: usize,
    end: usize,
    total: Total,
    bounds: Bounds,
    histogram: usize,
    split: Option<Split>,
}

/// A node while its tree grows; `bin` for walking binned rows.
#[derive(Clone, Copy)]
struct Growing {
    feature: usize,
    bin: u8,
    missing_left: bool,
    children: Option<(usize, usize)>,
    value: f64,
    n_rows: usize,
}

impl Growing {
    fn leaf(value: f64, n_rows: usize) -> Self {
        Self {
            feature: 0,
            bin: 0,
            missing_left: false,
            children: None,
            value,
            n_rows,
        }
    }
}

impl<'a> Grower<'a> {
    /// Grows on the rows `known`, which are not empty and increase. `directions` of the features are 1 where predictions must
    /// not fall, -1 where they must not rise, or empty.
    pub(crate) fn new(data: &'a Binned, settings: TreeSettings, known: Vec<u32>, directions: Vec<i8>) -> Self {
        let (n_rows, n_features) = (data.n_rows(), data.n_features());
        let wide = (0..n_features).any(|f| data.cuts(f).len() + 1 > 63);
        let n_columns = ((n_features as f64 * settings.column_fraction).round() as usize).clamp(1, n_features);
        let stride = if wide { 256 } else { 64 };
        Self {
            data,
            settings,
            directions,
            wide,
            rows: Vec::with_capacity(known.len()),
            spare: Vec::with_capacity(known.len()),
            gathered: vec![0; known.len()],
            gradient: vec![0; n_rows],
            curvature: Vec::new(),
            in_bag: vec![false; n_rows],
            columns: vec![0; n_columns],
            all_columns: (0..n_features).collect(),
            histograms: (0..settings.max_leaves.min(known.len() / settings.min_leaf_rows.max(1) + 1))
                .map(|_| vec![0; n_columns * stride])
                .collect(),
            curvatures: Vec::new(),
            residuals: Vec::new(),
            known,
        }
    }

    /// Fits a tree, adds its (shrunken) values to `fitted` of all rows and to `planted`. `false` where no split was left.
    pub(crate) fn grow(
        &mut self,
        round: Round<'_>,
        fitted: &mut [f64],
        rng: &mut impl Rng,
        planted: &mut Planted,
    ) -> bool {
        if self.wide {
            self.grow_with::<256>(round, fitted, rng, planted)
        } else {
            self.grow_with::<64>(round, fitted, rng, planted)
        }
    }

    fn grow_with<const B: usize>(
        &mut self,
        round: Round<'_>,
        fitted: &mut [f64],
        rng: &mut impl Rng,
        planted: &mut Planted,
    ) -> bool {
        let largest = self
            .known
            .iter()
            .fold(0.0f64, |m, &r| m.max(round.gradient[r as usize].abs()));
        let Some(scale) = scale_of(largest) else { return false };
        for (g, r) in self.gradient.iter_mut().zip(round.gradient) {
            *g = packed(rounded(r * scale));
        }
        let curvature_unit = self.round_curvature(round.curvature);
        self.draw(rng);
        let settings = self.settings;
        let total = self.total(0, self.rows.len());
        let mut nodes = vec![Growing::leaf(0.0, self.rows.len())];
        let mut leaves = vec![Leaf {
            node: 0,
            start: 0,
            end: self.rows.len(),
            total,
            bounds: Bounds::NONE,
            histogram: 0,
            split: None,
        }];
        self.build::<B>(0, 0, self.rows.len());
        leaves[0].split = self.best_split::<B>(&leaves[0], curvature_unit);
        while leaves.len() < settings.max_leaves {
            let best = leaves
                .iter()
                .enumerate()
                .filter_map(|(i, l)| l.split.map(|s| (i, s)))
                .fold(None, |best: Option<(usize, Split)>, (i, s)| match best {
                    Some((_, b)) if b.gain >= s.gain => best,
                    _ => Some((i, s)),
                });
            let Some((i, split)) = best else { break };
            let (start, end, histogram) = (leaves[i].start, leaves[i].end, leaves[i].histogram);
            let middle = self.partition(start, end, &split);
            let all = leaves[i].total;
            let left = self.total(start, middle);
            let right = Total {
                packed: all.packed - left.packed,
                curvature: all.curvature - left.curvature,
            };
            if let Some(gain) = planted.gains.get_mut(split.feature) {
                *gain += split.gain / (scale * scale);
            }
            let children = (nodes.len(), nodes.len() + 1);
            let parent = &mut nodes[leaves[i].node];
            parent.children = Some(children);
            parent.feature = split.feature;
            parent.bin = split.bin as u8;
            parent.missing_left = split.missing_left;
            nodes.push(Growing::leaf(0.0, middle - start));
            nodes.push(Growing::leaf(0.0, end - middle));
            let bounds = self.bounds_of_children(leaves[i].bounds, &split, left, right, curvature_unit);
            let other = leaves.len();
            let wants_split = leaves.len() + 1 < settings.max_leaves;
            let (mut left_histogram, mut right_histogram) = (histogram, other);
            if wants_split {
                // The smaller child is counted, the larger is what remains of the parent.
                let left_is_smaller = middle - start <= end - middle;
                if left_is_smaller {
                    self.build::<B>(other, start, middle);
                    (left_histogram, right_histogram) = (other, histogram);
                } else {
                    self.build::<B>(other, middle, end);
                }
                for tables in [&mut self.histograms, &mut self.curvatures] {
                    if let Some((low, [counted, ..])) = tables.split_at_mut_checked(other) {
                        low[histogram].iter_mut().zip(counted).for_each(|(p, c)| *p -= *c);
                    }
                }
            }
            let leaf = |node, start, end, total, bounds, histogram| Leaf {
                node,
                start,
                end,
                total,
                bounds,
                histogram,
                split: None,
            };
            leaves[i] = leaf(children.0, start, middle, left, bounds[0], left_histogram);
            leaves.push(leaf(children.1, middle, end, right, bounds[1], right_histogram));
            if wants_split {
                for l in [i, other] {
                    leaves[l].split = self.best_split::<B>(&leaves[l], curvature_unit);
                }
            }
        }
        if leaves.len() < 2 {
            return false;
        }
        for leaf in &leaves {
            nodes[leaf.node].value = match round.quantile {
                None => {
                    let search = self.search(curvature_unit);
                    search.value(leaf.total, leaf.bounds) / scale * settings.learning_rate
                }
                Some((residuals, q)) => self.quantile(leaf, residuals, q) * settings.learning_rate,
            };
        }
        if round.quantile.is_some() {
            self.order_leaves(&mut nodes);
        }
        for leaf in &leaves {
            let value = nodes[leaf.node].value;
            for &r in &self.rows[leaf.start..leaf.end] {
                fitted[r as usize] += value;
            }
        }
        for (r, fitted) in fitted.iter_mut().enumerate().filter(|(r, _)| !self.in_bag[*r]) {
            *fitted += self.walk(&nodes, r);
        }
        self.plant(&nodes, &mut planted.forest);
        true
    }

    /// Curvatures as whole numbers of a unit, at least one; `None` where there are none.
    fn round_curvature(&mut self, curvature: &[f64]) -> Option<f64> {
        let largest = self
            .known
            .iter()
            .filter_map(|&r| curvature.get(r as usize))
            .fold(0.0f64, |m, c| m.max(*c));
        let scale = scale_of(largest)?;
        self.curvature.clear();
        self.curvature
            .extend(curvature.iter().map(|c| rounded(c * scale).max(1)));
        self.curvatures
            .resize_with(self.histograms.len(), || vec![0; self.histograms[0].len()]);
        Some(1.0 / scale)
    }

    fn search(&self, curvature_unit: Option<f64>) -> Search<'_> {
        Search {
            data: self.data,
            columns: &self.columns,
            l2: self.settings.l2,
            least: self.settings.min_leaf_rows as i64,
            curvature_unit,
            directions: &self.directions,
        }
    }

    fn best_split<const B: usize>(&self, leaf: &Leaf, curvature_unit: Option<f64>) -> Option<Split> {
        let curvatures = self.curvatures.get(leaf.histogram).map_or(&[][..], |c| c);
        self.search(curvature_unit)
            .best::<B>(&self.histograms[leaf.histogram], curvatures, leaf.total, leaf.bounds)
    }

    /// Both children of a split on a feature that predictions follow stay on their sides of the middle between their values.
    fn bounds_of_children(
        &self,
        bounds: Bounds,
        split: &Split,
        left: Total,
        right: Total,
        curvature_unit: Option<f64>,
    ) -> [Bounds; 2] {
        let direction = self.directions.get(split.feature).copied().unwrap_or(0);
        if direction == 0 {
            return [bounds; 2];
        }
        let search = self.search(curvature_unit);
        let (a, b) = (search.value(left, bounds), search.value(right, bounds));
        let middle = a + (b - a) / 2.0;
        let (below, above) = (Bounds { high: middle, ..bounds }, Bounds { low: middle, ..bounds });
        if direction > 0 { [below, above] } else { [above, below] }
    }

    /// The smallest residual of the leaf that a share `q` of them does not exceed.
    fn quantile(&mut self, leaf: &Leaf, residuals: &[f64], q: f64) -> f64 {
        self.residuals.clear();
        self.residuals
            .extend(self.rows[leaf.start..leaf.end].iter().map(|&r| residuals[r as usize]));
        quantile_of(&mut self.residuals, q)
    }

    /// Leaves whose values came after the splits are held to the order that is asked: both sides of a split, from the last up,
    /// on their sides of the middle between the values that overlap. Holding a whole branch keeps its own order.
    fn order_leaves(&self, nodes: &mut [Growing]) {
        for i in (0..nodes.len()).rev() {
            let node = nodes[i];
            let direction = self.directions.get(node.feature).copied().unwrap_or(0);
            let Some((left, right)) = node.children.filter(|_| direction != 0) else {
                continue;
            };
            let (low, high) = if direction > 0 { (left, right) } else { (right, left) };
            let (low, high) = (leaves_below(nodes, low), leaves_below(nodes, high));
            let most = low.iter().fold(f64::NEG_INFINITY, |m, &l| m.max(nodes[l].value));
            let least = high.iter().fold(f64::INFINITY, |m, &l| m.min(nodes[l].value));
            if most > least {
                let middle = least + (most - least) / 2.0;
                low.iter().for_each(|&l| nodes[l].value = nodes[l].value.min(middle));
                high.iter().for_each(|&l| nodes[l].value = nodes[l].value.max(middle));
            }
        }
    }

    /// Rows and columns of one tree.
    fn draw(&mut self, rng: &mut impl Rng) {
        let n = self.known.len();
        self.rows.clear();
        if self.settings.row_fraction >= 1.0 {
            self.rows.extend_from_slice(&self.known);
            self.known.iter().for_each(|&r| self.in_bag[r as usize] = true);
        } else {
            // Selection sampling keeps the order of rows: exactly the wanted number, each subset equally likely.
            let wanted = ((n as f64 * self.settings.row_fraction).round() as usize).clamp(1, n);
            let mut missing = wanted;
            for (i, &r) in self.known.iter().enumerate() {
                let take = rng.gen_range(0..n - i) < missing;
                self.in_bag[r as usize] = take;
                if take {
                    self.rows.push(r);
                    missing -= 1;
                }
            }
        }
        let n_columns = self.columns.len();
        for i in 0..n_columns {
            let j = rng.gen_range(i..self.all_columns.len());
            self.all_columns.swap(i, j);
        }
        self.columns.copy_from_slice(&self.all_columns[..n_columns]);
        self.columns.sort_unstable();
    }

    /// Sums over the rows `start..end`.
    fn total(&self, start: usize, end: usize) -> Total {
        let rows = &self.rows[start..end];
        Total {
            packed: rows.iter().map(|&r| self.gradient[r as usize]).sum(),
            curvature: rows.iter().filter_map(|&r| self.curvature.get(r as usize)).sum(),
        }
    }

    /// Sums over the rows `start..end` by column and bin.
    fn build<const B: usize>(&mut self, histogram: usize, start: usize, end: usize) {
        let rows = &self.rows[start..end];
        let of = [
            (&self.gradient, &mut self.histograms),
            (&self.curvature, &mut self.curvatures),
        ];
        for (values, tables) in of {
            if let Some(out) = tables.get_mut(histogram) {
                accumulate::<B>(self.data, &self.columns, rows, values, &mut self.gathered, out);
            }
        }
    }

    /// Puts the rows that go left first, keeping their order on both sides; gives where the right ones start.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let column = self.data.column(split.feature);
        self.spare.clear();
        let mut at = start;
        for i in start..end {
            let r = self.rows[i];
            if split.goes_left(usize::from(column[r as usize])) {
                self.rows[at] = r;
                at += 1;
            } else {
                self.spare.push(r);
            }
        }
        self.rows[at..end].copy_from_slice(&self.spare);
        at
    }

    fn walk(&self, nodes: &[Growing], row: usize) -> f64 {
        let mut node = &nodes[0];
        while let Some((left, right)) = node.children {
            let bin = self.data.bin(node.feature, row);
            node = &nodes[if goes_left(bin, usize::from(node.bin), node.missing_left) {
                left
            } else {
                right
            }];
        }
        node.value
    }

    /// Appends the tree, depth first: the left child follows its parent.
    fn plant(&self, nodes: &[Growing], forest: &mut Forest) {
        forest.begin_tree();
        let mut stack: Vec<(usize, Option<usize>)> = vec![(0, None)];
        while let Some((n, parent_of_right)) = stack.pop() {
            let node = &nodes[n];
            let planted = match node.children {
                None => Node::leaf(node.value),
                Some(_) => {
                    let threshold = self.data.cuts(node.feature)[usize::from(node.bin) - 1];
                    Node::split(node.feature as u16, threshold, node.missing_left)
                }
            };
            let at = forest.push(planted, node.n_rows as u32, parent_of_right);
            if let Some((left, right)) = node.children {
                stack.push((right, Some(at)));
                stack.push((left, None));
            }
        }
    }
}

/// The leaves of the branch at `from`.
fn leaves_below(nodes: &[Growing], from: usize) -> Vec<usize> {
    let (mut open, mut leaves) = (vec![from], Vec::new());
    while let Some(n) = open.pop() {
        match nodes[n].children {
            None => leaves.push(n),
            Some((left, right)) => open.extend([left, right]),
        }
    }
    leaves
}

/// The smallest of `values` that a share `q` of them does not exceed, 0 of none: it makes their pinball loss least.
pub(super) fn quantile_of(values: &mut [f64], q: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else {
        return 0.0;
    };
    let at = ((q * values.len() as f64).ceil() as usize).clamp(1, last + 1) - 1;
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}
