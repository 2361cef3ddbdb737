//! The particle filter.

use super::{
    belief::GaussianBelief,
    crossing::CrossingSearch,
    normals::Normals,
    state_model::{FilterStep, StateModel, check_model, check_step},
    unscented::sample,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Largest number of particles.
pub const MAX_PARTICLES: usize = 1_000_000;
/// Largest number of particles times states: 128 MiB.
const MAX_NUMBERS: usize = 1 << 24;
/// Half a squared distance beyond which a weight is zero: `exp` has no number below.
const ZERO_WEIGHT: f64 = 745.0;

/// A filter of any model, by weighted samples of its state: each is moved with noise of its own and weighed by how well it
/// explains the values.
///
/// # Method
///
/// The bootstrap filter (sequential importance resampling). With the particles `x_i` and their weights `w_i`
///
/// ```text
/// x_i = confine(transition(x_i, dt) + noise)
/// w_i = w_i exp(l_i - max l),  l_i = -½ sum_j ((y_j - observe(x_i)_j) / sd_j)²,  then divided by their sum
/// ```
///
/// Where the effective number `1 / sum w²` falls below half of all (see [`resample_below`](ParticleFilter::resample_below)),
/// particles are drawn anew by systematic resampling: particle `i` is kept `n w_i` times, rounded down or up.
///
/// Where all particles lie more than 38 standard deviations of the noise from the values, all weights are zero. Such values
/// move no weight, the step and prognoses after it say [`Diverged`](FilterStep::Diverged), and the next values that are
/// explained end it: one absurd reading costs one prognosis.
///
/// All chance comes from the seed and the number of the step, so that a state is only particles, weights and counts, and
/// every machine that saw the same values has the same state.
///
/// # Missing values, cost
///
/// Values that are not finite are left out; without any, a step only moves the particles. Memory is `8 (n_states + 1)` bytes
/// a particle. A step allocates nothing and costs one transition, one observation, one exponential and a normal number
/// for each noisy state a particle.
///
/// # Source
///
/// Gordon, Salmond and Smith, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation", IEE Proceedings F 140
/// (1993), doi [10.1049/ip-f-2.1993.0015](https://doi.org/10.1049/ip-f-2.1993.0015); systematic resampling: Kitagawa, "Monte Carlo
/// filter and smoother for non-Gaussian nonlinear state space models", Journal of Computational and Graphical Statistics 5
/// (1996), doi [10.1080/10618600.1996.10474692](https://doi.org/10.1080/10618600.1996.10474692).
///
/// # Example
///
/// See [`StateModel`].
#[derive(Clone, Debug, PartialEq)]
pub struct ParticleFilter<M> {
    model: M,
    prior: GaussianBelief,
    root: Vec<f64>,
    n_particles: usize,
    resample_below: f64,
    /// Half the squared distance beyond which values are not explained.
    gate: f64,
    seed: Seed,
}

/// The particles of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct ParticleState {
    /// `n_states` a particle.
    x: Vec<f64>,
    /// Add up to 1.
    weights: Vec<f64>,
    /// Steps taken.
    n_steps: u64,
    /// Steps since values were explained last.
    n_unexplained: u32,
}

#[derive(Serialize, Deserialize)]
struct Record {
    x: Vec<f64>,
    weights: Vec<f64>,
    n_steps: u64,
    n_unexplained: u32,
}

impl TryFrom<Record> for ParticleState {
    type Error = Error;

    fn try_from(r: Record) -> Result<Self> {
        let n = r.weights.len();
        if n == 0 || n > MAX_PARTICLES || r.x.is_empty() || !r.x.len().is_multiple_of(n) {
            return Err(Error::persistence(format!(
                "particles: expected some states for each of 1 to {MAX_PARTICLES}, got {} for {n}",
                r.x.len()
            )));
        }
        if let Some(bad) = r.x.iter().find(|x| !x.is_finite()) {
            return Err(Error::persistence(format!(
                "particle: expected finite states, got {bad}"
            )));
        }
        let sound = r.weights.iter().all(|w| (0.0..=1.0 + 1e-9).contains(w));
        let total: f64 = r.weights.iter().sum();
        if !(sound && (total - 1.0).abs() < 1e-9) {
            return Err(Error::persistence(format!(
                "weights of particles: expected a sum of 1, none negative, got a sum of {total}"
            )));
        }
        Ok(Self {
            x: r.x,
            weights: r.weights,
            n_steps: r.n_steps,
            n_unexplained: r.n_unexplained,
        })
    }
}

