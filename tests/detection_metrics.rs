//! Laws of the metrics of detection, and hostile input.

use prognos::{
    Error, ErrorKind,
    evaluate::{
        Cardinality, Confusion, EventTally, Interval, LeadTime, PositionalBias, RangeBased, RangeTally, alarm_episodes,
        average_precision, pr_auc, range_auc, roc_auc, row_ranges, vus,
    },
    quantity::{Seconds, Seed, Timestamp},
};
use proptest::prelude::*;

/// Scores of few different values and labels, with both kinds of rows.
fn any_scored() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    prop::collection::vec((-6_i8..6, any::<bool>()), 0..60).prop_map(|rows| {
        let (mut scores, mut labels): (Vec<f64>, Vec<bool>) = rows.into_iter().map(|(s, l)| (f64::from(s), l)).unzip();
        scores.extend([0.0, 1.0]);
        labels.extend([true, false]);
        (scores, labels)
    })
}

proptest! {
    #[test]
    fn areas_lie_from_0_to_1((scores, labels) in any_scored(), buffer in 0_usize..40) {
        let buffer = buffer.min(scores.len());
        let (areas, volumes) = (range_auc(&scores, &labels, buffer).unwrap(), vus(&scores, &labels, buffer).unwrap());
        for area in [
            roc_auc(&scores, &labels).unwrap(),
            average_precision(&scores, &labels).unwrap(),
            pr_auc(&scores, &labels).unwrap(),
            areas.roc,
            areas.pr,
            volumes.roc,
            volumes.pr,
        ] {
            // Sums of up to 62 terms that are rounded.
            prop_assert!((-1e-14..=1.0 + 1e-14).contains(&area), "{}", area);
        }
        // At the threshold that takes all rows precision is their share, one row at least, and it is never lower where
        // recall rises.
        prop_assert!(average_precision(&scores, &labels).unwrap() >= 1.0 / scores.len() as f64);
    }

    #[test]
    fn rising_maps_change_nothing((scores, labels) in any_scored(), buffer in 0_usize..3) {
        let map = |s: &f64| (s / 3.0).exp() * 1e100 - 7.0;
        let mapped: Vec<f64> = scores.iter().map(map).collect();
        for metric in [roc_auc, average_precision, pr_auc] {
            prop_assert_eq!(metric(&scores, &labels).unwrap(), metric(&mapped, &labels).unwrap());
        }
        prop_assert_eq!(vus(&scores, &labels, buffer).unwrap(), vus(&mapped, &labels, buffer).unwrap());
    }

    #[test]
    fn turned_scores_give_one_minus_the_area((scores, labels) in any_scored()) {
        let turned: Vec<f64> = scores.iter().map(|s| -s).collect();
        let flipped: Vec<bool> = labels.iter().map(|l| !l).collect();
        let auc = roc_auc(&scores, &labels).unwrap();
        // A quotient of whole numbers, rounded once.
        prop_assert!((auc + roc_auc(&turned, &labels).unwrap() - 1.0).abs() <= f64::EPSILON);
        prop_assert_eq!(auc, roc_auc(&turned, &flipped).unwrap());
    }

    #[test]
    fn area_is_the_chance_of_pairs_in_order((scores, labels) in any_scored()) {
        let of = |kind: bool| scores.iter().zip(&labels).filter(move |(_, l)| **l == kind).map(|(s, _)| *s);
        let (mut sum, mut n) = (0.0, 0.0);
        for a in of(true) {
            for b in of(false) {
                sum += if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 };
                n += 1.0;
            }
        }
        prop_assert!((roc_auc(&scores, &labels).unwrap() - sum / n).abs() <= f64::EPSILON);
    }

    #[test]
    fn order_of_rows_means_nothing_but_to_ranges((scores, labels) in any_scored(), by in 0_usize..60) {
        let (mut s, mut l) = (scores.clone(), labels.clone());
        s.rotate_left(by % scores.len());
        l.rotate_left(by % scores.len());
        for metric in [roc_auc, average_precision, pr_auc] {
            prop_assert_eq!(metric(&scores, &labels).unwrap(), metric(&s, &l).unwrap());
        }
    }

    #[test]
    fn one_anomaly_without_buffer_is_the_plain_area(
        scores in prop::collection::vec((-6_i8..6).prop_map(f64::from), 2..50), ends in (0_usize..50, 0_usize..49)
    ) {
        let n = scores.len();
        let first = ends.0 % n;
        let last = (first + ends.1 % n).min(n - 1).min(first + n - 2);
        let labels: Vec<bool> = (0..n).map(|i| first <= i && i <= last).collect();
        let areas = range_auc(&scores, &labels, 0).unwrap();
        prop_assert!((areas.roc - roc_auc(&scores, &labels).unwrap()).abs() < 1e-14);
        prop_assert!((areas.pr - pr_auc(&scores, &labels).unwrap()).abs() < 1e-14);
    }

    #[test]
    fn volumes_are_means_of_areas((scores, labels) in any_scored(), longest in 0_usize..20) {
        let longest = longest.min(scores.len());
        let volumes = vus(&scores, &labels, longest).unwrap();
        let areas: Vec<_> = (0..=longest).map(|b| range_auc(&scores, &labels, b).unwrap()).collect();
        let n = areas.len() as f64;
        prop_assert!((volumes.roc - areas.iter().map(|a| a.roc).sum::<f64>() / n).abs() < 1e-14);
        prop_assert!((volumes.pr - areas.iter().map(|a| a.pr).sum::<f64>() / n).abs() < 1e-14);
    }

    #[test]
    fn counts_add_up((scores, labels) in any_scored(), at in 0_usize..60) {
        let (a, b) = scores.split_at(at.min(scores.len()));
        let (la, lb) = labels.split_at(a.len());
        let pooled: Confusion = [(a, la), (b, lb)].iter().map(|(s, l)| Confusion::of_scores(s, 1.0, l).unwrap()).sum();
        let whole = Confusion::of_scores(&scores, 1.0, &labels).unwrap();
        prop_assert_eq!(pooled, whole);
        let alarms: Vec<bool> = scores.iter().map(|&s| s >= 1.0).collect();
        prop_assert_eq!(Confusion::of_alarms(&alarms, &labels).unwrap(), whole);
        prop_assert!((whole.recall().unwrap() + whole.missed_alarm_rate().unwrap() - 1.0).abs() <= f64::EPSILON);
        let c = whole;
        let f1 = 2.0 * c.true_positives as f64
            / (2 * c.true_positives + c.false_positives + c.false_negatives) as f64;
        prop_assert!((whole.f1().unwrap() - f1).abs() <= 1e-15);
    }

    #[test]
    fn ranges_of_one_row_are_rows(flags in prop::collection::vec((any::<bool>(), any::<bool>()), 1..40)) {
        // Every other row, so that no two touch.
        let (real, predicted): (Vec<bool>, Vec<bool>) = flags.iter().flat_map(|&f| [f, (false, false)]).unzip();
        let counts = Confusion::of_alarms(&predicted, &real).unwrap();
        let tally = RangeBased::new().compare(&row_ranges(&real), &row_ranges(&predicted)).unwrap();
        prop_assert_eq!(tally.recall().ok(), counts.recall().ok());
        prop_assert_eq!(tally.precision().ok(), counts.precision().ok());
        prop_assert_eq!(tally.f_beta(2.0).ok(), counts.f_beta(2.0).ok());
    }

    #[test]
    fn ranges_earn_from_0_to_1(
        flags in prop::collection::vec((any::<bool>(), any::<bool>()), 1..60), alpha in 0.0_f64..=1.0, kinds in (0_usize..4, 0_usize..4)
    ) {
        const BIASES: [PositionalBias; 4] =
            [PositionalBias::Flat, PositionalBias::Front, PositionalBias::Middle, PositionalBias::Back];
        let (real, predicted): (Vec<bool>, Vec<bool>) = flags.iter().copied().unzip();
        let (real, predicted) = (row_ranges(&real), row_ranges(&predicted));
        let metric = RangeBased::new()
            .existence_weight(alpha)
            .unwrap()
            .recall_bias(BIASES[kinds.0])
            .precision_bias(BIASES[kinds.1])
            .cardinality(Cardinality::One);
        let tally = metric.compare(&real, &predicted).unwrap();
        prop_assert!((0.0..=tally.n_real as f64 + 1e-12).contains(&tally.recall_sum));
        prop_assert!((0.0..=tally.n_predicted as f64 + 1e-12).contains(&tally.precision_sum));
        let same = metric.compare(&real, &real).unwrap();
        prop_assert!((same.recall_sum - real.len() as f64).abs() < 1e-12);
        prop_assert!((same.precision_sum - real.len() as f64).abs() < 1e-12);
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind, words: &[&str]) {
    let e = result.unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
}

