//! Half-space trees.

use crate::detect::{
    draws::Draws,
    rows::{Sequences, StreamRow},
    standard::check_numbers,
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// The most trees.
const MOST_TREES: usize = 64;
/// The greatest height.
const MOST_LEVELS: usize = 15;
/// The most rows of a window; masses have 16 bits.
const LARGEST_WINDOW: u32 = u16::MAX as u32;
/// A node that holds less than this part of the window ends the walk of a score.
const LEAST_SHARE: f64 = 0.1;
/// The limits of columns in standard units where no training rows say better.
const REACH: f64 = 4.0;
/// The largest magnitude of a limit.
const LARGEST_LIMIT: f64 = 1e150;

/// Streaming detector by half-space trees: rows in places where the machine's last window of rows was thin.
///
/// # Method
///
/// `n_trees` complete binary trees of `height` levels halve the space of rows, once and for all, before any row is seen:
/// each node splits one feature, drawn at random, in the middle of what is left of its range. A tree's ranges are drawn
/// too: with a feature's limits mapped to 0 and 1 and a uniform number `s`, they are `s ± 2 max(s, 1 - s)`, so that each
/// tree puts its splits elsewhere. The limits are the lowest and the highest training value of the feature; without
/// training rows [-4, 4].
///
/// A machine's memory counts, for every node, the rows of the window under way and those `r` of the window before, which
/// is the reference. With `ψ` rows a window, a tree is walked down to the first node that holds fewer than `0.1 ψ`, or
/// to a leaf; at depth `k` it says that rows are `v = r 2^k / ψ` times as dense there as if they were spread evenly. Then
///
/// ```text
/// score = 1 / (1 + mean of v over trees)
/// ```
///
/// which orders rows as the paper's score (the sum of `r 2^k`, low for the unusual) does, from the other end: near 0
/// where rows are dense, near 1 where there were none. The first score comes after the first window.
///
/// A split is rare for a row by `max(0, log2((r + 1) / (2 r' + 1)))`, where `r'` of the `r` rows went the row's
/// way; that is summed for the split's feature over all splits of the walks. A feature's contribution is the score times its
/// share of that sum (an even share where no split is rare), so that contributions add up to the score.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). A row costs `O(n_features + n_trees height)` and allocates nothing; the end of
/// a window costs `O(n_trees 2^height)`. A machine's memory is four bytes a node: `8 n_trees 2^height` bytes. Rows kept
/// from learning are not counted.
///
/// # Source
///
/// Tan, Ting and Liu, "Fast anomaly detection for streaming data", IJCAI (2011), doi
/// [10.5591/978-1-57735-516-8/IJCAI11-254](https://doi.org/10.5591/978-1-57735-516-8/IJCAI11-254).
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::{HalfSpaceTrees, Scaling},
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("temperature", "K"), Channel::new("pressure", "bar")])?;
/// let params = HalfSpaceTrees::params().window_size(100).scaling(Scaling::FirstRows(50)).fixed_threshold(0.5);
/// let trees = params.untrained(schema)?;
///
/// let mut state = trees.new_state();
/// let mut score = |x: [f64; 2]| trees.step(&mut state, FeatureView::new(trees.schema(), &x)?);
/// for i in 0..200 {
///     let noise = f64::from(i * 7919 % 101) / 50.0 - 1.0;
///     score([350.0 + noise, 5.0 - noise])?; // they move together
/// }
/// let usual = score([350.5, 4.5])?.ready().unwrap();
/// let broken = score([350.5, 9.0])?.ready().unwrap();
/// assert!(broken.value > usual.value, "{broken:?} {usual:?}");
/// # Ok::<(), prognos::Error>(())
/// ```
pub type HalfSpaceTrees = StreamDetector<HalfSpaceScorer>;

/// Parameters of [`HalfSpaceTrees`].
pub type HalfSpaceTreesParams = StreamDetectorParams<HalfSpaceSettings>;

