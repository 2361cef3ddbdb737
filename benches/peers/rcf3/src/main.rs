//! rcf3's side of the comparison; `run.sh` builds and drives it.

#[path = "../../serve.rs"]
mod serve;

use rcf3::{Forest, OnlineIForest};
use serve::{Job, Task, job};

/// Columns of `stream_<n>`.
const STREAM: usize = 10;

const TASKS: &[Task] = &[
    Task::new("rcf3_cut_forest_1", "stream_10000", 300 * STREAM, |x| cut_forest(x, 1)),
    Task::new("rcf3_cut_forest_4", "stream_10000", 300 * STREAM, |x| cut_forest(x, 4)),
    Task::new("rcf3_online_isolation", "stream_100000", 500 * STREAM, online_isolation),
];

/// Its numbers are of 32 bits.
fn rows(x: Vec<f64>) -> Vec<f32> {
    x.into_iter().map(|x| x as f32).collect()
}

fn cut_forest(x: Vec<f64>, shingle: usize) -> Box<dyn Job> {
    job(
        (shingle, rows(x), Vec::new()),
        |(shingle, x, scores)| {
            let forest = Forest::builder(STREAM)
                .shingle_size(*shingle)
                .num_trees(50)
                .capacity(256);
            let mut forest = forest.seed(1).build().unwrap();
            scores.clear();
            scores.extend(x.chunks_exact(STREAM).map(|row| forest.update_and_score(row).unwrap()));
        },
        |(.., scores)| scores.clone(),
    )
}

fn online_isolation(x: Vec<f64>) -> Box<dyn Job> {
    let forest = OnlineIForest::builder(STREAM)
        .num_trees(32)
        .window_size(2048)
        .max_leaf_samples(32)
        .seed(1);
    job(
        (forest, rows(x), Vec::new()),
        |(forest, x, scores)| {
            let mut forest = forest.clone().build().unwrap();
            scores.clear();
            scores.extend(x.chunks_exact(STREAM).map(|row| forest.update_and_score(row).unwrap()));
        },
        |(.., scores)| scores.clone(),
    )
}

fn main() -> std::io::Result<()> {
    serve::main(TASKS)
}
