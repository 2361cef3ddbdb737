//! Distance to the dense parts of the training rows (DBSCAN).

use crate::detect::{
    row::neighbour_search::{MOST_NEIGHBOURS, Neighbour, NeighbourSearch, sample_rows},
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::check_numbers,
};
use crate::{
    error::{Error, Result},
    features::FeatureView,
    model::Assessment,
    quantity::Seed,
};
use linfa::traits::Transformer;
use linfa_clustering::Dbscan;
use serde::{Deserialize, Serialize};

/// The most reference rows: clustering takes the square of their number.
const MOST_REFERENCE_ROWS: usize = 20_000;
/// The smallest and the largest tolerance, in training standard deviations; keep scores finite.
const TOLERANCES: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

/// Anomaly detector by density clusters: how far a row lies from the dense parts of the training data, in units of the
/// distance at which DBSCAN calls it noise.
///
/// For training data that is not all healthy: rows that stand alone, as those of single disturbances do, are noise to the
/// clustering and not kept, so that they do not make their surroundings usual. It also says which cluster (way of running) a
/// row belongs to.
///
/// # Method
///
/// Features are centred and scaled by their mean and standard deviation over the training rows (divisor `n - 1`) to `z`.
/// The reference is the training rows; of more than `max_reference_rows`, a sample of that size without replacement, drawn
/// by the seed. A *core row* has at least `min_points` reference rows, itself among them, within the tolerance `ε`; core
/// rows within `ε` of each other are of one cluster. Only core rows are kept:
///
/// ```text
/// score = (distance from z to the nearest core row) / ε
/// ```
///
/// so that a score above 1 is what DBSCAN labels noise, and [`fixed_threshold(1.0)`](RowDetectorParams::fixed_threshold) is
/// its own rule; by default the threshold is the quantile `1 - false_alarm_rate` of held-out scores, see
/// [the module](crate::detect#thresholds). The contribution of feature `j` is its share of the squared distance, scaled to
/// the score: contributions add up to the score and none is negative.
///
/// Unless it is set, `ε` comes from the curve of the distances, rising, of the reference rows to the nearest row that would
/// make them core: it is the distance where the curve lies farthest below the straight line between its ends (Satopää et
/// al.), and a billionth more, so that rounding does not decide; at least 10⁻⁶ standard deviations.
///
/// Columns constant over the training rows take no part in the score and have a contribution of zero.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`; outside of any fold there must be at least `min_points` usable rows. Rows with a
/// NaN or infinite value are left out when fitting and [`Unusable`](Assessment::Unusable) when scoring; other rows always
/// score finite. A row costs one exact search by a k-d tree and allocates nothing. Fitting costs up to
/// `O(n² n_features)` for `n` reference rows, once and once a fold.
///
/// # Sources
///
/// Ester, Kriegel, Sander and Xu, "A density-based algorithm for discovering clusters in large spatial databases with
/// noise", KDD 1996. Satopää, Albrecht, Irwin and Raghavan, "Finding a 'kneedle' in a haystack", ICDCS workshops 2011, doi
/// [10.1109/ICDCSW.2011.20](https://doi.org/10.1109/ICDCSW.2011.20).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::DensityClusters,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// // Two ways of running, and a disturbance that nobody removed from the training data.
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let mut values = Array2::from_shape_fn((400, 2), |(i, j)| (i % 2) as f64 * 20.0 + (i as f64 * [0.7, 1.3][j]).sin());
/// values.row_mut(33).fill(10.0);
/// let table = FeatureTable::new(schema.clone(), values, vec![0; 400])?;
///
/// let detector = DensityClusters::params().fixed_threshold(1.0).fit(&DatasetBase::new(table, ()))?;
///
/// assert_eq!(detector.n_clusters(), 2);
/// let row = |values: &'static [f64; 2]| FeatureView::new(&schema, values);
/// assert_eq!(detector.cluster(row(&[20.1, 20.1])?)?.ready(), Some(Some(1)));
/// assert_eq!(detector.cluster(row(&[10.0, 10.0])?)?.ready(), Some(None));
/// assert!(detector.assess(&(), row(&[10.0, 10.0])?)?.ready().unwrap().is_anomalous());
/// # Ok::<(), prognos::Error>(())
/// ```
pub type DensityClusters = RowDetector<CoreRows>;

/// Parameters of a [`DensityClusters`] detector.
pub type DensityClustersParams = RowDetectorParams<DensityClustersSettings>;

