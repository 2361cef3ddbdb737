//! When anomalous rows become an alarm.

use crate::{
    error::{Error, Result},
    quantity::Timestamp,
};
use serde::{Deserialize, Serialize};

/// An alarm is raised when `m` of the last `n` usable rows are anomalous, and cleared when none of the last `n` is.
///
/// A row that is unusable counts for nothing: missing data neither raises nor clears. A latched alarm stays until
/// [`AlarmState::acknowledge`].
///
/// ```
/// use prognos::{decision::{AlarmPolicy, AlarmTransition}, quantity::Timestamp};
/// let policy = AlarmPolicy::m_of_n(2, 3);
/// let mut state = policy.new_state();
/// let mut at = |s, anomalous| policy.step(&mut state, Timestamp::from_secs(s), anomalous);
/// assert_eq!(at(1, true), AlarmTransition::None);
/// assert_eq!(at(2, false), AlarmTransition::None);
/// assert_eq!(at(3, true), AlarmTransition::Raised);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PolicyRecord")]
pub struct AlarmPolicy {
    m: u32,
    n: u32,
    latch: bool,
}

#[derive(Deserialize)]
struct PolicyRecord {
    m: u32,
    n: u32,
    latch: bool,
}

impl TryFrom<PolicyRecord> for AlarmPolicy {
    type Error = Error;

    fn try_from(r: PolicyRecord) -> Result<Self> {
        let policy = Self {
            m: r.m,
            n: r.n,
            latch: r.latch,
        };
        policy.check().map(|()| policy)
    }
}

/// What a row did to the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmTransition {
    /// Nothing.
    None,
    /// It was raised.
    Raised,
    /// It was cleared.
    Cleared,
}

/// The alarm of one machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmState {
    /// The last rows, newest in the lowest bit; set where anomalous.
    recent: u64,
    since: Option<Timestamp>,
}

impl AlarmState {
    /// When the active alarm was raised; `None` without one.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Ends the alarm and forgets the rows that raised it.
    pub fn acknowledge(&mut self) {
        *self = Self::default();
    }
}

impl AlarmPolicy {
    /// `m` of the last `n` rows; checked when a pipeline is fitted: `1 <= m <= n <= 64`.
    pub fn m_of_n(m: u32, n: u32) -> Self {
        Self { m, n, latch: false }
    }

    /// Keeps a raised alarm until it is acknowledged.
    #[must_use]
    pub fn latched(mut self) -> Self {
        self.latch = true;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.m >= 1 && self.m <= self.n && self.n <= 64 {
            Ok(())
        } else {
            Err(Error::parameter(
                "alarm m of n",
                "1 <= m <= n <= 64",
                format!("{} of {}", self.m, self.n),
            ))
        }
    }

    /// A machine without an alarm.
    pub fn new_state(&self) -> AlarmState {
        AlarmState::default()
    }

    /// Takes a usable row at `time`.
    pub fn step(&self, state: &mut AlarmState, time: Timestamp, anomalous: bool) -> AlarmTransition {
        let window = if self.n >= 64 { u64::MAX } else { (1 << self.n) - 1 };
        state.recent = (state.recent << 1 | u64::from(anomalous)) & window;
        match state.since {
            None if state.recent.count_ones() >= self.m => {
                state.since = Some(time);
                AlarmTransition::Raised
            }
            Some(_) if state.recent == 0 && !self.latch => {
                state.since = None;
                AlarmTransition::Cleared
            }
            _ => AlarmTransition::None,
        }
    }
}

impl Default for AlarmPolicy {
    /// Three of five.
    fn default() -> Self {
        Self::m_of_n(3, 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_latched_alarm_waits_for_acknowledgement() {
        let policy = AlarmPolicy::m_of_n(1, 1).latched();
        let mut state = policy.new_state();
        assert_eq!(
            policy.step(&mut state, Timestamp::from_secs(1), true),
            AlarmTransition::Raised
        );
        assert_eq!(
            policy.step(&mut state, Timestamp::from_secs(2), false),
            AlarmTransition::None
        );
        assert_eq!(state.since(), Some(Timestamp::from_secs(1)));
        state.acknowledge();
        assert_eq!(state.since(), None);
        for (m, n) in [(0, 1), (2, 1), (1, 65), (0, 0)] {
            assert!(AlarmPolicy::m_of_n(m, n).check().is_err());
        }
    }

    proptest! {
        #[test]
        fn counts_like_a_list(rows in proptest::collection::vec(any::<bool>(), 1..200), n in 1u32..=64, share in 0.0f64..1.0) {
            let m = 1 + (share * f64::from(n - 1)) as u32;
            let policy = AlarmPolicy::m_of_n(m, n);
            let mut state = policy.new_state();
            let mut active = false;
            for i in 0..rows.len() {
                let last = &rows[(i + 1).saturating_sub(n as usize)..=i];
                let high = last.iter().filter(|r| **r).count() as u32;
                active = if active { high > 0 } else { high >= m };
                policy.step(&mut state, Timestamp::from_secs(i as i64), rows[i]);
                prop_assert_eq!(state.since().is_some(), active);
            }
        }
    }
}
