//! Exponentially weighted mean and variance.

use super::statistic::{check_time, check_times};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Readings beyond this are missing: their squares, and sums of those, must stay finite.
const LARGEST: f64 = 1e150;
/// The longest span, half-life or least count.
const LONGEST: f64 = 1e12;

/// Exponentially weighted mean and variance: older readings weigh less, by their age in rows or in time.
///
/// With `w_i` the weight of reading `x_i` now, the mean is `m = Σ w_i x_i / Σ w_i` and the variance
/// `Σ w_i (x_i - m)² / Σ w_i`, or that times `(Σ w)² / ((Σ w)² - Σ w²)` if [`bias_corrected`](Ewma::bias_corrected). Weights
/// fall by `1 - α` a row, or by half in each half-life of elapsed time: then spacing may be irregular.
///
/// A reading enters with weight 1, against the sum of all weights before it (pandas' `adjust=True`). If
/// [`recursive`](Ewma::recursive), it enters with `α` against `1 - α`, or with `1 - 2^(-Δt/h)` against `2^(-Δt/h)`: the
/// first reading then weighs as if it had always been there (`adjust=False`).
///
/// Missing readings (NaN, infinity, beyond 1e150) leave mean and variance, and age the weights (`ignore_na=False`). Below
/// [`min_count`](Ewma::min_count) readings, 1 unless set, the result is NaN; so is the bias-corrected variance of one
/// reading. The variance is never below zero, and zero where all readings were equal. An outlier is never quite forgotten:
/// its part falls with its weight. Rounding does not add up, it decays likewise.
///
/// `O(1)` a row, in memory of a few numbers. Nothing is allocated but by what returns a vector.
///
/// ```
/// use prognos::features::rolling::Ewma;
/// let ewma = Ewma::alpha(0.5)?.recursive();
/// let mut out = [0.0; 3];
/// ewma.mean_into(&[4.0, 8.0, f64::NAN], &mut out)?;
/// assert_eq!(out, [4.0, 6.0, 6.0]);
///
/// let ewma = Ewma::time_half_life(10.0)?; // seconds
/// let mut state = ewma.new_state();
/// ewma.push_at(&mut state, 0.0, 3.0)?;
/// ewma.push_at(&mut state, 10.0, 6.0)?;
/// assert_eq!(ewma.mean(&state)?, 5.0); // (3 / 2 + 6) / (1 / 2 + 1)
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Source: West (1979), <https://doi.org/10.1145/359146.359153>, for the update of weighted variances.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EwmaRecord", into = "EwmaRecord")]
pub struct Ewma {
    decay: Decay,
    recursive: bool,
    corrected: bool,
    min_count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decay {
    /// Weight of a reading against the past, per row.
    Alpha(f64),
    /// Time in which a weight falls by half.
    HalfLife(f64),
}

#[derive(Serialize, Deserialize)]
struct EwmaRecord {
    decay: Decay,
    recursive: bool,
    corrected: bool,
    min_count: u64,
}

impl From<Ewma> for EwmaRecord {
    fn from(ewma: Ewma) -> Self {
        Self {
            decay: ewma.decay,
            recursive: ewma.recursive,
            corrected: ewma.corrected,
            min_count: ewma.min_count,
        }
    }
}

impl TryFrom<EwmaRecord> for Ewma {
    type Error = Error;

    fn try_from(record: EwmaRecord) -> Result<Self> {
        let mut ewma = match record.decay {
            Decay::Alpha(alpha) => Self::alpha(alpha)?,
            Decay::HalfLife(time) => Self::time_half_life(time)?,
        };
        (ewma.recursive, ewma.corrected) = (record.recursive, record.corrected);
        ewma.min_count(record.min_count)
    }
}

/// What an [`Ewma`] knows of a signal so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EwmaStateRecord", into = "EwmaStateRecord")]
pub struct EwmaState {
    ewma: Ewma,
    n: u64,
    time: Option<f64>,
    /// Sum of weights as of the newest row, and of products of the weights of different readings.
    weight: f64,
    products: f64,
    mean: f64,
    variance: f64,
}

#[derive(Serialize, Deserialize)]
struct EwmaStateRecord {
    ewma: Ewma,
    n: u64,
    time: Option<f64>,
    weight: f64,
    products: f64,
    mean: f64,
    variance: f64,
}

impl From<EwmaState> for EwmaStateRecord {
    fn from(s: EwmaState) -> Self {
        Self {
            ewma: s.ewma,
            n: s.n,
            time: s.time,
            weight: s.weight,
            products: s.products,
            mean: s.mean,
            variance: s.variance,
        }
    }
}

impl TryFrom<EwmaStateRecord> for EwmaState {
    type Error = Error;

