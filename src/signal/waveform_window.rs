//! Cutting a waveform into windows of fixed length, online.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The longest window and hop: 2^24 samples.
const MAX_SAMPLES: usize = 1 << 24;

/// Length of a window and the hop from one to the next, in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(usize, usize)", into = "(usize, usize)")]
pub struct WindowSpec {
    length: usize,
    hop: usize,
}

impl WindowSpec {
    /// Windows of `length` samples, each starting `hop` samples after the one before. A hop above the length leaves
    /// samples out.
    ///
    /// # Errors
    /// `InvalidParameter` unless both lie in 1..=2^24.
    pub fn new(length: usize, hop: usize) -> Result<Self> {
        for (name, value) in [("length", length), ("hop", hop)] {
            if !(1..=MAX_SAMPLES).contains(&value) {
                return Err(Error::parameter(name, format!("1..={MAX_SAMPLES} samples"), value));
            }
        }
        Ok(Self { length, hop })
    }

    /// Samples in a window.
    pub fn length(self) -> usize {
        self.length
    }

    /// Samples from one window's start to the next one's.
    pub fn hop(self) -> usize {
        self.hop
    }
}

impl TryFrom<(usize, usize)> for WindowSpec {
    type Error = Error;
    fn try_from((length, hop): (usize, usize)) -> Result<Self> {
        Self::new(length, hop)
    }
}

impl From<WindowSpec> for (usize, usize) {
    fn from(w: WindowSpec) -> Self {
        (w.length, w.hop)
    }
}
