//! Left discords: shapes that a machine has not shown before.

use crate::detect::{
    rows::{Sequences, StreamRow},
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The most rows of history.
const MOST_HISTORY: u32 = 1 << 20;
/// The largest magnitude of a value that counts; keeps sums of products finite.
const LARGEST_VALUE: f64 = 1e140;
/// The largest sum of products that is read.
const LARGEST_PRODUCT: f64 = 1e300;
/// A stretch whose standard deviation is at most this part of its largest magnitude is flat: it is rounding.
const FLAT: f64 = 1e-13;
/// The same of its largest distance from the machine's first value: the difference of two squares has no digits left.
const DRIFTED: f64 = 1e-6;
/// Lags worked on at once: one block of sums stays on the stack.
const BLOCK: usize = 64;
/// What is added to the correlation with a flat stretch, so that the distance to it is `√m`.
const FLAT_BONUS: f64 = 0.5;
/// What is added to the correlation with a stretch that must not be found.
const EXCLUDED: f64 = -8.0;

/// Streaming detector by left discords: the latest stretch of a series is scored by its distance to the most similar
/// earlier one, after the level and the size of both are taken away.
///
/// For series that repeat shapes (duty cycles, batches, days), where a value is usual and its course is not. It is the
/// left matrix profile, kept row by row over a bounded history.
///
/// # Method
///
/// With `x̂_j(t)` the latest `m` rows of column `j` up to row `t`, brought to mean 0 and standard deviation 1,
///
/// ```text
/// d²_j(t, l) = |x̂_j(t) - x̂_j(t - l)|² = 2 m (1 - correlation)
/// score      = min over lags l of sqrt(mean_j d²_j(t, l)),   l from m/4 + 1 to the end of the history
/// ```
///
/// so that all columns of a multivariate series are compared with the same earlier stretch. Two flat stretches have
/// distance 0, a flat and another one `√m`. A column's contribution is its share of the squared distance to the stretch
/// found, times the score; contributions add up to the score.
///
/// Sums of products are carried from row to row for every lag, and one lag a row is summed anew, so that rounding errors
/// stay within one history's length. They are sums of distances from the machine's first value, so that a level which is
/// large beside what varies costs no digits; a stretch whose deviation is below 10⁻⁶ of its distance from there counts as
/// flat.
///
/// Rows that the [`LearningPolicy`](crate::detect::LearningPolicy) keeps out are part of the latest stretch, but no stretch
/// that holds one is found later. Where the history holds no other, the score is the highest there is, `2 √m`: a fault that
/// is kept out for as long as a history leaves nothing to compare with, and the machine needs a new state.
///
/// The first scores come after two stretches. Rows are taken as evenly spaced; see [`crate::signal::EvenGrid`] for times that are not.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). A row costs `O(n_features (history + m))` and allocates nothing; a machine's
/// memory is about `9 history` numbers a feature, taken at once.
///
/// # Source
///
/// Yeh et al., "Matrix profile I", ICDM (2016), doi [10.1109/ICDM.2016.0179](https://doi.org/10.1109/ICDM.2016.0179); Lu,
/// Wu, Mueen, Zuluaga and Keogh, "DAMP: accurate time series anomaly detection on trillions of datapoints and ultra-fast
/// arriving data streams", Data Min. Knowl. Discov. 37 (2023), doi
/// [10.1007/s10618-022-00911-7](https://doi.org/10.1007/s10618-022-00911-7).
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::{LeftDiscord, Scaling},
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("current", "A")])?;
/// let params = LeftDiscord::params().length(20).history(400).scaling(Scaling::Raw).fixed_threshold(3.0);
/// let discord = params.untrained(schema)?;
/// let mut state = discord.new_state();
/// // A cycle of 40 rows; in one cycle the machine stalls for a moment at a value that is usual.
/// let current = |i: usize| if (505..515).contains(&i) { 10.0 } else { 10.0 + (i as f64 / 40.0 * std::f64::consts::TAU).sin() };
/// let mut first = None; // but for the first cycles, of which nothing like them is known
/// for i in 0..600 {
///     let outcome = discord.step(&mut state, FeatureView::new(discord.schema(), &[current(i)])?)?;
///     if i >= 100 && outcome.ready().is_some_and(|s| s.is_anomalous()) {
///         first = first.or(Some(i));
///     }
/// }
/// assert!((505..535).contains(&first.unwrap()));
/// # Ok::<(), prognos::Error>(())
/// ```
pub type LeftDiscord = StreamDetector<DiscordScorer>;

