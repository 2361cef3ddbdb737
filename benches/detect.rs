//! What a row costs at 20 features, and a fit on 10,000 rows of 20; for detectors of many rows, a fit and the scores of
//! 100,000 rows of 20 on one thread.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{
        CopodDetector, DensityClusters, EcodDetector, ExtendedIsolationForest, GaussianMixtureDetector,
        HistogramDetector, IsolationForest, KernelRegression, LaggedPca, LocalOutlierFactor, Loda, MahalanobisDetector,
        NearestIsolation, NearestNeighbours, OneClassSvmDetector, PcaDetector, RobustMahalanobisDetector, RowAlgorithm,
        RowDetectorParams,
    },
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, OnlineModel},
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::hint::black_box;

const FEATURES: usize = 20;

/// Where benchmarks are only tried (`-- --test`), tables are a fiftieth.
fn table(n: usize) -> DatasetBase<FeatureTable, ()> {
    let n = if std::env::args().any(|a| a == "--test") {
        n / 50
    } else {
        n
    };
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

/// Fitted once and scored, table to table.
fn many_rows<A: RowAlgorithm>(
    c: &mut Criterion,
    name: &str,
    params: &RowDetectorParams<A>,
    data: &DatasetBase<FeatureTable, ()>,
) {
    let params = params.clone().fixed_threshold(1.0).check().unwrap();
    let mut group = c.benchmark_group("100,000 rows of 20 features");
    group.sample_size(10);
    group.bench_function(format!("{name}, fit and score"), |b| {
        b.iter(|| {
            params
                .fit(black_box(data))
                .unwrap()
                .assess_table(data.records())
                .unwrap()
        })
    });
    let model = params.fit(data).unwrap();
    group.bench_function(format!("{name}, score"), |b| {
        b.iter(|| model.assess_table(black_box(data.records())).unwrap())
    });
    group.finish();
}

fn detectors_of_many_rows(c: &mut Criterion) {
    let data = table(100_000);
    many_rows(c, "IsolationForest", &IsolationForest::params(), &data);
    many_rows(
        c,
        "ExtendedIsolationForest of level 1",
        &ExtendedIsolationForest::params().level(1),
        &data,
    );
    many_rows(c, "NearestIsolation", &NearestIsolation::params(), &data);
    many_rows(c, "Loda", &Loda::params(), &data);
    many_rows(c, "HistogramDetector", &HistogramDetector::params(), &data);
    let model = IsolationForest::params().fixed_threshold(1.0).fit(&data).unwrap();
    row(c, "IsolationForest, 20 features", &model);
    let model = NearestIsolation::params().fixed_threshold(1.0).fit(&data).unwrap();
    row(c, "NearestIsolation, 20 features", &model);
    let model = Loda::params().fixed_threshold(1.0).fit(&data).unwrap();
    row(c, "Loda, 20 features", &model);
    let model = HistogramDetector::params().fixed_threshold(1.0).fit(&data).unwrap();
    row(c, "HistogramDetector, 20 features", &model);
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

    row(
        c,
        "EcodDetector, 20 features",
        &EcodDetector::params().fit(&data).unwrap(),
    );
    row(
        c,
        "CopodDetector, 20 features",
        &CopodDetector::params().fit(&data).unwrap(),
    );
    let robust = RobustMahalanobisDetector::params().fixed_threshold(40.0);
    row(c, "RobustMahalanobisDetector, 20 features", &robust.fit(&data).unwrap());
    let mixture = GaussianMixtureDetector::params().n_components(3).fixed_threshold(40.0);
    row(
        c,
        "GaussianMixtureDetector, 3 components, 20 features",
        &mixture.fit(&data).unwrap(),
    );
    let machine = OneClassSvmDetector::params().fixed_threshold(0.0);
    row(c, "OneClassSvmDetector, 20 features", &machine.fit(&data).unwrap());
    let lagged = LaggedPca::params().fixed_threshold(2.0).fit(&data).unwrap();
    let values: Vec<f64> = (0..FEATURES).map(|j| 0.7 + 0.01 * j as f64).collect();
    let mut state = lagged.new_state();
    c.bench_function("LaggedPca, 2 lags, 20 features: a step", |b| {
        b.iter(|| {
            lagged
                .step(
                    &mut state,
                    FeatureView::new(lagged.schema(), black_box(&values)).unwrap(),
                )
                .unwrap()
        })
    });

    let mut group = c.benchmark_group("fit and score 100,000 rows of 20 features");
    group.sample_size(10);
    let many = table(100_000);
    group.bench_function("EcodDetector", |b| {
        b.iter(|| {
            let d = EcodDetector::params()
                .fixed_threshold(40.0)
                .fit(black_box(&many))
                .unwrap();
            d.assess_table(many.records()).unwrap()
        })
    });
    group.bench_function("CopodDetector", |b| {
        b.iter(|| {
            let d = CopodDetector::params()
                .fixed_threshold(40.0)
                .fit(black_box(&many))
                .unwrap();
            d.assess_table(many.records()).unwrap()
        })
    });
    group.finish();

    let mut group = c.benchmark_group("fit 10,000 rows of 20 features, threshold given");
    group.sample_size(10);
    group.bench_function("RobustMahalanobisDetector", |b| {
        b.iter(|| robust.fit(black_box(&data)).unwrap())
    });
    group.bench_function("GaussianMixtureDetector, 3 components", |b| {
        b.iter(|| mixture.fit(black_box(&data)).unwrap())
    });
    group.bench_function("OneClassSvmDetector, 2,000 rows", |b| {
        b.iter(|| machine.fit(black_box(&data)).unwrap())
    });
    let lagged = LaggedPca::params().fixed_threshold(2.0);
    group.bench_function("LaggedPca, 2 lags", |b| {
        b.iter(|| lagged.fit(black_box(&data)).unwrap())
    });
    group.finish();

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

criterion_group!(benches, detectors, detectors_of_many_rows);
criterion_main!(benches);
