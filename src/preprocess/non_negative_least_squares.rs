//! Least squares with weights that are not negative.

use super::least_squares::solve_positive_definite;
use crate::error::{Error, Result};
use ndarray::Array2;

/// Steps of the slope below this share of the largest one count as none.
const FLAT: f64 = 1e-11;

/// The `x >= 0` that minimises `|A x - b|`, by active sets (Lawson & Hanson 1974, doi 10.1137/1.9781611971217, chapter 23),
/// from `gram = A'A` (row-major) and `cross = A'b`.
///
/// Each step costs one Cholesky factorisation of at most `n` unknowns; usually about `n` steps are taken. Columns that are
/// equal to rounding share their weight in no promised way.
///
/// # Errors
/// `InvalidInput` where the sizes do not go together, `NotConverged` for sums that are not finite and where `10 n + 10` steps
/// find no end.
pub(crate) fn non_negative_least_squares(gram: &[f64], cross: &[f64]) -> Result<Vec<f64>> {
    let n = cross.len();
    if gram.len() != n * n {
        return Err(Error::input("normal equations", format!("{n} x {n} sums"), gram.len()));
    }
    if !gram.iter().chain(cross).all(|v| v.is_finite()) {
        return Err(Error::not_converged(
            "non-negative least squares: expected finite sums, got NaN or infinity",
        ));
    }
    let mut x = vec![0.0; n];
    let mut free = vec![false; n];
    // Columns freed in vain since the last step that moved: rounding let their slope look like one.
    let mut vain = vec![false; n];
    let steepest = cross.iter().fold(0.0f64, |m, c| m.max(c.abs()));
    for _ in 0..10 * n + 10 {
        let slope = |j: usize| cross[j] - (0..n).map(|i| gram[j * n + i] * x[i]).sum::<f64>();
        let next = (0..n)
            .filter(|&j| !free[j] && !vain[j])
            .map(|j| (j, slope(j)))
            .filter(|(_, s)| *s > FLAT * steepest)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((added, _)) = next else { return Ok(x) };
        free[added] = true;
        let mut first = true;
        loop {
            let set: Vec<usize> = (0..n).filter(|&j| free[j]).collect();
            if set.is_empty() {
                break;
            }
            let a = Array2::from_shape_fn((set.len(), set.len()), |(i, j)| gram[set[i] * n + set[j]]);
            let b = Array2::from_shape_fn((set.len(), 1), |(i, _)| cross[set[i]]);
            let s = solve_positive_definite(a, b)?;
            let wanted = |k: usize| s[[k, 0]];
            if first && set.iter().enumerate().any(|(k, &j)| j == added && wanted(k) <= 0.0) {
                free[added] = false;
                vain[added] = true;
                break;
            }
            if first {
                vain.fill(false);
            }
            first = false;
            // As far towards the solution as no weight turns negative.
            let blocked = set.iter().enumerate().filter(|(k, _)| wanted(*k) <= 0.0);
            let share = blocked
                .map(|(k, &j)| x[j] / (x[j] - wanted(k)))
                .fold(None, |m: Option<f64>, s| Some(m.map_or(s, |m| m.min(s))));
            let Some(share) = share else {
                set.iter().enumerate().for_each(|(k, &j)| x[j] = wanted(k));
                break;
            };
            let mut dropped = false;
            for (k, &j) in set.iter().enumerate() {
                let stops = wanted(k) <= 0.0 && x[j] / (x[j] - wanted(k)) <= share;
                x[j] = if stops {
                    0.0
                } else {
                    (x[j] + share * (wanted(k) - x[j])).max(0.0)
                };
                free[j] = !stops;
                dropped |= stops;
            }
            if !dropped {
                break; // not for finite numbers
            }
        }
    }
    Err(Error::not_converged(format!(
        "non-negative least squares of {n} weights: expected an end within {} steps, got none",
        10 * n + 10
    )))
}

