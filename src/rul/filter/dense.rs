//! Small dense matrices, row-major in flat slices.

/// A pivot below this share of the diagonal it came from is zero by rounding.
const ZERO_PIVOT: f64 = 1e-12;

/// `a` with `L Lᵀ = a` replaced by `L`, zeros above the diagonal. Semi-definite matrices have zero columns in `L`; `None`
/// where `a` has a negative direction or a value that is not finite. Only the lower triangle is read.
pub(super) fn cholesky(a: &mut [f64], n: usize) -> Option<()> {
    for j in 0..n {
        let own = a[j * n + j];
        let mut pivot = own;
        for k in 0..j {
            pivot -= a[j * n + k] * a[j * n + k];
        }
        if !(pivot.is_finite() && pivot >= -1e-9 * own.abs()) {
            return None;
        }
        let is_zero = pivot <= ZERO_PIVOT * own;
        let root = if is_zero { 0.0 } else { pivot.sqrt() };
        for i in j + 1..n {
            let mut rest = a[i * n + j];
            for k in 0..j {
                rest -= a[i * n + k] * a[j * n + k];
            }
            // No variance, but a covariance: not a covariance matrix. `a[i][i]` is still the input's.
            let largest = 1e-6 * (own * a[i * n + i]).abs().sqrt();
            if !rest.is_finite() || (is_zero && rest.abs() > largest) {
                return None;
            }
            a[i * n + j] = if is_zero { 0.0 } else { rest / root };
        }
        a[j * n + j] = root;
        a[j * n + j + 1..(j + 1) * n].fill(0.0);
    }
    Some(())
}

/// Whether `l` of [`cholesky`] has no zero pivot.
pub(super) fn is_definite(l: &[f64], n: usize) -> bool {
    (0..n).all(|j| l[j * n + j] > 0.0)
}

/// `b` replaced by the solution of `L Lᵀ x = b`; `L` definite.
pub(super) fn solve(l: &[f64], n: usize, b: &mut [f64]) {
    for i in 0..n {
        let mut x = b[i];
        for k in 0..i {
            x -= l[i * n + k] * b[k];
        }
        b[i] = x / l[i * n + i];
    }
    for i in (0..n).rev() {
        let mut x = b[i];
        for k in i + 1..n {
            x -= l[k * n + i] * b[k];
        }
        b[i] = x / l[i * n + i];
    }
}

/// `ln det(L Lᵀ)`; `L` definite.
pub(super) fn log_determinant(l: &[f64], n: usize) -> f64 {
    2.0 * (0..n).map(|j| libm::log(l[j * n + j])).sum::<f64>()
}

/// `out = a b` with `a` of `rows x inner` and `b` of `inner x columns`.
pub(super) fn multiply(a: &[f64], b: &[f64], inner: usize, columns: usize, out: &mut [f64]) {
    for (a, out) in a.chunks_exact(inner).zip(out.chunks_exact_mut(columns)) {
        out.fill(0.0);
        for (a, b) in a.iter().zip(b.chunks_exact(columns)) {
            out.iter_mut().zip(b).for_each(|(o, b)| *o += a * b);
        }
    }
}

/// `out = a bᵀ` with `a` of `rows x inner` and `b` of `columns x inner`.
pub(super) fn multiply_transposed(a: &[f64], b: &[f64], inner: usize, columns: usize, out: &mut [f64]) {
    for (a, out) in a.chunks_exact(inner).zip(out.chunks_exact_mut(columns)) {
        for (o, b) in out.iter_mut().zip(b.chunks_exact(inner)) {
            *o = a.iter().zip(b).map(|(a, b)| a * b).sum();
        }
    }
}

/// Both triangles replaced by their mean.
pub(super) fn symmetrise(a: &mut [f64], n: usize) {
    for i in 0..n {
        for j in 0..i {
            let mean = 0.5 * (a[i * n + j] + a[j * n + i]);
            a[i * n + j] = mean;
            a[j * n + i] = mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn semi_definite_matrices_pass_and_indefinite_ones_do_not() {
        let mut a = vec![4.0, 2.0, 2.0, 1.0];
        assert!(cholesky(&mut a, 2).is_some() && a == [2.0, 0.0, 1.0, 0.0] && !is_definite(&a, 2));
        for bad in [
            [1.0, 2.0, 2.0, 1.0],
            [-1.0, 0.0, 0.0, 1.0],
            [0.0, 1.0, 1.0, 1.0],
            [f64::NAN, 0.0, 0.0, 1.0],
            [1.0, f64::INFINITY, f64::INFINITY, 1.0],
        ] {
            assert!(cholesky(&mut bad.to_vec(), 2).is_none(), "{bad:?}");
        }
        assert!(cholesky(&mut [0.0; 4], 2).is_some());
    }

    proptest! {
        #[test]
        fn factors_multiply_back_and_solve(b in proptest::collection::vec(-1.0..1.0f64, 9), x in proptest::collection::vec(-1.0..1.0f64, 3)) {
            let mut a = [0.0; 9];
            multiply_transposed(&b, &b, 3, 3, &mut a);
            (0..3).for_each(|i| a[i * 4] += 1.0); // eigenvalues of 1 to 10
            let mut l = a;
            prop_assert!(cholesky(&mut l, 3).is_some() && is_definite(&l, 3));
            let mut back = [0.0; 9];
            multiply_transposed(&l, &l, 3, 3, &mut back);
            prop_assert!(back.iter().zip(&a).all(|(p, q)| (p - q).abs() < 1e-14));
            let mut y = [0.0; 3];
            multiply(&a, &x, 3, 1, &mut y);
            solve(&l, 3, &mut y);
            prop_assert!(y.iter().zip(&x).all(|(p, q)| (p - q).abs() < 1e-13));
            let det = a[0] * (a[4] * a[8] - a[5] * a[7]) - a[1] * (a[3] * a[8] - a[5] * a[6])
                + a[2] * (a[3] * a[7] - a[4] * a[6]);
            prop_assert!((log_determinant(&l, 3) - det.ln()).abs() < 1e-12);
        }
    }
}
