//! What degradation models share: the threshold, its side, and the units they compute in.

use crate::error::{Error, Result};
use crate::rul::{
    RecordedLife,
    lives_in_order::{in_order, quantile},
};
use serde::{Deserialize, Serialize};

/// Readings count at most this many spans from the threshold: a broken sensor is forgotten soon.
pub(super) const LARGEST: f64 = 10.0;
/// Numbers of a file that are squared and divided by are within this and one over it.
const RANGE: f64 = 1e100;

/// Whether a reading rises or falls as the machine degrades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Towards a threshold above.
    Rising,
    /// Towards a threshold below.
    Falling,
}

impl Direction {
    fn sign(self) -> f64 {
        match self {
            Self::Rising => 1.0,
            Self::Falling => -1.0,
        }
    }

    fn of(rise: f64) -> Option<Self> {
        match rise {
            r if r > 0.0 => Some(Self::Rising),
            r if r < 0.0 => Some(Self::Falling),
            _ => None,
        }
    }
}

/// Settings of every degradation model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CourseSettings {
    pub(super) threshold: Option<f64>,
    pub(super) direction: Option<Direction>,
    pub(super) significance: f64,
    pub(super) horizon: Option<f64>,
    pub(super) half_life: Option<f64>,
}

impl Default for CourseSettings {
    fn default() -> Self {
        Self {
            threshold: None,
            direction: None,
            significance: 0.05,
            horizon: None,
            half_life: None,
        }
    }
}

impl CourseSettings {
    pub(super) fn check(&self) -> Result<()> {
        if let Some(t) = self.threshold
            && !t.abs().le(&RANGE)
        {
            return Err(Error::parameter("threshold", "finite, at most 1e100 in magnitude", t));
        }
        if !(self.significance > 0.0 && self.significance <= 1.0) {
            return Err(Error::parameter(
                "significance",
                "above 0, at most 1",
                self.significance,
            ));
        }
        if let Some(h) = self.horizon
            && !(h > 0.0 && h <= 1e12)
        {
            return Err(Error::parameter("horizon", "above 0, at most 1e12", h));
        }
        match self.half_life {
            Some(h) if !(2.0..=1e9).contains(&h) => Err(Error::parameter("half_life", "from 2 to 1e9 rows", h)),
            _ => Ok(()),
        }
    }
}

/// One recorded reading over a life, as a model wants it.
pub(super) struct Series {
    pub(super) ages: Vec<f64>,
    pub(super) readings: Vec<f64>,
    pub(super) end: f64,
    pub(super) failed: bool,
}

/// The lives in canonical order as series of `change`d readings; readings without one are left out.
///
/// # Errors
/// `InvalidParameter` for rows of several readings.
pub(super) fn series(lives: &[RecordedLife<'_>], change: impl Fn(f64) -> Option<f64>) -> Result<Vec<Series>> {
    if let Some(life) = lives.iter().find(|l| l.width != 1) {
        return Err(Error::parameter("on", "one feature, the one that degrades", life.width));
    }
    let one = |l: &RecordedLife<'_>| {
        let (ages, readings) = l.rows().filter_map(|(age, row)| Some((age, change(row[0])?))).unzip();
        Series {
            ages,
            readings,
            end: l.end,
            failed: l.failed,
        }
    };
    Ok(in_order(lives).iter().map(one).filter(|s| !s.ages.is_empty()).collect())
}

/// Where the threshold lies, and the units in which readings and ages are near 1: a degrading reading rises from about -1
/// at the start of a life to 0 at the threshold, and the longest life on record ends at 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Course {
    threshold: f64,
    direction: Direction,
    span: f64,
    lifetime: f64,
    /// In lifetimes.
    horizon: f64,
    significance: f64,
    half_life: Option<f64>,
}

impl Course {
    /// Learns from `lives` what `settings` leave open; `threshold` is the given one, changed as the readings are.
    pub(super) fn learn(settings: &CourseSettings, threshold: Option<f64>, lives: &[Series]) -> Result<Self> {
        let failed = || lives.iter().filter(|l| l.failed);
        let median = |mut of: Vec<f64>| quantile(&mut of, 0.5);
        let ends = |l: &Series| (l.readings[0], l.readings[l.readings.len() - 1]);
        let start = median(lives.iter().map(|l| ends(l).0).collect());
        let last = median(failed().map(|l| ends(l).1).collect());
        let needs = |what, needed: &str, got: String| Err(Error::insufficient(what, needed, got));
        let Some(start) = start else {
            return needs(
                "degradation model",
                "at least 1 life with a reading it can use",
                "0".into(),
            );
        };
        let Some(threshold) = threshold.or(last) else {
            return needs(
                "threshold",
                "one given, or at least 1 life that ended in failure",
                "none".into(),
            );
        };
        let Some(found) = Direction::of(threshold - start) else {
            return needs(
                "degradation model",
                "lives that start away from the threshold",
                format!("{start} at the start as at the threshold"),
            );
        };
        if let Some(given) = settings.direction
            && given != found
        {
            return Err(Error::parameter(
                "direction",
                format!("{found:?}, from a typical first reading of {start} to the threshold {threshold}"),
                format!("{given:?}"),
            ));
        }
        let lifetime = lives.iter().map(|l| l.end).fold(0.0, f64::max);
        let course = Self {
            threshold,
            direction: found,
            span: (threshold - start).abs(),
            lifetime,
            horizon: settings.horizon.map_or(10.0, |h| h / lifetime),
            significance: settings.significance,
            half_life: settings.half_life,
        };
        match course.flaw() {
            None => Ok(course),
            Some(flaw) => needs("degradation model", "lives of a length, readings of a range", flaw),
        }
    }

