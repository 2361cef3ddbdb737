//! Bounds on machines: who must leave, with what, and how they come back.

use crate::chains;
use crate::machines::{
    Fault, MODEL, Reference, Row, adds_up, at, built, encoded, evicted, late, push, push_all, rows_of, seconds,
    settings, sound_rows, turns,
};
use prognos::{
    ErrorKind,
    fleet::{Fleet, FleetEventKind, WhenFull},
    model::{Assessment, UnusableReason},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Who must leave leaves an event, and goes on as if it had stayed once it is readmitted.
    #[test]
    fn who_is_evicted_comes_back_as_it_left(turns in turns(7, 1..250, true), room in 1usize..5, shards in 1usize..4) {
        let mut fleet = built(settings().max_assets(room).when_full(WhenFull::EvictLongestSilent).shards(shards));
        let mut reference = Reference::new(&MODEL);
        let mut away: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for row in rows_of(&turns) {
            if let Some(remembered) = away.remove(&row.asset) {
                fleet.readmit(row.asset, &remembered).unwrap();
                away.extend(evicted(fleet.events()));
                prop_assert!(fleet.readmit(row.asset, &remembered).is_err());
            }
            prop_assert_eq!(encoded(&push(&mut fleet, &row)), encoded(&reference.push(&row)));
            away.extend(evicted(fleet.events()));
            prop_assert!(fleet.len() <= room);
            // Known or away, and never both: nobody is lost.
            prop_assert!(fleet.assets().all(|key| !away.contains_key(key)));
            let all: Vec<u32> = reference.states.keys().copied().collect();
            let mut ours: Vec<u32> = fleet.assets().chain(away.keys()).copied().collect();
            ours.sort_unstable();
            prop_assert_eq!(ours, all);
            adds_up(&fleet);
        }
    }

    /// Who leaves is who has been silent longest, by the stamps of its rows, and no more leave than must.
    #[test]
    fn who_leaves_is_who_was_silent_longest(turns in turns(9, 1..200, false)) {
        let mut fleet = built(settings().max_assets(4).when_full(WhenFull::EvictLongestSilent));
        let mut heard: BTreeMap<u32, i64> = BTreeMap::new();
        for (i, row) in rows_of(&turns).into_iter().enumerate() {
            // One clock for all: the last row is the latest.
            let row = Row { time: at(i as i64), ..row };
            push(&mut fleet, &row);
            let left = evicted(fleet.events());
            prop_assert!(left.len() <= 1);
            for (key, _) in left {
                let longest = heard.iter().min_by_key(|(_, last)| **last).map(|(key, _)| *key);
                prop_assert_eq!(Some(key), longest);
                heard.remove(&key);
            }
            if fleet.state(&row.asset).is_some() && row.values.iter().any(|v| v.is_finite()) {
                heard.insert(row.asset, i as i64);
            }
        }
    }
}

/// A machine whose rows wait is not silent.
#[test]
fn who_waits_is_not_who_is_silent() {
    let params = settings().lateness(seconds(60.0)).max_assets(3);
    let mut fleet = built(params.when_full(WhenFull::EvictLongestSilent));
    let values = &sound_rows(1, 1)[0].values;
    for key in 0..3 {
        fleet.push(&key, at(0), values).unwrap();
    }
    fleet.advance(at(1_000)).unwrap();
    // Three others come, a second apart: each takes the place of one that is silent, not of one that has just come.
    for key in 3..6 {
        fleet.push(&key, at(1_000 + i64::from(key)), values).unwrap();
        let left: Vec<u32> = evicted(fleet.events()).into_iter().map(|(key, _)| key).collect();
        assert_eq!(left, [key - 3]);
    }
}

/// A row that tells nothing makes no machine known, and so costs none its place.
#[test]
fn rows_that_tell_nothing_cost_nobody_a_place() {
    let mut fleet = built(settings().max_assets(2).when_full(WhenFull::EvictLongestSilent));
    push_all(&mut fleet, &sound_rows(2, 3));
    let outcome = fleet.push(&7, at(9), &[f64::NAN, f64::NAN]).unwrap();
    assert!(matches!(outcome, Assessment::Unusable(_)));
    assert_eq!(fleet.events(), []);
    assert!(fleet.state(&0).is_some() && fleet.state(&1).is_some());
    assert!(fleet.push(&7, at(9), &[1.0]).is_err());
    assert_eq!(fleet.len(), 2);
    assert_eq!((fleet.metrics().errors, fleet.metrics().evicted), (1, 0));
    adds_up(&fleet);
}

