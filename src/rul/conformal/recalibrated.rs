//! Any regressor, its distribution recalibrated on held-out assets.

use super::held_out::check_level;
use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::{
        Assessment, AssetFolds, N_PERCENTILES, OnlineModel, PersistentModel, RulDistribution, RulEstimate,
        RulRegressor, fingerprint_of,
    },
    quantity::Seed,
    rul::RulLabels,
};
use serde::{Deserialize, Serialize};

/// A regressor `M` whose probabilities are corrected by how they fared on assets it was not fitted on.
///
/// Each held-out asset is run as a live one, from a fresh state, row by row; the probability `F(truth)` that was given to a life
/// no longer than the true one (probability integral transform) is uniform for a model that is right. Where it is not, its
/// distribution tells which nominal probability to ask `M` for (Kuleshov, Fenner and Ermon 2018, arXiv 1807.00263):
///
/// - the interval lies between the nominal quantiles `a` and `b` that, of `n` held-out assets and one more, leave out at most
///   `(1 - level)/2` each. With `M` fitted on other assets and all exchangeable it holds the truth of a row drawn at random
///   from a new asset with a probability of at least `level` (distributional conformal prediction: Chernozhukov, Wüthrich
///   and Zhu 2021, doi 10.1073/pnas.2107794118; for assets of many rows Lee, Barber and Willett 2023, arXiv 2306.06342);
/// - percentile `p` of the distribution is the nominal one below which a share `p` of `n + 1` assets fell, straight between
///   values that occurred.
///
/// The rows of an asset weigh one together. A life only known to be longer than said, by its label or because it lies beyond
/// what the distribution of `M` knows, counts among the longer ones (Kaplan and Meier 1958, doi 10.1080/01621459.1958.10501452); the guarantee
/// is then an estimate, as censoring is taken not to depend on the rest of life. The point is that of `M`. A correction that is
/// the same for every row cannot mend what `M` gets wrong for some machines only.
///
/// `State` is that of `M`: a state goes on under another recalibration of the same model.
#[derive(Clone, Debug)]
pub struct RecalibratedRul<M> {
    model: M,
    map: Map,
    fingerprint: Fingerprint,
}

/// From calibrated to nominal probabilities.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Map {
    level: f64,
    /// Nominal probabilities of the interval's ends.
    ends: (f64, f64),
    /// Nominal probabilities of percentiles 0 to 100.
    nominal: Vec<f64>,
}

/// A [`RecalibratedRul`] as it is written to files, the model within it as `R`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecalibratedRulRecord<R> {
    model_kind: String,
    model_version: u32,
    model: R,
    level: f64,
    ends: (f64, f64),
    nominal: Vec<f64>,
}

/// What one held-out row said of its truth.
#[derive(Clone, Copy, Debug)]
struct Fared {
    asset: u32,
    /// Probability given to a life no longer than the true one.
    probability: f64,
    /// Whether the truth is only known to lie at or above.
    censored: bool,
}

impl<M: RulRegressor> RecalibratedRul<M> {
    /// Recalibrates `model` on `held_out` assets, none of which it was fitted on, for intervals of `level`. Rows are taken in
    /// the order of the table; rows for which the model gives no result are passed over.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < level < 1`; `InvalidInput` for another number of labels; `SchemaMismatch`;
    /// `InsufficientData` with fewer than `(1 + level)/(1 - level)` assets that got a result, 19 for 0.9.
    pub fn split(model: M, level: f64, held_out: &FeatureTable, labels: &RulLabels) -> Result<Self> {
        check_level(level)?;
        let mut fared = Vec::with_capacity(held_out.n_rows());
        run_live(&model, held_out, labels, |_| true, &mut fared)?;
        Self::with_map(model, Map::of(level, &fared)?)
    }

    /// Fits a model by `fit` for each of `n_folds` folds by asset and runs the assets left out, then one on all rows, which is
    /// recalibrated by what the folds' models said. All assets serve for both; the guarantee of
    /// [`split`](RecalibratedRul::split) then rests on the models of the folds being like the final one.
    ///
    /// # Errors
    /// As [`split`](RecalibratedRul::split) and [`AssetFolds::new`], and those of `fit`.
    pub fn cross(
        level: f64,
        table: &FeatureTable,
        labels: &RulLabels,
        n_folds: usize,
        seed: Seed,
        mut fit: impl FnMut(&FeatureTable, &RulLabels) -> Result<M>,
    ) -> Result<Self> {
        check_level(level)?;
        labels.expect_rows(table.n_rows())?;
        let folds = AssetFolds::new(table.n_assets(), n_folds, seed)?;
        let mut fared = Vec::with_capacity(table.n_rows());
        for fold in 0..n_folds {
            let out = |i: usize| folds.holds_out(fold, table.asset()[i] as usize);
            let (train, kept) = table.filtered(|i| !out(i))?;
            let model = fit(&train, &labels.of_rows(&kept))?;
            run_live(&model, table, labels, out, &mut fared)?;
        }
        let map = Map::of(level, &fared)?;
        Self::with_map(fit(table, labels)?, map)
    }

