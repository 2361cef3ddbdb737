//! Gaussian mixture: how improbable a row is under a few normal distributions.

use crate::detect::{
    row::mahalanobis::{MahalanobisMetric, MahalanobisRecord},
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::{Row, Z_MAX, check_numbers, second_moments},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use linfa::{
    DatasetBase,
    traits::{Fit, Predict},
};
use linfa_clustering::KMeans;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;
use serde::{Deserialize, Serialize};

/// `ln 2π`.
const LN_TAU: f64 = 1.837_877_066_409_345_3;
const MOST_COMPONENTS: usize = 64;
const MOST_ITERATIONS: usize = 1_000_000;
/// Starts of k-means, of which the best one starts the mixture.
const STARTS: usize = 5;
/// A component of fewer rows than this is none.
const LEAST_ROWS: f64 = 1e-9;

/// Anomaly detector by a Gaussian mixture: how improbable a row is under a few normal distributions.
///
/// For machines that work in several ways: each cloud of rows gets a mean and a covariance of its own.
///
/// # Method
///
/// Of rows in standard units, with `K` components of weight `w_k`, mean `m_k` and covariance `S_k`,
///
/// ```text
/// p(z)  = Σ_k w_k exp(-(z - m_k)' S_k⁻¹ (z - m_k) / 2) / sqrt((2π)^p det S_k)
/// score = -ln p(z)
/// ```
///
/// Scores may be negative. Components are fitted by expectation and maximisation from the clusters of k-means until the
/// mean of `ln p` over the training rows changes by less than the [`tolerance`](GaussianMixtureParams::tolerance); each
/// covariance has the [`covariance_floor`](GaussianMixtureParams::covariance_floor) added to its diagonal. Their number is
/// fixed, or the one of least BIC `-2 Σ ln p + q ln n` with `q = K (p + p (p + 1) / 2) + K - 1` parameters, in each fold by
/// itself. There are fewer where the rows have fewer distinct values or a component loses its rows.
///
/// The contribution of feature `j` is `Σ_k r_k (z - m_k)_j (S_k⁻¹ (z - m_k))_j / 2` with the responsibilities `r_k` of the
/// components for the row: its share of the distance to the components the row is near. Contributions add up to that
/// distance, not to the score, and one may be negative.
///
/// Logarithms of densities are added by their largest, so that a row far from all components has its finite score, and
/// one in training does no harm. (The mixture of linfa-clustering exponentiates them as they are: one training row 39
/// deviations out makes its fit fail. Its k-means is used here.)
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). Fitting costs `O(n_rows n_features² K)` an iteration, once and once a fold, for
/// each number of components that is tried. A row costs `O(n_features² K)` and allocates nothing up to 256 features.
///
/// # Sources
///
/// Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", J. Royal Statistical Society
/// B 39 (1977), doi [10.1111/j.2517-6161.1977.tb01600.x](https://doi.org/10.1111/j.2517-6161.1977.tb01600.x); Schwarz,
/// "Estimating the dimension of a model", Annals of Statistics 6 (1978), doi
/// [10.1214/aos/1176344136](https://doi.org/10.1214/aos/1176344136).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::GaussianMixtureDetector,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// // Two ways of working, idle and loaded.
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let noise = |i: usize, j: usize| ((i * 7919 + j * 104_729) % 997) as f64 / 997.0 - 0.5;
/// let values = Array2::from_shape_fn((400, 2), |(i, j)| if i % 20 < 10 { 10.0 } else { 50.0 } + noise(i, j));
/// let data = DatasetBase::new(FeatureTable::new(schema.clone(), values, (0..400).map(|i| i % 10).collect())?, ());
/// let detector = GaussianMixtureDetector::params().n_components(2).fit(&data)?;
///
/// let anomalous = |v: [f64; 2]| {
///     let score = detector.assess(&(), FeatureView::new(&schema, &v)?)?;
///     Ok::<_, prognos::Error>(score.ready().unwrap().is_anomalous())
/// };
/// assert!(!anomalous([10.1, 9.8])? && !anomalous([50.1, 49.8])?);
/// assert!(anomalous([30.0, 30.0])? && anomalous([10.0, 50.0])?); // between the two, and half of each
/// # Ok::<(), prognos::Error>(())
/// ```
pub type GaussianMixtureDetector = RowDetector<GaussianMixture>;

