//! Newton's method for concave or nearly concave likelihoods of a few parameters.

use crate::error::{Error, Result};

/// Iterations before giving up; a likelihood that grows for ever climbs one unit an iteration and ends long before.
const MAX_ITERATIONS: usize = 80;
/// What the last full step may still gain in log likelihood, about twice.
const DECREMENT: f64 = 1e-12;
/// Below this, a step that gains nothing is one of rounding.
const ROUNDING: f64 = 1e-6;
/// A parameter about which the data know this part of what they knew at first is running away.
const RUNAWAY: f64 = 1e-6;

/// A log likelihood at one point.
#[derive(Clone, Debug)]
pub(super) struct Evaluation {
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    /// Minus the second derivatives, row-major; only the lower triangle is read.
    pub(super) information: Vec<f64>,
}

impl Evaluation {
    pub(super) fn new(n: usize) -> Self {
        Self {
            value: 0.0,
            gradient: vec![0.0; n],
            information: vec![0.0; n * n],
        }
    }

    pub(super) fn clear(&mut self) {
        self.value = 0.0;
        self.gradient.fill(0.0);
        self.information.fill(0.0);
    }

    fn is_finite(&self) -> bool {
        self.value.is_finite() && self.gradient.iter().chain(&self.information).all(|v| v.is_finite())
    }
}

/// What is maximised.
pub(super) trait Likelihood {
    /// Value, slope and curvature at `theta`; anything not finite marks a point that cannot be.
    fn evaluate(&mut self, theta: &[f64], out: &mut Evaluation);
    /// What a parameter is called in errors.
    fn name(&self, parameter: usize) -> String;
}

/// Where the likelihood is largest.
#[derive(Clone, Debug)]
pub(super) struct Maximum {
    pub(super) theta: Vec<f64>,
    pub(super) value: f64,
    pub(super) value_at_start: f64,
    /// Inverse of the information, row-major.
    pub(super) covariance: Vec<f64>,
    pub(super) n_iterations: usize,
}

/// The maximum, from `start`: Newton steps, halved until they gain, damped where the curvature is not that of a maximum.
/// `good_enough` is the decrement to stop at where only a start for another search is wanted.
///
/// # Errors
/// `NotConverged`, naming the parameter to blame.
pub(super) fn maximise(likelihood: &mut impl Likelihood, start: &[f64], good_enough: Option<f64>) -> Result<Maximum> {
    let n = start.len();
    let mut theta = start.to_vec();
    let mut here = Evaluation::new(n);
    likelihood.evaluate(&theta, &mut here);
    if !here.is_finite() {
        return Err(Error::not_converged(
            "likelihood: expected a finite value at the start of the search, got NaN or infinity",
        ));
    }
    let value_at_start = here.value;
    let mut known_at_first: Option<Vec<f64>> = None;
    let (mut there, mut trial, mut step) = (Evaluation::new(n), vec![0.0; n], vec![0.0; n]);
    for iteration in 1..=MAX_ITERATIONS {
        let factor = damped(&here.information, n)
            .ok_or_else(|| Error::not_converged("likelihood: its curvature is not finite"))?;
        if known_at_first.is_none() && factor.damping == 0.0 {
            known_at_first = Some(factor.known());
        }
        step.copy_from_slice(&here.gradient);
        factor.solve(&mut step);
        let decrement: f64 = step.iter().zip(&here.gradient).map(|(s, g)| s * g).sum();
        let small = decrement <= good_enough.unwrap_or(DECREMENT) && factor.damping == 0.0;
        let mut share = 1.0;
        let mut gained = false;
        while !small && share > 1e-10 {
            for ((t, x), s) in trial.iter_mut().zip(&theta).zip(&step) {
                *t = x + share * s;
            }
            likelihood.evaluate(&trial, &mut there);
            if there.is_finite() && there.value >= here.value + 1e-4 * share * decrement {
                gained = true;
                break;
            }
            share *= 0.5;
        }
        if gained {
            std::mem::swap(&mut theta, &mut trial);
            std::mem::swap(&mut here, &mut there);
            continue;
        }
        if !(small || (decrement <= ROUNDING && factor.damping == 0.0)) {
            return Err(not_converged(likelihood, &step, "no step improves the likelihood"));
        }
        if let Some(known) = &known_at_first
            && good_enough.is_none()
        {
            expect_bounded(likelihood, known, &factor.known())?;
        }
        // What is left to gain needs no further look at the data.
        theta.iter_mut().zip(&step).for_each(|(t, s)| *t += s);
        return Ok(Maximum {
            theta,
            value: here.value + 0.5 * decrement,
            value_at_start,
            covariance: factor.inverse(),
            n_iterations: iteration,
        });
    }
    Err(not_converged(
        likelihood,
        &step,
        &format!("no maximum after {MAX_ITERATIONS} iterations"),
    ))
}

