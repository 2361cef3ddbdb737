//! Regressors that follow a machine through its life: what all of them share.

use super::{RulLabels, check_level};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{
        Assessment, NoPrognosis, OnlineModel, PersistentModel, RulDistribution, RulEstimate, RulRegressor,
        UnusableReason, fingerprint_of,
    },
    quantity::{LifeUnit, Seed, Timestamp},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use smallvec::SmallVec;
use std::fmt;

/// Readings of a row beyond this are no readings: their squares would leave the range of numbers.
const LARGEST: f64 = 1e100;

/// The record of one machine that a regressor is fitted on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RecordedLife<'a> {
    /// Life units since birth at each row: strictly increasing, the first not negative. At least one.
    pub ages: &'a [f64],
    /// The chosen readings, row-major, finite, `width` a row.
    pub values: &'a [f64],
    /// Readings a row.
    pub width: usize,
    /// Age at the end of the record, not below the last of `ages`.
    pub end: f64,
    /// Whether the machine failed at `end`. Otherwise it went on: its life is only known to be longer (right-censored).
    pub failed: bool,
}

impl<'a> RecordedLife<'a> {
    /// A record that keeps what its fields promise.
    ///
    /// # Errors
    /// `InvalidInput` where a promise of a field is broken; `InsufficientData` without a row or a reading.
    pub fn new(ages: &'a [f64], values: &'a [f64], width: usize, end: f64, failed: bool) -> Result<Self> {
        if ages.is_empty() || width == 0 {
            return Err(Error::insufficient(
                "recorded life",
                "at least 1 row of 1 reading",
                format!("{} rows of {width}", ages.len()),
            ));
        }
        if ages.len().checked_mul(width) != Some(values.len()) {
            return Err(Error::input(
                "recorded life",
                format!("{} rows of {width} readings", ages.len()),
                format!("{} readings", values.len()),
            ));
        }
        if let Some(v) = values.iter().find(|v| !v.is_finite()) {
            return Err(Error::input("reading of a recorded life", "finite", v));
        }
        let mut before = -1.0;
        for &age in ages {
            let follows = age.is_finite() && age >= 0.0 && age > before;
            if !follows {
                return Err(Error::input("age", "finite, not negative, above the one before", age));
            }
            before = age;
        }
        if !(end.is_finite() && end >= before) {
            return Err(Error::input(
                "end of a recorded life",
                format!("finite, from {before}"),
                end,
            ));
        }
        Ok(Self {
            ages,
            values,
            width,
            end,
            failed,
        })
    }

    /// The rows in order, each with its age.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (f64, &'a [f64])> + Clone {
        self.ages.iter().copied().zip(self.values.chunks_exact(self.width))
    }
}

