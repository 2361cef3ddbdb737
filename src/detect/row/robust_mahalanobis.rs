//! Squared Mahalanobis distance by the minimum covariance determinant.

use crate::detect::{
    draws::Draws,
    row::mahalanobis::{MahalanobisMetric, MahalanobisRecord},
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::{Row, Z_MAX, check_numbers, second_moments},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Rows in a part of a large table on which starts are tried, and the most parts.
const PART: usize = 300;
const MOST_PARTS: usize = 5;
/// Starts of a part that are followed further.
const BEST: usize = 10;
/// Steps of each start before the best are chosen.
const FIRST_STEPS: usize = 2;
/// Candidates that are followed to the end on all rows.
const FINALISTS: usize = 2;
/// Steps to the end, which come to rest after a few.
const MOST_STEPS: usize = 200;
const MOST_STARTS: usize = 100_000;
/// Rows nearer than this quantile of the chi-square distribution take part in the final estimate.
const KEPT: f64 = 0.975;

/// Anomaly detector by robust Mahalanobis distance: distance from the centre of the most compact part of the rows, in its
/// metric.
///
/// For training rows of which some are not healthy: up to half of them have no say, where the mean and covariance of
/// [`MahalanobisDetector`](crate::detect::MahalanobisDetector) follow every one. The rows should form one cloud.
///
/// # Method
///
/// Of the rows in standard units, `h` are sought whose covariance has the least determinant (FAST-MCD). A step takes the
/// mean and covariance of `h` rows and goes on to the `h` rows nearest by them; the determinant never rises. Starts are the
/// mean and covariance of `n_features + 1` rows drawn at random, of more where these lie in a plane; each makes two
/// steps, and the best ten go on to rest. Of more than 600 rows, at most 1,500 drawn at random are dealt into up to
/// five parts, the starts are shared among them, the best ten of each make two steps over the drawn rows, the best ten of
/// these one over all rows, and the best two go on to rest. Then, as in scikit-learn's `MinCovDet`,
///
/// ```text
/// c(α) = α / F_{p+2}(F_p⁻¹(α))              F_k the chi-square distribution function of k degrees
/// kept  = rows with d² / c(h / n) < F_p⁻¹(0.975)
/// score = (z - m)' S⁻¹ (z - m)              m the mean, S = c(0.975) times the covariance (divisor: rows) of those kept
/// ```
///
/// for `p` features. `h` is `ceil((n + p + 1) / 2)`, or as [`support_fraction`](RobustMahalanobisParams::support_fraction)
/// says. The contribution of feature `j` is `(z - m)_j (S⁻¹ (z - m))_j`; contributions add up to the score, and one may be
/// negative.
///
/// With a [`shrinkage`](RobustMahalanobisParams::shrinkage) `s`, every covariance `C` above is `(1 - s) C + s I`: steps
/// still never raise the determinant (Boudt et al. 2020), and features that are combinations of others, or fewer rows
/// than features, are no obstacle.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). Fitting costs `O(n_starts min(n_rows, 600) n_features²)` and a few times
/// `O(n_rows n_features²)`, once and once a fold. A row costs `O(n_features²)` and allocates nothing up to 256 features.
///
/// # Sources
///
/// Rousseeuw and Van Driessen, "A fast algorithm for the minimum covariance determinant estimator", Technometrics 41
/// (1999), doi [10.1080/00401706.1999.10485670](https://doi.org/10.1080/00401706.1999.10485670); Croux and Haesbroeck,
/// "Influence function and efficiency of the minimum covariance determinant scatter matrix estimator", J. Multivariate
/// Analysis 71 (1999), doi [10.1006/jmva.1999.1839](https://doi.org/10.1006/jmva.1999.1839); Boudt, Rousseeuw, Vanduffel and
/// Verdonck, "The minimum regularized covariance determinant estimator", Statistics and Computing 30 (2020), doi
/// [10.1007/s11222-019-09869-x](https://doi.org/10.1007/s11222-019-09869-x).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::{MahalanobisDetector, RobustMahalanobisDetector},
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// // Of 200 training rows, 40 come from a machine that was not healthy.
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let noise = |i: usize, j: usize| ((i * i * (613 + 100 * j) + i * 7919) % 997) as f64 / 997.0 - 0.5;
/// let fault = |i: usize| if i % 5 == 4 { 6.0 } else { 0.0 };
/// let values = Array2::from_shape_fn((200, 2), |(i, j)| 50.0 + noise(i, j) + fault(i));
/// let data = DatasetBase::new(FeatureTable::new(schema.clone(), values, (0..200).map(|i| i % 5).collect())?, ());
///
/// let robust = RobustMahalanobisDetector::params().n_starts(50).fixed_threshold(20.0).fit(&data)?;
/// let bad = FeatureView::new(&schema, &[56.0, 56.0])?;
/// assert!(robust.assess(&(), bad)?.ready().unwrap().value > 100.0);
/// let usual = MahalanobisDetector::params().fit(&data)?;
/// assert!(usual.assess(&(), bad)?.ready().unwrap().value < 10.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type RobustMahalanobisDetector = RowDetector<RobustMetric>;

/// Parameters of a [`RobustMahalanobisDetector`].
pub type RobustMahalanobisParams = RowDetectorParams<RobustMahalanobisSettings>;

/// How a [`RobustMahalanobisDetector`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct RobustMahalanobisSettings {
    support_fraction: Option<f64>,
    n_starts: usize,
    shrinkage: f64,
}