/// Parameters of a [`LeftDiscord`].
pub type LeftDiscordParams = StreamDetectorParams<DiscordSettings>;

/// What a [`LeftDiscord`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscordSettings {
    length: u32,
    history: u32,
}

impl Default for DiscordSettings {
    fn default() -> Self {
        Self {
            length: 50,
            history: 2000,
        }
    }
}

impl LeftDiscordParams {
    /// Rows of a stretch, `m`, at least 4. Default 50.
    #[must_use]
    pub fn length(self, n_rows: u32) -> Self {
        self.with(|s| s.length = n_rows)
    }

    /// Rows remembered, at least four stretches and at most 2²⁰. Default 2000.
    #[must_use]
    pub fn history(self, n_rows: u32) -> Self {
        self.with(|s| s.history = n_rows)
    }
}

impl LeftDiscord {
    /// Default parameters: stretches of 50 rows in a history of 2000, training units, a false alarm rate of 0.01, five
    /// folds.
    pub fn params() -> LeftDiscordParams {
        LeftDiscordParams::default()
    }
}

impl StreamAlgorithm for DiscordSettings {
    type Scorer = DiscordScorer;

    fn check(&self) -> Result<()> {
        if self.length < 4 {
            return Err(Error::parameter("length", "at least 4 rows", self.length));
        }
        let least = self.length.saturating_mul(4);
        if !(least..=MOST_HISTORY).contains(&self.history) {
            let range = format!("from {least}, four stretches, to {MOST_HISTORY} rows");
            return Err(Error::parameter("history", range, self.history));
        }
        Ok(())
    }

    fn fit(&self, sequences: &Sequences, _: Seed) -> Result<DiscordScorer> {
        Ok(DiscordScorer {
            width: sequences.width(),
            settings: *self,
        })
    }
}

/// The fitted half of a [`LeftDiscord`].
#[derive(Clone, Debug)]
pub struct DiscordScorer {
    width: usize,
    settings: DiscordSettings,
}

/// The last rows of one machine, and their sums of products.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "DiscordRecord", try_from = "DiscordRecord")]
pub struct DiscordMemory {
    /// Rows taken, up to the largest number.
    n_rows: u64,
    /// Rows since the last one that was not learnt, up to the length of a stretch.
    n_learnt: u32,
    /// Where the next row goes in the buffers: from `kept` to `2 * kept`.
    next: usize,
    /// Rows that are kept, one more than the history.
    kept: usize,
    columns: Vec<Column>,
}

/// Buffers of `2 * kept` numbers, of which the `kept` before `next` count; zeros stand for rows before the first.
#[derive(Clone, Debug)]
struct Column {
    /// The machine's first value, which is taken off every other; 0 before there is one.
    pivot: f64,
    values: Vec<f64>,
    /// Mean of the stretch that ends at each row.
    mean: Vec<f64>,
    /// `1 / deviation` of it, 0 where it is flat.
    rate: Vec<f64>,
    /// What is added to its correlations.
    bonus: Vec<f64>,
    /// `Σ x(s) x(s - l)` over the latest stretch, for lags from the largest to the least.
    products: Vec<f64>,
}

/// What is written of a [`DiscordMemory`]: the rows that count, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct DiscordRecord {
    n_rows: u64,
    n_learnt: u32,
    columns: Vec<ColumnRecord>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ColumnRecord {
    pivot: f64,
    values: Vec<f64>,
    mean: Vec<f64>,
    rate: Vec<f64>,
    bonus: Vec<f64>,
    products: Vec<f64>,
}

impl From<DiscordMemory> for DiscordRecord {
    fn from(m: DiscordMemory) -> Self {
        let live = |v: &[f64]| v.get(m.next - m.kept..m.next).unwrap_or_default().to_vec();
        let column = |c: &Column| ColumnRecord {
            pivot: c.pivot,
            values: live(&c.values),
            mean: live(&c.mean),
            rate: live(&c.rate),
            bonus: live(&c.bonus),
            products: c.products.clone(),
        };
        Self {
            n_rows: m.n_rows,
            n_learnt: m.n_learnt,
            columns: m.columns.iter().map(column).collect(),
        }
    }
}

impl TryFrom<DiscordRecord> for DiscordMemory {
    type Error = Error;

