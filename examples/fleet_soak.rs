//! A fleet under faults for millions of rows: machines whose rows are sound must be judged to the last bit as if the faults
//! of others were not there, memory must stay as it is, and every row must be accounted for.
//!
//! ```text
//! cargo run --release --example fleet_soak -- [--rows N] [--assets N] [--faulty SHARE] [--seed N] [--json]
//! ```
//!
//! Two fleets of one model take generated rows in turn. The first takes those of all machines, and a share of the machines is
//! faulty: half of these are disturbed on the way only (duplicates, rows out of order, stale copies, single wild stamps,
//! malformed rows), the other half also in what they measure and how long they stay (missing, dead, infinite and huge
//! readings, clocks that leap, machines that leave and others that come). It is written to memory and restored ten times on
//! the way. The second takes the sound rows alone, in order, and is never restored: machines that are not faulty, or only
//! disturbed on the way, must have the same outcomes in both. Ends with a failure, and says which, where a check fails.

mod process_memory;

use clap::Parser;
use prognos::{
    Error, ErrorKind, Result,
    decision::{AlarmEvent, AlarmPolicy, Decision},
    detect::PcaDetector,
    features::telemetry,
    fleet::{Fleet, FleetEventKind, FleetMetrics, FleetParams, Mark},
    model::Assessment,
    pipeline::Pipeline,
    quantity::{LifeUnit, Seconds, Seed, Timestamp},
    rul::RidgeRul,
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

const N_SENSORS: usize = 20;
const N_LOADS: usize = 4;
/// A machine takes a row a second; the latest this many wait for rows that may still come before them.
const LATENESS_S: i64 = 5;
const LARGEST_STEP_S: i64 = 60;
/// Rows after a fault until the machine may have the next: what the fleet counts is then known exactly.
const REST_ROWS: u32 = 16;
/// Rounds without a new fault at the end, so that each is over by then.
const LAST_ROUNDS: u64 = 40;
/// Rounds from a whole snapshot to the changes written after it.
const CHANGES_AFTER: u64 = 7;
/// Memory may grow by this after the first two tenths of the rows.
const LARGEST_GROWTH: f64 = 0.01;

#[derive(Parser)]
#[command(about = "Runs a fleet under faults and checks that outcomes, memory and counts are as they should be")]
struct Args {
    /// Rows generated, over all machines
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// Machines
    #[arg(long, default_value_t = 1000)]
    assets: u64,
    /// Share of the machines that is faulty
    #[arg(long, default_value_t = 0.1)]
    faulty: f64,
    /// Seed of machines and faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// SplitMix64 (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195), by the crate's own parts of a seed.
struct Chance {
    seed: Seed,
    drawn: u64,
}

impl Chance {
    fn new(seed: Seed) -> Self {
        Self { seed, drawn: 0 }
    }

    fn next(&mut self) -> u64 {
        self.drawn += 1;
        self.seed.part(self.drawn).0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, of mean 0 and deviation 1: four uniforms of 16 bits.
    fn normal(&mut self) -> f64 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xFFFF).sum();
        (sum as f64 / 65_536.0 - 2.0) * 3f64.sqrt()
    }
}

type Row = [f64; N_SENSORS];

/// How sensors follow loads and wear.
struct Plant {
    of_load: [[f64; N_LOADS]; N_SENSORS],
    of_wear: Row,
}

impl Plant {
    fn new(seed: Seed) -> Self {
        let mut chance = Chance::new(seed);
        let mut plant = Self {
            of_load: [[0.0; N_LOADS]; N_SENSORS],
            of_wear: [0.0; N_SENSORS],
        };
        for sensor in 0..N_SENSORS {
            plant.of_load[sensor].fill_with(|| chance.normal());
            plant.of_wear[sensor] = if sensor % 2 == 0 { 3.0 * chance.normal() } else { 0.0 };
        }
        plant
    }
}

/// A machine as it is.
struct Machine {
    chance: Chance,
    loads: [f64; N_LOADS],
    wear: f64,
    life_rows: f64,
}

impl Machine {
    fn new(seed: Seed, shortest: f64, longest: f64) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            loads: [0.0; N_LOADS],
            wear: chance.uniform(),
            life_rows: shortest + (longest - shortest) * chance.uniform(),
            chance,
        }
    }

    /// Worn slowly, and as new again once worn out.
    fn read(&mut self, plant: &Plant) -> Row {
        for load in &mut self.loads {
            *load = 0.95 * *load + 0.31 * self.chance.normal();
        }
        self.wear = (self.wear + 1.0 / self.life_rows) % 1.0;
        let worn = self.wear * self.wear;
        std::array::from_fn(|sensor| {
            let of_loads: f64 = plant.of_load[sensor].iter().zip(&self.loads).map(|(a, b)| a * b).sum();
            100.0 + of_loads + plant.of_wear[sensor] * worn + 0.3 * self.chance.normal()
        })
    }
}

