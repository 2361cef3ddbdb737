//! Seeded chance, drawn by simple means of our own, so that no library's version changes a model.

use crate::quantity::Seed;
use rand_xoshiro::{
    Xoshiro256Plus,
    rand_core::{RngCore, SeedableRng},
};
use std::f64::consts::TAU;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Chance(Xoshiro256Plus);

impl Chance {
    pub fn new(seed: Seed) -> Self {
        Self(Xoshiro256Plus::seed_from_u64(seed.0))
    }

    /// At least 0, below 1.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// From `low` to below `high`; `low` where rounding would give more.
    #[inline]
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let x = low + self.uniform() * (high - low);
        if x < high { x } else { low }
    }

    /// A whole number below `n`, which is at least 1. The bias is below `n / 2^64`.
    #[inline]
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Normal with mean 0 and variance 1, after Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * libm::log(u)).sqrt() * libm::cos(TAU * v)
    }

    /// Brings `k` items of `all`, at most all of them, to the front: each selection in each order is equally likely.
    pub fn select<'a, T>(&mut self, all: &'a mut [T], k: usize) -> &'a mut [T] {
        let (n, k) = (all.len(), k.min(all.len()));
        for i in 0..k {
            all.swap(i, i + self.below(n - i));
        }
        all.split_at_mut(k).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_the_published_generator() {
        // By tests/golden/xoshiro.py.
        let mut c = Chance::new(Seed(7));
        let bits = [c.uniform().to_bits(), c.uniform().to_bits()];
        let mut again = Chance::new(Seed(7));
        assert_eq!(bits, [again.uniform().to_bits(), again.uniform().to_bits()]);
        assert_eq!(bits, [0x3FEF_20D9_AA98_0E06, 0x3FCE_5C14_3952_9298]);
    }

    #[test]
    fn selections_are_even() {
        let mut c = Chance::new(Seed(1));
        let mut all = [0, 1, 2, 3, 4];
        let mut counts = [[0_u32; 5]; 2];
        for _ in 0..10_000 {
            let chosen = c.select(&mut all, 2);
            assert_ne!(chosen[0], chosen[1]);
            for (count, &mut item) in counts.iter_mut().zip(chosen) {
                count[item] += 1;
            }
        }
        // 2,000 each, with a standard deviation of 40.
        assert!(counts.iter().flatten().all(|&n| n.abs_diff(2_000) < 200), "{counts:?}");
        assert_eq!(c.select(&mut all, 9).len(), 5);
        assert!(c.select(&mut [0_u8; 0], 1).is_empty());
    }

    #[test]
    fn normals_have_their_moments() {
        let mut c = Chance::new(Seed(2));
        let n = 40_000;
        let x: Vec<f64> = (0..n).map(|_| c.normal()).collect();
        let moment = |k: i32| x.iter().map(|x| x.powi(k)).sum::<f64>() / f64::from(n);
        // Standard errors 0.005, 0.007 and 0.05; four of them.
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.03 && (moment(4) - 3.0).abs() < 0.2);
        assert!((0..1000).all(|_| (2.0..3.0).contains(&c.between(2.0, 3.0))));
        assert_eq!(c.between(1.0, 1.0), 1.0);
    }
}
