//! Auto-associative kernel regression: what a row ought to read, from a memory of healthy rows.

use crate::detect::{
    row::neighbour_search::sample_positions,
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::{Row, Z_MAX, check_numbers},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The most rows of a memory that can be asked for.
const MOST_MEMORY_ROWS: usize = 10_000;
/// The most training rows whose residuals are looked at.
const MOST_RESIDUALS: usize = 2_000;
/// The smallest and the largest bandwidth, in training standard deviations; keep exponents finite.
const BANDWIDTHS: std::ops::RangeInclusive<f64> = 1e-6..=1e6;
/// The smallest residual deviation that counts, in training standard deviations; keeps scores finite.
const LEAST_RESIDUAL: f64 = 1e-6;
/// The largest residual deviation that is read from a file.
const LARGEST_RESIDUAL: f64 = 1e7;
/// Bandwidths tried: from a quarter of a typical distance, each √2 times the one before, to sixteen times.
const N_BANDWIDTHS: usize = 13;
/// A weight below `exp` of this, of the largest one's, is none.
const LEAST_EXPONENT: f64 = -60.0;

/// Anomaly detector by auto-associative kernel regression (AAKR, a form of the multivariate state estimation technique):
/// it estimates from a memory of healthy rows what all sensors ought to read, and judges the differences.
///
/// For related sensors whose relations are no straight lines, as of pumps, turbines and reactors over their load range; for
/// straight ones [`PcaDetector`](crate::detect::PcaDetector) is cheaper. Fitted on healthy rows. A sensor that drifts far pulls
/// the estimates of the others along a little ("spillover"), so contributions name it first, not alone.
///
/// # Method
///
/// Features are centred and scaled by their mean and standard deviation over the training rows (divisor `n - 1`) to `z`.
/// The memory is `n_memory` training rows: of each feature a row with the smallest and one with the largest value, then,
/// of the others in the order of their length `|z|`, as many at even steps. With the memory rows `m_i` and the bandwidth `h`,
///
/// ```text
/// w_i = exp(-|z - m_i|² / 2h²)     e = Σ w_i m_i / Σ w_i     r = z - e     score = Σ_j (r_j / s_j)²
/// ```
///
/// where `s_j` is the root mean square of the residual `r_j` over training rows, each estimated without itself (all of
/// them, or a sample of 2,000 by the seed), at least 10⁻⁶. Unless it is set, `h` is the one with the least sum of
/// squares of those residuals among 13 from 1/4 to 16 times their median distance to the nearest other row of the memory,
/// at steps of √2. Weights are taken relative to the largest, so that far from all memory the estimate is the nearest row.
/// The threshold is the quantile `1 - false_alarm_rate` of held-out scores; see
/// [the module](crate::detect#thresholds). The contribution of feature `j` is `(r_j / s_j)²`; contributions add up to the
/// score.
///
/// Columns constant over the training rows take no part in the score and have a contribution of zero.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`, at least two usable rows a fold. Rows with a NaN or infinite value are left out
/// when fitting and [`Unusable`](crate::model::Assessment::Unusable) when scoring; other rows always score finite. A row
/// costs `O(n_memory n_features)` and allocates nothing up to 256 features (one buffer above). Fitting costs as much as
/// 28,000 rows, once and once a fold. The model holds its memory: `8 n_memory n_features` bytes.
///
/// # Sources
///
/// Nadaraya, "On estimating regression", Theory of Probability and its Applications 9 (1964), doi
/// [10.1137/1109020](https://doi.org/10.1137/1109020). Singer, Gross, Herzog, King and Wegerich, "Model-based nuclear power
/// plant monitoring and fault detection: theoretical foundations", Intelligent System Applications to Power Systems 1997
/// (choice of the memory). Hines and Garvey, "Development and application of fault detectability performance metrics for
/// instrument calibration verification and anomaly detection", J. Pattern Recognition Research 1 (2006).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::KernelRegression,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::{AnomalyDetector, OnlineModel},
///     signal::Channel,
/// };
///
/// // Pressure rises with the square of the speed.
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "Hz"), Channel::new("pressure", "bar")])?;
/// let speed = |i: usize| 25.0 + 20.0 * (i as f64 * 0.7).sin();
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| [speed(i), 0.002 * speed(i) * speed(i)][j]);
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
///
/// let detector = KernelRegression::params().false_alarm_rate(0.002).fit(&DatasetBase::new(table, ()))?;
///
/// let score = |values: [f64; 2]| detector.assess(&(), FeatureView::new(&schema, &values)?).map(|a| a.ready());
/// assert!(!score([30.0, 1.8])?.unwrap().is_anomalous());
/// assert!(score([30.0, 2.4])?.unwrap().is_anomalous()); // each value usual, not so both
/// # Ok::<(), prognos::Error>(())
/// ```
pub type KernelRegression = RowDetector<KernelMemory>;

