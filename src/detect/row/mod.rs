//! Algorithms that look at one row by itself, one a file, and what several of them share.

pub(super) mod copod;
pub(super) mod density_clusters;
pub(super) mod ecod;
pub(super) mod extended_isolation_forest;
pub(super) mod gaussian_mixture;
pub(super) mod histogram;
pub(super) mod isolation_forest;
pub(super) mod isolation_tree;
mod jacobi;
pub(super) mod kernel_regression;
pub(super) mod local_outlier_factor;
pub(super) mod loda;
pub(super) mod mahalanobis;
pub(super) mod nearest_isolation;
pub(super) mod nearest_neighbours;
pub(super) mod neighbour_search;
pub(super) mod one_class_svm;
pub(super) mod pca;
pub(super) mod plane;
pub(super) mod robust_mahalanobis;
pub(super) mod tails;

pub use copod::{CopodDetector, CopodParams, CopodScorer, CopodSettings};
pub use density_clusters::{
    CoreRows, DensityClusters, DensityClustersParams, DensityClustersRecord, DensityClustersSettings,
};
pub use ecod::{EcodDetector, EcodParams, EcodScorer, EcodSettings};
pub use extended_isolation_forest::{
    ExtendedIsolationForest, ExtendedIsolationForestParams, ExtendedIsolationForestRecord,
    ExtendedIsolationForestSettings, SlantedTrees,
};
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
pub use local_outlier_factor::{
    LocalDensity, LocalOutlierFactor, LocalOutlierFactorParams, LocalOutlierFactorRecord, LocalOutlierFactorSettings,
};
pub use loda::{Loda, LodaParams, LodaRecord, LodaSettings, RandomCuts};
pub use mahalanobis::{
    MahalanobisDetector, MahalanobisMetric, MahalanobisParams, MahalanobisRecord, MahalanobisSettings, Shrinkage,
};
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
pub use pca::{PcaDetector, PcaParams, PcaRecord, PcaStatistics, PcaValidParams};
pub use robust_mahalanobis::{
    RobustMahalanobisDetector, RobustMahalanobisParams, RobustMahalanobisSettings, RobustMetric, RobustRecord,
};
pub use tails::TailsRecord;
