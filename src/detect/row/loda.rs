//! LODA: histograms of random combinations of a few features.

use crate::detect::{
    draws::Draws,
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
    standard::check_numbers,
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

const MOST_CUTS: usize = 10_000;
const MOST_BINS: usize = 1000;
/// A combination that varies by less over the training rows, in standard units, is constant but for rounding.
const LEAST_RANGE: f64 = 1e-9;
/// Limits of what is read from a file: far beyond what is ever written, and such that scores are finite.
const LARGEST_WEIGHT: f64 = 1e3;
const LARGEST_LIMIT: f64 = 1e15;
const LARGEST_SURPRISE: f64 = 1e3;

/// Anomaly detector by random cuts (LODA): how rare a row is in each of many one-dimensional histograms.
///
/// For very many rows or features: cheap to fit and to score. Each cut combines a few features, so relations between them are
/// seen to some extent. Training rows may hold a few anomalies.
///
/// # Method
///
/// A cut is a combination `y = Σ w_j z_j` of `floor(sqrt(n_features))` features in standard units, drawn evenly, with normal
/// weights `w_j`. The training rows' values of `y` are counted in `n_bins` bins of equal width between their extremes. With
/// `count` of `n` rows in the bin of a row,
///
/// ```text
/// surprise = -ln((count + 1/2) / (n + n_bins / 2))        score = mean of the surprise over cuts
/// ```
///
/// A value outside all bins counts as one in an empty bin, so the score has a greatest value. The half row in each bin keeps
/// surprise finite; with a much smaller number instead (10⁻¹² in PyOD), a row that leaves one histogram of a hundred by
/// chance would outweigh all others. PyOD besides reads histograms one bin too far.
///
/// # Contributions
///
/// Each cut's surprise is shared among its features in proportion to `|w_j z_j|`, evenly where all are zero; contributions are
/// means over cuts, add up to the score and are never negative. They are not the t statistics of the paper, which have no
/// value for a feature that is in every cut or in none.
///
/// # Shapes, missing values, cost
///
/// Fitting takes `(n_rows, n_features)`, at least two usable rows a fold. Rows with a NaN or infinite value are left out when
/// fitting and [`Unusable`](crate::model::Assessment::Unusable) when scoring; other rows always score finite. Fitting costs
/// `O(n_rows n_cuts sqrt(n_features))`, a row `O(n_cuts sqrt(n_features))`; it allocates nothing up to 256 features.
///
/// # Source
///
/// Pevný, "Loda: Lightweight on-line detector of anomalies", Machine Learning 102 (2016), doi
/// [10.1007/s10994-015-5521-0](https://doi.org/10.1007/s10994-015-5521-0).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::Loda,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + 10.0 * ((i + 90 * j) as f64 * 0.7).sin());
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
///
/// let detector = Loda::params().n_cuts(50).fit(&DatasetBase::new(table, ()))?;
///
/// let score = |values: [f64; 2]| detector.assess(&(), FeatureView::new(&schema, &values)?).map(|a| a.ready());
/// assert!(!score([55.0, 52.0])?.unwrap().is_anomalous());
/// assert!(score([80.0, 20.0])?.unwrap().is_anomalous());
/// # Ok::<(), prognos::Error>(())
/// ```
pub type Loda = RowDetector<RandomCuts>;

/// Parameters of a [`Loda`].
pub type LodaParams = RowDetectorParams<LodaSettings>;

/// How a [`Loda`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct LodaSettings {
    n_cuts: usize,
    n_bins: usize,
}

impl Default for LodaSettings {
    fn default() -> Self {
        Self {
            n_cuts: 100,
            n_bins: 10,
        }
    }
}

impl LodaParams {
    /// Number of cuts, 1 to 10,000. Default 100.
    #[must_use]
    pub fn n_cuts(self, n: usize) -> Self {
        self.with(|s| s.n_cuts = n)
    }

    /// Bins of each histogram, 2 to 1,000. Default 10.
    #[must_use]
    pub fn n_bins(self, n: usize) -> Self {
        self.with(|s| s.n_bins = n)
    }
}

impl Loda {
    /// Default parameters: 100 cuts of ten bins, a false alarm rate of 0.01, five folds, seed 0.
    pub fn params() -> LodaParams {
        LodaParams::default()
    }
}

impl RowAlgorithm for LodaSettings {
    type Scorer = RandomCuts;

