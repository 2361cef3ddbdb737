//! Ridge regression on random Fourier features: a smooth curve beside the trees' steps.

use super::row_regressor::{LabelledRows, PointModel, RowRegressor, RowRegressorParams, RulAlgorithm};
use crate::{
    error::{Error, Result},
    preprocess::{GramAccumulator, Standardizer, StandardizerRecord},
    quantity::Seed,
};
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use serde::{Deserialize, Serialize};
use std::f64::consts::{PI, SQRT_2};

/// Coefficients of a file beyond this would overflow with their sum.
const LARGEST_COEFFICIENT: f64 = 1e300;
/// Standardised features beyond this are held there.
const LARGEST_Z: f64 = 10.0;
/// Waves computed together.
const LANES: usize = 32;
/// Waves of a model at most.
const MAX_WAVES: usize = 4096;
/// Numbers behind the waves at most: 256 MiB.
const MAX_FREQUENCIES: usize = 1 << 25;
/// Pairs of rows whose median distance sets the bandwidth.
const N_PAIRS: usize = 1000;
/// Bandwidths of a file below this would turn differences of rounding into whole periods.
const LEAST_BANDWIDTH: f64 = 1e-6;
/// Rows whose features are made before they are added up.
const BLOCK_ROWS: usize = 64;

/// Remaining useful life by ridge regression on standardised features and random Fourier features of them (Rahimi & Recht
/// 2007, "Random features for large-scale kernel machines"; ridge as in [`RidgeRul`](super::RidgeRul)):
/// `a + b . z + c . phi(z)` with `phi_k(z) = sqrt(2) cos(w_k . z + u_k)`, `w_k` normal with standard deviation `1/s` and `u_k`
/// uniform in `0..2 pi`.
///
/// The mean of `phi_k(x) phi_k(y)` approaches the Gaussian kernel `exp(-|x - y|^2 / 2 s^2)` as the waves become many, with an
/// error of about `1/sqrt(n_waves)`: the model is a kernel ridge regression whose cost grows with the rows only linearly. The
/// bandwidth `s` is a multiple of the median distance between rows of the training table (of 1000 pairs drawn from the seed).
/// A line or curve errs elsewhere than trees do, so a [`StackedRul`](super::StackedRul) of both is better than each.
///
/// A missing feature counts as its training mean, a standardised one beyond +-10 as +-10; a row with more than three quarters
/// of its features missing, or an infinite one, is unusable. Intervals as in
/// [`BinnedIntervals`](super::conformal::BinnedIntervals). With `m = n_features + n_waves`, fitting costs
/// `O(n_rows m^2 + m^3)`, a prediction `O(n_features n_waves)` without allocation. A file holds the seed and the coefficients;
/// the waves are drawn again from it, the same on every platform.
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     features::{FeatureSchema, FeatureTable}, model::{Assessment, OnlineModel}, quantity::LifeUnit,
///     rul::{FourierRidge, RulLabels}, signal::Channel,
/// };
/// // Ten assets of 100 rows whose wear grows with the square of the age.
/// let schema = FeatureSchema::of_channels(&[Channel::new("wear", "µm")])?;
/// let wear = Array2::from_shape_fn((1000, 1), |(i, _)| ((i % 100) as f64).powi(2));
/// let labels = RulLabels::new((0..1000).map(|i| 99.0 - (i % 100) as f64).collect(), LifeUnit::Hours)?;
/// let table = FeatureTable::new(schema, wear, (0..1000).map(|i| i / 100).collect())?;
/// let params = FourierRidge::params().n_waves(50).lambda(0.1).bandwidths([0.5]);
/// let model = params.fit(&DatasetBase::new(table.clone(), labels))?;
/// let Assessment::Ready(estimate) = model.assess(&(), table.views().nth(60).unwrap())? else { panic!() };
/// assert!((estimate.rul - 39.0).abs() < 1.5); // a line alone misses by 10
/// # Ok::<(), prognos::Error>(())
/// ```
pub type FourierRidge = RowRegressor<FourierCurve>;

/// Parameters of [`FourierRidge`].
pub type FourierRidgeParams = RowRegressorParams<FourierRidgeSettings>;

/// How [`FourierRidge`] is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct FourierRidgeSettings {
    n_waves: usize,
    bandwidths: Vec<f64>,
    lambda: f64,
}

