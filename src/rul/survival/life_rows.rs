//! Recorded lives as spells, and the row a live machine showed last.

use super::LifeSpells;
use crate::{
    error::{Error, Result},
    rul::{RecordedLife, lives_in_order::in_order},
};

/// Readings of a row beyond this are none.
const LARGEST: f64 = 1e100;

/// The lives as spells: the readings of a row hold until the next row, those of the last one until the end of the record.
/// Where a life ends with its last row, the failure is that of the row before; a life of no duration says nothing.
///
/// Lives come in an order of their own, so that theirs does not matter. Covariates are named `reading 0` and on.
///
/// # Errors
/// `InsufficientData` where no life lasts.
pub(super) fn spells(lives: &[RecordedLife<'_>], with_covariates: bool) -> Result<LifeSpells> {
    let (mut start, mut stop, mut failed, mut asset, mut values) = (vec![], vec![], vec![], vec![], vec![]);
    for (k, life) in in_order(lives).iter().enumerate() {
        let first = start.len();
        let ends = life.ages.iter().skip(1).copied().chain([life.end]);
        for ((from, row), to) in life.rows().zip(ends).filter(|((from, _), to)| to > from) {
            start.push(from);
            stop.push(to);
            failed.push(false);
            asset.push(k as u32);
            if with_covariates {
                values.extend_from_slice(row);
            }
        }
        if let Some(last) = failed[first..].last_mut() {
            *last = life.failed;
        }
    }
    if stop.is_empty() {
        return Err(Error::insufficient(
            "recorded lives",
            "at least 1 that goes on after its first row",
            format!("{}, each of one row at its end", lives.len()),
        ));
    }
    let width = if with_covariates {
        lives.first().map_or(0, |l| l.width)
    } else {
        0
    };
    LifeSpells::new(stop, failed)?
        .entering(start)?
        .of_assets(asset)?
        .with_covariates((0..width).map(|j| format!("reading {j}")), values)
}

/// Refuses a row that no model of `width` readings has observed.
pub(super) fn check_row(row: &[f64], width: usize) -> Result<()> {
    if row.len() == width && row.iter().all(|v| v.abs() <= LARGEST) {
        Ok(())
    } else {
        Err(Error::state(
            "last row",
            format!("{width} finite readings"),
            format!("{}, or one that is none", row.len()),
        ))
    }
}

/// A penalty of `ridge` a failure as one a unit of weight, which is how the models take it: with rows without end a life would
/// outweigh its failure.
pub(super) fn per_row(ridge: f64, spells: &LifeSpells) -> f64 {
    ridge * spells.n_failed() as f64 / spells.n_rows() as f64
}

/// Checks a penalty.
pub(super) fn check_ridge(ridge: f64) -> Result<()> {
    if ridge.is_finite() && ridge >= 0.0 {
        Ok(())
    } else {
        Err(Error::parameter("ridge", "finite and not negative", ridge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_until_the_next() {
        let a = RecordedLife::new(&[0.0, 2.0, 5.0], &[1.0, 2.0, 3.0], 1, 5.0, true).unwrap();
        let b = RecordedLife::new(&[1.0, 3.0], &[7.0, 8.0], 1, 4.0, false).unwrap();
        let s = spells(&[a, b], true).unwrap();
        assert_eq!(s.start(), [1.0, 3.0, 0.0, 2.0]);
        assert_eq!(s.stop(), [3.0, 4.0, 2.0, 5.0]);
        assert_eq!(s.failed(), [false, false, false, true]);
        assert_eq!(s.covariates(), [7.0, 8.0, 1.0, 2.0]);
        assert_eq!(s, spells(&[b, a], true).unwrap());
        assert!(spells(&[a], false).unwrap().names().is_empty());
        // A machine of one row at its end has lived through nothing.
        let flash = RecordedLife::new(&[0.0], &[1.0], 1, 0.0, true).unwrap();
        assert!(spells(&[flash], true).is_err());
        assert_eq!(spells(&[flash, b], true).unwrap().n_rows(), 2);
        assert!(check_row(&[1.0], 1).is_ok() && check_row(&[], 1).is_err() && check_row(&[f64::NAN], 1).is_err());
        assert!((per_row(0.5, &s) - 0.125).abs() < 1e-15);
        assert!(check_ridge(-1.0).is_err() && check_ridge(f64::NAN).is_err() && check_ridge(0.0).is_ok());
    }
}
