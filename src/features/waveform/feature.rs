//! Names of waveform features, and what they stand for.

use crate::{
    error::{Error, Result},
    features::{
        catch22,
        complexity::{
            ApproximateEntropy, DetrendedFluctuation, HiguchiDimension, LempelZiv, PermutationEntropy, SampleEntropy,
        },
    },
    quantity::Hertz,
};
use std::{fmt, str::FromStr};

/// One column of a channel, as its name says; numbers are checked where the window is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum WaveformFeature {
    Mean,
    Sd,
    Rms,
    TotalRms,
    Peak,
    PeakToPeak,
    CrestFactor,
    ShapeFactor,
    ImpulseFactor,
    ClearanceFactor,
    Skewness,
    ExcessKurtosis,
    ZeroCrossingRate,
    HjorthActivity,
    HjorthMobility,
    HjorthComplexity,
    Quantile(f64),
    BandRms(f64, f64),
    BandShare(f64, f64),
    SpectralCentroid,
    SpectralSpread,
    SpectralEntropy,
    SpectralFlatness,
    SpectralRolloff(f64),
    LineFrequency(usize),
    LineAmplitude(usize),
    HarmonicsRms(f64, usize),
    TotalHarmonicDistortion(Option<f64>, usize),
    PermutationEntropy(usize, usize),
    SampleEntropy(usize, f64),
    ApproximateEntropy(usize, f64),
    LempelZiv,
    DetrendedFluctuation,
    HiguchiDimension(usize),
    /// Which of the names in [`catch22::NAMES`].
    Catch22(usize),
}

use WaveformFeature as F;

/// Names without a number.
const PLAIN: [(&str, WaveformFeature); 22] = [
    ("mean", F::Mean),
    ("sd", F::Sd),
    ("rms", F::Rms),
    ("total_rms", F::TotalRms),
    ("peak", F::Peak),
    ("peak_to_peak", F::PeakToPeak),
    ("crest_factor", F::CrestFactor),
    ("shape_factor", F::ShapeFactor),
    ("impulse_factor", F::ImpulseFactor),
    ("clearance_factor", F::ClearanceFactor),
    ("skewness", F::Skewness),
    ("excess_kurtosis", F::ExcessKurtosis),
    ("zero_crossing_rate", F::ZeroCrossingRate),
    ("hjorth_activity", F::HjorthActivity),
    ("hjorth_mobility", F::HjorthMobility),
    ("hjorth_complexity", F::HjorthComplexity),
    ("spectral_centroid", F::SpectralCentroid),
    ("spectral_spread", F::SpectralSpread),
    ("spectral_entropy", F::SpectralEntropy),
    ("spectral_flatness", F::SpectralFlatness),
    ("lempel_ziv_complexity", F::LempelZiv),
    ("detrended_fluctuation", F::DetrendedFluctuation),
];

/// Names of sets, and what they hold; `bands_<n>` and `catch22` beside them.
const SETS: [(&str, &[&str]); 4] = [
    (
        "vibration",
        &["rms", "peak", "crest_factor", "excess_kurtosis", "bands_10"],
    ),
    (
        "time",
        &[
            "mean",
            "rms",
            "peak",
            "peak_to_peak",
            "crest_factor",
            "shape_factor",
            "impulse_factor",
            "clearance_factor",
            "skewness",
            "excess_kurtosis",
            "zero_crossing_rate",
            "quantile_0.05",
            "quantile_0.25",
            "quantile_0.5",
            "quantile_0.75",
            "quantile_0.95",
            "hjorth_mobility",
            "hjorth_complexity",
        ],
    ),
    (
        "frequency",
        &[
            "spectral_centroid",
            "spectral_spread",
            "spectral_entropy",
            "spectral_flatness",
            "spectral_rolloff_0.85",
            "line_1_hz",
            "line_1_amplitude",
            "line_2_hz",
            "line_2_amplitude",
            "line_3_hz",
            "line_3_amplitude",
            "bands_10",
        ],
    ),
    (
        "complexity",
        &[
            "permutation_entropy_5_1",
            "sample_entropy_2_0.2",
            "approximate_entropy_2_0.2",
            "lempel_ziv_complexity",
            "detrended_fluctuation",
            "higuchi_dimension_10",
        ],
    ),
];

/// The most bands of `bands_<n>`.
const MOST_BANDS: usize = 10_000;
/// The most lines and harmonics.
pub(super) const MOST_LINES: usize = 64;

