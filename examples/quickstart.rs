//! From recorded machines to alarms and remaining lives, in one program: fits a chain on most of a fleet, saves and loads
//! it, streams the machines it has not seen row by row, and judges what was said of them.
//!
//! ```text
//! cargo run --release --example quickstart -- [--data FILE.csv] [--model FILE] [--scores FILE.csv] [--seed N] [--json]
//! ```
//!
//! Without arguments it takes the generated turbofan fleet that comes with the crate. Another fleet is a table in the
//! format of `prognos::dataset::fleet_csv`; its operating settings are the columns named `setting_...`. Where a file
//! `truth.csv` lies beside it, the cycles at which wear set in are read from there to count false alarms.

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use prognos::{
    Error, ErrorKind, Result,
    dataset::fleet_csv,
    decision::{Alarm, AlarmPolicy, Condition},
    detect::PcaDetector,
    diagnose::HealthIndicesParams,
    evaluate,
    features::telemetry,
    fleet::Fleet,
    pipeline::{Pipeline, PipelineParams},
    preprocess::Regimes,
    quantity::Seed,
    rul::GradientBoosting,
    signal::{AssetHistory, Channel, FleetHistory},
};
use std::{
    collections::HashMap,
    fmt::Write,
    path::{Path, PathBuf},
    time::Instant,
};

/// Remaining lives above are learned, and judged, as this.
const LABEL_CAP: f64 = 125.0;
/// Remaining lives at which the table shows an estimate, besides that at the alarm.
const CHECKPOINTS: [f64; 2] = [50.0, 20.0];

/// The split whose training machines the settings were chosen on.
pub const SPLIT: Seed = Seed(1);

#[derive(Parser)]
#[command(about = "Alarms and remaining lives of machines a model has not seen")]
struct Args {
    /// A recorded fleet; the one that comes with the crate unless given
    #[arg(long, value_name = "FILE.csv", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/turbofan_sim/fleet.csv"))]
    data: PathBuf,
    /// Keep the model here
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Write score and remaining life of every tenth row of each machine that was not seen
    #[arg(long, value_name = "FILE.csv")]
    scores: Option<PathBuf>,
    /// Seed that deals machines to those fitted on and those judged
    #[arg(long, default_value_t = SPLIT.0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The machines to fit on, and those to be judged on: whole machines, never rows of one in both.
pub fn split(fleet: &FleetHistory, seed: Seed) -> Result<(FleetHistory, FleetHistory)> {
    fleet.split_by_asset(0.8, seed)
}

/// The unfitted chain.
pub fn chain(channels: &[Channel]) -> PipelineParams {
    let settings: Vec<&str> = channels
        .iter()
        .map(|c| c.name.as_str())
        .filter(|name| name.starts_with("setting_"))
        .collect();
    let regimes = match settings.is_empty() {
        true => Regimes::single(),
        false => Regimes::automatic(8).on(settings),
    };
    Pipeline::params()
        .regimes(regimes)
        .health_indices(
            HealthIndicesParams::default(),
            telemetry()
                .ewma([3.0, 6.0, 12.0, 25.0, 50.0])
                .slope([15.0, 30.0, 60.0, 120.0])
                .residual_sd([30.0])
                .endpoint([30.0])
                .ewma_change(12.0, [10.0, 25.0, 50.0]),
        )
        .features(
            telemetry()
                .ewma([8.0, 30.0])
                .slope([30.0, 60.0])
                .residual_sd([30.0])
                .age(),
        )
        .rul(
            GradientBoosting::params()
                .n_trees(150)
                .n_ensembles(1)
                .label_cap(LABEL_CAP)
                .interval(0.90),
        )
        // The detector's settings were chosen by cross-validation over the training machines alone: of those with which
        // every held-out machine was alarmed before its failure, none twice and none in the first 30% of its life, the
        // ones with the longest median lead. The change since 60 cycles ago takes out that no two machines are alike.
        .healthy_share(0.3)
        .detector_features(telemetry().ewma([15.0]).ewma_change(15.0, [60.0]))
        .detector(PcaDetector::params().explained_variance(0.5).false_alarm_rate(0.05))
        .alarm(AlarmPolicy::m_of_n(8, 10))
}

/// What was said of one machine while its rows came in.
pub struct Watched<'a> {
    pub asset: &'a str,
    /// The last instant, as a count of life units: for cycles, the last one's number.
    life: f64,
    /// Each alarm as it was raised, with its instant and the true remaining life where that is known.
    alarms: Vec<(f64, Option<f64>, Alarm)>,
    /// Each usable row: its number from 0, the true remaining life where that is known, what was said.
    pub rows: Vec<(usize, Option<f64>, Condition)>,
}

