//! Normal random numbers that are the same on every machine.

use crate::quantity::Seed;
use std::sync::OnceLock;

/// Blocks of equal area under the density.
const N_BLOCKS: usize = 128;
/// Where the tail begins, and the area of a block.
const TAIL_START: f64 = 3.442_619_855_899;
const AREA: f64 = 9.912_563_035_262_17e-3;

/// SplitMix64 and Doornik's ziggurat: one word, a multiplication and a comparison for 98.8% of all numbers. Made anew for
/// each step, so that no generator is part of a machine's memory.
///
/// Doornik, "An improved ziggurat method to generate normal random samples" (2005), after Marsaglia and Tsang, Journal of
/// Statistical Software 5 (2000), doi 10.18637/jss.v005.i08.
#[derive(Clone, Debug)]
pub(super) struct Normals {
    counter: u64,
    blocks: &'static [Block; N_BLOCKS],
}

#[derive(Clone, Copy, Debug)]
struct Block {
    /// Half its width, and that of the block above.
    width: f64,
    above: f64,
    /// `above / width`.
    ratio: f64,
}

fn blocks() -> &'static [Block; N_BLOCKS] {
    static BLOCKS: OnceLock<[Block; N_BLOCKS]> = OnceLock::new();
    BLOCKS.get_or_init(|| {
        let density = |x: f64| libm::exp(-0.5 * x * x);
        let mut width = AREA / density(TAIL_START);
        let mut above = TAIL_START;
        std::array::from_fn(|i| {
            let block = Block {
                width,
                above,
                ratio: above / width,
            };
            width = above;
            above = if i + 2 < N_BLOCKS {
                (-2.0 * libm::log(AREA / above + density(above))).sqrt()
            } else {
                0.0
            };
            block
        })
    })
}

impl Normals {
    pub fn new(seed: Seed) -> Self {
        Self {
            counter: seed.0,
            blocks: blocks(),
        }
    }

    #[inline]
    fn word(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.counter;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// An odd multiple of 2⁻⁵³, above 0 and below 1.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        ((self.word() >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
    }

    /// Mean 0, variance 1.
    #[inline]
    pub fn normal(&mut self) -> f64 {
        let word = self.word();
        // The lowest 7 bits choose the block, the highest 53 the place in it, from -1 to below 1.
        let block = &self.blocks[word as usize % N_BLOCKS];
        let u = ((word as i64) >> 11) as f64 * (1.0 / (1_u64 << 52) as f64);
        if u.abs() < block.ratio {
            return u * block.width;
        }
        self.at_the_edge(word as usize % N_BLOCKS, u)
    }

    #[cold]
    fn at_the_edge(&mut self, mut i: usize, mut u: f64) -> f64 {
        loop {
            let block = self.blocks[i];
            let x = u * block.width;
            if u.abs() < block.ratio {
                return x;
            }
            if i == 0 {
                return self.tail(u < 0.0);
            }
            let (low, high) = (block.width, block.above);
            let f_low = libm::exp(-0.5 * (low * low - x * x));
            let f_high = libm::exp(-0.5 * (high * high - x * x));
            if f_high + self.uniform() * (f_low - f_high) < 1.0 {
                return x;
            }
            let word = self.word();
            i = word as usize % N_BLOCKS;
            u = ((word as i64) >> 11) as f64 * (1.0 / (1_u64 << 52) as f64);
        }
    }

    /// Beyond the blocks (Marsaglia 1964).
    fn tail(&mut self, is_negative: bool) -> f64 {
        loop {
            let x = -libm::log(self.uniform()) / TAIL_START;
            let y = -libm::log(self.uniform());
            if 2.0 * y >= x * x {
                let x = TAIL_START + x;
                return if is_negative { -x } else { x };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rul::normal;

    /// The last block ends at 0, where the density is 1.
    #[test]
    fn blocks_have_equal_areas_and_meet_at_the_top() {
        let blocks = blocks();
        let top = blocks[N_BLOCKS - 1];
        assert_eq!(top.above, 0.0);
        let height = 1.0 - (-0.5 * top.width * top.width).exp();
        assert!(
            (top.width * height / AREA - 1.0).abs() < 1e-8,
            "{}",
            top.width * height / AREA
        );
        assert!(
            blocks
                .windows(2)
                .all(|w| w[0].above == w[1].width && w[1].width < w[0].width)
        );
    }

    #[test]
    fn normals_have_their_moments() {
        let mut draws = Normals::new(Seed(3));
        let n = 200_000;
        let x: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
        let moment = |k: i32| x.iter().map(|x| x.powi(k)).sum::<f64>() / f64::from(n);
        // Standard errors sqrt(1, 2, 15, 96 / n): 0.0022, 0.0032, 0.0087, 0.022; four of them.
        assert!(
            moment(1).abs() < 0.009 && (moment(2) - 1.0).abs() < 0.013,
            "{} {}",
            moment(1),
            moment(2)
        );
        assert!(
            moment(3).abs() < 0.035 && (moment(4) - 3.0).abs() < 0.09,
            "{} {}",
            moment(3),
            moment(4)
        );
        // Kolmogorov and Smirnov: beyond 2 / sqrt(n) once in 1500 times.
        let mut sorted = x.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let distance = sorted
            .iter()
            .enumerate()
            .map(|(i, x)| (normal::cdf(*x) - (i as f64 + 0.5) / f64::from(n)).abs());
        assert!(distance.fold(0.0, f64::max) < 2.0 / f64::from(n).sqrt());
        // Beyond 3.44, in the tail: 5.8e-4 of all, 116 with a standard deviation of 10.8; 3.6 of them beyond 4.12.
        let beyond = |z: f64| x.iter().filter(|x| x.abs() > z).count();
        assert!(beyond(TAIL_START).abs_diff(115) < 44, "{}", beyond(TAIL_START));
        assert!((1..20).contains(&beyond(4.1)));
        // Neighbours are independent.
        let products = x.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / f64::from(n);
        assert!(products.abs() < 0.009, "{products}");
    }
}
