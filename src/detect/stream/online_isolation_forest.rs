//! Online isolation forest.

use crate::detect::{
    draws::Draws,
    rows::{Sequences, StreamRow},
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The most trees.
const MOST_TREES: usize = 1000;
/// The most rows of a window.
const LARGEST_WINDOW: usize = 1 << 20;
/// The most levels of splits: `log4` of the largest window.
const MOST_LEVELS: usize = 10;
/// The most numbers that the bounds of all bins may take.
const MOST_BOUNDS: usize = 1 << 26;
/// Instead of a column, in a bin that is not split.
const BIN: u32 = u32::MAX;
/// The largest magnitude of a number in a memory.
const LARGEST_READING: f64 = 1e150;

/// Streaming detector by an online isolation forest: rows in bins that hold little of the machine's last window.
///
/// # Method
///
/// Each of `n_trees` trees is a histogram that grows where rows are dense and forgets what leaves the window. A bin counts
/// its rows and knows the box they span. With `η` the leaf size, a bin at depth `k` that has counted `η 2^k` rows is
/// split, as long as `k < log4(n / η)` with `n` the rows in the window: a column that varies in it and a place in its range
/// are drawn evenly; its rows are no longer known one by one, so as many are drawn evenly from its box to fill
/// the halves. When a row leaves the window, it is taken off the counts on its way; a split whose count falls below
/// `η 2^k` is undone, and its box is the one around the bins below. With `k` the depth and `m` the count of the bin in
/// which a row falls,
///
/// ```text
/// c(m)  = log4(m / η), or 0 below η
/// p     = Σ_j g_j / Σ_j (r_j + g_j),   r_j the range of the last rows in column j, g_j how far the row lies outside it
/// score = 2^(-(1 - p) mean over trees of (k + c(m)) / c(ω)),   ω the rows of a full window
/// ```
///
/// between 0 and 1: near 1 where rows are isolated at once, about 1/2 and below for the usual. `p` is the probability that
/// a first cut, drawn as in a random cut forest, parts the row from all others; it is not part of the published method, by
/// which a row beyond all others scores no more than the edge, however far it lies. The ranges are those of the rows in the
/// window and of up to as many before. The first score comes after `4 η` rows, or a full window where that is less.
///
/// A split is rare for a row by `max(0, log2((m + 1) / (2 m' + 1)))`, where the bin counted `m` rows and the half on the
/// row's side `m'`; that is summed for the split's column over all trees. A feature's contribution is the score times `1 - p`
/// parts of its share of that sum (an even share where no split is rare) and `p` parts of its share of the `g_j`, so that
/// contributions add up to the score.
///
/// All chance comes from the seed, the number of the row in its machine's stream and the number of the tree.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). A row costs `O(n_trees log(ω / η))`, and a split `O(n_features)` for each row
/// of its bin; it allocates nothing for up to 256 columns. A machine's memory holds the window and the boxes:
/// `8 n_features (ω + 4 n_trees sqrt(ω / η))` bytes and a little, the root rounded up to a power of two. Rows kept from
/// learning do not move the window.
///
/// # Source
///
/// Leveni, Weigert Cassales, Pfahringer, Bifet and Boracchi, "Online isolation forest", ICML (2024),
/// [arXiv 2505.09593](https://arxiv.org/abs/2505.09593), with the depth limit and the adaptive growth of the authors'
/// program.
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::{OnlineIsolationForest, Scaling},
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("torque", "N m"), Channel::new("speed", "rpm")])?;
/// let params = OnlineIsolationForest::params().window_size(512).leaf_size(8);
/// let forest = params.scaling(Scaling::FirstRows(50)).fixed_threshold(0.6).untrained(schema)?;
///
/// let mut state = forest.new_state();
/// let mut score = |x: [f64; 2]| forest.step(&mut state, FeatureView::new(forest.schema(), &x)?);
/// for i in 0..600 {
///     let noise = |k: i32| f64::from(i * k % 101) / 50.0 - 1.0;
///     score([20.0 + noise(7919) + noise(4729), 1500.0 + noise(6007) + noise(3571)])?;
/// }
/// let usual = score([20.1, 1500.1])?.ready().unwrap();
/// let broken = score([16.0, 1500.1])?.ready().unwrap();
/// assert!(broken.value > usual.value + 0.1);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type OnlineIsolationForest = StreamDetector<OnlineIsolationScorer>;

/// Parameters of an [`OnlineIsolationForest`].
pub type OnlineIsolationForestParams = StreamDetectorParams<OnlineIsolationSettings>;

/// How many trees an [`OnlineIsolationForest`] has, over how long a window, and when bins are split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnlineIsolationSettings {
    n_trees: usize,
    window_size: usize,
    leaf_size: usize,
}

