//! The generated turbofan fleet: its truth, its laws, and that it is the same everywhere.

use prognos::{
    ErrorKind,
    envelope::sha256_hex,
    quantity::{LifeUnit, Seed},
    signal::{EndOfLife, FleetHistory},
    simulate::{self, FaultMode, TurbofanFleet, TurbofanParams},
};
use proptest::prelude::*;

/// All bits of a fleet's times and readings.
fn bytes(fleet: &FleetHistory) -> Vec<u8> {
    let mut out = Vec::new();
    for asset in fleet.assets() {
        for (time, values) in asset.rows() {
            out.extend(time.nanos().to_le_bytes());
            out.extend(values.iter().flat_map(|v| v.to_bits().to_le_bytes()));
        }
    }
    out
}

fn column(fleet: &FleetHistory, name: &str) -> usize {
    fleet.channels().iter().position(|c| c.name == name).unwrap()
}

#[test]
fn fleet_is_the_same_on_every_platform() {
    let fleet = simulate::turbofan_fleet(Seed(7)).unwrap();
    assert_eq!(sha256_hex(&bytes(&fleet)), PINNED);
}

/// Changes with the generator only: then make `datasets/turbofan_sim` again.
const PINNED: &str = "6b93928e1361c2d2ef45994be1707d77ce1d4193165ee02faf8349af44c2b983";

#[test]
fn settings_out_of_range_are_named() {
    let p = TurbofanFleet::params;
    let cases: [(&str, TurbofanParams); 16] = [
        ("n_assets", p().n_assets(0)),
        ("n_assets", p().n_assets(10_001)),
        ("n_assets", p().n_assets(10_000).wear_cycles(1, 10_000)),
        ("n_regimes", p().n_regimes(0)),
        ("n_regimes", p().n_regimes(7)),
        ("fault_modes", p().fault_modes([])),
        ("fault_modes", p().fault_modes([FaultMode::Fan; 65])),
        ("healthy_cycles", p().healthy_cycles(0, 5)),
        ("healthy_cycles", p().healthy_cycles(6, 5)),
        ("healthy_cycles", p().healthy_cycles(5, u32::MAX)),
        ("wear_cycles", p().wear_cycles(0, 0)),
        ("noise", p().noise(-0.1)),
        ("noise", p().noise(f64::NAN)),
        ("noise", p().noise(f64::INFINITY)),
        ("missing", p().missing(0.51)),
        ("missing", p().missing(f64::NAN)),
    ];
    for (name, params) in cases {
        let e = params.generate().unwrap_err();
        assert!(
            e.kind() == ErrorKind::InvalidParameter && e.to_string().contains(name),
            "{name}: {e}"
        );
    }
    p().n_assets(1)
        .healthy_cycles(1, 1)
        .wear_cycles(1, 1)
        .noise(0.0)
        .missing(0.5)
        .generate()
        .unwrap();
}

#[test]
fn noiseless_readings_follow_the_formula() {
    let params = TurbofanFleet::params()
        .n_assets(6)
        .n_regimes(1)
        .noise(0.0)
        .missing(0.0)
        .seed(Seed(5));
    let fleet = params.generate().unwrap();
    let (p30, t30, throttle) = (
        column(&fleet.history, "p30"),
        column(&fleet.history, "t30"),
        column(&fleet.history, "setting_3"),
    );
    for (engine, truth) in fleet.history.assets().iter().zip(&fleet.truth) {
        let (p30_gain, t30_gain) = match truth.fault_mode {
            FaultMode::Compressor => (-0.006, 0.012),
            FaultMode::Fan => (0.007, 0.007),
        };
        for ((_, row), health) in engine.rows().zip(&truth.health) {
            // On the ground at rest both ratios are 1. Throttle is logged to 0.1 of a percent.
            let (power, wear) = (row[throttle] / 100.0, 1.0 - health);
            let expected = 554.0 * power * (1.0 + p30_gain * wear * power);
            assert!(
                (row[p30] - expected).abs() < 0.05 + 554.0 * 0.0005 * 1.01,
                "{} psia, not {expected}",
                row[p30]
            );
            let expected = 1585.0 * power.powf(0.3) * (1.0 + t30_gain * wear * power);
            assert!(
                (row[t30] - expected).abs() < 0.5 + 1585.0 * 0.3 * 0.0005 * 1.1,
                "{} °R, not {expected}",
                row[t30]
            );
        }
    }
    assert!(fleet.truth.iter().any(|t| t.fault_mode == FaultMode::Fan));
    assert!(fleet.truth.iter().any(|t| t.fault_mode == FaultMode::Compressor));
}

