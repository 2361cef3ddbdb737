//! Every regressor of remaining life.

use crate::suite::{self, Rows};
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    features::{FeatureSchema, FeatureTable},
    quantity::{LifeUnit, Seed},
    rul::{
        AftNoise, BoostingLoss, ExtraTrees, FourierRidge, GradientBoosting, LifePrior, RidgeRul, RulLabels, StackedRul,
        TrajectoryRegressorParams, UpdatedLifePrior,
        conformal::RecalibratedRul,
        degradation::{ExponentialDegradation, GammaProcess, LinearDegradation, WienerProcess},
        filter::{BatteryRul, BearingWearRul, DegradationSettings, ParisRul, ParticleSettings},
        similarity::{
            Alignment, HashSimilarity, HistoryDistance, LifeCurve, PairwiseSimilarity, ResidualSimilarity,
            VectorDistance,
        },
        survival::{CoxRul, KaplanMeierRul, LogNormalAftRul, WeibullAftRul},
    },
    signal::Channel,
};

/// Fits twice, and once more with other parameters.
macro_rules! follows_a_machine {
    ($params:expr, $others:expr) => {{
        let (data, rows) = wearing();
        suite::trajectory_regressor(|| $params.fit(&data).unwrap(), || $others.fit(&data).unwrap(), &rows);
    }};
}

/// Lives that follow from the rows of [`suite::telemetry`], the first sensor above all.
fn lives(table: FeatureTable) -> DatasetBase<FeatureTable, RulLabels> {
    let life = |row: &[f64]| (60.0 + 25.0 * row[0] - 10.0 * (row[2] - 200.0)).clamp(0.0, 120.0);
    let labels = RulLabels::new(table.rows().map(life).collect(), LifeUnit::Hours).unwrap();
    DatasetBase::new(table, labels)
}

#[test]
fn gradient_boosting() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    let params = GradientBoosting::params().n_trees(15).n_ensembles(2).min_leaf_rows(10);
    suite::regressor(|| params.clone().label_cap(100.0).fit(&data).unwrap(), &rows);
}

#[test]
fn gradient_boosting_without_a_cap() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    let params = GradientBoosting::params().n_trees(4).n_ensembles(1).n_bins(255);
    suite::regressor(|| params.clone().fit(&data).unwrap(), &rows);
}

#[test]
fn ridge() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    suite::regressor(|| RidgeRul::params().label_cap(100.0).fit(&data).unwrap(), &rows);
    suite::regressor(|| RidgeRul::params().lambda(0.0).fit(&data).unwrap(), &rows);
}

/// Machines whose one reading follows `course` of age, rate and noise, and what is left of their lives of 60 rows.
fn worn(course: impl Fn(f64, f64, f64) -> f64) -> (DatasetBase<FeatureTable, RulLabels>, Rows) {
    let schema = FeatureSchema::of_channels(&[Channel::new("reading", "mm")]).unwrap();
    let table = |first: usize, machines: usize, rows: usize| {
        let noise = |i: usize| (i * 7919 % 101) as f64 / 50.0 - 1.0;
        let value = |i: usize| {
            let (machine, age) = (first + i % machines, i / machines);
            course(age as f64 / 60.0, 1.0 + 0.05 * (machine % 5) as f64, noise(i + first))
        };
        let values = Array2::from_shape_fn((machines * rows, 1), |(i, _)| value(i));
        let asset = (0..machines * rows).map(|i| (i % machines) as u32).collect();
        FeatureTable::new(schema.clone(), values, asset).unwrap()
    };
    let train = table(0, 6, 61);
    let times = (0..6 * 61).map(|i| LifeUnit::Cycles.instant(i / 6)).collect();
    let rul = (0..6 * 61).map(|i| (60 - i / 6) as f64).collect();
    let labels = RulLabels::new(rul, LifeUnit::Cycles).unwrap();
    (
        DatasetBase::new(train.at(times).unwrap(), labels),
        Rows::cycles(table(7, 2, 30)),
    )
}

fn particles<S: DegradationSettings>(
    params: TrajectoryRegressorParams<ParticleSettings<S>>,
    course: impl Fn(f64, f64, f64) -> f64,
) {
    let (data, rows) = worn(course);
    let params = params.n_particles(30).n_steps(40);
    let fit = || params.clone().fit(&data).unwrap();
    suite::trajectory_regressor(fit, || params.clone().seed(Seed(1)).fit(&data).unwrap(), &rows);
}

#[test]
fn cracks() {
    // From 1 to 16 mm and more: a^(-1/2) falls in a straight line.
    particles(ParisRul::params(), |age, rate, noise| {
        (31.6 - 23.7 * age * rate.min(1.2)).powi(-2) * (1.0 + 0.02 * noise)
    });
}

