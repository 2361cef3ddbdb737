//! Variance and standard deviation.

use super::{
    extent::Extent,
    powers::{Central, finite, of_moments},
    statistic::{Plain, Rolling},
};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The rolling variance, `Σ (x - mean)² / (n - ddof)`.
///
/// Population form (`ddof` 0) unless set. It is never below zero, and exactly zero where all values of the window are
/// equal; NaN where `n <= ddof`, or squares leave the range of `f64` (distances above about 1e150). Distances below 1e-160
/// count as none.
///
/// ```
/// use prognos::features::rolling::RollingVariance;
/// let y = RollingVariance::rows(4)?.ddof(1).apply(&[1.0, 2.0, 3.0, 4.0])?;
/// assert_eq!(y[3], 5.0 / 3.0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Source: Chan, Golub & LeVeque (1983), <https://doi.org/10.1080/00031305.1983.10483115>.
pub type RollingVariance = Rolling<Variance>;

/// The rolling standard deviation, the square root of [`RollingVariance`].
///
/// ```
/// use prognos::features::rolling::RollingSd;
/// assert_eq!(RollingSd::rows(3)?.apply(&[1.0, 1.0, 1.0])?[2], 0.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RollingSd = Rolling<StandardDeviation>;

/// The statistic of [`RollingVariance`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Variance {
    ddof: u32,
}

/// The statistic of [`RollingSd`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StandardDeviation {
    ddof: u32,
}

impl Rolling<Variance> {
    /// The same with another count of degrees of freedom lost: 0 for a population, 1 for a sample.
    #[must_use]
    pub fn ddof(self, ddof: u32) -> Self {
        self.change(|s| s.ddof = ddof)
    }
}

impl Rolling<StandardDeviation> {
    /// The same with another count of degrees of freedom lost: 0 for a population, 1 for a sample.
    #[must_use]
    pub fn ddof(self, ddof: u32) -> Self {
        self.change(|s| s.ddof = ddof)
    }
}

#[inline]
fn variance(m: &Central, ddof: u32) -> f64 {
    let free = m.n - f64::from(ddof);
    finite(if free > 0.0 { m.m2 / free } else { f64::NAN })
}

impl Variance {
    #[inline]
    fn of(&self, m: &Central) -> f64 {
        variance(m, self.ddof)
    }
}

impl StandardDeviation {
    #[inline]
    fn of(&self, m: &Central) -> f64 {
        variance(m, self.ddof).sqrt()
    }
}

of_moments!(Variance, 2);
of_moments!(StandardDeviation, 2);

impl Plain for Variance {}
impl Plain for StandardDeviation {}
