//! The trait of everything that turns a window of samples into a feature row.

use super::{FeatureSchema, JoinedExtractor};
use crate::error::Result;

/// Turns a waveform window into a feature row, into the caller's buffers.
///
/// An extractor is immutable and shared; plans and tables are made when it is built, buffers once per thread by
/// [`new_scratch`](FeatureExtractor::new_scratch). Nothing is allocated per window.
pub trait FeatureExtractor: Send + Sync + 'static {
    /// Work space of one thread.
    type Scratch: Send;

    /// The columns written.
    fn schema(&self) -> &FeatureSchema;

    /// Buffers for [`extract_into`](FeatureExtractor::extract_into).
    fn new_scratch(&self) -> Self::Scratch;

    /// Writes the features of one window: one slice of samples a channel.
    ///
    /// A feature that cannot be computed from these samples is NaN; which ones, each extractor says.
    ///
    /// # Errors
    /// `InvalidInput` where the number of channels, their lengths or the length of `out` differ from what the extractor
    /// was built for.
    fn extract_into(&self, window: &[&[f64]], scratch: &mut Self::Scratch, out: &mut [f64]) -> Result<()>;

    /// This extractor's columns and behind them those of another, such as one of your own.
    ///
    /// # Errors
    /// `InvalidParameter` where rate or windows differ, or a name is in both.
    fn and<B: FeatureExtractor>(self, other: B) -> Result<JoinedExtractor<Self, B>>
    where
        Self: Sized,
    {
        JoinedExtractor::new(self, other)
    }
}
