//! Wiener process with drift.

use super::{
    course::{Course, CourseSettings, course_setters, series},
    first_passage,
    increments::IncrementMemory,
    tails::{ln_normal, normal},
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams},
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
/// use prognos::rul::{Direction, WienerProcess};
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

/// The probability of a first passage over `distance` within `t`, for a drift `N(m, v)` and a diffusion `σ²`.
fn passage(t: f64, distance: f64, m: f64, v: f64, diffusion: f64) -> f64 {
    if !t.gt(&0.0) {
        return 0.0;
    }
    let s = (diffusion * t + v * t * t).sqrt();
    let ratio = distance / diffusion;
    let exponent = 2.0 * ratio * (m + v * ratio);
    let reflected = ln_normal(-(2.0 * v * ratio * t + m * t + distance) / s);
    // Of two large numbers of opposite signs; the product is a probability.
    let second = libm::exp((exponent + reflected).min(0.0));
    (normal((m * t - distance) / s) + second).clamp(0.0, 1.0)
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
        let Some(level) = memory.last() else {
            return Ok(Err(NoPrognosis::NoTrend));
        };
        if level >= 0.0 {
            return Ok(Err(NoPrognosis::ThresholdCrossed));
        }
        if !memory.p_value().lt(&self.course.significance()) {
            return Ok(Err(NoPrognosis::NoTrend));
        }
        let (m, v) = self.posterior(memory);
        let failure = |t: f64| passage(self.course.age(t), -level, m, v, self.diffusion);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_the_mean_of_inverse_gaussians_over_the_drift() {
        let (d, m, v, diffusion): (f64, f64, f64, f64) = (0.8, 1.1, 0.3, 0.2);
        for t in [0.1, 0.5, 1.0, 4.0] {
            // Simpson's rule over ±8 standard deviations, 400 steps: below 1e-9.
            let n = 400;
            let h = 16.0 / f64::from(n);
            let mean: f64 = (0..=n)
                .map(|i| {
                    let z = -8.0 + h * f64::from(i);
                    let weight = if i == 0 || i == n {
                        1.0
                    } else if i % 2 == 1 {
                        4.0
                    } else {
                        2.0
                    };
                    weight * libm::exp(-0.5 * z * z) * passage(t, d, m + z * v.sqrt(), 0.0, diffusion)
                })
                .sum();
            let mean = mean * h / 3.0 / (2.0 * std::f64::consts::PI).sqrt();
            assert!((passage(t, d, m, v, diffusion) - mean).abs() < 1e-9, "{t}");
        }
        // Without chance all pass at d/m; a drift away never does.
        assert!(passage(0.72, d, m, 0.0, 1e-9) < 1e-12 && passage(0.74, d, m, 0.0, 1e-9) > 1.0 - 1e-12);
        assert!(passage(1e6, d, -1.0, 0.0, 0.1) < 1e-6);
        assert_eq!(passage(0.0, d, m, v, diffusion), 0.0);
    }
}
