//! The 22 canonical characteristics of a time series.

mod autocorrelation;
mod bins;
mod distribution;
mod fluctuation;
mod forecast;
mod increments;
mod periodicity;
mod spectrum;
mod symbolic;
mod transform;

use crate::{
    error::{Error, Result},
    signal::mean_of,
};
use autocorrelation::{Correlator, CorrelatorScratch};
use distribution::OutlierScratch;
use fluctuation::{Fluctuation, FluctuationScratch, Measure};
use increments::EmbeddingScratch;
use periodicity::Periodicity;
use spectrum::{Periodogram, PeriodogramScratch};
use std::{fmt, ops::RangeInclusive};

/// The published short names, in the order of the values.
pub const NAMES: [&str; 22] = [
    "mode_5",
    "mode_10",
    "outlier_timing_pos",
    "outlier_timing_neg",
    "acf_timescale",
    "acf_first_min",
    "low_freq_power",
    "median_freq",
    "forecast_error",
    "whiten_timescale",
    "high_fluctuation",
    "stretch_high",
    "stretch_decreasing",
    "entropy_pairs",
    "ami2",
    "trev",
    "ami_timescale",
    "transition_variance",
    "periodicity",
    "embedding_dist",
    "rs_range",
    "dfa",
];

/// Their units, in the same order; all others are pure numbers.
pub const UNITS: [&str; 22] = {
    let mut units = [""; 22];
    // Timescales, lags and longest stretches count samples.
    let (mut i, in_samples) = (0, [4, 5, 11, 12, 16, 18]);
    while i < in_samples.len() {
        units[in_samples[i]] = "samples";
        i += 1;
    }
    units[7] = "rad/sample";
    units
};

/// Samples of a window that a plan can be made for.
const LENGTHS: RangeInclusive<usize> = 10..=1 << 20;

