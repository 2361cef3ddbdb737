//! Quantiles and the median.

use super::{
    extent::Extent,
    ranked::{Ranked, between, rank_of},
    recent::{Recent, RecentRecord, comparable},
    sorted::Sorted,
    statistic::{Plain, Rolling, Statistic, sealed::Sealed},
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A rolling quantile: with the `n` values of the window sorted and `h = q (n - 1)`, the value at rank `⌊h⌋`, and linearly
/// between it and the next (NumPy's and pandas' default). A zero is never negative.
///
/// One row costs `O(log n)` comparisons and a move of up to 512 values. A batch over a window counted in rows sorts the
/// signal in blocks and holds windows as sets of ranks, at some 30 ns a row.
///
/// ```
/// use prognos::features::rolling::RollingQuantile;
/// let y = RollingQuantile::rows(4, 0.9)?.apply(&[4.0, 1.0, 2.0, 3.0])?;
/// assert!((y[3] - 3.7).abs() < 1e-15);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Source: Hyndman & Fan (1996), definition 7, <https://doi.org/10.1080/00031305.1996.10473566>. That the batch is as fast
/// as sorting: Suomela (2014), <https://arxiv.org/abs/1406.1717>.
pub type RollingQuantile = Rolling<Quantile>;

/// The rolling median, the [`RollingQuantile`] of a half.
///
/// ```
/// use prognos::features::rolling::RollingMedian;
/// assert_eq!(RollingMedian::rows(3)?.apply(&[4.0, 1.0, 2.0, 9.0])?[2..], [2.0, 2.0]);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RollingMedian = Rolling<Median>;

/// The statistic of [`RollingQuantile`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Quantile {
    q: f64,
}

/// The statistic of [`RollingMedian`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Median;

impl From<Quantile> for f64 {
    fn from(quantile: Quantile) -> f64 {
        quantile.q
    }
}

impl TryFrom<f64> for Quantile {
    type Error = Error;

    fn try_from(q: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&q) {
            return Err(Error::parameter("q", "in 0..=1", q));
        }
        Ok(Self { q })
    }
}

impl Rolling<Quantile> {
    /// The quantile `q` over the last `n` rows.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n` is in 1..=2^24 and `q` in 0..=1.
    pub fn rows(n: usize, q: f64) -> Result<Self> {
        Self::with(Extent::rows(n)?, q.try_into()?)
    }

    /// The quantile `q` over the rows of the last `span` of time, at most `max_rows` of them.
    ///
    /// # Errors
    /// `InvalidParameter` unless `span` is finite and above zero, `max_rows` in 1..=2^24 and `q` in 0..=1.
    pub fn span(span: f64, max_rows: usize, q: f64) -> Result<Self> {
        Self::with(Extent::span(span, max_rows)?, q.try_into()?)
    }
}

#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct QuantileMemory {
    recent: Recent,
    sorted: Sorted,
    /// Values that `sorted` has room for.
    room: usize,
    /// The value of the newest row's window, before the least count is asked for.
    value: f64,
}

impl QuantileMemory {
    fn new(extent: &Extent) -> Self {
        Self {
            recent: Recent::new(extent),
            sorted: Sorted::default(),
            room: 0,
            value: f64::NAN,
        }
    }

    fn push(&mut self, q: f64, time: f64, x: f64) {
        let x = comparable(x);
        let Self {
            recent, sorted, room, ..
        } = self;
        recent.push(time, x, |gone| {
            if !gone.is_nan() {
                sorted.remove(gone);
            }
        });
        if *room < recent.room() {
            *room = recent.room();
            sorted.make_room(*room);
        }
        if !x.is_nan() {
            sorted.insert(x);
        }
        self.value = f64::NAN;
        if sorted.len() > 0 {
            let (rank, t) = rank_of(q, sorted.len());
            if let Some((low, high)) = sorted.pair_at(rank) {
                self.value = between(low, high, t);
            }
        }
    }
}

macro_rules! of_quantile {
    ($name:ident) => {
        impl Sealed for $name {}

        impl Statistic for $name {
            type Memory = QuantileMemory;
            type Record = RecentRecord;
            type Work = Ranked;

            fn new_memory(&self, extent: &Extent) -> QuantileMemory {
                QuantileMemory::new(extent)
            }

            fn clear(&self, memory: &mut QuantileMemory) {
                memory.recent.clear();
                memory.sorted.clear();
                memory.value = f64::NAN;
            }

            fn push(&self, memory: &mut QuantileMemory, time: f64, x: f64) {
                memory.push(self.q(), time, x);
            }

            fn value(&self, memory: &QuantileMemory, min_count: usize) -> f64 {
                if memory.sorted.len() >= min_count {
                    memory.value
                } else {
                    f64::NAN
                }
            }

            fn run(
                &self,
                extent: &Extent,
                _memory: &mut QuantileMemory,
                work: &mut Ranked,
                min_count: usize,
                x: &[f64],
                out: &mut [f64],
            ) {
                work.run(extent.max_rows(), self.q(), min_count, x, out);
            }

            fn record(&self, memory: &QuantileMemory) -> RecentRecord {
                memory.recent.record()
            }

            fn restore(&self, extent: &Extent, record: RecentRecord) -> Result<(QuantileMemory, Option<f64>)> {
                let mut memory = QuantileMemory::new(extent);
                let newest = Recent::replay(extent, &record, |t, x| memory.push(self.q(), t, x))?;
                Ok((memory, newest))
            }
        }
    };
}

impl Quantile {
    fn q(&self) -> f64 {
        self.q
    }
}

impl Median {
    fn q(&self) -> f64 {
        0.5
    }
}

of_quantile!(Quantile);
of_quantile!(Median);

impl Plain for Median {}
