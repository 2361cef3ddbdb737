//! Another model in service: at once, or after a trial in the shadow.

use super::{Fleet, ShadowFigures, shard::Shard};
#[cfg(feature = "tracing")]
use crate::model::OnlineModel;
use crate::{
    drift::{InputMonitor, TruthMonitor},
    error::{Error, Result},
    model::Assessment,
    pipeline::{Carried, Pipeline, PipelineState},
};
use std::{hash::Hash, sync::Arc};

impl<K: Eq + Hash + Clone> Fleet<K> {
    /// Lets `model` judge from the next row on; gives what of the machines' memory it could take over. What it could not, warms
    /// up. A model in the shadow leaves. All machines change, or none.
    ///
    /// # Errors
    /// `SchemaMismatch` where the model takes other rows, `InvalidParameter` where it counts life in another unit, has another
    /// extractor or lacks what the fleet's settings need; `StateMismatch` where a state was replaced by one of another model.
    pub fn swap(&mut self, model: impl Into<Arc<Pipeline>>) -> Result<Carried> {
        let model = model.into();
        #[cfg(feature = "tracing")]
        let _span = tracing::info_span!("prognos.swap", model = %model.fingerprint(), n = self.n_assets).entered();
        let (carried, states) = self.succeeded_by(&model)?;
        for (shard, states) in self.shards.iter_mut().zip(states) {
            for (slot, state) in shard.slots.iter_mut().zip(states) {
                slot.memory.state = state;
                slot.memory.shadow = None;
                slot.changed = self.call;
            }
        }
        self.model = model;
        self.shadow = None;
        self.model_changed();
        Ok(carried)
    }

    /// What a new model takes over, and the states of all machines under it, shard by shard; begins a call that changes models.
    fn succeeded_by(&mut self, model: &Pipeline) -> Result<(Carried, Vec<Vec<PipelineState>>)> {
        self.params.check(model)?;
        let step = model.succeeding(&self.model)?;
        let of_shard = |shard: &Shard<K>| -> Result<Vec<PipelineState>> {
            let slots = shard.slots.iter();
            slots.map(|slot| model.succeed(&step, &slot.memory.state)).collect()
        };
        let states = self.shards.iter().map(of_shard).collect::<Result<_>>()?;
        self.begin();
        self.end_marks();
        Ok((step.carried, states))
    }

    /// What hangs on the model is made anew.
    fn model_changed(&mut self) {
        for shard in &mut self.shards {
            shard.scratch = self.model.new_scratch();
            shard.shadow_scratch = self.shadow.as_ref().map(|m| m.new_scratch());
            let watched = self.params.inputs.as_ref().and_then(|_| self.model.inputs());
            shard.inputs = watched.map(InputMonitor::new);
            shard.difference = ShadowFigures::default();
            for slot in &mut shard.slots {
                slot.monitored = 0;
                // Scores of the former model explain nothing of this one.
                slot.last = slot.last.filter(|last| matches!(last, Assessment::Unusable(_)));
                if let Some(trail) = &mut slot.memory.trail {
                    trail.clear();
                }
            }
        }
        self.truth = self
            .params
            .truth
            .as_ref()
            .map(|(reference, _)| TruthMonitor::new(reference));
        (self.truth_report, self.input_report) = (None, None);
    }

    /// Lets `model` score along in the shadow: each row goes to both, decisions and events are those of the current model, and
    /// [`shadow_figures`](Fleet::shadow_figures) tells how the other differs. Its machines begin with what it could take over,
    /// which is given. A model already in the shadow leaves. A row costs both models' time, a machine both memories.
    ///
    /// # Errors
    /// As [`swap`](Fleet::swap).
    pub fn shadow(&mut self, model: impl Into<Arc<Pipeline>>) -> Result<Carried> {
        let model = model.into();
        #[cfg(feature = "tracing")]
        let _span = tracing::info_span!("prognos.shadow", model = %model.fingerprint(), n = self.n_assets).entered();
        let (carried, states) = self.succeeded_by(&model)?;
        for (shard, states) in self.shards.iter_mut().zip(states) {
            for (slot, state) in shard.slots.iter_mut().zip(states) {
                slot.memory.shadow = Some(Box::new(state));
                slot.changed = self.call;
            }
            shard.shadow_scratch = Some(model.new_scratch());
            shard.difference = ShadowFigures::default();
        }
        self.shadow = Some(model);
        Ok(carried)
    }

    /// The model in the shadow.
    pub fn shadow_model(&self) -> Option<&Arc<Pipeline>> {
        self.shadow.as_ref()
    }

    /// How the model in the shadow differs so far; `None` without one.
    pub fn shadow_figures(&self) -> Option<ShadowFigures> {
        self.shadow.as_ref()?;
        let mut all = ShadowFigures::default();
        for shard in &self.shards {
            all.merge(&shard.difference);
        }
        Some(all)
    }

    /// Exchanges the current model and the one in the shadow: the new one judges from the next row on, with what it has seen so
    /// far, and the former one scores along. So to roll back is to promote again; it has missed no row.
    /// [`end_shadow`](Fleet::end_shadow) ends the trial.
    ///
    /// Acknowledgements and shelvings are the states' own: they are not carried to the other model's alarm.
    ///
    /// # Errors
    /// `InvalidParameter` without a model in the shadow.
    pub fn promote(&mut self) -> Result<()> {
        let Some(new) = self.shadow.take() else {
            return Err(Error::parameter("model in the shadow", "one", "none"));
        };
        #[cfg(feature = "tracing")]
        let _span = tracing::info_span!("prognos.promote", model = %new.fingerprint()).entered();
        self.begin();
        self.end_marks();
        for slot in self.shards.iter_mut().flat_map(|shard| &mut shard.slots) {
            slot.changed = self.call;
            if let Some(state) = &mut slot.memory.shadow {
                std::mem::swap(&mut slot.memory.state, state);
            }
        }
        self.shadow = Some(std::mem::replace(&mut self.model, new));
        self.model_changed();
        Ok(())
    }

    /// Ends the trial: the model in the shadow is forgotten, with all its memory. Gives how it differed.
    pub fn end_shadow(&mut self) -> Option<ShadowFigures> {
        let figures = self.shadow_figures();
        self.begin();
        if self.shadow.take().is_some() {
            self.end_marks();
            for shard in &mut self.shards {
                shard.shadow_scratch = None;
                for slot in &mut shard.slots {
                    slot.memory.shadow = None;
                    slot.changed = self.call;
                }
            }
        }
        figures
    }
}
