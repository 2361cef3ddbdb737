//! Anomalies in series of one value, strictly online: one pass over every file of the Numenta Anomaly Benchmark (NAB), or
//! of a folder laid out like it, in which a row is judged by the rows before it and nothing else.
//!
//! ```text
//! cargo run --release --example stream_anomaly -- --data DIR --out DIR [--json]
//! ```
//!
//! `DIR`, or its folder `data`, holds `<category>/<name>.csv` with the columns `timestamp` and `value`. Results go to
//! `<out>/prognos/<category>/prognos_<name>.csv`: both columns as they came and an `anomaly_score` from 0 to 1, an alarm
//! from 0.5 on. The settings and the threshold are the same for all files and are the detector's defaults. Where a
//! `combined_windows.json` says what is an anomaly, NAB's scores are printed beside those of two baselines; the baseline
//! of moving averages gets the threshold that suits these very labels best, ours does not.

use clap::Parser;
use prognos::{
    Error, ErrorKind, Result,
    dataset::nab::{self, NabColumn},
    detect::RarityRecordDetector,
    evaluate::{NabFile, NabProfile, nab_best_threshold, nab_normalised},
    features::{FeatureSchema, FeatureView},
    model::OnlineModel,
    quantity::Timestamp,
    signal::Channel,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

/// An alarm, from here on.
const ALARM: f64 = 0.5;
/// The baseline that looks at nothing raises an alarm as often as this.
const EVERY: usize = 600;
/// Rows of the moving averages, as the benchmark's baseline has them.
const WINDOW: usize = 6400;

#[derive(Parser)]
#[command(about = "Anomalies in series of one value, strictly online")]
struct Args {
    /// Folder with <category>/<name>.csv, or with a folder `data` that has them
    #[arg(long)]
    data: PathBuf,
    /// Folder for the results
    #[arg(long)]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args = Args::parse();
    let corpus = nab::load(&args.data)?;
    let dir = args.data.join("data");
    let dir = if dir.is_dir() { &dir } else { &args.data };
    let schema = FeatureSchema::of_channels(&[Channel::new("value", "")])?;
    let detector = RarityRecordDetector::params().untrained(schema)?;

    let (mut n_rows, mut n_alarms, mut seconds) = (0, 0, 0.0);
    let mut labelled = Vec::new();
    for series in &corpus {
        let start = Instant::now();
        let scores = online(&detector, &series.column)?;
        seconds += start.elapsed().as_secs_f64();
        n_rows += scores.len();
        n_alarms += scores.iter().filter(|&&s| s >= ALARM).count();
        write(dir, &args.out, &series.name, &scores).map_err(|e| e.context(&series.name))?;
        if series.windows.is_some() {
            let category = series.name.split('/').next().unwrap_or_default().to_owned();
            labelled.push(Labelled {
                category,
                file: series.scorer()?,
                scores: [scores, every(series.column.values.len()), moving(&series.column.values)],
            });
        }
    }
    let micros_per_row = 1e6 * seconds / n_rows as f64;
    let table = table(&labelled)?;

    if args.json {
        let report = serde_json::json!({
            "n_files": corpus.len(),
            "n_labelled_files": labelled.len(),
            "n_windows": labelled.iter().map(|l| l.file.n_windows()).sum::<usize>(),
            "n_rows": n_rows,
            "n_alarms": n_alarms,
            "micros_per_row": micros_per_row,
            "nab": table,
        });
        println!("{report}");
        return Ok(());
    }
    println!(
        "{} files, {n_rows} rows, {n_alarms} alarms; {micros_per_row:.2} µs a row",
        corpus.len()
    );
    if table.is_empty() {
        println!("no combined_windows.json: nothing to score against");
    }
    for (group, methods) in &table {
        println!("\n{group}");
        println!("{:>34} {:>9} {:>9} {:>9}", "", "standard", "low FP", "low FN");
        for name in METHODS {
            let Some(by_profile) = methods.get(name) else { continue };
            let of = |p: NabProfile| by_profile.get(p.name()).copied().flatten();
            let shown = |p| of(p).map_or("-".to_owned(), |s| format!("{s:.2}"));
            let [a, b, c] = NabProfile::ALL.map(shown);
            println!("{name:>34} {a:>9} {b:>9} {c:>9}");
        }
    }
    Ok(())
}

/// Scores of a series, each made before the next row is looked at. Rows without a score, for a missing value or at the
/// start, have 0.
fn online(detector: &RarityRecordDetector, column: &NabColumn) -> Result<Vec<f64>> {
    let mut state = detector.new_state();
    let mut last = None;
    let mut scores = Vec::with_capacity(column.values.len());
    for (&time, value) in column.times.iter().zip(&column.values) {
        // A clock that stands still or was set back goes on by the least step until it has caught up.
        let time = last.map_or(time, |t: Timestamp| time.max(Timestamp::from_nanos(t.nanos() + 1)));
        last = Some(time);
        let x = FeatureView::new(detector.schema(), std::slice::from_ref(value))?.at(time);
        let score = detector.step(&mut state, x)?.ready();
        scores.push(score.map_or(0.0, |s| s.value));
    }
    Ok(scores)
}

/// Writes the file's two columns as they stand there, and the scores.
fn write(data: &Path, out: &Path, name: &str, scores: &[f64]) -> Result<()> {
    let bad = |e: csv::Error| Error::new(ErrorKind::Io, e.to_string()).with_source(e);
    let (category, file) = name.split_once('/').unwrap_or(("", name));
    let folder = out.join("prognos").join(category);
    std::fs::create_dir_all(&folder).map_err(|e| Error::new(ErrorKind::Io, e.to_string()).with_source(e))?;
    let mut reader = csv::Reader::from_path(data.join(name)).map_err(bad)?;
    let header = reader.headers().map_err(bad)?;
    let column = |wanted| header.iter().position(|h| h.trim() == wanted).unwrap_or(usize::MAX);
    let (time, value) = (column("timestamp"), column("value"));
    let mut writer = csv::Writer::from_path(folder.join(format!("prognos_{file}"))).map_err(bad)?;
    writer
        .write_record(["timestamp", "value", "anomaly_score"])
        .map_err(bad)?;
    for (record, score) in reader.records().zip(scores) {
        let record = record.map_err(bad)?;
        let field = |i| record.get(i).unwrap_or_default();
        writer
            .write_record([field(time), field(value), &score.to_string()])
            .map_err(bad)?;
    }
    writer
        .flush()
        .map_err(|e| Error::new(ErrorKind::Io, e.to_string()).with_source(e))
}

/// The baseline that looks at nothing.
fn every(n: usize) -> Vec<f64> {
    (1..=n).map(|i| f64::from(u8::from(i % EVERY == 0))).collect()
}

/// The baseline of moving averages: standard deviations from the mean of the window before the row, which moves every 100
/// rows.
fn moving(values: &[f64]) -> Vec<f64> {
    let mut scores = Vec::with_capacity(values.len());
    for (i, chunk) in values.chunks(100).enumerate() {
        let window = &values[(100 * i).saturating_sub(WINDOW)..100 * i];
        let window: Vec<f64> = window.iter().copied().filter(|v| v.is_finite()).collect();
        let n = window.len() as f64;
        let mean = window.iter().sum::<f64>() / n;
        let sd = (window.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let deviations = chunk.iter().map(|x| (x - mean).abs() / sd);
        scores.extend(deviations.map(|z| if z.is_finite() { z } else { 0.0 }));
    }
    scores
}

/// A series with labels, and the scores of each of [`METHODS`].
struct Labelled {
    category: String,
    file: NabFile,
    scores: [Vec<f64>; METHODS.len()],
}

const METHODS: [&str; 3] = [
    "records of rarity",
    "an alarm every 600 rows",
    "moving averages, best threshold",
];

/// Normalised scores by group of files, method and profile; none for files without windows.
type Table = BTreeMap<String, BTreeMap<&'static str, BTreeMap<&'static str, Option<f64>>>>;

fn table(labelled: &[Labelled]) -> Result<Table> {
    let mut table = Table::new();
    if labelled.is_empty() {
        return Ok(table);
    }
    let mut groups: Vec<&str> = labelled.iter().map(|l| l.category.as_str()).collect();
    groups.dedup();
    for (k, name) in METHODS.into_iter().enumerate() {
        for profile in NabProfile::ALL {
            let pairs: Vec<(&NabFile, &[f64])> = labelled.iter().map(|l| (&l.file, l.scores[k].as_slice())).collect();
            // The last method has no scale of its own.
            let threshold = if k + 1 == METHODS.len() {
                nab_best_threshold(&pairs, profile)?.threshold
            } else {
                ALARM
            };
            let mut put = |group: &str, of: &dyn Fn(&Labelled) -> bool| -> Result<()> {
                let (mut raw, mut n_windows) = (0.0, 0);
                for l in labelled.iter().filter(|l| of(l)) {
                    raw += l.file.score(&l.scores[k], threshold, profile)?;
                    n_windows += l.file.n_windows();
                }
                let normalised = (n_windows > 0)
                    .then(|| nab_normalised(raw, n_windows, profile))
                    .transpose()?;
                let methods = table.entry(group.to_owned()).or_default();
                methods.entry(name).or_default().insert(profile.name(), normalised);
                Ok(())
            };
            for &group in &groups {
                put(group, &|l| l.category == group)?;
            }
            put("together", &|_| true)?;
        }
    }
    Ok(table)
}