/// The features that `name`, of one or of a set, stands for, at this rate.
pub(super) fn named(name: &str, rate: Hertz) -> Result<Vec<WaveformFeature>> {
    if let Some((_, members)) = SETS.iter().find(|(set, _)| *set == name) {
        let members = members.iter().map(|m| named(m, rate));
        return Ok(members.collect::<Result<Vec<_>>>()?.concat());
    }
    if name == "catch22" {
        return Ok((0..catch22::NAMES.len()).map(F::Catch22).collect());
    }
    if let Some(n) = name.strip_prefix("bands_") {
        let n = n.parse().ok().filter(|n| (1..=MOST_BANDS).contains(n));
        let n: usize = n.ok_or_else(|| Error::parameter("features", format!("bands_1 to bands_{MOST_BANDS}"), name))?;
        let nyquist = 0.5 * rate.get();
        let edge = |i: usize| if i == n { nyquist } else { i as f64 * nyquist / n as f64 };
        return Ok((0..n).map(|i| F::BandRms(edge(i), edge(i + 1))).collect());
    }
    Ok(vec![name.parse()?])
}

/// What stands between `prefix` and `suffix`, parted by `_`; none where the name has another form.
fn parts<'a, const N: usize>(name: &'a str, prefix: &str, suffix: &str) -> Option<[&'a str; N]> {
    let inner = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let mut parts = inner.split('_');
    let found = [(); N].map(|()| parts.next().unwrap_or_default());
    parts.next().is_none().then_some(found)
}

/// The feature of a name with numbers in it.
fn with_numbers(name: &str) -> Option<WaveformFeature> {
    fn number<T: FromStr>(part: &str) -> Option<T> {
        part.parse().ok()
    }
    let one = |prefix, suffix| parts::<1>(name, prefix, suffix).map(|[a]| a);
    let two = |prefix, suffix| parts::<2>(name, prefix, suffix);
    Some(if let Some(p) = one("quantile_", "") {
        F::Quantile(number(p)?)
    } else if let Some([lo, hi]) = two("band_", "_hz_rms") {
        F::BandRms(number(lo)?, number(hi)?)
    } else if let Some([lo, hi]) = two("band_", "_hz_share") {
        F::BandShare(number(lo)?, number(hi)?)
    } else if let Some(share) = one("spectral_rolloff_", "") {
        F::SpectralRolloff(number(share)?)
    } else if let Some(k) = one("line_", "_hz") {
        F::LineFrequency(number(k)?)
    } else if let Some(k) = one("line_", "_amplitude") {
        F::LineAmplitude(number(k)?)
    } else if let Some([hz, "hz", "1", "to", n]) = parts(name, "harmonics_", "_rms") {
        F::HarmonicsRms(number(hz)?, number(n)?)
    } else if let Some([hz, "hz", n]) = parts(name, "total_harmonic_distortion_", "") {
        F::TotalHarmonicDistortion(Some(number(hz)?), number(n)?)
    } else if let Some(n) = one("total_harmonic_distortion_", "") {
        F::TotalHarmonicDistortion(None, number(n)?)
    } else if let Some([m, delay]) = two("permutation_entropy_", "") {
        F::PermutationEntropy(number(m)?, number(delay)?)
    } else if let Some([m, r]) = two("sample_entropy_", "") {
        F::SampleEntropy(number(m)?, number(r)?)
    } else if let Some([m, r]) = two("approximate_entropy_", "") {
        F::ApproximateEntropy(number(m)?, number(r)?)
    } else if let Some(characteristic) = name.strip_prefix("catch22_") {
        F::Catch22(catch22::NAMES.iter().position(|n| *n == characteristic)?)
    } else {
        F::HiguchiDimension(number(one("higuchi_dimension_", "")?)?)
    })
}

impl FromStr for WaveformFeature {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if let Some((_, feature)) = PLAIN.iter().find(|(n, _)| *n == name) {
            return Ok(*feature);
        }
        with_numbers(name).ok_or_else(|| {
            let plain: Vec<_> = PLAIN.iter().map(|(n, _)| *n).collect();
            let sets: Vec<_> = SETS.iter().map(|(n, _)| *n).collect();
            Error::parameter(
                "features",
                format!(
                    "a set ({}, catch22, bands_<n>), one of {}, or one with numbers such as quantile_0.95, band_10_1000_hz_rms or \
                     line_1_hz",
                    sets.join(", "),
                    plain.join(", ")
                ),
                format!("`{name}`"),
            )
        })
    }
}

