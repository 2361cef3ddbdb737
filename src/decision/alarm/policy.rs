//! The settings of an alarm, and the step they govern.

use super::{
    AlarmEvents, AlarmInput, AlarmState, SeverityZones,
    severity::{MAX_ZONES, Zone, ZonesRecord},
    state::{Active, Row, nanos_between},
};
use crate::{
    error::{Error, Result},
    model::AnomalyScore,
    quantity::{Seconds, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// When an alarm is raised, how grave it is, and when it ends.
///
/// A row is *high* where its score exceeds the threshold, *low* where it is at most [`share`](AlarmPolicy::hysteresis)
/// times the threshold (a threshold at or below zero has no share of itself: rows are high or low), and neither between.
///
/// - **Raised** at a high row when `m` of the last `n` judged rows are high, that has been so at every judged row for the
///   [minimum duration](AlarmPolicy::minimum_duration), and the [refractory time](AlarmPolicy::refractory) is over.
/// - **Cleared** at a low row when `k` of the last `of` judged rows are low ([`clear_after`](AlarmPolicy::clear_after);
///   all of the last `n` unless set). Rows before the alarm was raised do not count.
/// - **[Severity](SeverityZones)** follows the same counts, zone by zone.
/// - **[Latched](AlarmPolicy::latched)** alarms stand until they are acknowledged, too.
///
/// # Missing rows
/// A missing row neither raises nor clears, and takes no place among the last `n`. After a
/// [number](AlarmPolicy::sensor_lost_after_rows) or [time](AlarmPolicy::sensor_lost_after) of them, where one is set, the
/// *sensor* is lost: an event and a condition of its own. After a gap longer than
/// [`forget_after`](AlarmPolicy::forget_after) counting starts anew, but a standing alarm stands.
///
/// # Time
/// A judged row that does not lie after the usable row before it is ignored, a missing row likewise if it does not lie
/// after the last row of any kind: clocks that stand or run backwards change nothing.
///
/// # Terms of ISA-18.2 and IEC 62682
/// `m`-of-`n` and the minimum duration are an on-delay, the hysteresis a deadband, `k`-of-`of` an off-delay, the refractory
/// time suppression by design. [`AlarmStanding`](super::AlarmStanding) has their states; an alarm that is not latched
/// needs no acknowledgement to go. [`AlarmState::shelve`] shelves.
///
/// ```
/// use prognos::decision::{AlarmEventKind, AlarmPolicy};
/// use prognos::{model::AnomalyScore, quantity::{Seconds, Timestamp}};
/// let policy = AlarmPolicy::m_of_n(2, 3).hysteresis(0.8).clear_after(2, 2).refractory(Seconds::new(60.0)?);
/// let mut state = policy.new_state();
/// let mut at = |s, value| {
///     let score = AnomalyScore { value, threshold: 1.0 };
///     let events = policy.step(&mut state, Timestamp::from_secs(s), score.into());
///     events.iter().map(|e| e.kind).next()
/// };
/// assert_eq!(at(1, 1.2), None);
/// assert_eq!(at(2, 0.9), None);
/// assert_eq!(at(3, 1.1), Some(AlarmEventKind::Raised));
/// assert_eq!(at(4, 0.9), None); // neither high nor low
/// assert_eq!(at(5, 0.7), None);
/// assert_eq!(at(6, 0.8), Some(AlarmEventKind::Cleared));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PolicyRecord", into = "PolicyRecord")]
pub struct AlarmPolicy {
    m: u32,
    n: u32,
    latch: bool,
    share: f64,
    clear: Option<(u32, u32)>,
    minimum_duration: Option<Seconds>,
    refractory: Option<Seconds>,
    forget_after: Option<Seconds>,
    lost_after: Option<Seconds>,
    lost_after_rows: Option<u32>,
    zones: SeverityZones,
}

/// What is not set is not written: a policy of the first three alone has the bytes it always had.
#[derive(Serialize, Deserialize)]
struct PolicyRecord {
    m: u32,
    n: u32,
    latch: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clear: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minimum_duration_s: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refractory_s: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forget_after_s: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost_after_s: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost_after_rows: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zones: Option<ZonesRecord>,
}

impl From<AlarmPolicy> for PolicyRecord {
    fn from(p: AlarmPolicy) -> Self {
        Self {
            m: p.m,
            n: p.n,
            latch: p.latch,
            share: (p.share != 1.0).then_some(p.share),
            clear: p.clear,
            minimum_duration_s: p.minimum_duration,
            refractory_s: p.refractory,
            forget_after_s: p.forget_after,
            lost_after_s: p.lost_after,
            lost_after_rows: p.lost_after_rows,
            zones: (p.zones != SeverityZones::default()).then(|| p.zones.into()),
        }
    }
}

impl TryFrom<PolicyRecord> for AlarmPolicy {
    type Error = Error;

    fn try_from(r: PolicyRecord) -> Result<Self> {
        let policy = Self {
            m: r.m,
            n: r.n,
            latch: r.latch,
            share: r.share.unwrap_or(1.0),
            clear: r.clear,
            minimum_duration: r.minimum_duration_s,
            refractory: r.refractory_s,
            forget_after: r.forget_after_s,
            lost_after: r.lost_after_s,
            lost_after_rows: r.lost_after_rows,
            zones: r.zones.map(SeverityZones::from).unwrap_or_default(),
        };
        policy.check().map(|()| policy)
    }
}

impl fmt::Debug for AlarmPolicy {
    /// What is not set is left out, as in files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AlarmPolicy");
        debug
            .field("m", &self.m)
            .field("n", &self.n)
            .field("latch", &self.latch);
        if self.share != 1.0 {
            debug.field("share", &self.share);
        }
        if let Some((k, of)) = self.clear {
            debug.field("clear", &(k, of));
        }
        for (name, seconds) in [
            ("minimum_duration", self.minimum_duration),
            ("refractory", self.refractory),
            ("forget_after", self.forget_after),
            ("lost_after", self.lost_after),
        ] {
            if let Some(seconds) = seconds {
                debug.field(name, &seconds);
            }
        }
        if let Some(rows) = self.lost_after_rows {
            debug.field("lost_after_rows", &rows);
        }
        if self.zones != SeverityZones::default() {
            debug.field("zones", &self.zones);
        }
        debug.finish()
    }
}

impl Default for AlarmPolicy {
    /// Three of five.
    fn default() -> Self {
        Self::m_of_n(3, 5)
    }
}

impl AlarmPolicy {
    /// Raised when `m` of the last `n` judged rows are high, cleared when all of the last `n` are low. Settings are checked
    /// by [`check`](AlarmPolicy::check), which fitting a pipeline does.
    pub fn m_of_n(m: u32, n: u32) -> Self {
        Self {
            m,
            n,
            latch: false,
            share: 1.0,
            clear: None,
            minimum_duration: None,
            refractory: None,
            forget_after: None,
            lost_after: None,
            lost_after_rows: None,
            zones: SeverityZones::default(),
        }
    }

    /// Rows count as low only at or below `share` times the threshold: 1 unless set. Between, they neither raise nor clear.
    #[must_use]
    pub fn hysteresis(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// Cleared when `k` of the last `of` judged rows are low.
    #[must_use]
    pub fn clear_after(mut self, k: u32, of: u32) -> Self {
        self.clear = Some((k, of));
        self
    }

    /// Raised only once `m` of the last `n` rows have been high at every judged row for this long.
    #[must_use]
    pub fn minimum_duration(mut self, duration: Seconds) -> Self {
        self.minimum_duration = Some(duration);
        self
    }

    /// Raises no new alarm until this long after the last one was cleared. Rows go on being counted: a condition that
    /// still holds then is raised at the next high row.
    #[must_use]
    pub fn refractory(mut self, duration: Seconds) -> Self {
        self.refractory = Some(duration);
        self
    }

    /// After a gap between judged rows longer than this, the rows before it count no more, neither for raising nor for
    /// clearing. A standing alarm stands.
    #[must_use]
    pub fn forget_after(mut self, gap: Seconds) -> Self {
        self.forget_after = Some(gap);
        self
    }

    /// Keeps a raised alarm until its condition has gone *and* it was acknowledged.
    #[must_use]
    pub fn latched(mut self) -> Self {
        self.latch = true;
        self
    }

    /// Severities by zones of score over threshold; [`Severity::Alarm`](super::Severity::Alarm) alone unless set.
    #[must_use]
    pub fn severity(mut self, zones: SeverityZones) -> Self {
        self.zones = zones;
        self
    }

    /// The sensor is lost at a missing row that lies this long after the last usable one (or after the first row of all).
    /// Where no rows come at all, tell the machine so by [`AlarmInput::Missing`].
    #[must_use]
    pub fn sensor_lost_after(mut self, duration: Seconds) -> Self {
        self.lost_after = Some(duration);
        self
    }

    /// The sensor is lost at the `n`-th missing row in succession. With a time set too, whichever comes first.
    #[must_use]
    pub fn sensor_lost_after_rows(mut self, n: u32) -> Self {
        self.lost_after_rows = Some(n);
        self
    }

    /// The severities an alarm may have.
    pub fn zones(&self) -> &SeverityZones {
        &self.zones
    }

    /// Whether missing rows are counted, so that they change a state.
    pub fn watches_sensors(&self) -> bool {
        self.lost_after.is_some() || self.lost_after_rows.is_some()
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the first that lies outside its range: `1 <= m <= n <= 64`, the same of `clear_after`,
    /// a hysteresis share of 0 to 1, at least one missing row, zones of rising severity and ratio.
    pub fn check(&self) -> Result<()> {
        for (name, m, n) in [
            ("alarm m of n", self.m, self.n),
            ("alarm clear_after", self.clearing().0, self.clearing().1),
        ] {
            if !(1..=n).contains(&m) || n > 64 {
                return Err(Error::parameter(name, "1 <= m <= n <= 64", format!("{m} of {n}")));
            }
        }
        if !(self.share >= 0.0 && self.share <= 1.0) {
            return Err(Error::parameter("alarm hysteresis", "0 to 1", self.share));
        }
        if self.lost_after_rows == Some(0) {
            return Err(Error::parameter("sensor_lost_after_rows", "at least 1", 0));
        }
        self.zones.check()
    }

    /// A machine without an alarm.
    pub fn new_state(&self) -> AlarmState {
        AlarmState::default()
    }

    /// Takes the next row; gives what happened. Costs a few dozen nanoseconds and allocates nothing.
    ///
    /// Events of a judged row carry its score; their causes are for the caller to fill in
    /// ([`AlarmEvents::set_causes`]).
    pub fn step(&self, state: &mut AlarmState, time: Timestamp, input: AlarmInput) -> AlarmEvents {
        let mut events = AlarmEvents::none();
        self.step_into(state, time, input, &mut events);
        events
    }

    /// [`step`](AlarmPolicy::step), adding to what happened before: most rows do nothing, and moving room for five events costs
    /// more than judging a row.
    pub(crate) fn step_into(
        &self,
        state: &mut AlarmState,
        time: Timestamp,
        input: AlarmInput,
        events: &mut AlarmEvents,
    ) {
        let finite = |s: AnomalyScore| s.value.is_finite() && s.threshold.is_finite();
        match input {
            AlarmInput::Score(score) | AlarmInput::Harmless(score) if finite(score) => {
                if !state.take_usable(time, events) {
                    return;
                }
                self.judge(state, time, score, matches!(input, AlarmInput::Harmless(_)));
                state.announce(time, Some(score), events);
            }
            AlarmInput::Unjudged => {
                if state.take_usable(time, events) {
                    state.announce(time, None, events);
                }
            }
            _ => {
                if !state.is_after_all(time) {
                    return;
                }
                if self.watches_sensors() {
                    state.take_missing(
                        time,
                        |run| {
                            self.lost_after_rows.is_some_and(|n| run.rows >= n)
                                || self.lost_after.is_some_and(|s| run.lasted(time) >= nanos_of(s))
                        },
                        events,
                    );
                }
                state.announce(time, None, events);
            }
        }
    }

    fn clearing(&self) -> (u32, u32) {
        self.clear.unwrap_or((self.n, self.n))
    }

    /// Counts a row, and raises, lifts, lowers or ends the alarm.
    fn judge(&self, state: &mut AlarmState, time: Timestamp, score: AnomalyScore, harmless: bool) {
        let elapsed = |limit: Option<Seconds>, since: Option<Timestamp>| match (limit, since) {
            (Some(limit), Some(since)) => nanos_between(since, time) >= nanos_of(limit),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let gap = state.judged.map_or(0, |before| nanos_between(before, time));
        if self.forget_after.is_some_and(|limit| gap > nanos_of(limit)) {
            state.forget();
        }
        state.judged = Some(time);

        let row = Row::new(score, 1.0, self.share, harmless);
        state.rows.push(row, self.n, self.clearing().1);
        let zone_rows: [Option<Row>; MAX_ZONES] = self.zones.above.map(|zone: Option<Zone>| {
            let zone = zone.filter(|_| score.threshold > 0.0)?;
            Some(Row::new(score, zone.ratio, zone.share, harmless))
        });
        let low = Row { high: false, low: true };
        for (rows, row) in state.zones.iter_mut().zip(&zone_rows) {
            rows.push(row.unwrap_or(low), self.n, self.clearing().1);
        }

        let holds = state.rows.n_high() >= self.m;
        state.pending = holds.then(|| state.pending.unwrap_or(time));
        let raises = row.high && holds && elapsed(self.minimum_duration, state.pending);
        let clears = row.low && state.rows.n_low() >= self.clearing().0;
        match &mut state.active {
            None => {
                let quiet = state.cleared.is_some() && !elapsed(self.refractory, state.cleared);
                if raises && !quiet {
                    let level = self.reached(state, &zone_rows, 0);
                    state.active = Some(Active {
                        since: time,
                        severity: self.zones.severity_of(level),
                        acknowledged: false,
                        returned: false,
                    });
                    state.rows.lows = 0;
                    state.zones.iter_mut().for_each(|z| z.lows = 0);
                }
            }
            Some(active) if active.returned => {
                if raises {
                    active.returned = false;
                    state.rows.lows = 0;
                    state.zones.iter_mut().for_each(|z| z.lows = 0);
                }
            }
            Some(active) if clears => {
                if self.latch && !active.acknowledged {
                    active.returned = true;
                } else {
                    state.active = None;
                    state.cleared = Some(time);
                }
                state.rows.highs = 0;
                state.zones.iter_mut().for_each(|z| z.highs = 0);
                state.pending = None;
            }
            Some(active) => {
                let active = *active;
                self.grade(state, active, &zone_rows);
            }
        }
    }

    /// Moves the severity of an alarm that goes on.
    fn grade(&self, state: &mut AlarmState, mut active: Active, rows: &[Option<Row>; MAX_ZONES]) {
        let level = self.zones.level_of(active.severity);
        let up = self.reached(state, rows, level);
        let mut now = up;
        if up > level {
            active.acknowledged = false;
            let reached = state.zones.iter_mut().take(up).skip(level);
            reached.for_each(|z| z.lows = 0);
        } else {
            // Where the threshold has no multiples, rows lie below every zone.
            let falls = |level: usize| {
                let i = level - 1;
                rows.get(i).is_some_and(|r| r.is_none_or(|r| r.low))
                    && state.zones.get(i).is_some_and(|z| z.n_low() >= self.clearing().0)
            };
            while now > 0 && falls(now) {
                now -= 1;
            }
            let left = state.zones.iter_mut().take(level).skip(now);
            left.for_each(|z| z.highs = 0);
        }
        active.severity = self.zones.severity_of(now);
        state.active = Some(active);
    }

    /// The highest zone from `level` up that enough rows reach, this one among them.
    fn reached(&self, state: &AlarmState, rows: &[Option<Row>; MAX_ZONES], level: usize) -> usize {
        let reaches = |i: &usize| {
            rows.get(*i).copied().flatten().is_some_and(|r| r.high)
                && state.zones.get(*i).is_some_and(|z| z.n_high() >= self.m)
        };
        (level..MAX_ZONES).rev().find(reaches).map_or(level, |i| i + 1)
    }
}

/// A duration in whole nanoseconds: instants are compared exactly.
fn nanos_of(duration: Seconds) -> i128 {
    (duration.get() * 1e9).round() as i128 // saturates
}
