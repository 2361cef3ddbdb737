//! One-class support vector machine with a Gaussian kernel.

use crate::detect::{
    draws::Draws,
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::{Z_MAX, check_numbers},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// The most rows that a machine may be made of: a kernel matrix of 128 MiB.
const MOST_ROWS: usize = 4096;
/// Steps a row before the solver gives up.
const STEPS: usize = 10_000;
/// A smaller curvature along a pair is raised to this, as for identical rows.
const LEAST_CURVATURE: f64 = 1e-12;
/// A row of a smaller weight is left out.
const LEAST_WEIGHT: f64 = 1e-12;
/// The largest rate of the kernel.
const LARGEST_RATE: f64 = 1e6;

/// Anomaly detector by a one-class support vector machine: whether a row lies within the region that holds most rows.
///
/// For usual regions of any shape, where a mean and a covariance say too little, and up to a few thousand rows say enough.
///
/// # Method
///
/// With the kernel `k(x, y) = exp(-γ |x - y|²)` over rows `x_1 .. x_n` in standard units, the weights `α` solve
///
/// ```text
/// minimise  Σ_i Σ_j α_i α_j k(x_i, x_j) / 2    where  0 <= α_i <= 1,  Σ_i α_i = ν n
/// score     ρ - Σ_i α_i k(x_i, z)
/// ```
///
/// `ρ` is the mean of `Σ_j α_j k(x_i, x_j)` over the rows with `0 < α_i < 1`. At most the share `ν` of the rows have a score
/// above zero, about. The score is the negative of the `decision_function` of scikit-learn's `OneClassSVM`; the problem is
/// solved as there, two weights at a time (Fan, Chen and Lin 2005), until the optimality conditions hold within
/// [`tolerance`](OneClassSvmParams::tolerance). Only rows of weight above zero are kept. Of more than
/// [`max_rows`](OneClassSvmParams::max_rows) training rows as many are drawn at random, in each fold anew.
///
/// Scores never exceed `ρ`, which all rows far from the training rows have: they are anomalous, but not ordered.
///
/// The contribution of feature `j` is `γ Σ_i u_i (z_j - x_ij)²` with weights `u_i` in proportion to `α_i k(x_i, z)` that add
/// up to 1: its share of the distance to the rows that the score of `z` comes from, at any distance. Contributions add up
/// to that distance times `γ`, not to the score.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). Fitting costs `O(m² n_features)` and some ten times `O(m²)` for `m` rows used,
/// and `8 m²` bytes, once and once a fold. A row costs `O(s n_features)` and `s` exponentials for `s` rows kept, at least
/// `ν m`, and allocates nothing.
///
/// # Sources
///
/// Schölkopf, Platt, Shawe-Taylor, Smola and Williamson, "Estimating the support of a high-dimensional distribution",
/// Neural Computation 13 (2001), doi [10.1162/089976601750264965](https://doi.org/10.1162/089976601750264965); Fan, Chen
/// and Lin, "Working set selection using second order information for training support vector machines", J. Machine
/// Learning Research 6 (2005).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::{KernelRate, OneClassSvmDetector},
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// // An orbit: the middle is as unusual as the outside.
/// let schema = FeatureSchema::of_channels(&[Channel::new("x", "um"), Channel::new("y", "um")])?;
/// let values = Array2::from_shape_fn((300, 2), |(i, j)| (i as f64 * 0.7 + j as f64 * 1.5708).sin());
/// let data = DatasetBase::new(FeatureTable::new(schema.clone(), values, (0..300).map(|i| i % 10).collect())?, ());
/// let detector = OneClassSvmDetector::params().kernel_rate(KernelRate::Fixed(2.0)).fit(&data)?;
///
/// let anomalous = |v: [f64; 2]| {
///     let score = detector.assess(&(), FeatureView::new(&schema, &v)?)?;
///     Ok::<_, prognos::Error>(score.ready().unwrap().is_anomalous())
/// };
/// assert!(!anomalous([0.6, 0.8])? && anomalous([0.0, 0.0])? && anomalous([1.5, 1.5])?);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type OneClassSvmDetector = RowDetector<OneClassSvm>;

/// Parameters of a [`OneClassSvmDetector`].
pub type OneClassSvmParams = RowDetectorParams<OneClassSvmSettings>;

/// The rate `γ` of the kernel of a [`OneClassSvmDetector`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum KernelRate {
    /// `1 / (n_features v)` with the variance `v` of all numbers of the rows; in standard units `v` is nearly 1.
    #[default]
    Scale,
    /// `1 / n_features`.
    Auto,
    /// This, above 0, at most 10⁶, per squared standard deviation of the features.
    Fixed(f64),
}

