//! A second model that scores along, and how it differs from the first.

use crate::{decision::Decision, model::Assessment};
use serde::Serialize;
use std::fmt;

/// How the decisions of a model in the shadow differ from those of the current one, over the rows both saw.
///
/// Scores of two detectors have no common unit: compared is each score as a multiple of its own threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ShadowFigures {
    /// Rows given to both.
    pub rows: u64,
    /// Rows both judged.
    pub judged_by_both: u64,
    /// Rows only the current model judged: the one in the shadow still warms up, say.
    pub judged_by_current: u64,
    /// Rows only the model in the shadow judged.
    pub judged_by_shadow: u64,
    /// Of those both judged: rows anomalous to both.
    pub anomalous_to_both: u64,
    /// Anomalous to the current model only.
    pub anomalous_to_current: u64,
    /// Anomalous to the model in the shadow only.
    pub anomalous_to_shadow: u64,
    /// Rows at which an alarm of both stood.
    pub alarm_of_both: u64,
    /// Rows at which only the current model's alarm stood.
    pub alarm_of_current: u64,
    /// Rows at which only the alarm of the model in the shadow stood.
    pub alarm_of_shadow: u64,
    /// Sums over what both judged, in fixed point, so that their order does not matter: 2^-20 of the ratio of score and threshold.
    ratio_difference: i128,
    ratio_magnitude: i128,
    /// Rows at which both had an estimate, and sums of its difference in 2^-20 life units.
    estimated_by_both: u64,
    rul_difference: i128,
    rul_magnitude: i128,
}

const UNIT: f64 = (1u64 << 20) as f64;

fn fixed(x: f64) -> i128 {
    (x * UNIT).round().clamp(-1e30, 1e30) as i128
}

impl ShadowFigures {
    pub(super) fn count(&mut self, current: &Assessment<Decision>, shadow: &Assessment<Decision>) {
        self.rows += 1;
        let (a, b) = match (current, shadow) {
            (Assessment::Ready(a), Assessment::Ready(b)) => (a, b),
            (Assessment::Ready(_), _) => {
                self.judged_by_current += 1;
                return;
            }
            (_, Assessment::Ready(_)) => {
                self.judged_by_shadow += 1;
                return;
            }
            _ => return,
        };
        self.judged_by_both += 1;
        let which = |a: bool, b: bool, both: &mut u64, first: &mut u64, second: &mut u64| match (a, b) {
            (true, true) => *both += 1,
            (true, false) => *first += 1,
            (false, true) => *second += 1,
            (false, false) => {}
        };
        let (c, d) = (a.condition(), b.condition());
        which(
            c.score.is_anomalous(),
            d.score.is_anomalous(),
            &mut self.anomalous_to_both,
            &mut self.anomalous_to_current,
            &mut self.anomalous_to_shadow,
        );
        which(
            a.alarm().is_some(),
            b.alarm().is_some(),
            &mut self.alarm_of_both,
            &mut self.alarm_of_current,
            &mut self.alarm_of_shadow,
        );
        let ratio = |s: crate::model::AnomalyScore| s.value / s.threshold;
        let difference = ratio(d.score) - ratio(c.score);
        if difference.is_finite() {
            self.ratio_difference += fixed(difference);
            self.ratio_magnitude += fixed(difference.abs());
        }
        if let (Some(x), Some(y)) = (c.rul, d.rul) {
            self.estimated_by_both += 1;
            self.rul_difference += fixed(y.rul - x.rul);
            self.rul_magnitude += fixed((y.rul - x.rul).abs());
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.judged_by_both += other.judged_by_both;
        self.judged_by_current += other.judged_by_current;
        self.judged_by_shadow += other.judged_by_shadow;
        self.anomalous_to_both += other.anomalous_to_both;
        self.anomalous_to_current += other.anomalous_to_current;
        self.anomalous_to_shadow += other.anomalous_to_shadow;
        self.alarm_of_both += other.alarm_of_both;
        self.alarm_of_current += other.alarm_of_current;
        self.alarm_of_shadow += other.alarm_of_shadow;
        self.ratio_difference += other.ratio_difference;
        self.ratio_magnitude += other.ratio_magnitude;
        self.estimated_by_both += other.estimated_by_both;
        self.rul_difference += other.rul_difference;
        self.rul_magnitude += other.rul_magnitude;
    }

    fn mean(sum: i128, n: u64) -> Option<f64> {
        (n > 0).then(|| sum as f64 / UNIT / n as f64)
    }

    /// Mean over rows both judged of the score over its threshold, that of the shadow less that of the current model.
    pub fn mean_score_difference(&self) -> Option<f64> {
        Self::mean(self.ratio_difference, self.judged_by_both)
    }

    /// Mean magnitude of that difference.
    pub fn mean_absolute_score_difference(&self) -> Option<f64> {
        Self::mean(self.ratio_magnitude, self.judged_by_both)
    }

    /// Mean over rows with two estimates of the remaining life in life units, that of the shadow less that of the current model.
    pub fn mean_rul_difference(&self) -> Option<f64> {
        Self::mean(self.rul_difference, self.estimated_by_both)
    }

    /// Mean magnitude of that difference.
    pub fn mean_absolute_rul_difference(&self) -> Option<f64> {
        Self::mean(self.rul_magnitude, self.estimated_by_both)
    }
}

impl fmt::Display for ShadowFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows, {} judged by both: anomalous {} both, {} current only, {} shadow only; alarm {} both, {} current only, {} \
             shadow only",
            self.rows,
            self.judged_by_both,
            self.anomalous_to_both,
            self.anomalous_to_current,
            self.anomalous_to_shadow,
            self.alarm_of_both,
            self.alarm_of_current,
            self.alarm_of_shadow
        )?;
        if let (Some(mean), Some(size)) = (self.mean_score_difference(), self.mean_absolute_score_difference()) {
            write!(f, "; score over threshold {mean:+.3} (magnitude {size:.3})")?;
        }
        if let (Some(mean), Some(size)) = (self.mean_rul_difference(), self.mean_absolute_rul_difference()) {
            write!(f, "; remaining life {mean:+.2} (magnitude {size:.2})")?;
        }
        Ok(())
    }
}
