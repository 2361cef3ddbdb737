//! Detrended fluctuation analysis.

use super::{mean_and_sd, slope};
use crate::signal::line_of;

/// The shortest box.
const LEAST_BOX: usize = 4;
/// How much longer each box is than the one before.
const GROWTH: f64 = 1.2;

/// Detrended fluctuation analysis: how the spread of a signal's running sum grows with the length of the stretch.
///
/// The running sum of the signal less its mean is cut into boxes of `b` samples; `F(b)` is the root of the mean square about
/// the lines of least squares of all boxes. The result is the slope of `ln F` over `ln b`, for boxes of 4, 4 ·
/// 1.2, 4 · 1.2², .. samples up to a tenth of the window. 0.5 for white noise, 1.5 for a random walk, below 0.5 for what
/// turns back.
///
/// NaN for a window shorter than 60 samples, a constant one, or one with NaN or infinity.
///
/// # Cost
/// `O(n log n)`.
///
/// Source: Peng et al. (1995), <https://doi.org/10.1063/1.166141>.
///
/// ```
/// use prognos::features::complexity::DetrendedFluctuation;
/// let walk: Vec<f64> = (0..2000_i64).scan(0.0, |s, i| { *s += (i * i * 7919 % 1013) as f64 - 506.0; Some(*s) }).collect();
/// let dfa = DetrendedFluctuation;
/// assert!((dfa.value(&walk, &mut dfa.new_scratch()) - 1.5).abs() < 0.3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DetrendedFluctuation;

/// Work space of one thread for [`DetrendedFluctuation`]; it grows to the longest window.
#[derive(Clone, Debug, Default)]
pub struct FluctuationScratch {
    walk: Vec<f64>,
    points: Vec<(f64, f64)>,
}

impl DetrendedFluctuation {
    /// Work space for one thread.
    pub fn new_scratch(&self) -> FluctuationScratch {
        FluctuationScratch::default()
    }

    /// The exponent of a window.
    pub fn value(&self, x: &[f64], scratch: &mut FluctuationScratch) -> f64 {
        let FluctuationScratch { walk, points } = scratch;
        if x.len() < 60 {
            return f64::NAN;
        }
        let Some((mean, _)) = mean_and_sd(x) else {
            return f64::NAN;
        };
        walk.clear();
        walk.extend(x.iter().scan(0.0, |sum, v| {
            *sum += v - mean;
            Some(*sum)
        }));
        points.clear();
        let (mut length, mut last) = (LEAST_BOX as f64, 0);
        while length <= x.len() as f64 / 10.0 {
            let b = length as usize;
            length *= GROWTH;
            if b == last {
                continue;
            }
            last = b;
            let boxes = walk.chunks_exact(b);
            let n = boxes.len() as f64;
            let sum: f64 = boxes.map(fluctuation).sum();
            if sum > 0.0 {
                points.push((libm::log(b as f64), 0.5 * libm::log(sum / n)));
            }
        }
        if points.len() < 2 {
            return f64::NAN;
        }
        slope(points.iter().copied())
    }
}

/// Mean square about the line of least squares.
fn fluctuation(x: &[f64]) -> f64 {
    let (mean, slope) = line_of(x);
    let centre = 0.5 * (x.len() as f64 - 1.0);
    let square = |(i, v): (usize, &f64)| {
        let rest = v - mean - slope * (i as f64 - centre);
        rest * rest
    };
    let sum: f64 = x.iter().enumerate().map(square).sum();
    sum / x.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_windows_have_no_exponent_and_scale_does_not_matter() {
        let x: Vec<f64> = (0..500_i64).map(|i| (i * i * 7919 % 1013) as f64).collect();
        let y: Vec<f64> = x.iter().map(|v| 1024.0 * v - 512.0).collect();
        let mut s = FluctuationScratch::default();
        let alpha = DetrendedFluctuation.value(&x, &mut s);
        assert!((alpha - 0.5).abs() < 0.2 && (alpha - DetrendedFluctuation.value(&y, &mut s)).abs() < 1e-9);
        let mut nan = x.clone();
        nan[9] = f64::NAN;
        for bad in [&[][..], &x[..59], &[3.0; 100], &nan] {
            assert!(DetrendedFluctuation.value(bad, &mut s).is_nan());
        }
    }
}