    fn check(&self) -> Result<()> {
        if !(1..=MOST_CUTS).contains(&self.n_cuts) {
            return Err(Error::parameter("n_cuts", "from 1 to 10000", self.n_cuts));
        }
        if !(2..=MOST_BINS).contains(&self.n_bins) {
            return Err(Error::parameter("n_bins", "from 2 to 1000", self.n_bins));
        }
        Ok(())
    }

    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<RandomCuts> {
        let (n_cuts, n_bins, width) = (self.n_cuts, self.n_bins, rows.width());
        let n_terms = width.isqrt();
        let mut chance = Draws::new(seed);
        let mut order: Vec<u32> = (0..width as u32).collect();
        let mut terms = Vec::with_capacity(n_cuts * n_terms);
        for _ in 0..n_cuts {
            let chosen = chance.select(&mut order, n_terms).to_vec();
            terms.extend(chosen.into_iter().map(|column| Term {
                column,
                weight: chance.normal(),
            }));
        }
        let mut limits = vec![(f64::MAX, f64::MIN); n_cuts];
        for z in rows.iter() {
            for (terms, (low, high)) in terms.chunks_exact(n_terms).zip(&mut limits) {
                let y = combine(terms, z);
                *low = if y < *low { y } else { *low };
                *high = if y > *high { y } else { *high };
            }
        }
        let histograms: Vec<Histogram> = limits
            .into_iter()
            .map(|(low, high)| match high - low {
                range if range >= LEAST_RANGE => Histogram::new(low, high, n_bins),
                _ => Histogram::new(low - 0.5, high + 0.5, n_bins),
            })
            .collect();
        // The last place is for values outside and stays empty here.
        let mut counts = vec![0_u32; n_cuts * (n_bins + 1)];
        for z in rows.iter() {
            let cuts = terms.chunks_exact(n_terms).zip(&histograms);
            for ((terms, histogram), counts) in cuts.zip(counts.chunks_exact_mut(n_bins + 1)) {
                counts[histogram.bin(combine(terms, z), n_bins)] += 1;
            }
        }
        let total = rows.len() as f64 + 0.5 * n_bins as f64;
        let surprise = |&count: &u32| -libm::log((f64::from(count) + 0.5) / total);
        RandomCuts::from_record(
            LodaRecord {
                column: terms.iter().map(|t| t.column).collect(),
                weight: terms.iter().map(|t| t.weight).collect(),
                low: histograms.iter().map(|h| h.low).collect(),
                high: histograms.iter().map(|h| h.high).collect(),
                surprise: counts.iter().map(surprise).collect(),
            },
            width,
        )
    }
}

#[derive(Clone, Copy, Debug)]
struct Term {
    weight: f64,
    column: u32,
}

#[inline(always)]
fn combine(terms: &[Term], z: &[f64]) -> f64 {
    terms.iter().map(|t| t.weight * z[t.column as usize]).sum()
}

#[derive(Clone, Copy, Debug)]
struct Histogram {
    low: f64,
    high: f64,
    /// Bins a unit.
    rate: f64,
}

impl Histogram {
    fn new(low: f64, high: f64, n_bins: usize) -> Self {
        Self {
            low,
            high,
            rate: n_bins as f64 / (high - low),
        }
    }

    /// The bin of `y`; `n_bins` where it is outside all.
    #[inline(always)]
    fn bin(&self, y: f64, n_bins: usize) -> usize {
        let bin = (((y - self.low) * self.rate) as u32 as usize).min(n_bins - 1);
        if (y >= self.low) & (y <= self.high) {
            bin
        } else {
            n_bins
        }
    }
}

/// The fitted half of a [`Loda`].
#[derive(Clone, Debug)]
pub struct RandomCuts {
    width: usize,
    n_bins: usize,
    n_terms: usize,
    /// `n_terms` a cut.
    terms: Vec<Term>,
    histograms: Vec<Histogram>,
    /// `n_bins + 1` a cut, the last one that of values outside.
    surprise: Vec<f64>,
}

impl RandomCuts {
    /// Calls `each` with every cut's terms and surprise.
    #[inline(always)]
    fn each(&self, z: &[f64], mut each: impl FnMut(&[Term], f64)) {
        let cuts = self.terms.chunks_exact(self.n_terms).zip(&self.histograms);
        for ((terms, histogram), surprise) in cuts.zip(self.surprise.chunks_exact(self.n_bins + 1)) {
            each(terms, surprise[histogram.bin(combine(terms, z), self.n_bins)]);
        }
    }
}

impl RowScorer for RandomCuts {
    const KIND: &'static str = "detect.loda";
    type Record = LodaRecord;

