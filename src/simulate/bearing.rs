//! Generated vibration of a rolling bearing with a known fault.

use super::random::Random;
use crate::{
    error::{Error, Result},
    features::bearing::BearingOrders,
    quantity::{Hertz, Seed},
};
use std::f64::consts::TAU;

/// The most samples of one recording.
const MOST_SAMPLES: f64 = (1_u64 << 24) as f64;

/// What is wrong with a generated bearing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BearingCondition {
    /// Nothing.
    #[default]
    Healthy,
    /// A spall on the inner race.
    InnerRace,
    /// A spall on the outer race.
    OuterRace,
    /// A spall on a rolling element.
    Ball,
}

impl BearingCondition {
    /// All, healthy first.
    pub const ALL: [Self; 4] = [Self::Healthy, Self::InnerRace, Self::OuterRace, Self::Ball];

    /// `healthy`, `inner_race`, `outer_race` or `ball`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::InnerRace => "inner_race",
            Self::OuterRace => "outer_race",
            Self::Ball => "ball",
        }
    }
}

/// Acceleration in g of a bearing's housing: noise, harmonics of the shaft, and where there is a fault a train of impacts
/// that ring at a resonance.
///
/// An element meets the fault every `1 / order` turns, give or take 1% of that at each step (elements slip, so phase wanders
/// as a random walk). Impacts on the inner race are strongest once a turn, those of an element once a turn of the cage, as
/// they pass the load zone; those on the outer race are alike within 10%. Each rings at 3,240 Hz (0.27 of the rate where that is
/// less) with a decay of 1 ms.
///
/// The same seed gives the same samples everywhere.
///
/// ```
/// use prognos::{diagnose::bearing::{BearingDiagnosis, BearingVerdict}, features::bearing, quantity::{Hertz, Seed}};
/// use prognos::simulate::{BearingCondition, BearingVibration};
/// let orders = bearing::find("6205")?.orders;
/// let (rate, shaft) = (Hertz::new(12_000.0)?, Hertz::from_rpm(1772.0)?);
/// let x = BearingVibration::params(orders, rate, shaft).condition(BearingCondition::OuterRace).generate(8.0, Seed(1))?;
/// let report = BearingDiagnosis::new(orders).diagnose(&x, rate, shaft)?;
/// assert_eq!(report.verdict, BearingVerdict::OuterRace, "{report}");
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// Source: McFadden & Smith (1984), <https://doi.org/10.1016/0022-460X(84)90595-9>; Antoni & Randall (2003),
/// <https://doi.org/10.1115/1.1569940>, for the slip.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct BearingVibration {
    orders: BearingOrders,
    rate: Hertz,
    shaft: Hertz,
    condition: BearingCondition,
    impact_g: f64,
    noise_g: f64,
}

impl BearingVibration {
    /// A healthy bearing with these orders on a shaft that turns at `shaft`, sampled at `rate`.
    pub fn params(orders: BearingOrders, rate: Hertz, shaft: Hertz) -> Self {
        Self {
            orders,
            rate,
            shaft,
            condition: BearingCondition::default(),
            impact_g: 0.5,
            noise_g: 0.1,
        }
    }

    /// What is wrong.
    pub fn condition(mut self, condition: BearingCondition) -> Self {
        self.condition = condition;
        self
    }

    /// Peak of an impact, 0.5 g unless given.
    pub fn impact_g(mut self, peak: f64) -> Self {
        self.impact_g = peak;
        self
    }

    /// Standard deviation of the noise, 0.1 g unless given.
    pub fn noise_g(mut self, sd: f64) -> Self {
        self.noise_g = sd;
        self
    }

