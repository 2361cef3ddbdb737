//! What a call did to the machines, beside their outcomes.

use crate::{
    decision::AlarmEvent,
    drift::{DriftReport, TruthReport},
    model::UnusableReason,
    quantity::Timestamp,
};
use serde::Serialize;

/// Something a service may want to act on, or to write down.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FleetEvent<K> {
    /// The machine; `None` where it concerns the fleet.
    pub asset: Option<K>,
    /// By the clock of the rows.
    pub time: Timestamp,
    /// What happened.
    pub kind: FleetEventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub enum FleetEventKind {
    /// An alarm was raised, escalated, cleared, ...; a sensor was lost or recovered.
    Alarm(AlarmEvent),
    /// The machine is known from now on.
    Admitted,
    /// The machine is known no more, as the caller asked.
    Retired,
    /// A row of an unknown machine was refused: there is no room for more machines.
    Refused,
    /// The machine had been silent longest, and left to make room for another.
    Evicted {
        /// All that was remembered of it, for [`Fleet::readmit`](super::Fleet::readmit).
        remembered: Vec<u8>,
    },
    /// The first of rows that cannot be used.
    Unusable(UnusableReason),
    /// The first row that can be used after some that could not.
    Usable,
    /// Rows stamped far from the others stood alone, and were dropped.
    ClockGlitch {
        /// Rows dropped.
        n_rows: u32,
    },
    /// The machine's clock went forward by more than a step, and stayed there.
    ClockForward {
        /// The last instant before.
        from: Timestamp,
    },
    /// The machine's clock was set back, and stayed there: what is remembered of its rows begins anew.
    ClockBack {
        /// The last instant before.
        from: Timestamp,
    },
    /// Inputs of the last window of rows against those of training; told where the level changes.
    InputDrift(Box<DriftReport>),
    /// Prognoses against what came true; told where the level changes.
    TruthDrift(Box<TruthReport>),
}
