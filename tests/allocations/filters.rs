//! Filters, integration and the check of channels without an allocation after the first call.

use crate::counting_allocator::{allocations, allocations_once};
use prognos::{
    quantity::Hertz,
    signal::{Butterworth, ChannelQuality, FilterBand, FilterStart, Integrated, Integrator, Notch, QualityCheck},
};

#[test]
fn nothing_is_allocated_a_window() {
    let rate = Hertz::new(25_600.0).unwrap();
    // A prime length takes another path through the transform.
    for n in [2560, 2579] {
        let mut x: Vec<f64> = (0..n as i32).map(|i| f64::from(i * 7919 % 1013) - 500.0).collect();
        x[100] = f64::NAN;
        x[200] = 1e6;
        let mut out = vec![0.0; n];

        // Of one section and of twelve, which the state keeps in memory of its own.
        let band = Butterworth::new(12, FilterBand::BandPass(10.0, 1000.0)).unwrap();
        for filter in [
            Notch::new(50.0, 30.0).unwrap().design(rate).unwrap(),
            band.design(rate).unwrap(),
        ] {
            let mut state = filter.new_state(FilterStart::Steady);
            let streamed = || assert_eq!(filter.filter_into(&x, &mut state, &mut out).unwrap(), 1);
            assert_eq!(allocations_once(streamed).0, 0);
            let mut samples = x.clone();
            let in_place = || assert_eq!(filter.filter_in_place(&mut samples, &mut state).unwrap(), 1);
            assert_eq!(allocations_once(in_place).0, 0);
            let mut scratch = filter.new_zero_phase_scratch();
            let both = || assert_eq!(filter.zero_phase_into(&x, &mut scratch, &mut out).unwrap(), 1);
            assert_eq!(allocations(both), 0);
        }

        let plan = Integrator::params(n, rate, (8.0, 10.0)).build().unwrap();
        let mut scratch = plan.new_scratch();
        for to in [Integrated::VelocityMmPerS, Integrated::DisplacementUm] {
            let integrated = || plan.integrate_into(&x, to, &mut scratch, &mut out).unwrap();
            assert_eq!(allocations_once(integrated).0, 0);
        }

        let check = QualityCheck::params().build().unwrap();
        let (mut scratch, mut qualities) = (check.new_scratch(), [ChannelQuality::default(); 2]);
        let assessed = || {
            check
                .assess_window_into(&[&x, &x], &mut scratch, &mut qualities)
                .unwrap()
        };
        assert_eq!(allocations(assessed), 0);
        assert_eq!((qualities[0].n_missing, qualities[1].n_spikes), (1, 1));
    }
}
