//! FEMTO's bearings run to failure: as published, where they are at hand, and made-up ones.

use crate::{
    counting_allocator::measured,
    waveform_files::{damaged, golden, is_as_summarised, noise_after, recorded, refused},
};
use prognos::{
    ErrorKind, Result,
    dataset::femto::{self, Condition, N_SAMPLES, RATE_HZ, Snapshot},
    quantity::Timestamp,
};
use std::{fmt::Write as _, fs};

/// A snapshot from 9:39:39.065665 on, sample `i` being `i` and `-i` thousandths.
fn snapshot() -> String {
    let mut text = String::new();
    for i in 0..N_SAMPLES {
        writeln!(
            text,
            "9,39,39,{:.4e},{},-{}",
            65_665.0 + 39.0625 * i as f64,
            i as f64 / 1e3,
            i as f64 / 1e3
        )
        .unwrap();
    }
    text
}

/// The same, starting at this hour.
fn snapshot_at(hour: u32) -> String {
    snapshot().replace("9,39,39,", &format!("{hour},39,39,"))
}

fn seconds(hour: i64) -> i64 {
    hour * 3600 + 39 * 60 + 39
}

#[test]
fn the_published_form_is_read_with_either_separator() {
    let comma = snapshot();
    for text in [
        comma.clone(),
        comma.replace(',', ";"),
        comma.replace('\n', "\r\n"),
        comma.trim_end().to_owned(),
    ] {
        let r = femto::parse_snapshot(text.as_bytes()).unwrap();
        assert_eq!((r.n_samples(), r.rate().get()), (N_SAMPLES, RATE_HZ));
        assert!(
            r.channels()
                .iter()
                .map(|c| (c.name.as_str(), c.unit.as_str()))
                .eq([("horizontal", "g"), ("vertical", "g")])
        );
        assert_eq!(
            (r.channel(0).unwrap()[2_559], r.channel(1).unwrap()[7]),
            (2.559, -0.007)
        );
        // 65,665 µs in five digits.
        assert_eq!(r.start().nanos(), seconds(9) * 1_000_000_000 + 65_665_000);
    }
}

#[test]
fn a_folder_is_read_in_order_through_midnight() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    refused(
        femto::snapshots(folder.path()),
        ErrorKind::InsufficientData,
        &["acc_00001.csv"],
    );
    put("acc_00010.csv", &snapshot_at(1));
    put("acc_00002.csv", &snapshot_at(23));
    put("acc_00009.csv", &snapshot_at(0));
    put("acc_00011.csv", &snapshot_at(0));
    put("temp_00001.csv", "9,39,39,0.1,70\n");
    put("acc_1x.csv", "");
    put("acc_+3.csv", "");
    let snapshots = femto::snapshots(folder.path()).unwrap();
    assert_eq!(snapshots.len(), 4);
    let all: Vec<Snapshot> = snapshots.collect::<Result<_>>().unwrap();
    let days = |s: &Snapshot| (s.number, s.recording.start().nanos() / 86_400_000_000_000);
    assert_eq!(
        all.iter().map(days).collect::<Vec<_>>(),
        [(2, 0), (9, 1), (10, 1), (11, 2)]
    );
    assert_eq!(
        all[1].recording.start(),
        Timestamp::from_nanos((86_400 + seconds(0)) * 1_000_000_000 + 65_665_000)
    );

    put("acc_00009.csv", "damaged");
    let results: Vec<_> = femto::snapshots(folder.path()).unwrap().collect();
    let e = results[1].as_ref().unwrap_err();
    assert!(e.to_string().contains("acc_00009.csv: line 1"), "{e}");
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 3);
    put("acc_9.csv", "");
    refused(
        femto::snapshots(folder.path()),
        ErrorKind::InvalidInput,
        &["acc_9.csv", "9 again"],
    );
    refused(femto::snapshots(folder.path().join("no")), ErrorKind::Io, &["no"]);
    refused(femto::load_snapshot("no.csv"), ErrorKind::Io, &["no.csv"]);
}

#[test]
fn bearings_have_conditions() {
    for (name, condition) in [
        ("Bearing1_1", Some(Condition::One)),
        ("a/Bearing2_7.parquet", Some(Condition::Two)),
        ("Bearing3_3/", Some(Condition::Three)),
        ("Bearing4_1", None),
        ("Bearing1", None),
        ("Bearing1_", None),
        ("Bearing1_x", None),
        ("bearing1_1", None),
        ("", None),
    ] {
        assert_eq!(Condition::of_bearing(name), condition, "{name}");
    }
    let all = Condition::ALL.map(|c| (c.rpm(), c.load_n()));
    assert_eq!(all, [(1800.0, 4000.0), (1650.0, 4200.0), (1500.0, 5000.0)]);
}

