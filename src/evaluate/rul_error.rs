//! Errors of remaining-life predictions and of their intervals.

use crate::error::{Error, Result};
use std::{collections::HashMap, hash::Hash};

/// Root of the mean squared error, `sqrt(Σ (pred - truth)² / n)`, in the unit of the lives.
///
/// ```
/// let rmse = prognos::evaluate::rmse(&[3.0, 10.0], &[0.0, 14.0])?;
/// assert_eq!(rmse, 12.5_f64.sqrt());
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` for slices of different lengths or a number that is not finite; `InsufficientData` without a row.
pub fn rmse(pred: &[f64], truth: &[f64]) -> Result<f64> {
    let mean = mean(pred, truth, None, |pred, truth| (pred - truth) * (pred - truth))?;
    Ok(mean.sqrt())
}

/// [`rmse`] with row `i` counted `weights[i]` times: `sqrt(Σ w (pred - truth)² / Σ w)`.
///
/// ```
/// use prognos::evaluate::{asset_weights, rmse_weighted};
/// // Three rows of one pump, one of another: each pump counts half.
/// let weights = asset_weights(&["a", "a", "a", "b"])?;
/// assert_eq!(rmse_weighted(&[1.0, 1.0, 1.0, 7.0], &[0.0; 4], &weights)?, 5.0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`rmse`], and `InvalidInput` for a weight that is negative or not finite, or weights that sum to zero.
pub fn rmse_weighted(pred: &[f64], truth: &[f64], weights: &[f64]) -> Result<f64> {
    let mean = mean(pred, truth, Some(weights), |pred, truth| {
        (pred - truth) * (pred - truth)
    })?;
    Ok(mean.sqrt())
}

/// Mean absolute error, `Σ |pred - truth| / n`, in the unit of the lives.
///
/// ```
/// assert_eq!(prognos::evaluate::mae(&[3.0, 10.0], &[0.0, 14.0])?, 3.5);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`rmse`].
pub fn mae(pred: &[f64], truth: &[f64]) -> Result<f64> {
    mean(pred, truth, None, |pred, truth| (pred - truth).abs())
}

/// [`mae`] with row `i` counted `weights[i]` times: `Σ w |pred - truth| / Σ w`.
///
/// # Errors
/// As [`rmse_weighted`].
pub fn mae_weighted(pred: &[f64], truth: &[f64], weights: &[f64]) -> Result<f64> {
    mean(pred, truth, Some(weights), |pred, truth| (pred - truth).abs())
}

/// The score of the 2008 prognostics challenge, a sum over rows; lower is better, 0 is perfect.
///
/// With `d = pred - truth`, a row costs `exp(-d/13) - 1` where `d < 0` (failure foretold early) and `exp(d/10) - 1`
/// otherwise (late, which is worse). Lives are in cycles: the constants have that unit. A row that is very wrong outweighs all
/// others, and an error beyond some 7,000 cycles gives infinity.
///
/// Source: A. Saxena et al., PHM 2008, [doi:10.1109/PHM.2008.4711414](https://doi.org/10.1109/PHM.2008.4711414).
///
/// ```
/// use prognos::evaluate::phm08_score;
/// let (early, late) = (phm08_score(&[90.0], &[100.0])?, phm08_score(&[110.0], &[100.0])?);
/// assert!(0.0 < early && early < late);
/// assert!((late - (1.0_f64.exp() - 1.0)).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`rmse`].
pub fn phm08_score(pred: &[f64], truth: &[f64]) -> Result<f64> {
    Ok(sums(pred, truth, None, phm08_cost)?.0)
}

/// [`phm08_score`] with row `i` counted `weights[i]` times: `Σ w cost`. With [`asset_weights`] it is the sum over assets
/// of each one's mean cost.
///
/// # Errors
/// As [`rmse_weighted`].
pub fn phm08_score_weighted(pred: &[f64], truth: &[f64], weights: &[f64]) -> Result<f64> {
    Ok(sums(pred, truth, Some(weights), phm08_cost)?.0)
}

fn phm08_cost(pred: f64, truth: f64) -> f64 {
    let d = pred - truth;
    libm::expm1(if d < 0.0 { -d / 13.0 } else { d / 10.0 })
}

