//! A recorded waveform of one or more channels, and the windows cut from it all at once.

use super::{Channel, WindowSpec, waveform_window::sample_instant};
use crate::{
    error::{Error, Result},
    quantity::{Hertz, Timestamp},
};
use smallvec::SmallVec;
use std::{collections::HashSet, ops::Range};

/// A waveform: channels x samples at one constant rate, from one instant on. NaN is a missing sample.
///
/// Channels lie apart from each other in memory, so that [`channel`](Recording::channel) is one slice. The size is 8 bytes
/// a sample and channel.
///
/// ```
/// use prognos::{quantity::{Hertz, Timestamp}, signal::{Channel, Recording, WindowSpec}};
/// let counts: [&[i16]; 1] = [&[0, 3, -3, 1, 2]];
/// let recording =
///     Recording::from_samples(vec![Channel::new("motor", "counts")], Hertz::new(2.0)?, Timestamp::from_secs(10), &counts)?;
/// assert_eq!(recording.channel(0), Some(&[0.0, 3.0, -3.0, 1.0, 2.0][..]));
/// let mut windows = recording.windows(WindowSpec::new(3, 2)?);
/// assert_eq!(windows.len(), 2);
/// let first = windows.next().unwrap();
/// assert_eq!((first.end(), first.channels()), (Timestamp::from_secs(11), &[&[0.0, 3.0, -3.0][..]][..]));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    channels: Vec<Channel>,
    rate: Hertz,
    start: Timestamp,
    samples: Vec<Vec<f64>>,
    n_samples: usize,
}

impl Recording {
    /// A recording whose first samples were taken at `start`: one vector of samples a channel, all of one length.
    ///
    /// # Errors
    /// `InsufficientData` without a channel or without a sample; `InvalidInput` where channel names are empty or taken, or
    /// where `samples` has not one vector a channel, or vectors of different lengths.
    pub fn new(channels: Vec<Channel>, rate: Hertz, start: Timestamp, samples: Vec<Vec<f64>>) -> Result<Self> {
        check_names(&channels)?;
        if samples.len() != channels.len() {
            return Err(Error::input(
                "recording",
                format!("samples of {} channels", channels.len()),
                format!("of {}", samples.len()),
            ));
        }
        let n_samples = samples.first().map_or(0, Vec::len);
        if let Some((s, c)) = samples.iter().zip(&channels).find(|(s, _)| s.len() != n_samples) {
            return Err(Error::input(
                &format!("recording, channel `{}`", c.name),
                format!("{n_samples} samples as in the first"),
                s.len(),
            ));
        }
        if n_samples == 0 {
            return Err(Error::insufficient("recording", "at least 1 sample a channel", 0));
        }
        Ok(Self {
            channels,
            rate,
            start,
            samples,
            n_samples,
        })
    }

    /// A recording from samples of any type that widens to `f64` without loss: `f64`, `f32`, `i32`, `i16` and shorter. The
    /// numbers stay as they are; nothing is scaled.
    ///
    /// # Errors
    /// As [`Recording::new`].
    pub fn from_samples<S: Copy + Into<f64>>(
        channels: Vec<Channel>,
        rate: Hertz,
        start: Timestamp,
        samples: &[&[S]],
    ) -> Result<Self> {
        let widen = |s: &&[S]| s.iter().map(|&v| v.into()).collect();
        Self::new(channels, rate, start, samples.iter().map(widen).collect())
    }

    /// Names and units of the channels, at least one.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Samples a second of each channel.
    pub fn rate(&self) -> Hertz {
        self.rate
    }

    /// Instant of the first sample.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Instant of the last sample, within a nanosecond below 26 days.
    pub fn end(&self) -> Timestamp {
        sample_instant(self.start, self.n_samples as u64 - 1, self.rate)
    }

    /// Samples of each channel, at least one.
    pub fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// Samples of channel number `index`; `None` beyond the last.
    pub fn channel(&self, index: usize) -> Option<&[f64]> {
        self.samples.get(index).map(Vec::as_slice)
    }

    /// Samples of the channel `name`.
    pub fn channel_named(&self, name: &str) -> Option<&[f64]> {
        self.channel(self.channels.iter().position(|c| c.name == name)?)
    }

    /// All samples, one slice a channel, as [`WaveformWindower::push`](super::WaveformWindower::push) takes them.
    pub fn slices(&self) -> Vec<&[f64]> {
        self.samples.iter().map(Vec::as_slice).collect()
    }

    /// The full windows in order; samples after the last full window are left out.
    ///
    /// Nothing is copied. The same windows with the same instants come out of a
    /// [`WaveformWindower`](super::WaveformWindower) that is given the recording in chunks of any size.
    pub fn windows(&self, window: WindowSpec) -> RecordingWindows<'_> {
        let n = match self.n_samples.checked_sub(window.length()) {
            Some(rest) => rest / window.hop() + 1,
            None => 0,
        };
        RecordingWindows {
            recording: self,
            window,
            left: 0..n,
        }
    }
}

