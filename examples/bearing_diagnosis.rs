//! Diagnoses rolling bearings from recorded vibration, by physics alone.
//!
//! ```text
//! cargo run --release --example bearing_diagnosis -- --data CWRU            # all records of a folder with an index.csv
//! cargo run --release --example bearing_diagnosis -- --file 105.mat --channel DE --rate 12000 --bearing 6205
//! cargo run --release --example bearing_diagnosis                          # generated bearings, nothing to download
//! ```
//!
//! `--json` prints one object a record. `--wrong-geometries N` asks each record of a folder about N bearings that it was not
//! taken from.

use clap::Parser;
use prognos::{
    Error, ErrorKind, Result,
    dataset::{cwru, matlab::MatFile},
    diagnose::bearing::{BearingRecord, BearingReport, BearingVerdict},
    features::bearing::{self, BearingGeometry, BearingOrders},
    quantity::{Hertz, Seed},
    simulate,
};
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

#[derive(Parser)]
struct Arguments {
    /// A folder with `index.csv` and the records it lists.
    #[arg(long, conflicts_with = "file")]
    data: Option<PathBuf>,
    /// One record: a MATLAB 5 file as the CWRU bearing data centre publishes.
    #[arg(long, requires = "rate")]
    file: Option<PathBuf>,
    /// The accelerometer: DE (drive end), FE (fan end) or BA (base).
    #[arg(long, default_value = "DE")]
    channel: String,
    /// Samples a second of `--file`.
    #[arg(long, requires = "file", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Revolutions a minute; from the file, or nominal by load, unless given.
    #[arg(long, allow_negative_numbers = true)]
    rpm: Option<f64>,
    /// The bearing at the channel, by its name in the catalogue.
    #[arg(long, default_value = "6205-2RS JEM")]
    bearing: String,
    /// Bearings of random wrong geometry to ask each record about.
    #[arg(long, default_value_t = 0)]
    wrong_geometries: usize,
    /// One JSON object a record instead of a table.
    #[arg(long)]
    json: bool,
}

/// A record to judge.
struct Record {
    name: String,
    truth: Option<&'static str>,
    samples: Vec<f64>,
    rate: Hertz,
    shaft: Hertz,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let orders = bearing::find(&arguments.bearing)?.orders;
    let mut wrong = WrongGeometries::new(orders, arguments.wrong_geometries);
    let mut table = Table::default();
    // A speed by hand that contradicts the record's own is worth a word: every line depends on it.
    let speed = |recorded: Option<f64>| {
        if let (Some(given), Some(recorded)) = (arguments.rpm, recorded)
            && (given / recorded - 1.0).abs() > 0.02
        {
            eprintln!("warning: --rpm {given} is used, but {recorded} rpm is on record");
        }
        speed(arguments.rpm.or(recorded))
    };
    let mut judge = |record: Record| -> Result<()> {
        let measured = BearingRecord::measure(&record.samples, record.rate, record.shaft)?;
        let report = measured.judge(&orders);
        wrong.ask(&record.name, &measured);
        if arguments.json {
            println!("{}", json(&record, &report));
        } else {
            table.add(&record, &report);
        }
        Ok(())
    };
    match (&arguments.data, &arguments.file) {
        (Some(dir), _) => {
            for entry in cwru::read_index(dir)? {
                let loaded = entry.load()?;
                let rpm = loaded.rpm.or(cwru::nominal_rpm(entry.load_hp));
                judge(Record {
                    name: entry.record.to_string(),
                    truth: Some(truth(entry.fault)),
                    samples: channel(&loaded, &arguments.channel)?,
                    rate: entry.sample_rate,
                    shaft: speed(rpm)?,
                })?;
            }
        }
        (None, Some(file)) => {
            let rate = Hertz::new(arguments.rate.unwrap_or_default())?;
            let named = file.file_stem().and_then(|s| s.to_str()?.parse().ok());
            let loaded = cwru::record_in(&MatFile::read(file)?, named, rate).map_err(|e| e.context(file.display()))?;
            judge(Record {
                name: file.display().to_string(),
                truth: None,
                samples: channel(&loaded, &arguments.channel)?,
                rate,
                shaft: speed(loaded.rpm)?,
            })?;
        }
        (None, None) => {
            let rate = Hertz::new(12_000.0)?;
            let shaft = Hertz::from_rpm(arguments.rpm.unwrap_or(1772.0))?;
            for (i, fault) in simulate::BearingCondition::ALL.into_iter().enumerate() {
                let params = simulate::BearingVibration::params(orders, rate, shaft).condition(fault);
                judge(Record {
                    name: format!("generated {}", i + 1),
                    truth: Some(fault.name()),
                    samples: params.generate(10.0, Seed(i as u64))?,
                    rate,
                    shaft,
                })?;
            }
        }
    }
    if !arguments.json {
        table.print();
        wrong.print();
    }
    Ok(())
}

