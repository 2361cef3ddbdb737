//! The chain of the example `pump_anomaly`: on a generated rig, and over the recordings of SKAB where `PROGNOS_DATA` names a
//! folder with `skab/`.
#![cfg(feature = "datasets")]

use linfa::{DatasetBase, traits::Fit};
use ndarray::Array2;
use prognos::{
    dataset::skab,
    detect::{NearestNeighbours, NeighbourDistance, SmoothedDetector},
    evaluate::Confusion,
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::OnlineModel,
    preprocess::SlowChannels,
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use std::path::PathBuf;

const N_TRAIN: usize = 400;

fn table(schema: &FeatureSchema, rows: &[Vec<f64>], asset: Vec<u32>) -> FeatureTable {
    let values = Array2::from_shape_fn((rows.len(), schema.len()), |(i, j)| rows[i][j]);
    FeatureTable::new(schema.clone(), values, asset).unwrap()
}

/// The channels that move within the training rows of these recordings.
fn fast_channels(schema: &FeatureSchema, recordings: &[Vec<Vec<f64>>]) -> Vec<usize> {
    let train: Vec<Vec<f64>> = recordings.iter().flat_map(|r| r[..N_TRAIN].to_vec()).collect();
    let asset = (0..train.len()).map(|i| (i / N_TRAIN) as u32).collect();
    SlowChannels::of(&table(schema, &train, asset))
        .faster_than(0.4)
        .unwrap()
}

/// Alarms in the rows after the training rows.
fn alarms(schema: &FeatureSchema, kept: &[usize], recording: &[Vec<f64>], release: f64) -> Vec<bool> {
    let schema = schema.select(kept).unwrap();
    let rows: Vec<Vec<f64>> = recording.iter().map(|r| kept.iter().map(|&j| r[j]).collect()).collect();
    let train = table(&schema, &rows[..N_TRAIN], vec![0; N_TRAIN]);
    let detector = SmoothedDetector::params(
        NearestNeighbours::params()
            .n_neighbors(5)
            .distance(NeighbourDistance::Mean),
    )
    .scores(20)
    .release(release)
    .n_folds(4)
    .fit(&DatasetBase::new(train, ()))
    .unwrap();
    let mut state = detector.new_state();
    let mut step = |row: &Vec<f64>| {
        detector
            .step(&mut state, FeatureView::new(&schema, row).unwrap())
            .unwrap()
    };
    let outcomes: Vec<bool> = rows
        .iter()
        .map(|row| step(row).ready().is_some_and(|s| s.is_anomalous()))
        .collect();
    outcomes[N_TRAIN..].to_vec()
}

/// Flow and vibration are noise, the tank warms up; a valve closes from row 600 to 800, and does not open quite again.
fn rig(seed: u64) -> Vec<Vec<f64>> {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let mut noise = || (0..12).map(|_| rng.r#gen::<f64>() - 0.5).sum::<f64>();
    let flow = |i: usize| match i {
        600..800 => 20.0,
        800.. => 34.0,
        _ => 36.0,
    };
    (0..1000)
        .map(|i| {
            vec![
                flow(i) + noise(),
                0.1 + 0.01 * noise(),
                25.0 + 0.005 * i as f64 + 0.05 * noise(),
            ]
        })
        .collect()
}

#[test]
fn a_generated_rig_is_watched_by_what_moves() {
    let channels = [("flow", "L/min"), ("vibration", "g"), ("tank", "°C")].map(|(name, unit)| Channel::new(name, unit));
    let schema = FeatureSchema::of_channels(&channels).unwrap();
    let recordings: Vec<_> = (0..3).map(rig).collect();
    let kept = fast_channels(&schema, &recordings);
    assert_eq!(kept, [0, 1]);
    for recording in &recordings {
        let share = |alarms: &[bool]| alarms.iter().filter(|a| **a).count() as f64 / alarms.len() as f64;
        let with_release = alarms(&schema, &kept, recording, 0.2);
        let without = alarms(&schema, &kept, recording, 0.0);
        // Rows 400 to 600 healthy, 600 to 800 at fault (seen within the 20 rows of a mean), after 820 changed a little.
        for (name, alarms) in [("with release", &with_release), ("without", &without)] {
            assert!(share(&alarms[..200]) < 0.15, "{name}: false alarms");
            assert!(share(&alarms[220..400]) == 1.0, "{name}: missed");
        }
        assert!(share(&with_release[420..]) < 0.1 && share(&without[420..]) > 0.5);
        // With the tank, whose temperature never comes back, there is no end of alarms.
        let all = alarms(&schema, &[0, 1, 2], recording, 0.2);
        assert!(share(&all[100..200]) > 0.5);
    }
}

#[test]
fn recordings_of_the_skab_rig() {
    let Some(data) = std::env::var_os("PROGNOS_DATA").map(PathBuf::from) else {
        println!("skipped: PROGNOS_DATA is not set, the recordings of SKAB were not read");
        return;
    };
    let records = skab::load(data.join("skab")).unwrap();
    let schema = FeatureSchema::of_channels(&skab::channels()).unwrap();
    let recordings: Vec<Vec<Vec<f64>>> = records
        .iter()
        .map(|r| r.history.rows().map(|(_, row)| row.to_vec()).collect())
        .collect();
    let kept = fast_channels(&schema, &recordings);
    let names: Vec<&str> = kept.iter().map(|&j| schema.features()[j].name.as_str()).collect();
    assert!(
        kept.len() == 6 && !names.contains(&"Temperature") && !names.contains(&"Thermocouple"),
        "{names:?}"
    );
    let mut pooled = Confusion::default();
    for (record, recording) in records.iter().zip(&recordings) {
        let Some(truth) = &record.anomaly else { continue };
        let alarms = alarms(&schema, &kept, recording, 0.2);
        pooled += Confusion::of_alarms(&alarms, &truth[N_TRAIN..]).unwrap();
    }
    let (f1, far) = (pooled.f1().unwrap(), pooled.false_alarm_rate().unwrap());
    assert!(f1 >= 0.84 && far <= 0.15, "F1 {f1:.3}, false alarm rate {far:.3}");
}
