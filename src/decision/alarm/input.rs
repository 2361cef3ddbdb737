//! What a row says to the alarm machine, and rules that make it of a bare value.

use crate::{
    error::{Error, Result},
    model::AnomalyScore,
};
use serde::{Deserialize, Serialize};

/// What a row says to an alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlarmInput {
    /// The score of a usable row. One that is not finite counts as [`Missing`](AlarmInput::Missing).
    Score(AnomalyScore),
    /// The score of a usable row that deviates to a side which is no fault: it counts as low, whatever the score.
    Harmless(AnomalyScore),
    /// A row came and its sensors work, but it is not judged: the machine is still warming up. Only ends a run of missing
    /// rows.
    Unjudged,
    /// No usable row: readings are missing, or none came. Neither raises nor clears.
    Missing,
}

impl From<AnomalyScore> for AlarmInput {
    fn from(score: AnomalyScore) -> Self {
        Self::Score(score)
    }
}

/// The side to which a deviation counts.
///
/// ```
/// use prognos::decision::{AlarmInput, Direction};
/// use prognos::model::AnomalyScore;
/// let score = AnomalyScore { value: 5.0, threshold: 2.0 };
/// // A temperature below the usual is no alarm.
/// assert_eq!(Direction::High.input(score, -4.0), AlarmInput::Harmless(score));
/// assert_eq!(Direction::High.input(score, 4.0), AlarmInput::Score(score));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// To both sides.
    #[default]
    Both,
    /// Only above the usual.
    High,
    /// Only below the usual.
    Low,
}

impl Direction {
    /// Whether a signed deviation counts. One that is zero or NaN has no side and counts: where the side is not known, an
    /// alarm is the safer error.
    pub fn admits(self, deviation: f64) -> bool {
        match self {
            Self::Both => true,
            Self::High => deviation >= 0.0 || deviation.is_nan(),
            Self::Low => deviation <= 0.0 || deviation.is_nan(),
        }
    }

    /// A score whose cause deviates by `deviation`, in any unit, from its usual value.
    pub fn input(self, score: AnomalyScore, deviation: f64) -> AlarmInput {
        match self.admits(deviation) {
            true => AlarmInput::Score(score),
            false => AlarmInput::Harmless(score),
        }
    }
}

/// Limits of a value itself, without a detector: above one, below another, or both.
///
/// A value is scored by how far it lies from the usual one towards the limit, `(value - usual) / (limit - usual)`, against
/// a threshold of 1; of two limits the higher score counts. So a hysteresis share of 0.8 clears four fifths of the way from
/// the usual value to the limit, and a severity zone from 2 begins as far beyond the limit as the limit is from the usual.
/// On the side without a limit scores are negative: they are low.
///
/// ```
/// use prognos::{decision::{AlarmPolicy, LimitRule}, quantity::Timestamp};
/// let oil = LimitRule::above(60.0, 90.0)?; // °C: usual, limit
/// let policy = AlarmPolicy::m_of_n(2, 2).hysteresis(0.8); // clears at 84 °C
/// let mut state = policy.new_state();
/// for (i, celsius) in [20.0, 91.0, f64::NAN, 95.0].into_iter().enumerate() {
///     policy.step(&mut state, Timestamp::from_secs(i as i64), oil.input(celsius));
/// }
/// assert_eq!(state.since(), Some(Timestamp::from_secs(3)));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LimitRecord", into = "LimitRecord")]
pub struct LimitRule {
    usual: f64,
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct LimitRecord {
    usual: f64,
    low: Option<f64>,
    high: Option<f64>,
}

impl From<LimitRule> for LimitRecord {
    fn from(r: LimitRule) -> Self {
        let LimitRule { usual, low, high } = r;
        Self { usual, low, high }
    }
}

impl TryFrom<LimitRecord> for LimitRule {
    type Error = Error;