/// A way to learn from recorded lives: the unfitted half of an algorithm, with its settings.
pub trait TrajectoryAlgorithm: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The fitted half.
    type Model: TrajectoryModel;

    /// Checks the settings, by themselves.
    ///
    /// # Errors
    /// `InvalidParameter`, naming the setting, what was expected and what came.
    fn check(&self) -> Result<()>;

    /// Learns from `lives`, at least one, all of one width, ages in `unit`. All chance comes from `seed`. The order of the
    /// lives must not matter.
    ///
    /// # Errors
    /// `InvalidParameter` for settings that do not go with these lives, `InsufficientData`, `NotConverged`.
    fn fit(&self, lives: &[RecordedLife<'_>], unit: LifeUnit, seed: Seed) -> Result<Self::Model>;
}

/// A fitted algorithm that follows a machine and tells how long it will live.
///
/// Rows come as the chosen readings, finite and at most 1e100 in magnitude, at ages in life units that strictly increase.
pub trait TrajectoryModel: Clone + fmt::Debug + Send + Sync + 'static {
    /// The stable name of the algorithm in files: `rul.` and a word.
    const KIND: &'static str;
    /// The version of [`Record`](TrajectoryModel::Record).
    const KIND_VERSION: u32 = 1;
    /// What is written.
    type Record: Clone + fmt::Debug + Serialize + DeserializeOwned;
    /// What is remembered of one machine: bounded, however long the machine lives.
    type Memory: Clone + fmt::Debug + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// Readings a row.
    fn width(&self) -> usize;

    /// The memory of a machine of which nothing is known.
    fn new_memory(&self) -> Self::Memory;

    /// Refuses a memory that this model cannot have made, whatever it was read from.
    ///
    /// # Errors
    /// `StateMismatch`.
    fn check_memory(&self, memory: &Self::Memory) -> Result<()>;

    /// Takes a row into the memory. Nothing here may panic, or allocate once the memory is as large as it gets.
    fn observe(&self, memory: &mut Self::Memory, age: f64, row: &[f64]);

    /// What is known of the remaining life after the row observed last, at `age`, or why nothing is.
    ///
    /// # Errors
    /// Only what [`RulDistribution`] refuses, which a sound model never gives it.
    fn prognose(
        &self,
        memory: &Self::Memory,
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>>;

    /// What is written.
    fn to_record(&self) -> Self::Record;

    /// The algorithm that was written as `record`, for rows of `width` readings. Everything that the promises of this
    /// trait rest on is checked.
    ///
    /// # Errors
    /// `Persistence`.
    fn from_record(record: Self::Record, width: usize) -> Result<Self>;
}

/// A fitted regressor that follows each machine through its life, from its own readings in the order they came.
///
/// The estimate is the median of the [distribution](RulRegressor::distribution) with its central interval; an upper end that
/// is not known is the last life that is, so that lives beyond count as that long. Where the median itself is not known there
/// is no estimate but [`NoPrognosis::BeyondKnownLives`], and the distribution still tells the part that is. A row in which
/// one of the [chosen](TrajectoryRegressorParams::on) readings is missing, infinite or beyond 1e100 is unusable; others may
/// be missing. Rows need their instants. Age counts from the machine's first usable row, or from
/// [`new_state_since`](TrajectoryRegressor::new_state_since).
#[derive(Clone, Debug)]
pub struct TrajectoryRegressor<M> {
    schema: FeatureSchema,
    fingerprint: Fingerprint,
    /// Positions of the chosen readings in a row.
    columns: Vec<usize>,
    model: M,
    level: f64,
    unit: LifeUnit,
}

/// A [`TrajectoryRegressor`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrajectoryRegressorRecord<R> {
    schema: FeatureSchema,
    columns: Vec<u32>,
    model: R,
    level: f64,
    unit: LifeUnit,
}

/// What a [`TrajectoryRegressor`] remembers of one machine; carries the regressor's fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrajectoryState<M> {
    model: Fingerprint,
    born: Option<Timestamp>,
    last: Option<Timestamp>,
    memory: M,
}

impl<M> TrajectoryState<M> {
    /// What the algorithm remembers.
    pub fn memory(&self) -> &M {
        &self.memory
    }
}

/// Parameters of a [`TrajectoryRegressor`], not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TrajectoryRegressorParams<A>(TrajectoryRegressorValidParams<A>);

/// Checked parameters of a [`TrajectoryRegressor`].
#[derive(Clone, Debug, PartialEq)]
pub struct TrajectoryRegressorValidParams<A> {
    algorithm: A,
    columns: Option<Vec<String>>,
    level: f64,
    seed: Seed,
}

impl<A: TrajectoryAlgorithm> TrajectoryRegressorParams<A> {
    /// Parameters around `algorithm`: all readings, 90% intervals, seed 0.
    pub fn new(algorithm: A) -> Self {
        Self(TrajectoryRegressorValidParams {
            algorithm,
            columns: None,
            level: 0.90,
            seed: Seed(0),
        })
    }

    /// The same parameters with a setting of the algorithm changed.
    #[must_use]
    pub(super) fn with(mut self, change: impl FnOnce(&mut A)) -> Self {
        change(&mut self.0.algorithm);
        self
    }

