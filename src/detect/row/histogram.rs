//! Histogram-based outlier score.

use crate::detect::{
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::check_numbers,
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

const MOST_BINS: usize = 1000;
/// The largest score of a bin that is read from a file.
const LARGEST_SCORE: f64 = 1e6;
/// The largest limit of a histogram that is read from a file, in standard units.
const LARGEST_LIMIT: f64 = 1e7;

/// Anomaly detector by histograms (HBOS): how rare each value is in its own column.
///
/// For very many columns or rows, where columns are nearly independent: the cheapest of all. It sees no relation between
/// columns. Training rows may hold a few anomalies.
///
/// # Method
///
/// Each column, in standard units, is cut into `n_bins` bins of equal width from its least to its greatest training value.
/// With `density_j` the share of training rows in a bin divided by its width,
///
/// ```text
/// score = Σ_j -log2(density_j(x_j) + alpha)
/// ```
///
/// A value beyond the outermost bins by at most `tolerance` bin widths counts as one of them; farther out it gets the
/// lowest density of its column's bins. So the score does not grow with distance once a value is outside. Bins take in their
/// upper limit when scoring, their lower one when counted. This is `HBOS` of PyOD.
///
/// Contributions are the terms of the sum; they add up to the score, and one is negative where the density is above
/// `1 - alpha`.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`, at least two usable rows a fold. Rows with a NaN or infinite value are left out when
/// fitting and [`Unusable`](crate::model::Assessment::Unusable) when scoring; other rows always score finite. Fitting costs
/// `O(n_rows n_features)`, a row `O(n_features)` whatever the number of bins; it allocates nothing up to 256 features.
///
/// # Source
///
/// Goldstein and Dengel, "Histogram-based Outlier Score (HBOS): A fast Unsupervised Anomaly Detection Algorithm", KI-2012:
/// Poster and Demo Track, 59-63.
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::HistogramDetector,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::{AnomalyDetector, OnlineModel},
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + ((i + 90 * j) % 37) as f64);
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
///
/// let detector = HistogramDetector::params().n_bins(20).fit(&DatasetBase::new(table, ()))?;
///
/// let mut shares = [0.0; 2];
/// let ready = detector.contributions_into(&(), FeatureView::new(&schema, &[60.0, 150.0])?, &mut shares)?;
/// assert!(ready.ready().is_some() && shares[1] > shares[0]);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type HistogramDetector = RowDetector<Histograms>;

/// Parameters of a [`HistogramDetector`].
pub type HistogramDetectorParams = RowDetectorParams<HistogramSettings>;

/// How a [`HistogramDetector`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSettings {
    n_bins: usize,
    alpha: f64,
    tolerance: f64,
}

impl Default for HistogramSettings {
    fn default() -> Self {
        Self {
            n_bins: 10,
            alpha: 0.1,
            tolerance: 0.5,
        }
    }
}

impl HistogramDetectorParams {
    /// Bins of each column, 2 to 1,000. Default 10.
    #[must_use]
    pub fn n_bins(self, n: usize) -> Self {
        self.with(|s| s.n_bins = n)
    }

    /// What is added to every density, above 0 and below 1: the larger, the less an empty bin counts. Default 0.1.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        self.with(|s| s.alpha = alpha)
    }

    /// Bin widths by which a value may lie outside and count as inside, from 0 to 1. Default 0.5.
    #[must_use]
    pub fn tolerance(self, widths: f64) -> Self {
        self.with(|s| s.tolerance = widths)
    }
}

impl HistogramDetector {
    /// Default parameters: ten bins, alpha 0.1, a tolerance of half a bin, a false alarm rate of 0.01, five folds.
    pub fn params() -> HistogramDetectorParams {
        HistogramDetectorParams::default()
    }
}

impl RowAlgorithm for HistogramSettings {
    type Scorer = Histograms;

