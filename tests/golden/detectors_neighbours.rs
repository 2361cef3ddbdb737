//! Detectors that compare a row with training rows, against scikit-learn, PyOD and NumPy;
//! `tests/golden/make_detectors_neighbours.py` made the numbers.
//!
//! The failures of the AI4I table are read from the folder `ai4i` under the one that `PROGNOS_DATA` names.

use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{DensityClusters, KernelRegression, LocalOutlierFactor, NearestNeighbours, NeighbourDistance},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyScore, OnlineModel},
    signal::Channel,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("detectors_neighbours.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn rows(v: &Value) -> Vec<Vec<f64>> {
    v.as_array().unwrap().iter().map(numbers).collect()
}

fn table(rows: &[Vec<f64>]) -> DatasetBase<FeatureTable, ()> {
    let (n, width) = (rows.len(), rows[0].len());
    let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "")).collect();
    let values = Array2::from_shape_vec((n, width), rows.concat()).unwrap();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    DatasetBase::new(FeatureTable::new(schema, values, vec![0; n]).unwrap(), ())
}

fn scores<M: OnlineModel<State = (), Output = AnomalyScore>>(m: &M, rows: &[Vec<f64>]) -> Vec<f64> {
    let score = |r: &Vec<f64>| {
        let outcome = m.assess(&(), FeatureView::new(m.schema(), r).unwrap()).unwrap();
        outcome.ready().unwrap().value
    };
    rows.iter().map(score).collect()
}

/// Equal within `tolerance` of the larger of the expected value and one.
#[track_caller]
fn close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!(
            (g - e).abs() <= tolerance * e.abs().max(1.0),
            "{what} {i}: expected {e}, got {g}"
        );
    }
}

/// The share of pairs of a faulty and a healthy row in which the faulty one scores higher; half of it where they are equal.
fn auc(scores: &[f64], labels: &[bool]) -> f64 {
    let of = |label: bool| {
        scores
            .iter()
            .zip(labels)
            .filter(move |(_, l)| **l == label)
            .map(|(s, _)| *s)
    };
    let mut healthy: Vec<f64> = of(false).collect();
    healthy.sort_by(f64::total_cmp);
    let below = |s: f64| healthy.partition_point(|h| *h < s) + healthy.partition_point(|h| *h <= s);
    let sum: usize = of(true).map(below).sum();
    sum as f64 / (2 * healthy.len() * of(true).count()) as f64
}

/// Scores and their AUC against those of the peer named `name`.
#[track_caller]
fn as_the_peer<M: OnlineModel<State = (), Output = AnomalyScore>>(g: &Value, name: &str, m: &M, tolerance: f64) {
    let got = scores(m, &rows(&g["rows"]));
    close(name, &got, &numbers(&g["scores"][name]), tolerance);
    let labels: Vec<bool> = numbers(&g["labels"]).iter().map(|l| *l > 0.0).collect();
    let expected = g["auc"][name].as_f64().unwrap();
    assert!((auc(&got[..labels.len()], &labels) - expected).abs() < 1e-12, "{name}");
    assert!(expected > 0.9, "{name}: {expected}");
}

// Columns have offsets of up to 150 deviations, of which rounding leaves 150 eps = 4e-14 in a scaled value and a few times
// that in a distance.
const DISTANCE: f64 = 1e-11;

#[test]
fn nearest_neighbours_equal_pyod() {
    let g = golden();
    let train = table(&rows(&g["train"]));
    for (name, distance) in [
        ("largest", NeighbourDistance::Largest),
        ("mean", NeighbourDistance::Mean),
        ("median", NeighbourDistance::Median),
    ] {
        for k in [5, 8] {
            let d = NearestNeighbours::params()
                .n_neighbors(k)
                .distance(distance)
                .fit(&train)
                .unwrap();
            as_the_peer(&g, &format!("knn_{name}_{k}"), &d, DISTANCE);
        }
    }
}

/// The table has a row with more copies than neighbours are asked for, whose density only the constant keeps finite.
#[test]
fn local_outlier_factor_equals_scikit_learn() {
    let g = golden();
    let d = LocalOutlierFactor::params().fit(&table(&rows(&g["train"]))).unwrap();
    // The smallest mean distances that are not zero are above 0.01, so an error of 1e-12 is one of 1e-10 in a factor.
    as_the_peer(&g, "lof", &d, 1e-9);
}

