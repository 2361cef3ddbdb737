//! What recorded lives alone say: a lognormal life with unknown parameters, given the age survived. Looks at no sensor.

use super::{
    RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams, normal,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most lives that are kept.
const MAX_LIVES: usize = 100_000;
/// Where a machine of this age has so small a chance to be alive, it is older than anything the lives know of.
const LEAST_SURVIVAL: f64 = 1e-3;
/// Nodes over the logarithm of the spread.
const N_SPREADS: usize = 65;
/// Nodes over the centre of log life on either side of its likeliest place, where lives are censored, and how many of its
/// standard deviations they reach.
const N_CENTRES: i32 = 24;
const CENTRES_REACH: f64 = 7.0;
/// Places at which the survival curve is kept, and how far they go: `sinh` of it, in spreads.
const N_PLACES: usize = 1_201;
const PLACES_REACH: f64 = 6.5;
/// The least logarithm of a survival that is kept.
const LEAST_LOG_SURVIVAL: f64 = -690.0;

/// Whose questions a [`LifePrior`] answers well on average.
///
/// A life `L` of which a machine has used up a share that may be anything is asked about at age `a` with density `1 / L`. So
/// a machine asked about once has `p(L | a) ∝ p(L) / L` above `a`; asked about at every instant of its life, longer lives
/// are asked about more often, the factors cancel and `p(L | a) ∝ p(L)`. For a lognormal life, the first is the second with
/// the centre of log life moved down by the square of its spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LifeWeighting {
    /// Each instant of each machine counts the same: life given that the age is survived.
    #[default]
    Instants,
    /// Each machine counts the same, asked about once, at a share of its life that may be anything.
    Machines,
}

/// Remaining life from recorded lives and age alone: what sensors have to beat.
///
/// Log life is normal, its centre unknown (flat), the square of its spread scaled inverse chi-squared: as if `confidence`
/// lives had been seen to spread by [`spread`](LifePriorParams::spread). So one life is enough for a prognosis, an uncertain
/// one. With `n` failed lives of mean `m` and sum of squares `S` of their logarithms, the next is Student's t on
/// `ν = confidence + n - 1` degrees of freedom around `m`, with scale² `(confidence · spread² + S) / ν · (1 + 1/n)` (Gelman et
/// al., *Bayesian Data Analysis*, 3rd ed. 2013, section 3.3, doi 10.1201/b16018). Lives that were still going on at the end
/// of their record enter with the probability of that, their centre integrated by quadrature and taken as normal for each
/// spread. The survival curve, a mixture of normals over 65 spreads, is kept at 1,201 places; what is said is
/// `S(age + t) / S(age)`, right to about 1e-4.
///
/// A machine that would be alive with less than a chance of 0.001 is [beyond the known
/// lives](NoPrognosis::BeyondKnownLives). What the readings are does not matter, but a row without them is unusable, as
/// for every regressor that follows machines. Cost of a row: 101 searches in the curve.
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::{OnlineModel, RulRegressor},
///     quantity::LifeUnit,
///     rul::{LifePrior, RulLabels},
///     signal::Channel,
/// };
/// // Three machines, seen when new, failed after 50, 100 and 200 h.
/// let schema = FeatureSchema::of_channels(&[Channel::new("load", "kN")])?;
/// let hours = |h: i64| LifeUnit::Hours.instant(h);
/// let table = FeatureTable::new(schema.clone(), Array2::zeros((3, 1)), vec![0, 1, 2])?.at(vec![hours(0); 3])?;
/// let labels = RulLabels::new(vec![50.0, 100.0, 200.0], LifeUnit::Hours)?;
/// let prior = LifePrior::params().fit(&DatasetBase::new(table, labels))?;
/// let new = prior.new_state_since(hours(0));
/// let at = |h| prior.distribution(&new, FeatureView::new(&schema, &[0.0])?.at(hours(h)));
/// assert!((at(0)?.ready().unwrap().median().unwrap() - 100.0).abs() < 0.5);
/// assert!(at(150)?.ready().unwrap().median().unwrap() < 100.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type LifePrior = TrajectoryRegressor<LifeDistribution>;

