//! State detection: detectors fitted on healthy rows that say how far a new row lies from them, and which features
//! carry it there.
//!
//! | Detector | Sees | Use where |
//! |---|---|---|
//! | [`PcaDetector`] | extremes along the usual directions (Hotelling's T²) and broken relations between features (Q) | many correlated sensors; the usual first choice |
//! | [`EcodDetector`] | rare values, column by column | large tables of many columns; nothing to tune |
//! | [`CopodDetector`] | rare values, mostly on the side of a column's longer tail | as ECOD, where sensors stray to one side |
//! | [`MahalanobisDetector`] | distance in the metric of the training covariance, shrunk | few features, or fewer rows than features |
//! | [`NearestNeighbours`] | distance to the nearest training rows | healthy data of any shape |
//! | [`LocalOutlierFactor`] | surroundings emptier than those of the nearest training rows | several ways of running, some tight and some wide |
//! | [`DensityClusters`] | distance to the dense parts of the training rows | training data with stray rows in it; which way of running |
//! | [`KernelRegression`] | differences from what healthy rows like it read | related sensors whose relations bend |
//! | [`SmoothedDetector`] | what another detector sees in means of a machine's last rows, and means of its scores; lets an anomaly end where the machine comes back changed | faults that last, on a stream of rows |
//! | [`RarityRecordDetector`] | the rarest row so far for its hour of the day | one or a few slowly sampled channels of which nothing is known; no training |
//! | [`RobustMahalanobisDetector`] | the same from the most compact half of the rows | training rows of which some are not healthy |
//! | [`GaussianMixtureDetector`] | improbability under a few normal distributions | machines that work in several ways |
//! | [`OneClassSvmDetector`] | whether a row lies in the region that holds most rows | usual regions of any shape, up to thousands of rows |
//! | [`LaggedPca`] | broken relations over the last rows of a machine | sensors that follow each other with a delay |
//!
//! All keep [the contract](crate::model): higher scores are more anomalous, and a row is anomalous where its score
//! exceeds the threshold. Row detectors hold no state of a machine
//! (`State = ()`), streaming ones do.
//! | [`IsolationForest`] | rows that few random splits part from the others | many rows, several kinds of usual running, a few anomalies among training rows; fast |
//! | [`ExtendedIsolationForest`] | the same, by slanted splits: broken relations between features too | correlated features |
//! | [`NearestIsolation`] | rows outside the reach of their neighbours, reach by local density | clusters of different density |
//! | [`Loda`] | rare values of random combinations of a few features | very many features or rows |
//! | [`HistogramDetector`] | rare values, each feature by itself | the cheapest; features nearly independent |
//! exceeds the threshold. All of these hold no state of a machine (`State = ()`).
//!
//! # Thresholds
//!
//! Scores of the rows a model was fitted on are too low, so a threshold taken from them gives more false alarms than
//! asked for. Here a threshold is an empirical quantile of *out-of-fold* scores: the training rows are cut into folds
//! by asset (where there are fewer assets than folds, into contiguous blocks of rows), and each fold is scored by a model
//! fitted on the others. The threshold is the score of rank `ceil((n + 1)(1 - false_alarm_rate))` among the `n`, counted
//! from the lowest, at most `n`. It holds its rate without an assumption on the distribution of scores as far as the
//! rows to come look like held-out training rows; with fewer than `1 / false_alarm_rate` rows it is the highest of them.
//!
//! # Thresholds for rare alarms, and p-values
//!
//! What one row in 100,000 exceeds no quantile of a few thousand says. [`PeaksOverThreshold`] extrapolates the tail of
//! scores to a given risk, [`Spot`] and [`DriftSpot`] follow it online. [`ConformalPValues`] turn scores into the share of
//! held-out healthy rows that score as high, and a [`PValueRule`] makes one p-value of several detectors'.
//!
//! # Missing values
//!
//! Training rows with a value that is NaN or infinite are left out. When scoring, such a row is
//! [`Assessment::Unusable`](crate::model::Assessment::Unusable).
//!
//! # Extremes
//!
//! Scoring first turns a value into a number of training standard deviations from the training mean, and clamps that
//! number to ±10⁶. So scores are finite for every finite row. Columns that are constant in training have no standard
//! deviation: they take no part in the score.

mod adwin;
mod any;
mod bayesian_change_point;
mod chance;
mod conformal;
mod copod;
mod cusum;
mod density_clusters;
mod draws;
mod ecod;
mod ewma_chart;
mod extended_isolation_forest;
mod fusion;
mod gaussian_mixture;
mod growing_histogram;
mod histogram;
mod isolation_forest;
mod isolation_tree;
mod kernel_regression;
mod lagged_pca;
mod left_discord;
mod local_outlier_factor;
mod loda;
mod mahalanobis;
mod mewma_chart;
mod nearest_isolation;
mod nearest_neighbours;
mod neighbour_search;
mod one_class_svm;
mod p_values;
mod page_hinkley;
mod pca;
mod peaks_over_threshold;
mod plane;
mod rarity_record;
mod recent_rows;
mod robust_mahalanobis;
mod row_detector;
mod rows;
mod smoothed;
mod standard;
mod stream_detector;
mod tails;
mod threshold;

