//! Accelerated failure time: lives whose logarithm is a line of covariates plus noise of one shape.

use super::{
    LifeSpells,
    columns::Columns,
    lanes,
    newton::{Evaluation, Likelihood, maximise},
    remaining::remaining,
};
use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
};
use serde::{Deserialize, Serialize};
use std::{fmt, marker::PhantomData};

/// Rows worked on at once.
pub(super) const CHUNK: usize = 256;
/// From so many rows on, the search starts where one on every sixteenth of them ended.
const LARGE: usize = 20_000;
/// Covariates further out than this many standard deviations count as that far.
const LARGEST_Z: f64 = 10.0;

/// A number estimated from data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its standard error, from the curvature of the likelihood; NaN of what the data cannot tell.
    pub standard_error: f64,
}

/// A function of `z` with its first two derivatives.
#[derive(Clone, Debug)]
pub struct Curve {
    pub(super) value: [f64; CHUNK],
    pub(super) first: [f64; CHUNK],
    pub(super) second: [f64; CHUNK],
}

/// The distribution of `z = (ln life - mu) / sigma`: what makes an [`AcceleratedLife`] a Weibull or a log-normal one. It is
/// implemented here only.
pub trait LogLife: Copy + fmt::Debug + PartialEq + Send + Sync + 'static + sealed::Shape {}

pub(super) mod sealed {
    use super::Curve;

    /// What is asked of a distribution.
    pub trait Shape {
        /// What its models are called.
        const NAME: &'static str;
        /// The name of its regressor in files.
        const KIND: &'static str;
        /// Whether the shape is told as `1 / sigma`.
        const INVERSE: bool;

        /// The logarithm of the density.
        fn log_density(z: &[f64], out: &mut Curve);
        /// The logarithm of the survival.
        fn log_survival(z: &[f64], out: &mut Curve);
        /// Minus the logarithm of the survival.
        fn hazard(z: f64) -> f64;
        /// The `z` of a hazard above 0.
        fn at_hazard(hazard: f64) -> f64;
        /// How much further than `z` the hazard is `more` higher.
        fn advance(z: f64, more: f64) -> f64;
    }
}

/// An accelerated failure time model (Kalbfleisch and Prentice 2002, The Statistical Analysis of Failure Time Data, chapter
/// 3): `ln T = mu(x) + sigma z` with `mu(x) = b0 + b . x`; a covariate stretches life by `exp(b)` a unit. Its two forms are
/// [`WeibullAft`](super::WeibullAft) and [`LogNormalAft`](super::LogNormalAft).
///
/// Fitted by maximum likelihood, a row `(start, stop]` adding `ln h(stop)` if it failed, less the hazard it lived through from
/// `start` to `stop`; covariates that change make several rows of a life. Newton's method on covariates in standard units,
/// some 8 passes over the rows of `O(p^2)` each.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceleratedLife<D> {
    width: usize,
    columns: Columns,
    /// Of the kept covariates, in standard units.
    slopes: Vec<f64>,
    /// `mu` at the mean of the covariates.
    centre: f64,
    log_sigma: f64,
    told: Vec<Estimate>,
    intercept: Estimate,
    log_shape: Estimate,
    log_likelihood: f64,
    n_iterations: usize,
    form: PhantomData<D>,
}

/// Parameters of an [`AcceleratedLife`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AcceleratedLifeParams<D> {
    penalizer: f64,
    form: PhantomData<D>,
}

/// The part of an [`AcceleratedLife`] that tells remaining lives, as it is written to files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcceleratedLifeRecord {
    columns: Columns,
    slopes: Vec<f64>,
    centre: f64,
    log_sigma: f64,
}

impl<D: LogLife> AcceleratedLifeParams<D> {
    /// Takes `penalizer / 2` times the squares of the slopes, a standard deviation (divisor `n - 1`) the unit, and of the log
    /// shape off the mean log likelihood of a row, as lifelines does; the intercept is free. 0 unless set.
    #[must_use]
    pub fn penalizer(mut self, penalizer: f64) -> Self {
        self.penalizer = penalizer;
        self
    }