impl fmt::Display for WaveformFeature {
    /// The name it parses from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            F::Quantile(p) => write!(f, "quantile_{p}"),
            F::BandRms(lo, hi) => write!(f, "band_{lo}_{hi}_hz_rms"),
            F::BandShare(lo, hi) => write!(f, "band_{lo}_{hi}_hz_share"),
            F::SpectralRolloff(p) => write!(f, "spectral_rolloff_{p}"),
            F::LineFrequency(k) => write!(f, "line_{k}_hz"),
            F::LineAmplitude(k) => write!(f, "line_{k}_amplitude"),
            F::HarmonicsRms(hz, n) => write!(f, "harmonics_{hz}_hz_1_to_{n}_rms"),
            F::TotalHarmonicDistortion(Some(hz), n) => write!(f, "total_harmonic_distortion_{hz}_hz_{n}"),
            F::TotalHarmonicDistortion(None, n) => write!(f, "total_harmonic_distortion_{n}"),
            F::PermutationEntropy(m, delay) => write!(f, "permutation_entropy_{m}_{delay}"),
            F::SampleEntropy(m, r) => write!(f, "sample_entropy_{m}_{r}"),
            F::ApproximateEntropy(m, r) => write!(f, "approximate_entropy_{m}_{r}"),
            F::HiguchiDimension(k) => write!(f, "higuchi_dimension_{k}"),
            F::Catch22(k) => write!(f, "catch22_{}", catch22::NAMES.get(k).unwrap_or(&"")),
            plain => f.write_str(PLAIN.iter().find(|(_, p)| *p == plain).map_or("", |(n, _)| n)),
        }
    }
}

impl WaveformFeature {
    /// Its unit, for a channel in `unit`.
    pub(super) fn unit(self, unit: &str) -> String {
        match self {
            F::Mean | F::Sd | F::Rms | F::TotalRms | F::Peak | F::PeakToPeak | F::Quantile(_) => unit.into(),
            F::BandRms(..) | F::LineAmplitude(_) | F::HarmonicsRms(..) => unit.into(),
            F::HjorthActivity if !unit.is_empty() => format!("({unit})²"),
            F::HjorthMobility | F::ZeroCrossingRate => "1/s".into(),
            F::SpectralCentroid | F::SpectralSpread | F::SpectralRolloff(_) | F::LineFrequency(_) => "Hz".into(),
            F::Catch22(k) => catch22::UNITS.get(k).copied().unwrap_or_default().into(),
            _ => String::new(),
        }
    }
}

/// A measure of complexity with its parameters; none where the feature is no such.
pub(super) fn complexity(feature: WaveformFeature) -> Option<Result<Complexity>> {
    Some(match feature {
        F::PermutationEntropy(m, delay) => PermutationEntropy::new(m, delay).map(Complexity::Permutation),
        F::SampleEntropy(m, r) => SampleEntropy::new(m, r).map(Complexity::Sample),
        F::ApproximateEntropy(m, r) => ApproximateEntropy::new(m, r).map(Complexity::Approximate),
        F::LempelZiv => Ok(Complexity::LempelZiv(LempelZiv)),
        F::DetrendedFluctuation => Ok(Complexity::Fluctuation(DetrendedFluctuation)),
        F::HiguchiDimension(k) => HiguchiDimension::new(k).map(Complexity::Higuchi),
        _ => return None,
    })
}

/// A measure of complexity that a column holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Complexity {
    Permutation(PermutationEntropy),
    Sample(SampleEntropy),
    Approximate(ApproximateEntropy),
    LempelZiv(LempelZiv),
    Fluctuation(DetrendedFluctuation),
    Higuchi(HiguchiDimension),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate() -> Hertz {
        Hertz::new(1000.0).unwrap()
    }

    #[test]
    fn every_name_is_read_back() {
        let mut names: Vec<String> = SETS.iter().map(|(set, _)| (*set).to_owned()).collect();
        names.extend(PLAIN.iter().map(|(n, _)| (*n).to_owned()));
        names.extend(
            [
                "band_10_20.5_hz_share",
                "harmonics_29.9_hz_1_to_5_rms",
                "total_harmonic_distortion_50_hz_7",
                "total_harmonic_distortion_5",
                "bands_3",
                "catch22",
            ]
            .map(str::to_owned),
        );
        for name in names {
            for feature in named(&name, rate()).unwrap() {
                let shown = feature.to_string();
                assert_eq!(shown.parse::<WaveformFeature>().unwrap(), feature, "{name}");
                assert!(!shown.is_empty());
            }
        }
    }

    #[test]
    fn names_that_stand_for_nothing_are_refused() {
        for name in [
            "",
            "RMS",
            "rms ",
            "bands_0",
            "bands_-1",
            "bands_99999999",
            "band_1_2_3_hz_rms",
            "band__hz_rms",
            "quantile_",
            "quantile_0.1_0.2",
            "line_hz",
            "harmonics_30_hz_5",
            "total_harmonic_distortion_",
            "\u{0}",
        ] {
            let e = named(name, rate()).unwrap_err();
            assert!(e.to_string().contains("features"), "{name}: {e}");
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(name in ".{0,40}", number in prop::num::f64::ANY) {
            let _ = named(&name, rate());
            for form in ["quantile_#", "band_#_#_hz_rms", "line_#_hz", "harmonics_#_hz_1_to_#_rms", "sample_entropy_#_#"] {
                if let Ok(features) = named(&form.replace('#', &number.to_string()), rate()) {
                    prop_assert_eq!(features.len(), 1);
                }
            }
        }
    }
}
