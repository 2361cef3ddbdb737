//! Every regressor of remaining life.

use crate::suite::{self, Rows};
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    features::{FeatureSchema, FeatureTable},
    quantity::{LifeUnit, Seed},
    rul::{
        AftNoise, BoostingLoss, ExtraTrees, GradientBoosting, RecalibratedRul, RidgeRul, RulLabels,
        TrajectoryRegressorParams,
        filter::{BatteryRul, BearingWearRul, DegradationSettings, ParisRul, ParticleSettings},
        survival::{CoxRul, KaplanMeierRul, LogNormalAftRul, WeibullAftRul},
    },
    signal::Channel,
};

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
