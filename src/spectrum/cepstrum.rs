//! Cepstra: spectra of log spectra, where families of lines and echoes each become one peak.

use super::tapered::LENGTHS;
use crate::error::{Error, Result};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};
use std::{fmt, sync::Arc};

/// Magnitudes below this share of the largest are taken as that: their logarithm and phase are rounding.
const FLOOR: f64 = 1e-15;

/// The plan of real and power cepstra of signals of one length, and of edits in the cepstrum.
///
/// With `X` the transform of the `N` samples,
///
/// ```text
/// real cepstrum  c[q] = F⁻¹(ln |X|)[q]
/// power cepstrum p[q] = |F⁻¹(ln |X|²)[q]|²   = 4 c[q]²
/// ```
///
/// Index `q`, the quefrency, counts samples: harmonics spaced `f` Hz apart make a peak at `q = rate / f` and its multiples.
/// [`lifter_into`](Cepstrum::lifter_into) changes the cepstrum and goes back to samples with the original phase, which
/// takes families of lines out of a signal without knowing its phase.
///
/// Magnitudes below 1e-15 of the largest count as that. NaN or infinity among the samples, or samples that are all zero,
/// make every value NaN.
///
/// # Cost
/// Two real transforms, four for an edit; nothing is allocated.
///
/// Sources: Bogert, Healy & Tukey (1963); Randall (2017), <https://doi.org/10.1016/j.ymssp.2016.12.026>.
///
/// ```
/// use prognos::spectrum::Cepstrum;
/// // A noise with an echo of itself 50 samples later.
/// let noise = |i: i32| f64::from(i.rem_euclid(1000) * 7919 % 1013) - 506.0;
/// let x: Vec<f64> = (0..1000).map(|i| noise(i) + 0.6 * noise(i - 50)).collect();
/// let c = Cepstrum::new(1000)?.real(&x)?;
/// let peak = (20..480).max_by(|a, b| c[*a].total_cmp(&c[*b]));
/// assert_eq!(peak, Some(50));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct Cepstrum {
    n: usize,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

/// Work space of one thread for [`Cepstrum`] and [`CepstralPrewhitening`].
#[derive(Clone)]
pub struct CepstrumScratch {
    samples: Vec<f64>,
    half: Vec<Complex<f64>>,
    phase: Vec<Complex<f64>>,
    work: Vec<Complex<f64>>,
}

/// An edit of the cepstrum, by quefrency in samples; the mirror image above `n / 2` is edited alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lifter {
    /// Keeps quefrencies below this: the smooth course of the spectrum, as from resonances.
    ShortPass(usize),
    /// Removes quefrencies from 1 to below this, keeps the level: harmonics and echoes stay.
    LongPass(usize),
    /// Removes this quefrency and its multiples, each with this many neighbours on either side: one family of harmonics or
    /// sidebands.
    Comb {
        /// The spacing, at least 1.
        quefrency: usize,
        /// Neighbours on either side.
        half_width: usize,
    },
}

impl Cepstrum {
    /// The plan for signals of `n_samples`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 2..=2^24.
    pub fn new(n_samples: usize) -> Result<Self> {
        if !LENGTHS.contains(&n_samples) {
            return Err(Error::parameter("n_samples", format!("in {LENGTHS:?}"), n_samples));
        }
        let mut planner = RealFftPlanner::new();
        Ok(Self {
            n: n_samples,
            forward: planner.plan_fft_forward(n_samples),
            inverse: planner.plan_fft_inverse(n_samples),
        })
    }

    /// Samples of a signal, and values of a cepstrum.
    pub fn n_samples(&self) -> usize {
        self.n
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> CepstrumScratch {
        let zero = Complex { re: 0.0, im: 0.0 };
        CepstrumScratch {
            samples: vec![0.0; self.n],
            half: vec![zero; self.n / 2 + 1],
            phase: vec![zero; self.n / 2 + 1],
            work: vec![zero; self.forward.get_scratch_len().max(self.inverse.get_scratch_len())],
        }
    }

    /// Writes the real cepstrum, `n_samples` values.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn real_into(&self, x: &[f64], scratch: &mut CepstrumScratch, out: &mut [f64]) -> Result<()> {
        self.check(x, scratch, out)?;
        scratch.samples.copy_from_slice(x);
        self.to_spectrum(scratch)?;
        split(&mut scratch.half, None);
        self.to_samples(scratch, out)
    }