    fn try_from(s: EwmaStateRecord) -> Result<Self> {
        let timed = matches!(s.ewma.decay, Decay::HalfLife(_));
        let time_fits = s.time.is_none_or(|t| timed && t.is_finite()) && (s.n == 0 || s.time.is_some() == timed);
        // Each reading adds at most 1 to the weights; where recursive they are made to sum to 1 again.
        let most = if s.ewma.recursive {
            s.n.min(1) as f64
        } else {
            s.n as f64 * (1.0 + 1e-9)
        };
        // (Σ w)² is twice these products, and Σ w².
        let most_products = 0.5 * s.weight * s.weight * (1.0 + 1e-9);
        let sums = (0.0..=most).contains(&s.weight) && (0.0..=most_products).contains(&s.products);
        let values = s.mean.abs() <= 2.0 * LARGEST && (0.0..=1e302).contains(&s.variance);
        // No reading is no mean, one no variance.
        let few = (s.n > 0 || s.mean == 0.0) && (s.n > 1 || (s.variance == 0.0 && s.products == 0.0));
        if !(time_fits && sums && values && few) {
            return Err(Error::persistence(
                "numbers of an EWMA's state are none it could have come to",
            ));
        }
        Ok(Self {
            ewma: s.ewma,
            n: s.n,
            time: s.time,
            weight: s.weight,
            products: s.products,
            mean: s.mean,
            variance: s.variance,
        })
    }
}

impl Ewma {
    fn of(decay: Decay) -> Self {
        Self {
            decay,
            recursive: false,
            corrected: false,
            min_count: 1,
        }
    }

    /// Weights fall by `1 - alpha` a row.
    ///
    /// # Errors
    /// `InvalidParameter` unless `alpha` is above 0 and at most 1.
    pub fn alpha(alpha: f64) -> Result<Self> {
        if !(alpha > 0.0 && alpha <= 1.0) {
            return Err(Error::parameter("alpha", "above 0 and at most 1", alpha));
        }
        Ok(Self::of(Decay::Alpha(alpha)))
    }

    /// Weights fall as slowly as in a mean over some `span` rows: `alpha = 2 / (span + 1)`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `span` is in 1..=1e12.
    pub fn span(span: f64) -> Result<Self> {
        if !(1.0..=LONGEST).contains(&span) {
            return Err(Error::parameter("span", "in 1..=1e12", span));
        }
        Self::alpha(2.0 / (span + 1.0))
    }

    /// Weights fall by half in so many rows: `alpha = 1 - 2^(-1 / rows)`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `rows` is above 0 and at most 1e12.
    pub fn half_life(rows: f64) -> Result<Self> {
        if !(rows > 0.0 && rows <= LONGEST) {
            return Err(Error::parameter("half-life", "above 0 and at most 1e12 rows", rows));
        }
        Self::alpha(-libm::expm1(-std::f64::consts::LN_2 / rows))
    }

    /// Weights fall by half in each `time` that elapses, in the unit of the times that will be pushed.
    ///
    /// # Errors
    /// `InvalidParameter` unless `time` is finite and above 0.
    pub fn time_half_life(time: f64) -> Result<Self> {
        if !(time.is_finite() && time > 0.0) {
            return Err(Error::parameter("half-life", "finite and above 0", time));
        }
        Ok(Self::of(Decay::HalfLife(time)))
    }

    /// The same with the first reading weighing as if it had always been there.
    #[must_use]
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// The same with variances corrected for bias.
    #[must_use]
    pub fn bias_corrected(mut self) -> Self {
        self.corrected = true;
        self
    }

    /// The same with another number of readings that must have come before there is a result.
    ///
    /// # Errors
    /// `InvalidParameter` unless `n` is in 1..=1e12.
    pub fn min_count(mut self, n: u64) -> Result<Self> {
        if !(1..=LONGEST as u64).contains(&n) {
            return Err(Error::parameter("min_count", "in 1..=1e12", n));
        }
        self.min_count = n;
        Ok(self)
    }

    /// The state of a signal of which no row was seen.
    pub fn new_state(&self) -> EwmaState {
        EwmaState {
            ewma: *self,
            n: 0,
            time: None,
            weight: 0.0,
            products: 0.0,
            mean: 0.0,
            variance: 0.0,
        }
    }

    /// Takes the next row, weights falling by rows.
    ///
    /// # Errors
    /// `InvalidInput` where weights fall by time, `StateMismatch` for a state of another plan; the state is then unchanged.
    pub fn push(&self, state: &mut EwmaState, x: f64) -> Result<()> {
        self.check_state(state)?;
        let Decay::Alpha(alpha) = self.decay else {
            return Err(Error::input("row of an EWMA over time", "a time with it", "none"));
        };
        state.age(1.0 - alpha);
        state.take(if self.recursive { alpha } else { 1.0 }, x);
        Ok(())
    }

    /// Takes the row at `time`, weights falling by time.
    ///
    /// # Errors
    /// `InvalidInput` where weights fall by rows, or `time` is not finite or not after the newest row's; `StateMismatch` for
    /// a state of another plan. The state is then unchanged.
    pub fn push_at(&self, state: &mut EwmaState, time: f64, x: f64) -> Result<()> {
        self.check_state(state)?;
        let Decay::HalfLife(half_life) = self.decay else {
            return Err(Error::input("row of an EWMA over rows", "no time with it", "one"));
        };
        check_time(state.time, time)?;
        let factor = state.time.map_or(1.0, |before| libm::exp2((before - time) / half_life));
        state.time = Some(time);
        state.age(factor);
        // Where recursive, weights sum to 1 as of the newest reading: what is gone of them since is the new one's.
        state.take(
            if self.recursive {
                (1.0 - state.weight).max(0.0)
            } else {
                1.0
            },
            x,
        );
        Ok(())
    }

