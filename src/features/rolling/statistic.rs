//! The plan, state and work space that all rolling statistics share.

use super::extent::Extent;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// What is told of a window. Implemented by the statistics of this module; it cannot be implemented outside.
pub trait Statistic: Copy + fmt::Debug + PartialEq + Serialize + DeserializeOwned + sealed::Sealed {
    /// What is kept of the rows in the window.
    #[doc(hidden)]
    type Memory: Clone + fmt::Debug;
    /// What of it is written down; the rest is computed from that.
    #[doc(hidden)]
    type Record: Clone + fmt::Debug + Serialize + DeserializeOwned;
    /// What a batch needs beside it.
    #[doc(hidden)]
    type Work: Clone + fmt::Debug + Default;

    #[doc(hidden)]
    fn check(&self, _extent: &Extent) -> Result<()> {
        Ok(())
    }

    /// The most that can count in a window of so many rows.
    #[doc(hidden)]
    fn most(&self, rows: usize) -> usize {
        rows
    }

    #[doc(hidden)]
    fn new_memory(&self, extent: &Extent) -> Self::Memory;

    #[doc(hidden)]
    fn clear(&self, memory: &mut Self::Memory);

    /// `time` is later than all before it, and zero where rows are counted.
    #[doc(hidden)]
    fn push(&self, memory: &mut Self::Memory, time: f64, x: f64);

    #[doc(hidden)]
    fn value(&self, memory: &Self::Memory, min_count: usize) -> f64;

    /// All rows of a signal, `memory` being empty; `out` is as long as `x`.
    #[doc(hidden)]
    fn run(
        &self,
        _extent: &Extent,
        memory: &mut Self::Memory,
        _work: &mut Self::Work,
        min_count: usize,
        x: &[f64],
        out: &mut [f64],
    ) {
        for (v, o) in x.iter().zip(out) {
            self.push(memory, 0.0, *v);
            *o = self.value(memory, min_count);
        }
    }

    #[doc(hidden)]
    fn record(&self, memory: &Self::Memory) -> Self::Record;

    /// The memory of a record, and the time of its newest row.
    #[doc(hidden)]
    fn restore(&self, extent: &Extent, record: Self::Record) -> Result<(Self::Memory, Option<f64>)>;
}

pub(super) mod sealed {
    pub trait Sealed {}
}

/// A statistic without parameters.
#[doc(hidden)]
pub trait Plain: Statistic + Default {}

/// A statistic over the last rows or the last span of time: the plan, immutable and small.
///
/// What it tells is `S`; see [`RollingMean`](super::RollingMean) and its neighbours, and the [module](super) for windows,
/// missing values, rounding and cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlanRecord<S>", into = "PlanRecord<S>", bound = "S: Statistic")]
pub struct Rolling<S> {
    extent: Extent,
    min_count: usize,
    statistic: S,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "S: Statistic")]
struct PlanRecord<S> {
    extent: Extent,
    min_count: usize,
    statistic: S,
}

impl<S> From<Rolling<S>> for PlanRecord<S> {
    fn from(plan: Rolling<S>) -> Self {
        Self {
            extent: plan.extent,
            min_count: plan.min_count,
            statistic: plan.statistic,
        }
    }
}

impl<S: Statistic> TryFrom<PlanRecord<S>> for Rolling<S> {
    type Error = Error;

    fn try_from(record: PlanRecord<S>) -> Result<Self> {
        record.extent.check()?;
        Self::with(record.extent, record.statistic)?.min_count(record.min_count)
    }
}

impl<S: Plain> Rolling<S> {
    /// Over the last `n` rows, the newest among them.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n` is in 1..=2^24.
    pub fn rows(n: usize) -> Result<Self> {
        Self::with(Extent::rows(n)?, S::default())
    }

    /// Over the rows of the last `span` of time, `(t - span, t]` as of a row at `t`; `span` in the unit of the times that
    /// will be pushed. Of more than `max_rows` rows in the span the oldest leave early, and the span is in effect shorter.
    ///
    /// # Errors
    /// `InvalidParameter` unless `span` is finite and above zero and `max_rows` in 1..=2^24.
    pub fn span(span: f64, max_rows: usize) -> Result<Self> {
        Self::with(Extent::span(span, max_rows)?, S::default())
    }
}

impl<S: Statistic> Rolling<S> {
    pub(super) fn with(extent: Extent, statistic: S) -> Result<Self> {
        statistic.check(&extent)?;
        let min_count = match extent {
            Extent::Rows(n) => statistic.most(n),
            Extent::Span { .. } => 1,
        };
        Ok(Self {
            extent,
            min_count,
            statistic,
        })
    }

    /// The same with another parameter of the statistic, one that needs no check.
    pub(super) fn change(mut self, change: impl FnOnce(&mut S)) -> Self {
        change(&mut self.statistic);
        self
    }

