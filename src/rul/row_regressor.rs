//! Regressors that look at one row by itself: what all of them share.

use super::{
    LabelSettings, RulLabels,
    conformal::{BinnedIntervals, CalibrationRow},
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{Feature, FeatureSchema, FeatureTable, FeatureView},
    model::{
        Assessment, AssetFolds, OnlineModel, PersistentModel, RulDistribution, RulEstimate, RulRegressor,
        UnusableReason, fingerprint_of,
    },
    quantity::{LifeUnit, Seed},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// Rows with what is known of their remaining life.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LabelledRows<'a> {
    /// The rows, each with its asset; finite values or NaN.
    pub table: &'a FeatureTable,
    /// Remaining life of each row, capped where the parameters say so; finite and not negative.
    pub lives: &'a [f64],
    /// Whether each life is only known to be at least as long; `None` where none is.
    pub censored: Option<&'a [bool]>,
}

impl<'a> LabelledRows<'a> {
    /// Rows and lives that were checked elsewhere.
    pub(crate) fn new(table: &'a FeatureTable, lives: &'a [f64], censored: Option<&'a [bool]>) -> Self {
        Self { table, lives, censored }
    }
}

/// A way to learn remaining life from rows: the unfitted half of an algorithm, with its settings.
pub trait RulAlgorithm: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The fitted half.
    type Point: PointModel;

    /// Checks the settings, by themselves.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting, what was expected and what came.
    fn check(&self) -> Result<()>;

    /// Learns from `rows`. All chance comes from `seed`.
    ///
    /// # Errors
    /// `InvalidParameter` for settings that do not go with these rows, `InsufficientData`, `NotConverged`.
    fn fit(&self, rows: LabelledRows<'_>, seed: Seed) -> Result<Self::Point>;

    /// Whether it knows what to do with lives that are only known to be at least as long. Others are not given any.
    fn takes_censored(&self) -> bool {
        false
    }

    /// The settings of the models behind intervals, which may be cheaper.
    #[must_use]
    fn for_held_out(&self) -> Self {
        self.clone()
    }
}

/// A fitted algorithm that predicts the remaining life of a row.
pub trait PointModel: Clone + fmt::Debug + Send + Sync + 'static {
    /// The stable name of the algorithm in files: `rul.` and a word.
    const KIND: &'static str;
    /// The version of [`Record`](PointModel::Record).
    const KIND_VERSION: u32 = 1;
    /// What is written: a struct whose fields stand beside `schema`, `cap`, `unit` and `intervals` and have other names.
    type Record: Clone + fmt::Debug + Serialize + DeserializeOwned;

    /// The remaining life, not clipped; finite for every row of finite values and NaN of which at least a quarter is there.
    fn predict(&self, row: &[f64]) -> f64;

    /// What is written.
    fn to_record(&self) -> Self::Record;

    /// The algorithm that was written as `record`, for rows of `n_features` columns. Everything that the promises of this
    /// trait rest on is checked.
    ///
    /// # Errors
    /// `Persistence`.
    fn from_record(record: Self::Record, n_features: usize) -> Result<Self>;
}

/// A fitted regressor that looks at each row by itself (`State = ()`): an algorithm, clipped to `0..=cap`, and intervals
/// from assets it was not fitted on.
///
/// The estimate's point is the algorithm's, its interval the [shortest](BinnedIntervals) of the nominal level; the
/// distribution's central interval is a little wider. Lives at the cap mean "at least", and are beyond what the distribution
/// knows. A row whose life is only known to be at least as long has no residual and takes no part in the intervals; where
/// machines still running differ from those that failed, nothing is promised for them. Folds go by the numbers of the assets:
/// the same assets numbered otherwise make other folds.
///
/// Each algorithm's page says what a missing value is to it; a row with more than three quarters of its features
/// missing, or an infinite one, is unusable.
#[derive(Clone, Debug)]
pub struct RowRegressor<P> {
    schema: FeatureSchema,
    fingerprint: Fingerprint,
    point: P,
    cap: Option<f64>,
    unit: LifeUnit,
    intervals: BinnedIntervals,
}

/// A [`RowRegressor`] before it has intervals.
#[derive(Clone, Debug)]
pub(crate) struct Uncalibrated<P> {
    schema: FeatureSchema,
    point: P,
    cap: Option<f64>,
    unit: LifeUnit,
}

/// A [`RowRegressor`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowRegressorRecord<R> {
    schema: FeatureSchema,
    #[serde(flatten)]
    point: R,
    cap: Option<f64>,
    unit: LifeUnit,
    intervals: Option<BinnedIntervals>,
}

/// Parameters of a [`RowRegressor`], not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RowRegressorParams<A>(RowRegressorValidParams<A>);

/// Checked parameters of a [`RowRegressor`].
#[derive(Clone, Debug, PartialEq)]
pub struct RowRegressorValidParams<A> {
    algorithm: A,
    labels: LabelSettings,
}

