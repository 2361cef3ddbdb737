//! Laws of the chain on random input: what must not matter does not.

use prognos::{
    ErrorKind,
    decision::{AlarmEventKind, AlarmPolicy, Decision},
    envelope,
    features::{FeatureSchema, FeatureView, telemetry},
    fleet::Fleet,
    model::{AnomalyScore, Assessment, AssetFolds, OnlineModel},
    pipeline::{Pipeline, PipelineState},
    preprocess::{RegimeNormalizer, Regimes, Standardizer},
    quantity::{LifeUnit, Seed, Timestamp},
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use serde::Serialize;
use std::{collections::BTreeMap, sync::LazyLock};

static MODELS: LazyLock<[Pipeline; 2]> = LazyLock::new(|| {
    let train = crate::chains::engines(10, 1);
    [crate::chains::whole(), crate::chains::linear()].map(|chain| chain.fit(&train).unwrap())
});
static ENGINES: LazyLock<FleetHistory> = LazyLock::new(|| crate::chains::engines(5, 2));

fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    envelope::encode(value).unwrap()
}

/// Three conditions, four sensors that follow them and the settings' jitter; some readings missing.
fn conditions(seed: u64) -> Vec<Vec<f64>> {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let mut noise = || rng.r#gen::<f64>() + rng.r#gen::<f64>() - 1.0;
    let row = |i: usize| {
        let r = (i * 7 % 3) as f64;
        let jitter = 0.01 * noise();
        let mut row = vec![10.0 * r + jitter, 5.0 - r * r + 0.02 * noise()];
        row.extend((0..4).map(|s| 20.0 * r * s as f64 + 30.0 * jitter + (1.0 + r) * noise()));
        if i % 11 == 4 {
            row[3] = f64::NAN;
        }
        row
    };
    (0..240).map(row).collect()
}

fn fitted(rows: &[Vec<f64>]) -> RegimeNormalizer {
    let channels = ["load", "speed", "a", "b", "c", "d"].map(|n| Channel::new(n, ""));
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    let regimes = Regimes::automatic(6).on(["load", "speed"]);
    RegimeNormalizer::fit(&regimes, &schema, rows.iter().map(Vec::as_slice)).unwrap()
}