/// How a [`OneClassSvmDetector`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct OneClassSvmSettings {
    nu: f64,
    rate: KernelRate,
    max_rows: usize,
    tolerance: f64,
}

impl Default for OneClassSvmSettings {
    fn default() -> Self {
        Self {
            nu: 0.05,
            rate: KernelRate::Scale,
            max_rows: 2000,
            tolerance: 1e-4,
        }
    }
}

impl OneClassSvmParams {
    /// The share `ν` of training rows left outside the region, above 0 and at most 1. Default 0.05.
    #[must_use]
    pub fn nu(self, share: f64) -> Self {
        self.with(|s| s.nu = share)
    }

    /// The rate of the kernel. Default [`KernelRate::Scale`].
    #[must_use]
    pub fn kernel_rate(self, rate: KernelRate) -> Self {
        self.with(|s| s.rate = rate)
    }

    /// The most training rows used, 2 to 4096. Default 2000.
    #[must_use]
    pub fn max_rows(self, n: usize) -> Self {
        self.with(|s| s.max_rows = n)
    }

    /// The largest violation of the optimality conditions, in units of the score, above 0. Default 10⁻⁴.
    #[must_use]
    pub fn tolerance(self, violation: f64) -> Self {
        self.with(|s| s.tolerance = violation)
    }
}

impl OneClassSvmDetector {
    /// Default parameters: `ν = 0.05`, the rate by the variance, up to 2000 rows, a false alarm rate of 0.01, five folds.
    pub fn params() -> OneClassSvmParams {
        OneClassSvmParams::default()
    }

    /// Number of rows kept.
    pub fn n_vectors(&self) -> usize {
        self.scorer.record.weights.len()
    }

    /// The highest score there is, that of a row far from all training rows.
    pub fn rho(&self) -> f64 {
        self.scorer.record.rho
    }

    /// The rate `γ` of the kernel.
    pub fn rate(&self) -> f64 {
        self.scorer.record.rate
    }
}

/// The fitted half of a [`OneClassSvmDetector`]: the rows kept, and their weights.
#[derive(Clone, Debug)]
pub struct OneClassSvm {
    width: usize,
    record: OneClassSvmRecord,
}

/// What is written of a [`OneClassSvm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneClassSvmRecord {
    rate: f64,
    rho: f64,
    weights: Vec<f64>,
    /// The rows, one behind the other.
    vectors: Vec<f64>,
}

fn square_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The weights of the dual problem and the level `ρ`.
struct Solution {
    weights: Vec<f64>,
    rho: f64,
}

/// Solves the dual problem over the kernel matrix `kernel`, `n` by `n`.
fn solve(kernel: &[f64], n: usize, nu: f64, tolerance: f64) -> Result<Solution> {
    // The first rows bear the weight at the start.
    let total = nu * n as f64;
    let mut weights: Vec<f64> = (0..n).map(|i| (total - i as f64).clamp(0.0, 1.0)).collect();
    let row = |i: usize| kernel.get(i * n..(i + 1) * n).unwrap_or_default();
    let mut gradient = vec![0.0; n];
    for (i, w) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        gradient.iter_mut().zip(row(i)).for_each(|(g, k)| *g += w * k);
    }
    for _ in 0..n.saturating_mul(STEPS) {
        // The row that most wants more weight.
        let may_rise = weights
            .iter()
            .zip(&gradient)
            .enumerate()
            .filter(|(_, (w, _))| **w < 1.0);
        let up = may_rise
            .min_by(|a, b| a.1.1.total_cmp(b.1.1))
            .map(|(i, (_, g))| (i, *g));
        // Of those that may lose some, the one that gains the most by the exchange.
        let mut worst = f64::NEG_INFINITY;
        let mut down = None;
        if let Some((i, low)) = up {
            let mut best = 0.0;
            for (j, ((w, g), k)) in weights.iter().zip(&gradient).zip(row(i)).enumerate() {
                if *w > 0.0 {
                    worst = f64::max(worst, *g);
                    let difference = g - low;
                    let gain = difference * difference / (2.0 - 2.0 * k).max(LEAST_CURVATURE);
                    if difference > 0.0 && gain > best {
                        best = gain;
                        down = Some((j, difference, (2.0 - 2.0 * k).max(LEAST_CURVATURE)));
                    }
                }
            }
        }
        let (Some((i, low)), Some((j, difference, curvature))) = (up, down) else {
            return Ok(level(weights, &gradient));
        };
        if worst - low <= tolerance {
            return Ok(level(weights, &gradient));
        }
        let room = |i: usize, of: fn(f64) -> f64| weights.get(i).map_or(0.0, |w| of(*w));
        let (room_up, room_down) = (room(i, |w| 1.0 - w), room(j, |w| w));
        let step = (difference / curvature).min(room_up).min(room_down);
        // What reaches its bound is exactly there.
        if let Some(w) = weights.get_mut(i) {
            *w = if step >= room_up { 1.0 } else { *w + step };
        }
        if let Some(w) = weights.get_mut(j) {
            *w = if step >= room_down { 0.0 } else { *w - step };
        }
        let rows = row(i).iter().zip(row(j));
        gradient
            .iter_mut()
            .zip(rows)
            .for_each(|(g, (a, b))| *g += step * (a - b));
    }
    Err(Error::not_converged(format!(
        "one-class machine of {n} rows: optimality conditions hold within {tolerance} after {STEPS} steps a row; \
         raise `tolerance`"
    )))
}

