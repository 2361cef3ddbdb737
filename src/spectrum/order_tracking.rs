//! Spectra over orders: multiples of a shaft's rate.

use super::{AmplitudeSpectrum, AngularResampler, ShaftAngle, SpectrumScratch, Taper};
use crate::{
    error::{Error, Result},
    quantity::Hertz,
};

/// The plan of order spectra: amplitudes by multiples of a shaft's rate, over windows of whole revolutions.
///
/// A window is resampled to equal steps of the angle ([`AngularResampler`]) and transformed ([`AmplitudeSpectrum`], whose
/// samples a second are samples a revolution here). Bin `k` is order `k / revolutions`; a vibration of order `m`, `m` a
/// multiple of that, stands in one bin with [`Taper::Rectangular`] whatever the speed did, its amplitude as there stated.
/// Orders above [`highest_order`](AngularResampler::highest_order) are weakened by the filter.
///
/// # Cost
/// The resampling and one real transform; nothing is allocated.
///
/// ```
/// use prognos::{quantity::Hertz, spectrum::{OrderSpectrum, ShaftAngle, Taper}};
/// let angle = ShaftAngle::of_profile(&[0.0, 2.0], &[600.0, 1800.0])?;
/// let x: Vec<f64> = (0..=20_000).map(|i| {
///     let turned = angle.revolutions_at(f64::from(i) * 1e-4).unwrap();
///     2.0 * (std::f64::consts::TAU * 7.5 * turned).sin()
/// }).collect();
/// let plan = OrderSpectrum::new(64, 20, Hertz::new(10_000.0)?, Taper::Hann)?;
/// let amplitude = plan.tracked(&x, 0.0, &angle, 10.0)?;
/// let bin = plan.nearest_bin(7.5).unwrap();
/// assert!(plan.order(bin) == 7.5 && (amplitude[bin] - 2.0).abs() < 1e-3);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OrderSpectrum {
    resampler: AngularResampler,
    spectrum: AmplitudeSpectrum,
    revolutions: usize,
}

/// Work space of one thread for an [`OrderSpectrum`].
#[derive(Clone, Debug)]
pub struct OrderScratch {
    turned: Vec<f64>,
    spectrum: SpectrumScratch,
}

impl OrderSpectrum {
    /// The plan for windows of this many revolutions, of waveforms at `rate`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `samples_per_revolution` is in 2..=65,536 and `revolutions` at least 1, their product at most
    /// 2^24.
    pub fn new(samples_per_revolution: usize, revolutions: usize, rate: Hertz, taper: Taper) -> Result<Self> {
        let resampler = AngularResampler::new(samples_per_revolution, rate)?;
        let n = samples_per_revolution.saturating_mul(revolutions);
        if revolutions == 0 || n > 1 << 24 {
            let expected = "at least 1, and at most 2^24 samples together";
            return Err(Error::parameter("revolutions", expected, revolutions));
        }
        Ok(Self {
            spectrum: AmplitudeSpectrum::new(n, Hertz::new(samples_per_revolution as f64)?, taper)?,
            resampler,
            revolutions,
        })
    }

    /// Revolutions of a window.
    pub fn revolutions(&self) -> usize {
        self.revolutions
    }

    /// The resampling before the transform.
    pub fn resampler(&self) -> &AngularResampler {
        &self.resampler
    }

    /// Samples of a window at equal steps of the angle.
    pub fn n_samples(&self) -> usize {
        self.spectrum.n_samples()
    }

    /// Bins of the spectrum.
    pub fn n_bins(&self) -> usize {
        self.spectrum.n_bins()
    }

    /// The order at the centre of `bin`.
    pub fn order(&self, bin: usize) -> f64 {
        bin as f64 / self.revolutions as f64
    }

    /// The bin whose centre is nearest to `order`; none beyond the spectrum and for NaN.
    pub fn nearest_bin(&self, order: f64) -> Option<usize> {
        let bin = (order * self.revolutions as f64).round();
        (bin >= 0.0 && bin < self.n_bins() as f64).then_some(bin as usize)
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> OrderScratch {
        OrderScratch {
            turned: vec![0.0; self.n_samples()],
            spectrum: self.spectrum.new_scratch(),
        }
    }

    /// Writes the amplitude of each bin for a window that stands at equal steps of the angle already.
    ///
    /// # Errors
    /// As [`AmplitudeSpectrum::amplitude_into`].
    pub fn amplitude_into(&self, turned: &[f64], scratch: &mut OrderScratch, out: &mut [f64]) -> Result<()> {
        self.spectrum.amplitude_into(turned, &mut scratch.spectrum, out)
    }

    /// Writes the amplitude of each bin for the window that begins at `first_revolution` of `angle`, of a waveform whose first
    /// sample stands at `start_s`.
    ///
    /// # Errors
    /// As [`AngularResampler::resample_into`] and [`AmplitudeSpectrum::amplitude_into`].
    pub fn tracked_into(
        &self,
        x: &[f64],
        start_s: f64,
        angle: &ShaftAngle,
        first_revolution: f64,
        scratch: &mut OrderScratch,
        out: &mut [f64],
    ) -> Result<()> {
        let OrderScratch { turned, spectrum } = scratch;
        if turned.len() != self.n_samples() {
            return Err(Error::input(
                "samples an order scratch is for",
                self.n_samples(),
                turned.len(),
            ));
        }
        self.resampler
            .resample_into(x, start_s, angle, first_revolution, turned)?;
        self.spectrum.amplitude_into(turned, spectrum, out)
    }

    /// The amplitude of each bin, in memory of its own.
    ///
    /// # Errors
    /// As [`tracked_into`](OrderSpectrum::tracked_into).
    pub fn tracked(&self, x: &[f64], start_s: f64, angle: &ShaftAngle, first_revolution: f64) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_bins()];
        self.tracked_into(x, start_s, angle, first_revolution, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::ErrorKind,
        spectrum::{PulseEdge, PulseTrigger, Tachometer},
    };
    use std::f64::consts::TAU;

