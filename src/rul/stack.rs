//! Several regressors in one: their weighted mean, the weights learnt from machines each was not fitted on.

use super::{
    fourier_ridge::{FourierCurve, FourierCurveRecord, FourierRidgeParams, FourierRidgeSettings},
    gradient_boosting::{BoostedTrees, BoostedTreesRecord, GradientBoostingParams, GradientBoostingSettings},
    ridge::{RidgeLine, RidgeLineRecord, RidgeRulParams, RidgeSettings},
    row_regressor::{LabelledRows, PointModel, RowRegressor, RowRegressorParams, RulAlgorithm},
};
use crate::{
    error::{Error, Result},
    model::AssetFolds,
    preprocess::convex_weights,
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// Bases of a stack at most.
const MAX_BASES: usize = 32;
/// Weights of a file may miss their sum of one by rounding.
const ROUNDING: f64 = 1e-9;

/// Remaining useful life by a stack of regressors (Wolpert 1992, doi 10.1016/S0893-6080(05)80023-1; weights that are not
/// negative after Breiman 1996, doi 10.1007/BF00117832): `sum_k w_k prediction_k`, `w_k >= 0`, `sum w_k = 1`.
///
/// Each base predicts the rows of machines it was not fitted on, in folds by asset; the weights are those of least squared
/// error over these predictions, each machine weighing one, and all bases are then fitted again on all rows. Weights that
/// sum to one keep the mean of unbiased bases unbiased, and the prediction within the range of theirs. They may be
/// [given](StackedRulParams::weights) instead: then nothing is fitted but the bases.
///
/// The models behind the intervals are stacks of the bases' own cheaper models, their weights from two folds instead of five.
/// So a stack costs about 2.5 times what its bases would cost one by one, and as much as they with given weights. A stack
/// cannot hold another. What a missing value is each base decides; a row with more than three quarters of its features
/// missing, or an infinite one, is unusable. A prediction costs those of the bases, without allocation; bases of weight 0 are
/// dropped.
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable}, model::{Assessment, OnlineModel}, quantity::LifeUnit,
///     rul::{GradientBoosting, RidgeRul, RulLabels, StackedRul}, signal::Channel,
/// };
/// let schema = FeatureSchema::of_channels(&[Channel::new("wear", "µm")])?;
/// let wear = Array2::from_shape_fn((1000, 1), |(i, _)| (i % 100) as f64);
/// let labels = RulLabels::new((0..1000).map(|i| 99.0 - (i % 100) as f64).collect(), LifeUnit::Hours)?;
/// let table = FeatureTable::new(schema, wear, (0..1000).map(|i| i / 100).collect())?;
/// let trees = GradientBoosting::params().n_trees(50).n_ensembles(1);
/// let params = StackedRul::params().bases([trees.into(), RidgeRul::params().lambda(1e-3).into()]);
/// let model = params.fit(&DatasetBase::new(table.clone(), labels))?;
/// let Assessment::Ready(estimate) = model.assess(&(), table.views().nth(60).unwrap())? else { panic!() };
/// assert!((estimate.rul - 39.0).abs() < 0.5); // the line is exact and takes nearly all
/// # Ok::<(), prognos::Error>(())
/// ```
pub type StackedRul = RowRegressor<Stack>;

/// Parameters of [`StackedRul`].
pub type StackedRulParams = RowRegressorParams<StackSettings>;

/// How [`StackedRul`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct StackSettings {
    bases: Vec<StackBase>,
    weights: Option<Vec<f64>>,
    n_weight_folds: usize,
}

impl Default for StackSettings {
    fn default() -> Self {
        Self {
            bases: vec![
                StackBase::GradientBoosting(GradientBoostingSettings::default()),
                StackBase::FourierRidge(FourierRidgeSettings::default()),
            ],
            weights: None,
            n_weight_folds: 5,
        }
    }
}

