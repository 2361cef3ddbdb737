//! The fast kurtogram: which band of a signal is most impulsive.

use crate::{
    error::{Error, Result},
    quantity::Hertz,
    signal::mean_of,
};
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use rustfft::{Fft, FftPlanner};
use std::{fmt, sync::Arc};

/// Signals that have a kurtogram.
const SAMPLES: std::ops::RangeInclusive<usize> = 64..=1 << 24;
/// A band keeps at least this many samples of its own, below which a kurtosis says nothing.
const LEAST_SAMPLES: usize = 16;
/// How far a band's edge reaches over into its neighbour, in bandwidths.
const OVERLAP: f64 = 0.125;

/// One band of a [`Kurtogram`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KurtogramBand {
    /// Depth in the tree: bandwidths are `rate / 2^(level + 1)`; fractions of `log2 3 - 1 = 0.585` for the thirds.
    pub level: f64,
    /// Lower edge.
    pub lo_hz: f64,
    /// Upper edge.
    pub hi_hz: f64,
    /// Spectral kurtosis: 0 for stationary Gaussian noise, high for impacts. NaN for a band without power.
    pub kurtosis: f64,
}

impl KurtogramBand {
    /// The middle of the band.
    pub fn centre_hz(&self) -> f64 {
        0.5 * (self.lo_hz + self.hi_hz)
    }

    /// Width of the band.
    pub fn bandwidth_hz(&self) -> f64 {
        self.hi_hz - self.lo_hz
    }
}

/// The plan of fast kurtograms over a tree of halves and thirds.
///
/// The spectrum from zero to Nyquist is parted into 1, 2, 3, 4, 6, 8, 12, .. equal bands. Each band is demodulated to its
/// complex envelope `c` at the band's own rate, and
///
/// ```text
/// kurtosis = mean |c|⁴ / (mean |c|²)² - 2
/// ```
///
/// over time. The band of highest kurtosis is the one in which impacts ring loudest above the rest: demodulate there with
/// [`EnvelopeSpectrum`](super::EnvelopeSpectrum).
///
/// Bands are cut out of one transform of the whole signal by edges that fall as a quarter of a cosine over an eighth of the
/// bandwidth on either side, so that neighbours' powers add up to one, instead of by a bank of short filters: the same tree,
/// with sharper bands. The mean is removed first. Estimates from few samples scatter: the standard deviation of the
/// kurtosis of noise is about `2 / √n` with `n` samples in the band; levels stop where a band has fewer than 16.
///
/// NaN or infinity among the samples, or samples that are all equal, make every kurtosis NaN.
///
/// # Cost
/// One real transform of the signal and a complex one a band, `O(N log N)` a level; nothing is allocated.
///
/// Source: Antoni (2007), <https://doi.org/10.1016/j.ymssp.2005.12.002>.
///
/// ```
/// use prognos::{quantity::Hertz, spectrum::Kurtogram};
/// let plan = Kurtogram::new(8000, Hertz::new(8000.0)?, 5)?;
/// // A noise, and impacts that ring at 2,700 Hz.
/// let x: Vec<f64> = (0..8000_i32).map(|i| {
///     let (noise, t) = ((f64::from(i) * 12.9898).sin() * 43_758.545 % 1.0, f64::from(i % 400));
///     noise + 5.0 * (-0.05 * t).exp() * (std::f64::consts::TAU * 2700.0 / 8000.0 * t).sin()
/// }).collect();
/// let bands = plan.bands(&x)?;
/// let best = plan.best(&bands).expect("not silent");
/// assert!(best.lo_hz < 2700.0 && 2700.0 < best.hi_hz && best.kurtosis > 5.0);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct Kurtogram {
    n: usize,
    rate: Hertz,
    forward: Arc<dyn RealToComplex<f64>>,
    levels: Arc<[Level]>,
    n_bands: usize,
}

#[derive(Clone)]
struct Level {
    n_bands: usize,
    /// Bins a band is wide.
    width: f64,
    /// Bins the edges reach over.
    reach: f64,
    inverse: Arc<dyn Fft<f64>>,
}

