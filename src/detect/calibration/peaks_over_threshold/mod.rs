//! Thresholds from the tail of scores: the generalised Pareto distribution of what exceeds a high level.

mod stream;

pub use stream::{DriftSpot, Spot, SpotParams, SpotVerdict};

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Excesses a shape is fitted to; fewer, and the tail is taken for exponential.
const LEAST_EXCESSES: usize = 10;
/// Scores in magnitude at most, so that differences stay finite; larger ones count as this.
const LARGEST: f64 = 1e300;

/// The generalised Pareto tail of excesses: `P(Y > y) = (1 + shape y / scale)^(-1 / shape)`, for shape 0
/// `exp(-y / scale)`.
///
/// Fitted by maximum likelihood over `shape > -1` as Grimshaw does, in one unknown `x = shape / scale`: for a given `x` the
/// best shape is the mean of `ln(1 + x y)`, and the likelihood left is searched for its highest maximum, each found to 1e-12
/// by the sign of its slope. Where it has none (excesses that end abruptly, so that the likelihood rises without limit
/// towards `shape = -1`), where fewer than 10 excesses are there, or where all are equal, the tail is the exponential one of
/// the same mean: heavier than what such excesses show, so that thresholds err towards fewer alarms.
///
/// Cost: some 130 passes of one division an excess.
///
/// Source: Grimshaw (1993), <https://doi.org/10.1080/00401706.1993.10485040>; Siffer et al. (2017),
/// <https://doi.org/10.1145/3097983.3098144>.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TailRecord", into = "TailRecord")]
pub struct ParetoTail {
    shape: f64,
    scale: f64,
}

#[derive(Serialize, Deserialize)]
struct TailRecord {
    shape: f64,
    scale: f64,
}

impl From<ParetoTail> for TailRecord {
    fn from(t: ParetoTail) -> Self {
        let ParetoTail { shape, scale } = t;
        Self { shape, scale }
    }
}

impl TryFrom<TailRecord> for ParetoTail {
    type Error = Error;

    fn try_from(r: TailRecord) -> Result<Self> {
        if r.shape.is_finite() && r.shape > -1.0 && r.scale.is_finite() && r.scale >= 0.0 {
            Ok(Self {
                shape: r.shape,
                scale: r.scale,
            })
        } else {
            Err(Error::persistence(format!(
                "Pareto tail: expected a finite shape above -1 and a scale not below 0, got {} and {}",
                r.shape, r.scale
            )))
        }
    }
}

/// Where the likelihood of a shape over scale stands.
#[derive(Clone, Copy)]
struct Point {
    x: f64,
    /// Mean of `ln(1 + x y)`, the best shape.
    shape: f64,
    /// Log-likelihood an excess.
    likelihood: f64,
    /// Has the sign of its slope.
    slope: f64,
}

impl ParetoTail {
    /// Of positive, finite excesses; none gives a tail of no width.
    ///
    /// # Errors
    /// `InvalidInput` for one that is not finite or not above 0.
    pub fn fit(excesses: &[f64]) -> Result<Self> {
        if let Some(bad) = excesses.iter().find(|y| !(y.is_finite() && **y > 0.0)) {
            return Err(Error::input("excess", "finite and above 0", bad));
        }
        Ok(Self::of(excesses))
    }

