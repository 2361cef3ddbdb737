//! Cross-spectra and coherence of two channels.

use super::{
    Average, Complex, Welch, WelchScratch,
    welch::{median_bias, medians},
};
use crate::error::Result;

impl Welch {
    /// Writes the averaged cross-spectrum of `x` and `y`: `average_s conj(X_s[k]) Y_s[k]`, scaled as
    /// [`psd_into`](Welch::psd_into) scales powers; `scipy.signal.csd`. Its phase is that by which `y` leads `x`. A median is
    /// taken of real and imaginary parts apart.
    ///
    /// # Errors
    /// As [`psd_into`](Welch::psd_into), and `InvalidInput` where the signals differ in length.
    ///
    /// ```
    /// use prognos::{quantity::Hertz, spectrum::Welch};
    /// let welch = Welch::params(Hertz::new(100.0)?).segment(100).build()?;
    /// let wave = |lead: f64| (0..500).map(|i| (0.1 * std::f64::consts::TAU * f64::from(i) + lead).cos()).collect::<Vec<_>>();
    /// let cross = welch.cross_spectrum(&wave(0.0), &wave(0.5))?;
    /// assert!((cross[10].arg() - 0.5).abs() < 1e-9);
    /// # Ok::<(), prognos::Error>(())
    /// ```
    pub fn cross_spectrum_into(
        &self,
        x: &[f64],
        y: &[f64],
        scratch: &mut WelchScratch,
        out: &mut [Complex<f64>],
    ) -> Result<()> {
        let n_segments = self.check(&[x, y], out.len(), scratch)?;
        let factor = match self.settings.average {
            Average::Mean => {
                out.fill(Complex { re: 0.0, im: 0.0 });
                for (x, y) in self.segments(x).zip(self.segments(y)) {
                    self.pair(x, y, scratch)?;
                    let pairs = scratch.other.iter().zip(&scratch.transform.transform);
                    out.iter_mut().zip(pairs).for_each(|(o, (x, y))| *o += x.conj() * y);
                }
                self.power_factor() / n_segments as f64
            }
            Average::Median => {
                let (mut re, mut im) = (Vec::new(), Vec::new());
                for (x, y) in self.segments(x).zip(self.segments(y)) {
                    self.pair(x, y, scratch)?;
                    for (x, y) in scratch.other.iter().zip(&scratch.transform.transform) {
                        let product = x.conj() * y;
                        re.push(product.re);
                        im.push(product.im);
                    }
                }
                let mut column = Vec::new();
                let [mut a, mut b] = [vec![0.0; out.len()], vec![0.0; out.len()]];
                medians(&re, &mut column, &mut a);
                medians(&im, &mut column, &mut b);
                for (o, (re, im)) in out.iter_mut().zip(a.into_iter().zip(b)) {
                    *o = Complex { re, im };
                }
                self.power_factor() / median_bias(n_segments)
            }
        };
        self.tapered.scale(out, factor);
        Ok(())
    }

    /// The averaged cross-spectrum, in memory of its own.
    ///
    /// # Errors
    /// As [`cross_spectrum_into`](Welch::cross_spectrum_into).
    pub fn cross_spectrum(&self, x: &[f64], y: &[f64]) -> Result<Vec<Complex<f64>>> {
        let mut out = vec![Complex { re: 0.0, im: 0.0 }; self.n_bins()];
        self.cross_spectrum_into(x, y, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// Writes the magnitude-squared coherence `|P_xy|² / (P_xx P_yy)`, in [0, 1], with means over segments;
    /// `scipy.signal.coherence`. NaN where either signal has no power; 1 everywhere where there is but one segment.
    ///
    /// # Errors
    /// As [`cross_spectrum_into`](Welch::cross_spectrum_into).
    pub fn coherence_into(&self, x: &[f64], y: &[f64], scratch: &mut WelchScratch, out: &mut [f64]) -> Result<()> {
        self.check(&[x, y], out.len(), scratch)?;
        // Powers of x and y, and the two parts of their product.
        let (mut own, mut parts) = (std::mem::take(&mut scratch.sums), std::mem::take(&mut scratch.parts));
        own.fill(0.0);
        parts.fill(Complex { re: 0.0, im: 0.0 });
        let mut run = || {
            for (x, y) in self.segments(x).zip(self.segments(y)) {
                self.pair(x, y, scratch)?;
                let pairs = scratch.other.iter().zip(&scratch.transform.transform);
                for (((x, y), own), part) in pairs.zip(own.chunks_exact_mut(2)).zip(&mut parts) {
                    if let [xx, yy] = own {
                        *xx += x.norm_sqr();
                        *yy += y.norm_sqr();
                    }
                    *part += x.conj() * y;
                }
            }
            Ok(())
        };
        let done = run();
        if done.is_ok() {
            for ((o, own), part) in out.iter_mut().zip(own.chunks_exact(2)).zip(&parts) {
                // Roots first: the product of two powers may leave the range.
                let scale = own.iter().product::<f64>().sqrt();
                let ratio = part.norm() / scale;
                *o = if scale > 0.0 {
                    (ratio * ratio).min(1.0)
                } else {
                    f64::NAN
                };
            }
        }
        (scratch.sums, scratch.parts) = (own, parts);
        done
    }

    /// The coherence, in memory of its own.
    ///
    /// # Errors
    /// As [`cross_spectrum_into`](Welch::cross_spectrum_into).
    pub fn coherence(&self, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; self.n_bins()];
        self.coherence_into(x, y, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// Transforms a segment of each: x into `other`, y into `transform`.
    fn pair(&self, x: &[f64], y: &[f64], scratch: &mut WelchScratch) -> Result<()> {
        self.transform(x, &mut scratch.transform)?;
        std::mem::swap(&mut scratch.other, &mut scratch.transform.transform);
        self.transform(y, &mut scratch.transform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Hertz;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_signal_is_coherent_with_itself_and_its_cross_spectrum_is_its_power(
            x in prop::collection::vec(-1.0..1.0_f64, 40..200), gain in 0.1..10.0_f64,
        ) {
            let welch = Welch::params(Hertz::new(10.0).unwrap()).segment(16).build().unwrap();
            let y: Vec<f64> = x.iter().map(|v| gain * v).collect();
            let (psd, cross) = (welch.psd(&x).unwrap(), welch.cross_spectrum(&x, &y).unwrap());
            for (c, p) in cross.iter().zip(&psd) {
                prop_assert!((c.re - gain * p).abs() < 1e-12 && c.im.abs() < 1e-12);
            }
            for c in welch.coherence(&x, &y).unwrap() {
                prop_assert!((c - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn silent_and_unequal_signals() {
        let welch = Welch::params(Hertz::new(10.0).unwrap()).segment(16).build().unwrap();
        let x: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 11)).collect();
        assert!(welch.coherence(&x, &[1.0; 100]).unwrap().iter().all(|c| c.is_nan()));
        assert!(welch.coherence(&x, &x[1..]).is_err());
        assert!(welch.cross_spectrum(&x[..15], &x[..15]).is_err());
    }
}
