//! Cox's proportional hazards.

use super::{
    Estimate, LifeSpells,
    columns::Columns,
    cox_likelihood::PartialLikelihood,
    newton::{Evaluation, Likelihood, maximise},
    remaining::remaining,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
};
use serde::{Deserialize, Serialize};

/// Covariates further out than this many standard deviations count as that far.
const LARGEST_Z: f64 = 10.0;
/// A hazard as high as a quantile asks for but for the rounding of its sums.
const ROUNDING: f64 = 1.0 - 1e-12;

/// How the baseline hazard shares out failures at one age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Baseline {
    /// `d / (sum of relative hazards at risk)` (Breslow 1974, doi 10.2307/2529620).
    #[default]
    Breslow,
    /// As the likelihood does: the `l`-th of `d` failures is among all at risk less `l / d` of those who fail (Efron 1977,
    /// doi 10.1080/01621459.1977.10480613).
    Efron,
}

/// Proportional hazards (Cox 1972, doi 10.1111/j.2517-6161.1972.tb00899.x): `h(t | x) = h0(t) exp(b . (x - mean))`. The form of
/// `h0` is left open, and a covariate multiplies the hazard by `exp(b)` a unit.
///
/// Fitted by the partial likelihood, ties by Efron's rule; rows `(start, stop]` may enter late and covariates change from row
/// to row of a life. Newton's method on covariates in standard units: one sort, then some 6 passes over the rows of
/// `O(p^2)` each. The order of rows does not change a bit.
///
/// ```
/// use prognos::{quantity::LifeUnit, rul::survival::{CoxModel, LifeSpells}};
/// let spells = LifeSpells::new(vec![4.0, 3.0, 1.0, 2.0, 5.0], vec![true, true, true, false, true])?
///     .with_covariates(["load"], vec![0.0, 2.0, 1.0, 1.0, 0.0])?;
/// let model = CoxModel::fit(&spells)?;
/// assert!(model.coefficients()[0].value > 0.0);
/// assert!(model.survival(&[2.0], 3.0)? < model.survival(&[0.0], 3.0)?);
/// let left = model.remaining(&[1.0], 2.0, LifeUnit::Hours)?.unwrap();
/// assert_eq!(left.median(), Some(2.0));
/// assert!(model.survival_given(&[1.0], 2.0, 1.0)? > 0.5 && model.survival_given(&[1.0], 2.0, 2.0)? <= 0.5);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CoxModel {
    width: usize,
    columns: Columns,
    /// Of the kept covariates, in standard units.
    slopes: Vec<f64>,
    told: Vec<Estimate>,
    ages: Vec<f64>,
    /// Cumulative, of a machine with mean covariates, from each age on.
    hazard: Vec<f64>,
    log_likelihood: f64,
    log_likelihood_without: f64,
    n_iterations: usize,
}

/// Parameters of a [`CoxModel`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CoxModelParams {
    penalizer: f64,
    baseline: Baseline,
}

/// The part of a [`CoxModel`] that tells remaining lives, as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CoxModelRecord {
    columns: Columns,
    slopes: Vec<f64>,
    ages: Vec<f64>,
    hazard: Vec<f64>,
}

impl CoxModelParams {
    /// Takes `penalizer / 2` times the number of rows times the squares of the coefficients, a standard deviation (divisor
    /// `n - 1`) the unit, off the log likelihood, as lifelines does. 0 unless set.
    #[must_use]
    pub fn penalizer(mut self, penalizer: f64) -> Self {
        self.penalizer = penalizer;
        self
    }

    /// The rule for ties in the baseline hazard; Breslow's unless set.
    #[must_use]
    pub fn baseline(mut self, baseline: Baseline) -> Self {
        self.baseline = baseline;
        self
    }

