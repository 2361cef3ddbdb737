//! Random cut forest.

use crate::detect::{
    draws::Draws,
    rows::{Sequences, StreamRow},
    stream::random_cut_tree::{LARGEST_SAMPLE, Points, Tree, TreeRecord, score_of_all},
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer, StreamState},
};
use crate::{
    error::{Error, Result},
    features::FeatureView,
    model::Assessment,
    quantity::Seed,
};
use serde::{Deserialize, Serialize, Serializer};
use smallvec::SmallVec;
use std::collections::HashMap;

/// The most trees.
const MOST_TREES: usize = 1000;
/// The most rows of a shingle.
const LARGEST_SHINGLE: usize = 1024;
/// The most numbers of a shingle.
const LARGEST_POINT: usize = 1 << 14;
/// The largest magnitude of a number in a memory.
const LARGEST_READING: f64 = 1e150;

/// Streaming detector by a robust random cut forest: rows, or short stretches of rows, that would displace much of a sample
/// of the machine's recent past.
///
/// # Method
///
/// A point is a *shingle*: the machine's last `shingle` rows, all columns of them. Each of `n_trees` trees keeps a sample
/// of `sample_size` points, in which a point of age `a` rows remains with a weight of `exp(-decay a)` (reservoir sampling by
/// the keys `ln(-ln u) - decay t` with `u` uniform, the lowest of which stay), and over them a random cut tree: a
/// box is cut across a column chosen in proportion to its width, at a place chosen evenly. Points come and go one by one such
/// that the tree is always distributed as one drawn anew from its sample.
///
/// With the row, a tree would change where a cut first parts it from the others: at a node of depth `d` whose box has the
/// widths `w_j` and lies `e_j` away from the row in column `j`, that happens with probability `p = Σ e_j / Σ (w_j +
/// e_j)`. From the leaf on the row's way up to the root
///
/// ```text
/// s = 1 / (d + 1)                                      the leaf differs from the row
/// s = (1 - m / 2M) / (d + log2(m + 1))                 the leaf holds the row's values m times, the tree M rows
/// s = p / (d + 1) + (1 - p) s                          each node above
/// score = log2(M + 1) mean of s over trees
/// ```
///
/// the expected inverse depth of the cut that isolates the row: about 1 for the usual, growing to `log2(M + 1)` for
/// what lies far from everything. Rows count from `shingle + sample_size / 4` on.
///
/// Each term `p / (d + 1)` is shared among columns as `e_j`, summed over the shingle's rows, so that contributions are not
/// negative and add up to the score; [`directed_contributions_into`](RandomCutForest::directed_contributions_into) tells low
/// readings from high ones. A row whose values lie in a leaf is shared evenly.
///
/// All chance comes from the seed, the number of the row in its machine's stream and the number of the tree; nothing of a
/// generator is remembered.
///
/// # Scales
///
/// Columns count by their range: give them comparable units ([`Scaling::Training`](crate::detect::Scaling::Training), the default,
/// or [`Scaling::FirstRows`](crate::detect::Scaling::FirstRows)).
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect); rows left out are missing in shingles without a trace. With `n` numbers a
/// shingle, a row costs `O(n_trees (depth + n))`, and `O(n depth)` more in the trees that take it (after `t` rows one in
/// `t / sample_size`, at last a share of `decay sample_size`). Points are stored once for all trees. It allocates
/// nothing for shingles of up to 256 numbers; room for half as many points as the samples hold in all, and for the boxes of
/// half of the nodes, is made beforehand (up to 8 MB and up to 128 kB a tree), and grows where a slower decay needs more.
/// A memory of 50 trees of 256 points takes about 0.7 MB and 0.15 MB for each number of a shingle. Rows kept from learning enter shingles, but no tree.
///
/// # Source
///
/// Guha, Mishra, Roy and Schrijvers, "Robust random cut forest based anomaly detection on streams", ICML (2016),
/// [proceedings.mlr.press/v48/guha16](https://proceedings.mlr.press/v48/guha16.html); score and attribution as in
/// [Amazon's open-source variant](https://github.com/aws/random-cut-forest-by-aws). Weighted sampling: Efraimidis and
/// Spirakis, Information Processing Letters 97 (2006), doi
/// [10.1016/j.ipl.2005.11.003](https://doi.org/10.1016/j.ipl.2005.11.003).
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::{RandomCutForest, Scaling},
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("current", "A")])?;
/// let params = RandomCutForest::params().n_trees(20).sample_size(64).shingle(4);
/// let forest = params.scaling(Scaling::FirstRows(20)).fixed_threshold(2.0).untrained(schema)?;
///
/// let mut state = forest.new_state();
/// let mut score = |x: f64| forest.step(&mut state, FeatureView::new(forest.schema(), &[x])?);
/// let cycle = [0.0, 1.0, 2.0, 1.0];
/// for i in 0..300 {
///     score(cycle[i % 4] + 0.001 * (i * 7919 % 101) as f64)?;
/// }
/// assert!(!score(0.0)?.ready().unwrap().is_anomalous());
/// assert!(score(0.0)?.ready().unwrap().is_anomalous()); // a usual value, at the wrong time
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RandomCutForest = StreamDetector<RandomCutScorer>;