    /// The same with another number of values that must be there, not missing, for a result; NaN below it. Unless set, it
    /// is the window's length where rows are counted, and 1 for a span of time (pandas' `min_periods`).
    ///
    /// # Errors
    /// `InvalidParameter` for zero, or more than a window holds.
    pub fn min_count(mut self, n: usize) -> Result<Self> {
        let most = self.statistic.most(self.extent.max_rows());
        if !(1..=most).contains(&n) {
            return Err(Error::parameter("min_count", format!("1..={most}"), n));
        }
        self.min_count = n;
        Ok(self)
    }

    /// The most rows a window holds.
    pub fn max_rows(&self) -> usize {
        self.extent.max_rows()
    }

    /// The span of time, where the window is one.
    pub fn span_of_time(&self) -> Option<f64> {
        match self.extent {
            Extent::Rows(_) => None,
            Extent::Span { span, .. } => Some(span),
        }
    }

    /// The state of a signal of which no row was seen.
    pub fn new_state(&self) -> RollingState<S> {
        RollingState {
            plan: *self,
            time: None,
            memory: self.statistic.new_memory(&self.extent),
        }
    }

    /// Takes a row, the window being counted in rows.
    ///
    /// # Errors
    /// `InvalidInput` where the window is a span of time; `StateMismatch` for a state of another plan. The state is then
    /// unchanged.
    pub fn push(&self, state: &mut RollingState<S>, x: f64) -> Result<()> {
        self.check_state(state)?;
        self.check_rows()?;
        self.statistic.push(&mut state.memory, 0.0, x);
        Ok(())
    }

    /// Takes a row at `time`, the window being a span of time. A missing value moves the window on.
    ///
    /// # Errors
    /// `InvalidInput` where the window is counted in rows, or `time` is not finite or not after the newest row's: clocks
    /// that stand still or run backwards are the caller's to resolve. `StateMismatch` for a state of another plan. The
    /// state is then unchanged.
    pub fn push_at(&self, state: &mut RollingState<S>, time: f64, x: f64) -> Result<()> {
        self.check_state(state)?;
        self.check_span()?;
        check_time(state.time, time)?;
        state.time = Some(time);
        self.statistic.push(&mut state.memory, time, x);
        Ok(())
    }

    /// The statistic as of the newest row; NaN below [`min_count`](Rolling::min_count) values.
    ///
    /// # Errors
    /// `StateMismatch` for a state of another plan.
    pub fn value(&self, state: &RollingState<S>) -> Result<f64> {
        self.check_state(state)?;
        Ok(self.statistic.value(&state.memory, self.min_count))
    }

    /// [`push`](Rolling::push) and [`value`](Rolling::value).
    ///
    /// # Errors
    /// As `push`.
    pub fn step(&self, state: &mut RollingState<S>, x: f64) -> Result<f64> {
        self.push(state, x)?;
        Ok(self.statistic.value(&state.memory, self.min_count))
    }

    /// [`push_at`](Rolling::push_at) and [`value`](Rolling::value).
    ///
    /// # Errors
    /// As `push_at`.
    pub fn step_at(&self, state: &mut RollingState<S>, time: f64, x: f64) -> Result<f64> {
        self.push_at(state, time, x)?;
        Ok(self.statistic.value(&state.memory, self.min_count))
    }

    /// Work space of one thread for batches.
    pub fn new_scratch(&self) -> RollingScratch<S> {
        RollingScratch {
            plan: *self,
            memory: self.statistic.new_memory(&self.extent),
            work: S::Work::default(),
        }
    }

    /// Writes the statistic as of each row of a signal, the window being counted in rows: to the last bit what a state
    /// gives that takes the rows one by one. Work space of another plan is made anew.
    ///
    /// # Errors
    /// `InvalidInput` where `out` has another length than `x`, or the window is a span of time.
    pub fn apply_into(&self, x: &[f64], scratch: &mut RollingScratch<S>, out: &mut [f64]) -> Result<()> {
        self.check_rows()?;
        check_places(x, out)?;
        scratch.fit(self);
        let RollingScratch { memory, work, .. } = scratch;
        self.statistic.run(&self.extent, memory, work, self.min_count, x, out);
        Ok(())
    }

    /// Writes the statistic as of each row of a signal at these times, the window being a span of time: to the last bit
    /// what a state gives that takes the rows one by one. Work space of another plan is made anew.
    ///
    /// # Errors
    /// `InvalidInput` where the lengths differ, a time is not finite or not after the one before it, or the window is
    /// counted in rows; nothing is written then.
    pub fn apply_at_into(
        &self,
        times: &[f64],
        x: &[f64],
        scratch: &mut RollingScratch<S>,
        out: &mut [f64],
    ) -> Result<()> {
        self.check_span()?;
        check_places(x, out)?;
        if times.len() != x.len() {
            return Err(Error::input("times of a rolling window", x.len(), times.len()));
        }
        check_times(times)?;
        scratch.fit(self);
        for ((t, v), o) in times.iter().zip(x).zip(out) {
            self.statistic.push(&mut scratch.memory, *t, *v);
            *o = self.statistic.value(&scratch.memory, self.min_count);
        }
        Ok(())
    }

