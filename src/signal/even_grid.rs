//! Samples at uneven times brought to an even rate.

use super::{Channel, Recording};
use crate::{
    error::{Error, Result},
    quantity::{Hertz, Seconds, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The most points of a grid: 2^26, half a gibibyte.
const MAX_POINTS: usize = 1 << 26;
/// Nanoseconds that instants are off by rounding.
const SLACK: f64 = 1.0;

/// What stands between two samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The straight line between them (`numpy.interp`). The default.
    #[default]
    Linear,
    /// The nearer one, halfway the earlier.
    Nearest,
    /// The earlier one.
    Previous,
}

/// Settings for bringing samples with instants of their own to an even rate.
///
/// Point `i` of the grid stands `i / rate` after the first instant; the last one is not after the last instant. Instants are
/// rounded to nanoseconds: a point that near to a sample has its value. What lies between two neighbouring samples is interpolated where they are at most
/// the longest gap apart, and NaN where they are not. Missing values (NaN or infinite) count as absent, as if their instants
/// were not there; before the first value and after the last nothing is made up. Where values come faster than the rate
/// nothing is averaged: what lies above half the rate folds down. Make the grid as fast as the samples, then decimate by a
/// [`Resampler`](super::Resampler).
///
/// Linear interpolation is a low-pass of its own: between even samples a sine of a tenth of their rate loses up to 5% in the
/// middle, one of a quarter up to 29%.
///
/// Time and memory are linear in samples and points.
///
/// ```
/// use prognos::{quantity::{Hertz, Seconds, Timestamp}, signal::EvenGrid};
/// let grid = EvenGrid::new(Hertz::new(1.0)?, Seconds::new(2.5)?)?;
/// let times = [0, 2, 3, 9, 10].map(Timestamp::from_secs);
/// let even = grid.resample(&times, &[0.0, 4.0, 5.0, 5.0, 6.0])?;
/// assert_eq!(even.values()[..4], [0.0, 2.0, 4.0, 5.0]);
/// assert_eq!((even.gaps().n_bridged(), even.gaps().unbridged(), even.gaps().longest_s()), (1, &[4..9][..], 6.0));
/// assert!(even.values()[4..9].iter().all(|v| v.is_nan()) && even.values()[9..] == [5.0, 6.0]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EvenGridData", into = "EvenGridData")]
#[must_use]
pub struct EvenGrid {
    rate: Hertz,
    longest_gap: Seconds,
    interpolation: Interpolation,
}

#[derive(Serialize, Deserialize)]
struct EvenGridData {
    rate: Hertz,
    longest_gap: Seconds,
    interpolation: Interpolation,
}

/// Where a channel had no samples for longer than a period and a half of the grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gaps {
    n_bridged: usize,
    unbridged: Vec<Range<usize>>,
    longest_s: f64,
}

impl Gaps {
    /// Neighbouring samples more than one and a half periods of the grid and at most the longest gap apart.
    pub fn n_bridged(&self) -> usize {
        self.n_bridged
    }

    /// Points that are NaN, stretch after stretch: within longer gaps, before the first value and after the last.
    pub fn unbridged(&self) -> &[Range<usize>] {
        &self.unbridged
    }

    /// Points that are NaN.
    pub fn n_missing(&self) -> usize {
        self.unbridged.iter().map(Range::len).sum()
    }

    /// Seconds between those neighbouring samples that are farthest apart, bridged or not; 0 for fewer than two samples.
    pub fn longest_s(&self) -> f64 {
        self.longest_s
    }
}

/// A channel at an even rate, made by [`EvenGrid::resample`].
#[derive(Clone, Debug, PartialEq)]
pub struct EvenSeries {
    start: Timestamp,
    rate: Hertz,
    values: Vec<f64>,
    gaps: Gaps,
}

impl EvenSeries {
    /// Instant of the first point: that of the first sample.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Points a second.
    pub fn rate(&self) -> Hertz {
        self.rate
    }