impl From<ParticleState> for Record {
    fn from(s: ParticleState) -> Self {
        Self {
            x: s.x,
            weights: s.weights,
            n_steps: s.n_steps,
            n_unexplained: s.n_unexplained,
        }
    }
}

impl ParticleState {
    /// Number of particles.
    pub fn n_particles(&self) -> usize {
        self.weights.len()
    }

    /// Number of states of each.
    pub fn n_states(&self) -> usize {
        self.x.len() / self.weights.len().max(1)
    }

    /// The particles, each with its weight; weights add up to 1.
    pub fn particles(&self) -> impl Iterator<Item = (&[f64], f64)> {
        self.x
            .chunks_exact(self.n_states().max(1))
            .zip(self.weights.iter().copied())
    }

    /// The mean of state `i`; NaN where there is none.
    pub fn mean(&self, i: usize) -> f64 {
        if i < self.n_states() {
            self.particles().map(|(x, w)| w * x[i]).sum()
        } else {
            f64::NAN
        }
    }

    /// The standard deviation of state `i`; NaN where there is none.
    pub fn sd(&self, i: usize) -> f64 {
        let mean = self.mean(i);
        if mean.is_nan() {
            return mean;
        }
        let variance: f64 = self.particles().map(|(x, w)| w * (x[i] - mean) * (x[i] - mean)).sum();
        variance.sqrt()
    }

    /// The number of equal weights that would know as much: `1 / sum w²`.
    pub fn effective_number(&self) -> f64 {
        1.0 / self.weights.iter().map(|w| w * w).sum::<f64>()
    }

    /// Values in a row that were not explained by any particle.
    pub fn n_unexplained(&self) -> u32 {
        self.n_unexplained
    }

    /// Whether the last values were not explained by any particle.
    pub fn has_diverged(&self) -> bool {
        self.n_unexplained > 0
    }
}

/// Room for the steps of a [`ParticleFilter`].
#[derive(Clone, Debug, Default)]
pub struct ParticleScratch {
    x: Vec<f64>,
    log_likelihood: Vec<f64>,
    pub(super) process_sd: Vec<f64>,
    observation_sd: Vec<f64>,
    seen: Vec<f64>,
    pub(super) course: Vec<f64>,
    pub(super) lives: Vec<(f64, f64)>,
}

impl ParticleScratch {
    pub(super) fn new(n_states: usize, n_observations: usize, n_particles: usize) -> Self {
        let mut scratch = Self::default();
        scratch.resize(n_states, n_observations, n_particles);
        scratch
    }

    /// Makes it that of a filter of these sizes.
    pub(super) fn resize(&mut self, n_states: usize, n_observations: usize, n_particles: usize) {
        self.x.resize(n_states * n_particles, 0.0);
        self.log_likelihood.resize(n_particles, 0.0);
        self.process_sd.resize(n_states, 0.0);
        self.observation_sd.resize(n_observations, 0.0);
        self.seen.resize(n_observations, 0.0);
        self.course.resize(n_states, 0.0);
        self.lives.clear();
        self.lives.reserve(n_particles);
    }
}

impl<M: StateModel> ParticleFilter<M> {
    /// `n_particles` of `model` for machines that start as `prior`.
    ///
    /// # Errors
    /// `InvalidParameter` for fewer than 10 or more than 1,000,000 particles or 2^24 of their states, a prior over other
    /// states, and where the model's sizes or noises are out of range.
    pub fn new(model: M, prior: GaussianBelief, n_particles: usize, seed: Seed) -> Result<Self> {
        check_model(&model, &prior)?;
        if !(10..=MAX_PARTICLES).contains(&n_particles) {
            return Err(Error::parameter(
                "n_particles",
                format!("from 10 to {MAX_PARTICLES}"),
                n_particles,
            ));
        }
        check_numbers("n_particles", n_particles, prior.n_states())?;
        let Some(root) = prior.root().filter(|_| !prior.diverged) else {
            return Err(Error::parameter("prior", "a distribution", "one that has diverged"));
        };
        Ok(Self {
            model,
            prior,
            root,
            n_particles,
            resample_below: 0.5,
            gate: ZERO_WEIGHT,
            seed,
        })
    }

