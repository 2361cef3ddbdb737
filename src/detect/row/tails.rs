//! How far out in the tails of its training column a value lies: what ECOD and COPOD share.

use crate::detect::{
    rows::Rows,
    standard::{Z_MAX, check_numbers},
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The most values kept of a column.
pub(in crate::detect) const MOST_VALUES: usize = 65_536;
/// The least number that may be asked for.
const LEAST_VALUES: usize = 64;
/// The most training rows that a file may count.
const MOST_ROWS: u64 = 1 << 40;
/// A skewness of a smaller magnitude is rounding.
const SYMMETRIC: f64 = 1e-12;

/// `-ln` of the share of values at most, and at least, as large as one value; and the column's side of longer tail.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Tail {
    pub left: f64,
    pub right: f64,
    /// The sign of the column's skewness.
    pub skew: i8,
}

/// The training columns, sorted.
#[derive(Clone, Debug)]
pub(in crate::detect) struct Tails {
    record: TailsRecord,
    /// `-ln` of the left share by the number of kept values that are at most as large; one longer than a column.
    left: Vec<f64>,
    /// `-ln` of the right share by the number of kept values that are smaller.
    right: Vec<f64>,
    index: Vec<Index>,
}

/// What is written of [`Tails`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TailsRecord {
    n_rows: u64,
    /// The sign of each column's skewness.
    skew: Vec<i8>,
    /// Each column's kept values, rising, one column behind the other.
    values: Vec<f64>,
}

/// Where in a sorted column the values of each of equally wide buckets begin.
#[derive(Clone, Debug)]
struct Index {
    low: f64,
    rate: f64,
    /// One a bucket, and the end.
    starts: Vec<u32>,
}

