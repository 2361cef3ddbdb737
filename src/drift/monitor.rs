//! What the model sees in service, counted in the bins of its training rows.

use super::{
    policy::DriftPolicy,
    reference::{ChannelReference, InputReference},
    tails::{chi_squared_above, kolmogorov_above},
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A share below this counts as this in [`ChannelDrift::psi`]; 1e-4 is what practice puts in place of an empty bin.
const LEAST_SHARE: f64 = 1e-4;
/// Counts up to here are exact as floats.
const MAX_COUNT: u64 = 1 << 53;

/// Counts the rows of a whole fleet in the bins of an [`InputReference`].
///
/// Counts are whole numbers, so that monitors of several processes [merge](Self::merge) to what one would have counted, in any
/// order. A row costs one search among the cuts a channel and allocates nothing.
///
/// Windows tumble: count until [`is_full`](Self::is_full), [assess](Self::assess), [reset](Self::reset). The machines that a window
/// holds rows of have to be told when it is assessed; they are its evidence (see [`DriftPolicy`]).
///
/// ```
/// use prognos::{
///     drift::{DriftLevel, DriftPolicy, InputMonitor, InputReference, MachineRows},
///     features::FeatureSchema,
///     signal::Channel,
/// };
/// // 40 machines at training, each with its own level of load.
/// let schema = FeatureSchema::of_channels(&[Channel::new("load", "kN")])?;
/// let machine = |k: u32| (0..50).map(|i| f64::from(k) + 0.01 * f64::from(i)).collect::<Vec<f64>>();
/// let training: Vec<_> = (0..40).map(machine).collect();
/// let mut rows = MachineRows::new(schema);
/// for values in &training {
///     rows.push(values.chunks_exact(1))?;
/// }
/// let reference = InputReference::fit(&rows)?;
///
/// // 20 machines in service, all loaded as only every other one was.
/// let mut monitor = InputMonitor::new(&reference);
/// for load in (20..40).flat_map(machine) {
///     monitor.observe(&reference, &[load])?;
/// }
/// let report = monitor.assess(&reference, &DriftPolicy::default(), 20.0)?;
/// assert_eq!(report.level(), DriftLevel::Major);
/// // The same rows of two machines prove nothing.
/// assert_eq!(monitor.assess(&reference, &DriftPolicy::default(), 2.0)?.level(), DriftLevel::Stable);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct InputMonitor {
    reference: Fingerprint,
    rows: u64,
    /// Counters a channel: its bins and one for missing.
    widths: Vec<u8>,
    counts: Vec<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    reference: Fingerprint,
    rows: u64,
    widths: Vec<u8>,
    counts: Vec<u64>,
}

impl InputMonitor {
    /// No rows yet.
    pub fn new(reference: &InputReference) -> Self {
        let widths: Vec<u8> = reference.channels().iter().map(width).collect();
        Self {
            reference: reference.fingerprint(),
            rows: 0,
            counts: vec![0; widths.iter().map(|w| usize::from(*w)).sum()],
            widths,
        }
    }

    /// Counts a row. Values that are not finite count as missing.
    ///
    /// # Errors
    /// `StateMismatch` for another reference than it was made with; `SchemaMismatch` for a row of another length. Nothing is
    /// counted then.
    pub fn observe(&mut self, reference: &InputReference, row: &[f64]) -> Result<()> {
        self.expect(reference)?;
        if row.len() != self.widths.len() {
            let expected = format!("{} values", self.widths.len());
            return Err(Error::schema("observed row", expected, row.len()));
        }
        self.rows += 1;
        let mut counts = &mut self.counts[..];
        for (channel, &value) in reference.channels().iter().zip(row) {
            let (own, rest) = counts.split_at_mut(usize::from(width(channel)).min(counts.len()));
            if let Some(count) = own.get_mut(channel.place(value)) {
                *count += 1;
            }
            counts = rest;
        }
        Ok(())
    }

