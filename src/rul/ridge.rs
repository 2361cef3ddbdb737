//! Ridge regression: the linear baseline.

use super::{
    BinnedIntervals, LabelSettings, PointRegressor, RulLabels, check_schema, estimate, no_fingerprint, too_many_missing,
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{Assessment, OnlineModel, PersistentModel, RulDistribution, RulEstimate, RulRegressor, fingerprint_of},
    preprocess::{GramAccumulator, Standardizer, StandardizerRecord},
    quantity::{LifeUnit, Seed},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use serde::{Deserialize, Serialize};

/// Coefficients of a file beyond this would overflow with their sum.
const LARGEST_COEFFICIENT: f64 = 1e300;
/// Standardised features beyond this are held there: a line has no business so far out.
const LARGEST_Z: f64 = 10.0;

/// Parameters of [`RidgeRul`], not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RidgeRulParams(RidgeRulValidParams);

/// Checked parameters of [`RidgeRul`].
#[derive(Clone, Debug, PartialEq)]
pub struct RidgeRulValidParams {
    labels: LabelSettings,
    lambda: f64,
}

/// Remaining useful life by ridge regression on standardised features (Hoerl & Kennard 1970,
/// doi 10.1080/00401706.1970.10488634): `b + w . z`, clipped to `0..=cap`, with `w = (Z'Z + lambda I)^-1 Z'y`.
///
/// A missing feature counts as its training mean, a standardised one beyond +-10 as +-10; a row with more than three quarters
/// of its features missing, or an infinite one, is unusable. Intervals as in [`BinnedIntervals`]. Fitting costs
/// `O(n_rows n_features^2 + n_features^3)`, a prediction `O(n_features)` without allocation.
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable}, model::{Assessment, OnlineModel}, quantity::LifeUnit,
///     rul::{RidgeRul, RulLabels}, signal::Channel,
/// };
/// let schema = FeatureSchema::of_channels(&[Channel::new("wear", "µm")])?;
/// let wear = Array2::from_shape_fn((1000, 1), |(i, _)| (i % 100) as f64);
/// let labels = RulLabels::new((0..1000).map(|i| 99.0 - (i % 100) as f64).collect(), LifeUnit::Hours)?;
/// let table = FeatureTable::new(schema, wear, (0..1000).map(|i| i / 100).collect())?;
/// let model = RidgeRul::params().lambda(1e-3).fit(&DatasetBase::new(table.clone(), labels))?;
/// let Assessment::Ready(estimate) = model.assess(&(), table.views().nth(60).unwrap())? else { panic!() };
/// assert!((estimate.rul - 39.0).abs() < 0.1);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RidgeRul {
    schema: FeatureSchema,
    fingerprint: Fingerprint,
    scaling: Standardizer,
    intercept: f64,
    coefficients: Vec<f64>,
    cap: Option<f64>,
    unit: LifeUnit,
    intervals: Option<BinnedIntervals>,
}

/// [`RidgeRul`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RidgeRulRecord {
    schema: FeatureSchema,
    scaling: StandardizerRecord,
    intercept: f64,
    coefficients: Vec<f64>,
    cap: Option<f64>,
    unit: LifeUnit,
    intervals: Option<BinnedIntervals>,
}

impl RidgeRul {
    /// Penalty 100, 90% intervals from five folds by asset, no cap.
    pub fn params() -> RidgeRulParams {
        RidgeRulParams(RidgeRulValidParams {
            labels: LabelSettings::default(),
            lambda: 100.0,
        })
    }

    /// Coefficients of the standardised features, in the order of the schema.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    fn point(&self, row: &[f64]) -> f64 {
        let z = |i: usize, x: f64| self.scaling.standard(i, x);
        let terms = self
            .coefficients
            .iter()
            .zip(row)
            .enumerate()
            .map(|(i, (w, &x))| w * held(z(i, x)));
        (self.intercept + terms.sum::<f64>()).clamp(0.0, self.cap.unwrap_or(f64::MAX))
    }

    fn finished(mut self) -> Result<Self> {
        self.fingerprint = fingerprint_of(Self::KIND, &self.to_persisted())?;
        Ok(self)
    }
}

fn held(z: f64) -> f64 {
    if z.is_nan() {
        0.0
    } else {
        z.clamp(-LARGEST_Z, LARGEST_Z)
    }
}

impl RidgeRulParams {
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

    /// Seed of the folds.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.0.labels.seed = seed;
        self
    }

    /// Penalty on squared coefficients.
    #[must_use]
    pub fn lambda(mut self, lambda: f64) -> Self {
        self.0.lambda = lambda;
        self
    }
}

impl ParamGuard for RidgeRulParams {
    type Checked = RidgeRulValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&RidgeRulValidParams> {
        self.0.labels.check()?;
        if !(self.0.lambda.is_finite() && self.0.lambda >= 0.0) {
            return Err(Error::parameter("lambda", "finite and not negative", self.0.lambda));
        }
        Ok(&self.0)
    }

