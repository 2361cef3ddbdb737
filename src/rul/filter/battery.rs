//! Fade of a battery's capacity.

use super::state_model::StateModel;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Capacity that fades slowly, and ever faster behind a knee: the sum of two exponentials.
///
/// ```text
/// capacity(k) = Q exp(-λ k) - P exp(β k)
/// ```
///
/// with `k` in cycles: the form `a exp(b k) + c exp(d k)` of He et al. with its signs fixed, so that capacity always falls. States:
/// `ln Q`, `ln λ`, `ln P`, `ln β`, with `Q` and `P` as they are now, so that no age is part of the state. `ln λ` wanders by
/// [`rate_walk`](BatteryFade::rate_walk), `ln β` by a tenth of it. The measured value is the capacity, in any unit; the end is `capacity <= end`,
/// by custom 80% of the nominal one (70% for cells in NASA's set). Any step is exact.
///
/// Source: He, Williard, Osterman and Pecht, "Prognostics of lithium-ion batteries based on Dempster-Shafer theory and the
/// Bayesian Monte Carlo method", Journal of Power Sources 196 (2011), doi
/// [10.1016/j.jpowsour.2011.08.040](https://doi.org/10.1016/j.jpowsour.2011.08.040).
///
/// ```
/// use prognos::rul::filter::{BatteryFade, StateModel};
/// let cell = BatteryFade::new(0.8)?;
/// let mut x = [1.0_f64.ln(), 1e-3_f64.ln(), 1e-3_f64.ln(), 0.02_f64.ln()];
/// cell.transition(&mut x, 100.0);
/// let mut capacity = [0.0];
/// cell.observe(&x, &mut capacity);
/// assert!((capacity[0] - ((-0.1_f64).exp() - 1e-3 * 2.0_f64.exp())).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 3]", into = "[f64; 3]")]
pub struct BatteryFade {
    end: f64,
    reading_sd: f64,
    rate_walk: f64,
}

impl BatteryFade {
    /// Up to the capacity `end`; readings with a standard deviation of 1% of it, constant rates.
    ///
    /// # Errors
    /// `InvalidParameter` unless `end` lies in 10⁻⁶..=10⁶.
    pub fn new(end: f64) -> Result<Self> {
        Self::checked([end, 0.01 * end, 0.0])
    }

    /// The standard deviation of a reading.
    ///
    /// # Errors
    /// `InvalidParameter` unless it lies in 10⁻⁹..=10⁶.
    pub fn reading_sd(self, reading_sd: f64) -> Result<Self> {
        Self::checked([self.end, reading_sd, self.rate_walk])
    }

    /// The standard deviation of the change of `ln λ` over one cycle; over `k` cycles `sqrt(k)` times as much.
    ///
    /// # Errors
    /// `InvalidParameter` unless it lies in 0..=10.
    pub fn rate_walk(self, rate_walk: f64) -> Result<Self> {
        Self::checked([self.end, self.reading_sd, rate_walk])
    }

    fn checked(p: [f64; 3]) -> Result<Self> {
        for (name, value, low, high) in [
            ("end", p[0], 1e-6, 1e6),
            ("reading_sd", p[1], 1e-9, 1e6),
            ("rate_walk", p[2], 0.0, 10.0),
        ] {
            if !(value >= low && value <= high) {
                return Err(Error::parameter(name, format!("from {low} to {high}"), value));
            }
        }
        Ok(Self {
            end: p[0],
            reading_sd: p[1],
            rate_walk: p[2],
        })
    }

    /// The capacity at which the life ends.
    pub fn end(&self) -> f64 {
        self.end
    }
}

impl TryFrom<[f64; 3]> for BatteryFade {
    type Error = Error;

    fn try_from(p: [f64; 3]) -> Result<Self> {
        Self::checked(p).map_err(|e| Error::persistence(e.to_string()))
    }
}

impl From<BatteryFade> for [f64; 3] {
    fn from(b: BatteryFade) -> Self {
        [b.end, b.reading_sd, b.rate_walk]
    }
}

impl StateModel for BatteryFade {
    fn n_states(&self) -> usize {
        4
    }

    #[inline]
    fn transition(&self, x: &mut [f64], dt: f64) {
        let &mut [ref mut log_q, log_rate, ref mut log_p, log_knee_rate] = x else {
            return;
        };
        *log_q -= libm::exp(log_rate) * dt;
        *log_p += libm::exp(log_knee_rate) * dt;
    }

    fn process_sd_into(&self, dt: f64, sd: &mut [f64]) {
        let walk = self.rate_walk * dt.sqrt();
        sd.copy_from_slice(&[0.0, walk, 0.0, 0.1 * walk]);
    }

    #[inline]
    fn observe(&self, x: &[f64], y: &mut [f64]) {
        y[0] = libm::exp(x[0]) - libm::exp(x[2]);
    }

    fn observation_sd_into(&self, sd: &mut [f64]) {
        sd[0] = self.reading_sd;
    }

    #[inline]
    fn confine(&self, x: &mut [f64]) {
        x[0] = x[0].clamp(-50.0, 50.0);
        x[1] = x[1].clamp(-60.0, 5.0);
        x[2] = x[2].clamp(-700.0, 50.0);
        x[3] = x[3].clamp(-60.0, 5.0);
    }

    /// Capacity above the end.
    #[inline]
    fn margin(&self, x: &[f64]) -> f64 {
        libm::exp(x[0]) - libm::exp(x[2]) - self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_falls_to_its_end_in_closed_form() {
        let cell = BatteryFade::new(0.8).unwrap();
        // Without a knee: ln(Q / end) / λ.
        let life = (1.1_f64 / 0.8).ln() / 2e-3;
        let mut x = [1.1_f64.ln(), 2e-3_f64.ln(), -700.0, -9.0];
        cell.transition(&mut x, 0.4 * life);
        cell.transition(&mut x, 0.599_999 * life);
        assert!(cell.margin(&x) > 0.0);
        cell.transition(&mut x, 2e-6 * life);
        assert!(cell.margin(&x) < 0.0);
    }

    #[test]
    fn any_state_stays_in_range() {
        let cell = BatteryFade::new(0.8).unwrap();
        for x in [[f64::MAX; 4], [f64::MIN; 4], [0.0; 4]] {
            for dt in [0.0, 1.0, 1e300] {
                let mut x = x;
                cell.confine(&mut x);
                cell.transition(&mut x, dt);
                cell.confine(&mut x);
                assert!(x.iter().all(|x| x.is_finite()) && cell.margin(&x).is_finite(), "{x:?}");
            }
        }
        for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e9] {
            assert!(BatteryFade::new(bad).is_err() && cell.reading_sd(bad).is_err());
            assert!(bad == 0.0 || cell.rate_walk(bad).is_err());
        }
        let bytes = rmp_serde::to_vec(&[f64::NAN, 1.0, 0.0]).unwrap();
        assert!(rmp_serde::from_slice::<BatteryFade>(&bytes).is_err());
    }
}
