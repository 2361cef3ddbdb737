//! Health indices: a few linear combinations of normalised sensors that follow wear better than any one sensor.

use crate::{
    error::{Error, Result},
    features::{Feature, FeatureSchema},
    preprocess::{GramAccumulator, solve_positive_definite},
};
use linfa_linalg::{cholesky::Cholesky, eigh::EigSort, eigh::Eigh};
use ndarray::{Array1, Array2, Axis};
use serde::{Deserialize, Serialize};

/// Which indices are fitted; see [`HealthIndices`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthIndicesParams {
    label_caps: Vec<f64>,
    ridge: f64,
    n_principal: usize,
    n_signal_to_noise: usize,
    late_life: f64,
}

impl Default for HealthIndicesParams {
    /// Caps 125, 60 and 30 life units, ridge 20, three principal and two signal-to-noise components, late life from 30
    /// units before failure.
    fn default() -> Self {
        Self {
            label_caps: vec![125.0, 60.0, 30.0],
            ridge: 20.0,
            n_principal: 3,
            n_signal_to_noise: 2,
            late_life: 30.0,
        }
    }
}

impl HealthIndicesParams {
    /// One regression index for each of these caps on remaining life, in life units.
    #[must_use]
    pub fn label_caps(mut self, caps: impl IntoIterator<Item = f64>) -> Self {
        self.label_caps = caps.into_iter().collect();
        self
    }

    /// Penalty on the squared coefficients of the regressions.
    #[must_use]
    pub fn ridge(mut self, lambda: f64) -> Self {
        self.ridge = lambda;
        self
    }

    /// Number of principal components of late-life rows.
    #[must_use]
    pub fn principal_components(mut self, n: usize) -> Self {
        self.n_principal = n;
        self
    }

    /// Number of components of greatest signal over noise.
    #[must_use]
    pub fn signal_to_noise_components(mut self, n: usize) -> Self {
        self.n_signal_to_noise = n;
        self
    }

    /// Rows with at most this remaining life, in life units, count as late life.
    #[must_use]
    pub fn late_life(mut self, units: f64) -> Self {
        self.late_life = units;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if let Some(cap) = self.label_caps.iter().find(|c| !(c.is_finite() && **c > 0.0)) {
            return Err(Error::parameter("health_indices.label_caps", "finite and above 0", cap));
        }
        if !(self.ridge.is_finite() && self.ridge >= 0.0) {
            return Err(Error::parameter(
                "health_indices.ridge",
                "finite and not negative",
                self.ridge,
            ));
        }
        if !(self.late_life.is_finite() && self.late_life > 0.0) {
            return Err(Error::parameter(
                "health_indices.late_life",
                "finite and above 0",
                self.late_life,
            ));
        }
        let n = self
            .label_caps
            .len()
            .saturating_add(self.n_principal)
            .saturating_add(self.n_signal_to_noise);
        if !(1..=64).contains(&n) {
            return Err(Error::parameter("health_indices", "1..=64 indices", n));
        }
        Ok(())
    }
}

/// A row of normalised sensors with what is known of it, for fitting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelledRow<'a> {
    pub(crate) sensors: &'a [f64],
    pub(crate) regime: usize,
    /// Remaining life, where known.
    pub(crate) rul: Option<f64>,
    /// Whether the row before it is of another asset.
    pub(crate) starts_asset: bool,
}

/// Linear health indices of a row of normalised sensors `z` (missing ones count as 0, their training mean).
///
/// - `health_index.ridge_<c>`: per operating regime, the ridge regression of `min(RUL, c) / c` on `z`; 1 in health, 0 at
///   failure.
/// - `health_index.principal_<k>`: the principal components of rows late in life, as unit vectors.
/// - `health_index.signal_<k>`: the directions `w` of greatest `w'Sw / w'Nw`, where `N` is half the covariance of the
///   differences between successive rows (the noise) and `S` the covariance of all rows less `N` (what changes slowly);
///   scaled to unit noise. Switzer & Green (1984) call them minimum-noise or maximum-autocorrelation factors.
///
/// Shapes: `(n_sensors)` in, `(n_indices)` out. Cost `O(n_sensors n_indices)` a row, no allocation.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthIndices {
    input: FeatureSchema,
    output: FeatureSchema,
    n_regimes: usize,
    n_by_regime: usize,
    /// Per regime and regression: intercept, then one coefficient a sensor.
    by_regime: Vec<f64>,
    /// Per further index: one coefficient a sensor.
    shared: Vec<f64>,
}

