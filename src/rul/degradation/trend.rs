//! The sums of a machine's readings that a line needs.

use super::tails::student_above;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a random line remembers of one machine: weighted means and centred sums, nine numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Sums", into = "Sums")]
pub struct TrendMemory(Sums);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    weight: f64,
    squared_weight: f64,
    mean_age: f64,
    mean: f64,
    ages: f64,
    products: f64,
    squares: f64,
    last: f64,
    last_age: f64,
}

impl TryFrom<Sums> for TrendMemory {
    type Error = Error;

    fn try_from(s: Sums) -> Result<Self> {
        let readings = [s.mean, s.last].iter().all(|v| v.abs() <= super::course::LARGEST);
        let ages = [s.mean_age, s.last_age].iter().all(|v| (0.0..=1e30).contains(v));
        let sums = [s.weight, s.squared_weight, s.ages, s.squares]
            .iter()
            .all(|v| (0.0..=1e100).contains(v));
        if readings && ages && sums && s.products.abs() <= 1e100 && s.squared_weight <= s.weight {
            Ok(Self(s))
        } else {
            Err(Error::persistence(
                "trend: expected sums of readings within 10 spans, got others",
            ))
        }
    }
}

impl From<TrendMemory> for Sums {
    fn from(m: TrendMemory) -> Self {
        m.0
    }
}

impl TrendMemory {
    /// Takes a reading in; those before lose their weight by `decay`.
    pub(super) fn take(&mut self, age: f64, reading: f64, decay: f64) {
        let s = &mut self.0;
        s.weight = decay * s.weight + 1.0;
        s.squared_weight = decay * decay * s.squared_weight + 1.0;
        let (from_age, from) = (age - s.mean_age, reading - s.mean);
        s.mean_age += from_age / s.weight;
        s.mean += from / s.weight;
        s.ages = decay * s.ages + from_age * (age - s.mean_age);
        s.products = decay * s.products + from_age * (reading - s.mean);
        s.squares = decay * s.squares + from * (reading - s.mean);
        (s.last, s.last_age) = (reading, age);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.weight == 0.0
    }

    pub(super) fn last(&self) -> f64 {
        self.0.last
    }

    pub(super) fn weight(&self) -> f64 {
        self.0.weight
    }

    /// Sum of squared ages from their mean.
    pub(super) fn ages(&self) -> f64 {
        self.0.ages
    }

    pub(super) fn mean_age(&self) -> f64 {
        self.0.mean_age
    }

    pub(super) fn mean(&self) -> f64 {
        self.0.mean
    }

    /// Least squares; `None` of a single age.
    pub(super) fn slope(&self) -> Option<f64> {
        (self.0.ages > 0.0).then(|| self.0.products / self.0.ages)
    }

    /// Sum of squares about the line.
    pub(super) fn residual(&self) -> f64 {
        let explained = self.slope().map_or(0.0, |b| b * self.0.products);
        let left = self.0.squares - explained;
        // Less than rounding of the sums is nothing.
        if left > 1e-14 * self.0.squares { left } else { 0.0 }
    }

    /// The probability that readings without a trend have one as far up, by Student's test of the slope: `n - 2` degrees of
    /// freedom, `n` the number of readings that weigh as much as these. 1 where that is 2 or less.
    pub(super) fn p_value(&self) -> f64 {
        let s = &self.0;
        let Some(slope) = self.slope() else { return 1.0 };
        let df = s.weight * s.weight / s.squared_weight - 2.0;
        if !df.gt(&0.5) || slope == 0.0 {
            return 1.0;
        }
        // Weights sum to `weight`, not to the number of readings they are worth.
        let variance = self.residual() / s.weight * (df + 2.0) / df;
        let error = (variance / s.ages * s.squared_weight / s.weight).sqrt();
        student_above(slope / error, df)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_tested_by_hand() {
        // y = 1, 3, 2, 5 at 0..3: slope 1.1, residual 2.7, standard error √(1.35/5) = 0.5196, t = 2.117.
        let mut m = TrendMemory::default();
        for (i, y) in [1.0, 3.0, 2.0, 5.0].into_iter().enumerate() {
            m.take(i as f64, y, 1.0);
        }
        assert!((m.slope().unwrap() - 1.1).abs() < 1e-14 && (m.residual() - 2.7).abs() < 1e-13);
        let t = 1.1 / (1.35f64 / 5.0).sqrt();
        assert!((m.p_value() - 0.5 * (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-13);
        // Nothing, one reading, a constant: no trend. A perfect line: no doubt.
        let mut constant = TrendMemory::default();
        assert_eq!(constant.p_value(), 1.0);
        (0..9).for_each(|i| constant.take(f64::from(i), 3.3, 1.0));
        assert_eq!(constant.p_value(), 1.0);
        let mut line = TrendMemory::default();
        (0..9).for_each(|i| line.take(f64::from(i), 0.5 * f64::from(i), 1.0));
        assert_eq!(line.p_value(), 0.0);
    }

    #[test]
    fn weighted_sums_are_those_of_a_naive_pass() {
        let decay = 0.8;
        let rows: Vec<(f64, f64)> = (0..20)
            .map(|i| (f64::from(i * i) / 50.0, libm::sin(f64::from(i))))
            .collect();
        let mut m = TrendMemory::default();
        rows.iter().for_each(|&(t, y)| m.take(t, y, decay));
        let weighted = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
            rows.iter()
                .rev()
                .enumerate()
                .map(|(i, &(t, y))| decay.powi(i as i32) * f(t, y))
                .sum()
        };
        let (w, t, y) = (weighted(&|_, _| 1.0), weighted(&|t, _| t), weighted(&|_, y| y));
        let products = weighted(&|u, v| (u - t / w) * (v - y / w));
        let ages = weighted(&|u, _| (u - t / w) * (u - t / w));
        assert!((m.weight() - w).abs() < 1e-13 && (m.mean_age() - t / w).abs() < 1e-13);
        assert!((m.slope().unwrap() - products / ages).abs() < 1e-12);
    }
}
