//! Remaining lives to learn from, and what is done with them.

use crate::{
    error::{Error, Result},
    quantity::{LifeUnit, Seed},
};
use serde::{Deserialize, Serialize};

/// Remaining life of each row of a [`FeatureTable`](crate::features::FeatureTable): the target every regressor is fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct RulLabels {
    rul: Vec<f64>,
    censored: Option<Vec<bool>>,
    unit: LifeUnit,
}

impl RulLabels {
    /// Remaining lives in `unit`.
    ///
    /// # Errors
    /// `InvalidInput` for one that is negative or not finite, naming its row.
    pub fn new(rul: Vec<f64>, unit: LifeUnit) -> Result<Self> {
        match rul.iter().position(|r| !(r.is_finite() && *r >= 0.0)) {
            Some(i) => Err(Error::input(
                &format!("remaining life of row {i}"),
                "finite and not negative",
                rul[i],
            )),
            None => Ok(Self {
                rul,
                censored: None,
                unit,
            }),
        }
    }

    /// Remaining lives of which some are only known to be at least as long as said (right-censored): those of machines that
    /// still run, or were taken out of service before they failed.
    ///
    /// ```
    /// use prognos::{quantity::LifeUnit, rul::RulLabels};
    /// // Two rows of a machine that failed, one of a machine that was running 50 h later.
    /// let labels = RulLabels::censored(vec![10.0, 0.0, 50.0], vec![false, false, true], LifeUnit::Hours)?;
    /// assert!(labels.is_censored(2) && !labels.is_censored(0));
    /// # Ok::<(), prognos::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](RulLabels::new), and `InvalidInput` unless there is one flag a life.
    pub fn censored(rul: Vec<f64>, censored: Vec<bool>, unit: LifeUnit) -> Result<Self> {
        if censored.len() != rul.len() {
            return Err(Error::input(
                "flags of censored lives",
                format!("{}, one a life", rul.len()),
                censored.len(),
            ));
        }
        let any = censored.contains(&true);
        Ok(Self {
            censored: any.then_some(censored),
            ..Self::new(rul, unit)?
        })
    }

    /// The remaining lives.
    pub fn rul(&self) -> &[f64] {
        &self.rul
    }

    /// Whether the life of row `i` is only known to be at least as long.
    pub fn is_censored(&self, i: usize) -> bool {
        self.censored
            .as_ref()
            .is_some_and(|c| c.get(i).copied().unwrap_or(false))
    }

    /// Whether any life is.
    pub fn has_censored(&self) -> bool {
        self.censored.is_some()
    }

    /// Their unit.
    pub fn unit(&self) -> LifeUnit {
        self.unit
    }

    pub(crate) fn expect_rows(&self, n_rows: usize) -> Result<()> {
        if self.rul.len() == n_rows {
            Ok(())
        } else {
            Err(Error::input("labels", format!("{n_rows}, one a row"), self.rul.len()))
        }
    }

    /// Those of the rows `kept`.
    pub(crate) fn of_rows(&self, kept: &[usize]) -> Self {
        Self {
            rul: kept.iter().map(|&i| self.rul[i]).collect(),
            censored: self.censored.as_ref().map(|c| kept.iter().map(|&i| c[i]).collect()),
            unit: self.unit,
        }
    }

    pub(crate) fn flags(&self) -> Option<&[bool]> {
        self.censored.as_deref()
    }
}

/// What every regressor of rows has besides its own way to a point estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LabelSettings {
    /// Remaining lives above are learned as this.
    pub(crate) cap: Option<f64>,
    /// Nominal level of the interval.
    pub(crate) level: f64,
    /// Folds by asset behind the interval.
    pub(crate) n_folds: usize,
    pub(crate) seed: Seed,
}

impl Default for LabelSettings {
    fn default() -> Self {
        Self {
            cap: None,
            level: 0.90,
            n_folds: 5,
            seed: Seed(0),
        }
    }
}

impl LabelSettings {
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(cap) = self.cap
            && !(cap.is_finite() && cap > 0.0)
        {
            return Err(Error::parameter("label_cap", "finite and above 0", cap));
        }
        check_level(self.level)?;
        if self.n_folds < 2 {
            return Err(Error::parameter("n_folds", "at least 2", self.n_folds));
        }
        Ok(())
    }

    pub(crate) fn capped(&self, rul: f64) -> f64 {
        self.cap.map_or(rul, |c| rul.min(c))
    }

    /// Residuals of rows far above the cap tell nothing of the interval where it matters, and flatter it: those rows are
    /// easy. Rows beyond 1.28 caps (160 for the usual 125) are left out.
    pub(crate) fn calibrates(&self, rul: f64) -> bool {
        self.cap.is_none_or(|c| rul <= 1.28 * c)
    }
}

pub(crate) fn check_level(level: f64) -> Result<()> {
    if level > 0.0 && level < 1.0 {
        Ok(())
    } else {
        Err(Error::parameter("interval", "above 0 and below 1", level))
    }
}
