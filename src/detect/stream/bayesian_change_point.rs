//! Bayesian online change point detection.

use crate::detect::{
    rows::{Sequences, StreamRow},
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// The largest magnitude of a value that counts, and the least scale; keep densities finite.
const LARGEST_VALUE: f64 = 1e100;
const LEAST_SCALE: f64 = 1e-100;
/// The most run lengths that are kept apart.
const MOST_RUNS: u32 = 1 << 14;
/// A run length whose probability is below this is dropped.
const LEAST_PROBABILITY: f64 = 1e-10;
/// The least probability that is read; above the reciprocal of any likelihood ratio that would overflow.
const LEAST_READ: f64 = 1e-30;

/// Streaming detector by Bayesian online change points: how surprising a row is, whatever the time since the level or the
/// spread last changed.
///
/// # Method
///
/// Between change points, the values of a feature are independent normal with unknown mean and variance, with the prior
/// `mean | variance ~ N(0, variance / κ₀)`, `1 / variance ~ Gamma(α₀ = 1, β₀)`; features are independent, and change
/// together. A change comes at any row with probability `1 / expected_run`. With the probability `w_r` that the last
/// change was `r` rows ago and the density `p_rj` of the next value of feature `j` in that case, a Student's t with `2 α₀ +
/// r` degrees of freedom,
///
/// ```text
/// score = - ln Σ_r w_r Π_j p_rj(x_j)
/// ```
///
/// which may be negative. A feature's contribution is `- ln Σ_r w_r p_rj(x_j)`, its surprise by itself.
/// [`change_probability`](BayesianChangePoint::change_probability) tells how likely a change was lately.
///
/// Runs longer than [`longest_run`](BayesianChangePointParams::longest_run) are kept as one that forgets; those of
/// probability below 10⁻¹⁰ are dropped. Rows that the [`LearningPolicy`](crate::detect::LearningPolicy) keeps out change nothing.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). A row costs `O(runs n_features)`, where `runs`, the number of likely run lengths,
/// is at most `longest_run` and mostly far less, and allocates nothing. A machine's memory is `longest_run (2 n_features +
/// 2)` numbers, taken at once.
///
/// # Source
///
/// Adams and MacKay, "Bayesian online changepoint detection" (2007), arXiv
/// [0710.3742](https://arxiv.org/abs/0710.3742).
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::{BayesianChangePoint, Scaling},
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("flow", "l/s")])?;
/// let params = BayesianChangePoint::params().expected_run(200.0);
/// let detector = params.scaling(Scaling::FirstRows(40)).fixed_threshold(8.0).untrained(schema)?;
/// let mut state = detector.new_state();
/// let noise = |i: i32| f64::from(i * 7919 % 101) / 100.0;
/// for i in 0..300 {
///     let flow = noise(i) + if i < 250 { 20.0 } else { 23.0 };
///     let score = detector.step(&mut state, FeatureView::new(detector.schema(), &[flow])?)?.ready();
///     assert_eq!(score.is_some_and(|s| s.is_anomalous()), i == 250);
/// }
/// assert!(detector.change_probability(&state, 60)? > 0.99);
/// assert!(detector.change_probability(&state, 20)? < 0.1);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type BayesianChangePoint = StreamDetector<ChangePointScorer>;

/// Parameters of a [`BayesianChangePoint`] detector.
pub type BayesianChangePointParams = StreamDetectorParams<ChangePointSettings>;

/// The prior of a [`BayesianChangePoint`] detector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangePointSettings {
    expected_run: f64,
    mean_weight: f64,
    scale: f64,
    longest_run: u32,
}

impl Default for ChangePointSettings {
    fn default() -> Self {
        Self {
            expected_run: 250.0,
            mean_weight: 0.1,
            scale: 1.0,
            longest_run: 300,
        }
    }
}

impl BayesianChangePointParams {
    /// Rows between changes on average, above 1. Default 250.
    #[must_use]
    pub fn expected_run(self, n_rows: f64) -> Self {
        self.with(|s| s.expected_run = n_rows)
    }

    /// The weight `κ₀` of the prior mean, in rows, from 10⁻⁶ to 10⁶: small where levels after a change may lie anywhere.
    /// Default 0.1.
    #[must_use]
    pub fn mean_weight(self, kappa: f64) -> Self {
        self.with(|s| s.mean_weight = kappa)
    }

    /// The prior's scale `β₀` of variances in squared units of rows, from 10⁻¹² to 10¹². Default 1.
    #[must_use]
    pub fn scale(self, beta: f64) -> Self {
        self.with(|s| s.scale = beta)
    }

