//! How far windows of held-out training machines lie from the other machines.

use super::{
    machine_rows::MachineRows,
    monitor::Figures,
    reference::{ChannelReference, InputReference},
};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// Windows drawn.
const N_WINDOWS: usize = 1_000;
/// Machines that are needed.
const LEAST_MACHINES: usize = 8;
/// Rows of a window that are looked at.
const MAX_ROWS: u64 = 8_192;
/// Counters of machines that are kept at once.
const MAX_COUNTERS: usize = 1 << 26;

/// What windows without drift keep within: a scale a channel and statistic, times a factor a level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Thresholds {
    reference: Fingerprint,
    /// Machines a window, and machines of the training rows they were compared with.
    machines: (f64, f64),
    /// PSI and KS of each channel.
    scales: Vec<(f64, f64)>,
    /// Moderate and major.
    factors: (f64, f64),
}

impl Thresholds {
    pub fn expect(&self, reference: &InputReference) -> Result<()> {
        if self.reference == reference.fingerprint() && self.scales.len() == reference.channels().len() {
            return Ok(());
        }
        let what = "reference of a calibrated drift policy";
        Err(Error::state(what, self.reference, reference.fingerprint()))
    }

    pub fn check(&self) -> Result<()> {
        let good = |x: f64| x.is_finite() && x >= 0.0;
        let (m, n) = self.machines;
        if m.is_finite()
            && n.is_finite()
            && m >= 1.0
            && n >= 1.0
            && good(self.factors.0)
            && good(self.factors.1)
            && self.scales.iter().all(|&(psi, ks)| good(psi) && good(ks))
        {
            return Ok(());
        }
        Err(Error::persistence(
            "thresholds of a drift policy: a number out of range",
        ))
    }

    /// Whether PSI and KS of channel `i` lie beyond what such windows show.
    pub fn exceeded(&self, i: usize, (psi, ks): (f64, f64), machines: f64, major: bool) -> (bool, bool) {
        let Some(&(psi_scale, ks_scale)) = self.scales.get(i) else {
            return (false, false);
        };
        let (m, n) = self.machines;
        let wider = ((1.0 / machines + 1.0 / n) / (1.0 / m + 1.0 / n)).max(1.0);
        let factor = if major { self.factors.1 } else { self.factors.0 };
        (psi > psi_scale * factor * wider, ks > ks_scale * factor * wider.sqrt())
    }
}

/// A multiple of 2⁻⁵³ above 0 and at most 1.
fn uniform(seed: Seed) -> f64 {
    ((seed.0 >> 11) + 1) as f64 * (1.0 / (1_u64 << 53) as f64)
}

fn places(channels: &[ChannelReference]) -> Vec<usize> {
    let mut at = 0;
    channels
        .iter()
        .map(|c| {
            at += c.counts().len() + 1;
            at - c.counts().len() - 1
        })
        .collect()
}

fn count(channels: &[ChannelReference], places: &[usize], row: &[f64], counts: &mut [u64]) {
    for ((channel, at), value) in channels.iter().zip(places).zip(row) {
        if let Some(count) = counts.get_mut(at + channel.place(*value)) {
            *count += 1;
        }
    }
}

