//! What a fleet remembers of one machine.

use super::inbox::Inbox;
use crate::{
    decision::Condition,
    drift::EstimateTrail,
    envelope::{decode, encode},
    error::{Error, Result},
    model::{Assessment, UnusableReason},
    pipeline::{Pipeline, PipelineState},
    quantity::Timestamp,
    signal::WaveformWindower,
};
use serde::{Deserialize, Serialize};

/// The highest count that is read from a file: of rows, calls or machines. No fleet gets there, and none overflows from there.
pub(super) const MAX_COUNT: u64 = 1 << 48;
/// The bytes a machine may be said to be counted with; a block of a snapshot is shorter.
const MAX_CHARGED: u64 = 1 << 30;

/// One machine.
#[derive(Clone, Debug)]
pub(super) struct Slot<K> {
    pub(super) key: K,
    pub(super) memory: Memory,
    /// When it was last changed, by the fleet's count of calls.
    pub(super) changed: u64,
    /// How the last row ended.
    pub(super) last: Option<Assessment<Condition>>,
    /// Why the last row could not be used, while rows cannot.
    pub(super) unusable: Option<UnusableReason>,
    /// Rows of it in the monitor of inputs.
    pub(super) monitored: u64,
}

/// What is written of a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Machines are written in the order they were admitted in.
    pub(super) number: u64,
    /// Rows taken.
    pub(super) rows: u64,
    /// Bytes it is counted with.
    pub(super) charged: u64,
    pub(super) state: PipelineState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shadow: Option<Box<PipelineState>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) windower: Option<Box<WaveformWindower>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) inbox: Option<Box<Inbox>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trail: Option<Box<EstimateTrail>>,
}

impl Memory {
    pub(super) fn new(number: u64, state: PipelineState, shadow: Option<PipelineState>) -> Self {
        Self {
            number,
            rows: 0,
            charged: 0,
            state,
            shadow: shadow.map(Box::new),
            windower: None,
            inbox: None,
            trail: None,
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        encode(self)
    }

    /// What was written, made by these models.
    pub(super) fn from_bytes(bytes: &[u8], model: &Pipeline, shadow: Option<&Pipeline>) -> Result<Self> {
        let memory: Self = decode(bytes)?;
        memory.check(model, shadow)?;
        Ok(memory)
    }

    pub(super) fn check(&self, model: &Pipeline, shadow: Option<&Pipeline>) -> Result<()> {
        if self.rows > MAX_COUNT || self.number > MAX_COUNT || self.charged > MAX_CHARGED {
            return Err(Error::persistence("counts of a machine: expected smaller ones"));
        }
        model.expect_state(&self.state)?;
        match (&self.shadow, shadow) {
            (Some(state), Some(model)) => model.expect_state(state)?,
            (None, None) => {}
            (Some(_), None) => return Err(Error::state("shadow", "none", "a state")),
            (None, Some(_)) => return Err(Error::state("shadow", "a state", "none")),
        }
        let width = model.width();
        if self.inbox.as_ref().is_some_and(|inbox| !inbox.fits(width)) {
            return Err(Error::persistence(format!(
                "rows that wait: expected {width} readings each"
            )));
        }
        if let (Some(windower), Some(extractor)) = (&self.windower, model.extractor()) {
            let fits = windower.n_channels() == extractor.channels().len()
                && windower.rate() == extractor.rate()
                && windower.window() == extractor.window();
            if !fits {
                return Err(Error::persistence(
                    "windower: expected one of the model's channels and windows",
                ));
            }
        } else if self.windower.is_some() {
            return Err(Error::persistence(
                "windower: expected none in a fleet whose model takes rows",
            ));
        }
        Ok(())
    }

    /// Counts its bytes anew; gives those it was counted with before.
    pub(super) fn charge(&mut self) -> Result<u64> {
        let now = self.n_bytes()?;
        Ok(std::mem::replace(&mut self.charged, now))
    }

    /// Bytes it takes in a snapshot.
    fn n_bytes(&self) -> Result<u64> {
        let mut count = Count(0);
        rmp_serde::encode::write_named(&mut count, self)
            .map_err(|e| Error::persistence(format!("cannot encode: {e}")).with_source(e))?;
        Ok(count.0)
    }

    /// When it was last heard of: rows that wait count.
    pub(super) fn last_heard(&self) -> Option<Timestamp> {
        let waiting = self.inbox.as_ref().and_then(|inbox| inbox.newest());
        self.last_time().max(waiting)
    }

    /// The last instant it is known to have had.
    pub(super) fn last_time(&self) -> Option<Timestamp> {
        self.state.last_time()
    }
}

struct Count(u64);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
