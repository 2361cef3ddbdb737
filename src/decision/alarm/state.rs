//! What is remembered of one machine's alarm, and what an operator does to it.

use super::{AlarmEvent, AlarmEventKind, AlarmEvents, MAX_CAUSES, Severity, severity::MAX_ZONES};
use crate::{
    error::{Error, Result},
    model::AnomalyScore,
    quantity::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Where an alarm stands, in the terms of ISA-18.2 and IEC 62682.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AlarmStanding {
    /// No alarm.
    Normal,
    /// Active, and nobody has acknowledged it.
    Unacknowledged,
    /// Active and acknowledged.
    Acknowledged,
    /// Latched: its condition has returned to normal, nobody has acknowledged it.
    ReturnedUnacknowledged,
}

/// The alarm of one machine; made by [`AlarmPolicy::new_state`](super::AlarmPolicy::new_state).
///
/// Some 350 bytes, whatever the policy; serialises through validation, and goes on from its bytes to the last bit.
///
/// # Shelving
/// While an alarm is [shelved](AlarmState::shelve) its rows are counted and its inner state runs on, but it gives no event
/// of being raised, escalated, de-escalated, returned, resumed or cleared. When the shelving ends, what stands is reported:
/// an alarm that was raised meanwhile is `Raised` then, with the instant at which it truly began; one that ended meanwhile is
/// `Cleared`. So whoever follows the events knows what stands, except on the shelf. Lost sensors are reported all the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StateRecord", into = "StateRecord")]
pub struct AlarmState {
    pub(super) rows: Rows,
    pub(super) zones: [Rows; MAX_ZONES],
    pub(super) active: Option<Active>,
    /// The alarm as the events so far tell it.
    announced: Option<Active>,
    /// Since when enough rows have been high.
    pub(super) pending: Option<Timestamp>,
    /// When the last alarm ended.
    pub(super) cleared: Option<Timestamp>,
    /// The last usable row, judged or not.
    usable: Option<Timestamp>,
    /// The last judged row.
    pub(super) judged: Option<Timestamp>,
    missing: Missing,
    shelved_until: Option<Timestamp>,
}

/// The last rows, the newest in the lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rows {
    pub highs: u64,
    pub lows: u64,
}

/// Which side of a limit a row lies on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub high: bool,
    pub low: bool,
}

impl Row {
    pub fn new(score: AnomalyScore, ratio: f64, share: f64, harmless: bool) -> Self {
        let limit = ratio * score.threshold;
        let high = score.value > limit && !harmless;
        // A share of a negative limit would lie above it.
        let low = harmless || (!high && (limit <= 0.0 || score.value <= share * limit));
        Self { high, low }
    }
}

impl Rows {
    pub fn push(&mut self, row: Row, n_high: u32, n_low: u32) {
        let window = |n: u32| if n >= 64 { u64::MAX } else { (1 << n) - 1 };
        self.highs = (self.highs << 1 | u64::from(row.high)) & window(n_high);
        self.lows = (self.lows << 1 | u64::from(row.low)) & window(n_low);
    }

    pub fn n_high(&self) -> u32 {
        self.highs.count_ones()
    }

    pub fn n_low(&self) -> u32 {
        self.lows.count_ones()
    }
}

/// A standing alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Active {
    pub since: Timestamp,
    pub severity: Severity,
    pub acknowledged: bool,
    pub returned: bool,
}

/// A run of missing rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Missing {
    pub rows: u32,
    /// The last usable row before the run; of a machine that never had one, the first missing row.
    since: Option<Timestamp>,
    last: Option<Timestamp>,
    /// When the sensor was found lost.
    lost: Option<Timestamp>,
}

impl Missing {
    /// Nanoseconds since the last usable row.
    pub fn lasted(&self, time: Timestamp) -> i128 {
        self.since.map_or(0, |since| nanos_between(since, time))
    }
}

impl AlarmState {
    /// When the standing alarm was raised; `None` without one.
    pub fn since(&self) -> Option<Timestamp> {
        self.active.map(|a| a.since)
    }

    /// How grave the standing alarm is; `None` without one.
    pub fn severity(&self) -> Option<Severity> {
        self.active.map(|a| a.severity)
    }

    /// Where the alarm stands, shelved or not.
    pub fn standing(&self) -> AlarmStanding {
        match self.active {
            None => AlarmStanding::Normal,
            Some(a) if a.returned => AlarmStanding::ReturnedUnacknowledged,
            Some(a) if a.acknowledged => AlarmStanding::Acknowledged,
            Some(_) => AlarmStanding::Unacknowledged,
        }
    }

