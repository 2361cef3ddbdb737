//! What a row costs at 20 features, and a fit on 10,000 rows of 20.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{
        DensityClusters, KernelRegression, LocalOutlierFactor, MahalanobisDetector, NearestNeighbours, PcaDetector,
    },
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore},
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::hint::black_box;

const FEATURES: usize = 20;

fn table(n: usize) -> DatasetBase<FeatureTable, ()> {
    let mut rng = Xoshiro256Plus::seed_from_u64(1);
    let mut values = Array2::zeros((n, FEATURES));
    for mut row in values.rows_mut() {
        let shared: [f64; 3] = rng.r#gen();
        for (j, v) in row.iter_mut().enumerate() {
            *v = shared[j % 3] + 0.5 * rng.r#gen::<f64>();
        }
    }
    let channels: Vec<_> = (0..FEATURES).map(|j| Channel::new(format!("c{j}"), "g")).collect();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    DatasetBase::new(
        FeatureTable::new(schema, values, (0..n).map(|i| i as u32 % 50).collect()).unwrap(),
        (),
    )
}

fn row<M: AnomalyDetector<State = (), Output = AnomalyScore>>(c: &mut Criterion, name: &str, model: &M) {
    let schema = model.schema().clone();
    let values: Vec<f64> = (0..FEATURES).map(|j| 0.7 + 0.01 * j as f64).collect();
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    group.bench_function("score a row", |b| {
        b.iter(|| {
            model
                .assess(&(), FeatureView::new(&schema, black_box(&values)).unwrap())
                .unwrap()
        })
    });
    let mut out = [0.0; FEATURES];
    group.bench_function("contributions of a row", |b| {
        b.iter(|| {
            model
                .contributions_into(&(), FeatureView::new(&schema, black_box(&values)).unwrap(), &mut out)
                .unwrap()
        })
    });
    group.finish();
}

fn detectors(c: &mut Criterion) {
    let data = table(10_000);
    let pca = PcaDetector::params().fit(&data).unwrap();
    println!("components: {} of {FEATURES}", pca.n_components());
    row(c, "PcaDetector, 20 features", &pca);
    row(
        c,
        "MahalanobisDetector, 20 features",
        &MahalanobisDetector::params().fit(&data).unwrap(),
    );
    row(
        c,
        "NearestNeighbours, 10,000 rows of 20 features",
        &NearestNeighbours::params().fit(&data).unwrap(),
    );
    row(
        c,
        "LocalOutlierFactor, 10,000 rows of 20 features",
        &LocalOutlierFactor::params().fit(&data).unwrap(),
    );
    let clusters = DensityClusters::params().fit(&data).unwrap();
    println!("core rows: {} of 2,000", clusters.n_core_rows());
    row(c, "DensityClusters, 20 features", &clusters);
    row(
        c,
        "KernelRegression, 200 rows of 20 features",
        &KernelRegression::params().fit(&data).unwrap(),
    );

    let mut group = c.benchmark_group("fit 10,000 rows of 20 features");
    group.sample_size(20);
    group.bench_function("PcaDetector", |b| {
        b.iter(|| PcaDetector::params().fit(black_box(&data)).unwrap())
    });
    group.bench_function("MahalanobisDetector", |b| {
        b.iter(|| MahalanobisDetector::params().fit(black_box(&data)).unwrap())
    });
    group.sample_size(10);
    group.bench_function("NearestNeighbours", |b| {
        b.iter(|| NearestNeighbours::params().fit(black_box(&data)).unwrap())
    });
    group.bench_function("LocalOutlierFactor", |b| {
        b.iter(|| LocalOutlierFactor::params().fit(black_box(&data)).unwrap())
    });
    group.bench_function("DensityClusters, 2,000 of them", |b| {
        b.iter(|| DensityClusters::params().fit(black_box(&data)).unwrap())
    });
    group.bench_function("KernelRegression", |b| {
        b.iter(|| KernelRegression::params().fit(black_box(&data)).unwrap())
    });
    group.finish();
}

criterion_group!(benches, detectors);
criterion_main!(benches);