/// Parameters of a [`LifePrior`], not yet checked.
pub type LifePriorParams = TrajectoryRegressorParams<LifePriorSettings>;

/// Settings of a [`LifePrior`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LifePriorSettings {
    spread: f64,
    confidence: f64,
    weighting: LifeWeighting,
}

impl Default for LifePriorSettings {
    fn default() -> Self {
        Self {
            spread: 0.6,
            confidence: 3.0,
            weighting: LifeWeighting::default(),
        }
    }
}

impl LifePrior {
    /// Spread 0.6 with the confidence of 3 lives, every instant counting the same.
    pub fn params() -> LifePriorParams {
        LifePriorParams::default()
    }
}

impl LifePriorParams {
    /// The spread (standard deviation) of log life that is expected before lives are seen, 0.001..=10; 0.6 unless set: a
    /// third of the lives beyond a factor of 1.8 of the median, a Weibull's of shape 2.1.
    #[must_use]
    pub fn spread(self, spread: f64) -> Self {
        self.with(|s| s.spread = spread)
    }

    /// How many lives the expected spread counts as, 2..=1e6; 3 unless set.
    #[must_use]
    pub fn confidence(self, lives: f64) -> Self {
        self.with(|s| s.confidence = lives)
    }

    /// Whose questions are answered; each instant's unless set.
    #[must_use]
    pub fn weighting(self, weighting: LifeWeighting) -> Self {
        self.with(|s| s.weighting = weighting)
    }
}

impl LifePriorSettings {
    pub(super) fn set_weighting(&mut self, weighting: LifeWeighting) {
        self.weighting = weighting;
    }
}

/// The distribution of life that a [`LifePrior`] has learned.
#[derive(Clone, Debug, PartialEq)]
pub struct LifeDistribution {
    width: usize,
    settings: LifePriorSettings,
    /// Sorted.
    failed: Arc<[f64]>,
    censored: Arc<[f64]>,
    curve: Arc<Curve>,
}

/// A [`LifeDistribution`] as it is written to files: the lives themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LifeDistributionRecord {
    settings: LifePriorSettings,
    failed: Vec<f64>,
    censored: Vec<f64>,
}

/// The logarithm of survival over the logarithm of life.
#[derive(Clone, Debug, PartialEq)]
struct Curve {
    centre: f64,
    spread: f64,
    log_survival: Vec<f64>,
}

/// A normal distribution of log life with its probability.
#[derive(Clone, Copy)]
struct Component {
    weight: f64,
    mean: f64,
    sd: f64,
}

impl TrajectoryAlgorithm for LifePriorSettings {
    type Model = LifeDistribution;

    fn check(&self) -> Result<()> {
        if !(1e-3..=10.0).contains(&self.spread) {
            return Err(Error::parameter("spread", "0.001..=10", self.spread));
        }
        if !(2.0..=1e6).contains(&self.confidence) {
            return Err(Error::parameter("confidence", "2..=1e6", self.confidence));
        }
        Ok(())
    }

