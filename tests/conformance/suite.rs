//! The laws of the model contract, as functions over any model.
//!
//! A test of a model is one call: [`detector`] or [`regressor`] (everything), or [`online`] and [`persistent`] for a model
//! with another output. Each takes a closure that fits the model, which is called twice and must give the same model
//! both times, and the [`Rows`] to assess: at least half of them must be ready, and each machine must have more rows than
//! the model needs to forget.
//!
//! A model whose state has content gets a second call, [`refuses_states_of`], with another model of the same type.

use ndarray::Array2;
use prognos::{
    ErrorKind,
    envelope::{self, Fingerprint, Provenance},
    features::{Feature, FeatureSchema, FeatureTable, FeatureView},
    model::{
        AnomalyDetector, AnomalyScore, Assessment, DynAnomalyDetector, DynOnlineModel, NoPrognosis, OnlineModel,
        PersistentModel, RulEstimate, RulRegressor,
    },
    quantity::{LifeUnit, Timestamp},
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use serde::Serialize;

/// Rows of several machines in the order they arrive; the asset number of the table is the machine.
pub struct Rows {
    pub table: FeatureTable,
    /// The instant of each row, strictly increasing for each machine.
    pub times: Vec<Timestamp>,
}

/// Whether contributions add up to the score.
#[derive(Clone, Copy, PartialEq)]
pub enum Contributions {
    Additive,
    /// The score is no sum over features.
    Other,
}

impl Rows {
    /// Rows of a table with one life unit from each row of a machine to its next.
    pub fn cycles(table: FeatureTable) -> Self {
        let mut count = vec![0; table.n_assets()];
        let next = |&a: &u32| {
            count[a as usize] += 1;
            LifeUnit::Cycles.instant(count[a as usize])
        };
        let times = table.asset().iter().map(next).collect();
        Self { table, times }
    }

    fn view(&self, i: usize) -> FeatureView<'_> {
        self.table.views().nth(i).unwrap().at(self.times[i])
    }

    fn views(&self) -> impl Iterator<Item = (usize, FeatureView<'_>)> {
        let machines = self.table.asset().iter().map(|&a| a as usize);
        machines.zip(self.table.views().zip(&self.times).map(|(v, &t)| v.at(t)))
    }

    fn n_machines(&self) -> usize {
        self.table.n_assets()
    }

    fn after_all(&self) -> Timestamp {
        next(*self.times.iter().max().unwrap())
    }
}

/// Correlated telemetry of steady machines: a table to fit on, of 12 machines, and rows of 3 others to assess.
pub fn telemetry() -> (FeatureTable, Rows) {
    let units = ["K", "bar", "rpm", "g", "A"];
    let channels: Vec<_> = units
        .iter()
        .enumerate()
        .map(|(j, u)| Channel::new(format!("sensor_{j}"), *u))
        .collect();
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    let mut rng = Xoshiro256Plus::seed_from_u64(11);
    let mut uniform = move || rng.r#gen::<f64>() - 0.5;
    let mut table = |machines: u32, rows: usize| {
        let n = machines as usize * rows;
        let mut values = Array2::zeros((n, units.len()));
        for mut row in values.rows_mut() {
            let (load, speed) = (uniform() + uniform(), uniform() + uniform());
            for (j, v) in row.iter_mut().enumerate() {
                let weight = j as f64 / 4.0;
                *v = 100.0 * j as f64 + load * (1.0 - weight) + speed * weight + 0.3 * (uniform() + uniform());
            }
        }
        FeatureTable::new(schema.clone(), values, (0..n).map(|i| i as u32 % machines).collect()).unwrap()
    };
    (table(12, 40), Rows::cycles(table(3, 30)))
}

/// Everything asked of a detector.
pub fn detector<M>(fit: impl Fn() -> M, rows: &Rows, contributions: Contributions)
where
    M: AnomalyDetector + PersistentModel,
{
    online(&fit, rows);
    persistent(&fit, rows);
    let model = fit();
    scores_are_ordered(&model, rows);
    contributions_explain(&model, rows, contributions);
}

/// Everything asked of a detector that remembers; `fit_other` fits another one of the same type.
pub fn stream_detector<M>(fit: impl Fn() -> M, fit_other: impl Fn() -> M, rows: &Rows, contributions: Contributions)
where
    M: AnomalyDetector + PersistentModel,
{
    detector(&fit, rows, contributions);
    refuses_states_of(&fit(), &fit_other(), rows);
}