impl Default for FourierRidgeSettings {
    fn default() -> Self {
        Self {
            n_waves: 256,
            bandwidths: vec![1.0],
            lambda: 0.1,
        }
    }
}

/// The fitted half of [`FourierRidge`]: a line plus waves in standardised features.
#[derive(Clone, Debug)]
pub struct FourierCurve {
    scaling: Standardizer,
    waves: Waves,
    intercept: f64,
    /// Of the standardised features, then of the waves.
    coefficients: Vec<f64>,
}

/// [`FourierCurve`] as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FourierCurveRecord {
    scaling: StandardizerRecord,
    seed: Seed,
    bandwidths: Vec<f64>,
    intercept: f64,
    coefficients: Vec<f64>,
}

impl FourierRidge {
    /// 256 waves as wide as the median distance, penalty 0.1, 90% intervals from five folds by asset, no cap.
    pub fn params() -> FourierRidgeParams {
        FourierRidgeParams::default()
    }

    /// Coefficients of the standardised features in the order of the schema, then those of the waves.
    pub fn coefficients(&self) -> &[f64] {
        &self.point_model().coefficients
    }

    /// Bandwidths of the waves, in standardised units.
    pub fn bandwidths(&self) -> &[f64] {
        &self.point_model().waves.bandwidths
    }

    /// Standardised features of a row of the schema, as the line sees them, then the waves: allocates.
    pub fn basis(&self, row: &[f64]) -> Vec<f64> {
        let model = self.point_model();
        let mut all: Vec<f64> = (0..model.scaling.n_columns())
            .map(|i| model.z(i, row.get(i).copied().unwrap_or(f64::NAN)))
            .collect();
        let mut waves = vec![0.0; model.waves.n_waves];
        model.waves.fill(&all, &mut waves);
        all.extend(waves);
        all
    }
}

impl FourierRidgeParams {
    /// Random features: 1..=4096.
    #[must_use]
    pub fn n_waves(self, n: usize) -> Self {
        self.with(|s| s.n_waves = n)
    }

    /// Bandwidths as multiples of the median distance between rows, each for an equal share of the waves.
    #[must_use]
    pub fn bandwidths(self, multiples: impl IntoIterator<Item = f64>) -> Self {
        self.with(|s| s.bandwidths = multiples.into_iter().collect())
    }

    /// Penalty on squared coefficients, of the line and the waves alike.
    #[must_use]
    pub fn lambda(self, lambda: f64) -> Self {
        self.with(|s| s.lambda = lambda)
    }
}

/// Frequencies and phases of all waves, drawn from a seed.
#[derive(Clone, Debug)]
struct Waves {
    seed: Seed,
    bandwidths: Vec<f64>,
    n_waves: usize,
    n_features: usize,
    /// For each group of lanes and feature, the frequencies of the lanes; 0 beyond the last wave.
    frequencies: Vec<f64>,
    phases: Vec<f64>,
}

/// Normal numbers by Box & Muller (1958, doi 10.1214/aoms/1177706645), the same on every platform.
struct Normal {
    rng: Xoshiro256Plus,
    spare: Option<f64>,
}

impl Normal {
    fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        let angle = 2.0 * PI * self.uniform();
        self.spare = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }
}

impl Waves {
    fn new(seed: Seed, bandwidths: Vec<f64>, n_waves: usize, n_features: usize) -> Self {
        let groups = n_waves.div_ceil(LANES);
        let mut frequencies = vec![0.0; groups * n_features * LANES];
        let mut phases = vec![0.0; groups * LANES];
        let mut normal = Normal {
            rng: Xoshiro256Plus::seed_from_u64(seed.0),
            spare: None,
        };
        for k in 0..n_waves {
            let (group, lane) = (k / LANES, k % LANES);
            let bandwidth = bandwidths[k * bandwidths.len() / n_waves];
            for i in 0..n_features {
                frequencies[(group * n_features + i) * LANES + lane] = normal.next() / bandwidth;
            }
            phases[k] = 2.0 * PI * normal.uniform();
        }
        Self {
            seed,
            bandwidths,
            n_waves,
            n_features,
            frequencies,
            phases,
        }
    }

    /// The waves of group `g` at standardised features given one by one.
    fn group(&self, g: usize, z: impl Iterator<Item = f64>) -> [f64; LANES] {
        let mut lanes = [0.0; LANES];
        lanes.copy_from_slice(&self.phases[g * LANES..(g + 1) * LANES]);
        let own = &self.frequencies[g * self.n_features * LANES..(g + 1) * self.n_features * LANES];
        for (z, w) in z.zip(own.chunks_exact(LANES)) {
            lanes.iter_mut().zip(w).for_each(|(l, w)| *l += z * w);
        }
        lanes.map(|l| SQRT_2 * libm::cos(l))
    }

