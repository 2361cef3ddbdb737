//! What a row costs a streaming detector at 10 features, step by step through the whole frame, once its memory is full; and
//! how large that memory is.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prognos::{
    detect::{HalfSpaceTrees, OnlineIsolationForest, RandomCutForest, Scaling, StreamDetector, StreamScorer},
    features::{FeatureSchema, FeatureView},
    model::{AnomalyDetector, OnlineModel},
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

fn schema() -> FeatureSchema {
    let channels: Vec<_> = (0..FEATURES).map(|j| Channel::new(format!("c{j}"), "g")).collect();
    FeatureSchema::of_channels(&channels).unwrap()
}

fn steps<S: StreamScorer>(c: &mut Criterion, name: &str, d: &StreamDetector<S>, n_bytes: impl Fn(&S::Memory) -> usize) {
    let rows = rows();
    let rows: Vec<&[f64]> = rows.chunks_exact(FEATURES).collect();
    let mut state = d.new_state();
    for x in rows.iter().cycle().take(2 * ROWS) {
        d.step(&mut state, FeatureView::new(d.schema(), x).unwrap()).unwrap();
    }
    println!(
        "{name}: {} bytes written, {} in memory",
        rmp_serde::to_vec_named(&state).unwrap().len(),
        n_bytes(state.memory())
    );
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    let mut next = rows.iter().cycle();
    group.bench_function("a row", |b| {
        b.iter(|| {
            let x = next.next().copied().unwrap_or_default();
            d.step(&mut state, FeatureView::new(d.schema(), black_box(x)).unwrap())
                .unwrap()
        })
    });
    let mut out = [0.0; FEATURES];
    group.bench_function("contributions of a row", |b| {
        b.iter(|| {
            let x = next.next().copied().unwrap_or_default();
            d.contributions_into(&state, FeatureView::new(d.schema(), black_box(x)).unwrap(), &mut out)
                .unwrap()
        })
    });
    group.finish();
}

fn stream_detectors(c: &mut Criterion) {
    let own = Scaling::FirstRows(100);
    for (n_trees, height) in [(10, 8), (25, 8), (25, 15)] {
        let params = HalfSpaceTrees::params()
            .n_trees(n_trees)
            .height(height)
            .scaling(own)
            .fixed_threshold(0.5);
        let name = format!("HalfSpaceTrees, {n_trees} of height {height}, {FEATURES} features");
        let d = params.untrained(schema()).unwrap();
        steps(c, &name, &d, |_| 8 * (n_trees << height));
    }
    for shingle in [1, 4] {
        let params = RandomCutForest::params()
            .shingle(shingle)
            .scaling(own)
            .fixed_threshold(2.0);
        let name = format!("RandomCutForest, 50 x 256, {FEATURES} features, shingles of {shingle}");
        let d = params.untrained(schema()).unwrap();
        steps(c, &name, &d, |m| m.n_bytes());
    }
    let params = OnlineIsolationForest::params().scaling(own).fixed_threshold(0.6);
    let name = format!("OnlineIsolationForest, 32 over 2048 rows, {FEATURES} features");
    let d = params.untrained(schema()).unwrap();
    steps(c, &name, &d, |m| m.n_bytes());
}

criterion_group!(benches, stream_detectors);
criterion_main!(benches);
