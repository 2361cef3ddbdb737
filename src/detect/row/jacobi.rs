//! Eigenvectors of a symmetric matrix by rotations.

use ndarray::Array2;

/// Sweeps over all pairs; convergence is quadratic, eight do for most matrices.
const MOST_SWEEPS: usize = 64;

/// Eigenvalues and, in columns, orthonormal eigenvectors of a symmetric matrix, in no order.
///
/// Jacobi's cyclic method: each pair of rows and columns is rotated until what couples them is zero. Slower than reduction to
/// tridiagonal form, `O(n³)` a sweep, but it cannot fail to converge. Source: Golub and Van Loan, Matrix Computations, 4th
/// edition, section 8.5.
pub(in crate::detect) fn eigen(mut a: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let n = a.nrows();
    let mut vectors = Array2::eye(n);
    // Below the rounding of what is left.
    let negligible = 1e-3 * f64::EPSILON * a.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    for _ in 0..MOST_SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let coupling = a[[p, q]];
                if coupling.abs() <= negligible {
                    continue;
                }
                rotated = true;
                // The smaller of the two angles that zero the coupling.
                let theta = (a[[q, q]] - a[[p, p]]) / (2.0 * coupling);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (kp, kq) = (a[[k, p]], a[[k, q]]);
                    a[[k, p]] = c * kp - s * kq;
                    a[[k, q]] = s * kp + c * kq;
                }
                for k in 0..n {
                    let (pk, qk) = (a[[p, k]], a[[q, k]]);
                    a[[p, k]] = c * pk - s * qk;
                    a[[q, k]] = s * pk + c * qk;
                    let (vp, vq) = (vectors[[k, p]], vectors[[k, q]]);
                    vectors[[k, p]] = c * vp - s * vq;
                    vectors[[k, q]] = s * vp + c * vq;
                }
            }
        }
        if !rotated {
            break;
        }
    }
    (a.diag().to_vec(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn values_of_a_known_matrix_and_residuals_of_many() {
        let (mut values, _) = eigen(array![[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]]);
        values.sort_by(f64::total_cmp);
        // 2 - 2 cos(k pi / 4); some ten rotations of numbers up to 4 round by less than 1e-14.
        for (got, k) in values.iter().zip([1.0, 2.0, 3.0]) {
            let expected = 2.0 - 2.0 * libm::cos(k * std::f64::consts::FRAC_PI_4);
            assert!((got - expected).abs() < 1e-14, "{got} {expected}");
        }
        for n in [1, 2, 5, 30] {
            let a = Array2::from_shape_fn((n, n), |(i, j)| libm::sin((i * j + 3 * (i + j)) as f64));
            let (values, vectors) = eigen(a.clone());
            // Rounding of some ten sweeps of n rotations of numbers of order one.
            let tolerance = 1e-14 * (n * n) as f64;
            let identity = vectors.t().dot(&vectors) - Array2::<f64>::eye(n);
            assert!(identity.iter().all(|x| x.abs() < tolerance));
            let residual = a.dot(&vectors) - vectors.dot(&Array2::from_diag(&ndarray::arr1(&values)));
            assert!(residual.iter().all(|x| x.abs() < tolerance), "{n}");
        }
    }
}