/// [`HealthIndices`] as they are written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HealthIndicesRecord {
    input: FeatureSchema,
    names: Vec<String>,
    n_regimes: usize,
    n_by_regime: usize,
    by_regime: Vec<f64>,
    shared: Vec<f64>,
}

impl HealthIndices {
    pub(crate) fn fit<'a, I>(
        params: &HealthIndicesParams,
        input: &FeatureSchema,
        n_regimes: usize,
        rows: I,
    ) -> Result<Self>
    where
        I: Iterator<Item = LabelledRow<'a>> + Clone,
    {
        params.check()?;
        let n = input.len();
        let n_caps = params.label_caps.len();
        let mut names: Vec<String> = params.label_caps.iter().map(|c| format!("ridge_{c}")).collect();
        let by_regime = Self::fit_regressions(params, n, n_regimes, rows.clone())?;
        let mut shared = Vec::new();
        let n_principal = params.n_principal.min(n);
        if n_principal > 0 {
            let late = |r: &LabelledRow<'_>| r.rul.is_some_and(|rul| rul <= params.late_life);
            let (mean, second, count) = moments(n, rows.clone().filter(late).map(|r| filled(r.sensors)));
            if count < 2 {
                let what = format!("health indices: rows with at most {} remaining life", params.late_life);
                return Err(Error::insufficient(&what, "at least 2", count));
            }
            let covariance = Array2::from_shape_fn((n, n), |(i, j)| second[[i, j]] - mean[i] * mean[j]);
            let vectors = leading_eigenvectors(covariance, n_principal)?;
            vectors
                .axis_iter(Axis(1))
                .for_each(|v| shared.extend(oriented(v.to_vec())));
            names.extend((1..=n_principal).map(|k| format!("principal_{k}")));
        }
        let n_signal = params.n_signal_to_noise.min(n);
        if n_signal > 0 {
            let vectors = signal_to_noise(n, n_signal, rows)?;
            vectors.into_iter().for_each(|v| shared.extend(oriented(v)));
            names.extend((1..=n_signal).map(|k| format!("signal_{k}")));
        }
        let output = Self::output_schema(&names)?;
        Ok(Self {
            input: input.clone(),
            output,
            n_regimes,
            n_by_regime: n_caps,
            by_regime,
            shared,
        })
    }

    fn fit_regressions<'a>(
        params: &HealthIndicesParams,
        n: usize,
        n_regimes: usize,
        rows: impl Iterator<Item = LabelledRow<'a>>,
    ) -> Result<Vec<f64>> {
        let n_caps = params.label_caps.len();
        if n_caps == 0 {
            return Ok(Vec::new());
        }
        let mut grams = vec![GramAccumulator::new(n, n_caps); n_regimes];
        let mut overall = GramAccumulator::new(n, n_caps);
        let mut targets = vec![0.0; n_caps];
        for row in rows {
            let Some(rul) = row.rul else { continue };
            for (t, cap) in targets.iter_mut().zip(&params.label_caps) {
                *t = rul.min(*cap) / cap;
            }
            let z = filled(row.sensors);
            overall.add(&z, &targets);
            if let Some(g) = grams.get_mut(row.regime) {
                g.add(&z, &targets);
            }
        }
        if overall.n_rows() == 0 {
            return Err(Error::insufficient(
                "health indices: rows with known remaining life",
                "at least 1",
                0,
            ));
        }
        let mut by_regime = Vec::with_capacity(n_regimes * n_caps * (n + 1));
        for gram in &grams {
            // A regime hardly seen takes the coefficients of all rows together.
            let gram = if gram.n_rows() > 2 * n { gram } else { &overall };
            let solution = gram.solve(params.ridge)?;
            for (intercept, coefficients) in solution.intercepts.iter().zip(solution.coefficients.rows()) {
                by_regime.push(*intercept);
                by_regime.extend(coefficients);
            }
        }
        Ok(by_regime)
    }

    fn output_schema(names: &[String]) -> Result<FeatureSchema> {
        let feature = |name: &String| {
            let name = format!("health_index.{name}");
            Feature {
                channel: name.clone(),
                unit: String::new(),
                name,
            }
        };
        FeatureSchema::new(names.iter().map(feature).collect(), None)
    }

    /// The rows taken: normalised sensors.
    pub fn input(&self) -> &FeatureSchema {
        &self.input
    }

    /// The indices given.
    pub fn output(&self) -> &FeatureSchema {
        &self.output
    }

    /// Number of operating regimes the regressions were fitted by.
    pub fn n_regimes(&self) -> usize {
        self.n_regimes
    }

    /// Writes the indices of normalised `sensors` under `regime` into `out`.
    ///
    /// # Errors
    /// `SchemaMismatch` for slices of other lengths than the schemas; `InvalidInput` for an unknown regime.
    pub fn assess_into(&self, sensors: &[f64], regime: usize, out: &mut [f64]) -> Result<()> {
        let n = self.input.len();
        if sensors.len() != n || out.len() != self.output.len() {
            return Err(Error::schema(
                "health index row",
                format!("{n} sensors into {}", self.output.len()),
                format!("{} into {}", sensors.len(), out.len()),
            ));
        }
        if regime >= self.n_regimes {
            return Err(Error::input("regime", format!("below {}", self.n_regimes), regime));
        }
        let dot = |w: &[f64]| {
            w.iter()
                .zip(sensors)
                .map(|(w, z)| if z.is_nan() { 0.0 } else { w * z })
                .sum::<f64>()
        };
        let (first, rest) = out.split_at_mut(self.n_by_regime);
        let lines = self.by_regime[regime * self.n_by_regime * (n + 1)..].chunks_exact(n + 1);
        for (o, line) in first.iter_mut().zip(lines) {
            *o = line[0] + dot(&line[1..]);
        }
        for (o, w) in rest.iter_mut().zip(self.shared.chunks_exact(n)) {
            *o = dot(w);
        }
        Ok(())
    }

    /// As they are written to files.
    pub fn to_record(&self) -> HealthIndicesRecord {
        let name = |f: &Feature| f.name.trim_start_matches("health_index.").to_owned();
        HealthIndicesRecord {
            input: self.input.clone(),
            names: self.output.features().iter().map(name).collect(),
            n_regimes: self.n_regimes,
            n_by_regime: self.n_by_regime,
            by_regime: self.by_regime.clone(),
            shared: self.shared.clone(),
        }
    }

    /// Reads back a record.
    ///
    /// # Errors
    /// `Persistence` where lengths disagree or a coefficient is not finite.
    pub fn from_record(r: HealthIndicesRecord) -> Result<Self> {
        let n = r.input.len();
        let n_shared = r.names.len().checked_sub(r.n_by_regime);
        let expected = r
            .n_regimes
            .checked_mul(r.n_by_regime)
            .and_then(|m| m.checked_mul(n + 1));
        let sound = r.n_regimes > 0
            && expected == Some(r.by_regime.len())
            && n_shared.and_then(|m| m.checked_mul(n)) == Some(r.shared.len())
            && r.by_regime.iter().chain(&r.shared).all(|v| v.is_finite());
        if !sound {
            return Err(Error::persistence(
                "health indices: expected finite coefficients whose numbers agree",
            ));
        }
        let output = Self::output_schema(&r.names).map_err(|e| Error::persistence(format!("health indices: {e}")))?;
        Ok(Self {
            input: r.input,
            output,
            n_regimes: r.n_regimes,
            n_by_regime: r.n_by_regime,
            by_regime: r.by_regime,
            shared: r.shared,
        })
    }
}