impl Default for RobustMahalanobisSettings {
    fn default() -> Self {
        Self {
            support_fraction: None,
            n_starts: 500,
            shrinkage: 0.0,
        }
    }
}

impl RobustMahalanobisParams {
    /// Share of the rows that the compact part has, 0.5 to 1; at most one less of them may be unhealthy. By default just
    /// over half, which stands the most.
    #[must_use]
    pub fn support_fraction(self, share: f64) -> Self {
        self.with(|s| s.support_fraction = Some(share))
    }

    /// Number of random starts, 1 to 100,000. Default 500.
    #[must_use]
    pub fn n_starts(self, n: usize) -> Self {
        self.with(|s| s.n_starts = n)
    }

    /// How far every covariance is drawn towards the identity, 0 (not at all) to below 1. Default 0.
    #[must_use]
    pub fn shrinkage(self, share: f64) -> Self {
        self.with(|s| s.shrinkage = share)
    }
}

impl RobustMahalanobisDetector {
    /// Default parameters: just over half of the rows, 500 starts, no shrinkage, a false alarm rate of 0.01, five folds.
    pub fn params() -> RobustMahalanobisParams {
        RobustMahalanobisParams::default()
    }

    /// Rows in the final estimate: those within the 0.975 quantile.
    pub fn n_kept(&self) -> u64 {
        self.scorer.n_kept
    }

    /// `ln det` of the covariance of the compact part, in standard units, shrunk but not corrected.
    pub fn log_determinant(&self) -> f64 {
        self.scorer.log_det
    }

    /// The robust centre, in training standard deviations from the training mean, one a feature that varies.
    pub fn centre(&self) -> &[f64] {
        &self.scorer.centre
    }
}

/// The fitted half of a [`RobustMahalanobisDetector`]: a centre, and the metric about it.
#[derive(Clone, Debug)]
pub struct RobustMetric {
    centre: Vec<f64>,
    metric: MahalanobisMetric,
    log_det: f64,
    n_kept: u64,
}

/// What is written of a [`RobustMetric`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobustRecord {
    centre: Vec<f64>,
    metric: MahalanobisRecord,
    log_det: f64,
    n_kept: u64,
}

/// Mean and covariance of some rows.
#[derive(Clone, Debug)]
struct Estimate {
    centre: Vec<f64>,
    metric: MahalanobisMetric,
    log_det: f64,
}

impl Estimate {
    fn distance(&self, z: &[f64]) -> f64 {
        self.metric.score(&offset(z, &self.centre))
    }
}

fn offset(z: &[f64], centre: &[f64]) -> Row {
    z.iter().zip(centre).map(|(z, c)| z - c).collect()
}

/// A search for the most compact `h` of `rows`.
struct Search<'a> {
    rows: Rows<'a>,
    h: usize,
    shrinkage: f64,
    distances: Vec<f64>,
    sorted: Vec<f64>,
}

