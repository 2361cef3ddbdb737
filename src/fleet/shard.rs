//! A part of the fleet: its machines, the buffers they share, and what the last call did to them.

use super::{
    FleetEvent, FleetEventKind, FleetMetrics, FleetParams, ShadowFigures,
    inbox::{Inbox, Received},
    slot::{Memory, Slot},
};
use crate::{
    decision::Decision,
    drift::{EstimateTrail, InputMonitor},
    error::Result,
    features::{FeatureExtractor, FeatureView, WaveformScratch},
    model::{Assessment, OnlineModel, UnusableReason},
    pipeline::{Pipeline, PipelineScratch},
    quantity::Timestamp,
};
use hashbrown::{HashTable, hash_table::Entry};
use std::{sync::Arc, time::Instant};

/// The models at work.
#[derive(Clone, Copy)]
pub(super) struct Models<'a> {
    pub(super) params: &'a FleetParams,
    pub(super) current: &'a Pipeline,
    pub(super) shadow: Option<&'a Pipeline>,
    /// The fleet's count of calls.
    pub(super) call: u64,
}

impl<'a> Models<'a> {
    pub(super) fn of(
        params: &'a FleetParams,
        current: &'a Pipeline,
        shadow: &'a Option<Arc<Pipeline>>,
        call: u64,
    ) -> Self {
        Self {
            params,
            current,
            shadow: shadow.as_deref(),
            call,
        }
    }
}

/// Where a machine stands in a shard.
pub(super) struct Place<I, H> {
    pub(super) hash: u64,
    /// Whether a key is the machine's.
    pub(super) is_asset: I,
    pub(super) hash_of: H,
}

/// A row that a call judged, beside the one it was called with.
#[derive(Clone, Debug, PartialEq)]
pub struct Released<K> {
    /// Its machine.
    pub asset: K,
    /// Its instant.
    pub time: Timestamp,
    /// Its outcome.
    pub outcome: Assessment<Decision>,
}

/// Machines by key.
pub(super) type Slots<K> = HashTable<Box<Slot<K>>>;

pub(super) struct Shard<K> {
    pub(super) slots: Slots<K>,
    pub(super) scratch: PipelineScratch,
    pub(super) shadow_scratch: Option<PipelineScratch>,
    pub(super) waveform: Option<WindowScratch>,
    pub(super) events: Vec<FleetEvent<K>>,
    pub(super) released: Vec<Released<K>>,
    pub(super) metrics: FleetMetrics,
    pub(super) inputs: Option<InputMonitor>,
    pub(super) difference: ShadowFigures,
    /// Of the machines' bytes, as counted.
    pub(super) charged: u64,
    until_timed: u32,
}

pub(super) struct WindowScratch {
    pub(super) extractor: WaveformScratch,
    pub(super) row: Vec<f64>,
}

/// Room for events that is there from the start: a call that takes one row needs no more.
pub(super) const EVENTS_A_CALL: usize = 16;

impl<K: Clone + Eq> Shard<K> {
    pub(super) fn new(params: &FleetParams, model: &Pipeline) -> Self {
        let waveform = model.extractor().map(|x| WindowScratch {
            extractor: x.new_scratch(),
            row: vec![0.0; x.schema().len()],
        });
        let watched = params.inputs.as_ref().and_then(|_| model.inputs());
        Self {
            slots: HashTable::new(),
            scratch: model.new_scratch(),
            shadow_scratch: None,
            waveform,
            events: Vec::with_capacity(EVENTS_A_CALL),
            released: Vec::new(),
            metrics: FleetMetrics::default(),
            inputs: watched.map(InputMonitor::new),
            difference: ShadowFigures::default(),
            charged: 0,
            until_timed: params.time_every,
        }
    }

    /// Forgets what the last call told.
    pub(super) fn begin(&mut self) {
        self.events.clear();
        self.released.clear();
    }

