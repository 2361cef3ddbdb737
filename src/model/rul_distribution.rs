//! A whole distribution of remaining life.

use super::RulEstimate;
use crate::{
    error::{Error, Result},
    quantity::LifeUnit,
};
use serde::{Deserialize, Serialize};

/// Percentiles a distribution is made of: 0, 1, .. 100.
pub const N_PERCENTILES: usize = 101;
/// Where the outermost percentiles of a distribution without ends are taken.
const OUTERMOST: f64 = 5e-4;

/// What is known of a machine's remaining life: the percentiles of its distribution.
///
/// The quantile function is linear between percentiles, so that whole percents are exact and intervals of any level nest.
/// Percentiles may end before 100: the lives above them are *beyond* what is known (a horizon, a cap of labels, a machine that
/// may never get there), have a probability but no number, and stand as infinity. A value of 101 numbers, without a
/// pointer: it is copied freely and made without allocating.
///
/// ```
/// use prognos::{model::RulDistribution, quantity::LifeUnit};
/// // Exponential with a mean of 100 h: the quantile function is -100 ln(1 - p).
/// let d = RulDistribution::from_quantiles(LifeUnit::Hours, |p| -100.0 * (1.0 - p).ln())?;
/// assert!((d.median().unwrap() - 69.3).abs() < 0.1);
/// assert!((d.survival(100.0) - 0.368).abs() < 1e-3);
/// let (lower, upper) = d.interval(0.9)?;
/// assert!((lower - 5.13).abs() < 0.01 && (upper - 299.6).abs() < 0.1);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct RulDistribution {
    /// Not falling; finite ones first, then infinite ones.
    percentiles: [f64; N_PERCENTILES],
    unit: LifeUnit,
}

#[derive(Serialize, Deserialize)]
struct Record {
    /// The finite ones.
    percentiles: Vec<f64>,
    unit: LifeUnit,
}

impl RulDistribution {
    /// From all percentiles, 0 to 100.
    ///
    /// # Errors
    /// `InvalidInput` unless they are not negative, do not fall, hold no NaN, and the first one is finite.
    pub fn new(percentiles: [f64; N_PERCENTILES], unit: LifeUnit) -> Result<Self> {
        if !(percentiles[0].is_finite() && percentiles[0] >= 0.0) {
            return Err(Error::input(
                "percentile 0 of a remaining life",
                "finite and not negative",
                percentiles[0],
            ));
        }
        match percentiles.windows(2).position(|w| w[1].is_nan() || w[1] < w[0]) {
            Some(i) => Err(Error::input(
                &format!("percentile {} of a remaining life", i + 1),
                format!("not below {}", percentiles[i]),
                percentiles[i + 1],
            )),
            None => Ok(Self { percentiles, unit }),
        }
    }

    /// From a quantile function, called with the probabilities 0.0005, 0.01, 0.02, .. 0.99, 0.9995: distributions without
    /// ends are cut there. Negative lives are taken as zero; infinity says that the quantile is not known. Values that
    /// fall by rounding are raised to the one before.
    ///
    /// # Errors
    /// `InvalidInput` for NaN, or where even the first is infinite.
    pub fn from_quantiles(unit: LifeUnit, mut quantile: impl FnMut(f64) -> f64) -> Result<Self> {
        let mut percentiles = [0.0; N_PERCENTILES];
        let mut least = 0.0f64;
        for (i, out) in percentiles.iter_mut().enumerate() {
            let p = (i as f64 / 100.0).clamp(OUTERMOST, 1.0 - OUTERMOST);
            let q = quantile(p);
            if q.is_nan() {
                return Err(Error::input(
                    &format!("quantile {p} of a remaining life"),
                    "a number",
                    q,
                ));
            }
            least = least.max(q);
            *out = least;
        }
        Self::new(percentiles, unit)
    }

