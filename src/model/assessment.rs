//! What a model says of one row.

use crate::{
    error::{Error, Result},
    quantity::LifeUnit,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The outcome of one row: a result, not yet, or a reason why this row gives none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Assessment<T> {
    /// A result.
    Ready(T),
    /// The model has seen `seen` of the `needed` rows before its first result.
    Warmup {
        /// Rows seen so far.
        seen: u32,
        /// Rows needed before the first result.
        needed: u32,
    },
    /// The row cannot be used; the machine's state is as it was.
    Unusable(UnusableReason),
    /// The row was used, and the model knows no more of the machine's future than before it; why.
    NoPrognosis(NoPrognosis),
    /// The row waits until rows that may still come before it have come, in a fleet that
    /// [allows for late rows](crate::fleet::FleetParams::lateness); its outcome is told then.
    Held,
}

impl<T> Assessment<T> {
    /// The result, where there is one.
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Ready(t) => Some(t),
            _ => None,
        }
    }

    /// What `f` makes of the result, where there is one; otherwise the same outcome.
    pub(crate) fn and_then<U>(self, f: impl FnOnce(T) -> Result<Assessment<U>>) -> Result<Assessment<U>> {
        Ok(match self {
            Self::Ready(t) => f(t)?,
            Self::Warmup { seen, needed } => Assessment::Warmup { seen, needed },
            Self::Unusable(reason) => Assessment::Unusable(reason),
            Self::NoPrognosis(reason) => Assessment::NoPrognosis(reason),
            Self::Held => Assessment::Held,
        })
    }

    /// The same outcome with its result mapped by what may fail.
    pub(crate) fn try_map<U>(self, f: impl FnOnce(T) -> Result<U>) -> Result<Assessment<U>> {
        self.and_then(|t| f(t).map(Assessment::Ready))
    }

    /// The same outcome with its result mapped.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Assessment<U> {
        match self {
            Self::Ready(t) => Assessment::Ready(f(t)),
            Self::Warmup { seen, needed } => Assessment::Warmup { seen, needed },
            Self::Unusable(reason) => Assessment::Unusable(reason),
            Self::NoPrognosis(reason) => Assessment::NoPrognosis(reason),
            Self::Held => Assessment::Held,
        }
    }
}

/// Why a model makes no claim about the remaining life of a machine whose rows are fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NoPrognosis {
    /// The readings show no trend that chance could not make as well.
    NoTrend,
    /// The reading has crossed the threshold: by the model's definition the life is over.
    ThresholdCrossed,
    /// No recorded life is like this one.
    NoSimilarLife,
    /// The machine is older than any life the model has seen, nothing is known beyond its age, or more than half of what may
    /// come lies beyond what is known, so that there is no number to give.
    BeyondKnownLives,
    /// The model's hypotheses of the machine explain its readings no more (all particles have zero weight, a covariance is
    /// no longer one).
    Diverged,
    /// The threshold lies beyond the horizon of the prediction in nearly all of its courses.
    BeyondHorizon,
}

impl fmt::Display for NoPrognosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoTrend => "no trend yet",
            Self::ThresholdCrossed => "the threshold is crossed",
            Self::NoSimilarLife => "no recorded life is like this one",
            Self::BeyondKnownLives => "beyond the known lives",
            Self::Diverged => "the model no longer explains the readings",
            Self::BeyondHorizon => "the threshold lies beyond the horizon",
        })
    }
}

/// Why a row gives no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UnusableReason {
    /// `n_missing` of `n_values` readings are missing or not finite, more than the model can do without.
    MissingValues {
        /// Readings that are NaN or infinite.
        n_missing: u32,
        /// Readings they are counted among: of the row, or of the part of it that was needed.
        n_values: u32,
        /// Position of the first one in the model's schema.
        first: u32,
    },
    /// The row's instant does not lie after the one before it.
    TimeNotIncreasing,
    /// The fleet has no room for another machine.
    FleetFull,
}

impl UnusableReason {
    /// `None` where every value is finite.
    pub(crate) fn of_values(values: &[f64]) -> Option<Self> {
        let first = values.iter().position(|v| !v.is_finite())?;
        let n_missing = values.iter().filter(|v| !v.is_finite()).count() as u32;
        Some(Self::MissingValues {
            n_missing,
            n_values: values.len() as u32,
            first: first as u32,
        })
    }
}