/// Parameters of a [`RandomCutForest`].
pub type RandomCutForestParams = StreamDetectorParams<RandomCutSettings>;

/// How many trees a [`RandomCutForest`] has, over how large samples of how long shingles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomCutSettings {
    n_trees: usize,
    sample_size: usize,
    shingle: usize,
    /// `None` for a tenth of the inverse sample size.
    decay: Option<f64>,
}

impl Default for RandomCutSettings {
    fn default() -> Self {
        Self {
            n_trees: 50,
            sample_size: 256,
            shingle: 1,
            decay: None,
        }
    }
}

impl RandomCutForestParams {
    /// Number of trees, from 1 to 1000. Default 50.
    #[must_use]
    pub fn n_trees(self, n: usize) -> Self {
        self.with(|s| s.n_trees = n)
    }

    /// Points in a tree's sample, from 2 to 4096. Default 256.
    #[must_use]
    pub fn sample_size(self, n: usize) -> Self {
        self.with(|s| s.sample_size = n)
    }

    /// Rows in a point, from 1 to 1024, with all columns at most 16384 numbers. Default 1.
    #[must_use]
    pub fn shingle(self, n_rows: usize) -> Self {
        self.with(|s| s.shingle = n_rows)
    }

    /// The rate, per row, at which points lose weight in the sample, from 0 (all the past counts alike) to 1. Default a
    /// tenth of the inverse sample size.
    #[must_use]
    pub fn decay(self, rate: f64) -> Self {
        self.with(|s| s.decay = Some(rate))
    }
}

impl RandomCutForest {
    /// Default parameters: 50 trees of 256 points, single rows, training units, a false alarm rate of 0.01, five folds.
    pub fn params() -> RandomCutForestParams {
        RandomCutForestParams::default()
    }

    /// [Contributions](crate::model::AnomalyDetector::contributions_into) in two parts: into `low` for readings below, into
    /// `high` for readings above what the trees hold. Both together add up to the score.
    ///
    /// # Errors
    /// As for contributions.
    pub fn directed_contributions_into(
        &self,
        state: &StreamState<RandomCutMemory>,
        x: FeatureView<'_>,
        low: &mut [f64],
        high: &mut [f64],
    ) -> Result<Assessment<()>> {
        let part = |side: fn(&[f64; 2]) -> f64| {
            move |scorer: &RandomCutScorer, memory: &RandomCutMemory, x: StreamRow<'_>, out: &mut [f64]| {
                scorer.attribute(memory, x, out, side);
            }
        };
        self.fill_features(state, x, low, part(|[low, _]| *low))?;
        self.fill_features(state, x, high, part(|[_, high]| *high))
    }
}

