//! Adaptive windowing.

use crate::detect::{
    rows::{Sequences, StreamRow},
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// Buckets of one size; one more, and the two oldest become one of the next size.
const SAME_SIZE: usize = 5;
/// The most rows a window may hold.
const MOST_ROWS: u32 = 1 << 30;
/// Sizes of buckets there can be.
const SIZES: usize = 32;
/// Room for buckets: all sizes full, and one more.
const ROOM: usize = (SAME_SIZE + 1) * SIZES;
/// The largest magnitude of a value that counts; keeps sums of squares finite.
const LARGEST_VALUE: f64 = 1e140;

/// Streaming detector by adaptive windowing (ADWIN): a level whose mean has changed, by a test that holds at any time.
///
/// Each feature keeps a window of its latest rows that grows while its mean is steady and is cut where it is not, so that
/// the window's length adapts to the machine.
///
/// # Method
///
/// For every cut of a feature's window of `n` rows, the new row in it, into an older part of `n₀` rows and a newer one of
/// `n₁`, with means `m₀`, `m₁` and the variance `v` of the whole window,
///
/// ```text
/// 1/N = 1/n₀ + 1/n₁      D = ln(2 ln(n) / δ)
/// ε   = sqrt(2 v D / N) + 2 D / (3 N)
/// score = max over features and cuts of |m₀ - m₁| / ε
/// ```
///
/// A score above 1 says that the mean changed, wrongly for one steady window in `1 / δ` where values span no more than 1;
/// so [`fixed_threshold(1.0)`](StreamDetectorParams::fixed_threshold) is the published test. When a row takes a score above
/// 1, the oldest rows are dropped until it is not: scores are high where a change is found, and low after. Cuts are looked
/// for between buckets whose sizes are powers of two, with at least five rows on either side. A feature's contribution is
/// its own largest ratio.
///
/// Rows that the [`LearningPolicy`](crate::detect::LearningPolicy) keeps out do not enter the window.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). A row costs `O(n_features log n)` and allocates nothing; a machine's memory is at
/// most 192 buckets of 24 bytes a feature, taken at once.
///
/// # Source
///
/// Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", SDM (2007), doi
/// [10.1137/1.9781611972771.42](https://doi.org/10.1137/1.9781611972771.42).
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::{Adwin, Scaling},
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("yield", "1")])?;
/// let adwin = Adwin::params().confidence(0.002).scaling(Scaling::Raw).fixed_threshold(1.0).untrained(schema)?;
/// let mut state = adwin.new_state();
/// let noise = |i: i32| f64::from(i * 7919 % 101) / 1000.0;
/// let mut changed = |level: f64, i| {
///     let score = adwin.step(&mut state, FeatureView::new(adwin.schema(), &[level + noise(i)])?)?;
///     Ok::<_, prognos::Error>(score.ready().is_some_and(|s| s.is_anomalous()))
/// };
/// assert!((0..500).all(|i| !changed(0.8, i).unwrap()));
/// assert!((500..600).any(|i| changed(0.6, i).unwrap()));
/// # Ok::<(), prognos::Error>(())
/// ```
pub type Adwin = StreamDetector<AdwinScorer>;

/// Parameters of an [`Adwin`].
pub type AdwinParams = StreamDetectorParams<AdwinSettings>;

/// How an [`Adwin`] cuts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdwinSettings {
    confidence: f64,
    most_rows: u32,
    n_least: u32,
}

impl Default for AdwinSettings {
    fn default() -> Self {
        Self {
            confidence: 0.002,
            most_rows: 1 << 16,
            n_least: 30,
        }
    }
}

impl AdwinParams {
    /// The probability `δ` of a change found in a steady window, from 10⁻³⁰⁰ to below 1. Default 0.002.
    #[must_use]
    pub fn confidence(self, delta: f64) -> Self {
        self.with(|s| s.confidence = delta)
    }

    /// Rows a window holds at most, from 32 to 2³⁰; the oldest are dropped. Default 65536.
    #[must_use]
    pub fn most_rows(self, n_rows: u32) -> Self {
        self.with(|s| s.most_rows = n_rows)
    }

    /// Rows of a machine before its first score. Default 30.
    #[must_use]
    pub fn warm_up(self, n_rows: u32) -> Self {
        self.with(|s| s.n_least = n_rows)
    }
}

