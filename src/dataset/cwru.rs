//! Case Western Reserve University bearing rig: seeded faults in the MATLAB files the university publishes.
//!
//! A 2 hp motor turned a shaft on bearings into which pits were eroded: in the inner race, in a ball, or in the outer
//! race at 3, 6 or 12 o'clock. Accelerometers stood at the drive end, the fan end and on the base plate. A file holds
//!
//! | variable | channel | unit | what |
//! |---|---|---|---|
//! | `Xnnn_DE_time` | `DE` | g | drive end |
//! | `Xnnn_FE_time` | `FE` | g | fan end |
//! | `Xnnn_BA_time` | `BA` | g | base plate |
//! | `XnnnRPM` | | rpm | shaft speed |
//!
//! with `nnn` the number of the record. Files do not say at which rate they were sampled: 12 kHz or 48 kHz, by the folder
//! they are published in. The records without a fault are commonly passed on as 12 kHz, but were sampled at 48 kHz: only
//! then do the shaft's harmonics fall on multiples of its 29.9 Hz.
//!
//! Not every file is complete or tidy, and the loader takes them as they are:
//! - Some lack channels or the speed: what is there is loaded, [`CwruRecord::rpm`] is `None`.
//! - Some hold variables of two records (`99.mat` those of 98 too): the one that the file is named after is loaded.
//! - Some are named after neither (`3001.mat` holds record 56): then the most complete is loaded, which is the one with the
//!   most channels, then the one with a speed, then the one of the lowest number. [`CwruRecord::number`] says which.
//!
//! The bearing at the drive end is an SKF 6205-2RS JEM.
//!
//! Source: Case Western Reserve University, [Bearing Data Center](https://engineering.case.edu/bearingdatacenter); on what
//! to trust in which record: W. A. Smith, R. B. Randall, "Rolling element bearing diagnostics using the Case Western
//! Reserve University data: A benchmark study", Mechanical Systems and Signal Processing 64-65, 2015,
//! [doi:10.1016/j.ymssp.2015.04.021](https://doi.org/10.1016/j.ymssp.2015.04.021).

use super::{
    matlab::{MatArray, MatFile},
    read_file, shown,
};
use crate::{
    error::{Error, ErrorKind, Result},
    quantity::{Hertz, Timestamp},
    signal::{Channel, Recording},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    fmt,
    path::{Component, Path, PathBuf},
    str::FromStr,
};

const CHANNELS: [&str; 3] = ["DE", "FE", "BA"];

/// One record: waveforms of an accelerometer or more, and the speed of the shaft where the file gives it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CwruRecord {
    /// The channels that the file holds of `DE`, `FE`, `BA`, in this order, in g, from instant 0 on.
    pub recording: Recording,
    /// Shaft speed in revolutions a minute; `None` where the file holds no finite one above zero. See [`nominal_rpm`].
    pub rpm: Option<f64>,
    /// Number of the record, as in the names of the variables (not always that of the file).
    pub number: u32,
}

impl CwruRecord {
    /// Turns of the shaft a second, where the file gives them.
    pub fn shaft_rate(&self) -> Option<Hertz> {
        Hertz::from_rpm(self.rpm?).ok()
    }
}

/// The speed at a motor load of 0, 1, 2 or 3 hp as the university lists it: 1797, 1772, 1750, 1730 rpm. The speeds in the
/// files lie within a percent of it.
///
/// ```
/// use prognos::dataset::cwru::nominal_rpm;
/// assert_eq!((nominal_rpm(1), nominal_rpm(4)), (Some(1772.0), None));
/// ```
pub fn nominal_rpm(load_hp: u32) -> Option<f64> {
    match load_hp {
        0 => Some(1797.0),
        1 => Some(1772.0),
        2 => Some(1750.0),
        3 => Some(1730.0),
        _ => None,
    }
}

/// Loads a record that was sampled at `rate`.
///
/// ```no_run
/// use prognos::{dataset::cwru, quantity::Hertz};
/// let record = cwru::load("12k_drive_end/105.mat", Hertz::new(12_000.0)?)?;
/// assert_eq!((record.number, record.rpm), (105, Some(1797.0)));
/// let drive_end = record.recording.channel_named("DE").unwrap();
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `Io` where the file cannot be read; `InvalidInput` where it is no MATLAB 5 file ([`MatFile::read`]), a channel is not
/// one row or column of real numbers, or channels of the record differ in length; `InsufficientData` without a channel or
/// a sample. Each names the path.
pub fn load(path: impl AsRef<Path>, rate: Hertz) -> Result<CwruRecord> {
    let path = path.as_ref();
    let named = path.file_stem().and_then(|s| s.to_str()?.parse().ok());
    record_in(&MatFile::read(path)?, named, rate).map_err(|e| e.context(path.display()))
}

