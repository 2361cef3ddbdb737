//! Vibration features and amplitude spectra against NumPy and SciPy (`tests/golden/make_vibration.py`).

use prognos::{
    features::{FeatureExtractor, WaveformExtractor},
    quantity::Hertz,
    signal::{Channel, WindowSpec},
    spectrum::{AmplitudeSpectrum, Taper},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    rate_hz: f64,
    bands_hz: Vec<(f64, f64)>,
    samples: Vec<Vec<f64>>,
    features: ByTaper<Vec<Vec<f64>>>,
    amplitude: ByTaper<Option<Vec<f64>>>,
}

#[derive(Deserialize)]
struct ByTaper<T> {
    hann: T,
    rectangular: T,
}

impl<T> ByTaper<T> {
    fn each(&self) -> [(Taper, &T); 2] {
        [(Taper::Hann, &self.hann), (Taper::Rectangular, &self.rectangular)]
    }
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("vibration.json")).unwrap();
    assert_eq!(cases.len(), 4);
    cases
}

/// What rounding may do to `d = x - mean`, relative to the signal without its offset: either side's mean is off by a few
/// roundings of the offset.
fn relative_error(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let sd = (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    // 2 log2(n) roundings of a pairwise sum or a transform; the factor 8 covers both sides and the fourth power.
    8.0 * 2.0 * n.log2() * f64::EPSILON * (1.0 + mean.abs() / sd)
}

#[test]
fn features_are_those_of_numpy_and_scipy() {
    for case in cases() {
        let channels: Vec<_> = (0..case.samples.len())
            .map(|c| Channel::new(c.to_string(), "g"))
            .collect();
        let window = WindowSpec::new(case.samples[0].len(), 1).unwrap();
        for (taper, expected) in case.features.each() {
            let extractor = WaveformExtractor::params(&channels, Hertz::new(case.rate_hz).unwrap(), window)
                .features(["rms", "peak", "crest_factor", "excess_kurtosis"])
                .and_bands_hz(case.bands_hz.clone())
                .taper(taper)
                .build()
                .unwrap();
            let samples: Vec<&[f64]> = case.samples.iter().map(Vec::as_slice).collect();
            let mut row = vec![f64::NAN; extractor.schema().len()];
            extractor
                .extract_into(&samples, &mut extractor.new_scratch(), &mut row)
                .unwrap();
            let per_channel = row.len() / channels.len();
            for (c, expected) in expected.iter().enumerate() {
                assert_eq!(expected.len(), per_channel);
                let tolerance = relative_error(&case.samples[c]);
                for (i, (got, want)) in row[c * per_channel..].iter().zip(expected).enumerate() {
                    // Kurtosis is a difference from 3, a band a part of the whole; the other columns are about as large.
                    let size = match i {
                        2 => *want,
                        3 => want.abs() + 3.0,
                        _ => expected[0].max(*want),
                    };
                    assert!(
                        (got - want).abs() <= tolerance * size,
                        "{}, {taper:?}, {}: {got} is not {want} within {:e}",
                        case.name,
                        extractor.schema().features()[c * per_channel + i].name,
                        tolerance * size
                    );
                }
            }
        }
    }
}

#[test]
fn default_bands_are_ten_up_to_nyquist() {
    let case = &cases()[0];
    let window = WindowSpec::new(2560, 2560).unwrap();
    let extractor = WaveformExtractor::params(&[Channel::new("x", "g")], Hertz::new(case.rate_hz).unwrap(), window);
    let extractor = extractor.build().unwrap();
    let names: Vec<_> = extractor
        .schema()
        .features()
        .iter()
        .skip(4)
        .map(|f| f.name.clone())
        .collect();
    let expected = case.bands_hz.iter().map(|(lo, hi)| format!("x.band_{lo}_{hi}_hz_rms"));
    assert_eq!(names, expected.collect::<Vec<_>>());
}

#[test]
fn amplitudes_are_those_of_numpy() {
    let mut compared = 0;
    for case in cases() {
        for (taper, expected) in case.amplitude.each() {
            let Some(expected) = expected else { continue };
            let x = &case.samples[0];
            let plan = AmplitudeSpectrum::new(x.len(), Hertz::new(case.rate_hz).unwrap(), taper).unwrap();
            let mut got = vec![f64::NAN; plan.n_bins()];
            plan.amplitude_into(x, &mut plan.new_scratch(), &mut got).unwrap();
            assert_eq!(got.len(), expected.len());
            let largest = expected.iter().copied().fold(0.0, f64::max);
            for (k, (got, want)) in got.iter().zip(expected).enumerate() {
                assert!(
                    (got - want).abs() <= relative_error(x) * largest,
                    "{}, {taper:?}, bin {k}: {got} is not {want}",
                    case.name
                );
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}
