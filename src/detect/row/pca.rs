//! Principal component analysis: Hotelling's T² inside the model plane, Q beside it, combined.

use crate::detect::{
    calibration::threshold::{
        ThresholdParams, TrainingRows, check_probability, conservative_quantile, threshold_setters,
    },
    row::plane::{Components, LEAST_LIMIT, Plane, RANK, check_limits, check_plane, combined},
    standard::{Standard, StandardRecord, check_numbers},
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, PersistentModel, UnusableReason, fingerprint_of},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, FisherSnedecor, Normal};

/// Anomaly detector by principal components: how extreme a row is along the usual directions, and how far beside them.
///
/// For correlated sensors of a machine in steady health. Fitted on healthy rows.
///
/// # Method
///
/// Features are centred and scaled by their mean and standard deviation over the training rows (divisor `n - 1`) to `z`.
/// The correlation matrix has eigenvalues `λ₁ ≥ λ₂ ≥ ..` and eigenvectors `p₁, p₂, ..`; the first `K` are kept. With
/// `t_k = p_k·z` and the residual `r = z - Σ_{k≤K} t_k p_k`,
///
/// ```text
/// T² = Σ_{k≤K} t_k² / λ_k        Q = |r|²        score = T² / limit(T²) + Q / limit(Q)
/// ```
///
/// The score is the combined index of Yue and Qin (2001). Both limits are empirical quantiles
/// ([`limit_quantile`](PcaParams::limit_quantile)) of T² and Q of training rows under models fitted without their asset;
/// the threshold is the quantile `1 - false_alarm_rate` of the scores of the same rows. See
/// [the module](crate::detect#thresholds) on folds and ranks. Limits below 10⁻¹² are raised to it. Where all directions
/// are kept, Q is zero for every row and left out of the score.
///
/// The contribution of feature `j` is `z_j Σ_{k≤K} t_k p_jk / λ_k / limit(T²) + r_j² / limit(Q)`. Contributions add up to
/// the score; the first part may be negative.
///
/// Columns constant over the training rows take no part in the score and have a contribution of zero. A direction whose
/// eigenvalue is below 10⁻¹⁰ of the first one's is never kept: it counts in Q. Fewer rows than features are no obstacle,
/// as limits come from held-out rows.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`, at least two usable rows a fold. Rows with a NaN or infinite value are left out
/// when fitting and [`Unusable`](Assessment::Unusable) when scoring; other rows always score finite. Fitting costs
/// `O(n_rows n_features² + n_features³)` time, once and once a fold, and `O(n_features²)` memory. A row costs
/// `O(n_features K)` and allocates nothing up to 256 features (two buffers above).
///
/// # Sources
///
/// Yue and Qin, "Reconstruction-based fault identification using a combined index", Ind. Eng. Chem. Res. 40 (2001),
/// doi [10.1021/ie000141+](https://doi.org/10.1021/ie000141+); Jackson and Mudholkar, "Control procedures for residuals
/// associated with principal component analysis", Technometrics 21 (1979), doi
/// [10.1080/00401706.1979.10489779](https://doi.org/10.1080/00401706.1979.10489779).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::PcaDetector,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::{AnomalyDetector, OnlineModel},
///     signal::Channel,
/// };
///
/// // Two sensors that follow each other, on ten machines.
/// let schema = FeatureSchema::of_channels(&[Channel::new("inlet", "K"), Channel::new("outlet", "K")])?;
/// let load = |i: usize| (i as f64 * 0.7).sin();
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 300.0 + 10.0 * load(i) + 0.1 * (j as f64) * load(7 * i));
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
///
/// let detector = PcaDetector::params().explained_variance(0.95).fit(&DatasetBase::new(table, ()))?;
///
/// let usual = detector.assess(&(), FeatureView::new(&schema, &[305.0, 305.0])?)?.ready().unwrap();
/// assert!(!usual.is_anomalous());
/// // Each value is usual, the pair is not.
/// let odd = FeatureView::new(&schema, &[305.0, 295.0])?;
/// assert!(detector.assess(&(), odd)?.ready().unwrap().is_anomalous());
///
/// let mut shares = [0.0; 2];
/// detector.contributions_into(&(), odd, &mut shares)?;
/// let score = detector.assess(&(), odd)?.ready().unwrap().value;
/// assert!((shares[0] + shares[1] - score).abs() < 1e-9 * score);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PcaDetector {
    schema: FeatureSchema,
    fingerprint: Fingerprint,
    plane: Plane,
    t2_limit: f64,
    q_limit: Option<f64>,
    threshold: f64,
    limit_quantile: f64,
    false_alarm_rate: f64,
    n_rows: u64,
}

