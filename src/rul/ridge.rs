//! Ridge regression: the linear baseline.

use super::row_regressor::{LabelledRows, PointModel, RowRegressor, RowRegressorParams, RulAlgorithm};
use crate::{
    error::{Error, Result},
    preprocess::{GramAccumulator, Standardizer, StandardizerRecord},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// Coefficients of a file beyond this would overflow with their sum.
const LARGEST_COEFFICIENT: f64 = 1e300;
/// Standardised features beyond this are held there: a line has no business so far out.
const LARGEST_Z: f64 = 10.0;

/// Remaining useful life by ridge regression on standardised features (Hoerl & Kennard 1970,
/// doi 10.1080/00401706.1970.10488634): `b + w . z`, clipped to `0..=cap`, with `w = (Z'Z + lambda I)^-1 Z'y`.
///
/// A missing feature counts as its training mean, a standardised one beyond +-10 as +-10; a row with more than three quarters
/// of its features missing, or an infinite one, is unusable. Intervals as in
/// [`BinnedIntervals`](super::conformal::BinnedIntervals). Fitting costs
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
pub type RidgeRul = RowRegressor<RidgeLine>;

/// Parameters of [`RidgeRul`].
pub type RidgeRulParams = RowRegressorParams<RidgeSettings>;

/// How [`RidgeRul`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct RidgeSettings {
    lambda: f64,
}

impl Default for RidgeSettings {
    fn default() -> Self {
        Self { lambda: 100.0 }
    }
}

/// The fitted half of [`RidgeRul`]: a line in standardised features.
#[derive(Clone, Debug)]
pub struct RidgeLine {
    scaling: Standardizer,
    intercept: f64,
    coefficients: Vec<f64>,
}

/// [`RidgeLine`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RidgeLineRecord {
    scaling: StandardizerRecord,
    intercept: f64,
    coefficients: Vec<f64>,
}

impl RidgeRul {
    /// Penalty 100, 90% intervals from five folds by asset, no cap.
    pub fn params() -> RidgeRulParams {
        RidgeRulParams::default()
    }

    /// Coefficients of the standardised features, in the order of the schema.
    pub fn coefficients(&self) -> &[f64] {
        &self.point_model().coefficients
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
    /// Penalty on squared coefficients.
    #[must_use]
    pub fn lambda(self, lambda: f64) -> Self {
        self.with(|s| s.lambda = lambda)
    }
}

impl RulAlgorithm for RidgeSettings {
    type Point = RidgeLine;

    fn check(&self) -> Result<()> {
        if self.lambda.is_finite() && self.lambda >= 0.0 {
            Ok(())
        } else {
            Err(Error::parameter("lambda", "finite and not negative", self.lambda))
        }
    }

    fn fit(&self, rows: LabelledRows<'_>, _: Seed) -> Result<RidgeLine> {
        let n = rows.table.schema().len();
        let scaling = Standardizer::fit(n, rows.table.rows())?;
        let mut gram = GramAccumulator::new(n, 1);
        let mut z = vec![0.0; n];
        for (row, &life) in rows.table.rows().zip(rows.lives) {
            scaling.transform_into(row, &mut z);
            z.iter_mut().for_each(|z| *z = held(*z));
            gram.add(&z, &[life]);
        }
        let solution = gram.solve(self.lambda)?;
        Ok(RidgeLine {
            scaling,
            intercept: solution.intercepts[0],
            coefficients: solution.coefficients.row(0).to_vec(),
        })
    }
}

impl PointModel for RidgeLine {
    const KIND: &'static str = "rul.ridge";
    type Record = RidgeLineRecord;

    fn predict(&self, row: &[f64]) -> f64 {
        let terms = self.coefficients.iter().zip(row).enumerate();
        let terms = terms.map(|(i, (w, &x))| w * held(self.scaling.standard(i, x)));
        self.intercept + terms.sum::<f64>()
    }

    fn to_record(&self) -> RidgeLineRecord {
        RidgeLineRecord {
            scaling: self.scaling.to_record(),
            intercept: self.intercept,
            coefficients: self.coefficients.clone(),
        }
    }

    fn from_record(r: RidgeLineRecord, n_features: usize) -> Result<Self> {
        let scaling = Standardizer::from_record(r.scaling)?;
        let sound = scaling.n_columns() == n_features
            && r.coefficients.len() == n_features
            && r.coefficients.iter().all(|c| c.abs() <= LARGEST_COEFFICIENT)
            && r.intercept.abs() <= LARGEST_COEFFICIENT;
        if !sound {
            return Err(Error::persistence(
                "ridge: expected one coefficient a feature, none beyond 1e300",
            ));
        }
        Ok(Self {
            scaling,
            intercept: r.intercept,
            coefficients: r.coefficients,
        })
    }
}