    /// Run lengths that are kept apart, from 2 to 16384. Default 300.
    #[must_use]
    pub fn longest_run(self, n_rows: u32) -> Self {
        self.with(|s| s.longest_run = n_rows)
    }
}

impl StreamAlgorithm for ChangePointSettings {
    type Scorer = ChangePointScorer;

    fn check(&self) -> Result<()> {
        if !(self.expected_run > 1.0 && self.expected_run <= 1e15) {
            return Err(Error::parameter(
                "expected_run",
                "above 1 and at most 1e15",
                self.expected_run,
            ));
        }
        if !(1e-6..=1e6).contains(&self.mean_weight) {
            return Err(Error::parameter("mean_weight", "from 1e-6 to 1e6", self.mean_weight));
        }
        if !(1e-12..=1e12).contains(&self.scale) {
            return Err(Error::parameter("scale", "from 1e-12 to 1e12", self.scale));
        }
        if !(2..=MOST_RUNS).contains(&self.longest_run) {
            let range = format!("from 2 to {MOST_RUNS}");
            return Err(Error::parameter("longest_run", range, self.longest_run));
        }
        Ok(())
    }

    fn fit(&self, sequences: &Sequences, _: Seed) -> Result<ChangePointScorer> {
        Ok(ChangePointScorer::new(*self, sequences.width()))
    }
}

/// The fitted half of a [`BayesianChangePoint`] detector.
#[derive(Clone, Debug)]
pub struct ChangePointScorer {
    width: usize,
    settings: ChangePointSettings,
    /// `ln Γ(α + 1/2) - ln Γ(α) - ln(2 π α) / 2` for `α = 1 + r / 2`, by run length.
    constant: Vec<f64>,
}

/// What is known of the time since the last change of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RunsRecord")]
pub struct ChangePointMemory {
    /// Likely run lengths, longest first.
    runs: Vec<Run>,
    /// Posterior of each run's columns, run by run.
    posteriors: Vec<Posterior>,
}

#[derive(Deserialize)]
struct RunsRecord {
    runs: Vec<Run>,
    posteriors: Vec<Posterior>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    /// Rows since the change, up to the longest run.
    length: u32,
    probability: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Posterior {
    mean: f64,
    /// `β`.
    scale: f64,
}

impl TryFrom<RunsRecord> for ChangePointMemory {
    type Error = Error;

    fn try_from(r: RunsRecord) -> Result<Self> {
        let run = |r: &Run| r.length <= MOST_RUNS && (LEAST_READ..=1.0).contains(&r.probability);
        let posterior = |p: &Posterior| p.mean.abs() <= LARGEST_VALUE && (LEAST_SCALE..=1e300).contains(&p.scale);
        let falling = r
            .runs
            .windows(2)
            .all(|p| p.first().map(|r| r.length) > p.last().map(|r| r.length));
        let total: f64 = r.runs.iter().map(|r| r.probability).sum();
        let sound = !r.runs.is_empty()
            && falling
            && (total - 1.0).abs() < 1e-6
            && r.posteriors.len().is_multiple_of(r.runs.len())
            && r.runs.iter().all(run)
            && r.posteriors.iter().all(posterior);
        if !sound {
            return Err(Error::persistence(
                "run lengths: expected probabilities and posteriors within range, got others",
            ));
        }
        Ok(Self {
            runs: r.runs,
            posteriors: r.posteriors,
        })
    }
}

fn clamped(x: f64) -> f64 {
    x.clamp(-LARGEST_VALUE, LARGEST_VALUE)
}

impl ChangePointScorer {
    fn new(settings: ChangePointSettings, width: usize) -> Self {
        let constant = |r: u32| {
            let alpha = 1.0 + 0.5 * f64::from(r);
            libm::lgamma(alpha + 0.5) - libm::lgamma(alpha) - 0.5 * libm::log(2.0 * std::f64::consts::PI * alpha)
        };
        Self {
            width,
            constant: (0..=settings.longest_run).map(constant).collect(),
            settings,
        }
    }

    /// The logarithm of a column's density at `x`, `length` rows after a change.
    #[inline]
    fn log_density(&self, length: u32, p: Posterior, x: f64) -> f64 {
        let r = f64::from(length);
        let (kappa, alpha) = (self.settings.mean_weight + r, 1.0 + 0.5 * r);
        let constant = self.constant.get(length as usize).copied().unwrap_or_default();
        let square = p.scale * (kappa + 1.0) / (alpha * kappa);
        let deviation = x - p.mean;
        let ratio = deviation / square * (deviation / (2.0 * alpha));
        constant - 0.5 * libm::log(square) - (alpha + 0.5) * libm::log1p(ratio)
    }

