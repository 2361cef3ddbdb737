//! Why the last decision on a machine came.

use super::slot::Slot;
use crate::{
    decision::{AlarmPolicy, AlarmStanding, Cause, Condition, Severity},
    envelope::Fingerprint,
    error::Result,
    model::{AnomalyScore, Assessment, OnlineModel, UnusableReason},
    pipeline::{Pipeline, PipelineScratch},
    quantity::{LifeUnit, Timestamp},
};
use serde::Serialize;
use std::fmt;

/// Why the last decision on a machine came: what it stands on, in the order of the chain.
///
/// Prints as a few lines of text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation<K> {
    /// The machine.
    pub asset: K,
    /// The model that judges it.
    pub model: Fingerprint,
    /// The unit of ages.
    pub life_unit: LifeUnit,
    /// Usable rows taken.
    pub rows: u64,
    /// Rows held back or set aside.
    pub rows_held: usize,
    /// Instant of the last usable row.
    pub time: Option<Timestamp>,
    /// Age at that row.
    pub age: Option<f64>,
    /// How the last row judged ended; `None` where the fleet was restored since.
    pub last: Option<Assessment<Condition>>,
    /// Why rows cannot be used, while they cannot.
    pub unusable: Option<UnusableReason>,
    /// Whether enough is known of the machine for its rows to count for alarms.
    pub is_settled: bool,
    /// The score of the last usable row.
    pub score: Option<AnomalyScore>,
    /// The channels that raised that score, largest share first; empty for a detector that remembers, which has taken the row
    /// and cannot be asked again.
    pub causes: Vec<Cause>,
    /// When rows become an alarm.
    pub policy: AlarmPolicy,
    /// Where the alarm stands.
    pub standing: AlarmStanding,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How grave it is.
    pub severity: Option<Severity>,
    /// When its shelving ends.
    pub shelved_until: Option<Timestamp>,
    /// When the sensor was found lost.
    pub sensor_lost_since: Option<Timestamp>,
}

impl<K: Clone> Explanation<K> {
    pub(super) fn of(slot: &Slot<K>, model: &Pipeline, scratch: &mut PipelineScratch) -> Result<Self> {
        let state = &slot.memory.state;
        let stands = model.standing(state, scratch)?;
        let told = match &slot.last {
            Some(Assessment::Ready(condition)) => Some(condition.score),
            _ => None,
        };
        let alarm = state.alarm();
        Ok(Self {
            asset: slot.key.clone(),
            model: model.fingerprint(),
            life_unit: model.life_unit(),
            rows: slot.memory.rows,
            rows_held: slot.memory.inbox.as_ref().map_or(0, |inbox| inbox.n_held()),
            time: stands.last,
            age: stands.age,
            last: slot.last,
            unusable: slot.unusable,
            is_settled: stands.is_settled,
            score: told.or(stands.score),
            causes: stands.causes,
            policy: model.alarm_policy(),
            standing: alarm.standing(),
            since: alarm.since(),
            severity: alarm.severity(),
            shelved_until: alarm.shelved_until(),
            sensor_lost_since: alarm.sensor_lost_since(),
        })
    }
}

impl<K: fmt::Display> fmt::Display for Explanation<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.asset)?;
        match (self.time, self.age) {
            (Some(time), Some(age)) => writeln!(f, "age {age:.1} {} at {time}, {} rows", self.life_unit, self.rows)?,
            _ => writeln!(f, "no usable row yet")?,
        }
        if let Some(score) = self.score {
            let side = if score.is_anomalous() { "above" } else { "not above" };
            writeln!(
                f,
                "score {:.3}, {side} its threshold {:.3}",
                score.value, score.threshold
            )?;
        }
        for cause in self.causes.iter().take(5) {
            writeln!(f, "  {} {:.0}%", cause.channel, 100.0 * cause.share)?;
        }
        if !self.is_settled {
            writeln!(
                f,
                "rows count for no alarm yet: less than the longest span of the features is known"
            )?;
        }
        if let Some(reason) = self.unusable {
            writeln!(f, "rows cannot be used: {reason}")?;
        }
        if let Some(Assessment::Ready(Condition { rul: Some(rul), .. })) = self.last {
            writeln!(f, "RUL {rul}")?;
        }
        match (self.severity, self.since) {
            (Some(severity), Some(since)) => write!(f, "{severity} since {since}")?,
            _ => write!(f, "no alarm")?,
        }
        if let Some(until) = self.shelved_until {
            write!(f, ", shelved until {until}")?;
        }
        if let Some(since) = self.sensor_lost_since {
            write!(f, ", sensor lost since {since}")?;
        }
        Ok(())
    }
}
