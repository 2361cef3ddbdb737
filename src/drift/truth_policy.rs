//! When prognoses are worse than at training.

use super::{
    monitor::DriftLevel,
    tails::{hoeffding_below, ranks_above},
    truth::{MachineTruth, TruthReference},
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Means over machines, each weighing alike; in the unit of the lives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruthFigures {
    /// Machines, those retired alive among them.
    pub n_machines: usize,
    /// Machines retired alive: in the coverage, by their contradictions, not in the errors.
    pub n_retired: usize,
    /// Mean of estimate minus truth: above 0, lives are promised too long. 0 where all machines were retired.
    pub bias: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean share of intervals that held the truth.
    pub coverage: f64,
    /// Mean nominal level.
    pub nominal: f64,
}

impl TruthFigures {
    /// Summed in the order given.
    pub(super) fn of<'a>(machines: impl Iterator<Item = &'a MachineTruth>) -> Self {
        let (mut n, mut known) = (0_usize, 0_usize);
        let mut sums = [0.0; 5];
        for m in machines {
            n += 1;
            if let Some((bias, mae, square)) = m.errors {
                known += 1;
                sums[0] += bias;
                sums[1] += mae;
                sums[2] += square;
            }
            sums[3] += m.coverage;
            sums[4] += m.nominal;
        }
        let over = |sum: f64, n: usize| if n > 0 { sum / n as f64 } else { 0.0 };
        let share = |sum| over(sum, n).clamp(0.0, 1.0);
        Self {
            n_machines: n,
            n_retired: n - known,
            bias: over(sums[0], known),
            mae: over(sums[1], known),
            rmse: over(sums[2], known).sqrt(),
            coverage: share(sums[3]),
            nominal: share(sums[4]),
        }
    }
}

impl fmt::Display for TruthFigures {
    /// `23 machines, bias +3.1, MAE 9.2, RMSE 12.0, coverage 0.78 of 0.90`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} machines, bias {:+.1}, MAE {:.1}, RMSE {:.1}, coverage {:.2} of {:.2}",
            self.n_machines, self.bias, self.mae, self.rmse, self.coverage, self.nominal
        )
    }
}

/// When prognoses are worse than at training: size, and evidence, machine by machine.
///
/// | what | size: moderate, major | evidence |
/// |---|---|---|
/// | intervals hold less | coverage 0.05, 0.15 below the lower of nominal and training's | Hoeffding's bound for means of numbers from 0 to 1 |
/// | errors grew | MAE 1.25, 1.5 times training's | rank test of Mann and Whitney on the MAE of machines |
/// | errors moved | bias 0.25, 0.5 of training's MAE off training's | the same on mean errors, both sides |
///
/// Estimates of a machine fail together, so a machine is one observation. Hoeffding's bound (*JASA* 58 (1963), theorem 1, doi
/// 10.1080/01621459.1963.10500830) needs nothing but independent machines: `exp(-n KL(coverage || expected))`, for yes and
/// no a bound of the binomial tail that is never too small. The rank test (*Annals of Mathematical Statistics* 18 (1947), doi
/// 10.1214/aoms/1177730491) needs no shape of errors; its normal approximation is cautious for few machines. The three share the
/// significance, 0.05 for moderate and 0.01 for major: p-values count times 3, that of the bias has both sides in it already.
/// One machine with intervals of 0.9 alone is never major; three are, where all of their intervals were wrong.
///
/// Only changes for the worse have a level; intervals that hold too much show in the figures. The coverage of training is taken
/// as known. The significance is that of one look: machines remain in the next look, and looking after each machine calls
/// some look in a year moderate more often than one look in twenty.
///
/// ```
/// use prognos::drift::TruthPolicy;
/// TruthPolicy::default().growth(1.5, 2.0).check()?;
/// assert!(TruthPolicy::default().growth(0.5, 2.0).check().is_err());
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct TruthPolicy(Settings);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    shortfall: (f64, f64),
    growth: (f64, f64),
    shift: (f64, f64),
    significance: (f64, f64),
}

impl Default for TruthPolicy {
    /// As in the table.
    fn default() -> Self {
        Self(Settings {
            shortfall: (0.05, 0.15),
            growth: (1.25, 1.5),
            shift: (0.25, 0.5),
            significance: (0.05, 0.01),
        })
    }
}

impl TruthPolicy {
    /// How far coverage may fall short: above 0, below 1, rising.
    #[must_use]
    pub fn shortfall(mut self, moderate: f64, major: f64) -> Self {
        self.0.shortfall = (moderate, major);
        self
    }

    /// How many times training's the mean absolute error may be: at least 1, rising.
    #[must_use]
    pub fn growth(mut self, moderate: f64, major: f64) -> Self {
        self.0.growth = (moderate, major);
        self
    }

    /// How far the bias may move, in mean absolute errors of training: above 0, rising.
    #[must_use]
    pub fn shift(mut self, moderate: f64, major: f64) -> Self {
        self.0.shift = (moderate, major);
        self
    }

