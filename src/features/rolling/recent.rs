//! The values of a window, for statistics of their order.

use super::extent::Extent;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The values of a window, oldest first; missing ones are NaN, and no zero is negative, so that equal values have equal bits.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Recent {
    capacity: usize,
    span: Option<f64>,
    values: VecDeque<f64>,
    /// Of each value, where the window is a span of time.
    times: VecDeque<f64>,
}

#[doc(hidden)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecentRecord {
    /// None where missing, which unlike NaN every format can tell.
    values: Vec<Option<f64>>,
    times: Vec<f64>,
}

/// The value as orders compare it; NaN where it is missing.
#[inline]
pub(super) fn comparable(x: f64) -> f64 {
    if x.is_finite() { x + 0.0 } else { f64::NAN }
}

/// The value where it is there.
#[inline]
pub(super) fn there(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

impl Recent {
    pub(super) fn new(extent: &Extent) -> Self {
        Self {
            capacity: extent.max_rows(),
            span: extent.reach(),
            values: VecDeque::new(),
            times: VecDeque::new(),
        }
    }

    /// Values there is room for at present; grows only when more come than ever before, and never beyond the window.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.values.capacity().min(self.capacity)
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.times.clear();
    }

    /// Takes a value, which must be [`comparable`], after handing over each that leaves, oldest first.
    #[inline]
    pub(super) fn push(&mut self, time: f64, x: f64, mut on_leave: impl FnMut(f64)) {
        if let Some(span) = self.span {
            while self.times.front().is_some_and(|t| *t <= time - span) {
                self.times.pop_front();
                self.values.pop_front().map(&mut on_leave);
            }
            if self.times.len() >= self.capacity {
                self.times.pop_front();
            }
            self.times.push_back(time);
        }
        if self.values.len() >= self.capacity {
            self.values.pop_front().map(on_leave);
        }
        self.values.push_back(x);
    }

    pub(super) fn record(&self) -> RecentRecord {
        RecentRecord {
            values: self.values.iter().map(|v| there(*v)).collect(),
            times: self.times.iter().copied().collect(),
        }
    }

    /// Takes the rows of a record one by one through `push`; gives the time of the newest.
    pub(super) fn replay(
        extent: &Extent,
        record: &RecentRecord,
        mut push: impl FnMut(f64, f64),
    ) -> Result<Option<f64>> {
        let bad = |what: &str| Error::persistence(format!("rolling state: {what}"));
        let RecentRecord { values, times } = record;
        if values.len() > extent.max_rows() {
            return Err(bad("more rows than a window holds"));
        }
        let Some(span) = extent.reach() else {
            if !times.is_empty() {
                return Err(bad("rows that are counted have no times"));
            }
            values.iter().for_each(|v| push(0.0, v.unwrap_or(f64::NAN)));
            return Ok(None);
        };
        let ordered = times.iter().all(|t| t.is_finite()) && times.is_sorted_by(|a, b| a < b);
        let within = times
            .first()
            .zip(times.last())
            .is_none_or(|(a, b)| *a > b - span || a == b);
        if times.len() != values.len() || !ordered || !within {
            return Err(bad("times are not those of a window"));
        }
        times
            .iter()
            .zip(values)
            .for_each(|(t, v)| push(*t, v.unwrap_or(f64::NAN)));
        Ok(times.last().copied())
    }
}
