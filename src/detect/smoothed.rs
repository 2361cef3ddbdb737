//! A detector that sees moving means instead of single rows.

use super::{
    calibration::threshold::{ThresholdParams, block_of, folds_of, threshold_setters},
    recent_rows::RecentRows,
    row_detector::check_places,
    standard::{Row, check_numbers},
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, PersistentModel, UnusableReason, fingerprint_of},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// The most rows or scores of a mean.
const LONGEST: usize = 1 << 16;

/// Another detector between two moving means: it scores the mean of a machine's last rows, and its last scores are averaged.
///
/// For faults that last longer than a row: noise that is independent from row to row shrinks with the root of the rows
/// averaged *before* the distance is taken, so that small steps stand out; averaging distances afterwards only steadies
/// them. But an inner detector that scales features by their spread over its training rows takes the spread of the means:
/// features whose noise the mean removes then weigh more beside those that wander, and a feature that shifted once in
/// training moves held-out scores, and the threshold, far up. Where training is short, scores are the safer thing to
/// average.
///
/// # Method
///
/// With the inner detector's score `s`, over usable rows `x` of one machine,
///
/// ```text
/// m_t = mean(x_{t-n+1} .. x_t)      score_t = mean(s(m_{t-k+1}) .. s(m_t))
/// ```
///
/// for `n` = [`rows`](SmoothedParams::rows) and `k` = [`scores`](SmoothedParams::scores); until a machine has sent
/// `n + k - 1` rows the outcome is [`Warmup`](Assessment::Warmup).
///
/// **Threshold.** The quantile `1 - false_alarm_rate` of held-out scores of the whole detector, counted as
/// [the module](crate::detect#thresholds) says; the inner detector's own threshold is not used. Whole assets are held out;
/// a single one is cut into contiguous blocks, and a mean that reaches over the edge of a block lies on neither side.
/// Scores are averaged within a block of a machine.
///
/// **Release.** A machine seldom comes back from a fault to just the state it was trained in. So with a
/// [`release`](SmoothedParams::release) share `r` above zero, an anomaly also ends when the score has fallen to that share
/// of its highest value: while the score stays above the threshold `θ`, with `h` its highest value since it rose above,
/// the row's threshold is
///
/// ```text
/// max(θ, r h)
/// ```
///
/// and when the score comes down to `θ`, `h` is forgotten. Nothing changes for faults that never exceed `θ / r`. The price:
/// until `h` is forgotten, a second, much weaker fault is not seen. For scores that count from zero, as distances do; one
/// at or below zero raises nothing.
///
/// # Shapes, missing values, cost
///
/// Rows go by count, not by time. A row with a NaN or infinite value is [`Unusable`](Assessment::Unusable) and left out of
/// all means. A row costs `O(n n_features + k)` and the inner detector's score; it allocates nothing once the means are full,
/// up to 256 features. Contributions are the inner detector's, for the newest mean of rows; they add up to its score, if to
/// anything, not to the mean of scores.
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::{MahalanobisDetector, SmoothedDetector},
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// // Noise of one unit, then a step of one unit.
/// let noise = |i: u32| f64::from(i.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 * 3.46 - 1.73;
/// let schema = FeatureSchema::of_channels(&[Channel::new("pressure", "bar")])?;
/// let table = FeatureTable::new(schema.clone(), Array2::from_shape_fn((400, 1), |(i, _)| noise(i as u32)), vec![0; 400])?;
/// let detector = SmoothedDetector::params(MahalanobisDetector::params()).rows(30).fit(&DatasetBase::new(table, ()))?;
///
/// let mut state = detector.new_state();
/// let mut last = None;
/// for i in 400..460 {
///     let row = [1.0 + noise(i)];
///     last = detector.step(&mut state, FeatureView::new(&schema, &row)?)?.ready();
/// }
/// assert!(last.is_some_and(|score| score.is_anomalous()));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SmoothedDetector<M> {
    fingerprint: Fingerprint,
    inner: M,
    n_rows: usize,
    n_scores: usize,
    release: f64,
    threshold: f64,
}

/// Parameters of a [`SmoothedDetector`] around those of another detector, not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct SmoothedParams<P>(SmoothedValidParams<P>);

/// Checked parameters of a [`SmoothedDetector`].
#[derive(Clone, Debug, PartialEq)]
pub struct SmoothedValidParams<P> {
    inner: P,
    n_rows: usize,
    n_scores: usize,
    release: f64,
    threshold: ThresholdParams,
}

