//! The tail followed online: SPOT, and DSPOT for scores that drift.

use super::{LEAST_EXCESSES, ParetoTail, PeaksOverThreshold, bounded, check_risk};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// The most excesses that may be kept.
const LARGEST_KEPT: usize = 1 << 16;
/// The deepest mean.
const LARGEST_DEPTH: usize = 4096;

/// Settings of a [`Spot`] or [`DriftSpot`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpotParams {
    risk: f64,
    level: f64,
    max_excesses: usize,
}

impl SpotParams {
    /// Alarms at scores that a healthy row exceeds with probability `risk`, 1e-4 say.
    pub fn new(risk: f64) -> Self {
        Self {
            risk,
            level: 0.98,
            max_excesses: 1000,
        }
    }

    /// The share of the first scores at or below the level the tail begins at: 0.98 unless set.
    #[must_use]
    pub fn level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    /// The excesses kept, 1,000 unless set: of more, an even sample of all so far (a reservoir, drawn by a fixed seed).
    ///
    /// The oldest are not simply dropped: as anomalies are not learnt, a tail of the newest alone would be cut off at its
    /// threshold, fall, be cut off lower, and so on.
    #[must_use]
    pub fn max_excesses(mut self, n: usize) -> Self {
        self.max_excesses = n;
        self
    }

    fn check(&self) -> Result<()> {
        check_risk(self.risk)?;
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(Error::parameter("level", "above 0 and below 1", self.level));
        }
        if !(LEAST_EXCESSES..=LARGEST_KEPT).contains(&self.max_excesses) {
            return Err(Error::parameter("max_excesses", "in 10..=65536", self.max_excesses));
        }
        Ok(())
    }

    /// A threshold that starts from the first healthy scores of a machine; those that are not finite are left out.
    ///
    /// # Errors
    /// `InvalidParameter` unless risk and level lie between 0 and 1 and `max_excesses` in 10..=65,536; `InsufficientData`
    /// with fewer than 10 finite scores.
    pub fn spot(&self, first_scores: &[f64]) -> Result<Spot> {
        self.spot_of(first_scores.iter().copied())
    }

    fn spot_of(&self, first: impl Iterator<Item = f64>) -> Result<Spot> {
        self.check()?;
        let (peaks, mut excesses) = PeaksOverThreshold::with_excesses(first, self.level)?;
        let mut tail = peaks;
        if excesses.len() > self.max_excesses {
            for i in self.max_excesses..excesses.len() {
                if let Some(place) = self.place_of(i as u64) {
                    excesses.swap(place, i);
                }
            }
            excesses.truncate(self.max_excesses);
            tail.tail = ParetoTail::of(&excesses);
        }
        excesses.reserve_exact(self.max_excesses - excesses.len());
        Ok(Spot {
            params: *self,
            threshold: tail.threshold_at(self.risk),
            peaks: tail,
            excesses,
        })
    }

    /// Where excess `i` of all goes once every place is taken; `None` where it is not kept (Vitter's algorithm R).
    fn place_of(&self, i: u64) -> Option<usize> {
        let drawn = Seed(0).part(i).0 % (i + 1);
        (drawn < self.max_excesses as u64).then_some(drawn as usize)
    }

    /// The same for scores that drift: of each the mean of the last `depth` normal ones before it is taken off. The first
    /// `depth` scores fill the mean, the rest start the threshold.
    ///
    /// # Errors
    /// As [`spot`](SpotParams::spot), with at least 10 finite scores beyond the first `depth`; `InvalidParameter` unless
    /// `depth` is in 1..=4096.
    pub fn drift_spot(&self, first_scores: &[f64], depth: usize) -> Result<DriftSpot> {
        if !(1..=LARGEST_DEPTH).contains(&depth) {
            return Err(Error::parameter("depth", "in 1..=4096 scores", depth));
        }
        self.check()?;
        let first: Vec<f64> = first_scores
            .iter()
            .filter(|s| s.is_finite())
            .map(|s| bounded(*s))
            .collect();
        if first.len() < depth.saturating_add(LEAST_EXCESSES) {
            return Err(Error::insufficient(
                "first scores",
                format!("at least {} finite ones", depth.saturating_add(LEAST_EXCESSES)),
                first.len(),
            ));
        }
        let mut window = Window {
            values: first.iter().take(depth).copied().collect(),
            next: 0,
        };
        let detrended = first.iter().skip(depth).map(|score| {
            let rest = score - window.mean();
            window.push(*score);
            rest
        });
        let detrended: Vec<f64> = detrended.collect();
        Ok(DriftSpot {
            spot: self.spot_of(detrended.into_iter())?,
            window,
        })
    }
}

