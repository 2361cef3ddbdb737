//! How a machine stands, from what is remembered of it.

use super::{Pipeline, PipelineScratch, PipelineState};
use crate::{
    decision::Cause,
    error::Result,
    features::FeatureView,
    model::{AnomalyScore, Assessment},
    quantity::Timestamp,
};

/// A machine as of its last usable row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    pub(crate) born: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) age: Option<f64>,
    /// Whether the detector's features are those of full spans.
    pub(crate) is_settled: bool,
    /// The score and every channel's share of it, largest first, where the detector needs no more than the features.
    pub(crate) score: Option<AnomalyScore>,
    pub(crate) causes: Vec<Cause>,
}

impl Pipeline {
    /// How the machine behind `state` stands; changes nothing.
    ///
    /// # Errors
    /// `StateMismatch` for a state of another chain.
    pub(crate) fn standing(&self, state: &PipelineState, scratch: &mut PipelineScratch) -> Result<Standing> {
        self.expect_state(state)?;
        let mut standing = Standing {
            born: state.born,
            last: state.last,
            age: state
                .born
                .zip(state.last)
                .map(|(born, last)| self.life_unit.between(born, last)),
            is_settled: self.front.is_settled(&state.front),
            score: None,
            causes: Vec::new(),
        };
        let Some(time) = state.last else {
            return Ok(standing);
        };
        let row = &mut scratch.front.detector_features;
        self.front
            .detector_features
            .features_into(&state.front.detector_features, row)?;
        row.iter_mut().for_each(|v| *v = if v.is_finite() { *v } else { 0.0 });
        let view = FeatureView::new(self.front.detector_features.schema(), row)?.at(time);
        // A detector that remembers has taken the row already, and cannot be asked again.
        if let Assessment::Ready(score) = self.detector.assess(&state.detector, view)? {
            standing.score = Some(score);
            self.detector
                .contributions_into(&state.detector, view, &mut scratch.contributions)?;
            standing.causes = self.all_causes(&scratch.contributions);
        }
        Ok(standing)
    }

    /// Every channel with a positive share of the score, largest first.
    fn all_causes(&self, contributions: &[f64]) -> Vec<Cause> {
        let mut by_cause = vec![0.0; self.cause_names.len()];
        for (c, &cause) in contributions.iter().zip(&self.cause_of_feature) {
            if let Some(sum) = by_cause.get_mut(cause) {
                *sum += c;
            }
        }
        let total: f64 = by_cause.iter().filter(|c| **c > 0.0).sum();
        let mut causes: Vec<Cause> = by_cause
            .iter()
            .zip(&self.cause_names)
            .filter(|(c, _)| **c > 0.0)
            .map(|(c, channel)| Cause {
                channel: channel.clone(),
                share: c / total,
            })
            .collect();
        causes.sort_by(|a, b| b.share.total_cmp(&a.share));
        causes
    }
}