/// Parameters of a [`KernelRegression`] detector.
pub type KernelRegressionParams = RowDetectorParams<KernelRegressionSettings>;

/// How a [`KernelRegression`] detector is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelRegressionSettings {
    n_memory: usize,
    bandwidth: Option<f64>,
}

impl Default for KernelRegressionSettings {
    fn default() -> Self {
        Self {
            n_memory: 200,
            bandwidth: None,
        }
    }
}

impl KernelRegressionParams {
    /// Number of training rows in the memory, 2 to 10,000; two a feature where that is more. Default 200.
    #[must_use]
    pub fn n_memory(self, n: usize) -> Self {
        self.with(|s| s.n_memory = n)
    }

    /// The bandwidth, in training standard deviations, 10⁻⁶ to 10⁶. By default it follows from the rows.
    #[must_use]
    pub fn bandwidth(self, bandwidth: f64) -> Self {
        self.with(|s| s.bandwidth = Some(bandwidth))
    }
}

impl KernelRegression {
    /// Default parameters: a memory of 200 rows, a bandwidth that follows from the rows, a false alarm rate of 0.01, five
    /// folds.
    pub fn params() -> KernelRegressionParams {
        KernelRegressionParams::default()
    }

    /// The bandwidth, in training standard deviations.
    pub fn bandwidth(&self) -> f64 {
        self.scorer.bandwidth
    }

    /// Number of rows in the memory.
    pub fn n_memory(&self) -> usize {
        self.scorer.memory.len() / self.scorer.width().max(1)
    }
}

impl RowAlgorithm for KernelRegressionSettings {
    type Scorer = KernelMemory;

    fn check(&self) -> Result<()> {
        if !(2..=MOST_MEMORY_ROWS).contains(&self.n_memory) {
            return Err(Error::parameter(
                "n_memory",
                format!("2 to {MOST_MEMORY_ROWS}"),
                self.n_memory,
            ));
        }
        match self.bandwidth {
            Some(h) if !BANDWIDTHS.contains(&h) => Err(Error::parameter("bandwidth", "1e-6 to 1e6", h)),
            _ => Ok(()),
        }
    }

    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<KernelMemory> {
        let chosen = choose_memory(rows, self.n_memory);
        let memory: Vec<f64> = chosen.iter().filter_map(|&i| rows.get(i)).flatten().copied().collect();
        let memory_rows = Rows::new(&memory, rows.width());
        // A row and its place in the memory.
        let own = |i: usize| Some((rows.get(i)?, chosen.binary_search(&i).ok()));
        let judged: Vec<(&[f64], Option<usize>)> = sample_positions(rows.len(), MOST_RESIDUALS, seed)
            .filter_map(own)
            .collect();
        let bandwidth = self.bandwidth.unwrap_or_else(|| least_residuals(memory_rows, &judged));
        Ok(KernelMemory {
            bandwidth,
            residual: residual_deviations(memory_rows, &judged, bandwidth),
            memory,
        })
    }
}

/// The rows of the memory, in their order: those of the extremes of each column, and of the others, ordered by their
/// length, as many at even steps as make `n`.
fn choose_memory(rows: Rows<'_>, n: usize) -> Vec<usize> {
    let mut taken = vec![false; rows.len()];
    for j in 0..rows.width() {
        let extreme = |sign: f64| {
            let column = rows.column(j).enumerate();
            column.fold((0, f64::NEG_INFINITY), |best, (i, v)| {
                if sign * v > best.1 { (i, sign * v) } else { best }
            })
        };
        for (i, _) in [extreme(-1.0), extreme(1.0)] {
            if let Some(t) = taken.get_mut(i) {
                *t = true;
            }
        }
    }
    let n_extremes = taken.iter().filter(|t| **t).count();
    let square = |z: &[f64]| z.iter().map(|v| v * v).sum::<f64>();
    let free = rows.iter().zip(&taken).enumerate().filter(|(_, (_, t))| !**t);
    let mut free: Vec<(f64, usize)> = free.map(|(i, (z, _))| (square(z), i)).collect();
    free.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let wanted = n.saturating_sub(n_extremes).min(free.len());
    for step in 0..wanted {
        let at = (2 * step + 1) * free.len() / (2 * wanted);
        if let Some(t) = free.get(at).and_then(|&(_, i)| taken.get_mut(i)) {
            *t = true;
        }
    }
    taken.iter().enumerate().filter(|(_, t)| **t).map(|(i, _)| i).collect()
}

