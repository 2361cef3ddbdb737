//! Drift of inputs and of prognoses on simulated fleets: how often nothing is called something, and something found.

use prognos::{
    ErrorKind,
    drift::{
        DriftLevel, DriftPolicy, EstimateTrail, InputMonitor, InputReference, MachineRows, TruthEnd, TruthMonitor,
        TruthPolicy, TruthReference,
    },
    features::FeatureSchema,
    model::RulEstimate,
    quantity::{LifeUnit, Seed},
    signal::Channel,
};

const CHANNELS: usize = 3;
const ROWS: usize = 60;

/// SplitMix64 and Box and Muller.
struct Draws(Seed, u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.1 += 1;
        ((self.0.part(self.1).0 >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

fn schema() -> FeatureSchema {
    let channels: Vec<_> = (0..CHANNELS).map(|j| Channel::new(format!("c{j}"), "")).collect();
    FeatureSchema::of_channels(&channels).unwrap()
}

/// Rows of a machine that follow one another closely (autocorrelation 0.95) about a level of its own.
fn machine(draws: &mut Draws, own: f64, shift: f64) -> Vec<f64> {
    let levels: Vec<f64> = (0..CHANNELS).map(|_| own * draws.normal() + shift).collect();
    let mut now: Vec<f64> = (0..CHANNELS).map(|_| draws.normal()).collect();
    let mut rows = Vec::with_capacity(ROWS * CHANNELS);
    for _ in 0..ROWS {
        for (x, level) in now.iter_mut().zip(&levels) {
            *x = 0.95 * *x + (1.0_f64 - 0.95 * 0.95).sqrt() * draws.normal();
            rows.push(level + *x);
        }
    }
    rows
}

fn training(draws: &mut Draws, n: usize, own: f64) -> Vec<Vec<f64>> {
    (0..n).map(|_| machine(draws, own, 0.0)).collect()
}

fn rows_of(machines: &[Vec<f64>]) -> MachineRows<'_> {
    let mut rows = MachineRows::new(schema());
    machines
        .iter()
        .for_each(|m| rows.push(m.chunks_exact(CHANNELS)).unwrap());
    rows
}

fn level(reference: &InputReference, policy: &DriftPolicy, machines: &[Vec<f64>], run: usize) -> DriftLevel {
    let mut monitor = InputMonitor::new(reference);
    for m in machines {
        for row in m.chunks_exact(CHANNELS).take(run) {
            monitor.observe(reference, row).unwrap();
        }
    }
    monitor
        .assess(reference, policy, machines.len() as f64)
        .unwrap()
        .level()
}

/// Shares of windows called moderate or worse, and major, over many fleets.
fn called(calibrated: bool, own: f64, shift: f64, fleets: u64) -> (f64, f64) {
    let (mut moderate, mut major, mut n) = (0, 0, 0);
    for fleet in 0..fleets {
        let mut draws = Draws(Seed(1000).part(fleet), 0);
        let train = training(&mut draws, 40, own);
        let rows = rows_of(&train);
        let reference = InputReference::fit(&rows).unwrap();
        let mut policy = DriftPolicy::default().window(200).at_least(1).significance(0.05, 0.01);
        // Any size will do: evidence alone is on trial.
        policy = policy.psi(1e-9, 1e-9).ks(1e-9, 1e-9);
        if calibrated {
            policy = policy.calibrated(&reference, &rows, 10, Seed(fleet)).unwrap();
        }
        for _ in 0..40 {
            let live: Vec<_> = (0..10).map(|_| machine(&mut draws, own, shift)).collect();
            let level = level(&reference, &policy, &live, 20);
            n += 1;
            moderate += u32::from(level >= DriftLevel::Moderate);
            major += u32::from(level == DriftLevel::Major);
        }
    }
    (f64::from(moderate) / f64::from(n), f64::from(major) / f64::from(n))
}

#[test]
fn alarms_without_drift_are_as_rare_as_stated() {
    for own in [0.0, 1.0, 3.0] {
        let (moderate, major) = called(true, own, 0.0, 10);
        println!("calibrated, own {own}: {moderate} {major}");
        // 400 windows of 10 fleets: the fleets' own thresholds differ, so about twice the stated share at most.
        assert!(moderate <= 0.10 && major <= 0.03, "own {own}: {moderate} {major}");
        let (moderate, major) = called(false, own, 0.0, 10);
        println!("by machines, own {own}: {moderate} {major}");
        assert!(moderate <= 0.05 && major <= 0.01, "own {own}: {moderate} {major}");
    }
}

#[test]
fn drift_is_found() {
    for calibrated in [true, false] {
        let (moderate, major) = called(calibrated, 0.5, 2.0, 2);
        println!("calibrated {calibrated}: {moderate} {major}");
        assert!(moderate > 0.9, "calibrated {calibrated}: {moderate} {major}");
    }
}

#[test]
fn a_silent_sensor_and_a_constant_that_moves_are_found() {
    let mut draws = Draws(Seed(5), 0);
    let mut train = training(&mut draws, 60, 1.0);
    train
        .iter_mut()
        .flat_map(|m| m.iter_mut().step_by(CHANNELS))
        .for_each(|v| *v = 21.5);
    let rows = rows_of(&train);
    let reference = InputReference::fit(&rows).unwrap();
    let base = DriftPolicy::default().window(1_200);
    let calibrated = base.clone().calibrated(&reference, &rows, 20, Seed(1)).unwrap();
    for policy in [base, calibrated] {
        assert_eq!(level(&reference, &policy, &train[..30], ROWS), DriftLevel::Stable);
        let mut moved = train[..30].to_vec();
        moved
            .iter_mut()
            .flat_map(|m| m.iter_mut().step_by(CHANNELS))
            .for_each(|v| *v = 21.4);
        assert_eq!(level(&reference, &policy, &moved, ROWS), DriftLevel::Major);
        let mut silent = train[..30].to_vec();
        silent
            .iter_mut()
            .flat_map(|m| m.iter_mut().skip(1).step_by(CHANNELS))
            .for_each(|v| *v = f64::NAN);
        assert_eq!(level(&reference, &policy, &silent, ROWS), DriftLevel::Major);
        let bytes = rmp_serde::to_vec_named(&policy).unwrap();
        assert_eq!(rmp_serde::from_slice::<DriftPolicy>(&bytes).unwrap(), policy);
    }
}

#[test]
fn hostile_input_is_an_error_or_counted() {
    let train = training(&mut Draws(Seed(6), 0), 8, 1.0);
    let rows = rows_of(&train);
    let reference = InputReference::fit(&rows).unwrap();
    let other = InputReference::fit(&rows_of(&train[..4])).unwrap();
    let mut monitor = InputMonitor::new(&reference);
    for row in [[f64::NAN, f64::INFINITY, 1e308], [f64::MIN, -0.0, 5e-324]] {
        monitor.observe(&reference, &row).unwrap();
    }
    assert_eq!(monitor.n_rows(), 2);
    let kind = |e: prognos::Result<()>| e.unwrap_err().kind();
    assert_eq!(kind(monitor.observe(&reference, &[1.0])), ErrorKind::SchemaMismatch);
    assert_eq!(kind(monitor.observe(&other, &[1.0; 3])), ErrorKind::StateMismatch);
    assert_eq!(
        kind(monitor.merge(&InputMonitor::new(&other))),
        ErrorKind::StateMismatch
    );
    assert_eq!(monitor.n_rows(), 2);
    let policy = DriftPolicy::default();
    let assess = |policy: &DriftPolicy, machines| kind(monitor.assess(&reference, policy, machines).map(drop));
    assert_eq!(assess(&policy, 1.0), ErrorKind::InsufficientData);
    let any = policy.clone().at_least(1);
    for machines in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(assess(&any, machines), ErrorKind::InvalidInput);
    }
    let bad = [
        any.clone().at_least(0),
        any.clone().window(0),
        any.clone().window(u64::MAX),
        any.clone().psi(0.0, 1.0),
        any.clone().psi(0.1, f64::NAN),
        any.clone().ks(0.1, 1.5),
        any.clone().significance(0.01, 0.05),
        any.clone().significance(1.0, 0.5),
    ];
    for policy in bad {
        assert_eq!(assess(&policy, 1.0), ErrorKind::InvalidParameter, "{policy:?}");
        let bytes = rmp_serde::to_vec_named(&policy).unwrap();
        assert!(rmp_serde::from_slice::<DriftPolicy>(&bytes).is_err());
    }
    let calibrate = |of: &MachineRows<'_>, n| kind(any.clone().calibrated(&reference, of, n, Seed(1)).map(drop));
    assert_eq!(calibrate(&rows, 0), ErrorKind::InvalidParameter);
    assert_eq!(calibrate(&rows_of(&train[..7]), 2), ErrorKind::InsufficientData);
    let foreign = any.clone().calibrated(&reference, &rows, 2, Seed(1)).unwrap();
    let e = InputMonitor::new(&other).assess(&other, &foreign, 1.0).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::StateMismatch);
    // One row is judged, and proves nothing.
    let report = monitor.assess(&reference, &any, 2.0).unwrap();
    assert_eq!(
        (report.level(), report.channels()[0].missing),
        (DriftLevel::Stable, 0.5)
    );
    assert_eq!(report.to_string().lines().count(), CHANNELS);
    monitor.reset();
    assert_eq!(monitor, InputMonitor::new(&reference));
}

