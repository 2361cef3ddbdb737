//! Inputs and prognoses against those of training.

use super::{Fleet, FleetEventKind};
use crate::{
    drift::{DriftReport, InputMonitor, MachineTruth, TruthEnd, TruthReport, effective_number},
    error::{Error, Result},
    quantity::Timestamp,
};
use std::{borrow::Borrow, hash::Hash};

impl<K: Eq + Hash + Clone> Fleet<K> {
    /// The last full window of inputs against those of training, where they are [watched](super::FleetParams::watch_inputs).
    pub fn input_drift(&self) -> Option<&DriftReport> {
        self.input_report.as_ref()
    }

    /// Prognoses against what came true, as of the last [`learn_truth`](Fleet::learn_truth).
    pub fn truth_drift(&self) -> Option<&TruthReport> {
        self.truth_report.as_ref()
    }

    /// Closes a window of inputs that is full.
    pub(super) fn watch(&mut self, time: Timestamp) {
        let (Some((policy, _)), Some(reference)) = (&self.params.inputs, self.model.inputs()) else {
            return;
        };
        let n_rows: u64 = self
            .shards
            .iter()
            .filter_map(|s| s.inputs.as_ref())
            .map(InputMonitor::n_rows)
            .sum();
        if n_rows < policy.window_rows() {
            return;
        }
        let mut all = InputMonitor::new(reference);
        let mut rows_of = Vec::new();
        for shard in &mut self.shards {
            if let Some(monitor) = &mut shard.inputs {
                // Monitors of one reference always join.
                if all.merge(monitor).is_err() {
                    return;
                }
                monitor.reset();
            }
            for slot in &mut shard.slots {
                if slot.monitored > 0 {
                    rows_of.push(slot.monitored);
                    slot.monitored = 0;
                }
            }
        }
        // The number is a sum of squares: its order must not depend on the shards.
        rows_of.sort_unstable();
        let Ok(report) = all.assess(reference, policy, effective_number(rows_of)) else {
            return;
        };
        let before = self.input_report.as_ref().map(DriftReport::level).unwrap_or_default();
        let changed = report.level() != before;
        if changed {
            self.tell(None, time, FleetEventKind::InputDrift(Box::new(report.clone())));
        }
        self.input_report = Some(report);
    }

    /// Tells how a machine's life truly ended, or how much of it was left: its estimates are compared with that, and then
    /// forgotten. `None` where it had none. The machine stays known.
    ///
    /// # Errors
    /// `InvalidParameter` in a fleet that does not [watch its prognoses](super::FleetParams::watch_truth); `InvalidInput` where
    /// the machine is not known, or the end lies before all its estimates, which are kept then.
    pub fn learn_truth<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q, end: TruthEnd) -> Result<Option<MachineTruth>>
    where
        K: Borrow<Q>,
    {
        self.begin();
        let (Some((reference, policy)), Some(mut monitor)) = (self.params.truth.clone(), self.truth.clone()) else {
            return Err(Error::parameter("watch_truth", "a reference", "none"));
        };
        let Some(slot) = self.slot_mut(asset) else {
            return Err(Error::input("machine", "a known one", "one that is not"));
        };
        let time = slot.memory.last_time().unwrap_or_default();
        let Some(trail) = &mut slot.memory.trail else {
            return Ok(None);
        };
        if trail.is_empty() {
            return Ok(None);
        }
        let Some(truth) = monitor.learn(trail, end)? else {
            return Err(Error::input(
                "end of the machine",
                "one after an estimate",
                "one before all",
            ));
        };
        let report = monitor.assess(&reference, &policy)?;
        trail.clear();
        let before = self.truth_report.as_ref().map(TruthReport::level).unwrap_or_default();
        if report.level() != before {
            self.tell(None, time, FleetEventKind::TruthDrift(Box::new(report)));
        }
        self.truth = Some(monitor);
        self.truth_report = Some(report);
        Ok(Some(truth))
    }
}
