//! Spectra of long signals, and the kurtogram of a second.
//!
//! ```text
//! cargo bench --bench spectrum
//! ```

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prognos::{
    features::bearing,
    quantity::{Hertz, Seed},
    simulate::{BearingCondition, BearingVibration},
    spectrum::{AmplitudeSpectrum, CepstralPrewhitening, Envelope, EnvelopeSpectrum, Kurtogram, Taper, Welch},
};
use realfft::RealFftPlanner;
use std::hint::black_box;

const RATE_HZ: f64 = 25_600.0;

fn signal(n: usize) -> Vec<f64> {
    let (rate, shaft) = (Hertz::new(RATE_HZ).unwrap(), Hertz::new(30.0).unwrap());
    let orders = bearing::find("6205").unwrap().orders;
    let params = BearingVibration::params(orders, rate, shaft).condition(BearingCondition::OuterRace);
    let mut x = params.generate((n + 1) as f64 / RATE_HZ, Seed(1)).unwrap();
    x.truncate(n);
    x
}

/// A million samples, in segments of 1,024 and 4,096.
fn welch(c: &mut Criterion) {
    let x = signal(1_000_000);
    let mut group = c.benchmark_group("welch of 1,000,000 samples");
    group.sample_size(20).throughput(Throughput::Elements(x.len() as u64));
    for segment in [1024, 4096] {
        let plan = Welch::params(Hertz::new(RATE_HZ).unwrap())
            .segment(segment)
            .build()
            .unwrap();
        let (mut scratch, mut out) = (plan.new_scratch(), vec![0.0; plan.n_bins()]);
        group.bench_function(format!("segments of {segment}"), |b| {
            b.iter(|| {
                plan.psd_into(black_box(&x), &mut scratch, &mut out).unwrap();
                black_box(&out);
            });
        });
    }
    group.finish();
}

/// One second: kurtogram of eight levels, envelope spectrum, prewhitening, amplitude spectrum and a bare transform.
fn second(c: &mut Criterion) {
    let x = signal(25_600);
    let (n, rate) = (x.len(), Hertz::new(RATE_HZ).unwrap());
    let mut group = c.benchmark_group("a second of 25,600 samples");
    let kurtogram = Kurtogram::new(n, rate, 7).unwrap();
    let (mut scratch, mut bands) = (kurtogram.new_scratch(), kurtogram.bands(&x).unwrap());
    group.bench_function("kurtogram", |b| {
        b.iter(|| {
            kurtogram.bands_into(black_box(&x), &mut scratch, &mut bands).unwrap();
            black_box(&bands);
        });
    });
    let envelope = EnvelopeSpectrum::new(n, rate, (2000.0, 8000.0), Envelope::Squared).unwrap();
    let (mut scratch, mut out) = (envelope.new_scratch(), vec![0.0; envelope.n_bins()]);
    group.bench_function("squared envelope spectrum", |b| {
        b.iter(|| envelope.spectrum_into(black_box(&x), &mut scratch, &mut out).unwrap());
    });
    let white = CepstralPrewhitening::new(n).unwrap();
    let (mut scratch, mut out) = (white.new_scratch(), vec![0.0; n]);
    group.bench_function("cepstral prewhitening", |b| {
        b.iter(|| white.apply_into(black_box(&x), &mut scratch, &mut out).unwrap());
    });
    let amplitude = AmplitudeSpectrum::new(n, rate, Taper::Hann).unwrap();
    let (mut scratch, mut out) = (amplitude.new_scratch(), vec![0.0; amplitude.n_bins()]);
    group.bench_function("amplitude spectrum", |b| {
        b.iter(|| amplitude.amplitude_into(black_box(&x), &mut scratch, &mut out).unwrap());
    });
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(n);
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

criterion_group!(benches, welch, second);
criterion_main!(benches);
