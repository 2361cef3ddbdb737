//! The life prior against SciPy (`tests/golden/make_life_prior.py`), through the regressor and its files.

use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    Result,
    envelope::Provenance,
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{Assessment, PersistentModel, RulRegressor},
    quantity::{LifeUnit, Timestamp},
    rul::{LifePrior, LifeWeighting, RulLabels},
    signal::Channel,
};
use serde_json::Value;

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Machines seen when new, of which only lives are known.
fn fitted(schema: &FeatureSchema, failed: &[f64], censored: &[f64], weighting: LifeWeighting) -> Result<LifePrior> {
    let lives = [failed, censored].concat();
    let n = lives.len();
    let table = FeatureTable::new(schema.clone(), Array2::zeros((n, 1)), (0..n as u32).collect())?;
    let flags = (0..n).map(|i| i >= failed.len()).collect();
    let data = DatasetBase::new(
        table.at(vec![Timestamp::default(); n])?,
        RulLabels::censored(lives, flags, LifeUnit::Hours)?,
    );
    LifePrior::params()
        .spread(0.6)
        .confidence(3.0)
        .weighting(weighting)
        .fit(&data)
}

#[test]
fn survival_given_the_age_is_scipys() {
    let golden: Value = serde_json::from_str(include_str!("life_prior.json")).unwrap();
    let schema = FeatureSchema::of_channels(&[Channel::new("load", "kN")]).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let weighting = if case["weighting"] == "Machines" {
            LifeWeighting::Machines
        } else {
            LifeWeighting::Instants
        };
        let censored = numbers(&case["censored"]);
        let prior = fitted(&schema, &numbers(&case["failed"]), &censored, weighting).unwrap();
        let (read, _) = LifePrior::from_bytes(&prior.to_bytes(&Provenance::default()).unwrap()).unwrap();
        // The curve is right to 1e-4; given a censored life, the centre is taken as normal.
        let tolerance = if censored.is_empty() { 2e-4 } else { 5e-3 };
        for entry in case["survival"].as_array().unwrap() {
            let [age, t, survival] = numbers(entry)[..] else {
                panic!()
            };
            for model in [&prior, &read] {
                let state = model.new_state_since(Timestamp::default());
                let view = FeatureView::new(&schema, &[1.0])
                    .unwrap()
                    .at(LifeUnit::Hours.instant(age as i64));
                let Assessment::Ready(d) = model.distribution(&state, view).unwrap() else {
                    panic!("{name}")
                };
                let exact = model.trajectory_model().survival(age + t) / model.trajectory_model().survival(age);
                assert!(
                    (exact - survival).abs() < tolerance,
                    "{name}, {age} + {t}: {exact} {survival}"
                );
                // Percentiles are joined by lines.
                assert!(
                    (d.survival(t) - survival).abs() < tolerance + 2e-3,
                    "{name}, {age} + {t}"
                );
            }
        }
    }
}

#[test]
fn lives_that_say_nothing_are_refused() {
    let schema = FeatureSchema::of_channels(&[Channel::new("load", "kN")]).unwrap();
    let of = |failed: &[f64], censored: &[f64]| fitted(&schema, failed, censored, LifeWeighting::Instants);
    assert!(of(&[], &[100.0]).unwrap_err().to_string().contains("failure"));
    assert!(of(&[0.0, 100.0], &[]).unwrap_err().to_string().contains("above 0"));
    // Of a record that went on at age 0, nothing is learned.
    let (with, without) = (of(&[100.0], &[0.0]).unwrap(), of(&[100.0], &[]).unwrap());
    assert_eq!(
        with.trajectory_model().survival(80.0),
        without.trajectory_model().survival(80.0)
    );
}