    /// The instant at which the shelving ends; `None` where the alarm is not shelved.
    pub fn shelved_until(&self) -> Option<Timestamp> {
        self.shelved_until
    }

    /// When the sensor was found lost; `None` where it is not.
    pub fn sensor_lost_since(&self) -> Option<Timestamp> {
        self.missing.lost
    }

    /// Acknowledges the standing alarm at `time`. A latched one whose condition has gone ends by it. Doing so again, or
    /// without an alarm, changes nothing and gives no event.
    pub fn acknowledge(&mut self, time: Timestamp) -> AlarmEvents {
        let mut events = AlarmEvents::none();
        let Some(active) = self.active.filter(|a| !a.acknowledged) else {
            return events;
        };
        let now = Active {
            acknowledged: true,
            ..active
        };
        events.push(event(time, AlarmEventKind::Acknowledged, Some(now), None));
        if active.returned {
            self.active = None;
            // By the clock of rows: the operator's may differ.
            self.cleared = self.judged;
            self.rows.highs = 0;
            self.zones.iter_mut().for_each(|z| z.highs = 0);
            self.pending = None;
        } else {
            self.active = Some(now);
        }
        self.tell(time, None, &mut events);
        events
    }

    /// Shelves the alarm from `time` to the first row (usable or missing) at or after `until`, or to
    /// [`unshelve`](AlarmState::unshelve). Shelving a shelved alarm moves its end.
    ///
    /// # Errors
    /// `InvalidParameter` unless `until` lies after `time`.
    pub fn shelve(&mut self, time: Timestamp, until: Timestamp) -> Result<AlarmEvents> {
        if until <= time {
            return Err(Error::parameter("end of shelving", format!("after {time}"), until));
        }
        let mut events = AlarmEvents::none();
        if self.shelved_until != Some(until) {
            self.shelved_until = Some(until);
            events.push(event(time, AlarmEventKind::Shelved, self.active, None));
        }
        Ok(events)
    }

    /// Ends the shelving at `time`, and reports what stands. Changes nothing where the alarm is not shelved.
    pub fn unshelve(&mut self, time: Timestamp) -> AlarmEvents {
        let mut events = AlarmEvents::none();
        if self.shelved_until.take().is_some() {
            events.push(event(time, AlarmEventKind::Unshelved, self.active, None));
            self.tell(time, None, &mut events);
        }
        events
    }

    /// Whether `time` lies after every row so far.
    pub(super) fn is_after_all(&self, time: Timestamp) -> bool {
        self.usable.is_none_or(|t| time > t) && self.missing.last.is_none_or(|t| time > t)
    }

    /// Takes note of a usable row; `false` where it does not lie after the last one.
    pub(super) fn take_usable(&mut self, time: Timestamp, events: &mut AlarmEvents) -> bool {
        if self.usable.is_some_and(|last| time <= last) {
            return false;
        }
        self.usable = Some(time);
        if self.missing.lost.is_some() {
            events.push(event(time, AlarmEventKind::SensorRecovered, None, None));
        }
        // A late usable row must not make earlier missing rows count again.
        self.missing = Missing {
            last: self.missing.last.filter(|last| *last > time),
            ..Missing::default()
        };
        true
    }

    /// Counts a missing row.
    pub(super) fn take_missing(
        &mut self,
        time: Timestamp,
        is_lost: impl FnOnce(&Missing) -> bool,
        events: &mut AlarmEvents,
    ) {
        let run = &mut self.missing;
        run.rows = run.rows.saturating_add(1);
        run.since = run.since.or(self.usable).or(Some(time));
        run.last = Some(time);
        if run.lost.is_none() && is_lost(run) {
            run.lost = Some(time);
            events.push(event(time, AlarmEventKind::SensorLost, None, None));
        }
    }

    /// The rows so far count no more.
    pub(super) fn forget(&mut self) {
        self.rows = Rows::default();
        self.zones = Default::default();
        self.pending = None;
    }

    /// Ends a shelving whose time is over, and tells what changed.
    pub(super) fn announce(&mut self, time: Timestamp, score: Option<AnomalyScore>, events: &mut AlarmEvents) {
        if self.shelved_until.is_some_and(|until| time >= until) {
            self.shelved_until = None;
            events.push(event(time, AlarmEventKind::Unshelved, self.active, None));
        }
        self.tell(time, score, events);
    }

