//! Records of rarity: a streaming detector that is told nothing.

use crate::detect::{
    rows::{Sequences, StreamRow},
    stream::growing_histogram::GrowingHistogram,
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
    units::Scaling,
};
use crate::{
    error::{Error, Result},
    quantity::{Seed, Timestamp},
};
use serde::{Deserialize, Serialize};

/// Bins of the histograms of single rows, and the least relative spread of an hour by which a residual is divided in each.
const SINGLE: [(usize, f64); 4] = [(50, 0.6), (75, 0.7), (100, 0.8), (150, 0.9)];
/// The same of the histogram of smoothed residuals.
const SMOOTHED: (usize, f64) = (100, 0.7);
const HOURS: usize = 24;
const NANOS_OF_HOUR: i64 = 3_600_000_000_000;
/// An hour's level takes no deviation from it for larger than this many of its mean absolute deviations.
const LARGEST_STEP: f64 = 4.0;
/// Rows of an hour over which its level and deviation are averaged; below, plain means.
const LEVEL_ROWS: f64 = 400.0;
/// The spread over all hours counts in that of an hour like this many rows.
const POOLED_ROWS: f64 = 36.0;
/// The most rows in a moving mean.
const LARGEST_MEAN: u32 = 100_000;
/// The largest number that is read of a memory.
const LARGEST_NUMBER: f64 = 1e200;

/// Streaming detector that needs no training, range or length: a row is anomalous where it is, or nearly is, the rarest
/// thing the machine has shown.
///
/// For a few slowly sampled channels (minutes to hours) of unknown distribution with a daily rhythm: temperatures, loads,
/// counts, latencies. It begins to score after 50 rows. The number of alarms grows like the logarithm of the number of
/// rows, as records do, and not in proportion to it.
///
/// # Method
///
/// Of each channel by itself:
///
/// 1. The residual `r` of a value from the level of its hour of the day (UTC). The level is a running mean that steps at
///    most 4 mean absolute deviations towards a value, so that single extremes do not move it.
/// 2. The relative spread of the hour: its mean `|r|`, with the mean over all hours counted in like 36 rows, over the mean
///    over all hours. Residuals are divided by it or by a floor, whichever is larger: what is usual in a restless hour is
///    judged mildly, and a calm hour is magnified at most 1.7 times.
/// 3. Rarity: `-Σ ln p` over four histograms of the scaled residual, of 50, 75, 100 and 150 bins over the range seen so far
///    (floors 0.6, 0.7, 0.8, 0.9), with `p = (c + (c_left + c_right) / 2 + 1) / (2 n + bins)` of the counts before the row.
///    A fifth histogram (100 bins, floor 0.7) takes exponentially smoothed residuals.
/// 4. The ratio `a` of the rarity to its highest value before this row; the same `b` of the smoothed one; and the same `c`
///    of `|z|`, where `z` counts standard deviations of the moving mean of 24 plain values from its own mean so far.
///
/// ```text
/// R = max(((1 - w) a + w b) / s, c)      score = 1 - 1 / (1 + R)
/// ```
///
/// with the weight of the smoothed rarity `w` = 0.25 and the share of a record that suffices `s` = 0.955. A row's score is
/// that of its most unusual channel, whose own score is each channel's contribution. From 0.5 on, `R >= 1`, it is an
/// alarm, and the scores of the 45 rows after an alarm are halved, so that none of them is one: a disturbance raises one
/// alarm. Scores lie from 0 to 1.
///
/// Which rows are learnt the [`LearningPolicy`](crate::detect::LearningPolicy) says; smoothing, the moving mean and the silence
/// follow every row. Rows without an instant share one hour.
///
/// # Where it is weak
///
/// A machine that was in disorder at the start has its records there. Records last: on a stream of years only what was
/// never seen raises an alarm, so a new memory after a long time or an overhaul is due.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). A row allocates nothing once the moving mean is full, and takes a few hundred
/// nanoseconds a channel (more where its value extends the range, which is rare); a memory is bounded: 475 counts of 32 bits
/// and some 150 numbers a channel, 3.3 kB.
///
/// # Source
///
/// Our own. Frequencies of residuals in place of distances to neighbours, and no window, set it apart from the conformal
/// detectors for streams (Laxhammar and Falkman, Annals of Mathematics and Artificial Intelligence 74, 2015, doi
/// [10.1007/s10472-013-9381-7](https://doi.org/10.1007/s10472-013-9381-7)). The settings were chosen on the files
/// `realKnownCause` and `artificial*` of the Numenta Anomaly Benchmark and on generated servers, counts, roads and prices, by
/// the mean score over random changes of settings and rows; `examples/stream_anomaly.rs` prints what the defaults reach.
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::RarityRecordDetector,
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     quantity::Timestamp,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("load", "%")])?;
/// let detector = RarityRecordDetector::params().untrained(schema)?;
/// let mut state = detector.new_state();
/// let mut alarms = Vec::new();
/// for i in 0..2000 {
///     let noise = f64::from(i * 7919 % 101) / 50.0 - 1.0;
///     let load = if i == 1500 { 80.0 } else { 40.0 + noise };
///     let x = FeatureView::new(detector.schema(), std::slice::from_ref(&load))?.at(Timestamp::from_secs(300 * i64::from(i)));
///     if detector.step(&mut state, x)?.ready().is_some_and(|s| s.is_anomalous()) {
///         alarms.push(i);
///     }
/// }
/// assert_eq!(alarms.last(), Some(&1500));
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RarityRecordDetector = StreamDetector<RarityRecordScorer>;

