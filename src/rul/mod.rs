//! Prognosis: regressors of remaining useful life (RUL), one a file, with intervals.
//!
//! Every regressor takes feature rows and keeps [`crate::model::RulRegressor`]. Labels may be capped: a machine in health
//! shows nothing of how long it will live, so remaining lives above the cap are all learned as the cap (Heimes 2008,
//! doi 10.1109/PHM.2008.4711422), and an estimate at the cap means "at least".

mod forest;
mod gradient_boosting;
mod histogram_trees;
mod intervals;
mod ridge;

pub use gradient_boosting::{
    GradientBoosting, GradientBoostingParams, GradientBoostingRecord, GradientBoostingValidParams,
};
pub use intervals::BinnedIntervals;
pub(crate) use intervals::CalibrationRow;
pub use ridge::{RidgeRul, RidgeRulParams, RidgeRulRecord, RidgeRulValidParams};

use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{Assessment, AssetFolds, RulEstimate, UnusableReason},
    quantity::{LifeUnit, Seed},
};
use serde::{Deserialize, Serialize};

/// Remaining life of each row of a [`FeatureTable`]: the target every regressor is fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct RulLabels {
    rul: Vec<f64>,
    unit: LifeUnit,
}

impl RulLabels {
    /// Remaining lives in `unit`.
    ///
    /// # Errors
    /// `InvalidInput` for one that is negative or not finite, naming its row.
    pub fn new(rul: Vec<f64>, unit: LifeUnit) -> Result<Self> {
        match rul.iter().position(|r| !(r.is_finite() && *r >= 0.0)) {
            Some(i) => Err(Error::input(
                &format!("remaining life of row {i}"),
                "finite and not negative",
                rul[i],
            )),
            None => Ok(Self { rul, unit }),
        }
    }

    /// The remaining lives.
    pub fn rul(&self) -> &[f64] {
        &self.rul
    }

    /// Their unit.
    pub fn unit(&self) -> LifeUnit {
        self.unit
    }
}

/// What every regressor here has besides its own way to a point estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LabelSettings {
    /// Remaining lives above are learned as this.
    pub(crate) cap: Option<f64>,
    /// Nominal level of the interval.
    pub(crate) level: f64,
    /// Folds by asset behind the interval.
    pub(crate) n_folds: usize,
    pub(crate) seed: Seed,
}

impl Default for LabelSettings {
    fn default() -> Self {
        Self {
            cap: None,
            level: 0.90,
            n_folds: 5,
            seed: Seed(0),
        }
    }
}

impl LabelSettings {
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(cap) = self.cap
            && !(cap.is_finite() && cap > 0.0)
        {
            return Err(Error::parameter("label_cap", "finite and above 0", cap));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(Error::parameter("interval", "above 0 and below 1", self.level));
        }
        if self.n_folds < 2 {
            return Err(Error::parameter("n_folds", "at least 2", self.n_folds));
        }
        Ok(())
    }

    pub(crate) fn capped(&self, rul: f64) -> f64 {
        self.cap.map_or(rul, |c| rul.min(c))
    }

    /// Residuals of rows far above the cap tell nothing of the interval where it matters, and flatter it: those rows are
    /// easy. Rows beyond 1.28 caps (160 for the usual 125) are left out.
    pub(crate) fn calibrates(&self, rul: f64) -> bool {
        self.cap.is_none_or(|c| rul <= 1.28 * c)
    }
}

/// A way to a point estimate, before it has an interval.
pub(crate) trait PointRegressor: Sized {
    /// The regressor fitted for good.
    type Final;

    /// Cap, level, folds and seed.
    fn labels(&self) -> &LabelSettings;
    /// Fits on labels it caps itself; `held_out` for the models behind the interval, which may be cheaper.
    fn fit_point(&self, table: &FeatureTable, labels: &RulLabels, held_out: bool) -> Result<Self::Final>;
    fn predict(model: &Self::Final, row: &[f64]) -> f64;
    fn with_intervals(model: Self::Final, intervals: BinnedIntervals) -> Result<Self::Final>;

    /// The point model with intervals from out-of-fold residuals, folds by asset.
    fn fit_with_intervals(&self, table: &FeatureTable, labels: &RulLabels) -> Result<Self::Final> {
        let settings = self.labels();
        settings.check()?;
        if labels.rul.len() != table.n_rows() {
            return Err(Error::input(
                "labels",
                format!("{}, one a row", table.n_rows()),
                labels.rul.len(),
            ));
        }
        let folds = AssetFolds::new(table.n_assets(), settings.n_folds, settings.seed)?;
        let mut rows = Vec::with_capacity(table.n_rows());
        for fold in 0..folds.n_folds() {
            let held_out: Vec<bool> = table
                .asset()
                .iter()
                .map(|&a| folds.holds_out(fold, a as usize))
                .collect();
            let (train, kept) = table.filtered(|i| !held_out[i])?;
            let train_labels = RulLabels {
                rul: kept.iter().map(|&i| labels.rul[i]).collect(),
                unit: labels.unit,
            };
            let model = self.fit_point(&train, &train_labels, true)?;
            for (i, row) in table.rows().enumerate() {
                if held_out[i] && settings.calibrates(labels.rul[i]) {
                    rows.push(CalibrationRow {
                        asset: table.asset()[i],
                        predicted: Self::predict(&model, row),
                        truth: settings.capped(labels.rul[i]),
                    });
                }
            }
        }
        let intervals = BinnedIntervals::fit(settings.level, &rows)?;
        Self::with_intervals(self.fit_point(table, labels, false)?, intervals)
    }
}

/// Refuses a row of another schema.
fn check_schema(own: &FeatureSchema, x: &FeatureView<'_>) -> Result<()> {
    own.expect(x.schema())
}

/// The estimate of a point within `0..=cap`.
fn estimate(
    point: f64,
    cap: Option<f64>,
    unit: LifeUnit,
    intervals: &BinnedIntervals,
) -> Result<Assessment<RulEstimate>> {
    let upper_bound = cap.unwrap_or(f64::MAX);
    let (lower, upper) = intervals.around(point);
    let upper = upper.max(lower); // interpolation may cross ends an ulp apart
    let estimate = RulEstimate::new(
        point,
        lower.clamp(0.0, upper_bound),
        upper.clamp(0.0, upper_bound),
        intervals.level(),
        unit,
    )?;
    Ok(Assessment::Ready(estimate))
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

/// Until a model is whole its fingerprint is that of nothing.
fn no_fingerprint() -> Fingerprint {
    Fingerprint::of(&[])
}
