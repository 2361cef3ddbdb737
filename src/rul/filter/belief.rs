//! What is known of a state: a normal distribution.

use super::dense;
use crate::error::{Error, Result};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// Largest number of states or observations of a filter.
pub const MAX_STATES: usize = 64;

/// A normal distribution over states: the start of every filter, and what the Kalman filters carry on.
///
/// Covariances may be semi-definite: a state of no variance is known.
///
/// ```
/// use prognos::rul::filter::GaussianBelief;
/// let start = GaussianBelief::independent(&[20.0, 0.0], &[1.0, 0.1])?;
/// assert_eq!(start.sd(0), 1.0);
/// // A correlation of 2 is none.
/// assert!(GaussianBelief::new(&[0.0, 0.0], ndarray::arr2(&[[1.0, 2.0], [2.0, 1.0]]).view()).is_err());
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct GaussianBelief {
    pub(super) mean: Vec<f64>,
    /// `n x n`, row-major, symmetric.
    pub(super) covariance: Vec<f64>,
    pub(super) diverged: bool,
}

#[derive(Serialize, Deserialize)]
struct Record {
    mean: Vec<f64>,
    covariance: Vec<f64>,
    diverged: bool,
}

impl GaussianBelief {
    /// From a mean and a covariance matrix.
    ///
    /// # Errors
    /// `InvalidParameter` for no states or more than 64, sizes that do not match, numbers that are not finite, and a matrix
    /// that is not symmetric (within 10⁻⁹ of its diagonal) or has a negative direction.
    pub fn new(mean: &[f64], covariance: ArrayView2<'_, f64>) -> Result<Self> {
        let covariance = checked_covariance("covariance", covariance, mean.len(), false)?;
        Self::checked(mean.to_vec(), covariance, false)
    }

    /// Independent states of these standard deviations.
    ///
    /// # Errors
    /// `InvalidParameter` as [`new`](GaussianBelief::new), and for a negative standard deviation.
    pub fn independent(mean: &[f64], sd: &[f64]) -> Result<Self> {
        if sd.len() != mean.len() {
            return Err(Error::parameter("sd", format!("of length {}", mean.len()), sd.len()));
        }
        check_states("mean", mean.len())?;
        if let Some(bad) = sd.iter().find(|s| !(s.is_finite() && **s >= 0.0)) {
            return Err(Error::parameter("sd", "finite and not negative", bad));
        }
        let n = mean.len();
        let mut covariance = vec![0.0; n * n];
        (0..n).for_each(|i| covariance[i * n + i] = sd[i] * sd[i]);
        Self::checked(mean.to_vec(), covariance, false)
    }

    fn checked(mean: Vec<f64>, covariance: Vec<f64>, diverged: bool) -> Result<Self> {
        check_states("mean", mean.len())?;
        if let Some(bad) = mean.iter().find(|m| !m.is_finite()) {
            return Err(Error::parameter("mean", "finite", bad));
        }
        let belief = Self {
            mean,
            covariance,
            diverged,
        };
        if belief.root().is_none() {
            return Err(Error::parameter(
                "covariance",
                "positive semi-definite",
                "a matrix with a negative direction",
            ));
        }
        Ok(belief)
    }

    /// The mean of each state.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance matrix.
    pub fn covariance(&self) -> ArrayView2<'_, f64> {
        let n = self.mean.len();
        ArrayView2::from_shape((n, n), &self.covariance).unwrap_or_else(|_| ArrayView2::from(&[[0.0; 0]; 0]))
    }

    /// The standard deviation of state `i`; NaN where there is none.
    pub fn sd(&self, i: usize) -> f64 {
        let n = self.mean.len();
        if i < n {
            self.covariance[i * n + i].max(0.0).sqrt()
        } else {
            f64::NAN
        }
    }

    /// Number of states.
    pub fn n_states(&self) -> usize {
        self.mean.len()
    }

    /// Whether the covariance became none at run time (rounding, absurd noise); a belief stays so.
    pub fn has_diverged(&self) -> bool {
        self.diverged
    }

    /// The lower Cholesky factor.
    pub(super) fn root(&self) -> Option<Vec<f64>> {
        let mut root = self.covariance.clone();
        dense::cholesky(&mut root, self.mean.len())?;
        Some(root)
    }

    /// Whether mean and variances are those of a distribution still.
    pub(super) fn is_sound(&self) -> bool {
        let n = self.mean.len();
        self.mean.iter().chain(&self.covariance).all(|v| v.is_finite())
            && (0..n).all(|i| self.covariance[i * n + i] >= 0.0)
    }
}

