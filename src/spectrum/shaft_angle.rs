//! The angle of a shaft over time.

use crate::error::{Error, Result};

/// Steps of the search for the time of an angle; each at least halves the range.
const MOST_STEPS: usize = 60;

/// The angle of a shaft over one stretch of time in which it turns forward without a stop, in revolutions.
///
/// Between knots the angle is a cubic with given speeds at both ends: it rises strictly, and a constant acceleration is met
/// exactly. Knots come from [`Tachometer`](super::Tachometer), the angle counted from the first pulse of the stretch, or from
/// speeds measured otherwise ([`of_profile`](ShaftAngle::of_profile)), counted from the first of them. Seconds count from the
/// start of the record, not from the epoch, where a double resolves but 2e-7 s.
///
/// # Cost
/// A binary search among the knots a question, and some five steps more to find a time.
///
/// ```
/// use prognos::spectrum::ShaftAngle;
/// // From 600 to 1,200 rpm in two seconds: 15 revolutions a second on average.
/// let angle = ShaftAngle::of_profile(&[0.0, 2.0], &[600.0, 1200.0])?;
/// assert_eq!(angle.n_revolutions(), 30.0);
/// assert_eq!(angle.revolutions_at(1.0), Some(12.5));
/// assert!((angle.time_at(12.5).unwrap() - 1.0).abs() < 1e-12);
/// assert_eq!(angle.speed_rpm_at(1.0), Some(900.0));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ShaftAngle {
    /// Two at least; times and revolutions rise strictly, speeds are above zero.
    knots: Vec<Knot>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Knot {
    time_s: f64,
    revolutions: f64,
    /// Revolutions a second.
    speed: f64,
}

/// Time and speed at an angle.
#[derive(Clone, Copy)]
pub(super) struct Passing {
    pub(super) time_s: f64,
    /// Revolutions a second.
    pub(super) speed: f64,
}

impl ShaftAngle {
    /// The angle of a shaft whose speed was measured at these times, and changes linearly between them.
    ///
    /// # Errors
    /// `InvalidInput` unless there are as many speeds as times, times are finite and rise strictly, and every speed is finite
    /// and above 0: across a stop or a reversal there is no angle to resample by
    /// ([`stretches_of_profile`](ShaftAngle::stretches_of_profile) parts a record there). `InsufficientData` below two.
    pub fn of_profile(times_s: &[f64], rpm: &[f64]) -> Result<Self> {
        check_profile(times_s, rpm)?;
        if let Some((i, v)) = rpm.iter().enumerate().find(|(_, v)| !turns(**v)) {
            return Err(Error::input(
                "speed of a profile",
                "finite and above 0 rpm",
                format!("{v} at {i}"),
            ));
        }
        Self::of_turning(times_s, rpm)
    }

    /// The stretches of a profile in which the shaft turns: those of two or more neighbouring speeds that are finite and
    /// above 0. What lies between is unusable. None where the shaft never turns.
    ///
    /// # Errors
    /// As [`of_profile`](ShaftAngle::of_profile), but for speeds.
    ///
    /// ```
    /// use prognos::spectrum::ShaftAngle;
    /// let times: Vec<f64> = (0..7).map(f64::from).collect();
    /// let turning = ShaftAngle::stretches_of_profile(&times, &[60.0, 60.0, 0.0, -60.0, 60.0, 90.0, 120.0])?;
    /// let spans: Vec<_> = turning.iter().map(|a| (a.start_s(), a.end_s())).collect();
    /// assert_eq!(spans, [(0.0, 1.0), (4.0, 6.0)]);
    /// # Ok::<(), prognos::Error>(())
    /// ```
    pub fn stretches_of_profile(times_s: &[f64], rpm: &[f64]) -> Result<Vec<Self>> {
        check_profile(times_s, rpm)?;
        let (mut found, mut start) = (Vec::new(), 0);
        for stretch in rpm.split(|v| !turns(*v)) {
            let end = start + stretch.len();
            if stretch.len() > 1 {
                found.push(Self::of_turning(times_s.get(start..end).unwrap_or_default(), stretch)?);
            }
            start = end + 1;
        }
        Ok(found)
    }