fn normal(n: &RegimeNormalizer, rows: &[Vec<f64>]) -> Vec<(usize, Vec<f64>)> {
    let one = |row: &Vec<f64>| {
        let mut z = vec![0.0; n.output().len()];
        (n.normalize_into(row, &mut z).unwrap().unwrap(), z)
    };
    rows.iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Degrees Celsius or Fahrenheit, bar or pascal: normalised readings are the same; so are those of settings.
    #[test]
    fn normalised_rows_know_no_units(
        seed in any::<u64>(),
        units in proptest::collection::vec((1e-3f64..1e3, any::<bool>(), -1e3f64..1e3), 6),
    ) {
        let rows = conditions(seed);
        // A falling scale turns the order of the conditions round, and so their numbers: settings keep their direction.
        let convert = |row: &Vec<f64>| -> Vec<f64> {
            let one = |(i, (x, &(scale, falls, offset))): (usize, (&f64, &(f64, bool, f64)))| {
                let sign = if falls && i >= 2 { -1.0 } else { 1.0 };
                sign * scale * x + sign * scale * offset
            };
            row.iter().zip(&units).enumerate().map(one).collect()
        };
        let converted: Vec<Vec<f64>> = rows.iter().map(convert).collect();
        let (a, b) = (fitted(&rows), fitted(&converted));
        prop_assert_eq!(a.n_regimes(), 3);
        for ((ra, za), (rb, zb)) in normal(&a, &rows).iter().zip(normal(&b, &converted)) {
            prop_assert_eq!(*ra, rb);
            for (i, (x, y)) in za.iter().zip(&zb).enumerate() {
                let y = if units[i + 2].1 { -y } else { *y };
                // Offsets of a thousand spreads cost three digits, the slopes on jitter of 0.01 another four.
                prop_assert!((x - y).abs() < 1e-7 * x.abs().max(1.0) || (x.is_nan() && y.is_nan()), "{} {}", x, y);
            }
        }
    }

    /// The same of a single column, whatever its values.
    #[test]
    fn standardised_rows_know_no_units(xs in proptest::collection::vec(-1e3f64..1e3, 3..60), scale in 1e-3f64..1e3, offset in -1e3f64..1e3) {
        let fit = |xs: &[f64]| Standardizer::fit(1, xs.iter().map(std::slice::from_ref)).unwrap();
        let other: Vec<f64> = xs.iter().map(|x| scale * (x + offset)).collect();
        let (a, b) = (fit(&xs), fit(&other));
        prop_assume!(!a.is_constant(0) && xs.iter().any(|x| (x - xs[0]).abs() > 1.0));
        for (x, y) in xs.iter().zip(&other) {
            let (mut za, mut zb) = ([0.0], [0.0]);
            a.transform_into(&[*x], &mut za);
            b.transform_into(&[*y], &mut zb);
            prop_assert!((za[0] - zb[0]).abs() < 1e-9 * za[0].abs().max(1.0), "{} {}", za[0], zb[0]);
        }
    }

    /// Folds are a partition into parts of nearly one size, and follow from their seed alone.
    #[test]
    fn folds_are_a_partition(n_assets in 2usize..200, n_folds in 2usize..12, seed in any::<u64>()) {
        prop_assume!(n_folds <= n_assets);
        let folds = AssetFolds::new(n_assets, n_folds, Seed(seed)).unwrap();
        let mut sizes = vec![0; n_folds];
        for asset in 0..n_assets {
            let holding: Vec<usize> = (0..n_folds).filter(|f| folds.holds_out(*f, asset)).collect();
            prop_assert_eq!(holding.len(), 1);
            prop_assert_eq!(folds.fold_of(asset), Some(holding[0]));
            sizes[holding[0]] += 1;
        }
        prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        prop_assert_eq!(folds.fold_of(n_assets), None);
        prop_assert_eq!(&folds, &AssetFolds::new(n_assets, n_folds, Seed(seed)).unwrap());
    }

    /// A split has every asset on one side, whole and unchanged, in the share asked for.
    #[test]
    fn splits_are_a_partition(n_assets in 2usize..60, fraction in 0.01f64..0.99, seed in any::<u64>()) {
        let mut fleet = FleetHistory::new(vec![Channel::new("x", "")], LifeUnit::Hours).unwrap();
        for a in 0..n_assets {
            let times = (0..=a as i64).map(Timestamp::from_secs).collect();
            let values = (0..=a).map(|i| (a * 100 + i) as f64).collect();
            fleet.push(AssetHistory::new(format!("{a}"), times, values, 1, EndOfLife::Failed).unwrap()).unwrap();
        }
        let (first, second) = fleet.split_by_asset(fraction, Seed(seed)).unwrap();
        let wanted = ((n_assets as f64 * fraction).round() as usize).clamp(1, n_assets - 1);
        prop_assert_eq!(first.assets().len(), wanted);
        prop_assert_eq!(first.n_rows() + second.n_rows(), fleet.n_rows());
        let mut all: Vec<&AssetHistory> = first.assets().iter().chain(second.assets()).collect();
        all.sort_by_key(|a| a.n_rows());
        prop_assert!(all.into_iter().eq(fleet.assets()));
        prop_assert_eq!(fleet.split_by_asset(fraction, Seed(seed)).unwrap(), (first, second));
    }

    /// Raised where m of the last n are anomalous, cleared where none is, both once a time; rows of another machine or
    /// none at all change nothing.
    #[test]
    fn alarms_are_raised_and_cleared_in_turn(rows in proptest::collection::vec(any::<bool>(), 1..300), n in 1u32..=64, m in 1u32..=64, latched in any::<bool>()) {
        prop_assume!(m <= n);
        let policy = if latched { AlarmPolicy::m_of_n(m, n).latched() } else { AlarmPolicy::m_of_n(m, n) };
        let mut state = policy.new_state();
        let (mut active, mut since) = (false, None);
        for (i, &anomalous) in rows.iter().enumerate() {
            let time = Timestamp::from_secs(i as i64);
            // What a state remembers survives its bytes.
            state = envelope::decode(&encoded(&state)).unwrap();
            let score = AnomalyScore { value: f64::from(u8::from(anomalous)), threshold: 0.5 };
            let kind = policy.step(&mut state, time, score.into()).iter().map(|e| e.kind).next();
            let last = &rows[(i + 1).saturating_sub(n as usize)..=i];
            let high = last.iter().filter(|r| **r).count() as u32;
            let expected = match active {
                false if high >= m => Some(AlarmEventKind::Raised),
                true if high == 0 && !latched => Some(AlarmEventKind::Cleared),
                _ => None,
            };
            prop_assert_eq!(kind.filter(|_| !latched || expected.is_some()), expected);
            match expected {
                Some(AlarmEventKind::Raised) => (active, since) = (true, Some(time)),
                Some(_) => (active, since) = (false, None),
                None => {}
            }
            prop_assert_eq!(state.since(), since);
        }
    }
}

