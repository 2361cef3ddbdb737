//! When a level with a drift nobody knows first reaches a threshold.

use super::normal;
use std::f64::consts::PI;

/// A way to a threshold: `dx = b dt + σ dB` over a distance `w`, with a drift `b ~ N(μ, s²)` that stays as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DriftPassage {
    /// What is left to the threshold; nothing where it is not above 0.
    pub(super) distance: f64,
    pub(super) drift: f64,
    pub(super) drift_variance: f64,
    /// `σ²`.
    pub(super) diffusion: f64,
}

impl DriftPassage {
    /// The probability of the first passage within `t`,
    ///
    /// ```text
    /// F(t) = Φ(a) + exp(2 μ w / σ² + 2 s² w² / σ⁴) Φ(-b),   a = (μ t - w) / q,   b = (μ t + w + 2 s² w t / σ²) / q
    /// q²   = s² t² + σ² t
    /// ```
    ///
    /// the mean of inverse Gaussian distributions over the drift.
    pub(super) fn within(self, t: f64) -> f64 {
        if self.distance <= 0.0 {
            return 1.0;
        }
        if t <= 0.0 {
            return 0.0;
        }
        let (w, s2, noise) = (self.distance, self.drift_variance, self.diffusion);
        let q = (s2 * t * t + noise * t).sqrt();
        if q == 0.0 {
            return if self.drift * t >= w { 1.0 } else { 0.0 };
        }
        let a = (self.drift * t - w) / q;
        let mut sum = normal::cdf(a);
        if noise > 0.0 {
            let b = (self.drift * t + w + 2.0 * s2 * w * t / noise) / q;
            // The exponent is (b² - a²) / 2. It and the logarithm of Φ(-b) may be huge and all but cancel, so that where b is
            // above 0 the product is taken as φ(a) over the hazard φ(b) / Φ(-b), which has no such parts.
            sum += if b > 0.0 {
                libm::exp(-0.5 * a * a) / ((2.0 * PI).sqrt() * normal::hazard(b))
            } else {
                let exponent = 2.0 * w * (self.drift + s2 * w / noise) / noise;
                libm::exp(exponent.min(0.0)) * normal::cdf(-b)
            };
        }
        sum.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(distance: f64, drift: f64, drift_sd: f64, noise_sd: f64) -> DriftPassage {
        DriftPassage {
            distance,
            drift,
            drift_variance: drift_sd * drift_sd,
            diffusion: noise_sd * noise_sd,
        }
    }

    #[test]
    fn the_random_drift_formula_is_the_inverse_gaussian_averaged_over_drifts() {
        let (w, mu, s, sigma) = (10.0, 1.0, 0.3, 1.5);
        for t in [2.0, 5.0, 10.0, 20.0, 100.0] {
            let n = 20_000;
            let averaged: f64 = (0..n)
                .map(|i| mu + s * normal::quantile((f64::from(i) + 0.5) / f64::from(n)))
                .map(|b| way(w, b, 0.0, sigma).within(t))
                .sum::<f64>()
                / f64::from(n);
            // The midpoint rule in p cuts tails of 1/(2n).
            assert!((way(w, mu, s, sigma).within(t) - averaged).abs() < 1e-4, "{t}");
        }
    }

    /// Without noise in the level, the drift alone decides: F(t) = Φ((μ t - w) / (s t)). As noise goes, so must the formula, whose
    /// exponent then grows as 1/σ⁴.
    #[test]
    fn little_noise_is_no_noise() {
        let (w, mu, s) = (10.0, 0.1, 0.1);
        for t in [20.0, 50.0, 100.0, 300.0, 1000.0] {
            let sure = normal::cdf((mu * t - w) / (s * t));
            for sigma in [1e-3, 1e-4, 1e-5, 1e-10, 1e-60] {
                let got = way(w, mu, s, sigma).within(t);
                // Noise widens q by a part of σ² / (2 s² t), below 3 σ², and adds less by its own reaching w.
                assert!(
                    (got - sure).abs() < 10.0 * sigma * sigma + 1e-12,
                    "{t} {sigma}: {got} {sure}"
                );
            }
        }
        // A drift away from the threshold: exp(2 μ w / σ²) ever arrive.
        for (mu, sigma, ever) in [
            (-0.1, 1.0, libm::exp(-2.0)),
            (-1.0, 1.0, libm::exp(-20.0)),
            (-1.0, 0.1, 0.0),
        ] {
            let got = way(10.0, mu, 0.0, sigma).within(1e6);
            assert!((got - ever).abs() < 1e-3 * ever + 1e-300, "{mu} {sigma}: {got} {ever}");
        }
    }

    #[test]
    fn the_inverse_gaussian_has_its_mean_and_variance() {
        // Mean w / μ, variance w σ² / μ³, integrated from the survival function.
        let (w, mu, sigma) = (5.0, 0.5, 0.4);
        let law = way(w, mu, 0.0, sigma);
        let dt = 0.01;
        let (mut mean, mut square) = (0.0, 0.0);
        for i in 0..20_000 {
            let t = (f64::from(i) + 0.5) * dt;
            let survival = 1.0 - law.within(t);
            mean += survival * dt;
            square += 2.0 * t * survival * dt;
        }
        assert!((mean - w / mu).abs() < 1e-4);
        assert!((square - mean * mean - w * sigma * sigma / mu.powi(3)).abs() < 1e-2);
    }

    fn passage(t: f64, distance: f64, drift: f64, drift_variance: f64, diffusion: f64) -> f64 {
        let way = DriftPassage {
            distance,
            drift,
            drift_variance,
            diffusion,
        };
        way.within(t)
    }

    #[test]
    fn the_formula_is_the_mean_of_inverse_gaussians_over_the_drift() {
        let (d, m, v, diffusion): (f64, f64, f64, f64) = (0.8, 1.1, 0.3, 0.2);
        for t in [0.1, 0.5, 1.0, 4.0] {
            // Simpson's rule over ±8 standard deviations, 400 steps: below 1e-9.
            let n = 400;
            let h = 16.0 / f64::from(n);
            let mean: f64 = (0..=n)
                .map(|i| {
                    let z = -8.0 + h * f64::from(i);
                    let weight = if i == 0 || i == n {
                        1.0
                    } else if i % 2 == 1 {
                        4.0
                    } else {
                        2.0
                    };
                    weight * libm::exp(-0.5 * z * z) * passage(t, d, m + z * v.sqrt(), 0.0, diffusion)
                })
                .sum();
            let mean = mean * h / 3.0 / (2.0 * std::f64::consts::PI).sqrt();
            assert!((passage(t, d, m, v, diffusion) - mean).abs() < 1e-9, "{t}");
        }
        // Without chance all pass at d/m; a drift away never does.
        assert!(passage(0.72, d, m, 0.0, 1e-9) < 1e-12 && passage(0.74, d, m, 0.0, 1e-9) > 1.0 - 1e-12);
        assert!(passage(1e6, d, -1.0, 0.0, 0.1) < 1e-6);
        assert_eq!(passage(0.0, d, m, v, diffusion), 0.0);
    }
}