    /// # Errors
    /// `InvalidInput` for a life that failed at age 0; `InsufficientData` where none failed; `InvalidInput` for more than
    /// 100,000 lives.
    fn fit(&self, lives: &[RecordedLife<'_>], _unit: LifeUnit, _seed: Seed) -> Result<LifeDistribution> {
        LifeDistribution::of(*self, lives)
    }
}

impl LifeDistribution {
    pub(super) fn of(settings: LifePriorSettings, lives: &[RecordedLife<'_>]) -> Result<Self> {
        let ends = |failed: bool| lives.iter().filter(move |l| l.failed == failed).map(|l| l.end);
        // A record that ends at age 0 without a failure says nothing.
        let (failed, censored) = (ends(true).collect(), ends(false).filter(|e| *e > 0.0).collect());
        Self::new(lives.first().map_or(1, |l| l.width), settings, failed, censored)
    }

    fn new(width: usize, settings: LifePriorSettings, mut failed: Vec<f64>, mut censored: Vec<f64>) -> Result<Self> {
        if failed.is_empty() {
            return Err(Error::insufficient(
                "lives",
                "at least 1 that ended in a failure",
                "none",
            ));
        }
        let n = failed.len().saturating_add(censored.len());
        if n > MAX_LIVES {
            return Err(Error::input("lives", format!("at most {MAX_LIVES}"), n));
        }
        if let Some(life) = failed.iter().chain(&censored).find(|l| !(l.is_finite() && **l > 0.0)) {
            return Err(Error::input("life", "finite and above 0", life));
        }
        failed.sort_by(f64::total_cmp);
        censored.sort_by(f64::total_cmp);
        let curve = Curve::of(&Evidence::of(&settings, &failed, &censored).components(settings.weighting))?;
        Ok(Self {
            width,
            settings,
            failed: failed.into(),
            censored: censored.into(),
            curve: Arc::new(curve),
        })
    }

    /// Lives that ended in a failure.
    pub fn n_failed(&self) -> usize {
        self.failed.len()
    }

    /// Lives of which only a lower limit is known.
    pub fn n_censored(&self) -> usize {
        self.censored.len()
    }

    /// The probability to live longer than `life`.
    pub fn survival(&self, life: f64) -> f64 {
        libm::exp(self.curve.log_survival(log_of(life)))
    }

    /// Whether a machine of this age is older than anything the lives know of.
    pub(super) fn is_beyond(&self, age: f64) -> bool {
        let survival = self.survival(age);
        survival.is_nan() || survival < LEAST_SURVIVAL
    }

    /// The remaining life at `age` that is exceeded with the probability `survival`, infinite where it is not known.
    pub(super) fn remaining(&self, age: f64, survival: f64) -> f64 {
        let log_life = self
            .curve
            .inverse(self.curve.log_survival(log_of(age)) + libm::log(survival));
        (libm::exp(log_life) - age).max(0.0)
    }

    /// The distribution of remaining life at `age`.
    pub(super) fn at(&self, age: f64, unit: LifeUnit) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        if self.is_beyond(age) {
            return Ok(Err(NoPrognosis::BeyondKnownLives));
        }
        Ok(Ok(RulDistribution::from_quantiles(unit, |p| {
            self.remaining(age, 1.0 - p)
        })?))
    }
}

/// Of zero, minus infinity.
fn log_of(life: f64) -> f64 {
    if life > 0.0 { libm::log(life) } else { f64::NEG_INFINITY }
}

/// What the lives say of spread and centre of log life.
struct Evidence<'a> {
    /// Degrees of freedom and sum of squares, those of the setting added.
    freedom: f64,
    squares: f64,
    n: f64,
    mean: f64,
    censored: &'a [f64],
}

impl<'a> Evidence<'a> {
    fn of(settings: &LifePriorSettings, failed: &[f64], censored: &'a [f64]) -> Self {
        let n = failed.len() as f64;
        let mean = failed.iter().map(|l| libm::log(*l)).sum::<f64>() / n;
        let around = |l: &f64| (libm::log(*l) - mean) * (libm::log(*l) - mean);
        Self {
            freedom: settings.confidence + n - 1.0,
            squares: settings.confidence * settings.spread * settings.spread + failed.iter().map(around).sum::<f64>(),
            n,
            mean,
            censored,
        }
    }

