//! A second model that scores along, and how it differs from the first.

use crate::{
    decision::Decision,
    model::{AnomalyScore, Assessment},
};
use serde::Serialize;
use std::fmt;

/// Rows of which something holds by both models, or by one of them only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// By both.
    pub both: u64,
    /// By the current model only.
    pub current_only: u64,
    /// By the model in the shadow only.
    pub shadow_only: u64,
}

impl Agreement {
    fn count(&mut self, current: bool, shadow: bool) {
        match (current, shadow) {
            (true, true) => self.both += 1,
            (true, false) => self.current_only += 1,
            (false, true) => self.shadow_only += 1,
            (false, false) => {}
        }
    }

    fn merge(&mut self, other: &Self) {
        self.both += other.both;
        self.current_only += other.current_only;
        self.shadow_only += other.shadow_only;
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            both,
            current_only,
            shadow_only,
        } = self;
        write!(f, "{both} both, {current_only} current only, {shadow_only} shadow only")
    }
}

/// A difference over rows, that of the model in the shadow less that of the current one.
///
/// Sums are of whole multiples of 2^-20, so that they do not depend on the order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    n: u64,
    sum: i128,
    magnitude: i128,
}

const UNIT: f64 = (1u64 << 20) as f64;

impl Difference {
    fn count(&mut self, difference: f64) {
        if difference.is_finite() {
            let fixed = (difference * UNIT).round().clamp(-1e24, 1e24) as i128;
            self.n += 1;
            self.sum = self.sum.saturating_add(fixed);
            self.magnitude = self.magnitude.saturating_add(fixed.abs());
        }
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.sum = self.sum.saturating_add(other.sum);
        self.magnitude = self.magnitude.saturating_add(other.magnitude);
    }

    /// Rows compared.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Its mean; `None` without rows.
    pub fn mean(&self) -> Option<f64> {
        self.over(self.sum)
    }

    /// The mean of its magnitude; `None` without rows.
    pub fn mean_magnitude(&self) -> Option<f64> {
        self.over(self.magnitude)
    }

    fn over(&self, sum: i128) -> Option<f64> {
        (self.n > 0).then(|| sum as f64 / UNIT / self.n as f64)
    }
}

/// How the decisions of a model in the shadow differ from those of the current one, over the rows both saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShadowFigures {
    /// Rows given to both.
    pub rows: u64,
    /// Rows judged: one of the models may still warm up.
    pub judged: Agreement,
    /// Of the rows both judged: anomalous ones.
    pub anomalous: Agreement,
    /// Of the rows both judged: those at which an alarm stood.
    pub alarm: Agreement,
    /// Score over threshold, of the rows both judged: two detectors' scores have no other unit in common.
    pub score: Difference,
    /// Remaining life in life units, of the rows at which both had an estimate.
    pub rul: Difference,
}

impl ShadowFigures {
    pub(super) fn count(&mut self, current: &Assessment<Decision>, shadow: &Assessment<Decision>) {
        self.rows += 1;
        let is_ready = |a: &Assessment<Decision>| matches!(a, Assessment::Ready(_));
        self.judged.count(is_ready(current), is_ready(shadow));
        let (Assessment::Ready(a), Assessment::Ready(b)) = (current, shadow) else {
            return;
        };
        let (c, d) = (a.condition(), b.condition());
        self.anomalous.count(c.score.is_anomalous(), d.score.is_anomalous());
        self.alarm.count(a.alarm().is_some(), b.alarm().is_some());
        let ratio = |s: AnomalyScore| s.value / s.threshold;
        self.score.count(ratio(d.score) - ratio(c.score));
        if let (Some(x), Some(y)) = (c.rul, d.rul) {
            self.rul.count(y.rul - x.rul);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.judged.merge(&other.judged);
        self.anomalous.merge(&other.anomalous);
        self.alarm.merge(&other.alarm);
        self.score.merge(&other.score);
        self.rul.merge(&other.rul);
    }
}

impl fmt::Display for ShadowFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rows,
            judged,
            anomalous,
            alarm,
            ..
        } = self;
        write!(
            f,
            "{rows} rows; judged: {judged}; anomalous: {anomalous}; in alarm: {alarm}"
        )?;
        for (what, difference) in [("score over threshold", &self.score), ("remaining life", &self.rul)] {
            if let (Some(mean), Some(size)) = (difference.mean(), difference.mean_magnitude()) {
                write!(f, "; {what} {mean:+.3} (magnitude {size:.3})")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decision::Condition,
        model::RulEstimate,
        quantity::{LifeUnit, Timestamp},
    };

    #[test]
    fn figures_are_those_of_the_rows_in_any_parts() {
        let outcome = |value: f64, rul: f64| {
            Assessment::Ready(Decision::Normal(Condition {
                time: Timestamp::from_secs(1),
                age: 1.0,
                life_unit: LifeUnit::Hours,
                score: AnomalyScore { value, threshold: 2.0 },
                rul: RulEstimate::new(rul, rul, rul, 0.9, LifeUnit::Hours).ok(),
                rul_time: None,
            }))
        };
        let cold = Assessment::Warmup { seen: 1, needed: 2 };
        let rows = [
            (outcome(1.0, 10.0), outcome(3.0, 8.0)),
            (outcome(4.0, 10.0), outcome(3.0, 13.0)),
            (outcome(1.0, 10.0), cold.clone()),
            (cold.clone(), cold),
        ];
        let of = |rows: &[(Assessment<Decision>, Assessment<Decision>)]| {
            let mut figures = ShadowFigures::default();
            rows.iter().for_each(|(a, b)| figures.count(a, b));
            figures
        };
        let all = of(&rows);
        assert_eq!((all.rows, all.judged.both, all.judged.current_only), (4, 2, 1));
        assert_eq!((all.anomalous.both, all.anomalous.shadow_only), (1, 1));
        // Ratios 0.5 to 1.5, and 2 to 1.5; lives -2 and +3.
        assert_eq!((all.score.mean(), all.score.mean_magnitude()), (Some(0.25), Some(0.75)));
        assert_eq!((all.rul.mean(), all.rul.mean_magnitude()), (Some(0.5), Some(2.5)));
        let mut parts = of(&rows[2..]);
        parts.merge(&of(&rows[..2]));
        assert_eq!(parts, all);
        assert!(
            all.to_string().contains("remaining life +0.500 (magnitude 2.500)"),
            "{all}"
        );
        assert_eq!(ShadowFigures::default().score.mean(), None);
    }
}
