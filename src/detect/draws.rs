//! Numbers drawn from a seed.

use crate::quantity::Seed;
use std::f64::consts::TAU;

/// SplitMix64 from a seed: as many numbers as are asked for, the same on every machine. One is made anew for each event
/// (a tree, a row), so that nothing of it need be remembered.
#[derive(Clone, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    pub fn new(seed: Seed) -> Self {
        Self(seed.0)
    }

    #[inline]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A multiple of 2⁻⁵³ from 0 to below 1.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number from 0 to below `n`; 0 for none. Uneven by less than `n / 2⁶⁴`.
    #[inline]
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// From `low` to below `high`; `low` where rounding would give more.
    #[inline]
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let x = low + self.uniform() * (high - low);
        if x < high { x } else { low }
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

    /// `k` of the numbers `0..n` in rising order, drawn without replacement; all where they are no more.
    pub fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut items: Vec<usize> = (0..n).collect();
        if k < n {
            self.select(&mut items, k);
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
    fn numbers_are_those_of_splitmix64() {
        // The first outputs of the published C program (https://prng.di.unimi.it/splitmix64.c) for the seed 1234567.
        let mut draws = Draws::new(Seed(1_234_567));
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!([draws.next(), draws.next(), draws.next()], expected);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&draws.uniform()) && draws.below(3) < 3));
        assert_eq!(draws.below(0), 0);
    }

    #[test]
    fn selections_are_even() {
        let mut c = Draws::new(Seed(1));
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
        let mut c = Draws::new(Seed(2));
        let n = 40_000;
        let x: Vec<f64> = (0..n).map(|_| c.normal()).collect();
        let moment = |k: i32| x.iter().map(|x| x.powi(k)).sum::<f64>() / f64::from(n);
        // Standard errors 0.005, 0.007 and 0.05; four of them.
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.03 && (moment(4) - 3.0).abs() < 0.2);
        assert!((0..1000).all(|_| (2.0..3.0).contains(&c.between(2.0, 3.0))));
        assert_eq!(c.between(1.0, 1.0), 1.0);
    }

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
