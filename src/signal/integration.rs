//! Velocity and displacement from acceleration.

use super::Detrend;
use crate::{
    error::{Error, Result},
    quantity::{AccelerationUnit, Hertz},
};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use serde::{Deserialize, Serialize};
use std::{
    f64::consts::{PI, TAU},
    fmt,
    ops::RangeInclusive,
    sync::Arc,
};

/// Lengths of signals.
const LENGTHS: RangeInclusive<usize> = 2..=1 << 24;

/// What acceleration is integrated to, and in which unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrated {
    /// Velocity in m/s.
    VelocityMPerS,
    /// Velocity in mm/s, as ISO 20816 has it.
    VelocityMmPerS,
    /// Displacement in m.
    DisplacementM,
    /// Displacement in µm.
    DisplacementUm,
}

impl Integrated {
    /// Its units in one of m/s or m.
    fn scale(self) -> f64 {
        match self {
            Self::VelocityMPerS | Self::DisplacementM => 1.0,
            Self::VelocityMmPerS => 1e3,
            Self::DisplacementUm => 1e6,
        }
    }

    fn is_velocity(self) -> bool {
        matches!(self, Self::VelocityMPerS | Self::VelocityMmPerS)
    }
}

/// The plan of integrations in the frequency domain, for signals of one length and rate.
///
/// With `X[k]` the transform of the `N` samples after detrending, in m/s², and `f = k rate / N`, the result is the inverse
/// transform of
///
/// ```text
/// h(f) X[k] / (2πj f)         velocity          h(f) = 0                                        f <= stop or f = 0
/// -h(f) X[k] / (2π f)²        displacement             1/2 - 1/2 cos(π (f - stop) / (pass - stop))   between
///                                                      1                                        f >= pass
/// ```
///
/// `h` takes out what lies below the band looked at, where noise and drift grow with `1 / f` and `1 / f²`. It has no delay. A
/// sine of amplitude `A` that has whole periods in the record comes out with `A / (2π f)` and `A / (2π f)²`, to rounding. For
/// even `N` the velocity of the bin at half the rate is 0: its sign is not in the samples.
///
/// The record is taken as periodic. Where its end does not meet its start, a transient of the length `1 / stop` or so stands at
/// both ends; leave it out or make records long against it. NaN or infinity makes all of the result NaN.
///
/// # Cost
/// Two real transforms, `O(N log N)`; nothing is allocated.
///
/// Source: ISO 20816-1:2016 for the quantities; Brandt, *Noise and Vibration Analysis* (2011), ch. 3, for the method.
///
/// ```
/// use prognos::{quantity::{AccelerationUnit, Hertz}, signal::{Integrated, Integrator}};
/// let (n, rate) = (25_600, Hertz::new(25_600.0)?);
/// let plan = Integrator::params(n, rate, (8.0, 10.0)).input_unit(AccelerationUnit::StandardGravity).build()?;
/// let angle = |i: usize| std::f64::consts::TAU * 50.0 * i as f64 / 25_600.0;
/// let x: Vec<f64> = (0..n).map(|i| 0.1 * angle(i).cos()).collect(); // 0.1 g at 50 Hz
/// let v = plan.integrate(&x, Integrated::VelocityMmPerS)?;
/// let peak = 0.1 * 9.80665 / (std::f64::consts::TAU * 50.0) * 1e3; // 3.12 mm/s
/// assert!((v[32] - peak * angle(32).sin()).abs() < 1e-2);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct Integrator {
    params: IntegratorParams,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

/// Parameters of an [`Integrator`]: the line of least squares removed, input in m/s².
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct IntegratorParams {
    n_samples: usize,
    rate: Hertz,
    /// Ends of the transition.
    high_pass_hz: (f64, f64),
    detrend: Detrend,
    unit: AccelerationUnit,
}

impl IntegratorParams {
    /// What is taken out of each record before its transform.
    pub fn detrend(mut self, detrend: Detrend) -> Self {
        self.detrend = detrend;
        self
    }

    /// The unit of the samples.
    pub fn input_unit(mut self, unit: AccelerationUnit) -> Self {
        self.unit = unit;
        self
    }

