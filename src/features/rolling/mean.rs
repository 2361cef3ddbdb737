//! The mean.

use super::{
    extent::Extent,
    powers::{Central, finite, of_moments},
    statistic::{Plain, Rolling},
};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The rolling mean, `Σ x / n`.
///
/// A window whose sum leaves the range of `f64` gives NaN.
///
/// ```
/// use prognos::features::rolling::RollingMean;
/// let plan = RollingMean::rows(2)?;
/// let y = plan.apply(&[1.0, 3.0, 6.0])?;
/// assert!(y[0].is_nan());
/// assert_eq!(y[1..], [2.0, 4.5]);
///
/// let plan = RollingMean::span(10.0, 1000)?; // of the last ten seconds
/// let mut state = plan.new_state();
/// plan.push_at(&mut state, 0.0, 1.0)?;
/// assert_eq!(plan.step_at(&mut state, 9.0, 3.0)?, 2.0);
/// assert_eq!(plan.step_at(&mut state, 10.5, 5.0)?, 4.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RollingMean = Rolling<Mean>;

/// The statistic of [`RollingMean`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean;

impl Mean {
    #[inline]
    fn of(&self, m: &Central) -> f64 {
        finite(m.mean())
    }
}

of_moments!(Mean, 1);

impl Plain for Mean {}
