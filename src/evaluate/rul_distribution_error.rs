//! Errors of distributions of remaining life, of single quantiles and of intervals: proper scores, which no dishonest claim
//! of confidence can better.

use super::rul_error::{Named, expect_ordered, mean_named};
use crate::{
    error::{Error, Result},
    model::RulDistribution,
};

/// Mean continuous ranked probability score, `Σ crps / n`, in the unit of the lives; lower is better, and for bare numbers
/// it is [`mae`](super::mae). See [`RulDistribution::crps`]: unknown lives count as the last known one.
///
/// Source: T. Gneiting, A. E. Raftery, J. Am. Stat. Assoc. 102, 2007,
/// [doi:10.1198/016214506000001437](https://doi.org/10.1198/016214506000001437).
///
/// ```
/// use prognos::{evaluate::crps, model::RulDistribution, quantity::LifeUnit};
/// let uniform = RulDistribution::from_quantiles(LifeUnit::Hours, |p| 100.0 * p)?;
/// // At 50 of a uniform life from 0 to 100: 100 / 12.
/// assert!((crps(&[uniform], &[50.0])? - 100.0 / 12.0).abs() < 0.01);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` for slices of different lengths, distributions of different units, or a true life that is negative or not
/// finite; `InsufficientData` without a row.
pub fn crps(distributions: &[RulDistribution], truth: &[f64]) -> Result<f64> {
    mean_crps(distributions, truth, None)
}

/// [`crps`] with row `i` counted `weights[i]` times: `Σ w crps / Σ w`. With [`asset_weights`](super::asset_weights) each asset has
/// the same say.
///
/// # Errors
/// As [`crps`], and `InvalidInput` for a weight that is negative or not finite, or weights that sum to zero.
pub fn crps_weighted(distributions: &[RulDistribution], truth: &[f64], weights: &[f64]) -> Result<f64> {
    mean_crps(distributions, truth, Some(weights))
}

fn mean_crps(distributions: &[RulDistribution], truth: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    expect_distributions(distributions, truth)?;
    let scores: Vec<f64> = distributions
        .iter()
        .zip(truth)
        .map(|(d, &t)| d.crps(t))
        .collect::<Result<_>>()?;
    mean_named(("crps", &scores), ("truth", truth), weights, |score, _| score)
}

/// Mean pinball (quantile) loss of predicted quantiles `quantile` of probability `p`, in the unit of the lives; lower is
/// better.
///
/// A row costs `p (truth - quantile)` where the truth is the longer and `(1 - p) (quantile - truth)` where it is not. Its
/// expectation is least at the true quantile; at `p = 0.5` it is half of [`mae`](super::mae).
///
/// Source: R. Koenker, G. Bassett, Econometrica 46, 1978, [doi:10.2307/1913643](https://doi.org/10.2307/1913643).
///
/// ```
/// // A tenth of machines should live shorter than these: too long a claim is what costs.
/// assert_eq!(prognos::evaluate::pinball_loss(&[20.0, 20.0], &[30.0, 10.0], 0.1)?, (1.0 + 9.0) / 2.0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidParameter` unless `0 < p < 1`; `InvalidInput` for slices of different lengths or a number that is not finite;
/// `InsufficientData` without a row.
pub fn pinball_loss(quantile: &[f64], truth: &[f64], p: f64) -> Result<f64> {
    mean_pinball(quantile, truth, p, None)
}

/// [`pinball_loss`] with row `i` counted `weights[i]` times.
///
/// # Errors
/// As [`pinball_loss`] and [`crps_weighted`].
pub fn pinball_loss_weighted(quantile: &[f64], truth: &[f64], p: f64, weights: &[f64]) -> Result<f64> {
    mean_pinball(quantile, truth, p, Some(weights))
}

