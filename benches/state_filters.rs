//! Filters of hidden states: particle steps a second, and prognoses.
//!
//! ```text
//! cargo bench --bench state_filters
//! ```
//!
//! One element is one particle moved with noise, weighed and, where needed, resampled.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prognos::{
    quantity::{LifeUnit, Seed},
    rul::filter::{
        BatteryFade, BearingWear, CrossingSearch, GaussianBelief, ParisCrack, ParticleFilter, StateModel,
        UnscentedKalmanFilter,
    },
};
use std::hint::black_box;

const N_PARTICLES: usize = 10_000;
const N_STEPS: usize = 20;

/// Steps of a machine that follows the model without noise.
fn readings<M: StateModel>(model: &M, start: &[f64], dt: f64) -> Vec<f64> {
    let (mut x, mut y) = (start.to_vec(), [0.0]);
    (0..N_STEPS)
        .map(|_| {
            model.transition(&mut x, dt);
            model.observe(&x, &mut y);
            y[0]
        })
        .collect()
}

fn model<M: StateModel + Clone>(c: &mut Criterion, name: &str, model: &M, (start, sd): (&[f64], &[f64]), dt: f64) {
    // `cargo test --benches` only tries it.
    let n = if std::env::args().any(|a| a == "--test") {
        100
    } else {
        N_PARTICLES
    };
    let prior = GaussianBelief::independent(start, sd).unwrap();
    let filter = ParticleFilter::new(model.clone(), prior.clone(), n, Seed(1)).unwrap();
    let y = readings(model, start, dt);
    let first = filter.new_state();
    let mut scratch = filter.new_scratch();
    let mut group = c.benchmark_group("particle steps");
    group
        .sample_size(20)
        .throughput(Throughput::Elements((n * N_STEPS) as u64));
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        let mut state = first.clone();
        b.iter(|| {
            state.clone_from(&first);
            for y in &y {
                filter.step(&mut state, dt, black_box(&[*y]), &mut scratch).unwrap();
            }
            black_box(&state);
        });
    });
    group.finish();

    let filter = ParticleFilter::new(model.clone(), prior.clone(), 500.min(n), Seed(1)).unwrap();
    let (state, mut scratch) = (filter.new_state(), filter.new_scratch());
    let search = CrossingSearch::new(100.0 * dt, 100).unwrap();
    let mut group = c.benchmark_group("prognosis of 500 particles in 100 steps");
    group.sample_size(20);
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        b.iter(|| {
            filter
                .prognose(black_box(&state), search, LifeUnit::Cycles, &mut scratch)
                .unwrap()
        });
    });
    group.finish();

    let filter = UnscentedKalmanFilter::new(model.clone(), prior).unwrap();
    let mut scratch = filter.new_scratch();
    let mut group = c.benchmark_group("unscented steps");
    group.sample_size(20).throughput(Throughput::Elements(N_STEPS as u64));
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        b.iter(|| {
            let mut belief = filter.new_state();
            for y in &y {
                filter.step(&mut belief, dt, black_box(&[*y]), &mut scratch).unwrap();
            }
            belief
        });
    });
    group.finish();
}

fn filters(c: &mut Criterion) {
    let crack = ParisCrack::new(100.0, 0.02).unwrap().rate_walk(1e-3).unwrap();
    let start = ([0.001_f64.ln(), 1e-11_f64.ln(), 3.0], [0.1, 0.3, 0.05]);
    model(c, "Paris crack", &crack, (&start.0, &start.1), 20_000.0);
    let cell = BatteryFade::new(0.8).unwrap().rate_walk(0.01).unwrap();
    let start = ([0.0, -8.0, -9.0, -4.0], [0.01, 0.3, 0.5, 0.2]);
    model(c, "battery fade", &cell, (&start.0, &start.1), 20.0);
    let wear = BearingWear::new(10.0).unwrap().walk(0.02, 0.001).unwrap();
    let start = ([0.0, 0.02], [0.2, 0.01]);
    model(c, "bearing wear", &wear, (&start.0, &start.1), 2.0);
}

criterion_group!(benches, filters);
criterion_main!(benches);