    fn width(&self) -> usize {
        self.width
    }

    #[inline]
    fn score(&self, z: &[f64]) -> f64 {
        let mut sum = 0.0;
        self.each(z, |_, s| sum += s);
        sum / self.histograms.len() as f64
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        let part = 1.0 / self.histograms.len() as f64;
        self.each(z, |terms, surprise| {
            let size = |t: &Term| (t.weight * z[t.column as usize]).abs();
            let total: f64 = terms.iter().map(size).sum();
            for t in terms {
                let share = if total > 0.0 {
                    size(t) / total
                } else {
                    1.0 / terms.len() as f64
                };
                out[t.column as usize] += surprise * part * share;
            }
        });
    }

    fn to_record(&self) -> LodaRecord {
        LodaRecord {
            column: self.terms.iter().map(|t| t.column).collect(),
            weight: self.terms.iter().map(|t| t.weight).collect(),
            low: self.histograms.iter().map(|h| h.low).collect(),
            high: self.histograms.iter().map(|h| h.high).collect(),
            surprise: self.surprise.clone(),
        }
    }

    fn from_record(r: LodaRecord, width: usize) -> Result<Self> {
        let n_cuts = r.low.len();
        let n_terms = r.column.len().checked_div(n_cuts).unwrap_or(0);
        let n_places = r.surprise.len().checked_div(n_cuts).unwrap_or(0);
        let n_bins = n_places.saturating_sub(1);
        let sizes = (1..=MOST_CUTS).contains(&n_cuts) && n_terms >= 1 && (2..=MOST_BINS).contains(&n_bins);
        if !sizes || r.column.len() != n_cuts * n_terms || r.column.iter().any(|&c| c as usize >= width) {
            return Err(Error::persistence(format!(
                "cuts: expected 1 to {MOST_CUTS} of 2 to {MOST_BINS} bins with the same number of columns below {width} \
                 each, got {n_cuts} of {n_bins} bins and {n_terms} columns or others"
            )));
        }
        check_numbers("weights", &r.weight, n_cuts * n_terms, |w| w.abs() <= LARGEST_WEIGHT)?;
        check_numbers("lower limits", &r.low, n_cuts, |l| l.abs() <= LARGEST_LIMIT)?;
        check_numbers("upper limits", &r.high, n_cuts, |h| h.abs() <= LARGEST_LIMIT)?;
        check_numbers("surprise", &r.surprise, n_cuts * n_places, |s| {
            (0.0..=LARGEST_SURPRISE).contains(&s)
        })?;
        let limits = r.low.iter().zip(&r.high);
        let histograms: Vec<Histogram> = limits.map(|(&low, &high)| Histogram::new(low, high, n_bins)).collect();
        let rates: Vec<f64> = histograms.iter().map(|h| h.rate).collect();
        check_numbers("upper limits less lower ones", &rates, n_cuts, |r| {
            r > 0.0 && r.is_finite()
        })?;
        let terms = r.column.into_iter().zip(r.weight);
        Ok(Self {
            width,
            n_bins,
            n_terms,
            terms: terms.map(|(column, weight)| Term { column, weight }).collect(),
            histograms,
            surprise: r.surprise,
        })
    }
}

