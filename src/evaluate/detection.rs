//! Alarms against the truth: counts of rows, and what matters to those who answer them: delays, misses, false alarms a
//! day, and how long before a failure the alarm came.

use super::ranking::{expect_finite_scores, expect_labelled};
use crate::{
    error::{Error, Result},
    quantity::{LifeUnit, Seconds, Timestamp},
};
use std::ops::AddAssign;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Exact for whole seconds below 104 days.
fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    LifeUnit::Seconds.between(earlier, later)
}

/// Rows by alarm and truth. Counts of several files add up, and ratios are taken of the sums.
///
/// ```
/// use prognos::evaluate::Confusion;
/// let mut pooled = Confusion::default();
/// pooled += Confusion::of_alarms(&[true, false, true], &[true, true, false])?;
/// pooled += Confusion::of_scores(&[0.9, 0.1], 0.5, &[true, false])?;
/// assert_eq!((pooled.precision()?, pooled.false_alarm_rate()?), (2.0 / 3.0, 0.5));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Confusion {
    /// Anomalous rows with an alarm.
    pub true_positives: u64,
    /// Normal rows with an alarm.
    pub false_positives: u64,
    /// Normal rows without.
    pub true_negatives: u64,
    /// Anomalous rows without.
    pub false_negatives: u64,
}

impl AddAssign for Confusion {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in [
            (&mut self.true_positives, other.true_positives),
            (&mut self.false_positives, other.false_positives),
            (&mut self.true_negatives, other.true_negatives),
            (&mut self.false_negatives, other.false_negatives),
        ] {
            *count = count.saturating_add(more);
        }
    }
}

impl std::iter::Sum for Confusion {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, count| {
            sum += count;
            sum
        })
    }
}

impl Confusion {
    /// Counts rows by their alarms and labels.
    ///
    /// # Errors
    /// `InvalidInput` for slices of different lengths.
    pub fn of_alarms(alarms: &[bool], labels: &[bool]) -> Result<Self> {
        expect_labelled("alarms", alarms.len(), labels)?;
        Ok(Self::counted(alarms.iter().copied().zip(labels.iter().copied())))
    }

    /// Counts rows with the alarms that `scores >= threshold` give.
    ///
    /// # Errors
    /// `InvalidInput` for slices of different lengths or a score that is not finite, naming its row; `InvalidParameter` for
    /// a threshold of NaN.
    pub fn of_scores(scores: &[f64], threshold: f64, labels: &[bool]) -> Result<Self> {
        expect_labelled("scores", scores.len(), labels)?;
        expect_finite_scores(scores)?;
        if threshold.is_nan() {
            return Err(Error::parameter("threshold", "a number", threshold));
        }
        let alarms = scores.iter().map(|&s| s >= threshold);
        Ok(Self::counted(alarms.zip(labels.iter().copied())))
    }

    fn counted(rows: impl Iterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for row in rows {
            *match row {
                (true, true) => &mut counts.true_positives,
                (true, false) => &mut counts.false_positives,
                (false, false) => &mut counts.true_negatives,
                (false, true) => &mut counts.false_negatives,
            } += 1;
        }
        counts
    }

    /// The share of alarms that are right, `TP / (TP + FP)`.
    ///
    /// # Errors
    /// `InsufficientData` without an alarm.
    pub fn precision(&self) -> Result<f64> {
        share("precision", "alarm", self.true_positives, self.false_positives)
    }

    /// The share of anomalous rows with an alarm, `TP / (TP + FN)`.
    ///
    /// # Errors
    /// `InsufficientData` without an anomalous row.
    pub fn recall(&self) -> Result<f64> {
        share("recall", "anomalous row", self.true_positives, self.false_negatives)
    }

    /// The share of normal rows with an alarm (FAR), `FP / (FP + TN)`.
    ///
    /// # Errors
    /// `InsufficientData` without a normal row.
    pub fn false_alarm_rate(&self) -> Result<f64> {
        share(
            "false alarm rate",
            "normal row",
            self.false_positives,
            self.true_negatives,
        )
    }

    /// The share of anomalous rows without an alarm (MAR), `FN / (FN + TP)`.
    ///
    /// # Errors
    /// `InsufficientData` without an anomalous row.
    pub fn missed_alarm_rate(&self) -> Result<f64> {
        share(
            "missed alarm rate",
            "anomalous row",
            self.false_negatives,
            self.true_positives,
        )
    }

