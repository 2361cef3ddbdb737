//! Numbers drawn from a seed.

use crate::quantity::Seed;

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
}
