//! The fleet as a service uses it: restarts, late rows, room, another model.

use crate::chains;
use prognos::{
    ErrorKind,
    decision::Decision,
    fleet::{Fleet, FleetEventKind, FleetRow, SnapshotFolder, WhenFull},
    model::Assessment,
    pipeline::Pipeline,
    quantity::{LifeUnit, Seconds, Timestamp},
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::sync::{Arc, LazyLock, Mutex};

static MODEL: LazyLock<Arc<Pipeline>> =
    LazyLock::new(|| Arc::new(Pipeline::params().fit(&chains::engines(10, 1)).unwrap()));

type Row = (u32, Timestamp, Vec<f64>);

/// Rows of several machines by turns, some unusable.
fn rows(n_machines: u32, n: usize) -> Vec<Row> {
    let fleet = chains::engines(n_machines, 3);
    let mut rows = Vec::new();
    for i in 0..n {
        for (k, asset) in fleet.assets().iter().enumerate() {
            let (_, values) = asset.rows().nth(i % asset.n_rows()).unwrap();
            let values = if (i + k) % 13 == 5 {
                vec![f64::NAN; values.len()]
            } else {
                values.to_vec()
            };
            rows.push((k as u32, LifeUnit::Cycles.instant(i as i64), values));
        }
    }
    rows
}

fn push_all(fleet: &mut Fleet<u32>, rows: &[Row]) -> Vec<Assessment<Decision>> {
    rows.iter()
        .map(|(asset, time, values)| fleet.push(asset, *time, values).unwrap())
        .collect()
}

fn snapshot(fleet: &Fleet<u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    fleet.write_snapshot(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_restored_fleet_goes_on_to_the_last_bit() {
    let rows = rows(5, 60);
    let (first, rest) = rows.split_at(160);
    let (more, last) = rest.split_at(70);
    let mut straight: Fleet<u32> = Fleet::new(MODEL.clone());
    push_all(&mut straight, first);
    let whole = snapshot(&straight);
    let mark = straight.write_snapshot(std::io::sink()).unwrap();
    let mut restored: Fleet<u32> = Fleet::<u32>::params()
        .shards(3)
        .restore(MODEL.clone(), whole.as_slice())
        .unwrap();
    push_all(&mut straight, more);
    straight.retire(&2).unwrap();
    let mut changes = Vec::new();
    straight.write_changes(&mark, &mut changes).unwrap();
    restored.apply(changes.as_slice()).unwrap();
    // The same machines, the same memory: the same bytes but for the count of calls in the header.
    assert_eq!(snapshot(&restored), snapshot(&straight));
    assert_eq!(push_all(&mut restored, last), push_all(&mut straight, last));
    let e = restored.apply(changes.as_slice()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
    let other = Arc::new(
        Pipeline::params()
            .healthy_share(0.5)
            .fit(&chains::engines(10, 1))
            .unwrap(),
    );
    let e = Fleet::<u32>::params()
        .restore::<u32>(other, whole.as_slice())
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::StateMismatch, "{e}");
}

#[test]
fn snapshots_cut_or_altered_anywhere_are_refused() {
    let mut fleet: Fleet<u32> = Fleet::new(MODEL.clone());
    push_all(&mut fleet, &rows(2, 5));
    let good = snapshot(&fleet);
    let restore = |bytes: &[u8]| Fleet::<u32>::params().restore::<u32>(MODEL.clone(), bytes);
    assert!(restore(&good).is_ok());
    for n in 0..good.len() {
        assert_eq!(
            restore(&good[..n]).unwrap_err().kind(),
            ErrorKind::Persistence,
            "first {n} bytes"
        );
    }
    assert!(restore(&[good.as_slice(), &[0]].concat()).is_err());
    let mut rng = Xoshiro256Plus::seed_from_u64(4);
    for _ in 0..2000 {
        let bit = rng.gen_range(0..good.len() * 8);
        let mut altered = good.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            restore(&altered).unwrap_err().kind(),
            ErrorKind::Persistence,
            "bit {bit}"
        );
    }
}

#[test]
fn a_folder_gives_back_the_last_fleet_saved() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(3, 40);
    let mut folder = SnapshotFolder::open(dir.path()).unwrap().changes_between(3);
    let mut fleet: Fleet<u32> = Fleet::new(MODEL.clone());
    for part in rows.chunks(10) {
        push_all(&mut fleet, part);
        folder.save(&fleet).unwrap();
        let mut again = SnapshotFolder::open(dir.path()).unwrap();
        let restored: Fleet<u32> = again.restore(Fleet::<u32>::params(), MODEL.clone()).unwrap().unwrap();
        assert_eq!(snapshot(&restored), snapshot(&fleet));
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().count() <= 4);
}

#[test]
fn late_rows_are_judged_in_order() {
    let rows = rows(3, 50);
    let mut straight: Fleet<u32> = Fleet::new(MODEL.clone());
    let expected: Vec<_> = rows
        .iter()
        .map(|r| (r.0, r.1))
        .zip(push_all(&mut straight, &rows))
        .collect();
    let mut shuffled = rows.clone();
    let mut rng = Xoshiro256Plus::seed_from_u64(1);
    // Neighbouring turns change places: no row is later than two cycles.
    for block in shuffled.chunks_mut(6) {
        for i in (1..block.len()).rev() {
            block.swap(i, rng.gen_range(0..=i));
        }
    }
    let mut fleet: Fleet<u32> = Fleet::<u32>::params()
        .lateness(Seconds::new(2.0).unwrap())
        .build(MODEL.clone())
        .unwrap();
    let mut got = Vec::new();
    for (asset, time, values) in &shuffled {
        assert_eq!(fleet.push(asset, *time, values).unwrap(), Assessment::Held);
        got.extend(fleet.released().iter().map(|r| ((r.asset, r.time), r.outcome.clone())));
    }
    fleet.advance(Timestamp::from_secs(1000)).unwrap();
    got.extend(fleet.released().iter().map(|r| ((r.asset, r.time), r.outcome.clone())));
    got.sort_by_key(|((asset, time), _)| (*time, *asset));
    assert_eq!(got, expected);
    let m = fleet.metrics();
    assert_eq!((m.rows, m.rows_held), (150, 0));
    assert_eq!(m.rows_judged + m.rows_unjudged + m.rows_missing, 150);
}

#[test]
fn a_glitch_of_the_clock_silences_nobody() {
    let rows = rows(1, 40);
    let settings = Fleet::<u32>::params().largest_step(Seconds::new(100.0).unwrap());
    let mut fleet: Fleet<u32> = settings.build(MODEL.clone()).unwrap();
    let mut straight: Fleet<u32> = Fleet::new(MODEL.clone());
    for (i, (asset, time, values)) in rows.iter().enumerate() {
        if i % 7 == 3 {
            let far = Timestamp::from_secs(1_000_000 * i as i64);
            assert_eq!(fleet.push(asset, far, values).unwrap(), Assessment::Held);
        }
        assert_eq!(
            fleet.push(asset, *time, values).unwrap(),
            straight.push(asset, *time, values).unwrap(),
            "{i}"
        );
    }
    assert_eq!(fleet.metrics().rows_dropped, 6);
    for i in 0..3 {
        fleet.push(&0, Timestamp::from_secs(9_000_000 + i), &rows[0].2).unwrap();
    }
    assert!(
        fleet
            .events()
            .iter()
            .any(|e| matches!(e.kind, FleetEventKind::ClockForward { .. }))
    );
}

#[test]
fn who_is_evicted_comes_back_as_it_left() {
    let rows = rows(4, 30);
    let settings = Fleet::<u32>::params()
        .max_assets(3)
        .when_full(WhenFull::EvictLongestSilent);
    let mut fleet: Fleet<u32> = settings.build(MODEL.clone()).unwrap();
    let mut free: Fleet<u32> = Fleet::new(MODEL.clone());
    let mut left: std::collections::HashMap<u32, Vec<u8>> = Default::default();
    for (asset, time, values) in &rows {
        if let Some(bytes) = left.remove(asset) {
            fleet.readmit(*asset, &bytes).unwrap();
            remember(&fleet, &mut left);
        }
        assert_eq!(
            fleet.push(asset, *time, values).unwrap(),
            free.push(asset, *time, values).unwrap()
        );
        remember(&fleet, &mut left);
        assert!(fleet.len() <= 3);
    }
    let mut small: Fleet<u32> = Fleet::<u32>::params().max_assets(3).build(MODEL.clone()).unwrap();
    push_all(&mut small, &rows[..8]);
    assert_eq!((small.len(), small.metrics().rows_refused), (3, 2));
}

fn remember(fleet: &Fleet<u32>, left: &mut std::collections::HashMap<u32, Vec<u8>>) {
    for event in fleet.events() {
        if let FleetEventKind::Evicted { remembered } = &event.kind {
            left.insert(event.asset.unwrap(), remembered.clone());
        }
    }
}

#[test]
fn a_trial_changes_nothing_and_can_be_taken_back() {
    let rows = rows(3, 60);
    let other = Pipeline::params()
        .healthy_share(0.5)
        .fit(&chains::engines(10, 1))
        .unwrap();
    let mut straight: Fleet<u32> = Fleet::new(MODEL.clone());
    let mut trial: Fleet<u32> = Fleet::new(MODEL.clone());
    let mut at_once: Fleet<u32> = Fleet::new(other.clone());
    let parts: Vec<&[Row]> = rows.chunks(60).collect();
    trial.shadow(other.clone()).unwrap();
    assert_eq!(push_all(&mut trial, parts[0]), push_all(&mut straight, parts[0]));
    push_all(&mut at_once, parts[0]);
    assert_eq!(trial.shadow_figures().unwrap().rows, 60);
    let dir = tempfile::tempdir().unwrap();
    SnapshotFolder::open(dir.path()).unwrap().save(&trial).unwrap();
    let mut folder = SnapshotFolder::open(dir.path()).unwrap();
    let alone = folder
        .restore::<u32>(Fleet::<u32>::params(), MODEL.clone())
        .unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::StateMismatch, "{alone}");
    let both = folder.restore_with_shadow::<u32>(Fleet::<u32>::params(), MODEL.clone(), other.clone());
    assert_eq!(snapshot(&both.unwrap().unwrap()), snapshot(&trial));
    trial.promote().unwrap();
    assert_eq!(push_all(&mut trial, parts[1]), push_all(&mut at_once, parts[1]));
    push_all(&mut straight, parts[1]);
    trial.promote().unwrap();
    assert_eq!(push_all(&mut trial, parts[2]), push_all(&mut straight, parts[2]));
    trial.end_shadow();
    assert_eq!(snapshot(&trial).len(), snapshot(&straight).len());
}