impl Default for OnlineIsolationSettings {
    fn default() -> Self {
        Self {
            n_trees: 32,
            window_size: 2048,
            leaf_size: 32,
        }
    }
}

impl OnlineIsolationForestParams {
    /// Number of trees, from 1 to 1000. Default 32.
    #[must_use]
    pub fn n_trees(self, n: usize) -> Self {
        self.with(|s| s.n_trees = n)
    }

    /// Rows of the window, from twice the leaf size to 2²⁰. Default 2048.
    #[must_use]
    pub fn window_size(self, n: usize) -> Self {
        self.with(|s| s.window_size = n)
    }

    /// Rows `η` at which the first bin is split, at least 1. Default 32.
    #[must_use]
    pub fn leaf_size(self, n: usize) -> Self {
        self.with(|s| s.leaf_size = n)
    }
}

impl OnlineIsolationForest {
    /// Default parameters: 32 trees, windows of 2048 rows, leaves of 32, training units, a false alarm rate of 0.01, five
    /// folds.
    pub fn params() -> OnlineIsolationForestParams {
        OnlineIsolationForestParams::default()
    }
}

impl OnlineIsolationSettings {
    /// Levels of splits at most: the least `k` with `η 4^k >= ω`.
    fn n_levels(&self) -> usize {
        let reaches = |k: &usize| self.leaf_size << (2 * k) >= self.window_size;
        (0..=MOST_LEVELS).find(reaches).unwrap_or(MOST_LEVELS)
    }
}

impl StreamAlgorithm for OnlineIsolationSettings {
    type Scorer = OnlineIsolationScorer;

    fn check(&self) -> Result<()> {
        if !(1..=MOST_TREES).contains(&self.n_trees) {
            let range = format!("from 1 to {MOST_TREES}");
            return Err(Error::parameter("n_trees", range, self.n_trees));
        }
        if !(2..=LARGEST_WINDOW).contains(&self.window_size) {
            let range = format!("from 2 to {LARGEST_WINDOW} rows");
            return Err(Error::parameter("window_size", range, self.window_size));
        }
        if !(1..=self.window_size / 2).contains(&self.leaf_size) {
            let range = format!("from 1 row to half the window, {}", self.window_size / 2);
            return Err(Error::parameter("leaf_size", range, self.leaf_size));
        }
        Ok(())
    }

    fn fit(&self, sequences: &Sequences, seed: Seed) -> Result<OnlineIsolationScorer> {
        OnlineIsolationScorer::new(self.clone(), seed, sequences.width())
    }
}

/// The fitted half of an [`OnlineIsolationForest`]: its settings and its seed; all that is learnt is the machine's own.
#[derive(Clone, Debug)]
pub struct OnlineIsolationScorer {
    settings: OnlineIsolationSettings,
    seed: Seed,
    width: usize,
    n_levels: usize,
    /// `c(m)` for each count `m`.
    extra: Vec<f64>,
}

/// The window and the histograms of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "OnlineIsolationMemoryRecord")]
pub struct OnlineIsolationMemory {
    width: usize,
    n_levels: usize,
    /// Rows learnt.
    n_rows: u64,
    /// The row of the window that is the oldest once it is full.
    next: usize,
    window: Vec<f64>,
    /// Corners of a box around the rows of the window and some before.
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// Tree by tree, bins level by level from place 1 on: the halves of `i` are `2 i` and `2 i + 1`.
    counts: Vec<u32>,
    columns: Vec<u32>,
    splits: Vec<f64>,
    /// Lower and upper corners of the bins that are not split and have counted a row.
    bounds: Vec<f64>,
}

#[derive(Deserialize)]
struct OnlineIsolationMemoryRecord {
    width: usize,
    n_levels: usize,
    n_rows: u64,
    next: usize,
    window: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    counts: Vec<u32>,
    columns: Vec<u32>,
    splits: Vec<f64>,
    bounds: Vec<f64>,
}

impl TryFrom<OnlineIsolationMemoryRecord> for OnlineIsolationMemory {
    type Error = Error;