    /// The mean as of the newest row.
    ///
    /// # Errors
    /// `StateMismatch` for a state of another plan.
    pub fn mean(&self, state: &EwmaState) -> Result<f64> {
        self.check_state(state)?;
        Ok(self.mean_of(state))
    }

    /// The variance as of the newest row.
    ///
    /// # Errors
    /// `StateMismatch` for a state of another plan.
    pub fn variance(&self, state: &EwmaState) -> Result<f64> {
        self.check_state(state)?;
        Ok(self.variance_of(state))
    }

    fn mean_of(&self, state: &EwmaState) -> f64 {
        if state.n >= self.min_count {
            state.mean
        } else {
            f64::NAN
        }
    }

    fn variance_of(&self, state: &EwmaState) -> f64 {
        if state.n < self.min_count {
            return f64::NAN;
        }
        if !self.corrected {
            return state.variance;
        }
        // (Σ w)² - Σ w² is twice the products of different weights; as sum of these it does not cancel.
        if state.products > 0.0 {
            state.variance * (state.weight * state.weight / (2.0 * state.products))
        } else {
            f64::NAN
        }
    }

    /// Writes the mean as of each row, weights falling by rows: what a state gives that takes them one by one.
    ///
    /// # Errors
    /// `InvalidInput` where `out` has another length than `x`, or weights fall by time.
    pub fn mean_into(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.each(x, out, Self::mean_of)
    }

    /// Writes the variance as of each row, weights falling by rows.
    ///
    /// # Errors
    /// As [`mean_into`](Ewma::mean_into).
    pub fn variance_into(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.each(x, out, Self::variance_of)
    }

    /// Writes the mean as of each row at these times, weights falling by time.
    ///
    /// # Errors
    /// `InvalidInput` where the lengths differ, a time is not finite or not after the one before it, or weights fall by rows;
    /// nothing is written then.
    pub fn mean_at_into(&self, times: &[f64], x: &[f64], out: &mut [f64]) -> Result<()> {
        self.each_at(times, x, out, Self::mean_of)
    }

    /// Writes the variance as of each row at these times, weights falling by time.
    ///
    /// # Errors
    /// As [`mean_at_into`](Ewma::mean_at_into).
    pub fn variance_at_into(&self, times: &[f64], x: &[f64], out: &mut [f64]) -> Result<()> {
        self.each_at(times, x, out, Self::variance_of)
    }

    fn each(&self, x: &[f64], out: &mut [f64], value: impl Fn(&Self, &EwmaState) -> f64) -> Result<()> {
        if x.len() != out.len() {
            return Err(Error::input("places of an EWMA", x.len(), out.len()));
        }
        let mut state = self.new_state();
        for (v, o) in x.iter().zip(out) {
            self.push(&mut state, *v)?;
            *o = value(self, &state);
        }
        Ok(())
    }

    fn each_at(
        &self,
        times: &[f64],
        x: &[f64],
        out: &mut [f64],
        value: impl Fn(&Self, &EwmaState) -> f64,
    ) -> Result<()> {
        if x.len() != out.len() || x.len() != times.len() {
            let got = format!("{} at {} times", out.len(), times.len());
            return Err(Error::input("places of an EWMA", x.len(), got));
        }
        check_times(times)?;
        let mut state = self.new_state();
        for ((t, v), o) in times.iter().zip(x).zip(out) {
            self.push_at(&mut state, *t, *v)?;
            *o = value(self, &state);
        }
        Ok(())
    }

    fn check_state(&self, state: &EwmaState) -> Result<()> {
        if state.ewma == *self {
            Ok(())
        } else {
            let show = |ewma: &Self| format!("{ewma:?}");
            Err(Error::state("EWMA state", show(self), show(&state.ewma)))
        }
    }
}

impl EwmaState {
    /// The plan it belongs to.
    pub fn plan(&self) -> &Ewma {
        &self.ewma
    }

    /// All weights fall.
    #[inline]
    fn age(&mut self, factor: f64) {
        self.weight *= factor;
        self.products *= factor * factor;
    }

    /// Takes a reading of this weight.
    #[inline]
    fn take(&mut self, weight: f64, x: f64) {
        if x.is_nan() || x.abs() > LARGEST {
            return;
        }
        self.n = self.n.saturating_add(1);
        if self.n == 1 {
            (self.weight, self.products, self.mean, self.variance) = (1.0, 0.0, x, 0.0);
            return;
        }
        let total = self.weight + weight;
        // Two weights of nothing: neither reading is newer by anything that can be told.
        let share = if total > 0.0 { weight / total } else { 1.0 };
        let change = x - self.mean;
        self.mean += share * change;
        self.variance = (1.0 - share) * (self.variance + share * (change * change));
        self.products += self.weight * weight;
        self.weight = total;
        if self.ewma.recursive {
            self.products /= total * total;
            self.weight = 1.0;
        }
    }
}