    /// The features that are followed, by name; all unless set.
    #[must_use]
    pub fn on(mut self, features: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.0.columns = Some(features.into_iter().map(Into::into).collect());
        self
    }

    /// Nominal level of the estimate's interval.
    #[must_use]
    pub fn interval(mut self, level: f64) -> Self {
        self.0.level = level;
        self
    }

    /// Seed of all chance.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.0.seed = seed;
        self
    }
}

impl<A: TrajectoryAlgorithm + Default> Default for TrajectoryRegressorParams<A> {
    fn default() -> Self {
        Self::new(A::default())
    }
}

impl<A: TrajectoryAlgorithm> ParamGuard for TrajectoryRegressorParams<A> {
    type Checked = TrajectoryRegressorValidParams<A>;
    type Error = Error;

    fn check_ref(&self) -> Result<&TrajectoryRegressorValidParams<A>> {
        check_level(self.0.level)?;
        if let Some(columns) = &self.0.columns {
            if columns.is_empty() {
                return Err(Error::parameter("on", "at least 1 feature", "none"));
            }
            if let Some((i, name)) = columns.iter().enumerate().find(|(i, c)| columns[..*i].contains(c)) {
                return Err(Error::parameter(
                    "on",
                    "each feature once",
                    format!("`{name}` again at position {i}"),
                ));
            }
        }
        self.0.algorithm.check()?;
        Ok(&self.0)
    }

    fn check(self) -> Result<TrajectoryRegressorValidParams<A>> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// A life as its rows are gathered.
#[derive(Default)]
struct Gathered {
    born: Option<Timestamp>,
    ages: Vec<f64>,
    values: Vec<f64>,
    end: f64,
    failed: bool,
}

impl<A: TrajectoryAlgorithm> TrajectoryRegressorValidParams<A> {
    fn columns(&self, schema: &FeatureSchema) -> Result<Vec<usize>> {
        let Some(names) = &self.columns else {
            return Ok((0..schema.len()).collect());
        };
        let position = |name: &String| {
            schema.position(name).ok_or_else(|| {
                let known: Vec<&str> = schema.features().iter().take(8).map(|f| f.name.as_str()).collect();
                let more = if schema.len() > known.len() { ", .." } else { "" };
                Error::parameter(
                    "on",
                    format!("features of the table: {}{more}", known.join(", ")),
                    format!("`{name}`"),
                )
            })
        };
        names.iter().map(position).collect()
    }

    /// The usable rows of each asset, in the order of the table.
    fn lives(&self, table: &FeatureTable, labels: &RulLabels, columns: &[usize]) -> Result<Vec<Gathered>> {
        labels.expect_rows(table.n_rows())?;
        let Some(times) = table.times() else {
            return Err(Error::input("feature table", "the instant of each row", "none"));
        };
        let mut lives: Vec<Gathered> = (0..table.n_assets()).map(|_| Gathered::default()).collect();
        for (i, (row, &time)) in table.rows().zip(times).enumerate() {
            let Some(life) = lives.get_mut(table.asset()[i] as usize) else {
                continue;
            };
            // As online: a row that cannot be used is as if it had not been, but for what its label says of the end.
            let born = life.born.unwrap_or(time);
            let age = labels.unit().between(born, time);
            let chosen = columns.iter().map(|&c| row[c]);
            // Instants may differ by less than an age can tell.
            let follows = life.ages.last().is_none_or(|last| age > *last);
            if follows && chosen.clone().all(|v| v.abs() <= LARGEST) {
                life.born = Some(born);
                life.ages.push(age);
                life.values.extend(chosen);
            }
            if life.born.is_some() {
                life.end = age + labels.rul()[i];
                life.failed = !labels.is_censored(i);
            }
        }
        lives.retain(|l| !l.ages.is_empty());
        Ok(lives)
    }
}

impl<A: TrajectoryAlgorithm> Fit<FeatureTable, RulLabels, Error> for TrajectoryRegressorValidParams<A> {
    type Object = TrajectoryRegressor<A::Model>;

