//! Laws of the detectors that compare a row with training rows, on random tables.

use crate::counting_allocator::allocations_once;
use crate::finite_numbers::finite;
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    ErrorKind, Result,
    detect::{DensityClusters, KernelRegression, LocalOutlierFactor, NearestNeighbours, NeighbourDistance},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore},
    quantity::Seed,
    signal::Channel,
};
use proptest::prelude::*;

const ASSETS: u32 = 6;

/// Deterministic noise without a pattern.
fn noise(seed: u64, i: usize) -> f64 {
    (Seed(seed).part(i as u64).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

/// Two ways of running, related columns; `step` rounds to multiples of it, so that rows have copies and ties.
fn rows(seed: u64, n: usize, width: usize, step: f64) -> Vec<Vec<f64>> {
    let row = |i: usize| {
        let way = (i % 2) as f64 * 6.0;
        let load = noise(seed, i * 64) + noise(seed, i * 64 + 1);
        let value = |j: usize| way + load * (1.0 + j as f64) + noise(seed, i * 64 + 2 + j);
        (0..width)
            .map(|j| {
                if step > 0.0 {
                    (value(j) / step).round() * step
                } else {
                    value(j)
                }
            })
            .collect()
    };
    (0..n).map(row).collect()
}

fn table_of(rows: &[Vec<f64>], asset: Vec<u32>) -> DatasetBase<FeatureTable, ()> {
    let width = rows[0].len();
    let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "")).collect();
    let values = Array2::from_shape_vec((rows.len(), width), rows.concat()).unwrap();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    DatasetBase::new(FeatureTable::new(schema, values, asset).unwrap(), ())
}

fn table(rows: &[Vec<f64>]) -> DatasetBase<FeatureTable, ()> {
    table_of(rows, (0..rows.len()).map(|i| i as u32 % ASSETS).collect())
}

type Fitted = Box<dyn Fn(&[f64]) -> (AnomalyScore, Vec<f64>)>;

fn boxed<M: AnomalyDetector<State = (), Output = AnomalyScore> + 'static>(m: M) -> Fitted {
    Box::new(move |x| {
        let view = FeatureView::new(m.schema(), x).unwrap();
        let mut shares = vec![0.0; x.len()];
        m.contributions_into(&(), view, &mut shares).unwrap();
        (m.assess(&(), view).unwrap().ready().unwrap(), shares)
    })
}

/// Every detector of the family.
fn all(data: &DatasetBase<FeatureTable, ()>) -> Vec<(&'static str, Result<Fitted>)> {
    let nearest = NearestNeighbours::params;
    vec![
        ("largest", nearest().fit(data).map(boxed)),
        ("mean", nearest().distance(NeighbourDistance::Mean).fit(data).map(boxed)),
        ("median of a sample", {
            let params = nearest().distance(NeighbourDistance::Median).max_reference_rows(30);
            params.fit(data).map(boxed)
        }),
        (
            "local outlier factor",
            LocalOutlierFactor::params().n_neighbors(8).fit(data).map(boxed),
        ),
        ("density clusters", DensityClusters::params().fit(data).map(boxed)),
        (
            "kernel regression",
            KernelRegression::params().n_memory(20).fit(data).map(boxed),
        ),
    ]
}

fn step() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.0, 0.5, 3.0])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_finite_row_scores_finite_and_contributions_add_up(
        seed: u64, width in 1_usize..6, step in step(), x in prop::collection::vec(finite(), 6),
    ) {
        let data = table(&rows(seed, 72, width, step));
        for (name, d) in all(&data) {
            let (score, shares) = d.unwrap()(&x[..width]);
            prop_assert!(score.value.is_finite() && score.value >= 0.0 && score.threshold.is_finite(), "{}", name);
            let sum: f64 = shares.iter().sum();
            prop_assert!(shares.iter().all(|c| c.is_finite() && *c >= 0.0), "{name} {shares:?}");
            prop_assert!((sum - score.value).abs() <= 1e-12 * score.value, "{name} {sum} {}", score.value);
        }
    }

    /// Ten ranges away, every one scores higher than the middle training row, in no matter how coarse steps; and it is an
    /// anomaly, but to the local outlier factor and to density clusters where held-out rows lie beside many copies of one row:
    /// a fold's tolerance may then be next to nothing.
    #[test]
    fn outliers_score_higher_than_the_median(seed: u64, width in 1_usize..6, step in step()) {
        let rows = rows(seed, 72, width, step);
        let outlier = vec![100.0; width];
        for (name, d) in all(&table(&rows)) {
            let d = d.unwrap();
            let mut usual: Vec<f64> = rows.iter().map(|r| d(r).0.value).collect();
            usual.sort_by(f64::total_cmp);
            let score = d(&outlier).0;
            prop_assert!(score.value > usual[36], "{name} {score:?} {}", usual[36]);
            let copies = step > 0.0 && ["local outlier factor", "density clusters"].contains(&name);
            prop_assert!(score.is_anomalous() || copies, "{name} {score:?}");
        }
    }

    /// But for the sample, which is of other rows then.
    #[test]
    fn order_of_training_rows_does_not_matter(seed: u64, x in prop::collection::vec(-5.0..10.0, 3)) {
        let rows = rows(seed, 60, 3, 0.0);
        let order = |i: usize| i * 37 % 60;
        let shuffled: Vec<Vec<f64>> = (0..60).map(|i| rows[order(i)].clone()).collect();
        let asset = (0..60).map(|i| order(i) as u32 % ASSETS).collect();
        let (before, after) = (all(&table(&rows)), all(&table_of(&shuffled, asset)));
        for ((name, a), (_, b)) in before.into_iter().zip(after).filter(|((name, _), _)| !name.contains("sample")) {
            let ((a, _), (b, _)) = (a.unwrap()(&x), b.unwrap()(&x));
            // Means and deviations are summed in another order; bandwidths as small as 0.05 magnify that.
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-8 * a.abs().max(1.0);
            prop_assert!(near(a.value, b.value) && near(a.threshold, b.threshold), "{name}: {a:?} {b:?}");
        }
    }

    /// Training on extremes succeeds with finite scores, or says why not.
    #[test]
    fn extreme_training_rows_do_no_harm(
        values in prop::collection::vec(finite(), 90), x in prop::collection::vec(finite(), 3),
    ) {
        let rows: Vec<Vec<f64>> = values.chunks(3).map(<[f64]>::to_vec).collect();
        for (name, d) in all(&table(&rows)) {
            if let Ok(d) = d {
                let (score, shares) = d(&x);
                prop_assert!(score.value.is_finite() && score.threshold.is_finite(), "{}", name);
                prop_assert!(shares.iter().all(|c| c.is_finite()), "{}", name);
            }
        }
    }
}

