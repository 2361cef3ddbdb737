//! The plane in the scaled space that holds the usual variation: what detectors by principal components share.

use super::jacobi;
use crate::detect::{
    rows::Rows,
    standard::{Row, Standard, check_numbers, dot, second_moments},
};
use crate::error::{Error, Result};
use linfa_linalg::eigh::EighInto;
use ndarray::{Array2, ArrayView1};

/// Components with a share of the first one's variance below this are directions in which training rows do not vary.
pub(in crate::detect) const RANK: f64 = 1e-10;
/// A limit of T² or Q is at least this: 10⁻⁶ standard deviations, squared.
pub(in crate::detect) const LEAST_LIMIT: f64 = 1e-12;

/// Rows up to this width are assessed in buffers small enough to cost nothing.
const NARROW: usize = 64;

/// How many components are kept: the fewest of this share of the variance, or this many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) enum Components {
    Share(f64),
    Number(usize),
}

impl Components {
    pub fn check(self) -> Result<()> {
        match self {
            Self::Share(s) if !(s > 0.0 && s <= 1.0) => {
                Err(Error::parameter("explained_variance", "above 0 and at most 1", s))
            }
            Self::Number(0) => Err(Error::parameter("n_components", "at least 1", 0)),
            _ => Ok(()),
        }
    }
}

/// The combined index of T² and Q.
pub(in crate::detect) fn combined((t2, q): (f64, f64), t2_limit: f64, q_limit: Option<f64>) -> f64 {
    t2 / t2_limit + q_limit.map_or(0.0, |limit| q / limit)
}

/// The scaled space and the plane in it that holds the usual variation.
#[derive(Clone, Debug)]
pub(in crate::detect) struct Plane {
    pub standard: Standard,
    /// All of them, highest first.
    pub eigenvalues: Vec<f64>,
    pub n_components: u32,
    /// `(n_components, standard.len())` by rows.
    pub components: Vec<f64>,
}

impl Plane {
    pub fn fit(rows: &[&[f64]], keep: Components) -> Result<Self> {
        let standard = Standard::fit(rows)?;
        let z = standard.rows(rows);
        let (correlation, _) = second_moments(Rows::new(&z, standard.len()), rows.len() as f64 - 1.0);
        let (eigenvalues, vectors) = eigen(correlation)?;
        let first = eigenvalues.first().copied().unwrap_or(0.0);
        let rank = eigenvalues.iter().take_while(|&&l| l > RANK * first).count();
        let wanted = match keep {
            Components::Number(n) => n,
            Components::Share(share) => {
                let enough = share * eigenvalues.iter().sum::<f64>() * (1.0 - 1e-12);
                let mut sum = 0.0;
                let short = |l: &&f64| {
                    sum += **l;
                    sum < enough
                };
                eigenvalues.iter().take_while(short).count() + 1
            }
        };
        let n_components = wanted.clamp(1, rank.max(1));
        let components = vectors.into_iter().take(n_components).flatten().collect();
        Ok(Self {
            standard,
            eigenvalues,
            n_components: n_components as u32,
            components,
        })
    }

    pub fn n_components(&self) -> usize {
        self.n_components as usize
    }

    /// Whether no direction is left beside the plane.
    pub fn is_complete(&self) -> bool {
        self.n_components() == self.standard.len()
    }

    pub fn components(&self) -> impl Iterator<Item = (&[f64], f64)> {
        let width = self.standard.len().max(1);
        self.components
            .chunks_exact(width)
            .zip(self.eigenvalues.iter().copied())
    }

    /// Takes the parts of `residual`, a standardised row, that lie in the plane out of it, calling `each` with every component,
    /// its eigenvalue and the row's score on it.
    #[inline]
    fn project(&self, z: &[f64], residual: &mut [f64], mut each: impl FnMut(&[f64], f64, f64)) {
        for (component, eigenvalue) in self.components() {
            let t = dot(component, z);
            residual.iter_mut().zip(component).for_each(|(r, p)| *r -= t * p);
            each(component, eigenvalue, t);
        }
        if self.is_complete() {
            residual.fill(0.0);
        }
    }