impl StreamAlgorithm for RandomCutSettings {
    type Scorer = RandomCutScorer;

    fn check(&self) -> Result<()> {
        let whole = |name, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(Error::parameter(name, format!("from {low} to {high}"), value))
            }
        };
        whole("n_trees", self.n_trees, 1, MOST_TREES)?;
        whole("sample_size", self.sample_size, 2, LARGEST_SAMPLE)?;
        whole("shingle", self.shingle, 1, LARGEST_SHINGLE)?;
        match self.decay {
            Some(rate) if !(0.0..=1.0).contains(&rate) => Err(Error::parameter("decay", "from 0 to 1 per row", rate)),
            _ => Ok(()),
        }
    }

    fn fit(&self, sequences: &Sequences, seed: Seed) -> Result<RandomCutScorer> {
        let width = sequences.width();
        if width.saturating_mul(self.shingle) > LARGEST_POINT {
            return Err(Error::parameter(
                "shingle",
                format!("at most {LARGEST_POINT} numbers in all"),
                format!("{} rows of {width} columns", self.shingle),
            ));
        }
        Ok(RandomCutScorer {
            settings: self.clone(),
            seed,
            width,
        })
    }
}

/// The fitted half of a [`RandomCutForest`]: its settings and its seed; all that is learnt is the machine's own.
#[derive(Clone, Debug)]
pub struct RandomCutScorer {
    settings: RandomCutSettings,
    seed: Seed,
    width: usize,
}

/// The trees of one machine, and its last rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RandomCutMemoryRecord")]
pub struct RandomCutMemory {
    width: usize,
    shingle: usize,
    n_rows: u64,
    /// The last rows, the oldest first, at most one less than a shingle has.
    recent: Vec<f64>,
    points: Points,
    /// All over samples of the same size.
    trees: Vec<Tree>,
}

/// What is written of a memory: points in the order in which the trees name them, and what cannot be made from them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RandomCutMemoryRecord {
    width: u32,
    shingle: u32,
    n_rows: u64,
    recent: Vec<f64>,
    points: Vec<f64>,
    trees: Vec<TreeRecord>,
}

impl RandomCutMemory {
    /// Bytes in memory.
    pub fn n_bytes(&self) -> usize {
        let trees: usize = self.trees.iter().map(|t| size_of::<Tree>() + t.n_bytes()).sum();
        size_of::<Self>() + 8 * self.recent.capacity() + self.points.n_bytes() + trees
    }

    /// Different points in the samples of all trees.
    pub fn n_points(&self) -> usize {
        self.points.len()
    }

    fn to_record(&self) -> RandomCutMemoryRecord {
        let mut numbers = HashMap::new();
        let mut points = Vec::new();
        let mut number = |point: u32| {
            let next = numbers.len() as u32;
            *numbers.entry(point).or_insert_with(|| {
                points.extend_from_slice(self.points.get(point));
                next
            })
        };
        let trees = self.trees.iter().map(|t| t.to_record(&mut number)).collect();
        RandomCutMemoryRecord {
            width: self.width as u32,
            shingle: self.shingle as u32,
            n_rows: self.n_rows,
            recent: self.recent.clone(),
            points,
            trees,
        }
    }

    /// The shingle that ends with `x`; `None` where there are too few rows before it.
    #[inline]
    fn shingle(&self, x: &[f64]) -> Option<SmallVec<[f64; 256]>> {
        if self.recent.len() + self.width < self.shingle * self.width {
            return None;
        }
        let mut point = SmallVec::from_slice(&self.recent);
        point.extend_from_slice(x);
        Some(point)
    }
}

/// Where they go on alike; the places in their stores may differ.
impl PartialEq for RandomCutMemory {
    fn eq(&self, other: &Self) -> bool {
        self.to_record() == other.to_record()
    }
}

impl Serialize for RandomCutMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.to_record().serialize(serializer)
    }
}

impl TryFrom<RandomCutMemoryRecord> for RandomCutMemory {
    type Error = Error;

