//! `datasets/turbofan_sim` is what its settings make, to the byte.

use prognos::{dataset::fleet_csv, envelope::sha256_hex};
use std::{fs, path::Path};

#[allow(dead_code)] // its main
#[path = "../../examples/generate_dataset.rs"]
mod generate_dataset;

use generate_dataset::{Args, Settings, generate};

fn shipped(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/turbofan_sim");
    fs::read(dir.join(name)).unwrap()
}

#[test]
fn regenerating_gives_the_shipped_files() {
    let out = tempfile::tempdir().unwrap();
    let args = <Args as clap::Parser>::parse_from(["generate_dataset", "--out", out.path().to_str().unwrap()]);
    generate(&args).unwrap();
    for name in ["fleet.csv", "truth.csv", "settings.json"] {
        let made = fs::read(out.path().join(name)).unwrap();
        // Not assert_eq: a megabyte of difference helps nobody.
        assert!(made == shipped(name), "{name} differs from what its generator makes");
    }
}

#[test]
fn settings_alone_make_the_table() {
    let settings: Settings = serde_json::from_slice(&shipped("settings.json")).unwrap();
    let fleet = settings.params.generate().unwrap();
    let mut table = Vec::new();
    fleet_csv::write_fleet_to(&mut table, &fleet.history).unwrap();
    assert!(table == shipped("fleet.csv"));
    assert_eq!(settings.fleet_csv_sha256, sha256_hex(&table));
    assert_eq!(settings.truth_csv_sha256, sha256_hex(&shipped("truth.csv")));
    assert_eq!(
        (settings.n_assets, settings.n_rows),
        (fleet.history.assets().len(), fleet.history.n_rows())
    );
    assert!(table.len() < 1 << 20, "{} bytes", table.len());
}

#[test]
fn table_holds_the_fleet_without_loss() {
    let settings: Settings = serde_json::from_slice(&shipped("settings.json")).unwrap();
    let made = settings.params.generate().unwrap().history;
    let read = fleet_csv::read_fleet_from(shipped("fleet.csv").as_slice()).unwrap();
    assert_eq!(
        (read.channels(), read.life_unit(), read.n_rows()),
        (made.channels(), made.life_unit(), made.n_rows())
    );
    let mut n_missing = 0;
    for (a, b) in made.assets().iter().zip(read.assets()) {
        assert_eq!((a.asset(), a.end(), a.times()), (b.asset(), b.end(), b.times()));
        for ((_, x), (_, y)) in a.rows().zip(b.rows()) {
            assert!(x.iter().zip(y).all(|(x, y)| x.to_bits() == y.to_bits()));
            n_missing += x.iter().filter(|v| v.is_nan()).count();
        }
    }
    assert!(
        n_missing > 0,
        "a recording without a gap would not show how gaps are handled"
    );
}
