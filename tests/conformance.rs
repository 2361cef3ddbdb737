//! One suite over every model: whatever keeps the contract passes here. To add a model, add a test of a few lines.

mod chains;
#[path = "conformance/suite.rs"]
mod suite;
#[path = "conformance/toy.rs"]
mod toy;

use linfa::{DatasetBase, traits::Fit};
use prognos::{
    detect::{
        EwmaChart, HalfSpaceTrees, LearningPolicy, MahalanobisDetector, OnlineIsolationForest, PcaDetector,
        RandomCutForest, Scaling, Start,
    },
    features::FeatureTable,
    pipeline::{Pipeline, PipelineParams},
    quantity::{LifeUnit, Seed},
    rul::{GradientBoosting, RidgeRul, RulLabels},
    signal::FleetHistory,
};
use suite::{
    Contributions::{Additive, Other},
    Rows,
};

#[test]
fn pca_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::detector(
        || PcaDetector::params().explained_variance(0.8).fit(&data).unwrap(),
        &rows,
        Additive,
    );
}

#[test]
fn pca_detector_with_all_components() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::detector(
        || PcaDetector::params().explained_variance(1.0).fit(&data).unwrap(),
        &rows,
        Additive,
    );
}

#[test]
fn mahalanobis_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::detector(|| MahalanobisDetector::params().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn ewma_chart() {
    let (train, rows) = suite::telemetry();
    let schema = train.schema().clone();
    let data = DatasetBase::new(train, ());
    suite::stream_detector(
        || EwmaChart::params().fit(&data).unwrap(),
        || EwmaChart::params().weight(0.5).fit(&data).unwrap(),
        &rows,
        Other,
    );
    let own_start = || EwmaChart::params().scaling(Scaling::FirstRows(5)).fixed_threshold(4.0);
    suite::detector(|| own_start().untrained(schema.clone()).unwrap(), &rows, Other);
    let warm = || own_start().start(Start::Trained).learning(LearningPolicy::WhenNormal);
    suite::detector(|| warm().fit(&data).unwrap(), &rows, Other);
}

#[test]
fn half_space_trees() {
    let (train, rows) = suite::telemetry();
    let schema = train.schema().clone();
    let data = DatasetBase::new(train, ());
    let params = || HalfSpaceTrees::params().n_trees(10).height(5).window_size(10);
    suite::stream_detector(
        || params().fit(&data).unwrap(),
        || params().seed(Seed(1)).fit(&data).unwrap(),
        &rows,
        Additive,
    );
    let own_start = || params().scaling(Scaling::FirstRows(5)).fixed_threshold(0.5);
    suite::detector(|| own_start().untrained(schema.clone()).unwrap(), &rows, Additive);
    let warm = || params().start(Start::Trained).learning(LearningPolicy::WhenNormal);
    suite::detector(|| warm().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn random_cut_forest() {
    let (train, rows) = suite::telemetry();
    let schema = train.schema().clone();
    let data = DatasetBase::new(train, ());
    let params = || RandomCutForest::params().n_trees(10).sample_size(16).shingle(2);
    suite::stream_detector(
        || params().fit(&data).unwrap(),
        || params().seed(Seed(1)).fit(&data).unwrap(),
        &rows,
        Additive,
    );
    let own_start = || params().scaling(Scaling::FirstRows(5)).fixed_threshold(2.0);
    suite::detector(|| own_start().untrained(schema.clone()).unwrap(), &rows, Additive);
    let warm = || params().start(Start::Trained).learning(LearningPolicy::WhenNormal);
    suite::detector(|| warm().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn online_isolation_forest() {
    let (train, rows) = suite::telemetry();
    let schema = train.schema().clone();
    let data = DatasetBase::new(train, ());
    let params = || OnlineIsolationForest::params().n_trees(20).window_size(32).leaf_size(2);
    suite::stream_detector(
        || params().fit(&data).unwrap(),
        || params().seed(Seed(1)).fit(&data).unwrap(),
        &rows,
        Additive,
    );
    let own_start = || params().scaling(Scaling::FirstRows(5)).fixed_threshold(0.6);
    suite::detector(|| own_start().untrained(schema.clone()).unwrap(), &rows, Additive);
    let warm = || params().start(Start::Trained).learning(LearningPolicy::WhenNormal);
    suite::detector(|| warm().fit(&data).unwrap(), &rows, Additive);
}

/// Lives that follow from the rows of [`suite::telemetry`], the first sensor above all.
fn lives(table: FeatureTable) -> DatasetBase<FeatureTable, RulLabels> {
    let life = |row: &[f64]| (60.0 + 25.0 * row[0] - 10.0 * (row[2] - 200.0)).clamp(0.0, 120.0);
    let labels = RulLabels::new(table.rows().map(life).collect(), LifeUnit::Hours).unwrap();
    DatasetBase::new(table, labels)
}

#[test]
fn gradient_boosting() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    let params = GradientBoosting::params().n_trees(15).n_ensembles(2).min_leaf_rows(10);
    suite::regressor(|| params.clone().label_cap(100.0).fit(&data).unwrap(), &rows);
}

#[test]
fn gradient_boosting_without_a_cap() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    let params = GradientBoosting::params().n_trees(4).n_ensembles(1).n_bins(255);
    suite::regressor(|| params.clone().fit(&data).unwrap(), &rows);
}

#[test]
fn ridge() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    suite::regressor(|| RidgeRul::params().label_cap(100.0).fit(&data).unwrap(), &rows);
    suite::regressor(|| RidgeRul::params().lambda(0.0).fit(&data).unwrap(), &rows);
}

/// A chain fitted on `train`, on the rows of the first machines of `unseen`.
fn chain(params: &PipelineParams, train: &FleetHistory, unseen: &FleetHistory) {
    let fit = || params.fit(train).unwrap();
    let model = fit();
    let rows = Rows::cycles(chains::table(&model, &unseen.filtered(|i, _| i < 2)));
    suite::online(fit, &rows);
    suite::persistent(fit, &rows);
    let other = params.fit(&train.filtered(|i, _| i > 0)).unwrap();
    suite::refuses_states_of(&model, &other, &rows);
}

#[test]
fn pipeline_with_every_part() {
    chain(&chains::whole(), &chains::engines(12, 1), &chains::engines(2, 2));
}

#[test]
fn linear_pipeline() {
    chain(&chains::linear(), &chains::engines(12, 1), &chains::engines(2, 2));
}

#[test]
fn pipeline_without_remaining_life() {
    chain(&Pipeline::params(), &chains::engines(6, 1), &chains::engines(2, 2));
}

#[test]
fn pipeline_over_waveform_windows() {
    let fleet = chains::bearings(9);
    let part = |from: usize, to: usize| fleet.filtered(|i, _| (from..to).contains(&i));
    chain(&chains::vibration(), &part(0, 7), &part(7, 9));
}