    fn try_from(r: RandomCutMemoryRecord) -> Result<Self> {
        let wrong = |what: &str| {
            Err(Error::persistence(format!(
                "memory of the forest: expected {what}, got another"
            )))
        };
        let (width, shingle) = (r.width as usize, r.shingle as usize);
        let n = width.saturating_mul(shingle);
        if !(1..=LARGEST_SHINGLE).contains(&shingle) || !(1..=LARGEST_POINT).contains(&n) {
            return wrong("shingles of at most 16384 numbers");
        }
        if !r.recent.len().is_multiple_of(width) || r.recent.len() >= n || !r.points.len().is_multiple_of(n) {
            return wrong("whole rows and points");
        }
        if !(1..=MOST_TREES).contains(&r.trees.len()) || r.points.len() / n > 2 * MOST_TREES * LARGEST_SAMPLE {
            return wrong("1 to 1000 trees");
        }
        if !r.recent.iter().chain(&r.points).all(|x| x.abs() <= LARGEST_READING) {
            return wrong("numbers within ±1e150");
        }
        let mut points = Points::new(n);
        r.points.chunks_exact(n).for_each(|x| {
            points.add(x);
        });
        let trees = r
            .trees
            .iter()
            .map(|t| Tree::from_record(t, &mut points))
            .collect::<Result<Vec<_>>>()?;
        let n_sampled = trees.first().map_or(0, Tree::mass);
        if trees.iter().any(|t| t.mass() != n_sampled) {
            return wrong("samples of one size");
        }
        if !points.all_kept() {
            return wrong("points that trees hold");
        }
        let mut recent = Vec::with_capacity(n - width);
        recent.extend_from_slice(&r.recent);
        Ok(Self {
            width,
            shingle,
            n_rows: r.n_rows,
            recent,
            points,
            trees,
        })
    }
}

/// Room for a box around a point; around one of up to 256 numbers it stays on the stack.
fn room(point: &[f64]) -> SmallVec<[f64; 512]> {
    SmallVec::from_elem(0.0, 2 * point.len())
}

impl RandomCutScorer {
    fn decay(&self) -> f64 {
        self.settings.decay.unwrap_or(0.1 / self.settings.sample_size as f64)
    }

    fn displacement(&self, memory: &RandomCutMemory, point: &[f64]) -> f64 {
        let sum = score_of_all(&memory.trees, &memory.points, point, &mut room(point));
        sum * self.rate(memory)
    }

    /// What the sum over trees is multiplied by.
    fn rate(&self, memory: &RandomCutMemory) -> f64 {
        let n_sampled = memory.trees.first().map_or(0, Tree::mass);
        libm::log2((n_sampled + 1) as f64) / memory.trees.len().max(1) as f64
    }

    /// Offers the point to the trees.
    fn learn(&self, memory: &mut RandomCutMemory, point: &[f64]) {
        let capacity = self.settings.sample_size;
        let seed = self.seed.part(memory.n_rows);
        let age = self.decay() * memory.n_rows as f64;
        let (mut stored, mut own) = (None, room(point));
        for (i, tree) in memory.trees.iter_mut().enumerate() {
            let mut draws = Draws::new(seed.part(i as u64));
            let uniform = draws.uniform() + 0.5 / (1_u64 << 53) as f64; // above 0
            let uniform = uniform.min(1.0 - f64::EPSILON / 2.0);
            if tree.passes_over(uniform, age, capacity) {
                continue;
            }
            let weight = libm::log(-libm::log(uniform)) - age;
            if tree.takes(weight, capacity) {
                let point = *stored.get_or_insert_with(|| memory.points.add(point));
                tree.take(&mut memory.points, (point, weight), capacity, &mut draws, &mut own);
            }
        }
    }