    /// A value a point, NaN in gaps.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values, without a copy.
    pub fn into_values(self) -> Vec<f64> {
        self.values
    }

    /// Where samples were far apart.
    pub fn gaps(&self) -> &Gaps {
        &self.gaps
    }
}

impl EvenGrid {
    /// A grid at `rate` that bridges gaps up to `longest_gap`, linearly.
    ///
    /// # Errors
    /// `InvalidParameter` where the longest gap is below a period of the grid.
    pub fn new(rate: Hertz, longest_gap: Seconds) -> Result<Self> {
        // Rounding of a period that was given as such.
        if longest_gap.get() * rate.get() < 1.0 - 1e-9 {
            let expected = format!("at least a period of the grid, {} s", 1.0 / rate.get());
            return Err(Error::parameter("longest_gap", expected, longest_gap));
        }
        Ok(Self {
            rate,
            longest_gap,
            interpolation: Interpolation::default(),
        })
    }

    /// What stands between two samples.
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// The channel at an even rate.
    ///
    /// # Errors
    /// `InvalidInput` where there is not one value an instant, or instants do not rise (the first that does not is named);
    /// `InsufficientData` without instants; `InvalidParameter` where the grid would have more than 2^26 points.
    pub fn resample(&self, times: &[Timestamp], values: &[f64]) -> Result<EvenSeries> {
        let n_points = self.n_points(times)?;
        let (values, gaps) = self.channel(times, values, n_points)?;
        Ok(EvenSeries {
            start: times.first().copied().unwrap_or_default(),
            rate: self.rate,
            values,
            gaps,
        })
    }

    /// Several channels with the same instants as one recording on one grid, with the gaps of each.
    ///
    /// # Errors
    /// As [`resample`](EvenGrid::resample) and [`Recording::new`]; `InvalidParameter` where all channels together would have
    /// more than 2^26 points.
    pub fn recording(
        &self,
        channels: Vec<Channel>,
        times: &[Timestamp],
        values: &[&[f64]],
    ) -> Result<(Recording, Vec<Gaps>)> {
        let n_points = self.n_points(times)?;
        if n_points.saturating_mul(values.len()) > MAX_POINTS {
            let got = format!("{} channels of {n_points}", values.len());
            return Err(Error::parameter(
                "rate",
                format!("for at most {MAX_POINTS} points"),
                got,
            ));
        }
        let each = values.iter().map(|v| self.channel(times, v, n_points));
        let (samples, gaps) = each.collect::<Result<(Vec<_>, Vec<_>)>>()?;
        let start = times.first().copied().unwrap_or_default();
        Ok((Recording::new(channels, self.rate, start, samples)?, gaps))
    }

