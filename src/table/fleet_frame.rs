//! Recorded fleets as frames.

use super::{
    ASSET, RUL, TIME,
    column::{Floats, Keys, assets, at, floats, instants, readings},
    layout::FleetLayout,
};
use crate::{
    error::{Error, Result},
    quantity::{LifeUnit, Timestamp},
    signal::{AssetHistory, EndOfLife, FleetHistory},
};
use polars::prelude::{Column, DataFrame};

/// A fleet as a frame: [`ASSET`](super::ASSET), [`TIME`](super::TIME), one column a channel, [`RUL`](super::RUL);
/// asset by asset, in order of time.
///
/// Read back with [`fleet_from_frame`] and the fleet's channels, it is the same fleet to the last bit, but for two
/// spellings of the same thing: `FailedAfter(0.0)` comes back as `Failed`, and every NaN as the same NaN.
///
/// Cost: `O(n_rows n_channels)`; memory: the frame.
///
/// ```
/// use prognos::{quantity::LifeUnit, signal::{AssetHistory, Channel, EndOfLife, FleetHistory}, table};
/// let mut fleet = FleetHistory::new(vec![Channel::new("temperature", "°C")], LifeUnit::Hours)?;
/// let times = (0..3).map(|h| LifeUnit::Hours.instant(h)).collect();
/// fleet.push(AssetHistory::new("pump", times, vec![60.0, f64::NAN, 61.5], 1, EndOfLife::Failed)?)?;
///
/// let frame = table::fleet_to_frame(&fleet)?;
/// assert_eq!(frame.get_column_names(), ["asset", "time", "temperature", "rul"]);
/// assert_eq!(frame.column("temperature")?.null_count(), 1);
///
/// let layout = table::FleetLayout::new(LifeUnit::Hours).channels(fleet.channels().to_vec());
/// let back = table::fleet_from_frame(&frame, &layout)?;
/// assert_eq!(back.assets()[0].end(), EndOfLife::Failed);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` where a channel is called `asset`, `time` or `rul`.
pub fn fleet_to_frame(fleet: &FleetHistory) -> Result<DataFrame> {
    if let Some(taken) = fleet
        .channels()
        .iter()
        .find(|c| [ASSET, TIME, RUL].contains(&c.name.as_str()))
    {
        return Err(Error::input(
            "channel names",
            format!("other than `{ASSET}`, `{TIME}`, `{RUL}`"),
            format!("`{}`", taken.name),
        ));
    }
    let n_rows = fleet.n_rows();
    let mut keys = Keys::new(ASSET, n_rows);
    let mut channels: Vec<Floats> = fleet.channels().iter().map(|c| Floats::new(&c.name, n_rows)).collect();
    let mut lives = Floats::new(RUL, n_rows);
    for asset in fleet.assets() {
        let rul = asset.rul(fleet.life_unit());
        for (i, (time, row)) in asset.rows().enumerate() {
            keys.push(asset.asset(), time);
            channels.iter_mut().zip(row).for_each(|(c, v)| c.push(*v));
            lives.push(rul.as_ref().and_then(|r| r.get(i)).copied().unwrap_or(f64::NAN));
        }
    }
    let mut columns: Vec<Column> = keys.finish(TIME, fleet.life_unit()).into();
    columns.extend(channels.into_iter().map(Floats::finish));
    columns.push(lives.finish());
    Ok(DataFrame::new(n_rows, columns)?)
}

