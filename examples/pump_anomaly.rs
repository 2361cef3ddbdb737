//! Finds faults of a pump in the recordings of the Skoltech Anomaly Benchmark (SKAB), as its protocol asks: the first 400
//! rows of a recording train, the rest come row by row and are judged.
//!
//! ```text
//! cargo run --release --example pump_anomaly -- --data DIR [--out DIR] [--json]
//! ```
//!
//! `--data` holds `<group>/<n>.csv` as the benchmark ships them; `--out` gets a file of the same name each, with a column
//! `anomaly`, 0 or 1 for each row after the first 400. Printed are F1, false alarm rate (FAR) and missed alarm rate (MAR)
//! of each group and of all labelled recordings together, beside what two rules score that look at no sensor: an alarm in
//! every row, and one in rows 170 to 580 of every test part. Settings are the same for all recordings, and no label was
//! used to set a threshold.

use clap::Parser;
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    Error, ErrorKind, Result,
    dataset::skab::{self, SkabRecord},
    detect::{NearestNeighbours, NeighbourDistance, SmoothedDetector},
    evaluate::Confusion,
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{Assessment, OnlineModel},
    preprocess::SlowChannels,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Rows of a recording that train.
const N_TRAIN: usize = 400;
/// Channels below this von Neumann ratio drift too slowly for 400 rows to say what is usual.
const LEAST_RATIO: f64 = 0.4;

#[derive(Parser)]
#[command(about = "Faults of a pump in the recordings of the Skoltech Anomaly Benchmark")]
struct Args {
    /// Folder with <group>/<n>.csv
    #[arg(long)]
    data: PathBuf,
    /// Folder to write <group>/<n>.csv to, with a column `anomaly` for every row after the first 400
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print one JSON object, rates as shares of one
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(out) = &args.out
        && let (Ok(out), Ok(data)) = (fs::canonicalize(out), fs::canonicalize(&args.data))
        && out == data
    {
        let message = "--out: expected another folder than --data, whose files have the same names, got the same";
        return Err(Error::new(ErrorKind::InvalidParameter, message));
    }
    let records = skab::load(&args.data)?;
    let schema = FeatureSchema::of_channels(&skab::channels())?;
    let kept = fast_channels(&schema, &records)?;
    let schema = schema.select(&kept)?;

    let mut report = Report::default();
    for record in &records {
        let alarms = alarms(&schema, &kept, record).map_err(|e| e.context(&record.name))?;
        if let Some(out) = &args.out {
            write(&out.join(format!("{}.csv", record.name)), &alarms)?;
        }
        report.add(record, &alarms)?;
    }
    let channels: Vec<&str> = schema.features().iter().map(|f| f.name.as_str()).collect();
    if args.json {
        println!("{}", report.json(&channels));
    } else {
        println!("channels: {}\n", channels.join(", "));
        report.print();
    }
    Ok(())
}

/// The channels of the rig that move within a training period, by the training rows of all recordings.
fn fast_channels(schema: &FeatureSchema, records: &[SkabRecord]) -> Result<Vec<usize>> {
    let (mut values, mut asset) = (Vec::new(), Vec::new());
    for (record, number) in records.iter().zip(0..) {
        for (_, row) in record.history.rows().take(N_TRAIN) {
            values.extend_from_slice(row);
            asset.push(number);
        }
    }
    SlowChannels::of(&table(schema, values, asset)?).faster_than(LEAST_RATIO)
}

/// Whether each row after the training rows is anomalous.
fn alarms(schema: &FeatureSchema, kept: &[usize], record: &SkabRecord) -> Result<Vec<bool>> {
    if record.history.n_rows() <= N_TRAIN {
        let expected = format!("more than {N_TRAIN} rows, those that train");
        let message = format!("recording: expected {expected}, got {}", record.history.n_rows());
        return Err(Error::new(ErrorKind::InsufficientData, message));
    }
    let pick = |row: &[f64]| -> Vec<f64> { kept.iter().filter_map(|&j| row.get(j).copied()).collect() };
    let train: Vec<f64> = record
        .history
        .rows()
        .take(N_TRAIN)
        .flat_map(|(_, row)| pick(row))
        .collect();
    let detector = SmoothedDetector::params(
        NearestNeighbours::params()
            .n_neighbors(5)
            .distance(NeighbourDistance::Mean),
    )
    .scores(20)
    .release(0.2)
    .n_folds(4)
    .false_alarm_rate(0.01)
    .fit(&DatasetBase::new(table(schema, train, vec![0; N_TRAIN])?, ()))?;

    // The training rows pass as well: the first row to be judged has a past.
    let mut state = detector.new_state();
    let (mut alarm, mut alarms) = (false, Vec::new());
    for (time, row) in record.history.rows() {
        let row = pick(row);
        // A row without a result changes no alarm.
        if let Assessment::Ready(score) = detector.step(&mut state, FeatureView::new(schema, &row)?.at(time))? {
            alarm = score.is_anomalous();
        }
        alarms.push(alarm);
    }
    Ok(alarms.split_off(N_TRAIN))
}