/// How a [`DensityClusters`] detector is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct DensityClustersSettings {
    min_points: usize,
    tolerance: Option<f64>,
    max_reference_rows: usize,
}

impl Default for DensityClustersSettings {
    fn default() -> Self {
        Self {
            min_points: 5,
            tolerance: None,
            max_reference_rows: 2_000,
        }
    }
}

impl DensityClustersParams {
    /// Number of rows within the tolerance, itself among them, that make a row core; 2 to 128. Default 5.
    #[must_use]
    pub fn min_points(self, n: usize) -> Self {
        self.with(|s| s.min_points = n)
    }

    /// The distance within which rows are neighbours, in training standard deviations, 10⁻⁶ to 10⁶. By default it follows
    /// from the rows.
    #[must_use]
    pub fn tolerance(self, tolerance: f64) -> Self {
        self.with(|s| s.tolerance = Some(tolerance))
    }

    /// The most training rows that are clustered, at least `min_points`, at most 20,000; of more, a sample by the seed.
    /// Default 2,000.
    #[must_use]
    pub fn max_reference_rows(self, n: usize) -> Self {
        self.with(|s| s.max_reference_rows = n)
    }
}

impl DensityClusters {
    /// Default parameters: five rows make a cluster, a tolerance that follows from the rows, a false alarm rate of 0.01, five
    /// folds.
    pub fn params() -> DensityClustersParams {
        DensityClustersParams::default()
    }

    /// The distance within which rows are neighbours, in training standard deviations.
    pub fn tolerance(&self) -> f64 {
        self.scorer.tolerance
    }

    /// Number of clusters, at least 1.
    pub fn n_clusters(&self) -> usize {
        self.scorer.cluster.iter().max().map_or(0, |c| *c as usize + 1)
    }

    /// Number of core rows, which are kept.
    pub fn n_core_rows(&self) -> usize {
        self.scorer.search.len()
    }

    /// The cluster of the nearest core row, numbered in the order of training rows; `None` beyond the tolerance.
    ///
    /// # Errors
    /// `SchemaMismatch` for a row of another schema.
    pub fn cluster(&self, x: FeatureView<'_>) -> Result<Assessment<Option<usize>>> {
        self.usable(x, |d, z| d.scorer.cluster_of(z))
    }
}

impl RowAlgorithm for DensityClustersSettings {
    type Scorer = CoreRows;

