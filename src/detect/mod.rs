//! State detection: detectors fitted on healthy rows that say how far a new row lies from them, and which features
//! carry it there.
//!
//! | Of single rows | Sees | Use where |
//! |---|---|---|
//! | [`PcaDetector`] | extremes along the usual directions (Hotelling's T²) and broken relations between features (Q) | many correlated sensors; the usual first choice |
//! | [`MahalanobisDetector`] | distance in the metric of the training covariance, shrunk | few features, or fewer rows than features |
//! | [`RobustMahalanobisDetector`] | the same distance from the most compact half of the rows | training rows of which some are not healthy |
//! | [`GaussianMixtureDetector`] | improbability under a few normal distributions | machines that work in several ways |
//! | [`NearestNeighbours`] | distance to the nearest training rows | healthy data of any shape |
//! | [`LocalOutlierFactor`] | surroundings emptier than those of the nearest training rows | several ways of running, some tight and some wide |
//! | [`DensityClusters`] | distance to the dense parts of the training rows | training data with stray rows in it; which way of running |
//! | [`KernelRegression`] | differences from what healthy rows like it read | related sensors whose relations bend |
//! | [`OneClassSvmDetector`] | whether a row lies in the region that holds most rows | usual regions of any shape, up to thousands of rows |
//! | [`IsolationForest`] | rows that few random splits part from the others | many rows, several kinds of usual running, a few anomalies among training rows; fast |
//! | [`ExtendedIsolationForest`] | the same, by slanted splits: broken relations between features too | correlated features |
//! | [`NearestIsolation`] | rows outside the reach of their neighbours, reach by local density | clusters of different density |
//! | [`Loda`] | rare values of random combinations of a few features | very many features or rows |
//! | [`HistogramDetector`] | rare values, each feature by itself | the cheapest; features nearly independent |
//! | [`EcodDetector`] | rare values, column by column | large tables of many columns; nothing to tune |
//! | [`CopodDetector`] | rare values, mostly on the side of a column's longer tail | as ECOD, where sensors stray to one side |
//!
//! | Of a machine's stream | Sees | Use where |
//! |---|---|---|
//! | [`EwmaChart`] | a small lasting shift of a feature | a known level; the simplest memory |
//! | [`Cusum`] | a lasting shift about as large as expected, soonest; one side only where wanted | a known level |
//! | [`PageHinkley`] | a level that leaves the machine's own mean | levels that differ from machine to machine |
//! | [`MewmaChart`] | a small lasting shift of related features in any direction | several sensors that move together |
//! | [`Adwin`] | a mean that has changed, by a test that holds at any time | when to train again; no level known |
//! | [`BayesianChangePoint`] | rows that surprise whatever the time since the last change; how likely a change was lately | levels and spreads that change now and then |
//! | [`LaggedPca`] | broken relations over the last rows of a machine | sensors that follow each other with a delay |
//! | [`LeftDiscord`] | shapes not shown before, also over several features | duty cycles, batches, days |
//! | [`HalfSpaceTrees`] | rows where the machine's last window was thin, trees drawn before any row | many machines, high rates: the cheapest to step |
//! | [`RandomCutForest`] | rows or short stretches that would displace much of a sample of the machine's past | shapes in time; which column, and whether low or high |
//! | [`OnlineIsolationForest`] | rows in bins that hold little of the machine's last window | a sharp window: what has left it is forgotten |
//! | [`RarityRecordDetector`] | the rarest row so far for its hour of the day | one or a few slowly sampled channels of which nothing is known; no training |
//!
//! | Around others | Sees | Use where |
//! |---|---|---|
//! | [`SmoothedDetector`] | what another detector sees in means of a machine's last rows, and means of its scores; lets an anomaly end where the machine comes back changed | faults that last, on a stream of rows |
//! | [`FusedDetector`] | what several detectors see, as one, by calibrated p-values | faults of unlike kinds; no detector known to be best |
//!
//! All keep [the contract](crate::model): higher scores are more anomalous, a row is anomalous where its score exceeds the
//! threshold, and each says which features made a score high. Detectors of single rows hold no state of a machine (`State =
//! ()`); those of streams keep a bounded memory, and a [`LearningPolicy`] says which rows they learn. [`AnyDetector`] is the
//! closed list of them.
//!
//! A detector of one's own is a pair of types in a frame: [`RowAlgorithm`] and [`RowScorer`] in a [`RowDetector`], or
//! [`StreamAlgorithm`] and [`StreamScorer`] in a [`StreamDetector`]. Units, missing values, thresholds, contributions in their
//! places, files and states come with the frame.
//!
//! # Thresholds
//!
//! Scores of the rows a model was fitted on are too low, so a threshold taken from them gives more false alarms than
//! asked for. Here a threshold is an empirical quantile of *out-of-fold* scores: the training rows are cut into folds
//! by asset (fewer folds where there are fewer assets; a single asset is cut into contiguous blocks of rows), and each
//! fold is scored by a model fitted on the others. The threshold is the score of rank `ceil((n + 1)(1 - false_alarm_rate))` among the `n`, counted
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

