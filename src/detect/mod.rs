//! State detection: detectors fitted on healthy rows that say how far a new row lies from them, and which features
//! carry it there.
//!
//! | Detector | Sees | Use where |
//! |---|---|---|
//! | [`PcaDetector`] | extremes along the usual directions (Hotelling's T²) and broken relations between features (Q) | many correlated sensors; the usual first choice |
//! | [`MahalanobisDetector`] | distance in the metric of the training covariance, shrunk | few features, or fewer rows than features |
//! | [`HalfSpaceTrees`] | rows where the machine's last window was thin, trees drawn before any row | many machines, high rates: the cheapest to step |
//! | [`RandomCutForest`] | rows or short stretches that would displace much of a sample of the machine's past | shapes in time; which column, and whether low or high |
//! | [`OnlineIsolationForest`] | rows in bins that hold little of the machine's last window | a sharp window: what has left it is forgotten |
//!
//! All keep [the contract](crate::model): higher scores are more anomalous, and a row is anomalous where its score
//! exceeds the threshold. The first two hold no state of a machine (`State = ()`), the others remember.
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

mod draws;
mod ewma_chart;
mod half_space_trees;
mod mahalanobis;
mod online_isolation_forest;
mod pca;
mod random_cut_forest;
mod random_cut_tree;
mod row_detector;
mod rows;
mod standard;
mod stream_detector;
mod threshold;

pub use ewma_chart::{EwmaChart, EwmaChartParams, EwmaMemory, EwmaScorer, EwmaSettings};
pub use half_space_trees::{
    HalfSpaceMemory, HalfSpaceRecord, HalfSpaceScorer, HalfSpaceSettings, HalfSpaceTrees, HalfSpaceTreesParams,
};
pub use mahalanobis::{
    MahalanobisDetector, MahalanobisMetric, MahalanobisParams, MahalanobisRecord, MahalanobisSettings, Shrinkage,
};
pub use online_isolation_forest::{
    OnlineIsolationForest, OnlineIsolationForestParams, OnlineIsolationMemory, OnlineIsolationScorer,
    OnlineIsolationSettings,
};
pub use pca::{PcaDetector, PcaParams, PcaRecord, PcaStatistics, PcaValidParams};
pub use random_cut_forest::{
    RandomCutForest, RandomCutForestParams, RandomCutMemory, RandomCutScorer, RandomCutSettings,
};
pub use row_detector::{
    RowAlgorithm, RowDetector, RowDetectorParams, RowDetectorRecord, RowDetectorValidParams, RowScorer,
};
pub use rows::{Rows, Sequences, StreamRow};
pub use stream_detector::{
    LearningPolicy, Scaling, Start, StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamDetectorRecord,
    StreamDetectorValidParams, StreamScorer, StreamState,
};
