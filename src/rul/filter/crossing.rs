//! When courses of a model reach its end.

use super::{
    normals::Normals,
    particle::{ParticleScratch, move_with_noise},
    state_model::StateModel,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
};

/// Probability of reaching the end within the horizon below which there is no prognosis.
const LEAST_KNOWN: f64 = 0.05;
/// Largest number of steps of a course.
const MAX_STEPS: usize = 100_000;
/// Largest number of courses times steps of one prognosis: some seconds.
const MAX_MOVES: usize = 100_000_000;

/// How far into the future courses of a model are followed, and in how many equal steps.
///
/// Each hypothesis is moved on with noise of its own until its margin is not above 0 any more; the time within the last step
/// is where a straight line between its two margins is zero. Courses that have not ended at the horizon are the
/// [`beyond`](RulDistribution::beyond) of the distribution. A course that falls below and rises again within a step is
/// not seen, so that lives of noisy levels come out too long by about 0.58 standard deviations of a step's noise, divided by
/// the drift (Broadie, Glasserman and Kou 1997, doi 10.1111/1467-9965.00035): take steps that are short beside the noise.
///
/// There is no prognosis where more than half of all hypotheses have ended already
/// ([`ThresholdCrossed`](NoPrognosis::ThresholdCrossed)), fewer than 5% reach their end within the horizon
/// ([`BeyondHorizon`](NoPrognosis::BeyondHorizon)), or the filter has [`Diverged`](NoPrognosis::Diverged).
///
/// A prognosis costs at most a transition and its normal numbers a step and hypothesis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossingSearch {
    horizon: f64,
    n_steps: usize,
}

impl CrossingSearch {
    /// Up to `horizon` in `n_steps` equal steps.
    ///
    /// # Errors
    /// `InvalidParameter` unless the horizon is finite and above 0 and the steps are 1 to 100,000.
    pub fn new(horizon: f64, n_steps: usize) -> Result<Self> {
        if !(horizon.is_finite() && horizon > 0.0) {
            return Err(Error::parameter("horizon", "finite and above 0", horizon));
        }
        if !(1..=MAX_STEPS).contains(&n_steps) {
            return Err(Error::parameter("n_steps", format!("from 1 to {MAX_STEPS}"), n_steps));
        }
        Ok(Self { horizon, n_steps })
    }

    /// How far courses are followed.
    pub fn horizon(&self) -> f64 {
        self.horizon
    }

    /// In how many steps.
    pub fn n_steps(&self) -> usize {
        self.n_steps
    }

    /// Refuses so many courses that following them would take minutes.
    pub(super) fn check_courses(&self, name: &str, n_courses: usize) -> Result<()> {
        if n_courses.saturating_mul(self.n_steps) <= MAX_MOVES {
            return Ok(());
        }
        let expected = format!("at most {} over {} steps", MAX_MOVES / self.n_steps, self.n_steps);
        Err(Error::parameter(name, expected, n_courses))
    }

    /// The lives of these hypotheses, counted from `gone` after now.
    pub(super) fn run<M: StateModel>(
        &self,
        model: &M,
        (particles, weights): (&[f64], &[f64]),
        gone: f64,
        seed: Seed,
        unit: LifeUnit,
        scratch: &mut ParticleScratch,
    ) -> Result<Result<RulDistribution, NoPrognosis>> {
        let n = model.n_states();
        let dt = self.horizon / self.n_steps as f64;
        model.process_sd_into(dt, &mut scratch.process_sd);
        let mut draws = Normals::new(seed);
        let lives = &mut scratch.lives;
        lives.clear();
        let (mut ended, mut known, mut beyond) = (0.0, 0.0, 0.0);
        for (x, &weight) in particles.chunks_exact(n).zip(weights).filter(|(_, w)| **w > 0.0) {
            scratch.course.copy_from_slice(x);
            model.confine(&mut scratch.course);
            match self.life(model, &mut scratch.course, dt, &scratch.process_sd, &mut draws) {
                Some(life) => {
                    known += weight;
                    ended += if life <= 0.0 { weight } else { 0.0 };
                    lives.push(((life - gone).max(0.0), weight));
                }
                None => beyond += weight,
            }
        }
        if ended > 0.5 {
            return Ok(Err(NoPrognosis::ThresholdCrossed));
        }
        if known < LEAST_KNOWN {
            return Ok(Err(NoPrognosis::BeyondHorizon));
        }
        lives.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        RulDistribution::from_weighted(unit, lives, beyond).map(Ok)
    }

    /// When this course ends; `None` beyond the horizon, and for one that has no margin.
    fn life<M: StateModel>(&self, model: &M, x: &mut [f64], dt: f64, sd: &[f64], draws: &mut Normals) -> Option<f64> {
        let mut before = model.margin(x);
        if before <= 0.0 {
            return Some(0.0);
        }
        for step in 0..self.n_steps {
            move_with_noise(model, x, dt, sd, draws);
            let after = model.margin(x);
            if after <= 0.0 {
                let share = before / (before - after);
                let share = if share.is_finite() { share } else { 0.5 };
                return Some((step as f64 + share) * dt);
            }
            if after.is_nan() {
                return None;
            }
            before = after;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rul::filter::particle::check_numbers;

    #[test]
    fn prognoses_of_minutes_are_refused() {
        let search = CrossingSearch::new(1.0, 100).unwrap();
        assert!(search.check_courses("n_samples", 1_000_000).is_ok());
        let error = search.check_courses("n_samples", 1_000_001).unwrap_err().to_string();
        assert!(error.contains("n_samples") && error.contains("1000000"), "{error}");
        assert!(check_numbers("n_samples", 1 << 18, 64).is_ok());
        assert!(check_numbers("n_samples", (1 << 18) + 1, 64).is_err());
    }
}
