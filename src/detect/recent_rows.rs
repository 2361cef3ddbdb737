//! The last rows of a machine, for means over a window that moves with it.

use serde::{Deserialize, Serialize};

/// Up to a number of rows of one width, which their owner knows; finite. Takes no room anew once full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RecentRowsRecord")]
pub(super) struct RecentRows {
    /// Row behind row; where full, the oldest is at `oldest`.
    values: Vec<f64>,
    oldest: u32,
}

#[derive(Deserialize)]
struct RecentRowsRecord {
    values: Vec<f64>,
    oldest: u32,
}

impl TryFrom<RecentRowsRecord> for RecentRows {
    type Error = &'static str;

    fn try_from(r: RecentRowsRecord) -> Result<Self, Self::Error> {
        if r.values.iter().all(|v| v.is_finite()) {
            Ok(Self {
                values: r.values,
                oldest: r.oldest,
            })
        } else {
            Err("recent rows: expected finite values")
        }
    }
}

impl RecentRows {
    /// Whether this may hold up to `capacity` rows of `width` values. `O(1)`.
    pub fn fits(&self, width: usize, capacity: usize) -> bool {
        let n = self.values.len() / width.max(1);
        let starts = if n < capacity { 1 } else { n.max(1) };
        self.values.len() == n * width && n <= capacity && (self.oldest as usize) < starts
    }

    /// Number of rows of `width` values.
    pub fn n_rows(&self, width: usize) -> usize {
        self.values.len() / width.max(1)
    }

    /// Takes `row` in, in place of the oldest where there are `capacity`.
    pub fn push(&mut self, row: &[f64], capacity: usize) {
        let n = self.n_rows(row.len());
        if n < capacity {
            self.values.extend_from_slice(row);
        } else if capacity > 0 {
            let at = self.oldest as usize * row.len();
            if let Some(place) = self.values.get_mut(at..at + row.len()) {
                place.copy_from_slice(row);
            }
            self.oldest = (self.oldest + 1) % capacity as u32;
        }
    }

    /// The mean of the rows here and of `newest`, column by column into `out`: summed from the oldest on.
    pub fn mean_with(&self, newest: &[f64], out: &mut [f64]) {
        let width = newest.len().max(1);
        let n = (self.n_rows(width) + 1) as f64;
        let (young, old) = self
            .values
            .split_at((self.oldest as usize * width).min(self.values.len()));
        let rows = || old.chunks_exact(width).chain(young.chunks_exact(width)).chain([newest]);
        out.fill(0.0);
        for row in rows() {
            out.iter_mut().zip(row).for_each(|(o, x)| *o += x);
        }
        for (j, o) in out.iter_mut().enumerate() {
            *o /= n;
            if !o.is_finite() {
                // A sum that left the range of numbers: divided before it is summed, it does not but for rounding.
                let sum: f64 = rows().filter_map(|r| r.get(j)).map(|x| x / n).sum();
                *o = sum.clamp(f64::MIN, f64::MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_the_last_rows() {
        for capacity in 0..5_usize {
            let mut recent = RecentRows::default();
            let rows: Vec<[f64; 2]> = (0..20).map(|i| [f64::from(i * i), -f64::from(i)]).collect();
            for (i, row) in rows.iter().enumerate() {
                let mut got = [f64::NAN; 2];
                recent.mean_with(row, &mut got);
                let window = &rows[i.saturating_sub(capacity)..=i];
                let naive = |j: usize| window.iter().map(|r| r[j]).sum::<f64>() / window.len() as f64;
                assert_eq!(got, [naive(0), naive(1)], "row {i}, capacity {capacity}"); // whole numbers: sums are exact
                recent.push(row, capacity);
                assert!(recent.fits(2, capacity) && recent.n_rows(2) == capacity.min(i + 1));
            }
            assert!(!recent.fits(2, capacity.wrapping_sub(1)) || capacity == 0);
        }
    }

    #[test]
    fn sums_beyond_the_range_of_numbers_are_means_all_the_same() {
        let mut recent = RecentRows::default();
        recent.push(&[f64::MAX], 2);
        recent.push(&[f64::MAX], 2);
        let mut mean = [0.0];
        recent.mean_with(&[f64::MAX], &mut mean);
        assert!((mean[0] / f64::MAX - 1.0).abs() < 1e-15);
    }

    #[test]
    fn altered_records_do_not_fit() {
        let rows = |values: Vec<f64>, oldest| RecentRows { values, oldest };
        assert!(rows(vec![1.0, 2.0], 0).fits(2, 3) && rows(vec![1.0; 6], 2).fits(2, 3));
        assert!(!rows(vec![1.0], 0).fits(2, 3)); // half a row
        assert!(!rows(vec![1.0; 8], 0).fits(2, 3)); // too many
        assert!(!rows(vec![1.0; 4], 1).fits(2, 3) && !rows(vec![1.0; 6], 3).fits(2, 3)); // no such row
        assert!(
            RecentRows::try_from(RecentRowsRecord {
                values: vec![f64::NAN],
                oldest: 0
            })
            .is_err()
        );
    }
}
