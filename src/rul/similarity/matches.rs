//! From lives that are like a machine's to its remaining life.

use crate::{
    error::{Error, Result},
    model::{NoPrognosis, RulDistribution},
    quantity::LifeUnit,
    rul::lives_in_order::quantile,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// What a life that is compared has left, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    pub(super) distance: f64,
    pub(super) remaining: f64,
    pub(super) failed: bool,
}

/// Matches of one comparison; those of 64 lives without allocating.
pub(super) type Matches = SmallVec<[Match; 64]>;

/// The distance of the nearest life; infinite where there is none.
pub(super) fn nearest(matches: &Matches) -> f64 {
    matches.iter().map(|m| m.distance).fold(f64::INFINITY, f64::min)
}

/// Settings of every similarity model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WeightSettings {
    pub(super) n_nearest: usize,
    pub(super) width: Option<f64>,
    pub(super) strangeness: f64,
    pub(super) window: usize,
}

impl Default for WeightSettings {
    fn default() -> Self {
        Self {
            n_nearest: 20,
            width: None,
            strangeness: 3.0,
            window: 30,
        }
    }
}

impl WeightSettings {
    pub(super) fn check(&self) -> Result<()> {
        if !(1..=10_000).contains(&self.n_nearest) {
            return Err(Error::parameter("n_nearest", "from 1 to 10,000", self.n_nearest));
        }
        if let Some(w) = self.width
            && !(1e-12..=1e12).contains(&w)
        {
            return Err(Error::parameter("width", "1e-12..=1e12", w));
        }
        if !(1e-9..=1e12).contains(&self.strangeness) {
            return Err(Error::parameter("strangeness", "1e-9..=1e12", self.strangeness));
        }
        if !(2..=1000).contains(&self.window) {
            return Err(Error::parameter("window", "from 2 to 1,000 readings", self.window));
        }
        Ok(())
    }
}

/// How far lives weigh, learned from the distances among recorded lives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kernel {
    n_nearest: usize,
    /// Of squared distances.
    width: f64,
    /// Distance beyond which nothing is similar.
    limit: f64,
}

impl Kernel {
    /// From the distance of each life, at a few of its ages, to the nearest of the others.
    pub(super) fn learn(settings: &WeightSettings, mut nearest: Vec<f64>) -> Result<Self> {
        nearest.retain(|d| d.is_finite());
        let (Some(middle), Some(high)) = (quantile(&mut nearest, 0.5), quantile(&mut nearest, 0.95)) else {
            return Err(Error::insufficient(
                "similarity model",
                "lives that can be compared with each other",
                "none",
            ));
        };
        // Lives that are all the same still tell a similar one from another.
        let least = 1e-3;
        Ok(Self {
            n_nearest: settings.n_nearest,
            width: settings.width.unwrap_or((middle * middle).max(least * least)),
            limit: settings.strangeness * high.max(least),
        })
    }

    pub(super) fn check(self) -> Result<Self> {
        let sound = (1..=10_000).contains(&self.n_nearest)
            && (1e-12..=1e15).contains(&self.width)
            && (1e-15..=1e30).contains(&self.limit);
        if sound {
            Ok(self)
        } else {
            Err(Error::persistence(format!(
                "similarity model: expected a width and a limit above 0, got {self:?}"
            )))
        }
    }

    /// The distribution of what the nearest lives have left. Lives weigh `exp(-(d² - d_min²)/width)`.
    pub(super) fn prognose(
        &self,
        matches: &mut Matches,
        unit: LifeUnit,
    ) -> std::result::Result<RulDistribution, NoPrognosis> {
        matches.retain(|m| m.distance.is_finite() && m.remaining >= 0.0 && m.remaining.is_finite());
        // Ties in an order that does not depend on that of the lives.
        matches.sort_by(|a, b| {
            a.distance
                .total_cmp(&b.distance)
                .then(a.remaining.total_cmp(&b.remaining))
                .then(b.failed.cmp(&a.failed))
        });
        let Some(nearest) = matches.first().map(|m| m.distance) else {
            return Err(NoPrognosis::BeyondKnownLives);
        };
        if !nearest.le(&self.limit) {
            return Err(NoPrognosis::NoSimilarLife);
        }
        matches.truncate(self.n_nearest);
        let weight = |d: f64| libm::exp(-(d * d - nearest * nearest) / self.width);
        let weighted: SmallVec<[(f64, f64, bool); 64]> = matches
            .iter()
            .map(|m| (m.remaining, weight(m.distance), m.failed))
            .collect();
        let (failures, beyond) = survived(weighted);
        if beyond > 1.0 - 1e-6 {
            return Err(NoPrognosis::BeyondKnownLives);
        }
        RulDistribution::from_weighted(unit, &failures, beyond).map_err(|_| NoPrognosis::BeyondKnownLives)
    }
}

