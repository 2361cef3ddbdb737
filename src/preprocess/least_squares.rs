//! Ridge regression by its normal equations, accumulated row by row.

use crate::error::{Error, Result};
use linfa_linalg::{cholesky::CholeskyInplace, triangular::SolveTriangularInplace, triangular::UPLO};
use ndarray::{Array1, Array2};

/// Rows that are added to the sums together.
const SIDE_BY_SIDE: usize = 8;

/// Sums behind a ridge regression of several targets on the same variables: `X'X`, `X'Y` and the means.
///
/// Memory `O(n_vars^2 + n_vars n_targets)`; a row costs as much. Variables should be near zero mean and unit scale.
#[derive(Clone, Debug)]
pub(crate) struct GramAccumulator {
    n_vars: usize,
    n_targets: usize,
    n_rows: f64,
    gram: Vec<f64>,
    cross: Vec<f64>,
    sum_x: Vec<f64>,
    sum_y: Vec<f64>,
}

/// `y = intercept + coefficients . x`, one row of coefficients a target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RidgeSolution {
    pub(crate) coefficients: Array2<f64>,
    pub(crate) intercepts: Vec<f64>,
}

impl GramAccumulator {
    pub(crate) fn new(n_vars: usize, n_targets: usize) -> Self {
        Self {
            n_vars,
            n_targets,
            n_rows: 0.0,
            gram: vec![0.0; n_vars * n_vars],
            cross: vec![0.0; n_targets * n_vars],
            sum_x: vec![0.0; n_vars],
            sum_y: vec![0.0; n_targets],
        }
    }

    /// Adds a row; the caller leaves out rows that are not finite.
    pub(crate) fn add(&mut self, x: &[f64], y: &[f64]) {
        debug_assert!(x.len() == self.n_vars && y.len() == self.n_targets);
        // Lower triangle only.
        for (i, (&xi, row)) in x.iter().zip(self.gram.chunks_exact_mut(self.n_vars.max(1))).enumerate() {
            for (g, &xj) in row[..=i].iter_mut().zip(x) {
                *g += xi * xj;
            }
        }
        self.add_other_sums(x, y);
    }

    /// Adds rows that lie one behind the other in `x`, and as many targets: to the last bit what [`add`](Self::add) makes of
    /// them one by one, but several at a time, so that many variables' sums pass through memory less often.
    pub(crate) fn add_rows(&mut self, x: &[f64], y: &[f64]) {
        let (p, t) = (self.n_vars.max(1), self.n_targets.max(1));
        for (x, y) in x.chunks(SIDE_BY_SIDE * p).zip(y.chunks(SIDE_BY_SIDE * t)) {
            if x.len() < SIDE_BY_SIDE * p {
                x.chunks_exact(p)
                    .zip(y.chunks_exact(t))
                    .for_each(|(x, y)| self.add(x, y));
                continue;
            }
            for (i, sums) in self.gram.chunks_exact_mut(p).enumerate() {
                let sums = &mut sums[..=i];
                let at = |r: usize| &x[r * p..r * p + i + 1];
                let rows: [&[f64]; SIDE_BY_SIDE] = std::array::from_fn(at);
                let own = rows.map(|r| r[i]);
                for (j, g) in sums.iter_mut().enumerate() {
                    let mut sum = *g;
                    for (xi, row) in own.iter().zip(&rows) {
                        sum += xi * row[j];
                    }
                    *g = sum;
                }
            }
            for (x, y) in x.chunks_exact(p).zip(y.chunks_exact(t)) {
                self.add_other_sums(x, y);
            }
        }
    }

    /// All sums of a row but `X'X`.
    fn add_other_sums(&mut self, x: &[f64], y: &[f64]) {
        self.n_rows += 1.0;
        for (&yt, row) in y.iter().zip(self.cross.chunks_exact_mut(self.n_vars.max(1))) {
            for (c, &xi) in row.iter_mut().zip(x) {
                *c += yt * xi;
            }
        }
        self.sum_x.iter_mut().zip(x).for_each(|(s, x)| *s += x);
        self.sum_y.iter_mut().zip(y).for_each(|(s, y)| *s += y);
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows as usize
    }

