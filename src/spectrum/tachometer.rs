//! Pulses of a tachometer, and the angle of the shaft they stand for.

use super::shaft_angle::{ShaftAngle, check_rising};
use crate::{
    error::{Error, Result},
    quantity::Hertz,
    signal::MedianFilter,
};
use serde::{Deserialize, Serialize};

/// How far an interval may differ from the running median, as a share of it, and still count as one interval.
const TOLERANCE: f64 = 0.4;
/// How far the intervals that a gap seems to hold may differ from a whole number.
const WHOLE: f64 = 0.25;
/// Intervals of the running median.
const MEDIAN_WIDTH: usize = 9;
/// Intervals on either side whose speed is taken for that of a gap.
const NEIGHBOURS: usize = 3;
/// The most missing pulses a gap may be bridged over.
const MOST_BRIDGED: usize = 100;
/// Pulses of a record.
const MOST_PULSES: usize = 1 << 24;

/// Which edge of a pulse counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PulseEdge {
    /// The rising one.
    #[default]
    Rising,
    /// The falling one.
    Falling,
}

/// Finds the instants of pulses in a waveform: where it crosses a threshold, by linear interpolation between samples.
///
/// After a pulse the waveform must go back beyond `threshold - hysteresis` (`threshold + hysteresis` for falling edges)
/// before another counts, so that noise on an edge makes no second pulse. A sample that is NaN or infinite breaks the
/// waveform: an edge at it is lost, and shows as a missing pulse.
///
/// ```
/// use prognos::{quantity::Hertz, spectrum::{PulseEdge, PulseTrigger}};
/// let x = [0.0, 0.0, 4.0, 5.0, 5.0, 2.4, 2.6, 0.0, 0.0, 5.0];
/// let trigger = PulseTrigger::new(2.5, 1.0, PulseEdge::Rising)?;
/// assert_eq!(trigger.pulse_times(&x, Hertz::new(10.0)?)?, [0.1625, 0.85]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TriggerData", into = "TriggerData")]
pub struct PulseTrigger {
    threshold: f64,
    hysteresis: f64,
    edge: PulseEdge,
}

#[derive(Serialize, Deserialize)]
struct TriggerData {
    threshold: f64,
    hysteresis: f64,
    edge: PulseEdge,
}

impl TryFrom<TriggerData> for PulseTrigger {
    type Error = Error;
    fn try_from(data: TriggerData) -> Result<Self> {
        Self::new(data.threshold, data.hysteresis, data.edge)
    }
}

impl From<PulseTrigger> for TriggerData {
    fn from(t: PulseTrigger) -> Self {
        Self {
            threshold: t.threshold,
            hysteresis: t.hysteresis,
            edge: t.edge,
        }
    }
}

impl PulseTrigger {
    /// A trigger at this threshold; threshold and hysteresis in the unit of the samples.
    ///
    /// # Errors
    /// `InvalidParameter` unless both are finite and the hysteresis is not negative.
    pub fn new(threshold: f64, hysteresis: f64, edge: PulseEdge) -> Result<Self> {
        if !threshold.is_finite() {
            return Err(Error::parameter("threshold", "finite", threshold));
        }
        if !(hysteresis.is_finite() && hysteresis >= 0.0) {
            return Err(Error::parameter("hysteresis", "finite and not negative", hysteresis));
        }
        Ok(Self {
            threshold,
            hysteresis,
            edge,
        })
    }