impl SmoothedDetector<()> {
    /// Parameters around `inner`, the parameters of another detector: single rows and scores, no release, a false alarm
    /// rate of 0.01, five folds, seed 0.
    pub fn params<P>(inner: P) -> SmoothedParams<P> {
        SmoothedParams(SmoothedValidParams {
            inner,
            n_rows: 1,
            n_scores: 1,
            release: 0.0,
            threshold: ThresholdParams::default(),
        })
    }
}

impl<P> SmoothedParams<P> {
    /// Rows in a mean, 1 to 65,536. Default 1.
    #[must_use]
    pub fn rows(mut self, n: usize) -> Self {
        self.0.n_rows = n;
        self
    }

    /// Scores in a mean, 1 to 65,536. Default 1.
    #[must_use]
    pub fn scores(mut self, n: usize) -> Self {
        self.0.n_scores = n;
        self
    }

    /// The share of its highest score at which an anomaly ends, at least 0 and below 1. Default 0: it ends at the
    /// threshold.
    #[must_use]
    pub fn release(mut self, share: f64) -> Self {
        self.0.release = share;
        self
    }

    threshold_setters!();
}

impl<P: ParamGuard<Error = Error>> ParamGuard for SmoothedParams<P> {
    type Checked = SmoothedValidParams<P>;
    type Error = Error;

    fn check_ref(&self) -> Result<&SmoothedValidParams<P>> {
        self.0.inner.check_ref()?;
        self.0.threshold.check()?;
        check_length("rows", self.0.n_rows)?;
        check_length("scores", self.0.n_scores)?;
        if !is_release(self.0.release) {
            return Err(Error::parameter("release", "at least 0 and below 1", self.0.release));
        }
        Ok(&self.0)
    }

    fn check(self) -> Result<SmoothedValidParams<P>> {
        self.check_ref()?;
        Ok(self.0)
    }
}

fn check_length(name: &str, n: usize) -> Result<()> {
    if (1..=LONGEST).contains(&n) {
        Ok(())
    } else {
        Err(Error::parameter(name, format!("1 to {LONGEST}"), n))
    }
}

fn is_release(share: f64) -> bool {
    (0.0..1.0).contains(&share)
}

/// Targets are not looked at. Each asset's rows are its stream, in the order of the table.
impl<P, M, T> Fit<FeatureTable, T, Error> for SmoothedValidParams<P>
where
    P: ParamGuard<Error = Error>,
    P::Checked: Fit<FeatureTable, (), Error, Object = M>,
    M: AnomalyDetector + PersistentModel,
{
    type Object = SmoothedDetector<M>;

    /// # Errors
    /// Those of the inner detector; `InsufficientData` where no asset has as many usable rows as a mean, or no held-out
    /// stretch of one enough for a score.
    fn fit(&self, dataset: &DatasetBase<FeatureTable, T>) -> Result<Self::Object> {
        self.fit_table(dataset.records())
            .map_err(|e| e.context("detect.smoothed"))
    }
}

impl<P> SmoothedValidParams<P> {
    fn fit_table<M>(&self, table: &FeatureTable) -> Result<SmoothedDetector<M>>
    where
        P: ParamGuard<Error = Error>,
        P::Checked: Fit<FeatureTable, (), Error, Object = M>,
        M: AnomalyDetector + PersistentModel,
    {
        let means = Means::of(table, self.n_rows, &self.threshold)?;
        let params = self.inner.check_ref()?;
        let threshold = match self.threshold.fixed {
            Some(threshold) => threshold,
            None => self.threshold.of_scores(&mut self.held_out_scores(params, &means)?)?,
        };
        let inner = params.fit(&DatasetBase::new(means.table, ()))?;
        SmoothedDetector::from_persisted(SmoothedRecord {
            inner_kind: M::KIND.into(),
            inner_version: M::KIND_VERSION,
            inner: inner.to_persisted(),
            n_rows: self.n_rows as u64,
            n_scores: self.n_scores as u64,
            release: self.release,
            threshold,
        })
    }

