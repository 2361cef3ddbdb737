//! The unscented Kalman filter.

use super::{
    belief::GaussianBelief,
    crossing::CrossingSearch,
    dense,
    normals::Normals,
    particle::{ParticleScratch, check_numbers},
    state_model::{FilterStep, StateModel, check_model, check_step},
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
};
use std::f64::consts::PI;

/// A filter of curved models that follows mean and covariance by a few chosen points instead of derivatives.
///
/// # Method
///
/// The `2n + 1` points of a belief with mean `x` and covariance `P = L Lᵀ` are `x` and `x ± sqrt(n + λ) L_i`, with
/// `λ = α² (n + κ) - n` and the weights
///
/// ```text
/// mean        λ / (n + λ)               and 1 / (2 (n + λ)) for the others
/// covariance  λ / (n + λ) + 1 - α² + β  and 1 / (2 (n + λ)) for the others
/// ```
///
/// They are moved by the model, the noise's variance is added, new points are drawn of the result and observed. For a
/// linear model this is the Kalman filter. The default `α = 1, β = 2, κ = 0` has no negative weight, so that the covariance of
/// moved points has no negative direction; smaller `α` draw the points closer.
///
/// # Missing values, cost
///
/// Values that are not finite are left out; without any, a step only predicts. A covariance that is none any more is
/// [divergence](GaussianBelief::has_diverged), for ever. A step moves and observes `2n + 1` points and costs `O(n³)` besides;
/// nothing is allocated.
///
/// # Source
///
/// Julier and Uhlmann, "Unscented filtering and nonlinear estimation", Proceedings of the IEEE 92 (2004), doi
/// [10.1109/JPROC.2003.823141](https://doi.org/10.1109/JPROC.2003.823141); the scaling is that of Wan and van der Merwe, "The
/// unscented Kalman filter for nonlinear estimation", AS-SPCC (2000), doi
/// [10.1109/ASSPCC.2000.882463](https://doi.org/10.1109/ASSPCC.2000.882463).
///
/// # Example
///
/// ```
/// use prognos::rul::filter::{BearingWear, GaussianBelief, UnscentedKalmanFilter};
/// let prior = GaussianBelief::independent(&[0.0, 0.02], &[0.3, 0.01])?;
/// let filter = UnscentedKalmanFilter::new(BearingWear::new(10.0)?, prior.clone())?;
/// let (mut belief, mut scratch) = (prior, filter.new_scratch());
/// for hour in 1..=50 {
///     filter.step(&mut belief, 1.0, &[0.03 * f64::from(hour)], &mut scratch)?; // logarithms of the feature
/// }
/// assert!((belief.mean()[1] - 0.03).abs() < 0.004);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct UnscentedKalmanFilter<M> {
    model: M,
    prior: GaussianBelief,
    spread: Spread,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    alpha: f64,
    beta: f64,
    kappa: f64,
}

/// The distance of points and their weights.
struct Weights {
    reach: f64,
    mean: f64,
    covariance: f64,
    other: f64,
}

impl Spread {
    fn weights(self, n: usize) -> Weights {
        let n = n as f64;
        let total = self.alpha * self.alpha * (n + self.kappa);
        let mean = (total - n) / total;
        Weights {
            reach: total.sqrt(),
            mean,
            covariance: mean + 1.0 - self.alpha * self.alpha + self.beta,
            other: 0.5 / total,
        }
    }
}

/// Room for the steps of an [`UnscentedKalmanFilter`].
#[derive(Clone, Debug)]
pub struct UnscentedScratch {
    /// `2n + 1` states, and what is observed of them.
    points: Vec<f64>,
    seen: Vec<f64>,
    root: Vec<f64>,
    sd: Vec<f64>,
    expected: Vec<f64>,
    innovation: Vec<f64>,
    s: Vec<f64>,
    cross: Vec<f64>,
    present: Vec<usize>,
}

impl<M: StateModel> UnscentedKalmanFilter<M> {
    /// A filter of `model` for machines that start as `prior`.
    ///
    /// # Errors
    /// `InvalidParameter` for a prior over other states, and where the model's sizes or noises are out of range.
    pub fn new(model: M, prior: GaussianBelief) -> Result<Self> {
        check_model(&model, &prior)?;
        Ok(Self {
            model,
            prior,
            spread: Spread {
                alpha: 1.0,
                beta: 2.0,
                kappa: 0.0,
            },
        })
    }

