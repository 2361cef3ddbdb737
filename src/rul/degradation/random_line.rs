//! Lines with random coefficients.

use super::{
    course::{Course, Series},
    first_passage,
    trend::TrendMemory,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
    rul::normal,
};
use serde::{Deserialize, Serialize};

/// Nodes of the integral over where the line is now: Simpson's rule over 7 standard deviations either side errs by less than
/// 1e-4 in probability.
const N_NODES: usize = 41;
/// Below this probability of not having crossed, the line has.
const CROSSED: f64 = 1e-6;

/// What is believed of a machine's line `intercept + slope * age` and of the noise of readings about it, in the units of
/// readings and life (those of the logarithm for an exponential model).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineBelief {
    /// Expected reading at birth.
    pub intercept: f64,
    /// Expected rise in a life unit.
    pub slope: f64,
    /// Variance of the intercept.
    pub intercept_variance: f64,
    /// Covariance of intercept and slope.
    pub covariance: f64,
    /// Variance of the slope.
    pub slope_variance: f64,
    /// Variance of a reading about the line.
    pub noise_variance: f64,
}

impl LineBelief {
    pub(super) fn flaw(&self) -> Option<String> {
        let finite = self.intercept.abs() <= 1e100 && self.slope.abs() <= 1e100;
        let positive = |v: f64| v > 0.0 && v <= 1e100;
        let sound = finite
            && positive(self.intercept_variance)
            && positive(self.slope_variance)
            && positive(self.noise_variance)
            && self.covariance.abs() < self.intercept_variance.sqrt() * self.slope_variance.sqrt();
        (!sound).then(|| format!("{self:?}"))
    }
}

/// A random line in units of the course.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RandomLine {
    mean: [f64; 2],
    /// Of the intercept, of both, of the slope.
    covariance: [f64; 3],
    noise: f64,
}

impl RandomLine {
    pub(super) fn given(belief: &LineBelief, course: &Course) -> Result<Self> {
        if let Some(flaw) = belief.flaw() {
            return Err(Error::parameter(
                "prior",
                "finite, a positive definite covariance, noise",
                flaw,
            ));
        }
        let (span, lifetime) = course.units();
        let square = |v: f64| v / span / span;
        let line = Self {
            mean: course.line(belief.intercept, belief.slope),
            covariance: [
                square(belief.intercept_variance),
                square(belief.covariance) * lifetime,
                square(belief.slope_variance) * lifetime * lifetime,
            ],
            noise: square(belief.noise_variance),
        };
        line.check()
            .map_err(|_| Error::parameter("prior", "near the range of recorded readings", format!("{belief:?}")))
    }

    /// The mean, the sample covariance and the pooled residual variance of least-squares lines through the lives.
    pub(super) fn learn(lives: &[Series], course: &Course) -> Result<Self> {
        let (mut lines, mut residual, mut df) = (Vec::new(), 0.0, 0.0);
        for life in lives.iter().filter(|l| l.ages.len() >= 3) {
            let mut m = TrendMemory::default();
            life.ages
                .iter()
                .zip(&life.readings)
                .for_each(|(t, y)| m.take(course.age(*t), course.reading(*y), 1.0));
            if let Some(slope) = m.slope() {
                lines.push([m.mean() - slope * m.mean_age(), slope]);
                residual += m.residual();
                df += m.weight() - 2.0;
            }
        }
        if lines.len() < 3 {
            return Err(Error::insufficient(
                "random line",
                "at least 3 lives of 3 readings",
                lines.len(),
            ));
        }
        let n = lines.len() as f64;
        let mean = [0, 1].map(|j| lines.iter().map(|l| l[j]).sum::<f64>() / n);
        let moment =
            |j: usize, k: usize| lines.iter().map(|l| (l[j] - mean[j]) * (l[k] - mean[k])).sum::<f64>() / (n - 1.0);
        // Lives that are all the same leave a belief that readings can still move, by a thousandth of a span.
        let least = 1e-6;
        Self {
            mean,
            covariance: [moment(0, 0) + least, moment(0, 1), moment(1, 1) + least],
            noise: (residual / df).max(least),
        }
        .check()
    }

    /// Refuses one that cannot be.
    pub(super) fn check(self) -> Result<Self> {
        let [a, ab, b] = self.covariance;
        let positive = |v: f64| (1e-20..=1e20).contains(&v);
        let sound = self.mean.iter().all(|m| m.abs() <= 1e20)
            && positive(a)
            && positive(b)
            && positive(self.noise)
            && ab * ab < a * b;
        if sound {
            Ok(self)
        } else {
            Err(Error::persistence(format!(
                "random line: expected finite means and a positive definite covariance, got {self:?}"
            )))
        }
    }