    fn of(y: &[f64]) -> Self {
        let n = y.len() as f64;
        let (least, most) = y
            .iter()
            .fold((f64::INFINITY, 0.0), |(a, b): (f64, f64), v| (a.min(*v), b.max(*v)));
        // In parts of the largest, so that no sum overflows and equal ones give themselves.
        let mean = match y.is_empty() {
            true => 0.0,
            false => most * (y.iter().map(|v| v / most).sum::<f64>() / n),
        };
        let exponential = Self {
            shape: 0.0,
            scale: mean,
        };
        let rate = 1.0 / mean;
        if y.len() < LEAST_EXCESSES || least >= most || !rate.is_finite() {
            return exponential;
        }
        // In units of the mean, where the exponential tail has x = 0 and the log-likelihood -1 an excess.
        let at = |x: f64| {
            let (mut log, mut inverse) = (0.0, 0.0);
            // A logarithm of eight factors at once: each lies between 1e-7 and 1e28.
            for eight in y.chunks(8) {
                let mut product = 1.0;
                for v in eight {
                    let factor = 1.0 + x * (v * rate);
                    product *= factor;
                    inverse += 1.0 / factor;
                }
                log += libm::log(product);
            }
            let (shape, u) = (log / n, inverse / n);
            Point {
                x,
                shape,
                likelihood: -(libm::log(shape / x) + shape + 1.0),
                slope: u * (1.0 + shape) - 1.0,
            }
        };
        // Shape and scale of the highest maximum so far, the exponential tail to begin with.
        let mut best = (-1.0, 0.0, 1.0);
        let mut search = |points: &mut dyn Iterator<Item = f64>| {
            let mut before: Option<Point> = None;
            for x in points {
                let point = at(x);
                if let Some(low) = before
                    && low.slope > 0.0
                    && point.slope <= 0.0
                {
                    let top = maximum(low, point, at);
                    if top.shape > -1.0 && top.likelihood > best.0 {
                        best = (top.likelihood, top.shape, top.shape / top.x);
                    }
                }
                before = Some(point);
            }
        };
        // Negative x reaches down to the longest excess's end; positive x has no root beyond Grimshaw's bound.
        let longest = most / mean;
        search(&mut (-28..=28).map(|i| {
            let s = 1.0 / (1.0 + libm::exp(0.5 * f64::from(i)));
            -s / longest
        }));
        let shortest = least / mean;
        let bound = (2.0 * (1.0 - shortest) / (shortest * shortest)).min(1e12) * 1.01;
        let n_steps = ((libm::log(bound) + 14.0) / 0.5).clamp(0.0, 100.0).ceil();
        search(&mut (0..=n_steps as u32).map(|i| libm::exp(-14.0 + 0.5 * f64::from(i))));
        let (shape, scale) = (best.1, best.2 * mean);
        match shape.is_finite() && scale.is_finite() {
            true => Self { shape, scale },
            false => exponential,
        }
    }

    /// The shape: above 0 the tail is heavier than exponential, below 0 it ends at `-scale / shape`.
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// The scale, in the unit of the excesses.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// `P(Y > y)`; 1 for `y` at or below 0.
    pub fn exceedance(&self, y: f64) -> f64 {
        if y.is_nan() {
            return f64::NAN;
        }
        if y <= 0.0 {
            return 1.0;
        }
        let z = y / self.scale; // infinite without a width
        if self.shape == 0.0 {
            return libm::exp(-z);
        }
        let base = self.shape * z;
        if base <= -1.0 {
            0.0
        } else {
            libm::exp(-libm::log1p(base) / self.shape)
        }
    }

    /// The excess exceeded with `probability`: `scale (probability^-shape - 1) / shape`; 0 for a probability of 1 or more,
    /// NaN for one that is not above 0.
    pub fn quantile(&self, probability: f64) -> f64 {
        if probability.is_nan() || probability <= 0.0 {
            return f64::NAN;
        }
        let log = -libm::log(probability.min(1.0));
        let units = match self.shape == 0.0 {
            true => log,
            false => libm::expm1(self.shape * log) / self.shape,
        };
        (self.scale * units).min(f64::MAX)
    }

    /// The log-likelihood of excesses, `-inf` where one lies beyond the tail's end.
    pub fn log_likelihood(&self, excesses: &[f64]) -> f64 {
        let one = |y: &f64| {
            let z = y / self.scale;
            let decay = match self.shape == 0.0 {
                true => z,
                false if self.shape * z <= -1.0 => f64::INFINITY,
                false => (1.0 + 1.0 / self.shape) * libm::log1p(self.shape * z),
            };
            -libm::log(self.scale) - decay
        };
        excesses.iter().map(one).sum()
    }
}

/// The maximum between a rising and a falling point, by bisection and chords in turn.
fn maximum(mut low: Point, mut high: Point, at: impl Fn(f64) -> Point) -> Point {
    for i in 0..60 {
        let middle = 0.5 * (low.x + high.x);
        let chord = low.x + (high.x - low.x) * low.slope / (low.slope - high.slope);
        let x = if i % 2 == 0 && chord > low.x && chord < high.x {
            chord
        } else {
            middle
        };
        let point = at(x);
        if point.slope > 0.0 {
            low = point;
        } else {
            high = point;
        }
        if point.slope == 0.0 || high.x - low.x <= 1e-12 * high.x.abs() {
            return point;
        }
    }
    if low.likelihood > high.likelihood { low } else { high }
}