#[test]
fn hostile_scores_are_named() {
    use ErrorKind::{InsufficientData, InvalidInput, InvalidParameter};
    type Metric = fn(&[f64], &[bool]) -> Result<f64, Error>;
    let metrics: [Metric; 5] = [
        roc_auc,
        average_precision,
        pr_auc,
        |s, l| range_auc(s, l, 1).map(|a| a.roc),
        |s, l| vus(s, l, 1).map(|a| a.roc),
    ];
    let labels = [false, true, false];
    for metric in metrics {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            refused(metric(&[0.0, 0.0, bad], &labels), InvalidInput, &["scores", "row 2"]);
        }
        refused(metric(&[0.0; 2], &labels), InvalidInput, &["labels", "2 rows", "got 3"]);
        refused(metric(&[0.0; 4], &labels), InvalidInput, &["labels", "4 rows", "got 3"]);
        refused(metric(&[], &[]), InsufficientData, &["anomalous"]);
        refused(metric(&[0.0; 3], &[false; 3]), InsufficientData, &["anomalous"]);
        assert!(metric(&[f64::MAX, f64::MIN, -0.0], &labels).is_ok());
    }
    for metric in [metrics[0], metrics[3], metrics[4]] {
        refused(metric(&[0.0; 3], &[true; 3]), InsufficientData, &["normal"]);
    }
    assert_eq!(average_precision(&[0.0; 3], &[true; 3]).unwrap(), 1.0);
    assert_eq!(
        roc_auc(&[0.0, -0.0, 0.0], &labels).unwrap(),
        0.5,
        "zeros of either sign are one score"
    );

    refused(
        range_auc(&[0.0; 3], &labels, 4),
        InvalidParameter,
        &["buffer", "3", "4"],
    );
    refused(
        vus(&[0.0; 3], &labels, usize::MAX),
        InvalidParameter,
        &["max_buffer", "3"],
    );
    assert!(vus(&[0.0; 3], &labels, 3).is_ok());

    refused(
        Confusion::of_scores(&[0.0; 3], f64::NAN, &labels),
        InvalidParameter,
        &["threshold"],
    );
    refused(
        Confusion::of_scores(&[0.0, f64::NAN, 0.0], 0.5, &labels),
        InvalidInput,
        &["row 1"],
    );
    refused(Confusion::of_scores(&[0.0; 2], 0.5, &labels), InvalidInput, &["labels"]);
    refused(
        Confusion::of_alarms(&[true; 2], &labels),
        InvalidInput,
        &["labels", "2 rows"],
    );
}