    fn try_from(r: DiscordRecord) -> Result<Self> {
        let kept = r.columns.first().map_or(0, |c| c.values.len());
        let within = |v: &[f64], n: usize, most: f64| v.len() == n && v.iter().all(|x| x.abs() <= most);
        let n_lags = r.columns.first().map_or(0, |c| c.products.len());
        let sound = |c: &ColumnRecord| {
            c.pivot.abs() <= LARGEST_VALUE
                && within(&c.values, kept, LARGEST_VALUE)
                && within(&c.mean, kept, LARGEST_VALUE)
                && within(&c.rate, kept, f64::MAX)
                && c.rate.iter().all(|r| *r >= 0.0)
                && within(&c.bonus, kept, -EXCLUDED + FLAT_BONUS)
                && within(&c.products, n_lags, LARGEST_PRODUCT)
        };
        if kept < 2 || n_lags >= kept || !r.columns.iter().all(sound) {
            return Err(Error::persistence(
                "discord memory: expected columns of the same length within range, got others",
            ));
        }
        let twice = |mut v: Vec<f64>| {
            v.resize(2 * kept, 0.0);
            v
        };
        let column = |c: ColumnRecord| Column {
            pivot: c.pivot,
            values: twice(c.values),
            mean: twice(c.mean),
            rate: twice(c.rate),
            bonus: twice(c.bonus),
            products: c.products,
        };
        Ok(Self {
            n_rows: r.n_rows,
            n_learnt: r.n_learnt,
            next: kept,
            kept,
            columns: r.columns.into_iter().map(column).collect(),
        })
    }
}

/// Two memories are equal where what is written of them is.
impl PartialEq for DiscordMemory {
    fn eq(&self, other: &Self) -> bool {
        DiscordRecord::from(self.clone()) == DiscordRecord::from(other.clone())
    }
}

/// The latest stretch of a column with a new value at its end.
#[derive(Clone, Copy)]
struct Latest {
    pivot: f64,
    /// From the pivot.
    value: f64,
    /// The value that leaves the stretch.
    leaving: f64,
    mean: f64,
    rate: f64,
}

impl DiscordScorer {
    fn length(&self) -> usize {
        self.settings.length as usize
    }

    /// Rows kept: the history, and one whose products leave.
    fn kept(&self) -> usize {
        self.settings.history as usize + 1
    }

    fn least_lag(&self) -> usize {
        self.length().div_ceil(4) + 1
    }

    fn largest_lag(&self) -> usize {
        self.settings.history as usize - self.length()
    }

    fn n_lags(&self) -> usize {
        self.largest_lag() + 1 - self.least_lag()
    }

    /// The lags whose stretches lie wholly after the machine's first row, as places among the products.
    fn found_from(&self, n_rows: u64) -> usize {
        // With the new row at t = n_rows, the stretch at lag l begins at t - l - m + 1 >= 0.
        let most = n_rows.saturating_add(1).saturating_sub(self.settings.length.into());
        self.largest_lag()
            .saturating_sub(usize::try_from(most).unwrap_or(usize::MAX))
            .min(self.n_lags())
    }

    fn latest(&self, c: &Column, next: usize, n_rows: u64, x: f64) -> Latest {
        let m = self.length();
        let x = x.clamp(-LARGEST_VALUE, LARGEST_VALUE);
        let pivot = if n_rows == 0 { x } else { c.pivot };
        let value = (x - pivot).clamp(-LARGEST_VALUE, LARGEST_VALUE);
        let before = c.values.get(next + 1 - m..next).unwrap_or_default();
        let stretch = || before.iter().copied().chain([value]);
        let mean = stretch().sum::<f64>() / m as f64;
        let (square, largest) = stretch().fold((0.0, 0.0_f64), |(s, l), v| {
            (s + (v - mean) * (v - mean), l.max(v.abs()))
        });
        let deviation = (square / m as f64).sqrt();
        let rate = 1.0 / deviation;
        let varies = deviation > FLAT * (largest + pivot.abs()) && deviation > DRIFTED * largest;
        Latest {
            pivot,
            value,
            leaving: c.values.get(next - m).copied().unwrap_or(0.0),
            mean,
            rate: if varies && rate.is_finite() { rate } else { 0.0 },
        }
    }

    fn latest_of_all(&self, memory: &DiscordMemory, x: &[f64]) -> SmallVec<[Latest; 256]> {
        let columns = memory.columns.iter().zip(x);
        columns
            .map(|(c, x)| self.latest(c, memory.next, memory.n_rows, *x))
            .collect()
    }

