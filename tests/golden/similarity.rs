//! Similarity models against NumPy (`tests/golden/make_similarity.py`).

use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    features::{FeatureSchema, FeatureTable},
    model::{Assessment, OnlineModel, RulDistribution, RulRegressor},
    quantity::LifeUnit,
    rul::{
        RulLabels, TrajectoryAlgorithm, TrajectoryRegressorParams,
        similarity::{Alignment, HistoryDistance, LifeCurve, PairwiseSimilarity, ResidualSimilarity},
    },
    signal::Channel,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    fleet: Vec<Vec<[f64; 2]>>,
    failed: Vec<bool>,
    machine: Vec<[f64; 2]>,
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    failures: Vec<(f64, f64)>,
    beyond: f64,
}

fn table(lives: &[Vec<[f64; 2]>]) -> FeatureTable {
    let schema = FeatureSchema::of_channels(&[Channel::new("a", ""), Channel::new("b", "")]).unwrap();
    let rows = || {
        lives
            .iter()
            .enumerate()
            .flat_map(|(i, l)| l.iter().enumerate().map(move |(t, x)| (i, t, x)))
    };
    let values: Vec<f64> = rows().flat_map(|(_, _, x)| *x).collect();
    let n = rows().count();
    FeatureTable::new(
        schema,
        Array2::from_shape_vec((n, 2), values).unwrap(),
        rows().map(|r| r.0 as u32).collect(),
    )
    .unwrap()
    .at(rows().map(|r| LifeUnit::Cycles.instant(r.1 as i64)).collect())
    .unwrap()
}

fn agrees<A: TrajectoryAlgorithm>(golden: &Golden, name: &str, params: TrajectoryRegressorParams<A>) {
    let left: Vec<f64> = golden
        .fleet
        .iter()
        .flat_map(|l| (0..l.len()).rev().map(|r| r as f64))
        .collect();
    let censored = golden
        .fleet
        .iter()
        .zip(&golden.failed)
        .flat_map(|(l, f)| vec![!f; l.len()])
        .collect();
    let labels = RulLabels::censored(left, censored, LifeUnit::Cycles).unwrap();
    let model = params
        .check()
        .unwrap()
        .fit(&DatasetBase::new(table(&golden.fleet), labels))
        .unwrap();
    let machine = table(std::slice::from_ref(&golden.machine));
    let views: Vec<_> = machine.views().collect();
    let (last, first) = views.split_last().unwrap();
    let mut state = model.new_state();
    first.iter().for_each(|x| model.update(&mut state, *x).unwrap());
    let Assessment::Ready(d) = model.distribution(&state, *last).unwrap() else {
        panic!("{name}")
    };
    let case = &golden.cases[name];
    let expected = RulDistribution::from_weighted(LifeUnit::Cycles, &case.failures, case.beyond).unwrap();
    for (p, (got, want)) in d.percentiles().iter().zip(expected.percentiles()).enumerate() {
        // Weights differ by some hundred roundings; percentiles that many times the distance between lives.
        assert!(
            got == want || (got - want).abs() < 1e-9,
            "{name}, percentile {p}: {got} is not {want}"
        );
    }
}

#[test]
fn distributions_are_those_of_numpy() {
    let golden: Golden = serde_json::from_str(include_str!("similarity.json")).unwrap();
    let residual = || ResidualSimilarity::params().window(12).n_nearest(8);
    agrees(&golden, "residual_line", residual().curve(LifeCurve::Line));
    agrees(&golden, "residual_parabola", residual().curve(LifeCurve::Parabola));
    let pairwise = |distance| PairwiseSimilarity::params().window(12).n_nearest(8).distance(distance);
    agrees(&golden, "difference", pairwise(HistoryDistance::Difference));
    agrees(&golden, "warped", pairwise(HistoryDistance::Warped { band: 3 }));
    agrees(&golden, "correlation", pairwise(HistoryDistance::Correlation));
    let best = pairwise(HistoryDistance::Warped { band: 2 }).align(Alignment::BestFit);
    agrees(&golden, "warped_best_fit", best);
    assert_eq!(golden.cases.len(), 6);
}