    /// Fits on `spells`.
    ///
    /// # Errors
    /// `InvalidParameter` for a penalizer that is not finite and not negative; `InsufficientData` where all rows are censored;
    /// `InvalidInput`, without a penalizer, for a covariate that is a linear combination of others, naming it;
    /// `NotConverged` where the likelihood has no maximum, naming the covariates that separate the data perfectly.
    pub fn fit(&self, spells: &LifeSpells) -> Result<AcceleratedLife<D>> {
        if !(self.penalizer.is_finite() && self.penalizer >= 0.0) {
            return Err(Error::parameter("penalizer", "finite and not negative", self.penalizer));
        }
        spells.expect_failures(D::NAME)?;
        let mut problem = Problem::<D>::new(spells, self.penalizer);
        if self.penalizer == 0.0 {
            problem.expect_independent(spells)?;
        }
        let mut start = problem.start(spells);
        if spells.n_rows() >= LARGE
            && let Ok(rough) = maximise(&mut problem.thinned(16), &start, Some(1e-2))
        {
            start = rough.theta;
        }
        let maximum = maximise(&mut problem, &start, None).map_err(|e| e.context(D::NAME))?;
        let p = problem.columns.n();
        let (slopes, centre, log_sigma) = (maximum.theta[..p].to_vec(), maximum.theta[p], maximum.theta[p + 1]);
        let covariance = |i: usize, j: usize| maximum.covariance[i * (p + 2) + j];
        let Columns { kept, mean, sd } = &problem.columns;
        let constant = Estimate {
            value: 0.0,
            standard_error: f64::NAN,
        };
        let mut told = vec![constant; spells.names().len()];
        for (j, &column) in kept.iter().enumerate() {
            told[column as usize] = Estimate {
                value: slopes[j] / sd[j],
                standard_error: covariance(j, j).sqrt() / sd[j],
            };
        }
        // b0 = centre - sum of slope mean / sd, a linear form of what was estimated.
        let form: Vec<f64> = mean.iter().zip(sd).map(|(m, s)| -m / s).chain([1.0]).collect();
        let value = form.iter().zip(&maximum.theta).map(|(f, t)| f * t).sum();
        let variance: f64 = (0..=p)
            .flat_map(|i| (0..=p).map(move |j| (i, j)))
            .map(|(i, j)| form[i] * form[j] * covariance(i, j))
            .sum();
        let penalty = problem.penalty(&maximum.theta);
        Ok(AcceleratedLife {
            width: spells.names().len(),
            columns: problem.columns,
            slopes,
            centre,
            log_sigma,
            told,
            intercept: Estimate {
                value,
                standard_error: variance.sqrt(),
            },
            log_shape: Estimate {
                value: if D::INVERSE { -log_sigma } else { log_sigma },
                standard_error: covariance(p + 1, p + 1).sqrt(),
            },
            log_likelihood: maximum.value + penalty,
            n_iterations: maximum.n_iterations,
            form: PhantomData,
        })
    }
}

impl<D: LogLife> AcceleratedLife<D> {
    /// No penalty.
    pub fn params() -> AcceleratedLifeParams<D> {
        AcceleratedLifeParams {
            penalizer: 0.0,
            form: PhantomData,
        }
    }

    /// Fits without a penalty.
    ///
    /// # Errors
    /// As [`AcceleratedLifeParams::fit`].
    pub fn fit(spells: &LifeSpells) -> Result<Self> {
        Self::params().fit(spells)
    }

    /// What a unit of each covariate adds to the logarithm of life, in the order of the spells' names; 0 with a standard error
    /// of NaN for a covariate that did not vary.
    pub fn coefficients(&self) -> &[Estimate] {
        &self.told
    }

    /// The logarithm of the scale of lives where all covariates are 0.
    pub fn intercept(&self) -> Estimate {
        self.intercept
    }

    /// The logarithm of the shape: of `rho = 1 / sigma` of a Weibull life, of `sigma` of a log-normal one.
    pub fn log_shape(&self) -> Estimate {
        self.log_shape
    }

    /// The logarithm of the likelihood at the estimates, without the penalty; NaN of a model read from a file.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// Passes of the search, but for its start.
    pub fn n_iterations(&self) -> usize {
        self.n_iterations
    }

    /// The logarithm of the scale of a life with the covariates `row`; one beyond 10 standard deviations of the training rows
    /// counts as that far out.
    fn log_scale(&self, row: &[f64]) -> f64 {
        let z = self.columns.standard(row);
        let terms = z.zip(&self.slopes).map(|(z, b)| z.clamp(-LARGEST_Z, LARGEST_Z) * b);
        self.centre + terms.sum::<f64>()
    }

