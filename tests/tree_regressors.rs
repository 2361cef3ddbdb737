//! Regressors of trees: losses, orders that are asked for, early stopping, explanations, and extremely randomised trees beside
//! scikit-learn's.

mod counting_allocator;

use counting_allocator::allocations_once;
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    envelope::Provenance,
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{OnlineModel, PersistentModel, RulEstimate},
    quantity::{LifeUnit, Seed},
    rul::{AftNoise, BoostingLoss, ExtraTrees, GradientBoosting, GradientBoostingParams, RulLabels},
    signal::Channel,
};
use proptest::prelude::*;

type Data = DatasetBase<FeatureTable, RulLabels>;

/// Uniforms of SplitMix64.
struct Uniforms(u64);

impl Uniforms {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Friedman's first function and its noise.
    fn friedman(&mut self, width: usize) -> (Vec<f64>, f64) {
        let x: Vec<f64> = (0..width).map(|_| self.next()).collect();
        let noise = self.next() + self.next() + self.next() - 1.5;
        let y = 10.0 * (std::f64::consts::PI * x[0] * x[1]).sin()
            + 20.0 * (x[2] - 0.5).powi(2)
            + 10.0 * x[3]
            + 5.0 * x[4]
            + 10.0
            + 2.0 * noise;
        (x, y)
    }
}

fn table(x: &[Vec<f64>], asset: Vec<u32>) -> FeatureTable {
    let channels: Vec<_> = (0..x[0].len()).map(|j| Channel::new(format!("x{j}"), "")).collect();
    let values = Array2::from_shape_vec((x.len(), x[0].len()), x.concat()).unwrap();
    FeatureTable::new(FeatureSchema::of_channels(&channels).unwrap(), values, asset).unwrap()
}

/// Ten rows an asset.
fn dataset(x: &[Vec<f64>], y: &[f64]) -> Data {
    let assets = (0..x.len() as u32).map(|i| i / 10).collect();
    DatasetBase::new(table(x, assets), RulLabels::new(y.to_vec(), LifeUnit::Hours).unwrap())
}

fn friedman(seed: u64, n: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut uniforms = Uniforms(seed);
    (0..n).map(|_| uniforms.friedman(6)).unzip()
}

fn points<M: OnlineModel<State = (), Output = RulEstimate>>(model: &M, x: &[Vec<f64>]) -> Vec<f64> {
    let one = |row: &Vec<f64>| model.assess(&(), FeatureView::new(model.schema(), row).unwrap());
    x.iter().map(|row| one(row).unwrap().ready().unwrap().rul).collect()
}

fn rmse(points: &[f64], y: &[f64]) -> f64 {
    (points.iter().zip(y).map(|(p, y)| (p - y).powi(2)).sum::<f64>() / y.len() as f64).sqrt()
}

fn small() -> GradientBoostingParams {
    GradientBoosting::params()
        .n_trees(60)
        .n_ensembles(1)
        .min_leaf_rows(10)
        .learning_rate(0.1)
        .n_folds(2)
}

#[test]
fn quantiles_cover_their_share() {
    let (x, y) = friedman(1, 1500);
    let (fresh, truth) = friedman(2, 1000);
    let data = dataset(&x, &y);
    let mut shares = Vec::new();
    for q in [0.1, 0.5, 0.9] {
        let model = small()
            .min_leaf_rows(40)
            .loss(BoostingLoss::Quantile(q))
            .fit(&data)
            .unwrap();
        let points = points(&model, &fresh);
        let below = points.iter().zip(&truth).filter(|(p, y)| y <= p).count();
        shares.push(below as f64 / truth.len() as f64);
        // Leaves are fitted to their own rows, which pulls the tails in; a share of 1,000 rows has a standard error of 0.01.
        assert!((shares[shares.len() - 1] - q).abs() < 0.1, "{q}: {shares:?}");
    }
    let absolute = small().loss(BoostingLoss::Absolute).fit(&data).unwrap();
    let median = small().loss(BoostingLoss::Quantile(0.5)).fit(&data).unwrap();
    assert_eq!(points(&absolute, &fresh), points(&median, &fresh));
}

