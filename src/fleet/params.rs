//! Settings of a fleet.

use super::Fleet;
use crate::{
    drift::{DriftPolicy, TruthPolicy, TruthReference},
    error::{Error, Result},
    pipeline::Pipeline,
    quantity::Seconds,
};
use std::{hash::Hash, sync::Arc};

/// What happens to an unknown machine's row where there is no room for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The row is refused: an outcome, an event and a count.
    #[default]
    Refuse,
    /// The machines silent longest leave, one in 128; each leaves an event with all that was remembered of it.
    EvictLongestSilent,
}

/// Settings of a [`Fleet`], made by [`Fleet::params`].
///
/// ```
/// # use prognos::{fleet::{Fleet, WhenFull}, quantity::Seconds};
/// let params = Fleet::<String>::params()
///     .lateness(Seconds::new(5.0)?)          // rows may come up to 5 s late, in any order
///     .largest_step(Seconds::new(86_400.0)?) // a stamp a day ahead is believed once three rows agree
///     .max_assets(100_000)
///     .when_full(WhenFull::EvictLongestSilent);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FleetParams {
    pub(super) lateness_ns: i64,
    pub(super) max_held: usize,
    pub(super) largest_step_ns: Option<i64>,
    pub(super) max_assets: Option<usize>,
    pub(super) memory_budget: Option<u64>,
    pub(super) when_full: WhenFull,
    pub(super) n_shards: usize,
    pub(super) time_every: u32,
    pub(super) inputs: Option<(DriftPolicy, u32)>,
    pub(super) truth: Option<(TruthReference, TruthPolicy)>,
}

/// Rows of a machine held back at most unless told otherwise.
const MAX_HELD: usize = 256;

impl Default for FleetParams {
    fn default() -> Self {
        Self {
            lateness_ns: 0,
            max_held: MAX_HELD,
            largest_step_ns: None,
            max_assets: None,
            memory_budget: None,
            when_full: WhenFull::Refuse,
            n_shards: 1,
            time_every: 0,
            inputs: None,
            truth: None,
        }
    }
}

fn nanos_of(s: Seconds) -> i64 {
    (s.get() * 1e9).round().clamp(0.0, i64::MAX as f64) as i64
}

impl FleetParams {
    /// How late a row may come: rows of a machine are held back until one is stamped later by this, and judged in order of
    /// time. None unless set: rows are judged as they come, and one that is late is unusable.
    #[must_use]
    pub fn lateness(mut self, lateness: Seconds) -> Self {
        self.lateness_ns = nanos_of(lateness);
        self
    }

    /// Rows of one machine held back at most, 256 unless set: of more, the earliest is judged before its time.
    #[must_use]
    pub fn max_held(mut self, n_rows: usize) -> Self {
        self.max_held = n_rows;
        self
    }

    /// The largest believable step of a machine's clock. A row stamped further ahead of the last, or further behind it than
    /// this and the lateness, is set aside. Three such rows in a row that agree with each other are believed: forward, the
    /// machine was off meanwhile; backward, its clock was set, and what is remembered of its rows begins anew. Fewer are
    /// dropped with an event. Unless set, a row stamped far in the future silences its machine until time catches up.
    #[must_use]
    pub fn largest_step(mut self, step: Seconds) -> Self {
        self.largest_step_ns = Some(nanos_of(step));
        self
    }

    /// Machines known at most; no bound unless set.
    #[must_use]
    pub fn max_assets(mut self, n: usize) -> Self {
        self.max_assets = Some(n);
        self
    }

    /// Bytes that what is remembered of all machines may take where a new one is to be admitted; no bound unless set.
    ///
    /// Counted are the bytes each machine takes in a snapshot, so that the same rows lead to the same machines in every run:
    /// when it is admitted, and again whenever its rows have doubled. Memory in use is higher by the spare room of lists.
    #[must_use]
    pub fn memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = Some(bytes);
        self
    }

    /// What happens where there is no room.
    #[must_use]
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }

    /// Parts of the fleet that can be worked on side by side (feature `parallel`); one unless set. No outcome depends on it.
    #[must_use]
    pub fn shards(mut self, n: usize) -> Self {
        self.n_shards = n;
        self
    }

    /// Times every `n`-th push of a shard for [`FleetMetrics`](super::FleetMetrics); 0, as unless set, times none. Reading the
    /// clock twice costs some 50 ns.
    #[must_use]
    pub fn time_every(mut self, n: u32) -> Self {
        self.time_every = n;
        self
    }

    /// Compares inputs with those of training: of each machine every `stride`-th usable row, in windows of the policy's length.
    /// A window ends with the call that fills it.
    #[must_use]
    pub fn watch_inputs(mut self, policy: DriftPolicy, stride: u32) -> Self {
        self.inputs = Some((policy, stride));
        self
    }

    /// Compares prognoses with what came true, once [`Fleet::learn_truth`] tells it, against those of held-out training
    /// machines.
    #[must_use]
    pub fn watch_truth(mut self, reference: TruthReference, policy: TruthPolicy) -> Self {
        self.truth = Some((reference, policy));
        self
    }

    /// Whether rows go through an inbox.
    pub(super) fn rows_may_wait(&self) -> bool {
        self.lateness_ns > 0 || self.largest_step_ns.is_some()
    }

    pub(super) fn check(&self, model: &Pipeline) -> Result<()> {
        let bound = |name: &str, expected: &str, good: bool, got: usize| {
            if good {
                Ok(())
            } else {
                Err(Error::parameter(name, expected, got))
            }
        };
        bound("shards", "1..=4096", (1..=4096).contains(&self.n_shards), self.n_shards)?;
        bound(
            "max_held",
            "1..=65536",
            (1..=65_536).contains(&self.max_held),
            self.max_held,
        )?;
        let max_assets = self.max_assets.unwrap_or(1);
        bound("max_assets", "at least 1", max_assets > 0, max_assets)?;
        if self.largest_step_ns == Some(0) {
            return Err(Error::parameter("largest_step", "above 0 s", 0));
        }
        if let Some((policy, stride)) = &self.inputs {
            policy.check()?;
            bound("stride of watch_inputs", "at least 1", *stride > 0, *stride as usize)?;
            if model.inputs().is_none() {
                return Err(Error::parameter(
                    "watch_inputs",
                    "a model that was fitted with a reference of its inputs",
                    "one without",
                ));
            }
        }
        if let Some((reference, policy)) = &self.truth {
            policy.check()?;
            if reference.unit() != model.life_unit() {
                return Err(Error::parameter(
                    "unit of watch_truth",
                    model.life_unit(),
                    reference.unit(),
                ));
            }
        }
        Ok(())
    }

    /// A fleet without machines.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting, what was expected and what came.
    pub fn build<K: Eq + Hash + Clone>(self, model: impl Into<Arc<Pipeline>>) -> Result<Fleet<K>> {
        Fleet::with_params(self, model.into())
    }
}
