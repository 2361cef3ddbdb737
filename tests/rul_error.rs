//! Metrics of remaining life against NumPy's, and what they refuse.

use prognos::{ErrorKind, evaluate::*};
use proptest::prelude::*;
use serde::Deserialize;

/// Made by tests/golden/rul_error.py.
#[derive(Deserialize)]
struct Golden {
    asset: Vec<u32>,
    truth: Vec<f64>,
    pred: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    weights: Vec<f64>,
    rmse: f64,
    mae: f64,
    phm08_score: f64,
    coverage: f64,
    mean_width: f64,
    rmse_weighted: f64,
    mae_weighted: f64,
    phm08_score_weighted: f64,
    coverage_weighted: f64,
    mean_width_weighted: f64,
}

/// Sums of 120 positive terms, each right to a few units of its last place: 120 eps is a bound with room.
fn assert_close(name: &str, got: f64, expected: f64) {
    assert!(
        (got - expected).abs() <= 120.0 * f64::EPSILON * expected,
        "{name}: {got} instead of {expected}"
    );
}

#[test]
fn figures_are_those_of_numpy() {
    let g: Golden = serde_json::from_str(include_str!("golden/rul_error.json")).unwrap();
    let w = asset_weights(&g.asset).unwrap();
    assert_eq!(w.len(), g.weights.len());
    w.iter()
        .zip(&g.weights)
        .for_each(|(&w, &expected)| assert_close("weight", w, expected));
    let (p, t, l, u) = (&g.pred, &g.truth, &g.lower, &g.upper);
    assert_close("rmse", rmse(p, t).unwrap(), g.rmse);
    assert_close("mae", mae(p, t).unwrap(), g.mae);
    assert_close("phm08", phm08_score(p, t).unwrap(), g.phm08_score);
    assert_close("coverage", coverage(l, u, t).unwrap(), g.coverage);
    assert_close("width", mean_width(l, u).unwrap(), g.mean_width);
    assert_close("rmse, weighted", rmse_weighted(p, t, &w).unwrap(), g.rmse_weighted);
    assert_close("mae, weighted", mae_weighted(p, t, &w).unwrap(), g.mae_weighted);
    assert_close(
        "phm08, weighted",
        phm08_score_weighted(p, t, &w).unwrap(),
        g.phm08_score_weighted,
    );
    assert_close(
        "coverage, weighted",
        coverage_weighted(l, u, t, &w).unwrap(),
        g.coverage_weighted,
    );
    assert_close(
        "width, weighted",
        mean_width_weighted(l, u, &w).unwrap(),
        g.mean_width_weighted,
    );
}

#[test]
fn phm08_costs_are_those_of_the_paper() {
    let e = 1.0_f64.exp() - 1.0;
    for (pred, cost) in [(87.0, e), (110.0, e), (100.0, 0.0), (120.0, 2.0_f64.exp() - 1.0)] {
        let got = phm08_score(&[pred], &[100.0]).unwrap();
        assert!((got - cost).abs() <= 4.0 * f64::EPSILON * cost, "{pred}: {got}");
    }
    assert_eq!(phm08_score(&[1e6], &[0.0]).unwrap(), f64::INFINITY);
    assert_eq!(
        phm08_score_weighted(&[1e6, 1.0], &[0.0, 1.0], &[0.0, 1.0]).unwrap(),
        0.0
    );
}

