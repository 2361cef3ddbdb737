//! Regression trees grown best split first on binned features.

use super::forest::{Forest, Node};
use rand::Rng;

/// The most bins a feature may have, the one of missing values not counted.
pub(super) const MAX_BINS: usize = 255;
/// The most rows trees can be grown on: row counts share a machine word with gradient sums.
pub(super) const MAX_ROWS: usize = (1 << COUNT_BITS) - 1;

const COUNT_BITS: u32 = 20;
const COUNT_MASK: i64 = (1 << COUNT_BITS) - 1;
/// Gradients are rounded to whole numbers of at most this size, so that sums are exact in any order.
const LARGEST_GRADIENT: f64 = (1 << 22) as f64;
/// Feature values as bin numbers, one column after the other: 0 is missing, bin `b` holds values up to cut `b - 1`.
pub(super) struct Binned {
    n_rows: usize,
    bins: Vec<u8>,
    cuts: Vec<Vec<f64>>,
}

impl Binned {
    /// Bins of nearly equal counts: `values` row-major, NaN allowed, infinities not.
    pub(super) fn new<'a>(n_features: usize, n_bins: usize, rows: impl ExactSizeIterator<Item = &'a [f64]>) -> Self {
        let n_rows = rows.len();
        let mut columns = vec![0.0; n_features * n_rows];
        for (i, row) in rows.enumerate() {
            for (f, &v) in row.iter().enumerate().take(n_features) {
                columns[f * n_rows + i] = v;
            }
        }
        let mut bins = vec![0u8; n_features * n_rows];
        let mut cuts = Vec::with_capacity(n_features);
        let mut sorted = Vec::with_capacity(n_rows);
        for (column, bins) in columns
            .chunks_exact(n_rows.max(1))
            .zip(bins.chunks_exact_mut(n_rows.max(1)))
        {
            sorted.clear();
            sorted.extend(column.iter().copied().filter(|v| !v.is_nan()));
            sorted.sort_unstable_by(f64::total_cmp);
            let cut = cuts_of(&sorted, n_bins);
            for (b, v) in bins.iter_mut().zip(column) {
                *b = if v.is_nan() { 0 } else { 1 + position(&cut, *v) };
            }
            cuts.push(cut);
        }
        Self { n_rows, bins, cuts }
    }

    fn column(&self, feature: usize) -> &[u8] {
        &self.bins[feature * self.n_rows..(feature + 1) * self.n_rows]
    }
}

/// Number of cuts below `v`, without branches: cuts are at most 254.
fn position(cuts: &[f64], v: f64) -> u8 {
    let (mut base, mut n) = (0, cuts.len());
    while n > 0 {
        let half = n.div_ceil(2);
        base += if cuts[base + half - 1] < v { half } else { 0 };
        n -= half;
    }
    base as u8
}

/// At most `n_bins - 1` cuts, each halfway between two neighbouring values, at nearly equal counts.
fn cuts_of(sorted: &[f64], n_bins: usize) -> Vec<f64> {
    let mut cuts: Vec<f64> = Vec::new();
    for k in 1..n_bins {
        let i = k * sorted.len() / n_bins;
        let Some(&high) = sorted.get(i) else { break };
        let below = sorted.partition_point(|v| *v < high);
        if below == 0 {
            continue;
        }
        let low = sorted[below - 1];
        let middle = low + (high - low) / 2.0;
        let cut = if middle < high { middle } else { low };
        if cuts.last().is_none_or(|last| cut > *last) {
            cuts.push(cut);
        }
    }
    cuts
}

/// How one tree is grown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TreeSettings {
    pub(super) max_leaves: usize,
    pub(super) min_leaf_rows: usize,
    pub(super) l2: f64,
    pub(super) learning_rate: f64,
    pub(super) row_fraction: f64,
    pub(super) column_fraction: f64,
}

