//! The sums of a machine's increments that a process with independent increments needs.

use super::{
    course::{Course, LARGEST, Series},
    tails::student_above,
};
use crate::{
    error::{Error, Result},
    model::NoPrognosis,
};
use serde::{Deserialize, Serialize};

/// What a process with independent increments remembers of one machine: seven numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Sums", into = "Sums")]
pub struct IncrementMemory(Sums);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    /// Age and level of the reading before, where there is one.
    last: Option<(f64, f64)>,
    weight: f64,
    squared_weight: f64,
    /// Of increments, of times, of squared increments over their time.
    rise: f64,
    time: f64,
    squares: f64,
}

impl TryFrom<Sums> for IncrementMemory {
    type Error = Error;

    fn try_from(s: Sums) -> Result<Self> {
        let sums = [s.weight, s.squared_weight, s.time, s.squares]
            .iter()
            .all(|v| (0.0..=1e100).contains(v));
        let last = s
            .last
            .is_none_or(|(age, y)| (0.0..=1e30).contains(&age) && y.abs() <= LARGEST);
        if sums && last && s.rise.abs() <= 1e100 && s.squared_weight <= s.weight {
            Ok(Self(s))
        } else {
            Err(Error::persistence(
                "increments: expected sums of readings within 10 spans, got others",
            ))
        }
    }
}

impl From<IncrementMemory> for Sums {
    fn from(m: IncrementMemory) -> Self {
        m.0
    }
}

impl IncrementMemory {
    /// Takes a reading in; increments before lose their weight by `decay`.
    pub(super) fn take(&mut self, age: f64, reading: f64, decay: f64) {
        let s = &mut self.0;
        if let Some((last_age, last)) = s.last {
            let (time, rise) = (age - last_age, reading - last);
            if !time.gt(&0.0) {
                return;
            }
            s.weight = decay * s.weight + 1.0;
            s.squared_weight = decay * decay * s.squared_weight + 1.0;
            s.rise = decay * s.rise + rise;
            s.time = decay * s.time + time;
            s.squares = (decay * s.squares + rise * rise / time).min(1e90);
        }
        s.last = Some((age, reading));
    }

    /// All increments of a life.
    pub(super) fn of(life: &Series, course: &Course) -> Self {
        let mut m = Self::default();
        life.ages
            .iter()
            .zip(&life.readings)
            .for_each(|(t, y)| m.take(course.age(*t), course.reading(*y), 1.0));
        m
    }

    /// How far the threshold is from the last reading, or why nothing is said of when it is reached.
    pub(super) fn distance_left(&self, significance: f64) -> std::result::Result<f64, NoPrognosis> {
        match self.0.last {
            None => Err(NoPrognosis::NoTrend),
            Some((_, level)) if level >= 0.0 => Err(NoPrognosis::ThresholdCrossed),
            Some((_, level)) if self.p_value() < significance => Ok(-level),
            Some(_) => Err(NoPrognosis::NoTrend),
        }
    }

    /// The sum of increments and the time they took.
    pub(super) fn rise(&self) -> (f64, f64) {
        (self.0.rise, self.0.time)
    }

    /// The number of increments.
    pub(super) fn weight(&self) -> f64 {
        self.0.weight
    }

    /// Sum of squared increments from their mean rate, each over its time.
    pub(super) fn residual(&self) -> f64 {
        if !self.0.time.gt(&0.0) {
            return 0.0;
        }
        let left = self.0.squares - self.0.rise * self.0.rise / self.0.time;
        if left > 1e-14 * self.0.squares { left } else { 0.0 }
    }

    /// The probability that increments without a drift, of a variance that grows with their time, add up to as much: by
    /// Student's test with `n - 1` degrees of freedom. 1 where that is 1 or less.
    pub(super) fn p_value(&self) -> f64 {
        let s = &self.0;
        let df = s.weight * s.weight / s.squared_weight - 1.0;
        if !(df > 0.5 && s.time > 0.0) || s.rise == 0.0 {
            return 1.0;
        }
        let variance = self.residual() / s.weight * (df + 1.0) / df;
        student_above(s.rise / (variance * s.time * s.squared_weight / s.weight).sqrt(), df)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increments_tested_by_hand() {
        // Increments 1, 3, 2 over times 1, 1, 2: rate 1.5, squares 1 + 9 + 2 - 36/4 = 3, variance 1.5, t = 6/√(1.5·4).
        let mut m = IncrementMemory::default();
        for (t, y) in [(0.0, 0.0), (1.0, 1.0), (2.0, 4.0), (4.0, 6.0)] {
            m.take(t, y, 1.0);
        }
        assert!((m.residual() - 3.0).abs() < 1e-14 && m.rise() == (6.0, 4.0) && m.weight() == 3.0);
        let t = 6.0 / 6.0f64.sqrt();
        assert!((m.p_value() - 0.5 * (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-14);
        let mut none = IncrementMemory::default();
        assert_eq!(none.p_value(), 1.0);
        (0..9).for_each(|i| none.take(f64::from(i), 2.0, 1.0));
        assert_eq!(none.p_value(), 1.0);
    }
}
