//! The closed list of regressors: what a chain may hold.

use super::{
    LabelSettings, RowRegressor, RulLabels, TrajectoryRegressor, Uncalibrated,
    conformal::BinnedIntervals,
    degradation::{
        ExponentialCourse, ExponentialDegradationParams, GammaCourse, GammaProcessParams, LinearCourse,
        LinearDegradationParams, WienerCourse, WienerProcessParams,
    },
    extra_trees::{ExtraTreesParams, RandomTrees},
    filter::{
        BatteryFade, BatteryRulParams, BearingWear, BearingWearRulParams, ParisCrack, ParisRulParams, ParticleLife,
    },
    fourier_ridge::{FourierCurve, FourierRidgeParams},
    gradient_boosting::{BoostedTrees, GradientBoostingParams},
    life_prior::{LifeDistribution, LifePriorParams},
    ridge::{RidgeLine, RidgeRulParams},
    similarity::{
        CondensedLives, FittedLives, HashSimilarityParams, KeptHistories, PairwiseSimilarityParams,
        ResidualSimilarityParams,
    },
    stack::{Stack, StackedRulParams},
    survival::{
        AgeCurve, CoxModel, CoxRulParams, KaplanMeierRulParams, LastReadings, LogNormalAft, LogNormalAftRulParams,
        WeibullAft, WeibullAftRulParams,
    },
    updated_life_prior::{UpdatedLife, UpdatedLifePriorParams},
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{Assessment, OnlineModel, PersistentModel, RulDistribution, RulEstimate, RulRegressor},
    quantity::Timestamp,
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use serde::{Deserialize, Serialize};

/// One line a regressor: its name in the enums, its parameters, the fitted half of its algorithm, its kind in files. Those of
/// single rows come first, then those that follow a machine.
macro_rules! regressors {
    (
        rows { $($row:ident: $row_params:ty => $point:ty, $row_kind:literal;)* }
        trajectories { $($name:ident: $params:ty => $model:ty, $kind:literal;)* }
    ) => {
        /// The parameters of any regressor, not yet checked.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum AnyRulParams {
            $(#[doc = concat!("Of `", $row_kind, "`.")] $row($row_params),)*
            $(#[doc = concat!("Of `", $kind, "`.")] $name($params),)*
        }

        $(impl From<$row_params> for AnyRulParams {
            fn from(params: $row_params) -> Self {
                Self::$row(params)
            }
        })*

        $(impl From<$params> for AnyRulParams {
            fn from(params: $params) -> Self {
                Self::$name(params)
            }
        })*

        /// Any fitted regressor.
        ///
        /// For lists of mixed regressors whose types are not known before a file is read.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum AnyRul {
            $(#[doc = concat!("`", $row_kind, "`.")] $row(Box<RowRegressor<$point>>),)*
            $(#[doc = concat!("`", $kind, "`.")] $name(Box<TrajectoryRegressor<$model>>),)*
        }

        $(impl From<RowRegressor<$point>> for AnyRul {
            fn from(model: RowRegressor<$point>) -> Self {
                Self::$row(Box::new(model))
            }
        })*

        $(impl From<TrajectoryRegressor<$model>> for AnyRul {
            fn from(model: TrajectoryRegressor<$model>) -> Self {
                Self::$name(Box::new(model))
            }
        })*

        /// Any regressor of single rows before it has intervals.
        #[derive(Clone, Debug)]
        pub(crate) enum AnyUncalibrated {
            $($row(Uncalibrated<$point>),)*
        }

        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        enum StateOf {
            /// Of a regressor of single rows.
            Nothing,
            $(#[serde(rename = $kind)] $name(<TrajectoryRegressor<$model> as OnlineModel>::State),)*
        }

        /// Any regressor as it is written to files; the names are those of its kind.
        #[derive(Serialize, Deserialize)]
        pub(crate) enum AnyRulRecord {
            $(#[serde(rename = $row_kind)] $row(<RowRegressor<$point> as PersistentModel>::Persisted),)*
            $(#[serde(rename = $kind)] $name(<TrajectoryRegressor<$model> as PersistentModel>::Persisted),)*
        }

        impl AnyRulParams {
            /// Checks the parameters.
            ///
            /// # Errors
            /// `InvalidParameter`, naming the parameter, what was expected and what came.
            pub fn check(&self) -> Result<()> {
                match self {
                    $(Self::$row(p) => p.check_ref().map(|_| ()),)*
                    $(Self::$name(p) => p.check_ref().map(|_| ()),)*
                }
            }

            /// Fits the regressor.
            ///
            /// # Errors
            /// Those of the regressor.
            pub fn fit(&self, table: FeatureTable, labels: RulLabels) -> Result<AnyRul> {
                let data = DatasetBase::new(table, labels);
                Ok(match self {
                    $(Self::$row(p) => AnyRul::from(p.fit(&data)?),)*
                    $(Self::$name(p) => AnyRul::from(p.fit(&data)?),)*
                })
            }

            /// Cap, level, folds and seed of a regressor whose intervals come from machines held out; `None` where the
            /// distribution is the model's own.
            pub(crate) fn labels(&self) -> Result<Option<&LabelSettings>> {
                Ok(match self {
                    $(Self::$row(p) => Some(p.check_ref()?.labels()),)*
                    $(Self::$name(_) => None,)*
                })
            }

            /// A regressor of single rows without its intervals; `held_out` for those behind intervals.
            pub(crate) fn fit_point(
                &self,
                table: &FeatureTable,
                labels: &RulLabels,
                held_out: bool,
            ) -> Result<AnyUncalibrated> {
                match self {
                    $(Self::$row(p) => Ok(AnyUncalibrated::$row(p.check_ref()?.fit_point(table, labels, held_out)?)),)*
                    $(Self::$name(_) => Err(Error::parameter("rul", "a regressor of single rows", $kind)),)*
                }
            }
        }

        impl AnyUncalibrated {
            pub(crate) fn point(&self, row: &[f64]) -> f64 {
                match self {
                    $(Self::$row(m) => m.point(row),)*
                }
            }

            pub(crate) fn calibrated(self, intervals: BinnedIntervals) -> Result<AnyRul> {
                Ok(match self {
                    $(Self::$row(m) => AnyRul::from(m.calibrated(intervals)?),)*
                })
            }
        }

        impl AnyRul {
            /// The stable name of this kind of regressor in files.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$row(_) => $row_kind,)*
                    $(Self::$name(_) => $kind,)*
                }
            }

            /// Whether it remembers nothing of a machine.
            pub fn is_stateless(&self) -> bool {
                match self {
                    $(Self::$row(_) => true,)*
                    $(Self::$name(_) => false,)*
                }
            }

            /// The state of a machine whose life began at `born`, before its first row.
            pub fn new_state_since(&self, born: Timestamp) -> AnyRulState {
                AnyRulState {
                    model: self.fingerprint(),
                    state: match self {
                        $(Self::$row(_) => StateOf::Nothing,)*
                        $(Self::$name(m) => StateOf::$name(m.new_state_since(born)),)*
                    },
                }
            }

            pub(crate) fn to_record(&self) -> AnyRulRecord {
                match self {
                    $(Self::$row(m) => AnyRulRecord::$row(m.to_persisted()),)*
                    $(Self::$name(m) => AnyRulRecord::$name(m.to_persisted()),)*
                }
            }

            pub(crate) fn from_record(record: AnyRulRecord) -> Result<Self> {
                Ok(match record {
                    $(AnyRulRecord::$row(r) => Self::from(RowRegressor::<$point>::from_persisted(r)?),)*
                    $(AnyRulRecord::$name(r) => Self::from(TrajectoryRegressor::<$model>::from_persisted(r)?),)*
                })
            }

            /// The outcome of a row for a regressor that needs no state.
            pub(crate) fn assess_stateless(&self, x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
                match self {
                    $(Self::$row(m) => m.assess(&(), x),)*
                    _ => Err(another_kind()),
                }
            }

            /// The distribution after the row that was stepped last, which was `x`; `state` where there is one.
            pub(crate) fn standing(
                &self,
                state: Option<&AnyRulState>,
                x: FeatureView<'_>,
            ) -> Result<Assessment<RulDistribution>> {
                match (self, state.map(|s| &s.state)) {
                    $((Self::$row(m), None) => m.distribution(&(), x),)*
                    $((Self::$name(m), Some(StateOf::$name(s))) => m.standing_after(s, &x),)*
                    _ => Err(another_kind()),
                }
            }

            /// Refuses a state of another model, or one that this model cannot have made; `None` stands for that of a
            /// regressor that needs none.
            pub(crate) fn expect_state(&self, state: Option<&AnyRulState>) -> Result<()> {
                if let Some(state) = state {
                    self.expect_own(state)?;
                }
                match (self, state.map(|s| &s.state)) {
                    $((Self::$row(_), None) => Ok(()),)*
                    $((Self::$name(m), Some(StateOf::$name(s))) => m.expect_state(s),)*
                    _ => Err(another_kind()),
                }
            }
        }

        impl OnlineModel for AnyRul {
            type State = AnyRulState;
            type Output = RulEstimate;

            fn schema(&self) -> &FeatureSchema {
                match self {
                    $(Self::$row(m) => m.schema(),)*
                    $(Self::$name(m) => m.schema(),)*
                }
            }

            fn fingerprint(&self) -> Fingerprint {
                match self {
                    $(Self::$row(m) => m.fingerprint(),)*
                    $(Self::$name(m) => m.fingerprint(),)*
                }
            }

            fn new_state(&self) -> AnyRulState {
                AnyRulState {
                    model: self.fingerprint(),
                    state: match self {
                        $(Self::$row(_) => StateOf::Nothing,)*
                        $(Self::$name(m) => StateOf::$name(m.new_state()),)*
                    },
                }
            }

            fn assess(&self, state: &AnyRulState, x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
                self.expect_own(state)?;
                match (self, &state.state) {
                    $((Self::$row(m), StateOf::Nothing) => m.assess(&(), x),)*
                    $((Self::$name(m), StateOf::$name(s)) => m.assess(s, x),)*
                    _ => Err(another_kind()),
                }
            }

            fn update(&self, state: &mut AnyRulState, x: FeatureView<'_>) -> Result<()> {
                self.expect_own(state)?;
                match (self, &mut state.state) {
                    $((Self::$row(m), StateOf::Nothing) => m.update(&mut (), x),)*
                    $((Self::$name(m), StateOf::$name(s)) => m.update(s, x),)*
                    _ => Err(another_kind()),
                }
            }

            fn step(&self, state: &mut AnyRulState, x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
                self.expect_own(state)?;
                match (self, &mut state.state) {
                    $((Self::$row(m), StateOf::Nothing) => m.step(&mut (), x),)*
                    $((Self::$name(m), StateOf::$name(s)) => m.step(s, x),)*
                    _ => Err(another_kind()),
                }
            }
        }

        impl RulRegressor for AnyRul {
            fn distribution(&self, state: &AnyRulState, x: FeatureView<'_>) -> Result<Assessment<RulDistribution>> {
                self.expect_own(state)?;
                match (self, &state.state) {
                    $((Self::$row(m), StateOf::Nothing) => m.distribution(&(), x),)*
                    $((Self::$name(m), StateOf::$name(s)) => m.distribution(s, x),)*
                    _ => Err(another_kind()),
                }
            }
        }

        #[cfg(test)]
        #[test]
        fn kinds_are_those_of_the_models() {
            $(assert_eq!(<RowRegressor<$point> as PersistentModel>::KIND, $row_kind);)*
            $(assert_eq!(<TrajectoryRegressor<$model> as PersistentModel>::KIND, $kind);)*
        }
    };
}

regressors! {
    rows {
        ExtraTrees: ExtraTreesParams => RandomTrees, "rul.extra_trees";
        FourierRidge: FourierRidgeParams => FourierCurve, "rul.fourier_ridge";
        GradientBoosting: GradientBoostingParams => BoostedTrees, "rul.gradient_boosting";
        Ridge: RidgeRulParams => RidgeLine, "rul.ridge";
        Stack: StackedRulParams => Stack, "rul.stack";
    }
    trajectories {
        BatteryFade: BatteryRulParams => ParticleLife<BatteryFade>, "rul.battery_fade";
        BearingWear: BearingWearRulParams => ParticleLife<BearingWear>, "rul.bearing_wear";
        Cox: CoxRulParams => LastReadings<CoxModel>, "rul.cox";
        ExponentialDegradation: ExponentialDegradationParams => ExponentialCourse, "rul.exponential_degradation";
        GammaProcess: GammaProcessParams => GammaCourse, "rul.gamma_process";
        HashSimilarity: HashSimilarityParams => CondensedLives, "rul.hash_similarity";
        KaplanMeier: KaplanMeierRulParams => AgeCurve, "rul.kaplan_meier";
        LifePrior: LifePriorParams => LifeDistribution, "rul.life_prior";
        LinearDegradation: LinearDegradationParams => LinearCourse, "rul.linear_degradation";
        LogNormalAft: LogNormalAftRulParams => LastReadings<LogNormalAft>, "rul.log_normal_aft";
        PairwiseSimilarity: PairwiseSimilarityParams => KeptHistories, "rul.pairwise_similarity";
        ParisCrack: ParisRulParams => ParticleLife<ParisCrack>, "rul.paris_crack";
        ResidualSimilarity: ResidualSimilarityParams => FittedLives, "rul.residual_similarity";
        UpdatedLifePrior: UpdatedLifePriorParams => UpdatedLife, "rul.updated_life_prior";
        WeibullAft: WeibullAftRulParams => LastReadings<WeibullAft>, "rul.weibull_aft";
        Wiener: WienerProcessParams => WienerCourse, "rul.wiener";
    }
}

/// What any regressor remembers of one machine; carries the regressor's fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnyRulState {
    model: Fingerprint,
    state: StateOf,
}

impl AnyRul {
    fn expect_own(&self, state: &AnyRulState) -> Result<()> {
        if state.model == self.fingerprint() {
            Ok(())
        } else {
            Err(Error::state(
                "state",
                format!("one of model {}", self.fingerprint()),
                format!("one of model {}", state.model),
            ))
        }
    }
}

fn another_kind() -> Error {
    Error::state("state", "one of this kind of regressor", "one of another")
}
