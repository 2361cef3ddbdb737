//! Distance to the nearest training rows.

use crate::detect::{
    row::neighbour_search::{Neighbour, NeighbourSearch, check_enough, check_sizes, sample_rows},
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// What is made of the distances to the nearest rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NeighbourDistance {
    /// The largest, to the `n_neighbors`-th nearest row (Ramaswamy et al.).
    Largest,
    /// Their mean (Angiulli and Pizzuti take their sum).
    Mean,
    /// Their median; of an even number, the mean of the middle two.
    Median,
}

impl NeighbourDistance {
    /// The part of the score that each of `near` has, with that neighbour.
    fn parts(self, near: &[Neighbour]) -> impl Iterator<Item = (f64, &Neighbour)> {
        let k = near.len();
        let (from, to) = match self {
            Self::Largest => (k.saturating_sub(1), k),
            Self::Mean => (0, k),
            Self::Median => (k.saturating_sub(1) / 2, k / 2 + 1),
        };
        let counted = near.get(from..to).unwrap_or_default();
        let n = counted.len().max(1) as f64;
        counted
            .iter()
            .map(move |neighbour| (neighbour.distance() / n, neighbour))
    }
}

/// Anomaly detector by the distance to the nearest training rows.
///
/// For healthy data of any shape: several ways of running, bent clouds, holes; no form is assumed. Where ways of running
/// differ in how tightly their rows lie, [`LocalOutlierFactor`](crate::detect::LocalOutlierFactor) judges each by its own
/// measure. Fitted on healthy rows.
///
/// # Method
///
/// Features are centred and scaled by their mean and standard deviation over the training rows (divisor `n - 1`) to `z`.
/// The reference is the training rows; of more than `max_reference_rows`, a sample of that size without replacement, drawn
/// by the seed. With the Euclidean distances `d_1 <= ... <= d_k` from `z` to its `k = n_neighbors` nearest reference rows,
///
/// ```text
/// score = d_k   or   (d_1 + ... + d_k) / k   or   their median
/// ```
///
/// as [`NeighbourDistance`] says. The threshold is the quantile `1 - false_alarm_rate` of held-out scores; see
/// [the module](crate::detect#thresholds). The contribution of feature `j` is its share of the squared distance, scaled to
/// the distance: `(z_j - r_j)² / d` for the reference row `r` at the distance `d`, and where several distances count, the
/// mean of that; contributions add up to the score and none is negative.
///
/// Columns constant over the training rows take no part in the score and have a contribution of zero.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`; outside of any fold there must be more usable rows than neighbours. Rows with a
/// NaN or infinite value are left out when fitting and [`Unusable`](crate::model::Assessment::Unusable) when scoring; other
/// rows always score finite. The search is exact, by a k-d tree: a row costs of the order of `log n` distances with few
/// features and up to `n` with many that are unrelated, and allocates nothing. Fitting costs the tree, `O(n log n)`, once
/// and once a fold, and the score of each row once. The model holds its reference: `8 n n_features` bytes.
///
/// # Sources
///
/// Ramaswamy, Rastogi and Shim, "Efficient algorithms for mining outliers from large data sets", SIGMOD 2000, doi
/// [10.1145/342009.335437](https://doi.org/10.1145/342009.335437); Angiulli and Pizzuti, "Fast outlier detection in high
/// dimensional spaces", PKDD 2002, doi [10.1007/3-540-45681-3_2](https://doi.org/10.1007/3-540-45681-3_2).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::NearestNeighbours,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// // A healthy machine runs on a circle; its middle is as unusual as what lies outside.
/// let schema = FeatureSchema::of_channels(&[Channel::new("x", "mm"), Channel::new("y", "mm")])?;
/// let circle = |(i, j): (usize, usize)| (i as f64 * 2.4 + j as f64 * 1.5708).sin();
/// let values = Array2::from_shape_fn((300, 2), circle);
/// let table = FeatureTable::new(schema.clone(), values, (0..300).map(|i| i % 10).collect())?;
///
/// let detector = NearestNeighbours::params().n_neighbors(3).fit(&DatasetBase::new(table, ()))?;
///
/// let score = |values: [f64; 2]| detector.assess(&(), FeatureView::new(&schema, &values)?).map(|a| a.ready());
/// assert!(!score([0.6, 0.8])?.unwrap().is_anomalous());
/// assert!(score([0.0, 0.0])?.unwrap().is_anomalous());
/// assert!(score([1.0, 1.0])?.unwrap().is_anomalous());
/// # Ok::<(), prognos::Error>(())
/// ```
pub type NearestNeighbours = RowDetector<NeighbourScorer>;