/// The score of the 2012 prognostics challenge (bearings of PRONOSTIA), a mean over rows, there one a bearing: from 0 to 1,
/// higher is better, 1 is perfect.
///
/// With the error in percent of the true remaining life, `e = 100 (truth - pred) / truth`, a row scores `2^(e/5)` where
/// `e <= 0` (failure foretold late) and `2^(-e/20)` otherwise (early, which is forgiven more): half a point at 5% too long and
/// at 20% too short.
///
/// Source: P. Nectoux et al., IEEE PHM 2012, [hal-00719503](https://hal.science/hal-00719503).
///
/// ```
/// let score = prognos::evaluate::phm12_score(&[105.0, 80.0, 100.0, 100.0], &[100.0; 4])?;
/// assert_eq!(score, (0.5 + 0.5 + 1.0 + 1.0) / 4.0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`rmse`], and `InvalidInput` for a true life that is not above zero: the error in percent has no meaning there.
pub fn phm12_score(pred: &[f64], truth: &[f64]) -> Result<f64> {
    expect_above_zero(("truth", truth))?;
    mean(pred, truth, None, phm12_points)
}

/// [`phm12_score`] with row `i` counted `weights[i]` times: `Σ w points / Σ w`.
///
/// # Errors
/// As [`phm12_score`] and [`rmse_weighted`].
pub fn phm12_score_weighted(pred: &[f64], truth: &[f64], weights: &[f64]) -> Result<f64> {
    expect_above_zero(("truth", truth))?;
    mean(pred, truth, Some(weights), phm12_points)
}

fn phm12_points(pred: f64, truth: f64) -> f64 {
    let error_percent = 100.0 * (truth - pred) / truth;
    libm::exp2(if error_percent <= 0.0 {
        error_percent / 5.0
    } else {
        -error_percent / 20.0
    })
}

/// The fraction of rows whose interval holds the truth: `lower <= truth <= upper`.
///
/// Intervals of nominal level 0.9 should cover about 0.9 of the rows, not more: see [`mean_width`] beside it.
///
/// ```
/// let covered = prognos::evaluate::coverage(&[0.0, 5.0], &[4.0, 9.0], &[4.0, 4.9])?;
/// assert_eq!(covered, 0.5);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`rmse`], and `InvalidInput` where a lower end lies above its upper end.
pub fn coverage(lower: &[f64], upper: &[f64], truth: &[f64]) -> Result<f64> {
    covered(lower, upper, truth, None)
}

/// [`coverage`] with row `i` counted `weights[i]` times.
///
/// # Errors
/// As [`coverage`] and [`rmse_weighted`].
pub fn coverage_weighted(lower: &[f64], upper: &[f64], truth: &[f64], weights: &[f64]) -> Result<f64> {
    covered(lower, upper, truth, Some(weights))
}

/// Mean width of intervals, `Σ (upper - lower) / n`, in the unit of the lives.
///
/// ```
/// assert_eq!(prognos::evaluate::mean_width(&[0.0, 5.0], &[4.0, 7.0])?, 3.0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`coverage`].
pub fn mean_width(lower: &[f64], upper: &[f64]) -> Result<f64> {
    expect_ordered(lower, upper)?;
    mean_named(("lower", lower), ("upper", upper), None, |lower, upper| upper - lower)
}

/// [`mean_width`] with row `i` counted `weights[i]` times.
///
/// # Errors
/// As [`coverage`] and [`rmse_weighted`].
pub fn mean_width_weighted(lower: &[f64], upper: &[f64], weights: &[f64]) -> Result<f64> {
    expect_ordered(lower, upper)?;
    mean_named(("lower", lower), ("upper", upper), Some(weights), |lower, upper| {
        upper - lower
    })
}

/// Weights that give each asset the same say: a row weighs one over the number of rows of its asset.
///
/// ```
/// let weights = prognos::evaluate::asset_weights(&["a", "b", "a"])?;
/// assert_eq!(weights, [0.5, 1.0, 0.5]);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InsufficientData` without a row.
pub fn asset_weights<K: Eq + Hash>(asset_of_row: &[K]) -> Result<Vec<f64>> {
    if asset_of_row.is_empty() {
        return Err(Error::insufficient("weights", "at least 1 row", 0));
    }
    let mut count: HashMap<&K, u32> = HashMap::new();
    for asset in asset_of_row {
        *count.entry(asset).or_default() += 1;
    }
    let weight = |asset| 1.0 / count.get(asset).copied().map_or(1.0, f64::from);
    Ok(asset_of_row.iter().map(weight).collect())
}

pub(super) type Named<'a> = (&'static str, &'a [f64]);