    fn try_from(r: OnlineIsolationMemoryRecord) -> Result<Self> {
        let wrong = |what: &str| {
            Err(Error::persistence(format!(
                "memory of the forest: expected {what}, got another"
            )))
        };
        let (n_bins, n_numbers) = (r.counts.len(), r.counts.len().saturating_mul(2).saturating_mul(r.width));
        if r.width == 0 || r.n_levels > MOST_LEVELS || n_bins == 0 || n_bins % (2 << r.n_levels) != 0 {
            return wrong("whole trees");
        }
        if (r.columns.len(), r.splits.len(), r.bounds.len()) != (n_bins, n_bins, n_numbers) {
            return wrong("as many columns, splits and bounds as bins");
        }
        if !r.window.len().is_multiple_of(r.width) || r.next > r.window.len() / r.width {
            return wrong("a window of whole rows");
        }
        if r.lower.len() != r.width || r.upper.len() != r.width || r.lower.iter().zip(&r.upper).any(|(l, u)| l > u) {
            return wrong("a box around the window");
        }
        let numbers = r
            .window
            .iter()
            .chain(&r.splits)
            .chain(&r.bounds)
            .chain(&r.lower)
            .chain(&r.upper);
        if !numbers.into_iter().all(|x| x.abs() <= LARGEST_READING) {
            return wrong("numbers within ±1e150");
        }
        if r.counts.iter().any(|&c| c as usize > LARGEST_WINDOW) {
            return wrong("counts of at most 2^20 rows");
        }
        let boxes = r.bounds.chunks_exact(2 * r.width).map(|b| b.split_at(r.width));
        if boxes.into_iter().any(|(l, u)| l.iter().zip(u).any(|(l, u)| l > u)) {
            return wrong("boxes with lower corners below upper ones");
        }
        for tree in r.columns.chunks_exact(2 << r.n_levels) {
            for (i, &column) in tree.iter().enumerate() {
                let may_split = i > 0 && i < 1 << r.n_levels;
                if column != BIN && !(may_split && (column as usize) < r.width) {
                    return wrong("splits of columns that are there, above the lowest level");
                }
                if column != BIN && i > 1 && tree.get(i / 2) == Some(&BIN) {
                    return wrong("splits below splits");
                }
            }
        }
        Ok(Self {
            width: r.width,
            n_levels: r.n_levels,
            n_rows: r.n_rows,
            next: r.next,
            window: r.window,
            lower: r.lower,
            upper: r.upper,
            counts: r.counts,
            columns: r.columns,
            splits: r.splits,
            bounds: r.bounds,
        })
    }
}

/// One tree of a memory.
struct Histogram<'a> {
    width: usize,
    leaf_size: usize,
    counts: &'a mut [u32],
    columns: &'a mut [u32],
    splits: &'a mut [f64],
    bounds: &'a mut [f64],
}

