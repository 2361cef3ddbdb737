//! Intervals from out-of-fold residuals, in bins of the prediction.

use super::CalibrationRow;
use crate::{
    error::{Error, Result},
    model::{N_PERCENTILES, RulDistribution},
    quantity::LifeUnit,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Bins asked for; fewer where rows are few.
const N_BINS: usize = 14;
/// Lives and residuals in magnitude at most, so that differences stay finite.
const LARGEST: f64 = 1e300;
/// Rows a bin needs for its residuals to be trusted.
const LEAST_ROWS_A_BIN: usize = 30;

/// Prediction intervals from signed residuals `truth - predicted` of assets a model was not fitted on, in bins of the
/// predicted value: errors near the end of life are smaller than far from it.
///
/// Bins hold equal weight, each asset weighing one in all; rows of the same prediction are of one bin. Within a bin the
/// interval is the shortest one that holds the nominal share of the residuals, the share raised to `(level (n + 1) + 1) / n` for `n` rows (Kish's effective number), as
/// between two order statistics lies less than their share of the sample. Rows of one asset are taken as independent, and
/// choosing the shortest range costs a little more: with few assets, expect a few per cent less than the nominal level. Its ends are
/// interpolated between the bins' mean predictions, so that the interval does not jump.
/// Coverage is marginal over assets like the training ones; nothing is promised for a machine unlike them.
///
/// Whole distributions are made of the same residuals: percentile `p` of a bin is the residual of rank `p (n + 1)`, so that
/// central intervals of any level have the coverage of split-conformal ones (Vovk et al. 2005, doi 10.1007/b106715); they are
/// a little wider than the shortest. Residuals that `n` rows cannot tell of, at ranks below 1 or above `n`, are taken as the
/// outermost ones: a level above `(n - 1) / (n + 1)` is not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct BinnedIntervals {
    level: f64,
    /// Mean prediction of each bin, increasing.
    centres: Vec<f64>,
    /// Lower and upper residual of each bin.
    ends: Vec<(f64, f64)>,
    /// Percentiles 0 to 100 of the residuals of each bin, one bin after the other.
    percentiles: Vec<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    level: f64,
    centres: Vec<f64>,
    ends: Vec<(f64, f64)>,
    /// Not in files of the first version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    percentiles: Vec<f64>,
}