    /// A run-up from 15 to 35 Hz in 4 s, seen by a tachometer of one pulse a revolution.
    #[test]
    fn lines_of_a_run_up_stand_in_single_bins_by_the_pulses_alone() {
        let (rate, n) = (12_800.0, 51_200);
        let turned = |t: f64| 15.0 * t + 2.5 * t * t;
        let time = |i: i32| f64::from(i) / rate;
        let orders = [(1.0, 1.0), (2.0, 0.5), (3.5, 0.8), (17.0, 0.3), (24.0, 0.2)];
        // The 60 is beyond the Nyquist order, 32.
        let x: Vec<f64> = (0..n)
            .map(|i| {
                let r = turned(time(i));
                let line = |(k, (order, a)): (usize, &(f64, f64))| a * (TAU * order * r + k as f64).sin();
                0.4 * (TAU * 60.0 * r).sin() + orders.iter().enumerate().map(line).sum::<f64>()
            })
            .collect();
        // A pulse of a tenth of a revolution, its edges 0.01 wide.
        let pulse: Vec<f64> = (0..n)
            .map(|i| {
                let r = turned(time(i)).fract();
                ((0.05 - (r - 0.5).abs()) / 0.01 + 0.5).clamp(0.0, 1.0)
            })
            .collect();
        let hz = Hertz::new(rate).unwrap();
        let trigger = PulseTrigger::halfway(&pulse, PulseEdge::Rising).unwrap();
        let times = trigger.pulse_times(&pulse, hz).unwrap();
        let reading = Tachometer::new(1.0).unwrap().read(&times).unwrap();
        let angle = reading.whole().unwrap();
        let plan = OrderSpectrum::new(64, 60, hz, Taper::Rectangular).unwrap();
        let (mut scratch, mut out) = (plan.new_scratch(), vec![0.0; plan.n_bins()]);
        plan.tracked_into(&x, 0.0, angle, 10.0, &mut scratch, &mut out).unwrap();
        let mut rest = out.clone();
        for (order, a) in orders {
            let bin = plan.nearest_bin(order).unwrap();
            assert!((out[bin] - a).abs() < 3e-4 * a, "{order}: {} {a}", out[bin]);
            rest[bin] = 0.0;
        }
        let worst = rest.iter().fold(0.0, |m: f64, v| m.max(*v));
        // The angle is exact to the interpolation of the edges, and the 60 is 80 dB down.
        assert!(worst < 1e-4, "{worst}");
        // Without tracking the lines are smeared over many bins.
        let fixed = AmplitudeSpectrum::new(n as usize, hz, Taper::Rectangular).unwrap();
        let smeared = fixed.amplitude(&x).unwrap().into_iter().fold(0.0, f64::max);
        assert!(smeared < 0.2, "{smeared}");
        // The window at equal steps gives the same.
        let mut again = vec![0.0; plan.n_bins()];
        let window = plan.resampler().resample(&x, angle).unwrap()[640..640 + plan.n_samples()].to_vec();
        plan.amplitude_into(&window, &mut scratch, &mut again).unwrap();
        assert_eq!(again, out);
    }

    #[test]
    fn bad_plans_and_windows_are_refused_and_nan_is_nan() {
        let hz = Hertz::new(1000.0).unwrap();
        for (steps, revolutions) in [(1, 10), (64, 0), (65_536, 257), (64, usize::MAX)] {
            let e = OrderSpectrum::new(steps, revolutions, hz, Taper::Hann).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter);
        }
        let plan = OrderSpectrum::new(16, 10, hz, Taper::Hann).unwrap();
        let angle = ShaftAngle::of_profile(&[0.0, 1.0], &[1200.0, 1200.0]).unwrap();
        assert!(plan.tracked(&[0.0; 300], 0.0, &angle, 0.0).is_err());
        assert!(
            plan.tracked(&[f64::NAN; 1001], 0.0, &angle, 0.0)
                .unwrap()
                .iter()
                .all(|v| v.is_nan())
        );
        assert!(
            plan.nearest_bin(-1.0).is_none() && plan.nearest_bin(f64::NAN).is_none() && plan.nearest_bin(8.2).is_none()
        );
        assert_eq!(plan.nearest_bin(8.0), Some(80));
        let other = OrderSpectrum::new(16, 9, hz, Taper::Hann).unwrap();
        let (mut scratch, mut out) = (other.new_scratch(), vec![0.0; plan.n_bins()]);
        assert!(
            plan.tracked_into(&[0.0; 1001], 0.0, &angle, 0.0, &mut scratch, &mut out)
                .is_err()
        );
    }
}
