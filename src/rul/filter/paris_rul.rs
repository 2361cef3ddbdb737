//! Remaining life of cracked parts.

use super::{
    belief::GaussianBelief,
    paris::ParisCrack,
    particle_life::{Degradation, DegradationSettings, ParticleLife, ParticleSettings},
    priors::{end_of, prior_of, typical_life, typical_sd, weighted_line, widening},
};
use crate::{
    error::{Error, Result},
    rul::{RecordedLife, TrajectoryRegressor, TrajectoryRegressorParams},
};

/// Remaining life from measured crack lengths: particles of [`ParisCrack`].
///
/// # Method
///
/// Of each recorded life with at least three positive lengths, `a^(1 - m/2)` is fitted by a line in `N`, with `m` the mean of
/// [`exponent`](ParisRulParams::exponent), each point weighted by its precision; the line gives `C` and the length at birth. Their mean
/// and covariance over the lives (spread by at least 5% in length and 20% in `C`; five times that where there is but one life,
/// which tells nothing of how machines differ) are what is known of a new machine, which is then followed by a
/// [`ParticleFilter`](super::ParticleFilter). Settings that are not given come from the lives: the critical length is the
/// median of the last lengths of failed machines, the noise of a reading the typical residual, and the walk of `ln C` 0.2 over a
/// typical life.
///
/// Choose the column of lengths, **in m**, by `on`. Lives count load cycles, of any unit of life; `C` is per that unit.
///
/// # Missing values, memory, cost
///
/// Lengths that are not positive are missing. With the default 500 particles a machine's memory is 16 kB; a row costs 500
/// particle steps, a prognosis up to 100 times as much.
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, ParamGuard, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable},
///     model::OnlineModel,
///     quantity::{LifeUnit, Timestamp},
///     rul::{RulLabels, filter::{ParisCrack, ParisRul}},
///     signal::Channel,
/// };
///
/// // Three cracks that grow from 1 mm to 20 mm, inspected 21 times.
/// let crack = ParisCrack::new(100.0, 0.02)?;
/// let (mut values, mut asset, mut times, mut rul) = (vec![], vec![], vec![], vec![]);
/// for (a, log_c) in [-25.4, -25.2, -25.6].into_iter().enumerate() {
///     let life = crack.cycles(0.001, log_c, 3.0);
///     for i in 0..=20 {
///         let age = (f64::from(i) / 20.0 * life).floor();
///         // a^(-1/2) is linear in N.
///         let end = 0.02_f64.powf(-0.5);
///         values.push((0.001_f64.powf(-0.5) * (1.0 - age / life) + end * age / life).powi(-2));
///         asset.push(a as u32);
///         times.push(Timestamp::from_secs(age as i64));
///         rul.push(life - age);
///     }
/// }
/// let schema = FeatureSchema::of_channels(&[Channel::new("crack", "m")])?;
/// let n = values.len();
/// let table = FeatureTable::new(schema, Array2::from_shape_vec((n, 1), values).unwrap(), asset)?.at(times)?;
/// let data = DatasetBase::new(table, RulLabels::new(rul, LifeUnit::Cycles)?);
/// let model = ParisRul::params().check()?.fit(&data)?;
///
/// let mut state = model.new_state();
/// for x in data.records.views().take(11) {
///     let outcome = model.step(&mut state, x)?;
///     if let Some(estimate) = outcome.ready() {
///         assert!(estimate.lower <= estimate.rul && estimate.rul <= estimate.upper);
///     }
/// }
/// # Ok::<(), prognos::Error>(())
/// ```
pub type ParisRul = TrajectoryRegressor<ParticleLife<ParisCrack>>;

/// Parameters of a [`ParisRul`].
pub type ParisRulParams = TrajectoryRegressorParams<ParticleSettings<ParisSettings>>;

/// What a [`ParisRul`] is told of load and material.
#[derive(Clone, Debug, PartialEq)]
pub struct ParisSettings {
    stress_range_mpa: f64,
    geometry: f64,
    critical_length_m: Option<f64>,
    reading_sd_m: Option<f64>,
    rate_walk: Option<f64>,
    exponent: (f64, f64),
}

impl Default for ParisSettings {
    fn default() -> Self {
        Self {
            stress_range_mpa: 100.0,
            geometry: 1.0,
            critical_length_m: None,
            reading_sd_m: None,
            rate_walk: None,
            exponent: (3.0, 0.0),
        }
    }
}

impl ParisRul {
    /// Default parameters: 100 MPa, `Y = 1`, `m = 3`, the rest from the lives; 500 particles.
    pub fn params() -> ParisRulParams {
        ParisRulParams::default()
    }
}

impl ParisRulParams {
    /// The range of the stress in MPa. Default 100; it changes what `C` means, not the lives.
    #[must_use]
    pub fn stress_range_mpa(self, stress_range_mpa: f64) -> Self {
        self.with(|s| s.degradation.stress_range_mpa = stress_range_mpa)
    }

    /// The geometry factor `Y`. Default 1.
    #[must_use]
    pub fn geometry(self, geometry: f64) -> Self {
        self.with(|s| s.degradation.geometry = geometry)
    }