    /// Fits on the lives of a table [with instants](FeatureTable::at). The end of a life is that of its last row.
    ///
    /// # Errors
    /// `InvalidParameter` for a feature that is not there, `InvalidInput` for a table without instants or labels of another
    /// length, `InsufficientData` without a usable row; those of the algorithm.
    fn fit(&self, dataset: &DatasetBase<FeatureTable, RulLabels>) -> Result<TrajectoryRegressor<A::Model>> {
        let (table, labels) = (&dataset.records, &dataset.targets);
        let columns = self.columns(table.schema())?;
        let gathered = self.lives(table, labels, &columns)?;
        if gathered.is_empty() {
            return Err(Error::insufficient(
                "recorded lives",
                "at least 1 with a row in which no chosen reading is missing",
                0,
            ));
        }
        let lives: Vec<RecordedLife<'_>> = gathered
            .iter()
            .map(|l| {
                RecordedLife::new(
                    &l.ages,
                    &l.values,
                    columns.len(),
                    l.end.max(l.ages[l.ages.len() - 1]),
                    l.failed,
                )
            })
            .collect::<Result<_>>()?;
        TrajectoryRegressor {
            schema: table.schema().clone(),
            fingerprint: Fingerprint::of(&[]),
            model: self.algorithm.fit(&lives, labels.unit(), self.seed)?,
            columns,
            level: self.level,
            unit: labels.unit(),
        }
        .finished()
    }
}

type Row = SmallVec<[f64; 16]>;

impl<M: TrajectoryModel> TrajectoryRegressor<M> {
    /// The fitted algorithm.
    pub fn trajectory_model(&self) -> &M {
        &self.model
    }

    /// The unit of lives.
    pub fn life_unit(&self) -> LifeUnit {
        self.unit
    }

    /// The state of a machine whose life began at `born`, before its first row: age counts from there.
    pub fn new_state_since(&self, born: Timestamp) -> TrajectoryState<M::Memory> {
        TrajectoryState {
            born: Some(born),
            ..self.new_state()
        }
    }

    /// What is known after the row taken into `state` last; a warm-up before the first.
    ///
    /// # Errors
    /// `StateMismatch` for a state of another model.
    pub fn standing(&self, state: &TrajectoryState<M::Memory>) -> Result<Assessment<RulDistribution>> {
        self.expect_state(state)?;
        let (Some(born), Some(last)) = (state.born, state.last) else {
            return Ok(Assessment::Warmup { seen: 0, needed: 1 });
        };
        let age = self.unit.between(born, last);
        Ok(match self.model.prognose(&state.memory, age, self.unit)? {
            Ok(distribution) => Assessment::Ready(distribution),
            Err(reason) => Assessment::NoPrognosis(reason),
        })
    }

    /// [`standing`](TrajectoryRegressor::standing) after the row `x` was offered to `state`; why it was of no use, where it
    /// was not taken: what an earlier one left is no answer for its instant.
    pub(crate) fn standing_after(
        &self,
        state: &TrajectoryState<M::Memory>,
        x: &FeatureView<'_>,
    ) -> Result<Assessment<RulDistribution>> {
        if (state.last.is_none() || state.last != x.time())
            && let Err(reason) = self.admitted(state, x)?
        {
            return Ok(Assessment::Unusable(reason));
        }
        self.standing(state)
    }

    /// Refuses a state of another model, or one that this model cannot have made.
    pub(crate) fn expect_state(&self, state: &TrajectoryState<M::Memory>) -> Result<()> {
        if state.model != self.fingerprint {
            return Err(Error::state(
                "state",
                format!("one of model {}", self.fingerprint),
                format!("one of model {}", state.model),
            ));
        }
        if state.last.is_some_and(|last| state.born.is_none_or(|born| last < born)) {
            return Err(Error::state("state", "a last row after its birth", "one before it"));
        }
        self.model.check_memory(&state.memory)
    }