/// Mean and covariance of `members`, the latter by `factor` and then shrunk.
fn estimate<'a>(
    members: impl Iterator<Item = &'a [f64]>,
    width: usize,
    factor: f64,
    shrinkage: f64,
) -> Result<Estimate> {
    let mut values: Vec<f64> = Vec::new();
    members.for_each(|z| values.extend(z));
    let n = Rows::new(&values, width).len().max(1) as f64;
    let mut centre = vec![0.0; width];
    for z in Rows::new(&values, width).iter() {
        centre.iter_mut().zip(z).for_each(|(c, z)| *c += z);
    }
    centre.iter_mut().for_each(|c| *c /= n);
    for z in values.chunks_exact_mut(width.max(1)) {
        z.iter_mut().zip(&centre).for_each(|(z, c)| *z -= c);
    }
    let (mut covariance, _) = second_moments(Rows::new(&values, width), n / factor);
    for ((i, j), c) in covariance.indexed_iter_mut() {
        *c = (1.0 - shrinkage) * *c + if i == j { shrinkage } else { 0.0 };
    }
    let metric = of_covariance(covariance)?;
    Ok(Estimate {
        centre,
        log_det: metric.log_det(),
        metric,
    })
}

fn of_covariance(covariance: Array2<f64>) -> Result<MahalanobisMetric> {
    MahalanobisMetric::of_covariance(covariance, 0.0)
}

impl<'a> Search<'a> {
    fn new(rows: Rows<'a>, h: usize, shrinkage: f64) -> Self {
        Self {
            rows,
            h,
            shrinkage,
            distances: Vec::with_capacity(rows.len()),
            sorted: Vec::with_capacity(rows.len()),
        }
    }

    /// The estimate of the `h` rows nearest by `from`.
    fn step(&mut self, from: &Estimate) -> Result<Estimate> {
        self.distances.clear();
        self.distances.extend(self.rows.iter().map(|z| from.distance(z)));
        self.sorted.clone_from(&self.distances);
        let last = self.h.clamp(1, self.rows.len().max(1)) - 1;
        let limit = if last < self.sorted.len() {
            *self.sorted.select_nth_unstable_by(last, f64::total_cmp).1
        } else {
            f64::INFINITY
        };
        // Of rows as far as the limit, the first ones.
        let mut ties = self.h - self.distances.iter().filter(|d| **d < limit).count().min(self.h);
        let mut near = vec![false; self.rows.len()];
        for (n, d) in near.iter_mut().zip(&self.distances) {
            *n = *d < limit || (*d == limit && ties > 0);
            ties -= usize::from(*d == limit && ties > 0);
        }
        let members = self.rows.iter().zip(&near).filter(|(_, n)| **n).map(|(z, _)| z);
        estimate(members, self.rows.width(), 1.0, self.shrinkage)
    }

    fn steps(&mut self, mut from: Estimate, n: usize) -> Result<Estimate> {
        for _ in 0..n {
            from = self.step(&from)?;
        }
        Ok(from)
    }

    /// Steps until the determinant falls no more.
    fn until_rest(&mut self, mut from: Estimate) -> Result<Estimate> {
        for _ in 0..MOST_STEPS {
            let next = self.step(&from)?;
            // Rounding of a logarithm of p determinants' factors, each of a relative error of h eps.
            let rests = next.log_det >= from.log_det - 1e-12 * (1.0 + from.log_det.abs());
            from = next;
            if rests {
                break;
            }
        }
        Ok(from)
    }

    /// A start from a few rows.
    fn start(&self, draws: &mut Draws, order: &mut [usize]) -> Result<Estimate> {
        let mut n = self.rows.width() + 1;
        loop {
            n = n.min(order.len());
            draws.select(order, n);
            let members = order.iter().take(n).filter_map(|&i| self.rows.get(i));
            match estimate(members, self.rows.width(), 1.0, self.shrinkage) {
                Err(e) if n >= order.len() => return Err(e),
                Err(_) => n = n.saturating_mul(2),
                found => return found,
            }
        }
    }

