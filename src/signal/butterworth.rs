//! Butterworth filters: as flat as can be where they pass.

use super::{IirFilter, sections::Section};
use crate::{
    error::{Error, Result},
    quantity::Hertz,
};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The highest order of an edge.
const MAX_ORDER: usize = 12;

/// What a filter passes; frequencies are those where half of the power is left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterBand {
    /// What lies below a frequency in hertz.
    LowPass(f64),
    /// What lies above a frequency in hertz.
    HighPass(f64),
    /// What lies between two frequencies in hertz.
    BandPass(f64, f64),
    /// What lies outside two frequencies in hertz.
    BandStop(f64, f64),
}

/// Settings of a Butterworth filter, for any sampling rate: order and band.
///
/// With `Ω(f) = tan(π f / rate)`, `n` the order and `Ω₁`, `Ω₂` those of the band's edges, the gain is
///
/// ```text
/// |H(f)|² = 1 / (1 + u^2n),  u = Ω / Ω₁                           low-pass
///                            u = Ω₁ / Ω                           high-pass
///                            u = (Ω² - Ω₁ Ω₂) / (Ω (Ω₂ - Ω₁))     band-pass
///                            u = Ω (Ω₂ - Ω₁) / (Ω² - Ω₁ Ω₂)       band-stop
/// ```
///
/// A band has `n` poles an edge, `2n` together, so that each of its edges falls off as that of a low-pass of order `n`. The
/// analog prototype's poles are moved to the band, and by the bilinear transform into the unit circle; edges are placed so
/// that they come out where asked. Each pair of poles is a section, the most damped of the prototype first; of a band the two
/// sections that come from one pair of the prototype follow each other, upper edge and lower, so that no noise of rounding is
/// amplified between the edges. The response is that of `scipy.signal.butter(output="sos")`, which orders sections otherwise.
///
/// ```
/// use prognos::{quantity::Hertz, signal::{Butterworth, FilterBand}};
/// let filter = Butterworth::new(4, FilterBand::BandPass(10.0, 1000.0))?.design(Hertz::new(25_600.0)?)?;
/// let gain_db = |f_hz: f64| 20.0 * filter.response(f_hz).norm().log10();
/// assert!((gain_db(10.0) + 3.0103).abs() < 1e-4 && gain_db(100.0).abs() < 1e-4 && gain_db(2000.0) < -24.0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Source: Butterworth (1930), *Experimental Wireless* 7, 536; Oppenheim & Schafer, *Discrete-Time Signal Processing* (2010),
/// ch. 7, for the transforms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ButterworthData", into = "ButterworthData")]
pub struct Butterworth {
    order: usize,
    band: FilterBand,
}

#[derive(Serialize, Deserialize)]
struct ButterworthData {
    order: usize,
    band: FilterBand,
}

/// The denominator `s² - sum s + product` of two analog poles, or `s - pole` of one.
#[derive(Clone, Copy)]
enum Poles {
    Two { sum: f64, product: f64 },
    One(f64),
}

impl Butterworth {
    /// Settings of a filter of `order` an edge.
    ///
    /// # Errors
    /// `InvalidParameter` unless the order is in 1..=12 and frequencies are finite, above zero and rising.
    pub fn new(order: usize, band: FilterBand) -> Result<Self> {
        if !(1..=MAX_ORDER).contains(&order) {
            return Err(Error::parameter("order", format!("1..={MAX_ORDER}"), order));
        }
        let above_zero = |f: f64| f.is_finite() && f > 0.0;
        match band {
            FilterBand::LowPass(f) | FilterBand::HighPass(f) if !above_zero(f) => {
                Err(Error::parameter("cut-off", "finite and above 0 Hz", f))
            }
            FilterBand::BandPass(lo, hi) | FilterBand::BandStop(lo, hi)
                if !(above_zero(lo) && hi.is_finite() && lo < hi) =>
            {
                let expected = "two finite frequencies above 0 Hz, rising";
                Err(Error::parameter("band", expected, format!("{lo} Hz to {hi} Hz")))
            }
            _ => Ok(Self { order, band }),
        }
    }