/// Everything asked of a regressor of remaining useful life.
pub fn regressor<M>(fit: impl Fn() -> M, rows: &Rows)
where
    M: RulRegressor + PersistentModel,
{
    online(&fit, rows);
    persistent(&fit, rows);
    lives_lie_in_their_intervals(&fit(), rows);
    distributions_stand_behind_estimates(&fit(), rows);
}

/// Everything asked of a regressor that remembers; `fit_other` fits another one of the same type.
pub fn trajectory_regressor<M>(fit: impl Fn() -> M, fit_other: impl Fn() -> M, rows: &Rows)
where
    M: RulRegressor + PersistentModel,
{
    regressor(&fit, rows);
    refuses_states_of(&fit(), &fit_other(), rows);
}

/// What is asked of every model.
pub fn online<M>(fit: impl Fn() -> M, rows: &Rows)
where
    M: OnlineModel<Output: Serialize>,
{
    crosses_threads::<M>();
    let model = fit();
    assert_eq!(
        model.schema(),
        rows.table.schema(),
        "the rows of this test do not fit the model"
    );
    assert!(
        rows.n_machines() >= 2 && rows.table.n_rows() >= 20,
        "too few rows for this suite"
    );
    assert_eq!(
        model.fingerprint(),
        fit().fingerprint(),
        "two fits on the same data and seed differ"
    );
    gives_results(&model, rows);
    assess_is_pure_and_step_is_assess_then_update(&model, rows);
    batch_equals_online(&model, rows);
    other_schemas_are_refused(&model, rows);
    bad_rows_do_no_harm(&model, rows);
    machines_are_isolated(&model, rows);
    erased_twin_is_the_same(&model, rows);
}

/// What is asked of every model that is saved by itself.
pub fn persistent<M>(fit: impl Fn() -> M, rows: &Rows)
where
    M: PersistentModel<Output: Serialize>,
{
    let model = fit();
    let mut provenance = Provenance::default();
    provenance.metrics.insert("rate".into(), 0.25);
    let bytes = model.to_bytes(&provenance).unwrap();
    assert_eq!(
        bytes,
        fit().to_bytes(&provenance).unwrap(),
        "two fits on the same data and seed differ in bytes"
    );

    let (loaded, what) = M::from_bytes(&bytes).unwrap();
    assert_eq!(what, provenance);
    assert_eq!(loaded.fingerprint(), model.fingerprint(), "loading changes the model");
    assert_eq!(
        loaded.to_bytes(&provenance).unwrap(),
        bytes,
        "loading and saving again changes the file"
    );
    assert_same_rows(&run(&loaded, rows), &run(&model, rows), "results after loading differ");
    // A state saved under the one model goes on under the other.
    let mut states = new_states(&model, rows);
    for (i, (machine, x)) in rows.views().enumerate() {
        let m = if i % 2 == 0 { &model } else { &loaded };
        m.step(&mut states[machine], x).unwrap();
    }

    altered_files_are_refused::<M>(&bytes);
    other_kinds_and_versions_are_refused::<M>(&bytes);
    hostile_payloads_are_refused_or_harmless::<M>(&bytes, rows);
}

/// Every method of `model` refuses a state of `other`, which was fitted on other data.
pub fn refuses_states_of<M: OnlineModel>(model: &M, other: &M, rows: &Rows) {
    assert_ne!(
        model.fingerprint(),
        other.fingerprint(),
        "this test needs two different models"
    );
    let mut foreign = other.new_state();
    let before = encoded(&foreign);
    let x = rows.view(0);
    let results = [
        model.assess(&foreign, x).err(),
        model.update(&mut foreign, x).err(),
        model.step(&mut foreign, x).err(),
    ];
    for e in results {
        assert_eq!(
            e.expect("a state of another model was taken").kind(),
            ErrorKind::StateMismatch
        );
    }
    assert_eq!(encoded(&foreign), before, "a refused state was changed");
}

fn crosses_threads<M: OnlineModel>() {
    fn auto<T: Send + Sync + 'static>() {}
    auto::<M>();
    auto::<M::State>();
}

/// An encoded value: equal where every bit is, printed so that a person can read it.
#[derive(Clone, PartialEq)]
struct Encoded(Vec<u8>);

impl std::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match envelope::decode::<serde_json::Value>(&self.0) {
            Ok(value) => write!(f, "{value}"),
            Err(_) => write!(f, "{:x?}", self.0),
        }
    }
}

fn encoded<T: Serialize + ?Sized>(value: &T) -> Encoded {
    Encoded(envelope::encode(value).unwrap())
}

