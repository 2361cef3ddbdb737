//! FEMTO-ST's PRONOSTIA rig: bearings run to failure under load (the IEEE PHM 2012 challenge).
//!
//! Every 10 s two accelerometers, horizontal and vertical on the housing of the bearing, were sampled for 0.1 s at 25.6 kHz:
//! [`N_SAMPLES`] samples a snapshot. A run ended where the acceleration went beyond 20 g. There are three conditions
//! ([`Condition`]), and a bearing is named after its own: `Bearing1_2` is the second under condition 1.
//!
//! A bearing is published as a folder of snapshots, `acc_00001.csv`, `acc_00002.csv` .., without a header, each line
//!
//! ```csv
//! 11,2,15,1.9691e+05,0.63,-0.332
//! ```
//!
//! hour, minute, second, microsecond, horizontal and vertical acceleration in g. The files of some bearings have `;` where
//! others have `,`; either is taken. [`load_snapshot`] reads one, [`snapshots`] goes through a folder. Temperatures
//! (`temp_00001.csv`) are left alone.
//!
//! The files have no date. Instants count from midnight of the first day, which is laid on the Unix epoch; a folder goes on
//! through the midnights after it. The microseconds are written with five digits, so instants are good to 10 µs.
//!
//! With the feature `polars` there is also a bearing in one Parquet file: `Bearing`.
//!
//! Source: P. Nectoux, R. Gouriveau, K. Medjaher, E. Ramasso, B. Chebel-Morello, N. Zerhouni, C. Varnier, "PRONOSTIA: An
//! experimental platform for bearings accelerated degradation tests", IEEE PHM 2012,
//! [hal-00719503](https://hal.science/hal-00719503).

#[cfg(feature = "polars")]
mod parquet;

#[cfg(feature = "polars")]
pub use parquet::Bearing;

use super::{read_file, shown, utf8};
use crate::{
    error::{Error, Result},
    quantity::{Hertz, Timestamp},
    signal::{Channel, Recording},
};
use std::path::{Path, PathBuf};

/// Samples of a snapshot, of each channel: 0.1 s.
pub const N_SAMPLES: usize = 2_560;
/// The most snapshots of a bearing that are looked for in a folder.
pub const MAX_SNAPSHOTS: usize = 1 << 20;

/// Samples a second.
pub const RATE_HZ: f64 = 25_600.0;

const DAY_NANOS: i64 = 86_400_000_000_000;

/// Speed and load of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// 1800 rpm, 4000 N.
    One,
    /// 1650 rpm, 4200 N.
    Two,
    /// 1500 rpm, 5000 N.
    Three,
}

impl Condition {
    /// All three.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Three];

