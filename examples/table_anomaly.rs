//! The detectors that look at rows one by one, beside each other on tables whose anomalous rows are known.
//!
//! ```text
//! cargo run --release --features polars --example table_anomaly -- --data DIR [--label y] [--drop COLUMN,..] [--seeds 3] [--json]
//! cargo run --release --example table_anomaly -- --generated
//! ```
//!
//! Every CSV and Parquet file below `DIR` with a column of labels 0 and 1 is a table (Parquet needs the feature `polars`). For
//! the AI4I set: `--label "Machine failure" --drop UDI,"Product ID",TWF,HDF,PWF,OSF,RNF`.
//!
//! The protocol is that of ADBench without labels: a detector is fitted on all rows, anomalous ones among them, sees no label,
//! and scores the same rows. Settings are the same for all tables: the defaults, but for what [`methods`] says. What is printed says how well scores rank rows; to
//! judge a detector that is fitted on healthy rows, hold rows out.

mod labelled_table;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use labelled_table::{Columns, LabelledTable, refused};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::Array2;
use prognos::{
    Result,
    detect::{
        CopodDetector, DensityClusters, EcodDetector, ExtendedIsolationForest, GaussianMixtureDetector,
        HistogramDetector, IsolationForest, KernelRegression, LocalOutlierFactor, Loda, MahalanobisDetector,
        NearestIsolation, NearestNeighbours, OneClassSvmDetector, PcaDetector, RobustMahalanobisDetector, RowAlgorithm,
        RowDetectorParams,
    },
    evaluate::{average_precision, roc_auc},
    features::{FeatureSchema, FeatureTable},
    model::{AnomalyScore, Assessment, OnlineModel},
    quantity::Seed,
    signal::Channel,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

const PROTOCOL: &str = "fitted on all rows of a table without labels, scored on the same rows";

/// Compare the detectors of rows on labelled tables
#[derive(Parser)]
struct Args {
    /// Folder with CSV and Parquet files, each a table
    #[arg(long, value_name = "DIR", required_unless_present = "generated")]
    data: Option<PathBuf>,
    /// Three generated tables instead
    #[arg(long, conflicts_with_all = ["data", "label", "drop"])]
    generated: bool,
    /// The column that is 1 where a row is anomalous and 0 where it is not
    #[arg(long, value_name = "COLUMN", default_value = "y")]
    label: String,
    /// Columns that are not looked at
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    drop: Vec<String>,
    /// Seeds of those detectors that draw at random
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

type Data = DatasetBase<FeatureTable, ()>;
/// The scores of all rows by a detector fitted on them.
type Scores = dyn Fn(&Data, Seed) -> Result<Vec<f64>>;

/// A detector with its settings.
struct Method {
    name: &'static str,
    /// Whether its scores depend on the seed.
    drawn: bool,
    scores: Box<Scores>,
}

/// One that is fitted once, with a threshold that nobody looks at.
fn method<A: RowAlgorithm>(name: &'static str, drawn: bool, params: RowDetectorParams<A>) -> Method {
    let params = params.fixed_threshold(0.0);
    let scores = move |data: &Data, seed| {
        let detector = params.clone().seed(seed).check()?.fit(data)?;
        scores_of(detector.assess_table(data.records())?)
    };
    Method {
        name,
        drawn,
        scores: Box::new(scores),
    }
}

fn scores_of(outcomes: impl IntoIterator<Item = Assessment<AnomalyScore>>) -> Result<Vec<f64>> {
    let score = |a: Assessment<AnomalyScore>| a.ready().map(|s| s.value);
    let scores: Option<Vec<f64>> = outcomes.into_iter().map(score).collect();
    scores.ok_or_else(|| refused("scores", "one a row", "a row without"))
}

/// What is compared: a further detector is a line.
fn methods() -> Vec<Method> {
    let pca = Method {
        name: "PCA",
        drawn: false,
        scores: Box::new(|data, _| {
            let detector = PcaDetector::params().fit(data)?;
            let outcomes: Result<Vec<_>> = data.records().views().map(|x| detector.assess(&(), x)).collect();
            scores_of(outcomes?)
        }),
    };
    vec![
        pca,
        method("Mahalanobis", false, MahalanobisDetector::params()),
        // Not the default, under which words that most rows share are an error.
        method(
            "robust Mahalanobis (MCD)",
            true,
            RobustMahalanobisDetector::params().shrinkage(0.001),
        ),
        method("Gaussian mixture", true, GaussianMixtureDetector::params()),
        method("ECOD", false, EcodDetector::params()),
        method("COPOD", false, CopodDetector::params()),
        method("histograms (HBOS)", false, HistogramDetector::params()),
        method("LODA", true, Loda::params()),
        method("isolation forest", true, IsolationForest::params()),
        method("extended isolation forest", true, ExtendedIsolationForest::params()),
        method("nearest isolation (INNE)", true, NearestIsolation::params()),
        // A row is its own nearest: the fifth of the others counts.
        method("nearest neighbours", true, NearestNeighbours::params().n_neighbors(6)),
        method("local outlier factor", true, LocalOutlierFactor::params()),
        method("density clusters (DBSCAN)", true, DensityClusters::params()),
        method("one-class SVM", true, OneClassSvmDetector::params()),
        method("kernel regression (AAKR)", true, KernelRegression::params()),
    ]
}

/// Mean and, of several, standard deviation.
#[derive(Clone, Copy)]
struct Spread {
    mean: f64,
    sd: Option<f64>,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        Self {
            mean,
            sd: (values.len() > 1).then(|| (square / (n - 1.0)).sqrt()),
        }
    }

    fn text(self) -> String {
        match self.sd {
            Some(sd) => format!("{:.4} ± {sd:.4}", self.mean),
            None => format!("{:.4}", self.mean),
        }
    }

    fn json(self) -> Value {
        json!({ "mean": self.mean, "sd": self.sd })
    }
}

/// One detector on one table.
struct Outcome {
    roc_auc: Spread,
    average_precision: Spread,
    /// Of a fit and the scores of all rows, mean over seeds.
    seconds: f64,
}

fn judge(method: &Method, data: &Data, labels: &[bool], seeds: u64) -> Result<Outcome> {
    let (mut auc, mut precision, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..if method.drawn { seeds } else { 1 } {
        let start = Instant::now();
        let scores = (method.scores)(data, Seed(seed))?;
        seconds.push(start.elapsed().as_secs_f64());
        auc.push(roc_auc(&scores, labels)?);
        precision.push(average_precision(&scores, labels)?);
    }
    Ok(Outcome {
        roc_auc: Spread::of(&auc),
        average_precision: Spread::of(&precision),
        seconds: Spread::of(&seconds).mean,
    })
}

/// Means of one detector over tables.
struct Mean {
    name: &'static str,
    n_tables: usize,
    roc_auc: f64,
    average_precision: f64,
    seconds: f64,
}

impl Mean {
    fn of(name: &'static str, outcomes: &[&Outcome]) -> Option<Self> {
        let mean = |pick: fn(&Outcome) -> f64| outcomes.iter().map(|o| pick(o)).sum::<f64>() / outcomes.len() as f64;
        (!outcomes.is_empty()).then(|| Self {
            name,
            n_tables: outcomes.len(),
            roc_auc: mean(|o| o.roc_auc.mean),
            average_precision: mean(|o| o.average_precision.mean),
            seconds: mean(|o| o.seconds),
        })
    }

    fn json(&self) -> Value {
        json!({
            "detector": self.name,
            "tables": self.n_tables,
            "roc_auc": self.roc_auc,
            "average_precision": self.average_precision,
            "seconds": self.seconds,
        })
    }
}

fn print_head(what: &str) {
    println!(
        "{what}\n  {:<28}{:<20}{:<20}{:>9}",
        "detector", "ROC-AUC", "average precision", "seconds"
    );
}

/// Every table by itself, then the means over tables.
fn compare(args: &Args, tables: impl Iterator<Item = (String, Result<LabelledTable>)>, n_tables: u64) -> bool {
    let methods = methods();
    let bar = ProgressBar::new(n_tables * methods.len() as u64).with_style(
        ProgressStyle::with_template("{msg:>40} [{bar:30}] {pos}/{len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut kept: Vec<Vec<Outcome>> = methods.iter().map(|_| Vec::new()).collect();
    let (mut reports, mut passed_over) = (Vec::new(), Vec::new());
    for (name, table) in tables {
        let table = match table {
            Ok(table) => table,
            Err(e) => {
                bar.inc(methods.len() as u64);
                passed_over.push((name, e.to_string()));
                continue;
            }
        };
        let mut lines = Vec::new();
        let LabelledTable { rows, labels, .. } = &table;
        let data = DatasetBase::new(rows.clone(), ());
        for (method, kept) in methods.iter().zip(&mut kept) {
            bar.set_message(format!("{name}: {}", method.name));
            let outcome = judge(method, &data, labels, args.seeds);
            bar.inc(1);
            lines.push(match &outcome {
                Ok(o) => json!({
                    "detector": method.name,
                    "roc_auc": o.roc_auc.json(),
                    "average_precision": o.average_precision.json(),
                    "seconds": o.seconds,
                }),
                Err(e) => json!({ "detector": method.name, "error": e.to_string() }),
            });
            if !args.json {
                let text = match &outcome {
                    Ok(o) => {
                        let [auc, precision] = [o.roc_auc, o.average_precision].map(Spread::text);
                        format!("  {:<28}{auc:<20}{precision:<20}{:>9.3}", method.name, o.seconds)
                    }
                    Err(e) => format!("  {:<28}{e}", method.name),
                };
                bar.suspend(|| {
                    if lines.len() == 1 {
                        table.notes.iter().for_each(|note| println!("{name}: {note}"));
                        print_head(&format!("{name}: {table}"));
                    }
                    println!("{text}");
                });
            }
            kept.extend(outcome.ok());
        }
        if !args.json {
            bar.suspend(|| println!());
        }
        reports.push(json!({
            "table": name,
            "rows": rows.n_rows(),
            "columns": rows.schema().len(),
            "anomalous": table.n_anomalous(),
            "rows_left_out": table.n_left_out,
            "notes": table.notes,
            "detectors": lines,
        }));
    }
    bar.finish_and_clear();

    let mean = |(m, outcomes): (&Method, &Vec<Outcome>)| Mean::of(m.name, &outcomes.iter().collect::<Vec<_>>());
    let means: Vec<Mean> = methods.iter().zip(&kept).filter_map(mean).collect();
    if args.json {
        let passed_over: Vec<Value> = passed_over
            .iter()
            .map(|(name, why)| json!({ "file": name, "why": why }))
            .collect();
        let report = json!({
            "protocol": PROTOCOL,
            "seeds": args.seeds,
            "tables": reports,
            "means": means.iter().map(Mean::json).collect::<Vec<_>>(),
            "passed_over": passed_over,
        });
        println!("{report}");
    } else {
        print_head(&format!(
            "Means over {} tables, each detector {PROTOCOL}",
            reports.len()
        ));
        for m in &means {
            let on = if m.n_tables < reports.len() {
                format!("  on {} tables only", m.n_tables)
            } else {
                String::new()
            };
            println!(
                "  {:<28}{:<20.4}{:<20.4}{:>9.3}{on}",
                m.name, m.roc_auc, m.average_precision, m.seconds
            );
        }
        println!(
            "\nSeconds are those of a fit and of scores for all rows; ± is the standard deviation over seeds, here {}.",
            args.seeds
        );
        for (name, why) in &passed_over {
            println!("passed over {name}: {why}");
        }
    }
    !reports.is_empty()
}

/// A number whose distribution is nearly the standard normal one.
fn normal(rng: &mut Xoshiro256Plus) -> f64 {
    (0..12).map(|_| rng.r#gen::<f64>()).sum::<f64>() - 6.0
}

/// 2,000 rows of eight columns, of which every twentieth is anomalous, in one of three ways.
fn generated() -> Vec<(String, Result<LabelledTable>)> {
    const ROWS: usize = 2000;
    const WIDTH: usize = 8;
    let table = |row: fn(&mut Xoshiro256Plus, bool) -> [f64; WIDTH]| {
        let mut rng = Xoshiro256Plus::seed_from_u64(1);
        let labels: Vec<bool> = (0..ROWS).map(|i| i % 20 == 19).collect();
        let values: Vec<f64> = labels.iter().flat_map(|&l| row(&mut rng, l)).collect();
        let channels: Vec<Channel> = (0..WIDTH).map(|j| Channel::new(format!("c{j}"), "")).collect();
        let values = Array2::from_shape_vec((ROWS, WIDTH), values)
            .map_err(|e| refused("generated table", "eight numbers a row", e))?;
        Ok(LabelledTable {
            rows: FeatureTable::new(FeatureSchema::of_channels(&channels)?, values, vec![0; ROWS])?,
            labels,
            n_left_out: 0,
            notes: Vec::new(),
        })
    };
    let scattered = table(|rng, anomalous| {
        let centre = if rng.r#gen::<bool>() { 4.0 } else { -4.0 };
        std::array::from_fn(|_| {
            if anomalous {
                16.0 * rng.r#gen::<f64>() - 8.0
            } else {
                centre + normal(rng)
            }
        })
    });
    let unrelated = table(|rng, anomalous| {
        let shared: [f64; 2] = std::array::from_fn(|_| normal(rng));
        std::array::from_fn(|j| {
            let common = if anomalous { normal(rng) } else { shared[j % 2] };
            common + 0.2 * normal(rng)
        })
    });
    let beside = table(|rng, anomalous| {
        let tight = anomalous || rng.r#gen::<bool>();
        let (centre, spread) = if tight { (0.0, 0.1) } else { (6.0, 2.0) };
        std::array::from_fn(|_| centre + spread * normal(rng) * if anomalous { 3.0 } else { 1.0 })
    });
    [
        ("generated: rows scattered between two clusters", scattered),
        ("generated: rows whose columns do not go together", unrelated),
        (
            "generated: rows beside a tight cluster, with a wide one elsewhere",
            beside,
        ),
    ]
    .map(|(name, table)| (name.to_owned(), table))
    .into()
}

fn run() -> Result<bool> {
    let args = Args::parse();
    let Some(dir) = &args.data else {
        let tables = generated();
        let n = tables.len() as u64;
        return Ok(compare(&args, tables.into_iter(), n));
    };
    let files = labelled_table::files_below(dir)?;
    if files.is_empty() {
        return Err(refused("folder", "CSV or Parquet files in it", dir.display()));
    }
    let columns = Columns {
        label: args.label.clone(),
        dropped: args.drop.clone(),
    };
    let shown = |path: &Path| path.strip_prefix(dir).unwrap_or(path).display().to_string();
    let tables = files
        .iter()
        .map(|path| (shown(path), labelled_table::read(path, &columns)));
    Ok(compare(&args, tables, files.len() as u64))
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: no table could be judged");
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