    fn with_map(model: M, map: Map) -> Result<Self> {
        let fingerprint = fingerprint_of("rul.recalibrated", &(model.fingerprint(), &map))?;
        Ok(Self {
            model,
            map,
            fingerprint,
        })
    }

    /// The model within.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Nominal level of the interval.
    pub fn level(&self) -> f64 {
        self.map.level
    }

    /// The probability the model within is asked for where `p` is wanted; `p` is held within 0..=1, and NaN for NaN.
    pub fn nominal(&self, p: f64) -> f64 {
        if p.is_nan() {
            return f64::NAN;
        }
        let at = p.clamp(0.0, 1.0) * (N_PERCENTILES - 1) as f64;
        let i = (at as usize).min(N_PERCENTILES - 2);
        let (a, b) = (self.map.nominal[i], self.map.nominal[i + 1]);
        a + (at - i as f64) * (b - a)
    }
}

/// Runs the rows `of_interest` of a table as those of live assets.
fn run_live<M: RulRegressor>(
    model: &M,
    table: &FeatureTable,
    labels: &RulLabels,
    of_interest: impl Fn(usize) -> bool,
    fared: &mut Vec<Fared>,
) -> Result<()> {
    labels.expect_rows(table.n_rows())?;
    let mut states: Vec<Option<M::State>> = (0..table.n_assets()).map(|_| None).collect();
    for (i, x) in table.views().enumerate().filter(|(i, _)| of_interest(*i)) {
        let asset = table.asset()[i];
        let state = states[asset as usize].get_or_insert_with(|| model.new_state());
        if let Assessment::Ready(d) = model.distribution(state, x)? {
            if d.unit() != labels.unit() {
                return Err(Error::input("unit of the labels", d.unit(), labels.unit()));
            }
            let truth = labels.rul()[i];
            let known = d.percentiles().iter().rev().find(|q| q.is_finite());
            let beyond = d.beyond() > 0.0 && known.is_some_and(|last| truth > *last);
            fared.push(Fared {
                asset,
                probability: d.failure(truth),
                censored: labels.is_censored(i) || beyond,
            });
        }
        model.update(state, x)?;
    }
    Ok(())
}

impl Map {
    fn of(level: f64, fared: &[Fared]) -> Result<Self> {
        let n_assets = fared.iter().map(|f| f.asset as usize + 1).max().unwrap_or(0);
        let mut n_rows = vec![0usize; n_assets];
        fared.iter().for_each(|f| n_rows[f.asset as usize] += 1);
        let n = n_rows.iter().filter(|n| **n > 0).count() as f64;
        let tail = (1.0 - level) / 2.0;
        // Counts that are whole may miss themselves by rounding.
        let slack = 1e-9;
        if 1.0 / (n + 1.0) > tail + slack {
            return Err(Error::insufficient(
                &format!("recalibration at level {level}"),
                format!(
                    "at least {} held-out assets with a result",
                    (1.0 / tail - 1.0 - slack).ceil()
                ),
                n,
            ));
        }
        let mut sorted = fared.to_vec();
        // At the same probability known lives come first.
        sorted.sort_by(|a, b| {
            a.probability
                .total_cmp(&b.probability)
                .then(a.censored.cmp(&b.censored))
        });
        // Share of n + 1 assets above, the one more being above all; share of n assets above.
        let (mut above, mut above_of_n) = (1.0, 1.0);
        let (mut at_risk, mut at_risk_of_n) = (n + 1.0, n);
        let (mut lower, mut upper) = (None, None);
        let mut knots = vec![(0.0, 0.0)];
        for f in &sorted {
            let weight = 1.0 / n_rows[f.asset as usize] as f64;
            if !f.censored {
                above *= 1.0 - weight / at_risk;
                above_of_n *= (1.0 - weight / at_risk_of_n.max(weight)).max(0.0);
                knots.push((1.0 - above, f.probability));
                // Below the lower end: what lies below in the sample, and the one more.
                if lower.is_none() && 1.0 - n / (n + 1.0) * above_of_n > tail + slack {
                    lower = Some(f.probability);
                }
                if upper.is_none() && above <= tail + slack {
                    upper = Some(f.probability);
                }
            }
            at_risk -= weight;
            at_risk_of_n -= weight;
        }
        knots.push((1.0, 1.0));
        let mut k = 0;
        let mut nominal = Vec::with_capacity(N_PERCENTILES);
        for i in 0..N_PERCENTILES {
            let p = i as f64 / (N_PERCENTILES - 1) as f64;
            while k + 2 < knots.len() && knots[k + 1].0 < p {
                k += 1;
            }
            let ((x, a), (y, b)) = (knots[k], knots[k + 1]);
            let share = if y > x {
                ((p - x) / (y - x)).clamp(0.0, 1.0)
            } else {
                1.0
            };
            nominal.push(a + share * (b - a));
        }
        let upper = upper.unwrap_or(1.0);
        Self::checked(level, (lower.unwrap_or(0.0).min(upper), upper), nominal)
    }

