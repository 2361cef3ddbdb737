//! Seeded draws of rows, the same on every platform and with every version of a generator's library.

use crate::quantity::Seed;
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;

/// Draws of whole numbers.
pub(super) struct Draws(Xoshiro256Plus);

impl Draws {
    pub fn new(seed: Seed) -> Self {
        Self(Xoshiro256Plus::seed_from_u64(seed.0))
    }

    /// A whole number in `0..n`, each as likely but for one part in 2^64 / n; 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Moves `k` of `items`, drawn without replacement, to the front.
    pub fn to_front(&mut self, items: &mut [usize], k: usize) {
        for i in 0..k.min(items.len()) {
            let j = i + self.below(items.len() - i);
            items.swap(i, j);
        }
    }

    /// `k` of the numbers `0..n` in rising order, drawn without replacement; all where they are no more.
    pub fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut items: Vec<usize> = (0..n).collect();
        if k < n {
            self.to_front(&mut items, k);
            items.truncate(k);
            items.sort_unstable();
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_even_and_without_repetition() {
        let mut draws = Draws::new(Seed(1));
        let mut count = [0_u32; 10];
        for _ in 0..10_000 {
            let s = draws.sample(10, 3);
            assert!(s.len() == 3 && s.windows(2).all(|w| w[0] < w[1]));
            s.iter().for_each(|&i| count[i] += 1);
        }
        // 3000 each; a binomial standard deviation of 46.
        assert!(count.iter().all(|c| (2750..3250).contains(c)), "{count:?}");
        assert_eq!(draws.sample(3, 9), [0, 1, 2]);
        assert_eq!((draws.below(0), draws.below(1)), (0, 0));
    }
}
