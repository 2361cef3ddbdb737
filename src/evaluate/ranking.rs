//! How well scores rank anomalous rows above normal ones, over all thresholds.

use crate::error::{Error, Result};

/// Area under the receiver operating characteristic: the chance that an anomalous row scores higher than a normal one, a
/// tie counted half. 0.5 is chance, 1 perfect; `scores -> -scores` gives one minus it.
///
/// With few anomalies it is kind to false alarms: see [`average_precision`] beside it.
///
/// Cost: a sort. Source: J. A. Hanley, B. J. McNeil, Radiology 143, 1982,
/// [doi:10.1148/radiology.143.1.7063747](https://doi.org/10.1148/radiology.143.1.7063747).
///
/// ```
/// let auc = prognos::evaluate::roc_auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true])?;
/// assert_eq!(auc, 0.75);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` for slices of different lengths or a score that is not finite, naming its row; `InsufficientData` without
/// an anomalous or without a normal row.
pub fn roc_auc(scores: &[f64], labels: &[bool]) -> Result<f64> {
    let ranked = ranked(scores, labels)?;
    let (n_rows, n_anomalous) = (scores.len(), count(labels));
    expect_some("anomalous", n_anomalous)?;
    expect_some("normal", n_rows - n_anomalous)?;
    // Twice the pairs in order, exact in whole numbers.
    let (mut pairs, mut above) = (0_u128, 0_u128);
    for step in ranked.chunk_by(|a, b| a.0 == b.0) {
        let anomalous = step.iter().filter(|row| row.1).count();
        pairs += (step.len() - anomalous) as u128 * (2 * above + anomalous as u128);
        above += anomalous as u128;
    }
    let all = 2 * n_anomalous as u128 * (n_rows - n_anomalous) as u128;
    Ok(pairs as f64 / all as f64)
}

/// Average precision: precision at each threshold, weighted by the recall that it adds, `Σ (R_k - R_(k-1)) P_k` over the
/// different scores from the highest down. Chance gives the share of anomalous rows.
///
/// Nothing is interpolated, so that it is not too high between thresholds far apart: the value of scikit-learn's
/// `average_precision_score`. Cost: a sort.
///
/// ```
/// let ap = prognos::evaluate::average_precision(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true])?;
/// assert!((ap - 5.0 / 6.0).abs() < 1e-15);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`roc_auc`], but normal rows are not needed.
pub fn average_precision(scores: &[f64], labels: &[bool]) -> Result<f64> {
    precision_over_recall(scores, labels, |_, to| to)
}

/// Area under the precision-recall curve by trapezoids, `Σ (R_k - R_(k-1)) (P_k + P_(k-1)) / 2` from precision 1 at recall
/// 0. Straight lines between thresholds promise what no threshold gives: [`average_precision`] does not, and is the one
/// to report. This one is for comparison with tables that have it. Cost: a sort.
///
/// Source: J. Davis, M. Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006,
/// [doi:10.1145/1143844.1143874](https://doi.org/10.1145/1143844.1143874).
///
/// ```
/// let auc = prognos::evaluate::pr_auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true])?;
/// assert!((auc - 19.0 / 24.0).abs() < 1e-15);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`average_precision`].
pub fn pr_auc(scores: &[f64], labels: &[bool]) -> Result<f64> {
    precision_over_recall(scores, labels, |from, to| (from + to) / 2.0)
}

/// The sum over steps of the recall that one adds times `height` of the precisions before and behind it.
fn precision_over_recall(scores: &[f64], labels: &[bool], height: impl Fn(f64, f64) -> f64) -> Result<f64> {
    let ranked = ranked(scores, labels)?;
    let n_anomalous = count(labels);
    expect_some("anomalous", n_anomalous)?;
    let (mut found, mut alarms, mut before, mut area) = (0_usize, 0_usize, 1.0, 0.0);
    for step in ranked.chunk_by(|a, b| a.0 == b.0) {
        let anomalous = step.iter().filter(|row| row.1).count();
        found += anomalous;
        alarms += step.len();
        let precision = found as f64 / alarms as f64;
        area += anomalous as f64 / n_anomalous as f64 * height(before, precision);
        before = precision;
    }
    Ok(area)
}

/// Scores and labels of the rows, from the highest score down.
fn ranked(scores: &[f64], labels: &[bool]) -> Result<Vec<(f64, bool)>> {
    expect_scored(scores, labels)?;
    let mut rows: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    Ok(rows)
}

pub(super) fn expect_scored(scores: &[f64], labels: &[bool]) -> Result<()> {
    expect_labelled("scores", scores.len(), labels)?;
    expect_finite_scores(scores)
}

pub(super) fn expect_finite_scores(scores: &[f64]) -> Result<()> {
    match scores.iter().enumerate().find(|(_, s)| !s.is_finite()) {
        None => Ok(()),
        Some((row, s)) => Err(Error::input(&format!("`scores` row {row}"), "a finite number", s)),
    }
}

pub(super) fn expect_labelled(what: &str, n_rows: usize, labels: &[bool]) -> Result<()> {
    if n_rows == labels.len() {
        return Ok(());
    }
    let expected = format!("{n_rows} rows as in `{what}`");
    Err(Error::input("`labels`", expected, labels.len()))
}

pub(super) fn expect_some(kind: &str, n: usize) -> Result<()> {
    if n > 0 {
        return Ok(());
    }
    Err(Error::insufficient("`labels`", format!("at least 1 {kind} row"), 0))
}

pub(super) fn count(flags: &[bool]) -> usize {
    flags.iter().filter(|&&on| on).count()
}