#[test]
fn damaged_monitors_are_refused() {
    let train = training(&mut Draws(Seed(7), 0), 8, 1.0);
    let reference = InputReference::fit(&rows_of(&train)).unwrap();
    let mut monitor = InputMonitor::new(&reference);
    monitor.observe(&reference, &[0.0; 3]).unwrap();
    let json = serde_json::to_value(&monitor).unwrap();
    let damages: [fn(&mut serde_json::Value); 5] = [
        |v| v["rows"] = 2.into(),
        |v| v["counts"][0] = u64::MAX.into(),
        |v| v["widths"] = serde_json::json!([]),
        |v| v["widths"][0] = 1.into(),
        |v| v["counts"].as_array_mut().unwrap().push(0.into()),
    ];
    for (i, damage) in damages.iter().enumerate() {
        let mut spoilt = json.clone();
        damage(&mut spoilt);
        assert!(serde_json::from_value::<InputMonitor>(spoilt).is_err(), "{i}");
    }
    assert_eq!(serde_json::from_value::<InputMonitor>(json).unwrap(), monitor);
}

const HOURS: LifeUnit = LifeUnit::Hours;

fn said(rul: f64) -> RulEstimate {
    RulEstimate::new(rul, rul - 16.45, rul + 16.45, 0.9, HOURS).unwrap()
}