    /// The real cepstrum, in memory of its own.
    ///
    /// # Errors
    /// As [`real_into`](Cepstrum::real_into).
    pub fn real(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n];
        self.real_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// Writes the power cepstrum, `n_samples` values.
    ///
    /// # Errors
    /// As [`real_into`](Cepstrum::real_into).
    pub fn power_into(&self, x: &[f64], scratch: &mut CepstrumScratch, out: &mut [f64]) -> Result<()> {
        self.real_into(x, scratch, out)?;
        out.iter_mut().for_each(|c| *c = 4.0 * *c * *c);
        Ok(())
    }

    /// The power cepstrum, in memory of its own.
    ///
    /// # Errors
    /// As [`real_into`](Cepstrum::real_into).
    pub fn power(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n];
        self.power_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// Writes the signal whose cepstrum is that of `x` after `lifter`, with the phase of `x`.
    ///
    /// # Errors
    /// `InvalidParameter` for a comb of quefrency 0; `InvalidInput` where a length differs from the plan's.
    pub fn lifter_into(&self, x: &[f64], lifter: Lifter, scratch: &mut CepstrumScratch, out: &mut [f64]) -> Result<()> {
        if let Lifter::Comb { quefrency: 0, .. } = lifter {
            return Err(Error::parameter("quefrency", "at least 1 sample", 0));
        }
        self.check(x, scratch, out)?;
        scratch.samples.copy_from_slice(x);
        self.to_spectrum(scratch)?;
        let CepstrumScratch { half, phase, .. } = scratch;
        split(half, Some(phase));
        self.to_samples(scratch, out)?;
        let n = self.n;
        for (q, c) in out.iter_mut().enumerate() {
            if !keeps(lifter, q.min(n - q)) {
                *c = 0.0;
            }
        }
        scratch.samples.copy_from_slice(out);
        self.to_spectrum(scratch)?;
        for (log, phase) in scratch.half.iter_mut().zip(&scratch.phase) {
            *log = phase * libm::exp(log.re);
        }
        self.to_samples(scratch, out)
    }

