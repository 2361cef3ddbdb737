//! The feature table of a whole fleet, as a Parquet file: what the chain computes of every row, with the remaining life
//! recorded, for another tool to train on.
//!
//! ```text
//! cargo run --release --features polars --example feature_table -- --out features.parquet [--data DIR --subset FD001] [--json]
//! ```
//!
//! `DIR` holds `train_FD001.txt` as NASA ships it; without `--data`, the fleet is the recording in
//! `datasets/turbofan_sim`.

use clap::Parser;
use prognos::{
    Error, Result,
    dataset::{
        cmapss::{self, Subset},
        fleet_csv,
    },
    detect::PcaDetector,
    features::telemetry,
    pipeline::Pipeline,
    preprocess::Regimes,
    rul::RidgeRul,
    table::{
        self,
        polars::prelude::{AnyValue, DataFrame},
    },
};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Rows and columns of the table that are printed.
const SHOWN: (usize, usize) = (5, 7);

/// Write the feature table of a fleet of turbofans as a Parquet file
#[derive(Parser)]
struct Args {
    /// Folder with C-MAPSS files as NASA ships them; the recording in `datasets/turbofan_sim` where it is not given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// FD001, FD002, FD003 or FD004
    #[arg(long, default_value = "FD001", requires = "data")]
    subset: Subset,
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "features.parquet")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let fleet = match &args.data {
        Some(dir) => cmapss::load_train(dir, args.subset)?,
        None => fleet_csv::read_fleet(Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/turbofan_sim/fleet.csv"))?,
    };
    let start = Instant::now();
    let model = Pipeline::params()
        .regimes(Regimes::automatic(8).on(["setting_1", "setting_2", "setting_3"]))
        .features(telemetry().ewma([3.0, 12.0]).slope([15.0, 30.0]).age())
        .detector(PcaDetector::params().explained_variance(0.95))
        .rul(RidgeRul::params().label_cap(125.0))
        .fit(&fleet)?;
    let fit_seconds = start.elapsed().as_secs_f64();

    let start = Instant::now();
    let mut features = table::feature_frame(&model, &fleet)?;
    let table_seconds = start.elapsed().as_secs_f64();
    table::write_parquet(&mut features, &args.out)?;
    let n_bytes = std::fs::metadata(&args.out).map_err(|e| {
        Error::new(
            prognos::ErrorKind::Io,
            format!("cannot look at `{}`", args.out.display()),
        )
        .with_source(e)
    })?;

    let (n_rows, n_columns) = features.shape();
    if args.json {
        let columns: Vec<String> = features.get_column_names().iter().map(|n| n.to_string()).collect();
        let report = serde_json::json!({
            "out": args.out,
            "n_assets": fleet.assets().len(),
            "n_rows": n_rows,
            "n_columns": n_columns,
            "columns": columns,
            "n_bytes": n_bytes.len(),
            "fit_seconds": fit_seconds,
            "table_seconds": table_seconds,
        });
        println!("{report}");
        return Ok(());
    }
    println!(
        "{}: {} engines, {n_rows} rows of {n_columns} columns, {} bytes; fit {fit_seconds:.2} s, table {table_seconds:.2} s",
        args.out.display(),
        fleet.assets().len(),
        n_bytes.len(),
    );
    print_head(&features)
}

/// The first rows of the first columns, and of the last.
fn print_head(frame: &DataFrame) -> Result<()> {
    let names: Vec<&str> = frame.get_column_names().into_iter().map(|n| n.as_str()).collect();
    let n = names.len();
    let shown: Vec<&str> = if n > SHOWN.1 {
        [&names[..SHOWN.1 - 3], &names[n - 3..]].concat()
    } else {
        names
    };
    let cell = |text: &str| print!("{:>20}", text.chars().take(19).collect::<String>());
    shown.iter().for_each(|name| cell(name));
    println!();
    for row in 0..frame.height().min(SHOWN.0) {
        for name in &shown {
            cell(&match frame.column(name)?.get(row)? {
                AnyValue::Null => "null".to_owned(),
                AnyValue::String(text) => text.to_owned(),
                AnyValue::Float64(number) => format!("{number:.4}"),
                other => other.to_string(),
            });
        }
        println!();
    }
    Ok(())
}