/// Streams all machines at once, in the order of time, as a gateway would see them.
pub fn watch<'a>(model: Pipeline, machines: &'a FleetHistory) -> Result<Vec<Watched<'a>>> {
    let unit = machines.life_unit();
    let lives: Vec<Option<Vec<f64>>> = machines.assets().iter().map(|a| a.rul(unit)).collect();
    let mut stream = Vec::new();
    for (machine, asset) in machines.assets().iter().enumerate() {
        stream.extend(asset.rows().enumerate().map(|(i, (time, row))| (time, machine, i, row)));
    }
    stream.sort_by_key(|&(time, ..)| time);

    let count = |time| unit.between(Default::default(), time);
    let new = |a: &'a AssetHistory| Watched {
        asset: a.asset(),
        life: a.times().last().map_or(0.0, |&t| count(t)),
        alarms: vec![],
        rows: vec![],
    };
    let mut watched: Vec<Watched> = machines.assets().iter().map(new).collect();
    let mut fleet: Fleet = Fleet::new(model);
    for (time, machine, i, row) in stream {
        let watched = &mut watched[machine];
        // A row that cannot be used tells nothing; it neither raises nor clears an alarm.
        let Some(decision) = fleet.push(watched.asset, time, row)?.ready() else {
            continue;
        };
        let truth = lives[machine].as_ref().map(|l| l[i]);
        watched.rows.push((i, truth, *decision.condition()));
        if let Some(alarm) = decision.alarm().filter(|a| a.raised_now) {
            watched.alarms.push((count(time), truth, alarm.clone()));
        }
    }
    Ok(watched)
}

/// How good it was, over all machines that were not seen.
struct Figures {
    rmse: f64,
    rmse_constant: f64,
    coverage: f64,
    width: f64,
    median_lead: Option<f64>,
    n_alarmed: usize,
    /// `None` where it is not known when wear set in.
    n_false_alarms: Option<usize>,
}

impl Figures {
    fn of(watched: &[Watched], train: &FleetHistory, onset: Option<&HashMap<String, f64>>) -> Result<Self> {
        let (mut point, mut lower, mut upper, mut truth) = (vec![], vec![], vec![], vec![]);
        for (_, rul, condition) in watched.iter().flat_map(|w| &w.rows) {
            if let (Some(rul), Some(e)) = (rul, condition.rul) {
                point.push(e.rul);
                lower.push(e.lower);
                upper.push(e.upper);
                truth.push(rul.min(LABEL_CAP));
            }
        }
        // The baseline that looks at no sensor: the mean capped life left over all training rows.
        let rul_of = |a: &AssetHistory| a.rul(train.life_unit());
        let labels = train.assets().iter().filter_map(rul_of).flatten();
        let (sum, n) = labels.fold((0.0, 0.0), |(sum, n), l| (sum + l.min(LABEL_CAP), n + 1.0));
        let mut leads: Vec<f64> = watched
            .iter()
            .filter_map(|w| w.alarms.last().and_then(|a| a.1))
            .collect();
        leads.sort_by(f64::total_cmp);
        let is_false = |w: &Watched, at: f64| onset.is_some_and(|o| o.get(w.asset).is_some_and(|&last| at <= last));
        let n_false = watched
            .iter()
            .map(|w| w.alarms.iter().filter(|a| is_false(w, a.0)).count());
        Ok(Self {
            rmse: evaluate::rmse(&point, &truth)?,
            rmse_constant: evaluate::rmse(&vec![sum / n; truth.len()], &truth)?,
            coverage: evaluate::coverage(&lower, &upper, &truth)?,
            width: evaluate::mean_width(&lower, &upper)?,
            median_lead: match leads.len() {
                0 => None,
                n => Some((leads[(n - 1) / 2] + leads[n / 2]) / 2.0),
            },
            n_alarmed: watched.iter().filter(|w| !w.alarms.is_empty()).count(),
            n_false_alarms: onset.map(|_| n_false.sum()),
        })
    }
}

/// When wear set in, by machine, from the `truth.csv` of a generated fleet; `None` without such a file.
fn onsets(path: &Path) -> Option<HashMap<String, f64>> {
    let mut table = csv::Reader::from_path(path).ok()?;
    let column = table.headers().ok()?.iter().position(|h| h == "onset_cycle")?;
    let of_record = |r: csv::StringRecord| Some((r.get(0)?.to_owned(), r.get(column)?.parse().ok()?));
    table.records().map(|r| of_record(r.ok()?)).collect()
}

/// `asset,row,score,threshold,rul,lower,upper` of every tenth row, each number in the shortest form that reads back the same.
pub fn scores_csv(watched: &[Watched]) -> String {
    let mut table = "asset,row,score,threshold,rul,lower,upper\n".to_owned();
    for w in watched {
        for (i, _, condition) in w.rows.iter().filter(|r| r.0 % 10 == 0) {
            let (score, rul) = (condition.score, condition.rul);
            let [rul, lower, upper] = rul.map_or([f64::NAN; 3], |e| [e.rul, e.lower, e.upper]);
            let _ = writeln!(
                table,
                "{},{i},{},{},{rul},{lower},{upper}",
                w.asset, score.value, score.threshold
            );
        }
    }
    table
}

