//! Measures of bands and of sidebands on a spectrum.

use crate::error::{Error, Result};
use std::ops::Range;

/// Sidebands on a side.
const MOST_SIDEBANDS: u32 = 1000;
/// An edge this near a bin's centre lies on it, counted in bins: edges such as 0.1 of the rate have no exact number.
const ON_A_BIN: f64 = 1e-9;

/// A one-sided spectrum to be asked about bands: amplitudes, mean squares or densities, bin `k` at `k · spacing`.
///
/// Frequencies may as well be orders, with the spacing in orders.
///
/// A band holds the bins with `lo <= f < hi`; one that ends at the last bin or beyond it by less than a bin holds that too. NaN
/// in a band makes what is asked of it NaN.
///
/// ```
/// use prognos::{features::band::SpectrumLines, quantity::Hertz, spectrum::{AmplitudeSpectrum, Taper}};
/// let plan = AmplitudeSpectrum::new(1000, Hertz::new(1000.0)?, Taper::Hann)?;
/// // A mesh at 200 Hz, modulated by a third at the rate of a shaft, 10 Hz.
/// let turn = |f: f64, i: i32| (std::f64::consts::TAU * f * f64::from(i) / 1000.0).cos();
/// let x: Vec<f64> = (0..1000).map(|i| 3.0 * (1.0 + turn(10.0, i) / 3.0) * turn(200.0, i)).collect();
/// let amplitude = plan.amplitude(&x)?;
/// let lines = SpectrumLines::new(&amplitude, plan.frequency_hz(1))?;
/// assert_eq!(lines.peak((100.0, 300.0))?.frequency_hz, 200.0);
/// let sidebands = lines.sidebands(200.0, 10.0, 3, 0.0, 3.0)?;
/// assert_eq!(sidebands.n_standing, 2);
/// assert!((sidebands.carrier - 3.0).abs() < 1e-9 && (sidebands.largest - 0.5).abs() < 1e-9);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectrumLines<'a> {
    values: &'a [f64],
    spacing_hz: f64,
}

/// The highest bin of a band.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Line {
    /// Where its centre lies.
    pub frequency_hz: f64,
    /// Its value, in the spectrum's unit.
    pub value: f64,
}

/// The sidebands of a carrier.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sidebands {
    /// Value of the carrier.
    pub carrier: f64,
    /// Sidebands within the spectrum, of both sides.
    pub n_within: usize,
    /// Those of them that stand out of their surroundings.
    pub n_standing: usize,
    /// Mean value of those within the spectrum, standing or not; NaN without one.
    pub mean: f64,
    /// The largest; NaN without one.
    pub largest: f64,
}

impl Sidebands {
    /// The mean over the carrier; NaN where that is 0.
    pub fn relative_level(&self) -> f64 {
        if self.carrier > 0.0 {
            self.mean / self.carrier
        } else {
            f64::NAN
        }
    }
}

