//! Pumps of two sensors, small chains of them, and random rows.

use prognos::{
    decision::{AlarmPolicy, Decision},
    detect::{MahalanobisDetector, PcaDetector},
    envelope,
    features::{FeatureView, telemetry},
    fleet::{Fleet, FleetEvent, FleetEventKind, FleetParams, Released},
    model::{Assessment, OnlineModel},
    pipeline::{Pipeline, PipelineParams, PipelineState},
    quantity::{LifeUnit, Seconds, Timestamp},
    rul::RidgeRul,
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use proptest::prelude::*;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// The readings of row `i` of a pump that wears out in some 60 rows.
pub fn readings(machine: u32, i: usize) -> [f64; 2] {
    // Whole numbers scattered by primes: the same everywhere.
    let noise = |prime: usize| ((i + 1) * (machine as usize + 3) * prime % 1009) as f64 / 1009.0 - 0.5;
    let wear = (i % 60) as f64 / 60.0;
    [60.0 + 8.0 * wear * wear + noise(7919), 5.0 - wear + 0.2 * noise(6007)]
}

pub fn training(names: [&str; 2]) -> FleetHistory {
    let channels = names.map(|n| Channel::new(n, "")).to_vec();
    let mut fleet = FleetHistory::new(channels, LifeUnit::Cycles).unwrap();
    for machine in 0..8 {
        let n = 50 + machine as usize;
        let times = (0..n as i64).map(Timestamp::from_secs).collect();
        let values = (0..n).flat_map(|i| readings(machine + 100, i)).collect();
        let asset = AssetHistory::new(machine.to_string(), times, values, 2, EndOfLife::Failed);
        fleet.push(asset.unwrap()).unwrap();
    }
    fleet
}

pub const SENSORS: [&str; 2] = ["heat", "pressure"];

fn features() -> PipelineParams {
    Pipeline::params()
        .features(telemetry().ewma([3.0]).slope([6.0]))
        .detector_features(telemetry().ewma([3.0]))
        .alarm(AlarmPolicy::m_of_n(2, 4))
}

pub fn small() -> PipelineParams {
    features()
        .detector(MahalanobisDetector::params())
        .rul(RidgeRul::params().lambda(10.0))
}

pub static MODEL: LazyLock<Arc<Pipeline>> = LazyLock::new(|| Arc::new(small().fit(&training(SENSORS)).unwrap()));

/// [`MODEL`] but for its detector.
pub static OTHER_DETECTOR: LazyLock<Arc<Pipeline>> = LazyLock::new(|| {
    let params = features()
        .detector(PcaDetector::params())
        .rul(RidgeRul::params().lambda(10.0));
    Arc::new(params.fit(&training(SENSORS)).unwrap())
});

/// [`MODEL`], but it finds silent sensors lost.
pub static WATCHFUL: LazyLock<Arc<Pipeline>> = LazyLock::new(|| {
    let policy = AlarmPolicy::m_of_n(2, 4).sensor_lost_after(seconds(5.0));
    Arc::new(small().alarm(policy).fit(&training(SENSORS)).unwrap())
});

pub fn seconds(s: f64) -> Seconds {
    Seconds::new(s).unwrap()
}

/// Settings that allow for rows so late, or for none.
pub fn late(params: FleetParams, lateness_s: f64) -> FleetParams {
    if lateness_s > 0.0 {
        params.lateness(seconds(lateness_s))
    } else {
        params
    }
}

pub fn at(s: i64) -> Timestamp {
    Timestamp::from_secs(s)
}

pub fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    envelope::encode(value).unwrap()
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub asset: u32,
    pub time: Timestamp,
    pub values: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    None,
    Missing(usize),
    AllMissing,
    /// Stamped earlier by so many seconds.
    Late(i64),
    /// Stamped as the row before.
    Repeated,
}

/// Which machines send rows in turn, and what is wrong with each; of them `stamped` wrongly where it says so.
pub fn turns(
    n_machines: u32,
    n_rows: std::ops::Range<usize>,
    stamped_wrongly: bool,
) -> impl Strategy<Value = Vec<(u32, Fault)>> {
    let wrong = u32::from(stamped_wrongly);
    let fault = prop_oneof![
        12 => Just(Fault::None),
        2 => (0usize..2).prop_map(Fault::Missing),
        1 => Just(Fault::AllMissing),
        wrong => (1i64..6).prop_map(Fault::Late),
        wrong => Just(Fault::Repeated),
    ];
    proptest::collection::vec((0..n_machines, fault), n_rows)
}

