//! Where the growth of a running sum's fluctuations bends.

use crate::signal::mean_of;

/// Lengths of windows asked for between the shortest and the longest, before equal ones are dropped.
const N_LENGTHS: usize = 50;
const SHORTEST: f64 = 5.0;
/// Lengths on either side of the bend, at least; and at least a quarter of them.
const LEAST_POINTS: usize = 8;

/// What is taken of each window about its line of least squares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Highest less lowest.
    Range,
    /// Standard deviation.
    Deviation,
}

/// The plan of one fluctuation analysis.
///
/// The running sum of every `stride`-th sample is cut into windows of `s` samples, a rest left out; `F(s)` is the root of
/// the mean square of the measure over them. Lengths `s` are 50 from 5 to half of the sum, evenly spaced by logarithm,
/// rounded, each once. Two lines of least squares are laid through `ln F` over `ln s`, the second beginning at the point the
/// first ends at; the result is the number of points of the first, over all, where the squares of both sum to the least.
#[derive(Clone, Debug)]
pub(super) struct Fluctuation {
    stride: usize,
    measure: Measure,
    /// Empty where they are too few for two lines.
    lengths: Vec<usize>,
    log_lengths: Vec<f64>,
    ramp: Vec<f64>,
}

/// Work space of [`Fluctuation`].
#[derive(Clone, Debug)]
pub(super) struct FluctuationScratch {
    walk: Vec<f64>,
    logs: Vec<f64>,
}

impl FluctuationScratch {
    pub(super) fn new(n: usize) -> Self {
        Self {
            walk: Vec::with_capacity(n),
            logs: Vec::with_capacity(N_LENGTHS),
        }
    }
}

impl Fluctuation {
    pub(super) fn new(n: usize, stride: usize, measure: Measure) -> Self {
        let longest = (n.div_ceil(stride) / 2) as f64;
        let growth = libm::log(longest / SHORTEST);
        let length = |i: usize| {
            let log = libm::log(SHORTEST) + growth * i as f64 / (N_LENGTHS as f64 - 1.0);
            libm::exp(log).round() as usize
        };
        let mut lengths: Vec<usize> = (0..N_LENGTHS).map(length).collect();
        lengths.dedup();
        if longest <= SHORTEST || lengths.len() < 2 * LEAST_POINTS {
            lengths.clear();
        }
        let log_lengths = lengths.iter().map(|s| libm::log(*s as f64)).collect();
        let ramp = (0..longest as usize).map(|i| i as f64).collect();
        Self {
            stride,
            measure,
            lengths,
            log_lengths,
            ramp,
        }
    }

    /// The share of lengths below the bend; NaN where the lengths are too few, or where fluctuations are rounding.
    pub(super) fn bend(&self, z: &[f64], s: &mut FluctuationScratch) -> f64 {
        s.walk.clear();
        s.walk.extend(z.iter().step_by(self.stride).scan(0.0, |sum, v| {
            *sum += v;
            Some(*sum)
        }));
        let (low, high) = super::range_of(&s.walk);
        let rounding = 1e-12 * (high - low);
        s.logs.clear();
        for length in &self.lengths {
            let windows = s.walk.chunks_exact(*length);
            let n = windows.len() as f64;
            let mean = windows.map(|w| self.square(w)).sum::<f64>() / n;
            if mean.sqrt() <= rounding {
                return f64::NAN;
            }
            s.logs.push(0.5 * libm::log(mean));
        }
        let n = self.lengths.len();
        // A quarter, rounded to the nearest.
        let least = LEAST_POINTS.max((n + 2) / 4);
        let mut best = (f64::INFINITY, f64::NAN);
        for i in least..=n.saturating_sub(least) {
            let error = residual(self.log_lengths.get(..i), s.logs.get(..i))
                + residual(self.log_lengths.get(i - 1..), s.logs.get(i - 1..));
            if error < best.0 {
                best = (error, i as f64 / n as f64);
            }
        }
        best.1
    }

