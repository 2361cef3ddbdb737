//! What simple forecasts leave.

use super::autocorrelation::{Correlator, CorrelatorScratch, zero_crossing};
use crate::{error::Result, signal::mean_of};

/// Standard deviation (of `n - 1`) of what the mean of three samples misses the next one by.
pub(super) fn error_of_three(z: &[f64]) -> f64 {
    let errors = || {
        z.windows(4).map(|w| match w {
            [a, b, c, next] => next - (a + b + c) / 3.0,
            _ => f64::NAN,
        })
    };
    let n = z.len().saturating_sub(3) as f64;
    let mean = errors().sum::<f64>() / n;
    let squares: f64 = errors().map(|e| (e - mean) * (e - mean)).sum();
    (squares / (n - 1.0)).sqrt()
}

/// The first zero of the autocorrelation of the increments over that of the samples, whose autocorrelation is `r`.
/// `centred` and `out` are work space.
pub(super) fn whitening(
    increments: &[f64],
    r: &[f64],
    correlator: &Correlator,
    scratch: &mut CorrelatorScratch,
    centred: &mut Vec<f64>,
    out: &mut Vec<f64>,
) -> Result<f64> {
    let mean = mean_of(increments);
    centred.clear();
    centred.extend(increments.iter().map(|d| d - mean));
    out.clear();
    out.resize(increments.len(), 0.0);
    correlator.correlate_into(centred, scratch, out)?;
    Ok(zero_crossing(out) / zero_crossing(r))
}
