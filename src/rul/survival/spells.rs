//! What survival models are fitted on.

use crate::error::{Error, Result};

/// Covariates beyond this are no readings: their squares would leave the range of numbers.
const LARGEST: f64 = 1e100;

/// Recorded lives in counting-process form: each row says that a machine was watched over the ages `(start, stop]`, with
/// the covariates it had then, and whether it failed at `stop` or went on (right-censored).
///
/// A life whose covariates change is several rows that follow each other; one watched only from some age on (delayed entry,
/// left truncation) starts there. A row that enters at `t` is not yet at risk at `t`. Everything is checked here, once.
///
/// ```
/// use prognos::rul::survival::LifeSpells;
/// // Three pumps: failed after 50 h, still running after 80 h, bought used at 20 h and failed at 95 h.
/// let spells = LifeSpells::new(vec![50.0, 80.0, 95.0], vec![true, false, true])?
///     .entering(vec![0.0, 0.0, 20.0])?
///     .with_covariates(["load"], vec![1.2, 0.8, 1.0])?;
/// assert_eq!((spells.n_rows(), spells.n_failed()), (3, 2));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LifeSpells {
    start: Vec<f64>,
    stop: Vec<f64>,
    failed: Vec<bool>,
    /// All 1 where there are none.
    weight: Option<Vec<f64>>,
    asset: Option<Vec<u32>>,
    names: Vec<String>,
    /// Row-major.
    covariates: Vec<f64>,
}

impl LifeSpells {
    /// Lives watched from birth, a row each: `failed` where `stop` is the age at failure, else the age last seen.
    ///
    /// # Errors
    /// `InsufficientData` without a row; `InvalidInput` for lengths that differ and for an age that is not finite and above
    /// 0, naming its row.
    pub fn new(stop: Vec<f64>, failed: Vec<bool>) -> Result<Self> {
        if stop.is_empty() {
            return Err(Error::insufficient("life spells", "at least 1 row", 0));
        }
        expect_length("failed", stop.len(), failed.len())?;
        if let Some(i) = stop.iter().position(|t| !(t.is_finite() && *t > 0.0)) {
            return Err(Error::input(
                &format!("stop of row {i}"),
                "a finite age above 0",
                stop[i],
            ));
        }
        Ok(Self {
            start: vec![0.0; stop.len()],
            stop,
            failed,
            weight: None,
            asset: None,
            names: Vec::new(),
            covariates: Vec::new(),
        })
    }

    /// The same rows, watched from the ages `start` on.
    ///
    /// # Errors
    /// `InvalidInput` for another length, an age that is not finite and not negative, one that is not below its row's stop
    /// (a spell of no or negative duration), and spells of one asset that overlap.
    pub fn entering(mut self, start: Vec<f64>) -> Result<Self> {
        expect_length("start", self.n_rows(), start.len())?;
        for (i, (&from, &to)) in start.iter().zip(&self.stop).enumerate() {
            if !(from.is_finite() && from >= 0.0 && from < to) {
                return Err(Error::input(
                    &format!("start of row {i}"),
                    format!("a finite age, not negative, below the row's stop {to}"),
                    from,
                ));
            }
        }
        // No negative zeros: rows are ordered by the bits of their ages.
        self.start = start.into_iter().map(|s| s + 0.0).collect();
        self.expect_lives()?;
        Ok(self)
    }

    /// The same rows with the machine that each belongs to; without, each row is a machine of its own.
    ///
    /// # Errors
    /// `InvalidInput` for another length, spells of one asset that overlap, and an asset that goes on after its failure.
    pub fn of_assets(mut self, asset: Vec<u32>) -> Result<Self> {
        expect_length("asset", self.n_rows(), asset.len())?;
        self.asset = Some(asset);
        self.expect_lives()?;
        Ok(self)
    }

    /// The same rows, row `i` counted `weight[i]` times.
    ///
    /// # Errors
    /// `InvalidInput` for another length and a weight that is not above 0 and at most 1e100.
    pub fn weighted(mut self, weight: Vec<f64>) -> Result<Self> {
        expect_length("weight", self.n_rows(), weight.len())?;
        if let Some(i) = weight.iter().position(|w| !(*w > 0.0 && *w <= LARGEST)) {
            return Err(Error::input(
                &format!("weight of row {i}"),
                "above 0 and at most 1e100",
                weight[i],
            ));
        }
        self.weight = Some(weight);
        Ok(self)
    }

