//! One health index fused from chosen features of recorded lives.

use super::health_index::{leading_eigenvectors, moments};
use crate::{
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    preprocess::{Standardizer, StandardizerRecord},
};
use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

/// The share of each life, at its begin and at its end, whose mean makes the ends of the scale.
const ENDS: f64 = 0.1;

/// How the features of a [`FusedIndex`] are weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// The first principal component of the standardised features: what most of them have in common.
    #[default]
    Principal,
    /// Each standardised feature by its correlation with the share of life used: what follows wear counts most.
    Wear,
}

/// A health index: a linear combination of features that is about 0 at the begin of a life and about 1 at its end.
///
/// With `z` the chosen features standardised over all training rows, `w` the weights, and `a`, `b` the mean of `w'z` over
/// the first and the last tenth of every training life (each life weighing one),
///
/// ```text
/// index(row) = (w'z - a) / (b - a)
/// ```
///
/// The index of a live machine may leave [0, 1]. Choose the features first, with
/// [`FeatureRanking`](crate::features::selection::FeatureRanking).
///
/// # Missing readings
/// A feature that is NaN or infinite counts as its training mean; the index is NaN where all are.
///
/// # Cost
/// `O(n_features)` a row, no allocation. Fitting is `O(n_rows n_features²)`.
///
/// Sources: Wang, Yu, Siegel & Lee (2008), <https://doi.org/10.1109/PHM.2008.4711421>, for fusing a linear index from
/// begin and end of lives; Coble & Hines (2009) for the choice of features.
///
/// ```
/// use ndarray::array;
/// use prognos::{diagnose::{Fusion, FusedIndex}, features::{FeatureSchema, FeatureTable, FeatureView}, signal::Channel};
/// let schema = FeatureSchema::of_channels(&[Channel::new("vibration", "g"), Channel::new("temperature", "K")])?;
/// let lives = array![[1.0, 300.0], [1.5, 305.0], [2.0, 310.0], [1.0, 301.0], [2.0, 309.0]];
/// let table = FeatureTable::new(schema.clone(), lives, vec![0, 0, 0, 1, 1])?;
/// let index = FusedIndex::fit(&table, &[0, 1], Fusion::Principal)?;
/// let now = index.of(FeatureView::new(&schema, &[1.5, 305.0])?)?;
/// assert!((now - 0.5).abs() < 0.01);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "FusedIndexRecord", into = "FusedIndexRecord")]
pub struct FusedIndex {
    schema: FeatureSchema,
    columns: Vec<usize>,
    scaling: Standardizer,
    /// Weights over `b - a`, and `-a / (b - a)`.
    weights: Vec<f64>,
    offset: f64,
}

/// A [`FusedIndex`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FusedIndexRecord {
    schema: FeatureSchema,
    columns: Vec<usize>,
    scaling: StandardizerRecord,
    weights: Vec<f64>,
    offset: f64,
}

impl FusedIndex {
    /// The index of these columns of `table`; each asset of the table is one life, its rows in order of time from begin to
    /// failure.
    ///
    /// # Errors
    /// `InvalidParameter` without a column, or where one is out of range or repeats; `InsufficientData` where no asset has
    /// two rows; `NotConverged` where no combination of the columns differs between begin and end of the lives.
    pub fn fit(table: &FeatureTable, columns: &[usize], fusion: Fusion) -> Result<Self> {
        check_columns(table.schema(), columns)?;
        let chosen: Vec<Vec<f64>> = table
            .rows()
            .map(|r| columns.iter().filter_map(|&c| r.get(c).copied()).collect())
            .collect();
        let scaling = Standardizer::fit(columns.len(), chosen.iter().map(Vec::as_slice))?;
        let mut z = Array2::zeros((chosen.len(), columns.len()));
        for (row, mut out) in chosen.iter().zip(z.rows_mut()) {
            let mut scaled = vec![0.0; columns.len()];
            scaling.transform_into(row, &mut scaled);
            out.iter_mut()
                .zip(scaled)
                .for_each(|(o, s)| *o = if s.is_finite() { s } else { 0.0 });
        }
        let used = share_used(table);
        if used.iter().all(|u| u.is_nan()) {
            return Err(Error::insufficient("fused index", "an asset with 2 rows", 0));
        }
        let weights = match fusion {
            Fusion::Principal => principal(&z)?,
            Fusion::Wear => wear(&z, &used),
        };
        let raw = z.dot(&ndarray::Array1::from(weights.clone()));
        let end = |at_begin: bool| {
            let mut ends = vec![(0.0, 0.0); table.n_assets()];
            for ((v, u), &asset) in raw.iter().zip(&used).zip(table.asset()) {
                let inside = if at_begin { *u <= ENDS } else { *u >= 1.0 - ENDS };
                if let Some(e) = ends.get_mut(asset as usize)
                    && inside
                {
                    *e = (e.0 + v, e.1 + 1.0);
                }
            }
            let means: Vec<f64> = ends.iter().filter(|e| e.1 > 0.0).map(|e| e.0 / e.1).collect();
            means.iter().sum::<f64>() / means.len() as f64
        };
        let (begin, end) = (end(true), end(false));
        let span = end - begin;
        // Standardised features of unit variance: less than this is rounding.
        if !(span.is_finite() && span.abs() > 1e-9) {
            return Err(Error::not_converged(
                "fused index: the features are alike at begin and end of the lives",
            ));
        }
        Ok(Self {
            schema: table.schema().clone(),
            columns: columns.to_vec(),
            scaling,
            weights: weights.iter().map(|w| w / span).collect(),
            offset: -begin / span,
        })
    }