/// Fails unless there is a channel, and every name is unique and not empty.
pub(crate) fn check_names(channels: &[Channel]) -> Result<()> {
    if channels.is_empty() {
        return Err(Error::insufficient("channels", "at least 1", 0));
    }
    let mut seen = HashSet::with_capacity(channels.len());
    match channels.iter().find(|c| c.name.is_empty() || !seen.insert(&c.name)) {
        Some(c) => Err(Error::input(
            "channel names",
            "unique and not empty",
            format!("`{}`", c.name),
        )),
        None => Ok(()),
    }
}

/// One window of a [`Recording`]: a slice a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingWindow<'a> {
    end: Timestamp,
    channels: SmallVec<[&'a [f64]; 4]>,
}

impl<'a> RecordingWindow<'a> {
    /// Instant of the window's last sample.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// The samples, one slice a channel.
    pub fn channels(&self) -> &[&'a [f64]] {
        &self.channels
    }
}

/// Iterator over the windows of a [`Recording`], made by [`Recording::windows`].
#[derive(Clone, Debug)]
pub struct RecordingWindows<'a> {
    recording: &'a Recording,
    window: WindowSpec,
    left: Range<usize>,
}

impl<'a> Iterator for RecordingWindows<'a> {
    type Item = RecordingWindow<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.left.next()? * self.window.hop();
        let to = from + self.window.length();
        let r = self.recording;
        Some(RecordingWindow {
            end: sample_instant(r.start, to as u64 - 1, r.rate),
            channels: r.samples.iter().map(|s| &s[from..to]).collect(),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl ExactSizeIterator for RecordingWindows<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn recording(names: &[&str], samples: Vec<Vec<f64>>) -> Result<Recording> {
        let channels = names.iter().map(|n| Channel::new(*n, "g")).collect();
        Recording::new(channels, Hertz::new(3.0)?, Timestamp::from_secs(0), samples)
    }

    #[test]
    fn malformed_recordings_are_named() {
        let e = recording(&["a", "b"], vec![vec![0.0; 3], vec![0.0; 2]]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput);
        assert!(e.to_string().contains("`b`") && e.to_string().contains('3'), "{e}");
        for (names, n, kind) in [
            (&[][..], 0, ErrorKind::InsufficientData),
            (&["a"][..], 2, ErrorKind::InvalidInput),
            (&["a", "a"][..], 2, ErrorKind::InvalidInput),
            (&[""][..], 1, ErrorKind::InvalidInput),
        ] {
            assert_eq!(
                recording(names, vec![vec![0.0]; n]).unwrap_err().kind(),
                kind,
                "{names:?}"
            );
        }
        let e = recording(&["a"], vec![vec![]]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InsufficientData);
    }

    #[test]
    fn every_sample_type_widens_without_loss() {
        fn first<S: Copy + Into<f64>>(v: S) -> f64 {
            let c = vec![Channel::new("a", "")];
            let r = Recording::from_samples(c, Hertz::new(1.0).unwrap(), Timestamp::default(), &[&[v][..]]).unwrap();
            r.channel_named("a").unwrap()[0]
        }
        assert_eq!(first(i16::MIN), -32_768.0);
        assert_eq!(first(i32::MAX), 2_147_483_647.0);
        assert_eq!(first(0.1_f32), f64::from(0.1_f32));
        assert_eq!(first(0.1_f64), 0.1);
        assert!(first(f32::NAN).is_nan());
    }

    #[test]
    fn windows_are_cut_and_stamped_at_their_last_sample() {
        let r = recording(&["a", "b"], vec![vec![0.0, 1.0, 2.0, 3.0, 4.0], vec![5.0; 5]]).unwrap();
        for (length, hop, starts) in [
            (2, 1, &[0, 1, 2, 3][..]),
            (2, 2, &[0, 2]),
            (2, 3, &[0, 3]),
            (5, 9, &[0]),
            (6, 1, &[]),
        ] {
            let windows: Vec<_> = r.windows(WindowSpec::new(length, hop).unwrap()).collect();
            let got: Vec<_> = windows.iter().map(|w| w.channels()[0][0] as usize).collect();
            assert_eq!(got, starts, "length {length}, hop {hop}");
            for w in &windows {
                let last = w.channels()[0][length - 1];
                assert_eq!(w.end().nanos(), (last * 1e9 / 3.0).round() as i64);
                assert_eq!(w.channels()[1], vec![5.0; length]);
            }
        }
        assert_eq!(r.end().nanos(), 1_333_333_333);
        assert_eq!((r.channel(2), r.channel_named("c")), (None, None));
    }
}