/// The record in a file that was read already; `named` is the number that the file is named after.
///
/// # Errors
/// As [`load`], but for `Io`.
pub fn record_in(file: &MatFile, named: Option<u32>, rate: Hertz) -> Result<CwruRecord> {
    let mut records: BTreeMap<u32, Found<'_>> = BTreeMap::new();
    for array in file.arrays() {
        let Some((number, part)) = part_of(array.name()) else {
            continue;
        };
        let found = records.entry(number).or_default();
        match CHANNELS.iter().position(|&c| c == part) {
            // An index found in a table of that length; two spellings of one number (`X97`, `X097`) are two variables.
            Some(i) => match found.channels.get_mut(i) {
                Some(slot @ None) => *slot = Some(array),
                _ => return Err(Error::input("channels", "each once", shown(array.name()))),
            },
            None => found.rpm = array.scalar().filter(|rpm| rpm.is_finite() && *rpm > 0.0),
        }
    }
    records.retain(|_, r| r.n_channels() > 0);
    let most_complete = || {
        records
            .iter()
            .max_by_key(|(n, r)| (r.n_channels(), r.rpm.is_some(), Reverse(**n)))
    };
    let own = named.and_then(|n| records.get_key_value(&n));
    let Some((&number, found)) = own.or_else(most_complete) else {
        let got = file.names().take(4).map(shown).collect::<Vec<_>>().join(", ");
        let got = if got.is_empty() {
            "no numeric variable".to_owned()
        } else {
            got
        };
        return Err(Error::insufficient("record", "a variable such as `X105_DE_time`", got));
    };
    Ok(CwruRecord {
        recording: found.recording(rate)?,
        rpm: found.rpm,
        number,
    })
}

/// What a file holds of one record, in the order of [`CHANNELS`].
#[derive(Default)]
struct Found<'a> {
    channels: [Option<&'a MatArray>; CHANNELS.len()],
    rpm: Option<f64>,
}

impl Found<'_> {
    fn n_channels(&self) -> usize {
        self.channels.iter().flatten().count()
    }

    fn recording(&self, rate: Hertz) -> Result<Recording> {
        let (mut channels, mut samples) = (Vec::new(), Vec::new());
        for (name, array) in CHANNELS.iter().zip(&self.channels) {
            let Some(array) = array else { continue };
            let Some(values) = array.vector() else {
                let got = format!("{:?} of class {}", array.shape(), array.class());
                return Err(Error::input(
                    &shown(array.name()),
                    "one row or column of real numbers",
                    got,
                ));
            };
            channels.push(Channel::new(*name, "g"));
            samples.push(values.to_vec());
        }
        Recording::new(channels, rate, Timestamp::default(), samples)
    }
}

/// Number and part of a variable: `X105_DE_time` is (105, `DE`), `X105RPM` is (105, `RPM`).
fn part_of(name: &str) -> Option<(u32, &str)> {
    let rest = name.strip_prefix('X')?;
    let (number, part) = rest.split_at_checked(rest.bytes().take_while(u8::is_ascii_digit).count())?;
    let part = match part {
        "RPM" => part,
        _ => part
            .strip_prefix('_')?
            .strip_suffix("_time")
            .filter(|c| CHANNELS.contains(c))?,
    };
    Some((number.parse().ok()?, part))
}

/// The condition of the bearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// No fault.
    Normal,
    /// A pit in a ball.
    Ball,
    /// A pit in the inner race.
    InnerRace,
    /// A pit in the outer race.
    OuterRace,
}

impl Fault {
    /// All, in order.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Ball, Self::InnerRace, Self::OuterRace];

    /// `normal`, `ball`, `inner_race`, `outer_race`, as in the index.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Ball => "ball",
            Self::InnerRace => "inner_race",
            Self::OuterRace => "outer_race",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == s);
        found.ok_or_else(|| Error::parameter("fault", "one of normal, ball, inner_race, outer_race", shown(s)))
    }
}