    /// The square of the measure of one window.
    fn square(&self, window: &[f64]) -> f64 {
        let n = window.len() as f64;
        let centre = 0.5 * (n - 1.0);
        let mean = mean_of(window);
        let moments = sum_by_lanes(window, &self.ramp, |v, i| (i - centre) * (v - mean));
        let slope = moments / (n * (n * n - 1.0) / 12.0);
        let offset = mean - slope * centre;
        match self.measure {
            Measure::Range => {
                let rest = |(v, i): (&f64, &f64)| v - offset - slope * i;
                let rests = window.iter().zip(&self.ramp).map(rest);
                let extremes = (f64::INFINITY, f64::NEG_INFINITY);
                let (low, high) = rests.fold(extremes, |(low, high), r| {
                    (if r < low { r } else { low }, if r > high { r } else { high })
                });
                (high - low) * (high - low)
            }
            Measure::Deviation => {
                let squares = |v: f64, i: f64| {
                    let rest = v - offset - slope * i;
                    rest * rest
                };
                sum_by_lanes(window, &self.ramp, squares) / n
            }
        }
    }
}

/// `Σ f(x[i], ramp[i])`, as four sums side by side.
fn sum_by_lanes(x: &[f64], ramp: &[f64], f: impl Fn(f64, f64) -> f64) -> f64 {
    const LANES: usize = 4;
    let mut sums = [0.0; LANES];
    let ramp = ramp.get(..x.len()).unwrap_or_default();
    let (x, i) = (x.chunks_exact(LANES), ramp.chunks_exact(LANES));
    let rest = x.remainder().iter().zip(i.remainder());
    let rest: f64 = rest.map(|(v, i)| f(*v, *i)).sum();
    for (x, i) in x.zip(i) {
        for ((sum, v), i) in sums.iter_mut().zip(x).zip(i) {
            *sum += f(*v, *i);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The sum of squares about the line of least squares.
fn residual(x: Option<&[f64]>, y: Option<&[f64]>) -> f64 {
    let (x, y) = (x.unwrap_or_default(), y.unwrap_or_default());
    let (mx, my) = (mean_of(x), mean_of(y));
    let points = || x.iter().zip(y).map(|(x, y)| (x - mx, y - my));
    let (xy, xx) = points().fold((0.0, 0.0), |(xy, xx), (x, y)| (xy + x * y, xx + x * x));
    let square = |(x, y): (f64, f64)| {
        let rest = y - xy / xx * x;
        rest * rest
    };
    points().map(square).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::line_of;

    #[test]
    fn squares_are_those_about_the_line() {
        let window: Vec<f64> = (0..23_i32).map(|i| f64::from(i * 7919 % 101)).collect();
        let (mean, slope) = line_of(&window);
        let rests: Vec<f64> = window
            .iter()
            .enumerate()
            .map(|(i, v)| v - mean - slope * (i as f64 - 11.0))
            .collect();
        let (low, high) = super::super::range_of(&rests);
        let square = |measure| Fluctuation::new(100, 1, measure).square(&window);
        assert!((square(Measure::Range) / (high - low).powi(2) - 1.0).abs() < 1e-13);
        let squares: f64 = rests.iter().map(|r| r * r).sum();
        assert!((square(Measure::Deviation) / (squares / 23.0) - 1.0).abs() < 1e-13);
    }

    #[test]
    fn short_windows_have_no_bend() {
        for (n, stride, measure) in [
            (39, 1, Measure::Range),
            (78, 2, Measure::Deviation),
            (2, 2, Measure::Range),
        ] {
            let z: Vec<f64> = (0..n as i32).map(|i| f64::from(i * 7919 % 101) - 50.0).collect();
            let bend = |n| Fluctuation::new(n, stride, measure).bend(&z, &mut FluctuationScratch::new(n));
            assert!(bend(n).is_nan());
        }
    }
}
