//! Similarity of residuals.

use super::{
    library::{KeptLife, LARGEST, RecentReadings, Units, kept, probes},
    matches::{self, Kernel, Match, Matches, WeightSettings, weight_setters},
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams},
};
use serde::{Deserialize, Serialize};

/// The curve that is laid through each recorded life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LifeCurve {
    /// A straight line.
    Line,
    /// A polynomial of degree 2. The default.
    #[default]
    Parabola,
    /// An exponential: a line through logarithms, of readings above 0. Residuals are then logarithms of ratios.
    Exponential,
}

/// Remaining life as that of recorded machines whose fitted curve this machine's readings keep closest to.
///
/// # Method
///
/// Readings are put in standard units over all recorded rows, and a [curve](LifeCurve) is laid through each reading of each
/// life by least squares. A machine is compared with a life at equal age, by the root of the mean squared residual of its
/// last readings from the life's curves,
///
/// ```text
/// d² = mean over rows and readings of (z - curve(age))²      weight = exp(-d²/width)      remaining = end of the life - age
/// ```
///
/// and the distribution is the weighted estimator of Kaplan and Meier over the nearest lives: one that was only seen up to
/// its end without failing gives its weight to those that lasted longer. Lives that ended before this age say nothing; where
/// none is left, [`NoPrognosis::BeyondKnownLives`], where the nearest is
/// [stranger](ResidualSimilarityParams::strangeness) than recorded lives are to each other, [`NoPrognosis::NoSimilarLife`].
///
/// # Missing values, cost
///
/// A machine's memory is its last [`window`](ResidualSimilarityParams::window) rows, of which the oldest falls out. A row costs
/// `O(n_lives window n_readings)`, and allocates nothing with up to 64 lives. Standard units beyond ±100 count as ±100.
///
/// # Source
///
/// Wang, Yu, Siegel and Lee, "A similarity-based prognostics approach for remaining useful life estimation of engineered
/// systems", PHM 2008, doi [10.1109/PHM.2008.4711421](https://doi.org/10.1109/PHM.2008.4711421).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, ParamGuard, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable}, model::{Assessment, OnlineModel}, quantity::LifeUnit,
///     rul::{RulLabels, similarity::{LifeCurve, ResidualSimilarity}}, signal::Channel,
/// };
/// // Six machines wear evenly to 1 in 60, 70, .. 110 h.
/// let lives = [60_u32, 70, 80, 90, 100, 110];
/// let rows = || lives.iter().enumerate().flat_map(|(i, n)| (0..*n).map(move |t| (i as u32, *n, t)));
/// let wear = rows().map(|(_, n, t)| f64::from(t) / f64::from(n)).collect();
/// let schema = FeatureSchema::of_channels(&[Channel::new("wear", "")])?;
/// let table = FeatureTable::new(schema, Array2::from_shape_vec((510, 1), wear).unwrap(), rows().map(|r| r.0).collect())?
///     .at(rows().map(|(_, _, t)| LifeUnit::Hours.instant(t.into())).collect())?;
/// let left = rows().map(|(_, n, t)| f64::from(n - t)).collect();
/// let data = DatasetBase::new(table.clone(), RulLabels::new(left, LifeUnit::Hours)?);
/// let model = ResidualSimilarity::params().curve(LifeCurve::Line).check()?.fit(&data)?;
/// let mut state = model.new_state();
/// let outcomes: Vec<_> = table.views().skip(130).take(50).map(|x| model.step(&mut state, x).unwrap()).collect();
/// let Assessment::Ready(estimate) = outcomes[49] else { panic!() };
/// assert!((estimate.rul - 31.0).abs() < 8.0, "{estimate}");
/// # Ok::<(), prognos::Error>(())
/// ```
pub type ResidualSimilarity = TrajectoryRegressor<FittedLives>;

/// Parameters of [`ResidualSimilarity`].
pub type ResidualSimilarityParams = TrajectoryRegressorParams<ResidualSimilaritySettings>;

/// How [`ResidualSimilarity`] is fitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResidualSimilaritySettings {
    weights: WeightSettings,
    curve: LifeCurve,
}

