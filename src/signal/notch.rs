//! Removal of one line, such as mains hum.

use super::{IirFilter, sections::Section};
use crate::{
    error::{Error, Result},
    quantity::Hertz,
};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Settings of a second-order notch, for any sampling rate: its frequency and quality.
///
/// With `ω = 2π f / rate` and `g = 1 / (1 + tan(ω / 2Q))`,
///
/// ```text
/// H(z) = g (1 - 2 cos(ω) z⁻¹ + z⁻²) / (1 - 2 g cos(ω) z⁻¹ + (2g - 1) z⁻²):
/// ```
///
/// nothing is left at `f`, half the power at the ends of a band `f / Q` wide, all at zero and half the rate. It is the filter
/// of `scipy.signal.iirnotch`. After a change it rings for about `Q / f` seconds.
///
/// ```
/// use prognos::{quantity::Hertz, signal::{FilterStart, Notch}};
/// let filter = Notch::new(50.0, 10.0)?.design(Hertz::new(1000.0)?)?;
/// let hum: Vec<f64> = (0..2000).map(|i| (0.1 * std::f64::consts::PI * f64::from(i)).sin()).collect();
/// let y = filter.filter(&hum, FilterStart::Zero)?;
/// assert!(y[1500..].iter().all(|v| v.abs() < 1e-6));
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Source: Orfanidis, *Introduction to Signal Processing* (1996), ch. 11.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NotchData", into = "NotchData")]
pub struct Notch {
    frequency_hz: f64,
    quality: f64,
}

#[derive(Serialize, Deserialize)]
struct NotchData {
    frequency_hz: f64,
    quality: f64,
}

impl Notch {
    /// A notch at `frequency_hz`, `frequency_hz / quality` wide.
    ///
    /// # Errors
    /// `InvalidParameter` unless both are finite and above zero.
    pub fn new(frequency_hz: f64, quality: f64) -> Result<Self> {
        for (name, value) in [("frequency_hz", frequency_hz), ("quality", quality)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::parameter(name, "finite and above 0", value));
            }
        }
        Ok(Self { frequency_hz, quality })
    }

    /// The frequency taken out.
    pub fn frequency_hz(&self) -> f64 {
        self.frequency_hz
    }

    /// Frequency over width.
    pub fn quality(&self) -> f64 {
        self.quality
    }

    /// The filter for samples at `rate`.
    ///
    /// # Errors
    /// `InvalidParameter` unless frequency and width are below half the rate, and large enough against it that rounding does
    /// not shift the response by a millionth.
    pub fn design(&self, rate: Hertz) -> Result<IirFilter> {
        let width_hz = self.frequency_hz / self.quality;
        for (name, value) in [
            ("frequency of a notch", self.frequency_hz),
            ("width of a notch", width_hz),
        ] {
            if value.partial_cmp(&(0.5 * rate.get())) != Some(std::cmp::Ordering::Less) {
                let expected = format!("below half the rate of {rate}");
                return Err(Error::parameter(name, expected, format!("{value} Hz")));
            }
        }
        let gain = 1.0 / (1.0 + libm::tan(PI * width_hz / rate.get()));
        let cos = libm::cos(2.0 * PI * self.frequency_hz / rate.get());
        let section = Section {
            b: [gain, -2.0 * gain * cos, gain],
            a: [-2.0 * gain * cos, 2.0 * gain - 1.0],
        };
        IirFilter::new(rate, vec![section]).map_err(|e| e.context(format!("notch at {} Hz", self.frequency_hz)))
    }
}

impl TryFrom<NotchData> for Notch {
    type Error = Error;
    fn try_from(data: NotchData) -> Result<Self> {
        Self::new(data.frequency_hz, data.quality)
    }
}

impl From<Notch> for NotchData {
    fn from(n: Notch) -> Self {
        Self {
            frequency_hz: n.frequency_hz,
            quality: n.quality,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_takes_out_its_frequency_and_leaves_the_ends(f in 5.0..495.0_f64, quality in 1.1..100.0_f64) {
            prop_assume!(f / quality < 495.0);
            let filter = Notch::new(f, quality).unwrap().design(Hertz::new(1000.0).unwrap()).unwrap();
            // Rounding of the coefficients over a denominator above 1e-5.
            prop_assert!(filter.response(f).norm() < 1e-9);
            prop_assert!((filter.response(0.0).norm() - 1.0).abs() < 1e-9 && (filter.response(500.0).norm() - 1.0).abs() < 1e-9);
            // |H|² = 1/2 at two frequencies that many warped hertz apart: tan of half the width is the ratio of both parts.
            let (w, half_width) = (2.0 * PI * f / 1000.0, (PI * f / quality / 1000.0).tan());
            for side in [-1.0, 1.0] {
                // cos(w') - cos(w) = side · half_width · sin(w'), solved for the angle.
                let at = (w.cos() / (1.0 + half_width * half_width).sqrt()).acos() + side * half_width.atan();
                prop_assert!((filter.response(at / (2.0 * PI) * 1000.0).norm_sqr() - 0.5).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Notch::new(bad, 1.0).unwrap_err().kind(), ErrorKind::InvalidParameter);
            assert_eq!(Notch::new(50.0, bad).unwrap_err().kind(), ErrorKind::InvalidParameter);
        }
        let rate = Hertz::new(1000.0).unwrap();
        for (f, quality) in [
            (500.0, 30.0),
            (1e300, 30.0),
            (50.0, 0.1),
            (1e-5, 1.0),
            (50.0, 1e12),
            (50.0, 1e-320),
        ] {
            let e = Notch::new(f, quality).unwrap().design(rate).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{f} {quality}");
        }
        let notch = Notch::new(50.0, 30.0).unwrap();
        let text = serde_json::to_string(&notch).unwrap();
        assert_eq!(serde_json::from_str::<Notch>(&text).unwrap(), notch);
        assert!(serde_json::from_str::<Notch>(&text.replace("30", "-30")).is_err());
    }
}
