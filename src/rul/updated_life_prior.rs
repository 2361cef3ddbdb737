//! The life prior, moved by what one reading says, as far as lives held out bear that out.

use super::{
    RecordedLife, TrajectoryAlgorithm, TrajectoryModel, TrajectoryRegressor, TrajectoryRegressorParams,
    life_prior::{LifeDistribution, LifeDistributionRecord, LifePriorSettings, LifeWeighting},
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Rows a reading is smoothed over before its lowest level counts.
const N_SMOOTHED: u64 = 15;
/// Shares of a life at which it is asked about: 0.10, 0.15, .. 0.95.
const N_SHARES: u32 = 18;
/// Powers of the evidence that are tried.
const POWERS: [f64; 4] = [0.25, 0.5, 0.75, 1.0];
/// The chance that evidence is found where there is none, over all readings and powers that are tried.
const CHANCE: f64 = 0.05;
/// Failed lives below which no reading can prove itself.
const LEAST_LIVES: usize = 4;
/// The most folds by life.
const MOST_FOLDS: usize = 10;
/// Degrees of freedom of a reading about its line: outliers say little.
const FREEDOM: f64 = 4.0;
/// Cells of remaining life that are weighed, even in the log odds of the prior up to `±LOG_ODDS`.
const N_CELLS: usize = 400;
const LOG_ODDS: f64 = 9.0;
/// Ends of what a file may hold.
const LARGEST: f64 = 1e101;

/// A [`LifePrior`](super::LifePrior) that one reading may move, if it has proved that it can.
///
/// A reading, which should *rise* as health falls (logarithms of levels, say), is smoothed over about 15 rows; its rise `h`
/// above its own lowest smoothed level so far is the machine's own, whatever the level. Over recorded lives, at 18 shares
/// of each from 0.10 to 0.95, lives weighing the same, a line `h = a + b ln r` in the remaining life `r` is fitted, and
///
/// `p(r | age, h) ∝ p(r | age) · t₄((h - a - b ln r) / s)^η`,
///
/// with Student's t on 4 degrees of freedom. Which reading, and the power `η` of 0.25, 0.5, 0.75 and 1, is chosen by the
/// continuous ranked probability score of lives held out (each once, in up to 10 folds), relative to their length. Chosen is
/// something only where at least 4 lives failed, `b < 0`, and the mean gain over the prior is so many of its standard errors
/// over lives that, were there nothing to find, one of all readings and powers would reach it with a chance of 0.05 at most
/// (Student's t, divided by their number after Bonferroni: 5.3 standard errors for 16 candidates on 5 lives); otherwise
/// `η = 0`, which is the prior to the last bit. [`evidence`](UpdatedLife::evidence) says which,
/// [`gain`](UpdatedLife::gain) how much, and [`moved`](UpdatedLife::moved) how far a machine's reading has moved its
/// prognosis. Gains of held-out lives share the lives they are judged by, so the chance is a good guess and no bound.
///
/// Until 15 rows were seen, the prior stands. Fitting costs a prior a fold and readings × powers × shares × lives scores.
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable},
///     quantity::LifeUnit,
///     rul::{RulLabels, UpdatedLifePrior},
///     signal::Channel,
/// };
/// // Eight machines whose wear shows over the last 100 h, whenever those come.
/// let (mut values, mut asset, mut times, mut rul) = (vec![], vec![], vec![], vec![]);
/// for machine in 0..8 {
///     let life = 110 + 15 * (i64::from(machine) * 3 % 8);
///     for hour in 0..=life {
///         values.push(f64::max(0.0, 100.0 - (life - hour) as f64));
///         asset.push(machine as u32);
///         times.push(LifeUnit::Hours.instant(hour));
///         rul.push((life - hour) as f64);
///     }
/// }
/// let schema = FeatureSchema::of_channels(&[Channel::new("wear", "um")])?;
/// let values = Array2::from_shape_vec((rul.len(), 1), values).unwrap();
/// let data = DatasetBase::new(
///     FeatureTable::new(schema, values, asset)?.at(times)?,
///     RulLabels::new(rul, LifeUnit::Hours)?,
/// );
/// let model = UpdatedLifePrior::params().fit(&data)?;
/// assert!(model.trajectory_model().evidence().is_some());
/// # Ok::<(), prognos::Error>(())
/// ```
pub type UpdatedLifePrior = TrajectoryRegressor<UpdatedLife>;

