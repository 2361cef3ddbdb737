//! Errors of remaining-life predictions by how far away the failure was.

use super::rul_error::expect_rows;
use crate::error::{Error, Result};

/// Errors binned by the true remaining life: far from failure a wrong number costs little, close to it much.
///
/// Bin `k` takes the rows with `edges[k] <= truth < edges[k + 1]`; the last edge may be infinite. Rows of several files and
/// assets add up.
///
/// ```
/// use prognos::evaluate::HorizonErrors;
/// let (pred, truth) = ([10.0, 28.0, 90.0], [12.0, 24.0, 150.0]);
/// let errors = HorizonErrors::of(&pred, &truth, &[0.0, 25.0, 100.0, f64::INFINITY])?;
/// let near = errors.bins()[0];
/// assert_eq!((near.n_rows(), near.mae()?, near.bias()?), (2, 3.0, 1.0));
/// assert_eq!((errors.bins()[1].n_rows(), errors.bins()[2].rmse()?), (0, 60.0));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HorizonErrors {
    bins: Vec<HorizonBin>,
    n_outside: usize,
}

/// The rows whose true remaining life lies between two edges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HorizonBin {
    from: f64,
    to: f64,
    n_rows: usize,
    weight: f64,
    squares: f64,
    sizes: f64,
    signed: f64,
}

impl HorizonErrors {
    /// Bins rows by `edges`, in the unit of the lives. Cost: a binary search a row.
    ///
    /// # Errors
    /// `InvalidInput` for slices of different lengths, a number that is not finite, fewer than two edges, edges that do not
    /// rise or hold NaN, and an infinite edge other than the last; `InsufficientData` without a row.
    pub fn of(pred: &[f64], truth: &[f64], edges: &[f64]) -> Result<Self> {
        Self::binned(pred, truth, edges, None)
    }

    /// The same with row `i` counted `weights[i]` times.
    ///
    /// # Errors
    /// As [`of`](HorizonErrors::of), and `InvalidInput` for a weight that is negative or not finite, or weights that sum to zero.
    pub fn of_weighted(pred: &[f64], truth: &[f64], edges: &[f64], weights: &[f64]) -> Result<Self> {
        Self::binned(pred, truth, edges, Some(weights))
    }

    fn binned(pred: &[f64], truth: &[f64], edges: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        expect_rows(("pred", pred), ("truth", truth), weights)?;
        if edges.len() < 2 {
            return Err(Error::input("`edges`", "at least 2", edges.len()));
        }
        let pairs = || edges.iter().zip(edges.iter().skip(1));
        if let Some((k, (low, high))) = pairs().enumerate().find(|(_, (a, b))| !(a.is_finite() && a < b)) {
            return Err(Error::input(
                &format!("`edges` {k} and {}", k + 1),
                "rising, all but the last finite",
                format!("{low} and {high}"),
            ));
        }
        let empty = |(&from, &to)| HorizonBin {
            from,
            to,
            n_rows: 0,
            weight: 0.0,
            squares: 0.0,
            sizes: 0.0,
            signed: 0.0,
        };
        let mut errors = Self {
            bins: pairs().map(empty).collect(),
            n_outside: 0,
        };
        for (i, (&pred, &truth)) in pred.iter().zip(truth).enumerate() {
            let weight = weights.map_or(Some(1.0), |w| w.get(i).copied()).unwrap_or(0.0);
            let above = edges.partition_point(|edge| *edge <= truth);
            match above.checked_sub(1).and_then(|k| errors.bins.get_mut(k)) {
                None => errors.n_outside += 1,
                Some(bin) => {
                    let error = pred - truth;
                    bin.n_rows += 1;
                    bin.weight += weight;
                    bin.squares += weight * (error * error);
                    bin.sizes += weight * error.abs();
                    bin.signed += weight * error;
                }
            }
        }
        Ok(errors)
    }

    /// Adds the rows of another file.
    ///
    /// # Errors
    /// `InvalidInput` where it was binned by other edges; nothing is added then.
    pub fn absorb(&mut self, other: &Self) -> Result<()> {
        let edges = |errors: &Self| errors.bins.iter().map(|b| (b.from, b.to)).collect::<Vec<_>>();
        if edges(self) != edges(other) {
            let (expected, got) = (format!("{:?}", edges(self)), format!("{:?}", edges(other)));
            return Err(Error::input("bins of remaining life", expected, got));
        }
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin.n_rows += more.n_rows;
            bin.weight += more.weight;
            bin.squares += more.squares;
            bin.sizes += more.sizes;
            bin.signed += more.signed;
        }
        self.n_outside += other.n_outside;
        Ok(())
    }

    /// The bins, nearest to the failure first.
    pub fn bins(&self) -> &[HorizonBin] {
        &self.bins
    }

    /// Number of rows below the first edge, or at or above the last.
    pub fn n_outside(&self) -> usize {
        self.n_outside
    }
}

