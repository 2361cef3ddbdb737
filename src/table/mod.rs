//! Fleets and their features as Polars tables: in and out of a [`DataFrame`], Parquet, and lazy work over many files.
//!
//! | call | from | to |
//! |---|---|---|
//! | [`fleet_to_frame`], [`fleet_from_frame`] | [`FleetHistory`](crate::signal::FleetHistory) | a frame of readings, and back |
//! | [`feature_frame`] | a fitted [`Pipeline`](crate::pipeline::Pipeline) and a fleet | everything the chain computes of each row |
//! | [`lazy_feature_frame`] | the same over a [`LazyFrame`] | the same, computed when collected |
//! | [`feature_table_from_frame`] | a frame of features | a [`FeatureTable`](crate::features::FeatureTable), to fit models on |
//! | [`asset_summary`] | a [`LazyFrame`] of readings | one row an asset: rows, instants, mean, deviation and missing share of each channel |
//! | [`recording_from_frame`], [`read_waveform_parquet`] | a frame or file of samples | a [`Recording`](crate::signal::Recording) |
//! | [`write_parquet`], [`read_parquet`], [`scan_parquet`] | a frame | a file, and back |
//!
//! A frame of readings has a row a reading: [`ASSET`] (string), [`TIME`], one `Float64` a channel, and [`RUL`] (`Float64`).
//! An instant is an `Int64` of nanoseconds where life is counted in cycles, which have no date (cycle `k` lies at `k`
//! seconds: [`LifeUnit`](crate::quantity::LifeUnit)), and a `Datetime` of nanoseconds, UTC, everywhere else. Missing
//! readings are NaN in a fleet and null in a frame. Units of channels are not kept: a frame has nowhere to put them.
//!
//! The types are those of the `polars` crate this one is built with, given again as [`polars`]. Its errors become this
//! crate's with `?`.
//!
//! ```
//! use prognos::{quantity::Seed, simulate, table};
//! let fleet = simulate::turbofan_fleet(Seed(7))?;
//! let path = std::env::temp_dir().join("doc_fleet.parquet");
//! table::write_parquet(&mut table::fleet_to_frame(&fleet)?, &path)?;
//!
//! // One row an asset, of any number of files (`fleet-*.parquet`), read as far as is needed.
//! let layout = table::FleetLayout::new(fleet.life_unit());
//! let summary = table::asset_summary(table::scan_parquet(&path)?, &layout)?.collect()?;
//! assert_eq!(summary.height(), fleet.assets().len());
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), prognos::Error>(())
//! ```
//!
//! [`DataFrame`]: polars::prelude::DataFrame
//! [`LazyFrame`]: polars::prelude::LazyFrame

mod column;
mod feature_frame;
mod fleet_frame;
mod layout;
mod parquet;
mod summary;
mod waveform;

pub use feature_frame::{feature_frame, feature_table_from_frame, lazy_feature_frame};
pub use fleet_frame::{fleet_from_frame, fleet_to_frame};
pub use layout::FleetLayout;
pub use parquet::{read_parquet, scan_parquet, write_parquet};
pub use polars;
pub use summary::asset_summary;
pub use waveform::{MAX_WAVEFORM_SAMPLES, read_waveform_parquet, recording_from_frame};

use crate::error::{Error, ErrorKind};
use polars::prelude::PolarsError;

/// The column of assets' names.
pub const ASSET: &str = "asset";
/// The column of instants.
pub const TIME: &str = "time";
/// The column of remaining lives, in the fleet's life unit; null where the end is not known.
pub const RUL: &str = "rul";

/// `Io` where Polars could not read or write, `InvalidInput` for everything else; the cause is kept.
impl From<PolarsError> for Error {
    fn from(e: PolarsError) -> Self {
        let kind = if is_io(&e) {
            ErrorKind::Io
        } else {
            ErrorKind::InvalidInput
        };
        Self::new(kind, format!("table: {e}")).with_source(e)
    }
}

fn is_io(e: &PolarsError) -> bool {
    match e {
        PolarsError::IO { .. } => true,
        PolarsError::Context { error, .. } | PolarsError::ExprContext { error, .. } => is_io(error),
        _ => false,
    }
}
