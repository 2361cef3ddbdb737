//! The units in which streaming algorithms see rows: those of training, of a machine's own first rows, or none.

use super::standard::{Row, Standard, StandardRecord, Z_MAX};
use crate::{
    error::{Error, Result},
    features::FeatureSchema,
};
use serde::{Deserialize, Serialize};

/// The largest magnitude of a raw reading that counts; keeps squares and sums of readings finite.
const LARGEST_READING: f64 = 1e150;
/// A machine whose first rows vary by less than this part of their level does not vary.
const CONSTANT: f64 = 1e-13;
/// The most rows a machine's own baseline may take.
pub(super) const LARGEST_BASELINE: u32 = 1 << 24;

/// The units in which a streaming algorithm sees rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scaling {
    /// Training standard deviations from the training mean, without the columns that were constant in training.
    Training,
    /// Standard deviations of the machine's own first rows, this many, from their mean; a column that does not vary in
    /// them is zero. These rows get no score. At least 2.
    FirstRows(u32),
    /// As they come.
    Raw,
}

/// The units of a fitted detector.
#[derive(Clone, Debug)]
pub(super) enum Units {
    Training(Standard),
    FirstRows(u32),
    Raw,
}

/// Mean and spread of a machine's first rows, by Welford's recurrence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    mean: Vec<f64>,
    /// Sums of squared deviations from the mean.
    square: Vec<f64>,
}

impl Units {
    pub fn of(scaling: Scaling, standard: impl FnOnce() -> Result<Standard>) -> Result<Self> {
        Ok(match scaling {
            Scaling::Training => Self::Training(standard()?),
            Scaling::FirstRows(n) => Self::FirstRows(n),
            Scaling::Raw => Self::Raw,
        })
    }

    pub fn width(&self, schema: &FeatureSchema) -> usize {
        match self {
            Self::Training(standard) => standard.len(),
            _ => schema.len(),
        }
    }

    pub fn new_baseline(&self, schema: &FeatureSchema) -> Option<Baseline> {
        matches!(self, Self::FirstRows(_)).then(|| Baseline {
            mean: vec![0.0; schema.len()],
            square: vec![0.0; schema.len()],
        })
    }

    /// Rows of a machine that only its baseline learns.
    pub fn n_baseline(&self) -> u32 {
        match self {
            Self::FirstRows(n) => *n,
            _ => 0,
        }
    }

    /// Whether a machine's units are known after `n_rows` rows.
    pub fn is_ready(&self, n_rows: u32) -> bool {
        n_rows >= self.n_baseline()
    }

    #[inline]
    pub fn row(&self, baseline: Option<&Baseline>, x: &[f64]) -> Row {
        match (self, baseline) {
            (Self::Training(standard), _) => standard.row(x),
            (Self::FirstRows(n), Some(baseline)) => baseline.row(*n, x),
            _ => x.iter().map(|x| clamped(*x)).collect(),
        }
    }

    pub fn to_record(&self) -> UnitsRecord {
        match self {
            Self::Training(standard) => UnitsRecord::Training(standard.to_persisted()),
            Self::FirstRows(n) => UnitsRecord::FirstRows(*n),
            Self::Raw => UnitsRecord::Raw,
        }
    }

    pub fn from_record(record: UnitsRecord, n_features: usize) -> Result<Self> {
        Ok(match record {
            UnitsRecord::Training(standard) => Self::Training(Standard::from_persisted(standard, n_features)?),
            UnitsRecord::FirstRows(n) if (2..=LARGEST_BASELINE).contains(&n) => Self::FirstRows(n),
            UnitsRecord::FirstRows(n) => {
                return Err(Error::persistence(format!(
                    "first rows: expected 2 to {LARGEST_BASELINE}, got {n}"
                )));
            }
            UnitsRecord::Raw => Self::Raw,
        })
    }
}

fn clamped(x: f64) -> f64 {
    x.clamp(-LARGEST_READING, LARGEST_READING)
}

impl Baseline {
    /// Takes row number `n`, counted from one.
    pub fn learn(&mut self, n: u32, x: &[f64]) {
        let n = f64::from(n.max(1));
        for ((mean, square), &x) in self.mean.iter_mut().zip(&mut self.square).zip(x) {
            let deviation = clamped(x) - *mean;
            *mean += deviation / n;
            *square += deviation * (clamped(x) - *mean);
        }
    }

    pub fn row(&self, n: u32, x: &[f64]) -> Row {
        let z = |((mean, square), x): ((&f64, &f64), &f64)| {
            let deviation = (square / f64::from(n.saturating_sub(1).max(1))).sqrt();
            if deviation.is_finite() && deviation > CONSTANT * mean.abs() && deviation >= f64::MIN_POSITIVE {
                ((clamped(*x) - mean) / deviation).clamp(-Z_MAX, Z_MAX)
            } else {
                0.0
            }
        };
        self.mean.iter().zip(&self.square).zip(x).map(z).collect()
    }

    pub fn is_sound(&self, width: usize) -> bool {
        self.mean.len() == width && self.square.len() == width
    }
}

/// What is written of [`Units`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum UnitsRecord {
    Training(StandardRecord),
    FirstRows(u32),
    Raw,
}
