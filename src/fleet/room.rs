//! Bounds on the machines, and what happens when they are reached.

use super::{
    Fleet, FleetEventKind, WhenFull,
    slot::{Memory, Slot},
};
use crate::{
    error::{Error, Result},
    features::FeatureView,
    model::{Assessment, OnlineModel},
    quantity::Timestamp,
};
use std::hash::Hash;

/// Of the machines known, the part that leaves at once where one must: finding those silent longest visits all.
const LEAVING_AT_ONCE: usize = 128;

/// Machines that left and are remembered by name for snapshots of changes; more, and a snapshot must be a whole one.
const MAX_LEFT: usize = 65_536;

impl<K: Eq + Hash + Clone> Fleet<K> {
    pub(super) fn is_bounded(&self) -> bool {
        self.params.max_assets.is_some() || self.params.memory_budget.is_some()
    }

    fn is_full(&self) -> bool {
        let charged = || self.shards.iter().map(|shard| shard.charged).sum::<u64>();
        self.params.max_assets.is_some_and(|n| self.n_assets >= n)
            || self.params.memory_budget.is_some_and(|bytes| charged() >= bytes)
    }

    /// Whether there is room for one machine more; makes some where the policy says so.
    pub(super) fn make_room(&mut self, time: Timestamp) -> bool {
        if !self.is_bounded() || !self.is_full() {
            return true;
        }
        match self.params.when_full {
            WhenFull::Refuse => false,
            WhenFull::EvictLongestSilent => {
                self.evict(time);
                !self.is_full()
            }
        }
    }

    /// Whether an unknown machine's row would make it known: one that is malformed does not, nor one that cannot be used, unless
    /// it waits first. The latter is found out only where another machine would have to leave.
    pub(super) fn needs_room(&mut self, shard: usize, time: Timestamp, values: &[f64]) -> bool {
        let Ok(x) = FeatureView::new(self.model.schema(), values) else {
            return false;
        };
        if self.params.when_full == WhenFull::Refuse || self.params.rows_may_wait() || !self.is_full() {
            return true;
        }
        let Some(shard) = self.shards.get_mut(shard) else {
            return true;
        };
        let outcome = self
            .model
            .step_with(&mut self.model.new_state(), x.at(time), &mut shard.scratch);
        !matches!(outcome, Ok(Assessment::Unusable(_)))
    }

    fn evict(&mut self, time: Timestamp) {
        let n = (self.n_assets / LEAVING_AT_ONCE).max(1);
        let mut by_silence: Vec<(Option<Timestamp>, u64, K)> = self
            .slots()
            .map(|slot| (slot.memory.last_heard(), slot.memory.number, slot.key.clone()))
            .collect();
        by_silence.sort_by_key(|(last, number, _)| (*last, *number));
        for (_, _, key) in by_silence.into_iter().take(n) {
            let Some(slot) = self.slot(&key) else { continue };
            // A machine whose memory cannot be written stays: nothing is lost in silence.
            let Ok(remembered) = slot.memory.to_bytes() else {
                continue;
            };
            self.take_out(&key);
            if let Some(shard) = self.shards.first_mut() {
                shard.metrics.evicted += 1;
            }
            self.tell(Some(key), time, FleetEventKind::Evicted { remembered });
        }
    }

    /// Makes an evicted machine known again, as it left: its next row has the outcome it would have had.
    ///
    /// # Errors
    /// `InvalidInput` where it is known, or there is no room; `Persistence` or `StateMismatch` for bytes that are not of a
    /// machine of this model.
    pub fn readmit(&mut self, asset: K, remembered: &[u8]) -> Result<()> {
        self.begin();
        if self.slot(&asset).is_some() {
            return Err(Error::input("asset to readmit", "a new one", "one that is known"));
        }
        let mut memory = Memory::from_bytes(remembered, &self.model, self.shadow.as_deref())?;
        let time = memory.last_time().unwrap_or_default();
        if !self.make_room(time) {
            return Err(Error::input("fleet", "room for another machine", "none"));
        }
        memory.number = self.number;
        self.number += 1;
        let slot = Slot {
            key: asset.clone(),
            memory,
            changed: self.call,
            last: None,
            unusable: None,
            monitored: 0,
        };
        self.settle(slot);
        if let Some(shard) = self.shards.first_mut() {
            shard.metrics.admitted += 1;
        }
        self.tell(Some(asset), time, FleetEventKind::Admitted);
        Ok(())
    }

    /// From now on a snapshot must be a whole one: no changes lead from other models to these.
    pub(super) fn end_marks(&mut self) {
        self.left.clear();
        self.left_since = self.call;
    }

    pub(super) fn note_left(&mut self, asset: K) {
        self.left.push_back((self.call, asset));
        if self.left.len() > MAX_LEFT
            && let Some((call, _)) = self.left.pop_front()
        {
            self.left_since = call;
        }
    }
}
