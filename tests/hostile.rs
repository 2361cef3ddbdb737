//! Input that should not be: every case gives an error that names the thing, what was expected and what came, or an
//! outcome that says why there is none. Nothing panics, nothing takes memory without bound, and no machine but the faulty
//! one notices.
#![cfg(feature = "datasets")]

mod chains;
mod counting_allocator;

use counting_allocator::measured;
use prognos::{
    Error, ErrorKind, Result,
    dataset::{
        cmapss::{self, Ends, Subset},
        fleet_csv,
    },
    decision::Decision,
    detect::{EwmaChart, LaggedPca, PcaDetector},
    envelope::{self, Provenance},
    features::{FeatureSchema, FeatureView, telemetry},
    fleet::Fleet,
    model::{Assessment, OnlineModel, PersistentModel, UnusableReason},
    pipeline::{ChainDetectorParams, Pipeline, PipelineState},
    quantity::{LifeUnit, Timestamp},
    rul::RidgeRul,
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use serde::Serialize;
use serde_json::{Value, json};
use std::{path::Path, sync::LazyLock};

static WHOLE: LazyLock<Pipeline> = LazyLock::new(|| chains::whole().fit(&chains::engines(10, 1)).unwrap());

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind, words: &[&str]) -> Error {
    let Err(e) = result else {
        panic!("taken, not refused with {kind:?}")
    };
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
    e
}

fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    envelope::encode(value).unwrap()
}

// ---------------------------------------------------------------------------------------------------------------------
// Files of data

#[test]
fn missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    refused(
        Pipeline::load(at("no.prognos")),
        ErrorKind::Io,
        &["cannot open", "no.prognos"],
    );
    refused(
        Pipeline::load(folder.path()),
        ErrorKind::Io,
        &[&folder.path().display().to_string()],
    );
    refused(
        cmapss::load_train(folder.path(), Subset::Fd003),
        ErrorKind::Io,
        &["train_FD003.txt"],
    );
    refused(
        cmapss::load_test(folder.path(), Subset::Fd001),
        ErrorKind::Io,
        &["test_FD001.txt"],
    );
    refused(fleet_csv::read_fleet(at("fleet.csv")), ErrorKind::Io, &["fleet.csv"]);
    refused(
        WHOLE.save(at("nowhere/model.prognos")),
        ErrorKind::Io,
        &["nowhere/model.prognos"],
    );
    assert!(
        std::error::Error::source(&Pipeline::load(at("no.prognos")).unwrap_err()).is_some(),
        "its cause is told"
    );
}

#[test]
fn malformed_lines_are_named() {
    let line = |unit: u32, cycle: &str, n: usize| format!("{unit} {cycle}{}  \n", " 1.5".repeat(n));
    let good = line(1, "1", 24) + &line(1, "2", 24);
    let parse = |text: String| cmapss::parse(text.as_bytes(), Ends::Failed);
    refused(
        parse(good.clone() + &line(1, "3", 23)),
        ErrorKind::InvalidInput,
        &["line 3", "26 columns", "got 25"],
    );
    refused(
        parse(good.clone() + &line(1, "3", 25)),
        ErrorKind::InvalidInput,
        &["line 3", "26 columns", "got 27"],
    );
    refused(
        parse(good.clone() + &line(1, "two", 24)),
        ErrorKind::InvalidInput,
        &["line 3", "`two`"],
    );
    refused(
        parse(good.clone() + &line(1, "2", 24)),
        ErrorKind::InvalidInput,
        &["line 3", "above the one before"],
    );
    refused(
        parse(good + "1 3 x" + &" 1".repeat(23)),
        ErrorKind::InvalidInput,
        &["line 3", "`x`"],
    );
    refused(parse(String::new()), ErrorKind::InsufficientData, &["at least 1 row"]);

    let table = "asset,time [s],rul [h],t [K],load\np,0,2,60,0.8\np,3600,1,61,0.9\n";
    let read = |more: &str| fleet_csv::read_fleet_from((table.to_owned() + more).as_bytes());
    assert_eq!(read("p,7200,0,62,0.9\n").unwrap().n_rows(), 3);
    refused(read("p,7200,0,62\n"), ErrorKind::InvalidInput, &["line 4", "5", "4"]);
    refused(
        read("p,7200,0,62,1,1\n"),
        ErrorKind::InvalidInput,
        &["line 4", "5", "6"],
    );
    refused(
        read("p,7200,0,warm,1\n"),
        ErrorKind::InvalidInput,
        &["line 4", "`t`", "warm"],
    );
    refused(
        read("p,3600,0,62,1\n"),
        ErrorKind::InvalidInput,
        &["line 4", "above the one before"],
    );
    refused(
        fleet_csv::read_fleet_from(&b"asset,time [s],rul [h],t\n"[..]),
        ErrorKind::InsufficientData,
        &["row"],
    );
}

