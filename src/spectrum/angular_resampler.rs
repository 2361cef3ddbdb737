//! From samples at a constant rate to samples at constant steps of a shaft's angle.

use super::shaft_angle::ShaftAngle;
use crate::{
    error::{Error, Result},
    quantity::Hertz,
    signal::bessel_i0,
};
use std::{f64::consts::PI, fmt, ops::Range, sync::Arc};

/// Samples a revolution.
const STEPS: std::ops::RangeInclusive<usize> = 2..=1 << 16;
/// Samples of a result in memory of its own.
const MOST_SAMPLES: usize = 1 << 26;
/// Revolutions beyond an end that are rounding.
const SLACK: f64 = 1e-9;
/// Samples of the lower rate on either side of the kernel's middle.
const HALF_LENGTH: usize = 24;
/// Where the kernel's response is one half, in the lower Nyquist frequency: with 0.77 at the one end of the transition and 0.98
/// at the other, which leaves 2% for speeds that change under the kernel.
const CUT_OFF: f64 = 0.875;
/// Shape of the Kaiser window: side lobes of -80 dB, with which 24 samples a side make a transition of 0.21.
const KAISER_BETA: f64 = 7.857;
/// Places of the kernel's table a sample; a chord between them misses by at most `π² / 24 / 1024² = 4e-7`.
const FINENESS: usize = 1024;

/// Resampling of waveforms to equal steps of a shaft's angle: what turns with the shaft stands still in the result, however
/// the speed changes.
///
/// Sample `j` of the result stands at `first + j / samples_per_revolution` revolutions. With `p` the place of that angle among
/// the samples, and `d` the samples of the waveform to one of the result there (`rate / (speed · samples_per_revolution)`),
///
/// ```text
/// y[j] = Σ_i h((i - p) / max(1, d)) x[i] / Σ_i h((i - p) / max(1, d)),      h(u) = sinc(0.875 u) kaiser(u / 24; 7.857)
/// ```
///
/// So interpolation and anti-aliasing are one filter, whose cut-off follows the speed. What lies below 0.75 of the lower
/// Nyquist frequency, that of the waveform or half `samples_per_revolution` orders, keeps amplitude and phase within 2e-4;
/// orders above half `samples_per_revolution` are less than 2e-4 of what they were. Choose eight samples a revolution for
/// three orders. Both figures hold while the speed changes by less than 4% over the 48 samples under the kernel.
///
/// Within 24 samples of the lower rate of its ends the waveform is incomplete under the kernel and the result less accurate;
/// constants stay exact. NaN or infinity spoils the samples of the result within that distance of it, and no others.
///
/// # Cost
/// About `48 max(1, d)` multiplications a sample of the result. Nothing is allocated after the plan, but for what is asked in
/// memory of its own.
///
/// ```
/// use prognos::{quantity::Hertz, spectrum::{AngularResampler, ShaftAngle}};
/// // A run-up from 10 to 30 Hz in a second, and a vibration of order 3.
/// let angle = ShaftAngle::of_profile(&[0.0, 1.0], &[600.0, 1800.0])?;
/// let order_3 = |r: f64| (std::f64::consts::TAU * 3.0 * r).sin();
/// let x: Vec<f64> = (0..=5000).map(|i| order_3(angle.revolutions_at(f64::from(i) / 5000.0).unwrap())).collect();
/// let resampler = AngularResampler::new(16, Hertz::new(5000.0)?)?;
/// let y = resampler.resample(&x, &angle)?;
/// assert_eq!(y.len(), 20 * 16);
/// assert!((y[165] - order_3(165.0 / 16.0)).abs() < 2e-4);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Sources: Fyfe & Munck (1997), <https://doi.org/10.1006/mssp.1996.0056>; Kaiser's window by Oppenheim & Schafer,
/// *Discrete-Time Signal Processing*.
#[derive(Clone)]
pub struct AngularResampler {
    samples_per_revolution: usize,
    rate: Hertz,
    /// `h` at steps of `1 / FINENESS`, and two zeros.
    kernel: Arc<[f64]>,
}