/// A chain fitted on 24 machines that ran to failure.
fn model(plant: &Plant, seed: Seed) -> Result<Pipeline> {
    let channels = (1..=N_SENSORS)
        .map(|i| Channel::new(format!("sensor_{i}"), ""))
        .collect();
    let mut history = FleetHistory::new(channels, LifeUnit::Cycles)?;
    for i in 0..24 {
        let mut machine = Machine::new(seed.part(i), 150.0, 350.0);
        machine.wear = 0.0;
        let n = machine.life_rows as i64;
        let times = (1..=n).map(|cycle| LifeUnit::Cycles.instant(cycle)).collect();
        let values = (0..n).flat_map(|_| machine.read(plant)).collect();
        history.push(AssetHistory::new(
            format!("m{i}"),
            times,
            values,
            N_SENSORS,
            EndOfLife::Failed,
        )?)?;
    }
    Pipeline::params()
        .features(telemetry().ewma([8.0]).slope([30.0]))
        .detector_features(telemetry().ewma([10.0]))
        .detector(PcaDetector::params().explained_variance(0.9))
        .rul(RidgeRul::params().label_cap(125.0).interval(0.90))
        .alarm(AlarmPolicy::m_of_n(3, 5))
        .fit(&history)
}

/// All that was said of one machine, as a number.
#[derive(Clone, Copy, Default, PartialEq)]
struct Said {
    hash: u64,
    /// Of its alarms' events: two rows judged in one call tell their outcomes first, then their events.
    events: u64,
    outcomes: u64,
    in_alarm: u64,
}

