//! Detectors that remember a machine's rows: what all of them share.

use super::{
    calibration::threshold::{ThresholdParams, folds_of, threshold_setters},
    row_detector::check_places,
    rows::{Sequences, StreamRow},
    standard::{Row, Standard, check_numbers},
    units::{Baseline, LARGEST_BASELINE, Scaling, Units, UnitsRecord},
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{AnomalyDetector, AnomalyScore, Assessment, OnlineModel, PersistentModel, UnusableReason, fingerprint_of},
    quantity::{Seed, Timestamp},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// A streaming algorithm before it has seen rows: its settings, and what it learns offline.
pub trait StreamAlgorithm: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The fitted half.
    type Scorer: StreamScorer;

    /// Checks the settings, by themselves.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting, what was expected and what came.
    fn check(&self) -> Result<()>;

    /// Makes the scorer for rows of `sequences.width()` columns, at least one. `sequences` are the training rows of each
    /// machine, in the units that [`Scaling`] says; there is none where the detector is made without training. All chance
    /// comes from `seed`.
    ///
    /// # Errors
    /// `InvalidParameter` for settings that do not go with these rows, `InsufficientData` where training is needed and
    /// there are too few rows, `NotConverged`.
    fn fit(&self, sequences: &Sequences, seed: Seed) -> Result<Self::Scorer>;
}

/// The fitted half of a streaming algorithm: what all machines share. What it remembers of one machine is its
/// [`Memory`](StreamScorer::Memory), which is bounded.
///
/// Rows are finite: in standard units clamped to ±10⁶, or raw and clamped to ±10¹⁵⁰ ([`Scaling`]). Nothing here may panic
/// on such rows or on a memory that [`accepts`](StreamScorer::accepts) took, or allocate for a row once the memory is full.
pub trait StreamScorer: Clone + fmt::Debug + Send + Sync + 'static {
    /// The stable name of the algorithm in files: `detect.` and a word.
    const KIND: &'static str;
    /// The version of [`Record`](StreamScorer::Record).
    const KIND_VERSION: u32 = 1;
    /// What is written of the scorer.
    type Record: Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned;
    /// What is remembered of one machine; read back through validation (`#[serde(try_from = ..)]`) of what it can check
    /// by itself.
    type Memory: Clone + fmt::Debug + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// Number of columns of the rows it takes.
    fn width(&self) -> usize;

    /// The memory of a machine of which nothing is known yet.
    fn new_memory(&self) -> Self::Memory;

    /// Whether `memory` has the sizes that this scorer's memories have. Called for every row: `O(1)`.
    fn accepts(&self, memory: &Self::Memory) -> bool;

    /// Rows a new memory must have taken before its scores count.
    fn warm_up(&self) -> u32;

    /// How unusual `x` is as the next row of the machine: finite, higher for the more unusual.
    fn score(&self, memory: &Self::Memory, x: StreamRow<'_>) -> f64;

    /// Takes `x` into the memory. `learn` is false for a row that the [`LearningPolicy`] keeps out of what is usual: it
    /// still moves what follows the machine (filters, cumulative sums, windows, clocks), but not the reference.
    fn update(&self, memory: &mut Self::Memory, x: StreamRow<'_>, learn: bool);

    /// [`score`](StreamScorer::score), then [`update`](StreamScorer::update), where that saves work; the same bits.
    /// `learn` says from the score whether the row is to be learnt.
    fn step(&self, memory: &mut Self::Memory, x: StreamRow<'_>, learn: impl FnOnce(f64) -> bool) -> f64 {
        let score = self.score(memory, x);
        self.update(memory, x, learn(score));
        score
    }

    /// Each column's share of the score of `x`, finite, into `out`, which has one place a column and holds zeros.
    fn contributions_into(&self, memory: &Self::Memory, x: StreamRow<'_>, out: &mut [f64]);

    /// What is written.
    fn to_record(&self) -> Self::Record;

    /// The scorer that was written as `record`, for rows of `width` columns. Everything that the promises of this trait
    /// rest on is checked.
    ///
    /// # Errors
    /// `Persistence`.
    fn from_record(record: Self::Record, width: usize) -> Result<Self>;
}

/// Which rows of a machine a streaming detector learns from, once it is warm. Until then it learns from all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LearningPolicy {
    /// From all: what lasts becomes usual.
    #[default]
    Always,
    /// From rows whose score does not exceed the threshold: a fault is not learnt, nor is a new way of working.
    WhenNormal,
    /// From none.
    Frozen,
}

/// What a new machine's memory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// Nothing: the machine warms up by itself.
    #[default]
    Empty,
    /// What the rows of all training machines left, one machine behind the other; at least as many as warm a memory up.
    Trained,
}