fn level(weights: Vec<f64>, gradient: &[f64]) -> Solution {
    let (mut sum, mut n_free) = (0.0, 0_u32);
    // Rows of full weight lie at most at the level, those of none at least.
    let (mut below, mut above) = (f64::NEG_INFINITY, f64::INFINITY);
    for (w, g) in weights.iter().zip(gradient) {
        if *w >= 1.0 {
            below = below.max(*g);
        } else if *w <= 0.0 {
            above = above.min(*g);
        } else {
            (sum, n_free) = (sum + g, n_free + 1);
        }
    }
    let rho = match (n_free, below.is_finite(), above.is_finite()) {
        (1.., _, _) => sum / f64::from(n_free),
        (_, true, true) => 0.5 * (below + above),
        (_, true, false) => below,
        _ => above,
    };
    Solution { weights, rho }
}

impl RowAlgorithm for OneClassSvmSettings {
    type Scorer = OneClassSvm;

    fn check(&self) -> Result<()> {
        if !(self.nu > 0.0 && self.nu <= 1.0) {
            return Err(Error::parameter("nu", "above 0 and at most 1", self.nu));
        }
        if let KernelRate::Fixed(rate) = self.rate
            && !(rate > 0.0 && rate <= LARGEST_RATE)
        {
            return Err(Error::parameter(
                "kernel_rate",
                format!("above 0 and at most {LARGEST_RATE}"),
                rate,
            ));
        }
        if !(2..=MOST_ROWS).contains(&self.max_rows) {
            return Err(Error::parameter(
                "max_rows",
                format!("from 2 to {MOST_ROWS}"),
                self.max_rows,
            ));
        }
        if !(self.tolerance.is_finite() && self.tolerance > 0.0) {
            return Err(Error::parameter("tolerance", "finite and above 0", self.tolerance));
        }
        Ok(())
    }

    /// # Errors
    /// `NotConverged` where the optimality conditions are not met within the tolerance.
    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<OneClassSvm> {
        let width = rows.width();
        let chosen = Draws::new(seed).sample(rows.len(), self.max_rows);
        let values: Vec<f64> = chosen.iter().filter_map(|&i| rows.get(i)).flatten().copied().collect();
        let rows = Rows::new(&values, width);
        let n = rows.len();
        let rate = match self.rate {
            KernelRate::Fixed(rate) => rate,
            KernelRate::Auto => 1.0 / width as f64,
            KernelRate::Scale => {
                let count = values.len() as f64;
                let mean = values.iter().sum::<f64>() / count;
                let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
                let rate = 1.0 / (width as f64 * variance);
                // Drawn rows may be all the same.
                if rate <= LARGEST_RATE { rate } else { 1.0 / width as f64 }
            }
        };
        let mut kernel = vec![1.0; n * n];
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate().take(i) {
                let k = libm::exp(-rate * square_distance(a, b));
                for at in [i * n + j, j * n + i] {
                    if let Some(slot) = kernel.get_mut(at) {
                        *slot = k;
                    }
                }
            }
        }
        let solution = solve(&kernel, n, self.nu, self.tolerance)?;
        let mut record = OneClassSvmRecord {
            rate,
            rho: solution.rho,
            weights: Vec::new(),
            vectors: Vec::new(),
        };
        for (w, x) in solution
            .weights
            .iter()
            .zip(rows.iter())
            .filter(|(w, _)| **w >= LEAST_WEIGHT)
        {
            record.weights.push(*w);
            record.vectors.extend(x);
        }
        OneClassSvm::from_record(record, width)
    }
}

