//! Recorded telemetry of one machine and of a fleet.

use crate::{
    error::{Error, Result},
    quantity::{LifeUnit, Seed, Timestamp},
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256Plus;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// One measured quantity: its name and unit (`""` for a pure number).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Channel {
    /// Name, unique in its recording.
    pub name: String,
    /// Unit as printed behind a number.
    pub unit: String,
}

impl Channel {
    /// A channel from its name and unit.
    pub fn new(name: impl Into<String>, unit: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            unit: unit.into(),
        }
    }
}

/// What is known of an asset's life after its last recorded row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum EndOfLife {
    /// The last row is the failure: remaining life there is zero.
    Failed,
    /// The asset failed this many life units after its last row.
    FailedAfter(f64),
    /// Not known (running, or taken out of service).
    Unknown,
}

/// Telemetry of one asset: rows of readings at strictly increasing instants. NaN is a missing reading.
#[derive(Clone, Debug, PartialEq)]
pub struct AssetHistory {
    asset: String,
    times: Vec<Timestamp>,
    values: Vec<f64>,
    n_channels: usize,
    end: EndOfLife,
}

impl AssetHistory {
    /// From row-major `values` of shape `(times.len(), n_channels)`.
    ///
    /// # Errors
    /// `InsufficientData` without a row; `InvalidInput` where `values` does not fill the shape, times do not strictly
    /// increase, or the remaining life is negative or not finite. Each names the asset.
    pub fn new(
        asset: impl Into<String>,
        times: Vec<Timestamp>,
        values: Vec<f64>,
        n_channels: usize,
        end: EndOfLife,
    ) -> Result<Self> {
        let asset = asset.into();
        let at = |e: Error| e.context(format!("asset `{asset}`"));
        if times.is_empty() || n_channels == 0 {
            return Err(at(Error::insufficient(
                "telemetry",
                "at least 1 row and 1 channel",
                format!("{} rows of {n_channels} channels", times.len()),
            )));
        }
        if times.len().checked_mul(n_channels) != Some(values.len()) {
            return Err(at(Error::input(
                "telemetry",
                format!("{} rows x {n_channels} channels", times.len()),
                format!("{} values", values.len()),
            )));
        }
        if let Some(i) = times.windows(2).position(|w| w[1] <= w[0]) {
            return Err(at(Error::input(
                "time",
                "strictly increasing",
                format!("{} after {} at row {}", times[i + 1], times[i], i + 1),
            )));
        }
        if let EndOfLife::FailedAfter(rest) = end
            && !(rest.is_finite() && rest >= 0.0)
        {
            return Err(at(Error::input("remaining life", "finite and not negative", rest)));
        }
        Ok(Self {
            asset,
            times,
            values,
            n_channels,
            end,
        })
    }

    /// The asset's name.
    pub fn asset(&self) -> &str {
        &self.asset
    }

    /// Number of rows, at least one.
    pub fn n_rows(&self) -> usize {
        self.times.len()
    }

    /// Number of channels.
    pub fn n_channels(&self) -> usize {
        self.n_channels
    }

    /// Instants of the rows.
    pub fn times(&self) -> &[Timestamp] {
        &self.times
    }

    /// What is known of the end of life.
    pub fn end(&self) -> EndOfLife {
        self.end
    }

    /// Rows in order: instant and one reading a channel.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (Timestamp, &[f64])> + Clone {
        self.times
            .iter()
            .copied()
            .zip(self.values.chunks_exact(self.n_channels))
    }

    /// Life left at each row, in `unit`; `None` where the end is not known.
    pub fn rul(&self, unit: LifeUnit) -> Option<Vec<f64>> {
        let rest = match self.end {
            EndOfLife::Failed => 0.0,
            EndOfLife::FailedAfter(rest) => rest,
            EndOfLife::Unknown => return None,
        };
        let last = self.times[self.times.len() - 1];
        Some(self.times.iter().map(|&t| rest + unit.between(t, last)).collect())
    }

    /// The first `n_rows` rows, as if recording had stopped there; the end of life moves accordingly.
    ///
    /// # Errors
    /// `InvalidInput` unless `1 <= n_rows <= self.n_rows()`.
    pub fn truncated(&self, n_rows: usize, unit: LifeUnit) -> Result<Self> {
        if n_rows == 0 || n_rows > self.n_rows() {
            return Err(Error::input("rows to keep", format!("1..={}", self.n_rows()), n_rows));
        }
        let end = match self.rul(unit) {
            Some(rul) if n_rows < self.n_rows() => EndOfLife::FailedAfter(rul[n_rows - 1]),
            _ => self.end,
        };
        Ok(Self {
            asset: self.asset.clone(),
            times: self.times[..n_rows].to_vec(),
            values: self.values[..n_rows * self.n_channels].to_vec(),
            n_channels: self.n_channels,
            end,
        })
    }
}

/// Telemetry of many assets that share their channels.
///
/// ```
/// use prognos::{quantity::{LifeUnit, Seed, Timestamp}, signal::{AssetHistory, Channel, EndOfLife, FleetHistory}};
/// let mut fleet = FleetHistory::new(vec![Channel::new("temperature", "°C")], LifeUnit::Hours)?;
/// for asset in ["pump 1", "pump 2"] {
///     let times = (0..3).map(|h| LifeUnit::Hours.instant(h)).collect();
///     fleet.push(AssetHistory::new(asset, times, vec![60.0, 61.0, f64::NAN], 1, EndOfLife::Failed)?)?;
/// }
/// let (train, unseen) = fleet.split_by_asset(0.5, Seed(1))?;
/// assert_eq!((train.assets().len(), unseen.assets().len()), (1, 1));
/// assert_eq!(train.assets()[0].rul(fleet.life_unit()), Some(vec![2.0, 1.0, 0.0]));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FleetHistory {
    channels: Vec<Channel>,
    life_unit: LifeUnit,
    assets: Vec<AssetHistory>,
    names: HashSet<String>,
}