#[test]
fn ratios_of_nothing_are_errors() {
    use ErrorKind::{InsufficientData, InvalidParameter};
    let none = Confusion::default();
    refused(none.precision(), InsufficientData, &["precision", "alarm"]);
    refused(none.recall(), InsufficientData, &["recall", "anomalous row"]);
    refused(
        none.false_alarm_rate(),
        InsufficientData,
        &["false alarm rate", "normal row"],
    );
    refused(
        none.missed_alarm_rate(),
        InsufficientData,
        &["missed alarm rate", "anomalous row"],
    );
    refused(none.f1(), InsufficientData, &["anomalous row"]);
    let silent = Confusion::of_alarms(&[false, false], &[true, false]).unwrap();
    assert_eq!(
        (
            silent.f1().unwrap(),
            silent.false_alarm_rate().unwrap(),
            silent.missed_alarm_rate().unwrap()
        ),
        (0.0, 0.0, 1.0)
    );
    refused(silent.precision(), InsufficientData, &["alarm"]);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(silent.f_beta(bad), InvalidParameter, &["beta"]);
    }
    let found = Confusion::of_alarms(&[true, true], &[true, false]).unwrap();
    for extreme in [1e-300, 1e300] {
        // To precision and to recall.
        let f = found.f_beta(extreme).unwrap();
        assert_eq!(f, if extreme < 1.0 { 0.5 } else { 1.0 });
    }
    let mut full = Confusion {
        true_positives: u64::MAX,
        false_positives: u64::MAX,
        ..none
    };
    full += full;
    assert_eq!(full.precision().unwrap(), 0.5);
}

