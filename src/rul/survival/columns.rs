//! Covariates in units of their standard deviation.

use super::{LifeSpells, lanes};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A standard deviation at most this part of the largest magnitude is rounding: the covariate is constant.
const CONSTANT: f64 = 1e-9;
/// A covariate of whose variance only this part is its own says nothing of its own.
const COLLINEAR: f64 = 1e-10;

/// How covariates are centred and scaled: mean and standard deviation (divisor `n - 1`) over rows, those that vary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Columns {
    /// Positions of the covariates that vary, increasing.
    pub(super) kept: Vec<u32>,
    pub(super) mean: Vec<f64>,
    pub(super) sd: Vec<f64>,
}

impl Columns {
    /// Of all rows, in the order given. `O(n p)`.
    pub(super) fn fit(spells: &LifeSpells, order: impl Iterator<Item = usize> + Clone) -> Self {
        let width = spells.names().len();
        let (mut n, mut mean, mut largest) = (0.0, vec![0.0; width], vec![0.0f64; width]);
        for i in order.clone() {
            n += 1.0;
            for ((m, l), x) in mean.iter_mut().zip(&mut largest).zip(spells.row(i)) {
                *m += x;
                *l = l.max(x.abs());
            }
        }
        mean.iter_mut().for_each(|m| *m /= n);
        let (mut off, mut squares) = (vec![0.0; width], vec![0.0; width]);
        for i in order {
            for (((o, s), m), x) in off.iter_mut().zip(&mut squares).zip(&mean).zip(spells.row(i)) {
                let d = x - m;
                *o += d;
                *s += d * d;
            }
        }
        let mut out = Self {
            kept: Vec::new(),
            mean: Vec::new(),
            sd: Vec::new(),
        };
        for j in 0..width {
            // What rounding left in the mean is taken back.
            let sd = ((squares[j] - off[j] * off[j] / n).max(0.0) / (n - 1.0).max(1.0)).sqrt();
            if sd > CONSTANT * largest[j] && sd > 1e-150 {
                out.kept.push(j as u32);
                out.mean.push(mean[j] + off[j] / n);
                out.sd.push(sd);
            }
        }
        out
    }

    pub(super) fn n(&self) -> usize {
        self.kept.len()
    }

    /// The kept covariates of a row in standard units.
    pub(super) fn standard<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let scaling = self.kept.iter().zip(&self.mean).zip(&self.sd);
        scaling.map(|((&j, m), s)| (row.get(j as usize).copied().unwrap_or(*m) - m) / s)
    }

    /// Refuses covariates of which one follows from those before it; `z` holds one in standard units after the other.
    pub(super) fn expect_independent(&self, names: &[String], z: &[f64]) -> Result<()> {
        let p = self.n();
        if p == 0 {
            return Ok(());
        }
        let column = |j: usize| &z[j * (z.len() / p)..(j + 1) * (z.len() / p)];
        let mut gram = vec![0.0; p * p];
        for i in 0..p {
            for j in 0..=i {
                gram[i * p + j] = lanes::dot(column(i), column(j));
            }
        }
        // Cholesky of the correlations: a pivot is the share of a variance that those before do not explain.
        for j in 0..p {
            let own = gram[j * p + j];
            let explained: f64 = gram[j * p..j * p + j].iter().map(|v| v * v).sum();
            let left = own - explained;
            if left.is_nan() || left <= COLLINEAR * own {
                let name = |k: usize| format!("`{}`", names[self.kept[k] as usize]);
                let others: Vec<String> = (0..j)
                    .filter(|k| gram[j * p + k] * gram[j * p + k] > 1e-6 * own)
                    .map(name)
                    .collect();
                return Err(Error::input(
                    "covariates",
                    "none that follows from others (or a penalty above 0)",
                    format!("{}, a linear combination of {}", name(j), others.join(", ")),
                ));
            }
            let root = (own - explained).sqrt();
            gram[j * p + j] = root;
            for i in j + 1..p {
                let products: f64 = (0..j).map(|k| gram[i * p + k] * gram[j * p + k]).sum();
                gram[i * p + j] = (gram[i * p + j] - products) / root;
            }
        }
        Ok(())
    }

    /// Whether what was read from a file can be used on rows of `width`.
    pub(super) fn is_sound(&self, width: usize) -> bool {
        self.kept.len() == self.mean.len()
            && self.kept.len() == self.sd.len()
            && self.kept.windows(2).all(|w| w[0] < w[1])
            && self.kept.last().is_none_or(|j| (*j as usize) < width)
            && self.mean.iter().all(|m| m.abs() <= 1e100)
            && self.sd.iter().all(|s| *s >= 1e-150 && *s <= 1e101)
    }
}