/// The fleet in a frame whose columns are as `layout` says.
///
/// Rows of one asset need not stand together, but must come in order of time: nothing is sorted here, since a clock that
/// ran backwards is a fault to look at (`frame.sort(["asset", "time"], ..)` sorts where it is not). Assets are in the
/// order of their first rows. A frame without a row is a fleet without assets.
///
/// Cost: `O(n_rows n_channels)`; memory: the fleet, and a few columns beside it.
///
/// # Errors
/// `InvalidInput`, naming the column and row (from 0), for a column that is missing or of a type that
/// [cannot be taken](FleetLayout), a null asset or instant, an instant out of range or not after the asset's last one, and
/// a remaining life that is negative, infinite, or does not fall with time. `InvalidParameter` for a layout with one
/// column for two things.
pub fn fleet_from_frame(frame: &DataFrame, layout: &FleetLayout) -> Result<FleetHistory> {
    layout.check(frame.schema())?;
    let channels = layout.channels_in(frame.schema())?;
    let n_channels = channels.len();
    let mut fleet = FleetHistory::new(channels, layout.life_unit)?;

    let found = assets(frame, &layout.asset)?;
    let instants = instants(frame, layout)?;
    // The place of each row among its asset's.
    let mut place = Vec::with_capacity(instants.len());
    let mut times: Vec<Vec<Timestamp>> = vec![Vec::new(); found.names.len()];
    for (row, (&a, &time)) in found.number.iter().zip(&instants).enumerate() {
        let times = &mut times[a as usize];
        if let Some(&last) = times.last()
            && time <= last
        {
            let got = format!("{time} after {last}, asset `{}`", found.names[a as usize]);
            return Err(Error::input(
                &at(row, &layout.time),
                "above the asset's row before",
                got,
            ));
        }
        place.push(times.len());
        times.push(time);
    }
    drop(instants);

    let ends = match (layout.ends, layout.rul_column(frame.schema())) {
        (Some(end), _) => vec![end; times.len()],
        (None, Some(rul)) => ends(frame, rul, layout.life_unit, &found.number, &place, &times)?,
        (None, None) => vec![EndOfLife::Unknown; times.len()],
    };
    let mut values: Vec<Vec<f64>> = times.iter().map(|t| vec![f64::NAN; t.len() * n_channels]).collect();
    for (c, channel) in fleet.channels().iter().enumerate() {
        let column = floats(frame, &channel.name)?;
        for ((&a, &i), value) in found.number.iter().zip(&place).zip(readings(&column)) {
            values[a as usize][i * n_channels + c] = value;
        }
    }
    for (((name, times), values), end) in found.names.into_iter().zip(times).zip(values).zip(ends) {
        fleet.push(AssetHistory::new(name, times, values, n_channels, end)?)?;
    }
    Ok(fleet)
}

/// What the column of remaining lives says of each asset's end.
fn ends(
    frame: &DataFrame,
    name: &str,
    unit: LifeUnit,
    number: &[u32],
    place: &[usize],
    times: &[Vec<Timestamp>],
) -> Result<Vec<EndOfLife>> {
    let column = floats(frame, name)?;
    let mut last: Vec<Option<f64>> = vec![None; times.len()];
    for (row, ((&a, &i), left)) in number.iter().zip(place).zip(readings(&column)).enumerate() {
        let left = (!left.is_nan()).then_some(left);
        if let Some(left) = left
            && !(left.is_finite() && left >= 0.0)
        {
            return Err(Error::input(&at(row, name), "finite and not negative, or null", left));
        }
        let (times, before) = (&times[a as usize], &mut last[a as usize]);
        if let Some(earlier) = i.checked_sub(1) {
            let passed = unit.between(times[earlier], times[i]);
            let expected = before.map(|b| b - passed);
            if !agree(expected, left, before.unwrap_or(0.0).max(passed)) {
                let show = |rul: Option<f64>| rul.map_or("null".into(), |r| r.to_string());
                let expected = match expected {
                    Some(_) => format!("{}, {passed} below the asset's row before", show(expected)),
                    None => "null, as in the asset's row before".into(),
                };
                return Err(Error::input(&at(row, name), expected, show(left)));
            }
        }
        *before = left;
    }
    let end = |rest: Option<f64>| match rest {
        None => EndOfLife::Unknown,
        Some(0.0) => EndOfLife::Failed,
        Some(rest) => EndOfLife::FailedAfter(rest),
    };
    Ok(last.into_iter().map(end).collect())
}

/// Whether a remaining life is the expected one, but for rounding of numbers as large as `scale`.
fn agree(expected: Option<f64>, got: Option<f64>, scale: f64) -> bool {
    match (expected, got) {
        (None, None) => true,
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * scale.max(1.0),
        _ => false,
    }
}