    fn of_turning(times_s: &[f64], rpm: &[f64]) -> Result<Self> {
        let (mut knots, mut revolutions) = (Vec::<Knot>::with_capacity(times_s.len()), 0.0);
        for (&time_s, &rpm) in times_s.iter().zip(rpm) {
            let speed = rpm / 60.0;
            if let Some(last) = knots.last() {
                revolutions += 0.5 * (last.speed + speed) * (time_s - last.time_s);
            }
            knots.push(Knot {
                time_s,
                revolutions,
                speed,
            });
        }
        Self::of_knots(knots)
    }

    /// The angle through pulses: `(time, revolutions)`, both finite and rising strictly.
    ///
    /// The speed at a pulse is that of the parabola through it and its neighbours, at most twice that on either side.
    pub(super) fn through(pulses: &[(f64, f64)]) -> Result<Self> {
        let secant = |i: usize| {
            let (a, b) = (pulses.get(i)?, pulses.get(i + 1)?);
            Some((b.0 - a.0, (b.1 - a.1) / (b.0 - a.0)))
        };
        let speed = |i: usize| {
            let before = i.checked_sub(1).and_then(secant);
            match (before, secant(i)) {
                (Some((ha, a)), Some((hb, b))) => {
                    let slope = (hb * a + ha * b) / (ha + hb);
                    slope.min(2.0 * a).min(2.0 * b)
                }
                // At an end: the parabola of the end and the next two, within a factor of two of the speed there.
                (None, Some((h, s))) => end_speed((h, s), secant(i + 1)),
                (Some((h, s)), None) => end_speed((h, s), i.checked_sub(2).and_then(secant)),
                (None, None) => f64::NAN,
            }
        };
        let knot = |(i, &(time_s, revolutions)): (usize, &(f64, f64))| Knot {
            time_s,
            revolutions,
            speed: speed(i),
        };
        Self::of_knots(pulses.iter().enumerate().map(knot).collect())
    }

    fn of_knots(knots: Vec<Knot>) -> Result<Self> {
        if knots.len() < 2 {
            return Err(Error::insufficient("shaft angle", "two instants", knots.len()));
        }
        let rises = knots.windows(2).all(|w| match w {
            [a, b] => b.time_s > a.time_s && b.revolutions > a.revolutions,
            _ => false,
        });
        if !rises || knots.iter().any(|k| !turns(k.speed) || !k.revolutions.is_finite()) {
            return Err(Error::input(
                "shaft angle",
                "rising times and angles a double can tell apart",
                "speeds or times too large or too small",
            ));
        }
        Ok(Self { knots })
    }

    /// When the stretch begins.
    pub fn start_s(&self) -> f64 {
        self.knots.first().map_or(f64::NAN, |k| k.time_s)
    }

    /// When the stretch ends.
    pub fn end_s(&self) -> f64 {
        self.knots.last().map_or(f64::NAN, |k| k.time_s)
    }

    /// Revolutions from start to end.
    pub fn n_revolutions(&self) -> f64 {
        self.knots.last().map_or(f64::NAN, |k| k.revolutions)
    }

    /// The slowest and the fastest speed at a knot.
    pub fn speed_range_rpm(&self) -> (f64, f64) {
        let each = self.knots.iter().map(|k| 60.0 * k.speed);
        each.fold((f64::INFINITY, 0.0), |(lo, hi), v| (v.min(lo), v.max(hi)))
    }

    /// Revolutions since the start, none outside the stretch and for NaN.
    pub fn revolutions_at(&self, time_s: f64) -> Option<f64> {
        let (a, b) = self.between(|k| k.time_s, time_s)?;
        Some(Segment::new(a, b).at((time_s - a.time_s) / (b.time_s - a.time_s)).0)
    }

    /// The speed, none outside the stretch and for NaN.
    pub fn speed_rpm_at(&self, time_s: f64) -> Option<f64> {
        let (a, b) = self.between(|k| k.time_s, time_s)?;
        Some(60.0 * Segment::new(a, b).at((time_s - a.time_s) / (b.time_s - a.time_s)).1)
    }

    /// When the shaft has turned this far since the start, none outside the stretch and for NaN.
    pub fn time_at(&self, revolutions: f64) -> Option<f64> {
        self.passing(revolutions).map(|p| p.time_s)
    }

    pub(super) fn passing(&self, revolutions: f64) -> Option<Passing> {
        let (a, b) = self.between(|k| k.revolutions, revolutions)?;
        Some(Segment::new(a, b).passing(revolutions))
    }