    /// The log density of the spread `exp(log_spread)`, by its logarithm, with mean and variance of the centre given it.
    fn at(&self, log_spread: f64, log_censored: &[f64]) -> (f64, f64, f64) {
        let spread = libm::exp(log_spread);
        let variance = spread * spread;
        let log_density = -self.freedom * log_spread - self.squares / (2.0 * variance);
        let of_mean = variance / self.n;
        if log_censored.is_empty() {
            return (log_density, self.mean, of_mean);
        }
        // Concave in the centre; Newton comes from the left and does not overshoot.
        let mut centre = self.mean;
        let mut curvature = 1.0 / of_mean;
        for _ in 0..100 {
            let mut slope = -(centre - self.mean) / of_mean;
            curvature = 1.0 / of_mean;
            for c in log_censored {
                let z = (c - centre) / spread;
                let hazard = normal::hazard(z);
                slope += hazard / spread;
                curvature += (hazard * (hazard - z)).max(0.0) / variance;
            }
            let step = slope / curvature;
            centre += step;
            if step.abs() <= 1e-9 * spread {
                break;
            }
        }
        let log_likelihood = |mu: f64| {
            let tails: f64 = log_censored
                .iter()
                .map(|c| normal::log_survival((c - mu) / spread))
                .sum();
            tails - (mu - self.mean) * (mu - self.mean) / (2.0 * of_mean)
        };
        let sd = 1.0 / curvature.sqrt();
        let highest = log_likelihood(centre);
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for i in -N_CENTRES..=N_CENTRES {
            let away = CENTRES_REACH * f64::from(i) / f64::from(N_CENTRES);
            let weight = libm::exp(log_likelihood(centre + away * sd) - highest);
            sum += weight;
            first += weight * away;
            second += weight * away * away;
        }
        let (first, second) = (first / sum, second / sum);
        let variance_of_centre = (second - first * first).max(0.0) * sd * sd;
        // Relative to the likelihood without censored lives, whose integral over the centre is √(2π of_mean).
        let log_ratio = highest + libm::log(sum * sd / of_mean.sqrt());
        (log_density + log_ratio, centre + first * sd, variance_of_centre)
    }

    /// The next log life as a mixture over spreads.
    fn components(&self, weighting: LifeWeighting) -> Vec<Component> {
        let log_censored: Vec<f64> = self.censored.iter().map(|l| libm::log(*l)).collect();
        let density = |u: f64| self.at(u, &log_censored).0;
        let best_among = |from: f64, step: f64, n: i32| {
            let mut best = (f64::NEG_INFINITY, from);
            for i in 0..n {
                let u = from + step * f64::from(i);
                let d = density(u);
                if d > best.0 {
                    best = (d, u);
                }
            }
            best.1
        };
        let mut likeliest = best_among(-12.0, 0.25, 81);
        for step in [0.05, 0.01] {
            likeliest = best_among(likeliest - 5.0 * step, step, 11);
        }
        let sd = 1.0 / (2.0 * self.freedom).sqrt();
        let at = |i: usize| likeliest + sd * (19.0 * i as f64 / (N_SPREADS - 1) as f64 - 7.0);
        let nodes: Vec<(f64, (f64, f64, f64))> =
            (0..N_SPREADS).map(|i| (at(i), self.at(at(i), &log_censored))).collect();
        let highest = nodes.iter().map(|n| n.1.0).fold(f64::NEG_INFINITY, f64::max);
        let mut components: Vec<Component> = nodes
            .into_iter()
            .map(|(u, (log_density, centre, variance))| {
                let square = libm::exp(2.0 * u);
                let moved = match weighting {
                    LifeWeighting::Instants => 0.0,
                    LifeWeighting::Machines => square,
                };
                Component {
                    weight: libm::exp(log_density - highest),
                    mean: centre - moved,
                    sd: (square + variance).sqrt(),
                }
            })
            .collect();
        let sum: f64 = components.iter().map(|c| c.weight).sum();
        components.iter_mut().for_each(|c| c.weight /= sum);
        components
    }
}

impl Curve {
    fn of(components: &[Component]) -> Result<Self> {
        let likeliest = components.iter().max_by(|a, b| a.weight.total_cmp(&b.weight));
        let Some(&Component { mean, sd, .. }) = likeliest else {
            return Err(Error::insufficient("components of life", "at least 1", 0));
        };
        let sound = |c: &Component| c.weight.is_finite() && c.mean.is_finite() && c.sd.is_finite() && c.sd > 0.0;
        if !components.iter().all(sound) {
            return Err(Error::input(
                "lives",
                "spread such that logarithms stay in range",
                "more",
            ));
        }
        let mut curve = Self {
            centre: mean,
            spread: sd,
            log_survival: Vec::with_capacity(N_PLACES),
        };
        let mut least = 0.0f64;
        for i in 0..N_PLACES {
            let x = curve.place(i);
            let survival: f64 = components
                .iter()
                .map(|c| c.weight * normal::cdf((c.mean - x) / c.sd))
                .sum();
            least = least.min(libm::log(survival.min(1.0)).max(LEAST_LOG_SURVIVAL));
            curve.log_survival.push(least);
        }
        Ok(curve)
    }

