//! Log-normal lives.

use super::accelerated::{AcceleratedLife, AcceleratedLifeParams, Curve, LogLife, sealed::Shape};
use crate::rul::normal;

/// The log-normal form: `ln T` is normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogNormal;

/// Lives whose logarithm is normal around `mu(x) = b0 + b . x` with the standard deviation `sigma` (Kalbfleisch and Prentice
/// 2002, section 2.2.5): many small causes that multiply, as in fatigue. The failure rate rises, then falls.
///
/// ```
/// use prognos::rul::survival::{LifeSpells, LogNormalAft};
/// // Without covariates or censoring, the mean and the standard deviation of the logarithms.
/// let model = LogNormalAft::fit(&LifeSpells::new(vec![10.0, 100.0, 1000.0], vec![true; 3])?)?;
/// assert!((model.intercept().value - 100.0f64.ln()).abs() < 1e-9);
/// assert!((model.log_shape().value.exp() - 10.0f64.ln() * (2.0f64 / 3.0).sqrt()).abs() < 1e-9);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type LogNormalAft = AcceleratedLife<LogNormal>;

/// Parameters of [`LogNormalAft`].
pub type LogNormalAftParams = AcceleratedLifeParams<LogNormal>;

impl LogLife for LogNormal {}

impl Shape for LogNormal {
    const NAME: &'static str = "log-normal AFT";
    const KIND: &'static str = "rul.log_normal_aft";
    const INVERSE: bool = false;

    /// `-z² / 2 - ln(2 pi) / 2`.
    fn log_density(z: &[f64], out: &mut Curve) {
        let constant = 0.5 * libm::log(2.0 * std::f64::consts::PI);
        let parts = out.value.iter_mut().zip(&mut out.first).zip(&mut out.second);
        for (((v, f), s), z) in parts.zip(z) {
            *v = -0.5 * z * z - constant;
            *f = -z;
            *s = -1.0;
        }
    }

    /// With the hazard `h`, the derivatives are `-h` and `-h (h - z)`.
    fn log_survival(z: &[f64], out: &mut Curve) {
        let parts = out.value.iter_mut().zip(&mut out.first).zip(&mut out.second);
        for (((v, f), s), &z) in parts.zip(z) {
            let h = normal::hazard(z);
            *v = normal::log_survival(z);
            *f = -h;
            *s = -h * (h - z);
        }
    }

    fn hazard(z: f64) -> f64 {
        -normal::log_survival(z)
    }

    fn at_hazard(hazard: f64) -> f64 {
        normal::at_hazard(hazard)
    }

    fn advance(z: f64, more: f64) -> f64 {
        normal::advance(z, more)
    }
}
