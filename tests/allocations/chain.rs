//! From a row to a decision without an allocation, once a machine's windows are full.

use crate::counting_allocator::allocations_once;
use linfa::{DatasetBase, traits::Fit};
use prognos::{
    decision::Decision,
    detect::{
        ExtendedIsolationForest, HistogramDetector, IsolationForest, Loda, MahalanobisDetector, NearestIsolation,
        PcaDetector, SmoothedDetector,
    },
    features::{FeatureTable, FeatureView},
    fleet::Fleet,
    model::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, RulRegressor},
    pipeline::Pipeline,
    quantity::{LifeUnit, Timestamp},
    rul::{FourierRidge, GradientBoosting, RidgeRul, RulLabels, StackedRul},
    signal::FleetHistory,
};

/// Rows of several machines, the machine's whole recording over and over, its clock going on.
fn stream(fleet: &FleetHistory, n: usize) -> Vec<(String, Timestamp, Vec<f64>)> {
    let mut rows = Vec::new();
    for i in 0..n {
        for asset in fleet.assets() {
            let (_, values) = asset.rows().nth(i % asset.n_rows()).unwrap();
            rows.push((
                asset.asset().to_owned(),
                LifeUnit::Cycles.instant(i as i64),
                values.to_vec(),
            ));
        }
    }
    rows
}

/// A key that is copied without allocating, as an event does with it.
fn key(asset: &str) -> u32 {
    asset.bytes().fold(0, |key, byte| key * 31 + u32::from(byte))
}