    /// The statistic as of each row, in memory of its own.
    ///
    /// # Errors
    /// As [`apply_into`](Rolling::apply_into).
    pub fn apply(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; x.len()];
        self.apply_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// The statistic as of each row at these times, in memory of its own.
    ///
    /// # Errors
    /// As [`apply_at_into`](Rolling::apply_at_into).
    pub fn apply_at(&self, times: &[f64], x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; x.len()];
        self.apply_at_into(times, x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    fn check_state(&self, state: &RollingState<S>) -> Result<()> {
        if state.plan == *self {
            Ok(())
        } else {
            let show = |plan: &Self| format!("{plan:?}");
            Err(Error::state("rolling state", show(self), show(&state.plan)))
        }
    }

    fn check_rows(&self) -> Result<()> {
        match self.extent {
            Extent::Rows(_) => Ok(()),
            Extent::Span { .. } => Err(Error::input("row of a span of time", "a time with it", "none")),
        }
    }

    fn check_span(&self) -> Result<()> {
        match self.extent {
            Extent::Span { .. } => Ok(()),
            Extent::Rows(_) => Err(Error::input(
                "row of a window counted in rows",
                "no time with it",
                "one",
            )),
        }
    }
}

fn check_places(x: &[f64], out: &[f64]) -> Result<()> {
    if out.len() == x.len() {
        Ok(())
    } else {
        Err(Error::input("places of a rolling statistic", x.len(), out.len()))
    }
}

/// Times of all rows of a signal.
pub(super) fn check_times(times: &[f64]) -> Result<()> {
    let mut last = None;
    for t in times {
        check_time(last, *t)?;
        last = Some(*t);
    }
    Ok(())
}

pub(super) fn check_time(newest: Option<f64>, time: f64) -> Result<()> {
    let after = newest.is_none_or(|n| time > n);
    if time.is_finite() && after {
        return Ok(());
    }
    let expected = newest.map_or_else(|| "finite".into(), |n| format!("finite and after {n}"));
    Err(Error::input("time of a row", expected, time))
}

/// What is known of a signal so far: the rows of the window and sums of them.
///
/// Only the rows are written down, and how they are divided; sums are computed anew on reading, to the same bits. Missing
/// rows are written as none, so text such as JSON holds a state too (to the bit where its reader rounds numbers correctly).
/// Records that no plan could have left are refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "StateRecord<S>", into = "StateRecord<S>", bound = "S: Statistic")]
pub struct RollingState<S: Statistic> {
    plan: Rolling<S>,
    time: Option<f64>,
    memory: S::Memory,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "S: Statistic")]
struct StateRecord<S: Statistic> {
    plan: Rolling<S>,
    time: Option<f64>,
    memory: S::Record,
}

impl<S: Statistic> RollingState<S> {
    /// The plan it belongs to.
    pub fn plan(&self) -> &Rolling<S> {
        &self.plan
    }

    /// Forgets all rows and times, keeping the memory they had.
    pub fn clear(&mut self) {
        self.time = None;
        self.plan.statistic.clear(&mut self.memory);
    }
}

impl<S: Statistic> From<RollingState<S>> for StateRecord<S> {
    fn from(state: RollingState<S>) -> Self {
        Self {
            memory: state.plan.statistic.record(&state.memory),
            plan: state.plan,
            time: state.time,
        }
    }
}

impl<S: Statistic> TryFrom<StateRecord<S>> for RollingState<S> {
    type Error = Error;

    fn try_from(record: StateRecord<S>) -> Result<Self> {
        let StateRecord { plan, time, memory } = record;
        let (memory, newest) = plan.statistic.restore(&plan.extent, memory)?;
        // Every row that comes, missing or not, is kept as the newest; rows that are counted have no time.
        if time != newest {
            return Err(Error::persistence("time of a rolling state does not fit its rows"));
        }
        Ok(Self { plan, time, memory })
    }
}

/// Work space of one thread for the batches of a [`Rolling`].
#[derive(Clone, Debug)]
pub struct RollingScratch<S: Statistic> {
    plan: Rolling<S>,
    memory: S::Memory,
    work: S::Work,
}

impl<S: Statistic> RollingScratch<S> {
    fn fit(&mut self, plan: &Rolling<S>) {
        if self.plan == *plan {
            plan.statistic.clear(&mut self.memory);
        } else {
            *self = plan.new_scratch();
        }
    }
}
