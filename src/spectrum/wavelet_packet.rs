//! Wavelet packets: a signal parted into equal bands without loss.

use super::{Wavelet, tapered::LENGTHS};
use crate::{
    error::{Error, Result},
    quantity::Hertz,
};
use std::sync::Arc;

/// Levels of a decomposition.
const MOST_LEVELS: u32 = 16;

/// The plan of wavelet-packet decompositions of signals of one length.
///
/// At each level every band is convolved with the low-pass `h` and the high-pass `g` of the wavelet and thinned out by two,
///
/// ```text
/// low[k] = Σ_j h[j] x[2 k + F/2 - j],      high[k] = Σ_j g[j] x[2 k + F/2 - j]
/// ```
///
/// `F` the length of the filter, the signal taken as periodic (`mode="periodization"` of PyWavelets). The transform is
/// orthonormal: the squares of all coefficients add up to those of the samples, to rounding.
///
/// Level `L` has `2^L` bands, here in order of frequency (Gray code, `order="freq"`): band `i` is nominally `i` to `i + 1` times
/// `rate / 2^(L + 1)`. Filters are not sharp: near an edge some of a line shows in the neighbour, and images of it
/// farther away, less with longer filters.
///
/// The mean is not removed: it stands in band 0. NaN or infinity spoils the coefficients whose filters reach it.
///
/// # Cost
/// `F` multiplications a sample and level; nothing is allocated.
///
/// Sources: Coifman & Wickerhauser (1992), <https://doi.org/10.1109/18.119732>; Yen & Lin (2000), for condition monitoring,
/// *IEEE Transactions on Industrial Electronics* 47(3), 650-667.
///
/// ```
/// use prognos::{quantity::Hertz, spectrum::{Wavelet, WaveletPacket}};
/// let plan = WaveletPacket::new(256, Hertz::new(1000.0)?, Wavelet::daubechies(8)?, 3)?;
/// let x: Vec<f64> = (0..256).map(|i| (std::f64::consts::TAU * 0.22 * f64::from(i)).sin()).collect();
/// let energies = plan.energies(&x)?;
/// let largest = (0..8).max_by(|a, b| energies[*a].total_cmp(&energies[*b])).unwrap();
/// assert_eq!(plan.band_hz(largest), Some((187.5, 250.0)));
/// let total: f64 = x.iter().map(|v| v * v).sum();
/// assert!((energies.iter().sum::<f64>() - total).abs() < 1e-12 * total);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WaveletPacket {
    n: usize,
    rate: Hertz,
    wavelet: Wavelet,
    level: u32,
    /// Low-pass and high-pass side by side.
    taps: Arc<[(f64, f64)]>,
}

/// Work space of one thread for a [`WaveletPacket`].
#[derive(Clone, Debug)]
pub struct PacketScratch {
    coefficients: Vec<f64>,
    next: Vec<f64>,
}

impl WaveletPacket {
    /// The plan for signals of `n_samples` at `rate`, down to `2^level` bands.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 2..=2^24, and `level` in 1..=16 such that `n_samples` is a multiple of
    /// `2^level` and what is parted last is no shorter than the filter.
    pub fn new(n_samples: usize, rate: Hertz, wavelet: Wavelet, level: u32) -> Result<Self> {
        if !LENGTHS.contains(&n_samples) {
            return Err(Error::parameter("n_samples", format!("in {LENGTHS:?}"), n_samples));
        }
        let deepest = Self::deepest_level(n_samples, wavelet);
        if !(1..=deepest).contains(&level) {
            let step = 1_usize << level.min(MOST_LEVELS);
            if !n_samples.is_multiple_of(step) && level <= MOST_LEVELS {
                let expected = format!(
                    "a multiple of {step} for level {level}, such as {}",
                    n_samples / step * step
                );
                return Err(Error::parameter("n_samples", expected, n_samples));
            }
            let expected = format!("in 1..={deepest} for {n_samples} samples and {}", wavelet.name());
            return Err(Error::parameter("level", expected, level));
        }
        let low = wavelet.low_pass();
        let high = low
            .iter()
            .rev()
            .enumerate()
            .map(|(k, v)| if k % 2 == 0 { -v } else { *v });
        Ok(Self {
            n: n_samples,
            rate,
            wavelet,
            level,
            taps: low.iter().copied().zip(high).collect(),
        })
    }

    /// The deepest level there is for signals of this length; 0 where there is none.
    pub fn deepest_level(n_samples: usize, wavelet: Wavelet) -> u32 {
        let parts =
            |level: &u32| n_samples.is_multiple_of(1 << level) && n_samples >> (level - 1) >= wavelet.low_pass().len();
        (1..=MOST_LEVELS).take_while(parts).last().unwrap_or(0)
    }

    /// Samples of a signal.
    pub fn n_samples(&self) -> usize {
        self.n
    }

    /// The wavelet.
    pub fn wavelet(&self) -> Wavelet {
        self.wavelet
    }

