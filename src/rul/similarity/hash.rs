//! Similarity of condensed histories.

use super::{
    library::{LARGEST, RecentReadings, Units, kept},
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

/// Numbers a reading's history is condensed to.
const N_OF_READING: usize = 4;

type Vector = SmallVec<[f64; 64]>;

/// How far two vectors are from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VectorDistance {
    /// The root of the mean squared difference. The default.
    #[default]
    Euclidean,
    /// The mean absolute difference.
    Absolute,
}

/// Remaining life as that of recorded machines whose condensed history was like this machine's: for fleets of so many lives
/// that whole histories are too much to keep or to compare.
///
/// # Method
///
/// The last [`window`](HashSimilarityParams::window) rows are condensed to a vector: of each reading in standard units the
/// mean, the least-squares slope, the bend (the mean of the outer thirds less that of the middle one) and the root mean
/// squared residual from the line, and the age unless [told otherwise](HashSimilarityParams::with_age). Each recorded life
/// is kept as its vectors at up to [`max_positions`](HashSimilarityParams::max_positions) rows, evenly chosen, all vectors
/// standardised once more. A machine is compared with the nearest vector of each life, which has the life's end less its age
/// left. Weights and distribution as in [`ResidualSimilarity`](super::ResidualSimilarity).
///
/// # Missing values, cost
///
/// A machine's memory is its last readings. A row costs `O(n_lives max_positions n_readings)`, a life takes
/// `4 max_positions n_readings` numbers.
///
/// # Source
///
/// The family of similarity models of Wang, Yu, Siegel and Lee, PHM 2008, doi
/// [10.1109/PHM.2008.4711421](https://doi.org/10.1109/PHM.2008.4711421), with features in place of histories.
///
/// # Example
///
/// ```
/// use linfa::ParamGuard;
/// use prognos::rul::similarity::{HashSimilarity, VectorDistance};
/// let params = HashSimilarity::params().window(20).distance(VectorDistance::Absolute).with_age(false);
/// assert!(params.check().is_ok());
/// ```
pub type HashSimilarity = TrajectoryRegressor<CondensedLives>;

/// Parameters of [`HashSimilarity`].
pub type HashSimilarityParams = TrajectoryRegressorParams<HashSimilaritySettings>;

/// How [`HashSimilarity`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct HashSimilaritySettings {
    weights: WeightSettings,
    distance: VectorDistance,
    with_age: bool,
    max_positions: usize,
}

impl Default for HashSimilaritySettings {
    fn default() -> Self {
        Self {
            weights: WeightSettings::default(),
            distance: VectorDistance::Euclidean,
            with_age: true,
            max_positions: 30,
        }
    }
}

weight_setters!(HashSimilarityParams);

impl HashSimilarityParams {
    /// How vectors are compared. Default [`VectorDistance::Euclidean`].
    #[must_use]
    pub fn distance(self, distance: VectorDistance) -> Self {
        self.with(|s| s.distance = distance)
    }

    /// Whether age is one of the numbers compared. Default yes.
    #[must_use]
    pub fn with_age(self, with_age: bool) -> Self {
        self.with(|s| s.with_age = with_age)
    }

    /// Vectors that are kept of a life. Default 30.
    #[must_use]
    pub fn max_positions(self, positions: usize) -> Self {
        self.with(|s| s.max_positions = positions)
    }
}

impl HashSimilarity {
    /// The last 30 readings and the age, against 30 vectors of each of the 20 nearest lives.
    pub fn params() -> HashSimilarityParams {
        HashSimilarityParams::default()
    }
}

