//! Remaining life of bearings.

use super::{
    bearing_wear::BearingWear,
    belief::GaussianBelief,
    particle_life::{Degradation, DegradationSettings, ParticleLife, ParticleSettings},
    priors::{end_of, median, prior_of, typical_life, weighted_line, widening},
};
use crate::{
    error::{Error, Result},
    rul::{RecordedLife, TrajectoryRegressor, TrajectoryRegressorParams},
};

/// Remaining life from a feature that grows with damage: particles of [`BearingWear`].
///
/// # Method
///
/// To each recorded life with at least three positive readings, `ln x = ln x0 + b age` is fitted by least squares; mean and
/// covariance of `ln x0` and `b` (spread by at least 0.1 and a tenth of a typical rate; five times that where there is but one
/// life, which tells nothing of how bearings differ) are what is known of a new bearing, which is then followed by a
/// [`ParticleFilter`](super::ParticleFilter). Settings that are not given come from the lives: the threshold is the median of the
/// last readings of failed bearings; the noise of a reading and that of the level from the variance `v` and the first
/// autocovariance `c` of the differences of `ln x` about their mean, `-c` and `(v + 2 c) / dt`; the walk of `b` 0.3 of its mean
/// over a typical life.
///
/// Choose the column of the feature by `on`: the RMS of a vibration, or a band of it.
///
/// # Missing values, memory, cost
///
/// Readings that are not positive are missing. With the default 500 particles a bearing's memory is 12 kB; a row costs
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
///     rul::{RulLabels, filter::BearingWearRul},
///     signal::Channel,
/// };
///
/// // Three bearings whose vibration grows from 1 to 10 at rates of their own.
/// let rates = [0.020, 0.023, 0.018];
/// let (mut values, mut asset, mut times, mut rul) = (vec![], vec![], vec![], vec![]);
/// for (bearing, rate) in rates.into_iter().enumerate() {
///     let life = (10.0_f64.ln() / rate).floor() as u32;
///     for k in 0..=life {
///         let noise = 0.03 * (f64::from(k) * 2.4).sin();
///         values.push((rate * f64::from(k) + noise).exp());
///         asset.push(bearing as u32);
///         times.push(LifeUnit::Hours.instant(i64::from(k)));
///         rul.push(f64::from(life - k));
///     }
/// }
/// let schema = FeatureSchema::of_channels(&[Channel::new("rms", "g")])?;
/// let n = values.len();
/// let table = FeatureTable::new(schema, Array2::from_shape_vec((n, 1), values).unwrap(), asset)?.at(times)?;
/// let data = DatasetBase::new(table, RulLabels::new(rul, LifeUnit::Hours)?);
/// let model = BearingWearRul::params().threshold(10.0).check()?.fit(&data)?;
///
/// let mut state = model.new_state();
/// let mut last = None;
/// for x in data.records.views().take(60) {
///     last = model.step(&mut state, x)?.ready();
/// }
/// // 115 h in all, 59 h old.
/// assert!((last.unwrap().rul - 56.0).abs() < 12.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type BearingWearRul = TrajectoryRegressor<ParticleLife<BearingWear>>;

/// Parameters of a [`BearingWearRul`].
pub type BearingWearRulParams = TrajectoryRegressorParams<ParticleSettings<BearingWearSettings>>;

/// What a [`BearingWearRul`] is told of its bearings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BearingWearSettings {
    threshold: Option<f64>,
    reading_log_sd: Option<f64>,
    walk: Option<(f64, f64)>,
}

impl BearingWearRul {
    /// Default parameters: all from the lives; 500 particles.
    pub fn params() -> BearingWearRulParams {
        BearingWearRulParams::default()
    }
}

impl BearingWearRulParams {
    /// The feature at which lives end. Default the median of the last readings of failed bearings.
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        self.with(|s| s.degradation.threshold = Some(threshold))
    }

    /// The standard deviation of the logarithm of a reading. Default from the lives.
    #[must_use]
    pub fn reading_log_sd(self, reading_log_sd: f64) -> Self {
        self.with(|s| s.degradation.reading_log_sd = Some(reading_log_sd))
    }

    /// The standard deviations of the changes of `ln x` and of its rate over one unit of time. Default from the lives.
    #[must_use]
    pub fn walk(self, level: f64, rate: f64) -> Self {
        self.with(|s| s.degradation.walk = Some((level, rate)))
    }
}

impl BearingWearSettings {
    fn model(&self, threshold: f64) -> Result<BearingWear> {
        let mut model = BearingWear::new(threshold)?;
        if let Some(sd) = self.reading_log_sd {
            model = model.reading_log_sd(sd)?;
        }
        match self.walk {
            Some((level, rate)) => model.walk(level, rate),
            None => Ok(model),
        }
    }
}

