//! Fleet tables: what is written is read back, and what is malformed is named.

use prognos::{
    ErrorKind, Result,
    dataset::{MAX_ASSETS, fleet_csv},
    quantity::{LifeUnit, Timestamp},
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
};
use proptest::prelude::*;
use std::{collections::HashSet, fs};

fn read(text: impl AsRef<[u8]>) -> Result<FleetHistory> {
    fleet_csv::read_fleet_from(text.as_ref())
}

fn write(fleet: &FleetHistory) -> Vec<u8> {
    let mut bytes = Vec::new();
    fleet_csv::write_fleet_to(&mut bytes, fleet).unwrap();
    bytes
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, kind: ErrorKind, words: &[&str]) {
    let e = read(text).unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
}

const TABLE: &str = "\
asset,time [s],rul [h],temperature [°C],load
pump 1,0,2.5,60.5,0.8
pump 1,3600,1.5,,-inf
pump 1,9000.000000001,0,64.25,1e300
\"pump, 2\",-0.5,,1e-7,-0
";

#[test]
fn table_is_read_as_described_and_written_the_same() {
    let fleet = read(TABLE).unwrap();
    assert_eq!(
        fleet.channels(),
        [Channel::new("temperature", "°C"), Channel::new("load", "")]
    );
    assert_eq!((fleet.life_unit(), fleet.n_rows()), (LifeUnit::Hours, 4));
    let [one, two] = fleet.assets() else {
        panic!("two assets")
    };
    assert_eq!(
        (one.asset(), one.end(), two.asset(), two.end()),
        ("pump 1", EndOfLife::Failed, "pump, 2", EndOfLife::Unknown)
    );
    assert_eq!(one.times()[2], Timestamp::from_nanos(9_000_000_000_001));
    assert_eq!(two.times()[0], Timestamp::from_nanos(-500_000_000));
    let rows: Vec<_> = one.rows().map(|(_, v)| v.to_vec()).collect();
    assert!(rows[1][0].is_nan() && rows[1][1] == f64::NEG_INFINITY && rows[2] == [64.25, 1e300]);

    // The life left is written for each row, from the one known at the last.
    let expected = TABLE
        .replace("0,2.5,", "0,2.5000000000002776,")
        .replace("3600,1.5,", "3600,1.5000000000002778,");
    let written = String::from_utf8(write(&fleet)).unwrap();
    assert_eq!(written, expected);
    assert_eq!(write(&read(&written).unwrap()), written.as_bytes());
}

#[test]
fn harmless_variants_are_read_the_same() {
    let text = "asset,time [cycles],rul [cycles],x\na,1,3,\na,2,2,1.5\n";
    let expected = write(&read(text).unwrap());
    for variant in [
        text.replace('\n', "\r\n"),
        text.replace('\n', "\n\n"),
        text.trim_end().to_owned(),
        "\u{FEFF}".to_owned() + text,
        text.replace("a,1,3,", "\"a\",\"1\",\"3.0\",NaN"),
        text.replace("a,2,2,1.5", "a,2.000000000,2,+1.50"),
    ] {
        assert_eq!(write(&read(&variant).unwrap()), expected, "{variant:?}");
    }
}

#[test]
fn any_leading_part_is_a_table() {
    let text = "asset,time [cycles],rul [cycles],x\na,1,2,5\na,2,1,5\na,3,0,5\nb,1,1,5\nb,2,0,5\n";
    for (n_lines, end) in [
        (2, EndOfLife::FailedAfter(2.0)),
        (3, EndOfLife::FailedAfter(1.0)),
        (4, EndOfLife::Failed),
    ] {
        let part: String = text.lines().take(n_lines).map(|l| format!("{l}\n")).collect();
        assert_eq!(read(part).unwrap().assets()[0].end(), end);
    }
}