/// Parameters of an [`UpdatedLifePrior`], not yet checked.
pub type UpdatedLifePriorParams = TrajectoryRegressorParams<UpdatedLifePriorSettings>;

/// Settings of an [`UpdatedLifePrior`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpdatedLifePriorSettings {
    prior: LifePriorSettings,
}

impl UpdatedLifePrior {
    /// On the prior as [`LifePrior::params`](super::LifePrior::params) has it, but with every machine counting the same, as
    /// it does where evidence is judged.
    pub fn params() -> UpdatedLifePriorParams {
        UpdatedLifePriorParams::default().weighting(LifeWeighting::Machines)
    }
}

impl UpdatedLifePriorParams {
    /// Whose questions the prior answers; each machine's unless set.
    #[must_use]
    pub fn weighting(self, weighting: LifeWeighting) -> Self {
        self.with(|s| s.prior.set_weighting(weighting))
    }
}

/// The line of a reading's rise over the logarithm of remaining life.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    at_zero: f64,
    /// Negative.
    slope: f64,
    spread: f64,
}

/// What moves the prior of an [`UpdatedLifePrior`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LifeEvidence {
    /// Position of the reading among the chosen ones.
    pub reading: usize,
    /// The power `η` of its likelihood, above 0 and at most 1.
    pub power: f64,
}

/// What the best reading gained over the prior on lives held out, in shares of a life.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeldOutGain {
    /// Mean over lives of (score of the prior - score with the reading) / life: positive where the reading helped.
    pub mean: f64,
    /// Its standard error over lives.
    pub standard_error: f64,
}

/// The fitted half of an [`UpdatedLifePrior`].
#[derive(Clone, Debug, PartialEq)]
pub struct UpdatedLife {
    prior: LifeDistribution,
    evidence: Option<(LifeEvidence, Line)>,
    gain: Option<HeldOutGain>,
}

/// An [`UpdatedLife`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdatedLifeRecord {
    prior: LifeDistributionRecord,
    reading: u32,
    /// Zero without evidence.
    power: f64,
    line: Option<Line>,
    gain: Option<HeldOutGain>,
}

/// How far the reading of a machine has risen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadingRise {
    n_rows: u64,
    smoothed: f64,
    lowest: f64,
}

impl ReadingRise {
    fn observe(&mut self, reading: f64) {
        self.n_rows = self.n_rows.saturating_add(1);
        self.smoothed += (reading - self.smoothed) / self.n_rows.min(N_SMOOTHED) as f64;
        if self.n_rows <= N_SMOOTHED || self.smoothed < self.lowest {
            self.lowest = self.smoothed;
        }
    }

    fn rise(&self) -> Option<f64> {
        (self.n_rows >= N_SMOOTHED).then_some(self.smoothed - self.lowest)
    }
}

impl Line {
    /// The log likelihood of a rise, but for a constant.
    fn log_likelihood(&self, rise: f64, log_remaining: f64) -> f64 {
        let z = ((rise - self.at_zero - self.slope * log_remaining) / self.spread).clamp(-1e50, 1e50);
        -(FREEDOM + 1.0) / 2.0 * libm::log1p(z * z / FREEDOM)
    }
}

/// A prognosis as cells of remaining life.
struct Cells {
    /// Remaining life and probability.
    cells: [(f64, f64); N_CELLS],
    n_known: usize,
}

impl Cells {
    fn of(prior: &LifeDistribution, age: f64) -> Self {
        let share = |i: usize| {
            let odds = libm::exp(LOG_ODDS * (2.0 * i as f64 / N_CELLS as f64 - 1.0));
            if i == 0 {
                0.0
            } else if i == N_CELLS {
                1.0
            } else {
                odds / (1.0 + odds)
            }
        };
        let mut cells = [(0.0, 0.0); N_CELLS];
        let mut n_known = 0;
        let mut least = 0.0f64;
        for (i, cell) in cells.iter_mut().enumerate() {
            let (from, to) = (share(i), share(i + 1));
            let remaining = prior.remaining(age, 1.0 - (from + to) / 2.0);
            if remaining.is_finite() {
                least = least.max(remaining);
                n_known = i + 1;
            }
            *cell = (least, to - from);
        }
        Self { cells, n_known }
    }

