//! What a row costs a streaming detector at 10 features, step by step through the whole frame, once its memory is full; and
//! how large that memory is.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{
        Adwin, BayesianChangePoint, Cusum, EwmaChart, HalfSpaceTrees, LaggedPca, LeftDiscord, MewmaChart,
        OnlineIsolationForest, PageHinkley, RandomCutForest, RarityRecordDetector, Scaling, StreamAlgorithm,
        StreamDetector, StreamDetectorParams, StreamScorer,
    },
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, OnlineModel},
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
};

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting the bytes that each thread holds.
struct Counting;

fn count(bytes: isize) {
    // A thread may still free and allocate while its own variables go.
    let _ = HELD.try_with(|n| n.set(n.get() + bytes));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size as isize - layout.size() as isize);
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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

/// A detector that is trained on the rows, as of ten machines.
fn trained<A: StreamAlgorithm>(params: StreamDetectorParams<A>) -> StreamDetector<A::Scorer> {
    let values = Array2::from_shape_vec((ROWS, FEATURES), rows()).unwrap();
    let machine = (0..ROWS).map(|i| (10 * i / ROWS) as u32).collect();
    let table = FeatureTable::new(schema(), values, machine).unwrap();
    let params = params.fixed_threshold(1.0).check().unwrap();
    params.fit(&DatasetBase::new(table, ())).unwrap()
}

fn steps<S: StreamScorer>(c: &mut Criterion, name: &str, d: &StreamDetector<S>) {
    let rows = rows();
    let rows: Vec<&[f64]> = rows.chunks_exact(FEATURES).collect();
    let before = HELD.get();
    let mut state = d.new_state();
    for x in rows.iter().cycle().take(2 * ROWS) {
        d.step(&mut state, FeatureView::new(d.schema(), x).unwrap()).unwrap();
    }
    let in_memory = HELD.get() - before + size_of_val(&state) as isize;
    let written = rmp_serde::to_vec_named(&state).unwrap().len();
    println!("{name}: {written} bytes written, {in_memory} in memory");
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
        steps(c, &name, &d);
    }
    for shingle in [1, 4] {
        let params = RandomCutForest::params()
            .shingle(shingle)
            .scaling(own)
            .fixed_threshold(2.0);
        let name = format!("RandomCutForest, 50 x 256, {FEATURES} features, shingles of {shingle}");
        let d = params.untrained(schema()).unwrap();
        steps(c, &name, &d);
    }
    let params = OnlineIsolationForest::params().scaling(own).fixed_threshold(0.6);
    let name = format!("OnlineIsolationForest, 32 over 2048 rows, {FEATURES} features");
    let d = params.untrained(schema()).unwrap();
    steps(c, &name, &d);
}

fn charts_and_windows(c: &mut Criterion) {
    let with = |name: &str| format!("{name}, {FEATURES} features");
    steps(c, &with("EwmaChart"), &trained(EwmaChart::params()));
    steps(c, &with("Cusum"), &trained(Cusum::params()));
    steps(c, &with("PageHinkley"), &trained(PageHinkley::params()));
    steps(c, &with("MewmaChart"), &trained(MewmaChart::params()));
    steps(c, &with("Adwin"), &trained(Adwin::params()));
    steps(
        c,
        &with("BayesianChangePoint, runs of 300 rows"),
        &trained(BayesianChangePoint::params()),
    );
    steps(c, &with("LaggedPca, 2 lags"), &trained(LaggedPca::params()));
    steps(
        c,
        &with("LeftDiscord, 50 in 2000 rows"),
        &trained(LeftDiscord::params()),
    );
    steps(
        c,
        &with("RarityRecordDetector"),
        &trained(RarityRecordDetector::params()),
    );
}

criterion_group!(benches, stream_detectors, charts_and_windows);
criterion_main!(benches);