    fn expect_row(&self, row: &[f64]) -> Result<()> {
        if row.len() != self.width {
            return Err(Error::input("row", format!("{} covariates", self.width), row.len()));
        }
        match row.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(Error::input(&format!("covariate {i}"), "finite", row[i])),
            None => Ok(()),
        }
    }

    /// The probability that a machine that keeps the covariates `row` lives longer than `age`.
    ///
    /// # Errors
    /// `InvalidInput` for a row of another length or a covariate that is not finite; `InvalidParameter` unless `age` is
    /// finite and not negative.
    pub fn survival(&self, row: &[f64], age: f64) -> Result<f64> {
        self.expect_row(row)?;
        expect_age(age)?;
        if age == 0.0 {
            return Ok(1.0);
        }
        let z = (libm::log(age) - self.log_scale(row)) / libm::exp(self.log_sigma);
        Ok(libm::exp(-D::hazard(z)))
    }

    /// What is left of the life of a machine of `age` that keeps the covariates `row`: `S(age + t) / S(age)`, its quantiles in
    /// closed form. A covariate beyond 10 standard deviations of the training rows counts as that far out. Where the scale of
    /// lives leaves the range of numbers, [`NoPrognosis::BeyondKnownLives`].
    ///
    /// # Errors
    /// As [`survival`](AcceleratedLife::survival).
    pub fn remaining(
        &self,
        row: &[f64],
        age: f64,
        unit: LifeUnit,
    ) -> Result<std::result::Result<RulDistribution, NoPrognosis>> {
        self.expect_row(row)?;
        expect_age(age)?;
        let (mu, sigma) = (self.log_scale(row), libm::exp(self.log_sigma));
        let z = (libm::log(age) - mu) / sigma;
        remaining(unit, |p| {
            let hazard = -libm::log1p(-p);
            if age > 0.0 {
                age * libm::expm1(sigma * D::advance(z, hazard))
            } else {
                libm::exp(mu + sigma * D::at_hazard(hazard))
            }
        })
    }

    /// As it is written to files.
    pub fn to_record(&self) -> AcceleratedLifeRecord {
        AcceleratedLifeRecord {
            columns: self.columns.clone(),
            slopes: self.slopes.clone(),
            centre: self.centre,
            log_sigma: self.log_sigma,
        }
    }

    /// Reads back a record for rows of `width` covariates. Standard errors and likelihood are not in it and become NaN.
    ///
    /// # Errors
    /// `Persistence` for numbers that cannot be those of a model.
    pub fn from_record(r: AcceleratedLifeRecord, width: usize) -> Result<Self> {
        let sound = r.columns.is_sound(width)
            && r.slopes.len() == r.columns.n()
            && r.slopes.iter().all(|b| b.abs() <= 1e6)
            && r.centre.abs() <= 1e3
            && r.log_sigma.abs() <= 50.0;
        if !sound {
            return Err(Error::persistence(format!(
                "{}: expected a slope a covariate, scales above 0 and finite numbers",
                D::NAME
            )));
        }
        let unknown = |value: f64| Estimate {
            value,
            standard_error: f64::NAN,
        };
        let Columns { kept, mean, sd } = &r.columns;
        let mut told = vec![unknown(0.0); width];
        let mut intercept = r.centre;
        for (j, &column) in kept.iter().enumerate() {
            told[column as usize] = unknown(r.slopes[j] / sd[j]);
            intercept -= r.slopes[j] * mean[j] / sd[j];
        }
        Ok(Self {
            width,
            told,
            intercept: unknown(intercept),
            log_shape: unknown(if D::INVERSE { -r.log_sigma } else { r.log_sigma }),
            columns: r.columns,
            slopes: r.slopes,
            centre: r.centre,
            log_sigma: r.log_sigma,
            log_likelihood: f64::NAN,
            n_iterations: 0,
            form: PhantomData,
        })
    }

    /// Covariates a row.
    pub fn width(&self) -> usize {
        self.width
    }
}

fn expect_age(age: f64) -> Result<()> {
    if age.is_finite() && age >= 0.0 {
        Ok(())
    } else {
        Err(Error::parameter("age", "finite and not negative", age))
    }
}

/// Summands of the likelihood that are alike: log densities, or log survivals (negative weights give back what was survived
/// before the entry).
#[derive(Clone, Debug, Default)]
struct Terms {
    log_age: Vec<f64>,
    weight: Vec<f64>,
    /// In standard units, one covariate after the other.
    z: Vec<f64>,
}

