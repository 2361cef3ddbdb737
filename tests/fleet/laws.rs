//! What must not matter does not: threads, batches, order within the lateness, restarts, glitches of clocks.

use crate::machines::{
    Fault, MODEL, Outcomes, Reference, Row, adds_up, at, built, encoded, late, memories, note_released, push, push_all,
    rows_of, seconds, settings, snapshot, sound_rows, told, turns,
};
use prognos::{
    fleet::{Fleet, FleetEventKind, FleetRow},
    model::{Assessment, UnusableReason},
    quantity::Timestamp,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::sync::Mutex;

/// All rows in one call, in batches of `n`.
fn in_batches(fleet: &mut Fleet<u32>, rows: &[Row], n: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for part in rows.chunks(n) {
        let batch: Vec<FleetRow<'_, u32>> = part
            .iter()
            .map(|row| FleetRow {
                asset: &row.asset,
                time: row.time,
                values: &row.values,
            })
            .collect();
        let outcomes = Mutex::new(vec![None; part.len()]);
        fleet.for_each_row(&batch, |i, outcome| {
            let before = outcomes.lock().unwrap()[i].replace(encoded(&outcome.unwrap()));
            assert!(before.is_none(), "row {i} told twice");
        });
        all.extend(outcomes.into_inner().unwrap().into_iter().map(Option::unwrap));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A map of machines, on any number of shards, row by row or in batches.
    #[test]
    fn a_fleet_is_a_map_of_machines(turns in turns(6, 1..300, true), batch in 1usize..80) {
        let rows = rows_of(&turns);
        let mut reference = Reference::new(&MODEL);
        let expected: Vec<_> = rows.iter().map(|row| encoded(&reference.push(row))).collect();
        let [mut one, mut seven] = [1, 7].map(|n| built(settings().shards(n)));
        for row in &rows {
            let bytes = told(&mut one, row);
            prop_assert_eq!(&bytes, &told(&mut seven, row));
            prop_assert_eq!(one.len(), seven.len());
        }
        prop_assert_eq!(snapshot(&one), snapshot(&seven));
        let mut again = built(settings());
        let outcomes: Vec<_> = push_all(&mut again, &rows).iter().map(encoded).collect();
        prop_assert_eq!(&outcomes, &expected);
        let of_reference = reference.states.iter().map(|(key, state)| (*key, encoded(state))).collect();
        prop_assert_eq!(&memories(&one), &of_reference);
        adds_up(&one);

        let [mut batched, mut batched_on_seven] = [1, 7].map(|n| built(settings().shards(n)));
        prop_assert_eq!(&in_batches(&mut batched, &rows, batch), &expected);
        prop_assert_eq!(&in_batches(&mut batched_on_seven, &rows, batch), &expected);
        prop_assert_eq!(snapshot(&batched), snapshot(&batched_on_seven));
        prop_assert_eq!(&memories(&batched), &of_reference);
        let (a, b) = (batched.metrics(), one.metrics());
        prop_assert_eq!(a, b);
        prop_assert_eq!(a, batched_on_seven.metrics());
    }

    /// Rows that come in any order within the lateness are judged as if in order of time.
    #[test]
    fn order_within_the_lateness_does_not_matter(turns in turns(4, 1..200, false), seed in any::<u64>(), shards in 1usize..5) {
        let rows = rows_of(&turns);
        let mut reference = Reference::new(&MODEL);
        let mut expected = Outcomes::new();
        for row in &rows {
            expected.insert((row.asset, row.time), encoded(&reference.push(row)));
        }
        // Sorted by stamps that are up to 3 s late: a row comes before each that is stamped 3 s later or more.
        let mut rng = Xoshiro256Plus::seed_from_u64(seed);
        let mut shuffled: Vec<(i64, &Row)> =
            rows.iter().map(|row| (row.time.nanos() + rng.gen_range(0..3_000_000_000), row)).collect();
        shuffled.sort_by_key(|(time, _)| *time);
        let mut fleet = built(settings().lateness(seconds(3.0)).shards(shards));
        let mut outcomes = Outcomes::new();
        for (_, row) in shuffled {
            prop_assert_eq!(push(&mut fleet, row), Assessment::Held);
            note_released(&fleet, &mut outcomes);
            adds_up(&fleet);
        }
        fleet.advance(at(100_000)).unwrap();
        note_released(&fleet, &mut outcomes);
        prop_assert_eq!(fleet.metrics().rows_held, 0);
        adds_up(&fleet);
        prop_assert_eq!(outcomes, expected);
    }

    /// Rows of batches wait as rows one by one do, with glitches of clocks among them.
    #[test]
    fn batches_wait_like_rows(
        turns in turns(5, 1..200, true),
        batch in 1usize..60,
        glitches in proptest::collection::vec((0usize..200, -3i64..3), 0..20),
    ) {
        let mut rows = rows_of(&turns);
        for (i, days) in glitches {
            if let Some(row) = rows.get_mut(i) {
                row.time = Timestamp::from_nanos(row.time.nanos() + days * 86_400_000_000_000);
            }
        }
        let params = || settings().lateness(seconds(2.0)).largest_step(seconds(60.0));
        let [mut by_row, mut one, mut five] = [1, 1, 5].map(|n| built(params().shards(n)));
        let sorted = |fleet: &Fleet<u32>| {
            let mut released: Vec<_> =
                fleet.released().iter().map(|r| (r.asset, r.time, encoded(&r.outcome))).collect();
            // Those of a machine are in their order already.
            released.sort_by_key(|r| r.0);
            let mut events: Vec<_> = fleet.events().iter().map(|e| (e.asset, encoded(e))).collect();
            events.sort_by_key(|e| e.0);
            (released, events)
        };
        for part in rows.chunks(batch) {
            let expected: Vec<_> = by_row
                .push_rows(part.iter().map(|row| (&row.asset, row.time, row.values.as_slice())))
                .into_iter()
                .map(|outcome| encoded(&outcome.unwrap()))
                .collect();
            let told = sorted(&by_row);
            for fleet in [&mut one, &mut five] {
                prop_assert_eq!(&in_batches(fleet, part, batch), &expected);
                prop_assert_eq!(&sorted(fleet), &told);
                adds_up(fleet);
            }
        }
        prop_assert_eq!(snapshot(&one), snapshot(&five));
        prop_assert_eq!(memories(&one), memories(&by_row));
        prop_assert_eq!(one.metrics(), five.metrics());
        prop_assert_eq!(one.metrics(), by_row.metrics());
    }

    /// However few may wait, rows that come in order are judged in order; and none waits beyond the bound.
    #[test]
    fn no_more_rows_wait_than_may(turns in turns(3, 1..120, false), max_held in 1usize..6) {
        let rows = rows_of(&turns);
        let mut reference = Reference::new(&MODEL);
        let mut fleet = built(settings().lateness(seconds(1e6)).max_held(max_held));
        let (mut expected, mut outcomes) = (Outcomes::new(), Outcomes::new());
        for row in &rows {
            expected.insert((row.asset, row.time), encoded(&reference.push(row)));
            prop_assert_eq!(push(&mut fleet, row), Assessment::Held);
            note_released(&fleet, &mut outcomes);
            prop_assert!(fleet.metrics().rows_held as usize <= 3 * max_held);
        }
        fleet.advance(Timestamp::from_nanos(i64::MAX)).unwrap();
        note_released(&fleet, &mut outcomes);
        prop_assert_eq!(outcomes, expected);
    }

    /// Whatever becomes of rows, each is counted once.
    #[test]
    fn every_row_is_counted_once(
        turns in turns(5, 1..250, true),
        lateness in prop_oneof![Just(0.0), Just(2.0)],
        step in prop_oneof![Just(None), Just(Some(50.0))],
        max_assets in prop_oneof![Just(None), Just(Some(3))],
        others in proptest::collection::vec((0usize..250, 0u32..5), 0..30),
    ) {
        let mut params = late(settings(), lateness).shards(3);
        if let Some(step) = step {
            params = params.largest_step(seconds(step));
        }
        if let Some(n) = max_assets {
            params = params.max_assets(n);
        }
        let mut fleet = built(params);
        for (i, row) in rows_of(&turns).iter().enumerate() {
            for &(at_row, what) in &others {
                if at_row != i {
                    continue;
                }
                match what {
                    0 => {
                        fleet.retire(&row.asset);
                    }
                    1 => {
                        let short = fleet.push(&row.asset, row.time, &row.values[..1]);
                        prop_assert!(short.is_err());
                    }
                    2 => {
                        // Days ahead or behind, one after the other or agreeing.
                        let days = 86_400 * (1 + i as i64 % 3) * if i % 2 == 0 { 1 } else { -1 };
                        let time = row.time.nanos() + 1_000_000_000 * days;
                        fleet.push(&row.asset, Timestamp::from_nanos(time), &row.values).unwrap();
                    }
                    3 => fleet.advance(row.time).unwrap(),
                    _ => {
                        let _ = fleet.commission(row.asset, at(-100));
                    }
                }
                adds_up(&fleet);
            }
            push(&mut fleet, row);
            adds_up(&fleet);
        }
    }

    /// A fleet that is stopped, written, read and started goes on as if nothing had been.
    #[test]
    fn a_restart_does_not_matter(
        turns in turns(5, 2..200, true),
        split in 0.0f64..1.0,
        lateness in prop_oneof![Just(0.0), Just(2.0)],
        shards in 1usize..5,
    ) {
        let rows = rows_of(&turns);
        let (before, after) = rows.split_at((split * rows.len() as f64) as usize);
        let params = || late(settings(), lateness).largest_step(seconds(40.0));
        let mut straight = built(params());
        push_all(&mut straight, before);
        let written = snapshot(&straight);
        let restored = params().shards(shards).restore(MODEL.clone(), written.as_slice());
        let mut restored: Fleet<u32> = restored.unwrap();
        prop_assert_eq!(&snapshot(&restored), &written);
        for row in after {
            // That rows could not be used is told anew after a restart: it is no part of what is remembered.
            let outcomes = [&mut straight, &mut restored].map(|fleet| {
                let outcome = push(fleet, row);
                let released: Vec<_> = fleet.released().iter().map(|r| (r.time, r.asset, r.outcome.clone())).collect();
                let alarms: Vec<_> = fleet.alarm_events().cloned().collect();
                encoded(&(outcome, released, alarms))
            });
            prop_assert_eq!(&outcomes[0], &outcomes[1]);
        }
        prop_assert_eq!(snapshot(&straight), snapshot(&restored));
    }

    /// A whole snapshot and all changes since are the whole snapshot of now.
    #[test]
    fn a_whole_and_changes_are_a_whole(turns in turns(8, 1..200, true), every in 1usize..40, retire in 0u32..8) {
        let mut fleet = built(settings().lateness(seconds(1.0)));
        let mut mark = fleet.write_snapshot(std::io::sink()).unwrap();
        let mut follower: Fleet<u32> = settings().lateness(seconds(1.0)).shards(3).restore(MODEL.clone(), snapshot(&fleet).as_slice()).unwrap();
        for (k, part) in rows_of(&turns).chunks(every).enumerate() {
            push_all(&mut fleet, part);
            if k % 3 == 1 {
                fleet.retire(&retire);
            }
            let mut changes = Vec::new();
            mark = fleet.write_changes(&mark, &mut changes).unwrap();
            follower.apply(changes.as_slice()).unwrap();
            prop_assert_eq!(snapshot(&follower), snapshot(&fleet));
            prop_assert_eq!(memories(&follower), memories(&fleet));
            prop_assert_eq!(follower.restored_mark(), Some(mark));
        }
    }

    /// One or two rows stamped far away change nothing of what the others say.
    #[test]
    fn glitches_of_a_clock_do_not_matter(
        turns in turns(3, 1..150, false),
        glitches in proptest::collection::vec((1usize..150, any::<bool>(), any::<bool>(), any::<bool>()), 1..20),
    ) {
        let mut fleet = built(settings().largest_step(seconds(200.0)));
        let mut reference = Reference::new(&MODEL);
        let mut n_dropped = 0;
        for (i, row) in rows_of(&turns).iter().enumerate() {
            let glitch = glitches.iter().find(|g| g.0 == i).filter(|_| fleet.state(&row.asset).is_some());
            if let Some((_, ahead, two, agreeing)) = glitch {
                let far = if *ahead { 1_000_000 } else { -1_000_000 };
                for k in 0..1 + i64::from(*two) {
                    let time = if *agreeing { far + k } else { far - 1000 * k };
                    let outcome = fleet.push(&row.asset, at(time), &row.values).unwrap();
                    prop_assert_eq!(outcome, Assessment::Held);
                    n_dropped += 1;
                }
            }
            prop_assert_eq!(encoded(&push(&mut fleet, row)), encoded(&reference.push(row)));
            if glitch.is_some() {
                let told = fleet.events().iter().any(|e| matches!(e.kind, FleetEventKind::ClockGlitch { .. }));
                prop_assert!(told);
            }
        }
        prop_assert_eq!(fleet.metrics().rows_dropped, n_dropped);
        adds_up(&fleet);
    }
}

/// Three rows that agree are believed: the machine was off meanwhile, and goes on as it was.
#[test]
fn a_clock_that_stays_ahead_is_believed() {
    let rows = sound_rows(1, 40);
    let mut fleet = built(settings().largest_step(seconds(100.0)));
    let mut reference = Reference::new(&MODEL);
    for row in &rows[..20] {
        assert_eq!(push(&mut fleet, row), reference.push(row));
    }
    let ahead = |row: &Row| Row {
        time: Timestamp::from_nanos(row.time.nanos() + 5_000_000_000_000),
        ..row.clone()
    };
    let mut expected: Vec<_> = rows[20..].iter().map(|row| reference.push(&ahead(row))).collect();
    assert_eq!(push(&mut fleet, &ahead(&rows[20])), Assessment::Held);
    assert_eq!(push(&mut fleet, &ahead(&rows[21])), Assessment::Held);
    assert_eq!(push(&mut fleet, &ahead(&rows[22])), expected[2]);
    let released: Vec<_> = fleet.released().iter().map(|r| r.outcome.clone()).collect();
    assert_eq!(released, expected[..2]);
    let told = fleet
        .events()
        .iter()
        .any(|e| e.kind == FleetEventKind::ClockForward { from: rows[19].time });
    assert!(told, "{:?}", fleet.events());
    expected.drain(..3);
    for (row, expected) in rows[23..].iter().zip(&expected) {
        assert_eq!(&push(&mut fleet, &ahead(row)), expected);
    }
    adds_up(&fleet);
}

/// A clock that was set back: what was remembered belongs to another time.
#[test]
fn a_clock_that_stays_behind_begins_anew() {
    let rows = sound_rows(1, 40);
    let mut fleet = built(settings().largest_step(seconds(100.0)).lateness(seconds(2.0)));
    push_all(&mut fleet, &rows[..20]);
    let behind = |row: &Row| Row {
        time: Timestamp::from_nanos(row.time.nanos() - 5_000_000_000_000),
        ..row.clone()
    };
    let mut reference = Reference::new(&MODEL);
    let mut expected = Outcomes::new();
    let mut outcomes = Outcomes::new();
    for (k, row) in rows[20..].iter().map(behind).enumerate() {
        expected.insert((0, row.time), encoded(&reference.push(&row)));
        assert_eq!(push(&mut fleet, &row), Assessment::Held);
        if k >= 2 {
            note_released(&fleet, &mut outcomes);
        }
        if k == 2 {
            let from = rows[19].time;
            let told = fleet
                .events()
                .iter()
                .any(|e| e.kind == FleetEventKind::ClockBack { from });
            assert!(told, "{:?}", fleet.events());
            // Two rows of its former time waited.
            assert_eq!(fleet.metrics().rows_dropped, 2);
        }
    }
    fleet.advance(at(0)).unwrap();
    note_released(&fleet, &mut outcomes);
    assert_eq!(outcomes, expected);
    adds_up(&fleet);
}

/// Rows that waited are judged, in their order, by a fleet restored with settings that let none wait.
#[test]
fn rows_that_wait_are_not_lost_by_other_settings() {
    let rows = sound_rows(1, 30);
    let mut patient = built(settings().lateness(seconds(5.0)));
    push_all(&mut patient, &rows[..20]);
    assert_eq!(patient.metrics().rows_held, 5);
    let mut prompt: Fleet<u32> = settings()
        .restore(MODEL.clone(), snapshot(&patient).as_slice())
        .unwrap();
    let mut reference = Reference::new(&MODEL);
    let expected: Vec<_> = rows.iter().map(|row| reference.push(row)).collect();
    assert_eq!(push(&mut prompt, &rows[20]), expected[20]);
    let released: Vec<_> = prompt.released().iter().map(|r| r.outcome.clone()).collect();
    assert_eq!(released, expected[15..20]);
    assert_eq!(push_all(&mut prompt, &rows[21..]), expected[21..]);
    assert_eq!(prompt.metrics().rows_held, 0);
}

/// A late and a repeated row are told as such, with and without a lateness.
#[test]
fn late_and_repeated_rows_are_told_apart() {
    for lateness in [0.0, 2.0] {
        let mut fleet = built(late(settings(), lateness));
        push_all(&mut fleet, &sound_rows(1, 10));
        let row = &sound_rows(1, 1)[0];
        let last = 9 - lateness as i64;
        for time in [last, last - 1] {
            let outcome = fleet.push(&0, at(time), &row.values).unwrap();
            assert_eq!(outcome, Assessment::Unusable(UnusableReason::TimeNotIncreasing));
        }
        let m = fleet.metrics();
        assert_eq!((m.rows_duplicate, m.rows_late), (1, 1), "{lateness}");
        adds_up(&fleet);
    }
}

/// Rows of the faults that turns may have are of every kind: the laws above are not held on sound rows alone.
#[test]
fn random_rows_are_of_every_kind() {
    let all = [
        Fault::None,
        Fault::Missing(0),
        Fault::Repeated,
        Fault::AllMissing,
        Fault::Late(4),
    ];
    let turns: Vec<_> = (0..50).flat_map(|_| all.map(|fault| (0, fault))).collect();
    let mut fleet = built(settings());
    push_all(&mut fleet, &rows_of(&turns));
    let m = fleet.metrics();
    assert!(
        m.rows_judged > 50 && m.rows_missing > 20 && m.rows_late > 20 && m.rows_duplicate > 20,
        "{m:?}"
    );
    assert!(m.rows_in_alarm > 0, "{m:?}");
}
