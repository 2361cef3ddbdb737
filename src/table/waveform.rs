//! Plain waveforms in frames: a row an instant, a column a channel.

use super::{
    column::{floats, readings},
    layout::column_of,
    read_parquet,
};
use crate::{
    error::{Error, Result},
    quantity::{Hertz, Timestamp},
    signal::{Channel, Recording},
};
use polars::prelude::DataFrame;
use std::path::Path;

/// The most samples of all channels: 2^28, two gibibytes of memory.
pub const MAX_WAVEFORM_SAMPLES: usize = 1 << 28;

/// The waveform in the columns that `channels` name, one row a sample, the first at `start`.
///
/// Integers and floats of any width widen to `f64` (integers above 2^53 are rounded); null and NaN are missing samples.
/// Other columns mean nothing. Memory: 8 bytes a sample and channel, twice while a column is converted.
///
/// ```
/// use prognos::{quantity::{Hertz, Timestamp}, signal::Channel, table::{self, polars::prelude::*}};
/// let frame = df!("note" => ["a", "b", "c"], "motor" => [Some(1i16), None, Some(-3)], "pump" => [0.5f32, 0.25, 0.0])?;
/// let channels = [Channel::new("pump", "g"), Channel::new("motor", "counts")];
/// let recording = table::recording_from_frame(&frame, channels, Hertz::new(25_600.0)?, Timestamp::default())?;
/// assert_eq!(recording.channel_named("pump"), Some(&[0.5, 0.25, 0.0][..]));
/// assert!(recording.channel_named("motor").unwrap()[1].is_nan());
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InsufficientData` without a channel or a row; `InvalidInput`, naming the column, where it is not there or holds no
/// numbers, where a channel is named twice, and for more than [`MAX_WAVEFORM_SAMPLES`] samples.
pub fn recording_from_frame(
    frame: &DataFrame,
    channels: impl IntoIterator<Item = Channel>,
    rate: Hertz,
    start: Timestamp,
) -> Result<Recording> {
    let channels: Vec<Channel> = channels.into_iter().collect();
    for channel in &channels {
        column_of(frame.schema(), &channel.name)?;
    }
    let n = frame.height().saturating_mul(channels.len());
    if n > MAX_WAVEFORM_SAMPLES {
        return Err(Error::input(
            "samples of all channels",
            format!("at most {MAX_WAVEFORM_SAMPLES}"),
            n,
        ));
    }
    let read = |c: &Channel| Ok(readings(&floats(frame, &c.name)?).collect());
    let samples = channels.iter().map(read).collect::<Result<_>>()?;
    Recording::new(channels, rate, start, samples)
}

/// [`recording_from_frame`] of a Parquet file.
///
/// # Errors
/// As [`read_parquet`] and [`recording_from_frame`]. Each names the path.
pub fn read_waveform_parquet(
    path: impl AsRef<Path>,
    channels: impl IntoIterator<Item = Channel>,
    rate: Hertz,
    start: Timestamp,
) -> Result<Recording> {
    let path = path.as_ref();
    let frame = read_parquet(path)?;
    recording_from_frame(&frame, channels, rate, start).map_err(|e| e.context(path.display()))
}
