//! Areas under curves that forgive alarms just beside an anomaly, and their mean over how far beside.

use super::{
    range_based::row_ranges,
    ranking::{count, expect_scored, expect_some},
};
use crate::error::{Error, Result};

/// Areas under the two curves.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RangeAreas {
    /// Under the true positive rate over the false positive rate.
    pub roc: f64,
    /// Under precision over the true positive rate.
    pub pr: f64,
}

/// Range-based areas under curves with a buffer of `buffer` rows: half of them count on either side of an anomaly.
///
/// An anomaly is a run of labelled rows; `d` is the distance of a row to the nearest labelled one. The label of a row is
///
/// - `w = 1` for `d = 0`, `w = sqrt(1 - d / buffer)` for `0 < d <= buffer / 2`, else `w = 0`.
///
/// With `y` the labels given, `n` rows, and the rows at or above a threshold as alarms:
///
/// - `P = Σ (y + w) / 2`, `N = n - P`, `TP` the sum of `w` over alarms, `FP` that of `1 - w`;
/// - `TPR = min(TP / P, 1) * found`, where `found` is the share of anomalies with an alarm in them or within
///   `buffer / 2` rows;
/// - `FPR = FP / N` and `precision = TP / (TP + FP)`.
///
/// Thresholds are all different scores from the highest down; areas are by trapezoids, the first curve from (0, 0) to
/// (1, 1), the second from precision 1 at rate 0. With one anomaly and no buffer they are [`roc_auc`](super::roc_auc) and
/// [`pr_auc`](super::pr_auc).
///
/// Source: J. Paparrizos et al., "Volume under the surface: a new accuracy evaluation measure for time-series anomaly
/// detection", PVLDB 15(11), 2022, [doi:10.14778/3551793.3551830](https://doi.org/10.14778/3551793.3551830). Where buffers
/// of two anomalies meet the paper leaves the label open: here that of the nearer one. Its published code takes 250
/// thresholds, has the buffer behind an anomaly one row shorter than that before it, and where buffers meet sums labels and
/// joins anomalies; its figures differ a little from these.
///
/// ```
/// use prognos::evaluate::range_auc;
/// let labels = [false, false, false, true, true, false, false, false];
/// let early = [0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0]; // an alarm one row before
/// let (strict, kind) = (range_auc(&early, &labels, 0)?, range_auc(&early, &labels, 4)?);
/// assert!(strict.roc < 0.5 && kind.roc > 0.6);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` for slices of different lengths or a score that is not finite, naming its row; `InsufficientData` without
/// an anomalous or without a normal row; `InvalidParameter` for a buffer above the number of rows.
pub fn range_auc(scores: &[f64], labels: &[bool], buffer: usize) -> Result<RangeAreas> {
    let mut ranges = BufferedRanges::new(scores, labels, ("buffer", buffer))?;
    for reach in 1..=buffer / 2 {
        ranges.widen(reach);
    }
    Ok(ranges.areas(buffer))
}

/// Volumes under the surface, VUS-ROC and VUS-PR: the means of [`range_auc`] over the buffers `0..=max_buffer`.
///
/// Chance is not 0.5 under the first curve: buffers count in full as found but in half as to be found, so that scores without any knowledge
/// come to 1/2 with short buffers and to 3/4 with buffers much longer than anomalies. Compare with the same labels only.
///
/// No length of buffer has to be chosen, only the longest: about the period of the signal, says the paper. Cost: a sort,
/// and for each buffer a pass over the rows that lie in an anomaly or the longest buffer, at most
/// `O(n log n + n max_buffer)`; memory for some hundred bytes a row.
///
/// ```
/// let labels = [false, false, false, true, true, false, false, false];
/// let scores = [0.1, 0.0, 0.2, 0.9, 0.8, 0.3, 0.1, 0.0];
/// let volumes = prognos::evaluate::vus(&scores, &labels, 4)?;
/// assert!(volumes.roc > 0.9 && volumes.pr > 0.9);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`range_auc`].
pub fn vus(scores: &[f64], labels: &[bool], max_buffer: usize) -> Result<RangeAreas> {
    let mut ranges = BufferedRanges::new(scores, labels, ("max_buffer", max_buffer))?;
    let mut sum = RangeAreas { roc: 0.0, pr: 0.0 };
    for buffer in 0..=max_buffer {
        if buffer >= 2 && buffer % 2 == 0 {
            ranges.widen(buffer / 2);
        }
        let areas = ranges.areas(buffer);
        sum.roc += areas.roc;
        sum.pr += areas.pr;
    }
    let n = (max_buffer + 1) as f64;
    Ok(RangeAreas {
        roc: sum.roc / n,
        pr: sum.pr / n,
    })
}