/// One line a base: its name, its settings, its parameters, its fitted half and that one's record, and its kind in files.
macro_rules! bases {
    ($($name:ident: $settings:ty, $params:ty => $point:ty, $record:ty, $kind:literal;)*) => {
        /// A regressor that may be in a stack, unfitted: made from its parameters, of which cap, interval, folds and seed
        /// are those of the stack instead.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum StackBase {
            $(#[doc = concat!("`", $kind, "`.")] $name($settings),)*
        }

        $(impl From<$params> for StackBase {
            fn from(params: $params) -> Self {
                Self::$name(params.into_algorithm())
            }
        })*

        /// A fitted base.
        #[derive(Clone, Debug)]
        enum Member {
            $($name($point),)*
        }

        /// A fitted base as it is written to files; the names are those of its kind.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        enum MemberRecord {
            $(#[serde(rename = $kind)] $name($record),)*
        }

        impl StackBase {
            fn check(&self) -> Result<()> {
                match self {
                    $(Self::$name(s) => s.check(),)*
                }
            }

            fn fit(&self, rows: LabelledRows<'_>, seed: Seed) -> Result<Member> {
                Ok(match self {
                    $(Self::$name(s) => Member::$name(s.fit(rows, seed)?),)*
                })
            }

            fn for_held_out(&self) -> Self {
                match self {
                    $(Self::$name(s) => Self::$name(s.for_held_out()),)*
                }
            }
        }

        impl Member {
            fn predict(&self, row: &[f64]) -> f64 {
                match self {
                    $(Self::$name(m) => m.predict(row),)*
                }
            }

            fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $kind,)*
                }
            }

            fn to_record(&self) -> MemberRecord {
                match self {
                    $(Self::$name(m) => MemberRecord::$name(m.to_record()),)*
                }
            }

            fn from_record(record: MemberRecord, n_features: usize) -> Result<Self> {
                Ok(match record {
                    $(MemberRecord::$name(r) => Self::$name(<$point>::from_record(r, n_features)?),)*
                })
            }
        }

        #[cfg(test)]
        #[test]
        fn kinds_of_bases_are_those_of_their_models() {
            $(assert_eq!(<$point as PointModel>::KIND, $kind);)*
        }
    };
}

bases! {
    FourierRidge: FourierRidgeSettings, FourierRidgeParams => FourierCurve, FourierCurveRecord, "rul.fourier_ridge";
    GradientBoosting: GradientBoostingSettings, GradientBoostingParams => BoostedTrees, BoostedTreesRecord,
        "rul.gradient_boosting";
    Ridge: RidgeSettings, RidgeRulParams => RidgeLine, RidgeLineRecord, "rul.ridge";
}

/// The fitted half of [`StackedRul`]: bases and their weights.
#[derive(Clone, Debug)]
pub struct Stack {
    members: Vec<(f64, Member)>,
}

/// [`Stack`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StackRecord {
    weights: Vec<f64>,
    members: Vec<MemberRecord>,
}

impl StackedRul {
    /// Gradient boosting and Fourier ridge at their defaults, weights from five folds, 90% intervals from five folds by asset,
    /// no cap.
    pub fn params() -> StackedRulParams {
        StackedRulParams::default()
    }

    /// Kind and weight of each base in their order, those of weight 0 left out.
    pub fn weights(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.point_model().members.iter().map(|(w, m)| (m.kind(), *w))
    }
}

impl StackedRulParams {
    /// The bases: 1..=32.
    #[must_use]
    pub fn bases(self, bases: impl IntoIterator<Item = StackBase>) -> Self {
        self.with(|s| s.bases = bases.into_iter().collect())
    }

    /// Weights of the bases, in their order, instead of learnt ones: not negative, their sum above 0 (it is made one).
    #[must_use]
    pub fn weights(self, weights: impl IntoIterator<Item = f64>) -> Self {
        self.with(|s| s.weights = Some(weights.into_iter().collect()))
    }

    /// Folds by asset from whose predictions the weights are learnt, 5 unless set; at most one an asset is made.
    #[must_use]
    pub fn n_weight_folds(self, n: usize) -> Self {
        self.with(|s| s.n_weight_folds = n)
    }
}

impl StackSettings {
    /// The weights of least error over predictions of rows held out.
    fn learnt_weights(&self, rows: LabelledRows<'_>, seed: Seed) -> Result<Vec<f64>> {
        let (table, n) = (rows.table, self.bases.len());
        if n == 1 {
            return Ok(vec![1.0]);
        }
        if table.n_assets() < 2 {
            return Err(Error::insufficient(
                "weights of a stack",
                "at least 2 assets",
                table.n_assets(),
            ));
        }
        let folds = AssetFolds::new(
            table.n_assets(),
            self.n_weight_folds.min(table.n_assets()),
            seed.part(0),
        )?;
        let bases: Vec<StackBase> = self.bases.iter().map(StackBase::for_held_out).collect();
        let mut columns = vec![vec![0.0; table.n_rows()]; n];
        for fold in 0..folds.n_folds() {
            let held_out = |i: usize| folds.holds_out(fold, table.asset()[i] as usize);
            let (train, kept) = table.filtered(|i| !held_out(i))?;
            let lives: Vec<f64> = kept.iter().map(|&i| rows.lives[i]).collect();
            for (k, (base, column)) in bases.iter().zip(&mut columns).enumerate() {
                let member = base.fit(LabelledRows::new(&train, &lives, None), seed.part(1 + k as u64))?;
                for (i, (row, out)) in table.rows().zip(column).enumerate() {
                    if held_out(i) {
                        *out = member.predict(row);
                    }
                }
            }
        }
        let mut n_rows_of = vec![0.0f64; table.n_assets()];
        table.asset().iter().for_each(|&a| n_rows_of[a as usize] += 1.0);
        let row_weights: Vec<f64> = table.asset().iter().map(|&a| 1.0 / n_rows_of[a as usize]).collect();
        convex_weights(&columns, rows.lives, &row_weights)
    }
}