#[test]
fn batches_are_rows_one_by_one() {
    let rows = rows(7, 40);
    let mut straight: Fleet<u32> = Fleet::new(MODEL.clone());
    let expected = push_all(&mut straight, &rows);
    for shards in [1, 5] {
        let mut fleet: Fleet<u32> = Fleet::<u32>::params().shards(shards).build(MODEL.clone()).unwrap();
        let batch: Vec<_> = rows
            .iter()
            .map(|(asset, time, values)| FleetRow {
                asset,
                time: *time,
                values,
            })
            .collect();
        let got = Mutex::new(vec![None; rows.len()]);
        fleet.for_each_row(&batch, |i, outcome| got.lock().unwrap()[i] = Some(outcome.unwrap()));
        let got: Vec<_> = got.into_inner().unwrap().into_iter().flatten().collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn an_explanation_names_what_the_decision_stood_on() {
    let failing = chains::engines(3, 3);
    let asset = &failing.assets()[1];
    let mut fleet: Fleet<String> = Fleet::new(MODEL.clone());
    let mut last = None;
    for (time, values) in asset.rows() {
        let outcome = fleet.push(asset.asset(), time, values).unwrap();
        if let Assessment::Ready(Decision::Alarm(alarm)) = outcome {
            let why = fleet.explain(asset.asset()).unwrap().unwrap();
            assert_eq!(
                (why.score, why.since, why.severity),
                (Some(alarm.condition.score), Some(alarm.since), Some(alarm.severity))
            );
            assert!(why.is_settled && why.rows > 0);
            let named: Vec<_> = alarm.causes.iter().flatten().collect();
            assert_eq!(why.causes.iter().take(named.len()).collect::<Vec<_>>(), named);
            last = Some(why);
        }
    }
    let text = last.expect("an alarm before the failure").to_string();
    assert!(
        text.contains("above its threshold") && text.contains("alarm since"),
        "{text}"
    );
    assert!(fleet.explain("nobody").unwrap().is_none());
}