/// A fitted streaming detector: an algorithm, the units of its rows, a threshold, and when it learns.
///
/// Each algorithm's page says what it is for; what all share (thresholds, missing values, extremes, learning) stands in
/// [the module](crate::detect).
#[derive(Clone, Debug)]
pub struct StreamDetector<S: StreamScorer> {
    schema: FeatureSchema,
    fingerprint: Fingerprint,
    units: Units,
    pub(super) scorer: S,
    threshold: f64,
    learning: LearningPolicy,
    /// What new machines start with; `None` for nothing.
    start: Option<S::Memory>,
    n_rows: u64,
}

/// What a streaming detector remembers of one machine; carries the detector's fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamState<M> {
    model: Fingerprint,
    last: Option<Timestamp>,
    /// Rows taken, up to the largest number.
    n_rows: u32,
    /// Of the machine's first rows, where they are the measure.
    baseline: Option<Baseline>,
    memory: M,
}

/// Parameters of a [`StreamDetector`], not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDetectorParams<A>(StreamDetectorValidParams<A>);

/// Checked parameters of a [`StreamDetector`].
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDetectorValidParams<A> {
    algorithm: A,
    scaling: Scaling,
    learning: LearningPolicy,
    start: Start,
    threshold: ThresholdParams,
}

impl<A: StreamAlgorithm> StreamDetectorParams<A> {
    /// Parameters around `algorithm`: training units, learning always, empty memories, a false alarm rate of 0.01, five
    /// folds, seed 0.
    pub fn new(algorithm: A) -> Self {
        Self(StreamDetectorValidParams {
            algorithm,
            scaling: Scaling::Training,
            learning: LearningPolicy::Always,
            start: Start::Empty,
            threshold: ThresholdParams::default(),
        })
    }

    /// The same parameters with a setting of the algorithm changed.
    #[must_use]
    pub(super) fn with(mut self, change: impl FnOnce(&mut A)) -> Self {
        change(&mut self.0.algorithm);
        self
    }

    /// The units of rows. Default [`Scaling::Training`].
    #[must_use]
    pub fn scaling(mut self, scaling: Scaling) -> Self {
        self.0.scaling = scaling;
        self
    }

    /// Which rows are learnt. Default [`LearningPolicy::Always`].
    #[must_use]
    pub fn learning(mut self, learning: LearningPolicy) -> Self {
        self.0.learning = learning;
        self
    }

    /// What new machines start with. Default [`Start::Empty`].
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.0.start = start;
        self
    }

    threshold_setters!();

    /// A detector that has seen no training row: every machine starts from nothing.
    ///
    /// # Errors
    /// `InvalidParameter` for [`Scaling::Training`], [`Start::Trained`] or without a
    /// [`fixed_threshold`](StreamDetectorParams::fixed_threshold), all of which need training; otherwise as the algorithm.
    pub fn untrained(&self, schema: FeatureSchema) -> Result<StreamDetector<A::Scorer>> {
        let p = self.check_ref()?;
        if p.scaling == Scaling::Training {
            return Err(Error::parameter(
                "scaling",
                "first rows or raw without training rows",
                "training",
            ));
        }
        if p.start == Start::Trained {
            return Err(Error::parameter("start", "empty without training rows", "trained"));
        }
        let Some(threshold) = p.threshold.fixed else {
            return Err(Error::parameter(
                "fixed_threshold",
                "a number without training rows",
                "none",
            ));
        };
        let sequences = Sequences::new(schema.len());
        let scorer = p.algorithm.fit(&sequences, p.threshold.seed)?;
        StreamDetector::from_persisted(StreamDetectorRecord {
            schema,
            units: Units::of(p.scaling, || {
                Err(Error::parameter("scaling", "no training", "training"))
            })?
            .to_record(),
            algorithm: scorer.to_record(),
            threshold,
            learning: p.learning,
            start: None,
            n_rows: 0,
        })
        .map_err(|e| e.context(<A::Scorer as StreamScorer>::KIND))
    }
}