/// `[ln x0, b]` of a life, and the variances of a reading and of the level over one unit of time.
fn growth(life: &RecordedLife<'_>) -> Option<([f64; 2], f64, f64)> {
    let points: Vec<(f64, f64)> = life
        .rows()
        .map(|(age, row)| (age, row[0]))
        .filter(|(_, x)| *x > 0.0)
        .map(|(age, x)| (age, libm::log(x)))
        .collect();
    if points.len() < 3 {
        return None;
    }
    let (start, rate) = weighted_line(points.iter().map(|(age, log)| (*age, *log, 1.0)))?;
    let changes: Vec<f64> = points
        .windows(2)
        .map(|w| w[1].1 - w[0].1 - rate * (w[1].0 - w[0].0))
        .collect();
    let n = changes.len() as f64;
    let variance = changes.iter().map(|d| d * d).sum::<f64>() / n;
    let covariance = changes.windows(2).map(|d| d[0] * d[1]).sum::<f64>() / n;
    let dt = (points[points.len() - 1].0 - points[0].0) / n;
    let reading = (-covariance).clamp(0.0, 0.5 * variance);
    Some(([start, rate], reading, (variance - 2.0 * reading) / dt))
}

impl DegradationSettings for BearingWearSettings {
    type Model = BearingWear;

    fn check(&self) -> Result<()> {
        self.model(self.threshold.unwrap_or(1.0)).map(|_| ())
    }

    fn learn(&self, lives: &[RecordedLife<'_>]) -> Result<(BearingWear, GaussianBelief)> {
        let threshold = match self.threshold {
            Some(threshold) => threshold,
            None => end_of(lives, "threshold")?,
        };
        let mut model = self.model(threshold)?;
        let grown: Vec<_> = lives.iter().filter_map(growth).collect();
        if grown.is_empty() {
            return Err(Error::insufficient(
                "lives with at least 3 readings above 0",
                "at least 1",
                0,
            ));
        }
        let typical = |values: Vec<f64>| median(values).unwrap_or(0.0).max(0.0).sqrt();
        let rate = median(grown.iter().map(|g| g.0[1].abs()).collect()).unwrap_or(0.0);
        let life = typical_life(lives);
        let rows = grown.iter().map(|g| g.0).collect();
        let wider = widening(grown.len());
        let prior = prior_of(rows, [0.1 * wider, wider * (0.1 * rate).max(0.01 / life)])?;
        if self.reading_log_sd.is_none() {
            let sd = typical(grown.iter().map(|g| g.1).collect());
            model = model.reading_log_sd(sd.clamp(1e-3, 10.0))?;
        }
        if self.walk.is_none() {
            let level = typical(grown.iter().map(|g| g.2).collect());
            model = model.walk(level.min(10.0), (0.3 * rate / life.sqrt()).min(10.0))?;
        }
        Ok((model, prior))
    }
}

impl Degradation for BearingWear {
    const KIND: &'static str = "rul.bearing_wear";

    fn measured(&self, reading: f64) -> f64 {
        if reading > 0.0 { libm::log(reading) } else { f64::NAN }
    }

    fn is_over(&self, reading: f64) -> bool {
        reading >= self.threshold()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_noises_of_a_life() {
        // Alternating reading noise of 0.1 about ln x = 0.5 + 0.02 age: differences of ±0.2, autocovariance -0.04.
        let ages: Vec<f64> = (0..201).map(f64::from).collect();
        let sign = |i: usize| if i.is_multiple_of(2) { 0.1 } else { -0.1 };
        let values: Vec<f64> = ages
            .iter()
            .enumerate()
            .map(|(i, a)| (0.5 + 0.02 * a + sign(i)).exp())
            .collect();
        let ([start, rate], reading, level) =
            growth(&RecordedLife::new(&ages, &values, 1, 200.0, true).unwrap()).unwrap();
        assert!(
            (start - 0.5).abs() < 2e-3 && (rate - 0.02).abs() < 1e-5,
            "{start} {rate}"
        );
        assert!((reading - 0.02).abs() < 1e-3 && level.abs() < 1e-9, "{reading} {level}");
    }

    /// Two lives that are alike say how alike lives are; one says nothing of it.
    #[test]
    fn one_life_leaves_the_next_one_open() {
        let ages: Vec<f64> = (0..101).map(f64::from).collect();
        let values: Vec<f64> = ages.iter().map(|a| (0.02 * a).exp()).collect();
        let life = RecordedLife::new(&ages, &values, 1, 100.0, true).unwrap();
        let settings = BearingWearSettings::default();
        let (_, one) = settings.learn(&[life]).unwrap();
        let (_, two) = settings.learn(&[life, life]).unwrap();
        assert!((one.sd(0) - 0.5).abs() < 1e-9 && (two.sd(0) - 0.1).abs() < 1e-9);
        assert!(
            (one.sd(1) - 0.01).abs() < 1e-6 && (two.sd(1) - 0.002).abs() < 1e-6,
            "{one:?}"
        );
    }
}
