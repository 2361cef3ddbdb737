//! Many machines online: one shared model, a small state each, a result each.

use crate::{
    decision::{AlarmEvent, AlarmEvents, Decision},
    error::{Error, Result},
    features::{FeatureExtractor, FeatureView, WaveformScratch},
    model::{Assessment, OnlineModel},
    pipeline::{Pipeline, PipelineScratch, PipelineState},
    quantity::Timestamp,
    signal::{Continuity, WaveformWindower},
};
use std::{
    borrow::Borrow,
    collections::{HashMap, hash_map},
    fmt,
    hash::Hash,
    sync::Arc,
};

/// The machines one [`Pipeline`] watches, by a key of the caller's (`String` unless chosen otherwise).
///
/// A machine is made known by its first row. Each call returns a result for its machine alone: a malformed or unusable row
/// leaves that machine's state as it was (but for the watch over lost sensors, where the alarm policy keeps one), and every
/// other machine untouched. Rows of one machine must come in order of time; late ones are `Unusable`. What a row did to its
/// machine's alarm is in [`Fleet::events`]. Memory: one state a machine, bounded by the longest span of the chain's features.
///
/// See [`Pipeline`] for an example.
pub struct Fleet<K = String> {
    model: Arc<Pipeline>,
    assets: HashMap<K, Asset>,
    scratch: PipelineScratch,
    waveform: Option<WindowScratch>,
    /// Of the last call.
    events: Vec<AlarmEvent>,
}

/// Room for events that is there from the start: a call that takes one row needs no more.
const EVENTS_A_CALL: usize = 16;

struct Asset {
    state: PipelineState,
    windower: Option<WaveformWindower>,
}

struct WindowScratch {
    extractor: WaveformScratch,
    row: Vec<f64>,
}

impl<K> fmt::Debug for Fleet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Fleet");
        debug
            .field("model", &self.model.fingerprint())
            .field("n_assets", &self.assets.len())
            .finish_non_exhaustive()
    }
}

impl<K: Eq + Hash> Fleet<K> {
    /// A fleet without machines.
    pub fn new(model: impl Into<Arc<Pipeline>>) -> Self {
        let model = model.into();
        let waveform = model.extractor().map(|x| WindowScratch {
            extractor: x.new_scratch(),
            row: vec![0.0; x.schema().len()],
        });
        Self {
            scratch: model.new_scratch(),
            waveform,
            events: Vec::with_capacity(EVENTS_A_CALL),
            assets: HashMap::new(),
            model,
        }
    }

    /// The model all machines share.
    pub fn model(&self) -> &Arc<Pipeline> {
        &self.model
    }

    /// Number of machines known.
    pub fn len(&self) -> usize {
        self.assets.len()
    }

    /// Whether no machine is known.
    pub fn is_empty(&self) -> bool {
        self.assets.is_empty()
    }

    /// The machines known, in no order.
    pub fn assets(&self) -> impl Iterator<Item = &K> {
        self.assets.keys()
    }

    /// Makes a machine known whose life began at `born`, so that its age does not count from its first row.
    ///
    /// # Errors
    /// `InvalidInput` where it is known already.
    pub fn commission(&mut self, asset: K, born: Timestamp) -> Result<()> {
        match self.assets.entry(asset) {
            hash_map::Entry::Occupied(_) => Err(Error::input("asset to commission", "a new one", "one that is known")),
            hash_map::Entry::Vacant(place) => {
                place.insert(Asset {
                    state: self.model.new_state_since(born),
                    windower: None,
                });
                Ok(())
            }
        }
    }

