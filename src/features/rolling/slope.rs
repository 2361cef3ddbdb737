//! Slope of the line of least squares.

use super::{
    chunked::{ChunkedRecord, ChunkedSums},
    extent::Extent,
    pairs::{Joint, Pairs},
    powers::finite,
    statistic::{Plain, Rolling, Statistic, sealed::Sealed},
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The slope of the rolling line of least squares, `Σ (t - t̄)(x - x̄) / Σ (t - t̄)²`.
///
/// A row where rows are counted, a unit of time where the window is a span of time. NaN below two values, and where squares
/// leave the range of `f64`.
///
/// ```
/// use prognos::features::rolling::RollingSlope;
/// let plan = RollingSlope::span(60.0, 1000)?;
/// let y = plan.apply_at(&[0.0, 10.0, 40.0], &[1.0, 2.0, 5.0])?;
/// assert!(y[0].is_nan());
/// assert!((y[2] - 0.1).abs() < 1e-15);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RollingSlope = Rolling<Slope>;

/// The statistic of [`RollingSlope`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slope;

#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct SlopeMemory {
    sums: ChunkedSums<Pairs, 2, 5>,
    timed: bool,
    /// Rows taken, where they are counted.
    n_rows: u64,
}

#[doc(hidden)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlopeRecord {
    sums: ChunkedRecord,
    n_rows: u64,
}

fn slope(m: &Joint) -> f64 {
    finite(if m.aa > 0.0 { m.ab / m.aa } else { f64::NAN })
}

impl Sealed for Slope {}

impl Statistic for Slope {
    type Memory = SlopeMemory;
    type Record = SlopeRecord;
    type Work = ();

    fn new_memory(&self, extent: &Extent) -> SlopeMemory {
        SlopeMemory {
            sums: ChunkedSums::new(extent, extent.max_rows()),
            timed: extent.reach().is_some(),
            n_rows: 0,
        }
    }

    fn clear(&self, memory: &mut SlopeMemory) {
        memory.sums.clear();
        memory.n_rows = 0;
    }

    fn push(&self, memory: &mut SlopeMemory, time: f64, x: f64) {
        let along = if memory.timed { time } else { memory.n_rows as f64 };
        memory.n_rows = memory.n_rows.wrapping_add(1);
        memory.sums.push(time, time, [along, x]);
    }

    fn value(&self, memory: &SlopeMemory, min_count: usize) -> f64 {
        memory.sums.value(min_count, slope)
    }

    fn record(&self, memory: &SlopeMemory) -> SlopeRecord {
        SlopeRecord {
            sums: memory.sums.record(),
            n_rows: memory.n_rows,
        }
    }

    fn restore(&self, extent: &Extent, record: SlopeRecord) -> Result<(SlopeMemory, Option<f64>)> {
        let timed = extent.reach().is_some();
        let (sums, newest) = ChunkedSums::restore(extent, extent.max_rows(), record.sums)?;
        // Where a value is there its place is; missing rows have none.
        let n_rows = record.n_rows;
        let first = n_rows.wrapping_sub(sums.len() as u64);
        let in_place = |(i, row): (usize, &[f64; 2])| {
            let along = match sums.time(i) {
                Some(time) => time,
                None => first.wrapping_add(i as u64) as f64,
            };
            row[0].is_nan() || row[0] == along
        };
        if n_rows > 1 << 53 || !sums.rows().enumerate().all(in_place) {
            return Err(Error::persistence("rows of a rolling slope are out of place"));
        }
        Ok((SlopeMemory { sums, timed, n_rows }, newest))
    }
}

impl Plain for Slope {}