    /// The averaged scores of held-out stretches, at least one.
    fn held_out_scores<F, M>(&self, params: &F, means: &Means) -> Result<Vec<f64>>
    where
        F: Fit<FeatureTable, (), Error, Object = M>,
        M: AnomalyDetector,
    {
        let mut scores = Vec::new();
        for fold in 0..means.n_folds {
            let named = |e: Error| {
                e.context(format_args!(
                    "fold {} of {}, for the threshold",
                    fold + 1,
                    means.n_folds
                ))
            };
            let in_others = |i: usize| means.fold_of(i).is_some_and(|f| f != fold);
            let (train, _) = means.table.filtered(in_others).map_err(named)?;
            let inner = params.fit(&DatasetBase::new(train, ())).map_err(named)?;
            self.scores_of(&inner, means, fold, &mut scores).map_err(named)?;
        }
        if scores.is_empty() {
            return Err(Error::insufficient(
                "rows of a held-out stretch",
                format!("at least {}, those of a score", self.n_rows + self.n_scores - 1),
                "fewer in each",
            ));
        }
        Ok(scores)
    }

    /// Adds the averaged scores of the stretches that `fold` holds out.
    fn scores_of<M: AnomalyDetector>(
        &self,
        inner: &M,
        means: &Means,
        fold: usize,
        scores: &mut Vec<f64>,
    ) -> Result<()> {
        let mut machines: Vec<_> = (0..means.table.n_assets())
            .map(|_| (inner.new_state(), RecentRows::default()))
            .collect();
        for (i, x) in means.table.views().enumerate() {
            let asset = means.table.asset().get(i).map_or(0, |&a| a as usize);
            let (true, Some((state, recent))) = (means.fold_of(i) == Some(fold), machines.get_mut(asset)) else {
                continue;
            };
            if let Assessment::Ready(score) = inner.step(state, x)? {
                if recent.n_rows(1) + 1 == self.n_scores {
                    let mut mean = [0.0];
                    recent.mean_with(&[score.value], &mut mean);
                    scores.extend(mean);
                }
                recent.push(&[score.value], self.n_scores - 1);
            }
        }
        Ok(())
    }
}

/// The means of the training rows, and the fold that holds each out.
struct Means {
    table: FeatureTable,
    /// `None` for a mean of rows on both sides of an edge.
    fold_of: Vec<Option<usize>>,
    n_folds: usize,
}

impl Means {
    fn of(table: &FeatureTable, n_rows: usize, threshold: &ThresholdParams) -> Result<Self> {
        let usable = |row: &[f64]| row.iter().all(|v| v.is_finite());
        let width = table.schema().len();
        let mut recent = vec![RecentRows::default(); table.n_assets()];
        let (mut values, mut asset, mut mean) = (Vec::new(), Vec::new(), vec![0.0; width]);
        let (mut times, mut n_usable) = (Vec::new(), 0);
        for (i, (row, &a)) in table.rows().zip(table.asset()).enumerate() {
            let Some(recent) = recent.get_mut(a as usize).filter(|_| usable(row)) else {
                continue;
            };
            n_usable += 1;
            if recent.n_rows(width) + 1 == n_rows {
                recent.mean_with(row, &mut mean);
                values.extend_from_slice(&mean);
                asset.push(a);
                times.extend(table.times().and_then(|t| t.get(i)));
            }
            recent.push(row, n_rows - 1);
        }
        if asset.is_empty() {
            return Err(Error::insufficient(
                "training rows of a machine without a missing value",
                format!("at least {n_rows}, those of a mean"),
                format!("fewer in each, {n_usable} in all"),
            ));
        }
        // Numbered anew, by asset: the order of rows must not move an asset to another fold.
        let mut number = vec![None; table.n_assets()];
        asset.iter().for_each(|&a| {
            if let Some(n) = number.get_mut(a as usize) {
                *n = Some(0);
            }
        });
        number.iter_mut().flatten().enumerate().for_each(|(i, n)| *n = i as u32);
        let asset: Vec<u32> = asset
            .iter()
            .map(|&a| number.get(a as usize).copied().flatten().unwrap_or(0)) // every asset here has a number
            .collect();
        let n_assets = number.iter().flatten().count();
        let (n_folds, fold_of) = if n_assets >= 2 {
            let (n_folds, fold_of) = folds_of(n_assets, threshold.n_folds, threshold.seed)?;
            (
                n_folds,
                asset.iter().map(|&a| fold_of.get(a as usize).copied()).collect(),
            )
        } else {
            if threshold.fixed.is_none() && n_usable / 2 < threshold.n_folds {
                return Err(Error::insufficient(
                    "training rows without a missing value",
                    format!("at least two in each of {} folds", threshold.n_folds),
                    n_usable,
                ));
            }
            // One machine: its rows are usable row `i` and the `n_rows - 1` before it.
            let block = |i: usize| block_of(i, n_usable, threshold.n_folds);
            let first = n_usable - asset.len();
            let fold = |i: usize| Some(block(i)).filter(|b| block((i + 1).saturating_sub(n_rows)) == *b);
            (threshold.n_folds, (first..n_usable).map(fold).collect())
        };
        let values = Array2::from_shape_vec((asset.len(), width), values)
            .map_err(|_| Error::input("means", "whole rows", "others"))?;
        let means = FeatureTable::new(table.schema().clone(), values, asset)?;
        Ok(Self {
            table: match table.times() {
                Some(_) => means.at(times)?,
                None => means,
            },
            fold_of,
            n_folds,
        })
    }

