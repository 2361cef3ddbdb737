//! Complexity measures against antropy (`tests/golden/make_complexity.py`).

use prognos::features::complexity::{
    ApproximateEntropy, DetrendedFluctuation, HiguchiDimension, LempelZiv, PermutationEntropy, SampleEntropy,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    x: Vec<f64>,
    permutation_3_1: f64,
    permutation_5_2: f64,
    sample: f64,
    approximate: f64,
    lempel_ziv_words: usize,
    lempel_ziv: f64,
    higuchi: f64,
    detrended_fluctuation: f64,
}

#[test]
fn measures_are_those_of_antropy() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("complexity.json")).unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let x = &case.x;
        let permutation = |order, delay| {
            let e = PermutationEntropy::new(order, delay).unwrap();
            e.value(x, &mut e.new_scratch())
        };
        let (sample, approximate) = (
            SampleEntropy::new(2, 0.2).unwrap(),
            ApproximateEntropy::new(2, 0.2).unwrap(),
        );
        let above: Vec<bool> = {
            let mut sorted = x.clone();
            sorted.sort_by(f64::total_cmp);
            let median = 0.5 * (sorted[119] + sorted[120]);
            x.iter().map(|v| *v > median).collect()
        };
        assert_eq!(LempelZiv.words(&above).unwrap(), case.lempel_ziv_words, "{}", case.name);
        for (what, got, expected) in [
            ("permutation 3, 1", permutation(3, 1), case.permutation_3_1),
            ("permutation 5, 2", permutation(5, 2), case.permutation_5_2),
            ("sample", sample.value(x, &mut sample.new_scratch()), case.sample),
            (
                "approximate",
                approximate.value(x, &mut approximate.new_scratch()),
                case.approximate,
            ),
            (
                "Lempel-Ziv",
                LempelZiv.value(x, &mut LempelZiv.new_scratch()),
                case.lempel_ziv,
            ),
            ("Higuchi", HiguchiDimension::new(10).unwrap().value(x), case.higuchi),
            (
                "detrended fluctuation",
                DetrendedFluctuation.value(x, &mut DetrendedFluctuation.new_scratch()),
                case.detrended_fluctuation,
            ),
        ] {
            // Counts are exact; sums of some hundred logarithms and squares round a few hundred times.
            assert!(
                (got - expected).abs() <= 1e-10 * expected.abs(),
                "{}, {what}: {got} {expected}",
                case.name
            );
        }
    }
}
