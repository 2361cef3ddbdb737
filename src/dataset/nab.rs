//! The Numenta Anomaly Benchmark (NAB): series of one value with labelled windows, as published.
//!
//! A file `<category>/<name>.csv` has the columns `timestamp` and `value`; its anomalies stand in
//! `combined_windows.json`, which maps each file to intervals of time. Two of the series are temperatures of failing
//! machines (`realKnownCause/machine_temperature_system_failure.csv`,
//! `realKnownCause/ambient_temperature_system_failure.csv`); others come from servers, roads, adverts and a generator.
//!
//! Times are read as UTC, though they were not all taken so: where clocks were set back, times repeat or step back. Rows
//! are kept as they stand, and [`NabSeries::history`] gives those whose times increase.
//!
//! What detectors gave for these files is published in the same form, with a column `anomaly_score`: [`load_column`].
//!
//! Source: A. Lavin, S. Ahmad, "Evaluating real-time anomaly detection algorithms - the Numenta Anomaly Benchmark", ICMLA
//! 2015, [doi:10.1109/ICMLA.2015.141](https://doi.org/10.1109/ICMLA.2015.141). [`NabFile`] scores detections on them.

use super::{
    civil_time::instant,
    grouped_files::grouped_csv_files,
    named_columns::{NamedColumns, lines, reading},
    read_file, shown, utf8,
};
use crate::{
    error::{Error, Result},
    evaluate::NabFile,
    quantity::Timestamp,
    signal::{AssetHistory, EndOfLife},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const WINDOWS_FILE: &str = "combined_windows.json";

/// Intervals of time in which anomalies lie, both ends among them, by the name of the series.
pub type NabWindows = BTreeMap<String, Vec<(Timestamp, Timestamp)>>;

/// One series.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NabSeries {
    /// Category and file: `realKnownCause/nyc_taxi.csv`.
    pub name: String,
    /// Instants and values.
    pub column: NabColumn,
    /// Intervals with an anomaly, in order; `None` where no file of windows names this series.
    pub windows: Option<Vec<(Timestamp, Timestamp)>>,
}

/// A column of a file beside its instants.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NabColumn {
    /// Instants of the rows. They may repeat or step back.
    pub times: Vec<Timestamp>,
    /// One value a row; NaN where the field is empty or `NaN`.
    pub values: Vec<f64>,
}

impl NabSeries {
    /// How detections on this series are scored.
    ///
    /// # Errors
    /// `InsufficientData` where its windows are not known, and as [`NabFile::from_times`]. Each names the series.
    pub fn scorer(&self) -> Result<NabFile> {
        let made = match &self.windows {
            Some(windows) => NabFile::from_times(&self.column.times, windows),
            None => Err(Error::insufficient(
                "series",
                format!("windows from {WINDOWS_FILE}"),
                "none",
            )),
        };
        made.map_err(|e| e.context(&self.name))
    }

    /// The rows that come later than all before them, as telemetry of one channel, and where each stands in the file.
    ///
    /// # Errors
    /// `InsufficientData` without a row.
    pub fn history(&self) -> Result<(AssetHistory, Vec<usize>)> {
        let (mut times, mut values, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for (row, (&time, &value)) in self.column.times.iter().zip(&self.column.values).enumerate() {
            if times.last().is_none_or(|&last| time > last) {
                times.push(time);
                values.push(value);
                rows.push(row);
            }
        }
        let history = AssetHistory::new(self.name.clone(), times, values, 1, EndOfLife::Unknown)?;
        Ok((history, rows))
    }
}

/// Loads every `<category>/<name>.csv` in `dir`, or in its folder `data` where there is one, in natural order of
/// categories and names.
///
/// Windows come from the first `combined_windows.json` in the folder of the categories, its folder `labels`, the folder
/// above, and the folder `labels` there. Without one, windows are `None`.
///
/// ```no_run
/// use prognos::dataset::nab;
/// for series in nab::load("NAB/data")? {
///     let windows = series.windows.map_or(0, |windows| windows.len());
///     println!("{}: {} rows, {windows} windows", series.name, series.column.values.len());
/// }
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`load_file`] and [`load_windows`]; `Io` where a folder cannot be read; `InsufficientData` without a file.
pub fn load(dir: impl AsRef<Path>) -> Result<Vec<NabSeries>> {
    let data = dir.as_ref().join("data");
    let dir = if data.is_dir() { &data } else { dir.as_ref() };
    let files = grouped_csv_files(dir)?;
    let mut windows = match windows_file(dir) {
        Some(path) => load_windows(path)?,
        None => NabWindows::new(),
    };
    files
        .into_iter()
        .map(|(name, path)| {
            Ok(NabSeries {
                column: load_file(path)?,
                windows: windows.remove(&name),
                name,
            })
        })
        .collect()
}

fn windows_file(dir: &Path) -> Option<PathBuf> {
    [".", "labels", "..", "../labels"]
        .into_iter()
        .map(|folder| dir.join(folder).join(WINDOWS_FILE))
        .find(|path| path.is_file())
}