impl AngularResampler {
    /// For waveforms at `rate`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `samples_per_revolution` is in 2..=65,536.
    pub fn new(samples_per_revolution: usize, rate: Hertz) -> Result<Self> {
        if !STEPS.contains(&samples_per_revolution) {
            let expected = format!("in {STEPS:?}");
            return Err(Error::parameter(
                "samples_per_revolution",
                expected,
                samples_per_revolution,
            ));
        }
        let bessel_beta = bessel_i0(KAISER_BETA);
        let h = |i: usize| {
            let u = i as f64 / FINENESS as f64;
            let r = u / HALF_LENGTH as f64;
            let angle = PI * CUT_OFF * u;
            let sinc = if i == 0 { 1.0 } else { libm::sin(angle) / angle };
            sinc * bessel_i0(KAISER_BETA * (1.0 - r * r).max(0.0).sqrt()) / bessel_beta
        };
        let kernel = (0..=HALF_LENGTH * FINENESS).map(h).chain([0.0, 0.0]).collect();
        Ok(Self {
            samples_per_revolution,
            rate,
            kernel,
        })
    }

    /// Samples a revolution of the result.
    pub fn samples_per_revolution(&self) -> usize {
        self.samples_per_revolution
    }

    /// Samples a second of the waveform.
    pub fn rate(&self) -> Hertz {
        self.rate
    }

    /// The highest order that is kept, 0.375 samples a revolution, where the waveform's rate allows it.
    pub fn highest_order(&self) -> f64 {
        0.375 * self.samples_per_revolution as f64
    }

    /// The whole revolutions of `angle` within a waveform of `n_samples` whose first stands at `start_s`: the angles at which
    /// the first begins and the last ends. Of the last revolution the samples of the result must lie within, which end one step
    /// before it does.
    pub fn whole_revolutions(&self, n_samples: usize, start_s: f64, angle: &ShaftAngle) -> Range<usize> {
        let end_s = start_s + n_samples.saturating_sub(1) as f64 / self.rate.get();
        let from = angle.revolutions_at(start_s.max(angle.start_s()));
        let to = angle.revolutions_at(end_s.min(angle.end_s()));
        match (from, to) {
            (Some(from), Some(to)) if n_samples > 0 && start_s.is_finite() => {
                let from = (from - SLACK).ceil().max(0.0) as usize;
                let known = (angle.n_revolutions() + SLACK).floor();
                let to = (to + 1.0 / self.samples_per_revolution as f64 + SLACK)
                    .floor()
                    .min(known) as usize;
                from..to.max(from)
            }
            _ => 0..0,
        }
    }

    /// Writes the samples at `first_revolution`, and every `1 / samples_per_revolution` of a revolution after it, of a waveform
    /// whose first sample stands at `start_s` of the time of `angle`.
    ///
    /// # Errors
    /// `InvalidInput` where the result would reach beyond the angle or the waveform; what was written to `out` till then means
    /// nothing.
    pub fn resample_into(
        &self,
        x: &[f64],
        start_s: f64,
        angle: &ShaftAngle,
        first_revolution: f64,
        out: &mut [f64],
    ) -> Result<()> {
        let (rate, steps) = (self.rate.get(), self.samples_per_revolution as f64);
        let last_place = x.len() as f64 - 1.0;
        for (j, y) in out.iter_mut().enumerate() {
            let revolutions = first_revolution + j as f64 / steps;
            // A rounding or two beyond an end is no reason to refuse.
            let end = angle.n_revolutions();
            let is_near = revolutions >= -SLACK && revolutions <= end + SLACK;
            let within = if is_near {
                revolutions.clamp(0.0, end)
            } else {
                revolutions
            };
            let Some(passing) = angle.passing(within) else {
                let expected = format!("within 0..={}", angle.n_revolutions());
                return Err(Error::input("revolutions to resample", expected, revolutions));
            };
            let place = (passing.time_s - start_s) * rate;
            if !(place >= -SLACK * rate.max(1.0) && place <= last_place + SLACK * rate.max(1.0)) {
                return Err(Error::input(
                    "instant to resample",
                    format!("within {} samples from {start_s} s", x.len()),
                    format!("{} s", passing.time_s),
                ));
            }
            *y = self.at(x, place, rate / (passing.speed * steps));
        }
        Ok(())
    }

