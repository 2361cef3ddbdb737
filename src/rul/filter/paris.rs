//! Growth of a crack by Paris' law.

use super::state_model::StateModel;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Lengths are followed down to a nanometre and up to this many critical lengths (logarithm).
const BEYOND_CRITICAL: f64 = 3.0;
const LOG_NANOMETRE: f64 = -20.723_265_836_946_41;

/// A fatigue crack under a load of constant range.
///
/// ```text
/// da/dN = C ΔK^m,   ΔK = Y Δσ sqrt(π a)
/// ```
///
/// States: `ln a` (`a` in m), `ln C` (`C` in m per cycle and (MPa √m)^m), `m`. `C` and `m` are the material's; `ln C` wanders by
/// [`rate_walk`](ParisCrack::rate_walk), which stands for load and material that are not quite constant. The measured value is `a` in
/// m, the end is `a >= critical_length_m`. Any step is exact: `a^(1 - m/2)` is linear in `N`.
///
/// Source: Paris and Erdogan, "A critical analysis of crack propagation laws", Journal of Basic Engineering 85 (1963), doi
/// [10.1115/1.3656900](https://doi.org/10.1115/1.3656900).
///
/// ```
/// use prognos::rul::filter::ParisCrack;
/// let crack = ParisCrack::new(100.0, 0.02)?;
/// // From 1 mm, with C = 1e-11 and m = 3.
/// let cycles = crack.cycles(0.001, 1e-11_f64.ln(), 3.0);
/// assert!((cycles - 882_000.0).abs() < 1_000.0);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 5]", into = "[f64; 5]")]
pub struct ParisCrack {
    stress_range_mpa: f64,
    geometry: f64,
    critical_length_m: f64,
    reading_sd_m: f64,
    rate_walk: f64,
    /// `ln(Y Δσ sqrt(π))` and `ln` of the critical length.
    drive: f64,
    log_critical: f64,
}

impl ParisCrack {
    /// Under the stress range `Δσ` in MPa up to `critical_length_m`; `Y = 1`, readings with a standard deviation of 2% of the
    /// critical length, a constant `C`.
    ///
    /// # Errors
    /// `InvalidParameter` unless the stress range lies in 10⁻³..=10⁵ and the length in 10⁻⁶..=10³.
    pub fn new(stress_range_mpa: f64, critical_length_m: f64) -> Result<Self> {
        Self::checked([stress_range_mpa, 1.0, critical_length_m, 0.02 * critical_length_m, 0.0])
    }

    /// The geometry factor `Y`.
    ///
    /// # Errors
    /// `InvalidParameter` unless it lies in 10⁻²..=10².
    pub fn geometry(self, geometry: f64) -> Result<Self> {
        Self::checked(<[f64; 5]>::from(Self { geometry, ..self }))
    }

    /// The standard deviation of a reading.
    ///
    /// # Errors
    /// `InvalidParameter` unless it is above 10⁻⁹ and at most 10³.
    pub fn reading_sd_m(self, reading_sd_m: f64) -> Result<Self> {
        Self::checked(<[f64; 5]>::from(Self { reading_sd_m, ..self }))
    }

    /// The standard deviation of the change of `ln C` over one cycle; over `N` cycles `sqrt(N)` times as much.
    ///
    /// # Errors
    /// `InvalidParameter` unless it lies in 0..=10.
    pub fn rate_walk(self, rate_walk: f64) -> Result<Self> {
        Self::checked(<[f64; 5]>::from(Self { rate_walk, ..self }))
    }

    fn checked(p: [f64; 5]) -> Result<Self> {
        for (name, value, low, high) in [
            ("stress_range_mpa", p[0], 1e-3, 1e5),
            ("geometry", p[1], 1e-2, 1e2),
            ("critical_length_m", p[2], 1e-6, 1e3),
            ("reading_sd_m", p[3], 1e-9, 1e3),
            ("rate_walk", p[4], 0.0, 10.0),
        ] {
            if !(value >= low && value <= high) {
                return Err(Error::parameter(name, format!("from {low} to {high}"), value));
            }
        }
        Ok(Self {
            stress_range_mpa: p[0],
            geometry: p[1],
            critical_length_m: p[2],
            reading_sd_m: p[3],
            rate_walk: p[4],
            drive: libm::log(p[1] * p[0] * PI.sqrt()),
            log_critical: libm::log(p[2]),
        })
    }

    /// The length at which the life ends.
    pub fn critical_length_m(&self) -> f64 {
        self.critical_length_m
    }

    /// Cycles from a length to the critical one, without noise; 0 for a longer crack.
    pub fn cycles(&self, length_m: f64, log_c: f64, exponent: f64) -> f64 {
        let log_length = libm::log(length_m);
        let k = 0.5 * exponent - 1.0;
        let way = self.log_critical - log_length;
        let rate = self.relative_rate(log_length, log_c, exponent);
        let cycles = if k.abs() < 1e-9 {
            way / rate
        } else {
            -libm::expm1(-k * way) / (k * rate)
        };
        if way > 0.0 { cycles } else { 0.0 }
    }

    /// `ln` of `(Y Δσ sqrt(π))`: `ln C + m` times this is the rate's logarithm at `a^(m/2) = 1`.
    pub(super) fn drive(&self) -> f64 {
        self.drive
    }

