//! A histogram over the range of values seen so far.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The largest end of a range that is read.
const LARGEST_END: f64 = 1e200;

/// Counts of values in a fixed number of bins of equal width between the least and the greatest value seen. When the range
/// grows, each bin's count moves as a whole into the new bin in which its centre lies, so the memory is bounded and
/// counts are exact up to half a bin's width each time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "HistogramRecord", into = "HistogramRecord")]
pub(in crate::detect) struct GrowingHistogram {
    low: f64,
    high: f64,
    counts: Vec<u32>,
    /// Sum of counts.
    n: u64,
}

#[derive(Serialize, Deserialize)]
struct HistogramRecord {
    low: f64,
    high: f64,
    counts: Vec<u32>,
}

impl From<GrowingHistogram> for HistogramRecord {
    fn from(h: GrowingHistogram) -> Self {
        Self {
            low: h.low,
            high: h.high,
            counts: h.counts,
        }
    }
}

impl TryFrom<HistogramRecord> for GrowingHistogram {
    type Error = Error;

    fn try_from(r: HistogramRecord) -> Result<Self> {
        let sound = r.low <= r.high && r.low.abs() <= LARGEST_END && r.high.abs() <= LARGEST_END;
        if !sound || r.counts.is_empty() {
            return Err(Error::persistence(
                "histogram: expected bins between a least and a greatest value within ±1e200, got others",
            ));
        }
        let n = r.counts.iter().map(|&c| u64::from(c)).sum();
        Ok(Self {
            low: r.low,
            high: r.high,
            counts: r.counts,
            n,
        })
    }
}

impl GrowingHistogram {
    /// Without a value, of `n_bins` bins, at least one.
    pub fn new(n_bins: usize) -> Self {
        Self {
            low: 0.0,
            high: 0.0,
            counts: vec![0; n_bins.max(1)],
            n: 0,
        }
    }

    pub fn n_bins(&self) -> usize {
        self.counts.len()
    }

    /// `(c + (c_left + c_right) / 2 + 1) / (2 n + n_bins)`: how often values fell beside `x`, in its bin and at half weight
    /// in the two next to it, after the range has grown to hold `x`. Above 0, at most 1.
    pub fn share(&self, x: f64) -> f64 {
        let inside = self.n == 0 || (x >= self.low && x <= self.high);
        let twice = if inside {
            let at = self.place(self.low, self.high, x);
            let count = |i: Option<usize>| i.and_then(|i| self.counts.get(i)).map_or(0, |&c| u64::from(c));
            2 * count(Some(at)) + count(at.checked_sub(1)) + count(Some(at + 1))
        } else {
            let (low, high) = (self.low.min(x), self.high.max(x));
            let at = self.place(low, high, x);
            let weight = |i| match self.place(low, high, self.centre(i)).abs_diff(at) {
                0 => 2,
                1 => 1,
                _ => 0,
            };
            let filled = self.counts.iter().enumerate().filter(|(_, c)| **c > 0);
            filled.map(|(i, &c)| weight(i) * u64::from(c)).sum()
        };
        (twice as f64 + 2.0) / (4.0 * self.n as f64 + 2.0 * self.n_bins() as f64)
    }

    /// Counts `x`.
    pub fn add(&mut self, x: f64) {
        if self.n == 0 {
            (self.low, self.high) = (x, x);
        } else if x > self.high {
            let centres = (self.low, self.high);
            self.high = x;
            // A centre moves to lower bins, or stays.
            (0..self.n_bins()).for_each(|i| self.redeal(i, centres));
        } else if x < self.low {
            let centres = (self.low, self.high);
            self.low = x;
            (0..self.n_bins()).rev().for_each(|i| self.redeal(i, centres));
        }
        let at = self.place(self.low, self.high, x);
        if let Some(count) = self.counts.get_mut(at).filter(|c| **c < u32::MAX) {
            *count += 1;
            self.n += 1;
        }
    }

    /// Moves the count of bin `i` of the range `old` to where its centre lies now.
    fn redeal(&mut self, i: usize, old: (f64, f64)) {
        let Some(count) = self.counts.get_mut(i) else { return };
        let moved = std::mem::take(count);
        let to = self.place(self.low, self.high, centre(old, i, self.n_bins()));
        if let Some(count) = self.counts.get_mut(to) {
            let sum = count.saturating_add(moved);
            self.n -= u64::from(*count) + u64::from(moved) - u64::from(sum);
            *count = sum;
        }
    }