impl Terms {
    fn gather(spells: &LifeSpells, columns: &Columns, of: &[(u32, f64, f64)]) -> Self {
        let (n, p) = (of.len(), columns.n());
        let mut z = vec![0.0; n * p];
        for (k, (i, ..)) in of.iter().enumerate() {
            for (j, v) in columns.standard(spells.row(*i as usize)).enumerate() {
                z[j * n + k] = v;
            }
        }
        Self {
            log_age: of.iter().map(|t| libm::log(t.1)).collect(),
            weight: of.iter().map(|t| t.2).collect(),
            z,
        }
    }

    /// Each `step`-th.
    fn thinned(&self, step: usize) -> Self {
        let n = self.log_age.len().max(1);
        Self {
            log_age: self.log_age.iter().copied().step_by(step).collect(),
            weight: self.weight.iter().copied().step_by(step).collect(),
            z: self.z.chunks(n).flat_map(|c| c.iter().copied().step_by(step)).collect(),
        }
    }
}

struct Problem<D> {
    columns: Columns,
    names: Vec<String>,
    densities: Terms,
    survivals: Terms,
    /// `penalizer` times the sum of weights.
    ridge: f64,
    curve: Box<Curve>,
    work: Box<[[f64; CHUNK]; 3]>,
    form: PhantomData<D>,
}

impl<D: LogLife> Problem<D> {
    fn new(spells: &LifeSpells, penalizer: f64) -> Self {
        let columns = Columns::fit(spells, 0..spells.n_rows());
        let rows = || (0..spells.n_rows()).map(|i| (i as u32, spells.stop()[i], spells.weight(i), spells.failed()[i]));
        let failed: Vec<_> = rows().filter(|r| r.3).map(|(i, t, w, _)| (i, t, w)).collect();
        let entered = spells.start().iter().enumerate().filter(|(_, s)| **s > 0.0);
        let survived: Vec<_> = rows()
            .filter(|r| !r.3)
            .map(|(i, t, w, _)| (i, t, w))
            .chain(entered.map(|(i, s)| (i as u32, *s, -spells.weight(i))))
            .collect();
        Self {
            densities: Terms::gather(spells, &columns, &failed),
            survivals: Terms::gather(spells, &columns, &survived),
            names: columns
                .kept
                .iter()
                .map(|j| spells.names()[*j as usize].clone())
                .collect(),
            columns,
            ridge: penalizer * spells.total_weight(),
            curve: Box::new(Curve {
                value: [0.0; CHUNK],
                first: [0.0; CHUNK],
                second: [0.0; CHUNK],
            }),
            work: Box::new([[0.0; CHUNK]; 3]),
            form: PhantomData,
        }
    }

    fn thinned(&self, step: usize) -> Self {
        Self {
            columns: self.columns.clone(),
            names: self.names.clone(),
            densities: self.densities.thinned(step),
            survivals: self.survivals.thinned(step),
            ridge: self.ridge / step as f64,
            curve: self.curve.clone(),
            work: self.work.clone(),
            form: PhantomData,
        }
    }

    /// Covariates of the terms that hold every row: densities, then survivals.
    fn expect_independent(&self, spells: &LifeSpells) -> Result<()> {
        let p = self.columns.n();
        let (a, b) = (&self.densities, &self.survivals);
        let mut z = Vec::with_capacity(a.z.len() + b.z.len());
        for j in 0..p {
            for terms in [a, b] {
                let n = terms.log_age.len();
                z.extend_from_slice(&terms.z[j * n..(j + 1) * n]);
            }
        }
        self.columns.expect_independent(spells.names(), &z)
    }

    /// The exponential life without covariates, which has a closed form: the time watched over the failures in it.
    fn start(&self, spells: &LifeSpells) -> Vec<f64> {
        let watched: f64 = (0..spells.n_rows())
            .map(|i| spells.weight(i) * (spells.stop()[i] - spells.start()[i]))
            .sum();
        let failed = lanes::sum(&self.densities.weight);
        let mut theta = vec![0.0; self.columns.n() + 2];
        theta[self.columns.n()] = libm::log(watched / failed);
        theta
    }

    fn penalty(&self, theta: &[f64]) -> f64 {
        let p = self.columns.n();
        let squares: f64 = theta[..p].iter().chain(&theta[p + 1..]).map(|t| t * t).sum();
        0.5 * self.ridge * squares
    }
}

