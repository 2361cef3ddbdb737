//! Remaining life by proportional hazards.

use super::{
    CoxModel, CoxModelRecord,
    life_rows::{self, check_ridge, check_row, per_row},
};
use crate::{
    error::Result,
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams},
};

/// Remaining life by [`CoxModel`]: the readings of a row hold until the next one, and a prognosis supposes that the last ones
/// hold for ever. A reading further than 10 standard deviations from its training mean counts as that far. Past the last
/// recorded failure, [`NoPrognosis::BeyondKnownLives`].
pub type CoxRul = TrajectoryRegressor<LastReadingsCox>;

/// Parameters of [`CoxRul`].
pub type CoxRulParams = TrajectoryRegressorParams<CoxSettings>;

/// Settings of [`CoxRul`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoxSettings {
    ridge: f64,
}

/// The fitted half of [`CoxRul`]; its memory is the last row.
#[derive(Clone, Debug, PartialEq)]
pub struct LastReadingsCox(CoxModel);

impl Default for CoxSettings {
    fn default() -> Self {
        Self { ridge: 0.01 }
    }
}

impl CoxRul {
    /// A ridge of 0.01, 90% intervals.
    pub fn params() -> CoxRulParams {
        CoxRulParams::default()
    }
}

impl CoxRulParams {
    /// Takes `ridge / 2` times the number of failures times the squares of the coefficients, a standard deviation of a reading
    /// the unit, off the log likelihood. 0 for none: then a reading that follows from others, or that separates the data
    /// perfectly, is refused.
    #[must_use]
    pub fn ridge(self, ridge: f64) -> Self {
        self.with(|settings| settings.ridge = ridge)
    }
}

impl LastReadingsCox {
    /// The model of hazards; its covariates are the chosen readings, named by their position.
    pub fn model(&self) -> &CoxModel {
        &self.0
    }
}

impl TrajectoryAlgorithm for CoxSettings {
    type Model = LastReadingsCox;

    fn check(&self) -> Result<()> {
        check_ridge(self.ridge)
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<LastReadingsCox> {
        let spells = life_rows::spells(lives, true)?;
        let fitted = CoxModel::params()
            .penalizer(per_row(self.ridge, &spells))
            .fit(&spells)?;
        // What a file would not hold is not kept, so that a model read back is the same.
        CoxModel::from_record(fitted.to_record(), fitted.width()).map(LastReadingsCox)
    }
}

impl TrajectoryModel for LastReadingsCox {
    const KIND: &'static str = "rul.cox";
    type Record = CoxModelRecord;
    type Memory = Vec<f64>;

    fn width(&self) -> usize {
        self.0.width()
    }

    fn new_memory(&self) -> Vec<f64> {
        vec![0.0; self.width()]
    }

    fn check_memory(&self, memory: &Vec<f64>) -> Result<()> {
        check_row(memory, self.width())
    }

    fn observe(&self, memory: &mut Vec<f64>, _: f64, row: &[f64]) {
        memory.iter_mut().zip(row).for_each(|(m, v)| *m = *v);
    }

    fn prognose(
        &self,
        memory: &Vec<f64>,
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        self.0.remaining(memory, age, unit)
    }

    fn to_record(&self) -> CoxModelRecord {
        self.0.to_record()
    }

    fn from_record(record: CoxModelRecord, width: usize) -> Result<Self> {
        CoxModel::from_record(record, width).map(Self)
    }
}
