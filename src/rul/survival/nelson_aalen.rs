//! The Nelson-Aalen estimate of the cumulative hazard.

use super::{
    LifeSpells,
    risk_table::{AtRisk, risk_table},
};
use crate::{
    error::{Error, Result},
    rul::normal,
};

/// The cumulative hazard `H(t) = sum over failure ages a <= t of d / n`, with `d` failures among `n` at risk just before `a`
/// (Nelson 1972, doi 10.1080/00401706.1972.10488991; Aalen 1978, doi 10.1214/aos/1176344247).
///
/// Its slope is the failure rate: a line says that age does not matter, a curve that bends upwards that machines wear. Fitting
/// costs `O(n log n)`, and the order of rows does not change a bit.
///
/// ```
/// use prognos::rul::survival::{LifeSpells, NelsonAalen};
/// let curve = NelsonAalen::fit(&LifeSpells::new(vec![3.0, 5.0, 5.0, 8.0], vec![true, true, false, true])?);
/// assert!((curve.cumulative_hazard(5.0) - (1.0 / 4.0 + 1.0 / 3.0)).abs() < 1e-15);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NelsonAalen {
    table: Vec<AtRisk>,
    /// Hazard and its variance from each age of the table on.
    sums: Vec<(f64, f64)>,
}

impl NelsonAalen {
    /// The estimate; 0 for ever where all rows are censored.
    pub fn fit(spells: &LifeSpells) -> Self {
        let table = risk_table(spells);
        let (mut hazard, mut variance) = (0.0, 0.0);
        let sums = table
            .iter()
            .map(|r| {
                let share = r.failed / r.at_risk;
                hazard += share;
                variance += (1.0 - share) * share / r.at_risk;
                (hazard, variance)
            })
            .collect();
        Self { table, sums }
    }

    /// The failure ages, ascending: the hazard steps up at each.
    pub fn ages(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.table.iter().map(|r| r.age)
    }

    fn at(&self, age: f64) -> (f64, f64) {
        match self.table.partition_point(|r| r.age <= age) {
            0 => (0.0, 0.0),
            n => self.sums[n - 1],
        }
    }

    /// The expected number of failures up to `age`, of a machine put back to work after each.
    pub fn cumulative_hazard(&self, age: f64) -> f64 {
        self.at(age).0
    }

    /// The variance of the cumulative hazard at `age`, the sum of `(1 - d / n) d / n²` (binomial, for ties).
    pub fn variance(&self, age: f64) -> f64 {
        self.at(age).1
    }

    /// `exp(-H)`, the survival that Fleming and Harrington estimate from this hazard.
    pub fn survival(&self, age: f64) -> f64 {
        libm::exp(-self.at(age).0)
    }

    /// The confidence band of `level` at `age`, symmetric for `ln H`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `level` lies between 0 and 1.
    pub fn interval(&self, age: f64, level: f64) -> Result<(f64, f64)> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::parameter("level", "above 0 and below 1", level));
        }
        let (hazard, variance) = self.at(age);
        if hazard <= 0.0 {
            return Ok((0.0, 0.0));
        }
        let spread = normal::two_sided(level) * variance.sqrt() / hazard;
        Ok((hazard * libm::exp(-spread), hazard * libm::exp(spread)))
    }
}