/// Parameters of a [`NearestNeighbours`] detector.
pub type NearestNeighboursParams = RowDetectorParams<NearestNeighboursSettings>;

/// How a [`NearestNeighbours`] detector is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestNeighboursSettings {
    n_neighbors: usize,
    distance: NeighbourDistance,
    max_reference_rows: usize,
}

impl Default for NearestNeighboursSettings {
    fn default() -> Self {
        Self {
            n_neighbors: 5,
            distance: NeighbourDistance::Largest,
            max_reference_rows: 10_000,
        }
    }
}

impl NearestNeighboursParams {
    /// Number of nearest rows, 1 to 128. Default 5.
    #[must_use]
    pub fn n_neighbors(self, n: usize) -> Self {
        self.with(|s| s.n_neighbors = n)
    }

    /// What is made of their distances. Default [`NeighbourDistance::Largest`].
    #[must_use]
    pub fn distance(self, distance: NeighbourDistance) -> Self {
        self.with(|s| s.distance = distance)
    }

    /// The most training rows that are kept, more than `n_neighbors`, at most 1,000,000; of more, a sample by the seed.
    /// Default 10,000.
    #[must_use]
    pub fn max_reference_rows(self, n: usize) -> Self {
        self.with(|s| s.max_reference_rows = n)
    }
}

impl NearestNeighbours {
    /// Default parameters: the distance to the fifth nearest of 10,000 rows, a false alarm rate of 0.01, five folds.
    pub fn params() -> NearestNeighboursParams {
        NearestNeighboursParams::default()
    }

    /// Number of training rows that are kept.
    pub fn n_reference_rows(&self) -> usize {
        self.scorer.search.len()
    }
}

impl RowAlgorithm for NearestNeighboursSettings {
    type Scorer = NeighbourScorer;

    fn check(&self) -> Result<()> {
        check_sizes(self.n_neighbors, self.max_reference_rows)
    }

    /// # Errors
    /// `InsufficientData` unless there are more rows than neighbours.
    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<NeighbourScorer> {
        check_enough(self.n_neighbors, rows.len())?;
        let reference = sample_rows(rows, self.max_reference_rows, seed);
        Ok(NeighbourScorer {
            n_neighbors: self.n_neighbors,
            distance: self.distance,
            search: NeighbourSearch::new(Rows::new(&reference, rows.width())),
        })
    }
}

/// The fitted half of a [`NearestNeighbours`] detector: the reference rows.
#[derive(Clone, Debug)]
pub struct NeighbourScorer {
    n_neighbors: usize,
    distance: NeighbourDistance,
    search: NeighbourSearch,
}

impl RowScorer for NeighbourScorer {
    const KIND: &'static str = "detect.nearest_neighbours";
    type Record = NearestNeighboursRecord;

    fn width(&self) -> usize {
        self.search.width()
    }

    fn score(&self, z: &[f64]) -> f64 {
        let near = self.search.nearest(z, self.n_neighbors, None);
        self.distance.parts(&near).map(|(part, _)| part).sum()
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        let near = self.search.nearest(z, self.n_neighbors, None);
        for (part, neighbour) in self.distance.parts(&near) {
            self.search.add_shares(z, neighbour, part, out);
        }
    }

    fn to_record(&self) -> NearestNeighboursRecord {
        NearestNeighboursRecord {
            n_neighbors: self.n_neighbors as u32,
            distance: self.distance,
            reference: self.search.to_rows(),
        }
    }

    fn from_record(record: NearestNeighboursRecord, width: usize) -> Result<Self> {
        let n_neighbors = record.n_neighbors as usize;
        check_sizes(n_neighbors, n_neighbors + 1).map_err(|e| Error::persistence("n_neighbors").with_source(e))?;
        Ok(Self {
            n_neighbors,
            distance: record.distance,
            search: NeighbourSearch::of_record("reference", &record.reference, width, n_neighbors + 1)?,
        })
    }
}