    /// Mean and covariance of `(level at age, slope)` given the readings: a Gaussian prior seen through two independent
    /// Gaussian sums, the mean of the readings and their slope.
    fn posterior_at(&self, memory: &TrendMemory, age: f64) -> ([f64; 2], [f64; 3]) {
        let shifted = |m: [f64; 2], c: [f64; 3], by: f64| {
            (
                [m[0] + by * m[1], m[1]],
                [c[0] + by * (2.0 * c[1] + by * c[2]), c[1] + by * c[2], c[2]],
            )
        };
        if memory.is_empty() {
            return shifted(self.mean, self.covariance, age);
        }
        let (mut m, mut c) = shifted(self.mean, self.covariance, memory.mean_age());
        // Kalman's update by one number, here the level at the mean age.
        let noise = self.noise / memory.weight();
        let gain = [c[0] / (c[0] + noise), c[1] / (c[0] + noise)];
        let surprise = memory.mean() - m[0];
        m = [m[0] + gain[0] * surprise, m[1] + gain[1] * surprise];
        c = [
            c[0] * noise / (c[0] + noise),
            c[1] * noise / (c[0] + noise),
            c[2] - gain[1] * c[1],
        ];
        if let Some(slope) = memory.slope() {
            let noise = self.noise / memory.ages();
            let gain = [c[1] / (c[2] + noise), c[2] / (c[2] + noise)];
            let surprise = slope - m[1];
            m = [m[0] + gain[0] * surprise, m[1] + gain[1] * surprise];
            c = [
                c[0] - gain[0] * c[1],
                c[1] * noise / (c[2] + noise),
                c[2] * noise / (c[2] + noise),
            ];
        }
        shifted(m, c, age - memory.mean_age())
    }

    /// The belief after the readings, in outer units.
    pub(super) fn belief(&self, memory: &TrendMemory, course: &Course) -> LineBelief {
        let (m, c) = self.posterior_at(memory, 0.0);
        let [intercept, slope] = course.outer_line(m);
        let (span, lifetime) = course.units();
        let square = span * span;
        LineBelief {
            intercept,
            slope,
            intercept_variance: c[0] * square,
            covariance: c[1] * square / lifetime,
            slope_variance: c[2] * square / lifetime / lifetime,
            noise_variance: self.noise * square,
        }
    }

