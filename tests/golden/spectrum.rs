//! Spectra, envelopes, cepstra, resampling and medians against SciPy and NumPy (`tests/golden/make_spectrum.py`).

use prognos::{
    quantity::Hertz,
    signal::{Detrend, MedianFilter, Resampler},
    spectrum::{AnalyticSignal, Average, CepstralPrewhitening, Cepstrum, Scaling, Taper, Welch},
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    tapers: BTreeMap<Taper, BTreeMap<String, Vec<f64>>>,
    x: Vec<f64>,
    y: Vec<f64>,
    welch: Vec<WelchCase>,
    analytic: Vec<AnalyticCase>,
    cepstra: Vec<CepstrumCase>,
    resampled: Vec<ResampledCase>,
    detrended: Vec<f64>,
    median_11: Vec<f64>,
}

#[derive(Deserialize)]
struct WelchCase {
    taper: Taper,
    detrend: Detrend,
    scaling: Scaling,
    average: Average,
    segment: usize,
    overlap: usize,
    psd: Vec<f64>,
    cross: [Vec<f64>; 2],
    spectrogram: Option<Vec<f64>>,
    times: Option<Vec<f64>>,
    coherence: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct AnalyticCase {
    n: usize,
    re: Vec<f64>,
    im: Vec<f64>,
}

#[derive(Deserialize)]
struct CepstrumCase {
    n: usize,
    real: Vec<f64>,
    power: Vec<f64>,
    white: Vec<f64>,
}

#[derive(Deserialize)]
struct ResampledCase {
    up: usize,
    down: usize,
    y: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("spectrum.json")).unwrap()
}

/// Both sides round some log2(n) < 10 times a transform of values up to `scale`, and once more for each later step; a
/// hundred roundings cover it.
fn assert_close(got: &[f64], expected: &[f64], scale: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= 100.0 * f64::EPSILON * scale, "{what}, {i}: {g} {e}");
    }
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |m, v| v.abs().max(m))
}

#[test]
fn tapers_are_those_of_scipy() {
    let tapers = golden().tapers;
    assert_eq!(tapers.len(), 6);
    for (taper, by_length) in tapers {
        for (n, weights) in by_length {
            assert_close(
                &taper.weights(n.parse().unwrap()),
                &weights,
                1.0,
                &format!("{taper:?} {n}"),
            );
        }
    }
}

#[test]
fn averaged_spectra_are_those_of_scipy() {
    let g = golden();
    let rate = Hertz::new(51.2).unwrap();
    for case in &g.welch {
        let plan = Welch::params(rate)
            .segment(case.segment)
            .overlap(case.overlap)
            .taper(case.taper);
        let plan = plan
            .detrend(case.detrend)
            .scaling(case.scaling)
            .average(case.average)
            .build()
            .unwrap();
        let what = format!("{plan:?}");
        // Leakage of the largest bin rounds in all others.
        let scale = largest(&case.psd);
        assert_close(&plan.psd(&g.x).unwrap(), &case.psd, scale, &what);
        let cross = plan.cross_spectrum(&g.x, &g.y).unwrap();
        let parts = [
            cross.iter().map(|c| c.re).collect::<Vec<_>>(),
            cross.iter().map(|c| c.im).collect(),
        ];
        let scale = largest(&case.cross[0]).max(largest(&case.cross[1])).max(scale);
        for (got, expected) in parts.iter().zip(&case.cross) {
            assert_close(got, expected, scale, &what);
        }
        if let (Some(rows), Some(times)) = (&case.spectrogram, &case.times) {
            assert_close(&plan.spectrogram(&g.x).unwrap(), rows, largest(rows), &what);
            let got: Vec<f64> = (0..times.len()).map(|i| plan.time_s(i)).collect();
            assert_close(&got, times, 10.0, &what);
        }
        if let Some(coherence) = &case.coherence {
            let got = plan.coherence(&g.x, &g.y).unwrap();
            for (k, ((got, expected), power)) in got.iter().zip(coherence).zip(&case.psd).enumerate() {
                // Where detrending leaves nothing both sides divide rounding by rounding.
                let is_rounding = *power < 1e-20 * scale;
                // A ratio of small powers beside a large one keeps fewer digits.
                assert!(
                    is_rounding || (got - expected).abs() < 1e-10,
                    "{what}, {k}: {got} {expected}"
                );
            }
        }
    }
}

#[test]
fn analytic_signals_and_cepstra_are_those_of_scipy_and_numpy() {
    let g = golden();
    for case in &g.analytic {
        let z = AnalyticSignal::new(case.n).unwrap().signal(&g.x[..case.n]).unwrap();
        assert_close(&z.iter().map(|z| z.re).collect::<Vec<_>>(), &case.re, 4.0, "real part");
        assert_close(
            &z.iter().map(|z| z.im).collect::<Vec<_>>(),
            &case.im,
            4.0,
            "imaginary part",
        );
    }
    for case in &g.cepstra {
        let (plan, x) = (Cepstrum::new(case.n).unwrap(), &g.y[..case.n]);
        assert_close(&plan.real(x).unwrap(), &case.real, 10.0, "real cepstrum");
        assert_close(&plan.power(x).unwrap(), &case.power, 100.0, "power cepstrum");
        let white = CepstralPrewhitening::new(case.n).unwrap().apply(x).unwrap();
        assert_close(&white, &case.white, 10.0, "prewhitened");
    }
}

#[test]
fn resampled_detrended_and_filtered_signals_are_those_of_scipy() {
    let g = golden();
    for case in &g.resampled {
        let y = Resampler::new(case.up, case.down).unwrap().resample(&g.y).unwrap();
        assert_close(&y, &case.y, largest(&case.y), &format!("{}/{}", case.up, case.down));
    }
    let mut x = g.x.clone();
    Detrend::Linear.apply_in_place(&mut x);
    assert_close(&x, &g.detrended, 10.0, "detrended");
    assert_eq!(MedianFilter::new(11).unwrap().apply(&g.x).unwrap(), g.median_11);
}
