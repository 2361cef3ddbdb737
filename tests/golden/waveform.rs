//! Waveform features by name against NumPy, SciPy and antropy (`tests/golden/make_waveform.py`).

use prognos::{
    features::{FeatureExtractor, WaveformExtractor},
    quantity::Hertz,
    signal::{Channel, WindowSpec},
    spectrum::Taper,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Case {
    name: String,
    rate_hz: f64,
    samples: Vec<f64>,
    features: BTreeMap<Taper, BTreeMap<String, Option<f64>>>,
}

#[test]
fn features_are_those_of_numpy_scipy_and_antropy() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("waveform.json")).unwrap();
    let mut compared = 0;
    for case in cases {
        let n = case.samples.len();
        let (channel, rate) = ([Channel::new("x", "g")], Hertz::new(case.rate_hz).unwrap());
        for (taper, expected) in case.features {
            let extractor = WaveformExtractor::params(&channel, rate, WindowSpec::new(n, n).unwrap())
                .features(expected.keys().cloned())
                .taper(taper)
                .build()
                .unwrap();
            let mut row = vec![f64::NAN; extractor.schema().len()];
            let mut scratch = extractor.new_scratch();
            extractor
                .extract_into(&[&case.samples], &mut scratch, &mut row)
                .unwrap();
            for ((name, want), got) in expected.iter().zip(&row) {
                compared += 1;
                let Some(want) = want else {
                    assert!(got.is_nan(), "{}, {name}: {got}", case.name);
                    continue;
                };
                // Samples are below 20, and sums have n terms: a few log2(n) roundings either side, relative to the largest
                // number that one is a difference of (3 for kurtosis, 1 for entropy).
                let of_samples = name == "mean" || name.starts_with("quantile");
                let size = if of_samples { 20.0 } else { want.abs() + 3.0 };
                let tolerance = 8.0 * (n as f64).log2() * f64::EPSILON * size;
                assert!(
                    (got - want).abs() <= tolerance,
                    "{}, {taper:?}, {name}: {got} is not {want}",
                    case.name
                );
            }
        }
    }
    assert_eq!(compared, 9 * 41);
}