/// What is written of [`RandomCuts`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LodaRecord {
    /// Columns and weights of the combinations, cut by cut.
    column: Vec<u32>,
    weight: Vec<f64>,
    /// Where each cut's bins begin and end.
    low: Vec<f64>,
    high: Vec<f64>,
    /// That of each bin and of values outside, cut by cut.
    surprise: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn noise(n: usize, width: usize) -> Vec<f64> {
        let mut c = Draws::new(Seed(3));
        (0..n * width).map(|_| c.normal()).collect()
    }

    fn fitted(n_cuts: usize, n_bins: usize, width: usize) -> RandomCuts {
        let settings = LodaSettings { n_cuts, n_bins };
        settings.fit(Rows::new(&noise(300, width), width), Seed(1)).unwrap()
    }

    #[test]
    fn one_column_by_hand() {
        // Whatever the weight, a cut of one column counts that column: bins of 0..=4 in two are {0, 1} and {2, 3, 4}, or
        // the other way round where the weight is negative and 2 changes sides.
        let rows = [0.0, 1.0, 3.0, 3.5, 4.0];
        let settings = LodaSettings { n_cuts: 40, n_bins: 2 };
        let c = settings.fit(Rows::new(&rows, 1), Seed(0)).unwrap();
        let s = |count: f64| -((count + 0.5) / 6.0_f64).ln();
        for (x, count) in [
            (0.0, 2.0),
            (1.9, 2.0),
            (2.1, 3.0),
            (4.0, 3.0),
            (4.1, 0.0),
            (-0.1, 0.0),
            (1e6, 0.0),
        ] {
            assert!((c.score(&[x]) - s(count)).abs() < 1e-14, "{x}");
        }
    }

    #[test]
    fn scores_are_those_of_the_definition() {
        let (train, width) = (noise(300, 7), 7);
        let c = fitted(30, 8, width);
        assert_eq!(c.n_terms, 2);
        let y = |cut: usize, z: &[f64]| combine(&c.terms[2 * cut..2 * cut + 2], z);
        for z in Rows::new(&train, width)
            .iter()
            .take(50)
            .chain([&[1e6; 7][..], &[0.0; 7]])
        {
            let surprise = |cut: usize| {
                let all: Vec<f64> = Rows::new(&train, width).iter().map(|z| y(cut, z)).collect();
                let (low, high) = all.iter().fold((f64::MAX, f64::MIN), |(l, h), &y| (l.min(y), h.max(y)));
                let bin = |y: f64| match (y - low) / (high - low) {
                    1.0 => 7,
                    t if (0.0..1.0).contains(&t) => (8.0 * t) as i32,
                    _ => -1,
                };
                let own = bin(y(cut, z));
                let count = all.iter().filter(|y| bin(**y) == own).count() as f64;
                -((count + 0.5) / 304.0).ln()
            };
            let expected = (0..30).map(surprise).sum::<f64>() / 30.0;
            assert!((c.score(z) - expected).abs() < 1e-12);
            let mut shares = [0.0; 7];
            c.contributions_into(z, &mut shares);
            assert!((shares.iter().sum::<f64>() - expected).abs() < 1e-12 && shares.iter().all(|s| *s >= 0.0));
        }
    }

    #[test]
    fn the_column_that_is_off_carries_the_score() {
        let c = fitted(200, 10, 9);
        for j in 0..9 {
            let mut z = [0.1; 9];
            z[j] = 8.0;
            let mut shares = [0.0; 9];
            c.contributions_into(&z, &mut shares);
            assert!((0..9).all(|k| k == j || shares[k] < shares[j]), "{j}: {shares:?}");
        }
    }

    #[test]
    fn columns_that_cancel_out_do_no_harm() {
        // The second column is the first, negated; equal weights would leave nothing.
        let rows: Vec<f64> = (0..100).flat_map(|i| [f64::from(i), -f64::from(i), 0.0, 0.0]).collect();
        let c = LodaSettings::default().fit(Rows::new(&rows, 4), Seed(0)).unwrap();
        assert!(c.score(&[1.0, 1.0, 1e6, 0.0]).is_finite());
    }

    #[test]
    fn parameters_are_named_when_wrong() {
        for (n_cuts, n_bins, name) in [
            (0, 10, "n_cuts"),
            (10_001, 10, "n_cuts"),
            (100, 1, "n_bins"),
            (100, 1001, "n_bins"),
        ] {
            let e = LodaSettings { n_cuts, n_bins }.check().unwrap_err();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        }
    }

    #[test]
    fn broken_records_are_refused() {
        let c = fitted(5, 4, 6);
        let good = c.to_record();
        assert_eq!(RandomCuts::from_record(good.clone(), 6).unwrap().to_record(), good);
        type Break = fn(&mut LodaRecord);
        let breaks: [(&str, Break); 12] = [
            ("no cuts", |r| r.low.clear()),
            ("column", |r| r.column[3] = 6),
            ("columns short", |r| r.column.truncate(9)),
            ("weights short", |r| r.weight.truncate(9)),
            ("weight", |r| r.weight[0] = f64::NAN),
            ("weight huge", |r| r.weight[0] = 1e300),
            ("low", |r| r.low[0] = f64::NEG_INFINITY),
            ("high", |r| r.high[0] = r.low[0]),
            ("reversed", |r| std::mem::swap(&mut r.high[0], &mut r.low[0])),
            ("high short", |r| r.high.truncate(4)),
            ("surprise", |r| r.surprise[0] = -1.0),
            ("surprise short", |r| r.surprise.truncate(24)),
        ];
        for (what, broken) in breaks {
            let mut r = good.clone();
            broken(&mut r);
            let e = RandomCuts::from_record(r, 6).expect_err(what);
            assert_eq!(e.kind(), ErrorKind::Persistence, "{what}");
        }
    }
}