    /// The rows it takes.
    pub fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// The columns it is fused from.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The weight of each column, per training standard deviation.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The index of a row.
    ///
    /// # Errors
    /// `SchemaMismatch` for a row of another schema.
    pub fn of(&self, x: FeatureView<'_>) -> Result<f64> {
        self.schema.expect(x.schema())?;
        let (mut index, mut any) = (self.offset, false);
        for (i, (&column, w)) in self.columns.iter().zip(&self.weights).enumerate() {
            let value = x.values().get(column).copied().unwrap_or(f64::NAN);
            let z = self.scaling.standard(i, value);
            if value.is_finite() && z.is_finite() {
                index += w * z;
                any = true;
            }
        }
        Ok(if any { index } else { f64::NAN })
    }
}

fn check_columns(schema: &FeatureSchema, columns: &[usize]) -> Result<()> {
    if columns.is_empty() {
        return Err(Error::parameter("columns", "at least 1", 0));
    }
    for (i, c) in columns.iter().enumerate() {
        if *c >= schema.len() {
            return Err(Error::parameter("columns", format!("below {}", schema.len()), c));
        }
        if columns.iter().take(i).any(|b| b == c) {
            return Err(Error::parameter("columns", "each once", format!("{c} twice")));
        }
    }
    Ok(())
}

/// Each row's share of its asset's life, 0 at the first row and 1 at the last; NaN where there is but one.
fn share_used(table: &FeatureTable) -> Vec<f64> {
    let mut counts = vec![0usize; table.n_assets()];
    let place = |&asset: &u32| {
        counts.get_mut(asset as usize).map_or(0, |n| {
            *n += 1;
            *n - 1
        })
    };
    let places: Vec<usize> = table.asset().iter().map(place).collect();
    let share = |(place, &asset): (usize, &u32)| {
        let last = counts.get(asset as usize).map_or(0, |n| n.saturating_sub(1));
        place as f64 / last as f64
    };
    places.into_iter().zip(table.asset()).map(share).collect()
}

fn principal(z: &Array2<f64>) -> Result<Vec<f64>> {
    let (_, second, _) = moments(z.ncols(), z.rows().into_iter().map(|r| r.to_vec()));
    Ok(leading_eigenvectors(second, 1)?.index_axis(Axis(1), 0).to_vec())
}

/// The covariance of each column with the share of life used, which is centred over rows.
fn wear(z: &Array2<f64>, used: &[f64]) -> Vec<f64> {
    let known = || used.iter().filter(|u| !u.is_nan());
    let mean = known().sum::<f64>() / known().count() as f64;
    let of = |column: ndarray::ArrayView1<'_, f64>| {
        let pairs = column.iter().zip(used).filter(|(_, u)| !u.is_nan());
        pairs.map(|(z, u)| z * (u - mean)).sum::<f64>()
    };
    let weights: Vec<f64> = z.columns().into_iter().map(of).collect();
    let norm = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
    weights
        .iter()
        .map(|w| if norm > 0.0 { w / norm } else { 0.0 })
        .collect()
}

impl TryFrom<FusedIndexRecord> for FusedIndex {
    type Error = Error;