/// The models behind a threshold see the rows outside of a fold only, and say so.
#[test]
fn more_neighbours_than_rows_outside_of_a_fold_is_an_error_that_names_both() {
    let data = table_of(&rows(1, 50, 2, 0.0), vec![0; 50]);
    let errors = [
        (
            NearestNeighbours::params().n_neighbors(40).fit(&data).err(),
            "n_neighbors = 40",
        ),
        (
            LocalOutlierFactor::params().n_neighbors(40).fit(&data).err(),
            "n_neighbors = 40",
        ),
        (
            DensityClusters::params().min_points(41).fit(&data).err(),
            "min_points = 41",
        ),
    ];
    for (e, named) in errors {
        let e = e.unwrap();
        let text = e.to_string();
        assert!(
            e.kind() == ErrorKind::InsufficientData && text.contains(named) && text.contains("fold 1 of 5"),
            "{e}"
        );
        assert!(text.contains("40"), "{e}");
    }
    assert!(NearestNeighbours::params().n_neighbors(39).fit(&data).is_ok());
    assert!(
        NearestNeighbours::params()
            .n_neighbors(40)
            .fixed_threshold(1.0)
            .fit(&data)
            .is_ok()
    );
    assert!(DensityClusters::params().min_points(40).fit(&data).is_ok());
}

#[test]
fn healthy_rows_of_unseen_assets_alarm_at_about_the_rate_asked_for() {
    let rows = rows(3, 3_000, 3, 0.0);
    let data = table_of(&rows[..1_500], (0..1_500).map(|i| i / 2 % 30).collect());
    let nearest = NearestNeighbours::params()
        .false_alarm_rate(0.1)
        .fit(&data)
        .map(boxed)
        .unwrap();
    let factor = LocalOutlierFactor::params()
        .false_alarm_rate(0.1)
        .fit(&data)
        .map(boxed)
        .unwrap();
    for (name, d) in [("nearest neighbours", nearest), ("local outlier factor", factor)] {
        let rate = rows[1_500..].iter().filter(|r| d(r).0.is_anomalous()).count() as f64 / 1_500.0;
        // Threshold and count each have a standard error of sqrt(0.1 * 0.9 / 1500) = 0.0077; four of their sum's. The whole
        // model has a quarter more rows than those behind the threshold, so distances are a little shorter.
        assert!((rate - 0.1).abs() < 4.0 * 0.0077 * 2f64.sqrt() + 0.01, "{name}: {rate}");
    }
}

/// Scores a row and says why.
type Both = Box<dyn Fn(&[f64], &mut [f64])>;

fn both<M: AnomalyDetector<State = (), Output = AnomalyScore> + 'static>(m: M) -> Both {
    Box::new(move |x, out| {
        let view = FeatureView::new(m.schema(), x).unwrap();
        m.assess(&(), view).unwrap();
        m.contributions_into(&(), view, out).unwrap();
    })
}

#[test]
fn nothing_is_allocated_a_row() {
    let width = 40;
    let rows = rows(5, 600, width, 0.0);
    let data = table(&rows);
    let nearest = NearestNeighbours::params().n_neighbors(128).fixed_threshold(1.0);
    let mut out = vec![0.0; width];
    for (name, d) in [
        ("nearest", nearest.fit(&data).map(both)),
        (
            "factor",
            LocalOutlierFactor::params().fixed_threshold(1.0).fit(&data).map(both),
        ),
        (
            "clusters",
            DensityClusters::params().fixed_threshold(1.0).fit(&data).map(both),
        ),
        (
            "kernel",
            KernelRegression::params().fixed_threshold(1.0).fit(&data).map(both),
        ),
    ] {
        let d = d.unwrap();
        for x in [&rows[0], &vec![1e9; width]] {
            assert_eq!(allocations_once(|| d(x, &mut out)).0, 0, "{name}");
        }
    }
}