    fn fold_of(&self, i: usize) -> Option<usize> {
        self.fold_of.get(i).copied().flatten()
    }
}

/// What a [`SmoothedDetector`] remembers of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmoothedState<S> {
    model: Fingerprint,
    rows: RecentRows,
    scores: RecentRows,
    /// The highest score since the score rose above the threshold.
    highest: Option<f64>,
    inner: S,
}

impl<M: AnomalyDetector> SmoothedDetector<M> {
    /// The score above which a row is anomalous, where nothing raises it.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The detector of the means.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// Rows a machine must have sent before its first score, as far as the inner detector does not ask for more.
    fn needed(&self) -> u32 {
        (self.n_rows + self.n_scores - 2) as u32
    }

    fn warm_up(&self, seen: usize) -> Assessment<AnomalyScore> {
        Assessment::Warmup {
            seen: seen as u32,
            needed: self.needed(),
        }
    }

    /// The mean of the last rows with `x`; not ready before there are enough.
    fn mean_row(&self, state: &SmoothedState<M::State>, x: FeatureView<'_>) -> Result<Assessment<Row>> {
        let schema = self.inner.schema();
        schema.expect(x.schema())?;
        if state.model != self.fingerprint {
            return Err(Error::state(
                "state",
                format!("one of model {}", self.fingerprint),
                format!("one of model {}", state.model),
            ));
        }
        let width = schema.len();
        if !(state.rows.fits(width, self.n_rows - 1) && state.scores.fits(1, self.n_scores - 1)) {
            return Err(Error::state("state", "rows and scores of this model", "others"));
        }
        if let Some(highest) = state.highest.filter(|h| !h.is_finite()) {
            return Err(Error::state("highest score", "a finite one", highest));
        }
        if let Some(reason) = UnusableReason::of_values(x.values()) {
            return Ok(Assessment::Unusable(reason));
        }
        let seen = state.rows.n_rows(width);
        if seen + 1 < self.n_rows {
            return Ok(Assessment::Warmup {
                seen: seen as u32,
                needed: self.needed(),
            });
        }
        let mut mean = Row::from_elem(0.0, width);
        state.rows.mean_with(x.values(), &mut mean);
        Ok(Assessment::Ready(mean))
    }

    /// What the inner detector's outcome for the newest mean makes of the scores before it.
    fn outcome(&self, state: &SmoothedState<M::State>, inner: Assessment<AnomalyScore>) -> Assessment<AnomalyScore> {
        let score = match inner {
            Assessment::Ready(score) => score.value,
            Assessment::Warmup { seen, needed } => {
                return Assessment::Warmup {
                    seen: seen.saturating_add(self.n_rows as u32 - 1),
                    needed: needed.saturating_add(self.needed()),
                };
            }
            other => return other,
        };
        let seen = state.scores.n_rows(1);
        if seen + 1 < self.n_scores {
            return self.warm_up(self.n_rows - 1 + seen);
        }
        let mut mean = [0.0];
        state.scores.mean_with(&[score], &mut mean);
        let [value] = mean;
        let highest = state.highest.unwrap_or(value).max(value);
        let raised = self.release * highest.max(0.0);
        Assessment::Ready(AnomalyScore {
            value,
            threshold: if raised > self.threshold && highest > 0.0 {
                raised
            } else {
                self.threshold
            },
        })
    }
}

