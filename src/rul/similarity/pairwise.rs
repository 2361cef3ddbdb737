//! Similarity of histories.

use super::{
    dtw::{self, MAX_BAND},
    library::{KeptLife, RecentReadings, Units, kept, probes},
    matches::{self, Kernel, Match, Matches, WeightSettings, weight_setters},
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams},
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// How far two stretches of history are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HistoryDistance {
    /// The root of the mean squared difference of standard units.
    Difference,
    /// `1 - r`, Pearson's correlation averaged over readings: alike in shape, whatever level and scale. A stretch without
    /// variation correlates with nothing.
    Correlation,
    /// As the difference, after dynamic time warping: rows may be paired with others up to `band` rows earlier or later, at
    /// most 100.
    Warped {
        /// Rows.
        band: usize,
    },
}

/// Where along a recorded life a machine's history is laid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Alignment {
    /// At the same age. The default.
    #[default]
    EqualAge,
    /// Where it fits best, at any kept row of the life that has as much history before it.
    BestFit,
}

/// Remaining life as that of recorded machines whose history was like this machine's last readings.
///
/// # Method
///
/// Readings are put in standard units over all recorded rows. The last [`window`](PairwiseSimilarityParams::window) readings
/// of a machine are laid over each recorded life, [at equal age or where they fit best](Alignment), the life interpolated at
/// the instants of the readings, and compared by their [distance](HistoryDistance). A life that matches at its age `p`
/// has `end - p` left. Weights and distribution as in [`ResidualSimilarity`](super::ResidualSimilarity).
///
/// With a single reading there is no history: [`NoPrognosis::NoSimilarLife`]; likewise before three for correlations.
///
/// # Missing values, cost
///
/// A machine's memory is its last readings; lives are thinned evenly to
/// [`max_rows`](PairwiseSimilarityParams::max_rows). A row costs `O(n_lives window n_readings)`, times `band` for warping, times
/// `max_rows` for the best fit.
///
/// # Source
///
/// Wang, Yu, Siegel and Lee, PHM 2008, doi [10.1109/PHM.2008.4711421](https://doi.org/10.1109/PHM.2008.4711421); warping:
/// Sakoe and Chiba 1978, doi [10.1109/TASSP.1978.1163055](https://doi.org/10.1109/TASSP.1978.1163055).
///
/// # Example
///
/// ```
/// use linfa::ParamGuard;
/// use prognos::rul::similarity::{Alignment, HistoryDistance, PairwiseSimilarity};
/// let params = PairwiseSimilarity::params().window(50).distance(HistoryDistance::Warped { band: 5 }).align(Alignment::BestFit);
/// assert!(params.check().is_ok());
/// assert!(PairwiseSimilarity::params().distance(HistoryDistance::Warped { band: 1000 }).check().is_err());
/// ```
pub type PairwiseSimilarity = TrajectoryRegressor<KeptHistories>;

/// Parameters of [`PairwiseSimilarity`].
pub type PairwiseSimilarityParams = TrajectoryRegressorParams<PairwiseSimilaritySettings>;

/// How [`PairwiseSimilarity`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct PairwiseSimilaritySettings {
    weights: WeightSettings,
    distance: HistoryDistance,
    alignment: Alignment,
    max_rows: usize,
}

impl Default for PairwiseSimilaritySettings {
    fn default() -> Self {
        Self {
            weights: WeightSettings::default(),
            distance: HistoryDistance::Warped { band: 3 },
            alignment: Alignment::EqualAge,
            max_rows: 256,
        }
    }
}

weight_setters!(PairwiseSimilarityParams);

impl PairwiseSimilarityParams {
    /// How histories are compared. Default warped by up to 3 rows.
    #[must_use]
    pub fn distance(self, distance: HistoryDistance) -> Self {
        self.with(|s| s.distance = distance)
    }

    /// Where along a life a history is laid. Default at equal age.
    #[must_use]
    pub fn align(self, alignment: Alignment) -> Self {
        self.with(|s| s.alignment = alignment)
    }

    /// Rows that are kept of a recorded life, evenly chosen. Default 256.
    #[must_use]
    pub fn max_rows(self, rows: usize) -> Self {
        self.with(|s| s.max_rows = rows)
    }
}

impl PairwiseSimilarity {
    /// The last 30 readings, warped by up to 3 rows, at equal age, against the 20 nearest lives.
    pub fn params() -> PairwiseSimilarityParams {
        PairwiseSimilarityParams::default()
    }
}

impl HistoryDistance {
    fn needed(self) -> usize {
        if self == Self::Correlation { 3 } else { 2 }
    }

    fn between(self, a: &[f64], b: &[f64], width: usize) -> f64 {
        let numbers = a.len() as f64;
        match self {
            Self::Difference => {
                let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
                (squares / numbers).sqrt()
            }
            Self::Warped { band } => (dtw::banded(a, b, width, band) / numbers).sqrt(),
            Self::Correlation => {
                let of = |j: usize| a.iter().skip(j).step_by(width).zip(b.iter().skip(j).step_by(width));
                1.0 - (0..width).map(|j| correlation(of(j))).sum::<f64>() / width as f64
            }
        }
    }
}