    fn check(&self) -> Result<()> {
        if !(2..=MOST_BINS).contains(&self.n_bins) {
            return Err(Error::parameter("n_bins", "from 2 to 1000", self.n_bins));
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            return Err(Error::parameter("alpha", "above 0 and below 1", self.alpha));
        }
        if !(0.0..=1.0).contains(&self.tolerance) {
            return Err(Error::parameter("tolerance", "from 0 to 1", self.tolerance));
        }
        Ok(())
    }

    fn fit(&self, rows: Rows<'_>, _: Seed) -> Result<Histograms> {
        let (width, n) = (rows.width(), self.n_bins);
        let (mut low, mut high) = (vec![f64::MAX; width], vec![f64::MIN; width]);
        for z in rows.iter() {
            for ((l, h), &x) in low.iter_mut().zip(&mut high).zip(z) {
                *l = if x < *l { x } else { *l };
                *h = if x > *h { x } else { *h };
            }
        }
        let edges: Vec<f64> = low.iter().zip(&high).flat_map(|(&l, &h)| edges(l, h, n)).collect();
        let rates: Vec<f64> = low.iter().zip(&high).map(|(l, h)| n as f64 / (h - l)).collect();
        // The greatest value belongs to the last bin.
        let mut limits = edges.clone();
        limits
            .iter_mut()
            .skip(n)
            .step_by(n + 1)
            .for_each(|l| *l = f64::INFINITY);
        let mut counts = vec![0_u32; width * n];
        for z in rows.iter() {
            let columns = z.iter().zip(&low).zip(&rates).zip(limits.chunks_exact(n + 1));
            for ((((&x, low), rate), limits), counts) in columns.zip(counts.chunks_exact_mut(n)) {
                let guess = (((x - low) * rate) as u32 as usize).min(n - 1);
                // Rounding may have led to a neighbour.
                let bin = guess + usize::from(x >= limits[guess + 1]) - usize::from(x < limits[guess]);
                counts[bin] += 1;
            }
        }
        let total = rows.len() as f64;
        let score = |(count, edges): (&u32, &[f64])| {
            let density = f64::from(*count) / (edges[1] - edges[0]) / total;
            -libm::log2(density + self.alpha)
        };
        let columns = counts.chunks_exact(n).zip(edges.chunks_exact(n + 1));
        let scores = columns.flat_map(|(counts, edges)| counts.iter().zip(edges.windows(2)).map(score));
        Histograms::from_record(
            HistogramsRecord {
                tolerance: self.tolerance,
                low,
                high,
                scores: scores.collect(),
            },
            width,
        )
    }
}

/// `n + 1` limits of `n` bins of equal width.
fn edges(low: f64, high: f64, n: usize) -> impl Iterator<Item = f64> {
    let step = (high - low) / n as f64;
    (0..=n).map(move |i| if i == n { high } else { i as f64 * step + low })
}

/// The fitted half of a [`HistogramDetector`].
#[derive(Clone, Debug)]
pub struct Histograms {
    record: HistogramsRecord,
    columns: Vec<Column>,
    /// `n_bins + 1` a column: where values begin to count as the first bin, the inner edges, and where values cease to count
    /// as the last bin. Values beyond are outside.
    limits: Vec<f64>,
    /// `n_bins + 2` a column: that of values below, of each bin, of values above.
    scores: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    low: f64,
    /// Bins a unit.
    rate: f64,
}

impl Histograms {
    fn n_bins(&self) -> usize {
        self.record.scores.len() / self.columns.len().max(1)
    }

    /// Calls `each` with every column's score, in order.
    #[inline(always)]
    fn each(&self, z: &[f64], mut each: impl FnMut(f64)) {
        let n = self.n_bins();
        let columns = self.columns.iter().zip(z);
        let tables = self.limits.chunks_exact(n + 1).zip(self.scores.chunks_exact(n + 2));
        for ((column, &x), (limits, scores)) in columns.zip(tables) {
            // Below the first bin, the cast gives 0.
            let guess = (((x - column.low) * column.rate) as u32 as usize).min(n - 1);
            // The number of limits below x: the guess may be off by one at a limit.
            let bin = guess + usize::from(x > limits[guess]) + usize::from(x > limits[guess + 1]);
            each(scores[bin]);
        }
    }
}