/// Parameters of a [`GaussianMixtureDetector`].
pub type GaussianMixtureParams = RowDetectorParams<GaussianMixtureSettings>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Fixed(usize),
    /// Of the least BIC among 1 to this many.
    Bic(usize),
}

/// How a [`GaussianMixtureDetector`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianMixtureSettings {
    number: Number,
    covariance_floor: f64,
    tolerance: f64,
    max_iterations: usize,
}

impl Default for GaussianMixtureSettings {
    fn default() -> Self {
        Self {
            number: Number::Bic(4),
            covariance_floor: 1e-6,
            tolerance: 1e-4,
            max_iterations: 1000,
        }
    }
}

impl GaussianMixtureParams {
    /// This many components, 1 to 64.
    #[must_use]
    pub fn n_components(self, n: usize) -> Self {
        self.with(|s| s.number = Number::Fixed(n))
    }

    /// As many components as have the least BIC, 1 to `most`, which is 1 to 64. Default, with 4.
    #[must_use]
    pub fn n_components_by_bic(self, most: usize) -> Self {
        self.with(|s| s.number = Number::Bic(most))
    }

    /// What is added to the diagonal of each covariance, in squared standard deviations of the features, 10⁻⁹ to 1. Default
    /// 10⁻⁶.
    #[must_use]
    pub fn covariance_floor(self, floor: f64) -> Self {
        self.with(|s| s.covariance_floor = floor)
    }

    /// The change of the mean of `ln p` at which the fit ends, above 0. Default 10⁻⁴.
    #[must_use]
    pub fn tolerance(self, change: f64) -> Self {
        self.with(|s| s.tolerance = change)
    }

    /// The most iterations, 1 to a million. Default 1000.
    #[must_use]
    pub fn max_iterations(self, n: usize) -> Self {
        self.with(|s| s.max_iterations = n)
    }
}

impl GaussianMixtureDetector {
    /// Default parameters: one to four components by BIC, a floor of 10⁻⁶, a false alarm rate of 0.01, five folds.
    pub fn params() -> GaussianMixtureParams {
        GaussianMixtureParams::default()
    }

    /// Number of components.
    pub fn n_components(&self) -> usize {
        self.scorer.components.len()
    }

    /// The weight of each component, above 0; they add up to 1.
    pub fn weights(&self) -> Vec<f64> {
        self.scorer.components.iter().map(|c| c.weight).collect()
    }

    /// The mean of each component, in training standard deviations from the training mean, one a feature that varies.
    pub fn means(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.scorer.components.iter().map(|c| c.mean.as_slice())
    }
}

/// The fitted half of a [`GaussianMixtureDetector`].
#[derive(Clone, Debug)]
pub struct GaussianMixture {
    width: usize,
    components: Vec<Component>,
}

#[derive(Clone, Debug)]
struct Component {
    weight: f64,
    mean: Vec<f64>,
    metric: MahalanobisMetric,
    /// `ln w - (p ln 2π + ln det S) / 2`.
    level: f64,
}

/// What is written of a [`GaussianMixture`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaussianMixtureRecord {
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    metrics: Vec<MahalanobisRecord>,
}

impl Component {
    fn new(weight: f64, mean: Vec<f64>, metric: MahalanobisMetric) -> Self {
        let level = libm::log(weight) - 0.5 * (mean.len() as f64 * LN_TAU + metric.log_det());
        Self {
            weight,
            mean,
            metric,
            level,
        }
    }

    fn offset(&self, z: &[f64]) -> Row {
        z.iter().zip(&self.mean).map(|(z, m)| z - m).collect()
    }

    /// The logarithm of its weighted density.
    #[inline]
    fn log_density(&self, z: &[f64]) -> f64 {
        self.level - 0.5 * self.metric.score(&self.offset(z))
    }
}

