//! Survival models: lives that ended, and lives that only are known to be longer.
//!
//! | model | what it says | of |
//! |---|---|---|
//! | [`KaplanMeier`] | survival by age | ages alone |
//! | [`NelsonAalen`] | cumulative hazard by age | ages alone |
//! | [`WeibullAft`], [`LogNormalAft`] | lives stretched by covariates, of a known form | covariates, also changing ones |
//! | [`CoxModel`] | hazards multiplied by covariates, of no form | covariates, also changing ones |
//!
//! All take [`LifeSpells`]. [`KaplanMeierRul`], [`WeibullAftRul`], [`LogNormalAftRul`] and [`CoxRul`] follow live machines.

mod accelerated;
mod accelerated_rul;
mod columns;
mod cox;
mod cox_likelihood;
mod cox_rul;
mod kaplan_meier;
mod kaplan_meier_rul;
mod lanes;
mod last_readings;
mod life_rows;
mod log_normal_aft;
mod nelson_aalen;
mod newton;
mod remaining;
mod risk_table;
mod spells;
mod weibull_aft;

pub use accelerated::{AcceleratedLife, AcceleratedLifeParams, AcceleratedLifeRecord, Estimate, LogLife};
pub use accelerated_rul::{LogNormalAftRul, LogNormalAftRulParams, WeibullAftRul, WeibullAftRulParams};
pub use cox::{Baseline, CoxModel, CoxModelParams, CoxModelRecord};
pub use cox_rul::{CoxRul, CoxRulParams};
pub use kaplan_meier::{KaplanMeier, KaplanMeierRecord};
pub use kaplan_meier_rul::{AgeCurve, AgeCurveSettings, KaplanMeierRul, KaplanMeierRulParams};
pub use last_readings::{CovariateModel, LastReadings, LastReadingsSettings};
pub use log_normal_aft::{LogNormal, LogNormalAft, LogNormalAftParams};
pub use nelson_aalen::NelsonAalen;
pub use spells::LifeSpells;
pub use weibull_aft::{Weibull, WeibullAft, WeibullAftParams};
