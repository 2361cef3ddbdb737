//! Diagnosis of rolling bearings from one record, by physics alone.

mod envelope_orders;
mod shaft_speed;
mod verdict;

use crate::{
    error::{Error, Result},
    features::bearing::BearingOrders,
    quantity::Hertz,
    signal::{Detrend, Resampler},
    spectrum::CepstralPrewhitening,
};
use envelope_orders::{EnvelopeOrders, squared_envelope};
use serde::{Deserialize, Serialize};
use std::fmt;
use verdict::Measured;

/// Records above this rate are decimated, to about the lower one.
const HIGHEST_RATE_HZ: f64 = 20_000.0;
const WORKING_RATE_HZ: f64 = 12_000.0;
/// Below this many samples a turn, three harmonics of a fault do not fit under the Nyquist frequency of the envelope.
const LEAST_SAMPLES_A_TURN: f64 = 64.0;
/// Turns of the shaft that a record needs at least.
const LEAST_TURNS: f64 = 25.0;
/// Seconds of a segment: rolling elements slip, and longer ones would smear no less.
const SEGMENT_S: f64 = 2.0;
const SLOW_SEGMENT_S: f64 = 5.0;
/// The longest record.
const MOST_SAMPLES: usize = 1 << 23;

/// A part of a bearing that may be at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BearingFault {
    /// The inner ring's raceway.
    InnerRace,
    /// The outer ring's raceway.
    OuterRace,
    /// A rolling element.
    Ball,
}

impl BearingFault {
    fn name(self) -> &'static str {
        BearingVerdict::from(self).name()
    }
}

/// What a record says of a bearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BearingVerdict {
    /// No sign of a fault. From one record without a baseline this is weak.
    Healthy,
    /// A fault of the inner race.
    InnerRace,
    /// A fault of the outer race.
    OuterRace,
    /// A fault of a rolling element.
    Ball,
    /// A fault of the cage. No rule here claims it yet: its lines are those of a worn element too.
    Cage,
    /// Not clear; the evidence says what stands against each claim.
    Undetermined,
}

impl BearingVerdict {
    /// `healthy`, `inner_race`, `outer_race`, `ball`, `cage` or `undetermined`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::InnerRace => "inner_race",
            Self::OuterRace => "outer_race",
            Self::Ball => "ball",
            Self::Cage => "cage",
            Self::Undetermined => "undetermined",
        }
    }
}

impl fmt::Display for BearingVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<BearingFault> for BearingVerdict {
    fn from(fault: BearingFault) -> Self {
        match fault {
            BearingFault::InnerRace => Self::InnerRace,
            BearingFault::OuterRace => Self::OuterRace,
            BearingFault::Ball => Self::Ball,
        }
    }
}

/// One line of a fault in the prewhitened squared-envelope spectrum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FaultLine {
    /// Which harmonic of the fault.
    pub harmonic: u32,
    /// Where, in orders of the shaft.
    pub order: f64,
    /// Where, in hertz.
    pub frequency_hz: f64,
    /// Height over the median of its surroundings.
    pub signal_to_noise_db: f64,
    /// Amplitude above the surroundings, relative to the mean of the squared envelope.
    pub amplitude_percent: f64,
    /// Where sidebands were looked for: at the shaft's rate, for rolling elements at the cage's.
    pub sideband_spacing_orders: f64,
    /// Mean height of the two first sidebands.
    pub sideband_signal_to_noise_db: f64,
}

/// What speaks for one fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FaultCandidate {
    /// The fault.
    pub fault: BearingFault,
    /// Its order by geometry; for rolling elements twice their spin, as both rings are struck.
    pub nominal_order: f64,
    /// Its order in the record.
    pub order: f64,
    /// How far that lies from the nominal.
    pub slip_percent: f64,
    /// Mean height of its lines, in nepers of power over the median of their surroundings.
    pub score: f64,
    /// How deep its lines modulate the squared envelope.
    pub modulation_percent: f64,
    /// Its lines.
    pub lines: Vec<FaultLine>,
}

/// The verdict on one record, with all that led to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BearingReport {
    /// The verdict.
    pub verdict: BearingVerdict,
    /// How far the weakest condition of the verdict is fulfilled: 0.5 at its threshold, 1 at twice that. Not a probability.
    /// 0.5 for `healthy`, 0 for `undetermined`.
    pub confidence: f64,
    /// The rate of the shaft that orders refer to.
    pub shaft_hz: f64,
    /// Whether that was found in the record; else it is the stated one.
    pub shaft_is_refined: bool,
    /// What speaks for each fault: inner race, outer race, rolling element. Empty where the record was not usable.
    pub candidates: Vec<FaultCandidate>,
    /// Order and score of the strongest comb of all, whatever makes it.
    pub strongest_order: f64,
    /// See `strongest_order`.
    pub strongest_score: f64,
    /// Kurtosis of the samples, 3 for Gaussian noise; NaN where the record was not usable.
    pub kurtosis: f64,
    /// What led to the verdict, in sentences.
    pub evidence: Vec<String>,
}

