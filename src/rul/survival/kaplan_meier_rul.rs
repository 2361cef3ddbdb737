//! Remaining life by age alone.

use super::{KaplanMeier, KaplanMeierRecord, life_rows};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams},
};

/// Remaining life by age alone: what the [`KaplanMeier`] curve of the recorded lives leaves after an age. Readings are not
/// looked at. The bar that every model with sensors should clear. Past the last recorded failure,
/// [`NoPrognosis::BeyondKnownLives`].
///
/// Costs a search and a walk along the steps, without allocation.
pub type KaplanMeierRul = TrajectoryRegressor<AgeCurve>;

/// Parameters of [`KaplanMeierRul`].
pub type KaplanMeierRulParams = TrajectoryRegressorParams<AgeCurveSettings>;

/// Settings of [`KaplanMeierRul`]: there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgeCurveSettings;

/// The fitted half of [`KaplanMeierRul`].
#[derive(Clone, Debug, PartialEq)]
pub struct AgeCurve {
    width: usize,
    curve: KaplanMeier,
}

impl AgeCurve {
    /// The curve.
    pub fn curve(&self) -> &KaplanMeier {
        &self.curve
    }
}

impl KaplanMeierRul {
    /// 90% intervals.
    pub fn params() -> KaplanMeierRulParams {
        KaplanMeierRulParams::default()
    }
}

impl TrajectoryAlgorithm for AgeCurveSettings {
    type Model = AgeCurve;

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, _: Seed) -> Result<AgeCurve> {
        let spells = life_rows::spells(lives, false)?;
        spells.expect_failures("Kaplan-Meier")?;
        Ok(AgeCurve {
            width: lives.first().map_or(0, |l| l.width),
            curve: KaplanMeier::fit(&spells),
        })
    }
}

impl TrajectoryModel for AgeCurve {
    const KIND: &'static str = "rul.kaplan_meier";
    type Record = KaplanMeierRecord;
    type Memory = ();

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) {}

    fn check_memory(&self, (): &()) -> Result<()> {
        Ok(())
    }

    fn observe(&self, (): &mut (), _: f64, _: &[f64]) {}

    fn prognose(&self, (): &(), age: f64, unit: LifeUnit) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        self.curve.remaining_after(age, unit)
    }

    fn to_record(&self) -> KaplanMeierRecord {
        self.curve.to_record()
    }

    fn from_record(record: KaplanMeierRecord, width: usize) -> Result<Self> {
        let curve = KaplanMeier::from_record(record)?;
        if curve.ages().len() == 0 {
            return Err(Error::persistence("Kaplan-Meier: expected at least 1 failure age"));
        }
        Ok(Self { width, curve })
    }
}
