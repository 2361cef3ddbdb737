//! Laws of similarity and degradation models: coverage, order of lives, censoring, hostile lives, no allocation a row.

mod counting_allocator;

use counting_allocator::allocations_once;
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    ErrorKind, Result,
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{Assessment, NoPrognosis, OnlineModel, RulDistribution, RulRegressor},
    quantity::LifeUnit,
    rul::{
        RulLabels, TrajectoryAlgorithm, TrajectoryRegressor, TrajectoryRegressorParams,
        degradation::{Direction, ExponentialDegradation, GammaProcess, LineBelief, LinearDegradation, WienerProcess},
        similarity::{Alignment, HashSimilarity, HistoryDistance, PairwiseSimilarity, ResidualSimilarity},
    },
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;

const UNIT: LifeUnit = LifeUnit::Cycles;

/// Readings at whole ages, the end, and whether it was a failure.
#[derive(Clone)]
struct Life {
    readings: Vec<f64>,
    end: usize,
    failed: bool,
}

fn schema() -> FeatureSchema {
    FeatureSchema::of_channels(&[Channel::new("wear", "µm")]).unwrap()
}

fn fit<A: TrajectoryAlgorithm>(
    lives: &[Life],
    params: &TrajectoryRegressorParams<A>,
) -> Result<TrajectoryRegressor<A::Model>> {
    let rows = || {
        lives
            .iter()
            .enumerate()
            .flat_map(|(i, l)| (0..l.readings.len()).map(move |t| (i, t)))
    };
    let readings: Vec<f64> = rows().map(|(i, t)| lives[i].readings[t]).collect();
    let values = Array2::from_shape_vec((readings.len(), 1), readings).unwrap();
    let table = FeatureTable::new(schema(), values, rows().map(|r| r.0 as u32).collect())
        .unwrap()
        .at(rows().map(|r| UNIT.instant(r.1 as i64)).collect())
        .unwrap();
    let left = rows().map(|(i, t)| (lives[i].end - t) as f64).collect();
    let censored = rows().map(|(i, _)| !lives[i].failed).collect();
    let labels = RulLabels::censored(left, censored, UNIT).unwrap();
    params.check_ref()?.fit(&DatasetBase::new(table, labels))
}

/// What is said after the last of `readings`, one a cycle.
fn after<M: prognos::rul::TrajectoryModel>(
    model: &TrajectoryRegressor<M>,
    readings: &[f64],
) -> Assessment<RulDistribution> {
    let mut state = model.new_state();
    for (t, v) in readings.iter().enumerate() {
        let values = [*v];
        let x = FeatureView::new(model.schema(), &values)
            .unwrap()
            .at(UNIT.instant(t as i64));
        if t + 1 == readings.len() {
            return model.distribution(&state, x).unwrap();
        }
        model.update(&mut state, x).unwrap();
    }
    unreachable!("a machine without readings")
}

struct Chance(Xoshiro256Plus);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256Plus::seed_from_u64(seed))
    }

    fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (self.0.r#gen(), self.0.r#gen());
        (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
    }
}

/// Lines from 10 to 100 with noise, a failure at the threshold.
fn worn(seed: u64, n: usize) -> Vec<Life> {
    let mut chance = Chance::new(seed);
    (0..n)
        .map(|_| {
            let slope = 1.0 + 0.15 * chance.normal();
            let end = (90.0 / slope.max(0.3)) as usize;
            Life {
                readings: (0..=end).map(|t| 10.0 + slope * t as f64 + chance.normal()).collect(),
                end,
                failed: true,
            }
        })
        .collect()
}

/// Shares of `n` machines whose life lay within the 90% and the 50% interval.
fn coverage(n: usize, mut machine: impl FnMut() -> Option<(RulDistribution, f64)>) -> (f64, f64) {
    let (mut seen, mut wide, mut narrow) = (0.0, 0.0, 0.0);
    for _ in 0..n {
        if let Some((d, life)) = machine() {
            let within = |level| {
                let (low, high) = d.interval(level).unwrap();
                f64::from(u8::from(low <= life && life <= high))
            };
            seen += 1.0;
            wide += within(0.9);
            narrow += within(0.5);
        }
    }
    assert!(seen > 0.9 * n as f64, "{seen} of {n}");
    (wide / seen, narrow / seen)
}

const N_SIMULATED: usize = 500;