#[test]
fn one_leaf_row_short_of_a_split_is_the_quantile_itself() {
    // One tree of two leaves, rate 1: each leaf gives the lower quantile of its five lives.
    let x: Vec<Vec<f64>> = (0..20).map(|i| vec![if i % 2 == 0 { 0.0 } else { 1.0 }]).collect();
    let y: Vec<f64> = (0..20)
        .map(|i| f64::from(i) + if i % 2 == 0 { 0.0 } else { 100.0 })
        .collect();
    let params = GradientBoosting::params()
        .n_trees(1)
        .n_ensembles(1)
        .row_fraction(1.0)
        .column_fraction(1.0);
    let params = params.min_leaf_rows(2).learning_rate(1.0).l2(0.0).n_folds(2);
    let model = params.loss(BoostingLoss::Quantile(0.25)).fit(&dataset(&x, &y)).unwrap();
    // Even lives 0, 2, .., 18 and odd ones 101, 103, .., 119: the third of ten is the first that a quarter does not exceed.
    assert_eq!(points(&model, &[vec![0.0], vec![1.0]]), [4.0, 105.0]);
}

#[test]
fn outliers_pull_huber_less_than_squares() {
    let (x, mut y) = friedman(3, 1000);
    let (fresh, truth) = friedman(4, 500);
    y.iter_mut().step_by(20).for_each(|y| *y += 300.0);
    let data = dataset(&x, &y);
    let error = |loss| rmse(&points(&small().loss(loss).fit(&data).unwrap(), &fresh), &truth);
    let (squared, huber, absolute) = (
        error(BoostingLoss::Squared),
        error(BoostingLoss::Huber(3.0)),
        error(BoostingLoss::Absolute),
    );
    assert!(
        absolute < 0.5 * squared && huber < squared,
        "{squared} {huber} {absolute}"
    );
    // Far out, Huber's are squares.
    let far = small().loss(BoostingLoss::Huber(1e9)).fit(&data).unwrap();
    assert_eq!(points(&far, &fresh), points(&small().fit(&data).unwrap(), &fresh));
}

/// Weibull lives of shape 4 whose scale follows the features; from `seen` on only known to last.
fn lives(seed: u64, n: usize, seen: f64) -> (Vec<Vec<f64>>, Vec<f64>, Vec<f64>, Vec<bool>) {
    let mut uniforms = Uniforms(seed);
    let (mut x, mut truth, mut lives, mut censored) = (vec![], vec![], vec![], vec![]);
    for _ in 0..n {
        let row: Vec<f64> = (0..3).map(|_| uniforms.next()).collect();
        let median = 100.0 * (row[0] - 0.8 * row[1]).exp();
        let life = median * (-(1.0 - uniforms.next()).ln() / 2f64.ln()).powf(0.25);
        x.push(row);
        truth.push(median);
        lives.push(life.min(seen));
        censored.push(life > seen);
    }
    (x, truth, lives, censored)
}