#[test]
fn hostile_headers_are_named() {
    use ErrorKind::InvalidInput;
    refused("", ErrorKind::InsufficientData, &["header"]);
    refused("\n\r\n\n", ErrorKind::InsufficientData, &["header"]);
    refused(
        "asset,time [s],rul [s],x\n",
        ErrorKind::InsufficientData,
        &["at least 1 row"],
    );
    for (header, words) in [
        ("unit,time [s],rul [s],x", ["header column 1", "`asset`", "`unit`"]),
        ("asset", ["header column 2", "`time [cycles]` or `time [s]`", "nothing"]),
        ("asset,time,rul [s],x", ["header column 2", "`time [s]`", "`time`"]),
        (
            "asset,time [h],rul [h],x",
            ["header column 2", "`time [s]`", "`time [h]`"],
        ),
        (
            "asset,time [s],rul [years],x",
            ["header column 3", "`rul [days]`", "`rul [years]`"],
        ),
        (
            "asset,time [s],rul [cycles],x",
            ["header column 2", "`time [cycles]` before `rul [cycles]`", "`time [s]`"],
        ),
        (
            "asset,time [cycles],rul [s],x",
            ["header column 2", "`time [s]` before `rul [s]`", "`time [cycles]`"],
        ),
        ("asset,time [s],rul [s]", ["header", "at least 1 channel", "0"]),
        ("asset,time [s],rul [s],x,x", ["channel names", "unique", "`x`"]),
        ("asset,time [s],rul [s],x [g],x [V]", ["channel names", "unique", "`x`"]),
        ("asset,time [s],rul [s],", ["channel names", "not empty", "``"]),
    ] {
        refused(
            header.to_owned() + "\na,1,0,1\n",
            InvalidInput,
            &[&["line 1"][..], &words].concat(),
        );
    }
    let wide = "asset,time [s],rul [s]".to_owned() + &(0..65_536).map(|i| format!(",c{i}")).collect::<String>();
    refused(&wide, InvalidInput, &["line 1", "channels", "at most 65535", "65536"]);
    refused(vec![b','; 2 << 20], InvalidInput, &["line 1", "commas"]);
}

#[test]
fn hostile_rows_are_named() {
    use ErrorKind::InvalidInput;
    let text = |rows: &str| format!("asset,time [s],rul [h],x [g],y\na,1,,5,6\n{rows}");
    for (rows, words) in [
        ("a,2,,5\n", ["line 3", "expected 5 columns", "got 4"]),
        ("a,2,,5,6,7\n", ["line 3", "expected 5 columns", "got 6"]),
        ("a\n", ["line 3", "expected 5 columns", "got 1"]),
        ("\r\n\r\na,2,,5\r\n", ["line 5", "expected 5 columns", "got 4"]),
        (
            "a,2,,5,6\r\na,3,,5,6\r\na,4\r\n",
            ["line 5", "expected 5 columns", "got 2"],
        ),
        ("a,2,,5,z\n", ["line 3", "column 5 (`y`)", "`z`"]),
        ("a,2,, 5,6\n", ["line 3", "column 4 (`x`)", "` 5`"]),
        ("a,2,,1e999,6\n", ["line 3", "column 4 (`x`)", "`1e999`"]),
        ("a,2,,\"1,5\",6\n", ["line 3", "column 4 (`x`)", "`1,5`"]),
        ("a,2,,\"5,6\nb,3,,5,6\n", ["line 3", "expected 5 columns", "got 4"]),
        ("a,x,,5,6\n", ["line 3", "column 2 (time)", "`x`"]),
        ("a,,,5,6\n", ["line 3", "column 2 (time)", "``"]),
        ("a,1e3,,5,6\n", ["line 3", "column 2 (time)", "`1e3`"]),
        ("a,+2,,5,6\n", ["line 3", "column 2 (time)", "`+2`"]),
        ("a,2.,,5,6\n", ["line 3", "column 2 (time)", "`2.`"]),
        ("a,NaN,,5,6\n", ["line 3", "column 2 (time)", "`NaN`"]),
        (
            "a,2.0000000001,,5,6\n",
            ["line 3", "at most 9 decimals", "`2.0000000001`"],
        ),
        (
            "a,9223372036.854775808,,5,6\n",
            ["line 3", "column 2 (time)", "9223372036.854775808"],
        ),
        (
            "a,99999999999999999999999,,5,6\n",
            ["line 3", "column 2 (time)", "9999"],
        ),
        ("a,1,,5,6\n", ["line 3", "column 2 (time)", "1 s after 1 s"]),
        ("a,0,,5,6\n", ["line 3", "column 2 (time)", "above the one before"]),
        ("b,1,,5,6\na,2,,5,6\n", ["line 4", "together", "`a` again"]),
        (
            "a,2,7,5,6\n",
            ["line 3", "column 3 (rul)", "nothing, as in the row before, got 7"],
        ),
        ("b,1,-1,5,6\n", ["line 3", "column 3 (rul)", "`-1`"]),
        ("b,1,inf,5,6\n", ["line 3", "column 3 (rul)", "`inf`"]),
        ("b,1,NaN,5,6\n", ["line 3", "column 3 (rul)", "`NaN`"]),
        (
            "b,0,3,5,6\nb,3600,3,5,6\n",
            ["line 4", "column 3 (rul)", "expected 2, 1 below the row before, got 3"],
        ),
        ("b,0,3,5,6\nb,3600,,5,6\n", ["line 4", "column 3 (rul)", "got nothing"]),
        ("b,0,0,5,6\nb,3600,0,5,6\n", ["line 4", "column 3 (rul)", "expected -1"]),
    ] {
        refused(text(rows), InvalidInput, &words);
    }
    let latin = [text("").as_bytes(), b"a,2,,\xB0,6\n"].concat();
    refused(latin, InvalidInput, &["line 3", "UTF-8", "column 4"]);
    let e = read(text(&format!("a,2,,{},6\n", "9x".repeat(1 << 20)))).unwrap_err();
    assert!(e.to_string().len() < 200, "{e}");

    let many: String = (0..=MAX_ASSETS).map(|i| format!("{i},1,0,5,6\n")).collect();
    let table = "asset,time [s],rul [s],x,y\n".to_owned() + &many;
    refused(
        table,
        InvalidInput,
        &["assets", "at most 16384", &format!("line {}", MAX_ASSETS + 2)],
    );
}

