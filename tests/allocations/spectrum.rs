//! Spectra, envelopes, kurtograms and cepstra without an allocation after the first call.

use crate::counting_allocator::allocations;
use prognos::{
    quantity::Hertz,
    signal::{HampelFilter, MedianFilter},
    spectrum::{
        AmplitudeSpectrum, Average, CepstralPrewhitening, Cepstrum, Envelope, EnvelopeSpectrum, Kurtogram, Lifter,
        RealFft, Taper, Welch,
    },
};

#[test]
fn nothing_is_allocated_a_window() {
    let rate = Hertz::new(25_600.0).unwrap();
    // A prime length takes another path through the transform.
    for n in [2560, 2579] {
        let x: Vec<f64> = (0..n as i32).map(|i| f64::from(i * 7919 % 1013) - 500.0).collect();
        let mut out = vec![0.0; n];
        let half = n / 2 + 1;

        let plan = RealFft::new(n).unwrap();
        let (mut scratch, mut bins) = (plan.new_scratch(), plan.forward(&x).unwrap());
        let mut samples = x.clone();
        assert_eq!(
            allocations(|| {
                plan.forward_into(&x, &mut scratch, &mut bins).unwrap();
                plan.inverse_into(&bins, &mut scratch, &mut out).unwrap();
                plan.forward_destroying(&mut samples, &mut scratch, &mut bins).unwrap();
            }),
            0
        );

        let plan = AmplitudeSpectrum::new(n, rate, Taper::FlatTop).unwrap();
        let mut scratch = plan.new_scratch();
        assert_eq!(
            allocations(|| plan.amplitude_into(&x, &mut scratch, &mut out[..half]).unwrap()),
            0
        );

        for average in [Average::Mean, Average::Median] {
            let plan = Welch::params(rate).segment(256).average(average).build().unwrap();
            let mut scratch = plan.new_scratch();
            let bins = plan.n_bins();
            assert_eq!(
                allocations(|| plan.psd_into(&x, &mut scratch, &mut out[..bins]).unwrap()),
                0,
                "{average:?}"
            );
            assert_eq!(
                allocations(|| plan.coherence_into(&x, &x, &mut scratch, &mut out[..bins]).unwrap()),
                0
            );
            assert_eq!(
                allocations(|| plan.spectral_kurtosis_into(&x, &mut scratch, &mut out[..bins]).unwrap()),
                0
            );
            let mut rows = vec![0.0; bins * plan.n_segments(n)];
            assert_eq!(
                allocations(|| plan.spectrogram_into(&x, &mut scratch, &mut rows).unwrap()),
                0
            );
        }

        let plan = EnvelopeSpectrum::new(n, rate, (2000.0, 6000.0), Envelope::Squared).unwrap();
        let mut scratch = plan.new_scratch();
        assert_eq!(
            allocations(|| plan.spectrum_into(&x, &mut scratch, &mut out[..half]).unwrap()),
            0
        );

        let plan = Kurtogram::new(n, rate, 5).unwrap();
        let (mut scratch, mut bands) = (plan.new_scratch(), plan.bands(&x).unwrap());
        assert_eq!(
            allocations(|| plan.bands_into(&x, &mut scratch, &mut bands).unwrap()),
            0
        );

        let plan = Cepstrum::new(n).unwrap();
        let mut scratch = plan.new_scratch();
        assert_eq!(allocations(|| plan.power_into(&x, &mut scratch, &mut out).unwrap()), 0);
        let lifter = Lifter::LongPass(20);
        assert_eq!(
            allocations(|| plan.lifter_into(&x, lifter, &mut scratch, &mut out).unwrap()),
            0
        );
        let plan = CepstralPrewhitening::new(n).unwrap();
        let mut scratch = plan.new_scratch();
        assert_eq!(allocations(|| plan.apply_into(&x, &mut scratch, &mut out).unwrap()), 0);

        let plan = MedianFilter::new(31).unwrap();
        let mut scratch = plan.new_scratch();
        assert_eq!(allocations(|| plan.apply_into(&x, &mut scratch, &mut out).unwrap()), 0);
        let plan = HampelFilter::new(31, 3.0).unwrap();
        assert_eq!(
            allocations(|| assert!(plan.apply_into(&x, &mut scratch, &mut out).is_ok())),
            0
        );
    }
}
