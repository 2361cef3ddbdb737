//! A level with a drift: the Kalman filter of it, and the distribution of its life in closed form.

use super::{
    belief::GaussianBelief,
    kalman::{KalmanFilter, KalmanScratch},
    state_model::{FilterStep, check_step},
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
    rul::{drift_passage::DriftPassage, normal},
};

/// Points of the distribution of the level now.
const N_LEVELS: usize = 32;

/// A level that rises by a drift nobody knows, with noise, to a threshold: exact filter and life in closed form.
///
/// # Method
///
/// States are the level `x` and its drift `b`, with `dx = b dt + σ dB` and `db = τ dB'`, read at any times with normal noise;
/// the transition over `dt` is exact, so that steps of any length compose. Given `w = threshold - x > 0` and `b ~ N(μ, s²)` held
/// constant from now on, the time to the first passage has the distribution function
///
/// ```text
/// F(t) = Φ((μ t - w) / q) + exp(2 μ w / σ² + 2 s² w² / σ⁴) Φ(-(μ t + w + 2 s² w t / σ²) / q)
/// q²   = s² t² + σ² t
/// ```
///
/// the inverse Gaussian for `s = 0`. It is averaged over 32 equally likely levels, each with its drift given the level.
/// Courses whose drift is not positive may never arrive: the distribution ends before percentile 100.
///
/// # Cost
///
/// A step allocates nothing. A prognosis evaluates `F` about 4,000 times, a few milliseconds.
///
/// # Source
///
/// Si, Wang, Hu and Zhou, "A Wiener-process-based degradation model with a recursive filter algorithm for remaining useful
/// life estimation", Mechanical Systems and Signal Processing 35 (2013), doi
/// [10.1016/j.ymssp.2012.08.016](https://doi.org/10.1016/j.ymssp.2012.08.016).
///
/// # Example
///
/// ```
/// use prognos::{quantity::LifeUnit, rul::filter::{DriftingLevel, GaussianBelief}};
/// let level = DriftingLevel::new(0.1, 0.0, 0.2)?;
/// let mut belief = GaussianBelief::independent(&[0.0, 0.0], &[1.0, 0.5])?;
/// let mut scratch = level.new_scratch();
/// for day in 1..=60 {
///     level.step(&mut belief, 1.0, 0.1 * f64::from(day), &mut scratch)?;
/// }
/// // At 6 of 10, 0.1 a day.
/// let life = level.prognose(&belief, 10.0, 1000.0, LifeUnit::Days)?.unwrap();
/// assert!((life.median().unwrap() - 40.0).abs() < 4.0);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftingLevel {
    level_sd: f64,
    drift_sd: f64,
    reading_sd: f64,
}

/// Room for the steps of a [`DriftingLevel`].
#[derive(Clone, Debug)]
pub struct DriftingLevelScratch {
    filter: KalmanFilter,
    kalman: KalmanScratch,
}

impl DriftingLevel {
    /// From the standard deviations of the noise of the level and of the drift over one unit of time, and of a reading.
    ///
    /// # Errors
    /// `InvalidParameter` unless the first two are finite and not negative, the last finite and above 0, all at most 10⁶⁰.
    pub fn new(level_sd: f64, drift_sd: f64, reading_sd: f64) -> Result<Self> {
        for (name, value) in [("level_sd", level_sd), ("drift_sd", drift_sd)] {
            if !(0.0..=1e60).contains(&value) {
                return Err(Error::parameter(name, "from 0 to 1e60", value));
            }
        }
        if !(1e-60..=1e60).contains(&reading_sd) {
            return Err(Error::parameter("reading_sd", "from 1e-60 to 1e60", reading_sd));
        }
        Ok(Self {
            level_sd,
            drift_sd,
            reading_sd,
        })
    }

    /// Room for its steps.
    pub fn new_scratch(&self) -> DriftingLevelScratch {
        let filter = KalmanFilter {
            n: 2,
            m: 1,
            transition: vec![1.0, 0.0, 0.0, 1.0],
            process_noise: vec![0.0; 4],
            observation: vec![1.0, 0.0],
            observation_noise: vec![self.reading_sd * self.reading_sd],
        };
        DriftingLevelScratch {
            kalman: filter.new_scratch(),
            filter,
        }
    }

    /// `dt` more of time, then a reading of the level; one that is not finite is missing.
    ///
    /// # Errors
    /// `InvalidInput` for a step that is negative or not finite, and a belief that is not over two states.
    pub fn step(
        &self,
        belief: &mut GaussianBelief,
        dt: f64,
        reading: f64,
        scratch: &mut DriftingLevelScratch,
    ) -> Result<FilterStep> {
        check_step(dt, &[reading], 1)?;
        let (q, r) = (self.level_sd * self.level_sd, self.drift_sd * self.drift_sd);
        let filter = &mut scratch.filter;
        filter.transition.copy_from_slice(&[1.0, dt, 0.0, 1.0]);
        let across = r * dt * dt / 2.0;
        let noise = [q * dt + r * dt * dt * dt / 3.0, across, across, r * dt];
        filter.process_noise.copy_from_slice(&noise);
        filter.observation_noise.fill(self.reading_sd * self.reading_sd);
        filter.step(belief, &[reading], &mut scratch.kalman)
    }

