//! Boosted trees: a fit on 10,000 rows of 200 features, and a prediction by 1,050 trees.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::OnlineModel,
    quantity::LifeUnit,
    rul::{GradientBoosting, RulLabels},
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::{hint::black_box, time::Duration};

fn data(n_rows: usize, n_features: usize) -> DatasetBase<FeatureTable, RulLabels> {
    let mut rng = Xoshiro256Plus::seed_from_u64(1);
    let values = Array2::from_shape_simple_fn((n_rows, n_features), || rng.r#gen::<f64>());
    let life = values
        .rows()
        .into_iter()
        .map(|r| 100.0 * r[0] * r[1] + 50.0 * r[2] + 20.0 * r[3]);
    let labels = RulLabels::new(life.collect(), LifeUnit::Cycles).unwrap();
    let channels: Vec<_> = (0..n_features).map(|i| Channel::new(format!("c{i}"), "")).collect();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    let table = FeatureTable::new(schema, values, (0..n_rows).map(|i| i as u32 % 100).collect()).unwrap();
    DatasetBase::new(table, labels)
}

fn boosting(c: &mut Criterion) {
    let large = data(10_000, 200);
    let mut group = c.benchmark_group("GradientBoosting");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    // Two folds and the final model: three fits, two of them on half the rows.
    let params = GradientBoosting::params().n_trees(50).n_ensembles(1).n_folds(2);
    group.bench_function("fit 50 trees on 10,000 x 200, twice for the intervals", |b| {
        b.iter(|| params.clone().fit(black_box(&large)).unwrap());
    });

    let model = GradientBoosting::params().n_folds(2).fit(&data(4_000, 200)).unwrap();
    let rows: Vec<Vec<f64>> = large.records.rows().take(512).map(<[f64]>::to_vec).collect();
    let mut n = 0usize;
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("predict a row by {} trees", model.n_trees()), |b| {
        b.iter(|| {
            n += 1;
            model
                .assess(
                    &(),
                    FeatureView::new(model.schema(), black_box(&rows[n % 512])).unwrap(),
                )
                .unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, boosting);
criterion_main!(benches);
