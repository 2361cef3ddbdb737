//! Files of the Skoltech Anomaly Benchmark: the published ones, where they are at hand, and hostile ones.

use prognos::{
    ErrorKind, Result,
    dataset::skab::{self, SkabRecord},
    quantity::Timestamp,
    signal::EndOfLife,
};
use std::{fs, path::Path};

const HEADER: &str = "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage;\
                      Volume Flow RateRMS;anomaly;changepoint\n";

fn line(second: u32, anomaly: &str) -> String {
    format!("2020-03-09 15:56:{second:02};1;2;3;4;5;6;7;8;{anomaly};0.0\n")
}

fn parse(text: impl AsRef<[u8]>) -> Result<SkabRecord> {
    skab::parse(text.as_ref(), "valve2/0")
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, words: &[&str]) {
    let e = result.unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
}

#[test]
fn published_form_is_read() {
    let record = parse(HEADER.to_owned() + &line(30, "0.0") + &line(31, "1.0")).unwrap();
    assert_eq!((record.name.as_str(), record.history.asset()), ("valve2/0", "valve2/0"));
    assert_eq!((record.history.n_rows(), record.history.end()), (2, EndOfLife::Unknown));
    let (time, values) = record.history.rows().next().unwrap();
    assert_eq!(time, Timestamp::from_secs(1_583_769_390));
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(record.anomaly.unwrap(), [false, true]);
    assert_eq!(record.changepoint.unwrap(), [false, false]);
}

#[test]
fn harmless_variants_are_read_the_same() {
    let text = HEADER.to_owned() + &line(30, "0.0") + &line(31, "1.0");
    let expected = parse(&text).unwrap();
    for variant in [
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        text.clone() + "\n\r\n",
        format!("\u{feff}{text}"),
        text.replace(";1.0;0.0", ";1;0"),
        text.replace(';', " ; "),
        // Columns are found by their names.
        text.replace("Current;Pressure", "Pressure;Current")
            .replace(";3;4;", ";4;3;"),
    ] {
        assert_eq!(parse(&variant).unwrap(), expected, "{variant:?}");
    }
    let bare = text
        .replace(";anomaly;changepoint", "")
        .replace(";0.0;0.0", "")
        .replace(";1.0;0.0", "");
    let bare = parse(bare).unwrap();
    assert_eq!(
        (bare.history, bare.anomaly, bare.changepoint),
        (expected.history, None, None)
    );
}

#[test]
fn missing_readings_are_nan() {
    for nan in ["", "NaN", "nan"] {
        let record = parse(HEADER.to_owned() + &line(30, "0").replace(";3;", &format!(";{nan};"))).unwrap();
        let (_, values) = record.history.rows().next().unwrap();
        let missing: Vec<usize> = (0..8).filter(|&i| values[i].is_nan()).collect();
        assert_eq!(missing, [2], "{nan}");
    }
}

#[test]
fn hostile_tables_are_named() {
    use ErrorKind::{InsufficientData, InvalidInput};
    refused(parse(""), InsufficientData, &["empty"]);
    refused(parse("\n \n"), InsufficientData, &["empty"]);
    refused(parse(HEADER), InsufficientData, &["row"]);
    refused(parse(line(30, "0")), InvalidInput, &["line 1", "datetime"]);
    refused(parse(HEADER.replace(';', ",")), InvalidInput, &["line 1", "datetime"]);
    for sensor in skab::channels() {
        let without = HEADER.replace(&format!("{};", sensor.name), "");
        refused(parse(without), InvalidInput, &["line 1", &sensor.name]);
    }
    refused(
        parse(HEADER.replace("anomaly", "Anomaly")),
        InvalidInput,
        &["line 1", "`Anomaly`"],
    );
    refused(
        parse(HEADER.replace("anomaly", "Voltage")),
        InvalidInput,
        &["line 1", "once"],
    );
    refused(parse(";".repeat(1 << 20)), InvalidInput, &["line 1", "columns"]);

    let after = |row: &str| parse(HEADER.to_owned() + &line(30, "0") + row + "\n" + &line(59, "0"));
    for bad in [
        "",
        "x",
        "2020-03-09 15:56:31;1;2;3;4;5;6;7;8;0",
        "2020-03-09 15:56:31;1;2;3;4;5;6;7;8;0;0;0",
    ] {
        refused(after(bad), InvalidInput, &["line 3", "11 columns"]);
    }
    let good = line(31, "0");
    let good = good.trim_end();
    assert!(after(good).is_ok());
    for bad in ["x", "inf", "1e999", "1,5", "0x1"] {
        refused(
            after(&good.replace(";8;", &format!(";{bad};"))),
            InvalidInput,
            &["line 3", "Volume Flow RateRMS", bad],
        );
    }
    for bad in ["", "NaN", "2", "0.5", "-1", "true"] {
        refused(
            after(&good.replace(";8;0;", &format!(";8;{bad};"))),
            InvalidInput,
            &["line 3", "anomaly", "0 or 1"],
        );
        refused(
            after(&good.replace("0.0", bad)),
            InvalidInput,
            &["line 3", "changepoint", "0 or 1"],
        );
    }
    for bad in [
        "2020-03-09 15:56:30",
        "2020-03-09 15:56:29",
        "2020-02-30 15:56:31",
        "15:56:31",
        "",
    ] {
        refused(
            after(&good.replace("2020-03-09 15:56:31", bad)),
            InvalidInput,
            &["line 3", "time"],
        );
    }
    let e = after(&"9".repeat(1 << 20)).unwrap_err();
    assert!(e.to_string().contains("line 3") && e.to_string().len() < 300, "{e}");
    let e = after(&good.replace(";8;", &format!(";{};", "y".repeat(1 << 20)))).unwrap_err();
    assert!(e.to_string().len() < 300, "{e}");
    let mut bytes = (HEADER.to_owned() + &line(30, "0")).into_bytes();
    bytes.extend(b"\xff\n");
    refused(parse(bytes), InvalidInput, &["line 3", "UTF-8"]);

    // Cut anywhere, a file is shorter or refused, never a panic.
    let text = HEADER.to_owned() + &line(30, "0.0") + &line(31, "1.0");
    for end in 0..text.len() {
        if let Ok(record) = parse(&text[..end]) {
            assert!((1..=2).contains(&record.history.n_rows()));
        }
    }
}

