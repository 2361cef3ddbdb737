//! Squared Mahalanobis distance with a shrunk covariance.

use crate::detect::{
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::{check_numbers, dot, second_moments},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use linfa_linalg::cholesky::CholeskyInplace;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// A feature whose variance, given the features before it, is below this is a combination of them.
const LEAST_VARIANCE: f64 = 1e-12;
/// The largest element of the whitening matrix that is read from a file; keeps scores finite.
const LARGEST_WEIGHT: f64 = 1e100;

/// How far the covariance matrix is drawn towards a multiple of the identity.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Shrinkage {
    /// This share, 0 (none) to 1 (a multiple of the identity).
    Fixed(f64),
    /// The share with the least expected squared error, estimated from the rows.
    LedoitWolf,
}

/// Anomaly detector by Mahalanobis distance: how far a row lies from the mean in the metric of the training covariance.
///
/// For few features, or for more features than rows: shrinkage keeps the covariance invertible. Fitted on healthy rows.
///
/// # Method
///
/// Features are centred and scaled by their mean and standard deviation over the training rows (divisor `n - 1`) to `z`.
/// With their covariance `C` (divisor `n`), `μ = trace(C) / n_features` and the shrinkage `s`,
///
/// ```text
/// S = (1 - s) C + s μ I        score = d² = z' S⁻¹ z
/// ```
///
/// By default `s` is estimated as Ledoit and Wolf (2004) do, separately in each fold. The threshold is the quantile
/// `1 - false_alarm_rate` of held-out scores; see [the module](crate::detect#thresholds). The contribution of feature `j`
/// is `z_j (S⁻¹ z)_j`; contributions add up to the score, and one may be negative.
///
/// Columns constant over the training rows take no part in the score and have a contribution of zero.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`, at least two usable rows a fold. Rows with a NaN or infinite value are left out
/// when fitting and [`Unusable`](crate::model::Assessment::Unusable) when scoring; other rows always score finite. Fitting costs
/// `O(n_rows n_features² + n_features³)` time, once and once a fold, and `O(n_features²)` memory. A row costs
/// `O(n_features²)` and allocates nothing up to 256 features (one buffer above).
///
/// # Source
///
/// Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", J. Multivariate Analysis 88
/// (2004), doi [10.1016/S0047-259X(03)00096-4](https://doi.org/10.1016/S0047-259X(03)00096-4).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::MahalanobisDetector,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let load = |i: usize| (i as f64 * 0.7).sin();
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + 10.0 * load(i) + (j as f64) * load(7 * i));
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
///
/// let detector = MahalanobisDetector::params().false_alarm_rate(0.005).fit(&DatasetBase::new(table, ()))?;
///
/// let score = |values: [f64; 2]| detector.assess(&(), FeatureView::new(&schema, &values)?).map(|a| a.ready());
/// assert!(!score([55.0, 55.0])?.unwrap().is_anomalous());
/// assert!(score([55.0, 45.0])?.unwrap().is_anomalous());
/// assert!(score([55.0, f64::NAN])?.is_none()); // unusable, not an error
/// # Ok::<(), prognos::Error>(())
/// ```
pub type MahalanobisDetector = RowDetector<MahalanobisMetric>;

/// Parameters of a [`MahalanobisDetector`].
pub type MahalanobisParams = RowDetectorParams<MahalanobisSettings>;

/// How a [`MahalanobisDetector`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct MahalanobisSettings {
    shrinkage: Shrinkage,
}

impl Default for MahalanobisSettings {
    fn default() -> Self {
        Self {
            shrinkage: Shrinkage::LedoitWolf,
        }
    }
}

impl MahalanobisParams {
    /// How the covariance is shrunk. Default [`Shrinkage::LedoitWolf`].
    #[must_use]
    pub fn shrinkage(self, shrinkage: Shrinkage) -> Self {
        self.with(|s| s.shrinkage = shrinkage)
    }
}

impl MahalanobisDetector {
    /// Default parameters: shrinkage after Ledoit and Wolf, a false alarm rate of 0.01, five folds.
    pub fn params() -> MahalanobisParams {
        MahalanobisParams::default()
    }

    /// The shrinkage used, 0 to 1.
    pub fn shrinkage(&self) -> f64 {
        self.scorer.shrinkage
    }
}

impl RowAlgorithm for MahalanobisSettings {
    type Scorer = MahalanobisMetric;

