//! Wavelet packets and continuous wavelets against PyWavelets and NumPy (`tests/golden/make_wavelets.py`), and filters
//! against factors found with 60 digits (`tests/golden/make_wavelet_filters.py`).

use prognos::{
    quantity::Hertz,
    spectrum::{ContinuousWavelet, Wavelet, WaveletPacket},
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    x: Vec<f64>,
    packets: Vec<Packet>,
    omega_0: f64,
    frequencies: Vec<f64>,
    rows: Vec<Vec<f64>>,
    sums: Vec<Vec<f64>>,
    sampled: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Packet {
    wavelet: String,
    level: u32,
    energies: Vec<f64>,
    coefficients: Option<Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("wavelets.json")).unwrap()
}

#[test]
fn filters_are_exact_to_the_last_bit() {
    let filters: BTreeMap<String, Vec<String>> = serde_json::from_str(include_str!("wavelet_filters.json")).unwrap();
    assert_eq!(filters.len(), 11);
    let all = (1..=10)
        .map(|n| Wavelet::daubechies(n).unwrap())
        .chain([Wavelet::symlet_8()]);
    for wavelet in all {
        let expected: Vec<f64> = filters[wavelet.name()].iter().map(|v| v.parse().unwrap()).collect();
        assert_eq!(wavelet.low_pass(), expected, "{}", wavelet.name());
    }
}

#[test]
fn packets_are_those_of_pywavelets() {
    let g = golden();
    assert_eq!(g.packets.len(), 11);
    let energy: f64 = g.x.iter().map(|v| v * v).sum();
    for case in &g.packets {
        let wavelet = match case.wavelet.strip_prefix("db") {
            Some(n) => Wavelet::daubechies(n.parse().unwrap()).unwrap(),
            None => Wavelet::symlet_8(),
        };
        assert_eq!(wavelet.name(), case.wavelet);
        let plan = WaveletPacket::new(g.x.len(), Hertz::new(1000.0).unwrap(), wavelet, case.level).unwrap();
        let got = plan.energies(&g.x).unwrap();
        assert_eq!(got.len(), case.energies.len());
        // PyWavelets' sym8 is good to 1e-12 only; ours and its others to rounding.
        let tolerance = if case.wavelet == "sym8" { 1e-11 } else { 1e-13 };
        for (band, (g, e)) in got.iter().zip(&case.energies).enumerate() {
            assert!((g - e).abs() <= tolerance * energy, "{} {band}: {g} {e}", case.wavelet);
        }
        if let Some(expected) = &case.coefficients {
            let mut got = vec![0.0; g.x.len()];
            plan.coefficients_into(&g.x, &mut plan.new_scratch(), &mut got).unwrap();
            // Four levels of twenty terms each, of values up to 6.
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-13;
            assert!(got.iter().zip(expected).all(close), "{}", case.wavelet);
        }
    }
}

#[test]
fn scalograms_are_those_of_the_definition_and_near_those_of_pywavelets() {
    let g = golden();
    let n = g.x.len();
    let plan = ContinuousWavelet::new(n, Hertz::new(1000.0).unwrap(), &g.frequencies, g.omega_0).unwrap();
    let mut rows = vec![0.0; n * g.frequencies.len()];
    plan.amplitude_into(&g.x, &mut plan.new_scratch(), &mut rows).unwrap();
    assert_eq!((g.rows.len(), g.sums.len(), g.sampled.len()), (5, 2, 2));
    for (i, expected) in g.rows.iter().enumerate() {
        let got = &rows[n * i..n * (i + 1)];
        // Transforms of 320 values up to 3 round a few tens of times.
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-13;
        assert!(got.iter().zip(expected).all(close), "{}", g.frequencies[i]);
    }
    // The second and third row by sums: 100 samples are more than six standard deviations of either wavelet, and the
    // negative frequencies that the sums leave in hold exp(-18) of it.
    for (i, (sums, sampled)) in g.sums.iter().zip(&g.sampled).enumerate() {
        let got = &rows[n * (i + 1)..n * (i + 2)];
        for t in 100..n - 100 {
            assert!((got[t] - sums[t]).abs() < 1e-7, "{i} {t}: {} {}", got[t], sums[t]);
            // The nearest values of PyWavelets' table are off by some percent of the amplitude, 1.
            assert!((got[t] - sampled[t]).abs() < 0.03, "{i} {t}: {} {}", got[t], sampled[t]);
        }
    }
}