    /// The distribution of the time until the level first reaches `threshold` from below, known up to `horizon`.
    ///
    /// [`ThresholdCrossed`](NoPrognosis::ThresholdCrossed) where the level is as likely above it,
    /// [`BeyondHorizon`](NoPrognosis::BeyondHorizon) where it is reached within the horizon with less than 5%,
    /// [`Diverged`](NoPrognosis::Diverged) as the belief.
    ///
    /// # Errors
    /// `InvalidParameter` for a threshold that is not finite or a horizon that is not finite and above 0; `InvalidInput` for
    /// a belief that is not over two states.
    pub fn prognose(
        &self,
        belief: &GaussianBelief,
        threshold: f64,
        horizon: f64,
        unit: LifeUnit,
    ) -> Result<Result<RulDistribution, NoPrognosis>> {
        if !threshold.is_finite() {
            return Err(Error::parameter("threshold", "finite", threshold));
        }
        if !(horizon.is_finite() && horizon > 0.0) {
            return Err(Error::parameter("horizon", "finite and above 0", horizon));
        }
        let (&[level, drift], &[p, c, _, d]) = (belief.mean.as_slice(), belief.covariance.as_slice()) else {
            return Err(Error::input("belief", "2 states", belief.n_states()));
        };
        if belief.diverged {
            return Ok(Err(NoPrognosis::Diverged));
        }
        if level >= threshold {
            return Ok(Err(NoPrognosis::ThresholdCrossed));
        }
        let gain = if p > 0.0 { c / p } else { 0.0 };
        let mut ways = [DriftPassage {
            distance: threshold - level,
            drift,
            drift_variance: (d - gain * c).max(0.0),
            diffusion: self.level_sd * self.level_sd,
        }; N_LEVELS];
        for (i, way) in ways.iter_mut().enumerate() {
            let beside = p.sqrt() * normal::quantile((i as f64 + 0.5) / N_LEVELS as f64);
            way.distance -= beside;
            way.drift += gain * beside;
        }
        let failure = |t: f64| ways.iter().map(|w| w.within(t)).sum::<f64>() / N_LEVELS as f64;
        let known = failure(horizon);
        if known.is_nan() {
            return Ok(Err(NoPrognosis::Diverged));
        }
        if known < 0.05 {
            return Ok(Err(NoPrognosis::BeyondHorizon));
        }
        let mut last = 0.0;
        RulDistribution::from_quantiles(unit, |wanted| {
            if wanted > known {
                return f64::INFINITY;
            }
            let (mut low, mut high) = (last, horizon);
            for _ in 0..40 {
                let middle = 0.5 * (low + high);
                if failure(middle) < wanted {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            last = low;
            high
        })
        .map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_without_a_prognosis() {
        let level = DriftingLevel::new(0.1, 0.0, 0.1).unwrap();
        let outcome = |mean: &[f64], sd: &[f64]| {
            let belief = GaussianBelief::independent(mean, sd).unwrap();
            level.prognose(&belief, 10.0, 100.0, LifeUnit::Hours).unwrap()
        };
        assert_eq!(outcome(&[11.0, 1.0], &[0.1, 0.1]), Err(NoPrognosis::ThresholdCrossed));
        assert_eq!(outcome(&[0.0, 0.001], &[0.1, 1e-4]), Err(NoPrognosis::BeyondHorizon));
        assert_eq!(outcome(&[0.0, -1.0], &[0.1, 0.1]), Err(NoPrognosis::BeyondHorizon));
        let sure = outcome(&[0.0, 0.5], &[0.0, 0.0]).unwrap();
        // The median of the inverse Gaussian lies just below its mean of 20.
        assert!((sure.median().unwrap() - 20.0).abs() < 0.1);
        let doubtful = outcome(&[0.0, 0.1], &[0.0, 0.2]).unwrap();
        assert!(
            doubtful.beyond() > 0.3 && doubtful.beyond() < 0.7,
            "{}",
            doubtful.beyond()
        );
        for bad in [f64::NAN, f64::INFINITY] {
            let belief = GaussianBelief::independent(&[0.0, 0.0], &[1.0, 1.0]).unwrap();
            assert!(level.prognose(&belief, bad, 1.0, LifeUnit::Hours).is_err());
            assert!(level.prognose(&belief, 1.0, bad, LifeUnit::Hours).is_err());
            assert!(DriftingLevel::new(bad, 0.0, 1.0).is_err() && DriftingLevel::new(0.0, bad, 1.0).is_err());
            assert!(DriftingLevel::new(0.0, 0.0, bad).is_err());
            let mut scratch = level.new_scratch();
            assert!(level.step(&mut belief.clone(), bad, 0.0, &mut scratch).is_err());
        }
        let one = GaussianBelief::independent(&[0.0], &[1.0]).unwrap();
        assert!(level.prognose(&one, 1.0, 1.0, LifeUnit::Hours).is_err());
        let mut far = GaussianBelief::independent(&[0.0, 0.0], &[1.0, 1.0]).unwrap();
        let step = level.step(&mut far, 1e300, 1.0, &mut level.new_scratch()).unwrap();
        assert_eq!(step, FilterStep::Diverged);
        assert_eq!(
            level.prognose(&far, 1.0, 1.0, LifeUnit::Hours).unwrap(),
            Err(NoPrognosis::Diverged)
        );
    }
}