    /// A column's posterior with `x` in it.
    #[inline]
    fn learn(&self, length: u32, p: Posterior, x: f64) -> Posterior {
        let kappa = self.settings.mean_weight + f64::from(length);
        let deviation = x - p.mean;
        let grown = p.scale + 0.5 * kappa * deviation * deviation / (kappa + 1.0);
        // A run at its longest keeps its weight: what it knew is forgotten by as much as is new.
        let kept = if length < self.settings.longest_run {
            1.0
        } else {
            (1.0 + 0.5 * f64::from(length)) / (1.5 + 0.5 * f64::from(length))
        };
        Posterior {
            mean: p.mean + deviation / (kappa + 1.0),
            scale: (grown * kept).clamp(LEAST_SCALE, 1e300),
        }
    }

    fn prior(&self) -> Posterior {
        Posterior {
            mean: 0.0,
            scale: self.settings.scale,
        }
    }

    fn runs<'a>(&self, memory: &'a ChangePointMemory) -> impl Iterator<Item = (Run, &'a [Posterior])> + use<'a> {
        memory
            .runs
            .iter()
            .copied()
            .zip(memory.posteriors.chunks_exact(self.width.max(1)))
    }

    /// `ln p(x | run)` over all columns.
    fn log_likelihood(&self, run: Run, posteriors: &[Posterior], x: &[f64]) -> f64 {
        let columns = posteriors.iter().zip(x);
        columns
            .map(|(p, x)| self.log_density(run.length, *p, clamped(*x)))
            .sum()
    }

    /// `ln Σ_r w_r p_r` of the likelihoods `of` gives for each run.
    fn log_mixture(&self, memory: &ChangePointMemory, of: impl Fn(Run, &[Posterior]) -> f64) -> f64 {
        let likely = || self.runs(memory).filter(|(run, _)| run.probability > 0.0);
        let largest = likely().map(|(run, p)| of(run, p)).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = likely()
            .map(|(run, p)| run.probability * libm::exp(of(run, p) - largest))
            .sum();
        largest + libm::log(sum)
    }
}

impl BayesianChangePoint {
    /// Default parameters: changes every 250 rows, a prior of level 0 with weight 0.1 and scale 1, runs of up to 300 rows,
    /// training units, a false alarm rate of 0.01, five folds.
    pub fn params() -> BayesianChangePointParams {
        BayesianChangePointParams::default()
    }

    /// The probability that a change came within the last `n_rows` rows of the machine; of no more than the longest run.
    ///
    /// # Errors
    /// `StateMismatch` for a state of another shape.
    pub fn change_probability(
        &self,
        state: &crate::detect::StreamState<ChangePointMemory>,
        n_rows: u32,
    ) -> Result<f64> {
        if !self.scorer.accepts(state.memory()) {
            return Err(Error::state("state", "the sizes this model's states have", "others"));
        }
        let lately = state.memory().runs.iter().filter(|r| r.length <= n_rows);
        Ok(lately.map(|r| r.probability).sum::<f64>().min(1.0))
    }
}

impl StreamScorer for ChangePointScorer {
    const KIND: &'static str = "detect.bayesian_change_point";
    type Record = ChangePointSettings;
    type Memory = ChangePointMemory;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> ChangePointMemory {
        // One run beyond the longest stands beside the others while a row is taken.
        let room = self.settings.longest_run as usize + 2;
        let mut memory = ChangePointMemory {
            runs: Vec::with_capacity(room),
            posteriors: Vec::with_capacity(room * self.width),
        };
        memory.runs.push(Run {
            length: 0,
            probability: 1.0,
        });
        memory.posteriors.resize(self.width, self.prior());
        memory
    }

    fn accepts(&self, memory: &ChangePointMemory) -> bool {
        let longest = memory.runs.first().map_or(0, |r| r.length);
        longest <= self.settings.longest_run && memory.posteriors.len() == memory.runs.len().saturating_mul(self.width)
    }

    fn warm_up(&self) -> u32 {
        10
    }

    fn score(&self, memory: &ChangePointMemory, x: StreamRow<'_>) -> f64 {
        -self.log_mixture(memory, |run, p| self.log_likelihood(run, p, x.values))
    }