    /// Moves the last rows and the count of rows.
    fn advance(memory: &mut RandomCutMemory, x: &[f64]) {
        memory.n_rows = memory.n_rows.saturating_add(1);
        let full = (memory.shingle - 1) * memory.width;
        if memory.recent.len() < full {
            memory.recent.extend_from_slice(x);
        } else if full > 0 {
            memory.recent.rotate_left(memory.width);
            let last = memory.recent.iter_mut().skip(full - memory.width);
            last.zip(x).for_each(|(r, x)| *r = *x);
        }
    }

    /// One side of each column's part of the score into `out`.
    fn attribute(&self, memory: &RandomCutMemory, x: StreamRow<'_>, out: &mut [f64], side: impl Fn(&[f64; 2]) -> f64) {
        let Some(point) = memory.shingle(x.values) else {
            return;
        };
        let mut parts: SmallVec<[[f64; 2]; 256]> = SmallVec::from_elem([0.0; 2], out.len());
        let (mut sum, mut own) = (parts.clone(), room(&point));
        let rate = self.rate(memory);
        for tree in &memory.trees {
            tree.attribute(&memory.points, &point, rate, &mut own, &mut parts, &mut sum);
        }
        out.iter_mut().zip(&sum).for_each(|(o, c)| *o = side(c));
    }
}

impl StreamScorer for RandomCutScorer {
    const KIND: &'static str = "detect.random_cut_forest";
    type Record = (RandomCutSettings, Seed);
    type Memory = RandomCutMemory;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> RandomCutMemory {
        let RandomCutSettings {
            n_trees,
            sample_size,
            shingle,
            ..
        } = self.settings;
        let mut points = Points::new(shingle * self.width);
        // With the decay of the default and 50 trees, 0.44 of the samples' points differ.
        points.reserve(n_trees * sample_size / 2);
        RandomCutMemory {
            width: self.width,
            shingle,
            n_rows: 0,
            recent: Vec::with_capacity((shingle - 1) * self.width),
            points,
            trees: (0..n_trees)
                .map(|_| Tree::new(sample_size, shingle * self.width))
                .collect(),
        }
    }

    fn accepts(&self, memory: &RandomCutMemory) -> bool {
        let n_sampled = memory.trees.first().map_or(0, Tree::mass);
        (memory.width, memory.shingle, memory.trees.len()) == (self.width, self.settings.shingle, self.settings.n_trees)
            && n_sampled <= self.settings.sample_size
    }

    fn warm_up(&self) -> u32 {
        (self.settings.shingle + self.settings.sample_size / 4) as u32
    }

    fn score(&self, memory: &RandomCutMemory, x: StreamRow<'_>) -> f64 {
        let point = memory.shingle(x.values);
        point.map_or(0.0, |point| self.displacement(memory, &point))
    }

    fn update(&self, memory: &mut RandomCutMemory, x: StreamRow<'_>, learn: bool) {
        if let Some(point) = memory.shingle(x.values).filter(|_| learn) {
            self.learn(memory, &point);
        }
        Self::advance(memory, x.values);
    }

    fn step(&self, memory: &mut RandomCutMemory, x: StreamRow<'_>, learn: impl FnOnce(f64) -> bool) -> f64 {
        let point = memory.shingle(x.values);
        let score = point.as_ref().map_or(0.0, |point| self.displacement(memory, point));
        if let Some(point) = point.filter(|_| learn(score)) {
            self.learn(memory, &point);
        }
        Self::advance(memory, x.values);
        score
    }

    fn contributions_into(&self, memory: &RandomCutMemory, x: StreamRow<'_>, out: &mut [f64]) {
        self.attribute(memory, x, out, |[low, high]| low + high);
    }

    fn to_record(&self) -> Self::Record {
        (self.settings.clone(), self.seed)
    }

