//! A ranked table of features.

use super::{
    FalseDiscovery, Monotonicity, class_relevance, fisher_score, kendall_relevance, monotonicity, prognosability,
    trendability,
};
use crate::{
    error::{Error, Result},
    features::{Feature, FeatureTable},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How features are ranked; see [`FeatureRanking`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct RankingParams {
    method: Monotonicity,
    smoothing: usize,
    weights: [f64; 3],
    false_discoveries: f64,
    correction: FalseDiscovery,
}

impl Default for RankingParams {
    /// Monotonicity by ranks, no smoothing, equal weights, 5% false discoveries by Benjamini and Yekutieli.
    fn default() -> Self {
        Self {
            method: Monotonicity::Rank,
            smoothing: 1,
            weights: [1.0; 3],
            false_discoveries: 0.05,
            correction: FalseDiscovery::default(),
        }
    }
}

impl RankingParams {
    /// How monotonicity is measured.
    pub fn monotonicity(mut self, method: Monotonicity) -> Self {
        self.method = method;
        self
    }

    /// Trailing rows whose mean takes the place of each row before the prognostic measures; 1 for none.
    pub fn smoothing(mut self, n_rows: usize) -> Self {
        self.smoothing = n_rows;
        self
    }

    /// Weights of monotonicity, trendability and prognosability in the score.
    pub fn weights(mut self, monotonicity: f64, trendability: f64, prognosability: f64) -> Self {
        self.weights = [monotonicity, trendability, prognosability];
        self
    }

    /// The share of false discoveries among the features called relevant, and how it is held.
    pub fn false_discoveries(mut self, share: f64, correction: FalseDiscovery) -> Self {
        self.false_discoveries = share;
        self.correction = correction;
        self
    }

    fn check(&self) -> Result<()> {
        if self.smoothing == 0 {
            return Err(Error::parameter("smoothing", "at least 1 row", 0));
        }
        let sum: f64 = self.weights.iter().sum();
        if !(self.weights.iter().all(|w| *w >= 0.0) && sum.is_finite() && sum > 0.0) {
            let expected = "finite, not negative and not all 0";
            return Err(Error::parameter("weights", expected, format!("{:?}", self.weights)));
        }
        if !(self.false_discoveries > 0.0 && self.false_discoveries < 1.0) {
            return Err(Error::parameter(
                "false_discoveries",
                "in (0, 1)",
                self.false_discoveries,
            ));
        }
        Ok(())
    }
}

/// What is known of one feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RankedFeature {
    /// Its column in the table that was ranked.
    pub column: usize,
    /// Its name, unit and channel.
    pub feature: Feature,
    /// The weighted mean of the three measures that follow, in [0, 1].
    pub score: f64,
    /// See [`monotonicity`].
    pub monotonicity: f64,
    /// See [`trendability`].
    pub trendability: f64,
    /// See [`prognosability`].
    pub prognosability: f64,
    /// See [`fisher_score`]; where classes were given.
    pub fisher_score: Option<f64>,
    /// The p-value against the target, adjusted for the number of features; where one was given.
    pub adjusted_p: Option<f64>,
    /// Whether it is relevant to the target at the share of false discoveries; where one was given.
    pub relevant: Option<bool>,
}

/// Features by how well they follow wear, best first.
///
/// Each asset of the table is one life, its rows in order of time from begin to failure. A feature that has too few known
/// readings, or infinite ones, scores 0. Ties keep the order of columns.
///
/// ```
/// use ndarray::array;
/// use prognos::{features::{FeatureSchema, FeatureTable, selection::{FeatureRanking, RankingParams}}, signal::Channel};
/// let schema = FeatureSchema::of_channels(&[Channel::new("noise", ""), Channel::new("wear", "mm")])?;
/// let values = array![[3.0, 0.0], [1.0, 1.0], [2.0, 2.0], [1.0, 0.1], [3.0, 0.9], [2.0, 2.1]];
/// let table = FeatureTable::new(schema, values, vec![0, 0, 0, 1, 1, 1])?;
/// let ranking = FeatureRanking::of(&table, &RankingParams::default())?;
/// assert_eq!(ranking.features()[0].feature.name, "wear");
/// println!("{ranking}");
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureRanking {
    features: Vec<RankedFeature>,
}

impl FeatureRanking {
    /// Ranks the columns of `table` by their course over its assets' lives.
    ///
    /// # Errors
    /// `InvalidParameter` for bad parameters; `InsufficientData` with fewer than two assets of two rows.
    pub fn of(table: &FeatureTable, params: &RankingParams) -> Result<Self> {
        params.check()?;
        let lives = rows_by_asset(table);
        if lives.iter().filter(|rows| rows.len() >= 2).count() < 2 {
            return Err(Error::insufficient("ranking", "2 assets with 2 rows", lives.len()));
        }
        let columns = table.schema().features().iter().enumerate();
        let mut features: Vec<_> = columns.map(|(at, f)| ranked(table, &lives, at, f, params)).collect();
        features.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(Self { features })
    }

    /// As [`of`](FeatureRanking::of), with each feature's relevance to a real target, one value a row, NaN where unknown:
    /// remaining life for instance.
    ///
    /// # Errors
    /// Also `InvalidInput` where `target` has not one value a row or holds infinity.
    pub fn with_target(table: &FeatureTable, target: &[f64], params: &RankingParams) -> Result<Self> {
        check_rows(table, target.len())?;
        if let Some(v) = target.iter().find(|v| v.is_infinite()) {
            return Err(Error::input("target", "finite numbers or NaN", v));
        }
        let mut ranking = Self::of(table, params)?;
        ranking.relevance(table, params, |x| kendall_relevance(x, target))?;
        Ok(ranking)
    }

    /// As [`of`](FeatureRanking::of), with each feature's Fisher score and relevance to classes, one number a row.
    ///
    /// # Errors
    /// Also `InvalidInput` where `classes` has not one number a row.
    pub fn with_classes(table: &FeatureTable, classes: &[u32], params: &RankingParams) -> Result<Self> {
        check_rows(table, classes.len())?;
        let mut ranking = Self::of(table, params)?;
        for f in &mut ranking.features {
            // Too few readings, or infinite ones, tell no class apart.
            f.fisher_score = Some(fisher_score(&column(table, f.column), classes).unwrap_or(0.0));
        }
        ranking.relevance(table, params, |x| class_relevance(x, classes))?;
        Ok(ranking)
    }

    fn relevance(
        &mut self,
        table: &FeatureTable,
        params: &RankingParams,
        p: impl Fn(&[f64]) -> Result<f64>,
    ) -> Result<()> {
        let p: Vec<f64> = self
            .features
            .iter()
            .map(|f| p(&column(table, f.column)).unwrap_or(1.0))
            .collect();
        let adjusted = params.correction.adjusted(&p)?;
        for (f, q) in self.features.iter_mut().zip(adjusted) {
            f.adjusted_p = Some(q);
            f.relevant = Some(q <= params.false_discoveries);
        }
        Ok(())
    }

    /// The features, best first.
    pub fn features(&self) -> &[RankedFeature] {
        &self.features
    }

    /// Columns of the best `n` features, best first; only relevant ones where a target was given.
    pub fn best(&self, n: usize) -> Vec<usize> {
        let kept = self.features.iter().filter(|f| f.relevant != Some(false));
        kept.take(n).map(|f| f.column).collect()
    }
}

fn check_rows(table: &FeatureTable, n: usize) -> Result<()> {
    if n != table.n_rows() {
        return Err(Error::input(
            "target",
            format!("{} values, one a row", table.n_rows()),
            n,
        ));
    }
    Ok(())
}

fn rows_by_asset(table: &FeatureTable) -> Vec<Vec<usize>> {
    let mut lives = vec![Vec::new(); table.n_assets()];
    for (row, &asset) in table.asset().iter().enumerate() {
        if let Some(life) = lives.get_mut(asset as usize) {
            life.push(row);
        }
    }
    lives
}

fn column(table: &FeatureTable, column: usize) -> Vec<f64> {
    table.values().column(column).to_vec()
}

fn ranked(
    table: &FeatureTable,
    lives: &[Vec<usize>],
    at: usize,
    feature: &Feature,
    params: &RankingParams,
) -> RankedFeature {
    let values = column(table, at);
    let smooth: Vec<Vec<f64>> = lives
        .iter()
        .map(|rows| smoothed(rows.iter().filter_map(|&r| values.get(r).copied()), params.smoothing))
        .collect();
    let views: Vec<&[f64]> = smooth.iter().map(Vec::as_slice).collect();
    // A feature without readings follows nothing.
    let measures = [
        monotonicity(&views, params.method).unwrap_or(0.0),
        trendability(&views).unwrap_or(0.0),
        prognosability(&views).unwrap_or(0.0),
    ];
    let [m, t, p] = measures;
    let sum: f64 = params.weights.iter().sum();
    let score = measures.iter().zip(params.weights).map(|(v, w)| v * w).sum::<f64>() / sum;
    RankedFeature {
        column: at,
        feature: feature.clone(),
        score,
        monotonicity: m,
        trendability: t,
        prognosability: p,
        fisher_score: None,
        adjusted_p: None,
        relevant: None,
    }
}

/// Means of up to `n` trailing known readings; NaN where there is none.
fn smoothed(x: impl Iterator<Item = f64>, n: usize) -> Vec<f64> {
    let x: Vec<f64> = x.collect();
    if n == 1 {
        return x;
    }
    let mean = |end: usize| {
        let last = &x[end.saturating_sub(n - 1)..=end];
        let known = || last.iter().filter(|v| !v.is_nan());
        known().sum::<f64>() / known().count() as f64
    };
    (0..x.len()).map(mean).collect()
}

impl fmt::Display for FeatureRanking {
    /// A table with a line a feature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .features
            .iter()
            .map(|r| r.feature.name.chars().count())
            .max()
            .unwrap_or(0)
            .max(7);
        write!(
            f,
            "{:width$}  score  monotonicity  trendability  prognosability",
            "feature"
        )?;
        let has = |of: fn(&RankedFeature) -> bool| self.features.iter().any(of);
        let (fisher, p) = (has(|r| r.fisher_score.is_some()), has(|r| r.adjusted_p.is_some()));
        if fisher {
            f.write_str("  Fisher score")?;
        }
        if p {
            f.write_str("  adjusted p  relevant")?;
        }
        for r in &self.features {
            write!(
                f,
                "\n{:width$}  {:5.3}  {:12.3}  {:12.3}  {:14.3}",
                r.feature.name, r.score, r.monotonicity, r.trendability, r.prognosability
            )?;
            if fisher {
                write!(f, "  {:12.3}", r.fisher_score.unwrap_or(f64::NAN))?;
            }
            if p {
                let relevant = if r.relevant == Some(true) { "yes" } else { "no" };
                write!(f, "  {:10.2e}  {relevant:>8}", r.adjusted_p.unwrap_or(f64::NAN))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, features::FeatureSchema, signal::Channel};
    use ndarray::Array2;

    /// Three lives of different lengths; columns: wear, wear with noise, a constant, an unknown one, an oscillation.
    fn table() -> (FeatureTable, Vec<f64>, Vec<u32>) {
        let names = ["constant", "unknown", "wave", "noisy", "wear"].map(|n| Channel::new(n, "mm"));
        let (mut rows, mut asset, mut rul) = (Vec::new(), Vec::new(), Vec::new());
        for (life, n) in [30, 45, 38].into_iter().enumerate() {
            for i in 0..n {
                let wear = f64::from(i) / f64::from(n - 1);
                let noise = f64::from(i * 7919 % 13) / 13.0;
                rows.extend([1.5, f64::NAN, (f64::from(i) * 1.3).sin(), wear + 0.3 * noise, wear]);
                asset.push(life as u32);
                rul.push(f64::from(n - 1 - i));
            }
        }
        let values = Array2::from_shape_vec((asset.len(), 5), rows).unwrap();
        let classes = rul.iter().map(|r| u32::from(*r < 10.0)).collect();
        (
            FeatureTable::new(FeatureSchema::of_channels(&names).unwrap(), values, asset).unwrap(),
            rul,
            classes,
        )
    }

    #[test]
    fn what_follows_wear_comes_first() {
        let (table, rul, classes) = table();
        let params = RankingParams::default();
        let plain = FeatureRanking::of(&table, &params).unwrap();
        assert_eq!(plain.best(2), [4, 3]);
        let by_target = FeatureRanking::with_target(&table, &rul, &params).unwrap();
        assert_eq!(by_target.best(9), [4, 3]);
        let by_class = FeatureRanking::with_classes(&table, &classes, &params).unwrap();
        assert_eq!(by_class.best(9), [4, 3]);
        let wear = &by_class.features()[0];
        assert!(wear.fisher_score.unwrap() > by_class.features()[1].fisher_score.unwrap());
        assert!((wear.score - 1.0).abs() < 1e-12 && wear.relevant == Some(true));
        let unknown = plain.features().iter().find(|f| f.feature.name == "unknown").unwrap();
        assert_eq!(unknown.score, 0.0);
        // Smoothing brings the trend out of the noise.
        let smooth = FeatureRanking::of(&table, &params.smoothing(13)).unwrap();
        assert!(smooth.features()[1].monotonicity > plain.features()[1].monotonicity);
        let text = by_class.to_string();
        assert_eq!(text.lines().count(), 6);
        assert!(text.contains("wear      1.000"), "{text}");
    }

    #[test]
    fn bad_questions_are_refused() {
        let (table, rul, classes) = table();
        let ok = RankingParams::default();
        for p in [
            ok.clone().smoothing(0),
            ok.clone().weights(0.0, 0.0, 0.0),
            ok.clone().weights(f64::NAN, 1.0, 1.0),
            ok.clone().weights(-1.0, 1.0, 1.0),
            ok.clone().false_discoveries(0.0, FalseDiscovery::default()),
            ok.clone().false_discoveries(f64::NAN, FalseDiscovery::default()),
        ] {
            assert_eq!(
                FeatureRanking::of(&table, &p).unwrap_err().kind(),
                ErrorKind::InvalidParameter
            );
        }
        assert!(FeatureRanking::with_target(&table, &rul[1..], &ok).is_err());
        assert!(FeatureRanking::with_classes(&table, &classes[1..], &ok).is_err());
        let (one, _) = table.filtered(|i| i < 30).unwrap();
        assert_eq!(
            FeatureRanking::of(&one, &ok).unwrap_err().kind(),
            ErrorKind::InsufficientData
        );
    }
}
