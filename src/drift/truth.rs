//! Estimates against what came true, a machine at a time.

use super::{
    trail::{EstimateTrail, LONGEST, LONGEST_MEAN},
    truth_policy::{TruthFigures, TruthPolicy, TruthReport},
};
use crate::{
    error::{Error, Result},
    model::RulEstimate,
    quantity::{LifeUnit, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, collections::BTreeMap};

/// Machines a monitor remembers.
const RECENT: usize = 64;
/// Machines of training whose errors are kept one by one.
const KEPT: usize = 256;

/// What became of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TruthEnd {
    /// It failed.
    Failed {
        /// When.
        at: Timestamp,
    },
    /// An inspection found how much life was left.
    Inspected {
        /// When.
        at: Timestamp,
        /// Life left then, in the unit of the estimates.
        rul: f64,
    },
    /// It was taken out of service alive: each life was at least as long as until then.
    Retired {
        /// When.
        at: Timestamp,
    },
}

impl TruthEnd {
    fn at(self) -> Timestamp {
        match self {
            Self::Failed { at } | Self::Inspected { at, .. } | Self::Retired { at } => at,
        }
    }
}

/// How the estimates of one machine came true; each of its estimates counts alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineTruth {
    /// Estimates that were judged.
    pub n_estimates: u32,
    /// Mean of estimate minus truth, mean of its size, mean of its square; `None` where the machine was retired alive.
    pub errors: Option<(f64, f64, f64)>,
    /// Share of intervals that held the truth; of a machine retired alive, that are not contradicted.
    pub coverage: f64,
    /// Mean nominal level of the intervals.
    pub nominal: f64,
}

/// Means over estimates, all taken in the order they come.
#[derive(Default)]
struct Sums {
    n: u32,
    errors: (f64, f64, f64),
    held: f64,
    nominal: f64,
}

impl Sums {
    fn add(&mut self, (rul, lower, upper, level): (f64, f64, f64, f64), truth: f64) {
        let error = (rul - truth).clamp(-LONGEST, LONGEST);
        let (bias, size, square) = self.errors;
        self.errors = (bias + error, size + error.abs(), square + error * error);
        self.held += f64::from(u8::from(lower <= truth && truth <= upper));
        self.nominal += level;
        self.n += 1;
    }

    fn mean(&self) -> Option<MachineTruth> {
        let n = f64::from(self.n);
        (self.n > 0).then(|| MachineTruth {
            n_estimates: self.n,
            errors: Some((self.errors.0 / n, self.errors.1 / n, self.errors.2 / n)),
            coverage: self.held / n,
            nominal: self.nominal / n,
        })
    }
}

impl MachineTruth {
    /// Of a trail and how the machine ended; `None` where no estimate was made before the end. Truths are capped at `cap`, as
    /// the labels of training were. Of a machine retired alive an interval is contradicted where its upper end lies below what
    /// the machine lived on.
    ///
    /// # Errors
    /// `InvalidInput` for estimates of another unit than `unit`, or a life left that is negative or not finite.
    pub fn of(trail: &EstimateTrail, end: TruthEnd, unit: LifeUnit, cap: Option<f64>) -> Result<Option<Self>> {
        let Some((level, trail_unit)) = trail.claim() else {
            return Ok(None);
        };
        if trail_unit != unit {
            return Err(Error::input("unit of a trail", unit, trail_unit));
        }
        let rest = match end {
            TruthEnd::Inspected { rul, .. } if !(rul.is_finite() && rul >= 0.0) => {
                return Err(Error::input(
                    "life left at an inspection",
                    "finite and not negative",
                    rul,
                ));
            }
            TruthEnd::Inspected { rul, .. } => rul,
            _ => 0.0,
        };
        let retired = matches!(end, TruthEnd::Retired { .. });
        let (mut sums, mut uncontradicted) = (Sums::default(), 0.0);
        for e in trail.entries().iter().filter(|e| e.at <= end.at()) {
            let truth = (rest + unit.between(e.at, end.at()))
                .min(cap.unwrap_or(LONGEST))
                .min(LONGEST);
            sums.add((e.rul, e.lower, e.upper, level), truth);
            uncontradicted += f64::from(u8::from(truth <= e.upper));
        }
        Ok(sums.mean().map(|known| match retired {
            true => Self {
                errors: None,
                coverage: uncontradicted / f64::from(known.n_estimates),
                ..known
            },
            false => known,
        }))
    }