    /// The level.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Bands, `2^level`.
    pub fn n_bands(&self) -> usize {
        1 << self.level
    }

    /// Coefficients of a band.
    pub fn band_len(&self) -> usize {
        self.n >> self.level
    }

    /// The nominal edges of a band; none beyond the last.
    pub fn band_hz(&self, band: usize) -> Option<(f64, f64)> {
        let width = 0.5 * self.rate.get() / self.n_bands() as f64;
        (band < self.n_bands()).then_some((band as f64 * width, (band as f64 + 1.0) * width))
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> PacketScratch {
        PacketScratch {
            coefficients: vec![0.0; self.n],
            next: vec![0.0; self.n],
        }
    }

    /// Writes the coefficients, `n_samples` of them: band after band by frequency, each
    /// [`band_len`](WaveletPacket::band_len) long.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn coefficients_into(&self, x: &[f64], scratch: &mut PacketScratch, out: &mut [f64]) -> Result<()> {
        if out.len() != self.n {
            return Err(Error::input("coefficients of wavelet packets", self.n, out.len()));
        }
        self.decompose(x, scratch)?;
        out.copy_from_slice(&scratch.coefficients);
        Ok(())
    }

    /// The coefficients, in memory of their own.
    ///
    /// # Errors
    /// As [`coefficients_into`](WaveletPacket::coefficients_into).
    pub fn coefficients(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut scratch = self.new_scratch();
        self.decompose(x, &mut scratch)?;
        Ok(scratch.coefficients)
    }

    /// Writes the energy of each band, the sum of the squares of its coefficients: those of all bands add up to that of the
    /// samples. Over `n_samples` they are mean squares.
    ///
    /// # Errors
    /// `InvalidInput` where a length differs from the plan's.
    pub fn energies_into(&self, x: &[f64], scratch: &mut PacketScratch, out: &mut [f64]) -> Result<()> {
        if out.len() != self.n_bands() {
            return Err(Error::input("bands of wavelet packets", self.n_bands(), out.len()));
        }
        self.decompose(x, scratch)?;
        for (energy, band) in out.iter_mut().zip(scratch.coefficients.chunks_exact(self.band_len())) {
            *energy = band.iter().map(|c| c * c).sum();
        }
        Ok(())
    }

    /// The energy of each band, in memory of its own.
    ///
    /// # Errors
    /// As [`energies_into`](WaveletPacket::energies_into).
    pub fn energies(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_bands()];
        self.energies_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    fn decompose(&self, x: &[f64], scratch: &mut PacketScratch) -> Result<()> {
        for (what, got) in [
            ("samples of wavelet packets", x.len()),
            (
                "samples a packet scratch is for",
                scratch.coefficients.len().min(scratch.next.len()),
            ),
        ] {
            if got != self.n {
                return Err(Error::input(what, self.n, got));
            }
        }
        let PacketScratch { coefficients, next } = scratch;
        coefficients.copy_from_slice(x);
        for level in 0..self.level {
            let len = self.n >> level;
            let blocks = coefficients.chunks_exact(len).zip(next.chunks_exact_mut(len));
            for (i, (block, parts)) in blocks.enumerate() {
                let (first, second) = parts.split_at_mut(len / 2);
                // A high-passed band stands with its spectrum turned round: of it the high-pass is the lower half.
                if i % 2 == 0 {
                    self.part(block, first, second);
                } else {
                    self.part(block, second, first);
                }
            }
            std::mem::swap(coefficients, next);
        }
        Ok(())
    }