/// A second from row to row of a machine.
pub fn rows_of(turns: &[(u32, Fault)]) -> Vec<Row> {
    let mut count: BTreeMap<u32, usize> = BTreeMap::new();
    let row = |&(asset, fault): &(u32, Fault)| {
        let i = count.entry(asset).or_default();
        let mut values = readings(asset, *i).to_vec();
        let mut time = *i as i64;
        *i += 1;
        match fault {
            Fault::None => {}
            Fault::Missing(c) => values[c] = f64::NAN,
            Fault::AllMissing => values.fill(f64::NAN),
            Fault::Late(by) => time -= by,
            Fault::Repeated => time -= 1,
        }
        Row {
            asset,
            time: at(time),
            values,
        }
    };
    turns.iter().map(row).collect()
}

/// `n` sound rows of each machine, by turns.
pub fn sound_rows(n_machines: u32, n: usize) -> Vec<Row> {
    let turns: Vec<_> = (0..n).flat_map(|_| (0..n_machines).map(|m| (m, Fault::None))).collect();
    rows_of(&turns)
}

/// What the fleet is said to be: a map of machines, each stepped by itself.
pub struct Reference {
    pub model: Arc<Pipeline>,
    pub states: BTreeMap<u32, PipelineState>,
}

impl Reference {
    pub fn new(model: &Arc<Pipeline>) -> Self {
        Self {
            model: model.clone(),
            states: BTreeMap::new(),
        }
    }

    pub fn push(&mut self, row: &Row) -> Assessment<Decision> {
        let known = self.states.get(&row.asset).cloned();
        let is_new = known.is_none();
        let mut state = known.unwrap_or_else(|| self.model.new_state());
        let x = FeatureView::new(self.model.schema(), &row.values).unwrap().at(row.time);
        let outcome = self
            .model
            .step_with(&mut state, x, &mut self.model.new_scratch())
            .unwrap();
        // A first row that tells nothing makes no machine known.
        if !(is_new && matches!(outcome, Assessment::Unusable(_))) {
            self.states.insert(row.asset, state);
        }
        outcome
    }
}

pub fn settings() -> FleetParams {
    Fleet::<u32>::params()
}

pub fn built(params: FleetParams) -> Fleet<u32> {
    params.build(MODEL.clone()).unwrap()
}

pub fn push(fleet: &mut Fleet<u32>, row: &Row) -> Assessment<Decision> {
    fleet.push(&row.asset, row.time, &row.values).unwrap()
}

pub fn push_all(fleet: &mut Fleet<u32>, rows: &[Row]) -> Vec<Assessment<Decision>> {
    rows.iter().map(|row| push(fleet, row)).collect()
}

/// All that a call told, to the last bit.
pub fn told(fleet: &mut Fleet<u32>, row: &Row) -> Vec<u8> {
    let outcome = push(fleet, row);
    let released: Vec<_> = fleet.released().iter().map(as_bytes).collect();
    encoded(&(outcome, released, fleet.events()))
}

fn as_bytes(r: &Released<u32>) -> (u32, Timestamp, Vec<u8>) {
    (r.asset, r.time, encoded(&r.outcome))
}

/// Outcomes of rows by machine and instant.
pub type Outcomes = BTreeMap<(u32, Timestamp), Vec<u8>>;

/// Notes what the last call released.
pub fn note_released(fleet: &Fleet<u32>, outcomes: &mut Outcomes) {
    for r in fleet.released() {
        let before = outcomes.insert((r.asset, r.time), encoded(&r.outcome));
        assert!(before.is_none(), "two outcomes of one row");
    }
}

pub fn snapshot(fleet: &Fleet<u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    fleet.write_snapshot(&mut bytes).unwrap();
    bytes
}

/// What is remembered of every machine.
pub fn memories(fleet: &Fleet<u32>) -> BTreeMap<u32, Vec<u8>> {
    let of = |key: &u32| (*key, encoded(fleet.state(key).unwrap()));
    fleet.assets().map(of).collect()
}

/// All rows taken are accounted for, once each.
#[track_caller]
pub fn adds_up(fleet: &Fleet<u32>) {
    let m = fleet.metrics();
    let accounted = m.rows_judged
        + m.rows_unjudged
        + m.rows_missing
        + m.rows_late
        + m.rows_duplicate
        + m.rows_dropped
        + m.rows_refused
        + m.errors
        + m.rows_held;
    assert_eq!(m.rows, accounted, "{m:?}");
    assert_eq!(m.assets as usize, fleet.len());
    assert_eq!(fleet.assets().count(), fleet.len());
}

/// Machines the last call evicted, with what was remembered of them.
pub fn evicted(events: &[FleetEvent<u32>]) -> Vec<(u32, Vec<u8>)> {
    let of = |event: &FleetEvent<u32>| match &event.kind {
        FleetEventKind::Evicted { remembered } => Some((event.asset.unwrap(), remembered.clone())),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}