/// The bandwidth whose estimates of the rows `judged`, each without its own place in the memory, are nearest.
fn least_residuals(memory: Rows<'_>, judged: &[(&[f64], Option<usize>)]) -> f64 {
    let nearest = |&(z, own): &(&[f64], Option<usize>)| {
        let others = memory.iter().enumerate().filter(|(i, _)| Some(*i) != own);
        others
            .map(|(_, m)| square_distance(z, m))
            .fold(f64::INFINITY, f64::min)
            .sqrt()
    };
    let mut typical: Vec<f64> = judged.iter().map(nearest).collect();
    typical.sort_unstable_by(f64::total_cmp);
    let median = typical.get(typical.len() / 2).copied().unwrap_or(1.0);
    let mut bandwidth = median / 4.0;
    let mut best = (f64::INFINITY, bandwidth);
    for _ in 0..N_BANDWIDTHS {
        let h = bandwidth.clamp(*BANDWIDTHS.start(), *BANDWIDTHS.end());
        let sum: f64 = residual_squares(memory, judged, h).iter().sum();
        if sum < best.0 {
            best = (sum, h);
        }
        bandwidth *= std::f64::consts::SQRT_2;
    }
    best.1.clamp(*BANDWIDTHS.start(), *BANDWIDTHS.end())
}

/// The sum of the squared residuals of each column.
fn residual_squares(memory: Rows<'_>, judged: &[(&[f64], Option<usize>)], bandwidth: f64) -> Vec<f64> {
    let mut sum = vec![0.0; memory.width()];
    for &(z, own) in judged {
        for ((s, z), e) in sum.iter_mut().zip(z).zip(estimate(memory, bandwidth, z, own)) {
            *s += (z - e) * (z - e);
        }
    }
    sum
}

fn residual_deviations(memory: Rows<'_>, judged: &[(&[f64], Option<usize>)], bandwidth: f64) -> Vec<f64> {
    let n = judged.len().max(1) as f64;
    let mut deviations = residual_squares(memory, judged, bandwidth);
    deviations
        .iter_mut()
        .for_each(|s| *s = (*s / n).sqrt().max(LEAST_RESIDUAL));
    deviations
}

/// The mean of the memory's rows but `skip`, weighted by their nearness to `z`.
fn estimate(memory: Rows<'_>, bandwidth: f64, z: &[f64], skip: Option<usize>) -> Row {
    let rate = 0.5 / (bandwidth * bandwidth);
    let mut sum: Row = SmallVec::from_elem(0.0, memory.width());
    let (mut nearest, mut total) = (f64::INFINITY, 0.0);
    for (i, m) in memory.iter().enumerate() {
        if Some(i) == skip {
            continue;
        }
        let square = square_distance(z, m);
        // Weights are relative to that of the nearest row so far.
        let weight = if square < nearest {
            let fade = libm::exp((square - nearest) * rate);
            total *= fade;
            sum.iter_mut().for_each(|s| *s *= fade);
            nearest = square;
            1.0
        } else {
            let exponent = (nearest - square) * rate;
            if exponent < LEAST_EXPONENT {
                continue;
            }
            libm::exp(exponent)
        };
        total += weight;
        sum.iter_mut().zip(m).for_each(|(s, m)| *s += weight * m);
    }
    if total > 0.0 {
        sum.iter_mut().for_each(|s| *s /= total);
    }
    sum
}