    /// `da/dN / a`.
    #[inline]
    fn relative_rate(&self, log_length: f64, log_c: f64, exponent: f64) -> f64 {
        libm::exp((log_c + exponent * self.drive + (0.5 * exponent - 1.0) * log_length).min(700.0))
    }
}

impl TryFrom<[f64; 5]> for ParisCrack {
    type Error = Error;

    fn try_from(p: [f64; 5]) -> Result<Self> {
        Self::checked(p).map_err(|e| Error::persistence(e.to_string()))
    }
}

impl From<ParisCrack> for [f64; 5] {
    fn from(p: ParisCrack) -> Self {
        [
            p.stress_range_mpa,
            p.geometry,
            p.critical_length_m,
            p.reading_sd_m,
            p.rate_walk,
        ]
    }
}

impl StateModel for ParisCrack {
    fn n_states(&self) -> usize {
        3
    }

    #[inline]
    fn transition(&self, x: &mut [f64], dt: f64) {
        let &mut [ref mut log_length, log_c, exponent] = x else {
            return;
        };
        let k = 0.5 * exponent - 1.0;
        let grown = self.relative_rate(*log_length, log_c, exponent) * dt;
        *log_length = if k.abs() < 1e-9 {
            *log_length + grown
        } else if k * grown < 1.0 {
            *log_length - libm::log1p(-k * grown) / k
        } else {
            self.log_critical + BEYOND_CRITICAL
        };
    }

    fn process_sd_into(&self, dt: f64, sd: &mut [f64]) {
        sd.copy_from_slice(&[0.0, self.rate_walk * dt.sqrt(), 0.0]);
    }

    #[inline]
    fn observe(&self, x: &[f64], y: &mut [f64]) {
        y[0] = libm::exp(x[0]);
    }

    fn observation_sd_into(&self, sd: &mut [f64]) {
        sd[0] = self.reading_sd_m;
    }

    #[inline]
    fn confine(&self, x: &mut [f64]) {
        x[0] = x[0].clamp(LOG_NANOMETRE, self.log_critical + BEYOND_CRITICAL);
        x[1] = x[1].clamp(-300.0, 100.0);
        x[2] = x[2].clamp(0.5, 12.0);
    }

    /// `ln(critical / a)`.
    #[inline]
    fn margin(&self, x: &[f64]) -> f64 {
        self.log_critical - x[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_any_length_compose_to_the_closed_life() {
        let crack = ParisCrack::new(80.0, 0.025).unwrap().geometry(1.12).unwrap();
        for (a0, c, m) in [
            (0.001, 3e-12, 3.2),
            (0.002, 1e-10, 2.0),
            (0.0005, 1e-10, 1.6),
            (0.004, 1e-13, 4.5),
        ] {
            let (a0, log_c): (f64, f64) = (a0, f64::ln(c));
            // The integral of da / (C ΔK^m) by Simpson's rule in ln a.
            let n = 2000;
            let (low, high) = (a0.ln(), 0.025_f64.ln());
            let h = (high - low) / f64::from(n);
            let f = |i: i32| {
                let a = (low + f64::from(i) * h).exp();
                a / (c * (1.12 * 80.0 * (PI * a).sqrt()).powf(m))
            };
            let inner: f64 = (1..n).map(|i| f(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
            let simpson = h / 3.0 * (f(0) + f(n) + inner);
            let closed = crack.cycles(a0, log_c, m);
            assert!((closed / simpson - 1.0).abs() < 1e-9, "{m}: {closed} {simpson}");
            let mut x = [low, log_c, m];
            for share in [0.1, 0.3, 0.05, 0.549_999] {
                crack.transition(&mut x, share * closed);
            }
            assert!(crack.margin(&x) > 0.0);
            crack.transition(&mut x, 2e-6 * closed);
            assert!(crack.margin(&x) < 0.0, "{m}");
        }
        assert_eq!(crack.cycles(0.03, -25.0, 3.0), 0.0);
    }

    #[test]
    fn any_state_stays_in_range() {
        let crack = ParisCrack::new(100.0, 0.02).unwrap();
        for x in [
            [0.0, 100.0, 12.0],
            [-1e300, 1e300, -1e300],
            [f64::MAX; 3],
            [-20.0, -300.0, 0.5],
        ] {
            for dt in [0.0, 1.0, 1e300] {
                let mut x = x;
                crack.confine(&mut x);
                crack.transition(&mut x, dt);
                crack.confine(&mut x);
                assert!(x.iter().all(|x| x.is_finite()) && crack.margin(&x).is_finite(), "{x:?}");
            }
        }
    }

    #[test]
    fn wrong_parameters_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e9] {
            assert!(ParisCrack::new(bad, 0.02).is_err() && ParisCrack::new(100.0, bad).is_err());
            let crack = ParisCrack::new(100.0, 0.02).unwrap();
            assert!(crack.geometry(bad).is_err() && crack.reading_sd_m(bad).is_err());
            assert!(bad == 0.0 || crack.rate_walk(bad).is_err());
        }
        let bytes = rmp_serde::to_vec(&[1.0, 1.0, f64::NAN, 1.0, 0.0]).unwrap();
        assert!(rmp_serde::from_slice::<ParisCrack>(&bytes).is_err());
    }
}