/// Work space of one thread for a [`Kurtogram`].
#[derive(Clone)]
pub struct KurtogramScratch {
    samples: Vec<f64>,
    half: Vec<Complex<f64>>,
    band: Vec<Complex<f64>>,
    work: Vec<Complex<f64>>,
}

impl Kurtogram {
    /// The plan for signals of `n_samples`, down to bands of `rate / 2^(max_level + 1)`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 64..=2^24, and bands of the last level keep 16 samples.
    pub fn new(n_samples: usize, rate: Hertz, max_level: u32) -> Result<Self> {
        if !SAMPLES.contains(&n_samples) {
            return Err(Error::parameter("n_samples", format!("in {SAMPLES:?}"), n_samples));
        }
        let deepest = Self::deepest_level(n_samples);
        if max_level > deepest {
            let expected = format!("at most {deepest} for {n_samples} samples");
            return Err(Error::parameter("max_level", expected, max_level));
        }
        let mut planner = FftPlanner::new();
        let mut levels = Vec::new();
        for level in 0..=max_level {
            let mut counts = vec![1usize << level];
            if level >= 1 && level < max_level {
                counts.push(3 << (level - 1)); // thirds of the level above
            }
            for n_bands in counts {
                let width = 0.5 * n_samples as f64 / n_bands as f64;
                let reach = if n_bands == 1 { 0.0 } else { OVERLAP * width };
                let most = (width + 2.0 * reach).ceil() as usize + 2;
                levels.push(Level {
                    n_bands,
                    width,
                    reach,
                    inverse: planner.plan_fft_inverse(smooth_length(most)),
                });
            }
        }
        Ok(Self {
            n: n_samples,
            rate,
            forward: RealFftPlanner::new().plan_fft_forward(n_samples),
            n_bands: levels.iter().map(|l| l.n_bands).sum(),
            levels: levels.into(),
        })
    }

    /// The deepest level for signals of this length.
    pub fn deepest_level(n_samples: usize) -> u32 {
        (n_samples / (2 * LEAST_SAMPLES)).checked_ilog2().unwrap_or(0)
    }

    /// Samples of a signal.
    pub fn n_samples(&self) -> usize {
        self.n
    }

    /// Bands of all levels.
    pub fn n_bands(&self) -> usize {
        self.n_bands
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> KurtogramScratch {
        let zero = Complex { re: 0.0, im: 0.0 };
        let longest = |of: fn(&Level) -> usize| self.levels.iter().map(of).max().unwrap_or(0);
        let work = longest(|l| l.inverse.get_inplace_scratch_len());
        KurtogramScratch {
            samples: vec![0.0; self.n],
            half: vec![zero; self.n / 2 + 1],
            band: vec![zero; longest(|l| l.inverse.len())],
            work: vec![zero; work.max(self.forward.get_scratch_len())],
        }
    }

    /// Writes all bands, level after level from the whole spectrum down, each from low to high frequencies.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn bands_into(&self, x: &[f64], scratch: &mut KurtogramScratch, out: &mut [KurtogramBand]) -> Result<()> {
        for (what, expected, got) in [
            ("samples of a kurtogram", self.n, x.len()),
            ("bands of a kurtogram", self.n_bands, out.len()),
            ("samples a kurtogram's scratch is for", self.n, scratch.samples.len()),
        ] {
            if got != expected {
                return Err(Error::input(what, expected, got));
            }
        }
        let KurtogramScratch {
            samples,
            half,
            band,
            work,
        } = scratch;
        let mean = mean_of(x);
        samples.iter_mut().zip(x).for_each(|(s, v)| *s = v - mean);
        let forward_work = work.get_mut(..self.forward.get_scratch_len()).unwrap_or_default();
        let done = self.forward.process_with_scratch(samples, half, forward_work);
        done.map_err(|e| Error::input("transform", "buffers of its length", e))?;
        let mut out = out.iter_mut();
        for level in &*self.levels {
            for (i, o) in out.by_ref().take(level.n_bands).enumerate() {
                let fraction = |i: usize| 0.5 * self.rate.get() * i as f64 / level.n_bands as f64;
                *o = KurtogramBand {
                    level: libm::log2(level.n_bands as f64),
                    lo_hz: fraction(i),
                    hi_hz: fraction(i + 1),
                    kurtosis: level.kurtosis(i, half, band, work),
                };
            }
        }
        Ok(())
    }