    fn checked(level: f64, ends: (f64, f64), nominal: Vec<f64>) -> Result<Self> {
        let sound = level > 0.0
            && level < 1.0
            && ends.0 >= 0.0
            && ends.0 <= ends.1
            && ends.1 <= 1.0
            && nominal.len() == N_PERCENTILES
            && nominal.iter().all(|p| (0.0..=1.0).contains(p))
            && nominal.windows(2).all(|w| w[0] <= w[1]);
        if sound {
            Ok(Self { level, ends, nominal })
        } else {
            Err(Error::persistence(
                "recalibration: expected a level above 0 and below 1, and ordered probabilities, two of ends and 101 of percentiles",
            ))
        }
    }
}

impl<M: RulRegressor> OnlineModel for RecalibratedRul<M> {
    type State = M::State;
    type Output = RulEstimate;

    fn schema(&self) -> &FeatureSchema {
        self.model.schema()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new_state(&self) -> M::State {
        self.model.new_state()
    }

    fn assess(&self, state: &M::State, x: FeatureView<'_>) -> Result<Assessment<RulEstimate>> {
        let estimate = match self.model.assess(state, x)? {
            Assessment::Ready(e) => e,
            other => return Ok(other),
        };
        self.model.distribution(state, x)?.try_map(|d| {
            let n_known = d.percentiles().partition_point(|q| q.is_finite());
            let last = d.percentiles()[n_known.saturating_sub(1)];
            let (lower, upper) = (d.quantile(self.map.ends.0), d.quantile(self.map.ends.1));
            RulEstimate::new(estimate.rul, lower.min(last), upper.min(last), self.map.level, d.unit())
        })
    }

    fn update(&self, state: &mut M::State, x: FeatureView<'_>) -> Result<()> {
        self.model.update(state, x)
    }
}

impl<M: RulRegressor> RulRegressor for RecalibratedRul<M> {
    fn distribution(&self, state: &M::State, x: FeatureView<'_>) -> Result<Assessment<RulDistribution>> {
        self.model.distribution(state, x)?.try_map(|d| {
            let mut percentiles = [0.0; N_PERCENTILES];
            let mut least = 0.0f64;
            for (out, p) in percentiles.iter_mut().zip(&self.map.nominal) {
                least = least.max(d.quantile(*p));
                *out = least;
            }
            // What is known keeps its first number, whatever the map.
            if percentiles[0].is_infinite() {
                percentiles[0] = d.percentiles()[0];
            }
            RulDistribution::new(percentiles, d.unit())
        })
    }
}

impl<M: RulRegressor + PersistentModel> PersistentModel for RecalibratedRul<M> {
    const KIND: &'static str = "rul.recalibrated";
    const KIND_VERSION: u32 = 1;
    type Persisted = RecalibratedRulRecord<M::Persisted>;

    fn to_persisted(&self) -> RecalibratedRulRecord<M::Persisted> {
        RecalibratedRulRecord {
            model_kind: M::KIND.into(),
            model_version: M::KIND_VERSION,
            model: self.model.to_persisted(),
            level: self.map.level,
            ends: self.map.ends,
            nominal: self.map.nominal.clone(),
        }
    }

    fn from_persisted(r: RecalibratedRulRecord<M::Persisted>) -> Result<Self> {
        if r.model_kind != M::KIND || r.model_version != M::KIND_VERSION {
            return Err(Error::persistence(format!(
                "recalibrated model: expected `{}` version {}, got `{}` version {}",
                M::KIND,
                M::KIND_VERSION,
                r.model_kind,
                r.model_version
            )));
        }
        let map = Map::checked(r.level, r.ends, r.nominal)?;
        Self::with_map(M::from_persisted(r.model)?, map)
    }
}