/// Missing sensors at their training mean.
fn filled(z: &[f64]) -> smallvec::SmallVec<[f64; 32]> {
    z.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect()
}

/// Mean, mean of products and number of rows.
pub(super) fn moments<V: AsRef<[f64]>>(n: usize, rows: impl Iterator<Item = V>) -> (Vec<f64>, Array2<f64>, usize) {
    let (mut sum, mut products, mut count) = (vec![0.0; n], Array2::<f64>::zeros((n, n)), 0usize);
    for row in rows {
        let z = row.as_ref();
        count += 1;
        sum.iter_mut().zip(z).for_each(|(s, z)| *s += z);
        for (zi, mut p) in z.iter().zip(products.rows_mut()) {
            p.iter_mut().zip(z).for_each(|(p, zj)| *p += zi * zj);
        }
    }
    let scale = 1.0 / count.max(1) as f64;
    sum.iter_mut().for_each(|s| *s *= scale);
    (sum, products * scale, count)
}

pub(super) fn leading_eigenvectors(symmetric: Array2<f64>, n: usize) -> Result<Array2<f64>> {
    let failed = |e: linfa_linalg::LinalgError| {
        Error::not_converged(format!("health indices: eigenvectors of a covariance: {e}")).with_source(e)
    };
    let (_, vectors) = symmetric.eigh().map_err(failed)?.sort_eig_desc();
    Ok(vectors.slice_axis(Axis(1), ndarray::Slice::from(..n)).to_owned())
}

