//! C-MAPSS files: the published ones, where they are at hand, and hostile ones.

use prognos::{
    ErrorKind, Result,
    dataset::{
        MAX_ASSETS, MAX_FILE_BYTES,
        cmapss::{self, Ends, Subset},
    },
    quantity::LifeUnit,
    signal::{EndOfLife, FleetHistory},
};
use std::{fs, path::Path, time::Instant};

/// A line as NASA writes it.
fn line(unit: impl std::fmt::Display, cycle: impl std::fmt::Display) -> String {
    let readings: Vec<String> = (1..=24).map(|i| format!("{i}.5")).collect();
    format!("{unit} {cycle} {}  \n", readings.join(" "))
}

fn parse(text: impl AsRef<[u8]>) -> Result<FleetHistory> {
    cmapss::parse(text.as_ref(), Ends::Failed)
}

#[track_caller]
fn refused(result: Result<FleetHistory>, kind: ErrorKind, words: &[&str]) {
    let e = result.unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
}

#[test]
fn published_form_is_read() {
    let text = line(1, 1) + &line(1, 2) + &line(7, 1);
    let fleet = parse(&text).unwrap();
    assert_eq!(
        (fleet.assets().len(), fleet.n_rows(), fleet.life_unit()),
        (2, 3, LifeUnit::Cycles)
    );
    let engine = &fleet.assets()[1];
    assert_eq!(
        (engine.asset(), engine.n_rows(), engine.end()),
        ("7", 1, EndOfLife::Failed)
    );
    let (time, values) = fleet.assets()[0].rows().nth(1).unwrap();
    assert_eq!(time, LifeUnit::Cycles.instant(2));
    assert_eq!(values, (1..=24).map(|i| f64::from(i) + 0.5).collect::<Vec<_>>());
    let channels: Vec<String> = fleet
        .channels()
        .iter()
        .map(|c| format!("{} {}", c.name, c.unit))
        .collect();
    assert_eq!(channels[..4], ["setting_1 ", "setting_2 ", "setting_3 ", "T2 °R"]);
    assert_eq!(
        channels[10..15],
        ["Nf rpm", "Nc rpm", "epr ", "Ps30 psia", "phi pps/psi"]
    );
    assert_eq!(channels[22..], ["W31 lbm/s", "W32 lbm/s"]);
}

#[test]
fn harmless_variants_are_read_the_same() {
    let expected = parse(line(1, 1) + &line(1, 2)).unwrap();
    let text = line(1, 1) + &line(1, 2);
    for variant in [
        text.replace('\n', "\r\n"),
        text.replace(' ', "\t"),
        text.replace(' ', "   "),
        text.replace("  \n", "\n"),
        text.trim_end().to_owned(),
        text.clone() + "\n \r\n\n",
        text.replace(".5 ", ".50 "),
        text.replace("1.5 ", "15e-1 ")
            .replace("215e-1", "21.5")
            .replace("115e-1", "11.5"),
    ] {
        assert_eq!(parse(&variant).unwrap(), expected, "{variant:?}");
    }
}

#[test]
fn cycles_may_start_late_and_leave_gaps() {
    let fleet = parse(line(3, 5) + &line(3, 9) + &line(1, u32::MAX)).unwrap();
    assert_eq!(fleet.assets()[0].rul(LifeUnit::Cycles), Some(vec![4.0, 0.0]));
    assert_eq!(
        fleet.assets()[1].times(),
        [LifeUnit::Cycles.instant(i64::from(u32::MAX))]
    );
}

#[test]
fn missing_readings_are_nan() {
    for nan in ["NaN", "nan", "NAN", "-nan"] {
        let fleet = parse(line(1, 1).replace(" 7.5 ", &format!(" {nan} "))).unwrap();
        let (_, values) = fleet.assets()[0].rows().next().unwrap();
        let missing: Vec<usize> = (0..24).filter(|&i| values[i].is_nan()).collect();
        // C prints some of them with a sign.
        assert_eq!(missing, [6], "{nan}");
    }
}

