//! Exponentially weighted averages of a machine's rows, which the EWMA charts remember.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The largest average that is read.
const LARGEST_AVERAGE: f64 = 1e200;
/// The least weight of the newest row.
const LEAST_WEIGHT: f64 = 1e-6;

/// The averages of one machine: `s(t) = (1 - λ) s(t-1) + λ z(t)` for each column, from `s(0) = 0`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AveragesRecord")]
pub struct Averages {
    /// `(1 - λ)^(2t)`.
    start: f64,
    average: Vec<f64>,
}

#[derive(Deserialize)]
struct AveragesRecord {
    start: f64,
    average: Vec<f64>,
}

impl TryFrom<AveragesRecord> for Averages {
    type Error = Error;

    fn try_from(r: AveragesRecord) -> Result<Self> {
        let sound = (0.0..=1.0).contains(&r.start) && r.average.iter().all(|a| a.abs() <= LARGEST_AVERAGE);
        if !sound {
            return Err(Error::persistence(
                "averages: expected numbers within ±1e200, got others",
            ));
        }
        Ok(Self {
            start: r.start,
            average: r.average,
        })
    }
}

impl Averages {
    pub(in crate::detect) fn new(width: usize) -> Self {
        Self {
            start: 1.0,
            average: vec![0.0; width],
        }
    }

    pub(in crate::detect) fn width(&self) -> usize {
        self.average.len()
    }

    /// The averages with the row `z` in them.
    #[inline]
    pub(in crate::detect) fn with(&self, z: &[f64], weight: f64) -> impl Iterator<Item = f64> {
        let averages = self.average.iter().zip(z);
        averages.map(move |(a, z)| (1.0 - weight) * a + weight * z)
    }

    /// The variance of an average of independent rows of unit variance, the next row in it.
    pub(in crate::detect) fn next_variance(&self, weight: f64) -> f64 {
        let keep = 1.0 - weight;
        weight / (2.0 - weight) * (1.0 - self.start * keep * keep)
    }

    /// Takes the row in.
    pub(in crate::detect) fn take(&mut self, z: &[f64], weight: f64) {
        let keep = 1.0 - weight;
        self.start *= keep * keep;
        let averages = self.average.iter_mut().zip(z);
        averages.for_each(|(a, z)| *a = keep * *a + weight * z);
    }
}

/// # Errors
/// `InvalidParameter` for a weight that is none.
pub(in crate::detect) fn check_weight(weight: f64) -> Result<()> {
    if (LEAST_WEIGHT..=1.0).contains(&weight) {
        Ok(())
    } else {
        Err(Error::parameter("weight", format!("from {LEAST_WEIGHT} to 1"), weight))
    }
}