    /// The order of each edge.
    pub fn order(&self) -> usize {
        self.order
    }

    /// What is passed.
    pub fn band(&self) -> FilterBand {
        self.band
    }

    /// The filter for samples at `rate`.
    ///
    /// # Errors
    /// `InvalidParameter` where a frequency is not below half the rate, or so small against the rate, or a band so narrow, that
    /// rounding would shift the response of a section by a millionth: cut-offs below some 2 (order 2) to 5 (order 12)
    /// millionths of the rate.
    pub fn design(&self, rate: Hertz) -> Result<IirFilter> {
        let (lo, hi) = match self.band {
            FilterBand::LowPass(f) | FilterBand::HighPass(f) => (f, f),
            FilterBand::BandPass(lo, hi) | FilterBand::BandStop(lo, hi) => (lo, hi),
        };
        if hi >= 0.5 * rate.get() {
            let expected = format!("below half the rate of {rate}");
            return Err(Error::parameter("edge of a filter", expected, format!("{hi} Hz")));
        }
        let warped = |f: f64| libm::tan(PI * f / rate.get());
        let (lo, hi) = (warped(lo), warped(hi));
        let (width, centre) = (hi - lo, lo * hi); // of a band; the centre squared
        let mut sections = Vec::with_capacity(self.order);
        // The most damped first; the two sections of a band that come from one pair stay together.
        for k in (0..self.order.div_ceil(2)).rev() {
            // Poles of the prototype on the unit circle, left of and on or above the real axis.
            let is_real = 2 * k + 1 == self.order;
            let angle = PI * (2 * k + 1) as f64 / (2 * self.order) as f64;
            let (re, im) = if is_real {
                (-1.0, 0.0)
            } else {
                (-libm::sin(angle), libm::cos(angle))
            };
            match self.band {
                FilterBand::LowPass(_) | FilterBand::HighPass(_) => {
                    let poles = match is_real {
                        true => Poles::One(-hi),
                        false => Poles::Two {
                            sum: 2.0 * re * hi,
                            product: hi * hi,
                        },
                    };
                    sections.push(self.band.section(poles, width, centre));
                }
                FilterBand::BandPass(..) | FilterBand::BandStop(..) => {
                    for poles in in_band((0.5 * re * width, 0.5 * im * width), centre, is_real) {
                        sections.push(self.band.section(poles, width, centre));
                    }
                }
            }
        }
        IirFilter::new(rate, sections).map_err(|e| e.context(format!("Butterworth filter, {:?}", self.band)))
    }
}

impl FilterBand {
    /// The digital section of analog poles, by `s = (z - 1) / (z + 1)`.
    fn section(self, poles: Poles, width: f64, centre: f64) -> Section {
        let (denominator, a) = match poles {
            Poles::Two { sum, product } => {
                let d = 1.0 - sum + product;
                (d, [-2.0 * (1.0 - product) / d, (1.0 + sum + product) / d])
            }
            Poles::One(s) => (1.0 - s, [-(1.0 + s) / (1.0 - s), 0.0]),
        };
        let two = matches!(poles, Poles::Two { .. });
        let (gain, zeros) = match self {
            // Over the sum of the rounded coefficients, so that a constant stays what it is.
            Self::LowPass(_) if two => (0.25 * (1.0 + a[0] + a[1]), [1.0, 2.0, 1.0]),
            Self::LowPass(_) => (0.5 * (1.0 + a[0]), [1.0, 1.0, 0.0]),
            Self::HighPass(_) if two => (1.0 / denominator, [1.0, -2.0, 1.0]),
            Self::HighPass(_) => (1.0 / denominator, [1.0, -1.0, 0.0]),
            Self::BandPass(..) => (width / denominator, [1.0, 0.0, -1.0]),
            Self::BandStop(..) => (
                (1.0 + centre) / denominator,
                [1.0, -2.0 * (1.0 - centre) / (1.0 + centre), 1.0],
            ),
        };
        Section {
            b: zeros.map(|z| gain * z),
            a,
        }
    }
}