#[test]
fn faults_differ_and_some_sensors_know_nothing() {
    let shift = |mode: FaultMode, sensor: &str| {
        let fleet = TurbofanFleet::params()
            .n_assets(30)
            .n_regimes(1)
            .fault_modes([mode])
            .generate()
            .unwrap();
        let j = column(&fleet.history, sensor);
        let mean = |late: bool| {
            let mut readings = Vec::new();
            for (engine, truth) in fleet.history.assets().iter().zip(&fleet.truth) {
                for ((_, row), health) in engine.rows().zip(&truth.health) {
                    if !row[j].is_nan() && (if late { *health < 0.1 } else { *health > 0.9 }) {
                        readings.push(row[j]);
                    }
                }
            }
            readings.iter().sum::<f64>() / readings.len() as f64
        };
        mean(true) / mean(false) - 1.0
    };
    for sensor in ["p30", "phi", "bpr"] {
        let (compressor, fan) = (shift(FaultMode::Compressor, sensor), shift(FaultMode::Fan, sensor));
        assert!(
            compressor.abs() > 0.003 && fan.abs() > 0.003 && compressor * fan < 0.0,
            "{sensor}: {compressor} {fan}"
        );
    }
    assert!(shift(FaultMode::Compressor, "t2").abs() < 1e-4);
    let fleet = simulate::turbofan_fleet(Seed(1)).unwrap();
    let far = column(&fleet, "far");
    let mut rows = fleet.assets().iter().flat_map(|a| a.rows());
    assert!(rows.all(|(_, row)| row[far].is_nan() || row[far] == 0.03));
}

#[test]
fn missing_readings_are_as_frequent_as_asked_and_change_nothing_else() {
    let make = |missing| {
        TurbofanFleet::params()
            .n_assets(20)
            .missing(missing)
            .generate()
            .unwrap()
    };
    let (none, some) = (make(0.0), make(0.05));
    assert_eq!(none.truth, some.truth);
    let (mut n, mut n_missing) = (0.0_f64, 0.0);
    for (a, b) in none.history.assets().iter().zip(some.history.assets()) {
        for ((_, x), (_, y)) in a.rows().zip(b.rows()) {
            assert!(x.iter().all(|v| v.is_finite()) && x[..3] == y[..3]);
            assert!(x.iter().zip(y).all(|(x, y)| y.is_nan() || x == y));
            n += 12.0;
            n_missing += y.iter().filter(|v| v.is_nan()).count() as f64;
        }
    }
    assert!(
        (n_missing - 0.05 * n).abs() < 5.0 * (0.05 * 0.95 * n).sqrt(),
        "{n_missing} of {n}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_fleet_keeps_the_laws(seed in any::<u64>(), n_assets in 1..6_u32, n_regimes in 1..=6_u32) {
        let params = TurbofanFleet::params().seed(Seed(seed)).n_assets(n_assets).n_regimes(n_regimes);
        let fleet = params.generate().unwrap();
        prop_assert_eq!(fleet.history.assets().len(), n_assets as usize);
        prop_assert_eq!(fleet.history.life_unit(), LifeUnit::Cycles);
        for (index, (engine, truth)) in fleet.history.assets().iter().zip(&fleet.truth).enumerate() {
            let n = engine.n_rows();
            prop_assert_eq!(engine.asset(), &truth.asset);
            prop_assert_eq!(engine.asset(), (index + 1).to_string());
            prop_assert!((120..=350).contains(&n), "{n} cycles");
            prop_assert_eq!((truth.health.len(), truth.regimes.len()), (n, n));
            prop_assert_eq!(engine.end(), EndOfLife::Failed);
            let cycles: Vec<_> = (1..=n as i64).map(|k| LifeUnit::Cycles.instant(k)).collect();
            prop_assert_eq!(engine.times(), cycles);

            // Healthy up to the onset, falling after it, failed in the last row and no sooner.
            let onset = truth.onset_cycle as usize;
            prop_assert!((30..=200).contains(&onset) && (90..=150).contains(&(n - onset)));
            let new = truth.health[0];
            prop_assert!((0.92..=1.0).contains(&new));
            prop_assert!(truth.health[..onset].iter().all(|&h| h == new));
            prop_assert!(truth.health[onset - 1..].windows(2).all(|w| w[1] < w[0]));
            prop_assert_eq!(truth.health[n - 1], 0.0);
            // Accelerating: the second half of the way takes off more than the first.
            let half = truth.health[onset + (n - onset) / 2];
            prop_assert!(new - half < half, "half way at {half}");

            prop_assert!(truth.regimes.iter().all(|&r| r < n_regimes));
            for (_, row) in engine.rows() {
                prop_assert!(row[..3].iter().all(|v| v.is_finite()));
                prop_assert!(row.iter().all(|v| v.is_nan() || v.is_finite()));
                prop_assert!(row.iter().all(|v| v.to_string().len() <= 7), "not as logged: {row:?}");
            }
        }
        // The same seed, the same fleet; a smaller fleet is the start of a larger one; another seed is another fleet.
        let again = params.clone().n_assets(n_assets + 1).generate().unwrap();
        let start = again.history.filtered(|i, _| i < n_assets as usize);
        prop_assert_eq!(bytes(&start), bytes(&fleet.history));
        prop_assert_eq!(&again.truth[..n_assets as usize], &fleet.truth[..]);
        let other = params.seed(Seed(seed ^ 1)).generate().unwrap();
        prop_assert_ne!(bytes(&other.history), bytes(&fleet.history));
    }

    #[test]
    fn settings_tell_regimes_apart(seed in any::<u64>()) {
        let fleet = TurbofanFleet::params().seed(Seed(seed)).n_assets(2).generate().unwrap();
        let expected = [0.0, 8.0, 15.0, 25.0, 33.0, 39.0];
        for (engine, truth) in fleet.history.assets().iter().zip(&fleet.truth) {
            for ((_, row), &r) in engine.rows().zip(&truth.regimes) {
                // Seven standard deviations of 0.02 thousand feet.
                prop_assert!((row[0] - expected[r as usize]).abs() < 0.14 + 0.005);
            }
        }
    }
}
