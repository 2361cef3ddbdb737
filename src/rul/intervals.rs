//! Intervals from out-of-fold residuals, in bins of the prediction.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Bins asked for; fewer where rows are few.
const N_BINS: usize = 14;
/// Lives and residuals in magnitude at most, so that differences stay finite.
const LARGEST: f64 = 1e300;
/// Rows a bin needs for its residuals to be trusted.
const LEAST_ROWS_A_BIN: usize = 30;

/// One out-of-fold prediction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CalibrationRow {
    pub(crate) asset: u32,
    pub(crate) predicted: f64,
    /// What it was to predict, capped as the labels were.
    pub(crate) truth: f64,
}

/// Prediction intervals from signed residuals `truth - predicted` of assets a model was not fitted on, in bins of the
/// predicted value: errors near the end of life are smaller than far from it.
///
/// Bins hold equal weight, each asset weighing one in all. Within a bin the interval is the shortest one that holds the
/// nominal share of the residuals, the share raised to `(level (n + 1) + 1) / n` for `n` rows (Kish's effective number), as
/// between two order statistics lies less than their share of the sample. Rows of one asset are taken as independent, and
/// choosing the shortest range costs a little more: with few assets, expect a few per cent less than the nominal level. Its ends are interpolated between the bins' mean predictions, so that the interval does not jump.
/// Coverage is marginal over assets like the training ones; nothing is promised for a machine unlike them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct BinnedIntervals {
    level: f64,
    /// Mean prediction of each bin, increasing.
    centres: Vec<f64>,
    /// Lower and upper residual of each bin.
    ends: Vec<(f64, f64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    level: f64,
    centres: Vec<f64>,
    ends: Vec<(f64, f64)>,
}

impl BinnedIntervals {
    pub(crate) fn fit(level: f64, rows: &[CalibrationRow]) -> Result<Self> {
        let n_assets = rows.iter().map(|r| r.asset as usize + 1).max().unwrap_or(0);
        let mut n_rows_of = vec![0usize; n_assets];
        rows.iter().for_each(|r| n_rows_of[r.asset as usize] += 1);
        let mut weighted: Vec<(f64, f64, f64)> = rows
            .iter()
            .map(|r| {
                (
                    r.predicted,
                    r.truth - r.predicted,
                    1.0 / n_rows_of[r.asset as usize] as f64,
                )
            })
            .collect();
        if let Some((p, e, _)) = weighted.iter().find(|(p, e, _)| !(p.is_finite() && e.is_finite())) {
            return Err(Error::input(
                "out-of-fold prediction",
                "finite",
                format!("{p} with residual {e}"),
            ));
        }
        if weighted.is_empty() {
            return Err(Error::insufficient(
                "prediction intervals",
                "at least 1 out-of-fold row",
                0,
            ));
        }
        weighted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let n_bins = (weighted.len() / LEAST_ROWS_A_BIN).clamp(1, N_BINS);
        let total: f64 = weighted.iter().map(|w| w.2).sum();
        let (mut centres, mut ends) = (Vec::new(), Vec::new());
        let (mut bin, mut passed): (Vec<(f64, f64, f64)>, f64) = (Vec::new(), 0.0);
        for (i, w) in weighted.iter().enumerate() {
            bin.push(*w);
            passed += w.2;
            let full = passed >= total * (centres.len() + 1) as f64 / n_bins as f64 && bin.len() >= LEAST_ROWS_A_BIN;
            let last = i + 1 == weighted.len();
            if (full && weighted.len() - i > LEAST_ROWS_A_BIN) || last {
                let weight: f64 = bin.iter().map(|w| w.2).sum();
                let centre = bin.iter().map(|w| w.0 * w.2).sum::<f64>() / weight;
                let ends_here = shortest(level, &mut bin);
                bin.clear();
                if centres.last().is_none_or(|c| centre > *c) {
                    centres.push(centre);
                    ends.push(ends_here);
                }
            }
        }
        Record { level, centres, ends }.try_into()
    }

    /// Nominal share of truths inside.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Lower and upper end around a prediction, not clipped to any range.
    pub fn around(&self, predicted: f64) -> (f64, f64) {
        let above = self.centres.partition_point(|c| *c <= predicted);
        let (low, high) = match (above.checked_sub(1), self.ends.get(above)) {
            (Some(i), Some(b)) => {
                let (a, x, y) = (self.ends[i], self.centres[i], self.centres[above]);
                let share = (predicted - x) / (y - x);
                (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1))
            }
            (None, Some(first)) => *first,
            (Some(i), None) => self.ends[i],
            (None, None) => (0.0, 0.0),
        };
        (predicted + low, predicted + high)
    }
}

