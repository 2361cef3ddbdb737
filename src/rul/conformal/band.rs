//! Conformalised quantile regression.

use super::held_out::{Coverage, check_level, upper_quantile};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The band two quantile models give a row of an asset they were not fitted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandRow {
    /// The asset, 0, 1, ..
    pub asset: u32,
    /// Lower end.
    pub lower: f64,
    /// Upper end; the two may cross.
    pub upper: f64,
    /// What lies inside, one hopes.
    pub truth: f64,
}

/// Intervals from a band of two quantile models, made wider or narrower by one number so that they hold (Romano, Patterson
/// and Candès 2019, arXiv 1905.03222): `lower - c .. upper + c`, `c` being the quantile `level (n + 1)/n` of
/// `max(lower - truth, truth - upper)` over `n` held-out assets. A band that is too wide is drawn in, `c` being negative.
///
/// Held-out assets exchangeable with the new one, and out of *one* band's training, make the coverage at least `level`, as
/// [`SplitConformal`](super::SplitConformal) has it; the width is the band's, wide where the models are unsure.
/// The band need not be of central quantiles: where labels are capped, a band of the quantiles 0.1 and 1 is shorter near
/// the cap.
///
/// ```
/// use prognos::rul::conformal::{BandRow, ConformalBand, Coverage};
/// // Nineteen assets; the band misses by 1, 2, .. 19 above.
/// let rows: Vec<_> =
///     (0..19).map(|i| BandRow { asset: i, lower: 40.0, upper: 60.0, truth: 61.0 + f64::from(i) }).collect();
/// let band = ConformalBand::fit(0.9, &rows, Coverage::AnyRow)?;
/// assert_eq!(band.interval(10.0, 20.0), (-8.0, 38.0));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct ConformalBand {
    level: f64,
    correction: f64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    level: f64,
    correction: f64,
}

impl ConformalBand {
    /// From the bands of held-out assets.
    ///
    /// # Errors
    /// As [`SplitConformal::fit`](super::SplitConformal::fit).
    pub fn fit(level: f64, rows: &[BandRow], coverage: Coverage) -> Result<Self> {
        check_level(level)?;
        let score = |r: &BandRow| (r.asset, (r.lower - r.truth).max(r.truth - r.upper));
        if let Some(r) = rows
            .iter()
            .find(|r| !(r.lower.is_finite() && r.upper.is_finite() && r.truth.is_finite()))
        {
            let got = format!("{}..{} around {}", r.lower, r.upper, r.truth);
            return Err(Error::input("held-out band", "finite numbers", got));
        }
        let scores: Vec<_> = rows.iter().map(score).collect();
        let correction = upper_quantile(level, &scores, coverage)?;
        Ok(Self { level, correction })
    }

    /// Nominal probability.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// What each end moves outwards.
    pub fn correction(&self) -> f64 {
        self.correction
    }

    /// The interval that a band becomes, not clipped to any range. One that vanishes is the middle of the band.
    pub fn interval(&self, lower: f64, upper: f64) -> (f64, f64) {
        let (low, high) = (lower - self.correction, upper + self.correction);
        if low <= high {
            return (low, high);
        }
        let middle = low / 2.0 + high / 2.0;
        (middle, middle)
    }
}

impl TryFrom<Record> for ConformalBand {
    type Error = Error;

    fn try_from(r: Record) -> Result<Self> {
        if !(r.level > 0.0 && r.level < 1.0 && r.correction.is_finite()) {
            return Err(Error::persistence(
                "conformal band: expected a level above 0 and below 1 and a finite correction",
            ));
        }
        Ok(Self {
            level: r.level,
            correction: r.correction,
        })
    }
}

impl From<ConformalBand> for Record {
    fn from(b: ConformalBand) -> Self {
        Self {
            level: b.level,
            correction: b.correction,
        }
    }
}