fn truth(fault: cwru::Fault) -> &'static str {
    match fault {
        cwru::Fault::Normal => "healthy",
        cwru::Fault::InnerRace => "inner_race",
        cwru::Fault::OuterRace => "outer_race",
        cwru::Fault::Ball => "ball",
        _ => "unknown",
    }
}

fn channel(record: &cwru::CwruRecord, name: &str) -> Result<Vec<f64>> {
    let samples = record.recording.channel_named(name);
    samples.map(<[f64]>::to_vec).ok_or_else(|| {
        let names: Vec<&str> = record.recording.channels().iter().map(|c| c.name.as_str()).collect();
        let message = format!(
            "record {}: expected channel `{name}`, got {}",
            record.number,
            names.join(", ")
        );
        Error::new(ErrorKind::InvalidInput, message)
    })
}

fn speed(rpm: Option<f64>) -> Result<Hertz> {
    let missing = || Error::new(ErrorKind::InvalidInput, "speed: the file has none, give --rpm");
    Hertz::from_rpm(rpm.ok_or_else(missing)?)
}

fn json(record: &Record, report: &BearingReport) -> serde_json::Value {
    let lines: Vec<_> = report
        .candidates
        .iter()
        .flat_map(|c| {
            c.lines.iter().map(|l| {
                serde_json::json!({
                    "fault": c.fault,
                    "harmonic": l.harmonic,
                    "order": l.order,
                    "frequency_hz": l.frequency_hz,
                    "signal_to_noise_db": l.signal_to_noise_db,
                    "amplitude_percent": l.amplitude_percent,
                    "sideband_signal_to_noise_db": l.sideband_signal_to_noise_db,
                })
            })
        })
        .collect();
    let candidates: Vec<_> = report
        .candidates
        .iter()
        .map(|c| {
            serde_json::json!({
                "fault": c.fault,
                "nominal_order": c.nominal_order,
                "order": c.order,
                "slip_percent": c.slip_percent,
                "score": c.score,
                "modulation_percent": c.modulation_percent,
            })
        })
        .collect();
    serde_json::json!({
        "record": record.name,
        "truth": record.truth,
        "verdict": report.verdict,
        "confidence": report.confidence,
        "shaft_hz": report.shaft_hz,
        "stated_shaft_hz": record.shaft.get(),
        "shaft_is_refined": report.shaft_is_refined,
        "kurtosis": report.kurtosis,
        "strongest_order": report.strongest_order,
        "strongest_score": report.strongest_score,
        "candidates": candidates,
        "lines": lines,
        "evidence": report.evidence,
    })
}

#[derive(Default)]
struct Table {
    rows: Vec<String>,
    counts: BTreeMap<(&'static str, &'static str), usize>,
}