    /// T² and Q.
    #[inline]
    pub fn statistics(&self, x: &[f64]) -> (f64, f64) {
        let n = self.standard.len();
        if n <= NARROW {
            let (mut z, mut residual) = ([0.0; NARROW], [0.0; NARROW]);
            self.statistics_in(x, &mut z[..n], &mut residual[..n])
        } else {
            let (mut z, mut residual) = (Row::from_elem(0.0, n), Row::from_elem(0.0, n));
            self.statistics_in(x, &mut z, &mut residual)
        }
    }

    #[inline]
    fn statistics_in(&self, x: &[f64], z: &mut [f64], residual: &mut [f64]) -> (f64, f64) {
        self.standard.row_into(x, z);
        residual.copy_from_slice(z);
        let mut t2 = 0.0;
        self.project(z, residual, |_, eigenvalue, t| t2 += t * t / eigenvalue);
        (t2, dot(residual, residual))
    }

    /// Calls `each` with every column that varies and its share of the combined index of the row `x`; shares add up to it.
    pub fn shares(&self, x: &[f64], t2_limit: f64, q_limit: Option<f64>, mut each: impl FnMut(usize, f64)) {
        let z = self.standard.row(x);
        let mut gain = Row::from_elem(0.0, z.len());
        let mut residual = z.clone();
        self.project(&z, &mut residual, |component, eigenvalue, t| {
            let weight = t / eigenvalue / t2_limit;
            gain.iter_mut().zip(component).for_each(|(g, p)| *g += weight * p);
        });
        let shares = z.iter().zip(&gain).zip(&residual);
        for (column, ((z, g), r)) in self.standard.columns().zip(shares) {
            each(column, z * g + q_limit.map_or(0.0, |limit| r * r / limit));
        }
    }
}

/// Eigenvalues, highest first and not negative, and eigenvectors of a correlation matrix. In each vector the first
/// element of (nearly) the largest magnitude is positive.
fn eigen(correlation: Array2<f64>) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let n = correlation.nrows();
    // One is added to every eigenvalue, which keeps them away from zero where the iteration's stopping rule is blind,
    // and what lies below rounding is zero, so that no square underflows. Neither moves a vector.
    let shifted = Array2::from_shape_fn((n, n), |(i, j)| {
        let r = correlation.get((i, j)).copied().unwrap_or(0.0);
        let r = if r.abs() < 1e-17 { 0.0 } else { r };
        if i == j { r + 1.0 } else { r }
    });
    let failed = || Error::not_converged(format!("eigenvalues of the correlation matrix of {n} features"));
    let in_order = |values: Vec<f64>, vectors: &Array2<f64>| {
        let mut pairs: Vec<(f64, Vec<f64>)> = values
            .into_iter()
            .zip(vectors.columns().into_iter().map(signed))
            .collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        pairs
    };
    let good = |(l, v): &(f64, Vec<f64>)| {
        let residual = correlation.rows().into_iter().zip(v).map(|(row, vi)| {
            let image: f64 = row.iter().zip(v).map(|(a, b)| a * b).sum();
            (image - l * vi).abs()
        });
        residual.fold(0.0, f64::max) <= 1e-10 * n as f64
    };
    // The iteration stops early on one matrix in some thousands.
    let quick = shifted.eigh_into().ok().map(|(values, vectors)| {
        let values = values.iter().map(|l| l - 1.0).collect();
        in_order(values, &vectors)
    });
    let pairs = match quick.filter(|pairs| pairs.iter().all(good)) {
        Some(pairs) => pairs,
        None => {
            let (values, vectors) = jacobi::eigen(correlation.clone());
            in_order(values, &vectors)
        }
    };
    if !pairs.iter().all(good) {
        return Err(failed());
    }
    let (values, vectors): (Vec<f64>, Vec<Vec<f64>>) = pairs.into_iter().map(|(l, v)| (l.max(0.0), v)).unzip();
    let flat: Vec<f64> = vectors.iter().flatten().copied().collect();
    if orthonormal(&flat, n, 1e-10 * n as f64) {
        Ok((values, vectors))
    } else {
        Err(failed())
    }
}

fn signed(vector: ArrayView1<'_, f64>) -> Vec<f64> {
    let largest = vector.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let lead = vector
        .iter()
        .find(|x| x.abs() >= largest * (1.0 - 1e-8))
        .copied()
        .unwrap_or(1.0);
    vector.iter().map(|x| if lead < 0.0 { -x } else { *x }).collect()
}

