//! The closed list of detectors: what a chain or a fusion may hold.

use super::{
    Adwin, AdwinParams, BayesianChangePoint, BayesianChangePointParams, CopodDetector, CopodParams, Cusum, CusumParams,
    DensityClusters, DensityClustersParams, EcodDetector, EcodParams, EwmaChart, EwmaChartParams,
    ExtendedIsolationForest, ExtendedIsolationForestParams, GaussianMixtureDetector, GaussianMixtureParams,
    HalfSpaceTrees, HalfSpaceTreesParams, HistogramDetector, HistogramDetectorParams, IsolationForest,
    IsolationForestParams, KernelRegression, KernelRegressionParams, LaggedPca, LaggedPcaParams, LeftDiscord,
    LeftDiscordParams, LocalOutlierFactor, LocalOutlierFactorParams, Loda, LodaParams, MahalanobisDetector,
    MahalanobisParams, MewmaChart, MewmaChartParams, NearestIsolation, NearestIsolationParams, NearestNeighbours,
    NearestNeighboursParams, OneClassSvmDetector, OneClassSvmParams, OnlineIsolationForest,
    OnlineIsolationForestParams, PageHinkley, PageHinkleyParams, PcaDetector, PcaParams, RandomCutForest,
    RandomCutForestParams, RarityRecordDetector, RarityRecordParams, RobustMahalanobisDetector,
    RobustMahalanobisParams,
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, PersistentModel},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use serde::{Deserialize, Serialize};

/// One line a detector: its name in the enums, its parameters, its fitted type, its kind in files.
macro_rules! detectors {
    ($($name:ident: $params:ty => $model:ty, $kind:literal;)*) => {
        /// The parameters of any detector, not yet checked.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum AnyDetectorParams {
            $(#[doc = concat!("Of a [`", stringify!($model), "`].")] $name($params),)*
        }

        $(impl From<$params> for AnyDetectorParams {
            fn from(params: $params) -> Self {
                Self::$name(params)
            }
        })*

        /// Any fitted detector.
        ///
        /// For lists of mixed detectors whose types are not known before a file is read. Each keeps its own scores and
        /// thresholds.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum AnyDetector {
            $(#[doc = concat!("A [`", stringify!($model), "`].")] $name(Box<$model>),)*
        }

        $(impl From<$model> for AnyDetector {
            fn from(model: $model) -> Self {
                Self::$name(Box::new(model))
            }
        })*

        /// What any detector remembers of one machine; carries the detector's fingerprint.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct AnyDetectorState {
            model: Fingerprint,
            state: StateOf,
        }

        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        enum StateOf {
            // In a box, which takes no memory where there is nothing to remember.
            $(#[serde(rename = $kind)] $name(Box<<$model as OnlineModel>::State>),)*
        }

        /// Any detector as it is written to files; the names are those of its kind.
        #[derive(Serialize, Deserialize)]
        pub(crate) enum AnyDetectorRecord {
            $(#[serde(rename = $kind)] $name(<$model as PersistentModel>::Persisted),)*
        }

        impl AnyDetectorParams {
            /// Checks the parameters.
            ///
            /// # Errors
            /// `InvalidParameter`, naming the parameter, what was expected and what came.
            pub fn check(&self) -> Result<()> {
                match self {
                    $(Self::$name(p) => p.check_ref().map(|_| ()),)*
                }
            }

            /// Fits the detector on `table`.
            ///
            /// # Errors
            /// Those of the detector.
            pub fn fit(&self, table: FeatureTable) -> Result<AnyDetector> {
                let data = DatasetBase::new(table, ());
                Ok(match self {
                    $(Self::$name(p) => AnyDetector::from(p.fit(&data)?),)*
                })
            }
        }

        impl AnyDetector {
            /// The stable name of this kind of detector in files.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => <$model as PersistentModel>::KIND,)*
                }
            }

            pub(crate) fn to_record(&self) -> AnyDetectorRecord {
                match self {
                    $(Self::$name(m) => AnyDetectorRecord::$name(m.to_persisted()),)*
                }
            }

            /// Refuses a state of another model, or one that this model cannot have made.
            pub(crate) fn expect_state(&self, state: &AnyDetectorState) -> Result<()> {
                self.expect_own(state)?;
                match (self, &state.state) {
                    $((Self::$name(m), StateOf::$name(s)) => m.expect_state(s),)*
                    _ => Err(another_kind()),
                }
            }

            pub(crate) fn from_record(record: AnyDetectorRecord) -> Result<Self> {
                Ok(match record {
                    $(AnyDetectorRecord::$name(r) => Self::from(<$model>::from_persisted(r)?),)*
                })
            }
        }

        impl OnlineModel for AnyDetector {
            type State = AnyDetectorState;
            type Output = AnomalyScore;

            fn schema(&self) -> &FeatureSchema {
                match self {
                    $(Self::$name(m) => m.schema(),)*
                }
            }

            fn fingerprint(&self) -> Fingerprint {
                match self {
                    $(Self::$name(m) => m.fingerprint(),)*
                }
            }

            fn new_state(&self) -> AnyDetectorState {
                AnyDetectorState {
                    model: self.fingerprint(),
                    state: match self {
                        $(Self::$name(m) => StateOf::$name(Box::new(m.new_state())),)*
                    },
                }
            }

            fn assess(&self, state: &AnyDetectorState, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
                self.expect_own(state)?;
                match (self, &state.state) {
                    $((Self::$name(m), StateOf::$name(s)) => m.assess(s, x),)*
                    _ => Err(another_kind()),
                }
            }

            fn update(&self, state: &mut AnyDetectorState, x: FeatureView<'_>) -> Result<()> {
                self.expect_own(state)?;
                match (self, &mut state.state) {
                    $((Self::$name(m), StateOf::$name(s)) => m.update(s, x),)*
                    _ => Err(another_kind()),
                }
            }

            fn step(&self, state: &mut AnyDetectorState, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
                self.expect_own(state)?;
                match (self, &mut state.state) {
                    $((Self::$name(m), StateOf::$name(s)) => m.step(s, x),)*
                    _ => Err(another_kind()),
                }
            }
        }

        impl AnomalyDetector for AnyDetector {
            fn contributions_into(
                &self,
                state: &AnyDetectorState,
                x: FeatureView<'_>,
                out: &mut [f64],
            ) -> Result<Assessment<()>> {
                self.expect_own(state)?;
                match (self, &state.state) {
                    $((Self::$name(m), StateOf::$name(s)) => m.contributions_into(s, x, out),)*
                    _ => Err(another_kind()),
                }
            }
        }

        #[cfg(test)]
        #[test]
        fn kinds_are_those_of_the_models() {
            $(assert_eq!(<$model as PersistentModel>::KIND, $kind);)*
        }
    };
}