#[test]
fn folders_are_read_in_natural_order() {
    use ErrorKind::{InsufficientData, InvalidInput, Io};
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    refused(skab::load(root.join("none")), Io, &["none"]);
    refused(skab::load(root), InsufficientData, &["csv"]);
    for file in ["valve2/0.csv", "valve1/10.csv", "valve1/9.csv"] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, HEADER.to_owned() + &line(30, "0")).unwrap();
    }
    let records = skab::load(root).unwrap();
    let names: Vec<&str> = records.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["valve1/9", "valve1/10", "valve2/0"]);
    assert_eq!(skab::load_file(root.join("valve1/10.csv")).unwrap(), records[1]);
    let fleet = skab::fleet(&records).unwrap();
    assert_eq!((fleet.assets().len(), fleet.channels()), (3, &skab::channels()[..]));
    refused(
        skab::fleet(&[records[0].clone(), records[0].clone()]),
        InvalidInput,
        &["valve1/9"],
    );

    fs::write(root.join("valve2/0.csv"), HEADER.to_owned() + "x\n").unwrap();
    refused(skab::load(root), InvalidInput, &["0.csv", "line 2"]);
    fs::write(root.join("valve2/0.csv"), "").unwrap();
    refused(skab::load(root), InsufficientData, &["0.csv", "empty"]);
}

/// Runs over the published files where `PROGNOS_DATA` names a folder with `skab/`; says so where it does not.
#[test]
fn published_files_are_whole() {
    let Some(data) = std::env::var_os("PROGNOS_DATA") else {
        println!("skipped: PROGNOS_DATA is not set, the published SKAB files were not read");
        return;
    };
    let records = skab::load(Path::new(&data).join("skab")).unwrap();
    let names: Vec<&str> = records.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(
        names[..4],
        ["anomaly-free/anomaly-free", "other/1", "other/2", "other/3"]
    );
    assert_eq!((names.len(), names[18]), (19, "valve2/3"));
    let rows = |r: &SkabRecord| r.history.n_rows();
    let anomalous = |r: &SkabRecord| r.anomaly.as_ref().map(|a| a.iter().filter(|&&is| is).count());
    let changes = |r: &SkabRecord| r.changepoint.as_ref().map(|a| a.iter().filter(|&&is| is).count());
    assert_eq!(
        (rows(&records[0]), anomalous(&records[0]), changes(&records[0])),
        (9405, None, None)
    );
    let valve = &records[15];
    assert_eq!(
        (valve.name.as_str(), rows(valve), anomalous(valve)),
        ("valve2/0", 1125, Some(394))
    );
    assert_eq!(valve.history.rows().next().unwrap().1[7], 32.0362);
    for record in &records[1..] {
        assert!(
            anomalous(record).is_some_and(|n| n > 0) && changes(record).is_some_and(|n| n > 0),
            "{}",
            record.name
        );
    }
}