/// Grows trees one after the other on the same binned rows; all buffers are made once.
pub(super) struct Grower<'a> {
    data: &'a Binned,
    settings: TreeSettings,
    wide: bool,
    /// Rows in the bag, grouped by leaf while a tree grows.
    rows: Vec<u32>,
    spare: Vec<u32>,
    /// Gradient and count of the rows of the leaf at hand, in its order.
    packed: Vec<i64>,
    gradient: Vec<i64>,
    in_bag: Vec<bool>,
    columns: Vec<usize>,
    all_columns: Vec<usize>,
    histograms: Vec<Vec<i64>>,
}

#[derive(Clone, Copy)]
struct Split {
    gain: f64,
    feature: usize,
    bin: usize,
    missing_left: bool,
}

struct Leaf {
    node: usize,
    start: usize,
    end: usize,
    total: i64,
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
}

impl<'a> Grower<'a> {
    pub(super) fn new(data: &'a Binned, settings: TreeSettings) -> Self {
        let wide = data.cuts.iter().any(|c| c.len() + 1 > 63);
        let n_columns =
            ((data.cuts.len() as f64 * settings.column_fraction).round() as usize).clamp(1, data.cuts.len());
        let stride = if wide { 256 } else { 64 };
        Self {
            data,
            settings,
            wide,
            rows: Vec::with_capacity(data.n_rows),
            spare: Vec::with_capacity(data.n_rows),
            packed: vec![0; data.n_rows],
            gradient: vec![0; data.n_rows],
            in_bag: vec![false; data.n_rows],
            columns: vec![0; n_columns],
            all_columns: (0..data.cuts.len()).collect(),
            histograms: (0..settings.max_leaves.min(data.n_rows / settings.min_leaf_rows.max(1) + 1))
                .map(|_| vec![0; n_columns * stride])
                .collect(),
        }
    }

    /// Fits a tree to `residual`, adds its (shrunken) values to `fitted` and to `forest`. `false` where no split was left.
    pub(super) fn grow(
        &mut self,
        residual: &[f64],
        fitted: &mut [f64],
        rng: &mut impl Rng,
        forest: &mut Forest,
    ) -> bool {
        if self.wide {
            self.grow_with::<256>(residual, fitted, rng, forest)
        } else {
            self.grow_with::<64>(residual, fitted, rng, forest)
        }
    }