/// Whether the rows of `flat`, of length `width`, are orthonormal. False for NaN.
fn orthonormal(flat: &[f64], width: usize, tolerance: f64) -> bool {
    let row = |(i, a): (usize, &[f64])| {
        let others = flat.chunks_exact(width.max(1)).take(i + 1).enumerate();
        let mut off = others.map(|(j, b)| (dot(a, b) - if i == j { 1.0 } else { 0.0 }).abs());
        off.all(|d| d <= tolerance)
    };
    flat.chunks_exact(width.max(1)).enumerate().all(row)
}

/// What the finiteness and meaning of T² and Q rest on: `Persistence` unless eigenvalues fall and add up to their number
/// and components are orthonormal.
pub(in crate::detect) fn check_plane(
    width: usize,
    eigenvalues: &[f64],
    n_components: u32,
    components: &[f64],
) -> Result<()> {
    let k = n_components as usize;
    if !(1..=width).contains(&k) {
        return Err(Error::persistence(format!(
            "n_components: expected 1..={width}, got {k}"
        )));
    }
    check_numbers("eigenvalues", eigenvalues, width, |l| l.is_finite() && l >= 0.0)?;
    let first = eigenvalues.first().copied().unwrap_or(0.0);
    let falling = eigenvalues.windows(2).all(|w| w.first() >= w.last());
    let (n, sum) = (width as f64, eigenvalues.iter().sum::<f64>());
    let varied = eigenvalues.iter().take(k).all(|&l| l > RANK * first);
    if !(falling && varied && (sum - n).abs() <= 1e-6 * n) {
        return Err(Error::persistence(format!(
            "eigenvalues: expected falling ones that add up to {width}, the first {k} not zero, got others"
        )));
    }
    check_numbers("components", components, k.saturating_mul(width), |p| {
        p.abs() <= 1.0 + 1e-6
    })?;
    if !orthonormal(components, width, 1e-8 * n) {
        return Err(Error::persistence("components: expected orthonormal ones, got others"));
    }
    Ok(())
}

/// `Persistence` unless limits are numbers above zero, that of Q there where a direction is left beside the plane.
pub(in crate::detect) fn check_limits(t2: f64, q: Option<f64>, has_q: bool) -> Result<()> {
    let limit = |l: f64| l.is_finite() && l >= LEAST_LIMIT;
    check_numbers("limit of T²", &[t2], 1, limit)?;
    check_numbers("limit of Q", q.as_slice(), usize::from(has_q), limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn eigenvectors_of_a_known_matrix() {
        // A correlation r of two: eigenvalues 1 + r and 1 - r, vectors (1, 1) and (1, -1) over sqrt 2.
        let (values, vectors) = eigen(array![[1.0, -0.25], [-0.25, 1.0]]).unwrap();
        let s = 0.5_f64.sqrt();
        for (got, expected) in values.iter().zip([1.25, 0.75]) {
            assert!((got - expected).abs() < 1e-15);
        }
        for (got, expected) in vectors.iter().flatten().zip([s, -s, s, s]) {
            assert!((got - expected).abs() < 1e-15, "{vectors:?}");
        }
    }

    #[test]
    fn eigenvalues_of_hard_matrices_are_found() {
        let n = 40;
        let ones = Array2::from_elem((n, n), 1.0);
        let (values, _) = eigen(ones).unwrap();
        assert!((values[0] - n as f64).abs() < 1e-12 && values[1..].iter().all(|l| *l < 1e-13));
        let (values, _) = eigen(Array2::eye(n)).unwrap();
        assert_eq!(values, vec![1.0; n]);
        for tiny in [1e-12, 1e-16, 1e-18, 1e-80, 1e-160, 1e-300] {
            let m = Array2::from_shape_fn((n, n), |(i, j)| if i == j { 1.0 } else { tiny * ((i * j) % 3) as f64 });
            assert!(eigen(m).is_ok(), "{tiny}");
        }
        let blocks = Array2::from_shape_fn((n, n), |(i, j)| if i / 4 == j / 4 { 1.0 } else { 0.0 });
        let (values, _) = eigen(blocks).unwrap();
        assert!(values[..10].iter().all(|l| (l - 4.0).abs() < 1e-12) && values[10..].iter().all(|l| *l < 1e-12));
    }
}