    /// A trigger half way between the least and the greatest finite sample, its hysteresis a quarter of their distance: for
    /// pulses that stand out of noise, without spikes beyond them.
    ///
    /// # Errors
    /// `InsufficientData` without two different finite samples: a flat line has no pulses.
    pub fn halfway(x: &[f64], edge: PulseEdge) -> Result<Self> {
        let finite = x.iter().copied().filter(|v| v.is_finite());
        let (lo, hi) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (v.min(lo), v.max(hi)));
        if lo >= hi {
            return Err(Error::insufficient(
                "pulse waveform",
                "two levels",
                if lo == hi { "a flat line" } else { "no finite sample" },
            ));
        }
        Self::new(0.5 * lo + 0.5 * hi, 0.25 * hi - 0.25 * lo, edge)
    }

    /// The level at which pulses are timed.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// How far back the waveform must go.
    pub fn hysteresis(&self) -> f64 {
        self.hysteresis
    }

    /// Writes the instants of the pulses of `x`, in seconds since its first sample; `out` is emptied first.
    ///
    /// # Errors
    /// `InvalidInput` above 2^24 pulses.
    pub fn pulse_times_into(&self, x: &[f64], rate: Hertz, out: &mut Vec<f64>) -> Result<()> {
        out.clear();
        let sign = match self.edge {
            PulseEdge::Rising => 1.0,
            PulseEdge::Falling => -1.0,
        };
        let high = sign * self.threshold;
        let low = high - self.hysteresis;
        let (mut armed, mut before) = (false, f64::NAN);
        for (i, v) in x.iter().map(|v| sign * v).enumerate() {
            if !v.is_finite() {
                armed = false;
            } else if armed && v >= high {
                if out.len() == MOST_PULSES {
                    return Err(Error::input("pulses", "at most 2^24", "more"));
                }
                // Armed, the sample before was finite and below.
                let share = match v - before {
                    rise if rise.is_finite() => (high - before) / rise,
                    _ => (0.5 * high - 0.5 * before) / (0.5 * v - 0.5 * before),
                };
                out.push((i as f64 - 1.0 + share) / rate.get());
                armed = false;
            } else if v < high && v <= low {
                armed = true;
            }
            before = v;
        }
        Ok(())
    }

    /// The instants of the pulses, in memory of their own.
    ///
    /// # Errors
    /// As [`pulse_times_into`](PulseTrigger::pulse_times_into).
    pub fn pulse_times(&self, x: &[f64], rate: Hertz) -> Result<Vec<f64>> {
        let mut out = Vec::new();
        self.pulse_times_into(x, rate, &mut out)?;
        Ok(out)
    }
}

/// Turns the instants of pulses into the angle of the shaft, and says what was wrong with them.
///
/// Each interval is compared with the median of nine about it.
///
/// - Within 40% of it, it is one interval.
/// - Where one is shorter, a pulse is surplus: of the two that bound it the one whose removal leaves the interval nearest
///   the median is left out.
/// - Where one is longer, pulses are missing. Their number follows from the mean speed of up to three intervals on either
///   side; the gap is bridged where the number is whole within a quarter, no more than the given number are missing, and
///   the speeds on both sides agree within 40%.
/// - Anything else breaks the record: what comes before and after is a stretch of its own, whose angle is counted from
///   its own first pulse.
///
/// Speeds must therefore change by less than some 15% from a pulse to the next; a start from standstill by one pulse a
/// revolution breaks until the shaft has come up. The number of pulses alone says nothing of direction: a shaft that stops
/// and comes back shows as a long interval at best. [`slowest_rpm`](Tachometer::slowest_rpm) tells a standing shaft.
///
/// Instants are seconds from the start of the record, not from the epoch, where a double resolves but 2e-7 s.
///
/// Between pulses the speed is taken as smooth. Uneven spacing of the marks on a wheel of several shows as a modulation at
/// the order of the shaft.
///
/// # Cost
/// `O(n)` for `n` pulses; allocates the result. For records, not for windows.
///
/// Source: Fyfe & Munck (1997), <https://doi.org/10.1006/mssp.1996.0056>.
///
/// ```
/// use prognos::spectrum::Tachometer;
/// // 20 Hz; one pulse is missing at 0.5 s, one is surplus at 0.82 s.
/// let mut pulses: Vec<f64> = (0..40).filter(|i| *i != 10).map(|i| 0.05 * f64::from(i)).collect();
/// pulses.insert(16, 0.82);
/// let reading = Tachometer::new(1.0)?.bridging(2)?.read(&pulses)?;
/// assert_eq!((reading.n_missing(), reading.surplus_s()), (1, &[0.82][..]));
/// assert!((reading.bridged()[0].start_s - 0.45).abs() < 1e-12);
/// let angle = reading.whole()?;
/// assert!((angle.revolutions_at(0.5).unwrap() - 10.0).abs() < 1e-9);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TachometerData", into = "TachometerData")]
pub struct Tachometer {
    pulses_per_revolution: f64,
    most_bridged: usize,
    slowest_rpm: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct TachometerData {
    pulses_per_revolution: f64,
    #[serde(default)]
    most_bridged: usize,
    #[serde(default)]
    slowest_rpm: Option<f64>,
}

impl TryFrom<TachometerData> for Tachometer {
    type Error = Error;
    fn try_from(data: TachometerData) -> Result<Self> {
        let tachometer = Self::new(data.pulses_per_revolution)?.bridging(data.most_bridged)?;
        match data.slowest_rpm {
            Some(rpm) => tachometer.slowest_rpm(rpm),
            None => Ok(tachometer),
        }
    }
}

impl From<Tachometer> for TachometerData {
    fn from(t: Tachometer) -> Self {
        Self {
            pulses_per_revolution: t.pulses_per_revolution,
            most_bridged: t.most_bridged,
            slowest_rpm: t.slowest_rpm,
        }
    }
}

/// A gap in a pulse train.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PulseGap {
    /// The last pulse before it.
    pub start_s: f64,
    /// The first pulse after it.
    pub end_s: f64,
    /// Pulses taken as missing; 0 where that is not known.
    pub n_missing: usize,
}