/// The roots of `s² - 2 b s + centre` with their conjugates: two pairs, or one section where `b` is real.
fn in_band((re, im): (f64, f64), centre: f64, is_real: bool) -> impl Iterator<Item = Poles> {
    if is_real {
        let both = Poles::Two {
            sum: 2.0 * re,
            product: centre,
        };
        return [Some(both), None].into_iter().flatten();
    }
    // The square root of b² - centre, by halves of its magnitude and real part.
    let (x, y) = (re * re - im * im - centre, 2.0 * re * im);
    let magnitude = libm::hypot(x, y);
    let (u, v) = match x > 0.0 {
        true => {
            let u = (0.5 * (magnitude + x)).sqrt();
            (u, 0.5 * y / u)
        }
        false => {
            let v = (0.5 * (magnitude - x)).sqrt();
            (0.5 * y / v, v)
        }
    };
    // The root farther from zero loses no digits; the other is what the product leaves.
    let sign = if re * u + im * v < 0.0 { -1.0 } else { 1.0 };
    let (far_re, far_im) = (re + sign * u, im + sign * v);
    let far = far_re * far_re + far_im * far_im;
    let near = centre / far;
    let pairs = [
        Poles::Two {
            sum: 2.0 * far_re,
            product: far,
        },
        Poles::Two {
            sum: 2.0 * far_re * near,
            product: centre * near,
        },
    ];
    pairs.map(Some).into_iter().flatten()
}

impl TryFrom<ButterworthData> for Butterworth {
    type Error = Error;
    fn try_from(data: ButterworthData) -> Result<Self> {
        Self::new(data.order, data.band)
    }
}

