//! Every test engine of C-MAPSS, all at once and row by row among the others: the same decisions to the last bit.
//!
//! Reads the files from the folder `cmapss` under the one named by the environment variable `PROGNOS_DATA`.
#![cfg(feature = "datasets")]

mod chains;

use prognos::{
    dataset::cmapss::{self, Subset},
    decision::Decision,
    diagnose::HealthIndicesParams,
    envelope,
    features::telemetry,
    fleet::Fleet,
    model::{Assessment, OnlineModel},
    pipeline::{Pipeline, PipelineState},
    preprocess::Regimes,
    quantity::Timestamp,
    rul::{GradientBoosting, similarity::ResidualSimilarity},
    signal::FleetHistory,
};
use std::{collections::HashMap, path::PathBuf};

/// What must not differ by a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bits {
    Ready {
        alarm: Option<Timestamp>,
        numbers: [u64; 5],
    },
    Not,
}

fn bits(outcome: &Assessment<Decision>) -> Bits {
    let Assessment::Ready(decision) = outcome else {
        return Bits::Not;
    };
    let c = decision.condition();
    let rul = c.rul.expect("the chain has a regressor");
    Bits::Ready {
        alarm: decision.alarm().map(|a| a.since),
        numbers: [c.score.value, c.score.threshold, rul.rul, rul.lower, rul.upper].map(f64::to_bits),
    }
}

/// The rows of all engines, each engine a few rows at a time so that they interleave unevenly.
fn interleaved(fleet: &FleetHistory) -> Vec<(usize, usize)> {
    let mut next = vec![0; fleet.assets().len()];
    let (mut order, mut turn) = (Vec::with_capacity(fleet.n_rows()), 0);
    while order.len() < fleet.n_rows() {
        for (a, asset) in fleet.assets().iter().enumerate() {
            let n = ((a * 7919 + turn * 104_729) % 5).min(asset.n_rows() - next[a]);
            order.extend((next[a]..next[a] + n).map(|row| (a, row)));
            next[a] += n;
        }
        turn += 1;
    }
    order
}

fn saved_and_loaded(model: &Pipeline) -> Pipeline {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.prognos");
    model.save(&path).unwrap();
    Pipeline::load(&path).unwrap()
}

fn every_engine(train: &FleetHistory, test: &FleetHistory) {
    // Few trees on a part of the engines: what is compared is the running, not the learning.
    let model = Pipeline::params()
        .regimes(Regimes::automatic(8).on(["setting_1", "setting_2", "setting_3"]))
        .min_label_correlation(0.02)
        .health_indices(
            HealthIndicesParams::default(),
            telemetry()
                .ewma([3.0, 12.0])
                .slope([15.0, 60.0])
                .endpoint([30.0])
                .ewma_change(12.0, [10.0, 50.0]),
        )
        .features(telemetry().ewma([8.0]).slope([30.0]).residual_sd([30.0]).age())
        .rul(
            GradientBoosting::params()
                .n_trees(20)
                .n_ensembles(1)
                .n_folds(2)
                .label_cap(125.0),
        )
        .training_rows(4_000)
        .fit(&train.filtered(|i, _| i < 60))
        .unwrap();
    let batch: Vec<Vec<Assessment<Decision>>> =
        test.assets().iter().map(|a| model.assess_history(a).unwrap()).collect();

    let mut live: Fleet = Fleet::new(saved_and_loaded(&model));
    let order = interleaved(test);
    let half = order.len() / 2;
    // Machines whose memory travelled through bytes half way, run on by the model that was never saved.
    let mut moved: HashMap<usize, PipelineState> = HashMap::new();
    let (mut n_ready, mut n_alarms) = (0, 0);
    for (k, &(a, i)) in order.iter().enumerate() {
        let asset = &test.assets()[a];
        let (time, values) = asset.rows().nth(i).unwrap();
        if k == half {
            for (n, asset) in test.assets().iter().enumerate() {
                if let Some(state) = live.state(asset.asset()) {
                    let bytes = envelope::encode(state).unwrap();
                    let restored: PipelineState = envelope::decode(&bytes).unwrap();
                    assert_eq!(envelope::encode(&restored).unwrap(), bytes);
                    moved.insert(n, restored);
                }
            }
        }
        let expected = bits(&batch[a][i]);
        let online = live.push(asset.asset(), time, values).unwrap();
        assert_eq!(bits(&online), expected, "engine {}, row {i}", asset.asset());
        if let Some(state) = moved.get_mut(&a) {
            let x = prognos::features::FeatureView::new(model.schema(), values)
                .unwrap()
                .at(time);
            let resumed = model.step(state, x).unwrap();
            assert_eq!(bits(&resumed), expected, "engine {}, row {i}, resumed", asset.asset());
        }
        n_ready += usize::from(expected != Bits::Not);
        n_alarms += usize::from(matches!(expected, Bits::Ready { alarm: Some(_), .. }));
    }
    assert_eq!(live.len(), test.assets().len());
    assert_eq!(
        moved.len(),
        test.assets().len(),
        "every engine had rows before the half"
    );
    assert_eq!(n_ready, test.n_rows());
    assert!(
        n_alarms > 0 && n_alarms < n_ready,
        "{n_alarms} alarms of {n_ready} rows"
    );
}

