//! What a row costs a streaming detector at 10 features, step by step through the whole frame, once its memory is full; and
//! how large that memory is.

#[allow(dead_code)] // sizes only
#[path = "../tests/counting_allocator/mod.rs"]
mod counting_allocator;

use counting_allocator::bytes_once;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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
    quantity::LifeUnit,
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::hint::black_box;

const FEATURES: usize = 10;
const ROWS: usize = 10_000;

/// Rows that follow three hidden numbers, one behind the other.
fn rows() -> Vec<f64> {
    let mut rng = Xoshiro256Plus::seed_from_u64(1);
    let mut values = Vec::with_capacity(ROWS * FEATURES);
    for _ in 0..ROWS {
        let shared: [f64; 3] = rng.r#gen();
        values.extend((0..FEATURES).map(|j| shared[j % 3] + 0.5 * rng.r#gen::<f64>()));
    }
    values
}

fn schema(n: usize) -> FeatureSchema {
    let channels: Vec<_> = (0..n).map(|j| Channel::new(format!("c{j}"), "g")).collect();
    FeatureSchema::of_channels(&channels).unwrap()
}

/// Trained on the rows where `trained`, else measured against a machine's own first 100.
fn steps<A: StreamAlgorithm>(c: &mut Criterion, name: &str, params: StreamDetectorParams<A>, n: usize, trained: bool) {
    let rows = rows();
    let rows: Vec<&[f64]> = rows.chunks_exact(FEATURES).map(|r| &r[..n]).collect();
    let params = params.fixed_threshold(3.0);
    let detector = if trained {
        let values = Array2::from_shape_fn((2000, n), |(i, j)| rows[i][j]);
        let table = FeatureTable::new(schema(n), values, (0..2000).map(|i| i / 200).collect()).unwrap();
        params.check().unwrap().fit(&DatasetBase::new(table, ())).unwrap()
    } else {
        params.scaling(Scaling::FirstRows(100)).untrained(schema(n)).unwrap()
    };
    let mut state = detector.new_state();
    let mut time = 0;
    let mut next = rows.iter().cycle();
    let mut step = |state: &mut _| {
        time += 1;
        let x = next.next().copied().unwrap_or_default();
        let x = FeatureView::new(detector.schema(), black_box(x)).unwrap();
        detector.step(state, x.at(LifeUnit::Seconds.instant(time))).unwrap()
    };
    let is_tried = std::env::args().any(|a| a == "--test"); // and not measured
    (0..if is_tried { 500 } else { 2 * ROWS }).for_each(|_| {
        step(&mut state);
    });
    let name = format!("{name}, {n} features");
    println!(
        "{name}: {} bytes written, {} in memory",
        rmp_serde::to_vec_named(&state).unwrap().len(),
        size_of_val(&state) as u64 + bytes_once(|| state.clone())
    );
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    group.bench_function("a row", |b| b.iter(|| step(&mut state)));
    let mut out = vec![0.0; n];
    let x = FeatureView::new(detector.schema(), rows[7])
        .unwrap()
        .at(LifeUnit::Seconds.instant(1 << 40));
    group.bench_function("contributions of a row", |b| {
        b.iter(|| detector.contributions_into(&state, black_box(x), &mut out).unwrap())
    });
    group.finish();
}

fn stream_detectors(c: &mut Criterion) {
    steps(c, "EwmaChart", EwmaChart::params(), FEATURES, false);
    steps(c, "Cusum", Cusum::params(), FEATURES, false);
    steps(c, "PageHinkley", PageHinkley::params(), FEATURES, false);
    steps(c, "MewmaChart", MewmaChart::params(), FEATURES, true);
    steps(c, "Adwin", Adwin::params(), FEATURES, false);
    steps(c, "BayesianChangePoint", BayesianChangePoint::params(), FEATURES, false);
    steps(c, "LaggedPca", LaggedPca::params(), FEATURES, true);
    for n in [1, FEATURES] {
        steps(c, "LeftDiscord, 50 in 2000", LeftDiscord::params(), n, false);
        steps(c, "RarityRecordDetector", RarityRecordDetector::params(), n, false);
    }
    for (n_trees, height) in [(10, 8), (25, 8), (25, 15)] {
        let params = HalfSpaceTrees::params().n_trees(n_trees).height(height);
        let name = format!("HalfSpaceTrees, {n_trees} of height {height}");
        steps(c, &name, params, FEATURES, false);
    }
    for shingle in [1, 4] {
        let name = format!("RandomCutForest, 50 x 256, shingles of {shingle}");
        steps(c, &name, RandomCutForest::params().shingle(shingle), FEATURES, false);
    }
    let name = "OnlineIsolationForest, 32 over 2048 rows";
    steps(c, name, OnlineIsolationForest::params(), FEATURES, false);
}

criterion_group!(benches, stream_detectors);
criterion_main!(benches);