/// Hotelling's T² and Q (squared prediction error) of one row; both finite and not negative, without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PcaStatistics {
    /// Squared distance from the centre inside the model plane, in units of each component's variance.
    pub t2: f64,
    /// Squared distance from the model plane, in standard deviations of the features.
    pub q: f64,
}

/// Parameters of a [`PcaDetector`], not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct PcaParams(PcaValidParams);

/// Checked parameters of a [`PcaDetector`].
#[derive(Clone, Debug, PartialEq)]
pub struct PcaValidParams {
    components: Components,
    limit_quantile: f64,
    threshold: ThresholdParams,
}

impl PcaParams {
    /// Keeps the fewest components that explain at least this share of the variance of the scaled features, above 0 and
    /// at most 1. Default 0.95.
    #[must_use]
    pub fn explained_variance(mut self, share: f64) -> Self {
        self.0.components = Components::Share(share);
        self
    }

    /// Keeps this many components, at least 1 and at most the number of features; fewer where training rows vary in fewer
    /// directions.
    #[must_use]
    pub fn n_components(mut self, n: usize) -> Self {
        self.0.components = Components::Number(n);
        self
    }

    /// Quantile of held-out T² and Q that weighs the two in the score, above 0 and below 1. Default 0.99.
    #[must_use]
    pub fn limit_quantile(mut self, quantile: f64) -> Self {
        self.0.limit_quantile = quantile;
        self
    }

    threshold_setters!();
}

impl ParamGuard for PcaParams {
    type Checked = PcaValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&PcaValidParams> {
        self.0.components.check()?;
        check_probability("limit_quantile", self.0.limit_quantile)?;
        self.0.threshold.check()?;
        Ok(&self.0)
    }

    fn check(self) -> Result<PcaValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// Targets are not looked at.
impl<T> Fit<FeatureTable, T, Error> for PcaValidParams {
    type Object = PcaDetector;

    /// # Errors
    /// `InvalidParameter` for more components than features; `InsufficientData` with fewer than two usable rows a fold or
    /// where no feature varies, over all rows or those outside a fold; `NotConverged` where the eigenvalues are not found.
    fn fit(&self, dataset: &DatasetBase<FeatureTable, T>) -> Result<PcaDetector> {
        self.fit_table(dataset.records()).map_err(|e| e.context("PCA detector"))
    }
}

impl PcaValidParams {
    fn fit_table(&self, table: &FeatureTable) -> Result<PcaDetector> {
        let n_features = table.schema().len();
        if let Components::Number(n) = self.components
            && n > n_features
        {
            let most = format!("at most {n_features}, the number of features");
            return Err(Error::parameter("n_components", most, n));
        }
        let rows = TrainingRows::new(table, self.threshold.n_folds, self.threshold.seed)?;
        let plane = Plane::fit(rows.rows(), self.components)?;
        let same_number = Components::Number(plane.n_components());
        let held_out = rows.out_of_fold(
            |train| Plane::fit(train, same_number),
            |m, rows| rows.iter().map(|x| m.statistics(x)).collect(),
        )?;

        let limit = |of: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = held_out.iter().map(of).collect();
            conservative_quantile(&mut values, self.limit_quantile).max(LEAST_LIMIT)
        };
        let t2_limit = limit(|s| s.0);
        let q_limit = (!plane.is_complete()).then(|| limit(|s| s.1));
        let mut scores: Vec<f64> = held_out.iter().map(|&s| combined(s, t2_limit, q_limit)).collect();
        let threshold = self.threshold.of_scores(&mut scores)?;
        PcaDetector::from_persisted(PcaRecord {
            schema: table.schema().clone(),
            standard: plane.standard.to_persisted(),
            eigenvalues: plane.eigenvalues,
            n_components: plane.n_components,
            components: plane.components,
            t2_limit,
            q_limit,
            threshold,
            limit_quantile: self.limit_quantile,
            false_alarm_rate: self.threshold.false_alarm_rate,
            n_rows: rows.rows().len() as u64,
        })
    }
}