#[test]
fn hostile_ranges_are_named() {
    use ErrorKind::{InsufficientData, InvalidInput, InvalidParameter};
    let metric = RangeBased::new();
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        refused(metric.existence_weight(bad), InvalidParameter, &["existence_weight"]);
    }
    let good = [(0, 3), (5, 5)];
    refused(metric.compare(&[(3, 2)], &good), InvalidInput, &["real", "range 0"]);
    refused(
        metric.compare(&good, &[(0, 1), (1, 2)]),
        InvalidInput,
        &["predicted", "range 1"],
    );
    refused(
        metric.compare(&good, &[(4, 5), (1, 2)]),
        InvalidInput,
        &["predicted", "range 1"],
    );
    refused(
        metric.compare(&[(0, usize::MAX)], &good),
        InvalidInput,
        &["real", "range 0"],
    );
    for f in [|_| f64::NAN, |_| 1.5, |_| -0.5] as [fn(usize) -> f64; 3] {
        let metric = metric.cardinality(Cardinality::Custom(f));
        refused(
            metric.compare(&[(0, 9)], &good),
            InvalidParameter,
            &["cardinality", "2 overlaps"],
        );
        assert!(
            metric.compare(&good, &good).is_ok(),
            "not asked where one range meets one"
        );
    }
    let none = metric.compare(&[], &[]).unwrap();
    assert_eq!(none, RangeTally::default());
    refused(none.recall(), InsufficientData, &["real range"]);
    refused(none.precision(), InsufficientData, &["predicted range"]);
    refused(none.f_beta(1.0), InsufficientData, &["real range"]);
    assert_eq!(metric.compare(&good, &[]).unwrap().f_beta(1.0).unwrap(), 0.0);
    refused(
        metric.compare(&good, &good).unwrap().f_beta(f64::NAN),
        InvalidParameter,
        &["beta"],
    );

    // The largest range there is: sums of positions stay exact.
    let huge = [(0, usize::MAX - 1)];
    for bias in [
        PositionalBias::Flat,
        PositionalBias::Front,
        PositionalBias::Middle,
        PositionalBias::Back,
    ] {
        let tally = metric.recall_bias(bias).compare(&huge, &huge).unwrap();
        assert_eq!((tally.recall().unwrap(), tally.precision().unwrap()), (1.0, 1.0));
    }
    let mut pooled = metric.compare(&good, &good).unwrap();
    pooled += metric.compare(&good, &[]).unwrap();
    assert_eq!((pooled.recall().unwrap(), pooled.precision().unwrap()), (0.5, 1.0));
}