impl RulAlgorithm for StackSettings {
    type Point = Stack;

    fn check(&self) -> Result<()> {
        if !(1..=MAX_BASES).contains(&self.bases.len()) {
            return Err(Error::parameter(
                "bases",
                format!("1..={MAX_BASES} of them"),
                self.bases.len(),
            ));
        }
        if !(2..=1000).contains(&self.n_weight_folds) {
            return Err(Error::parameter("n_weight_folds", "2..=1000", self.n_weight_folds));
        }
        if let Some(weights) = &self.weights {
            if weights.len() != self.bases.len() {
                let wanted = format!("{}, one a base", self.bases.len());
                return Err(Error::parameter("weights", wanted, weights.len()));
            }
            if let Some(w) = weights.iter().find(|w| !(**w >= 0.0 && **w <= 1e6)) {
                return Err(Error::parameter("weights", "in 0..=1e6", w));
            }
            let total: f64 = weights.iter().sum();
            if total < 1e-6 {
                return Err(Error::parameter("weights", "a sum of at least 1e-6", total));
            }
        }
        self.bases.iter().try_for_each(StackBase::check)
    }

    fn fit(&self, rows: LabelledRows<'_>, seed: Seed) -> Result<Stack> {
        let weights = match &self.weights {
            Some(weights) => {
                let total: f64 = weights.iter().sum();
                weights.iter().map(|w| w / total).collect()
            }
            None => self.learnt_weights(rows, seed)?,
        };
        let mut members = Vec::with_capacity(weights.len());
        for (k, (base, &w)) in self.bases.iter().zip(&weights).enumerate() {
            if w > 0.0 {
                members.push((w, base.fit(rows, seed.part(1 + k as u64))?));
            }
        }
        Ok(Stack { members })
    }

    /// The bases' own cheaper settings, weights from two folds.
    fn for_held_out(&self) -> Self {
        Self {
            bases: self.bases.iter().map(StackBase::for_held_out).collect(),
            weights: self.weights.clone(),
            n_weight_folds: 2,
        }
    }
}

impl PointModel for Stack {
    const KIND: &'static str = "rul.stack";
    type Record = StackRecord;

    fn predict(&self, row: &[f64]) -> f64 {
        // Weights at most 1 and a finite sum of them: finite where each base is.
        let held = |x: f64| x.clamp(-1e300, 1e300);
        self.members.iter().map(|(w, m)| w * held(m.predict(row))).sum()
    }

    fn to_record(&self) -> StackRecord {
        StackRecord {
            weights: self.members.iter().map(|(w, _)| *w).collect(),
            members: self.members.iter().map(|(_, m)| m.to_record()).collect(),
        }
    }

