//! What a machine remembers of its estimates until the truth is known.

use crate::{
    error::{Error, Result},
    model::RulEstimate,
    quantity::{LifeUnit, Timestamp},
};
use serde::{Deserialize, Serialize};

/// The most estimates a trail holds.
const LENGTH: usize = 16;
/// Lives beyond this count as this, so that squares of errors stay finite.
pub(super) const LONGEST: f64 = 1e15;
/// What a mean of such lives may be, rounded.
pub(super) const LONGEST_MEAN: f64 = LONGEST * (1.0 + 1e-9);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub at: Timestamp,
    pub rul: f64,
    pub lower: f64,
    pub upper: f64,
}

/// At most 16 estimates of one machine, evenly spread over all it has made.
///
/// Of the estimates that come, every `stride`-th is kept, the first among them; where a 17th would be, every other one goes and
/// the stride doubles. So 9 to 16 remain from 16 on, however long the machine lives, none of them more than a stride from where an even spread
/// would have it. About 550 bytes, no allocation.
///
/// A model of another level or life unit begins the trail anew: its estimates are not to be judged by the words of another.
///
/// ```
/// use prognos::{drift::EstimateTrail, model::RulEstimate, quantity::LifeUnit};
/// let mut trail = EstimateTrail::new();
/// for day in 0..100 {
///     let rul = 120.0 - day as f64;
///     trail.push(LifeUnit::Days.instant(day), &RulEstimate::new(rul, rul - 20.0, rul + 20.0, 0.9, LifeUnit::Days)?)?;
/// }
/// assert_eq!((trail.len(), trail.stride(), trail.seen()), (13, 8, 100));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct EstimateTrail {
    entries: [Entry; LENGTH],
    len: u8,
    seen: u64,
    stride: u64,
    last: Timestamp,
    claim: Option<(f64, LifeUnit)>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    entries: Vec<Entry>,
    seen: u64,
    last: Timestamp,
    claim: Option<(f64, LifeUnit)>,
}

impl EstimateTrail {
    /// Without estimates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an estimate made at `at`.
    ///
    /// # Errors
    /// `InvalidInput` unless `at` lies after the estimate before and the estimate is one that [`RulEstimate::new`] makes; the
    /// trail is as it was then.
    pub fn push(&mut self, at: Timestamp, estimate: &RulEstimate) -> Result<()> {
        let e = RulEstimate::new(
            estimate.rul,
            estimate.lower,
            estimate.upper,
            estimate.level,
            estimate.unit,
        )?;
        if self.seen > 0 && at <= self.last {
            return Err(Error::input("time of an estimate", format!("after {}", self.last), at));
        }
        if self.claim != Some((e.level, e.unit)) {
            *self = Self {
                stride: 1,
                claim: Some((e.level, e.unit)),
                ..Self::default()
            };
        }
        if self.seen.is_multiple_of(self.stride.max(1)) {
            if usize::from(self.len) == LENGTH {
                for k in 0..LENGTH / 2 {
                    self.entries[k] = self.entries[2 * k];
                }
                self.entries[LENGTH / 2..].fill(Entry::default());
                self.len = (LENGTH / 2) as u8;
                self.stride = self.stride.saturating_mul(2);
            }
            // The 17th stands where the doubled stride has one: 16 is even.
            let place = usize::from(self.len);
            if let Some(entry) = self.entries.get_mut(place) {
                let held = |life: f64| life.clamp(-LONGEST, LONGEST);
                *entry = Entry {
                    at,
                    rul: held(e.rul),
                    lower: held(e.lower),
                    upper: held(e.upper),
                };
                self.len += 1;
            }
        }
        self.seen = self.seen.saturating_add(1);
        self.last = at;
        Ok(())
    }

    /// Estimates that are held, at most 16.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Estimates that came since the trail began.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// One of how many is kept; 0 before the first.
    pub fn stride(&self) -> u64 {
        self.stride
    }

    /// Nominal level and life unit of the estimates; `None` before the first.
    pub fn claim(&self) -> Option<(f64, LifeUnit)> {
        self.claim
    }

    /// Forgets all: a repaired machine begins a new life, or what was known has been learnt.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The estimates held, in order of time.
    pub fn estimates(&self) -> impl Iterator<Item = (Timestamp, RulEstimate)> + '_ {
        let (level, unit) = self.claim.unwrap_or((0.5, LifeUnit::Cycles)); // none held then
        self.entries().iter().map(move |e| {
            let estimate = RulEstimate {
                rul: e.rul,
                lower: e.lower,
                upper: e.upper,
                level,
                unit,
            };
            (e.at, estimate)
        })
    }

    pub(super) fn entries(&self) -> &[Entry] {
        self.entries.get(..self.len()).unwrap_or_default()
    }
}

impl TryFrom<Record> for EstimateTrail {
    type Error = Error;

