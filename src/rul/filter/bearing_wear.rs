//! Wear of a bearing that feeds on itself.

use super::state_model::StateModel;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A feature that grows in proportion to itself, at a rate of each machine's own.
///
/// ```text
/// dx = b x dt,   with noise:  d ln x = b dt + σ dB
/// ```
///
/// States: `ln x` and `b` (per life unit). `x` is a feature that grows with damage, such as the RMS of a vibration. The measured
/// value is **the logarithm of the feature**, the end is `x >= threshold`. The model is linear with normal noise: Kalman's
/// filter is exact for it. A rate may be negative; such courses may never end.
///
/// Source: Gebraeel, Lawley, Li and Ryan, "Residual-life distributions from component degradation signals: a Bayesian approach",
/// IIE Transactions 37 (2005), doi [10.1080/07408170590929018](https://doi.org/10.1080/07408170590929018).
///
/// ```
/// use prognos::rul::filter::{BearingWear, StateModel};
/// let wear = BearingWear::new(10.0)?;
/// let mut x = [0.0, 0.1]; // 1, growing by 10.5% an hour
/// wear.transition(&mut x, 10.0_f64.ln() / 0.1);
/// assert!(wear.margin(&x).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 4]", into = "[f64; 4]")]
pub struct BearingWear {
    threshold: f64,
    reading_log_sd: f64,
    level_walk: f64,
    rate_walk: f64,
    log_threshold: f64,
}

impl BearingWear {
    /// Up to `threshold` of the feature; readings within 10%, noise of 2% in the level over one unit of time, a constant rate.
    ///
    /// # Errors
    /// `InvalidParameter` unless the threshold lies in 10⁻⁹..=10⁹.
    pub fn new(threshold: f64) -> Result<Self> {
        Self::checked([threshold, 0.1, 0.02, 0.0])
    }

    /// The standard deviation of the logarithm of a reading.
    ///
    /// # Errors
    /// `InvalidParameter` unless it lies in 10⁻⁶..=10.
    pub fn reading_log_sd(self, reading_log_sd: f64) -> Result<Self> {
        Self::checked(<[f64; 4]>::from(Self { reading_log_sd, ..self }))
    }

    /// The standard deviations of the changes of `ln x` and of `b` over one unit of time, noise alone; over `t` units
    /// `sqrt(t)` times as much.
    ///
    /// # Errors
    /// `InvalidParameter` unless both lie in 0..=10.
    pub fn walk(self, level: f64, rate: f64) -> Result<Self> {
        Self::checked(<[f64; 4]>::from(Self {
            level_walk: level,
            rate_walk: rate,
            ..self
        }))
    }

    fn checked(p: [f64; 4]) -> Result<Self> {
        for (name, value, low, high) in [
            ("threshold", p[0], 1e-9, 1e9),
            ("reading_log_sd", p[1], 1e-6, 10.0),
            ("level_walk", p[2], 0.0, 10.0),
            ("rate_walk", p[3], 0.0, 10.0),
        ] {
            if !(value >= low && value <= high) {
                return Err(Error::parameter(name, format!("from {low} to {high}"), value));
            }
        }
        Ok(Self {
            threshold: p[0],
            reading_log_sd: p[1],
            level_walk: p[2],
            rate_walk: p[3],
            log_threshold: libm::log(p[0]),
        })
    }

    /// The feature at which the life ends.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }
}

impl TryFrom<[f64; 4]> for BearingWear {
    type Error = Error;

    fn try_from(p: [f64; 4]) -> Result<Self> {
        Self::checked(p).map_err(|e| Error::persistence(e.to_string()))
    }
}

impl From<BearingWear> for [f64; 4] {
    fn from(b: BearingWear) -> Self {
        [b.threshold, b.reading_log_sd, b.level_walk, b.rate_walk]
    }
}

impl StateModel for BearingWear {
    fn n_states(&self) -> usize {
        2
    }

    #[inline]
    fn transition(&self, x: &mut [f64], dt: f64) {
        x[0] += x[1] * dt;
    }

    fn process_sd_into(&self, dt: f64, sd: &mut [f64]) {
        let root = dt.sqrt();
        sd.copy_from_slice(&[self.level_walk * root, self.rate_walk * root]);
    }

    #[inline]
    fn observe(&self, x: &[f64], y: &mut [f64]) {
        y[0] = x[0];
    }

    fn observation_sd_into(&self, sd: &mut [f64]) {
        sd[0] = self.reading_log_sd;
    }

    #[inline]
    fn confine(&self, x: &mut [f64]) {
        x[0] = x[0].clamp(-300.0, 300.0);
        x[1] = x[1].clamp(-1e3, 1e3);
    }

    /// `ln(threshold / x)`.
    #[inline]
    fn margin(&self, x: &[f64]) -> f64 {
        self.log_threshold - x[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_parameters_are_refused() {
        let wear = BearingWear::new(5.0).unwrap();
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e10] {
            assert!(BearingWear::new(bad).is_err() && wear.reading_log_sd(bad).is_err());
            assert!(wear.walk(bad, 0.0).is_err() && wear.walk(0.0, bad).is_err());
        }
        assert!(wear.reading_log_sd(0.0).is_err());
        let bytes = rmp_serde::to_vec(&[0.0, 1.0, 0.0, 0.0]).unwrap();
        assert!(rmp_serde::from_slice::<BearingWear>(&bytes).is_err());
    }
}