/// How many [`HalfSpaceTrees`], how high, over how long a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfSpaceSettings {
    n_trees: usize,
    height: usize,
    window_size: u32,
}

impl Default for HalfSpaceSettings {
    fn default() -> Self {
        Self {
            n_trees: 25,
            height: 8,
            window_size: 250,
        }
    }
}

impl HalfSpaceTreesParams {
    /// Number of trees, from 1 to 64. Default 25.
    #[must_use]
    pub fn n_trees(self, n: usize) -> Self {
        self.with(|s| s.n_trees = n)
    }

    /// Splits from a root to a leaf, from 1 to 15. Default 8.
    #[must_use]
    pub fn height(self, height: usize) -> Self {
        self.with(|s| s.height = height)
    }

    /// Rows of a window, from 1 to 65535. Default 250.
    #[must_use]
    pub fn window_size(self, n: u32) -> Self {
        self.with(|s| s.window_size = n)
    }
}

impl HalfSpaceTrees {
    /// Default parameters: 25 trees of height 8, windows of 250 rows, training units, a false alarm rate of 0.01, five
    /// folds.
    pub fn params() -> HalfSpaceTreesParams {
        HalfSpaceTreesParams::default()
    }
}

impl StreamAlgorithm for HalfSpaceSettings {
    type Scorer = HalfSpaceScorer;

    fn check(&self) -> Result<()> {
        if !(1..=MOST_TREES).contains(&self.n_trees) {
            return Err(Error::parameter(
                "n_trees",
                format!("from 1 to {MOST_TREES}"),
                self.n_trees,
            ));
        }
        if !(1..=MOST_LEVELS).contains(&self.height) {
            return Err(Error::parameter(
                "height",
                format!("from 1 to {MOST_LEVELS}"),
                self.height,
            ));
        }
        if !(1..=LARGEST_WINDOW).contains(&self.window_size) {
            let range = format!("from 1 to {LARGEST_WINDOW} rows");
            return Err(Error::parameter("window_size", range, self.window_size));
        }
        Ok(())
    }

    fn fit(&self, sequences: &Sequences, seed: Seed) -> Result<HalfSpaceScorer> {
        let width = sequences.width();
        let rows = sequences.all();
        let (mut lower, mut upper) = (vec![-REACH; width], vec![REACH; width]);
        if !rows.is_empty() {
            lower.fill(f64::INFINITY);
            upper.fill(f64::NEG_INFINITY);
        }
        for row in rows.iter() {
            for ((lower, upper), x) in lower.iter_mut().zip(&mut upper).zip(row) {
                (*lower, *upper) = (lower.min(*x), upper.max(*x));
            }
        }
        for (lower, upper) in lower.iter_mut().zip(&mut upper) {
            if *lower == *upper {
                let reach = lower.abs().max(1.0);
                (*lower, *upper) = (*lower - reach, *upper + reach);
            }
            *lower = lower.clamp(-LARGEST_LIMIT, LARGEST_LIMIT);
            *upper = upper.clamp(-LARGEST_LIMIT, LARGEST_LIMIT);
        }
        let record = HalfSpaceRecord {
            settings: self.clone(),
            seed,
            lower,
            upper,
        };
        HalfSpaceScorer::new(record)
    }
}

/// The fitted half of [`HalfSpaceTrees`]: where each tree splits.
#[derive(Clone, Debug)]
pub struct HalfSpaceScorer {
    record: HalfSpaceRecord,
    /// Tree by tree, the inner nodes level by level from place 1 on: the children of `i` are `2 i` and `2 i + 1`.
    splits: Vec<Split>,
    /// `0.1 ψ`, the least mass that a walk goes on from; a whole number.
    least_mass: u32,
}

/// Where a node parts rows: those with `x[feature] >= at` go to the second child.
#[derive(Clone, Copy, Debug, Default)]
struct Split {
    at: f64,
    feature: u32,
}