    fn update(&self, memory: &mut ChangePointMemory, x: StreamRow<'_>, learn: bool) {
        if !learn {
            return;
        }
        let evidence = self.log_mixture(memory, |run, p| self.log_likelihood(run, p, x.values));
        let hazard = 1.0 / self.settings.expected_run;
        let longest = self.settings.longest_run;
        let (mut kept, mut sum, mut merged) = (0, 0.0, 0.0);
        for i in 0..memory.runs.len() {
            let columns = i * self.width..(i + 1) * self.width;
            let Some((run, posteriors)) = memory.runs.get(i).copied().zip(memory.posteriors.get(columns.clone()))
            else {
                break;
            };
            let likelihood = libm::exp(self.log_likelihood(run, posteriors, x.values) - evidence);
            let probability = run.probability * likelihood * (1.0 - hazard);
            // The longest run takes in the one that reaches its length: the more likely of the two is kept.
            if run.length + 1 == longest && kept == 1 && memory.runs.first().is_some_and(|r| r.length == longest) {
                merged = probability;
                let first = memory.runs.first().map_or(0.0, |r| r.probability);
                if probability <= first {
                    continue;
                }
                (kept, sum) = (0, 0.0);
                merged = first;
            }
            if probability < LEAST_PROBABILITY {
                continue;
            }
            let first = kept * self.width;
            for (j, x) in x.values.iter().enumerate().take(self.width) {
                let learnt = memory
                    .posteriors
                    .get(columns.start + j)
                    .map(|p| self.learn(run.length, *p, clamped(*x)));
                if let (Some(slot), Some(learnt)) = (memory.posteriors.get_mut(first + j), learnt) {
                    *slot = learnt;
                }
            }
            if let Some(slot) = memory.runs.get_mut(kept) {
                *slot = Run {
                    length: (run.length + 1).min(longest),
                    probability,
                };
            }
            kept += 1;
            sum += probability;
        }
        memory.runs.truncate(kept);
        memory.posteriors.truncate(kept * self.width);
        if merged > 0.0
            && let Some(first) = memory.runs.first_mut()
        {
            first.probability += merged;
            sum += merged;
        }
        // A change at this row: nothing is known of what comes.
        memory.runs.push(Run {
            length: 0,
            probability: hazard,
        });
        memory.posteriors.resize((kept + 1) * self.width, self.prior());
        sum += hazard;
        memory.runs.iter_mut().for_each(|r| r.probability /= sum);
    }

    fn contributions_into(&self, memory: &ChangePointMemory, x: StreamRow<'_>, out: &mut [f64]) {
        for (j, (x, o)) in x.values.iter().zip(out).enumerate() {
            let of =
                |run: Run, p: &[Posterior]| p.get(j).map_or(0.0, |p| self.log_density(run.length, *p, clamped(*x)));
            *o = -self.log_mixture(memory, of);
        }
    }

    fn to_record(&self) -> ChangePointSettings {
        self.settings
    }

    fn from_record(settings: ChangePointSettings, width: usize) -> Result<Self> {
        settings.check().map_err(|e| Error::persistence(e.to_string()))?;
        Ok(Self::new(settings, width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        detect::Scaling,
        features::{FeatureSchema, FeatureView},
        model::OnlineModel,
        signal::Channel,
    };

    fn schema(width: usize) -> FeatureSchema {
        let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "")).collect();
        FeatureSchema::of_channels(&channels).unwrap()
    }

    fn raw(params: BayesianChangePointParams, width: usize) -> BayesianChangePoint {
        params
            .scaling(Scaling::Raw)
            .fixed_threshold(10.0)
            .untrained(schema(width))
            .unwrap()
    }

    fn noise(i: usize, j: usize) -> f64 {
        let uniform = |k: u64| (Seed(i as u64).part(j as u64 + 10 * k).0 >> 11) as f64 / (1_u64 << 53) as f64;
        (0..12).map(uniform).sum::<f64>() - 6.0
    }

    /// The density of the next value after `past`, from the joint densities of a normal-gamma model: `Z(n+1) / Z(n)`.
    fn log_density(past: &[f64], x: f64, kappa: f64, beta: f64) -> f64 {
        let log_joint = |values: &[f64]| {
            let n = values.len() as f64;
            let mean = if n > 0.0 { values.iter().sum::<f64>() / n } else { 0.0 };
            let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            let scale = beta + 0.5 * square + 0.5 * kappa * n * mean * mean / (kappa + n);
            let alpha = 1.0 + 0.5 * n;
            libm::lgamma(alpha) - alpha * scale.ln() + beta.ln() + 0.5 * (kappa / (kappa + n)).ln()
                - 0.5 * n * (2.0 * std::f64::consts::PI).ln()
        };
        let with: Vec<f64> = past.iter().copied().chain([x]).collect();
        log_joint(&with) - log_joint(past)
    }