weight_setters!(ResidualSimilarityParams);

impl ResidualSimilarityParams {
    /// The curve through each life. Default [`LifeCurve::Parabola`].
    #[must_use]
    pub fn curve(self, curve: LifeCurve) -> Self {
        self.with(|s| s.curve = curve)
    }
}

impl ResidualSimilarity {
    /// Parabolas, the last 30 readings against the 20 nearest lives.
    pub fn params() -> ResidualSimilarityParams {
        ResidualSimilarityParams::default()
    }
}

/// The fitted half of [`ResidualSimilarity`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedLives {
    units: Units,
    lives: Vec<Fitted>,
    kernel: Kernel,
    window: usize,
}

/// A life as the curves of its readings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fitted {
    end: f64,
    failed: bool,
    /// Curves run over ages from the first as a share of this.
    first: f64,
    length: f64,
    curves: Vec<[f64; 3]>,
}

impl Fitted {
    fn new(life: &KeptLife, degree: usize, width: usize) -> Self {
        let first = life.ages[0];
        let length = (life.ages[life.ages.len() - 1] - first).max(1e-9);
        let shares: Vec<f64> = life.ages.iter().map(|a| (a - first) / length).collect();
        let column = |j: usize| life.values.iter().skip(j).step_by(width).copied().collect::<Vec<f64>>();
        let degree = degree.min(life.ages.len() - 1);
        Self {
            end: life.end,
            failed: life.failed,
            first,
            length,
            curves: (0..width).map(|j| polynomial(&shares, &column(j), degree)).collect(),
        }
    }

    fn check(&self, width: usize) -> bool {
        (0.0..=1e15).contains(&self.end)
            && (0.0..=1e15).contains(&self.first)
            && (1e-9..=1e15).contains(&self.length)
            && self.curves.len() == width
            && self.curves.iter().flatten().all(|c| c.abs() <= 1e9)
    }

    fn at(&self, age: f64, j: usize) -> f64 {
        let u = ((age - self.first) / self.length).clamp(-10.0, 10.0);
        let [a, b, c] = self.curves[j];
        (a + u * (b + u * c)).clamp(-LARGEST, LARGEST)
    }
}

/// Least squares of degree 0 to 2 over shares from 0 to 1, by orthogonal polynomials; coefficients of 1, u and u².
fn polynomial(u: &[f64], y: &[f64], degree: usize) -> [f64; 3] {
    let n = u.len() as f64;
    let mean = y.iter().sum::<f64>() / n;
    let centre = u.iter().sum::<f64>() / n;
    if degree == 0 {
        return [mean, 0.0, 0.0];
    }
    let first = |u: f64| u - centre;
    let squares: f64 = u.iter().map(|u| first(*u) * first(*u)).sum();
    if !squares.gt(&1e-12) {
        return [mean, 0.0, 0.0];
    }
    let slope = u.iter().zip(y).map(|(u, y)| first(*u) * y).sum::<f64>() / squares;
    let line = [mean - slope * centre, slope, 0.0];
    if degree == 1 {
        return line;
    }
    // u'² less its part along u' and 1.
    let (along, middle) = (
        u.iter().map(|u| first(*u) * first(*u) * first(*u)).sum::<f64>() / squares,
        squares / n,
    );
    let second = |u: f64| first(u) * (first(u) - along) - middle;
    let squares: f64 = u.iter().map(|u| second(*u) * second(*u)).sum();
    if !squares.gt(&1e-12) {
        return line;
    }
    let bend = u.iter().zip(y).map(|(u, y)| second(*u) * y).sum::<f64>() / squares;
    [
        line[0] + bend * (centre * centre + along * centre - middle),
        line[1] - bend * (2.0 * centre + along),
        bend,
    ]
}

