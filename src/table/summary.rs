//! One row an asset.

use super::{ASSET, layout::FleetLayout};
use crate::error::Result;
use polars::prelude::{DataType, Expr, LazyFrame, NULL, SortMultipleOptions, col, len, lit};

/// One row an asset of a lazy frame of readings, in the order of their names:
///
/// | column | type | what |
/// |---|---|---|
/// | `asset` | as in the frame | |
/// | `n_rows` | `UInt32` | rows `n` |
/// | `first_time`, `last_time` | as in the frame | least and greatest instant |
/// | `<channel>_mean` | `Float64` | `m = sum(x_i) / k` over the `k` readings that are there; null without one |
/// | `<channel>_sd` | `Float64` | `sqrt(sum((x_i - m)^2) / (k - 1))`; null below two readings |
/// | `<channel>_missing` | `Float64` | `(n - k) / n`; null and NaN are missing, infinities are not |
///
/// Readings may come in any order; channels are those of the layout, or every numeric column it does not name otherwise.
/// Lazy from end to end: over a [scan](super::scan_parquet), only the columns of the layout are read, and a fleet larger
/// than memory is summed up by `collect_with_engine(Engine::Streaming)`, equal but for rounding.
///
/// ```
/// use prognos::{quantity::LifeUnit, table::{self, polars::prelude::*}};
/// let readings = df!(
///     "asset" => ["a", "b", "a"], "time" => [1i64, 1, 2], "load" => [Some(1.0), None, Some(3.0)],
/// )?;
/// let summary = table::asset_summary(readings.lazy(), &table::FleetLayout::new(LifeUnit::Cycles))?.collect()?;
/// assert_eq!(summary.column("load_mean")?.f64()?.to_vec(), [Some(2.0), None]);
/// assert_eq!(summary.column("load_missing")?.f64()?.to_vec(), [Some(0.0), Some(1.0)]);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` for a column of the layout that is missing, and a channel that is not numeric.
pub fn asset_summary(mut frame: LazyFrame, layout: &FleetLayout) -> Result<LazyFrame> {
    let schema = frame.collect_schema()?;
    layout.check(&schema)?;
    let time = || col(layout.time.as_str());
    let mut sums: Vec<Expr> = vec![
        len().alias("n_rows"),
        time().min().alias("first_time"),
        time().max().alias("last_time"),
    ];
    for channel in layout.channels_in(&schema)? {
        let name = channel.name;
        let readings = || col(name.as_str()).cast(DataType::Float64).fill_nan(lit(NULL));
        sums.push(readings().mean().alias(format!("{name}_mean")));
        sums.push(readings().std(1).alias(format!("{name}_sd")));
        let missing = readings().null_count().cast(DataType::Float64) / len().cast(DataType::Float64);
        sums.push(missing.alias(format!("{name}_missing")));
    }
    let by_asset = frame.group_by([col(layout.asset.as_str()).alias(ASSET)]).agg(sums);
    Ok(by_asset.sort([ASSET], SortMultipleOptions::default()))
}