detectors! {
    Adwin: AdwinParams => Adwin, "detect.adwin";
    BayesianChangePoint: BayesianChangePointParams => BayesianChangePoint, "detect.bayesian_change_point";
    Copod: CopodParams => CopodDetector, "detect.copod";
    Cusum: CusumParams => Cusum, "detect.cusum";
    DensityClusters: DensityClustersParams => DensityClusters, "detect.density_clusters";
    Ecod: EcodParams => EcodDetector, "detect.ecod";
    EwmaChart: EwmaChartParams => EwmaChart, "detect.ewma_chart";
    ExtendedIsolationForest: ExtendedIsolationForestParams => ExtendedIsolationForest, "detect.extended_isolation_forest";
    GaussianMixture: GaussianMixtureParams => GaussianMixtureDetector, "detect.gaussian_mixture";
    HalfSpaceTrees: HalfSpaceTreesParams => HalfSpaceTrees, "detect.half_space_trees";
    Histogram: HistogramDetectorParams => HistogramDetector, "detect.histogram";
    IsolationForest: IsolationForestParams => IsolationForest, "detect.isolation_forest";
    KernelRegression: KernelRegressionParams => KernelRegression, "detect.kernel_regression";
    LaggedPca: LaggedPcaParams => LaggedPca, "detect.lagged_pca";
    LeftDiscord: LeftDiscordParams => LeftDiscord, "detect.left_discord";
    LocalOutlierFactor: LocalOutlierFactorParams => LocalOutlierFactor, "detect.local_outlier_factor";
    Loda: LodaParams => Loda, "detect.loda";
    Mahalanobis: MahalanobisParams => MahalanobisDetector, "detect.mahalanobis";
    MewmaChart: MewmaChartParams => MewmaChart, "detect.mewma_chart";
    NearestIsolation: NearestIsolationParams => NearestIsolation, "detect.nearest_isolation";
    NearestNeighbours: NearestNeighboursParams => NearestNeighbours, "detect.nearest_neighbours";
    OneClassSvm: OneClassSvmParams => OneClassSvmDetector, "detect.one_class_svm";
    OnlineIsolationForest: OnlineIsolationForestParams => OnlineIsolationForest, "detect.online_isolation_forest";
    PageHinkley: PageHinkleyParams => PageHinkley, "detect.page_hinkley";
    Pca: PcaParams => PcaDetector, "detect.pca";
    RandomCutForest: RandomCutForestParams => RandomCutForest, "detect.random_cut_forest";
    RarityRecord: RarityRecordParams => RarityRecordDetector, "detect.rarity_record";
    RobustMahalanobis: RobustMahalanobisParams => RobustMahalanobisDetector, "detect.robust_mahalanobis";
}

impl AnyDetector {
    fn expect_own(&self, state: &AnyDetectorState) -> Result<()> {
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
    Error::state("state", "one of this kind of detector", "one of another")
}
