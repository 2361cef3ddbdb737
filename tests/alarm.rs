//! The alarm machine against a slow one that keeps the whole history, and its laws.

use prognos::{
    decision::{
        AlarmEvent, AlarmEventKind as Kind, AlarmEvents, AlarmInput, AlarmPolicy, AlarmStanding, AlarmState, Severity,
        SeverityZones,
    },
    envelope,
    model::AnomalyScore,
    quantity::{Seconds, Timestamp},
};
use proptest::prelude::*;

const SEVERITIES: [Severity; 4] = [
    Severity::Advisory,
    Severity::Warning,
    Severity::Alarm,
    Severity::Critical,
];

fn seconds(s: u32) -> Seconds {
    Seconds::new(f64::from(s)).unwrap()
}

fn at(s: i64) -> Timestamp {
    Timestamp::from_secs(s)
}

fn score(value: f64) -> AlarmInput {
    AlarmInput::Score(AnomalyScore { value, threshold: 1.0 })
}

/// The settings of a policy in the open.
#[derive(Clone, Debug)]
struct Settings {
    m: usize,
    n: usize,
    latch: bool,
    share: f64,
    clear: Option<(usize, usize)>,
    minimum: Option<u32>,
    refractory: Option<u32>,
    forget: Option<u32>,
    lost_s: Option<u32>,
    lost_rows: Option<u32>,
    /// Ratio and share of each zone above the lowest.
    zones: Vec<(f64, f64)>,
}