    fn fill(&self, z: &[f64], out: &mut [f64]) {
        for (g, out) in out.chunks_mut(LANES).enumerate() {
            let lanes = self.group(g, z.iter().copied());
            out.iter_mut().zip(lanes).for_each(|(o, l)| *o = l);
        }
    }
}

fn held(z: f64) -> f64 {
    if z.is_nan() {
        0.0
    } else {
        z.clamp(-LARGEST_Z, LARGEST_Z)
    }
}

/// Median distance between rows of a standardised, row-major table, over pairs drawn from `seed`; 1 where rows do not differ.
fn median_distance(z: &[f64], n_features: usize, seed: Seed) -> f64 {
    let n_rows = z.len() / n_features.max(1);
    let mut rng = Xoshiro256Plus::seed_from_u64(seed.0);
    // The high bits: the generator's lowest ones are weak.
    let mut draw = || ((u128::from(rng.next_u64()) * n_rows as u128) >> 64) as usize * n_features;
    let mut distances: Vec<f64> = (0..N_PAIRS)
        .map(|_| (draw(), draw()))
        .map(|(a, b)| {
            let pairs = z[a..a + n_features].iter().zip(&z[b..b + n_features]);
            pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        })
        .filter(|d| *d > 0.0)
        .collect();
    distances.sort_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied().unwrap_or(1.0)
}

impl RulAlgorithm for FourierRidgeSettings {
    type Point = FourierCurve;

    fn check(&self) -> Result<()> {
        if !(1..=MAX_WAVES).contains(&self.n_waves) {
            return Err(Error::parameter("n_waves", format!("1..={MAX_WAVES}"), self.n_waves));
        }
        if self.bandwidths.is_empty() || self.bandwidths.len() > self.n_waves {
            let wanted = format!("1..={} of them", self.n_waves);
            return Err(Error::parameter("bandwidths", wanted, self.bandwidths.len()));
        }
        if let Some(b) = self.bandwidths.iter().find(|b| !(**b >= 1e-3 && **b <= 1e3)) {
            return Err(Error::parameter("bandwidths", "in 1e-3..=1e3", b));
        }
        if !(self.lambda.is_finite() && self.lambda >= 0.0) {
            return Err(Error::parameter("lambda", "finite and not negative", self.lambda));
        }
        Ok(())
    }

    fn fit(&self, rows: LabelledRows<'_>, seed: Seed) -> Result<FourierCurve> {
        let n = rows.table.schema().len();
        if self.n_waves.saturating_mul(n) > MAX_FREQUENCIES {
            let wanted = format!("at most {} for {n} features", MAX_FREQUENCIES / n);
            return Err(Error::parameter("n_waves", wanted, self.n_waves));
        }
        let scaling = Standardizer::fit(n, rows.table.rows())?;
        let mut z = vec![0.0; n * rows.table.n_rows()];
        for (row, z) in rows.table.rows().zip(z.chunks_exact_mut(n)) {
            scaling.transform_into(row, z);
            z.iter_mut().for_each(|z| *z = held(*z));
        }
        let median = median_distance(&z, n, seed.part(0)).max(LEAST_BANDWIDTH * 1e3);
        let bandwidths = self.bandwidths.iter().map(|b| b * median).collect();
        let waves = Waves::new(seed.part(1), bandwidths, self.n_waves, n);
        let width = n + self.n_waves;
        let mut gram = GramAccumulator::new(width, 1);
        let mut block = vec![0.0; BLOCK_ROWS * width];
        for (z, lives) in z.chunks(BLOCK_ROWS * n).zip(rows.lives.chunks(BLOCK_ROWS)) {
            for (z, row) in z.chunks_exact(n).zip(block.chunks_exact_mut(width)) {
                row[..n].copy_from_slice(z);
                waves.fill(z, &mut row[n..]);
            }
            gram.add_rows(&block[..lives.len() * width], lives);
        }
        let solution = gram.solve(self.lambda)?;
        Ok(FourierCurve {
            scaling,
            waves,
            intercept: solution.intercepts[0],
            coefficients: solution.coefficients.row(0).to_vec(),
        })
    }
}