    /// Weighs the cells by a reading; the Kullback-Leibler divergence from what they were, in nats.
    fn update(&mut self, line: &Line, power: f64, rise: f64) -> f64 {
        let log_of = |remaining: f64| line.log_likelihood(rise, libm::log(remaining.max(f64::MIN_POSITIVE)));
        let highest = self.cells.iter().map(|c| log_of(c.0)).fold(f64::NEG_INFINITY, f64::max);
        let ratio = |remaining: f64| libm::exp(power * (log_of(remaining) - highest));
        let sum: f64 = self.cells.iter().map(|c| c.1 * ratio(c.0)).sum();
        let mut divergence = 0.0;
        for (remaining, weight) in &mut self.cells {
            let by = ratio(*remaining) / sum;
            *weight *= by;
            if *weight > 0.0 {
                divergence += *weight * libm::log(by);
            }
        }
        divergence.max(0.0)
    }

    fn distribution(&self, unit: LifeUnit) -> Result<RulDistribution> {
        let (known, beyond) = self.cells.split_at(self.n_known);
        RulDistribution::from_weighted(unit, known, beyond.iter().map(|c| c.1).sum())
    }
}

/// A life that failed, as it is asked about.
struct Asked {
    /// Its place among the lives.
    life: usize,
    end: f64,
    points: Vec<Point>,
}

struct Point {
    age: f64,
    remaining: f64,
    /// Of each reading.
    rises: Vec<f64>,
}

/// The failed lives, each with its rises at the shares of its life.
fn asked(lives: &[&RecordedLife<'_>]) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (at, life) in lives.iter().enumerate().filter(|(_, l)| l.failed && l.end > 0.0) {
        let mut following = vec![ReadingRise::default(); life.width];
        let mut points: Vec<Point> = Vec::new();
        let mut rows = life.rows().peekable();
        let mut here = None;
        for i in 0..N_SHARES {
            let until = (0.10 + 0.05 * f64::from(i)) * life.end;
            let mut is_new = false;
            while let Some((age, row)) = rows.next_if(|(age, _)| *age <= until) {
                following.iter_mut().zip(row).for_each(|(f, v)| f.observe(*v));
                here = Some(age);
                is_new = true;
            }
            if let (Some(age), true) = (here, is_new)
                && let Some(rises) = following.iter().map(ReadingRise::rise).collect()
            {
                points.push(Point {
                    age,
                    remaining: life.end - age,
                    rises,
                });
            }
        }
        if !points.is_empty() {
            asked.push(Asked {
                life: at,
                end: life.end,
                points,
            });
        }
    }
    asked
}

