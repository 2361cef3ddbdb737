//! Bearings diagnosed on the CWRU records (where `PROGNOS_DATA` is set), on generated ones, and on bad ones.

#![cfg(feature = "datasets")]

use prognos::{
    dataset::cwru::{self, Fault},
    diagnose::bearing::{BearingDiagnosis, BearingRecord, BearingVerdict},
    features::bearing::{self, BearingGeometry, BearingOrders},
    quantity::{Hertz, Seed},
    simulate::{BearingCondition, BearingVibration},
};
use std::path::PathBuf;

fn drive_end() -> BearingOrders {
    bearing::find("6205-2RS JEM").unwrap().orders
}

fn verdict(condition: BearingCondition) -> BearingVerdict {
    match condition {
        BearingCondition::InnerRace => BearingVerdict::InnerRace,
        BearingCondition::OuterRace => BearingVerdict::OuterRace,
        BearingCondition::Ball => BearingVerdict::Ball,
        _ => BearingVerdict::Healthy,
    }
}

/// Bearings whose lines lie 5% or more from those of the drive-end bearing.
fn wrong_bearings() -> Vec<BearingOrders> {
    let lines = |o: &BearingOrders| [o.bpfi(), o.bpfo(), 2.0 * o.bsf()];
    let mut wrong = Vec::new();
    for i in 0..2000_u32 {
        // A low-discrepancy walk through sizes and angles.
        let part = |step: f64| (f64::from(i) * step).fract();
        let (ratio, angle) = (0.1 + 0.25 * part(0.618_033_988), 40.0 * part(0.754_877_666));
        let Ok(geometry) = BearingGeometry::new(6 + i % 11, 100.0 * ratio, 100.0, angle) else {
            continue;
        };
        let orders = geometry.orders();
        let far = |o: &f64| lines(&drive_end()).iter().all(|t| (o / t - 1.0).abs() > 0.05);
        if lines(&orders).iter().all(far) {
            wrong.push(orders);
        }
    }
    assert!(wrong.len() > 100);
    wrong.truncate(100);
    wrong
}

#[test]
fn records_of_the_cwru_rig() {
    let Some(data) = std::env::var_os("PROGNOS_DATA").map(PathBuf::from) else {
        println!("skipped: PROGNOS_DATA is not set");
        return;
    };
    let (mut right, mut undetermined) = (0, 0);
    let wrong = wrong_bearings();
    for entry in cwru::read_index(data.join("cwru")).unwrap() {
        let loaded = entry.load().unwrap();
        let rpm = loaded.rpm.or(cwru::nominal_rpm(entry.load_hp)).unwrap();
        let (rate, shaft) = (entry.sample_rate, Hertz::from_rpm(rpm).unwrap());
        let x = loaded.recording.channel_named("DE").unwrap();
        let record = BearingRecord::measure(x, rate, shaft).unwrap();
        let truth = match entry.fault {
            Fault::InnerRace => BearingVerdict::InnerRace,
            Fault::OuterRace => BearingVerdict::OuterRace,
            Fault::Ball => BearingVerdict::Ball,
            _ => BearingVerdict::Healthy,
        };
        let report = record.judge(&drive_end());
        match report.verdict {
            BearingVerdict::Undetermined => undetermined += 1,
            said => {
                assert_eq!(said, truth, "record {}: {report}", entry.record);
                right += usize::from(said != BearingVerdict::Healthy);
            }
        }
        for orders in &wrong {
            let report = record.judge(orders);
            let claims = !matches!(report.verdict, BearingVerdict::Healthy | BearingVerdict::Undetermined);
            assert!(!claims, "record {}, {orders:?}: {report}", entry.record);
        }
        // A second of a faint fault may show nothing, but never another fault.
        let second = rate.get() as usize;
        for (i, piece) in x.chunks_exact(second).enumerate() {
            let report = BearingDiagnosis::new(drive_end()).diagnose(piece, rate, shaft).unwrap();
            if truth == BearingVerdict::Healthy {
                assert_eq!(report.verdict, truth, "second {i} of record {}: {report}", entry.record);
            } else {
                let either = [truth, BearingVerdict::Undetermined, BearingVerdict::Healthy];
                assert!(
                    either.contains(&report.verdict),
                    "second {i} of record {}: {report}",
                    entry.record
                );
            }
        }
    }
    println!("{right} right, 0 wrong, {undetermined} undetermined");
    assert!(right >= 32);
}

