//! How a hidden state moves and is seen: what filters are made over.

use super::belief::{GaussianBelief, check_states};
use crate::error::{Error, Result};

/// A model of degradation: a few hidden numbers, how they move with time, how they are measured, and when the machine is
/// at its end.
///
/// ```text
/// x(t + dt) = confine(transition(x(t), dt) + process_sd(dt) * normal)
/// y(t)      = observe(x(t)) + observation_sd * normal
/// end       : margin(x) <= 0
/// ```
///
/// Noise is normal, independent by state and by observation, and added; multiplicative noise is added to a logarithm, and
/// unknown constants are states that do not move. Steps of any length `dt >= 0` must compose: the noise's variance grows
/// with `dt` (`sd * sqrt(dt)`).
///
/// A model of one's own:
///
/// ```
/// use prognos::{
///     model::RulDistribution,
///     quantity::{LifeUnit, Seed},
///     rul::filter::{CrossingSearch, GaussianBelief, ParticleFilter, StateModel},
/// };
///
/// /// A tread that wears at a rate of its own down to `least_mm`.
/// struct Tread { least_mm: f64 }
///
/// impl StateModel for Tread {
///     fn n_states(&self) -> usize { 2 } // depth in mm, wear in mm/h
///     fn transition(&self, x: &mut [f64], dt: f64) { x[0] -= x[1] * dt }
///     fn process_sd_into(&self, dt: f64, sd: &mut [f64]) { sd[0] = 0.001 * dt.sqrt(); sd[1] = 0.0 }
///     fn observe(&self, x: &[f64], y: &mut [f64]) { y[0] = x[0] }
///     fn observation_sd_into(&self, sd: &mut [f64]) { sd[0] = 0.05 }
///     fn confine(&self, x: &mut [f64]) { x[1] = x[1].max(0.0) }
///     fn margin(&self, x: &[f64]) -> f64 { x[0] - self.least_mm }
/// }
///
/// let prior = GaussianBelief::independent(&[8.0, 0.01], &[0.1, 0.005])?;
/// let filter = ParticleFilter::new(Tread { least_mm: 1.6 }, prior, 2000, Seed(1))?;
/// let (mut state, mut scratch) = (filter.new_state(), filter.new_scratch());
/// for hour in 1..=20 {
///     filter.step(&mut state, 10.0, &[8.0 - 0.012 * 10.0 * f64::from(hour)], &mut scratch)?;
/// }
/// // 5.6 mm are left, 4 mm above the end: 333 h.
/// let search = CrossingSearch::new(1000.0, 200)?;
/// let life: RulDistribution = filter.prognose(&state, search, LifeUnit::Hours, &mut scratch)?.unwrap();
/// assert!((life.median().unwrap() - 333.0).abs() < 25.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub trait StateModel {
    /// Number of hidden states, from 1 to 64.
    fn n_states(&self) -> usize;

    /// Number of measured values, from 1 to 64.
    fn n_observations(&self) -> usize {
        1
    }

    /// Moves `x` by `dt` without noise.
    fn transition(&self, x: &mut [f64], dt: f64);

    /// The standard deviation of the noise of each state over `dt`, into `sd`.
    fn process_sd_into(&self, dt: f64, sd: &mut [f64]);

    /// The values measured of `x` without noise, into `y`.
    fn observe(&self, x: &[f64], y: &mut [f64]);

    /// The standard deviation of the noise of each measured value, above 0, into `sd`.
    fn observation_sd_into(&self, sd: &mut [f64]);

    /// Brings a state that noise drove out of its range back into it: called after each step.
    fn confine(&self, x: &mut [f64]) {
        let _ = x;
    }

    /// How far `x` is from its end, in any rising measure; not above 0 where it is reached. Courses are interpolated in it.
    fn margin(&self, x: &[f64]) -> f64;
}

/// What a filter did with a step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FilterStep {
    /// Time went on and the values were taken in.
    Updated {
        /// The logarithm of the density of the values, given all before them.
        log_likelihood: f64,
    },
    /// Time went on; none of the values was finite.
    Predicted,
    /// The filter does not explain the values: all particles have zero weight, or a covariance is none.
    Diverged,
}

/// Checks a model against the distribution it starts from.
pub(super) fn check_model<M: StateModel>(model: &M, prior: &GaussianBelief) -> Result<()> {
    let (n, m) = (model.n_states(), model.n_observations());
    check_states("n_states", n)?;
    check_states("n_observations", m)?;
    if prior.n_states() != n {
        return Err(Error::parameter("prior", format!("over {n} states"), prior.n_states()));
    }
    let mut sd = vec![f64::NAN; m];
    model.observation_sd_into(&mut sd);
    if let Some(bad) = sd.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(Error::parameter("observation_sd", "finite and above 0", bad));
    }
    let mut sd = vec![f64::NAN; n];
    model.process_sd_into(1.0, &mut sd);
    if let Some(bad) = sd.iter().find(|s| !(s.is_finite() && **s >= 0.0)) {
        return Err(Error::parameter("process_sd", "finite and not negative", bad));
    }
    Ok(())
}

/// Checks what a step is given.
pub(super) fn check_step(dt: f64, y: &[f64], n_observations: usize) -> Result<()> {
    if !(dt.is_finite() && dt >= 0.0) {
        return Err(Error::input("time step", "finite and not negative", dt));
    }
    if y.len() != n_observations {
        return Err(Error::input("observation", format!("{n_observations} values"), y.len()));
    }
    Ok(())
}
