//! The Kalman filter.

use super::{
    belief::{GaussianBelief, check_states, checked_covariance, checked_matrix},
    dense,
    state_model::FilterStep,
};
use crate::error::{Error, Result};
use ndarray::ArrayView2;
use std::f64::consts::PI;

/// The exact filter of linear models with normal noise: `n` states, `m` values measured.
///
/// # Method
///
/// ```text
/// predict   x = F x,  P = F P Fᵀ + Q
/// update    v = y - H x,  S = H P Hᵀ + R,  K = P Hᵀ S⁻¹
///           x = x + K v,  P = (I - K H) P (I - K H)ᵀ + K R Kᵀ
/// log-likelihood = -½ (vᵀ S⁻¹ v + ln det S + m ln 2π)
/// ```
///
/// The last form of `P` (Joseph's) stays symmetric and without negative directions under rounding. `Q` may be
/// semi-definite, `R` must be definite.
///
/// # Missing values, cost
///
/// Values that are not finite are left out, with their rows of `H` and `R`; without any, a step only predicts. A belief
/// whose numbers are no distribution any more says so for ever
/// ([`has_diverged`](GaussianBelief::has_diverged)). A step costs `O(n³ + m³)` and allocates nothing.
///
/// # Source
///
/// Kalman, "A new approach to linear filtering and prediction problems", Journal of Basic Engineering 82 (1960), doi
/// [10.1115/1.3662552](https://doi.org/10.1115/1.3662552).
///
/// # Example
///
/// ```
/// use ndarray::arr2;
/// use prognos::rul::filter::{GaussianBelief, KalmanFilter};
/// // A level that wanders, measured with noise.
/// let one = arr2(&[[1.0]]);
/// let filter = KalmanFilter::new(one.view(), arr2(&[[0.01]]).view(), one.view(), one.view())?;
/// let mut level = GaussianBelief::independent(&[0.0], &[10.0])?;
/// let mut scratch = filter.new_scratch();
/// for y in [5.1, 4.9, f64::NAN, 5.0] {
///     filter.step(&mut level, &[y], &mut scratch)?;
/// }
/// assert!((level.mean()[0] - 5.0).abs() < 0.05 && level.sd(0) < 0.65);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KalmanFilter {
    pub(super) n: usize,
    pub(super) m: usize,
    pub(super) transition: Vec<f64>,
    pub(super) process_noise: Vec<f64>,
    pub(super) observation: Vec<f64>,
    pub(super) observation_noise: Vec<f64>,
}

/// Room for the steps of a [`KalmanFilter`].
#[derive(Clone, Debug)]
pub struct KalmanScratch {
    /// Two of `n x n`, two of `n x m`.
    square: [Vec<f64>; 2],
    tall: [Vec<f64>; 2],
    /// `H` and `R` of the values that are there, and `S`.
    observation: Vec<f64>,
    noise: Vec<f64>,
    innovation_covariance: Vec<f64>,
    innovation: Vec<f64>,
    weighted: Vec<f64>,
    present: Vec<usize>,
    mean: Vec<f64>,
}

impl KalmanFilter {
    /// From the transition `F` (`n x n`) and the covariance `Q` of its noise over one step, the observation `H` (`m x n`)
    /// and the covariance `R` of its noise.
    ///
    /// # Errors
    /// `InvalidParameter` for sizes that do not match or lie outside 1 to 64, numbers that are not finite, a `Q` that is
    /// not positive semi-definite, and an `R` that is not positive definite.
    pub fn new(
        transition: ArrayView2<'_, f64>,
        process_noise: ArrayView2<'_, f64>,
        observation: ArrayView2<'_, f64>,
        observation_noise: ArrayView2<'_, f64>,
    ) -> Result<Self> {
        let (m, n) = observation.dim();
        check_states("observation", m)?;
        check_states("observation", n)?;
        Ok(Self {
            n,
            m,
            transition: checked_matrix("transition", transition, (n, n))?,
            process_noise: checked_covariance("process_noise", process_noise, n, false)?,
            observation: checked_matrix("observation", observation, (m, n))?,
            observation_noise: checked_covariance("observation_noise", observation_noise, m, true)?,
        })
    }

