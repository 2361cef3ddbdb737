//! Remaining life by accelerated failure times.

use super::{
    AcceleratedLife, AcceleratedLifeRecord, LifeSpells, LogLife, LogNormalAft, WeibullAft,
    accelerated::sealed::Shape,
    last_readings::{CovariateModel, LastReadings, LastReadingsSettings, sealed::Fitted},
};
use crate::{
    error::Result,
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
    rul::{TrajectoryRegressor, TrajectoryRegressorParams},
};

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
pub type WeibullAftRul = TrajectoryRegressor<LastReadings<WeibullAft>>;

/// Parameters of [`WeibullAftRul`].
pub type WeibullAftRulParams = TrajectoryRegressorParams<LastReadingsSettings<WeibullAft>>;

/// Remaining life by [`LogNormalAft`](super::LogNormalAft), otherwise as [`WeibullAftRul`].
pub type LogNormalAftRul = TrajectoryRegressor<LastReadings<LogNormalAft>>;

/// Parameters of [`LogNormalAftRul`].
pub type LogNormalAftRulParams = TrajectoryRegressorParams<LastReadingsSettings<LogNormalAft>>;

impl<D: LogLife> CovariateModel for AcceleratedLife<D> {}

impl<D: LogLife> Fitted for AcceleratedLife<D> {
    const KIND: &'static str = <D as Shape>::KIND;
    type Record = AcceleratedLifeRecord;

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
