//! What a fleet costs: rows a second, the time of a push, memory, snapshots.
//!
//! ```text
//! cargo run --release --features parallel --example fleet -- --assets 100000 --sensors 20 --seconds 10
//! cargo run --release --features parallel --example fleet -- --rul 60 --threads 2 --json
//! ```
//!
//! Generated machines, each of whose sensors follow a few loads, wear and noise; a chain of EWMAs, a PCA detector (T2 and Q), an
//! alarm machine and, with `--rul N`, gradient-boosted trees asked at every N-th row of a machine. All machines send a row in
//! turn, as they do once a minute. Rows are made beforehand: what is timed is the fleet.

mod process_memory;

use clap::Parser;
use prognos::{
    Result,
    decision::AlarmPolicy,
    detect::PcaDetector,
    features::telemetry,
    fleet::{Fleet, FleetRow},
    model::Assessment,
    pipeline::Pipeline,
    quantity::{LifeUnit, Seed, Timestamp},
    rul::GradientBoosting,
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use serde_json::json;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "What a fleet costs: rows a second, the time of a push, memory, snapshots")]
struct Args {
    /// Machines.
    #[arg(long, default_value_t = 100_000)]
    assets: usize,
    /// Sensors of a machine.
    #[arg(long, default_value_t = 20)]
    sensors: usize,
    /// Seconds that each measurement lasts at least.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Ask gradient-boosted trees for the remaining life at every N-th row of a machine; 0: none.
    #[arg(long, default_value_t = 0)]
    rul: u32,
    /// Threads for batches (with the feature `parallel`).
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Cost of a row over fleets of 1,000, 10,000, ... up to so many machines; a plot is written as SVG to `--plot`.
    #[arg(long)]
    scale_to: Option<usize>,
    /// The file the plot is written to.
    #[arg(long, default_value = "fleet_scale.svg")]
    plot: std::path::PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const LOADS: usize = 4;
/// Different rows that machines send; each machine begins at another.
const N_ROWS: usize = 4096;
const MINUTE: i64 = 60_000_000_000;

/// A number in -1..1 of `part`.
fn noise(seed: Seed, part: u64) -> f64 {
    (seed.part(part).0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Rows of one machine: sensors follow loads and wear, and add noise.
fn rows(machine: u64, n: usize, n_sensors: usize, worn: impl Fn(usize) -> f64) -> Vec<f64> {
    let (seed, mut loads) = (Seed(17).part(machine), [0.0; LOADS]);
    let mut values = Vec::with_capacity(n * n_sensors);
    for row in 0..n {
        let part = (row * (n_sensors + LOADS)) as u64;
        for (l, load) in loads.iter_mut().enumerate() {
            *load = 0.9 * *load + 0.4 * noise(seed, part + l as u64);
        }
        for s in 0..n_sensors {
            let share = |l: usize| noise(Seed(3), (s * LOADS + l) as u64);
            let driven: f64 = loads.iter().enumerate().map(|(l, load)| share(l) * load).sum();
            let wear = worn(row) * if s % 3 == 0 { 1.0 } else { 0.2 };
            values.push(50.0 + s as f64 + driven + wear + 0.2 * noise(seed, part + (LOADS + s) as u64));
        }
    }
    values
}

fn model(args: &Args) -> Result<Pipeline> {
    let channels = (0..args.sensors)
        .map(|s| Channel::new(format!("sensor_{s}"), "1"))
        .collect();
    let mut train = FleetHistory::new(channels, LifeUnit::Hours)?;
    for machine in 0..30 {
        let life = 1500 + 37 * machine;
        let values = rows(machine as u64, life, args.sensors, |row| {
            3.0 * (row as f64 / life as f64).powi(4)
        });
        let times = (0..life as i64).map(|i| Timestamp::from_nanos(i * MINUTE)).collect();
        train.push(AssetHistory::new(
            format!("{machine}"),
            times,
            values,
            args.sensors,
            EndOfLife::Failed,
        )?)?;
    }
    let chain = Pipeline::params()
        .detector_features(telemetry().ewma([1.0]))
        .features(telemetry().ewma([1.0]))
        .detector(PcaDetector::params().explained_variance(0.9))
        .alarm(AlarmPolicy::m_of_n(3, 5));
    let chain = match args.rul {
        0 => chain,
        n => chain.rul(GradientBoosting::params().n_folds(2)).prognose_every(n),
    };
    chain.fit(&train)
}

fn quantile(sorted: &[u64], p: f64) -> u64 {
    let at = (p * sorted.len() as f64) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// A fleet all of whose machines have sent rows; the recorded ones, and the number of turns so far.
struct Bench {
    fleet: Fleet<u64>,
    values: Vec<f64>,
    n_sensors: usize,
    turn: usize,
}

impl Bench {
    fn new(model: &Pipeline, args: &Args, n_assets: usize) -> Result<Self> {
        let shards = if args.threads > 1 { 4 * args.threads } else { 1 };
        let fleet = Fleet::<u64>::params().shards(shards).build(model.clone())?;
        let values = rows(1000, N_ROWS, args.sensors, |_| 0.0);
        let mut bench = Self {
            fleet,
            values,
            n_sensors: args.sensors,
            turn: 0,
        };
        for _ in 0..3 {
            bench.take_turns(n_assets, 0, n_assets)?;
        }
        Ok(bench)
    }

    fn row(&self, asset: usize, turn: usize) -> (Timestamp, &[f64]) {
        let at = (turn + 31 * asset) % N_ROWS * self.n_sensors;
        (
            Timestamp::from_nanos(turn as i64 * MINUTE),
            &self.values[at..at + self.n_sensors],
        )
    }

    /// The rows of the machines from `first` on, of this turn.
    fn take_turns(&mut self, n_assets: usize, first: usize, n: usize) -> Result<usize> {
        let mut alarms = 0;
        for asset in first..first + n {
            let at = (self.turn + 31 * asset) % N_ROWS * self.n_sensors;
            let time = Timestamp::from_nanos(self.turn as i64 * MINUTE);
            let outcome = self
                .fleet
                .push(&(asset as u64), time, &self.values[at..at + self.n_sensors])?;
            alarms += usize::from(matches!(outcome, Assessment::Ready(d) if d.alarm().is_some()));
        }
        if first + n == n_assets {
            self.turn += 1;
        }
        Ok(alarms)
    }

    /// Rows a second, row by row.
    fn rate(&mut self, n_assets: usize, seconds: f64) -> Result<f64> {
        let (started, mut n) = (Instant::now(), 0);
        while started.elapsed().as_secs_f64() < seconds || n == 0 {
            self.take_turns(n_assets, 0, n_assets)?;
            n += n_assets;
        }
        Ok(n as f64 / started.elapsed().as_secs_f64())
    }

    /// Rows a second in batches of all machines.
    fn batch_rate(&mut self, n_assets: usize, seconds: f64) -> f64 {
        let (mut spent, mut n) = (Duration::ZERO, 0);
        let keys: Vec<u64> = (0..n_assets as u64).collect();
        while spent.as_secs_f64() < seconds || n == 0 {
            let empty = Fleet::new(self.fleet.model().clone());
            let mut fleet = std::mem::replace(&mut self.fleet, empty);
            let batch: Vec<FleetRow<'_, u64>> = keys
                .iter()
                .map(|asset| {
                    let (time, values) = self.row(*asset as usize, self.turn);
                    FleetRow { asset, time, values }
                })
                .collect();
            let started = Instant::now();
            fleet.for_each_row(&batch, |_, outcome| {
                std::hint::black_box(outcome.is_ok());
            });
            spent += started.elapsed();
            drop(batch);
            self.fleet = fleet;
            self.turn += 1;
            n += n_assets;
        }
        n as f64 / spent.as_secs_f64()
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    if args.assets == 0 || args.sensors == 0 {
        return Err("--assets and --sensors: expected at least 1".into());
    }
    let model = model(&args)?;
    if let Some(most) = args.scale_to {
        return scale(&model, &args, most);
    }
    let before = process_memory::bytes_held();
    let mut bench = Bench::new(&model, &args, args.assets)?;
    let held = process_memory::bytes_held() - before - (bench.values.len() * 8) as i64;
    let rate = bench.rate(args.assets, args.seconds)?;

    // Of single pushes, and what they allocate.
    let mut nanos = Vec::with_capacity(args.assets.min(1_000_000));
    let allocated = process_memory::allocations();
    for asset in 0..args.assets.min(1_000_000) {
        let started = Instant::now();
        bench.take_turns(args.assets, asset, 1)?;
        nanos.push(started.elapsed().as_nanos() as u64);
    }
    let allocated = process_memory::allocations() - allocated;
    let mut clock: Vec<u64> = (0..100_000)
        .map(|_| Instant::now().elapsed().as_nanos() as u64)
        .collect();
    clock.sort_unstable();
    nanos.sort_unstable();
    let n_pushes = nanos.len();
    if n_pushes < args.assets {
        bench.take_turns(args.assets, n_pushes, args.assets - n_pushes)?;
    }

    // Batches on one thread and on several.
    let one = on_threads(1, || bench.batch_rate(args.assets, args.seconds))?;
    let several = match args.threads {
        0 | 1 => None,
        n => Some(on_threads(n, || bench.batch_rate(args.assets, args.seconds))?),
    };

    let started = Instant::now();
    let mut bytes = Vec::new();
    bench.fleet.write_snapshot(&mut bytes)?;
    let written = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let restored: Fleet<u64> = Fleet::<u64>::params().restore(model.clone(), bytes.as_slice())?;
    let restored_in = started.elapsed().as_secs_f64();
    assert_eq!(restored.len(), args.assets);

    let figures = json!({
        "assets": args.assets,
        "sensors": args.sensors,
        "rul_every": args.rul,
        "rows_per_second": rate,
        "push_ns": {
            "p50": quantile(&nanos, 0.5), "p99": quantile(&nanos, 0.99), "p999": quantile(&nanos, 0.999),
            "of_which_the_clock": quantile(&clock, 0.5),
        },
        "allocations_per_push": allocated as f64 / n_pushes as f64,
        "bytes_per_asset": held / args.assets as i64,
        "batch_rows_per_second": { "one_thread": one, "threads": args.threads, "threads_rate": several },
        "snapshot": { "bytes": bytes.len(), "seconds": written, "restore_seconds": restored_in },
    });
    if args.json {
        println!("{figures}");
        return Ok(());
    }
    println!(
        "{} machines, {} sensors, remaining life at every {} rows",
        args.assets, args.sensors, args.rul
    );
    println!("rows/s, row by row       {rate:>12.0}");
    println!("rows/s, batches, 1 thread{one:>12.0}");
    if let Some(several) = several {
        println!(
            "rows/s, {} threads        {several:>12.0}  ({:.2} x)",
            args.threads,
            several / one
        );
    }
    println!(
        "push p50 / p99 / p999    {} / {} / {} ns, of which reading the clock {} ns",
        quantile(&nanos, 0.5),
        quantile(&nanos, 0.99),
        quantile(&nanos, 0.999),
        quantile(&clock, 0.5)
    );
    println!("allocations per push     {:.6}", allocated as f64 / n_pushes as f64);
    println!("bytes per machine        {}", held / args.assets as i64);
    println!(
        "snapshot                 {:.1} MB in {written:.2} s, restored in {restored_in:.2} s",
        bytes.len() as f64 * 1e-6
    );
    Ok(())
}

#[cfg(feature = "parallel")]
fn on_threads(n: usize, mut work: impl FnMut() -> f64 + Send) -> std::result::Result<f64, Box<dyn std::error::Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build()?;
    Ok(pool.install(&mut work))
}

#[cfg(not(feature = "parallel"))]
fn on_threads(n: usize, mut work: impl FnMut() -> f64) -> std::result::Result<f64, Box<dyn std::error::Error>> {
    match n {
        1 => Ok(work()),
        _ => Err("--threads: expected the feature `parallel`, which is off".into()),
    }
}

/// Cost of a row over the size of the fleet, printed and drawn.
fn scale(model: &Pipeline, args: &Args, most: usize) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut points = Vec::new();
    let mut n_assets = 1000;
    while n_assets <= most.max(1000) {
        let mut bench = Bench::new(model, args, n_assets)?;
        // The median of five: other programs run here, too.
        let mut costs = Vec::new();
        for _ in 0..5 {
            costs.push(1e9 / bench.rate(n_assets, args.seconds / 5.0)?);
        }
        costs.sort_by(f64::total_cmp);
        println!("{n_assets:>8} machines: {:.0} ns a row", costs[2]);
        points.push((n_assets as f64, costs[2]));
        n_assets *= 10;
    }
    std::fs::write(&args.plot, drawing(&points))?;
    println!("drawn in {}", args.plot.display());
    Ok(())
}

/// Nanoseconds a row over machines, the latter by logarithm.
fn drawing(points: &[(f64, f64)]) -> String {
    let top = points.iter().fold(0.0, |m: f64, p| m.max(p.1)) * 1.2;
    let last = points.last().map_or(4.0, |p| p.0.log10()).max(4.0);
    let x = |n: f64| 80.0 + 520.0 * (n.log10() - 3.0) / (last - 3.0);
    let y = |ns: f64| 340.0 - 290.0 * ns / top;
    let mut svg = String::from(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 400' font-family='sans-serif' font-size='14'>\n\
         <rect width='640' height='400' fill='white'/>\n\
         <text x='320' y='28' text-anchor='middle' font-size='16'>Cost of a row over the size of the fleet</text>\n",
    );
    for tick in 0..=4 {
        let ns = top * f64::from(tick) / 4.0;
        svg += &format!(
            "<line x1='80' x2='600' y1='{0:.1}' y2='{0:.1}' stroke='#ddd'/><text x='72' y='{1:.1}' text-anchor='end'>{2:.0}</text>\n",
            y(ns),
            y(ns) + 5.0,
            ns
        );
    }
    let path: Vec<String> = points.iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
    svg += &format!(
        "<polyline fill='none' stroke='#0072b2' stroke-width='2' points='{}'/>\n",
        path.join(" ")
    );
    for p in points {
        svg += &format!(
            "<circle cx='{0:.1}' cy='{1:.1}' r='4' fill='#0072b2'/><text x='{0:.1}' y='{2:.1}' text-anchor='middle'>{3:.0} ns</text>\
             <text x='{0:.1}' y='362' text-anchor='middle'>{4}</text>\n",
            x(p.0),
            y(p.1),
            y(p.1) - 12.0,
            p.1,
            p.0
        );
    }
    svg + "<text x='340' y='388' text-anchor='middle'>machines</text>\
           <text transform='translate(22,195) rotate(-90)' text-anchor='middle'>nanoseconds a row</text>\n</svg>\n"
}
