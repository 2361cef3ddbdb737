//! Loaders of recorded fleets and waveforms: public sets in the format their authors publish, and common files.
//!
//! | module | data | format |
//! |---|---|---|
//! | [`cmapss`] | NASA C-MAPSS turbofans, run to failure | the published text files, unchanged |
//! | [`cwru`] | Case Western Reserve University bearings with seeded faults | the published MATLAB files, unchanged |
//! | [`femto`] | FEMTO-ST PRONOSTIA bearings, run to failure | the published CSV snapshots, unchanged |
//! | [`nab`] | Numenta Anomaly Benchmark: series with labelled windows | the published CSV and JSON files, unchanged |
//! | [`skab`] | Skoltech Anomaly Benchmark: a pump rig with labelled faults | the published CSV files, unchanged |
//! | [`matlab`] | numeric arrays of any shape | MATLAB 5 |
//! | [`wav`] | waveforms | WAV, whole numbers and floats |
//! | [`waveform_csv`] | waveforms | plain text: a line an instant, a column a channel |
//! | [`fleet_csv`] | any [`FleetHistory`](crate::signal::FleetHistory), such as those in `datasets/` | CSV with a header |
//!
//! No public set is part of this crate; `datasets/README.md` says where each is found, under what licence, and what
//! its files should hash to.
//!
//! Every loader refuses a file above [`MAX_FILE_BYTES`] before reading it, and reads all or nothing: a malformed file is
//! an error that names the file, the line and what was expected there, never a shorter fleet.

mod civil_time;
pub mod cmapss;
pub mod cwru;
pub mod femto;
pub mod fleet_csv;
mod grouped_files;
pub mod matlab;
pub mod nab;
mod named_columns;
pub mod skab;
pub mod wav;
pub mod waveform_csv;

use crate::{
    envelope,
    error::{Error, ErrorKind, Result},
};
use std::path::Path;

/// The largest file that is read: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// The most assets in one file.
pub const MAX_ASSETS: usize = 16_384;

/// The bytes of a file of at most [`MAX_FILE_BYTES`]; its length is looked at before it is read.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
    if metadata.len() > MAX_FILE_BYTES {
        let got = format!("{} bytes", metadata.len());
        return Err(too_large(got).context(path.display()));
    }
    // What has no length beforehand (a pipe, a device) is stopped while reading.
    envelope::read_limited(path, MAX_FILE_BYTES).map_err(|e| match e.kind() {
        ErrorKind::Persistence => too_large("more").context(path.display()),
        _ => e,
    })
}

/// The text of a file of at most [`MAX_FILE_BYTES`].
fn utf8(bytes: &[u8]) -> Result<&str> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(format!("{} bytes", bytes.len())));
    }
    std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        let line = 1 + bytes.iter().take(at).filter(|&&b| b == b'\n').count();
        Error::input("text", "UTF-8", format!("another encoding at byte {at}"))
            .context(format!("line {line}"))
            .with_source(e)
    })
}

fn too_large(got: impl std::fmt::Display) -> Error {
    Error::input("size", format!("at most {MAX_FILE_BYTES} bytes"), got)
}

fn too_many_assets() -> Error {
    Error::input("assets", format!("at most {MAX_ASSETS}"), "more")
}

/// `field` as it may stand in a message: short, in quotes, control characters escaped.
fn shown(field: &str) -> String {
    const MOST: usize = 40;
    let mut text: String = field.chars().take(MOST).flat_map(char::escape_debug).collect();
    if field.chars().nth(MOST).is_some() {
        text.push('…');
    }
    format!("`{text}`")
}