impl<A: StreamAlgorithm + Default> Default for StreamDetectorParams<A> {
    fn default() -> Self {
        Self::new(A::default())
    }
}

impl<A: StreamAlgorithm> ParamGuard for StreamDetectorParams<A> {
    type Checked = StreamDetectorValidParams<A>;
    type Error = Error;

    fn check_ref(&self) -> Result<&StreamDetectorValidParams<A>> {
        self.0.algorithm.check()?;
        self.0.threshold.check()?;
        match self.0.scaling {
            Scaling::FirstRows(n) if !(2..=LARGEST_BASELINE).contains(&n) => {
                let range = format!("from 2 to {LARGEST_BASELINE} first rows");
                Err(Error::parameter("scaling", range, n))
            }
            _ => Ok(&self.0),
        }
    }

    fn check(self) -> Result<StreamDetectorValidParams<A>> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// Targets are not looked at. Each asset's rows are its stream, in the order of the table.
impl<A: StreamAlgorithm, T> Fit<FeatureTable, T, Error> for StreamDetectorValidParams<A> {
    type Object = StreamDetector<A::Scorer>;

    /// # Errors
    /// Those of the algorithm; `InsufficientData` with fewer than two usable rows a fold, where no feature varies, where
    /// no machine has more rows than the detector needs before its first score, or where [`Start::Trained`] finds fewer
    /// rows, outside of any fold, than a memory needs.
    fn fit(&self, dataset: &DatasetBase<FeatureTable, T>) -> Result<Self::Object> {
        self.fit_table(dataset.records())
            .map_err(|e| e.context(<A::Scorer as StreamScorer>::KIND))
    }
}

/// The usable rows of one machine, or of one stretch of it.
type Stretch<'a> = Vec<FeatureView<'a>>;

impl<A: StreamAlgorithm> StreamDetectorValidParams<A> {
    fn fit_table(&self, table: &FeatureTable) -> Result<StreamDetector<A::Scorer>> {
        let mut machines: Vec<Stretch<'_>> = vec![Vec::new(); table.n_assets()];
        let usable = |x: &FeatureView<'_>| x.values().iter().all(|v| v.is_finite());
        for (x, &asset) in table.views().zip(table.asset()).filter(|(x, _)| usable(x)) {
            if let Some(machine) = machines.get_mut(asset as usize) {
                machine.push(x);
            }
        }
        machines.retain(|m| !m.is_empty());
        let mut detector = self.fit_stretches(table.schema(), machines.iter().map(Vec::as_slice))?;
        if self.threshold.fixed.is_none() {
            let mut scores = self.held_out_scores(table, &machines)?;
            detector.threshold = self.threshold.of_scores(&mut scores)?;
        }
        StreamDetector::from_persisted(detector)
    }