    fn check(&self) -> Result<()> {
        check_min_points(self.min_points)?;
        if !(self.min_points..=MOST_REFERENCE_ROWS).contains(&self.max_reference_rows) {
            let expected = format!("min_points = {} to {MOST_REFERENCE_ROWS}", self.min_points);
            return Err(Error::parameter(
                "max_reference_rows",
                expected,
                self.max_reference_rows,
            ));
        }
        match self.tolerance {
            Some(t) if !TOLERANCES.contains(&t) => Err(Error::parameter("tolerance", "1e-6 to 1e6", t)),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// `InsufficientData` with fewer rows than `min_points`, or where no row has so many within a tolerance that was set.
    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<CoreRows> {
        if rows.len() < self.min_points {
            let needed = format!("at least min_points = {}", self.min_points);
            return Err(Error::insufficient("rows to cluster", needed, rows.len()));
        }
        let width = rows.width();
        let reference = sample_rows(rows, self.max_reference_rows, seed);
        let rows = Rows::new(&reference, width);
        let search = NeighbourSearch::new(rows);
        let to_core = |(i, z): (usize, &[f64])| {
            let others = search.nearest(z, self.min_points - 1, Some(i as u32));
            others.last().map_or(0.0, Neighbour::distance)
        };
        let to_core: Vec<f64> = rows.iter().enumerate().map(to_core).collect();
        let tolerance = self.tolerance.unwrap_or_else(|| knee(&to_core));
        let labels = Dbscan::params(self.min_points)
            .tolerance(tolerance)
            .transform(&rows.view())
            .map_err(|e| Error::not_converged("density clusters").with_source(e))?;

        let (mut core, mut cluster, mut number) = (Vec::new(), Vec::new(), Vec::new());
        for ((row, distance), label) in rows.iter().zip(&to_core).zip(labels) {
            let (true, Some(label)) = (*distance <= tolerance, label) else {
                continue;
            };
            let known = number.iter().position(|l| *l == label);
            cluster.push(known.unwrap_or(number.len()) as u32);
            if known.is_none() {
                number.push(label);
            }
            core.extend_from_slice(row);
        }
        if core.is_empty() {
            let needed = format!(
                "one with min_points = {} within tolerance = {tolerance}",
                self.min_points
            );
            return Err(Error::insufficient(
                "core rows",
                needed,
                format!("none of {}", rows.len()),
            ));
        }
        Ok(CoreRows {
            min_points: self.min_points,
            tolerance,
            search: NeighbourSearch::new(Rows::new(&core, width)),
            cluster,
        })
    }
}

fn check_min_points(n: usize) -> Result<()> {
    if (2..=MOST_NEIGHBOURS).contains(&n) {
        Ok(())
    } else {
        Err(Error::parameter("min_points", format!("2 to {MOST_NEIGHBOURS}"), n))
    }
}

/// The tolerance that `distances` suggest: the rising curve's point that lies farthest below the line between its ends.
fn knee(distances: &[f64]) -> f64 {
    let mut curve = distances.to_vec();
    curve.sort_unstable_by(f64::total_cmp);
    let (low, high) = (
        curve.first().copied().unwrap_or(0.0),
        curve.last().copied().unwrap_or(0.0),
    );
    let steps = (curve.len().max(2) - 1) as f64;
    let (mut at, mut deepest) = (high, 0.0);
    for (i, &d) in curve.iter().enumerate() {
        let depth = i as f64 / steps - (d - low) / (high - low);
        // Of equal ones the last; not a number where the curve is level, whose only distance it is then.
        if depth >= deepest {
            (at, deepest) = (d, depth);
        }
    }
    (at * (1.0 + 1e-9)).clamp(*TOLERANCES.start(), *TOLERANCES.end())
}

/// The fitted half of a [`DensityClusters`] detector: the core rows.
#[derive(Clone, Debug)]
pub struct CoreRows {
    min_points: usize,
    tolerance: f64,
    search: NeighbourSearch,
    /// The cluster of each core row.
    cluster: Vec<u32>,
}

impl CoreRows {
    fn cluster_of(&self, z: &[f64]) -> Option<usize> {
        let near = self.search.nearest(z, 1, None);
        let nearest = near.first().filter(|n| n.distance() <= self.tolerance)?;
        self.cluster.get(nearest.row as usize).map(|c| *c as usize)
    }
}

impl RowScorer for CoreRows {
    const KIND: &'static str = "detect.density_clusters";
    type Record = DensityClustersRecord;

    fn width(&self) -> usize {
        self.search.width()
    }

    fn score(&self, z: &[f64]) -> f64 {
        let near = self.search.nearest(z, 1, None);
        near.first().map_or(0.0, Neighbour::distance) / self.tolerance
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        for neighbour in self.search.nearest(z, 1, None) {
            let score = neighbour.distance() / self.tolerance;
            self.search.add_shares(z, &neighbour, score, out);
        }
    }

    fn to_record(&self) -> DensityClustersRecord {
        DensityClustersRecord {
            min_points: self.min_points as u32,
            tolerance: self.tolerance,
            core: self.search.to_rows(),
            cluster: self.cluster.clone(),
        }
    }

    fn from_record(record: DensityClustersRecord, width: usize) -> Result<Self> {
        let min_points = record.min_points as usize;
        check_min_points(min_points).map_err(|e| Error::persistence("min_points").with_source(e))?;
        check_numbers("tolerance", &[record.tolerance], 1, |t| TOLERANCES.contains(&t))?;
        let search = NeighbourSearch::of_record("core", &record.core, width, 1)?;
        let mut n_clusters = 0;
        for &c in &record.cluster {
            if c > n_clusters {
                return Err(Error::persistence(format!(
                    "cluster: expected numbers in the order of rows, got {c} after {n_clusters} clusters"
                )));
            }
            n_clusters = n_clusters.max(c.saturating_add(1));
        }
        if record.cluster.len() != search.len() {
            return Err(Error::persistence(format!(
                "cluster: expected {} numbers, one a core row, got {}",
                search.len(),
                record.cluster.len()
            )));
        }
        Ok(Self {
            min_points,
            tolerance: record.tolerance,
            search,
            cluster: record.cluster,
        })
    }
}

/// What is written of a [`CoreRows`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DensityClustersRecord {
    min_points: u32,
    tolerance: f64,
    core: Vec<f64>,
    cluster: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn of(min_points: usize, tolerance: Option<f64>) -> DensityClustersSettings {
        DensityClustersSettings {
            min_points,
            tolerance,
            ..Default::default()
        }
    }

    fn fitted(settings: &DensityClustersSettings, values: &[f64]) -> Result<CoreRows> {
        settings.check()?;
        settings.fit(Rows::new(values, 1), Seed(0))
    }

    #[test]
    fn core_rows_border_and_noise_by_hand() {
        // Within 1.5, three rows: 1 and 2 are core, 0 and 3 border. 20, 21 and 22: 21 is core. 9 is noise.
        let s = fitted(&of(3, Some(1.5)), &[0.0, 1.0, 20.0, 9.0, 21.0, 2.0, 22.0, 3.0]).unwrap();
        assert_eq!(
            (s.search.to_rows(), &s.cluster[..]),
            (vec![1.0, 21.0, 2.0], &[0, 1, 0][..])
        );
        for (z, score, cluster) in [
            (1.0, 0.0, Some(0)),
            (3.5, 1.0, Some(0)),
            (19.5, 1.0, Some(1)),
            (9.5, 5.0, None),
        ] {
            assert_eq!((s.score(&[z]), s.cluster_of(&[z])), (score, cluster), "{z}");
        }
    }

    #[test]
    fn the_knee_by_hand() {
        // Line from (0, 1) to (4, 9); depths 0, 1/4, 1/2 - 1/8, 3/4 - 2/8, 0.
        let exact = |d: f64| d * (1.0 + 1e-9);
        assert_eq!(knee(&[1.0, 9.0, 1.0, 3.0, 2.0]), exact(3.0));
        assert_eq!(knee(&[2.0; 7]), exact(2.0));
        assert_eq!((knee(&[0.0; 7]), knee(&[1e9; 3])), (1e-6, 1e6));
        // Above the line throughout: nothing is deeper than the ends.
        assert_eq!(knee(&[0.0, 5.0, 6.0, 6.5]), exact(6.5));
    }

    #[test]
    fn a_set_tolerance_may_leave_no_core_row() {
        let values: Vec<f64> = (0..20).map(f64::from).collect();
        let e = fitted(&of(3, Some(0.5)), &values).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InsufficientData && e.to_string().contains("tolerance = 0.5"),
            "{e}"
        );
        let e = fitted(&of(21, None), &values).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InsufficientData && e.to_string().contains("min_points = 21"),
            "{e}"
        );
        assert!(fitted(&of(20, None), &values).is_ok());
        // Two values only: copies are at no distance, and make clusters all the same.
        let s = fitted(&of(3, None), &[0.0, 1.0].repeat(10)).unwrap();
        assert_eq!(
            (s.tolerance, s.search.len(), s.cluster.iter().max()),
            (1e-6, 20, Some(&1))
        );
    }

    #[test]
    fn wrong_settings_are_named() {
        let sized = |n| DensityClustersSettings {
            max_reference_rows: n,
            ..Default::default()
        };
        for (settings, name) in [
            (of(1, None), "min_points"),
            (of(129, None), "min_points"),
            (of(5, Some(0.0)), "tolerance"),
            (of(5, Some(f64::NAN)), "tolerance"),
            (of(5, Some(f64::INFINITY)), "tolerance"),
            (sized(4), "max_reference_rows"),
            (sized(20_001), "max_reference_rows"),
        ] {
            let e = fitted(&settings, &[0.0; 200]).unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
    }

    #[test]
    fn broken_records_are_refused() {
        let good = fitted(&of(2, Some(1.0)), &[0.0, 1.0, 5.0, 6.0]).unwrap().to_record();
        assert_eq!(good.cluster, [0, 0, 1, 1]);
        assert_eq!(CoreRows::from_record(good.clone(), 1).unwrap().to_record(), good);
        type Break = fn(&mut DensityClustersRecord);
        let breaks: [(&str, Break); 7] = [
            ("min_points", |r| r.min_points = 1),
            ("tolerance zero", |r| r.tolerance = 0.0),
            ("tolerance NaN", |r| r.tolerance = f64::NAN),
            ("no rows", |r| r.core.clear()),
            ("NaN", |r| r.core[0] = f64::NAN),
            ("clusters short", |r| r.cluster.truncate(3)),
            ("a cluster without a row", |r| r.cluster[3] = 3),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = CoreRows::from_record(r, 1).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }
}