#[test]
fn batteries() {
    particles(BatteryRul::params(), |age, rate, noise| {
        (-0.2 * rate * age).exp() - 0.002 * (3.5 * age).exp() + 0.004 * noise
    });
}

#[test]
fn worn_bearings() {
    particles(BearingWearRul::params(), |age, rate, noise| {
        (2.3 * rate * age + 0.1 * noise).exp()
    });
}

/// Machines of 40 rows, each a cycle, that fail some 360 cycles after their last; `shift` makes other lives.
fn whole_lives(train: &FeatureTable, shift: f64) -> DatasetBase<FeatureTable, RulLabels> {
    let table = Rows::cycles(train.clone());
    let mut seen = vec![0.0; table.table.n_assets()];
    let left = table.table.asset().iter().map(|&a| {
        seen[a as usize] += 1.0;
        400.0 + shift + f64::from(a) - seen[a as usize]
    });
    let labels = RulLabels::new(left.collect(), LifeUnit::Cycles).unwrap();
    let times = table.times.clone();
    DatasetBase::new(table.table.at(times).unwrap(), labels)
}

#[test]
fn survival_models() {
    let (train, rows) = suite::telemetry();
    let (data, others) = (whole_lives(&train, 0.0), whole_lives(&train, 7.0));
    macro_rules! check {
        ($model:ident) => {
            suite::trajectory_regressor(
                || $model::params().fit(&data).unwrap(),
                || $model::params().fit(&others).unwrap(),
                &rows,
            )
        };
    }
    check!(KaplanMeierRul);
    check!(CoxRul);
    check!(WeibullAftRul);
    check!(LogNormalAftRul);
}

/// Any regressor, recalibrated on assets held out.
#[test]
fn recalibrated_ridge() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    let ridge = |table: &FeatureTable, labels: &RulLabels| {
        let data = DatasetBase::new(table.clone(), labels.clone());
        RidgeRul::params().label_cap(100.0).fit(&data)
    };
    let fit = || RecalibratedRul::cross(0.8, &data.records, &data.targets, 4, Seed(1), ridge).unwrap();
    suite::regressor(fit, &rows);
}

#[test]
fn gradient_boosting_of_log_lives() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    let noise = AftNoise::Extreme;
    let params = GradientBoosting::params().n_trees(10).n_ensembles(1).min_leaf_rows(10);
    let params = params.loss(BoostingLoss::Censored { noise, scale: 0.5 });
    suite::regressor(|| params.clone().label_cap(100.0).fit(&data).unwrap(), &rows);
}

#[test]
fn extra_trees() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    let params = ExtraTrees::params().n_trees(3).min_leaf_rows(20);
    suite::regressor(|| params.clone().fit(&data).unwrap(), &rows);
}

#[test]
fn fourier_ridge() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    let params = FourierRidge::params().n_waves(40).bandwidths([0.5, 1.0]);
    suite::regressor(|| params.clone().label_cap(100.0).fit(&data).unwrap(), &rows);
    suite::regressor(|| params.clone().lambda(0.0).fit(&data).unwrap(), &rows);
}

#[test]
fn stack() {
    let (train, rows) = suite::telemetry();
    let data = lives(train);
    let trees = GradientBoosting::params().n_trees(8).n_ensembles(1).min_leaf_rows(10);
    let bases = [
        trees.into(),
        FourierRidge::params().n_waves(33).into(),
        RidgeRul::params().into(),
    ];
    let params = StackedRul::params().bases(bases);
    suite::regressor(|| params.clone().label_cap(100.0).fit(&data).unwrap(), &rows);
    suite::regressor(|| params.clone().weights([2.0, 1.0, 1.0]).fit(&data).unwrap(), &rows);
}

