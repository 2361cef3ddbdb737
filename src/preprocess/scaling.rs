//! Standardisation of columns.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Shift and scale of columns to zero mean and unit standard deviation: `z = (x - mean) / sd`.
///
/// Fitted on the finite values of each column. A column without variation (standard deviation at or below `1e-9` of its
/// largest magnitude, or fewer than two finite values) is *constant*: its `z` is 0 whatever comes, NaN included. For the
/// others NaN stays NaN. Cost: one multiplication and addition a value.
///
/// ```
/// use prognos::preprocess::Standardizer;
/// let s = Standardizer::fit(2, [[1.0, 5.0], [3.0, 5.0]].iter().map(|r| &r[..]))?;
/// let mut z = [0.0; 2];
/// s.transform_into(&[3.0, 9.0], &mut z);
/// assert_eq!(z, [1.0, 0.0]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Standardizer {
    mean: Vec<f64>,
    /// `1 / sd`, 0 for a constant column.
    inverse_sd: Vec<f64>,
}

/// A [`Standardizer`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StandardizerRecord {
    mean: Vec<f64>,
    inverse_sd: Vec<f64>,
}

impl Standardizer {
    /// Fits `n_columns` columns on `rows` by Welford's recurrence (population variance).
    ///
    /// # Errors
    /// `InvalidInput` for a row of another length; `InsufficientData` without a row.
    pub fn fit<'a>(n_columns: usize, rows: impl IntoIterator<Item = &'a [f64]>) -> Result<Self> {
        let mut moments = vec![(0.0f64, 0.0f64, 0.0f64, 0.0f64); n_columns]; // count, mean, M2, largest magnitude
        let mut n_rows = 0usize;
        for row in rows {
            if row.len() != n_columns {
                return Err(Error::input("row", format!("{n_columns} values"), row.len()));
            }
            n_rows += 1;
            for (m, &x) in moments.iter_mut().zip(row).filter(|(_, x)| x.is_finite()) {
                m.0 += 1.0;
                let delta = x - m.1;
                m.1 += delta / m.0;
                m.2 += delta * (x - m.1);
                m.3 = m.3.max(x.abs());
            }
        }
        if n_rows == 0 {
            return Err(Error::insufficient("standardisation", "at least 1 row", 0));
        }
        let inverse_sd = |&(n, _, m2, largest): &(f64, f64, f64, f64)| {
            let sd = if n >= 2.0 { (m2 / n).sqrt() } else { 0.0 };
            if sd.is_finite() && sd > 1e-9 * largest {
                1.0 / sd
            } else {
                0.0
            }
        };
        Ok(Self {
            mean: moments
                .iter()
                .map(|m| if m.1.is_finite() { m.1 } else { 0.0 })
                .collect(),
            inverse_sd: moments.iter().map(inverse_sd).collect(),
        })
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.mean.len()
    }

    /// Whether column `index` did not vary in the training rows.
    pub fn is_constant(&self, index: usize) -> bool {
        self.inverse_sd.get(index).is_none_or(|&s| s == 0.0)
    }

    /// Writes the standardised `row` into `out`; both of [`n_columns`](Standardizer::n_columns) values (a shorter one ends
    /// the work).
    pub fn transform_into(&self, row: &[f64], out: &mut [f64]) {
        for (((o, x), m), s) in out.iter_mut().zip(row).zip(&self.mean).zip(&self.inverse_sd) {
            *o = if *s == 0.0 { 0.0 } else { (x - m) * s };
        }
    }

    pub(crate) fn standard(&self, index: usize, x: f64) -> f64 {
        match (self.mean.get(index), self.inverse_sd.get(index)) {
            (Some(m), Some(s)) if *s != 0.0 => (x - m) * s,
            _ => 0.0,
        }
    }

    pub(crate) fn transform_in_place(&self, row: &mut [f64]) {
        for ((x, m), s) in row.iter_mut().zip(&self.mean).zip(&self.inverse_sd) {
            *x = if *s == 0.0 { 0.0 } else { (*x - m) * s };
        }
    }

    pub(crate) fn inverse_sd(&self) -> &[f64] {
        &self.inverse_sd
    }

    /// As it is written to files.
    pub fn to_record(&self) -> StandardizerRecord {
        StandardizerRecord {
            mean: self.mean.clone(),
            inverse_sd: self.inverse_sd.clone(),
        }
    }

    /// Reads back a record.
    ///
    /// # Errors
    /// `Persistence` unless both lists are of one length and finite, scales not negative.
    pub fn from_record(r: StandardizerRecord) -> Result<Self> {
        let sound = r.mean.len() == r.inverse_sd.len()
            && r.mean.iter().all(|m| m.is_finite())
            && r.inverse_sd.iter().all(|s| s.is_finite() && *s >= 0.0);
        if !sound {
            return Err(Error::persistence(
                "standardizer: expected finite means and scales of one length",
            ));
        }
        Ok(Self {
            mean: r.mean,
            inverse_sd: r.inverse_sd,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn constant_and_missing_columns() {
        let rows = [
            [1e9, f64::NAN, 1.0],
            [1e9 + 1e-7, f64::NAN, f64::NAN],
            [1e9, f64::NAN, 2.0],
        ];
        let s = Standardizer::fit(3, rows.iter().map(|r| &r[..])).unwrap();
        assert!(s.is_constant(0) && s.is_constant(1) && !s.is_constant(2) && s.is_constant(3));
        let mut z = [9.0; 3];
        s.transform_into(&[5.0, f64::NAN, f64::NAN], &mut z);
        assert!(z[0] == 0.0 && z[1] == 0.0 && z[2].is_nan());
        assert!(Standardizer::fit(1, std::iter::empty()).is_err());
        assert!(Standardizer::fit(2, [&[1.0][..]]).is_err());
        let record = StandardizerRecord {
            mean: vec![0.0],
            inverse_sd: vec![-1.0],
        };
        assert!(Standardizer::from_record(record).is_err());
    }

    proptest! {
        /// Standardised training rows have zero mean and unit variance (two-pass oracle).
        #[test]
        fn standardised_rows_have_unit_moments(xs in proptest::collection::vec(-1e3f64..1e3, 3..50), shift in -1e4f64..1e4) {
            let rows: Vec<[f64; 1]> = xs.iter().map(|x| [x + shift]).collect();
            let s = Standardizer::fit(1, rows.iter().map(|r| &r[..])).unwrap();
            prop_assume!(!s.is_constant(0));
            let mut z = vec![0.0; rows.len()];
            rows.iter().zip(&mut z).for_each(|(r, z)| s.transform_into(r, std::slice::from_mut(z)));
            let n = z.len() as f64;
            let mean = z.iter().sum::<f64>() / n;
            let variance = z.iter().map(|z| (z - mean) * (z - mean)).sum::<f64>() / n;
            prop_assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6, "{mean} {variance}");
        }
    }
}