/// The solutions of `S w = mu N w` of greatest `mu`, with `w'Nw = 1`: eigenvectors of `L^-1 S L^-T` where `N = LL'`.
fn signal_to_noise<'a>(
    n: usize,
    n_vectors: usize,
    rows: impl Iterator<Item = LabelledRow<'a>> + Clone,
) -> Result<Vec<Vec<f64>>> {
    let (mean, second, _) = moments(n, rows.clone().map(|r| filled(r.sensors)));
    let mut before: Option<smallvec::SmallVec<[f64; 32]>> = None;
    let differences = rows.filter_map(|row| {
        let z = filled(row.sensors);
        let d: Option<Vec<f64>> = match &before {
            Some(b) if !row.starts_asset => Some(z.iter().zip(b).map(|(a, b)| a - b).collect()),
            _ => None,
        };
        before = Some(z);
        d
    });
    let (_, products, count) = moments(n, differences);
    if count < 2 {
        return Err(Error::insufficient(
            "health indices: pairs of successive rows",
            "at least 2",
            count,
        ));
    }
    let mut noise = products * 0.5;
    let largest = noise.diag().iter().fold(0.0f64, |m, d| m.max(*d));
    noise
        .diag_mut()
        .iter_mut()
        .for_each(|d| *d += 1e-6 * largest.max(1e-12));
    let signal = Array2::from_shape_fn((n, n), |(i, j)| second[[i, j]] - mean[i] * mean[j] - noise[[i, j]]);
    let failed = |e: linfa_linalg::LinalgError| {
        Error::not_converged(format!("health indices: noise covariance cannot be factorised: {e}")).with_source(e)
    };
    let l = noise.cholesky().map_err(failed)?;
    // L^-1 by solving against the identity; n is the number of sensors.
    let inverse = solve_positive_definite(noise, Array2::eye(n))?; // N^-1 = L^-T L^-1
    let l_inverse = l.t().dot(&inverse); // L' N^-1 = L^-1
    let whitened = l_inverse.dot(&signal).dot(&l_inverse.t());
    let symmetric = (&whitened + &whitened.t()) * 0.5;
    let vectors = leading_eigenvectors(symmetric, n_vectors)?;
    Ok(vectors
        .axis_iter(Axis(1))
        .map(|v| l_inverse.t().dot(&Array1::from(v.to_vec())).to_vec())
        .collect())
}

