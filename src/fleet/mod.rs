//! Many machines online: one shared model, a small state each, a result each.
//!
//! | what | how |
//! |---|---|
//! | rows, samples, batches in | [`Fleet::push`], [`Fleet::push_samples`], [`Fleet::push_rows`], [`Fleet::for_each_row`] |
//! | what came of them | an outcome each; [`Fleet::events`], [`Fleet::released`] of the last call |
//! | late, repeated and impossible stamps, bounds | [`FleetParams`] |
//! | restarts | [`Fleet::write_snapshot`], [`Fleet::write_changes`], [`FleetParams::restore`], [`Fleet::apply`]; on disk [`SnapshotFolder`] |
//! | another model | [`Fleet::swap`]; with a trial before: [`Fleet::shadow`], [`Fleet::promote`] |
//! | what it does, and why | [`Fleet::metrics`], [`Fleet::explain`] |

mod batch;
mod event;
mod explain;
mod folder;
mod inbox;
mod metrics;
mod model_change;
mod params;
mod room;
mod shadow;
mod shard;
mod slot;
mod snapshot;
mod watch;

pub use batch::FleetRow;
pub use event::{FleetEvent, FleetEventKind};
pub use explain::Explanation;
pub use folder::SnapshotFolder;
pub use metrics::{FleetMetrics, LatencyHistogram};
pub use params::{FleetParams, WhenFull};
pub use shadow::{Agreement, Difference, ShadowFigures};
pub use shard::Released;
pub use snapshot::{MAX_SNAPSHOT_ASSETS, Mark, SNAPSHOT_VERSION};