#[test]
fn missing_readings_are_read_and_survived() {
    // Not a number is a missing reading in both formats, and a chain is fitted and run on such rows.
    let text = format!("1 1 0 0 0{}  \n", " NaN".repeat(21));
    let fleet = cmapss::parse(text.as_bytes(), Ends::Failed).unwrap();
    assert!(
        fleet.assets()[0].rows().next().unwrap().1[3..]
            .iter()
            .all(|v| v.is_nan())
    );

    let holes = altered(&chains::engines(10, 1), |i, row| {
        let n = row.len();
        row[i % n] = f64::NAN;
    });
    let model = chains::whole().fit(&holes).unwrap();
    for asset in holes.assets() {
        let outcomes = model.assess_history(asset).unwrap();
        let ready = outcomes.iter().filter(|o| matches!(o, Assessment::Ready(_))).count();
        // A row without a setting is unusable: three of fifteen columns.
        assert!(ready * 15 >= outcomes.len() * 11, "{ready} of {}", outcomes.len());
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Training sets

/// The fleet with each row changed: `change(number of the row, row)`.
fn altered(fleet: &FleetHistory, mut change: impl FnMut(usize, &mut Vec<f64>)) -> FleetHistory {
    let mut out = FleetHistory::new(fleet.channels().to_vec(), fleet.life_unit()).unwrap();
    let mut i = 0;
    for asset in fleet.assets() {
        let mut values = Vec::new();
        for (_, row) in asset.rows() {
            let mut row = row.to_vec();
            change(i, &mut row);
            i += 1;
            values.extend(row);
        }
        let history = AssetHistory::new(
            asset.asset(),
            asset.times().to_vec(),
            values,
            asset.n_channels(),
            asset.end(),
        );
        out.push(history.unwrap()).unwrap();
    }
    out
}

#[test]
fn training_sets_that_are_too_small_are_named() {
    let fleet = chains::engines(10, 1);
    let first = |n: usize| fleet.filtered(|i, _| i < n);
    let one = [&first(1), &fleet.filtered(|i, _| i == 9)];
    for chain in [chains::whole(), chains::linear(), Pipeline::params()] {
        refused(
            chain.fit(&first(0)),
            ErrorKind::InsufficientData,
            &["training fleet", "at least 1 asset", "got 0"],
        );
    }
    for one in one {
        for chain in [chains::whole(), chains::linear()] {
            let words = ["assets of known end of life", "at least 5 assets", "got 1"];
            refused(chain.fit(one), ErrorKind::InsufficientData, &words);
        }
        // A detector alone can be fitted on one machine.
        let model = Pipeline::params().healthy_share(0.8).fit(one).unwrap();
        assert!(
            model
                .assess_history(&one.assets()[0])
                .unwrap()
                .iter()
                .all(|o| matches!(o, Assessment::Ready(_)))
        );
    }
    // Engines that still run say nothing of life.
    let mut running = FleetHistory::new(fleet.channels().to_vec(), fleet.life_unit()).unwrap();
    for a in fleet.assets() {
        let values = a.rows().flat_map(|(_, v)| v.to_vec()).collect();
        let end = EndOfLife::Unknown;
        running
            .push(AssetHistory::new(a.asset(), a.times().to_vec(), values, 15, end).unwrap())
            .unwrap();
    }
    refused(
        chains::linear().fit(&running),
        ErrorKind::InsufficientData,
        &["known end of life", "got 0"],
    );
    // Each machine with a single row: ten rows in all.
    let single: Vec<AssetHistory> = fleet
        .assets()
        .iter()
        .map(|a| a.truncated(1, LifeUnit::Cycles).unwrap())
        .collect();
    let mut tiny = FleetHistory::new(fleet.channels().to_vec(), fleet.life_unit()).unwrap();
    single.iter().for_each(|a| tiny.push(a.clone()).unwrap());
    for chain in [chains::whole(), chains::linear(), Pipeline::params()] {
        match chain.fit(&tiny) {
            Ok(model) => drop(model.assess_history(&single[0]).unwrap()),
            Err(e) => assert_eq!(e.kind(), ErrorKind::InsufficientData, "{e}"),
        }
    }
    // Parameters out of range are named before anything is fitted.
    let e = chains::linear().healthy_share(f64::NAN).fit(&fleet);
    refused(e, ErrorKind::InvalidParameter, &["healthy_share", "NaN"]);
    let e = chains::linear().rul(RidgeRul::params().label_cap(-1.0)).fit(&fleet);
    refused(e, ErrorKind::InvalidParameter, &["label_cap", "-1"]);
    let e = chains::linear()
        .detector(PcaDetector::params().explained_variance(1.5))
        .fit(&fleet);
    refused(e, ErrorKind::InvalidParameter, &["explained_variance", "1.5"]);
    let e = chains::linear()
        .features(telemetry().slope([f64::INFINITY]))
        .fit(&fleet);
    refused(e, ErrorKind::InvalidParameter, &["telemetry span", "inf"]);
}

#[test]
fn machines_of_one_row_are_no_harm() {
    let fleet = chains::engines(10, 1);
    let mut with_short = fleet.filtered(|i, _| i < 8);
    for a in &fleet.assets()[8..] {
        with_short.push(a.truncated(1, LifeUnit::Cycles).unwrap()).unwrap();
    }
    for chain in [chains::whole(), chains::linear()] {
        let model = chain.fit(&with_short).unwrap();
        let mut live = Fleet::new(model);
        for a in fleet.assets() {
            let (time, row) = a.rows().next().unwrap();
            let decision = live
                .push(a.asset(), time, row)
                .unwrap()
                .ready()
                .expect("a first row is enough");
            assert!(decision.condition().rul.is_some() && decision.condition().score.value.is_finite());
        }
    }
}

#[test]
fn sensors_that_do_not_vary_are_left_out() {
    let fleet = chains::engines(10, 1);
    let stuck = altered(&fleet, |_, row| {
        row[5] = 7.0;
        row[9] = f64::NAN;
    });
    let model = chains::whole().fit(&stuck).unwrap();
    let t30 = &fleet.channels()[5].name;
    assert!(
        model.feature_schema().features().iter().all(|f| f.channel != *t30),
        "{t30} tells nothing"
    );
    // It may do what it likes then.
    let mut live = Fleet::new(model);
    let bits = |d: Assessment<Decision>| encoded(&d.ready().expect("all that counts is there"));
    for (time, row) in fleet.assets()[0].rows() {
        let mut other = row.to_vec();
        (other[5], other[9]) = (f64::NAN, f64::MAX);
        let a = bits(live.push("as trained", time, row).unwrap());
        assert_eq!(a, bits(live.push("gone wild", time, &other).unwrap()));
    }
    let all = altered(&fleet, |_, row| row[3..].fill(1.0));
    for chain in [
        chains::whole(),
        chains::linear().regimes(prognos::preprocess::Regimes::automatic(4).on(chains::SETTINGS)),
    ] {
        refused(
            chain.fit(&all),
            ErrorKind::InsufficientData,
            &["sensors", "at least one that varies", "none"],
        );
    }
}

#[test]
fn training_rows_out_of_all_bounds_are_refused_or_harmless() {
    let fleet = chains::engines(10, 1);
    let values = [
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        1e300,
        1e155,
        5e-324,
    ];
    for value in values {
        for (first, last, every) in [(0, 1, 1), (3, 4, 7), (0, 15, 50), (3, 15, 1)] {
            let bad = altered(&fleet, |i, row| {
                if i % every == 0 {
                    row[first..last].fill(value);
                }
            });
            for chain in [chains::whole(), chains::linear()] {
                let what = format!("{value} in columns {first}..{last} of each row {every}");
                match chain.fit(&bad) {
                    Err(e) => {
                        let kinds = [
                            ErrorKind::InsufficientData,
                            ErrorKind::NotConverged,
                            ErrorKind::InvalidInput,
                        ];
                        assert!(kinds.contains(&e.kind()), "{what}: {e}");
                    }
                    Ok(model) => {
                        let bytes = model.to_bytes(&Provenance::default()).unwrap();
                        let (model, _) = Pipeline::from_bytes(&bytes)
                            .unwrap_or_else(|e| panic!("{what}: a file that cannot be read back: {e}"));
                        assert_finite(&model.assess_history(&fleet.assets()[0]).unwrap(), &what);
                        assert_finite(&model.assess_history(&bad.assets()[0]).unwrap(), &what);
                    }
                }
            }
        }
    }
}

#[test]
fn training_lives_out_of_all_bounds_are_refused_or_harmless() {
    let fleet = chains::engines(10, 1);
    for (rest, stretch) in [(f64::MAX, 1), (1e300, 1), (0.0, 100_000_000), (1e-300, 1)] {
        let mut odd = FleetHistory::new(fleet.channels().to_vec(), fleet.life_unit()).unwrap();
        for (k, a) in fleet.assets().iter().enumerate() {
            // One machine lived for centuries, from the first instant there is to the last.
            let times = a.times().iter().enumerate().map(|(i, t)| match (k, i) {
                (3, 0) => Timestamp::from_nanos(i64::MIN),
                (3, _) => Timestamp::from_nanos(i64::MAX - 1_000_000 + i as i64),
                _ => Timestamp::from_nanos(t.nanos().saturating_mul(stretch / 10_000_000 + 1)),
            });
            let values = a.rows().flat_map(|(_, v)| v.to_vec()).collect();
            let end = if k == 5 {
                EndOfLife::FailedAfter(rest)
            } else {
                EndOfLife::Failed
            };
            odd.push(AssetHistory::new(a.asset(), times.collect(), values, 15, end).unwrap())
                .unwrap();
        }
        for chain in [chains::whole(), chains::linear()] {
            match chain.fit(&odd) {
                Err(e) => assert_ne!(e.kind(), ErrorKind::Io, "{e}"),
                Ok(model) => {
                    let (model, _) = Pipeline::from_bytes(&model.to_bytes(&Provenance::default()).unwrap())
                        .unwrap_or_else(|e| panic!("lives of {rest}: a file that cannot be read back: {e}"));
                    for a in odd.assets() {
                        assert_finite(&model.assess_history(a).unwrap(), &format!("lives of {rest}"));
                    }
                }
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Rows

#[test]
fn rows_of_another_schema_are_refused() {
    let engines = chains::engines(2, 3);
    let (time, row) = engines.assets()[0].rows().next().unwrap();
    let mut live = Fleet::new(WHOLE.clone());
    for wrong in [&row[..14], &row[..0], &[row, &[1.0]].concat()] {
        let got = format!("got {}", wrong.len());
        refused(
            live.push("engine", time, wrong),
            ErrorKind::SchemaMismatch,
            &["15 values", &got],
        );
    }
    assert!(live.is_empty(), "a row that is refused makes no machine known");
    live.push("engine", time, row).unwrap();
    let before = encoded(live.state("engine").unwrap());
    let later = LifeUnit::Cycles.instant(2);
    refused(
        live.push("engine", later, &row[..3]),
        ErrorKind::SchemaMismatch,
        &["15 values"],
    );
    assert_eq!(encoded(live.state("engine").unwrap()), before);
    let mixed = live.push_rows([
        ("engine", later, &row[..3]),
        ("engine", later, row),
        ("other", later, row),
    ]);
    assert!(
        mixed[0].is_err() && mixed[1].is_ok() && mixed[2].is_ok(),
        "one that fails stops no other"
    );

    // The same width, another meaning.
    let mut channels: Vec<Channel> = engines.channels().to_vec();
    channels[4].unit = "K".into();
    let other = FeatureSchema::of_channels(&channels).unwrap();
    let x = FeatureView::new(&other, row).unwrap().at(time);
    refused(
        WHOLE.assess(&WHOLE.new_state(), x),
        ErrorKind::SchemaMismatch,
        &["column 4", "t24", "°R", "[K]"],
    );
    let x = FeatureView::new(WHOLE.schema(), row).unwrap();
    refused(
        WHOLE.assess(&WHOLE.new_state(), x),
        ErrorKind::InvalidInput,
        &["row", "an instant", "none"],
    );
    refused(
        live.commission("engine".to_owned(), time),
        ErrorKind::InvalidInput,
        &["a new one"],
    );
    refused(
        live.push_samples("engine", time, &[row], |_, _| ()).map(drop),
        ErrorKind::InvalidParameter,
        &["with an extractor"],
    );
    // A recording of other channels.
    let narrow = AssetHistory::new("thin", vec![time], vec![1.0], 1, EndOfLife::Failed).unwrap();
    refused(
        WHOLE.assess_history(&narrow),
        ErrorKind::SchemaMismatch,
        &["`thin`", "15 values", "got 1"],
    );
}

const SECOND: i64 = 1_000_000_000;

/// What befalls a machine: from its clean row `i` at its due instant to what arrives instead, or nothing.
type Fault = fn(i: i64, time: i64, row: &mut Vec<f64>) -> i64;

/// What its outcomes must be like while the fault lasts (rows 20 to 39).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Ready,
    Missing,
    NotIncreasing,
    Refused,
    /// None of these in particular, but no error.
    Any,
}

#[rustfmt::skip]
const FAULTS: &[(&str, Fault, Outcome)] = &[
    ("no fault", |_, t, _| t, Outcome::Ready),
    ("a dead sensor", |_, t, r| { r[8] = f64::NAN; t }, Outcome::Ready),
    ("a dead sensor from its first row on", |_, t, r| { r[8] = f64::NAN; t }, Outcome::Ready),
    ("a stuck sensor", |_, t, r| { r[8] = 554.0; t }, Outcome::Ready),
    ("a sensor at zero", |_, t, r| { r[8] = 0.0; t }, Outcome::Ready),
    ("all stuck", |_, t, r| { r.copy_from_slice(&TYPICAL); t }, Outcome::Ready),
    ("infinity", |_, t, r| { r[8] = f64::INFINITY; t }, Outcome::Ready),
    ("minus infinity", |_, t, r| { r[10] = f64::NEG_INFINITY; t }, Outcome::Ready),
    ("the largest number", |_, t, r| { r[8] = f64::MAX; t }, Outcome::Ready),
    ("the lowest number", |_, t, r| { r[6] = f64::MIN; t }, Outcome::Ready),
    ("a jump within bounds", |_, t, r| { r[8] = 1e5; t }, Outcome::Ready),
    ("the smallest number", |_, t, r| { r[8] = 5e-324; t }, Outcome::Ready),
    ("everything missing", |_, t, r| { r.fill(f64::NAN); t }, Outcome::Missing),
    ("everything infinite", |_, t, r| { r.fill(f64::INFINITY); t }, Outcome::Missing),
    ("all sensors the largest number", |_, t, r| { r[3..].fill(f64::MAX); t }, Outcome::Ready),
    ("everything the lowest number", |_, t, r| { r.fill(f64::MIN); t }, Outcome::Missing),
    ("a missing setting", |_, t, r| { r[1] = f64::NAN; t }, Outcome::Missing),
    ("an infinite setting", |_, t, r| { r[0] = f64::INFINITY; t }, Outcome::Missing),
    ("a setting out of all bounds", |_, t, r| { r[0] = f64::MAX; t }, Outcome::Missing),
    ("most sensors missing", |_, t, r| { r[3..11].fill(f64::NAN); t }, Outcome::Missing),
    ("signs by turns", |i, t, r| { r[3..].fill(if i % 2 == 0 { 1e5 } else { -1e5 }); t }, Outcome::Any),
    ("time stands still", |_, _, _| 19 * SECOND, Outcome::NotIncreasing),
    ("time runs backwards", |i, _, _| (39 - i) * SECOND, Outcome::NotIncreasing),
    ("the first instant there is", |_, _, _| i64::MIN, Outcome::NotIncreasing),
    ("rows too short", |_, t, r| { r.pop(); t }, Outcome::Refused),
    ("no row", |_, t, r| { r.clear(); t }, Outcome::Refused),
    ("a nanosecond between rows", |i, _, _| 20 * SECOND + 1 + i, Outcome::Ready),
    ("a year's gap", |i, t, _| if i >= 30 { t + 31_557_600 * SECOND } else { t }, Outcome::Any),
    ("a gap to the last instant there is", |i, t, _| if i >= 30 { i64::MAX - 100 + i } else { t }, Outcome::Any),
];

/// A row on the ground at full throttle.
#[rustfmt::skip]
const TYPICAL: [f64; 15] =
    [0.0, 0.0, 100.0, 518.7, 642.0, 1585.0, 1400.0, 554.0, 2388.0, 9050.0, 47.5, 521.0, 8.4, 38.9, 0.03];

/// The name of the run in which the faulty rows never arrive.
const LEFT_OUT: &str = "rows left out";

/// The outcomes of four machines, row by row in turn, of which the last has `fault`.
fn run_with(
    model: &Pipeline,
    machines: &FleetHistory,
    name: &str,
    fault: Fault,
) -> Vec<Vec<Result<Assessment<Decision>>>> {
    let mut live = Fleet::new(model.clone());
    let mut outcomes: Vec<Vec<_>> = (0..4).map(|_| Vec::new()).collect();
    for i in 0..60 {
        for (machine, asset) in machines.assets().iter().enumerate() {
            let Some((time, row)) = asset.rows().nth(i as usize % asset.n_rows()) else {
                continue;
            };
            let (mut row, mut time) = (row.to_vec(), time.nanos() - asset.times()[0].nanos());
            time += SECOND * asset.n_rows() as i64 * (i / asset.n_rows() as i64);
            let lasts = (20..40).contains(&i) || (name.ends_with("first row on") && i < 40);
            if machine == 3 && lasts && name == LEFT_OUT {
                continue;
            }
            if machine == 3 && lasts {
                time = fault(i, time, &mut row);
            }
            outcomes[machine].push(live.push(asset.asset(), Timestamp::from_nanos(time), &row));
        }
    }
    outcomes
}

#[test]
fn a_faulty_machine_is_told_and_no_other_notices() {
    let machines = chains::engines(4, 5);
    let with_regimes = WHOLE.clone();
    let reference = run_with(&with_regimes, &machines, "no fault", |_, t, _| t);
    let without = run_with(&with_regimes, &machines, LEFT_OUT, |_, t, _| t);
    let bits = |all: &[Result<Assessment<Decision>>]| -> Vec<Vec<u8>> {
        all.iter().map(|o| encoded(o.as_ref().unwrap())).collect()
    };
    for (name, fault, expected) in FAULTS {
        let outcomes = run_with(&with_regimes, &machines, name, *fault);
        for machine in 0..3 {
            assert!(
                bits(&outcomes[machine]) == bits(&reference[machine]),
                "{name}: machine {machine} noticed"
            );
        }
        let faulty = &outcomes[3];
        for (i, outcome) in faulty.iter().enumerate() {
            let what = format!("{name}, row {i}: {outcome:?}");
            if let Ok(o) = outcome {
                assert_finite(o, &what);
            }
            let lasts = (20..40).contains(&i);
            let is = match outcome {
                Ok(Assessment::Ready(d)) => {
                    assert!(d.condition().rul.is_some(), "{what}");
                    Outcome::Ready
                }
                Ok(Assessment::Unusable(UnusableReason::MissingValues { .. })) => Outcome::Missing,
                Ok(Assessment::Unusable(UnusableReason::TimeNotIncreasing)) => Outcome::NotIncreasing,
                Ok(_) => panic!("{what}"),
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::SchemaMismatch, "{what}");
                    Outcome::Refused
                }
            };
            if lasts && *expected != Outcome::Any {
                assert_eq!(is, *expected, "{what}");
            }
            assert!(is != Outcome::Refused || *expected == Outcome::Refused, "{what}");
        }
        // When it is over the machine goes on, unless its clock has run ahead of all that comes.
        let last = faulty.last().unwrap();
        if name.contains("gap") {
            assert!(
                matches!(last, Ok(Assessment::Unusable(UnusableReason::TimeNotIncreasing))),
                "{name}: {last:?}"
            );
        } else {
            assert!(matches!(last, Ok(Assessment::Ready(_))), "{name}: {last:?}");
        }
        // A fault whose rows are all unusable leaves no trace.
        if matches!(expected, Outcome::Missing | Outcome::Refused | Outcome::NotIncreasing) {
            assert!(
                bits(&faulty[40..]) == bits(&without[3][20..]),
                "{name}: it left a trace"
            );
        }
    }
}

#[test]
fn instants_closer_than_an_age_can_tell_are_an_outcome() {
    // In days a nanosecond is lost against some decades of age.
    let mut fleet = FleetHistory::new(vec![Channel::new("a", ""), Channel::new("b", "")], LifeUnit::Days).unwrap();
    let times: Vec<Timestamp> = (0..60).map(|d| LifeUnit::Days.instant(d)).collect();
    let values = (0..120).map(|i| f64::from(i * 7919 % 101)).collect();
    fleet
        .push(AssetHistory::new("m", times, values, 2, EndOfLife::Unknown).unwrap())
        .unwrap();
    let mut live = Fleet::new(Pipeline::params().healthy_share(0.8).fit(&fleet).unwrap());
    let at = |nanos: i64| Timestamp::from_nanos(nanos);
    live.push("m", at(i64::MIN), &[1.0, 2.0]).unwrap().ready().unwrap();
    live.push("m", at(i64::MAX - 5), &[1.0, 2.0]).unwrap().ready().unwrap();
    let before = encoded(live.state("m").unwrap());
    for nanos in [i64::MAX - 4, i64::MAX] {
        let outcome = live.push("m", at(nanos), &[1.0, 2.0]).unwrap();
        assert_eq!(outcome, Assessment::Unusable(UnusableReason::TimeNotIncreasing));
    }
    assert_eq!(encoded(live.state("m").unwrap()), before);
    // A machine commissioned later than its rows are dated.
    live.commission("early".to_owned(), at(i64::MAX)).unwrap();
    let outcome = live.push("early", at(0), &[1.0, 2.0]).unwrap();
    assert_eq!(outcome, Assessment::Unusable(UnusableReason::TimeNotIncreasing));
}

#[test]
fn a_sensor_dead_for_good_keeps_its_machine_assessed() {
    let engines = chains::engines(1, 6);
    let rows: Vec<&[f64]> = engines.assets()[0].rows().map(|(_, r)| r).collect();
    let mut live = Fleet::new(WHOLE.clone());
    // Longer than any weight of the last reading lasts in a double.
    for i in 0..20_000_i64 {
        let mut row = rows[i as usize % rows.len()].to_vec();
        if i >= 5 {
            row[8] = f64::NAN;
        }
        let decision = live.push("m", LifeUnit::Cycles.instant(i), &row).unwrap().ready();
        let condition = *decision.expect("twelve sensors are left").condition();
        assert!(condition.rul.is_some() && condition.score.value.is_finite(), "row {i}");
    }
}

/// Changes window `k`'s samples and their instant; `false` where they are to be refused.
type SampleFault = dyn Fn(usize, &mut [Vec<f64>; 2], &mut i64) -> bool;

#[test]
fn samples_that_are_wrong_touch_one_machine_alone() {
    let fleet = chains::bearings(8);
    let model = chains::vibration().fit(&fleet).unwrap();
    let window = |bearing: usize, k: usize| chains::vibration_window(bearing, k, 50);
    let run = |fault: &SampleFault| {
        let mut live: Fleet = Fleet::new(model.clone());
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for k in 0..30 {
            let time = LifeUnit::Hours.instant(k as i64);
            let [a, b] = window(20, k);
            live.push_samples("good", time, &[&a, &b], |t, d| good.push((t, encoded(&d))))
                .unwrap();
            let (mut samples, mut nanos) = (window(21, k), time.nanos());
            let whole = !(10..20).contains(&k) || fault(k, &mut samples, &mut nanos);
            let [a, b] = &samples;
            let pushed = live.push_samples("bad", Timestamp::from_nanos(nanos), &[a, b], |_, d| {
                assert_finite(&d, "samples");
                bad.push(d);
            });
            match pushed {
                Ok(_) => assert!(whole),
                Err(e) => {
                    assert!(!whole);
                    assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
                }
            }
        }
        assert!(matches!(bad.last(), Some(Assessment::Ready(_))), "{:?}", bad.last());
        (good, bad.len())
    };
    let (clean, n) = run(&|_, _, _| true);
    assert_eq!((clean.len(), n), (30, 30));
    let faults: [&SampleFault; 8] = [
        &|_, s, _| {
            s[0].fill(f64::NAN);
            true
        },
        &|_, s, _| {
            s.iter_mut().for_each(|c| c.fill(f64::NAN));
            true
        },
        &|_, s, _| {
            s.iter_mut().for_each(|c| c.fill(f64::INFINITY));
            true
        },
        &|_, s, _| {
            s[1][5] = f64::MAX;
            true
        },
        &|_, s, _| {
            s.iter_mut().for_each(|c| c.fill(3.0));
            true
        },
        &|_, s, _| {
            s[1].pop();
            false
        },
        &|_, s, _| {
            s.iter_mut().for_each(Vec::clear);
            true
        },
        &|_, _, t| {
            *t = 0;
            true
        },
    ];
    for (i, fault) in faults.iter().enumerate() {
        let (good, _) = run(fault);
        assert!(good == clean, "fault {i}: the other machine noticed");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Model files

fn file(model: &Pipeline) -> Vec<u8> {
    model.to_bytes(model.provenance()).unwrap()
}

#[test]
fn model_files_cut_or_altered_anywhere_are_refused() {
    let good = file(&WHOLE);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.prognos");
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Pipeline::load(&path)
    };
    assert_eq!(load(&good).unwrap().fingerprint(), WHOLE.fingerprint());
    let ends = (0..64).chain(good.len() - 64..good.len());
    for n in ends.chain((0..good.len()).step_by(good.len() / 200)) {
        let e = refused(load(&good[..n]), ErrorKind::Persistence, &["model.prognos"]);
        let says = ["truncated", "altered"].iter().any(|w| e.to_string().contains(w));
        assert!(says, "cut to {n}: {e}");
    }
    refused(load(&[&good[..], &[0]].concat()), ErrorKind::Persistence, &["SHA-256"]);
    let mut rng = Xoshiro256Plus::seed_from_u64(3);
    for i in 0..500 {
        // Evenly over the file, another value for the byte.
        let at = i * good.len() / 500;
        let mut bytes = good.clone();
        bytes[at] ^= rng.gen_range(1..=255u8);
        let e = refused(Pipeline::from_bytes(&bytes), ErrorKind::Persistence, &[]);
        let says = ["altered", "truncated", "not a prognos file"]
            .iter()
            .any(|w| e.to_string().contains(w));
        assert!(says, "altered at {at}: {e}");
    }
    // The file itself is still good.
    assert!(load(&good).is_ok());
}

fn sealed_again(bytes: &[u8]) -> Vec<u8> {
    let body = &bytes[..bytes.len() - 32];
    let hex = envelope::sha256_hex(body);
    let sum = (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
    body.iter().copied().chain(sum).collect()
}

#[test]
fn model_files_of_another_format_or_kind_are_refused() {
    let good = file(&WHOLE);
    let mut later = good.clone();
    later[8..12].copy_from_slice(&3u32.to_le_bytes());
    refused(Pipeline::from_bytes(&later), ErrorKind::Persistence, &["altered"]);
    let words = ["format version", "expected 1..=2", "got 3", "later prognos"];
    refused(
        Pipeline::from_bytes(&sealed_again(&later)),
        ErrorKind::Persistence,
        &words,
    );
    let mut none = good.clone();
    none[8..12].fill(0);
    refused(
        Pipeline::from_bytes(&sealed_again(&none)),
        ErrorKind::Persistence,
        &["format version", "got 0"],
    );
    for (at, n) in [(12, 4), (16, 8)] {
        for value in [0, 1, u64::MAX, u64::MAX - 56, 1 << 40] {
            let mut lengths = good.clone();
            lengths[at..at + n].copy_from_slice(&value.to_le_bytes()[..n]);
            let (result, held) = measured(|| Pipeline::from_bytes(&sealed_again(&lengths)));
            refused(result, ErrorKind::Persistence, &["expected"]);
            assert!(held < 1 << 20, "{held} bytes for a length of {value}");
        }
    }
    let (header, payload) = envelope::open(&good).unwrap();
    let mut newer = header.clone();
    newer.kind_version = 7;
    let e = Pipeline::from_bytes(&envelope::seal(&newer, payload).unwrap());
    refused(
        e,
        ErrorKind::Persistence,
        &["`pipeline` version", "expected 1", "got 7"],
    );

    // A detector is no chain, nor the other way round, whatever its header says.
    let table = chains::table(&WHOLE, &chains::engines(3, 1));
    use linfa::traits::Fit;
    let detector = PcaDetector::params().fit(&linfa::DatasetBase::new(table, ())).unwrap();
    let detector = detector.to_bytes(&Provenance::default()).unwrap();
    let words = ["expected `pipeline`", "got `detect.pca`"];
    refused(Pipeline::from_bytes(&detector), ErrorKind::Persistence, &words);
    let words = ["expected `detect.pca`", "got `pipeline`"];
    refused(PcaDetector::from_bytes(&good), ErrorKind::Persistence, &words);
    let (detector_header, detector_payload) = envelope::open(&detector).unwrap();
    let forged = envelope::seal(&header, detector_payload).unwrap();
    refused(Pipeline::from_bytes(&forged), ErrorKind::Persistence, &["payload"]);
    let forged = envelope::seal(&detector_header, payload).unwrap();
    refused(PcaDetector::from_bytes(&forged), ErrorKind::Persistence, &["payload"]);
    for junk in [&b""[..], b"PROG", b"not a model", &[0u8; 4096]] {
        let e = refused(Pipeline::from_bytes(junk), ErrorKind::Persistence, &[]);
        assert!(
            e.to_string().contains("truncated") || e.to_string().contains("not a prognos file"),
            "{e}"
        );
    }
}

/// A place in MessagePack bytes: where a value starts, the length of its marker and count, and the marker.
struct Place {
    at: usize,
    head: usize,
    marker: u8,
}

/// Every value in MessagePack `bytes`.
fn places(bytes: &[u8]) -> Vec<Place> {
    let (mut at, mut all) = (0, Vec::new());
    let mut open = vec![1usize];
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        let marker = bytes[at];
        let number = |n: usize| {
            bytes[at + 1..at + 1 + n]
                .iter()
                .fold(0usize, |s, b| s << 8 | usize::from(*b))
        };
        let (head, body, children) = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (1, 0, 0),
            0x80..=0x8f => (1, 0, 2 * usize::from(marker & 15)),
            0x90..=0x9f => (1, 0, usize::from(marker & 15)),
            0xa0..=0xbf => (1, usize::from(marker & 31), 0),
            0xc4 | 0xd9 => (2, number(1), 0),
            0xc5 | 0xda => (3, number(2), 0),
            0xc6 | 0xdb => (5, number(4), 0),
            0xcc | 0xd0 => (2, 0, 0),
            0xcd | 0xd1 => (3, 0, 0),
            0xca | 0xce | 0xd2 => (5, 0, 0),
            0xcb | 0xcf | 0xd3 => (9, 0, 0),
            0xdc => (3, 0, number(2)),
            0xdd => (5, 0, number(4)),
            0xde => (3, 0, 2 * number(2)),
            0xdf => (5, 0, 2 * number(4)),
            _ => panic!("marker {marker:#x}, which nothing here writes"),
        };
        all.push(Place { at, head, marker });
        at += head + body;
        open.push(children);
    }
    assert_eq!(at, bytes.len());
    all
}

/// A file with a valid checksum over this payload: refused, or a chain that keeps its promises; soon and in little memory.
#[track_caller]
fn survives(payload: &[u8], rows: &[(usize, Timestamp, &[f64])], what: &str) -> bool {
    let (header, _) = envelope::open(&FILES.0).unwrap();
    let bytes = envelope::seal(&header, payload).unwrap();
    let (result, held) = measured(|| Pipeline::from_bytes(&bytes));
    assert!(
        held < (8 << 20) + 64 * bytes.len() as i64,
        "{what}: {held} bytes held for a file of {}",
        bytes.len()
    );
    match result {
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}: {e}");
            false
        }
        Ok((model, _)) => {
            let mut state = model.new_state();
            for (_, time, row) in rows.iter().take(25) {
                let x = FeatureView::new(model.schema(), row).unwrap().at(*time);
                let outcome = model.step(&mut state, x).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_finite(&outcome, what);
            }
            true
        }
    }
}

/// A file with trees and one with everything else, small.
static FILES: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let linear = chains::linear().fit(&chains::engines(10, 1)).unwrap();
    (file(&WHOLE), file(&linear))
});

