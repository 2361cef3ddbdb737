//! Alarms at the end of a chain: lost sensors, one-sided channels, operators.

mod chains;

use prognos::{
    decision::{AlarmEventKind as Kind, AlarmPolicy, Decision, Direction, Severity, SeverityZones},
    fleet::Fleet,
    model::{Assessment, OnlineModel},
    pipeline::Pipeline,
    quantity::{LifeUnit, Timestamp},
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};

/// Two sensors around their usual values, and machines enough to learn them.
fn machines() -> FleetHistory {
    let channels = vec![Channel::new("temperature", "°C"), Channel::new("pressure", "bar")];
    let mut fleet = FleetHistory::new(channels, LifeUnit::Cycles).unwrap();
    for machine in 0..8 {
        let times = (0..60).map(at).collect();
        let values = (0..60).flat_map(|i| usual(60 * machine + i)).collect();
        let asset = AssetHistory::new(machine.to_string(), times, values, 2, EndOfLife::Unknown);
        fleet.push(asset.unwrap()).unwrap();
    }
    fleet
}

fn usual(i: usize) -> [f64; 2] {
    let noise = |prime: usize| (i * prime % 1009) as f64 / 1009.0 - 0.5;
    [60.0 + noise(7919), 5.0 + 0.1 * noise(6007)]
}

fn at(s: i64) -> Timestamp {
    Timestamp::from_secs(s)
}

fn kinds(fleet: &Fleet) -> Vec<Kind> {
    fleet.alarm_events().map(|e| e.kind).collect()
}

/// Usual rows, then `change`d ones from row 40 on: what was told, by row.
fn events(model: &Pipeline, change: impl Fn(&mut [f64; 2])) -> Vec<(usize, Kind)> {
    let mut live: Fleet = Fleet::new(model.clone());
    let mut all = vec![];
    for i in 0..80 {
        let mut row = usual(i + 5000);
        if i >= 40 {
            change(&mut row);
        }
        live.push("m", at(i as i64), &row).unwrap();
        all.extend(kinds(&live).into_iter().map(|k| (i, k)));
    }
    all
}

#[test]
fn only_the_side_asked_for_raises_an_alarm() {
    let params = Pipeline::params().healthy_share(1.0);
    let both = params.clone().fit(&machines()).unwrap();
    let hot = params
        .clone()
        .one_sided("temperature", Direction::High)
        .fit(&machines())
        .unwrap();
    let cold = params
        .clone()
        .one_sided("temperature", Direction::Low)
        .fit(&machines())
        .unwrap();
    assert!(both.fingerprint() != hot.fingerprint() && hot.fingerprint() != cold.fingerprint());
    let hot = Pipeline::from_bytes(&hot.to_bytes(hot.provenance()).unwrap())
        .unwrap()
        .0; // rules live in the file
    let raised = |model: &Pipeline, by: [f64; 2]| {
        let told = events(model, |row| (0..2).for_each(|c| row[c] += by[c]));
        assert!(told.iter().all(|(i, k)| *i >= 40 && *k == Kind::Raised), "{told:?}");
        !told.is_empty()
    };
    for (by, expected) in [
        ([3.0, 0.0], [true, true, false]),
        ([-3.0, 0.0], [true, false, true]),
        ([0.0, 0.3], [true; 3]),
        ([0.0, -0.3], [true; 3]),
        ([-3.0, -0.3], [true; 3]), // a harmless deviation hides no other
        ([0.0, 0.0], [false; 3]),
    ] {
        assert_eq!([&both, &hot, &cold].map(|m| raised(m, by)), expected, "{by:?}");
    }
    let e = params.one_sided("speed", Direction::High).fit(&machines()).unwrap_err();
    assert!(
        e.to_string().contains("one_sided") && e.to_string().contains("`speed`"),
        "{e}"
    );
}

