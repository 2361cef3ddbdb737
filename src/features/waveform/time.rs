//! Moments, means of magnitudes, and differences of a window.

use crate::signal::mean_of;

/// Sums that go side by side in vector registers.
pub(super) const LANES: usize = 4;
/// Samples whose terms are laid down side by side before they are summed: what compilers turn into vector instructions.
const BLOCK: usize = 64;

pub(super) fn sum(x: &[f64]) -> f64 {
    let (lanes, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(s, v)| *s += v);
    }
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

pub(super) fn sum_of_products(x: &[f64], y: &[f64]) -> f64 {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (x, y) in x.iter().zip(y) {
        for i in 0..LANES {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f64>()
}

/// Mean, extremes, and moments about the mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    pub(super) mean: f64,
    pub(super) m2: f64,
    pub(super) m3: f64,
    pub(super) m4: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Moments {
    pub(super) fn of(x: &[f64]) -> Self {
        let mean = mean_of(x);
        let (mut s2, mut s3, mut s4) = (0.0, 0.0, 0.0);
        let (mut d, mut squares) = ([0.0; BLOCK], [0.0; BLOCK]);
        for block in x.chunks(BLOCK) {
            let (d, squares) = (d.split_at_mut(block.len()).0, squares.split_at_mut(block.len()).0);
            for ((d, square), v) in d.iter_mut().zip(squares.iter_mut()).zip(block) {
                *d = v - mean;
                *square = *d * *d;
            }
            s2 += sum(squares);
            s3 += sum_of_products(squares, d);
            s4 += sum_of_products(squares, squares);
        }
        let n = x.len() as f64;
        let (min, max) = extremes(x);
        Self {
            mean,
            m2: s2 / n,
            m3: s3 / n,
            m4: s4 / n,
            min,
            max,
        }
    }

    /// The largest distance from the mean.
    pub(super) fn peak(&self) -> f64 {
        // Subtraction rounds in order, so this is the largest |x - mean| to the last bit.
        (self.max - self.mean).max(self.mean - self.min)
    }
}

/// Smallest and largest; NaN is passed over.
fn extremes(x: &[f64]) -> (f64, f64) {
    let (mut min, mut max) = ([f64::INFINITY; BLOCK], [f64::NEG_INFINITY; BLOCK]);
    for block in x.chunks(BLOCK) {
        for (m, v) in min.iter_mut().zip(block) {
            *m = if *v < *m { *v } else { *m };
        }
        for (m, v) in max.iter_mut().zip(block) {
            *m = if *v > *m { *v } else { *m };
        }
    }
    (
        min.into_iter().fold(f64::INFINITY, f64::min),
        max.into_iter().fold(f64::NEG_INFINITY, f64::max),
    )
}

/// Means of magnitudes about the mean.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Magnitudes {
    /// `Σ |d| / N`.
    pub(super) mean: f64,
    /// `Σ √|d| / N`.
    pub(super) mean_root: f64,
}

impl Magnitudes {
    pub(super) fn of(x: &[f64], mean: f64) -> Self {
        let (mut total, mut roots, mut magnitudes) = (0.0, 0.0, [0.0; BLOCK]);
        for block in x.chunks(BLOCK) {
            let magnitudes = magnitudes.split_at_mut(block.len()).0;
            for (d, v) in magnitudes.iter_mut().zip(block) {
                *d = (v - mean).abs();
            }
            total += sum(magnitudes);
            for d in magnitudes.iter_mut() {
                *d = d.sqrt();
            }
            roots += sum(magnitudes);
        }
        let n = x.len() as f64;
        Self {
            mean: total / n,
            mean_root: roots / n,
        }
    }
}

/// What the differences of neighbouring samples tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Differences {
    /// Population variance of the first differences.
    pub(super) variance: f64,
    /// Population variance of the second differences.
    pub(super) second_variance: f64,
    /// Changes of sign about the mean; zero has the sign of what is above.
    pub(super) crossings: u64,
}

impl Differences {
    /// Of at least three samples.
    pub(super) fn of(x: &[f64], mean: f64) -> Self {
        let n = x.len();
        let at = |i: usize| x.get(i).copied().unwrap_or(f64::NAN);
        // Sums of differences telescope, and so their means are exact.
        let first = (at(n.wrapping_sub(1)) - at(0)) / (n as f64 - 1.0);
        let second = (at(n.wrapping_sub(1)) - at(n.wrapping_sub(2)) - (at(1) - at(0))) / (n as f64 - 2.0);
        let mut this = Self::default();
        let mut d = [0.0; BLOCK];
        for block in x.get(1..).unwrap_or_default().chunks(BLOCK).zip(x.chunks(BLOCK)) {
            let d = d.split_at_mut(block.0.len()).0;
            for ((d, b), a) in d.iter_mut().zip(block.0).zip(block.1) {
                *d = b - a - first;
            }
            this.variance += sum_of_products(d, d);
            let changes = block
                .0
                .iter()
                .zip(block.1)
                .map(|(b, a)| u64::from((*a >= mean) != (*b >= mean)));
            this.crossings += changes.sum::<u64>();
        }
        let shifted = x.get(1..).unwrap_or_default().chunks(BLOCK).zip(x.chunks(BLOCK));
        for (c, (b, a)) in x.get(2..).unwrap_or_default().chunks(BLOCK).zip(shifted) {
            let d = d.split_at_mut(c.len()).0;
            for (((d, c), b), a) in d.iter_mut().zip(c).zip(b).zip(a) {
                *d = (c - b) - (b - a) - second;
            }
            this.second_variance += sum_of_products(d, d);
        }
        this.variance /= n as f64 - 1.0;
        this.second_variance /= n as f64 - 2.0;
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn variance(x: &[f64]) -> f64 {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / x.len() as f64
    }

    proptest! {
        #[test]
        fn all_are_what_their_definitions_say(x in prop::collection::vec(-1.0..1.0_f64, 4..60)) {
            let n = x.len() as f64;
            let m = Moments::of(&x);
            let d: Vec<f64> = x.iter().map(|v| v - m.mean).collect();
            let central = |p: i32| d.iter().map(|v| v.powi(p)).sum::<f64>() / n;
            // Sums of at most 60 terms below 16.
            let near = |a: f64, b: f64| (a - b).abs() < 60.0 * 16.0 * f64::EPSILON;
            prop_assert!(near(m.m2, central(2)) && near(m.m3, central(3)) && near(m.m4, central(4)));
            prop_assert_eq!(m.peak(), d.iter().fold(0.0, |a, v| v.abs().max(a)));
            let g = Magnitudes::of(&x, m.mean);
            prop_assert!(near(g.mean, d.iter().map(|v| v.abs()).sum::<f64>() / n));
            prop_assert!(near(g.mean_root, d.iter().map(|v| v.abs().sqrt()).sum::<f64>() / n));
            let first: Vec<f64> = x.windows(2).map(|w| w[1] - w[0]).collect();
            let second: Vec<f64> = first.windows(2).map(|w| w[1] - w[0]).collect();
            let f = Differences::of(&x, m.mean);
            prop_assert!(near(f.variance, variance(&first)) && near(f.second_variance, variance(&second)));
            let crossings = d.windows(2).filter(|w| (w[0] >= 0.0) != (w[1] >= 0.0)).count();
            prop_assert_eq!(f.crossings as usize, crossings);
        }
    }
}