#[test]
fn malformed_snapshots_are_named() {
    let text = snapshot();
    let line = |n: usize, with: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines[n - 1] = with;
        lines.join("\n")
    };
    for (text, words) in [
        (String::new(), &["2560", "got 0"][..]),
        (
            text.lines().take(2_559).collect::<Vec<_>>().join("\n"),
            &["2560", "got 2559"],
        ),
        (text.clone() + "9,39,39,0,0,0\n", &["2560", "more"]),
        (line(7, "9,39,39,0,0"), &["line 7", "6", "5"]),
        (line(7, "9,39,39,0,0,0,0"), &["line 7", "6", "7"]),
        (line(7, ""), &["line 7", "6", "1"]),
        (line(7, "9;39;39;0;0;0"), &["line 1", "fields"]),
        (
            line(8, "9,39,39,0,NaN,0"),
            &["line 8", "column 5 (horizontal)", "`NaN`"],
        ),
        (line(8, "9,39,39,0,0,inf"), &["line 8", "column 6 (vertical)"]),
        (line(8, "9,x,39,0,0,0"), &["line 8", "column 2 (minute)", "`x`"]),
        (line(1, "24,39,39,0,0,0"), &["line 1", "time", "24"]),
        (line(1, "9,60,39,0,0,0"), &["line 1", "time"]),
        (line(1, "9,39,-1,0,0,0"), &["line 1", "time"]),
        (line(1, "9.5,39,1,0,0,0"), &["line 1", "time"]),
        (line(1, "9,39,1,1.1e6,0,0"), &["line 1", "time"]),
    ] {
        refused(femto::parse_snapshot(text.as_bytes()), ErrorKind::InvalidInput, words);
    }
    refused(
        femto::parse_snapshot(b"1\n\xFF"),
        ErrorKind::InvalidInput,
        &["line 2", "UTF-8"],
    );
}

#[test]
fn cuts_and_damage_are_refused() {
    let text = snapshot();
    // A cut within the last number may leave a number, and the end of the line means nothing.
    let last = text.trim_end().rfind(',').unwrap() + 2;
    for n in (0..last).step_by(97).chain(last - 40..=last) {
        refused(
            femto::parse_snapshot(&text.as_bytes()[..n]),
            ErrorKind::InvalidInput,
            &["line"],
        );
    }
    for seed in 0..300 {
        for bytes in [damaged(text.as_bytes(), seed), noise_after(b"1,2,3,4,5,6\n", 200, seed)] {
            let (result, held) = measured(|| femto::parse_snapshot(&bytes));
            assert!(held < 200_000, "{held}");
            match result {
                Ok(r) => assert_eq!(r.n_samples(), N_SAMPLES),
                Err(e) => assert_eq!(e.kind(), ErrorKind::InvalidInput),
            }
        }
    }
}

#[test]
fn published_snapshots_are_read_as_pandas_reads_them() {
    let Some(folder) = recorded("femto") else { return };
    for expected in golden()["femto"]["csv"].as_array().unwrap() {
        let path = folder.join("raw_csv").join(expected["file"].as_str().unwrap());
        let r = femto::load_snapshot(path).unwrap();
        assert_eq!(serde_json::json!(r.start().nanos()), expected["start_nanos"]);
        for name in ["horizontal", "vertical"] {
            is_as_summarised(r.channel_named(name).unwrap(), &expected[name]);
        }
    }
    // The last 60 of a bearing that was snapped every 10 s.
    let all: Vec<Snapshot> = femto::snapshots(folder.join("raw_csv"))
        .unwrap()
        .collect::<Result<_>>()
        .unwrap();
    assert_eq!((all.len(), all[0].number, all[59].number), (60, 812, 871));
    for pair in all.windows(2) {
        let apart = pair[1].recording.start().seconds_since(pair[0].recording.start());
        assert!((apart - 10.0).abs() < 0.01, "{}: {apart}", pair[1].number);
    }
}

#[cfg(feature = "polars")]
mod parquet {
    use super::*;
    use femto::Bearing;
    use prognos::table::{self, polars::prelude::*};
    use std::path::Path;

    fn frame(numbers: &[i32]) -> DataFrame {
        let snapshot: Vec<i32> = numbers.iter().flat_map(|&n| [n; N_SAMPLES]).collect();
        let horizontal: Vec<i32> = (0..snapshot.len() as i32).collect();
        let vertical: Vec<i32> = horizontal.iter().map(|v| -v).collect();
        df!("snapshot" => snapshot, "horizontal_mg" => horizontal, "vertical_mg" => vertical).unwrap()
    }

    #[test]
    fn a_bearing_is_read_from_its_frame() {
        let bearing = Bearing::from_frame(&frame(&[1, 2, 5])).unwrap();
        assert_eq!(bearing.n_snapshots(), 3);
        let all: Vec<Snapshot> = bearing.snapshots().collect::<Result<_>>().unwrap();
        let places: Vec<_> = all.iter().map(|s| (s.number, s.recording.start())).collect();
        assert_eq!(
            places,
            [(1, 0), (2, 10), (5, 40)].map(|(n, s)| (n, Timestamp::from_secs(s)))
        );
        let r = &all[1].recording;
        assert_eq!(
            (
                r.channel_named("horizontal").unwrap()[1],
                r.channel_named("vertical").unwrap()[1]
            ),
            (2.561, -2.561)
        );
        assert_eq!(
            (r.rate().get(), r.n_samples(), r.channels()[0].unit.as_str()),
            (RATE_HZ, N_SAMPLES, "g")
        );
    }

