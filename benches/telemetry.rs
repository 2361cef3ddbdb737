//! What a telemetry row costs: 14 sensors and 8 health indices with the features of the turbofan program.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prognos::{
    features::{FeatureSchema, TelemetryExtractor, telemetry},
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::{hint::black_box, time::Duration};

const SENSORS: usize = 14;
const INDICES: usize = 8;

fn rows(c: &mut Criterion) {
    let channels: Vec<_> = (0..SENSORS + INDICES)
        .map(|i| Channel::new(format!("c{i}"), "SD"))
        .collect();
    let indices = telemetry()
        .ewma([3.0, 6.0, 12.0, 25.0, 50.0])
        .slope([15.0, 30.0, 60.0, 120.0])
        .residual_sd([30.0])
        .endpoint([30.0])
        .ewma_change(12.0, [10.0, 25.0, 50.0]);
    let sensors = telemetry()
        .ewma([8.0, 30.0])
        .slope([30.0, 60.0])
        .residual_sd([30.0])
        .age();
    let groups = [
        ((SENSORS..SENSORS + INDICES).collect(), indices),
        ((0..SENSORS).collect(), sensors),
    ];
    let extractor = TelemetryExtractor::new(&FeatureSchema::of_channels(&channels).unwrap(), &groups).unwrap();
    let mut rng = Xoshiro256Plus::seed_from_u64(1);
    let readings: Vec<[f64; SENSORS + INDICES]> = (0..512).map(|_| std::array::from_fn(|_| rng.r#gen())).collect();

    let mut group = c.benchmark_group(format!(
        "telemetry, {} channels to {} features",
        channels.len(),
        extractor.schema().len()
    ));
    group
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(1));
    for (name, step) in [("rows every life unit", 1.0), ("rows at other spacings", 0.7)] {
        let (mut state, mut out) = (extractor.new_state(), vec![0.0; extractor.schema().len()]);
        let mut n = 0usize;
        group.bench_function(name, |b| {
            b.iter(|| {
                n += 1;
                extractor
                    .step_into(&mut state, n as f64 * step, black_box(&readings[n % 512]), &mut out)
                    .unwrap();
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, rows);
criterion_main!(benches);