    fn try_from(r: LimitRecord) -> Result<Self> {
        Self::new(r.usual, r.low, r.high)
    }
}

impl LimitRule {
    fn new(usual: f64, low: Option<f64>, high: Option<f64>) -> Result<Self> {
        let apart = |a: f64, b: f64| a.is_finite() && b.is_finite() && b > a && (b - a).is_finite();
        if low.is_some_and(|low| !apart(low, usual)) || high.is_some_and(|high| !apart(usual, high)) {
            return Err(Error::parameter(
                "limits",
                "finite, on their side of the usual value",
                format!("{low:?} below {usual}, {high:?} above"),
            ));
        }
        if low.is_none() && high.is_none() {
            return Err(Error::parameter("limits", "at least one", "none"));
        }
        Ok(Self { usual, low, high })
    }

    /// Values above `limit` are high.
    ///
    /// # Errors
    /// `InvalidParameter` unless both are finite and `limit > usual`.
    pub fn above(usual: f64, limit: f64) -> Result<Self> {
        Self::new(usual, None, Some(limit))
    }

    /// Values below `limit` are high.
    ///
    /// # Errors
    /// `InvalidParameter` unless both are finite and `limit < usual`.
    pub fn below(usual: f64, limit: f64) -> Result<Self> {
        Self::new(usual, Some(limit), None)
    }

    /// Values below `low` and above `high` are high.
    ///
    /// # Errors
    /// `InvalidParameter` unless all are finite and `low < usual < high`.
    pub fn outside(low: f64, usual: f64, high: f64) -> Result<Self> {
        Self::new(usual, Some(low), Some(high))
    }

    /// What a value says to an alarm; one that is not finite is [`AlarmInput::Missing`].
    pub fn input(&self, value: f64) -> AlarmInput {
        if !value.is_finite() {
            return AlarmInput::Missing;
        }
        // Of a value far off the quotient may overflow: it stays finite, and high.
        let towards = |limit: f64| ((value - self.usual) / (limit - self.usual)).clamp(-f64::MAX, f64::MAX);
        let score = [self.low, self.high].into_iter().flatten().map(towards);
        AlarmInput::Score(AnomalyScore {
            value: score.fold(-f64::MAX, f64::max),
            threshold: 1.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(input: AlarmInput) -> f64 {
        match input {
            AlarmInput::Score(s) if s.threshold == 1.0 => s.value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_are_scored_towards_their_limit() {
        let rule = LimitRule::outside(-10.0, 0.0, 20.0).unwrap();
        for (value, expected) in [
            (0.0, 0.0),
            (10.0, 0.5),
            (20.0, 1.0),
            (40.0, 2.0),
            (-5.0, 0.5),
            (-30.0, 3.0),
        ] {
            assert_eq!(score(rule.input(value)), expected, "{value}");
        }
        let below = LimitRule::below(5.0, 4.0).unwrap();
        assert_eq!((score(below.input(3.0)), score(below.input(9.0))), (2.0, -4.0));
        assert_eq!(score(LimitRule::above(0.0, 1e-300).unwrap().input(1e300)), f64::MAX);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(rule.input(bad), AlarmInput::Missing);
            assert!(LimitRule::above(bad, 1.0).is_err() && LimitRule::above(1.0, bad).is_err());
            assert!(LimitRule::outside(bad, 1.0, 2.0).is_err());
        }
        assert!(LimitRule::above(1.0, 1.0).is_err() && LimitRule::below(1.0, 2.0).is_err());
        assert!(LimitRule::above(-f64::MAX, f64::MAX).is_err());
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<LimitRule>(&text).unwrap(), rule);
        for bad in [
            r#"{"usual":0.0,"low":null,"high":null}"#,
            r#"{"usual":0.0,"low":1.0,"high":null}"#,
            r#"{"usual":null,"low":null,"high":1.0}"#,
        ] {
            assert!(serde_json::from_str::<LimitRule>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_side_that_is_not_known_counts() {
        for direction in [Direction::Both, Direction::High, Direction::Low] {
            assert!(direction.admits(0.0) && direction.admits(f64::NAN));
        }
        assert!(Direction::High.admits(1.0) && !Direction::High.admits(-1.0));
        assert!(Direction::Low.admits(-1.0) && !Direction::Low.admits(1.0));
        assert!(Direction::Both.admits(-1.0) && Direction::Both.admits(1.0));
    }
}