    /// `2 TP / (2 TP + FP + FN)`, the harmonic mean of precision and recall; 0 where no alarm is right.
    ///
    /// # Errors
    /// `InsufficientData` without an anomalous row.
    pub fn f1(&self) -> Result<f64> {
        self.f_beta(1.0)
    }

    /// `(1 + β²) P R / (β² P + R)`: recall counts `β` times as much as precision. 0 where no alarm is right.
    ///
    /// # Errors
    /// `InsufficientData` without an anomalous row; `InvalidParameter` unless `beta` is finite and above zero.
    pub fn f_beta(&self, beta: f64) -> Result<f64> {
        let recall = self.recall()?;
        let precision = if self.true_positives == 0 {
            0.0
        } else {
            self.precision()?
        };
        f_beta(precision, recall, beta)
    }
}

fn share(what: &str, of: &str, part: u64, rest: u64) -> Result<f64> {
    let all = u128::from(part) + u128::from(rest);
    if all == 0 {
        return Err(Error::insufficient(what, format!("at least 1 {of}"), 0));
    }
    Ok(part as f64 / all as f64)
}

/// The weighted harmonic mean of precision and recall; 0 where both are.
pub(super) fn f_beta(precision: f64, recall: f64, beta: f64) -> Result<f64> {
    if !(beta.is_finite() && beta > 0.0) {
        return Err(Error::parameter("beta", "finite and above 0", beta));
    }
    if precision == 0.0 || recall == 0.0 {
        return Ok(0.0);
    }
    // 1 / (a / P + (1 - a) / R) with a = 1 / (1 + β²): no square overflows.
    let a = 1.0 / (1.0 + beta * beta);
    Ok(1.0 / (a / precision + (1.0 - a) / recall))
}

/// A span of time, both ends in it; of one instant where they are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    start: Timestamp,
    end: Timestamp,
}

impl Interval {
    /// From `start` to `end`.
    ///
    /// # Errors
    /// `InvalidInput` for an end before the start.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self> {
        if start <= end {
            return Ok(Self { start, end });
        }
        let expected = format!("an end at or after {start}");
        Err(Error::input("interval", expected, end))
    }

    /// One instant.
    pub fn at(instant: Timestamp) -> Self {
        Self {
            start: instant,
            end: instant,
        }
    }

    /// Its first instant.
    pub fn start(self) -> Timestamp {
        self.start
    }

    /// Its last instant.
    pub fn end(self) -> Timestamp {
        self.end
    }

    /// Its length in seconds; 0 for an instant.
    pub fn length_s(self) -> f64 {
        seconds_between(self.start, self.end)
    }
}

/// The episodes of an alarm that is set or not at each row: from the first instant of a run of set rows to its last.
///
/// ```
/// use prognos::{evaluate::alarm_episodes, quantity::Timestamp};
/// let times: Vec<Timestamp> = (0..5).map(Timestamp::from_secs).collect();
/// let episodes = alarm_episodes(&times, &[false, true, true, false, true])?;
/// assert_eq!((episodes.len(), episodes[0].length_s(), episodes[1].length_s()), (2, 1.0, 0.0));
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` for slices of different lengths, or an instant before the one of the row before.
pub fn alarm_episodes(times: &[Timestamp], alarms: &[bool]) -> Result<Vec<Interval>> {
    if times.len() != alarms.len() {
        let expected = format!("{} rows as in `times`", times.len());
        return Err(Error::input("`alarms`", expected, alarms.len()));
    }
    let pairs = times.iter().zip(times.iter().skip(1));
    if let Some((row, (before, time))) = pairs.enumerate().find(|(_, (a, b))| b < a) {
        let expected = format!("an instant at or after {before}");
        return Err(Error::input(&format!("`times` row {}", row + 1), expected, time));
    }
    let mut episodes: Vec<Interval> = Vec::new();
    let mut open = false;
    for (&time, &alarm) in times.iter().zip(alarms) {
        match episodes.last_mut() {
            Some(episode) if alarm && open => episode.end = time,
            // A row of the same instant that is set again belongs to the episode.
            Some(episode) if alarm && episode.end == time => {}
            _ if alarm => episodes.push(Interval::at(time)),
            _ => {}
        }
        open = alarm;
    }
    Ok(episodes)
}

/// Alarms against anomalies, event by event. Tallies of several assets add up.
///
/// ```
/// use prognos::{evaluate::{EventTally, Interval}, quantity::Timestamp};
/// let span = |a, b| Interval::new(Timestamp::from_secs(a), Timestamp::from_secs(b));
/// let (anomalies, alarms) = ([span(100, 200)?, span(500, 600)?], [span(40, 50)?, span(130, 300)?]);
/// let tally = EventTally::of_asset(span(0, 86_400)?, &anomalies, &alarms)?;
/// assert_eq!((tally.n_events(), tally.n_missed(), tally.delays_s()), (2, 1, &[30.0][..]));
/// assert_eq!(tally.false_alarms_per_day()?, 1.0);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventTally {
    n_missed: usize,
    n_false_alarms: usize,
    observed_s: f64,
    delays_s: Vec<f64>,
}