    fn finished(mut self) -> Result<Self> {
        self.fingerprint = fingerprint_of(M::KIND, &self.to_persisted())?;
        Ok(self)
    }

    /// Age and chosen readings of a row, or why it is of no use.
    fn admitted(
        &self,
        state: &TrajectoryState<M::Memory>,
        x: &FeatureView<'_>,
    ) -> Result<std::result::Result<(Timestamp, f64, Row), UnusableReason>> {
        self.schema.expect(x.schema())?;
        self.expect_state(state)?;
        let time = x.time().ok_or_else(|| Error::input("row", "an instant", "none"))?;
        let born = state.born.unwrap_or(time);
        let age = self.unit.between(born, time);
        let follows = state
            .last
            .is_none_or(|last| time > last && age > self.unit.between(born, last));
        if !follows || time < born {
            return Ok(Err(UnusableReason::TimeNotIncreasing));
        }
        let chosen: Row = self.columns.iter().map(|&c| x.values()[c]).collect();
        if chosen.iter().all(|v| v.abs() <= LARGEST) {
            return Ok(Ok((time, age, chosen)));
        }
        let bad = |&c: &usize| x.values()[c].is_nan() || x.values()[c].abs() > LARGEST;
        Ok(Err(UnusableReason::MissingValues {
            n_missing: self.columns.iter().filter(|c| bad(c)).count() as u32,
            n_values: self.columns.len() as u32,
            first: self.columns.iter().copied().find(|c| bad(c)).unwrap_or(0) as u32,
        }))
    }

    /// Takes the row into `state` and says what is known after it.
    fn followed<T>(
        &self,
        state: &mut TrajectoryState<M::Memory>,
        x: FeatureView<'_>,
        say: impl FnOnce(RulDistribution) -> Result<Assessment<T>>,
    ) -> Result<Assessment<T>> {
        let (time, age, row) = match self.admitted(state, &x)? {
            Ok(admitted) => admitted,
            Err(reason) => return Ok(Assessment::Unusable(reason)),
        };
        self.model.observe(&mut state.memory, age, &row);
        state.born = state.born.or(Some(time));
        state.last = Some(time);
        Ok(match self.model.prognose(&state.memory, age, self.unit)? {
            Ok(distribution) => say(distribution)?,
            Err(reason) => Assessment::NoPrognosis(reason),
        })
    }

    /// A number, where half of the distribution is known: the last life that is would be none.
    fn estimate(&self, distribution: RulDistribution) -> Result<Assessment<RulEstimate>> {
        if distribution.median().is_none() {
            return Ok(Assessment::NoPrognosis(NoPrognosis::BeyondKnownLives));
        }
        distribution.estimate(self.level).map(Assessment::Ready)
    }
}

impl<M: TrajectoryModel> OnlineModel for TrajectoryRegressor<M> {
    type State = TrajectoryState<M::Memory>;
    type Output = RulEstimate;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) -> Self::State {
        TrajectoryState {
            model: self.fingerprint,
            born: None,
            last: None,
            memory: self.model.new_memory(),
        }
    }

    /// Copies the state; where a row is both assessed and taken, [`step`](OnlineModel::step) does without.
    fn assess(&self, state: &Self::State, x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
        self.followed(&mut state.clone(), x, |d| self.estimate(d))
    }

    fn update(&self, state: &mut Self::State, x: FeatureView<'_>) -> Result<()> {
        if let Ok((time, age, row)) = self.admitted(state, &x)? {
            self.model.observe(&mut state.memory, age, &row);
            state.born = state.born.or(Some(time));
            state.last = Some(time);
        }
        Ok(())
    }

    fn step(&self, state: &mut Self::State, x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
        self.followed(state, x, |d| self.estimate(d))
    }
}