impl Histogram<'_> {
    fn corners(&mut self, i: usize) -> (&mut [f64], &mut [f64]) {
        let start = 2 * self.width * i;
        let bounds = self.bounds.get_mut(start..start + 2 * self.width).unwrap_or_default();
        let middle = bounds.len() / 2;
        bounds.split_at_mut(middle)
    }

    /// Makes the box of bin `i` hold `x`, or be `x` where nothing was in it.
    fn stretch(&mut self, i: usize, x: &[f64], is_first: bool) {
        let (lower, upper) = self.corners(i);
        for ((l, u), &x) in lower.iter_mut().zip(upper).zip(x) {
            *l = if is_first || x < *l { x } else { *l };
            *u = if is_first || x > *u { x } else { *u };
        }
    }

    fn count(&self, i: usize) -> usize {
        self.counts.get(i).copied().unwrap_or(0) as usize
    }

    fn set_count(&mut self, i: usize, count: usize) {
        if let Some(c) = self.counts.get_mut(i) {
            *c = count as u32;
        }
    }

    /// The half of `i` in which `x` falls; `None` where it is not split.
    fn half(&self, i: usize, x: &[f64]) -> Option<usize> {
        let column = *self.columns.get(i)?;
        let value = x.get(column as usize)?;
        Some(2 * i + usize::from(value >= self.splits.get(i)?))
    }

    /// Takes a row in; `n_rows` with it are in the window.
    fn learn(&mut self, x: &[f64], n_rows: usize, draws: &mut Draws) {
        let (mut i, mut depth) = (1, 0);
        while let Some(half) = self.half(i, x) {
            self.set_count(i, self.count(i) + 1);
            (i, depth) = (half, depth + 1);
        }
        self.stretch(i, x, self.count(i) == 0);
        self.set_count(i, self.count(i) + 1);
        self.split(i, depth, n_rows, draws);
    }

    /// Splits bin `i`, and those below it, where it is due.
    fn split(&mut self, i: usize, depth: usize, n_rows: usize, draws: &mut Draws) {
        let count = self.count(i);
        // depth < log4(n_rows / leaf_size)
        if count < self.leaf_size << depth || self.leaf_size << (2 * depth) >= n_rows || 2 * i >= self.counts.len() {
            return;
        }
        let (lower, upper) = self.corners(i);
        let wide = lower.iter().zip(upper.iter()).filter(|(l, u)| l < u).count();
        let chosen = draws.below(wide);
        let mut ranges = lower.iter().zip(upper.iter()).enumerate().filter(|(_, (l, u))| l < u);
        let Some((column, (&low, &high))) = ranges.nth(chosen) else {
            return; // all rows are the same
        };
        let split = low + draws.uniform() * (high - low);
        let (lower, upper): (SmallVec<[f64; 256]>, SmallVec<[f64; 256]>) =
            (SmallVec::from_slice(lower), SmallVec::from_slice(upper));
        if let (Some(c), Some(s)) = (self.columns.get_mut(i), self.splits.get_mut(i)) {
            (*c, *s) = (column as u32, split);
        }
        let mut x: SmallVec<[f64; 256]> = SmallVec::from_elem(0.0, self.width);
        for _ in 0..count {
            for ((x, l), u) in x.iter_mut().zip(&lower).zip(&upper) {
                *x = l + draws.uniform() * (u - l);
            }
            let Some(half) = self.half(i, &x) else { return };
            self.stretch(half, &x, self.count(half) == 0);
            self.set_count(half, self.count(half) + 1);
        }
        self.clear_bounds(i);
        self.split(2 * i, depth + 1, n_rows, draws);
        self.split(2 * i + 1, depth + 1, n_rows, draws);
    }

    fn clear_bounds(&mut self, i: usize) {
        let (lower, upper) = self.corners(i);
        lower.fill(0.0);
        upper.fill(0.0);
    }

    /// Takes a row off that leaves the window.
    fn forget(&mut self, x: &[f64]) {
        let (mut i, mut depth) = (1, 0);
        loop {
            self.set_count(i, self.count(i).saturating_sub(1));
            let Some(half) = self.half(i, x) else { return };
            if self.count(i) < self.leaf_size << depth {
                if let Some(column) = self.columns.get_mut(i) {
                    *column = BIN;
                }
                if let Some(split) = self.splits.get_mut(i) {
                    *split = 0.0;
                }
                if !(self.gather(i, 2 * i, true) | self.gather(i, 2 * i + 1, false)) {
                    self.stretch(i, x, true);
                }
                return;
            }
            (i, depth) = (half, depth + 1);
        }
    }

    /// Makes the box of `top` hold those of the bins from `i` on down, which are cleared. Whether there was one.
    fn gather(&mut self, top: usize, i: usize, is_first: bool) -> bool {
        let is_split = self.columns.get(i).is_some_and(|&c| c != BIN);
        let found = if is_split {
            let left = self.gather(top, 2 * i, is_first);
            self.gather(top, 2 * i + 1, is_first && !left) | left
        } else {
            self.count(i) > 0
        };
        if !is_split && found {
            let (lower, upper) = self.corners(i);
            let (lower, upper): (SmallVec<[f64; 256]>, SmallVec<[f64; 256]>) =
                (SmallVec::from_slice(lower), SmallVec::from_slice(upper));
            self.stretch(top, &lower, is_first);
            self.stretch(top, &upper, false);
        }
        if let (Some(c), Some(s)) = (self.columns.get_mut(i), self.splits.get_mut(i)) {
            (*c, *s) = (BIN, 0.0);
        }
        self.set_count(i, 0);
        self.clear_bounds(i);
        found
    }
}

impl OnlineIsolationMemory {
    /// Bytes in memory.
    pub fn n_bytes(&self) -> usize {
        let numbers = 2 * self.width + self.window.capacity() + self.splits.capacity() + self.bounds.capacity();
        size_of::<Self>() + 8 * numbers + 4 * (self.counts.capacity() + self.columns.capacity())
    }

    /// Rows in the window.
    fn len(&self) -> usize {
        self.window.len().checked_div(self.width).unwrap_or(0)
    }

    /// Makes the box hold `x`, the newest row of the window; once a window it is drawn anew around the window alone.
    fn reach(&mut self, x: &[f64]) {
        if self.next == 0 || self.len() == 1 {
            self.lower.copy_from_slice(x);
            self.upper.copy_from_slice(x);
            for row in self.window.chunks_exact(self.width) {
                stretch(&mut self.lower, &mut self.upper, row);
            }
        } else {
            stretch(&mut self.lower, &mut self.upper, x);
        }
    }

    /// How far `x` lies outside the box, column by column, and the ranges of the box.
    fn gaps<'a>(&'a self, x: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + 'a {
        let corners = self.lower.iter().zip(&self.upper);
        corners.zip(x).map(|((l, u), x)| ((l - x).max(x - u).max(0.0), u - l))
    }

    /// The probability that a first cut parts `x` from all rows of the window.
    fn isolation(&self, x: &[f64]) -> f64 {
        let (gap, range) = self
            .gaps(x)
            .fold((0.0, 0.0), |(g, r), (gap, range)| (g + gap, r + range));
        if gap > 0.0 && !self.window.is_empty() {
            gap / (gap + range)
        } else {
            0.0
        }
    }

    /// The bins of tree `tree` on the way of `x`, from the top on.
    #[inline]
    fn way(&self, tree: usize, x: &[f64]) -> impl Iterator<Item = usize> {
        let start = tree * (2 << self.n_levels);
        let below = move |&bin: &usize| {
            let column = *self.columns.get(bin)?;
            let value = x.get(column as usize)?;
            let up = usize::from(value >= self.splits.get(bin)?);
            Some(start + 2 * (bin - start) + up)
        };
        std::iter::successors(Some(start + 1), below)
    }
}

