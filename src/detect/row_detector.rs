//! Detectors that look at one row by itself: what all of them share.

use super::{
    calibration::threshold::{ThresholdParams, TrainingRows, threshold_setters},
    rows::Rows,
    standard::{Standard, StandardRecord, check_numbers},
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, PersistentModel, UnusableReason, fingerprint_of},
    quantity::Seed,
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// A way to learn from rows what is usual: the unfitted half of an algorithm, with its settings.
pub trait RowAlgorithm: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The fitted half.
    type Scorer: RowScorer;

    /// Checks the settings, by themselves.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting, what was expected and what came.
    fn check(&self) -> Result<()>;

    /// Learns from `rows`: at least two, finite, in training standard deviations from the training mean, without constant
    /// columns. All chance comes from `seed`.
    ///
    /// # Errors
    /// `InvalidParameter` for settings that do not go with these rows, `InsufficientData`, `NotConverged`.
    fn fit(&self, rows: Rows<'_>, seed: Seed) -> Result<Self::Scorer>;
}

/// A fitted algorithm that scores rows.
///
/// Rows come in training standard deviations from the training mean, clamped to ±10⁶, without the columns that were
/// constant in training. Nothing here may panic on such a row, or allocate for one of up to 256 columns.
pub trait RowScorer: Clone + fmt::Debug + Send + Sync + 'static {
    /// The stable name of the algorithm in files: `detect.` and a word.
    const KIND: &'static str;
    /// The version of [`Record`](RowScorer::Record).
    const KIND_VERSION: u32 = 1;
    /// Rows of a table that are scored at once: so few that their numbers stay in the cache, so many that they are worth
    /// fetching what the algorithm keeps.
    const ROWS_AT_ONCE: usize = 1024;
    /// What is written.
    type Record: Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned;

    /// Number of columns of the rows it takes.
    fn width(&self) -> usize;

    /// How unusual the row `z` is: finite for every row, higher for the more unusual.
    fn score(&self, z: &[f64]) -> f64;

    /// The scores of many rows, each equal to the last bit to that of [`score`](RowScorer::score); for algorithms that
    /// are faster on many. `out` has one place a row.
    fn scores_into(&self, rows: Rows<'_>, out: &mut [f64]) {
        rows.iter().zip(out).for_each(|(z, o)| *o = self.score(z));
    }

    /// Each column's share of the score of `z`, finite, into `out`, which has one place a column and holds zeros.
    fn contributions_into(&self, z: &[f64], out: &mut [f64]);

    /// What is written.
    fn to_record(&self) -> Self::Record;

    /// The algorithm that was written as `record`, for rows of `width` columns. Everything that the promises of this
    /// trait rest on is checked.
    ///
    /// # Errors
    /// `Persistence`.
    fn from_record(record: Self::Record, width: usize) -> Result<Self>;
}

/// A fitted detector that looks at each row by itself (`State = ()`): an algorithm between standard units and a threshold.
///
/// Each algorithm's page says what it is for; what all share (thresholds, missing values, extremes) stands in
/// [the module](crate::detect).
#[derive(Clone, Debug)]
pub struct RowDetector<S> {
    schema: FeatureSchema,
    fingerprint: Fingerprint,
    standard: Standard,
    pub(super) scorer: S,
    threshold: f64,
    n_rows: u64,
}

/// Parameters of a [`RowDetector`], not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RowDetectorParams<A>(RowDetectorValidParams<A>);

/// Checked parameters of a [`RowDetector`].
#[derive(Clone, Debug, PartialEq)]
pub struct RowDetectorValidParams<A> {
    algorithm: A,
    threshold: ThresholdParams,
}

impl<A: RowAlgorithm> RowDetectorParams<A> {
    /// Parameters around `algorithm`: a false alarm rate of 0.01, five folds, seed 0.
    pub fn new(algorithm: A) -> Self {
        Self(RowDetectorValidParams {
            algorithm,
            threshold: ThresholdParams::default(),
        })
    }

    /// The same parameters with a setting of the algorithm changed.
    #[must_use]
    pub(super) fn with(mut self, change: impl FnOnce(&mut A)) -> Self {
        change(&mut self.0.algorithm);
        self
    }