    /// Solves with an intercept that is not penalised: `(Xc'Xc + lambda I) b = Xc'yc`, c for centred.
    pub(crate) fn solve(&self, lambda: f64) -> Result<RidgeSolution> {
        if self.n_rows < 1.0 {
            return Err(Error::insufficient("ridge regression", "at least 1 row", 0));
        }
        let (p, n) = (self.n_vars, self.n_rows);
        let mean: Vec<f64> = self.sum_x.iter().map(|s| s / n).collect();
        let centred = |i: usize, j: usize| self.gram[i.max(j) * p + i.min(j)] - n * mean[i] * mean[j];
        let mut a = Array2::from_shape_fn((p, p), |(i, j)| centred(i, j));
        for i in 0..p {
            a[[i, i]] += lambda;
        }
        let b = Array2::from_shape_fn((p, self.n_targets), |(i, t)| {
            self.cross[t * p + i] - mean[i] * self.sum_y[t]
        });
        let solution = solve_positive_definite(a, b)?;
        let intercept = |t: usize| {
            let at_mean: f64 = (0..p).map(|i| solution[[i, t]] * mean[i]).sum();
            self.sum_y[t] / n - at_mean
        };
        Ok(RidgeSolution {
            intercepts: (0..self.n_targets).map(intercept).collect(),
            coefficients: solution.reversed_axes().as_standard_layout().into_owned(),
        })
    }
}

/// The solution of `a x = b` for a symmetric positive definite `a`, by Cholesky.
///
/// A diagonal element is raised by `1e-12` of the largest one where `a` is singular to rounding.
pub(crate) fn solve_positive_definite(a: Array2<f64>, mut b: Array2<f64>) -> Result<Array2<f64>> {
    let largest = a.diag().iter().fold(0.0f64, |m, d| m.max(d.abs()));
    if !(largest.is_finite() && a.iter().chain(&b).all(|v| v.is_finite())) {
        return Err(Error::not_converged(
            "normal equations: expected finite sums, got NaN or infinity",
        ));
    }
    let mut factor = a;
    let jitter = Array1::from_elem(factor.nrows(), (largest * 1e-12).max(f64::MIN_POSITIVE));
    let mut diagonal = factor.diag_mut();
    diagonal += &jitter;
    let failed = |e: linfa_linalg::LinalgError| {
        Error::not_converged(format!("normal equations cannot be factorised: {e}")).with_source(e)
    };
    factor.cholesky_inplace().map_err(failed)?;
    factor.solve_triangular_inplace(&mut b, UPLO::Lower).map_err(failed)?;
    factor
        .t()
        .solve_triangular_inplace(&mut b, UPLO::Upper)
        .map_err(failed)?;
    Ok(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_line_is_found_and_collinear_variables_are_survived() {
        let mut g = GramAccumulator::new(2, 1);
        for i in 0..50 {
            let x = f64::from(i) / 25.0 - 1.0;
            let z = ((i * 7) % 11) as f64 / 5.0 - 1.0;
            g.add(&[x, z], &[3.0 + 2.0 * x - z]);
        }
        let s = g.solve(0.0).unwrap();
        assert!((s.coefficients[[0, 0]] - 2.0).abs() < 1e-9 && (s.coefficients[[0, 1]] + 1.0).abs() < 1e-9);
        assert!((s.intercepts[0] - 3.0).abs() < 1e-9);

        let mut twins = GramAccumulator::new(2, 1);
        (0..20).for_each(|i| twins.add(&[f64::from(i), f64::from(i)], &[f64::from(i)]));
        let s = twins.solve(1e-6).unwrap();
        assert!((s.coefficients.sum() - 1.0).abs() < 1e-6, "{s:?}");
        assert!(GramAccumulator::new(1, 1).solve(1.0).is_err());
    }

    #[test]
    fn rows_together_are_rows_one_by_one() {
        let (p, n) = (5, 27);
        let x: Vec<f64> = (0..p * n).map(|i| ((i * 37) % 101) as f64 / 7.0 - 3.0).collect();
        let y: Vec<f64> = (0..2 * n).map(|i| ((i * 13) % 17) as f64 / 3.0).collect();
        let (mut one, mut many) = (GramAccumulator::new(p, 2), GramAccumulator::new(p, 2));
        x.chunks(p).zip(y.chunks(2)).for_each(|(x, y)| one.add(x, y));
        many.add_rows(&x, &y);
        assert_eq!(one.gram, many.gram);
        assert_eq!((one.cross, one.sum_x, one.sum_y), (many.cross, many.sum_x, many.sum_y));
        assert_eq!((one.n_rows, many.n_rows), (27.0, 27.0));
    }
}