/// Four standard errors of the share of 500.
fn assert_covered((wide, narrow): (f64, f64)) {
    assert!(
        (wide - 0.9).abs() < 0.054 && (narrow - 0.5).abs() < 0.09,
        "{wide} {narrow}"
    );
}

#[test]
fn lines_drawn_from_the_prior_are_covered() {
    let prior = LineBelief {
        intercept: 10.0,
        slope: 1.0,
        intercept_variance: 4.0,
        covariance: 0.1,
        slope_variance: 0.04,
        noise_variance: 9.0,
    };
    let params = LinearDegradation::params()
        .threshold(100.0)
        .prior(prior)
        .significance(1.0);
    let model = fit(&worn(1, 6), &params).unwrap();
    let mut chance = Chance::new(2);
    assert_covered(coverage(N_SIMULATED, || {
        let (z, e) = (chance.normal(), chance.normal());
        let (a, b) = (10.0 + 2.0 * z, 1.0 + 0.05 * z + (0.04f64 - 0.0025).sqrt() * e);
        let readings: Vec<f64> = (0..25).map(|t| a + b * f64::from(t) + 3.0 * chance.normal()).collect();
        let d = after(&model, &readings).ready()?;
        Some((d, if b > 0.0 { (100.0 - a) / b - 24.0 } else { f64::INFINITY }))
    }));
}

#[test]
fn wiener_paths_are_covered() {
    let mut chance = Chance::new(3);
    let mut path = |steps: usize| {
        let drift = 1.0 + 0.2 * chance.normal();
        let mut x = 0.0;
        let mut life = Vec::new();
        while x < 100.0 && life.len() < steps {
            life.push(x);
            x += drift + 1.5 * chance.normal();
        }
        life
    };
    let mut lives: Vec<Life> = (0..200)
        .map(|_| {
            let readings = path(40);
            Life {
                end: readings.len(),
                readings,
                failed: false,
            }
        })
        .collect();
    lives[0].failed = true;
    let params = WienerProcess::params().threshold(100.0).significance(1.0);
    let model = fit(&lives, &params).unwrap();
    assert_covered(coverage(N_SIMULATED, || {
        let whole = path(4000);
        let d = after(&model, &whole[..30.min(whole.len())]).ready()?;
        // A path seen at whole cycles crosses half a cycle late.
        Some((d, whole.len() as f64 - 29.5))
    }));
}