    /// The plan.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 2..=2^24 and `0 <= stop <= pass < rate / 2` with `pass` above zero.
    pub fn build(self) -> Result<Integrator> {
        if !LENGTHS.contains(&self.n_samples) {
            return Err(Error::parameter("n_samples", format!("in {LENGTHS:?}"), self.n_samples));
        }
        let (stop, pass) = self.high_pass_hz;
        if !(0.0 <= stop && stop <= pass && 0.0 < pass && pass < 0.5 * self.rate.get()) {
            let expected = format!(
                "0 <= stop <= pass, pass above 0 and below half the rate of {}",
                self.rate
            );
            return Err(Error::parameter("high_pass_hz", expected, format!("{stop} and {pass}")));
        }
        let mut planner = RealFftPlanner::new();
        Ok(Integrator {
            forward: planner.plan_fft_forward(self.n_samples),
            inverse: planner.plan_fft_inverse(self.n_samples),
            params: self,
        })
    }
}

/// Work space of one thread for an [`Integrator`].
#[derive(Clone)]
pub struct IntegratorScratch {
    samples: Vec<f64>,
    bins: Vec<Complex<f64>>,
    work: Vec<Complex<f64>>,
}

impl Integrator {
    /// Parameters for records of `n_samples` at `rate`, with a high-pass that takes out all up to the first frequency of
    /// `high_pass_hz` and nothing from the second on.
    pub fn params(n_samples: usize, rate: Hertz, high_pass_hz: (f64, f64)) -> IntegratorParams {
        IntegratorParams {
            n_samples,
            rate,
            high_pass_hz,
            detrend: Detrend::Linear,
            unit: AccelerationUnit::MPerS2,
        }
    }

    /// Samples of a record.
    pub fn n_samples(&self) -> usize {
        self.params.n_samples
    }

    /// Samples a second.
    pub fn rate(&self) -> Hertz {
        self.params.rate
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> IntegratorScratch {
        let zero = Complex { re: 0.0, im: 0.0 };
        IntegratorScratch {
            samples: vec![0.0; self.n_samples()],
            bins: vec![zero; self.n_samples() / 2 + 1],
            work: vec![zero; self.n_work()],
        }
    }

    fn n_work(&self) -> usize {
        self.forward.get_scratch_len().max(self.inverse.get_scratch_len())
    }

    /// What the high-pass leaves of `f_hz`.
    pub fn gain(&self, f_hz: f64) -> f64 {
        let (stop, pass) = self.params.high_pass_hz;
        match f_hz {
            f if f <= stop || f == 0.0 => 0.0,
            f if f >= pass => 1.0,
            f => 0.5 - 0.5 * libm::cos(PI * (f - stop) / (pass - stop)),
        }
    }

    /// Writes the velocity or displacement of the accelerations `x`, a value a sample.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's; `out` is unchanged then.
    pub fn integrate_into(
        &self,
        x: &[f64],
        to: Integrated,
        scratch: &mut IntegratorScratch,
        out: &mut [f64],
    ) -> Result<()> {
        let n = self.n_samples();
        for (what, expected, got) in [
            ("samples to integrate", n, x.len()),
            ("places of an integral", n, out.len()),
            ("samples an integrator's scratch is for", n, scratch.samples.len()),
            ("work space of an integrator", self.n_work(), scratch.work.len()),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        let IntegratorScratch { samples, bins, work } = scratch;
        samples.copy_from_slice(x);
        self.params.detrend.apply_in_place(samples);
        let wrong = |e| Error::input("transform", "buffers of its length", e);
        let forward_work = work.get_mut(..self.forward.get_scratch_len()).unwrap_or_default();
        self.forward
            .process_with_scratch(samples, bins, forward_work)
            .map_err(wrong)?;
        let scale = to.scale() * self.params.unit.m_per_s2() / n as f64;
        for (k, bin) in bins.iter_mut().enumerate() {
            let f_hz = k as f64 * self.params.rate.get() / n as f64;
            let angular = TAU * f_hz;
            // What is taken out, or only seen as a cosine, is NaN where the record is.
            let gone = |v: f64| if v.is_finite() { 0.0 } else { f64::NAN };
            *bin = match self.gain(f_hz) * scale {
                0.0 => Complex::new(gone(bin.re), 0.0),
                factor if !to.is_velocity() => *bin * (-factor / (angular * angular)),
                _ if 2 * k == n => Complex::new(gone(bin.re), 0.0),
                factor => Complex::new(bin.im, -bin.re) * (factor / angular),
            };
            if k == 0 || 2 * k == n {
                bin.im = 0.0;
            }
        }
        let inverse_work = work.get_mut(..self.inverse.get_scratch_len()).unwrap_or_default();
        self.inverse
            .process_with_scratch(bins, out, inverse_work)
            .map_err(wrong)
    }

    /// The velocity or displacement of `x`, in memory of its own.
    ///
    /// # Errors
    /// As [`integrate_into`](Integrator::integrate_into).
    pub fn integrate(&self, x: &[f64], to: Integrated) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_samples()];
        self.integrate_into(x, to, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }
}

impl fmt::Debug for Integrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Integrator").field(&self.params).finish()
    }
}