/// What happens next in a fleet.
#[derive(Clone, Debug)]
enum Event {
    /// A row of a machine, changed by a fault or not.
    Row(usize, Fault),
    Commission(usize),
    Retire(usize),
    Acknowledge(usize),
    /// The states travel through bytes.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Missing(usize),
    Value(usize, f64),
    AllMissing,
    Late(i64),
    Ahead(i64),
    Short,
}

fn event() -> impl Strategy<Value = Event> {
    let fault = prop_oneof![
        12 => Just(Fault::None),
        1 => (0usize..15).prop_map(Fault::Missing),
        1 => (0usize..15, prop_oneof![Just(f64::INFINITY), Just(f64::MAX), Just(-1e300), Just(0.0), Just(1e4)]).prop_map(|(c, v)| Fault::Value(c, v)),
        1 => Just(Fault::AllMissing),
        1 => (0i64..100_000_000_000).prop_map(Fault::Late),
        1 => (1i64..3_000_000_000).prop_map(Fault::Ahead),
        1 => Just(Fault::Short),
    ];
    prop_oneof![
        30 => (0usize..5, fault).prop_map(|(m, f)| Event::Row(m, f)),
        1 => (0usize..5).prop_map(Event::Commission),
        1 => (0usize..5).prop_map(Event::Retire),
        1 => (0usize..5).prop_map(Event::Acknowledge),
        1 => Just(Event::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A fleet is a map of machines, each stepped by itself.
    #[test]
    fn a_fleet_is_a_map_of_machines(events in proptest::collection::vec(event(), 1..250), which in 0usize..2) {
        let model = &MODELS[which];
        let mut live: Fleet<usize> = Fleet::new(model.clone());
        let mut reference: BTreeMap<usize, PipelineState> = BTreeMap::new();
        let mut count = [0usize; 5];
        for event in events {
            match event {
                Event::Row(machine, fault) => {
                    let asset = &ENGINES.assets()[machine];
                    let i = count[machine];
                    count[machine] += 1;
                    let mut row = asset.rows().nth(i % asset.n_rows()).unwrap().1.to_vec();
                    let mut nanos = 1_000_000_000 * i as i64;
                    match fault {
                        Fault::None => {}
                        Fault::Missing(c) => row[c] = f64::NAN,
                        Fault::Value(c, v) => row[c] = v,
                        Fault::AllMissing => row.fill(f64::NAN),
                        Fault::Late(by) => nanos -= by,
                        Fault::Ahead(by) => nanos += by,
                        Fault::Short => drop(row.pop()),
                    }
                    let time = Timestamp::from_nanos(nanos);
                    let outcome = live.push(&machine, time, &row);
                    let Ok(x) = FeatureView::new(model.schema(), &row) else {
                        prop_assert!(outcome.is_err());
                        prop_assert_eq!(live.state(&machine).is_some(), reference.contains_key(&machine));
                        continue;
                    };
                    let mut state = reference.get(&machine).cloned().unwrap_or_else(|| model.new_state());
                    let expected = model.step(&mut state, x.at(time)).unwrap();
                    // A first row that tells nothing makes no machine known.
                    if reference.contains_key(&machine) || !matches!(expected, Assessment::Unusable(_)) {
                        reference.insert(machine, state);
                    }
                    prop_assert_eq!(encoded(&outcome.unwrap()), encoded(&expected));
                }
                Event::Commission(machine) => {
                    let born = Timestamp::from_secs(-50);
                    let known = reference.contains_key(&machine);
                    prop_assert_eq!(live.commission(machine, born).is_err(), known);
                    reference.entry(machine).or_insert_with(|| model.new_state_since(born));
                }
                Event::Retire(machine) => {
                    prop_assert_eq!(live.retire(&machine).map(|s| encoded(&s)), reference.remove(&machine).map(|s| encoded(&s)));
                }
                Event::Acknowledge(machine) => {
                    if let (Some(a), Some(b)) = (live.state_mut(&machine), reference.get_mut(&machine)) {
                        let now = Timestamp::from_secs(count[machine] as i64);
                        a.alarm_mut().acknowledge(now);
                        b.alarm_mut().acknowledge(now);
                    }
                }
                Event::Restart => {
                    for state in reference.values_mut() {
                        *state = envelope::decode(&encoded(state)).unwrap();
                    }
                }
            }
            prop_assert_eq!(live.len(), reference.len());
        }
        for (machine, state) in &reference {
            prop_assert_eq!(encoded(live.state(machine).unwrap()), encoded(state));
        }
    }

    /// Lives lie in their intervals and under the cap; an alarm names causes that add up to no more than the whole.
    #[test]
    fn causes_are_shares(machine in 0usize..5, factor in 0.9f64..1.1, column in 3usize..14) {
        let model = &MODELS[0];
        let asset = &ENGINES.assets()[machine];
        let mut state = model.new_state();
        for (time, values) in asset.rows() {
            let mut row = values.to_vec();
            row[column] *= factor;
            let x = FeatureView::new(model.schema(), &row).unwrap().at(time);
            let Assessment::Ready(decision) = model.step(&mut state, x).unwrap() else { panic!() };
            let condition = *decision.condition();
            prop_assert_eq!(condition.time, time);
            let rul = condition.rul.unwrap();
            prop_assert!(0.0 <= rul.lower && rul.lower <= rul.rul && rul.rul <= rul.upper && rul.upper <= 50.0);
            if let Decision::Alarm(alarm) = &decision {
                let shares: Vec<f64> = alarm.causes.iter().flatten().map(|c| c.share).collect();
                prop_assert!(shares.windows(2).all(|w| w[0] >= w[1]) && shares.iter().all(|s| *s > 0.0));
                prop_assert!(shares.iter().sum::<f64>() <= 1.0 + 1e-12);
                let named: Vec<&str> = alarm.causes.iter().flatten().map(|c| &*c.channel).collect();
                prop_assert!(named.iter().all(|n| ENGINES.channels().iter().any(|c| c.name == *n)), "{:?}", named);
                prop_assert!(alarm.since <= time && alarm.raised_now == (alarm.since == time));
            }
        }
    }
}

/// A sensor pushed far off is the first one named.
#[test]
fn the_sensor_that_is_off_is_named() {
    let model = &MODELS[0];
    for (column, channel) in ENGINES.channels().iter().enumerate().skip(4).take(10) {
        let mut live: Fleet = Fleet::new(model.clone());
        let mut named = Vec::new();
        for (i, (time, values)) in ENGINES.assets()[0].rows().enumerate().take(25) {
            let mut row = values.to_vec();
            if i >= 3 {
                row[column] *= 1.2;
            }
            if let Assessment::Ready(Decision::Alarm(alarm)) = live.push("m", time, &row).unwrap() {
                named.push(alarm.causes[0].clone().map(|c| c.channel.to_string()));
            }
        }
        assert!(named.len() >= 8, "{}: {} alarms", channel.name, named.len());
        assert!(
            named.iter().all(|n| n.as_deref() == Some(&channel.name)),
            "{}: {named:?}",
            channel.name
        );
    }
}

/// No alarm is built on rows that reach back over less than the detector's longest span; fitting leaves such rows out too.
#[test]
fn new_machines_raise_no_alarm_before_their_features_are_full() {
    let mut rng = Xoshiro256Plus::seed_from_u64(11);
    let mut fleet = FleetHistory::new(vec![Channel::new("a", ""), Channel::new("b", "")], LifeUnit::Hours).unwrap();
    for machine in 0..60 {
        let times = (0..100).map(|h| LifeUnit::Hours.instant(h)).collect();
        let values = (0..200)
            .map(|_| rng.r#gen::<f64>() + rng.r#gen::<f64>() - rng.r#gen::<f64>())
            .collect();
        let asset = AssetHistory::new(machine.to_string(), times, values, 2, EndOfLife::Unknown).unwrap();
        fleet.push(asset).unwrap();
    }
    let (train, new) = fleet.split_by_asset(0.5, Seed(1)).unwrap();
    let features = telemetry().ewma([10.0]).slope([30.0]);
    let model = Pipeline::params()
        .detector_features(features)
        .healthy_share(1.0)
        .fit(&train)
        .unwrap();
    let mut n_alarmed = 0;
    for asset in new.assets() {
        let outcomes = model.assess_history(asset).unwrap();
        let alarm = |o: &Assessment<Decision>| matches!(o, Assessment::Ready(Decision::Alarm(_)));
        assert!(!outcomes[..30].iter().any(alarm), "asset {}", asset.asset());
        n_alarmed += usize::from(outcomes.iter().any(alarm));
    }
    // Three of five at 1% of correlated rows: some, but not the two thirds that rows without full features raised.
    assert!(n_alarmed <= 10, "{n_alarmed} of {}", new.assets().len());
}

/// A window that could not hold the rows of its span would give a feature of another span.
#[test]
fn rows_too_dense_for_a_span_are_refused() {
    let mut fleet = FleetHistory::new(vec![Channel::new("a", "")], LifeUnit::Hours).unwrap();
    let times = (0..2000).map(Timestamp::from_secs).collect();
    let values = (0..2000).map(|i| f64::from(i * 7919 % 101)).collect();
    fleet
        .push(AssetHistory::new("m", times, values, 1, EndOfLife::Unknown).unwrap())
        .unwrap();
    let e = Pipeline::params().fit(&fleet).unwrap_err();
    assert!(
        e.kind() == ErrorKind::InvalidParameter && e.to_string().contains("max_rows"),
        "{e}"
    );
    let e = Pipeline::params()
        .features(telemetry().ewma([0.5]))
        .fit(&fleet)
        .unwrap_err();
    assert!(e.to_string().contains("EWMA span"), "{e}");
}

/// A chain read from bytes and saved again says the same of its making.
#[test]
fn a_chain_keeps_its_provenance_through_bytes() {
    let model = &MODELS[0];
    let bytes = model.to_bytes(model.provenance()).unwrap();
    let (back, provenance) = Pipeline::from_bytes(&bytes).unwrap();
    assert!(provenance.n_rows > 0 && back.provenance() == &provenance);
}