#[test]
fn positions_weigh_as_named() {
    let share = |bias, rows: (usize, usize)| {
        RangeBased::new()
            .recall_bias(bias)
            .compare(&[(10, 14)], &[rows])
            .unwrap()
            .recall()
            .unwrap()
    };
    // Five rows: flat 1 1 1 1 1, front 5 4 3 2 1, back 1 2 3 4 5, middle 1 2 3 2 1.
    let by_row = |bias| [10, 11, 12, 13, 14].map(|row| share(bias, (row, row)));
    assert_eq!(by_row(PositionalBias::Flat), [0.2; 5]);
    assert_eq!(
        by_row(PositionalBias::Front),
        [5.0, 4.0, 3.0, 2.0, 1.0].map(|w| w / 15.0)
    );
    assert_eq!(
        by_row(PositionalBias::Back),
        [1.0, 2.0, 3.0, 4.0, 5.0].map(|w| w / 15.0)
    );
    assert_eq!(
        by_row(PositionalBias::Middle),
        [1.0, 2.0, 3.0, 2.0, 1.0].map(|w| w / 9.0)
    );
    assert_eq!(share(PositionalBias::Middle, (0, 12)), 6.0 / 9.0);
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn span(from: i64, to: i64) -> Interval {
    Interval::new(at(from), at(to)).unwrap()
}

#[test]
fn events_are_counted_one_by_one() {
    let anomalies = [span(100, 200), span(300, 400), span(500, 600), span(700, 700)];
    let alarms = [
        span(50, 120),
        span(130, 310),
        span(450, 460),
        span(600, 650),
        span(701, 800),
    ];
    let tally = EventTally::of_asset(span(0, 172_800), &anomalies, &alarms).unwrap();
    // On before, on before, at the last instant, and just too late; two episodes touch nothing.
    assert_eq!(tally.delays_s(), [0.0, 0.0, 100.0]);
    assert_eq!((tally.n_events(), tally.n_missed(), tally.n_false_alarms()), (4, 1, 2));
    assert_eq!(
        (tally.missed_share().unwrap(), tally.false_alarms_per_day().unwrap()),
        (0.25, 1.0)
    );
    assert_eq!(
        (tally.mean_delay_s().unwrap(), tally.median_delay_s().unwrap()),
        (100.0 / 3.0, 50.0)
    );

    // Two assets, half of the anomalies missed: the upper middle one never came.
    let mut fleet = tally.clone();
    fleet += &EventTally::of_asset(span(0, 86_400), &[span(1, 2), span(4, 5)], &[]).unwrap();
    assert_eq!((fleet.n_events(), fleet.n_missed(), fleet.observed_days()), (6, 3, 3.0));
    assert_eq!(fleet.median_delay_s().unwrap(), f64::INFINITY);
    assert_eq!(fleet.false_alarms_per_day().unwrap(), 2.0 / 3.0);

    let none = EventTally::of_asset(span(5, 5), &[], &[]).unwrap();
    assert_eq!(none, EventTally::default());
    use ErrorKind::InsufficientData;
    refused(none.missed_share(), InsufficientData, &["anomaly"]);
    refused(none.mean_delay_s(), InsufficientData, &["anomaly"]);
    refused(none.median_delay_s(), InsufficientData, &["anomaly"]);
    refused(none.false_alarms_per_day(), InsufficientData, &["time watched"]);
}

proptest! {
    #[test]
    fn events_are_those_of_a_search(cuts in (prop::collection::vec(1_i64..9, 0..16), prop::collection::vec(1_i64..9, 0..16))) {
        // Intervals of whole seconds, with gaps, made from lengths in turn.
        let made = |lengths: &[i64]| {
            let mut now = 0;
            let pairs = lengths.chunks_exact(2).map(|pair| {
                let start = now + pair[0];
                now = start + pair[1] - 1;
                span(start, now)
            });
            pairs.collect::<Vec<_>>()
        };
        let (anomalies, alarms) = (made(&cuts.0), made(&cuts.1));
        let tally = EventTally::of_asset(span(0, 1000), &anomalies, &alarms).unwrap();
        let on = |t: i64| alarms.iter().any(|a| a.start() <= at(t) && at(t) <= a.end());
        let second = |t: Timestamp| t.nanos() / 1_000_000_000;
        let delays: Vec<Option<f64>> = anomalies
            .iter()
            .map(|a| (second(a.start())..=second(a.end())).find(|&t| on(t)).map(|t| (t - second(a.start())) as f64))
            .collect();
        let found: Vec<f64> = delays.iter().flatten().copied().collect();
        prop_assert_eq!(tally.delays_s(), &found[..]);
        prop_assert_eq!(tally.n_missed(), delays.len() - found.len());
        let touches = |alarm: &&Interval| !anomalies.iter().any(|a| a.start() <= alarm.end() && alarm.start() <= a.end());
        prop_assert_eq!(tally.n_false_alarms(), alarms.iter().filter(touches).count());

        let failure = at(40);
        let first = (28..40).find(|&t| on(t)).map(|t| (40 - t) as f64);
        prop_assert_eq!(LeadTime::Within(Seconds::new(12.0).unwrap()).of(&alarms, failure).unwrap(), first);
        let lasting = on(40).then(|| (0..40).rev().take_while(|&t| on(t) && alarms.iter().any(|a| a.start() <= at(t) && at(40) <= a.end())).count() as f64);
        prop_assert_eq!(LeadTime::Lasting.of(&alarms, failure).unwrap(), lasting.filter(|&s| s > 0.0));
    }
}

#[test]
fn hostile_intervals_are_named() {
    use ErrorKind::InvalidInput;
    refused(Interval::new(at(2), at(1)), InvalidInput, &["interval", "2 s", "1 s"]);
    let watched = span(0, 100);
    refused(
        EventTally::of_asset(watched, &[span(1, 3), span(3, 4)], &[]),
        InvalidInput,
        &["anomalies", "1"],
    );
    refused(
        EventTally::of_asset(watched, &[], &[span(5, 6), span(1, 2)]),
        InvalidInput,
        &["alarms", "1"],
    );
    refused(
        EventTally::of_asset(watched, &[], &[span(-1, 2)]),
        InvalidInput,
        &["alarms", "0"],
    );
    refused(
        EventTally::of_asset(watched, &[span(99, 101)], &[]),
        InvalidInput,
        &["anomalies", "100 s"],
    );
    refused(
        LeadTime::Lasting.of(&[span(5, 6), span(1, 2)], at(9)),
        InvalidInput,
        &["alarms", "1"],
    );
    let ends = (Timestamp::from_nanos(i64::MIN), Timestamp::from_nanos(i64::MAX));
    let ever = Interval::new(ends.0, ends.1).unwrap();
    assert!(EventTally::of_asset(ever, &[ever], &[ever]).unwrap().observed_days() > 2e5);
    assert!(LeadTime::Lasting.of(&[ever], ends.1).unwrap().unwrap() > 1.8e10);
}

#[test]
fn alarms_that_go_out_or_come_at_the_failure_give_no_lead() {
    let within = |s| LeadTime::Within(Seconds::new(s).unwrap());
    let alarms = [span(10, 20), span(100, 120)];
    assert_eq!(LeadTime::Lasting.of(&alarms, at(100)).unwrap(), None);
    assert_eq!(LeadTime::Lasting.of(&alarms, at(120)).unwrap(), Some(20.0));
    assert_eq!(LeadTime::Lasting.of(&alarms, at(121)).unwrap(), None);
    assert_eq!(within(80.0).of(&alarms, at(100)).unwrap(), Some(80.0));
    assert_eq!(within(79.9).of(&alarms, at(100)).unwrap(), None);
    assert_eq!(within(1e9).of(&alarms, at(100)).unwrap(), Some(90.0));
    assert_eq!(within(1e9).of(&alarms, at(10)).unwrap(), None);
    assert_eq!(within(1e9).of(&[], at(10)).unwrap(), None);
}

#[test]
fn episodes_are_runs_of_set_rows() {
    use ErrorKind::InvalidInput;
    let times = [0, 1, 2, 5, 5, 9].map(at);
    let episodes = |alarms: &[bool]| alarm_episodes(&times[..alarms.len()], alarms).unwrap();
    assert_eq!(episodes(&[]), []);
    assert_eq!(episodes(&[true; 6]), [span(0, 9)]);
    assert_eq!(episodes(&[true, false, true, true]), [span(0, 0), span(2, 5)]);
    // Set, clear and set within one instant: intervals would share it.
    let same = [at(5); 3];
    assert_eq!(alarm_episodes(&same, &[true, false, true]).unwrap(), [span(5, 5)]);
    let later = [5, 5, 5, 6].map(at);
    assert_eq!(
        alarm_episodes(&later, &[true, false, true, true]).unwrap(),
        [span(5, 6)]
    );
    refused(alarm_episodes(&times, &[true]), InvalidInput, &["alarms", "6 rows"]);
    refused(
        alarm_episodes(&[at(1), at(0)], &[true, true]),
        InvalidInput,
        &["times", "row 1"],
    );
}

/// A hundred thousand rows and buffers up to a hundred: a pass a buffer, not a pass a threshold.
#[test]
fn long_series_are_quick() {
    let n = 100_000;
    let labels: Vec<bool> = (0..n).map(|i| i % 1000 < 20).collect();
    let scores: Vec<f64> = (0..n as u64).map(|i| Seed(7).part(i).0 as f64).collect();
    let started = std::time::Instant::now();
    let volumes = vus(&scores, &labels, 100).unwrap();
    println!("VUS of {n} rows, buffers 0..=100: {:?}", started.elapsed());
    // Scores know nothing of the labels: of a share q of alarms TP is qW with W the sum of soft labels, and recall reaches 1
    // where q = P / W. Of every thousand rows, 20 are anomalous.
    let chance = |buffer: usize| {
        let soft: f64 = (1..=buffer / 2).map(|d| (1.0 - d as f64 / buffer as f64).sqrt()).sum();
        let (w, p) = (20.0 + 2.0 * soft, 20.0 + soft);
        1.0 - p / w * (1000.0 - w) / (1000.0 - p) / 2.0
    };
    let expected = (0..=100).map(chance).sum::<f64>() / 101.0;
    assert!(
        (volumes.roc - expected).abs() < 0.01 && expected > 0.6,
        "{volumes:?} {expected}"
    );
}
