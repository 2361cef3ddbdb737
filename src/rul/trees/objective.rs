//! What boosted trees minimise.

use super::grower::quantile_of;
use crate::{
    error::{Error, Result},
    rul::normal,
};
use serde::{Deserialize, Serialize};

/// Standard units of a log life that are told apart: beyond, a row pulls no harder.
const LARGEST_Z: f64 = 1e3;
/// Gradient and curvature of a log life, in standard units, at most; curvature at least.
const LARGEST_PULL: f64 = 15.0;
const LEAST_CURVATURE: f64 = 0.01;

/// What [`GradientBoosting`](super::super::GradientBoosting) minimises over the training rows.
///
/// | loss | of residual `r = life - prediction` | predicts | a leaf gives, times the learning rate |
/// |---|---|---|---|
/// | `Squared` | `r^2 / 2` | the mean | `sum r / (n + l2)` |
/// | `Absolute` | `abs(r)` | the median | the median residual |
/// | `Quantile(q)` | `q r` above 0, `(q - 1) r` below | the `q` quantile | the `q` quantile of residuals |
/// | `Huber(d)` | `r^2 / 2` within `d`, `d abs(r) - d^2 / 2` beyond | between mean and median | `sum clamp(r, -d, d) / (n + l2)` |
/// | `Censored` | minus the log likelihood of `z = (ln life - score) / scale` | the median life | `scale sum g / (sum h + l2)` |
///
/// Splits of the quantile losses are those of their gradients, leaves the exact quantile of the leaf's rows in the bag, so that
/// each tree lowers their loss (Friedman 2001, doi 10.1214/aos/1013203451); `l2` does not count there.
///
/// `Censored` is the accelerated failure time model (Barnwal, Cho and Hocking 2022, doi 10.1080/10618600.2022.2067548), the
/// only one that learns from lives known to be at least as long: such a life counts with the likelihood of living on. A life of
/// 0 counts as one of at most the shortest life above 0, one of at least 0 not at all. `g` and `h` are the first and second derivatives of the loss by `z`,
/// held within 15 and 0.01..=15.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum BoostingLoss {
    /// Squares.
    #[default]
    Squared,
    /// Absolute values.
    Absolute,
    /// The pinball loss of a quantile above 0 and below 1 (Koenker and Bassett 1978, doi 10.2307/1913643).
    Quantile(f64),
    /// Squares up to this residual, in life units, absolute values beyond (Huber 1964, doi 10.1214/aoms/1177703732).
    Huber(f64),
    /// Minus the log likelihood of log lives with noise of one shape.
    Censored {
        /// The shape.
        noise: AftNoise,
        /// Its scale, on the natural logarithm of the life.
        scale: f64,
    },
}

/// The shape of the noise on a log life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AftNoise {
    /// Lives are log-normal.
    Normal,
    /// Lives are log-logistic.
    Logistic,
    /// The smallest extreme value: lives are Weibull of shape `1 / scale`.
    Extreme,
}

/// What is known of a log life.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Exactly,
    AtLeast,
    AtMost,
    Nothing,
}

impl AftNoise {
    /// Derivatives, by `z`, of minus the log likelihood.
    fn derivatives(self, z: f64, known: Known) -> (f64, f64) {
        let z = z.clamp(-LARGEST_Z, LARGEST_Z);
        match self {
            Self::Normal => match known {
                Known::Exactly => (z, 1.0),
                Known::AtLeast => {
                    let h = normal::hazard(z);
                    (h, h * (h - z))
                }
                Known::AtMost => {
                    let h = normal::hazard(-z);
                    (-h, h * (h + z))
                }
                Known::Nothing => (0.0, 0.0),
            },
            Self::Logistic => {
                let f = 1.0 / (1.0 + libm::exp(-z));
                let both = f * (1.0 - f);
                match known {
                    Known::Exactly => (2.0 * f - 1.0, 2.0 * both),
                    Known::AtLeast => (f, both),
                    Known::AtMost => (f - 1.0, both),
                    Known::Nothing => (0.0, 0.0),
                }
            }
            Self::Extreme => {
                let u = libm::exp(z.min(5.0));
                match known {
                    Known::Exactly => (u - 1.0, u),
                    Known::AtLeast => (u, u),
                    Known::AtMost => {
                        let r = if u < 1e-300 { 1.0 } else { u / libm::expm1(u) };
                        (-r, r * (r * libm::exp(u) - 1.0))
                    }
                    Known::Nothing => (0.0, 0.0),
                }
            }
        }
    }