impl BearingReport {
    fn say(&mut self, text: impl Into<String>) {
        self.evidence.push(text.into());
    }

    fn unusable(shaft: Hertz, why: impl Into<String>) -> Self {
        Self {
            verdict: BearingVerdict::Undetermined,
            confidence: 0.0,
            shaft_hz: shaft.get(),
            shaft_is_refined: false,
            candidates: Vec::new(),
            strongest_order: f64::NAN,
            strongest_score: f64::NAN,
            kurtosis: f64::NAN,
            evidence: vec![why.into()],
        }
    }
}

impl fmt::Display for BearingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (confidence {:.2}, shaft {:.3} Hz)",
            self.verdict, self.confidence, self.shaft_hz
        )?;
        self.evidence.iter().try_for_each(|e| write!(f, "\n  {e}"))
    }
}

/// Diagnosis of a rolling bearing from the acceleration on its housing, the speed of the shaft and the bearing's orders.
/// Nothing is trained, and the settings are the same for every machine.
///
/// 1. Above 20 kHz the record is decimated to about 12 kHz; its mean is removed.
/// 2. The speed is refined by up to 2% from the harmonics of the shaft in the spectra of signal and envelope.
/// 3. The squared envelope is taken of the signal as it is and of the signal after
///    [cepstral prewhitening](CepstralPrewhitening), and averaged to spectra over segments of 2 s.
/// 4. A fault's comb is its first three harmonics, without those on multiples of the shaft; its score the mean height of
///    these lines over a running median of 30 Hz, at the best place within the slip (1% for races, 2% for elements).
/// 5. A fault is claimed where, in the prewhitened spectrum, its comb is high enough, modulates the envelope by 20% or more,
///    leads the other faults, lies within its slip, is not weaker than any other comb from 1.2 to 11 orders, and is no
///    harmonic of a slower one.
/// 6. Otherwise the bearing is `healthy` where kurtosis is below 4 and no comb stands out in either spectrum; else
///    `undetermined`, with the reasons, and a hint where lines of the cage stand out.
///
/// Channel, speed and bearing must belong together: a speed that is off by more than the 2% of step 2 puts every line of the
/// bearing in a wrong place, and harmonics of the shaft may seem to confirm it. Faults that do not strike (wear, lubrication)
/// are not seen.
///
/// # Bad records
/// A record that is shorter than 25 turns, holds NaN or infinity, does not vary, or has fewer than 64 samples a turn is
/// `undetermined`, and the evidence says why.
///
/// # Cost
/// Some ten transforms of the record.
///
/// Sources: Randall & Antoni (2011), <https://doi.org/10.1016/j.ymssp.2010.07.017>; Borghesani et al. (2013),
/// <https://doi.org/10.1016/j.ymssp.2012.11.001>; Smith & Randall (2015), <https://doi.org/10.1016/j.ymssp.2015.04.021>, on
/// which records of the CWRU rig are hard.
///
/// ```
/// use prognos::{diagnose::bearing::{BearingDiagnosis, BearingVerdict}, features::bearing, quantity::{Hertz, Seed}};
/// use prognos::simulate::{BearingCondition, BearingVibration};
/// let (orders, rate, shaft) = (bearing::find("6205-2RS JEM")?.orders, Hertz::new(12_000.0)?, Hertz::from_rpm(1772.0)?);
/// let acceleration_g =
///     BearingVibration::params(orders, rate, shaft).condition(BearingCondition::OuterRace).generate(5.0, Seed(1))?;
/// let report = BearingDiagnosis::new(orders).diagnose(&acceleration_g, rate, shaft)?;
/// assert_eq!(report.verdict, BearingVerdict::OuterRace);
/// println!("{report}"); // the verdict and what led to it
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BearingDiagnosis {
    orders: BearingOrders,
}

impl BearingDiagnosis {
    /// The diagnosis of a bearing with these orders.
    pub fn new(orders: BearingOrders) -> Self {
        Self { orders }
    }

    /// The orders.
    pub fn orders(&self) -> BearingOrders {
        self.orders
    }

    /// The verdict on a record of acceleration, in any unit, of a shaft that turns at about `shaft`.
    ///
    /// # Errors
    /// `InvalidInput` above 2^23 samples. A record that cannot be judged is no error but `undetermined`.
    pub fn diagnose(&self, samples: &[f64], rate: Hertz, shaft: Hertz) -> Result<BearingReport> {
        Ok(BearingRecord::measure(samples, rate, shaft)?.judge(&self.orders))
    }
}