fn print_table(watched: &[Watched], unit: &str) {
    let estimate = |c: &Condition| {
        c.rul
            .map_or("-".into(), |e| format!("{:.0} ({:.0}..{:.0})", e.rul, e.lower, e.upper))
    };
    let [first, second] = CHECKPOINTS.map(|c| format!("RUL, truth {c:.0}"));
    println!(
        "{:>8} {:>6} {:>9} {:>6}   {:<14} {:<14} {:<14} sensors behind the alarm",
        "machine", "life", "alarm at", "lead", "RUL at alarm", first, second
    );
    for w in watched {
        let at = |left: f64| w.rows.iter().find(|r| r.1.is_some_and(|rul| rul <= left));
        let [first, second] = CHECKPOINTS.map(|c| at(c).map_or("-".into(), |r| estimate(&r.2)));
        // Of an alarm that was cleared, the next one counts.
        let (mut when, mut lead, mut rul, mut causes) = ("none".into(), "-".into(), "-".into(), String::new());
        if let Some((count, truth, alarm)) = w.alarms.last() {
            when = format!("{count:.0}");
            lead = truth.map_or("-".into(), |l| format!("{l:.0}"));
            rul = estimate(&alarm.condition);
            let named = alarm.causes.iter().flatten();
            let parts: Vec<String> = named
                .map(|c| format!("{} {:.0}%", c.channel, 100.0 * c.share))
                .collect();
            causes = parts.join(", ");
        }
        println!(
            "{:>8} {:>6.0} {when:>9} {lead:>6}   {rul:<14} {first:<14} {second:<14} {causes}",
            w.asset, w.life
        );
    }
    println!("All in {unit}; RUL with its 90% interval in brackets.");
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
    let fleet = fleet_csv::read_fleet(&args.data)?;
    let (train, unseen) = split(&fleet, Seed(args.seed))?;

    let style = ProgressStyle::with_template("{msg:>16} [{bar:30}] {pos}/{len}").expect("a valid template");
    let bar = ProgressBar::new(1).with_style(style);
    let start = Instant::now();
    let model = chain(fleet.channels()).fit_with(&train, |p| {
        bar.set_length(p.total.into());
        bar.set_position(p.done.into());
        bar.set_message(p.stage);
    })?;
    bar.finish_and_clear();
    let fit_seconds = start.elapsed().as_secs_f64();

    // What is fitted here and what runs in a service meet in this file only.
    let folder = tempfile::tempdir().map_err(|e| Error::new(ErrorKind::Io, "no temporary folder").with_source(e))?;
    let path = args.model.unwrap_or_else(|| folder.path().join("model.prognos"));
    model.save(&path)?;
    let model_bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
    let model = Pipeline::load(&path)?;
    let n_regimes = model.n_regimes();

    let start = Instant::now();
    let watched = watch(model, &unseen)?;
    let row_micros = start.elapsed().as_secs_f64() * 1e6 / unseen.n_rows() as f64;
    if let Some(path) = &args.scores {
        prognos::envelope::write_atomic(path, scores_csv(&watched).as_bytes())?;
    }
    let onset = onsets(&args.data.with_file_name("truth.csv"));
    let f = Figures::of(&watched, &train, onset.as_ref())?;

    if args.json {
        let report = serde_json::json!({
            "n_train_assets": train.assets().len(),
            "n_unseen_assets": unseen.assets().len(),
            "n_regimes": n_regimes,
            "rmse_capped": f.rmse,
            "rmse_capped_constant": f.rmse_constant,
            "coverage_90": f.coverage,
            "width_90": f.width,
            "n_alarmed": f.n_alarmed,
            "median_lead": f.median_lead,
            "n_false_alarms": f.n_false_alarms,
            "fit_seconds": fit_seconds,
            "micros_per_row": row_micros,
            "model_bytes": model_bytes,
        });
        println!("{report}");
        return Ok(());
    }
    let (n_train, n_unseen, unit) = (train.assets().len(), unseen.assets().len(), fleet.life_unit());
    println!(
        "Fitted on {n_train} machines ({} rows, {n_regimes} operating regimes found) in {fit_seconds:.1} s; the model file has {} kB.",
        train.n_rows(),
        model_bytes / 1000,
    );
    println!(
        "Streamed {n_unseen} machines it has not seen ({} rows), {row_micros:.1} µs a row.\n",
        unseen.n_rows()
    );
    print_table(&watched, unit.name());
    println!(
        "\nRUL over all rows of these machines, capped at {LABEL_CAP:.0}: RMSE {:.1} {unit}, {:.1} for a constant guess; the 90% interval",
        f.rmse, f.rmse_constant
    );
    println!(
        "covers {:.0}% of them and is {:.0} {unit} wide on average.",
        100.0 * f.coverage,
        f.width
    );
    let lead = f
        .median_lead
        .map_or(String::new(), |l| format!(", median lead {l:.0} {unit}"));
    let false_alarms = match f.n_false_alarms {
        Some(n) => format!("{n} false (raised before wear set in)"),
        None => "false ones not counted, as it is not known when wear set in".into(),
    };
    println!(
        "Alarms: {} of {n_unseen} machines before failure{lead}; {false_alarms}.",
        f.n_alarmed
    );
    Ok(())
}