fn mean_pinball(quantile: &[f64], truth: &[f64], p: f64, weights: Option<&[f64]>) -> Result<f64> {
    expect_share("p", p)?;
    mean_named(("quantile", quantile), ("truth", truth), weights, |quantile, truth| {
        if truth >= quantile {
            p * (truth - quantile)
        } else {
            (1.0 - p) * (quantile - truth)
        }
    })
}

/// Mean interval score (Winkler's) of central intervals of `level`, in the unit of the lives; lower is better.
///
/// A row costs the width of its interval, and `2 / (1 - level)` times the distance of the truth where it lies outside: the
/// one number that trades [`coverage`](super::coverage) against [`mean_width`](super::mean_width).
///
/// Source: T. Gneiting, A. E. Raftery, J. Am. Stat. Assoc. 102, 2007,
/// [doi:10.1198/016214506000001437](https://doi.org/10.1198/016214506000001437), eq. 43.
///
/// ```
/// // Widths 4 and 4; the second misses the truth by 1, at level 0.75 for 8 times that.
/// assert_eq!(prognos::evaluate::interval_score(&[0.0, 5.0], &[4.0, 9.0], &[4.0, 10.0], 0.75)?, (4.0 + 12.0) / 2.0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidParameter` unless `0 < level < 1`; `InvalidInput` for slices of different lengths, a number that is not finite, or a
/// lower end above its upper end; `InsufficientData` without a row.
pub fn interval_score(lower: &[f64], upper: &[f64], truth: &[f64], level: f64) -> Result<f64> {
    mean_interval_score(lower, upper, truth, level, None)
}

/// [`interval_score`] with row `i` counted `weights[i]` times.
///
/// # Errors
/// As [`interval_score`] and [`crps_weighted`].
pub fn interval_score_weighted(
    lower: &[f64],
    upper: &[f64],
    truth: &[f64],
    level: f64,
    weights: &[f64],
) -> Result<f64> {
    mean_interval_score(lower, upper, truth, level, Some(weights))
}

fn mean_interval_score(
    lower: &[f64],
    upper: &[f64],
    truth: &[f64],
    level: f64,
    weights: Option<&[f64]>,
) -> Result<f64> {
    expect_share("level", level)?;
    expect_ordered(lower, upper)?;
    // The score is the pinball losses of both ends, each 2 / (1 - level) times.
    let p = (1.0 - level) / 2.0;
    let cost = |end: Named<'_>, p: f64| {
        mean_named(end, ("truth", truth), weights, |end, truth| {
            if truth >= end {
                p * (truth - end)
            } else {
                (1.0 - p) * (end - truth)
            }
        })
    };
    Ok((cost(("lower", lower), p)? + cost(("upper", upper), 1.0 - p)?) / p)
}

/// The probability integral transform of each true life: how likely a shorter one was thought, `F(truth)`.
///
/// Over many rows the values of honest distributions are spread evenly over 0 to 1: a heap in the middle says too wide, at
/// the ends too narrow, at 1 too short, at 0 too long. Where the chance of failure jumps at the truth, and where the truth
/// lies beyond the lives that are known, the value is the middle of what it may be.
///
/// Source: A. P. Dawid, J. R. Stat. Soc. A 147, 1984, [doi:10.2307/2981683](https://doi.org/10.2307/2981683).
///
/// ```
/// use prognos::{evaluate::pit, model::RulDistribution, quantity::LifeUnit};
/// let known = RulDistribution::from_quantiles(LifeUnit::Hours, |p| 100.0 * p)?;
/// let partly = RulDistribution::from_quantiles(LifeUnit::Hours, |p| if p <= 0.8 { 100.0 * p } else { f64::INFINITY })?;
/// let values = pit(&[known, partly], &[30.0, 95.0])?;
/// assert!((values[0] - 0.3).abs() < 1e-9 && (values[1] - 0.9).abs() < 1e-9);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`crps`].
pub fn pit(distributions: &[RulDistribution], truth: &[f64]) -> Result<Vec<f64>> {
    expect_distributions(distributions, truth)?;
    let value = |(d, &t): (&RulDistribution, &f64)| {
        let at_most = if last_known(d) < t { 1.0 } else { d.failure(t) };
        f64::midpoint(failure_before(d, t), at_most)
    };
    Ok(distributions.iter().zip(truth).map(value).collect())
}