/// What a [`Tachometer`] made of pulses.
#[derive(Clone, Debug, PartialEq)]
pub struct TachometerReading {
    stretches: Vec<ShaftAngle>,
    bridged: Vec<PulseGap>,
    unusable: Vec<PulseGap>,
    surplus_s: Vec<f64>,
}

impl Tachometer {
    /// A tachometer that gives this many pulses a revolution of the shaft whose angle is wanted; no whole number where it
    /// looks at another shaft of a gearbox. Nothing is bridged and no speed is too slow until asked.
    ///
    /// # Errors
    /// `InvalidParameter` unless the number is in 1e-3..=1e5.
    pub fn new(pulses_per_revolution: f64) -> Result<Self> {
        if !(1e-3..=1e5).contains(&pulses_per_revolution) {
            return Err(Error::parameter(
                "pulses_per_revolution",
                "in 1e-3..=1e5",
                pulses_per_revolution,
            ));
        }
        Ok(Self {
            pulses_per_revolution,
            most_bridged: 0,
            slowest_rpm: None,
        })
    }

    /// Bridges gaps of up to this many missing pulses. A wheel of 60 marks with two left out is one of 60 with gaps of 2.
    ///
    /// # Errors
    /// `InvalidParameter` above 100.
    pub fn bridging(mut self, most_missing: usize) -> Result<Self> {
        if most_missing > MOST_BRIDGED {
            return Err(Error::parameter(
                "most_missing",
                format!("at most {MOST_BRIDGED}"),
                most_missing,
            ));
        }
        self.most_bridged = most_missing;
        Ok(self)
    }

    /// Takes a shaft below this speed for standing: the record breaks there.
    ///
    /// # Errors
    /// `InvalidParameter` unless the speed is finite and above 0.
    pub fn slowest_rpm(mut self, rpm: f64) -> Result<Self> {
        Hertz::from_rpm(rpm)?;
        self.slowest_rpm = Some(rpm);
        Ok(self)
    }

    /// Pulses a revolution.
    pub fn pulses_per_revolution(&self) -> f64 {
        self.pulses_per_revolution
    }