#[track_caller]
fn assert_same_rows(got: &[Encoded], expected: &[Encoded], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert_eq!(g, e, "row {i}: {what}");
    }
}

fn new_states<M: OnlineModel>(model: &M, rows: &Rows) -> Vec<M::State> {
    (0..rows.n_machines()).map(|_| model.new_state()).collect()
}

/// The outcome of every row, encoded: equal bytes are equal bits.
fn run<M: OnlineModel<Output: Serialize>>(model: &M, rows: &Rows) -> Vec<Encoded> {
    let mut states = new_states(model, rows);
    rows.views()
        .map(|(machine, x)| encoded(&model.step(&mut states[machine], x).unwrap()))
        .collect()
}

/// The states after all rows.
fn run_in<M: OnlineModel>(model: &M, rows: &Rows) -> Vec<M::State> {
    let mut states = new_states(model, rows);
    rows.views()
        .for_each(|(machine, x)| model.update(&mut states[machine], x).unwrap());
    states
}

fn gives_results<M: OnlineModel<Output: Serialize>>(model: &M, rows: &Rows) {
    let mut states = new_states(model, rows);
    let mut n_ready = 0;
    for (i, (machine, x)) in rows.views().enumerate() {
        let outcome = model.step(&mut states[machine], x).unwrap();
        assert_finite(&outcome, &format!("row {i}"));
        n_ready += usize::from(matches!(outcome, Assessment::Ready(_)));
    }
    assert!(
        2 * n_ready >= rows.table.n_rows(),
        "{n_ready} of {} clean rows ready",
        rows.table.n_rows()
    );
}

fn assess_is_pure_and_step_is_assess_then_update<M: OnlineModel<Output: Serialize>>(model: &M, rows: &Rows) {
    let (mut split, mut fused) = (new_states(model, rows), new_states(model, rows));
    for (i, (machine, x)) in rows.views().enumerate() {
        let before = encoded(&split[machine]);
        let first = encoded(&model.assess(&split[machine], x).unwrap());
        let second = encoded(&model.assess(&split[machine], x).unwrap());
        assert_eq!(first, second, "row {i}: two assessments differ");
        assert_eq!(encoded(&split[machine]), before, "row {i}: assess changed the state");
        model.update(&mut split[machine], x).unwrap();
        let stepped = encoded(&model.step(&mut fused[machine], x).unwrap());
        assert_eq!(stepped, first, "row {i}: step gives another outcome than assess");
        assert_eq!(
            encoded(&fused[machine]),
            encoded(&split[machine]),
            "row {i}: step leaves another state than update"
        );
    }
}

fn batch_equals_online<M: OnlineModel<Output: Serialize>>(model: &M, rows: &Rows) {
    let all_at_once = run(model, rows);
    assert_same_rows(&run(model, rows), &all_at_once, "fresh states give other outcomes");

    // Machine by machine instead of interleaved.
    let mut by_machine = vec![Encoded(Vec::new()); all_at_once.len()];
    for machine in 0..rows.n_machines() {
        let mut state = model.new_state();
        for (i, (_, x)) in rows.views().enumerate().filter(|(_, (m, _))| *m == machine) {
            by_machine[i] = encoded(&model.step(&mut state, x).unwrap());
        }
    }
    assert_same_rows(&by_machine, &all_at_once, "the order of machines matters");

    // Stopped after every few rows: states saved, dropped and read again.
    for chunk in [1, 7, 40] {
        let mut saved: Vec<Encoded> = new_states(model, rows).iter().map(encoded).collect();
        let mut outcomes = Vec::new();
        let views: Vec<_> = rows.views().collect();
        for part in views.chunks(chunk) {
            let mut states: Vec<M::State> = saved.iter().map(|b| envelope::decode(&b.0).unwrap()).collect();
            let step =
                |&(machine, x): &(usize, FeatureView<'_>)| encoded(&model.step(&mut states[machine], x).unwrap());
            outcomes.extend(part.iter().map(step));
            saved = states.iter().map(encoded).collect();
        }
        assert_same_rows(
            &outcomes,
            &all_at_once,
            &format!("saving states every {chunk} rows changes outcomes"),
        );
    }
}

fn other_schemas_are_refused<M: OnlineModel<Output: Serialize>>(model: &M, rows: &Rows) {
    let own = model.schema();
    let changed = |change: &dyn Fn(&mut Vec<Feature>)| {
        let mut features = own.features().to_vec();
        change(&mut features);
        FeatureSchema::new(features, own.sampling()).unwrap()
    };
    let mut others = vec![
        changed(&|f| f[0].name.push_str("_renamed")),
        changed(&|f| f[0].unit.push('m')),
        changed(&|f| {
            f.push(Feature {
                name: "one more".into(),
                unit: String::new(),
                channel: String::new(),
            })
        }),
    ];
    if own.len() > 1 {
        others.push(changed(&|f| f.reverse()));
        others.push(changed(&|f| f.truncate(1)));
    }
    let mut state = run_in(model, rows).remove(0);
    let before = encoded(&state);
    for other in &others {
        let values = vec![1.0; other.len()];
        let x = FeatureView::new(other, &values).unwrap().at(rows.after_all());
        let errors = [
            model.assess(&state, x).err(),
            model.update(&mut state, x).err(),
            model.step(&mut state, x).err(),
        ];
        for e in errors {
            assert_eq!(e.expect("another schema was taken").kind(), ErrorKind::SchemaMismatch);
        }
        assert_eq!(encoded(&state), before, "a refused row changed the state");
    }
}

/// Rows that sensors send: what is missing, not finite, stuck or out of all bounds.
fn bad_rows(model_width: usize, typical: &[f64]) -> Vec<Vec<f64>> {
    let fill = |v: f64| vec![v; model_width];
    let mut all: Vec<Vec<f64>> = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        1e300,
        -1e300,
        f64::MAX,
        5e-324,
    ]
    .map(fill)
    .to_vec();
    // One channel drops out, jumps or breaks, for each of the first few.
    for j in 0..model_width.min(8) {
        for v in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, f64::MIN] {
            let mut row = typical.to_vec();
            row[j] = v;
            all.push(row);
        }
    }
    all
}