    /// Minus the log likelihood of `z`, a constant left away.
    fn loss(self, z: f64, known: Known) -> f64 {
        let z = z.clamp(-LARGEST_Z, LARGEST_Z);
        match (self, known) {
            (_, Known::Nothing) => 0.0,
            (Self::Normal, Known::Exactly) => 0.5 * z * z,
            (Self::Normal, Known::AtLeast) => -normal::log_survival(z),
            (Self::Normal, Known::AtMost) => -normal::log_survival(-z),
            (Self::Logistic, Known::Exactly) => 2.0 * log_one_plus_exp(z) - z,
            (Self::Logistic, Known::AtLeast) => log_one_plus_exp(z),
            (Self::Logistic, Known::AtMost) => log_one_plus_exp(-z),
            (Self::Extreme, Known::Exactly) => libm::exp(z.min(700.0)) - z,
            (Self::Extreme, Known::AtLeast) => libm::exp(z.min(700.0)),
            // 1 - exp(-u) is u itself where u is small.
            (Self::Extreme, Known::AtMost) if z < -30.0 => -z,
            (Self::Extreme, Known::AtMost) => -libm::log(-libm::expm1(-libm::exp(z.min(700.0)))),
        }
    }

    /// The median of the noise.
    fn median(self) -> f64 {
        match self {
            Self::Normal | Self::Logistic => 0.0,
            Self::Extreme => libm::log(std::f64::consts::LN_2),
        }
    }
}

fn log_one_plus_exp(z: f64) -> f64 {
    z.max(0.0) + libm::log1p(libm::exp(-z.abs()))
}

/// A loss over the lives at hand.
#[derive(Clone, Debug)]
pub(crate) struct Objective {
    loss: BoostingLoss,
    /// Lives, or their logarithms.
    target: Vec<f64>,
    /// What is known of log lives; empty of others.
    known: Vec<Known>,
}

impl BoostingLoss {
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Quantile(q) if !(q > 0.0 && q < 1.0) => {
                Err(Error::parameter("loss quantile", "above 0 and below 1", q))
            }
            Self::Huber(d) if !(d.is_finite() && d > 0.0) => {
                Err(Error::parameter("loss of Huber", "finite and above 0", d))
            }
            Self::Censored { scale, .. } if !(1e-3..=1e3).contains(&scale) => {
                Err(Error::parameter("loss scale", "0.001..=1000", scale))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn takes_censored(self) -> bool {
        matches!(self, Self::Censored { .. })
    }

    /// What is added to a score that is a log life, for the median life; `None` where scores are lives.
    pub(crate) fn log_shift(self) -> Option<f64> {
        match self {
            Self::Censored { noise, scale } => Some(scale * noise.median()),
            _ => None,
        }
    }
}

impl Objective {
    /// Over `lives`, not negative, that are only known to be at least as long where `censored` says so.
    pub(crate) fn new(loss: BoostingLoss, lives: &[f64], censored: Option<&[bool]>) -> Result<Self> {
        let plain = Self {
            loss,
            target: Vec::new(),
            known: Vec::new(),
        };
        if !loss.takes_censored() {
            return Ok(Self {
                target: lives.to_vec(),
                ..plain
            });
        }
        let is_censored = |i: usize| censored.is_some_and(|c| c.get(i) == Some(&true));
        let known: Vec<Known> = lives
            .iter()
            .enumerate()
            .map(|(i, life)| match (is_censored(i), *life > 0.0) {
                (true, true) => Known::AtLeast,
                (true, false) => Known::Nothing,
                (false, true) => Known::Exactly,
                (false, false) => Known::AtMost,
            })
            .collect();
        let n_exact = known.iter().filter(|k| **k == Known::Exactly).count();
        if n_exact == 0 {
            return Err(Error::insufficient(
                "boosting of log lives",
                "a life above 0 that is known",
                n_exact,
            ));
        }
        let shortest = lives
            .iter()
            .filter(|life| **life > 0.0)
            .fold(f64::INFINITY, |m, life| m.min(*life));
        let target = lives.iter().map(|life| libm::log(life.max(shortest))).collect();
        Ok(Self { target, known, ..plain })
    }