/// A record prepared for judgement: the same vibration may be asked about several bearings on one shaft, which costs far
/// less than preparing it again.
pub struct BearingRecord {
    shaft: Hertz,
    /// Or why the record is not usable.
    measured: Result<Measured, String>,
}

impl BearingRecord {
    /// Prepares a record; see [`BearingDiagnosis`].
    ///
    /// # Errors
    /// `InvalidInput` above 2^23 samples.
    pub fn measure(samples: &[f64], rate: Hertz, shaft: Hertz) -> Result<Self> {
        if samples.len() > MOST_SAMPLES {
            return Err(Error::input(
                "record",
                format!("at most {MOST_SAMPLES} samples"),
                samples.len(),
            ));
        }
        let measured = match unusable(samples, rate, shaft) {
            Some(why) => Err(why),
            None => measured(samples, rate, shaft)?,
        };
        Ok(Self { shaft, measured })
    }

    /// The verdict on the bearing with these orders.
    pub fn judge(&self, orders: &BearingOrders) -> BearingReport {
        match &self.measured {
            Ok(m) => verdict::judge(m, orders),
            Err(why) => BearingReport::unusable(self.shaft, why.clone()),
        }
    }
}

impl fmt::Debug for BearingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearingRecord")
            .field("shaft", &self.shaft)
            .finish_non_exhaustive()
    }
}

/// What the record shows, or why it is not usable.
fn measured(samples: &[f64], rate: Hertz, shaft: Hertz) -> Result<Result<Measured, String>> {
    let (x, rate) = decimated(samples, rate)?;
    let (second, fourth) = x.iter().fold((0.0, 0.0), |(s, f), v| (s + v * v, f + v * v * v * v));
    let kurtosis = x.len() as f64 * fourth / (second * second);
    let white = CepstralPrewhitening::new(x.len())?.apply(&x)?;
    let (Some(envelope), Some(white)) = (squared_envelope(&x)?, squared_envelope(&white)?) else {
        return Ok(Err("the record has no power".into()));
    };
    if !kurtosis.is_finite() {
        return Ok(Err("the samples are too large or too small to square".into()));
    }
    let refined = shaft_speed::refine([&x, &envelope], rate, shaft)?;
    let turning = refined.unwrap_or(shaft);
    let duration_s = x.len() as f64 / rate.get();
    // At least four segments, half overlapping: scores of noise scatter with fewer.
    let segment_s = SEGMENT_S.min(duration_s / 2.5);
    let white = EnvelopeOrders::of(&white, rate, turning, segment_s)?;
    Ok(Ok(Measured {
        raw: EnvelopeOrders::of(&envelope, rate, turning, segment_s)?,
        slow: EnvelopeOrders::of(&envelope, rate, turning, SLOW_SEGMENT_S.min(duration_s))?,
        strongest: white.strongest(),
        white,
        kurtosis,
        shaft: turning,
        shaft_is_refined: refined.is_some(),
    }))
}

fn unusable(x: &[f64], rate: Hertz, shaft: Hertz) -> Option<String> {
    let turns = x.len() as f64 / rate.get() * shaft.get();
    if turns < LEAST_TURNS {
        return Some(format!(
            "{turns:.1} turns of the shaft are too few, {LEAST_TURNS} are needed"
        ));
    }
    let samples_a_turn = rate.get() / shaft.get();
    if samples_a_turn < LEAST_SAMPLES_A_TURN {
        return Some(format!(
            "{samples_a_turn:.1} samples a turn are too few, {LEAST_SAMPLES_A_TURN} are needed"
        ));
    }
    let n_bad = x.iter().filter(|v| !v.is_finite()).count();
    if n_bad > 0 {
        return Some(format!("{n_bad} samples are NaN or infinite"));
    }
    if x.windows(2).all(|w| w.first() == w.last()) {
        return Some("the samples do not vary".into());
    }
    None
}

fn decimated(x: &[f64], rate: Hertz) -> Result<(Vec<f64>, Hertz)> {
    let mut x = x.to_vec();
    Detrend::Mean.apply_in_place(&mut x);
    if rate.get() <= HIGHEST_RATE_HZ {
        return Ok((x, rate));
    }
    // The nearest rate that a whole number divides into; the ratio of a resampler has its limit.
    let factor = ((rate.get() / WORKING_RATE_HZ) as usize).clamp(1, 1000);
    let thinned = Resampler::new(1, factor)?.resample(&x)?;
    Ok((thinned, Hertz::new(rate.get() / factor as f64)?))
}