    /// The angle of the shaft by the instants of pulses.
    ///
    /// # Errors
    /// `InvalidInput` where instants are not finite or do not rise strictly, there are more than 2^24, or more than one
    /// pulse or interval in four is out of place: those are no pulses of one shaft. `InsufficientData` where no stretch of
    /// two pulses is left.
    pub fn read(&self, pulse_times_s: &[f64]) -> Result<TachometerReading> {
        if pulse_times_s.len() > MOST_PULSES {
            return Err(Error::input("pulses", "at most 2^24", pulse_times_s.len()));
        }
        check_rising("instants of pulses", pulse_times_s)?;
        let (pulses, surplus_s) = without_surplus(pulse_times_s)?;
        let n_odd = 4 * surplus_s.len();
        if n_odd > pulse_times_s.len() {
            return Err(Error::input(
                "pulses",
                "at most one in four surplus",
                format!("{} of {}", surplus_s.len(), pulse_times_s.len()),
            ));
        }
        let longest_s = self
            .slowest_rpm
            .map_or(f64::INFINITY, |rpm| 60.0 / (rpm * self.pulses_per_revolution));
        let intervals = differences(&pulses);
        let expected = MedianFilter::new(MEDIAN_WIDTH)?.apply(&intervals)?;
        let regular: Vec<bool> = intervals
            .iter()
            .zip(&expected)
            .map(|(d, e)| (d / e - 1.0).abs() <= TOLERANCE)
            .collect();
        let mut reading = TachometerReading {
            stretches: Vec::new(),
            bridged: Vec::new(),
            unusable: Vec::new(),
            surplus_s,
        };
        let mut stretch: Vec<(f64, f64)> = pulses.first().map(|t| (*t, 0.0)).into_iter().collect();
        let mut count = 0_usize;
        for (i, pair) in pulses.windows(2).enumerate() {
            let &[start_s, end_s] = pair else { continue };
            let n = if regular.get(i) == Some(&true) {
                Some(1)
            } else {
                self.intervals_in(i, &intervals, &regular)
            };
            let n = n.filter(|n| (end_s - start_s) / *n as f64 <= longest_s);
            let n_missing = n.unwrap_or(1) - 1;
            let gap = PulseGap {
                start_s,
                end_s,
                n_missing,
            };
            match n {
                Some(n) => {
                    count += n;
                    if n_missing > 0 {
                        reading.bridged.push(gap);
                    }
                }
                None => {
                    reading.unusable.push(gap);
                    reading.end_stretch(&mut stretch)?;
                    count = 0;
                }
            }
            stretch.push((end_s, count as f64 / self.pulses_per_revolution));
        }
        reading.end_stretch(&mut stretch)?;
        let n_irregular = regular.iter().filter(|r| !**r).count();
        if 4 * n_irregular > intervals.len() {
            return Err(Error::input(
                "intervals of pulses",
                "at most one in four out of place",
                format!("{n_irregular} of {}", intervals.len()),
            ));
        }
        if reading.stretches.is_empty() {
            return Err(Error::insufficient(
                "tachometer",
                "two pulses of a turning shaft",
                format!("{} pulses", pulses.len()),
            ));
        }
        Ok(reading)
    }

    /// How many intervals a gap holds, where that is known and may be bridged.
    fn intervals_in(&self, gap: usize, intervals: &[f64], regular: &[bool]) -> Option<usize> {
        let good = |i: &usize| regular.get(*i) == Some(&true);
        let speed = |near: &mut dyn Iterator<Item = usize>| {
            let (n, sum) = near
                .take(NEIGHBOURS)
                .take_while(good)
                .filter_map(|i| intervals.get(i))
                .fold((0.0, 0.0), |(n, s), d| (n + 1.0, s + 1.0 / d));
            (n > 0.0).then(|| sum / n)
        };
        let before = speed(&mut (0..gap).rev());
        let after = speed(&mut (gap + 1..intervals.len()));
        let mean = match (before, after) {
            (Some(a), Some(b)) => (a.max(b) <= (1.0 + TOLERANCE) * a.min(b)).then_some(0.5 * (a + b))?,
            (one, other) => one.or(other)?,
        };
        let holds = intervals.get(gap)? * mean;
        let whole = holds.round();
        let may = whole >= 2.0 && whole <= 1.0 + self.most_bridged as f64 && (holds - whole).abs() <= WHOLE;
        may.then_some(whole as usize)
    }
}

impl TachometerReading {
    fn end_stretch(&mut self, pulses: &mut Vec<(f64, f64)>) -> Result<()> {
        if pulses.len() > 1 {
            self.stretches.push(ShaftAngle::through(pulses)?);
        }
        pulses.clear();
        Ok(())
    }

    /// The stretches over which the angle is known, in order of time; one at least.
    pub fn stretches(&self) -> &[ShaftAngle] {
        &self.stretches
    }

    /// The angle, where it is known from the first pulse to the last.
    ///
    /// # Errors
    /// `InsufficientData`, saying where, when the record is broken.
    pub fn whole(&self) -> Result<&ShaftAngle> {
        match (self.stretches.first(), self.unusable.first()) {
            (Some(all), None) => Ok(all),
            (_, gap) => Err(Error::insufficient(
                "tachometer",
                "an angle known from the first pulse to the last",
                gap.map_or_else(String::new, |g| {
                    let n = self.unusable.len();
                    format!("{n} breaks, the first from {} s to {} s", g.start_s, g.end_s)
                }),
            )),
        }
    }

    /// The stretch with most revolutions.
    pub fn longest(&self) -> Option<&ShaftAngle> {
        self.stretches
            .iter()
            .max_by(|a, b| a.n_revolutions().total_cmp(&b.n_revolutions()))
    }