/// Parameters of a [`RarityRecordDetector`].
pub type RarityRecordParams = StreamDetectorParams<RarityRecordSettings>;

/// How a [`RarityRecordDetector`] judges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RarityRecordSettings {
    warm_up: u32,
    smoothing: f64,
    smoothed_weight: f64,
    sufficient_share: f64,
    mean_rows: u32,
    silence: u32,
}

impl Default for RarityRecordSettings {
    fn default() -> Self {
        Self {
            warm_up: 50,
            smoothing: 6.0,
            smoothed_weight: 0.25,
            sufficient_share: 0.955,
            mean_rows: 24,
            silence: 45,
        }
    }
}

impl RarityRecordParams {
    /// Rows before the first score. Default 50.
    #[must_use]
    pub fn warm_up(self, rows: u32) -> Self {
        self.with(|s| s.warm_up = rows)
    }

    /// Rows of the exponential smoothing, the reciprocal of the newest residual's weight, at least 1. Default 6.
    #[must_use]
    pub fn smoothing(self, rows: f64) -> Self {
        self.with(|s| s.smoothing = rows)
    }

    /// The weight `w` of the smoothed rarity, from 0 to 1. Default 0.25.
    #[must_use]
    pub fn smoothed_weight(self, weight: f64) -> Self {
        self.with(|s| s.smoothed_weight = weight)
    }

    /// The share `s` of a record that is an alarm, above 0: less finds more and raises more false alarms. Default 0.955.
    #[must_use]
    pub fn sufficient_share(self, share: f64) -> Self {
        self.with(|s| s.sufficient_share = share)
    }

    /// Rows in the moving mean, from 1 to 100,000. Default 24.
    #[must_use]
    pub fn mean_rows(self, rows: u32) -> Self {
        self.with(|s| s.mean_rows = rows)
    }

    /// Rows after an alarm that raise none. Default 45.
    #[must_use]
    pub fn silence(self, rows: u32) -> Self {
        self.with(|s| s.silence = rows)
    }
}

impl RarityRecordDetector {
    /// Default parameters: as said at each setting, on rows as they come, with the threshold fixed at 0.5.
    pub fn params() -> RarityRecordParams {
        // A score of exactly one half is an alarm, and a detector's threshold is to be exceeded.
        RarityRecordParams::default()
            .scaling(Scaling::Raw)
            .fixed_threshold(0.5 - f64::EPSILON)
    }
}

impl StreamAlgorithm for RarityRecordSettings {
    type Scorer = RarityRecordScorer;

    fn check(&self) -> Result<()> {
        if !(self.smoothing >= 1.0 && self.smoothing.is_finite()) {
            return Err(Error::parameter("smoothing", "at least 1 row, finite", self.smoothing));
        }
        if !(0.0..=1.0).contains(&self.smoothed_weight) {
            return Err(Error::parameter("smoothed_weight", "from 0 to 1", self.smoothed_weight));
        }
        if !(self.sufficient_share > 1e-3 && self.sufficient_share < 1e3) {
            return Err(Error::parameter(
                "sufficient_share",
                "above 0.001, below 1000",
                self.sufficient_share,
            ));
        }
        if !(1..=LARGEST_MEAN).contains(&self.mean_rows) {
            let range = format!("from 1 to {LARGEST_MEAN} rows");
            return Err(Error::parameter("mean_rows", range, self.mean_rows));
        }
        Ok(())
    }