#[test]
fn readers_that_fail_or_never_end_are_refused() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("cable out"))
        }
    }
    let e = fleet_csv::read_fleet_from(Broken).unwrap_err();
    assert!(e.kind() == ErrorKind::Io && e.to_string().contains("cable out"), "{e}");
    let e = fleet_csv::read_fleet_from(std::io::repeat(b'a')).unwrap_err();
    assert!(
        e.kind() == ErrorKind::InvalidInput && e.to_string().contains("at most 268435456 bytes"),
        "{e}"
    );
}

#[test]
fn files_are_written_whole_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleet.csv");
    let e = fleet_csv::read_fleet(&path).unwrap_err();
    assert!(e.kind() == ErrorKind::Io && e.to_string().contains("fleet.csv"), "{e}");
    let fleet = read("asset,time [s],rul [days],x\na,1,4,5\n").unwrap();
    fleet_csv::write_fleet(&path, &fleet).unwrap();
    assert_eq!(fleet_csv::read_fleet(&path).unwrap(), fleet);
    fs::write(&path, "asset,time [s],rul [days],x\na,1,4\n").unwrap();
    let e = fleet_csv::read_fleet(&path).unwrap_err();
    assert!(
        e.to_string()
            .ends_with("fleet.csv: line 2: expected 4 columns as in the header, got 3"),
        "{e}"
    );
    let e = fleet_csv::write_fleet(dir.path().join("no/fleet.csv"), &fleet).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Io);
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let fleet = |name: &str, unit: &str| {
        let mut fleet = FleetHistory::new(vec![Channel::new(name, unit)], LifeUnit::Cycles).unwrap();
        let asset = AssetHistory::new("a", vec![Timestamp::default()], vec![1.0], 1, EndOfLife::Failed);
        fleet.push(asset.unwrap()).unwrap();
        fleet
    };
    for (name, unit) in [("x [g]", ""), ("x", "a [b"), ("x [", "]")] {
        match fleet_csv::write_fleet_to(&mut Vec::new(), &fleet(name, unit)) {
            Err(e) => assert_eq!(e.kind(), ErrorKind::InvalidInput, "{e}"),
            Ok(()) => assert_eq!(read(write(&fleet(name, unit))).unwrap(), fleet(name, unit)),
        }
    }
    assert!(fleet_csv::write_fleet_to(&mut Vec::new(), &fleet("x [g]", "")).is_err());
    let empty = FleetHistory::new(vec![Channel::new("x", "")], LifeUnit::Cycles).unwrap();
    let e = fleet_csv::write_fleet_to(&mut Vec::new(), &empty).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InsufficientData);
}