    /// The same rows with covariates, row-major, one a name.
    ///
    /// # Errors
    /// `InvalidInput` for a name that comes twice, another number of values, and one that is NaN, infinite or beyond 1e100,
    /// naming covariate and row.
    pub fn with_covariates(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
        values: Vec<f64>,
    ) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if let Some((_, name)) = names.iter().enumerate().find(|(i, n)| names[..*i].contains(n)) {
            return Err(Error::input("covariates", "each name once", format!("`{name}` twice")));
        }
        if self.n_rows().checked_mul(names.len()) != Some(values.len()) {
            return Err(Error::input(
                "covariates",
                format!("{} rows of {} values", self.n_rows(), names.len()),
                format!("{} values", values.len()),
            ));
        }
        if let Some(i) = values.iter().position(|v| v.is_nan() || v.abs() > LARGEST) {
            return Err(Error::input(
                &format!("covariate `{}` of row {}", names[i % names.len()], i / names.len()),
                "finite and at most 1e100 in magnitude",
                values[i],
            ));
        }
        self.names = names;
        self.covariates = values;
        Ok(self)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.stop.len()
    }

    /// Number of rows that end in a failure.
    pub fn n_failed(&self) -> usize {
        self.failed.iter().filter(|f| **f).count()
    }

    /// Ages from which the rows are watched, exclusive.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// Ages to which the rows are watched.
    pub fn stop(&self) -> &[f64] {
        &self.stop
    }

    /// Whether the row ends in a failure.
    pub fn failed(&self) -> &[bool] {
        &self.failed
    }

    /// Names of the covariates.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The covariates, row-major.
    pub fn covariates(&self) -> &[f64] {
        &self.covariates
    }

    /// The covariates of a row; none beyond the last one.
    pub fn row(&self, i: usize) -> &[f64] {
        let width = self.names.len();
        self.covariates.get(i * width..(i + 1) * width).unwrap_or(&[])
    }

    /// How often a row counts.
    pub fn weight(&self, i: usize) -> f64 {
        self.weight.as_ref().and_then(|w| w.get(i)).copied().unwrap_or(1.0)
    }

    /// Sum of all weights.
    pub(super) fn total_weight(&self) -> f64 {
        self.weight
            .as_ref()
            .map_or(self.n_rows() as f64, |w| w.iter().sum::<f64>())
    }

    /// Refuses rows that all went on: of failures they tell nothing.
    pub(super) fn expect_failures(&self, what: &str) -> Result<()> {
        if self.failed.contains(&true) {
            Ok(())
        } else {
            Err(Error::insufficient(
                what,
                "at least 1 failure",
                format!("{} rows, all censored", self.n_rows()),
            ))
        }
    }

    fn expect_lives(&self) -> Result<()> {
        let Some(asset) = &self.asset else {
            return Ok(());
        };
        let mut order: Vec<usize> = (0..self.n_rows()).collect();
        order.sort_unstable_by(|&a, &b| {
            (asset[a], self.start[a])
                .partial_cmp(&(asset[b], self.start[b]))
                .unwrap_or(a.cmp(&b))
        });
        for (&a, &b) in order.iter().zip(&order[1..]).filter(|(a, b)| asset[**a] == asset[**b]) {
            if self.start[b] < self.stop[a] {
                return Err(Error::input(
                    &format!("rows {a} and {b}"),
                    format!("spells of asset {} that do not overlap", asset[a]),
                    format!(
                        "({}, {}] and ({}, {}]",
                        self.start[a], self.stop[a], self.start[b], self.stop[b]
                    ),
                ));
            }
            if self.failed[a] {
                return Err(Error::input(
                    &format!("row {b}"),
                    format!("no row of asset {} after its failure at {}", asset[a], self.stop[a]),
                    format!("({}, {}]", self.start[b], self.stop[b]),
                ));
            }
        }
        Ok(())
    }
}

fn expect_length(what: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::input(what, format!("{expected} values, one a row"), got))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn two() -> LifeSpells {
        LifeSpells::new(vec![5.0, 9.0], vec![true, false]).unwrap()
    }

    #[test]
    fn bad_rows_are_named() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let e = LifeSpells::new(vec![1.0, bad], vec![true; 2]).unwrap_err();
            assert!(
                e.to_string().contains("row 1") && e.kind() == ErrorKind::InvalidInput,
                "{e}"
            );
        }
        assert_eq!(
            LifeSpells::new(vec![], vec![]).unwrap_err().kind(),
            ErrorKind::InsufficientData
        );
        assert!(LifeSpells::new(vec![1.0], vec![]).is_err());
        for bad in [5.0, 6.0, -0.1, f64::NAN] {
            let e = two().entering(vec![bad, 0.0]).unwrap_err();
            assert!(e.to_string().contains("start of row 0"), "{e}");
        }
        let e = two()
            .with_covariates(["a", "b"], vec![1.0, 2.0, 3.0, f64::NAN])
            .unwrap_err();
        assert!(e.to_string().contains("covariate `b` of row 1"), "{e}");
        assert!(two().with_covariates(["a", "a"], vec![1.0; 4]).is_err());
        assert!(two().with_covariates(["a"], vec![1.0; 3]).is_err());
        assert!(two().with_covariates(["a"], vec![1.0, 1e101]).is_err());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(two().weighted(vec![1.0, bad]).is_err());
        }
        assert!(two().weighted(vec![1.0]).is_err() && two().entering(vec![0.0]).is_err());
    }

    #[test]
    fn rows_of_an_asset_follow_each_other() {
        let spells = |start: [f64; 2], failed: [bool; 2]| {
            LifeSpells::new(vec![5.0, 9.0], failed.to_vec())
                .unwrap()
                .entering(start.to_vec())
                .unwrap()
                .of_assets(vec![3, 3])
        };
        assert!(spells([0.0, 5.0], [false, true]).is_ok());
        assert!(
            spells([0.0, 4.0], [false, true])
                .unwrap_err()
                .to_string()
                .contains("overlap")
        );
        let e = spells([0.0, 6.0], [true, false]).unwrap_err();
        assert!(e.to_string().contains("after its failure at 5"), "{e}");
        assert!(two().of_assets(vec![1]).is_err());
        // Likewise where starts come after assets.
        let started = two().of_assets(vec![0, 1]).unwrap().entering(vec![0.0, 4.0]).unwrap();
        assert_eq!(started.row(0), &[] as &[f64]);
        assert!(started.expect_failures("model").is_ok());
        let censored = LifeSpells::new(vec![1.0], vec![false]).unwrap();
        assert_eq!(
            censored.expect_failures("model").unwrap_err().kind(),
            ErrorKind::InsufficientData
        );
    }
}