fn bad_rows_do_no_harm<M: OnlineModel<Output: Serialize>>(model: &M, rows: &Rows) {
    let typical = rows.view(0).values().to_vec();
    let clean: Vec<_> = rows
        .table
        .rows()
        .zip(rows.table.asset())
        .filter(|(_, a)| **a == 0)
        .map(|(r, _)| r)
        .collect();
    let bad = bad_rows(typical.len(), &typical);
    // At once and after a history; one behind the other, each three times (a dropout), and with a clean row after each.
    let dropouts: Vec<&[f64]> = bad.iter().flat_map(|r| [r.as_slice(); 3]).collect();
    let single: Vec<&[f64]> = bad.iter().flat_map(|r| [r.as_slice(), &typical]).collect();
    for (history, sequence) in [(false, &dropouts), (true, &dropouts), (false, &single), (true, &single)] {
        let mut state = if history {
            run_in(model, rows).remove(0)
        } else {
            model.new_state()
        };
        let mut time = rows.after_all();
        for (i, values) in sequence.iter().enumerate() {
            let x = FeatureView::new(model.schema(), values).unwrap().at(time);
            let before = encoded(&state);
            let outcome = model
                .assess(&state, x)
                .unwrap_or_else(|e| panic!("bad row {i} is an error: {e}"));
            assert_finite(&outcome, &format!("bad row {i}: {values:?}"));
            let unusable = matches!(outcome, Assessment::Unusable(_));
            let stepped = model.step(&mut state, x).unwrap();
            assert_eq!(
                encoded(&stepped),
                encoded(&outcome),
                "bad row {i}: step gives another outcome"
            );
            if unusable {
                assert_eq!(
                    encoded(&state),
                    before,
                    "bad row {i} is unusable, yet changed the state"
                );
            }
            time = next(time);
        }
        // After as many clean rows as one machine has in this test, all is well again.
        let mut last = None;
        for values in &clean {
            let x = FeatureView::new(model.schema(), values).unwrap().at(time);
            last = Some(model.step(&mut state, x).unwrap());
            time = next(time);
        }
        let recovered = matches!(last, Some(Assessment::Ready(_)));
        assert!(
            recovered,
            "{} clean rows after bad ones, and still no result",
            clean.len()
        );
    }
}

fn next(time: Timestamp) -> Timestamp {
    Timestamp::from_nanos(time.nanos() + LifeUnit::Cycles.nanos())
}

fn machines_are_isolated<M: OnlineModel<Output: Serialize>>(model: &M, rows: &Rows) {
    let expected = run(model, rows);
    let typical = rows.view(0).values().to_vec();
    let garbage = bad_rows(typical.len(), &typical);
    let mut states = new_states(model, rows);
    let mut neighbour = model.new_state();
    for (i, (machine, x)) in rows.views().enumerate() {
        let bad = &garbage[i % garbage.len()];
        let bad = FeatureView::new(model.schema(), bad)
            .unwrap()
            .at(LifeUnit::Cycles.instant(i as i64 + 1));
        model.step(&mut neighbour, bad).unwrap();
        let outcome = encoded(&model.step(&mut states[machine], x).unwrap());
        assert_eq!(
            outcome, expected[i],
            "row {i}: a neighbour's garbage changed the outcome"
        );
    }
}