impl Adwin {
    /// Default parameters: a confidence of 0.002, windows of up to 65536 rows, training units, a false alarm rate of 0.01,
    /// five folds.
    pub fn params() -> AdwinParams {
        AdwinParams::default()
    }
}

impl StreamAlgorithm for AdwinSettings {
    type Scorer = AdwinScorer;

    fn check(&self) -> Result<()> {
        if !(self.confidence >= 1e-300 && self.confidence < 1.0) {
            return Err(Error::parameter(
                "confidence",
                "from 1e-300 to below 1",
                self.confidence,
            ));
        }
        if !(32..=MOST_ROWS).contains(&self.most_rows) {
            return Err(Error::parameter(
                "most_rows",
                format!("from 32 to {MOST_ROWS}"),
                self.most_rows,
            ));
        }
        Ok(())
    }

    fn fit(&self, sequences: &Sequences, _: Seed) -> Result<AdwinScorer> {
        Ok(AdwinScorer {
            width: sequences.width(),
            settings: *self,
        })
    }
}

/// The fitted half of an [`Adwin`].
#[derive(Clone, Debug)]
pub struct AdwinScorer {
    width: usize,
    settings: AdwinSettings,
}

/// The windows of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AdwinRecord")]
pub struct AdwinMemory {
    /// Of each column its buckets, oldest first.
    windows: Vec<Vec<Bucket>>,
}

#[derive(Deserialize)]
struct AdwinRecord {
    windows: Vec<Vec<Bucket>>,
}

/// `2^size` rows behind each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Bucket {
    size: u8,
    mean: f64,
    /// Sum of squared deviations from the mean.
    square: f64,
}

impl TryFrom<AdwinRecord> for AdwinMemory {
    type Error = Error;

    fn try_from(r: AdwinRecord) -> Result<Self> {
        let sound = |b: &Bucket| {
            usize::from(b.size) < SIZES && b.mean.abs() <= LARGEST_VALUE && (0.0..=1e300).contains(&b.square)
        };
        let window = |w: &Vec<Bucket>| {
            w.len() < ROOM
                && w.iter().all(sound)
                && w.windows(2)
                    .all(|p| p.first().map(|b| b.size) >= p.last().map(|b| b.size))
                && w.windows(SAME_SIZE + 1)
                    .all(|p| p.first().map(|b| b.size) > p.last().map(|b| b.size))
        };
        if !r.windows.iter().all(window) {
            return Err(Error::persistence(
                "windows: expected buckets by falling size, at most five of each, within range, got others",
            ));
        }
        let room = |mut w: Vec<Bucket>| {
            w.reserve_exact(ROOM - w.len());
            w
        };
        Ok(Self {
            windows: r.windows.into_iter().map(room).collect(),
        })
    }
}

/// Rows, their mean and their squared deviations.
#[derive(Clone, Copy, Default)]
struct Moments {
    n: f64,
    mean: f64,
    square: f64,
}

impl Moments {
    fn of(b: &Bucket) -> Self {
        Self {
            n: (1_u64 << b.size) as f64,
            mean: b.mean,
            square: b.square,
        }
    }

    fn with(self, other: Self) -> Self {
        let n = self.n + other.n;
        let (difference, share) = (other.mean - self.mean, other.n / n);
        Self {
            n,
            mean: self.mean + difference * share,
            square: self.square + other.square + difference * difference * self.n * share,
        }
    }
}

impl AdwinScorer {
    /// The largest ratio over the cuts of a window with `x`, where there is one, behind it.
    fn ratio(&self, window: &[Bucket], x: Option<f64>) -> f64 {
        const LEAST: f64 = 5.0;
        let new = x.map(|mean| Moments {
            n: 1.0,
            mean,
            square: 0.0,
        });
        let parts = || window.iter().map(Moments::of).chain(new);
        let Some(all) = parts().reduce(Moments::with) else {
            return 0.0;
        };
        let d = libm::log(2.0 * libm::log(all.n.max(3.0)) / self.settings.confidence);
        let variance = all.square / all.n;
        let mut old: Option<Moments> = None;
        let mut largest = 0.0_f64;
        for part in parts() {
            let before = old.map_or(part, |o| o.with(part));
            old = Some(before);
            let after = all.n - before.n;
            if before.n < LEAST || after < LEAST {
                continue;
            }
            // The mean of the newer part follows from those of the older one and of all.
            let difference = (before.mean - all.mean).abs() * (all.n / after);
            let rate = 1.0 / before.n + 1.0 / after;
            let epsilon = (2.0 * variance * d * rate).sqrt() + 2.0 / 3.0 * d * rate;
            largest = largest.max(difference / epsilon);
        }
        largest
    }