fn mean(pred: &[f64], truth: &[f64], weights: Option<&[f64]>, cost: impl Fn(f64, f64) -> f64) -> Result<f64> {
    mean_named(("pred", pred), ("truth", truth), weights, cost)
}

/// `Σ w cost / Σ w` over rows, validated.
pub(super) fn mean_named(
    a: Named<'_>,
    b: Named<'_>,
    weights: Option<&[f64]>,
    cost: impl Fn(f64, f64) -> f64,
) -> Result<f64> {
    let (sum, total) = sums_named(a, b, weights, cost)?;
    Ok(sum / total)
}

fn sums(pred: &[f64], truth: &[f64], weights: Option<&[f64]>, cost: impl Fn(f64, f64) -> f64) -> Result<(f64, f64)> {
    sums_named(("pred", pred), ("truth", truth), weights, cost)
}

/// `(Σ w cost, Σ w)`; weights are one where there are none.
fn sums_named(
    a: Named<'_>,
    b: Named<'_>,
    weights: Option<&[f64]>,
    cost: impl Fn(f64, f64) -> f64,
) -> Result<(f64, f64)> {
    let total = expect_rows(a, b, weights)?;
    let costs = a.1.iter().zip(b.1).map(|(&a, &b)| cost(a, b));
    let Some(weights) = weights else {
        return Ok((costs.sum(), total));
    };
    // A row without weight adds nothing, even where its cost is infinite.
    let weighted = costs.zip(weights).map(|(c, &w)| if w == 0.0 { 0.0 } else { w * c });
    Ok((weighted.sum(), total))
}

/// Checks two slices of rows and their weights; gives the sum of weights, one each where there are none.
pub(super) fn expect_rows(a: Named<'_>, b: Named<'_>, weights: Option<&[f64]>) -> Result<f64> {
    expect_same_length(a, b)?;
    if a.1.is_empty() {
        return Err(Error::insufficient("metric", "at least 1 row", 0));
    }
    expect_finite(a)?;
    expect_finite(b)?;
    let Some(weights) = weights else {
        return Ok(a.1.len() as f64);
    };
    expect_same_length(a, ("weights", weights))?;
    if let Some(i) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        let got = weights.get(i).copied().unwrap_or(f64::NAN);
        return Err(Error::input(
            &format!("weights row {i}"),
            "finite and not negative",
            got,
        ));
    }
    let total: f64 = weights.iter().sum();
    if total.is_finite() && total > 0.0 {
        Ok(total)
    } else {
        Err(Error::input("sum of weights", "finite and above 0", total))
    }
}

fn covered(lower: &[f64], upper: &[f64], truth: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    expect_ordered(lower, upper)?;
    expect_same_length(("lower", lower), ("truth", truth))?;
    let held: Vec<f64> = lower
        .iter()
        .zip(upper)
        .zip(truth)
        .map(|((l, u), t)| f64::from(l <= t && t <= u))
        .collect();
    mean_named(("truth", truth), ("held", &held), weights, |_, held| held)
}

pub(super) fn expect_same_length(a: Named<'_>, b: Named<'_>) -> Result<()> {
    if a.1.len() == b.1.len() {
        return Ok(());
    }
    let expected = format!("{} rows as in `{}`", a.1.len(), a.0);
    Err(Error::input(&format!("`{}`", b.0), expected, b.1.len()))
}

fn expect_above_zero((name, values): Named<'_>) -> Result<()> {
    match values.iter().enumerate().find(|(_, v)| !(v.is_finite() && **v > 0.0)) {
        None => Ok(()),
        Some((i, v)) => Err(Error::input(&format!("`{name}` row {i}"), "finite and above 0", v)),
    }
}

pub(super) fn expect_finite((name, values): Named<'_>) -> Result<()> {
    match values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some((i, v)) => Err(Error::input(&format!("`{name}` row {i}"), "a finite number", v)),
    }
}

pub(super) fn expect_ordered(lower: &[f64], upper: &[f64]) -> Result<()> {
    expect_same_length(("lower", lower), ("upper", upper))?;
    expect_finite(("lower", lower))?;
    expect_finite(("upper", upper))?;
    match lower.iter().zip(upper).enumerate().find(|(_, (l, u))| l > u) {
        None => Ok(()),
        Some((i, (l, u))) => Err(Error::input(
            &format!("interval row {i}"),
            "lower <= upper",
            format!("{l}..{u}"),
        )),
    }
}