    fn check(self) -> Result<RidgeRulValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

impl PointRegressor for RidgeRulValidParams {
    type Final = RidgeRul;

    fn labels(&self) -> &LabelSettings {
        &self.labels
    }

    fn fit_point(&self, table: &FeatureTable, labels: &RulLabels, _held_out: bool) -> Result<RidgeRul> {
        let n = table.schema().len();
        if labels.rul().len() != table.n_rows() {
            return Err(Error::input(
                "labels",
                format!("{}, one a row", table.n_rows()),
                labels.rul().len(),
            ));
        }
        let scaling = Standardizer::fit(n, table.rows())?;
        let mut gram = GramAccumulator::new(n, 1);
        let mut z = vec![0.0; n];
        for (row, &rul) in table.rows().zip(labels.rul()) {
            scaling.transform_into(row, &mut z);
            z.iter_mut().for_each(|z| *z = held(*z));
            gram.add(&z, &[self.labels.capped(rul)]);
        }
        let solution = gram.solve(self.lambda)?;
        Ok(RidgeRul {
            schema: table.schema().clone(),
            fingerprint: no_fingerprint(),
            scaling,
            intercept: solution.intercepts[0],
            coefficients: solution.coefficients.row(0).to_vec(),
            cap: self.labels.cap,
            unit: labels.unit(),
            intervals: None,
        })
    }

    fn predict(model: &RidgeRul, row: &[f64]) -> f64 {
        model.point(row)
    }

    fn with_intervals(model: RidgeRul, intervals: BinnedIntervals) -> Result<RidgeRul> {
        RidgeRul {
            intervals: Some(intervals),
            ..model
        }
        .finished()
    }
}

impl Fit<FeatureTable, RulLabels, Error> for RidgeRulValidParams {
    type Object = RidgeRul;

    fn fit(&self, dataset: &DatasetBase<FeatureTable, RulLabels>) -> Result<RidgeRul> {
        self.fit_with_intervals(&dataset.records, &dataset.targets)
    }
}

impl OnlineModel for RidgeRul {
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
        check_schema(&self.schema, &x)?;
        match (too_many_missing(x.values()), &self.intervals) {
            (Some(reason), _) => Ok(Assessment::Unusable(reason)),
            (None, Some(intervals)) => estimate(self.point(x.values()), self.cap, self.unit, intervals),
            (None, None) => Err(Error::insufficient("ridge", "intervals", "none")),
        }
    }

    fn update(&self, (): &mut (), x: FeatureView<'_>) -> Result<()> {
        check_schema(&self.schema, &x)
    }
}

impl RulRegressor for RidgeRul {
    fn distribution(&self, (): &(), x: FeatureView<'_>) -> Result<Assessment<RulDistribution>> {
        check_schema(&self.schema, &x)?;
        match (too_many_missing(x.values()), &self.intervals) {
            (Some(reason), _) => Ok(Assessment::Unusable(reason)),
            (None, Some(intervals)) => intervals
                .distribution(self.point(x.values()), self.cap, self.unit)
                .map(Assessment::Ready),
            (None, None) => Err(Error::insufficient("ridge", "intervals", "none")),
        }
    }
}

impl PersistentModel for RidgeRul {
    const KIND: &'static str = "rul.ridge";
    const KIND_VERSION: u32 = 1;
    type Persisted = RidgeRulRecord;

    fn to_persisted(&self) -> RidgeRulRecord {
        RidgeRulRecord {
            schema: self.schema.clone(),
            scaling: self.scaling.to_record(),
            intercept: self.intercept,
            coefficients: self.coefficients.clone(),
            cap: self.cap,
            unit: self.unit,
            intervals: self.intervals.clone(),
        }
    }

    fn from_persisted(r: RidgeRulRecord) -> Result<Self> {
        let scaling = Standardizer::from_record(r.scaling)?;
        let n = r.schema.len();
        let sound = scaling.n_columns() == n
            && r.coefficients.len() == n
            && r.coefficients.iter().all(|c| c.abs() <= LARGEST_COEFFICIENT)
            && r.intercept.abs() <= LARGEST_COEFFICIENT
            && r.cap.is_none_or(|c| c.is_finite() && c > 0.0)
            && r.intervals.is_some();
        if !sound {
            return Err(Error::persistence(
                "ridge: expected one coefficient a feature, none beyond 1e300, a cap above 0 and intervals",
            ));
        }
        Self {
            schema: r.schema,
            fingerprint: no_fingerprint(),
            scaling,
            intercept: r.intercept,
            coefficients: r.coefficients,
            cap: r.cap,
            unit: r.unit,
            intervals: r.intervals,
        }
        .finished()
    }
}
