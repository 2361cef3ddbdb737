//! Change of the sampling rate by a ratio of whole numbers.

use crate::{
    error::{Error, Result},
    quantity::Hertz,
};

/// The largest numerator or denominator of a ratio in lowest terms.
const MAX_TERM: usize = 10_000;
/// Zero crossings of the filter on either side of its middle.
const HALF_LENGTH: usize = 10;
/// Shape of the Kaiser window.
const KAISER_BETA: f64 = 5.0;

/// Resampling of whole signals by a rational ratio, with an anti-aliasing filter; decimation where the ratio is `1 / q`.
///
/// The signal is thought filled up with `up - 1` zeros after each sample, filtered by a linear-phase low-pass `h` and thinned
/// out to every `down`-th sample. `h` is a sinc that ends at the lower of both Nyquist frequencies, under a Kaiser window
/// of `beta = 5`, `20 max(up, down) + 1` long: the filter and result of `scipy.signal.resample_poly`.
///
/// `y` has `⌈n up / down⌉` samples; sample `i` of it stands at the time of sample `i down / up` of `x`: there is no delay. A
/// sine below 0.8 of the lower Nyquist frequency keeps amplitude and phase within 0.5%; at that frequency half is left; above
/// 1.2 of it less than 0.5%. Beyond its ends the signal counts as zero: remove the mean first.
///
/// NaN or infinity spoils the samples within `10 max(1, down / up)` of it, and no others.
///
/// # Cost
/// About `20 max(1, down / up)` multiplications a sample of the result. The filter is made anew and the result allocated in
/// each call: this is for records, not for windows.
///
/// ```
/// use prognos::{quantity::Hertz, signal::Resampler};
/// let decimate = Resampler::between(Hertz::new(48_000.0)?, Hertz::new(12_000.0)?)?;
/// let sine = |rate: f64| move |i: i32| (std::f64::consts::TAU * 1000.0 * f64::from(i) / rate).sin();
/// let x: Vec<f64> = (0..48_000).map(sine(48_000.0)).collect();
/// let y = decimate.resample(&x)?;
/// assert_eq!(y.len(), 12_000);
/// assert!((y[6001] - sine(12_000.0)(6001)).abs() < 5e-3);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Source: Crochiere & Rabiner, *Multirate Digital Signal Processing* (1983).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resampler {
    up: usize,
    down: usize,
}

impl Resampler {
    /// A resampler that makes `up` samples of every `down`.
    ///
    /// # Errors
    /// `InvalidParameter` unless both lie in 1..=10,000 in lowest terms.
    pub fn new(up: usize, down: usize) -> Result<Self> {
        let divisor = gcd(up, down).max(1);
        let terms = 1..=MAX_TERM;
        if !(terms.contains(&(up / divisor)) && terms.contains(&(down / divisor))) {
            let expected = format!("two numbers in 1..={MAX_TERM} in lowest terms");
            return Err(Error::parameter("ratio", expected, format!("{up}/{down}")));
        }
        Ok(Self {
            up: up / divisor,
            down: down / divisor,
        })
    }

    /// A resampler from one rate to another, both whole numbers of millihertz.
    ///
    /// # Errors
    /// `InvalidParameter` where a rate is no whole number of millihertz or above a terahertz, or the ratio has a term above
    /// 10,000.
    pub fn between(from: Hertz, to: Hertz) -> Result<Self> {
        let whole = |rate: Hertz| {
            let millis = (rate.get() * 1e3).round();
            let close = (millis - rate.get() * 1e3).abs() <= 1e-9 * millis;
            if close && (1.0..=1e15).contains(&millis) {
                Ok(millis as usize)
            } else {
                Err(Error::parameter(
                    "rate",
                    "a whole number of millihertz, at most 1e12 Hz",
                    rate,
                ))
            }
        };
        Self::new(whole(to)?, whole(from)?)
    }

    /// Samples out over samples in, in lowest terms.
    pub fn ratio(&self) -> (usize, usize) {
        (self.up, self.down)
    }

    /// The resampled signal.
    ///
    /// # Errors
    /// `InsufficientData` without a sample; `InvalidInput` where the result would pass 2^28 samples.
    pub fn resample(&self, x: &[f64]) -> Result<Vec<f64>> {
        if x.is_empty() {
            return Err(Error::insufficient("signal to resample", "at least 1 sample", 0));
        }
        let n_out = (x.len() as u128 * self.up as u128).div_ceil(self.down as u128);
        if n_out > 1 << 28 {
            return Err(Error::input("resampled signal", "at most 2^28 samples", n_out));
        }
        if self.up == self.down {
            return Ok(x.to_vec());
        }
        let taps = self.taps();
        let half = HALF_LENGTH * self.up.max(self.down);
        // Sample `i` of the result is Σ_k taps[i down - k up + half] x[k].
        let at = |i: usize| {
            let middle = i * self.down + half;
            let first = (i * self.down).saturating_sub(half).div_ceil(self.up);
            let reach = x.get(first..).unwrap_or_default().iter().enumerate();
            let products = reach.map_while(|(k, v)| {
                let tap = middle.checked_sub((first + k) * self.up)?;
                Some(v * taps.get(tap)?)
            });
            products.sum()
        };
        Ok((0..n_out as usize).map(at).collect())
    }