    fn check(&self) -> Result<()> {
        match self.shrinkage {
            Shrinkage::Fixed(s) if !(0.0..=1.0).contains(&s) => Err(Error::parameter("shrinkage", "from 0 to 1", s)),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// `NotConverged` where the covariance is singular, which shrinkage above zero prevents.
    fn fit(&self, rows: Rows<'_>, _: Seed) -> Result<MahalanobisMetric> {
        let n = rows.len() as f64;
        let (covariance, fourth) = second_moments(rows, n);
        let shrinkage = match self.shrinkage {
            Shrinkage::Fixed(s) => s,
            Shrinkage::LedoitWolf => ledoit_wolf(&covariance, fourth, n),
        };
        MahalanobisMetric::of_covariance(covariance, shrinkage).map_err(|e| e.context(format!("{n} rows")))
    }
}

/// The fitted half of a [`MahalanobisDetector`]: the metric `S⁻¹ = W'W` of rows in standard units.
#[derive(Clone, Debug)]
pub struct MahalanobisMetric {
    width: usize,
    shrinkage: f64,
    /// `W`, the inverse of the lower Cholesky factor of `S`: row `i` has `i + 1` elements, one row behind the other.
    whitening: Vec<f64>,
}

impl MahalanobisMetric {
    /// # Errors
    /// `NotConverged` where the shrunk covariance is singular.
    pub(in crate::detect) fn of_covariance(mut covariance: Array2<f64>, shrinkage: f64) -> Result<Self> {
        let width = covariance.nrows();
        let mean_variance = covariance.diag().iter().sum::<f64>() / width as f64;
        for ((i, j), c) in covariance.indexed_iter_mut() {
            *c = (1.0 - shrinkage) * *c + if i == j { shrinkage * mean_variance } else { 0.0 };
        }
        let singular = || {
            Error::not_converged(format!(
                "covariance of {width} features at shrinkage {shrinkage}: expected a regular matrix, got a singular one; \
                 raise `shrinkage`"
            ))
        };
        let lower = covariance.cholesky_into().map_err(|e| singular().with_source(e))?;
        if !lower.diag().iter().all(|d| d * d > LEAST_VARIANCE) {
            return Err(singular());
        }
        Ok(Self {
            width,
            shrinkage,
            whitening: inverse_lower(&lower),
        })
    }

    /// `ln det S`.
    pub(in crate::detect) fn log_det(&self) -> f64 {
        let diagonal = (0..self.width).map(|i| self.whitening.get(i * (i + 3) / 2).copied().unwrap_or(1.0));
        -2.0 * diagonal.map(libm::log).sum::<f64>()
    }

    /// Calls `each` with every row of `W` and its product with `z`.
    #[inline]
    fn whiten(&self, z: &[f64], mut each: impl FnMut(&[f64], f64)) {
        let mut rest = self.whitening.as_slice();
        for n in 1..=z.len() {
            let Some((row, tail)) = rest.split_at_checked(n) else {
                return;
            };
            each(row, dot(row, z));
            rest = tail;
        }
    }
}

impl RowScorer for MahalanobisMetric {
    const KIND: &'static str = "detect.mahalanobis";
    type Record = MahalanobisRecord;

    fn width(&self) -> usize {
        self.width
    }

    #[inline]
    fn score(&self, z: &[f64]) -> f64 {
        let mut sum = 0.0;
        self.whiten(z, |_, y| sum += y * y);
        sum
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        self.whiten(z, |row, y| out.iter_mut().zip(row).for_each(|(o, w)| *o += w * y));
        out.iter_mut().zip(z).for_each(|(o, z)| *o *= z);
    }

    fn to_record(&self) -> MahalanobisRecord {
        MahalanobisRecord {
            shrinkage: self.shrinkage,
            whitening: self.whitening.clone(),
        }
    }

    fn from_record(record: MahalanobisRecord, width: usize) -> Result<Self> {
        let n_weights = width.saturating_mul(width + 1) / 2;
        check_numbers("whitening", &record.whitening, n_weights, |w| w.abs() <= LARGEST_WEIGHT)?;
        let diagonal = (0..width).map(|i| record.whitening.get(i * (i + 3) / 2).copied().unwrap_or(0.0));
        let diagonal: Vec<f64> = diagonal.collect();
        check_numbers("diagonal of the whitening", &diagonal, width, |w| w > 0.0)?;
        check_numbers("shrinkage", &[record.shrinkage], 1, |s| (0.0..=1.0).contains(&s))?;
        Ok(Self {
            width,
            shrinkage: record.shrinkage,
            whitening: record.whitening,
        })
    }
}

/// What is written of a [`MahalanobisMetric`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MahalanobisRecord {
    shrinkage: f64,
    whitening: Vec<f64>,
}

/// The shrinkage of Ledoit and Wolf (2004) for a covariance of centred rows (divisor `n`), given the sum over rows of the
/// fourth power of their length.
fn ledoit_wolf(covariance: &Array2<f64>, fourth: f64, n: f64) -> f64 {
    let p = covariance.nrows() as f64;
    if covariance.nrows() < 2 {
        return 0.0;
    }
    let square: f64 = covariance.iter().map(|c| c * c).sum();
    let mean_variance = covariance.diag().iter().sum::<f64>() / p;
    let dispersion = square - p * mean_variance * mean_variance; // |C - μ I|²
    let error = (fourth / n - square) / n; // estimate of the expected |C - Σ|²
    if error > 0.0 && dispersion > 0.0 {
        (error / dispersion).min(1.0)
    } else if dispersion > 0.0 {
        0.0
    } else {
        1.0 // C is a multiple of the identity already
    }
}

/// The inverse of a lower triangular matrix, packed by rows.
fn inverse_lower(lower: &Array2<f64>) -> Vec<f64> {
    let n = lower.nrows();
    let at = |i: usize, j: usize| i * (i + 1) / 2 + j;
    let mut inverse = vec![0.0; n * (n + 1) / 2];
    for (i, row) in lower.rows().into_iter().enumerate() {
        let (Some(row), Some(&diagonal)) = (row.as_slice(), row.get(i)) else {
            continue;
        };
        let (done, rest) = inverse.split_at_mut(at(i, 0));
        let out = rest.split_at_mut(i + 1).0;
        // Row i of the inverse: (e_i - Σ_{k<i} l_ik w_k) / l_ii.
        for (k, l) in row.iter().enumerate().take(i) {
            let w = done.get(at(k, 0)..at(k, k) + 1).unwrap_or_default();
            out.iter_mut().zip(w).for_each(|(o, w)| *o -= l * w);
        }
        if let Some(last) = out.last_mut() {
            *last = 1.0;
        }
        out.iter_mut().for_each(|o| *o /= diagonal);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        detect::row_detector::RowDetectorRecord,
        features::{FeatureSchema, FeatureTable, FeatureView},
        model::{AnomalyDetector, OnlineModel, PersistentModel},
        signal::Channel,
    };
    use linfa::{DatasetBase, traits::Fit};
    use ndarray::array;

    fn table(n: usize, width: usize, f: impl Fn(usize, usize) -> f64) -> DatasetBase<FeatureTable, ()> {
        let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "g")).collect();
        let schema = FeatureSchema::of_channels(&channels).unwrap();
        let values = Array2::from_shape_fn((n, width), |(i, j)| f(i, j));
        DatasetBase::new(
            FeatureTable::new(schema, values, (0..n).map(|i| i as u32 % 10).collect()).unwrap(),
            (),
        )
    }

    /// Deterministic noise without a pattern.
    fn noise(i: usize, j: usize) -> f64 {
        (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    /// `x` by the mean and the standard deviation of each column.
    fn standardised(data: &DatasetBase<FeatureTable, ()>, x: &[f64]) -> Vec<f64> {
        let z = |(j, x): (usize, &f64)| {
            let column = data.records().values().column(j).to_owned();
            (x - column.mean().unwrap()) / column.std(1.0)
        };
        x.iter().enumerate().map(z).collect()
    }

    fn score(d: &MahalanobisDetector, x: &[f64]) -> f64 {
        d.assess(&(), FeatureView::new(d.schema(), x).unwrap())
            .unwrap()
            .ready()
            .unwrap()
            .value
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        let p = MahalanobisDetector::params;
        for (params, name) in [
            (p().shrinkage(Shrinkage::Fixed(f64::NAN)), "shrinkage"),
            (p().shrinkage(Shrinkage::Fixed(-0.1)), "shrinkage"),
            (p().shrinkage(Shrinkage::Fixed(1.1)), "shrinkage"),
            (p().false_alarm_rate(f64::NAN), "false_alarm_rate"),
            (p().n_folds(0), "n_folds"),
        ] {
            let e = params.fit(&table(50, 4, noise)).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{e}");
            assert!(e.to_string().contains(name), "{e}");
        }
    }

    #[test]
    fn inverse_of_a_triangle() {
        let lower = array![[2.0, 0.0, 0.0], [1.0, 4.0, 0.0], [3.0, -2.0, 0.5]];
        let w = inverse_lower(&lower);
        let full = array![[w[0], 0.0, 0.0], [w[1], w[2], 0.0], [w[3], w[4], w[5]]];
        assert_eq!(full.dot(&lower), Array2::<f64>::eye(3));
    }

    #[test]
    fn full_shrinkage_is_the_euclidean_distance() {
        // S = (n - 1) / n I for scaled rows.
        let data = table(100, 3, noise);
        let d = MahalanobisDetector::params()
            .shrinkage(Shrinkage::Fixed(1.0))
            .fit(&data)
            .unwrap();
        let x = [0.3, -0.2, 0.4];
        let expected = standardised(&data, &x).iter().map(|z| z * z).sum::<f64>() * 100.0 / 99.0;
        assert!((score(&d, &x) / expected - 1.0).abs() < 1e-14);
    }

    #[test]
    fn mean_training_distance_without_shrinkage_is_the_number_of_features() {
        // Σ z' C⁻¹ z = n trace(C⁻¹ C) = n p, exactly.
        let data = table(300, 5, |i, j| noise(i, j) + noise(i, 9));
        let d = MahalanobisDetector::params()
            .shrinkage(Shrinkage::Fixed(0.0))
            .fit(&data)
            .unwrap();
        let mean = data.records().rows().map(|x| score(&d, x)).sum::<f64>() / 300.0;
        assert!((mean - 5.0).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn singular_covariance_needs_shrinkage() {
        let twice = |i: usize, j: usize| noise(i, j % 2);
        for data in [table(60, 3, twice), table(20, 30, noise)] {
            let none = MahalanobisDetector::params().shrinkage(Shrinkage::Fixed(0.0));
            let e = none.fit(&data).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::NotConverged);
            assert!(e.to_string().contains("shrinkage"), "{e}");
            let d = MahalanobisDetector::params().fit(&data).unwrap();
            assert!(d.shrinkage() > 0.0 && d.shrinkage() <= 1.0);
        }
    }

    #[test]
    fn one_feature_and_too_few_rows() {
        let d = MahalanobisDetector::params().fit(&table(100, 1, noise)).unwrap();
        assert_eq!(d.shrinkage(), 0.0);
        for n in [1, 9] {
            let e = MahalanobisDetector::params().fit(&table(n, 1, noise)).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InsufficientData);
        }
    }

    #[test]
    fn constant_columns_take_no_part_wherever_they_lie() {
        let pick = |constant: &[usize]| {
            let constant = constant.to_vec();
            let next = move |i, j: usize| {
                if constant.contains(&j) {
                    7.0
                } else {
                    noise(i, j - constant.iter().filter(|c| **c < j).count())
                }
            };
            MahalanobisDetector::params().fit(&table(100, 5, next)).unwrap()
        };
        let x = [0.4, -0.3, 0.2];
        let bare = MahalanobisDetector::params().fit(&table(100, 3, noise)).unwrap();
        let mut expected = [0.0; 3];
        bare.contributions_into(&(), FeatureView::new(bare.schema(), &x).unwrap(), &mut expected)
            .unwrap();
        for constant in [[0, 1], [0, 4], [1, 3], [3, 4], [2, 3]] {
            let d = pick(&constant);
            let varying: Vec<usize> = (0..5).filter(|j| !constant.contains(j)).collect();
            let mut row = [1e9; 5];
            varying.iter().zip(x).for_each(|(&j, v)| row[j] = v);
            assert_eq!(score(&d, &row), score(&bare, &x));
            let mut shares = [1.0; 5];
            d.contributions_into(&(), FeatureView::new(d.schema(), &row).unwrap(), &mut shares)
                .unwrap();
            assert!(constant.iter().all(|&j| shares[j] == 0.0), "{constant:?} {shares:?}");
            assert_eq!(
                varying.iter().map(|&j| shares[j]).collect::<Vec<_>>(),
                expected,
                "{constant:?}"
            );
        }
    }

    #[test]
    fn broken_invariants_are_refused() {
        let good = MahalanobisDetector::params()
            .fit(&table(100, 3, noise))
            .unwrap()
            .to_persisted();
        assert_eq!(
            MahalanobisDetector::from_persisted(good.clone())
                .unwrap()
                .to_persisted(),
            good
        );
        type Break = fn(&mut RowDetectorRecord<MahalanobisRecord>);
        let breaks: [(&str, Break); 11] = [
            ("column out of range", |p| p.standard.columns[2] = 3),
            ("scale subnormal", |p| p.standard.scale[0] = 1e-310),
            ("scale long", |p| p.standard.scale.push(1.0)),
            ("whitening short", |p| p.algorithm.whitening.truncate(5)),
            ("whitening NaN", |p| p.algorithm.whitening[1] = f64::NAN),
            ("whitening huge", |p| p.algorithm.whitening[1] = 1e200),
            ("diagonal zero", |p| p.algorithm.whitening[2] = 0.0),
            ("diagonal negative", |p| p.algorithm.whitening[5] = -1.0),
            ("shrinkage", |p| p.algorithm.shrinkage = 1.5),
            ("threshold", |p| p.threshold = f64::NAN),
            ("rows", |p| p.n_rows = 1),
        ];
        for (what, broken) in breaks {
            let mut p = good.clone();
            broken(&mut p);
            assert_ne!(encoded(&p), encoded(&good), "{what}");
            let e = MahalanobisDetector::from_persisted(p).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }

    fn encoded(p: &RowDetectorRecord<MahalanobisRecord>) -> Vec<u8> {
        crate::envelope::encode(p).unwrap()
    }
}