    #[test]
    fn malformed_frames_are_named() {
        let whole = frame(&[1, 2]);
        let without = |name: &str| whole.drop(name).unwrap();
        let with = |column: Column| whole.clone().with_column(column).unwrap().clone();
        let replaced = |row: usize, value: Option<i32>| {
            let mut numbers: Vec<Option<i32>> = whole.column("snapshot").unwrap().i32().unwrap().iter().collect();
            numbers[row] = value;
            with(Column::new("snapshot".into(), numbers))
        };
        for (frame, kind, words) in [
            (without("snapshot"), ErrorKind::InvalidInput, &["snapshot"][..]),
            (without("vertical_mg"), ErrorKind::InvalidInput, &["vertical_mg"]),
            (
                with(Column::new("vertical_mg".into(), vec![0.5; 2 * N_SAMPLES])),
                ErrorKind::InvalidInput,
                &["vertical_mg", "i32", "f64"],
            ),
            (
                replaced(9, None),
                ErrorKind::InvalidInput,
                &["snapshot", "row 9", "null"],
            ),
            (
                replaced(9, Some(2)),
                ErrorKind::InvalidInput,
                &["row 9", "snapshot 1", "got 2"],
            ),
            (
                whole.head(Some(N_SAMPLES + 3)),
                ErrorKind::InvalidInput,
                &["row 2560", "2560 rows", "got 3"],
            ),
            (whole.head(Some(0)), ErrorKind::InsufficientData, &["1 snapshot"]),
            (
                super::parquet::frame(&[2, 1]),
                ErrorKind::InvalidInput,
                &["row 2560", "above 2", "got 1"],
            ),
            (
                super::parquet::frame(&[1, 1]),
                ErrorKind::InvalidInput,
                &["row 2560", "above 1", "got 1"],
            ),
            (
                super::parquet::frame(&[0]),
                ErrorKind::InvalidInput,
                &["row 0", "above 0", "got 0"],
            ),
            (
                super::parquet::frame(&[-1]),
                ErrorKind::InvalidInput,
                &["row 0", "got -1"],
            ),
        ] {
            refused(Bearing::from_frame(&frame), kind, words);
        }
        refused(Bearing::read("no.parquet"), ErrorKind::Io, &["no.parquet"]);
    }

    #[test]
    fn damaged_files_are_errors_not_panics() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bearing.parquet");
        table::write_parquet(&mut frame(&[1]), &path).unwrap();
        assert_eq!(Bearing::read(&path).unwrap().n_snapshots(), 1);
        let bytes = fs::read(&path).unwrap();
        std::panic::set_hook(Box::new(|_| {})); // Polars' own panics are caught, and not to be printed
        let refuse = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            Bearing::read(&path).is_err()
        };
        for n in (0..bytes.len()).step_by(bytes.len() / 200) {
            assert!(refuse(&bytes[..n]), "cut at {n}");
        }
        let refused = (0..1_000).filter(|&seed| refuse(&damaged(&bytes, seed))).count();
        let _ = std::panic::take_hook();
        assert!(refused > 300, "{refused}");
    }

    fn bearing(folder: &Path, expected: &serde_json::Value) -> Bearing {
        Bearing::read(folder.join(expected["file"].as_str().unwrap())).unwrap()
    }

    #[test]
    fn published_bearings_are_read_as_pandas_reads_them() {
        let Some(folder) = recorded("femto") else { return };
        for expected in golden()["femto"]["parquet"].as_array().unwrap() {
            let bearing = bearing(&folder, expected);
            assert_eq!(serde_json::json!(bearing.n_snapshots()), expected["snapshots"]);
            let mut sums = [0_i64; 2];
            for snapshot in bearing.snapshots() {
                let Snapshot { number, recording, .. } = snapshot.unwrap();
                for ((sum, name), samples) in sums.iter_mut().zip(["horizontal", "vertical"]).zip(recording.slices()) {
                    *sum += samples.iter().map(|g| (g * 1000.0).round() as i64).sum::<i64>();
                    if expected["snapshot"] == number {
                        is_as_summarised(samples, &expected[name]);
                    }
                }
            }
            assert_eq!(
                serde_json::json!(sums),
                serde_json::json!([expected["sum_horizontal_mg"], expected["sum_vertical_mg"]])
            );
        }
    }

    #[test]
    fn the_files_as_shipped_and_the_parquet_hold_the_same() {
        let Some(folder) = recorded("femto") else { return };
        let bearing = Bearing::read(folder.join("Bearing1_2.parquet")).unwrap();
        let of_csv = femto::snapshots(folder.join("raw_csv")).unwrap();
        let of_parquet = bearing.snapshots().skip(811);
        let mut n = 0;
        for (a, b) in of_csv.zip(of_parquet) {
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!((a.number, a.recording.slices()), (b.number, b.recording.slices()));
            n += 1;
        }
        assert_eq!(n, 60);
    }
}