    fn place(&self, i: usize) -> f64 {
        let t = PLACES_REACH * (2.0 * i as f64 / (N_PLACES - 1) as f64 - 1.0);
        self.centre + self.spread * libm::sinh(t)
    }

    fn kept(&self, i: usize) -> f64 {
        self.log_survival.get(i).copied().unwrap_or(LEAST_LOG_SURVIVAL)
    }

    /// Linear between places.
    fn log_survival(&self, x: f64) -> f64 {
        let t = libm::asinh((x - self.centre) / self.spread);
        let at = (t / PLACES_REACH + 1.0) / 2.0 * (N_PLACES - 1) as f64;
        if at.is_nan() || at <= 0.0 {
            return 0.0;
        }
        let i = at as usize;
        if i + 1 >= N_PLACES {
            return self.kept(N_PLACES - 1);
        }
        let (low, high) = (self.place(i), self.place(i + 1));
        let share = ((x - low) / (high - low)).clamp(0.0, 1.0);
        self.kept(i) + share * (self.kept(i + 1) - self.kept(i))
    }

    /// The place at which the curve has fallen to this, infinite where it does not.
    fn inverse(&self, log_survival: f64) -> f64 {
        let after = self.log_survival.partition_point(|s| *s > log_survival);
        if after >= N_PLACES || log_survival <= LEAST_LOG_SURVIVAL {
            return f64::INFINITY;
        }
        let Some(before) = after.checked_sub(1) else {
            return self.place(0);
        };
        let (high, low) = (self.kept(before), self.kept(after));
        let share = if high > low {
            (high - log_survival) / (high - low)
        } else {
            0.0
        };
        self.place(before) + share * (self.place(after) - self.place(before))
    }
}