    /// All bands, in memory of their own.
    ///
    /// # Errors
    /// As [`bands_into`](Kurtogram::bands_into).
    pub fn bands(&self, x: &[f64]) -> Result<Vec<KurtogramBand>> {
        let empty = KurtogramBand {
            level: 0.0,
            lo_hz: 0.0,
            hi_hz: 0.0,
            kurtosis: f64::NAN,
        };
        let mut out = vec![empty; self.n_bands];
        self.bands_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// The band of highest kurtosis among `bands`, the wider of equals; none where all are NaN.
    pub fn best(&self, bands: &[KurtogramBand]) -> Option<KurtogramBand> {
        let known = bands.iter().filter(|b| !b.kurtosis.is_nan());
        known
            .copied()
            .reduce(|best, b| if b.kurtosis > best.kurtosis { b } else { best })
    }
}

impl Level {
    fn kurtosis(
        &self,
        index: usize,
        half: &[Complex<f64>],
        band: &mut [Complex<f64>],
        work: &mut [Complex<f64>],
    ) -> f64 {
        let (lo, hi) = (index as f64 * self.width, (index + 1) as f64 * self.width);
        // At zero and Nyquist there is no neighbour to reach into.
        let (is_first, is_last) = (index == 0, index + 1 == self.n_bands);
        let start = if is_first { 0.0 } else { lo - self.reach };
        let end = if is_last { hi } else { hi + self.reach };
        let (first, last) = (start.ceil() as usize, end.floor() as usize);
        let Some(bins) = half.get(first..=last.min(half.len() - 1)) else {
            return f64::NAN;
        };
        let Some(band) = band.get_mut(..self.inverse.len()) else {
            return f64::NAN;
        };
        // A quarter of a cosine across each edge: sin² + cos² = 1 with the neighbour's.
        let across = |distance: f64| {
            let t = (0.5 + 0.5 * distance / self.reach).clamp(0.0, 1.0);
            libm::sin(0.5 * std::f64::consts::PI * t)
        };
        band.fill(Complex { re: 0.0, im: 0.0 });
        for (k, (b, v)) in band.iter_mut().zip(bins).enumerate() {
            let f = (first + k) as f64;
            let mut weight = 1.0;
            if !is_first && f < lo + self.reach {
                weight *= across(f - lo);
            }
            if !is_last && f > hi - self.reach {
                weight *= across(hi - f);
            }
            *b = v * weight;
        }
        let work = work
            .get_mut(..self.inverse.get_inplace_scratch_len())
            .unwrap_or_default();
        self.inverse.process_with_scratch(band, work);
        let (mut second, mut fourth) = (0.0, 0.0);
        for c in &*band {
            let power = c.norm_sqr();
            second += power;
            fourth += power * power;
        }
        // Power that is rounding of a stronger band tells nothing.
        let kurtosis = band.len() as f64 * fourth / (second * second) - 2.0;
        if kurtosis.is_finite() { kurtosis } else { f64::NAN }
    }
}

/// The least length of at least `n` whose only prime factors are 2, 3 and 5: transforms of it are fast.
fn smooth_length(n: usize) -> usize {
    let mut best = n.next_power_of_two();
    let mut fives = 1;
    while fives < best {
        let mut threes = fives;
        while threes < best {
            let mut length = threes;
            while length < n {
                length *= 2;
            }
            best = best.min(length);
            threes *= 3;
        }
        fives *= 5;
    }
    best
}

impl fmt::Debug for Kurtogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kurtogram")
            .field("n_samples", &self.n)
            .field("rate", &self.rate)
            .field("n_bands", &self.n_bands)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KurtogramScratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KurtogramScratch")
            .field("n_samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256Plus;
    use std::f64::consts::TAU;

    fn noise(n: usize) -> Vec<f64> {
        let mut rng = Xoshiro256Plus::seed_from_u64(3);
        (0..n)
            .map(|_| (0..12).map(|_| rng.r#gen::<f64>()).sum::<f64>() - 6.0)
            .collect()
    }

    #[test]
    fn lengths_are_smooth_and_the_least() {
        for n in 1..2000 {
            let naive = (n..).find(|&l| {
                let mut l = l;
                for p in [2, 3, 5] {
                    while l % p == 0 {
                        l /= p;
                    }
                }
                l == 1
            });
            assert_eq!(Some(smooth_length(n)), naive);
        }
    }

    #[test]
    fn the_tree_halves_and_thirds() {
        let plan = Kurtogram::new(1024, Hertz::new(1000.0).unwrap(), 3).unwrap();
        let bands = plan.bands(&noise(1024)).unwrap();
        let widths: Vec<f64> = bands.iter().map(|b| 500.0 / b.bandwidth_hz()).collect();
        let expected: Vec<f64> = [1, 2, 3, 4, 6, 8]
            .iter()
            .flat_map(|&n| vec![f64::from(n); n as usize])
            .collect();
        assert!(
            widths.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9),
            "{widths:?}"
        );
        assert_eq!(bands.len(), plan.n_bands());
        assert_eq!((bands[6].lo_hz, bands[9].hi_hz), (0.0, 500.0));
        assert!((bands[3].level - 1.584_962_5).abs() < 1e-6);
    }

    #[test]
    fn noise_is_flat_within_its_scatter_and_a_sine_is_minus_one() {
        let n = 51_200;
        let plan = Kurtogram::new(n, Hertz::new(1.0).unwrap(), 6).unwrap();
        let mut x = noise(n);
        for b in plan.bands(&x).unwrap() {
            let samples = b.bandwidth_hz() * n as f64;
            assert!(b.kurtosis.abs() < 5.0 * 2.0 / samples.sqrt(), "{b:?}");
        }
        for (i, v) in x.iter_mut().enumerate() {
            *v += 1000.0 * (TAU * 0.2 * i as f64).sin();
        }
        for b in plan.bands(&x).unwrap() {
            if b.lo_hz < 0.19 && 0.21 < b.hi_hz {
                assert!((b.kurtosis + 1.0).abs() < 0.01, "{b:?}");
            }
        }
    }

    #[test]
    fn impacts_are_found_in_their_band() {
        let n = 25_600;
        let rate = Hertz::new(25_600.0).unwrap();
        let plan = Kurtogram::new(n, rate, 7).unwrap();
        for centre in [2100.0, 5000.0, 9700.0, 12_000.0] {
            let mut x = noise(n);
            for start in (37..n).step_by(256) {
                for (i, v) in x[start..].iter_mut().take(120).enumerate() {
                    let t = i as f64 / 25_600.0;
                    *v += 8.0 * (-2000.0 * t).exp() * (TAU * centre * t).sin();
                }
            }
            let best = plan.best(&plan.bands(&x).unwrap()).unwrap();
            assert!(
                best.lo_hz <= centre && centre <= best.hi_hz && best.kurtosis > 1.0,
                "{centre}: {best:?}"
            );
        }
    }

    #[test]
    fn bad_plans_and_signals() {
        let rate = Hertz::new(1.0).unwrap();
        assert!(Kurtogram::new(63, rate, 0).is_err() && Kurtogram::new(usize::MAX, rate, 0).is_err());
        assert!(Kurtogram::new(1024, rate, 6).is_err() && Kurtogram::new(1024, rate, 5).is_ok());
        let plan = Kurtogram::new(1000, rate, 4).unwrap();
        let mut x = noise(1000);
        assert!(plan.bands(&x[1..]).is_err());
        x[9] = f64::NAN;
        for bad in [x, vec![3.0; 1000], vec![f64::INFINITY; 1000], vec![f64::MAX; 1000]] {
            let bands = plan.bands(&bad).unwrap();
            assert!(bands.iter().all(|b| b.kurtosis.is_nan()));
            assert_eq!(plan.best(&bands), None);
        }
    }
}