    fn learn(&self, window: &mut Vec<Bucket>, x: f64) {
        window.push(Bucket {
            size: 0,
            mean: x,
            square: 0.0,
        });
        // From the newest size on: where there is one too many, the two oldest of it become one.
        let mut end = window.len();
        while let Some(size) = end.checked_sub(1).and_then(|i| window.get(i)).map(|b| b.size) {
            let same = window
                .get(..end)
                .unwrap_or_default()
                .iter()
                .rev()
                .take_while(|b| b.size == size)
                .count();
            if same <= SAME_SIZE || usize::from(size) + 1 >= SIZES {
                break;
            }
            let first = end - same;
            let pair = window.get(first).zip(window.get(first + 1));
            let Some(sum) = pair.map(|(a, b)| Moments::of(a).with(Moments::of(b))) else {
                break;
            };
            window.remove(first + 1);
            if let Some(slot) = window.get_mut(first) {
                *slot = Bucket {
                    size: size + 1,
                    mean: sum.mean,
                    square: sum.square,
                };
            }
            end = first + 1;
        }
        let rows = |w: &[Bucket]| w.iter().map(|b| 1_u64 << b.size).sum::<u64>();
        while rows(window) > u64::from(self.settings.most_rows) || self.ratio(window, None) > 1.0 {
            window.remove(0);
        }
    }
}

fn clamped(x: f64) -> f64 {
    x.clamp(-LARGEST_VALUE, LARGEST_VALUE)
}

impl StreamScorer for AdwinScorer {
    const KIND: &'static str = "detect.adwin";
    type Record = AdwinSettings;
    type Memory = AdwinMemory;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> AdwinMemory {
        AdwinMemory {
            windows: (0..self.width).map(|_| Vec::with_capacity(ROOM)).collect(),
        }
    }

    fn accepts(&self, memory: &AdwinMemory) -> bool {
        memory.windows.len() == self.width
    }

    fn warm_up(&self) -> u32 {
        self.settings.n_least
    }

    fn score(&self, memory: &AdwinMemory, x: StreamRow<'_>) -> f64 {
        let windows = memory.windows.iter().zip(x.values);
        windows
            .map(|(w, x)| self.ratio(w, Some(clamped(*x))))
            .fold(0.0, f64::max)
    }

    fn update(&self, memory: &mut AdwinMemory, x: StreamRow<'_>, learn: bool) {
        if learn {
            let windows = memory.windows.iter_mut().zip(x.values);
            windows.for_each(|(w, x)| self.learn(w, clamped(*x)));
        }
    }

    fn contributions_into(&self, memory: &AdwinMemory, x: StreamRow<'_>, out: &mut [f64]) {
        for ((w, x), o) in memory.windows.iter().zip(x.values).zip(out) {
            *o = self.ratio(w, Some(clamped(*x)));
        }
    }

    fn to_record(&self) -> AdwinSettings {
        self.settings
    }