#[test]
fn generated_bearings_are_told_apart() {
    for name in ["6205-2RS JEM", "LDK UER204", "ZA-2115", "PRONOSTIA"] {
        let orders = bearing::find(name).unwrap().orders;
        for (rate, rpm) in [(12_000.0, 1772.0), (25_600.0, 1650.0), (48_000.0, 2100.0)] {
            let (rate, shaft) = (Hertz::new(rate).unwrap(), Hertz::from_rpm(rpm).unwrap());
            for condition in BearingCondition::ALL {
                let params = BearingVibration::params(orders, rate, shaft)
                    .condition(condition)
                    .impact_g(1.0);
                let x = params.generate(6.0, Seed(3)).unwrap();
                // The speed is stated half a per cent too low.
                let stated = Hertz::new(shaft.get() * 0.995).unwrap();
                let report = BearingDiagnosis::new(orders).diagnose(&x, rate, stated).unwrap();
                let said = [verdict(condition), BearingVerdict::Undetermined];
                assert!(
                    said.contains(&report.verdict),
                    "{name}, {rate}, {condition:?}: {report}"
                );
                if name == "6205-2RS JEM" {
                    assert_eq!(report.verdict, verdict(condition), "{rate}: {report}");
                    // Six seconds resolve 0.17 Hz.
                    assert!((report.shaft_hz - shaft.get()).abs() < 0.17, "{report}");
                }
                assert_eq!(report.candidates.len(), 3);
            }
        }
    }
}

#[test]
fn records_that_cannot_be_judged_are_undetermined_with_the_reason() {
    let (rate, shaft) = (Hertz::new(12_000.0).unwrap(), Hertz::new(30.0).unwrap());
    let healthy = BearingVibration::params(drive_end(), rate, shaft)
        .generate(3.0, Seed(1))
        .unwrap();
    let diagnosis = BearingDiagnosis::new(drive_end());
    let mut nan = healthy.clone();
    nan[77] = f64::NAN;
    let mut infinite = healthy.clone();
    infinite[77] = f64::INFINITY;
    let huge: Vec<f64> = healthy.iter().map(|v| v * 1e300).collect();
    let tiny: Vec<f64> = healthy.iter().map(|v| v * 1e-300).collect();
    for (x, why) in [
        (&[][..], "too few"),
        (&healthy[..1000], "too few"),
        (&nan, "NaN or infinite"),
        (&infinite, "NaN or infinite"),
        (&[2.5; 36_000], "do not vary"),
        (&huge, "square"),
        (&tiny, "square"),
    ] {
        let report = diagnosis.diagnose(x, rate, shaft).unwrap();
        assert_eq!((report.verdict, report.confidence), (BearingVerdict::Undetermined, 0.0));
        assert!(
            report.to_string().contains(why) || report.to_string().contains("no power"),
            "{report}"
        );
    }
    let slow = diagnosis
        .diagnose(&healthy, Hertz::new(1000.0).unwrap(), shaft)
        .unwrap();
    assert!(slow.to_string().contains("samples a turn"), "{slow}");
    assert!(Hertz::from_rpm(0.0).is_err());
    // One spike, a square wave, a ramp: no panic, no claim.
    let mut spike = vec![0.0; 36_000];
    spike[18_000] = 1.0;
    let square: Vec<f64> = (0..36_000).map(|i| if i % 400 < 200 { 1.0 } else { -1.0 }).collect();
    let ramp: Vec<f64> = (0..36_000).map(f64::from).collect();
    for x in [spike, square, ramp] {
        let report = diagnosis.diagnose(&x, rate, shaft).unwrap();
        let quiet = [BearingVerdict::Undetermined, BearingVerdict::Healthy];
        assert!(quiet.contains(&report.verdict), "{report}");
    }
}