/// Without room, rows of the known are judged and others refused.
#[test]
fn who_is_refused_leaves_the_others_be() {
    let mut fleet = built(settings().max_assets(2));
    let mut reference = Reference::new(&MODEL);
    for row in sound_rows(4, 20) {
        let outcome = push(&mut fleet, &row);
        if row.asset < 2 {
            assert_eq!(outcome, reference.push(&row));
        } else {
            assert_eq!(outcome, Assessment::Unusable(UnusableReason::FleetFull));
            assert_eq!(fleet.events()[0].kind, FleetEventKind::Refused);
        }
    }
    assert_eq!(fleet.commission(9, at(0)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(fleet.metrics().rows_refused, 40);
    fleet.retire(&0).unwrap();
    fleet.commission(9, at(0)).unwrap();
    adds_up(&fleet);
}

/// Machines are admitted as long as what is remembered lies below the budget, however they come.
#[test]
fn a_budget_bounds_the_machines() {
    const BUDGET: u64 = 20_000;
    let values = &sound_rows(1, 1)[0].values;
    let by_rows = |fleet: &mut Fleet<u32>, key: u32| {
        fleet.push(&key, at(0), values).unwrap();
    };
    let by_commission = |fleet: &mut Fleet<u32>, key: u32| {
        let _ = fleet.commission(key, at(0));
    };
    type Admit<'a> = &'a dyn Fn(&mut Fleet<u32>, u32);
    for (lateness, admit) in [
        (0.0, &by_rows as Admit<'_>),
        (10.0, &by_rows as Admit<'_>),
        (0.0, &by_commission as Admit<'_>),
    ] {
        let mut fleet = built(late(settings(), lateness).memory_budget(BUDGET));
        (0..1_000).for_each(|key| admit(&mut fleet, key));
        let m = fleet.metrics();
        // A machine of these takes 200 to 2,000 bytes.
        assert!((10..100).contains(&fleet.len()), "{} machines, {m:?}", fleet.len());
        assert!((BUDGET..BUDGET + 2_000).contains(&m.remembered_bytes), "{m:?}");
        // Who leaves makes room.
        let n = fleet.len();
        (0..5).for_each(|key| assert!(fleet.retire(&key).is_some()));
        assert!(fleet.metrics().remembered_bytes < BUDGET);
        (2_000..2_020).for_each(|key| admit(&mut fleet, key));
        assert_eq!(fleet.len(), n);
    }
}

/// Machines restored from a fleet without a budget are counted, too.
#[test]
fn a_budget_counts_who_was_restored() {
    let mut fleet = built(settings());
    push_all(&mut fleet, &sound_rows(5, 7));
    let bytes = crate::machines::snapshot(&fleet);
    let bounded = settings()
        .memory_budget(1_000)
        .restore::<u32>(MODEL.clone(), bytes.as_slice());
    let mut bounded = bounded.unwrap();
    assert!(bounded.metrics().remembered_bytes > 1_000);
    let outcome = bounded.push(&9, at(0), &[60.0, 5.0]).unwrap();
    assert_eq!(outcome, Assessment::Unusable(UnusableReason::FleetFull));
}

/// The same rows lead to the same machines, on any number of shards.
#[test]
fn a_budget_is_the_same_on_all_shards() {
    let known = |shards| {
        let params = settings().memory_budget(9_000).when_full(WhenFull::EvictLongestSilent);
        let mut fleet = built(params.shards(shards));
        let mut all = Vec::new();
        for row in sound_rows(20, 12) {
            push(&mut fleet, &row);
            all.push(encoded(fleet.events()));
        }
        (all, fleet.metrics())
    };
    let (events, metrics) = known(1);
    assert!(metrics.evicted > 10);
    assert_eq!((events, metrics), known(5));
}

/// Bytes that are no machine of this model are refused, and nothing is changed.
#[test]
fn who_was_never_here_is_not_readmitted() {
    let mut fleet = built(settings().max_assets(1).when_full(WhenFull::EvictLongestSilent));
    push_all(&mut fleet, &rows_of(&[(0, Fault::None), (1, Fault::None)]));
    let (left, remembered) = evicted(fleet.events()).remove(0);
    assert_eq!(left, 0);
    for n in 0..remembered.len() {
        assert!(fleet.readmit(0, &remembered[..n]).is_err(), "first {n} bytes");
        assert!(fleet.state(&1).is_some());
    }
    let mut other: Fleet<u32> = Fleet::new(crate::machines::OTHER_DETECTOR.clone());
    assert_eq!(
        other.readmit(0, &remembered).unwrap_err().kind(),
        ErrorKind::StateMismatch
    );
    assert!(other.is_empty());
    fleet.readmit(0, &remembered).unwrap();
    assert!(fleet.state(&0).is_some() && fleet.len() == 1);
}

/// Machines of waveforms are counted once, whether their first samples fill a window, do not, or are refused.
#[test]
fn waveforms_are_counted_once() {
    let model = chains::vibration().fit(&chains::bearings(6)).unwrap();
    let mut fleet: Fleet<u32> = settings().memory_budget(1 << 20).build(model).unwrap();
    let [a, b] = chains::vibration_window(0, 3, 40);
    let mut per_machine = Vec::new();
    for (key, n) in [(0, 64), (1, 10), (2, 64)] {
        let mut decided = 0;
        fleet
            .push_samples(&key, at(0), &[&a[..n], &b[..n]], |_, _| decided += 1)
            .unwrap();
        assert_eq!(decided, n / 64);
        per_machine.push(fleet.metrics().remembered_bytes);
    }
    assert!(fleet.push_samples(&3, at(0), &[&a[..5], &b[..6]], |_, _| {}).is_err());
    assert_eq!(per_machine[2], fleet.metrics().remembered_bytes);
    assert!(per_machine[0] > 0 && per_machine[1] > per_machine[0]);
    assert_eq!(per_machine[2], per_machine[0] + per_machine[1]);
    for key in 0..3 {
        assert!(fleet.retire(&key).is_some());
    }
    assert_eq!(fleet.metrics().remembered_bytes, 0);
}