impl Settings {
    fn policy(&self) -> AlarmPolicy {
        let mut p = AlarmPolicy::m_of_n(self.m as u32, self.n as u32).hysteresis(self.share);
        if self.latch {
            p = p.latched();
        }
        if let Some((k, of)) = self.clear {
            p = p.clear_after(k as u32, of as u32);
        }
        if let Some(s) = self.minimum {
            p = p.minimum_duration(seconds(s));
        }
        if let Some(s) = self.refractory {
            p = p.refractory(seconds(s));
        }
        if let Some(s) = self.forget {
            p = p.forget_after(seconds(s));
        }
        if let Some(s) = self.lost_s {
            p = p.sensor_lost_after(seconds(s));
        }
        if let Some(n) = self.lost_rows {
            p = p.sensor_lost_after_rows(n);
        }
        let mut zones = SeverityZones::from_threshold(Severity::Advisory);
        for (i, (ratio, share)) in self.zones.iter().enumerate() {
            zones = zones.zone(SEVERITIES[i + 1], *ratio, *share);
        }
        let p = p.severity(zones);
        p.check().unwrap();
        p
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let m_of_n = || (1usize..7).prop_flat_map(|n| (1..=n, Just(n)));
    let span = || proptest::option::of(1u32..40);
    let zones = prop_oneof![
        Just(vec![]),
        Just(vec![(1.5, 0.8)]),
        Just(vec![(1.5, 0.6), (2.0, 1.0), (3.0, 0.5)])
    ];
    let counts = (m_of_n(), proptest::option::of(m_of_n()), any::<bool>());
    let share = prop_oneof![Just(1.0), Just(0.8), Just(0.4)];
    let lost = (span(), proptest::option::of(1u32..5));
    (counts, share, span(), span(), span(), lost, zones).prop_map(
        |(((m, n), clear, latch), share, minimum, refractory, forget, (lost_s, lost_rows), zones)| Settings {
            m,
            n,
            latch,
            share,
            clear,
            minimum,
            refractory,
            forget,
            lost_s,
            lost_rows,
            zones,
        },
    )
}

#[derive(Clone, Debug)]
enum Action {
    Row(i64, AlarmInput),
    Acknowledge(i64),
    Shelve(i64, i64),
    Unshelve(i64),
}

/// Actions with steps of time between them; some rows come late or at the same instant.
fn actions() -> impl Strategy<Value = Vec<Action>> {
    let value = prop_oneof![
        Just(0.2),
        Just(0.6),
        Just(0.9),
        Just(1.0),
        Just(1.2),
        Just(1.7),
        Just(2.5),
        Just(4.0)
    ];
    let threshold = prop_oneof![12 => Just(1.0), 1 => Just(0.0), 1 => Just(-1.0)];
    let scored = (value, threshold).prop_map(|(value, threshold)| AnomalyScore { value, threshold });
    let input = prop_oneof![
        14 => scored.clone().prop_map(AlarmInput::Score),
        1 => scored.prop_map(AlarmInput::Harmless),
        1 => Just(AlarmInput::Unjudged),
        3 => Just(AlarmInput::Missing),
        1 => Just(score(f64::NAN)),
        1 => Just(score(f64::INFINITY)),
    ];
    let step = prop_oneof![20 => 1i64..6, 2 => -3i64..1, 1 => 20i64..60];
    let kind = prop_oneof![
        20 => input.prop_map(|i| Action::Row(0, i)),
        1 => Just(Action::Acknowledge(0)),
        1 => (1i64..60).prop_map(|d| Action::Shelve(0, d)),
        1 => Just(Action::Unshelve(0)),
    ];
    proptest::collection::vec((step, kind), 1..150).prop_map(|steps| {
        let mut now = 0;
        let timed = steps.into_iter().map(|(step, action)| {
            now += step;
            match action {
                Action::Row(_, input) => Action::Row(now, input),
                Action::Acknowledge(_) => Action::Acknowledge(now),
                Action::Shelve(_, length) => Action::Shelve(now, now + length),
                Action::Unshelve(_) => Action::Unshelve(now),
            }
        });
        timed.collect()
    })
}

/// An event as the reference tells it: kind, severity, start of the alarm.
type Told = (Kind, Option<Severity>, Option<i64>);

#[derive(Clone, Copy, PartialEq, Debug)]
struct Alarm {
    since: i64,
    level: usize,
    acknowledged: bool,
    returned: bool,
}

/// Keeps every row. Level 0 is the alarm itself, level `i` its zone `i`.
struct Reference {
    s: Settings,
    judged: Vec<(i64, AnomalyScore, bool)>,
    usable: Vec<i64>,
    missing: Vec<i64>,
    /// Missing rows since the last usable one, and the instant they are counted from.
    run: Vec<i64>,
    run_from: i64,
    lost: bool,
    /// Rows before these numbers count no more as high, or as low.
    high_from: [usize; 4],
    low_from: [usize; 4],
    alarm: Option<Alarm>,
    told: Option<Alarm>,
    cleared: Option<i64>,
    shelved: Option<i64>,
}

impl Reference {
    fn new(s: Settings) -> Self {
        Self {
            s,
            judged: vec![],
            usable: vec![],
            missing: vec![],
            run: vec![],
            run_from: 0,
            lost: false,
            high_from: [0; 4],
            low_from: [0; 4],
            alarm: None,
            told: None,
            cleared: None,
            shelved: None,
        }
    }

    fn limit(&self, level: usize) -> (f64, f64) {
        match level {
            0 => (1.0, self.s.share),
            _ => self.s.zones[level - 1],
        }
    }

    fn is_high(&self, level: usize, row: usize) -> bool {
        let (_, score, harmless) = self.judged[row];
        let multiples = level == 0 || score.threshold > 0.0;
        !harmless && multiples && score.value > self.limit(level).0 * score.threshold
    }

    fn is_low(&self, level: usize, row: usize) -> bool {
        let (_, score, harmless) = self.judged[row];
        let (ratio, share) = self.limit(level);
        harmless
            || !self.is_high(level, row) && (score.threshold <= 0.0 || score.value <= share * ratio * score.threshold)
    }

    /// Whether enough of the rows up to `row` are high.
    fn enough_high(&self, level: usize, row: usize) -> bool {
        let first = (row + 1).saturating_sub(self.s.n).max(self.high_from[level]);
        (first..=row).filter(|&r| self.is_high(level, r)).count() >= self.s.m
    }

