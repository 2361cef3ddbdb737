//! A bearing in one Parquet file.

use super::{N_SAMPLES, Snapshot, recording};
use crate::{
    error::{Error, Result},
    quantity::Timestamp,
    table,
};
use polars::prelude::{Column, DataFrame, DataType, Int32Chunked};
use std::path::Path;

/// Snapshots follow each other every 10 s.
const SPACING_NANOS: i64 = 10_000_000_000;

/// All snapshots of a bearing, from a Parquet file with the columns `snapshot` (1 for the first), `horizontal_mg` and
/// `vertical_mg`: whole thousandths of g, as the rig wrote them, [`N_SAMPLES`] rows a snapshot.
///
/// It has no times of day. Snapshot `k` is laid `10 (k - 1)` seconds after the epoch.
///
/// Memory: 8 bytes a row; a snapshot becomes numbers of 8 bytes when it is asked for.
///
/// ```no_run
/// use prognos::dataset::femto::Bearing;
/// let bearing = Bearing::read("Bearing1_2.parquet")?;
/// for snapshot in bearing.snapshots() {
///     let snapshot = snapshot?;
///     println!("{} {}", snapshot.number, snapshot.recording.start());
/// }
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bearing {
    numbers: Vec<u32>,
    horizontal_mg: Vec<i32>,
    vertical_mg: Vec<i32>,
}

impl Bearing {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// As [`table::read_parquet`] and [`from_frame`](Bearing::from_frame). Each names the path.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_frame(&table::read_parquet(path)?).map_err(|e| e.context(path.display()))
    }

    /// Takes the snapshots out of a frame; columns besides the three mean nothing.
    ///
    /// # Errors
    /// `InsufficientData` without a row. `InvalidInput`, naming the column and row (counted from 0), where a column is not
    /// there, does not hold integers of 32 bits or holds a null, and where rows of a snapshot are not together, not
    /// [`N_SAMPLES`], or of a snapshot that is not after the one before it.
    pub fn from_frame(frame: &DataFrame) -> Result<Self> {
        let horizontal_mg = integers(frame, "horizontal_mg")?;
        let vertical_mg = integers(frame, "vertical_mg")?;
        let mut numbers: Vec<u32> = Vec::new();
        for (i, rows) in integers(frame, "snapshot")?.chunks(N_SAMPLES).enumerate() {
            let row = i * N_SAMPLES;
            let (Some(&first), true) = (rows.first(), rows.len() == N_SAMPLES) else {
                return Err(at(row, format!("{N_SAMPLES} rows of a snapshot"), rows.len()));
            };
            if let Some(other) = rows.iter().position(|&number| number != first) {
                let expected = format!("snapshot {first}, of which there are {N_SAMPLES} rows");
                return Err(at(row + other, expected, rows.get(other).copied().unwrap_or_default()));
            }
            let last = numbers.last().copied().unwrap_or(0);
            match u32::try_from(first) {
                Ok(number) if number > last => numbers.push(number),
                _ => return Err(at(row, format!("a snapshot above {last}"), first)),
            }
        }
        if numbers.is_empty() {
            return Err(Error::insufficient("bearing", "at least 1 snapshot", 0));
        }
        Ok(Self {
            numbers,
            horizontal_mg,
            vertical_mg,
        })
    }

    /// Snapshots there are, at least one.
    pub fn n_snapshots(&self) -> usize {
        self.numbers.len()
    }

    /// The snapshots in order.
    pub fn snapshots(&self) -> impl ExactSizeIterator<Item = Result<Snapshot>> {
        let horizontal = self.horizontal_mg.chunks(N_SAMPLES);
        let channels = horizontal.zip(self.vertical_mg.chunks(N_SAMPLES));
        self.numbers
            .iter()
            .zip(channels)
            .map(|(&number, (horizontal, vertical))| {
                let since_first = i64::from(number) - 1;
                let start = Timestamp::from_nanos(since_first.saturating_mul(SPACING_NANOS));
                let recording = recording(start, [in_g(horizontal), in_g(vertical)])?;
                Ok(Snapshot { number, recording })
            })
    }
}

/// Divided, not multiplied by 0.001: the nearest number to the decimal that the rig wrote.
fn in_g(thousandths: &[i32]) -> Vec<f64> {
    thousandths.iter().map(|&mg| f64::from(mg) / 1000.0).collect()
}

fn at(row: usize, expected: String, got: impl std::fmt::Display) -> Error {
    Error::input(&format!("frame row {row}, column `snapshot`"), expected, got)
}

fn integers(frame: &DataFrame, name: &str) -> Result<Vec<i32>> {
    let named = |e: Error| e.context(format!("frame column `{name}`"));
    let column: &Column = frame.column(name).map_err(|e| named(e.into()))?;
    if *column.dtype() != DataType::Int32 {
        return Err(named(Error::input("type", DataType::Int32, column.dtype())));
    }
    let values: &Int32Chunked = column.i32().map_err(|e| named(e.into()))?;
    values
        .iter()
        .enumerate()
        .map(|(row, v)| v.ok_or_else(|| named(Error::input(&format!("frame row {row}"), "a number", "null"))))
        .collect()
}