impl OneClassSvm {
    fn vectors(&self) -> impl Iterator<Item = (&[f64], f64)> {
        let vectors = self.record.vectors.chunks_exact(self.width.max(1));
        vectors.zip(self.record.weights.iter().copied())
    }
}

impl RowScorer for OneClassSvm {
    const KIND: &'static str = "detect.one_class_svm";
    type Record = OneClassSvmRecord;

    fn width(&self) -> usize {
        self.width
    }

    fn score(&self, z: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (x, w) in self.vectors() {
            sum += w * libm::exp(-self.record.rate * square_distance(x, z));
        }
        self.record.rho - sum
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        // Relative to the nearest, so that no distance is too far.
        let nearest = self
            .vectors()
            .map(|(x, _)| square_distance(x, z))
            .fold(f64::INFINITY, f64::min);
        let mut total = 0.0;
        for (x, w) in self.vectors() {
            let weight = w * libm::exp(-self.record.rate * (square_distance(x, z) - nearest));
            if weight > 0.0 {
                total += weight;
                let terms = x.iter().zip(z).map(|(x, z)| weight * (z - x) * (z - x));
                out.iter_mut().zip(terms).for_each(|(o, t)| *o += t);
            }
        }
        out.iter_mut().for_each(|o| *o *= self.record.rate / total);
    }

    fn to_record(&self) -> OneClassSvmRecord {
        self.record.clone()
    }