/// What all buffers share.
///
/// A step is the set of rows of one score, from the highest down. Rows that no buffer reaches are near none of the
/// anomalies: steps of them alone move along a straight line of the first curve and add nothing under the second, so that
/// a number stands for them.
struct BufferedRanges {
    n_rows: usize,
    n_anomalous: usize,
    /// Steps with a near row.
    steps: Vec<Step>,
    /// Distances to the nearest anomalous row, of the near rows in the order of steps.
    distances: Vec<usize>,
    /// How many rows lie at each distance that a buffer reaches.
    n_at: Vec<usize>,
    /// The step of each near row.
    step_of_row: Vec<usize>,
    anomalies: Vec<Anomaly>,
    /// Scratch: how many anomalies are found first in each step, and the label at each distance.
    arrivals: Vec<usize>,
    label_at: Vec<f64>,
}

struct Step {
    /// Rows of the steps since the one before.
    n_passed: usize,
    n_rows: usize,
    n_near: usize,
}

struct Anomaly {
    first: usize,
    last: usize,
    /// The first step with a row in the anomaly or near it.
    found_at: usize,
}

impl BufferedRanges {
    fn new(scores: &[f64], labels: &[bool], (name, max_buffer): (&str, usize)) -> Result<Self> {
        expect_scored(scores, labels)?;
        let (n_rows, n_anomalous) = (scores.len(), count(labels));
        expect_some("anomalous", n_anomalous)?;
        expect_some("normal", n_rows - n_anomalous)?;
        if max_buffer > n_rows {
            let expected = format!("at most the number of rows, {n_rows}");
            return Err(Error::parameter(name, expected, max_buffer));
        }

        let distance_of = distances(labels);
        let mut ranked: Vec<(f64, usize, usize)> = Vec::with_capacity(n_rows);
        let rows = scores.iter().zip(&distance_of).enumerate();
        ranked.extend(rows.map(|(row, (&score, &distance))| (score, row, distance)));
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut made = Self {
            n_rows,
            n_anomalous,
            steps: Vec::new(),
            distances: Vec::new(),
            n_at: vec![0; max_buffer / 2 + 1],
            step_of_row: vec![0; n_rows],
            anomalies: Vec::new(),
            arrivals: Vec::new(),
            label_at: Vec::with_capacity(max_buffer / 2 + 1),
        };
        let mut n_passed = 0;
        for step in ranked.chunk_by(|a, b| a.0 == b.0) {
            let n_before = made.distances.len();
            for &(_, row, distance) in step {
                let (Some(n), Some(of_row)) = (made.n_at.get_mut(distance), made.step_of_row.get_mut(row)) else {
                    continue; // not near
                };
                *n += 1;
                *of_row = made.steps.len();
                made.distances.push(distance);
            }
            match made.distances.len() - n_before {
                0 => n_passed += step.len(),
                n_near => made.steps.push(Step {
                    n_passed: std::mem::take(&mut n_passed),
                    n_rows: step.len(),
                    n_near,
                }),
            }
        }
        made.arrivals = vec![0; made.steps.len()];
        for (first, last) in row_ranges(labels) {
            let steps = made.step_of_row.iter().skip(first).take(last - first + 1);
            let found_at = steps.copied().min().unwrap_or(usize::MAX);
            made.anomalies.push(Anomaly { first, last, found_at });
        }
        Ok(made)
    }

