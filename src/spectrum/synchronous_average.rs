//! What repeats with a shaft: the time-synchronous average.

use crate::error::{Error, Result};

/// The longest average.
const MOST_SAMPLES: usize = 1 << 24;

/// The time-synchronous average of a signal at equal steps of a shaft's angle.
///
/// With `L` samples a period, `N` whole periods in the signal, and `k` from 0 to `L - 1`,
///
/// ```text
/// average[k] = 1/N Σ_r x[r L + k]
/// remaining noise = √( 1/L Σ_k 1/(N (N - 1)) Σ_r (x[r L + k] - average[k])² )
/// ```
///
/// What is locked to the shaft stays, the rest falls as `1/√N`: the remaining noise is the root-mean-square of what is
/// probably left of it in the average. Orders that are no multiple of `1 / revolutions` of a period are weakened like a comb
/// does: to nothing where `N` periods hold whole cycles of them. An incomplete period at the end is left out.
///
/// A period is one revolution, or several where a gear's partner returns only then (the hunting-tooth period).
///
/// NaN or infinity spoils its own place of the average and the remaining noise.
///
/// # Cost
/// Two passes over the signal; nothing is allocated.
///
/// Source: Braun (1975), *The extraction of periodic waveforms by time domain averaging*, Acustica 32; McFadden (1987),
/// <https://doi.org/10.1016/0888-3270(87)90085-9>.
///
/// ```
/// use prognos::spectrum::SynchronousAverage;
/// let average = SynchronousAverage::new(4, 1)?;
/// let mut out = [0.0; 4];
/// let got = average.average_into(&[1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 4.0, 9.0], &mut out)?;
/// assert_eq!(out, [2.0, 2.0, 2.0, 4.0]);
/// assert_eq!((got.n_averages, got.remaining_noise), (2, 0.5_f64.sqrt()));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SynchronousAverage {
    samples_per_revolution: usize,
    revolutions: usize,
}

/// How good an average is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Averaging {
    /// Periods that were averaged.
    pub n_averages: usize,
    /// Root-mean-square of the noise that is left, in the unit of the samples; NaN with a single period.
    pub remaining_noise: f64,
}

impl SynchronousAverage {
    /// Averages over periods of `revolutions`, each of `samples_per_revolution`.
    ///
    /// # Errors
    /// `InvalidParameter` unless both are at least 1 and their product at most 2^24.
    pub fn new(samples_per_revolution: usize, revolutions: usize) -> Result<Self> {
        let expected = "at least 1, and at most 2^24 samples together";
        for (name, v) in [
            ("samples_per_revolution", samples_per_revolution),
            ("revolutions", revolutions),
        ] {
            if v == 0 || samples_per_revolution.saturating_mul(revolutions) > MOST_SAMPLES {
                return Err(Error::parameter(name, expected, v));
            }
        }
        Ok(Self {
            samples_per_revolution,
            revolutions,
        })
    }

    /// Samples a revolution.
    pub fn samples_per_revolution(&self) -> usize {
        self.samples_per_revolution
    }

    /// Revolutions of a period.
    pub fn revolutions(&self) -> usize {
        self.revolutions
    }

    /// Samples of the average.
    pub fn n_samples(&self) -> usize {
        self.samples_per_revolution * self.revolutions
    }

    /// Writes the average of `x`.
    ///
    /// # Errors
    /// `InsufficientData` below one period; `InvalidInput` where `out` is not one period long.
    pub fn average_into(&self, x: &[f64], out: &mut [f64]) -> Result<Averaging> {
        let period = self.n_samples();
        if out.len() != period {
            return Err(Error::input("samples of an average", period, out.len()));
        }
        let n_averages = x.len() / period;
        if n_averages == 0 {
            let expected = format!("one period of {period} samples");
            return Err(Error::insufficient("synchronous average", expected, x.len()));
        }
        let n = n_averages as f64;
        out.fill(0.0);
        for turn in x.chunks_exact(period) {
            for (sum, v) in out.iter_mut().zip(turn) {
                *sum += v;
            }
        }
        out.iter_mut().for_each(|v| *v /= n);
        let squares = |turn: &[f64]| turn.iter().zip(&*out).map(|(v, a)| (v - a) * (v - a)).sum::<f64>();
        let sum: f64 = x.chunks_exact(period).map(squares).sum();
        let remaining_noise = if n_averages > 1 {
            (sum / (n * (n - 1.0) * period as f64)).sqrt()
        } else {
            f64::NAN
        };
        Ok(Averaging {
            n_averages,
            remaining_noise,
        })
    }