/// Adds what `terms` contribute at `theta = (slopes, centre, log sigma)`.
///
/// With `f(z)` a term and `z = (ln t - mu) / sigma`: `d/dmu = -f' / sigma`, `d/ds = -z f'` for `s = ln sigma`, and the second
/// derivatives `f'' / sigma²`, `(z f'' + f') / sigma` and `z² f'' + z f'`. A density has `-ln t - s` besides.
fn accumulate(
    terms: &Terms,
    curve_of: fn(&[f64], &mut Curve),
    is_density: bool,
    theta: &[f64],
    (curve, [z, w_first, w_cross]): (&mut Curve, &mut [[f64; CHUNK]; 3]),
    out: &mut Evaluation,
) {
    let n = terms.log_age.len();
    let m = theta.len();
    let p = m - 2;
    let (centre, log_sigma) = (theta[p], theta[p + 1]);
    let sigma = libm::exp(log_sigma);
    let mut begin = 0;
    while begin < n {
        let end = (begin + CHUNK).min(n);
        let len = end - begin;
        let column = |j: usize| &terms.z[j * n + begin..j * n + end];
        let (log_age, weight) = (&terms.log_age[begin..end], &terms.weight[begin..end]);
        let z = &mut z[..len];
        z.iter_mut().zip(log_age).for_each(|(z, y)| *z = y - centre);
        for (j, slope) in theta[..p].iter().enumerate() {
            lanes::add_scaled(z, -slope, column(j));
        }
        z.iter_mut().for_each(|z| *z /= sigma);
        curve_of(z, curve);
        let (value, first, second) = (&curve.value[..len], &curve.first[..len], &mut curve.second[..len]);
        out.value += lanes::dot(weight, value);
        if is_density {
            let total = lanes::sum(weight);
            out.value -= lanes::dot(weight, log_age) + total * log_sigma;
            out.gradient[p + 1] -= total;
        }
        let (w_first, w_cross) = (&mut w_first[..len], &mut w_cross[..len]);
        lanes::multiply(w_first, weight, first);
        second.iter_mut().zip(weight).for_each(|(s, w)| *s *= w);
        for (((c, f), s), z) in w_cross.iter_mut().zip(&*w_first).zip(&*second).zip(&*z) {
            *c = s * z + f;
        }
        let information = &mut out.information;
        // By centre and log sigma.
        out.gradient[p] -= lanes::sum(w_first) / sigma;
        out.gradient[p + 1] -= lanes::dot(w_first, z);
        information[p * m + p] -= lanes::sum(second) / (sigma * sigma);
        information[(p + 1) * m + p] -= lanes::sum(w_cross) / sigma;
        information[(p + 1) * m + p + 1] -= lanes::dot(w_cross, z);
        // By each slope; z is done with.
        let product = z;
        for j in 0..p {
            out.gradient[j] -= lanes::dot(w_first, column(j)) / sigma;
            information[(p + 1) * m + j] -= lanes::dot(w_cross, column(j)) / sigma;
            lanes::multiply(product, second, column(j));
            information[p * m + j] -= lanes::sum(product) / (sigma * sigma);
            for k in 0..=j {
                information[j * m + k] -= lanes::dot(product, column(k)) / (sigma * sigma);
            }
        }
        begin = end;
    }
}

impl<D: LogLife> Likelihood for Problem<D> {
    fn evaluate(&mut self, theta: &[f64], out: &mut Evaluation) {
        out.clear();
        let m = theta.len();
        let p = m - 2;
        // Beyond, sigma is no number to divide by.
        if theta[p + 1].abs() > 50.0 {
            out.value = f64::NAN;
            return;
        }
        accumulate(
            &self.densities,
            D::log_density,
            true,
            theta,
            (&mut self.curve, &mut self.work),
            out,
        );
        accumulate(
            &self.survivals,
            D::log_survival,
            false,
            theta,
            (&mut self.curve, &mut self.work),
            out,
        );
        out.value -= self.penalty(theta);
        for j in (0..m).filter(|j| *j != p) {
            out.gradient[j] -= self.ridge * theta[j];
            out.information[j * m + j] += self.ridge;
        }
    }

    fn name(&self, parameter: usize) -> String {
        match self.names.get(parameter) {
            Some(name) => format!("covariate `{name}`"),
            None if parameter == self.names.len() => "the intercept".into(),
            None => "the shape".into(),
        }
    }
}