    fn fit(&self, sequences: &Sequences, _: Seed) -> Result<RarityRecordScorer> {
        Ok(RarityRecordScorer {
            width: sequences.width(),
            settings: self.clone(),
        })
    }
}

/// The fitted half of a [`RarityRecordDetector`].
#[derive(Clone, Debug)]
pub struct RarityRecordScorer {
    width: usize,
    settings: RarityRecordSettings,
}

/// What is remembered of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RarityRecordMemory {
    /// Rows learnt.
    n: u64,
    /// Rows to come that raise no alarm.
    silent: u32,
    channels: Vec<ChannelMemory>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ChannelRecord", into = "ChannelRecord")]
struct ChannelMemory(ChannelRecord);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ChannelRecord {
    mean: f64,
    /// Sum of absolute residuals.
    spread: f64,
    hours: Vec<Hour>,
    single: Vec<GrowingHistogram>,
    smoothed: GrowingHistogram,
    /// The smoothed residual.
    smooth: f64,
    /// The last values, the oldest at `oldest` once there are as many as are averaged.
    recent: Vec<f64>,
    oldest: u32,
    /// Mean and sum of squared deviations of the moving mean so far.
    centre: f64,
    square: f64,
    /// The highest rarity, smoothed rarity and `|z|` so far.
    records: [f64; 3],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hour {
    level: f64,
    /// Mean absolute step from the level before.
    deviation: f64,
    /// Sum of absolute residuals.
    spread: f64,
    n: u64,
}

impl From<ChannelMemory> for ChannelRecord {
    fn from(memory: ChannelMemory) -> Self {
        memory.0
    }
}

impl TryFrom<ChannelRecord> for ChannelMemory {
    type Error = Error;

    fn try_from(r: ChannelRecord) -> Result<Self> {
        let number = |x: &f64| x.abs() <= LARGEST_NUMBER;
        let positive = |x: &f64| *x >= 0.0 && *x <= LARGEST_NUMBER;
        let hour = |h: &Hour| number(&h.level) && positive(&h.deviation) && positive(&h.spread);
        let sizes = r.hours.len() == HOURS
            && r.single.iter().map(GrowingHistogram::n_bins).eq(SINGLE.map(|s| s.0))
            && r.smoothed.n_bins() == SMOOTHED.0
            && r.recent.len() <= LARGEST_MEAN as usize
            && (r.oldest as usize) < r.recent.len().max(1);
        let numbers = [r.mean, r.smooth, r.centre].iter().all(number)
            && r.recent.iter().all(number)
            && r.hours.iter().all(hour)
            && positive(&r.spread)
            && r.records.iter().all(positive)
            // Of squares; what has overflowed makes no moving mean unusual.
            && r.square >= 0.0;
        if sizes && numbers {
            Ok(Self(r))
        } else {
            Err(Error::persistence(
                "rarity memory: expected its histograms, hours and numbers within ±1e200, got others",
            ))
        }
    }
}

/// What a value is beside a channel's past.
struct Reading {
    residual: f64,
    /// The residual as each histogram of single rows takes it.
    scaled: [f64; SINGLE.len()],
    smooth: f64,
    moving_mean: f64,
    /// Rarity, smoothed rarity, `|z|`.
    unusual: [f64; 3],
}

impl ChannelMemory {
    fn new() -> Self {
        Self(ChannelRecord {
            mean: 0.0,
            spread: 0.0,
            hours: vec![Hour::default(); HOURS],
            single: SINGLE.map(|(bins, _)| GrowingHistogram::new(bins)).into(),
            smoothed: GrowingHistogram::new(SMOOTHED.0),
            smooth: 0.0,
            recent: Vec::new(),
            oldest: 0,
            centre: 0.0,
            square: 0.0,
            records: [0.0; 3],
        })
    }