    /// Takes the new row into the `products` of a block of lags, which begins at place `from`, and adds `1 - correlation` of
    /// the latest stretch with theirs to `sums`.
    #[inline]
    fn correlate(
        &self,
        c: &Column,
        next: usize,
        new: Latest,
        from: usize,
        products: &mut [f64; BLOCK],
        sums: &mut [f64; BLOCK],
    ) {
        // Lag `largest - k` at place k: rows that many before the new one, which goes to `next`.
        let at = next - self.largest_lag() + from;
        let entering = block_of(&c.values, at);
        let leaving = block_of(&c.values, at - self.length());
        for ((p, e), l) in products.iter_mut().zip(entering).zip(leaving) {
            *p += new.value * e - new.leaving * l;
        }
        let bonus = block_of(&c.bonus, at);
        if new.rate == 0.0 {
            sums.iter_mut().zip(bonus).for_each(|(s, b)| *s += 0.5 - b); // flat
            return;
        }
        let share = 1.0 / self.length() as f64;
        let (mean, rate) = (block_of(&c.mean, at), block_of(&c.rate, at));
        let stretches = mean.iter().zip(rate).zip(bonus);
        for ((s, p), ((mean, rate), bonus)) in sums.iter_mut().zip(products).zip(stretches) {
            let covariance = *p * share - new.mean * mean;
            *s += 1.0 - ((covariance * new.rate * rate).clamp(-1.0, 1.0) + bonus);
        }
    }

    /// The least sum in a block whose lags are found from place `found` on, with its place, where it is below `best`.
    fn best_of(&self, best: (f64, usize), from: usize, found: usize, sums: &[f64; BLOCK]) -> (f64, usize) {
        let n = BLOCK.min(self.n_lags() - from);
        let places = sums.iter().enumerate().take(n).skip(found.saturating_sub(from));
        places.fold(best, |b, (i, s)| if *s < b.0 { (*s, from + i) } else { b })
    }

    /// The least sum over columns of `1 - correlation`, and its place among the lags.
    fn nearest(&self, memory: &DiscordMemory, latest: &[Latest]) -> (f64, usize) {
        let found = self.found_from(memory.n_rows);
        let mut best = (f64::INFINITY, 0);
        for from in (0..self.n_lags()).step_by(BLOCK) {
            let mut sums = [0.0; BLOCK];
            for (c, new) in memory.columns.iter().zip(latest) {
                let mut products = block_of(&c.products, from);
                self.correlate(c, memory.next, *new, from, &mut products, &mut sums);
            }
            best = self.best_of(best, from, found, &sums);
        }
        best
    }

    fn distance(&self, sum: f64) -> f64 {
        let m = self.length() as f64;
        (2.0 * m * sum / self.width as f64).clamp(0.0, 4.0 * m).sqrt()
    }

    /// Takes a row into the memory, whose products have it already.
    fn push(&self, memory: &mut DiscordMemory, latest: &[Latest], learn: bool) {
        let (m, next, kept) = (self.length(), memory.next, memory.kept);
        memory.n_learnt = if learn {
            memory.n_learnt.saturating_add(1).min(self.settings.length)
        } else {
            0
        };
        let excluded = if memory.n_learnt < self.settings.length {
            EXCLUDED
        } else {
            0.0
        };
        let anew = (memory.n_rows % self.n_lags() as u64) as usize;
        let lag = self.largest_lag() - anew;
        for (c, new) in memory.columns.iter_mut().zip(latest) {
            c.pivot = new.pivot;
            let flat = if new.rate == 0.0 { FLAT_BONUS } else { 0.0 };
            for (buffer, value) in [
                (&mut c.values, new.value),
                (&mut c.mean, new.mean),
                (&mut c.rate, new.rate),
                (&mut c.bonus, flat + excluded),
            ] {
                if let Some(slot) = buffer.get_mut(next) {
                    *slot = value;
                }
            }
            let stretch = |end: usize| c.values.get(end + 1 - m..=end).unwrap_or_default();
            let sum = stretch(next).iter().zip(stretch(next - lag)).map(|(a, b)| a * b).sum();
            if let Some(product) = c.products.get_mut(anew) {
                *product = sum;
            }
            if next + 1 == 2 * kept {
                for buffer in [&mut c.values, &mut c.mean, &mut c.rate, &mut c.bonus] {
                    buffer.copy_within(kept.., 0);
                }
            }
        }
        memory.next = if next + 1 == 2 * kept { kept } else { next + 1 };
        memory.n_rows = memory.n_rows.saturating_add(1);
    }
}