impl<A: RulAlgorithm> RowRegressorParams<A> {
    /// Parameters around `algorithm`: 90% intervals from five folds by asset, no cap, seed 0.
    pub fn new(algorithm: A) -> Self {
        Self(RowRegressorValidParams {
            algorithm,
            labels: LabelSettings::default(),
        })
    }

    /// The same parameters with a setting of the algorithm changed.
    #[must_use]
    pub(super) fn with(mut self, change: impl FnOnce(&mut A)) -> Self {
        change(&mut self.0.algorithm);
        self
    }

    /// The algorithm's own settings, those of labels and intervals left behind.
    pub(super) fn into_algorithm(self) -> A {
        self.0.algorithm
    }

    /// Learns remaining lives above `cap`, in life units, as `cap`.
    #[must_use]
    pub fn label_cap(mut self, cap: f64) -> Self {
        self.0.labels.cap = Some(cap);
        self
    }

    /// Nominal level of the interval.
    #[must_use]
    pub fn interval(mut self, level: f64) -> Self {
        self.0.labels.level = level;
        self
    }

    /// Folds by asset behind the interval.
    #[must_use]
    pub fn n_folds(mut self, n: usize) -> Self {
        self.0.labels.n_folds = n;
        self
    }

    /// Seed of all chance.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.0.labels.seed = seed;
        self
    }
}

impl<A: RulAlgorithm + Default> Default for RowRegressorParams<A> {
    fn default() -> Self {
        Self::new(A::default())
    }
}

impl<A: RulAlgorithm> ParamGuard for RowRegressorParams<A> {
    type Checked = RowRegressorValidParams<A>;
    type Error = Error;

    fn check_ref(&self) -> Result<&RowRegressorValidParams<A>> {
        self.0.labels.check()?;
        self.0.algorithm.check()?;
        Ok(&self.0)
    }

    fn check(self) -> Result<RowRegressorValidParams<A>> {
        self.check_ref()?;
        Ok(self.0)
    }
}

impl<A: RulAlgorithm> RowRegressorValidParams<A> {
    /// Cap, level, folds and seed.
    pub(crate) fn labels(&self) -> &LabelSettings {
        &self.labels
    }

    /// Fits on labels it caps itself; `held_out` for the models behind the interval.
    pub(crate) fn fit_point(
        &self,
        table: &FeatureTable,
        labels: &RulLabels,
        held_out: bool,
    ) -> Result<Uncalibrated<A::Point>> {
        labels.expect_rows(table.n_rows())?;
        if let Some((i, v)) = table.values().iter().enumerate().find(|(_, v)| v.is_infinite()) {
            let (row, column) = (i / table.schema().len(), i % table.schema().len());
            let name = &table.schema().features()[column].name;
            return Err(Error::input(
                &format!("row {row}, feature `{name}`"),
                "finite or NaN",
                v,
            ));
        }
        if labels.has_censored() && !self.algorithm.takes_censored() {
            return Err(Error::input(
                "labels",
                "lives that are known, or an algorithm with a loss for censored ones",
                "lives known only to be at least as long",
            ));
        }
        let lives: Vec<f64> = labels.rul().iter().map(|r| self.labels.capped(*r)).collect();
        let rows = LabelledRows::new(table, &lives, labels.flags());
        let point = if held_out {
            self.algorithm.for_held_out().fit(rows, self.labels.seed)
        } else {
            self.algorithm.fit(rows, self.labels.seed)
        }?;
        Ok(Uncalibrated {
            schema: table.schema().clone(),
            point,
            cap: self.labels.cap,
            unit: labels.unit(),
        })
    }

    /// Residuals of the assets each of the folds' models was not fitted on.
    fn held_out_rows(&self, table: &FeatureTable, labels: &RulLabels) -> Result<Vec<CalibrationRow>> {
        let settings = &self.labels;
        let folds = AssetFolds::new(table.n_assets(), settings.n_folds, settings.seed)?;
        let mut rows = Vec::with_capacity(table.n_rows());
        for fold in 0..folds.n_folds() {
            let held_out: Vec<bool> = table
                .asset()
                .iter()
                .map(|&a| folds.holds_out(fold, a as usize))
                .collect();
            let (train, kept) = table.filtered(|i| !held_out[i])?;
            let model = self.fit_point(&train, &labels.of_rows(&kept), true)?;
            for (i, row) in table.rows().enumerate() {
                if held_out[i] && !labels.is_censored(i) && settings.calibrates(labels.rul()[i]) {
                    rows.push(CalibrationRow {
                        asset: table.asset()[i],
                        predicted: model.point(row),
                        truth: settings.capped(labels.rul()[i]),
                    });
                }
            }
        }
        Ok(rows)
    }
}

impl<A: RulAlgorithm> Fit<FeatureTable, RulLabels, Error> for RowRegressorValidParams<A> {
    type Object = RowRegressor<A::Point>;

