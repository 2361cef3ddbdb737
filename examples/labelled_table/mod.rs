//! Tables of numbers with a column of labels, from CSV and Parquet files.

use ndarray::Array2;
use prognos::{
    Error, ErrorKind, Result,
    features::{FeatureSchema, FeatureTable},
    signal::Channel,
};
use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

/// A column of words with more different ones than this is taken for names of rows, and left out.
const MOST_WORDS: usize = 100;

/// Which column holds the labels, and which are none of the inputs.
#[derive(Clone, Debug)]
pub struct Columns {
    pub label: String,
    pub dropped: Vec<String>,
}

/// Rows to score, and which of them are anomalous.
#[derive(Debug)]
pub struct LabelledTable {
    pub rows: FeatureTable,
    pub labels: Vec<bool>,
    /// Rows of the file without a value or a label somewhere, which are not in `rows`.
    pub n_left_out: usize,
    /// What was done with columns that are no numbers.
    pub notes: Vec<String>,
}

/// A column as a file has it.
#[derive(Debug)]
pub struct RawColumn {
    pub name: String,
    pub values: RawValues,
}

#[derive(Debug)]
pub enum RawValues {
    /// NaN and infinities are missing.
    Numbers(Vec<f64>),
    Words(Vec<Option<String>>),
    /// Something else, of this type.
    #[cfg_attr(not(feature = "polars"), expect(dead_code, reason = "text files have none"))]
    Other(String),
}

/// What was expected of a table, and what came.
pub fn refused(what: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("{what}: expected {expected}, got {got}"),
    )
}

/// Whether a file may hold a table, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// The CSV and Parquet files below `dir`, by path. Links to folders are not followed.
pub fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let at = |path: &Path, e: std::io::Error| {
        Error::new(ErrorKind::Io, format!("cannot list `{}`", path.display())).with_source(e)
    };
    let (mut found, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| at(&folder, e))? {
            let entry = entry.map_err(|e| at(&folder, e))?;
            let kind = entry.file_type().map_err(|e| at(&entry.path(), e))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if Format::of(&entry.path()).is_some() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The table in the file at `path`.
pub fn read(path: &Path, columns: &Columns) -> Result<LabelledTable> {
    let raw = match Format::of(path) {
        Some(Format::Csv) => {
            let io = |e| Error::new(ErrorKind::Io, "cannot be read").with_source(e);
            csv_columns(&fs::read(path).map_err(io)?)?
        }
        Some(Format::Parquet) => parquet_columns(path)?,
        None => {
            return Err(refused("name", "one that ends in .csv or .parquet", path.display()));
        }
    };
    LabelledTable::new(raw, columns)
}

/// The columns of a text table: a header, then rows parted by what parts the header: commas, semicolons or tabs. A column is
/// of words where a field is neither a number nor missing.
pub fn csv_columns(bytes: &[u8]) -> Result<Vec<RawColumn>> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let header = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let separator = b",;\t".iter().find(|s| header.contains(s)).copied().unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(bytes);
    let names = reader.headers().map_err(unreadable)?.clone();
    let mut fields: Vec<Vec<String>> = vec![Vec::new(); names.len()];
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        fields
            .iter_mut()
            .zip(&record)
            .for_each(|(column, field)| column.push(field.trim().to_owned()));
    }
    let column = |(name, fields): (&str, Vec<String>)| RawColumn {
        name: name.trim().to_owned(),
        values: values_of(fields),
    };
    Ok(names.iter().zip(fields).map(column).collect())
}

fn unreadable(e: csv::Error) -> Error {
    refused("text", "a CSV table in UTF-8", e)
}

fn values_of(fields: Vec<String>) -> RawValues {
    let is_missing = |f: &str| ["", "na", "null", "none", "?"].contains(&f.to_ascii_lowercase().as_str());
    let numbers: Option<Vec<f64>> = fields
        .iter()
        .map(|f| if is_missing(f) { Some(f64::NAN) } else { f.parse().ok() })
        .collect();
    match numbers {
        Some(numbers) => RawValues::Numbers(numbers),
        None => RawValues::Words(fields.into_iter().map(|f| (!is_missing(&f)).then_some(f)).collect()),
    }
}

