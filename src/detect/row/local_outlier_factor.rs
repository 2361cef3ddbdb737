//! Local outlier factor: how much emptier a row's surroundings are than those of its neighbours.

use crate::detect::{
    row::neighbour_search::{Neighbour, NeighbourSearch, Neighbours, check_enough, check_sizes, sample_rows},
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::check_numbers,
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// Added to a mean reachability distance, so that copies of one row have a density.
const LEAST_DISTANCE: f64 = 1e-10;
/// The highest density that is read from a file, that of copies, with room for rounding.
const HIGHEST_DENSITY: f64 = 1.001 / LEAST_DISTANCE;
/// The largest distance that is read from a file.
const LARGEST_DISTANCE: f64 = 1e12;

/// Anomaly detector by the local outlier factor: how much emptier a row's surroundings are than those of its nearest
/// training rows.
///
/// For machines with several ways of running whose rows lie tight in one and wide in another: each is judged by its own
/// measure, where [`NearestNeighbours`](crate::detect::NearestNeighbours) takes one distance for all. Fitted on healthy rows, and
/// used on new ones ("novelty").
///
/// # Method
///
/// Features are centred and scaled by their mean and standard deviation over the training rows (divisor `n - 1`) to `z`.
/// The reference is the training rows; of more than `max_reference_rows`, a sample of that size without replacement, drawn
/// by the seed. With the `k = n_neighbors` nearest reference rows `o` of a row (of a reference row: other than itself) and
/// `d_k(o)`, the distance of a reference row to its own `k`-th nearest,
///
/// ```text
/// reach(z, o) = max(d(z, o), d_k(o))         density(z) = 1 / (mean of reach(z, o) + 1e-10)
/// score       = mean of density(o) / density(z)
/// ```
///
/// which is near 1 among the training rows and large in empty space. The constant lets copies of one row have a density;
/// among more than `k` copies it is 10¹⁰, so that a row beside them scores very high; where held-out rows do, as with
/// sensors of coarse steps, so is the threshold, and another detector is the better choice. The threshold is the quantile
/// `1 - false_alarm_rate` of held-out scores; see [the module](crate::detect#thresholds). The contribution of feature `j`
/// is the mean density of the neighbours times the mean of `reach(z, o) (z_j - o_j)² / d(z, o)²`, evenly dealt where
/// the distance is zero; contributions add up to the score and none is negative.
///
/// Columns constant over the training rows take no part in the score and have a contribution of zero.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`; outside of any fold there must be more usable rows than neighbours. Rows with a
/// NaN or infinite value are left out when fitting and [`Unusable`](crate::model::Assessment::Unusable) when scoring; other
/// rows always score finite. A row costs one exact search by a k-d tree and allocates nothing; fitting costs one such search
/// a reference row, once and once a fold. The model holds its reference: `8 n (n_features + 2)` bytes.
///
/// # Source
///
/// Breunig, Kriegel, Ng and Sander, "LOF: identifying density-based local outliers", SIGMOD 2000, doi
/// [10.1145/335191.335388](https://doi.org/10.1145/335191.335388).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::LocalOutlierFactor,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// // Idle, at rest but for a hundredth; at work, spread over units.
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let spread = |i: usize| if i % 2 == 0 { 0.01 } else { 1.0 };
/// let value = |(i, j): (usize, usize)| (i % 2) as f64 * 20.0 + spread(i) * (i as f64 * [0.7, 1.3][j]).sin();
/// let table = FeatureTable::new(schema.clone(), Array2::from_shape_fn((400, 2), value), vec![0; 400])?;
///
/// let detector = LocalOutlierFactor::params().fit(&DatasetBase::new(table, ()))?;
///
/// // Half a unit off: unusual when idle, usual at work.
/// let score = |values: [f64; 2]| detector.assess(&(), FeatureView::new(&schema, &values)?).map(|a| a.ready());
/// assert!(score([0.5, 0.5])?.unwrap().is_anomalous());
/// assert!(!score([20.5, 20.5])?.unwrap().is_anomalous());
/// # Ok::<(), prognos::Error>(())
/// ```
pub type LocalOutlierFactor = RowDetector<LocalDensity>;

/// Parameters of a [`LocalOutlierFactor`] detector.
pub type LocalOutlierFactorParams = RowDetectorParams<LocalOutlierFactorSettings>;

/// How a [`LocalOutlierFactor`] detector is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalOutlierFactorSettings {
    n_neighbors: usize,
    max_reference_rows: usize,
}

impl Default for LocalOutlierFactorSettings {
    fn default() -> Self {
        Self {
            n_neighbors: 20,
            max_reference_rows: 10_000,
        }
    }
}