#[test]
fn events_of_a_machine_that_fails_name_causes_and_grow_graver() {
    let zones = SeverityZones::from_threshold(Severity::Advisory).zone(Severity::Critical, 4.0, 0.8);
    let policy = AlarmPolicy::m_of_n(2, 3).hysteresis(0.9).severity(zones);
    let model = Pipeline::params()
        .healthy_share(1.0)
        .alarm(policy)
        .fit(&machines())
        .unwrap();
    let mut live: Fleet = Fleet::new(model.clone());
    let mut told = vec![];
    for i in 0..120i64 {
        let mut row = usual(i as usize + 5000);
        let wear = match i {
            ..40 => 0.0,
            40..90 => (i - 40) as f64,
            _ => 0.0,
        };
        row[0] += 0.3 * wear;
        let outcome = live.push("m", at(i), &row).unwrap();
        if let Assessment::Ready(Decision::Alarm(alarm)) = &outcome {
            let graver = alarm.severity == Severity::Critical;
            assert!(
                alarm
                    .to_string()
                    .starts_with(if graver { "critical since" } else { "advisory since" })
            );
            assert_eq!(alarm.raised_now, kinds(&live).contains(&Kind::Raised));
        }
        for e in live.alarm_events() {
            assert_eq!(e.time, at(i));
            assert!(e.score.is_some());
            if e.kind != Kind::Cleared {
                assert_eq!(&*e.causes[0].as_ref().unwrap().channel, "temperature");
            }
            told.push(e.kind);
        }
    }
    assert_eq!(told, [Kind::Raised, Kind::Escalated, Kind::Deescalated, Kind::Cleared]);
}

#[test]
fn a_silent_sensor_is_lost_and_found() {
    let policy = AlarmPolicy::m_of_n(2, 3).sensor_lost_after_rows(3);
    let model = Pipeline::params()
        .healthy_share(1.0)
        .alarm(policy)
        .fit(&machines())
        .unwrap();
    let mut live: Fleet = Fleet::new(model.clone());
    for i in 0..30 {
        live.push("m", at(i), &usual(i as usize)).unwrap();
        assert!(live.alarm_events().next().is_none());
    }
    let nothing = [f64::NAN; 2];
    for (time, expected) in [
        (30, false),
        (31, false),
        (31, false),
        (30, false),
        (32, true),
        (33, false),
    ] {
        let outcome = live.push("m", at(time), &nothing).unwrap();
        assert!(matches!(outcome, Assessment::Unusable(_)));
        assert_eq!(
            live.alarm_events().any(|e| e.kind == Kind::SensorLost),
            expected,
            "{time}"
        );
    }
    assert_eq!(live.state("m").unwrap().alarm().sensor_lost_since(), Some(at(32)));
    live.push("m", at(34), &usual(34)).unwrap();
    assert_eq!(kinds(&live), [Kind::SensorRecovered]);
    // The same where no row comes at all.
    for time in 35..37 {
        assert!(live.no_row("m", at(time)).unwrap().is_empty());
    }
    assert_eq!(live.no_row("m", at(37)).unwrap().len(), 1);
    assert!(live.no_row("unknown", at(37)).unwrap().is_empty() && live.len() == 1);
    // A policy that keeps no watch keeps the state, bit for bit.
    let model = Pipeline::params().healthy_share(1.0).fit(&machines()).unwrap();
    let mut state = model.new_state();
    model.no_row(&mut state, at(1)).unwrap();
    let bytes = |s| prognos::envelope::encode(s).unwrap();
    assert_eq!(bytes(&state), bytes(&model.new_state()));
    assert!(model.no_row(&mut live.retire("m").unwrap(), at(99)).is_err());
}

#[test]
fn operators_acknowledge_and_shelve() {
    let policy = AlarmPolicy::m_of_n(1, 1).latched();
    let model = Pipeline::params()
        .healthy_share(1.0)
        .alarm(policy)
        .fit(&machines())
        .unwrap();
    let mut live: Fleet = Fleet::new(model);
    let hot = |i: usize| [usual(i)[0] + 9.0, usual(i)[1]];
    for i in 0..30 {
        live.push("m", at(i), &usual(i as usize)).unwrap();
    }
    let shelved = live.state_mut("m").unwrap().alarm_mut().shelve(at(29), at(40)).unwrap();
    assert!(shelved.has(Kind::Shelved));
    let mut push = |i: usize| {
        let Assessment::Ready(Decision::Alarm(alarm)) = live.push("m", at(i as i64), &hot(i)).unwrap() else {
            panic!("no alarm at {i}");
        };
        (alarm, kinds(&live))
    };
    let first = push(35);
    assert!(first.0.shelved && !first.0.raised_now && first.1.is_empty());
    let second = push(41);
    assert!(!second.0.shelved && second.0.raised_now && second.0.since == at(35));
    assert_eq!(second.1, [Kind::Unshelved, Kind::Raised]);
    assert!(live.acknowledge("m", at(41)).unwrap().has(Kind::Acknowledged));
    assert!(live.acknowledge("m", at(42)).unwrap().is_empty() && live.acknowledge("x", at(42)).is_none());
}
