//! Columns in units of their training standard deviation, and their correlations.

use super::rows::Rows;
use crate::error::{Error, Result};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// A row in standard units; rows of up to 256 columns stay on the stack.
pub(super) type Row = SmallVec<[f64; 256]>;

/// The most standard deviations that count.
pub(super) const Z_MAX: f64 = 1e6;
/// A column whose standard deviation is at most this part of its largest magnitude is constant but for rounding.
const CONSTANT: f64 = 1e-13;

/// Mean and standard deviation (divisor `n - 1`) of the columns that vary.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standard {
    persisted: StandardRecord,
    /// `1 / scale`.
    rate: Vec<f64>,
}

/// How each column that takes part in the score is centred and scaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StandardRecord {
    /// Positions in the schema, increasing.
    pub columns: Vec<u32>,
    pub centre: Vec<f64>,
    pub scale: Vec<f64>,
}

impl Standard {
    /// # Errors
    /// `InsufficientData` below two rows or where no column varies.
    pub fn fit(rows: &[&[f64]]) -> Result<Self> {
        let n_columns = rows.first().map_or(0, |r| r.len());
        if rows.len() < 2 {
            return Err(Error::insufficient("standard deviation", "at least 2 rows", rows.len()));
        }
        let n = rows.len() as f64;
        let mut p = StandardRecord {
            columns: Vec::new(),
            centre: Vec::new(),
            scale: Vec::new(),
        };
        // Each pass goes through memory in order; the sums of a column are taken in the order of rows.
        let mut largest = vec![0.0_f64; n_columns];
        for row in rows {
            largest.iter_mut().zip(*row).for_each(|(m, x)| *m = m.max(x.abs()));
        }
        // A power of two that keeps squares and sums in range; exact for every value that matters.
        let unit = |&m: &f64| match m {
            m if m > 1e150 => power_of_two(-600),
            m if m < 1e-150 => power_of_two(600),
            _ => 1.0,
        };
        let units: Vec<f64> = largest.iter().map(unit).collect();
        let mut means = vec![0.0; n_columns];
        for row in rows {
            let columns = means.iter_mut().zip(*row).zip(&units);
            columns.for_each(|((sum, x), unit)| *sum += x * unit);
        }
        means.iter_mut().for_each(|m| *m /= n);
        // Sums of squares, and of what rounding left in the mean.
        let mut sums = vec![(0.0, 0.0); n_columns];
        for row in rows {
            for ((((square, rest), x), unit), mean) in sums.iter_mut().zip(*row).zip(&units).zip(&means) {
                let d = x * unit - mean;
                *square += d * d;
                *rest += d;
            }
        }
        for (j, (((&(square, rest), unit), mean), largest)) in
            sums.iter().zip(&units).zip(&means).zip(&largest).enumerate()
        {
            let deviation = f64::max((square - rest * rest / n) / (n - 1.0), 0.0).sqrt();
            let scale = deviation / unit;
            if deviation > CONSTANT * largest * unit && scale >= f64::MIN_POSITIVE {
                p.columns.push(j as u32);
                p.centre.push((mean + rest / n) / unit);
                p.scale.push(scale);
            }
        }
        if p.columns.is_empty() {
            return Err(Error::insufficient(
                "features",
                "at least 1 that varies over the training rows",
                format!("{n_columns} constant ones over {} rows", rows.len()),
            ));
        }
        Ok(Self::from_checked(p))
    }

    fn from_checked(persisted: StandardRecord) -> Self {
        let rate = persisted.scale.iter().map(|s| 1.0 / s).collect();
        Self { persisted, rate }
    }

