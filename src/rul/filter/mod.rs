//! State estimation and physics of failure: filters of hidden states, models of degradation, and when they reach their end.
//!
//! | filter | for | end of life |
//! |---|---|---|
//! | [`KalmanFilter`] | linear models with normal noise, exact | |
//! | [`DriftingLevel`] | a level with a drift, any times | closed form |
//! | [`UnscentedKalmanFilter`] | curved models, one normal distribution | samples of it, moved on |
//! | [`ParticleFilter`] | any model, any distribution | its particles, moved on |
//!
//! | model | hidden | measured | end |
//! |---|---|---|---|
//! | [`ParisCrack`] | `ln a`, `ln C`, `m` | crack length | critical length |
//! | [`BatteryFade`] | two exponentials | capacity | least capacity |
//! | [`BearingWear`] | `ln x`, rate | logarithm of a feature | threshold |
//!
//! [`ParisRul`], [`BatteryRul`] and [`BearingWearRul`] are regressors of one measured column over these models: they learn from
//! recorded lives where new machines start, and follow each by particles.
//!
//! A model of one's own is a [`StateModel`]. Filters hold no machine: a machine's state is a [`GaussianBelief`] or a
//! [`ParticleState`], steps have any length, and values that are not finite are missing.

mod battery;
mod battery_rul;
mod bearing_wear;
mod bearing_wear_rul;
mod belief;
mod crossing;
mod dense;
mod first_passage;
mod kalman;
mod normals;
mod paris;
mod paris_rul;
mod particle;
mod particle_life;
mod priors;
mod state_model;
mod unscented;

pub use battery::BatteryFade;
pub use battery_rul::{BatteryRul, BatteryRulParams, BatterySettings};
pub use bearing_wear::BearingWear;
pub use bearing_wear_rul::{BearingWearRul, BearingWearRulParams, BearingWearSettings};
pub use belief::{GaussianBelief, MAX_STATES};
pub use crossing::CrossingSearch;
pub use first_passage::{DriftingLevel, DriftingLevelScratch};
pub use kalman::{KalmanFilter, KalmanScratch};
pub use paris::ParisCrack;
pub use paris_rul::{ParisRul, ParisRulParams, ParisSettings};
pub use particle::{MAX_PARTICLES, ParticleFilter, ParticleScratch, ParticleState};
pub use particle_life::{
    Degradation, DegradationSettings, ParticleLife, ParticleLifeRecord, ParticleMemory, ParticleSettings,
};
pub use state_model::{FilterStep, StateModel};
pub use unscented::{UnscentedKalmanFilter, UnscentedScratch};
