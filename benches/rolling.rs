//! Rolling statistics of a long signal, at once and row by row.
//!
//! ```text
//! cargo bench --bench rolling
//! ROLLING_ROWS=10000000 cargo bench --bench rolling -- "1000 rows"
//! ```

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prognos::features::rolling::{
    Ewma, Rolling, RollingAutocorrelation, RollingKurtosis, RollingMax, RollingMean, RollingMedian, RollingQuantile,
    RollingSd, RollingSkewness, RollingSlope, Statistic,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::hint::black_box;

const SEED: u64 = 7;

/// Noise about an offset; its length by the environment variable `ROLLING_ROWS`.
fn signal() -> Vec<f64> {
    let n = std::env::var("ROLLING_ROWS").ok().and_then(|n| n.parse().ok());
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut noise = || (0..4).map(|_| rng.gen_range(-1.0..1.0)).sum::<f64>();
    (0..n.unwrap_or(1_000_000)).map(|_| 10.0 + noise()).collect()
}

fn whole<S: Statistic>(c: &mut Criterion, name: &str, x: &[f64], plan: Rolling<S>) {
    let mut group = c.benchmark_group(format!("{} rows at once", plan.max_rows()));
    group.sample_size(10).throughput(Throughput::Elements(x.len() as u64));
    let (mut scratch, mut out) = (plan.new_scratch(), vec![0.0; x.len()]);
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        b.iter(|| {
            plan.apply_into(black_box(x), &mut scratch, &mut out).unwrap();
            black_box(&out);
        });
    });
    group.finish();
}

fn stream<S: Statistic>(c: &mut Criterion, name: &str, x: &[f64], plan: Rolling<S>) {
    let x = &x[..x.len().min(100_000)];
    let mut group = c.benchmark_group(format!("{} rows one by one", plan.max_rows()));
    group.sample_size(10).throughput(Throughput::Elements(x.len() as u64));
    let mut state = plan.new_state();
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        b.iter(|| {
            for v in x {
                black_box(plan.step(&mut state, *v).unwrap());
            }
        });
    });
    group.finish();
}

fn rolling(c: &mut Criterion) {
    let x = signal();
    for n in [100, 1000] {
        whole(c, "mean", &x, RollingMean::rows(n).unwrap());
        whole(c, "sd", &x, RollingSd::rows(n).unwrap().ddof(1));
        whole(c, "skewness", &x, RollingSkewness::rows(n).unwrap());
        whole(c, "kurtosis", &x, RollingKurtosis::rows(n).unwrap());
        whole(c, "max", &x, RollingMax::rows(n).unwrap());
        whole(c, "median", &x, RollingMedian::rows(n).unwrap());
        whole(c, "quantile 0.9", &x, RollingQuantile::rows(n, 0.9).unwrap());
        whole(c, "slope", &x, RollingSlope::rows(n).unwrap());
        whole(c, "autocorrelation", &x, RollingAutocorrelation::rows(n, 1).unwrap());
        stream(c, "mean", &x, RollingMean::rows(n).unwrap());
        stream(c, "kurtosis", &x, RollingKurtosis::rows(n).unwrap());
        stream(c, "median", &x, RollingMedian::rows(n).unwrap());
    }
    let mut group = c.benchmark_group("EWMA at once");
    group.sample_size(10).throughput(Throughput::Elements(x.len() as u64));
    let (ewma, mut out) = (Ewma::span(100.0).unwrap(), vec![0.0; x.len()]);
    group.bench_function("mean", |b| b.iter(|| ewma.mean_into(black_box(&x), &mut out).unwrap()));
    group.bench_function("variance", |b| {
        b.iter(|| ewma.variance_into(black_box(&x), &mut out).unwrap())
    });
    group.finish();
}

criterion_group!(benches, rolling);
criterion_main!(benches);
