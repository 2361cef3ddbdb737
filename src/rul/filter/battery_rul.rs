//! Remaining life of batteries.

use super::{
    battery::BatteryFade,
    belief::GaussianBelief,
    particle_life::{Degradation, DegradationSettings, ParticleLife, ParticleSettings},
    priors::{end_of, prior_of, typical_life, typical_sd, widening},
};
use crate::{
    error::{Error, Result},
    rul::{RecordedLife, TrajectoryRegressor, TrajectoryRegressorParams},
};

/// Sections of a search for a rate: to 10⁻⁴ of its logarithm.
const N_SECTIONS: usize = 22;
/// Rates of the knee tried at first.
const N_KNEES: usize = 8;

/// Remaining life from measured capacities: particles of [`BatteryFade`].
///
/// # Method
///
/// To each recorded life with at least five positive capacities, `Q exp(-λ k) - P exp(β k)` with `Q > 0, P >= 0` is fitted by
/// least squares: `Q` and `P` exactly, the rates by golden sections, the knee's from the best of eight. Means and covariance of the
/// logarithms (spread by at least 0.01, 0.3, 0.5 and 0.2 for `Q`, `λ`, `P` and `β`; five times that where there is but one life,
/// which tells nothing of how cells differ) are what is known of a new cell, which is then followed by a
/// [`ParticleFilter`](super::ParticleFilter).
/// Settings that are not given come from the lives: the end is the median of the last capacities of failed cells, the
/// noise of a reading the typical residual, the walk of `ln λ` 0.2 over a typical life.
///
/// Choose the column of capacities by `on`. Lives count charges and discharges, or time.
///
/// # Missing values, memory, cost
///
/// Capacities that are not positive are missing. With the default 500 particles a cell's memory is 20 kB; a row costs
/// 500 particle steps, a prognosis up to 100 times as much.
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
///     rul::{RulLabels, filter::BatteryRul},
///     signal::Channel,
/// };
///
/// // Three cells that lose 0.1% a cycle, more or less, down to 80%.
/// let rates = [0.0010, 0.0011, 0.0009];
/// let (mut values, mut asset, mut times, mut rul) = (vec![], vec![], vec![], vec![]);
/// for (cell, rate) in rates.into_iter().enumerate() {
///     let life = ((1.0_f64 / 0.8).ln() / rate).floor() as u32;
///     for k in (0..=life).step_by(5) {
///         values.push((-rate * f64::from(k)).exp());
///         asset.push(cell as u32);
///         times.push(Timestamp::from_secs(i64::from(k)));
///         rul.push(f64::from(life - k));
///     }
/// }
/// let schema = FeatureSchema::of_channels(&[Channel::new("capacity", "Ah")])?;
/// let n = values.len();
/// let table = FeatureTable::new(schema, Array2::from_shape_vec((n, 1), values).unwrap(), asset)?.at(times)?;
/// let data = DatasetBase::new(table, RulLabels::new(rul, LifeUnit::Cycles)?);
/// let model = BatteryRul::params().end(0.8).check()?.fit(&data)?;
///
/// let mut state = model.new_state();
/// for x in data.records.views().take(20) {
///     model.update(&mut state, x)?;
/// }
/// # Ok::<(), prognos::Error>(())
/// ```
pub type BatteryRul = TrajectoryRegressor<ParticleLife<BatteryFade>>;

/// Parameters of a [`BatteryRul`].
pub type BatteryRulParams = TrajectoryRegressorParams<ParticleSettings<BatterySettings>>;

/// What a [`BatteryRul`] is told of its cells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatterySettings {
    end: Option<f64>,
    reading_sd: Option<f64>,
    rate_walk: Option<f64>,
}

impl BatteryRul {
    /// Default parameters: all from the lives; 500 particles.
    pub fn params() -> BatteryRulParams {
        BatteryRulParams::default()
    }
}

impl BatteryRulParams {
    /// The capacity at which lives end. Default the median of the last capacities of failed cells.
    #[must_use]
    pub fn end(self, end: f64) -> Self {
        self.with(|s| s.degradation.end = Some(end))
    }

    /// The standard deviation of a reading. Default from the lives.
    #[must_use]
    pub fn reading_sd(self, reading_sd: f64) -> Self {
        self.with(|s| s.degradation.reading_sd = Some(reading_sd))
    }

    /// The standard deviation of the change of `ln λ` over one cycle. Default 0.2 over a typical life.
    #[must_use]
    pub fn rate_walk(self, rate_walk: f64) -> Self {
        self.with(|s| s.degradation.rate_walk = Some(rate_walk))
    }
}

impl BatterySettings {
    fn model(&self, end: f64) -> Result<BatteryFade> {
        let mut model = BatteryFade::new(end)?;
        if let Some(sd) = self.reading_sd {
            model = model.reading_sd(sd)?;
        }
        match self.rate_walk {
            Some(walk) => model.rate_walk(walk),
            None => Ok(model),
        }
    }
}