    /// Lets rows find anomalies `reach` rows away that found those one row nearer before.
    fn widen(&mut self, reach: usize) {
        for anomaly in &mut self.anomalies {
            let before = anomaly
                .first
                .checked_sub(reach)
                .and_then(|row| self.step_of_row.get(row));
            let behind = self.step_of_row.get(anomaly.last.saturating_add(reach));
            for &step in before.into_iter().chain(behind) {
                anomaly.found_at = anomaly.found_at.min(step);
            }
        }
    }

    /// Areas with a buffer, half of which anomalies were widened by.
    fn areas(&mut self, buffer: usize) -> RangeAreas {
        self.label_at.clear();
        self.label_at.push(1.0);
        let label = |d: usize| (1.0 - d as f64 / buffer as f64).sqrt();
        self.label_at.extend((1..=buffer / 2).map(label));
        let label_of = |&distance: &usize| self.label_at.get(distance).copied().unwrap_or(0.0);
        self.arrivals.fill(0);
        for anomaly in &self.anomalies {
            if let Some(n) = self.arrivals.get_mut(anomaly.found_at) {
                *n += 1;
            }
        }
        let labelled: f64 = self
            .n_at
            .iter()
            .zip(&self.label_at)
            .map(|(&n, label)| n as f64 * label)
            .sum();
        let positive = (self.n_anomalous as f64 + labelled) / 2.0;
        let negative = self.n_rows as f64 - positive;
        // Rounded sums may leave a little beside 0 and 1.
        let fpr_of = |n_alarms: usize, tp: f64| ((n_alarms as f64 - tp) / negative).clamp(0.0, 1.0);

        let (mut tp, mut n_alarms, mut n_found) = (0.0, 0_usize, 0_usize);
        let (mut tpr, mut fpr, mut precision) = (0.0, 0.0, 1.0);
        let (mut roc, mut pr) = (0.0, 0.0);
        let mut rest = &self.distances[..];
        for (step, arrived) in self.steps.iter().zip(&self.arrivals) {
            if step.n_passed > 0 {
                n_alarms += step.n_passed;
                let to_fpr = fpr_of(n_alarms, tp);
                roc += (to_fpr - fpr) * tpr;
                fpr = to_fpr;
                precision = tp / n_alarms as f64;
            }
            let (near, behind) = rest.split_at_checked(step.n_near).unwrap_or((rest, &[]));
            rest = behind;
            tp += near.iter().map(label_of).sum::<f64>();
            n_alarms += step.n_rows;
            n_found += arrived;
            let found = n_found as f64 / self.anomalies.len() as f64;
            let to_tpr = (tp / positive).min(1.0) * found;
            let to_fpr = fpr_of(n_alarms, tp);
            let to_precision = tp / n_alarms as f64;
            roc += (to_fpr - fpr) * (to_tpr + tpr) / 2.0;
            pr += (to_tpr - tpr) * (to_precision + precision) / 2.0;
            (tpr, fpr, precision) = (to_tpr, to_fpr, to_precision);
        }
        // All anomalies are found and TP is its largest, so that the last rate is 1.
        roc += (1.0 - fpr) * (1.0 + tpr) / 2.0;
        RangeAreas { roc, pr }
    }
}

/// For each row how far the nearest anomalous one is.
fn distances(labels: &[bool]) -> Vec<usize> {
    let mut distance = vec![usize::MAX; labels.len()];
    let sweep = |rows: &mut dyn Iterator<Item = (&mut usize, &bool)>| {
        let mut since = usize::MAX;
        for (slot, &anomalous) in rows {
            since = if anomalous { 0 } else { since.saturating_add(1) };
            *slot = since.min(*slot);
        }
    };
    sweep(&mut distance.iter_mut().zip(labels));
    sweep(&mut distance.iter_mut().zip(labels).rev());
    distance
}
