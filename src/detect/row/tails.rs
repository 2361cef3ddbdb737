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
/// One value of so many is looked at first: these few stay in the cache.
const STRIDE: usize = 32;
/// Look-ups side by side.
const LANES: usize = 8;
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
    /// `-ln` of the left share by the number of kept values that are at most as large, and of the right share by the
    /// number of those that are smaller; one longer than a column.
    shares: Vec<[f64; 2]>,
    /// The last of every [`STRIDE`] values, one column behind the other.
    coarse: Vec<f64>,
    /// Whether a column holds a value twice.
    tied: Vec<bool>,
}

/// What is written of the tails of columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TailsRecord {
    n_rows: u64,
    /// The sign of each column's skewness.
    skew: Vec<i8>,
    /// Each column's kept values, rising, one column behind the other.
    values: Vec<f64>,
}

/// A sorted training column.
#[derive(Clone, Copy)]
struct Column<'a> {
    values: &'a [f64],
    /// The last of every [`STRIDE`] values.
    coarse: &'a [f64],
    /// Whether it holds a value twice.
    tied: bool,
    skew: i8,
}

/// 1 where `a < b`, else 0: the sign of their difference, which is not zero unless they are equal. Adding zero makes a
/// negative zero, of -0 less +0, positive.
#[inline(always)]
fn smaller(a: f64, b: f64) -> usize {
    ((a - b + 0.0).to_bits() >> 63) as usize
}

/// In each of `N` rising lists, how many numbers come `before` the number asked for. The first `at` of them are known to;
/// fewer than `2 * step` more are sought. Lists side by side, without a branch that depends on their numbers.
#[inline(always)]
fn climb<const N: usize>(
    lists: [&[f64]; N],
    mut at: [usize; N],
    mut step: usize,
    z: &[f64; N],
    before: impl Fn(f64, f64) -> usize,
) -> [usize; N] {
    while step > 0 {
        for ((at, list), &z) in at.iter_mut().zip(&lists).zip(z) {
            let up = list.get(*at + step - 1).map_or(0, |&v| before(v, z));
            *at += step & up.wrapping_neg();
        }
        step /= 2;
    }
    at
}

/// In each of `N` columns, equally long, how many values come `before` the number asked for.
#[inline(always)]
fn count<const N: usize>(
    columns: &[Column<'_>; N],
    z: &[f64; N],
    before: impl Fn(f64, f64) -> usize + Copy,
) -> [usize; N] {
    let n_coarse = columns.first().map_or(0, |c| c.coarse.len());
    let step = n_coarse.checked_ilog2().map_or(0, |e| 1 << e);
    let strides = climb(columns.map(|c| c.coarse), [0; N], step, z, before);
    // The last value of the stride that follows, if there is a whole one, does not come before.
    climb(
        columns.map(|c| c.values),
        strides.map(|n| n * STRIDE),
        STRIDE / 2,
        z,
        before,
    )
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
        let mut columns: [Vec<f64>; LANES] = std::array::from_fn(|_| Vec::with_capacity(n));
        let mut keys = [Vec::new(), Vec::new()];
        for first in (0..rows.width()).step_by(LANES) {
            // Several columns a pass: they share lines of memory.
            for z in rows.iter() {
                let own = z.get(first..).unwrap_or_default();
                columns.iter_mut().zip(own).for_each(|(c, x)| c.push(*x));
            }
            for column in columns.iter_mut().take(rows.width() - first) {
                record.skew.push(skew_sign(column));
                sort(column, &mut keys);
                let kept = (0..m).filter_map(|i| column.get(rank(i, m, n as u64) as usize));
                record.values.extend(kept);
                column.clear();
            }
        }
        Self::from_record(record, rows.width())
    }

    pub fn width(&self) -> usize {
        self.tied.len()
    }

    /// Number of values kept of a column.
    pub fn n_values(&self) -> usize {
        self.shares.len().saturating_sub(1)
    }

    #[inline]
    fn column(&self, j: usize) -> Column<'_> {
        let (m, n_coarse) = (self.n_values(), self.n_values() / STRIDE);
        Column {
            values: self.record.values.get(j * m..(j + 1) * m).unwrap_or_default(),
            coarse: self.coarse.get(j * n_coarse..(j + 1) * n_coarse).unwrap_or_default(),
            tied: self.tied.get(j).copied().unwrap_or(false),
            skew: self.record.skew.get(j).copied().unwrap_or(0),
        }
    }

    /// The tails of one number in each of `N` columns, which may be the same one.
    #[inline(always)]
    fn tails<const N: usize>(&self, columns: &[Column<'_>; N], z: &[f64; N]) -> [Tail; N] {
        let below = count(columns, z, smaller);
        let upto = if columns.iter().any(|c| c.tied) {
            count(columns, z, |v, z| 1 - smaller(z, v))
        } else {
            std::array::from_fn(|i| below[i] + usize::from(columns[i].values.get(below[i]) == Some(&z[i])))
        };
        let share = |n: usize| self.shares.get(n).copied().unwrap_or_default();
        std::array::from_fn(|i| Tail {
            left: share(upto[i])[0],
            right: share(below[i])[1],
            skew: columns[i].skew,
        })
    }

    /// Calls `each` with every column's tails of `z`, in order.
    #[inline(always)]
    fn each(&self, z: &[f64], mut each: impl FnMut(Tail)) {
        let (lanes, rest) = z.as_chunks::<LANES>();
        for (i, z) in lanes.iter().enumerate() {
            let columns = std::array::from_fn(|l| self.column(i * LANES + l));
            self.tails::<LANES>(&columns, z).into_iter().for_each(&mut each);
        }
        for (j, &z) in (lanes.len() * LANES..).zip(rest) {
            self.tails(&[self.column(j)], &[z]).into_iter().for_each(&mut each);
        }
    }

    /// The sum of `term` over the columns.
    pub fn sum(&self, z: &[f64], term: impl Fn(Tail) -> f64) -> f64 {
        let mut sum = 0.0;
        self.each(z, |t| sum += term(t));
        sum
    }

    /// [`sum`](Tails::sum) of many rows, to the last bit: column by column, so that a column stays in the cache.
    pub fn sums_into(&self, rows: Rows<'_>, out: &mut [f64], term: impl Fn(Tail) -> f64) {
        out.fill(0.0);
        let width = rows.width();
        for j in 0..self.width().min(width) {
            let column = self.column(j);
            let (lanes, rest) = out.as_chunks_mut::<LANES>();
            let blocks = rows.values().chunks_exact(LANES * width);
            let last = blocks.remainder().chunks_exact(width.max(1));
            for (out, block) in lanes.iter_mut().zip(blocks) {
                let z = std::array::from_fn(|l| block[l * width + j]);
                let tails = self.tails(&[column; LANES], &z);
                out.iter_mut().zip(tails).for_each(|(o, t)| *o += term(t));
            }
            for (out, row) in rest.iter_mut().zip(last) {
                let [tail] = self.tails(&[column], &[row[j]]);
                *out += term(tail);
            }
        }
    }

    /// `term` of each column.
    pub fn terms_into(&self, z: &[f64], out: &mut [f64], term: impl Fn(Tail) -> f64) {
        let mut out = out.iter_mut();
        self.each(z, |t| {
            if let Some(o) = out.next() {
                *o = term(t);
            }
        });
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
        let columns = || record.values.chunks_exact(m);
        Ok(Self {
            shares: (0..=m).map(|count| [left(count), right(count)]).collect(),
            coarse: columns()
                .flat_map(|c| c.iter().skip(STRIDE - 1).step_by(STRIDE))
                .copied()
                .collect(),
            tied: columns().map(|c| c.windows(2).any(|w| w.first() == w.last())).collect(),
            record,
        })
    }
}