/// What is written of a [`HalfSpaceScorer`]: the trees follow from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HalfSpaceRecord {
    settings: HalfSpaceSettings,
    seed: Seed,
    lower: Vec<f64>,
    upper: Vec<f64>,
}

/// The counts of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "HalfSpaceMemoryRecord", into = "HalfSpaceMemoryRecord")]
pub struct HalfSpaceMemory {
    height: usize,
    /// Rows of the window under way.
    n_rows: u32,
    /// Tree by tree, nodes level by level from place 1 on: rows of the reference in the lower 16 bits, and above them, in
    /// leaves only, rows of the window under way.
    masses: Vec<u32>,
}

/// The counts of leaves, from which the others follow.
#[derive(Clone, Serialize, Deserialize)]
struct HalfSpaceMemoryRecord {
    height: u8,
    latest: Vec<u16>,
    reference: Vec<u16>,
}

impl From<HalfSpaceMemory> for HalfSpaceMemoryRecord {
    fn from(memory: HalfSpaceMemory) -> Self {
        let n_leaves = 1 << memory.height;
        let leaves = || {
            let trees = memory.masses.chunks_exact(2 * n_leaves);
            trees.flat_map(|t| t.iter().skip(n_leaves))
        };
        Self {
            height: memory.height as u8,
            latest: leaves().map(|m| (m >> 16) as u16).collect(),
            reference: leaves().map(|m| (m & 0xFFFF) as u16).collect(),
        }
    }
}

impl TryFrom<HalfSpaceMemoryRecord> for HalfSpaceMemory {
    type Error = Error;

    fn try_from(r: HalfSpaceMemoryRecord) -> Result<Self> {
        let height = usize::from(r.height);
        let n_leaves = 1_usize << height.min(MOST_LEVELS);
        let n_trees = r.latest.len() / n_leaves;
        if !(1..=MOST_LEVELS).contains(&height)
            || !(1..=MOST_TREES).contains(&n_trees)
            || r.latest.len() != n_trees * n_leaves
            || r.reference.len() != r.latest.len()
        {
            return Err(Error::persistence(
                "counts of leaves: expected those of whole trees, got others",
            ));
        }
        let mut masses = vec![0; 2 * n_trees * n_leaves];
        let mut totals = None;
        let trees = masses.chunks_exact_mut(2 * n_leaves);
        let counts = r.latest.chunks_exact(n_leaves).zip(r.reference.chunks_exact(n_leaves));
        for (tree, (latest, reference)) in trees.zip(counts) {
            let sum = |counts: &[u16]| counts.iter().map(|&c| u32::from(c)).sum::<u32>();
            let own = (sum(latest), sum(reference));
            if own.0.max(own.1) > LARGEST_WINDOW || *totals.get_or_insert(own) != own {
                return Err(Error::persistence(format!(
                    "counts of leaves: expected the same number of rows in every tree, at most {LARGEST_WINDOW}, got others"
                )));
            }
            let leaves = latest.iter().zip(reference);
            for (mass, (&latest, &reference)) in tree.iter_mut().skip(n_leaves).zip(leaves) {
                *mass = u32::from(latest) << 16 | u32::from(reference);
            }
            sum_up(tree);
        }
        Ok(Self {
            height,
            n_rows: totals.map_or(0, |(latest, _)| latest),
            masses,
        })
    }
}

/// Where the walk of each tree stands.
type Places = [u32; MOST_TREES];