    fn try_from(r: FusedIndexRecord) -> Result<Self> {
        let broken = |what: &str| Error::persistence(format!("fused index: {what}"));
        check_columns(&r.schema, &r.columns).map_err(|e| broken(&e.to_string()))?;
        let scaling = Standardizer::from_record(r.scaling)?;
        if scaling.n_columns() != r.columns.len() || r.weights.len() != r.columns.len() {
            return Err(broken("expected one scale and one weight a column"));
        }
        if !r.weights.iter().chain([&r.offset]).all(|w| w.is_finite()) {
            return Err(broken("expected finite weights"));
        }
        Ok(Self {
            schema: r.schema,
            columns: r.columns,
            scaling,
            weights: r.weights,
            offset: r.offset,
        })
    }
}

impl From<FusedIndex> for FusedIndexRecord {
    fn from(i: FusedIndex) -> Self {
        Self {
            schema: i.schema,
            columns: i.columns,
            scaling: i.scaling.to_record(),
            weights: i.weights,
            offset: i.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::{decode, encode},
        error::ErrorKind,
        signal::Channel,
    };

    /// Four lives; columns: rises with wear, falls with wear, noise, a constant.
    fn table() -> FeatureTable {
        let names = ["rises", "falls", "noise", "constant"].map(|n| Channel::new(n, ""));
        let (mut rows, mut asset) = (Vec::new(), Vec::new());
        for (life, n) in [40, 55, 31, 70].into_iter().enumerate() {
            for i in 0..n {
                let wear = (f64::from(i) / f64::from(n - 1)).powi(2);
                let noise = f64::from(i * 7919 % 13) / 13.0 - 0.5;
                rows.extend([10.0 + wear + 0.1 * noise, -5.0 * wear, noise, 3.0]);
                asset.push(life as u32);
            }
        }
        let values = Array2::from_shape_vec((asset.len(), 4), rows).unwrap();
        FeatureTable::new(FeatureSchema::of_channels(&names).unwrap(), values, asset).unwrap()
    }

    #[test]
    fn it_runs_from_begin_to_end_of_a_life() {
        let table = table();
        for fusion in [Fusion::Principal, Fusion::Wear] {
            let index = FusedIndex::fit(&table, &[3, 1, 0, 2], fusion).unwrap();
            let values: Vec<f64> = table.views().map(|v| index.of(v).unwrap()).collect();
            let lives: Vec<&[f64]> = vec![&values[..40], &values[40..95], &values[95..126], &values[126..]];
            for life in &lives {
                assert!(
                    life[0].abs() < 0.15 && (life[life.len() - 1] - 1.0).abs() < 0.35,
                    "{fusion:?}: {life:?}"
                );
            }
            let followed =
                crate::features::selection::monotonicity(&lives, crate::features::selection::Monotonicity::Rank);
            assert!(followed.unwrap() > 0.9, "{fusion:?}");
            // What rises has a weight above zero, what falls below, whatever sign the eigenvector came with.
            let w = index.weights();
            assert!(w[2] > 0.0 && w[1] < 0.0 && w[3].abs() < 0.5 * w[2] && w[0] == 0.0);
            let back: FusedIndex = decode(&encode(&index).unwrap()).unwrap();
            assert_eq!(back, index);
        }
    }

    #[test]
    fn missing_features_count_as_their_mean_and_bad_questions_are_refused() {
        let table = table();
        let index = FusedIndex::fit(&table, &[0, 1], Fusion::Wear).unwrap();
        let of = |row: [f64; 4]| index.of(FeatureView::new(table.schema(), &row).unwrap()).unwrap();
        let nan = f64::NAN;
        assert!(of([nan, nan, 1.0, 1.0]).is_nan());
        assert!(of([nan, f64::INFINITY, 1.0, 1.0]).is_nan());
        assert!(of([10.9, nan, nan, nan]) > of([10.1, nan, nan, nan]));
        for columns in [&[][..], &[4], &[0, 0]] {
            let e = FusedIndex::fit(&table, columns, Fusion::Wear).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter);
        }
        let e = FusedIndex::fit(&table, &[3], Fusion::Principal).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotConverged);
        let (short, _) = table.filtered(|i| i == 0).unwrap();
        assert_eq!(
            FusedIndex::fit(&short, &[0], Fusion::Wear).unwrap_err().kind(),
            ErrorKind::InsufficientData
        );
        let other = FeatureSchema::of_channels(&[Channel::new("x", "")]).unwrap();
        let e = index.of(FeatureView::new(&other, &[1.0]).unwrap()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::SchemaMismatch);
        let mut record = FusedIndexRecord::from(index);
        record.weights.pop();
        assert!(FusedIndex::try_from(record.clone()).is_err());
        record.weights.push(nan);
        assert!(FusedIndex::try_from(record).is_err());
    }
}