/// `Q`, and `P` at the last age, that fit best for two rates in units of the last age; and the mean squared residual.
fn amplitudes(points: &[(f64, f64)], last: f64, rate: f64, knee_rate: f64) -> (f64, f64, f64) {
    let (mut aa, mut ab, mut bb, mut ay, mut by, mut yy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for &(age, y) in points {
        let a = libm::exp(-rate * age / last);
        let b = -libm::exp(knee_rate * (age / last - 1.0));
        aa += a * a;
        ab += a * b;
        bb += b * b;
        ay += a * y;
        by += b * y;
        yy += y * y;
    }
    let det = aa * bb - ab * ab;
    let (mut q, mut p) = ((ay * bb - by * ab) / det, (by * aa - ay * ab) / det);
    if !(det > 1e-12 * aa * bb && p > 0.0) {
        (q, p) = (ay / aa, 0.0);
    }
    let square = yy - 2.0 * (q * ay + p * by) + q * q * aa + 2.0 * q * p * ab + p * p * bb;
    let square = if q > 0.0 { square.max(0.0) } else { f64::INFINITY };
    (q, p, square / points.len() as f64)
}

/// Where `f` with one valley is lowest in `low..=high`, by golden sections, and its value there.
fn minimum(low: f64, high: f64, f: impl Fn(f64) -> f64) -> (f64, f64) {
    const SECTION: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = (low, high);
    let (mut left, mut right) = (high - SECTION * (high - low), low + SECTION * (high - low));
    let (mut f_left, mut f_right) = (f(left), f(right));
    for _ in 0..N_SECTIONS {
        if f_left <= f_right {
            (high, right, f_right) = (right, left, f_left);
            left = high - SECTION * (high - low);
            f_left = f(left);
        } else {
            (low, left, f_left) = (left, right, f_right);
            right = low + SECTION * (high - low);
            f_right = f(right);
        }
    }
    if f_left <= f_right {
        (left, f_left)
    } else {
        (right, f_right)
    }
}

/// `ln Q, ln λ, ln P, ln β` at birth, and the mean squared residual.
fn fade(life: &RecordedLife<'_>) -> Option<([f64; 4], f64)> {
    let points: Vec<(f64, f64)> = life
        .rows()
        .map(|(age, row)| (age, row[0]))
        .filter(|(_, y)| *y > 0.0)
        .collect();
    let last = points.last()?.0;
    if points.len() < 5 || last <= 0.0 {
        return None;
    }
    // Logarithms of the rates, in units of the last age: for each rate of the knee, the best rate before it.
    let before = |knee: f64| {
        let error = |rate: f64| amplitudes(&points, last, libm::exp(rate), libm::exp(knee)).2;
        minimum(libm::log(1e-3), libm::log(5.0), error)
    };
    let (low, high) = (libm::log(2.0), libm::log(60.0));
    let step = (high - low) / (N_KNEES - 1) as f64;
    let mut best = (low, f64::INFINITY);
    for i in 0..N_KNEES {
        let knee = low + i as f64 * step;
        let error = before(knee).1;
        if error < best.1 {
            best = (knee, error);
        }
    }
    let beside = (low.max(best.0 - step), high.min(best.0 + step));
    let (log_knee_rate, _) = minimum(beside.0, beside.1, |knee| before(knee).1);
    let (log_rate, _) = before(log_knee_rate);
    let (q, p, square) = amplitudes(&points, last, libm::exp(log_rate), libm::exp(log_knee_rate));
    // A knee that does not show may yet come.
    let log_p = libm::log(p.max(1e-3 * q)) - libm::exp(log_knee_rate);
    let row = [
        libm::log(q),
        log_rate - libm::log(last),
        log_p,
        log_knee_rate - libm::log(last),
    ];
    (row.iter().all(|r| r.is_finite()) && square.is_finite()).then_some((row, square))
}

impl DegradationSettings for BatterySettings {
    type Model = BatteryFade;

    fn check(&self) -> Result<()> {
        self.model(self.end.unwrap_or(1.0)).map(|_| ())
    }

    fn learn(&self, lives: &[RecordedLife<'_>]) -> Result<(BatteryFade, GaussianBelief)> {
        let end = match self.end {
            Some(end) => end,
            None => end_of(lives, "end")?,
        };
        let mut model = self.model(end)?;
        let faded: Vec<_> = lives.iter().filter_map(fade).collect();
        if faded.is_empty() {
            return Err(Error::insufficient(
                "lives with at least 5 capacities above 0",
                "at least 1",
                0,
            ));
        }
        let floors = [0.01, 0.3, 0.5, 0.2].map(|sd| sd * widening(faded.len()));
        let prior = prior_of(faded.iter().map(|f| f.0).collect(), floors)?;
        if self.reading_sd.is_none() {
            let squares = faded.iter().map(|f| f.1).collect();
            model = model.reading_sd(typical_sd(squares, (1e-3 * end).max(1e-9), end))?;
        }
        if self.rate_walk.is_none() {
            model = model.rate_walk((0.2 / typical_life(lives).sqrt()).min(10.0))?;
        }
        Ok((model, prior))
    }
}

impl Degradation for BatteryFade {
    const KIND: &'static str = "rul.battery_fade";

    fn measured(&self, reading: f64) -> f64 {
        if reading > 0.0 { reading } else { f64::NAN }
    }

    fn is_over(&self, reading: f64) -> bool {
        reading > 0.0 && reading <= self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_exponentials_of_a_life_are_found() {
        let ages: Vec<f64> = (0..60).map(|k| f64::from(k) * 10.0).collect();
        let truth = |k: f64| 1.05 * (-6e-4 * k).exp() - 1e-5 * (0.016 * k).exp();
        let values: Vec<f64> = ages.iter().map(|k| truth(*k)).collect();
        let life = RecordedLife::new(&ages, &values, 1, 600.0, true).unwrap();
        let (row, square) = fade(&life).unwrap();
        assert!(square.sqrt() < 1e-4, "{square}");
        let expected = [1.05_f64.ln(), 6e-4_f64.ln(), 1e-5_f64.ln(), 0.016_f64.ln()];
        for (r, e) in row.iter().zip(expected) {
            assert!((r - e).abs() < 0.05, "{row:?}");
        }
        // A constant has a fit too: the slowest rate.
        let values = vec![1.0; 60];
        let flat = fade(&RecordedLife::new(&ages, &values, 1, 600.0, true).unwrap()).unwrap();
        assert!(flat.0.iter().all(|v| v.is_finite()));
    }
}
