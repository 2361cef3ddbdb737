//! Cutting a waveform into windows of fixed length, online.

use crate::{
    error::{Error, Result},
    quantity::{Hertz, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest window and hop: 2^24 samples.
const MAX_SAMPLES: usize = 1 << 24;
/// The largest window times the number of channels: 2^26 samples.
const MAX_WINDOW: usize = 1 << 26;

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

/// The instant of sample `index` of a waveform that starts at `start`, within a nanosecond below 26 days.
pub(super) fn sample_instant(start: Timestamp, index: u64, rate: Hertz) -> Timestamp {
    let offset = (index as f64 * 1e9 / rate.get()).round() as i128; // saturates
    let nanos = i128::from(start.nanos()).saturating_add(offset);
    Timestamp::from_nanos(nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

/// How a chunk of samples joins what came before it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Continuity {
    /// It is the first of its machine, or the first after a reset.
    First,
    /// It follows without a gap.
    Continued,
    /// It does not follow, so that the window was begun anew with it.
    Restarted {
        /// Seconds from the expected instant to that of the chunk; negative where the chunk came too early.
        gap_s: f64,
        /// Samples a channel of the unfinished window that were dropped.
        n_discarded: usize,
    },
}

/// What [`WaveformWindower::push`] did with a chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pushed {
    /// How the chunk joined what came before it.
    pub continuity: Continuity,
    /// Windows handed out.
    pub n_windows: usize,
}

/// Cuts the waveform of one machine, given in chunks of any size, into windows.
///
/// Windows and their instants are those of [`Recording::windows`](super::Recording::windows) over the same samples, to the
/// last bit, however the samples are split into chunks. NaN samples are passed on.
///
/// # Gaps
/// Every chunk brings the instant of its first sample. One that is more than half a sample period off the expected instant,
/// early or late, begins a new window, and [`Pushed`] says so; no window spans a gap. Smaller deviations are followed: a
/// sensor clock that runs a little slow or fast never adds up to a gap. So stamp chunks by the sensor's clock, or count
/// samples; arrival times jitter by more than half a period.
///
/// # Cost
/// 8 bytes a channel for each sample of one window; up to two windows where the hop is below half the length. A sample is
/// copied at most about twice. Nothing is allocated after construction.
///
/// ```
/// use prognos::{quantity::{Hertz, Timestamp}, signal::{WaveformWindower, WindowSpec}};
/// let mut windower = WaveformWindower::new(1, Hertz::new(1000.0)?, WindowSpec::new(4, 2)?)?;
/// let mut sums = Vec::new();
/// for chunk in 0..3 {
///     let first = Timestamp::from_nanos(chunk * 3_000_000); // three samples, one millisecond apart
///     windower.push(first, &[&[1.0, 2.0, 3.0]], |end, window| {
///         sums.push((end.nanos() / 1_000_000, window[0].iter().sum::<f64>()));
///         Ok(())
///     })?;
/// }
/// assert_eq!(sums, [(3, 7.0), (5, 9.0), (7, 8.0)]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "WindowerData", into = "WindowerData")]
pub struct WaveformWindower {
    n_channels: usize,
    rate: Hertz,
    window: WindowSpec,
    /// One stretch of `stride` places a channel.
    buffer: Vec<f64>,
    stride: usize,
    /// Place of the unfinished window's first sample, and how many it has.
    first: usize,
    filled: usize,
    /// Samples to leave out before the next window begins.
    skip: usize,
    /// An instant, and the samples taken since.
    anchor: Option<(Timestamp, u64)>,
    /// Empty between calls; kept for its allocation.
    views: Vec<&'static [f64]>,
}

#[derive(Serialize, Deserialize)]
struct WindowerData {
    n_channels: usize,
    rate: Hertz,
    window: WindowSpec,
    /// The unfinished window, channel after channel.
    samples: Vec<f64>,
    skip: usize,
    anchor: Option<(Timestamp, u64)>,
}

impl WaveformWindower {
    /// A windower of one machine of which no sample is known yet.
    ///
    /// # Errors
    /// `InvalidParameter` without channels, or where channels times window length exceeds 2^26.
    pub fn new(n_channels: usize, rate: Hertz, window: WindowSpec) -> Result<Self> {
        let (length, hop) = (window.length(), window.hop());
        if n_channels == 0 || n_channels > MAX_WINDOW / length {
            return Err(Error::parameter(
                "n_channels",
                format!("1..={} for windows of {length} samples", MAX_WINDOW / length),
                n_channels,
            ));
        }
        // Room behind the window, so that moving the overlap to the front costs one copy a sample however short the hop.
        let stride = length + length.saturating_sub(2 * hop);
        Ok(Self {
            n_channels,
            rate,
            window,
            buffer: vec![0.0; n_channels * stride],
            stride,
            first: 0,
            filled: 0,
            skip: 0,
            anchor: None,
            views: Vec::with_capacity(n_channels),
        })
    }

    /// Number of channels.
    pub fn n_channels(&self) -> usize {
        self.n_channels
    }

    /// Samples a second of each channel.
    pub fn rate(&self) -> Hertz {
        self.rate
    }

    /// Length and hop of the windows.
    pub fn window(&self) -> WindowSpec {
        self.window
    }

    /// Samples a channel of the unfinished window.
    pub fn n_buffered(&self) -> usize {
        self.filled
    }

    /// Forgets all samples; the next chunk is the first.
    pub fn reset(&mut self) {
        (self.first, self.filled, self.skip, self.anchor) = (0, 0, 0, None);
    }

    /// Takes a chunk: one slice a channel, its first samples taken at `start`. Calls `on_window` for each window that
    /// becomes full, in order, with the instant of the window's last sample and one slice a channel.
    ///
    /// A chunk without samples changes nothing, whatever its instant.
    ///
    /// # Errors
    /// `InvalidInput` where the chunk has not one slice a channel or slices of different lengths; nothing is changed then.
    /// An error of `on_window` comes back after the whole chunk was taken: no more windows of this chunk are handed out, and
    /// the next chunk goes on as if they had been.
    pub fn push(
        &mut self,
        start: Timestamp,
        chunk: &[&[f64]],
        mut on_window: impl FnMut(Timestamp, &[&[f64]]) -> Result<()>,
    ) -> Result<Pushed> {
        let n = self.check(chunk)?;
        let mut pushed = Pushed {
            continuity: Continuity::Continued,
            n_windows: 0,
        };
        if n == 0 {
            return Ok(pushed);
        }
        let (anchor, before) = self.join(start, &mut pushed.continuity);
        self.anchor = Some((anchor, before.saturating_add(n as u64)));
        let mut outcome = Ok(());
        let mut taken = 0;
        while taken < n {
            let skipped = self.skip.min(n - taken);
            self.skip -= skipped;
            taken += skipped;
            let fresh = (self.window.length() - self.filled).min(n - taken);
            self.append(chunk, taken, fresh);
            taken += fresh;
            if self.filled == self.window.length() {
                let from = self.first;
                self.advance();
                if outcome.is_ok() {
                    let end = sample_instant(anchor, before.saturating_add(taken as u64 - 1), self.rate);
                    outcome = self.hand_out(from, end, &mut on_window);
                    pushed.n_windows += 1;
                }
            }
        }
        outcome.map(|()| pushed)
    }

    /// Samples a channel of a well-formed chunk.
    fn check(&self, chunk: &[&[f64]]) -> Result<usize> {
        if chunk.len() != self.n_channels {
            return Err(Error::input(
                "waveform chunk",
                format!("{} channels", self.n_channels),
                chunk.len(),
            ));
        }
        let n = chunk.first().map_or(0, |c| c.len());
        match chunk.iter().position(|c| c.len() != n) {
            Some(i) => Err(Error::input(
                &format!("waveform chunk, channel {i}"),
                format!("{n} samples as in channel 0"),
                chunk[i].len(),
            )),
            None => Ok(n),
        }
    }

    /// The instant and sample count that a chunk at `start` is counted from.
    fn join(&mut self, start: Timestamp, continuity: &mut Continuity) -> (Timestamp, u64) {
        let Some((anchor, n)) = self.anchor else {
            *continuity = Continuity::First;
            return (start, 0);
        };
        let expected = sample_instant(anchor, n, self.rate);
        let off = i128::from(start.nanos()) - i128::from(expected.nanos());
        // Within rounding the count goes on, so that the instants of windows do not depend on the chunks.
        if off.abs() <= 1 {
            return (anchor, n);
        }
        if off.abs() as f64 > 0.5e9 / self.rate.get() {
            *continuity = Continuity::Restarted {
                gap_s: off as f64 * 1e-9,
                n_discarded: self.filled,
            };
            self.reset();
        }
        (start, 0)
    }

    /// Copies `n` samples of the chunk from sample `from` on behind the buffered ones.
    fn append(&mut self, chunk: &[&[f64]], from: usize, n: usize) {
        let (first, filled) = (self.first, self.filled);
        let full = first + filled + n > self.stride;
        let place = if full { 0 } else { first };
        for (buffer, samples) in self.buffer.chunks_exact_mut(self.stride).zip(chunk) {
            if full {
                buffer.copy_within(first..first + filled, 0);
            }
            buffer[place + filled..place + filled + n].copy_from_slice(&samples[from..from + n]);
        }
        (self.first, self.filled) = (place, filled + n);
    }

    /// Begins the next window after a full one; moves no samples.
    fn advance(&mut self) {
        let (length, hop) = (self.window.length(), self.window.hop());
        (self.first, self.filled, self.skip) = if hop < length {
            (self.first + hop, length - hop, 0)
        } else {
            (0, 0, hop - length)
        };
    }

    fn hand_out(
        &mut self,
        from: usize,
        end: Timestamp,
        on_window: &mut impl FnMut(Timestamp, &[&[f64]]) -> Result<()>,
    ) -> Result<()> {
        let mut views: Vec<&[f64]> = std::mem::take(&mut self.views);
        let channels = self.buffer.chunks_exact(self.stride);
        views.extend(channels.map(|c| &c[from..from + self.window.length()]));
        let outcome = on_window(end, &views);
        // An empty vector of another lifetime in the same allocation; tests/allocations/vibration.rs holds `collect` to it.
        views.clear();
        self.views = views.into_iter().map(|_| -> &'static [f64] { &[] }).collect();
        outcome
    }
}

impl From<WaveformWindower> for WindowerData {
    fn from(w: WaveformWindower) -> Self {
        let channels = w.buffer.chunks_exact(w.stride);
        Self {
            n_channels: w.n_channels,
            rate: w.rate,
            window: w.window,
            samples: channels
                .flat_map(|c| &c[w.first..w.first + w.filled])
                .copied()
                .collect(),
            skip: w.skip,
            anchor: w.anchor,
        }
    }
}

impl TryFrom<WindowerData> for WaveformWindower {
    type Error = Error;

    fn try_from(data: WindowerData) -> Result<Self> {
        let mut w = Self::new(data.n_channels, data.rate, data.window)?;
        let (length, hop) = (w.window.length(), w.window.hop());
        let filled = data.samples.len() / w.n_channels;
        if data.samples.len() != filled * w.n_channels || filled >= length {
            return Err(Error::input(
                "samples of an unfinished window",
                format!("fewer than {length} for each of {} channels", w.n_channels),
                data.samples.len(),
            ));
        }
        if data.skip > hop.saturating_sub(length) || (data.skip > 0 && filled > 0) {
            return Err(Error::input(
                "samples to leave out",
                format!("at most {}, none inside a window", hop.saturating_sub(length)),
                format!("{} after {filled} samples of a window", data.skip),
            ));
        }
        if data.anchor.is_none() && (filled > 0 || data.skip > 0) {
            return Err(Error::input("instant of the buffered samples", "one", "none"));
        }
        if filled > 0 {
            let places = w.buffer.chunks_exact_mut(w.stride);
            for (place, samples) in places.zip(data.samples.chunks_exact(filled)) {
                place[..filled].copy_from_slice(samples);
            }
        }
        (w.filled, w.skip, w.anchor) = (filled, data.skip, data.anchor);
        Ok(w)
    }
}

impl fmt::Debug for WaveformWindower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaveformWindower")
            .field("n_channels", &self.n_channels)
            .field("rate", &self.rate)
            .field("window", &self.window)
            .field("n_buffered", &self.filled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::{decode, encode},
        error::ErrorKind,
        signal::{Channel, Recording},
    };
    use proptest::prelude::*;

    fn windower(n_channels: usize, rate: f64, length: usize, hop: usize) -> WaveformWindower {
        WaveformWindower::new(
            n_channels,
            Hertz::new(rate).unwrap(),
            WindowSpec::new(length, hop).unwrap(),
        )
        .unwrap()
    }

    /// Pushes one channel and gives the windows with their ends.
    fn push(w: &mut WaveformWindower, at: i64, samples: &[f64]) -> (Pushed, Vec<(i64, Vec<f64>)>) {
        let mut got = Vec::new();
        let pushed = w
            .push(Timestamp::from_nanos(at), &[samples], |end, x| {
                got.push((end.nanos(), x[0].to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(pushed.n_windows, got.len());
        (pushed, got)
    }

    const MS: i64 = 1_000_000;

    #[test]
    fn a_gap_begins_a_new_window_and_is_told() {
        let mut w = windower(1, 1000.0, 4, 2);
        assert_eq!(push(&mut w, 0, &[0.0, 1.0, 2.0]).0.continuity, Continuity::First);
        assert_eq!(
            push(&mut w, 3 * MS + MS / 2, &[3.0]).1,
            [(3 * MS + MS / 2, vec![0.0, 1.0, 2.0, 3.0])]
        );
        // Late by a nanosecond over half a period.
        let (late, none) = push(&mut w, 5 * MS + 1, &[9.0]);
        assert_eq!(
            late.continuity,
            Continuity::Restarted {
                gap_s: 500_001e-9,
                n_discarded: 2
            }
        );
        assert!(none.is_empty() && w.n_buffered() == 1);
        let (early, _) = push(&mut w, 0, &[5.0; 4]);
        let Continuity::Restarted { gap_s, n_discarded } = early.continuity else {
            panic!("{early:?}")
        };
        assert!((gap_s + 0.006).abs() < 1e-8 && n_discarded == 1, "{early:?}");
        assert_eq!(early.n_windows, 1);
    }

    #[test]
    fn a_gap_ends_the_samples_left_out() {
        let mut w = windower(1, 1000.0, 1, 4);
        assert_eq!(push(&mut w, 0, &[0.0, 1.0]).1, [(0, vec![0.0])]);
        assert_eq!(push(&mut w, MS * 90, &[2.0, 3.0]).1, [(MS * 90, vec![2.0])]);
    }

    #[test]
    fn a_drifting_clock_is_followed() {
        // 0.5% fast against the stated rate: after 1,000 chunks of 10 samples it is 50 samples off.
        let mut w = windower(1, 1000.0, 10, 10);
        for chunk in 0..1000 {
            let at = chunk * 9_950_000;
            let (pushed, windows) = push(&mut w, at, &[0.5; 10]);
            assert!(
                !matches!(pushed.continuity, Continuity::Restarted { .. }),
                "chunk {chunk}"
            );
            assert_eq!(windows[0].0, at + 9 * MS);
        }
    }

    #[test]
    fn malformed_chunks_change_nothing() {
        let mut w = windower(2, 1000.0, 3, 3);
        w.push(Timestamp::default(), &[&[1.0], &[2.0]], |_, _| Ok(())).unwrap();
        let before = encode(&w).unwrap();
        for chunk in [
            &[&[1.0][..]][..],
            &[&[1.0][..], &[1.0, 2.0][..]],
            &[&[][..], &[1.0][..]],
            &[],
        ] {
            let e = w
                .push(Timestamp::from_secs(9), chunk, |_, _| panic!("no window"))
                .unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidInput);
            assert_eq!(encode(&w).unwrap(), before);
        }
        let nothing = w
            .push(Timestamp::from_secs(9), &[&[], &[]], |_, _| panic!("no window"))
            .unwrap();
        assert_eq!(
            (nothing.continuity, encode(&w).unwrap()),
            (Continuity::Continued, before)
        );
        assert!(
            WaveformWindower::new(0, w.rate(), w.window()).is_err()
                && WaveformWindower::new(usize::MAX, w.rate(), w.window()).is_err()
        );
    }

    #[test]
    fn an_error_outside_leaves_the_stream_in_step() {
        let mut w = windower(1, 1000.0, 2, 2);
        let mut calls = 0;
        let e = w.push(Timestamp::default(), &[&[0.0, 1.0, 2.0, 3.0, 4.0]], |_, _| {
            calls += 1;
            Err(Error::input("window", "another", "this"))
        });
        assert!(e.is_err() && calls == 1);
        assert_eq!(push(&mut w, 5 * MS, &[5.0]).1, [(5 * MS, vec![4.0, 5.0])]);
    }

    #[test]
    fn hostile_states_do_not_deserialise() {
        let data = |n_channels, samples: &[f64], skip, anchor| WindowerData {
            n_channels,
            rate: Hertz::new(1.0).unwrap(),
            window: WindowSpec::new(3, 5).unwrap(),
            samples: samples.to_vec(),
            skip,
            anchor,
        };
        let at = Some((Timestamp::default(), 7));
        for bad in [
            data(0, &[], 0, None),
            data(usize::MAX, &[], 0, None),
            data(1, &[0.0; 3], 0, at),
            data(2, &[0.0; 3], 0, at),
            data(1, &[], 3, at),
            data(1, &[0.0], 1, at),
            data(1, &[0.0], 0, None),
            data(1, &[], 1, None),
        ] {
            assert!(decode::<WaveformWindower>(&encode(&bad).unwrap()).is_err());
        }
        for good in [
            data(1, &[], 2, at),
            data(2, &[f64::NAN; 4], 0, at),
            data(1, &[], 0, None),
        ] {
            let w: WaveformWindower = decode(&encode(&good).unwrap()).unwrap();
            assert_eq!(encode(&w).unwrap(), encode(&good).unwrap());
        }
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_batch_windows(
            n_channels in 1..4_usize,
            length in 1..20_usize,
            hop in 1..40_usize,
            rate in prop_oneof![Just(25_600.0), Just(3.0), Just(44_100.0), 0.1..1e5],
            start in -1_000_000_000_000_000_000..1_000_000_000_000_000_000_i64,
            chunks in prop::collection::vec((0..50_usize, any::<bool>()), 0..20),
        ) {
            let n: usize = chunks.iter().map(|c| c.0).sum();
            prop_assume!(n > 0);
            // NaN travels too, so samples are compared by their bits.
            let sample = |c: usize, i: usize| if i % 17 == 5 { f64::NAN } else { (1000 * c + i) as f64 };
            let samples = (0..n_channels).map(|c| (0..n).map(|i| sample(c, i)).collect()).collect();
            let names = (0..n_channels).map(|c| Channel::new(c.to_string(), "g")).collect();
            let rate = Hertz::new(rate).unwrap();
            let start = Timestamp::from_nanos(start);
            let recording = Recording::new(names, rate, start, samples).unwrap();
            let spec = WindowSpec::new(length, hop).unwrap();
            let bits = |end: Timestamp, w: &[&[f64]]| -> (i64, Vec<u64>) {
                (end.nanos(), w.iter().flat_map(|c| c.iter().map(|v| v.to_bits())).collect())
            };
            let batch: Vec<_> = recording.windows(spec).map(|w| bits(w.end(), w.channels())).collect();

            let mut windower = WaveformWindower::new(n_channels, rate, spec).unwrap();
            let mut online = Vec::new();
            let mut at = 0;
            for (len, restore) in chunks {
                if restore {
                    windower = decode(&encode(&windower).unwrap()).unwrap();
                }
                let chunk: Vec<&[f64]> = recording.slices().iter().map(|c| &c[at..at + len]).collect();
                let time = start.nanos() + (at as f64 * 1e9 / rate.get()).round() as i64;
                let pushed = windower.push(Timestamp::from_nanos(time), &chunk, |end, w| {
                    online.push(bits(end, w));
                    Ok(())
                }).unwrap();
                let restarted = matches!(pushed.continuity, Continuity::Restarted { .. });
                prop_assert!(!restarted);
                at += len;
            }
            prop_assert_eq!(online, batch);
        }
    }
}