impl HalfSpaceScorer {
    fn new(record: HalfSpaceRecord) -> Result<Self> {
        let HalfSpaceSettings {
            n_trees,
            height,
            window_size,
        } = record.settings;
        let n_nodes = n_trees << height;
        let mut scorer = Self {
            splits: vec![Split::default(); n_nodes],
            least_mass: (LEAST_SHARE * f64::from(window_size)).ceil() as u32,
            record,
        };
        let width = scorer.record.lower.len();
        let (mut lower, mut upper) = (vec![0.0; width], vec![0.0; width]);
        for tree in 0..n_trees {
            let mut draws = Draws::new(scorer.record.seed.part(tree as u64));
            for (lower, upper) in lower.iter_mut().zip(&mut upper) {
                let s = draws.uniform();
                let reach = 2.0 * s.max(1.0 - s);
                (*lower, *upper) = (s - reach, s + reach);
            }
            scorer.grow(tree << height, 1, &mut draws, &mut lower, &mut upper);
        }
        Ok(scorer)
    }

    /// Splits node `i` of the tree whose nodes begin at `start`, and all below.
    fn grow(&mut self, start: usize, i: usize, draws: &mut Draws, lower: &mut [f64], upper: &mut [f64]) {
        if i >> self.record.settings.height > 0 {
            return;
        }
        let feature = draws.below(lower.len());
        let (Some(&low), Some(&high)) = (lower.get(feature), upper.get(feature)) else {
            return; // there is at least one column
        };
        let middle = 0.5 * (low + high);
        let limits = self.record.lower.get(feature).zip(self.record.upper.get(feature));
        if let (Some((l, u)), Some(split)) = (limits, self.splits.get_mut(start + i)) {
            *split = Split {
                at: l + middle * (u - l),
                feature: feature as u32,
            };
        }
        let mut half = |child, bounds: (f64, f64)| {
            if let (Some(l), Some(u)) = (lower.get_mut(feature), upper.get_mut(feature)) {
                (*l, *u) = bounds;
            }
            self.grow(start, child, draws, lower, upper);
        };
        half(2 * i, (low, middle));
        half(2 * i + 1, (middle, high));
        if let (Some(l), Some(u)) = (lower.get_mut(feature), upper.get_mut(feature)) {
            (*l, *u) = (low, high);
        }
    }

    /// The node of `tree` on the row's way that follows `i`.
    #[inline]
    fn next(&self, tree: usize, i: u32, x: &[f64]) -> u32 {
        let node = (tree << self.record.settings.height) + i as usize;
        let split = self.splits.get(node).copied().unwrap_or_default();
        let value = x.get(split.feature as usize).copied().unwrap_or_default();
        2 * i + u32::from(value >= split.at)
    }

    /// Walks all trees side by side: a tree's next node waits for memory, the trees wait together. Gives the leaves and
    /// the score.
    #[inline]
    fn walk(&self, memory: &HalfSpaceMemory, x: &[f64]) -> (Places, f64) {
        let (n, height) = (self.record.settings.n_trees, self.record.settings.height);
        let mut places = [1; MOST_TREES];
        for _ in 0..height {
            for (tree, place) in places.iter_mut().take(n).enumerate() {
                *place = self.next(tree, *place, x);
            }
        }
        let mut sum = 0;
        for (tree, &leaf) in places.iter().take(n).enumerate() {
            let nodes = memory.masses.get(tree << (height + 1)..).unwrap_or_default();
            let mass = |up: usize| nodes.get((leaf >> up) as usize).copied().unwrap_or_default() & 0xFFFF;
            // Masses fall from the root on: as many levels are passed as hold enough.
            let depth: usize = (1..=height).map(|up| usize::from(mass(up) >= self.least_mass)).sum();
            sum += u64::from(mass(height - depth)) << depth;
        }
        let rows = f64::from(self.record.settings.window_size) * n as f64;
        (places, 1.0 / (1.0 + sum as f64 / rows))
    }