    /// The detector of these stretches, its threshold still open.
    fn fit_stretches<'a>(
        &self,
        schema: &FeatureSchema,
        stretches: impl Iterator<Item = &'a [FeatureView<'a>]> + Clone,
    ) -> Result<RecordOf<A::Scorer>> {
        let rows: Vec<&[f64]> = stretches.clone().flatten().map(|x| x.values()).collect();
        if rows.len() < 2 {
            return Err(Error::insufficient(
                "training rows without a missing value",
                "at least 2",
                rows.len(),
            ));
        }
        let units = Units::of(self.scaling, || Standard::fit(&rows))?;
        let mut sequences = Sequences::new(units.width(schema));
        for stretch in stretches {
            let mut baseline = units.new_baseline(schema);
            let (mut last, mut n_rows) = (None, 0_u32);
            for x in stretch {
                if last.is_some() && x.time().is_some() && x.time() <= last {
                    continue; // as when scoring
                }
                last = x.time().or(last);
                if units.is_ready(n_rows) {
                    sequences.push(units.row(baseline.as_ref(), x.values()), x.time());
                } else if let Some(baseline) = &mut baseline {
                    baseline.learn(n_rows + 1, x.values());
                }
                n_rows = n_rows.saturating_add(1);
            }
            sequences.end();
        }
        let scorer = self.algorithm.fit(&sequences, self.threshold.seed)?;
        let (n_taken, needed) = (sequences.all().len(), scorer.warm_up());
        if self.start == Start::Trained && n_taken < needed as usize {
            return Err(Error::insufficient(
                "training rows that new machines start with",
                format!("at least {needed}, those of the warm-up"),
                n_taken,
            ));
        }
        let start = (self.start == Start::Trained).then(|| {
            let mut memory = scorer.new_memory();
            sequences
                .iter()
                .flatten()
                .for_each(|x| scorer.update(&mut memory, x, true));
            memory
        });
        Ok(StreamDetectorRecord {
            schema: schema.clone(),
            units: units.to_record(),
            algorithm: scorer.to_record(),
            threshold: self.threshold.fixed.unwrap_or(0.0),
            learning: self.learning,
            start,
            n_rows: rows.len() as u64,
        })
    }

    /// Scores of each machine's rows under a detector fitted on the other machines.
    fn held_out_scores(&self, table: &FeatureTable, machines: &[Stretch<'_>]) -> Result<Vec<f64>> {
        let n_rows: usize = machines.iter().map(Vec::len).sum();
        let needed = self.threshold.n_folds.saturating_mul(2);
        if n_rows < needed {
            return Err(Error::insufficient(
                "training rows without a missing value",
                format!("at least {needed}, two a fold"),
                format!("{n_rows} of {}", table.n_rows()),
            ));
        }
        // A single machine is cut into as many stretches as there are folds; then stretches are held out like machines.
        let stretches: Vec<&[FeatureView<'_>]> = match machines {
            [one] => one.chunks(one.len().div_ceil(self.threshold.n_folds)).collect(),
            many => many.iter().map(Vec::as_slice).collect(),
        };
        let (n_folds, fold_of) = folds_of(stretches.len(), self.threshold.n_folds, self.threshold.seed)?;
        // Only this policy asks for the threshold, which is not known yet: all that is healthy is normal.
        let always = (self.learning == LearningPolicy::WhenNormal).then_some(true);
        let mut scores = Vec::with_capacity(n_rows);
        for fold in 0..n_folds {
            let in_fold = |wanted: bool| -> Vec<&[FeatureView<'_>]> {
                let chosen = stretches.iter().zip(&fold_of).filter(|(_, f)| (**f == fold) == wanted);
                chosen.map(|(s, _)| *s).collect()
            };
            let context = |e: Error| e.context(format_args!("fold {} of {n_folds}, for the threshold", fold + 1));
            let detector = StreamDetector::<A::Scorer>::from_persisted(
                self.fit_stretches(table.schema(), in_fold(false).into_iter())
                    .map_err(context)?,
            )?;
            for stretch in in_fold(true) {
                let mut state = detector.new_state();
                for x in stretch {
                    if let Assessment::Ready(score) = detector.step_learning(&mut state, *x, always)? {
                        scores.push(score.value);
                    }
                }
            }
        }
        if scores.is_empty() {
            let longest = stretches.iter().map(|s| s.len()).max().unwrap_or(0);
            return Err(Error::insufficient(
                "rows of a machine held out for the threshold",
                "more than the detector needs before its first score",
                format!("at most {longest}"),
            ));
        }
        Ok(scores)
    }
}

