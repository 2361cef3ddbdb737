//! The table in which this crate ships and exchanges fleets: one CSV file, one row a reading.
//!
//! ```csv
//! asset,time [cycles],rul [cycles],temperature [°C],vibration [g],load
//! pump 1,1,2,60.5,0.12,0.8
//! pump 1,2,1,61,,0.8
//! pump 1,3,0,64.25,0.31,0.7
//! pump 2,1,,59.5,0.11,0.9
//! ```
//!
//! - `asset`: name; the rows of an asset stand together, in the order of time.
//! - `time [cycles]` or `time [s]`: the instant in cycles, or in seconds since the Unix epoch, with up to nine decimals:
//!   exact to the nanosecond. `[s]` goes with every life unit but cycles.
//! - `rul [cycles]`, `[s]`, `[h]` or `[days]`: life left at this row, in the unit of the fleet; empty where the end is
//!   not known. It falls by the time that passes from row to row, so that any leading part of the table is a table.
//! - One column a channel, `name [unit]`, or `name` for a pure number. An empty field or `NaN` is a missing reading.
//!
//! What is written is read back the same to the last bit, but for two spellings of the same thing:
//! [`FailedAfter(0)`](EndOfLife::FailedAfter) comes back as [`Failed`](EndOfLife::Failed), and every NaN as the same NaN.
//! Equal fleets give equal bytes.
//!
//! ```
//! use prognos::{dataset::fleet_csv, quantity::LifeUnit, signal::EndOfLife};
//! let text = "asset,time [cycles],rul [cycles],temperature [°C]\npump,7,31,60.5\npump,8,30,\n";
//! let fleet = fleet_csv::read_fleet_from(text.as_bytes())?;
//! assert_eq!((fleet.life_unit(), fleet.channels()[0].unit.as_str()), (LifeUnit::Cycles, "°C"));
//! assert_eq!(fleet.assets()[0].end(), EndOfLife::FailedAfter(30.0));
//! let mut back = Vec::new();
//! fleet_csv::write_fleet_to(&mut back, &fleet)?;
//! assert_eq!(back, text.as_bytes());
//! # Ok::<(), prognos::Error>(())
//! ```