#[cfg(feature = "polars")]
fn parquet_columns(path: &Path) -> Result<Vec<RawColumn>> {
    use prognos::table::{self, polars::prelude::DataType};
    let frame = table::read_parquet(path)?;
    let names: Vec<String> = frame.get_column_names().iter().map(|n| n.to_string()).collect();
    let values = |name: &str| -> Result<RawValues> {
        let column = frame.column(name)?;
        Ok(match column.dtype() {
            t if t.is_primitive_numeric() || matches!(t, DataType::Boolean | DataType::Null) => {
                let numbers = column.cast(&DataType::Float64)?;
                RawValues::Numbers(numbers.f64()?.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
            }
            DataType::String => {
                let words = column.str()?.iter().map(|w| w.map(|w| w.trim().to_owned()));
                RawValues::Words(words.collect())
            }
            other => RawValues::Other(other.to_string()),
        })
    };
    names
        .into_iter()
        .map(|name| {
            let values = values(&name)?;
            Ok(RawColumn { name, values })
        })
        .collect()
}

#[cfg(not(feature = "polars"))]
fn parquet_columns(_: &Path) -> Result<Vec<RawColumn>> {
    Err(refused(
        "format",
        "CSV, as this build is without the feature `polars`",
        "Parquet",
    ))
}

/// The labels: `Some(true)` for 1, `None` where there is none.
fn labels_of(column: &RawColumn) -> Result<Vec<Option<bool>>> {
    let name = format!("column `{}`", column.name);
    match &column.values {
        RawValues::Numbers(values) => values
            .iter()
            .enumerate()
            .map(|(row, &v)| match v {
                0.0 => Ok(Some(false)),
                1.0 => Ok(Some(true)),
                v if v.is_nan() => Ok(None),
                v => Err(refused(&format!("{name}, row {row}"), "0 or 1", v)),
            })
            .collect(),
        RawValues::Words(words) => {
            let word = words.iter().flatten().find(|w| w.parse::<f64>().is_err());
            Err(refused(&name, "0 or 1", word.map_or("words", |w| w.as_str())))
        }
        RawValues::Other(kind) => Err(refused(&name, "0 or 1", kind)),
    }
}

/// Words as numbers in their order: 0 for the first.
fn ordinals(words: &[Option<String>]) -> Option<Vec<f64>> {
    let different: BTreeSet<&str> = words.iter().flatten().map(String::as_str).collect();
    let ordinal = |w: &Option<String>| match w {
        Some(w) => different.iter().position(|d| d == w).map_or(f64::NAN, |i| i as f64),
        None => f64::NAN,
    };
    (different.len() <= MOST_WORDS).then(|| words.iter().map(ordinal).collect())
}

impl LabelledTable {
    /// Takes the columns apart into inputs and labels; rows that miss one are left out.
    ///
    /// # Errors
    /// Where there is no column of labels 0 and 1, no input that varies, or where rows of one kind only are left.
    pub fn new(raw: Vec<RawColumn>, columns: &Columns) -> Result<Self> {
        let is_label = |c: &RawColumn| c.name == columns.label;
        let label = raw.iter().find(|c| is_label(c)).ok_or_else(|| {
            let names: Vec<&str> = raw.iter().take(8).map(|c| c.name.as_str()).collect();
            refused(
                "columns",
                format!("one named `{}`", columns.label),
                format!("`{}`{}", names.join("`, `"), if raw.len() > 8 { ", .." } else { "" }),
            )
        })?;
        let labels = labels_of(label)?;
        let (mut channels, mut inputs, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for column in &raw {
            if is_label(column) || columns.dropped.contains(&column.name) {
                continue;
            }
            let name = &column.name;
            let values = match &column.values {
                RawValues::Numbers(values) => values.clone(),
                RawValues::Words(words) => match ordinals(words) {
                    Some(values) => {
                        notes.push(format!("column `{name}` of words: numbered in their order"));
                        values
                    }
                    None => {
                        notes.push(format!(
                            "column `{name}` left out: more than {MOST_WORDS} different words"
                        ));
                        continue;
                    }
                },
                RawValues::Other(kind) => {
                    notes.push(format!(
                        "column `{name}` left out: neither numbers nor words but {kind}"
                    ));
                    continue;
                }
            };
            channels.push(Channel::new(name.as_str(), ""));
            inputs.push(values);
        }
        if inputs.is_empty() {
            return Err(refused("columns", "an input besides the labels", "none"));
        }
        let is_whole = |row: usize| inputs.iter().all(|c| c.get(row).is_some_and(|v| v.is_finite()));
        let kept = labels.iter().enumerate().filter(|(row, _)| is_whole(*row));
        let kept: Vec<(usize, bool)> = kept.filter_map(|(row, label)| label.map(|l| (row, l))).collect();
        let got = || format!("{} rows, of which {} have every value", labels.len(), kept.len());
        for (kind, wanted) in [("anomalous", true), ("normal", false)] {
            if !kept.iter().any(|(_, l)| *l == wanted) {
                return Err(refused("rows", format!("at least 1 {kind}"), got()));
            }
        }
        let varies = |c: &Vec<f64>| kept.windows(2).any(|w| c[w[0].0] != c[w[1].0]);
        if !inputs.iter().any(varies) {
            return Err(refused("inputs", "one that varies", "constants"));
        }
        let values = Array2::from_shape_fn((kept.len(), inputs.len()), |(i, j)| inputs[j][kept[i].0]);
        let asset = vec![0; kept.len()];
        Ok(Self {
            rows: FeatureTable::new(FeatureSchema::of_channels(&channels)?, values, asset)?,
            n_left_out: labels.len() - kept.len(),
            labels: kept.iter().map(|(_, l)| *l).collect(),
            notes,
        })
    }

    pub fn n_anomalous(&self) -> usize {
        self.labels.iter().filter(|l| **l).count()
    }
}

impl fmt::Display for LabelledTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, width) = (self.rows.n_rows(), self.rows.schema().len());
        write!(f, "{n} rows of {width} columns, {} anomalous", self.n_anomalous())?;
        match self.n_left_out {
            0 => Ok(()),
            n => write!(f, "; {n} rows with a missing value left out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(label: &str, dropped: &[&str]) -> Columns {
        Columns {
            label: label.to_owned(),
            dropped: dropped.iter().map(|d| d.to_string()).collect(),
        }
    }

    fn table(text: &str) -> Result<LabelledTable> {
        LabelledTable::new(csv_columns(text.as_bytes())?, &columns("y", &[]))
    }

    fn values(t: &LabelledTable) -> Vec<Vec<f64>> {
        t.rows.rows().map(<[f64]>::to_vec).collect()
    }

    #[test]
    fn labels_and_inputs_come_apart() {
        for text in [
            "a,y,b\n1,0,2\n3,1.0,4.5\n",
            "\u{feff}a;y;b\r\n 1; 0;2\r\n3;1;4.5",
            "a\ty\tb\n1\t0\t2\n3\t1\t4.5\n",
        ] {
            let t = table(text).unwrap();
            assert_eq!(values(&t), [[1.0, 2.0], [3.0, 4.5]], "{text:?}");
            assert_eq!((t.labels.as_slice(), t.n_left_out), (&[false, true][..], 0));
            assert_eq!(t.to_string(), "2 rows of 2 columns, 1 anomalous");
        }
    }

    #[test]
    fn rows_that_miss_a_value_are_left_out_and_counted() {
        let t = table("a,b,y\n1,2,0\n,2,0\n1,NaN,1\n1,inf,1\n1,2,\n1,?,0\n5,NA,0\n7,8,1\n").unwrap();
        assert_eq!(values(&t), [[1.0, 2.0], [7.0, 8.0]]);
        assert_eq!((t.labels.as_slice(), t.n_left_out), (&[false, true][..], 6));
        assert!(t.to_string().contains("6 rows with a missing value"), "{t}");
    }

    #[test]
    fn words_are_numbered_in_their_order_and_names_left_out() {
        let t = table("kind,a,y\nM,1,0\nL,2,1\nH,3,0\n,4,0\nM,5,1\n").unwrap();
        assert_eq!(values(&t), [[2.0, 1.0], [1.0, 2.0], [0.0, 3.0], [2.0, 5.0]]);
        assert_eq!((t.n_left_out, t.notes.len()), (1, 1));

        let rows: String = (0..=MOST_WORDS).map(|i| format!("id{i},{i},{}\n", i % 2)).collect();
        let t = table(&format!("id,a,y\n{rows}")).unwrap();
        assert_eq!(t.rows.schema().len(), 1);
        assert!(t.notes[0].contains("`id` left out"), "{:?}", t.notes);
    }

    #[test]
    fn the_label_and_columns_to_drop_are_named() {
        let raw = || csv_columns(b"id,x,broken,why\n9,1,0,0\n8,2,1,1\n").unwrap();
        let t = LabelledTable::new(raw(), &columns("broken", &["id", "why", "not there"])).unwrap();
        assert_eq!((values(&t), t.labels), (vec![vec![1.0], vec![2.0]], vec![false, true]));
        assert!(LabelledTable::new(raw(), &columns("y", &[])).is_err());
    }

    #[test]
    fn bad_tables_are_errors_that_say_why() {
        for (text, why) in [
            ("", "one named `y`"),
            ("\n", "one named `y`"),
            ("a,Y\n1,0\n", "one named `y`"),
            ("y\n0\n1\n", "an input besides the labels"),
            ("a,y\n", "at least 1 anomalous"),
            ("a,y\n1,0\n", "at least 1 anomalous"),
            ("a,y\n1,1\n2,1\n", "at least 1 normal"),
            ("a,y\n1,0\n,1\n", "at least 1 anomalous"),
            ("a,y\n1,0\n2,2\n", "0 or 1"),
            ("a,y\n1,0\n2,-1\n", "0 or 1"),
            ("a,y\n1,no\n2,yes\n", "0 or 1"),
            ("a,b,y\n1,2,0\n1,2,1\n", "one that varies"),
            ("a,y\n1,0\n2,1,3\n", "a CSV table"),
            ("a,a,y\n1,2,0\n2,3,1\n", "a"),
        ] {
            let e = table(text).unwrap_err().to_string();
            assert!(e.contains(why), "{text:?}: {e}");
        }
        assert!(csv_columns(b"a,y\n\xff,0\n").is_err());
        assert!(read(Path::new("table.txt"), &columns("y", &[])).is_err());
        assert!(read(Path::new("not there.csv"), &columns("y", &[])).is_err());
    }

    #[test]
    fn files_are_found_below_folders_in_order() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        for name in ["c.csv", "b/z.CSV", "b/a.parquet", "a.csv", "notes.txt", "csv"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = files_below(dir.path()).unwrap();
        let names: Vec<_> = found.iter().map(|p| p.strip_prefix(dir.path()).unwrap()).collect();
        let expected = ["a.csv", "b/a.parquet", "b/z.CSV", "c.csv"];
        assert_eq!(names, expected.map(Path::new));
        assert!(files_below(&dir.path().join("d")).is_err());
    }
}
