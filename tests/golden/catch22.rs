//! The 22 canonical characteristics against pycatch22 (`tests/golden/make_catch22.py`).

use prognos::features::catch22::{Catch22, NAMES};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    names: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    x: Vec<f64>,
    values: Vec<Option<f64>>,
}

/// Features that are whole numbers, or whole numbers over whole numbers that the series alone gives.
const COUNTS: [&str; 11] = [
    "outlier_timing_pos",
    "outlier_timing_neg",
    "acf_first_min",
    "median_freq",
    "high_fluctuation",
    "stretch_high",
    "stretch_decreasing",
    "ami_timescale",
    "periodicity",
    "rs_range",
    "dfa",
];

#[test]
fn characteristics_are_those_of_pycatch22() {
    let golden: Golden = serde_json::from_str(include_str!("catch22.json")).unwrap();
    assert_eq!(golden.names, NAMES);
    assert!(golden.cases.len() > 180);
    for case in golden.cases {
        let values = Catch22::new(case.x.len()).unwrap().extract(&case.x).unwrap();
        assert_eq!(case.values.len(), values.len());
        for ((name, got), expected) in NAMES.iter().zip(values).zip(case.values) {
            let expected = expected.unwrap_or(f64::NAN);
            // Counts may differ by the rounding of a division. Others are sums of up to 2,560 terms, or quotients of
            // autocorrelations near their zero; where terms cancel, sums are good to 1e-13 of the size of terms, some 10.
            let close = if COUNTS.contains(name) {
                (got - expected).abs() <= 2e-15 * expected.abs().max(1.0)
            } else {
                (got - expected).abs() <= 1e-11 * expected.abs() + 1e-12
            };
            assert!(
                close || got.is_nan() && expected.is_nan(),
                "{}, {name}: {got} {expected}",
                case.name
            );
        }
    }
}