impl<M> StreamState<M> {
    /// Instant of the last usable row.
    pub fn last_time(&self) -> Option<Timestamp> {
        self.last
    }

    /// Usable rows taken.
    pub fn n_rows(&self) -> u32 {
        self.n_rows
    }

    /// What the algorithm remembers.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    fn learn_baseline(&mut self, x: &[f64]) {
        if let Some(baseline) = &mut self.baseline {
            baseline.learn(self.n_rows.saturating_add(1), x);
        }
    }

    fn count(&mut self, time: Option<Timestamp>) {
        self.n_rows = self.n_rows.saturating_add(1);
        self.last = time.or(self.last);
    }
}

impl<S: StreamScorer> StreamDetector<S> {
    /// The score above which a row is anomalous.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Training rows used.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Which rows are learnt.
    pub fn learning(&self) -> LearningPolicy {
        self.learning
    }

    /// Usable rows a new machine must send before its first score.
    pub fn warm_up(&self) -> u32 {
        match self.start {
            Some(_) => self.units.n_baseline(),
            None => self.units.n_baseline().saturating_add(self.scorer.warm_up()),
        }
    }

    /// Refuses a state of another model, or one that this model cannot have made.
    #[inline]
    pub(super) fn expect_state(&self, state: &StreamState<S::Memory>) -> Result<()> {
        if state.model != self.fingerprint {
            return Err(Error::state(
                "state",
                format!("one of model {}", self.fingerprint),
                format!("one of model {}", state.model),
            ));
        }
        let has_baseline = state.baseline.as_ref().map(|b| b.is_sound(self.schema.len()));
        let wants_baseline = matches!(self.units, Units::FirstRows(_)).then_some(true);
        if has_baseline != wants_baseline || !self.scorer.accepts(&state.memory) {
            return Err(Error::state("state", "the sizes this model's states have", "others"));
        }
        Ok(())
    }

    /// The row in the algorithm's units, and what may be said of it; refuses what does not belong here.
    #[inline]
    fn admit(&self, state: &StreamState<S::Memory>, x: FeatureView<'_>) -> Result<Assessment<Row>> {
        self.schema.expect(x.schema())?;
        self.expect_state(state)?;
        if let Some(reason) = UnusableReason::of_values(x.values()) {
            return Ok(Assessment::Unusable(reason));
        }
        if state.last.is_some() && x.time().is_some() && x.time() <= state.last {
            return Ok(Assessment::Unusable(UnusableReason::TimeNotIncreasing));
        }
        if !self.units.is_ready(state.n_rows) {
            return Ok(self.cold(state));
        }
        Ok(Assessment::Ready(self.units.row(state.baseline.as_ref(), x.values())))
    }

    fn cold<T>(&self, state: &StreamState<S::Memory>) -> Assessment<T> {
        Assessment::Warmup {
            seen: state.n_rows,
            needed: self.warm_up(),
        }
    }

    fn is_warm(&self, state: &StreamState<S::Memory>) -> bool {
        state.n_rows >= self.warm_up()
    }

    fn learns(&self, score: f64) -> bool {
        match self.learning {
            LearningPolicy::Always => true,
            LearningPolicy::WhenNormal => score <= self.threshold,
            LearningPolicy::Frozen => false,
        }
    }

    fn ready(&self, value: f64) -> Assessment<AnomalyScore> {
        Assessment::Ready(AnomalyScore {
            value,
            threshold: self.threshold,
        })
    }