#[test]
fn censored_lives_count_as_at_least() {
    let (x, truth, lives, censored) = lives(5, 1500, 110.0);
    let n_censored = censored.iter().filter(|c| **c).count();
    assert!((400..1000).contains(&n_censored), "{n_censored}");
    let fit = |noise, censored: &[bool]| {
        let labels = RulLabels::censored(lives.clone(), censored.to_vec(), LifeUnit::Hours).unwrap();
        let data = DatasetBase::new(table(&x, (0..1500).map(|i| i / 10).collect()), labels);
        let loss = BoostingLoss::Censored { noise, scale: 0.25 };
        let model = small().loss(loss).fit(&data).unwrap();
        points(&model, &x)
    };
    let log_error = |points: &[f64]| {
        let off: f64 = points.iter().zip(&truth).map(|(p, t)| (p / t).ln().powi(2)).sum();
        (off / truth.len() as f64).sqrt()
    };
    for noise in [AftNoise::Normal, AftNoise::Logistic, AftNoise::Extreme] {
        let aware = fit(noise, &censored);
        let blind = fit(noise, &[false; 1500]);
        assert!(log_error(&aware) < 0.22, "{noise:?}: {}", log_error(&aware));
        assert!(
            log_error(&aware) < 0.8 * log_error(&blind),
            "{noise:?}: {}",
            log_error(&blind)
        );
    }
    // More that is censored never shortens life on the whole.
    let all_but_few: Vec<bool> = (0..1500).map(|i| censored[i] || i % 3 == 0).collect();
    let mean = |points: &[f64]| points.iter().sum::<f64>();
    let (some, more) = (fit(AftNoise::Extreme, &censored), fit(AftNoise::Extreme, &all_but_few));
    assert!(mean(&more) > mean(&some));
}