/// `ln Σ exp(v)`, each exponential relative to the largest so far; negative infinity for none.
#[inline]
fn log_sum_exp(values: impl Iterator<Item = f64>) -> f64 {
    let (mut largest, mut sum) = (f64::NEG_INFINITY, 0.0);
    for v in values {
        if v > largest {
            sum = sum * libm::exp(largest - v) + 1.0;
            largest = v;
        } else {
            sum += libm::exp(v - largest);
        }
    }
    largest + libm::log(sum)
}

impl GaussianMixture {
    /// `ln p(z)`.
    #[inline]
    fn log_density(&self, z: &[f64]) -> f64 {
        log_sum_exp(self.components.iter().map(|c| c.log_density(z)))
    }

    /// Sum of `ln p` over the rows; each component's responsibility for each row into `shares`, row by row.
    fn expect(&self, rows: Rows<'_>, shares: &mut Vec<f64>) -> f64 {
        shares.clear();
        let mut sum = 0.0;
        for z in rows.iter() {
            let start = shares.len();
            shares.extend(self.components.iter().map(|c| c.log_density(z)));
            let own = shares.get_mut(start..).unwrap_or_default();
            let total = log_sum_exp(own.iter().copied());
            own.iter_mut().for_each(|s| *s = libm::exp(*s - total));
            sum += total;
        }
        sum
    }
}

impl GaussianMixtureSettings {
    /// The mixture of greatest expected likelihood, given each component's responsibility for each row.
    fn maximised(&self, rows: Rows<'_>, k: usize, shares: &[f64]) -> Result<GaussianMixture> {
        let (n, p) = (rows.len() as f64, rows.width());
        let mut parts = Vec::with_capacity(k);
        let mut values = Vec::with_capacity(rows.values().len());
        for i in 0..k {
            let own = || shares.iter().skip(i).step_by(k);
            let total: f64 = own().sum();
            if total < LEAST_ROWS {
                continue;
            }
            let mut mean = vec![0.0; p];
            for (z, r) in rows.iter().zip(own()) {
                mean.iter_mut().zip(z).for_each(|(m, z)| *m += r * z);
            }
            mean.iter_mut().for_each(|m| *m /= total);
            values.clear();
            for (z, r) in rows.iter().zip(own()) {
                let root = r.sqrt();
                values.extend(z.iter().zip(&mean).map(|(z, m)| root * (z - m)));
            }
            let (mut covariance, _) = second_moments(Rows::new(&values, p), total);
            covariance
                .diag_mut()
                .iter_mut()
                .for_each(|c| *c += self.covariance_floor);
            let metric = MahalanobisMetric::of_covariance(covariance, 0.0)
                .map_err(|e| e.context(format!("component {} of {k}; raise `covariance_floor`", i + 1)))?;
            parts.push((total / n, mean, metric));
        }
        let sum: f64 = parts.iter().map(|(w, ..)| w).sum();
        let components: Vec<Component> = parts
            .into_iter()
            .map(|(w, mean, metric)| Component::new(w / sum, mean, metric))
            .collect();
        if components.is_empty() {
            return Err(Error::not_converged(format!("mixture of {k}: no component has a row")));
        }
        Ok(GaussianMixture { width: p, components })
    }

    /// A mixture of `k`, and the sum of `ln p` over the rows.
    fn fit_number(&self, rows: Rows<'_>, k: usize, seed: Seed) -> Result<(GaussianMixture, f64)> {
        let mut shares = clusters(rows, k, seed)?;
        let mut mixture = self.maximised(rows, k, &shares)?;
        let n = rows.len() as f64;
        let mut before = mixture.expect(rows, &mut shares);
        for _ in 0..self.max_iterations {
            mixture = self.maximised(rows, mixture.components.len(), &shares)?;
            let now = mixture.expect(rows, &mut shares);
            if (now - before).abs() < self.tolerance * n {
                return Ok((mixture, now));
            }
            before = now;
        }
        Err(Error::not_converged(format!(
            "mixture of {k}: ln p still changes by more than {} after {} iterations",
            self.tolerance, self.max_iterations
        )))
    }
}

