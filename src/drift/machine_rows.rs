//! Rows of several machines, borrowed from wherever they lie.

use crate::{
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable},
    signal::FleetHistory,
};

/// Rows by machine, in order of time, as [`InputReference::fit`](super::InputReference::fit) and
/// [`DriftPolicy::calibrated`](super::DriftPolicy::calibrated) take them. Borrows rows; 16 bytes a row.
///
/// ```
/// use prognos::{drift::MachineRows, features::FeatureSchema, signal::Channel};
/// let schema = FeatureSchema::of_channels(&[Channel::new("temperature", "°C")])?;
/// let (pump, fan) = ([60.0, 61.0], [40.0, f64::NAN, 41.0]);
/// let mut rows = MachineRows::new(schema);
/// rows.push(pump.chunks_exact(1))?;
/// rows.push(fan.chunks_exact(1))?;
/// assert_eq!((rows.n_machines(), rows.n_rows()), (2, 5));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MachineRows<'a> {
    schema: FeatureSchema,
    machines: Vec<Vec<&'a [f64]>>,
}

impl<'a> MachineRows<'a> {
    /// No rows yet, of these columns.
    pub fn new(schema: FeatureSchema) -> Self {
        Self {
            schema,
            machines: Vec::new(),
        }
    }

    /// The raw rows of a fleet's recordings, each channel a column.
    ///
    /// # Errors
    /// As [`FeatureSchema::of_channels`].
    pub fn of_history(fleet: &'a FleetHistory) -> Result<Self> {
        let mut rows = Self::new(FeatureSchema::of_channels(fleet.channels())?);
        for asset in fleet.assets() {
            rows.push(asset.rows().map(|(_, row)| row))?;
        }
        Ok(rows)
    }

    /// The rows of a table by its asset numbers, each asset's in the order of the table.
    pub fn of_table(table: &'a FeatureTable) -> Self {
        let mut machines = vec![Vec::new(); table.n_assets()];
        for (row, &asset) in table.rows().zip(table.asset()) {
            if let Some(rows) = machines.get_mut(asset as usize) {
                rows.push(row);
            }
        }
        Self {
            schema: table.schema().clone(),
            machines,
        }
    }

    /// Adds a machine with its rows in order of time. A machine without rows is left out.
    ///
    /// # Errors
    /// `SchemaMismatch` for a row of another length; nothing is added then.
    pub fn push(&mut self, rows: impl IntoIterator<Item = &'a [f64]>) -> Result<()> {
        let rows: Vec<&[f64]> = rows.into_iter().collect();
        if let Some(row) = rows.iter().find(|r| r.len() != self.schema.len()) {
            let expected = format!("{} values", self.schema.len());
            return Err(Error::schema("row of a machine", expected, row.len()));
        }
        if !rows.is_empty() {
            self.machines.push(rows);
        }
        Ok(())
    }

    /// Names and units of the columns.
    pub fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// Machines with at least one row.
    pub fn n_machines(&self) -> usize {
        self.machines.len()
    }

    /// Rows of all machines together.
    pub fn n_rows(&self) -> usize {
        self.machines.iter().map(Vec::len).sum()
    }

    pub(super) fn machines(&self) -> &[Vec<&'a [f64]>] {
        &self.machines
    }
}

/// As how many machines these count, of which each has the given number of rows: `(Σ n)² / Σ n²` (Kish, *Survey Sampling*,
/// 1965, section 11.7): all of them where they have as many rows each, one where one has nearly all. 0 without rows.
///
/// ```
/// use prognos::drift::effective_number;
/// assert_eq!(effective_number([50, 50, 50]), 3.0);
/// assert!(effective_number([1000, 1, 1]) < 1.01);
/// ```
pub fn effective_number(rows_of_machine: impl IntoIterator<Item = u64>) -> f64 {
    let (mut sum, mut squares) = (0_u128, 0_u128);
    for n in rows_of_machine {
        sum = sum.saturating_add(u128::from(n));
        squares = squares.saturating_add(u128::from(n).saturating_mul(u128::from(n)));
    }
    if squares == 0 {
        return 0.0;
    }
    let sum = sum as f64;
    sum * sum / squares as f64
}
