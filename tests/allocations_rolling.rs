//! Rolling statistics without an allocation after the first signal.

mod counting_allocator;

use counting_allocator::allocations;
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