#[test]
fn hostile_lines_are_named() {
    use ErrorKind::InvalidInput;
    let good = line(1, 1);
    let second = |bad: &str| parse(good.clone() + bad + &line(1, 3));
    let fields = |n: usize| vec!["1"; n].join(" ") + "\n";
    for n in [1, 2, 3, 25, 27, 52, 10_000] {
        refused(
            second(&fields(n)),
            InvalidInput,
            &["line 2", "expected 26 columns", &format!("got {n}")],
        );
    }
    refused(second("\n"), InvalidInput, &["line 2", "expected 26 columns", "got 0"]);
    // A word too many is a wrong count, even where a number is unreadable as well.
    refused(
        second("x y z\n"),
        InvalidInput,
        &["line 2", "expected 26 columns", "got 3"],
    );

    for bad in [
        "0",
        "-1",
        "1.0",
        "1e0",
        "x",
        "NaN",
        "4294967296",
        "99999999999999999999",
        "0x1",
        "１",
    ] {
        refused(
            second(&line(bad, 2)),
            InvalidInput,
            &["line 2", "column 1 (engine)", "whole number", bad],
        );
        refused(
            second(&line(1, bad)),
            InvalidInput,
            &["line 2", "column 2 (cycle)", "whole number", bad],
        );
    }
    for bad in [
        "x", "1,5", "1.5.0", "--1", "1e", "inf", "-inf", "infinity", "1e999", "-1e999", "0x1F", "1_0", "NaN0", "\0",
    ] {
        for (column, name, old) in [(3, "setting_1", " 1.5 "), (6, "T2", " 4.5 "), (26, "W32", " 24.5 ")] {
            let line = line(1, 2).replace(old, &format!(" {bad} "));
            let place = format!("column {column} ({name})");
            refused(
                second(&line),
                InvalidInput,
                &["line 2", &place, "a finite number or NaN"],
            );
        }
    }
    // A long field does not fill the message.
    let e = second(&line(1, 2).replace(" 4.5 ", &format!(" {} ", "9x".repeat(100_000)))).unwrap_err();
    assert!(e.to_string().len() < 200, "{e}");

    refused(
        second(&line(1, 1)),
        InvalidInput,
        &["line 2", "cycle", "1 after 1 of engine 1"],
    );
    refused(
        parse(line(4, 9) + &line(4, 3)),
        InvalidInput,
        &["line 2", "3 after 9 of engine 4"],
    );
    let scattered = line(1, 1) + &line(2, 1) + &line(1, 2);
    refused(
        parse(scattered),
        InvalidInput,
        &["line 3", "engine 1 again", "together"],
    );
}

#[test]
fn hostile_files_are_refused() {
    for empty in ["", "\n", " \r\n\t\n"] {
        refused(parse(empty), ErrorKind::InsufficientData, &["at least 1 row"]);
    }
    let latin = [line(1, 1).as_bytes(), b"1 2 \xB0R\n"].concat();
    let at = format!("byte {}", line(1, 1).len() + 4);
    refused(parse(&latin), ErrorKind::InvalidInput, &["line 2", "UTF-8", &at]);
    refused(
        parse([0xFF, 0xFE, b'1', 0]),
        ErrorKind::InvalidInput,
        &["line 1", "UTF-8", "byte 0"],
    );
    refused(
        parse("\u{FEFF}".to_owned() + &line(1, 1)),
        ErrorKind::InvalidInput,
        &["line 1", "column 1"],
    );
    refused(parse([0; 64]), ErrorKind::InvalidInput, &["line 1", "26 columns"]);
    refused(
        parse("unit,cycle,T2\n1,1,5\n"),
        ErrorKind::InvalidInput,
        &["line 1", "26 columns", "got 1"],
    );

    let many: String = (1..=MAX_ASSETS + 1).map(|unit| line(unit, 1)).collect();
    refused(
        parse(&many),
        ErrorKind::InvalidInput,
        &[&format!("line {}", MAX_ASSETS + 1), "assets"],
    );
    let most = &many[..many.trim_end().rfind('\n').unwrap() + 1];
    assert_eq!(parse(most).unwrap().assets().len(), MAX_ASSETS);
}

#[test]
fn remaining_lives_fit_the_engines() {
    let text = line(1, 1) + &line(1, 2) + &line(2, 1);
    let with = |rul: &str| cmapss::parse(text.as_bytes(), Ends::FailedAfter(rul.as_bytes()));
    for rul in [
        "112 \n98 \n",
        "112\r\n98\r\n",
        "112\n98",
        " 112\n\t98\n\n",
        "112.0\n98.0",
    ] {
        let fleet = with(rul).unwrap();
        let ends: Vec<_> = fleet.assets().iter().map(|a| a.end()).collect();
        assert_eq!(ends, [EndOfLife::FailedAfter(112.0), EndOfLife::FailedAfter(98.0)]);
        assert_eq!(fleet.assets()[0].rul(LifeUnit::Cycles), Some(vec![113.0, 112.0]));
    }
    for (rul, got) in [("", "got 0"), ("1\n", "got 1"), ("1\n2\n3\n", "got 3")] {
        refused(
            with(rul),
            ErrorKind::InvalidInput,
            &["remaining lives", "expected 2, one an engine", got],
        );
    }
    for bad in ["x", "-1", "NaN", "inf", "1e999", "1 2", "\n"] {
        refused(
            with(&format!("1\n{bad}\n2\n")),
            ErrorKind::InvalidInput,
            &["line 2", "remaining life"],
        );
    }
    let fleet = cmapss::parse(text.as_bytes(), Ends::Unknown).unwrap();
    assert!(fleet.assets().iter().all(|a| a.end() == EndOfLife::Unknown));
}