    /// Counts the row that came to these leaves.
    #[inline]
    fn count(&self, memory: &mut HalfSpaceMemory, leaves: &Places) {
        let (n, height) = (self.record.settings.n_trees, self.record.settings.height);
        for (tree, &leaf) in leaves.iter().take(n).enumerate() {
            if let Some(mass) = memory.masses.get_mut((tree << (height + 1)) + leaf as usize) {
                *mass = mass.wrapping_add(1 << 16);
            }
        }
        memory.n_rows = memory.n_rows.saturating_add(1);
        if memory.n_rows >= self.record.settings.window_size {
            for tree in memory.masses.chunks_exact_mut(2 << height) {
                tree.iter_mut().skip(1 << height).for_each(|m| *m >>= 16);
                sum_up(tree);
            }
            memory.n_rows = 0;
        }
    }
}

/// Makes the reference of each inner node of a tree that of both its children.
fn sum_up(tree: &mut [u32]) {
    for i in (1..tree.len() / 2).rev() {
        let children: u32 = tree
            .get(2 * i..2 * i + 2)
            .unwrap_or_default()
            .iter()
            .map(|m| m & 0xFFFF)
            .sum();
        if let Some(mass) = tree.get_mut(i) {
            *mass = children;
        }
    }
}

impl StreamScorer for HalfSpaceScorer {
    const KIND: &'static str = "detect.half_space_trees";
    type Record = HalfSpaceRecord;
    type Memory = HalfSpaceMemory;

    fn width(&self) -> usize {
        self.record.lower.len()
    }

    fn new_memory(&self) -> HalfSpaceMemory {
        let HalfSpaceSettings { n_trees, height, .. } = self.record.settings;
        HalfSpaceMemory {
            height,
            n_rows: 0,
            masses: vec![0; n_trees << (height + 1)],
        }
    }

    fn accepts(&self, memory: &HalfSpaceMemory) -> bool {
        let HalfSpaceSettings {
            n_trees,
            height,
            window_size,
        } = self.record.settings;
        memory.height == height && memory.masses.len() == n_trees << (height + 1) && memory.n_rows < window_size
    }

    fn warm_up(&self) -> u32 {
        self.record.settings.window_size
    }

    fn score(&self, memory: &HalfSpaceMemory, x: StreamRow<'_>) -> f64 {
        self.walk(memory, x.values).1
    }

    fn update(&self, memory: &mut HalfSpaceMemory, x: StreamRow<'_>, learn: bool) {
        if learn {
            let (leaves, _) = self.walk(memory, x.values);
            self.count(memory, &leaves);
        }
    }

    #[inline]
    fn step(&self, memory: &mut HalfSpaceMemory, x: StreamRow<'_>, learn: impl FnOnce(f64) -> bool) -> f64 {
        let (leaves, score) = self.walk(memory, x.values);
        if learn(score) {
            self.count(memory, &leaves);
        }
        score
    }

    fn contributions_into(&self, memory: &HalfSpaceMemory, x: StreamRow<'_>, out: &mut [f64]) {
        let (n_trees, height) = (self.record.settings.n_trees, self.record.settings.height);
        let (_, score) = self.walk(memory, x.values);
        for tree in 0..n_trees {
            let mass = |i: u32| {
                let mass = memory.masses.get((tree << (height + 1)) + i as usize);
                mass.copied().unwrap_or_default() & 0xFFFF
            };
            let mut i = 1;
            for _ in 0..height {
                if mass(i) < self.least_mass {
                    break;
                }
                let next = self.next(tree, i, x.values);
                let rarity = libm::log2(f64::from(mass(i) + 1) / f64::from(2 * mass(next) + 1));
                let split = self.splits.get((tree << height) + i as usize);
                if let Some(own) = split.and_then(|s| out.get_mut(s.feature as usize)) {
                    *own += rarity.max(0.0);
                }
                i = next;
            }
        }
        let total: f64 = out.iter().sum();
        if total > 0.0 {
            out.iter_mut().for_each(|c| *c *= score / total);
        } else {
            out.fill(score / out.len().max(1) as f64);
        }
    }

    fn to_record(&self) -> HalfSpaceRecord {
        self.record.clone()
    }