    /// Fits on `spells`.
    ///
    /// # Errors
    /// `InvalidParameter` for a penalizer that is not finite and not negative; `InsufficientData` where all rows are censored;
    /// `InvalidInput`, without a penalizer, for a covariate that is a linear combination of others, naming it;
    /// `NotConverged` where the likelihood has no maximum, naming the covariates that separate the data perfectly.
    pub fn fit(&self, spells: &LifeSpells) -> Result<CoxModel> {
        if !(self.penalizer.is_finite() && self.penalizer >= 0.0) {
            return Err(Error::parameter("penalizer", "finite and not negative", self.penalizer));
        }
        spells.expect_failures("Cox model")?;
        let mut likelihood = PartialLikelihood::new(spells, self.penalizer);
        if self.penalizer == 0.0 {
            likelihood
                .columns
                .expect_independent(spells.names(), likelihood.standard())?;
        }
        let p = likelihood.columns.n();
        let maximum = maximise(&mut likelihood, &vec![0.0; p], None).map_err(|e| e.context("Cox model"))?;
        let mut at = Evaluation::new(p);
        likelihood.evaluate(&maximum.theta, &mut at);
        let constant = Estimate {
            value: 0.0,
            standard_error: f64::NAN,
        };
        let mut told = vec![constant; spells.names().len()];
        let Columns { kept, sd, .. } = &likelihood.columns;
        for (j, &column) in kept.iter().enumerate() {
            told[column as usize] = Estimate {
                value: maximum.theta[j] / sd[j],
                standard_error: maximum.covariance[j * p + j].sqrt() / sd[j],
            };
        }
        Ok(CoxModel {
            width: spells.names().len(),
            told,
            hazard: likelihood.baseline(self.baseline == Baseline::Efron),
            log_likelihood: at.value + likelihood.penalty(&maximum.theta),
            log_likelihood_without: maximum.value_at_start,
            n_iterations: maximum.n_iterations,
            slopes: maximum.theta,
            ages: likelihood.ages,
            columns: likelihood.columns,
        })
    }
}

impl CoxModel {
    /// No penalty, Breslow's baseline.
    pub fn params() -> CoxModelParams {
        CoxModelParams::default()
    }

    /// Fits without a penalty.
    ///
    /// # Errors
    /// As [`CoxModelParams::fit`].
    pub fn fit(spells: &LifeSpells) -> Result<Self> {
        Self::params().fit(spells)
    }

    /// What a unit of each covariate adds to the logarithm of the hazard, in the order of the spells' names; 0 with a standard
    /// error of NaN for a covariate that did not vary.
    pub fn coefficients(&self) -> &[Estimate] {
        &self.told
    }

    /// The logarithm of the partial likelihood at the estimates, without the penalty; NaN of a model read from a file.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// The same with all coefficients 0. Twice the difference is chi-squared where no covariate matters.
    pub fn log_likelihood_without_covariates(&self) -> f64 {
        self.log_likelihood_without
    }

    /// Passes of the search.
    pub fn n_iterations(&self) -> usize {
        self.n_iterations
    }

    /// The failure ages, ascending.
    pub fn ages(&self) -> &[f64] {
        &self.ages
    }

    /// The cumulative hazard of a machine with mean covariates, from each of [`ages`](CoxModel::ages) on.
    pub fn baseline_hazard(&self) -> &[f64] {
        &self.hazard
    }

    /// Covariates a row.
    pub fn width(&self) -> usize {
        self.width
    }

    fn hazard_at(&self, age: f64) -> f64 {
        match self.ages.partition_point(|a| *a <= age) {
            0 => 0.0,
            n => self.hazard[n - 1],
        }
    }

    /// The logarithm of the hazard relative to a machine with mean covariates; a covariate beyond 10 standard deviations of the
    /// training rows counts as that far out.
    ///
    /// # Errors
    /// `InvalidInput` for a row of another length or a covariate that is not finite.
    pub fn log_relative_hazard(&self, row: &[f64]) -> Result<f64> {
        if row.len() != self.width {
            return Err(Error::input("row", format!("{} covariates", self.width), row.len()));
        }
        if let Some(i) = row.iter().position(|v| !v.is_finite()) {
            return Err(Error::input(&format!("covariate {i}"), "finite", row[i]));
        }
        let z = self.columns.standard(row);
        Ok(z.zip(&self.slopes)
            .map(|(z, b)| z.clamp(-LARGEST_Z, LARGEST_Z) * b)
            .sum())
    }

