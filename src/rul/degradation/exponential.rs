//! Exponential degradation.

use super::{
    course::{Course, CourseSettings, course_setters, series},
    linear::check_prior,
    random_line::{LineBelief, RandomLine},
    trend::TrendMemory,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams},
};
use serde::{Deserialize, Serialize};

/// Remaining life of a reading that grows by a share of itself, as a spreading crack's vibration does: an exponential with
/// random coefficients.
///
/// # Method
///
/// A machine's reading at age `t` is `φ + θ exp(β t + noise)`, so that `ln|y - φ| = ln θ + β t + noise` is a line with random
/// coefficients: all that [`LinearDegradation`](super::LinearDegradation) does, in logarithms. `(ln θ, β)` is normal over the
/// fleet and updated in closed form; [`prior`](ExponentialDegradationParams::prior) is in logarithms, thresholds are in the
/// unit of readings. `φ` is the [asymptote](ExponentialDegradationParams::asymptote), 0 unless set; all recorded readings must
/// lie on one side of it, and a machine's readings on the other side or on it are passed over.
///
/// # Missing values, cost
///
/// As [`LinearDegradation`](super::LinearDegradation).
///
/// # Source
///
/// Gebraeel, Lawley, Li and Ryan, "Residual-life distributions from component degradation signals: a Bayesian approach",
/// IIE Transactions 37 (2005), doi [10.1080/07408170590929018](https://doi.org/10.1080/07408170590929018), its exponential
/// model with independent noise.
///
/// # Example
///
/// ```
/// use prognos::rul::degradation::ExponentialDegradation;
/// use linfa::ParamGuard;
/// let params = ExponentialDegradation::params().on(["rms"]).asymptote(0.2).threshold(10.0).half_life(200.0);
/// assert!(params.check().is_ok());
/// assert!(ExponentialDegradation::params().asymptote(f64::NAN).check().is_err());
/// ```
pub type ExponentialDegradation = TrajectoryRegressor<ExponentialCourse>;

/// Parameters of [`ExponentialDegradation`].
pub type ExponentialDegradationParams = TrajectoryRegressorParams<ExponentialDegradationSettings>;

/// How [`ExponentialDegradation`] is fitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialDegradationSettings {
    course: CourseSettings,
    asymptote: f64,
    prior: Option<LineBelief>,
}

course_setters!(ExponentialDegradationParams);

impl ExponentialDegradationParams {
    /// The reading that the exponential starts from or dies to. Default 0.
    #[must_use]
    pub fn asymptote(self, asymptote: f64) -> Self {
        self.with(|s| s.asymptote = asymptote)
    }

    /// What is believed of the line in `ln|reading - asymptote|` before a machine's first reading.
    #[must_use]
    pub fn prior(self, prior: LineBelief) -> Self {
        self.with(|s| s.prior = Some(prior))
    }
}

impl ExponentialDegradation {
    /// An asymptote of 0, prior and threshold from the recorded lives, a trend tested at 0.05.
    pub fn params() -> ExponentialDegradationParams {
        ExponentialDegradationParams::default()
    }
}

/// `ln(±(y - asymptote))` where that is a number.
fn logarithm(y: f64, asymptote: f64, above: bool) -> Option<f64> {
    let distance = if above { y - asymptote } else { asymptote - y };
    (distance > 0.0).then(|| libm::log(distance))
}

impl TrajectoryAlgorithm for ExponentialDegradationSettings {
    type Model = ExponentialCourse;

    fn check(&self) -> Result<()> {
        self.course.check()?;
        if !self.asymptote.abs().le(&1e100) {
            return Err(Error::parameter(
                "asymptote",
                "finite, at most 1e100 in magnitude",
                self.asymptote,
            ));
        }
        check_prior(self.prior.as_ref())
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<ExponentialCourse> {
        let asymptote = self.asymptote;
        let above = lives.iter().flat_map(|l| l.values).all(|y| *y > asymptote);
        let change = |y| logarithm(y, asymptote, above);
        if let Some(y) = lives.iter().flat_map(|l| l.values).find(|y| change(**y).is_none()) {
            return Err(Error::parameter(
                "asymptote",
                "above all recorded readings or below all",
                format!("{asymptote} and a reading of {y}"),
            ));
        }
        let threshold = match self.course.threshold {
            None => None,
            Some(t) => Some(
                change(t)
                    .ok_or_else(|| Error::parameter("threshold", format!("on the readings' side of {asymptote}"), t))?,
            ),
        };
        let lives = series(lives, change)?;
        let course = Course::learn(&self.course, threshold, &lives)?;
        let line = match &self.prior {
            Some(prior) => RandomLine::given(prior, &course)?,
            None => RandomLine::learn(&lives, &course)?,
        };
        Ok(ExponentialCourse {
            course,
            line,
            asymptote,
            above,
        })
    }
}

/// The fitted half of [`ExponentialDegradation`].
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialCourse {
    course: Course,
    line: RandomLine,
    asymptote: f64,
    above: bool,
}

/// [`ExponentialCourse`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExponentialCourseRecord {
    course: Course,
    line: RandomLine,
    asymptote: f64,
    above: bool,
}

impl ExponentialCourse {
    /// The reading at which a machine counts as failed.
    pub fn threshold(&self) -> f64 {
        let distance = libm::exp(self.course.threshold().0);
        if self.above {
            self.asymptote + distance
        } else {
            self.asymptote - distance
        }
    }

    /// What is believed of a machine's line in `ln|reading - asymptote|` after its readings.
    pub fn belief(&self, memory: &TrendMemory) -> LineBelief {
        self.line.belief(memory, &self.course)
    }
}

impl TrajectoryModel for ExponentialCourse {
    const KIND: &'static str = "rul.exponential_degradation";
    type Record = ExponentialCourseRecord;
    type Memory = TrendMemory;

    fn width(&self) -> usize {
        1
    }

    fn new_memory(&self) -> TrendMemory {
        TrendMemory::default()
    }

    fn check_memory(&self, _: &TrendMemory) -> Result<()> {
        Ok(()) // every one that can be read fits
    }

    fn observe(&self, memory: &mut TrendMemory, age: f64, row: &[f64]) {
        if let [reading] = row
            && let Some(y) = logarithm(*reading, self.asymptote, self.above)
        {
            memory.take(self.course.age(age), self.course.reading(y), self.course.decay());
        }
    }

    fn prognose(
        &self,
        memory: &TrendMemory,
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        Ok(self.line.prognose(memory, self.course.age(age), &self.course, unit))
    }

    fn to_record(&self) -> ExponentialCourseRecord {
        ExponentialCourseRecord {
            course: self.course,
            line: self.line,
            asymptote: self.asymptote,
            above: self.above,
        }
    }

    fn from_record(r: ExponentialCourseRecord, _: usize) -> Result<Self> {
        if !r.asymptote.abs().le(&1e100) {
            return Err(Error::persistence(format!(
                "exponential degradation: expected a finite asymptote, got {}",
                r.asymptote
            )));
        }
        Ok(Self {
            course: r.course.check()?,
            line: r.line.check()?,
            asymptote: r.asymptote,
            above: r.above,
        })
    }
}