impl PcaDetector {
    /// Default parameters: 95 % of the variance, limits at the 0.99 quantile, a false alarm rate of 0.01, five folds.
    pub fn params() -> PcaParams {
        PcaParams(PcaValidParams {
            components: Components::Share(0.95),
            limit_quantile: 0.99,
            threshold: ThresholdParams::default(),
        })
    }

    /// T² and Q of a row.
    ///
    /// # Errors
    /// `SchemaMismatch` for a row of another schema.
    pub fn t2_and_q(&self, x: FeatureView<'_>) -> Result<Assessment<PcaStatistics>> {
        self.usable(x, |detector, values| {
            let (t2, q) = detector.plane.statistics(values);
            PcaStatistics { t2, q }
        })
    }

    /// The components, `(n_components, n_features)`: rows are orthonormal loadings, by falling variance; zero in columns
    /// that take no part in the score. The element of largest magnitude of each is positive.
    pub fn components(&self) -> Array2<f64> {
        let mut out = Array2::zeros((self.plane.n_components(), self.schema.len()));
        for ((component, _), mut row) in self.plane.components().zip(out.rows_mut()) {
            for (column, value) in self.plane.standard.columns().zip(component) {
                if let Some(slot) = row.get_mut(column) {
                    *slot = *value;
                }
            }
        }
        out
    }

    /// Number of components kept.
    pub fn n_components(&self) -> usize {
        self.plane.n_components()
    }

