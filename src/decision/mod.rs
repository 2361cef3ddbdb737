//! Advice: when scores become an alarm, what is said with it, and when to stop a machine.
//!
//! | what | how |
//! |---|---|
//! | alarms of scores | [`AlarmPolicy`], [`AlarmState`]; [`AlarmEvents`] are what operators are told |
//! | what a chain says of a row | [`Decision`]: [`Condition`], [`Alarm`] with its [`Cause`]s |
//! | when to stop a machine | [`MaintenanceAdvisor`]: the time of least expected cost by an [`Objective`], as [`Advice`] |
//! | machines served together | [`plan_services`], where they share the set-up of a stop |

mod advice;
mod alarm;

pub use advice::{
    Action, Advice, GroupedAsset, MAX_GROUPED, MaintenanceAdvisor, MaintenanceCosts, Objective, ServiceGroup,
    ServicePlan, plan_services,
};
pub use alarm::{
    AlarmEvent, AlarmEventKind, AlarmEvents, AlarmInput, AlarmPolicy, AlarmStanding, AlarmState, Direction, LimitRule,
    Severity, SeverityZones,
};

use crate::{
    model::{AnomalyScore, RulEstimate},
    quantity::{LifeUnit, Timestamp},
};
use serde::Serialize;
use std::{fmt, sync::Arc};

/// What the chain says of a machine at one row.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Decision {
    /// No alarm stands.
    Normal(Condition),
    /// An alarm stands, shelved or not.
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

    /// The alarm, where one stands.
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
    /// Age of the machine at the row, in `life_unit`: 0 at its first row, unless it was commissioned before.
    pub age: f64,
    /// The unit of ages and remaining lives.
    pub life_unit: LifeUnit,
    /// The detector's score.
    pub score: AnomalyScore,
    /// Remaining life at the row, where the chain has a regressor.
    pub rul: Option<RulEstimate>,
    /// Instant of the row the estimate was made at: this one, or an earlier one where a chain does not
    /// [prognose](crate::pipeline::PipelineParams::prognose_every) at every row.
    pub rul_time: Option<Timestamp>,
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

/// A standing alarm: what, since when, which sensors, and the life left.
///
/// ```text
/// alarm since cycle 241: score 3.10 over 1.94 (Ps30 41%, T50 22%, phi 11%), RUL 38 (29..47) cycles
/// ```
///
/// A machine that counts other units than cycles prints its age: `alarm since age 240.5 h`. Of another severity than
/// [`Severity::Alarm`], that one's name stands in front: `critical since cycle 241`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// Instant at which it was raised.
    pub since: Timestamp,
    /// Whether this very row raised it, or ended the shelving under which it was raised.
    pub raised_now: bool,
    /// How grave it is.
    pub severity: Severity,
    /// Whether an operator has acknowledged it.
    pub acknowledged: bool,
    /// Whether its condition has gone, and it stands only for want of an acknowledgement.
    pub returned: bool,
    /// Whether it is shelved: not to be annunciated.
    pub shelved: bool,
    /// Score and remaining life at this row.
    pub condition: Condition,
    /// The channels with the largest positive shares of this row's score, largest first.
    pub causes: [Option<Cause>; MAX_CAUSES],
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Condition {
            time,
            age,
            life_unit,
            score,
            rul,
            ..
        } = self.condition;
        match life_unit {
            LifeUnit::Cycles => {
                let cycle = life_unit.between(Timestamp::default(), self.since);
                write!(f, "{} since cycle {cycle:.0}", self.severity)?;
            }
            _ => {
                let age = age - life_unit.between(self.since, time);
                write!(f, "{} since age {age:.1} {life_unit}", self.severity)?;
            }
        }
        write!(f, ": score {:.2} over {:.2}", score.value, score.threshold)?;
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
        match rul {
            Some(rul) => write!(f, ", RUL {rul}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_say_since_when_in_the_unit_of_the_machine() {
        let cause = |channel: &str, share| {
            let channel = channel.into();
            Some(Cause { channel, share })
        };
        let alarm = |life_unit: LifeUnit, causes, rul| Alarm {
            since: life_unit.instant(241),
            raised_now: false,
            severity: Severity::Alarm,
            acknowledged: false,
            returned: false,
            shelved: false,
            condition: Condition {
                time: life_unit.instant(245),
                age: 244.5,
                life_unit,
                score: AnomalyScore {
                    value: 3.1,
                    threshold: 1.94,
                },
                rul,
                rul_time: None,
            },
            causes,
        };
        let rul = RulEstimate::new(38.0, 29.0, 47.0, 0.9, LifeUnit::Cycles).ok();
        let causes = [cause("Ps30", 0.41), cause("T50", 0.22), None];
        assert_eq!(
            alarm(LifeUnit::Cycles, causes, rul).to_string(),
            "alarm since cycle 241: score 3.10 over 1.94 (Ps30 41%, T50 22%), RUL 38 (29..47) cycles"
        );
        assert_eq!(
            alarm(LifeUnit::Hours, [const { None }; MAX_CAUSES], None).to_string(),
            "alarm since age 240.5 h: score 3.10 over 1.94"
        );
    }
}