    /// Takes the row of a machine that is known or may become so: `admit` makes its number and its key, or says that there is
    /// no room.
    pub(super) fn push(
        &mut self,
        models: Models<'_>,
        at: Place<impl Fn(&K) -> bool, impl Fn(&K) -> u64>,
        admit: impl FnOnce() -> Option<(u64, K)>,
        time: Timestamp,
        values: &[f64],
    ) -> Result<Assessment<Decision>> {
        let started = self.begins_timed(models.params);
        let outcome = self.push_untimed(models, at, admit, time, values);
        self.metrics.rows += 1;
        if outcome.is_err() {
            self.metrics.errors += 1;
        }
        if let Some(started) = started {
            self.metrics
                .push
                .record(started.elapsed().as_nanos().min(u64::MAX.into()) as u64);
        }
        outcome
    }

    fn begins_timed(&mut self, params: &FleetParams) -> Option<Instant> {
        if params.time_every == 0 {
            return None;
        }
        self.until_timed = self.until_timed.saturating_sub(1);
        if self.until_timed > 0 {
            return None;
        }
        self.until_timed = params.time_every;
        Some(Instant::now())
    }

    fn push_untimed(
        &mut self,
        models: Models<'_>,
        at: Place<impl Fn(&K) -> bool, impl Fn(&K) -> u64>,
        admit: impl FnOnce() -> Option<(u64, K)>,
        time: Timestamp,
        values: &[f64],
    ) -> Result<Assessment<Decision>> {
        let x = FeatureView::new(models.current.schema(), values)?.at(time);
        let (slots, _, mut parts) = self.parts();
        let place = match slots.entry(at.hash, |slot| (at.is_asset)(&slot.key), |slot| (at.hash_of)(&slot.key)) {
            Entry::Occupied(mut known) => return parts.take(models, known.get_mut(), x),
            Entry::Vacant(place) => place,
        };
        let Some((number, key)) = admit() else {
            parts.metrics.rows_refused += 1;
            return Ok(Assessment::Unusable(UnusableReason::FleetFull));
        };
        let mut slot = Box::new(new_slot(models, number, key, None));
        let before = parts.events.len();
        let outcome = parts.take(models, &mut slot, x)?;
        // A row that told nothing makes no machine known: its life may yet be said to have begun earlier.
        if matches!(outcome, Assessment::Unusable(_)) {
            parts.metrics.events -= (parts.events.len() - before) as u64;
            parts.events.truncate(before);
            return Ok(outcome);
        }
        // Of rows that wait, none has been counted yet.
        if models.params.memory_budget.is_some() && slot.memory.charged == 0 {
            slot.memory.charge()?;
            *parts.charged = (*parts.charged).saturating_add(slot.memory.charged);
        }
        parts.metrics.admitted += 1;
        parts.metrics.events += 1;
        let event = FleetEvent {
            asset: Some(slot.key.clone()),
            time,
            kind: FleetEventKind::Admitted,
        };
        parts.events.insert(before, event);
        place.insert(slot);
        Ok(outcome)
    }

    /// The machines, and what working on one of them needs.
    pub(super) fn parts(&mut self) -> (&mut Slots<K>, Option<&mut WindowScratch>, Parts<'_, K>) {
        (
            &mut self.slots,
            self.waveform.as_mut(),
            Parts {
                scratch: &mut self.scratch,
                shadow_scratch: &mut self.shadow_scratch,
                events: &mut self.events,
                released: &mut self.released,
                metrics: &mut self.metrics,
                inputs: &mut self.inputs,
                difference: &mut self.difference,
                charged: &mut self.charged,
            },
        )
    }
}

pub(super) fn new_slot<K>(models: Models<'_>, number: u64, key: K, born: Option<Timestamp>) -> Slot<K> {
    let new = |model: &Pipeline| match born {
        Some(born) => model.new_state_since(born),
        None => model.new_state(),
    };
    let mut memory = Memory::new(number, new(models.current), models.shadow.map(new));
    if models.params.truth.is_some() {
        memory.trail = Some(Box::new(EstimateTrail::new()));
    }
    Slot {
        key,
        memory,
        changed: models.call,
        last: None,
        unusable: None,
        monitored: 0,
    }
}