    fn check(&self) -> bool {
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let errors = self.errors.is_none_or(|(bias, size, square)| {
            bias.abs() <= LONGEST_MEAN
                && (0.0..=LONGEST_MEAN).contains(&size)
                && (0.0..=LONGEST_MEAN * LONGEST_MEAN).contains(&square)
        });
        self.n_estimates > 0 && errors && share(self.coverage) && share(self.nominal)
    }

    /// Any fixed order of all, so that sums do not depend on the order machines came in.
    fn order(&self, other: &Self) -> Ordering {
        let key = |t: &Self| {
            let (a, b, c) = t.errors.unwrap_or((f64::NAN, f64::NAN, f64::NAN));
            [a, b, c, t.coverage, t.nominal, f64::from(t.n_estimates)]
        };
        key(self)
            .iter()
            .zip(key(other))
            .map(|(a, b)| a.total_cmp(&b))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

/// How prognoses of held-out machines came true at training: what service is measured by.
///
/// Each machine weighs alike. Of up to 256 machines the mean error and its mean size are kept, sorted; of more, 256 evenly by
/// rank.
///
/// ```
/// use prognos::{drift::TruthReference, model::RulEstimate, quantity::LifeUnit};
/// let said = |rul: f64| RulEstimate::new(rul, rul - 10.0, rul + 10.0, 0.9, LifeUnit::Hours);
/// // Asset, truth and estimate, by a model that had not seen the asset.
/// let held_out = [(0, 50.0, said(58.0)?), (0, 40.0, said(44.0)?), (1, 30.0, said(18.0)?)];
/// let reference = TruthReference::of_held_out(LifeUnit::Hours, None, held_out)?;
/// let figures = reference.figures();
/// assert_eq!((figures.n_machines, figures.bias, figures.mae, figures.coverage), (2, -3.0, 9.0, 0.5));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ReferenceRecord", into = "ReferenceRecord")]
pub struct TruthReference {
    unit: LifeUnit,
    cap: Option<f64>,
    figures: TruthFigures,
    biases: Vec<f64>,
    maes: Vec<f64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct ReferenceRecord {
    unit: LifeUnit,
    cap: Option<f64>,
    figures: TruthFigures,
    biases: Vec<f64>,
    maes: Vec<f64>,
}

impl TruthReference {
    /// Of estimates of machines that the model had not seen: asset, true remaining life, estimate, in any order of assets.
    /// Truths are capped at `cap`, the cap of the model's labels where it has one.
    ///
    /// # Errors
    /// `InsufficientData` without an estimate; `InvalidInput` for one of another unit, or a truth that is negative or not
    /// finite; `InvalidParameter` unless `cap` is finite and above 0.
    pub fn of_held_out(
        unit: LifeUnit,
        cap: Option<f64>,
        held_out: impl IntoIterator<Item = (u32, f64, RulEstimate)>,
    ) -> Result<Self> {
        check_cap(cap)?;
        let mut assets: BTreeMap<u32, Sums> = BTreeMap::new();
        for (asset, truth, e) in held_out {
            if e.unit != unit {
                return Err(Error::input("unit of a held-out estimate", unit, e.unit));
            }
            if !(truth.is_finite() && truth >= 0.0) {
                return Err(Error::input("true remaining life", "finite and not negative", truth));
            }
            let e = RulEstimate::new(e.rul, e.lower, e.upper, e.level, e.unit)?;
            let truth = truth.min(cap.unwrap_or(LONGEST)).min(LONGEST);
            assets
                .entry(asset)
                .or_default()
                .add((e.rul, e.lower, e.upper, e.level), truth);
        }
        let mut machines: Vec<MachineTruth> = assets.values().filter_map(Sums::mean).collect();
        machines.sort_by(MachineTruth::order);
        if machines.is_empty() {
            return Err(Error::insufficient(
                "truth reference",
                "at least 1 held-out estimate",
                0,
            ));
        }
        let sorted = |of: fn(&(f64, f64, f64)) -> f64| {
            let mut all: Vec<f64> = machines.iter().filter_map(|m| m.errors.as_ref().map(of)).collect();
            all.sort_unstable_by(f64::total_cmp);
            match all.len() {
                n if n <= KEPT => all,
                // The middles of 256 parts.
                n => (0..KEPT)
                    .filter_map(|k| all.get((2 * k + 1) * n / (2 * KEPT)).copied())
                    .collect(),
            }
        };
        Ok(Self {
            unit,
            cap,
            figures: TruthFigures::of(machines.iter()),
            biases: sorted(|e| e.0),
            maes: sorted(|e| e.1),
        })
    }

    /// The unit of lives and errors.
    pub fn unit(&self) -> LifeUnit {
        self.unit
    }

    /// What truths are capped at.
    pub fn cap(&self) -> Option<f64> {
        self.cap
    }

    /// Means over the machines.
    pub fn figures(&self) -> &TruthFigures {
        &self.figures
    }

    /// Sorted mean errors of machines, and sorted mean sizes of errors.
    pub(super) fn errors(&self) -> (&[f64], &[f64]) {
        (&self.biases, &self.maes)
    }
}

fn check_cap(cap: Option<f64>) -> Result<()> {
    match cap {
        Some(cap) if !(cap.is_finite() && cap > 0.0) => Err(Error::parameter("cap", "finite and above 0", cap)),
        _ => Ok(()),
    }
}

impl TryFrom<ReferenceRecord> for TruthReference {
    type Error = Error;

    fn try_from(record: ReferenceRecord) -> Result<Self> {
        let ReferenceRecord {
            unit,
            cap,
            figures,
            biases,
            maes,
        } = record;
        let fail = |what: &str| Err(Error::persistence(format!("truth reference: {what}")));
        if check_cap(cap).is_err() {
            return fail("a cap that is not finite and above 0");
        }
        let n = figures.n_machines.min(KEPT);
        if n == 0 || figures.n_retired != 0 || biases.len() != n || maes.len() != n {
            return fail("another number of machines than errors");
        }
        let rises = |all: &[f64]| all.iter().zip(all.iter().skip(1)).all(|(a, b)| a <= b);
        let most = |x: &f64| x.abs() <= LONGEST_MEAN;
        if !(biases.iter().all(most) && maes.iter().all(|x| most(x) && *x >= 0.0) && rises(&biases) && rises(&maes)) {
            return fail("errors out of range or order");
        }
        let share = |x: f64| (0.0..=1.0).contains(&x);
        if !(most(&figures.bias)
            && (0.0..=LONGEST_MEAN).contains(&figures.mae)
            && (0.0..=LONGEST_MEAN).contains(&figures.rmse)
            && share(figures.coverage)
            && share(figures.nominal))
        {
            return fail("a figure out of range");
        }
        Ok(Self {
            unit,
            cap,
            figures,
            biases,
            maes,
        })
    }
}

impl From<TruthReference> for ReferenceRecord {
    fn from(r: TruthReference) -> Self {
        Self {
            unit: r.unit,
            cap: r.cap,
            figures: r.figures,
            biases: r.biases,
            maes: r.maes,
        }
    }
}

/// Whether the prognoses of a fleet came true: the last 64 machines whose lives are known, each weighing alike.
///
/// Of a machine that failed, or whose life left was found by an inspection, each estimate of its [trail](EstimateTrail) has its
/// truth. A machine retired alive says only that its lives were longer than that: its errors are not known and are left out, and
/// of its intervals those are contradicted that end before it did. All others of it count as having held, the best
/// case; were machines without a contradiction left out instead, any model would look wrong that retires machines in time.
/// So many machines retired early hide a fault of the intervals: see [`TruthFigures::n_retired`].
///
/// The machines that ended last are kept, whatever order they came in; monitors [merge](Self::merge) to what one would hold. 64
/// machines are 4 kB.
///
/// ```
/// use prognos::{
///     drift::{DriftLevel, EstimateTrail, TruthEnd, TruthMonitor, TruthPolicy, TruthReference},
///     model::RulEstimate,
///     quantity::LifeUnit::{self, Hours},
/// };
/// let said = |rul: f64| RulEstimate::new(rul, rul - 10.0, rul + 10.0, 0.9, Hours);
/// // Held-out machines of training: off by -8 to 8 h.
/// let held_out: Vec<_> = (0..17).map(|i| Ok((i, 50.0, said(42.0 + f64::from(i))?))).collect::<Result<_, prognos::Error>>()?;
/// let reference = TruthReference::of_held_out(Hours, None, held_out)?;
/// // In service they are told 40 h too much.
/// let mut monitor = TruthMonitor::new(&reference);
/// for machine in 0..8 {
///     let mut trail = EstimateTrail::new();
///     trail.push(Hours.instant(0), &said(90.0 + f64::from(machine))?)?;
///     monitor.learn(&trail, TruthEnd::Failed { at: Hours.instant(50) })?;
/// }
/// let report = monitor.assess(&reference, &TruthPolicy::default())?;
/// assert_eq!((report.now.coverage, report.level()), (0.0, DriftLevel::Major));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MonitorRecord", into = "MonitorRecord")]
pub struct TruthMonitor {
    unit: LifeUnit,
    cap: Option<f64>,
    /// By end, then by [`MachineTruth::order`].
    machines: Vec<(Timestamp, MachineTruth)>,
}

#[derive(Clone, Serialize, Deserialize)]
struct MonitorRecord {
    unit: LifeUnit,
    cap: Option<f64>,
    machines: Vec<(Timestamp, MachineTruth)>,
}

impl TruthMonitor {
    /// No machine yet.
    pub fn new(reference: &TruthReference) -> Self {
        Self {
            unit: reference.unit,
            cap: reference.cap,
            machines: Vec::new(),
        }
    }

    /// Learns how a machine's estimates came true, and tells it; `None` where none was made before the end. Once a life: clear the
    /// trail afterwards.
    ///
    /// # Errors
    /// As [`MachineTruth::of`].
    pub fn learn(&mut self, trail: &EstimateTrail, end: TruthEnd) -> Result<Option<MachineTruth>> {
        let truth = MachineTruth::of(trail, end, self.unit, self.cap)?;
        if let Some(truth) = truth {
            self.insert((end.at(), truth));
        }
        Ok(truth)
    }

    fn insert(&mut self, new: (Timestamp, MachineTruth)) {
        let after = |m: &(Timestamp, MachineTruth)| in_order(m, &new).is_le();
        self.machines.insert(self.machines.partition_point(after), new);
        if self.machines.len() > RECENT {
            self.machines.remove(0);
        }
    }

    /// Adds the machines of another monitor.
    ///
    /// # Errors
    /// `StateMismatch` where its unit or cap is another; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if (self.unit, self.cap) != (other.unit, other.cap) {
            let (expected, got) = (
                format!("{:?}", (self.unit, self.cap)),
                format!("{:?}", (other.unit, other.cap)),
            );
            return Err(Error::state("unit and cap of a truth monitor", expected, got));
        }
        other.machines.iter().for_each(|m| self.insert(*m));
        Ok(())
    }

    /// Machines it remembers, at most 64.
    pub fn n_machines(&self) -> usize {
        self.machines.len()
    }

    /// The machines it remembers and when each ended, in order of that.
    pub fn machines(&self) -> impl ExactSizeIterator<Item = (Timestamp, &MachineTruth)> {
        self.machines.iter().map(|(at, truth)| (*at, truth))
    }

    /// Forgets all, as when another model takes over.
    pub fn reset(&mut self) {
        self.machines.clear();
    }

    /// Compares the machines it remembers with those held out at training.
    ///
    /// # Errors
    /// As [`TruthPolicy::check`]; `StateMismatch` for a reference of another unit or cap; `InsufficientData` without a machine.
    pub fn assess(&self, reference: &TruthReference, policy: &TruthPolicy) -> Result<TruthReport> {
        if (self.unit, self.cap) != (reference.unit, reference.cap) {
            let expected = format!("{:?}", (self.unit, self.cap));
            let got = format!("{:?}", (reference.unit, reference.cap));
            return Err(Error::state("unit and cap of a truth reference", expected, got));
        }
        if self.machines.is_empty() {
            return Err(Error::insufficient("truth monitor", "at least 1 machine", 0));
        }
        let mut machines: Vec<MachineTruth> = self.machines.iter().map(|m| m.1).collect();
        machines.sort_by(MachineTruth::order);
        TruthReport::of(&machines, reference, policy)
    }
}

fn in_order(a: &(Timestamp, MachineTruth), b: &(Timestamp, MachineTruth)) -> Ordering {
    a.0.cmp(&b.0).then_with(|| a.1.order(&b.1))
}

impl TryFrom<MonitorRecord> for TruthMonitor {
    type Error = Error;

    fn try_from(record: MonitorRecord) -> Result<Self> {
        let MonitorRecord { unit, cap, machines } = record;
        let rises = machines
            .iter()
            .zip(machines.iter().skip(1))
            .all(|(a, b)| in_order(a, b).is_le());
        if machines.len() > RECENT || check_cap(cap).is_err() || !rises || !machines.iter().all(|m| m.1.check()) {
            let what = "truth monitor: too many machines, out of order or a number out of range";
            return Err(Error::persistence(what));
        }
        Ok(Self { unit, cap, machines })
    }
}

impl From<TruthMonitor> for MonitorRecord {
    fn from(monitor: TruthMonitor) -> Self {
        Self {
            unit: monitor.unit,
            cap: monitor.cap,
            machines: monitor.machines,
        }
    }
}