    /// The chance of a level without a change, in one look: above 0, below 1, falling.
    #[must_use]
    pub fn significance(mut self, moderate: f64, major: f64) -> Self {
        self.0.significance = (moderate, major);
        self
    }

    /// Fails unless all settings are in range.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the first that is not.
    pub fn check(&self) -> Result<()> {
        let rising = |name, (a, b): (f64, f64), least: f64, below: f64| {
            if a >= least && a > 0.0 && a <= b && b < below {
                return Ok(());
            }
            let expected = format!("rising, from {least} to below {below}, not 0");
            Err(Error::parameter(name, expected, format!("{:?}", (a, b))))
        };
        rising("shortfall", self.0.shortfall, 0.0, 1.0)?;
        rising("growth", self.0.growth, 1.0, f64::INFINITY)?;
        rising("shift", self.0.shift, 0.0, f64::INFINITY)?;
        let (moderate, major) = self.0.significance;
        rising("significance", (major, moderate), 0.0, 1.0)
    }
}

impl TryFrom<Settings> for TruthPolicy {
    type Error = Error;

    fn try_from(settings: Settings) -> Result<Self> {
        let policy = Self(settings);
        policy
            .check()
            .map_err(|e| Error::persistence(format!("truth policy: {e}")))?;
        Ok(policy)
    }
}

impl From<TruthPolicy> for Settings {
    fn from(policy: TruthPolicy) -> Self {
        policy.0
    }
}

/// What a [`TruthMonitor`](super::TruthMonitor) found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TruthReport {
    /// In service.
    pub now: TruthFigures,
    /// Of machines held out at training.
    pub reference: TruthFigures,
    /// Level of the coverage, and the chance that it is as low by chance, at most.
    pub coverage: (DriftLevel, f64),
    /// Level of the growth of errors, and the one-sided p-value.
    pub error: (DriftLevel, f64),
    /// Level of the move of errors, and the two-sided p-value.
    pub bias: (DriftLevel, f64),
}

impl TruthReport {
    /// `machines` in an order that does not depend on how they came.
    pub(super) fn of(machines: &[MachineTruth], reference: &TruthReference, policy: &TruthPolicy) -> Result<Self> {
        policy.check()?;
        let (now, then) = (TruthFigures::of(machines.iter()), *reference.figures());
        let (biases, maes) = reference.errors();
        let known =
            |of: fn((f64, f64, f64)) -> f64| -> Vec<f64> { machines.iter().filter_map(|m| m.errors.map(of)).collect() };
        let s = &policy.0;
        let level = |size: f64, (moderate, major): (f64, f64), p: f64| {
            if size >= major && p <= s.significance.1 {
                DriftLevel::Major
            } else if size >= moderate && p <= s.significance.0 {
                DriftLevel::Moderate
            } else {
                DriftLevel::Stable
            }
        };

        let expected = now.nominal.min(then.coverage);
        let coverage_p = hoeffding_below(now.coverage, expected, now.n_machines as f64);
        let coverage = level(expected - now.coverage, s.shortfall, 3.0 * coverage_p);

        let error_p = ranks_above(&known(|e| e.1), maes);
        // Sizes in parts of training's error; where that was none, any is beyond all.
        let parts = |x: f64| match (x, then.mae) {
            (x, _) if x <= 0.0 => 0.0,
            (x, mae) if mae > 0.0 => x / mae,
            _ => f64::INFINITY,
        };
        let error = level(parts(now.mae), s.growth, 3.0 * error_p);

        let errors = known(|e| e.0);
        let mirrored = |all: &[f64]| -> Vec<f64> { all.iter().rev().map(|x| -x).collect() };
        let above = ranks_above(&errors, biases);
        let below = ranks_above(&mirrored(&errors), &mirrored(biases));
        let bias_p = (2.0 * above.min(below)).min(1.0);
        let moved = if errors.is_empty() {
            0.0
        } else {
            (now.bias - then.bias).abs()
        };
        let bias = level(parts(moved), s.shift, 3.0 * bias_p);

        Ok(Self {
            now,
            reference: then,
            coverage: (coverage, coverage_p),
            error: (error, error_p),
            bias: (bias, bias_p),
        })
    }

    /// The highest of the three levels.
    pub fn level(&self) -> DriftLevel {
        self.coverage.0.max(self.error.0).max(self.bias.0)
    }
}

impl fmt::Display for TruthReport {
    /// `now: .. ; at training: .. ; coverage stable (p ..), error .., bias ..`, in three lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "now: {}", self.now)?;
        writeln!(f, "at training: {}", self.reference)?;
        let [c, e, b] = [self.coverage, self.error, self.bias];
        write!(
            f,
            "coverage {} (p {:.2e}), error {} (p {:.2e}), bias {} (p {:.2e})",
            c.0, c.1, e.0, e.1, b.0, b.1
        )
    }
}