/// The sign that makes the largest coefficient positive: eigenvectors come with either.
fn oriented(mut v: Vec<f64>) -> Vec<f64> {
    let largest = v.iter().fold(0.0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
    if largest < 0.0 {
        v.iter_mut().for_each(|x| *x = -*x);
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, signal::Channel};
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256Plus;

    /// Two sensors share a slow trend (the second with the opposite sign), the third is noise.
    fn rows() -> Vec<([f64; 3], f64)> {
        let mut rng = Xoshiro256Plus::seed_from_u64(1);
        let mut noise = || rng.r#gen::<f64>() * 2.0 - 1.0;
        let trend = |i: usize| (i % 200) as f64 / 100.0 - 1.0;
        let mut row = |i: usize| {
            let sensors = [trend(i) + 0.3 * noise(), -trend(i) + 0.3 * noise(), noise()];
            (sensors, 199.0 - (i % 200) as f64)
        };
        (0..1000).map(&mut row).collect()
    }

    fn labelled(rows: &[([f64; 3], f64)]) -> impl Iterator<Item = LabelledRow<'_>> + Clone {
        rows.iter().enumerate().map(|(i, (z, rul))| LabelledRow {
            sensors: z,
            regime: 0,
            rul: Some(*rul),
            starts_asset: i % 200 == 0,
        })
    }

    fn schema() -> FeatureSchema {
        FeatureSchema::of_channels(&["a", "b", "c"].map(|n| Channel::new(n, "SD"))).unwrap()
    }

    #[test]
    fn indices_follow_wear_and_ignore_noise() {
        let rows = rows();
        let h = HealthIndices::fit(&HealthIndicesParams::default(), &schema(), 1, labelled(&rows)).unwrap();
        assert_eq!(h.output().len(), 8);
        let (mut fresh, mut worn) = ([0.0; 8], [0.0; 8]);
        h.assess_into(&[-1.0, 1.0, 0.0], 0, &mut fresh).unwrap();
        h.assess_into(&[1.0, -1.0, 0.0], 0, &mut worn).unwrap();
        assert!(
            fresh[0] - worn[0] > 0.8 && fresh[0] < 1.3 && worn[0] > -0.3,
            "{fresh:?} {worn:?}"
        );
        // The first signal-to-noise direction is (1, -1, 0) up to scale.
        let w = &h.shared[9..12];
        assert!(
            (w[0] + w[1]).abs() < 0.2 * w[0].abs() && w[2].abs() < 0.1 * w[0].abs(),
            "{w:?}"
        );
        let back = HealthIndices::from_record(h.to_record()).unwrap();
        assert_eq!(back, h);
        h.assess_into(&[f64::NAN, -1.0, f64::NAN], 0, &mut worn).unwrap();
        assert!(worn.iter().all(|v| v.is_finite()));
    }

    /// Against scikit-learn's ridge and SciPy's (generalised) eigenvectors; `tests/golden/make_regression.py` made the numbers.
    #[test]
    fn indices_are_those_of_scikit_learn_and_scipy() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/regression.json")).unwrap();
        let golden = &golden["health"];
        let numbers =
            |v: &serde_json::Value| -> Vec<f64> { v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
        let rows: Vec<Vec<f64>> = golden["z"].as_array().unwrap().iter().map(numbers).collect();
        let rul = numbers(&golden["rul"]);
        let labelled = rows.iter().enumerate().map(|(i, z)| LabelledRow {
            sensors: z,
            regime: golden["regime"][i].as_u64().unwrap() as usize,
            rul: Some(rul[i]),
            starts_asset: golden["starts"][i].as_bool().unwrap(),
        });
        let (principal, signal) = (&golden["principal"], &golden["signal"]);
        let params = HealthIndicesParams::default()
            .label_caps(numbers(&golden["caps"]))
            .ridge(golden["ridge"].as_f64().unwrap())
            .late_life(golden["late"].as_f64().unwrap())
            .principal_components(principal.as_array().unwrap().len())
            .signal_to_noise_components(signal.as_array().unwrap().len());
        let schema = FeatureSchema::of_channels(&["a", "b", "c", "d", "e"].map(|n| Channel::new(n, "SD"))).unwrap();
        let h = HealthIndices::fit(&params, &schema, 2, labelled).unwrap();
        let all = |v: &serde_json::Value| v.as_array().unwrap().iter().flat_map(numbers).collect::<Vec<_>>();
        // Some 400 rows of numbers near one: sums are good to 1e-13, and the smallest gap between the eigenvalues taken
        // and the next is a hundredth of the largest.
        for (what, got, expected) in [
            ("regressions", &h.by_regime, all(&golden["by_regime"])),
            ("directions", &h.shared, [all(principal), all(signal)].concat()),
        ] {
            assert_eq!(got.len(), expected.len(), "{what}");
            for (i, (g, e)) in got.iter().zip(&expected).enumerate() {
                assert!((g - e).abs() < 1e-9, "{what} {i}: {e} expected, {g}");
            }
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_named() {
        let rows = rows();
        let fit = |p: HealthIndicesParams| HealthIndices::fit(&p, &schema(), 1, labelled(&rows));
        let p = HealthIndicesParams::default;
        assert!(fit(p().label_caps([f64::NAN])).is_err());
        assert!(fit(p().ridge(-1.0)).is_err() && fit(p().late_life(f64::NAN)).is_err());
        assert!(fit(p().label_caps([]).principal_components(0).signal_to_noise_components(0)).is_err());
        let unlabelled = labelled(&rows).map(|r| LabelledRow { rul: None, ..r });
        let e = HealthIndices::fit(&p(), &schema(), 1, unlabelled).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InsufficientData);
        let h = fit(p()).unwrap();
        assert!(h.assess_into(&[0.0; 3], 1, &mut [0.0; 8]).is_err());
        assert!(h.assess_into(&[0.0; 2], 0, &mut [0.0; 8]).is_err());
        let mut r = h.to_record();
        r.n_regimes = usize::MAX;
        assert!(HealthIndices::from_record(r).is_err());
    }
}