mod any;
mod calibration;
mod draws;
mod fusion;
mod recent_rows;
mod row;
mod row_detector;
mod rows;
mod smoothed;
mod standard;
mod stream;
mod stream_detector;
mod units;

pub(crate) use any::AnyDetectorRecord;
pub use any::{AnyDetector, AnyDetectorParams, AnyDetectorState};
pub use calibration::{
    ConformalPValues, DriftSpot, PValueRule, ParetoTail, PeaksOverThreshold, Spot, SpotParams, SpotVerdict,
};
pub use fusion::{FusedDetector, FusionParams, FusionRecord, FusionState, FusionValidParams};
pub use row::{
    CopodDetector, CopodParams, CopodScorer, CopodSettings, CoreRows, DensityClusters, DensityClustersParams,
    DensityClustersRecord, DensityClustersSettings, EcodDetector, EcodParams, EcodScorer, EcodSettings,
    ExtendedIsolationForest, ExtendedIsolationForestParams, ExtendedIsolationForestRecord,
    ExtendedIsolationForestSettings, GaussianMixture, GaussianMixtureDetector, GaussianMixtureParams,
    GaussianMixtureRecord, GaussianMixtureSettings, HistogramDetector, HistogramDetectorParams, HistogramSettings,
    Histograms, HistogramsRecord, IsolationForest, IsolationForestParams, IsolationForestRecord,
    IsolationForestSettings, IsolationTrees, KernelMemory, KernelRate, KernelRegression, KernelRegressionParams,
    KernelRegressionRecord, KernelRegressionSettings, LocalDensity, LocalOutlierFactor, LocalOutlierFactorParams,
    LocalOutlierFactorRecord, LocalOutlierFactorSettings, Loda, LodaParams, LodaRecord, LodaSettings,
    MahalanobisDetector, MahalanobisMetric, MahalanobisParams, MahalanobisRecord, MahalanobisSettings,
    NearestIsolation, NearestIsolationParams, NearestIsolationRecord, NearestIsolationSettings, NearestNeighbours,
    NearestNeighboursParams, NearestNeighboursRecord, NearestNeighboursSettings, NearestSpheres, NeighbourDistance,
    NeighbourScorer, OneClassSvm, OneClassSvmDetector, OneClassSvmParams, OneClassSvmRecord, OneClassSvmSettings,
    PcaDetector, PcaParams, PcaRecord, PcaStatistics, PcaValidParams, RandomCuts, RobustMahalanobisDetector,
    RobustMahalanobisParams, RobustMahalanobisSettings, RobustMetric, RobustRecord, Shrinkage, SlantedTrees,
    TailsRecord,
};
pub use row_detector::{
    RowAlgorithm, RowDetector, RowDetectorParams, RowDetectorRecord, RowDetectorValidParams, RowScorer,
};
pub use rows::{Rows, Sequences, StreamRow};
pub use smoothed::{SmoothedDetector, SmoothedParams, SmoothedRecord, SmoothedState, SmoothedValidParams};
pub use stream::{
    Adwin, AdwinMemory, AdwinParams, AdwinScorer, AdwinSettings, Averages, BayesianChangePoint,
    BayesianChangePointParams, ChangePointMemory, ChangePointScorer, ChangePointSettings, Cusum, CusumMemory,
    CusumParams, CusumScorer, CusumSettings, DiscordMemory, DiscordScorer, DiscordSettings, EwmaChart, EwmaChartParams,
    EwmaScorer, EwmaSettings, HalfSpaceMemory, HalfSpaceRecord, HalfSpaceScorer, HalfSpaceSettings, HalfSpaceTrees,
    HalfSpaceTreesParams, LaggedMemory, LaggedPca, LaggedPcaParams, LaggedPcaSettings, LaggedPlane, LaggedPlaneRecord,
    LeftDiscord, LeftDiscordParams, MewmaChart, MewmaChartParams, MewmaRecord, MewmaScorer, MewmaSettings,
    OnlineIsolationForest, OnlineIsolationForestParams, OnlineIsolationMemory, OnlineIsolationScorer,
    OnlineIsolationSettings, PageHinkley, PageHinkleyMemory, PageHinkleyParams, PageHinkleyScorer, PageHinkleySettings,
    RandomCutForest, RandomCutForestParams, RandomCutMemory, RandomCutScorer, RandomCutSettings, RarityRecordDetector,
    RarityRecordMemory, RarityRecordParams, RarityRecordScorer, RarityRecordSettings, Side,
};
pub use stream_detector::{
    LearningPolicy, Start, StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamDetectorRecord,
    StreamDetectorValidParams, StreamScorer, StreamState,
};
pub use units::Scaling;