    /// All whole revolutions of a waveform that begins at 0 s.
    ///
    /// # Errors
    /// `InsufficientData` without a whole revolution; `InvalidInput` where the result would pass 2^26 samples.
    pub fn resample(&self, x: &[f64], angle: &ShaftAngle) -> Result<Vec<f64>> {
        let revolutions = self.whole_revolutions(x.len(), 0.0, angle);
        if revolutions.is_empty() {
            return Err(Error::insufficient("angular resampling", "a whole revolution", "less"));
        }
        let n = revolutions.len().saturating_mul(self.samples_per_revolution);
        if n > MOST_SAMPLES {
            return Err(Error::input("resampled signal", "at most 2^26 samples", n));
        }
        let mut out = vec![0.0; n];
        self.resample_into(x, 0.0, angle, revolutions.start as f64, &mut out)?;
        Ok(out)
    }

    /// The waveform at a place between samples, low-passed for steps of `spacing` samples.
    fn at(&self, x: &[f64], place: f64, spacing: f64) -> f64 {
        let stretch = spacing.max(1.0);
        let reach = HALF_LENGTH as f64 * stretch;
        let first = (place - reach).ceil().max(0.0) as usize;
        let end = ((place + reach).floor() + 1.0).max(0.0) as usize;
        let under = x.get(first.min(x.len())..end.min(x.len())).unwrap_or_default();
        let step = FINENESS as f64 / stretch;
        let (mut sum, mut weights) = (0.0, 0.0);
        for (i, v) in under.iter().enumerate() {
            let u = ((first + i) as f64 - place).abs() * step;
            let below = u as usize;
            let [a, b] = match self.kernel.get(below..below + 2) {
                Some(&[a, b]) => [a, b],
                _ => [0.0, 0.0],
            };
            let h = a + (u - below as f64) * (b - a);
            sum += h * v;
            weights += h;
        }
        sum / weights
    }
}

