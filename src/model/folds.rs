//! Cross-validation folds over whole assets.

use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256Plus;

/// A partition of assets into folds of nearly equal size. Rows of one asset never lie on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetFolds {
    n_folds: usize,
    fold_of: Vec<usize>,
}

impl AssetFolds {
    /// Deals `n_assets`, shuffled by `seed`, to `n_folds` folds in turn.
    ///
    /// # Errors
    /// `InvalidParameter` below two folds; `InsufficientData` with fewer assets than folds.
    pub fn new(n_assets: usize, n_folds: usize, seed: Seed) -> Result<Self> {
        if n_folds < 2 {
            return Err(Error::parameter("n_folds", "at least 2", n_folds));
        }
        if n_assets < n_folds {
            return Err(Error::insufficient(
                "cross-validation by asset",
                format!("at least {n_folds} assets"),
                n_assets,
            ));
        }
        let mut order: Vec<usize> = (0..n_assets).collect();
        order.shuffle(&mut Xoshiro256Plus::seed_from_u64(seed.0));
        let mut fold_of = vec![0; n_assets];
        for (i, asset) in order.into_iter().enumerate() {
            fold_of[asset] = i % n_folds;
        }
        Ok(Self { n_folds, fold_of })
    }

    /// Number of folds.
    pub fn n_folds(&self) -> usize {
        self.n_folds
    }

    /// The fold that holds out asset `index`; `None` beyond the number of assets.
    pub fn fold_of(&self, index: usize) -> Option<usize> {
        self.fold_of.get(index).copied()
    }

    /// Whether asset `index` is held out in `fold`.
    pub fn holds_out(&self, fold: usize, index: usize) -> bool {
        self.fold_of(index) == Some(fold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_balanced_seeded_and_complete() {
        let a = AssetFolds::new(23, 5, Seed(1)).unwrap();
        let mut count = [0; 5];
        (0..23).for_each(|i| count[a.fold_of(i).unwrap()] += 1);
        assert!(count.iter().all(|c| (4..=5).contains(c)));
        assert_eq!(a, AssetFolds::new(23, 5, Seed(1)).unwrap());
        assert_ne!(a, AssetFolds::new(23, 5, Seed(2)).unwrap());
        assert!(AssetFolds::new(4, 5, Seed(1)).is_err() && AssetFolds::new(4, 1, Seed(1)).is_err());
    }
}
