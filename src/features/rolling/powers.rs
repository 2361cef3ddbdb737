//! Central moments up to the fourth, of sums of powers and of one another.

use super::chunked::Terms;

/// Sums of squared distances up to this are nothing that quotients of higher powers can be formed with.
pub(super) const LEAST_SQUARES: f64 = 1e-140;

/// Sums of the first `K` powers.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Powers<const K: usize>;

/// Count, mean and sums of the second to fourth power of distances from it; powers above `K` stay zero.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Central {
    pub(super) n: f64,
    /// The mean is `pivot + shift`: kept apart, a large offset does not round the difference of two means.
    pivot: f64,
    shift: f64,
    pub(super) m2: f64,
    pub(super) m3: f64,
    pub(super) m4: f64,
}

impl Central {
    #[inline]
    pub(super) fn mean(&self) -> f64 {
        self.pivot + self.shift
    }
}

/// The same value, or NaN where it is not finite.
#[inline]
pub(super) fn finite(v: f64) -> f64 {
    if v.is_finite() { v } else { f64::NAN }
}

impl<const K: usize> Terms<1, K> for Powers<K> {
    type Moments = Central;

    #[inline]
    fn terms([d]: [f64; 1]) -> [f64; K] {
        let powers = [d, d * d, d * d * d, (d * d) * (d * d)];
        std::array::from_fn(|k| powers.get(k).copied().unwrap_or(0.0))
    }

    #[inline]
    fn moments(n: f64, [pivot]: [f64; 1], sums: [f64; K]) -> Central {
        let sum = |k: usize| sums.get(k).copied().unwrap_or(0.0);
        let (s1, s2, s3, s4) = (sum(0), sum(1), sum(2), sum(3));
        let c = s1 / n;
        // Below zero is rounding; NaN stays.
        let m2 = if K < 2 { 0.0 } else { positive(s2 - c * s1) };
        let m3 = if K < 3 { 0.0 } else { s3 - c * (3.0 * s2 - 2.0 * c * s1) };
        let m4 = if K < 4 {
            0.0
        } else {
            positive(s4 - c * (4.0 * s3 - c * (6.0 * s2 - 3.0 * c * s1)))
        };
        Central {
            n,
            pivot,
            shift: c,
            m2,
            m3,
            m4,
        }
    }

    #[inline]
    fn merge(a: &Central, b: &Central) -> Central {
        let n = a.n + b.n;
        let (share_a, share_b) = (a.n / n, b.n / n);
        let delta = (b.pivot - a.pivot) + (b.shift - a.shift);
        let delta2 = delta * delta;
        let between = delta2 * (a.n * share_b);
        let m2 = if K < 2 { 0.0 } else { a.m2 + b.m2 + between };
        let m3 = if K < 3 {
            0.0
        } else {
            a.m3 + b.m3 + delta * (between * (share_a - share_b) + 3.0 * (share_a * b.m2 - share_b * a.m2))
        };
        let m4 = if K < 4 {
            0.0
        } else {
            let square = between * delta2 * (share_a * share_a - share_a * share_b + share_b * share_b);
            let within = 6.0 * delta2 * (share_a * share_a * b.m2 + share_b * share_b * a.m2);
            a.m4 + b.m4 + square + within + 4.0 * delta * (share_a * b.m3 - share_b * a.m3)
        };
        Central {
            n,
            pivot: a.pivot,
            shift: a.shift + delta * share_b,
            m2,
            m3,
            m4,
        }
    }

    #[inline]
    fn count(moments: &Central) -> f64 {
        moments.n
    }
}

#[inline]
fn positive(v: f64) -> f64 {
    if v < 0.0 { 0.0 } else { v }
}

/// A [`Statistic`](super::statistic::Statistic) of one channel that is a function of central moments.
macro_rules! of_moments {
    ($name:ident, $k:literal) => {
        impl crate::features::rolling::statistic::sealed::Sealed for $name {}

        impl crate::features::rolling::statistic::Statistic for $name {
            type Memory =
                crate::features::rolling::chunked::ChunkedSums<crate::features::rolling::powers::Powers<$k>, 1, $k>;
            type Record = crate::features::rolling::chunked::ChunkedRecord;
            type Work = crate::features::rolling::chunked::Prefixes<$k>;

            fn new_memory(&self, extent: &Extent) -> Self::Memory {
                Self::Memory::new(extent, extent.max_rows())
            }

            fn clear(&self, memory: &mut Self::Memory) {
                memory.clear();
            }

            fn push(&self, memory: &mut Self::Memory, time: f64, x: f64) {
                memory.push(time, time, [x]);
            }

            fn value(&self, memory: &Self::Memory, min_count: usize) -> f64 {
                memory.value(min_count, |m| self.of(m))
            }

            fn run(
                &self,
                _extent: &Extent,
                memory: &mut Self::Memory,
                work: &mut Self::Work,
                min_count: usize,
                x: &[f64],
                out: &mut [f64],
            ) {
                let (rows, _) = x.as_chunks::<1>();
                memory.extend(rows, work, min_count, |m| self.of(m), out);
            }

            fn record(&self, memory: &Self::Memory) -> Self::Record {
                memory.record()
            }

            fn restore(&self, extent: &Extent, record: Self::Record) -> Result<(Self::Memory, Option<f64>)> {
                Self::Memory::restore(extent, extent.max_rows(), record)
            }
        }
    };
}
pub(super) use of_moments;
