//! Another model in service, at once or after a trial; watches over inputs and prognoses.

use crate::machines::{
    MODEL, OTHER_DETECTOR, Reference, Row, WATCHFUL, at, built, encoded, memories, push, push_all, rows_of, settings,
    small, snapshot, sound_rows, training, turns,
};
use prognos::{
    ErrorKind,
    drift::{DriftLevel, DriftPolicy, TruthEnd, TruthPolicy, TruthReference},
    fleet::{Fleet, FleetEventKind, SnapshotFolder},
    model::Assessment,
    quantity::{LifeUnit, Timestamp},
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A trial changes nothing of what the current model says; promoted, the other says what it would have said all along, and
    /// so does the first once it is taken back.
    #[test]
    fn a_trial_changes_nothing(turns in turns(4, 3..240, true), a in 0usize..240, b in 0usize..240, silent in 0i64..20) {
        let rows = rows_of(&turns);
        let (a, b) = (a.min(b).min(rows.len()), a.max(b).min(rows.len()));
        let mut trial: Fleet<u32> = Fleet::new(WATCHFUL.clone());
        let [mut first, mut other] = [Reference::new(&WATCHFUL), Reference::new(&OTHER_DETECTOR)];
        trial.shadow(OTHER_DETECTOR.clone()).unwrap();
        let mut without: Fleet<u32> = Fleet::new(WATCHFUL.clone());
        for (i, row) in rows.iter().enumerate() {
            if i == a || i == b {
                trial.promote().unwrap();
            }
            if i == (a + b) / 2 {
                // A clock tick in which no row came.
                let now = at(row.time.nanos() / 1_000_000_000 - silent);
                trial.advance(now).unwrap();
                without.advance(now).unwrap();
            }
            let outcome = encoded(&push(&mut trial, row));
            push(&mut without, row);
            let expected = [first.push(row), other.push(row)].map(|o| encoded(&o));
            if (a..b).contains(&i) {
                prop_assert_eq!(&outcome, &expected[1]);
            } else if i < (a + b) / 2 {
                prop_assert_eq!(&outcome, &expected[0]);
            }
        }
        // Two promotions are none.
        if a == b {
            return Ok(());
        }
        if b >= rows.len() {
            trial.promote().unwrap();
        }
        prop_assert_eq!(memories(&trial), memories(&without));
    }
}

/// That no row came is told to both models: the one that is taken back has missed nothing.
#[test]
fn a_trial_hears_of_silence() {
    let mut trial: Fleet<u32> = Fleet::new(WATCHFUL.clone());
    let mut without: Fleet<u32> = Fleet::new(WATCHFUL.clone());
    trial.shadow(OTHER_DETECTOR.clone()).unwrap();
    for fleet in [&mut trial, &mut without] {
        push_all(fleet, &sound_rows(2, 10));
    }
    trial.promote().unwrap();
    for fleet in [&mut trial, &mut without] {
        fleet.no_row(&0, at(11)).unwrap();
        fleet.no_row(&0, at(20)).unwrap();
        fleet.advance(at(30)).unwrap();
    }
    trial.promote().unwrap();
    assert_eq!(memories(&trial), memories(&without));
    for key in 0..2 {
        assert!(trial.state(&key).unwrap().alarm().sensor_lost_since().is_some());
    }
}

