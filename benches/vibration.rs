//! Vibration features against the bare transform they need, and the cost of cutting windows.
//!
//! ```text
//! cargo bench --bench vibration
//! ```

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prognos::{
    features::{FeatureExtractor, WaveformExtractor},
    quantity::{Hertz, Timestamp},
    signal::{Channel, WaveformWindower, WindowSpec},
};
use realfft::RealFftPlanner;
use std::hint::black_box;

const LENGTH: usize = 2560;
const RATE_HZ: f64 = 25_600.0;

/// Noise with impacts that ring: what a bearing with a fault sends.
fn samples() -> Vec<f64> {
    let mut state = 1_u64;
    let mut noise = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    let sample = |i: usize| {
        let after = (i % 239) as f64;
        noise() + noise() + noise() + 5.0 * (-0.05 * after).exp() * (0.9 * after).sin()
    };
    (0..LENGTH).map(sample).collect()
}

/// Features of time and frequency.
const TIME_AND_FREQUENCY: [&str; 14] = [
    "time",
    "total_rms",
    "spectral_centroid",
    "spectral_spread",
    "spectral_entropy",
    "spectral_flatness",
    "spectral_rolloff_0.85",
    "line_1_hz",
    "line_1_amplitude",
    "band_0_1000_hz_rms",
    "band_1000_3000_hz_rms",
    "band_3000_6000_hz_rms",
    "band_6000_12800_hz_rms",
    "band_0_12800_hz_rms",
];

/// One channel of 2,560 samples: sets of features, and a real transform alone.
fn extractor(c: &mut Criterion) {
    let x = samples();
    let window = WindowSpec::new(LENGTH, LENGTH).unwrap();
    let params = || WaveformExtractor::params(&[Channel::new("x", "g")], Hertz::new(RATE_HZ).unwrap(), window);
    let mut group = c.benchmark_group("window of 2,560 samples");
    group.throughput(Throughput::Elements(LENGTH as u64));
    for (name, extractor) in [
        ("the set vibration", params().build().unwrap()),
        ("the set time", params().features(["time"]).build().unwrap()),
        ("the set frequency", params().features(["frequency"]).build().unwrap()),
        (
            "time and frequency",
            params().features(TIME_AND_FREQUENCY).build().unwrap(),
        ),
        ("catch22", params().features(["catch22"]).build().unwrap()),
    ] {
        let (mut scratch, mut row) = (extractor.new_scratch(), vec![0.0; extractor.schema().len()]);
        group.bench_function(name, |b| {
            b.iter(|| {
                extractor
                    .extract_into(&[black_box(&x)], &mut scratch, &mut row)
                    .unwrap();
                black_box(&row);
            });
        });
    }
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(LENGTH);
    let (mut input, mut output, mut work) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
    group.bench_function("bare real transform", |b| {
        b.iter(|| {
            input.copy_from_slice(black_box(&x)); // the transform destroys its input
            fft.process_with_scratch(&mut input, &mut output, &mut work).unwrap();
            black_box(&output);
        });
    });
    group.finish();
}

/// A tenth of a second of one channel in chunks of 256 samples, windows handed to nobody.
fn windower(c: &mut Criterion) {
    let x = samples();
    let mut group = c.benchmark_group("windower, 2,560 samples in chunks of 256");
    group.throughput(Throughput::Elements(LENGTH as u64));
    for (name, hop) in [
        ("hop = length", LENGTH),
        ("hop = length / 2", LENGTH / 2),
        ("hop = length / 10", LENGTH / 10),
    ] {
        let window = WindowSpec::new(LENGTH, hop).unwrap();
        let mut windower = WaveformWindower::new(1, Hertz::new(RATE_HZ).unwrap(), window).unwrap();
        let mut start = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                for chunk in black_box(&x).chunks(256) {
                    let on_window = |_, w: &[&[f64]]| {
                        black_box(w);
                        Ok(())
                    };
                    windower
                        .push(Timestamp::from_nanos(start), &[chunk], on_window)
                        .unwrap();
                    start += 10_000_000;
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, extractor, windower);
criterion_main!(benches);