    /// `x` as the next row of this channel, of which `n` were learnt.
    fn read(&self, settings: &RarityRecordSettings, n: u64, hour: usize, x: f64) -> Reading {
        let m = &self.0;
        let hour = m.hours.get(hour).copied().unwrap_or_default();
        let level = match (hour.n, n) {
            (0, 0) => x,
            (0, _) => m.mean,
            _ => hour.level,
        };
        let residual = x - level;
        let usual = (m.spread + residual.abs()) / (n as f64 + 1.0);
        let relative = if usual > 0.0 {
            (hour.spread / usual + POOLED_ROWS) / (hour.n as f64 + POOLED_ROWS)
        } else {
            1.0
        };
        let scaled = SINGLE.map(|(_, floor)| residual / relative.max(floor));
        let smooth = m.smooth + (residual / relative.max(SMOOTHED.1) - m.smooth) / settings.smoothing;

        // One logarithm of the product; four shares are far above the least number.
        let share: f64 = m.single.iter().zip(scaled).map(|(h, y)| h.share(y)).product();
        let rarity = -libm::log(share);
        let smoothed_rarity = -libm::log(m.smoothed.share(smooth));

        let full = m.recent.len() >= settings.mean_rows as usize;
        // The oldest leaves; subtracting it from the sum would lose what is small beside it.
        let (newer, older) = m.recent.split_at_checked(m.oldest as usize).unwrap_or((&m.recent, &[]));
        let staying = older.get(usize::from(full)..).unwrap_or_default();
        let sum = staying.iter().chain(newer).sum::<f64>() + x;
        let moving_mean = sum / (staying.len() + newer.len() + 1) as f64;
        let deviation = (m.square / n.max(1) as f64).sqrt();
        let z = if n > 1 && deviation > 0.0 {
            // Of a spread near the least number the quotient may be infinite.
            ((moving_mean - m.centre).abs() / deviation).min(LARGEST_NUMBER)
        } else {
            0.0
        };
        Reading {
            residual,
            scaled,
            smooth,
            moving_mean,
            unusual: [rarity, smoothed_rarity, z],
        }
    }

    /// `R` of a reading.
    fn ratio(&self, settings: &RarityRecordSettings, reading: &Reading) -> f64 {
        let to_record = |(&now, &record): (&f64, &f64)| if record > 0.0 { now / record } else { 0.0 };
        let mut ratios = reading.unusual.iter().zip(&self.0.records).map(to_record);
        let mut next = || ratios.next().unwrap_or(0.0);
        let (single, smoothed, mean) = (next(), next(), next());
        let w = settings.smoothed_weight;
        (((1.0 - w) * single + w * smoothed) / settings.sufficient_share).max(mean)
    }

    /// Takes in what follows every row.
    fn follow(&mut self, settings: &RarityRecordSettings, reading: &Reading, x: f64) {
        let m = &mut self.0;
        m.smooth = reading.smooth;
        if m.recent.len() < settings.mean_rows as usize {
            m.recent.push(x);
        } else if let Some(oldest) = m.recent.get_mut(m.oldest as usize) {
            *oldest = x;
            m.oldest = (m.oldest + 1) % settings.mean_rows;
        }
    }

    /// Learns what is usual, as the row behind `n` others.
    fn learn(&mut self, reading: &Reading, n: u64, hour: usize, x: f64) {
        let m = &mut self.0;
        let n = n as f64 + 1.0;
        m.mean += (x - m.mean) / n;
        m.spread += reading.residual.abs();
        if let Some(hour) = m.hours.get_mut(hour) {
            let rows = hour.n as f64;
            if hour.n == 0 {
                hour.level = x;
            } else {
                let step = x - hour.level;
                hour.deviation += (step.abs() - hour.deviation) / rows.min(LEVEL_ROWS);
                let most = LARGEST_STEP * hour.deviation;
                hour.level += step.clamp(-most, most) / (rows + 1.0).min(LEVEL_ROWS);
            }
            hour.spread += reading.residual.abs();
            hour.n = hour.n.saturating_add(1);
        }
        m.single.iter_mut().zip(reading.scaled).for_each(|(h, y)| h.add(y));
        m.smoothed.add(reading.smooth);
        let from_centre = reading.moving_mean - m.centre;
        m.centre += from_centre / n;
        m.square = (m.square + from_centre * (reading.moving_mean - m.centre)).min(f64::MAX);
        let records = m.records.iter_mut().zip(reading.unusual);
        records.for_each(|(record, now)| *record = record.max(now));
    }
}

/// The hour of the day.
fn hour(time: Option<Timestamp>) -> usize {
    let hours = time.map_or(0, |t| t.nanos().div_euclid(NANOS_OF_HOUR));
    // At least 0 and below 24.
    hours.rem_euclid(HOURS as i64) as usize
}

impl RarityRecordScorer {
    /// A ratio as a score.
    fn grade(memory: &RarityRecordMemory, ratio: f64) -> f64 {
        let score = 1.0 - 1.0 / (1.0 + ratio);
        if memory.silent > 0 { 0.5 * score } else { score }
    }

