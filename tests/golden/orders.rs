//! Angles, order tracking, synchronous averages and gear indicators against NumPy and SciPy (`tests/golden/make_orders.py`).

use prognos::{
    features::gear::{self, GearBaseline},
    quantity::Hertz,
    spectrum::{AmplitudeSpectrum, AngularResampler, GearSignal, OrderSpectrum, ShaftAngle, SynchronousAverage, Taper},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    profile: Profile,
    resampled: Resampled,
    average: Average,
}

#[derive(Deserialize)]
struct Profile {
    t: Vec<f64>,
    rpm: Vec<f64>,
    at: Vec<f64>,
    turns: Vec<f64>,
}

#[derive(Deserialize)]
struct Resampled {
    rate: f64,
    steps: usize,
    x: Vec<f64>,
    turned: Vec<f64>,
    amplitude: Vec<f64>,
}

#[derive(Deserialize)]
struct Average {
    records: Vec<f64>,
    tsa: Vec<f64>,
    noise: f64,
    regular: Vec<f64>,
    residual: Vec<f64>,
    difference: Vec<f64>,
    fm0: f64,
    fm4: f64,
    m6a: f64,
    m8a: f64,
    energy_ratio: f64,
    na4: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("orders.json")).unwrap()
}

/// Some tens of roundings on either side, of values of this scale.
fn assert_close(got: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance, "{what}, {i}: {g} {e}");
    }
}

#[test]
fn angles_are_integrals_of_the_speed() {
    let Profile { t, rpm, at, turns } = golden().profile;
    let angle = ShaftAngle::of_profile(&t, &rpm).unwrap();
    let got: Vec<f64> = at.iter().map(|t| angle.revolutions_at(*t).unwrap()).collect();
    assert_close(&got, &turns, 1e-12, "revolutions");
    let back: Vec<f64> = turns.iter().map(|r| angle.time_at(*r).unwrap()).collect();
    assert_close(&back, &at, 1e-13, "times");
}

#[test]
fn equal_angles_are_met_and_lines_have_their_amplitudes() {
    let g = golden();
    let angle = ShaftAngle::of_profile(&g.profile.t, &g.profile.rpm).unwrap();
    let r = g.resampled;
    let rate = Hertz::new(r.rate).unwrap();
    let turned = AngularResampler::new(r.steps, rate)
        .unwrap()
        .resample(&r.x, &angle)
        .unwrap();
    // Away from the ends, where the kernel is complete: 24 steps of the angle, one revolution.
    let inner = r.steps..turned.len() - r.steps;
    assert_eq!(turned.len(), r.turned.len());
    // Amplitudes add up to 2; the kernel keeps each within 2e-4.
    assert_close(&turned[inner.clone()], &r.turned[inner], 4e-4, "turned");
    let plan = OrderSpectrum::new(r.steps, 20, rate, Taper::Rectangular).unwrap();
    let mut amplitude = vec![0.0; plan.n_bins()];
    plan.amplitude_into(&r.turned[..20 * r.steps], &mut plan.new_scratch(), &mut amplitude)
        .unwrap();
    // The mean is removed here.
    assert_close(&amplitude[1..], &r.amplitude[1..], 1e-13, "orders");
}

#[test]
fn averages_parts_and_indicators_are_those_of_numpy() {
    let a = golden().average;
    let (average, averaging) = SynchronousAverage::new(96, 2).unwrap().average(&a.records).unwrap();
    assert_close(&average, &a.tsa, 1e-14, "average");
    assert!(averaging.n_averages == 5 && (averaging.remaining_noise / a.noise - 1.0).abs() < 1e-13);
    let parts = GearSignal::new(96, 2, &[12.0, 17.5], 2, 2)
        .unwrap()
        .parts(&average)
        .unwrap();
    for (what, got, expected) in [
        ("regular", &parts.regular, &a.regular),
        ("residual", &parts.residual, &a.residual),
        ("difference", &parts.difference, &a.difference),
    ] {
        assert_close(got, expected, 1e-13, what);
    }
    let amplitude = AmplitudeSpectrum::new(192, Hertz::new(96.0).unwrap(), Taper::Rectangular)
        .unwrap()
        .amplitude(&average)
        .unwrap();
    let mut baseline = GearBaseline::default();
    let d = &parts.difference;
    let mut cases = vec![
        (
            "FM0",
            gear::fm0(&average, &[24, 48, 72].map(|k: usize| amplitude[k])),
            a.fm0,
        ),
        ("FM4", gear::fm4(d), a.fm4),
        ("M6A", gear::m6a(d), a.m6a),
        ("M8A", gear::m8a(d), a.m8a),
        ("energy ratio", gear::energy_ratio(&parts), a.energy_ratio),
    ];
    for (scale, expected) in [0.8, 1.1, 1.0].into_iter().zip(&a.na4) {
        let record: Vec<f64> = parts.residual.iter().map(|v| scale * v).collect();
        cases.push(("NA4", baseline.update(&record), *expected));
    }
    assert_eq!(cases.len(), 8);
    for (what, got, expected) in cases {
        // Parts differ by a few roundings of the mesh, whose size is four times theirs; powers up to eight of that.
        assert!((got / expected - 1.0).abs() < 1e-11, "{what}: {got} {expected}");
    }
}
