//! Isolation by nearest neighbours.

use crate::detect::{
    draws::Draws,
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::check_numbers,
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// Spheres whose distances are taken side by side.
const LANES: usize = 8;
const MOST_SETS: usize = 10_000;
const MOST_ROWS: usize = 256;
/// The most numbers that all centres together hold.
const MOST_NUMBERS: usize = 1 << 24;
/// Limits of what is read from a file; keep squares finite.
const LARGEST_CENTRE: f64 = 1e7;
const LARGEST_RADIUS: f64 = 1e30;

/// Anomaly detector by nearest-neighbour ensembles (iNNE): whether a row lies within reach of random training rows, and how
/// far they reach beside their neighbours.
///
/// For clusters of different density: a row is judged by the density around it, so anomalies between clusters or beside a
/// dense one are found. Training rows may hold a few anomalies.
///
/// # Method
///
/// Each of `n_sets` sets holds `rows_per_set` training rows, drawn without replacement. Around each lies a sphere that reaches
/// to the nearest other row of the set. A row's isolation in a set, from the smallest sphere that covers it, of radius `r`
/// around a row whose nearest neighbour has a sphere of radius `r_nn`, is
///
/// ```text
/// isolation = 1 - (r_nn² + ε) / (r² + ε)    or 1 where no sphere covers the row        score = mean isolation over sets
/// ```
///
/// with `ε = 2⁻⁵²` for rows that lie on one another. A score is from 0 to 1, and 1 for every row out of all reach. Distances
/// are Euclidean, in standard units. The paper compares radii; their squares are compared here as in PyOD's `INNE`.
///
/// # Contributions
///
/// The isolation in a set is shared in proportion to the squares of the differences, column by column, from the centre of
/// the sphere that covers the row, or from the nearest centre where none does; evenly where there is no difference.
/// Contributions are means over sets, add up to the score and are never negative.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`, at least two usable rows a fold. Rows with a NaN or infinite value are left out when
/// fitting and [`Unusable`](crate::model::Assessment::Unusable) when scoring; other rows always score finite. Fitting costs
/// `O(n_sets rows_per_set² n_features)` besides the scoring of all rows for the threshold, a row
/// `O(n_sets rows_per_set n_features)`; it allocates nothing up to 256 features.
///
/// # Source
///
/// Bandaragoda, Ting, Albrecht, Liu, Zhu and Wells, "Isolation-based anomaly detection using nearest-neighbor ensembles",
/// Computational Intelligence 34 (2018), doi [10.1111/coin.12156](https://doi.org/10.1111/coin.12156).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::NearestIsolation,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + 10.0 * ((i + 90 * j) as f64 * 0.7).sin());
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
///
/// let detector = NearestIsolation::params().n_sets(100).fit(&DatasetBase::new(table, ()))?;
///
/// let score = |values: [f64; 2]| detector.assess(&(), FeatureView::new(&schema, &values)?).map(|a| a.ready());
/// assert!(score([55.0, 55.0])?.unwrap().value < score([90.0, 10.0])?.unwrap().value);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type NearestIsolation = RowDetector<NearestSpheres>;

/// Parameters of a [`NearestIsolation`].
pub type NearestIsolationParams = RowDetectorParams<NearestIsolationSettings>;

/// How a [`NearestIsolation`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestIsolationSettings {
    n_sets: usize,
    rows_per_set: usize,
}

impl Default for NearestIsolationSettings {
    fn default() -> Self {
        Self {
            n_sets: 200,
            rows_per_set: 8,
        }
    }
}

impl NearestIsolationParams {
    /// Number of sets, 1 to 10,000. Default 200.
    #[must_use]
    pub fn n_sets(self, n: usize) -> Self {
        self.with(|s| s.n_sets = n)
    }

    /// Rows in each set, 2 to 256 (all, where there are fewer): the more, the smaller the spheres. Default 8.
    #[must_use]
    pub fn rows_per_set(self, n: usize) -> Self {
        self.with(|s| s.rows_per_set = n)
    }
}

impl NearestIsolation {
    /// Default parameters: 200 sets of 8 rows, a false alarm rate of 0.01, five folds, seed 0.
    pub fn params() -> NearestIsolationParams {
        NearestIsolationParams::default()
    }
}

impl RowAlgorithm for NearestIsolationSettings {
    type Scorer = NearestSpheres;