/// A model with the same schema and output as another, and nothing else in common.
struct Stranger<O> {
    schema: FeatureSchema,
    output: std::marker::PhantomData<fn() -> O>,
}

impl<O: 'static> OnlineModel for Stranger<O> {
    type State = ();
    type Output = O;

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(b"a stranger")
    }

    fn new_state(&self) {}

    fn assess(&self, (): &(), _: FeatureView<'_>) -> prognos::Result<Assessment<O>> {
        Ok(Assessment::Warmup { seen: 0, needed: 1 })
    }

    fn update(&self, (): &mut (), _: FeatureView<'_>) -> prognos::Result<()> {
        Ok(())
    }
}

fn erased_twin_is_the_same<M: OnlineModel<Output: Serialize>>(model: &M, rows: &Rows) {
    let twin: &dyn DynOnlineModel<M::Output> = model;
    assert_eq!(twin.dyn_schema(), model.schema());
    assert_eq!(twin.dyn_fingerprint(), model.fingerprint());
    let expected = run(model, rows);
    let mut states: Vec<_> = (0..rows.n_machines()).map(|_| twin.new_dyn_state()).collect();
    for (i, (machine, x)) in rows.views().enumerate() {
        let state = &mut states[machine];
        assert_eq!(
            encoded(&twin.dyn_assess(state, x).unwrap()),
            expected[i],
            "row {i}: dyn_assess"
        );
        if i % 2 == 0 {
            assert_eq!(
                encoded(&twin.dyn_step(state, x).unwrap()),
                expected[i],
                "row {i}: dyn_step"
            );
        } else {
            twin.dyn_update(state, x).unwrap();
        }
        if i % 5 == 0 {
            *state = twin.decode_state(&twin.encode_state(state).unwrap()).unwrap();
        }
    }

    let stranger: &dyn DynOnlineModel<M::Output> = &Stranger {
        schema: model.schema().clone(),
        output: std::marker::PhantomData,
    };
    let mut foreign = stranger.new_dyn_state();
    let x = rows.view(0);
    let errors = [
        twin.dyn_assess(&foreign, x).err(),
        twin.dyn_update(&mut foreign, x).err(),
        twin.dyn_step(&mut foreign, x).err(),
        twin.encode_state(&foreign).err(),
    ];
    for e in errors {
        assert_eq!(e.expect("a foreign state was taken").kind(), ErrorKind::StateMismatch);
    }
    let foreign = stranger.encode_state(&foreign).unwrap();
    let e = twin
        .decode_state(&foreign)
        .expect_err("bytes of a foreign state were taken");
    assert!(
        matches!(e.kind(), ErrorKind::StateMismatch | ErrorKind::Persistence),
        "{e}"
    );

    // The same state under another model's fingerprint.
    let bytes = twin.encode_state(&states[0]).unwrap();
    let own = encoded(&model.fingerprint()).0;
    let other = encoded(&Fingerprint::of(b"a stranger")).0;
    let at = bytes
        .windows(own.len())
        .position(|w| w == own)
        .expect("state bytes carry the fingerprint");
    let forged = [&bytes[..at], &other[..], &bytes[at + own.len()..]].concat();
    let e = twin
        .decode_state(&forged)
        .expect_err("a state of another model was taken");
    assert_eq!(e.kind(), ErrorKind::StateMismatch);
    for n in 0..bytes.len() {
        assert!(
            twin.decode_state(&bytes[..n]).is_err(),
            "the first {n} bytes of a state were taken"
        );
    }
}

fn altered_files_are_refused<M: PersistentModel>(bytes: &[u8]) {
    let refused = |bytes: &[u8], what: &str| {
        let e = M::from_bytes(bytes).err().unwrap_or_else(|| panic!("{what} was taken"));
        assert_eq!(e.kind(), ErrorKind::Persistence, "{what}: {e}");
    };
    // Every length of a small file; of a large one all near both ends and 500 between.
    let stride = (bytes.len() / 500).max(1);
    let near_an_end = |n: &usize| *n < 100 || *n + 100 > bytes.len();
    for n in (0..bytes.len()).filter(|n| near_an_end(n) || n % stride == 0) {
        refused(&bytes[..n], &format!("a file cut to {n} of {} bytes", bytes.len()));
    }
    refused(&[bytes, &[0]].concat(), "a file with a byte more");
    let mut rng = Xoshiro256Plus::seed_from_u64(5);
    for _ in 0..200 {
        let bit = rng.gen_range(0..bytes.len() * 8);
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        refused(&altered, &format!("a file with bit {bit} flipped"));
    }
}