#[test]
fn length_bombs_under_a_valid_checksum_do_not_go_off() {
    let engines = chains::engines(1, 3);
    let rows = chains::interleaved(&engines);
    for (k, file) in [&FILES.0, &FILES.1].into_iter().enumerate() {
        let payload = envelope::open(file).unwrap().1;
        let all = places(payload);
        let holds = |p: &&Place| matches!(p.marker, 0x80..=0xbf | 0xd9..=0xdf | 0xc4..=0xc6);
        let containers: Vec<&Place> = all.iter().filter(holds).collect();
        assert!(containers.len() > 100, "{}", containers.len());
        for p in containers.iter().step_by(containers.len().div_ceil(250)) {
            for bomb in [0xdd, 0xdf, 0xdb, 0xc6] {
                for length in [u32::MAX, 1 << 28] {
                    let mut bytes = payload[..p.at].to_vec();
                    bytes.push(bomb);
                    bytes.extend_from_slice(&length.to_be_bytes());
                    bytes.extend_from_slice(&payload[p.at + p.head..]);
                    let taken = survives(&bytes, &rows, &format!("file {k}, {bomb:#x} of {length} at {}", p.at));
                    assert!(!taken, "a list of {length} that is not there");
                }
            }
        }
        // Lists in lists, a million deep.
        let deep = vec![0x91; 1 << 20];
        assert!(!survives(&deep, &rows, "lists a million deep"));
    }
}