    #[test]
    fn scores_are_those_of_the_definition() {
        let (kappa, beta, expected_run) = (0.2, 0.7, 30.0);
        let params = BayesianChangePoint::params()
            .mean_weight(kappa)
            .scale(beta)
            .expected_run(expected_run);
        let detector = raw(params, 2);
        let mut state = detector.new_state();
        let level = |i: usize| if i < 40 { 0.0 } else { 2.5 };
        let rows: Vec<[f64; 2]> = (0..80).map(|i| [level(i) + noise(i, 0), 0.5 * noise(i, 1)]).collect();
        let mut weights = vec![1.0]; // by run length
        for t in 0..rows.len() {
            let x = FeatureView::new(detector.schema(), &rows[t]).unwrap();
            let density = |r: usize| {
                let past = |j: usize| rows[t - r..t].iter().map(|x| x[j]).collect::<Vec<_>>();
                (0..2)
                    .map(|j| log_density(&past(j), rows[t][j], kappa, beta))
                    .sum::<f64>()
                    .exp()
            };
            let joint: Vec<f64> = weights.iter().enumerate().map(|(r, w)| w * density(r)).collect();
            let evidence: f64 = joint.iter().sum();
            if let Some(score) = detector.step(&mut state, x).unwrap().ready() {
                // Runs below 1e-10 were dropped, up to eighty of them at each of up to eighty rows.
                assert!(
                    (score.value + evidence.ln()).abs() < 1e-5,
                    "{t}: {} {}",
                    score.value,
                    -evidence.ln()
                );
            } else {
                detector.assess(&state, x).unwrap();
            }
            weights = [1.0 / expected_run]
                .into_iter()
                .chain(joint.iter().map(|j| j / evidence * (1.0 - 1.0 / expected_run)))
                .collect();
            let change: f64 = weights.iter().take(11).sum();
            assert!((detector.change_probability(&state, 10).unwrap() - change).abs() < 1e-6);
        }
        assert!(detector.change_probability(&state, 42).unwrap() > 0.9);
    }

    #[test]
    fn runs_stay_bounded_and_go_on() {
        let detector = raw(BayesianChangePoint::params().longest_run(20).expected_run(1e6), 1);
        let mut state = detector.new_state();
        for i in 0..500 {
            let x = [5.0 + noise(i, 0)];
            let outcome = detector
                .step(&mut state, FeatureView::new(detector.schema(), &x).unwrap())
                .unwrap();
            assert!(state.memory().runs.len() <= 21, "{}", state.memory().runs.len());
            if i > 100 {
                assert!(outcome.ready().unwrap().value < 12.0, "{i}: {outcome:?}");
            }
        }
        // A tail of runs that forgets still knows level and spread.
        let p = state.memory().posteriors[0];
        assert!((p.mean - 5.0).abs() < 1.0, "{p:?}");
    }

    #[test]
    fn probabilities_that_would_overflow_are_refused() {
        // The run that explains the next row would be lifted by more than the largest number.
        let run = |length, probability| Run { length, probability };
        for (least, taken) in [(5e-324, false), (0.0, false), (1e-20, true)] {
            let memory = ChangePointMemory::try_from(RunsRecord {
                runs: vec![run(20, 1.0), run(0, least)],
                posteriors: [(0.0, 1e-90), (1e90, 1.0)]
                    .map(|(mean, scale)| Posterior { mean, scale })
                    .into(),
            });
            assert_eq!(memory.is_ok(), taken, "{least}");
            let Ok(mut memory) = memory else { continue };
            let s = ChangePointScorer::new(ChangePointSettings::default(), 1);
            let x = StreamRow {
                values: &[1e90],
                time: None,
            };
            s.update(&mut memory, x, true);
            assert!(s.score(&memory, x).is_finite());
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        let p = BayesianChangePoint::params;
        for (params, name) in [
            (p().expected_run(1.0), "expected_run"),
            (p().mean_weight(f64::NAN), "mean_weight"),
            (p().scale(0.0), "scale"),
            (p().longest_run(1), "longest_run"),
        ] {
            let e = params
                .scaling(Scaling::Raw)
                .fixed_threshold(1.0)
                .untrained(schema(1))
                .unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter);
            assert!(e.to_string().contains(name), "{e}");
        }
    }
}