/// What a score was to a [`Spot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SpotVerdict {
    /// At or below the level of the tail.
    Normal,
    /// Above the level, not above the threshold: the tail learns it.
    Peak,
    /// Above the threshold. Nothing is learnt of it.
    Anomaly,
    /// NaN or negative infinity: nothing is known.
    Ignored,
}

/// SPOT: a threshold at a given risk that follows the tail of a machine's scores.
///
/// A score above the threshold is an anomaly and is not learnt; one above the level is a peak, its excess is added to the
/// tail, and the tail is fitted anew; any other only counts. NaN and negative infinity change nothing; positive infinity is
/// an anomaly.
///
/// Scores are taken to be independent and of one distribution (of scores that drift, see [`DriftSpot`]).
///
/// Healthy rows above the threshold are not learnt either, so the tail stays near what the first scores said of it: give
/// enough of them. Of 40,000 to 58,000 independent Erlang scores at level 0.98, `tests/golden/tail.rs` counts 1.2 times the
/// alarms asked for at a risk of 1e-3 and 0.8 times at 1e-4 after 20,000 first scores (400 excesses), but 2.6 and 9.5 times
/// after 2,000 (40 excesses).
///
/// Memory: [`max_excesses`](SpotParams::max_excesses) excesses, 8 kB unless set otherwise. Cost: some dozens of
/// nanoseconds for most scores; a fit for a peak that is kept, about half a millisecond with 1,000 excesses. Nothing is
/// allocated.
///
/// Source: Siffer et al. (2017), <https://doi.org/10.1145/3097983.3098144>.
///
/// ```
/// use prognos::detect::{SpotParams, SpotVerdict};
/// let healthy: Vec<f64> = (0..1000).map(|i| f64::from(i * 7919 % 1000) / 1000.0).collect();
/// let mut spot = SpotParams::new(1e-4).spot(&healthy)?;
/// assert_eq!(spot.step(0.5), SpotVerdict::Normal);
/// assert_eq!(spot.step(0.99), SpotVerdict::Peak);
/// assert_eq!(spot.step(7.0), SpotVerdict::Anomaly);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SpotRecord", into = "SpotRecord")]
pub struct Spot {
    params: SpotParams,
    peaks: PeaksOverThreshold,
    threshold: f64,
    excesses: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct SpotRecord {
    params: SpotParams,
    peaks: PeaksOverThreshold,
    excesses: Vec<f64>,
}

impl From<Spot> for SpotRecord {
    fn from(s: Spot) -> Self {
        Self {
            params: s.params,
            peaks: s.peaks,
            excesses: s.excesses,
        }
    }
}

impl TryFrom<SpotRecord> for Spot {
    type Error = Error;

    fn try_from(r: SpotRecord) -> Result<Self> {
        let broken = |what: &str| Err(Error::persistence(format!("SPOT: expected {what}")));
        r.params.check().map_err(|e| Error::persistence(format!("SPOT: {e}")))?;
        let (k, most) = (r.excesses.len(), r.params.max_excesses);
        if k > most || r.peaks.n_excesses < k as u64 || (k < most && r.peaks.n_excesses != k as u64) {
            return broken("excesses, as many as were counted or may be kept");
        }
        if !r.excesses.iter().all(|y| *y > 0.0 && *y <= 4.0 * super::LARGEST) {
            return broken("excesses that are finite and above 0");
        }
        if r.peaks.tail != ParetoTail::of(&r.excesses) {
            return broken("the tail of its excesses");
        }
        let mut excesses = r.excesses;
        excesses.reserve_exact(most - k);
        Ok(Self {
            params: r.params,
            threshold: r.peaks.threshold_at(r.params.risk),
            peaks: r.peaks,
            excesses,
        })
    }
}

impl Spot {
    /// What a score must exceed now to be an anomaly.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The tail as it is known now.
    pub fn peaks(&self) -> &PeaksOverThreshold {
        &self.peaks
    }