    /// The knots on either side.
    fn between(&self, by: impl Fn(&Knot) -> f64, v: f64) -> Option<(&Knot, &Knot)> {
        let (first, last) = (self.knots.first()?, self.knots.last()?);
        if !(v >= by(first) && v <= by(last)) {
            return None;
        }
        let upper = self
            .knots
            .partition_point(|k| by(k) <= v)
            .clamp(1, self.knots.len() - 1);
        Some((self.knots.get(upper - 1)?, self.knots.get(upper)?))
    }
}

/// `r(s) = r0 + s (c1 + s (c2 + s c3))`, `s` from 0 to 1.
struct Segment {
    start: Knot,
    end: Knot,
    length_s: f64,
    rise: f64,
    c: [f64; 3],
}

impl Segment {
    fn new(a: &Knot, b: &Knot) -> Self {
        let length_s = b.time_s - a.time_s;
        let rise = b.revolutions - a.revolutions;
        let (m0, m1) = (a.speed * length_s, b.speed * length_s);
        Self {
            start: *a,
            end: *b,
            length_s,
            rise,
            c: [m0, 3.0 * rise - 2.0 * m0 - m1, m0 + m1 - 2.0 * rise],
        }
    }

    /// Angle and speed; at the knots exactly theirs.
    fn at(&self, s: f64) -> (f64, f64) {
        for (is_there, knot) in [(s <= 0.0, self.start), (s >= 1.0, self.end)] {
            if is_there {
                return (knot.revolutions, knot.speed);
            }
        }
        let (rise, slope) = self.rise_at(s);
        (self.start.revolutions + rise, slope / self.length_s)
    }

    fn rise_at(&self, s: f64) -> (f64, f64) {
        let [c1, c2, c3] = self.c;
        (s * (c1 + s * (c2 + s * c3)), c1 + s * (2.0 * c2 + s * 3.0 * c3))
    }

    /// Newton's steps, halving where one leaves what is known to hold the answer.
    fn passing(&self, revolutions: f64) -> Passing {
        for (is_there, knot) in [
            (revolutions <= self.start.revolutions, self.start),
            (revolutions >= self.end.revolutions, self.end),
        ] {
            if is_there {
                return Passing {
                    time_s: knot.time_s,
                    speed: knot.speed,
                };
            }
        }
        let wanted = revolutions - self.start.revolutions;
        let (mut lo, mut hi, mut s) = (0.0, 1.0, (wanted / self.rise).clamp(0.0, 1.0));
        for _ in 0..MOST_STEPS {
            let (rise, slope) = self.rise_at(s);
            let off = rise - wanted;
            if off < 0.0 {
                lo = s;
            } else {
                hi = s;
            }
            let step = s - off / slope;
            let next = if step >= lo && step <= hi {
                step
            } else {
                0.5 * (lo + hi)
            };
            let moved = (next - s).abs();
            s = next;
            if moved <= 2.0 * f64::EPSILON {
                break;
            }
        }
        Passing {
            time_s: self.start.time_s + s * self.length_s,
            speed: self.at(s).1,
        }
    }
}

/// The speed at the end of an interval, given the next one inwards.
fn end_speed((h, s): (f64, f64), inner: Option<(f64, f64)>) -> f64 {
    let Some((hi, si)) = inner else {
        return s;
    };
    (s + h * (s - si) / (h + hi)).clamp(0.5 * s, 2.0 * s)
}

fn turns(speed: f64) -> bool {
    speed.is_finite() && speed > 0.0
}

fn check_profile(times_s: &[f64], rpm: &[f64]) -> Result<()> {
    if times_s.len() != rpm.len() {
        return Err(Error::input("speeds of a profile", times_s.len(), rpm.len()));
    }
    if rpm.len() < 2 {
        return Err(Error::insufficient("speed profile", "two instants", rpm.len()));
    }
    check_rising("times of a profile", times_s)
}