#[test]
fn hostile_numbers_under_a_valid_checksum_are_refused_or_harmless() {
    let engines = chains::engines(1, 3);
    let rows = chains::interleaved(&engines);
    let mut n_taken = [0; 2];
    for (k, file) in [&FILES.0, &FILES.1].into_iter().enumerate() {
        let payload = envelope::open(file).unwrap().1;
        let all = places(payload);
        let number = |p: &&Place| matches!(p.marker, 0x00..=0x7f | 0xe0..=0xff | 0xca..=0xd3);
        let numbers: Vec<&Place> = all.iter().filter(number).collect();
        // Every kind of number by turns at places spread over the file.
        let floats = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            5e-324,
            -0.0,
        ];
        for (i, p) in numbers.iter().step_by(numbers.len().div_ceil(700)).enumerate() {
            let value: Vec<u8> = match i % 10 {
                j @ 0..7 => [&[0xcb], &floats[j].to_be_bytes()[..]].concat(),
                7 => [&[0xcf], &u64::MAX.to_be_bytes()[..]].concat(),
                8 => [&[0xd3], &i64::MIN.to_be_bytes()[..]].concat(),
                _ => vec![0xcd, 0xff, 0xff],
            };
            let bytes = [&payload[..p.at], &value, &payload[p.at + p.head..]].concat();
            let what = format!("file {k}, {value:x?} for the number at {}", p.at);
            n_taken[usize::from(survives(&bytes, &rows, &what))] += 1;
        }
        // Random bytes, and whole regions moved.
        let mut rng = Xoshiro256Plus::seed_from_u64(8);
        for round in 0..200 {
            let mut bytes = payload.to_vec();
            let at = rng.gen_range(0..bytes.len() - 16);
            let n = rng.gen_range(1..16);
            if round % 2 == 0 {
                bytes[at..at + n].iter_mut().for_each(|b| *b = rng.r#gen());
            } else {
                let from = rng.gen_range(0..bytes.len() - n);
                bytes.copy_within(from..from + n, at);
            }
            survives(&bytes, &rows, &format!("file {k}, {n} bytes at {at}, round {round}"));
        }
    }
    assert!(n_taken[0] > 300 && n_taken[1] > 100, "refused and taken: {n_taken:?}");
}

