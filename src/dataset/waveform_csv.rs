//! Waveforms in plain text: one line an instant, one column a channel, numbers with a separator between them.
//!
//! ```csv
//! time [s],motor [g],pump [g]
//! 0.0000,0.12,-0.02
//! 0.0001,0.07,
//! 0.0002,NaN,0.04
//! ```
//!
//! - Separators are `,`, `;` or a tab: unless set, the first of tab, `;` and `,` that the first line holds.
//! - The first line is a header where it holds a field that is neither a number nor missing, unless set. Its fields are
//!   `name` or `name [unit]`; without it channels are named `column_1`, `column_2` .. after their columns.
//! - Every line of a file has as many fields as its first. Empty lines at the end mean nothing.
//! - An empty field or `NaN` (in any case) is a missing sample. Blanks and double quotes around a field mean nothing; a
//!   separator within quotes separates all the same.
//! - The rate is given, or found from a column of times, which are then held to it ([`Sampling::Times`]).
//!
//! Time and memory are linear in the file: 8 bytes a sample and channel beside the file.

use super::{read_file, shown, utf8};
use crate::{
    error::{Error, ErrorKind, Result},
    quantity::{Hertz, Seconds, Timestamp},
    signal::{Channel, Recording},
};
use std::path::Path;

/// The most columns of a file.
pub const MAX_COLUMNS: usize = 65_536;
/// The most samples of all channels: 2^26, half a gibibyte of memory.
pub const MAX_SAMPLES: usize = 1 << 26;

/// What stands between two fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Separator {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
}

impl Separator {
    const fn char(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Semicolon => ';',
            Self::Tab => '\t',
        }
    }

    /// That of a line; a comma where there is none.
    fn of(line: &str) -> Self {
        let held = |s: &Self| line.contains(s.char());
        [Self::Tab, Self::Semicolon]
            .into_iter()
            .find(held)
            .unwrap_or(Self::Comma)
    }
}

/// A column, by its name in the header or by its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// The name in the header, without the unit.
    Named(String),
    /// Its place, counted from 1.
    Number(usize),
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::Named(name.into())
    }
}

impl From<String> for Column {
    fn from(name: String) -> Self {
        Self::Named(name)
    }
}

impl From<usize> for Column {
    fn from(number: usize) -> Self {
        Self::Number(number)
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => write!(f, "column {}", shown(name)),
            Self::Number(number) => write!(f, "column {number}"),
        }
    }
}

/// How often samples were taken.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Sampling {
    /// At this rate.
    Rate(Hertz),
    /// At the instants in a column, `n` of them in units of `unit`: the period is `(t[n-1] - t[0]) / (n - 1)`, and every
    /// `t[i]` must lie within `tolerance` periods of `t[0] + i` periods. Where one line of `n` is lost, some instant lies
    /// `1/2 - 1/n` periods off at least, so any tolerance below that finds it.
    Times {
        /// Where the instants are.
        column: Column,
        /// What a time of 1 means.
        unit: Seconds,
        /// Parts of a period, above 0 and below 0.5. Rounded times need half a digit of the last decimal.
        tolerance: f64,
    },
}

impl Sampling {
    /// Times in seconds in `column`, within a twentieth of a period.
    ///
    /// # Errors
    /// None that occur: one second is a unit.
    pub fn seconds_in(column: impl Into<Column>) -> Result<Self> {
        Ok(Self::Times {
            column: column.into(),
            unit: Seconds::new(1.0)?,
            tolerance: 0.05,
        })
    }

    fn check(&self) -> Result<()> {
        match self {
            Self::Times { tolerance, .. } if !(*tolerance > 0.0 && *tolerance < 0.5) => Err(Error::parameter(
                "tolerance",
                "above 0 and below 0.5 of a period",
                tolerance,
            )),
            Self::Times { column, .. } => check_number(column),
            Self::Rate(_) => Ok(()),
        }
    }
}

fn check_number(column: &Column) -> Result<()> {
    match column {
        Column::Number(n) if !(1..=MAX_COLUMNS).contains(n) => {
            Err(Error::parameter("column", format!("1 to {MAX_COLUMNS}"), n))
        }
        _ => Ok(()),
    }
}

/// Settings of a [`WaveformCsv`].
#[derive(Clone, Debug, PartialEq)]
pub struct WaveformCsvParams {
    sampling: Sampling,
    columns: Option<Vec<Column>>,
    separator: Option<Separator>,
    header: Option<bool>,
    skipped_lines: usize,
    decimal_comma: bool,
    unit: String,
    start: Option<Timestamp>,
}

