//! Cross-validation of a whole unfitted chain.

use super::{PipelineParams, Progress};
use crate::{
    decision::Condition,
    error::Result,
    features::FeatureView,
    model::{AssetFolds, OnlineModel, RulEstimate},
    quantity::Seed,
    signal::{EndOfLife, FleetHistory},
};

/// The estimate of one row of an asset that the chain behind it was not fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOutRow {
    /// Position of the asset in the fleet.
    pub asset: usize,
    /// Position of the row in the asset's recording.
    pub row: usize,
    /// Rows the recording has.
    pub n_rows: usize,
    /// True remaining life, not capped.
    pub truth: f64,
    /// What was said.
    pub estimate: RulEstimate,
}

/// Estimates for every row of every asset of known end, each by a chain fitted without that asset.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossValidation {
    /// By asset, then row; rows without an estimate are left out.
    pub rows: Vec<HeldOutRow>,
}

impl PipelineParams {
    /// Fits the whole chain once a fold, without the fold's assets, and has it estimate theirs: regimes, scaling, indices,
    /// bins and intervals are all fitted inside the fold.
    ///
    /// # Errors
    /// As [`PipelineParams::fit`]; `InvalidParameter` for a chain without a regressor.
    pub fn cross_validate(
        &self,
        fleet: &FleetHistory,
        n_folds: usize,
        seed: Seed,
        mut progress: impl FnMut(Progress),
    ) -> Result<CrossValidation> {
        if self.rul.is_none() {
            return Err(super::kinds::no_regressor());
        }
        let known = |i: usize| fleet.assets()[i].end() != EndOfLife::Unknown;
        let numbered: Vec<usize> = (0..fleet.assets().len()).filter(|i| known(*i)).collect();
        let folds = AssetFolds::new(numbered.len(), n_folds, seed)?;
        let mut rows = Vec::new();
        for fold in 0..n_folds {
            progress(Progress {
                done: fold as u32,
                total: n_folds as u32,
                stage: "cross-validation",
            });
            let out: Vec<usize> = numbered
                .iter()
                .enumerate()
                .filter(|(k, _)| folds.holds_out(fold, *k))
                .map(|(_, i)| *i)
                .collect();
            let model = self.fit(&fleet.filtered(|i, _| !out.contains(&i)))?;
            let mut scratch = model.new_scratch();
            for &asset in &out {
                let history = &fleet.assets()[asset];
                let rul = history.rul(fleet.life_unit()).unwrap_or_default();
                let mut state = model.new_state();
                for (row, (time, values)) in history.rows().enumerate() {
                    let x = FeatureView::new(model.schema(), values)?.at(time);
                    let decision = model.step_with(&mut state, x, &mut scratch)?.ready();
                    let made_now = |c: &Condition| c.rul.filter(|_| c.rul_time == Some(time));
                    if let Some(estimate) = decision.and_then(|d| made_now(d.condition())) {
                        rows.push(HeldOutRow {
                            asset,
                            row,
                            n_rows: history.n_rows(),
                            truth: rul[row],
                            estimate,
                        });
                    }
                }
            }
        }
        rows.sort_by_key(|r| (r.asset, r.row));
        progress(Progress {
            done: n_folds as u32,
            total: n_folds as u32,
            stage: "done",
        });
        Ok(CrossValidation { rows })
    }
}