    /// Gaps that were bridged.
    pub fn bridged(&self) -> &[PulseGap] {
        &self.bridged
    }

    /// Intervals over which the angle is not known: long gaps, standing shafts, pulses out of place.
    pub fn unusable(&self) -> &[PulseGap] {
        &self.unusable
    }

    /// Instants of surplus pulses, which were left out.
    pub fn surplus_s(&self) -> &[f64] {
        &self.surplus_s
    }

    /// Missing pulses in all bridged gaps.
    pub fn n_missing(&self) -> usize {
        self.bridged.iter().map(|g| g.n_missing).sum()
    }
}

/// Pulses without the surplus ones, and those.
fn without_surplus(times: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
    let expected = MedianFilter::new(MEDIAN_WIDTH)?.apply(&differences(times))?;
    let (mut kept, mut surplus) = (Vec::<f64>::with_capacity(times.len()), Vec::new());
    for (i, &t) in times.iter().enumerate() {
        let (Some(&last), Some(&e)) = (kept.last(), expected.get(i.wrapping_sub(1))) else {
            kept.push(t);
            continue;
        };
        if t - last >= (1.0 - TOLERANCE) * e {
            kept.push(t);
            continue;
        }
        // What would be left between its neighbours, as distance from the median; far ones do not count.
        let distance = |d: f64| (d <= (1.0 + TOLERANCE) * e).then_some((d - e).abs());
        let rest = times.get(i + 1..).unwrap_or_default();
        let next = rest.iter().find(|n| **n - last >= (1.0 - TOLERANCE) * e);
        let without_this = next.and_then(|n| distance(n - last));
        let without_last = kept.get(kept.len().wrapping_sub(2)).and_then(|p| distance(t - p));
        match (without_this, without_last) {
            (Some(a), b) if b.is_none_or(|b| a <= b) => surplus.push(t),
            (_, Some(_)) => {
                surplus.push(last);
                kept.pop();
                kept.push(t);
            }
            // Out of place, but not surplus.
            _ => kept.push(t),
        }
    }
    Ok((kept, surplus))
}