impl fmt::Display for UnusableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingValues {
                n_missing,
                n_values,
                first,
            } => {
                write!(
                    f,
                    "{n_missing} of {n_values} readings needed are missing or not finite, the first at position {first} of the row"
                )
            }
            Self::FleetFull => f.write_str("the fleet has no room for another machine"),
            Self::TimeNotIncreasing => f.write_str("time does not lie after the row before"),
        }
    }
}

/// An anomaly score: higher is more anomalous, `value > threshold` is an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct AnomalyScore {
    /// The score, finite.
    pub value: f64,
    /// What the score of a healthy row rarely exceeds; how rarely, the detector's parameters say.
    pub threshold: f64,
}

impl AnomalyScore {
    /// Whether the score lies above its threshold.
    pub fn is_anomalous(self) -> bool {
        self.value > self.threshold
    }
}

/// Remaining useful life with the interval that holds it at a nominal level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EstimateRecord")]
pub struct RulEstimate {
    /// Point estimate.
    pub rul: f64,
    /// Lower end of the interval, not above `rul`.
    pub lower: f64,
    /// Upper end of the interval, not below `rul`.
    pub upper: f64,
    /// Nominal probability that the interval holds the truth (of a capped label, where the model caps it).
    pub level: f64,
    /// The unit of the three lives.
    pub unit: LifeUnit,
}

/// An estimate as it is read.
#[derive(Deserialize)]
struct EstimateRecord {
    rul: f64,
    lower: f64,
    upper: f64,
    level: f64,
    unit: LifeUnit,
}

impl TryFrom<EstimateRecord> for RulEstimate {
    type Error = Error;

    fn try_from(r: EstimateRecord) -> Result<Self> {
        let estimate = Self::new(r.rul, r.lower, r.upper, r.level, r.unit)?;
        if (estimate.lower, estimate.upper) != (r.lower, r.upper) {
            return Err(Error::persistence("RUL estimate: expected it within its interval"));
        }
        Ok(estimate)
    }
}

impl RulEstimate {
    /// An estimate whose interval is widened to hold its point.
    ///
    /// # Errors
    /// `InvalidInput` unless all numbers are finite, `lower <= upper` and `0 < level < 1`.
    pub fn new(rul: f64, lower: f64, upper: f64, level: f64, unit: LifeUnit) -> Result<Self> {
        if !(rul.is_finite() && lower.is_finite() && upper.is_finite() && lower <= upper) {
            return Err(Error::input(
                "RUL estimate",
                "finite numbers, lower <= upper",
                format!("{rul} ({lower}..{upper})"),
            ));
        }
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::parameter("level", "above 0 and below 1", level));
        }
        Ok(Self {
            rul,
            lower: lower.min(rul),
            upper: upper.max(rul),
            level,
            unit,
        })
    }

    /// The same estimate when `elapsed` more life units have gone by: the expected end stays, no life falls below zero.
    #[must_use]
    pub fn after(self, elapsed: f64) -> Self {
        let left = |life: f64| (life - elapsed).max(0.0);
        Self {
            rul: left(self.rul),
            lower: left(self.lower),
            upper: left(self.upper),
            ..self
        }
    }
}

impl fmt::Display for RulEstimate {
    /// `38 (29..47) cycles`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} ({:.0}..{:.0}) {}",
            self.rul, self.lower, self.upper, self.unit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_ordered_and_print_short() {
        let e = RulEstimate::new(38.2, 40.0, 47.0, 0.9, LifeUnit::Cycles).unwrap();
        assert_eq!(e.to_string(), "38 (38..47) cycles");
        assert!(RulEstimate::new(f64::NAN, 0.0, 1.0, 0.9, LifeUnit::Hours).is_err());
        assert!(RulEstimate::new(1.0, 2.0, 1.0, 0.9, LifeUnit::Hours).is_err());
        assert!(RulEstimate::new(1.0, 0.0, 2.0, 1.0, LifeUnit::Hours).is_err());
    }

    #[test]
    fn missing_values_are_counted() {
        let r = UnusableReason::of_values(&[1.0, f64::NAN, f64::INFINITY]).unwrap();
        assert_eq!(
            r,
            UnusableReason::MissingValues {
                n_missing: 2,
                n_values: 3,
                first: 1
            }
        );
        assert!(UnusableReason::of_values(&[1.0]).is_none());
    }
}