/// The probability of failing before `life`, not at it: [`RulDistribution::failure`] where it does not jump.
pub(super) fn failure_before(d: &RulDistribution, life: f64) -> f64 {
    let percentiles = d.percentiles();
    let n_below = percentiles.partition_point(|q| *q < life);
    let below = n_below.checked_sub(1).and_then(|i| Some((i, *percentiles.get(i)?)));
    match (below, percentiles.get(n_below)) {
        (Some((i, low)), Some(&high)) if high.is_finite() => (i as f64 + (life - low) / (high - low)) / 100.0,
        (Some((i, _)), _) => i as f64 / 100.0,
        (None, _) => 0.0,
    }
}

/// The longest life that is known.
pub(super) fn last_known(d: &RulDistribution) -> f64 {
    let percentiles = d.percentiles();
    let n_known = percentiles.partition_point(|q| q.is_finite());
    n_known
        .checked_sub(1)
        .and_then(|i| percentiles.get(i).copied())
        .unwrap_or(0.0)
}

pub(super) fn expect_share(name: &str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(Error::parameter(name, "above 0 and below 1", value))
    }
}

/// One distribution of one unit to each true life.
pub(super) fn expect_distributions(distributions: &[RulDistribution], truth: &[f64]) -> Result<()> {
    if distributions.len() != truth.len() {
        let expected = format!("{} rows as in `distributions`", distributions.len());
        return Err(Error::input("`truth`", expected, truth.len()));
    }
    let Some(first) = distributions.first() else {
        return Err(Error::insufficient("metric", "at least 1 row", 0));
    };
    if let Some((i, d)) = distributions.iter().enumerate().find(|(_, d)| d.unit() != first.unit()) {
        let expected = format!("lives in {} as in row 0", first.unit());
        return Err(Error::input(&format!("`distributions` row {i}"), expected, d.unit()));
    }
    match truth.iter().enumerate().find(|(_, t)| !(t.is_finite() && **t >= 0.0)) {
        None => Ok(()),
        Some((i, t)) => Err(Error::input(&format!("`truth` row {i}"), "finite and not negative", t)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::N_PERCENTILES, quantity::LifeUnit};
    use proptest::prelude::*;

    const UNIT: LifeUnit = LifeUnit::Hours;

    fn point(life: f64) -> RulDistribution {
        RulDistribution::new([life; N_PERCENTILES], UNIT).unwrap()
    }

    #[test]
    fn jumps_count_half() {
        let values = pit(&[point(7.0); 3], &[6.0, 7.0, 8.0]).unwrap();
        assert_eq!(values, [0.0, 0.5, 1.0]);
        // A jump at percentiles 20 to 60 with nothing known above 60.
        let mut q = [f64::INFINITY; N_PERCENTILES];
        q.iter_mut()
            .take(61)
            .enumerate()
            .for_each(|(i, q)| *q = (i as f64).min(20.0));
        let d = RulDistribution::new(q, UNIT).unwrap();
        assert_eq!((failure_before(&d, 20.0), d.failure(20.0)), (0.2, 0.6));
        assert_eq!((failure_before(&d, 10.5), failure_before(&d, 21.0)), (0.105, 0.6));
        assert_eq!((failure_before(&d, 0.0), last_known(&d)), (0.0, 20.0));
        let values = pit(&[d; 2], &[20.0, 1e9]).unwrap();
        assert!((values[0] - 0.4).abs() < 1e-12 && (values[1] - 0.8).abs() < 1e-12);
    }

    #[test]
    fn what_is_refused() {
        let hours = point(1.0);
        let days = RulDistribution::new([1.0; N_PERCENTILES], LifeUnit::Days).unwrap();
        assert!(crps(&[], &[]).is_err() && crps(&[hours], &[]).is_err() && crps(&[hours, days], &[1.0, 1.0]).is_err());
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(
                crps(&[hours], &[bad]).is_err() && pit(&[hours], &[bad]).is_err(),
                "{bad}"
            );
            assert!(crps_weighted(&[hours], &[1.0], &[bad]).is_err());
            assert!(pinball_loss(&[1.0], &[1.0], bad).is_err());
            assert!(interval_score(&[1.0], &[1.0], &[1.0], bad).is_err());
        }
        assert!(pinball_loss(&[f64::NAN], &[1.0], 0.5).is_err() && pinball_loss(&[], &[], 0.5).is_err());
        assert!(interval_score(&[2.0], &[1.0], &[1.0], 0.5).is_err());
        assert!(interval_score(&[2.0], &[f64::INFINITY], &[1.0], 0.5).is_err());
        assert!(interval_score(&[2.0], &[3.0], &[], 0.5).is_err() && interval_score(&[], &[], &[], 0.5).is_err());
    }

    proptest! {
        /// Winkler's formula as it is written; sums of at most 20 terms below 1e5.
        #[test]
        fn interval_scores_are_winkler_s(rows in proptest::collection::vec((0.0..100.0f64, 0.0..100.0f64, 0.0..200.0f64), 1..20), level in 0.01..0.99f64) {
            let lower: Vec<f64> = rows.iter().map(|r| r.0).collect();
            let upper: Vec<f64> = rows.iter().map(|r| r.0 + r.1).collect();
            let truth: Vec<f64> = rows.iter().map(|r| r.2).collect();
            let penalty = 2.0 / (1.0 - level);
            let expected: f64 = (0..rows.len()).map(|i| {
                upper[i] - lower[i] + penalty * (lower[i] - truth[i]).max(0.0) + penalty * (truth[i] - upper[i]).max(0.0)
            }).sum::<f64>() / rows.len() as f64;
            let got = interval_score(&lower, &upper, &truth, level).unwrap();
            prop_assert!((got - expected).abs() <= 1e-12 * (1.0 + expected) * penalty, "{got} {expected}");
        }

        /// The mean pinball loss over all quantiles is half the CRPS; 101 percentiles integrate it to a hundredth of the range.
        #[test]
        fn pinball_losses_add_up_to_the_crps(start in 0.0..50.0f64, width in 1.0..100.0f64, truth in 0.0..200.0f64) {
            let d = RulDistribution::from_quantiles(UNIT, |p| start + width * p).unwrap();
            let n = 1000;
            let sum: f64 = (0..n).map(|k| {
                let p = (f64::from(k) + 0.5) / f64::from(n);
                2.0 * pinball_loss(&[d.quantile(p)], &[truth], p).unwrap()
            }).sum::<f64>() / f64::from(n);
            prop_assert!((sum - crps(&[d], &[truth]).unwrap()).abs() < 1e-4 * width + 1e-9);
        }

        #[test]
        fn transforms_lie_within_and_rise(lives in proptest::collection::vec((0.0..100.0f64, 0.1..1.0f64), 1..8), beyond in 0.0..2.0f64, a in 0.0..120.0f64, more in 0.0..50.0f64) {
            let mut lives = lives;
            lives.sort_by(|a, b| a.0.total_cmp(&b.0));
            let d = RulDistribution::from_weighted(UNIT, &lives, beyond).unwrap();
            let values = pit(&[d, d], &[a, a + more]).unwrap();
            prop_assert!(0.0 <= values[0] && values[0] <= values[1] && values[1] <= 1.0);
            prop_assert!(failure_before(&d, a) <= d.failure(a) + 1e-12);
        }
    }
}