fn not_converged(likelihood: &impl Likelihood, step: &[f64], why: &str) -> Error {
    let furthest = (0..step.len()).max_by(|a, b| step[*a].abs().total_cmp(&step[*b].abs()));
    let what = furthest.map_or_else(String::new, |j| format!("; {} is least settled", likelihood.name(j)));
    Error::not_converged(format!("{why}{what}"))
}

/// Refuses a maximum that lies at infinity, where the likelihood is flat.
fn expect_bounded(likelihood: &impl Likelihood, at_start: &[f64], at_end: &[f64]) -> Result<()> {
    let mut lost: Vec<(f64, usize)> = at_start
        .iter()
        .zip(at_end)
        .enumerate()
        .filter(|(_, (s, e))| **e < RUNAWAY * **s)
        .map(|(j, (s, e))| (e / s, j))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    lost.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let names: Vec<String> = lost.iter().take(3).map(|(_, j)| likelihood.name(*j)).collect();
    let (names, grow) = match names.as_slice() {
        [one] => (one.clone(), "grows"),
        many => (many.join(", "), "grow"),
    };
    Err(Error::not_converged(format!(
        "{names} {grow} without bound: the data separate perfectly those that fail from those that do not; \
         leave it out or set a penalty"
    )))
}

/// A Cholesky factor.
struct Factor {
    n: usize,
    lower: Vec<f64>,
    damping: f64,
}

impl Factor {
    fn of(a: &[f64], n: usize) -> Option<Self> {
        Self::damped(a, n, 0.0)
    }

    /// Of `a` with its diagonal raised by the part `damping` of itself.
    fn damped(a: &[f64], n: usize, damping: f64) -> Option<Self> {
        let mut l = a.to_vec();
        for i in 0..n {
            let raised = l[i * n + i].abs() * damping;
            l[i * n + i] += raised;
        }
        for j in 0..n {
            let squares: f64 = l[j * n..j * n + j].iter().map(|v| v * v).sum();
            let pivot = l[j * n + j] - squares;
            // A pivot of rounding is none.
            if !(pivot > 1e-14 * a[j * n + j].abs() && pivot.is_finite()) {
                return None;
            }
            let root = pivot.sqrt();
            l[j * n + j] = root;
            for i in j + 1..n {
                let (above, below) = l.split_at(i * n);
                let products: f64 = above[j * n..j * n + j]
                    .iter()
                    .zip(&below[..j])
                    .map(|(a, b)| a * b)
                    .sum();
                l[i * n + j] = (l[i * n + j] - products) / root;
            }
        }
        Some(Self { n, lower: l, damping })
    }

    fn solve(&self, b: &mut [f64]) {
        let n = self.n;
        for i in 0..n {
            let known: f64 = self.lower[i * n..i * n + i]
                .iter()
                .zip(&b[..i])
                .map(|(l, b)| l * b)
                .sum();
            b[i] = (b[i] - known) / self.lower[i * n + i];
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| self.lower[k * n + i] * b[k]).sum();
            b[i] = (b[i] - known) / self.lower[i * n + i];
        }
    }

    fn inverse(&self) -> Vec<f64> {
        let n = self.n;
        let mut out = vec![0.0; n * n];
        for (j, column) in out.chunks_exact_mut(n.max(1)).enumerate() {
            column[j] = 1.0;
            self.solve(column);
        }
        out
    }

    /// What is known of each parameter, the others being unknown: one over its variance.
    fn known(&self) -> Vec<f64> {
        let inverse = self.inverse();
        (0..self.n).map(|j| 1.0 / inverse[j * self.n + j]).collect()
    }
}

