//! Skewness.

use super::{
    extent::Extent,
    powers::{Central, LEAST_SQUARES, finite, of_moments},
    statistic::{Plain, Rolling},
};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The rolling skewness, `√n Σ d³ / (Σ d²)^1.5` with `d = x - mean`.
///
/// Population form `g` unless [`bias_corrected`](Rolling::<Skewness>::bias_corrected), which gives
/// `g √(n (n - 1)) / (n - 2)` as pandas does. NaN where all values of the window are equal (or differ by less than about
/// 1e-70), where cubes leave the range of `f64` (distances above about 1e100), and bias-corrected below three values.
///
/// ```
/// use prognos::features::rolling::RollingSkewness;
/// let y = RollingSkewness::rows(3)?.apply(&[0.0, 0.0, 3.0])?;
/// assert!((y[2] - 0.5_f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Source: Joanes & Gill (1998), <https://doi.org/10.1111/1467-9884.00122>; sums merged by Pébay et al. (2016),
/// <https://doi.org/10.1007/s00180-015-0637-z>.
pub type RollingSkewness = Rolling<Skewness>;

/// The statistic of [`RollingSkewness`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Skewness {
    corrected: bool,
}

impl Rolling<Skewness> {
    /// The same, corrected for the bias of small samples of a Gaussian.
    #[must_use]
    pub fn bias_corrected(self) -> Self {
        self.change(|s| s.corrected = true)
    }
}

impl Skewness {
    #[inline]
    fn of(&self, m: &Central) -> f64 {
        let n = m.n;
        let skewness = n.sqrt() * m.m3 / (m.m2 * m.m2.sqrt());
        let value = if m.m2 > LEAST_SQUARES { skewness } else { f64::NAN };
        if !self.corrected {
            return finite(value);
        }
        let factor = if n > 2.0 {
            (n * (n - 1.0)).sqrt() / (n - 2.0)
        } else {
            f64::NAN
        };
        finite(value * factor)
    }
}

of_moments!(Skewness, 3);

impl Plain for Skewness {}
