//! Scoring and explaining a row allocates nothing.

use crate::counting_allocator::allocations_once;
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{
        CopodDetector, EcodDetector, GaussianMixtureDetector, LaggedPca, OneClassSvmDetector, RobustMahalanobisDetector,
    },
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::AnomalyDetector,
    quantity::Seed,
    signal::Channel,
};

const FEATURES: usize = 5;

fn data() -> DatasetBase<FeatureTable, ()> {
    let noise = |i: usize, j: usize| (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64;
    let channels: Vec<_> = (0..FEATURES).map(|j| Channel::new(format!("c{j}"), "g")).collect();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    let values = Array2::from_shape_fn((200, FEATURES), |(i, j)| noise(i, j) + noise(i, 9));
    let asset = (0..200).map(|i| i % 4).collect();
    DatasetBase::new(FeatureTable::new(schema, values, asset).unwrap(), ())
}

fn rows_allocate_nothing<D: AnomalyDetector>(detector: &D, data: &DatasetBase<FeatureTable, ()>) {
    let mut state = detector.new_state();
    let mut out = [0.0; FEATURES];
    for (i, row) in data.records().rows().enumerate() {
        let x = FeatureView::new(detector.schema(), row).unwrap();
        let (n, ready) = allocations_once(|| {
            let ready = detector.contributions_into(&state, x, &mut out).unwrap().ready();
            detector.step(&mut state, x).unwrap();
            ready.is_some()
        });
        assert!(n == 0 || i < 3, "row {i}: {n} allocations");
        assert!(ready || i < 3);
    }
}

#[test]
fn a_row_allocates_nothing() {
    let data = data();
    rows_allocate_nothing(&EcodDetector::params().fixed_threshold(9.0).fit(&data).unwrap(), &data);
    rows_allocate_nothing(&CopodDetector::params().fixed_threshold(9.0).fit(&data).unwrap(), &data);
    let robust = RobustMahalanobisDetector::params().n_starts(4).fixed_threshold(9.0);
    rows_allocate_nothing(&robust.fit(&data).unwrap(), &data);
    let mixture = GaussianMixtureDetector::params().n_components(2).fixed_threshold(9.0);
    rows_allocate_nothing(&mixture.fit(&data).unwrap(), &data);
    let machine = OneClassSvmDetector::params().fixed_threshold(0.0);
    rows_allocate_nothing(&machine.fit(&data).unwrap(), &data);
    let lagged = LaggedPca::params().fixed_threshold(2.0);
    rows_allocate_nothing(&lagged.fit(&data).unwrap(), &data);
}