/// `|a - b|²`, in a fixed order of additions: four running sums.
#[inline]
fn square_distance(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a4, a_rest) = a.split_at(n).0.as_chunks::<4>();
    let (b4, b_rest) = b.split_at(n).0.as_chunks::<4>();
    let mut sum = [0.0; 4];
    for (x, y) in a4.iter().zip(b4) {
        for ((s, x), y) in sum.iter_mut().zip(x).zip(y) {
            *s += (x - y) * (x - y);
        }
    }
    let [s0, s1, s2, s3] = sum;
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| (x - y) * (x - y)).sum();
    (s0 + s1) + (s2 + s3) + rest
}

/// The fitted half of a [`KernelRegression`] detector: the memory and the residuals of healthy rows.
#[derive(Clone, Debug)]
pub struct KernelMemory {
    bandwidth: f64,
    /// The root mean square of each column's residuals.
    residual: Vec<f64>,
    /// Row by row.
    memory: Vec<f64>,
}

impl KernelMemory {
    /// Calls `each` with every column's residual in healthy ones, squared.
    #[inline]
    fn residuals(&self, z: &[f64], each: impl FnMut(f64)) {
        let expected = estimate(Rows::new(&self.memory, self.residual.len()), self.bandwidth, z, None);
        let relative = |((z, e), s): ((&f64, &f64), &f64)| {
            let r = (z - e) / s;
            r * r
        };
        z.iter().zip(&expected).zip(&self.residual).map(relative).for_each(each);
    }
}

impl RowScorer for KernelMemory {
    const KIND: &'static str = "detect.kernel_regression";
    type Record = KernelRegressionRecord;

    fn width(&self) -> usize {
        self.residual.len()
    }

    fn score(&self, z: &[f64]) -> f64 {
        let mut sum = 0.0;
        self.residuals(z, |r| sum += r);
        sum
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        let mut out = out.iter_mut();
        self.residuals(z, |r| {
            if let Some(o) = out.next() {
                *o = r;
            }
        });
    }

    fn to_record(&self) -> KernelRegressionRecord {
        KernelRegressionRecord {
            bandwidth: self.bandwidth,
            residual: self.residual.clone(),
            memory: self.memory.clone(),
        }
    }

    fn from_record(record: KernelRegressionRecord, width: usize) -> Result<Self> {
        check_numbers("bandwidth", &[record.bandwidth], 1, |h| BANDWIDTHS.contains(&h))?;
        let residuals = LEAST_RESIDUAL..=LARGEST_RESIDUAL;
        check_numbers("residual", &record.residual, width, |s| residuals.contains(&s))?;
        let n = record.memory.len().checked_div(width).unwrap_or(0);
        if n < 1 {
            return Err(Error::persistence("memory: expected at least 1 row, got none"));
        }
        check_numbers("memory", &record.memory, n * width, |v| v.abs() <= Z_MAX)?;
        Ok(Self {
            bandwidth: record.bandwidth,
            residual: record.residual,
            memory: record.memory,
        })
    }
}

