//! Detectors: one line a task.

use crate::serve::{Job, Task, job};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    detect::{
        CopodDetector, EcodDetector, HalfSpaceTrees, HistogramDetector, IsolationForest, LeftDiscord,
        LocalOutlierFactor, NearestNeighbours, OnlineIsolationForest, RandomCutForest, RowAlgorithm, RowDetectorParams,
        Scaling, StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer, StreamState,
    },
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::OnlineModel,
    quantity::Seed,
    signal::Channel,
};

/// Columns of `table_<n>` and of `stream_<n>`.
const TABLE: usize = 20;
const STREAM: usize = 10;
/// Rows of a `cycle_<n>` that are known before the first one that is timed.
const KNOWN: usize = 2000;

pub const TASKS: &[Task] = &[
    Task::new("isolation_forest", "table_100000", 500 * TABLE, |x| {
        table(x, IsolationForest::params().seed(Seed(1)))
    }),
    Task::new("ecod", "table_100000", 500 * TABLE, |x| {
        table(x, EcodDetector::params())
    }),
    Task::new("copod", "table_100000", 500 * TABLE, |x| {
        table(x, CopodDetector::params())
    }),
    Task::new("histograms", "table_100000", 500 * TABLE, |x| {
        table(x, HistogramDetector::params())
    }),
    // A row is its own nearest: the fifth of the others is asked for.
    Task::new("nearest", "table_10000", 500 * TABLE, |x| {
        table(x, NearestNeighbours::params().n_neighbors(6))
    }),
    Task::new("local_outlier_factor", "table_10000", 500 * TABLE, |x| {
        table(x, LocalOutlierFactor::params())
    }),
    Task::new("half_space_trees", "stream_100000", 1000 * STREAM, half_space_trees),
    Task::new("cut_forest_1", "stream_10000", 300 * STREAM, |x| cut_forest(x, 1)),
    Task::new("cut_forest_4", "stream_10000", 300 * STREAM, |x| cut_forest(x, 4)),
    Task::new("online_isolation", "stream_100000", 500 * STREAM, |x| {
        stream(x, untrained(OnlineIsolationForest::params().seed(Seed(1)), STREAM))
    }),
    Task::new("discord", "cycle_4000", KNOWN + 20, discord),
];

fn schema(width: usize) -> FeatureSchema {
    let channels: Vec<_> = (0..width).map(|j| Channel::new(format!("c{j}"), "g")).collect();
    FeatureSchema::of_channels(&channels).unwrap()
}

fn data(x: Vec<f64>, width: usize) -> DatasetBase<FeatureTable, ()> {
    let n = x.len() / width;
    let values = Array2::from_shape_vec((n, width), x).unwrap();
    DatasetBase::new(FeatureTable::new(schema(width), values, vec![0; n]).unwrap(), ())
}

/// Fitted on all rows, which it scores.
fn table<A: RowAlgorithm>(x: Vec<f64>, params: RowDetectorParams<A>) -> Box<dyn Job> {
    let params = params.fixed_threshold(0.0).check().unwrap();
    job(
        (params, data(x, TABLE), Vec::new()),
        |(params, data, scores)| {
            let outcomes = params.fit(&*data).unwrap().assess_table(data.records()).unwrap();
            scores.clear();
            scores.extend(outcomes.into_iter().map(|o| o.ready().map_or(f64::NAN, |s| s.value)));
        },
        |(.., scores)| scores.clone(),
    )
}

/// Of rows as they come.
fn untrained<A: StreamAlgorithm>(params: StreamDetectorParams<A>, width: usize) -> StreamDetector<A::Scorer> {
    let params = params.scaling(Scaling::Raw).fixed_threshold(0.0);
    params.untrained(schema(width)).unwrap()
}

/// The score of each row; NaN for those before the first.
fn steps<S: StreamScorer>(d: &StreamDetector<S>, state: &mut StreamState<S::Memory>, x: &[f64], scores: &mut Vec<f64>) {
    scores.clear();
    scores.extend(x.chunks_exact(d.schema().len()).map(|row| {
        let outcome = d.step(state, FeatureView::new(d.schema(), row).unwrap()).unwrap();
        outcome.ready().map_or(f64::NAN, |s| s.value)
    }));
}

/// All rows, from an empty memory on.
fn stream<S: StreamScorer>(x: Vec<f64>, detector: StreamDetector<S>) -> Box<dyn Job> {
    job(
        (detector, x, Vec::new()),
        |(detector, x, scores)| steps(detector, &mut detector.new_state(), x, scores),
        |(.., scores)| scores.clone(),
    )
}

/// The ranges of columns are those of the rows, as they are given to River.
fn half_space_trees(x: Vec<f64>) -> Box<dyn Job> {
    let params = HalfSpaceTrees::params().n_trees(10).height(8).window_size(250);
    let params = params.seed(Seed(1)).fixed_threshold(0.0).check().unwrap();
    let detector = params.fit(&data(x.clone(), STREAM)).unwrap();
    stream(x, detector)
}

fn cut_forest(x: Vec<f64>, shingle: usize) -> Box<dyn Job> {
    let params = RandomCutForest::params().n_trees(50).sample_size(256).shingle(shingle);
    stream(x, untrained(params.seed(Seed(1)), STREAM))
}

/// The rows behind the known ones, of one column.
fn discord(x: Vec<f64>) -> Box<dyn Job> {
    let detector = untrained(LeftDiscord::params().length(50).history(KNOWN as u32), 1);
    let (known, new) = x.split_at(KNOWN);
    let (mut state, mut scores) = (detector.new_state(), Vec::new());
    steps(&detector, &mut state, known, &mut scores);
    job(
        (detector, state, new.to_vec(), scores),
        |(detector, state, new, scores)| steps(detector, &mut state.clone(), new, scores),
        |(.., scores)| scores.clone(),
    )
}
