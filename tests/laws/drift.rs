//! Laws of drift monitors on random rows.

use prognos::{
    drift::{
        DriftPolicy, EstimateTrail, InputMonitor, InputReference, MachineRows, TruthEnd, TruthMonitor, TruthPolicy,
        TruthReference,
    },
    features::FeatureSchema,
    model::RulEstimate,
    quantity::LifeUnit,
    signal::Channel,
};
use proptest::prelude::*;

fn schema() -> FeatureSchema {
    FeatureSchema::of_channels(&[Channel::new("a", ""), Channel::new("b", "")]).unwrap()
}

/// Any float, and few of them often.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), -3.0..3.0, (0_u8..3).prop_map(f64::from), Just(f64::NAN)]
}

fn rows(least: usize) -> impl Strategy<Value = Vec<[f64; 2]>> {
    prop::collection::vec([value(), value()], least..80)
}

fn fit(machines: &[&[[f64; 2]]]) -> InputReference {
    let mut all = MachineRows::new(schema());
    for machine in machines {
        all.push(machine.iter().map(|row| &row[..])).unwrap();
    }
    InputReference::fit(&all).unwrap()
}

fn seen(reference: &InputReference, rows: &[[f64; 2]]) -> InputMonitor {
    let mut monitor = InputMonitor::new(reference);
    rows.iter().for_each(|row| monitor.observe(reference, row).unwrap());
    monitor
}

proptest! {
    #[test]
    fn rows_are_counted_in_any_order_and_any_shards(
        train in rows(1), live in rows(1), cut in any::<prop::sample::Index>(), turn in any::<prop::sample::Index>()
    ) {
        let (a, b) = train.split_at(cut.index(train.len()));
        let reference = fit(&[a, b]);
        let mut turned = b.to_vec();
        turned.reverse();
        prop_assert_eq!(&fit(&[&turned, a]), &reference);
        let bytes = rmp_serde::to_vec_named(&reference).unwrap();
        prop_assert_eq!(&rmp_serde::from_slice::<InputReference>(&bytes).unwrap(), &reference);

        let whole = seen(&reference, &live);
        let mut rotated = live.clone();
        rotated.rotate_left(turn.index(live.len()));
        prop_assert_eq!(&seen(&reference, &rotated), &whole);
        let (x, y) = live.split_at(turn.index(live.len()));
        let mut merged = seen(&reference, y);
        merged.merge(&seen(&reference, x)).unwrap();
        prop_assert_eq!(&merged, &whole);
        let bytes = rmp_serde::to_vec_named(&whole).unwrap();
        prop_assert_eq!(&rmp_serde::from_slice::<InputMonitor>(&bytes).unwrap(), &whole);

        let policy = DriftPolicy::default().at_least(1);
        for c in whole.assess(&reference, &policy, 3.0).unwrap().channels() {
            prop_assert!(c.psi >= 0.0 && c.psi.is_finite() && (0.0..=1.0).contains(&c.ks), "{c}");
            prop_assert!((0.0..=1.0).contains(&c.ks_p_value) && (0.0..=1.0).contains(&c.bins_p_value), "{c}");
            prop_assert!((0.0..=1.0).contains(&c.missing) && (0.0..=1.0).contains(&c.missing_reference));
        }
        // The statistic over all values is at least that at the cuts, by a bin's share at most.
        let finite = |rows: &[[f64; 2]]| -> Vec<f64> { rows.iter().map(|r| r[0]).filter(|v| v.is_finite()).collect() };
        let (then, now) = (finite(&train), finite(&live));
        if !then.is_empty() && !now.is_empty() {
            let share = |all: &[f64], x: f64| all.iter().filter(|v| **v <= x).count() as f64 / all.len() as f64;
            let full = then.iter().chain(&now).map(|x| (share(&now, *x) - share(&then, *x)).abs()).fold(0.0, f64::max);
            let widest = *reference.channels()[0].counts().iter().max().unwrap() as f64 / then.len() as f64;
            let ks = whole.assess(&reference, &policy, 3.0).unwrap().channels()[0].ks;
            prop_assert!(ks <= full + 1e-12 && full <= ks + widest + 1e-12, "{ks} {full} {widest}");
        }
        // Training rows twice have the same shares.
        let mut same = seen(&reference, &train);
        same.merge(&seen(&reference, &train)).unwrap();
        for c in same.assess(&reference, &policy, 9.0).unwrap().channels() {
            prop_assert!(c.psi == 0.0 && c.ks < 1e-15 && c.ks_p_value == 1.0 && c.bins_p_value == 1.0, "{c}");
        }
    }

    #[test]
    fn machines_are_learnt_in_any_order(
        lives in prop::collection::vec((1.0..200.0, -50.0..50.0, 0_u8..3), 1..90), turn in any::<prop::sample::Index>()
    ) {
        let unit = LifeUnit::Hours;
        let said = |rul: f64| RulEstimate::new(rul, rul - 10.0, rul + 10.0, 0.9, unit).unwrap();
        let held_out = (0..20).map(|i| (i, 50.0, said(40.0 + f64::from(i))));
        let reference = TruthReference::of_held_out(unit, Some(125.0), held_out).unwrap();
        let learn = |monitor: &mut TruthMonitor, (life, off, end): (f64, f64, u8)| {
            let at = unit.instant(life as i64 + 1);
            let mut trail = EstimateTrail::new();
            for t in 0..=life as i64 {
                trail.push(unit.instant(t), &said(life - t as f64 + off)).unwrap();
            }
            let end = match end {
                0 => TruthEnd::Failed { at },
                1 => TruthEnd::Inspected { at, rul: 3.0 },
                _ => TruthEnd::Retired { at },
            };
            monitor.learn(&trail, end).unwrap().unwrap();
        };
        let of = |lives: &[(f64, f64, u8)]| {
            let mut monitor = TruthMonitor::new(&reference);
            lives.iter().for_each(|l| learn(&mut monitor, *l));
            monitor
        };
        let whole = of(&lives);
        let k = turn.index(lives.len());
        let mut rotated = lives.clone();
        rotated.rotate_left(k);
        prop_assert_eq!(&of(&rotated), &whole);
        let mut merged = of(&lives[k..]);
        merged.merge(&of(&lives[..k])).unwrap();
        prop_assert_eq!(&merged, &whole);
        let bytes = rmp_serde::to_vec_named(&whole).unwrap();
        prop_assert_eq!(&rmp_serde::from_slice::<TruthMonitor>(&bytes).unwrap(), &whole);
        let report = whole.assess(&reference, &TruthPolicy::default()).unwrap();
        for p in [report.coverage.1, report.error.1, report.bias.1] {
            prop_assert!((0.0..=1.0).contains(&p), "{report}");
        }
        prop_assert!(report.now.rmse >= report.now.mae * (1.0 - 1e-12) && report.now.mae >= report.now.bias.abs() * (1.0 - 1e-12));
    }
}