fn table(schema: &FeatureSchema, values: Vec<f64>, asset: Vec<u32>) -> Result<FeatureTable> {
    let values = Array2::from_shape_vec((asset.len(), schema.len()), values)
        .map_err(|e| Error::new(ErrorKind::InvalidInput, format!("rows: {e}")))?;
    FeatureTable::new(schema.clone(), values, asset)
}

fn write(path: &Path, alarms: &[bool]) -> Result<()> {
    let failed =
        |e: &dyn std::fmt::Display| Error::new(ErrorKind::Io, format!("cannot write `{}`: {e}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| failed(&e))?;
    }
    let mut out = csv::Writer::from_path(path).map_err(|e| failed(&e))?;
    out.write_record(["anomaly"]).map_err(|e| failed(&e))?;
    for &alarm in alarms {
        out.write_record([if alarm { "1" } else { "0" }])
            .map_err(|e| failed(&e))?;
    }
    out.flush().map_err(|e| failed(&e))
}

/// A way to set alarms: by the sensors, or by a rule that looks at none.
type Rule = fn(usize, bool) -> bool;
const RULES: [(&str, Rule); 3] = [
    ("detector", |_, alarm| alarm),
    ("all_ones", |_, _| true),
    ("rows_170_to_580", |i, _| (170..580).contains(&i)),
];

/// Counts of each rule, by group.
#[derive(Default)]
struct Report {
    groups: BTreeMap<String, [Confusion; RULES.len()]>,
    n_files: BTreeMap<String, usize>,
    /// Recordings without labels: rows in alarm, and rows.
    unlabelled: BTreeMap<String, (usize, usize)>,
}

impl Report {
    fn add(&mut self, record: &SkabRecord, alarms: &[bool]) -> Result<()> {
        let Some(truth) = record.anomaly.as_ref().and_then(|a| a.get(N_TRAIN..)) else {
            let in_alarm = alarms.iter().filter(|a| **a).count();
            self.unlabelled.insert(record.name.clone(), (in_alarm, alarms.len()));
            return Ok(());
        };
        let group = record.name.split('/').next().unwrap_or_default();
        *self.n_files.entry(group.to_owned()).or_default() += 1;
        let counts = self.groups.entry(group.to_owned()).or_default();
        for (count, (_, rule)) in counts.iter_mut().zip(RULES) {
            let alarms: Vec<bool> = alarms.iter().enumerate().map(|(i, &a)| rule(i, a)).collect();
            *count += Confusion::of_alarms(&alarms, truth)?;
        }
        Ok(())
    }

    /// Groups, and all of them together, with the counts of rule number `rule`.
    fn counts(&self, rule: usize) -> Vec<(&str, Confusion)> {
        let of = |c: &[Confusion; RULES.len()]| c.get(rule).copied().unwrap_or_default();
        let mut counts: Vec<_> = self.groups.iter().map(|(g, c)| (g.as_str(), of(c))).collect();
        counts.push(("pooled", self.groups.values().map(of).sum()));
        counts
    }

    fn json(&self, channels: &[&str]) -> serde_json::Value {
        let figures = |c: Confusion| {
            serde_json::json!({
                "f1": c.f1().ok(),
                "far": c.false_alarm_rate().ok(),
                "mar": c.missed_alarm_rate().ok(),
            })
        };
        let mut report = serde_json::json!({ "channels": channels, "n_files": self.n_files });
        for (i, (rule, _)) in RULES.iter().enumerate() {
            for (group, counts) in self.counts(i) {
                report[rule][group] = figures(counts);
            }
        }
        for (name, (in_alarm, of)) in &self.unlabelled {
            report["unlabelled"][name] = serde_json::json!({ "rows": of, "rows_in_alarm": in_alarm });
        }
        report
    }

    fn print(&self) {
        println!("{:<16} {:<8} {:>6}  {:>6}  {:>6}", "", "group", "F1", "FAR %", "MAR %");
        for (i, (rule, _)) in RULES.iter().enumerate() {
            for (group, c) in self.counts(i) {
                let percent = |share: Result<f64>| share.map_or("-".into(), |s| format!("{:.1}", 100.0 * s));
                let f1 = c.f1().map_or("-".into(), |f| format!("{f:.3}"));
                let (far, mar) = (percent(c.false_alarm_rate()), percent(c.missed_alarm_rate()));
                println!("{rule:<16} {group:<8} {f1:>6}  {far:>6}  {mar:>6}");
            }
        }
        for (name, (n, of)) in &self.unlabelled {
            println!("\n{name}: no labels, {n} of {of} rows in alarm");
        }
    }
}
