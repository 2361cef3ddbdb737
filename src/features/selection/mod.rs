//! Which features follow wear: prognostic measures, relevance to a target, a ranked table.
//!
//! [`monotonicity`], [`trendability`] and [`prognosability`] judge a feature by its course over recorded lives, without
//! labels. [`fisher_score`] and [`kendall_relevance`] or [`class_relevance`] judge it against a target, and
//! [`FalseDiscovery`] decides over many features at once. [`FeatureRanking`] puts them into one table.

mod correlation;
mod fisher;
mod prognostic;
mod ranking;
mod relevance;

pub use fisher::fisher_score;
pub use prognostic::{Monotonicity, monotonicity, prognosability, trendability};
pub use ranking::{FeatureRanking, RankedFeature, RankingParams};
pub use relevance::{FalseDiscovery, class_relevance, kendall_relevance};
