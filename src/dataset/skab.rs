//! The Skoltech Anomaly Benchmark (SKAB): a pump in a water loop, with faults made by hand.
//!
//! A file `<group>/<n>.csv` is one experiment of some twenty minutes at about one row a second: fields with `;` between
//! them, under a header that names
//!
//! | column | unit | what |
//! |---|---|---|
//! | `datetime` | | instant, read as UTC |
//! | `Accelerometer1RMS`, `Accelerometer2RMS` | g | vibration |
//! | `Current` | A | motor current |
//! | `Pressure` | bar | in the loop behind the pump |
//! | `Temperature` | °C | body of the motor |
//! | `Thermocouple` | °C | water in the loop |
//! | `Voltage` | V | at the motor |
//! | `Volume Flow RateRMS` | L/min | flow in the loop |
//! | `anomaly` | | 1 in rows under a fault, else 0 |
//! | `changepoint` | | 1 in rows about the start and end of a fault, else 0 |
//!
//! The record without a fault (`anomaly-free`) lacks the last two. In the groups `valve1` and `valve2` a valve is
//! closed; `other` holds the remaining faults.
//!
//! Source: Iu. D. Katser, V. O. Kozitsin, "Skoltech Anomaly Benchmark (SKAB)", Kaggle, 2020,
//! [doi:10.34740/KAGGLE/DSV/1693952](https://doi.org/10.34740/KAGGLE/DSV/1693952).

use super::{
    civil_time::instant,
    grouped_files::grouped_csv_files,
    named_columns::{NamedColumns, lines, reading},
    read_file, shown,
};
use crate::{
    error::{Error, Result},
    quantity::LifeUnit,
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use std::path::Path;

/// The columns in the order of [`channels`], between the instant and the labels.
const SENSORS: [(&str, &str); 8] = [
    ("Accelerometer1RMS", "g"),
    ("Accelerometer2RMS", "g"),
    ("Current", "A"),
    ("Pressure", "bar"),
    ("Temperature", "°C"),
    ("Thermocouple", "°C"),
    ("Voltage", "V"),
    ("Volume Flow RateRMS", "L/min"),
];
const COLUMNS: [&str; SENSORS.len() + 3] = {
    let mut names = [""; SENSORS.len() + 3];
    names[0] = "datetime";
    let mut i = 0;
    while i < SENSORS.len() {
        names[i + 1] = SENSORS[i].0;
        i += 1;
    }
    names[ANOMALY] = "anomaly";
    names[CHANGEPOINT] = "changepoint";
    names
};
const ANOMALY: usize = SENSORS.len() + 1;
const CHANGEPOINT: usize = SENSORS.len() + 2;

/// One experiment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SkabRecord {
    /// Group and file, without `.csv`: `valve2/0`. The history has this name too.
    pub name: String,
    /// The readings, in the order of [`channels`]; NaN where a field is empty or `NaN`. Its end of life is unknown.
    pub history: AssetHistory,
    /// Whether each row lies under a fault; `None` where the file has no such column.
    pub anomaly: Option<Vec<bool>>,
    /// Whether each row lies about the start or end of a fault; `None` where the file has no such column.
    pub changepoint: Option<Vec<bool>>,
}

/// The channels of every record: names as in the files, and units.
///
/// ```
/// let channels = prognos::dataset::skab::channels();
/// assert_eq!((channels.len(), channels[3].unit.as_str()), (8, "bar"));
/// ```
pub fn channels() -> Vec<Channel> {
    SENSORS.iter().map(|&(name, unit)| Channel::new(name, unit)).collect()
}

/// Loads every `<group>/<n>.csv` in `dir`, in natural order of groups and numbers.
///
/// ```no_run
/// use prognos::dataset::skab;
/// for record in skab::load("SKAB/data")? {
///     let faulty = record.anomaly.map_or(0, |rows| rows.iter().filter(|&&is| is).count());
///     println!("{}: {faulty} of {} rows under a fault", record.name, record.history.n_rows());
/// }
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`load_file`]; `Io` where a folder cannot be read; `InsufficientData` without a file.
pub fn load(dir: impl AsRef<Path>) -> Result<Vec<SkabRecord>> {
    let files = grouped_csv_files(dir.as_ref())?;
    let named = |(name, path): (String, _)| {
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        load_named(path, stem)
    };
    files.into_iter().map(named).collect()
}

/// Loads one file; its name is the last two parts of the path.
///
/// # Errors
/// `Io` where the file cannot be read, and as [`parse`]. Each names the path.
pub fn load_file(path: impl AsRef<Path>) -> Result<SkabRecord> {
    let path = path.as_ref();
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
    let group = path.parent().and_then(Path::file_name).map(|s| s.to_string_lossy());
    let stem = stem.unwrap_or_default();
    load_named(path, &group.map_or(stem.clone(), |group| format!("{group}/{stem}")))
}