impl WaveformCsvParams {
    /// Which columns are channels, in this order; all but the times unless set.
    #[must_use]
    pub fn columns<C: Into<Column>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// What stands between fields; found unless set.
    #[must_use]
    pub fn separator(mut self, separator: Separator) -> Self {
        self.separator = Some(separator);
        self
    }

    /// Whether the first line (after those skipped) is a header; found unless set.
    #[must_use]
    pub fn header(mut self, header: bool) -> Self {
        self.header = Some(header);
        self
    }

    /// Lines before the first that counts, such as what a logger says of itself; 0 unless set.
    #[must_use]
    pub fn skip_lines(mut self, lines: usize) -> Self {
        self.skipped_lines = lines;
        self
    }

    /// Takes `,` in numbers for the decimal point, as in `0,125`; not unless set. Fields are then not separated by `,`.
    #[must_use]
    pub fn decimal_comma(mut self) -> Self {
        self.decimal_comma = true;
        self
    }

    /// The unit of channels whose header gives none; empty unless set.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// Instant of the first sample. Unless set it is the first time in the file, counted from the epoch, or 0 where there
    /// are no times.
    #[must_use]
    pub fn start(mut self, start: Timestamp) -> Self {
        self.start = Some(start);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `InvalidParameter` for a tolerance that is not above 0 and below 0.5, a column number that is not in
    /// 1..=[`MAX_COLUMNS`], no columns, and a decimal comma between commas.
    pub fn build(self) -> Result<WaveformCsv> {
        self.sampling.check()?;
        if let Some(columns) = &self.columns {
            columns.iter().try_for_each(check_number)?;
            if !(1..=MAX_COLUMNS).contains(&columns.len()) {
                return Err(Error::parameter(
                    "number of columns",
                    format!("1 to {MAX_COLUMNS}"),
                    columns.len(),
                ));
            }
        }
        if self.decimal_comma && self.separator == Some(Separator::Comma) {
            return Err(Error::parameter("separator", "other than the decimal comma", "`,`"));
        }
        Ok(WaveformCsv { params: self })
    }
}

/// Reads waveforms from text of one layout.
///
/// ```
/// use prognos::{dataset::waveform_csv::{Sampling, WaveformCsv}, quantity::Hertz};
/// let text = "time;motor [g];note;pump [g]\n0.00;0.5;1;2\n0.01;;1;3\n0.02;0.7;1;4\n";
/// let reader = WaveformCsv::params(Sampling::seconds_in("time")?).columns(["pump", "motor"]).build()?;
/// let recording = reader.parse(text.as_bytes())?;
/// assert!((recording.rate().get() - 100.0).abs() < 1e-9);
/// assert_eq!(recording.channels()[1].unit, "g");
/// assert_eq!(recording.channel_named("pump"), Some(&[2.0, 3.0, 4.0][..]));
/// assert!(recording.channel_named("motor").unwrap()[1].is_nan());
///
/// let reader = WaveformCsv::params(Sampling::Rate(Hertz::new(100.0)?)).build()?;
/// let e = reader.parse(b"0.5,1\n0.25,x\n").unwrap_err();
/// assert_eq!(e.to_string(), "line 2: column 2: expected a finite number, `NaN` or nothing, got `x`");
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WaveformCsv {
    params: WaveformCsvParams,
}

impl WaveformCsv {
    /// Settings to build one from.
    pub fn params(sampling: Sampling) -> WaveformCsvParams {
        WaveformCsvParams {
            sampling,
            columns: None,
            separator: None,
            header: None,
            skipped_lines: 0,
            decimal_comma: false,
            unit: String::new(),
            start: None,
        }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// `Io` where it cannot be read, and as [`parse`](WaveformCsv::parse). Each names the path.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Recording> {
        let path = path.as_ref();
        self.parse(&read_file(path)?).map_err(|e| e.context(path.display()))
    }