impl EventTally {
    /// Of one asset that was watched over `observed`.
    ///
    /// An anomaly is found where an alarm is on at some instant of it. Its delay is the time from its start to the first
    /// such instant: 0 where the alarm was on already. An episode of the alarm that touches no anomaly is a false alarm.
    /// Linear in the numbers of both.
    ///
    /// # Errors
    /// `InvalidInput`, naming the interval, where anomalies or alarms are not in order and apart, or not within `observed`.
    pub fn of_asset(observed: Interval, anomalies: &[Interval], alarms: &[Interval]) -> Result<Self> {
        expect_in_order("anomalies", observed, anomalies)?;
        expect_in_order("alarms", observed, alarms)?;
        let mut tally = Self {
            observed_s: observed.length_s(),
            n_false_alarms: alarms.len(),
            ..Self::default()
        };
        // Both are in order: alarms that end before an anomaly meet none that follows.
        let mut rest = alarms;
        for anomaly in anomalies {
            let passed = rest.partition_point(|alarm| alarm.end < anomaly.start);
            rest = rest.get(passed..).unwrap_or_default();
            match rest.first() {
                Some(alarm) if alarm.start <= anomaly.end => {
                    tally
                        .delays_s
                        .push(seconds_between(anomaly.start, alarm.start.max(anomaly.start)));
                }
                _ => tally.n_missed += 1,
            }
        }
        let mut rest = anomalies;
        for alarm in alarms {
            let passed = rest.partition_point(|anomaly| anomaly.end < alarm.start);
            rest = rest.get(passed..).unwrap_or_default();
            if rest.first().is_some_and(|anomaly| anomaly.start <= alarm.end) {
                tally.n_false_alarms -= 1;
            }
        }
        Ok(tally)
    }

    /// Number of anomalies.
    pub fn n_events(&self) -> usize {
        self.n_missed + self.delays_s.len()
    }

    /// Number of anomalies without an alarm.
    pub fn n_missed(&self) -> usize {
        self.n_missed
    }

    /// Number of episodes of the alarm that touch no anomaly.
    pub fn n_false_alarms(&self) -> usize {
        self.n_false_alarms
    }

    /// Seconds from the start of each anomaly that was found to its alarm, in the order they were counted.
    pub fn delays_s(&self) -> &[f64] {
        &self.delays_s
    }

    /// Time watched, in days, over all assets.
    pub fn observed_days(&self) -> f64 {
        self.observed_s / SECONDS_PER_DAY
    }

    /// The share of anomalies without an alarm.
    ///
    /// # Errors
    /// `InsufficientData` without an anomaly.
    pub fn missed_share(&self) -> Result<f64> {
        share(
            "missed share",
            "anomaly",
            self.n_missed as u64,
            self.delays_s.len() as u64,
        )
    }

    /// Mean delay of the anomalies that were found, in seconds. Misses are not in it: read [`missed_share`] beside it.
    ///
    /// [`missed_share`]: Self::missed_share
    ///
    /// # Errors
    /// `InsufficientData` without an anomaly that was found.
    pub fn mean_delay_s(&self) -> Result<f64> {
        if self.delays_s.is_empty() {
            return Err(Error::insufficient(
                "mean delay",
                "at least 1 anomaly that was found",
                0,
            ));
        }
        Ok(self.delays_s.iter().sum::<f64>() / self.delays_s.len() as f64)
    }