    fn from_record(settings: AdwinSettings, width: usize) -> Result<Self> {
        settings.check().map_err(|e| Error::persistence(e.to_string()))?;
        Ok(Self { width, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        detect::Scaling,
        features::{FeatureSchema, FeatureView},
        model::OnlineModel,
        signal::Channel,
    };
    use proptest::prelude::*;

    fn schema() -> FeatureSchema {
        FeatureSchema::of_channels(&[Channel::new("a", "")]).unwrap()
    }

    fn raw(params: AdwinParams) -> Adwin {
        params
            .scaling(Scaling::Raw)
            .fixed_threshold(1.0)
            .untrained(schema())
            .unwrap()
    }

    fn scorer() -> AdwinScorer {
        AdwinScorer {
            width: 1,
            settings: AdwinSettings::default(),
        }
    }

    fn noise(i: u64) -> f64 {
        (Seed(i).part(3).0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn false_alarms_are_rarer_than_stated() {
        let adwin = raw(Adwin::params().confidence(0.05));
        let mut alarms = 0;
        for stream in 0..40 {
            let mut state = adwin.new_state();
            for i in 0..500 {
                let x = [noise(1000 * stream + i)];
                let step = adwin
                    .step(&mut state, FeatureView::new(adwin.schema(), &x).unwrap())
                    .unwrap();
                alarms += usize::from(step.ready().is_some_and(|s| s.is_anomalous()));
            }
        }
        assert!(alarms <= 2, "{alarms} alarms in 40 steady streams");
    }

    #[test]
    fn the_window_is_cut_where_the_mean_changed() {
        let s = scorer();
        let mut window = Vec::with_capacity(ROOM);
        (0..1000).for_each(|i| s.learn(&mut window, noise(i)));
        let rows = |w: &[Bucket]| w.iter().map(|b| 1_u64 << b.size).sum::<u64>();
        assert_eq!(rows(&window), 1000);
        (1000..1200).for_each(|i| s.learn(&mut window, 0.5 + noise(i)));
        assert!(rows(&window) < 500, "{}", rows(&window));
        assert!((window.iter().map(Moments::of).reduce(Moments::with).unwrap().mean - 1.0).abs() < 0.15);
    }

    #[test]
    fn windows_are_bounded() {
        let s = AdwinScorer {
            width: 1,
            settings: AdwinSettings {
                most_rows: 32,
                ..AdwinSettings::default()
            },
        };
        let mut window = Vec::with_capacity(ROOM);
        for i in 0..10_000 {
            s.learn(&mut window, noise(i));
            assert!(window.iter().map(|b| 1_u64 << b.size).sum::<u64>() <= 32);
        }
        let mut long = Vec::with_capacity(ROOM);
        (0..70_000).for_each(|_| scorer().learn(&mut long, 1.0));
        assert!(long.len() < 100 && long.capacity() == ROOM, "{}", long.len());
    }

    #[test]
    fn windows_that_no_stream_leaves_are_refused() {
        let bucket = |size| Bucket {
            size,
            mean: 0.0,
            square: 0.0,
        };
        for (sizes, taken) in [
            (vec![1, 1, 0, 0, 0, 0, 0], true),
            (vec![0; SAME_SIZE + 1], false), // else there would be no end of buckets, and no room
            (vec![0, 1], false),
            (vec![SIZES as u8], false),
        ] {
            let windows = vec![sizes.iter().copied().map(bucket).collect()];
            assert_eq!(
                AdwinMemory::try_from(AdwinRecord { windows }).is_ok(),
                taken,
                "{sizes:?}"
            );
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        for (params, name) in [
            (Adwin::params().confidence(0.0), "confidence"),
            (Adwin::params().confidence(f64::NAN), "confidence"),
            (Adwin::params().most_rows(3), "most_rows"),
        ] {
            let e = params
                .scaling(Scaling::Raw)
                .fixed_threshold(1.0)
                .untrained(schema())
                .unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter);
            assert!(e.to_string().contains(name), "{e}");
        }
    }

    proptest! {
        /// Against every row kept in a list, cut at the borders of the same buckets.
        #[test]
        fn ratios_are_those_of_the_definition(values in prop::collection::vec(0.0..1.0, 12..120)) {
            let s = scorer();
            let mut window = Vec::with_capacity(ROOM);
            let mut list: Vec<f64> = Vec::new();
            for &x in &values {
                let sizes = window.iter().map(|b: &Bucket| 1_usize << b.size).chain([1]);
                let cuts: Vec<usize> = sizes.scan(0, |sum, n| { *sum += n; Some(*sum) }).collect();
                list.push(x);
                let n = list.len() as f64;
                let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
                let variance = list.iter().map(|v| (v - mean(&list)).powi(2)).sum::<f64>() / n;
                let d = (2.0 * n.max(3.0).ln() / 0.002).ln();
                let mut expected = 0.0_f64;
                for cut in cuts {
                    let (old, new) = list.split_at(cut);
                    if old.len() >= 5 && new.len() >= 5 {
                        let rate = 1.0 / old.len() as f64 + 1.0 / new.len() as f64;
                        let epsilon = (2.0 * variance * d * rate).sqrt() + 2.0 / 3.0 * d * rate;
                        expected = expected.max((mean(old) - mean(new)).abs() / epsilon);
                    }
                }
                prop_assert!((s.ratio(&window, Some(x)) - expected).abs() < 1e-10);
                s.learn(&mut window, x);
                let kept = window.iter().map(|b| 1_usize << b.size).sum::<usize>();
                list.drain(..list.len() - kept);
            }
        }
    }
}
