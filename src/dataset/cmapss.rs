//! NASA C-MAPSS: simulated turbofan engines run to failure, in the text files NASA publishes.
//!
//! Four subsets. In `train_FDxxx.txt` every engine runs until it fails; in `test_FDxxx.txt` each is cut off some time
//! before, and line `k` of `RUL_FDxxx.txt` says how many cycles engine `k` had left.
//!
//! | subset | operating conditions | fault modes | engines: train / test |
//! |---|---|---|---|
//! | FD001 | 1 | 1 (high-pressure compressor) | 100 / 100 |
//! | FD002 | 6 | 1 (high-pressure compressor) | 260 / 259 |
//! | FD003 | 1 | 2 (compressor, fan) | 100 / 100 |
//! | FD004 | 6 | 2 (compressor, fan) | 249 / 248 |
//!
//! One line is one cycle of one engine: 26 numbers separated by spaces, without a header; the published files end each
//! line with two spaces. Columns are engine, cycle, three operational settings, 21 sensors:
//!
//! | column | channel | unit | what |
//! |---|---|---|---|
//! | 3-5 | `setting_1` .. `setting_3` | | altitude, Mach number, throttle resolver angle |
//! | 6-9 | `T2`, `T24`, `T30`, `T50` | °R | total temperature at fan inlet, LPC, HPC and LPT outlet |
//! | 10-12 | `P2`, `P15`, `P30` | psia | pressure at fan inlet, total pressure in bypass duct, at HPC outlet |
//! | 13-14 | `Nf`, `Nc` | rpm | physical fan and core speed |
//! | 15 | `epr` | | engine pressure ratio P50/P2 |
//! | 16 | `Ps30` | psia | static pressure at HPC outlet |
//! | 17 | `phi` | pps/psi | ratio of fuel flow to Ps30 |
//! | 18-19 | `NRf`, `NRc` | rpm | corrected fan and core speed |
//! | 20 | `BPR` | | bypass ratio |
//! | 21 | `farB` | | burner fuel-air ratio |
//! | 22 | `htBleed` | | bleed enthalpy |
//! | 23-24 | `Nf_dmd`, `PCNfR_dmd` | rpm | demanded fan speed, demanded corrected fan speed |
//! | 25-26 | `W31`, `W32` | lbm/s | HPT and LPT coolant bleed |
//!
//! Assets are named after the engine's number. Cycle `k` lies at `LifeUnit::Cycles.instant(k)`.
//!
//! What is accepted beside the published form: any run of spaces or tabs between numbers, `\r\n`, blank lines at the end,
//! `NaN` (in any case, with or without a sign) for a missing setting or sensor reading, cycles that start above 1 or leave gaps, engines in any order.
//!
//! Reading takes time and memory linear in the file: about four bytes of memory a byte of text at worst.
//!
//! Source: A. Saxena, K. Goebel, D. Simon, N. Eklund, "Damage propagation modeling for aircraft engine run-to-failure
//! simulation", PHM 2008, [doi:10.1109/PHM.2008.4711414](https://doi.org/10.1109/PHM.2008.4711414).