#[test]
fn files_are_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    refused(
        cmapss::load_train(dir.path(), Subset::Fd003),
        ErrorKind::Io,
        &["train_FD003.txt"],
    );
    refused(
        cmapss::load_file(dir.path(), Ends::Failed),
        ErrorKind::Io,
        &[dir.path().to_str().unwrap()],
    );

    fs::write(at("test_FD001.txt"), line(1, 1) + &line(2, 1)).unwrap();
    refused(
        cmapss::load_test(dir.path(), Subset::Fd001),
        ErrorKind::Io,
        &["RUL_FD001.txt"],
    );
    fs::write(at("RUL_FD001.txt"), "5\n").unwrap();
    let words = ["RUL_FD001.txt", "expected 2", "got 1"];
    refused(
        cmapss::load_test(dir.path(), Subset::Fd001),
        ErrorKind::InvalidInput,
        &words,
    );
    fs::write(at("RUL_FD001.txt"), "5\n6\n").unwrap();
    let fleet = cmapss::load_test(dir.path(), Subset::Fd001).unwrap();
    assert_eq!(fleet.assets()[1].end(), EndOfLife::FailedAfter(6.0));
    assert_eq!(
        cmapss::load_file(at("test_FD001.txt"), Ends::Failed).unwrap().assets()[1].end(),
        EndOfLife::Failed
    );

    fs::write(at("train_FD001.txt"), line(1, 1) + "1 2\n").unwrap();
    let words = ["train_FD001.txt: line 2: expected 26 columns, got 2"];
    refused(
        cmapss::load_train(dir.path(), Subset::Fd001),
        ErrorKind::InvalidInput,
        &words,
    );

    // A sparse file: larger than the limit, though it takes no room on the disk.
    fs::File::create(at("train_FD002.txt"))
        .unwrap()
        .set_len(MAX_FILE_BYTES + 1)
        .unwrap();
    // The message gives the number of bytes, so it was known before any was read.
    let words = ["train_FD002.txt", "at most 268435456 bytes", "got 268435457"];
    refused(
        cmapss::load_train(dir.path(), Subset::Fd002),
        ErrorKind::InvalidInput,
        &words,
    );
}

#[test]
fn subsets_have_names() {
    for (name, subset) in ["FD001", "FD002", "FD003", "FD004"].into_iter().zip(Subset::ALL) {
        assert_eq!(
            (name.parse::<Subset>().unwrap(), subset.to_string()),
            (subset, name.to_owned())
        );
        assert_eq!(name.to_lowercase().parse::<Subset>().unwrap(), subset);
    }
    for bad in ["", "FD005", "FD01", "1", " FD001"] {
        assert_eq!(bad.parse::<Subset>().unwrap_err().kind(), ErrorKind::InvalidParameter);
    }
}

/// Runs over the published files where `PROGNOS_DATA` names a folder with `cmapss/`; says so where it does not.
#[test]
fn published_files_are_whole() {
    let Some(data) = std::env::var_os("PROGNOS_DATA") else {
        println!("skipped: PROGNOS_DATA is not set, the published C-MAPSS files were not read");
        return;
    };
    let dir = Path::new(&data).join("cmapss");
    let expected = [(100, 20_631), (260, 53_759), (100, 24_720), (249, 61_249)];
    for (subset, (n_engines, n_rows)) in Subset::ALL.into_iter().zip(expected) {
        let started = Instant::now();
        let fleet = cmapss::load_train(&dir, subset).unwrap();
        println!("{subset}: {n_rows} rows in {:?}", started.elapsed());
        assert_eq!((fleet.assets().len(), fleet.n_rows()), (n_engines, n_rows), "{subset}");
        assert!(fleet.assets().iter().all(|a| a.end() == EndOfLife::Failed));
        assert!(
            fleet
                .assets()
                .iter()
                .all(|a| a.rows().all(|(_, v)| v.iter().all(|x| x.is_finite())))
        );
    }
    for (subset, n_engines, n_rows, rul_sum) in [
        (Subset::Fd001, 100, 13_096, 7_552.0),
        (Subset::Fd002, 259, 33_991, RUL_SUM_FD002),
    ] {
        let fleet = cmapss::load_test(&dir, subset).unwrap();
        assert_eq!((fleet.assets().len(), fleet.n_rows()), (n_engines, n_rows), "{subset}");
        let left = fleet
            .assets()
            .iter()
            .map(|a| *a.rul(LifeUnit::Cycles).unwrap().last().unwrap());
        assert_eq!(left.sum::<f64>(), rul_sum, "{subset}");
    }
    // The first and last line of FD001, as printed in the file.
    let fleet = cmapss::load_train(&dir, Subset::Fd001).unwrap();
    let (time, first) = fleet.assets()[0].rows().next().unwrap();
    assert_eq!(
        (time, first[0], first[2], first[3], first[23]),
        (LifeUnit::Cycles.instant(1), -0.0007, 100.0, 518.67, 23.419)
    );
    let last = &fleet.assets()[99];
    let (time, row) = last.rows().last().unwrap();
    assert_eq!(
        (last.asset(), time, row[22], row[23]),
        ("100", LifeUnit::Cycles.instant(200), 38.37, 23.0522)
    );
}

/// `awk '{s+=$1} END {print s}' RUL_FD002.txt`, and likewise 7552 for FD001.
const RUL_SUM_FD002: f64 = 21_027.0;
