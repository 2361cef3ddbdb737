//! Parquet files.

use crate::{
    envelope,
    error::{Error, Result},
};
use polars::prelude::{
    CloudScheme, DataFrame, LazyFrame, ParquetReader, ParquetWriter, PlRefPath, ScanArgsParquet, SerReader,
};
use std::{
    fs::File,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

/// Writes a frame to `path`, whole or not at all: to a temporary name in the same folder, synced, then renamed.
///
/// The frame is `&mut` because its chunks are aligned first; its content stays as it is. Columns are compressed with
/// Zstandard. The same frame gives the same bytes. Memory: those of the file, beside the frame.
///
/// # Errors
/// `Io`, naming the path; `InvalidInput` for a column that Parquet cannot hold.
pub fn write_parquet(frame: &mut DataFrame, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(frame).map_err(at(path))?;
    envelope::write_atomic(path, &bytes)
}

/// Reads a Parquet file, of this crate or another's.
///
/// Unlike a [model file](crate::envelope), Parquet has no checksum that is looked at: altered bytes may read as other
/// numbers. Polars panics on some altered files; the panic is caught here and becomes an error (where panics unwind, that
/// is, and after the hook of panics has seen it). What cannot be caught is a file made to ask for more memory than there
/// is. Read what you trust.
///
/// # Errors
/// `Io` where the file cannot be read; `InvalidInput` where it is no Parquet file, truncated, altered so that Polars fails
/// or panics, or holds a type this build of Polars does not know. Each names the path.
pub fn read_parquet(path: impl AsRef<Path>) -> Result<DataFrame> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    // Nothing outlives the reader but the frame, so that nothing half-done is seen after a panic.
    match panic::catch_unwind(AssertUnwindSafe(|| ParquetReader::new(file).finish())) {
        Ok(frame) => frame.map_err(at(path)),
        Err(_) => Err(Error::input("Parquet", "a sound file", "one that Polars panics on").context(path.display())),
    }
}

/// A Parquet file, or all that a pattern such as `fleet/*.parquet` names, as a lazy frame: only the schema is read now,
/// and of the rest no more than the query needs when it is collected.
///
/// Files must have the same columns. They are read in the order of their names. As with [`read_parquet`], read what you
/// trust.
///
/// # Errors
/// `InvalidParameter` for a URL or a path that is not UTF-8; `Io` where no file is there; `InvalidInput` for a file that
/// is no Parquet. Each names the path.
pub fn scan_parquet(path: impl AsRef<Path>) -> Result<LazyFrame> {
    let path = path.as_ref();
    let local = path.to_str().filter(|text| CloudScheme::from_path(text).is_none());
    let local = local.ok_or_else(|| Error::parameter("path", "of local files, in UTF-8", path.display()))?;
    let mut frame = LazyFrame::scan_parquet(PlRefPath::new(local), ScanArgsParquet::default()).map_err(at(path))?;
    frame.collect_schema().map_err(at(path))?;
    Ok(frame)
}

fn at<E: Into<Error>>(path: &Path) -> impl Fn(E) -> Error {
    move |e| e.into().context(path.display())
}
