//! One suite over every model: whatever keeps the contract passes here. To add a model, add a test of a few lines.

mod chains;
#[path = "conformance/regressors.rs"]
mod regressors;
#[path = "conformance/suite.rs"]
mod suite;
#[path = "conformance/toy.rs"]
mod toy;

use linfa::{DatasetBase, traits::Fit};
use prognos::{
    detect::{
        Adwin, AnyDetectorParams, BayesianChangePoint, CopodDetector, Cusum, DensityClusters, EcodDetector, EwmaChart,
        ExtendedIsolationForest, FusedDetector, GaussianMixtureDetector, HalfSpaceTrees, HistogramDetector,
        IsolationForest, KernelRegression, LaggedPca, LearningPolicy, LeftDiscord, LocalOutlierFactor, Loda,
        MahalanobisDetector, MewmaChart, NearestIsolation, NearestNeighbours, NeighbourDistance, OneClassSvmDetector,
        OnlineIsolationForest, PValueRule, PageHinkley, PcaDetector, RandomCutForest, RarityRecordDetector,
        RobustMahalanobisDetector, Scaling, Side, SmoothedDetector, Start,
    },
    pipeline::{Pipeline, PipelineParams},
    quantity::Seed,
    rul::{similarity::ResidualSimilarity, survival::KaplanMeierRul},
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
fn nearest_neighbours() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = NearestNeighbours::params;
    suite::detector(|| params().fit(&data).unwrap(), &rows, Additive);
    let sampled = || params().distance(NeighbourDistance::Median).max_reference_rows(100);
    suite::detector(|| sampled().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn local_outlier_factor() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = LocalOutlierFactor::params;
    suite::detector(|| params().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn density_clusters() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = || DensityClusters::params().max_reference_rows(200);
    suite::detector(|| params().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn kernel_regression() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = || KernelRegression::params().n_memory(50);
    suite::detector(|| params().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn isolation_forest() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = IsolationForest::params().n_trees(20).rows_per_tree(64);
    suite::detector(|| params.clone().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn extended_isolation_forest() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = ExtendedIsolationForest::params().n_trees(10).rows_per_tree(32);
    suite::detector(|| params.clone().fit(&data).unwrap(), &rows, Additive);
    suite::detector(|| params.clone().level(1).fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn nearest_isolation() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = NearestIsolation::params().n_sets(20);
    suite::detector(|| params.clone().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn loda() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::detector(|| Loda::params().n_cuts(30).fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn histogram_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::detector(|| HistogramDetector::params().fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn detectors_by_empirical_tails() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::detector(|| EcodDetector::params().fit(&data).unwrap(), &rows, Additive);
    suite::detector(|| CopodDetector::params().fit(&data).unwrap(), &rows, Additive);
    let thinned = EcodDetector::params().max_values(64);
    suite::detector(|| thinned.fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn robust_mahalanobis_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = RobustMahalanobisDetector::params().n_starts(4);
    suite::detector(|| params.fit(&data).unwrap(), &rows, Additive);
    let shrunk = params
        .clone()
        .support_fraction(0.75)
        .shrinkage(0.1)
        .fixed_threshold(30.0);
    suite::detector(|| shrunk.fit(&data).unwrap(), &rows, Additive);
}

#[test]
fn gaussian_mixture_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = GaussianMixtureDetector::params().n_components_by_bic(2);
    suite::detector(|| params.fit(&data).unwrap(), &rows, Other);
    let three = GaussianMixtureDetector::params().n_components(3).tolerance(1e-3);
    suite::detector(|| three.fit(&data).unwrap(), &rows, Other);
}

#[test]
fn one_class_svm_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = OneClassSvmDetector::params().max_rows(200);
    suite::detector(|| params.fit(&data).unwrap(), &rows, Other);
}

#[test]
fn lagged_pca() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    suite::stream_detector(
        || LaggedPca::params().fit(&data).unwrap(),
        || LaggedPca::params().n_lags(1).fit(&data).unwrap(),
        &rows,
        Additive,
    );
    let own_start = LaggedPca::params().scaling(Scaling::FirstRows(5)).n_components(3);
    suite::detector(|| own_start.fit(&data).unwrap(), &rows, Additive);
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
fn charts() {
    let (train, rows) = suite::telemetry();
    let schema = train.schema().clone();
    let data = DatasetBase::new(train, ());
    let cusum = Cusum::params;
    suite::stream_detector(
        || cusum().fit(&data).unwrap(),
        || cusum().side(Side::Low).fit(&data).unwrap(),
        &rows,
        Other,
    );
    let test = || PageHinkley::params().warm_up(5);
    suite::stream_detector(
        || test().fit(&data).unwrap(),
        || test().forgetting(0.1).fit(&data).unwrap(),
        &rows,
        Other,
    );
    let own_start = test().scaling(Scaling::FirstRows(4)).fixed_threshold(9.0);
    suite::detector(|| own_start.untrained(schema.clone()).unwrap(), &rows, Other);
    let mewma = MewmaChart::params;
    suite::stream_detector(
        || mewma().fit(&data).unwrap(),
        || mewma().weight(0.4).fit(&data).unwrap(),
        &rows,
        Additive,
    );
}

#[test]
fn adwin() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = || Adwin::params().warm_up(10);
    suite::stream_detector(
        || params().fit(&data).unwrap(),
        || params().confidence(0.1).fit(&data).unwrap(),
        &rows,
        Other,
    );
}

#[test]
fn bayesian_change_point() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = || BayesianChangePoint::params().longest_run(20);
    suite::stream_detector(
        || params().fit(&data).unwrap(),
        || params().expected_run(50.0).fit(&data).unwrap(),
        &rows,
        Other,
    );
}

#[test]
fn left_discord() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = || LeftDiscord::params().length(4).history(20);
    suite::stream_detector(
        || params().fit(&data).unwrap(),
        || params().history(22).fit(&data).unwrap(),
        &rows,
        Additive,
    );
}

#[test]
fn any_detector() {
    let (train, rows) = suite::telemetry();
    for params in [
        AnyDetectorParams::from(MahalanobisDetector::params()),
        EwmaChart::params().into(),
    ] {
        let fit = || params.fit(train.clone()).unwrap();
        suite::online(fit, &rows);
        let other = AnyDetectorParams::from(PcaDetector::params())
            .fit(train.clone())
            .unwrap();
        suite::refuses_states_of(&fit(), &other, &rows);
    }
}

#[test]
fn fused_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = || {
        FusedDetector::params()
            .member(MahalanobisDetector::params())
            .member(PageHinkley::params().warm_up(5))
    };
    suite::stream_detector(
        || params().fit(&data).unwrap(),
        || params().rule(PValueRule::Bonferroni).fit(&data).unwrap(),
        &rows,
        Additive,
    );
}

#[test]
fn rarity_record_detector() {
    let (train, rows) = suite::telemetry();
    let schema = train.schema().clone();
    let data = DatasetBase::new(train, ());
    let params = || RarityRecordDetector::params().warm_up(5).mean_rows(3);
    suite::stream_detector(
        || params().untrained(schema.clone()).unwrap(),
        || params().silence(3).untrained(schema.clone()).unwrap(),
        &rows,
        Other,
    );
    // A memory in the file of the model makes it large: the file is left to the detectors with small ones.
    let warm = || params().start(Start::Trained).learning(LearningPolicy::WhenNormal);
    suite::online(|| warm().fit(&data).unwrap(), &rows);
}

#[test]
fn smoothed_detector() {
    let (train, rows) = suite::telemetry();
    let data = DatasetBase::new(train, ());
    let params = || {
        SmoothedDetector::params(MahalanobisDetector::params())
            .rows(4)
            .scores(3)
            .release(0.2)
    };
    suite::stream_detector(
        || params().fit(&data).unwrap(),
        || params().n_folds(3).fit(&data).unwrap(),
        &rows,
        Other,
    );
    // Around itself: an inner detector that warms up.
    suite::detector(
        || SmoothedDetector::params(params()).rows(2).scores(2).fit(&data).unwrap(),
        &rows,
        Other,
    );
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
fn pipeline_with_a_detector_that_remembers() {
    let detector = EwmaChart::params().learning(LearningPolicy::WhenNormal);
    let params = Pipeline::params().detector(detector);
    chain(&params, &chains::engines(6, 1), &chains::engines(2, 2));
}

#[test]
fn pipeline_with_a_fusion() {
    let detector = FusedDetector::params()
        .member(PcaDetector::params())
        .member(EwmaChart::params());
    chain(
        &Pipeline::params().detector(detector),
        &chains::engines(6, 1),
        &chains::engines(2, 2),
    );
}

/// Regressors that follow a machine, in a chain: one by its age alone, one by a health index.
#[test]
fn pipeline_that_prognoses_now_and_then() {
    let (train, unseen) = (chains::engines(12, 1), chains::engines(2, 2));
    chain(&chains::whole().prognose_every(4), &train, &unseen);
    let by_age = KaplanMeierRul::params().on(["age"]);
    chain(&chains::whole().rul(by_age).prognose_every(3), &train, &unseen);
}

#[test]
fn pipeline_with_a_regressor_that_remembers() {
    let (train, unseen) = (chains::engines(12, 1), chains::engines(2, 2));
    let by_age = KaplanMeierRul::params().on(["age"]);
    chain(&chains::whole().rul(by_age), &train, &unseen);
    let similar = ResidualSimilarity::params()
        .window(10)
        .on(["health_index.ridge_125.ewma_3"]);
    chain(&chains::whole().rul(similar), &train, &unseen);
}

#[test]
fn pipeline_over_waveform_windows() {
    let fleet = chains::bearings(9);
    let part = |from: usize, to: usize| fleet.filtered(|i, _| (from..to).contains(&i));
    chain(&chains::vibration(), &part(0, 7), &part(7, 9));
}
