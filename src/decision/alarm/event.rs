//! What a step of the alarm machine tells.

use super::{Cause, MAX_CAUSES, Severity};
use crate::{model::AnomalyScore, quantity::Timestamp};
use serde::Serialize;
use std::fmt;

/// What happened to an alarm or to the sensors behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum AlarmEventKind {
    /// The alarm was raised.
    Raised,
    /// Its severity rose. An acknowledged alarm is unacknowledged again.
    Escalated,
    /// Its severity fell.
    Deescalated,
    /// The condition of a latched alarm that nobody has acknowledged went: return to normal. The alarm stands.
    Returned,
    /// The condition came back before the latched alarm was acknowledged.
    Resumed,
    /// The alarm ended.
    Cleared,
    /// An operator acknowledged it.
    Acknowledged,
    /// An operator shelved the machine's alarm.
    Shelved,
    /// The shelving ended. What changed meanwhile follows as events of its own.
    Unshelved,
    /// No usable row came for as long as the policy allows.
    SensorLost,
    /// A usable row came again.
    SensorRecovered,
}

impl AlarmEventKind {
    /// The name as printed: `raised`, `sensor lost`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Escalated => "escalated",
            Self::Deescalated => "de-escalated",
            Self::Returned => "returned",
            Self::Resumed => "resumed",
            Self::Cleared => "cleared",
            Self::Acknowledged => "acknowledged",
            Self::Shelved => "shelved",
            Self::Unshelved => "unshelved",
            Self::SensorLost => "sensor lost",
            Self::SensorRecovered => "sensor recovered",
        }
    }
}

impl fmt::Display for AlarmEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One transition of an alarm.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AlarmEvent {
    /// Instant of the row, or the one the operator's action was given.
    pub time: Timestamp,
    /// What happened.
    pub kind: AlarmEventKind,
    /// The severity of the alarm after the event; of one that ended, before. `None` where no alarm stands.
    pub severity: Option<Severity>,
    /// When that alarm was raised.
    pub since: Option<Timestamp>,
    /// The row's score and threshold; `None` where no judged row is behind the event.
    pub score: Option<AnomalyScore>,
    /// The channels with the largest positive shares of the score, largest first. The machine knows none: its caller
    /// fills them in, as a chain does for events that have a score.
    pub causes: [Option<Cause>; MAX_CAUSES],
}

/// The most events one step gives: sensors recovered, unshelved, an old alarm cleared, another raised and returned.
pub(super) const MAX_EVENTS: usize = 5;

/// The events of one step, in order; most steps have none. Holds them in place, without allocation.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmEvents {
    events: [Option<AlarmEvent>; MAX_EVENTS],
}

impl AlarmEvents {
    pub(crate) fn none() -> Self {
        Self {
            events: [const { None }; MAX_EVENTS],
        }
    }

    /// Forgets all; costs next to nothing where there are none.
    pub(crate) fn clear(&mut self) {
        for event in &mut self.events {
            if event.take().is_none() {
                return;
            }
        }
    }

    pub(super) fn push(&mut self, event: AlarmEvent) {
        if let Some(place) = self.events.iter_mut().find(|e| e.is_none()) {
            *place = Some(event);
        }
    }

    /// The events in order.
    pub fn iter(&self) -> impl Iterator<Item = &AlarmEvent> + Clone {
        self.events.iter().flatten()
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        matches!(self.events.first(), Some(None))
    }

    /// Whether an event of `kind` is among them.
    pub fn has(&self, kind: AlarmEventKind) -> bool {
        self.iter().any(|e| e.kind == kind)
    }

    /// Whether an event is among them that a row's score brought about, so that causes belong to it.
    pub fn has_score(&self) -> bool {
        self.iter().any(|e| e.score.is_some())
    }

    /// Writes the causes of the row's score into each event that has a score.
    pub fn set_causes(&mut self, causes: &[Option<Cause>; MAX_CAUSES]) {
        for event in self.events.iter_mut().flatten().filter(|e| e.score.is_some()) {
            event.causes.clone_from(causes);
        }
    }
}

impl Default for AlarmEvents {
    fn default() -> Self {
        Self::none()
    }
}

impl IntoIterator for AlarmEvents {
    type Item = AlarmEvent;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<AlarmEvent>, MAX_EVENTS>>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.into_iter().flatten()
    }
}