/// Machines whose estimates are off by a normal amount of spread `own` that stays the same for their life (intervals are right
/// for 10), plus `bias`.
fn truths(draws: &mut Draws, reference: &TruthReference, n: usize, own: f64, bias: f64) -> TruthMonitor {
    let mut monitor = TruthMonitor::new(reference);
    for k in 0..n as i64 {
        let (off, mut trail) = (own * draws.normal() + bias, EstimateTrail::new());
        for t in 0..50 {
            trail.push(HOURS.instant(k + t), &said((50 - t) as f64 + off)).unwrap();
        }
        monitor
            .learn(
                &trail,
                TruthEnd::Failed {
                    at: HOURS.instant(k + 50),
                },
            )
            .unwrap();
    }
    monitor
}

#[test]
fn prognoses_as_at_training_are_seldom_called_worse() {
    let (mut moderate, mut major, mut found) = (0, 0, 0);
    for trial in 0..300 {
        let mut draws = Draws(Seed(77).part(trial), 0);
        let held_out: Vec<_> = (0..60)
            .flat_map(|asset| {
                let off = 10.0 * draws.normal();
                (1..=20).map(move |t| (asset, f64::from(t), said(f64::from(t) + off)))
            })
            .collect();
        let reference = TruthReference::of_held_out(HOURS, None, held_out).unwrap();
        for n in [3, 12] {
            let policy = TruthPolicy::default();
            let level = truths(&mut draws, &reference, n, 10.0, 0.0)
                .assess(&reference, &policy)
                .unwrap()
                .level();
            moderate += u32::from(level >= DriftLevel::Moderate);
            major += u32::from(level == DriftLevel::Major);
        }
        let worse = truths(&mut draws, &reference, 12, 25.0, 10.0);
        let level = worse.assess(&reference, &TruthPolicy::default()).unwrap().level();
        found += u32::from(level >= DriftLevel::Moderate);
    }
    println!("of 600 {moderate} moderate, {major} major; found {found} of 300");
    assert!(
        moderate <= 30 && major <= 6 && found >= 240,
        "{moderate} {major} {found}"
    );
}