#[test]
fn gamma_paths_are_covered() {
    let mut chance = Chance::new(4);
    // Steps of shape 1: exponential.
    let mut path = |steps: usize| {
        let (mut x, mut life) = (0.0, Vec::new());
        while x < 100.0 && life.len() < steps {
            life.push(x);
            x += -1.3 * (1.0 - chance.0.r#gen::<f64>()).ln();
        }
        life
    };
    let lives: Vec<Life> = (0..60)
        .map(|_| {
            let readings = path(4000);
            Life {
                end: readings.len(),
                readings,
                failed: true,
            }
        })
        .collect();
    let model = fit(&lives, &GammaProcess::params().threshold(100.0)).unwrap();
    assert_covered(coverage(N_SIMULATED, || {
        let whole = path(4000);
        let d = after(&model, &whole[..30]).ready()?;
        Some((d, whole.len() as f64 - 29.5))
    }));
}

/// All seven models of `lives`.
macro_rules! each_model {
    ($lives:expr, $name:ident, $model:ident => $body:expr) => {
        each_model!(@ $lives, $name, $model, $body;
            "linear" LinearDegradation::params(),
            "exponential" ExponentialDegradation::params(),
            "wiener" WienerProcess::params(),
            "gamma" GammaProcess::params(),
            "residual" ResidualSimilarity::params(),
            "difference" PairwiseSimilarity::params().distance(HistoryDistance::Difference),
            "correlation" PairwiseSimilarity::params().distance(HistoryDistance::Correlation),
            "warped" PairwiseSimilarity::params().align(Alignment::BestFit).max_rows(40),
            "hash" HashSimilarity::params(),
        )
    };
    (@ $lives:expr, $name:ident, $model:ident, $body:expr; $($label:literal $params:expr,)*) => {
        $({
            let $name = $label;
            let $model = fit($lives, &$params);
            $body
        })*
    };
}

#[test]
fn the_order_of_lives_changes_nothing() {
    let lives = worn(5, 9);
    let mut turned = lives.clone();
    turned.reverse();
    turned.swap(1, 6);
    let mut fingerprints = Vec::new();
    each_model!(&lives, _name, model => fingerprints.push(model.unwrap().fingerprint()));
    let mut others = fingerprints.iter();
    each_model!(&turned, name, model => assert_eq!(model.unwrap().fingerprint(), *others.next().unwrap(), "{name}"));
}

#[test]
fn survival_falls_and_intervals_nest() {
    let lives = worn(6, 20);
    let machine = &lives[7].readings[..40];
    each_model!(&lives, name, model => {
        let model = model.unwrap();
        let outcome = after(&model, machine);
        let Assessment::Ready(d) = outcome else { panic!("{name}: {outcome:?}") };
        let curve: Vec<f64> = (0..200).map(|t| d.survival(f64::from(t))).collect();
        assert!(curve.windows(2).all(|w| w[0] >= w[1]), "{name}");
        let ends: Vec<_> = [0.2, 0.5, 0.8, 0.95].iter().map(|l| d.interval(*l).unwrap()).collect();
        assert!(ends.windows(2).all(|w| w[1].0 <= w[0].0 && w[0].1 <= w[1].1), "{name}");
        // These machines live 90 cycles, give or take 15.
        let median = d.median().unwrap();
        assert!((20.0..90.0).contains(&median), "{name}: {median}");
    });
}

#[test]
fn more_censored_lives_do_not_shorten_life() {
    let lives = worn(7, 20);
    let machine = &lives[3].readings[..40];
    let said = |lives: &[Life]| {
        let mut medians = Vec::new();
        each_model!(lives, _name, model => {
            medians.push(after(&model.unwrap(), machine).ready().map(|d| d.mean_within(200.0).unwrap()));
        });
        medians.split_off(4) // of similarity
    };
    let before = said(&lives);
    for which in [0, 5, 10, 19] {
        let mut more = lives.clone();
        more[which].failed = false;
        for (b, a) in before.iter().zip(said(&more)) {
            if let (Some(b), Some(a)) = (b, a) {
                // A step of the percentiles may hide a hundredth of a life.
                assert!(a >= b - 0.5, "{which}: {b} became {a}");
            }
        }
    }
}

#[test]
fn hostile_lives_are_errors_and_hostile_readings_are_no_prognosis() {
    let short = |life: &Life| Life {
        readings: life.readings[..1].to_vec(),
        ..life.clone()
    };
    let lives = worn(8, 12);
    // One row a life: no line, no increment; similarity knows no more than the first reading.
    let one_row: Vec<Life> = lives.iter().map(short).collect();
    let refused = |lives: &[Life], count: usize| {
        let mut kinds = Vec::new();
        each_model!(lives, _name, model => kinds.push(model.map(|_| ()).map_err(|e| e.kind())));
        assert!(
            kinds[..count].iter().all(|k| *k == Err(ErrorKind::InsufficientData)),
            "{kinds:?}"
        );
        kinds
    };
    refused(&one_row, 4);
    // All censored: no threshold, and no failure to be similar to.
    let running: Vec<Life> = lives
        .iter()
        .map(|l| Life {
            failed: false,
            ..l.clone()
        })
        .collect();
    refused(&running, 9);
    let flat: Vec<Life> = lives
        .iter()
        .map(|l| Life {
            readings: vec![3.0; 50],
            end: 49,
            ..l.clone()
        })
        .collect();
    refused(&flat, 4);
    // Readings of any size that a table may hold fit without a panic.
    for size in [1e-90, 1e90] {
        let scaled = |l: &Life| Life {
            readings: l.readings.iter().map(|r| r * size).collect(),
            ..l.clone()
        };
        let scaled: Vec<Life> = lives.iter().map(scaled).collect();
        let machine: Vec<f64> = lives[3].readings[..40].iter().map(|r| r * size).collect();
        each_model!(&scaled, name, model => if let Ok(Assessment::Ready(d)) = model.map(|m| after(&m, &machine)) {
            assert!(d.median().is_none_or(|m| m.is_finite()), "{name}");
        });
    }

    let model = fit(&lives, &LinearDegradation::params().threshold(100.0)).unwrap();
    let none = |readings: &[f64]| match after(&model, readings) {
        Assessment::NoPrognosis(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(none(&[20.0]), NoPrognosis::NoTrend);
    assert_eq!(none(&[20.0; 50]), NoPrognosis::NoTrend);
    let falling: Vec<f64> = (0..50).map(|t| 60.0 - f64::from(t)).collect();
    assert_eq!(none(&falling), NoPrognosis::NoTrend);
    assert_eq!(none(&[20.0, 50.0, 90.0, 101.0]), NoPrognosis::ThresholdCrossed);
    let similar = fit(&lives, &ResidualSimilarity::params()).unwrap();
    let other: Vec<f64> = (0..30).map(|t| 5000.0 - 100.0 * f64::from(t)).collect();
    let outcome = after(&similar, &other);
    assert!(
        matches!(outcome, Assessment::NoPrognosis(NoPrognosis::NoSimilarLife)),
        "{outcome:?}"
    );
    let old = vec![50.0; 400];
    let outcome = after(&similar, &old);
    assert!(
        matches!(outcome, Assessment::NoPrognosis(NoPrognosis::BeyondKnownLives)),
        "{outcome:?}"
    );
}

#[test]
fn the_test_for_a_trend_holds_its_level() {
    let model = fit(
        &worn(9, 12),
        &LinearDegradation::params().threshold(100.0).significance(0.1),
    )
    .unwrap();
    let mut chance = Chance::new(10);
    let n = 2000;
    let without_trend = (0..n)
        .filter(|_| {
            let readings: Vec<f64> = (0..12).map(|_| 40.0 + chance.normal()).collect();
            !matches!(after(&model, &readings), Assessment::NoPrognosis(NoPrognosis::NoTrend))
        })
        .count();
    // One-sided at 0.1: four standard errors of 2,000.
    let share = without_trend as f64 / f64::from(n);
    assert!((share - 0.1).abs() < 0.027, "{share}");
}

#[test]
fn wrong_settings_are_named() {
    let lives = worn(11, 6);
    fn named<A: TrajectoryAlgorithm>(lives: &[Life], params: TrajectoryRegressorParams<A>, name: &str) {
        let e = fit(lives, &params).map(|_| ()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{e}");
        assert!(e.to_string().contains(name), "{e} does not name {name}");
    }
    let linear = LinearDegradation::params;
    for bad in [0.0, -1.0, 1.1, f64::NAN] {
        named(&lives, linear().significance(bad), "significance");
        named(&lives, linear().half_life(bad), "half_life");
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        named(&lives, linear().horizon(bad), "horizon");
        named(&lives, ResidualSimilarity::params().width(bad), "width");
        named(&lives, HashSimilarity::params().strangeness(bad), "strangeness");
    }
    named(&lives, linear().threshold(f64::NAN), "threshold");
    named(
        &lives,
        WienerProcess::params().direction(Direction::Falling),
        "direction",
    );
    named(&lives, ExponentialDegradation::params().asymptote(50.0), "asymptote");
    named(&lives, ExponentialDegradation::params().threshold(-5.0), "threshold");
    named(&lives, PairwiseSimilarity::params().window(1), "window");
    named(&lives, PairwiseSimilarity::params().max_rows(1), "max_rows");
    named(
        &lives,
        PairwiseSimilarity::params().distance(HistoryDistance::Warped { band: 101 }),
        "distance",
    );
    named(&lives, HashSimilarity::params().max_positions(0), "max_positions");
    named(&lives, HashSimilarity::params().n_nearest(0), "n_nearest");
    let mut prior = LineBelief {
        intercept: 10.0,
        slope: 1.0,
        intercept_variance: 1.0,
        covariance: 2.0,
        slope_variance: 1.0,
        noise_variance: 1.0,
    };
    named(&lives, linear().prior(prior), "prior");
    (prior.covariance, prior.noise_variance) = (0.0, f64::NAN);
    named(&lives, linear().prior(prior), "prior");
}

#[test]
fn rows_allocate_nothing() {
    let lives = worn(12, 12);
    each_model!(&lives, name, model => {
        let model = model.unwrap();
        let mut state = model.new_state();
        for t in 0..80 {
            let values = [10.0 + f64::from(t) + 0.3 * f64::from(t % 3)];
            let x = FeatureView::new(model.schema(), &values).unwrap().at(UNIT.instant(t.into()));
            let (n, outcome) = allocations_once(|| model.step(&mut state, x).unwrap());
            assert!(t < 40 || n == 0, "{name}: row {t}, {n} allocations, {outcome:?}");
        }
    });
}
