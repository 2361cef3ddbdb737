//! Remaining life by accelerated failure times.

use super::{
    AcceleratedLife, AcceleratedLifeRecord, LogLife, LogNormal, Weibull,
    accelerated::sealed::Shape,
    life_rows::{self, check_ridge, check_row, per_row},
};
use crate::{
    error::Result,
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams},
};
use std::marker::PhantomData;

/// Remaining life by [`WeibullAft`](super::WeibullAft): the readings of a row hold until the next one, and a prognosis supposes
/// that the last ones hold for ever. A reading further than 10 standard deviations from its training mean counts as that far.
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable}, model::OnlineModel, quantity::LifeUnit,
///     rul::{RulLabels, survival::WeibullAftRul}, signal::Channel,
/// };
/// // Twenty machines that live for 20 to 39 hours, a row an hour; their load says which.
/// let (mut load, mut asset, mut times, mut left) = (vec![], vec![], vec![], vec![]);
/// for m in 0..20u32 {
///     for hour in 0..20 + m {
///         load.push(f64::from(39 - m) + f64::from((7 * m + 5 * hour) % 6));
///         asset.push(m);
///         times.push(LifeUnit::Cycles.instant(hour.into()));
///         left.push(f64::from(20 + m - hour));
///     }
/// }
/// let values = Array2::from_shape_vec((load.len(), 1), load)?;
/// let schema = FeatureSchema::of_channels(&[Channel::new("load", "kW")])?;
/// let table = FeatureTable::new(schema, values, asset)?.at(times)?;
/// let labels = RulLabels::new(left, LifeUnit::Cycles)?;
/// let model = WeibullAftRul::params().fit(&DatasetBase::new(table.clone(), labels))?;
/// let mut state = model.new_state();
/// let estimate = model.step(&mut state, table.views().next().unwrap())?.ready().unwrap();
/// assert!(estimate.lower < estimate.rul && estimate.rul < estimate.upper);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type WeibullAftRul = TrajectoryRegressor<LastReadingsAft<Weibull>>;

/// Parameters of [`WeibullAftRul`].
pub type WeibullAftRulParams = TrajectoryRegressorParams<AcceleratedSettings<Weibull>>;

/// Remaining life by [`LogNormalAft`](super::LogNormalAft), otherwise as [`WeibullAftRul`].
pub type LogNormalAftRul = TrajectoryRegressor<LastReadingsAft<LogNormal>>;

/// Parameters of [`LogNormalAftRul`].
pub type LogNormalAftRulParams = TrajectoryRegressorParams<AcceleratedSettings<LogNormal>>;

/// Settings of [`WeibullAftRul`] and [`LogNormalAftRul`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AcceleratedSettings<D> {
    ridge: f64,
    form: PhantomData<D>,
}

/// The fitted half of [`WeibullAftRul`] and [`LogNormalAftRul`]; its memory is the last row.
#[derive(Clone, Debug, PartialEq)]
pub struct LastReadingsAft<D>(AcceleratedLife<D>);

impl<D> Default for AcceleratedSettings<D> {
    fn default() -> Self {
        Self {
            ridge: 0.01,
            form: PhantomData,
        }
    }
}

impl<D: LogLife> TrajectoryRegressor<LastReadingsAft<D>> {
    /// A ridge of 0.01, 90% intervals.
    pub fn params() -> TrajectoryRegressorParams<AcceleratedSettings<D>> {
        TrajectoryRegressorParams::default()
    }
}

impl<D: LogLife> TrajectoryRegressorParams<AcceleratedSettings<D>> {
    /// Takes `ridge / 2` times the number of failures times the squares of the slopes, a standard deviation of a reading the
    /// unit, and of the log shape off the log likelihood. 0 for none: then a reading that follows from others, or that
    /// separates the data perfectly, is refused.
    #[must_use]
    pub fn ridge(self, ridge: f64) -> Self {
        self.with(|settings| settings.ridge = ridge)
    }
}

impl<D> LastReadingsAft<D> {
    /// The model of lives; its covariates are the chosen readings, named by their position.
    pub fn model(&self) -> &AcceleratedLife<D> {
        &self.0
    }
}

impl<D: LogLife> TrajectoryAlgorithm for AcceleratedSettings<D> {
    type Model = LastReadingsAft<D>;

    fn check(&self) -> Result<()> {
        check_ridge(self.ridge)
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<LastReadingsAft<D>> {
        let spells = life_rows::spells(lives, true)?;
        let params = AcceleratedLife::<D>::params().penalizer(per_row(self.ridge, &spells));
        // What a file would not hold is not kept, so that a model read back is the same.
        let fitted = params.fit(&spells)?;
        AcceleratedLife::from_record(fitted.to_record(), fitted.width()).map(LastReadingsAft)
    }
}

impl<D: LogLife> TrajectoryModel for LastReadingsAft<D> {
    const KIND: &'static str = <D as Shape>::KIND;
    type Record = AcceleratedLifeRecord;
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

    fn to_record(&self) -> AcceleratedLifeRecord {
        self.0.to_record()
    }

    fn from_record(record: AcceleratedLifeRecord, width: usize) -> Result<Self> {
        AcceleratedLife::from_record(record, width).map(Self)
    }
}
