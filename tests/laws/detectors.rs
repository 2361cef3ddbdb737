//! Laws of the detectors, on random tables.

use crate::finite_numbers::finite;
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{MahalanobisDetector, PcaDetector},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, OnlineModel},
    quantity::Seed,
    signal::Channel,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256Plus;

const ASSETS: u32 = 6;

/// Correlated rows: a few shared movements and noise of each column's own.
fn train(seed: u64, n: usize, width: usize) -> (Vec<Vec<f64>>, Vec<u32>) {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let mut uniform = move || rng.r#gen::<f64>() - 0.5;
    let mix: Vec<[f64; 2]> = (0..width).map(|_| [uniform(), uniform()]).collect();
    let mut row = || {
        let (a, b) = (uniform() + uniform() + uniform(), uniform() + uniform());
        mix.iter()
            .map(|m| 4.0 * (m[0] * a + m[1] * b) + 0.5 * (uniform() + uniform()))
            .collect()
    };
    (
        (0..n).map(|_| row()).collect(),
        (0..n).map(|i| i as u32 % ASSETS).collect(),
    )
}

fn table(rows: &[Vec<f64>], asset: &[u32]) -> DatasetBase<FeatureTable, ()> {
    let width = rows[0].len();
    let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "")).collect();
    let values = Array2::from_shape_vec((rows.len(), width), rows.concat()).unwrap();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    DatasetBase::new(FeatureTable::new(schema, values, asset.to_vec()).unwrap(), ())
}

fn score<M: OnlineModel<State = (), Output = AnomalyScore>>(m: &M, x: &[f64]) -> AnomalyScore {
    m.assess(&(), FeatureView::new(m.schema(), x).unwrap())
        .unwrap()
        .ready()
        .unwrap()
}

fn pca(data: &DatasetBase<FeatureTable, ()>) -> PcaDetector {
    PcaDetector::params().n_components(2).fit(data).unwrap()
}

fn mahalanobis(data: &DatasetBase<FeatureTable, ()>) -> MahalanobisDetector {
    MahalanobisDetector::params().fit(data).unwrap()
}

fn same(a: AnomalyScore, b: AnomalyScore, tolerance: f64) -> bool {
    let near = |x: f64, y: f64| (x - y).abs() <= tolerance * x.abs().max(y.abs()).max(1.0);
    near(a.value, b.value) && near(a.threshold, b.threshold)
}