    /// Where all scores start: the one number of least loss over the rows `known` (the mean for squares and Huber's).
    pub(crate) fn base(&self, rows: &[u32]) -> f64 {
        let mut target: Vec<f64> = rows.iter().map(|&r| self.target[r as usize]).collect();
        match self.loss {
            BoostingLoss::Squared | BoostingLoss::Huber(_) => target.iter().sum::<f64>() / target.len() as f64,
            BoostingLoss::Absolute => quantile_of(&mut target, 0.5),
            BoostingLoss::Quantile(q) => quantile_of(&mut target, q),
            BoostingLoss::Censored { noise, scale } => {
                let ends = target
                    .iter()
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| (a.min(*t), b.max(*t)));
                let (mut low, mut high) = (ends.0 - 40.0 * scale, ends.1 + 40.0 * scale);
                // The loss is convex: its slope is 0 in one place.
                for _ in 0..60 {
                    let middle = low + (high - low) / 2.0;
                    let pull: f64 = rows
                        .iter()
                        .map(|&r| {
                            let r = r as usize;
                            noise.derivatives((self.target[r] - middle) / scale, self.known[r]).0
                        })
                        .sum();
                    if pull > 0.0 {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                low + (high - low) / 2.0
            }
        }
    }

    pub(crate) fn has_curvature(&self) -> bool {
        self.loss.takes_censored()
    }

    /// The quantile of the residuals that a leaf gives, where it is not their mean.
    pub(crate) fn leaf_quantile(&self) -> Option<f64> {
        match self.loss {
            BoostingLoss::Absolute => Some(0.5),
            BoostingLoss::Quantile(q) => Some(q),
            _ => None,
        }
    }

    /// `target - score` of each row.
    pub(crate) fn residuals(&self, scores: &[f64], out: &mut [f64]) {
        for ((r, y), f) in out.iter_mut().zip(&self.target).zip(scores) {
            *r = y - f;
        }
    }

    /// The way down of the loss from `scores`, and where the loss has one its curvature.
    pub(crate) fn gradients(&self, scores: &[f64], gradient: &mut [f64], curvature: &mut [f64]) {
        self.residuals(scores, gradient);
        match self.loss {
            BoostingLoss::Squared => {}
            BoostingLoss::Absolute => gradient.iter_mut().for_each(|r| *r = pinball_slope(*r, 0.5)),
            BoostingLoss::Quantile(q) => gradient.iter_mut().for_each(|r| *r = pinball_slope(*r, q)),
            BoostingLoss::Huber(d) => gradient.iter_mut().for_each(|r| *r = r.clamp(-d, d)),
            BoostingLoss::Censored { noise, scale } => {
                for ((r, c), known) in gradient.iter_mut().zip(curvature).zip(&self.known) {
                    let (pull, bend) = noise.derivatives(*r / scale, *known);
                    *r = scale * pull.clamp(-LARGEST_PULL, LARGEST_PULL);
                    *c = bend.clamp(LEAST_CURVATURE, LARGEST_PULL);
                }
            }
        }
    }

    /// The mean loss over `rows`.
    pub(crate) fn mean_loss(&self, scores: &[f64], rows: &[u32]) -> f64 {
        let of_row = |r: usize| {
            let residual = self.target[r] - scores[r];
            match self.loss {
                BoostingLoss::Squared => residual * residual,
                BoostingLoss::Absolute => residual.abs(),
                BoostingLoss::Quantile(q) => residual * pinball_slope(residual, q),
                BoostingLoss::Huber(d) if residual.abs() <= d => 0.5 * residual * residual,
                BoostingLoss::Huber(d) => d * (residual.abs() - 0.5 * d),
                BoostingLoss::Censored { noise, scale } => noise.loss(residual / scale, self.known[r]),
            }
        };
        rows.iter().map(|&r| of_row(r as usize)).sum::<f64>() / rows.len() as f64
    }
}

/// How fast the pinball loss of `q` falls as the prediction rises.
fn pinball_slope(residual: f64, q: f64) -> f64 {
    if residual > 0.0 { q } else { q - 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [AftNoise; 3] = [AftNoise::Normal, AftNoise::Logistic, AftNoise::Extreme];
    const KNOWN: [Known; 4] = [Known::Exactly, Known::AtLeast, Known::AtMost, Known::Nothing];

    #[test]
    fn derivatives_are_those_of_the_loss() {
        // Central differences of step 1e-4: 1e-8 of the third derivative, and 1e-16 over the step (squared) of the loss.
        let h = 1e-4;
        for (noise, known) in SHAPES.iter().flat_map(|n| KNOWN.map(|k| (*n, k))) {
            for z in [-6.0, -2.5, -0.3, 0.0, 0.7, 2.0, 4.0] {
                let (slope, bend) = noise.derivatives(z, known);
                let loss = |z| noise.loss(z, known);
                let size = 1.0 + loss(z).abs();
                let first = (loss(z + h) - loss(z - h)) / (2.0 * h);
                assert!(
                    (slope - first).abs() < 1e-6 * size,
                    "{noise:?} {known:?} {z}: {slope} {first}"
                );
                let second = (loss(z + h) - 2.0 * loss(z) + loss(z - h)) / (h * h);
                assert!(
                    (bend - second).abs() < 1e-6 * size,
                    "{noise:?} {known:?} {z}: {bend} {second}"
                );
            }
        }
    }

    #[test]
    fn far_lives_stay_numbers() {
        for (noise, known) in SHAPES.iter().flat_map(|n| KNOWN.map(|k| (*n, k))) {
            for z in [-1e300, -1e3, -40.0, -30.0, 29.9, 30.1, 40.0, 1e3, 1e300] {
                let (slope, bend) = noise.derivatives(z, known);
                assert!(
                    slope.is_finite() && bend.is_finite() && bend >= -1e-9,
                    "{noise:?} {known:?} {z}: {slope} {bend}"
                );
                assert!(noise.loss(z, known).is_finite(), "{noise:?} {known:?} {z}");
            }
        }
        // Both sides of where the expansion begins: its next term is 10 / z^5.
        assert!((normal::hazard(30.0) - normal::hazard(30.0 + 1e-9)).abs() < 1e-6);
        assert!((normal::log_survival(30.0) - normal::log_survival(30.0 + 1e-9)).abs() < 1e-6);
    }

    #[test]
    fn base_is_where_the_loss_is_least() {
        let lives = [0.0, 3.0, 5.0, 5.0, 8.0, 13.0, 40.0];
        let censored = [false, false, true, false, false, true, false];
        let rows: Vec<u32> = (0..7).collect();
        let losses = [
            BoostingLoss::Squared,
            BoostingLoss::Absolute,
            BoostingLoss::Quantile(0.2),
            BoostingLoss::Quantile(0.9),
        ];
        let aft = SHAPES.map(|noise| BoostingLoss::Censored { noise, scale: 0.7 });
        for loss in losses.into_iter().chain(aft) {
            let objective = Objective::new(loss, &lives, loss.takes_censored().then_some(&censored)).unwrap();
            let base = objective.base(&rows);
            let at = |score: f64| objective.mean_loss(&[score; 7], &rows);
            for step in [1e-3, 0.1, 1.0] {
                assert!(at(base) <= at(base + step) + 1e-12, "{loss:?} {base} + {step}");
                assert!(at(base) <= at(base - step) + 1e-12, "{loss:?} {base} - {step}");
            }
        }
        // A normal shape without censoring has the mean of log lives, an extreme one of scale 1 the log of the mean.
        let exact = |noise| {
            let loss = BoostingLoss::Censored { noise, scale: 1.0 };
            Objective::new(loss, &lives[1..], None).unwrap().base(&rows[..6])
        };
        let mean_log = lives[1..].iter().map(|l: &f64| l.ln()).sum::<f64>() / 6.0;
        assert!((exact(AftNoise::Normal) - mean_log).abs() < 1e-12);
        assert!((exact(AftNoise::Extreme) - (74.0f64 / 6.0).ln()).abs() < 1e-12);
    }

    #[test]
    fn nothing_known_is_an_error() {
        let loss = BoostingLoss::Censored {
            noise: AftNoise::Normal,
            scale: 1.0,
        };
        let error = Objective::new(loss, &[4.0, 5.0], Some(&[true, true])).unwrap_err();
        assert!(error.to_string().contains("a life above 0 that is known"), "{error}");
        Objective::new(loss, &[0.0, 0.0], None).unwrap_err();
    }
}