/// Fleets with any names, units, instants and readings.
fn fleets() -> impl Strategy<Value = FleetHistory> {
    let word = || prop_oneof!["[a-z]{1,6}", "[\\PC,\"\n\r °]{1,8}"];
    let units = prop_oneof![Just(String::new()), Just("°C".to_owned()), "[a-z/²]{1,4}"];
    let unit = prop::sample::select(vec![
        LifeUnit::Cycles,
        LifeUnit::Seconds,
        LifeUnit::Hours,
        LifeUnit::Days,
    ]);
    let reading = prop_oneof![any::<f64>(), -1e3..1e3, Just(f64::NAN), Just(f64::INFINITY), Just(-0.0)];
    let end = prop_oneof![
        Just(EndOfLife::Failed),
        Just(EndOfLife::Unknown),
        (0.0..1e4).prop_map(EndOfLife::FailedAfter),
        prop::sample::select(vec![0.0, 5e-324, 1e300, f64::MAX]).prop_map(EndOfLife::FailedAfter),
    ];
    let time = prop_oneof![any::<i64>(), (-9_i64..99).prop_map(|s| s * 1_000_000_000)];
    let asset = (word(), prop::collection::btree_set(time, 1..6), end);
    (
        prop::collection::vec((word(), units), 1..5),
        unit,
        prop::collection::vec(asset, 1..5),
        prop::collection::vec(reading, 200),
    )
        .prop_filter_map(
            "names are unique and can be told from units",
            |(channels, unit, assets, readings)| {
                let bracketed = channels.iter().any(|(name, _)| name.ends_with(']'));
                let channels: Vec<_> = channels.into_iter().map(|(n, u)| Channel::new(n, u)).collect();
                let mut fleet = FleetHistory::new(channels, unit).ok().filter(|_| !bracketed)?;
                let (n, mut names, mut readings) =
                    (fleet.channels().len(), HashSet::new(), readings.into_iter().cycle());
                for (name, times, end) in assets {
                    if names.insert(name.clone()) {
                        let times: Vec<_> = times.into_iter().map(Timestamp::from_nanos).collect();
                        let values = readings.by_ref().take(times.len() * n).collect();
                        fleet
                            .push(AssetHistory::new(name, times, values, n, end).unwrap())
                            .unwrap();
                    }
                }
                Some(fleet)
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(fleet in fleets()) {
        let bytes = write(&fleet);
        let back = read(&bytes).unwrap();
        prop_assert_eq!(back.channels(), fleet.channels());
        prop_assert_eq!(back.life_unit(), fleet.life_unit());
        prop_assert_eq!(back.assets().len(), fleet.assets().len());
        for (a, b) in fleet.assets().iter().zip(back.assets()) {
            let end = if a.end() == EndOfLife::FailedAfter(0.0) { EndOfLife::Failed } else { a.end() };
            prop_assert_eq!((a.asset(), a.times(), end), (b.asset(), b.times(), b.end()));
            let bits = |x: &f64| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
            for ((_, x), (_, y)) in a.rows().zip(b.rows()) {
                prop_assert_eq!(x.iter().map(bits).collect::<Vec<_>>(), y.iter().map(bits).collect::<Vec<_>>());
            }
        }
        prop_assert_eq!(write(&back), bytes);
    }

    #[test]
    fn altered_tables_never_panic(at in 0..TABLE.len(), byte in any::<u8>(), cut in 0..TABLE.len()) {
        let mut bytes = TABLE.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(fleet) = read(&bytes) {
            // What is taken is a fleet like any other. Only a channel's name may be one that cannot be written.
            let mut out = Vec::new();
            if fleet_csv::write_fleet_to(&mut out, &fleet).is_ok() {
                prop_assert_eq!(write(&read(&out).unwrap()), out);
            }
        }
        let _ = read(&bytes[..cut]);
    }
}
