//! Intervals whose level adapts as truths arrive.

use crate::{
    error::{Error, Result},
    model::RulDistribution,
    quantity::{LifeUnit, Timestamp},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt};

/// Predictions awaiting their truth at most, whatever is asked for.
const MAX_OUTSTANDING: usize = 10_000_000;

/// Recalibration while a fleet runs: intervals of a nominal level whose miss rate follows what was missed (adaptive conformal
/// inference: Gibbs and Candès 2021, arXiv 2106.00072), for predictions whose truth comes much later.
///
/// Each prediction is [registered](AdaptiveCalibration::register) by asset and instant, and gets the central interval of
/// `1 - a`, `a` being the miss rate asked of the distribution at the time: everything where `a <= 0`, nothing where `a >= 1`.
/// When the asset [fails](AdaptiveCalibration::failed), `e` is the share of its predictions that missed, and
///
/// `a <- a + rate (1 - level - e)`.
///
/// Assets weigh one each, since the rows of one tell much the same. For **any** sequence of lives and predictions, however
/// chosen, the mean of `e` over `T` assets is within `(max(1 - level, level) + rate (d + 1)) / (rate T)` of `1 - level`, `d`
/// being the number of assets judged between a prediction and its own truth at most
/// ([`error_bound`](AdaptiveCalibration::error_bound)). No promise is made for a machine by itself, and none before enough
/// have failed. A high rate forgets soon and swings: 0.005 to 0.05 is usual.
///
/// An asset that is [removed](AdaptiveCalibration::removed) alive has lived longer than said so far: predictions whose upper end
/// lies below are misses, the others cannot be judged, do not move the level, and are counted. Where many are removed the
/// intervals lean to the wide side.
///
/// ```
/// use prognos::{model::RulDistribution, quantity::LifeUnit, rul::conformal::AdaptiveCalibration};
/// let mut calibration = AdaptiveCalibration::new(0.9, 0.05, 1000, LifeUnit::Hours)?;
/// let d = RulDistribution::from_quantiles(LifeUnit::Hours, |p| 100.0 * p)?;
/// let at = |h| LifeUnit::Hours.instant(h);
/// let i = calibration.register("pump 7", at(10), &d)?;
/// assert!((i.lower - 5.0).abs() < 1e-9 && (i.upper - 95.0).abs() < 1e-9);
/// // It lives 99 h more: a miss, and the next intervals are wider.
/// assert_eq!(calibration.failed(&"pump 7", at(109))?, Some(1.0));
/// assert!((calibration.miss_rate() - 0.055).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    try_from = "Record<K>",
    into = "Record<K>",
    bound(
        serialize = "K: Ord + Clone + Serialize",
        deserialize = "K: Ord + Clone + DeserializeOwned"
    )
)]
pub struct AdaptiveCalibration<K: Ord + Clone> {
    level: f64,
    rate: f64,
    unit: LifeUnit,
    max_outstanding: usize,
    so_far: CoverageSoFar,
    /// Assets judged between a prediction and its truth at most.
    longest_delay: u64,
    n_outstanding: usize,
    outstanding: BTreeMap<K, Vec<Registered>>,
}

/// What an [`AdaptiveCalibration`] says of a prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveInterval {
    /// Lower end.
    pub lower: f64,
    /// Upper end; infinite where it is not known, or the level has come to be everything.
    pub upper: f64,
    /// The level asked of the distribution, within 0..=1.
    pub level: f64,
    /// Whether the level has come to be nothing: the two ends are then the median (the last known life where there is none),
    /// and the prediction counts as a miss whatever comes.
    pub empty: bool,
}

/// How the intervals of an [`AdaptiveCalibration`] have fared; each asset weighs one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CoverageSoFar {
    /// Assets of which at least one prediction was judged.
    pub n_assets: u64,
    /// The sum over these of the share of judged predictions that missed.
    pub missed: f64,
    /// Predictions judged.
    pub n_judged: u64,
    /// Predictions that cannot be judged, as their asset was removed alive.
    pub n_undetermined: u64,
}