    fn check(&self) -> Result<()> {
        if !(1..=MOST_SETS).contains(&self.n_sets) {
            return Err(Error::parameter("n_sets", "from 1 to 10000", self.n_sets));
        }
        if !(2..=MOST_ROWS).contains(&self.rows_per_set) {
            return Err(Error::parameter("rows_per_set", "from 2 to 256", self.rows_per_set));
        }
        Ok(())
    }

    /// # Errors
    /// `InvalidParameter` where all centres together would hold more than 2^24 numbers.
    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<NearestSpheres> {
        let n = self.rows_per_set.min(rows.len());
        if self.n_sets * n > MOST_NUMBERS / rows.width().max(1) {
            let expected = format!(
                "at most {MOST_NUMBERS} with rows_per_set and {} features multiplied in",
                rows.width()
            );
            return Err(Error::parameter("n_sets", expected, self.n_sets));
        }
        let mut chance = Draws::new(seed);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let mut record = NearestIsolationRecord {
            rows_per_set: n as u32,
            centre: Vec::with_capacity(self.n_sets * n * rows.width()),
            square: Vec::with_capacity(self.n_sets * n),
            isolation: Vec::with_capacity(self.n_sets * n),
        };
        for _ in 0..self.n_sets {
            let chosen = chance.select(&mut order, n);
            let centres: Vec<&[f64]> = chosen.iter().filter_map(|&i| rows.get(i)).collect();
            // The square of each radius, and whose distance it is.
            let nearest: Vec<(f64, usize)> = (0..centres.len())
                .map(|i| {
                    let others = (0..centres.len()).filter(|&k| k != i);
                    others.fold((f64::MAX, i), |best, k| {
                        let d = square_distance(centres[i], centres[k]);
                        if d < best.0 { (d, k) } else { best }
                    })
                })
                .collect();
            let mut by_size: Vec<usize> = (0..centres.len()).collect();
            by_size.sort_by(|&a, &b| nearest[a].0.total_cmp(&nearest[b].0));
            for i in by_size {
                let (square, neighbour) = nearest[i];
                let ratio = (nearest[neighbour].0 + f64::EPSILON) / (square + f64::EPSILON);
                record.centre.extend(centres[i]);
                record.square.push(square);
                record.isolation.push((1.0 - ratio).clamp(0.0, 1.0));
            }
        }
        NearestSpheres::from_record(record, rows.width())
    }
}

fn square_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b))
}

/// The fitted half of a [`NearestIsolation`].
#[derive(Clone, Debug)]
pub struct NearestSpheres {
    width: usize,
    record: NearestIsolationRecord,
    /// Groups of spheres in a set; the last one is filled up with spheres that cover nothing.
    n_groups: usize,
    /// The centres of each group's spheres, column by column.
    centres: Vec<[f64; LANES]>,
    squares: Vec<[f64; LANES]>,
}

impl NearestSpheres {
    fn n_sets(&self) -> usize {
        self.squares.len() / self.n_groups
    }

    /// Squared distances of a row from the centres of a group.
    #[inline(always)]
    fn distances(centres: &[[f64; LANES]], z: &[f64]) -> [f64; LANES] {
        let mut sums = [0.0; LANES];
        for (centre, &x) in centres.iter().zip(z) {
            for (s, c) in sums.iter_mut().zip(centre) {
                let d = c - x;
                *s += d * d;
            }
        }
        sums
    }

    /// The smallest sphere of set `set` that covers the row.
    #[inline(always)]
    fn covering(&self, set: usize, z: &[f64]) -> Option<usize> {
        for group in 0..self.n_groups {
            let at = set * self.n_groups + group;
            let distances = Self::distances(&self.centres[at * self.width..(at + 1) * self.width], z);
            // Spheres are sorted by size: the first is the smallest.
            let covers = distances.iter().zip(&self.squares[at]).map(|(d, square)| d <= square);
            let mask = covers.enumerate().fold(0_u32, |m, (k, c)| m | u32::from(c) << k);
            if mask != 0 {
                return Some(group * LANES + mask.trailing_zeros() as usize);
            }
        }
        None
    }
}

impl RowScorer for NearestSpheres {
    const KIND: &'static str = "detect.nearest_isolation";
    type Record = NearestIsolationRecord;

    fn width(&self) -> usize {
        self.width
    }

