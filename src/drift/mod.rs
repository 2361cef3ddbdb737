//! Is what the model sees in service still what it was trained on, and do its prognoses still come true?
//!
//! | question | at training | in service | answer |
//! |---|---|---|---|
//! | inputs | [`InputReference`] of [`MachineRows`] | [`InputMonitor`] | [`DriftReport`] under a [`DriftPolicy`] |
//! | prognoses | [`TruthReference`] | [`EstimateTrail`] a machine, [`TruthMonitor`] a fleet | [`TruthReport`] under a [`TruthPolicy`] |
//!
//! Rows of one machine follow one another: a thousand of them may say no more than one. So nothing here counts rows as
//! evidence; machines are counted. A level above [`Stable`](DriftLevel::Stable) takes both, a change large enough to matter and
//! evidence that machines drawn like those of training would seldom show it.

mod machine_rows;
mod monitor;
mod null_windows;
mod policy;
mod reference;
mod tails;
mod trail;
mod truth;
mod truth_policy;

pub use machine_rows::{MachineRows, effective_number};
pub use monitor::{ChannelDrift, DriftLevel, DriftReport, InputMonitor};
pub use policy::DriftPolicy;
pub use reference::{ChannelReference, InputReference, InputReferenceRecord};
pub use trail::EstimateTrail;
pub use truth::{MachineTruth, TruthEnd, TruthMonitor, TruthReference};
pub use truth_policy::{TruthFigures, TruthPolicy, TruthReport};