    fn flaw(&self) -> Option<String> {
        let within = |v: f64| (1.0 / RANGE..=RANGE).contains(&v);
        let sound = self.threshold.abs() <= RANGE
            && within(self.span)
            && (1e-12..=1e12).contains(&self.lifetime)
            && (1e-12..=1e12).contains(&self.horizon)
            && self.significance > 0.0
            && self.significance <= 1.0
            && self.half_life.is_none_or(|h| (2.0..=1e9).contains(&h));
        (!sound).then(|| format!("a span of {} over a lifetime of {}", self.span, self.lifetime))
    }

    /// Refuses one that cannot be.
    pub(super) fn check(self) -> Result<Self> {
        match self.flaw() {
            None => Ok(self),
            Some(flaw) => Err(Error::persistence(format!(
                "degradation model: expected units above 0 and settings in range, got {flaw}"
            ))),
        }
    }

    /// The threshold and the side it lies on.
    pub(super) fn threshold(&self) -> (f64, Direction) {
        (self.threshold, self.direction)
    }

    /// A reading in spans from the threshold: 0 there, negative before.
    pub(super) fn reading(&self, y: f64) -> f64 {
        let z = self.direction.sign() * (y - self.threshold) / self.span;
        z.clamp(-LARGEST, LARGEST)
    }

    /// An age in lifetimes.
    pub(super) fn age(&self, age: f64) -> f64 {
        age / self.lifetime
    }

    /// What a slope of readings over ages is here, and what an intercept.
    pub(super) fn line(&self, intercept: f64, slope: f64) -> [f64; 2] {
        let sign = self.direction.sign();
        [
            sign * (intercept - self.threshold) / self.span,
            sign * slope / self.span * self.lifetime,
        ]
    }

    /// The reverse of [`line`](Course::line).
    pub(super) fn outer_line(&self, line: [f64; 2]) -> [f64; 2] {
        let sign = self.direction.sign();
        [
            self.threshold + sign * line[0] * self.span,
            sign * line[1] * self.span / self.lifetime,
        ]
    }

    /// Units of a reading and of an age.
    pub(super) fn units(&self) -> (f64, f64) {
        (self.span, self.lifetime)
    }

    pub(super) fn lifetime(&self) -> f64 {
        self.lifetime
    }

    /// The horizon in life units.
    pub(super) fn horizon(&self) -> f64 {
        self.horizon * self.lifetime
    }

    pub(super) fn significance(&self) -> f64 {
        self.significance
    }

    /// What remains of a row's weight with the next row.
    pub(super) fn decay(&self) -> f64 {
        self.half_life.map_or(1.0, |h| libm::exp2(-1.0 / h))
    }
}

/// The setters of [`CourseSettings`] on the parameters of a model.
macro_rules! course_setters {
    ($params:ty) => {
        impl $params {
            /// The reading at which a machine counts as failed. Unless set, the median of the last readings of the lives
            /// that ended in failure.
            #[must_use]
            pub fn threshold(self, threshold: f64) -> Self {
                self.with(|s| s.course.threshold = Some(threshold))
            }

            /// Whether readings rise to the threshold or fall to it. Unless set, as the median first reading lies below it
            /// or above; where set, fitting fails if that is otherwise.
            #[must_use]
            pub fn direction(self, direction: crate::rul::degradation::Direction) -> Self {
                self.with(|s| s.course.direction = Some(direction))
            }

            /// The level of the test for a trend: the share of machines without one that chance gives one at a row.
            /// Default 0.05; 1 tests only that the trend is not away from the threshold.
            #[must_use]
            pub fn significance(self, level: f64) -> Self {
                self.with(|s| s.course.significance = level)
            }

            /// Lives beyond this many life units are beyond what is known. Default ten times the longest record.
            #[must_use]
            pub fn horizon(self, horizon: f64) -> Self {
                self.with(|s| s.course.horizon = Some(horizon))
            }

            /// Rows after which a reading counts half. Unless set, readings count for ever.
            #[must_use]
            pub fn half_life(self, rows: f64) -> Self {
                self.with(|s| s.course.half_life = Some(rows))
            }
        }
    };
}
pub(super) use course_setters;