    /// The low-pass at the rate `up` times that of the signal, its gain `up`.
    fn taps(&self) -> Vec<f64> {
        let mut taps = Vec::new();
        low_pass_into(self.up.max(self.down), self.up as f64, &mut taps);
        taps
    }
}

/// The low-pass that ends at the Nyquist frequency of every `slower`-th sample, `20 slower + 1` taps whose sum is `gain`.
pub(crate) fn low_pass_into(slower: usize, gain: f64, taps: &mut Vec<f64>) {
    let half = HALF_LENGTH * slower;
    let bessel_beta = bessel_i0(KAISER_BETA);
    let tap = |i: usize| {
        let m = i as f64 - half as f64;
        let angle = std::f64::consts::PI * m / slower as f64;
        let sinc = if m == 0.0 { 1.0 } else { libm::sin(angle) / angle };
        let r = m / half as f64;
        sinc * bessel_i0(KAISER_BETA * (1.0 - r * r).max(0.0).sqrt()) / bessel_beta
    };
    taps.clear();
    taps.extend((0..=2 * half).map(tap));
    let scale = gain / taps.iter().sum::<f64>();
    taps.iter_mut().for_each(|t| *t *= scale);
}

/// The modified Bessel function of the first kind and order zero, by its series: to rounding for arguments up to 20.
pub(crate) fn bessel_i0(x: f64) -> f64 {
    let quarter = 0.25 * x * x;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..60 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    #[test]
    fn sines_below_the_edge_stay_and_those_above_go() {
        for (up, down) in [(1, 4), (1, 2), (2, 3), (3, 2), (4, 1), (160, 147), (5, 64)] {
            let r = Resampler::new(up, down).unwrap();
            let lower = 0.5 * (up as f64 / down as f64).min(1.0); // Nyquist, a sample of x
            let n = 10_000;
            for (share, kept) in [(0.03, true), (0.5, true), (0.8, true), (1.2, false), (1.5, false)] {
                let f = share * lower;
                if f >= 0.5 {
                    continue;
                }
                let sine = |t: f64| (TAU * f * t + 0.7).sin();
                let x: Vec<f64> = (0..n).map(|i| sine(i as f64)).collect();
                let y = r.resample(&x).unwrap();
                assert_eq!(y.len(), (n * up).div_ceil(down));
                let inner = y.len() / 4..3 * y.len() / 4;
                for (i, v) in y.iter().enumerate().take(inner.end).skip(inner.start) {
                    let expected = if kept {
                        sine(i as f64 * down as f64 / up as f64)
                    } else {
                        0.0
                    };
                    assert!((v - expected).abs() < 5e-3, "{up}/{down} {share}: {v} {expected}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn short_signals_have_the_stated_length(n in 1..3000_usize, up in 1..20_usize, down in 1..20_usize) {
            let y = Resampler::new(up, down).unwrap().resample(&vec![1.0; n]).unwrap();
            prop_assert_eq!(y.len(), (n * up).div_ceil(down));
            prop_assert!(y.iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn bad_ratios_are_refused_and_bad_samples_do_not_panic() {
        for (up, down) in [(0, 1), (1, 0), (0, 0), (10_001, 1), (usize::MAX, 1)] {
            assert_eq!(
                Resampler::new(up, down).unwrap_err().kind(),
                ErrorKind::InvalidParameter
            );
        }
        let hz = |v| Hertz::new(v).unwrap();
        assert_eq!(Resampler::between(hz(25_600.0), hz(12_800.0)).unwrap().ratio(), (1, 2));
        assert!(Resampler::between(hz(std::f64::consts::PI), hz(1.0)).is_err());
        assert!(Resampler::between(hz(1e300), hz(1.0)).is_err());
        let r = Resampler::new(1, 2).unwrap();
        assert_eq!(r.resample(&[]).unwrap_err().kind(), ErrorKind::InsufficientData);
        assert_eq!(Resampler::new(3, 3).unwrap().resample(&[1.0, 2.0]).unwrap(), [1.0, 2.0]);
        let mut x = vec![0.0; 50_000];
        x[100] = f64::NAN;
        let y = r.resample(&x).unwrap();
        assert_eq!(y.iter().filter(|v| v.is_nan()).count(), 21);
        r.resample(&[f64::INFINITY; 10]).unwrap();
    }
}