    /// Median delay in seconds, a missed anomaly counted as later than any: infinite where half or more were missed. The
    /// mean of the middle two of an even number.
    ///
    /// # Errors
    /// `InsufficientData` without an anomaly.
    pub fn median_delay_s(&self) -> Result<f64> {
        let n = self.n_events();
        if n == 0 {
            return Err(Error::insufficient("median delay", "at least 1 anomaly", 0));
        }
        let mut sorted = self.delays_s.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::INFINITY);
        Ok((at((n - 1) / 2) + at(n / 2)) / 2.0)
    }

    /// False alarms a day of one asset watched.
    ///
    /// # Errors
    /// `InsufficientData` where no time was watched.
    pub fn false_alarms_per_day(&self) -> Result<f64> {
        if self.observed_s > 0.0 {
            return Ok(self.n_false_alarms as f64 / self.observed_days());
        }
        Err(Error::insufficient(
            "false alarms a day",
            "time watched above 0 s",
            self.observed_s,
        ))
    }
}

impl AddAssign<&EventTally> for EventTally {
    fn add_assign(&mut self, other: &Self) {
        self.n_missed += other.n_missed;
        self.n_false_alarms += other.n_false_alarms;
        self.observed_s += other.observed_s;
        self.delays_s.extend_from_slice(&other.delays_s);
    }
}

fn expect_in_order(name: &str, observed: Interval, intervals: &[Interval]) -> Result<()> {
    let mut before: Option<Interval> = None;
    for (k, interval) in intervals.iter().enumerate() {
        let follows = before.is_none_or(|before| interval.start > before.end);
        if !(follows && observed.start <= interval.start && interval.end <= observed.end) {
            let from = before.map_or(format!("from {}", observed.start), |b| format!("after {}", b.end));
            let expected = format!("an interval {from} and up to {}", observed.end);
            let got = format!("{} to {}", interval.start, interval.end);
            return Err(Error::input(&format!("`{name}` {k}"), expected, got));
        }
        before = Some(*interval);
    }
    Ok(())
}

/// Which alarm before a failure counts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LeadTime {
    /// The alarm that is on at the failure: one that goes out before is none. An alarm that is on when records end is to be
    /// given the failure as its end.
    Lasting,
    /// The first that is on within `[failure - horizon, failure)`; one that was on before counts from the start of it.
    Within(Seconds),
}

impl LeadTime {
    /// Seconds from the alarm to the failure; `None` where no alarm counts, which is a failure without warning.
    ///
    /// ```
    /// use prognos::{evaluate::{Interval, LeadTime}, quantity::{LifeUnit, Seconds, Timestamp}};
    /// let span = |a, b| Interval::new(Timestamp::from_secs(a), Timestamp::from_secs(b));
    /// let (alarms, failure) = ([span(10, 20)?, span(60, 70)?, span(90, 100)?], Timestamp::from_secs(100));
    /// assert_eq!(LeadTime::Lasting.of(&alarms, failure)?, Some(10.0));
    /// assert_eq!(LeadTime::Within(Seconds::new(50.0)?).of(&alarms, failure)?, Some(40.0));
    /// # Ok::<(), prognos::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput`, naming the interval, where alarms are not in order and apart. Alarms after the failure mean nothing.
    pub fn of(self, alarms: &[Interval], failure: Timestamp) -> Result<Option<f64>> {
        let ever = Interval {
            start: Timestamp::from_nanos(i64::MIN),
            end: Timestamp::from_nanos(i64::MAX),
        };
        expect_in_order("alarms", ever, alarms)?;
        let before = |alarm: &&Interval| alarm.start < failure;
        let lead = |alarm: &Interval| seconds_between(alarm.start, failure);
        Ok(match self {
            Self::Lasting => {
                let on = |alarm: &&Interval| alarm.end >= failure;
                alarms.iter().filter(before).find(on).map(lead)
            }
            Self::Within(horizon) => {
                let horizon_s = horizon.get();
                let in_window = |alarm: &&Interval| seconds_between(alarm.end, failure) <= horizon_s;
                alarms
                    .iter()
                    .filter(before)
                    .find(in_window)
                    .map(|alarm| lead(alarm).min(horizon_s))
            }
        })
    }
}