/// What is written of a [`KernelMemory`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelRegressionRecord {
    bandwidth: f64,
    residual: Vec<f64>,
    memory: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn fitted(n_memory: usize, bandwidth: Option<f64>, values: &[f64], width: usize) -> Result<KernelMemory> {
        let settings = KernelRegressionSettings { n_memory, bandwidth };
        settings.check()?;
        settings.fit(Rows::new(values, width), Seed(0))
    }

    /// Deterministic noise without a pattern.
    fn noise(i: usize, j: usize) -> f64 {
        (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    #[test]
    fn memory_holds_the_extremes_and_even_steps_of_length() {
        // Extremes of the columns: rows 0 and 5, and 2 and 5. The others by length: 6, 3, 1, 4; one of two steps each: 3, 4.
        let rows = [
            [-9.0, 0.0],
            [2.0, 0.0],
            [0.0, -9.0],
            [0.0, 1.0],
            [3.0, 0.0],
            [9.0, 9.0],
            [0.5, 0.0],
        ]
        .concat();
        assert_eq!(choose_memory(Rows::new(&rows, 2), 5), [0, 2, 3, 4, 5]);
        assert_eq!(choose_memory(Rows::new(&rows, 2), 2), [0, 2, 5]);
        assert_eq!(choose_memory(Rows::new(&rows, 2), 100).len(), 7);
    }

    #[test]
    fn estimate_by_hand() {
        // Weights 1 and e^-2 at distances 0 and 2 for a bandwidth of 1.
        let memory = [0.0, 2.0];
        let w = libm::exp(-2.0);
        let of = |z: f64, skip| estimate(Rows::new(&memory, 1), 1.0, &[z], skip)[0];
        assert!((of(0.0, None) - 2.0 * w / (1.0 + w)).abs() < 1e-15);
        assert!((of(2.0, None) - 2.0 / (1.0 + w)).abs() < 1e-15);
        assert_eq!((of(1.0, None), of(0.0, Some(0)), of(0.0, Some(1))), (1.0, 2.0, 0.0));
        // Both weights are far below the smallest number; the nearest row is the estimate.
        assert_eq!((of(1e6, None), of(-1e6, None)), (2.0, 0.0));
    }

    #[test]
    fn residuals_are_relative_to_healthy_ones_and_the_bent_line_is_learnt() {
        let curve = |i: usize| {
            let t = 4.0 * noise(i, 0);
            [t, t * t - 1.0 + 0.02 * noise(i, 1)]
        };
        let values: Vec<f64> = (0..400).flat_map(curve).collect();
        let s = fitted(60, None, &values, 2).unwrap();
        assert_eq!(s.memory.len(), 120);
        let typical: f64 = (400..600).map(|i| s.score(&curve(i))).sum::<f64>() / 200.0;
        // A new row's mean score is the number of columns, but for what rows of the memory are judged without.
        assert!((0.3..4.0).contains(&typical), "{typical}");
        assert!(s.score(&[0.0, 0.5]) > 20.0 * typical, "{}", s.score(&[0.0, 0.5]));
        let mut shares = [0.0; 2];
        s.contributions_into(&[0.0, 0.5], &mut shares);
        assert_eq!(shares[0] + shares[1], s.score(&[0.0, 0.5]));
    }

    #[test]
    fn the_bandwidth_found_has_the_least_residuals_of_all_tried() {
        let values: Vec<f64> = (0..300).map(|i| noise(i / 3, 7) + 0.3 * noise(i, 1)).collect();
        let rows = Rows::new(&values, 3);
        let found = fitted(30, None, &values, 3).unwrap();
        let squares = |h: f64| {
            let s = fitted(30, Some(h), rows.values(), 3).unwrap();
            s.residual.iter().map(|s| s * s).sum::<f64>()
        };
        for factor in [0.25, 0.5, 0.7, 1.4, 2.0, 4.0] {
            assert!(
                squares(found.bandwidth) <= squares(factor * found.bandwidth),
                "{factor}"
            );
        }
    }

    #[test]
    fn copies_and_two_rows_do_no_harm() {
        let copies = fitted(5, None, &[-1.0, 1.0].repeat(20), 1).unwrap();
        assert_eq!(copies.score(&[1.0]), 0.0);
        assert!(copies.score(&[1e6]).is_finite() && copies.score(&[0.5]) > 1e6);
        let two = fitted(2, None, &[-0.7, 0.7], 1).unwrap();
        assert!(two.score(&[1e6]).is_finite() && two.score(&[-1e6]).is_finite());
    }

    #[test]
    fn wrong_settings_are_named() {
        for (n, h, name) in [
            (1, None, "n_memory"),
            (10_001, None, "n_memory"),
            (9, Some(0.0), "bandwidth"),
            (9, Some(f64::NAN), "bandwidth"),
            (9, Some(1e7), "bandwidth"),
        ] {
            let e = fitted(n, h, &[0.0, 1.0], 1).unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
    }

    #[test]
    fn broken_records_are_refused() {
        let good = fitted(4, Some(0.5), &[0.0, 1.0, 2.0, 5.0, 1.0, 2.0], 2)
            .unwrap()
            .to_record();
        assert_eq!(KernelMemory::from_record(good.clone(), 2).unwrap().to_record(), good);
        type Break = fn(&mut KernelRegressionRecord);
        let breaks: [(&str, Break); 7] = [
            ("bandwidth zero", |r| r.bandwidth = 0.0),
            ("bandwidth NaN", |r| r.bandwidth = f64::NAN),
            ("residual zero", |r| r.residual[0] = 0.0),
            ("residuals long", |r| r.residual.push(1.0)),
            ("half a row", |r| r.memory.truncate(3)),
            ("no memory", |r| r.memory.clear()),
            ("memory out of range", |r| r.memory[0] = 1e7),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = KernelMemory::from_record(r, 2).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }
}