use super::{MAX_ASSETS, read_file, shown, too_many_assets, utf8};
use crate::{
    error::{Error, ErrorKind, Result},
    quantity::LifeUnit,
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use std::{collections::HashSet, fmt, path::Path, str::FromStr};

/// Engine and cycle.
const N_KEYS: usize = 2;
/// Name and unit of the readings, in the order of the columns.
const CHANNELS: [(&str, &str); 24] = [
    ("setting_1", ""),
    ("setting_2", ""),
    ("setting_3", ""),
    ("T2", "°R"),
    ("T24", "°R"),
    ("T30", "°R"),
    ("T50", "°R"),
    ("P2", "psia"),
    ("P15", "psia"),
    ("P30", "psia"),
    ("Nf", "rpm"),
    ("Nc", "rpm"),
    ("epr", ""),
    ("Ps30", "psia"),
    ("phi", "pps/psi"),
    ("NRf", "rpm"),
    ("NRc", "rpm"),
    ("BPR", ""),
    ("farB", ""),
    ("htBleed", ""),
    ("Nf_dmd", "rpm"),
    ("PCNfR_dmd", "rpm"),
    ("W31", "lbm/s"),
    ("W32", "lbm/s"),
];
const N_COLUMNS: usize = N_KEYS + CHANNELS.len();

/// One of the four subsets.
///
/// ```
/// use prognos::dataset::cmapss::Subset;
/// assert_eq!("FD003".parse::<Subset>()?, Subset::Fd003);
/// assert_eq!(Subset::Fd001.to_string(), "FD001");
/// assert!("FD005".parse::<Subset>().is_err());
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subset {
    /// One operating condition, one fault mode.
    Fd001,
    /// Six operating conditions, one fault mode.
    Fd002,
    /// One operating condition, two fault modes.
    Fd003,
    /// Six operating conditions, two fault modes.
    Fd004,
}

impl Subset {
    /// All four, in order.
    pub const ALL: [Self; 4] = [Self::Fd001, Self::Fd002, Self::Fd003, Self::Fd004];

    /// `FD001` .. `FD004`, as in the names of the files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fd001 => "FD001",
            Self::Fd002 => "FD002",
            Self::Fd003 => "FD003",
            Self::Fd004 => "FD004",
        }
    }
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Subset {
    type Err = Error;

    /// Reads `FD001` .. `FD004`, in any case.
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|subset| subset.name().eq_ignore_ascii_case(s))
            .ok_or_else(|| Error::parameter("subset", "one of FD001, FD002, FD003, FD004", shown(s)))
    }
}

/// What is known of the engines' ends: `R` is where the cycles left are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends<R> {
    /// Each engine's last row is its failure (training files).
    Failed,
    /// One number a line: the cycles each engine had left, in the order of the engines (test files).
    FailedAfter(R),
    /// Nothing: a test file without its answers.
    Unknown,
}

/// Loads `train_FDxxx.txt` from `dir`; every engine ends [`Failed`](EndOfLife::Failed).
///
/// ```no_run
/// use prognos::dataset::cmapss::{self, Subset};
/// let fleet = cmapss::load_train("CMAPSSData", Subset::Fd001)?;
/// assert_eq!((fleet.assets().len(), fleet.n_rows()), (100, 20_631));
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`load_file`].
pub fn load_train(dir: impl AsRef<Path>, subset: Subset) -> Result<FleetHistory> {
    load_file(dir.as_ref().join(format!("train_{subset}.txt")), Ends::Failed)
}

/// Loads `test_FDxxx.txt` and `RUL_FDxxx.txt` from `dir`; every engine ends
/// [`FailedAfter`](EndOfLife::FailedAfter) the cycles it had left.
///
/// # Errors
/// As [`load_file`].
pub fn load_test(dir: impl AsRef<Path>, subset: Subset) -> Result<FleetHistory> {
    let dir = dir.as_ref();
    let rul = dir.join(format!("RUL_{subset}.txt"));
    load_file(dir.join(format!("test_{subset}.txt")), Ends::FailedAfter(&rul))
}

/// Loads a file in the format of C-MAPSS from any path.
///
/// # Errors
/// `Io` where a file cannot be read; `InvalidInput` and `InsufficientData` as [`parse`], and for a file above
/// [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES). Each names the path.
pub fn load_file(path: impl AsRef<Path>, ends: Ends<&Path>) -> Result<FleetHistory> {
    let path = path.as_ref();
    let engines = Engines::parse(&read_file(path)?).map_err(|e| e.context(path.display()))?;
    let ends = match ends {
        Ends::Failed => Ends::Failed,
        Ends::Unknown => Ends::Unknown,
        Ends::FailedAfter(rul_path) => {
            let rul = read_file(rul_path)?;
            Ends::FailedAfter(parse_rul(&rul, engines.0.len()).map_err(|e| e.context(rul_path.display()))?)
        }
    };
    engines.into_fleet(ends).map_err(|e| e.context(path.display()))
}