    /// Points of the grid over instants that rise.
    fn n_points(&self, times: &[Timestamp]) -> Result<usize> {
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
            return Err(Error::insufficient("instants", "at least 1", 0));
        };
        if let Some((i, w)) = times.windows(2).enumerate().find(|(_, w)| w[0] >= w[1]) {
            let expected = format!("after instant {i} at {}", w[0]);
            return Err(Error::input(&format!("instant {}", i + 1), expected, w[1]));
        }
        // Within a nanosecond, to which instants are rounded.
        let periods = (nanos_between(first, last) + slack_ns(self.rate)) * 1e-9 * self.rate.get();
        if periods < MAX_POINTS as f64 {
            return Ok(periods as usize + 1);
        }
        let expected = format!("for at most {MAX_POINTS} points from {first} to {last}");
        Err(Error::parameter("rate", expected, self.rate))
    }

    fn channel(&self, times: &[Timestamp], values: &[f64], n_points: usize) -> Result<(Vec<f64>, Gaps)> {
        if values.len() != times.len() {
            return Err(Error::input(
                "values",
                format!("one for each of {} instants", times.len()),
                values.len(),
            ));
        }
        let first = times.first().copied().unwrap_or_default();
        let period = 1e9 / self.rate.get();
        let limit = self.longest_gap.get() * 1e9 + SLACK;
        let mut out = vec![f64::NAN; n_points];
        let mut gaps = Gaps::default();
        // The first point not yet dealt with, and the last sample.
        let mut next = 0;
        let mut before: Option<(Timestamp, f64)> = None;
        for (&time, &value) in times.iter().zip(values).filter(|(_, v)| v.is_finite()) {
            let at = nanos_between(first, time);
            let slack = slack_ns(self.rate) + 4.0 * f64::EPSILON * at;
            let end = (((at + slack) / period) as usize + 1).min(n_points);
            let reached = (next..end).zip(out.get_mut(next..end).unwrap_or_default());
            let gap = before.map_or(0.0, |(earlier, _)| nanos_between(earlier, time));
            gaps.longest_s = gaps.longest_s.max(gap * 1e-9);
            let known = before.filter(|_| gap <= limit);
            gaps.n_bridged += usize::from(known.is_some() && gap > 1.5 * period);
            let mut n_missing = 0;
            for (i, o) in reached {
                let left = at - i as f64 * period;
                match known {
                    _ if left.abs() <= slack => *o = value,
                    Some((_, u)) => *o = self.interpolation.between(u, value, 1.0 - left / gap),
                    None => n_missing += 1,
                }
            }
            if n_missing > 0 {
                gaps.unbridged.push(next..next + n_missing);
            }
            before = Some((time, value));
            next = end;
        }
        if next < n_points {
            gaps.unbridged.push(next..n_points);
        }
        Ok((out, gaps))
    }
}

/// What rounding of instants may move a sample, at most a quarter of a period.
fn slack_ns(rate: Hertz) -> f64 {
    SLACK.min(0.25e9 / rate.get())
}

/// Exact below 104 days.
fn nanos_between(earlier: Timestamp, later: Timestamp) -> f64 {
    (i128::from(later.nanos()) - i128::from(earlier.nanos())) as f64
}

impl Interpolation {
    /// The value at `share` of the way from `a` to `b`.
    fn between(self, a: f64, b: f64, share: f64) -> f64 {
        match self {
            Self::Linear if (b - a).is_finite() => a + (b - a) * share,
            Self::Linear => a * (1.0 - share) + b * share,
            Self::Nearest if share > 0.5 => b,
            Self::Nearest | Self::Previous => a,
        }
    }
}

impl TryFrom<EvenGridData> for EvenGrid {
    type Error = Error;
    fn try_from(data: EvenGridData) -> Result<Self> {
        Ok(Self::new(data.rate, data.longest_gap)?.interpolation(data.interpolation))
    }
}