impl<M: TrajectoryModel> RulRegressor for TrajectoryRegressor<M> {
    fn distribution(&self, state: &Self::State, x: FeatureView<'_>) -> Result<Assessment<RulDistribution>> {
        self.followed(&mut state.clone(), x, |d| Ok(Assessment::Ready(d)))
    }
}

impl<M: TrajectoryModel> PersistentModel for TrajectoryRegressor<M> {
    const KIND: &'static str = M::KIND;
    const KIND_VERSION: u32 = M::KIND_VERSION;
    type Persisted = TrajectoryRegressorRecord<M::Record>;

    fn to_persisted(&self) -> TrajectoryRegressorRecord<M::Record> {
        TrajectoryRegressorRecord {
            schema: self.schema.clone(),
            columns: self.columns.iter().map(|&c| c as u32).collect(),
            model: self.model.to_record(),
            level: self.level,
            unit: self.unit,
        }
    }

    fn from_persisted(r: TrajectoryRegressorRecord<M::Record>) -> Result<Self> {
        let columns: Vec<usize> = r.columns.iter().map(|&c| c as usize).collect();
        let sound = !columns.is_empty()
            && columns.iter().all(|c| *c < r.schema.len())
            && columns.iter().enumerate().all(|(i, c)| !columns[..i].contains(c))
            && r.level > 0.0
            && r.level < 1.0;
        if !sound {
            return Err(Error::persistence(format!(
                "{}: expected columns of the schema, each once, and a level between 0 and 1",
                M::KIND
            )));
        }
        let model = M::from_record(r.model, columns.len())?;
        if model.width() != columns.len() {
            return Err(Error::persistence(format!(
                "{}: expected a model of {} readings, got {}",
                M::KIND,
                columns.len(),
                model.width()
            )));
        }
        Self {
            schema: r.schema,
            fingerprint: Fingerprint::of(&[]),
            columns,
            model,
            level: r.level,
            unit: r.unit,
        }
        .finished()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rul::survival::KaplanMeierRul, signal::Channel};
    use ndarray::Array2;

    #[test]
    fn a_row_that_was_not_taken_has_no_standing() {
        let schema = FeatureSchema::of_channels(&[Channel::new("load", "kW")]).unwrap();
        let at = |hour| LifeUnit::Hours.instant(hour);
        let values = Array2::from_elem((8, 1), 1.0);
        let table = FeatureTable::new(schema.clone(), values, vec![0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        let table = table.at(vec![at(0); 8]).unwrap();
        let lives = (1..=8).map(|i| 10.0 * f64::from(i)).collect();
        let labels = RulLabels::new(lives, LifeUnit::Hours).unwrap();
        let model = KaplanMeierRul::params().check().unwrap();
        let model = model.fit(&DatasetBase::new(table, labels)).unwrap();
        let view = |values: &'static [f64], hour| FeatureView::new(&schema, values).unwrap().at(at(hour));
        let (good, bad): (&'static [f64], &'static [f64]) = (&[1.0], &[f64::NAN]);

        let mut state = model.new_state();
        assert!(matches!(
            model.standing_after(&state, &view(bad, 0)).unwrap(),
            Assessment::Unusable(_)
        ));
        assert!(model.step(&mut state, view(good, 0)).unwrap().ready().is_some());
        let known = model.standing_after(&state, &view(good, 0)).unwrap().ready().unwrap();
        assert_eq!(known.median(), Some(40.0));
        // 35 h later a sensor fails: what was known then is not what is known now.
        let lost = view(bad, 35);
        let unusable = model.step(&mut state, lost).unwrap();
        assert!(matches!(unusable, Assessment::Unusable(_)));
        let standing = model.standing_after(&state, &lost).unwrap();
        assert_eq!(standing.map(|_| ()), unusable.map(|_| ()));
        assert_eq!(model.standing(&state).unwrap().ready(), Some(known));
    }
}