/// The shortest range of residuals that holds `level` of the weight.
fn shortest(level: f64, bin: &mut [(f64, f64, f64)]) -> (f64, f64) {
    bin.sort_by(|a, b| a.1.total_cmp(&b.1));
    let total: f64 = bin.iter().map(|w| w.2).sum();
    let squares: f64 = bin.iter().map(|w| w.2 * w.2).sum();
    let n_effective = total * total / squares;
    // Between two order statistics of n lies (k - 1)/(n + 1) of what comes: so many rows more are needed.
    let share = (level * (n_effective + 1.0) + 1.0) / n_effective;
    let wanted = share.min(1.0) * total * (1.0 - 1e-12);
    let mut best = (bin[0].1, bin[bin.len() - 1].1);
    let (mut inside, mut j) = (0.0, 0);
    for i in 0..bin.len() {
        while j < bin.len() && inside < wanted {
            inside += bin[j].2;
            j += 1;
        }
        if inside < wanted {
            break;
        }
        let ends = (bin[i].1, bin[j - 1].1);
        if ends.1 - ends.0 < best.1 - best.0 {
            best = ends;
        }
        inside -= bin[i].2;
    }
    best
}

impl TryFrom<Record> for BinnedIntervals {
    type Error = Error;

    fn try_from(r: Record) -> Result<Self> {
        let sound = r.level > 0.0
            && r.level < 1.0
            && !r.centres.is_empty()
            && r.centres.len() == r.ends.len()
            && r.centres.iter().all(|c| c.abs() <= LARGEST)
            && r.centres.windows(2).all(|w| w[0] < w[1])
            && r.ends
                .iter()
                .all(|(a, b)| a.abs() <= LARGEST && b.abs() <= LARGEST && a <= b);
        if !sound {
            return Err(Error::persistence(
                "intervals: expected increasing centres, each with ordered ends, none beyond 1e300",
            ));
        }
        Ok(Self {
            level: r.level,
            centres: r.centres,
            ends: r.ends,
        })
    }
}

impl From<BinnedIntervals> for Record {
    fn from(b: BinnedIntervals) -> Self {
        Self {
            level: b.level,
            centres: b.centres,
            ends: b.ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256Plus;

    /// Spread grows with the prediction; residuals uniform in `+-p/10`.
    fn rows(seed: u64, n: usize) -> Vec<CalibrationRow> {
        let mut rng = Xoshiro256Plus::seed_from_u64(seed);
        let row = |i: usize, u: f64, v: f64| {
            let predicted = 100.0 * u;
            CalibrationRow {
                asset: (i / 20) as u32,
                predicted,
                truth: predicted + predicted / 10.0 * (2.0 * v - 1.0),
            }
        };
        (0..n).map(|i| row(i, rng.r#gen(), rng.r#gen())).collect()
    }

    #[test]
    fn coverage_holds_on_other_rows_and_width_follows_the_prediction() {
        let b = BinnedIntervals::fit(0.9, &rows(1, 4000)).unwrap();
        let fresh = rows(2, 4000);
        let inside = |r: &&CalibrationRow| {
            let (low, high) = b.around(r.predicted);
            low <= r.truth && r.truth <= high
        };
        let share = fresh.iter().filter(inside).count() as f64 / 4000.0;
        // Standard error of 4,000 draws at 0.9 is 0.005, of the estimated ends about as much again; bins add a little.
        assert!((0.87..0.93).contains(&share), "{share}");
        let width = |p: f64| b.around(p).1 - b.around(p).0;
        assert!(width(90.0) > 3.0 * width(10.0));
        assert!(
            (b.around(-1e3).1 - b.around(-1e3).0 - width(0.0)).abs() < 1e-9,
            "flat beyond the ends"
        );
    }

    #[test]
    fn few_or_bad_rows() {
        assert!(BinnedIntervals::fit(0.9, &[]).is_err());
        let one = BinnedIntervals::fit(0.9, &rows(1, 1)).unwrap();
        assert!(one.around(5.0).0 <= one.around(5.0).1);
        let mut bad = rows(1, 50);
        bad[3].predicted = f64::NAN;
        assert!(BinnedIntervals::fit(0.9, &bad).is_err());
        let r = Record {
            level: 0.9,
            centres: vec![1.0, 1.0],
            ends: vec![(0.0, 1.0); 2],
        };
        assert!(BinnedIntervals::try_from(r).is_err());
        let r = Record {
            level: 0.9,
            centres: vec![1.0, 2.0],
            ends: vec![(f64::MIN, f64::MIN), (f64::MAX, f64::MAX)],
        };
        assert!(BinnedIntervals::try_from(r).is_err(), "their difference is infinite");
    }
}