use super::{MAX_ASSETS, MAX_FILE_BYTES, read_file, shown, too_large, too_many_assets};
use crate::{
    envelope,
    error::{Error, ErrorKind, Result},
    quantity::{LifeUnit, Timestamp},
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use std::{
    collections::HashSet,
    fmt::Write as _,
    io::{Read, Write},
    path::Path,
};

/// Columns before the channels.
const N_KEYS: usize = 3;
/// The most channels in one file.
pub const MAX_CHANNELS: usize = 65_535;
/// The most readings in one file: 2^26, half a gibibyte of memory.
pub const MAX_READINGS: usize = 1 << 26;

/// The most commas in a line, quoted ones among them.
const MAX_COMMAS: usize = 1 << 20;
const LIFE_UNITS: [LifeUnit; 4] = [LifeUnit::Cycles, LifeUnit::Seconds, LifeUnit::Hours, LifeUnit::Days];

/// Writes `fleet` to `path`, whole or not at all.
///
/// # Errors
/// `Io`, naming the path, and as [`write_fleet_to`].
pub fn write_fleet(path: impl AsRef<Path>, fleet: &FleetHistory) -> Result<()> {
    let mut bytes = Vec::new();
    write_fleet_to(&mut bytes, fleet)?;
    envelope::write_atomic(path.as_ref(), &bytes)
}

/// Writes `fleet` as a table.
///
/// # Errors
/// `InsufficientData` for a fleet without assets. `InvalidInput` for more channels, readings or assets than
/// [`read_fleet_from`] takes, and for a channel whose name and unit could not be told apart again (the name ends in
/// `]` and the unit is empty, or the unit holds ` [`). `Io` where the writer fails.
pub fn write_fleet_to(writer: impl Write, fleet: &FleetHistory) -> Result<()> {
    if fleet.assets().is_empty() {
        return Err(Error::insufficient("fleet", "at least 1 asset", 0));
    }
    expect_at_most("channels", MAX_CHANNELS, fleet.channels().len())?;
    expect_at_most("assets", MAX_ASSETS, fleet.assets().len())?;
    let n_readings = fleet.n_rows().saturating_mul(fleet.channels().len());
    expect_at_most("readings", MAX_READINGS, n_readings)?;

    let failed = |e: csv::Error| Error::new(ErrorKind::Io, format!("cannot write the fleet: {e}")).with_source(e);
    let mut csv = csv::Writer::from_writer(writer);
    let unit = fleet.life_unit();
    let mut header = vec![
        "asset".to_owned(),
        format!("time [{}]", time_unit(unit)),
        format!("rul [{unit}]"),
    ];
    for channel in fleet.channels() {
        header.push(channel_to_header(channel)?);
    }
    csv.write_record(&header).map_err(failed)?;

    let mut field = String::new();
    for asset in fleet.assets() {
        let rul = asset.rul(unit);
        for (i, (time, readings)) in asset.rows().enumerate() {
            csv.write_field(asset.asset()).map_err(failed)?;
            write_time(&mut field, time);
            csv.write_field(&field).map_err(failed)?;
            let left = rul.as_ref().and_then(|rul| rul.get(i)).copied();
            for &value in left.iter().chain(left.is_none().then_some(&f64::NAN)).chain(readings) {
                write_number(&mut field, value);
                csv.write_field(&field).map_err(failed)?;
            }
            csv.write_record(None::<&[u8]>).map_err(failed)?;
        }
    }
    csv.flush()
        .map_err(|e| Error::new(ErrorKind::Io, format!("cannot write the fleet: {e}")).with_source(e))
}

/// Reads the table at `path`.
///
/// # Errors
/// `Io` where the file cannot be read, and as [`read_fleet_from`]. Each names the path.
pub fn read_fleet(path: impl AsRef<Path>) -> Result<FleetHistory> {
    let path = path.as_ref();
    parse(&read_file(path)?).map_err(|e| e.context(path.display()))
}

/// Reads a table; all of it, or nothing.
///
/// # Errors
/// `Io` where the reader fails. `InsufficientData` without a row. `InvalidInput`, naming the line and column, for a header
/// that is not as described [above](self), text that is not UTF-8, a row with another number of fields than the header,
/// an unreadable number, a time of more than nine decimals or beyond the range of [`Timestamp`], times of an asset that
/// do not increase, rows of an asset that are not together, remaining lives that are negative or do not fall with time,
/// and for more than [`MAX_FILE_BYTES`] bytes, [`MAX_CHANNELS`] channels, [`MAX_READINGS`] readings or
/// [`MAX_ASSETS`] assets.
pub fn read_fleet_from(reader: impl Read) -> Result<FleetHistory> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::new(ErrorKind::Io, format!("cannot read the fleet: {e}")).with_source(e))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large("more"));
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<FleetHistory> {
    // Fields cost more memory than their bytes: a line that is all commas is refused before it is taken apart.
    for (i, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let n = line.iter().filter(|&&b| b == b',').count();
        expect_at_most("commas", MAX_COMMAS, n).map_err(|e| e.context(format!("line {}", i + 1)))?;
    }
    let mut csv = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    let mut record = csv::StringRecord::new();
    let mut next = |record: &mut csv::StringRecord| -> Result<Option<u64>> {
        let start = csv.position().byte();
        match csv.read_record(record) {
            Ok(true) => Ok(Some(start)),
            Ok(false) => Ok(None),
            Err(e) => {
                let at = e.position().map_or(start, csv::Position::byte);
                let got = match e.kind() {
                    csv::ErrorKind::Utf8 { err, .. } => format!("another encoding in column {}", err.field() + 1),
                    _ => e.to_string(),
                };
                Err(Error::input("text", "UTF-8", got)
                    .with_source(e)
                    .context(line_at(bytes, at)))
            }
        }
    };

    let Some(at) = next(&mut record)? else {
        return Err(Error::insufficient(
            "table",
            "a header and at least 1 row",
            "an empty file",
        ));
    };
    let header = Header::parse(&record).map_err(|e| e.context(line_at(bytes, at)))?;
    let n_channels = header.channels.len();
    let mut fleet =
        FleetHistory::new(header.channels.clone(), header.life_unit).map_err(|e| e.context(line_at(bytes, at)))?;

    let mut n_readings = 0;
    let mut seen = HashSet::new();
    let mut asset: Option<OpenAsset> = None;
    while let Some(at) = next(&mut record)? {
        let here = |e: Error| e.context(line_at(bytes, at));
        n_readings += n_channels;
        expect_at_most("readings", MAX_READINGS, n_readings).map_err(here)?;
        let row = header.row(&record).map_err(here)?;
        if let Some(open) = asset.as_mut()
            && open.name == row.asset
        {
            open.push(&row, &record, &header).map_err(here)?;
            continue;
        }
        if !seen.insert(row.asset.to_owned()) {
            let got = format!("{} again after another", shown(row.asset));
            return Err(here(Error::input("assets", "all rows of an asset together", got)));
        }
        if seen.len() > MAX_ASSETS {
            return Err(here(too_many_assets()));
        }
        if let Some(done) = asset.take() {
            fleet.push(done.close(bytes, &header)?)?;
        }
        let mut open = OpenAsset::new(row.asset, at);
        open.push(&row, &record, &header).map_err(here)?;
        asset = Some(open);
    }
    let Some(done) = asset else {
        return Err(Error::insufficient("table", "at least 1 row below the header", 0));
    };
    fleet.push(done.close(bytes, &header)?)?;
    Ok(fleet)
}