/// What is written of a [`NeighbourScorer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearestNeighboursRecord {
    n_neighbors: u32,
    distance: NeighbourDistance,
    reference: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn fitted(settings: &NearestNeighboursSettings, values: &[f64], width: usize) -> Result<NeighbourScorer> {
        settings.check()?;
        settings.fit(Rows::new(values, width), Seed(0))
    }

    fn of(n_neighbors: usize, distance: NeighbourDistance) -> NearestNeighboursSettings {
        NearestNeighboursSettings {
            n_neighbors,
            distance,
            ..Default::default()
        }
    }

    #[test]
    fn largest_mean_and_median_by_hand() {
        // Distances from 0: 1, 2, 4, 7.
        let values = [7.0, -2.0, 1.0, 4.0, 30.0];
        for (k, distance, expected) in [
            (4, NeighbourDistance::Largest, 7.0),
            (4, NeighbourDistance::Mean, 3.5),
            (4, NeighbourDistance::Median, 3.0),
            (3, NeighbourDistance::Median, 2.0),
            (1, NeighbourDistance::Median, 1.0),
            (2, NeighbourDistance::Median, 1.5),
        ] {
            let s = fitted(&of(k, distance), &values, 1).unwrap();
            let mut share = [0.0];
            s.contributions_into(&[0.0], &mut share);
            assert_eq!((s.score(&[0.0]), share[0]), (expected, expected), "{k} {distance:?}");
        }
    }

    #[test]
    fn contributions_are_shares_of_the_squared_distance() {
        // 9 of 16 for the first column, 1 of 16 for each other.
        let values = [[0.0; 8], [90.0; 8]].concat();
        let s = fitted(&of(1, NeighbourDistance::Largest), &values, 8).unwrap();
        let z = [3.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0];
        let (mut shares, mut none) = ([0.0; 8], [0.0; 8]);
        s.contributions_into(&z, &mut shares);
        assert_eq!(s.score(&z), 4.0);
        assert_eq!(shares, [2.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25]);
        s.contributions_into(&[0.0; 8], &mut none);
        assert_eq!(none, [0.0; 8]);
    }

    #[test]
    fn the_reference_is_bounded_and_its_sample_follows_the_seed() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let settings = NearestNeighboursSettings {
            max_reference_rows: 50,
            ..Default::default()
        };
        let fit = |seed| settings.fit(Rows::new(&values, 1), Seed(seed)).unwrap().to_record();
        assert_eq!((fit(1).reference.len(), fit(1)), (50, fit(1)));
        assert_ne!(fit(1), fit(2));
    }

    #[test]
    fn wrong_settings_and_too_few_rows_are_named() {
        let largest = NeighbourDistance::Largest;
        for (settings, name) in [
            (of(0, largest), "n_neighbors"),
            (of(129, largest), "n_neighbors"),
            (
                NearestNeighboursSettings {
                    max_reference_rows: 5,
                    ..of(5, largest)
                },
                "max_reference_rows",
            ),
            (
                NearestNeighboursSettings {
                    max_reference_rows: usize::MAX,
                    ..of(5, largest)
                },
                "max_reference_rows",
            ),
        ] {
            let e = fitted(&settings, &[0.0; 200], 1).unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
        let e = fitted(&of(5, largest), &[0.0; 5], 1).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InsufficientData && e.to_string().contains("n_neighbors = 5"),
            "{e}"
        );
        assert!(fitted(&of(5, largest), &[0.0; 6], 1).is_ok());
    }

    #[test]
    fn broken_records_are_refused() {
        let values: Vec<f64> = (0..20).map(f64::from).collect();
        let good = fitted(&of(3, NeighbourDistance::Mean), &values, 2).unwrap().to_record();
        assert_eq!(NeighbourScorer::from_record(good.clone(), 2).unwrap().to_record(), good);
        type Break = fn(&mut NearestNeighboursRecord);
        let breaks: [(&str, Break); 7] = [
            ("no neighbours", |r| r.n_neighbors = 0),
            ("too many neighbours", |r| r.n_neighbors = u32::MAX),
            ("more neighbours than rows", |r| r.n_neighbors = 10),
            ("half a row", |r| r.reference.truncate(19)),
            ("no rows", |r| r.reference.clear()),
            ("NaN", |r| r.reference[3] = f64::NAN),
            ("out of range", |r| r.reference[3] = -1.1e6),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = NeighbourScorer::from_record(r, 2).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
        assert!(NeighbourScorer::from_record(good, 0).is_err());
    }
}