fn other_kinds_and_versions_are_refused<M: PersistentModel>(bytes: &[u8]) {
    let (header, payload) = envelope::open(bytes).unwrap();
    assert_eq!((header.kind.as_str(), header.kind_version), (M::KIND, M::KIND_VERSION));
    let mut kind = header.clone();
    kind.kind = "other.kind".into();
    let mut later = header.clone();
    later.kind_version += 1;
    let mut schema = header.clone();
    schema.schema.names[0].push_str("_renamed");
    for (what, header) in [
        ("another kind", kind),
        ("a later version", later),
        ("another schema", schema),
    ] {
        let resealed = envelope::seal(&header, payload).unwrap();
        let e = M::from_bytes(&resealed)
            .err()
            .unwrap_or_else(|| panic!("a file of {what} was taken"));
        assert_eq!(e.kind(), ErrorKind::Persistence, "{what}: {e}");
    }
}

/// A payload altered under a valid checksum is refused, or is a model that keeps its promises.
fn hostile_payloads_are_refused_or_harmless<M: PersistentModel<Output: Serialize>>(bytes: &[u8], rows: &Rows) {
    let (header, payload) = envelope::open(bytes).unwrap();
    let check = |altered: &[u8], what: &str| match M::from_bytes(&envelope::seal(&header, altered).unwrap()) {
        Err(e) => assert_eq!(e.kind(), ErrorKind::Persistence, "{what}: {e}"),
        Ok((model, _)) => {
            let mut state = model.new_state();
            for (_, x) in rows.views().filter(|(machine, _)| *machine == 0) {
                let outcome = model
                    .step(&mut state, x)
                    .unwrap_or_else(|e| panic!("the model of {what} fails: {e}"));
                assert_finite(&outcome, &format!("the model of {what}"));
            }
        }
    };
    // Large models are sampled, so that the test ends soon.
    let rounds = if payload.len() < 1 << 18 { 400 } else { 40 };
    let floats = floats(payload);
    let stride = (floats.len() * 6 / rounds).max(1);
    for &(at, was) in floats.iter().step_by(stride) {
        for v in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 0.0] {
            let mut altered = payload.to_vec();
            altered[at..at + 8].copy_from_slice(&v.to_be_bytes());
            check(&altered, &format!("a file with {v} for the number {was} at byte {at}"));
        }
    }
    let mut rng = Xoshiro256Plus::seed_from_u64(6);
    for round in 0..rounds {
        let mut altered = payload.to_vec();
        let at = rng.gen_range(0..altered.len());
        match round % 4 {
            0 => altered[at] ^= 1 << rng.gen_range(0..8),
            1 => altered[at] = [0x00, 0x7f, 0x80, 0xc0, 0xcb, 0xff][rng.gen_range(0..6)],
            2 => altered.truncate(at),
            _ => altered[at..].iter_mut().take(8).for_each(|b| *b = rng.r#gen()),
        }
        check(&altered, &format!("a file altered at byte {at}, round {round}"));
    }
}

fn scores_are_ordered<M: AnomalyDetector>(model: &M, rows: &Rows) {
    let mut states = new_states(model, rows);
    let mut values = Vec::new();
    for (i, (machine, x)) in rows.views().enumerate() {
        if let Assessment::Ready(score) = model.step(&mut states[machine], x).unwrap() {
            assert!(
                score.value.is_finite() && score.threshold.is_finite(),
                "row {i}: {score:?}"
            );
            values.push(score.value);
        }
    }
    values.sort_by(f64::total_cmp);
    let typical = values[values.len() / 2];
    // Ten ranges outside the range of each column, above and below in turn.
    let outlier: Vec<f64> = (0..model.schema().len())
        .map(|j| {
            let column = rows.table.rows().map(|r| r[j]).filter(|v| v.is_finite());
            let (low, high) = column.fold((f64::MAX, f64::MIN), |(l, h), v| (v.min(l), v.max(h)));
            if j % 2 == 0 {
                high + 10.0 * (high - low + 1.0)
            } else {
                low - 10.0 * (high - low + 1.0)
            }
        })
        .collect();
    let x = FeatureView::new(model.schema(), &outlier).unwrap().at(rows.after_all());
    let score = model
        .assess(&states[0], x)
        .unwrap()
        .ready()
        .expect("an outlier is no reason to give no score");
    assert!(score.value > typical, "outlier {}, typical row {typical}", score.value);
}

