//! Laws of the detectors that remember, on random streams.

use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{
        Adwin, AnyDetector, AnyDetectorState, BayesianChangePoint, Cusum, EwmaChart, HalfSpaceTrees, LaggedPca,
        LearningPolicy, LeftDiscord, MewmaChart, OnlineIsolationForest, PageHinkley, RandomCutForest,
        RarityRecordDetector, Scaling, StreamAlgorithm, StreamDetector, StreamDetectorParams,
    },
    envelope,
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, Assessment, OnlineModel, UnusableReason},
    quantity::{Seed, Timestamp},
    signal::Channel,
};
use proptest::prelude::*;

const WIDTH: usize = 2;

fn schema() -> FeatureSchema {
    let channels: Vec<_> = (0..WIDTH).map(|j| Channel::new(format!("c{j}"), "g")).collect();
    FeatureSchema::of_channels(&channels).unwrap()
}

fn noise(i: usize, j: usize) -> f64 {
    (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

/// Usual rows: two columns that share a slow wave.
fn usual(i: usize) -> [f64; WIDTH] {
    let wave = (i as f64 * 0.3).sin();
    [20.0 + wave + 0.4 * noise(i, 0), 300.0 - 2.0 * wave + 0.4 * noise(i, 1)]
}

fn made<A: StreamAlgorithm>(params: StreamDetectorParams<A>, learning: LearningPolicy, scaling: Scaling) -> AnyDetector
where
    AnyDetector: From<StreamDetector<A::Scorer>>,
{
    let params = params.learning(learning).scaling(scaling).fixed_threshold(3.0);
    if scaling != Scaling::Training {
        return params.untrained(schema()).unwrap().into();
    }
    let values = Array2::from_shape_fn((240, WIDTH), |(i, j)| usual(i)[j]);
    let table = FeatureTable::new(schema(), values, (0..240).map(|i| i as u32 / 40).collect()).unwrap();
    params
        .check()
        .unwrap()
        .fit(&DatasetBase::new(table, ()))
        .unwrap()
        .into()
}

/// Every detector, small enough to be warm soon, by scaling and learning policy.
fn all(learning: LearningPolicy, scaling: Scaling) -> Vec<AnyDetector> {
    let trees = HalfSpaceTrees::params().n_trees(4).height(5).window_size(20);
    let cut = RandomCutForest::params().n_trees(8).sample_size(32);
    let mut all = vec![
        made(EwmaChart::params(), learning, scaling),
        made(Cusum::params(), learning, scaling),
        made(PageHinkley::params().warm_up(5), learning, scaling),
        made(Adwin::params().warm_up(5), learning, scaling),
        made(BayesianChangePoint::params().longest_run(30), learning, scaling),
        made(LeftDiscord::params().length(5).history(25), learning, scaling),
        made(RarityRecordDetector::params().warm_up(5), learning, scaling),
        made(
            OnlineIsolationForest::params().n_trees(4).window_size(64),
            learning,
            scaling,
        ),
        made(trees, learning, scaling),
        made(cut.clone(), learning, scaling),
        made(cut.shingle(3), learning, scaling),
    ];
    if scaling == Scaling::Training {
        all.push(made(MewmaChart::params(), learning, scaling));
        all.push(made(LaggedPca::params(), learning, scaling));
    }
    all
}

fn step(
    d: &AnyDetector,
    state: &mut AnyDetectorState,
    x: &[f64],
    time: i64,
) -> Assessment<prognos::model::AnomalyScore> {
    let x = FeatureView::new(d.schema(), x).unwrap().at(Timestamp::from_secs(time));
    d.step(state, x).unwrap_or_else(|e| panic!("{}: {e}", d.kind()))
}

/// What sensors send: mostly usual, now and then stuck, far out, missing or infinite.
fn row() -> impl Strategy<Value = [f64; WIDTH]> {
    let value = || {
        prop_oneof![
            8 => -5.0..5.0,
            1 => Just(0.25),
            1 => prop::sample::select(vec![
                1e300, -1e300, f64::MAX, f64::MIN, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9, -1e9,
            ]),
        ]
    };
    [value(), value()]
}

const SCALINGS: [Scaling; 3] = [Scaling::Training, Scaling::FirstRows(6), Scaling::Raw];
const POLICIES: [LearningPolicy; 3] = [
    LearningPolicy::Always,
    LearningPolicy::WhenNormal,
    LearningPolicy::Frozen,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Scores and contributions are finite, bad rows are outcomes, and a state that was written and read goes on to the bit.
    #[test]
    fn any_stream_gives_finite_scores_and_states_that_go_on(
        rows in prop::collection::vec(row(), 60..100), scaling in 0_usize..3, policy in 0_usize..3, stop in 10_usize..60,
    ) {
        for d in all(POLICIES[policy], SCALINGS[scaling]) {
            let mut state = d.new_state();
            let mut read: Option<AnyDetectorState> = None;
            for (i, x) in rows.iter().enumerate() {
                let before = envelope::encode(&state).unwrap();
                if i == stop {
                    read = Some(envelope::decode(&before).unwrap());
                }
                let view = FeatureView::new(d.schema(), x).unwrap().at(Timestamp::from_secs(i as i64));
                let mut shares = [0.0; WIDTH];
                let shared = d.contributions_into(&state, view, &mut shares).unwrap().ready().is_some();
                let outcome = step(&d, &mut state, x, i as i64);
                if let Some(other) = &mut read {
                    prop_assert_eq!(step(&d, other, x, i as i64), outcome, "{} row {}", d.kind(), i);
                }
                match outcome {
                    Assessment::Ready(score) => {
                        prop_assert!(score.value.is_finite() && shared, "{} row {i}: {score:?}", d.kind());
                        prop_assert!(shares.iter().all(|s| s.is_finite()), "{} row {i}: {shares:?}", d.kind());
                    }
                    Assessment::Unusable(_) => {
                        prop_assert!(x.iter().any(|v| !v.is_finite()) && !shared);
                        prop_assert_eq!(envelope::encode(&state).unwrap(), before, "{} row {}", d.kind(), i);
                    }
                    _ => prop_assert!(!shared),
                }
            }
            let other = read.unwrap();
            prop_assert_eq!(envelope::encode(&other).unwrap(), envelope::encode(&state).unwrap(), "{}", d.kind());
        }
    }
}

#[test]
fn a_lasting_jump_scores_higher_than_half_of_the_rows_before() {
    for scaling in [Scaling::Training, Scaling::FirstRows(40)] {
        for d in all(LearningPolicy::Always, scaling) {
            let mut state = d.new_state();
            let mut scores = Vec::new();
            for i in 0..160 {
                let outcome = step(&d, &mut state, &usual(i), i as i64);
                scores.extend(outcome.ready().map(|s| s.value));
            }
            scores.sort_by(f64::total_cmp);
            let median = scores[scores.len() / 2];
            let highest = (160..190).filter_map(|i| {
                let [a, b] = usual(i);
                step(&d, &mut state, &[a + 15.0, b + 30.0], i as i64)
                    .ready()
                    .map(|s| s.value)
            });
            let highest = highest.fold(f64::NEG_INFINITY, f64::max);
            assert!(
                highest > median,
                "{}: {highest} after a jump, {median} before",
                d.kind()
            );
        }
    }
}

#[test]
fn dead_and_frozen_sensors_keep_scores_finite() {
    for scaling in SCALINGS {
        for d in all(LearningPolicy::Always, scaling) {
            let mut state = d.new_state();
            let mut time = 0;
            let mut send = |state: &mut AnyDetectorState, x: [f64; WIDTH]| {
                time += 1;
                let outcome = step(&d, state, &x, time);
                assert!(
                    outcome.ready().is_none_or(|s| s.value.is_finite()),
                    "{}: {outcome:?}",
                    d.kind()
                );
                outcome
            };
            (0..80).for_each(|i| {
                send(&mut state, usual(i));
            });
            // Frozen, both the same, all zero, then well again.
            (80..160).for_each(|i| {
                send(&mut state, [20.0, usual(i)[1]]);
            });
            (0..80).for_each(|_| {
                send(&mut state, [7.0, 7.0]);
            });
            (0..80).for_each(|_| {
                send(&mut state, [0.0, 0.0]);
            });
            let last = (160..260).map(|i| send(&mut state, usual(i))).last().unwrap();
            assert!(last.ready().is_some(), "{}: {last:?}", d.kind());
        }
    }
}

#[test]
fn clocks_that_stand_step_back_or_leap_a_year() {
    let late = |time| matches!(time, Assessment::Unusable(UnusableReason::TimeNotIncreasing));
    for d in all(LearningPolicy::Always, Scaling::FirstRows(6)) {
        let mut state = d.new_state();
        for i in 0..60 {
            step(&d, &mut state, &usual(i), i as i64);
        }
        let before = envelope::encode(&state).unwrap();
        for time in [59, 58, 0, -1, i64::MIN / 1_000_000_000] {
            assert!(late(step(&d, &mut state, &usual(60), time)), "{} at {time}", d.kind());
        }
        assert_eq!(envelope::encode(&state).unwrap(), before, "{}", d.kind());
        let year = 365 * 86_400;
        for i in 60..120 {
            let outcome = step(&d, &mut state, &usual(i), year + i as i64);
            assert!(
                outcome.ready().is_none_or(|s| s.value.is_finite()),
                "{}: {outcome:?}",
                d.kind()
            );
        }
    }
}

#[test]
fn a_detector_that_learns_nothing_new_keeps_its_reference() {
    // The same level again and again: who learns always gets used to it, who learns when normal does not.
    let peak = |learning| {
        let params = BayesianChangePoint::params()
            .learning(learning)
            .scaling(Scaling::FirstRows(50));
        let d: AnyDetector = params.fixed_threshold(6.0).untrained(schema()).unwrap().into();
        let mut state = d.new_state();
        (0..150).for_each(|i| {
            step(&d, &mut state, &usual(i), i as i64);
        });
        let scores = (150..250).map(|i| step(&d, &mut state, &[usual(i)[0] + 30.0, usual(i)[1]], i as i64));
        scores.last().unwrap().ready().unwrap().value
    };
    assert!(peak(LearningPolicy::Always) < 6.0 && peak(LearningPolicy::WhenNormal) > 6.0);
    assert!(peak(LearningPolicy::Frozen) > 6.0);
}