impl From<Butterworth> for ButterworthData {
    fn from(b: Butterworth) -> Self {
        Self {
            order: b.order,
            band: b.band,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use FilterBand::{BandPass, BandStop, HighPass, LowPass};
    use proptest::prelude::*;

    fn rate() -> Hertz {
        Hertz::new(1000.0).unwrap()
    }

    proptest! {
        /// Frequencies from 5 thousandths of the rate on: denominators are above 1e-4 and rounding below 1e-11 a section.
        #[test]
        fn the_gain_is_the_closed_form(order in 1..=12_usize, lo in 5.0..490.0_f64, width in 5.0..490.0_f64, f in 0.0..500.0_f64) {
            let hi = (lo + width).min(495.0);
            let warped = |f: f64| (PI * f / 1000.0).tan();
            let (w, w1, w2) = (warped(f), warped(lo), warped(hi));
            let band = (w * w - w1 * w2) / (w * (w2 - w1));
            for (kind, u) in [(LowPass(lo), w / w1), (HighPass(lo), w1 / w), (BandPass(lo, hi), band), (BandStop(lo, hi), 1.0 / band)] {
                let filter = Butterworth::new(order, kind).unwrap().design(rate()).unwrap();
                let expected = (1.0 / (1.0 + u.powi(2 * order as i32))).sqrt();
                let got = filter.response(f).norm();
                prop_assert!((got - expected).abs() < 1e-9, "{kind:?} {order} {f}: {got} {expected}");
                let bands = matches!(kind, BandPass(..) | BandStop(..));
                prop_assert_eq!(filter.sections().len(), if bands { order } else { order.div_ceil(2) });
            }
        }
    }

    /// Noise filtered sample by sample is what the response makes of its transform. Poles of [1, 400] Hz at order 12 die away
    /// by 40 nepers within 50,000 samples. Denominators are above 4e-7 beside 0.4 Hz: a rounding over that and up to twelve
    /// sections make 1e-8 at worst, and a hundredth of it on average.
    #[test]
    fn wide_bands_of_high_order_keep_their_digits() {
        let n = 1 << 17;
        let mut planner = realfft::RealFftPlanner::<f64>::new();
        let (forward, inverse) = (planner.plan_fft_forward(n), planner.plan_fft_inverse(n));
        let mut x = vec![0.0; n];
        x.iter_mut()
            .take(20_000)
            .enumerate()
            .for_each(|(i, v)| *v = (i * i * 48_271 % 65_537) as f64 / 32_768.0 - 1.0);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut x.clone(), &mut spectrum).unwrap();
        for order in [1, 2, 5, 8, 11, 12] {
            for band in [
                BandPass(1.0, 400.0),
                BandStop(1.0, 400.0),
                BandPass(0.4, 450.0),
                BandStop(0.4, 450.0),
            ] {
                let filter = Butterworth::new(order, band).unwrap().design(rate()).unwrap();
                let mut product = spectrum.clone();
                for (k, v) in product.iter_mut().enumerate() {
                    *v *= filter.response(1000.0 * k as f64 / n as f64) / n as f64;
                }
                // The response is real there but for rounding.
                product[0].im = 0.0;
                product[n / 2].im = 0.0;
                let mut expected = vec![0.0; n];
                inverse.process(&mut product, &mut expected).unwrap();
                let got = filter.filter(&x, crate::signal::FilterStart::Zero).unwrap();
                let error = got
                    .iter()
                    .zip(&expected)
                    .fold(0.0_f64, |e, (g, w)| e.max((g - w).abs()));
                assert!(error < 1e-10, "{order} {band:?}: {error:e}");
            }
        }
    }

    #[test]
    fn half_the_power_is_left_at_the_edges() {
        for order in 1..=12 {
            for band in [
                LowPass(50.0),
                HighPass(50.0),
                BandPass(50.0, 130.0),
                BandStop(50.0, 130.0),
            ] {
                let filter = Butterworth::new(order, band).unwrap().design(rate()).unwrap();
                assert!(
                    (filter.response(50.0).norm_sqr() - 0.5).abs() < 1e-11,
                    "{order} {band:?}"
                );
            }
            let low = Butterworth::new(order, LowPass(1.0)).unwrap().design(rate()).unwrap();
            assert!((low.response(0.0).norm() - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn what_rounding_would_spoil_is_refused() {
        let at = |order, band| Butterworth::new(order, band).unwrap().design(rate());
        for order in [1, 2, 4, 8, 12] {
            // Half the power to a millionth a section, at the lowest cut-off that is not refused.
            let lowest = (1..400)
                .map(|i| 0.1 * 0.95_f64.powi(i))
                .take_while(|f| at(order, LowPass(*f)).is_ok());
            let lowest = lowest.last().unwrap();
            assert!(order == 1 || (1e-3..8e-3).contains(&lowest), "{order}: {lowest}");
            let filter = at(order, LowPass(lowest)).unwrap();
            assert!(
                (filter.response(lowest).norm_sqr() - 0.5).abs() < 1e-5,
                "{order}: {lowest}"
            );
        }
        for band in [
            LowPass(1e-5),
            HighPass(1e-5),
            BandPass(1e-5, 2e-5),
            BandStop(100.0, 100.0 + 1e-8),
            LowPass(1e-300),
        ] {
            let e = at(12, band).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{band:?}");
            assert!(
                e.to_string().contains("Butterworth") && e.to_string().contains("rounding"),
                "{e}"
            );
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        for order in [0, 13, usize::MAX] {
            assert!(Butterworth::new(order, LowPass(1.0)).is_err());
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for band in [
                LowPass(bad),
                HighPass(bad),
                BandPass(bad, 2.0),
                BandPass(1.0, bad),
                BandStop(bad, 2.0),
            ] {
                let e = Butterworth::new(2, band).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{band:?}");
            }
        }
        assert!(Butterworth::new(2, BandStop(2.0, 2.0)).is_err());
        for band in [
            LowPass(500.0),
            HighPass(1e300),
            BandPass(1.0, 500.0),
            BandStop(600.0, 700.0),
        ] {
            let e = Butterworth::new(2, band).unwrap().design(rate()).unwrap_err();
            assert!(e.to_string().contains("half the rate"), "{e}");
        }
        let settings = Butterworth::new(3, BandPass(1.0, 2.0)).unwrap();
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(text, r#"{"order":3,"band":{"band_pass":[1.0,2.0]}}"#);
        assert_eq!(serde_json::from_str::<Butterworth>(&text).unwrap(), settings);
        assert!(serde_json::from_str::<Butterworth>(&text.replace('3', "33")).is_err());
    }
}