    /// The best few of `n` starts.
    fn starts(&mut self, n: usize, draws: &mut Draws) -> Result<Vec<Estimate>> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        let mut found = Vec::with_capacity(n);
        for _ in 0..n {
            let start = self.start(draws, &mut order)?;
            found.push(self.steps(start, FIRST_STEPS)?);
        }
        Ok(best(found, BEST))
    }

    /// `steps` from each of `from`, of which the best `n`.
    fn narrowed(&mut self, from: Vec<Estimate>, steps: usize, n: usize) -> Result<Vec<Estimate>> {
        let found: Result<Vec<_>> = from.into_iter().map(|e| self.steps(e, steps)).collect();
        Ok(best(found?, n))
    }
}

fn best(mut of: Vec<Estimate>, n: usize) -> Vec<Estimate> {
    of.sort_by(|a, b| a.log_det.total_cmp(&b.log_det));
    of.truncate(n);
    of
}

impl RobustMahalanobisSettings {
    /// Rows in the compact part of `n`.
    fn h(&self, n: usize, p: usize) -> usize {
        match self.support_fraction {
            Some(share) => (share * n as f64) as usize,
            None => (n + p + 1).div_ceil(2),
        }
        .clamp(1, n.max(1))
    }

    /// The compact part of `rows`.
    fn compact(&self, rows: Rows<'_>, seed: Seed) -> Result<Estimate> {
        let (n, p) = (rows.len(), rows.width());
        let h = self.h(n, p);
        let mut draws = Draws::new(seed);
        let mut whole = Search::new(rows, h, self.shrinkage);
        if h == n {
            return estimate(rows.iter(), p, 1.0, self.shrinkage);
        }
        let candidates = if n <= 2 * PART {
            whole.starts(self.n_starts, &mut draws)?
        } else {
            let n_parts = (n / PART).min(MOST_PARTS);
            let mut order: Vec<usize> = (0..n).collect();
            let drawn = n.min(PART * MOST_PARTS);
            draws.select(&mut order, drawn);
            let values_of =
                |of: &[usize]| -> Vec<f64> { of.iter().filter_map(|&i| rows.get(i)).flatten().copied().collect() };
            let drawn = order.get(..drawn).unwrap_or_default();
            let share = |m: usize| (h as f64 / n as f64 * m as f64).ceil() as usize;
            let mut found = Vec::with_capacity(n_parts * BEST);
            for part in drawn.chunks(drawn.len().div_ceil(n_parts)) {
                let values = values_of(part);
                let mut search = Search::new(Rows::new(&values, p), share(part.len()), self.shrinkage);
                found.extend(search.starts(self.n_starts.div_ceil(n_parts), &mut draws)?);
            }
            let values = values_of(drawn);
            let mut merged = Search::new(Rows::new(&values, p), share(drawn.len()), self.shrinkage);
            let found = merged.narrowed(found, FIRST_STEPS, BEST)?;
            whole.narrowed(found, 1, FINALISTS)?
        };
        let rested: Result<Vec<_>> = candidates.into_iter().map(|e| whole.until_rest(e)).collect();
        let none = || Error::insufficient("starts", "at least 1", 0);
        best(rested?, 1).pop().ok_or_else(none)
    }
}

impl RowAlgorithm for RobustMahalanobisSettings {
    type Scorer = RobustMetric;

    fn check(&self) -> Result<()> {
        if let Some(share) = self.support_fraction
            && !(0.5..=1.0).contains(&share)
        {
            return Err(Error::parameter("support_fraction", "from 0.5 to 1", share));
        }
        if !(1..=MOST_STARTS).contains(&self.n_starts) {
            return Err(Error::parameter(
                "n_starts",
                format!("from 1 to {MOST_STARTS}"),
                self.n_starts,
            ));
        }
        if !(0.0..1.0).contains(&self.shrinkage) {
            return Err(Error::parameter("shrinkage", "at least 0 and below 1", self.shrinkage));
        }
        Ok(())
    }