    /// Adds what another monitor counted.
    ///
    /// # Errors
    /// `StateMismatch` where it was made with another reference; `InvalidInput` for more than 2^53 rows together. Nothing is
    /// added then.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.reference != other.reference || self.widths != other.widths {
            return Err(Error::state("monitor to merge", self.reference, other.reference));
        }
        let rows = self.rows.saturating_add(other.rows);
        if rows > MAX_COUNT {
            return Err(Error::input("rows of two monitors", "at most 2^53", rows));
        }
        self.rows = rows;
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        Ok(())
    }

    /// Rows counted since the last reset.
    pub fn n_rows(&self) -> u64 {
        self.rows
    }

    /// Whether a window of the policy is full.
    pub fn is_full(&self, policy: &DriftPolicy) -> bool {
        self.rows >= policy.window_rows()
    }

    /// Forgets all rows: the next window begins.
    pub fn reset(&mut self) {
        self.rows = 0;
        self.counts.fill(0);
    }

    /// Compares what was counted with the training rows.
    ///
    /// `machines` is as how many the machines count that the rows come from: their number where each has about as many rows,
    /// otherwise their [effective number](super::effective_number).
    ///
    /// # Errors
    /// `StateMismatch` for another reference than it was made with, or a policy calibrated on another; `InsufficientData` for
    /// fewer rows than the policy's least; `InvalidInput` unless `machines` is finite and above 0.
    pub fn assess(&self, reference: &InputReference, policy: &DriftPolicy, machines: f64) -> Result<DriftReport> {
        self.expect(reference)?;
        policy.expect(reference)?;
        if self.rows < policy.least_rows() {
            let needed = format!("at least {} rows", policy.least_rows());
            return Err(Error::insufficient("window of a drift monitor", needed, self.rows));
        }
        if !(machines.is_finite() && machines > 0.0) {
            return Err(Error::input("machines of a window", "finite and above 0", machines));
        }
        let machines = machines.min(self.rows as f64);
        let mut counts = &self.counts[..];
        let mut channels = Vec::with_capacity(self.widths.len());
        for (i, (channel, feature)) in reference
            .channels()
            .iter()
            .zip(reference.schema().features())
            .enumerate()
        {
            let (own, rest) = counts.split_at(usize::from(width(channel)).min(counts.len()));
            let figures = Figures::of(channel, own);
            let (ks_p_value, bins_p_value) = figures.p_values(channel, machines, reference.n_machines());
            channels.push(ChannelDrift {
                channel: feature.name.clone(),
                psi: figures.psi,
                ks: figures.ks,
                ks_p_value,
                bins_p_value,
                missing: figures.missing,
                missing_reference: channel.missing_share(),
                level: policy.level((i, self.widths.len()), &figures, (ks_p_value, bins_p_value), machines),
            });
            counts = rest;
        }
        Ok(DriftReport {
            rows: self.rows,
            machines,
            channels,
        })
    }

    fn expect(&self, reference: &InputReference) -> Result<()> {
        if self.reference == reference.fingerprint() && self.widths.len() == reference.channels().len() {
            return Ok(());
        }
        Err(Error::state(
            "reference of a drift monitor",
            self.reference,
            reference.fingerprint(),
        ))
    }
}

/// Counters of a channel; a reference has at most 61 bins a channel.
fn width(channel: &ChannelReference) -> u8 {
    channel.counts().len() as u8 + 1
}

impl TryFrom<Record> for InputMonitor {
    type Error = Error;

    fn try_from(record: Record) -> Result<Self> {
        let fail = |what: String| Err(Error::persistence(format!("input monitor: {what}")));
        let counters: usize = record.widths.iter().map(|w| usize::from(*w)).sum();
        if record.widths.is_empty() || record.widths.iter().any(|w| *w < 2) || counters != record.counts.len() {
            return fail(format!("{} counts for {counters} bins", record.counts.len()));
        }
        if record.rows > MAX_COUNT {
            return fail(format!("{} rows", record.rows));
        }
        let mut counts = &record.counts[..];
        for (i, width) in record.widths.iter().enumerate() {
            let (own, rest) = counts.split_at(usize::from(*width));
            if own.iter().try_fold(0_u64, |sum, c| sum.checked_add(*c)) != Some(record.rows) {
                return fail(format!("counts of channel {i} do not add up to {} rows", record.rows));
            }
            counts = rest;
        }
        Ok(Self {
            reference: record.reference,
            rows: record.rows,
            widths: record.widths,
            counts: record.counts,
        })
    }
}

impl From<InputMonitor> for Record {
    fn from(monitor: InputMonitor) -> Self {
        Self {
            reference: monitor.reference,
            rows: monitor.rows,
            widths: monitor.widths,
            counts: monitor.counts,
        }
    }
}

/// The statistics of one channel: counts of a window, bins and missing, against training.
pub(super) struct Figures {
    pub psi: f64,
    pub ks: f64,
    pub missing: f64,
    /// `Σ (p - q)² / (share of both together)` is taken with the weights of both; shares now, then.
    shares: Vec<(f64, f64)>,
    has_values: bool,
}

impl Figures {
    pub fn of(channel: &ChannelReference, counts: &[u64]) -> Self {
        Self::between(channel.counts().iter().copied().chain([channel.missing()]), counts)
    }

    /// Both with a counter for missing at the end.
    pub fn between(then: impl Iterator<Item = u64> + Clone, now: &[u64]) -> Self {
        let total = |n: u64| (n as f64).max(1.0);
        let (n_now, n_then) = (total(now.iter().sum()), total(then.clone().sum()));
        let shares: Vec<(f64, f64)> = now
            .iter()
            .zip(then)
            .map(|(&now, then)| (now as f64 / n_now, then as f64 / n_then))
            .collect();
        let psi = shares.iter().map(|&(p, q)| {
            let (p, q) = (p.max(LEAST_SHARE), q.max(LEAST_SHARE));
            (p - q) * libm::log(p / q)
        });
        let psi = psi.sum();
        let missing = shares.last().map_or(0.0, |s| s.0);
        let values = shares.split_last().map_or(&[][..], |(_, values)| values);
        let (all_now, all_then) = values.iter().fold((0.0, 0.0), |(a, b), (p, q)| (a + p, b + q));
        let has_values = all_now > 0.0 && all_then > 0.0;
        let mut ks = 0.0_f64;
        if has_values {
            let (mut below_now, mut below_then) = (0.0, 0.0);
            for (p, q) in values.iter().take(values.len().saturating_sub(1)) {
                (below_now, below_then) = (below_now + p, below_then + q);
                ks = ks.max((below_now / all_now - below_then / all_then).abs());
            }
        }
        Self {
            psi,
            ks: ks.min(1.0),
            missing,
            shares,
            has_values,
        }
    }