fn contributions_explain<M: AnomalyDetector>(model: &M, rows: &Rows, kind: Contributions) {
    const UNTOUCHED: f64 = -12345.0;
    let width = model.schema().len();
    let mut states = new_states(model, rows);
    let twin: &dyn DynAnomalyDetector = model;
    let mut twin_states: Vec<_> = (0..rows.n_machines()).map(|_| twin.new_dyn_state()).collect();
    let mut out = vec![UNTOUCHED; width];
    for (i, (machine, x)) in rows.views().enumerate() {
        let state = &mut states[machine];
        let score: Option<AnomalyScore> = model.assess(state, x).unwrap().ready();
        out.fill(UNTOUCHED);
        let before = encoded(state);
        let ready = model.contributions_into(state, x, &mut out).unwrap().ready().is_some();
        assert_eq!(encoded(state), before, "row {i}: contributions changed the state");
        assert_eq!(
            ready,
            score.is_some(),
            "row {i}: score and contributions are not ready together"
        );
        if let Some(score) = score {
            assert!(out.iter().all(|c| c.is_finite()), "row {i}: {out:?}");
            if kind == Contributions::Additive {
                let (sum, size) = (out.iter().sum::<f64>(), out.iter().map(|c| c.abs()).sum::<f64>());
                let error = (sum - score.value).abs();
                assert!(
                    error <= 1e-9 * score.value.abs().max(size),
                    "row {i}: {sum} is not {}",
                    score.value
                );
            }
        } else {
            assert!(
                out.iter().all(|c| *c == UNTOUCHED),
                "row {i} is not ready, yet has contributions"
            );
        }
        let mut by_twin = vec![UNTOUCHED; width];
        let twin_state = &mut twin_states[machine];
        twin.dyn_contributions_into(twin_state, x, &mut by_twin).unwrap();
        assert_eq!(
            encoded(&by_twin),
            encoded(&out),
            "row {i}: the erased twin's contributions differ"
        );
        twin.dyn_update(twin_state, x).unwrap();
        model.update(state, x).unwrap();
    }
    // An unusable row leaves the buffer as it was; a buffer of another length is refused.
    let nothing = vec![f64::NAN; width];
    let x = FeatureView::new(model.schema(), &nothing).unwrap().at(rows.after_all());
    out.fill(UNTOUCHED);
    if model
        .contributions_into(&states[0], x, &mut out)
        .unwrap()
        .ready()
        .is_none()
    {
        assert!(out.iter().all(|c| *c == UNTOUCHED), "an unusable row has contributions");
    }
    let x = FeatureView::new(model.schema(), rows.view(0).values())
        .unwrap()
        .at(rows.after_all());
    for wrong in [width + 1, width - 1] {
        let e = model
            .contributions_into(&states[0], x, &mut vec![0.0; wrong])
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}");
    }
}

fn lives_lie_in_their_intervals<M: RulRegressor>(model: &M, rows: &Rows) {
    let mut states = new_states(model, rows);
    let check = |outcome: Assessment<RulEstimate>, what: &str| {
        if let Assessment::Ready(e) = outcome {
            assert!(
                [e.rul, e.lower, e.upper].iter().all(|v| v.is_finite() && *v >= 0.0),
                "{what}: {e:?}"
            );
            assert!(
                e.lower <= e.rul && e.rul <= e.upper && e.level > 0.0 && e.level < 1.0,
                "{what}: {e:?}"
            );
        }
    };
    for (i, (machine, x)) in rows.views().enumerate() {
        check(model.step(&mut states[machine], x).unwrap(), &format!("row {i}"));
    }
    let typical = rows.view(0).values().to_vec();
    for (i, bad) in bad_rows(typical.len(), &typical).iter().enumerate() {
        let x = FeatureView::new(model.schema(), bad).unwrap().at(rows.after_all());
        check(model.assess(&states[0], x).unwrap(), &format!("bad row {i}"));
    }
}