    fn enough_low(&self, level: usize, row: usize) -> bool {
        let (k, of) = self.s.clear.unwrap_or((self.s.n, self.s.n));
        let first = (row + 1).saturating_sub(of).max(self.low_from[level]);
        (first..=row).filter(|&r| self.is_low(level, r)).count() >= k
    }

    fn judge(&mut self, now: i64, score: AnomalyScore, harmless: bool) {
        let n = self.judged.len();
        if let (Some(forget), Some((before, ..))) = (self.s.forget, self.judged.last())
            && now - before > i64::from(forget)
        {
            (self.high_from, self.low_from) = ([n; 4], [n; 4]);
        }
        self.judged.push((now, score, harmless));
        let levels = self.s.zones.len();
        let mut start = n + 1; // the first of the rows, up to this one, at all of which enough were high
        while start > self.high_from[0] && self.enough_high(0, start - 1) {
            start -= 1;
        }
        let raises = start <= n
            && self.is_high(0, n)
            && self
                .s
                .minimum
                .is_none_or(|d| now - self.judged[start].0 >= i64::from(d));
        let quiet = match (self.s.refractory, self.cleared) {
            (Some(d), Some(cleared)) => now - cleared < i64::from(d),
            _ => false,
        };
        let reached = |r: &Self, from| {
            (from + 1..=levels)
                .rfind(|&z| r.is_high(z, n) && r.enough_high(z, n))
                .unwrap_or(from)
        };
        match self.alarm {
            None if raises && !quiet => {
                let level = reached(self, 0);
                self.alarm = Some(Alarm {
                    since: now,
                    level,
                    acknowledged: false,
                    returned: false,
                });
                self.low_from = [n + 1; 4];
            }
            Some(a) if a.returned => {
                let returned = !raises;
                self.alarm = Some(Alarm { returned, ..a });
                if raises {
                    self.low_from = [n + 1; 4];
                }
            }
            Some(mut a) if self.is_low(0, n) && self.enough_low(0, n) => {
                a.returned = self.s.latch && !a.acknowledged;
                if !a.returned {
                    self.cleared = Some(now);
                }
                self.alarm = Some(a).filter(|a| a.returned);
                self.high_from = [n + 1; 4];
            }
            Some(mut a) => {
                let old = a.level;
                a.level = reached(self, old);
                if a.level > old {
                    a.acknowledged = false;
                    (old + 1..=a.level).for_each(|z| self.low_from[z] = n + 1);
                } else {
                    while a.level > 0 && self.is_low(a.level, n) && self.enough_low(a.level, n) {
                        a.level -= 1;
                    }
                    (a.level + 1..=old).for_each(|z| self.high_from[z] = n + 1);
                }
                self.alarm = Some(a);
            }
            None => {}
        }
    }

    fn tell(&mut self, out: &mut Vec<Told>) {
        let told = |kind, a: Alarm| (kind, Some(SEVERITIES[a.level]), Some(a.since));
        if self.shelved.is_some() {
            return;
        }
        if let Some(before) = self.told
            && self.alarm.is_none_or(|a| a.since != before.since)
        {
            out.push(told(Kind::Cleared, before));
            self.told = None;
        }
        if let Some(now) = self.alarm {
            match self.told {
                None => out.push(told(Kind::Raised, now)),
                Some(before) if now.level > before.level => out.push(told(Kind::Escalated, now)),
                Some(before) if now.level < before.level => out.push(told(Kind::Deescalated, now)),
                Some(_) => {}
            }
            let before = self.told.is_some_and(|b| b.returned);
            if now.returned && !before {
                out.push(told(Kind::Returned, now));
            }
            if !now.returned && before {
                out.push(told(Kind::Resumed, now));
            }
        }
        self.told = self.alarm;
    }

    fn of_alarm(&self, kind: Kind) -> Told {
        (
            kind,
            self.alarm.map(|a| SEVERITIES[a.level]),
            self.alarm.map(|a| a.since),
        )
    }

    fn unshelve(&mut self, out: &mut Vec<Told>) {
        if self.shelved.take().is_some() {
            out.push(self.of_alarm(Kind::Unshelved));
        }
        self.tell(out);
    }