impl BinnedIntervals {
    /// From predictions for assets the model, or that of their fold, was not fitted on.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < level < 1`; `InvalidInput` for numbers that are not finite; `InsufficientData` without
    /// rows.
    pub fn fit(level: f64, rows: &[CalibrationRow]) -> Result<Self> {
        super::held_out::check_level(level)?;
        let mut n_rows_of = HashMap::new();
        rows.iter()
            .for_each(|r| *n_rows_of.entry(r.asset).or_insert(0usize) += 1);
        let mut weighted: Vec<(f64, f64, f64)> = rows
            .iter()
            .map(|r| (r.predicted, r.truth - r.predicted, 1.0 / n_rows_of[&r.asset] as f64))
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
        // By all they have, so that the order of assets does not change a bit.
        weighted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2)));
        let n_bins = (weighted.len() / LEAST_ROWS_A_BIN).clamp(1, N_BINS);
        let total: f64 = weighted.iter().map(|w| w.2).sum();
        let (mut centres, mut ends, mut percentiles) = (Vec::new(), Vec::new(), Vec::new());
        let (mut bin, mut passed): (Vec<(f64, f64, f64)>, f64) = (Vec::new(), 0.0);
        for (i, w) in weighted.iter().enumerate() {
            bin.push(*w);
            passed += w.2;
            let full = passed >= total * (centres.len() + 1) as f64 / n_bins as f64 && bin.len() >= LEAST_ROWS_A_BIN;
            let next = weighted.get(i + 1);
            // Rows of one prediction (a cap, a model that knows nothing) stand in the order of their residuals: to part them
            // would give a bin the low ones only.
            let ends_here = next.is_none_or(|next| next.0 > w.0);
            if (full && ends_here && weighted.len() - i > LEAST_ROWS_A_BIN) || next.is_none() {
                let weight: f64 = bin.iter().map(|w| w.2).sum();
                // A mean rounded out of its bin would fall among the others' predictions.
                let centre = (bin.iter().map(|w| w.0 * w.2).sum::<f64>() / weight).clamp(bin[0].0, w.0);
                bin.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0)).then(a.2.total_cmp(&b.2)));
                centres.push(centre);
                ends.push(shortest(level, &bin));
                percentiles.extend(percentiles_of(&bin));
                bin.clear();
            }
        }
        Record {
            level,
            centres,
            ends,
            percentiles,
        }
        .try_into()
    }

    /// Nominal share of truths inside.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Lower and upper end around a prediction, not clipped to any range.
    pub fn around(&self, predicted: f64) -> (f64, f64) {
        let (i, j, share) = self.bins_around(predicted);
        let (a, b) = (self.ends[i], self.ends[j]);
        let low = a.0 + share * (b.0 - a.0);
        let high = a.1 + share * (b.1 - a.1);
        (predicted + low, predicted + high)
    }

    /// The distribution around a prediction. Lives at or above `cap`, where labels had one, are beyond what is known.
    ///
    /// Intervals read from a file of the first version have no distribution but their two ends; it is then drawn straight
    /// through them.
    ///
    /// # Errors
    /// `InvalidInput` for a prediction that is not finite.
    pub fn distribution(&self, predicted: f64, cap: Option<f64>, unit: LifeUnit) -> Result<RulDistribution> {
        let (i, j, share) = self.bins_around(predicted);
        let mut percentiles = [0.0; N_PERCENTILES];
        let mut least = 0.0f64;
        for (k, out) in percentiles.iter_mut().enumerate() {
            let (a, b) = (self.residual(i, k), self.residual(j, k));
            let life = predicted + (a + share * (b - a));
            least = match cap {
                Some(cap) if life >= cap && k > 0 => f64::INFINITY,
                Some(cap) => least.max(life.min(cap)),
                None => least.max(life),
            };
            *out = least;
        }
        RulDistribution::new(percentiles, unit)
    }

    /// The two bins whose centres lie around a prediction, and how far between them it lies.
    fn bins_around(&self, predicted: f64) -> (usize, usize, f64) {
        let above = self.centres.partition_point(|c| *c <= predicted);
        match above.checked_sub(1) {
            None => (0, 0, 0.0),
            Some(i) if above == self.centres.len() => (i, i, 0.0),
            Some(i) => {
                let (x, y) = (self.centres[i], self.centres[above]);
                (i, above, (predicted - x) / (y - x))
            }
        }
    }

    fn residual(&self, bin: usize, percentile: usize) -> f64 {
        if let Some(r) = self.percentiles.get(bin * N_PERCENTILES + percentile) {
            return *r;
        }
        let (low, high) = self.ends[bin];
        let p_low = (1.0 - self.level) / 2.0;
        let share = (percentile as f64 / 100.0 - p_low) / self.level;
        low + share.clamp(0.0, 1.0) * (high - low)
    }
}

/// Percentiles 0 to 100 of sorted, weighted residuals: ranks `p (n + 1)`, `n` being Kish's effective number.
fn percentiles_of(bin: &[(f64, f64, f64)]) -> [f64; N_PERCENTILES] {
    let total: f64 = bin.iter().map(|w| w.2).sum();
    let squares: f64 = bin.iter().map(|w| w.2 * w.2).sum();
    let n = total * total / squares;
    let mut out = [0.0; N_PERCENTILES];
    let (mut k, mut passed, mut p_before) = (0, bin[0].2, 0.0);
    for (i, out) in out.iter_mut().enumerate() {
        let p = i as f64 / 100.0;
        let position = |passed: f64| passed / total * n / (n + 1.0);
        while p > position(passed) && k + 1 < bin.len() {
            p_before = position(passed);
            k += 1;
            passed += bin[k].2;
        }
        let (low, high) = (bin[k.saturating_sub(1)].1, bin[k].1);
        let share = (p - p_before) / (position(passed) - p_before);
        *out = low + share.clamp(0.0, 1.0) * (high - low);
    }
    out
}

/// The shortest range of sorted residuals that holds `level` of the weight.
fn shortest(level: f64, bin: &[(f64, f64, f64)]) -> (f64, f64) {
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
                .all(|(a, b)| a.abs() <= LARGEST && b.abs() <= LARGEST && a <= b)
            && (r.percentiles.is_empty() || r.percentiles.len() == r.centres.len() * N_PERCENTILES)
            && r.percentiles
                .chunks(N_PERCENTILES)
                .all(|bin| bin.iter().all(|q| q.abs() <= LARGEST) && bin.windows(2).all(|w| w[0] <= w[1]));
        if !sound {
            return Err(Error::persistence(
                "intervals: expected increasing centres, each with ordered ends, none beyond 1e300",
            ));
        }
        Ok(Self {
            level: r.level,
            centres: r.centres,
            ends: r.ends,
            percentiles: r.percentiles,
        })
    }
}