#[test]
fn what_cannot_be_fitted_is_named() {
    let (x, y) = friedman(6, 100);
    let data = dataset(&x, &y);
    let message = |params: GradientBoostingParams| params.fit(&data).unwrap_err().to_string();
    let aft = |scale| BoostingLoss::Censored {
        noise: AftNoise::Normal,
        scale,
    };
    for (params, expected) in [
        (small().loss(BoostingLoss::Quantile(1.0)), "quantile"),
        (small().loss(BoostingLoss::Quantile(f64::NAN)), "quantile"),
        (small().loss(BoostingLoss::Huber(0.0)), "Huber"),
        (small().loss(BoostingLoss::Huber(f64::INFINITY)), "Huber"),
        (small().loss(aft(0.0)), "scale"),
        (small().loss(aft(f64::NAN)), "scale"),
        (small().increasing(["wear"]), "`wear`"),
        (small().increasing(["x0"]).decreasing(["x0"]), "`x0` in both"),
        (small().early_stopping(0.0, 5), "share"),
        (small().early_stopping(f64::NAN, 5), "share"),
        (small().early_stopping(0.2, 0), "patience"),
    ] {
        let message = message(params);
        assert!(message.contains(expected), "{message}");
    }
    let labels = RulLabels::censored(y.clone(), vec![true; 100], LifeUnit::Hours).unwrap();
    let censored = DatasetBase::new(data.records.clone(), labels);
    let refused = small().fit(&censored).unwrap_err().to_string();
    assert!(refused.contains("censored"), "{refused}");
    let nothing = small().loss(aft(1.0)).fit(&censored).unwrap_err().to_string();
    assert!(nothing.contains("a life above 0 that is known"), "{nothing}");
    for (params, expected) in [
        (ExtraTrees::params().n_trees(0), "n_trees"),
        (ExtraTrees::params().min_leaf_rows(0), "min_leaf_rows"),
        (ExtraTrees::params().column_fraction(f64::NAN), "column_fraction"),
    ] {
        let message = params.fit(&data).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn training_stops_where_held_out_assets_gain_nothing() {
    let (x, y) = friedman(7, 600);
    let data = dataset(&x, &y);
    let params = small().n_trees(2000).learning_rate(0.3).min_leaf_rows(3);
    let model = params.clone().early_stopping(0.2, 10).fit(&data).unwrap();
    assert!((5..500).contains(&model.n_trees()), "{}", model.n_trees());
    let gain: f64 = model.importance().iter().filter_map(|f| f.gain).sum();
    assert!(gain > 0.0);
    // Nothing but noise is there to learn: at most the first few trees stay.
    let mut uniforms = Uniforms(8);
    let noise: Vec<f64> = (0..600).map(|_| uniforms.next()).collect();
    let model = params.early_stopping(0.2, 10).fit(&dataset(&x, &noise)).unwrap();
    assert!(model.n_trees() <= 10, "{}", model.n_trees());
    let one = DatasetBase::new(table(&x, vec![0; 600]), data.targets.clone());
    small().early_stopping(0.2, 5).fit(&one).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn predictions_rise_and_fall_as_asked(
        seed in 0u64..1000,
        quantile in any::<bool>(),
        l2 in 0.0..5.0,
        row in prop::collection::vec(0.0..1.0, 6),
    ) {
        let (mut x, y) = friedman(seed, 300);
        x.iter_mut().step_by(7).for_each(|r| r[3] = f64::NAN);
        // x2 has a valley that neither order allows, x0 rises and is asked to fall.
        let loss = if quantile { BoostingLoss::Quantile(0.3) } else { BoostingLoss::Squared };
        let params = small().n_trees(30).min_leaf_rows(4).l2(l2).loss(loss).seed(Seed(seed));
        let model = params.increasing(["x2", "x3"]).decreasing(["x0"]).fit(&dataset(&x, &y)).unwrap();
        for (feature, direction) in [(2, 1.0), (3, 1.0), (0, -1.0)] {
            let along: Vec<Vec<f64>> = (0..=40)
                .map(|i| {
                    let mut row = row.clone();
                    row[feature] = f64::from(i) / 40.0;
                    row
                })
                .collect();
            for pair in points(&model, &along).windows(2) {
                prop_assert!(direction * (pair[1] - pair[0]) >= 0.0, "x{feature}: {pair:?}");
            }
        }
    }

    #[test]
    fn order_of_rows_and_names_of_assets_change_nothing(seed in 0u64..1000) {
        let (x, y) = friedman(seed, 200);
        // Whole lives: their mean is exact in any order.
        let y: Vec<f64> = y.iter().map(|y| y.round().max(0.0)).collect();
        let data = dataset(&x, &y);
        let order: Vec<usize> = (0..200).rev().collect();
        let other_x: Vec<Vec<f64>> = order.iter().map(|&i| x[i].clone()).collect();
        let other_y: Vec<f64> = order.iter().map(|&i| y[i]).collect();
        let other = dataset(&other_x, &other_y);
        let boosting = small().n_trees(20).row_fraction(1.0).column_fraction(1.0);
        let one = boosting.clone().fit(&data).unwrap();
        let two = boosting.fit(&other).unwrap();
        prop_assert_eq!(points(&one, &x), points(&two, &x));
        let cuts = ExtraTrees::params().n_trees(10).n_folds(2);
        let one = cuts.clone().fit(&data).unwrap();
        let two = cuts.fit(&other).unwrap();
        prop_assert_eq!(points(&one, &x), points(&two, &x));
    }
}

#[test]
fn contributions_add_up_to_the_prediction() {
    let (mut x, y) = friedman(9, 500);
    x.iter_mut().step_by(5).for_each(|r| r[2] = f64::NAN);
    let data = dataset(&x, &y);
    let boosting = small().n_ensembles(2).fit(&data).unwrap();
    let cuts = ExtraTrees::params().n_trees(20).n_folds(2).fit(&data).unwrap();
    let views = || data.records.views().take(100);
    for (row, (view, point)) in views().zip(points(&boosting, &x)).enumerate() {
        let c = boosting.contributions(view).unwrap().ready().unwrap();
        let sum = c.base + c.of_features.iter().sum::<f64>();
        assert!((sum - point).abs() < 1e-9, "row {row}: {sum} {point}");
    }
    for (row, (view, point)) in views().zip(points(&cuts, &x)).enumerate() {
        let c = cuts.contributions(view).unwrap().ready().unwrap();
        let sum = c.base + c.of_features.iter().sum::<f64>();
        assert!((sum - point).abs() < 1e-9, "row {row}: {sum} {point}");
    }
    // x3 and x0 matter, x5 does not.
    for importance in [boosting.importance(), cuts.importance()] {
        assert_eq!(importance[5].name, "x5");
        let gain = |i: usize| importance[i].gain.unwrap();
        assert!(gain(3) > 2.0 * gain(5) && gain(0) > 2.0 * gain(5), "{importance:?}");
        assert!(importance[3].splits > 0);
    }
    // The median of log lives: contributions are those of the logarithm.
    let loss = BoostingLoss::Censored {
        noise: AftNoise::Extreme,
        scale: 0.3,
    };
    let model = small().loss(loss).fit(&data).unwrap();
    for (view, point) in views().zip(points(&model, &x)) {
        let c = model.contributions(view).unwrap().ready().unwrap();
        let sum = c.base + c.of_features.iter().sum::<f64>();
        assert!((sum - point.ln()).abs() < 1e-9, "{sum} {}", point.ln());
    }
}

#[test]
fn predictions_allocate_nothing() {
    let (x, y) = friedman(11, 200);
    let data = dataset(&x, &y);
    let boosting = small().fit(&data).unwrap();
    let cuts = ExtraTrees::params().n_trees(10).n_folds(2).fit(&data).unwrap();
    for view in data.records.views() {
        assert_eq!(
            allocations_once(|| boosting.assess(&(), view).unwrap().ready().is_some()),
            (0, true)
        );
        assert_eq!(
            allocations_once(|| cuts.assess(&(), view).unwrap().ready().is_some()),
            (0, true)
        );
    }
}

#[test]
fn files_keep_everything() {
    let (x, y) = friedman(10, 200);
    let data = dataset(&x, &y);
    let provenance = Provenance::default();
    let loss = BoostingLoss::Censored {
        noise: AftNoise::Logistic,
        scale: 0.5,
    };
    let boosting = small().loss(loss).fit(&data).unwrap();
    let again = GradientBoosting::from_bytes(&boosting.to_bytes(&provenance).unwrap())
        .unwrap()
        .0;
    assert_eq!(boosting.point_model(), again.point_model());
    let cuts = ExtraTrees::params().n_trees(5).n_folds(2).fit(&data).unwrap();
    let again = ExtraTrees::from_bytes(&cuts.to_bytes(&provenance).unwrap()).unwrap().0;
    assert_eq!(cuts.point_model(), again.point_model());
}

#[test]
fn extra_trees_err_as_scikit_learns() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/extra_trees.json")).unwrap();
    let number = |key: &str| golden[key].as_f64().unwrap();
    let n_train = number("n_train") as usize;
    let mut uniforms = Uniforms(number("seed") as u64);
    let rows = n_train + number("n_test") as usize;
    let (x, y): (Vec<_>, Vec<_>) = (0..rows)
        .map(|_| uniforms.friedman(number("n_features") as usize))
        .unzip();
    assert!(
        (y.iter().sum::<f64>() - number("sum_of_y")).abs() < 1e-6,
        "the same table"
    );
    let settings = &golden["settings"];
    let params = ExtraTrees::params()
        .n_trees(settings["n_trees"].as_u64().unwrap() as usize)
        .min_leaf_rows(settings["min_leaf_rows"].as_u64().unwrap() as usize)
        .column_fraction(settings["column_fraction"].as_f64().unwrap())
        .n_folds(2);
    let (train, test) = (dataset(&x[..n_train], &y[..n_train]), &x[n_train..]);
    for seed in 0..3 {
        let model = params.clone().seed(Seed(seed)).fit(&train).unwrap();
        for (what, got) in [
            ("train", rmse(&points(&model, &x[..n_train]), &y[..n_train])),
            ("test", rmse(&points(&model, test), &y[n_train..])),
        ] {
            let (mean, sd) = (number(&format!("rmse_{what}")), number(&format!("sd_{what}")));
            // Ten seeds of theirs: four standard deviations of one of ours.
            assert!(
                (got - mean).abs() < 4.0 * sd * 1.1f64.sqrt(),
                "{what}: {got}, theirs {mean} +- {sd}"
            );
        }
    }
}