/// The vector of a history at `age`, in standard units but not yet standardised.
fn condensed(recent: &RecentReadings, age: f64, lifetime: f64, width: usize, with_age: bool) -> Vector {
    let ages = recent.ages();
    let n = ages.len() as f64;
    let centre = ages.iter().map(|a| (a - age) / lifetime).sum::<f64>() / n;
    let time = |i: usize| (ages[i] - age) / lifetime - centre;
    let squares: f64 = (0..ages.len()).map(|i| time(i) * time(i)).sum();
    let third = ages.len() / 3;
    let mut out = Vector::new();
    for j in 0..width {
        let reading = || recent.rows(width).map(|(_, row)| row[j]);
        let mean = reading().sum::<f64>() / n;
        let slope = if squares > 1e-18 {
            reading().enumerate().map(|(i, z)| time(i) * (z - mean)).sum::<f64>() / squares
        } else {
            0.0
        };
        let residual: f64 = reading()
            .enumerate()
            .map(|(i, z)| {
                let r = z - mean - slope * time(i);
                r * r
            })
            .sum();
        let bend = if third > 0 {
            let outer = reading()
                .take(third)
                .chain(reading().skip(ages.len() - third))
                .sum::<f64>()
                / (2 * third) as f64;
            let middle = reading().skip(third).take(ages.len() - 2 * third);
            outer - middle.sum::<f64>() / (ages.len() - 2 * third) as f64
        } else {
            0.0
        };
        out.extend([mean, slope, bend, (residual / n).sqrt()]);
    }
    if with_age {
        out.push(age / lifetime);
    }
    out
}

/// The fitted half of [`HashSimilarity`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CondensedLives {
    units: Units,
    /// Mean and deviation of each number of a vector.
    mean: Vec<f64>,
    sd: Vec<f64>,
    lives: Vec<Condensed>,
    kernel: Kernel,
    window: usize,
    lifetime: f64,
    distance: VectorDistance,
    with_age: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Condensed {
    end: f64,
    failed: bool,
    ages: Vec<f64>,
    /// One behind the other, standardised.
    vectors: Vec<f64>,
}

impl Condensed {
    fn check(&self, length: usize) -> bool {
        !self.ages.is_empty()
            && self.vectors.len() == self.ages.len() * length
            && self.vectors.iter().all(|v| v.abs() <= LARGEST)
            && (0.0..=1e15).contains(&self.end)
            && self.ages.iter().all(|a| (0.0..=self.end).contains(a))
    }
}

impl VectorDistance {
    fn between(self, a: &[f64], b: &[f64]) -> f64 {
        let differences = a.iter().zip(b).map(|(a, b)| a - b);
        let n = a.len() as f64;
        match self {
            Self::Euclidean => (differences.map(|d| d * d).sum::<f64>() / n).sqrt(),
            Self::Absolute => differences.map(f64::abs).sum::<f64>() / n,
        }
    }
}

/// The nearest vector of each life but `except`.
fn compared(lives: &[Condensed], vector: &[f64], distance: VectorDistance, except: Option<usize>) -> Matches {
    let others = lives.iter().enumerate().filter(|(i, _)| Some(*i) != except);
    others
        .filter_map(|(_, life)| {
            let vectors = life.vectors.chunks_exact(vector.len()).zip(&life.ages);
            let matches = vectors.map(|(v, age)| Match {
                distance: distance.between(vector, v),
                remaining: life.end - age,
                failed: life.failed,
            });
            matches.min_by(|a, b| a.distance.total_cmp(&b.distance))
        })
        .collect()
}

fn standardised(vector: &mut [f64], mean: &[f64], sd: &[f64]) {
    let scales = mean.iter().zip(sd);
    vector
        .iter_mut()
        .zip(scales)
        .for_each(|(v, (m, s))| *v = ((*v - m) / s).clamp(-LARGEST, LARGEST));
}

impl TrajectoryAlgorithm for HashSimilaritySettings {
    type Model = CondensedLives;