/// The same chain with another detector takes over what is remembered of features and regressor.
#[test]
fn a_swap_carries_what_it_can() {
    let rows = sound_rows(3, 60);
    let (before, after) = rows.split_at(90);
    let mut swapped = built(settings());
    let mut reference = Reference::new(&OTHER_DETECTOR);
    push_all(&mut swapped, before);
    before.iter().for_each(|row| drop(reference.push(row)));
    let carried = swapped.swap(OTHER_DETECTOR.clone()).unwrap();
    assert!(
        carried.features && carried.regressor && carried.alarm && !carried.detector,
        "{carried:?}"
    );
    // Both detectors are without memory and the alarm saw its last four rows of another detector: after four more it stands
    // as if the new model had judged from the start, and scores and prognoses are the same at once.
    for (i, row) in after.iter().enumerate() {
        let (ours, theirs) = (push(&mut swapped, row), reference.push(row));
        let (Assessment::Ready(ours), Assessment::Ready(theirs)) = (&ours, &theirs) else {
            panic!("{ours:?}, {theirs:?}")
        };
        assert_eq!(ours.condition(), theirs.condition(), "row {i}");
    }

    // A model to itself: nothing is lost.
    let mut same = built(settings());
    let mut straight = built(settings());
    push_all(&mut same, before);
    push_all(&mut straight, before);
    let carried = same.swap(MODEL.clone()).unwrap();
    assert!(
        carried.features && carried.regressor && carried.alarm && carried.detector,
        "{carried:?}"
    );
    assert_eq!(push_all(&mut same, after), push_all(&mut straight, after));
}

/// A model of other rows is refused, and nothing is changed.
#[test]
fn a_model_of_other_rows_is_refused() {
    let other = small().fit(&training(["heat", "flow"])).unwrap();
    let mut fleet = built(settings());
    push_all(&mut fleet, &sound_rows(3, 20));
    let before = snapshot(&fleet);
    for refused in [fleet.swap(other.clone()), fleet.shadow(other)] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::SchemaMismatch);
    }
    assert_eq!(fleet.promote().unwrap_err().kind(), ErrorKind::InvalidParameter);
    assert_eq!(snapshot(&fleet), before);
    assert!(fleet.shadow_model().is_none() && fleet.shadow_figures().is_none());
}

/// A folder can be restored after every change of model: changes never follow a snapshot of another one.
#[test]
fn a_folder_follows_a_change_of_model() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = SnapshotFolder::open(dir.path()).unwrap();
    let mut fleet = built(settings());
    push_all(&mut fleet, &sound_rows(3, 10));
    folder.save(&fleet).unwrap();
    fleet.swap(OTHER_DETECTOR.clone()).unwrap();
    folder.save(&fleet).unwrap();
    let restore = |model: &std::sync::Arc<prognos::pipeline::Pipeline>| {
        SnapshotFolder::open(dir.path())
            .unwrap()
            .restore::<u32>(settings(), model.clone())
    };
    let restored = restore(&OTHER_DETECTOR).unwrap().unwrap();
    assert_eq!(snapshot(&restored), snapshot(&fleet));
    assert_eq!(restore(&MODEL).unwrap_err().kind(), ErrorKind::StateMismatch);
    // A trial that is over leaves no trace.
    fleet.shadow(MODEL.clone()).unwrap();
    folder.save(&fleet).unwrap();
    fleet.promote().unwrap();
    folder.save(&fleet).unwrap();
    fleet.end_shadow().unwrap();
    folder.save(&fleet).unwrap();
    let restored = restore(&MODEL).unwrap().unwrap();
    assert_eq!(snapshot(&restored), snapshot(&fleet));
}