impl RowScorer for Histograms {
    const KIND: &'static str = "detect.histogram";
    type Record = HistogramsRecord;

    fn width(&self) -> usize {
        self.columns.len()
    }

    #[inline]
    fn score(&self, z: &[f64]) -> f64 {
        let mut sum = 0.0;
        self.each(z, |s| sum += s);
        sum
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        let mut out = out.iter_mut();
        self.each(z, |s| {
            if let Some(o) = out.next() {
                *o = s;
            }
        });
    }

    fn to_record(&self) -> HistogramsRecord {
        self.record.clone()
    }

    fn from_record(r: HistogramsRecord, width: usize) -> Result<Self> {
        let n = r.scores.len().checked_div(width).unwrap_or(0);
        if !(2..=MOST_BINS).contains(&n) || r.scores.len() != n * width {
            return Err(Error::persistence(format!(
                "histograms: expected 2 to {MOST_BINS} bins for each of {width} columns, got {} numbers",
                r.scores.len()
            )));
        }
        check_numbers("scores of bins", &r.scores, n * width, |s| s.abs() <= LARGEST_SCORE)?;
        check_numbers("tolerance", &[r.tolerance], 1, |t| (0.0..=1.0).contains(&t))?;
        check_numbers("lower limits", &r.low, width, |l| l.abs() <= LARGEST_LIMIT)?;
        check_numbers("upper limits", &r.high, width, |h| h.abs() <= LARGEST_LIMIT)?;
        let mut columns = Vec::with_capacity(width);
        let (mut limits, mut scores) = (Vec::with_capacity(width * (n + 1)), Vec::with_capacity(width * (n + 2)));
        for ((&low, &high), own) in r.low.iter().zip(&r.high).zip(r.scores.chunks_exact(n)) {
            let rate = n as f64 / (high - low);
            if !(low < high && rate.is_finite()) {
                return Err(Error::persistence(format!(
                    "histograms: expected a lower limit below the upper one, got {low} and {high}"
                )));
            }
            columns.push(Column { low, rate });
            let mut edges: Vec<f64> = edges(low, high, n).collect();
            let below = (edges[1] - edges[0]) * r.tolerance;
            let above = (edges[n] - edges[n - 1]) * r.tolerance;
            // A value at the lower limit itself counts as inside.
            edges[0] = (edges[0] - below).next_down();
            edges[n] += above;
            limits.extend(edges);
            let rarest = own.iter().copied().fold(f64::MIN, f64::max);
            scores.push(rarest);
            scores.extend(own);
            scores.push(rarest);
        }
        Ok(Self {
            record: r,
            columns,
            limits,
            scores,
        })
    }
}