impl TryFrom<Record> for GaussianBelief {
    type Error = Error;

    fn try_from(r: Record) -> Result<Self> {
        let n = r.mean.len();
        let matrix = ArrayView2::from_shape((n, n), &r.covariance)
            .map_err(|_| Error::persistence(format!("covariance: expected {n} x {n}, got {}", r.covariance.len())))?;
        let covariance = checked_covariance("covariance", matrix, n, false)?;
        Self::checked(r.mean, covariance, r.diverged)
    }
}

impl From<GaussianBelief> for Record {
    fn from(b: GaussianBelief) -> Self {
        Self {
            mean: b.mean,
            covariance: b.covariance,
            diverged: b.diverged,
        }
    }
}

pub(super) fn check_states(name: &str, n: usize) -> Result<()> {
    if (1..=MAX_STATES).contains(&n) {
        Ok(())
    } else {
        Err(Error::parameter(name, format!("of length 1 to {MAX_STATES}"), n))
    }
}

/// The values of an `n x n` matrix that is a covariance; a definite one where `definite`.
pub(super) fn checked_covariance(name: &str, a: ArrayView2<'_, f64>, n: usize, definite: bool) -> Result<Vec<f64>> {
    check_states(name, n)?;
    let values = checked_matrix(name, a, (n, n))?;
    for i in 0..n {
        for j in 0..i {
            let scale = values[i * n + i].abs().max(values[j * n + j].abs());
            let (low, high) = (values[i * n + j], values[j * n + i]);
            if (low - high).abs() > 1e-9 * scale {
                return Err(Error::parameter(name, "symmetric", format!("{low} across {high}")));
            }
        }
    }
    let mut root = values.clone();
    let sound = dense::cholesky(&mut root, n).is_some() && (!definite || dense::is_definite(&root, n));
    if !sound {
        let wanted = if definite {
            "positive definite"
        } else {
            "positive semi-definite"
        };
        return Err(Error::parameter(name, wanted, format!("{a}")));
    }
    Ok(values)
}

/// The row-major values of a matrix of this shape.
pub(super) fn checked_matrix(name: &str, a: ArrayView2<'_, f64>, shape: (usize, usize)) -> Result<Vec<f64>> {
    if a.dim() != shape {
        return Err(Error::parameter(
            name,
            format!("{} x {}", shape.0, shape.1),
            format!("{} x {}", a.nrows(), a.ncols()),
        ));
    }
    if let Some(bad) = a.iter().find(|v| !v.is_finite()) {
        return Err(Error::parameter(name, "finite", bad));
    }
    Ok(a.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, arr2};

    #[test]
    fn wrong_beliefs_are_refused() {
        let one = arr2(&[[1.0]]);
        assert!(GaussianBelief::new(&[], Array2::zeros((0, 0)).view()).is_err());
        assert!(GaussianBelief::new(&[0.0, 0.0], one.view()).is_err());
        assert!(GaussianBelief::new(&[f64::NAN], one.view()).is_err());
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(GaussianBelief::new(&[0.0], arr2(&[[bad]]).view()).is_err());
            assert!(GaussianBelief::independent(&[0.0], &[bad]).is_err());
        }
        assert!(GaussianBelief::new(&[0.0; 2], arr2(&[[1.0, 0.5], [0.4, 1.0]]).view()).is_err());
        assert!(GaussianBelief::independent(&[0.0; 65], &[1.0; 65]).is_err());
        assert!(GaussianBelief::independent(&[0.0], &[1.0, 2.0]).is_err());
    }

    #[test]
    fn files_are_validated() {
        let b = GaussianBelief::independent(&[1.0, 2.0], &[0.0, 3.0]).unwrap();
        let bytes = rmp_serde::to_vec_named(&b).unwrap();
        assert_eq!(rmp_serde::from_slice::<GaussianBelief>(&bytes).unwrap(), b);
        let with = |covariance: Vec<f64>| {
            let record = Record {
                mean: vec![0.0; 2],
                covariance,
                diverged: false,
            };
            rmp_serde::from_slice::<GaussianBelief>(&rmp_serde::to_vec_named(&record).unwrap())
        };
        assert!(with(vec![1.0, 0.0, 0.0, 1.0]).is_ok());
        assert!(with(vec![1.0; 3]).is_err());
        assert!(with(vec![1.0, 2.0, 2.0, 1.0]).is_err());
    }
}