/// One for the cluster of each row, zero for the others, row by row.
fn clusters(rows: Rows<'_>, k: usize, seed: Seed) -> Result<Vec<f64>> {
    if k == 1 {
        return Ok(vec![1.0; rows.len()]);
    }
    let records = rows.view().to_owned();
    let model = KMeans::params_with_rng(k, Xoshiro256Plus::seed_from_u64(seed.0))
        .n_runs(STARTS)
        .max_n_iterations(100)
        .tolerance(1e-3)
        .fit(&DatasetBase::from(records.clone()))
        .map_err(|e| Error::not_converged(format!("k-means of {k} clusters: {e}")).with_source(e))?;
    let mut shares = vec![0.0; rows.len() * k];
    for (own, label) in shares.chunks_exact_mut(k).zip(model.predict(&records)) {
        if let Some(share) = own.get_mut(label) {
            *share = 1.0;
        }
    }
    Ok(shares)
}

/// Number of distinct rows, up to `enough`.
fn count_distinct(rows: Rows<'_>, enough: usize) -> usize {
    let mut distinct: Vec<&[f64]> = Vec::with_capacity(enough);
    for z in rows.iter() {
        if !distinct.contains(&z) {
            distinct.push(z);
            if distinct.len() >= enough {
                break;
            }
        }
    }
    distinct.len()
}

impl RowAlgorithm for GaussianMixtureSettings {
    type Scorer = GaussianMixture;

    fn check(&self) -> Result<()> {
        let (name, n) = match self.number {
            Number::Fixed(n) => ("n_components", n),
            Number::Bic(n) => ("n_components_by_bic", n),
        };
        if !(1..=MOST_COMPONENTS).contains(&n) {
            return Err(Error::parameter(name, format!("from 1 to {MOST_COMPONENTS}"), n));
        }
        if !(1e-9..=1.0).contains(&self.covariance_floor) {
            return Err(Error::parameter(
                "covariance_floor",
                "from 1e-9 to 1",
                self.covariance_floor,
            ));
        }
        if !(self.tolerance.is_finite() && self.tolerance > 0.0) {
            return Err(Error::parameter("tolerance", "finite and above 0", self.tolerance));
        }
        if !(1..=MOST_ITERATIONS).contains(&self.max_iterations) {
            let range = format!("from 1 to {MOST_ITERATIONS}");
            return Err(Error::parameter("max_iterations", range, self.max_iterations));
        }
        Ok(())
    }

    /// # Errors
    /// `NotConverged` where iterations come to no rest.
    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<GaussianMixture> {
        let (Number::Fixed(most) | Number::Bic(most)) = self.number;
        // k-means cannot place more starts than there are points.
        let most = count_distinct(rows, most).max(1);
        let least = match self.number {
            Number::Fixed(_) => most,
            Number::Bic(_) => 1,
        };
        let (n, p) = (rows.len() as f64, rows.width() as f64);
        let mut best: Option<(GaussianMixture, f64)> = None;
        for k in least..=most {
            let (mixture, sum) = self.fit_number(rows, k, seed)?;
            let k = mixture.components.len() as f64;
            let bic = (k * (p + 0.5 * p * (p + 1.0)) + k - 1.0) * libm::log(n) - 2.0 * sum;
            if best.as_ref().is_none_or(|(_, b)| bic < *b) {
                best = Some((mixture, bic));
            }
        }
        best.map(|(m, _)| m)
            .ok_or_else(|| Error::insufficient("rows of a mixture", "at least 1", 0))
    }
}

impl RowScorer for GaussianMixture {
    const KIND: &'static str = "detect.gaussian_mixture";
    type Record = GaussianMixtureRecord;

    fn width(&self) -> usize {
        self.width
    }

    fn score(&self, z: &[f64]) -> f64 {
        -self.log_density(z)
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        let total = self.log_density(z);
        let mut own = Row::from_elem(0.0, out.len());
        for c in &self.components {
            own.fill(0.0);
            c.metric.contributions_into(&c.offset(z), &mut own);
            let half = 0.5 * libm::exp(c.log_density(z) - total);
            out.iter_mut().zip(&own).for_each(|(o, c)| *o += half * c);
        }
    }

    fn to_record(&self) -> GaussianMixtureRecord {
        let components = || self.components.iter();
        GaussianMixtureRecord {
            weights: components().map(|c| c.weight).collect(),
            means: components().map(|c| c.mean.clone()).collect(),
            metrics: components().map(|c| c.metric.to_record()).collect(),
        }
    }