impl HorizonBin {
    /// Lower edge, in the bin.
    pub fn from(&self) -> f64 {
        self.from
    }

    /// Upper edge, not in the bin.
    pub fn to(&self) -> f64 {
        self.to
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Root of the mean squared error, in the unit of the lives.
    ///
    /// # Errors
    /// `InsufficientData` without a row of weight above zero.
    pub fn rmse(&self) -> Result<f64> {
        Ok(self.mean(self.squares)?.sqrt())
    }

    /// Mean absolute error, in the unit of the lives.
    ///
    /// # Errors
    /// As [`rmse`](HorizonBin::rmse).
    pub fn mae(&self) -> Result<f64> {
        self.mean(self.sizes)
    }

    /// Mean of `pred - truth`, in the unit of the lives: above zero where failures are foretold late.
    ///
    /// # Errors
    /// As [`rmse`](HorizonBin::rmse).
    pub fn bias(&self) -> Result<f64> {
        self.mean(self.signed)
    }

    fn mean(&self, sum: f64) -> Result<f64> {
        if self.weight > 0.0 {
            return Ok(sum / self.weight);
        }
        let what = format!("errors at a remaining life of {} to {}", self.from, self.to);
        Err(Error::insufficient(
            &what,
            "at least 1 row of weight above 0",
            self.n_rows,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{mae, rmse_weighted};
    use proptest::prelude::*;

    #[test]
    fn bad_edges_and_rows_are_refused() {
        let of = |edges: &[f64]| HorizonErrors::of(&[1.0], &[1.0], edges);
        for bad in [
            &[][..],
            &[1.0],
            &[1.0, 1.0],
            &[2.0, 1.0],
            &[0.0, f64::NAN],
            &[f64::NAN, 1.0],
            &[f64::NEG_INFINITY, 1.0],
            &[0.0, f64::INFINITY, f64::INFINITY],
        ] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
        assert!(HorizonErrors::of(&[], &[], &[0.0, 1.0]).is_err());
        assert!(HorizonErrors::of(&[f64::NAN], &[1.0], &[0.0, 1.0]).is_err());
        assert!(HorizonErrors::of_weighted(&[1.0], &[1.0], &[0.0, 1.0], &[-1.0]).is_err());
        let mut a = of(&[0.0, 1.0]).unwrap();
        assert_eq!((a.n_outside(), a.bins()[0].rmse().is_err()), (1, true));
        assert!(a.absorb(&of(&[0.0, 2.0]).unwrap()).is_err());
        assert!(a.absorb(&of(&[0.0, 1.0, 2.0]).unwrap()).is_err());
        assert_eq!(a, of(&[0.0, 1.0]).unwrap());
    }

    proptest! {
        /// Bins hold each row once, and a single bin is the plain metric; weights and additions included. Sums of at most
        /// 40 terms in another order: 40 eps of their size.
        #[test]
        fn bins_partition_the_rows(rows in proptest::collection::vec((0.0..200.0f64, 0.0..200.0f64, 0.1..2.0f64), 2..40), cut in 1usize..40) {
            let (pred, truth): (Vec<f64>, Vec<f64>) = rows.iter().map(|r| (r.0, r.1)).unzip();
            let weights: Vec<f64> = rows.iter().map(|r| r.2).collect();
            let edges = [0.0, 50.0, 120.0, f64::INFINITY];
            let all = HorizonErrors::of(&pred, &truth, &edges).unwrap();
            prop_assert_eq!(all.bins().iter().map(|b| b.n_rows()).sum::<usize>(), rows.len());
            let cut = cut.min(rows.len() - 1);
            let mut sum = HorizonErrors::of(&pred[..cut], &truth[..cut], &edges).unwrap();
            sum.absorb(&HorizonErrors::of(&pred[cut..], &truth[cut..], &edges).unwrap()).unwrap();
            for (a, b) in all.bins().iter().zip(sum.bins()) {
                prop_assert_eq!(a.n_rows(), b.n_rows());
                let own = |t: f64| a.from() <= t && t < a.to();
                let (p, t): (Vec<f64>, Vec<f64>) = rows.iter().filter(|r| own(r.1)).map(|r| (r.0, r.1)).unzip();
                match b.mae() {
                    Ok(got) => prop_assert!((got - mae(&p, &t).unwrap()).abs() < 1e-11),
                    Err(_) => prop_assert!(p.is_empty()),
                }
            }
            let one = HorizonErrors::of_weighted(&pred, &truth, &[0.0, 201.0], &weights).unwrap();
            let expected = rmse_weighted(&pred, &truth, &weights).unwrap();
            prop_assert!((one.bins()[0].rmse().unwrap() - expected).abs() < 1e-11);
        }
    }
}
