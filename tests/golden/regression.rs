//! Ridge regression and operating regimes against NumPy and scikit-learn; `tests/golden/make_regression.py` made the
//! numbers. The health indices of the same script are compared where they are fitted, in `src/diagnose/health_index.rs`.

use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::OnlineModel,
    preprocess::{RegimeNormalizer, Regimes},
    quantity::LifeUnit,
    rul::{RidgeRul, RulLabels},
    signal::Channel,
};
use serde_json::Value;

fn golden(part: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("regression.json")).unwrap();
    all[part].clone()
}

fn numbers(v: &Value) -> Vec<f64> {
    let number = |x: &Value| x.as_f64().unwrap_or(f64::NAN);
    v.as_array().unwrap().iter().map(number).collect()
}

fn rows(v: &Value) -> Vec<Vec<f64>> {
    v.as_array().unwrap().iter().map(numbers).collect()
}

fn schema(names: &[&str]) -> FeatureSchema {
    let channels: Vec<_> = names.iter().map(|n| Channel::new(*n, "")).collect();
    FeatureSchema::of_channels(&channels).unwrap()
}

#[test]
fn ridge_is_scikit_learns() {
    let golden = golden("ridge");
    let x = rows(&golden["x"]);
    let n = x.len();
    let table = FeatureTable::new(
        schema(&["a", "b", "c", "d"]),
        Array2::from_shape_vec((n, 4), x.concat()).unwrap(),
        (0..n).map(|i| i as u32 % 10).collect(),
    )
    .unwrap();
    let labels = RulLabels::new(numbers(&golden["y"]), LifeUnit::Hours).unwrap();
    let model = RidgeRul::params()
        .lambda(golden["lambda"].as_f64().unwrap())
        .label_cap(golden["cap"].as_f64().unwrap())
        .fit(&DatasetBase::new(table, labels))
        .unwrap();
    // 120 standardised rows: the normal equations have a condition below 100, so 1e-12 of the numbers is lost at most;
    // the raw columns lie up to 300 deviations from zero, which costs two digits more.
    let expected = numbers(&golden["coefficients"]);
    for (got, want) in model.coefficients().iter().zip(&expected) {
        assert!(
            (got - want).abs() < 1e-9 * want.abs().max(1.0),
            "{want} expected, {got}"
        );
    }
    let fresh = rows(&golden["fresh"]);
    let expected = numbers(&golden["predicted"]);
    assert!(
        expected.contains(&0.0) && expected.contains(&90.0),
        "clipping is compared, too"
    );
    for (row, want) in fresh.iter().zip(&expected) {
        let x = FeatureView::new(model.schema(), row).unwrap();
        let got = model.assess(&(), x).unwrap().ready().unwrap().rul;
        assert!((got - want).abs() < 1e-8, "{row:?}: {want} expected, {got}");
    }
}

#[test]
fn regimes_are_normalised_as_by_least_squares() {
    let golden = golden("regimes");
    let rows = rows(&golden["rows"]);
    let expected: Vec<Vec<f64>> = golden["normal"].as_array().unwrap().iter().map(numbers).collect();
    let regime = golden["regime"].as_array().unwrap();
    for choice in [Regimes::kmeans(3), Regimes::automatic(6)] {
        let n = RegimeNormalizer::fit(
            &choice.on(["altitude", "throttle"]),
            &schema(&["altitude", "throttle", "t24", "bpr", "constant_by_regime"]),
            rows.iter().map(Vec::as_slice),
        )
        .unwrap();
        assert_eq!(n.n_regimes(), 3);
        let names: Vec<_> = n.output().features().iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["t24", "bpr"]);
        let mut z = [0.0; 2];
        let mut number_of = [None; 3];
        for ((row, want), r) in rows.iter().zip(&expected).zip(regime) {
            let found = n.normalize_into(row, &mut z).unwrap().unwrap();
            // Regimes are numbered by their centres; the script's numbers map to them one to one.
            let known = number_of[r.as_u64().unwrap() as usize].get_or_insert(found);
            assert_eq!(*known, found);
            for (got, want) in z.iter().zip(want) {
                // Centres are means to 1e-6 of the settings' spread (the tolerance of k-means); that moves the intercept,
                // and the deviations not at all. Levels lie 640 deviations out: 640 eps x rows.
                let near = (got - want).abs() < 1e-9 * want.abs().max(1.0);
                assert!(
                    near || (got.is_nan() && want.is_nan()),
                    "{row:?}: {want} expected, {got}"
                );
            }
        }
        assert!(number_of.iter().all(Option::is_some) && number_of[0] != number_of[1] && number_of[1] != number_of[2]);
    }
}