    /// # Errors
    /// `NotConverged` where the rows of a compact part lie in a plane, which shrinkage above zero prevents.
    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<RobustMetric> {
        let (n, p) = (rows.len(), rows.width());
        let context = |e: Error| {
            e.context(format!(
                "compact part of {} of {n} rows, whose `support_fraction` may also be raised",
                self.h(n, p)
            ))
        };
        let raw = self.compact(rows, seed).map_err(context)?;
        let chi = |degrees: usize| {
            let failed = || Error::not_converged(format!("chi-square distribution of {degrees} degrees"));
            ChiSquared::new(degrees as f64).map_err(|e| failed().with_source(e))
        };
        let (chi_p, chi_beyond) = (chi(p)?, chi(p + 2)?);
        let consistency = |alpha: f64| {
            if alpha < 1.0 {
                alpha / chi_beyond.cdf(chi_p.inverse_cdf(alpha))
            } else {
                1.0
            }
        };
        let limit = chi_p.inverse_cdf(KEPT) * consistency(self.h(n, p) as f64 / n as f64);
        let kept: Vec<bool> = rows.iter().map(|z| raw.distance(z) < limit).collect();
        let members = rows.iter().zip(&kept).filter(|(_, k)| **k).map(|(z, _)| z);
        let last = estimate(members, p, consistency(KEPT), self.shrinkage).map_err(context)?;
        Ok(RobustMetric {
            centre: last.centre,
            metric: last.metric,
            log_det: raw.log_det,
            n_kept: kept.iter().filter(|k| **k).count() as u64,
        })
    }
}

impl RowScorer for RobustMetric {
    const KIND: &'static str = "detect.robust_mahalanobis";
    type Record = RobustRecord;

    fn width(&self) -> usize {
        self.centre.len()
    }

    #[inline]
    fn score(&self, z: &[f64]) -> f64 {
        self.metric.score(&offset(z, &self.centre))
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        self.metric.contributions_into(&offset(z, &self.centre), out);
    }

    fn to_record(&self) -> RobustRecord {
        RobustRecord {
            centre: self.centre.clone(),
            metric: self.metric.to_record(),
            log_det: self.log_det,
            n_kept: self.n_kept,
        }
    }

    fn from_record(record: RobustRecord, width: usize) -> Result<Self> {
        check_numbers("centre", &record.centre, width, |c| c.abs() <= Z_MAX)?;
        check_numbers("log determinant", &[record.log_det], 1, f64::is_finite)?;
        Ok(Self {
            metric: MahalanobisMetric::from_record(record.metric, width)?,
            centre: record.centre,
            log_det: record.log_det,
            n_kept: record.n_kept,
        })
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

    fn settings() -> RobustMahalanobisSettings {
        RobustMahalanobisSettings {
            n_starts: 60,
            ..Default::default()
        }
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        let p = RobustMahalanobisDetector::params;
        for (params, name) in [
            (p().support_fraction(0.4), "support_fraction"),
            (p().support_fraction(f64::NAN), "support_fraction"),
            (p().n_starts(0), "n_starts"),
            (p().n_starts(usize::MAX), "n_starts"),
            (p().shrinkage(1.0), "shrinkage"),
            (p().shrinkage(f64::NAN), "shrinkage"),
        ] {
            let e = linfa::ParamGuard::check(params).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter, "{e}");
            assert!(e.to_string().contains(name), "{e}");
        }
    }

    #[test]
    fn one_column_finds_the_half_of_least_variance() {
        // The exact answer: of all runs of h sorted values the one of least variance.
        let column: Vec<f64> = (0..101)
            .map(|i| noise(i, 0) + if i % 3 == 0 { 5.0 } else { 0.0 })
            .collect();
        let raw = settings().compact(Rows::new(&column, 1), Seed(0)).unwrap();
        let mut sorted = column.clone();
        sorted.sort_by(f64::total_cmp);
        let variance = |w: &[f64]| {
            let mean = w.iter().sum::<f64>() / w.len() as f64;
            w.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / w.len() as f64
        };
        let least = sorted.windows(52).map(variance).fold(f64::MAX, f64::min);
        assert!(
            (raw.log_det - least.ln()).abs() < 1e-9,
            "{} {}",
            raw.log_det,
            least.ln()
        );
    }

    #[test]
    fn no_small_support_is_more_compact_than_the_one_found() {
        // All 6-subsets of 10 rows of two columns.
        let v = values(10, 2, |i, j| noise(i, j) + if i >= 7 { 4.0 } else { 0.0 });
        let rows = Rows::new(&v, 2);
        let s = settings();
        let h = s.h(10, 2);
        let raw = s.compact(rows, Seed(3)).unwrap();
        let least = (0_u32..1024).filter(|m| m.count_ones() as usize == h).filter_map(|m| {
            let members = rows
                .iter()
                .enumerate()
                .filter(move |(i, _)| m >> i & 1 == 1)
                .map(|(_, z)| z);
            estimate(members, 2, 1.0, 0.0).ok().map(|e| e.log_det)
        });
        let least = least.fold(f64::MAX, f64::min);
        assert!((raw.log_det - least).abs() < 1e-9, "{} {least}", raw.log_det);
    }