    /// The samples of `seconds`.
    ///
    /// # Errors
    /// `InvalidParameter` unless impact and noise are finite and not negative and there are 1 to 2^24 samples.
    pub fn generate(&self, seconds: f64, seed: Seed) -> Result<Vec<f64>> {
        for (name, v) in [("impact_g", self.impact_g), ("noise_g", self.noise_g)] {
            if !(v.is_finite() && v >= 0.0) {
                return Err(Error::parameter(name, "finite and not negative", v));
            }
        }
        let samples = (seconds * self.rate.get()).floor();
        if !(1.0..=MOST_SAMPLES).contains(&samples) {
            let expected = format!("to hold 1..={MOST_SAMPLES} samples");
            return Err(Error::parameter("seconds", expected, seconds));
        }
        let mut random = Random::new(seed);
        let turns = |i: usize| i as f64 * self.shaft.get() / self.rate.get();
        let phases = [random.uniform(), random.uniform(), random.uniform()];
        let mut x: Vec<f64> = (0..samples as usize)
            .map(|i| {
                let harmonics = phases.iter().zip([(1.0, 0.05), (2.0, 0.03), (3.0, 0.02)]);
                let shaft: f64 = harmonics
                    .map(|(p, (h, a))| a * libm::sin(TAU * (h * turns(i) + p)))
                    .sum();
                shaft + self.noise_g * random.normal()
            })
            .collect();
        self.add_impacts(&mut x, &mut random);
        Ok(x)
    }

    fn add_impacts(&self, x: &mut [f64], random: &mut Random) {
        // Order of the impacts, and of the passage through the load zone with its depth.
        let (order, (zone, depth)) = match self.condition {
            BearingCondition::Healthy => return,
            BearingCondition::InnerRace => (self.orders.bpfi(), (1.0, 0.6)),
            BearingCondition::OuterRace => (self.orders.bpfo(), (1.0, 0.0)),
            BearingCondition::Ball => (2.0 * self.orders.bsf(), (self.orders.ftf(), 0.6)),
        };
        let ring = (3240.0 / self.rate.get()).min(0.27);
        let decay = 1.0 / (1e-3 * self.rate.get());
        let ringing = (8.0 / decay).ceil() as usize; // until e^-8
        let end = x.len() as f64 * self.shaft.get() / self.rate.get();
        let mut turn = random.uniform() / order;
        while turn < end {
            let load = 1.0 - depth * (0.5 - 0.5 * libm::cos(TAU * zone * turn));
            let peak = self.impact_g * load * (1.0 + 0.1 * random.normal());
            let at = turn * self.rate.get() / self.shaft.get();
            let first = at.ceil();
            for (i, v) in x.iter_mut().skip(first as usize).take(ringing).enumerate() {
                let t = first + i as f64 - at;
                *v += peak * libm::exp(-decay * t) * libm::sin(TAU * ring * t);
            }
            turn += (1.0 + 0.01 * random.normal()).max(0.5) / order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::bearing;

    #[test]
    fn impacts_come_at_the_faults_rate_and_bad_parameters_are_refused() {
        let orders = bearing::find("6205").unwrap().orders;
        let (rate, shaft) = (Hertz::new(12_000.0).unwrap(), Hertz::new(30.0).unwrap());
        let params = BearingVibration::params(orders, rate, shaft).noise_g(0.0);
        for condition in BearingCondition::ALL {
            let x = params.condition(condition).generate(2.0, Seed(1)).unwrap();
            assert_eq!(x, params.condition(condition).generate(2.0, Seed(1)).unwrap());
            // Onsets: above half the peak after a millisecond and a half without.
            let (mut onsets, mut quiet) = (0, 0);
            for v in &x {
                quiet = if v.abs() > 0.2 { 0 } else { quiet + 1 };
                onsets += usize::from(quiet == 18);
            }
            let expected = match condition {
                BearingCondition::Healthy => 1.0,
                BearingCondition::InnerRace => orders.bpfi() * 60.0,
                BearingCondition::OuterRace => orders.bpfo() * 60.0,
                BearingCondition::Ball => 2.0 * orders.bsf() * 60.0,
            };
            // Inner and ball impacts outside the load zone are weaker than the bar.
            let share = onsets as f64 / expected;
            assert!((0.5..1.1).contains(&share), "{condition:?}: {onsets} for {expected}");
        }
        assert!(params.generate(0.0, Seed(1)).is_err() && params.generate(f64::NAN, Seed(1)).is_err());
        assert!(params.generate(1e9, Seed(1)).is_err());
        assert!(params.impact_g(f64::NAN).generate(1.0, Seed(1)).is_err());
        assert!(params.noise_g(-1.0).generate(1.0, Seed(1)).is_err());
    }
}