fn load_named(path: impl AsRef<Path>, name: &str) -> Result<SkabRecord> {
    let path = path.as_ref();
    parse(&read_file(path)?, name).map_err(|e| e.context(path.display()))
}

/// Reads the content of a file; the record is called `name`.
///
/// ```
/// let text = "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage;\
///             Volume Flow RateRMS;anomaly;changepoint\n\
///             2020-03-09 15:56:30;0.027;0.039;1.29;0.054;68.6;24.3;241.0;32.0;0.0;0.0\n\
///             2020-03-09 15:56:31;0.027;;1.28;0.382;68.5;24.3;238.7;32.9;1.0;0.0\n";
/// let record = prognos::dataset::skab::parse(text.as_bytes(), "valve2/0")?;
/// assert_eq!((record.history.n_rows(), record.anomaly), (2, Some(vec![false, true])));
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InsufficientData` without a row. `InvalidInput`, naming the line, for text that is not UTF-8, a header without one of
/// the sensors or with other columns than [these](self), a line of another number of columns, an unreadable time or one
/// that does not come after the one before, a reading that is neither a finite number nor missing, a label that is neither
/// 0 nor 1, and more than [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES) bytes.
pub fn parse(bytes: &[u8], name: &str) -> Result<SkabRecord> {
    let mut lines = lines(bytes)?;
    let Some((_, header)) = lines.next() else {
        return Err(Error::insufficient(
            "table",
            "a header and at least 1 row",
            "an empty file",
        ));
    };
    let columns = header_columns(header).map_err(|e| e.context("line 1"))?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let mut labels = [ANOMALY, CHANGEPOINT].map(|column| (column, columns.has(column).then(Vec::new)));
    let mut fields = Vec::new();
    for (number, line) in lines {
        let here = |e: Error| e.context(format!("line {number}"));
        columns.fields(line, &mut fields).map_err(here)?;
        let field = |i: usize| fields.get(i).copied().unwrap_or("");
        let time = instant(field(0)).map_err(here)?;
        if let Some(&last) = times.last()
            && time <= last
        {
            let got = format!("{} after {last}", shown(field(0)));
            return Err(here(Error::input("time", "one after the time before", got)));
        }
        times.push(time);
        for (i, (sensor, _)) in SENSORS.iter().enumerate() {
            let Some(value) = reading(field(i + 1)) else {
                let what = format!("column `{sensor}`");
                let expected = "a finite number, NaN or nothing";
                return Err(here(Error::input(&what, expected, shown(field(i + 1)))));
            };
            values.push(value);
        }
        for (column, rows) in &mut labels {
            let Some(rows) = rows else { continue };
            rows.push(label(*column, field(*column)).map_err(here)?);
        }
    }
    if times.is_empty() {
        return Err(Error::insufficient("table", "at least 1 row below the header", 0));
    }
    let [(_, anomaly), (_, changepoint)] = labels;
    Ok(SkabRecord {
        name: name.to_owned(),
        history: AssetHistory::new(name, times, values, SENSORS.len(), EndOfLife::Unknown)?,
        anomaly,
        changepoint,
    })
}

fn header_columns(header: &str) -> Result<NamedColumns> {
    let columns = NamedColumns::of(header, ';', &COLUMNS)?;
    for (i, name) in COLUMNS.iter().enumerate().take(ANOMALY) {
        if !columns.has(i) {
            return Err(Error::input("header", format!("a column `{name}`"), shown(header)));
        }
    }
    if let Some(other) = columns.others(header).next() {
        let expected = format!("no columns but `{}`", COLUMNS.join(";"));
        return Err(Error::input("header", expected, shown(other)));
    }
    Ok(columns)
}

fn label(column: usize, field: &str) -> Result<bool> {
    match field.parse::<f64>() {
        Ok(0.0) => Ok(false),
        Ok(1.0) => Ok(true),
        _ => {
            let what = format!("column `{}`", COLUMNS.get(column).unwrap_or(&""));
            Err(Error::input(&what, "0 or 1", shown(field)))
        }
    }
}

/// The histories of records as a fleet, one asset an experiment, ages in seconds.
///
/// # Errors
/// `InvalidInput` for two records of one name.
pub fn fleet(records: &[SkabRecord]) -> Result<FleetHistory> {
    let mut fleet = FleetHistory::new(channels(), LifeUnit::Seconds)?;
    for record in records {
        fleet.push(record.history.clone())?;
    }
    Ok(fleet)
}