    #[test]
    fn steps_never_raise_the_determinant() {
        for shrinkage in [0.0, 0.3] {
            let v = values(200, 4, |i, j| {
                noise(i, j) + noise(i, 9) + if i % 4 == 0 { 6.0 } else { 0.0 }
            });
            let mut search = Search::new(Rows::new(&v, 4), 110, shrinkage);
            let mut draws = Draws::new(Seed(5));
            let mut order: Vec<usize> = (0..200).collect();
            for _ in 0..20 {
                let start = search.start(&mut draws, &mut order).unwrap();
                let mut from = search.step(&start).unwrap();
                for _ in 0..10 {
                    let next = search.step(&from).unwrap();
                    assert!(
                        next.log_det <= from.log_det + 1e-12,
                        "{} {}",
                        next.log_det,
                        from.log_det
                    );
                    from = next;
                }
            }
        }
    }

    #[test]
    fn unhealthy_rows_have_no_say() {
        for n in [400, 2000] {
            let bad = |i: usize| i % 5 < 2;
            let v = values(n, 3, |i, j| noise(i, j) + if bad(i) { 8.0 + j as f64 } else { 0.0 });
            let m = settings().fit(Rows::new(&v, 3), Seed(1)).unwrap();
            assert!(m.centre.iter().all(|c| c.abs() < 0.1), "{n}: {:?}", m.centre);
            assert_eq!(m.n_kept, (0..n).filter(|i| !bad(*i)).count() as u64);
            let scores: Vec<f64> = Rows::new(&v, 3).iter().map(|z| m.score(z)).collect();
            let worst_good = scores.iter().enumerate().filter(|(i, _)| !bad(*i)).map(|(_, s)| *s);
            assert!(worst_good.fold(0.0, f64::max) < 12.0);
            assert!(
                scores
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| bad(*i))
                    .all(|(_, s)| *s > 100.0)
            );
        }
    }

    #[test]
    fn planes_need_shrinkage() {
        let twice = values(60, 3, |i, j| noise(i, j % 2));
        let few = values(10, 12, noise);
        let same = values(60, 2, |i, j| if i < 50 { 1.0 } else { noise(i, j) });
        let two = values(2, 1, |i, _| i as f64);
        for (v, p) in [(&twice, 3), (&few, 12), (&same, 2)] {
            let e = settings().fit(Rows::new(v, p), Seed(0)).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::NotConverged);
            assert!(e.to_string().contains("shrinkage"), "{e}");
            let mut s = settings();
            s.shrinkage = 0.1;
            let m = s.fit(Rows::new(v, p), Seed(0)).unwrap();
            assert!(Rows::new(v, p).iter().all(|z| m.score(z).is_finite()));
            assert!(m.score(&vec![50.0; p]) > m.score(&vec![0.0; p]));
        }
        let m = settings().fit(Rows::new(&two, 1), Seed(0)).unwrap();
        assert!(m.score(&[0.5]) < 1e-12 && m.score(&[9.0]) > 1.0);
    }

    #[test]
    fn broken_records_are_refused() {
        let v = values(100, 3, noise);
        let good = settings().fit(Rows::new(&v, 3), Seed(1)).unwrap().to_record();
        assert_eq!(RobustMetric::from_record(good.clone(), 3).unwrap().to_record(), good);
        type Break = fn(&mut RobustRecord);
        let breaks: [(&str, Break); 4] = [
            ("centre short", |r| r.centre.truncate(2)),
            ("centre NaN", |r| r.centre[0] = f64::NAN),
            ("centre huge", |r| r.centre[0] = 1e7),
            ("determinant", |r| r.log_det = f64::NEG_INFINITY),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = RobustMetric::from_record(r, 3).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
        assert!(RobustMetric::from_record(good, 2).is_err());
    }
}