/// Fails unless all are finite and each is above the one before.
pub(super) fn check_rising(what: &str, times_s: &[f64]) -> Result<()> {
    if let Some((i, t)) = times_s.iter().enumerate().find(|(_, t)| !t.is_finite()) {
        return Err(Error::input(what, "finite", format!("{t} at {i}")));
    }
    let falls = times_s.windows(2).position(|w| !matches!(w, [a, b] if b > a));
    match falls {
        Some(i) => Err(Error::input(
            what,
            "rising strictly",
            format!("{:?} from {i}", times_s.get(i..i + 2).unwrap_or_default()),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn time_undoes_angle_and_the_angle_rises(
            steps in prop::collection::vec((0.01..2.0_f64, 0.01..2.0_f64), 2..20), at in 0.0..1.0_f64,
        ) {
            let mut sum = (0.0, 0.0);
            let pulses: Vec<_> = steps.iter().map(|(t, r)| { let p = sum; sum = (sum.0 + t, sum.1 + r); p }).collect();
            let angle = ShaftAngle::through(&pulses).unwrap();
            for (t, r) in &pulses {
                prop_assert_eq!((angle.revolutions_at(*t), angle.time_at(*r)), (Some(*r), Some(*t)));
            }
            let r = at * angle.n_revolutions();
            let t = angle.time_at(r).unwrap();
            // Speeds are at most twice a secant of 200, slopes at least a hundredth of that.
            prop_assert!((angle.revolutions_at(t).unwrap() - r).abs() < 1e-11, "{t} {r}");
            let n = 200;
            let along = |i: i32| angle.revolutions_at((angle.end_s() * f64::from(i) / f64::from(n)).min(angle.end_s())).unwrap();
            prop_assert!((0..n).all(|i| along(i) < along(i + 1)));
        }
    }

    #[test]
    fn constant_acceleration_is_exact_between_uneven_pulses() {
        let turned = |t: f64| 3.0 * t + 0.7 * t * t;
        let times = [0.0, 0.3, 0.5, 0.9, 1.0, 1.4];
        let pulses: Vec<_> = times.iter().map(|&t| (t, turned(t))).collect();
        let profile = ShaftAngle::of_profile(&times, &times.map(|t| 60.0 * (3.0 + 1.4 * t))).unwrap();
        for angle in [ShaftAngle::through(&pulses).unwrap(), profile] {
            for i in 0..=140 {
                let t = (f64::from(i) * 0.01).min(1.4);
                assert!((angle.revolutions_at(t).unwrap() - turned(t)).abs() < 1e-13, "{t}");
                assert!(
                    (angle.time_at(turned(t).min(angle.n_revolutions())).unwrap() - t).abs() < 1e-13,
                    "{t}"
                );
                assert!((angle.speed_rpm_at(t).unwrap() - 60.0 * (3.0 + 1.4 * t)).abs() < 1e-10);
            }
            let (slow, fast) = angle.speed_range_rpm();
            assert!((slow - 180.0).abs() < 1e-10 && (fast - 60.0 * 4.96).abs() < 1e-10);
        }
    }

    #[test]
    fn stops_reversals_and_bad_times_are_refused() {
        for bad in [0.0, -10.0, f64::NAN, f64::INFINITY] {
            let e = ShaftAngle::of_profile(&[0.0, 1.0, 2.0], &[10.0, bad, 10.0]).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
            assert!(
                ShaftAngle::stretches_of_profile(&[0.0, 1.0, 2.0], &[10.0, bad, 10.0])
                    .unwrap()
                    .is_empty()
            );
        }
        for times in [[0.0, 0.0], [1.0, 0.0], [f64::NAN, 1.0], [0.0, f64::INFINITY]] {
            assert!(ShaftAngle::of_profile(&times, &[1.0, 1.0]).is_err(), "{times:?}");
        }
        assert!(ShaftAngle::of_profile(&[0.0, 1.0], &[1.0]).is_err());
        assert_eq!(
            ShaftAngle::of_profile(&[0.0], &[1.0]).unwrap_err().kind(),
            ErrorKind::InsufficientData
        );
        assert!(ShaftAngle::of_profile(&[0.0, 1e308], &[1e308, 1e308]).is_err());
        let angle = ShaftAngle::of_profile(&[1.0, 2.0], &[60.0, 60.0]).unwrap();
        for outside in [0.9, 2.1, f64::NAN] {
            assert!(angle.revolutions_at(outside).is_none() && angle.speed_rpm_at(outside).is_none());
        }
        assert!(angle.time_at(-0.1).is_none() && angle.time_at(1.1).is_none() && angle.time_at(f64::NAN).is_none());
        assert_eq!((angle.time_at(0.0), angle.time_at(1.0)), (Some(1.0), Some(2.0)));
    }
}