pub use adwin::{Adwin, AdwinMemory, AdwinParams, AdwinScorer, AdwinSettings};
pub(crate) use any::AnyDetectorRecord;
pub use any::{AnyDetector, AnyDetectorParams, AnyDetectorState};
pub use bayesian_change_point::{
    BayesianChangePoint, BayesianChangePointParams, ChangePointMemory, ChangePointScorer, ChangePointSettings,
};
pub use conformal::ConformalPValues;
pub use copod::{CopodDetector, CopodParams, CopodScorer, CopodSettings};
pub use cusum::{Cusum, CusumMemory, CusumParams, CusumScorer, CusumSettings, Side};
pub use density_clusters::{
    CoreRows, DensityClusters, DensityClustersParams, DensityClustersRecord, DensityClustersSettings,
};
pub use ecod::{EcodDetector, EcodParams, EcodScorer, EcodSettings};
pub use ewma_chart::{EwmaChart, EwmaChartParams, EwmaMemory, EwmaScorer, EwmaSettings};
pub use extended_isolation_forest::{
    ExtendedIsolationForest, ExtendedIsolationForestParams, ExtendedIsolationForestRecord,
    ExtendedIsolationForestSettings, SlantedTrees,
};
pub use fusion::{FusedDetector, FusionParams, FusionRecord, FusionState, FusionValidParams};
pub use gaussian_mixture::{
    GaussianMixture, GaussianMixtureDetector, GaussianMixtureParams, GaussianMixtureRecord, GaussianMixtureSettings,
};
pub use histogram::{HistogramDetector, HistogramDetectorParams, HistogramSettings, Histograms, HistogramsRecord};
pub use isolation_forest::{
    IsolationForest, IsolationForestParams, IsolationForestRecord, IsolationForestSettings, IsolationTrees,
};
pub use kernel_regression::{
    KernelMemory, KernelRegression, KernelRegressionParams, KernelRegressionRecord, KernelRegressionSettings,
};
pub use lagged_pca::{LaggedMemory, LaggedPca, LaggedPcaParams, LaggedPcaSettings, LaggedPlane, LaggedPlaneRecord};
pub use left_discord::{DiscordMemory, DiscordScorer, DiscordSettings, LeftDiscord, LeftDiscordParams};
pub use local_outlier_factor::{
    LocalDensity, LocalOutlierFactor, LocalOutlierFactorParams, LocalOutlierFactorRecord, LocalOutlierFactorSettings,
};
pub use loda::{Loda, LodaParams, LodaRecord, LodaSettings, RandomCuts};
pub use mahalanobis::{
    MahalanobisDetector, MahalanobisMetric, MahalanobisParams, MahalanobisRecord, MahalanobisSettings, Shrinkage,
};
pub use mewma_chart::{MewmaChart, MewmaChartParams, MewmaMemory, MewmaRecord, MewmaScorer, MewmaSettings};
pub use nearest_isolation::{
    NearestIsolation, NearestIsolationParams, NearestIsolationRecord, NearestIsolationSettings, NearestSpheres,
};
pub use nearest_neighbours::{
    NearestNeighbours, NearestNeighboursParams, NearestNeighboursRecord, NearestNeighboursSettings, NeighbourDistance,
    NeighbourScorer,
};
pub use one_class_svm::{
    KernelRate, OneClassSvm, OneClassSvmDetector, OneClassSvmParams, OneClassSvmRecord, OneClassSvmSettings,
};
pub use p_values::PValueRule;
pub use page_hinkley::{PageHinkley, PageHinkleyMemory, PageHinkleyParams, PageHinkleyScorer, PageHinkleySettings};
pub use pca::{PcaDetector, PcaParams, PcaRecord, PcaStatistics, PcaValidParams};
pub use peaks_over_threshold::{DriftSpot, ParetoTail, PeaksOverThreshold, Spot, SpotParams, SpotVerdict};
pub use rarity_record::{
    RarityRecordDetector, RarityRecordMemory, RarityRecordParams, RarityRecordScorer, RarityRecordSettings,
};
pub use robust_mahalanobis::{
    RobustMahalanobisDetector, RobustMahalanobisParams, RobustMahalanobisSettings, RobustMetric, RobustRecord,
};
pub use row_detector::{
    RowAlgorithm, RowDetector, RowDetectorParams, RowDetectorRecord, RowDetectorValidParams, RowScorer,
};
pub use rows::{Rows, Sequences, StreamRow};
pub use smoothed::{SmoothedDetector, SmoothedParams, SmoothedRecord, SmoothedState, SmoothedValidParams};
pub use stream_detector::{
    LearningPolicy, Scaling, Start, StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamDetectorRecord,
    StreamDetectorValidParams, StreamScorer, StreamState,
};
pub use tails::TailsRecord;
