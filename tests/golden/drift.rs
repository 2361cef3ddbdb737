//! Statistics of drift against NumPy and SciPy (`tests/golden/make_drift.py`).

use prognos::{
    drift::{DriftPolicy, InputMonitor, InputReference, MachineRows},
    features::FeatureSchema,
    signal::Channel,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    kolmogorov: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    then: Vec<Option<f64>>,
    now: Vec<Option<f64>>,
    psi: f64,
    ks: f64,
    ks_p: f64,
    ks_2samp_p: Option<f64>,
    bins_p: Option<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("drift.json")).unwrap()
}

fn schema() -> FeatureSchema {
    FeatureSchema::of_channels(&[Channel::new("a", "")]).unwrap()
}

/// Each value a machine of its own.
fn reference(then: &[f64]) -> InputReference {
    let mut rows = MachineRows::new(schema());
    for row in then.chunks_exact(1) {
        rows.push([row]).unwrap();
    }
    InputReference::fit(&rows).unwrap()
}

#[test]
fn statistics_and_chances_are_scipys() {
    let golden = golden();
    assert_eq!(golden.cases.len(), 7);
    let values = |all: &[Option<f64>]| -> Vec<f64> { all.iter().map(|v| v.unwrap_or(f64::NAN)).collect() };
    for case in golden.cases {
        let reference = reference(&values(&case.then));
        let mut monitor = InputMonitor::new(&reference);
        let now = values(&case.now);
        for row in now.chunks_exact(1) {
            monitor.observe(&reference, row).unwrap();
        }
        let policy = DriftPolicy::default().at_least(1);
        let report = monitor.assess(&reference, &policy, now.len() as f64).unwrap();
        let found = &report.channels()[0];
        // Sums of at most 21 terms; chances lose what the logarithm of them multiplies.
        let near = |what: &str, got: f64, expected: f64, tolerance: f64| {
            let close = (got - expected).abs() <= tolerance * expected.abs().max(1e-300);
            assert!(close, "{} {what}: {got} {expected}", case.name);
        };
        near("psi", found.psi, case.psi, 1e-12);
        near("ks", found.ks, case.ks, 1e-12);
        near("p of ks", found.ks_p_value, case.ks_p, 1e-10);
        if let Some(p) = case.bins_p {
            near("p of bins", found.bins_p_value, p, 1e-9);
        }
        // SciPy corrects the limit for finite numbers, which makes chances smaller: by less than a quarter here above 1e-3.
        if let Some(p) = case.ks_2samp_p.filter(|p| *p > 1e-3) {
            assert!(
                p <= found.ks_p_value * 1.01 && found.ks_p_value < 1.25 * p,
                "{}: {p} {}",
                case.name,
                found.ks_p_value
            );
        }
    }
}

#[test]
fn kolmogorovs_distribution_is_scipys() {
    // Two machines' worth against as many gives any argument: sqrt(m/2) times the largest difference.
    let then: Vec<f64> = (0..400).map(f64::from).collect();
    let reference = reference(&then);
    let mut monitor = InputMonitor::new(&reference);
    for i in 200..400 {
        monitor.observe(&reference, &[f64::from(i)]).unwrap();
    }
    let policy = DriftPolicy::default();
    let mut compared = 0;
    for (x, expected) in golden().kolmogorov {
        // The difference is 1/2: en = 4x², of which 400 m / (400 + m) must be made.
        let en = 4.0 * x * x;
        let machines = 400.0 * en / (400.0 - en);
        if !(0.0..=200.0).contains(&machines) {
            continue; // more machines than rows
        }
        compared += 1;
        let found = monitor.assess(&reference, &policy, machines).unwrap();
        let found = &found.channels()[0];
        assert!((found.ks - 0.5).abs() < 1e-14);
        let tolerance = 1e-13 + 1e-12 * expected;
        assert!(
            (found.ks_p_value - expected).abs() < tolerance,
            "{x}: {} {expected}",
            found.ks_p_value
        );
    }
    assert_eq!(compared, 12);
}