impl Said {
    fn bits(&mut self, x: u64) {
        self.hash = (self.hash.rotate_left(23) ^ x).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn floats(&mut self, of: impl IntoIterator<Item = f64>) {
        of.into_iter().for_each(|x| self.bits(x.to_bits()));
    }

    fn time(&mut self, t: Option<Timestamp>) {
        self.bits(t.map_or(u64::MAX, |t| t.nanos() as u64));
    }

    fn event(&mut self, event: &AlarmEvent) {
        let mut said = Said {
            hash: self.events,
            ..Self::default()
        };
        said.time(Some(event.time));
        said.time(event.since);
        said.bits(event.severity.map_or(u64::MAX, |s| s as u64));
        if let Some(score) = event.score {
            said.floats([score.value, score.threshold]);
        }
        self.events = said.hash;
    }

    fn outcome(&mut self, time: Timestamp, outcome: &Assessment<Decision>) {
        self.outcomes += 1;
        self.time(Some(time));
        match outcome {
            Assessment::Ready(decision) => {
                self.bits(1);
                self.decision(decision);
            }
            Assessment::Warmup { seen, needed } => self.bits(2 | u64::from(*seen) << 8 | u64::from(*needed) << 36),
            Assessment::Unusable(_) => self.bits(3),
            Assessment::NoPrognosis(_) => self.bits(4),
            _ => self.bits(5),
        }
    }

    fn decision(&mut self, decision: &Decision) {
        let condition = decision.condition();
        self.time(Some(condition.time));
        self.floats([condition.age, condition.score.value, condition.score.threshold]);
        if let Some(e) = condition.rul {
            self.floats([e.rul, e.lower, e.upper, e.level]);
        }
        self.time(condition.rul_time);
        let Some(alarm) = decision.alarm() else { return };
        self.in_alarm += 1;
        self.time(Some(alarm.since));
        let flags = [alarm.raised_now, alarm.acknowledged, alarm.returned, alarm.shelved];
        self.bits(
            flags
                .into_iter()
                .fold(alarm.severity as u64, |bits, flag| bits << 1 | u64::from(flag)),
        );
        for cause in alarm.causes.iter().flatten() {
            self.floats([cause.share]);
            cause.channel.bytes().for_each(|b| self.bits(b.into()));
        }
    }
}

/// A metric by its name.
type Counter = (&'static str, fn(&FleetMetrics) -> u64);

/// The metrics that are added up over restarts.
const COUNTERS: [Counter; 11] = [
    ("rows", |m| m.rows),
    ("rows_judged", |m| m.rows_judged),
    ("rows_unjudged", |m| m.rows_unjudged),
    ("rows_missing", |m| m.rows_missing),
    ("rows_late", |m| m.rows_late),
    ("rows_duplicate", |m| m.rows_duplicate),
    ("rows_dropped", |m| m.rows_dropped),
    ("rows_refused", |m| m.rows_refused),
    ("errors", |m| m.errors),
    ("admitted", |m| m.admitted),
    ("retired", |m| m.retired),
];

/// A count by name.
type Counts = BTreeMap<&'static str, u64>;

fn add(counts: &mut Counts, name: &'static str, n: u64) {
    *counts.entry(name).or_default() += n;
}

/// One of the two fleets, through its restarts.
struct Watched {
    params: FleetParams,
    fleet: Fleet<u64>,
    /// What it said of each machine.
    said: Vec<Said>,
    /// Metrics before the last restart.
    before: Counts,
    /// Events told.
    told: Counts,
    /// Rows that waited when it was restored.
    held_at_start: u64,
    pushed: u64,
    restarts: u64,
}

impl Watched {
    fn new(params: FleetParams, model: &Arc<Pipeline>, n_assets: usize) -> Result<Self> {
        Ok(Self {
            fleet: params.clone().build(model.clone())?,
            params,
            said: vec![Said::default(); n_assets],
            before: Counts::new(),
            told: Counts::new(),
            held_at_start: 0,
            pushed: 0,
            restarts: 0,
        })
    }

    /// Pushes a row; what is said of it counts for machine `slot`, unless it is one that should not be there.
    fn push(&mut self, key: u64, slot: usize, time: Timestamp, values: &[f64], is_extra: bool) {
        self.pushed += 1;
        let outcome = self.fleet.push(&key, time, values);
        if let Some(said) = self.said.get_mut(slot) {
            for row in self.fleet.released() {
                said.outcome(row.time, &row.outcome);
            }
            match &outcome {
                Ok(Assessment::Held) => {}
                _ if is_extra => {}
                Ok(outcome) => said.outcome(time, outcome),
                Err(_) => said.bits(6),
            }
        }
        for event in self.fleet.events() {
            let (name, n) = match &event.kind {
                FleetEventKind::Alarm(alarm) => {
                    if let Some(said) = self.said.get_mut(slot) {
                        said.event(alarm);
                    }
                    ("alarm events", 1)
                }
                FleetEventKind::ClockGlitch { n_rows } => ("rows of clock glitches", u64::from(*n_rows)),
                FleetEventKind::ClockForward { .. } => ("clocks forward", 1),
                FleetEventKind::ClockBack { .. } => ("clocks back", 1),
                FleetEventKind::Refused => ("machines refused", 1),
                _ => continue,
            };
            add(&mut self.told, name, n);
        }
    }

    /// Each counter over all restarts.
    fn counts(&self) -> Counts {
        let now = self.fleet.metrics();
        let mut all = self.before.clone();
        for (name, of) in COUNTERS {
            add(&mut all, name, of(&now));
        }
        all
    }

    /// Every row taken is judged, set aside for a reason that is counted, or waits.
    fn check_conservation(&self, when: &str, failures: &mut Vec<String>) {
        let m = self.fleet.metrics();
        let taken = m.rows + self.held_at_start;
        let unused = m.rows_missing + m.rows_late + m.rows_duplicate + m.rows_dropped + m.rows_refused + m.errors;
        let found = m.rows_judged + m.rows_unjudged + unused + m.rows_held;
        if taken != found {
            failures.push(format!(
                "{when}: {taken} rows taken or held before, {found} accounted for: {m:?}"
            ));
        }
    }

    /// Goes on as the fleet that was written: whole, or as changes after a whole one.
    fn restart(
        &mut self,
        model: &Arc<Pipeline>,
        whole: Option<&(Vec<u8>, Mark)>,
        failures: &mut Vec<String>,
    ) -> Result<()> {
        self.check_conservation("before a restart", failures);
        let mut bytes = Vec::new();
        let mut restored: Fleet<u64> = match whole {
            None => {
                self.fleet.write_snapshot(&mut bytes)?;
                self.params.clone().restore(model.clone(), bytes.as_slice())?
            }
            Some((whole, mark)) => {
                self.fleet.write_changes(mark, &mut bytes)?;
                let mut fleet = self.params.clone().restore(model.clone(), whole.as_slice())?;
                fleet.apply(bytes.as_slice())?;
                fleet
            }
        };
        self.before = self.counts();
        std::mem::swap(&mut self.fleet, &mut restored);
        let (was, is) = (restored.metrics(), self.fleet.metrics());
        if (was.assets, was.rows_held) != (is.assets, is.rows_held) {
            failures.push(format!(
                "restart: {} machines and {} rows held became {} and {}",
                was.assets, was.rows_held, is.assets, is.rows_held
            ));
        }
        self.held_at_start = is.rows_held;
        self.restarts += 1;
        Ok(())
    }
}

/// What may happen to a machine's rows.
#[derive(Clone, Copy)]
enum Fault {
    // On the way: what the machine measured arrives all the same.
    Duplicate,
    Reordered,
    Stale,
    Glitch,
    WrongLength,
    // In the machine.
    AllMissing,
    SomeMissing,
    Dead,
    Infinite,
    Huge,
    BeyondLateness,
    Forward,
    Back,
    Leaves,
}

const ON_THE_WAY: [Fault; 5] = [
    Fault::Duplicate,
    Fault::Reordered,
    Fault::Stale,
    Fault::Glitch,
    Fault::WrongLength,
];
const IN_THE_MACHINE: [Fault; 9] = [
    Fault::AllMissing,
    Fault::SomeMissing,
    Fault::Dead,
    Fault::Infinite,
    Fault::Huge,
    Fault::BeyondLateness,
    Fault::Forward,
    Fault::Back,
    Fault::Leaves,
];

/// A faulty machine.
struct Faulty {
    chance: Chance,
    only_on_the_way: bool,
    /// Machines that had this place before.
    generation: u64,
    offset_s: i64,
    rest: u32,
    missing_left: u64,
    absent_left: u64,
    /// A row kept back, and the rows that overtake it yet.
    kept: Option<(u64, Timestamp, Row)>,
    dead: Vec<(usize, f64)>,
}

impl Faulty {
    fn new(seed: Seed, only_on_the_way: bool) -> Self {
        Self {
            chance: Chance::new(seed),
            only_on_the_way,
            generation: 0,
            offset_s: 0,
            rest: 2 * REST_ROWS,
            missing_left: 0,
            absent_left: 0,
            kept: None,
            dead: Vec::with_capacity(4),
        }
    }

    fn draw(&mut self, may_leave: bool) -> Option<Fault> {
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        if self.chance.below(20) > 0 {
            return None;
        }
        let n_kinds = ON_THE_WAY.len() + if self.only_on_the_way { 0 } else { IN_THE_MACHINE.len() };
        let drawn = self.chance.below(n_kinds as u64) as usize;
        let fault = *ON_THE_WAY.iter().chain(&IN_THE_MACHINE).nth(drawn)?;
        match fault {
            Fault::Leaves | Fault::Back if !may_leave => None,
            Fault::Dead if self.dead.len() == 4 => None,
            _ => Some(fault),
        }
    }

    /// Takes the machine's row of the second `second`, and gives the fleet what arrives of it.
    fn pass_on(
        &mut self,
        (slot, second): (usize, i64),
        mut row: Row,
        may: (bool, bool),
        to: &mut Watched,
        injected: &mut Counts,
    ) -> Result<()> {
        let key = |generation: u64| generation << 32 | slot as u64;
        let time = Timestamp::from_secs(second + self.offset_s);
        if self.absent_left > 0 {
            self.absent_left -= 1;
            if self.absent_left == 0 {
                self.generation += 1;
                if self.generation.is_multiple_of(2) {
                    to.fleet.commission(key(self.generation), time)?;
                }
                add(injected, "machines new", 1);
            }
            return Ok(());
        }
        for &(sensor, reads) in &self.dead {
            row[sensor] = reads;
        }
        if self.missing_left > 0 {
            self.missing_left -= 1;
            row = [f64::NAN; N_SENSORS];
            add(injected, "rows all missing", 1);
        }
        let fault = if may.0 { self.draw(may.1) } else { None };
        if fault.is_some() {
            self.rest = REST_ROWS;
        }
        let key = key(self.generation);
        let chance = &mut self.chance;
        let sensor = chance.below(N_SENSORS as u64) as usize;
        match fault {
            None => {}
            Some(Fault::Duplicate) => {
                to.push(key, slot, time, &row, false);
                let other = row.map(|x| x + 1.0);
                to.push(key, slot, time, &other, true);
                add(injected, "duplicates", 1);
                return Ok(());
            }
            Some(Fault::Reordered) => {
                self.kept = Some((1 + chance.below(LATENESS_S as u64 - 1), time, row));
                add(injected, "rows out of order", 1);
                return Ok(());
            }
            Some(Fault::BeyondLateness) => {
                self.kept = Some((LATENESS_S as u64 + 1 + chance.below(5), time, row));
                add(injected, "rows too late", 1);
                return Ok(());
            }
            Some(Fault::Stale) => {
                to.push(key, slot, time, &row, false);
                let stale = Timestamp::from_nanos(time.nanos() - LATENESS_S * 1_000_000_000 - 1_500_000_000);
                to.push(key, slot, stale, &row, true);
                add(injected, "stale copies", 1);
                return Ok(());
            }
            Some(Fault::Glitch) => {
                let wild = match chance.below(4) {
                    0 => Timestamp::from_nanos(i64::MIN),
                    1 => Timestamp::from_nanos(i64::MAX),
                    2 => Timestamp::from_nanos(time.nanos() - 86_400_000_000_000),
                    _ => Timestamp::from_nanos(time.nanos() + 86_400_000_000_000),
                };
                to.push(key, slot, wild, &row, true);
                add(injected, "clock glitches", 1);
            }
            Some(Fault::WrongLength) => {
                let longer = [0.0; N_SENSORS + 1];
                let n = [0, 1, N_SENSORS - 1, N_SENSORS + 1][chance.below(4) as usize];
                to.push(key, slot, time, &longer[..n], true);
                add(injected, "malformed rows", 1);
            }
            Some(Fault::AllMissing) => {
                self.missing_left = 3 + chance.below(8);
                add(injected, "bursts of missing rows", 1);
            }
            Some(Fault::SomeMissing) => {
                row[sensor] = f64::NAN;
                row[(sensor + 7) % N_SENSORS] = f64::NAN;
                add(injected, "rows partly missing", 1);
            }
            Some(Fault::Dead) => {
                self.dead
                    .push((sensor, if chance.below(2) == 0 { f64::NAN } else { row[sensor] }));
                add(injected, "sensors dead", 1);
            }
            Some(Fault::Infinite) => {
                row[sensor] = f64::INFINITY;
                row[(sensor + 3) % N_SENSORS] = f64::NEG_INFINITY;
                add(injected, "rows with infinities", 1);
            }
            Some(Fault::Huge) => {
                row[sensor] = [f64::MAX, f64::MIN, 1e300, -1e150][chance.below(4) as usize];
                row[(sensor + 3) % N_SENSORS] = 1e200;
                add(injected, "rows with huge values", 1);
            }
            Some(Fault::Forward) => {
                self.offset_s += 3600;
                add(injected, "clocks forward", 1);
                return Ok(());
            }
            Some(Fault::Back) => {
                self.offset_s -= 3600;
                add(injected, "clocks back", 1);
                return Ok(());
            }
            Some(Fault::Leaves) => {
                to.fleet.retire(&key);
                self.absent_left = 20;
                self.dead.clear();
                add(injected, "machines gone", 1);
                return Ok(());
            }
        }
        to.push(key, slot, time, &row, false);
        if let Some((overtaken_by, time, row)) = self.kept.take() {
            if overtaken_by > 1 {
                self.kept = Some((overtaken_by - 1, time, row));
            } else {
                to.push(key, slot, time, &row, false);
            }
        }
        Ok(())
    }
}

/// What each count of the fleet must be.
fn expected(injected: &Counts, pushed: u64, n_assets: u64) -> [(&'static str, u64); 12] {
    let n = |name| injected.get(name).copied().unwrap_or(0);
    // Of a machine whose clock is set back, or that leaves, the rows that wait are dropped.
    let waiting = LATENESS_S as u64 * (n("clocks back") + n("machines gone"));
    [
        ("rows", pushed),
        ("rows_missing", n("rows all missing")),
        ("rows_late", n("stale copies") + n("rows too late")),
        ("rows_duplicate", n("duplicates")),
        ("rows_dropped", n("clock glitches") + waiting),
        ("rows_refused", n("rows of strangers")),
        ("errors", n("malformed rows")),
        ("admitted", n_assets + n("machines new")),
        ("retired", n("machines gone")),
        ("rows of clock glitches", n("clock glitches")),
        ("clocks forward", n("clocks forward")),
        ("clocks back", n("clocks back")),
    ]
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn wrong(name: &str, expected: &str, got: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidParameter,
        format!("--{name}: expected {expected}, got {got}"),
    )
}

fn run() -> Result<bool> {
    let args = Args::parse();
    if !(args.faulty.is_finite() && (0.0..=1.0).contains(&args.faulty)) {
        return Err(wrong("faulty", "0..=1", args.faulty));
    }
    if !(1..=1_000_000).contains(&args.assets) {
        return Err(wrong("assets", "1..=1000000", args.assets));
    }
    let n_rounds = args.rows / args.assets;
    if n_rounds < 1000 {
        return Err(wrong("rows", "at least 1000 of each machine", args.rows));
    }
    let n_assets = args.assets as usize;
    let n_faulty = (args.faulty * args.assets as f64).round() as usize;
    let seed = Seed(args.seed);
    let plant = Plant::new(seed.part(0));
    let start = Instant::now();
    let model = Arc::new(model(&plant, seed.part(1))?);
    let fit_seconds = start.elapsed().as_secs_f64();

    let params = Fleet::<u64>::params()
        .lateness(Seconds::new(LATENESS_S as f64)?)
        .largest_step(Seconds::new(LARGEST_STEP_S as f64)?)
        .max_assets(n_assets);
    let mut disturbed = Watched::new(params.clone(), &model, n_assets)?;
    let mut sound = Watched::new(params, &model, n_assets)?;
    let of_machine = seed.part(2);
    let mut machines: Vec<Machine> = (0..args.assets)
        .map(|i| Machine::new(of_machine.part(i), 1500.0, 4000.0))
        .collect();
    // Of the faulty machines, which come first, every second is disturbed on the way only.
    let of_faults = seed.part(3);
    let mut faulty: Vec<Faulty> = (0..n_faulty)
        .map(|i| Faulty::new(of_faults.part(i as u64), i.is_multiple_of(2)))
        .collect();
    let is_compared = |slot: usize| slot >= n_faulty || slot.is_multiple_of(2);

    let (mut injected, mut failures) = (Counts::new(), Vec::new());
    let mut strangers = Chance::new(seed.part(4));
    let mut memory: Vec<i64> = Vec::with_capacity(10);
    let mut whole: Option<(Vec<u8>, Mark)> = None;
    let tenth = n_rounds / 10;
    let (start, allocated) = (Instant::now(), process_memory::allocations());
    for round in 0..n_rounds {
        let second = 1_700_000_000 + round as i64;
        let may_fault = round + LAST_ROUNDS < n_rounds;
        // At each tenth all machines are there, and have been for longer than the longest span of the features.
        let may_leave = round % tenth < tenth - (tenth / 2).min(150);
        for (slot, machine) in machines.iter_mut().enumerate() {
            let row = machine.read(&plant);
            let (key, time) = (slot as u64, Timestamp::from_secs(second));
            if is_compared(slot) {
                sound.push(key, slot, time, &row, false);
            }
            match faulty.get_mut(slot) {
                None => disturbed.push(key, slot, time, &row, false),
                Some(faulty) => {
                    let may = (may_fault, may_leave);
                    faulty.pass_on((slot, second), row, may, &mut disturbed, &mut injected)?;
                }
            }
        }
        // Where all places are taken, a machine that is not known is refused.
        if n_faulty > 0 && round > 0 && strangers.below(10) == 0 && disturbed.fleet.len() == n_assets {
            let time = Timestamp::from_secs(second);
            disturbed.push(u64::MAX - round, usize::MAX, time, &[0.0; N_SENSORS], true);
            add(&mut injected, "rows of strangers", 1);
        }
        // A restart in the midst of each tenth: of a whole snapshot, or of one and the changes after it, by turns.
        let (nth, within) = (round / tenth, round % tenth);
        if within == tenth / 3 && nth < 10 {
            if nth % 2 == 0 {
                disturbed.restart(&model, None, &mut failures)?;
            } else {
                let mut bytes = Vec::new();
                let mark = disturbed.fleet.write_snapshot(&mut bytes)?;
                whole = Some((bytes, mark));
            }
        }
        if within == tenth / 3 + CHANGES_AFTER && whole.is_some() {
            disturbed.restart(&model, whole.as_ref(), &mut failures)?;
            whole = None;
        }
        if within + 1 == tenth && nth < 10 {
            memory.push(process_memory::bytes_held());
            let when = format!("after {} rows", (round + 1) * args.assets);
            for fleet in [&disturbed, &sound] {
                fleet.check_conservation(&when, &mut failures);
            }
            for slot in (0..n_assets).filter(|&slot| is_compared(slot)) {
                // A machine disturbed on the way may have a row under way: it is compared at the end.
                if slot >= n_faulty && disturbed.said[slot] != sound.said[slot] {
                    failures.push(format!("{when}: outcomes of sound machine {slot} differ"));
                }
            }
            if !args.json {
                let held = memory.last().map_or(0.0, |b| *b as f64 / 1e6);
                println!("{when}: {held:.2} MB held, {} checks failed", failures.len());
            }
            if failures.len() > 20 {
                break;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let allocated = process_memory::allocations() - allocated;

    let mut compared = Said::default();
    for slot in (0..n_assets).filter(|&slot| is_compared(slot)) {
        let (a, b) = (disturbed.said[slot], sound.said[slot]);
        compared.outcomes += b.outcomes;
        compared.in_alarm += b.in_alarm;
        compared.bits(b.hash ^ b.events.rotate_left(32));
        if a != b {
            let what = if slot < n_faulty {
                "disturbed on the way"
            } else {
                "sound"
            };
            failures.push(format!(
                "machine {slot}, {what}: {} outcomes (hash {:016x}, of alarm events {:016x}) against {} ({:016x}, {:016x}) without faults",
                a.outcomes, a.hash, a.events, b.outcomes, b.hash, b.events
            ));
        }
    }
    let n_compared = (0..n_assets).filter(|&slot| is_compared(slot)).count() as u64;
    if compared.outcomes != n_compared * (n_rounds - LATENESS_S as u64) {
        failures.push(format!(
            "{} outcomes of {n_compared} machines compared",
            compared.outcomes
        ));
    }

    let then = memory.get(1).copied().unwrap_or(0) as f64;
    let most = memory.iter().skip(2).copied().max().unwrap_or(0) as f64;
    let growth = most / then - 1.0;
    if !growth.is_finite() || growth >= LARGEST_GROWTH {
        failures.push(format!(
            "memory grew by {:.2}% after two tenths of the rows",
            100.0 * growth
        ));
    }

    // All rows that wait are judged in the end.
    for (name, fleet) in [("faulty fleet", &mut disturbed), ("sound fleet", &mut sound)] {
        fleet
            .fleet
            .advance(Timestamp::from_secs(1_700_000_000 + 2 * n_rounds as i64 + 86_400 * 365))?;
        fleet.check_conservation(&format!("{name}, at the end"), &mut failures);
        let held = fleet.fleet.metrics().rows_held;
        if held > 0 {
            failures.push(format!("{name}: {held} rows wait still, at the end of time"));
        }
    }
    let mut reported = disturbed.counts();
    for (name, n) in &disturbed.told {
        add(&mut reported, name, *n);
    }
    let expected = expected(&injected, disturbed.pushed, args.assets);
    for (name, n) in expected {
        let got = reported.get(name).copied().unwrap_or(0);
        if got != n {
            failures.push(format!("{name}: {n} injected, {got} reported"));
        }
    }

    let n_pushed = disturbed.pushed + sound.pushed;
    let allocations_per_row = allocated as f64 / n_pushed as f64;
    let micros = seconds * 1e6 / n_pushed as f64;
    if args.json {
        let report = serde_json::json!({
            "rows": n_rounds * args.assets,
            "rows_pushed": n_pushed,
            "n_assets": args.assets,
            "n_faulty": n_faulty,
            "n_compared": n_compared,
            "outcomes_compared": compared.outcomes,
            "in_alarm_compared": compared.in_alarm,
            "hash": format!("{:016x}", compared.hash),
            "restarts": disturbed.restarts,
            "injected": injected,
            "reported": reported,
            "bytes_held": memory,
            "allocations_per_row": allocations_per_row,
            "growth": growth,
            "fit_seconds": fit_seconds,
            "seconds": seconds,
            "micros_per_row": micros,
            "failures": failures,
        });
        println!("{report}");
    } else {
        println!(
            "\n{} rows of {n_assets} machines, {n_faulty} of them faulty; {n_pushed} rows pushed into two fleets in {seconds:.1} s, \
             {micros:.2} µs each with making them; {} restarts.",
            n_rounds * args.assets,
            disturbed.restarts
        );
        println!(
            "Compared: {} outcomes of {n_compared} machines, {} of them in alarm, hash {:016x}.",
            compared.outcomes, compared.in_alarm, compared.hash
        );
        println!(
            "Memory: {:.2}% at most above that after two tenths of the rows; {allocations_per_row:.4} allocations a row, with making them.\n",
            100.0 * growth
        );
        println!("{:<24} {:>12}", "injected", "");
        injected.iter().for_each(|(name, n)| println!("  {name:<22} {n:>12}"));
        println!("{:<24} {:>12} {:>12}", "counted", "expected", "reported");
        for (name, n) in expected {
            println!("  {name:<22} {n:>12} {:>12}", reported.get(name).copied().unwrap_or(0));
        }
        println!();
    }
    for failure in &failures {
        eprintln!("FAILED: {failure}");
    }
    if !args.json && failures.is_empty() {
        println!("All checks passed.");
    }
    Ok(failures.is_empty())
}
