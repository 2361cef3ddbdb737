//! What a row costs from reading to decision: the whole chain of the turbofan program on generated engines.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prognos::{
    detect::PcaDetector,
    diagnose::HealthIndicesParams,
    features::telemetry,
    fleet::Fleet,
    pipeline::Pipeline,
    preprocess::Regimes,
    quantity::{LifeUnit, Seed},
    rul::GradientBoosting,
    simulate,
};
use std::{hint::black_box, time::Duration};

fn chain(c: &mut Criterion) {
    let history = simulate::turbofan_fleet(Seed(7)).unwrap();
    let (train, unseen) = history.split_by_asset(0.5, Seed(1)).unwrap();
    let model = Pipeline::params()
        .regimes(Regimes::automatic(8).on(["setting_1", "setting_2", "setting_3"]))
        .health_indices(
            HealthIndicesParams::default(),
            telemetry()
                .ewma([3.0, 6.0, 12.0, 25.0, 50.0])
                .slope([15.0, 30.0, 60.0, 120.0])
                .residual_sd([30.0])
                .endpoint([30.0])
                .ewma_change(12.0, [10.0, 25.0, 50.0]),
        )
        .features(
            telemetry()
                .ewma([8.0, 30.0])
                .slope([30.0, 60.0])
                .residual_sd([30.0])
                .age(),
        )
        .detector(PcaDetector::params().explained_variance(0.95))
        // Two folds for the intervals; what is run are 3 x 350 trees.
        .rul(GradientBoosting::params().label_cap(125.0).n_folds(2))
        .fit(&train)
        .unwrap();
    let rows: Vec<&[f64]> = unseen.assets().iter().flat_map(|a| a.rows().map(|(_, v)| v)).collect();

    let mut group = c.benchmark_group(format!("Fleet, {} features", model.feature_schema().len()));
    group
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(1));
    for n_machines in [1usize, 1000] {
        let mut live: Fleet<u32> = Fleet::new(model.clone());
        let mut n = 0usize;
        group.bench_function(format!("push a row, {n_machines} machines"), |b| {
            b.iter(|| {
                let (machine, cycle) = ((n % n_machines) as u32, (n / n_machines) as i64);
                // Each machine lives through recorded rows, one after the other.
                let row = rows[(cycle as usize + 37 * machine as usize) % rows.len()];
                n += 1;
                live.push(&machine, LifeUnit::Cycles.instant(cycle), black_box(row))
                    .unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, chain);
criterion_main!(benches);
