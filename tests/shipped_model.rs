//! `models/turbofan_sim` is what the quickstart fits, and says what it said when it was shipped.
//!
//! A change after which another model is fitted fails here. Where it is meant, train again with the command in
//! `models/turbofan_sim/README.md`, and bring its figures there and the output in `README.md` up to date.
#![cfg(feature = "datasets")]

use prognos::{dataset::fleet_csv, envelope::Provenance, pipeline::Pipeline, signal::FleetHistory};
use std::{
    fs,
    path::{Path, PathBuf},
};

#[allow(dead_code)] // its main
#[path = "../examples/quickstart.rs"]
mod quickstart;

use quickstart::{SPLIT, chain, scores_csv, split, watch};

/// Units in the last place of a CPU's linear algebra stay far below this; another split in a tree does not.
const TOLERANCE: f64 = 1e-6;

fn shipped(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "models/turbofan_sim", name]
        .iter()
        .collect()
}

/// The machines the model was fitted on, and those it was not.
fn machines() -> (FleetHistory, FleetHistory) {
    let table = [env!("CARGO_MANIFEST_DIR"), "datasets/turbofan_sim/fleet.csv"];
    split(
        &fleet_csv::read_fleet(table.iter().collect::<PathBuf>()).unwrap(),
        SPLIT,
    )
    .unwrap()
}

/// Each line's machine and row, and its numbers.
fn parsed(table: &str) -> Vec<(String, Vec<f64>)> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let numbers = fields[2..].iter().map(|f| f.parse().unwrap()).collect();
        (fields[..2].join(","), numbers)
    };
    table.lines().skip(1).map(line).collect()
}

/// Holds the model in `file` to the scores in `expected`, to the last bit: numbers are printed in full.
fn says_what_it_said(file: &Path, expected: &Path) {
    let model = Pipeline::load(file).unwrap();
    let (_, unseen) = machines();
    let now = scores_csv(&watch(model, &unseen).unwrap());
    let then = fs::read_to_string(expected).unwrap();
    assert!(then.lines().count() > 100, "{} lines", then.lines().count());
    for (now, then) in now.lines().zip(then.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(now.len(), then.len());
    assert!(fs::metadata(file).unwrap().len() < 700_000);
}

#[test]
fn shipped_model_says_what_it_said() {
    says_what_it_said(&shipped("model.prognos"), &shipped("expected.csv"));
}

/// A file from before regressors knew distributions and trees their row counts.
#[test]
fn first_model_says_what_it_said() {
    let golden = |name: &str| -> PathBuf { [env!("CARGO_MANIFEST_DIR"), "tests/golden", name].iter().collect() };
    says_what_it_said(&golden("first_model.prognos"), &golden("first_model.csv"));
}

#[test]
fn retraining_makes_the_shipped_model() {
    let (train, unseen) = machines();
    let fit = || chain(train.channels()).fit(&train).unwrap();
    let (made, again) = std::thread::scope(|s| {
        let other = s.spawn(fit);
        (fit(), other.join().unwrap())
    });
    let bytes = |m: &Pipeline| m.to_bytes(m.provenance()).unwrap();
    assert!(bytes(&made) == bytes(&again), "two fits differ");

    let shipped_model = Pipeline::load(shipped("model.prognos")).unwrap();
    let without_metrics = |p: &Provenance| Provenance {
        metrics: Default::default(),
        ..p.clone()
    };
    let (theirs, ours) = (shipped_model.provenance(), made.provenance());
    assert_eq!(without_metrics(theirs), without_metrics(ours));
    assert_eq!(
        (theirs.n_assets, theirs.n_rows),
        (train.assets().len() as u64, train.n_rows() as u64)
    );
    assert!(theirs.training_data_sha256.is_some() && theirs.seed.is_some());
    assert!(theirs.metrics.keys().eq(ours.metrics.keys()) && !theirs.metrics.is_empty());
    for (name, value) in &theirs.metrics {
        let diff = (value - ours.metrics[name]).abs();
        assert!(
            diff <= TOLERANCE * value.abs(),
            "{name}: {value}, now {}",
            ours.metrics[name]
        );
    }

    let now = parsed(&scores_csv(&watch(made, &unseen).unwrap()));
    let then = parsed(&fs::read_to_string(shipped("expected.csv")).unwrap());
    assert_eq!(now.len(), then.len());
    for ((row, now), (row_then, then)) in now.iter().zip(&then) {
        assert_eq!(row, row_then);
        for (a, b) in now.iter().zip(then) {
            assert!(
                (a - b).abs() <= TOLERANCE * b.abs().max(1.0),
                "row {row}: {then:?}, now {now:?}"
            );
        }
    }
}
