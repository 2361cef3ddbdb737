//! Streaming detectors over whole streams: as good as those of other libraries (`tests/golden/make_detectors_streams.py`
//! made the numbers), bounded, and the same wherever a stream is cut.

use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{
        HalfSpaceTrees, HalfSpaceTreesParams, OnlineIsolationForest, OnlineIsolationForestParams, RandomCutForest,
        RandomCutForestParams, Scaling, StreamDetector, StreamScorer,
    },
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, Assessment, OnlineModel},
    quantity::Seed,
    signal::Channel,
};
use serde_json::Value;

const WIDTH: usize = 10;
const N_TRAIN: usize = 500;
const N_ROWS: usize = 4500;

/// SplitMix64, as in the script.
struct Uniforms(u64);

impl Uniforms {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The script's stream, `n` rows of it.
fn stream(seed: u64, size: f64, n: usize) -> (Vec<Vec<f64>>, Vec<bool>) {
    let mut u = Uniforms(seed);
    let row = |i: usize| {
        let hidden: Vec<f64> = (0..3).map(|_| u.next() + u.next() - 1.0).collect();
        let mut row: Vec<f64> = (0..WIDTH)
            .map(|j| hidden[j % 3] + 0.5 * (u.next() + u.next() - 1.0))
            .collect();
        if i >= N_ROWS / 2 {
            row[2] += 0.5;
        }
        let strange = i >= N_TRAIN && i % 50 == 17;
        if strange {
            let first = i / 50 % WIDTH;
            row[first] += size;
            row[(first + 4) % WIDTH] -= size;
        }
        (row, strange)
    };
    (0..n).map(row).unzip()
}

fn schema() -> FeatureSchema {
    let channels: Vec<_> = (0..WIDTH).map(|j| Channel::new(format!("c{j}"), "")).collect();
    FeatureSchema::of_channels(&channels).unwrap()
}

fn table(rows: &[Vec<f64>]) -> DatasetBase<FeatureTable, ()> {
    let values = Array2::from_shape_vec((rows.len(), WIDTH), rows.concat()).unwrap();
    DatasetBase::new(FeatureTable::new(schema(), values, vec![0; rows.len()]).unwrap(), ())
}

/// The score of each row as it comes; `None` before the first.
fn scores<S: StreamScorer>(d: &StreamDetector<S>, rows: &[Vec<f64>]) -> Vec<Option<f64>> {
    let mut state = d.new_state();
    let step = |r: &Vec<f64>| d.step(&mut state, FeatureView::new(d.schema(), r).unwrap()).unwrap();
    rows.iter().map(step).map(|a| a.ready().map(|s| s.value)).collect()
}

/// Share of the pairs of a strange and a usual row in which the strange one has the higher score, ties by half.
fn area(scores: &[Option<f64>], labels: &[bool]) -> f64 {
    let of = |wanted: bool| -> Vec<f64> {
        let chosen = scores.iter().zip(labels).filter(|(_, l)| **l == wanted);
        chosen.map(|(s, _)| s.expect("a score for each row")).collect()
    };
    let (strange, usual) = (of(true), of(false));
    let wins = |a: &f64| {
        usual
            .iter()
            .map(|b| f64::from(u8::from(a > b)) + 0.5 * f64::from(u8::from(a == b)))
            .sum::<f64>()
    };
    strange.iter().map(wins).sum::<f64>() / (strange.len() * usual.len()) as f64
}

/// The mean area over the script's streams is at most `slack` below the other library's.
fn as_good_as<S: StreamScorer>(name: &str, slack: f64, detector: impl Fn(&[Vec<f64>], Seed) -> StreamDetector<S>) {
    let golden: Value = serde_json::from_str(include_str!("golden/detectors_streams.json")).unwrap();
    let (size, theirs) = (
        golden[name]["size"].as_f64().unwrap(),
        golden[name]["areas"].as_array().unwrap(),
    );
    let theirs: Vec<f64> = theirs.iter().map(|a| a.as_f64().unwrap()).collect();
    let ours: Vec<f64> = (0..theirs.len() as u64)
        .map(|seed| {
            let (rows, labels) = stream(100 + seed, size, N_ROWS);
            let d = detector(&rows[..N_TRAIN], Seed(seed));
            area(&scores(&d, &rows)[N_TRAIN..], &labels[N_TRAIN..])
        })
        .collect();
    let mean = |a: &[f64]| a.iter().sum::<f64>() / a.len() as f64;
    println!(
        "{name}: area {:.4}, the other's {:.4}; {ours:.3?} {theirs:.3?}",
        mean(&ours),
        mean(&theirs)
    );
    assert!(mean(&ours) >= mean(&theirs) - slack);
}

#[test]
fn the_streams_are_those_of_the_script() {
    let golden: Value = serde_json::from_str(include_str!("golden/detectors_streams.json")).unwrap();
    let first: Vec<Vec<f64>> = serde_json::from_value(golden["first_rows"].clone()).unwrap();
    let (first, ours) = (first.concat(), stream(100, 1.0, 3).0.concat());
    assert_eq!(first.len(), ours.len());
    // Numbers below 2, which the reader of JSON may round by one place.
    assert!(first.iter().zip(&ours).all(|(a, b)| (a - b).abs() <= f64::EPSILON));
}

#[test]
fn half_space_trees_find_as_much_as_river() {
    as_good_as("half_space_trees", 0.0, |train, seed| {
        let params = HalfSpaceTrees::params().n_trees(10).height(8).window_size(250);
        let params = params.scaling(Scaling::Raw).fixed_threshold(0.5).seed(seed);
        params.fit(&table(train)).unwrap()
    });
}

// Random cut forests: the same trees and score, other samples. The standard deviation of an area from stream to stream is
// 0.02 (in the golden data), of the mean of five about 0.01. Ours lie below rcf3's by 0.009 for rows and 0.011 for shingles,
// over ten seeds; filling samples as slowly as rcf3 does made no difference, and what does is not known.
#[test]
fn a_random_cut_forest_finds_as_much_as_rcf3() {
    as_good_as("random_cut_forest", 0.025, |_, seed| {
        let params = RandomCutForest::params().scaling(Scaling::Raw).fixed_threshold(2.0);
        params.seed(seed).untrained(schema()).unwrap()
    });
}

#[test]
fn a_random_cut_forest_of_shingles_finds_as_much_as_rcf3() {
    as_good_as("random_cut_forest_of_shingles", 0.025, |_, seed| {
        let params = RandomCutForest::params()
            .shingle(4)
            .scaling(Scaling::Raw)
            .fixed_threshold(2.0);
        params.seed(seed).untrained(schema()).unwrap()
    });
}

#[test]
fn an_online_isolation_forest_finds_as_much_as_rcf3() {
    as_good_as("online_isolation_forest", 0.01, |_, seed| {
        let params = OnlineIsolationForest::params().window_size(1024).leaf_size(16);
        let params = params.scaling(Scaling::Raw).fixed_threshold(0.5).seed(seed);
        params.untrained(schema()).unwrap()
    });
}

fn half_space_trees() -> HalfSpaceTreesParams {
    HalfSpaceTrees::params()
        .window_size(100)
        .scaling(Scaling::FirstRows(50))
        .fixed_threshold(0.5)
}

fn random_cut_forest() -> RandomCutForestParams {
    let params = RandomCutForest::params().n_trees(10).sample_size(32).shingle(2);
    params.scaling(Scaling::FirstRows(50)).fixed_threshold(2.0)
}

fn online_isolation_forest() -> OnlineIsolationForestParams {
    let params = OnlineIsolationForest::params()
        .n_trees(16)
        .window_size(128)
        .leaf_size(4);
    params.scaling(Scaling::FirstRows(50)).fixed_threshold(0.6)
}

/// A shift of all columns lifts the score by at least `rise` when it comes, and no longer after a while.
fn drift_is_learnt<S: StreamScorer>(d: &StreamDetector<S>, after: usize, rise: f64) {
    let (mut rows, _) = stream(7, 0.0, 1000 + after + 200);
    rows.iter_mut()
        .skip(1000)
        .for_each(|r| r.iter_mut().for_each(|v| *v += 2.0));
    let scores: Vec<f64> = scores(d, &rows).into_iter().map(|s| s.unwrap_or(0.0)).collect();
    let mean = |s: &[f64]| s.iter().sum::<f64>() / s.len() as f64;
    let (before, at, end) = (
        mean(&scores[800..1000]),
        mean(&scores[1000..1010]),
        mean(&scores[1000 + after..]),
    );
    println!(
        "{}: {before:.3} before, {at:.3} at the shift, {end:.3} after {after} rows",
        S::KIND
    );
    assert!(at >= before.max(end) + rise, "{before} {at} {end}");
}

#[test]
fn drift_is_strange_at_first_and_then_usual() {
    drift_is_learnt(&half_space_trees().untrained(schema()).unwrap(), 200, 0.5);
    drift_is_learnt(&random_cut_forest().untrained(schema()).unwrap(), 1500, 1.0);
    // Bins at the edge hold rows, so that what lies beyond them is little stranger than what lies at the edge.
    drift_is_learnt(&online_isolation_forest().untrained(schema()).unwrap(), 300, 0.02);
}

/// Scores do not depend on what follows, nor on where the state was saved.
fn cut_anywhere<S: StreamScorer>(d: &StreamDetector<S>) {
    let (rows, _) = stream(9, 2.0, 400);
    let whole = scores(d, &rows);
    assert!(whole.iter().flatten().count() > 100 && whole[..50].iter().all(Option::is_none));
    assert_eq!(scores(d, &rows[..317]), whole[..317]);
    let mut state = d.new_state();
    for (i, r) in rows.iter().enumerate() {
        if i % 13 == 0 {
            let bytes = rmp_serde::to_vec_named(&state).unwrap();
            state = rmp_serde::from_slice(&bytes).unwrap();
            assert_eq!(rmp_serde::to_vec_named(&state).unwrap(), bytes, "row {i}");
        }
        let outcome = d.step(&mut state, FeatureView::new(d.schema(), r).unwrap()).unwrap();
        assert_eq!(
            outcome.ready().map(|s| s.value.to_bits()),
            whole[i].map(f64::to_bits),
            "row {i}"
        );
    }
}

#[test]
fn streams_may_be_cut_anywhere() {
    cut_anywhere(&half_space_trees().untrained(schema()).unwrap());
    cut_anywhere(&random_cut_forest().untrained(schema()).unwrap());
    cut_anywhere(&online_isolation_forest().untrained(schema()).unwrap());
}

/// Scores and contributions stay finite over rows that no sensor should send, and a usual row is usual again.
fn hostile_rows_do_no_harm<S: StreamScorer>(d: &StreamDetector<S>) {
    let mut state = d.new_state();
    let mut rows = vec![vec![5.0; WIDTH]; 150];
    for v in [1e6, -1e6, 1e150, -1e150, f64::MAX, f64::MIN_POSITIVE, -0.0, f64::NAN] {
        let row: Vec<f64> = (0..WIDTH).map(|j| if j % 3 == 0 { 5.0 } else { v }).collect();
        rows.extend([row.clone(), vec![v; WIDTH], row]);
    }
    rows.extend(stream(3, 0.0, 300).0);
    let mut n_ready = 0;
    for (i, r) in rows.iter().enumerate() {
        let x = FeatureView::new(d.schema(), r).unwrap();
        let mut out = [0.0; WIDTH];
        let told = d.contributions_into(&state, x, &mut out).unwrap();
        if let Assessment::Ready(score) = d.step(&mut state, x).unwrap() {
            n_ready += 1;
            assert!(told.ready().is_some() && score.value.is_finite(), "row {i}: {score:?}");
            let sum: f64 = out.iter().sum();
            assert!(
                (sum - score.value).abs() <= 1e-9 * score.value.abs().max(1e-3),
                "row {i}: {sum} {score:?}"
            );
        }
        if i % 29 == 0 {
            state = rmp_serde::from_slice(&rmp_serde::to_vec_named(&state).unwrap()).unwrap();
        }
    }
    assert!(n_ready > 300);
}

#[test]
fn hostile_rows_leave_finite_scores() {
    for scaling in [Scaling::Raw, Scaling::FirstRows(20)] {
        hostile_rows_do_no_harm(&half_space_trees().scaling(scaling).untrained(schema()).unwrap());
        hostile_rows_do_no_harm(&random_cut_forest().scaling(scaling).untrained(schema()).unwrap());
        hostile_rows_do_no_harm(&online_isolation_forest().scaling(scaling).untrained(schema()).unwrap());
    }
}

/// Bytes of the state, written down, after 10,000 rows and the most until 100,000.
fn stays_as_large<S: StreamScorer>(d: &StreamDetector<S>, n_bytes: impl Fn(&S::Memory) -> usize, most: usize) {
    let (rows, _) = stream(5, 1.0, 10_000);
    let mut state = d.new_state();
    let size = |state: &_| rmp_serde::to_vec_named(state).unwrap().len();
    let (mut early, mut late) = (0, 0);
    for i in 0..100_000 {
        d.step(
            &mut state,
            FeatureView::new(d.schema(), &rows[i * 7919 % 10_000]).unwrap(),
        )
        .unwrap();
        if i < 10_000 && i % 1000 == 999 {
            early = early.max(size(&state));
        } else if i % 10_000 == 9999 {
            late = late.max(size(&state));
        }
    }
    let in_memory = n_bytes(state.memory());
    println!(
        "{}: {late} bytes written, {in_memory} in memory after 100,000 rows",
        S::KIND
    );
    assert!(
        late <= early + early / 10 && late <= most && in_memory <= 2 * most,
        "{early} {late} {in_memory}"
    );
}

#[test]
fn memories_are_bounded() {
    // Two counts of up to three bytes a leaf.
    let d = half_space_trees().n_trees(10).untrained(schema()).unwrap();
    stays_as_large(&d, |_| 8 * 10 * 256, 10 * 256 * 2 * 3 + 1000);
    // Ten trees of 32: at most 640 points of 20 numbers of 9 bytes, and 60 bytes for each place of a sample.
    let d = random_cut_forest().untrained(schema()).unwrap();
    stays_as_large(&d, |m| m.n_bytes(), 640 * 180 + 320 * 60);
    // 128 rows of ten numbers, 16 trees of 16 bins with two corners of ten numbers.
    let d = online_isolation_forest().untrained(schema()).unwrap();
    stays_as_large(&d, |m| m.n_bytes(), (128 * 10 + 16 * 128 * 23) * 9 + 1000);
}

#[test]
fn low_and_high_parts_add_up() {
    let d = random_cut_forest().untrained(schema()).unwrap();
    let (rows, _) = stream(9, 2.0, 300);
    let mut state = d.new_state();
    for r in &rows {
        let x = FeatureView::new(d.schema(), r).unwrap();
        let (mut low, mut high, mut both) = ([0.0; WIDTH], [0.0; WIDTH], [0.0; WIDTH]);
        let ready = d
            .directed_contributions_into(&state, x, &mut low, &mut high)
            .unwrap()
            .ready()
            .is_some();
        assert_eq!(
            d.contributions_into(&state, x, &mut both).unwrap().ready().is_some(),
            ready
        );
        for ((l, h), b) in low.iter().zip(&high).zip(&both) {
            assert!(*l >= 0.0 && *h >= 0.0 && l + h == *b);
        }
        d.update(&mut state, x).unwrap();
    }
    // One column falls: its low part explains.
    let mut fallen = rows[100].clone();
    fallen[6] -= 8.0;
    let x = FeatureView::new(d.schema(), &fallen).unwrap();
    let (mut low, mut high) = ([0.0; WIDTH], [0.0; WIDTH]);
    d.directed_contributions_into(&state, x, &mut low, &mut high).unwrap();
    assert!(
        low[6] > 0.5 * (low.iter().sum::<f64>() + high.iter().sum::<f64>()),
        "{low:?} {high:?}"
    );
}