    fn score(&self, z: &[f64]) -> f64 {
        let isolation = self.record.isolation.chunks_exact(self.record.rows_per_set as usize);
        let sum = isolation.enumerate().fold(0.0, |sum, (set, isolation)| {
            sum + self.covering(set, z).map_or(1.0, |k| isolation[k])
        });
        sum / self.n_sets() as f64
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        let n = self.record.rows_per_set as usize;
        let part = 1.0 / self.n_sets() as f64;
        for (set, centres) in self.record.centre.chunks_exact(n * self.width).enumerate() {
            let (isolation, centre) = match self.covering(set, z) {
                Some(k) => (
                    self.record.isolation[set * n + k],
                    centres.chunks_exact(self.width).nth(k),
                ),
                None => {
                    let distance = |c: &&[f64]| square_distance(c, z);
                    let nearest = centres
                        .chunks_exact(self.width)
                        .min_by(|a, b| distance(a).total_cmp(&distance(b)));
                    (1.0, nearest)
                }
            };
            let centre = centre.unwrap_or_default();
            let total = square_distance(centre, z);
            for ((o, c), x) in out.iter_mut().zip(centre).zip(z) {
                let share = if total > 0.0 {
                    (c - x) * (c - x) / total
                } else {
                    1.0 / self.width as f64
                };
                *o += isolation * part * share;
            }
        }
    }

    fn to_record(&self) -> NearestIsolationRecord {
        self.record.clone()
    }

    fn from_record(r: NearestIsolationRecord, width: usize) -> Result<Self> {
        let n = r.rows_per_set as usize;
        let n_spheres = r.square.len();
        let n_sets = n_spheres.checked_div(n).unwrap_or(0);
        if !(2..=MOST_ROWS).contains(&n) || !(1..=MOST_SETS).contains(&n_sets) || n_sets * n != n_spheres {
            return Err(Error::persistence(format!(
                "spheres: expected 1 to {MOST_SETS} sets of 2 to {MOST_ROWS}, got {n_spheres} in sets of {n}"
            )));
        }
        let n_numbers = n_spheres.saturating_mul(width);
        check_numbers("centres", &r.centre, n_numbers, |c| c.abs() <= LARGEST_CENTRE)?;
        check_numbers("squares of radii", &r.square, n_spheres, |s| {
            (0.0..=LARGEST_RADIUS).contains(&s)
        })?;
        check_numbers("isolation", &r.isolation, n_spheres, |i| (0.0..=1.0).contains(&i))?;
        if r.square.chunks_exact(n).any(|s| !s.is_sorted()) {
            return Err(Error::persistence(
                "spheres: expected the smaller before the larger in each set",
            ));
        }
        let n_groups = n.div_ceil(LANES);
        let mut centres = vec![[0.0; LANES]; n_sets * n_groups * width];
        let mut squares = vec![[-1.0; LANES]; n_sets * n_groups];
        for (i, (&square, centre)) in r.square.iter().zip(r.centre.chunks_exact(width.max(1))).enumerate() {
            let (set, k) = (i / n, i % n);
            let group = set * n_groups + k / LANES;
            squares[group][k % LANES] = square;
            for (out, &c) in centres[group * width..].iter_mut().zip(centre) {
                out[k % LANES] = c;
            }
        }
        Ok(Self {
            width,
            record: r,
            n_groups,
            centres,
            squares,
        })
    }
}