    /// Resamples where the effective number falls below this share of all particles. Default 0.5; 0 never resamples, 1
    /// after every reading.
    ///
    /// # Errors
    /// `InvalidParameter` unless it lies in 0..=1.
    pub fn resample_below(mut self, share: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::parameter("resample_below", "from 0 to 1", share));
        }
        self.resample_below = share;
        Ok(self)
    }

    /// Values that lie farther than this many standard deviations of their noise from all particles are not explained.
    /// Default 38.6, where weights become zero.
    ///
    /// # Errors
    /// `InvalidParameter` unless it lies in 1..=38.6.
    pub fn explained_within(mut self, n_sd: f64) -> Result<Self> {
        if !(1.0..=38.6).contains(&n_sd) {
            return Err(Error::parameter("explained_within", "from 1 to 38.6", n_sd));
        }
        self.gate = 0.5 * n_sd * n_sd;
        Ok(self)
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Number of particles.
    pub fn n_particles(&self) -> usize {
        self.n_particles
    }

    /// The particles of a new machine, drawn from the prior.
    pub fn new_state(&self) -> ParticleState {
        let mut state = ParticleState {
            x: vec![0.0; self.model.n_states() * self.n_particles],
            weights: vec![0.0; self.n_particles],
            n_steps: 0,
            n_unexplained: 0,
        };
        self.draw_anew(&mut state);
        state
    }

    /// The particles of a new machine in the place of a state of this filter's; steps count on.
    pub(super) fn draw_anew(&self, state: &mut ParticleState) {
        let mut draws = Normals::new(self.seed.part(0).part(state.n_steps));
        for x in state.x.chunks_exact_mut(self.prior.n_states()) {
            sample(&self.prior.mean, &self.root, &mut draws, x);
            self.model.confine(x);
        }
        state.weights.fill(1.0 / self.n_particles as f64);
        state.n_unexplained = 0;
    }

    /// Room for its steps.
    pub fn new_scratch(&self) -> ParticleScratch {
        ParticleScratch::new(self.model.n_states(), self.model.n_observations(), self.n_particles)
    }

    /// `dt` more of time, then the values measured at its end.
    ///
    /// # Errors
    /// `InvalidInput` for a step that is negative or not finite, and values or scratch of other sizes; `StateMismatch` for
    /// particles of other sizes.
    pub fn step(
        &self,
        state: &mut ParticleState,
        dt: f64,
        y: &[f64],
        scratch: &mut ParticleScratch,
    ) -> Result<FilterStep> {
        let n = self.model.n_states();
        check_step(dt, y, self.model.n_observations())?;
        self.check_state(state)?;
        if scratch.x.len() != n * self.n_particles || scratch.seen.len() != y.len() {
            return Err(Error::input("scratch", "that of this filter", "another"));
        }
        let mut draws = Normals::new(self.seed.part(1).part(state.n_steps));
        state.n_steps = state.n_steps.wrapping_add(1);
        let n_present = y.iter().filter(|y| y.is_finite()).count();
        let best = self.weigh(state, dt, y, n_present > 0, &mut draws, scratch);
        if best == f64::NEG_INFINITY || (n_present > 0 && best < -self.gate) {
            state.n_unexplained = state.n_unexplained.saturating_add(1);
            return Ok(FilterStep::Diverged);
        }
        // Without values only the particles that are no numbers any more lose their weight.
        let mut total = 0.0;
        for (w, l) in state.weights.iter_mut().zip(&scratch.log_likelihood) {
            // A particle of no weight may explain the values better than the best that has one: 0 times infinity.
            if *w > 0.0 {
                *w *= libm::exp(l - best);
                total += *w;
            }
        }
        let mut squares = 0.0;
        for w in &mut state.weights {
            *w /= total;
            squares += *w * *w;
        }
        if n_present == 0 {
            return Ok(FilterStep::Predicted);
        }
        state.n_unexplained = 0;
        if squares * self.resample_below * self.n_particles as f64 > 1.0 - 1e-9 {
            self.resample(state, draws.uniform(), &mut scratch.x);
        }
        let normalising: f64 = y
            .iter()
            .zip(&scratch.observation_sd)
            .filter(|(y, _)| y.is_finite())
            .map(|(_, sd)| libm::log(*sd) + 0.5 * libm::log(2.0 * PI))
            .sum();
        Ok(FilterStep::Updated {
            log_likelihood: best + libm::log(total) - normalising,
        })
    }

    /// Moves the particles and writes what the values say of each; the highest of those that have a weight.
    fn weigh(
        &self,
        state: &mut ParticleState,
        dt: f64,
        y: &[f64],
        is_seen: bool,
        draws: &mut Normals,
        scratch: &mut ParticleScratch,
    ) -> f64 {
        let n = self.prior.n_states();
        self.model.process_sd_into(dt, &mut scratch.process_sd);
        self.model.observation_sd_into(&mut scratch.observation_sd);
        let seen = &mut *scratch.seen;
        let mut best = f64::NEG_INFINITY;
        for ((x, w), out) in state
            .x
            .chunks_exact_mut(n)
            .zip(&state.weights)
            .zip(&mut scratch.log_likelihood)
        {
            move_with_noise(&self.model, x, dt, &scratch.process_sd, draws);
            *out = if !x.iter().all(|x| x.is_finite()) {
                x.copy_from_slice(&self.prior.mean);
                f64::NEG_INFINITY
            } else if is_seen {
                self.model.observe(x, seen);
                let mut sum = 0.0;
                for ((y, seen), sd) in y.iter().zip(&*seen).zip(&scratch.observation_sd) {
                    let z = (y - seen) / sd;
                    sum += if y.is_finite() { z * z } else { 0.0 };
                }
                if sum.is_nan() { f64::NEG_INFINITY } else { -0.5 * sum }
            } else {
                0.0
            };
            if *w > 0.0 && *out > best {
                best = *out;
            }
        }
        best
    }

    fn resample(&self, state: &mut ParticleState, u: f64, room: &mut [f64]) {
        let n = self.prior.n_states();
        let mut out = room.chunks_exact_mut(n);
        systematic(&state.weights, u, |i| {
            if let (Some(out), Some(x)) = (out.next(), state.x.get(i * n..(i + 1) * n)) {
                out.copy_from_slice(x);
            }
        });
        state.x.copy_from_slice(room);
        state.weights.fill(1.0 / self.n_particles as f64);
    }

    /// The distribution of the time until the model's end, each particle moved on with noise; see [`CrossingSearch`].
    ///
    /// # Errors
    /// `StateMismatch` for particles of other sizes, `InvalidParameter` for more than 100,000,000 particles times steps.
    pub fn prognose(
        &self,
        state: &ParticleState,
        search: CrossingSearch,
        unit: LifeUnit,
        scratch: &mut ParticleScratch,
    ) -> Result<Result<RulDistribution, NoPrognosis>> {
        self.prognose_after(state, 0.0, search, unit, scratch)
    }

    /// [`prognose`](ParticleFilter::prognose), counted from `gone` after the last step.
    pub(super) fn prognose_after(
        &self,
        state: &ParticleState,
        gone: f64,
        search: CrossingSearch,
        unit: LifeUnit,
        scratch: &mut ParticleScratch,
    ) -> Result<Result<RulDistribution, NoPrognosis>> {
        self.check_state(state)?;
        search.check_courses("n_particles", self.n_particles)?;
        if state.has_diverged() {
            return Ok(Err(NoPrognosis::Diverged));
        }
        let seed = self.seed.part(2).part(state.n_steps);
        search.run(&self.model, (&state.x, &state.weights), gone, seed, unit, scratch)
    }

    /// Whether a state has the sizes of this filter's.
    pub(super) fn check_state(&self, state: &ParticleState) -> Result<()> {
        let (n, k) = (self.n_particles, self.model.n_states());
        if state.weights.len() == n && state.x.len() == n * k {
            Ok(())
        } else {
            Err(Error::state(
                "particles",
                format!("{n} of {k} states"),
                format!("{} of {}", state.n_particles(), state.n_states()),
            ))
        }
    }
}