fn differences(x: &[f64]) -> Vec<f64> {
    x.windows(2).filter_map(|w| Some(w.get(1)? - w.first()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    fn hz(v: f64) -> Hertz {
        Hertz::new(v).unwrap()
    }

    /// When a shaft has turned `r` revolutions that starts at 20 Hz and gains 4 Hz a second.
    fn run_up(r: f64) -> f64 {
        (-20.0 + (400.0 + 8.0 * r).sqrt()) / 4.0
    }

    #[test]
    fn pulses_are_timed_between_samples_and_noise_makes_no_more() {
        let rate = 1000.0;
        // A sine of 7 Hz crosses zero upwards at whole sevenths.
        let sine: Vec<f64> = (0..5000)
            .map(|i| (std::f64::consts::TAU * 7.0 * (f64::from(i) / rate - 0.05)).sin())
            .collect();
        let rising = PulseTrigger::halfway(&sine, PulseEdge::Rising).unwrap();
        assert!(rising.threshold().abs() < 1e-3 && (rising.hysteresis() - 0.5).abs() < 1e-3);
        let times = rising.pulse_times(&sine, hz(rate)).unwrap();
        assert_eq!(times.len(), 35);
        for (k, t) in times.iter().enumerate() {
            // Half way between samples a chord misses by f³ x'''/16, and the threshold by its distance from zero.
            assert!((t - 0.05 - k as f64 / 7.0).abs() < 2e-5, "{t}");
        }
        let flipped: Vec<f64> = sine.iter().map(|v| -v).collect();
        let falling = PulseTrigger::halfway(&flipped, PulseEdge::Falling).unwrap();
        assert_eq!(falling.pulse_times(&flipped, hz(rate)).unwrap(), times);
        let noisy: Vec<f64> = (0..).zip(&sine).map(|(i, v)| v + 0.2 * f64::from(i % 2)).collect();
        assert_eq!(rising.pulse_times(&noisy, hz(rate)).unwrap().len(), 35);
        let none = PulseTrigger::new(0.0, 0.0, PulseEdge::Rising).unwrap();
        assert!(none.pulse_times(&noisy, hz(rate)).unwrap().len() > 35);
    }

    #[test]
    fn flat_and_bad_waveforms_have_no_pulses() {
        for flat in [
            &[][..],
            &[1.0; 9],
            &[f64::NAN; 9],
            &[f64::INFINITY, 1.0, f64::NEG_INFINITY],
        ] {
            let e = PulseTrigger::halfway(flat, PulseEdge::Rising).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InsufficientData, "{e}");
            let trigger = PulseTrigger::new(0.5, 0.1, PulseEdge::Rising).unwrap();
            assert!(trigger.pulse_times(flat, hz(1.0)).unwrap().is_empty());
        }
        let trigger = PulseTrigger::new(0.5, 0.1, PulseEdge::Rising).unwrap();
        let x = [0.0, f64::NAN, 1.0, 0.0, 1.0, 1.0];
        assert_eq!(trigger.pulse_times(&x, hz(1.0)).unwrap(), [3.5]);
        assert!(PulseTrigger::new(f64::NAN, 0.1, PulseEdge::Rising).is_err());
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(PulseTrigger::new(0.0, bad, PulseEdge::Rising).is_err());
        }
    }

    proptest! {
        /// Whatever single pulses are lost or added during a run-up, the angle stays, and the reading says where.
        #[test]
        fn lost_and_added_pulses_are_found(lost in 3..100_usize, added in 3..100_usize, share in 0.05..0.95_f64, ppr in 1..5_u32) {
            prop_assume!(lost.abs_diff(added) > 4);
            let turned = |i: f64| i / f64::from(ppr);
            let mut pulses: Vec<f64> = (0..104).filter(|i| *i != lost).map(|i| run_up(turned(i as f64))).collect();
            let extra = run_up(turned(added as f64 + share));
            pulses.insert(pulses.partition_point(|t| *t < extra), extra);
            let reading = Tachometer::new(f64::from(ppr)).unwrap().bridging(1).unwrap().read(&pulses).unwrap();
            prop_assert_eq!(reading.surplus_s(), &[extra][..]);
            prop_assert_eq!(reading.bridged().len(), 1);
            prop_assert_eq!(reading.bridged()[0].start_s, run_up(turned(lost as f64 - 1.0)));
            prop_assert_eq!(reading.n_missing(), 1);
            let angle = reading.whole().unwrap();
            for i in 0..104 {
                let r = turned(f64::from(i));
                prop_assert!((angle.revolutions_at(run_up(r).min(angle.end_s())).unwrap() - r).abs() < 1e-9);
            }
        }

        #[test]
        fn any_instants_are_read_or_refused(steps in prop::collection::vec(1e-6..1.0_f64, 0..60), bridged in 0..5_usize) {
            let times: Vec<f64> = steps.iter().scan(0.0, |t, d| { *t += d; Some(*t) }).collect();
            if let Ok(reading) = Tachometer::new(1.0).unwrap().bridging(bridged).unwrap().read(&times) {
                prop_assert!(!reading.stretches().is_empty());
                prop_assert!(reading.bridged().iter().all(|g| (1..=bridged).contains(&g.n_missing)));
                prop_assert_eq!(reading.whole().is_ok(), reading.unusable().is_empty());
            }
        }
    }

    #[test]
    fn huge_waveforms_are_timed() {
        let trigger = PulseTrigger::new(0.0, 1.0, PulseEdge::Rising).unwrap();
        let x = [f64::MIN, f64::MAX, -1e308, 1.5e308, -5e-324, 5e-324];
        assert_eq!(trigger.pulse_times(&x, hz(1.0)).unwrap()[0], 0.5);
        for x in [x, x.map(|v| -v)] {
            for edge in [PulseEdge::Rising, PulseEdge::Falling] {
                let trigger = PulseTrigger::halfway(&x, edge).unwrap();
                let times = trigger.pulse_times(&x, hz(1.0)).unwrap();
                assert!(
                    !times.is_empty() && times.iter().all(|t| (0.0..=5.0).contains(t)),
                    "{times:?}"
                );
            }
        }
    }

    #[test]
    fn settings_are_read_back_through_their_checks() {
        let trigger = PulseTrigger::new(2.5, 1.0, PulseEdge::Falling).unwrap();
        let text = serde_json::to_string(&trigger).unwrap();
        assert_eq!(text, r#"{"threshold":2.5,"hysteresis":1.0,"edge":"falling"}"#);
        assert_eq!(serde_json::from_str::<PulseTrigger>(&text).unwrap(), trigger);
        assert!(serde_json::from_str::<PulseTrigger>(&text.replace("1.0", "-1.0")).is_err());
        let plain = Tachometer::new(60.0).unwrap();
        for tacho in [plain, plain.bridging(2).unwrap().slowest_rpm(300.0).unwrap()] {
            let text = serde_json::to_string(&tacho).unwrap();
            assert_eq!(serde_json::from_str::<Tachometer>(&text).unwrap(), tacho);
        }
        assert_eq!(
            serde_json::from_str::<Tachometer>(r#"{"pulses_per_revolution":60.0}"#).unwrap(),
            plain
        );
        for bad in [
            r#"{"pulses_per_revolution":0.0}"#,
            r#"{"pulses_per_revolution":1.0,"most_bridged":101}"#,
            r#"{"pulses_per_revolution":1.0,"slowest_rpm":-1.0}"#,
        ] {
            assert!(serde_json::from_str::<Tachometer>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_gaps_and_stops_break_the_record() {
        let mut pulses: Vec<f64> = (0..30)
            .filter(|i| !(10..14).contains(i))
            .map(|i| 0.1 * f64::from(i))
            .collect();
        let four = Tachometer::new(2.0).unwrap();
        let whole = four.bridging(4).unwrap().read(&pulses).unwrap();
        assert_eq!((whole.n_missing(), whole.stretches().len()), (4, 1));
        assert!((whole.whole().unwrap().n_revolutions() - 14.5).abs() < 1e-12);
        for broken in [four.bridging(3).unwrap(), four] {
            let reading = broken.read(&pulses).unwrap();
            assert_eq!((reading.n_missing(), reading.stretches().len()), (0, 2));
            assert_eq!(reading.unusable()[0].n_missing, 0);
            let e = reading.whole().unwrap_err();
            assert!(e.to_string().contains("1 breaks, the first from 0.9 s to 1.4"), "{e}");
            assert_eq!(reading.longest().unwrap().n_revolutions(), 7.5);
        }
        // The shaft stands for a time that is no whole number of intervals, and starts again.
        for p in pulses.iter_mut().skip(20) {
            *p += 7.35;
        }
        let reading = four.bridging(100).unwrap().read(&pulses).unwrap();
        assert_eq!((reading.stretches().len(), reading.unusable().len()), (2, 1));
        let slow = four.slowest_rpm(400.0).unwrap();
        assert_eq!(slow.read(&pulses).unwrap_err().kind(), ErrorKind::InsufficientData);
    }

    #[test]
    fn multiple_bounces_are_left_out_and_what_is_no_train_is_refused() {
        let mut pulses: Vec<f64> = (0..30).map(f64::from).collect();
        pulses.extend([10.02, 10.04, 20.97]);
        pulses.sort_by(f64::total_cmp);
        let reading = Tachometer::new(1.0).unwrap().read(&pulses).unwrap();
        assert_eq!(reading.surplus_s(), [10.02, 10.04, 20.97]);
        assert_eq!(reading.whole().unwrap().n_revolutions(), 29.0);

        let tacho = Tachometer::new(1.0).unwrap();
        for bad in [
            &[0.0, 1.0, 1.0][..],
            &[0.0, 2.0, 1.0],
            &[0.0, f64::NAN],
            &[0.0, f64::INFINITY],
        ] {
            assert_eq!(tacho.read(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
        for few in [&[][..], &[1.0]] {
            assert_eq!(tacho.read(few).unwrap_err().kind(), ErrorKind::InsufficientData);
        }
        // Squares of a counter-like hash: no train at all.
        let wild: Vec<f64> = (0..60)
            .map(|i| f64::from(i) + f64::from(i * i * 37 % 97) * 5.0)
            .collect();
        let mut wild = wild;
        wild.sort_by(f64::total_cmp);
        wild.dedup();
        assert!(tacho.bridging(9).unwrap().read(&wild).is_err());
        assert!(tacho.read(&[0.0, 1e-320]).is_err());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e6] {
            assert!(Tachometer::new(bad).is_err() && tacho.slowest_rpm(bad).is_err() != (bad == 1e6));
        }
        assert!(tacho.bridging(101).is_err());
    }
}