#[test]
fn density_clusters_equal_scikit_learn() {
    let g = golden();
    let train = rows(&g["train"]);
    let d = DensityClusters::params().fit(&table(&train)).unwrap();
    close(
        "tolerance",
        &[d.tolerance()],
        &[g["tolerance"].as_f64().unwrap()],
        DISTANCE,
    );
    assert_eq!(d.n_core_rows() as u64, g["n_core"].as_u64().unwrap());
    as_the_peer(&g, "dbscan", &d, DISTANCE);

    let wide = &g["wide"];
    let params = DensityClusters::params().min_points(wide["min_points"].as_u64().unwrap() as usize);
    let w = params
        .tolerance(wide["tolerance"].as_f64().unwrap())
        .fit(&table(&train))
        .unwrap();
    for (d, labels) in [(&d, &g["training_labels"]), (&w, &wide["training_labels"])] {
        let cluster = |r: &Vec<f64>| {
            let outcome = d.cluster(FeatureView::new(d.schema(), r).unwrap()).unwrap();
            outcome.ready().unwrap().map_or(-1.0, |c| c as f64)
        };
        assert_eq!(train.iter().map(cluster).collect::<Vec<_>>(), numbers(labels));
        assert_eq!(d.n_clusters(), 3);
    }
}

#[test]
fn kernel_regression_equals_numpy() {
    let g = golden();
    let d = KernelRegression::params()
        .n_memory(60)
        .fit(&table(&rows(&g["train"])))
        .unwrap();
    assert_eq!(d.n_memory(), 60);
    close(
        "bandwidth",
        &[d.bandwidth()],
        &[g["bandwidth"].as_f64().unwrap()],
        DISTANCE,
    );
    // Exponents are distances by the squared bandwidth, 0.016, times distances of a few: 1e3 times their error, and twice
    // that in a square.
    as_the_peer(&g, "kernel", &d, 1e-8);
}

/// Numeric columns and whether the machine failed; `None`, said on standard error, where `PROGNOS_DATA` is not set.
fn ai4i() -> Option<(Vec<Vec<f64>>, Vec<bool>)> {
    let Some(root) = std::env::var_os("PROGNOS_DATA") else {
        eprintln!("skipped: PROGNOS_DATA is not set, the AI4I table is not read");
        return None;
    };
    let path = std::path::Path::new(&root).join("ai4i/ai4i2020.csv");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let numbers: Vec<f64> = cells[3..8].iter().map(|c| c.parse().unwrap()).collect();
        (numbers, cells[8] == "1")
    };
    Some(text.lines().skip(1).map(row).unzip())
}

/// Fitted on healthy rows of the first half, judged on the second half; the peers' figures are in the golden file.
#[test]
fn failures_of_the_ai4i_table_are_ranked_as_by_the_peers() {
    let Some((all, failed)) = ai4i() else { return };
    let half = all.len() / 2;
    let healthy = all[..half].iter().zip(&failed).filter(|(_, f)| !**f);
    let train: Vec<Vec<f64>> = healthy.map(|(r, _)| r.clone()).collect();
    let third: Vec<Vec<f64>> = train.iter().step_by(3).cloned().collect();
    let (rows, labels) = (&all[half..], &failed[half..]);
    let whole = table(&train);
    let knn = NearestNeighbours::params().fixed_threshold(1.0);
    let got = [
        (
            "knn_largest",
            auc(&scores(&knn.clone().fit(&whole).unwrap(), rows), labels),
        ),
        ("knn_mean", {
            let d = knn.distance(NeighbourDistance::Mean).fit(&whole).unwrap();
            auc(&scores(&d, rows), labels)
        }),
        ("lof", {
            let d = LocalOutlierFactor::params().fixed_threshold(1.0).fit(&whole).unwrap();
            auc(&scores(&d, rows), labels)
        }),
        ("dbscan_of_the_first_2000", {
            let d = DensityClusters::params()
                .fixed_threshold(1.0)
                .fit(&table(&train[..2000]))
                .unwrap();
            auc(&scores(&d, rows), labels)
        }),
        ("kernel_of_every_third", {
            let d = KernelRegression::params()
                .fixed_threshold(1.0)
                .fit(&table(&third))
                .unwrap();
            auc(&scores(&d, rows), labels)
        }),
    ];
    let expected = &golden()["ai4i"];
    for (name, got) in got {
        let expected = expected[name].as_f64().unwrap();
        println!("AI4I {name}: AUC {got:.4}, peer {expected:.4}");
        // The table's steps make equal distances and equal scores, of which rounding decides; a pair of rows is 1e-6.
        assert!((got - expected).abs() < 1e-4, "{name}: expected {expected}, got {got}");
    }
}
