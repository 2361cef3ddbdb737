//! Many feature rows of many assets, as models are fitted on them.

use crate::{
    error::{Error, Result},
    features::{FeatureSchema, FeatureView},
    quantity::Timestamp,
};
use ndarray::{Array2, ArrayView2};

/// Feature rows of shape `(n_rows, n_features)` with their schema and the asset each row belongs to.
///
/// It is what linfa calls records: `DatasetBase::new(table, targets)` is what every model here is fitted on. The asset
/// numbers keep folds honest: rows of one asset never lie on both sides of a split.
#[derive(Clone, Debug)]
pub struct FeatureTable {
    schema: FeatureSchema,
    values: Array2<f64>,
    asset: Vec<u32>,
    n_assets: usize,
    times: Option<Vec<Timestamp>>,
}

impl FeatureTable {
    /// A table of `values`, row `i` belonging to asset number `asset[i]`; assets are numbered from zero without gaps.
    ///
    /// # Errors
    /// `SchemaMismatch` where the number of columns differs from the schema's; `InsufficientData` without a row;
    /// `InvalidInput` where `asset` has not one number a row or an asset number below the highest has no row.
    pub fn new(schema: FeatureSchema, values: Array2<f64>, asset: Vec<u32>) -> Result<Self> {
        if values.ncols() != schema.len() {
            return Err(Error::schema(
                "feature table",
                format!("{} columns", schema.len()),
                values.ncols(),
            ));
        }
        if values.nrows() == 0 {
            return Err(Error::insufficient("feature table", "at least 1 row", 0));
        }
        if asset.len() != values.nrows() {
            return Err(Error::input(
                "asset numbers",
                format!("{}, one a row", values.nrows()),
                asset.len(),
            ));
        }
        let n_assets = asset.iter().copied().max().map_or(0, |m| m as usize + 1);
        if n_assets > asset.len() {
            return Err(Error::input(
                "asset numbers",
                "0.. without gaps",
                format!("{} for {} rows", n_assets - 1, asset.len()),
            ));
        }
        let mut seen = vec![false; n_assets];
        asset.iter().for_each(|&a| seen[a as usize] = true);
        if let Some(missing) = seen.iter().position(|s| !s) {
            return Err(Error::input(
                "asset numbers",
                "0.. without gaps",
                format!("none {missing}"),
            ));
        }
        // Rows are handed out as slices, so they must lie in one piece.
        let values = if values.is_standard_layout() {
            values
        } else {
            values.as_standard_layout().into_owned()
        };
        Ok(Self {
            schema,
            values,
            asset,
            n_assets,
            times: None,
        })
    }

    /// The same rows, each with its instant, for models that look at the clock.
    ///
    /// # Errors
    /// `InvalidInput` unless there is one a row.
    pub fn at(mut self, times: Vec<Timestamp>) -> Result<Self> {
        if times.len() != self.n_rows() {
            return Err(Error::input(
                "times",
                format!("{}, one a row", self.n_rows()),
                times.len(),
            ));
        }
        self.times = Some(times);
        Ok(self)
    }

    /// The rows for which `keep(index)` holds, assets renumbered without gaps, and the indices kept.
    ///
    /// # Errors
    /// `InsufficientData` where none is kept.
    pub fn filtered(&self, keep: impl Fn(usize) -> bool) -> Result<(Self, Vec<usize>)> {
        let kept: Vec<usize> = (0..self.n_rows()).filter(|i| keep(*i)).collect();
        let mut number = vec![None; self.n_assets];
        let mut n_assets = 0;
        let renumber = |&i: &usize| {
            *number[self.asset[i] as usize].get_or_insert_with(|| {
                n_assets += 1;
                n_assets - 1
            })
        };
        let asset = kept.iter().map(renumber).collect();
        let values = self.values.select(ndarray::Axis(0), &kept);
        let times = self.times.as_ref().map(|t| kept.iter().map(|&i| t[i]).collect());
        let table = Self::new(self.schema.clone(), values, asset)?;
        Ok((Self { times, ..table }, kept))
    }

    /// Names, units, window and rate of the columns.
    pub fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// The values, `(n_rows, n_features)`, in standard layout.
    pub fn values(&self) -> ArrayView2<'_, f64> {
        self.values.view()
    }

    /// The asset number of each row.
    pub fn asset(&self) -> &[u32] {
        &self.asset
    }

    /// The instant of each row, where the table has them.
    pub fn times(&self) -> Option<&[Timestamp]> {
        self.times.as_deref()
    }

    /// Number of assets.
    pub fn n_assets(&self) -> usize {
        self.n_assets
    }

    /// Number of rows, at least one.
    pub fn n_rows(&self) -> usize {
        self.values.nrows()
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        let all = self.values.as_slice().unwrap_or_default(); // standard layout by construction
        all.chunks_exact(self.schema.len())
    }

    /// The rows in order, as models take them.
    pub fn views(&self) -> impl Iterator<Item = FeatureView<'_>> {
        let view = |(i, row)| {
            let view = FeatureView::new(&self.schema, row).ok()?;
            Some(match self.times.as_ref().and_then(|t| t.get(i)) {
                Some(&time) => view.at(time),
                None => view,
            })
        };
        self.rows().enumerate().filter_map(view)
    }
}

impl linfa::dataset::Records for FeatureTable {
    type Elem = f64;

    fn nsamples(&self) -> usize {
        self.values.nrows()
    }

    fn nfeatures(&self) -> usize {
        self.values.ncols()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Channel;
    use ndarray::array;

    #[test]
    fn shapes_and_asset_numbers_are_checked() {
        let s = FeatureSchema::of_channels(&[Channel::new("a", ""), Channel::new("b", "")]).unwrap();
        let t = FeatureTable::new(s.clone(), array![[1.0, 2.0], [3.0, 4.0]], vec![1, 0]).unwrap();
        assert_eq!((t.n_assets(), t.rows().nth(1)), (2, Some(&[3.0, 4.0][..])));
        let columns = FeatureTable::new(s.clone(), array![[1.0, 3.0], [2.0, 4.0]].reversed_axes(), vec![0, 0]).unwrap();
        assert_eq!(columns.rows().next(), Some(&[1.0, 2.0][..]));
        assert!(FeatureTable::new(s.clone(), array![[1.0]], vec![0]).is_err());
        assert!(FeatureTable::new(s.clone(), Array2::zeros((0, 2)), vec![]).is_err());
        assert!(FeatureTable::new(s.clone(), array![[1.0, 2.0]], vec![]).is_err());
        assert!(FeatureTable::new(s.clone(), array![[1.0, 2.0]], vec![u32::MAX]).is_err());
        assert!(FeatureTable::new(s, array![[1.0, 2.0], [1.0, 2.0]], vec![0, 0]).is_ok());
    }
}
