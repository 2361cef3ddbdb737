//! What the training rows looked like, channel by channel, in a few numbers.

use super::machine_rows::{MachineRows, effective_number};
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::FeatureSchema,
};
use serde::{Deserialize, Serialize};

/// Parts of about equal share that a channel is cut into.
const N_PARTS: usize = 20;
/// The most cuts a channel can have: one between parts, two about each value that fills a part alone.
const MAX_CUTS: usize = 3 * N_PARTS;
/// Numbers nearer than this share of themselves to a value that fills a part are that value: a rounding to 32-bit floats,
/// which may happen between training and service, moves a number by 2⁻²⁴ of itself.
const SAME: f64 = 1.0 / 4_194_304.0; // 2^-22
/// Counts up to here are exact as floats.
const MAX_COUNT: u64 = 1 << 53;

/// The distribution of each input channel at training: cut points at the twentieths of its values and the number of rows
/// between them.
///
/// Cut `k` is the least value with at least `k/20` of the values at or below it; bin `k` holds values above the cut before it, up
/// to and with its own. Equal cuts are one. A value that fills a twentieth alone (a constant channel, a switch, a sensor at
/// its stop) has a bin of its own between two cuts, wide enough for a rounding to 32-bit floats and no more, so that a
/// constant that moves in either direction leaves its bin. A channel without a value has one bin and no row in it. Values
/// that are not finite count as missing.
///
/// Every row counts the same, so that counts are whole and cannot depend on the order of rows or machines: a fleet in service,
/// where failed machines are replaced, shows its rows in just these proportions. That few machines may have most of the
/// rows enters where evidence is weighed, by the [effective number](super::effective_number) of machines of each channel.
///
/// Some 60 numbers a channel. Fitting sorts one channel at a time: `O(n log n)` a channel, room for one of them.
///
/// ```
/// use prognos::{drift::{InputReference, MachineRows}, features::FeatureSchema, signal::Channel};
/// let schema = FeatureSchema::of_channels(&[Channel::new("load", "kN"), Channel::new("mode", "")])?;
/// let values: Vec<f64> = (0..400).flat_map(|i| [f64::from(i), 3.0]).collect();
/// let mut rows = MachineRows::new(schema);
/// rows.push(values.chunks_exact(2))?;
/// let reference = InputReference::fit(&rows)?;
/// let [load, mode] = reference.channels() else { unreachable!() };
/// assert_eq!((load.cuts()[0], load.counts()[0], load.counts().len()), (19.0, 20, 20));
/// assert_eq!(mode.counts(), [0, 400, 0]); // below, at, above 3
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "InputReferenceRecord", into = "InputReferenceRecord")]
pub struct InputReference {
    schema: FeatureSchema,
    n_rows: u64,
    n_machines: u32,
    channels: Vec<ChannelReference>,
    fingerprint: Fingerprint,
}

/// One channel of an [`InputReference`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelReference {
    cuts: Vec<f64>,
    counts: Vec<u64>,
    missing: u64,
    machines: f64,
}

/// An [`InputReference`] as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputReferenceRecord {
    schema: FeatureSchema,
    n_rows: u64,
    n_machines: u32,
    channels: Vec<ChannelReference>,
}

impl InputReference {
    /// Of training rows.
    ///
    /// # Errors
    /// `InsufficientData` without a row.
    pub fn fit(rows: &MachineRows<'_>) -> Result<Self> {
        if rows.n_rows() == 0 {
            return Err(Error::insufficient("input reference", "at least 1 row", 0));
        }
        let channels = (0..rows.schema().len())
            .map(|j| ChannelReference::fit(rows, j))
            .collect();
        Self::from_record(InputReferenceRecord {
            schema: rows.schema().clone(),
            n_rows: rows.n_rows() as u64,
            n_machines: u32::try_from(rows.n_machines()).unwrap_or(u32::MAX),
            channels,
        })
    }