impl From<BinnedIntervals> for Record {
    fn from(b: BinnedIntervals) -> Self {
        Self {
            level: b.level,
            centres: b.centres,
            ends: b.ends,
            percentiles: b.percentiles,
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
    fn central_intervals_of_every_level_hold_their_share() {
        let b = BinnedIntervals::fit(0.9, &rows(1, 4000)).unwrap();
        let fresh = rows(2, 4000);
        for level in [0.3, 0.5, 0.8, 0.95] {
            let inside = |r: &&CalibrationRow| {
                let d = b.distribution(r.predicted, None, LifeUnit::Hours).unwrap();
                let (low, high) = d.interval(level).unwrap();
                low <= r.truth && r.truth <= high
            };
            let share = fresh.iter().filter(inside).count() as f64 / 4000.0;
            // Standard error of 4,000 draws at 0.5 is 0.008, of the ends about as much again.
            assert!((share - level).abs() < 0.04, "{level}: {share}");
        }
        let capped = b.distribution(90.0, Some(90.0), LifeUnit::Hours).unwrap();
        assert!((0.3..0.7).contains(&capped.beyond()), "{}", capped.beyond());
    }

    #[test]
    fn percentiles_are_those_of_ranks() {
        let bin: Vec<_> = (1..=99).map(|i| (0.0, i as f64, 1.0)).collect();
        // 99 residuals: percentile p is the p-th of them, the outermost are the ends.
        let p = percentiles_of(&bin);
        assert!((p[1] - 1.0).abs() < 1e-9 && (p[50] - 50.0).abs() < 1e-9 && p[0] == 1.0 && p[100] == 99.0);
        assert_eq!(percentiles_of(&[(0.0, 3.0, 0.5)]), [3.0; N_PERCENTILES]);
    }

    /// Half of all predictions at a cap, one that says nothing: their residuals are those of all rows of it, not of the lowest.
    #[test]
    fn rows_of_one_prediction_are_of_one_bin() {
        let with_ties = |at: fn(usize) -> f64| -> Vec<CalibrationRow> {
            let row = |(i, r): (usize, CalibrationRow)| CalibrationRow {
                predicted: at(i),
                truth: at(i) + 10.0 * (r.truth - r.predicted) / r.predicted,
                ..r
            };
            rows(3, 1200).into_iter().enumerate().map(row).collect()
        };
        for at in [
            (|_| 50.0) as fn(usize) -> f64,
            |i| if i % 2 == 0 { 100.0 } else { (i % 997) as f64 / 10.0 },
            |i| [0.0, 70.0, 100.0][i % 3],
        ] {
            let all = with_ties(at);
            let b = BinnedIntervals::fit(0.9, &all).unwrap();
            for tie in [50.0, 100.0, 70.0, 0.0] {
                let of_tie: Vec<_> = all.iter().filter(|r| r.predicted == tie).collect();
                if of_tie.len() < 100 {
                    continue;
                }
                // Residuals are uniform in -1..1.
                let (low, high) = b.around(tie);
                let inside = of_tie.iter().filter(|r| low <= r.truth && r.truth <= high).count();
                let share = inside as f64 / of_tie.len() as f64;
                assert!((0.85..0.97).contains(&share), "{tie}: {share} in {low}..{high}");
                let median = b.distribution(tie, None, LifeUnit::Hours).unwrap().median().unwrap();
                assert!((median - tie).abs() < 0.25, "{tie}: {median}");
            }
        }
        // Whatever the order of the rows, of assets that weigh differently.
        let mut all = with_ties(|_| 50.0);
        let asset = |i: usize| (i as u32 / 7).min(60);
        all.iter_mut().enumerate().for_each(|(i, r)| r.asset = asset(i));
        let b = BinnedIntervals::fit(0.9, &all).unwrap();
        all.reverse();
        assert_eq!(BinnedIntervals::fit(0.9, &all).unwrap(), b);
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
            percentiles: vec![],
        };
        assert!(BinnedIntervals::try_from(r).is_err());
        let r = Record {
            level: 0.9,
            centres: vec![1.0, 2.0],
            ends: vec![(f64::MIN, f64::MIN), (f64::MAX, f64::MAX)],
            percentiles: vec![],
        };
        assert!(BinnedIntervals::try_from(r).is_err(), "their difference is infinite");
    }
}
