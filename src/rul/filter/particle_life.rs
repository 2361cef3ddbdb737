//! Regressors that follow a machine by particles of a model of its degradation.

use super::{
    belief::GaussianBelief,
    crossing::CrossingSearch,
    particle::{ParticleFilter, ParticleScratch, ParticleState},
    state_model::StateModel,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::{RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressorParams},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{cell::RefCell, fmt};

/// Largest number of particles of a regressor.
const MAX_PARTICLES: usize = 100_000;
/// Readings farther from all particles than this many standard deviations of their noise are not explained.
const EXPLAINED_WITHIN: f64 = 8.0;
/// So many of them in a row are those of a part that was replaced: a new one is followed from there.
const RESTART_AFTER: u32 = 5;
/// Largest number of steps of its prognoses.
const MAX_STEPS: usize = 10_000;

/// A [`StateModel`] that a regressor of one reading can be made of: read back from files through its own checks.
pub trait Degradation:
    StateModel + Clone + fmt::Debug + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static
{
    /// The stable name of the regressor in files: `rul.` and a word.
    const KIND: &'static str;

    /// What the model's observation is compared with; NaN where the reading says nothing.
    fn measured(&self, reading: f64) -> f64 {
        reading
    }

    /// Whether the life is over at this reading.
    fn is_over(&self, reading: f64) -> bool;
}

/// How a [`Degradation`] is learned from recorded lives.
pub trait DegradationSettings: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// What is learned.
    type Model: Degradation;

    /// Checks the settings, by themselves.
    ///
    /// # Errors
    /// `InvalidParameter`.
    fn check(&self) -> Result<()>;

    /// The model, and what is known of a new machine at its birth. Lives have one reading a row; their order must not
    /// matter.
    ///
    /// # Errors
    /// `InsufficientData` where the lives do not say what the settings leave open.
    fn learn(&self, lives: &[RecordedLife<'_>]) -> Result<(Self::Model, GaussianBelief)>;
}

/// Settings of a [`ParticleLife`]: those of its model, and how many particles follow a machine how far.
#[derive(Clone, Debug, PartialEq)]
pub struct ParticleSettings<S> {
    pub(super) degradation: S,
    n_particles: usize,
    horizon: Option<f64>,
    n_steps: usize,
}

impl<S> ParticleSettings<S> {
    /// 500 particles, up to three times the longest recorded life in 100 steps.
    pub fn new(degradation: S) -> Self {
        Self {
            degradation,
            n_particles: 500,
            horizon: None,
            n_steps: 100,
        }
    }
}

impl<S: Default> Default for ParticleSettings<S> {
    fn default() -> Self {
        Self::new(S::default())
    }
}

impl<S: DegradationSettings> TrajectoryRegressorParams<ParticleSettings<S>> {
    /// The number of particles, from 10 to 100,000; a machine's memory is about 9 bytes a particle and state (with the weight
    /// as one more) in files, 8 in use. Default 500.
    #[must_use]
    pub fn n_particles(self, n_particles: usize) -> Self {
        self.with(|s| s.n_particles = n_particles)
    }

    /// How far into the future machines are followed, in life units. Default three times the longest recorded life.
    #[must_use]
    pub fn horizon(self, horizon: f64) -> Self {
        self.with(|s| s.horizon = Some(horizon))
    }

    /// In how many equal steps, from 1 to 10,000, with particles times steps at most 100,000,000. Default 100. See
    /// [`CrossingSearch`].
    #[must_use]
    pub fn n_steps(self, n_steps: usize) -> Self {
        self.with(|s| s.n_steps = n_steps)
    }
}

impl<S: DegradationSettings> TrajectoryAlgorithm for ParticleSettings<S> {
    type Model = ParticleLife<S::Model>;

    fn check(&self) -> Result<()> {
        check_sizes(self.n_particles, self.n_steps)?;
        if let Some(horizon) = self.horizon {
            CrossingSearch::new(horizon, self.n_steps)?;
        }
        self.degradation.check()
    }

    fn fit(&self, lives: &[RecordedLife<'_>], _: LifeUnit, seed: Seed) -> Result<Self::Model> {
        if let Some(life) = lives.iter().find(|l| l.width != 1) {
            return Err(Error::parameter("on", "1 feature", life.width));
        }
        let (model, prior) = self.degradation.learn(lives)?;
        let longest = lives.iter().map(|l| l.end).fold(0.0, f64::max);
        let horizon = match self.horizon {
            Some(horizon) => horizon,
            None if longest > 0.0 => 3.0 * longest,
            None => return Err(Error::insufficient("horizon", "a setting, or lives longer than 0", 0)),
        };
        ParticleLife::new(ParticleLifeRecord {
            model,
            prior,
            n_particles: self.n_particles as u32,
            seed,
            horizon,
            n_steps: self.n_steps as u32,
        })
    }
}

fn check_sizes(n_particles: usize, n_steps: usize) -> Result<()> {
    if !(10..=MAX_PARTICLES).contains(&n_particles) {
        return Err(Error::parameter(
            "n_particles",
            format!("from 10 to {MAX_PARTICLES}"),
            n_particles,
        ));
    }
    if !(1..=MAX_STEPS).contains(&n_steps) {
        return Err(Error::parameter("n_steps", format!("from 1 to {MAX_STEPS}"), n_steps));
    }
    // The horizon does not count here.
    CrossingSearch::new(1.0, n_steps)?.check_courses("n_particles", n_particles)
}

/// The fitted half: a particle filter and how far it looks ahead.
///
/// A reading more than 8 standard deviations of its noise from all particles moves none of them and gives
/// [`NoPrognosis::Diverged`]; with the fifth in a row the part counts as replaced, and a new one is followed from there.
#[derive(Clone, Debug)]
pub struct ParticleLife<M> {
    filter: ParticleFilter<M>,
    search: CrossingSearch,
    record: ParticleLifeRecord<M>,
}

/// A [`ParticleLife`] as it is written to files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParticleLifeRecord<M> {
    model: M,
    prior: GaussianBelief,
    n_particles: u32,
    seed: Seed,
    horizon: f64,
    n_steps: u32,
}

/// What a [`ParticleLife`] remembers of one machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MemoryRecord", into = "MemoryRecord")]
pub struct ParticleMemory {
    /// None before the first reading.
    particles: Option<ParticleState>,
    /// Of the last reading.
    age: f64,
    /// Whether the last reading is that of a life that is over.
    is_over: bool,
}

#[derive(Serialize, Deserialize)]
struct MemoryRecord {
    particles: Option<ParticleState>,
    age: f64,
    is_over: bool,
}

impl TryFrom<MemoryRecord> for ParticleMemory {
    type Error = Error;

    fn try_from(r: MemoryRecord) -> Result<Self> {
        let fits = r.age.is_finite() && r.age >= 0.0;
        let is_new = r.particles.is_none();
        if !fits || (is_new && (r.age != 0.0 || r.is_over)) {
            return Err(Error::persistence(format!(
                "memory of particles: expected an age, 0 for a new machine, got {}",
                r.age
            )));
        }
        Ok(Self {
            particles: r.particles,
            age: r.age,
            is_over: r.is_over,
        })
    }
}

impl From<ParticleMemory> for MemoryRecord {
    fn from(m: ParticleMemory) -> Self {
        Self {
            particles: m.particles,
            age: m.age,
            is_over: m.is_over,
        }
    }
}

thread_local! {
    /// Machines by the thousand share one room a thread: it is as large as one machine's particles.
    static ROOM: RefCell<ParticleScratch> = RefCell::default();
}

impl<M: Degradation> ParticleLife<M> {
    fn new(record: ParticleLifeRecord<M>) -> Result<Self> {
        let (n_particles, n_steps) = (record.n_particles as usize, record.n_steps as usize);
        check_sizes(n_particles, n_steps)?;
        Ok(Self {
            filter: ParticleFilter::new(record.model.clone(), record.prior.clone(), n_particles, record.seed)?
                .explained_within(EXPLAINED_WITHIN)?,
            search: CrossingSearch::new(record.horizon, n_steps)?,
            record,
        })
    }

    /// The model of degradation, with what was learned of it.
    pub fn degradation(&self) -> &M {
        &self.record.model
    }

    /// What is known of a new machine.
    pub fn prior(&self) -> &GaussianBelief {
        &self.record.prior
    }

    /// How far machines are followed, and in how many steps.
    pub fn search(&self) -> CrossingSearch {
        self.search
    }

    fn with_room<T>(&self, act: impl FnOnce(&mut ParticleScratch) -> T) -> T {
        let model = self.filter.model();
        let sizes = (model.n_states(), model.n_observations(), self.filter.n_particles());
        ROOM.with(|room| match room.try_borrow_mut() {
            Ok(mut room) => {
                room.resize(sizes.0, sizes.1, sizes.2);
                act(&mut room)
            }
            // A model that itself runs such a regressor.
            Err(_) => act(&mut self.filter.new_scratch()),
        })
    }
}

impl<M: Degradation> TrajectoryModel for ParticleLife<M> {
    const KIND: &'static str = M::KIND;
    type Record = ParticleLifeRecord<M>;
    type Memory = ParticleMemory;

    fn width(&self) -> usize {
        1
    }

    fn new_memory(&self) -> ParticleMemory {
        ParticleMemory::default()
    }

    fn check_memory(&self, memory: &ParticleMemory) -> Result<()> {
        memory.particles.as_ref().map_or(Ok(()), |p| self.filter.check_state(p))
    }

    fn observe(&self, memory: &mut ParticleMemory, age: f64, row: &[f64]) {
        let reading = row.first().copied().unwrap_or(f64::NAN);
        let model = self.filter.model();
        let y = [model.measured(reading)];
        let dt = (age - memory.age).max(0.0);
        let particles = memory.particles.get_or_insert_with(|| self.filter.new_state());
        // Sizes were checked, so there is no error; one would leave the particles as they are.
        let mut step = self.with_room(|room| self.filter.step(particles, dt, &y, room));
        if particles.n_unexplained() >= RESTART_AFTER {
            self.filter.draw_anew(particles);
            step = self.with_room(|room| self.filter.step(particles, 0.0, &y, room));
        }
        if step.is_ok() {
            memory.age = age;
            memory.is_over = model.is_over(reading);
        }
    }

    fn prognose(
        &self,
        memory: &ParticleMemory,
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        if memory.is_over {
            return Ok(Err(NoPrognosis::ThresholdCrossed));
        }
        let Some(particles) = &memory.particles else {
            return Ok(Err(NoPrognosis::NoTrend));
        };
        let gone = (age - memory.age).max(0.0);
        self.with_room(|room| self.filter.prognose_after(particles, gone, self.search, unit, room))
    }

    fn to_record(&self) -> ParticleLifeRecord<M> {
        self.record.clone()
    }

    fn from_record(record: ParticleLifeRecord<M>, width: usize) -> Result<Self> {
        if width != 1 {
            return Err(Error::persistence(format!(
                "{}: expected 1 reading a row, got {width}",
                M::KIND
            )));
        }
        Self::new(record).map_err(|e| Error::persistence(format!("{}: {e}", M::KIND)))
    }
}