    /// The average of `x`, in memory of its own.
    ///
    /// # Errors
    /// `InsufficientData` below one period.
    pub fn average(&self, x: &[f64]) -> Result<(Vec<f64>, Averaging)> {
        let mut out = vec![0.0; self.n_samples()];
        let averaging = self.average_into(x, &mut out)?;
        Ok((out, averaging))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256Plus;

    #[test]
    fn noise_falls_with_the_root_of_the_number_and_is_told() {
        let mut rng = Xoshiro256Plus::seed_from_u64(5);
        let plan = SynchronousAverage::new(256, 1).unwrap();
        let locked = |k: usize| (std::f64::consts::TAU * 3.0 * k as f64 / 256.0).sin();
        for n in [4, 64, 400] {
            let x: Vec<f64> = (0..256 * n + 100)
                .map(|i| locked(i) + rng.r#gen::<f64>() - 0.5)
                .collect();
            let (average, got) = plan.average(&x).unwrap();
            assert_eq!(got.n_averages, n);
            let left = average
                .iter()
                .enumerate()
                .map(|(k, v)| (v - locked(k)).powi(2))
                .sum::<f64>()
                / 256.0;
            let expected = (1.0 / 12.0 / n as f64).sqrt();
            // Of 256 places the root-mean-square scatters by 1/√512 = 4.4%: four of those.
            assert!(
                (left.sqrt() / expected - 1.0).abs() < 0.18,
                "{n}: {} {expected}",
                left.sqrt()
            );
            assert!(
                (got.remaining_noise / expected - 1.0).abs() < 0.1,
                "{n}: {got:?} {expected}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_repeats_is_kept_and_averages_add(turn in prop::collection::vec(-1.0..1.0_f64, 6), n in 1..9_usize, other in prop::collection::vec(-1.0..1.0_f64, 54)) {
            let plan = SynchronousAverage::new(3, 2).unwrap();
            let x = turn.repeat(n);
            let (average, got) = plan.average(&x).unwrap();
            prop_assert!(average.iter().zip(&turn).all(|(a, b)| (a - b).abs() < 1e-15));
            prop_assert_eq!(got.n_averages, n);
            let silent = got.remaining_noise <= 1e-15;
            prop_assert!(silent || (n == 1 && got.remaining_noise.is_nan()));
            let sum: Vec<f64> = x.iter().zip(&other).map(|(a, b)| a + b).collect();
            let alone = plan.average(&other[..6 * n]).unwrap().0;
            let both = plan.average(&sum).unwrap().0;
            prop_assert!(both.iter().zip(alone.iter().zip(&turn)).all(|(s, (a, b))| (s - a - b).abs() < 1e-14));
        }
    }

    #[test]
    fn bad_samples_stay_in_their_place_and_bad_plans_are_refused() {
        let plan = SynchronousAverage::new(4, 1).unwrap();
        let mut x = vec![1.0; 12];
        x[6] = f64::NAN;
        let (average, got) = plan.average(&x).unwrap();
        assert!(average.iter().enumerate().all(|(k, v)| v.is_nan() == (k == 2)) && got.remaining_noise.is_nan());
        assert_eq!(plan.average(&x[..3]).unwrap_err().kind(), ErrorKind::InsufficientData);
        assert_eq!(plan.average(&[]).unwrap_err().kind(), ErrorKind::InsufficientData);
        assert!(plan.average_into(&x, &mut [0.0; 3]).is_err());
        for (l, r) in [(0, 1), (1, 0), (usize::MAX, 2), (1 << 24, 2)] {
            assert_eq!(
                SynchronousAverage::new(l, r).unwrap_err().kind(),
                ErrorKind::InvalidParameter
            );
        }
    }
}