    /// When the line crosses zero, `age` in lifetimes.
    pub(super) fn prognose(
        &self,
        memory: &TrendMemory,
        age: f64,
        course: &Course,
        unit: LifeUnit,
    ) -> std::result::Result<RulDistribution, NoPrognosis> {
        if memory.is_empty() {
            return Err(NoPrognosis::NoTrend);
        }
        if memory.last() >= 0.0 {
            return Err(NoPrognosis::ThresholdCrossed);
        }
        if !memory.p_value().lt(&course.significance()) {
            return Err(NoPrognosis::NoTrend);
        }
        let (m, c) = self.posterior_at(memory, age);
        let level_sd = c[0].max(0.0).sqrt();
        if !(level_sd > 0.0 && level_sd.is_finite() && m[0].is_finite() && m[1].is_finite()) {
            return Err(NoPrognosis::Diverged);
        }
        let highest = (-m[0] / level_sd).min(7.0);
        if normal::cdf(highest) < CROSSED || highest <= -7.0 {
            return Err(NoPrognosis::ThresholdCrossed);
        }
        // Over levels below the threshold, each with its weight and what the slope is believed to be given it.
        let slope_sd = (c[2] - c[1] * c[1] / c[0]).max(1e-30 * c[2].abs()).max(1e-300).sqrt();
        let lowest = (-7.0f64).min(highest - 1.0);
        let step = (highest - lowest) / (N_NODES - 1) as f64;
        let mut nodes = [(0.0, 0.0, 0.0); N_NODES];
        let mut total = 0.0;
        for (i, node) in nodes.iter_mut().enumerate() {
            let z = lowest + i as f64 * step;
            let simpson = match i {
                0 => 1.0,
                i if i == N_NODES - 1 => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let weight = simpson * libm::exp(-0.5 * z * z);
            total += weight;
            *node = (weight, (-(m[0] + z * level_sd)).max(0.0), m[1] + z * c[1] / level_sd);
        }
        let failure = |t: f64| {
            let ahead = t / course.lifetime();
            let steep = |&(weight, distance, slope): &(f64, f64, f64)| {
                // The slope must be at least distance / ahead.
                weight * normal::cdf((slope - distance / ahead) / slope_sd)
            };
            if ahead > 0.0 {
                nodes.iter().map(steep).sum::<f64>() / total
            } else {
                0.0
            }
        };
        first_passage::lives(unit, course.horizon(), failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit_course() -> Course {
        let lives = [Series {
            ages: vec![0.0, 1.0],
            readings: vec![-1.0, 0.0],
            end: 1.0,
            failed: true,
        }];
        Course::learn(&Default::default(), None, &lives).unwrap()
    }

    fn line() -> RandomLine {
        RandomLine {
            mean: [-1.0, 1.0],
            covariance: [0.04, -0.01, 0.09],
            noise: 0.01,
        }
    }

    fn seen() -> TrendMemory {
        let mut memory = TrendMemory::default();
        for i in 0..8 {
            let t = 0.05 * f64::from(i);
            memory.take(t, -1.05 + 1.2 * t + 0.05 * libm::sin(7.0 * t * f64::from(i)), 1.0);
        }
        memory
    }

    /// (P⁻¹ + X'X/s²)⁻¹ by its definition.
    #[test]
    fn the_posterior_is_that_of_the_normal_equations() {
        let (line, memory) = (line(), seen());
        let det = line.covariance[0] * line.covariance[2] - line.covariance[1] * line.covariance[1];
        let inverse = [
            line.covariance[2] / det,
            -line.covariance[1] / det,
            line.covariance[0] / det,
        ];
        let (w, u) = (memory.weight(), memory.mean_age());
        let s = line.noise;
        let info = [
            inverse[0] + w / s,
            inverse[1] + w * u / s,
            inverse[2] + (memory.ages() + w * u * u) / s,
        ];
        let products = memory.slope().unwrap() * memory.ages() + w * u * memory.mean();
        let right = [
            inverse[0] * line.mean[0] + inverse[1] * line.mean[1] + w * memory.mean() / s,
            inverse[1] * line.mean[0] + inverse[2] * line.mean[1] + products / s,
        ];
        let det = info[0] * info[2] - info[1] * info[1];
        let expected = [
            (info[2] * right[0] - info[1] * right[1]) / det,
            (info[0] * right[1] - info[1] * right[0]) / det,
        ];
        let (m, c) = line.posterior_at(&memory, 0.0);
        assert!((m[0] - expected[0]).abs() < 1e-12 && (m[1] - expected[1]).abs() < 1e-12);
        let spread = [info[2] / det, -info[1] / det, info[0] / det];
        assert!(
            c.iter().zip(spread).all(|(a, b)| (a - b).abs() < 1e-13),
            "{c:?} {spread:?}"
        );
    }

    /// The distribution against a simulation of level and slope.
    #[test]
    fn crossings_are_those_of_simulated_lines() {
        use rand::{Rng, SeedableRng};
        let (line, memory, course) = (line(), seen(), unit_course());
        let d = line.prognose(&memory, 0.35, &course, LifeUnit::Hours).unwrap();
        let (m, c) = line.posterior_at(&memory, 0.35);
        let mut rng = rand_xoshiro::Xoshiro256Plus::seed_from_u64(3);
        let mut pair = || {
            let (u, v): (f64, f64) = (rng.r#gen(), rng.r#gen());
            let r = (-2.0 * libm::log(1.0 - u)).sqrt();
            let turn = 2.0 * std::f64::consts::PI * v;
            (r * libm::cos(turn), r * libm::sin(turn))
        };
        let (mut below, mut n) = ([0u32; 5], 0u32);
        let levels = [0.05, 0.25, 0.5, 0.75, 0.95];
        for _ in 0..100_000 {
            let (z, e) = pair();
            let level = m[0] + c[0].sqrt() * z;
            let slope = m[1] + c[1] / c[0].sqrt() * z + (c[2] - c[1] * c[1] / c[0]).sqrt() * e;
            if level < 0.0 {
                n += 1;
                let life = if slope > 0.0 { -level / slope } else { f64::INFINITY };
                for (count, p) in below.iter_mut().zip(levels) {
                    *count += u32::from(life <= d.quantile(p));
                }
            }
        }
        for (count, p) in below.into_iter().zip(levels) {
            let share = f64::from(count) / f64::from(n);
            // Four standard errors of 100,000 draws.
            assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / 1e5).sqrt(), "{p}: {share}");
        }
    }

    #[test]
    fn reasons_for_no_prognosis() {
        let (line, course) = (line(), unit_course());
        let say = |memory: &TrendMemory| line.prognose(memory, 1.0, &course, LifeUnit::Hours).unwrap_err();
        let mut memory = TrendMemory::default();
        assert_eq!(say(&memory), NoPrognosis::NoTrend);
        (0..30).for_each(|i| memory.take(f64::from(i) * 0.01, -0.5, 1.0));
        assert_eq!(say(&memory), NoPrognosis::NoTrend);
        let mut memory = seen();
        memory.take(0.5, 0.1, 1.0);
        assert_eq!(say(&memory), NoPrognosis::ThresholdCrossed);
        // Readings that rise too slowly to get there.
        let slow = RandomLine {
            mean: [-1.0, 0.0],
            covariance: [0.04, 0.0, 1e-6],
            ..line
        };
        let mut memory = TrendMemory::default();
        (0..30).for_each(|i| memory.take(f64::from(i) * 0.1, -1.0 + 1e-3 * f64::from(i), 1.0));
        let reason = slow.prognose(&memory, 3.0, &course, LifeUnit::Hours).unwrap_err();
        assert_eq!(reason, NoPrognosis::BeyondHorizon);
    }
}