/// The payload of a file as a tree of values, changed at `path` and encoded again.
fn with(file: &[u8], path: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut tree: Value = envelope::decode(envelope::open(file).unwrap().1).unwrap();
    change(tree.pointer_mut(path).unwrap_or_else(|| panic!("nothing at {path}")));
    envelope::encode(&tree).unwrap()
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let engines = chains::engines(1, 3);
    let rows = chains::interleaved(&engines);
    let (whole, linear) = (&FILES.0, &FILES.1);
    assert!(
        survives(&with(whole, "/alarm", |_| ()), &rows, "unchanged"),
        "the tree of values is the file"
    );
    let trees = "/rul/rul.gradient_boosting/forest";
    let at = |key: &str| format!("{trees}/{key}");
    let refused: Vec<(&str, Vec<u8>)> = vec![
        // Trees whose walk would never end or leave the list.
        (
            "a child that is its parent",
            with(whole, &at("left/0"), |v| *v = json!(0)),
        ),
        (
            "a child far outside",
            with(whole, &at("right/0"), |v| *v = json!(65_535)),
        ),
        ("a negative child", with(whole, &at("right/0"), |v| *v = json!(-1))),
        (
            "a feature that is none",
            with(whole, &at("feature/0"), |v| *v = json!(60_000)),
        ),
        ("a root outside", with(whole, &at("roots/0"), |v| *v = json!(u32::MAX))),
        (
            "a missing threshold",
            with(whole, &at("number"), |v| drop(v.as_array_mut().unwrap().pop())),
        ),
        (
            "a threshold that is no number",
            with(whole, &at("number/0"), |v| *v = Value::Null),
        ),
        (
            "no intervals",
            with(whole, "/rul/rul.gradient_boosting/intervals", |v| *v = Value::Null),
        ),
        (
            "a negative cap",
            with(whole, "/rul/rul.gradient_boosting/cap", |v| *v = json!(-5.0)),
        ),
        (
            "a level above one",
            with(whole, "/rul/rul.gradient_boosting/intervals/level", |v| *v = json!(1.5)),
        ),
        (
            "crossed ends",
            with(whole, "/rul/rul.gradient_boosting/intervals/ends/0", |v| {
                *v = json!([2.0, 1.0])
            }),
        ),
        (
            "no centres",
            with(whole, "/rul/rul.gradient_boosting/intervals/centres", |v| {
                *v = json!([])
            }),
        ),
        // Indices and counts.
        (
            "a sensor outside",
            with(whole, "/front/normalizer/sensor_columns/0", |v| *v = json!(15)),
        ),
        (
            "a sensor twice",
            with(whole, "/front/normalizer/sensor_columns/0", |v| *v = json!(4)),
        ),
        (
            "an index far outside",
            with(whole, "/front/normalizer/setting_columns/0", |v| *v = json!(u64::MAX)),
        ),
        (
            "more regimes than centres",
            with(whole, "/front/indices/n_regimes", |v| *v = json!(u64::MAX)),
        ),
        (
            "another number of regimes",
            with(whole, "/front/indices/n_regimes", |v| *v = json!(1)),
        ),
        (
            "more regressions than indices",
            with(whole, "/front/indices/n_by_regime", |v| *v = json!(1u64 << 60)),
        ),
        ("no lines", with(whole, "/front/normalizer/lines", |v| *v = json!([]))),
        (
            "no columns",
            with(whole, "/front/normalizer/input/features", |v| *v = json!([])),
        ),
        (
            "a column without a name",
            with(whole, "/front/normalizer/input/features/3/name", |v| *v = json!("")),
        ),
        // Features that the models were not fitted on, or too many of them.
        (
            "another span",
            with(whole, "/front/specs/sensors/ewma/0", |v| *v = json!(9.0)),
        ),
        (
            "a span below one",
            with(whole, "/front/specs/sensors/ewma/0", |v| *v = json!(0.5)),
        ),
        (
            "a span without end",
            with(whole, "/front/specs/indices/slope/0", |v| *v = json!(1e300)),
        ),
        (
            "no features",
            with(whole, "/front/specs/sensors/ewma", |v| *v = json!([])),
        ),
        (
            "a million features",
            with(whole, "/front/specs/sensors/slope", |v| {
                *v = (1..=1_000_000).map(f64::from).collect::<Vec<_>>().into();
            }),
        ),
        (
            "a thousand features a sensor",
            with(whole, "/front/specs/detector/slope", |v| {
                *v = (1..=999).map(f64::from).collect::<Vec<_>>().into();
            }),
        ),
        (
            "windows without end",
            with(whole, "/front/specs/sensors/max_rows", |v| *v = json!(u64::MAX)),
        ),
        // The chain itself.
        ("an alarm of none", with(whole, "/alarm/m", |v| *v = json!(0))),
        ("an alarm of too many", with(whole, "/alarm/n", |v| *v = json!(65))),
        (
            "an unknown unit",
            with(whole, "/life_unit", |v| *v = json!("Fortnights")),
        ),
        (
            "an unknown regressor",
            with(whole, "/rul", |v| *v = json!({"rul.oracle": {}})),
        ),
        (
            "an unknown detector",
            with(whole, "/detector", |v| *v = json!({"detect.oracle": {}})),
        ),
        ("no detector", with(whole, "/detector", |v| *v = Value::Null)),
        (
            "coefficients missing",
            with(linear, "/rul/rul.ridge/coefficients", |v| *v = json!([1.0])),
        ),
        (
            "a coefficient out of bounds",
            with(linear, "/rul/rul.ridge/coefficients/0", |v| *v = json!(1e305)),
        ),
        (
            "a negative scale",
            with(linear, "/rul/rul.ridge/scaling/inverse_sd/0", |v| *v = json!(-1.0)),
        ),
        (
            "scales missing",
            with(linear, "/rul/rul.ridge/scaling/inverse_sd", |v| *v = json!([])),
        ),
    ];
    for (what, payload) in &refused {
        assert!(!survives(payload, &rows, what), "{what} was taken");
    }
    // A walk that would take for ever: one tree many times over, and one as deep as the list is long.
    let again = with(whole, &at("roots"), |v| *v = json!(vec![0; 1 << 20]));
    assert!(!survives(&again, &rows, "a tree a million times over"));
    for n in [2_000, 80_000] {
        // Each node's left child is the next one, its right child the one after that.
        let deep = with(whole, trees, |forest| {
            let list = |value: &dyn Fn(usize) -> Value| (0..n).map(value).collect::<Vec<Value>>();
            let inner = |i: usize| i + 2 < n;
            *forest = json!({
                "roots": [0],
                "feature": list(&|i| json!(if inner(i) { 0 } else { 65_535 })),
                "number": list(&|i| json!(i as f64)),
                "left": list(&|i| json!(u16::from(inner(i)))),
                "right": list(&|i| json!(2 * u16::from(inner(i)))),
                "missing_left": list(&|_| json!(false)),
            });
        });
        assert!(!survives(&deep, &rows, &format!("a tree {n} deep")));
    }
    // What may be: a chain without its regressor, another alarm.
    assert!(survives(
        &with(whole, "/rul", |v| *v = Value::Null),
        &rows,
        "no regressor"
    ));
    assert!(survives(
        &with(whole, "/alarm/m", |v| *v = json!(5)),
        &rows,
        "another alarm"
    ));
}