/// Failures with their probabilities, in order, and the probability of a longer life.
type Failures = SmallVec<[(f64, f64); 64]>;

/// The weighted estimator of Kaplan and Meier (1958, doi 10.1080/01621459.1958.10501452): a life known only to be longer gives
/// its weight to the longer ones, in proportion to theirs, and beyond all known ones where there is none.
fn survived(mut lives: SmallVec<[(f64, f64, bool); 64]>) -> (Failures, f64) {
    // Of equal lives the failures come first: one that went on then was still there.
    lives.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.2.cmp(&a.2)).then(a.1.total_cmp(&b.1)));
    let mut left: f64 = lives.iter().map(|l| l.1).sum();
    let mut survival = 1.0;
    let mut failures = Failures::new();
    for &(life, weight, failed) in &lives {
        if failed && left > 0.0 {
            let mass = (survival * weight / left).min(survival);
            failures.push((life, mass));
            survival -= mass;
        }
        left -= weight;
    }
    // What rounding leaves where all failed is nothing.
    (failures, if survival > 1e-12 { survival } else { 0.0 })
}

/// The setters of [`WeightSettings`] on the parameters of a model.
macro_rules! weight_setters {
    ($params:ty) => {
        impl $params {
            /// How many of the most similar lives count. Default 20.
            #[must_use]
            pub fn n_nearest(self, n: usize) -> Self {
                self.with(|s| s.weights.n_nearest = n)
            }

            /// Width of the kernel: a life at distance `d` weighs `exp(-d²/width)`. Unless set, the squared median of the
            /// distances from recorded lives to the nearest other.
            #[must_use]
            pub fn width(self, width: f64) -> Self {
                self.with(|s| s.weights.width = Some(width))
            }

            /// No life is similar where the nearest is this many times as far as 95% of recorded lives, at a quarter, half
            /// and three quarters of their records, are from their nearest other. Default 3.
            #[must_use]
            pub fn strangeness(self, times: f64) -> Self {
                self.with(|s| s.weights.strangeness = times)
            }

            /// Readings of a machine that are compared, its last ones. Default 30.
            #[must_use]
            pub fn window(self, readings: usize) -> Self {
                self.with(|s| s.weights.window = readings)
            }
        }
    };
}
pub(super) use weight_setters;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_settings_allow_files_allow() {
        let of = |width, strangeness| WeightSettings {
            width: Some(width),
            strangeness,
            ..WeightSettings::default()
        };
        for settings in [of(1e-12, 1e-9), of(1e12, 1e12)] {
            settings.check().unwrap();
            assert!(Kernel::learn(&settings, vec![0.0, 200.0]).unwrap().check().is_ok());
        }
        assert!(of(1e-13, 3.0).check().is_err() && of(1.0, 1e-10).check().is_err());
        assert!(of(f64::NAN, 3.0).check().is_err() && of(1.0, f64::NAN).check().is_err());
    }
    use proptest::prelude::*;

    #[test]
    fn censored_weight_goes_to_longer_lives() {
        // Weights 1 at 10, 20 (censored), 30, 40: survival 3/4 after 10, then halves at 30 and nothing.
        let of = |failed: [bool; 4]| {
            let all = [10.0, 20.0, 30.0, 40.0].into_iter().zip(failed);
            survived(all.map(|(l, f)| (l, 1.0, f)).collect())
        };
        let (failures, beyond) = of([true, false, true, true]);
        assert_eq!(failures[..], [(10.0, 0.25), (30.0, 0.375), (40.0, 0.375)]);
        assert_eq!(
            (beyond, of([true, true, true, false]).1, of([false; 4]).1),
            (0.0, 0.25, 1.0)
        );
    }

    proptest! {
        #[test]
        fn more_censoring_never_shortens_life(
            lives in prop::collection::vec((0.0..100.0f64, 0.01..1.0f64, any::<bool>()), 2..30), which in 0usize..30,
        ) {
            let mut more = lives.clone();
            more[which % lives.len()].2 = false;
            let (before, after) = (survived(lives.clone().into()).0, survived(more.into()).0);
            let failed = |f: &Failures, t: f64| f.iter().filter(|l| l.0 <= t).map(|l| l.1).sum::<f64>();
            for (t, ..) in lives {
                // Some thirty roundings of probabilities.
                prop_assert!(failed(&after, t) <= failed(&before, t) + 1e-13, "{}", t);
            }
        }
    }
}