impl FleetHistory {
    /// A fleet without assets.
    ///
    /// # Errors
    /// `InvalidInput` without channels, or where two share a name or one has none.
    pub fn new(channels: Vec<Channel>, life_unit: LifeUnit) -> Result<Self> {
        if channels.is_empty() {
            return Err(Error::input("channels", "at least 1", 0));
        }
        let mut seen = HashSet::new();
        for c in &channels {
            if c.name.is_empty() || !seen.insert(&c.name) {
                return Err(Error::input(
                    "channel names",
                    "unique and not empty",
                    format!("`{}`", c.name),
                ));
            }
        }
        Ok(Self {
            channels,
            life_unit,
            assets: Vec::new(),
            names: HashSet::new(),
        })
    }

    /// Adds an asset.
    ///
    /// # Errors
    /// `InvalidInput` where its channel count differs from the fleet's or its name is taken.
    pub fn push(&mut self, asset: AssetHistory) -> Result<()> {
        if asset.n_channels != self.channels.len() {
            return Err(Error::input(
                "channels",
                format!("{} as in the fleet", self.channels.len()),
                format!("{} in asset `{}`", asset.n_channels, asset.asset),
            ));
        }
        if !self.names.insert(asset.asset.clone()) {
            return Err(Error::input(
                "asset names",
                "unique",
                format!("`{}` twice", asset.asset),
            ));
        }
        self.assets.push(asset);
        Ok(())
    }

    /// The channels, in the order of a row's readings.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The unit of ages and remaining lives.
    pub fn life_unit(&self) -> LifeUnit {
        self.life_unit
    }

    /// The assets, in the order they were added.
    pub fn assets(&self) -> &[AssetHistory] {
        &self.assets
    }

    /// Rows of all assets together.
    pub fn n_rows(&self) -> usize {
        self.assets.iter().map(AssetHistory::n_rows).sum()
    }

    /// The assets for which `keep(index, asset)` holds.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(usize, &AssetHistory) -> bool) -> Self {
        let assets: Vec<AssetHistory> = self
            .assets
            .iter()
            .enumerate()
            .filter(|(i, a)| keep(*i, a))
            .map(|(_, a)| a.clone())
            .collect();
        Self {
            channels: self.channels.clone(),
            life_unit: self.life_unit,
            names: assets.iter().map(|a| a.asset.clone()).collect(),
            assets,
        }
    }

    /// Splits whole assets, shuffled by `seed`: the first part holds `fraction` of them, rounded, at least one and not all.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < fraction < 1`; `InsufficientData` below two assets.
    pub fn split_by_asset(&self, fraction: f64, seed: Seed) -> Result<(Self, Self)> {
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::parameter("fraction", "above 0 and below 1", fraction));
        }
        let n = self.assets.len();
        if n < 2 {
            return Err(Error::insufficient("a split by asset", "at least 2 assets", n));
        }
        let n_first = ((n as f64 * fraction).round() as usize).clamp(1, n - 1);
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut Xoshiro256Plus::seed_from_u64(seed.0));
        let first: HashSet<usize> = order.into_iter().take(n_first).collect();
        Ok((
            self.filtered(|i, _| first.contains(&i)),
            self.filtered(|i, _| !first.contains(&i)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn asset(name: &str, n: i64) -> AssetHistory {
        let times = (0..n).map(Timestamp::from_secs).collect();
        AssetHistory::new(name, times, vec![0.0; n as usize], 1, EndOfLife::Failed).unwrap()
    }

    #[test]
    fn malformed_telemetry_is_named() {
        let t = |s: &[i64]| s.iter().map(|&s| Timestamp::from_secs(s)).collect::<Vec<_>>();
        let e = AssetHistory::new("a", vec![], vec![], 1, EndOfLife::Unknown).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InsufficientData);
        let e = AssetHistory::new("a", t(&[1, 2]), vec![0.0], 1, EndOfLife::Unknown).unwrap_err();
        assert!(e.to_string().contains("asset `a`"), "{e}");
        let e = AssetHistory::new("a", t(&[1, 3, 3]), vec![0.0; 3], 1, EndOfLife::Unknown).unwrap_err();
        assert!(e.to_string().contains("strictly increasing"), "{e}");
        for rest in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(AssetHistory::new("a", t(&[1]), vec![0.0], 1, EndOfLife::FailedAfter(rest)).is_err());
        }
    }

    #[test]
    fn truncation_keeps_the_time_of_failure() {
        let a = asset("a", 5);
        let cut = a.truncated(2, LifeUnit::Cycles).unwrap();
        assert_eq!(cut.rul(LifeUnit::Cycles), Some(vec![4.0, 3.0]));
        assert_eq!(a.truncated(5, LifeUnit::Cycles).unwrap(), a);
        assert!(a.truncated(0, LifeUnit::Cycles).is_err() && a.truncated(6, LifeUnit::Cycles).is_err());
    }

    #[test]
    fn fleet_refuses_twins_and_strangers() {
        let c = || vec![Channel::new("x", "")];
        assert!(FleetHistory::new(vec![], LifeUnit::Hours).is_err());
        assert!(FleetHistory::new([c(), c()].concat(), LifeUnit::Hours).is_err());
        let mut fleet = FleetHistory::new(c(), LifeUnit::Hours).unwrap();
        fleet.push(asset("a", 1)).unwrap();
        assert!(fleet.push(asset("a", 1)).is_err());
        assert!(fleet.split_by_asset(0.5, Seed(0)).is_err());
    }
}