    /// Each channel's ratio to its records.
    fn ratios(&self, memory: &RarityRecordMemory, x: StreamRow<'_>) -> impl Iterator<Item = f64> {
        let (n, hour) = (memory.n, hour(x.time));
        let cold = n < u64::from(self.settings.warm_up);
        memory.channels.iter().zip(x.values).map(move |(channel, &x)| {
            if cold {
                return 0.0;
            }
            let reading = channel.read(&self.settings, n, hour, x);
            channel.ratio(&self.settings, &reading)
        })
    }

    /// Moves `memory` on by a row whose score is `score`.
    fn advance(&self, memory: &mut RarityRecordMemory, x: StreamRow<'_>, score: f64, learn: bool) {
        let hour = hour(x.time);
        for (channel, &x) in memory.channels.iter_mut().zip(x.values) {
            let reading = channel.read(&self.settings, memory.n, hour, x);
            if learn {
                channel.learn(&reading, memory.n, hour, x);
            }
            channel.follow(&self.settings, &reading, x);
        }
        memory.n = memory.n.saturating_add(u64::from(learn));
        memory.silent = if score >= 0.5 {
            self.settings.silence
        } else {
            memory.silent.saturating_sub(1)
        };
    }
}

impl StreamScorer for RarityRecordScorer {
    const KIND: &'static str = "detect.rarity_record";
    type Record = RarityRecordSettings;
    type Memory = RarityRecordMemory;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> RarityRecordMemory {
        RarityRecordMemory {
            n: 0,
            silent: 0,
            channels: vec![ChannelMemory::new(); self.width],
        }
    }

    fn accepts(&self, memory: &RarityRecordMemory) -> bool {
        let most = self.settings.mean_rows as usize;
        memory.channels.len() == self.width && memory.channels.iter().all(|c| c.0.recent.len() <= most)
    }

    fn warm_up(&self) -> u32 {
        self.settings.warm_up
    }

    fn score(&self, memory: &RarityRecordMemory, x: StreamRow<'_>) -> f64 {
        Self::grade(memory, self.ratios(memory, x).fold(0.0, f64::max))
    }

    fn update(&self, memory: &mut RarityRecordMemory, x: StreamRow<'_>, learn: bool) {
        let score = self.score(memory, x);
        self.advance(memory, x, score, learn);
    }

    fn step(&self, memory: &mut RarityRecordMemory, x: StreamRow<'_>, learn: impl FnOnce(f64) -> bool) -> f64 {
        let score = self.score(memory, x);
        self.advance(memory, x, score, learn(score));
        score
    }

    fn contributions_into(&self, memory: &RarityRecordMemory, x: StreamRow<'_>, out: &mut [f64]) {
        let ratios = out.iter_mut().zip(self.ratios(memory, x));
        ratios.for_each(|(o, ratio)| *o = Self::grade(memory, ratio));
    }

    fn to_record(&self) -> RarityRecordSettings {
        self.settings.clone()
    }

    fn from_record(settings: RarityRecordSettings, width: usize) -> Result<Self> {
        settings.check().map_err(|e| Error::persistence(e.to_string()))?;
        Ok(Self { width, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_near_the_least_number_leaves_a_memory_that_can_be_read() {
        let settings = RarityRecordSettings::default();
        let s = settings.fit(&Sequences::new(1), Seed(0)).unwrap();
        let mut memory = s.new_memory();
        for i in 0..200_u32 {
            let x = match i {
                100 | 150 => 1e150,
                _ => 1e-160 * f64::from(i * 7919 % 101),
            };
            let row = StreamRow {
                values: &[x],
                time: None,
            };
            let score = s.step(&mut memory, row, |_| i < 100);
            assert!((0.0..=1.0).contains(&score), "{i}: {score}");
            memory = rmp_serde::from_slice(&rmp_serde::to_vec_named(&memory).unwrap()).unwrap();
            s.update(&mut memory, row, i >= 100);
        }
        let read = rmp_serde::from_slice::<RarityRecordMemory>(&rmp_serde::to_vec_named(&memory).unwrap());
        assert_eq!(read.unwrap(), memory);
    }

    #[test]
    fn a_longer_moving_mean_is_that_of_another_detector() {
        let scorer = |mean_rows| RarityRecordScorer {
            width: 1,
            settings: RarityRecordSettings {
                mean_rows,
                ..Default::default()
            },
        };
        let mut memory = scorer(24).new_memory();
        for i in 0..30 {
            let row = StreamRow {
                values: &[f64::from(i % 7)],
                time: None,
            };
            scorer(24).update(&mut memory, row, true);
        }
        assert!(scorer(24).accepts(&memory) && !scorer(23).accepts(&memory));
    }
}