    /// The settings.
    pub fn params(&self) -> &SpotParams {
        &self.params
    }

    /// Judges a score, then learns it unless it is an anomaly.
    pub fn step(&mut self, score: f64) -> SpotVerdict {
        if score.is_nan() || score == f64::NEG_INFINITY {
            return SpotVerdict::Ignored;
        }
        if score > self.threshold || score == f64::INFINITY {
            return SpotVerdict::Anomaly;
        }
        self.peaks.n = self.peaks.n.saturating_add(1).min(1 << 53);
        let excess = bounded(score) - self.peaks.level;
        let verdict = if excess > 0.0 {
            let place = match self.excesses.len() < self.params.max_excesses {
                true => {
                    self.excesses.push(excess);
                    Some(self.excesses.len() - 1)
                }
                false => self.params.place_of(self.peaks.n_excesses),
            };
            self.peaks.n_excesses = (self.peaks.n_excesses + 1).min(self.peaks.n - 1);
            if let Some(kept) = place.and_then(|i| self.excesses.get_mut(i)) {
                *kept = excess;
                self.peaks.tail = ParetoTail::of(&self.excesses);
            }
            SpotVerdict::Peak
        } else {
            SpotVerdict::Normal
        };
        self.threshold = self.peaks.threshold_at(self.params.risk);
        verdict
    }
}

/// The last normal scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Window {
    values: Vec<f64>,
    next: usize,
}

impl Window {
    /// Summed anew each time: no rounding is carried along.
    fn mean(&self) -> f64 {
        let n = self.values.len() as f64;
        self.values.iter().map(|v| v / n).sum()
    }

    fn push(&mut self, value: f64) {
        if let Some(oldest) = self.values.get_mut(self.next) {
            *oldest = value;
        }
        self.next = (self.next + 1) % self.values.len().max(1);
    }
}

/// DSPOT: a [`Spot`] over scores less the mean of the last normal ones.
///
/// Slow changes of the scores' level are followed, sudden ones are anomalies. Anomalies enter neither tail nor mean: a
/// jump that stays is an anomaly for good, until a new one is started. Memory and cost: as [`Spot`], and `depth` values,
/// summed at each score.
///
/// Source: Siffer et al. (2017), <https://doi.org/10.1145/3097983.3098144>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DriftRecord", into = "DriftRecord")]
pub struct DriftSpot {
    spot: Spot,
    window: Window,
}

#[derive(Serialize, Deserialize)]
struct DriftRecord {
    spot: Spot,
    window: Window,
}

impl From<DriftSpot> for DriftRecord {
    fn from(s: DriftSpot) -> Self {
        let DriftSpot { spot, window } = s;
        Self { spot, window }
    }
}

impl TryFrom<DriftRecord> for DriftSpot {
    type Error = Error;

    fn try_from(r: DriftRecord) -> Result<Self> {
        let w = &r.window;
        let depth = w.values.len();
        let sound = w.values.iter().all(|v| v.abs() <= super::LARGEST);
        if !((1..=LARGEST_DEPTH).contains(&depth) && w.next < depth && sound) {
            return Err(Error::persistence(
                "DSPOT: expected 1 to 4096 finite scores in its mean",
            ));
        }
        Ok(Self {
            spot: r.spot,
            window: r.window,
        })
    }
}

impl DriftSpot {
    /// What a score must exceed now to be an anomaly: the mean of the last normal scores and the threshold over it.
    pub fn threshold(&self) -> f64 {
        (self.window.mean() + self.spot.threshold).min(f64::MAX)
    }

    /// The threshold of scores less their mean.
    pub fn spot(&self) -> &Spot {
        &self.spot
    }

    /// The number of scores in the mean.
    pub fn depth(&self) -> usize {
        self.window.values.len()
    }

    /// Judges a score, then learns it unless it is an anomaly.
    pub fn step(&mut self, score: f64) -> SpotVerdict {
        let verdict = self.spot.step(score - self.window.mean());
        if matches!(verdict, SpotVerdict::Normal | SpotVerdict::Peak) {
            self.window.push(bounded(score));
        }
        verdict
    }
}