    /// Reads the content of a file; all of it, or nothing.
    ///
    /// # Errors
    /// `InsufficientData` without a line of samples, or with one where the rate is to be found. `InvalidInput`, naming the
    /// line and column, for text that is not UTF-8, a line with another number of fields than the first, a field that is
    /// neither a finite number nor missing, a column that is not there, a time that is missing or uneven, names that are
    /// empty or taken, and more than [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES) bytes, [`MAX_COLUMNS`] columns or [`MAX_SAMPLES`] samples.
    pub fn parse(&self, bytes: &[u8]) -> Result<Recording> {
        let text = utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))?;
        let lines = text.trim_end_matches(['\n', '\r']).lines().enumerate();
        let mut lines = lines
            .map(|(i, line)| (i + 1, line))
            .skip(self.params.skipped_lines)
            .peekable();
        let Some(&(mut first_row, first)) = lines.peek() else {
            return Err(Error::insufficient("waveform", "at least 1 line of samples", "none"));
        };
        let layout = self.layout(first).map_err(|e| e.context(format!("line {first_row}")))?;
        if layout.has_header {
            lines.next();
            first_row += 1;
        }
        let mut rows = Rows {
            samples: vec![Vec::new(); layout.channels.len()],
            times: Vec::new(),
            n_left: MAX_SAMPLES,
        };
        for (number, line) in lines {
            let pushed = rows.push(line, &layout);
            pushed.map_err(|e| e.context(format!("line {number}")))?;
        }
        let (rate, first_time) = match &self.params.sampling {
            Sampling::Rate(rate) => (*rate, None),
            Sampling::Times {
                column,
                unit,
                tolerance,
            } => {
                let (rate, start) = rate_of(&rows.times, *unit, *tolerance)
                    .map_err(|(i, e)| e.context(format!("line {}, {column}", first_row + i)))?;
                (rate, Some(start))
            }
        };
        let start = self.params.start.or(first_time).unwrap_or_default();
        Recording::new(layout.channels, rate, start, rows.samples)
    }

    /// What the fields of every line are, from the first line.
    fn layout(&self, line: &str) -> Result<Layout> {
        let params = &self.params;
        let separator = params.separator.unwrap_or_else(|| match Separator::of(line) {
            Separator::Comma if params.decimal_comma => Separator::Semicolon,
            found => found,
        });
        let fields: Vec<&str> = fields_of(line, separator).take(MAX_COLUMNS + 1).collect();
        if fields.len() > MAX_COLUMNS {
            return Err(Error::input("columns", format!("at most {MAX_COLUMNS}"), "more"));
        }
        let is_number = |field: &&str| number_in(field, params.decimal_comma).is_some();
        let has_header = params.header.unwrap_or_else(|| !fields.iter().all(is_number));
        let names: Option<Vec<Channel>> = has_header.then(|| fields.iter().map(|f| self.channel(f)).collect());
        let place = |column: &Column| place_of(column, fields.len(), names.as_deref());

        let time = match &params.sampling {
            Sampling::Times { column, .. } => Some(place(column)?),
            Sampling::Rate(_) => None,
        };
        let chosen = match &params.columns {
            Some(columns) => columns.iter().map(place).collect::<Result<Vec<_>>>()?,
            None => (0..fields.len()).filter(|&i| Some(i) != time).collect(),
        };
        let named = |&i: &usize| match names.as_ref().and_then(|names| names.get(i)) {
            Some(channel) => channel.clone(),
            None => Channel::new(format!("column_{}", i + 1), &params.unit),
        };
        let mut roles = vec![Vec::new(); fields.len()];
        for (channel, &i) in chosen.iter().enumerate() {
            if let Some(roles) = roles.get_mut(i) {
                roles.push(channel);
            }
        }
        Ok(Layout {
            separator,
            decimal_comma: params.decimal_comma,
            has_header,
            time,
            channels: chosen.iter().map(named).collect(),
            roles,
        })
    }

    /// `name [unit]`, or `name`.
    fn channel(&self, field: &str) -> Channel {
        match field.strip_suffix(']').and_then(|f| f.rsplit_once('[')) {
            Some((name, unit)) if !name.trim().is_empty() => Channel::new(name.trim(), unit.trim()),
            _ => Channel::new(field, &self.params.unit),
        }
    }
}

/// Index of a column among `n`.
fn place_of(column: &Column, n: usize, names: Option<&[Channel]>) -> Result<usize> {
    let found = match column {
        Column::Number(number) => number.checked_sub(1).filter(|&i| i < n),
        Column::Named(name) => {
            let mut places = names.into_iter().flatten().enumerate().filter(|(_, c)| c.name == *name);
            let place = places.next();
            if places.next().is_some() {
                return Err(Error::input(&column.to_string(), "one of that name", "more"));
            }
            place.map(|(i, _)| i)
        }
    };
    found.ok_or_else(|| {
        let got = match names {
            Some(names) => names
                .iter()
                .take(8)
                .map(|c| shown(&c.name))
                .collect::<Vec<_>>()
                .join(", "),
            None => format!("{n} columns without names"),
        };
        Error::input(&column.to_string(), "to be there", got)
    })
}

