//! The least and the greatest value.

use super::{
    extent::Extent,
    recent::{Recent, RecentRecord, comparable},
    statistic::{Plain, Rolling, Statistic, sealed::Sealed},
};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The rolling minimum. A zero is never negative.
///
/// `O(1)` amortised: a queue of those values that no later one undercuts.
///
/// ```
/// use prognos::features::rolling::RollingMin;
/// assert_eq!(RollingMin::rows(2)?.min_count(1)?.apply(&[3.0, 1.0, f64::NAN, 2.0])?, [3.0, 1.0, 1.0, 2.0]);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RollingMin = Rolling<Minimum>;

/// The rolling maximum; see [`RollingMin`].
///
/// ```
/// use prognos::features::rolling::RollingMax;
/// assert_eq!(RollingMax::rows(2)?.apply(&[3.0, 1.0, 2.0])?[1..], [3.0, 2.0]);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RollingMax = Rolling<Maximum>;

/// The statistic of [`RollingMin`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Minimum;

/// The statistic of [`RollingMax`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Maximum;

#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Extreme {
    recent: Recent,
    /// Values that are there.
    n: usize,
    /// Those that no later one beats, oldest first; equal ones all.
    leaders: VecDeque<f64>,
}

impl Extreme {
    fn new(extent: &Extent) -> Self {
        Self {
            recent: Recent::new(extent),
            n: 0,
            leaders: VecDeque::new(),
        }
    }

    fn clear(&mut self) {
        self.recent.clear();
        self.n = 0;
        self.leaders.clear();
    }

    fn push(&mut self, time: f64, x: f64, beats: impl Fn(f64, f64) -> bool) {
        let x = comparable(x);
        let Self { recent, n, leaders } = self;
        recent.push(time, x, |gone| {
            if !gone.is_nan() {
                *n -= 1;
                // The oldest leader has left where its value has: one that is equal and older would lead itself.
                if leaders.front() == Some(&gone) {
                    leaders.pop_front();
                }
            }
        });
        self.make_room();
        let Self { n, leaders, .. } = self;
        if x.is_nan() {
            return;
        }
        *n += 1;
        while leaders.back().is_some_and(|last| beats(x, *last)) {
            leaders.pop_back();
        }
        leaders.push_back(x);
    }

    /// All values of the window may come to lead: there is room for as many, however few do now.
    #[inline]
    fn make_room(&mut self) {
        let room = self.recent.room();
        if self.leaders.capacity() < room {
            self.leaders.reserve(room - self.leaders.len());
        }
    }

    fn value(&self, min_count: usize) -> f64 {
        match self.leaders.front() {
            Some(v) if self.n >= min_count => *v,
            _ => f64::NAN,
        }
    }
}

macro_rules! of_extreme {
    ($name:ident, $beats:expr) => {
        impl Sealed for $name {}

        impl Statistic for $name {
            type Memory = Extreme;
            type Record = RecentRecord;
            type Work = ();

            fn new_memory(&self, extent: &Extent) -> Extreme {
                Extreme::new(extent)
            }

            fn clear(&self, memory: &mut Extreme) {
                memory.clear();
            }

            fn push(&self, memory: &mut Extreme, time: f64, x: f64) {
                memory.push(time, x, $beats);
            }

            fn value(&self, memory: &Extreme, min_count: usize) -> f64 {
                memory.value(min_count)
            }

            fn record(&self, memory: &Extreme) -> RecentRecord {
                memory.recent.record()
            }

            fn restore(&self, extent: &Extent, record: RecentRecord) -> Result<(Extreme, Option<f64>)> {
                let mut memory = Extreme::new(extent);
                let newest = Recent::replay(extent, &record, |t, x| memory.push(t, x, $beats))?;
                Ok((memory, newest))
            }
        }

        impl Plain for $name {}
    };
}

of_extreme!(Minimum, |new: f64, old: f64| new < old);
of_extreme!(Maximum, |new: f64, old: f64| new > old);
