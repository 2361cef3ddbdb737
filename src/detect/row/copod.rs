//! COPOD: outliers by an empirical copula.

use crate::detect::{
    row::tails::{MOST_VALUES, Tail, Tails, TailsRecord, check_max_values},
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
};
use crate::{error::Result, quantity::Seed};

/// Anomaly detector by empirical copula (COPOD): how rare a row's values are, on the side of each column's longer tail.
///
/// As [`EcodDetector`](crate::detect::EcodDetector), with more weight on the tail that the training rows have: a column that
/// strays upwards (a vibration level, a wear count) counts upwards in full, downwards by half.
///
/// # Method
///
/// With `n` training rows, of which `a` have a value of column `j` that is at most `x_j` and `b` one that is at least
/// `x_j`,
///
/// ```text
/// left_j = -ln((a + 1) / (n + 1))        right_j = -ln((b + 1) / (n + 1))
/// score  = Σ_j max(tail_j, (left_j + right_j) / 2)
/// ```
///
/// where `tail_j` is `right_j` for a column of positive skewness over the training rows, `left_j` for a negative one, and
/// `left_j + right_j` for zero (magnitude below 10⁻¹²). The row itself is counted as one more. The contribution of a
/// feature is its term; contributions add up to the score.
///
/// This is the score that PyOD's `COPOD` gives to a test set of this one row, but for a column whose skewness changes its
/// sign by that row. PyOD ranks training rows and all rows to score together, so that there a score depends on the rows
/// scored with it; here it depends on the training rows only, and a row scores the same alone and in a table.
///
/// A score is at most `n_features ln(n + 1)`: rows beyond all training rows are equally anomalous. Of more training rows
/// than [`max_values`](CopodParams::max_values), values are kept as
/// [`EcodDetector`](crate::detect::EcodDetector) says.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). Fitting costs `O(n_features n_rows log n_rows)` once and once a fold; a row costs
/// a binary search a feature, `O(n_features log max_values)`, and allocates nothing; a table is searched eight rows side by
/// side. A file holds
/// `max_values` numbers a feature.
///
/// # Source
///
/// Li, Zhao, Botta, Ionescu and Hu, "COPOD: copula-based outlier detection", IEEE Int. Conf. on Data Mining (2020), doi
/// [10.1109/ICDM50108.2020.00135](https://doi.org/10.1109/ICDM50108.2020.00135).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::CopodDetector,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::{AnomalyDetector, OnlineModel},
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + (i as f64 * (0.7 + j as f64)).sin());
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
/// let detector = CopodDetector::params().fit(&DatasetBase::new(table, ()))?;
///
/// let row = FeatureView::new(&schema, &[50.1, 58.0])?;
/// let score = detector.assess(&(), row)?.ready().unwrap();
/// let mut shares = [0.0; 2];
/// detector.contributions_into(&(), row, &mut shares)?;
/// assert!(shares[1] > 3.0 * shares[0] && shares[0] + shares[1] == score.value);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type CopodDetector = RowDetector<CopodScorer>;

/// Parameters of a [`CopodDetector`].
pub type CopodParams = RowDetectorParams<CopodSettings>;

/// How a [`CopodDetector`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct CopodSettings {
    max_values: usize,
}

impl Default for CopodSettings {
    fn default() -> Self {
        Self {
            max_values: MOST_VALUES,
        }
    }
}

impl CopodParams {
    /// The most values of a column that are kept, 64 to 65,536. Default 65,536.
    #[must_use]
    pub fn max_values(self, n: usize) -> Self {
        self.with(|s| s.max_values = n)
    }
}

impl CopodDetector {
    /// Default parameters: up to 65,536 values a column, a false alarm rate of 0.01, five folds.
    pub fn params() -> CopodParams {
        CopodParams::default()
    }
}

impl RowAlgorithm for CopodSettings {
    type Scorer = CopodScorer;

    fn check(&self) -> Result<()> {
        check_max_values(self.max_values)
    }

    fn fit(&self, rows: Rows<'_>, _: Seed) -> Result<CopodScorer> {
        Tails::fit(rows, self.max_values).map(CopodScorer)
    }
}

/// The fitted half of a [`CopodDetector`]: the sorted training columns.
#[derive(Clone, Debug)]
pub struct CopodScorer(Tails);

#[inline]
fn term(tail: Tail) -> f64 {
    let both = tail.left + tail.right;
    let tail = match tail.skew {
        0 => both,
        s if s > 0 => tail.right,
        _ => tail.left,
    };
    tail.max(0.5 * both)
}

impl RowScorer for CopodScorer {
    const KIND: &'static str = "detect.copod";
    const ROWS_AT_ONCE: usize = 8192;
    type Record = TailsRecord;

    fn width(&self) -> usize {
        self.0.width()
    }

    fn score(&self, z: &[f64]) -> f64 {
        self.0.sum(z, term)
    }

    fn scores_into(&self, rows: Rows<'_>, out: &mut [f64]) {
        self.0.sums_into(rows, out, term);
    }

    fn contributions_into(&self, z: &[f64], out: &mut [f64]) {
        self.0.terms_into(z, out, term);
    }

    fn to_record(&self) -> TailsRecord {
        self.0.to_record()
    }

    fn from_record(record: TailsRecord, width: usize) -> Result<Self> {
        Tails::from_record(record, width).map(Self)
    }
}
