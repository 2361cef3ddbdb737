//! Autocorrelation at one lag.

use super::{
    chunked::{ChunkedRecord, ChunkedSums},
    extent::Extent,
    pairs::{Joint, Pairs},
    powers::{LEAST_SQUARES, finite},
    recent::there,
    statistic::{Rolling, Statistic, sealed::Sealed},
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The rolling autocorrelation at a lag of rows: Pearson's correlation of the pairs `(x[i - lag], x[i])` of which both rows
/// lie in the window.
///
/// Each side of the pairs has its own mean and variance (`pandas.Series.autocorr`). What is counted are pairs: a window of
/// `n` rows has `n - lag`, which is the least count unless set. A pair with a missing value is left out. NaN where one side
/// of the pairs is constant (or differs by less than about 1e-70), and where squares leave the range of `f64`.
///
/// ```
/// use prognos::features::rolling::RollingAutocorrelation;
/// let y = RollingAutocorrelation::rows(6, 1)?.apply(&[1.0, -1.0, 1.0, -1.0, 1.0, -1.0])?;
/// assert!((y[5] + 1.0).abs() < 1e-15);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RollingAutocorrelation = Rolling<Autocorrelation>;

/// The statistic of [`RollingAutocorrelation`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Autocorrelation {
    lag: usize,
}

#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct AutocorrelationMemory {
    pairs: ChunkedSums<Pairs, 2, 5>,
    lag: usize,
    /// Time and value of rows that have no later partner yet, at most `lag`.
    waiting: VecDeque<(f64, f64)>,
}

#[doc(hidden)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AutocorrelationRecord {
    pairs: ChunkedRecord,
    /// Without a value where it is missing.
    waiting: Vec<(f64, Option<f64>)>,
}

impl Rolling<Autocorrelation> {
    /// Over the last `n` rows.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n` is in 1..=2^24 and `lag` in `1..=n - 2`.
    pub fn rows(n: usize, lag: usize) -> Result<Self> {
        Self::with(Extent::rows(n)?, Autocorrelation { lag })
    }

    /// Over the rows of the last `span` of time, at most `max_rows` of them.
    ///
    /// # Errors
    /// `InvalidParameter` unless `span` is finite and above zero, `max_rows` in 1..=2^24 and `lag` in `1..=max_rows - 2`.
    pub fn span(span: f64, max_rows: usize, lag: usize) -> Result<Self> {
        Self::with(Extent::span(span, max_rows)?, Autocorrelation { lag })
    }
}

#[inline]
fn correlation(m: &Joint) -> f64 {
    let r = finite(m.ab / (m.aa.sqrt() * m.bb.sqrt()));
    // Beyond one is rounding; NaN stays.
    let r = if r > 1.0 { 1.0 } else { r };
    let r = if r < -1.0 { -1.0 } else { r };
    if m.aa > LEAST_SQUARES && m.bb > LEAST_SQUARES {
        r
    } else {
        f64::NAN
    }
}

impl Sealed for Autocorrelation {}

impl Statistic for Autocorrelation {
    type Memory = AutocorrelationMemory;
    type Record = AutocorrelationRecord;
    type Work = ();

    fn check(&self, extent: &Extent) -> Result<()> {
        let most = extent.max_rows().saturating_sub(2);
        if !(1..=most).contains(&self.lag) {
            let expected = format!("1..={most}, with two pairs in a window of {} rows", extent.max_rows());
            return Err(Error::parameter("lag", expected, self.lag));
        }
        Ok(())
    }

    fn most(&self, rows: usize) -> usize {
        rows.saturating_sub(self.lag)
    }

    fn new_memory(&self, extent: &Extent) -> AutocorrelationMemory {
        AutocorrelationMemory {
            pairs: ChunkedSums::new(extent, self.most(extent.max_rows())),
            lag: self.lag,
            waiting: VecDeque::new(),
        }
    }

    fn clear(&self, memory: &mut AutocorrelationMemory) {
        memory.pairs.clear();
        memory.waiting.clear();
    }

    fn push(&self, memory: &mut AutocorrelationMemory, time: f64, x: f64) {
        let earlier = if memory.waiting.len() >= memory.lag {
            memory.waiting.pop_front()
        } else {
            None
        };
        memory.waiting.push_back((time, x));
        memory.pairs.advance(time);
        if let Some((since, v)) = earlier
            && memory.pairs.reaches(time, since)
        {
            memory.pairs.push(time, since, [v, x]);
        }
    }

    fn value(&self, memory: &AutocorrelationMemory, min_count: usize) -> f64 {
        memory.pairs.value(min_count, correlation)
    }

    fn record(&self, memory: &AutocorrelationMemory) -> AutocorrelationRecord {
        AutocorrelationRecord {
            pairs: memory.pairs.record(),
            waiting: memory.waiting.iter().map(|(t, x)| (*t, there(*x))).collect(),
        }
    }

    fn restore(&self, extent: &Extent, record: AutocorrelationRecord) -> Result<(AutocorrelationMemory, Option<f64>)> {
        let (pairs, newest_pair) = ChunkedSums::restore(extent, self.most(extent.max_rows()), record.pairs)?;
        let times = || record.waiting.iter().map(|w| w.0);
        let ordered = match extent.reach() {
            None => times().all(|t| t == 0.0),
            Some(_) => {
                times().all(f64::is_finite)
                    && times().is_sorted_by(|a, b| a < b)
                    && newest_pair.zip(times().next()).is_none_or(|(p, w)| p < w)
            }
        };
        // The window ends at the newest row, not at the newest pair's older one.
        let within = pairs
            .time(0)
            .zip(times().next_back())
            .is_none_or(|(since, now)| pairs.reaches(now, since));
        let full = record.waiting.len() == self.lag;
        if !ordered || !within || record.waiting.len() > self.lag || (pairs.len() > 0 && !full) {
            return Err(Error::persistence("rows of a rolling autocorrelation are out of place"));
        }
        let newest = extent.reach().and(times().next_back());
        let memory = AutocorrelationMemory {
            pairs,
            lag: self.lag,
            waiting: record
                .waiting
                .iter()
                .map(|(t, x)| (*t, x.unwrap_or(f64::NAN)))
                .collect(),
        };
        Ok((memory, newest))
    }
}