    /// Other matrices of the transition, for steps of another length.
    ///
    /// # Errors
    /// `InvalidParameter` as [`new`](KalmanFilter::new).
    pub fn set_transition(
        &mut self,
        transition: ArrayView2<'_, f64>,
        process_noise: ArrayView2<'_, f64>,
    ) -> Result<()> {
        let transition = checked_matrix("transition", transition, (self.n, self.n))?;
        self.process_noise = checked_covariance("process_noise", process_noise, self.n, false)?;
        self.transition = transition;
        Ok(())
    }

    /// Room for its steps.
    pub fn new_scratch(&self) -> KalmanScratch {
        let (n, m) = (self.n, self.m);
        KalmanScratch {
            square: [vec![0.0; n * n], vec![0.0; n * n]],
            tall: [vec![0.0; n * m], vec![0.0; n * m]],
            observation: vec![0.0; m * n],
            noise: vec![0.0; m * m],
            innovation_covariance: vec![0.0; m * m],
            innovation: vec![0.0; m],
            weighted: vec![0.0; m],
            present: Vec::with_capacity(m),
            mean: vec![0.0; n],
        }
    }

    /// One step of time, then the values measured at its end.
    ///
    /// # Errors
    /// `InvalidInput` for a belief, values or scratch of other sizes.
    pub fn step(&self, belief: &mut GaussianBelief, y: &[f64], scratch: &mut KalmanScratch) -> Result<FilterStep> {
        self.predict(belief, scratch)?;
        self.update(belief, y, scratch)
    }

    /// One step of time.
    ///
    /// # Errors
    /// `InvalidInput` for a belief or scratch of other sizes.
    pub fn predict(&self, belief: &mut GaussianBelief, scratch: &mut KalmanScratch) -> Result<()> {
        self.check(belief, scratch)?;
        let n = self.n;
        dense::multiply(&self.transition, &belief.mean, n, 1, &mut scratch.mean);
        belief.mean.copy_from_slice(&scratch.mean);
        let [a, _] = &mut scratch.square;
        dense::multiply(&self.transition, &belief.covariance, n, n, a);
        dense::multiply_transposed(a, &self.transition, n, n, &mut belief.covariance);
        let noise = belief.covariance.iter_mut().zip(&self.process_noise);
        noise.for_each(|(p, q)| *p += q);
        dense::symmetrise(&mut belief.covariance, n);
        belief.diverged |= !belief.is_sound();
        Ok(())
    }

    /// Takes the values `y` in; those that are not finite are missing.
    ///
    /// # Errors
    /// `InvalidInput` for a belief, values or scratch of other sizes.
    pub fn update(&self, belief: &mut GaussianBelief, y: &[f64], scratch: &mut KalmanScratch) -> Result<FilterStep> {
        self.check(belief, scratch)?;
        if y.len() != self.m {
            return Err(Error::input("observation", format!("{} values", self.m), y.len()));
        }
        if belief.diverged {
            return Ok(FilterStep::Diverged);
        }
        scratch.present.clear();
        scratch.present.extend((0..self.m).filter(|&i| y[i].is_finite()));
        if scratch.present.is_empty() {
            return Ok(FilterStep::Predicted);
        }
        let step = self.take_in(belief, y, scratch);
        belief.diverged = step.is_none() || !belief.is_sound();
        Ok(match step {
            Some(log_likelihood) if !belief.diverged => FilterStep::Updated { log_likelihood },
            _ => FilterStep::Diverged,
        })
    }

