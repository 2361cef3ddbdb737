//! How grave an alarm is, by zones of its score.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How grave an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// To be known.
    Advisory,
    /// To be looked at.
    Warning,
    /// To be acted upon. The severity of every alarm of a policy without zones.
    Alarm,
    /// To be acted upon at once.
    Critical,
}

impl Severity {
    /// The name as printed: `advisory`, `warning`, `alarm`, `critical`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Advisory => "advisory",
            Self::Warning => "warning",
            Self::Alarm => "alarm",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A score this many times the threshold belongs to a severity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Zone {
    pub severity: Severity,
    /// Reached above `ratio * threshold`.
    pub ratio: f64,
    /// Left at or below `share * ratio * threshold`.
    pub share: f64,
}

/// Zones above the first, at most: there are four severities.
pub(super) const MAX_ZONES: usize = 3;

/// Severities by zones of score over threshold, each with a hysteresis of its own.
///
/// An alarm starts with the lowest severity. Rows reach a zone where their score exceeds `ratio` times the threshold, and
/// lie below it where the score is at most `share * ratio` times the threshold. As many rows as raise an alarm lift it into
/// a zone, as many as clear an alarm let it fall out of it: one row alone does neither, unless one row raises.
///
/// A threshold that is zero or negative has no multiples: only the lowest severity is given then.
///
/// ```
/// use prognos::decision::{Severity, SeverityZones};
/// let zones = SeverityZones::from_threshold(Severity::Advisory)
///     .zone(Severity::Warning, 1.5, 0.9)
///     .zone(Severity::Critical, 3.0, 0.9);
/// assert_eq!(zones.lowest(), Severity::Advisory);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeverityZones {
    pub(super) lowest: Severity,
    pub(super) above: [Option<Zone>; MAX_ZONES],
    /// Zones asked for beyond the array; refused by `check`.
    excess: bool,
}

impl SeverityZones {
    /// One zone, from the threshold on.
    pub fn from_threshold(lowest: Severity) -> Self {
        Self {
            lowest,
            above: [None; MAX_ZONES],
            excess: false,
        }
    }

    /// A zone above those there are: reached above `ratio * threshold`, left at or below `share * ratio * threshold`.
    #[must_use]
    pub fn zone(mut self, severity: Severity, ratio: f64, share: f64) -> Self {
        match self.above.iter_mut().find(|z| z.is_none()) {
            Some(place) => {
                *place = Some(Zone { severity, ratio, share });
            }
            None => self.excess = true,
        }
        self
    }

    /// The severity of an alarm whose score lies in no zone above.
    pub fn lowest(&self) -> Severity {
        self.lowest
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.excess {
            return Err(Error::parameter("severity zones", "at most 3 above the lowest", "more"));
        }
        let (mut severity, mut ratio) = (self.lowest, 1.0);
        for zone in self.above.iter().flatten() {
            if zone.severity <= severity {
                return Err(Error::parameter(
                    "severity zones",
                    "of rising severity",
                    format!("{} above {severity}", zone.severity),
                ));
            }
            if !(zone.ratio > ratio && zone.ratio <= 1e12) {
                return Err(Error::parameter(
                    "ratio of a severity zone",
                    format!("above {ratio} and at most 1e12"),
                    zone.ratio,
                ));
            }
            if !(zone.share > 0.0 && zone.share <= 1.0) {
                return Err(Error::parameter(
                    "share of a severity zone",
                    "above 0 and at most 1",
                    zone.share,
                ));
            }
            (severity, ratio) = (zone.severity, zone.ratio);
        }
        Ok(())
    }

    /// The number of the zone of `severity`, from 1; 0 for the lowest and for one that is not there.
    pub(super) fn level_of(&self, severity: Severity) -> usize {
        let found = self.above.iter().flatten().position(|z| z.severity == severity);
        found.map_or(0, |i| i + 1)
    }

    /// The severity of zone `level`, 0 being the lowest.
    pub(super) fn severity_of(&self, level: usize) -> Severity {
        let zone = level.checked_sub(1).and_then(|i| self.above.get(i).copied().flatten());
        zone.map_or(self.lowest, |z| z.severity)
    }
}

impl Default for SeverityZones {
    /// [`Severity::Alarm`], whatever the score.
    fn default() -> Self {
        Self::from_threshold(Severity::Alarm)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct ZonesRecord {
    lowest: Severity,
    above: Vec<Zone>,
}

impl From<SeverityZones> for ZonesRecord {
    fn from(z: SeverityZones) -> Self {
        Self {
            lowest: z.lowest,
            above: z.above.into_iter().flatten().collect(),
        }
    }
}

impl From<ZonesRecord> for SeverityZones {
    /// Unchecked: the policy that holds it checks.
    fn from(r: ZonesRecord) -> Self {
        let zones = Self::from_threshold(r.lowest);
        r.above
            .iter()
            .fold(zones, |zones, z| zones.zone(z.severity, z.ratio, z.share))
    }
}