fn view<'a>(schema: &'a FeatureSchema, mean: &'a [f64], x: FeatureView<'_>) -> Result<FeatureView<'a>> {
    let mean = FeatureView::new(schema, mean)?;
    Ok(match x.time() {
        Some(time) => mean.at(time),
        None => mean,
    })
}

impl<M: AnomalyDetector> OnlineModel for SmoothedDetector<M> {
    type State = SmoothedState<M::State>;
    type Output = AnomalyScore;

    fn schema(&self) -> &FeatureSchema {
        self.inner.schema()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) -> Self::State {
        SmoothedState {
            model: self.fingerprint,
            rows: RecentRows::default(),
            scores: RecentRows::default(),
            highest: None,
            inner: self.inner.new_state(),
        }
    }

    fn assess(&self, state: &Self::State, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        self.mean_row(state, x)?.and_then(|mean| {
            let inner = self.inner.assess(&state.inner, view(self.inner.schema(), &mean, x)?)?;
            Ok(self.outcome(state, inner))
        })
    }

    fn update(&self, state: &mut Self::State, x: FeatureView<'_>) -> Result<()> {
        self.step(state, x).map(|_| ())
    }

    fn step(&self, state: &mut Self::State, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        let outcome = self.mean_row(state, x)?.and_then(|mean| {
            let inner = self
                .inner
                .step(&mut state.inner, view(self.inner.schema(), &mean, x)?)?;
            let outcome = self.outcome(state, inner);
            if let Assessment::Ready(score) = inner {
                state.scores.push(&[score.value], self.n_scores - 1);
            }
            Ok(outcome)
        })?;
        if !matches!(outcome, Assessment::Unusable(_)) {
            state.rows.push(x.values(), self.n_rows - 1);
        }
        if let Assessment::Ready(score) = outcome {
            let above = score.value > self.threshold;
            state.highest = above.then(|| state.highest.unwrap_or(score.value).max(score.value));
        }
        Ok(outcome)
    }
}

impl<M: AnomalyDetector> AnomalyDetector for SmoothedDetector<M> {
    fn contributions_into(&self, state: &Self::State, x: FeatureView<'_>, out: &mut [f64]) -> Result<Assessment<()>> {
        check_places(out, self.inner.schema().len())?;
        match self.assess(state, x)? {
            Assessment::Ready(_) => {}
            other => return Ok(other.map(|_| ())),
        }
        match self.mean_row(state, x)? {
            Assessment::Ready(mean) => {
                let mean = view(self.inner.schema(), &mean, x)?;
                self.inner.contributions_into(&state.inner, mean, out)
            }
            other => Ok(other.map(|_| ())),
        }
    }
}

/// What is written of a [`SmoothedDetector`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmoothedRecord<R> {
    inner_kind: String,
    inner_version: u32,
    inner: R,
    n_rows: u64,
    n_scores: u64,
    release: f64,
    threshold: f64,
}

impl<M: AnomalyDetector + PersistentModel> PersistentModel for SmoothedDetector<M> {
    const KIND: &'static str = "detect.smoothed";
    const KIND_VERSION: u32 = 1;
    type Persisted = SmoothedRecord<M::Persisted>;

    fn to_persisted(&self) -> Self::Persisted {
        SmoothedRecord {
            inner_kind: M::KIND.into(),
            inner_version: M::KIND_VERSION,
            inner: self.inner.to_persisted(),
            n_rows: self.n_rows as u64,
            n_scores: self.n_scores as u64,
            release: self.release,
            threshold: self.threshold,
        }
    }

    fn from_persisted(p: Self::Persisted) -> Result<Self> {
        if (p.inner_kind.as_str(), p.inner_version) != (M::KIND, M::KIND_VERSION) {
            return Err(Error::persistence(format!(
                "inner detector: expected `{}` version {}, got `{}` version {}",
                M::KIND,
                M::KIND_VERSION,
                p.inner_kind,
                p.inner_version
            )));
        }
        let length = |name: &str, n: u64| match usize::try_from(n) {
            Ok(n) if (1..=LONGEST).contains(&n) => Ok(n),
            _ => Err(Error::persistence(format!("{name}: expected 1 to {LONGEST}, got {n}"))),
        };
        let (n_rows, n_scores) = (length("n_rows", p.n_rows)?, length("n_scores", p.n_scores)?);
        check_numbers("threshold", &[p.threshold], 1, f64::is_finite)?;
        check_numbers("release", &[p.release], 1, is_release)?;
        let mut model = Self {
            fingerprint: Fingerprint::of(&[]),
            inner: M::from_persisted(p.inner)?,
            n_rows,
            n_scores,
            release: p.release,
            threshold: p.threshold,
        };
        // Of what would be written: a file may say more than a model keeps.
        model.fingerprint = fingerprint_of(Self::KIND, &model.to_persisted())?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        detect::{MahalanobisDetector, MahalanobisParams},
        signal::Channel,
    };
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256Plus;