#[test]
fn what_is_wrong_is_named() {
    let says = |r: prognos::Result<f64>, kind: ErrorKind, words: &[&str]| {
        let e = r.unwrap_err();
        assert_eq!(e.kind(), kind, "{e}");
        assert!(words.iter().all(|w| e.to_string().contains(w)), "{e}");
    };
    use ErrorKind::{InsufficientData, InvalidInput};
    for metric in [rmse, mae, phm08_score, mean_width] {
        says(metric(&[], &[]), InsufficientData, &["at least 1 row"]);
        says(metric(&[1.0, 2.0], &[1.0]), InvalidInput, &["expected 2 rows", "got 1"]);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            says(metric(&[1.0, bad], &[1.0, 2.0]), InvalidInput, &["row 1", "finite"]);
            says(
                metric(&[1.0, 2.0, 0.0], &[1.0, 2.0, bad]),
                InvalidInput,
                &["row 2", "finite"],
            );
        }
    }
    for metric in [rmse_weighted, mae_weighted, phm08_score_weighted, mean_width_weighted] {
        says(metric(&[], &[], &[]), InsufficientData, &["at least 1 row"]);
        says(
            metric(&[1.0], &[1.0], &[1.0, 1.0]),
            InvalidInput,
            &["`weights`", "expected 1 rows", "got 2"],
        );
        says(
            metric(&[1.0], &[1.0], &[0.0]),
            InvalidInput,
            &["sum of weights", "got 0"],
        );
        says(
            metric(&[1.0; 2], &[1.0; 2], &[f64::MAX; 2]),
            InvalidInput,
            &["sum of weights", "inf"],
        );
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            says(
                metric(&[1.0; 2], &[1.0; 2], &[1.0, bad]),
                InvalidInput,
                &["weights row 1"],
            );
        }
    }
    says(coverage(&[], &[], &[]), InsufficientData, &["at least 1 row"]);
    says(coverage(&[0.0], &[1.0], &[f64::NAN]), InvalidInput, &["`truth` row 0"]);
    says(coverage(&[0.0], &[f64::NAN], &[0.5]), InvalidInput, &["`upper` row 0"]);
    says(
        coverage(&[0.0, 2.0], &[1.0, 1.0], &[0.5, 0.5]),
        InvalidInput,
        &["interval row 1", "2..1"],
    );
    says(
        coverage(&[0.0], &[1.0], &[0.5, 0.5]),
        InvalidInput,
        &["`truth`", "got 2"],
    );
    says(mean_width(&[2.0], &[1.0]), InvalidInput, &["interval row 0"]);
    assert_eq!(asset_weights::<u8>(&[]).unwrap_err().kind(), InsufficientData);
}

proptest! {
    #[test]
    fn metrics_keep_their_laws(rows in prop::collection::vec((0..5_u8, -300.0..300.0_f64, -300.0..300.0_f64), 1..60), shift in -50.0..50.0_f64) {
        let (pred, truth): (Vec<f64>, Vec<f64>) = rows.iter().map(|r| (r.1, r.2)).unzip();
        let assets: Vec<u8> = rows.iter().map(|r| r.0).collect();
        let (rmse_, mae_) = (rmse(&pred, &truth).unwrap(), mae(&pred, &truth).unwrap());
        // 60 terms: 1e-12 is far above their rounding, of values up to 700.
        prop_assert!(mae_ <= rmse_ + 1e-10);
        let shifted: [Vec<f64>; 2] = [&pred, &truth].map(|v| v.iter().map(|x| x + shift).collect());
        prop_assert!((rmse(&shifted[0], &shifted[1]).unwrap() - rmse_).abs() < 1e-10);
        prop_assert_eq!(rmse(&truth, &pred).unwrap(), rmse_);
        prop_assert!((rmse_weighted(&pred, &truth, &vec![0.3; pred.len()]).unwrap() - rmse_).abs() < 1e-10);
        prop_assert!(phm08_score(&pred, &truth).unwrap() >= 0.0);
        prop_assert_eq!(phm08_score(&truth, &truth).unwrap(), 0.0);

        // Each asset counts one: the weighted error is the mean over assets of each one's mean error.
        let mut of_assets = Vec::new();
        for asset in 0..5 {
            let own: Vec<f64> = rows.iter().filter(|r| r.0 == asset).map(|r| (r.1 - r.2).abs()).collect();
            if !own.is_empty() {
                of_assets.push(own.iter().sum::<f64>() / own.len() as f64);
            }
        }
        let expected = of_assets.iter().sum::<f64>() / of_assets.len() as f64;
        let weights = asset_weights(&assets).unwrap();
        prop_assert!((mae_weighted(&pred, &truth, &weights).unwrap() - expected).abs() < 1e-10);

        let lower: Vec<f64> = pred.iter().map(|p| p - 20.0).collect();
        let upper: Vec<f64> = pred.iter().map(|p| p + 20.0).collect();
        let held = rows.iter().filter(|r| r.1 - 20.0 <= r.2 && r.2 <= r.1 + 20.0).count();
        prop_assert_eq!(coverage(&lower, &upper, &truth).unwrap(), held as f64 / rows.len() as f64);
    }
}