impl From<EvenGrid> for EvenGridData {
    fn from(g: EvenGrid) -> Self {
        Self {
            rate: g.rate,
            longest_gap: g.longest_gap,
            interpolation: g.interpolation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    fn grid(rate: f64, gap: f64) -> EvenGrid {
        EvenGrid::new(Hertz::new(rate).unwrap(), Seconds::new(gap).unwrap()).unwrap()
    }

    fn instants(millis: &[i64]) -> Vec<Timestamp> {
        millis.iter().map(|m| Timestamp::from_nanos(m * 1_000_000)).collect()
    }

    fn same(a: f64, b: f64) -> bool {
        a == b || (a.is_nan() && b.is_nan())
    }

    #[test]
    fn a_grid_finer_than_nanoseconds_makes_no_points_of_its_own() {
        let even = grid(1e12, 1e-9).resample(&instants(&[5]), &[3.0]).unwrap();
        assert_eq!((even.values(), even.gaps().n_missing()), (&[3.0][..], 0));
        let times = [0, 1].map(Timestamp::from_nanos);
        let even = grid(4e9, 1e-9).resample(&times, &[0.0, 4.0]).unwrap();
        assert_eq!(even.values(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    proptest! {
        /// Each point by a search over all samples, in whole milliseconds.
        #[test]
        fn it_is_the_naive_grid(
            steps in prop::collection::vec((1..400_i64, prop_oneof![4 => -9..9_i32, 1 => Just(99)]), 1..40),
            start in -5000..5000_i64, limit in 100..800_i64,
        ) {
            let mut at = start;
            let (mut millis, mut values) = (Vec::new(), Vec::new());
            for (step, value) in steps {
                millis.push(at);
                values.push(if value == 99 { f64::NAN } else { f64::from(value) });
                at += step;
            }
            let present: Vec<(i64, f64)> = millis.iter().copied().zip(values.iter().copied()).filter(|(_, v)| !v.is_nan()).collect();
            let n = ((millis.last().unwrap() - start) / 100 + 1) as usize;
            for interpolation in [Interpolation::Linear, Interpolation::Nearest, Interpolation::Previous] {
                let grid = grid(10.0, limit as f64 / 1e3).interpolation(interpolation);
                let even = grid.resample(&instants(&millis), &values).unwrap();
                prop_assert_eq!((even.values().len(), even.start().nanos()), (n, start * 1_000_000));
                for (i, got) in even.values().iter().enumerate() {
                    let t = start + 100 * i as i64;
                    let before = present.iter().rev().find(|(at, _)| *at <= t);
                    let after = present.iter().find(|(at, _)| *at >= t);
                    let expected = match (before, after) {
                        (Some((a, u)), Some((b, _))) if a == b => *u,
                        (Some((a, u)), Some((b, v))) if b - a <= limit => match interpolation {
                            Interpolation::Linear => u + (v - u) * (t - a) as f64 / (b - a) as f64,
                            Interpolation::Nearest => if t - a <= b - t { *u } else { *v },
                            Interpolation::Previous => *u,
                        },
                        _ => f64::NAN,
                    };
                    // A dozen roundings of numbers up to 20.
                    prop_assert!(same(*got, expected) || (got - expected).abs() < 1e-13, "{i}: {got} {expected}");
                }
                let gaps = even.gaps();
                let missing: Vec<usize> = gaps.unbridged().iter().cloned().flatten().collect();
                let nan: Vec<usize> = (0..n).filter(|i| even.values()[*i].is_nan()).collect();
                prop_assert_eq!(&missing, &nan);
                prop_assert_eq!(gaps.n_missing(), nan.len());
                let apart: Vec<i64> = present.windows(2).map(|w| w[1].0 - w[0].0).collect();
                prop_assert_eq!(gaps.n_bridged(), apart.iter().filter(|d| **d > 150 && **d <= limit).count());
                prop_assert!((gaps.longest_s() - apart.iter().max().map_or(0.0, |d| *d as f64 / 1e3)).abs() < 1e-12);
            }
        }

        #[test]
        fn even_samples_stay_to_the_last_bit(values in prop::collection::vec(any::<f64>(), 1..200), rate in 1e-3..1e6_f64, start in any::<i32>()) {
            let at = |i: usize| Timestamp::from_nanos(i64::from(start) * 1_000_000_000 + (i as f64 * 1e9 / rate).round() as i64);
            let times: Vec<Timestamp> = (0..values.len()).map(at).collect();
            for interpolation in [Interpolation::Linear, Interpolation::Nearest, Interpolation::Previous] {
                let even = grid(rate, 1.0 / rate).interpolation(interpolation).resample(&times, &values).unwrap();
                prop_assert_eq!(even.values().len(), values.len());
                let kept = |(a, b): (&f64, &f64)| same(*a, *b) || (a.is_nan() && b.is_infinite());
                prop_assert!(even.values().iter().zip(&values).all(kept));
            }
        }
    }

    #[test]
    fn gaps_are_told() {
        let nan = f64::NAN;
        let times = instants(&[0, 100, 200, 500, 600, 1100, 1150, 1300]);
        let even = grid(10.0, 0.3)
            .resample(&times, &[nan, 1.0, 2.0, 5.0, 6.0, 1.0, 2.0, nan])
            .unwrap();
        let gaps = even.gaps();
        assert_eq!(
            (gaps.n_bridged(), gaps.n_missing(), gaps.longest_s()),
            (1, 1 + 4 + 2, 0.5)
        );
        assert_eq!(gaps.unbridged(), [0..1, 7..11, 12..14]);
        assert_eq!(even.values()[1..7], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let none = grid(10.0, 1.0).resample(&times, &[nan; 8]).unwrap();
        assert!(none.gaps().unbridged().iter().eq([&(0..14)]) && none.gaps().longest_s() == 0.0);
        let one = grid(10.0, 1.0).resample(&times[3..4], &[7.0]).unwrap();
        assert_eq!(
            (one.values(), one.start(), one.gaps()),
            (&[7.0][..], times[3], &Gaps::default())
        );
        let huge = grid(20.0, 1.0).resample(&times[..2], &[f64::MAX, f64::MIN]).unwrap();
        assert!(huge.values().iter().all(|v| v.is_finite()));
    }

    #[test]
    fn channels_share_one_grid() {
        let channels = vec![Channel::new("a", "g"), Channel::new("b", "g")];
        let times = instants(&[1000, 1100, 1300]);
        let values: [&[f64]; 2] = [&[0.0, 1.0, 3.0], &[f64::NAN, 1.0, 1.0]];
        let (recording, gaps) = grid(10.0, 1.0).recording(channels.clone(), &times, &values).unwrap();
        assert_eq!(recording.channel(0), Some(&[0.0, 1.0, 2.0, 3.0][..]));
        assert!(recording.channel(1).unwrap()[0].is_nan() && recording.start() == times[0]);
        assert_eq!((gaps[0].n_missing(), gaps[1].n_missing()), (0, 1));
        assert!(
            grid(10.0, 1.0)
                .recording(channels.clone(), &times, &values[..1])
                .is_err()
        );
        let many = vec![&[0.0, 1.0][..]; 8];
        let e = grid(1e6, 20.0)
            .recording(channels, &instants(&[0, 10_000]), &many)
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidParameter);
    }

    #[test]
    fn what_cannot_be_a_grid_is_refused() {
        let g = grid(25_600.0, 1.0);
        let year = [Timestamp::from_secs(0), Timestamp::from_secs(31_536_000)];
        let e = g.resample(&year, &[0.0, 1.0]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidParameter);
        assert!(e.to_string().contains("67108864 points from 0 s to 31536000 s"), "{e}");
        let all = [Timestamp::from_nanos(i64::MIN), Timestamp::from_nanos(i64::MAX)];
        assert!(g.resample(&all, &[0.0, 1.0]).is_err() && grid(1e300, 1.0).resample(&year, &[0.0, 1.0]).is_err());
        for (millis, named) in [
            (&[0, 2, 1][..], "instant 2"),
            (&[0, 1, 1], "instant 2"),
            (&[5, 0, 1], "instant 1"),
        ] {
            let e = g.resample(&instants(millis), &[0.0; 3]).unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidInput && e.to_string().contains(named),
                "{e}"
            );
        }
        assert_eq!(g.resample(&[], &[]).unwrap_err().kind(), ErrorKind::InsufficientData);
        let e = g.resample(&instants(&[0, 1]), &[0.0]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput);
        let e = EvenGrid::new(Hertz::new(10.0).unwrap(), Seconds::new(0.09).unwrap()).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InvalidParameter && e.to_string().contains("0.1 s"),
            "{e}"
        );
        let text = serde_json::to_string(&g.interpolation(Interpolation::Previous)).unwrap();
        assert_eq!(
            serde_json::from_str::<EvenGrid>(&text).unwrap(),
            g.interpolation(Interpolation::Previous)
        );
        assert!(
            serde_json::from_str::<EvenGrid>(&text.replace("\"longest_gap\":1.0", "\"longest_gap\":1e-9")).is_err()
        );
    }
}