/// A threshold by its risk: a high level of healthy scores, and the tail above it.
///
/// An empirical quantile cannot say what one row in 100,000 exceeds unless 100,000 rows are there; the tail above a level
/// that a few per cent exceed is of one family whatever the distribution (Pickands, Balkema and de Haan), and that can be
/// extrapolated. The threshold at risk `q` is `level + scale ((q n / n_excesses)^-shape - 1) / shape`.
///
/// ```
/// use prognos::detect::PeaksOverThreshold;
/// // Exponential scores: the true threshold at risk q is -ln q.
/// let scores: Vec<f64> = (1..20_000).map(|i| -(f64::from(i) / 2e4).ln()).collect();
/// let tail = PeaksOverThreshold::fit(&scores, 0.98)?;
/// assert!((tail.threshold(1e-3)? - 6.91).abs() < 0.2);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PeaksRecord", into = "PeaksRecord")]
pub struct PeaksOverThreshold {
    level: f64,
    n: u64,
    n_excesses: u64,
    tail: ParetoTail,
}

#[derive(Serialize, Deserialize)]
struct PeaksRecord {
    level: f64,
    n: u64,
    n_excesses: u64,
    tail: ParetoTail,
}

impl From<PeaksOverThreshold> for PeaksRecord {
    fn from(p: PeaksOverThreshold) -> Self {
        let PeaksOverThreshold {
            level,
            n,
            n_excesses,
            tail,
        } = p;
        Self {
            level,
            n,
            n_excesses,
            tail,
        }
    }
}

impl TryFrom<PeaksRecord> for PeaksOverThreshold {
    type Error = Error;

    fn try_from(r: PeaksRecord) -> Result<Self> {
        if !(r.level.abs() <= LARGEST && r.n_excesses < r.n && r.n <= 1 << 53) {
            return Err(Error::persistence(
                "peaks over threshold: expected a finite level and fewer excesses than scores",
            ));
        }
        Ok(Self {
            level: r.level,
            n: r.n,
            n_excesses: r.n_excesses,
            tail: r.tail,
        })
    }
}

impl PeaksOverThreshold {
    /// From healthy scores; `level` is the share of them that lies at or below the level the tail begins at (0.98 is
    /// usual). Scores that are not finite are left out.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < level < 1`; `InsufficientData` with fewer than 10 finite scores.
    pub fn fit(scores: &[f64], level: f64) -> Result<Self> {
        Ok(Self::with_excesses(scores.iter().copied(), level)?.0)
    }

    /// The tail, and the excesses it was fitted to in the order of their scores.
    fn with_excesses(scores: impl Iterator<Item = f64>, level: f64) -> Result<(Self, Vec<f64>)> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::parameter("level", "above 0 and below 1", level));
        }
        let scores: Vec<f64> = scores.filter(|s| s.is_finite()).map(bounded).collect();
        let n = scores.len();
        if n < LEAST_EXCESSES {
            return Err(Error::insufficient(
                "scores of a tail",
                format!("at least {LEAST_EXCESSES} finite ones"),
                n,
            ));
        }
        let mut sorted = scores.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = ((n as f64 * level).ceil() as usize).clamp(1, n);
        let level = sorted.get(rank - 1).copied().unwrap_or(0.0);
        let excesses: Vec<f64> = scores.iter().filter(|s| **s > level).map(|s| s - level).collect();
        let tail = Self {
            level,
            n: n as u64,
            n_excesses: excesses.len() as u64,
            tail: ParetoTail::of(&excesses),
        };
        Ok((tail, excesses))
    }

    /// The level the tail begins at.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// The tail of excesses over it.
    pub fn tail(&self) -> &ParetoTail {
        &self.tail
    }

    /// Scores seen.
    pub fn n_scores(&self) -> u64 {
        self.n
    }

    /// Scores above the level.
    pub fn n_excesses(&self) -> u64 {
        self.n_excesses
    }

    /// What a healthy score exceeds with probability `risk`. Not below the level: a risk above the share of excesses has no
    /// threshold in the tail.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < risk < 1`.
    pub fn threshold(&self, risk: f64) -> Result<f64> {
        check_risk(risk)?;
        Ok(self.threshold_at(risk))
    }

    fn threshold_at(&self, risk: f64) -> f64 {
        if self.n_excesses == 0 {
            return self.level;
        }
        let probability = risk * (self.n as f64 / self.n_excesses as f64);
        (self.level + self.tail.quantile(probability)).min(f64::MAX)
    }

    /// The probability of a healthy score above `score`; at or below the level, the share above it. NaN for NaN.
    pub fn exceedance(&self, score: f64) -> f64 {
        let share = self.n_excesses as f64 / self.n as f64;
        share * self.tail.exceedance(score - self.level)
    }
}

/// A score no larger in magnitude than differences allow.
fn bounded(score: f64) -> f64 {
    score.clamp(-LARGEST, LARGEST)
}

fn check_risk(risk: f64) -> Result<()> {
    match risk > 0.0 && risk < 1.0 {
        true => Ok(()),
        false => Err(Error::parameter("risk", "above 0 and below 1", risk)),
    }
}
