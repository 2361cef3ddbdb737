//! ECOD: outliers by empirical tail probabilities.

use crate::detect::{
    row::tails::{MOST_VALUES, Tail, Tails, TailsRecord, check_max_values},
    row_detector::{RowAlgorithm, RowDetector, RowDetectorParams, RowScorer},
    rows::Rows,
};
use crate::{error::Result, quantity::Seed};

/// Anomaly detector by empirical tails (ECOD): how rare a row's values are, each in its own column.
///
/// For many columns, large tables and no idea of a distribution: there is nothing to tune, and a fit is a sort. Relations
/// between columns are not seen; [`PcaDetector`](crate::detect::PcaDetector) sees them.
///
/// # Method
///
/// With `n` training rows, of which `a` have a value of column `j` that is at most `x_j` and `b` one that is at least
/// `x_j`,
///
/// ```text
/// left_j = -ln((a + 1) / (n + 1))    right_j = -ln((b + 1) / (n + 1))    score = Σ_j max(left_j, right_j)
/// ```
///
/// The row itself is counted as one more. In a column whose training values have a skewness of zero (magnitude below
/// 10⁻¹²) the term is `left_j + right_j`. The contribution of a feature is its term; contributions add up to the score.
///
/// This is the score that PyOD's `ECOD` gives to a test set of this one row (but for a column whose skewness turns to or
/// from zero by it). PyOD ranks training rows and all rows to score together, so that there a score depends on the rows
/// scored with it; here it depends on the training rows only, and a row scores the same alone and in a table. The paper
/// takes the largest of three sums over columns, PyOD and this detector the sum of the largest terms.
///
/// A score is at most `n_features ln(n + 1)`: rows beyond all training rows are equally anomalous.
///
/// At most [`max_values`](EcodParams::max_values) values of a column are kept. Of more training rows, the lowest and the
/// highest quarter of what is kept are the outermost values, so that shares there are exact; between them values are
/// evenly thinned, and the count of those on one side of a value may be short by less than the gap between two kept ones.
/// With the default, a term between the tails is too high by less than 0.002 at a million rows.
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
/// Li, Zhao, Hu, Botta, Ionescu and Chen, "ECOD: unsupervised outlier detection using empirical cumulative distribution
/// functions", IEEE Trans. Knowl. Data Eng. 35 (2023), doi
/// [10.1109/TKDE.2022.3159580](https://doi.org/10.1109/TKDE.2022.3159580).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::EcodDetector,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::{AnomalyDetector, OnlineModel},
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + (i as f64 * (0.7 + j as f64)).sin());
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
/// let detector = EcodDetector::params().fit(&DatasetBase::new(table, ()))?;
///
/// let row = FeatureView::new(&schema, &[50.1, 58.0])?;
/// let score = detector.assess(&(), row)?.ready().unwrap();
/// let mut shares = [0.0; 2];
/// detector.contributions_into(&(), row, &mut shares)?;
/// assert_eq!(shares[1], 501.0_f64.ln()); // no training current is as high
/// assert_eq!(shares[0] + shares[1], score.value);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type EcodDetector = RowDetector<EcodScorer>;

/// Parameters of an [`EcodDetector`].
pub type EcodParams = RowDetectorParams<EcodSettings>;

/// How an [`EcodDetector`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct EcodSettings {
    max_values: usize,
}

impl Default for EcodSettings {
    fn default() -> Self {
        Self {
            max_values: MOST_VALUES,
        }
    }
}

impl EcodParams {
    /// The most values of a column that are kept, 64 to 65,536. Default 65,536.
    #[must_use]
    pub fn max_values(self, n: usize) -> Self {
        self.with(|s| s.max_values = n)
    }
}

impl EcodDetector {
    /// Default parameters: up to 65,536 values a column, a false alarm rate of 0.01, five folds.
    pub fn params() -> EcodParams {
        EcodParams::default()
    }
}

impl RowAlgorithm for EcodSettings {
    type Scorer = EcodScorer;

    fn check(&self) -> Result<()> {
        check_max_values(self.max_values)
    }

    fn fit(&self, rows: Rows<'_>, _: Seed) -> Result<EcodScorer> {
        Tails::fit(rows, self.max_values).map(EcodScorer)
    }
}

/// The fitted half of an [`EcodDetector`]: the sorted training columns.
#[derive(Clone, Debug)]
pub struct EcodScorer(Tails);

#[inline]
fn term(tail: Tail) -> f64 {
    match tail.skew {
        0 => tail.left + tail.right,
        _ => tail.left.max(tail.right),
    }
}

impl RowScorer for EcodScorer {
    const KIND: &'static str = "detect.ecod";
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