    /// All eigenvalues of the training correlation matrix, highest first, one for each feature that varies. They add up
    /// to their number.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.plane.eigenvalues
    }

    /// Share of the variance of the scaled training features that the kept components explain, above 0 and at most 1.
    pub fn explained_variance(&self) -> f64 {
        let kept: f64 = self.plane.eigenvalues.iter().take(self.n_components()).sum();
        (kept / self.plane.eigenvalues.iter().sum::<f64>()).min(1.0)
    }

    /// The limit that T² is divided by in the score.
    pub fn t2_limit(&self) -> f64 {
        self.t2_limit
    }

    /// The limit that Q is divided by in the score; `None` where all directions are kept and Q is always zero.
    pub fn q_limit(&self) -> Option<f64> {
        self.q_limit
    }

    /// The score above which a row is anomalous.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Training rows used.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The limit that T² of a new healthy row exceeds with probability `alpha` where features are jointly normal and rows
    /// independent: `K (n² - 1) / (n (n - K)) F(1 - alpha; K, n - K)` with `n` training rows and `K` components.
    ///
    /// For comparison with textbooks; the score uses the empirical [`t2_limit`](PcaDetector::t2_limit). Source: Tracy,
    /// Young and Mason, J. Quality Technology 24 (1992), doi
    /// [10.1080/00224065.1992.12015232](https://doi.org/10.1080/00224065.1992.12015232).
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < alpha < 1`; `InsufficientData` unless there were more rows than components.
    pub fn theoretical_t2_limit(&self, alpha: f64) -> Result<f64> {
        check_probability("alpha", alpha)?;
        let (k, n) = (self.n_components() as f64, self.n_rows as f64);
        if n <= k {
            let needed = format!("more than {k} training rows, the number of components");
            return Err(Error::insufficient("theoretical limit of T²", needed, n));
        }
        let failed = || Error::not_converged(format!("F quantile at {alpha} with {k} and {} degrees", n - k));
        // The upper quantile as the reciprocal of a lower one, which small alphas do not round away.
        let f = FisherSnedecor::new(n - k, k).map_err(|e| failed().with_source(e))?;
        let limit = k * (n * n - 1.0) / (n * (n - k)) / f.inverse_cdf(alpha);
        if limit.is_finite() { Ok(limit) } else { Err(failed()) }
    }

    /// The limit that Q of a healthy row exceeds with probability about `alpha` where features are jointly normal, by the
    /// normal approximation of Jackson and Mudholkar (1979). With `θ_i = Σ_{k>K} λ_k^i`, `h = 1 - 2 θ₁ θ₃ / (3 θ₂²)` and
    /// the standard normal quantile `c = Φ⁻¹(1 - alpha)`,
    ///
    /// ```text
    /// limit = θ₁ (1 + c h sqrt(2 θ₂) / θ₁ + θ₂ h (h - 1) / θ₁²)^(1/h)
    /// ```
    ///
    /// and its limit for `h -> 0`. Zero where all directions of variation are kept. For comparison with textbooks; the
    /// score uses the empirical [`q_limit`](PcaDetector::q_limit).
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < alpha < 1`; `NotConverged` where the approximation has no value (one residual
    /// direction dominates very many small ones, and `alpha` is small).
    pub fn theoretical_q_limit(&self, alpha: f64) -> Result<f64> {
        check_probability("alpha", alpha)?;
        let residual = self.plane.eigenvalues.get(self.n_components()..).unwrap_or_default();
        let theta = |i: i32| residual.iter().map(|l| l.powi(i)).sum::<f64>();
        let (t1, t2, t3) = (theta(1), theta(2), theta(3));
        if t1 <= RANK {
            return Ok(0.0);
        }
        let normal = Normal::new(0.0, 1.0).map_err(|e| Error::not_converged("normal quantile").with_source(e))?;
        let c = -normal.inverse_cdf(alpha);
        let h = 1.0 - 2.0 * t1 * t3 / (3.0 * t2 * t2);
        let slope = c * (2.0 * t2).sqrt() / t1 + t2 * (h - 1.0) / (t1 * t1);
        // (1 + h s)^(1/h) = exp(ln(1 + h s) / h), which tends to exp(s).
        let exponent = if h.abs() < 1e-9 {
            slope
        } else {
            libm::log1p(h * slope) / h
        };
        let limit = t1 * libm::exp(exponent);
        if limit.is_finite() {
            Ok(limit)
        } else {
            Err(Error::not_converged(format!(
                "approximate limit of Q at {alpha}: h = {h}"
            )))
        }
    }

    #[inline]
    fn usable<T>(&self, x: FeatureView<'_>, f: impl FnOnce(&Self, &[f64]) -> T) -> Result<Assessment<T>> {
        self.schema.expect(x.schema())?;
        Ok(match UnusableReason::of_values(x.values()) {
            Some(reason) => Assessment::Unusable(reason),
            None => Assessment::Ready(f(self, x.values())),
        })
    }

    /// Every state is one of this model's: it remembers nothing.
    pub(in crate::detect) fn expect_state(&self, (): &()) -> Result<()> {
        Ok(())
    }
}

impl OnlineModel for PcaDetector {
    type State = ();
    type Output = AnomalyScore;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) {}

    fn assess(&self, (): &(), x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        self.usable(x, |d, values| AnomalyScore {
            value: combined(d.plane.statistics(values), d.t2_limit, d.q_limit),
            threshold: d.threshold,
        })
    }

    fn update(&self, (): &mut (), x: FeatureView<'_>) -> Result<()> {
        self.schema.expect(x.schema())
    }
}

impl AnomalyDetector for PcaDetector {
    fn contributions_into(&self, (): &(), x: FeatureView<'_>, out: &mut [f64]) -> Result<Assessment<()>> {
        if out.len() != self.schema.len() {
            return Err(Error::input(
                "contributions",
                format!("{} places", self.schema.len()),
                out.len(),
            ));
        }
        self.usable(x, |d, values| {
            out.fill(0.0);
            d.plane.shares(values, d.t2_limit, d.q_limit, |column, share| {
                if let Some(slot) = out.get_mut(column) {
                    *slot = share;
                }
            });
        })
    }
}

/// What is written of a [`PcaDetector`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PcaRecord {
    schema: FeatureSchema,
    standard: StandardRecord,
    eigenvalues: Vec<f64>,
    n_components: u32,
    components: Vec<f64>,
    t2_limit: f64,
    q_limit: Option<f64>,
    threshold: f64,
    limit_quantile: f64,
    false_alarm_rate: f64,
    n_rows: u64,
}

impl PcaRecord {
    /// Everything the score's finiteness and meaning rest on.
    fn check(&self, width: usize) -> Result<()> {
        check_plane(width, &self.eigenvalues, self.n_components, &self.components)?;
        check_limits(self.t2_limit, self.q_limit, (self.n_components as usize) < width)?;
        check_numbers("threshold", &[self.threshold], 1, f64::is_finite)?;
        let rates = [self.limit_quantile, self.false_alarm_rate];
        check_numbers("limit_quantile and false_alarm_rate", &rates, 2, |r| r > 0.0 && r < 1.0)?;
        if self.n_rows < 2 {
            return Err(Error::persistence(format!(
                "n_rows: expected at least 2, got {}",
                self.n_rows
            )));
        }
        Ok(())
    }
}

impl PersistentModel for PcaDetector {
    const KIND: &'static str = "detect.pca";
    const KIND_VERSION: u32 = 1;
    type Persisted = PcaRecord;

    fn to_persisted(&self) -> PcaRecord {
        PcaRecord {
            schema: self.schema.clone(),
            standard: self.plane.standard.to_persisted(),
            eigenvalues: self.plane.eigenvalues.clone(),
            n_components: self.plane.n_components,
            components: self.plane.components.clone(),
            t2_limit: self.t2_limit,
            q_limit: self.q_limit,
            threshold: self.threshold,
            limit_quantile: self.limit_quantile,
            false_alarm_rate: self.false_alarm_rate,
            n_rows: self.n_rows,
        }
    }

    fn from_persisted(p: PcaRecord) -> Result<Self> {
        let standard = Standard::from_persisted(p.standard.clone(), p.schema.len())?;
        p.check(standard.len())?;
        let mut model = Self {
            schema: p.schema,
            fingerprint: Fingerprint::of(&[]),
            plane: Plane {
                standard,
                eigenvalues: p.eigenvalues,
                n_components: p.n_components,
                components: p.components,
            },
            t2_limit: p.t2_limit,
            q_limit: p.q_limit,
            threshold: p.threshold,
            limit_quantile: p.limit_quantile,
            false_alarm_rate: p.false_alarm_rate,
            n_rows: p.n_rows,
        };
        // Of what would be written: a file may say more than a model keeps.
        model.fingerprint = fingerprint_of(Self::KIND, &model.to_persisted())?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Seed;
    use crate::{ErrorKind, signal::Channel};

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

    fn fitted() -> PcaDetector {
        PcaDetector::params()
            .fit(&table(200, 4, |i, j| noise(i, 9) + 0.3 * noise(i, j)))
            .unwrap()
    }

    fn statistics(d: &PcaDetector, x: &[f64]) -> PcaStatistics {
        d.t2_and_q(FeatureView::new(d.schema(), x).unwrap())
            .unwrap()
            .ready()
            .unwrap()
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        let p = PcaDetector::params;
        for (params, name) in [
            (p().explained_variance(f64::NAN), "explained_variance"),
            (p().explained_variance(0.0), "explained_variance"),
            (p().explained_variance(1.1), "explained_variance"),
            (p().n_components(0), "n_components"),
            (p().n_components(5), "n_components"),
            (p().limit_quantile(f64::NAN), "limit_quantile"),
            (p().limit_quantile(1.0), "limit_quantile"),
            (p().false_alarm_rate(0.0), "false_alarm_rate"),
            (p().n_folds(1), "n_folds"),
        ] {
            let e = params.fit(&table(50, 4, noise)).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{e}");
            assert!(e.to_string().contains(name), "{e}");
        }
    }

    #[test]
    fn number_and_share_choose_the_components() {
        let data = table(200, 4, |i, j| noise(i, 9) + 0.3 * noise(i, j));
        let by = |p: PcaParams| p.fit(&data).unwrap();
        assert_eq!(by(PcaDetector::params().n_components(3)).n_components(), 3);
        assert_eq!(by(PcaDetector::params().explained_variance(0.5)).n_components(), 1);
        let all = by(PcaDetector::params().explained_variance(1.0));
        assert_eq!(
            (
                all.n_components(),
                all.q_limit(),
                all.theoretical_q_limit(0.01).unwrap()
            ),
            (4, None, 0.0)
        );
        assert!((all.explained_variance() - 1.0).abs() < 1e-12);
        assert_eq!(statistics(&all, &[9.0, -9.0, 3.0, 1.0]).q, 0.0);
        let e = all.eigenvalues();
        assert!((e.iter().sum::<f64>() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn redundant_columns_count_in_q() {
        // The third column is the sum of the others: two directions of variation, and a broken sum shows.
        let sum = |i: usize, j: usize| if j < 2 { noise(i, j) } else { noise(i, 0) + noise(i, 1) };
        let d = PcaDetector::params().n_components(3).fit(&table(200, 3, sum)).unwrap();
        assert_eq!((d.n_components(), d.q_limit()), (2, Some(LEAST_LIMIT)));
        assert!(statistics(&d, &[0.2, 0.1, 0.3]).q < 1e-25);
        assert!(statistics(&d, &[0.2, 0.1, 0.31]).q > 1e-5);
        assert_eq!(d.theoretical_q_limit(0.01).unwrap(), 0.0);
    }

    #[test]
    fn constant_columns_take_no_part() {
        let d = PcaDetector::params();
        let d = d
            .fit(&table(200, 4, |i, j| if j == 2 { 5.0 } else { noise(i, j) }))
            .unwrap();
        assert_eq!((d.components().ncols(), d.eigenvalues().len()), (4, 3));
        assert!(d.components().column(2).iter().all(|p| *p == 0.0));
        assert_eq!(
            statistics(&d, &[0.1, 0.2, 5.0, 0.3]),
            statistics(&d, &[0.1, 0.2, -1e300, 0.3])
        );
        let mut shares = [1.0; 4];
        let x = FeatureView::new(d.schema(), &[0.1, 0.2, 9.0, 0.3]).unwrap();
        d.contributions_into(&(), x, &mut shares).unwrap();
        assert_eq!(shares[2], 0.0);
        let e = PcaDetector::params().fit(&table(50, 2, |_, _| 1.0)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InsufficientData);
    }

    #[test]
    fn fewer_rows_than_features_and_bad_rows() {
        let d = PcaDetector::params().fit(&table(20, 30, noise)).unwrap();
        assert!(d.n_components() < 20 && d.q_limit().unwrap() > 1.0);
        let gaps = |i, j| if i % 2 == 0 && j == 1 { f64::NAN } else { noise(i, j) };
        assert_eq!(PcaDetector::params().fit(&table(40, 3, gaps)).unwrap().n_rows(), 20);
        for n in [1, 2, 9] {
            let e = PcaDetector::params().fit(&table(n, 3, noise)).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InsufficientData, "{n}");
        }
    }

    #[test]
    fn bad_arguments_of_contributions_and_limits() {
        let d = fitted();
        let x = FeatureView::new(d.schema(), &[0.0; 4]).unwrap();
        let e = d.contributions_into(&(), x, &mut [0.0; 3]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput);
        for alpha in [0.0, 1.0, f64::NAN, -1.0] {
            assert_eq!(
                d.theoretical_t2_limit(alpha).unwrap_err().kind(),
                ErrorKind::InvalidParameter
            );
            assert_eq!(
                d.theoretical_q_limit(alpha).unwrap_err().kind(),
                ErrorKind::InvalidParameter
            );
        }
        let (a, b) = (
            d.theoretical_t2_limit(1e-12).unwrap(),
            d.theoretical_t2_limit(0.01).unwrap(),
        );
        assert!(a > b && b > 0.0);
    }

    #[test]
    fn q_limit_of_one_residual_direction_is_near_chi_square() {
        // One residual direction: Q / λ is chi-square with one degree, whose 0.95 quantile is 3.8415.
        let d = PcaDetector::params()
            .n_components(3)
            .fit(&table(200, 4, noise))
            .unwrap();
        let ratio = d.theoretical_q_limit(0.05).unwrap() / d.eigenvalues()[3];
        assert!((ratio / 3.8415 - 1.0).abs() < 0.03, "{ratio}");
    }

    #[test]
    fn broken_invariants_are_refused() {
        let good = fitted().to_persisted();
        assert!(good.q_limit.is_some());
        assert_eq!(PcaDetector::from_persisted(good.clone()).unwrap().to_persisted(), good);
        type Break = fn(&mut PcaRecord);
        let breaks: [(&str, Break); 22] = [
            ("column out of range", |p| p.standard.columns[3] = 4),
            ("columns not increasing", |p| p.standard.columns[1] = 0),
            ("no columns", |p| p.standard.columns.clear()),
            ("centre short", |p| p.standard.centre.truncate(3)),
            ("centre NaN", |p| p.standard.centre[0] = f64::NAN),
            ("scale zero", |p| p.standard.scale[0] = 0.0),
            ("scale negative", |p| p.standard.scale[0] = -1.0),
            ("scale infinite", |p| p.standard.scale[0] = f64::INFINITY),
            ("eigenvalues short", |p| p.eigenvalues.truncate(3)),
            ("eigenvalues rising", |p| p.eigenvalues.reverse()),
            ("eigenvalues too large", |p| {
                p.eigenvalues.iter_mut().for_each(|l| *l *= 2.0)
            }),
            ("eigenvalue NaN", |p| p.eigenvalues[3] = f64::NAN),
            ("no component", |p| p.n_components = 0),
            ("too many components", |p| p.n_components = u32::MAX),
            ("components short", |p| p.components.truncate(1)),
            ("components not orthonormal", |p| p.components[0] += 1e-3),
            ("T² limit", |p| p.t2_limit = 0.0),
            ("Q limit missing", |p| p.q_limit = None),
            ("Q limit NaN", |p| p.q_limit = Some(f64::NAN)),
            ("threshold", |p| p.threshold = f64::INFINITY),
            ("rate", |p| p.false_alarm_rate = f64::NAN),
            ("rows", |p| p.n_rows = 0),
        ];
        for (what, broken) in breaks {
            let mut p = good.clone();
            broken(&mut p);
            assert_ne!(p, good, "{what}");
            let e = PcaDetector::from_persisted(p).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }
}