/// The matches of a history at `age`, but for life `except`.
fn compared(lives: &[Fitted], recent: &RecentReadings, age: f64, width: usize, except: Option<usize>) -> Matches {
    let n = (recent.ages().len() * width) as f64;
    let alive = lives
        .iter()
        .enumerate()
        .filter(|(i, l)| Some(*i) != except && l.end >= age);
    alive
        .map(|(_, life)| {
            let squares: f64 = recent
                .rows(width)
                .map(|(t, row)| {
                    let residuals = row.iter().enumerate().map(|(j, z)| z - life.at(t, j));
                    residuals.map(|r| r * r).sum::<f64>()
                })
                .sum();
            Match {
                distance: (squares / n).sqrt(),
                remaining: life.end - age,
                failed: life.failed,
            }
        })
        .collect()
}

impl TrajectoryAlgorithm for ResidualSimilaritySettings {
    type Model = FittedLives;

    fn check(&self) -> Result<()> {
        self.weights.check()
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<FittedLives> {
        let logarithms = self.curve == LifeCurve::Exponential;
        if logarithms && let Some(v) = lives.iter().flat_map(|l| l.values).find(|v| !v.gt(&&0.0)) {
            return Err(Error::parameter(
                "curve",
                "a line or a parabola where readings are not above 0",
                format!("an exponential, and a reading of {v}"),
            ));
        }
        let (units, kept) = kept(lives, usize::MAX, logarithms)?;
        let width = units.width();
        let degree = if self.curve == LifeCurve::Parabola { 2 } else { 1 };
        let fitted: Vec<Fitted> = kept.iter().map(|l| Fitted::new(l, degree, width)).collect();
        let nearest = probes(&kept, self.weights.window, width)
            .map(|(i, age, recent)| matches::nearest(&compared(&fitted, &recent, age, width, Some(i))));
        Ok(FittedLives {
            kernel: Kernel::learn(&self.weights, nearest.collect())?,
            units,
            lives: fitted,
            window: self.weights.window,
        })
    }
}

impl TrajectoryModel for FittedLives {
    const KIND: &'static str = "rul.residual_similarity";
    type Record = Self;
    type Memory = RecentReadings;

    fn width(&self) -> usize {
        self.units.width()
    }

    fn new_memory(&self) -> RecentReadings {
        RecentReadings::new(self.window, self.width())
    }

    fn check_memory(&self, memory: &RecentReadings) -> Result<()> {
        memory.check(self.window, self.width())
    }

    fn observe(&self, memory: &mut RecentReadings, age: f64, row: &[f64]) {
        memory.take(age, self.units.row(row), self.window);
    }

    fn prognose(
        &self,
        memory: &RecentReadings,
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        if memory.ages().is_empty() {
            return Ok(Err(NoPrognosis::NoSimilarLife));
        }
        let mut matches = compared(&self.lives, memory, age, self.width(), None);
        Ok(self.kernel.prognose(&mut matches, unit))
    }

    fn to_record(&self) -> Self {
        self.clone()
    }

    fn from_record(r: Self, width: usize) -> Result<Self> {
        let sound = (2..=1000).contains(&r.window) && r.lives.len() >= 2 && r.lives.iter().all(|l| l.check(width));
        if !sound {
            return Err(Error::persistence(
                "residual similarity: expected lives with a finite curve a reading, got others",
            ));
        }
        Ok(Self {
            units: r.units.check(width)?,
            kernel: r.kernel.check()?,
            ..r
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_found_again() {
        let u: Vec<f64> = (0..12).map(|i| f64::from(i * i) / 121.0).collect();
        let y: Vec<f64> = u.iter().map(|u| 0.3 - 2.0 * u + 5.0 * u * u).collect();
        let found = polynomial(&u, &y, 2);
        assert!(
            found.iter().zip([0.3, -2.0, 5.0]).all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?}"
        );
        // A line through 0, 1, 5 at 0, 1/2, 1: slope 5, intercept -1/2.
        let line = polynomial(&[0.0, 0.5, 1.0], &[0.0, 1.0, 5.0], 1);
        assert!((line[0] + 0.5).abs() < 1e-14 && (line[1] - 5.0).abs() < 1e-14);
        assert_eq!(polynomial(&[0.0], &[3.0], 0), [3.0, 0.0, 0.0]);
    }
}