/// What is written of [`Histograms`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistogramsRecord {
    tolerance: f64,
    /// The least and the greatest training value of each column.
    low: Vec<f64>,
    high: Vec<f64>,
    /// That of each bin, column by column.
    scores: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Two columns of four rows: 0, 1, 2, 4 and 0, 0, 0, 4.
    const ROWS: [f64; 8] = [0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 4.0, 4.0];

    fn fitted(n_bins: usize) -> Histograms {
        let settings = HistogramSettings {
            n_bins,
            ..HistogramSettings::default()
        };
        settings.fit(Rows::new(&ROWS, 2), Seed(0)).unwrap()
    }

    fn shares(h: &Histograms, z: [f64; 2]) -> [f64; 2] {
        let mut out = [0.0; 2];
        h.contributions_into(&z, &mut out);
        assert_eq!(out[0] + out[1], h.score(&z));
        out
    }

    #[test]
    fn scores_by_hand() {
        // Bins of the first column, 2 wide: [0, 2) holds two of four, [2, 4] two; densities 1/4. Second: 3/8 and 1/8.
        let h = fitted(2);
        let s = |density: f64| -(density + 0.1).log2();
        let close = |z: [f64; 2], expected: [f64; 2]| {
            let got = shares(&h, z);
            assert!(
                (0..2).all(|j| (got[j] - expected[j]).abs() < 1e-15),
                "{z:?}: {got:?}, {expected:?}"
            );
        };
        let (even, common, rare) = (s(0.25), s(0.375), s(0.125));
        close([0.0, 0.0], [even, common]);
        close([1.0, 2.0], [even, common]); // an upper limit belongs to its bin
        close([3.0, 2.0_f64.next_up()], [even, rare]);
        close([4.0, 4.0], [even, rare]);
        close([-0.5, -1.0], [even, common]); // by half a bin at most: the outermost bin
        close([9.0, (-1.0_f64).next_down()], [even, rare]); // farther out: the rarest
        close([9.0, -1e6], [even, rare]);
        close([9.0, 5.0], [even, rare]);
        close([-1e6, 1e6], [even, rare]);
    }

    #[test]
    fn bins_are_those_of_a_search() {
        let values: Vec<f64> = (0..500).map(|i| ((i * i) % 1013) as f64 / 7.0).collect();
        for n_bins in [2, 3, 7, 10, 999, 1000] {
            let settings = HistogramSettings {
                n_bins,
                ..HistogramSettings::default()
            };
            let h = settings.fit(Rows::new(&values, 1), Seed(0)).unwrap();
            let inside = h.limits.iter().flat_map(|&l| [l.next_down(), l, l.next_up()]);
            for x in values.iter().copied().chain(inside) {
                let slot = h.limits.iter().filter(|l| x > **l).count();
                assert_eq!(h.score(&[x]), h.scores[slot], "{n_bins} bins, {x}");
            }
        }
    }

    #[test]
    fn counts_are_those_of_a_search() {
        // Multiples of a tenth lie on the edges or beside them.
        let values: Vec<f64> = (0..=100).map(|i| f64::from(i) * 0.1).collect();
        let h = HistogramSettings::default()
            .fit(Rows::new(&values, 1), Seed(0))
            .unwrap();
        let edges: Vec<f64> = edges(0.0, values[100], 10).collect();
        for (k, score) in h.record.scores.iter().enumerate() {
            let inside = |x: &&f64| **x >= edges[k] && (**x < edges[k + 1] || k == 9);
            let density = values.iter().filter(inside).count() as f64 / 101.0 / (edges[k + 1] - edges[k]);
            assert!((score + (density + 0.1).log2()).abs() < 1e-14, "{k}");
        }
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        let d = HistogramSettings::default;
        for (settings, name) in [
            (HistogramSettings { n_bins: 1, ..d() }, "n_bins"),
            (HistogramSettings { n_bins: 1001, ..d() }, "n_bins"),
            (HistogramSettings { alpha: 0.0, ..d() }, "alpha"),
            (HistogramSettings { alpha: f64::NAN, ..d() }, "alpha"),
            (HistogramSettings { tolerance: -0.1, ..d() }, "tolerance"),
            (
                HistogramSettings {
                    tolerance: f64::NAN,
                    ..d()
                },
                "tolerance",
            ),
        ] {
            let e = settings.check().unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
    }

    #[test]
    fn broken_records_are_refused() {
        let good = fitted(3).to_record();
        assert_eq!(Histograms::from_record(good.clone(), 2).unwrap().to_record(), good);
        type Break = fn(&mut HistogramsRecord);
        let breaks: [(&str, Break); 9] = [
            ("scores of half a column", |r| r.scores.truncate(5)),
            ("one bin", |r| r.scores.truncate(2)),
            ("no bins", |r| r.scores.clear()),
            ("score", |r| r.scores[0] = f64::NAN),
            ("tolerance", |r| r.tolerance = 1.1),
            ("low", |r| r.low[0] = 1e300),
            ("high", |r| r.high[1] = f64::INFINITY),
            ("order", |r| r.high[1] = r.low[1]),
            ("lengths", |r| r.low.truncate(1)),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = Histograms::from_record(r, 2).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
        assert!(Histograms::from_record(good, 0).is_err());
    }
}
