//! Which columns of a frame are what.

use super::{ASSET, RUL, TIME};
use crate::{
    error::{Error, Result},
    quantity::LifeUnit,
    signal::{Channel, EndOfLife},
};
use polars::prelude::{DataType, Schema};

/// Which columns of a frame hold assets, instants, channels and remaining lives, and what its numbers mean.
///
/// Columns are found by name, in any order. Unless told otherwise they are `asset`, `time`, `rul` where there is one, and
/// every other column is a channel without a unit.
///
/// | column | types taken | refused |
/// |---|---|---|
/// | asset | string, categorical or integer (its digits are the name) | null |
/// | time | integer nanoseconds since the epoch, or numbers of life units where [so told](FleetLayout::time_in_life_units); `Date` and `Datetime` unless life is counted in cycles | null, NaN, what [`Timestamp`](crate::quantity::Timestamp) cannot hold |
/// | channel | integers and floats of any width, widened to `f64` (integers above 2^53 are rounded); null is NaN | all else |
/// | rul | the same; null and NaN are "not known" | negative or infinite |
///
/// ```
/// use prognos::{quantity::LifeUnit, signal::EndOfLife, table::{self, FleetLayout, polars::prelude::*}};
/// let frame = df!("unit" => [1i64, 1, 2], "cycle" => [1i32, 2, 1], "T30" => [Some(1580.0f32), None, Some(1591.0)])?;
/// let layout = FleetLayout::new(LifeUnit::Cycles)
///     .asset("unit")
///     .time("cycle")
///     .time_in_life_units() // cycle 2 is the number 2, not 2,000,000,000 ns
///     .ends(EndOfLife::Failed);
/// let fleet = table::fleet_from_frame(&frame, &layout)?;
/// assert_eq!(fleet.assets()[0].asset(), "1");
/// assert_eq!(fleet.assets()[0].rul(LifeUnit::Cycles), Some(vec![1.0, 0.0]));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FleetLayout {
    pub(super) life_unit: LifeUnit,
    pub(super) asset: String,
    pub(super) time: String,
    pub(super) time_in_life_units: bool,
    rul: String,
    rul_required: bool,
    pub(super) ends: Option<EndOfLife>,
    pub(super) channels: Option<Vec<Channel>>,
}

impl FleetLayout {
    /// The columns [`fleet_to_frame`](super::fleet_to_frame) writes, for a fleet whose life is counted in `life_unit`.
    pub fn new(life_unit: LifeUnit) -> Self {
        Self {
            life_unit,
            asset: ASSET.into(),
            time: TIME.into(),
            time_in_life_units: false,
            rul: RUL.into(),
            rul_required: false,
            ends: None,
            channels: None,
        }
    }

    /// The column of assets.
    #[must_use]
    pub fn asset(mut self, column: impl Into<String>) -> Self {
        self.asset = column.into();
        self
    }

    /// The column of instants.
    #[must_use]
    pub fn time(mut self, column: impl Into<String>) -> Self {
        self.time = column.into();
        self
    }

    /// Numbers in the column of instants count life units since the epoch (cycles, hours ..), not nanoseconds; they may
    /// be floats, and are rounded to the nanosecond.
    #[must_use]
    pub fn time_in_life_units(mut self) -> Self {
        self.time_in_life_units = true;
        self
    }

    /// The column of remaining lives, which must then be there.
    #[must_use]
    pub fn rul(mut self, column: impl Into<String>) -> Self {
        self.rul = column.into();
        self.rul_required = true;
        self
    }

    /// What is known of every asset's end; a column of remaining lives is then not looked at.
    #[must_use]
    pub fn ends(mut self, end: EndOfLife) -> Self {
        self.ends = Some(end);
        self
    }

    /// The channels, in this order, with their units; other columns are not looked at.
    #[must_use]
    pub fn channels(mut self, channels: impl IntoIterator<Item = Channel>) -> Self {
        self.channels = Some(channels.into_iter().collect());
        self
    }

    /// Fails unless the columns named are in `schema` and the column of assets is not that of instants.
    pub(super) fn check(&self, schema: &Schema) -> Result<()> {
        if self.asset == self.time {
            return Err(Error::parameter(
                "layout",
                "another column for assets than for instants",
                format!("`{}` for both", self.asset),
            ));
        }
        column_of(schema, &self.asset)?;
        column_of(schema, &self.time)?;
        if let Some(rul) = self.rul_column(schema) {
            column_of(schema, rul)?;
        }
        Ok(())
    }

    /// The column of remaining lives to look at.
    pub(super) fn rul_column(&self, schema: &Schema) -> Option<&str> {
        (self.ends.is_none() && (self.rul_required || schema.contains(&self.rul))).then_some(self.rul.as_str())
    }

    /// The channels named, or every other column; each is there and numeric.
    pub(super) fn channels_in(&self, schema: &Schema) -> Result<Vec<Channel>> {
        let channels = match &self.channels {
            Some(channels) => channels.clone(),
            None => {
                let keys = [&self.asset, &self.time, &self.rul];
                let names = schema.iter_names().map(|n| n.as_str());
                names
                    .filter(|n| !keys.iter().any(|k| k == n))
                    .map(|n| Channel::new(n, ""))
                    .collect()
            }
        };
        for channel in &channels {
            expect_numeric(&channel.name, column_of(schema, &channel.name)?)?;
        }
        Ok(channels)
    }
}

/// The type of a column that must be there.
pub(super) fn column_of<'s>(schema: &'s Schema, name: &str) -> Result<&'s DataType> {
    const SHOWN: usize = 12;
    schema.get(name).ok_or_else(|| {
        let mut names: Vec<String> = schema.iter_names().take(SHOWN).map(|n| format!("`{n}`")).collect();
        if schema.len() > SHOWN {
            names.push(format!(".. ({} in all)", schema.len()));
        }
        Error::input(
            &format!("frame column `{name}`"),
            "to be there",
            format!(
                "a frame of {}",
                if names.is_empty() {
                    "none".into()
                } else {
                    names.join(", ")
                }
            ),
        )
    })
}

/// Fails unless a column is of numbers, or of nothing but nulls.
pub(super) fn expect_numeric(name: &str, dtype: &DataType) -> Result<()> {
    if dtype.is_primitive_numeric() || *dtype == DataType::Null {
        return Ok(());
    }
    Err(Error::input(
        &format!("type of frame column `{name}`"),
        "an integer or a float",
        dtype,
    ))
}