    /// Names and units of the channels.
    pub fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// Rows it was fitted on.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Machines it was fitted on.
    pub fn n_machines(&self) -> u32 {
        self.n_machines
    }

    /// The channels, in the order of the schema.
    pub fn channels(&self) -> &[ChannelReference] {
        &self.channels
    }

    /// What a monitor remembers of it: of schema, cuts and counts.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// As it is written.
    pub fn to_record(&self) -> InputReferenceRecord {
        InputReferenceRecord {
            schema: self.schema.clone(),
            n_rows: self.n_rows,
            n_machines: self.n_machines,
            channels: self.channels.clone(),
        }
    }

    /// From what was written.
    ///
    /// # Errors
    /// `Persistence` unless there is a channel a column, cuts are finite and rise, there is a count a bin, counts and missing add
    /// up to the rows, and machines are no more than rows.
    pub fn from_record(record: InputReferenceRecord) -> Result<Self> {
        let InputReferenceRecord {
            schema,
            n_rows,
            n_machines,
            channels,
        } = record;
        let fail = |what: String| Err(Error::persistence(format!("input reference: {what}")));
        if channels.len() != schema.len() {
            return fail(format!("expected {} channels, got {}", schema.len(), channels.len()));
        }
        if !(1..=MAX_COUNT).contains(&n_rows) || n_machines == 0 || u64::from(n_machines) > n_rows {
            return fail(format!("{n_machines} machines with {n_rows} rows"));
        }
        for (channel, feature) in channels.iter().zip(schema.features()) {
            if let Err(what) = channel.check(n_rows, n_machines) {
                return fail(format!("channel `{}`: {what}", feature.name));
            }
        }
        let mut bytes = schema.fingerprint().to_string().into_bytes();
        for channel in &channels {
            bytes.extend((channel.cuts.len() as u64).to_le_bytes());
            bytes.extend(channel.cuts.iter().flat_map(|c| c.to_bits().to_le_bytes()));
            bytes.extend(channel.counts.iter().flat_map(|c| c.to_le_bytes()));
        }
        Ok(Self {
            schema,
            n_rows,
            n_machines,
            channels,
            fingerprint: Fingerprint::of(&bytes),
        })
    }
}

impl TryFrom<InputReferenceRecord> for InputReference {
    type Error = Error;

    fn try_from(record: InputReferenceRecord) -> Result<Self> {
        Self::from_record(record)
    }
}

impl From<InputReference> for InputReferenceRecord {
    fn from(reference: InputReference) -> Self {
        reference.to_record()
    }
}

impl ChannelReference {
    fn fit(rows: &MachineRows<'_>, j: usize) -> Self {
        let of = |row: &&[f64]| row.get(j).copied().filter(|v| v.is_finite());
        let mut values = Vec::with_capacity(rows.n_rows());
        let mut per_machine = Vec::with_capacity(rows.n_machines());
        for machine in rows.machines() {
            let before = values.len();
            values.extend(machine.iter().filter_map(of).map(|v| v + 0.0)); // -0 is 0
            per_machine.push((values.len() - before) as u64);
        }
        values.sort_unstable_by(f64::total_cmp);
        let cuts = cuts(&values);
        let mut counts = Vec::with_capacity(cuts.len() + 1);
        let mut below = 0;
        for cut in cuts.iter().copied().chain([f64::INFINITY]) {
            let up_to = values.partition_point(|v| *v <= cut);
            counts.push((up_to - below) as u64);
            below = up_to;
        }
        Self {
            cuts,
            counts,
            missing: (rows.n_rows() - values.len()) as u64,
            machines: effective_number(per_machine),
        }
    }

    /// The cut points: finite, rising.
    pub fn cuts(&self) -> &[f64] {
        &self.cuts
    }