use crate::{
    decision::{AlarmEvent, AlarmEvents, Decision},
    drift::DriftReport,
    drift::{TruthMonitor, TruthReport},
    error::{Error, Result},
    features::{FeatureExtractor, FeatureView},
    model::{Assessment, OnlineModel},
    pipeline::{Pipeline, PipelineState},
    quantity::Timestamp,
    signal::{Continuity, WaveformWindower},
};
use shard::{EVENTS_A_CALL, Models, Place, Shard, new_slot};
use slot::Slot;
use std::{
    borrow::Borrow,
    collections::VecDeque,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

/// The machines one [`Pipeline`] watches, by a key of the caller's (`String` unless chosen otherwise).
///
/// A machine is made known by its first row. Each call returns a result for its machine alone: a malformed or unusable row
/// leaves that machine's state as it was (but for the watch over lost sensors, where the alarm policy keeps one), and every
/// other machine untouched. Rows of one machine must come in order of time unless the fleet
/// [allows for late ones](FleetParams::lateness); late ones are `Unusable`. What a row did beside its outcome is in
/// [`Fleet::events`]. No call blocks on anything but the computation. Memory: one state a machine, bounded by the longest span
/// of the chain's features.
///
/// See [`Pipeline`] for an example.
pub struct Fleet<K = String> {
    params: FleetParams,
    model: Arc<Pipeline>,
    shadow: Option<Arc<Pipeline>>,
    shards: Vec<Shard<K>>,
    hasher: RandomState,
    /// Machines admitted so far.
    number: u64,
    /// Calls that may have changed a machine.
    call: u64,
    n_assets: usize,
    /// Machines that left, by call.
    left: VecDeque<(u64, K)>,
    /// Calls before this one may have left out machines that left.
    left_since: u64,
    /// The snapshot this fleet was restored from.
    restored: Option<Mark>,
    truth: Option<TruthMonitor>,
    truth_report: Option<TruthReport>,
    input_report: Option<DriftReport>,
    /// Of the last call.
    events: Vec<FleetEvent<K>>,
    released: Vec<Released<K>>,
}

impl<K> fmt::Debug for Fleet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Fleet");
        debug
            .field("model", &self.model.fingerprint())
            .field("n_assets", &self.n_assets)
            .finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Clone> Fleet<K> {
    /// A fleet without machines, of usual [settings](FleetParams): rows in order of time, as many machines as come.
    pub fn new(model: impl Into<Arc<Pipeline>>) -> Self {
        Self::made(FleetParams::default(), model.into())
    }

    /// Usual settings, to be changed; [`FleetParams::build`] makes the fleet.
    pub fn params() -> FleetParams {
        FleetParams::default()
    }

    fn with_params(params: FleetParams, model: Arc<Pipeline>) -> Result<Self> {
        params.check(&model)?;
        Ok(Self::made(params, model))
    }

    fn made(params: FleetParams, model: Arc<Pipeline>) -> Self {
        let shards = (0..params.n_shards).map(|_| Shard::new(&params, &model)).collect();
        let truth = params.truth.as_ref().map(|(reference, _)| TruthMonitor::new(reference));
        Self {
            params,
            model,
            shadow: None,
            shards,
            hasher: RandomState::new(),
            number: 0,
            call: 0,
            n_assets: 0,
            left: VecDeque::new(),
            left_since: 0,
            restored: None,
            truth,
            truth_report: None,
            input_report: None,
            events: Vec::with_capacity(EVENTS_A_CALL),
            released: Vec::new(),
        }
    }

    /// The model all machines share.
    pub fn model(&self) -> &Arc<Pipeline> {
        &self.model
    }

    /// Number of machines known.
    pub fn len(&self) -> usize {
        self.n_assets
    }

    /// Whether no machine is known.
    pub fn is_empty(&self) -> bool {
        self.n_assets == 0
    }

    /// The machines known, in no order.
    pub fn assets(&self) -> impl Iterator<Item = &K> {
        self.slots().map(|slot| &slot.key)
    }

    fn slots(&self) -> impl Iterator<Item = &Slot<K>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.slots.iter().map(|slot| &**slot))
    }

    fn place<Q: Hash + ?Sized>(&self, asset: &Q) -> (u64, usize) {
        let hash = self.hasher.hash_one(asset);
        // The table takes the lowest and the highest bits.
        (hash, (hash >> 24) as usize % self.shards.len().max(1))
    }

    fn slot<Q: Eq + Hash + ?Sized>(&self, asset: &Q) -> Option<&Slot<K>>
    where
        K: Borrow<Q>,
    {
        let (hash, shard) = self.place(asset);
        let slots = &self.shards.get(shard)?.slots;
        slots.find(hash, |slot| slot.key.borrow() == asset).map(|slot| &**slot)
    }

    fn slot_mut<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q) -> Option<&mut Slot<K>>
    where
        K: Borrow<Q>,
    {
        let (hash, shard) = self.place(asset);
        self.call += 1;
        let call = self.call;
        let slots = &mut self.shards.get_mut(shard)?.slots;
        let slot = slots.find_mut(hash, |slot| slot.key.borrow() == asset)?;
        slot.changed = call;
        Some(slot)
    }

    /// Puts a machine that is not known in its place.
    fn settle(&mut self, slot: Slot<K>) {
        let (hash, shard) = self.place(&slot.key);
        let hasher = &self.hasher;
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.charged = shard.charged.saturating_add(slot.memory.charged);
            shard
                .slots
                .insert_unique(hash, Box::new(slot), |slot| hasher.hash_one(&slot.key));
            self.n_assets += 1;
        }
    }

    /// Takes a machine out.
    fn take_out<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q) -> Option<Slot<K>>
    where
        K: Borrow<Q>,
    {
        let (hash, shard) = self.place(asset);
        let shard = self.shards.get_mut(shard)?;
        let known = shard.slots.find_entry(hash, |slot| slot.key.borrow() == asset).ok()?;
        let (slot, _) = known.remove();
        shard.charged = shard.charged.saturating_sub(slot.memory.charged);
        self.n_assets -= 1;
        self.call += 1;
        self.note_left(slot.key.clone());
        Some(*slot)
    }

    /// Begins a call: what the last one told is forgotten.
    fn begin(&mut self) {
        self.call += 1;
        self.events.clear();
        self.released.clear();
    }

    /// Makes a machine known whose life began at `born`, so that its age does not count from its first row.
    ///
    /// # Errors
    /// `InvalidInput` where it is known already, or where there is no room for it.
    pub fn commission(&mut self, asset: K, born: Timestamp) -> Result<()> {
        self.begin();
        if self.slot(&asset).is_some() {
            return Err(Error::input("asset to commission", "a new one", "one that is known"));
        }
        if !self.make_room(born) {
            return Err(Error::input("fleet", "room for another machine", "none"));
        }
        let mut slot = new_slot(self.models(), self.number, asset.clone(), Some(born));
        if self.params.memory_budget.is_some() {
            slot.memory.charge()?;
        }
        self.number += 1;
        self.settle(slot);
        let (_, shard) = self.place(&asset);
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.metrics.admitted += 1;
        }
        self.tell(Some(asset), born, FleetEventKind::Admitted);
        Ok(())
    }

    fn models(&self) -> Models<'_> {
        Models::of(&self.params, &self.model, &self.shadow, self.call)
    }

    fn tell(&mut self, asset: Option<K>, time: Timestamp, kind: FleetEventKind) {
        if let Some(shard) = self.shards.first_mut() {
            shard.metrics.events += 1;
        }
        self.events.push(FleetEvent { asset, time, kind });
    }

    /// Forgets a machine; gives its state. Rows of it that wait are dropped, and counted as such.
    pub fn retire<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q) -> Option<PipelineState>
    where
        K: Borrow<Q>,
    {
        self.begin();
        let slot = self.take_out(asset)?;
        let (_, shard) = self.place(asset);
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.metrics.retired += 1;
            shard.metrics.rows_dropped += slot.memory.inbox.as_ref().map_or(0, |inbox| inbox.n_held()) as u64;
        }
        let time = slot.memory.last_time().unwrap_or_default();
        self.tell(Some(slot.key), time, FleetEventKind::Retired);
        Some(slot.memory.state)
    }

    /// What is remembered of a machine.
    pub fn state<Q: Eq + Hash + ?Sized>(&self, asset: &Q) -> Option<&PipelineState>
    where
        K: Borrow<Q>,
    {
        self.slot(asset).map(|slot| &slot.memory.state)
    }

    /// What is remembered of a machine, to acknowledge or shelve its alarm.
    pub fn state_mut<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q) -> Option<&mut PipelineState>
    where
        K: Borrow<Q>,
    {
        self.slot_mut(asset).map(|slot| &mut slot.memory.state)
    }

    /// What the last call did beside its outcomes, in order of the rows; after [`for_each_row`](Fleet::for_each_row), so machine
    /// by machine. Each event holds a copy of the machine's key.
    pub fn events(&self) -> &[FleetEvent<K>] {
        &self.events
    }

    /// The [events](Fleet::events) that are of alarms.
    pub fn alarm_events(&self) -> impl Iterator<Item = &AlarmEvent> + Clone {
        self.events.iter().filter_map(|event| match &event.kind {
            FleetEventKind::Alarm(event) => Some(event),
            _ => None,
        })
    }

    /// Outcomes of rows that waited and were judged in the last [`push`](Fleet::push) or [`advance`](Fleet::advance), each
    /// machine's in order of time. Without a [lateness](FleetParams::lateness), none ever waits.
    pub fn released(&self) -> &[Released<K>] {
        &self.released
    }

    /// Tells a machine's alarm that no row came by `time`, so that a sensor that falls silent is found lost where the policy
    /// watches sensors: see [`Pipeline::no_row`]. Gives what happened; of a machine that is not known, nothing.
    ///
    /// # Errors
    /// `StateMismatch` where the machine's state was replaced by one of another model.
    pub fn no_row<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q, time: Timestamp) -> Result<&[FleetEvent<K>]>
    where
        K: Borrow<Q>,
    {
        self.begin();
        let (model, shadow) = (self.model.clone(), self.shadow.clone());
        if let Some(slot) = self.slot_mut(asset) {
            let key = slot.key.clone();
            let events = model.no_row(&mut slot.memory.state, time)?;
            if let (Some(model), Some(state)) = (shadow, &mut slot.memory.shadow) {
                model.no_row(state, time)?;
            }
            for event in events {
                self.tell(Some(key.clone()), time, FleetEventKind::Alarm(event));
            }
        }
        Ok(&self.events)
    }

    /// Lets it be `now` for all machines: rows that waited for rows stamped up to then are judged, and alarms are told of
    /// machines without a row since, as by [`no_row`](Fleet::no_row). Outcomes of rows are in [`released`](Fleet::released).
    /// Cost: all machines are visited.
    ///
    /// # Errors
    /// `StateMismatch` where a machine's state was replaced by one of another model; the others are served all the same.
    pub fn advance(&mut self, now: Timestamp) -> Result<()> {
        self.begin();
        let mut failed = None;
        let models = Models::of(&self.params, &self.model, &self.shadow, self.call);
        let watches = |model: &&Pipeline| model.alarm_policy().watches_sensors();
        let (current, in_shadow) = (Some(models.current).filter(watches), models.shadow.filter(watches));
        let is_silent = |state: &PipelineState| state.last_time().is_none_or(|last| last < now);
        for shard in &mut self.shards {
            shard.begin();
            let (slots, _, mut parts) = shard.parts();
            let mut due: Vec<&mut Box<Slot<K>>> = slots
                .iter_mut()
                .filter(|slot| {
                    let waits = slot.memory.inbox.as_ref().is_some_and(|inbox| !inbox.is_idle());
                    let is_watched = current.is_some() && is_silent(&slot.memory.state);
                    let is_tried = in_shadow.is_some() && slot.memory.shadow.as_deref().is_some_and(is_silent);
                    waits || is_watched || is_tried
                })
                .collect();
            due.sort_by_key(|slot| slot.memory.number);
            for slot in due {
                slot.changed = models.call;
                let mut serve = || -> Result<()> {
                    parts.release(models, slot, Some(now), None)?;
                    if let Some(model) = current.filter(|_| is_silent(&slot.memory.state)) {
                        for event in model.no_row(&mut slot.memory.state, now)? {
                            parts.tell(&slot.key, now, FleetEventKind::Alarm(event));
                        }
                    }
                    // What its alarm tells is nobody's, but it must know once it is promoted.
                    if let (Some(model), Some(state)) = (in_shadow, &mut slot.memory.shadow)
                        && is_silent(state)
                    {
                        model.no_row(state, now)?;
                    }
                    Ok(())
                };
                if let Err(e) = serve() {
                    failed = failed.or(Some(e));
                }
            }
        }
        self.gather();
        self.watch(now);
        failed.map_or(Ok(()), Err)
    }

    /// Moves what the shards told to where it is read.
    fn gather(&mut self) {
        for shard in &mut self.shards {
            self.events.append(&mut shard.events);
            self.released.append(&mut shard.released);
        }
    }

    /// Acknowledges a machine's alarm at `time`; gives what happened. `None` where it is not known.
    pub fn acknowledge<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q, time: Timestamp) -> Option<AlarmEvents>
    where
        K: Borrow<Q>,
    {
        self.state_mut(asset).map(|s| s.alarm_mut().acknowledge(time))
    }

    /// Takes a row of readings, in the order of the model's schema; NaN is a missing one.
    ///
    /// Gives the row's outcome: [`Assessment::Held`] where it waits. Outcomes of rows that waited for it are in
    /// [`released`](Fleet::released), what else happened in [`events`](Fleet::events).
    ///
    /// # Errors
    /// `SchemaMismatch` for another number of readings. No state is changed, and no machine made known.
    pub fn push<Q>(&mut self, asset: &Q, time: Timestamp, values: &[f64]) -> Result<Assessment<Decision>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.begin();
        let outcome = self.push_further(asset, time, values);
        self.watch(time);
        outcome
    }

    /// [`push`](Fleet::push), adding to what the rows before told.
    fn push_further<Q>(&mut self, asset: &Q, time: Timestamp, values: &[f64]) -> Result<Assessment<Decision>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let (hash, at) = self.place(asset);
        let mut has_room = true;
        // A row that cannot be taken, or makes no machine known, must not cost another its place.
        if self.is_bounded() && self.slot(asset).is_none() && self.needs_room(at, time, values) {
            has_room = self.make_room(time);
            if !has_room {
                self.tell(Some(asset.to_owned()), time, FleetEventKind::Refused);
            }
        }
        let models = Models::of(&self.params, &self.model, &self.shadow, self.call);
        let (number, hasher) = (self.number, &self.hasher);
        let Some(shard) = self.shards.get_mut(at) else {
            return Err(Error::input("fleet", "shards", "none"));
        };
        shard.begin();
        let before = shard.slots.len();
        let outcome = shard.push(
            models,
            Place {
                hash,
                is_asset: |key: &K| key.borrow() == asset,
                hash_of: |key: &K| hasher.hash_one(key),
            },
            || has_room.then(|| (number, asset.to_owned())),
            time,
            values,
        );
        if shard.slots.len() > before {
            self.number += 1;
            self.n_assets += 1;
        }
        if !shard.events.is_empty() {
            self.events.append(&mut shard.events);
        }
        if !shard.released.is_empty() {
            self.released.append(&mut shard.released);
        }
        outcome
    }

    /// Takes samples of a waveform, one slice a channel, the first taken at `time`, in chunks of any size, and tells
    /// `on_decision` the outcome of each window they complete. A gap against the chunk before starts a new window; the
    /// result says so.
    ///
    /// # Errors
    /// `InvalidParameter` where the model takes rows, not waveforms; `InvalidInput` for a wrong number of channels or
    /// channels of different lengths, or where there is no room for the machine. No state is changed then.
    pub fn push_samples<Q>(
        &mut self,
        asset: &Q,
        time: Timestamp,
        channels: &[&[f64]],
        mut on_decision: impl FnMut(Timestamp, Assessment<Decision>),
    ) -> Result<Continuity>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.begin();
        let model = self.model.clone();
        let Some(extractor) = model.extractor() else {
            return Err(Error::parameter(
                "model",
                "one with an extractor, to take samples",
                "one that takes rows",
            ));
        };
        let new_windower = || WaveformWindower::new(extractor.channels().len(), extractor.rate(), extractor.window());
        let (hash, at) = self.place(asset);
        let is_new = self.slot(asset).is_none();
        let mut fresh = None;
        if is_new {
            let n_samples = channels.first().map_or(0, |c| c.len());
            if channels.len() != extractor.channels().len() || channels.iter().any(|c| c.len() != n_samples) {
                new_windower()?.push(time, channels, |_, _| Ok(()))?;
            }
            if !self.make_room(time) {
                self.tell(Some(asset.to_owned()), time, FleetEventKind::Refused);
                return Err(Error::input("fleet", "room for another machine", "none"));
            }
            fresh = Some(new_slot(self.models(), self.number, asset.to_owned(), None));
        }
        let models = Models::of(&self.params, &model, &self.shadow, self.call);
        let Some(shard) = self.shards.get_mut(at) else {
            return Err(Error::input("fleet", "shards", "none"));
        };
        shard.begin();
        let (slots, waveform, mut parts) = shard.parts();
        let known = slots
            .find_mut(hash, |slot| slot.key.borrow() == asset)
            .map(|slot| &mut **slot);
        let (Some(slot), Some(waveform)) = (known.or(fresh.as_mut()), waveform) else {
            return Err(Error::input("fleet", "the machine", "none"));
        };
        slot.changed = models.call;
        let mut windower = match slot.memory.windower.take() {
            Some(windower) => windower,
            None => Box::new(new_windower()?),
        };
        let pushed = windower.push(time, channels, |end, window| {
            extractor.extract_into(window, &mut waveform.extractor, &mut waveform.row)?;
            let x = FeatureView::new(models.current.schema(), &waveform.row)?.at(end);
            let outcome = parts.judge(models, slot, x)?;
            parts.metrics.rows += 1;
            on_decision(end, outcome);
            Ok(())
        });
        slot.memory.windower = Some(windower);
        if is_new {
            // Counted where it is settled, if it is.
            *parts.charged = (*parts.charged).saturating_sub(slot.memory.charged);
            if models.params.memory_budget.is_some() {
                slot.memory.charge()?;
            }
        }
        let continuity = match pushed {
            Ok(pushed) => pushed.continuity,
            Err(e) => {
                parts.metrics.errors += 1;
                return Err(e);
            }
        };
        self.gather();
        if let Some(slot) = fresh {
            self.number += 1;
            self.settle(slot);
            if let Some(shard) = self.shards.get_mut(at) {
                shard.metrics.admitted += 1;
            }
            let event = FleetEvent {
                asset: Some(asset.to_owned()),
                time,
                kind: FleetEventKind::Admitted,
            };
            self.events.insert(0, event);
        }
        self.watch(time);
        Ok(continuity)
    }

    /// What the fleet has done since it was made or restored. Cost: with a lateness, all machines are visited.
    pub fn metrics(&self) -> FleetMetrics {
        let mut all = FleetMetrics::default();
        for shard in &self.shards {
            all.merge(&shard.metrics);
        }
        all.assets = self.n_assets as u64;
        all.remembered_bytes = self.shards.iter().map(|shard| shard.charged).sum();
        let held = |slot: &Slot<K>| slot.memory.inbox.as_ref().map_or(0, |inbox| inbox.n_held());
        if self.params.rows_may_wait() {
            all.rows_held = self.slots().map(held).sum::<usize>() as u64;
        }
        all
    }

    /// Why the last decision on a machine came; `None` where it is not known.
    ///
    /// # Errors
    /// `StateMismatch` where the machine's state was replaced by one of another model.
    pub fn explain<Q: Eq + Hash + ?Sized>(&self, asset: &Q) -> Result<Option<Explanation<K>>>
    where
        K: Borrow<Q>,
    {
        let mut scratch = self.model.new_scratch();
        let slot = self.slot(asset);
        slot.map(|slot| Explanation::of(slot, &self.model, &mut scratch))
            .transpose()
    }
}
