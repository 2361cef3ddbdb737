//! Remaining life by proportional hazards.

use super::{
    CoxModel, CoxModelRecord, LifeSpells,
    last_readings::{CovariateModel, LastReadings, LastReadingsSettings, sealed::Fitted},
};
use crate::{
    error::Result,
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
    rul::{TrajectoryRegressor, TrajectoryRegressorParams},
};

/// Remaining life by [`CoxModel`]: the readings of a row hold until the next one, and a prognosis supposes that the last ones
/// hold for ever. A reading further than 10 standard deviations from its training mean counts as that far. Past the last
/// recorded failure, [`NoPrognosis::BeyondKnownLives`].
pub type CoxRul = TrajectoryRegressor<LastReadings<CoxModel>>;

/// Parameters of [`CoxRul`].
pub type CoxRulParams = TrajectoryRegressorParams<LastReadingsSettings<CoxModel>>;

impl CovariateModel for CoxModel {}

impl Fitted for CoxModel {
    const KIND: &'static str = "rul.cox";
    type Record = CoxModelRecord;

    fn fit_with(spells: &LifeSpells, penalizer: f64) -> Result<Self> {
        Self::params().penalizer(penalizer).fit(spells)
    }

    fn n_covariates(&self) -> usize {
        self.width()
    }

    fn left(&self, row: &[f64], age: f64, unit: LifeUnit) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        self.remaining(row, age, unit)
    }

    fn record(&self) -> Self::Record {
        self.to_record()
    }

    fn of_record(record: Self::Record, width: usize) -> Result<Self> {
        Self::from_record(record, width)
    }
}