impl LocalOutlierFactorParams {
    /// Number of nearest rows, 1 to 128. Default 20.
    #[must_use]
    pub fn n_neighbors(self, n: usize) -> Self {
        self.with(|s| s.n_neighbors = n)
    }

    /// The most training rows that are kept, more than `n_neighbors`, at most 1,000,000; of more, a sample by the seed.
    /// Default 10,000.
    #[must_use]
    pub fn max_reference_rows(self, n: usize) -> Self {
        self.with(|s| s.max_reference_rows = n)
    }
}

impl LocalOutlierFactor {
    /// Default parameters: 20 neighbours among 10,000 rows, a false alarm rate of 0.01, five folds.
    pub fn params() -> LocalOutlierFactorParams {
        LocalOutlierFactorParams::default()
    }

    /// Number of training rows that are kept.
    pub fn n_reference_rows(&self) -> usize {
        self.scorer.search.len()
    }
}

impl RowAlgorithm for LocalOutlierFactorSettings {
    type Scorer = LocalDensity;

    fn check(&self) -> Result<()> {
        check_sizes(self.n_neighbors, self.max_reference_rows)
    }

    /// # Errors
    /// `InsufficientData` unless there are more rows than neighbours.
    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<LocalDensity> {
        check_enough(self.n_neighbors, rows.len())?;
        let reference = sample_rows(rows, self.max_reference_rows, seed);
        let reference = Rows::new(&reference, rows.width());
        let search = NeighbourSearch::new(reference);
        let others = |(i, z): (usize, &[f64])| search.nearest(z, self.n_neighbors, Some(i as u32));
        // Searched twice rather than held: k neighbours of every row would be several times the model.
        let farthest = reference.iter().enumerate().map(others);
        let k_distance: Vec<f64> = farthest
            .map(|near| near.last().map_or(0.0, Neighbour::distance))
            .collect();
        let reach = reference.iter().enumerate().map(others);
        let density = reach.map(|near| 1.0 / mean_reach(&near, &k_distance)).collect();
        Ok(LocalDensity {
            n_neighbors: self.n_neighbors,
            search,
            k_distance,
            density,
        })
    }
}

/// `max(d(z, o), d_k(o))`.
#[inline]
fn reach(neighbour: &Neighbour, k_distance: &[f64]) -> f64 {
    let own = k_distance.get(neighbour.row as usize).copied().unwrap_or(0.0);
    neighbour.distance().max(own)
}

/// The mean reachability distance, and what keeps it from zero.
#[inline]
fn mean_reach(near: &[Neighbour], k_distance: &[f64]) -> f64 {
    let sum: f64 = near.iter().map(|o| reach(o, k_distance)).sum();
    sum / near.len().max(1) as f64 + LEAST_DISTANCE
}

/// The fitted half of a [`LocalOutlierFactor`] detector: the reference rows and their densities.
#[derive(Clone, Debug)]
pub struct LocalDensity {
    n_neighbors: usize,
    search: NeighbourSearch,
    /// The distance of each reference row to the farthest of its own neighbours.
    k_distance: Vec<f64>,
    density: Vec<f64>,
}

impl LocalDensity {
    /// The neighbours of `z` and the mean of their densities.
    #[inline]
    fn surroundings(&self, z: &[f64]) -> (Neighbours, f64) {
        let near = self.search.nearest(z, self.n_neighbors, None);
        let density = |o: &Neighbour| self.density.get(o.row as usize).copied().unwrap_or(0.0);
        let mean = near.iter().map(density).sum::<f64>() / near.len().max(1) as f64;
        (near, mean)
    }
}

impl RowScorer for LocalDensity {
    const KIND: &'static str = "detect.local_outlier_factor";
    type Record = LocalOutlierFactorRecord;

    fn width(&self) -> usize {
        self.search.width()
    }

    fn score(&self, z: &[f64]) -> f64 {
        let (near, density) = self.surroundings(z);
        density * mean_reach(&near, &self.k_distance)
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        let (near, density) = self.surroundings(z);
        let part = density / near.len().max(1) as f64;
        for o in &near {
            let reach = reach(o, &self.k_distance) + LEAST_DISTANCE;
            self.search.add_shares(z, o, part * reach, out);
        }
    }

    fn to_record(&self) -> LocalOutlierFactorRecord {
        LocalOutlierFactorRecord {
            n_neighbors: self.n_neighbors as u32,
            reference: self.search.to_rows(),
            k_distance: self.k_distance.clone(),
            density: self.density.clone(),
        }
    }

