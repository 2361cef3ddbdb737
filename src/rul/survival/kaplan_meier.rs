//! The Kaplan-Meier estimate of survival.

use super::{
    LifeSpells,
    remaining::remaining,
    risk_table::{AtRisk, risk_table},
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
    rul::normal,
};
use serde::{Deserialize, Serialize};

/// A survival as low as a quantile asks for but for the rounding of its factors.
const ROUNDING: f64 = 1.0 + 1e-12;

/// The product-limit estimate of survival (Kaplan and Meier 1958, doi 10.1080/01621459.1958.10501452):
/// `S(t) = product over failure ages a <= t of (1 - d / n)`, with `d` failures among `n` at risk just before `a`.
///
/// Delayed entries and weights count as they should; of several rows of one machine each counts where it is watched. Fitting
/// costs `O(n log n)`, and the order of rows does not change a bit.
///
/// ```
/// use prognos::rul::survival::{KaplanMeier, LifeSpells};
/// let spells = LifeSpells::new(vec![3.0, 5.0, 5.0, 8.0], vec![true, true, false, true])?;
/// let curve = KaplanMeier::fit(&spells);
/// assert_eq!((curve.survival(2.9), curve.survival(5.0), curve.survival(9.0)), (1.0, 0.5, 0.0));
/// assert_eq!(curve.median(), Some(5.0));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KaplanMeier {
    table: Vec<AtRisk>,
    /// Survival from each age of the table on.
    survival: Vec<f64>,
    /// Greenwood's sum up to there, of `d / (n (n - d))`.
    greenwood: Vec<f64>,
}

/// A [`KaplanMeier`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KaplanMeierRecord {
    ages: Vec<f64>,
    at_risk: Vec<f64>,
    failed: Vec<f64>,
}

impl KaplanMeier {
    /// The estimate; 1 for ever where all rows are censored.
    pub fn fit(spells: &LifeSpells) -> Self {
        Self::of(risk_table(spells))
    }

    fn of(table: Vec<AtRisk>) -> Self {
        let (mut s, mut g) = (1.0, 0.0);
        let (mut survival, mut greenwood) = (Vec::with_capacity(table.len()), Vec::with_capacity(table.len()));
        for row in &table {
            let left = row.at_risk - row.failed;
            s *= left / row.at_risk;
            // Where all fail, survival is 0 and its variance with it.
            if left > 0.0 {
                g += row.failed / (row.at_risk * left);
            }
            survival.push(s);
            greenwood.push(g);
        }
        Self {
            table,
            survival,
            greenwood,
        }
    }

    /// The failure ages, ascending: survival steps down at each.
    pub fn ages(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.table.iter().map(|r| r.age)
    }

    /// Steps taken up to `age`.
    fn n_steps(&self, age: f64) -> usize {
        self.table.partition_point(|r| r.age <= age)
    }

    /// The probability to live longer than `age`.
    pub fn survival(&self, age: f64) -> f64 {
        match self.n_steps(age) {
            0 => 1.0,
            n => self.survival[n - 1],
        }
    }

    /// Greenwood's variance of the survival at `age`.
    pub fn variance(&self, age: f64) -> f64 {
        match self.n_steps(age) {
            0 => 0.0,
            n => self.survival[n - 1] * self.survival[n - 1] * self.greenwood[n - 1],
        }
    }

    /// The confidence band of `level` at `age`, symmetric for `ln(-ln S)` and so within 0..=1 (Kalbfleisch and Prentice
    /// 2002, The Statistical Analysis of Failure Time Data, section 1.4).
    ///
    /// # Errors
    /// `InvalidParameter` unless `level` lies between 0 and 1.
    pub fn interval(&self, age: f64, level: f64) -> Result<(f64, f64)> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::parameter("level", "above 0 and below 1", level));
        }
        let s = self.survival(age);
        if s <= 0.0 || s >= 1.0 {
            return Ok((s, s));
        }
        let hazard = -libm::log(s);
        let spread = normal::two_sided(level) * self.greenwood[self.n_steps(age) - 1].sqrt() / hazard;
        let end = |shift: f64| libm::exp(-hazard * libm::exp(shift));
        Ok((end(spread), end(-spread)))
    }

    /// The first age by which at least a share `p` has failed; `None` where survival never falls so low.
    pub fn quantile(&self, p: f64) -> Option<f64> {
        let step = self.survival.iter().position(|s| *s <= (1.0 - p) * ROUNDING)?;
        self.table.get(step).map(|r| r.age)
    }

    /// The first age by which at least half have failed.
    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// What is left of a life at `age`: the steps after it, in steps too. What survives the last one is beyond what is
    /// known; where nothing is known after `age`, [`NoPrognosis::BeyondKnownLives`].
    ///
    /// # Errors
    /// `InvalidParameter` unless `age` is finite and not negative.
    pub fn remaining_after(
        &self,
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        if !(age.is_finite() && age >= 0.0) {
            return Err(Error::parameter("age", "finite and not negative", age));
        }
        let mut steps = self.table[self.n_steps(age)..].iter();
        // Not S(age + t) / S(age): that is 0 / 0 where an early risk set of one failed.
        let (mut survival, mut life) = (1.0, f64::INFINITY);
        let quantile = |p: f64| {
            while survival > (1.0 - p) * ROUNDING {
                let Some(row) = steps.next() else {
                    return f64::INFINITY;
                };
                survival *= (row.at_risk - row.failed) / row.at_risk;
                life = row.age - age;
            }
            life
        };
        remaining(unit, quantile)
    }

    /// As it is written to files.
    pub fn to_record(&self) -> KaplanMeierRecord {
        let column = |of: fn(&AtRisk) -> f64| self.table.iter().map(of).collect();
        KaplanMeierRecord {
            ages: column(|r| r.age),
            at_risk: column(|r| r.at_risk),
            failed: column(|r| r.failed),
        }
    }

    /// Reads back a record.
    ///
    /// # Errors
    /// `Persistence` unless ages are above 0 and rise, and `0 < failed <= at_risk`.
    pub fn from_record(r: KaplanMeierRecord) -> Result<Self> {
        let sound = r.ages.len() == r.at_risk.len()
            && r.ages.len() == r.failed.len()
            && r.ages.first().is_none_or(|a| *a > 0.0)
            && r.ages.windows(2).all(|w| w[0] < w[1])
            && r.ages.last().is_none_or(|a| a.is_finite())
            && r.at_risk
                .iter()
                .zip(&r.failed)
                .all(|(n, d)| *d > 0.0 && d <= n && *n <= 1e110);
        if !sound {
            return Err(Error::persistence(
                "Kaplan-Meier: expected ages that rise, each with failures among those at risk",
            ));
        }
        let rows = r.ages.iter().zip(&r.at_risk).zip(&r.failed);
        Ok(Self::of(
            rows.map(|((&age, &at_risk), &failed)| AtRisk { age, at_risk, failed })
                .collect(),
        ))
    }
}