    /// A step that learns as the policy says, or as `always` says.
    #[inline]
    fn step_learning(
        &self,
        state: &mut StreamState<S::Memory>,
        x: FeatureView<'_>,
        always: Option<bool>,
    ) -> Result<Assessment<AnomalyScore>> {
        let admitted = self.admit(state, x)?;
        if let Assessment::Unusable(reason) = admitted {
            return Ok(Assessment::Unusable(reason));
        }
        let warm = self.is_warm(state);
        let outcome = match admitted {
            Assessment::Ready(z) => {
                let row = StreamRow {
                    values: &z,
                    time: x.time(),
                };
                let value = self.scorer.step(&mut state.memory, row, |score| {
                    always.unwrap_or_else(|| !warm || self.learns(score))
                });
                if warm { self.ready(value) } else { self.cold(state) }
            }
            _ => {
                let outcome = self.cold(state);
                state.learn_baseline(x.values());
                outcome
            }
        };
        state.count(x.time());
        Ok(outcome)
    }
}

impl<S: StreamScorer> OnlineModel for StreamDetector<S> {
    type State = StreamState<S::Memory>;
    type Output = AnomalyScore;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) -> Self::State {
        StreamState {
            model: self.fingerprint,
            last: None,
            n_rows: 0,
            baseline: self.units.new_baseline(&self.schema),
            memory: self.start.clone().unwrap_or_else(|| self.scorer.new_memory()),
        }
    }

    fn assess(&self, state: &Self::State, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        Ok(match self.admit(state, x)? {
            Assessment::Ready(z) if self.is_warm(state) => {
                let row = StreamRow {
                    values: &z,
                    time: x.time(),
                };
                self.ready(self.scorer.score(&state.memory, row))
            }
            Assessment::Unusable(reason) => Assessment::Unusable(reason),
            _ => self.cold(state),
        })
    }

    fn update(&self, state: &mut Self::State, x: FeatureView<'_>) -> Result<()> {
        if self.learning == LearningPolicy::WhenNormal {
            return self.step(state, x).map(|_| ()); // learning waits for the score
        }
        let learn = self.learning == LearningPolicy::Always || !self.is_warm(state);
        match self.admit(state, x)? {
            Assessment::Unusable(_) => return Ok(()),
            Assessment::Ready(z) => {
                let row = StreamRow {
                    values: &z,
                    time: x.time(),
                };
                self.scorer.update(&mut state.memory, row, learn);
            }
            _ => state.learn_baseline(x.values()),
        }
        state.count(x.time());
        Ok(())
    }

    fn step(&self, state: &mut Self::State, x: FeatureView<'_>) -> Result<Assessment<AnomalyScore>> {
        self.step_learning(state, x, None)
    }
}

impl<S: StreamScorer> StreamDetector<S> {
    /// One number a feature by `fill`, which gets the scorer, the memory, the row and one zero a column of it.
    pub(super) fn fill_features(
        &self,
        state: &StreamState<S::Memory>,
        x: FeatureView<'_>,
        out: &mut [f64],
        fill: impl FnOnce(&S, &S::Memory, StreamRow<'_>, &mut [f64]),
    ) -> Result<Assessment<()>> {
        check_places(out, self.schema.len())?;
        let z = match self.admit(state, x)? {
            Assessment::Ready(z) if self.is_warm(state) => z,
            Assessment::Unusable(reason) => return Ok(Assessment::Unusable(reason)),
            _ => return Ok(self.cold(state)),
        };
        out.fill(0.0);
        let row = StreamRow {
            values: &z,
            time: x.time(),
        };
        if let Some(own) = out.get_mut(..z.len()) {
            fill(&self.scorer, &state.memory, row, own);
        }
        if let Units::Training(standard) = &self.units {
            standard.scatter(out);
        }
        Ok(Assessment::Ready(()))
    }
}

impl<S: StreamScorer> AnomalyDetector for StreamDetector<S> {
    fn contributions_into(&self, state: &Self::State, x: FeatureView<'_>, out: &mut [f64]) -> Result<Assessment<()>> {
        self.fill_features(state, x, out, S::contributions_into)
    }
}

/// What is written of a [`StreamDetector`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamDetectorRecord<R, M> {
    schema: FeatureSchema,
    units: UnitsRecord,
    algorithm: R,
    threshold: f64,
    learning: LearningPolicy,
    start: Option<M>,
    n_rows: u64,
}