/// The plan of the 22 canonical characteristics (catch22) of windows of one length: few features, picked out of some
/// thousands for how well they tell series apart, that say different things.
///
/// They are taken of `z = (x - mean) / sd`, `sd` over `n - 1`: scale and offset do not show. Definitions are those of hctsa
/// 3.0, values those of pycatch22 1.0 with `mask_nans=False`; before pycatch22 1.0, most differed. `ρ` is the autocorrelation
/// `Σ z[i] z[i + k] / Σ z²` and `τ` its first lag not above zero.
///
/// | name | of hctsa | what |
/// |---|---|---|
/// | `mode_5`, `mode_10` | `DN_HistogramMode_5`, `_10` | centre of the fullest of 5, 10 bins of equal width; the mean of several |
/// | `outlier_timing_pos`, `_neg` | `DN_OutlierInclude_p_001_mdrmd`, `_n_` | when large values (small values) come: -1 begin, 1 end; median over thresholds 0.01 apart of the median position beyond |
/// | `acf_timescale` | `CO_FirstCrossing_acf_1e_pointOfCrossing` | where `ρ` first falls below `1/e`, in samples, between lags on a line |
/// | `acf_first_min` | `CO_FirstMin_ac` | lag of the first minimum of `ρ`; `n` without one |
/// | `low_freq_power` | `SP_Summaries_fft_area_5_1` | power in the lowest fifth of the frequencies |
/// | `median_freq` | `SP_Summaries_fft_wq_50` | angular frequency (radians a sample) that half of the power lies below |
/// | `forecast_error` | `FC_LocalSimple_mean3_stde` | standard deviation of what the mean of three samples misses the next by |
/// | `whiten_timescale` | `FC_LocalSimple_mean1_taurat` | first zero of the autocorrelation of `z[i + 1] - z[i]` over that of `z`, both between lags |
/// | `high_fluctuation` | `MD_pNN_pnn40` | share of steps above 0.04 |
/// | `stretch_high` | `SB_BinaryStats_mean_longstretch1` | longest run above the mean |
/// | `stretch_decreasing` | `SB_BinaryStats_diff_longstretch0` | longest run of steps that do not rise |
/// | `entropy_pairs` | `SB_MotifThree_quantile_hh` | entropy (nats) of pairs of letters, three letters by quantiles, corrected for bias |
/// | `ami2` | `CO_HistogramAMI_even_5bin_ami2` | mutual information (nats) two samples apart, 5 by 5 bins, corrected for bias |
/// | `trev` | `CO_trev_1_num` | mean cube of the steps: asymmetry in time |
/// | `ami_timescale` | `IN_AutoMutualInfoStats_40_gaussian_fmmi` | lag of the first minimum of the mutual information `-½ ln(1 - r²)`; `min(40, ⌈n / 2⌉)` without one |
/// | `transition_variance` | `SB_TransitionMatrix_quantile_3_ac_sumdiagcov` | variances of the columns of the transition matrix of three letters, summed, after decimation by `min(τ, n / 50)` |
/// | `periodicity` | `PD_PeriodicityWang_th0_01` | lag of the first peak of the autocovariance, less a spline, 0.01 above the trough before; 0 without one |
/// | `embedding_dist` | `CO_Embed2_Dist_tau_d_expfit_meandiff` | how far the steps of `(z[i], z[i + min(τ, n / 10)])` are from exponential lengths |
/// | `rs_range` | `SC_FluctAnal_2_rsrangefit_50_1_logi_prop_r1` | where the growth of the running sum's range with the window's length bends, as a share of the lengths |
/// | `dfa` | `SC_FluctAnal_2_dfa_50_1_2_logi_prop_r1` | the same of the standard deviation, of every second sample |
///
/// What a window does not have is NaN: `rs_range` below 40 samples, `dfa` below 79 and both where fluctuations are but
/// rounding; `embedding_dist` where all steps are the same, as on a ramp. A window with NaN or infinity, or all of one value,
/// has NaN only. Under an offset that is large against the spread, all are as good as `x - mean` is. Where samples repeat
/// exactly (a noiseless period, few levels), features that compare neighbouring lags or lengths may rest on rounding and
/// differ from the reference.
///
/// # Cost
/// `O(n log n)`: seven transforms of up to about twice the window; 50 passes over it for each of the last two. The plan
/// holds some `10 n` numbers. Nothing is allocated for a window.
///
/// Source: Lubba et al. (2019), <https://doi.org/10.1007/s10618-019-00647-x>.
///
/// ```
/// use prognos::features::catch22::{Catch22, NAMES};
/// let plan = Catch22::new(500)?;
/// let x: Vec<f64> = (0..500).map(|i| (std::f64::consts::TAU * f64::from(i) / 25.0).sin()).collect();
/// let values = plan.extract(&x)?;
/// let period = NAMES.iter().position(|name| *name == "periodicity").unwrap();
/// assert_eq!(values[period], 25.0);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone)]
pub struct Catch22 {
    n: usize,
    correlator: Correlator,
    periodogram: Periodogram,
    periodicity: Periodicity,
    range: Fluctuation,
    deviation: Fluctuation,
}

/// Work space of one thread for [`Catch22`].
#[derive(Clone)]
pub struct Catch22Scratch {
    z: Vec<f64>,
    increments: Vec<f64>,
    correlation: Vec<f64>,
    values: Vec<f64>,
    more: Vec<f64>,
    taps: Vec<f64>,
    correlator: CorrelatorScratch,
    periodogram: PeriodogramScratch,
    outliers: OutlierScratch,
    embedding: EmbeddingScratch,
    fluctuation: FluctuationScratch,
}

impl Catch22 {
    /// The plan for windows of `n_samples`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n_samples` is in 10..=2^20.
    pub fn new(n_samples: usize) -> Result<Self> {
        if !LENGTHS.contains(&n_samples) {
            return Err(Error::parameter("n_samples", format!("in {LENGTHS:?}"), n_samples));
        }
        Ok(Self {
            n: n_samples,
            correlator: Correlator::new(n_samples),
            periodogram: Periodogram::new(n_samples),
            periodicity: Periodicity::new(n_samples),
            range: Fluctuation::new(n_samples, 1, Measure::Range),
            deviation: Fluctuation::new(n_samples, 2, Measure::Deviation),
        })
    }