fn shares<M: AnomalyDetector<State = ()>>(m: &M, x: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    let ready = m
        .contributions_into(&(), FeatureView::new(m.schema(), x).unwrap(), &mut out)
        .unwrap();
    assert!(ready.ready().is_some());
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn statistics_are_not_negative_and_contributions_add_up(
        seed: u64, width in 3_usize..9, x in prop::collection::vec(-50.0..50.0, 9),
    ) {
        let (rows, asset) = train(seed, 90, width);
        let data = table(&rows, &asset);
        let x = &x[..width];
        let (p, m) = (pca(&data), mahalanobis(&data));
        let s = p.t2_and_q(FeatureView::new(p.schema(), x).unwrap()).unwrap().ready().unwrap();
        prop_assert!(s.t2 >= 0.0 && s.q >= 0.0);
        let combined = s.t2 / p.t2_limit() + s.q / p.q_limit().unwrap();
        prop_assert!((combined - score(&p, x).value).abs() <= 1e-12 * combined);
        for (sum, score) in [
            (shares(&p, x).iter().sum::<f64>(), score(&p, x).value),
            (shares(&m, x).iter().sum::<f64>(), score(&m, x).value),
        ] {
            prop_assert!(score >= 0.0 && (sum - score).abs() <= 1e-9 * score.max(1e-12), "{} {}", sum, score);
        }
    }

    /// Grams or kilograms, kelvin or degrees Celsius, even upside down.
    #[test]
    fn units_do_not_matter(
        seed: u64,
        column in 0_usize..5,
        factor in prop_oneof![1e-3..1e3, -1e3..-1e-3, Just(2f64.powi(600))],
        offset in -100.0..100.0,
        x in prop::collection::vec(-5.0..5.0, 5),
    ) {
        let (rows, asset) = train(seed, 90, 5);
        // The offset is in deviations of the new unit, so that rounding it away costs little.
        let convert = |r: &[f64]| {
            let mut r = r.to_vec();
            r[column] = factor * (r[column] + offset);
            r
        };
        let (before, after) = (table(&rows, &asset), table(&rows.iter().map(|r| convert(r)).collect::<Vec<_>>(), &asset));
        // Rounding at 100 deviations is 1e-14; the smallest eigenvalue magnifies it by less than 1e4.
        prop_assert!(same(score(&pca(&before), &x), score(&pca(&after), &convert(&x)), 1e-8));
        prop_assert!(same(score(&mahalanobis(&before), &x), score(&mahalanobis(&after), &convert(&x)), 1e-8));
    }

    #[test]
    fn order_of_training_rows_does_not_matter(seed: u64, x in prop::collection::vec(-5.0..5.0, 5)) {
        let (rows, asset) = train(seed, 90, 5);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.shuffle(&mut Xoshiro256Plus::seed_from_u64(Seed(seed).part(1).0));
        let shuffled: Vec<_> = order.iter().map(|&i| rows[i].clone()).collect();
        let shuffled_asset: Vec<_> = order.iter().map(|&i| asset[i]).collect();
        let (a, b) = (table(&rows, &asset), table(&shuffled, &shuffled_asset));
        prop_assert!(same(score(&pca(&a), &x), score(&pca(&b), &x), 1e-9));
        prop_assert!(same(score(&mahalanobis(&a), &x), score(&mahalanobis(&b), &x), 1e-9));
    }

    #[test]
    fn every_finite_row_scores_finite(seed: u64, x in prop::collection::vec(finite(), 5)) {
        let (rows, asset) = train(seed, 60, 5);
        let data = table(&rows, &asset);
        let (p, m) = (pca(&data), mahalanobis(&data));
        for s in [score(&p, &x), score(&m, &x)] {
            prop_assert!(s.value.is_finite() && s.value >= 0.0);
        }
        prop_assert!(shares(&p, &x).iter().chain(&shares(&m, &x)).all(|c| c.is_finite()));
    }

    /// Training on extremes succeeds with finite scores, or says why not.
    #[test]
    fn extreme_training_rows_do_no_harm(
        values in prop::collection::vec(finite(), 60), x in prop::collection::vec(finite(), 3),
    ) {
        let rows: Vec<Vec<f64>> = values.chunks(3).map(<[f64]>::to_vec).collect();
        let data = table(&rows, &[0; 20]);
        if let Ok(d) = PcaDetector::params().fit(&data) {
            prop_assert!(score(&d, &x).value.is_finite() && d.threshold().is_finite());
        }
        if let Ok(d) = MahalanobisDetector::params().fit(&data) {
            prop_assert!(score(&d, &x).value.is_finite() && d.threshold().is_finite());
        }
    }
}

#[test]
fn healthy_rows_of_unseen_assets_alarm_at_about_the_rate_asked_for() {
    let (rows, _) = train(7, 8_000, 6);
    let data = table(&rows[..4_000], &(0..4_000).map(|i| i % 40).collect::<Vec<_>>());
    let p = PcaDetector::params().false_alarm_rate(0.05).fit(&data).unwrap();
    let m = MahalanobisDetector::params().false_alarm_rate(0.05).fit(&data).unwrap();
    let rate = |f: &dyn Fn(&[f64]) -> AnomalyScore| {
        rows[4_000..].iter().filter(|r| f(r).is_anomalous()).count() as f64 / 4_000.0
    };
    // Threshold and count each have a standard error of sqrt(0.05 * 0.95 / 4000) = 0.0034; four of their sum's.
    for rate in [rate(&|r| score(&p, r)), rate(&|r| score(&m, r))] {
        assert!((rate - 0.05).abs() < 4.0 * 0.0034 * 2f64.sqrt(), "{rate}");
    }
}

/// Rarer alarms than rows can show: the tail goes on beyond the highest held-out score.
#[test]
fn a_risk_below_one_in_the_rows_is_extrapolated() {
    let (rows, asset) = train(5, 600, 4);
    let data = table(&rows, &asset);
    let threshold = |risk| {
        MahalanobisDetector::params()
            .tail_risk(risk)
            .fit(&data)
            .unwrap()
            .threshold()
    };
    let quantile = MahalanobisDetector::params()
        .false_alarm_rate(0.01)
        .fit(&data)
        .unwrap()
        .threshold();
    // Six rows of 600 lie above the quantile: its standard error is about a tenth.
    assert!(
        (threshold(0.01) / quantile - 1.0).abs() < 0.3,
        "{} {quantile}",
        threshold(0.01)
    );
    assert!(threshold(1e-5) > threshold(1e-3) && threshold(1e-3) > quantile);
    for bad in [0.0, 1.0, f64::NAN] {
        let e = MahalanobisDetector::params().tail_risk(bad).fit(&data).unwrap_err();
        assert!(e.to_string().contains("tail_risk"), "{e}");
    }
}