#[test]
fn hostile_states_are_refused_or_harmless() {
    let fleet = chains::engines(10, 1);
    let remembering = |detector: ChainDetectorParams| chains::linear().detector(detector).fit(&fleet).unwrap();
    hostile_states_of(&WHOLE);
    hostile_states_of(&remembering(EwmaChart::params().into()));
    hostile_states_of(&remembering(LaggedPca::params().into()));
}

fn hostile_states_of(model: &Pipeline) {
    let engines = chains::engines(1, 3);
    let rows = chains::interleaved(&engines);
    let mut state = model.new_state();
    let step = |state: &mut PipelineState, i: usize| {
        let (_, time, row) = rows[i];
        model.step(state, FeatureView::new(model.schema(), row).unwrap().at(time))
    };
    (0..30).for_each(|i| drop(step(&mut state, i).unwrap()));
    let good = encoded(&state);
    let all = places(&good);
    let mut rng = Xoshiro256Plus::seed_from_u64(9);
    let (mut n_decoded, mut n_ready) = (0, 0);
    for round in 0..3000 {
        let p = &all[rng.gen_range(0..all.len())];
        let mut value = match round % 6 {
            0 => [&[0xcb], &f64::NAN.to_be_bytes()[..]].concat(),
            1 => [&[0xcb], &f64::MAX.to_be_bytes()[..]].concat(),
            2 => [&[0xcf], &u64::MAX.to_be_bytes()[..]].concat(),
            3 => vec![rng.gen_range(0..0x80)],
            4 => vec![0xdd, 0xff, 0xff, 0xff, 0xff],
            _ => vec![rng.r#gen()],
        };
        // Numbers stand for numbers, markers for markers.
        if round % 6 == 5 {
            value.extend_from_slice(&good[p.at + 1..p.at + p.head]);
        }
        let bytes = [&good[..p.at], &value, &good[p.at + p.head..]].concat();
        let (decoded, held) = measured(|| envelope::decode::<PipelineState>(&bytes));
        assert!(held < 8 << 20, "{held} bytes for a state of {}", bytes.len());
        let Ok(mut hostile) = decoded else { continue };
        n_decoded += 1;
        for i in 30..40 {
            let before = encoded(&hostile);
            match step(&mut hostile, i) {
                Ok(outcome) => {
                    assert_finite(&outcome, &format!("round {round}, {value:x?} at {}", p.at));
                    n_ready += usize::from(matches!(outcome, Assessment::Ready(_)));
                }
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::StateMismatch, "round {round}: {e}");
                    assert_eq!(encoded(&hostile), before, "round {round}: a refused state was changed");
                }
            }
        }
    }
    assert!(n_decoded > 500 && n_ready > 2000, "{n_decoded} {n_ready}");
}

/// Fails where a value holds a NaN or an infinity anywhere.
#[track_caller]
fn assert_finite<T: Serialize>(value: &T, what: &str) {
    let bytes = encoded(value);
    for p in places(&bytes).iter().filter(|p| p.marker == 0xcb) {
        let v = f64::from_be_bytes(bytes[p.at + 1..p.at + 9].try_into().unwrap());
        assert!(v.is_finite(), "{what}: {v}");
    }
}

/// The paths in messages are those given.
#[test]
fn messages_of_errors_are_of_one_form() {
    let e = Pipeline::load(Path::new("no such folder/model.prognos")).unwrap_err();
    assert!(
        e.to_string()
            .starts_with("cannot open `no such folder/model.prognos`: "),
        "{e}"
    );
    assert_eq!(format!("{:?}", e.kind()), "Io");
}