    threshold_setters!();
}

impl<A: RowAlgorithm + Default> Default for RowDetectorParams<A> {
    fn default() -> Self {
        Self::new(A::default())
    }
}

impl<A: RowAlgorithm> ParamGuard for RowDetectorParams<A> {
    type Checked = RowDetectorValidParams<A>;
    type Error = Error;

    fn check_ref(&self) -> Result<&RowDetectorValidParams<A>> {
        self.0.algorithm.check()?;
        self.0.threshold.check()?;
        Ok(&self.0)
    }

    fn check(self) -> Result<RowDetectorValidParams<A>> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// Targets are not looked at.
impl<A: RowAlgorithm, T> Fit<FeatureTable, T, Error> for RowDetectorValidParams<A> {
    type Object = RowDetector<A::Scorer>;

    /// # Errors
    /// Those of the algorithm; `InsufficientData` with fewer than two usable rows a fold or where no feature varies, over
    /// all rows or those outside a fold.
    fn fit(&self, dataset: &DatasetBase<FeatureTable, T>) -> Result<Self::Object> {
        self.fit_table(dataset.records())
            .map_err(|e| e.context(<A::Scorer as RowScorer>::KIND))
    }
}

/// An algorithm and the units of its rows.
struct Fitted<S> {
    standard: Standard,
    scorer: S,
}

impl<A: RowAlgorithm> RowDetectorValidParams<A> {
    fn fit_rows(&self, rows: &[&[f64]]) -> Result<Fitted<A::Scorer>> {
        let standard = Standard::fit(rows)?;
        let values = standard.rows(rows);
        let scorer = self
            .algorithm
            .fit(Rows::new(&values, standard.len()), self.threshold.seed)?;
        Ok(Fitted { standard, scorer })
    }

    fn fit_table(&self, table: &FeatureTable) -> Result<RowDetector<A::Scorer>> {
        let (n_folds, seed) = (self.threshold.n_folds, self.threshold.seed);
        let (rows, threshold) = match self.threshold.fixed {
            Some(threshold) => (TrainingRows::unfolded(table)?, threshold),
            None => {
                let rows = TrainingRows::new(table, n_folds, seed)?;
                let mut scores = rows.out_of_fold(|train| self.fit_rows(train), Fitted::scores)?;
                let threshold = self.threshold.of_scores(&mut scores)?;
                (rows, threshold)
            }
        };
        let fitted = self.fit_rows(rows.rows())?;
        RowDetector::from_persisted(RowDetectorRecord {
            schema: table.schema().clone(),
            standard: fitted.standard.to_persisted(),
            algorithm: fitted.scorer.to_record(),
            threshold,
            n_rows: rows.rows().len() as u64,
        })
    }
}

impl<S: RowScorer> Fitted<S> {
    fn scores(&self, rows: &[&[f64]]) -> Vec<f64> {
        let values = self.standard.rows(rows);
        let mut out = vec![0.0; rows.len()];
        self.scorer
            .scores_into(Rows::new(&values, self.standard.len()), &mut out);
        out
    }
}

impl<S: RowScorer> RowDetector<S> {
    /// The score above which a row is anomalous.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Training rows used.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Every row of `table` by itself: what [`assess`](OnlineModel::assess) gives, to the last bit, in less time where the
    /// algorithm is faster on many rows.
    ///
    /// # Errors
    /// `SchemaMismatch` for a table of another schema.
    pub fn assess_table(&self, table: &FeatureTable) -> Result<Vec<Assessment<AnomalyScore>>> {
        let at_once = S::ROWS_AT_ONCE.min(table.n_rows()).max(1);
        self.schema.expect(table.schema())?;
        let width = self.standard.len();
        let mut out = Vec::with_capacity(table.n_rows());
        let (mut z, mut scores) = (Vec::with_capacity(at_once * width), Vec::with_capacity(at_once));
        let rows: Vec<&[f64]> = table.rows().collect();
        for chunk in rows.chunks(at_once) {
            z.clear();
            let usable = |r: &&&[f64]| r.iter().all(|v| v.is_finite());
            chunk
                .iter()
                .filter(usable)
                .for_each(|r| self.standard.extend_with_row(r, &mut z));
            scores.clear();
            scores.resize(z.len() / width, 0.0);
            self.scorer.scores_into(Rows::new(&z, width), &mut scores);
            let mut scores = scores.iter();
            out.extend(chunk.iter().map(|row| match UnusableReason::of_values(row) {
                Some(reason) => Assessment::Unusable(reason),
                None => Assessment::Ready(AnomalyScore {
                    value: scores.next().copied().unwrap_or_default(),
                    threshold: self.threshold,
                }),
            }));
        }
        Ok(out)
    }