    fn from_record((settings, seed): Self::Record, width: usize) -> Result<Self> {
        let scorer = settings
            .check()
            .and_then(|()| settings.fit(&Sequences::new(width), seed));
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

    fn scorer(n_trees: usize, sample_size: usize, shingle: usize, width: usize) -> RandomCutScorer {
        let settings = RandomCutSettings {
            n_trees,
            sample_size,
            shingle,
            decay: None,
        };
        settings.check().unwrap();
        settings.fit(&Sequences::new(width), Seed(3)).unwrap()
    }

    fn stream(n: usize, width: usize) -> Vec<Vec<f64>> {
        let mut draws = Draws::new(Seed(4));
        let mut value = |i: usize| draws.uniform() + draws.uniform() + if i % 23 == 5 { 4.0 } else { 0.0 };
        (0..n).map(|i| (0..width).map(|_| value(i)).collect()).collect()
    }

    #[test]
    fn shingles_are_the_last_rows() {
        let s = scorer(1, 4, 3, 2);
        let mut m = s.new_memory();
        assert_eq!((s.warm_up(), m.shingle(&[1.0, 2.0])), (4, None));
        s.update(&mut m, row(&[1.0, 2.0]), true);
        assert_eq!((s.score(&m, row(&[3.0, 4.0])), m.trees[0].mass()), (0.0, 0));
        s.update(&mut m, row(&[3.0, 4.0]), true);
        assert_eq!(
            m.shingle(&[5.0, 6.0]).as_deref(),
            Some(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..])
        );
        s.update(&mut m, row(&[5.0, 6.0]), true);
        assert_eq!(m.recent, [3.0, 4.0, 5.0, 6.0]);
        assert_eq!((m.trees[0].mass(), m.n_points()), (1, 1));
        // A row kept from learning enters the shingle only.
        s.update(&mut m, row(&[7.0, 8.0]), false);
        assert_eq!(
            (&m.recent[..], m.trees[0].mass(), m.n_rows),
            (&[5.0, 6.0, 7.0, 8.0][..], 1, 4)
        );
    }

    #[test]
    fn the_sample_forgets_at_the_rate_asked_for() {
        // A decay of 0.05 a row: the mean age of what remains is about 1 / 0.05 where few of the sample's rows are young.
        let settings = RandomCutSettings {
            n_trees: 200,
            sample_size: 4,
            shingle: 1,
            decay: Some(0.05),
        };
        let s = settings.fit(&Sequences::new(1), Seed(1)).unwrap();
        let mut m = s.new_memory();
        (0..500).for_each(|i| s.update(&mut m, row(&[f64::from(i)]), true));
        let record = m.to_record();
        let ages = record
            .trees
            .iter()
            .map(|t| serde_json::to_value(t).unwrap())
            .flat_map(|t| {
                let points = t["points"].as_array().unwrap().clone();
                points
                    .into_iter()
                    .map(|p| 499.0 - record.points[p.as_u64().unwrap() as usize])
            });
        let ages: Vec<f64> = ages.collect();
        let mean = ages.iter().sum::<f64>() / ages.len() as f64;
        // Four of weight exp(-a / 20), drawn without putting back: a little older than 20, by less than a fifth; the standard
        // error of 800 ages of deviation 20 is 0.7.
        assert!((18.0..26.0).contains(&mean), "{mean}");
    }

    #[test]
    fn contributions_add_up_and_point_at_the_strange_column() {
        let s = scorer(20, 32, 3, 3);
        let mut m = s.new_memory();
        for (i, x) in stream(200, 3).iter().enumerate() {
            let (score, mut out) = (s.score(&m, row(x)), [0.0; 3]);
            s.contributions_into(&m, row(x), &mut out);
            // Twenty trees of at most 31 levels.
            assert!((out.iter().sum::<f64>() - score).abs() <= 1e-12 * score, "row {i}");
            let mut twin = m.clone();
            s.update(&mut twin, row(x), true);
            assert_eq!(s.step(&mut m, row(x), |_| true), score);
            assert_eq!(m, twin);
        }
        let (mut low, mut high) = ([0.0; 3], [0.0; 3]);
        s.attribute(&m, row(&[1.0, -6.0, 1.0]), &mut low, |[l, _]| *l);
        s.attribute(&m, row(&[1.0, -6.0, 1.0]), &mut high, |[_, h]| *h);
        assert!(
            low[1] > 3.0 * (low[0] + low[2] + high.iter().sum::<f64>()),
            "{low:?} {high:?}"
        );
    }