/// The factor of the information; where that is not positive definite, of a matrix near it that is.
fn damped(information: &[f64], n: usize) -> Option<Factor> {
    Factor::of(information, n).or_else(|| {
        let mut damping = 1e-3;
        while damping < 1e12 {
            if let Some(f) = Factor::damped(information, n, damping) {
                return Some(f);
            }
            damping *= 10.0;
        }
        // A zero or a negative diagonal: the gradient alone.
        let mut unit = vec![0.0; n * n];
        let scale = (0..n).map(|j| information[j * n + j].abs()).fold(1.0, f64::max);
        (0..n).for_each(|j| unit[j * n + j] = scale);
        Factor::of(&unit, n).map(|f| Factor { damping: 1.0, ..f })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `-(x - 1)² - (x - 1)(y - 2) - 2 (y - 2)²`, curved further by a fourth power.
    struct Bowl;

    impl Likelihood for Bowl {
        fn evaluate(&mut self, theta: &[f64], out: &mut Evaluation) {
            let (x, y) = (theta[0] - 1.0, theta[1] - 2.0);
            out.value = -x * x - x * y - 2.0 * y * y - x.powi(4);
            out.gradient = vec![-2.0 * x - y - 4.0 * x.powi(3), -x - 4.0 * y];
            out.information = vec![2.0 + 12.0 * x * x, f64::NAN, 1.0, 4.0];
            out.information[1] = 1.0;
        }

        fn name(&self, parameter: usize) -> String {
            format!("parameter {parameter}")
        }
    }

    /// `-ln(1 + exp(-x))`, largest at infinity, beside a parameter that is well known.
    struct Endless;

    impl Likelihood for Endless {
        fn evaluate(&mut self, theta: &[f64], out: &mut Evaluation) {
            let e = libm::exp(-theta[0]);
            out.value = -libm::log1p(e) - 0.5 * theta[1] * theta[1];
            out.gradient = vec![e / (1.0 + e), -theta[1]];
            out.information = vec![e / ((1.0 + e) * (1.0 + e)), 0.0, 0.0, 1.0];
        }

        fn name(&self, parameter: usize) -> String {
            format!("parameter {parameter}")
        }
    }

    #[test]
    fn finds_a_bowl_and_its_curvature() {
        let m = maximise(&mut Bowl, &[10.0, -7.0], None).unwrap();
        assert!(
            (m.theta[0] - 1.0).abs() < 1e-9 && (m.theta[1] - 2.0).abs() < 1e-9,
            "{m:?}"
        );
        // The inverse of [[2, 1], [1, 4]].
        let expected = [4.0 / 7.0, -1.0 / 7.0, -1.0 / 7.0, 2.0 / 7.0];
        assert!(m.covariance.iter().zip(expected).all(|(c, e)| (c - e).abs() < 1e-9));
        assert!(m.n_iterations < 20 && m.value.abs() < 1e-12);
    }

    #[test]
    fn a_maximum_at_infinity_is_named() {
        let e = maximise(&mut Endless, &[0.0, 1.0], None).unwrap_err();
        assert!(e.to_string().contains("parameter 0 grows without bound"), "{e}");
        assert!(maximise(&mut Endless, &[f64::NAN, 0.0], None).is_err());
    }

    #[test]
    fn indefinite_curvature_is_damped() {
        for a in [[-1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 2.0, 1.0]] {
            let f = damped(&a, 2).unwrap();
            assert!(f.damping > 0.0 && f.inverse().iter().all(|v| v.is_finite()));
        }
        assert!(damped(&[f64::NAN], 1).is_none() || damped(&[f64::NAN], 1).unwrap().damping > 0.0);
    }
}
