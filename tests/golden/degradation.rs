//! Degradation models against NumPy and SciPy (`tests/golden/make_degradation.py`).

use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    features::{FeatureSchema, FeatureTable},
    model::{Assessment, OnlineModel, RulDistribution, RulRegressor},
    quantity::LifeUnit,
    rul::{
        RulLabels, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams,
        degradation::{ExponentialDegradation, GammaProcess, LineBelief, LinearDegradation, WienerProcess},
    },
    signal::Channel,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Life {
    ages: Vec<f64>,
    readings: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    fleet: Vec<Life>,
    machine: Life,
    mean: Vec<f64>,
    covariance: Vec<f64>,
    noise: f64,
    percentiles: Vec<Option<f64>>,
}

fn case(name: &str) -> Case {
    let mut cases: BTreeMap<String, Case> = serde_json::from_str(include_str!("degradation.json")).unwrap();
    cases.remove(name).unwrap()
}

fn table(lives: &[Life]) -> (FeatureTable, Vec<f64>) {
    let schema = FeatureSchema::of_channels(&[Channel::new("wear", "µm")]).unwrap();
    let n: usize = lives.iter().map(|l| l.ages.len()).sum();
    let (mut readings, mut asset, mut times, mut left) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, life) in lives.iter().enumerate() {
        for (age, reading) in life.ages.iter().zip(&life.readings) {
            readings.push(*reading);
            asset.push(i as u32);
            times.push(LifeUnit::Seconds.instant(*age as i64));
            left.push(life.ages[life.ages.len() - 1] - age);
        }
    }
    let values = Array2::from_shape_vec((n, 1), readings).unwrap();
    (
        FeatureTable::new(schema, values, asset).unwrap().at(times).unwrap(),
        left,
    )
}

/// The model of the fleet, and what it says of the machine after its last reading.
fn fitted<A: TrajectoryAlgorithm>(
    case: &Case,
    params: TrajectoryRegressorParams<A>,
) -> (
    TrajectoryRegressor<A::Model>,
    <A::Model as TrajectoryModel>::Memory,
    RulDistribution,
) {
    let (fleet, left) = table(&case.fleet);
    let labels = RulLabels::new(left, LifeUnit::Seconds).unwrap();
    let model = params.check().unwrap().fit(&DatasetBase::new(fleet, labels)).unwrap();
    let machine = table(std::slice::from_ref(&case.machine)).0;
    let mut state = model.new_state();
    let views: Vec<_> = machine.views().collect();
    let (last, first) = views.split_last().unwrap();
    first.iter().for_each(|x| model.update(&mut state, *x).unwrap());
    let Assessment::Ready(distribution) = model.distribution(&state, *last).unwrap() else {
        panic!()
    };
    let mut memory = model.trajectory_model().new_memory();
    for (age, reading) in case.machine.ages.iter().zip(&case.machine.readings) {
        model.trajectory_model().observe(&mut memory, *age, &[*reading]);
    }
    (model, memory, distribution)
}

#[track_caller]
fn close(got: f64, want: f64, relative: f64) {
    assert!((got - want).abs() <= relative * want.abs(), "{got} is not {want}");
}

fn percentiles_agree(d: &RulDistribution, case: &Case, tolerance: f64) {
    for (p, want) in [5, 25, 50, 75, 95].into_iter().zip(&case.percentiles) {
        match want {
            Some(want) => close(d.percentiles()[p], *want, tolerance),
            None => assert!(d.percentiles()[p].is_infinite()),
        }
    }
}

fn beliefs_agree(b: &LineBelief, case: &Case) {
    // Sums of some hundred terms, and a matrix of a condition near 1e5 inverted twice by the other side.
    close(b.intercept, case.mean[0], 1e-9);
    close(b.slope, case.mean[1], 1e-9);
    close(b.intercept_variance, case.covariance[0], 1e-9);
    close(b.covariance, case.covariance[1], 1e-9);
    close(b.slope_variance, case.covariance[2], 1e-9);
    close(b.noise_variance, case.noise, 1e-9);
}

#[test]
fn lines() {
    let case = case("linear");
    let (model, memory, d) = fitted(&case, LinearDegradation::params().threshold(100.0));
    beliefs_agree(&model.trajectory_model().belief(&memory), &case);
    // Simpson's rule over 41 levels: 1e-4 in probability, which is 1e-3 of a life where the density is least.
    percentiles_agree(&d, &case, 1e-3);
}

#[test]
fn exponentials() {
    let case = case("exponential");
    let (model, memory, d) = fitted(&case, ExponentialDegradation::params().threshold(100.0));
    close(model.trajectory_model().threshold(), 100.0, 1e-12);
    beliefs_agree(&model.trajectory_model().belief(&memory), &case);
    percentiles_agree(&d, &case, 1e-3);
}

#[test]
fn wiener_processes() {
    let case = case("wiener");
    let (model, memory, d) = fitted(&case, WienerProcess::params().threshold(100.0));
    let (drift, variance, diffusion) = model.trajectory_model().belief(&memory);
    close(drift, case.mean[0], 1e-11);
    close(variance, case.covariance[0], 1e-11);
    close(diffusion, case.noise, 1e-11);
    // The other side integrates to 1e-10 in probability.
    percentiles_agree(&d, &case, 1e-7);
}

#[test]
fn gamma_processes() {
    let case = case("gamma");
    let (model, _, d) = fitted(&case, GammaProcess::params().threshold(100.0));
    let (shape, scale) = model.trajectory_model().shape_rate_and_scale();
    close(shape, case.mean[0], 1e-11);
    close(scale, case.covariance[0], 1e-11);
    percentiles_agree(&d, &case, 1e-7);
}
