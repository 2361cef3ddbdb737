//! Intervals hold what they promise: simulations with exchangeable assets, and the long-run law of adaptive levels.

use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    features::{FeatureSchema, FeatureTable},
    model::{Assessment, OnlineModel, PersistentModel, RulDistribution, RulRegressor},
    quantity::{LifeUnit, Seed},
    rul::{
        RidgeRul, RulLabels,
        conformal::{
            AdaptiveCalibration, BandRow, BinnedIntervals, CalibrationRow, ConformalBand, Coverage, CrossConformal,
            RecalibratedRul, SplitConformal,
        },
    },
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;

/// Assets of 1 to 30 rows with an error in common, so that rows depend on each other: more rows, smaller errors.
struct Assets(Xoshiro256Plus);

impl Assets {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256Plus::seed_from_u64(seed))
    }

    /// `(x, y)` rows of one asset; y = 2 x + errors.
    fn next(&mut self) -> Vec<(f64, f64)> {
        let n = 1 + (30.0 * self.0.r#gen::<f64>()) as usize;
        let shared = 10.0 * (self.0.r#gen::<f64>() - 0.5) / (n as f64).sqrt();
        let row = |rng: &mut Xoshiro256Plus| {
            let x = 10.0 * rng.r#gen::<f64>();
            (x, 2.0 * x + shared + x * (rng.r#gen::<f64>() - 0.5))
        };
        (0..n).map(|_| row(&mut self.0)).collect()
    }

    fn many(&mut self, n: u32) -> Vec<(u32, f64, f64)> {
        (0..n)
            .flat_map(|a| self.next().into_iter().map(move |(x, y)| (a, x, y)))
            .collect()
    }
}

/// A model that is wrong in slope: what is promised does not depend on it.
fn predicted(x: f64) -> f64 {
    1.7 * x + 1.0
}

fn calibration_rows(rows: &[(u32, f64, f64)]) -> Vec<CalibrationRow> {
    let row = |&(asset, x, truth): &(u32, f64, f64)| CalibrationRow {
        asset,
        predicted: predicted(x),
        truth,
    };
    rows.iter().map(row).collect()
}

/// The share of `trials` with a new asset each whose random row lies inside, calibrated anew by `fit` on `n` assets.
fn coverage_of_new_assets(
    n: u32,
    trials: u64,
    mut inside: impl FnMut(&[(u32, f64, f64)], &[(f64, f64)], usize) -> bool,
) -> f64 {
    let hit = |trial: u64| {
        let mut assets = Assets::new(trial);
        let held_out = assets.many(n);
        let new = assets.next();
        let row = (assets.0.r#gen::<f64>() * new.len() as f64) as usize;
        inside(&held_out, &new, row)
    };
    let hits: Vec<bool> = (0..trials).map(hit).collect();
    hits.iter().filter(|h| **h).count() as f64 / trials as f64
}

#[test]
fn split_conformal_intervals_hold_for_a_row_of_a_new_asset() {
    // Four standard errors of 3,000 trials are 0.022; with 49 assets at most 1/50 more than 0.9 is covered.
    for coverage in [Coverage::AnyRow, Coverage::OneRow(Seed(5))] {
        let share = coverage_of_new_assets(49, 3000, |held_out, new, row| {
            let s = SplitConformal::fit(0.9, &calibration_rows(held_out), coverage).unwrap();
            let (low, high) = s.around(predicted(new[row].0));
            low <= new[row].1 && new[row].1 <= high
        });
        assert!((0.878..0.942).contains(&share), "{coverage:?}: {share}");
    }
}

#[test]
fn taking_rows_as_independent_would_not_do() {
    // One asset of many rows and an error of its own beside small ones: weights matter.
    let mut rows: Vec<CalibrationRow> = (0..30)
        .map(|i| CalibrationRow {
            asset: i,
            predicted: 0.0,
            truth: 1.0 + f64::from(i),
        })
        .collect();
    rows.extend(vec![
        CalibrationRow {
            asset: 30,
            predicted: 0.0,
            truth: 0.1
        };
        1000
    ]);
    let s = SplitConformal::fit(0.9, &rows, Coverage::AnyRow).unwrap();
    // 31 assets: the rank is 0.9 * 32 = 28.8, the small one first.
    assert_eq!(s.around(0.0).1, 28.0);
}

#[test]
fn whole_assets_lie_inside() {
    let share = coverage_of_new_assets(49, 3000, |held_out, new, _| {
        let s = SplitConformal::fit(0.9, &calibration_rows(held_out), Coverage::WholeAsset).unwrap();
        new.iter().all(|&(x, y)| {
            let (low, high) = s.around(predicted(x));
            low <= y && y <= high
        })
    });
    assert!((0.878..0.942).contains(&share), "{share}");
}

#[test]
fn a_band_is_drawn_in_or_out_until_it_holds() {
    // Bands three times too wide and three times too narrow, both in proportion to x.
    for half_width in [1.5, 0.15] {
        let band = |x: f64| (2.0 * x - half_width * x, 2.0 * x + half_width * x);
        let share = coverage_of_new_assets(49, 3000, |held_out, new, row| {
            let bands: Vec<BandRow> = held_out
                .iter()
                .map(|&(asset, x, truth)| BandRow {
                    asset,
                    lower: band(x).0,
                    upper: band(x).1,
                    truth,
                })
                .collect();
            let b = ConformalBand::fit(0.9, &bands, Coverage::AnyRow).unwrap();
            let (x, y) = new[row];
            let (low, high) = b.interval(band(x).0, band(x).1);
            low <= y && y <= high
        });
        assert!((0.878..0.942).contains(&share), "{half_width}: {share}");
    }
}

#[test]
fn models_of_folds_hold_more_than_is_guaranteed() {
    // Models fitted on little: the slope through the origin on the assets of the other folds.
    let slope = |rows: &[(u32, f64, f64)], without: u32| {
        let used = rows.iter().filter(|r| r.0 % 5 != without);
        let (xy, xx) = used.fold((0.0, 0.0), |(a, b), r| (a + r.1 * r.2, b + r.1 * r.1));
        xy / xx
    };
    let mut guaranteed = 0.0;
    let share = coverage_of_new_assets(30, 2000, |rows, new, row| {
        let slopes: Vec<f64> = (0..5).map(|f| slope(rows, f)).collect();
        let fold = |f: u32| {
            let own = rows.iter().filter(|r| r.0 % 5 == f);
            own.map(|&(asset, x, truth)| CalibrationRow {
                asset,
                predicted: slopes[f as usize] * x,
                truth,
            })
            .collect::<Vec<_>>()
        };
        let c = CrossConformal::fit(0.9, &(0..5).map(fold).collect::<Vec<_>>()).unwrap();
        guaranteed = c.guaranteed();
        let predictions: Vec<f64> = slopes.iter().map(|s| s * new[row].0).collect();
        let (low, high) = c.interval(&predictions).unwrap();
        low <= new[row].1 && new[row].1 <= high
    });
    // Stable models: near the level, four standard errors being 0.027 and one of 31 assets 0.032.
    assert!(
        share >= guaranteed && (0.873..0.96).contains(&share),
        "{share}, guaranteed {guaranteed}"
    );
}

#[test]
fn bins_hold_near_their_level_everywhere() {
    let mut assets = Assets::new(77);
    let rows = calibration_rows(&assets.many(400));
    let b = BinnedIntervals::fit(0.9, &rows).unwrap();
    let mut inside = [0.0f64; 2];
    let mut all = [0.0f64; 2];
    for _ in 0..2000 {
        let new = assets.next();
        for &(x, y) in &new {
            let (low, high) = b.around(predicted(x));
            let half = usize::from(x > 5.0);
            all[half] += 1.0 / new.len() as f64;
            if low <= y && y <= high {
                inside[half] += 1.0 / new.len() as f64;
            }
        }
    }
    for half in 0..2 {
        let share = inside[half] / all[half];
        // 400 assets: a standard error of 0.015 for the ends; the shortest range costs up to 0.02 more.
        assert!((0.85..0.95).contains(&share), "{half}: {share}");
    }
}

/// Twenty-row assets whose one feature tells the life up to an error of its own.
fn wearing_assets(n: u32, seed: u64) -> (FeatureTable, RulLabels) {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let schema = FeatureSchema::of_channels(&[Channel::new("wear", "µm")]).unwrap();
    let (mut wear, mut lives, mut asset) = (Vec::new(), Vec::new(), Vec::new());
    for a in 0..n {
        // A long tail above: normal intervals around a mean would be wrong on both sides.
        let e: f64 = -20.0 * (1.0 - rng.r#gen::<f64>()).ln();
        for i in 0..20 {
            let life = f64::from(100 - 5 * i);
            wear.push(100.0 - life + e + rng.r#gen::<f64>());
            lives.push(life);
            asset.push(a);
        }
    }
    let values = Array2::from_shape_vec((wear.len(), 1), wear).unwrap();
    let table = FeatureTable::new(schema, values, asset).unwrap();
    (table, RulLabels::new(lives, LifeUnit::Hours).unwrap())
}

fn ridge(table: &FeatureTable, labels: &RulLabels) -> prognos::Result<RidgeRul> {
    // Intervals asked at 50%: far from what is then asked of the recalibrated model.
    let params = RidgeRul::params().interval(0.5).check()?;
    params.fit(&DatasetBase::new(table.clone(), labels.clone()))
}

#[test]
fn a_recalibrated_regressor_holds_its_levels() {
    let (train, train_labels) = wearing_assets(40, 1);
    let (held_out, held_out_labels) = wearing_assets(150, 2);
    let (fresh, truth) = wearing_assets(400, 3);
    let model = ridge(&train, &train_labels).unwrap();
    let split = RecalibratedRul::split(model, 0.9, &held_out, &held_out_labels).unwrap();
    let cross = RecalibratedRul::cross(0.9, &held_out, &held_out_labels, 5, Seed(3), ridge).unwrap();
    for (r, what) in [(&split, "split"), (&cross, "cross")] {
        let mut inside = 0.0;
        let levels = [0.3, 0.5, 0.8, 0.9];
        let mut inside_of = [0.0; 4];
        for (x, y) in fresh.views().zip(truth.rul()) {
            let Assessment::Ready(e) = r.assess(&(), x).unwrap() else {
                panic!()
            };
            inside += f64::from(u8::from(e.lower <= *y && *y <= e.upper));
            let Assessment::Ready(d) = r.distribution(&(), x).unwrap() else {
                panic!()
            };
            for (n, level) in inside_of.iter_mut().zip(levels) {
                let (low, high) = d.interval(level).unwrap();
                *n += f64::from(u8::from(low <= *y && *y <= high));
            }
        }
        let n = truth.rul().len() as f64;
        // Rows of an asset share its error: 400 assets at 0.9 have a standard error of 0.015, 150 held-out ones 0.024.
        assert!((0.82..0.97).contains(&(inside / n)), "{what}: {}", inside / n);
        for (share, level) in inside_of.map(|i| i / n).into_iter().zip(levels) {
            // At 0.5: 0.025 and 0.041, together 0.048.
            assert!((share - level).abs() < 0.12, "{what} {level}: {share}");
        }
    }
    assert!((0.0..=1.0).contains(&split.nominal(0.5)) && split.nominal(f64::NAN).is_nan());
    assert_ne!(split.fingerprint(), cross.fingerprint());
}

#[test]
fn recalibration_asks_for_what_it_needs() {
    let (train, labels) = wearing_assets(40, 1);
    let model = ridge(&train, &labels).unwrap();
    let (few, few_labels) = wearing_assets(18, 2);
    let e = RecalibratedRul::split(model.clone(), 0.9, &few, &few_labels).unwrap_err();
    assert!(e.to_string().contains("at least 19 held-out assets"), "{e}");
    assert!(RecalibratedRul::split(model.clone(), 1.0, &few, &few_labels).is_err());
    let short = RulLabels::new(vec![1.0], LifeUnit::Hours).unwrap();
    assert!(RecalibratedRul::split(model.clone(), 0.9, &few, &short).is_err());
    let cycles = RulLabels::new(few_labels.rul().to_vec(), LifeUnit::Cycles).unwrap();
    assert!(RecalibratedRul::split(model.clone(), 0.5, &few, &cycles).is_err());
    // Nothing but lives that went on: all that is known is the upper half of the scale.
    let censored = RulLabels::censored(few_labels.rul().to_vec(), vec![true; 360], LifeUnit::Hours).unwrap();
    let r = RecalibratedRul::split(model.clone(), 0.5, &few, &censored).unwrap();
    let x = few.views().nth(5).unwrap();
    let (Assessment::Ready(a), Assessment::Ready(b)) =
        (r.distribution(&(), x).unwrap(), model.distribution(&(), x).unwrap())
    else {
        panic!()
    };
    assert!(
        a.percentiles()
            .iter()
            .zip(b.percentiles())
            .all(|(a, b)| *a >= *b - 1e-9)
    );
    let (read, _) = RecalibratedRul::<RidgeRul>::from_bytes(&r.to_bytes(&Default::default()).unwrap()).unwrap();
    assert_eq!(read.fingerprint(), r.fingerprint());
}

#[test]
fn more_censoring_never_shortens_the_recalibrated_life() {
    let (train, labels) = wearing_assets(40, 1);
    let model = ridge(&train, &labels).unwrap();
    let (held_out, known) = wearing_assets(60, 2);
    let medians: Vec<f64> = [0, 10, 30]
        .map(|n_censored| {
            let flags = held_out.asset().iter().map(|a| *a < n_censored).collect();
            let labels = RulLabels::censored(known.rul().to_vec(), flags, LifeUnit::Hours).unwrap();
            RecalibratedRul::split(model.clone(), 0.9, &held_out, &labels)
                .unwrap()
                .nominal(0.5)
        })
        .to_vec();
    assert!(medians[0] <= medians[1] && medians[1] <= medians[2], "{medians:?}");
}

fn uniform_to(top: f64) -> RulDistribution {
    RulDistribution::from_quantiles(LifeUnit::Hours, |p| top * p).unwrap()
}

/// Runs `n` assets of one prediction each, `delay` of them waiting; `life` says what the truth is to the interval given.
fn run_adaptive(
    n: u64,
    delay: usize,
    rate: f64,
    mut life: impl FnMut(u64, f64, f64) -> f64,
) -> AdaptiveCalibration<u64> {
    let mut c = AdaptiveCalibration::new(0.9, rate, 1 + delay, LifeUnit::Hours).unwrap();
    let mut waiting = std::collections::VecDeque::new();
    let at = |h: f64| prognos::quantity::Timestamp::from_nanos((h * 3.6e12) as i64);
    for asset in 0..n {
        let i = c.register(asset, at(0.0), &uniform_to(100.0)).unwrap();
        waiting.push_back((asset, life(asset, i.lower, i.upper)));
        if waiting.len() > delay {
            let (asset, life) = waiting.pop_front().unwrap();
            c.failed(&asset, at(life)).unwrap();
            let so_far = c.so_far().coverage().unwrap();
            assert!(
                (so_far - 0.9).abs() <= c.error_bound() + 1e-9,
                "{asset}: {so_far} beyond {}",
                c.error_bound()
            );
        }
    }
    c
}

#[test]
fn adaptive_coverage_obeys_its_law_for_any_sequence() {
    let mut rng = Xoshiro256Plus::seed_from_u64(4);
    for rate in [0.005, 0.05, 0.5] {
        for delay in [0, 7] {
            // Always outside where that can be; always inside; drifting; at random.
            run_adaptive(
                2000,
                delay,
                rate,
                |_, _, high| if high.is_finite() { high + 1.0 } else { 50.0 },
            );
            run_adaptive(2000, delay, rate, |_, low, high| {
                if high.is_finite() { low / 2.0 + high / 2.0 } else { 50.0 }
            });
            run_adaptive(2000, delay, rate, |i, _, _| 0.2 * i as f64);
            let c = run_adaptive(2000, delay, rate, |_, _, _| 300.0 * rng.r#gen::<f64>());
            // The law itself: (max(a, 1 - a) + rate (d + 1)) / (rate T).
            let t = 2000.0 - delay as f64;
            assert!(c.error_bound() <= (0.9 + rate * (delay + 1) as f64) / (rate * t) + 1e-9);
        }
    }
}

#[test]
fn a_wrong_distribution_is_mended_in_the_long_run() {
    // Truths up to 100 h, predictions up to 50 h: half of them would miss at any fixed level; beyond a miss rate of 0 all is held.
    let mut rng = Xoshiro256Plus::seed_from_u64(9);
    let c = run_adaptive(4000, 0, 0.05, |_, _, _| 130.0 * rng.r#gen::<f64>());
    let coverage = c.so_far().coverage().unwrap();
    assert!((coverage - 0.9).abs() < 0.005, "{coverage}");
}

#[test]
fn lives_that_went_on_count_only_where_they_tell() {
    let at = |h| LifeUnit::Hours.instant(h);
    let mut c = AdaptiveCalibration::new(0.9, 0.1, 3, LifeUnit::Hours).unwrap();
    c.register("a", at(0), &uniform_to(100.0)).unwrap();
    c.register("a", at(40), &uniform_to(20.0)).unwrap();
    let e = c.register("a", at(40), &uniform_to(20.0)).unwrap_err();
    assert!(e.to_string().contains("after"), "{e}");
    // Alive at 70 h: the first one's 95 h are open, the second one's 19 h are over.
    assert_eq!(c.clone().removed(&"a", at(70)).unwrap(), Some(1.0));
    let mut early = c.clone();
    assert_eq!(early.removed(&"a", at(50)).unwrap(), None);
    assert_eq!((early.so_far().n_undetermined, early.so_far().n_assets), (2, 0));
    assert!(early.so_far().coverage().is_none() && early.error_bound().is_infinite());
    assert!((early.miss_rate() - 0.1).abs() < 1e-12);
    let mut half = c.clone();
    assert_eq!(half.failed(&"a", at(70)).unwrap(), Some(0.5));

    assert!(c.failed(&"b", at(70)).unwrap_err().to_string().contains("\"b\""));
    assert!(c.failed(&"a", at(39)).is_err());
    c.register("b", at(0), &uniform_to(1.0)).unwrap();
    assert!(
        c.register("c", at(0), &uniform_to(1.0))
            .unwrap_err()
            .to_string()
            .contains("fewer than 3")
    );
    let other = RulDistribution::from_quantiles(LifeUnit::Cycles, |p| p).unwrap();
    assert!(c.interval(&other).is_err());
    assert_eq!((c.forget(&"a"), c.forget(&"a"), c.n_outstanding()), (2, 0, 1));
    for (level, rate, room) in [
        (1.0, 0.1, 1),
        (0.9, 0.0, 1),
        (0.9, f64::NAN, 1),
        (0.9, 0.1, 0),
        (f64::NAN, 0.1, 1),
    ] {
        assert!(AdaptiveCalibration::<u32>::new(level, rate, room, LifeUnit::Hours).is_err());
    }
}

#[test]
fn adaptive_states_are_read_through_validation() {
    let mut c = run_adaptive(50, 3, 0.05, |_, _, _| 50.0);
    c.register(99, LifeUnit::Hours.instant(1), &uniform_to(10.0)).unwrap();
    let json = serde_json::to_value(&c).unwrap();
    let read: AdaptiveCalibration<u64> = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(read, c);
    for (path, bad) in [
        ("/level", serde_json::json!(1.5)),
        ("/rate", serde_json::json!(-1.0)),
        ("/max_outstanding", serde_json::json!(1)),
        ("/so_far/missed", serde_json::json!(1e300)),
        ("/so_far/missed", serde_json::json!(-1.0)),
        ("/so_far/missed", serde_json::json!(47.0)),
        ("/so_far/n_assets", serde_json::json!(u64::MAX)),
        ("/longest_delay", serde_json::json!(u64::MAX)),
        ("/outstanding/0/1/0/lower", serde_json::json!(1e300)),
        ("/outstanding/0/1/0/after", serde_json::json!(10_000)),
        ("/outstanding/0/1", serde_json::json!([])),
    ] {
        let mut spoilt = json.clone();
        *spoilt.pointer_mut(path).unwrap_or_else(|| panic!("{path} in {json}")) = bad.clone();
        assert!(
            serde_json::from_value::<AdaptiveCalibration<u64>>(spoilt).is_err(),
            "{path} = {bad}"
        );
    }
}