    fn act(&mut self, action: &Action) -> Vec<Told> {
        let mut out = vec![];
        match *action {
            Action::Row(now, input) => {
                let judged = match input {
                    AlarmInput::Score(s) if s.value.is_finite() => Some((s, false)),
                    AlarmInput::Harmless(s) => Some((s, true)),
                    _ => None,
                };
                let usable = judged.is_some() || input == AlarmInput::Unjudged;
                let last = match usable {
                    true => self.usable.last().copied(),
                    false => self.usable.iter().chain(&self.missing).copied().max(),
                };
                if last.is_some_and(|last| now <= last) {
                    return out;
                }
                if usable {
                    self.usable.push(now);
                    self.run.clear();
                    if std::mem::take(&mut self.lost) {
                        out.push((Kind::SensorRecovered, None, None));
                    }
                    if let Some((s, harmless)) = judged {
                        self.judge(now, s, harmless);
                    }
                } else if self.s.lost_s.is_some() || self.s.lost_rows.is_some() {
                    if self.run.is_empty() {
                        self.run_from = self.usable.last().copied().unwrap_or(now);
                    }
                    self.missing.push(now);
                    self.run.push(now);
                    let lost = self.s.lost_rows.is_some_and(|n| self.run.len() >= n as usize)
                        || self.s.lost_s.is_some_and(|s| now - self.run_from >= i64::from(s));
                    if lost && !self.lost {
                        self.lost = true;
                        out.push((Kind::SensorLost, None, None));
                    }
                }
                match self.shelved {
                    Some(until) if now >= until => self.unshelve(&mut out),
                    _ => self.tell(&mut out),
                }
            }
            Action::Acknowledge(_) => {
                if let Some(a) = self.alarm.filter(|a| !a.acknowledged) {
                    out.push(self.of_alarm(Kind::Acknowledged));
                    self.alarm = Some(Alarm {
                        acknowledged: true,
                        ..a
                    })
                    .filter(|a| !a.returned);
                    if a.returned {
                        self.cleared = self.judged.last().map(|r| r.0);
                        self.high_from = [self.judged.len(); 4];
                    }
                    self.tell(&mut out);
                }
            }
            Action::Shelve(_, until) => {
                if self.shelved != Some(until) {
                    self.shelved = Some(until);
                    out.push(self.of_alarm(Kind::Shelved));
                }
            }
            Action::Unshelve(_) => self.unshelve(&mut out),
        }
        out
    }
}

fn act(policy: &AlarmPolicy, state: &mut AlarmState, action: &Action) -> AlarmEvents {
    match *action {
        Action::Row(now, input) => policy.step(state, at(now), input),
        Action::Acknowledge(now) => state.acknowledge(at(now)),
        Action::Shelve(now, until) => state.shelve(at(now), at(until)).unwrap(),
        Action::Unshelve(now) => state.unshelve(at(now)),
    }
}

fn told(events: &AlarmEvents) -> Vec<Told> {
    let since = |e: &AlarmEvent| e.since.map(|t| t.nanos() / 1_000_000_000);
    events.iter().map(|e| (e.kind, e.severity, since(e))).collect()
}

fn restored(state: &AlarmState) -> AlarmState {
    envelope::decode(&envelope::encode(state).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_machine_is_the_one_that_remembers_everything(s in settings(), actions in actions(), restart in 0usize..20) {
        let policy = s.policy();
        let mut reference = Reference::new(s);
        let mut state = policy.new_state();
        for (i, action) in actions.iter().enumerate() {
            if i % 20 == restart {
                let back = restored(&state);
                prop_assert_eq!(&back, &state);
                state = back;
            }
            let before = (state.standing(), state.since(), state.severity());
            let events = act(&policy, &mut state, action);
            prop_assert_eq!(told(&events), reference.act(action), "action {}: {:?}", i, action);
            let alarm = reference.alarm;
            prop_assert_eq!(state.severity(), alarm.map(|a| SEVERITIES[a.level]));
            prop_assert_eq!(state.since(), alarm.map(|a| at(a.since)));
            prop_assert_eq!(state.standing(), match alarm {
                None => AlarmStanding::Normal,
                Some(a) if a.returned => AlarmStanding::ReturnedUnacknowledged,
                Some(a) if a.acknowledged => AlarmStanding::Acknowledged,
                Some(_) => AlarmStanding::Unacknowledged,
            });
            prop_assert_eq!(state.shelved_until(), reference.shelved.map(at));
            prop_assert_eq!(state.sensor_lost_since().is_some(), reference.lost);
            match action {
                Action::Row(_, AlarmInput::Missing) => {
                    prop_assert_eq!((state.standing(), state.since(), state.severity()), before);
                }
                Action::Acknowledge(now) => {
                    let once = state.clone();
                    prop_assert!(state.acknowledge(at(*now)).is_empty());
                    prop_assert_eq!(&once, &state);
                }
                _ => {}
            }
        }
    }

    /// Without the missing rows, the alarm is the same at every other action.
    #[test]
    fn missing_rows_change_no_alarm(s in settings(), actions in actions()) {
        let policy = s.policy();
        let (mut all, mut without) = (policy.new_state(), policy.new_state());
        for action in &actions {
            let missing = match action {
                Action::Row(_, AlarmInput::Missing) => true,
                Action::Row(_, AlarmInput::Score(s)) => !s.value.is_finite(),
                _ => false,
            };
            act(&policy, &mut all, action);
            if !missing {
                act(&policy, &mut without, action);
            }
            prop_assert_eq!(
                (all.standing(), all.since(), all.severity()),
                (without.standing(), without.since(), without.severity())
            );
        }
    }

    /// Whoever follows the events knows what stands, but on the shelf.
    #[test]
    fn events_tell_what_stands(s in settings(), actions in actions()) {
        let policy = s.policy();
        let mut state = policy.new_state();
        let (mut severity, mut lost) = (None, false);
        for action in &actions {
            let shelved = state.shelved_until().is_some();
            for e in act(&policy, &mut state, action) {
                match e.kind {
                    Kind::Raised => {
                        prop_assert!(severity.is_none() && e.severity.is_some());
                        severity = e.severity;
                    }
                    Kind::Escalated => {
                        prop_assert!(e.severity > severity && severity.is_some());
                        severity = e.severity;
                    }
                    Kind::Deescalated => {
                        prop_assert!(e.severity < severity && e.severity.is_some());
                        severity = e.severity;
                    }
                    Kind::Cleared => {
                        prop_assert!(e.severity.is_some() && severity.is_some());
                        severity = None;
                    }
                    Kind::SensorLost => prop_assert!(!std::mem::replace(&mut lost, true)),
                    Kind::SensorRecovered => prop_assert!(std::mem::replace(&mut lost, false)),
                    _ => {}
                }
                let alarm = matches!(e.kind, Kind::Raised | Kind::Escalated | Kind::Deescalated | Kind::Cleared);
                prop_assert!(!alarm || state.shelved_until().is_none() || !shelved, "{:?} on the shelf", e);
            }
            if state.shelved_until().is_none() {
                prop_assert_eq!(severity, state.severity());
            }
        }
    }

    /// The first version: raised where m of the last n are anomalous, cleared where none is.
    #[test]
    fn plain_policies_count_as_they_did(rows in proptest::collection::vec(any::<bool>(), 1..200), n in 1u32..=64, share in 0.0f64..1.0, latched in any::<bool>()) {
        let m = 1 + (share * f64::from(n - 1)) as u32;
        let policy = AlarmPolicy::m_of_n(m, n);
        let policy = if latched { policy.latched() } else { policy };
        let mut state = policy.new_state();
        let mut active = false;
        for (i, high) in rows.iter().enumerate() {
            let last = &rows[(i + 1).saturating_sub(n as usize)..=i];
            let n_high = last.iter().filter(|r| **r).count() as u32;
            active = if active { latched || n_high > 0 } else { n_high >= m };
            policy.step(&mut state, at(i as i64), score(if *high { 2.0 } else { 1.0 }));
            prop_assert_eq!(state.since().is_some(), active);
        }
    }
}

fn kinds(events: AlarmEvents) -> Vec<Kind> {
    events.into_iter().map(|e| e.kind).collect()
}

#[test]
fn a_latched_alarm_ends_by_acknowledgement() {
    let policy = AlarmPolicy::m_of_n(1, 1).latched();
    let mut state = policy.new_state();
    let step = |state: &mut AlarmState, s, v| kinds(policy.step(state, at(s), score(v)));
    assert_eq!(step(&mut state, 1, 2.0), [Kind::Raised]);
    assert_eq!(step(&mut state, 2, 0.0), [Kind::Returned]);
    assert_eq!(state.standing(), AlarmStanding::ReturnedUnacknowledged);
    assert_eq!(step(&mut state, 3, 2.0), [Kind::Resumed]);
    assert_eq!(step(&mut state, 4, 0.0), [Kind::Returned]);
    assert_eq!(state.since(), Some(at(1)));
    assert_eq!(kinds(state.acknowledge(at(5))), [Kind::Acknowledged, Kind::Cleared]);
    assert_eq!(state.standing(), AlarmStanding::Normal);
    // Acknowledged first, it ends by itself.
    assert_eq!(step(&mut state, 6, 2.0), [Kind::Raised]);
    assert_eq!(kinds(state.acknowledge(at(7))), [Kind::Acknowledged]);
    assert_eq!(state.standing(), AlarmStanding::Acknowledged);
    assert_eq!(step(&mut state, 8, 0.0), [Kind::Cleared]);
}

#[test]
fn what_happened_on_the_shelf_is_told_afterwards() {
    let policy = AlarmPolicy::m_of_n(1, 1).sensor_lost_after_rows(1);
    let mut state = policy.new_state();
    let e = state.shelve(at(5), at(5)).unwrap_err();
    assert!(e.to_string().contains("after 5 s"), "{e}");
    assert_eq!(kinds(state.shelve(at(0), at(10)).unwrap()), [Kind::Shelved]);
    assert!(state.shelve(at(1), at(10)).unwrap().is_empty());
    assert!(policy.step(&mut state, at(2), score(2.0)).is_empty());
    assert_eq!((state.since(), state.severity()), (Some(at(2)), Some(Severity::Alarm)));
    let events = policy.step(&mut state, at(12), AlarmInput::Missing);
    assert_eq!(kinds(events.clone()), [Kind::SensorLost, Kind::Unshelved, Kind::Raised]);
    let raised = events.iter().last().unwrap();
    assert_eq!((raised.time, raised.since, raised.score), (at(12), Some(at(2)), None));
    // Ended and raised anew on the shelf; the five events there can be.
    let policy = policy.latched();
    state.acknowledge(at(12));
    state.shelve(at(12), at(20)).unwrap();
    for (s, v) in [(13, 0.0), (14, 2.0)] {
        policy.step(&mut state, at(s), score(v));
    }
    policy.step(&mut state, at(16), AlarmInput::Missing);
    assert_eq!(
        kinds(policy.step(&mut state, at(20), score(0.0))),
        [
            Kind::SensorRecovered,
            Kind::Unshelved,
            Kind::Cleared,
            Kind::Raised,
            Kind::Returned
        ]
    );
    assert!(state.unshelve(at(21)).is_empty());
}

#[test]
fn a_row_at_the_edge_does_not_flap() {
    let zones = SeverityZones::from_threshold(Severity::Warning).zone(Severity::Critical, 2.0, 0.8);
    let policy = AlarmPolicy::m_of_n(1, 1).hysteresis(0.8).severity(zones);
    let mut state = policy.new_state();
    let mut seen = vec![];
    for i in 0..1000 {
        // Around the threshold, around twice the threshold, and down again; noise of 5% either way.
        let level = match i / 250 {
            0 => 1.0,
            1 | 2 => 2.0,
            _ => 0.7,
        };
        let noise = if i % 2 == 0 { 1.05 } else { 0.95 };
        seen.extend(kinds(policy.step(&mut state, at(i), score(level * noise))));
    }
    assert_eq!(seen, [Kind::Raised, Kind::Escalated, Kind::Cleared]);
}

#[test]
fn memory_bridges_no_year() {
    let year = 365 * 86_400;
    for (forget, raised) in [(None, true), (Some(3600), false)] {
        let policy = AlarmPolicy::m_of_n(2, 2);
        let policy = forget.map_or(policy, |s| policy.forget_after(seconds(s)));
        let mut state = policy.new_state();
        policy.step(&mut state, at(0), score(2.0));
        assert_eq!(policy.step(&mut state, at(year), score(2.0)).has(Kind::Raised), raised);
    }
}

#[test]
fn states_are_small_and_validated() {
    println!("AlarmState: {} bytes", size_of::<AlarmState>());
    assert!(size_of::<AlarmState>() <= 400, "{}", size_of::<AlarmState>());
    let policy = AlarmPolicy::m_of_n(1, 2).latched();
    let mut state = policy.new_state();
    policy.step(&mut state, at(1), score(2.0));
    let text = serde_json::to_string(&state).unwrap();
    println!("{} bytes as MessagePack", envelope::encode(&state).unwrap().len());
    assert_eq!(serde_json::from_str::<AlarmState>(&text).unwrap(), state);
    let tree: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (path, value) in [
        ("/since", serde_json::json!(5)),
        ("/recent", serde_json::json!(-1)),
        ("/more/lows", serde_json::json!(1)),
        ("/more/active/severity", serde_json::json!("Dire")),
        ("/more/active/acknowledged", serde_json::json!(true)),
        ("/more/announced", serde_json::Value::Null),
        ("/more/usable", serde_json::Value::Null),
        ("/more/zones", serde_json::json!([])),
    ] {
        let mut changed = tree.clone();
        *changed.pointer_mut(path).unwrap_or_else(|| panic!("nothing at {path}")) = value;
        assert!(serde_json::from_value::<AlarmState>(changed).is_err(), "{path}");
    }
}

/// Policies and states as the first version wrote them.
#[test]
fn old_bytes_go_on_as_they_did() {
    let policy: AlarmPolicy = serde_json::from_str(r#"{"m":2,"n":3,"latch":false}"#).unwrap();
    assert_eq!(policy, AlarmPolicy::m_of_n(2, 3));
    assert_eq!(
        serde_json::to_string(&policy).unwrap(),
        r#"{"m":2,"n":3,"latch":false}"#
    );
    assert_eq!(format!("{policy:?}"), "AlarmPolicy { m: 2, n: 3, latch: false }");
    for rows in 0u32..64 {
        let mut state = policy.new_state();
        let (mut recent, mut since) = (0u64, None);
        for i in 0..12 {
            // The first version, word for word in its state.
            let old = serde_json::json!({"recent": recent, "since": since});
            let mut from_old: AlarmState = serde_json::from_value(old).unwrap();
            let high = rows >> (i % 6) & 1 == 1;
            recent = (recent << 1 | u64::from(high)) & 7;
            match since {
                None if recent.count_ones() >= 2 => since = Some(at(i)),
                Some(_) if recent == 0 => since = None,
                _ => {}
            }
            for state in [&mut state, &mut from_old] {
                policy.step(state, at(i), score(if high { 2.0 } else { 0.0 }));
                assert_eq!(state.since(), since, "rows {rows:b}, {i}");
            }
        }
    }
}

#[test]
fn bad_policies_are_named() {
    let m_of_n = AlarmPolicy::m_of_n;
    let zones = || SeverityZones::from_threshold(Severity::Warning);
    let mut bad = vec![
        (m_of_n(0, 1), "m of n"),
        (m_of_n(2, 1), "m of n"),
        (m_of_n(1, 65), "m of n"),
        (m_of_n(0, 0), "m of n"),
        (m_of_n(1, 1).clear_after(0, 1), "clear_after"),
        (m_of_n(1, 1).clear_after(1, 65), "clear_after"),
        (m_of_n(1, 1).clear_after(3, 2), "clear_after"),
        (m_of_n(1, 1).sensor_lost_after_rows(0), "sensor_lost_after_rows"),
        (
            m_of_n(1, 1).severity(zones().zone(Severity::Advisory, 2.0, 1.0)),
            "rising",
        ),
        (
            m_of_n(1, 1).severity(zones().zone(Severity::Warning, 2.0, 1.0)),
            "rising",
        ),
        (
            m_of_n(1, 1).severity(
                zones()
                    .zone(Severity::Alarm, 2.0, 1.0)
                    .zone(Severity::Critical, 2.0, 1.0),
            ),
            "ratio",
        ),
        (
            m_of_n(1, 1).severity((0..4).fold(zones(), |z, i| z.zone(Severity::Critical, 2.0 + f64::from(i), 1.0))),
            "at most 3",
        ),
    ];
    for x in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
        bad.push((m_of_n(1, 1).hysteresis(x), "hysteresis"));
        bad.push((m_of_n(1, 1).severity(zones().zone(Severity::Alarm, 2.0, x)), "share"));
    }
    for x in [f64::NAN, f64::INFINITY, -1.0, 1.0, 1e13] {
        bad.push((m_of_n(1, 1).severity(zones().zone(Severity::Alarm, x, 1.0)), "ratio"));
    }
    for (policy, name) in bad {
        let e = policy.check().unwrap_err().to_string();
        assert!(e.contains(name), "{policy:?}: {e}");
        // Unchecked it does no harm, and its bytes are refused.
        let mut state = policy.new_state();
        for i in 0..200 {
            policy.step(&mut state, at(i), score(if i % 7 < 4 { 1e300 } else { -1e300 }));
        }
        let text = serde_json::to_string(&policy).unwrap();
        if !text.contains("null") {
            let read = serde_json::from_str::<AlarmPolicy>(&text);
            assert!(read.is_err(), "{text}");
        }
    }
    let full = Settings {
        m: 2,
        n: 3,
        latch: true,
        share: 0.9,
        clear: Some((2, 4)),
        minimum: Some(5),
        refractory: Some(6),
        forget: Some(7),
        lost_s: Some(8),
        lost_rows: Some(9),
        zones: vec![(1.5, 0.9), (2.0, 0.8), (3.0, 0.7)],
    };
    let policy = full.policy();
    assert_eq!(restored_policy(&policy), policy);
    for bad in [
        r#"{"m":1,"n":1,"latch":false,"refractory_s":0.0}"#,
        r#"{"m":1,"n":1,"latch":false,"share":-1.0}"#,
    ] {
        assert!(serde_json::from_str::<AlarmPolicy>(bad).is_err(), "{bad}");
    }
}

fn restored_policy(policy: &AlarmPolicy) -> AlarmPolicy {
    envelope::decode(&envelope::encode(policy).unwrap()).unwrap()
}

/// Instants at the ends of the range and steps of nothing.
#[test]
fn hostile_times_are_survived() {
    let policy = AlarmPolicy::m_of_n(1, 1)
        .minimum_duration(seconds(1))
        .refractory(seconds(1))
        .forget_after(seconds(1))
        .sensor_lost_after(seconds(1));
    let mut state = policy.new_state();
    let ends = [
        i64::MIN,
        i64::MIN,
        i64::MIN + 1,
        0,
        0,
        -1,
        i64::MAX - 1,
        i64::MAX,
        i64::MAX,
        i64::MIN,
    ];
    for (i, nanos) in ends.into_iter().cycle().take(100).enumerate() {
        let input = if i % 3 == 0 { AlarmInput::Missing } else { score(2.0) };
        policy.step(&mut state, Timestamp::from_nanos(nanos), input);
        state = restored(&state);
    }
}