#[test]
fn one_machine_is_never_major_and_retired_ones_only_contradict() {
    let reference =
        TruthReference::of_held_out(HOURS, Some(40.0), (0..30).map(|i| (i, 20.0, said(f64::from(i))))).unwrap();
    let policy = TruthPolicy::default();
    let mut trail = EstimateTrail::new();
    trail.push(HOURS.instant(0), &said(1e300)).unwrap();
    let mut monitor = TruthMonitor::new(&reference);
    assert_eq!(
        monitor.assess(&reference, &policy).unwrap_err().kind(),
        ErrorKind::InsufficientData
    );
    let truth = monitor
        .learn(&trail, TruthEnd::Failed { at: HOURS.instant(90) })
        .unwrap()
        .unwrap();
    assert_eq!((truth.errors.unwrap().0, truth.coverage), (1e15 - 40.0, 0.0)); // capped at 40 h
    assert_ne!(monitor.assess(&reference, &policy).unwrap().level(), DriftLevel::Major);

    // Told 5 and 60 h, retired alive after 30 h and 20 h: the first is contradicted.
    let mut trail = EstimateTrail::new();
    trail.push(HOURS.instant(0), &said(5.0)).unwrap();
    trail.push(HOURS.instant(10), &said(60.0)).unwrap();
    let retired = monitor
        .learn(&trail, TruthEnd::Retired { at: HOURS.instant(30) })
        .unwrap()
        .unwrap();
    assert_eq!((retired.errors, retired.coverage), (None, 0.5));
    let report = monitor.assess(&reference, &policy).unwrap();
    assert_eq!(
        (report.now.n_machines, report.now.n_retired, report.now.coverage),
        (2, 1, 0.25)
    );
    assert_eq!(report.to_string().lines().count(), 3);

    // Nothing said before the end; a life left that is none; another unit.
    assert_eq!(
        monitor
            .learn(&trail, TruthEnd::Failed { at: HOURS.instant(-1) })
            .unwrap(),
        None
    );
    assert_eq!(
        monitor
            .learn(&EstimateTrail::new(), TruthEnd::Failed { at: HOURS.instant(9) })
            .unwrap(),
        None
    );
    for rul in [f64::NAN, -1.0, f64::INFINITY] {
        let end = TruthEnd::Inspected {
            at: HOURS.instant(30),
            rul,
        };
        assert_eq!(monitor.learn(&trail, end).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let mut days = EstimateTrail::new();
    days.push(
        HOURS.instant(0),
        &RulEstimate::new(1.0, 0.0, 2.0, 0.9, LifeUnit::Days).unwrap(),
    )
    .unwrap();
    assert!(
        monitor
            .learn(&days, TruthEnd::Failed { at: HOURS.instant(30) })
            .is_err()
    );
    let found = monitor
        .learn(
            &trail,
            TruthEnd::Inspected {
                at: HOURS.instant(30),
                rul: 7.0,
            },
        )
        .unwrap()
        .unwrap();
    // Truths 37 and 27 h, told 5 and 60.
    assert_eq!(
        (found.errors.unwrap().0, found.errors.unwrap().1, found.coverage),
        (0.5, 32.5, 0.0)
    );
}

#[test]
fn damaged_truths_are_refused() {
    let reference = TruthReference::of_held_out(HOURS, None, (0..3).map(|i| (i, 20.0, said(f64::from(i))))).unwrap();
    let json = serde_json::to_value(&reference).unwrap();
    assert_eq!(
        serde_json::from_value::<TruthReference>(json.clone()).unwrap(),
        reference
    );
    let damages: [fn(&mut serde_json::Value); 7] = [
        |v| v["cap"] = (-1.0).into(),
        |v| v["figures"]["n_machines"] = 4.into(),
        |v| v["figures"]["n_machines"] = 0.into(),
        |v| v["figures"]["coverage"] = 1.5.into(),
        |v| v["figures"]["mae"] = 1e300.into(),
        |v| v["biases"][0] = 1e3.into(),
        |v| v["maes"][0] = (-1.0).into(),
    ];
    for (i, damage) in damages.iter().enumerate() {
        let mut spoilt = json.clone();
        damage(&mut spoilt);
        assert!(serde_json::from_value::<TruthReference>(spoilt).is_err(), "{i}");
    }
    let monitor = truths(&mut Draws(Seed(1), 0), &reference, 100, 10.0, 0.0);
    assert_eq!(monitor.n_machines(), 64);
    let json = serde_json::to_value(&monitor).unwrap();
    assert_eq!(serde_json::from_value::<TruthMonitor>(json.clone()).unwrap(), monitor);
    let damages: [fn(&mut serde_json::Value); 4] = [
        |v| v["machines"][0][1]["coverage"] = 2.0.into(),
        |v| v["machines"][0][1]["n_estimates"] = 0.into(),
        |v| v["machines"][0][0] = v["machines"][9][0].clone(),
        |v| v["machines"][0][1]["errors"][1] = (-1.0).into(),
    ];
    for (i, damage) in damages.iter().enumerate() {
        let mut spoilt = json.clone();
        damage(&mut spoilt);
        assert!(serde_json::from_value::<TruthMonitor>(spoilt).is_err(), "{i}");
    }
    let bad = TruthPolicy::default().shift(f64::NAN, 1.0);
    assert_eq!(
        monitor.assess(&reference, &bad).unwrap_err().kind(),
        ErrorKind::InvalidParameter
    );
    for cap in [0.0, f64::NAN] {
        assert!(TruthReference::of_held_out(HOURS, Some(cap), [(0, 1.0, said(1.0))]).is_err());
    }
    assert!(TruthReference::of_held_out(HOURS, None, [(0, f64::NAN, said(1.0))]).is_err());
    assert!(TruthReference::of_held_out(HOURS, None, []).is_err());
}