    fn check(&self, x: &[f64], scratch: &CepstrumScratch, out: &[f64]) -> Result<()> {
        let work = self.forward.get_scratch_len().max(self.inverse.get_scratch_len());
        for (what, expected, got) in [
            ("samples of a cepstrum", self.n, x.len()),
            ("values of a cepstrum", self.n, out.len()),
            ("samples a cepstrum's scratch is for", self.n, scratch.samples.len()),
            ("work space of a cepstrum", work, scratch.work.len()),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        Ok(())
    }

    /// `half` from `samples`.
    fn to_spectrum(&self, s: &mut CepstrumScratch) -> Result<()> {
        let work = s.work.get_mut(..self.forward.get_scratch_len()).unwrap_or_default();
        let done = self.forward.process_with_scratch(&mut s.samples, &mut s.half, work);
        done.map_err(|e| Error::input("transform", "buffers of its length", e))
    }

    /// `out` from `half`, whose ends become real.
    fn to_samples(&self, s: &mut CepstrumScratch, out: &mut [f64]) -> Result<()> {
        if let Some(zero) = s.half.first_mut() {
            zero.im = 0.0;
        }
        if self.n.is_multiple_of(2)
            && let Some(nyquist) = s.half.last_mut()
        {
            nyquist.im = 0.0;
        }
        let work = s.work.get_mut(..self.inverse.get_scratch_len()).unwrap_or_default();
        let done = self.inverse.process_with_scratch(&mut s.half, out, work);
        done.map_err(|e| Error::input("transform", "buffers of its length", e))?;
        let scale = 1.0 / self.n as f64;
        out.iter_mut().for_each(|v| *v *= scale);
        Ok(())
    }
}

/// The smallest magnitude that counts; NaN where all are zero or one is not finite.
fn floor_of(half: &[Complex<f64>]) -> f64 {
    let largest = half
        .iter()
        .map(|v| v.norm_sqr())
        .fold(0.0, |m: f64, v| if v > m || v.is_nan() { v } else { m });
    let floor = FLOOR * largest.sqrt();
    if floor > 0.0 && floor.is_finite() {
        floor
    } else {
        f64::NAN
    }
}

/// Parts a spectrum into the logarithm of its magnitude, which it becomes, and its phase of magnitude 1.
fn split(half: &mut [Complex<f64>], phase: Option<&mut [Complex<f64>]>) {
    let floor = floor_of(half);
    if let Some(phase) = phase {
        for (p, v) in phase.iter_mut().zip(&*half) {
            *p = unit(*v, floor);
        }
    }
    for v in half {
        // `max` would drop the NaN of a floor.
        let norm = v.norm();
        let norm = if norm >= floor { norm } else { floor };
        *v = Complex {
            re: libm::log(norm),
            im: 0.0,
        };
    }
}

/// `v` scaled to magnitude 1; below `floor` its phase is rounding, and taken as 0.
fn unit(v: Complex<f64>, floor: f64) -> Complex<f64> {
    let norm = v.norm();
    if norm >= floor {
        v / norm
    } else if floor.is_nan() {
        Complex {
            re: f64::NAN,
            im: f64::NAN,
        }
    } else {
        Complex { re: 1.0, im: 0.0 }
    }
}

/// Whether `lifter` keeps quefrency `q`, counted from the nearer end.
fn keeps(lifter: Lifter, q: usize) -> bool {
    match lifter {
        Lifter::ShortPass(end) => q < end,
        Lifter::LongPass(begin) => q == 0 || q >= begin,
        Lifter::Comb { quefrency, half_width } => {
            let over = q % quefrency;
            let distance = over.min(quefrency - over);
            // The level, at zero, is no member of the family.
            q <= quefrency / 2 || distance > half_width
        }
    }
}

/// Cepstral prewhitening: the signal with every bin of its spectrum set to magnitude 1, `F⁻¹(X / |X|)`.
///
/// That is the edit of the cepstrum that sets all of it to zero: lines and resonances vanish, what remains is what comes in
/// bursts. Bearing faults stand out of it without a choice of band. The result has no unit.
///
/// Bins below 1e-15 of the largest get phase 0. NaN or infinity among the samples, or samples that are all zero, make
/// every value NaN.
///
/// # Cost
/// Two real transforms; nothing is allocated.
///
/// Source: Borghesani et al. (2013), <https://doi.org/10.1016/j.ymssp.2012.11.001>.
///
/// ```
/// use prognos::spectrum::CepstralPrewhitening;
/// let plan = CepstralPrewhitening::new(512)?;
/// // A strong line hides one impact.
/// let x: Vec<f64> = (0..512).map(|i| 50.0 * (std::f64::consts::TAU * 20.0 / 512.0 * f64::from(i)).sin() + if i == 200 { 5.0 } else { 0.0 }).collect();
/// let white = plan.apply(&x)?;
/// let peak = (0..512).max_by(|a, b| white[*a].abs().total_cmp(&white[*b].abs()));
/// assert_eq!(peak, Some(200));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CepstralPrewhitening(Cepstrum);

impl CepstralPrewhitening {
    /// The plan for signals of `n_samples`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 2..=2^24.
    pub fn new(n_samples: usize) -> Result<Self> {
        Cepstrum::new(n_samples).map(Self)
    }

    /// Samples of a signal.
    pub fn n_samples(&self) -> usize {
        self.0.n
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> CepstrumScratch {
        self.0.new_scratch()
    }

    /// Writes the prewhitened signal.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn apply_into(&self, x: &[f64], scratch: &mut CepstrumScratch, out: &mut [f64]) -> Result<()> {
        self.0.check(x, scratch, out)?;
        scratch.samples.copy_from_slice(x);
        self.0.to_spectrum(scratch)?;
        let floor = floor_of(&scratch.half);
        scratch.half.iter_mut().for_each(|v| *v = unit(*v, floor));
        self.0.to_samples(scratch, out)
    }

    /// The prewhitened signal, in memory of its own.
    ///
    /// # Errors
    /// As [`apply_into`](CepstralPrewhitening::apply_into).
    pub fn apply(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.0.n];
        self.apply_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }
}