pub(super) fn thresholds(
    reference: &InputReference,
    training: &MachineRows<'_>,
    (window, machines): (u64, u32),
    significance: (f64, f64),
    seed: Seed,
) -> Result<Thresholds> {
    reference.schema().expect(training.schema())?;
    if machines == 0 {
        return Err(Error::parameter("machines", "at least 1", machines));
    }
    let channels = reference.channels();
    let places = places(channels);
    let width: usize = channels.iter().map(|c| c.counts().len() + 1).sum();
    // Of very many machines, as many as there is room for, evenly.
    let all = training.machines();
    let most = (MAX_COUNTERS / width.max(1)).max(LEAST_MACHINES);
    let rows: Vec<&Vec<&[f64]>> = all.iter().step_by(all.len().div_ceil(most).max(1)).collect();
    if rows.len() < LEAST_MACHINES {
        let needed = format!("at least {LEAST_MACHINES} training machines");
        return Err(Error::insufficient("calibration of a drift policy", needed, rows.len()));
    }
    let per_machine: Vec<Vec<u64>> = rows
        .iter()
        .map(|machine| {
            let mut counts = vec![0; width];
            machine
                .iter()
                .for_each(|row| count(channels, &places, row, &mut counts));
            counts
        })
        .collect();
    let mut total = vec![0_u64; width];
    for counts in &per_machine {
        total.iter_mut().zip(counts).for_each(|(t, c)| *t += c);
    }
    let group = (machines as usize).min(rows.len() / 2);
    let run = window.div_ceil(group as u64).max(1);
    let step = run.div_ceil((MAX_ROWS / group as u64).max(1)).max(1);

    let mut shown: Vec<Vec<(f64, f64)>> = vec![Vec::with_capacity(N_WINDOWS); channels.len()];
    let mut keys: Vec<(f64, usize)> = Vec::with_capacity(rows.len());
    let (mut counts, mut others) = (vec![0_u64; width], vec![0_u64; width]);
    for trial in 0..N_WINDOWS {
        let seed = seed.part(trial as u64);
        // The smallest -ln(u) / rows: exponential races.
        keys.clear();
        keys.extend(rows.iter().enumerate().map(|(i, machine)| {
            let u = uniform(seed.part(2 * i as u64));
            (-libm::log(u) / machine.len() as f64, i)
        }));
        keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        counts.fill(0);
        others.copy_from_slice(&total);
        for &(_, i) in keys.iter().take(group) {
            let (Some(machine), Some(own)) = (rows.get(i), per_machine.get(i)) else {
                continue;
            };
            others.iter_mut().zip(own).for_each(|(o, c)| *o -= c);
            let n = machine.len() as u64;
            let start = seed.part(2 * i as u64 + 1).0 % n;
            let mut k = 0;
            while k < run {
                if let Some(row) = machine.get(((start + k % n) % n) as usize) {
                    count(channels, &places, row, &mut counts);
                }
                k += step;
            }
        }
        for ((at, channel), shown) in places.iter().zip(channels).zip(&mut shown) {
            let bins = *at..at + channel.counts().len() + 1;
            let (Some(now), Some(then)) = (counts.get(bins.clone()), others.get(bins)) else {
                continue;
            };
            let figures = Figures::between(then.iter().copied(), now);
            shown.push((figures.psi, figures.ks));
        }
    }
    let scales: Vec<(f64, f64)> = shown
        .iter()
        .map(|shown| {
            (
                scale(shown.iter().map(|s| s.0).collect()),
                scale(shown.iter().map(|s| s.1).collect()),
            )
        })
        .collect();
    // Of each window, the farthest channel and statistic.
    let ratio = |value: f64, scale: f64| if scale > 0.0 { value / scale } else { 0.0 };
    let mut farthest: Vec<f64> = (0..N_WINDOWS)
        .map(|trial| {
            let of = |(shown, scale): (&Vec<(f64, f64)>, &(f64, f64))| {
                let (psi, ks) = shown.get(trial).copied().unwrap_or_default();
                ratio(psi, scale.0).max(ratio(ks, scale.1))
            };
            shown.iter().zip(&scales).map(of).fold(0.0, f64::max)
        })
        .collect();
    farthest.sort_unstable_by(f64::total_cmp);
    Ok(Thresholds {
        reference: reference.fingerprint(),
        machines: (group as f64, rows.len() as f64),
        scales,
        factors: (
            exceeded_by(&farthest, significance.0),
            exceeded_by(&farthest, significance.1),
        ),
    })
}

/// The size that statistics of a channel have when they are large: their 95th percentile, or their mean where that is more.
fn scale(mut values: Vec<f64>) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.sort_unstable_by(f64::total_cmp);
    exceeded_by(&values, 0.05).max(mean)
}

/// The value of sorted ones that a new one exceeds with a chance of at most `share`: rank `⌈(n + 1)(1 - share)⌉`.
fn exceeded_by(sorted: &[f64], share: f64) -> f64 {
    let rank = ((sorted.len() as f64 + 1.0) * (1.0 - share)).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}
