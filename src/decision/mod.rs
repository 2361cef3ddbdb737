//! Advice: when scores become an alarm, and what is said with it.

mod alarm;

pub use alarm::{AlarmPolicy, AlarmState, AlarmTransition};

use crate::{
    model::{AnomalyScore, RulEstimate},
    quantity::Timestamp,
};
use serde::Serialize;
use std::{fmt, sync::Arc};

/// What the chain says of a machine at one row.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Decision {
    /// No alarm is active.
    Normal(Condition),
    /// An alarm is active.
    Alarm(Alarm),
}

impl Decision {
    /// Score and remaining life, alarm or not.
    pub fn condition(&self) -> &Condition {
        match self {
            Self::Normal(condition) => condition,
            Self::Alarm(alarm) => &alarm.condition,
        }
    }

    /// The alarm, where one is active.
    pub fn alarm(&self) -> Option<&Alarm> {
        match self {
            Self::Alarm(alarm) => Some(alarm),
            Self::Normal(_) => None,
        }
    }
}

/// A machine's condition as of one row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// Instant of the row.
    pub time: Timestamp,
    /// The detector's score.
    pub score: AnomalyScore,
    /// Remaining life, where the chain has a regressor.
    pub rul: Option<RulEstimate>,
}

/// One channel's part in a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cause {
    /// The channel.
    pub channel: Arc<str>,
    /// Its share of the score, all channels together one.
    pub share: f64,
}

/// The causes named at most.
pub const MAX_CAUSES: usize = 3;

/// An active alarm: what, since when, which sensors, and the life left.
///
/// ```text
/// alarm since 2417.000000000 s: score 3.10 over 1.94 (Ps30 41%, T50 22%, phi 11%), RUL 38 (29..47) cycles
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// Instant at which it was raised.
    pub since: Timestamp,
    /// Whether this very row raised it.
    pub raised_now: bool,
    /// Score and remaining life at this row.
    pub condition: Condition,
    /// The channels with the largest positive shares of this row's score, largest first.
    pub causes: [Option<Cause>; MAX_CAUSES],
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let score = self.condition.score;
        write!(
            f,
            "alarm since {}: score {:.2} over {:.2}",
            self.since, score.value, score.threshold
        )?;
        let causes = self.causes.iter().flatten();
        for (i, cause) in causes.clone().enumerate() {
            write!(
                f,
                "{}{} {:.0}%",
                if i == 0 { " (" } else { ", " },
                cause.channel,
                100.0 * cause.share
            )?;
        }
        if causes.count() > 0 {
            f.write_str(")")?;
        }
        match self.condition.rul {
            Some(rul) => write!(f, ", RUL {rul}"),
            None => Ok(()),
        }
    }
}
