//! Metrics of detection against scikit-learn and against naive versions of their definitions
//! (`tests/golden/make_detection_metrics.py`).

use prognos::evaluate::{
    Cardinality, Confusion, PositionalBias, RangeBased, average_precision, pr_auc, range_auc, roc_auc, row_ranges, vus,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    ranking: Vec<RankingCase>,
    volume: Vec<VolumeCase>,
    ranges: Vec<RangesCase>,
}

#[derive(Deserialize)]
struct RankingCase {
    scores: Vec<f64>,
    labels: Vec<bool>,
    roc_auc: f64,
    average_precision: f64,
    pr_auc: f64,
    /// True and false positives, true and false negatives.
    confusion: [u64; 4],
    f1: f64,
    f2: f64,
    precision: Option<f64>,
    recall: f64,
}

#[derive(Deserialize)]
struct VolumeCase {
    scores: Vec<f64>,
    labels: Vec<bool>,
    areas: Vec<(usize, f64, f64)>,
    max_buffer: usize,
    vus: [f64; 2],
}

#[derive(Deserialize)]
struct RangesCase {
    real: Vec<bool>,
    predicted: Vec<bool>,
    real_ranges: Vec<(usize, usize)>,
    cases: Vec<RangeBasedCase>,
}

#[derive(Deserialize)]
struct RangeBasedCase {
    alpha: f64,
    recall_bias: String,
    precision_bias: String,
    cardinality: String,
    recall: f64,
    precision: f64,
    f1: f64,
    f_half: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("detection_metrics.json")).unwrap()
}

/// All are sums of at most 200 terms whose sum is at most 1, each rounded a few times on either side: 1e-13 covers it.
#[track_caller]
fn assert_close(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() <= 1e-13, "{what}: {got} {expected}");
}

#[test]
fn areas_and_counts_are_those_of_scikit_learn() {
    for case in golden().ranking {
        let (scores, labels) = (&case.scores[..], &case.labels[..]);
        assert_close(roc_auc(scores, labels).unwrap(), case.roc_auc, "ROC");
        assert_close(average_precision(scores, labels).unwrap(), case.average_precision, "AP");
        assert_close(pr_auc(scores, labels).unwrap(), case.pr_auc, "PR");
        let counts = Confusion::of_scores(scores, 0.5, labels).unwrap();
        let [tp, fp, tn, fn_] = case.confusion;
        assert_eq!((counts.true_positives, counts.false_positives), (tp, fp));
        assert_eq!((counts.true_negatives, counts.false_negatives), (tn, fn_));
        assert_close(counts.f1().unwrap(), case.f1, "F1");
        assert_close(counts.f_beta(2.0).unwrap(), case.f2, "F2");
        assert_close(counts.recall().unwrap(), case.recall, "recall");
        assert_close(counts.missed_alarm_rate().unwrap(), 1.0 - case.recall, "MAR");
        assert_eq!(counts.precision().ok().is_some(), case.precision.is_some());
        if let Some(precision) = case.precision {
            assert_close(counts.precision().unwrap(), precision, "precision");
        }
    }
}

#[test]
fn volumes_are_those_of_the_definition() {
    for (i, case) in golden().volume.iter().enumerate() {
        for &(buffer, roc, pr) in &case.areas {
            let got = range_auc(&case.scores, &case.labels, buffer).unwrap();
            assert_close(got.roc, roc, &format!("case {i}, buffer {buffer}, ROC"));
            assert_close(got.pr, pr, &format!("case {i}, buffer {buffer}, PR"));
        }
        let got = vus(&case.scores, &case.labels, case.max_buffer).unwrap();
        assert_close(got.roc, case.vus[0], &format!("case {i}, VUS-ROC"));
        assert_close(got.pr, case.vus[1], &format!("case {i}, VUS-PR"));
    }
}

fn bias(name: &str) -> PositionalBias {
    match name {
        "flat" => PositionalBias::Flat,
        "front" => PositionalBias::Front,
        "middle" => PositionalBias::Middle,
        "back" => PositionalBias::Back,
        other => panic!("{other}"),
    }
}

fn cardinality(name: &str) -> Cardinality {
    match name {
        "reciprocal" => Cardinality::Reciprocal,
        "one" => Cardinality::One,
        "squared" => Cardinality::Custom(|x| 1.0 / (x * x) as f64),
        other => panic!("{other}"),
    }
}

#[test]
fn ranges_earn_what_the_definition_gives() {
    for (i, case) in golden().ranges.iter().enumerate() {
        let (real, predicted) = (row_ranges(&case.real), row_ranges(&case.predicted));
        assert_eq!(real, case.real_ranges);
        for (j, expected) in case.cases.iter().enumerate() {
            let metric = RangeBased::new()
                .existence_weight(expected.alpha)
                .unwrap()
                .recall_bias(bias(&expected.recall_bias))
                .precision_bias(bias(&expected.precision_bias))
                .cardinality(cardinality(&expected.cardinality));
            let tally = metric.compare(&real, &predicted).unwrap();
            let what = format!("case {i}, {j}");
            assert_close(tally.recall().unwrap(), expected.recall, &what);
            assert_close(tally.precision().unwrap(), expected.precision, &what);
            assert_close(tally.f_beta(1.0).unwrap(), expected.f1, &what);
            assert_close(tally.f_beta(0.5).unwrap(), expected.f_half, &what);
        }
    }
}
