//! Scores of held-out assets, and the quantile of them that covers a new asset.

use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use rand_xoshiro::{
    Xoshiro256Plus,
    rand_core::{RngCore, SeedableRng},
};

/// A prediction for a row of an asset that the predicting model was not fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationRow {
    /// The asset, 0, 1, ..
    pub asset: u32,
    /// What was predicted.
    pub predicted: f64,
    /// What it was to predict, capped as the labels were.
    pub truth: f64,
}

/// What an interval is to hold with its nominal probability. Rows of one asset are never taken as independent: all that is
/// assumed is that assets are exchangeable, the new one among the held-out ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coverage {
    /// The truth of a row drawn at random from a new asset. The rows of each asset weigh one together, and one asset's weight
    /// is set aside for the new one (Lee, Barber and Willett 2023, arXiv 2306.06342).
    #[default]
    AnyRow,
    /// The same with one row of each asset, drawn by the seed: ordinary split conformal prediction, of more chance.
    OneRow(Seed),
    /// The truths of all rows of a new asset at once: the score of an asset is its worst one. Much wider.
    WholeAsset,
}

/// The least value that the weight `level` of scores, `(asset, score)`, does not exceed, where one asset more than there are
/// counts: of `n` assets weighing `1/(n + 1)` each the rest weighs at infinity.
///
/// # Errors
/// `InsufficientData` with fewer than `level / (1 - level)` assets: no finite value would hold the level then.
pub(super) fn upper_quantile(level: f64, scores: &[(u32, f64)], coverage: Coverage) -> Result<f64> {
    let weighted = weighted_scores(scores, coverage)?;
    let n_assets: f64 = weighted.iter().map(|s| s.1).sum();
    let wanted = level * (n_assets + 1.0);
    // Weights are sums of 1/n: a count that is whole may miss itself by rounding.
    let slack = 1e-9;
    let mut passed = 0.0;
    for (score, weight) in &weighted {
        passed += weight;
        if passed + slack >= wanted {
            return Ok(*score);
        }
    }
    Err(Error::insufficient(
        &format!("intervals of level {level}"),
        format!("at least {} held-out assets", (level / (1.0 - level)).ceil()),
        n_assets.round(),
    ))
}

/// `(score, weight)` by rising score; the weights of an asset add up to one.
pub(super) fn weighted_scores(scores: &[(u32, f64)], coverage: Coverage) -> Result<Vec<(f64, f64)>> {
    if let Some((_, s)) = scores.iter().find(|(_, s)| !s.is_finite()) {
        return Err(Error::input("held-out score", "finite", s));
    }
    let mut by_asset = scores.to_vec();
    by_asset.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut weighted = Vec::with_capacity(scores.len());
    for rows in by_asset.chunk_by(|a, b| a.0 == b.0) {
        match coverage {
            Coverage::AnyRow => weighted.extend(rows.iter().map(|r| (r.1, 1.0 / rows.len() as f64))),
            Coverage::OneRow(seed) => {
                let mut rng = Xoshiro256Plus::seed_from_u64(seed.part(u64::from(rows[0].0)).0);
                let at = (u128::from(rng.next_u64()) * rows.len() as u128) >> 64;
                weighted.push((rows[at as usize].1, 1.0));
            }
            Coverage::WholeAsset => weighted.extend(rows.last().map(|r| (r.1, 1.0))),
        }
    }
    weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(weighted)
}

pub(super) fn check_level(level: f64) -> Result<()> {
    if level > 0.0 && level < 1.0 {
        Ok(())
    } else {
        Err(Error::parameter("level", "above 0 and below 1", level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_counts_one_asset_more() {
        // 19 assets of one row, scores 1..19: ceil(20 * 0.9) = 18.
        let one: Vec<_> = (0..19).map(|i| (i, f64::from(i) + 1.0)).collect();
        for c in [Coverage::AnyRow, Coverage::OneRow(Seed(3)), Coverage::WholeAsset] {
            assert_eq!(upper_quantile(0.9, &one, c).unwrap(), 18.0);
        }
        assert!(upper_quantile(0.951, &one, Coverage::AnyRow).is_err());
        assert_eq!(upper_quantile(0.95, &one, Coverage::AnyRow).unwrap(), 19.0);
    }

    #[test]
    fn assets_weigh_the_same_however_many_rows_they_have() {
        // Three assets; the first has 100 rows of score 0, the others one of 1 and 2.
        let mut scores = vec![(0, 0.0); 100];
        scores.extend([(1, 1.0), (2, 2.0)]);
        assert_eq!(upper_quantile(0.25, &scores, Coverage::AnyRow).unwrap(), 0.0);
        assert_eq!(upper_quantile(0.26, &scores, Coverage::AnyRow).unwrap(), 1.0);
        assert_eq!(upper_quantile(0.75, &scores, Coverage::AnyRow).unwrap(), 2.0);
        assert!(upper_quantile(0.76, &scores, Coverage::AnyRow).is_err());
        // The worst row of an asset stands for it.
        let two = [(0, -5.0), (0, 3.0), (1, 1.0)];
        assert_eq!(
            weighted_scores(&two, Coverage::WholeAsset).unwrap(),
            [(1.0, 1.0), (3.0, 1.0)]
        );
        assert!(upper_quantile(0.5, &[], Coverage::AnyRow).is_err());
        assert!(upper_quantile(0.5, &[(0, f64::NAN)], Coverage::AnyRow).is_err());
    }
}