    /// Samples of a window.
    pub fn n_samples(&self) -> usize {
        self.n
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> Catch22Scratch {
        let n = self.n;
        Catch22Scratch {
            z: vec![0.0; n],
            increments: Vec::with_capacity(n),
            correlation: vec![0.0; n],
            values: Vec::with_capacity(n),
            more: Vec::with_capacity(n),
            taps: Vec::with_capacity(20 * self.decimation(n) + 1),
            correlator: self.correlator.new_scratch(),
            periodogram: self.periodogram.new_scratch(),
            outliers: OutlierScratch::new(n),
            embedding: EmbeddingScratch::new(n),
            fluctuation: FluctuationScratch::new(n),
        }
    }

    /// Writes the characteristics of one window, in the order of [`NAMES`].
    ///
    /// # Errors
    /// `InvalidInput` where the window or the scratch is of another length than the plan.
    pub fn extract_into(&self, x: &[f64], scratch: &mut Catch22Scratch, out: &mut [f64; 22]) -> Result<()> {
        for (what, got) in [
            ("samples of a window", x.len()),
            ("samples the scratch of catch22 is for", scratch.z.len()),
        ] {
            if got != self.n {
                return Err(Error::input(what, self.n, got));
            }
        }
        let s = scratch;
        if !standardise(x, &mut s.z) {
            out.fill(f64::NAN);
            return Ok(());
        }
        let z = &s.z;
        s.increments.clear();
        s.increments.extend(z.iter().zip(z.iter().skip(1)).map(|(a, b)| b - a));
        let r = &mut s.correlation;
        self.correlator.correlate_into(z, &mut s.correlator, r)?;
        let zero = autocorrelation::first_zero(r);
        let range = range_of(z);
        let (low_power, median_frequency) = self.periodogram.summary(z, &mut s.periodogram)?;
        let (values, more) = (&mut s.values, &mut s.more);
        let whitening = forecast::whitening(&s.increments, r, &self.correlator, &mut s.correlator, values, more)?;
        let period = self
            .periodicity
            .period(z, &self.correlator, &mut s.correlator, values, more)?;
        let transitions = symbolic::transitions(z, values);
        let step = self.decimation(zero);
        let thinned_transitions = if step == 1 {
            transitions
        } else {
            symbolic::thin_out(z, step, &mut s.taps, more);
            symbolic::transitions(more, values)
        };
        let lag = zero.min(self.n / 10).max(1);
        *out = [
            bins::mode::<5>(z, range),
            bins::mode::<10>(z, range),
            distribution::outlier_timing(z, 1.0, &mut s.outliers),
            distribution::outlier_timing(z, -1.0, &mut s.outliers),
            autocorrelation::timescale(r),
            autocorrelation::first_minimum(r),
            low_power,
            median_frequency,
            forecast::error_of_three(z),
            whitening,
            increments::large_steps(&s.increments),
            symbolic::longest_run(z, |v| v > 0.0),
            symbolic::longest_run(&s.increments, |d| d <= 0.0),
            symbolic::pair_entropy(&transitions),
            bins::mutual_information(z, range),
            increments::asymmetry(&s.increments),
            autocorrelation::information_timescale(z, r),
            symbolic::transition_variance(&thinned_transitions),
            period,
            increments::embedding_distance(&s.increments, lag, &mut s.embedding),
            self.range.bend(z, &mut s.fluctuation),
            self.deviation.bend(z, &mut s.fluctuation),
        ];
        Ok(())
    }

    /// The characteristics of one window, with work space of its own.
    ///
    /// # Errors
    /// As [`extract_into`](Catch22::extract_into).
    pub fn extract(&self, x: &[f64]) -> Result<[f64; 22]> {
        let mut out = [f64::NAN; 22];
        self.extract_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// By how much transitions are thinned out: to samples that do not correlate, of which 50 must be left.
    fn decimation(&self, first_zero: usize) -> usize {
        first_zero.min(self.n / 50).max(1)
    }
}

impl fmt::Debug for Catch22 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catch22")
            .field("n_samples", &self.n)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Catch22Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catch22Scratch").finish_non_exhaustive()
    }
}

/// Lowest and highest value.
fn range_of(x: &[f64]) -> (f64, f64) {
    x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (if *v < low { *v } else { low }, if *v > high { *v } else { high })
    })
}