/// A block of `v` from `at` on; zeros beyond its end.
#[inline]
fn block_of(v: &[f64], at: usize) -> [f64; BLOCK] {
    match v.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        Some(block) => *block,
        None => {
            let mut block = [0.0; BLOCK];
            let rest = v.get(at..).unwrap_or_default();
            block.iter_mut().zip(rest).for_each(|(b, v)| *b = *v);
            block
        }
    }
}

impl StreamScorer for DiscordScorer {
    const KIND: &'static str = "detect.left_discord";
    type Record = DiscordSettings;
    type Memory = DiscordMemory;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> DiscordMemory {
        let kept = self.kept();
        let zeros = || vec![0.0; 2 * kept];
        let column = || Column {
            pivot: 0.0,
            values: zeros(),
            mean: zeros(),
            rate: zeros(),
            bonus: zeros(),
            products: vec![0.0; self.n_lags()],
        };
        DiscordMemory {
            n_rows: 0,
            n_learnt: self.settings.length,
            next: kept,
            kept,
            columns: (0..self.width).map(|_| column()).collect(),
        }
    }

    fn accepts(&self, memory: &DiscordMemory) -> bool {
        let lags = memory.columns.first().map_or(0, |c| c.products.len());
        memory.columns.len() == self.width && memory.kept == self.kept() && lags == self.n_lags()
    }

    fn warm_up(&self) -> u32 {
        self.settings.length.saturating_mul(2)
    }

    fn score(&self, memory: &DiscordMemory, x: StreamRow<'_>) -> f64 {
        self.distance(self.nearest(memory, &self.latest_of_all(memory, x.values)).0)
    }

    fn update(&self, memory: &mut DiscordMemory, x: StreamRow<'_>, learn: bool) {
        self.step(memory, x, |_| learn);
    }

    fn step(&self, memory: &mut DiscordMemory, x: StreamRow<'_>, learn: impl FnOnce(f64) -> bool) -> f64 {
        let latest = self.latest_of_all(memory, x.values);
        let found = self.found_from(memory.n_rows);
        let mut best = (f64::INFINITY, 0);
        for from in (0..self.n_lags()).step_by(BLOCK) {
            let mut sums = [0.0; BLOCK];
            for (c, new) in memory.columns.iter_mut().zip(&latest) {
                let mut products = block_of(&c.products, from);
                self.correlate(c, memory.next, *new, from, &mut products, &mut sums);
                let kept = c.products.iter_mut().skip(from);
                kept.zip(products).for_each(|(k, p)| *k = p);
            }
            best = self.best_of(best, from, found, &sums);
        }
        let score = self.distance(best.0);
        self.push(memory, &latest, learn(score));
        score
    }

    fn contributions_into(&self, memory: &DiscordMemory, x: StreamRow<'_>, out: &mut [f64]) {
        let latest = self.latest_of_all(memory, x.values);
        let (sum, place) = self.nearest(memory, &latest);
        let from = place - place % BLOCK;
        for ((c, new), o) in memory.columns.iter().zip(&latest).zip(out.iter_mut()) {
            let (mut products, mut own) = (block_of(&c.products, from), [0.0; BLOCK]);
            self.correlate(c, memory.next, *new, from, &mut products, &mut own);
            let own = own.get(place - from).copied().unwrap_or(0.0);
            *o = if own.is_finite() { own.max(0.0) } else { 0.0 };
        }
        let total: f64 = out.iter().sum();
        let score = self.distance(sum);
        let rate = if total > 0.0 { score / total } else { 0.0 };
        out.iter_mut().for_each(|o| *o *= rate);
        if total <= 0.0 {
            out.iter_mut().for_each(|o| *o = score / self.width as f64); // alike in all
        }
    }

    fn to_record(&self) -> DiscordSettings {
        self.settings
    }

    fn from_record(settings: DiscordSettings, width: usize) -> Result<Self> {
        settings.check().map_err(|e| Error::persistence(e.to_string()))?;
        Ok(Self { width, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        detect::{LearningPolicy, Scaling},
        features::{FeatureSchema, FeatureView},
        model::{AnomalyDetector, OnlineModel},
        signal::Channel,
    };

    fn schema(width: usize) -> FeatureSchema {
        let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "")).collect();
        FeatureSchema::of_channels(&channels).unwrap()
    }

