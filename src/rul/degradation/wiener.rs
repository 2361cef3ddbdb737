//! Wiener process with drift.

use super::{
    course::{Course, CourseSettings, course_setters, series},
    first_passage,
    increments::IncrementMemory,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{
        RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams,
        drift_passage::DriftPassage,
    },
};
use serde::{Deserialize, Serialize};

/// Remaining life of a reading that wanders to its threshold: Brownian motion with a drift of each machine's own.
///
/// # Method
///
/// Over a time `τ` a reading changes by `μ τ + σ B(τ)`, whatever it did before. `σ²` is that of all recorded increments about
/// the rate of their life, each over its time; `μ` is normal over the fleet, of the mean and the variance of those rates less
/// what chance adds to it. A machine's own rise `x` over a time `t` makes it `N(m, v)` with
/// `1/v = 1/v0 + t/σ²`, `m = v (m0/v0 + x/σ²)`. From a reading a distance `d` below the threshold, the first passage has
///
/// ```text
/// P(life <= t) = Φ((m t - d)/s) + exp(2 m d/σ² + 2 v d²/σ⁴) Φ(-(2 v d t + σ² (m t + d))/(σ² s))   s² = σ² t + v t²
/// ```
///
/// the inverse Gaussian distribution where `v = 0`. Drifts away from the threshold leave lives
/// [beyond](RulDistribution::beyond) what is known. Times between readings may differ. The reading is taken to be what the
/// machine's state is: noise of the sensor counts into `σ²`.
///
/// No claim is made ([`NoPrognosis::NoTrend`]) before Student's test finds the machine's own drift at
/// [`significance`](WienerProcessParams::significance), with increments independent as the process has them.
///
/// # Missing values, cost
///
/// One feature is followed ([`on`](TrajectoryRegressorParams::on)); readings more than ten spans from the threshold count as
/// ten. A machine's memory is seven numbers; a row costs about 1,000 evaluations of the formula and allocates nothing.
///
/// # Source
///
/// Si, Wang, Chen, Hu and Zhou, "A degradation path-dependent approach for remaining useful life estimation with an exact
/// and closed-form solution", European Journal of Operational Research 226 (2013), doi
/// [10.1016/j.ejor.2012.10.030](https://doi.org/10.1016/j.ejor.2012.10.030).
///
/// # Example
///
/// ```
/// use linfa::ParamGuard;
/// use prognos::rul::degradation::{Direction, WienerProcess};
/// let params = WienerProcess::params().on(["capacity"]).threshold(1.4).direction(Direction::Falling);
/// assert!(params.check().is_ok());
/// ```
pub type WienerProcess = TrajectoryRegressor<WienerCourse>;

/// Parameters of [`WienerProcess`].
pub type WienerProcessParams = TrajectoryRegressorParams<WienerSettings>;

/// How [`WienerProcess`] is fitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WienerSettings {
    course: CourseSettings,
}

course_setters!(WienerProcessParams);

impl WienerProcess {
    /// All from the recorded lives, a trend tested at 0.05, readings that count for ever.
    pub fn params() -> WienerProcessParams {
        WienerProcessParams::default()
    }
}

impl TrajectoryAlgorithm for WienerSettings {
    type Model = WienerCourse;

    fn check(&self) -> Result<()> {
        self.course.check()
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<WienerCourse> {
        let lives = series(lives, Some)?;
        let course = Course::learn(&self.course, self.course.threshold, &lives)?;
        let moving: Vec<_> = lives
            .iter()
            .map(|l| IncrementMemory::of(l, &course))
            .filter(|m| m.weight() >= 1.0)
            .collect();
        let df: f64 = moving.iter().map(|m| m.weight() - 1.0).sum();
        if moving.len() < 2 || df < 1.0 {
            return Err(Error::insufficient(
                "Wiener process",
                "at least 2 lives of 2 readings, one with more",
                format!("{} and {df} increments to spare", moving.len()),
            ));
        }
        let least = 1e-9; // a diffusion that readings can be divided by
        let diffusion = (moving.iter().map(IncrementMemory::residual).sum::<f64>() / df).max(least);
        let rates: Vec<f64> = moving.iter().map(|m| m.rise().0 / m.rise().1).collect();
        let n = rates.len() as f64;
        let drift = rates.iter().sum::<f64>() / n;
        let spread = rates.iter().map(|r| (r - drift) * (r - drift)).sum::<f64>() / (n - 1.0);
        let by_chance = diffusion * moving.iter().map(|m| 1.0 / m.rise().1).sum::<f64>() / n;
        WienerCourse {
            course,
            drift,
            drift_variance: (spread - by_chance).max(0.0),
            diffusion,
        }
        .check()
    }
}

/// The fitted half of [`WienerProcess`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WienerCourse {
    course: Course,
    drift: f64,
    drift_variance: f64,
    diffusion: f64,
}

impl WienerCourse {
    fn check(self) -> Result<Self> {
        let sound = self.drift.abs() <= 1e20
            && (0.0..=1e20).contains(&self.drift_variance)
            && (1e-20..=1e20).contains(&self.diffusion);
        if sound {
            Ok(self)
        } else {
            Err(Error::persistence(format!(
                "Wiener process: expected a finite drift and a diffusion above 0, got {self:?}"
            )))
        }
    }

    /// The reading at which a machine counts as failed.
    pub fn threshold(&self) -> f64 {
        self.course.threshold().0
    }

    fn posterior(&self, memory: &IncrementMemory) -> (f64, f64) {
        let (rise, time) = memory.rise();
        let whole = self.diffusion + self.drift_variance * time;
        (
            (self.drift * self.diffusion + self.drift_variance * rise) / whole,
            self.drift_variance * self.diffusion / whole,
        )
    }

    /// Mean and variance of a machine's drift in readings a life unit after its readings, and the diffusion `σ²`.
    pub fn belief(&self, memory: &IncrementMemory) -> (f64, f64, f64) {
        let (m, v) = self.posterior(memory);
        let (span, lifetime) = self.course.units();
        let rate = span / lifetime;
        let diffusion = self.diffusion * span * rate;
        (self.course.outer_line([0.0, m])[1], v * rate * rate, diffusion)
    }
}

impl TrajectoryModel for WienerCourse {
    const KIND: &'static str = "rul.wiener";
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
        let (m, v) = self.posterior(memory);
        let way = DriftPassage {
            distance,
            drift: m,
            drift_variance: v,
            diffusion: self.diffusion,
        };
        let failure = |t: f64| way.within(self.course.age(t));
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
