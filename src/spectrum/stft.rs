//! Spectra of each segment for itself: spectrograms, and how much they vary.

use super::{Welch, WelchScratch};
use crate::error::{Error, Result};

impl Welch {
    /// Writes the power spectrum of each segment: row-major, shape `(n_segments, n_bins)`, scaled as
    /// [`psd_into`](Welch::psd_into); `scipy.signal.spectrogram`. The mean over rows is the averaged spectrum.
    ///
    /// # Errors
    /// As [`psd_into`](Welch::psd_into), `out` having `n_segments(x.len()) * n_bins()` places.
    ///
    /// ```
    /// use prognos::{quantity::Hertz, spectrum::Welch};
    /// let stft = Welch::params(Hertz::new(1000.0)?).segment(100).build()?;
    /// // 100 Hz, then 200 Hz.
    /// let x: Vec<f64> = (0..1000).map(|i| f64::from(i)).map(|t| (0.6283 * t * if t < 500.0 { 1.0 } else { 2.0 }).sin()).collect();
    /// let powers = stft.spectrogram(&x)?;
    /// let strongest = |row: &[f64]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
    /// let bins: Vec<usize> = powers.chunks(stft.n_bins()).map(strongest).collect();
    /// assert_eq!((bins[0], bins[bins.len() - 1], stft.time_s(1)), (10, 20, 0.1));
    /// # Ok::<(), prognos::Error>(())
    /// ```
    pub fn spectrogram_into(&self, x: &[f64], scratch: &mut WelchScratch, out: &mut [f64]) -> Result<()> {
        let n_segments = self.check(&[x], self.n_bins(), scratch)?;
        let expected = n_segments.checked_mul(self.n_bins());
        if expected != Some(out.len()) {
            let shape = format!("{n_segments} segments x {} bins", self.n_bins());
            return Err(Error::input("spectrogram", shape, format!("{} places", out.len())));
        }
        for (segment, row) in self.segments(x).zip(out.chunks_exact_mut(self.n_bins())) {
            self.transform(segment, &mut scratch.transform)?;
            for (o, v) in row.iter_mut().zip(&scratch.transform.transform) {
                *o = v.norm_sqr();
            }
            self.tapered.scale(row, self.power_factor());
        }
        Ok(())
    }

    /// The power spectrum of each segment, in memory of its own.
    ///
    /// # Errors
    /// As [`psd_into`](Welch::psd_into).
    pub fn spectrogram(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_segments(x.len()).saturating_mul(self.n_bins())];
        self.spectrogram_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// The time at the centre of segment `index`, in seconds after the first sample.
    pub fn time_s(&self, index: usize) -> f64 {
        (index as f64 * self.hop() as f64 + 0.5 * self.n_samples() as f64) / self.rate().get()
    }

    /// Writes the spectral kurtosis `average |X_s|⁴ / (average |X_s|²)² - 2` of each bin: 0 for stationary Gaussian noise,
    /// -1 for a steady sine, high where power comes in bursts, as from a spalled bearing. NaN where a bin has no power.
    ///
    /// Segments must be shorter than the time between bursts and longer than one. At zero and the Nyquist frequency the
    /// transform is real, and noise has about 1 there.
    ///
    /// # Errors
    /// As [`psd_into`](Welch::psd_into).
    ///
    /// Source: Antoni (2006), <https://doi.org/10.1016/j.ymssp.2004.09.001>.
    pub fn spectral_kurtosis_into(&self, x: &[f64], scratch: &mut WelchScratch, out: &mut [f64]) -> Result<()> {
        let n = self.check(&[x], out.len(), scratch)? as f64;
        // Squares and fourth powers, side by side.
        scratch.sums.fill(0.0);
        for segment in self.segments(x) {
            self.transform(segment, &mut scratch.transform)?;
            for (sums, v) in scratch.sums.chunks_exact_mut(2).zip(&scratch.transform.transform) {
                if let [second, fourth] = sums {
                    let power = v.norm_sqr();
                    *second += power;
                    *fourth += power * power;
                }
            }
        }
        for (o, sums) in out.iter_mut().zip(scratch.sums.chunks_exact(2)) {
            *o = match sums {
                [second, fourth] => fourth / (second * second) * n - 2.0,
                _ => f64::NAN,
            };
            if !o.is_finite() {
                *o = f64::NAN;
            }
        }
        Ok(())
    }

    /// The spectral kurtosis of each bin, in memory of its own.
    ///
    /// # Errors
    /// As [`psd_into`](Welch::psd_into).
    pub fn spectral_kurtosis(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_bins()];
        self.spectral_kurtosis_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use crate::{quantity::Hertz, spectrum::Welch};
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256Plus;

    fn noise(n: usize, seed: u64) -> Vec<f64> {
        let mut rng = Xoshiro256Plus::seed_from_u64(seed);
        // Irwin-Hall: near enough to a Gaussian for fourth moments of transforms.
        (0..n)
            .map(|_| (0..12).map(|_| rng.r#gen::<f64>()).sum::<f64>() - 6.0)
            .collect()
    }

    #[test]
    fn rows_average_to_the_averaged_spectrum() {
        let x = noise(1000, 1);
        let stft = Welch::params(Hertz::new(50.0).unwrap())
            .segment(64)
            .overlap(10)
            .build()
            .unwrap();
        let rows = stft.spectrogram(&x).unwrap();
        let psd = stft.psd(&x).unwrap();
        let n = stft.n_segments(1000);
        assert_eq!(rows.len(), n * psd.len());
        for (k, p) in psd.iter().enumerate() {
            let mean = rows.iter().skip(k).step_by(psd.len()).sum::<f64>() / n as f64;
            assert!((mean - p).abs() < 1e-12 * p);
        }
        assert!(
            stft.spectrogram_into(&x, &mut stft.new_scratch(), &mut [0.0; 7])
                .is_err()
        );
        assert!(stft.spectrogram(&x[..63]).is_err());
    }

    #[test]
    fn kurtosis_is_zero_for_noise_minus_one_for_a_sine_and_high_for_bursts() {
        let n = 200_000;
        let mut x = noise(n, 2);
        let plan = Welch::params(Hertz::new(1.0).unwrap())
            .segment(64)
            .overlap(0)
            .build()
            .unwrap();
        let kurtosis = plan.spectral_kurtosis(&x).unwrap();
        // 3,125 independent segments: the standard error of a fourth moment over a squared second is 2 / sqrt(n).
        let error = 5.0 * 2.0 / 3125.0_f64.sqrt();
        assert!(kurtosis[2..31].iter().all(|k| k.abs() < error), "{kurtosis:?}");
        for (i, v) in x.iter_mut().enumerate() {
            *v += 100.0 * (std::f64::consts::TAU * i as f64 / 8.0).sin();
            if i % 1000 < 10 {
                *v += 30.0 * (std::f64::consts::TAU * i as f64 / 3.0).sin();
            }
        }
        let kurtosis = plan.spectral_kurtosis(&x).unwrap();
        assert!(
            (kurtosis[8] + 1.0).abs() < 0.01 && kurtosis[21] > 20.0 && kurtosis[28] < 5.0,
            "{kurtosis:?}"
        );
        assert!(
            plan.spectral_kurtosis(&vec![1.0; n])
                .unwrap()
                .iter()
                .all(|k| k.is_nan())
        );
    }
}