    /// Of the largest difference of distribution functions, and of all bins and missing together, where each machine counts as
    /// one observation.
    fn p_values(&self, channel: &ChannelReference, machines: f64, n_machines: u32) -> (f64, f64) {
        let harmonic = |a: f64, b: f64| if a > 0.0 && b > 0.0 { a * b / (a + b) } else { 0.0 };
        let ks = if self.has_values {
            kolmogorov_above(harmonic(machines, channel.machines()).sqrt() * self.ks)
        } else {
            1.0
        };
        // A channel without values at training: its machines are all of them.
        let then = if channel.machines() > 0.0 {
            channel.machines()
        } else {
            f64::from(n_machines)
        };
        let (mut sum, mut bins) = (0.0, 0_usize);
        for &(p, q) in &self.shares {
            let both = (machines * p + then * q) / (machines + then);
            if both > 0.0 {
                sum += (p - q) * (p - q) / both;
                bins += 1;
            }
        }
        let bins_p = chi_squared_above(harmonic(machines, then) * sum, bins.saturating_sub(1));
        (ks, bins_p)
    }
}

/// How far something has moved from training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DriftLevel {
    /// No change that is both large enough to matter and more than machines differ anyway.
    #[default]
    Stable,
    /// A change worth a look.
    Moderate,
    /// A change that puts what the model says in doubt.
    Major,
}

impl fmt::Display for DriftLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stable => "stable",
            Self::Moderate => "moderate",
            Self::Major => "major",
        })
    }
}

/// One channel of a [`DriftReport`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelDrift {
    /// Name of the channel.
    pub channel: String,
    /// Population stability index `Σ (p - q) ln(p / q)` over the bins and missing, `p` the share now and `q` at training, each
    /// at least 1e-4 so that an empty bin has a finite weight. 0 for equal shares, never negative.
    ///
    /// It is Jeffreys' divergence (H. Jeffreys, *Proceedings of the Royal Society A* 186 (1946), doi 10.1098/rspa.1946.0056).
    pub psi: f64,
    /// Largest difference of the two distribution functions of finite values at the cuts, 0..=1: a lower bound of the
    /// two-sample Kolmogorov-Smirnov statistic, short of it by no more than the largest training share of a bin; exact
    /// where all values of a bin are equal (channels of few values). 0 where one side has no finite value.
    pub ks: f64,
    /// The chance of such a `ks`, by Kolmogorov's limit with `m n / (m + n)` from *machines*, not rows (see
    /// [`DriftPolicy`]): too large rather than too small. 1 where one side has no finite value.
    pub ks_p_value: f64,
    /// The chance of such differences over all bins and missing together, by the chi-squared test of homogeneity with the numbers
    /// of machines. It sees changes of spread and of missing values that `ks` does not.
    pub bins_p_value: f64,
    /// Share of rows without a finite value now.
    pub missing: f64,
    /// The same at training.
    pub missing_reference: f64,
    /// What the policy makes of it.
    pub level: DriftLevel,
}

impl fmt::Display for ChannelDrift {
    /// `load: major, PSI 0.412, KS 0.231 (p 0.0012), missing 2.0% (0.0% at training)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, PSI {:.3}, KS {:.3} (p {:.2e}), missing {:.1}% ({:.1}% at training)",
            self.channel,
            self.level,
            self.psi,
            self.ks,
            self.ks_p_value,
            100.0 * self.missing,
            100.0 * self.missing_reference
        )
    }
}

/// What an [`InputMonitor`] found: one entry a channel, in the order of the schema.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftReport {
    rows: u64,
    machines: f64,
    channels: Vec<ChannelDrift>,
}

impl DriftReport {
    /// Rows of the window.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// As how many machines they count.
    pub fn machines(&self) -> f64 {
        self.machines
    }

    /// The channels in the order of the schema.
    pub fn channels(&self) -> &[ChannelDrift] {
        &self.channels
    }

    /// The highest level of a channel.
    pub fn level(&self) -> DriftLevel {
        self.channels.iter().map(|c| c.level).max().unwrap_or_default()
    }

    /// The channels, those with the highest level first, among equals the one with the highest PSI.
    pub fn worst_first(&self) -> Vec<&ChannelDrift> {
        let mut sorted: Vec<&ChannelDrift> = self.channels.iter().collect();
        sorted.sort_by(|a, b| b.level.cmp(&a.level).then(b.psi.total_cmp(&a.psi)));
        sorted
    }
}

impl fmt::Display for DriftReport {
    /// A line a channel, the worst first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, channel) in self.worst_first().into_iter().enumerate() {
            write!(f, "{}{channel}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}