/// Sorts as `f64::total_cmp` does; long columns by their digits, the last one first.
fn sort(column: &mut [f64], [keys, moved]: &mut [Vec<u64>; 2]) {
    const BITS: usize = 11;
    const MASK: usize = (1 << BITS) - 1;
    if column.len() < 1 << BITS {
        column.sort_unstable_by(f64::total_cmp);
        return;
    }
    let top = 1_u64 << 63;
    let key = |x: &f64| match x.to_bits() {
        b if b & top == 0 => b | top,
        b => !b,
    };
    keys.clear();
    keys.extend(column.iter().map(key));
    moved.resize(keys.len(), 0);
    let mut counts = [[0_usize; MASK + 1]; 64_usize.div_ceil(BITS)];
    for key in &*keys {
        for (d, counts) in counts.iter_mut().enumerate() {
            counts[(key >> (d * BITS)) as usize & MASK] += 1;
        }
    }
    for (d, places) in counts.iter_mut().enumerate() {
        let mut next = 0;
        for place in places.iter_mut() {
            (*place, next) = (next, next + *place);
        }
        for &key in &*keys {
            let place = &mut places[(key >> (d * BITS)) as usize & MASK];
            if let Some(m) = moved.get_mut(*place) {
                *m = key;
            }
            *place += 1;
        }
        std::mem::swap(keys, moved);
    }
    for (x, &key) in column.iter_mut().zip(&*keys) {
        *x = f64::from_bits(if key & top == 0 { !key } else { key ^ top });
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
                    let [got] = t.tails(&[t.column(0)], &[z]);
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
            let [got] = t.tails(&[t.column(0)], &[z]);
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
    fn many_rows_score_as_one_does() {
        for (n, width) in [(5, 1), (40, 3), (300, 8), (2100, 11)] {
            let values: Vec<f64> = (0..n * width).map(|i| noise(i, i % width % 3 == 1)).collect();
            let t = Tails::fit(Rows::new(&values, width), MOST_VALUES).unwrap();
            let probes: Vec<f64> = (0..29 * width).map(|i| noise(i + 99, i % 2 == 0)).collect();
            for rows in [Rows::new(&values, width), Rows::new(&probes, width)] {
                let term = |t: Tail| t.left * 3.0 + t.right + f64::from(t.skew);
                let mut out = vec![7.0; rows.len()];
                t.sums_into(rows, &mut out, term);
                for (z, sum) in rows.iter().zip(out) {
                    let mut terms = vec![0.0; width];
                    t.terms_into(z, &mut terms, term);
                    assert_eq!((t.sum(z, term), terms.iter().sum::<f64>()), (sum, sum), "{n} x {width}");
                    for (j, (&z, &own)) in z.iter().zip(&terms).enumerate() {
                        let column: Vec<f64> = Rows::new(&values, width).column(j).collect();
                        let (left, right) = naive(&column, z);
                        let expected = left * 3.0 + right + f64::from(skew_sign(&column));
                        assert!((own - expected).abs() < 1e-11, "{own}, {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn long_columns_are_sorted_as_short_ones() {
        let special = [
            0.0,
            -0.0,
            -1e6,
            1e6,
            f64::MIN_POSITIVE,
            -5e-324,
            5e-324,
            f64::NAN,
            -f64::NAN,
        ];
        let mut column: Vec<f64> = (0..5000).map(|i| noise(i, i % 2 == 0)).chain(special).collect();
        let mut expected = column.clone();
        expected.sort_by(f64::total_cmp);
        sort(&mut column, &mut [Vec::new(), Vec::new()]);
        assert!(column.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()));
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
