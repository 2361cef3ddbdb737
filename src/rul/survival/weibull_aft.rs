//! Weibull lives.

use super::accelerated::{AcceleratedLife, AcceleratedLifeParams, Curve, LogLife, sealed::Shape};
use super::lanes;

/// The Weibull form: `ln T` has the least extreme value's distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weibull;

/// Lives with the survival `S(t) = exp(-(t / lambda(x))^rho)`, `ln lambda(x) = b0 + b . x` (Kalbfleisch and Prentice 2002,
/// section 3.2): proportional hazards and accelerated lives at once. A shape `rho` above 1 says that machines wear, below 1
/// that the weak fail early, 1 that age does not matter (exponential lives).
///
/// ```
/// use prognos::{quantity::LifeUnit, rul::survival::{LifeSpells, WeibullAft}};
/// // Lives halve with each unit of load; one machine is still alive.
/// let lives = vec![900.0, 1100.0, 1000.0, 440.0, 560.0, 500.0, 260.0, 230.0, 250.0];
/// let mut failed = vec![true; 9];
/// failed[2] = false;
/// let load = vec![0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0];
/// let model = WeibullAft::fit(&LifeSpells::new(lives, failed)?.with_covariates(["load"], load)?)?;
/// assert!((model.coefficients()[0].value.exp() - 0.5).abs() < 0.03);
/// let left = model.remaining(&[1.0], 300.0, LifeUnit::Hours)?.unwrap();
/// assert!((left.median().unwrap() - 210.0).abs() < 30.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type WeibullAft = AcceleratedLife<Weibull>;

/// Parameters of [`WeibullAft`].
pub type WeibullAftParams = AcceleratedLifeParams<Weibull>;

impl LogLife for Weibull {}

impl Shape for Weibull {
    const NAME: &'static str = "Weibull AFT";
    const KIND: &'static str = "rul.weibull_aft";
    const INVERSE: bool = true;

    /// `z - exp(z)`.
    fn log_density(z: &[f64], out: &mut Curve) {
        Self::log_survival(z, out);
        for ((v, f), z) in out.value.iter_mut().zip(&mut out.first).zip(z) {
            *v += z;
            *f += 1.0;
        }
    }

    /// `-exp(z)`.
    fn log_survival(z: &[f64], out: &mut Curve) {
        let value = &mut out.value[..z.len()];
        value.copy_from_slice(z);
        lanes::exp_in_place(value);
        value.iter_mut().for_each(|v| *v = -*v);
        out.first[..z.len()].copy_from_slice(value);
        out.second[..z.len()].copy_from_slice(value);
    }

    fn hazard(z: f64) -> f64 {
        libm::exp(z)
    }

    fn at_hazard(hazard: f64) -> f64 {
        libm::log(hazard)
    }

    fn advance(z: f64, more: f64) -> f64 {
        let so_far = libm::exp(z);
        if so_far > 1e-300 {
            libm::log1p(more / so_far)
        } else {
            libm::log(more) - z
        }
    }
}