    /// Another spread of the points. Default `α = 1, β = 2, κ = 0`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `10⁻³ <= α <= 1`, `0 <= β <= 100` and `0 <= κ <= 100`.
    pub fn spread(mut self, alpha: f64, beta: f64, kappa: f64) -> Result<Self> {
        for (name, value, low, high) in [
            ("alpha", alpha, 1e-3, 1.0),
            ("beta", beta, 0.0, 100.0),
            ("kappa", kappa, 0.0, 100.0),
        ] {
            if !(value >= low && value <= high) {
                return Err(Error::parameter(name, format!("from {low} to {high}"), value));
            }
        }
        self.spread = Spread { alpha, beta, kappa };
        Ok(self)
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// What is known of a new machine.
    pub fn new_state(&self) -> GaussianBelief {
        self.prior.clone()
    }

    /// Room for its steps.
    pub fn new_scratch(&self) -> UnscentedScratch {
        let (n, m) = (self.model.n_states(), self.model.n_observations());
        UnscentedScratch {
            points: vec![0.0; (2 * n + 1) * n],
            seen: vec![0.0; (2 * n + 1) * m],
            root: vec![0.0; n * n],
            sd: vec![0.0; n.max(m)],
            expected: vec![0.0; m],
            innovation: vec![0.0; 2 * m],
            s: vec![0.0; m * m],
            cross: vec![0.0; 2 * n * m],
            present: Vec::with_capacity(m),
        }
    }

    /// `dt` more of time, then the values measured at its end.
    ///
    /// # Errors
    /// `InvalidInput` for a step that is negative or not finite, and a belief, values or scratch of other sizes.
    pub fn step(
        &self,
        belief: &mut GaussianBelief,
        dt: f64,
        y: &[f64],
        scratch: &mut UnscentedScratch,
    ) -> Result<FilterStep> {
        let (n, m) = (self.model.n_states(), self.model.n_observations());
        check_step(dt, y, m)?;
        if belief.n_states() != n {
            return Err(Error::input("belief", format!("{n} states"), belief.n_states()));
        }
        if scratch.points.len() != (2 * n + 1) * n || scratch.expected.len() != m {
            return Err(Error::input("scratch", "that of this filter", "another"));
        }
        if belief.diverged {
            return Ok(FilterStep::Diverged);
        }
        scratch.present.clear();
        scratch.present.extend((0..m).filter(|&i| y[i].is_finite()));
        let step = self.predict(belief, dt, scratch).and_then(|()| {
            if scratch.present.is_empty() {
                Some(FilterStep::Predicted)
            } else {
                let log_likelihood = self.take_in(belief, y, scratch)?;
                Some(FilterStep::Updated { log_likelihood })
            }
        });
        belief.diverged = step.is_none() || !belief.is_sound();
        Ok(step.filter(|_| !belief.diverged).unwrap_or(FilterStep::Diverged))
    }

    /// The points of a belief; `None` where its covariance is none.
    fn draw(&self, belief: &GaussianBelief, scratch: &mut UnscentedScratch) -> Option<Weights> {
        let n = belief.n_states();
        let weights = self.spread.weights(n);
        scratch.root.copy_from_slice(&belief.covariance);
        dense::cholesky(&mut scratch.root, n)?;
        for (i, point) in scratch.points.chunks_exact_mut(n).enumerate() {
            point.copy_from_slice(&belief.mean);
            let (sign, column) = match i {
                0 => continue,
                i if i <= n => (weights.reach, i - 1),
                i => (-weights.reach, i - n - 1),
            };
            let column = scratch.root.iter().skip(column).step_by(n);
            point.iter_mut().zip(column).for_each(|(x, l)| *x += sign * l);
        }
        Some(weights)
    }

    fn predict(&self, belief: &mut GaussianBelief, dt: f64, scratch: &mut UnscentedScratch) -> Option<()> {
        let n = belief.n_states();
        let w = self.draw(belief, scratch)?;
        for x in scratch.points.chunks_exact_mut(n) {
            self.model.transition(x, dt);
            self.model.confine(x);
        }
        weighted_mean(&scratch.points, &w, &mut belief.mean);
        weighted_product(
            &scratch.points,
            &belief.mean,
            &scratch.points,
            &belief.mean,
            &w,
            &mut belief.covariance,
        );
        self.model.process_sd_into(dt, &mut scratch.sd[..n]);
        let noise = belief.covariance.iter_mut().step_by(n + 1).zip(&scratch.sd);
        noise.for_each(|(p, sd)| *p += sd * sd);
        Some(())
    }

    fn take_in(&self, belief: &mut GaussianBelief, y: &[f64], scratch: &mut UnscentedScratch) -> Option<f64> {
        let (n, m_all) = (belief.n_states(), self.model.n_observations());
        let w = self.draw(belief, scratch)?;
        let m = scratch.present.len();
        // The values that are there, moved to the front of each point's row and then close together.
        for (i, x) in scratch.points.chunks_exact(n).enumerate() {
            self.model.observe(x, &mut scratch.expected);
            for (j, &from) in scratch.present.iter().enumerate() {
                scratch.seen[i * m + j] = scratch.expected[from];
            }
        }
        let seen = &scratch.seen[..(2 * n + 1) * m];
        let expected = &mut scratch.expected[..m];
        weighted_mean(seen, &w, expected);
        let s = &mut scratch.s[..m * m];
        weighted_product(seen, expected, seen, expected, &w, s);
        self.model.observation_sd_into(&mut scratch.sd[..m_all]);
        let (innovation, weighted) = scratch.innovation.split_at_mut(m_all);
        for (j, &from) in scratch.present.iter().enumerate() {
            s[j * m + j] += scratch.sd[from] * scratch.sd[from];
            innovation[j] = y[from] - expected[j];
        }
        let (innovation, weighted) = (&innovation[..m], &mut weighted[..m]);
        let (cross, gain) = scratch.cross.split_at_mut(n * m_all);
        let (cross, gain) = (&mut cross[..n * m], &mut gain[..n * m]);
        weighted_product(&scratch.points, &belief.mean, seen, expected, &w, cross);
        dense::cholesky(s, m)?;
        if !dense::is_definite(s, m) {
            return None;
        }
        weighted.copy_from_slice(innovation);
        dense::solve(s, m, weighted);
        gain.copy_from_slice(cross);
        gain.chunks_exact_mut(m).for_each(|row| dense::solve(s, m, row));
        // P - K S Kᵀ = P - K crossᵀ.
        for (i, k) in gain.chunks_exact(m).enumerate() {
            belief.mean[i] += k.iter().zip(innovation).map(|(k, v)| k * v).sum::<f64>();
            for (j, c) in cross.chunks_exact(m).enumerate() {
                belief.covariance[i * n + j] -= k.iter().zip(c).map(|(k, c)| k * c).sum::<f64>();
            }
        }
        dense::symmetrise(&mut belief.covariance, n);
        self.model.confine(&mut belief.mean);
        let distance: f64 = innovation.iter().zip(&*weighted).map(|(v, w)| v * w).sum();
        Some(-0.5 * (distance + dense::log_determinant(s, m) + m as f64 * libm::log(2.0 * PI)))
    }

    /// The distribution of the time until the model's end, from `n_samples` of the belief moved on with noise; see
    /// [`CrossingSearch`].
    ///
    /// # Errors
    /// `InvalidParameter` for fewer than 10 or more than 1,000,000 samples, 2^24 of their states or 100,000,000 samples times
    /// steps, `InvalidInput` for a belief of other sizes.
    pub fn prognose(
        &self,
        belief: &GaussianBelief,
        search: CrossingSearch,
        n_samples: usize,
        seed: Seed,
        unit: LifeUnit,
    ) -> Result<Result<RulDistribution, NoPrognosis>> {
        let n = self.model.n_states();
        if !(10..=1_000_000).contains(&n_samples) {
            return Err(Error::parameter("n_samples", "from 10 to 1000000", n_samples));
        }
        if belief.n_states() != n {
            return Err(Error::input("belief", format!("{n} states"), belief.n_states()));
        }
        check_numbers("n_samples", n_samples, n)?;
        search.check_courses("n_samples", n_samples)?;
        let Some(root) = belief.root().filter(|_| !belief.diverged) else {
            return Ok(Err(NoPrognosis::Diverged));
        };
        let mut scratch = ParticleScratch::new(n, self.model.n_observations(), n_samples);
        let mut draws = Normals::new(seed.part(0));
        let mut samples = vec![0.0; n_samples * n];
        for x in samples.chunks_exact_mut(n) {
            sample(&belief.mean, &root, &mut draws, x);
            self.model.confine(x);
        }
        let weights = vec![1.0 / n_samples as f64; n_samples];
        search.run(&self.model, (&samples, &weights), 0.0, seed.part(1), unit, &mut scratch)
    }
}

/// One draw of a belief by its Cholesky factor, into `x`.
pub(super) fn sample(mean: &[f64], root: &[f64], draws: &mut Normals, x: &mut [f64]) {
    let n = mean.len();
    x.copy_from_slice(mean);
    for j in 0..n {
        let z = draws.normal();
        (j..n).for_each(|i| x[i] += root[i * n + j] * z);
    }
}

fn weighted_mean(points: &[f64], w: &Weights, out: &mut [f64]) {
    out.fill(0.0);
    for (i, x) in points.chunks_exact(out.len()).enumerate() {
        let weight = if i == 0 { w.mean } else { w.other };
        out.iter_mut().zip(x).for_each(|(o, x)| *o += weight * x);
    }
}

/// The weighted sum of `(a - mean a) (b - mean b)ᵀ` over the points.
fn weighted_product(a: &[f64], mean_a: &[f64], b: &[f64], mean_b: &[f64], w: &Weights, out: &mut [f64]) {
    out.fill(0.0);
    let (n, m) = (mean_a.len(), mean_b.len());
    for (i, (a, b)) in a.chunks_exact(n).zip(b.chunks_exact(m)).enumerate() {
        let weight = if i == 0 { w.covariance } else { w.other };
        for ((out, a), mean) in out.chunks_exact_mut(m).zip(a).zip(mean_a) {
            let left = weight * (a - mean);
            for ((o, b), mean) in out.iter_mut().zip(b).zip(mean_b) {
                *o += left * (b - mean);
            }
        }
    }
}
