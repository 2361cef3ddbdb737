//! Columns read into plain values and built from them.

use super::layout::{FleetLayout, column_of, expect_numeric};
use crate::{
    error::{Error, Result},
    quantity::{LifeUnit, Timestamp},
};
use polars::prelude::*;
use std::collections::HashMap;

/// A column of floats under construction: NaN is null.
pub(super) struct Floats(PrimitiveChunkedBuilder<Float64Type>);

impl Floats {
    pub(super) fn new(name: &str, n_rows: usize) -> Self {
        Self(PrimitiveChunkedBuilder::new(name.into(), n_rows))
    }

    pub(super) fn push(&mut self, value: f64) {
        self.0.append_option((!value.is_nan()).then_some(value));
    }

    pub(super) fn finish(self) -> Column {
        self.0.finish().into_column()
    }
}

/// The columns that say whose row it is, under construction.
pub(super) struct Keys {
    asset: StringChunkedBuilder,
    time: Vec<i64>,
}

impl Keys {
    pub(super) fn new(asset: &str, n_rows: usize) -> Self {
        Self {
            asset: StringChunkedBuilder::new(asset.into(), n_rows),
            time: Vec::with_capacity(n_rows),
        }
    }

    pub(super) fn push(&mut self, asset: &str, time: Timestamp) {
        self.asset.append_value(asset);
        self.time.push(time.nanos());
    }

    pub(super) fn finish(self, time: &str, unit: LifeUnit) -> [Column; 2] {
        let instants = Int64Chunked::from_vec(time.into(), self.time);
        let instants = match instant_dtype(unit) {
            DataType::Datetime(unit, zone) => instants.into_datetime(unit, zone).into_column(),
            _ => instants.into_column(),
        };
        [self.asset.finish().into_column(), instants]
    }
}

/// Cycles have no date.
pub(super) fn instant_dtype(unit: LifeUnit) -> DataType {
    match unit {
        LifeUnit::Cycles => DataType::Int64,
        _ => DataType::Datetime(TimeUnit::Nanoseconds, None),
    }
}

/// A numeric column as floats.
pub(super) fn floats(frame: &DataFrame, name: &str) -> Result<Float64Chunked> {
    expect_numeric(name, column_of(frame.schema(), name)?)?;
    let widened = frame.column(name).and_then(|c| c.strict_cast(&DataType::Float64));
    let values = widened.and_then(|c| c.f64().cloned());
    values.map_err(|e| Error::from(e).context(format!("frame column `{name}`")))
}

/// The readings of a column: null is NaN.
pub(super) fn readings(values: &Float64Chunked) -> impl Iterator<Item = f64> + '_ {
    values.iter().map(|v| v.unwrap_or(f64::NAN))
}

/// Which asset each row belongs to.
pub(super) struct Assets {
    /// In the order of their first rows.
    pub(super) names: Vec<String>,
    /// Of each row.
    pub(super) number: Vec<u32>,
}

/// The assets of a column of strings, categories or integers.
pub(super) fn assets(frame: &DataFrame, name: &str) -> Result<Assets> {
    let dtype = column_of(frame.schema(), name)?;
    let is_text = matches!(dtype, DataType::String | DataType::Categorical(..) | DataType::Enum(..));
    if !(is_text || dtype.is_integer()) {
        return Err(Error::input(
            &format!("type of frame column `{name}`"),
            "a string or an integer",
            dtype,
        ));
    }
    let text = frame.column(name).and_then(|c| c.cast(&DataType::String));
    let text = text.map_err(|e| Error::from(e).context(format!("frame column `{name}`")))?;
    let text = text.str()?;
    let mut found = Assets {
        names: Vec::new(),
        number: Vec::with_capacity(text.len()),
    };
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut last: Option<(&str, u32)> = None;
    for (row, asset) in text.iter().enumerate() {
        let asset = asset.ok_or_else(|| Error::input(&at(row, name), "an asset", "null"))?;
        let number = match last {
            Some((same, number)) if same == asset => number,
            _ => match numbers.get(asset) {
                Some(&number) => number,
                None => {
                    let number = u32::try_from(found.names.len())
                        .map_err(|_| Error::input("assets in a frame", "fewer than 2^32", "more"))?;
                    numbers.insert(asset, number);
                    found.names.push(asset.to_owned());
                    number
                }
            },
        };
        last = Some((asset, number));
        found.number.push(number);
    }
    Ok(found)
}

/// The instants of a column, in nanoseconds.
pub(super) fn instants(frame: &DataFrame, layout: &FleetLayout) -> Result<Vec<Timestamp>> {
    let (name, unit) = (layout.time.as_str(), layout.life_unit);
    let dtype = column_of(frame.schema(), name)?;
    let of_type = |expected: &str| Error::input(&format!("type of frame column `{name}`"), expected, dtype);
    let nanos_of_one = match dtype {
        DataType::Datetime(..) | DataType::Date if unit == LifeUnit::Cycles => {
            return Err(of_type("numbers, since life is counted in cycles"));
        }
        DataType::Datetime(TimeUnit::Nanoseconds, _) => 1,
        DataType::Datetime(TimeUnit::Microseconds, _) => 1_000,
        DataType::Datetime(TimeUnit::Milliseconds, _) => 1_000_000,
        DataType::Date => LifeUnit::Days.nanos(),
        d if d.is_integer() && layout.time_in_life_units => unit.nanos(),
        d if d.is_integer() => 1,
        d if d.is_float() && layout.time_in_life_units => return instants_of_floats(frame, name, unit),
        d if d.is_float() => {
            return Err(of_type(
                "integer nanoseconds or a datetime (floats count life units, where the layout says so)",
            ));
        }
        _ => return Err(of_type("integers or a datetime")),
    };
    let column = frame.column(name).and_then(|c| c.strict_cast(&DataType::Int64));
    let column = column.map_err(|e| Error::from(e).context(format!("frame column `{name}`")))?;
    let read = |(row, count): (usize, Option<i64>)| {
        let count = count.ok_or_else(|| Error::input(&at(row, name), "an instant", "null"))?;
        let nanos = count.checked_mul(nanos_of_one);
        let nanos = nanos.ok_or_else(|| Error::input(&at(row, name), "an instant in the years 1677 to 2262", count))?;
        Ok(Timestamp::from_nanos(nanos))
    };
    column.i64()?.iter().enumerate().map(read).collect()
}

fn instants_of_floats(frame: &DataFrame, name: &str, unit: LifeUnit) -> Result<Vec<Timestamp>> {
    let values = floats(frame, name)?;
    let read = |(row, count): (usize, Option<f64>)| {
        let count = count.ok_or_else(|| Error::input(&at(row, name), "an instant", "null"))?;
        // The whole units and the rest apart: their product with the unit's length stays exact for longer.
        let (whole, rest) = (count.trunc(), count.fract());
        let nanos = (whole.abs() < 9.3e18)
            .then(|| (whole as i64).checked_mul(unit.nanos()))
            .flatten()
            .and_then(|n| n.checked_add((rest * unit.nanos() as f64).round() as i64));
        let nanos = nanos.ok_or_else(|| Error::input(&at(row, name), "an instant in the years 1677 to 2262", count))?;
        Ok(Timestamp::from_nanos(nanos))
    };
    values.iter().enumerate().map(read).collect()
}

/// Where a value stands; rows count from zero, as Polars counts them.
pub(super) fn at(row: usize, column: &str) -> String {
    format!("frame row {row}, column `{column}`")
}