impl CoverageSoFar {
    /// Share of truths inside, `None` before the first.
    pub fn coverage(&self) -> Option<f64> {
        (self.n_assets > 0).then(|| 1.0 - self.missed / self.n_assets as f64)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Registered {
    time: Timestamp,
    lower: f64,
    /// `None` for an infinite one.
    upper: Option<f64>,
    empty: bool,
    /// Assets judged before it was registered.
    after: u64,
}

#[derive(Serialize, Deserialize)]
struct Record<K> {
    level: f64,
    rate: f64,
    unit: LifeUnit,
    max_outstanding: usize,
    so_far: CoverageSoFar,
    longest_delay: u64,
    outstanding: Vec<(K, Vec<Registered>)>,
}

impl<K: Ord + Clone> AdaptiveCalibration<K> {
    /// Intervals of `level` that change by `rate` an asset, for at most `max_outstanding` predictions whose truth is awaited.
    ///
    /// # Errors
    /// `InvalidParameter` unless `level` and `rate` lie above 0 and below 1 and `max_outstanding` in 1..=10,000,000.
    pub fn new(level: f64, rate: f64, max_outstanding: usize, unit: LifeUnit) -> Result<Self> {
        super::held_out::check_level(level)?;
        if !(rate > 0.0 && rate < 1.0) {
            return Err(Error::parameter("rate", "above 0 and below 1", rate));
        }
        if !(1..=MAX_OUTSTANDING).contains(&max_outstanding) {
            let expected = format!("1..={MAX_OUTSTANDING}");
            return Err(Error::parameter("max_outstanding", expected, max_outstanding));
        }
        Ok(Self {
            level,
            rate,
            unit,
            max_outstanding,
            so_far: CoverageSoFar::default(),
            longest_delay: 0,
            n_outstanding: 0,
            outstanding: BTreeMap::new(),
        })
    }

    /// The miss rate asked of distributions now. It may lie a little outside 0..=1.
    pub fn miss_rate(&self) -> f64 {
        let wanted = 1.0 - self.level;
        wanted + self.rate * (wanted * self.so_far.n_assets as f64 - self.so_far.missed)
    }

    /// The interval of a distribution at the level that holds now; nothing is registered.
    ///
    /// # Errors
    /// `InvalidInput` for a distribution of another unit.
    pub fn interval(&self, d: &RulDistribution) -> Result<AdaptiveInterval> {
        if d.unit() != self.unit {
            return Err(Error::input("unit of the distribution", self.unit, d.unit()));
        }
        let a = self.miss_rate();
        Ok(if a <= 0.0 {
            AdaptiveInterval {
                lower: 0.0,
                upper: f64::INFINITY,
                level: 1.0,
                empty: false,
            }
        } else if a >= 1.0 {
            let n_known = d.percentiles().partition_point(|q| q.is_finite());
            let last = d.percentiles()[n_known.saturating_sub(1)];
            let middle = d.median().unwrap_or(last);
            AdaptiveInterval {
                lower: middle,
                upper: middle,
                level: 0.0,
                empty: true,
            }
        } else {
            // The lower end is known even where the lives of which it is the lowest are not.
            let last = d.percentiles().iter().rev().find(|q| q.is_finite());
            AdaptiveInterval {
                lower: d.quantile(a / 2.0).min(last.copied().unwrap_or(0.0)),
                upper: d.quantile(1.0 - a / 2.0),
                level: 1.0 - a,
                empty: false,
            }
        })
    }

    /// The interval of the remaining life of `asset`, predicted at `time`, kept until its truth is known.
    ///
    /// # Errors
    /// `InvalidInput` for a distribution of another unit or a `time` not after the asset's last one; `InsufficientData`
    /// where `max_outstanding` predictions await their truth. Nothing is registered then.
    pub fn register(&mut self, asset: K, time: Timestamp, d: &RulDistribution) -> Result<AdaptiveInterval> {
        let i = self.interval(d)?;
        if let Some(last) = self.outstanding.get(&asset).and_then(|o| o.last())
            && time <= last.time
        {
            return Err(Error::input(
                "time of a prediction",
                format!("after {} ns, the asset's last", last.time.nanos()),
                format!("{} ns", time.nanos()),
            ));
        }
        if self.n_outstanding >= self.max_outstanding {
            return Err(Error::insufficient(
                "room for predictions whose truth is awaited",
                format!("fewer than {}", self.max_outstanding),
                self.n_outstanding,
            ));
        }
        self.n_outstanding += 1;
        self.outstanding.entry(asset).or_default().push(Registered {
            time,
            lower: i.lower,
            upper: i.upper.is_finite().then_some(i.upper),
            empty: i.empty,
            after: self.so_far.n_assets,
        });
        Ok(i)
    }

    /// Tells that `asset` failed at `at`: its predictions are judged, and dropped. Gives the share that missed.
    ///
    /// # Errors
    /// `InvalidInput` for an asset without predictions, or an instant before its last one; nothing changes then.
    pub fn failed(&mut self, asset: &K, at: Timestamp) -> Result<Option<f64>>
    where
        K: fmt::Debug,
    {
        self.judge(asset, at, |r, life| {
            Some(r.empty || life < r.lower || r.upper.is_some_and(|u| life > u))
        })
    }

    /// Tells that `asset` was taken out of service alive at `at`. Gives the share of its predictions that missed among those
    /// that can be judged, `None` where none can.
    ///
    /// # Errors
    /// As [`failed`](AdaptiveCalibration::failed).
    pub fn removed(&mut self, asset: &K, at: Timestamp) -> Result<Option<f64>>
    where
        K: fmt::Debug,
    {
        self.judge(asset, at, |r, life| {
            (r.empty || r.upper.is_some_and(|u| life >= u && life > r.lower)).then_some(true)
        })
    }

    /// Drops the predictions of an asset of which nothing will be heard; how many there were.
    pub fn forget(&mut self, asset: &K) -> usize {
        let n = self.outstanding.remove(asset).map_or(0, |o| o.len());
        self.n_outstanding -= n;
        n
    }

    fn judge(
        &mut self,
        asset: &K,
        at: Timestamp,
        missed: impl Fn(&Registered, f64) -> Option<bool>,
    ) -> Result<Option<f64>>
    where
        K: fmt::Debug,
    {
        let Some(rows) = self.outstanding.get(asset) else {
            return Err(Error::input(
                "asset whose life has ended",
                "one with predictions that await their truth",
                format!("{asset:?}"),
            ));
        };
        if let Some(last) = rows.last()
            && at < last.time
        {
            return Err(Error::input(
                &format!("end of the life of {asset:?}"),
                format!("at or after {} ns, its last prediction", last.time.nanos()),
                format!("{} ns", at.nanos()),
            ));
        }
        let (mut n, mut n_missed, mut delay) = (0u64, 0u64, self.longest_delay);
        for r in rows {
            if let Some(missed) = missed(r, self.unit.between(r.time, at)) {
                n += 1;
                n_missed += u64::from(missed);
                delay = delay.max(self.so_far.n_assets - r.after);
            }
        }
        self.so_far.n_undetermined += rows.len() as u64 - n;
        self.forget(asset);
        if n == 0 {
            return Ok(None);
        }
        let share = n_missed as f64 / n as f64;
        self.longest_delay = delay;
        self.so_far.n_assets += 1;
        self.so_far.n_judged += n;
        self.so_far.missed += share;
        Ok(Some(share))
    }

    /// How the intervals have fared.
    pub fn so_far(&self) -> CoverageSoFar {
        self.so_far
    }

    /// How far the coverage so far may lie from the level, whatever came; infinite before the first asset.
    pub fn error_bound(&self) -> f64 {
        let swing = self.level.max(1.0 - self.level) + self.rate * (self.longest_delay + 1) as f64;
        swing / (self.rate * self.so_far.n_assets as f64)
    }

    /// Nominal level.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Predictions whose truth is awaited.
    pub fn n_outstanding(&self) -> usize {
        self.n_outstanding
    }
}

impl<K: Ord + Clone> TryFrom<Record<K>> for AdaptiveCalibration<K> {
    type Error = Error;

    fn try_from(r: Record<K>) -> Result<Self> {
        let refused = |what: &str| Error::persistence(format!("adaptive calibration: expected {what}"));
        let mut c = Self::new(r.level, r.rate, r.max_outstanding, r.unit)
            .map_err(|e| Error::persistence(format!("adaptive calibration: {e}")))?;
        let s = r.so_far;
        if !(s.missed >= 0.0 && s.missed <= s.n_assets as f64 && s.n_assets <= s.n_judged)
            || r.longest_delay > s.n_assets
        {
            return Err(refused("at most as many misses, and as long a delay, as assets judged"));
        }
        (c.so_far, c.longest_delay) = (s, r.longest_delay);
        let swing = r.rate * (r.longest_delay + 1) as f64 + 1e-6;
        if !(c.miss_rate() >= -swing && c.miss_rate() <= 1.0 + swing) {
            return Err(refused("a miss rate that this rate and delay can lead to"));
        }
        for (asset, rows) in r.outstanding {
            let sound = !rows.is_empty()
                && rows.windows(2).all(|w| w[0].time < w[1].time)
                && rows.iter().all(|i| {
                    i.lower >= 0.0
                        && i.lower.is_finite()
                        && i.upper.is_none_or(|u| u >= i.lower && u.is_finite())
                        && i.after <= s.n_assets
                });
            c.n_outstanding += rows.len();
            if !sound || c.n_outstanding > c.max_outstanding || c.outstanding.insert(asset, rows).is_some() {
                return Err(refused(
                    "no more predictions than there is room for, ordered in time, with ordered ends, each asset once",
                ));
            }
        }
        Ok(c)
    }
}

impl<K: Ord + Clone> From<AdaptiveCalibration<K>> for Record<K> {
    fn from(c: AdaptiveCalibration<K>) -> Self {
        Self {
            level: c.level,
            rate: c.rate,
            unit: c.unit,
            max_outstanding: c.max_outstanding,
            so_far: c.so_far,
            longest_delay: c.longest_delay,
            outstanding: c.outstanding.into_iter().collect(),
        }
    }
}