    fn grow_with<const B: usize>(
        &mut self,
        residual: &[f64],
        fitted: &mut [f64],
        rng: &mut impl Rng,
        forest: &mut Forest,
    ) -> bool {
        let largest = residual.iter().fold(0.0f64, |m, r| m.max(r.abs()));
        if !(largest > 0.0 && largest.is_finite()) {
            return false;
        }
        // A power of two, so that scaling itself does not round.
        let mut scale = 1.0f64;
        while largest * scale > LARGEST_GRADIENT {
            scale *= 0.5;
        }
        while largest * scale * 2.0 <= LARGEST_GRADIENT {
            scale *= 2.0;
        }
        for (g, r) in self.gradient.iter_mut().zip(residual) {
            *g = (rounded(r * scale) << COUNT_BITS) + 1;
        }
        self.draw(rng);
        let value_of = |total: i64, s: &TreeSettings| {
            (total >> COUNT_BITS) as f64 / scale / ((total & COUNT_MASK) as f64 + s.l2) * s.learning_rate
        };
        let settings = self.settings;
        let mut nodes = vec![];
        let total = self.rows.iter().map(|&r| self.gradient[r as usize]).sum();
        nodes.push(Growing {
            feature: 0,
            bin: 0,
            missing_left: false,
            children: None,
            value: value_of(total, &settings),
        });
        let mut leaves = vec![Leaf {
            node: 0,
            start: 0,
            end: self.rows.len(),
            total,
            histogram: 0,
            split: None,
        }];
        self.build::<B>(0, 0, self.rows.len());
        leaves[0].split = self.best_split::<B>(0, total);
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
            let left_total: i64 = self.rows[start..middle]
                .iter()
                .map(|&r| self.gradient[r as usize])
                .sum();
            let right_total = leaves[i].total - left_total;
            let children = (nodes.len(), nodes.len() + 1);
            let parent = &mut nodes[leaves[i].node];
            parent.children = Some(children);
            parent.feature = split.feature;
            parent.bin = split.bin as u8;
            parent.missing_left = split.missing_left;
            for total in [left_total, right_total] {
                nodes.push(Growing {
                    feature: 0,
                    bin: 0,
                    missing_left: false,
                    children: None,
                    value: value_of(total, &settings),
                });
            }
            let other = leaves.len();
            let wants_split = leaves.len() + 1 < settings.max_leaves;
            let (left_hist, right_hist);
            if wants_split {
                // The smaller child is counted, the larger is what remains of the parent.
                let left_is_smaller = middle - start <= end - middle;
                let (from, to) = if left_is_smaller {
                    (start, middle)
                } else {
                    (middle, end)
                };
                self.build::<B>(other, from, to);
                let (low, high) = self.histograms.split_at_mut(other);
                for (p, c) in low[histogram].iter_mut().zip(&high[0]) {
                    *p -= c;
                }
                (left_hist, right_hist) = if left_is_smaller {
                    (other, histogram)
                } else {
                    (histogram, other)
                };
            } else {
                (left_hist, right_hist) = (histogram, other);
            }
            let leaf = |node, start, end, total, histogram| Leaf {
                node,
                start,
                end,
                total,
                histogram,
                split: None,
            };
            leaves[i] = leaf(children.0, start, middle, left_total, left_hist);
            leaves.push(leaf(children.1, middle, end, right_total, right_hist));
            if wants_split {
                for l in [i, other] {
                    let (histogram, total) = (leaves[l].histogram, leaves[l].total);
                    leaves[l].split = self.best_split::<B>(histogram, total);
                }
            }
        }
        if leaves.len() < 2 {
            return false;
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
        self.plant(&nodes, forest);
        true
    }

