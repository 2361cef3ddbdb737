//! Gamma process.

use super::{
    course::{Course, CourseSettings, course_setters, series},
    first_passage,
    increments::IncrementMemory,
    tails::gamma_above,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams},
};
use serde::{Deserialize, Serialize};

/// Remaining life of damage that only grows, by many small steps: wear, corrosion, creep.
///
/// # Method
///
/// Over a time `τ` damage grows by a gamma variable of shape `α τ` and scale `θ`, whatever it was before. By moments over all
/// recorded increments `x_i` in times `τ_i` of a life, with `T = Σ τ_i` and the rate `r = Σ x_i / T` of the fleet,
///
/// ```text
/// α θ = r      α θ² = Σ (x_i - r τ_i)² / (T - Σ τ_i² / T)
/// ```
///
/// summed over the fleet. From a reading a distance `d` below the threshold, `P(life <= t) = Q(α t, d/θ)`, the regularised
/// upper incomplete gamma function. All machines share `α` and `θ`: how fast one machine was so far tells nothing of its
/// next steps, only where it stands. Where machines keep rates of their own, [`WienerProcess`](super::WienerProcess) learns
/// them.
///
/// Readings that go back are no damage of a gamma process but noise: they count as they are into rate and variance (which
/// widens the distribution), and the level is always the last reading. A fleet without growth, or with more than a third of
/// its steps backwards, is refused.
///
/// No claim is made ([`NoPrognosis::NoTrend`]) before Student's test finds growth in the machine's own increments at
/// [`significance`](GammaProcessParams::significance).
///
/// # Missing values, cost
///
/// One feature is followed ([`on`](TrajectoryRegressorParams::on)); readings more than ten spans from the threshold count as
/// ten. A machine's memory is seven numbers; a row costs about 1,000 incomplete gamma functions and allocates nothing.
///
/// # Source
///
/// van Noortwijk, "A survey of the application of gamma processes in maintenance", Reliability Engineering and System Safety
/// 94 (2009), doi [10.1016/j.ress.2007.03.019](https://doi.org/10.1016/j.ress.2007.03.019).
///
/// # Example
///
/// ```
/// use linfa::ParamGuard;
/// use prognos::rul::degradation::GammaProcess;
/// assert!(GammaProcess::params().on(["crack_mm"]).threshold(20.0).horizon(5000.0).check().is_ok());
/// ```
pub type GammaProcess = TrajectoryRegressor<GammaCourse>;

/// Parameters of [`GammaProcess`].
pub type GammaProcessParams = TrajectoryRegressorParams<GammaProcessSettings>;

/// How [`GammaProcess`] is fitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GammaProcessSettings {
    course: CourseSettings,
}

course_setters!(GammaProcessParams);

impl GammaProcess {
    /// All from the recorded lives, growth tested at 0.05, readings that count for ever.
    pub fn params() -> GammaProcessParams {
        GammaProcessParams::default()
    }
}

impl TrajectoryAlgorithm for GammaProcessSettings {
    type Model = GammaCourse;

    fn check(&self) -> Result<()> {
        self.course.check()
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<GammaCourse> {
        let lives = series(lives, Some)?;
        let course = Course::learn(&self.course, self.course.threshold, &lives)?;
        let steps = || {
            lives
                .iter()
                .flat_map(|l| l.ages.windows(2).zip(l.readings.windows(2)))
                .map(|(t, y)| {
                    let time = course.age(t[1]) - course.age(t[0]);
                    (time, course.reading(y[1]) - course.reading(y[0]))
                })
        };
        let (mut n, mut back, mut rise, mut time, mut squared_time) = (0, 0, 0.0, 0.0, 0.0);
        for (t, x) in steps() {
            n += 1;
            back += usize::from(x < 0.0);
            rise += x;
            time += t;
            squared_time += t * t;
        }
        if n < 3 {
            return Err(Error::insufficient("gamma process", "at least 3 increments", n));
        }
        let rate = rise / time;
        if !rate.gt(&0.0) || 3 * back > n {
            return Err(Error::insufficient(
                "gamma process",
                "readings that grow towards the threshold, at most a third of the steps backwards",
                format!("{back} of {n} steps backwards"),
            ));
        }
        let squares: f64 = steps().map(|(t, x)| (x - rate * t) * (x - rate * t)).sum();
        // Steps that are all the same still leave a scale that can be divided by.
        let scale = (squares / (time - squared_time / time) / rate).max(1e-6);
        GammaCourse {
            course,
            shape_rate: rate / scale,
            scale,
        }
        .check()
    }
}

/// The fitted half of [`GammaProcess`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GammaCourse {
    course: Course,
    shape_rate: f64,
    scale: f64,
}

impl GammaCourse {
    fn check(self) -> Result<Self> {
        let positive = |v: f64| (1e-12..=1e12).contains(&v);
        if positive(self.shape_rate) && positive(self.scale) {
            Ok(self)
        } else {
            Err(Error::persistence(format!(
                "gamma process: expected a shape rate and a scale above 0, got {self:?}"
            )))
        }
    }

    /// The reading at which a machine counts as failed.
    pub fn threshold(&self) -> f64 {
        self.course.threshold().0
    }

    /// Shape in a life unit and scale in the unit of readings.
    pub fn shape_rate_and_scale(&self) -> (f64, f64) {
        let (span, lifetime) = self.course.units();
        (self.shape_rate / lifetime, self.scale * span)
    }
}

impl TrajectoryModel for GammaCourse {
    const KIND: &'static str = "rul.gamma_process";
    type Record = Self;
    type Memory = IncrementMemory;

    fn width(&self) -> usize {
        1
    }

    fn new_memory(&self) -> IncrementMemory {
        IncrementMemory::default()
    }

    fn check_memory(&self, _: &IncrementMemory) -> Result<()> {
        Ok(()) // every one that can be read fits
    }

    fn observe(&self, memory: &mut IncrementMemory, age: f64, row: &[f64]) {
        if let [reading] = row {
            memory.take(self.course.age(age), self.course.reading(*reading), self.course.decay());
        }
    }

    fn prognose(
        &self,
        memory: &IncrementMemory,
        _: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        let distance = match memory.distance_left(self.course.significance()) {
            Ok(distance) => distance,
            Err(reason) => return Ok(Err(reason)),
        };
        let failure = |t: f64| gamma_above(self.shape_rate * self.course.age(t), distance / self.scale);
        Ok(first_passage::lives(unit, self.course.horizon(), failure))
    }

    fn to_record(&self) -> Self {
        self.clone()
    }

    fn from_record(r: Self, _: usize) -> Result<Self> {
        r.course.check()?;
        r.check()
    }
}
