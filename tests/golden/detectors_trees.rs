//! Detectors by isolation, random cuts and histograms against scikit-learn and PyOD;
//! `tests/golden/make_detectors_trees.py` made the numbers.

use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{
        ExtendedIsolationForest, HistogramDetector, IsolationForest, Loda, NearestIsolation, RowAlgorithm, RowDetector,
        RowDetectorParams, RowScorer,
    },
    features::{FeatureSchema, FeatureTable},
    quantity::Seed,
    signal::Channel,
};
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use serde_json::Value;
use std::path::PathBuf;

fn golden() -> Value {
    serde_json::from_str(include_str!("detectors_trees.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The script's generator.
struct Chance(Xoshiro256Plus);

impl Chance {
    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn bell(&mut self) -> f64 {
        (0..12).fold(0.0, |sum, _| sum + self.uniform()) - 6.0
    }

    fn heavy(&mut self) -> f64 {
        let top = self.bell();
        let square = (0..3).fold(0.0, |sum, _| {
            let b = self.bell();
            sum + b * b
        });
        top / f64::sqrt(square / 3.0)
    }
}

const N_INLIERS: usize = 950;
const N_OUTLIERS: usize = 50;
const TABLES: [&str; 4] = ["clusters", "correlated", "heavy_tails", "one_column"];

fn generated(table: usize) -> (Vec<Vec<f64>>, Vec<bool>) {
    let mut c = Chance(Xoshiro256Plus::seed_from_u64(100 + table as u64));
    let mut row = |outlier: bool, i: usize| -> Vec<f64> {
        match TABLES[table] {
            "clusters" if outlier => (0..5).map(|_| 24.0 * c.uniform() - 12.0).collect(),
            "clusters" => {
                let k = i % 3;
                let value = |j: usize| 6.0 * ((k + j) % 3) as f64 - 6.0 + (0.5 + 0.5 * k as f64) * c.bell();
                (0..5).map(value).collect()
            }
            "correlated" => {
                let (mut a, mut b) = (c.bell(), c.bell());
                let value = |j: usize| {
                    if outlier {
                        (a, b) = (c.bell(), c.bell());
                    }
                    let w = 0.2 * j as f64;
                    w * a + (1.0 - w) * b + 0.2 * c.bell()
                };
                (0..6).map(value).collect()
            }
            "heavy_tails" => (0..4).map(|_| c.heavy() + if outlier { 4.0 } else { 0.0 }).collect(),
            _ => {
                let mut row: Vec<f64> = (0..8).map(|_| c.bell()).collect();
                if outlier {
                    row[i % 8] += 6.0;
                }
                row
            }
        }
    };
    let mut rows: Vec<_> = (0..N_INLIERS).map(|i| row(false, i)).collect();
    rows.extend((0..N_OUTLIERS).map(|i| row(true, i)));
    (rows, (0..N_INLIERS + N_OUTLIERS).map(|i| i >= N_INLIERS).collect())
}

fn table(rows: &[Vec<f64>]) -> FeatureTable {
    let (n, width) = (rows.len(), rows[0].len());
    let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "")).collect();
    let values = Array2::from_shape_vec((n, width), rows.concat()).unwrap();
    FeatureTable::new(FeatureSchema::of_channels(&channels).unwrap(), values, vec![0; n]).unwrap()
}

fn fit<A: RowAlgorithm>(params: RowDetectorParams<A>, rows: &[Vec<f64>]) -> RowDetector<A::Scorer> {
    let params = params.fixed_threshold(0.0).check().unwrap();
    params.fit(&DatasetBase::new(table(rows), ())).unwrap()
}

fn scores<S: RowScorer>(detector: &RowDetector<S>, rows: &[Vec<f64>]) -> Vec<f64> {
    let outcomes = detector.assess_table(&table(rows)).unwrap();
    outcomes.into_iter().map(|a| a.ready().unwrap().value).collect()
}

/// The area under the ROC curve: how often an outlier's score exceeds that of another row, ties counted half.
fn area(scores: &[f64], outlier: &[bool]) -> f64 {
    let mut sorted: Vec<(f64, bool)> = scores.iter().copied().zip(outlier.iter().copied()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for equal in sorted.chunk_by(|a, b| a.0 == b.0) {
        let outliers = equal.iter().filter(|e| e.1).count() as f64;
        let others = equal.len() as f64 - outliers;
        wins += outliers * (below + 0.5 * others);
        below += others;
    }
    wins / (below * outlier.iter().filter(|o| **o).count() as f64)
}

/// Mean and standard deviation over `n` seeds.
fn areas<A: RowAlgorithm>(
    params: &RowDetectorParams<A>,
    (rows, outlier): &(Vec<Vec<f64>>, Vec<bool>),
    n: usize,
) -> (f64, f64) {
    let one = |seed| area(&scores(&fit(params.clone().seed(Seed(seed)), rows), rows), outlier);
    let all: Vec<f64> = (0..n as u64).map(one).collect();
    let mean = all.iter().sum::<f64>() / n as f64;
    let square = all.iter().map(|a| (a - mean) * (a - mean)).sum::<f64>();
    (mean, (square / (n as f64 - 1.0)).sqrt())
}

/// Equal means: within four standard errors of their difference, and a thousandth for what standard errors of few seeds
/// miss (scikit-learn rounds to 32 bits; a deviation of zero is an estimate too).
#[track_caller]
fn as_good_as<A: RowAlgorithm>(
    what: &str,
    params: &RowDetectorParams<A>,
    data: &(Vec<Vec<f64>>, Vec<bool>),
    peer: &Value,
) {
    let n = peer["n"].as_u64().unwrap() as usize;
    let (mean, deviation) = areas(params, data, n);
    let (peer_mean, peer_deviation) = (peer["mean"].as_f64().unwrap(), peer["deviation"].as_f64().unwrap());
    let tolerance = 4.0 * (deviation.hypot(peer_deviation)) / (n as f64).sqrt() + 0.001;
    println!("{what}: {mean:.4} (deviation {deviation:.4}), the peer {peer_mean:.4} ({peer_deviation:.4})");
    assert!(
        (mean - peer_mean).abs() <= tolerance,
        "{what}: expected {peer_mean} within {tolerance}, got {mean}"
    );
}

/// `check` with each generated table and the peers' areas on it.
fn on_every_table(check: impl Fn(&str, &(Vec<Vec<f64>>, Vec<bool>), &Value)) {
    let g = golden();
    for (k, name) in TABLES.into_iter().enumerate() {
        let data = generated(k);
        let sum: f64 = data.0.iter().flatten().sum();
        let expected = g["tables"][name]["sum"].as_f64().unwrap();
        assert!(
            (sum - expected).abs() < 1e-9,
            "{name} is another table: {sum}, {expected}"
        );
        check(name, &data, &g["tables"][name]["areas"]);
    }
}

#[test]
fn isolation_forest_is_as_good_as_that_of_scikit_learn() {
    on_every_table(|name, data, peers| {
        as_good_as(name, &IsolationForest::params(), data, &peers["isolation_forest"]);
    });
}

#[test]
fn nearest_isolation_is_as_good_as_that_of_pyod() {
    on_every_table(|name, data, peers| {
        as_good_as(name, &NearestIsolation::params(), data, &peers["nearest_isolation"]);
    });
}

#[test]
fn loda_is_as_good_as_its_definition_and_no_worse_than_that_of_pyod() {
    on_every_table(|name, data, peers| {
        as_good_as(name, &Loda::params(), data, &peers["loda_by_definition"]);
        let (ours, _) = areas(&Loda::params(), data, 10);
        let (pyod, deviation) = (&peers["loda"]["mean"], &peers["loda"]["deviation"]);
        let error = deviation.as_f64().unwrap() / 10_f64.sqrt();
        assert!(
            ours > pyod.as_f64().unwrap() - 2.0 * error,
            "{name}: {ours}, PyOD {pyod}"
        );
    });
}

/// Slanted splits see broken relations between columns, which splits along the axes see badly.
#[test]
fn extended_isolation_forest_sees_correlation() {
    let data = generated(1);
    let (along, deviation) = areas(&IsolationForest::params(), &data, 5);
    let (aslant, other) = areas(&ExtendedIsolationForest::params(), &data, 5);
    println!("along the axes {along:.4} (deviation {deviation:.4}), aslant {aslant:.4} ({other:.4})");
    assert!(aslant > along + 4.0 * deviation.hypot(other) / 5_f64.sqrt());
    // Without a slant both are the same but for splits of columns that do not vary within a node.
    let (level_0, _) = areas(&ExtendedIsolationForest::params().level(0), &data, 5);
    assert!((level_0 - along).abs() < 0.02, "{level_0} {along}");
}

#[test]
fn histogram_scores_equal_those_of_pyod() {
    let g = golden();
    let (rows, _) = generated(0);
    let beyond = [-1e3, -14.0, -12.5, -12.0, -5.0, 0.0, 3.0, 12.0, 12.5, 14.0, 1e3].map(|v| vec![v; 5]);
    let scored: Vec<Vec<f64>> = rows.iter().step_by(50).cloned().chain(beyond).collect();
    for (n_bins, alpha, tolerance) in [(10, 0.1, 0.5), (25, 0.01, 0.2)] {
        let params = HistogramDetector::params().n_bins(n_bins).alpha(alpha);
        let got = scores(&fit(params.tolerance(tolerance), &rows), &scored);
        let expected = numbers(&g["histogram"][n_bins.to_string()]);
        assert_eq!(got.len(), expected.len());
        // Means and deviations differ by rounding, 1e-15; bin widths, and densities with them, likewise.
        for (i, (g, e)) in got.iter().zip(&expected).enumerate() {
            assert!(
                (g - e).abs() <= 1e-12 * e.abs().max(1.0),
                "{n_bins} bins, row {i}: expected {e}, got {g}"
            );
        }
    }
    on_every_table(|name, data, peers| {
        let got = area(&scores(&fit(HistogramDetector::params(), &data.0), &data.0), &data.1);
        let expected = peers["histogram"]["mean"].as_f64().unwrap();
        assert!((got - expected).abs() < 1e-9, "{name}: expected {expected}, got {got}");
    });
}

#[test]
fn failures_of_milling_are_found_as_well_as_by_the_peers() {
    let Some(root) = std::env::var_os("PROGNOS_DATA").map(PathBuf::from) else {
        println!("skipped: PROGNOS_DATA is not set");
        return;
    };
    let path = root.join("ai4i/ai4i2020.csv");
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return;
    }
    let mut reader = csv::Reader::from_path(path).unwrap();
    let column = |name: &str, headers: &csv::StringRecord| headers.iter().position(|h| h == name).unwrap();
    let headers = reader.headers().unwrap().clone();
    let numeric = [
        "Air temperature [K]",
        "Process temperature [K]",
        "Rotational speed [rpm]",
        "Torque [Nm]",
        "Tool wear [min]",
    ]
    .map(|name| column(name, &headers));
    let (kind, failure) = (column("Type", &headers), column("Machine failure", &headers));
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.unwrap();
        let kind = "LMH".find(&record[kind]).unwrap() as f64;
        rows.push(
            std::iter::once(kind)
                .chain(numeric.map(|c| record[c].parse().unwrap()))
                .collect(),
        );
        failed.push(&record[failure] == "1");
    }
    let data: (Vec<Vec<f64>>, Vec<bool>) = (rows, failed);
    let g = golden();
    let peers = &g["ai4i"]["areas"];
    as_good_as(
        "isolation forest",
        &IsolationForest::params(),
        &data,
        &peers["isolation_forest"],
    );
    as_good_as(
        "nearest isolation",
        &NearestIsolation::params(),
        &data,
        &peers["nearest_isolation"],
    );
    as_good_as("LODA", &Loda::params(), &data, &peers["loda_by_definition"]);
    let histogram = area(&scores(&fit(HistogramDetector::params(), &data.0), &data.0), &data.1);
    // Readings are round numbers, some of which lie on an edge but for rounding: hundreds of rows may change their bin.
    let expected = peers["histogram"]["mean"].as_f64().unwrap();
    println!("histogram: {histogram:.4}, the peer {expected:.4}");
    assert!((histogram - expected).abs() < 0.02, "{histogram} {expected}");
}
