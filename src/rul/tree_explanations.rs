//! What a regressor of trees says of its features.

use super::{
    row_regressor::{PointModel, RowRegressor},
    trees::{Forest, PathScratch},
};
use crate::{
    error::{Error, Result},
    features::FeatureView,
    model::Assessment,
};

/// A fitted algorithm whose prediction is `base` and the sum of trees, or grows with it.
pub(super) trait TreeModel: PointModel {
    fn forest(&self) -> &Forest;
    /// What each feature's splits gained; empty where that is not known.
    fn gains(&self) -> &[f64];
    fn base(&self) -> f64;
}

/// How much trees use a feature.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FeatureImportance {
    /// Name of the feature.
    pub name: String,
    /// Splits on it, in all trees.
    pub splits: u64,
    /// How much its splits lowered the squared error of what their trees were fitted to, summed over all trees; `None` of
    /// models from files that have no such numbers.
    pub gain: Option<f64>,
}

/// What each feature adds to one prediction.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Contributions {
    /// What is predicted where no feature is known: the mean over the rows the trees were grown on.
    pub base: f64,
    /// What each feature adds, in the order of the schema. `base` and all of these are the prediction before it is clipped.
    pub of_features: Vec<f64>,
}

pub(super) fn importance_of(regressor: &RowRegressor<impl TreeModel>) -> Vec<FeatureImportance> {
    let (model, features) = (regressor.point_model(), regressor.features());
    let splits = model.forest().splits_of(features.len());
    let gain = |i: usize| model.gains().get(i).copied();
    let named = features.iter().zip(splits).enumerate();
    named
        .map(|(i, (feature, splits))| FeatureImportance {
            name: feature.name.clone(),
            splits,
            gain: gain(i),
        })
        .collect()
}

pub(super) fn contributions_of(
    regressor: &RowRegressor<impl TreeModel>,
    x: FeatureView<'_>,
) -> Result<Assessment<Contributions>> {
    regressor.usable(x)?.try_map(|row| {
        let model = regressor.point_model();
        let mut of_features = vec![0.0; row.len()];
        let mean = model
            .forest()
            .contributions_into(row, &mut PathScratch::default(), &mut of_features);
        let Some(mean) = mean else {
            return Err(Error::insufficient(
                "contributions of features",
                "trees that know how many training rows came through each node (fit the model anew)",
                "trees of a file without these counts",
            ));
        };
        Ok(Contributions {
            base: model.base() + mean,
            of_features,
        })
    })
}
