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

/// The standard normal distribution function.
pub(super) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Coefficients from the highest power down.
#[inline]
fn ratio(p: [f64; 8], q: [f64; 8], r: f64) -> f64 {
    let value = |c: [f64; 8]| c.into_iter().fold(0.0, |sum, c| sum * r + c);
    value(p) / value(q)
}

/// The standard normal quantile function for `0 < p < 1`, to 16 digits: Wichura's algorithm AS 241 (PPND16), Applied
/// Statistics 37 (1988), doi 10.2307/2347330. Without a logarithm for 85% of all `p`.
#[inline]
pub(super) fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(CENTRE.0, CENTRE.1, 0.180625 - q * q);
    }
    tail_quantile(p, q)
}

fn tail_quantile(p: f64, q: f64) -> f64 {
    let r = (-libm::log(if q < 0.0 { p } else { 1.0 - p })).sqrt();
    let z = if r <= 5.0 {
        ratio(TAIL.0, TAIL.1, r - 1.6)
    } else {
        ratio(FAR_TAIL.0, FAR_TAIL.1, r - 5.0)
    };
    if q < 0.0 { -z } else { z }
}

const CENTRE: ([f64; 8], [f64; 8]) = (
    [
        2.509_080_928_730_122_6e3,
        3.343_057_558_358_813e4,
        6.726_577_092_700_87e4,
        4.592_195_393_154_987e4,
        1.373_169_376_550_946e4,
        1.971_590_950_306_551_4e3,
        1.331_416_678_917_843_9e2,
        3.387_132_872_796_366_5e0,
    ],
    [
        5.226_495_278_852_854e3,
        2.872_908_573_572_194_4e4,
        3.930_789_580_009_271e4,
        2.121_379_430_158_659_5e4,
        5.394_196_021_424_751e3,
        6.871_870_074_920_579e2,
        4.231_333_070_160_091e1,
        1.0,
    ],
);

const TAIL: ([f64; 8], [f64; 8]) = (
    [
        7.745_450_142_783_414e-4,
        0.022_723_844_989_269_187,
        2.417_807_251_774_506e-1,
        1.270_458_252_452_368_4e0,
        3.647_848_324_763_204_5e0,
        5.769_497_221_460_691e0,
        4.630_337_846_156_546e0,
        1.423_437_110_749_683_5e0,
    ],
    [
        1.050_750_071_644_416_9e-9,
        5.475_938_084_995_345e-4,
        0.015_198_666_563_616_457,
        1.481_039_764_274_800_8e-1,
        6.897_673_349_851e-1,
        1.676_384_830_183_803_8e0,
        2.053_191_626_637_759e0,
        1.0,
    ],
);

const FAR_TAIL: ([f64; 8], [f64; 8]) = (
    [
        2.010_334_399_292_288e-7,
        2.711_555_568_743_487_6e-5,
        1.242_660_947_388_078_5e-3,
        0.026_532_189_526_576_12,
        2.965_605_718_285_048_8e-1,
        1.784_826_539_917_291_3e0,
        5.463_784_911_164_114e0,
        6.657_904_643_501_103e0,
    ],
    [
        2.044_263_103_389_939_7e-15,
        1.421_511_758_316_446e-7,
        1.846_318_317_510_054_5e-5,
        7.868_691_311_456_133e-4,
        1.487_536_129_085_061_5e-2,
        1.369_298_809_227_358e-1,
        5.998_322_065_558_88e-1,
        1.0,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_undo_the_distribution_function() {
        // erfc has a relative error of an ulp or two; the quantile's error is that times Φ(z) / (z φ(z)) and its own.
        for z in [
            -8.0, -6.0, -5.0, -3.5, -2.0, -1.5, -1.0, -0.3, -1e-3, 0.2, 0.7, 1.2, 1.9,
        ] {
            let back = normal_quantile(normal_cdf(z));
            assert!((back - z).abs() < 4e-15 * z.abs().max(1.0), "{z}: {back}");
        }
        // Tabulated (Abramowitz and Stegun, table 26.5).
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
        assert!((normal_quantile(1e-9) + 5.997_807_015_007_687).abs() < 1e-13);
        assert_eq!(normal_quantile(0.5), 0.0);
    }

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
            .map(|(i, x)| (normal_cdf(*x) - (i as f64 + 0.5) / f64::from(n)).abs());
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