    fn from_record(record: GaussianMixtureRecord, width: usize) -> Result<Self> {
        let k = record.weights.len();
        if !((1..=MOST_COMPONENTS).contains(&k) && record.means.len() == k && record.metrics.len() == k) {
            return Err(Error::persistence(format!(
                "components: expected as many weights, means and metrics, 1 to {MOST_COMPONENTS}, got {k}, {}, {}",
                record.means.len(),
                record.metrics.len()
            )));
        }
        check_numbers("weights", &record.weights, k, |w| w > 0.0 && w <= 1.0 + 1e-9)?;
        let sum = record.weights.iter().sum::<f64>();
        check_numbers("sum of the weights", &[sum], 1, |s| (s - 1.0).abs() <= 1e-6)?;
        let parts = record.weights.into_iter().zip(record.means).zip(record.metrics);
        let component = |((weight, mean), metric): ((f64, Vec<f64>), MahalanobisRecord)| {
            check_numbers("mean", &mean, width, |m| m.abs() <= Z_MAX)?;
            Ok(Component::new(
                weight,
                mean,
                MahalanobisMetric::from_record(metric, width)?,
            ))
        };
        Ok(Self {
            width,
            components: parts.map(component).collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Deterministic noise without a pattern.
    fn noise(i: usize, j: usize) -> f64 {
        (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    fn values(n: usize, p: usize, f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        (0..n * p).map(|k| f(k / p, k % p)).collect()
    }

    fn settings(number: Number) -> GaussianMixtureSettings {
        GaussianMixtureSettings {
            number,
            ..Default::default()
        }
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        let p = GaussianMixtureDetector::params;
        for (params, name) in [
            (p().n_components(0), "n_components"),
            (p().n_components_by_bic(65), "n_components_by_bic"),
            (p().covariance_floor(0.0), "covariance_floor"),
            (p().covariance_floor(f64::NAN), "covariance_floor"),
            (p().tolerance(f64::NAN), "tolerance"),
            (p().tolerance(0.0), "tolerance"),
            (p().max_iterations(0), "max_iterations"),
        ] {
            let e = linfa::ParamGuard::check(params).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{e}");
            assert!(e.to_string().contains(name), "{e}");
        }
    }

    #[test]
    fn one_component_of_one_column_is_the_normal_density() {
        let v = [-1.0, 0.0, 1.0, 4.0];
        let m = settings(Number::Fixed(1)).fit(Rows::new(&v, 1), Seed(0)).unwrap();
        let variance = 3.5 + 1e-6; // mean 1, deviations -2, -1, 0, 3
        for z in [-3.0_f64, 0.5, 1e6] {
            let expected = 0.5 * ((z - 1.0).powi(2) / variance + (std::f64::consts::TAU * variance).ln());
            assert!((m.score(&[z]) / expected - 1.0).abs() < 1e-13, "{z}");
        }
        let mut share = [0.0];
        m.contributions_into(&[3.0], &mut share);
        assert!((share[0] - 0.5 * 4.0 / variance).abs() < 1e-14);
    }

    #[test]
    fn density_is_the_naive_sum() {
        let v = values(300, 2, |i, j| 3.0 * (i % 3) as f64 * (j as f64 - 0.3) + noise(i, j));
        let m = settings(Number::Fixed(3)).fit(Rows::new(&v, 2), Seed(0)).unwrap();
        assert_eq!(m.components.len(), 3);
        for z in [[0.0, 0.0], [1.0, 4.0], [-2.0, 3.0]] {
            let naive: f64 = m.components.iter().map(|c| c.log_density(&z).exp()).sum();
            assert!((m.score(&z) + naive.ln()).abs() < 1e-12);
        }
        assert!((m.components.iter().map(|c| c.weight).sum::<f64>() - 1.0).abs() < 1e-12);
        // Far from all components exponentials are zero, and the score is not.
        assert!(m.score(&[1e6, -1e6]).is_finite() && m.score(&[1e6, -1e6]) > 1e10);
    }

    #[test]
    fn likelihood_never_falls() {
        let v = values(400, 2, |i, j| {
            (i % 4) as f64 * (0.6 + j as f64) + noise(i, j) + noise(i, 9)
        });
        let rows = Rows::new(&v, 2);
        let s = settings(Number::Fixed(3));
        let mut shares = clusters(rows, 3, Seed(1)).unwrap();
        let mut before = f64::NEG_INFINITY;
        for _ in 0..50 {
            let m = s.maximised(rows, 3, &shares).unwrap();
            let now = m.expect(rows, &mut shares);
            // The floor on covariances may cost at most about floor / variance a row.
            assert!(now >= before - 400.0 * 1e-4, "{now} {before}");
            before = now;
        }
    }

    #[test]
    fn bic_counts_the_clouds() {
        let v = values(600, 2, |i, j| {
            5.0 * ((i % 3) as f64) * (1.0 - 1.5 * j as f64) + normal(i, j)
        });
        let m = settings(Number::Bic(5)).fit(Rows::new(&v, 2), Seed(0)).unwrap();
        assert_eq!(m.components.len(), 3);
    }

    fn normal(i: usize, j: usize) -> f64 {
        (0..12).map(|k| noise(i, 20 + 12 * j + k)).sum()
    }

    #[test]
    fn a_spike_in_training_does_no_harm() {
        let v = values(3000, 2, |i, j| if i == 1500 { 500.0 } else { noise(i, j) });
        for k in [1, 2] {
            let m = settings(Number::Fixed(k)).fit(Rows::new(&v, 2), Seed(0)).unwrap();
            assert!(m.score(&[500.0, -500.0]) > m.score(&[0.0, 0.0]), "{k}");
        }
    }

    #[test]
    fn duplicates_planes_and_few_rows_are_fitted() {
        let same = values(60, 2, |i, _| (i % 2) as f64);
        let twice = values(60, 3, |i, j| noise(i, j % 2));
        let two = values(2, 3, noise);
        for (v, p) in [(&same, 2), (&twice, 3), (&two, 3)] {
            for number in [Number::Fixed(3), Number::Bic(4)] {
                let m = settings(number).fit(Rows::new(v, p), Seed(0)).unwrap();
                assert!(m.components.len() <= count_distinct(Rows::new(v, p), 9));
                assert!(Rows::new(v, p).iter().all(|z| m.score(z).is_finite()));
                assert!(m.score(&vec![1e6; p]).is_finite() && m.score(&vec![50.0; p]) > m.score(&v[..p]));
            }
        }
    }

    #[test]
    fn no_rest_is_an_error() {
        let v = values(300, 2, |i, j| (i % 4) as f64 * 0.4 + noise(i, j));
        let mut s = settings(Number::Fixed(4));
        (s.tolerance, s.max_iterations) = (1e-14, 3);
        let e = s.fit(Rows::new(&v, 2), Seed(0)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotConverged);
        assert!(e.to_string().contains("3 iterations"), "{e}");
    }

    #[test]
    fn broken_records_are_refused() {
        let v = values(100, 2, |i, j| 9.0 * (i % 2) as f64 + noise(i, j));
        let good = settings(Number::Fixed(2))
            .fit(Rows::new(&v, 2), Seed(1))
            .unwrap()
            .to_record();
        assert_eq!(GaussianMixture::from_record(good.clone(), 2).unwrap().to_record(), good);
        type Break = fn(&mut GaussianMixtureRecord);
        let breaks: [(&str, Break); 8] = [
            ("no component", |r| {
                r.weights.clear();
                r.means.clear();
                r.metrics.clear();
            }),
            ("a mean less", |r| r.means.truncate(1)),
            ("a metric less", |r| r.metrics.truncate(1)),
            ("mean short", |r| r.means[1].truncate(1)),
            ("mean NaN", |r| r.means[0][0] = f64::NAN),
            ("weight zero", |r| r.weights = vec![0.0, 1.0]),
            ("weights too large", |r| r.weights = vec![1.0, 1.0]),
            ("weight NaN", |r| r.weights[0] = f64::NAN),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = GaussianMixture::from_record(r, 2).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
        assert!(GaussianMixture::from_record(good, 3).is_err());
    }
}