fn pushes_allocate_nothing(model: Pipeline, rows: &[(String, Timestamp, Vec<f64>)], warm_up: usize) {
    let mut live: Fleet<u32> = Fleet::new(model);
    let (first, rest) = rows.split_at(warm_up);
    for (asset, time, values) in first {
        live.push(&key(asset), *time, values).unwrap();
    }
    let (mut normal, mut alarms, mut unusable) = (0, 0, 0);
    for (i, (asset, time, values)) in rest.iter().enumerate() {
        let (n, outcome) = allocations_once(|| live.push(&key(asset), *time, values).unwrap());
        assert_eq!(n, 0, "row {i} after {warm_up}: {outcome:?}");
        match outcome {
            Assessment::Ready(Decision::Normal(_)) => normal += 1,
            Assessment::Ready(Decision::Alarm(a)) => alarms += usize::from(a.causes[0].is_some()),
            Assessment::Unusable(_) => unusable += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(
        normal > 50 && alarms > 10 && unusable > 10,
        "{normal} normal, {alarms} alarms, {unusable} unusable"
    );
}

#[test]
fn a_fleet_takes_rows_without_allocating() {
    let unseen = crate::chains::engines(3, 2);
    for chain in [crate::chains::whole(), crate::chains::linear(), Pipeline::params()] {
        let regimes = prognos::preprocess::Regimes::automatic(4).on(crate::chains::SETTINGS);
        let model = chain.regimes(regimes).fit(&crate::chains::engines(10, 1)).unwrap();
        let mut rows = stream(&unseen, 150);
        // Some sensors drop out, some rows come too late or without what they need.
        for (i, (_, time, values)) in rows.iter_mut().enumerate() {
            match i % 37 {
                5 => values[7] = f64::NAN,
                11 => values.fill(f64::NAN),
                23 => *time = Timestamp::from_secs(-1),
                30 => values[4] = f64::INFINITY,
                _ => {}
            }
        }
        // The longest span is 30 life units.
        pushes_allocate_nothing(model, &rows, 3 * 40);
    }
}

#[test]
fn many_columns_and_settings_need_no_allocation_either() {
    // The generated engines beside themselves, four times over: 60 columns, of which twelve are settings.
    let widened = |fleet: &FleetHistory| {
        let channels = (0..4).flat_map(|k| {
            fleet.channels().iter().map(move |c| {
                let name = if k == 0 {
                    c.name.clone()
                } else {
                    format!("{}_{k}", c.name)
                };
                prognos::signal::Channel::new(name, &c.unit)
            })
        });
        let mut wide = FleetHistory::new(channels.collect(), fleet.life_unit()).unwrap();
        for a in fleet.assets() {
            let values = a.rows().flat_map(|(_, row)| [row; 4].concat()).collect();
            let history = prognos::signal::AssetHistory::new(a.asset(), a.times().to_vec(), values, 60, a.end());
            wide.push(history.unwrap()).unwrap();
        }
        wide
    };
    let settings =
        (0..4).flat_map(|k| crate::chains::SETTINGS.map(|s| if k == 0 { s.to_owned() } else { format!("{s}_{k}") }));
    let model = crate::chains::whole()
        .regimes(prognos::preprocess::Regimes::automatic(4).on(settings))
        .fit(&widened(&crate::chains::engines(10, 1)))
        .unwrap();
    assert_eq!(model.n_regimes(), 2);
    let mut rows = stream(&widened(&crate::chains::engines(3, 2)), 120);
    rows.iter_mut()
        .step_by(9)
        .for_each(|(_, _, values)| values[0] = f64::NAN);
    pushes_allocate_nothing(model, &rows, 3 * 40);
}

#[test]
fn samples_become_decisions_without_allocating() {
    let model = crate::chains::vibration().fit(&crate::chains::bearings(8)).unwrap();
    let mut live: Fleet<u32> = Fleet::new(model);
    let mut decisions = 0;
    for k in 0..60 {
        let [a, b] = crate::chains::vibration_window(30, k, 60);
        let time = LifeUnit::Hours.instant(k as i64);
        let push = || {
            live.push_samples(&1, time, &[&a, &b], |_, d| {
                decisions += usize::from(d.ready().is_some())
            })
        };
        let (n, pushed) = allocations_once(push);
        pushed.unwrap();
        assert!(n == 0 || k < 20, "{n} at window {k}");
    }
    assert_eq!(decisions, 60);
}

fn data() -> (FeatureTable, DatasetBase<FeatureTable, RulLabels>, Vec<Vec<f64>>) {
    let fleet = crate::chains::engines(10, 1);
    let model = Pipeline::params().fit(&fleet).unwrap();
    let table = crate::chains::table(&model, &fleet);
    let rows: Vec<Vec<f64>> = table.rows().map(<[f64]>::to_vec).collect();
    let life = |row: &[f64]| {
        if row[3].is_nan() {
            0.0
        } else {
            (700.0 - row[3]).max(0.0)
        }
    };
    let labels = RulLabels::new(table.rows().map(life).collect(), LifeUnit::Cycles).unwrap();
    (table.clone(), DatasetBase::new(table, labels), rows)
}

fn detectors_allocate_nothing<M: AnomalyDetector<State = (), Output = AnomalyScore>>(model: &M, rows: &[Vec<f64>]) {
    let mut out = vec![0.0; model.schema().len()];
    for row in rows.iter().take(300) {
        let x = FeatureView::new(model.schema(), row).unwrap();
        let (n, _) = allocations_once(|| {
            let score = model.assess(&(), x).unwrap();
            model.contributions_into(&(), x, &mut out).unwrap();
            model.update(&mut (), x).unwrap();
            score
        });
        assert_eq!(n, 0);
    }
}

fn regressors_allocate_nothing<M: RulRegressor<State = ()>>(model: &M, rows: &[Vec<f64>]) {
    let mut ready = 0;
    for row in rows.iter().take(300) {
        let x = FeatureView::new(model.schema(), row).unwrap();
        let (n, outcome) = allocations_once(|| model.step(&mut (), x).unwrap());
        assert_eq!(n, 0);
        ready += usize::from(outcome.ready().is_some());
    }
    assert!(ready > 250, "{ready}");
}

#[test]
fn models_assess_rows_without_allocating() {
    let (table, labelled, rows) = data();
    let table = DatasetBase::new(table, ());
    detectors_allocate_nothing(&PcaDetector::params().fit(&table).unwrap(), &rows);
    detectors_allocate_nothing(&MahalanobisDetector::params().fit(&table).unwrap(), &rows);
    let forest = IsolationForest::params().n_trees(20).rows_per_tree(64);
    detectors_allocate_nothing(&forest.fit(&table).unwrap(), &rows);
    let forest = ExtendedIsolationForest::params().n_trees(20).rows_per_tree(64);
    detectors_allocate_nothing(&forest.fit(&table).unwrap(), &rows);
    detectors_allocate_nothing(&NearestIsolation::params().n_sets(20).fit(&table).unwrap(), &rows);
    detectors_allocate_nothing(&Loda::params().n_cuts(20).fit(&table).unwrap(), &rows);
    detectors_allocate_nothing(&HistogramDetector::params().fit(&table).unwrap(), &rows);
    let trees = GradientBoosting::params().n_trees(20).n_ensembles(2);
    regressors_allocate_nothing(&trees.fit(&labelled).unwrap(), &rows);
    regressors_allocate_nothing(&RidgeRul::params().fit(&labelled).unwrap(), &rows);
    regressors_allocate_nothing(&FourierRidge::params().n_waves(50).fit(&labelled).unwrap(), &rows);
    let trees = GradientBoosting::params().n_trees(20).n_ensembles(1);
    let stack = StackedRul::params().bases([trees.into(), FourierRidge::params().n_waves(50).into()]);
    regressors_allocate_nothing(&stack.fit(&labelled).unwrap(), &rows);
}

#[test]
fn moving_means_allocate_nothing_once_full() {
    let (table, _, rows) = data();
    let params = SmoothedDetector::params(MahalanobisDetector::params())
        .rows(7)
        .scores(5);
    let model = params.fit(&DatasetBase::new(table, ())).unwrap();
    let mut state = model.new_state();
    let mut out = vec![0.0; model.schema().len()];
    let mut ready = 0;
    for (i, row) in rows
        .iter()
        .filter(|r| r.iter().all(|v| v.is_finite()))
        .take(300)
        .enumerate()
    {
        let x = FeatureView::new(model.schema(), row).unwrap();
        let (n, outcome) = allocations_once(|| {
            model.contributions_into(&state, x, &mut out).unwrap();
            model.step(&mut state, x).unwrap()
        });
        assert!(n == 0 || i < 11, "row {i}: {n}");
        ready += usize::from(outcome.ready().is_some());
    }
    assert!(ready > 200, "{ready}");
}