/// Where there is an estimate there is a distribution, in the same unit, and for the same reasons none; but where most lives
/// lie beyond what is known, a distribution has no median, and there is no estimate.
fn distributions_stand_behind_estimates<M: RulRegressor>(model: &M, rows: &Rows) {
    let mut states = new_states(model, rows);
    for (i, (machine, x)) in rows.views().enumerate() {
        let distribution = model.distribution(&states[machine], x).unwrap();
        let estimate = model.step(&mut states[machine], x).unwrap();
        match (estimate, distribution) {
            (Assessment::Ready(e), Assessment::Ready(d)) => {
                assert_eq!(e.unit, d.unit(), "row {i}: units differ");
                let (inner, outer) = (d.interval(0.5).unwrap(), d.interval(0.9).unwrap());
                assert!(
                    outer.0 <= inner.0 && inner.1 <= outer.1,
                    "row {i}: intervals do not nest"
                );
            }
            (Assessment::NoPrognosis(reason), Assessment::Ready(d)) => {
                assert_eq!(reason, NoPrognosis::BeyondKnownLives, "row {i}");
                assert_eq!(d.median(), None, "row {i}: a median that is known, and no estimate");
            }
            (e, d) => assert_eq!(
                format!("{:?}", e.map(|_| ())),
                format!("{:?}", d.map(|_| ())),
                "row {i}: a distribution where there is no estimate, or the reverse"
            ),
        }
    }
}

/// Fails where a value holds a NaN or an infinity anywhere.
#[track_caller]
fn assert_finite<T: Serialize>(value: &T, what: &str) {
    let bytes = encoded(value);
    let odd = floats(&bytes.0).into_iter().find(|(_, v)| !v.is_finite());
    assert!(odd.is_none(), "{what}: {odd:?} in {bytes:?}");
}

/// Every 64-bit float in MessagePack `bytes`, with its place.
fn floats(bytes: &[u8]) -> Vec<(usize, f64)> {
    let (mut at, mut found) = (0, Vec::new());
    walk(bytes, &mut at, &mut found);
    assert_eq!(at, bytes.len(), "one MessagePack value and nothing more");
    found
}

fn walk(bytes: &[u8], at: &mut usize, found: &mut Vec<(usize, f64)>) {
    let marker = bytes[*at];
    *at += 1;
    let mut number = |n: usize| {
        let value = bytes[*at..*at + n]
            .iter()
            .fold(0_u64, |sum, &b| sum << 8 | u64::from(b));
        *at += n;
        value as usize
    };
    let (n_bytes, n_children) = match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0..=0xc3 => (0, 0),
        0x80..=0x8f => (0, 2 * usize::from(marker & 0x0f)),
        0x90..=0x9f => (0, usize::from(marker & 0x0f)),
        0xa0..=0xbf => (usize::from(marker & 0x1f), 0),
        0xc4 | 0xd9 => (number(1), 0),
        0xc5 | 0xda => (number(2), 0),
        0xc6 | 0xdb => (number(4), 0),
        0xcb => {
            let place = *at;
            found.push((place, f64::from_be_bytes(bytes[place..place + 8].try_into().unwrap())));
            (8, 0)
        }
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 => (2, 0),
        0xca | 0xce | 0xd2 => (4, 0),
        0xcf | 0xd3 => (8, 0),
        0xdc => (0, number(2)),
        0xdd => (0, number(4)),
        0xde => (0, 2 * number(2)),
        0xdf => (0, 2 * number(4)),
        0xc7..=0xc9 | 0xd4..=0xd8 => panic!("an extension type, which nothing here writes"),
    };
    *at += n_bytes;
    (0..n_children).for_each(|_| walk(bytes, at, found));
}

/// The tests of this suite's own means.
mod own {
    use super::*;

    #[test]
    fn floats_are_found_wherever_they_lie() {
        assert_finite(
            &(1.0, "text", vec![Some(2.0), None], 1_u64 << 40, -5, f64::MAX),
            "all finite",
        );
        let found = |value: &dyn Fn() -> Encoded| floats(&value().0).into_iter().map(|(_, v)| v).collect::<Vec<_>>();
        assert!(matches!(found(&|| encoded(&vec![(1_u8, vec![Some(("a", f64::NAN))])]))[..], [v] if v.is_nan()));
        let many = found(&|| encoded(&(vec![0.5; 70_000], vec!["long".repeat(100); 20], f64::INFINITY)));
        assert_eq!((many.len(), many.last()), (70_001, Some(&f64::INFINITY)));
        let score = AnomalyScore {
            value: f64::NEG_INFINITY,
            threshold: 0.25,
        };
        assert_eq!(found(&|| encoded(&Assessment::Ready(score))), [f64::NEG_INFINITY, 0.25]);
    }
}
