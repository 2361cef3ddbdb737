//! Remaining life by a survival model whose covariates are a machine's last readings.

use super::life_rows::{self, check_ridge, check_row, per_row};
use crate::{
    error::Result,
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams},
};
use std::marker::PhantomData;

pub(super) mod sealed {
    use super::super::LifeSpells;
    use super::{LifeUnit, NoPrognosis, Result, RulDistribution};
    use serde::{Serialize, de::DeserializeOwned};
    use std::fmt;

    /// What is asked of a fitted model.
    pub trait Fitted: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
        /// The kind of its regressor in files.
        const KIND: &'static str;
        type Record: Clone + fmt::Debug + Serialize + DeserializeOwned;

        fn fit_with(spells: &LifeSpells, penalizer: f64) -> Result<Self>;
        fn n_covariates(&self) -> usize;
        fn left(
            &self,
            row: &[f64],
            age: f64,
            unit: LifeUnit,
        ) -> Result<std::result::Result<RulDistribution, NoPrognosis>>;
        fn record(&self) -> Self::Record;
        fn of_record(record: Self::Record, width: usize) -> Result<Self>;
    }
}

/// A survival model with covariates: [`WeibullAft`](super::WeibullAft), [`LogNormalAft`](super::LogNormalAft) or
/// [`CoxModel`](super::CoxModel).
pub trait CovariateModel: sealed::Fitted {}

/// How a survival model is fitted on the rows of recorded lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastReadingsSettings<M> {
    ridge: f64,
    model: PhantomData<M>,
}

/// A survival model whose covariates are the readings of a machine's last row, which is its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct LastReadings<M>(M);

impl<M> Default for LastReadingsSettings<M> {
    fn default() -> Self {
        Self {
            ridge: 0.01,
            model: PhantomData,
        }
    }
}

impl<M: CovariateModel> TrajectoryRegressor<LastReadings<M>> {
    /// A ridge of 0.01, 90% intervals.
    pub fn params() -> TrajectoryRegressorParams<LastReadingsSettings<M>> {
        TrajectoryRegressorParams::default()
    }
}

impl<M: CovariateModel> TrajectoryRegressorParams<LastReadingsSettings<M>> {
    /// Takes `ridge / 2` times the number of failures times the squares of the coefficients, a standard deviation of a reading
    /// the unit, off the log likelihood; of accelerated lives that of the log shape too. 0 for none: then a reading that
    /// follows from others, or that separates the data perfectly, is refused.
    #[must_use]
    pub fn ridge(self, ridge: f64) -> Self {
        self.with(|settings| settings.ridge = ridge)
    }
}

impl<M> LastReadings<M> {
    /// The model; its covariates are the chosen readings, named by their position.
    pub fn model(&self) -> &M {
        &self.0
    }
}

impl<M: CovariateModel> TrajectoryAlgorithm for LastReadingsSettings<M> {
    type Model = LastReadings<M>;

    fn check(&self) -> Result<()> {
        check_ridge(self.ridge)
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<LastReadings<M>> {
        let spells = life_rows::spells(lives, true)?;
        let fitted = M::fit_with(&spells, per_row(self.ridge, &spells))?;
        // What a file would not hold is not kept, so that a model read back is the same.
        M::of_record(fitted.record(), fitted.n_covariates()).map(LastReadings)
    }
}

impl<M: CovariateModel> TrajectoryModel for LastReadings<M> {
    const KIND: &'static str = M::KIND;
    type Record = M::Record;
    type Memory = Vec<f64>;

    fn width(&self) -> usize {
        self.0.n_covariates()
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
        self.0.left(memory, age, unit)
    }

    fn to_record(&self) -> M::Record {
        self.0.record()
    }

    fn from_record(record: M::Record, width: usize) -> Result<Self> {
        M::of_record(record, width).map(Self)
    }
}