/// Writes `(x - mean) / sd`; false where `x` is not finite or all of one value.
fn standardise(x: &[f64], z: &mut [f64]) -> bool {
    let (low, high) = range_of(x);
    // Where there is none but NaN, the range is upside down.
    if low >= high || x.iter().any(|v| !v.is_finite()) {
        return false;
    }
    // A power of two keeps squares of huge and of tiny values in range, and every bit of the samples.
    let largest = high.max(-low);
    let scale = if (1e-100..1e100).contains(&largest) {
        1.0
    } else {
        libm::ldexp(1.0, (-libm::frexp(largest).1).clamp(-1000, 1000))
    };
    z.iter_mut().zip(x).for_each(|(z, x)| *z = scale * x);
    let mean = mean_of(z);
    z.iter_mut().for_each(|z| *z -= mean);
    let squares: f64 = z.iter().map(|z| z * z).sum();
    let sd = (squares / (z.len() as f64 - 1.0)).sqrt();
    z.iter_mut().for_each(|z| *z /= sd);
    sd > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    fn same(a: &[f64; 22], b: &[f64; 22]) -> bool {
        a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
    }

    proptest! {
        #[test]
        fn scale_by_a_power_of_two_changes_no_bit(
            x in prop::collection::vec(-1000..1000_i32, 10..200), exponent in -300..300_i32,
        ) {
            let x: Vec<f64> = x.into_iter().map(|v| f64::from(v) / 16.0).collect();
            let plan = Catch22::new(x.len()).unwrap();
            let y: Vec<f64> = x.iter().map(|v| libm::ldexp(*v, exponent)).collect();
            let mut s = plan.new_scratch();
            let (mut a, mut b) = ([0.0; 22], [0.0; 22]);
            plan.extract_into(&x, &mut s, &mut a).unwrap();
            plan.extract_into(&y, &mut s, &mut b).unwrap();
            prop_assert!(same(&a, &b), "{a:?} {b:?}");
        }

        #[test]
        fn any_bits_give_values_or_nan(bits in prop::collection::vec(any::<u64>(), 10..120)) {
            let x: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
            let plan = Catch22::new(x.len()).unwrap();
            let values = plan.extract(&x).unwrap();
            if x.iter().any(|v| !v.is_finite()) {
                prop_assert!(values.iter().all(|v| v.is_nan()));
            }
            prop_assert!(values.iter().all(|v| !v.is_infinite()), "{values:?}");
        }
    }

    #[test]
    fn bad_windows_have_nan_only_and_steps_that_are_the_same_no_distance() {
        let good: Vec<f64> = (0..100_i32).map(|i| f64::from(i * i * 7919 % 1013)).collect();
        let plan = Catch22::new(100).unwrap();
        let with = |v: f64| {
            let mut x = good.clone();
            x[57] = v;
            x
        };
        let mut scratch = plan.new_scratch();
        let mut out = [0.0; 22];
        for bad in [
            vec![0.1; 100],
            vec![0.0; 100],
            vec![f64::NAN; 100],
            vec![f64::INFINITY; 100],
            with(f64::NAN),
            with(f64::INFINITY),
            with(f64::NEG_INFINITY),
        ] {
            plan.extract_into(&bad, &mut scratch, &mut out).unwrap();
            assert!(out.iter().all(|v| v.is_nan()), "{out:?}");
        }
        plan.extract_into(&good, &mut scratch, &mut out).unwrap();
        assert!(out.iter().all(|v| v.is_finite()) && same(&out, &plan.extract(&good).unwrap()));
        for huge in [1.7e308, -1.7e308, 1e-320] {
            let values = plan.extract(&with(huge)).unwrap();
            // Beside a spike all else is flat: where windows end at it, the last two are left with rounding.
            assert!(values.iter().take(20).all(|v| v.is_finite()), "{values:?}");
        }
        let ramp: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(plan.extract(&ramp).unwrap()[19].is_nan());
    }

    #[test]
    fn lengths_are_checked() {
        for n in [0, 1, 9, (1 << 20) + 1, usize::MAX] {
            assert_eq!(Catch22::new(n).unwrap_err().kind(), ErrorKind::InvalidParameter);
        }
        let (plan, other) = (Catch22::new(10).unwrap(), Catch22::new(11).unwrap());
        let mut out = [0.0; 22];
        for n in [0, 9, 11] {
            let e = plan.extract_into(&vec![1.0; n], &mut plan.new_scratch(), &mut out);
            assert_eq!(e.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let e = plan.extract_into(&[1.0; 10], &mut other.new_scratch(), &mut out);
        assert_eq!(e.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(plan.n_samples(), 10);
    }
}