type RecordOf<S> = StreamDetectorRecord<<S as StreamScorer>::Record, <S as StreamScorer>::Memory>;

impl<S: StreamScorer> PersistentModel for StreamDetector<S> {
    const KIND: &'static str = S::KIND;
    const KIND_VERSION: u32 = S::KIND_VERSION;
    type Persisted = RecordOf<S>;

    fn to_persisted(&self) -> Self::Persisted {
        StreamDetectorRecord {
            schema: self.schema.clone(),
            units: self.units.to_record(),
            algorithm: self.scorer.to_record(),
            threshold: self.threshold,
            learning: self.learning,
            start: self.start.clone(),
            n_rows: self.n_rows,
        }
    }

    fn from_persisted(p: Self::Persisted) -> Result<Self> {
        let units = Units::from_record(p.units, p.schema.len())?;
        check_numbers("threshold", &[p.threshold], 1, f64::is_finite)?;
        let scorer = S::from_record(p.algorithm, units.width(&p.schema))?;
        if p.start.as_ref().is_some_and(|m| !scorer.accepts(m)) {
            return Err(Error::persistence(
                "start: expected a memory of this detector's sizes, got another",
            ));
        }
        let mut model = Self {
            schema: p.schema,
            fingerprint: Fingerprint::of(&[]),
            units,
            scorer,
            threshold: p.threshold,
            learning: p.learning,
            start: p.start,
            n_rows: p.n_rows,
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
        detect::{PageHinkley, PageHinkleyParams},
        signal::Channel,
    };
    use ndarray::Array2;

    const N: usize = 60;

    /// A level that creeps upwards, on two machines alike.
    fn table() -> DatasetBase<FeatureTable, ()> {
        let schema = FeatureSchema::of_channels(&[Channel::new("pressure", "bar")]).unwrap();
        let values = Array2::from_shape_fn((2 * N, 1), |(i, _)| 0.1 * (i / 2) as f64 + (i / 2 % 3) as f64);
        let asset = (0..2 * N).map(|i| i as u32 % 2).collect();
        DatasetBase::new(FeatureTable::new(schema, values, asset).unwrap(), ())
    }

    fn params() -> PageHinkleyParams {
        PageHinkley::params().scaling(Scaling::Raw).warm_up(10)
    }

    /// In raw units the test learns nothing offline, so that the fitted detector is that of each fold but for its
    /// threshold: the highest score of a machine, run as it will be run.
    #[test]
    fn held_out_machines_learn_as_live_ones() {
        let data = table();
        let highest = |learning| {
            let detector = params().learning(learning).false_alarm_rate(1e-9).fit(&data).unwrap();
            let mut state = detector.new_state();
            let machine = data.records().views().step_by(2);
            let scores = machine.filter_map(|x| detector.step(&mut state, x).unwrap().ready());
            let highest = scores.map(|s| s.value).fold(0.0, f64::max);
            assert_eq!(detector.threshold(), highest, "{learning:?}");
            highest
        };
        let [always, normal, frozen] = [
            LearningPolicy::Always,
            LearningPolicy::WhenNormal,
            LearningPolicy::Frozen,
        ]
        .map(highest);
        assert!(always == normal && frozen > 1.5 * always, "{always} {frozen}");
    }

    #[test]
    fn trained_starts_are_warm() {
        let trained = |n| params().warm_up(n).start(Start::Trained);
        assert_eq!(trained(60).fit(&table()).unwrap().warm_up(), 0);
        // A fold has the 60 rows of one machine only, all rows are 120.
        for (params, of) in [
            (trained(61), "fold 1 of 2"),
            (trained(121).fixed_threshold(1.0), "got 120"),
        ] {
            let e = params.fit(&table()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InsufficientData, "{e}");
            assert!(e.to_string().contains(of) && e.to_string().contains("warm-up"), "{e}");
        }
        assert!(trained(120).fixed_threshold(1.0).fit(&table()).is_ok());
    }
}