    /// The probability that a machine that keeps the covariates `row` lives longer than `age`.
    ///
    /// # Errors
    /// As [`log_relative_hazard`](CoxModel::log_relative_hazard); `InvalidParameter` unless `age` is finite and not negative.
    pub fn survival(&self, row: &[f64], age: f64) -> Result<f64> {
        self.survival_given(row, 0.0, age)
    }

    /// The probability that a machine of `age` that keeps the covariates `row` lives for more than `longer`.
    ///
    /// # Errors
    /// As [`survival`](CoxModel::survival), for both ages.
    pub fn survival_given(&self, row: &[f64], age: f64, longer: f64) -> Result<f64> {
        let eta = self.log_relative_hazard(row)?;
        for (name, t) in [("age", age), ("longer", longer)] {
            if !(t.is_finite() && t >= 0.0) {
                return Err(Error::parameter(name, "finite and not negative", t));
            }
        }
        let lived = self.hazard_at(age + longer) - self.hazard_at(age);
        // Nothing times infinity is nothing here.
        Ok(if lived > 0.0 {
            libm::exp(-lived * libm::exp(eta))
        } else {
            1.0
        })
    }

    /// What is left of the life of a machine of `age` that keeps the covariates `row`: `S(age + t) / S(age)`, in steps at the
    /// failure ages after `age`. What survives the last one is beyond what is known; where there is none, or all but 0.05%
    /// survive it, [`NoPrognosis::BeyondKnownLives`].
    ///
    /// # Errors
    /// As [`survival`](CoxModel::survival).
    pub fn remaining(
        &self,
        row: &[f64],
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        let eta = self.log_relative_hazard(row)?;
        if !(age.is_finite() && age >= 0.0) {
            return Err(Error::parameter("age", "finite and not negative", age));
        }
        let passed = self.ages.partition_point(|a| *a <= age);
        let lived = self.hazard_at(age);
        let (ages, hazard) = (&self.ages[passed..], &self.hazard[passed..]);
        let rate = libm::exp(-eta);
        let mut step = 0;
        remaining(unit, |p| {
            let more = -libm::log1p(-p) * rate * ROUNDING;
            step += hazard[step..].partition_point(|h| h - lived < more);
            ages.get(step).map_or(f64::INFINITY, |a| a - age)
        })
    }

    /// As it is written to files.
    pub fn to_record(&self) -> CoxModelRecord {
        CoxModelRecord {
            columns: self.columns.clone(),
            slopes: self.slopes.clone(),
            ages: self.ages.clone(),
            hazard: self.hazard.clone(),
        }
    }

    /// Reads back a record for rows of `width` covariates. Standard errors and likelihoods are not in it and become NaN.
    ///
    /// # Errors
    /// `Persistence` for numbers that cannot be those of a model.
    pub fn from_record(r: CoxModelRecord, width: usize) -> Result<Self> {
        let sound = r.columns.is_sound(width)
            && r.slopes.len() == r.columns.n()
            && r.slopes.iter().all(|b| b.abs() <= 1e6)
            && r.ages.len() == r.hazard.len()
            && r.ages.first().is_some_and(|a| *a > 0.0)
            && r.ages.windows(2).all(|w| w[0] < w[1])
            && r.ages.last().is_some_and(|a| a.is_finite())
            && r.hazard.first().is_some_and(|h| *h >= 0.0)
            && r.hazard.windows(2).all(|w| w[0] <= w[1])
            && r.hazard.last().is_some_and(|h| *h <= 1e300);
        if !sound {
            return Err(Error::persistence(
                "Cox model: expected a slope a covariate, scales above 0, ages that rise and a hazard that does not fall",
            ));
        }
        let unknown = |value: f64| Estimate {
            value,
            standard_error: f64::NAN,
        };
        let mut told = vec![unknown(0.0); width];
        for ((&column, b), sd) in r.columns.kept.iter().zip(&r.slopes).zip(&r.columns.sd) {
            told[column as usize] = unknown(b / sd);
        }
        Ok(Self {
            width,
            told,
            columns: r.columns,
            slopes: r.slopes,
            ages: r.ages,
            hazard: r.hazard,
            log_likelihood: f64::NAN,
            log_likelihood_without: f64::NAN,
            n_iterations: 0,
        })
    }
}
