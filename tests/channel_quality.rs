//! The check of channels on noise, on bearings with faults, and on the same with damaged samples.

use prognos::{
    features::bearing,
    quantity::{Hertz, Seed},
    signal::{QualityCheck, QualityFlag},
    simulate::{BearingCondition, BearingVibration},
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;

#[test]
fn gaussian_noise_is_usable() {
    let mut random = Xoshiro256Plus::seed_from_u64(5);
    let check = QualityCheck::params().build().unwrap();
    let mut scratch = check.new_scratch();
    for window in 0..40 {
        // Box and Muller's.
        let mut normal = || {
            let radius = (-2.0 * (1.0 - random.r#gen::<f64>()).ln()).sqrt();
            radius * (std::f64::consts::TAU * random.r#gen::<f64>()).cos()
        };
        let mut x: Vec<f64> = (0..25_600).map(|_| normal()).collect();
        let quality = check.assess(&x, &mut scratch);
        assert!(quality.is_usable(), "{window}: {quality:?}");
        // Through a converter of three units a standard deviation.
        x.iter_mut().for_each(|v| *v = (3.0 * *v).round());
        let quality = check.assess(&x, &mut scratch);
        assert!(quality.is_usable(), "{window}, in whole numbers: {quality:?}");
    }
}

#[test]
fn impacts_of_a_fault_are_no_spikes_and_spikes_among_them_are() {
    let orders = bearing::find("6205").unwrap().orders;
    let check = QualityCheck::params().build().unwrap();
    let mut scratch = check.new_scratch();
    for rate in [6000.0, 12_000.0, 25_600.0, 51_200.0] {
        let (rate, shaft) = (Hertz::new(rate).unwrap(), Hertz::from_rpm(1772.0).unwrap());
        for condition in BearingCondition::ALL {
            for (seed, impact_g) in [(1, 0.5), (2, 5.0), (3, 50.0)] {
                let bearing = BearingVibration::params(orders, rate, shaft).condition(condition);
                let mut x = bearing
                    .impact_g(impact_g)
                    .noise_g(0.05)
                    .generate(1.0, Seed(seed))
                    .unwrap();
                let quality = check.assess(&x, &mut scratch);
                assert!(quality.is_usable(), "{rate} {condition:?} {impact_g}: {quality:?}");
                let n = x.len();
                x[n / 3] += 500.0;
                x[n / 2] -= 400.0;
                x[n / 2 + 1] -= 300.0;
                let quality = check.assess(&x, &mut scratch);
                assert_eq!(quality.flags.iter().collect::<Vec<_>>(), [QualityFlag::Spikes]);
                assert_eq!(quality.n_spikes, 2, "{rate} {condition:?} {impact_g}");
            }
        }
    }
}
