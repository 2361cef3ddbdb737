//! Remaining lives, or the admission that none is known.

use crate::{
    error::Result,
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
};

/// The distribution of a quantile function, called with rising probabilities; infinite where nothing is known. Without a
/// finite one nothing is known at all.
pub(super) fn remaining(
    unit: LifeUnit,
    mut quantile: impl FnMut(f64) -> f64,
) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
    let mut known = false;
    let made = RulDistribution::from_quantiles(unit, |p| {
        let q = quantile(p);
        known |= q.is_finite();
        q
    });
    match made {
        Err(_) if !known => Ok(Err(NoPrognosis::BeyondKnownLives)),
        made => made.map(Ok),
    }
}