impl fmt::Debug for AngularResampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AngularResampler")
            .field("samples_per_revolution", &self.samples_per_revolution)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::f64::consts::TAU;

    const RATE: f64 = 10_000.0;

    /// A run-up from 10 Hz to 30 Hz in 4 s, 80 revolutions, and an order over it.
    fn run_up() -> ShaftAngle {
        ShaftAngle::of_profile(&[0.0, 4.0], &[600.0, 1800.0]).unwrap()
    }

    fn order(angle: &ShaftAngle, order: f64) -> Vec<f64> {
        (0..=40_000)
            .map(|i| (TAU * order * angle.revolutions_at(f64::from(i) / RATE).unwrap() + 0.7).sin())
            .collect()
    }

    #[test]
    fn orders_below_the_edge_stay_and_those_above_go() {
        let angle = run_up();
        // 64 a revolution is 640 to 1,920 Hz: the result's rate is the lower. 640 is 6,400 to 19,200 Hz.
        for (steps, cases) in [
            (
                64,
                [
                    (0.0, true),
                    (1.0, true),
                    (7.3, true),
                    (24.0, true),
                    (32.1, false),
                    (80.0, false),
                    (160.0, false),
                ]
                .as_slice(),
            ),
            (640, [(1.0, true), (60.0, true), (125.0, true)].as_slice()),
        ] {
            let resampler = AngularResampler::new(steps, Hertz::new(RATE).unwrap()).unwrap();
            for &(order_of, kept) in cases {
                let y = resampler.resample(&order(&angle, order_of), &angle).unwrap();
                assert_eq!(y.len(), 80 * steps);
                for (j, v) in y.iter().enumerate().take(79 * steps).skip(steps) {
                    let expected = (TAU * order_of * j as f64 / steps as f64 + 0.7).sin();
                    let off = (v - if kept { expected } else { 0.0 }).abs();
                    assert!(off < 2e-4, "{steps} {order_of} {j}: {v} {expected}");
                }
            }
        }
    }

    #[test]
    fn constants_are_exact_and_bad_samples_stay_local() {
        let angle = run_up();
        let resampler = AngularResampler::new(128, Hertz::new(RATE).unwrap()).unwrap();
        let y = resampler.resample(&[2.5; 40_001], &angle).unwrap();
        assert!(y.iter().all(|v| (v - 2.5).abs() < 1e-14));
        let mut x = vec![1.0; 40_001];
        for bad in [f64::NAN, f64::INFINITY] {
            x[20_000] = bad;
            let y = resampler.resample(&x, &angle).unwrap();
            // At 2 s, 20 Hz: 24 samples of the result on either side.
            let spoilt = y.iter().filter(|v| !v.is_finite()).count();
            assert!((47..=50).contains(&spoilt), "{spoilt}");
        }
    }

    #[test]
    fn no_whole_revolution_is_lost_to_rounding() {
        let resampler = AngularResampler::new(64, Hertz::new(1000.0).unwrap()).unwrap();
        // 22 revolutions that sum up to a rounding less, and to a record of 1.1 s and a sample.
        let angle = ShaftAngle::of_profile(&[0.0, 1.1], &[900.0, 1500.0]).unwrap();
        assert!((angle.n_revolutions() - 22.0).abs() < 1e-12);
        assert_eq!(resampler.whole_revolutions(1101, 0.0, &angle), 0..22);
        assert_eq!(resampler.resample(&[1.0; 1101], &angle).unwrap().len(), 22 * 64);
        // A second at 20 Hz ends a sample before its last revolution does, 0.02 of one, and 1/32 is enough.
        let angle = ShaftAngle::of_profile(&[0.0, 1.0], &[1200.0, 1200.0]).unwrap();
        let resampler = AngularResampler::new(32, Hertz::new(1000.0).unwrap()).unwrap();
        assert_eq!(resampler.whole_revolutions(1000, 0.0, &angle), 0..20);
        assert_eq!(resampler.resample(&[1.0; 1000], &angle).unwrap().len(), 20 * 32);
        assert_eq!(resampler.whole_revolutions(998, 0.0, &angle), 0..19);
        // From a rounding after a whole revolution.
        assert_eq!(resampler.whole_revolutions(700, 0.3 + 1e-13, &angle), 6..20);
        let mut out = [0.0; 32];
        resampler
            .resample_into(&[1.0; 700], 0.3 + 1e-13, &angle, 6.0, &mut out)
            .unwrap();
    }

    #[test]
    fn windows_are_parts_of_the_whole_and_ends_are_kept() {
        let (angle, rate) = (run_up(), Hertz::new(RATE).unwrap());
        let resampler = AngularResampler::new(32, rate).unwrap();
        let x = order(&angle, 2.0);
        let all = resampler.resample(&x, &angle).unwrap();
        let mut part = vec![0.0; 64];
        resampler.resample_into(&x, 0.0, &angle, 10.0, &mut part).unwrap();
        assert_eq!(part, all[320..384]);
        // A waveform that begins later: from 1 s, 12.5 revolutions.
        let later = &x[10_000..];
        assert_eq!(resampler.whole_revolutions(later.len(), 1.0, &angle), 13..80);
        resampler.resample_into(later, 1.0, &angle, 20.0, &mut part).unwrap();
        assert!(part.iter().zip(&all[640..704]).all(|(a, b)| (a - b).abs() < 1e-10));
        for (x, start, first) in [
            (later, 1.0, 12.0),
            (&x[..], 0.0, 79.0),
            (&x[..], 0.0, -0.1),
            (&x[..], 0.0, f64::NAN),
            (&x[..], f64::NAN, 1.0),
            (&x[..10], 0.0, 0.0),
            (&[][..], 0.0, 0.0),
        ] {
            let e = resampler.resample_into(x, start, &angle, first, &mut part).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
        }
        for few in [&x[..500], &[]] {
            assert_eq!(
                resampler.resample(few, &angle).unwrap_err().kind(),
                ErrorKind::InsufficientData
            );
        }
        assert!(AngularResampler::new(1, rate).is_err() && AngularResampler::new(usize::MAX, rate).is_err());
        // Rounding below zero.
        resampler.resample_into(&x, 0.0, &angle, -1e-17, &mut part).unwrap();
        assert!(part.iter().zip(&all).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(resampler.whole_revolutions(100, f64::NAN, &angle), 0..0);
        assert_eq!(resampler.whole_revolutions(100, 100.0, &angle), 0..0);
    }
}