    /// The distribution of `lives`, each `(life, weight)`, **sorted by life**: percentile `100 p` lies where the middle of
    /// a life's weight passes `p`, lives between two are interpolated. `beyond` is the weight of lives of which only that
    /// they are longer than all these is known.
    ///
    /// # Errors
    /// `InsufficientData` where no life has a weight; `InvalidInput` for lives that are not finite, negative or not
    /// sorted, and weights that are negative or do not add up to a finite number.
    pub fn from_weighted(unit: LifeUnit, lives: &[(f64, f64)], beyond: f64) -> Result<Self> {
        let mut total = beyond;
        let mut last = 0.0;
        for (i, &(life, weight)) in lives.iter().enumerate() {
            if !(life.is_finite() && life >= last) {
                return Err(Error::input(
                    &format!("life {i}"),
                    format!("finite and not below {last}"),
                    life,
                ));
            }
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(Error::input(&format!("weight {i}"), "finite and not negative", weight));
            }
            last = life;
            total += weight;
        }
        if !(beyond >= 0.0 && total.is_finite()) {
            return Err(Error::input("sum of weights", "finite, none negative", total));
        }
        let mut known = lives.iter().filter(|l| l.1 > 0.0).peekable();
        let Some(&&(first, first_weight)) = known.peek() else {
            return Err(Error::insufficient(
                "distribution of remaining life",
                "at least 1 life of weight above 0",
                0,
            ));
        };
        known.next();
        let mut percentiles = [f64::INFINITY; N_PERCENTILES];
        // The life at hand and the probability at the middle of its weight; the one before it.
        let (mut here, mut p_here) = (first, first_weight / 2.0 / total);
        let (mut before, mut p_before) = (first, 0.0);
        let mut passed = first_weight;
        for (i, out) in percentiles.iter_mut().enumerate() {
            let p = i as f64 / 100.0;
            while p > p_here
                && let Some(&&(life, weight)) = known.peek()
            {
                (before, p_before) = (here, p_here);
                here = life;
                p_here = (passed + weight / 2.0) / total;
                passed += weight;
                known.next();
            }
            *out = if p <= p_here {
                let share = if p_here > p_before {
                    ((p - p_before) / (p_here - p_before)).clamp(0.0, 1.0)
                } else {
                    1.0
                };
                before + share * (here - before)
            } else if p <= passed / total * (1.0 + 1e-12) {
                here
            } else {
                f64::INFINITY
            };
        }
        Self::new(percentiles, unit)
    }

    /// All percentiles, 0 to 100; infinite where they are not known.
    pub fn percentiles(&self) -> &[f64; N_PERCENTILES] {
        &self.percentiles
    }

    /// The unit of the lives.
    pub fn unit(&self) -> LifeUnit {
        self.unit
    }

    /// The life that is reached with probability `1 - p`, infinite where it is not known; `p` is held within 0..=1, and NaN
    /// for NaN.
    pub fn quantile(&self, p: f64) -> f64 {
        if p.is_nan() {
            return f64::NAN;
        }
        let at = (p.clamp(0.0, 1.0) * 100.0).min(100.0);
        // Products such as 0.95 * 100 are an ulp beside whole numbers.
        let whole = at.round();
        if (at - whole).abs() < 1e-9 {
            return self.percentiles[whole as usize];
        }
        let i = at as usize;
        let (low, high) = (self.percentiles[i], self.percentiles[i + 1]);
        if high.is_infinite() {
            high
        } else {
            low + (at - i as f64) * (high - low)
        }
    }

    /// The life that is as likely to be reached as not; `None` where it is not known.
    pub fn median(&self) -> Option<f64> {
        Some(self.percentiles[50]).filter(|m| m.is_finite())
    }

    /// The interval between the quantiles `(1 - level)/2` and `(1 + level)/2`: intervals of higher levels hold those of
    /// lower ones. The upper end is infinite where it is not known.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < level < 1`.
    pub fn interval(&self, level: f64) -> Result<(f64, f64)> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::parameter("level", "above 0 and below 1", level));
        }
        Ok((self.quantile((1.0 - level) / 2.0), self.quantile((1.0 + level) / 2.0)))
    }

    /// The probability of failing within `life`, held between those at the last percentile that is known and 1 beyond it:
    /// 0.8 for every life above percentile 80 where 81 is not known.
    pub fn failure(&self, life: f64) -> f64 {
        if life.is_nan() {
            return f64::NAN;
        }
        let above = self.percentiles.partition_point(|q| *q <= life);
        let Some(i) = above.checked_sub(1) else { return 0.0 };
        match self.percentiles.get(above) {
            Some(&high) if high.is_finite() => {
                let low = self.percentiles[i];
                (i as f64 + (life - low) / (high - low)) / 100.0
            }
            _ => i as f64 / 100.0,
        }
    }

    /// The probability of living longer than `life`: `1 - failure(life)`.
    pub fn survival(&self, life: f64) -> f64 {
        1.0 - self.failure(life)
    }

    /// The probability of lives that are beyond what is known.
    pub fn beyond(&self) -> f64 {
        let n_known = self.percentiles.partition_point(|q| q.is_finite());
        (N_PERCENTILES - n_known) as f64 / 100.0
    }

    /// Expected life up to `horizon`, the integral of the survival curve from 0 to there; unknown lives count as `horizon`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `horizon` is finite and not negative.
    pub fn mean_within(&self, horizon: f64) -> Result<f64> {
        if !(horizon.is_finite() && horizon >= 0.0) {
            return Err(Error::parameter("horizon", "finite and not negative", horizon));
        }
        // The quantile function is linear between percentiles; a piece that the horizon cuts is so up to there. No part of the
        // sum may exceed the horizon, which may be the largest of all numbers.
        let pieces = self.percentiles.windows(2).map(|w| {
            let (a, b) = (w[0], w[1]);
            let mean = if b <= horizon {
                a.midpoint(b)
            } else if b.is_infinite() || a >= horizon {
                horizon
            } else {
                let share = (horizon - a) / (b - a);
                share * a.midpoint(horizon) + (1.0 - share) * horizon
            };
            mean / 100.0
        });
        Ok(pieces.sum::<f64>().min(horizon))
    }

    /// The continuous ranked probability score against the true life, `integral of (F(t) - 1[t >= truth])² dt`, in the
    /// unit of the lives; lower is better, and for a bare number it is the absolute error (Gneiting and Raftery 2007,
    /// doi 10.1198/016214506000001437). Unknown lives count as the last known one.
    ///
    /// # Errors
    /// `InvalidInput` unless `truth` is finite and not negative.
    pub fn crps(&self, truth: f64) -> Result<f64> {
        if !(truth.is_finite() && truth >= 0.0) {
            return Err(Error::input("true remaining life", "finite and not negative", truth));
        }
        // F is linear in t between percentiles, so each piece integrates to a difference of cubes over three differences.
        let cubes = |f: f64, g: f64, dt: f64| dt * ((g * g + g * f + f * f) / 3.0);
        let first = self.percentiles[0];
        let mut sum = (first - truth).max(0.0);
        let mut last = first;
        for (i, w) in self.percentiles.windows(2).enumerate() {
            let (a, b) = (w[0], w[1]);
            if b.is_infinite() {
                break;
            }
            last = b;
            let (f, g) = (i as f64 / 100.0, (i + 1) as f64 / 100.0);
            if b <= truth {
                sum += cubes(f, g, b - a);
            } else if a >= truth {
                sum += cubes(1.0 - g, 1.0 - f, b - a);
            } else {
                let h = f + (truth - a) / (b - a) * (g - f);
                sum += cubes(f, h, truth - a) + cubes(1.0 - g, 1.0 - h, b - truth);
            }
        }
        Ok(sum + (truth - last).max(0.0))
    }

    /// The distribution of what is left after `life` more has been survived.
    ///
    /// # Errors
    /// `InvalidParameter` unless `life` is finite and not negative; `InsufficientData` where nothing is known beyond it.
    pub fn after(&self, life: f64) -> Result<Self> {
        if !(life.is_finite() && life >= 0.0) {
            return Err(Error::parameter("life", "finite and not negative", life));
        }
        let gone = self.failure(life);
        let left = 1.0 - gone;
        let known = self.percentiles.iter().any(|q| q.is_finite() && *q > life);
        if !(left > 0.0 && known) {
            return Err(Error::insufficient(
                "distribution of remaining life",
                format!("lives longer than {life} {}", self.unit),
                "none",
            ));
        }
        let mut percentiles = [0.0; N_PERCENTILES];
        let mut least = 0.0f64;
        for (i, out) in percentiles.iter_mut().enumerate() {
            least = least.max(self.quantile(gone + left * i as f64 / 100.0) - life);
            *out = least;
        }
        Self::new(percentiles, self.unit)
    }

    /// The median with the interval of `level`. An upper end that is not known is the last life that is: of lives counted
    /// up to there, the interval holds its level.
    ///
    /// # Errors
    /// As [`interval`](RulDistribution::interval); `InsufficientData` where the median is not known: the last life that is
    /// known is then no estimate, however narrow it looks.
    pub fn estimate(&self, level: f64) -> Result<RulEstimate> {
        let (lower, upper) = self.interval(level)?;
        let Some(median) = self.median() else {
            let what = "estimate of remaining life";
            let got = format!("{} of all lives beyond what is known", self.beyond());
            return Err(Error::insufficient(what, "a median that is known", got));
        };
        let n_known = self.percentiles.partition_point(|q| q.is_finite());
        let last = self.percentiles[n_known.saturating_sub(1)];
        RulEstimate::new(median, lower, upper.min(last), level, self.unit)
    }
}