/// Machines whose reading rises from 1 to 3 over about 500 cycles, two of which were still running, and rows of three that wear
/// faster: 36 cycles up to 2.5.
fn wearing() -> (DatasetBase<FeatureTable, RulLabels>, Rows) {
    let schema = FeatureSchema::of_channels(&[Channel::new("wear", "µm")]).unwrap();
    let noise = |i: u64| (Seed(i).part(7).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
    let ends: Vec<i64> = (0..8).map(|i| 450 + 17 * i).collect();
    let rows = || {
        ends.iter()
            .enumerate()
            .flat_map(|(i, end)| (0..=30).map(move |k| (i, k * end / 30, *end)))
    };
    let reading = |share: f64, i: u64| 1.0 + 2.0 * share + 0.02 * noise(i);
    let values: Vec<f64> = rows()
        .enumerate()
        .map(|(n, (_, t, end))| reading(t as f64 / end as f64, n as u64))
        .collect();
    let table = FeatureTable::new(
        schema.clone(),
        Array2::from_shape_vec((values.len(), 1), values).unwrap(),
        rows().map(|r| r.0 as u32).collect(),
    )
    .unwrap()
    .at(rows().map(|r| LifeUnit::Cycles.instant(r.1)).collect())
    .unwrap();
    let labels = RulLabels::censored(
        rows().map(|(_, t, end)| (end - t) as f64).collect(),
        rows().map(|(i, ..)| i == 2 || i == 5).collect(),
        LifeUnit::Cycles,
    )
    .unwrap();
    let machines = Array2::from_shape_fn((108, 1), |(i, _)| {
        reading(0.75 * (i / 3) as f64 / 36.0, 1000 + i as u64)
    });
    let machines = FeatureTable::new(schema, machines, (0..108).map(|i| i % 3).collect()).unwrap();
    (DatasetBase::new(table, labels), Rows::cycles(machines))
}

#[test]
fn linear_degradation() {
    let params = || LinearDegradation::params().threshold(3.0).half_life(3.0);
    follows_a_machine!(params(), params().significance(0.01));
}

#[test]
fn exponential_degradation() {
    let params = || ExponentialDegradation::params().threshold(3.0).half_life(3.0);
    follows_a_machine!(params(), params().significance(0.01));
}

#[test]
fn wiener_process() {
    let params = || WienerProcess::params().threshold(3.0).half_life(3.0);
    follows_a_machine!(params(), params().significance(0.01));
}

#[test]
fn gamma_process() {
    let params = || GammaProcess::params().threshold(3.0).half_life(3.0);
    follows_a_machine!(params(), params().significance(0.01));
}

/// The rows wear ten times as fast as any life: with a limit for strangeness that lets them pass.
#[test]
fn residual_similarity() {
    let params = || ResidualSimilarity::params().window(10).strangeness(1e6);
    follows_a_machine!(params(), params().curve(LifeCurve::Line));
    follows_a_machine!(params().curve(LifeCurve::Exponential), params().n_nearest(3));
}

#[test]
fn pairwise_similarity() {
    let params = || PairwiseSimilarity::params().window(10).strangeness(1e6);
    follows_a_machine!(params(), params().distance(HistoryDistance::Difference));
    let correlated = || {
        params()
            .distance(HistoryDistance::Correlation)
            .align(Alignment::BestFit)
    };
    follows_a_machine!(correlated(), correlated().n_nearest(3));
}

#[test]
fn hash_similarity() {
    let params = || HashSimilarity::params().window(10).strangeness(1e6);
    follows_a_machine!(params(), params().with_age(false));
    follows_a_machine!(params().distance(VectorDistance::Absolute), params().n_nearest(3));
}

/// The rows with instants; machine `k` fails `5 (k + 1)` cycles after its last row, and the first sensor rises over the last
/// 30 cycles by `wear` a cycle.
fn recorded_lives(table: FeatureTable, wear: f64) -> DatasetBase<FeatureTable, RulLabels> {
    let n_machines = table.n_assets();
    let last = (table.n_rows() / n_machines - 1) as f64;
    let cycle = |i: usize| (i / n_machines) as f64;
    let rul: Vec<f64> = table
        .asset()
        .iter()
        .enumerate()
        .map(|(i, k)| last - cycle(i) + 5.0 * f64::from(k + 1))
        .collect();
    let mut values = table.values().to_owned();
    for (mut row, life) in values.rows_mut().into_iter().zip(&rul) {
        row[0] += wear * (30.0 - life).max(0.0);
    }
    let times = (0..table.n_rows())
        .map(|i| LifeUnit::Cycles.instant(cycle(i) as i64))
        .collect();
    let table = FeatureTable::new(table.schema().clone(), values, table.asset().to_vec())
        .unwrap()
        .at(times);
    DatasetBase::new(table.unwrap(), RulLabels::new(rul, LifeUnit::Cycles).unwrap())
}

#[test]
fn life_prior() {
    let (train, rows) = suite::telemetry();
    let data = recorded_lives(train, 0.0);
    suite::trajectory_regressor(
        || LifePrior::params().fit(&data).unwrap(),
        || LifePrior::params().spread(0.5).fit(&data).unwrap(),
        &rows,
    );
}

#[test]
fn updated_life_prior() {
    let (train, rows) = suite::telemetry();
    let (data, without) = (recorded_lives(train.clone(), 1.0), recorded_lives(train, 0.0));
    let fit = || UpdatedLifePrior::params().fit(&data).unwrap();
    assert!(fit().trajectory_model().evidence().is_some());
    suite::trajectory_regressor(fit, || UpdatedLifePrior::params().fit(&without).unwrap(), &rows);
}