impl fmt::Debug for Cepstrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cepstrum")
            .field("n_samples", &self.n)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CepstrumScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CepstrumScratch")
            .field("n_samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lifted(plan: &Cepstrum, x: &[f64], lifter: Lifter) -> Vec<f64> {
        let (mut scratch, mut out) = (plan.new_scratch(), vec![f64::NAN; x.len()]);
        scratch.half.fill(Complex {
            re: f64::NAN,
            im: f64::NAN,
        });
        scratch.phase.fill(Complex {
            re: f64::NAN,
            im: f64::NAN,
        });
        plan.lifter_into(x, lifter, &mut scratch, &mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn an_edit_that_keeps_all_gives_the_signal_back(x in prop::collection::vec(-1.0..1.0_f64, 2..80)) {
            let plan = Cepstrum::new(x.len()).unwrap();
            for keep in [Lifter::ShortPass(usize::MAX), Lifter::LongPass(1)] {
                let back = lifted(&plan, &x, keep);
                prop_assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12), "{back:?} {x:?}");
            }
        }

        #[test]
        fn what_is_white_has_power_one_in_each_bin_and_forgets_scale(x in prop::collection::vec(-1.0..1.0_f64, 2..80)) {
            prop_assume!(x.iter().any(|v| *v != 0.0));
            let plan = CepstralPrewhitening::new(x.len()).unwrap();
            let white = plan.apply(&x).unwrap();
            // Parseval: each of N bins has magnitude 1.
            prop_assert!((white.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-12);
            let scaled: Vec<f64> = x.iter().map(|v| 1024.0 * v).collect();
            prop_assert_eq!(plan.apply(&scaled).unwrap(), white);
        }
    }

    #[test]
    fn a_comb_takes_harmonics_out() {
        // Impulses every 40 samples through a decay, and noise.
        let n = 4000;
        let x: Vec<f64> = (0..n)
            .map(|i| f64::from(i * 7919 % 1013) / 1013.0 + 20.0 * (-0.5 * f64::from(i % 40)).exp())
            .collect();
        let plan = Cepstrum::new(n as usize).unwrap();
        let before = plan.real(&x).unwrap();
        let after = plan
            .real(&lifted(
                &plan,
                &x,
                Lifter::Comb {
                    quefrency: 40,
                    half_width: 1,
                },
            ))
            .unwrap();
        assert!(
            before[40] > 0.05 && after[40].abs() < 1e-3,
            "{} {}",
            before[40],
            after[40]
        );
        assert!((after[0] - before[0]).abs() < 0.1);
        let bad = plan.lifter_into(
            &x,
            Lifter::Comb {
                quefrency: 0,
                half_width: 1,
            },
            &mut plan.new_scratch(),
            &mut vec![0.0; 4000],
        );
        assert!(bad.is_err());
    }

    #[test]
    fn silent_and_bad_signals_give_nan_and_wrong_lengths_are_refused() {
        let (plan, white) = (Cepstrum::new(16).unwrap(), CepstralPrewhitening::new(16).unwrap());
        for x in [[0.0; 16], [f64::NAN; 16], [f64::INFINITY; 16]] {
            assert!(plan.real(&x).unwrap().iter().all(|v| v.is_nan()));
            assert!(plan.power(&x).unwrap().iter().all(|v| v.is_nan()));
            assert!(white.apply(&x).unwrap().iter().all(|v| v.is_nan()));
            assert!(lifted(&plan, &x, Lifter::ShortPass(3)).iter().all(|v| v.is_nan()));
        }
        // A constant has one bin; the others count as the floor.
        assert!(
            plan.real(&[2.0; 16])
                .unwrap()
                .iter()
                .chain(&white.apply(&[2.0; 16]).unwrap())
                .all(|v| v.is_finite())
        );
        assert!(plan.real(&[1.0; 15]).is_err() && white.apply(&[1.0; 17]).is_err());
        assert!(Cepstrum::new(1).is_err());
        let p = plan
            .power(&[
                1.0, 2.0, 5.0, 0.0, 1.0, 2.0, 9.0, 4.0, 1.0, 2.0, 0.5, 0.0, 1.0, 2.0, 7.0, 8.0,
            ])
            .unwrap();
        assert!(p.iter().all(|v| *v >= 0.0));
    }
}
