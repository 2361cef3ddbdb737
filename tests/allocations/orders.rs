//! Order tracking, synchronous averages, gear indicators and wavelets without an allocation after the first call.

use crate::counting_allocator::allocations;
use prognos::{
    features::{
        band::SpectrumLines,
        gear::{self, GearBaseline},
    },
    quantity::Hertz,
    spectrum::{
        AngularResampler, ContinuousWavelet, GearSignal, OrderSpectrum, Parted, PulseEdge, PulseTrigger, ShaftAngle,
        SynchronousAverage, Taper, Wavelet, WaveletPacket,
    },
};

#[test]
fn nothing_is_allocated_a_window() {
    let rate = Hertz::new(10_000.0).unwrap();
    let angle = ShaftAngle::of_profile(&[0.0, 0.5, 1.0], &[600.0, 900.0, 1500.0]).unwrap();
    let x: Vec<f64> = (0..10_001).map(|i| f64::from(i * 7919 % 1013) - 500.0).collect();

    let trigger = PulseTrigger::new(0.0, 100.0, PulseEdge::Rising).unwrap();
    let mut times = Vec::new();
    assert_eq!(
        allocations(|| trigger.pulse_times_into(&x, rate, &mut times).unwrap()),
        0
    );

    let resampler = AngularResampler::new(64, rate).unwrap();
    let mut turned = vec![0.0; 64 * 16];
    assert_eq!(
        allocations(|| resampler.resample_into(&x, 0.0, &angle, 0.0, &mut turned).unwrap()),
        0
    );

    let plan = OrderSpectrum::new(64, 16, rate, Taper::Hann).unwrap();
    let (mut scratch, mut orders) = (plan.new_scratch(), vec![0.0; plan.n_bins()]);
    assert_eq!(
        allocations(|| plan
            .tracked_into(&x, 0.0, &angle, 0.0, &mut scratch, &mut orders)
            .unwrap()),
        0
    );
    assert_eq!(
        allocations(|| plan.amplitude_into(&turned, &mut scratch, &mut orders).unwrap()),
        0
    );
    let lines = SpectrumLines::new(&orders, plan.order(1)).unwrap();
    assert_eq!(
        allocations(|| {
            lines.peak((1.0, 20.0)).unwrap();
            lines.sidebands(20.0, 1.0, 3, 0.0, 2.0).unwrap();
        }),
        0
    );

    let plan = SynchronousAverage::new(64, 1).unwrap();
    let mut average = vec![0.0; 64];
    assert_eq!(
        allocations(|| assert!(plan.average_into(&turned, &mut average).is_ok())),
        0
    );

    let plan = GearSignal::new(64, 1, &[20.0], 2, 1).unwrap();
    let (mut scratch, mut parts, mut baseline) = (plan.new_scratch(), Parted::default(), GearBaseline::default());
    assert_eq!(
        allocations(|| {
            plan.parts_into(&average, &mut scratch, &mut parts).unwrap();
            gear::fm0(&average, &[1.0, 2.0]);
            gear::fm4(&parts.difference);
            gear::energy_ratio(&parts);
            baseline.update(&parts.residual);
        }),
        0
    );
}

#[test]
fn wavelets_allocate_nothing_a_window() {
    let rate = Hertz::new(1000.0).unwrap();
    let x: Vec<f64> = (0..512).map(|i| f64::from(i * 7919 % 1013) - 500.0).collect();
    let plan = WaveletPacket::new(512, rate, Wavelet::symlet_8(), 4).unwrap();
    let (mut scratch, mut out) = (plan.new_scratch(), vec![0.0; 512]);
    assert_eq!(
        allocations(|| plan.coefficients_into(&x, &mut scratch, &mut out).unwrap()),
        0
    );
    assert_eq!(
        allocations(|| plan.energies_into(&x, &mut scratch, &mut out[..16]).unwrap()),
        0
    );
    let plan = ContinuousWavelet::new(512, rate, &[50.0, 100.0, 200.0], 6.0).unwrap();
    let (mut scratch, mut rows) = (plan.new_scratch(), vec![0.0; 3 * 512]);
    assert_eq!(
        allocations(|| plan.amplitude_into(&x, &mut scratch, &mut rows).unwrap()),
        0
    );
    assert_eq!(
        allocations(|| plan.energies_into(&x, &mut scratch, &mut rows[..3]).unwrap()),
        0
    );
}