    /// # Errors
    /// `Persistence` unless lengths agree, columns increase below `n_columns` and all numbers are finite, scales positive.
    pub fn from_persisted(p: StandardRecord, n_columns: usize) -> Result<Self> {
        let n = p.columns.len();
        let increasing = p.columns.windows(2).all(|w| w.first() < w.last());
        let in_range = p.columns.last().is_some_and(|&c| (c as usize) < n_columns);
        if !(increasing && in_range) {
            return Err(Error::persistence(format!(
                "columns of the score: expected 1..={n_columns} increasing positions below {n_columns}, got {n} others"
            )));
        }
        check_numbers("centre", &p.centre, n, f64::is_finite)?;
        check_numbers("scale", &p.scale, n, |s| s.is_finite() && s >= f64::MIN_POSITIVE)?;
        Ok(Self::from_checked(p))
    }

    pub fn to_persisted(&self) -> StandardRecord {
        self.persisted.clone()
    }

    /// Number of columns that vary.
    pub fn len(&self) -> usize {
        self.rate.len()
    }

    /// Positions of the columns that vary.
    pub fn columns(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator {
        self.persisted.columns.iter().map(|&c| c as usize)
    }

    /// `(x - mean) / deviation` of the columns that vary, clamped to ±[`Z_MAX`]; finite where the row is.
    #[inline]
    pub fn row(&self, x: &[f64]) -> Row {
        self.numbers(x).collect()
    }

    #[inline]
    fn numbers(&self, x: &[f64]) -> impl Iterator<Item = f64> {
        let p = &self.persisted;
        let numbers = p.columns.iter().zip(&p.centre).zip(&self.rate);
        let z = |((&c, &centre), &rate): ((&u32, &f64), &f64)| {
            let x = x.get(c as usize).copied().unwrap_or(centre); // columns lie in the schema by construction
            ((x - centre) * rate).clamp(-Z_MAX, Z_MAX)
        };
        numbers.map(z)
    }

    /// Appends the row `x` in standard units to `out`: the numbers of [`row`](Standard::row).
    #[inline]
    /// The standardised row, into `out` of as many places as there are columns.
    pub fn row_into(&self, x: &[f64], out: &mut [f64]) {
        out.iter_mut().zip(self.numbers(x)).for_each(|(o, z)| *o = z);
    }

    pub fn extend_with_row(&self, x: &[f64], out: &mut Vec<f64>) {
        out.extend(self.numbers(x));
    }

    /// All rows in standard units, one behind the other.
    pub fn rows(&self, rows: &[&[f64]]) -> Vec<f64> {
        let mut out = Vec::with_capacity(rows.len() * self.len());
        rows.iter().for_each(|x| self.extend_with_row(x, &mut out));
        out
    }

    /// Moves the first [`len`](Standard::len) numbers of `out`, one a column that varies, to the places of their columns.
    /// The others must be zero.
    pub fn scatter(&self, out: &mut [f64]) {
        // From the last one on: a column's place is never before its place among those that vary.
        for (from, to) in self.columns().enumerate().rev() {
            if from != to && to < out.len() {
                out.swap(from, to);
            }
        }
    }
}

/// `Z'Z / divisor` of rows in standard units, and the sum over rows of the fourth power of their length.
pub(super) fn second_moments(rows: Rows<'_>, divisor: f64) -> (Array2<f64>, f64) {
    let p = rows.width();
    let mut sum = vec![0.0; p * p];
    let mut fourth = 0.0;
    for z in rows.iter() {
        for (i, (&zi, out)) in z.iter().zip(sum.chunks_exact_mut(p)).enumerate() {
            out.iter_mut()
                .zip(z.iter().take(i + 1))
                .for_each(|(o, &zj)| *o += zi * zj);
        }
        let square = dot(z, z);
        fourth += square * square;
    }
    let lower = |i: usize, j: usize| sum.get(i.max(j) * p + i.min(j)).copied().unwrap_or(0.0) / divisor;
    (Array2::from_shape_fn((p, p), |(i, j)| lower(i, j)), fourth)
}

/// `2^e` for exponents of normal numbers.
fn power_of_two(e: i64) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

/// Scalar product over the shorter length, in a fixed order of additions: four running sums, so that it can use vector
/// registers.
#[inline]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a4, a_rest) = a.split_at(n).0.as_chunks::<4>();
    let (b4, b_rest) = b.split_at(n).0.as_chunks::<4>();
    let mut sum = [0.0; 4];
    for (x, y) in a4.iter().zip(b4) {
        for ((s, x), y) in sum.iter_mut().zip(x).zip(y) {
            *s += x * y;
        }
    }
    let [s0, s1, s2, s3] = sum;
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    (s0 + s1) + (s2 + s3) + rest
}