    /// # Errors
    /// `InvalidInput` for labels of another length, an infinite value, or lives known only to be at least as long where the
    /// algorithm has no use for them; `InsufficientData` with fewer assets than folds; those of the algorithm.
    fn fit(&self, dataset: &DatasetBase<FeatureTable, RulLabels>) -> Result<RowRegressor<A::Point>> {
        let (table, labels) = (&dataset.records, &dataset.targets);
        labels.expect_rows(table.n_rows())?;
        let rows = self.held_out_rows(table, labels)?;
        let intervals = BinnedIntervals::fit(self.labels.level, &rows)?;
        self.fit_point(table, labels, false)?.calibrated(intervals)
    }
}

impl<P: PointModel> Uncalibrated<P> {
    pub(crate) fn point(&self, row: &[f64]) -> f64 {
        clipped(self.point.predict(row), self.cap)
    }

    pub(crate) fn calibrated(self, intervals: BinnedIntervals) -> Result<RowRegressor<P>> {
        RowRegressor {
            schema: self.schema,
            fingerprint: Fingerprint::of(&[]),
            point: self.point,
            cap: self.cap,
            unit: self.unit,
            intervals,
        }
        .finished()
    }
}

fn clipped(point: f64, cap: Option<f64>) -> f64 {
    point.clamp(0.0, cap.unwrap_or(f64::MAX))
}

impl<P: PointModel> RowRegressor<P> {
    /// The fitted algorithm.
    pub fn point_model(&self) -> &P {
        &self.point
    }

    /// Lives at which labels were capped.
    pub fn label_cap(&self) -> Option<f64> {
        self.cap
    }

    /// The intervals around its points.
    pub fn intervals(&self) -> &BinnedIntervals {
        &self.intervals
    }

    fn finished(mut self) -> Result<Self> {
        self.fingerprint = fingerprint_of(P::KIND, &self.to_persisted())?;
        Ok(self)
    }

    pub(super) fn features(&self) -> &[Feature] {
        self.schema.features()
    }

    /// The values of a row that can be predicted, or why it cannot.
    pub(super) fn usable<'x>(&self, x: FeatureView<'x>) -> Result<Assessment<&'x [f64]>> {
        self.schema.expect(x.schema())?;
        Ok(match too_many_missing(x.values()) {
            Some(reason) => Assessment::Unusable(reason),
            None => Assessment::Ready(x.values()),
        })
    }

    /// The point of a row, or why there is none.
    fn point_of(&self, x: FeatureView<'_>) -> Result<Assessment<f64>> {
        self.usable(x)?
            .try_map(|row| Ok(clipped(self.point.predict(row), self.cap)))
    }

    fn estimate(&self, point: f64) -> Result<RulEstimate> {
        let upper_bound = self.cap.unwrap_or(f64::MAX);
        let (lower, upper) = self.intervals.around(point);
        let upper = upper.max(lower); // interpolation may cross ends an ulp apart
        RulEstimate::new(
            point,
            lower.clamp(0.0, upper_bound),
            upper.clamp(0.0, upper_bound),
            self.intervals.level(),
            self.unit,
        )
    }
}

/// A row of which less than a quarter is there is no row. (A machine's first rows have no slopes yet.)
fn too_many_missing(values: &[f64]) -> Option<UnusableReason> {
    let n_missing = values.iter().filter(|v| v.is_nan()).count();
    if 4 * n_missing > 3 * values.len() || values.iter().any(|v| v.is_infinite()) {
        UnusableReason::of_values(values)
    } else {
        None
    }
}

impl<P: PointModel> OnlineModel for RowRegressor<P> {
    type State = ();
    type Output = RulEstimate;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) {}

    fn assess(&self, (): &(), x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
        self.point_of(x)?.try_map(|point| self.estimate(point))
    }

    fn update(&self, (): &mut (), x: FeatureView<'_>) -> Result<()> {
        self.schema.expect(x.schema())
    }
}

impl<P: PointModel> RulRegressor for RowRegressor<P> {
    fn distribution(&self, (): &(), x: FeatureView<'_>) -> Result<Assessment<RulDistribution>> {
        self.point_of(x)?
            .try_map(|point| self.intervals.distribution(point, self.cap, self.unit))
    }
}

impl<P: PointModel> PersistentModel for RowRegressor<P> {
    const KIND: &'static str = P::KIND;
    const KIND_VERSION: u32 = P::KIND_VERSION;
    type Persisted = RowRegressorRecord<P::Record>;

    fn to_persisted(&self) -> RowRegressorRecord<P::Record> {
        RowRegressorRecord {
            schema: self.schema.clone(),
            point: self.point.to_record(),
            cap: self.cap,
            unit: self.unit,
            intervals: Some(self.intervals.clone()),
        }
    }

    fn from_persisted(r: RowRegressorRecord<P::Record>) -> Result<Self> {
        if r.cap.is_some_and(|c| !(c.is_finite() && c > 0.0)) {
            return Err(Error::persistence(format!("{}: expected a cap above 0", P::KIND)));
        }
        let Some(intervals) = r.intervals else {
            return Err(Error::persistence(format!("{}: expected intervals", P::KIND)));
        };
        Uncalibrated {
            point: P::from_record(r.point, r.schema.len())?,
            schema: r.schema,
            cap: r.cap,
            unit: r.unit,
        }
        .calibrated(intervals)
    }
}