/// What the fields of a line are.
struct Layout {
    separator: Separator,
    decimal_comma: bool,
    has_header: bool,
    /// Index of the column of times.
    time: Option<usize>,
    channels: Vec<Channel>,
    /// For each column, which channels it is.
    roles: Vec<Vec<usize>>,
}

/// The samples of each channel so far, and the times.
struct Rows {
    samples: Vec<Vec<f64>>,
    times: Vec<f64>,
    n_left: usize,
}

impl Rows {
    fn push(&mut self, line: &str, layout: &Layout) -> Result<()> {
        let n_values = self.samples.len() + usize::from(layout.time.is_some());
        self.n_left = (self.n_left.checked_sub(n_values))
            .ok_or_else(|| Error::input("samples of all channels", format!("at most {MAX_SAMPLES}"), "more"))?;
        let mut fields = fields_of(line, layout.separator);
        for (i, roles) in layout.roles.iter().enumerate() {
            let Some(field) = fields.next() else {
                return Err(wrong_count(line, layout));
            };
            let is_time = layout.time == Some(i);
            if roles.is_empty() && !is_time {
                continue; // a column that nobody asked for may hold anything
            }
            let Some(value) = number_in(field, layout.decimal_comma) else {
                let e = Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "column {}: expected a finite number, `NaN` or nothing, got {}",
                        i + 1,
                        shown(field)
                    ),
                );
                return Err(if fields_of(line, layout.separator).count() == layout.roles.len() {
                    e
                } else {
                    wrong_count(line, layout)
                });
            };
            if is_time {
                self.times.push(value);
            }
            for &channel in roles {
                if let Some(samples) = self.samples.get_mut(channel) {
                    samples.push(value);
                }
            }
        }
        match fields.next() {
            None => Ok(()),
            Some(_) => Err(wrong_count(line, layout)),
        }
    }
}

fn wrong_count(line: &str, layout: &Layout) -> Error {
    let got = fields_of(line, layout.separator).count();
    Error::input("fields", format!("{}, as in the first line", layout.roles.len()), got)
}

fn fields_of(line: &str, separator: Separator) -> impl Iterator<Item = &str> {
    line.split(separator.char()).map(bare)
}

/// A field without the blanks and quotes around it.
fn bare(field: &str) -> &str {
    let field = field.trim();
    let inside = field.strip_prefix('"').and_then(|f| f.strip_suffix('"'));
    inside.map_or(field, str::trim)
}

/// The number in a field; NaN where it is missing.
fn number_in(field: &str, decimal_comma: bool) -> Option<f64> {
    if field.is_empty() {
        return Some(f64::NAN);
    }
    let number = match decimal_comma && field.contains(',') {
        true => field.replacen(',', ".", 1).parse(),
        false => field.parse(),
    };
    number.ok().filter(|x: &f64| !x.is_infinite())
}

/// The rate of times that are even, and the first of them; or which time is not.
fn rate_of(times: &[f64], unit: Seconds, tolerance: f64) -> Result<(Hertz, Timestamp), (usize, Error)> {
    let too_few = || Error::insufficient("times", "at least 2 lines of samples, to find the rate", times.len());
    let (Some((&first, rest)), Some(&last)) = (times.split_first(), times.last()) else {
        return Err((0, too_few()));
    };
    if rest.is_empty() {
        return Err((0, too_few()));
    }
    if let Some(i) = times.iter().position(|t| t.is_nan()) {
        return Err((i, Error::input("time", "a number", "none")));
    }
    let end = times.len() - 1;
    let period = (last - first) / end as f64;
    let rate = Hertz::new(1.0 / (period * unit.get())).map_err(|_| {
        (
            end,
            Error::input("time", format!("after {first}, that of the first line"), last),
        )
    })?;
    for (i, &t) in times.iter().enumerate() {
        let even = first + i as f64 * period;
        if (t - even).abs() <= tolerance * period {
            continue;
        }
        let expected = format!("{even} within {tolerance} of the period {period}");
        let got = format!(
            "{t} (uneven: read the times as a channel, at any rate, and make even by `prognos::signal::EvenGrid`)"
        );
        return Err((i, Error::input("time", expected, got)));
    }
    let nanos = first * unit.get() * 1e9;
    if nanos.abs() >= i64::MAX as f64 {
        return Err((0, Error::input("time", "in the years 1677 to 2262", first)));
    }
    Ok((rate, Timestamp::from_nanos(nanos.round() as i64)))
}