    #[test]
    fn a_memory_goes_on_bit_by_bit_after_reading() {
        let s = scorer(4, 16, 2, 2);
        let (mut m, mut read) = (s.new_memory(), s.new_memory());
        for (i, x) in stream(300, 2).iter().enumerate() {
            if i % 3 == 0 {
                let bytes = rmp_serde::to_vec_named(&read).unwrap();
                read = rmp_serde::from_slice(&bytes).unwrap();
                assert_eq!(rmp_serde::to_vec_named(&read).unwrap(), bytes);
                assert_eq!((&read, s.accepts(&read)), (&m, true));
            }
            let scores = [&mut m, &mut read].map(|m| s.step(m, row(x), |_| i % 5 > 0).to_bits());
            assert_eq!(scores[0], scores[1], "row {i}");
        }
    }

    #[test]
    fn memories_that_no_stream_leaves_are_refused() {
        let s = scorer(2, 8, 2, 2);
        let mut m = s.new_memory();
        stream(40, 2).iter().for_each(|x| s.update(&mut m, row(x), true));
        let change: [&dyn Fn(&mut RandomCutMemoryRecord); 10] = [
            &|r| r.width = 0,
            &|r| r.width = 1,
            &|r| r.shingle = 0,
            &|r| r.shingle = u32::MAX,
            &|r| r.recent.push(0.0),
            &|r| r.recent.extend([0.0; 2]),
            &|r| r.points[3] = f64::NAN,
            &|r| r.points.extend([0.0; 4]),
            &|r| r.points.truncate(8),
            &|r| r.trees.clear(),
        ];
        for (i, change) in change.iter().enumerate() {
            let mut record = m.to_record();
            change(&mut record);
            let e = RandomCutMemory::try_from(record).err();
            assert_eq!(e.map(|e| e.kind()), Some(ErrorKind::Persistence), "change {i}");
        }
        let mut record = m.to_record();
        record.trees.pop();
        let fewer = RandomCutMemory::try_from(record).err().map(|e| e.kind()); // points that no tree holds any more
        assert!(fewer.is_none_or(|k| k == ErrorKind::Persistence));
        assert!(!scorer(3, 8, 2, 2).accepts(&m) && !scorer(2, 7, 2, 2).accepts(&m) && scorer(2, 9, 2, 2).accepts(&m));
        assert!(!scorer(2, 8, 1, 2).accepts(&m) && !scorer(2, 8, 2, 1).accepts(&m));
    }

    #[test]
    fn extreme_rows_get_finite_scores() {
        let s = scorer(5, 8, 2, 2);
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
                score.is_finite() && score >= 0.0 && out.iter().all(|c| c.is_finite()),
                "{x:?} {score}"
            );
        }
    }

    #[test]
    fn wrong_settings_and_records_are_refused() {
        let params = RandomCutForest::params;
        for (params, name) in [
            (params().n_trees(0), "n_trees"),
            (params().n_trees(1001), "n_trees"),
            (params().sample_size(1), "sample_size"),
            (params().sample_size(4097), "sample_size"),
            (params().shingle(0), "shingle"),
            (params().shingle(1025), "shingle"),
            (params().decay(-0.1), "decay"),
            (params().decay(1.1), "decay"),
            (params().decay(f64::NAN), "decay"),
        ] {
            let e = linfa::ParamGuard::check(params).unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
        let (settings, seed) = scorer(2, 4, 8, 2).to_record();
        assert!(RandomCutScorer::from_record((settings.clone(), seed), 2).is_ok());
        let wide = RandomCutScorer::from_record((settings.clone(), seed), 4096).unwrap_err();
        let none = RandomCutSettings { n_trees: 0, ..settings };
        let none = RandomCutScorer::from_record((none, seed), 2).unwrap_err();
        assert_eq!([wide.kind(), none.kind()], [ErrorKind::Persistence; 2]);
    }
}