/// A line of `index.csv`: what is known of a record beside its file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IndexEntry {
    /// Number of the record in the university's tables, which its file is named after.
    pub record: u32,
    /// Where the file lies: the folder of the index, and the path that the index gives.
    pub path: PathBuf,
    /// Condition of the bearing.
    pub fault: Fault,
    /// Diameter of the pit in thousandths of an inch; 0 without one.
    pub diameter_mils: u32,
    /// Load of the motor in horsepower.
    pub load_hp: u32,
    /// Where on the outer race the pit is, as the hour of a clock whose 6 lies in the load zone; `None` elsewhere.
    pub position_oclock: Option<u32>,
    /// Samples a second.
    pub sample_rate: Hertz,
}

impl IndexEntry {
    /// Loads the record at its rate.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self) -> Result<CwruRecord> {
        load(&self.path, self.sample_rate)
    }
}

const COLUMNS: [&str; 7] = [
    "record",
    "file",
    "fault",
    "diameter_mils",
    "load_hp",
    "position_oclock",
    "sample_rate_hz",
];

/// Reads `index.csv` in `dir`, a table that is kept beside the files because they say none of this themselves:
///
/// ```csv
/// record,file,fault,diameter_mils,load_hp,position_oclock,sample_rate_hz
/// 97,normal/97.mat,normal,0,0,,48000
/// 130,12k_drive_end/130.mat,outer_race,7,0,6,12000
/// ```
///
/// # Errors
/// `Io` where it cannot be read. `InvalidInput`, naming path, line and column, for another header, a line with another
/// number of fields, an unreadable field, a `file` that is not below `dir`, or a record that is listed twice.
pub fn read_index(dir: impl AsRef<Path>) -> Result<Vec<IndexEntry>> {
    let dir = dir.as_ref();
    let path = dir.join("index.csv");
    parse_index(&read_file(&path)?, dir).map_err(|e| e.context(path.display()))
}

fn parse_index(bytes: &[u8], dir: &Path) -> Result<Vec<IndexEntry>> {
    let malformed = |e: csv::Error| {
        let line = e
            .position()
            .map_or_else(String::new, |p| format!("line {}: ", p.line()));
        Error::new(
            ErrorKind::InvalidInput,
            format!("{line}not a line of {} fields of UTF-8", COLUMNS.len()),
        )
        .with_source(e)
    };
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().map_err(malformed)?;
    if !header.iter().eq(COLUMNS) {
        let got = shown(&header.iter().collect::<Vec<_>>().join(","));
        return Err(Error::input("header", COLUMNS.join(","), got));
    }
    let (mut entries, mut seen) = (Vec::new(), HashSet::new());
    for row in reader.records() {
        let row = row.map_err(malformed)?;
        let here = |e: Error| e.context(format!("line {}", row.position().map_or(0, csv::Position::line)));
        let entry = entry_of(&row, dir).map_err(here)?;
        if !seen.insert(entry.record) {
            return Err(here(Error::input("records", "each once", entry.record)));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn entry_of(row: &csv::StringRecord, dir: &Path) -> Result<IndexEntry> {
    let field = |i: usize| row.get(i).unwrap_or_default();
    let fail = |i: usize, expected: &str| {
        let column = format!("column {} ({})", i + 1, COLUMNS.get(i).unwrap_or(&""));
        Error::input(&column, expected, shown(field(i)))
    };
    let whole = |i: usize| {
        field(i)
            .parse::<u32>()
            .map_err(|_| fail(i, "a whole number, not negative"))
    };
    let file = Path::new(field(1));
    let below = file.components().all(|c| matches!(c, Component::Normal(_)));
    if file.as_os_str().is_empty() || !below {
        return Err(fail(1, "a path below the folder of the index"));
    }
    let rate = field(6).parse().ok().and_then(|hz| Hertz::new(hz).ok());
    Ok(IndexEntry {
        record: whole(0)?,
        path: dir.join(file),
        fault: field(2)
            .parse()
            .map_err(|_| fail(2, "normal, ball, inner_race or outer_race"))?,
        diameter_mils: whole(3)?,
        load_hp: whole(4)?,
        position_oclock: if field(5).is_empty() { None } else { Some(whole(5)?) },
        sample_rate: rate.ok_or_else(|| fail(6, "a rate above 0"))?,
    })
}