    /// One step: `x` is no shorter than the filter.
    fn part(&self, x: &[f64], low: &mut [f64], high: &mut [f64]) {
        let (n, taps) = (x.len(), self.taps.len());
        for (k, (low, high)) in low.iter_mut().zip(high).enumerate() {
            // The last of the samples under the filter, counted one period up so that it is never below zero.
            let last = 2 * k + taps / 2 + n;
            let sum = |(l, h): (f64, f64), (v, (a, b)): (&f64, &(f64, f64))| (l + a * v, h + b * v);
            let end = last - n + 1;
            (*low, *high) = match end.checked_sub(taps).and_then(|start| x.get(start..end)) {
                Some(inside) => inside.iter().rev().zip(&*self.taps).fold((0.0, 0.0), sum),
                None => {
                    let wrapped = (0..taps).filter_map(|j| x.get((last - j) % n));
                    wrapped.zip(&*self.taps).fold((0.0, 0.0), sum)
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    fn wavelets() -> Vec<Wavelet> {
        let mut all: Vec<_> = (1..=10).map(|n| Wavelet::daubechies(n).unwrap()).collect();
        all.push(Wavelet::symlet_8());
        all
    }

    fn plan(n: usize, wavelet: Wavelet, level: u32) -> WaveletPacket {
        WaveletPacket::new(n, Hertz::new(1000.0).unwrap(), wavelet, level).unwrap()
    }

    proptest! {
        #[test]
        fn energy_is_kept_and_the_transform_is_linear(
            x in prop::collection::vec(-1.0..1.0_f64, 96), y in prop::collection::vec(-1.0..1.0_f64, 96), which in 0..11_usize, level in 1..4_u32,
        ) {
            let p = plan(96, wavelets()[which], level);
            let mut scratch = p.new_scratch();
            let energies = p.energies(&x).unwrap();
            let total: f64 = x.iter().map(|v| v * v).sum();
            prop_assert!((energies.iter().sum::<f64>() - total).abs() <= 1e-13 * total);
            let mut of = |x: &[f64]| { let mut out = vec![f64::NAN; 96]; p.coefficients_into(x, &mut scratch, &mut out).unwrap(); out };
            let sum: Vec<f64> = x.iter().zip(&y).map(|(a, b)| a - 3.0 * b).collect();
            let (cx, cy, cs) = (of(&x), of(&y), of(&sum));
            prop_assert!((0..96).all(|i| (cs[i] - cx[i] + 3.0 * cy[i]).abs() < 1e-13));
            // Orthogonal: inner products are kept too.
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            prop_assert!((dot(&cx, &cy) - dot(&x, &y)).abs() < 1e-12);
        }
    }

    #[test]
    fn lines_stand_in_their_bands_by_frequency() {
        for w in wavelets().into_iter().skip(7) {
            let p = plan(1024, w, 4);
            for band in 0..16 {
                let f = (band as f64 + 0.5) / 32.0;
                let x: Vec<f64> = (0..1024)
                    .map(|i| (std::f64::consts::TAU * f * f64::from(i) + 0.3).sin())
                    .collect();
                let e = p.energies(&x).unwrap();
                // The rest leaks over the edges of the levels above, mostly into one neighbour.
                assert!(e[band] > 0.6 * 512.0, "{} {band}: {e:?}", w.name());
                let (lo, hi) = p.band_hz(band).unwrap();
                assert!(lo < 1000.0 * f && 1000.0 * f < hi);
            }
        }
    }

    #[test]
    fn haar_is_sums_and_differences_and_a_constant_is_in_the_first_band() {
        let p = plan(4, Wavelet::daubechies(1).unwrap(), 2);
        let mut out = [0.0; 4];
        p.coefficients_into(&[1.0, 2.0, 4.0, 8.0], &mut p.new_scratch(), &mut out)
            .unwrap();
        assert_eq!(p.coefficients(&[1.0, 2.0, 4.0, 8.0]).unwrap(), out);
        // By frequency: ++++, ++--, +--+, +-+- over 2, their signs those of the filters.
        let expected = [7.5, -4.5, 1.5, -2.5];
        assert!(
            out.iter()
                .zip(expected)
                .all(|(a, b)| (a.abs() - f64::abs(b)).abs() < 1e-14),
            "{out:?}"
        );
        for w in wavelets() {
            let e = plan(64, w, 2).energies(&[3.0; 64]).unwrap();
            assert!(
                (e[0] - 576.0).abs() < 1e-10 && e[1..].iter().all(|v| *v < 1e-20),
                "{} {e:?}",
                w.name()
            );
        }
    }

    #[test]
    fn bad_plans_are_refused_and_bad_samples_show() {
        let (rate, db4) = (Hertz::new(1.0).unwrap(), Wavelet::daubechies(4).unwrap());
        for (n, level) in [
            (0, 1),
            (1, 1),
            (64, 0),
            (64, 5),
            (64, u32::MAX),
            (63, 1),
            (6, 1),
            (36, 3),
            (usize::MAX, 1),
        ] {
            let e = WaveletPacket::new(n, rate, db4, level).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{n} {level}");
        }
        assert_eq!(
            (
                WaveletPacket::deepest_level(64, db4),
                WaveletPacket::deepest_level(7, db4)
            ),
            (4, 0)
        );
        assert_eq!(
            WaveletPacket::deepest_level(1 << 24, Wavelet::daubechies(1).unwrap()),
            16
        );
        let p = plan(64, db4, 3);
        assert!(p.energies(&[0.0; 63]).is_err());
        assert!(
            p.energies_into(&[0.0; 64], &mut p.new_scratch(), &mut [0.0; 7])
                .is_err()
        );
        assert!(
            p.coefficients_into(&[0.0; 64], &mut p.new_scratch(), &mut [0.0; 63])
                .is_err()
        );
        assert!(
            p.energies_into(&[0.0; 64], &mut plan(32, db4, 2).new_scratch(), &mut [0.0; 8])
                .is_err()
        );
        for bad in [f64::NAN, f64::INFINITY] {
            let mut x = [1.0; 64];
            x[10] = bad;
            assert!(p.energies(&x).unwrap().iter().all(|v| !v.is_finite()));
        }
        assert_eq!(p.energies(&[0.0; 64]).unwrap(), [0.0; 8]);
        assert_eq!(p.band_hz(7), Some((437.5, 500.0)));
        assert!(p.band_hz(8).is_none() && p.band_hz(usize::MAX).is_none());
    }
}