    fn raw(params: LeftDiscordParams, width: usize) -> LeftDiscord {
        params
            .scaling(Scaling::Raw)
            .fixed_threshold(1e9)
            .untrained(schema(width))
            .unwrap()
    }

    fn noise(i: usize, j: usize) -> f64 {
        (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    fn normalised(stretch: &[f64]) -> Option<Vec<f64>> {
        let m = stretch.len() as f64;
        let mean = stretch.iter().sum::<f64>() / m;
        let deviation = (stretch.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / m).sqrt();
        (deviation > 1e-12).then(|| stretch.iter().map(|v| (v - mean) / deviation).collect())
    }

    /// The definition, stretch by stretch.
    fn naive(rows: &[Vec<f64>], t: usize, m: usize, history: usize) -> f64 {
        let mut best = f64::INFINITY;
        for lag in m.div_ceil(4) + 1..=history - m {
            if t + 1 < lag + m {
                continue;
            }
            let mut sum = 0.0;
            for j in 0..rows[0].len() {
                let column: Vec<f64> = rows.iter().map(|r| r[j]).collect();
                let stretch = |end: usize| normalised(&column[end + 1 - m..=end]);
                sum += match (stretch(t), stretch(t - lag)) {
                    (Some(a), Some(b)) => a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>(),
                    (None, None) => 0.0,
                    _ => m as f64,
                };
            }
            best = best.min(sum / rows[0].len() as f64);
        }
        best.sqrt()
    }

    #[test]
    fn distances_are_those_of_the_definition() {
        let (m, history) = (8, 48);
        for width in [1, 3] {
            let value = |i: usize, j: usize| match i {
                60..=75 if j == 0 => 2.0, // flat
                100 => 1e4,
                _ => (i as f64 * 0.7 + j as f64).sin() + 0.3 * noise(i, j),
            };
            let rows: Vec<Vec<f64>> = (0..160).map(|i| (0..width).map(|j| value(i, j)).collect()).collect();
            let discord = raw(LeftDiscord::params().length(8).history(48), width);
            let mut state = discord.new_state();
            for t in 0..rows.len() {
                let x = FeatureView::new(discord.schema(), &rows[t]).unwrap();
                let mut shares = vec![0.0; width];
                let ready = discord
                    .contributions_into(&state, x, &mut shares)
                    .unwrap()
                    .ready()
                    .is_some();
                let Some(score) = discord.step(&mut state, x).unwrap().ready() else {
                    assert!(t < 2 * m && !ready);
                    continue;
                };
                let expected = naive(&rows, t, m, history);
                // Products of 1e8 beside values near one leave 1e-8 in a sum, and 1e-3 in the root of a small distance,
                // until each lag was summed anew.
                let tolerance = if (100..100 + history).contains(&t) { 1e-3 } else { 1e-6 };
                assert!(
                    (score.value - expected).abs() < tolerance,
                    "{width} {t}: {} {expected}",
                    score.value
                );
                assert!((shares.iter().sum::<f64>() - score.value).abs() < 1e-9);
            }
        }
    }

    /// A counter or a pressure in pascal: a level that is large beside what varies.
    #[test]
    fn shapes_on_a_high_level_are_told_apart() {
        for level in [0.0, 1e6, -1e9] {
            let rows: Vec<Vec<f64>> = (0..160)
                .map(|i| vec![level + (i as f64 * 0.7).sin() + 0.3 * noise(i, 0)])
                .collect();
            let discord = raw(LeftDiscord::params().length(8).history(48), 1);
            let mut state = discord.new_state();
            for t in 0..rows.len() {
                let x = FeatureView::new(discord.schema(), &rows[t]).unwrap();
                let Some(score) = discord.step(&mut state, x).unwrap().ready() else {
                    continue;
                };
                // The reference is rounded as well: its mean of numbers near 1e9 is off by some 1e-7.
                let expected = naive(&rows, t, 8, 48);
                assert!(
                    (score.value - expected).abs() < 1e-5,
                    "{level} {t}: {} {expected}",
                    score.value
                );
            }
        }
    }

    #[test]
    fn a_constant_is_flat_however_it_is_rounded() {
        let discord = raw(LeftDiscord::params().length(8).history(48), 1);
        let mut state = discord.new_state();
        for i in 0..100 {
            let x = [1e9 + 1e-6 * noise(i, 0)]; // a few units in the last place
            let x = FeatureView::new(discord.schema(), &x).unwrap();
            assert!(
                discord
                    .step(&mut state, x)
                    .unwrap()
                    .ready()
                    .is_none_or(|s| s.value == 0.0)
            );
        }
    }

    #[test]
    fn a_history_of_what_was_kept_out_gives_the_highest_score() {
        let discord = raw(
            LeftDiscord::params()
                .length(8)
                .history(48)
                .learning(LearningPolicy::Frozen),
            1,
        );
        let mut state = discord.new_state();
        let mut last = 0.0;
        for i in 0..16 + 48 + 8 {
            let x = [(i as f64 * 0.7).sin()];
            let x = FeatureView::new(discord.schema(), &x).unwrap();
            last = discord.step(&mut state, x).unwrap().ready().map_or(0.0, |s| s.value);
        }
        assert_eq!(last, 2.0 * 8.0_f64.sqrt());
    }

    #[test]
    fn counts_that_no_machine_reaches_do_no_harm() {
        let discord = raw(LeftDiscord::params().length(5).history(20), 1);
        let mut record = DiscordRecord::from(discord.new_state().memory().clone());
        (record.n_rows, record.n_learnt) = (u64::MAX, u32::MAX);
        let mut memory = DiscordMemory::try_from(record).unwrap();
        for i in 0..60 {
            let x = [noise(i, 0)];
            let row = StreamRow { values: &x, time: None };
            assert!(discord.scorer.step(&mut memory, row, |_| true).is_finite());
        }
    }

    #[test]
    fn a_memory_that_was_read_goes_on_to_the_last_bit() {
        let discord = raw(LeftDiscord::params().length(5).history(20), 2);
        let mut state = discord.new_state();
        for i in 0..130 {
            let row = [noise(i, 0), noise(i, 1) + (i as f64 * 0.4).cos()];
            let x = FeatureView::new(discord.schema(), &row).unwrap();
            let read: crate::detect::StreamState<DiscordMemory> =
                crate::envelope::decode(&crate::envelope::encode(&state).unwrap()).unwrap();
            assert_eq!(read, state);
            assert_eq!(discord.assess(&read, x).unwrap(), discord.assess(&state, x).unwrap());
            if i % 3 == 0 {
                state = read;
            }
            discord.step(&mut state, x).unwrap();
        }
    }

    #[test]
    fn what_was_not_learnt_is_not_found_again() {
        let settings = LeftDiscord::params()
            .length(6)
            .history(60)
            .scaling(Scaling::Raw)
            .fixed_threshold(2.0);
        let usual = |i: usize| (i as f64 * std::f64::consts::TAU / 12.0).sin();
        // The same fault twice: a stretch upside down.
        let value = |i: usize| {
            if (60..66).contains(&(i % 100)) {
                1.0 + 0.5 * (i % 2) as f64
            } else {
                usual(i)
            }
        };
        let peaks = |policy| {
            let discord = settings.clone().learning(policy).untrained(schema(1)).unwrap();
            let mut state = discord.new_state();
            let scores: Vec<f64> = (0..200)
                .map(|i| {
                    discord
                        .step(&mut state, FeatureView::new(discord.schema(), &[value(i)]).unwrap())
                        .unwrap()
                })
                .map(|a| a.ready().map_or(0.0, |s| s.value))
                .collect();
            let peak = |from: usize| scores[from..from + 12].iter().fold(0.0, |m: f64, s| m.max(*s));
            (peak(60), peak(160))
        };
        let longer = |policy| {
            let (first, second) = peaks(policy);
            assert!(first > 2.0, "{first}");
            second / first
        };
        assert!(longer(LearningPolicy::WhenNormal) > 0.9);
    }

    #[test]
    fn wrong_settings_are_named() {
        let p = LeftDiscord::params;
        for (params, name) in [
            (p().length(3), "length"),
            (p().length(10).history(39), "history"),
            (p().history(u32::MAX), "history"),
            (p().length(u32::MAX), "history"),
        ] {
            let e = params
                .scaling(Scaling::Raw)
                .fixed_threshold(1.0)
                .untrained(schema(1))
                .unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter);
            assert!(e.to_string().contains(name), "{e}");
        }
    }
}
