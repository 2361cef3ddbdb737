//! Makes the recording in `datasets/turbofan_sim` again, or another like it.
//!
//!     cargo run --release --example generate_dataset -- --out datasets/turbofan_sim
//!
//! Writes `fleet.csv` (the recording), `truth.csv` (what a model must not see) and `settings.json` (the generator's
//! settings, and what the two tables hash to).

use clap::Parser;
use prognos::{
    dataset::fleet_csv,
    envelope::{sha256_hex, write_atomic},
    quantity::Seed,
    simulate::{TurbofanFleet, TurbofanParams, TurbofanTruth},
};
use serde::{Deserialize, Serialize};
use std::{error::Error, path::PathBuf};

/// Generate a fleet of turbofans run to failure.
#[derive(Parser)]
pub struct Args {
    /// Folder to write to; made where it does not exist.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Seed; the same seed gives the same bytes.
    #[arg(long, default_value_t = 2026)]
    pub seed: u64,
    /// Number of engines.
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub assets: u32,
    /// Print what was made as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `settings.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Settings {
    pub generator: String,
    pub params: TurbofanParams,
    pub n_assets: usize,
    pub n_rows: usize,
    pub fleet_csv_sha256: String,
    pub truth_csv_sha256: String,
}

pub fn generate(args: &Args) -> Result<Settings, Box<dyn Error>> {
    let params = TurbofanFleet::params().seed(Seed(args.seed)).n_assets(args.assets);
    let fleet = params.generate()?;
    let mut table = Vec::new();
    fleet_csv::write_fleet_to(&mut table, &fleet.history)?;
    let truth = truth_table(&fleet.truth);
    let settings = Settings {
        generator: "prognos::simulate::TurbofanFleet".into(),
        params,
        n_assets: fleet.history.assets().len(),
        n_rows: fleet.history.n_rows(),
        fleet_csv_sha256: sha256_hex(&table),
        truth_csv_sha256: sha256_hex(truth.as_bytes()),
    };
    std::fs::create_dir_all(&args.out)?;
    write_atomic(&args.out.join("fleet.csv"), &table)?;
    write_atomic(&args.out.join("truth.csv"), truth.as_bytes())?;
    let json = serde_json::to_string_pretty(&settings)? + "\n";
    write_atomic(&args.out.join("settings.json"), json.as_bytes())?;
    Ok(settings)
}

/// One line an engine; health at each row is left out, it follows from the settings.
fn truth_table(truth: &[TurbofanTruth]) -> String {
    let mut table = "asset,fault_mode,onset_cycle,life_cycles\n".to_owned();
    for engine in truth {
        let (asset, mode, onset, life) = (
            &engine.asset,
            engine.fault_mode,
            engine.onset_cycle,
            engine.health.len(),
        );
        table += &format!("{asset},{mode},{onset},{life}\n");
    }
    table
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let settings = generate(&args)?;
    if args.json {
        println!("{}", serde_json::to_string(&settings)?);
    } else {
        let (assets, rows) = (settings.n_assets, settings.n_rows);
        println!("{}: {assets} engines, {rows} rows", args.out.display());
    }
    Ok(())
}