impl FourierCurve {
    fn z(&self, i: usize, x: f64) -> f64 {
        held(self.scaling.standard(i, x))
    }
}

impl PointModel for FourierCurve {
    const KIND: &'static str = "rul.fourier_ridge";
    type Record = FourierCurveRecord;

    fn predict(&self, row: &[f64]) -> f64 {
        let n = self.waves.n_features;
        let z = || row.iter().enumerate().map(|(i, x)| self.z(i, *x));
        let line: f64 = self.coefficients.iter().zip(z()).map(|(b, z)| b * z).sum();
        let mut waves = 0.0;
        for (g, coefficients) in self.coefficients[n..].chunks(LANES).enumerate() {
            let lanes = self.waves.group(g, z());
            waves += coefficients.iter().zip(lanes).map(|(c, l)| c * l).sum::<f64>();
        }
        self.intercept + line + waves
    }

    fn to_record(&self) -> FourierCurveRecord {
        FourierCurveRecord {
            scaling: self.scaling.to_record(),
            seed: self.waves.seed,
            bandwidths: self.waves.bandwidths.clone(),
            intercept: self.intercept,
            coefficients: self.coefficients.clone(),
        }
    }

    fn from_record(r: FourierCurveRecord, n_features: usize) -> Result<Self> {
        let broken = |what: &str| Err(Error::persistence(format!("Fourier ridge: expected {what}")));
        let scaling = Standardizer::from_record(r.scaling)?;
        let n_waves = r.coefficients.len().saturating_sub(n_features);
        if scaling.n_columns() != n_features || !(1..=MAX_WAVES).contains(&n_waves) {
            return broken("a coefficient for each feature and 1 to 4096 waves");
        }
        if n_waves.saturating_mul(n_features) > MAX_FREQUENCIES {
            return broken("at most 2^25 frequencies");
        }
        if r.bandwidths.is_empty() || r.bandwidths.len() > n_waves {
            return broken("a bandwidth, and no more than waves");
        }
        if !r.bandwidths.iter().all(|b| *b >= LEAST_BANDWIDTH && *b <= 1e9) {
            return broken("bandwidths in 1e-6..=1e9");
        }
        if !r
            .coefficients
            .iter()
            .chain([&r.intercept])
            .all(|c| c.abs() <= LARGEST_COEFFICIENT)
        {
            return broken("coefficients none of which is beyond 1e300");
        }
        Ok(Self {
            scaling,
            waves: Waves::new(r.seed, r.bandwidths, n_waves, n_features),
            intercept: r.intercept,
            coefficients: r.coefficients,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_approach_the_gaussian_kernel() {
        let (n_waves, n, s) = (4000, 3, 1.7);
        let waves = Waves::new(Seed(5), vec![s], n_waves, n);
        let points = [[0.0, 0.0, 0.0], [1.0, -0.5, 2.0], [0.3, 0.1, -0.2], [9.0, 9.0, 9.0]];
        let phi = points.map(|p| {
            let mut out = vec![0.0; n_waves];
            waves.fill(&p, &mut out);
            out
        });
        for (x, a) in points.iter().zip(&phi) {
            for (y, b) in points.iter().zip(&phi) {
                let squared: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
                let kernel = (-squared / (2.0 * s * s)).exp();
                let got: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / n_waves as f64;
                // A term has a variance of at most 1.5 (E 4 cos^4 = 3/2): five standard errors.
                assert!(
                    (got - kernel).abs() < 5.0 * (1.5 / n_waves as f64).sqrt(),
                    "{kernel}, {got}"
                );
            }
        }
    }

    #[test]
    fn predictions_are_numpys() {
        use crate::{features::FeatureSchema, features::FeatureTable, signal::Channel};
        let all: serde_json::Value = serde_json::from_str(include_str!("../../tests/golden/stack.json")).unwrap();
        let golden = &all["fourier_ridge"];
        let numbers = |v: &serde_json::Value| -> Vec<f64> {
            let list = v.as_array().unwrap();
            list.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
        };
        let rows = |v: &serde_json::Value| v.as_array().unwrap().iter().map(numbers).collect::<Vec<_>>();
        let (x, y) = (rows(&golden["x"]), numbers(&golden["y"]));
        let channels = ["a", "b", "c"].map(|n| Channel::new(n, ""));
        let values = ndarray::Array2::from_shape_vec((x.len(), 3), x.concat()).unwrap();
        let asset = (0..x.len() as u32).collect();
        let table = FeatureTable::new(FeatureSchema::of_channels(&channels).unwrap(), values, asset).unwrap();
        let settings = FourierRidgeSettings {
            n_waves: golden["n_waves"].as_u64().unwrap() as usize,
            bandwidths: numbers(&golden["bandwidths"]),
            lambda: golden["lambda"].as_f64().unwrap(),
        };
        let seed = Seed(golden["seed"].as_u64().unwrap());
        let model = settings.fit(LabelledRows::new(&table, &y, None), seed).unwrap();
        let median = golden["median"].as_f64().unwrap();
        assert!((model.waves.bandwidths[0] - 0.5 * median).abs() < 1e-12 * median);
        // Normal equations with a penalty of 3 on sums of at most 100 a column: a condition below 1e4, and the diagonal
        // is raised by 1e-12 of its largest.
        for (row, want) in rows(&golden["fresh"]).iter().zip(numbers(&golden["predictions"])) {
            let got = model.predict(row);
            assert!(
                (got - want).abs() < 1e-8 * want.abs().max(1.0),
                "{want} expected, {got}"
            );
        }
    }

    #[test]
    fn normal_numbers_have_their_moments() {
        let mut normal = Normal {
            rng: Xoshiro256Plus::seed_from_u64(3),
            spare: None,
        };
        let x: Vec<f64> = (0..100_000).map(|_| normal.next()).collect();
        let moment = |p: i32| x.iter().map(|x| x.powi(p)).sum::<f64>() / x.len() as f64;
        // Standard errors 1, sqrt 2, sqrt 15 and sqrt 96 over sqrt 100000; five of each.
        let se = |v: f64| 5.0 * (v / x.len() as f64).sqrt();
        assert!(moment(1).abs() < se(1.0) && (moment(2) - 1.0).abs() < se(2.0));
        assert!(moment(3).abs() < se(15.0) && (moment(4) - 3.0).abs() < se(96.0));
    }

    #[test]
    fn median_distance_of_two_places_and_of_one() {
        let z: Vec<f64> = (0..200).map(|i| f64::from(i % 2) * 3.0).collect();
        assert_eq!(median_distance(&z, 1, Seed(1)), 3.0);
        assert_eq!(median_distance(&[2.0; 40], 4, Seed(1)), 1.0);
    }

    #[test]
    fn bad_settings_are_named() {
        let bad = [
            FourierRidge::params().n_waves(0),
            FourierRidge::params().n_waves(5000),
            FourierRidge::params().lambda(f64::NAN),
            FourierRidge::params().lambda(-1.0),
            FourierRidge::params().bandwidths([]),
            FourierRidge::params().bandwidths([0.0]),
            FourierRidge::params().bandwidths([f64::NAN]),
            FourierRidge::params().n_waves(1).bandwidths([1.0, 2.0]),
        ];
        for params in bad {
            let e = linfa::ParamGuard::check_ref(&params).unwrap_err().to_string();
            assert!(["n_waves", "lambda", "bandwidths"].iter().any(|n| e.contains(n)), "{e}");
        }
    }

    #[test]
    fn hostile_records_are_refused() {
        let scaling = Standardizer::fit(2, [[0.0, 1.0], [2.0, 5.0]].iter().map(|r| &r[..])).unwrap();
        let good = FourierCurveRecord {
            scaling: scaling.to_record(),
            seed: Seed(1),
            bandwidths: vec![2.0],
            intercept: 1.0,
            coefficients: vec![0.5; 2 + 40],
        };
        let model = FourierCurve::from_record(good.clone(), 2).unwrap();
        assert!(model.predict(&[1e308, f64::NAN]).is_finite());
        type Change = fn(&mut FourierCurveRecord);
        let changes: [Change; 8] = [
            |r| r.bandwidths = vec![],
            |r| r.bandwidths = vec![f64::NAN],
            |r| r.bandwidths = vec![0.0],
            |r| r.bandwidths = vec![1.0; 41],
            |r| r.intercept = f64::INFINITY,
            |r| r.coefficients[41] = f64::NAN,
            |r| r.coefficients.truncate(2),
            |r| r.coefficients.resize(5000, 0.0),
        ];
        for change in changes {
            let mut bad = good.clone();
            change(&mut bad);
            assert!(FourierCurve::from_record(bad, 2).is_err());
        }
        assert!(FourierCurve::from_record(good, 3).is_err());
    }
}
