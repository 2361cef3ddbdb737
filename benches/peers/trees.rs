//! Regressors of trees: one line a task.

use crate::serve::{Job, Task, job};
use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    features::{FeatureSchema, FeatureTable},
    quantity::{LifeUnit, Seed},
    rul::{GradientBoosting, PointModel, RulLabels},
    signal::Channel,
};

/// Features of `lives_<n>`; a row is these and its life.
const WIDTH: usize = 250;
/// Rows of an asset.
const ASSET: usize = 140;
/// Of 125 assets so many are learned from, of any other number as large a share.
const LEARNED: usize = 96;

pub const TASKS: &[Task] = &[
    Task::new("gradient_boosting_fit", "lives_17500", 700 * (WIDTH + 1), fit),
    Task::new("gradient_boosting_predict", "lives_17500", 700 * (WIDTH + 1), predict),
];

/// What is learned from, and the rows behind it.
fn parts(x: &[f64]) -> (DatasetBase<FeatureTable, RulLabels>, Vec<f64>) {
    let n_assets = x.len() / (WIDTH + 1) / ASSET;
    let n = n_assets * LEARNED / 125 * ASSET;
    let (known, fresh) = x.split_at(n * (WIDTH + 1));
    let features = |rows: &[f64]| -> Vec<f64> {
        let rows = rows.chunks_exact(WIDTH + 1);
        rows.flat_map(|row| &row[..WIDTH]).copied().collect()
    };
    let channels: Vec<_> = (0..WIDTH).map(|j| Channel::new(format!("c{j}"), "")).collect();
    let values = Array2::from_shape_vec((n, WIDTH), features(known)).unwrap();
    let assets = (0..n).map(|i| (i / ASSET) as u32).collect();
    let table = FeatureTable::new(FeatureSchema::of_channels(&channels).unwrap(), values, assets).unwrap();
    let lives = known.chunks_exact(WIDTH + 1).map(|row| row[WIDTH]).collect();
    let labels = RulLabels::new(lives, LifeUnit::Cycles).unwrap();
    (DatasetBase::new(table, labels), features(fresh))
}

/// One ensemble, and two on half of the assets for its intervals.
fn fitted(data: &DatasetBase<FeatureTable, RulLabels>) -> GradientBoosting {
    let params = GradientBoosting::params().n_ensembles(1).n_folds(2).seed(Seed(1));
    params.fit(data).unwrap()
}

fn points(model: &GradientBoosting, rows: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.extend(rows.chunks_exact(WIDTH).map(|row| model.point_model().predict(row)));
}

fn fit(x: Vec<f64>) -> Box<dyn Job> {
    let (data, fresh) = parts(&x);
    job(
        (data, fresh, None),
        |(data, _, model)| *model = Some(fitted(data)),
        |(_, fresh, model)| {
            let mut out = Vec::new();
            model.iter().for_each(|model| points(model, fresh, &mut out));
            out
        },
    )
}

fn predict(x: Vec<f64>) -> Box<dyn Job> {
    let (data, fresh) = parts(&x);
    job(
        (fitted(&data), fresh, Vec::new()),
        |(model, fresh, out)| points(model, fresh, out),
        |(.., out)| out.clone(),
    )
}