    fn from_record(record: OneClassSvmRecord, width: usize) -> Result<Self> {
        let n = record.weights.len();
        if !(1..=MOST_ROWS).contains(&n) {
            return Err(Error::persistence(format!(
                "rows kept: expected 1 to {MOST_ROWS}, got {n}"
            )));
        }
        check_numbers("weights", &record.weights, n, |w| (LEAST_WEIGHT..=1.0).contains(&w))?;
        check_numbers("rows kept", &record.vectors, n.saturating_mul(width), |v| {
            v.abs() <= Z_MAX
        })?;
        check_numbers("kernel's rate", &[record.rate], 1, |r| r > 0.0 && r <= LARGEST_RATE)?;
        check_numbers("level", &[record.rho], 1, |r| r.abs() <= MOST_ROWS as f64)?;
        Ok(Self { width, record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Deterministic noise without a pattern.
    fn noise(i: usize, j: usize) -> f64 {
        (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    fn values(n: usize, p: usize, f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        (0..n * p).map(|k| f(k / p, k % p)).collect()
    }

    fn fitted(v: &[f64], p: usize, nu: f64) -> OneClassSvm {
        let settings = OneClassSvmSettings {
            nu,
            tolerance: 1e-9,
            ..Default::default()
        };
        settings.fit(Rows::new(v, p), Seed(0)).unwrap()
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        let p = OneClassSvmDetector::params;
        for (params, name) in [
            (p().nu(0.0), "nu"),
            (p().nu(f64::NAN), "nu"),
            (p().nu(1.1), "nu"),
            (p().kernel_rate(KernelRate::Fixed(0.0)), "kernel_rate"),
            (p().kernel_rate(KernelRate::Fixed(f64::NAN)), "kernel_rate"),
            (p().max_rows(1), "max_rows"),
            (p().max_rows(5000), "max_rows"),
            (p().tolerance(0.0), "tolerance"),
            (p().tolerance(f64::NAN), "tolerance"),
        ] {
            let e = linfa::ParamGuard::check(params).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{e}");
            assert!(e.to_string().contains(name), "{e}");
        }
    }

    #[test]
    fn two_rows_share_the_weight() {
        // n = 2, ν = 1/2: weights 1/2 each; ρ = (1 + k) / 2 with k = exp(-γ 4), γ = 1 / variance = 1.
        let m = fitted(&[-1.0, 1.0], 1, 0.5);
        let k = (-4.0_f64).exp();
        assert_eq!(m.record.weights.len(), 2);
        assert!(m.record.weights.iter().all(|w| (w - 0.5).abs() < 1e-9));
        assert!((m.record.rho - 0.5 * (1.0 + k)).abs() < 1e-9);
        assert!((m.score(&[0.0]) - (0.5 * (1.0 + k) - (-1.0_f64).exp())).abs() < 1e-9);
        assert_eq!(m.score(&[1e6]), m.record.rho);
    }

    #[test]
    fn optimality_conditions_hold() {
        for (nu, p) in [(0.01, 1), (0.1, 3), (0.5, 2), (1.0, 2)] {
            let v = values(150, p, |i, j| noise(i, j) + noise(i, j + 9) + (i % 2) as f64);
            let m = fitted(&v, p, nu);
            assert!((m.record.weights.iter().sum::<f64>() - nu * 150.0).abs() < 1e-9);
            for z in Rows::new(&v, p).iter() {
                let score = m.score(z);
                let weight: f64 = m.vectors().filter(|(x, _)| *x == z).map(|(_, w)| w).sum();
                // Inside without weight, outside with full weight, on the boundary in between.
                assert!(weight > 0.0 || score <= 1e-8, "{score}");
                assert!(weight >= 1.0 || score <= 1e-8, "{score} {weight}");
                assert!(weight == 0.0 || score >= -1e-8, "{score} {weight}");
            }
        }
    }

    #[test]
    fn no_other_weights_are_better() {
        let v = values(60, 2, noise);
        let m = fitted(&v, 2, 0.2);
        let rows = Rows::new(&v, 2);
        let objective = |w: &[f64]| {
            let mut sum = 0.0;
            for (a, wa) in rows.iter().zip(w) {
                for (b, wb) in rows.iter().zip(w) {
                    sum += wa * wb * (-m.record.rate * square_distance(a, b)).exp();
                }
            }
            sum
        };
        let own: Vec<f64> = rows
            .iter()
            .map(|z| m.vectors().filter(|(x, _)| *x == z).map(|(_, w)| w).sum())
            .collect();
        let best = objective(&own);
        for round in 0..50 {
            let mut other = own.clone();
            for k in 0..5 {
                let (i, j) = ((round * 7 + k * 13) % 60, (round * 11 + k * 29 + 1) % 60);
                let move_ = (1.0 - other[i]).min(other[j]) * (0.5 + noise(round, k)).abs().min(1.0);
                if i != j {
                    other[i] += move_;
                    other[j] -= move_;
                }
            }
            assert!(objective(&other) >= best - 1e-9);
        }
    }

    #[test]
    fn duplicates_samples_and_extremes() {
        let same = values(60, 2, |i, _| f64::from(u8::from(i == 59)));
        let m = fitted(&same, 2, 0.05);
        assert!(m.score(&[0.0, 0.0]) < m.score(&[9.0, -9.0]));
        let many = values(500, 2, noise);
        let settings = OneClassSvmSettings {
            max_rows: 50,
            ..Default::default()
        };
        let m = settings.fit(Rows::new(&many, 2), Seed(3)).unwrap();
        assert!(m.record.weights.len() <= 50);
        let mut out = [0.0; 2];
        m.contributions_into(&[1e6, -3e5], &mut out);
        assert!(
            out.iter().all(|o| o.is_finite()) && out[0] > 10.0 * out[1] && out[1] > 0.0,
            "{out:?}"
        );
        // All of one kind: the drawn rows have no variance.
        let m = fitted(&[0.5; 20], 2, 0.1);
        assert!(m.score(&[0.5, 0.5]).abs() < 1e-9 && m.score(&[9.0, 9.0]) > 0.5);
    }

    #[test]
    fn broken_records_are_refused() {
        let v = values(50, 2, noise);
        let good = fitted(&v, 2, 0.2).to_record();
        assert_eq!(OneClassSvm::from_record(good.clone(), 2).unwrap().to_record(), good);
        type Break = fn(&mut OneClassSvmRecord);
        let breaks: [(&str, Break); 9] = [
            ("no row", |r| {
                r.weights.clear();
                r.vectors.clear();
            }),
            ("a row less", |r| r.weights.truncate(1)),
            ("weight zero", |r| r.weights[0] = 0.0),
            ("weight NaN", |r| r.weights[0] = f64::NAN),
            ("weight above one", |r| r.weights[0] = 1.5),
            ("value NaN", |r| r.vectors[0] = f64::NAN),
            ("rate zero", |r| r.rate = 0.0),
            ("rate NaN", |r| r.rate = f64::NAN),
            ("level", |r| r.rho = f64::INFINITY),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = OneClassSvm::from_record(r, 2).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }
}
