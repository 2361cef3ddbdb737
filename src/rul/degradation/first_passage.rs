//! From the probability of having crossed a threshold to remaining life.

use crate::{
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
};

/// The distribution whose probability of failing within `t` is `failure(t)`, which does not fall; lives beyond `horizon` are
/// beyond what is known. [`NoPrognosis::BeyondHorizon`] where that is most of them.
///
/// Percentiles are found to a relative 1e-9 by false position with halved ends (Illinois; Dowell and Jarratt 1971,
/// doi 10.1007/BF01934364), each from the one before.
pub(super) fn lives(
    unit: LifeUnit,
    horizon: f64,
    failure: impl Fn(f64) -> f64,
) -> std::result::Result<RulDistribution, NoPrognosis> {
    let known = failure(horizon);
    if !known.ge(&0.5) {
        return Err(if known.is_nan() {
            NoPrognosis::Diverged
        } else {
            NoPrognosis::BeyondHorizon
        });
    }
    let mut from = (0.0, 0.0);
    let quantile = |p: f64| {
        if p > known {
            return f64::INFINITY;
        }
        from = crossing(&failure, p, from, (horizon, known));
        from.0
    };
    RulDistribution::from_quantiles(unit, quantile).map_err(|_| NoPrognosis::Diverged)
}

/// Where `failure` reaches `p`, and what it is there.
fn crossing(failure: impl Fn(f64) -> f64, p: f64, from: (f64, f64), end: (f64, f64)) -> (f64, f64) {
    let (mut low, mut high) = (from, end);
    // The next percentile is near: steps that grow find it sooner than the whole range.
    let mut step = (0.02 * low.0).max(1e-4 * end.0);
    while low.0 + step < end.0 {
        let here = (low.0 + step, failure(low.0 + step));
        if here.1 >= p {
            high = here;
            break;
        }
        low = here;
        step *= 2.0;
    }
    let (mut below, mut above) = (low.1 - p, high.1 - p);
    let mut last_side = 0;
    for i in 0..100 {
        if high.0 - low.0 <= 1e-9 * high.0 {
            break;
        }
        let share = -below / (above - below);
        // Every fourth step halves, whatever the shape.
        let share = if i % 4 == 3 || !(share > 0.0 && share < 1.0) {
            0.5
        } else {
            share
        };
        let t = low.0 + share * (high.0 - low.0);
        if !(t > low.0 && t < high.0) {
            break;
        }
        let f = failure(t);
        if f >= p {
            (high, above) = ((t, f), f - p);
            if last_side == 1 {
                below *= 0.5;
            }
            last_side = 1;
            if f - p < 1e-13 {
                break;
            }
        } else {
            (low, below) = ((t, f), f - p);
            if last_side == -1 {
                above *= 0.5;
            }
            last_side = -1;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_undo_the_probability() {
        let d = lives(LifeUnit::Hours, 1e4, |t| -libm::expm1(-t / 70.0)).unwrap();
        for i in 1..100 {
            let exact = -70.0 * libm::log1p(-f64::from(i) / 100.0);
            // 1e-9 of the bracket, 1e-13 of probability.
            assert!((d.percentiles()[i as usize] - exact).abs() < 1e-8 * exact, "{i}");
        }
        // A step: nobody fails before 3, everybody then.
        let d = lives(LifeUnit::Hours, 10.0, |t| f64::from(u8::from(t >= 3.0))).unwrap();
        assert!((d.median().unwrap() - 3.0).abs() < 1e-7);
        // Seven in ten are known.
        let d = lives(LifeUnit::Hours, 10.0, |t| 0.07 * t).unwrap();
        assert!((d.beyond() - 0.3).abs() < 0.011 && (d.median().unwrap() - 50.0 / 7.0).abs() < 1e-7);
        let none = lives(LifeUnit::Hours, 10.0, |t| 0.04 * t).unwrap_err();
        assert_eq!(none, NoPrognosis::BeyondHorizon);
        assert_eq!(
            lives(LifeUnit::Hours, 10.0, |_| f64::NAN).unwrap_err(),
            NoPrognosis::Diverged
        );
    }
}