fn stretch(lower: &mut [f64], upper: &mut [f64], x: &[f64]) {
    for ((l, u), x) in lower.iter_mut().zip(upper).zip(x) {
        *l = l.min(*x);
        *u = u.max(*x);
    }
}

impl OnlineIsolationScorer {
    fn new(settings: OnlineIsolationSettings, seed: Seed, width: usize) -> Result<Self> {
        let n_levels = settings.n_levels();
        let n_numbers = settings.n_trees.saturating_mul(4 << n_levels).saturating_mul(width);
        let n_window = settings.window_size.saturating_mul(width);
        if n_numbers > MOST_BOUNDS || n_window > MOST_BOUNDS {
            return Err(Error::parameter(
                "window_size",
                format!(
                    "with {width} columns at most {MOST_BOUNDS} numbers in the window and in the boxes of all bins"
                ),
                n_numbers.max(n_window),
            ));
        }
        let size = settings.leaf_size as f64;
        let extra = |m: usize| 0.5 * libm::log2(m as f64 / size).max(0.0);
        Ok(Self {
            extra: (0..=settings.window_size)
                .map(|m| if m == 0 { 0.0 } else { extra(m) })
                .collect(),
            settings,
            seed,
            width,
            n_levels,
        })
    }

    fn learn(&self, memory: &mut OnlineIsolationMemory, x: &[f64]) {
        let full = self.settings.window_size;
        let leaving: SmallVec<[f64; 256]> = if memory.len() < full {
            memory.window.extend_from_slice(x);
            SmallVec::new()
        } else {
            let start = memory.next * self.width;
            let place = memory.window.get_mut(start..start + self.width).unwrap_or_default();
            let leaving = SmallVec::from_slice(place);
            place.iter_mut().zip(x).for_each(|(w, x)| *w = *x);
            leaving
        };
        memory.next = (memory.next + 1) % full;
        memory.reach(x);
        let n_rows = memory.len();
        let seed = self.seed.part(memory.n_rows);
        memory.n_rows = memory.n_rows.saturating_add(1);
        let n_bins = 2 << self.n_levels;
        let trees = memory.counts.chunks_exact_mut(n_bins);
        let trees = trees.zip(memory.columns.chunks_exact_mut(n_bins));
        let trees = trees.zip(memory.splits.chunks_exact_mut(n_bins));
        let trees = trees.zip(memory.bounds.chunks_exact_mut(2 * self.width * n_bins));
        for (tree, (((counts, columns), splits), bounds)) in trees.enumerate() {
            let mut histogram = Histogram {
                width: self.width,
                leaf_size: self.settings.leaf_size,
                counts,
                columns,
                splits,
                bounds,
            };
            if !leaving.is_empty() {
                histogram.forget(&leaving);
            }
            histogram.learn(x, n_rows, &mut Draws::new(seed.part(tree as u64)));
        }
    }

    /// `c(m)`.
    fn extra(&self, m: u32) -> f64 {
        let known = self.extra.get(m as usize).or(self.extra.last());
        known.copied().unwrap_or(0.0)
    }
}

impl StreamScorer for OnlineIsolationScorer {
    const KIND: &'static str = "detect.online_isolation_forest";
    type Record = (OnlineIsolationSettings, Seed);
    type Memory = OnlineIsolationMemory;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> OnlineIsolationMemory {
        let n_bins = self.settings.n_trees * (2 << self.n_levels);
        OnlineIsolationMemory {
            width: self.width,
            n_levels: self.n_levels,
            n_rows: 0,
            next: 0,
            window: Vec::with_capacity(self.settings.window_size * self.width),
            lower: vec![0.0; self.width],
            upper: vec![0.0; self.width],
            counts: vec![0; n_bins],
            columns: vec![BIN; n_bins],
            splits: vec![0.0; n_bins],
            bounds: vec![0.0; 2 * self.width * n_bins],
        }
    }

    fn accepts(&self, memory: &OnlineIsolationMemory) -> bool {
        let full = self.settings.window_size;
        (memory.width, memory.n_levels) == (self.width, self.n_levels)
            && memory.counts.len() == self.settings.n_trees * (2 << self.n_levels)
            && memory.len() <= full
            && memory.next < full
    }

    fn warm_up(&self) -> u32 {
        self.settings.window_size.min(4 * self.settings.leaf_size) as u32
    }

