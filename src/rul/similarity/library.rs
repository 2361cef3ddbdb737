//! Recorded lives as they are kept, and the last readings of a machine.

use crate::{
    error::{Error, Result},
    rul::{RecordedLife, lives_in_order::in_order},
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Standard units beyond this count as this: a broken sensor is far from everything, by no more than that.
pub(super) const LARGEST: f64 = 100.0;
/// Lives from which distances among lives are learned, at most.
const MAX_PROBES: usize = 64;

/// The last readings of one machine, as they came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RecentRecord")]
pub struct RecentReadings {
    ages: Vec<f64>,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct RecentRecord {
    ages: Vec<f64>,
    values: Vec<f64>,
}

impl TryFrom<RecentRecord> for RecentReadings {
    type Error = Error;

    fn try_from(r: RecentRecord) -> Result<Self> {
        let sound = r.ages.len() <= 1000
            && r.ages.iter().all(|a| (0.0..=1e15).contains(a))
            && r.ages.windows(2).all(|w| w[0] < w[1])
            && r.values.iter().all(|v| v.abs() <= LARGEST)
            && (r.ages.is_empty() == r.values.is_empty())
            && (r.ages.is_empty() || r.values.len().is_multiple_of(r.ages.len()));
        if !sound {
            return Err(Error::persistence(
                "recent readings: expected readings in standard units at ages that rise, got others",
            ));
        }
        Ok(Self {
            ages: r.ages,
            values: r.values,
        })
    }
}

impl RecentReadings {
    pub(super) fn new(window: usize, width: usize) -> Self {
        Self {
            ages: Vec::with_capacity(window),
            values: Vec::with_capacity(window * width),
        }
    }

    pub(super) fn check(&self, window: usize, width: usize) -> Result<()> {
        if self.ages.len() <= window && self.values.len() == self.ages.len() * width {
            Ok(())
        } else {
            Err(Error::state(
                "memory",
                format!("at most {window} rows of {width} readings"),
                format!("{} rows and {} readings", self.ages.len(), self.values.len()),
            ))
        }
    }

    /// Takes a row in standard units; of more than `window` rows the oldest is forgotten.
    pub(super) fn take(&mut self, age: f64, row: impl ExactSizeIterator<Item = f64>, window: usize) {
        if self.ages.last().is_some_and(|last| !age.gt(last)) || !age.le(&1e15) {
            return;
        }
        let width = row.len();
        if self.ages.len() >= window && self.values.len() >= width {
            self.ages.rotate_left(1);
            self.ages.pop();
            self.values.rotate_left(width);
            self.values.truncate(self.values.len() - width);
        }
        self.ages.push(age);
        self.values.extend(row);
    }

    pub(super) fn ages(&self) -> &[f64] {
        &self.ages
    }

    pub(super) fn rows(&self, width: usize) -> impl ExactSizeIterator<Item = (f64, &[f64])> + Clone {
        self.ages.iter().copied().zip(self.values.chunks_exact(width))
    }
}

/// Standard units of the readings over all recorded rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Units {
    mean: Vec<f64>,
    sd: Vec<f64>,
    /// Whether logarithms are standardised.
    logarithms: bool,
}

impl Units {
    pub(super) fn learn(lives: &[RecordedLife<'_>], width: usize, logarithms: bool) -> Result<Self> {
        let mut units = Self {
            mean: vec![0.0; width],
            sd: vec![1.0; width],
            logarithms,
        };
        for j in 0..width {
            let column = || lives.iter().flat_map(|l| l.rows()).map(|(_, row)| units.raw(row[j]));
            let n = column().count() as f64;
            let mean = column().sum::<f64>() / n;
            let sd = (column().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
            // A constant tells nothing: any unit does, and what differs from it is far.
            let least = (1e-9 * mean.abs()).max(1e-100);
            (units.mean[j], units.sd[j]) = (mean, if sd > least { sd } else { least.max(1e-9) });
        }
        units.check(width)
    }

    fn raw(&self, v: f64) -> f64 {
        if self.logarithms {
            libm::log(v.max(f64::MIN_POSITIVE))
        } else {
            v
        }
    }

    pub(super) fn check(self, width: usize) -> Result<Self> {
        let sound = width > 0
            && self.mean.len() == width
            && self.sd.len() == width
            && self.mean.iter().all(|m| m.abs() <= 1e101)
            && self.sd.iter().all(|s| (1e-101..=1e101).contains(s));
        if sound {
            Ok(self)
        } else {
            Err(Error::persistence(
                "units of readings: expected finite means and deviations above 0, got others",
            ))
        }
    }

    pub(super) fn width(&self) -> usize {
        self.mean.len()
    }

    pub(super) fn row<'a>(&'a self, row: &'a [f64]) -> impl ExactSizeIterator<Item = f64> + 'a {
        let scales = self.mean.iter().zip(&self.sd);
        row.iter()
            .zip(scales)
            .map(|(v, (m, s))| ((self.raw(*v) - m) / s).clamp(-LARGEST, LARGEST))
    }
}

/// A recorded life in standard units, thinned to a bounded number of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptLife {
    pub(super) ages: Vec<f64>,
    pub(super) values: Vec<f64>,
    pub(super) end: f64,
    pub(super) failed: bool,
}

impl KeptLife {
    fn new(life: &RecordedLife<'_>, units: &Units, max_rows: usize) -> Self {
        let n = life.ages.len();
        let kept = n.min(max_rows);
        let (mut ages, mut values) = (Vec::with_capacity(kept), Vec::with_capacity(kept * units.width()));
        // Evenly by number, the first and the last among them.
        for i in 0..kept {
            let at = if kept > 1 { i * (n - 1) / (kept - 1) } else { 0 };
            ages.push(life.ages[at]);
            values.extend(units.row(&life.values[at * life.width..(at + 1) * life.width]));
        }
        Self {
            ages,
            values,
            end: life.end,
            failed: life.failed,
        }
    }

    pub(super) fn check(&self, width: usize) -> Result<()> {
        let sound = !self.ages.is_empty()
            && self.ages.len() * width == self.values.len()
            && self.ages.iter().all(|a| (0.0..=1e15).contains(a))
            && self.ages.windows(2).all(|w| w[0] < w[1])
            && self.values.iter().all(|v| v.abs() <= LARGEST)
            && self.end >= self.ages[self.ages.len() - 1]
            && self.end <= 1e15;
        if sound {
            Ok(())
        } else {
            Err(Error::persistence(
                "recorded life: expected rows in standard units up to its end, got others",
            ))
        }
    }

    /// Reading `j` at `age`, linear between rows and level beyond them.
    pub(super) fn at(&self, age: f64, j: usize, width: usize) -> f64 {
        let after = self.ages.partition_point(|a| *a <= age);
        let value = |i: usize| self.values[i * width + j];
        match after {
            0 => value(0),
            n if n == self.ages.len() => value(n - 1),
            n => {
                let share = (age - self.ages[n - 1]) / (self.ages[n] - self.ages[n - 1]);
                value(n - 1) + share * (value(n) - value(n - 1))
            }
        }
    }
}

/// The lives in canonical order with their standard units.
///
/// # Errors
/// `InsufficientData` with fewer than two lives or none that failed, `InvalidParameter` beyond ages of 1e15.
pub(super) fn kept(lives: &[RecordedLife<'_>], max_rows: usize, logarithms: bool) -> Result<(Units, Vec<KeptLife>)> {
    let lives = in_order(lives);
    if lives.len() < 2 {
        return Err(Error::insufficient("similarity model", "at least 2 lives", lives.len()));
    }
    if !lives.iter().any(|l| l.failed) {
        return Err(Error::insufficient(
            "similarity model",
            "at least 1 life that ended in failure",
            "only censored ones",
        ));
    }
    let units = Units::learn(&lives, lives[0].width, logarithms)?;
    let kept: Vec<KeptLife> = lives.iter().map(|l| KeptLife::new(l, &units, max_rows)).collect();
    kept.iter().try_for_each(|l| l.check(units.width()))?;
    Ok((units, kept))
}

/// Number and history of lives, at a quarter, half and three quarters of their kept rows: at most 64 lives, evenly chosen.
pub(super) fn probes(
    lives: &[KeptLife],
    window: usize,
    width: usize,
) -> impl Iterator<Item = (usize, f64, RecentReadings)> {
    let n = lives.len().min(MAX_PROBES);
    (0..n).flat_map(move |k| {
        let i = if n > 1 { k * (lives.len() - 1) / (n - 1) } else { 0 };
        let life = &lives[i];
        let places: SmallVec<[usize; 3]> = [1, 2, 3]
            .into_iter()
            .map(|q| (q * life.ages.len()).div_ceil(4))
            .collect();
        places.into_iter().map(move |rows| {
            let mut recent = RecentReadings::new(window, width);
            for (age, row) in life.ages.iter().zip(life.values.chunks_exact(width)).take(rows) {
                recent.take(*age, row.iter().copied(), window);
            }
            (i, life.ages[rows.saturating_sub(1)], recent)
        })
    })
}
