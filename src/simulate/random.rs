//! Seeded draws with the same bits on every platform.

use crate::quantity::Seed;
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;

pub(super) struct Random(Xoshiro256Plus);

impl Random {
    pub(super) fn new(seed: Seed) -> Self {
        Self(Xoshiro256Plus::seed_from_u64(seed.0))
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Uniform in `[low, high)`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A whole number in `0..n`, each as likely but for one part in 2^53; 0 for `n = 0`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// Standard normal, by Box and Muller's cosine.
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_their_moments_and_range() {
        let mut random = Random::new(Seed(3));
        let n = 200_000;
        let (mut sum, mut squares, mut fourth, mut flat) = (0.0, 0.0, 0.0, 0.0);
        let mut faces = [0_u32; 6];
        for _ in 0..n {
            let z = random.normal();
            sum += z;
            squares += z * z;
            fourth += z * z * z * z;
            let u = random.between(2.0, 4.0);
            assert!((2.0..4.0).contains(&u));
            flat += u;
            faces[random.below(6)] += 1;
        }
        let n = f64::from(n);
        // Five standard errors of each mean: SD of z is 1, of z^2 sqrt(2), of z^4 sqrt(96), of u 1/sqrt(3).
        assert!((sum / n).abs() < 5.0 / n.sqrt());
        assert!((squares / n - 1.0).abs() < 5.0 * 2.0_f64.sqrt() / n.sqrt());
        assert!((fourth / n - 3.0).abs() < 5.0 * 96.0_f64.sqrt() / n.sqrt());
        assert!((flat / n - 3.0).abs() < 5.0 / (3.0 * n).sqrt());
        let sd = (n * (1.0 / 6.0) * (5.0 / 6.0)).sqrt();
        assert!(
            faces.iter().all(|&f| (f64::from(f) - n / 6.0).abs() < 5.0 * sd),
            "{faces:?}"
        );
        assert_eq!(Random::new(Seed(0)).below(0), 0);
    }

    #[test]
    fn bits_are_pinned() {
        // The golden numbers were computed by tests/golden/xoshiro.py, which shares no code with this crate.
        let mut random = Random::new(Seed(7));
        let uniform = [random.uniform(), random.uniform()];
        assert_eq!(uniform.map(f64::to_bits), GOLDEN_UNIFORM);
    }

    /// First two outputs of xoshiro256+ seeded with SplitMix64(7), shifted right by 11, over 2^53.
    const GOLDEN_UNIFORM: [u64; 2] = [0x3FEF_20D9_AA98_0E06, 0x3FCE_5C14_3952_9298];
}