    fn score(&self, memory: &OnlineIsolationMemory, x: StreamRow<'_>) -> f64 {
        let mut sum = 0.0;
        for tree in 0..self.settings.n_trees {
            let mut end = (0, 0);
            for (depth, bin) in memory.way(tree, x.values).enumerate() {
                end = (depth, bin);
            }
            let count = memory.counts.get(end.1).copied().unwrap_or(0);
            sum += end.0 as f64 + self.extra(count);
        }
        let usual = self.settings.n_trees as f64 * self.extra(u32::MAX);
        libm::exp2(-(1.0 - memory.isolation(x.values)) * sum / usual)
    }

    fn update(&self, memory: &mut OnlineIsolationMemory, x: StreamRow<'_>, learn: bool) {
        if learn {
            self.learn(memory, x.values);
        }
    }

    fn contributions_into(&self, memory: &OnlineIsolationMemory, x: StreamRow<'_>, out: &mut [f64]) {
        let score = self.score(memory, x);
        let count = |bin: usize| f64::from(memory.counts.get(bin).copied().unwrap_or(0));
        for tree in 0..self.settings.n_trees {
            let halves = memory.way(tree, x.values).skip(1);
            for (bin, half) in memory.way(tree, x.values).zip(halves) {
                let rarity = libm::log2((count(bin) + 1.0) / (2.0 * count(half) + 1.0));
                let column = memory.columns.get(bin).map(|&c| c as usize);
                if let Some(own) = column.and_then(|c| out.get_mut(c)) {
                    *own += rarity.max(0.0);
                }
            }
        }
        let p = memory.isolation(x.values);
        let total: f64 = out.iter().sum();
        if total > 0.0 {
            out.iter_mut().for_each(|c| *c *= (1.0 - p) * score / total);
        } else {
            out.fill((1.0 - p) * score / out.len().max(1) as f64);
        }
        let gap: f64 = memory.gaps(x.values).map(|(gap, _)| gap).sum();
        if p > 0.0 {
            out.iter_mut()
                .zip(memory.gaps(x.values))
                .for_each(|(o, (g, _))| *o += p * score * (g / gap));
        }
    }

    fn to_record(&self) -> Self::Record {
        (self.settings.clone(), self.seed)
    }