impl TryFrom<Record> for RulDistribution {
    type Error = Error;

    fn try_from(r: Record) -> Result<Self> {
        if r.percentiles.len() > N_PERCENTILES {
            return Err(Error::input(
                "percentiles",
                format!("at most {N_PERCENTILES}"),
                r.percentiles.len(),
            ));
        }
        let mut percentiles = [f64::INFINITY; N_PERCENTILES];
        percentiles.iter_mut().zip(&r.percentiles).for_each(|(p, q)| *p = *q);
        Self::new(percentiles, r.unit)
    }
}

impl From<RulDistribution> for Record {
    fn from(d: RulDistribution) -> Self {
        Self {
            percentiles: d.percentiles.iter().copied().filter(|q| q.is_finite()).collect(),
            unit: d.unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNIT: LifeUnit = LifeUnit::Hours;

    fn uniform(low: f64, high: f64) -> RulDistribution {
        let mut q = [0.0; N_PERCENTILES];
        q.iter_mut()
            .enumerate()
            .for_each(|(i, q)| *q = low + (high - low) * i as f64 / 100.0);
        RulDistribution::new(q, UNIT).unwrap()
    }

    #[test]
    fn a_uniform_life_in_closed_form() {
        let d = uniform(0.0, 100.0);
        assert_eq!((d.quantile(0.05), d.quantile(0.955)), (5.0, 95.5));
        assert!((d.failure(33.3) - 0.333).abs() < 1e-12 && d.failure(-1.0) == 0.0 && d.failure(1e9) == 1.0);
        assert!((d.mean_within(100.0).unwrap() - 50.0).abs() < 1e-9);
        // Up to h: h - h²/200.
        assert!((d.mean_within(30.5).unwrap() - (30.5 - 30.5 * 30.5 / 200.0)).abs() < 1e-9);
        // CRPS at y of U(0, 100): (y³ + (100 - y)³) / 30000.
        for y in [0.0, 25.5, 100.0] {
            let expected = (y * y * y + (100.0 - y) * (100.0 - y) * (100.0 - y)) / 3e4;
            assert!((d.crps(y).unwrap() - expected).abs() < 1e-9, "{y}");
        }
        let later = d.after(40.0).unwrap();
        assert!((later.quantile(0.5) - 30.0).abs() < 1e-9 && later.percentiles()[0] == 0.0);
        assert!(d.after(100.0).is_err());
    }

    #[test]
    fn a_bare_number_scores_its_absolute_error() {
        let d = RulDistribution::new([7.0; N_PERCENTILES], UNIT).unwrap();
        assert_eq!(d.crps(3.0).unwrap(), 4.0);
        assert_eq!(d.crps(10.0).unwrap(), 3.0);
        assert_eq!((d.failure(6.9), d.failure(7.0)), (0.0, 1.0));
    }

    #[test]
    fn lives_beyond_what_is_known() {
        let d = RulDistribution::from_weighted(UNIT, &[(10.0, 1.0), (20.0, 1.0), (30.0, 1.0)], 1.0).unwrap();
        assert!((d.beyond() - 0.25).abs() < 0.011, "{}", d.beyond());
        assert_eq!(d.interval(0.9).unwrap().1, f64::INFINITY);
        let e = d.estimate(0.9).unwrap();
        assert_eq!(e.upper, 30.0);
        assert!((d.failure(1e9) - 0.75).abs() < 1e-9);
        assert!(RulDistribution::from_weighted(UNIT, &[], 1.0).is_err());
        assert!(RulDistribution::from_weighted(UNIT, &[(1.0, 0.0)], 0.0).is_err());
        assert!(RulDistribution::from_weighted(UNIT, &[(2.0, 1.0), (1.0, 1.0)], 0.0).is_err());
        let bytes = rmp_serde::to_vec_named(&d).unwrap();
        assert_eq!(rmp_serde::from_slice::<RulDistribution>(&bytes).unwrap(), d);
    }

    #[test]
    fn without_a_median_there_is_no_estimate() {
        let until = |known: usize| {
            let q = std::array::from_fn(|i| if i <= known { 10.0 + i as f64 } else { f64::INFINITY });
            RulDistribution::new(q, UNIT).unwrap()
        };
        for known in [0, 4, 49] {
            let e = until(known).estimate(0.9).unwrap_err();
            assert!(e.to_string().contains("median"), "{e}");
        }
        let e = until(50).estimate(0.9).unwrap();
        assert_eq!((e.lower, e.rul, e.upper), (15.0, 60.0, 60.0));
        assert!(until(100).estimate(1.0).is_err());
    }

    #[test]
    fn the_largest_lives_have_a_mean_and_a_score() {
        let d = uniform(0.0, 1e300);
        assert!((d.mean_within(f64::MAX).unwrap() / 5e299 - 1.0).abs() < 1e-12);
        let d = RulDistribution::from_weighted(UNIT, &[(1.0, 1.0)], 1.0).unwrap();
        let mean = d.mean_within(f64::MAX).unwrap();
        assert!((mean / f64::MAX - 0.5).abs() < 0.02, "{mean}");
        // A truth a hair beside a percentile cuts no piece of nonsense off.
        let d = uniform(0.0, 100.0);
        for y in [25.0 - 4e-15, 25.0, 25.0 + 4e-15] {
            let expected = (y * y * y + (100.0 - y) * (100.0 - y) * (100.0 - y)) / 3e4;
            assert!((d.crps(y).unwrap() - expected).abs() < 1e-12, "{y}");
        }
    }

    #[test]
    fn bad_percentiles_are_refused() {
        for bad in [f64::NAN, -1.0, f64::INFINITY] {
            let mut q = [1.0; N_PERCENTILES];
            q[0] = bad;
            assert!(RulDistribution::new(q, UNIT).is_err());
        }
        let mut q = [1.0; N_PERCENTILES];
        q[50] = 0.5;
        assert!(RulDistribution::new(q, UNIT).is_err());
        q[50] = f64::NAN;
        assert!(RulDistribution::new(q, UNIT).is_err());
        assert!(RulDistribution::from_quantiles(UNIT, |_| f64::NAN).is_err());
        assert!(RulDistribution::from_quantiles(UNIT, |_| f64::INFINITY).is_err());
        assert!(uniform(0.0, 1.0).interval(1.0).is_err() && uniform(0.0, 1.0).crps(f64::NAN).is_err());
        assert!(uniform(0.0, 1.0).mean_within(f64::INFINITY).is_err());
    }

    fn distribution() -> impl Strategy<Value = RulDistribution> {
        (
            proptest::collection::vec((0.0..1e4f64, 0.0..1.0f64), 1..60),
            0.0..2.0f64,
        )
            .prop_map(|(mut lives, beyond)| {
                lives[0].1 += 0.1;
                lives.sort_by(|a, b| a.0.total_cmp(&b.0));
                RulDistribution::from_weighted(UNIT, &lives, beyond).unwrap()
            })
    }

    proptest! {
        #[test]
        fn survival_falls_and_intervals_nest(d in distribution(), a in 0.01..0.98f64, more in 0.0..0.01f64, t in 0.0..1e4f64, dt in 0.0..1e3f64) {
            prop_assert!(d.survival(t) >= d.survival(t + dt));
            let (inner, outer) = (d.interval(a).unwrap(), d.interval(a + more).unwrap());
            prop_assert!(outer.0 <= inner.0 && inner.1 <= outer.1);
            prop_assert!(d.crps(t).unwrap() >= 0.0);
        }

        #[test]
        fn failure_undoes_quantile(d in distribution(), p in 0.0..1.0f64) {
            let q = d.quantile(p);
            if q.is_finite() {
                prop_assert!(d.failure(q) >= p - 1e-9);
            }
        }
    }
}
