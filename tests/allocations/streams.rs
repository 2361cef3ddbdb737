//! Once its memory is full, a detector that remembers takes and explains rows without allocating.

use crate::counting_allocator::allocations_once;
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{
        Adwin, BayesianChangePoint, Cusum, EwmaChart, HalfSpaceTrees, LaggedPca, LeftDiscord, MewmaChart,
        OnlineIsolationForest, PageHinkley, RandomCutForest, RarityRecordDetector, Scaling, StreamAlgorithm,
        StreamDetectorParams,
    },
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, OnlineModel},
    quantity::{Seed, Timestamp},
    signal::Channel,
};

const WIDTH: usize = 3;

fn usual(i: usize) -> [f64; WIDTH] {
    let noise = |j: u64| (Seed(i as u64).part(j).0 >> 11) as f64 / (1_u64 << 53) as f64;
    [noise(0), 5.0 + noise(0) + noise(1), (i as f64 * 0.1).sin() + noise(2)]
}

/// After 3,000 rows: usual ones, outliers, and rows that cannot be used.
fn rows_allocate_nothing<A: StreamAlgorithm>(params: StreamDetectorParams<A>, scaling: Scaling) {
    let channels: Vec<_> = (0..WIDTH).map(|j| Channel::new(format!("c{j}"), "g")).collect();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    let params = params.scaling(scaling).fixed_threshold(3.0);
    let detector = if scaling == Scaling::Training {
        let values = Array2::from_shape_fn((200, WIDTH), |(i, j)| usual(i)[j]);
        let table = FeatureTable::new(schema, values, (0..200).map(|i| i / 50).collect()).unwrap();
        params.check().unwrap().fit(&DatasetBase::new(table, ())).unwrap()
    } else {
        params.untrained(schema).unwrap()
    };
    let mut state = detector.new_state();
    let mut out = [0.0; WIDTH];
    for i in 0..3300 {
        let mut x = usual(i);
        match i % 50 {
            17 => x[1] = 1e4,
            31 => x[0] = f64::NAN,
            _ => {}
        }
        let x = FeatureView::new(detector.schema(), &x)
            .unwrap()
            .at(Timestamp::from_secs(60 * i as i64));
        let (n, outcome) = allocations_once(|| {
            detector.contributions_into(&state, x, &mut out).unwrap();
            detector.step(&mut state, x).unwrap()
        });
        assert!(
            i < 3000 || n == 0,
            "{}: row {i}, {n} allocations, {outcome:?}",
            std::any::type_name::<A>()
        );
    }
}

#[test]
fn streams_allocate_nothing() {
    let own = Scaling::FirstRows(20);
    rows_allocate_nothing(EwmaChart::params(), own);
    rows_allocate_nothing(EwmaChart::params(), Scaling::Raw);
    rows_allocate_nothing(Cusum::params(), own);
    rows_allocate_nothing(PageHinkley::params(), own);
    rows_allocate_nothing(MewmaChart::params(), Scaling::Training);
    rows_allocate_nothing(Adwin::params(), own);
    rows_allocate_nothing(BayesianChangePoint::params().longest_run(50), own);
    rows_allocate_nothing(LaggedPca::params(), Scaling::Training);
    rows_allocate_nothing(LeftDiscord::params().length(10).history(100), own);
    rows_allocate_nothing(RarityRecordDetector::params(), own);
    rows_allocate_nothing(HalfSpaceTrees::params(), own);
    rows_allocate_nothing(OnlineIsolationForest::params().window_size(256), own);
    rows_allocate_nothing(RandomCutForest::params().n_trees(10).sample_size(64), own);
    rows_allocate_nothing(RandomCutForest::params().n_trees(10).sample_size(64).shingle(4), own);
}
