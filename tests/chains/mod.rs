//! Small fleets and chains that several tests share.
#![allow(dead_code)] // each test takes some of them

use ndarray::Array2;
use prognos::{
    detect::{MahalanobisDetector, PcaDetector},
    diagnose::HealthIndicesParams,
    features::{FeatureExtractor, FeatureTable, WaveformExtractor, telemetry},
    pipeline::{Pipeline, PipelineParams},
    preprocess::Regimes,
    quantity::{Hertz, LifeUnit, Seed},
    rul::{GradientBoosting, RidgeRul},
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory, WindowSpec},
    simulate::TurbofanFleet,
};

pub const SETTINGS: [&str; 3] = ["setting_1", "setting_2", "setting_3"];

/// Engines of some 40 to 90 rows under two flight conditions.
pub fn engines(n: u32, seed: u64) -> FleetHistory {
    TurbofanFleet::params()
        .seed(Seed(seed))
        .n_assets(n)
        .n_regimes(2)
        .healthy_cycles(10, 30)
        .wear_cycles(30, 60)
        .generate()
        .unwrap()
        .history
}

/// Every part a chain may have: regimes, health indices, rolling features of all kinds, boosted trees, PCA.
pub fn whole() -> PipelineParams {
    Pipeline::params()
        .regimes(Regimes::automatic(4).on(SETTINGS))
        .min_label_correlation(0.02)
        .health_indices(
            HealthIndicesParams::default(),
            telemetry()
                .ewma([3.0, 12.0])
                .slope([8.0, 20.0])
                .residual_sd([15.0])
                .endpoint([15.0])
                .ewma_change(12.0, [5.0, 10.0]),
        )
        .features(telemetry().ewma([8.0]).slope([15.0]).residual_sd([15.0]).age())
        .detector(PcaDetector::params().explained_variance(0.9))
        .rul(
            GradientBoosting::params()
                .n_trees(12)
                .n_ensembles(2)
                .max_leaves(6)
                .min_leaf_rows(10)
                .label_cap(50.0),
        )
}

/// The other detector and the other regressor, without regimes, indices or a cap.
pub fn linear() -> PipelineParams {
    Pipeline::params()
        .features(telemetry().ewma([5.0]).slope([10.0]))
        .detector(MahalanobisDetector::params())
        .detector_features(telemetry().ewma([5.0]))
        .rul(RidgeRul::params().lambda(10.0))
}

/// An extractor of short windows of two channels.
pub fn vibration_extractor() -> WaveformExtractor {
    let channels = [Channel::new("drive_end", "g"), Channel::new("fan_end", "g")];
    WaveformExtractor::params(&channels, Hertz::new(1000.0).unwrap(), WindowSpec::new(64, 64).unwrap())
        .features(["rms", "peak", "crest_factor", "excess_kurtosis"])
        .and_bands_hz([(0.0, 200.0), (200.0, 500.0)])
        .build()
        .unwrap()
}

/// The samples of window `k` of `n` of a bearing that gets louder: one list a channel.
pub fn vibration_window(bearing: usize, k: usize, n: usize) -> [Vec<f64>; 2] {
    let wear = 1.0 + 2.0 * (k as f64 / n as f64).powi(3);
    // Whole numbers scattered by a prime: even, and the same everywhere.
    let noise = |i: usize, c: usize| ((i * 7919 + c * 104_729 + k * 1_299_709 + bearing * 15_485_863) % 2003) as f64;
    [0, 1].map(|c| {
        (0..64)
            .map(|i| wear * (noise(i, c) / 1001.0 - 1.0) + 0.3 * (0.4 * i as f64).sin())
            .collect()
    })
}

/// Bearings run to failure, an hour from window to window, as feature rows of [`vibration_extractor`].
pub fn bearings(n: usize) -> FleetHistory {
    let extractor = vibration_extractor();
    let features = extractor.schema().features();
    let channels = features.iter().map(|f| Channel::new(&f.name, &f.unit)).collect();
    let mut fleet = FleetHistory::new(channels, LifeUnit::Hours).unwrap();
    let (mut scratch, mut row) = (extractor.new_scratch(), vec![0.0; features.len()]);
    for bearing in 0..n {
        let n_rows = 40 + 7 * bearing % 20;
        let mut values = Vec::new();
        for k in 0..n_rows {
            let [a, b] = vibration_window(bearing, k, n_rows);
            extractor.extract_into(&[&a, &b], &mut scratch, &mut row).unwrap();
            values.extend_from_slice(&row);
        }
        let times = (0..n_rows as i64).map(|h| LifeUnit::Hours.instant(h)).collect();
        let history = AssetHistory::new(format!("b{bearing}"), times, values, row.len(), EndOfLife::Failed);
        fleet.push(history.unwrap()).unwrap();
    }
    fleet
}

/// A chain over windows of [`vibration_extractor`].
pub fn vibration() -> PipelineParams {
    Pipeline::params()
        .extractor(vibration_extractor())
        .features(telemetry().ewma([3.0]).slope([12.0]).age())
        .detector_features(telemetry().ewma([3.0]))
        .detector(MahalanobisDetector::params())
        .rul(
            GradientBoosting::params()
                .n_trees(8)
                .n_ensembles(1)
                .min_leaf_rows(10)
                .n_folds(3),
        )
}

/// The rows of all machines of `fleet` in the order in which they would arrive, with their machine's number.
pub fn interleaved(fleet: &FleetHistory) -> Vec<(usize, prognos::quantity::Timestamp, &[f64])> {
    let rows = fleet.assets().iter().enumerate();
    let mut all: Vec<_> = rows
        .flat_map(|(a, history)| history.rows().map(move |(time, values)| (a, time, values)))
        .collect();
    all.sort_by_key(|(a, time, _)| (*time, *a));
    all
}

/// The same as a table, rows of the schema of `model`.
pub fn table(model: &Pipeline, fleet: &FleetHistory) -> FeatureTable {
    use prognos::model::OnlineModel;
    let rows = interleaved(fleet);
    let values: Vec<f64> = rows.iter().flat_map(|(_, _, v)| v.iter().copied()).collect();
    let values = Array2::from_shape_vec((rows.len(), model.schema().len()), values).unwrap();
    let asset = rows.iter().map(|(a, ..)| *a as u32).collect();
    FeatureTable::new(model.schema().clone(), values, asset).unwrap()
}