/// Loads the column `value` of a file.
///
/// # Errors
/// As [`load_column`].
pub fn load_file(path: impl AsRef<Path>) -> Result<NabColumn> {
    load_column(path, "value")
}

/// Loads a column of a file by its name, such as the `anomaly_score` of a detector's results.
///
/// # Errors
/// `Io` where the file cannot be read, and as [`parse_column`]. Each names the path.
pub fn load_column(path: impl AsRef<Path>, column: &str) -> Result<NabColumn> {
    let path = path.as_ref();
    parse_column(&read_file(path)?, column).map_err(|e| e.context(path.display()))
}

/// Reads a column of the content of a file, and its column `timestamp`. Further columns mean nothing.
///
/// ```
/// use prognos::{dataset::nab, quantity::Timestamp};
/// let text = b"timestamp,value\n1970-01-01 00:05:00,20.5\n1970-01-01 00:10:00,\n";
/// let column = nab::parse_column(text, "value")?;
/// assert_eq!(column.times, [Timestamp::from_secs(300), Timestamp::from_secs(600)]);
/// assert!(column.values[0] == 20.5 && column.values[1].is_nan());
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InsufficientData` without a row. `InvalidInput`, naming the line, for text that is not UTF-8, a header without one of
/// the two columns, a line of another number of columns, a time that is not `2014-04-01 00:05:00` with up to nine
/// decimals, a value that is neither a finite number nor missing, and more than
/// [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES) bytes.
pub fn parse_column(bytes: &[u8], column: &str) -> Result<NabColumn> {
    let mut lines = lines(bytes)?;
    let Some((_, header)) = lines.next() else {
        return Err(Error::insufficient(
            "table",
            "a header and at least 1 row",
            "an empty file",
        ));
    };
    let columns = header_columns(header, column).map_err(|e| e.context("line 1"))?;
    let mut read = NabColumn {
        times: Vec::new(),
        values: Vec::new(),
    };
    let mut fields = Vec::new();
    for (number, line) in lines {
        let here = |e: Error| e.context(format!("line {number}"));
        columns.fields(line, &mut fields).map_err(here)?;
        let [time, value] = fields[..] else { continue };
        read.times.push(instant(time).map_err(here)?);
        let Some(value) = reading(value) else {
            let what = format!("column {}", shown(column));
            return Err(here(Error::input(
                &what,
                "a finite number, NaN or nothing",
                shown(value),
            )));
        };
        read.values.push(value);
    }
    if read.times.is_empty() {
        return Err(Error::insufficient("table", "at least 1 row below the header", 0));
    }
    Ok(read)
}

fn header_columns(header: &str, column: &str) -> Result<NamedColumns> {
    let names = ["timestamp", column];
    let columns = NamedColumns::of(header, ',', &names)?;
    for (i, name) in names.iter().enumerate() {
        if !columns.has(i) {
            return Err(Error::input(
                "header",
                format!("a column {}", shown(name)),
                shown(header),
            ));
        }
    }
    Ok(columns)
}

/// Loads a file of windows (`combined_windows.json`).
///
/// # Errors
/// `Io` where the file cannot be read, and as [`parse_windows`]. Each names the path.
pub fn load_windows(path: impl AsRef<Path>) -> Result<NabWindows> {
    let path = path.as_ref();
    parse_windows(&read_file(path)?).map_err(|e| e.context(path.display()))
}

/// Reads the content of a file of windows: a JSON object of `[start, end]` pairs by series. The pairs of a series are given
/// back in order of time.
///
/// ```
/// use prognos::{dataset::nab, quantity::Timestamp};
/// let text = br#"{"a/b.csv": [["1970-01-01 00:00:01.000000", "1970-01-01 00:00:05.000000"]]}"#;
/// let windows = nab::parse_windows(text)?;
/// assert_eq!(windows["a/b.csv"], [(Timestamp::from_secs(1), Timestamp::from_secs(5))]);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput`, naming the line or the series, for what is no such JSON, a time as in [`parse_column`], an end before
/// its start, and more than [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES) bytes.
pub fn parse_windows(bytes: &[u8]) -> Result<NabWindows> {
    let read: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(utf8(bytes)?).map_err(|e| {
        // Words of the cause may hold any part of the file.
        let (line, column) = (e.line(), e.column());
        let expected = "an object of lists of [start, end] by series";
        let got = format!("something else at column {column} (see the cause)");
        Error::input("windows", expected, got)
            .with_source(e)
            .context(format!("line {line}"))
    })?;
    let mut windows = NabWindows::new();
    for (name, pairs) in read {
        let here = |e: Error| e.context(format!("series {}", shown(&name)));
        let mut series = Vec::with_capacity(pairs.len());
        for [start, end] in &pairs {
            let (from, to) = (instant(start).map_err(here)?, instant(end).map_err(here)?);
            if to < from {
                let got = format!("{} before {}", shown(end), shown(start));
                return Err(here(Error::input("window", "an end at or after its start", got)));
            }
            series.push((from, to));
        }
        series.sort_unstable();
        windows.insert(name, series);
    }
    Ok(windows)
}
