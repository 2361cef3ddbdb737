//! Rolling statistics without an allocation after the first signal.

use crate::counting_allocator::allocations;
use prognos::features::rolling::{
    Ewma, Rolling, RollingAutocorrelation, RollingKurtosis, RollingMax, RollingMean, RollingMedian, RollingMin,
    RollingQuantile, RollingSd, RollingSkewness, RollingSlope, RollingVariance, Statistic,
};

fn signal() -> Vec<f64> {
    let value = |i: i32| {
        if i % 97 == 0 {
            f64::NAN
        } else {
            f64::from(i * 7919 % 10_007)
        }
    };
    (0..9000).map(value).collect()
}

fn by_rows<S: Statistic>(plan: Rolling<S>) {
    let x = signal();
    let (mut scratch, mut out) = (plan.new_scratch(), vec![0.0; x.len()]);
    let at_once = allocations(|| plan.apply_into(&x, &mut scratch, &mut out).unwrap());
    let mut state = plan.new_state();
    let one_by_one = allocations(|| {
        for v in &x {
            plan.step(&mut state, *v).unwrap();
        }
    });
    assert_eq!((at_once, one_by_one), (0, 0), "{plan:?}");
}

/// Ways a full window can be arranged that the noise before did not show.
fn after_noise<S: Statistic>(plan: Rolling<S>) {
    let noise: Vec<f64> = (0..9000).map(|i| f64::from(i * 7919 % 10_007)).collect();
    let missing = |i: i32| if i % 3 == 0 { f64::NAN } else { f64::from(i % 100) };
    let mut state = plan.new_state();
    let (mut scratch, mut out) = (plan.new_scratch(), vec![0.0; noise.len()]);
    // The window is full, and no more than that.
    for v in noise.iter().take(plan.max_rows()) {
        plan.step(&mut state, *v).unwrap();
    }
    let first: Vec<f64> = (0..9000).map(missing).collect();
    plan.apply_into(&first, &mut scratch, &mut out).unwrap();
    for (name, value) in [
        ("up", (|i| f64::from(i)) as fn(i32) -> f64),
        ("down", |i| f64::from(-i)),
        ("on and off", |i| f64::from(i / 3000 % 2 * 20_000 + i * 7919 % 10_007)),
        ("one level", |_| 5.0),
        ("noise", |i| f64::from(i * 7919 % 10_007)),
    ] {
        let x: Vec<f64> = (0..9000).map(value).collect();
        let n = allocations(|| {
            for v in &x {
                plan.step(&mut state, *v).unwrap();
            }
        });
        let batch = allocations(|| plan.apply_into(&x, &mut scratch, &mut out).unwrap());
        assert_eq!((n, batch), (0, 0), "{plan:?} {name}");
    }
}

#[test]
fn nothing_is_allocated_once_the_window_has_been_full() {
    for n in [3, 100, 511, 512, 1024, 2000, 5000] {
        after_noise(RollingMean::rows(n).unwrap());
        after_noise(RollingKurtosis::rows(n).unwrap());
        after_noise(RollingMin::rows(n).unwrap());
        after_noise(RollingMax::rows(n).unwrap());
        after_noise(RollingMedian::rows(n).unwrap());
        after_noise(RollingQuantile::rows(n, 0.9).unwrap());
        after_noise(RollingSlope::rows(n).unwrap());
        after_noise(RollingAutocorrelation::rows(n, 1).unwrap());
    }
}

fn by_time<S: Statistic>(plan: Rolling<S>) {
    let x = signal();
    let times: Vec<f64> = (0..x.len()).map(|i| i as f64 + (i % 3) as f64 * 0.3).collect();
    let (mut scratch, mut out) = (plan.new_scratch(), vec![0.0; x.len()]);
    let at_once = allocations(|| plan.apply_at_into(&times, &x, &mut scratch, &mut out).unwrap());
    assert_eq!(at_once, 0, "{plan:?}");
}

#[test]
fn nothing_is_allocated_a_row() {
    for n in [3, 100, 2000] {
        by_rows(RollingMean::rows(n).unwrap());
        by_rows(RollingVariance::rows(n).unwrap());
        by_rows(RollingSd::rows(n).unwrap());
        by_rows(RollingSkewness::rows(n).unwrap());
        by_rows(RollingKurtosis::rows(n).unwrap());
        by_rows(RollingMin::rows(n).unwrap());
        by_rows(RollingMax::rows(n).unwrap());
        by_rows(RollingMedian::rows(n).unwrap());
        by_rows(RollingQuantile::rows(n, 0.9).unwrap());
        by_rows(RollingSlope::rows(n).unwrap());
        by_rows(RollingAutocorrelation::rows(n, 1).unwrap());
        let span = n as f64;
        by_time(RollingMean::span(span, 5000).unwrap());
        by_time(RollingKurtosis::span(span, 5000).unwrap());
        by_time(RollingMin::span(span, 5000).unwrap());
        by_time(RollingMedian::span(span, 5000).unwrap());
        by_time(RollingSlope::span(span, 5000).unwrap());
        by_time(RollingAutocorrelation::span(span, 5000, 2).unwrap());
    }
    let (x, ewma) = (signal(), Ewma::span(10.0).unwrap());
    let mut out = vec![0.0; x.len()];
    assert_eq!(allocations(|| ewma.mean_into(&x, &mut out).unwrap()), 0);
}