    /// The log-likelihood; `None` where the innovation has no covariance.
    fn take_in(&self, belief: &mut GaussianBelief, y: &[f64], scratch: &mut KalmanScratch) -> Option<f64> {
        let (n, m) = (self.n, scratch.present.len());
        let h = &mut scratch.observation[..m * n];
        let r = &mut scratch.noise[..m * m];
        let v = &mut scratch.innovation[..m];
        for (a, &i) in scratch.present.iter().enumerate() {
            h[a * n..(a + 1) * n].copy_from_slice(&self.observation[i * n..(i + 1) * n]);
            for (b, &j) in scratch.present.iter().enumerate() {
                r[a * m + b] = self.observation_noise[i * self.m + j];
            }
            let expected: f64 = h[a * n..(a + 1) * n].iter().zip(&belief.mean).map(|(h, x)| h * x).sum();
            v[a] = y[i] - expected;
        }
        let [pht, kr] = &mut scratch.tall;
        let (pht, kr) = (&mut pht[..n * m], &mut kr[..n * m]);
        dense::multiply_transposed(&belief.covariance, h, n, m, pht);
        let s = &mut scratch.innovation_covariance[..m * m];
        dense::multiply(h, pht, n, m, s);
        s.iter_mut().zip(&*r).for_each(|(s, r)| *s += r);
        dense::symmetrise(s, m);
        dense::cholesky(s, m)?;
        if !dense::is_definite(s, m) {
            return None;
        }
        let weighted = &mut scratch.weighted[..m];
        weighted.copy_from_slice(v);
        dense::solve(s, m, weighted);
        let distance: f64 = v.iter().zip(&*weighted).map(|(v, w)| v * w).sum();
        // The gain, in the place of P Hᵀ.
        pht.chunks_exact_mut(m).for_each(|row| dense::solve(s, m, row));
        let gain = &*pht;
        for (x, k) in belief.mean.iter_mut().zip(gain.chunks_exact(m)) {
            *x += k.iter().zip(&*v).map(|(k, v)| k * v).sum::<f64>();
        }
        let [left, product] = &mut scratch.square;
        dense::multiply(gain, h, m, n, left);
        left.iter_mut().for_each(|l| *l = -*l);
        (0..n).for_each(|i| left[i * n + i] += 1.0);
        dense::multiply(left, &belief.covariance, n, n, product);
        dense::multiply_transposed(product, left, n, n, &mut belief.covariance);
        dense::multiply(gain, r, m, m, kr);
        dense::multiply_transposed(kr, gain, m, n, product);
        belief.covariance.iter_mut().zip(&*product).for_each(|(p, k)| *p += k);
        dense::symmetrise(&mut belief.covariance, n);
        Some(-0.5 * (distance + dense::log_determinant(s, m) + m as f64 * libm::log(2.0 * PI)))
    }