    fn from_record(record: LocalOutlierFactorRecord, width: usize) -> Result<Self> {
        let n_neighbors = record.n_neighbors as usize;
        check_sizes(n_neighbors, n_neighbors + 1).map_err(|e| Error::persistence("n_neighbors").with_source(e))?;
        let search = NeighbourSearch::of_record("reference", &record.reference, width, n_neighbors + 1)?;
        let n = search.len();
        check_numbers("k_distance", &record.k_distance, n, |d| {
            (0.0..=LARGEST_DISTANCE).contains(&d)
        })?;
        check_numbers("density", &record.density, n, |d| d > 0.0 && d <= HIGHEST_DENSITY)?;
        Ok(Self {
            n_neighbors,
            search,
            k_distance: record.k_distance,
            density: record.density,
        })
    }
}

/// What is written of a [`LocalDensity`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalOutlierFactorRecord {
    n_neighbors: u32,
    reference: Vec<f64>,
    k_distance: Vec<f64>,
    density: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn fitted(n_neighbors: usize, values: &[f64], width: usize) -> Result<LocalDensity> {
        let settings = LocalOutlierFactorSettings {
            n_neighbors,
            ..Default::default()
        };
        settings.check()?;
        settings.fit(Rows::new(values, width), Seed(0))
    }

    #[test]
    fn factor_by_hand() {
        // One neighbour each: 0 and 1 have each other at 1, 3 has 1 at 2. Reach is 1, 1 and max(2, 1) = 2.
        let s = fitted(1, &[0.0, 1.0, 3.0], 1).unwrap();
        assert_eq!(s.k_distance, [1.0, 1.0, 2.0]);
        for (got, expected) in s.density.iter().zip([1.0, 1.0, 0.5]) {
            assert!((got - expected).abs() < 1e-9);
        }
        // 7 has 3 at 4, whose density is 1/2: 4 / 2. 0.5 has 0 (of equal ones the first) at 0.5: reach 1, factor 1.
        for (z, expected) in [(7.0, 2.0), (0.5, 1.0)] {
            assert!((s.score(&[z]) - expected).abs() < 1e-9, "{z}");
        }
    }

    #[test]
    fn an_even_line_has_factor_one_inside_and_copies_do_no_harm() {
        let line: Vec<f64> = (0..200).map(f64::from).collect();
        let s = fitted(4, &line, 1).unwrap();
        assert!((s.score(&[100.0]) - 1.0).abs() < 0.2, "{}", s.score(&[100.0]));
        assert!(s.score(&[300.0]) > 20.0);
        let copies = fitted(4, &[0.0; 20], 1).unwrap();
        assert_eq!((copies.score(&[0.0]), copies.density[0]), (1.0, 1.0 / LEAST_DISTANCE));
        assert!(copies.score(&[1e6]).is_finite() && copies.score(&[1e6]) > 1e15);
    }

    #[test]
    fn contributions_add_up_where_the_reach_is_a_neighbours_own() {
        let values: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 101) / 30.0).collect();
        let s = fitted(5, &values, 3).unwrap();
        for z in [[0.1, 3.0, 1.0], [9.0, 0.0, 0.0], [values[0], values[1], values[2]]] {
            let mut shares = [0.0; 3];
            s.contributions_into(&z, &mut shares);
            let (sum, score) = (shares.iter().sum::<f64>(), s.score(&z));
            assert!(
                (sum / score - 1.0).abs() < 1e-12 && shares.iter().all(|c| *c >= 0.0),
                "{sum} {score}"
            );
        }
    }

    #[test]
    fn wrong_settings_and_too_few_rows_are_named() {
        let e = fitted(0, &[0.0; 9], 1).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InvalidParameter && e.to_string().contains("n_neighbors"),
            "{e}"
        );
        let e = fitted(9, &[0.0; 9], 1).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InsufficientData && e.to_string().contains("n_neighbors = 9"),
            "{e}"
        );
    }

    #[test]
    fn broken_records_are_refused() {
        let values: Vec<f64> = (0..20).map(f64::from).collect();
        let good = fitted(3, &values, 2).unwrap().to_record();
        assert_eq!(LocalDensity::from_record(good.clone(), 2).unwrap().to_record(), good);
        type Break = fn(&mut LocalOutlierFactorRecord);
        let breaks: [(&str, Break); 8] = [
            ("no neighbours", |r| r.n_neighbors = 0),
            ("more neighbours than rows", |r| r.n_neighbors = 10),
            ("half a row", |r| r.reference.truncate(19)),
            ("distance negative", |r| r.k_distance[0] = -1.0),
            ("distance NaN", |r| r.k_distance[0] = f64::NAN),
            ("distances short", |r| r.k_distance.truncate(9)),
            ("density zero", |r| r.density[0] = 0.0),
            ("density too high", |r| r.density[0] = 1e11),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = LocalDensity::from_record(r, 2).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }
}