fn correlation<'a>(pairs: impl Iterator<Item = (&'a f64, &'a f64)> + Clone) -> f64 {
    let n = pairs.clone().count() as f64;
    let (sum_a, sum_b) = pairs.clone().fold((0.0, 0.0), |(x, y), (a, b)| (x + a, y + b));
    let (mean_a, mean_b) = (sum_a / n, sum_b / n);
    let (mut aa, mut ab, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        aa += (a - mean_a) * (a - mean_a);
        ab += (a - mean_a) * (b - mean_b);
        bb += (b - mean_b) * (b - mean_b);
    }
    // Less variation than rounding makes is none.
    if aa > 1e-20 && bb > 1e-20 {
        (ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// The fitted half of [`PairwiseSimilarity`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptHistories {
    units: Units,
    lives: Vec<KeptLife>,
    kernel: Kernel,
    window: usize,
    distance: HistoryDistance,
    alignment: Alignment,
}

/// How histories are compared.
#[derive(Clone, Copy)]
struct Comparison {
    distance: HistoryDistance,
    alignment: Alignment,
    width: usize,
}

impl Comparison {
    /// The matches of a history at `age`, but for life `except`.
    fn matches(&self, lives: &[KeptLife], recent: &RecentReadings, age: f64, except: Option<usize>) -> Matches {
        let own: SmallVec<[f64; 256]> = recent
            .rows(self.width)
            .flat_map(|(_, row)| row.iter().copied())
            .collect();
        let span = age - recent.ages().first().copied().unwrap_or(age);
        let mut laid: SmallVec<[f64; 256]> = SmallVec::with_capacity(own.len());
        let mut at = |life: &KeptLife, position: f64| {
            laid.clear();
            for t in recent.ages() {
                laid.extend((0..self.width).map(|j| life.at(position - (age - t), j, self.width)));
            }
            Match {
                distance: self.distance.between(&own, &laid, self.width),
                remaining: life.end - position,
                failed: life.failed,
            }
        };
        let others = lives
            .iter()
            .enumerate()
            .filter(|(i, _)| Some(*i) != except)
            .map(|(_, l)| l);
        match self.alignment {
            Alignment::EqualAge => others.filter(|l| l.end >= age).map(|l| at(l, age)).collect(),
            Alignment::BestFit => others
                .filter_map(|l| {
                    let places = l.ages.iter().filter(|p| **p - span >= l.ages[0]);
                    places
                        .map(|p| at(l, *p))
                        .min_by(|a, b| a.distance.total_cmp(&b.distance))
                })
                .collect(),
        }
    }
}

impl TrajectoryAlgorithm for PairwiseSimilaritySettings {
    type Model = KeptHistories;

    fn check(&self) -> Result<()> {
        self.weights.check()?;
        if let HistoryDistance::Warped { band } = self.distance
            && band > MAX_BAND
        {
            return Err(Error::parameter("distance", "a band of at most 100 rows", band));
        }
        if !(2..=10_000).contains(&self.max_rows) {
            return Err(Error::parameter("max_rows", "from 2 to 10,000", self.max_rows));
        }
        Ok(())
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<KeptHistories> {
        let (units, lives) = kept(lives, self.max_rows, false)?;
        let comparison = Comparison {
            distance: self.distance,
            alignment: self.alignment,
            width: units.width(),
        };
        let nearest = probes(&lives, self.weights.window, units.width()).map(|(i, age, recent)| {
            if recent.ages().len() < self.distance.needed() {
                return f64::INFINITY;
            }
            matches::nearest(&comparison.matches(&lives, &recent, age, Some(i)))
        });
        Ok(KeptHistories {
            kernel: Kernel::learn(&self.weights, nearest.collect())?,
            units,
            lives,
            window: self.weights.window,
            distance: self.distance,
            alignment: self.alignment,
        })
    }
}

impl TrajectoryModel for KeptHistories {
    const KIND: &'static str = "rul.pairwise_similarity";
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
        if memory.ages().len() < self.distance.needed() {
            return Ok(Err(NoPrognosis::NoSimilarLife));
        }
        let comparison = Comparison {
            distance: self.distance,
            alignment: self.alignment,
            width: self.width(),
        };
        let mut matches = comparison.matches(&self.lives, memory, age, None);
        Ok(self.kernel.prognose(&mut matches, unit))
    }

    fn to_record(&self) -> Self {
        self.clone()
    }

    fn from_record(r: Self, width: usize) -> Result<Self> {
        r.lives.iter().try_for_each(|l| l.check(width))?;
        let band_fits = match r.distance {
            HistoryDistance::Warped { band } => band <= MAX_BAND,
            _ => true,
        };
        if !((2..=1000).contains(&r.window) && r.lives.len() >= 2 && band_fits) {
            return Err(Error::persistence(
                "pairwise similarity: expected at least 2 lives, a window of 2 to 1,000 rows, a band of at most 100",
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
    fn distances_by_hand() {
        let (a, b) = ([0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0]);
        // Two readings a row: columns 0, 2 against 1, 5 and 1, 3 against 3, 7: differences 1, 2, 3, 4.
        assert!((HistoryDistance::Difference.between(&a, &b, 2) - (30.0f64 / 4.0).sqrt()).abs() < 1e-15);
        assert!(HistoryDistance::Correlation.between(&a, &b, 1).abs() < 1e-15);
        let flat = [2.0; 4];
        assert_eq!(HistoryDistance::Correlation.between(&a, &flat, 1), 1.0);
        let down = [3.0, 2.0, 1.0, 0.0];
        assert!((HistoryDistance::Correlation.between(&a, &down, 1) - 2.0).abs() < 1e-15);
        let unwarped = HistoryDistance::Warped { band: 0 }.between(&a, &b, 2);
        assert!((unwarped - HistoryDistance::Difference.between(&a, &b, 2)).abs() < 1e-15);
    }
}