/// One step of a model with noise.
#[inline]
pub(super) fn move_with_noise<M: StateModel>(model: &M, x: &mut [f64], dt: f64, sd: &[f64], draws: &mut Normals) {
    model.transition(x, dt);
    for (x, sd) in x.iter_mut().zip(sd) {
        if *sd > 0.0 {
            *x += sd * draws.normal();
        }
    }
    model.confine(x);
}

/// Calls `keep` with the number of a particle, as often as there are particles: with that in whose share of the sum of
/// weights each of the points `(i + u) / n` lies. Weights add up to 1, `0 <= u < 1`.
fn systematic(weights: &[f64], u: f64, mut keep: impl FnMut(usize)) {
    let n = weights.len();
    let last = weights.iter().rposition(|w| *w > 0.0).unwrap_or(0);
    let (mut i, mut sum) = (0, weights.first().copied().unwrap_or(0.0) * n as f64);
    for k in 0..n {
        let point = k as f64 + u;
        while sum <= point && i < last {
            i += 1;
            sum += weights[i] * n as f64;
        }
        keep(i);
    }
}

/// Refuses more samples of a state than there is room for.
pub(super) fn check_numbers(name: &str, n_samples: usize, n_states: usize) -> Result<()> {
    if n_samples.saturating_mul(n_states) <= MAX_NUMBERS {
        return Ok(());
    }
    let expected = format!("at most {} of {n_states} states", MAX_NUMBERS / n_states);
    Err(Error::parameter(name, expected, n_samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, rul::filter::BearingWear};
    use proptest::prelude::*;

    fn filter(n: usize) -> ParticleFilter<BearingWear> {
        let prior = GaussianBelief::independent(&[0.0, 0.02], &[0.1, 0.01]).unwrap();
        ParticleFilter::new(BearingWear::new(10.0).unwrap(), prior, n, Seed(1)).unwrap()
    }

    proptest! {
        /// Of n particles, the one with weight w is kept floor(n w) or ceil(n w) times.
        #[test]
        fn systematic_resampling_keeps_each_particle_its_share(raw in proptest::collection::vec(0.0..1.0f64, 1..200), u in 0.0..1.0f64) {
            let total: f64 = raw.iter().sum();
            prop_assume!(total > 1e-3);
            let weights: Vec<f64> = raw.iter().map(|w| w / total).collect();
            let n = weights.len();
            let mut counts = vec![0_usize; n];
            systematic(&weights, u, |i| counts[i] += 1);
            prop_assert_eq!(counts.iter().sum::<usize>(), n);
            for (count, w) in counts.iter().zip(&weights) {
                // 200 sums of ulps about whole numbers.
                let share = w * n as f64;
                prop_assert!(*count as f64 >= (share - 1e-10).floor() && *count as f64 <= (share + 1e-10).ceil(), "{} of {}", count, share);
            }
        }
    }

    #[test]
    fn particles_of_no_weight_are_not_kept() {
        for u in [0.0, 0.5, 1.0 - 1e-16] {
            systematic(&[0.0, 1.0, 0.0], u, |i| assert_eq!(i, 1));
            systematic(&[0.5, 0.5, 0.0], u, |i| assert!(i < 2));
        }
    }

    #[test]
    fn absurd_readings_diverge_and_the_next_sound_one_ends_it() {
        let filter = filter(100);
        let (mut state, mut scratch) = (filter.new_state(), filter.new_scratch());
        let search = CrossingSearch::new(1000.0, 50).unwrap();
        for absurd in [1e300, -1e300, f64::MAX, 1e6] {
            assert_eq!(
                filter.step(&mut state, 1.0, &[absurd], &mut scratch).unwrap(),
                FilterStep::Diverged
            );
            let outcome = filter.prognose(&state, search, LifeUnit::Hours, &mut scratch).unwrap();
            assert_eq!(outcome, Err(NoPrognosis::Diverged));
            let total: f64 = state.particles().map(|p| p.1).sum();
            assert!((total - 1.0).abs() < 1e-12);
        }
        for missing in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                filter.step(&mut state, 1.0, &[missing], &mut scratch).unwrap(),
                FilterStep::Predicted
            );
            assert!(state.has_diverged());
        }
        let step = filter.step(&mut state, 1.0, &[0.15], &mut scratch).unwrap();
        assert!(matches!(step, FilterStep::Updated { .. }) && !state.has_diverged());
        assert!(
            filter
                .prognose(&state, search, LifeUnit::Hours, &mut scratch)
                .unwrap()
                .is_ok()
        );
        // A step of any length is a step.
        filter.step(&mut state, 1e300, &[0.15], &mut scratch).unwrap();
        assert!(
            state
                .particles()
                .all(|(x, w)| x.iter().all(|x| x.is_finite()) && w.is_finite())
        );
        assert!(state.mean(2).is_nan() && state.sd(2).is_nan());
    }

    /// One that lost its weight stays without, however well it explains what comes.
    #[test]
    fn particles_of_no_weight_do_not_come_back() {
        let filter = filter(10).resample_below(0.0).unwrap();
        let (mut state, mut scratch) = (filter.new_state(), filter.new_scratch());
        // Readings have a standard deviation of 0.1: nine particles explain 0 at 38 of them, beyond which exp(l - best)
        // is infinite for the one that explains it at once.
        state.x.chunks_exact_mut(2).for_each(|x| x.copy_from_slice(&[3.8, 0.0]));
        state.x[0] = 0.0;
        state.weights.fill(1.0 / 9.0);
        state.weights[0] = 0.0;
        let step = filter.step(&mut state, 0.0, &[0.0], &mut scratch).unwrap();
        assert!(
            matches!(step, FilterStep::Updated { log_likelihood } if log_likelihood.is_finite()),
            "{step:?}"
        );
        let weights: Vec<f64> = state.particles().map(|p| p.1).collect();
        assert!(
            weights[0] == 0.0 && weights[1..].iter().all(|w| (w - 1.0 / 9.0).abs() < 1e-12),
            "{weights:?}"
        );
    }

    #[test]
    fn outcomes_without_a_prognosis() {
        let filter = filter(200);
        let mut scratch = filter.new_scratch();
        let mut state = filter.new_state();
        let near = CrossingSearch::new(5.0, 50).unwrap();
        let outcome = filter.prognose(&state, near, LifeUnit::Hours, &mut scratch).unwrap();
        assert_eq!(outcome, Err(NoPrognosis::BeyondHorizon));
        state.x.chunks_exact_mut(2).for_each(|x| x[0] = 3.0); // above ln 10
        let outcome = filter.prognose(&state, near, LifeUnit::Hours, &mut scratch).unwrap();
        assert_eq!(outcome, Err(NoPrognosis::ThresholdCrossed));
    }

    #[test]
    fn wrong_calls_are_refused() {
        let filter = filter(20);
        let (mut state, mut scratch) = (filter.new_state(), filter.new_scratch());
        for dt in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(filter.step(&mut state, dt, &[0.0], &mut scratch).is_err());
        }
        assert!(filter.step(&mut state, 1.0, &[], &mut scratch).is_err());
        assert!(filter.step(&mut state, 1.0, &[0.0, 0.0], &mut scratch).is_err());
        let other = self::filter(30);
        assert!(filter.step(&mut state, 1.0, &[0.0], &mut other.new_scratch()).is_err());
        let e = other
            .step(&mut state, 1.0, &[0.0], &mut other.new_scratch())
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::StateMismatch);
        let prior = GaussianBelief::independent(&[0.0; 3], &[1.0; 3]).unwrap();
        let wear = BearingWear::new(10.0).unwrap();
        assert!(ParticleFilter::new(wear, prior, 100, Seed(0)).is_err());
        let prior = GaussianBelief::independent(&[0.0; 2], &[1.0; 2]).unwrap();
        for n in [0, 9, MAX_PARTICLES + 1] {
            assert!(ParticleFilter::new(wear, prior.clone(), n, Seed(0)).is_err());
        }
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(filter.clone().resample_below(share).is_err());
        }
        assert!(CrossingSearch::new(f64::NAN, 10).is_err() && CrossingSearch::new(0.0, 10).is_err());
        assert!(CrossingSearch::new(1.0, 0).is_err() && CrossingSearch::new(1.0, 1_000_000).is_err());
    }

    #[test]
    fn states_from_files_are_validated() {
        let state = filter(10).new_state();
        let bytes = rmp_serde::to_vec_named(&state).unwrap();
        assert_eq!(rmp_serde::from_slice::<ParticleState>(&bytes).unwrap(), state);
        let read = |x: Vec<f64>, weights: Vec<f64>| {
            let record = Record {
                x,
                weights,
                n_steps: 0,
                n_unexplained: 0,
            };
            rmp_serde::from_slice::<ParticleState>(&rmp_serde::to_vec_named(&record).unwrap())
        };
        assert!(read(vec![1.0; 4], vec![0.5, 0.5]).is_ok());
        assert!(read(vec![1.0; 3], vec![0.5, 0.5]).is_err() && read(vec![], vec![]).is_err());
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(read(vec![bad; 4], vec![0.5, 0.5]).is_err() && read(vec![0.0; 4], vec![bad, 0.5]).is_err());
        }
        assert!(read(vec![0.0; 4], vec![0.4, 0.5]).is_err() && read(vec![0.0; 4], vec![1.5, -0.5]).is_err());
    }
}