/// `Persistence` unless `values` are `n` numbers that are all `good`.
pub(super) fn check_numbers(what: &str, values: &[f64], n: usize, good: impl Fn(f64) -> bool) -> Result<()> {
    if values.len() != n {
        return Err(Error::persistence(format!(
            "{what}: expected {n} numbers, got {}",
            values.len()
        )));
    }
    match values.iter().position(|&v| !good(v)) {
        None => Ok(()),
        Some(i) => Err(Error::persistence(format!(
            "{what}: number {i} lies outside its range: {}",
            values.get(i).copied().unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn rows_are_in_standard_units_and_constants_go() {
        let rows: [&[f64]; 3] = [&[1.0, 5.0, 1e300], &[2.0, 5.0, -1e300], &[3.0, 5.0, 0.0]];
        let s = Standard::fit(&rows).unwrap();
        assert_eq!(s.columns().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(s.row(&[3.0, f64::NAN, 1e300])[..], [1.0, 1.0]);
        assert_eq!(s.row(&[1e300, 0.0, f64::MAX])[0], Z_MAX);
        assert_eq!(s.row(&[f64::MIN, 0.0, f64::MIN])[0], -Z_MAX);
    }

    #[test]
    fn small_variation_on_a_large_offset_survives_and_rounding_does_not() {
        let row = |i| vec![101_325.0 + 1e-4 * f64::from(i), 0.1 + 0.2, 1e-300 * f64::from(i)];
        let rows: Vec<Vec<f64>> = (0..50).map(row).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let s = Standard::fit(&rows).unwrap();
        assert_eq!(s.columns().collect::<Vec<_>>(), [0, 2]);
        // The standard deviation of 0..50 is sqrt(50 * 51 / 12).
        let expected = (50.0_f64 * 51.0 / 12.0).sqrt();
        assert!((s.persisted.scale[0] / (1e-4 * expected) - 1.0).abs() < 1e-6);
        assert!((s.persisted.scale[1] / (1e-300 * expected) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_scale_is_an_error() {
        for rows in [vec![&[1.0][..]], vec![&[1.0][..], &[1.0][..]]] {
            assert_eq!(Standard::fit(&rows).unwrap_err().kind(), ErrorKind::InsufficientData);
        }
    }

    #[test]
    fn second_moments_are_those_of_the_definition() {
        let rows: [&[f64]; 4] = [&[1.0, 2.0], &[2.0, -1.0], &[0.5, 4.0], &[3.0, 0.0]];
        let s = Standard::fit(&rows).unwrap();
        let z = s.rows(&rows);
        let (r, fourth) = second_moments(Rows::new(&z, 2), 3.0);
        assert!((r[[0, 0]] - 1.0).abs() < 1e-15 && (r[[1, 1]] - 1.0).abs() < 1e-15 && r[[0, 1]] == r[[1, 0]]);
        let naive: f64 = rows
            .iter()
            .map(|x| s.row(x).iter().map(|z| z * z).sum::<f64>().powi(2))
            .sum();
        assert!((fourth - naive).abs() < 1e-13);
    }

    #[test]
    fn dot_is_the_sum_of_products() {
        let a: Vec<f64> = (0..11).map(f64::from).collect();
        for n in 0..=11 {
            let expected = (0..n).map(|i| (i * i) as f64).sum::<f64>();
            assert_eq!(
                [dot(&a[..n], &a[..n]), dot(&a[..n], &a), dot(&a, &a[..n])],
                [expected; 3]
            );
        }
    }
}
