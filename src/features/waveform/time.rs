//! Moments, means of magnitudes, and differences of a window.

use crate::signal::mean_of;

/// Sums that go side by side in vector registers.
pub(super) const LANES: usize = 4;

pub(super) fn sum(x: &[f64]) -> f64 {
    let (lanes, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(s, v)| *s += v);
    }
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
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
        let (mut s2, mut s3, mut s4) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        let mut add = |lanes: &[f64; LANES]| {
            let d = lanes.map(|v| v - mean);
            let d2 = d.map(|d| d * d);
            for i in 0..LANES {
                s2[i] += d2[i];
            }
            for i in 0..LANES {
                s3[i] += d2[i] * d[i];
            }
            for i in 0..LANES {
                s4[i] += d2[i] * d2[i];
            }
        };
        let (lanes, rest) = x.as_chunks();
        lanes.iter().for_each(&mut add);
        // Places that are left over hold the mean, which adds nothing.
        let mut last = [mean; LANES];
        last.iter_mut().zip(rest).for_each(|(place, v)| *place = *v);
        add(&last);
        let n = x.len() as f64;
        let (min, max) = extremes(x);
        Self {
            mean,
            m2: s2.iter().sum::<f64>() / n,
            m3: s3.iter().sum::<f64>() / n,
            m4: s4.iter().sum::<f64>() / n,
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
    let (mut min, mut max) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    let (lanes, rest) = x.as_chunks::<LANES>();
    for lane in lanes {
        for i in 0..LANES {
            min[i] = if lane[i] < min[i] { lane[i] } else { min[i] };
            max[i] = if lane[i] > max[i] { lane[i] } else { max[i] };
        }
    }
    let of_lanes = (
        min.into_iter().fold(f64::INFINITY, f64::min),
        max.into_iter().fold(f64::NEG_INFINITY, f64::max),
    );
    rest.iter().fold(of_lanes, |(a, b), v| (a.min(*v), b.max(*v)))
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
        const BLOCK: usize = 64; // roots of neighbours are taken together where they lie in an array
        let (mut total, mut roots, mut magnitudes) = (0.0, 0.0, [0.0; BLOCK]);
        for block in x.chunks(BLOCK) {
            let Some(magnitudes) = magnitudes.get_mut(..block.len()) else {
                break;
            };
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
        let (mut s1, mut s2, mut crossings) = ([0.0; LANES], [0.0; LANES], [0_u64; LANES]);
        // Three neighbours a place: a window shifted by none, one and two.
        let (a, b, c) = (x, x.get(1..).unwrap_or_default(), x.get(2..).unwrap_or_default());
        let (a4, _) = a.as_chunks::<LANES>();
        let (b4, _) = b.as_chunks::<LANES>();
        let (c4, _) = c.as_chunks::<LANES>();
        for ((a, b), c) in a4.iter().zip(b4).zip(c4) {
            let u: [f64; LANES] = std::array::from_fn(|i| b[i] - a[i]);
            let v: [f64; LANES] = std::array::from_fn(|i| c[i] - b[i]);
            let du = u.map(|u| u - first);
            let dv: [f64; LANES] = std::array::from_fn(|i| v[i] - u[i] - second);
            for i in 0..LANES {
                s1[i] += du[i] * du[i];
            }
            for i in 0..LANES {
                s2[i] += dv[i] * dv[i];
            }
            for i in 0..LANES {
                crossings[i] += u64::from((a[i] >= mean) != (b[i] >= mean));
            }
        }
        let mut this = Self {
            variance: s1.iter().sum(),
            second_variance: s2.iter().sum(),
            crossings: crossings.iter().sum(),
        };
        let done = c4.len() * LANES;
        for w in x.get(done..).unwrap_or_default().windows(2) {
            if let [a, b] = w {
                this.variance += (b - a - first) * (b - a - first);
                this.crossings += u64::from((*a >= mean) != (*b >= mean));
            }
        }
        for w in x.get(done..).unwrap_or_default().windows(3) {
            if let [a, b, c] = w {
                let d = (c - b) - (b - a) - second;
                this.second_variance += d * d;
            }
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