    fn from_record(r: StackRecord, n_features: usize) -> Result<Self> {
        let sum: f64 = r.weights.iter().sum();
        let sound = (1..=MAX_BASES).contains(&r.members.len())
            && r.weights.len() == r.members.len()
            && r.weights.iter().all(|w| *w > 0.0 && *w <= 1.0 + ROUNDING)
            && (sum - 1.0).abs() <= ROUNDING;
        if !sound {
            return Err(Error::persistence(
                "stack: expected 1 to 32 bases and a weight above 0 for each, their sum 1",
            ));
        }
        let members = r.members.into_iter().map(|m| Member::from_record(m, n_features));
        Ok(Self {
            members: r
                .weights
                .into_iter()
                .zip(members)
                .map(|(w, m)| m.map(|m| (w, m)))
                .collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FourierRidge, GradientBoosting, RidgeRul, RulLabels};
    use super::*;
    use crate::{
        features::{FeatureSchema, FeatureTable},
        quantity::LifeUnit,
        signal::Channel,
    };
    use linfa::{DatasetBase, ParamGuard, traits::Fit};
    use ndarray::Array2;

    /// Eight assets of 60 rows: life is half a line, half a wave of two features.
    fn data() -> DatasetBase<FeatureTable, RulLabels> {
        let schema = FeatureSchema::of_channels(&[Channel::new("a", ""), Channel::new("b", "")]).unwrap();
        let a = |i: usize| (i * 37 % 101) as f64 / 50.0 - 1.0;
        let b = |i: usize| (i * 53 % 97) as f64 / 48.0 - 1.0;
        let x = Array2::from_shape_fn((480, 2), |(i, c)| if c == 0 { a(i) } else { b(i) });
        let y = (0..480)
            .map(|i| 60.0 + 20.0 * a(i) + 20.0 * (3.0 * b(i)).sin())
            .collect();
        let table = FeatureTable::new(schema, x, (0..480).map(|i| i as u32 / 60).collect()).unwrap();
        DatasetBase::new(table, RulLabels::new(y, LifeUnit::Hours).unwrap())
    }

    fn bases() -> [StackBase; 3] {
        [
            GradientBoosting::params().n_trees(20).n_ensembles(1).into(),
            FourierRidge::params().n_waves(60).lambda(0.1).into(),
            RidgeRul::params().into(),
        ]
    }

    fn squared_error(model: &StackedRul, data: &DatasetBase<FeatureTable, RulLabels>) -> f64 {
        let rows = data.records.rows().zip(data.targets.rul());
        rows.map(|(row, y)| (model.point_model().predict(row) - y).powi(2))
            .sum()
    }

    #[test]
    fn weights_are_a_share_and_favour_the_base_that_fits() {
        let data = data();
        let model = StackedRul::params().bases(bases()).fit(&data).unwrap();
        let weights: Vec<_> = model.weights().collect();
        assert!((weights.iter().map(|w| w.1).sum::<f64>() - 1.0).abs() < 1e-12);
        let best = weights.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert_eq!(best.0, "rul.fourier_ridge", "{weights:?}");
        let line = StackedRul::params()
            .bases(bases())
            .weights([0.0, 0.0, 3.0])
            .fit(&data)
            .unwrap();
        assert_eq!(line.weights().collect::<Vec<_>>(), [("rul.ridge", 1.0)]);
        assert!(squared_error(&model, &data) < 0.05 * squared_error(&line, &data));
    }

    #[test]
    fn given_weights_give_the_weighted_mean_and_one_base_is_itself() {
        let data = data();
        let alone = |w: [f64; 3]| StackedRul::params().bases(bases()).weights(w).fit(&data).unwrap();
        let (trees, curve) = (alone([1.0, 0.0, 0.0]), alone([0.0, 1.0, 0.0]));
        let mixed = alone([4.0, 1.0, 0.0]);
        for row in data.records.rows().take(50) {
            let p = |m: &StackedRul| m.point_model().predict(row);
            assert!((p(&mixed) - (0.8 * p(&trees) + 0.2 * p(&curve))).abs() < 1e-9);
        }
        let single = StackedRul::params()
            .bases([RidgeRul::params().into()])
            .fit(&data)
            .unwrap();
        let ridge = RidgeRul::params().fit(&data).unwrap();
        for row in data.records.rows().take(50) {
            assert_eq!(single.point_model().predict(row), ridge.point_model().predict(row));
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let p = StackedRul::params;
        for (name, params) in [
            ("bases", p().bases([])),
            ("bases", p().bases(vec![RidgeRul::params().into(); 33])),
            ("weights", p().weights([1.0])),
            ("weights", p().weights([1.0, f64::NAN])),
            ("weights", p().weights([1.0, -1.0])),
            ("weights", p().weights([0.0, 0.0])),
            ("n_weight_folds", p().n_weight_folds(1)),
            ("lambda", p().bases([RidgeRul::params().lambda(-1.0).into()])),
        ] {
            assert!(params.check_ref().unwrap_err().to_string().contains(name), "{name}");
        }
    }

    #[test]
    fn hostile_records_are_refused() {
        let model = StackedRul::params()
            .bases(bases())
            .weights([1.0, 1.0, 2.0])
            .fit(&data())
            .unwrap();
        let good = model.point_model().to_record();
        let again = Stack::from_record(good.clone(), 2).unwrap();
        assert_eq!(again.predict(&[0.3, 0.1]), model.point_model().predict(&[0.3, 0.1]));
        let bad = |change: fn(&mut StackRecord)| {
            let mut r = good.clone();
            change(&mut r);
            Stack::from_record(r, 2).unwrap_err()
        };
        bad(|r| r.weights[0] = f64::NAN);
        bad(|r| r.weights[0] = 0.5);
        bad(|r| r.weights[0] = -0.25);
        bad(|r| r.weights.truncate(1));
        bad(|r| (r.weights, r.members) = (vec![], vec![]));
        assert!(Stack::from_record(good, 3).is_err());
    }
}