/// What is written of [`NearestSpheres`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearestIsolationRecord {
    rows_per_set: u32,
    /// Set by set, the smaller spheres first; one row of columns each.
    centre: Vec<f64>,
    /// Square of each sphere's radius.
    square: Vec<f64>,
    /// Isolation of a row for which it is the smallest sphere.
    isolation: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn noise(n: usize, width: usize) -> Vec<f64> {
        let mut c = Draws::new(Seed(3));
        (0..n * width).map(|_| c.normal()).collect()
    }

    fn settings(n_sets: usize, rows_per_set: usize) -> NearestIsolationSettings {
        NearestIsolationSettings { n_sets, rows_per_set }
    }

    #[test]
    fn three_rows_by_hand() {
        // Rows 0, 1 and 4 are every set. Radii 1, 1 and 3; the neighbour of 4 is 1, of radius 1.
        let s = settings(5, 8).fit(Rows::new(&[4.0, 0.0, 1.0], 1), Seed(0)).unwrap();
        assert_eq!(s.record.square, [1.0, 1.0, 9.0].repeat(5));
        let far = 1.0 - (1.0 + f64::EPSILON) / (9.0 + f64::EPSILON);
        for (x, expected) in [
            (0.5, 0.0),
            (-1.0, 0.0),
            (-1.1, 1.0),
            (2.0, 0.0),
            (2.1, far),
            (7.0, far),
            (7.1, 1.0),
        ] {
            assert!((s.score(&[x]) - expected).abs() < 1e-15, "{x}");
        }
        let mut share = [0.0];
        s.contributions_into(&[4.0], &mut share);
        assert!((share[0] - far).abs() < 1e-15);
    }

    #[test]
    fn scores_are_those_of_the_definition() {
        for (width, n) in [(3, 8), (1, 2), (5, 17)] {
            let train = noise(200, width);
            let s = settings(20, n).fit(Rows::new(&train, width), Seed(1)).unwrap();
            let far = vec![1e6; width];
            for z in Rows::new(&train, width).iter().take(60).chain([&far[..]]) {
                let isolation = |set: usize| {
                    let centre = |i: usize| &s.record.centre[(set * n + i) * width..(set * n + i + 1) * width];
                    let square =
                        |i: usize, z: &[f64]| centre(i).iter().zip(z).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
                    let nearest = |i: usize| {
                        let others = (0..n).filter(|k| *k != i).map(|k| (square(i, centre(k)), k));
                        others.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
                    };
                    let covering = (0..n).filter(|&i| square(i, z) <= nearest(i).0);
                    match covering.min_by(|&a, &b| nearest(a).0.total_cmp(&nearest(b).0)) {
                        Some(i) => 1.0 - (nearest(nearest(i).1).0 + f64::EPSILON) / (nearest(i).0 + f64::EPSILON),
                        None => 1.0,
                    }
                };
                let expected = (0..20).map(isolation).sum::<f64>() / 20.0;
                assert!((s.score(z) - expected).abs() < 1e-12, "{expected} {}", s.score(z));
                let mut shares = vec![0.0; width];
                s.contributions_into(z, &mut shares);
                assert!((shares.iter().sum::<f64>() - expected).abs() < 1e-12 && shares.iter().all(|s| *s >= 0.0));
            }
            assert_eq!(s.score(&far), 1.0);
        }
    }

    #[test]
    fn rows_on_one_another_do_no_harm() {
        let s = settings(10, 8).fit(Rows::new(&[1.0; 40], 2), Seed(0)).unwrap();
        assert_eq!((s.score(&[1.0, 1.0]), s.score(&[1.0, 1.1])), (0.0, 1.0));
        let mut shares = [0.0; 2];
        s.contributions_into(&[1.0, 1.1], &mut shares);
        assert!((shares[1] - 1.0).abs() < 1e-12 && shares[0] == 0.0);
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        for (n_sets, rows, name) in [
            (0, 8, "n_sets"),
            (10_001, 8, "n_sets"),
            (200, 1, "rows_per_set"),
            (200, 257, "rows_per_set"),
        ] {
            let e = settings(n_sets, rows).check().unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
        let wide = vec![0.0; 2 * 10_000];
        let e = settings(10_000, 2).fit(Rows::new(&wide, 10_000), Seed(0)).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InvalidParameter && e.to_string().contains("n_sets"),
            "{e}"
        );
    }

    #[test]
    fn broken_records_are_refused() {
        let good = settings(4, 5)
            .fit(Rows::new(&noise(50, 3), 3), Seed(0))
            .unwrap()
            .to_record();
        assert_eq!(NearestSpheres::from_record(good.clone(), 3).unwrap().to_record(), good);
        type Break = fn(&mut NearestIsolationRecord);
        let breaks: [(&str, Break); 10] = [
            ("one row", |r| r.rows_per_set = 1),
            ("no row", |r| r.rows_per_set = 0),
            ("sets do not fit", |r| r.rows_per_set = 3),
            ("no sets", |r| r.square.clear()),
            ("centre", |r| r.centre[0] = f64::NAN),
            ("centre far", |r| r.centre[0] = 1e300),
            ("centres short", |r| r.centre.truncate(59)),
            ("radius", |r| r.square[4] = f64::INFINITY),
            ("order", |r| r.square[0] = 1e20),
            ("isolation", |r| r.isolation[0] = 1.5),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = NearestSpheres::from_record(r, 3).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }
}
