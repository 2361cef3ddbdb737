//! Algorithms that remember a machine's rows, one a file, and what several of them share.

pub(super) mod adwin;
pub(super) mod averages;
pub(super) mod bayesian_change_point;
pub(super) mod cusum;
pub(super) mod ewma_chart;
pub(super) mod growing_histogram;
pub(super) mod half_space_trees;
pub(super) mod lagged_pca;
pub(super) mod left_discord;
pub(super) mod mewma_chart;
pub(super) mod online_isolation_forest;
pub(super) mod page_hinkley;
pub(super) mod random_cut_forest;
pub(super) mod random_cut_tree;
pub(super) mod rarity_record;

pub use adwin::{Adwin, AdwinMemory, AdwinParams, AdwinScorer, AdwinSettings};
pub use averages::Averages;
pub use bayesian_change_point::{
    BayesianChangePoint, BayesianChangePointParams, ChangePointMemory, ChangePointScorer, ChangePointSettings,
};
pub use cusum::{Cusum, CusumMemory, CusumParams, CusumScorer, CusumSettings, Side};
pub use ewma_chart::{EwmaChart, EwmaChartParams, EwmaScorer, EwmaSettings};
pub use half_space_trees::{
    HalfSpaceMemory, HalfSpaceRecord, HalfSpaceScorer, HalfSpaceSettings, HalfSpaceTrees, HalfSpaceTreesParams,
};
pub use lagged_pca::{LaggedMemory, LaggedPca, LaggedPcaParams, LaggedPcaSettings, LaggedPlane, LaggedPlaneRecord};
pub use left_discord::{DiscordMemory, DiscordScorer, DiscordSettings, LeftDiscord, LeftDiscordParams};
pub use mewma_chart::{MewmaChart, MewmaChartParams, MewmaRecord, MewmaScorer, MewmaSettings};
pub use online_isolation_forest::{
    OnlineIsolationForest, OnlineIsolationForestParams, OnlineIsolationMemory, OnlineIsolationScorer,
    OnlineIsolationSettings,
};
pub use page_hinkley::{PageHinkley, PageHinkleyMemory, PageHinkleyParams, PageHinkleyScorer, PageHinkleySettings};
pub use random_cut_forest::{
    RandomCutForest, RandomCutForestParams, RandomCutMemory, RandomCutScorer, RandomCutSettings,
};
pub use rarity_record::{
    RarityRecordDetector, RarityRecordMemory, RarityRecordParams, RarityRecordScorer, RarityRecordSettings,
};
