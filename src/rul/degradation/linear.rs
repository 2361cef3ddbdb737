//! Linear degradation.

use super::{
    course::{Course, CourseSettings, course_setters, series},
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

/// Remaining life of a reading that rises or falls evenly, by a line with random coefficients.
///
/// # Method
///
/// A machine's reading at age `t` is `a + b t` and noise, independent and normal of variance `s²`. Over the fleet `(a, b)` is
/// normal: the mean and the sample covariance of least-squares lines through the recorded lives (which the noise of those
/// lines widens), `s²` their pooled residual variance, or [as given](LinearDegradationParams::prior). A machine's own
/// readings `y` at ages `X = [1, t]` make it
///
/// ```text
/// (a, b) ~ N(m, P)    P⁻¹ = P0⁻¹ + X'X/s²    P⁻¹ m = P0⁻¹ m0 + X'y/s²
/// ```
///
/// in closed form from their sums. The life ends where the line crosses the threshold: with the level now `c` below it,
/// `P(life <= t) = P(c + b t >= threshold | c < threshold)`, one integral over `c`. Lines that do not lead there are lives
/// [beyond](RulDistribution::beyond) what is known.
///
/// No claim is made ([`NoPrognosis::NoTrend`]) before Student's test finds the machine's own slope at
/// [`significance`](LinearDegradationParams::significance). It takes noise to be independent: where it drifts, chance makes
/// a trend more often than the level says.
///
/// # Missing values, cost
///
/// One feature is followed ([`on`](TrajectoryRegressorParams::on)). A reading more than ten spans (from a typical first
/// reading to the threshold) from the threshold counts as ten. A machine's memory is nine numbers; a row costs about 30,000
/// evaluations of the error function and allocates nothing.
///
/// # Source
///
/// Gebraeel, Lawley, Li and Ryan, "Residual-life distributions from component degradation signals: a Bayesian approach",
/// IIE Transactions 37 (2005), doi [10.1080/07408170590929018](https://doi.org/10.1080/07408170590929018), where the noise
/// counts into the crossing; here the line does.
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, ParamGuard, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable}, model::{Assessment, OnlineModel}, quantity::LifeUnit,
///     rul::{RulLabels, degradation::LinearDegradation}, signal::Channel,
/// };
/// // Four machines wear by 0.8, 0.9, 1.0 and 1.1 µm an hour, to 80 µm.
/// let lives = [100_u32, 88, 80, 72];
/// let rows = || lives.iter().enumerate().flat_map(|(i, n)| (0..*n).map(move |t| (i as u32, t)));
/// let wear = rows().map(|(i, t)| (0.8 + 0.1 * f64::from(i)) * f64::from(t) + 0.3 * f64::from(t % 3)).collect();
/// let schema = FeatureSchema::of_channels(&[Channel::new("wear", "µm")])?;
/// let table = FeatureTable::new(schema, Array2::from_shape_vec((340, 1), wear).unwrap(), rows().map(|r| r.0).collect())?
///     .at(rows().map(|(_, t)| LifeUnit::Hours.instant(t.into())).collect())?;
/// let left = rows().map(|(i, t)| f64::from(lives[i as usize] - t)).collect();
/// let data = DatasetBase::new(table.clone(), RulLabels::new(left, LifeUnit::Hours)?);
/// let model = LinearDegradation::params().threshold(80.0).check()?.fit(&data)?;
/// let mut state = model.new_state();
/// let outcomes: Vec<_> = table.views().take(50).map(|x| model.step(&mut state, x).unwrap()).collect();
/// assert!(matches!(outcomes[0], Assessment::NoPrognosis(_)));
/// let Assessment::Ready(estimate) = outcomes[49] else { panic!() };
/// assert!((estimate.rul - 50.6).abs() < 3.0, "{estimate}");
/// # Ok::<(), prognos::Error>(())
/// ```
pub type LinearDegradation = TrajectoryRegressor<LinearCourse>;

/// Parameters of [`LinearDegradation`].
pub type LinearDegradationParams = TrajectoryRegressorParams<LinearDegradationSettings>;

/// How [`LinearDegradation`] is fitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinearDegradationSettings {
    course: CourseSettings,
    prior: Option<LineBelief>,
}

course_setters!(LinearDegradationParams);

impl LinearDegradationParams {
    /// What is believed of a machine's line before its first reading, instead of what the recorded lives say.
    #[must_use]
    pub fn prior(self, prior: LineBelief) -> Self {
        self.with(|s| s.prior = Some(prior))
    }
}

impl LinearDegradation {
    /// Prior and threshold from the recorded lives, a trend tested at 0.05, readings that count for ever.
    pub fn params() -> LinearDegradationParams {
        LinearDegradationParams::default()
    }
}

pub(super) fn check_prior(prior: Option<&LineBelief>) -> Result<()> {
    match prior.and_then(LineBelief::flaw) {
        None => Ok(()),
        Some(flaw) => Err(Error::parameter(
            "prior",
            "finite, with a positive definite covariance and noise above 0",
            flaw,
        )),
    }
}

impl TrajectoryAlgorithm for LinearDegradationSettings {
    type Model = LinearCourse;

    fn check(&self) -> Result<()> {
        self.course.check()?;
        check_prior(self.prior.as_ref())
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<LinearCourse> {
        let lives = series(lives, Some)?;
        let course = Course::learn(&self.course, self.course.threshold, &lives)?;
        let line = match &self.prior {
            Some(prior) => RandomLine::given(prior, &course)?,
            None => RandomLine::learn(&lives, &course)?,
        };
        Ok(LinearCourse { course, line })
    }
}

/// The fitted half of [`LinearDegradation`].
#[derive(Clone, Debug, PartialEq)]
pub struct LinearCourse {
    course: Course,
    line: RandomLine,
}

/// [`LinearCourse`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinearCourseRecord {
    course: Course,
    line: RandomLine,
}

impl LinearCourse {
    /// The reading at which a machine counts as failed.
    pub fn threshold(&self) -> f64 {
        self.course.threshold().0
    }

    /// What is believed of a machine's line after its readings.
    pub fn belief(&self, memory: &TrendMemory) -> LineBelief {
        self.line.belief(memory, &self.course)
    }
}

impl TrajectoryModel for LinearCourse {
    const KIND: &'static str = "rul.linear_degradation";
    type Record = LinearCourseRecord;
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
        if let [reading] = row {
            memory.take(self.course.age(age), self.course.reading(*reading), self.course.decay());
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

    fn to_record(&self) -> LinearCourseRecord {
        LinearCourseRecord {
            course: self.course,
            line: self.line,
        }
    }

    fn from_record(r: LinearCourseRecord, _: usize) -> Result<Self> {
        Ok(Self {
            course: r.course.check()?,
            line: r.line.check()?,
        })
    }
}