    /// Tells how the alarm differs from what was told before, unless it is shelved.
    fn tell(&mut self, time: Timestamp, score: Option<AnomalyScore>, events: &mut AlarmEvents) {
        use AlarmEventKind::{Cleared, Deescalated, Escalated, Raised, Resumed, Returned};
        if self.shelved_until.is_some() {
            return;
        }
        let mut push = |kind, alarm| events.push(event(time, kind, Some(alarm), score));
        let same = |a: &Active, b: &Active| a.since == b.since;
        let (before, now) = (self.announced, self.active);
        match (before, now) {
            (Some(before), Some(now)) if same(&before, &now) => {
                if now.severity > before.severity {
                    push(Escalated, now);
                } else if now.severity < before.severity {
                    push(Deescalated, now);
                }
                match (before.returned, now.returned) {
                    (false, true) => push(Returned, now),
                    (true, false) => push(Resumed, now),
                    _ => {}
                }
            }
            _ => {
                if let Some(before) = before {
                    push(Cleared, before);
                }
                if let Some(now) = now {
                    push(Raised, now);
                    if now.returned {
                        push(Returned, now);
                    }
                }
            }
        }
        self.announced = self.active;
    }
}

/// Cannot overflow, and exact: in seconds, a second may be a little more than one.
pub(super) fn nanos_between(earlier: Timestamp, later: Timestamp) -> i128 {
    i128::from(later.nanos()) - i128::from(earlier.nanos())
}

fn event(time: Timestamp, kind: AlarmEventKind, alarm: Option<Active>, score: Option<AnomalyScore>) -> AlarmEvent {
    AlarmEvent {
        time,
        kind,
        severity: alarm.map(|a| a.severity),
        since: alarm.map(|a| a.since),
        score,
        causes: [const { None }; MAX_CAUSES],
    }
}

/// A state as it is written. What the first version knew bears the names it had there; the rest may be missing.
#[derive(Serialize, Deserialize)]
struct StateRecord {
    /// The last rows, set where high.
    recent: u64,
    since: Option<Timestamp>,
    #[serde(default)]
    more: Option<MoreRecord>,
}

#[derive(Serialize, Deserialize)]
struct MoreRecord {
    lows: u64,
    zones: [Rows; MAX_ZONES],
    active: Option<Active>,
    announced: Option<Active>,
    pending: Option<Timestamp>,
    cleared: Option<Timestamp>,
    usable: Option<Timestamp>,
    judged: Option<Timestamp>,
    missing: Missing,
    shelved_until: Option<Timestamp>,
}

impl From<AlarmState> for StateRecord {
    fn from(s: AlarmState) -> Self {
        Self {
            recent: s.rows.highs,
            since: s.since(),
            more: Some(MoreRecord {
                lows: s.rows.lows,
                zones: s.zones,
                active: s.active,
                announced: s.announced,
                pending: s.pending,
                cleared: s.cleared,
                usable: s.usable,
                judged: s.judged,
                missing: s.missing,
                shelved_until: s.shelved_until,
            }),
        }
    }
}

impl TryFrom<StateRecord> for AlarmState {
    type Error = Error;

    fn try_from(r: StateRecord) -> Result<Self> {
        let broken = |what: &str| Err(Error::persistence(format!("alarm state: {what}")));
        let Some(more) = r.more else {
            // The first version cleared when no row of the last n was high.
            let active = r.since.map(|since| Active {
                since,
                severity: Severity::Alarm,
                acknowledged: false,
                returned: false,
            });
            return Ok(Self {
                rows: Rows {
                    highs: r.recent,
                    lows: !r.recent,
                },
                active,
                announced: active,
                ..Self::default()
            });
        };
        let state = Self {
            rows: Rows {
                highs: r.recent,
                lows: more.lows,
            },
            zones: more.zones,
            active: more.active,
            announced: more.announced,
            pending: more.pending,
            cleared: more.cleared,
            usable: more.usable,
            judged: more.judged,
            missing: more.missing,
            shelved_until: more.shelved_until,
        };
        if r.since != state.since() {
            return broken("two instants at which the alarm was raised");
        }
        let both = |a: Option<Active>| a.is_some_and(|a| a.returned && a.acknowledged);
        if both(state.active) || both(state.announced) {
            return broken("an alarm that returned and was acknowledged would have ended");
        }
        if state.shelved_until.is_none() && state.announced != state.active {
            return broken("an alarm that no event told of, and is not shelved");
        }
        if [state.rows].iter().chain(&state.zones).any(|r| r.highs & r.lows != 0) {
            return broken("a row both high and low");
        }
        if state.judged > state.usable {
            return broken("a judged row after the last usable one");
        }
        Ok(state)
    }
}
