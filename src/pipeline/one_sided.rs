//! Channels of which only one side counts for alarms.

use crate::{
    decision::Direction,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable},
    model::AnomalyScore,
};
use serde::{Deserialize, Serialize};

/// The sides that count, and where the healthy middle of each detector feature lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OneSided {
    rules: Vec<(String, Direction)>,
    /// Mean of each detector feature over the healthy training rows.
    centre: Vec<f64>,
    /// The side of each detector feature.
    #[serde(skip)]
    directions: Vec<Direction>,
}

impl OneSided {
    /// `None` without a rule.
    pub(super) fn fit(rules: &[(String, Direction)], healthy: &FeatureTable) -> Result<Option<Self>> {
        if rules.is_empty() {
            return Ok(None);
        }
        let n = healthy.n_rows() as f64;
        let mut centre = vec![0.0; healthy.schema().len()];
        for row in healthy.rows() {
            // Shares of the mean, so that no sum overflows.
            centre.iter_mut().zip(row).for_each(|(c, v)| *c += v / n);
        }
        let mut fitted = Self {
            rules: rules.to_vec(),
            centre,
            directions: Vec::new(),
        };
        fitted.bind(healthy.schema())?;
        Ok(Some(fitted))
    }

    /// Finds the features of each rule's channel. A channel the detector does not see has none.
    ///
    /// # Errors
    /// `Persistence` unless there is a finite centre a feature.
    pub(super) fn bind(&mut self, schema: &FeatureSchema) -> Result<()> {
        if self.centre.len() != schema.len() || !self.centre.iter().all(|c| c.is_finite()) {
            return Err(Error::persistence(format!(
                "one-sided channels: expected {} finite centres, one a detector feature",
                schema.len()
            )));
        }
        let direction = |channel: &str| {
            let rule = self.rules.iter().rev().find(|(name, _)| name == channel);
            rule.map_or(Direction::Both, |(_, direction)| *direction)
        };
        self.directions = schema.features().iter().map(|f| direction(&f.channel)).collect();
        Ok(())
    }

    /// The score without the shares of features that deviate to a side that does not count; never above the score, which a
    /// share of one below zero is.
    pub(super) fn counted(&self, score: AnomalyScore, row: &[f64], contributions: &[f64]) -> AnomalyScore {
        let (mut counted, mut all) = (0.0, 0.0);
        let sides = self.directions.iter().zip(&self.centre);
        for ((c, v), (direction, centre)) in contributions.iter().zip(row).zip(sides).filter(|((c, _), _)| **c > 0.0) {
            all += c;
            if direction.admits(v - centre) {
                counted += c;
            }
        }
        let share = counted / all;
        AnomalyScore {
            value: if share < 1.0 {
                (score.value * share).min(score.value)
            } else {
                score.value
            },
            ..score
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Channel;
    use ndarray::array;

    #[test]
    fn shares_on_the_harmless_side_are_taken_off() {
        let schema = FeatureSchema::of_channels(&[Channel::new("t", "K"), Channel::new("p", "bar")]).unwrap();
        let table = FeatureTable::new(schema.clone(), array![[1.0, 5.0], [3.0, 5.0]], vec![0, 0]).unwrap();
        let rules = [("t".to_owned(), Direction::Low), ("t".to_owned(), Direction::High)];
        let one_sided = OneSided::fit(&rules, &table).unwrap().unwrap(); // the later rule holds
        let score = AnomalyScore {
            value: 8.0,
            threshold: 1.0,
        };
        let value = |row: &[f64], c: &[f64]| one_sided.counted(score, row, c).value;
        assert_eq!(value(&[1.0, 9.0], &[6.0, 2.0]), 2.0); // t lies below its mean of 2
        assert_eq!(value(&[3.0, 1.0], &[6.0, 2.0]), 8.0);
        assert_eq!(value(&[1.0, 9.0], &[-6.0, 2.0]), 8.0); // not t's doing
        assert_eq!(value(&[1.0, 9.0], &[1.0, -2.0]), 0.0);
        assert_eq!(value(&[1.0, 9.0], &[0.0, 0.0]), 8.0); // nobody's doing: it counts
        // A logarithm of a density may lie below zero: taking a share off must not lift it.
        let score = AnomalyScore {
            value: -3.0,
            threshold: -2.0,
        };
        for c in [[6.0, 2.0], [6.0, 0.0]] {
            assert_eq!(one_sided.counted(score, &[1.0, 9.0], &c), score);
        }
        assert_eq!(OneSided::fit(&[], &table).unwrap(), None);
        let mut wrong = one_sided.clone();
        wrong.centre[0] = f64::NAN;
        assert!(wrong.bind(&schema).is_err());
        wrong.centre.pop();
        assert!(wrong.bind(&schema).is_err());
    }
}
