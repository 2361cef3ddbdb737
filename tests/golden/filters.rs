//! Filters, integration and interpolation against SciPy and NumPy (`tests/golden/make_filters.py`).

use prognos::{
    quantity::{Hertz, Seconds, Timestamp},
    signal::{Butterworth, EvenGrid, FilterStart, IirFilter, Integrated, Integrator, Interpolation, Notch},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    x: Vec<f64>,
    frequencies: Vec<f64>,
    butterworth: Vec<FilterCase<Butterworth>>,
    notches: Vec<FilterCase<Notch>>,
    integrals: Vec<IntegralCase>,
    uneven: Uneven,
}

#[derive(Deserialize)]
struct IntegralCase {
    n: usize,
    high_pass_hz: (f64, f64),
    velocity: Vec<f64>,
    displacement: Vec<f64>,
}

#[derive(Deserialize)]
struct Uneven {
    rate: Hertz,
    nanos: Vec<i64>,
    values: Vec<f64>,
    linear: Vec<f64>,
    nearest: Vec<f64>,
    previous: Vec<f64>,
}

#[derive(Deserialize)]
struct FilterCase<S> {
    settings: S,
    response: [Vec<f64>; 2],
    zero: Vec<f64>,
    steady: Vec<f64>,
    zero_phase: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("filters.json")).unwrap()
}

fn assert_close(got: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance, "{what}, {i}: {g} {e}");
    }
}

/// Coefficients are rounded by both sides. On the unit circle that shifts a section's response by some roundings over its
/// denominator, which is least beside the narrowest edge: above 8e-4 for all filters here. Up to twelve sections, samples
/// up to 4 and a few roundings each make 1e-10; the response twice over, forward and backward.
const TOLERANCE: f64 = 2e-10;

fn check<S>(g: &Golden, case: &FilterCase<S>, filter: &IirFilter, what: &str) {
    for (f, (re, im)) in g.frequencies.iter().zip(case.response[0].iter().zip(&case.response[1])) {
        let got = filter.response(*f);
        assert_close(&[got.re, got.im], &[*re, *im], TOLERANCE, &format!("{what} at {f} Hz"));
    }
    let zero = filter.filter(&g.x, FilterStart::Zero).unwrap();
    assert_close(&zero, &case.zero, TOLERANCE, what);
    let steady = filter.filter(&g.x, FilterStart::Steady).unwrap();
    assert_close(&steady, &case.steady, TOLERANCE, &format!("{what}, steady"));
    let both = filter.zero_phase(&g.x).unwrap();
    assert_close(&both, &case.zero_phase, 2.0 * TOLERANCE, &format!("{what}, zero phase"));
}

#[test]
fn filters_and_what_they_make_are_those_of_scipy() {
    let g = golden();
    let rate = Hertz::new(1000.0).unwrap();
    assert_eq!((g.butterworth.len(), g.notches.len()), (16, 3));
    for case in &g.butterworth {
        let filter = case.settings.design(rate).unwrap();
        check(&g, case, &filter, &format!("{:?}", case.settings));
    }
    for case in &g.notches {
        let filter = case.settings.design(rate).unwrap();
        check(&g, case, &filter, &format!("{:?}", case.settings));
    }
}

#[test]
fn integrals_are_those_of_numpy() {
    let g = golden();
    assert_eq!(g.integrals.len(), 3);
    for case in &g.integrals {
        let rate = Hertz::new(1000.0).unwrap();
        let plan = Integrator::params(case.n, rate, case.high_pass_hz).build().unwrap();
        let what = format!("{plan:?}");
        // Transforms of values up to 3, rounded some ten times, over angular frequencies above 26 a second.
        let velocity = plan.integrate(&g.x[..case.n], Integrated::VelocityMPerS).unwrap();
        assert_close(&velocity, &case.velocity, 1e-14, &what);
        let displacement = plan.integrate(&g.x[..case.n], Integrated::DisplacementM).unwrap();
        assert_close(&displacement, &case.displacement, 1e-15, &what);
        let in_mm = plan.integrate(&g.x[..case.n], Integrated::VelocityMmPerS).unwrap();
        let expected: Vec<f64> = case.velocity.iter().map(|v| 1e3 * v).collect();
        assert_close(&in_mm, &expected, 1e-11, &what);
    }
}

#[test]
fn uneven_samples_are_interpolated_as_by_numpy() {
    let g = golden().uneven;
    let times: Vec<_> = g.nanos.iter().map(|&t| Timestamp::from_nanos(t)).collect();
    for (interpolation, expected) in [
        (Interpolation::Linear, &g.linear),
        (Interpolation::Nearest, &g.nearest),
        (Interpolation::Previous, &g.previous),
    ] {
        let grid = EvenGrid::new(g.rate, Seconds::new(1.0).unwrap())
            .unwrap()
            .interpolation(interpolation);
        let even = grid.resample(&times, &g.values).unwrap();
        assert_eq!((even.start(), even.gaps().n_missing()), (times[0], 0));
        // Instants up to 15 s apart, rounded to 2e-15 s, over distances above 0.02 s, times steps of a few.
        assert_close(even.values(), expected, 1e-12, &format!("{interpolation:?}"));
    }
}