    #[inline]
    pub(super) fn usable<T>(&self, x: FeatureView<'_>, f: impl FnOnce(&Self, &[f64]) -> T) -> Result<Assessment<T>> {
        self.schema.expect(x.schema())?;
        Ok(match UnusableReason::of_values(x.values()) {
            Some(reason) => Assessment::Unusable(reason),
            None => Assessment::Ready(f(self, &self.standard.row(x.values()))),
        })
    }

    /// Every state is one of this model's: it remembers nothing.
    pub(super) fn expect_state(&self, (): &()) -> Result<()> {
        Ok(())
    }
}

impl<S: RowScorer> OnlineModel for RowDetector<S> {
    type State = ();
    type Output = AnomalyScore;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) {}

    fn assess(&self, (): &(), x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        self.usable(x, |d, z| AnomalyScore {
            value: d.scorer.score(z),
            threshold: d.threshold,
        })
    }

    fn update(&self, (): &mut (), x: FeatureView<'_>) -> Result<()> {
        self.schema.expect(x.schema())
    }
}

impl<S: RowScorer> AnomalyDetector for RowDetector<S> {
    fn contributions_into(&self, (): &(), x: FeatureView<'_>, out: &mut [f64]) -> Result<Assessment<()>> {
        check_places(out, self.schema.len())?;
        self.usable(x, |d, z| {
            out.fill(0.0);
            if let Some(own) = out.get_mut(..z.len()) {
                d.scorer.contributions_into(z, own);
            }
            d.standard.scatter(out);
        })
    }
}

/// Fails unless `out` has one place a feature.
pub(super) fn check_places(out: &[f64], n_features: usize) -> Result<()> {
    if out.len() == n_features {
        Ok(())
    } else {
        Err(Error::input("contributions", format!("{n_features} places"), out.len()))
    }
}

/// What is written of a [`RowDetector`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowDetectorRecord<R> {
    pub(super) schema: FeatureSchema,
    pub(super) standard: StandardRecord,
    pub(super) algorithm: R,
    pub(super) threshold: f64,
    pub(super) n_rows: u64,
}

impl<S: RowScorer> PersistentModel for RowDetector<S> {
    const KIND: &'static str = S::KIND;
    const KIND_VERSION: u32 = S::KIND_VERSION;
    type Persisted = RowDetectorRecord<S::Record>;

    fn to_persisted(&self) -> Self::Persisted {
        RowDetectorRecord {
            schema: self.schema.clone(),
            standard: self.standard.to_persisted(),
            algorithm: self.scorer.to_record(),
            threshold: self.threshold,
            n_rows: self.n_rows,
        }
    }

    fn from_persisted(p: Self::Persisted) -> Result<Self> {
        let standard = Standard::from_persisted(p.standard, p.schema.len())?;
        check_numbers("threshold", &[p.threshold], 1, f64::is_finite)?;
        if p.n_rows < 2 {
            return Err(Error::persistence(format!(
                "n_rows: expected at least 2, got {}",
                p.n_rows
            )));
        }
        let scorer = S::from_record(p.algorithm, standard.len())?;
        let mut model = Self {
            schema: p.schema,
            fingerprint: Fingerprint::of(&[]),
            standard,
            scorer,
            threshold: p.threshold,
            n_rows: p.n_rows,
        };
        // Of what would be written: a file may say more than a model keeps.
        model.fingerprint = fingerprint_of(Self::KIND, &model.to_persisted())?;
        Ok(model)
    }
}