    /// Rows and columns of one tree.
    fn draw(&mut self, rng: &mut impl Rng) {
        let n = self.data.n_rows;
        self.rows.clear();
        if self.settings.row_fraction >= 1.0 {
            self.rows.extend(0..n as u32);
            self.in_bag.fill(true);
        } else {
            // Selection sampling keeps the order of rows: exactly the wanted number, each subset equally likely.
            let wanted = ((n as f64 * self.settings.row_fraction).round() as usize).clamp(1, n);
            let mut missing = wanted;
            for r in 0..n {
                let take = rng.gen_range(0..n - r) < missing;
                self.in_bag[r] = take;
                if take {
                    self.rows.push(r as u32);
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

    /// Gradient sums and counts of the rows `start..end` by column and bin.
    fn build<const B: usize>(&mut self, histogram: usize, start: usize, end: usize) {
        let rows = &self.rows[start..end];
        let packed = &mut self.packed[..rows.len()];
        for (p, &r) in packed.iter_mut().zip(rows) {
            *p = self.gradient[r as usize];
        }
        let out = &mut self.histograms[histogram];
        out.fill(0);
        let (four, _) = self.columns.as_chunks::<4>();
        let mut tables = out.chunks_exact_mut(4 * B);
        for (columns, tables) in four.iter().zip(&mut tables) {
            let [a, b, c, d] = columns.map(|f| self.data.column(f));
            let (ta, rest) = tables.split_at_mut(B);
            let (tb, rest) = rest.split_at_mut(B);
            let (tc, td) = rest.split_at_mut(B);
            for (&r, &p) in rows.iter().zip(&*packed) {
                let r = r as usize;
                ta[a[r] as usize & (B - 1)] += p;
                tb[b[r] as usize & (B - 1)] += p;
                tc[c[r] as usize & (B - 1)] += p;
                td[d[r] as usize & (B - 1)] += p;
            }
        }
        let done = four.len() * 4;
        for (&f, table) in self.columns[done..]
            .iter()
            .zip(tables.into_remainder().chunks_exact_mut(B))
        {
            let column = self.data.column(f);
            for (&r, &p) in rows.iter().zip(&*packed) {
                table[column[r as usize] as usize & (B - 1)] += p;
            }
        }
    }

    /// The split of greatest gain `GL^2/(nL + l2) + GR^2/(nR + l2)` over not splitting; the first of equals.
    fn best_split<const B: usize>(&self, histogram: usize, total: i64) -> Option<Split> {
        let (l2, least) = (self.settings.l2, self.settings.min_leaf_rows as i64);
        let (n_all, g_all) = (total & COUNT_MASK, total >> COUNT_BITS);
        if n_all < 2 * least {
            return None;
        }
        let g_all_f = g_all as f64;
        let mut best_score = g_all_f * g_all_f / (n_all as f64 + l2) * (1.0 + 1e-12);
        let mut best = None;
        for (&feature, table) in self.columns.iter().zip(self.histograms[histogram].chunks_exact(B)) {
            let n_cuts = self.data.cuts[feature].len();
            let missing = table[0];
            for missing_left in [false, true] {
                if missing_left && missing == 0 {
                    break;
                }
                let mut left = if missing_left { missing } else { 0 };
                for (cut, &bin) in table[1..].iter().take(n_cuts).enumerate() {
                    left += bin;
                    let n_left = left & COUNT_MASK;
                    let n_right = n_all - n_left;
                    if n_left < least {
                        continue;
                    }
                    if n_right < least {
                        break;
                    }
                    let g_left = (left >> COUNT_BITS) as f64;
                    let g_right = g_all_f - g_left;
                    let (a, b) = (n_left as f64 + l2, n_right as f64 + l2);
                    // Two quotients compared with the best without dividing.
                    let (numerator, denominator) = (g_left * g_left * b + g_right * g_right * a, a * b);
                    if numerator > best_score * denominator {
                        best_score = numerator / denominator;
                        let missing_left = if missing == 0 { n_left > n_right } else { missing_left };
                        best = Some(Split {
                            gain: best_score,
                            feature,
                            bin: cut + 1,
                            missing_left,
                        });
                    }
                }
            }
        }
        let parent = g_all_f * g_all_f / (n_all as f64 + l2);
        best.map(|s: Split| Split {
            gain: s.gain - parent,
            ..s
        })
    }

    /// Puts the rows that go left first, keeping their order on both sides; gives where the right ones start.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let column = self.data.column(split.feature);
        self.spare.clear();
        let mut at = start;
        for i in start..end {
            let r = self.rows[i];
            let bin = column[r as usize] as usize;
            if goes_left(bin, split.bin, split.missing_left) {
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
            let bin = self.data.bins[node.feature * self.data.n_rows + row] as usize;
            node = &nodes[if goes_left(bin, node.bin as usize, node.missing_left) {
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
                    let threshold = self.data.cuts[node.feature][node.bin as usize - 1];
                    Node::split(node.feature as u16, threshold, node.missing_left)
                }
            };
            let at = forest.push(planted, parent_of_right);
            if let Some((left, right)) = node.children {
                stack.push((right, Some(at)));
                stack.push((left, None));
            }
        }
    }
}

/// `x` as the nearest whole number, ties to even, for `|x| < 2^51`: adding 1.5 x 2^52 leaves no bits behind the point.
/// (`f64::round` is a call on processors without an instruction for it.)
fn rounded(x: f64) -> i64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    (x + SHIFT).to_bits() as i64 - SHIFT.to_bits() as i64
}

fn goes_left(bin: usize, split: usize, missing_left: bool) -> bool {
    if bin == 0 { missing_left } else { bin <= split }
}