    fn from_record((settings, seed): Self::Record, width: usize) -> Result<Self> {
        let scorer = settings.check().and_then(|()| Self::new(settings, seed, width));
        scorer.map_err(|e| Error::persistence(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn row(values: &[f64]) -> StreamRow<'_> {
        StreamRow { values, time: None }
    }

    fn scorer(n_trees: usize, window_size: usize, leaf_size: usize, width: usize) -> OnlineIsolationScorer {
        let settings = OnlineIsolationSettings {
            n_trees,
            window_size,
            leaf_size,
        };
        settings.check().unwrap();
        settings.fit(&Sequences::new(width), Seed(3)).unwrap()
    }

    fn stream(n: usize, width: usize) -> Vec<Vec<f64>> {
        let mut draws = Draws::new(Seed(4));
        let mut value = |i: usize| match i % 23 {
            5 => 6.0 * draws.uniform() - 3.0,
            7 => 0.5,
            _ => draws.uniform() + draws.uniform() + if i > n / 2 { 2.0 } else { 0.0 },
        };
        (0..n).map(|i| (0..width).map(|_| value(i)).collect()).collect()
    }

    #[test]
    fn a_first_split_by_hand() {
        let s = scorer(1, 4, 1, 1);
        let mut m = s.new_memory();
        assert_eq!((s.n_levels, m.counts.len()), (1, 4));
        s.update(&mut m, row(&[0.0]), true);
        assert_eq!(
            (&m.counts[..], m.columns[1], &m.bounds[2..4]),
            (&[0, 1, 0, 0][..], BIN, &[0.0, 0.0][..])
        );
        // At depth 0, one row counts c = 0.
        assert_eq!(s.score(&m, row(&[5.0])), 1.0);
        s.update(&mut m, row(&[8.0]), true);
        let split = m.splits[1];
        assert!(m.columns[1] == 0 && (0.0..8.0).contains(&split));
        let [_, top, left, right] = m.counts[..] else { panic!() };
        assert_eq!((top, left + right), (2, 2));
        // At depth 1, one row counts 0 and two count log4(2) = 1/2; c(4) = 1.
        for (x, count) in [(split - 1.0, left), (split, right)] {
            let expected = if count == 2 { libm::exp2(-1.5) } else { 0.5 };
            assert_eq!(s.score(&m, row(&[x])), expected);
        }
        // Equal rows are never split.
        let mut m = s.new_memory();
        (0..9).for_each(|_| s.update(&mut m, row(&[3.0]), true));
        assert_eq!((&m.counts[..], m.columns[1]), (&[0, 4, 0, 0][..], BIN));
        assert_eq!(s.score(&m, row(&[3.0])), 0.5);
    }

    /// What must hold after every row.
    fn check(s: &OnlineIsolationScorer, m: &OnlineIsolationMemory) {
        let n_bins = 2 << s.n_levels;
        for tree in 0..s.settings.n_trees {
            let at = |i: usize| tree * n_bins + i;
            assert_eq!(m.counts[at(1)] as usize, m.len());
            for i in 1..n_bins {
                let depth = i.ilog2();
                let bounds = &m.bounds[at(i) * 2 * s.width..][..2 * s.width];
                let (lower, upper) = bounds.split_at(s.width);
                assert!(lower.iter().zip(upper).all(|(l, u)| l <= u));
                let below_bin = i > 1 && m.columns[at(i / 2)] == BIN;
                if below_bin {
                    assert!(m.counts[at(i)] == 0 && m.columns[at(i)] == BIN && bounds.iter().all(|b| *b == 0.0));
                }
                if m.columns[at(i)] != BIN {
                    assert!(m.counts[at(i)] as usize >= s.settings.leaf_size << depth);
                    assert!(bounds.iter().all(|b| *b == 0.0));
                }
            }
        }
    }

    /// The score of the definition.
    /// `past` are all rows learnt.
    fn naive(s: &OnlineIsolationScorer, m: &OnlineIsolationMemory, past: &[Vec<f64>], x: &[f64]) -> f64 {
        // The last whole window before the one that is being filled, and what came since.
        let window = s.settings.window_size;
        let near = &past[(past.len() / window * window).saturating_sub(window)..];
        let (mut gap, mut range) = (0.0, 0.0);
        for (j, x) in x.iter().enumerate().filter(|_| !near.is_empty()) {
            let column = near.iter().map(|r| r[j]);
            let (low, high) = column.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            gap += if *x < low {
                low - x
            } else if *x > high {
                x - high
            } else {
                0.0
            };
            range += high - low;
        }
        let isolation = if gap > 0.0 { gap / (gap + range) } else { 0.0 };
        let c = |m: f64| {
            let ratio = m / s.settings.leaf_size as f64;
            if ratio < 1.0 { 0.0 } else { ratio.ln() / 4.0_f64.ln() }
        };
        fn depth(m: &OnlineIsolationMemory, start: usize, i: usize, x: &[f64], c: &dyn Fn(f64) -> f64) -> f64 {
            let bin = start + i;
            match m.columns[bin] {
                BIN => c(f64::from(m.counts[bin])),
                j if x[j as usize] < m.splits[bin] => 1.0 + depth(m, start, 2 * i, x, c),
                _ => 1.0 + depth(m, start, 2 * i + 1, x, c),
            }
        }
        let n = s.settings.n_trees;
        let depths = (0..n).map(|t| depth(m, t * (2 << s.n_levels), 1, x, &c));
        0.5_f64.powf((1.0 - isolation) * depths.sum::<f64>() / n as f64 / c(window as f64))
    }

    #[test]
    fn trees_keep_their_laws_and_scores_are_those_of_the_definition() {
        for (n_trees, window, leaf, width) in [(5, 64, 2, 3), (3, 30, 4, 1), (2, 10, 5, 2)] {
            let s = scorer(n_trees, window, leaf, width);
            let mut m = s.new_memory();
            let mut most_splits = 0;
            let rows = stream(400, width);
            for (i, x) in rows.iter().enumerate() {
                // A handful of roundings in numbers of order one.
                let (score, expected) = (s.score(&m, row(x)), naive(&s, &m, &rows[..i], x));
                assert!((score - expected).abs() < 1e-13, "{score} {expected}");
                let mut out = vec![0.0; width];
                s.contributions_into(&m, row(x), &mut out);
                assert!((out.iter().sum::<f64>() - score).abs() < 1e-13);
                assert_eq!(s.step(&mut m, row(x), |_| true), score);
                check(&s, &m);
                most_splits = most_splits.max(m.columns.iter().filter(|&&c| c != BIN).count());
            }
            assert!(most_splits >= n_trees);
            // What is the same over a whole window undoes all splits but those that rows on one side keep.
            let before = m.columns.iter().filter(|&&c| c != BIN).count();
            (0..2 * window).for_each(|_| s.update(&mut m, row(&vec![9.0; width]), true));
            check(&s, &m);
            assert!(m.columns.iter().filter(|&&c| c != BIN).count() <= before);
            // Kept from learning, a row leaves no trace.
            let was = m.clone();
            s.update(&mut m, row(&vec![1.0; width]), false);
            assert_eq!(m, was);
        }
    }

    #[test]
    fn the_strange_column_contributes() {
        let s = scorer(50, 256, 4, 4);
        let mut m = s.new_memory();
        stream(200, 4)
            .iter()
            .take(100)
            .for_each(|x| s.update(&mut m, row(x), true));
        let mut out = [0.0; 4];
        s.contributions_into(&m, row(&[1.0, 1.0, -2.8, 1.0]), &mut out);
        assert!(out[2] > out[0] + out[1] + out[3], "{out:?}");
    }

    #[test]
    fn a_memory_goes_on_bit_by_bit_after_reading() {
        let s = scorer(4, 40, 2, 2);
        let (mut m, mut read) = (s.new_memory(), s.new_memory());
        for x in stream(150, 2) {
            read = rmp_serde::from_slice(&rmp_serde::to_vec_named(&read).unwrap()).unwrap();
            assert_eq!((&read, s.accepts(&read)), (&m, true));
            let scores = [&mut m, &mut read].map(|m| s.step(m, row(&x), |_| true).to_bits());
            assert_eq!(scores[0], scores[1]);
        }
    }

    #[test]
    fn memories_that_no_stream_leaves_are_refused() {
        let s = scorer(2, 32, 2, 2);
        let mut m = s.new_memory();
        stream(50, 2).iter().for_each(|x| s.update(&mut m, row(x), true));
        let record = |m: &OnlineIsolationMemory| -> OnlineIsolationMemoryRecord {
            rmp_serde::from_slice(&rmp_serde::to_vec_named(m).unwrap()).unwrap()
        };
        let change: [&dyn Fn(&mut OnlineIsolationMemoryRecord); 16] = [
            &|r| r.width = 0,
            &|r| r.width = 3,
            &|r| r.width = usize::MAX,
            &|r| r.n_levels = 11,
            &|r| r.n_levels = 5,
            &|r| r.next = 33,
            &|r| r.window[5] = f64::NAN,
            &|r| r.window.push(0.0),
            &|r| r.counts[1] = u32::MAX,
            &|r| r.counts.clear(),
            &|r| r.columns[1] = 2,
            &|r| r.columns[0] = 0,
            &|r| r.columns[1] = BIN,
            &|r| *r.columns.last_mut().unwrap() = 0,
            &|r| r.splits[1] = 1e300,
            &|r| r.bounds[4] = 1e9,
        ];
        assert!(OnlineIsolationMemory::try_from(record(&m)).unwrap() == m && m.columns[1] != BIN);
        for (i, change) in change.iter().enumerate() {
            let mut r = record(&m);
            change(&mut r);
            let e = OnlineIsolationMemory::try_from(r).err();
            assert_eq!(e.map(|e| e.kind()), Some(ErrorKind::Persistence), "change {i}");
        }
        assert!(
            !scorer(3, 32, 2, 2).accepts(&m) && !scorer(2, 31, 2, 2).accepts(&m) && !scorer(2, 32, 2, 1).accepts(&m)
        );
        assert!(!scorer(2, 8, 2, 2).accepts(&m));
    }

    #[test]
    fn extreme_rows_get_finite_scores() {
        let s = scorer(5, 16, 2, 2);
        let mut m = s.new_memory();
        let extremes = [
            [0.0, 0.0],
            [1e6, -1e6],
            [1e150, -1e150],
            [-0.0, 5e-324],
            [-1e150, -1e150],
        ];
        for x in extremes.iter().cycle().take(150).chain([&[1.0, 1.0]; 60]) {
            let score = s.step(&mut m, row(x), |_| true);
            let mut out = [0.0; 2];
            s.contributions_into(&m, row(x), &mut out);
            assert!(
                score > 0.0 && score <= 1.0 && out.iter().all(|c| c.is_finite()),
                "{x:?} {score}"
            );
            check(&s, &m);
        }
        assert!(
            OnlineIsolationMemory::try_from(
                rmp_serde::from_slice::<OnlineIsolationMemoryRecord>(&rmp_serde::to_vec_named(&m).unwrap()).unwrap()
            )
            .is_ok()
        );
    }

    #[test]
    fn wrong_settings_and_records_are_refused() {
        let params = OnlineIsolationForest::params;
        for (params, name) in [
            (params().n_trees(0), "n_trees"),
            (params().n_trees(1001), "n_trees"),
            (params().window_size(1), "window_size"),
            (params().window_size((1 << 20) + 1), "window_size"),
            (params().leaf_size(0), "leaf_size"),
            (params().leaf_size(1025), "leaf_size"),
        ] {
            let e = linfa::ParamGuard::check(params).unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
        let (settings, seed) = scorer(2, 1 << 20, 1, 2).to_record();
        assert!(OnlineIsolationScorer::from_record((settings.clone(), seed), 2).is_ok());
        let wide = OnlineIsolationScorer::from_record((settings.clone(), seed), 100).unwrap_err();
        let none = OnlineIsolationSettings { n_trees: 0, ..settings };
        let none = OnlineIsolationScorer::from_record((none, seed), 2).unwrap_err();
        assert_eq!([wide.kind(), none.kind()], [ErrorKind::Persistence; 2]);
    }
}