    /// Training rows a bin, one more than cuts: bin `k` holds `cuts[k-1] < value <= cuts[k]`.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Training rows without a finite value.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// As how many machines those count that have values here; 0 where none has.
    pub fn machines(&self) -> f64 {
        self.machines
    }

    /// Share of training rows in each bin, of all rows; with [`missing_share`](Self::missing_share) they sum to 1.
    pub fn shares(&self) -> impl ExactSizeIterator<Item = f64> {
        let total = self.total();
        self.counts.iter().map(move |&c| c as f64 / total)
    }

    /// Share of training rows without a finite value.
    pub fn missing_share(&self) -> f64 {
        self.missing as f64 / self.total()
    }

    fn total(&self) -> f64 {
        (self.counts.iter().sum::<u64>() + self.missing) as f64
    }

    /// Where a value is counted: its bin, or the place behind the bins where it is missing.
    #[inline]
    pub(super) fn place(&self, value: f64) -> usize {
        if value.is_finite() {
            self.cuts.partition_point(|c| *c < value)
        } else {
            self.counts.len()
        }
    }

    fn check(&self, n_rows: u64, n_machines: u32) -> std::result::Result<(), String> {
        if self.cuts.len() > MAX_CUTS || self.counts.len() != self.cuts.len() + 1 {
            return Err(format!("{} cuts and {} counts", self.cuts.len(), self.counts.len()));
        }
        if let Some(cut) = self.cuts.iter().find(|c| !c.is_finite()) {
            return Err(format!("cut {cut} is not finite"));
        }
        if let Some((a, b)) = self.cuts.iter().zip(self.cuts.iter().skip(1)).find(|(a, b)| a >= b) {
            return Err(format!("cut {b} after {a}"));
        }
        let sum = self.counts.iter().try_fold(self.missing, |sum, &c| sum.checked_add(c));
        if sum != Some(n_rows) {
            return Err(format!("counts and missing do not add up to {n_rows} rows"));
        }
        // Rounded, Kish's number may exceed the machines by an ulp.
        let most = f64::from(n_machines) * (1.0 + 1e-12);
        let least = f64::from(u8::from(self.missing < n_rows)) * (1.0 - 1e-12);
        if !(self.machines >= least && self.machines <= most) {
            return Err(format!("{} effective machines of {n_machines}", self.machines));
        }
        Ok(())
    }
}

