//! Excess kurtosis.

use super::{
    extent::Extent,
    powers::{Central, LEAST_SQUARES, finite, of_moments},
    statistic::{Plain, Rolling},
};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The rolling excess kurtosis, `n Σ d⁴ / (Σ d²)² - 3` with `d = x - mean`: 0 for Gaussian noise, -1.5 for a sine.
///
/// Population form `g` unless [`bias_corrected`](Rolling::<ExcessKurtosis>::bias_corrected), which gives
/// `(n - 1) ((n + 1) g + 6) / ((n - 2)(n - 3))` as pandas does. NaN where all values of the window are equal (or differ by
/// less than about 1e-70), where fourth powers leave the range of `f64` (distances above about 1e76), and bias-corrected
/// below four values.
///
/// ```
/// use prognos::features::rolling::RollingKurtosis;
/// let y = RollingKurtosis::rows(4)?.apply(&[1.0, -1.0, 1.0, -1.0])?;
/// assert_eq!(y[3], -2.0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Source: Joanes & Gill (1998), <https://doi.org/10.1111/1467-9884.00122>; sums merged by Pébay et al. (2016),
/// <https://doi.org/10.1007/s00180-015-0637-z>.
pub type RollingKurtosis = Rolling<ExcessKurtosis>;

/// The statistic of [`RollingKurtosis`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExcessKurtosis {
    corrected: bool,
}

impl Rolling<ExcessKurtosis> {
    /// The same, corrected for the bias of small samples of a Gaussian.
    #[must_use]
    pub fn bias_corrected(self) -> Self {
        self.change(|s| s.corrected = true)
    }
}

impl ExcessKurtosis {
    #[inline]
    fn of(&self, m: &Central) -> f64 {
        let n = m.n;
        let kurtosis = n * m.m4 / (m.m2 * m.m2) - 3.0;
        let value = if m.m2 > LEAST_SQUARES { kurtosis } else { f64::NAN };
        if !self.corrected {
            return finite(value);
        }
        let factor = (n - 1.0) / ((n - 2.0) * (n - 3.0));
        finite(if n > 3.0 {
            factor * ((n + 1.0) * value + 6.0)
        } else {
            f64::NAN
        })
    }
}

of_moments!(ExcessKurtosis, 4);

impl Plain for ExcessKurtosis {}
