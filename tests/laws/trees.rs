//! Laws of the detectors by isolation, random cuts and histograms, on random tables.

use crate::finite_numbers::finite;
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    ErrorKind,
    detect::{
        ExtendedIsolationForest, HistogramDetector, IsolationForest, Loda, NearestIsolation, RowAlgorithm, RowDetector,
        RowDetectorParams, RowScorer,
    },
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, OnlineModel},
    quantity::Seed,
    signal::Channel,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;

fn train(seed: u64, n: usize, width: usize) -> Vec<Vec<f64>> {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let mut uniform = move || rng.r#gen::<f64>() - 0.5;
    let mut row = || {
        let shared = uniform() + uniform();
        (0..width).map(|_| shared + uniform() + uniform()).collect()
    };
    (0..n).map(|_| row()).collect()
}

fn table(rows: &[Vec<f64>]) -> FeatureTable {
    let width = rows[0].len();
    let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "")).collect();
    let values = Array2::from_shape_vec((rows.len(), width), rows.concat()).unwrap();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    FeatureTable::new(schema, values, vec![0; rows.len()]).unwrap()
}

fn data(rows: &[Vec<f64>]) -> DatasetBase<FeatureTable, ()> {
    DatasetBase::new(table(rows), ())
}

/// What a law says of any of the detectors, in a size that a test can afford.
trait Law {
    fn holds<A: RowAlgorithm>(&self, params: RowDetectorParams<A>) -> Result<(), TestCaseError>;
}

fn for_each_detector(law: &impl Law, seed: u64) -> Result<(), TestCaseError> {
    let seed = Seed(seed);
    law.holds(IsolationForest::params().n_trees(25).rows_per_tree(40).seed(seed))?;
    law.holds(
        ExtendedIsolationForest::params()
            .n_trees(10)
            .rows_per_tree(40)
            .seed(seed),
    )?;
    law.holds(NearestIsolation::params().n_sets(15).seed(seed))?;
    law.holds(Loda::params().n_cuts(15).seed(seed))?;
    law.holds(HistogramDetector::params().seed(seed))
}

fn score<S: RowScorer>(m: &RowDetector<S>, x: &[f64]) -> f64 {
    let view = FeatureView::new(m.schema(), x).unwrap();
    m.assess(&(), view).unwrap().ready().unwrap().value
}

fn shares<S: RowScorer>(m: &RowDetector<S>, x: &[f64]) -> Vec<f64> {
    let mut out = vec![f64::NAN; x.len()];
    let view = FeatureView::new(m.schema(), x).unwrap();
    assert!(m.contributions_into(&(), view, &mut out).unwrap().ready().is_some());
    out
}

/// Any row scores finite, the same alone and in a table, and its contributions add up.
struct Finite(Vec<Vec<f64>>, Vec<Vec<f64>>);

impl Law for Finite {
    fn holds<A: RowAlgorithm>(&self, params: RowDetectorParams<A>) -> Result<(), TestCaseError> {
        let Ok(m) = params.fit(&data(&self.0)) else {
            return Ok(()); // a table in which nothing varies
        };
        prop_assert!(m.threshold().is_finite());
        let all = m.assess_table(&table(&self.1)).unwrap();
        for (x, in_table) in self.1.iter().zip(all) {
            let value = score(&m, x);
            prop_assert!(value.is_finite(), "{value}");
            prop_assert_eq!(value.to_bits(), in_table.ready().unwrap().value.to_bits());
            let shares = shares(&m, x);
            let size: f64 = shares.iter().map(|s| s.abs()).sum();
            prop_assert!((shares.iter().sum::<f64>() - value).abs() <= 1e-12 * size.max(1.0));
        }
        Ok(())
    }
}

/// A row ten ranges out scores above the median, whichever columns are out.
struct Outlier(Vec<Vec<f64>>, u8);

impl Law for Outlier {
    fn holds<A: RowAlgorithm>(&self, params: RowDetectorParams<A>) -> Result<(), TestCaseError> {
        let m = params.fixed_threshold(0.0).fit(&data(&self.0)).unwrap();
        let mut scores: Vec<f64> = self.0.iter().map(|x| score(&m, x)).collect();
        scores.sort_by(f64::total_cmp);
        // Values lie in ±2.
        let x: Vec<f64> = (0..self.0[0].len())
            .map(|j| if self.1 >> j & 1 == 0 { 42.0 } else { -42.0 })
            .collect();
        prop_assert!(score(&m, &x) > scores[scores.len() / 2]);
        Ok(())
    }
}

/// Constant columns change nothing, wherever they lie.
struct Constants(Vec<Vec<f64>>, usize);