struct Header {
    life_unit: LifeUnit,
    channels: Vec<Channel>,
}

/// The first three fields of a row.
struct RowKeys<'a> {
    asset: &'a str,
    time: Timestamp,
    rul: Option<f64>,
}

impl Header {
    fn parse(record: &csv::StringRecord) -> Result<Self> {
        let mut fields = record.iter();
        let mut column = |number: usize, expected: &str, fits: &dyn Fn(&str) -> bool| match fields.next() {
            Some(field) if fits(field) => Ok(()),
            field => {
                let got = field.map_or("nothing".into(), shown);
                Err(Error::input(&format!("header column {number}"), expected, got))
            }
        };
        column(1, "`asset`", &|f| f == "asset")?;
        column(2, "`time [cycles]` or `time [s]`", &|f| {
            f == "time [cycles]" || f == "time [s]"
        })?;
        let life_unit_of = |f: &str| LIFE_UNITS.into_iter().find(|unit| f == format!("rul [{unit}]"));
        column(3, "`rul [cycles]`, `rul [s]`, `rul [h]` or `rul [days]`", &|f| {
            life_unit_of(f).is_some()
        })?;
        let life_unit = record.get(2).and_then(life_unit_of).unwrap_or(LifeUnit::Cycles);
        let time = format!("time [{}]", time_unit(life_unit));
        if record.get(1) != Some(time.as_str()) {
            let expected = format!("`{time}` before `rul [{life_unit}]`");
            return Err(Error::input(
                "header column 2",
                expected,
                shown(record.get(1).unwrap_or("")),
            ));
        }
        let n_channels = record.len() - N_KEYS;
        if n_channels == 0 {
            return Err(Error::input("header", "at least 1 channel behind `rul`", 0));
        }
        expect_at_most("channels", MAX_CHANNELS, n_channels)?;
        Ok(Self {
            life_unit,
            channels: record.iter().skip(N_KEYS).map(channel_from_header).collect(),
        })
    }

    fn row<'r>(&self, record: &'r csv::StringRecord) -> Result<RowKeys<'r>> {
        let n_columns = N_KEYS + self.channels.len();
        let (true, Some(asset), Some(time), Some(rul)) =
            (record.len() == n_columns, record.get(0), record.get(1), record.get(2))
        else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("expected {n_columns} columns as in the header, got {}", record.len()),
            ));
        };
        let time = read_time(time)?;
        let rul = match rul {
            "" => None,
            text => match text.parse::<f64>() {
                Ok(x) if x.is_finite() && x >= 0.0 => Some(x),
                _ => {
                    let expected = "empty or a finite number, not negative";
                    return Err(Error::input("column 3 (rul)", expected, shown(text)));
                }
            },
        };
        Ok(RowKeys { asset, time, rul })
    }

    fn reading(&self, index: usize, field: &str) -> Result<f64> {
        if field.is_empty() {
            return Ok(f64::NAN);
        }
        match field.parse::<f64>() {
            Ok(x) if x.is_nan() => Ok(f64::NAN),
            // A number too large for its type reads as infinite; only the word itself means infinity.
            Ok(x) if x.is_finite() || !field.bytes().any(|b| b.is_ascii_digit()) => Ok(x),
            _ => {
                let name = self.channels.get(index).map_or("", |c| c.name.as_str());
                let column = format!("column {} ({})", N_KEYS + index + 1, shown(name));
                Err(Error::input(&column, "a number or nothing", shown(field)))
            }
        }
    }
}

/// The asset whose rows are being read.
struct OpenAsset {
    name: String,
    first_byte: u64,
    times: Vec<Timestamp>,
    ruls: Vec<Option<f64>>,
    values: Vec<f64>,
}

impl OpenAsset {
    fn new(name: &str, first_byte: u64) -> Self {
        Self {
            name: name.to_owned(),
            first_byte,
            times: Vec::new(),
            ruls: Vec::new(),
            values: Vec::new(),
        }
    }