impl<'a> SpectrumLines<'a> {
    /// The values of a spectrum from zero on, and the spacing of its bins.
    ///
    /// # Errors
    /// `InvalidInput` without a bin, `InvalidParameter` unless the spacing is finite and above 0.
    pub fn new(values: &'a [f64], spacing_hz: f64) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::input("bins of a spectrum", "at least one", 0));
        }
        if !(spacing_hz.is_finite() && spacing_hz > 0.0) {
            return Err(Error::parameter("spacing_hz", "finite and above 0", spacing_hz));
        }
        Ok(Self { values, spacing_hz })
    }

    /// The frequency of the last bin.
    pub fn highest_hz(&self) -> f64 {
        (self.values.len() - 1) as f64 * self.spacing_hz
    }

    /// The bins of a band.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 <= lo < hi`, the band ends less than a bin beyond the spectrum, and it holds a bin.
    pub fn bins(&self, (lo_hz, hi_hz): (f64, f64)) -> Result<Range<usize>> {
        let (lo, hi) = (lo_hz / self.spacing_hz, hi_hz / self.spacing_hz);
        let n = self.values.len();
        let ordered = lo_hz >= 0.0 && hi_hz > lo_hz && hi < n as f64;
        let start = (lo - ON_A_BIN).ceil().max(0.0);
        let end = if hi >= n as f64 - 1.0 - ON_A_BIN {
            n as f64
        } else {
            (hi - ON_A_BIN).ceil()
        };
        if !ordered || end <= start {
            return Err(Error::parameter(
                "band",
                format!("0 <= lo < hi, at most {} Hz, with a bin in it", self.highest_hz()),
                format!("{lo_hz}..{hi_hz} Hz"),
            ));
        }
        Ok(start as usize..end as usize)
    }

    /// The highest bin of a band, the first of equals.
    ///
    /// # Errors
    /// As [`bins`](SpectrumLines::bins).
    pub fn peak(&self, band: (f64, f64)) -> Result<Line> {
        let bins = self.bins(band)?;
        let (mut at, mut value) = (bins.start, f64::NEG_INFINITY);
        for (k, &v) in self.values.iter().enumerate().take(bins.end).skip(bins.start) {
            if v.is_nan() {
                return Ok(Line {
                    frequency_hz: f64::NAN,
                    value: f64::NAN,
                });
            }
            if v > value {
                (at, value) = (k, v);
            }
        }
        Ok(Line {
            frequency_hz: at as f64 * self.spacing_hz,
            value,
        })
    }

    /// The sum over a band: its power, where the values are mean squares
    /// ([`mean_square_into`](crate::spectrum::AmplitudeSpectrum::mean_square_into)).
    ///
    /// # Errors
    /// As [`bins`](SpectrumLines::bins).
    pub fn sum(&self, band: (f64, f64)) -> Result<f64> {
        Ok(self.values.get(self.bins(band)?).unwrap_or_default().iter().sum())
    }

    /// The root-mean-square of a band, where the values are mean squares.
    ///
    /// # Errors
    /// As [`bins`](SpectrumLines::bins).
    pub fn rms_of_mean_squares(&self, band: (f64, f64)) -> Result<f64> {
        self.sum(band).map(f64::sqrt)
    }

    /// The root-mean-square of a band, where the values are densities ([`Welch`](crate::spectrum::Welch)).
    ///
    /// # Errors
    /// As [`bins`](SpectrumLines::bins).
    pub fn rms_of_density(&self, band: (f64, f64)) -> Result<f64> {
        Ok((self.sum(band)? * self.spacing_hz).sqrt())
    }

    /// The sidebands `carrier ± k · apart`, `k` from 1 to `count`.
    ///
    /// A line has the value of the highest bin within `tolerance_hz` of its place, or of the nearest bin where none is so near.
    /// It stands out where that is at least `factor` times what is found in the same way half a spacing below and half a
    /// spacing above. Places beyond the spectrum, at zero or below it are left out. With [`Taper::Hann`](crate::spectrum::Taper)
    /// lines should lie eight bins apart or more, so that the places between are free of them.
    ///
    /// # Errors
    /// `InvalidParameter` unless the carrier lies above 0 and within the spectrum, sidebands lie at least four bins apart,
    /// `count` is in 1..=1,000, the tolerance in 0 to below a quarter of the spacing, and `factor` finite and at least 1.
    pub fn sidebands(
        &self,
        carrier_hz: f64,
        apart_hz: f64,
        count: u32,
        tolerance_hz: f64,
        factor: f64,
    ) -> Result<Sidebands> {
        let highest = self.highest_hz();
        if !(carrier_hz > 0.0 && carrier_hz <= highest) {
            return Err(Error::parameter(
                "carrier_hz",
                format!("above 0 and at most {highest}"),
                carrier_hz,
            ));
        }
        if !(apart_hz.is_finite() && apart_hz >= 4.0 * self.spacing_hz) {
            let expected = format!("finite and at least four bins, {}", 4.0 * self.spacing_hz);
            return Err(Error::parameter("apart_hz", expected, apart_hz));
        }
        if !(1..=MOST_SIDEBANDS).contains(&count) {
            return Err(Error::parameter("count", format!("in 1..={MOST_SIDEBANDS}"), count));
        }
        if !(tolerance_hz >= 0.0 && tolerance_hz < 0.25 * apart_hz) {
            let expected = format!("0 to below {}", 0.25 * apart_hz);
            return Err(Error::parameter("tolerance_hz", expected, tolerance_hz));
        }
        if !(factor.is_finite() && factor >= 1.0) {
            return Err(Error::parameter("factor", "finite and at least 1", factor));
        }
        let at = |f: f64| self.near(f, tolerance_hz);
        let mut found = Sidebands {
            carrier: at(carrier_hz).unwrap_or(f64::NAN),
            n_within: 0,
            n_standing: 0,
            mean: f64::NAN,
            largest: f64::NAN,
        };
        let mut sum = 0.0;
        for k in 1..=count {
            for f in [
                carrier_hz - f64::from(k) * apart_hz,
                carrier_hz + f64::from(k) * apart_hz,
            ] {
                let Some(v) = at(f).filter(|_| f > 0.0) else { continue };
                let between = [at(f - 0.5 * apart_hz), at(f + 0.5 * apart_hz)];
                let stands = v > 0.0 && between.into_iter().flatten().all(|b| v >= factor * b);
                found.n_within += 1;
                found.n_standing += usize::from(stands);
                sum += v;
                // NaN stays.
                if found.n_within == 1 || v > found.largest || v.is_nan() {
                    found.largest = v;
                }
            }
        }
        if found.n_within > 0 {
            found.mean = sum / found.n_within as f64;
        }
        Ok(found)
    }

    /// The highest bin near a frequency; none beyond the spectrum.
    fn near(&self, f_hz: f64, tolerance_hz: f64) -> Option<f64> {
        let place = |f: f64| f / self.spacing_hz;
        let nearest = place(f_hz).round();
        if !(nearest >= 0.0 && nearest < self.values.len() as f64) {
            return None;
        }
        let lo = (place(f_hz - tolerance_hz) - ON_A_BIN).ceil().max(0.0).min(nearest) as usize;
        let hi = (place(f_hz + tolerance_hz) + ON_A_BIN).floor().max(nearest) as usize;
        let within = self.values.get(lo..=hi.min(self.values.len() - 1))?;
        Some(
            within
                .iter()
                .fold(f64::NEG_INFINITY, |m, v| if *v > m || v.is_nan() { *v } else { m }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::ErrorKind,
        quantity::Hertz,
        spectrum::{AmplitudeSpectrum, Taper, Welch},
    };
    use std::f64::consts::TAU;

    #[test]
    fn bands_share_no_bin_and_add_up() {
        let x: Vec<f64> = (0..500).map(|i| f64::from(i * 7919 % 1013) / 100.0).collect();
        let rate = Hertz::new(1000.0).unwrap();
        let plan = AmplitudeSpectrum::new(500, rate, Taper::Rectangular).unwrap();
        let mut squares = vec![0.0; plan.n_bins()];
        plan.mean_square_into(&x, &mut plan.new_scratch(), &mut squares)
            .unwrap();
        let lines = SpectrumLines::new(&squares, 2.0).unwrap();
        let edges = [0.0, 2.0, 33.0, 100.0, 101.9, 500.0];
        let parts: f64 = edges.windows(2).map(|e| lines.sum((e[0], e[1])).unwrap()).sum();
        let mean = x.iter().sum::<f64>() / 500.0;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 500.0;
        assert!((parts - variance).abs() < 1e-12 * variance);
        assert!((lines.rms_of_mean_squares((0.0, 500.0)).unwrap() - variance.sqrt()).abs() < 1e-12);
        assert_eq!(lines.bins((100.0, 101.9)).unwrap(), 50..51);
        assert_eq!(lines.bins((499.0, 500.0)).unwrap(), 250..251);
        // A line's power is half the square of its amplitude, by density too.
        let sine: Vec<f64> = (0..5000).map(|i| 3.0 * (TAU * 0.1 * f64::from(i)).sin()).collect();
        let welch = Welch::params(rate).segment(500).build().unwrap();
        let density = welch.psd(&sine).unwrap();
        let lines = SpectrumLines::new(&density, 2.0).unwrap();
        assert!((lines.rms_of_density((90.0, 110.0)).unwrap() - 4.5_f64.sqrt()).abs() < 1e-9);
        assert_eq!(lines.peak((0.0, 500.0)).unwrap().frequency_hz, 100.0);
    }

    #[test]
    fn sidebands_are_counted_where_they_stand_out() {
        // Bins of 1 Hz, a floor of 0.01, a carrier at 100 with sidebands 10 apart: three below, two above.
        let mut a = vec![0.01; 130];
        a[100] = 2.0;
        for (k, v) in [(90, 0.4), (110, 0.3), (80, 0.2), (121, 0.1), (70, 0.05)] {
            a[k] = v;
        }
        let lines = SpectrumLines::new(&a, 1.0).unwrap();
        let s = lines.sidebands(100.0, 10.0, 3, 1.0, 3.0).unwrap();
        assert_eq!((s.carrier, s.n_within, s.n_standing, s.largest), (2.0, 5, 5, 0.4));
        assert!((s.mean - 1.05 / 5.0).abs() < 1e-15 && (s.relative_level() - 0.105).abs() < 1e-15);
        let exact = lines.sidebands(100.0, 10.0, 3, 0.0, 3.0).unwrap();
        assert_eq!((exact.n_within, exact.n_standing), (5, 4));
        // Below zero there are none.
        let low = lines.sidebands(5.0, 10.0, 3, 0.0, 3.0).unwrap();
        assert_eq!((low.n_within, low.n_standing), (3, 0));
        a[110] = f64::NAN;
        let s = SpectrumLines::new(&a, 1.0)
            .unwrap()
            .sidebands(100.0, 10.0, 2, 0.0, 3.0)
            .unwrap();
        assert!(s.mean.is_nan() && s.largest.is_nan() && s.n_standing == 2, "{s:?}");
    }

    #[test]
    fn bad_bands_are_refused_and_nan_shows() {
        let values = [1.0, 5.0, 5.0, f64::NAN, 0.0];
        let lines = SpectrumLines::new(&values, 2.0).unwrap();
        assert_eq!(
            lines.peak((0.0, 6.0)).unwrap(),
            Line {
                frequency_hz: 2.0,
                value: 5.0
            }
        );
        assert!(lines.peak((0.0, 8.0)).unwrap().value.is_nan() && lines.sum((4.0, 8.0)).unwrap().is_nan());
        for band in [
            (-1.0, 4.0),
            (4.0, 4.0),
            (4.0, 2.0),
            (0.0, 10.0),
            (f64::NAN, 4.0),
            (0.0, f64::NAN),
            (0.0, f64::INFINITY),
            (2.1, 3.9),
        ] {
            assert_eq!(
                lines.sum(band).unwrap_err().kind(),
                ErrorKind::InvalidParameter,
                "{band:?}"
            );
            assert!(lines.peak(band).is_err());
        }
        for (carrier, apart, count, tolerance, factor) in [
            (0.0, 8.0, 1, 0.0, 2.0),
            (8.1, 8.0, 1, 0.0, 2.0),
            (f64::NAN, 8.0, 1, 0.0, 2.0),
            (4.0, 7.9, 1, 0.0, 2.0),
            (4.0, f64::INFINITY, 1, 0.0, 2.0),
            (4.0, 8.0, 0, 0.0, 2.0),
            (4.0, 8.0, 1001, 0.0, 2.0),
            (4.0, 8.0, 1, 2.0, 2.0),
            (4.0, 8.0, 1, f64::NAN, 2.0),
            (4.0, 8.0, 1, 0.0, 0.9),
            (4.0, 8.0, 1, 0.0, f64::NAN),
        ] {
            assert!(
                lines.sidebands(carrier, apart, count, tolerance, factor).is_err(),
                "{carrier} {apart} {count} {tolerance} {factor}"
            );
        }
        let none = lines.sidebands(4.0, 80.0, 3, 0.0, 2.0).unwrap();
        assert!(none.n_within == 0 && none.mean.is_nan() && none.largest.is_nan());
        assert!(SpectrumLines::new(&[], 1.0).is_err());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(SpectrumLines::new(&values, bad).is_err());
        }
        assert_eq!(
            SpectrumLines::new(&[3.0], 1.0).unwrap().peak((0.0, 0.5)).unwrap().value,
            3.0
        );
    }
}