    /// Forgets a machine; gives its state.
    pub fn retire<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q) -> Option<PipelineState>
    where
        K: Borrow<Q>,
    {
        self.assets.remove(asset).map(|a| a.state)
    }

    /// What is remembered of a machine.
    pub fn state<Q: Eq + Hash + ?Sized>(&self, asset: &Q) -> Option<&PipelineState>
    where
        K: Borrow<Q>,
    {
        self.assets.get(asset).map(|a| &a.state)
    }

    /// What is remembered of a machine, to acknowledge or shelve its alarm.
    pub fn state_mut<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q) -> Option<&mut PipelineState>
    where
        K: Borrow<Q>,
    {
        self.assets.get_mut(asset).map(|a| &mut a.state)
    }

    /// What the last [`push`](Fleet::push), [`push_samples`](Fleet::push_samples) or [`no_row`](Fleet::no_row) did to its
    /// machine's alarm, in order; after [`push_rows`](Fleet::push_rows) to those of all its rows, in the order of the rows
    /// (they do not name their machine: where that matters, push row by row).
    pub fn events(&self) -> &[AlarmEvent] {
        &self.events
    }

    /// Tells a machine's alarm that no row came by `time`, so that a sensor that falls silent is found lost where the policy
    /// watches sensors: see [`Pipeline::no_row`]. Gives what happened; of a machine that is not known, nothing.
    ///
    /// # Errors
    /// `StateMismatch` where the machine's state was replaced by one of another model.
    pub fn no_row<Q: Eq + Hash + ?Sized>(&mut self, asset: &Q, time: Timestamp) -> Result<&[AlarmEvent]>
    where
        K: Borrow<Q>,
    {
        self.events.clear();
        if let Some(known) = self.assets.get_mut(asset) {
            self.events.extend(self.model.no_row(&mut known.state, time)?);
        }
        Ok(&self.events)
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
    /// # Errors
    /// `SchemaMismatch` for another number of readings. No state is changed, and no machine made known.
    pub fn push<Q>(&mut self, asset: &Q, time: Timestamp, values: &[f64]) -> Result<Assessment<Decision>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.events.clear();
        self.push_further(asset, time, values)
    }

    /// [`push`](Fleet::push), adding to the events of the rows before.
    fn push_further<Q>(&mut self, asset: &Q, time: Timestamp, values: &[f64]) -> Result<Assessment<Decision>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let x = FeatureView::new(self.model.schema(), values)?.at(time);
        if let Some(known) = self.assets.get_mut(asset) {
            let outcome = self.model.step_with(&mut known.state, x, &mut self.scratch)?;
            self.events.extend(self.scratch.events().iter().cloned());
            return Ok(outcome);
        }
        let mut state = self.model.new_state();
        let outcome = self.model.step_with(&mut state, x, &mut self.scratch)?;
        // A row that told nothing makes no machine known: its life may yet be said to have begun earlier.
        if !matches!(outcome, Assessment::Unusable(_)) {
            self.assets.insert(asset.to_owned(), Asset { state, windower: None });
            self.events.extend(self.scratch.events().iter().cloned());
        }
        Ok(outcome)
    }

    /// Takes many rows, of any machines, and gives a result for each: one that fails stops no other.
    pub fn push_rows<'a, Q>(
        &mut self,
        rows: impl IntoIterator<Item = (&'a Q, Timestamp, &'a [f64])>,
    ) -> Vec<Result<Assessment<Decision>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized + 'a,
    {
        self.events.clear();
        rows.into_iter()
            .map(|(asset, time, values)| self.push_further(asset, time, values))
            .collect()
    }

    /// Takes samples of a waveform, one slice a channel, the first taken at `time`, in chunks of any size, and tells
    /// `on_decision` the outcome of each window they complete. A gap against the chunk before starts a new window; the
    /// result says so.
    ///
    /// # Errors
    /// `InvalidParameter` where the model takes rows, not waveforms; `InvalidInput` for a wrong number of channels or
    /// channels of different lengths. No state is changed then.
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
        self.events.clear();
        let (Some(extractor), Some(waveform)) = (self.model.extractor(), &mut self.waveform) else {
            return Err(Error::parameter(
                "model",
                "one with an extractor, to take samples",
                "one that takes rows",
            ));
        };
        let new_windower = || WaveformWindower::new(extractor.channels().len(), extractor.rate(), extractor.window());
        let mut fresh = None;
        let entry = match self.assets.get_mut(asset) {
            Some(known) => known,
            None => fresh.insert(Asset {
                state: self.model.new_state(),
                windower: None,
            }),
        };
        let mut windower = match entry.windower.take() {
            Some(w) => w,
            None => new_windower()?,
        };
        let pushed = windower.push(time, channels, |end, window| {
            extractor.extract_into(window, &mut waveform.extractor, &mut waveform.row)?;
            let x = FeatureView::new(self.model.schema(), &waveform.row)?.at(end);
            let outcome = self.model.step_with(&mut entry.state, x, &mut self.scratch)?;
            self.events.extend(self.scratch.events().iter().cloned());
            on_decision(end, outcome);
            Ok(())
        });
        entry.windower = Some(windower);
        let continuity = pushed?.continuity;
        if let Some(asset_state) = fresh {
            self.assets.insert(asset.to_owned(), asset_state);
        }
        Ok(continuity)
    }
}