impl fmt::Debug for IntegratorScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntegratorScratch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    fn rate() -> Hertz {
        Hertz::new(1000.0).unwrap()
    }

    const ALL: [Integrated; 4] = [
        Integrated::VelocityMPerS,
        Integrated::VelocityMmPerS,
        Integrated::DisplacementM,
        Integrated::DisplacementUm,
    ];

    fn plain(n: usize, high_pass_hz: (f64, f64)) -> Integrator {
        Integrator::params(n, rate(), high_pass_hz)
            .detrend(Detrend::None)
            .build()
            .unwrap()
    }

    proptest! {
        /// Sums over sines and cosines in place of transforms. Bins are up to 60, divided by 2π f >= 2π 1000 / 60: of the order
        /// of 1 and rounded some 60 times.
        #[test]
        fn it_is_the_naive_transform(x in prop::collection::vec(-1.0..1.0_f64, 2..60), stop in 0.0..200.0_f64, more in 0.1..200.0_f64) {
            let (n, pass) = (x.len(), stop + more);
            let plan = plain(n, (stop, pass));
            let (velocity, displacement) = (plan.integrate(&x, ALL[0]).unwrap(), plan.integrate(&x, ALL[2]).unwrap());
            for i in 0..n {
                let (mut v, mut d) = (0.0, 0.0);
                for k in 1..=n / 2 {
                    let f = k as f64 * 1000.0 / n as f64;
                    let share = ((f - stop) / (pass - stop)).clamp(0.0, 1.0);
                    let h = (0.5 * PI * share).sin().powi(2);
                    let twice = if 2 * k == n { 1.0 } else { 2.0 };
                    for (m, x) in x.iter().enumerate() {
                        let angle = TAU * (k * i) as f64 / n as f64 - TAU * (k * m) as f64 / n as f64;
                        if 2 * k != n {
                            v += twice / n as f64 * h * x * angle.sin() / (TAU * f);
                        }
                        d -= twice / n as f64 * h * x * angle.cos() / (TAU * f).powi(2);
                    }
                }
                prop_assert!((velocity[i] - v).abs() < 1e-12 && (displacement[i] - d).abs() < 1e-12, "{i}: {} {v}, {} {d}", velocity[i], displacement[i]);
            }
        }

        #[test]
        fn offsets_and_drifts_do_not_matter(x in prop::collection::vec(-1.0..1.0_f64, 3..100), offset in -1e3..1e3_f64, slope in -1.0..1.0_f64) {
            let plan = Integrator::params(x.len(), rate(), (1.0, 2.0)).build().unwrap();
            let moved: Vec<f64> = x.iter().enumerate().map(|(i, v)| v + offset + slope * i as f64).collect();
            let (a, b) = (plan.integrate(&x, ALL[0]).unwrap(), plan.integrate(&moved, ALL[0]).unwrap());
            // Rounding of 1e3 over an angular frequency above 60.
            prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }

    #[test]
    fn sines_come_out_in_closed_form() {
        for (n, k) in [(1000, 50), (1000, 499), (999, 37), (64, 20)] {
            let f = f64::from(k) * 1000.0 / f64::from(n);
            let angle = |i: i32| TAU * f64::from(i * k % n) / f64::from(n) + 0.4;
            let x: Vec<f64> = (0..n).map(|i| 3.0 * angle(i).sin()).collect();
            let w = TAU * f;
            let g = 9.806_65;
            let plan = plain(n as usize, (5.0, 10.0));
            let in_g = Integrator::params(n as usize, rate(), (5.0, 10.0)).detrend(Detrend::None);
            let in_g = in_g.input_unit(AccelerationUnit::StandardGravity).build().unwrap();
            for (to, scale) in ALL.into_iter().zip([1.0, 1e3, 1.0, 1e6]) {
                let (y, y_g) = (plan.integrate(&x, to).unwrap(), in_g.integrate(&x, to).unwrap());
                for i in 0..n {
                    let (expected, peak) = match to.is_velocity() {
                        true => (-3.0 * scale * angle(i).cos() / w, 3.0 * scale / w),
                        false => (-3.0 * scale * angle(i).sin() / (w * w), 3.0 * scale / (w * w)),
                    };
                    // Rounding in all bins, weighted by up to f² / (10 Hz)² against the sine's.
                    let tolerance = 1e-14 * peak * (f / 10.0).powi(2).max(1.0);
                    assert!((y[i as usize] - expected).abs() < tolerance, "{n} {k} {to:?} {i}");
                    assert!(
                        (y_g[i as usize] - g * expected).abs() < 20.0 * tolerance,
                        "{n} {k} {to:?} {i}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_high_pass_has_the_stated_edges() {
        let plan = plain(1000, (10.0, 20.0));
        for (f, gain) in [
            (0.0, 0.0),
            (10.0, 0.0),
            (12.5, 0.5 - 0.125_f64.sqrt()),
            (15.0, 0.5),
            (20.0, 1.0),
            (500.0, 1.0),
        ] {
            assert!((plan.gain(f) - gain).abs() < 1e-15, "{f}");
        }
        let step = plain(1000, (10.0, 10.0));
        assert_eq!((step.gain(9.99), step.gain(10.0), step.gain(10.01)), (0.0, 0.0, 1.0));
        assert_eq!(plain(10, (0.0, 1.0)).gain(0.0), 0.0);
    }

    #[test]
    fn bad_records_give_nan_and_bad_parameters_errors() {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut x = [1.0; 16];
            x[3] = bad;
            for detrend in [Detrend::None, Detrend::Mean, Detrend::Linear] {
                let plan = Integrator::params(16, rate(), (450.0, 499.0))
                    .detrend(detrend)
                    .build()
                    .unwrap();
                for to in ALL {
                    assert!(
                        plan.integrate(&x, to).unwrap().iter().all(|v| v.is_nan()),
                        "{detrend:?} {to:?}"
                    );
                }
            }
        }
        for n in [0, 1, usize::MAX] {
            assert!(Integrator::params(n, rate(), (1.0, 2.0)).build().is_err());
        }
        let nan = f64::NAN;
        for bad in [
            (-1.0, 2.0),
            (2.0, 1.0),
            (0.0, 0.0),
            (1.0, 500.0),
            (nan, 1.0),
            (1.0, nan),
            (1.0, f64::INFINITY),
        ] {
            let e = Integrator::params(16, rate(), bad).build().unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{bad:?}");
        }
        let (plan, other) = (plain(16, (1.0, 2.0)), plain(17, (1.0, 2.0)));
        let mut out = [5.0; 16];
        assert!(
            plan.integrate_into(&[0.0; 15], ALL[0], &mut plan.new_scratch(), &mut out)
                .is_err()
        );
        assert!(
            plan.integrate_into(&[0.0; 16], ALL[0], &mut other.new_scratch(), &mut out)
                .is_err()
        );
        assert!(
            plan.integrate_into(&[0.0; 16], ALL[0], &mut plan.new_scratch(), &mut out[1..])
                .is_err()
        );
        assert_eq!(out, [5.0; 16]);
        assert!(plan.integrate(&[0.0; 16], ALL[0]).unwrap().iter().all(|v| *v == 0.0));
    }
}