impl Index {
    fn new(sorted: &[f64]) -> Self {
        let (low, high) = (
            sorted.first().copied().unwrap_or(0.0),
            sorted.last().copied().unwrap_or(0.0),
        );
        let n_buckets = sorted.len().max(1);
        let rate = n_buckets as f64 / (high - low);
        let mut index = Self {
            low,
            rate: if rate.is_finite() { rate } else { 0.0 },
            starts: vec![0; n_buckets + 1],
        };
        for &v in sorted {
            let bucket = index.bucket(v);
            if let Some(count) = index.starts.get_mut(bucket + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for s in &mut index.starts {
            sum += *s;
            *s = sum;
        }
        index
    }

    /// Never falls as `v` rises.
    #[inline]
    fn bucket(&self, v: f64) -> usize {
        (((v - self.low) * self.rate) as usize).min(self.starts.len().saturating_sub(2))
    }

    /// How many of `sorted` are smaller than `z`, and how many at most as large.
    #[inline]
    fn ranks(&self, sorted: &[f64], z: f64) -> (usize, usize) {
        let b = self.bucket(z);
        let at = |i: usize| self.starts.get(i).copied().unwrap_or(0) as usize;
        let (start, end) = (at(b), at(b + 1));
        let bucket = sorted.get(start..end).unwrap_or_default();
        let below = bucket.partition_point(|v| *v < z);
        let equal = bucket.get(below..).unwrap_or_default();
        let equal = if equal.first().is_some_and(|v| *v == z) {
            equal.partition_point(|v| *v <= z)
        } else {
            0
        };
        (start + below, start + below + equal)
    }
}

/// The rank among `n` sorted values of the kept value `i` of `m`: the outer quarters of the kept are the outermost
/// values, the others are evenly spread over the rest.
fn rank(i: usize, m: usize, n: u64) -> u64 {
    let (i, m) = (i as u64, m as u64);
    let outer = m / 4;
    if n <= m || i < outer {
        i
    } else if i + outer >= m {
        n + i - m
    } else {
        let (rest, kept) = (n - 2 * outer, m - 2 * outer);
        outer + (u128::from(i - outer) * u128::from(rest) / u128::from(kept)) as u64
    }
}

/// Checks a setting of how many values of a column are kept.
pub(in crate::detect) fn check_max_values(n: usize) -> Result<()> {
    if (LEAST_VALUES..=MOST_VALUES).contains(&n) {
        Ok(())
    } else {
        Err(Error::parameter(
            "max_values",
            format!("from {LEAST_VALUES} to {MOST_VALUES}"),
            n,
        ))
    }
}

impl Tails {
    /// Keeps at most `max_values` of each column.
    pub fn fit(rows: Rows<'_>, max_values: usize) -> Result<Self> {
        let n = rows.len();
        let m = n.min(max_values);
        let mut record = TailsRecord {
            n_rows: n as u64,
            skew: Vec::with_capacity(rows.width()),
            values: Vec::with_capacity(m * rows.width()),
        };
        let mut column = Vec::with_capacity(n);
        for j in 0..rows.width() {
            column.clear();
            column.extend(rows.column(j));
            record.skew.push(skew_sign(&column));
            column.sort_unstable_by(f64::total_cmp);
            let kept = (0..m).filter_map(|i| column.get(rank(i, m, n as u64) as usize));
            record.values.extend(kept);
        }
        Self::from_record(record, rows.width())
    }

    pub fn width(&self) -> usize {
        self.index.len()
    }

    /// Number of values kept of a column.
    pub fn n_values(&self) -> usize {
        self.left.len().saturating_sub(1)
    }

    /// Each column's tails of `z`.
    #[inline]
    fn columns(&self) -> impl Iterator<Item = (&[f64], &Index, i8)> {
        let columns = self.record.values.chunks_exact(self.n_values().max(1));
        columns
            .zip(&self.index)
            .zip(&self.record.skew)
            .map(|((v, i), s)| (v, i, *s))
    }

    #[inline]
    fn tail(&self, (sorted, index, skew): (&[f64], &Index, i8), z: f64) -> Tail {
        let (below, upto) = index.ranks(sorted, z);
        Tail {
            left: self.left.get(upto).copied().unwrap_or(0.0),
            right: self.right.get(below).copied().unwrap_or(0.0),
            skew,
        }
    }

    /// The sum of `term` over the columns.
    #[inline]
    pub fn sum(&self, z: &[f64], term: impl Fn(Tail) -> f64) -> f64 {
        let mut sum = 0.0;
        self.columns().zip(z).for_each(|(c, &z)| sum += term(self.tail(c, z)));
        sum
    }

    /// [`sum`](Tails::sum) of many rows, to the last bit: column by column, so that a column stays in the cache.
    pub fn sums_into(&self, rows: Rows<'_>, out: &mut [f64], term: impl Fn(Tail) -> f64) {
        out.fill(0.0);
        for (j, c) in self.columns().enumerate() {
            let values = rows.column(j);
            out.iter_mut()
                .zip(values)
                .for_each(|(o, z)| *o += term(self.tail(c, z)));
        }
    }

    /// `term` of each column.
    pub fn terms_into(&self, z: &[f64], out: &mut [f64], term: impl Fn(Tail) -> f64) {
        let columns = self.columns().zip(z).zip(out);
        columns.for_each(|((c, &z), o)| *o = term(self.tail(c, z)));
    }

    pub fn to_record(&self) -> TailsRecord {
        self.record.clone()
    }

    /// # Errors
    /// `Persistence` unless every column is as many rising numbers, all of them where the rows are no more.
    pub fn from_record(record: TailsRecord, width: usize) -> Result<Self> {
        let n = record.n_rows;
        let m = record.values.len().checked_div(width).unwrap_or(0);
        let all_or_some = m as u64 == n || (LEAST_VALUES as u64..n).contains(&(m as u64));
        if !((2..=MOST_ROWS).contains(&n) && (2..=MOST_VALUES).contains(&m) && all_or_some) {
            return Err(Error::persistence(format!(
                "kept values: expected all of 2 or more rows, or {LEAST_VALUES} to {MOST_VALUES}, got {m} of {n}"
            )));
        }
        check_numbers("kept values", &record.values, m.saturating_mul(width), |v| {
            v.abs() <= Z_MAX
        })?;
        let rising = |column: &[f64]| column.windows(2).all(|w| w.first() <= w.last());
        if !record.values.chunks_exact(m).all(rising) {
            return Err(Error::persistence("kept values: expected rising ones, got others"));
        }
        let signs: Vec<f64> = record.skew.iter().map(|&s| f64::from(s)).collect();
        check_numbers("sign of the skewness", &signs, width, |s| s.abs() <= 1.0)?;
        // The row itself counts as one more.
        let share = |count: u64| -libm::log((count + 1) as f64 / (n + 1) as f64);
        let left = |upto: usize| share(upto.checked_sub(1).map_or(0, |i| rank(i, m, n) + 1));
        let right = |below: usize| share(if below < m { n - rank(below, m, n) } else { 0 });
        Ok(Self {
            left: (0..=m).map(left).collect(),
            right: (0..=m).map(right).collect(),
            index: record.values.chunks_exact(m).map(Index::new).collect(),
            record,
        })
    }
}

/// The sign of the third central moment; 0 where it is zero but for rounding.
fn skew_sign(column: &[f64]) -> i8 {
    let n = column.len().max(1) as f64;
    let mean = column.iter().sum::<f64>() / n;
    let (mut square, mut cube) = (0.0, 0.0);
    for x in column {
        let d = x - mean;
        square += d * d;
        cube += d * d * d;
    }
    let deviation = (square / n).sqrt();
    let skewness = cube / n / (deviation * deviation * deviation);
    if skewness > SYMMETRIC {
        1
    } else if skewness < -SYMMETRIC {
        -1
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, quantity::Seed};

    /// Deterministic noise without a pattern; `coarse` rounds it to few values.
    fn noise(i: usize, coarse: bool) -> f64 {
        let u = (Seed(i as u64).part(7).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.3;
        if coarse { (u * 8.0).round() / 8.0 } else { u * u * u }
    }

    fn naive(column: &[f64], z: f64) -> (f64, f64) {
        let n = column.len() as f64 + 1.0;
        let count = |f: &dyn Fn(f64) -> bool| column.iter().filter(|v| f(**v)).count() as f64 + 1.0;
        (-(count(&|v| v <= z) / n).ln(), -(count(&|v| v >= z) / n).ln())
    }

    #[test]
    fn shares_are_those_of_counting() {
        for coarse in [false, true] {
            // A far value leaves all others in one bucket.
            for far in [None, Some(9e5)] {
                let column: Vec<f64> = (0..500).map(|i| noise(i, coarse)).chain(far).collect();
                let t = Tails::fit(Rows::new(&column, 1), MOST_VALUES).unwrap();
                let probes = column.iter().copied().chain((0..300).map(|i| noise(i + 1000, false)));
                for z in probes.chain([-1e6, 1e6, 0.0, -0.0]) {
                    let got = t.tail(t.columns().next().unwrap(), z);
                    let (left, right) = naive(&column, z);
                    assert!(
                        (got.left - left).abs() < 1e-12 && (got.right - right).abs() < 1e-12,
                        "{z}"
                    );
                }
            }
        }
    }

    #[test]
    fn thinned_columns_keep_their_tails() {
        let column: Vec<f64> = (0..20_000).map(|i| noise(i, false)).collect();
        let t = Tails::fit(Rows::new(&column, 1), 400).unwrap();
        assert_eq!(t.n_values(), 400);
        let mut sorted = column.clone();
        sorted.sort_by(f64::total_cmp);
        let probed = |i: &usize| *i < 110 || *i >= 19_890 || i.is_multiple_of(97);
        for (i, z) in (0..20_000).filter(probed).map(|i| (i, sorted[i])) {
            let got = t.tail(t.columns().next().unwrap(), z);
            let (left, right) = naive(&column, z);
            let outer = !(100..19_900).contains(&i);
            // Between the tails at most (20,000 - 200) / 200 = 99 of at least 100 values are not counted: ln(2) at most.
            let tolerance = if outer { 1e-12 } else { 2.0_f64.ln() };
            if i < 100 || !outer {
                assert!(got.left - left <= tolerance && got.left >= left - 1e-12, "{i}");
            }
            if i >= 19_900 || !outer {
                assert!(got.right - right <= tolerance && got.right >= right - 1e-12, "{i}");
            }
        }
    }

    #[test]
    fn ranks_rise_to_the_last_row() {
        for (m, n) in [(64, 64), (64, 65), (65, 131), (400, 20_000), (65_536, 1 << 40)] {
            let ranks: Vec<u64> = (0..m).map(|i| rank(i, m, n)).collect();
            assert!(ranks.windows(2).all(|w| w[0] < w[1]), "{m} of {n}");
            assert_eq!((ranks[0], ranks[m - 1]), (0, n - 1));
        }
    }

    #[test]
    fn skewness_has_a_sign() {
        assert_eq!(skew_sign(&[0.0, 0.0, 0.0, 9.0]), 1);
        assert_eq!(skew_sign(&[0.0, 9.0, 9.0, 9.0]), -1);
        assert_eq!(skew_sign(&[0.1, 0.3, 0.5, 0.7]), 0);
        assert_eq!(skew_sign(&[1.0, 1.0]), 0);
    }

    #[test]
    fn broken_records_are_refused() {
        let values: Vec<f64> = (0..40).map(|i| noise(i, false)).collect();
        let good = Tails::fit(Rows::new(&values, 2), MOST_VALUES).unwrap().to_record();
        assert_eq!(Tails::from_record(good.clone(), 2).unwrap().to_record(), good);
        type Break = fn(&mut TailsRecord);
        let breaks: [(&str, Break); 10] = [
            ("a row less", |r| r.n_rows = 19),
            ("a row more", |r| r.n_rows = 21),
            ("no row", |r| r.n_rows = 0),
            ("too many rows", |r| r.n_rows = u64::MAX),
            ("a value less", |r| r.values.truncate(39)),
            ("NaN", |r| r.values[3] = f64::NAN),
            ("huge", |r| r.values[19] = 1e7),
            ("falling", |r| r.values.swap(2, 9)),
            ("sign", |r| r.skew[1] = 2),
            ("sign missing", |r| r.skew.truncate(1)),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            assert_eq!(
                Tails::from_record(r, 2).expect_err(what).kind(),
                ErrorKind::Persistence,
                "{what}"
            );
        }
        assert!(Tails::from_record(good, 0).is_err());
    }
}