    fn push(&mut self, row: &RowKeys<'_>, record: &csv::StringRecord, header: &Header) -> Result<()> {
        if let (Some(&time), Some(&rul)) = (self.times.last(), self.ruls.last()) {
            if row.time <= time {
                let got = format!("{} after {time}", row.time);
                return Err(Error::input("column 2 (time)", "above the one before", got));
            }
            let passed = header.life_unit.between(time, row.time);
            let expected = rul.map(|rul| rul - passed);
            if !agree(expected, row.rul, rul.unwrap_or(0.0).max(passed)) {
                let show = |rul: Option<f64>| rul.map_or("nothing".into(), |r| r.to_string());
                let expected = match expected {
                    Some(_) => format!("{}, {passed} below the row before", show(expected)),
                    None => "nothing, as in the row before".into(),
                };
                return Err(Error::input("column 3 (rul)", expected, show(row.rul)));
            }
        }
        self.times.push(row.time);
        self.ruls.push(row.rul);
        for (i, field) in record.iter().skip(N_KEYS).enumerate() {
            self.values.push(header.reading(i, field)?);
        }
        Ok(())
    }

    fn close(self, bytes: &[u8], header: &Header) -> Result<AssetHistory> {
        let end = match self.ruls.last().copied().flatten() {
            None => EndOfLife::Unknown,
            Some(0.0) => EndOfLife::Failed,
            Some(rest) => EndOfLife::FailedAfter(rest),
        };
        AssetHistory::new(self.name, self.times, self.values, header.channels.len(), end)
            .map_err(|e| e.context(line_at(bytes, self.first_byte)))
    }
}

/// Whether a remaining life is the expected one, but for rounding of numbers as large as `scale`.
fn agree(expected: Option<f64>, got: Option<f64>, scale: f64) -> bool {
    match (expected, got) {
        (None, None) => true,
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * scale.max(1.0),
        _ => false,
    }
}

fn expect_at_most(what: &str, limit: usize, got: usize) -> Result<()> {
    if got <= limit {
        Ok(())
    } else {
        Err(Error::input(what, format!("at most {limit}"), got))
    }
}

/// `line N`, of the first byte at or behind `at` that does not end a line.
fn line_at(bytes: &[u8], at: u64) -> String {
    let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let (before, rest) = bytes.split_at(at);
    let ends = rest.iter().take_while(|&&b| b == b'\n' || b == b'\r').count();
    let breaks = |bytes: &[u8]| bytes.iter().filter(|&&b| b == b'\n').count();
    format!(
        "line {}",
        1 + breaks(before) + breaks(rest.get(..ends).unwrap_or_default())
    )
}

fn time_unit(life_unit: LifeUnit) -> &'static str {
    match life_unit {
        LifeUnit::Cycles => LifeUnit::Cycles.name(),
        LifeUnit::Seconds | LifeUnit::Hours | LifeUnit::Days => LifeUnit::Seconds.name(),
    }
}

fn channel_from_header(field: &str) -> Channel {
    match field.strip_suffix(']').and_then(|f| f.rsplit_once(" [")) {
        Some((name, unit)) => Channel::new(name, unit),
        None => Channel::new(field, ""),
    }
}

fn channel_to_header(channel: &Channel) -> Result<String> {
    let header = match channel.unit.as_str() {
        "" => channel.name.clone(),
        unit => format!("{} [{unit}]", channel.name),
    };
    if channel_from_header(&header) == *channel {
        Ok(header)
    } else {
        let got = format!("{} with unit {}", shown(&channel.name), shown(&channel.unit));
        Err(Error::input(
            "channel",
            "a name and unit that `name [unit]` tells apart",
            got,
        ))
    }
}

/// Whole seconds (or cycles) with as many decimals as the nanoseconds need.
fn write_time(out: &mut String, time: Timestamp) {
    out.clear();
    let (sign, nanos) = (if time.nanos() < 0 { "-" } else { "" }, time.nanos().unsigned_abs());
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let _ = write!(out, "{sign}{whole}"); // writing to a String cannot fail
    if rest != 0 {
        let _ = write!(out, ".{rest:09}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

fn read_time(field: &str) -> Result<Timestamp> {
    let nanos = || -> Option<i64> {
        let (negative, digits) = match field.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, field),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !(all_digits(whole) && all_digits(decimals) && decimals.len() <= 9) {
            return None;
        }
        let rest = format!("{decimals:0<9}").parse::<i128>().ok()?;
        let nanos = i128::from(whole.parse::<u64>().ok()?) * 1_000_000_000 + rest;
        i64::try_from(if negative { -nanos } else { nanos }).ok()
    };
    nanos().map(Timestamp::from_nanos).ok_or_else(|| {
        let expected =
            "a decimal number with at most 9 decimals between -9223372036.854775808 and 9223372036.854775807";
        Error::input("column 2 (time)", expected, shown(field))
    })
}

/// The shortest decimal that reads back the same; nothing for NaN.
fn write_number(out: &mut String, value: f64) {
    out.clear();
    if value.is_nan() {
        return;
    }
    let size = value.abs();
    let plain = size == 0.0 || size.is_infinite() || (1e-5..1e16).contains(&size);
    let _ = if plain {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    }; // cannot fail
}