    fn from_record(record: HalfSpaceRecord, width: usize) -> Result<Self> {
        record.settings.check().map_err(|e| Error::persistence(e.to_string()))?;
        let sound = |x: f64| x.abs() <= LARGEST_LIMIT;
        check_numbers("lower limits", &record.lower, width, sound)?;
        check_numbers("upper limits", &record.upper, width, sound)?;
        if record.lower.iter().zip(&record.upper).any(|(l, u)| l >= u) {
            return Err(Error::persistence(
                "limits: expected lower ones below upper ones, got others",
            ));
        }
        Self::new(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn row(values: &[f64]) -> StreamRow<'_> {
        StreamRow { values, time: None }
    }

    fn scorer(n_trees: usize, height: usize, window_size: u32, width: usize) -> HalfSpaceScorer {
        let settings = HalfSpaceSettings {
            n_trees,
            height,
            window_size,
        };
        settings.check().unwrap();
        settings.fit(&Sequences::new(width), Seed(3)).unwrap()
    }

    /// Rows of a stream with a shift in it, and now and then a strange one.
    fn stream(n: u64, width: u64) -> Vec<Vec<f64>> {
        let mut draws = Draws::new(Seed(5));
        let mut value = |i: u64, j: u64| match (i % 17, i > n / 2) {
            (3, _) => 8.0 * draws.uniform() - 4.0,
            (_, shifted) => draws.uniform() + draws.uniform() - 1.0 + 0.1 * j as f64 + f64::from(u8::from(shifted)),
        };
        (0..n).map(|i| (0..width).map(|j| value(i, j)).collect()).collect()
    }

    #[test]
    fn a_single_split_by_hand() {
        let s = scorer(1, 1, 10, 1);
        let split = s.splits[1].at;
        assert!((-4.0..4.0).contains(&split), "{split}"); // the middle of the drawn range is s itself
        let mut m = s.new_memory();
        // Nine rows below and one above; the row on the split goes up.
        for i in 0..10 {
            let x = [if i == 4 { split } else { split - 1.0 }];
            assert_eq!(s.step(&mut m, row(&x), |_| true), 1.0, "no reference yet");
        }
        assert_eq!(m.masses, [0, 10, 9, 1]);
        // 9 rows in half of the space are 1.8 times the even density, one is 0.2; the root holds 10 of 10.
        assert_eq!(s.score(&m, row(&[split - 2.0])), 1.0 / (1.0 + 1.8));
        assert_eq!(s.score(&m, row(&[split + 2.0])), 1.0 / (1.0 + 0.2));
        let mut out = [0.0];
        s.contributions_into(&m, row(&[split + 2.0]), &mut out);
        assert_eq!(out, [1.0 / 1.2]);
        // Rows that are kept from learning count nowhere.
        s.update(&mut m, row(&[9.0]), false);
        assert_eq!((m.n_rows, &m.masses[..]), (0, &[0, 10, 9, 1][..]));
        s.update(&mut m, row(&[9.0]), true);
        assert_eq!((m.n_rows, m.masses[1] >> 16, m.masses[3] >> 16), (1, 0, 1));
    }

    #[test]
    fn work_ranges_hold_the_limits_and_split_them_in_the_middle() {
        let s = scorer(8, 3, 10, 2);
        for tree in 0..8 {
            let Split { at: root, feature } = s.splits[tree * 8 + 1];
            // In units of the limits: the middle s of the range, which reaches 2 max(s, 1 - s) to either side.
            let middle = (root + REACH) / (2.0 * REACH);
            let reach = 2.0 * middle.max(1.0 - middle) * 2.0 * REACH;
            assert!((0.0..1.0).contains(&middle) && root - reach <= -REACH && root + reach >= REACH);
            for (child, side) in [(2, -0.5), (3, 0.5)] {
                if s.splits[tree * 8 + child].feature == feature {
                    assert!((s.splits[tree * 8 + child].at - (root + side * reach)).abs() < 1e-12);
                }
            }
        }
    }

    /// The definition: masses counted anew from the rows of the last whole window, nodes followed one by one.
    fn naive(s: &HalfSpaceScorer, reference: &[Vec<f64>], x: &[f64]) -> f64 {
        let HalfSpaceSettings {
            n_trees,
            height,
            window_size,
        } = s.record.settings;
        let psi = f64::from(window_size);
        let way = |tree: usize, x: &[f64]| {
            let mut way = vec![1];
            for _ in 0..height {
                let node = (tree << height) + way[way.len() - 1];
                let up = x[s.splits[node].feature as usize] >= s.splits[node].at;
                way.push(2 * way[way.len() - 1] + usize::from(up));
            }
            way
        };
        let mut sum = 0.0;
        for tree in 0..n_trees {
            let own = way(tree, x);
            for (depth, node) in own.iter().enumerate().take(height + 1) {
                let mass = reference.iter().filter(|r| way(tree, r)[depth] == *node).count() as f64;
                if mass < 0.1 * psi || depth == height {
                    sum += mass * f64::from(1 << depth);
                    break;
                }
            }
        }
        1.0 / (1.0 + sum / (psi * n_trees as f64))
    }

    #[test]
    fn scores_are_those_of_the_definition() {
        for (n_trees, height, window) in [(3, 4, 20), (1, 6, 7), (10, 2, 33)] {
            let s = scorer(n_trees, height, window, 3);
            let rows = stream(150, 3);
            let mut m = s.new_memory();
            for (i, x) in rows.iter().enumerate() {
                let end = i - i % window as usize;
                let reference = &rows[end.saturating_sub(window as usize)..end];
                let expected = naive(&s, reference, x);
                assert_eq!(s.score(&m, row(x)), expected, "row {i}");
                let mut twin = m.clone();
                s.update(&mut twin, row(x), true);
                assert_eq!(s.step(&mut m, row(x), |_| true), expected);
                assert_eq!(m, twin);
                if i >= window as usize {
                    let mut out = [0.0; 3];
                    s.contributions_into(&m, row(x), &mut out);
                    let score = s.score(&m, row(x));
                    // Three terms, each rounded a few times.
                    assert!(out.iter().all(|c| *c >= 0.0) && (out.iter().sum::<f64>() - score).abs() < 1e-14);
                }
            }
        }
    }

    #[test]
    fn the_strange_feature_contributes() {
        let s = scorer(25, 8, 100, 4);
        let mut m = s.new_memory();
        stream(150, 4)
            .iter()
            .take(140)
            .for_each(|x| s.update(&mut m, row(x), true));
        let mut out = [0.0; 4];
        s.contributions_into(&m, row(&[0.1, 0.1, -3.5, 0.3]), &mut out);
        assert!(out[2] > 2.0 * (out[0] + out[1] + out[3]), "{out:?}");
    }

    #[test]
    fn a_memory_goes_on_bit_by_bit_after_reading() {
        let s = scorer(5, 5, 30, 2);
        let (mut m, mut read) = (s.new_memory(), s.new_memory());
        for x in stream(130, 2) {
            read = rmp_serde::from_slice(&rmp_serde::to_vec_named(&read).unwrap()).unwrap();
            assert_eq!((&read, s.accepts(&read)), (&m, true));
            let scores = [&mut m, &mut read].map(|m| s.step(m, row(&x), |_| true).to_bits());
            assert_eq!(scores[0], scores[1]);
        }
    }

    #[test]
    fn memories_that_no_stream_leaves_are_refused() {
        let read = |height: u8, latest: &[u16], reference: &[u16]| {
            HalfSpaceMemory::try_from(HalfSpaceMemoryRecord {
                height,
                latest: latest.to_vec(),
                reference: reference.to_vec(),
            })
        };
        let m = read(1, &[3, 0, 2, 1], &[9, 1, 5, 5]).unwrap();
        let expected = [0, 10, 3 << 16 | 9, 1, 0, 10, 2 << 16 | 5, 1 << 16 | 5];
        assert_eq!((m.n_rows, &m.masses[..]), (3, &expected[..]));
        for (height, latest, reference) in [
            (0, &[1][..], &[1][..]),
            (16, &[1, 2], &[1, 2]),
            (255, &[1, 2], &[1, 2]),
            (1, &[], &[]),
            (1, &[1, 2, 3], &[1, 2, 3]),
            (1, &[1, 2], &[1, 2, 3, 4]),
            (1, &[1, 2, 2, 2], &[1, 2, 1, 2]),
            (1, &[1, 2], &[u16::MAX, 1]),
            (1, &[0; 130], &[0; 130]),
        ] {
            assert_eq!(
                read(height, latest, reference).unwrap_err().kind(),
                ErrorKind::Persistence
            );
        }
        // More rows than this model's windows have, or another shape.
        let s = scorer(2, 1, 3, 1);
        assert!(!s.accepts(&m) && scorer(2, 1, 4, 1).accepts(&m) && !scorer(1, 1, 4, 1).accepts(&m));
        assert!(!scorer(1, 2, 4, 1).accepts(&m));
    }

    #[test]
    fn wrong_settings_and_records_are_refused() {
        let params = HalfSpaceTrees::params;
        for (params, name) in [
            (params().n_trees(0), "n_trees"),
            (params().n_trees(65), "n_trees"),
            (params().height(0), "height"),
            (params().height(16), "height"),
            (params().window_size(0), "window_size"),
            (params().window_size(65_536), "window_size"),
        ] {
            let e = linfa::ParamGuard::check(params).unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
        let good = scorer(2, 2, 3, 2).to_record();
        assert!(HalfSpaceScorer::from_record(good.clone(), 2).is_ok());
        let limits = |lower: [f64; 2], upper: [f64; 2]| {
            let (lower, upper) = (lower.to_vec(), upper.to_vec());
            HalfSpaceScorer::from_record(
                HalfSpaceRecord {
                    lower,
                    upper,
                    ..good.clone()
                },
                2,
            )
        };
        assert!(limits([0.0; 2], [1.0; 2]).is_ok());
        for bad in [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e151, 0.0, -1.0] {
            assert!(limits([0.0; 2], [1.0, bad]).is_err(), "{bad}");
        }
        assert!(HalfSpaceScorer::from_record(good.clone(), 3).is_err());
        let settings = HalfSpaceSettings {
            height: 40,
            ..good.settings.clone()
        };
        assert!(HalfSpaceScorer::from_record(HalfSpaceRecord { settings, ..good }, 2).is_err());
    }

    #[test]
    fn extreme_rows_get_finite_scores() {
        let s = scorer(10, 6, 5, 2);
        let mut m = s.new_memory();
        let extremes = [[0.0, 0.0], [1e6, -1e6], [1e150, -1e150], [-0.0, 1e-300], [4.0, -4.0]];
        for x in extremes.iter().cycle().take(100) {
            let score = s.step(&mut m, row(x), |_| true);
            assert!(score > 0.0 && score <= 1.0);
            let mut out = [0.0; 2];
            s.contributions_into(&m, row(x), &mut out);
            assert!(out.iter().all(|c| c.is_finite()));
        }
        // Limits from training rows at both ends of the range.
        let mut training = Sequences::new(2);
        training.push([1e150, 5.0], None);
        training.push([-1e150, 5.0], None);
        training.end();
        let s = s.record.settings.fit(&training, Seed(1)).unwrap();
        assert!(s.splits.iter().all(|s| s.at.is_finite()) && s.record.lower[1] == 0.0 && s.record.upper[1] == 10.0);
        assert!(HalfSpaceScorer::from_record(s.to_record(), 2).is_ok());
    }
}