impl Table {
    fn add(&mut self, record: &Record, report: &BearingReport) {
        let scores: Vec<String> = report
            .candidates
            .iter()
            .map(|c| format!("{:4.1} {:3.0}%", c.score, c.modulation_percent))
            .collect();
        let truth = record.truth.unwrap_or("?");
        self.rows.push(format!(
            "{:>12}  {truth:<10}  {:<12}  {:10.2}  {:8.3}  {}",
            record.name,
            report.verdict,
            report.confidence,
            report.shaft_hz,
            scores.join("  ")
        ));
        if record.truth.is_none() {
            self.rows.extend(report.evidence.iter().map(|e| format!("    {e}")));
        }
        *self.counts.entry((truth, report.verdict.name())).or_default() += 1;
    }

    fn print(&self) {
        println!(
            "{:>12}  {:<10}  {:<12}  confidence  shaft Hz  inner race  outer race        ball  (score, modulation)",
            "record", "truth", "verdict"
        );
        self.rows.iter().for_each(|r| println!("{r}"));
        let count = |f: fn(&(&'static str, &'static str)) -> bool| -> usize {
            self.counts.iter().filter(|(k, _)| f(k)).map(|(_, n)| n).sum()
        };
        let faulty = count(|(t, _)| !matches!(*t, "healthy" | "?"));
        if faulty == 0 {
            return;
        }
        println!(
            "\nOf {faulty} faulty records {} right, {} wrong, {} undetermined; of {} healthy ones {} healthy.",
            count(|(t, v)| t == v && *t != "healthy"),
            count(|(t, v)| t != v && !matches!(*t, "healthy" | "?") && *v != "undetermined"),
            count(|(t, v)| !matches!(*t, "healthy" | "?") && *v == "undetermined"),
            count(|(t, _)| *t == "healthy"),
            count(|(t, v)| *t == "healthy" && *v == "healthy"),
        );
        for ((truth, verdict), n) in &self.counts {
            println!("  {truth:<10} -> {verdict:<12} {n:3}");
        }
    }
}

/// Bearings that no record was taken from, and how often a fault of one was claimed.
struct WrongGeometries {
    bearings: Vec<BearingOrders>,
    n_asked: usize,
    claims: Vec<String>,
}

impl WrongGeometries {
    /// Geometries whose orders lie 5% or more from those of the true bearing, drawn from a fixed seed.
    fn new(truth: BearingOrders, n: usize) -> Self {
        let lines = |o: &BearingOrders| [o.bpfi(), o.bpfo(), 2.0 * o.bsf()];
        let mut state = 1_u64;
        let mut uniform = move || {
            // Knuth's linear congruential generator: enough for a list of bearings.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut bearings = Vec::new();
        while bearings.len() < n {
            let n_elements = 6 + (uniform() * 11.0) as u32;
            let (ratio, angle) = (0.1 + 0.25 * uniform(), 40.0 * uniform());
            let Ok(geometry) = BearingGeometry::new(n_elements, 100.0 * ratio, 100.0, angle) else {
                continue;
            };
            let orders = geometry.orders();
            let far = |o: &f64| lines(&truth).iter().all(|t| (o / t - 1.0).abs() > 0.05);
            if lines(&orders).iter().all(far) {
                bearings.push(orders);
            }
        }
        Self {
            bearings,
            n_asked: 0,
            claims: Vec::new(),
        }
    }

    fn ask(&mut self, name: &str, record: &BearingRecord) {
        for orders in &self.bearings {
            let report = record.judge(orders);
            self.n_asked += 1;
            if !matches!(report.verdict, BearingVerdict::Healthy | BearingVerdict::Undetermined) {
                let grounds = report.evidence.last().cloned().unwrap_or_default();
                self.claims.push(format!("  record {name}: {grounds}"));
            }
        }
    }

    fn print(&self) {
        if self.n_asked > 0 {
            println!(
                "\nAsked {} times about a wrong bearing, {} claims.",
                self.n_asked,
                self.claims.len()
            );
            self.claims.iter().take(20).for_each(|c| println!("{c}"));
        }
    }
}