/// The weights that are not negative, sum to one and minimise the weighted squared error of `sum_k w_k columns[k]` as an
/// estimate of `target`.
///
/// As the weights sum to one the error is `E w` with `E_k = columns[k] - target`. The non-negative `u` that minimises
/// `|E u|^2 + (sum u - 1)^2` is such a `w` times a number: at `u = t w` the best `t` leaves `|E w|^2 / (1 + |E w|^2)`, which
/// grows with `|E w|`. So `w = u / sum u`, exactly.
///
/// # Errors
/// `InvalidInput` for columns of another length or none, those of [`non_negative_least_squares`].
pub(crate) fn convex_weights(columns: &[Vec<f64>], target: &[f64], row_weights: &[f64]) -> Result<Vec<f64>> {
    let n = columns.len();
    let rows = target.len();
    if n == 0 || rows == 0 || row_weights.len() != rows || columns.iter().any(|c| c.len() != rows) {
        return Err(Error::input(
            "columns to weigh",
            format!("at least one, each of {rows} rows"),
            format!("{n} columns"),
        ));
    }
    let product = |j: usize, k: usize| {
        let terms = columns[j].iter().zip(&columns[k]).zip(target).zip(row_weights);
        terms.map(|(((a, b), y), w)| w * (a - y) * (b - y)).sum::<f64>()
    };
    let mut gram = vec![0.0; n * n];
    for j in 0..n {
        for k in 0..=j {
            let sum = product(j, k);
            gram[j * n + k] = sum;
            gram[k * n + j] = sum;
        }
    }
    // The errors' unit does not matter: the smallest is made 1, so that the sum's own equation weighs as much.
    let smallest = (0..n).map(|j| gram[j * n + j]).fold(f64::INFINITY, f64::min);
    if smallest > 0.0 {
        gram.iter_mut().for_each(|g| *g /= smallest);
    }
    gram.iter_mut().for_each(|g| *g += 1.0);
    let mut w = non_negative_least_squares(&gram, &vec![1.0; n])?;
    let total: f64 = w.iter().sum();
    if !(total.is_finite() && total > 0.0) {
        return Err(Error::not_converged(format!(
            "weights that sum to one: expected a sum above 0, got {total}"
        )));
    }
    w.iter_mut().for_each(|w| *w /= total);
    Ok(w)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn numbers(v: &Value) -> Vec<f64> {
        v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }

    fn product(a: &[Vec<f64>], b: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let n = a[0].len();
        let dot = |f: &dyn Fn(usize) -> f64| (0..a.len()).map(f).sum::<f64>();
        let gram = (0..n * n).map(|jk| dot(&|i| a[i][jk / n] * a[i][jk % n])).collect();
        (gram, (0..n).map(|j| dot(&|i| a[i][j] * b[i])).collect())
    }

    #[test]
    fn weights_are_scipys() {
        let all: Value = serde_json::from_str(include_str!("../../tests/golden/stack.json")).unwrap();
        let cases = all["nnls"].as_array().unwrap();
        assert!(cases.len() >= 6);
        for case in cases {
            let a: Vec<Vec<f64>> = case["a"].as_array().unwrap().iter().map(numbers).collect();
            let b = numbers(&case["b"]);
            let (gram, cross) = product(&a, &b);
            let got = non_negative_least_squares(&gram, &cross).unwrap();
            // Normal equations of condition below 1e4, the diagonal raised by 1e-12 of its largest: 1e-8 at worst.
            for (g, w) in got.iter().zip(numbers(&case["x"])) {
                assert!((g - w).abs() < 1e-8 * w.abs().max(1.0), "{w} expected, {g}");
            }
            let columns: Vec<Vec<f64>> = (0..a[0].len()).map(|j| a.iter().map(|r| r[j]).collect()).collect();
            let got = convex_weights(&columns, &b, &vec![1.0; b.len()]).unwrap();
            assert!((got.iter().sum::<f64>() - 1.0).abs() < 1e-14);
            // SLSQP ends where the objective no longer falls by 1e-15 of itself: weights to about its root.
            for (g, w) in got.iter().zip(numbers(&case["convex"])) {
                assert!((g - w).abs() < 2e-6, "{w} expected, {g}");
            }
        }
    }

    #[test]
    fn perfect_column_takes_all() {
        let y = [1.0, 5.0, 2.0, 8.0];
        let off = vec![2.0, 4.0, 3.0, 7.0];
        assert_eq!(
            convex_weights(&[off.clone(), y.to_vec()], &y, &[1.0; 4]).unwrap(),
            [0.0, 1.0]
        );
        assert_eq!(convex_weights(&[off], &y, &[1.0; 4]).unwrap(), [1.0]);
    }

    #[test]
    fn twins_share_and_hostile_sums_are_refused() {
        let y = [1.0, 5.0, 2.0, 8.0];
        let off = vec![2.0, 4.0, 3.0, 7.0];
        let w = convex_weights(&[off.clone(), off.clone(), off], &y, &[1.0; 4]).unwrap();
        assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-14 && w.iter().all(|w| *w >= 0.0));
        assert!(convex_weights(&[], &y, &[1.0; 4]).is_err());
        assert!(convex_weights(&[vec![1.0]], &y, &[1.0; 4]).is_err());
        assert!(convex_weights(&[vec![f64::NAN; 4]], &y, &[1.0; 4]).is_err());
        assert!(convex_weights(&[vec![1e200; 4]], &y, &[1.0; 4]).is_err());
        assert!(non_negative_least_squares(&[1.0], &[1.0, 2.0]).is_err());
        assert!(non_negative_least_squares(&[f64::INFINITY], &[1.0]).is_err());
        assert_eq!(non_negative_least_squares(&[], &[]).unwrap(), [0.0; 0]);
        assert_eq!(non_negative_least_squares(&[2.0], &[-1.0]).unwrap(), [0.0]);
        assert_eq!(non_negative_least_squares(&[0.0], &[0.0]).unwrap(), [0.0]);
    }
}