    fn noise(n: usize, seed: u64) -> Vec<[f64; 2]> {
        let mut rng = Xoshiro256Plus::seed_from_u64(seed);
        (0..n)
            .map(|_| [rng.gen_range(-1.0..1.0), rng.gen_range(-1.0..1.0) + 5.0])
            .collect()
    }

    fn schema() -> FeatureSchema {
        FeatureSchema::of_channels(&[Channel::new("a", "g"), Channel::new("b", "bar")]).unwrap()
    }

    fn table(rows: &[[f64; 2]], asset: Vec<u32>) -> FeatureTable {
        let values = Array2::from_shape_fn((rows.len(), 2), |(i, j)| rows[i][j]);
        FeatureTable::new(schema(), values, asset).unwrap()
    }

    fn one(rows: &[[f64; 2]]) -> DatasetBase<FeatureTable, ()> {
        DatasetBase::new(table(rows, vec![0; rows.len()]), ())
    }

    fn inner() -> MahalanobisParams {
        MahalanobisDetector::params()
    }

    fn run(detector: &SmoothedDetector<MahalanobisDetector>, rows: &[[f64; 2]]) -> Vec<Assessment<AnomalyScore>> {
        let (schema, mut state) = (schema(), detector.new_state());
        rows.iter()
            .map(|r| {
                detector
                    .step(&mut state, FeatureView::new(&schema, r).unwrap())
                    .unwrap()
            })
            .collect()
    }

    fn mean(rows: &[[f64; 2]]) -> [f64; 2] {
        [0, 1].map(|j| rows.iter().map(|r| r[j]).sum::<f64>() / rows.len() as f64)
    }

    #[test]
    fn scores_are_means_of_scores_of_means() {
        let params = SmoothedDetector::params(inner()).rows(4).scores(3);
        let detector = params.fit(&one(&noise(200, 1))).unwrap();
        let rows = noise(40, 2);
        let schema = schema();
        let score = |i: usize| {
            let mean = mean(&rows[i - 3..=i]);
            let x = FeatureView::new(&schema, &mean).unwrap();
            detector.inner().assess(&(), x).unwrap().ready().unwrap().value
        };
        for (i, got) in run(&detector, &rows).into_iter().enumerate() {
            if i < 5 {
                assert_eq!(
                    got,
                    Assessment::Warmup {
                        seen: i as u32,
                        needed: 5
                    }
                );
            } else {
                let got = got.ready().unwrap();
                let expected = (i - 2..=i).map(score).sum::<f64>() / 3.0;
                assert!((got.value / expected - 1.0).abs() < 1e-12, "row {i}");
                assert_eq!(got.threshold, detector.threshold());
            }
        }
    }