impl TrajectoryModel for LifeDistribution {
    const KIND: &'static str = "rul.life_prior";
    type Record = LifeDistributionRecord;
    type Memory = ();

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) {}

    fn check_memory(&self, _memory: &()) -> Result<()> {
        Ok(())
    }

    fn observe(&self, _memory: &mut (), _age: f64, _row: &[f64]) {}

    fn prognose(
        &self,
        _memory: &(),
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        self.at(age, unit)
    }

    fn to_record(&self) -> LifeDistributionRecord {
        LifeDistributionRecord {
            settings: self.settings,
            failed: self.failed.to_vec(),
            censored: self.censored.to_vec(),
        }
    }

    fn from_record(r: LifeDistributionRecord, width: usize) -> Result<Self> {
        let refused = |e: Error| Error::persistence(format!("{}: {e}", Self::KIND));
        r.settings.check().map_err(refused)?;
        Self::new(width, r.settings, r.failed, r.censored).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    fn fitted(settings: LifePriorSettings, failed: &[f64], censored: &[f64]) -> LifeDistribution {
        LifeDistribution::new(1, settings, failed.to_vec(), censored.to_vec()).unwrap()
    }

    fn median(failed: &[f64], censored: &[f64], age: f64) -> f64 {
        fitted(LifePriorSettings::default(), failed, censored).remaining(age, 0.5)
    }

    #[test]
    fn a_lognormal_known_well_is_a_lognormal() {
        // A million lives' worth of confidence in the spread, lives at exp(±a) whose own spread agrees.
        let settings = LifePriorSettings {
            spread: 0.5,
            confidence: 1e6,
            weighting: LifeWeighting::Machines,
        };
        let prior = fitted(settings, &[100.0; 40_000], &[]);
        // Moved down by 0.25, and the 40,000 equal lives narrow the spread: 0.25 · 1e6 / (1e6 + 39,999).
        let square: f64 = 0.25e6 / 1_039_999.0;
        for z in [-2.0, -0.5, 0.0, 1.0, 3.0] {
            let life = 100.0 * libm::exp(-square + z * square.sqrt());
            let got = prior.survival(life);
            assert!((got / normal::cdf(-z) - 1.0).abs() < 2e-3, "{z}: {got}");
        }
    }

    #[test]
    fn machines_older_than_all_lives_get_no_number() {
        let prior = fitted(LifePriorSettings::default(), &[100.0, 120.0, 90.0, 110.0], &[]);
        assert!(prior.at(150.0, LifeUnit::Hours).unwrap().is_ok());
        assert_eq!(
            prior.at(1e7, LifeUnit::Hours).unwrap(),
            Err(NoPrognosis::BeyondKnownLives)
        );
        assert_eq!(prior.survival(0.0), 1.0);
    }

    #[test]
    fn bad_settings_and_lives_are_refused() {
        let with = |change: fn(&mut LifePriorSettings)| {
            let mut settings = LifePriorSettings::default();
            change(&mut settings);
            settings.check().unwrap_err().kind()
        };
        assert_eq!(with(|s| s.spread = f64::NAN), ErrorKind::InvalidParameter);
        assert_eq!(with(|s| s.spread = 0.0), ErrorKind::InvalidParameter);
        assert_eq!(with(|s| s.confidence = 1.0), ErrorKind::InvalidParameter);
        assert_eq!(with(|s| s.confidence = f64::INFINITY), ErrorKind::InvalidParameter);
        let new = |failed: &[f64], censored: &[f64]| {
            let r = LifeDistribution::new(1, LifePriorSettings::default(), failed.to_vec(), censored.to_vec());
            r.unwrap_err().kind()
        };
        assert_eq!(new(&[], &[10.0]), ErrorKind::InsufficientData);
        for life in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(new(&[1.0, life], &[]), ErrorKind::InvalidInput);
            assert_eq!(new(&[1.0], &[life]), ErrorKind::InvalidInput);
        }
        // As far apart as numbers go.
        assert!(fitted(LifePriorSettings::default(), &[1e-300, 1e300], &[1e300]).remaining(1.0, 0.5) >= 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_life_that_went_on_never_shortens_the_median(
            mut lives in prop::collection::vec(1.0..1000.0f64, 2..8), which in 0usize..8, age in 0.0..500.0f64,
        ) {
            // Upper quantiles may fall: an early failure widens the spread, and a life that went on does not.
            let before = [median(&lives, &[], 0.0), median(&lives, &[], age)];
            let life = lives.swap_remove(which % lives.len());
            prop_assert!(median(&lives, &[life], 0.0) >= before[0] * (1.0 - 1e-6));
            // One that went on for as long as the machine did is one more that outlived it.
            lives.push(life);
            prop_assert!(median(&lives, &[2000.0], age) >= before[1] * (1.0 - 1e-3));
        }

        #[test]
        fn survival_falls_and_order_does_not_matter(
            lives in prop::collection::vec(0.01..1e4f64, 1..12), n_failed in 1usize..12, age in 0.0..1e4f64,
        ) {
            let n = n_failed.min(lives.len());
            let prior = fitted(LifePriorSettings::default(), &lives[..n], &lives[n..]);
            let mut turned = lives.clone();
            turned[..n].reverse();
            turned[n..].reverse();
            prop_assert_eq!(&prior, &fitted(LifePriorSettings::default(), &turned[..n], &turned[n..]));
            let mut last = 1.0;
            for i in 0..60 {
                let s = prior.survival(libm::exp(f64::from(i) * 0.3 - 6.0));
                prop_assert!(s <= last);
                last = s;
            }
            // The quantile function undoes the survival function.
            if !prior.is_beyond(age) {
                for p in [0.9, 0.5, 0.1] {
                    let t = prior.remaining(age, p);
                    let back = prior.survival(age + t) / prior.survival(age);
                    prop_assert!((back - p).abs() < 1e-6, "{} {}", back, p);
                }
            }
        }
    }
}