impl Law for Constants {
    fn holds<A: RowAlgorithm>(&self, params: RowDetectorParams<A>) -> Result<(), TestCaseError> {
        let with = |x: &[f64], v: f64| {
            let mut x = x.to_vec();
            x.insert(self.1, v);
            x
        };
        let wide: Vec<_> = self.0.iter().map(|x| with(x, 7.0)).collect();
        let (bare, m) = (params.fit(&data(&self.0)).unwrap(), params.fit(&data(&wide)).unwrap());
        prop_assert_eq!(bare.threshold(), m.threshold());
        for x in self.0.iter().take(10) {
            let x_wide = with(x, 1e9);
            prop_assert_eq!(score(&bare, x), score(&m, &x_wide));
            prop_assert_eq!(shares(&m, &x_wide), with(&shares(&bare, x), 0.0));
        }
        Ok(())
    }
}

/// Another unit of a column, by a power of two and so without rounding, changes nothing.
struct Units(Vec<Vec<f64>>, usize, i32);

impl Law for Units {
    fn holds<A: RowAlgorithm>(&self, params: RowDetectorParams<A>) -> Result<(), TestCaseError> {
        let convert = |x: &Vec<f64>| {
            let mut x = x.clone();
            x[self.1] *= 2_f64.powi(self.2);
            x
        };
        let converted: Vec<_> = self.0.iter().map(convert).collect();
        let (a, b) = (
            params.fit(&data(&self.0)).unwrap(),
            params.fit(&data(&converted)).unwrap(),
        );
        for (x, y) in self.0.iter().zip(&converted).take(20) {
            prop_assert_eq!(score(&a, x), score(&b, y));
        }
        Ok(())
    }
}

/// One row is too few, and rows all alike do not vary; the errors say so. Rows in pairs do no harm.
struct Few;

impl Law for Few {
    fn holds<A: RowAlgorithm>(&self, params: RowDetectorParams<A>) -> Result<(), TestCaseError> {
        for rows in [vec![vec![1.0, 2.0]], vec![vec![1.0, 2.0]; 50]] {
            for params in [params.clone(), params.clone().fixed_threshold(1.0)] {
                let e = params.fit(&data(&rows)).unwrap_err();
                prop_assert_eq!(e.kind(), ErrorKind::InsufficientData, "{}", e);
            }
        }
        let two = [vec![1.0, 2.0], vec![2.0, 3.0]];
        let m = params.clone().fixed_threshold(1.0).fit(&data(&two)).unwrap();
        prop_assert!(score(&m, &[1.5, 1e9]).is_finite());
        let pairs: Vec<_> = train(1, 30, 2).into_iter().flat_map(|x| [x.clone(), x]).collect();
        let m = params.fit(&data(&pairs)).unwrap();
        prop_assert!(pairs.iter().all(|x| score(&m, x).is_finite()));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn every_finite_row_scores_finite(
        seed: u64, rows in prop::collection::vec(prop::collection::vec(finite(), 3), 1..40),
    ) {
        for_each_detector(&Finite(train(seed, 60, 3), rows), seed)?;
    }

    #[test]
    fn extreme_training_rows_do_no_harm(
        seed: u64, rows in prop::collection::vec(prop::collection::vec(finite(), 3), 20),
    ) {
        for_each_detector(&Finite(rows.clone(), rows), seed)?;
    }

    #[test]
    fn outliers_score_above_the_median(seed: u64, signs: u8) {
        for_each_detector(&Outlier(train(seed, 100, 4), signs), seed)?;
    }

    #[test]
    fn constant_columns_take_no_part(seed: u64, at in 0_usize..4) {
        for_each_detector(&Constants(train(seed, 60, 3), at), seed)?;
    }

    #[test]
    fn units_do_not_matter(seed: u64, column in 0_usize..3, exponent in -100..100) {
        for_each_detector(&Units(train(seed, 60, 3), column, exponent), seed)?;
    }
}

#[test]
fn too_few_rows_are_said_to_be() {
    for_each_detector(&Few, 0).unwrap();
}

/// A histogram's score is a sum over columns, whatever their order.
#[test]
fn order_of_columns_does_not_matter_to_histograms() {
    let rows = train(3, 80, 4);
    let turned = |x: &Vec<f64>| vec![x[2], x[0], x[3], x[1]];
    let a = HistogramDetector::params().fit(&data(&rows)).unwrap();
    let b = HistogramDetector::params()
        .fit(&data(&rows.iter().map(turned).collect::<Vec<_>>()))
        .unwrap();
    for x in &rows {
        assert!((score(&a, x) - score(&b, &turned(x))).abs() < 1e-12);
    }
}

#[test]
fn another_seed_gives_another_model_and_about_the_same_scores() {
    let rows = train(4, 300, 4);
    let fit = |seed| IsolationForest::params().seed(Seed(seed)).fit(&data(&rows)).unwrap();
    let (a, b) = (fit(0), fit(1));
    assert_ne!(a.fingerprint(), b.fingerprint());
    assert_eq!(a.fingerprint(), fit(0).fingerprint());
    // Paths vary by some 2 splits between trees: the mean of 100 by 0.2, the score by 0.2 / c(256) ln 2 score = 0.007.
    assert!(rows.iter().all(|x| (score(&a, x) - score(&b, x)).abs() < 0.06));
}