/// The line of reading `reading` through these lives; `None` where it does not fall or has no spread.
fn line<'a>(lives: impl Iterator<Item = &'a Asked> + Clone, reading: usize) -> Option<Line> {
    let weighted = || {
        lives.clone().flat_map(move |l| {
            let weight = 1.0 / l.points.len() as f64;
            let point = move |p: &Point| Some((libm::log(p.remaining), *p.rises.get(reading)?, weight));
            l.points.iter().filter_map(point)
        })
    };
    let n = lives.clone().count() as f64;
    let mean_x = weighted().map(|(x, _, w)| w * x).sum::<f64>() / n;
    let mean_y = weighted().map(|(_, y, w)| w * y).sum::<f64>() / n;
    let xx: f64 = weighted().map(|(x, _, w)| w * (x - mean_x) * (x - mean_x)).sum();
    let xy: f64 = weighted().map(|(x, y, w)| w * (x - mean_x) * (y - mean_y)).sum();
    let slope = xy / xx;
    let at_zero = mean_y - slope * mean_x;
    let residual = |(x, y, w): (f64, f64, f64)| w * (y - at_zero - slope * x) * (y - at_zero - slope * x);
    // Rows of a life are one another's copies: lives are what is counted.
    let spread = (weighted().map(residual).sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    let line = Line {
        at_zero,
        slope,
        spread: spread.max(1e-6 * slope.abs()),
    };
    line.is_sound().then_some(line)
}

impl Line {
    fn is_sound(&self) -> bool {
        let held = |v: f64| v.abs() <= LARGEST;
        held(self.at_zero) && held(self.slope) && held(self.spread) && self.slope < 0.0 && self.spread > 0.0
    }
}

/// The reading and power that gained most on lives held out, whether enough or not, and the standard errors that are enough.
fn best_held_out(
    settings: LifePriorSettings,
    lives: &[&RecordedLife<'_>],
    asked: &[Asked],
    unit: LifeUnit,
) -> Result<Option<(LifeEvidence, HeldOutGain, f64)>> {
    let width = lives.first().map_or(0, |l| l.width);
    let n_folds = asked.len().min(MOST_FOLDS);
    // Of each reading and power, of each life.
    let mut gains = vec![vec![0.0; asked.len()]; width * POWERS.len()];
    for fold in 0..n_folds {
        let is_out = |i: usize| i % n_folds == fold;
        let out: Vec<usize> = asked
            .iter()
            .enumerate()
            .filter(|(i, _)| is_out(*i))
            .map(|(_, l)| l.life)
            .collect();
        let kept = lives.iter().enumerate().filter(|(at, _)| !out.contains(at));
        let kept: Vec<RecordedLife<'_>> = kept.map(|(_, l)| **l).collect();
        let prior = LifeDistribution::of(settings, &kept)?;
        let rest = asked.iter().enumerate().filter(|(i, _)| !is_out(*i)).map(|(_, l)| l);
        let lines: Vec<Option<Line>> = (0..width).map(|reading| line(rest.clone(), reading)).collect();
        for (i, life) in asked.iter().enumerate().filter(|(i, _)| is_out(*i)) {
            for point in life.points.iter().filter(|p| !prior.is_beyond(p.age)) {
                let base = Cells::of(&prior, point.age);
                let score = |cells: &Cells| cells.distribution(unit)?.crps(point.remaining);
                let of_prior = score(&base)?;
                for (reading, (line, rise)) in lines.iter().zip(&point.rises).enumerate() {
                    let Some(line) = line else { continue };
                    for (p, power) in POWERS.iter().enumerate() {
                        let mut cells = Cells { ..base };
                        cells.update(line, *power, *rise);
                        let gain = (of_prior - score(&cells)?) / life.end / life.points.len() as f64;
                        if let Some(sum) = gains.get_mut(reading * POWERS.len() + p).and_then(|g| g.get_mut(i)) {
                            *sum += gain;
                        }
                    }
                }
            }
        }
    }
    let n = asked.len() as f64;
    let hurdle = hurdle(asked.len(), gains.len())?;
    let mut best: Option<(LifeEvidence, HeldOutGain, f64)> = None;
    for (at, of_lives) in gains.iter().enumerate() {
        let mean = of_lives.iter().sum::<f64>() / n;
        let squares: f64 = of_lives.iter().map(|g| (g - mean) * (g - mean)).sum();
        let gain = HeldOutGain {
            mean,
            standard_error: (squares / (n - 1.0) / n).sqrt(),
        };
        if best.is_none_or(|(_, b, _)| gain.lower(hurdle) > b.lower(hurdle)) {
            let evidence = LifeEvidence {
                reading: at / POWERS.len(),
                power: POWERS[at % POWERS.len()],
            };
            best = Some((evidence, gain, hurdle));
        }
    }
    Ok(best)
}

/// Standard errors over `n_lives` that one of `n_candidates` without evidence reaches with a chance of [`CHANCE`] at most.
fn hurdle(n_lives: usize, n_candidates: usize) -> Result<f64> {
    let freedom = (n_lives.max(2) - 1) as f64;
    let t = StudentsT::new(0.0, 1.0, freedom)
        .map_err(|e| Error::input("degrees of freedom", "above 0", freedom).with_source(e))?;
    Ok(t.inverse_cdf(1.0 - CHANCE / n_candidates.max(1) as f64))
}

impl HeldOutGain {
    fn lower(&self, hurdle: f64) -> f64 {
        self.mean - hurdle * self.standard_error
    }
}

impl TrajectoryAlgorithm for UpdatedLifePriorSettings {
    type Model = UpdatedLife;

    fn check(&self) -> Result<()> {
        self.prior.check()
    }

    /// # Errors
    /// As of [`LifePrior`](super::LifePrior).
    fn fit(&self, lives: &[RecordedLife<'_>], unit: LifeUnit, _seed: Seed) -> Result<UpdatedLife> {
        let mut sorted: Vec<&RecordedLife<'_>> = lives.iter().collect();
        let numbers = |l: &&RecordedLife<'_>| [l.end, f64::from(u8::from(l.failed)), l.ages.len() as f64];
        sorted.sort_by(|a, b| {
            let (of_a, of_b) = (numbers(a), numbers(b));
            let all = |l: &[f64; 3], life: &RecordedLife<'_>| -> Vec<u64> {
                let numbers = l.iter().chain(life.ages).chain(life.values);
                numbers.map(|v| v.to_bits()).collect()
            };
            let by_end = of_a[0].total_cmp(&of_b[0]);
            by_end.then_with(|| all(&of_a, a).cmp(&all(&of_b, b)))
        });
        let prior = LifeDistribution::of(self.prior, lives)?;
        let asked = asked(&sorted);
        let best = if asked.len() < LEAST_LIVES {
            None
        } else {
            best_held_out(self.prior, &sorted, &asked, unit)?
        };
        let evidence = best
            .filter(|(_, gain, hurdle)| gain.lower(*hurdle) > 0.0)
            .and_then(|(evidence, _, _)| Some((evidence, line(asked.iter(), evidence.reading)?)));
        Ok(UpdatedLife {
            prior,
            evidence,
            gain: best.map(|(_, gain, _)| gain),
        })
    }
}

impl UpdatedLife {
    /// What moves the prior; `None` where no reading has proved that it knows more.
    pub fn evidence(&self) -> Option<LifeEvidence> {
        self.evidence.map(|(evidence, _)| evidence)
    }

    /// What the most promising reading gained on lives held out, whether that was enough or not; `None` where fewer than 4
    /// lives failed after their fifteenth row.
    pub fn gain(&self) -> Option<HeldOutGain> {
        self.gain
    }

    /// The prior that is moved.
    pub fn prior(&self) -> &LifeDistribution {
        &self.prior
    }

    /// How far the reading has moved the prognosis of a machine of this age from the prior: the Kullback-Leibler divergence
    /// in nats. Zero where the prognosis is the prior.
    pub fn moved(&self, memory: &ReadingRise, age: f64) -> f64 {
        let rise = memory.rise().filter(|_| !self.prior.is_beyond(age));
        match (&self.evidence, rise) {
            (Some((evidence, line)), Some(rise)) => Cells::of(&self.prior, age).update(line, evidence.power, rise),
            _ => 0.0,
        }
    }
}

impl TrajectoryModel for UpdatedLife {
    const KIND: &'static str = "rul.updated_life_prior";
    type Record = UpdatedLifeRecord;
    type Memory = ReadingRise;

    fn width(&self) -> usize {
        self.prior.width()
    }

    fn new_memory(&self) -> ReadingRise {
        ReadingRise::default()
    }

    fn check_memory(&self, memory: &ReadingRise) -> Result<()> {
        let sound = memory.smoothed.abs() <= LARGEST && memory.lowest.abs() <= LARGEST;
        if sound && memory.lowest <= memory.smoothed {
            return Ok(());
        }
        Err(Error::state(
            "memory of a reading",
            "a level, and a lowest one not above it",
            format!("{} and {}", memory.smoothed, memory.lowest),
        ))
    }

    fn observe(&self, memory: &mut ReadingRise, _age: f64, row: &[f64]) {
        if let Some((evidence, _)) = &self.evidence
            && let Some(reading) = row.get(evidence.reading)
        {
            memory.observe(*reading);
        }
    }

    fn prognose(
        &self,
        memory: &ReadingRise,
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        match (&self.evidence, memory.rise()) {
            (Some((evidence, line)), Some(rise)) if !self.prior.is_beyond(age) => {
                let mut cells = Cells::of(&self.prior, age);
                cells.update(line, evidence.power, rise);
                Ok(Ok(cells.distribution(unit)?))
            }
            _ => self.prior.at(age, unit),
        }
    }

    fn to_record(&self) -> UpdatedLifeRecord {
        UpdatedLifeRecord {
            prior: self.prior.to_record(),
            reading: self.evidence.map_or(0, |(e, _)| e.reading as u32),
            power: self.evidence.map_or(0.0, |(e, _)| e.power),
            line: self.evidence.map(|(_, line)| line),
            gain: self.gain,
        }
    }

    fn from_record(r: UpdatedLifeRecord, width: usize) -> Result<Self> {
        let evidence = r.line.map(|line| {
            let evidence = LifeEvidence {
                reading: r.reading as usize,
                power: r.power,
            };
            (evidence, line)
        });
        let sound = match &evidence {
            Some((e, line)) => line.is_sound() && e.reading < width && e.power > 0.0 && e.power <= 1.0,
            None => r.reading == 0 && r.power == 0.0,
        };
        let gain_is_sound = r
            .gain
            .is_none_or(|g| g.mean.is_finite() && g.standard_error.is_finite() && g.standard_error >= 0.0);
        if !(sound && gain_is_sound) {
            return Err(Error::persistence(format!(
                "{}: expected a falling line of one of {width} readings with a power in 0..=1, got reading {}, power {}, {:?}",
                Self::KIND,
                r.reading,
                r.power,
                r.line
            )));
        }
        Ok(Self {
            prior: LifeDistribution::from_record(r.prior, width)?,
            evidence,
            gain: r.gain,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Lives of 100, 150, .. hours, a row an hour: the second reading rises over the last 60 h where `shows`, the others are
    /// ripples.
    fn recorded(n: usize, shows: bool) -> Vec<(Vec<f64>, Vec<f64>, f64)> {
        (0..n)
            .map(|i| {
                let end = 100.0 + 50.0 * ((i * 5) % n) as f64;
                let ages: Vec<f64> = (0..end as u32).map(f64::from).collect();
                let ripple = |k: f64, age: f64| (age * k + i as f64).sin();
                let rise = |age: f64| if shows { (60.0 - (end - age)).max(0.0) } else { 0.0 };
                let row = |&age: &f64| [ripple(0.37, age), ripple(0.73, age) + rise(age), ripple(0.11, age)];
                let values = ages.iter().flat_map(row).collect();
                (ages, values, end)
            })
            .collect()
    }

    fn fitted(recorded: &[(Vec<f64>, Vec<f64>, f64)]) -> UpdatedLife {
        let lives: Vec<RecordedLife<'_>> = recorded
            .iter()
            .map(|(ages, values, end)| RecordedLife::new(ages, values, 3, *end, true).unwrap())
            .collect();
        let mut settings = UpdatedLifePriorSettings::default();
        settings.prior.set_weighting(LifeWeighting::Machines);
        settings.fit(&lives, LifeUnit::Hours, Seed(0)).unwrap()
    }

    fn followed(model: &UpdatedLife, (ages, values, _): &(Vec<f64>, Vec<f64>, f64), until: f64) -> ReadingRise {
        let mut memory = model.new_memory();
        for (age, row) in ages.iter().zip(values.chunks(3)).take_while(|(age, _)| **age <= until) {
            model.observe(&mut memory, *age, row);
        }
        memory
    }

    #[test]
    fn the_hurdle_is_students() {
        // SciPy: t.ppf(1 - 0.05/16, 4), t.ppf(1 - 0.05/16, 5).
        assert!((hurdle(5, 16).unwrap() - 5.261057575).abs() < 1e-6);
        assert!((hurdle(6, 16).unwrap() - 4.525716259).abs() < 1e-6);
    }

    #[test]
    fn a_reading_that_tells_is_found_and_moves_the_prior_towards_the_truth() {
        let lives = recorded(9, true);
        let model = fitted(&lives[1..]);
        assert_eq!(model.evidence().unwrap().reading, 1);
        assert!(model.gain().unwrap().mean > 0.0);
        let (end, age) = (lives[0].2, lives[0].2 - 10.0);
        let memory = followed(&model, &lives[0], age);
        let updated = model.prognose(&memory, age, LifeUnit::Hours).unwrap().unwrap();
        let prior = model.prior().at(age, LifeUnit::Hours).unwrap().unwrap();
        assert!(updated.crps(end - age).unwrap() < prior.crps(end - age).unwrap());
        assert!(updated.median() < prior.median());
        assert!(model.moved(&memory, age) > 0.05);
        // A machine of which too little was seen has its prior.
        let early = followed(&model, &lives[0], 10.0);
        assert_eq!(model.moved(&early, 10.0), 0.0);
    }

    #[test]
    fn readings_that_tell_nothing_leave_the_prior_as_it_is() {
        for lives in [recorded(9, false), recorded(3, true)] {
            let model = fitted(&lives);
            assert_eq!(model.evidence(), None);
            let memory = followed(&model, &lives[0], 90.0);
            assert_eq!(model.moved(&memory, 90.0), 0.0);
            assert_eq!(
                model.prognose(&memory, 90.0, LifeUnit::Hours).unwrap(),
                model.prior().at(90.0, LifeUnit::Hours).unwrap()
            );
        }
    }

    #[test]
    fn lives_in_another_order_make_the_same_model() {
        let mut lives = recorded(8, true);
        let model = fitted(&lives);
        lives.reverse();
        assert_eq!(fitted(&lives), model);
    }

    /// Bayes' rule written out on a fine grid of remaining life.
    #[test]
    fn the_update_is_bayes_rule() {
        let model = fitted(&recorded(8, true));
        let (age, rise) = (120.0, 25.0);
        let line = Line {
            at_zero: 60.0,
            slope: -12.0,
            spread: 5.0,
        };
        let mut cells = Cells::of(&model.prior, age);
        let moved = cells.update(&line, 0.5, rise);
        let got = cells.distribution(LifeUnit::Hours).unwrap();
        let (mut below, mut total, mut divergence) = ([0.0f64; 3], 0.0f64, 0.0f64);
        let times = [5.0f64, 40.0, 200.0];
        let step = |i: usize| libm::exp(i as f64 * 1e-3 - 10.0);
        let likelihood = |r: f64| {
            let z = (rise - line.at_zero - line.slope * r.ln()) / line.spread;
            (1.0 + z * z / 4.0).powf(-2.5 * 0.5)
        };
        for i in 0..20_000 {
            let (a, b) = (step(i), step(i + 1));
            let mass = (model.prior.survival(age + a) - model.prior.survival(age + b)) / model.prior.survival(age);
            let weight = mass * likelihood((a * b).sqrt());
            total += weight;
            divergence += weight * likelihood((a * b).sqrt()).ln();
            below
                .iter_mut()
                .zip(times)
                .filter(|(_, t)| b <= *t)
                .for_each(|(s, _)| *s += weight);
        }
        for (sum, t) in below.iter().zip(times) {
            // Cells of about 2% in the middle, and linear percentiles.
            assert!((got.failure(t) - sum / total).abs() < 0.01, "{t}");
        }
        assert!((moved - (divergence / total - total.ln())).abs() < 0.01);
    }

    #[test]
    fn files_and_memories_that_cannot_be_are_refused() {
        let model = fitted(&recorded(9, true)[1..]);
        let refused = |change: fn(&mut UpdatedLifeRecord)| {
            let mut record = model.to_record();
            change(&mut record);
            UpdatedLife::from_record(record, 3).unwrap_err().kind()
        };
        assert_eq!(UpdatedLife::from_record(model.to_record(), 3).unwrap(), model);
        assert_eq!(refused(|r| r.reading = 3), ErrorKind::Persistence);
        assert_eq!(refused(|r| r.power = f64::NAN), ErrorKind::Persistence);
        assert_eq!(
            refused(|r| r.line.as_mut().unwrap().slope = 1.0),
            ErrorKind::Persistence
        );
        assert_eq!(
            refused(|r| r.line.as_mut().unwrap().spread = 0.0),
            ErrorKind::Persistence
        );
        assert_eq!(refused(|r| r.line = None), ErrorKind::Persistence);
        let memory = |smoothed, lowest| ReadingRise {
            n_rows: 20,
            smoothed,
            lowest,
        };
        assert!(model.check_memory(&memory(2.0, 1.0)).is_ok());
        for m in [memory(1.0, 2.0), memory(f64::NAN, 0.0), memory(f64::INFINITY, 0.0)] {
            assert_eq!(model.check_memory(&m).unwrap_err().kind(), ErrorKind::StateMismatch);
        }
    }
}