    fn place(&self, low: f64, high: f64, x: f64) -> usize {
        if high > low {
            let bins = self.n_bins();
            // The cast takes the floor.
            (((x - low) / (high - low) * bins as f64) as usize).min(bins - 1)
        } else {
            0
        }
    }

    fn centre(&self, i: usize) -> f64 {
        centre((self.low, self.high), i, self.n_bins())
    }
}

/// The centre of bin `i`; of a range without a width, its one value.
fn centre((low, high): (f64, f64), i: usize, n_bins: usize) -> f64 {
    if high > low {
        low + (i as f64 + 0.5) * ((high - low) / n_bins as f64)
    } else {
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_by_hand() {
        let mut h = GrowingHistogram::new(4);
        assert_eq!(h.share(3.0), 2.0 / 8.0); // nothing known: one of four
        h.add(3.0);
        assert_eq!(h.share(3.0), 4.0 / 12.0);
        // The range would be 3..=7; 3 in bin 0, 7 in bin 3.
        assert_eq!(h.share(7.0), 2.0 / 12.0);
        h.add(7.0);
        assert_eq!(h.counts, [1, 0, 0, 1]);
        assert_eq!(h.share(4.5), 3.0 / 16.0); // bin 1, beside bin 0
        h.add(4.5);
        // Downwards to -1: bins of width 2, centres 3.5, 4.5 and 6.5 of the filled ones.
        assert_eq!(h.share(-1.0), 2.0 / 20.0);
        h.add(-1.0);
        assert_eq!((h.counts.as_slice(), h.n), ([1, 0, 2, 1].as_slice(), 4));
    }

    #[test]
    fn grows_from_one_value_to_either_side() {
        for (x, counts) in [(5.0, [3, 0, 1]), (-5.0, [1, 0, 3])] {
            let mut h = GrowingHistogram::new(3);
            (0..3).for_each(|_| h.add(1.0));
            h.add(x);
            assert_eq!(h.counts, counts);
        }
    }

    #[test]
    fn full_bins_keep_the_sum() {
        let full = HistogramRecord {
            low: 0.0,
            high: 1.0,
            counts: vec![u32::MAX; 2],
        };
        let mut h = GrowingHistogram::try_from(full).unwrap();
        h.add(0.1);
        h.add(10.0);
        assert_eq!(h.n, h.counts.iter().map(|&c| u64::from(c)).sum::<u64>());
        assert!(h.share(0.1) <= 1.0 && h.share(10.0) > 0.0);
    }

    #[test]
    fn unsound_records_are_refused() {
        for (low, high, counts) in [
            (1.0, 0.0, vec![1]),
            (f64::NAN, 0.0, vec![1]),
            (0.0, f64::INFINITY, vec![1]),
            (0.0, 1.0, vec![]),
        ] {
            assert!(GrowingHistogram::try_from(HistogramRecord { low, high, counts }).is_err());
        }
    }

    proptest! {
        /// What is said of a value before it is counted is what the grown histogram holds.
        #[test]
        fn share_is_that_of_the_grown_range(
            values in prop::collection::vec(prop_oneof![-3.0..3.0_f64, -1e150..1e150_f64, Just(0.5)], 1..40),
            n_bins in 1_usize..20,
        ) {
            let mut h = GrowingHistogram::new(n_bins);
            for &x in &values {
                let share = h.share(x);
                h.add(x);
                prop_assert!(share > 0.0 && share <= 1.0);
                prop_assert_eq!(h.n, h.counts.iter().map(|&c| u64::from(c)).sum::<u64>());
                let at = h.place(h.low, h.high, x);
                let count = |i: usize| h.counts.get(i).map_or(0, |&c| c);
                let twice = 2 * (count(at) - 1) + at.checked_sub(1).map_or(0, count) + count(at + 1);
                let n = h.n as f64 - 1.0;
                prop_assert_eq!(share, (f64::from(twice) + 2.0) / (4.0 * n + 2.0 * n_bins as f64));
            }
            prop_assert_eq!(h.n as usize, values.len());
        }
    }
}