fn tell<K: Clone>(
    events: &mut Vec<FleetEvent<K>>,
    metrics: &mut FleetMetrics,
    asset: &K,
    time: Timestamp,
    kind: FleetEventKind,
) {
    metrics.events += 1;
    events.push(FleetEvent {
        asset: Some(asset.clone()),
        time,
        kind,
    });
}

/// A shard without its machines: what working on one of them needs.
pub(super) struct Parts<'a, K> {
    scratch: &'a mut PipelineScratch,
    shadow_scratch: &'a mut Option<PipelineScratch>,
    events: &'a mut Vec<FleetEvent<K>>,
    pub(super) released: &'a mut Vec<Released<K>>,
    pub(super) metrics: &'a mut FleetMetrics,
    inputs: &'a mut Option<InputMonitor>,
    difference: &'a mut ShadowFigures,
    pub(super) charged: &'a mut u64,
}

impl<K: Clone> Parts<'_, K> {
    pub(super) fn tell(&mut self, asset: &K, time: Timestamp, kind: FleetEventKind) {
        tell(self.events, self.metrics, asset, time, kind);
    }

    /// Takes a row: at once, or through the machine's inbox.
    fn take(&mut self, models: Models<'_>, slot: &mut Slot<K>, x: FeatureView<'_>) -> Result<Assessment<Decision>> {
        slot.changed = models.call;
        let params = models.params;
        let waits = |slot: &Slot<K>| slot.memory.inbox.as_ref().is_some_and(|inbox| !inbox.is_idle());
        if !params.rows_may_wait() && !waits(slot) {
            return self.judge(models, slot, x);
        }
        let Some(time) = x.time() else {
            return self.judge(models, slot, x);
        };
        let inbox = slot.memory.inbox.get_or_insert_default();
        let (received, n_dropped) = inbox.receive(params, time, x.values());
        if n_dropped > 0 {
            self.metrics.rows_dropped += u64::from(n_dropped);
            self.tell(&slot.key, time, FleetEventKind::ClockGlitch { n_rows: n_dropped });
        }
        match received {
            Received::Held => {}
            Received::TooLate { duplicate } => {
                *(if duplicate {
                    &mut self.metrics.rows_duplicate
                } else {
                    &mut self.metrics.rows_late
                }) += 1;
                return Ok(Assessment::Unusable(UnusableReason::TimeNotIncreasing));
            }
            Received::Forward { from } => {
                inbox.believe();
                self.tell(&slot.key, time, FleetEventKind::ClockForward { from });
            }
            Received::Back { from } => {
                let n_held = inbox.n_held();
                inbox.begin_anew();
                self.metrics.rows_dropped += (n_held - inbox.n_held()) as u64;
                slot.memory.state = models.current.new_state();
                if let (Some(state), Some(model)) = (&mut slot.memory.shadow, models.shadow) {
                    **state = model.new_state();
                }
                if let Some(trail) = &mut slot.memory.trail {
                    trail.clear();
                }
                self.tell(&slot.key, time, FleetEventKind::ClockBack { from });
            }
        }
        self.release(models, slot, None, Some(time))
    }

    /// Judges the rows whose turn it is; gives the outcome of that at `own`, and puts the others where they are told.
    pub(super) fn release(
        &mut self,
        models: Models<'_>,
        slot: &mut Slot<K>,
        now: Option<Timestamp>,
        own: Option<Timestamp>,
    ) -> Result<Assessment<Decision>> {
        let mut outcome_of_own = Assessment::Held;
        while let Some(row) = slot
            .memory
            .inbox
            .as_mut()
            .and_then(|inbox| inbox.next(models.params, now))
        {
            let x = FeatureView::new(models.current.schema(), &row.values)?.at(row.time);
            let outcome = self.judge(models, slot, x)?;
            if own == Some(row.time) {
                outcome_of_own = outcome;
            } else {
                self.released.push(Released {
                    asset: slot.key.clone(),
                    time: row.time,
                    outcome,
                });
            }
            if let Some(inbox) = &mut slot.memory.inbox {
                inbox.give_back(row);
            }
        }
        Ok(outcome_of_own)
    }

    /// Judges a row now.
    pub(super) fn judge(
        &mut self,
        models: Models<'_>,
        slot: &mut Slot<K>,
        x: FeatureView<'_>,
    ) -> Result<Assessment<Decision>> {
        let time = x.time().unwrap_or_default();
        let memory = &mut slot.memory;
        let last = memory.state.last_time();
        let outcome = models.current.step_with(&mut memory.state, x, self.scratch)?;
        if let (Some(state), Some(model), Some(scratch)) =
            (&mut memory.shadow, models.shadow, &mut *self.shadow_scratch)
        {
            let other = model.step_with(state, x, scratch)?;
            self.difference.count(&outcome, &other);
        }
        for event in self.scratch.events().iter() {
            tell(
                self.events,
                self.metrics,
                &slot.key,
                event.time,
                FleetEventKind::Alarm(event.clone()),
            );
        }
        match &outcome {
            Assessment::Unusable(reason) => {
                match reason {
                    UnusableReason::TimeNotIncreasing if last == Some(time) => self.metrics.rows_duplicate += 1,
                    UnusableReason::TimeNotIncreasing => self.metrics.rows_late += 1,
                    _ => self.metrics.rows_missing += 1,
                }
                // Late rows are counted, not told: they say nothing of the machine's sensors.
                if *reason != UnusableReason::TimeNotIncreasing && slot.unusable.replace(*reason).is_none() {
                    tell(
                        self.events,
                        self.metrics,
                        &slot.key,
                        time,
                        FleetEventKind::Unusable(*reason),
                    );
                }
                slot.last = Some(Assessment::Unusable(*reason));
                return Ok(outcome);
            }
            Assessment::Ready(decision) => {
                self.metrics.rows_judged += 1;
                self.metrics.rows_in_alarm += u64::from(decision.alarm().is_some());
                let condition = *decision.condition();
                if let (Some(trail), Some(rul), Some(at)) = (&mut memory.trail, condition.rul, condition.rul_time)
                    && at == time
                    && trail.push(time, &rul).is_err()
                {
                    // Of another unit or level than before: the trail begins anew.
                    trail.clear();
                    trail.push(time, &rul)?;
                }
                slot.last = Some(Assessment::Ready(condition));
            }
            Assessment::Warmup { seen, needed } => {
                self.metrics.rows_unjudged += 1;
                slot.last = Some(Assessment::Warmup {
                    seen: *seen,
                    needed: *needed,
                });
            }
            other => {
                self.metrics.rows_unjudged += 1;
                slot.last = match other {
                    Assessment::NoPrognosis(reason) => Some(Assessment::NoPrognosis(*reason)),
                    _ => None,
                };
            }
        }
        if slot.unusable.take().is_some() {
            tell(self.events, self.metrics, &slot.key, time, FleetEventKind::Usable);
        }
        memory.rows += 1;
        if models.params.memory_budget.is_some() && memory.rows.is_power_of_two() {
            let before = memory.charge()?;
            *self.charged = (*self.charged).saturating_add(memory.charged).saturating_sub(before);
        }
        if let (Some(monitor), Some((_, stride)), Some(reference)) =
            (&mut *self.inputs, &models.params.inputs, models.current.inputs())
            && memory.rows.is_multiple_of(u64::from(*stride))
        {
            monitor.observe(reference, x.values())?;
            slot.monitored += 1;
        }
        Ok(outcome)
    }
}

impl Inbox {
    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.n_held() == 0
    }
}