/// Cut points of sorted finite values.
fn cuts(sorted: &[f64]) -> Vec<f64> {
    let n = sorted.len();
    let mut cuts = Vec::with_capacity(MAX_CUTS);
    // The value at each twentieth; a value that fills one lies at one at least.
    let ranks = (1..=N_PARTS).map(|k| (k * n).div_ceil(N_PARTS).max(1) - 1);
    for (k, &value) in ranks.filter_map(|rank| sorted.get(rank)).enumerate() {
        let first = sorted.partition_point(|v| *v < value);
        let count = sorted.partition_point(|v| *v <= value) - first;
        if count * N_PARTS > n.max(N_PARTS) || count == n {
            let slack = value.abs() * SAME;
            let below = value - slack;
            cuts.extend([if below < value { below } else { value.next_down() }, value + slack]);
        } else if k + 1 < N_PARTS {
            cuts.push(value);
        }
    }
    cuts.retain(|c| c.is_finite());
    cuts.sort_unstable_by(f64::total_cmp);
    cuts.dedup_by(|a, b| a == b);
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, signal::Channel};

    fn of(values: &[f64]) -> ChannelReference {
        let mut rows = MachineRows::new(FeatureSchema::of_channels(&[Channel::new("a", "")]).unwrap());
        rows.push(values.chunks_exact(1)).unwrap();
        InputReference::fit(&rows).unwrap().channels[0].clone()
    }

    #[test]
    fn ties_and_constants_have_bins_of_their_own() {
        let constant = of(&[5.0; 7]);
        assert_eq!(constant.counts, [0, 7, 0]);
        for (value, place) in [(5.0, 1), (5.0 + 1e-7, 1), (5.0 - 1e-7, 1), (4.9999, 0), (5.0001, 2)] {
            assert_eq!(constant.place(value), place, "{value}");
        }
        assert_eq!(constant.place(f64::from(5.0_f32)), 1);
        // A switch: below, off, between, on, above.
        let switch = of(&[0.0, -0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
        assert_eq!(switch.counts, [0, 4, 0, 4, 0]);
        assert_eq!(
            of(&[f64::MAX, f64::MIN]).cuts.len(),
            of(&[f64::MAX, f64::MIN]).counts.len() - 1
        );
        assert_eq!(of(&[f64::MAX; 3]).counts.iter().sum::<u64>(), 3);
        assert_eq!(of(&[5e-324; 3]).counts, [0, 3, 0]);
        assert_eq!(of(&[0.0; 3]).counts, [0, 3, 0]);
    }

    #[test]
    fn missing_values_are_counted() {
        let channel = of(&[f64::NAN, f64::INFINITY, 1.0, f64::NEG_INFINITY]);
        assert_eq!((channel.missing, channel.missing_share()), (3, 0.75));
        let none = of(&[f64::NAN; 3]);
        assert_eq!(
            (none.cuts.len(), &none.counts[..], none.machines),
            (0, &[0_u64][..], 0.0)
        );
        assert_eq!((none.place(1.0), none.place(f64::NAN)), (0, 1));
    }

    #[test]
    fn bins_hold_a_twentieth_each() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from((i * 617) % 1000)).collect();
        let channel = of(&values);
        assert!(
            channel.counts.len() == 20 && channel.counts.iter().all(|c| *c == 50),
            "{channel:?}"
        );
        for (i, value) in values.iter().enumerate() {
            let place = channel.place(*value);
            assert_eq!(place, (*value / 50.0) as usize, "row {i}");
        }
        // Fewer values than bins: each is its own end of a bin.
        assert_eq!(of(&[1.0, 2.0, 3.0]).counts.iter().sum::<u64>(), 3);
        assert_eq!(of(&[1.0]).counts, [0, 1, 0]);
    }

    #[test]
    fn damaged_records_are_refused() {
        let mut rows = MachineRows::new(FeatureSchema::of_channels(&[Channel::new("a", "")]).unwrap());
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        rows.push(values.chunks_exact(1)).unwrap();
        let good = InputReference::fit(&rows).unwrap();
        assert_eq!(InputReference::from_record(good.to_record()).unwrap(), good);
        let spoilt: [&dyn Fn(&mut InputReferenceRecord); 11] = [
            &|r| r.n_rows = 99,
            &|r| r.n_rows = 0,
            &|r| r.n_machines = 0,
            &|r| r.n_machines = 101,
            &|r| r.channels.clear(),
            &|r| r.channels[0].cuts[3] = f64::NAN,
            &|r| r.channels[0].cuts[18] = f64::INFINITY,
            &|r| r.channels[0].cuts[3] = r.channels[0].cuts[2],
            &|r| r.channels[0].counts[0] = u64::MAX,
            &|r| r.channels[0].counts.push(0),
            &|r| r.channels[0].machines = f64::NAN,
        ];
        for (i, spoil) in spoilt.iter().enumerate() {
            let mut record = good.to_record();
            spoil(&mut record);
            let e = InputReference::from_record(record).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Persistence, "{i}");
        }
        let empty = MachineRows::new(good.schema.clone());
        assert_eq!(
            InputReference::fit(&empty).unwrap_err().kind(),
            ErrorKind::InsufficientData
        );
        let mut wide = MachineRows::new(good.schema.clone());
        assert_eq!(
            wide.push([&[1.0, 2.0][..]]).unwrap_err().kind(),
            ErrorKind::SchemaMismatch
        );
        wide.push([]).unwrap();
        assert_eq!(wide.n_machines(), 0);
    }
}
