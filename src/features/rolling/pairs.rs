//! Second moments of pairs of values.

use super::chunked::Terms;

/// Sums of both values, their squares and product.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Pairs;

/// Count, means, and sums of squares and products of distances from them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Joint {
    n: f64,
    pivot: [f64; 2],
    shift: [f64; 2],
    pub(super) aa: f64,
    pub(super) ab: f64,
    pub(super) bb: f64,
}

impl Terms<2, 5> for Pairs {
    type Moments = Joint;

    #[inline]
    fn terms([a, b]: [f64; 2]) -> [f64; 5] {
        [a, b, a * a, a * b, b * b]
    }

    #[inline]
    fn moments(n: f64, pivot: [f64; 2], [a, b, aa, ab, bb]: [f64; 5]) -> Joint {
        let shift = [a / n, b / n];
        // Below zero is rounding; NaN stays.
        let positive = |v: f64| if v < 0.0 { 0.0 } else { v };
        Joint {
            n,
            pivot,
            shift,
            aa: positive(aa - shift[0] * a),
            ab: ab - shift[0] * b,
            bb: positive(bb - shift[1] * b),
        }
    }

    #[inline]
    fn merge(p: &Joint, q: &Joint) -> Joint {
        let n = p.n + q.n;
        let share = q.n / n;
        let delta = |i: usize| (q.pivot[i] - p.pivot[i]) + (q.shift[i] - p.shift[i]);
        let (da, db) = (delta(0), delta(1));
        let between = p.n * share;
        Joint {
            n,
            pivot: p.pivot,
            shift: [p.shift[0] + da * share, p.shift[1] + db * share],
            aa: p.aa + q.aa + da * da * between,
            ab: p.ab + q.ab + da * db * between,
            bb: p.bb + q.bb + db * db * between,
        }
    }

    #[inline]
    fn count(moments: &Joint) -> f64 {
        moments.n
    }
}