    fn try_from(record: Record) -> Result<Self> {
        let fail = |what: &str| Err(Error::persistence(format!("estimate trail: {what}")));
        let Record {
            entries,
            seen,
            last,
            claim,
        } = record;
        if claim.is_none() && seen == 0 && entries.is_empty() {
            return Ok(Self::default());
        }
        if !claim.is_some_and(|(level, _)| level > 0.0 && level < 1.0) {
            return fail("a level outside 0 to 1");
        }
        // The stride is that at which this many were seen.
        let mut stride = 1_u64;
        while seen.div_ceil(stride) > LENGTH as u64 {
            stride *= 2;
        }
        if seen == 0 || entries.len() as u64 != seen.div_ceil(stride) {
            return fail("another number of estimates than the rule keeps");
        }
        if !entries.iter().zip(entries.iter().skip(1)).all(|(a, b)| a.at < b.at)
            || entries.last().is_none_or(|e| e.at > last)
        {
            return fail("times that do not rise");
        }
        let held = |e: &Entry| {
            [e.rul, e.lower, e.upper].iter().all(|x| x.abs() <= LONGEST) && e.lower <= e.rul && e.rul <= e.upper
        };
        if !entries.iter().all(held) {
            return fail("an estimate out of range or order");
        }
        let mut trail = Self {
            len: entries.len() as u8,
            seen,
            stride,
            last,
            claim,
            ..Self::default()
        };
        trail.entries.iter_mut().zip(entries).for_each(|(to, from)| *to = from);
        Ok(trail)
    }
}

impl From<EstimateTrail> for Record {
    fn from(trail: EstimateTrail) -> Self {
        Self {
            entries: trail.entries().to_vec(),
            seen: trail.seen,
            last: trail.last,
            claim: trail.claim,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(rul: f64, level: f64) -> RulEstimate {
        RulEstimate::new(rul, rul - 1.0, rul + 1.0, level, LifeUnit::Hours).unwrap()
    }

    #[test]
    fn holds_every_stride_th() {
        let mut trail = EstimateTrail::new();
        for i in 0..1000_u64 {
            trail
                .push(Timestamp::from_secs(i as i64), &estimate(i as f64, 0.9))
                .unwrap();
            let held: Vec<f64> = trail.estimates().map(|(_, e)| e.rul).collect();
            let naive: Vec<f64> = (0..=i).step_by(trail.stride() as usize).map(|k| k as f64).collect();
            assert_eq!(held, naive);
            assert!(held.len() <= 16 && (i < 16 || held.len() >= 9), "{i} {}", held.len());
            let bytes = rmp_serde::to_vec_named(&trail).unwrap();
            assert_eq!(rmp_serde::from_slice::<EstimateTrail>(&bytes).unwrap(), trail);
        }
        assert!(size_of::<EstimateTrail>() <= 600);
        trail.push(Timestamp::from_secs(1000), &estimate(5.0, 0.8)).unwrap();
        assert_eq!((trail.len(), trail.seen()), (1, 1));
        trail.clear();
        assert!(trail.is_empty() && trail.claim().is_none());
    }

    #[test]
    fn times_rise_and_estimates_are_sound() {
        let mut trail = EstimateTrail::new();
        trail.push(Timestamp::from_secs(5), &estimate(1.0, 0.9)).unwrap();
        let before = trail;
        assert!(trail.push(Timestamp::from_secs(5), &estimate(1.0, 0.9)).is_err());
        let bad = RulEstimate {
            rul: f64::NAN,
            ..estimate(1.0, 0.9)
        };
        assert!(trail.push(Timestamp::from_secs(6), &bad).is_err());
        assert_eq!(trail, before);
        trail.push(Timestamp::from_secs(6), &estimate(1e300, 0.9)).unwrap();
        assert_eq!(trail.estimates().last().unwrap().1.rul, LONGEST);
    }

    #[test]
    fn damaged_trails_are_refused() {
        let mut trail = EstimateTrail::new();
        for i in 0..20 {
            trail.push(Timestamp::from_secs(i), &estimate(9.0, 0.9)).unwrap();
        }
        let spoilt: [&dyn Fn(&mut Record); 9] = [
            &|r| r.seen = 0,
            &|r| r.seen = u64::MAX,
            &|r| r.last = Timestamp::from_secs(3),
            &|r| r.claim = None,
            &|r| r.claim = Some((f64::NAN, LifeUnit::Hours)),
            &|r| r.entries[2].at = r.entries[1].at,
            &|r| r.entries[2].rul = f64::NAN,
            &|r| r.entries[2].upper = f64::INFINITY,
            &|r| r.entries.push(Entry::default()),
        ];
        for (i, spoil) in spoilt.iter().enumerate() {
            let mut record = Record::from(trail);
            spoil(&mut record);
            assert!(EstimateTrail::try_from(record).is_err(), "{i}");
        }
    }
}