    fn check(&self) -> Result<()> {
        self.weights.check()?;
        if !(1..=10_000).contains(&self.max_positions) {
            return Err(Error::parameter(
                "max_positions",
                "from 1 to 10,000",
                self.max_positions,
            ));
        }
        Ok(())
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<CondensedLives> {
        let (units, kept) = kept(lives, usize::MAX, false)?;
        let width = units.width();
        let length = N_OF_READING * width + usize::from(self.with_age);
        let lifetime = kept.iter().map(|l| l.end).fold(0.0, f64::max).max(1e-9);
        let mut lives: Vec<Condensed> = kept
            .iter()
            .map(|life| {
                let n = life.ages.len();
                let positions = n.min(self.max_positions);
                let mut recent = RecentReadings::new(self.weights.window, width);
                let (mut ages, mut vectors) = (Vec::new(), Vec::new());
                for (i, (age, row)) in life.ages.iter().zip(life.values.chunks_exact(width)).enumerate() {
                    recent.take(*age, row.iter().copied(), self.weights.window);
                    // Position k of `positions` is row ceil((k + 1) n / positions): the last row is one.
                    if (i + 1) * positions / n > i * positions / n {
                        ages.push(*age);
                        vectors.extend(condensed(&recent, *age, lifetime, width, self.with_age));
                    }
                }
                Condensed {
                    end: life.end,
                    failed: life.failed,
                    ages,
                    vectors,
                }
            })
            .collect();
        let (mut mean, mut sd) = (vec![0.0; length], vec![1.0; length]);
        for j in 0..length {
            let column = || lives.iter().flat_map(|l| l.vectors.iter().skip(j).step_by(length));
            let n = column().count() as f64;
            mean[j] = column().sum::<f64>() / n;
            // Numbers that are all the same tell nothing, but for a machine in which they are not.
            sd[j] = (column().map(|v| (v - mean[j]) * (v - mean[j])).sum::<f64>() / n)
                .sqrt()
                .max(1e-6);
        }
        for life in &mut lives {
            life.vectors
                .chunks_exact_mut(length)
                .for_each(|v| standardised(v, &mean, &sd));
        }
        let mut nearest = Vec::new();
        let n_probes = lives.len().min(64);
        for k in 0..n_probes {
            let i = k * (lives.len() - 1) / (n_probes - 1).max(1);
            let vectors: Vec<&[f64]> = lives[i].vectors.chunks_exact(length).collect();
            for q in 1..=3 {
                if let Some(vector) = vectors.get((q * vectors.len()).div_ceil(4) - 1) {
                    nearest.push(matches::nearest(&compared(&lives, vector, self.distance, Some(i))));
                }
            }
        }
        Ok(CondensedLives {
            kernel: Kernel::learn(&self.weights, nearest)?,
            units,
            mean,
            sd,
            lives,
            window: self.weights.window,
            lifetime,
            distance: self.distance,
            with_age: self.with_age,
        })
    }
}

impl TrajectoryModel for CondensedLives {
    const KIND: &'static str = "rul.hash_similarity";
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
        let mut vector = condensed(memory, age, self.lifetime, self.width(), self.with_age);
        standardised(&mut vector, &self.mean, &self.sd);
        let mut matches = compared(&self.lives, &vector, self.distance, None);
        Ok(self.kernel.prognose(&mut matches, unit))
    }

    fn to_record(&self) -> Self {
        self.clone()
    }

    fn from_record(r: Self, width: usize) -> Result<Self> {
        let length = (N_OF_READING * width).saturating_add(usize::from(r.with_age));
        let sound = (2..=1000).contains(&r.window)
            && r.lives.len() >= 2
            && r.lives.iter().all(|l| l.check(length))
            && r.mean.len() == length
            && r.sd.len() == length
            && r.mean.iter().all(|m| m.abs() <= 1e50)
            && r.sd.iter().all(|s| (1e-6..=1e50).contains(s))
            && (1e-9..=1e15).contains(&r.lifetime);
        if !sound {
            return Err(Error::persistence(
                "hash similarity: expected lives with a vector a position, finite units above 0, got others",
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
    fn a_history_condensed_by_hand() {
        let mut recent = RecentReadings::new(6, 1);
        for (t, z) in [(4.0, 3.0), (5.0, 1.0), (6.0, 1.0), (7.0, 1.0), (8.0, 1.0), (9.0, 3.0)] {
            recent.take(t, [z].into_iter(), 6);
        }
        // Symmetric: no slope; outer thirds mean 2, the middle 1; residuals from 5/3: 16/9 twice, 4/9 four times.
        let v = condensed(&recent, 9.0, 1.0, 1, true);
        let spread = (48.0f64 / 9.0 / 6.0).sqrt();
        let expected = [5.0 / 3.0, 0.0, 1.0, spread, 9.0];
        assert!(v.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{v:?}");
        assert_eq!(VectorDistance::Absolute.between(&[1.0, 2.0], &[2.0, 5.0]), 2.0);
        assert_eq!(VectorDistance::Euclidean.between(&[1.0, 2.0], &[2.0, 9.0]), 5.0);
    }
}