    /// The length at which lives end. Default the median of the last lengths of failed machines.
    #[must_use]
    pub fn critical_length_m(self, critical_length_m: f64) -> Self {
        self.with(|s| s.degradation.critical_length_m = Some(critical_length_m))
    }

    /// The standard deviation of a reading. Default from the lives.
    #[must_use]
    pub fn reading_sd_m(self, reading_sd_m: f64) -> Self {
        self.with(|s| s.degradation.reading_sd_m = Some(reading_sd_m))
    }

    /// The standard deviation of the change of `ln C` over one cycle. Default 0.2 over a typical life.
    #[must_use]
    pub fn rate_walk(self, rate_walk: f64) -> Self {
        self.with(|s| s.degradation.rate_walk = Some(rate_walk))
    }

    /// Mean and standard deviation of the material's exponent `m`, which lives of one load can hardly tell from `C`. Default 3
    /// and 0: steels in the middle of their range of growth.
    #[must_use]
    pub fn exponent(self, mean: f64, sd: f64) -> Self {
        self.with(|s| s.degradation.exponent = (mean, sd))
    }
}

impl ParisSettings {
    /// The model around `critical`, with what is known before the lives.
    fn model(&self, critical: f64) -> Result<ParisCrack> {
        let mut model = ParisCrack::new(self.stress_range_mpa, critical)?.geometry(self.geometry)?;
        if let Some(sd) = self.reading_sd_m {
            model = model.reading_sd_m(sd)?;
        }
        match self.rate_walk {
            Some(walk) => model.rate_walk(walk),
            None => Ok(model),
        }
    }
}

/// `(ln a at birth, ln C)` of a life, and its mean squared residual in m².
fn growth(life: &RecordedLife<'_>, model: &ParisCrack, exponent: f64) -> Option<(f64, f64, f64)> {
    let k = 0.5 * exponent - 1.0;
    let is_log = k.abs() < 1e-9;
    let lengths = life.rows().map(|(age, row)| (age, row[0])).filter(|(_, a)| *a > 0.0);
    if lengths.clone().count() < 3 {
        return None;
    }
    // A length's error e is -k a^(-k-1) e of a^(-k).
    let points = lengths.clone().map(|(age, a)| {
        if is_log {
            (age, libm::log(a), a * a)
        } else {
            (age, libm::pow(a, -k), libm::pow(a, 2.0 * k + 2.0))
        }
    });
    let (intercept, slope) = weighted_line(points)?;
    let rate = if is_log { slope } else { -slope / k };
    let length = |age: f64| {
        let u = intercept + slope * age;
        if is_log { libm::exp(u) } else { libm::pow(u, -1.0 / k) }
    };
    let (log_start, log_c) = (libm::log(length(0.0)), libm::log(rate) - exponent * model.drive());
    let squares: Vec<f64> = lengths.map(|(age, a)| (a - length(age)) * (a - length(age))).collect();
    let square = squares.iter().sum::<f64>() / squares.len() as f64;
    (log_start.is_finite() && log_c.is_finite() && square.is_finite()).then_some((log_start, log_c, square))
}

impl DegradationSettings for ParisSettings {
    type Model = ParisCrack;

    fn check(&self) -> Result<()> {
        self.model(self.critical_length_m.unwrap_or(1.0))?;
        let (mean, sd) = self.exponent;
        if !((1.0..=10.0).contains(&mean) && (0.0..=2.0).contains(&sd)) {
            return Err(Error::parameter(
                "exponent",
                "a mean from 1 to 10, a standard deviation from 0 to 2",
                format!("{mean}, {sd}"),
            ));
        }
        Ok(())
    }

    fn learn(&self, lives: &[RecordedLife<'_>]) -> Result<(ParisCrack, GaussianBelief)> {
        let critical = match self.critical_length_m {
            Some(critical) => critical,
            None => end_of(lives, "critical_length_m")?,
        };
        let mut model = self.model(critical)?;
        let (mean, sd) = self.exponent;
        let grown: Vec<_> = lives.iter().filter_map(|l| growth(l, &model, mean)).collect();
        if grown.is_empty() {
            return Err(Error::insufficient(
                "lives with at least 3 lengths that grow",
                "at least 1",
                0,
            ));
        }
        let wider = widening(grown.len());
        let floors = [0.05 * wider, 0.2 * wider, sd];
        let prior = prior_of(grown.iter().map(|g| [g.0, g.1, mean]).collect(), floors)?;
        if self.reading_sd_m.is_none() {
            let squares = grown.iter().map(|g| g.2).collect();
            model = model.reading_sd_m(typical_sd(squares, (1e-4 * critical).max(1e-9), critical))?;
        }
        if self.rate_walk.is_none() {
            model = model.rate_walk((0.2 / typical_life(lives).sqrt()).min(10.0))?;
        }
        Ok((model, prior))
    }
}

impl Degradation for ParisCrack {
    const KIND: &'static str = "rul.paris_crack";

    fn measured(&self, reading: f64) -> f64 {
        if reading > 0.0 { reading } else { f64::NAN }
    }

    fn is_over(&self, reading: f64) -> bool {
        reading >= self.critical_length_m()
    }
}