#[test]
fn generated_engines() {
    every_engine(&chains::engines(12, 1), &chains::engines(6, 2));
}

fn published(subset: Subset) {
    let Some(data) = std::env::var_os("PROGNOS_DATA") else {
        eprintln!("skipped: PROGNOS_DATA does not name the folder of recorded data, and {subset} is read from there");
        return;
    };
    let folder = PathBuf::from(data).join("cmapss");
    let (train, test) = (cmapss::load_train(&folder, subset), cmapss::load_test(&folder, subset));
    every_engine(&train.unwrap(), &test.unwrap());
}

#[test]
fn every_test_engine_of_fd001() {
    published(Subset::Fd001);
}

#[test]
fn every_test_engine_of_fd002() {
    published(Subset::Fd002);
}

/// Where a decision tells a remaining life, the chain tells the distribution behind it, and else why there is none.
#[test]
fn distributions_stand_behind_decisions() {
    let (train, test) = (chains::engines(12, 1), chains::engines(2, 2));
    let similar = ResidualSimilarity::params()
        .window(10)
        .on(["health_index.ridge_125.ewma_3"]);
    for params in [chains::whole(), chains::whole().rul(similar)] {
        let model = params.fit(&train).unwrap();
        let mut scratch = model.new_scratch();
        let (mut n_told, mut n_without) = (0, 0);
        for asset in test.assets() {
            let mut state = model.new_state();
            for (time, values) in asset.rows() {
                let x = prognos::features::FeatureView::new(model.schema(), values).unwrap();
                let decision = model.step_with(&mut state, x.at(time), &mut scratch).unwrap();
                let told = decision.ready().unwrap().condition().rul;
                let life = model.remaining_life(&state, &scratch).unwrap().unwrap();
                match told {
                    Some(rul) => {
                        let d = life.ready().unwrap();
                        let (low, high) = d.interval(0.98).unwrap();
                        assert!(low <= rul.upper && rul.lower <= high, "{rul} against {low}..{high}");
                        n_told += 1;
                    }
                    None => {
                        assert!(!matches!(life, Assessment::Ready(_)) || life.ready().unwrap().median().is_none());
                        n_without += 1;
                    }
                }
            }
        }
        assert!(n_told > 20, "{n_told} told, {n_without} without");
        let other = chains::linear().fit(&train).unwrap();
        assert!(other.remaining_life(&model.new_state(), &scratch).is_err());
    }
}

/// A chain that prognoses now and then says at those rows what one says that does so always, and between them keeps the end.
#[test]
fn estimates_between_prognoses_keep_the_expected_end() {
    let (train, test) = (chains::engines(12, 1), chains::engines(2, 2));
    let similar = ResidualSimilarity::params()
        .window(10)
        .on(["health_index.ridge_125.ewma_3"]);
    for params in [chains::whole(), chains::whole().rul(similar)] {
        let always = params.clone().fit(&train).unwrap();
        let seldom = params.prognose_every(5).fit(&train).unwrap();
        let seldom = Pipeline::from_bytes(&seldom.to_bytes(seldom.provenance()).unwrap())
            .unwrap()
            .0;
        let (mut n_made, mut n_carried) = (0, 0);
        for asset in test.assets() {
            let each = always.assess_history(asset).unwrap();
            let fifth = seldom.assess_history(asset).unwrap();
            let mut last = None;
            for (row, (a, b)) in each.iter().zip(&fifth).enumerate() {
                let (Assessment::Ready(a), Assessment::Ready(b)) = (a, b) else {
                    panic!("row {row}: {a:?}, {b:?}");
                };
                let (a, b) = (a.condition(), b.condition());
                assert_eq!(a.score, b.score);
                if row % 5 == 0 {
                    last = a.rul.map(|rul| (a.age, a.time, rul));
                    assert_eq!((a.rul, a.rul_time), (b.rul, b.rul_time), "row {row}");
                    n_made += usize::from(a.rul.is_some());
                    continue;
                }
                assert_eq!(b.rul_time, last.map(|(_, time, _)| time));
                if let (Some(now), Some((age, _, then))) = (b.rul, last) {
                    assert_eq!(now.rul, (then.rul - (b.age - age)).max(0.0), "row {row}");
                    assert!(now.lower <= now.rul && now.rul <= now.upper);
                    n_carried += 1;
                }
            }
        }
        assert!(n_made > 5 && n_carried > 20, "{n_made} made, {n_carried} carried");
    }
    for (params, name) in [
        (chains::whole().prognose_every(0), "at least 1 row"),
        (Pipeline::params().prognose_every(2), "no regressor"),
    ] {
        let e = params.fit(&train).unwrap_err();
        assert!(
            e.to_string().contains("prognose_every") && e.to_string().contains(name),
            "{e}"
        );
    }
}