    /// The threshold of one machine, by hand: three blocks, means within them, the inner detector fitted on the means of
    /// the other two.
    #[test]
    fn the_threshold_is_a_quantile_of_held_out_means() {
        let rows = noise(90, 3);
        let params = SmoothedDetector::params(inner()).rows(4).scores(3).n_folds(3);
        let detector = params.false_alarm_rate(0.1).fit(&one(&rows)).unwrap();
        let schema = schema();
        let means =
            |block: usize| -> Vec<[f64; 2]> { rows[30 * block..30 * block + 30].windows(4).map(mean).collect() };
        let mut held_out = Vec::new();
        for block in 0..3 {
            let train: Vec<[f64; 2]> = (0..3).filter(|b| *b != block).flat_map(means).collect();
            let fitted = inner().fit(&one(&train)).unwrap();
            let score = |m: &[f64; 2]| {
                let x = FeatureView::new(&schema, m).unwrap();
                fitted.assess(&(), x).unwrap().ready().unwrap().value
            };
            let scores: Vec<f64> = means(block).iter().map(score).collect();
            held_out.extend(scores.windows(3).map(|w| w.iter().sum::<f64>() / 3.0));
        }
        held_out.sort_by(f64::total_cmp);
        // 3 blocks of 30 - 3 - 2 scores: rank ceil(76 * 0.9) = 69 of 75.
        assert_eq!(held_out.len(), 75);
        assert!((detector.threshold() / held_out[68] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn assets_are_averaged_and_held_out_apart() {
        // Interleaved machines whose levels differ: a mean over both would lie between.
        let rows = noise(120, 4);
        let shifted = |i: usize| [rows[i][0] + 100.0 * (i % 2) as f64, rows[i][1]];
        let both: Vec<[f64; 2]> = (0..120).map(shifted).collect();
        let asset = (0..120).map(|i| i as u32 % 2).collect();
        let means = Means::of(&table(&both, asset), 5, &ThresholdParams::default()).unwrap();
        assert_eq!((means.table.n_rows(), means.n_folds), (112, 2));
        for (i, row) in means.table.rows().enumerate() {
            let asset = means.table.asset()[i];
            assert!((row[0] - 100.0 * f64::from(asset)).abs() < 1.0);
            assert_eq!(means.fold_of(i), means.fold_of(asset as usize));
        }
        assert_ne!(means.fold_of(0), means.fold_of(1));
    }

    #[test]
    fn no_mean_of_a_block_holds_a_row_of_another() {
        let rows: Vec<[f64; 2]> = (0..40).map(|i| [f64::from(i), 0.0]).collect();
        let threshold = ThresholdParams {
            n_folds: 4,
            ..ThresholdParams::default()
        };
        let means = Means::of(&table(&rows, vec![0; 40]), 3, &threshold).unwrap();
        for (i, row) in means.table.rows().enumerate() {
            let middle = row[0].round() as usize; // the mean of three rows behind each other
            let blocks = [middle - 1, middle, middle + 1].map(|r| r / 10);
            let inside = blocks[0] == blocks[2];
            assert_eq!(means.fold_of(i), inside.then_some(blocks[0]), "mean {i}");
        }
    }

    #[test]
    fn means_over_healthy_rows_keep_the_rate_and_see_a_small_step() {
        let detector = |n| {
            let params = SmoothedDetector::params(inner()).rows(n).false_alarm_rate(0.05);
            params.fit(&one(&noise(4000, 5))).unwrap()
        };
        let share = |d: &SmoothedDetector<_>, rows: &[[f64; 2]]| {
            let scores: Vec<_> = run(d, rows).into_iter().filter_map(Assessment::ready).collect();
            scores.iter().filter(|s| s.is_anomalous()).count() as f64 / scores.len() as f64
        };
        let healthy = noise(8000, 6);
        let stepped: Vec<[f64; 2]> = healthy.iter().map(|r| [r[0] + 0.5, r[1]]).collect();
        for n in [1, 20] {
            // 8000 rows hold 400 independent means of 20: the rate has a standard deviation of 0.011, and that of the
            // threshold's rank among 200 in training adds 0.015.
            let rate = share(&detector(n), &healthy);
            assert!((rate - 0.05).abs() < 0.05, "{n}: {rate}");
        }
        // The step is 0.87 standard deviations of a row, and 3.9 of a mean of 20.
        assert!(share(&detector(1), &stepped) < 0.3 && share(&detector(20), &stepped) > 0.9);
    }

    #[test]
    fn an_anomaly_ends_at_its_share_of_the_highest_score() {
        let params = SmoothedDetector::params(inner()).release(0.1);
        let detector = params.fit(&one(&noise(400, 7))).unwrap();
        let plain = SmoothedDetector::params(inner()).fit(&one(&noise(400, 7))).unwrap();
        // Distance from the mean grows with the first value: healthy, far out, a tenth of that squared, healthy, as before.
        let rows = [0.0, 30.0, 10.0, 8.0, 30.0, 8.0, 0.0, 8.0, 2e150, 1e9].map(|v| [v, 5.0]);
        let anomalous = |d| -> Vec<bool> {
            let scores = run(d, &rows).into_iter().map(|a| a.ready().unwrap());
            scores.map(AnomalyScore::is_anomalous).collect()
        };
        let (t, f) = (true, false);
        assert_eq!(anomalous(&plain), [f, t, t, t, t, t, f, t, t, t]);
        assert_eq!(anomalous(&detector), [f, t, t, f, t, f, f, t, t, t]); // beyond 10^6 deviations all are equal
        let thresholds: Vec<f64> = run(&detector, &rows)
            .into_iter()
            .map(|a| a.ready().unwrap().threshold)
            .collect();
        assert!(
            thresholds[0] == detector.threshold() && thresholds[6] > thresholds[0] && thresholds[7] < thresholds[6]
        );
    }

    #[test]
    fn unusable_rows_leave_no_trace() {
        let params = SmoothedDetector::params(inner()).rows(3).scores(2);
        let detector = params.fit(&one(&noise(100, 8))).unwrap();
        let clean = noise(20, 9);
        let mut gappy = clean.clone();
        gappy.insert(1, [f64::NAN, 0.0]);
        gappy.insert(9, [0.0, f64::INFINITY]);
        let without_bad: Vec<_> = run(&detector, &gappy)
            .into_iter()
            .filter(|a| !matches!(a, Assessment::Unusable(_)))
            .collect();
        assert_eq!(without_bad, run(&detector, &clean));
        // In training they are left out likewise.
        let (train, mut holed) = (noise(100, 8), noise(100, 8));
        holed.insert(50, [f64::NAN; 2]);
        assert_eq!(
            params.fit(&one(&holed)).unwrap().fingerprint(),
            params.fit(&one(&train)).unwrap().fingerprint()
        );
    }

    #[test]
    fn bad_parameters_are_named() {
        let named = |params: SmoothedParams<MahalanobisParams>, name: &str| {
            let e = params.check().err().unwrap();
            assert!(
                e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
                "{e}"
            );
        };
        let params = || SmoothedDetector::params(inner());
        for n in [0, LONGEST + 1] {
            named(params().rows(n), "rows");
            named(params().scores(n), "scores");
        }
        for share in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
            named(params().release(share), "release");
        }
        named(params().false_alarm_rate(0.0), "false_alarm_rate");
        named(params().n_folds(1), "n_folds");
        named(SmoothedDetector::params(inner().n_folds(0)), "n_folds");
        let insufficient = |params: SmoothedParams<MahalanobisParams>| {
            let e = params.fit(&one(&noise(50, 10))).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InsufficientData, "{e}");
        };
        insufficient(params().rows(51)); // no mean at all
        insufficient(params().rows(11)); // none within a block of 10
        insufficient(params().rows(5).scores(7)); // no score within a block
        insufficient(params().n_folds(26)); // fewer than two rows a fold
        insufficient(params().n_folds(usize::MAX));
        named(params().fixed_threshold(f64::NAN), "fixed_threshold");
        let fixed = params()
            .rows(40)
            .fixed_threshold(3.0)
            .fit(&one(&noise(51, 10)))
            .unwrap();
        assert_eq!(fixed.threshold(), 3.0);
    }

    #[test]
    fn altered_records_and_states_are_refused() {
        let detector = SmoothedDetector::params(inner())
            .rows(3)
            .scores(2)
            .fit(&one(&noise(60, 11)));
        let detector = detector.unwrap();
        let refused = |change: &dyn Fn(&mut SmoothedRecord<_>)| {
            let mut record = detector.to_persisted();
            change(&mut record);
            let e = SmoothedDetector::<MahalanobisDetector>::from_persisted(record)
                .err()
                .unwrap();
            assert_eq!(e.kind(), ErrorKind::Persistence, "{e}");
        };
        refused(&|r| r.inner_kind = "detect.pca".into());
        refused(&|r| r.inner_version += 1);
        refused(&|r| r.n_rows = 0);
        refused(&|r| r.n_scores = u64::MAX);
        refused(&|r| r.release = f64::NAN);
        refused(&|r| r.threshold = f64::INFINITY);

        let schema = schema();
        let x = FeatureView::new(&schema, &[0.0, 5.0]).unwrap();
        let mut state = detector.new_state();
        (0..5).for_each(|_| state.rows.push(&[1.0, 2.0], 5));
        assert_eq!(detector.assess(&state, x).unwrap_err().kind(), ErrorKind::StateMismatch);
        for highest in [f64::INFINITY, f64::NAN] {
            let mut state = detector.new_state();
            state.highest = Some(highest);
            let e = detector.step(&mut state, x).unwrap_err();
            assert!(
                e.kind() == ErrorKind::StateMismatch && e.to_string().contains("highest"),
                "{e}"
            );
        }
    }
}
