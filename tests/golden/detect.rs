//! Detectors against NumPy, SciPy and scikit-learn; `tests/golden/make_detect.py` made the numbers.

use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{MahalanobisDetector, PcaDetector, Shrinkage},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::OnlineModel,
    signal::Channel,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("detect.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn rows(v: &Value) -> Vec<Vec<f64>> {
    v.as_array().unwrap().iter().map(numbers).collect()
}

/// All rows of one asset, so that folds are contiguous blocks as in the script.
fn table(v: &Value) -> DatasetBase<FeatureTable, ()> {
    let rows = rows(v);
    let (n, width) = (rows.len(), rows[0].len());
    let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "")).collect();
    let values = Array2::from_shape_vec((n, width), rows.concat()).unwrap();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    DatasetBase::new(FeatureTable::new(schema, values, vec![0; n]).unwrap(), ())
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

fn scores<M: OnlineModel<State = (), Output = prognos::model::AnomalyScore>>(m: &M, rows: &[Vec<f64>]) -> Vec<f64> {
    let score = |r: &Vec<f64>| {
        m.assess(&(), FeatureView::new(m.schema(), r).unwrap())
            .unwrap()
            .ready()
            .unwrap()
            .value
    };
    rows.iter().map(score).collect()
}

// Tolerances: a column has an offset of up to 340 deviations, of which rounding leaves 340 eps = 8e-14 in a scaled value;
// eigenvectors magnify it by the inverse of the smallest gap between eigenvalues (0.05 here), scores by the inverse of
// the smallest eigenvalue (0.05) for rows that lie up to 50 deviations out.
const TOLERANCE: f64 = 1e-9;

#[test]
fn pca_equals_scikit_learn() {
    let g = golden();
    let params = PcaDetector::params()
        .n_components(g["n_components"].as_u64().unwrap() as usize)
        .limit_quantile(g["limit_quantile"].as_f64().unwrap())
        .false_alarm_rate(g["false_alarm_rate"].as_f64().unwrap());
    let d = params.fit(&table(&g["train"])).unwrap();
    let p = &g["pca"];
    close("eigenvalues", d.eigenvalues(), &numbers(&p["eigenvalues"]), 1e-12);
    let expected = rows(&p["components"]).concat();
    close("components", d.components().as_slice().unwrap(), &expected, 1e-11);

    let score_rows = rows(&g["rows"]);
    let statistics = score_rows.iter().map(|r| {
        d.t2_and_q(FeatureView::new(d.schema(), r).unwrap())
            .unwrap()
            .ready()
            .unwrap()
    });
    let (t2, q): (Vec<f64>, Vec<f64>) = statistics.map(|s| (s.t2, s.q)).unzip();
    close("T²", &t2, &numbers(&p["t2"]), TOLERANCE);
    close("Q", &q, &numbers(&p["q"]), TOLERANCE);
    let limits = [d.t2_limit(), d.q_limit().unwrap(), d.threshold()];
    let expected = [&p["t2_limit"], &p["q_limit"], &p["threshold"]].map(|v| v.as_f64().unwrap());
    close("limits and threshold", &limits, &expected, TOLERANCE);
    close("scores", &scores(&d, &score_rows), &numbers(&p["scores"]), TOLERANCE);
}

#[test]
fn theoretical_limits_equal_scipy() {
    let g = golden();
    let d = PcaDetector::params().n_components(2).fit(&table(&g["train"])).unwrap();
    let alphas = numbers(&g["pca"]["alphas"]);
    let t2: Vec<f64> = alphas.iter().map(|&a| d.theoretical_t2_limit(a).unwrap()).collect();
    let q: Vec<f64> = alphas.iter().map(|&a| d.theoretical_q_limit(a).unwrap()).collect();
    close("T² limits", &t2, &numbers(&g["pca"]["theoretical_t2"]), TOLERANCE);
    close("Q limits", &q, &numbers(&g["pca"]["theoretical_q"]), TOLERANCE);
}

#[test]
fn mahalanobis_equals_scikit_learn() {
    let g = golden();
    for (name, shrinkage) in [
        ("ledoit_wolf", Shrinkage::LedoitWolf),
        ("empirical", Shrinkage::Fixed(0.0)),
    ] {
        let params = MahalanobisDetector::params().shrinkage(shrinkage);
        let params = params.false_alarm_rate(g["false_alarm_rate"].as_f64().unwrap());
        let d = params.fit(&table(&g["train"])).unwrap();
        let m = &g["mahalanobis"][name];
        close(name, &[d.shrinkage()], &[m["shrinkage"].as_f64().unwrap()], 1e-12);
        close(name, &scores(&d, &rows(&g["rows"])), &numbers(&m["scores"]), TOLERANCE);
        close(name, &[d.threshold()], &[m["threshold"].as_f64().unwrap()], TOLERANCE);
    }
}

#[test]
fn mahalanobis_with_fewer_rows_than_features_equals_scikit_learn() {
    let g = golden();
    let d = MahalanobisDetector::params()
        .n_folds(2)
        .fit(&table(&g["wide"]["train"]))
        .unwrap();
    close(
        "shrinkage",
        &[d.shrinkage()],
        &[g["wide"]["shrinkage"].as_f64().unwrap()],
        1e-12,
    );
    close(
        "scores",
        &scores(&d, &rows(&g["wide"]["rows"])),
        &numbers(&g["wide"]["scores"]),
        TOLERANCE,
    );
}