/// Prognoses are compared with what came true, and forgotten.
#[test]
fn truths_are_learnt_once() {
    // The reference: what the model says of machines it has not seen, and what was true.
    let watched = |asset: u32, fleet: &mut Fleet<u32>| -> Vec<_> {
        sound_rows(1, 50)
            .into_iter()
            .filter_map(|row| {
                let values = crate::machines::readings(asset, (row.time.nanos() / 1_000_000_000) as usize);
                let row = Row {
                    asset,
                    values: values.to_vec(),
                    ..row
                };
                let outcome = push(fleet, &row);
                Some((row.time, outcome.ready()?.condition().rul?))
            })
            .collect()
    };
    let end = 60;
    let mut held_out = built(settings());
    let truths: Vec<_> = (20..26)
        .flat_map(|asset| {
            let rows = watched(asset, &mut held_out);
            rows.into_iter()
                .map(move |(time, rul)| (asset, (end - time.nanos() / 1_000_000_000) as f64, rul))
        })
        .collect();
    assert!(truths.len() > 200, "{}", truths.len());
    let reference = TruthReference::of_held_out(LifeUnit::Cycles, None, truths).unwrap();
    let mut fleet: Fleet<u32> = settings()
        .watch_truth(reference, TruthPolicy::default())
        .build(MODEL.clone())
        .unwrap();
    watched(30, &mut fleet);
    let failed = TruthEnd::Failed { at: at(end) };
    assert!(fleet.learn_truth(&30, failed).unwrap().is_some());
    assert!(fleet.truth_drift().is_some());
    assert!(
        fleet.learn_truth(&30, failed).unwrap().is_none(),
        "its estimates were compared"
    );
    assert_eq!(
        fleet.learn_truth(&31, failed).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert!(fleet.state(&30).is_some());
    // An end before the estimates is an error, which forgets none of them.
    watched(32, &mut fleet);
    let early = TruthEnd::Failed { at: at(-10) };
    assert_eq!(
        fleet.learn_truth(&32, early).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert!(fleet.learn_truth(&32, failed).unwrap().is_some());
    let plain = built(settings()).learn_truth(&1, failed).unwrap_err();
    assert_eq!(plain.kind(), ErrorKind::InvalidParameter);
}

/// Inputs as in training are not told of; inputs of another level are, on any number of shards.
#[test]
fn a_shift_of_the_inputs_is_told() {
    let run = |shards: usize, shift: f64| {
        let policy = DriftPolicy::default().window(400);
        let params = settings().watch_inputs(policy, 1).shards(shards);
        let mut fleet: Fleet<u32> = params.build(MODEL.clone()).unwrap();
        let mut told = Vec::new();
        for mut row in sound_rows(8, 100) {
            row.values[0] += shift;
            push(&mut fleet, &row);
            told.extend(
                fleet
                    .events()
                    .iter()
                    .filter(|e| matches!(e.kind, FleetEventKind::InputDrift(_)))
                    .cloned(),
            );
        }
        let report = fleet.input_drift().unwrap();
        (report.level(), encoded(report), encoded(&told), told.len())
    };
    let (level, ..) = run(1, 0.0);
    assert!(level < DriftLevel::Major, "{level:?}");
    let shifted = run(1, 20.0);
    assert_eq!((shifted.0, shifted.3), (DriftLevel::Major, 1));
    assert_eq!(run(6, 20.0), shifted);
}

/// Times beyond those of any clock neither stop a fleet nor overflow.
#[test]
fn the_ends_of_time_are_rows_like_others() {
    for params in [
        settings(),
        settings().lateness(crate::machines::seconds(5.0)),
        settings()
            .largest_step(crate::machines::seconds(1e9))
            .lateness(crate::machines::seconds(1e300)),
    ] {
        let mut fleet: Fleet<u32> = params.build(WATCHFUL.clone()).unwrap();
        for nanos in [
            0,
            i64::MIN,
            i64::MAX,
            i64::MIN,
            i64::MIN + 1,
            i64::MIN + 2,
            i64::MAX - 1,
            i64::MAX,
        ] {
            for key in 0..2 {
                fleet.push(&key, Timestamp::from_nanos(nanos), &[60.0, 5.0]).unwrap();
            }
            crate::machines::adds_up(&fleet);
        }
        for nanos in [i64::MIN, 0, i64::MAX] {
            fleet.advance(Timestamp::from_nanos(nanos)).unwrap();
            fleet.no_row(&0, Timestamp::from_nanos(nanos)).unwrap();
        }
        crate::machines::adds_up(&fleet);
        let bytes = snapshot(&fleet);
        assert!(settings().restore::<u32>(WATCHFUL.clone(), bytes.as_slice()).is_ok());
    }
}