/// Reads the content of a file in the format of C-MAPSS, and that of its file of remaining lives.
///
/// ```
/// use prognos::dataset::cmapss::{self, Ends};
/// let mut text = String::new();
/// for cycle in 1..=3 {
///     text += &format!("1 {cycle} 0 0 100 {} \n", ["20.5"; 21].join(" "));
/// }
/// let fleet = cmapss::parse(text.as_bytes(), Ends::FailedAfter(b"40\n"))?;
/// assert_eq!(fleet.assets()[0].rul(fleet.life_unit()), Some(vec![42.0, 41.0, 40.0]));
///
/// let e = cmapss::parse(b"1 1 0.5", Ends::Failed).unwrap_err();
/// assert_eq!(e.to_string(), "line 1: expected 26 columns, got 3");
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InsufficientData` without a line. `InvalidInput`, naming the line (and column, counted from 1), for text that is not
/// UTF-8, a line without exactly 26 columns, an engine or cycle that is no whole number from 1 to 2^32 - 1, a reading
/// that is neither a finite number nor `NaN`, cycles of an engine that do not increase, rows of an engine that are not
/// together, more than [`MAX_ASSETS`] engines or [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES) bytes, and a
/// number of remaining lives that is not that of the engines, or one that is negative or not finite.
pub fn parse(telemetry: &[u8], ends: Ends<&[u8]>) -> Result<FleetHistory> {
    let engines = Engines::parse(telemetry)?;
    let ends = match ends {
        Ends::Failed => Ends::Failed,
        Ends::Unknown => Ends::Unknown,
        Ends::FailedAfter(rul) => {
            Ends::FailedAfter(parse_rul(rul, engines.0.len()).map_err(|e| e.context("remaining lives"))?)
        }
    };
    engines.into_fleet(ends)
}

struct Engine {
    unit: u32,
    cycles: Vec<u32>,
    values: Vec<f64>,
}

struct Engines(Vec<Engine>);

impl Engines {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut engines: Vec<Engine> = Vec::new();
        let mut seen = HashSet::new();
        for (number, line) in lines(bytes)? {
            let row = Row::parse(line).map_err(|e| e.context(format!("line {number}")))?;
            match engines.last_mut() {
                Some(engine) if engine.unit == row.unit => {
                    engine.push(&row).map_err(|e| e.context(format!("line {number}")))?;
                }
                _ => {
                    if !seen.insert(row.unit) {
                        let got = format!("engine {} again after another", row.unit);
                        let e = Error::input("engines", "all rows of an engine together", got);
                        return Err(e.context(format!("line {number}")));
                    }
                    if engines.len() == MAX_ASSETS {
                        return Err(too_many_assets().context(format!("line {number}")));
                    }
                    engines.push(Engine {
                        unit: row.unit,
                        cycles: vec![row.cycle],
                        values: row.readings.to_vec(),
                    });
                }
            }
        }
        if engines.is_empty() {
            return Err(Error::insufficient("telemetry", "at least 1 row", "an empty file"));
        }
        Ok(Self(engines))
    }

    fn into_fleet(self, ends: Ends<Vec<f64>>) -> Result<FleetHistory> {
        let channels = CHANNELS.iter().map(|&(name, unit)| Channel::new(name, unit)).collect();
        let mut fleet = FleetHistory::new(channels, LifeUnit::Cycles)?;
        let mut left = match &ends {
            Ends::FailedAfter(left) => left.as_slice(),
            Ends::Failed | Ends::Unknown => &[],
        }
        .iter();
        for engine in self.0 {
            let end = match (&ends, left.next()) {
                (Ends::Failed, _) => EndOfLife::Failed,
                (_, Some(&cycles)) => EndOfLife::FailedAfter(cycles),
                (_, None) => EndOfLife::Unknown,
            };
            let instant = |&cycle: &u32| LifeUnit::Cycles.instant(i64::from(cycle));
            let times = engine.cycles.iter().map(instant).collect();
            let name = engine.unit.to_string();
            fleet.push(AssetHistory::new(name, times, engine.values, CHANNELS.len(), end)?)?;
        }
        Ok(fleet)
    }
}

impl Engine {
    fn push(&mut self, row: &Row) -> Result<()> {
        if let Some(&last) = self.cycles.last()
            && row.cycle <= last
        {
            let got = format!("cycle {} after {last} of engine {}", row.cycle, row.unit);
            return Err(Error::input("cycle", "above the one before", got));
        }
        self.cycles.push(row.cycle);
        self.values.extend_from_slice(&row.readings);
        Ok(())
    }
}

struct Row {
    unit: u32,
    cycle: u32,
    readings: [f64; CHANNELS.len()],
}

impl Row {
    fn parse(line: &str) -> Result<Self> {
        let mut fields = line.split_ascii_whitespace();
        let wrong_count = || {
            let got = line.split_ascii_whitespace().count();
            Error::new(
                ErrorKind::InvalidInput,
                format!("expected {N_COLUMNS} columns, got {got}"),
            )
        };
        let (Some(unit), Some(cycle)) = (fields.next(), fields.next()) else {
            return Err(wrong_count());
        };
        let mut readings = [f64::NAN; CHANNELS.len()];
        let mut unreadable = None;
        for (i, reading) in readings.iter_mut().enumerate() {
            let Some(field) = fields.next() else {
                return Err(wrong_count());
            };
            match field.parse::<f64>() {
                Ok(x) if x.is_finite() => *reading = x,
                Ok(x) if x.is_nan() => {}
                _ => unreadable = unreadable.or(Some((i, field))),
            }
        }
        if fields.next().is_some() {
            return Err(wrong_count());
        }
        // Only now, so that a line of the wrong shape is called that.
        let row = Self {
            unit: whole(unit).map_err(|e| e.context("column 1 (engine)"))?,
            cycle: whole(cycle).map_err(|e| e.context("column 2 (cycle)"))?,
            readings,
        };
        match unreadable {
            None => Ok(row),
            Some((i, field)) => {
                let name = CHANNELS.get(i).map_or("", |c| c.0);
                let column = format!("column {} ({name})", N_KEYS + i + 1);
                Err(Error::input(&column, "a finite number or NaN", shown(field)))
            }
        }
    }
}

fn whole(field: &str) -> Result<u32> {
    match field.parse() {
        Ok(n) if n >= 1 => Ok(n),
        _ => Err(Error::input(
            "value",
            "a whole number from 1 to 4294967295",
            shown(field),
        )),
    }
}

fn parse_rul(bytes: &[u8], n_engines: usize) -> Result<Vec<f64>> {
    let mut left = Vec::new();
    for (number, line) in lines(bytes)? {
        match line.trim_ascii().parse::<f64>() {
            Ok(x) if x.is_finite() && x >= 0.0 => left.push(x),
            _ => {
                let e = Error::input("remaining life", "one finite number, not negative", shown(line));
                return Err(e.context(format!("line {number}")));
            }
        }
    }
    if left.len() != n_engines {
        return Err(Error::input(
            "remaining lives",
            format!("{n_engines}, one an engine"),
            left.len(),
        ));
    }
    Ok(left)
}

/// The lines of a text with their numbers from 1, without blank ones at its end.
fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>> {
    let text = utf8(bytes)?.trim_ascii_end();
    Ok(text.lines().enumerate().map(|(i, line)| (i + 1, line)))
}