    /// That of a bearing, from a name such as `Bearing1_2` (a path's last part, with or without an ending); `None` for
    /// another name.
    ///
    /// ```
    /// use prognos::dataset::femto::Condition;
    /// assert_eq!(Condition::of_bearing("Learning_set/Bearing2_1"), Some(Condition::Two));
    /// assert_eq!(Condition::of_bearing("Bearing4_1"), None);
    /// ```
    pub fn of_bearing(path: impl AsRef<Path>) -> Option<Self> {
        let name = path.as_ref().file_stem()?.to_str()?.strip_prefix("Bearing")?;
        match name.split_once('_') {
            Some((condition, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                match condition {
                    "1" => Some(Self::One),
                    "2" => Some(Self::Two),
                    "3" => Some(Self::Three),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Speed of the shaft in revolutions a minute.
    pub const fn rpm(self) -> f64 {
        match self {
            Self::One => 1800.0,
            Self::Two => 1650.0,
            Self::Three => 1500.0,
        }
    }

    /// Radial load in newtons.
    pub const fn load_n(self) -> f64 {
        match self {
            Self::One => 4000.0,
            Self::Two => 4200.0,
            Self::Three => 5000.0,
        }
    }
}

/// One snapshot of a bearing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its place in the run, as in the name of its file: 1 for the first.
    pub number: u32,
    /// Channels `horizontal` and `vertical`, in g.
    pub recording: Recording,
}

/// Loads a snapshot as it is published; its instant is that of the day.
///
/// ```no_run
/// use prognos::dataset::femto;
/// let recording = femto::load_snapshot("Learning_set/Bearing1_2/acc_00812.csv")?;
/// let horizontal = recording.channel_named("horizontal").unwrap();
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `Io` where the file cannot be read, and as [`parse_snapshot`]. Each names the path.
pub fn load_snapshot(path: impl AsRef<Path>) -> Result<Recording> {
    let path = path.as_ref();
    parse_snapshot(&read_file(path)?).map_err(|e| e.context(path.display()))
}

/// Reads the content of a snapshot.
///
/// # Errors
/// `InvalidInput`, naming the line and column, for text that is not UTF-8, a line without exactly six numbers, numbers that
/// are not finite, a first line whose first four are no time of day, and for anything but [`N_SAMPLES`] lines.
pub fn parse_snapshot(bytes: &[u8]) -> Result<Recording> {
    let (time, samples) = time_and_samples(bytes)?;
    recording(time, samples)
}

/// Time of day, horizontal and vertical.
fn time_and_samples(bytes: &[u8]) -> Result<(Timestamp, [Vec<f64>; 2])> {
    let text = utf8(bytes)?.trim_ascii_end();
    let separator = if text.contains(';') { ';' } else { ',' };
    let mut start = None;
    let mut samples = [const { Vec::new() }; 2];
    let mut n_lines = 0;
    for (i, line) in text.lines().enumerate() {
        n_lines = i + 1;
        if n_lines > N_SAMPLES {
            break;
        }
        let here = |e: Error| e.context(format!("line {n_lines}"));
        let [hour, minute, second, micros, horizontal, vertical] = numbers_of(line, separator).map_err(here)?;
        if start.is_none() {
            start = Some(time_of_day([hour, minute, second, micros]).map_err(here)?);
        }
        for (channel, value) in samples.iter_mut().zip([horizontal, vertical]) {
            channel.push(value);
        }
    }
    if n_lines != N_SAMPLES {
        let got = if n_lines > N_SAMPLES {
            "more".to_owned()
        } else {
            n_lines.to_string()
        };
        return Err(Error::input("lines of a snapshot", N_SAMPLES, got));
    }
    Ok((start.unwrap_or_default(), samples))
}

fn recording(start: Timestamp, samples: [Vec<f64>; 2]) -> Result<Recording> {
    let channels = ["horizontal", "vertical"].map(|name| Channel::new(name, "g"));
    Recording::new(channels.to_vec(), Hertz::new(RATE_HZ)?, start, samples.into())
}

const COLUMNS: [&str; 6] = ["hour", "minute", "second", "microsecond", "horizontal", "vertical"];

fn numbers_of(line: &str, separator: char) -> Result<[f64; COLUMNS.len()]> {
    let mut numbers = [0.0; COLUMNS.len()];
    let n_fields = line.split(separator).count();
    if n_fields != numbers.len() {
        return Err(Error::input("fields", numbers.len(), n_fields));
    }
    for (i, ((number, name), field)) in numbers.iter_mut().zip(COLUMNS).zip(line.split(separator)).enumerate() {
        *number = match field.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => value,
            _ => {
                let column = format!("column {} ({name})", i + 1);
                return Err(Error::input(&column, "a finite number", shown(field)));
            }
        };
    }
    Ok(numbers)
}

fn time_of_day([hour, minute, second, micros]: [f64; 4]) -> Result<Timestamp> {
    let whole = |x: f64, below: f64| x >= 0.0 && x < below && x.fract() == 0.0;
    // Five digits may round up to a whole second.
    if !(whole(hour, 24.0) && whole(minute, 60.0) && whole(second, 60.0) && (0.0..=1e6).contains(&micros)) {
        let got = format!("{hour}, {minute}, {second}, {micros}");
        return Err(Error::input(
            "time",
            "hour, minute, second and microsecond of a day",
            got,
        ));
    }
    let seconds = (hour * 60.0 + minute) * 60.0 + second;
    Ok(Timestamp::from_nanos(
        seconds as i64 * 1_000_000_000 + (micros * 1e3).round() as i64,
    ))
}

/// The snapshots in the folder of a bearing, in the order of their numbers, read one by one as the iterator goes on.
///
/// Numbers may be left out. A snapshot whose time of day is before that of the one before it was taken the next day.
///
/// ```no_run
/// use prognos::dataset::femto;
/// for snapshot in femto::snapshots("Learning_set/Bearing1_2")? {
///     let snapshot = snapshot?;
///     println!("{} {}", snapshot.number, snapshot.recording.start());
/// }
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `Io` where the folder cannot be read; `InsufficientData` where it holds no `acc_*.csv`; `InvalidInput` for two files of
/// one number and for more than [`MAX_SNAPSHOTS`]. What the iterator gives fails as [`load_snapshot`] does; it goes on with
/// the next then.
pub fn snapshots(dir: impl AsRef<Path>) -> Result<Snapshots> {
    let dir = dir.as_ref();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io("open", dir, e))? {
        let path = entry.map_err(|e| Error::io("read", dir, e))?.path();
        if let Some(number) = number_of(&path) {
            if files.len() == MAX_SNAPSHOTS {
                let e = Error::input("snapshots", format!("at most {MAX_SNAPSHOTS}"), "more");
                return Err(e.context(dir.display()));
            }
            files.push((number, path));
        }
    }
    files.sort();
    if files.is_empty() {
        let e = Error::insufficient("bearing", "a file such as `acc_00001.csv`", "none");
        return Err(e.context(dir.display()));
    }
    for pair in files.windows(2) {
        if let [(number, _), (next, path)] = pair
            && number == next
        {
            let e = Error::input("snapshots", "each number once", format!("{number} again"));
            return Err(e.context(path.display()));
        }
    }
    Ok(Snapshots {
        files: files.into_iter(),
        day: 0,
        last: None,
    })
}

fn number_of(path: &Path) -> Option<u32> {
    let number = path.file_name()?.to_str()?.strip_prefix("acc_")?.strip_suffix(".csv")?;
    let is_number = number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|_| is_number)
}

/// Iterator over the snapshots of a folder, made by [`snapshots`].
#[derive(Clone, Debug)]
pub struct Snapshots {
    files: std::vec::IntoIter<(u32, PathBuf)>,
    /// Midnights so far.
    day: i64,
    /// Time of day of the snapshot before.
    last: Option<Timestamp>,
}

impl Iterator for Snapshots {
    type Item = Result<Snapshot>;

    fn next(&mut self) -> Option<Self::Item> {
        let (number, path) = self.files.next()?;
        let read = || time_and_samples(&read_file(&path)?).map_err(|e| e.context(path.display()));
        Some(read().and_then(|(time, samples)| {
            self.day += i64::from(self.last.is_some_and(|last| time < last));
            self.last = Some(time);
            let start = time.nanos().saturating_add(self.day.saturating_mul(DAY_NANOS));
            let recording = recording(Timestamp::from_nanos(start), samples)?;
            Ok(Snapshot { number, recording })
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.files.size_hint()
    }
}

impl ExactSizeIterator for Snapshots {}
