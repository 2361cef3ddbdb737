//! Split conformal prediction.

use super::held_out::{CalibrationRow, Coverage, check_level, upper_quantile};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Intervals of one width around every prediction: `predicted ± r`, where `r` is the quantile `level (n + 1)/n` of the absolute
/// residuals of `n` assets the model was not fitted on (Papadopoulos et al. 2002, doi 10.1007/3-540-36755-1_29; Lei et al.
/// 2018, doi 10.1080/01621459.2017.1307116).
///
/// With exchangeable assets, and `n` of them held out of *one* model, the interval holds what [`Coverage`] says with a
/// probability of at least `level`, whatever the model; with one row an asset and no ties at most `level + 1/(n + 1)`. That is
/// an average over machines, held-out assets included: it is not promised for each kind of machine, nor near the end of
/// life. [`BinnedIntervals`](super::BinnedIntervals) and [`ConformalBand`](super::ConformalBand) follow the row.
///
/// ```
/// use prognos::rul::conformal::{CalibrationRow, Coverage, SplitConformal};
/// // Nineteen assets, one row each, residuals 1, 2, .. 19.
/// let rows: Vec<_> =
///     (0..19).map(|i| CalibrationRow { asset: i, predicted: 50.0, truth: 51.0 + f64::from(i) }).collect();
/// let intervals = SplitConformal::fit(0.9, &rows, Coverage::AnyRow)?;
/// assert_eq!(intervals.around(100.0), (82.0, 118.0));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct SplitConformal {
    level: f64,
    radius: f64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    level: f64,
    radius: f64,
}

impl SplitConformal {
    /// From predictions for held-out assets.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < level < 1`; `InvalidInput` for numbers that are not finite; `InsufficientData` with
    /// fewer than `level / (1 - level)` assets.
    pub fn fit(level: f64, rows: &[CalibrationRow], coverage: Coverage) -> Result<Self> {
        check_level(level)?;
        let scores: Vec<_> = rows.iter().map(|r| (r.asset, (r.truth - r.predicted).abs())).collect();
        let radius = upper_quantile(level, &scores, coverage)?;
        Ok(Self { level, radius })
    }

    /// Nominal probability.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Lower and upper end around a prediction, not clipped to any range.
    pub fn around(&self, predicted: f64) -> (f64, f64) {
        (predicted - self.radius, predicted + self.radius)
    }
}

impl TryFrom<Record> for SplitConformal {
    type Error = Error;

    fn try_from(r: Record) -> Result<Self> {
        if !(r.level > 0.0 && r.level < 1.0 && r.radius >= 0.0 && r.radius.is_finite()) {
            return Err(Error::persistence(
                "split conformal intervals: expected a level above 0 and below 1 and a finite radius",
            ));
        }
        Ok(Self {
            level: r.level,
            radius: r.radius,
        })
    }
}

impl From<SplitConformal> for Record {
    fn from(s: SplitConformal) -> Self {
        Self {
            level: s.level,
            radius: s.radius,
        }
    }
}