    fn check(&self, belief: &GaussianBelief, scratch: &KalmanScratch) -> Result<()> {
        if belief.n_states() != self.n {
            return Err(Error::input("belief", format!("{} states", self.n), belief.n_states()));
        }
        if scratch.mean.len() != self.n || scratch.innovation.len() != self.m {
            return Err(Error::input("scratch", "that of this filter", "another"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, arr2};

    fn level(q: f64, r: f64) -> KalmanFilter {
        let one = arr2(&[[1.0]]);
        KalmanFilter::new(one.view(), arr2(&[[q]]).view(), one.view(), arr2(&[[r]]).view()).unwrap()
    }

    /// Of the local level model, the variance after an update tends to the root of P² + Q P - Q R = 0.
    #[test]
    fn variance_tends_to_the_root_of_riccatis_equation() {
        for (q, r) in [(0.1, 1.0), (4.0, 0.5), (1e-3, 10.0)] {
            let filter = level(q, r);
            let mut scratch = filter.new_scratch();
            let mut belief = GaussianBelief::independent(&[0.0], &[100.0]).unwrap();
            for _ in 0..20_000 {
                filter.step(&mut belief, &[0.0], &mut scratch).unwrap();
            }
            let expected = 0.5 * (-q + f64::sqrt(q * q + 4.0 * q * r));
            assert!((belief.sd(0).powi(2) / expected - 1.0).abs() < 1e-10);
        }
    }

    #[test]
    fn one_update_by_hand() {
        let filter = level(1.0, 2.0);
        let mut belief = GaussianBelief::independent(&[3.0], &[1.0]).unwrap();
        let mut scratch = filter.new_scratch();
        // P = 2, S = 4, K = 1/2, v = 4.
        let step = filter.step(&mut belief, &[7.0], &mut scratch).unwrap();
        assert!((belief.mean()[0] - 5.0).abs() < 1e-15 && (belief.covariance()[[0, 0]] - 1.0).abs() < 1e-15);
        let expected = -0.5 * (4.0 + 4.0_f64.ln() + (2.0 * PI).ln());
        assert!(matches!(step, FilterStep::Updated { log_likelihood: l } if (l - expected).abs() < 1e-14));
        // Without a value only the variance grows.
        assert_eq!(
            filter.step(&mut belief, &[f64::NAN], &mut scratch).unwrap(),
            FilterStep::Predicted
        );
        assert!(belief.mean()[0] == 5.0 && (belief.covariance()[[0, 0]] - 2.0).abs() < 1e-15);
    }

    #[test]
    fn missing_values_are_those_of_a_smaller_filter() {
        let f = arr2(&[[1.0, 0.5], [0.0, 0.9]]);
        let q = arr2(&[[0.2, 0.1], [0.1, 0.3]]);
        let r = arr2(&[[1.0, 0.4], [0.4, 2.0]]);
        let both = KalmanFilter::new(f.view(), q.view(), Array2::eye(2).view(), r.view()).unwrap();
        let second = KalmanFilter::new(f.view(), q.view(), arr2(&[[0.0, 1.0]]).view(), arr2(&[[2.0]]).view()).unwrap();
        let mut a = GaussianBelief::independent(&[1.0, -1.0], &[2.0, 3.0]).unwrap();
        let mut b = a.clone();
        let p = both
            .step(&mut a, &[f64::INFINITY, 0.7], &mut both.new_scratch())
            .unwrap();
        let q = second.step(&mut b, &[0.7], &mut second.new_scratch()).unwrap();
        assert_eq!((p, a), (q, b));
    }

    #[test]
    fn wrong_matrices_are_refused() {
        let one = arr2(&[[1.0]]);
        let wide = arr2(&[[1.0, 0.0]]);
        let with = |q: f64, r: f64| KalmanFilter::new(one.view(), arr2(&[[q]]).view(), one.view(), arr2(&[[r]]).view());
        assert!(with(0.0, 1.0).is_ok());
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(with(bad, 1.0).is_err() && with(1.0, bad).is_err());
        }
        assert!(with(1.0, 0.0).is_err());
        assert!(KalmanFilter::new(one.view(), one.view(), wide.view(), one.view()).is_err());
        let mut filter = with(1.0, 1.0).unwrap();
        assert!(filter.set_transition(wide.view(), one.view()).is_err());
        assert!(filter.set_transition(one.view(), arr2(&[[-1.0]]).view()).is_err());
        let mut two = GaussianBelief::independent(&[0.0; 2], &[1.0; 2]).unwrap();
        assert!(filter.predict(&mut two, &mut filter.new_scratch()).is_err());
        let mut belief = GaussianBelief::independent(&[0.0], &[1.0]).unwrap();
        assert!(
            filter
                .update(&mut belief, &[1.0, 2.0], &mut filter.new_scratch())
                .is_err()
        );
    }

    #[test]
    fn numbers_without_end_are_divergence() {
        let huge = arr2(&[[1e200]]);
        let one = arr2(&[[1.0]]);
        let filter = KalmanFilter::new(huge.view(), one.view(), one.view(), one.view()).unwrap();
        let mut belief = GaussianBelief::independent(&[1.0], &[1.0]).unwrap();
        let mut scratch = filter.new_scratch();
        assert_eq!(
            filter.step(&mut belief, &[0.0], &mut scratch).unwrap(),
            FilterStep::Diverged
        );
        assert!(belief.has_diverged());
        assert_eq!(
            filter.update(&mut belief, &[0.0], &mut scratch).unwrap(),
            FilterStep::Diverged
        );
        // An absurd value is a value: the log-likelihood tells.
        let mut belief = GaussianBelief::independent(&[1.0], &[1.0]).unwrap();
        let step = level(1.0, 1.0).step(&mut belief, &[1e300], &mut scratch).unwrap();
        assert_eq!(
            step,
            FilterStep::Updated {
                log_likelihood: f64::NEG_INFINITY
            }
        );
    }
}
