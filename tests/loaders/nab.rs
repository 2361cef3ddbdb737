//! The score of the Numenta Anomaly Benchmark, against the public scorer where its files are at hand and against a naive
//! version, and the loader of its files.

use prognos::{
    Error, ErrorKind,
    dataset::nab::{self, NabSeries},
    evaluate::{NabFile, NabProfile, nab_best_threshold, nab_normalised},
    quantity::Timestamp,
};
use proptest::prelude::*;
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::PathBuf};

fn published() -> Option<PathBuf> {
    let data = std::env::var_os("PROGNOS_DATA");
    if data.is_none() {
        println!("skipped: PROGNOS_DATA is not set, the published NAB files were not read");
    }
    Some(PathBuf::from(data?).join("nab"))
}

#[derive(Deserialize)]
struct Reference {
    threshold: f64,
    raw_by_file: BTreeMap<String, f64>,
    raw_sum: f64,
    normalized_over_these_files: f64,
}

fn scores_of(dir: &std::path::Path, detector: &str, series: &NabSeries) -> Vec<f64> {
    let (category, file) = series.name.split_once('/').unwrap();
    let path = dir.join("reference").join(detector).join(category);
    let read = nab::load_column(path.join(format!("{detector}_{file}")), "anomaly_score").unwrap();
    assert_eq!(read.times, series.column.times, "{detector} {}", series.name);
    read.values
}

#[test]
fn raw_scores_are_those_of_the_public_scorer() {
    let Some(dir) = published() else { return };
    let text = fs::read(dir.join("reference/scores.json")).unwrap();
    let reference: BTreeMap<String, BTreeMap<String, Reference>> = serde_json::from_slice(&text).unwrap();
    let corpus = nab::load(&dir).unwrap();
    let (mut n_compared, mut worst) = (0, 0.0_f64);
    for (detector, profiles) in &reference {
        let scorers: Vec<NabFile> = corpus.iter().map(|s| s.scorer().unwrap()).collect();
        let scores: Vec<Vec<f64>> = corpus.iter().map(|s| scores_of(&dir, detector, s)).collect();
        let pairs: Vec<(&NabFile, &[f64])> = scorers.iter().zip(scores.iter().map(Vec::as_slice)).collect();
        for (name, expected) in profiles {
            let profile: NabProfile = name.parse().unwrap();
            let mut sum = 0.0;
            for (series, (file, scores)) in corpus.iter().zip(&pairs) {
                let raw = file.score(scores, expected.threshold, profile).unwrap();
                let public = expected.raw_by_file[&series.name];
                assert!(
                    (raw - public).abs() <= 1e-12,
                    "{detector} {name} {}: {raw} {public}",
                    series.name
                );
                worst = worst.max((raw - public).abs());
                sum += raw;
                n_compared += 1;
            }
            let n_windows = scorers.iter().map(NabFile::n_windows).sum();
            let normalised = nab_normalised(sum, n_windows, profile).unwrap();
            assert!((sum - expected.raw_sum).abs() <= 1e-11);
            assert!((normalised - expected.normalized_over_these_files).abs() <= 1e-10);

            // The best threshold is no worse than the one published, and than any other in the files.
            let best = nab_best_threshold(&pairs, profile).unwrap();
            println!(
                "{detector} {name}: {normalised:.3} at {}, {:.3} at {}",
                expected.threshold, best.normalised, best.threshold
            );
            assert!(best.raw_sum >= sum - 1e-9);
            for threshold in [0.0, 0.1, 0.5, 0.7, 0.9, 0.99, 0.999, 1.0, f64::INFINITY] {
                let raw = pairs.iter().map(|(f, s)| f.score(s, threshold, profile).unwrap());
                assert!(best.raw_sum >= raw.sum::<f64>() - 1e-9, "{threshold}");
            }
        }
    }
    println!("{n_compared} raw scores compared, largest difference {worst:e}");
    assert_eq!(n_compared, 2 * 3 * corpus.len());
}

#[test]
fn published_files_are_whole() {
    let Some(dir) = published() else { return };
    let corpus = nab::load(dir.join("data")).unwrap();
    assert_eq!(
        corpus,
        nab::load(&dir).unwrap(),
        "the folder `data` and the one that holds it"
    );
    assert_eq!(corpus.len(), 18);
    let windows: usize = corpus.iter().map(|s| s.windows.as_ref().unwrap().len()).sum();
    assert_eq!(windows, 25);
    let names: Vec<&str> = corpus.iter().map(|s| s.name.as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
    for series in &corpus {
        let (history, rows) = series.history().unwrap();
        let lost = series.column.times.len() - history.n_rows();
        // Clocks that were set back: eleven times repeat, one hour comes again.
        let expected = match series.name.as_str() {
            "realKnownCause/ec2_request_latency_system_failure.csv" => 11,
            "realKnownCause/machine_temperature_system_failure.csv" => 12,
            _ => 0,
        };
        assert_eq!(lost, expected, "{}", series.name);
        assert!(
            history
                .rows()
                .zip(&rows)
                .all(|((t, v), &row)| { t == series.column.times[row] && v[0] == series.column.values[row] })
        );
    }
    let machine = corpus.iter().find(|s| s.name.contains("machine_temperature")).unwrap();
    assert_eq!(
        (machine.column.times.len(), machine.column.values[0]),
        (22_695, 73.967_322_07)
    );
    assert_eq!(machine.column.times[0], Timestamp::from_secs(1_386_018_900));
}

/// The score by its definition, row by row, with no table prepared.
fn naive(n: usize, windows: &[(usize, usize)], alarms: &[bool], profile: NabProfile) -> f64 {
    let s = |x: f64| {
        if x >= 3.0 {
            -1.0
        } else {
            2.0 / (1.0 + (5.0 * x).exp()) - 1.0
        }
    };
    let w = profile.weights();
    let probation = ((0.15 * n as f64 + 1e-9).floor() as usize).min(750);
    let scored = |i: usize| i >= probation && alarms[i];
    let mut total = 0.0;
    for &(a, b) in windows {
        if b < probation {
            continue;
        }
        total += match (a..=b).find(|&i| scored(i)) {
            Some(i) => w.true_positive * s(-((b - i + 1) as f64) / (b - a + 1) as f64) / s(-1.0),
            None => -w.false_negative,
        };
    }
    for i in (0..n).filter(|&i| scored(i) && !windows.iter().any(|&(a, b)| a <= i && i <= b)) {
        let before = windows.iter().rev().find(|w| w.1 < i);
        total += w.false_positive * before.map_or(-1.0, |&(a, b)| s((i - b) as f64 / (b - a) as f64));
    }
    total
}

fn any_profile() -> impl Strategy<Value = NabProfile> {
    prop::sample::select(&NabProfile::ALL[..])
}

/// A file, and a score a row of few different values.
fn any_file() -> impl Strategy<Value = (usize, Vec<(usize, usize)>, Vec<f64>)> {
    (1_usize..80, prop::collection::vec((0_usize..12, 0_usize..9), 0..5)).prop_flat_map(|(n, parts)| {
        let (mut windows, mut free) = (Vec::new(), 0);
        for (gap, length) in parts {
            let (a, b) = (free + gap, free + gap + length);
            if b < n {
                windows.push((a, b));
                free = b + 1;
            }
        }
        let scores = prop::collection::vec((0_u8..6).prop_map(|x| f64::from(x) / 5.0), n);
        (Just(n), Just(windows), scores)
    })
}

proptest! {
    #[test]
    fn scores_are_those_of_the_definition((n, windows, scores) in any_file(), profile in any_profile()) {
        let file = NabFile::new(n, &windows).unwrap();
        let mut best = f64::NEG_INFINITY;
        for threshold in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0] {
            let alarms: Vec<bool> = scores.iter().map(|&s| s >= threshold).collect();
            let expected = naive(n, &windows, &alarms, profile);
            // Some 80 terms of at most 2 are rounded; exponentials of two libraries differ in the last bit.
            let got = file.score(&scores, threshold, profile).unwrap();
            prop_assert!((got - expected).abs() < 1e-12, "{} {}", got, expected);
            prop_assert_eq!(file.score_alarms(&alarms, profile).unwrap(), got);
            best = best.max(got);
        }
        if file.n_windows() > 0 {
            let found = nab_best_threshold(&[(&file, &scores)], profile).unwrap();
            prop_assert!((found.raw_sum - best).abs() < 1e-12, "{} {}", found.raw_sum, best);
            prop_assert_eq!(file.score(&scores, found.threshold, profile).unwrap(), found.raw_sum);
            prop_assert!(found.normalised <= 100.0 + 1e-9 && found.normalised >= -1e-9);
        }
    }

    #[test]
    fn probation_counts_nothing((n, windows, scores) in any_file(), profile in any_profile()) {
        let file = NabFile::new(n, &windows).unwrap();
        let mut loud = scores.clone();
        loud[..file.probation()].fill(9.0);
        prop_assert_eq!(file.score(&scores, 0.5, profile).unwrap(), file.score(&loud, 0.5, profile).unwrap());
    }
}

#[test]
fn probation_is_that_of_the_benchmark() {
    for (n, expected) in [
        (1, 0),
        (6, 0),
        (7, 1),
        (20, 3),
        (100, 15),
        (4032, 604),
        (4999, 749),
        (5000, 750),
        (22_695, 750),
    ] {
        assert_eq!(NabFile::new(n, &[]).unwrap().probation(), expected, "{n}");
    }
}

#[test]
fn earlier_alarms_earn_more_and_late_ones_cost_more_the_further_behind() {
    let file = NabFile::new(200, &[(50, 59), (120, 120)]).unwrap();
    let with = |row: usize| {
        let mut alarms = [false; 200];
        alarms[row] = true;
        file.score_alarms(&alarms, NabProfile::Standard).unwrap()
    };
    for row in 50..59 {
        assert!(with(row) > with(row + 1));
    }
    for row in 60..100 {
        assert!(with(row) >= with(row + 1));
    }
    // Three widths of nine steps behind, all is lost; so before all windows, and behind a window of one row.
    assert_eq!((with(86), with(49), with(121)), (-2.11, -2.11, -2.11));
    assert!(with(85) > -2.11);
    assert_eq!(with(120), 0.0, "one found in its only row, one missed");
}

fn seconds(from: impl IntoIterator<Item = i64>) -> Vec<Timestamp> {
    from.into_iter().map(Timestamp::from_secs).collect()
}

#[test]
fn windows_of_time_are_windows_of_rows() {
    let at = Timestamp::from_secs;
    let of = |times: &[Timestamp], windows: &[(i64, i64)]| {
        let windows: Vec<_> = windows.iter().map(|&(a, b)| (at(a), at(b))).collect();
        NabFile::from_times(times, &windows).map(|file| file.windows().to_vec())
    };
    let times = seconds([0, 10, 20, 30, 30, 30, 40, 50]);
    assert_eq!(of(&times, &[(10, 20)]).unwrap(), [(1, 2)]);
    assert_eq!(of(&times, &[(9, 21), (35, 99)]).unwrap(), [(1, 2), (6, 7)]);
    assert_eq!(of(&times, &[(30, 40)]).unwrap(), [(3, 6)]);
    assert_eq!(of(&times, &[(20, 30)]).unwrap(), [(2, 3)]);
    // A clock that steps back.
    let times = seconds([0, 10, 20, 30, 15, 25, 40]);
    assert_eq!(of(&times, &[(15, 25)]).unwrap(), [(4, 5)]);
    for bad in [(11, 19), (41, 50), (-5, -1), (20, 10)] {
        let e = of(&times, &[(0, 0), bad]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput);
        assert!(e.to_string().contains("window 1"), "{e}");
    }
    assert_eq!(of(&[], &[]).unwrap_err().kind(), ErrorKind::InsufficientData);
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind, words: &[&str]) {
    let e = result.unwrap_err();
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
}

#[test]
fn hostile_scores_are_named() {
    use ErrorKind::{InsufficientData, InvalidInput, InvalidParameter};
    let file = NabFile::new(4, &[(1, 2)]).unwrap();
    let profile = NabProfile::Standard;
    refused(
        file.score(&[0.0; 3], 0.5, profile),
        InvalidInput,
        &["scores", "4 rows", "got 3"],
    );
    refused(
        file.score_alarms(&[true; 5], profile),
        InvalidInput,
        &["alarms", "4 rows", "got 5"],
    );
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let scores = [0.0, 0.0, bad, 0.0];
        refused(file.score(&scores, 0.5, profile), InvalidInput, &["row 2"]);
        let good = [0.0; 4];
        let pairs = [(&file, &good[..]), (&file, &scores[..])];
        refused(nab_best_threshold(&pairs, profile), InvalidInput, &["file 1", "row 2"]);
    }
    refused(
        file.score(&[0.0; 4], f64::NAN, profile),
        InvalidParameter,
        &["threshold"],
    );
    assert_eq!(file.score(&[0.0; 4], f64::INFINITY, profile).unwrap(), -1.0);
    assert!(file.score(&[0.0; 4], f64::NEG_INFINITY, profile).is_ok());

    refused(nab_best_threshold(&[], profile), InsufficientData, &["window"]);
    let bare = NabFile::new(4, &[]).unwrap();
    refused(
        nab_best_threshold(&[(&bare, &[0.0; 4])], profile),
        InsufficientData,
        &["window"],
    );
    refused(nab_normalised(0.0, 0, profile), InsufficientData, &["window"]);
    refused(nab_normalised(f64::NAN, 1, profile), InvalidInput, &["raw sum"]);

    refused(NabFile::new(0, &[]), InsufficientData, &["row"]);
    for bad in [(2, 1), (0, 4), (4, 4), (usize::MAX, usize::MAX), (0, usize::MAX)] {
        refused(NabFile::new(4, &[bad]), InvalidInput, &["window 0"]);
    }
    refused(NabFile::new(9, &[(1, 3), (3, 4)]), InvalidInput, &["window 1", "4..9"]);
    refused(NabFile::new(9, &[(5, 6), (1, 2)]), InvalidInput, &["window 1"]);
    refused(
        "Standard".parse::<NabProfile>(),
        InvalidParameter,
        &["profile", "reward_low_FP_rate"],
    );
}

#[test]
fn no_alarm_is_best_where_all_are_false() {
    let file = NabFile::new(20, &[(10, 11)]).unwrap();
    let mut scores = [1.0; 20];
    scores[10] = 0.0;
    scores[11] = 0.0;
    let best = nab_best_threshold(&[(&file, &scores)], NabProfile::Standard).unwrap();
    // At 0 the window is found for 15 false alarms, those behind it almost at full cost; missing it costs 1.
    assert!(
        best.threshold == 0.0 && (best.raw_sum - (1.0 - 15.0 * 0.11)).abs() < 2e-3,
        "{best:?}"
    );
    let best = nab_best_threshold(&[(&file, &scores)], NabProfile::LowFalsePositives).unwrap();
    assert_eq!(
        (best.threshold, best.raw_sum, best.normalised),
        (f64::INFINITY, -1.0, 0.0)
    );
}

const HEADER: &str = "timestamp,value\n";
const ROW: &str = "2014-04-01 00:00:00,20.0\n";

#[test]
fn harmless_variants_are_read_the_same() {
    let text = format!("{HEADER}{ROW}2014-04-01 00:05:00,-1e300\n");
    let expected = nab::parse_column(text.as_bytes(), "value").unwrap();
    assert_eq!(expected.values, [20.0, -1e300]);
    for variant in [
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        text.clone() + "\n\r\n \n",
        format!("\u{feff}{text}"),
        text.replace(',', " , "),
        text.replace("00,", "00.000000,"),
        text.replace("01 00", "01T00"),
        text.replace("value\n", "value,label\n")
            .replace(".0\n", ".0,x\n")
            .replace("300\n", "300,\n"),
    ] {
        assert_eq!(
            nab::parse_column(variant.as_bytes(), "value").unwrap(),
            expected,
            "{variant:?}"
        );
    }
}

#[test]
fn hostile_tables_are_named() {
    use ErrorKind::{InsufficientData, InvalidInput};
    let parse = |text: &str| nab::parse_column(text.as_bytes(), "value");
    refused(parse(""), InsufficientData, &["empty"]);
    refused(parse(" \n\n"), InsufficientData, &["empty"]);
    refused(parse(HEADER), InsufficientData, &["row"]);
    refused(parse(ROW), InvalidInput, &["line 1", "timestamp"]);
    refused(parse("timestamp,valu\n"), InvalidInput, &["line 1", "`value`"]);
    refused(parse("timestamp,value,value\n"), InvalidInput, &["line 1", "once"]);
    refused(
        parse(&(HEADER.trim_end().to_owned() + &",".repeat(1_000_000))),
        InvalidInput,
        &["line 1", "columns"],
    );
    let after = |row: &str| parse(&format!("{HEADER}{ROW}{row}\n{ROW}"));
    for bad in ["2014-04-01 00:00:00", "2014-04-01 00:00:00,1,2", "", ","] {
        refused(after(bad), InvalidInput, &["line 3"]);
    }
    for bad in ["x", "inf", "1e999", "1;5", "\0"] {
        refused(
            after(&format!("2014-04-01 00:00:00,{bad}")),
            InvalidInput,
            &["line 3", "value"],
        );
    }
    for bad in ["", "x", "2014-04-31 00:00:00", "1e9", "2014-04-01 00:00"] {
        refused(after(&format!("{bad},1")), InvalidInput, &["line 3", "time"]);
    }
    // Long lines are shown short.
    let e = after(&format!("2014-04-01 00:00:00,{}", "y".repeat(1 << 20))).unwrap_err();
    assert!(e.to_string().len() < 300);
    let e = after(&",".repeat(1 << 20)).unwrap_err();
    assert!(e.to_string().contains("line 3") && e.to_string().len() < 300, "{e}");
    let mut bytes = format!("{HEADER}{ROW}").into_bytes();
    bytes.extend(b"2014-04-01 00:00:00,\xff\n");
    refused(nab::parse_column(&bytes, "value"), InvalidInput, &["line 3", "UTF-8"]);

    // Cut anywhere, a table is shorter or refused, never a panic; a missing value is one at the end too.
    let text = format!("{HEADER}{ROW}{ROW}");
    for end in 0..text.len() {
        if let Ok(read) = parse(&text[..end]) {
            assert!(end > HEADER.len() + 19 && read.times.len() == read.values.len());
        }
    }
}

#[test]
fn missing_and_repeated_values_are_kept() {
    let text = format!("{HEADER}{ROW}2014-04-01 00:05:00,\n2014-04-01 00:05:00,nan\n2014-03-31 23:00:00,3\n");
    let column = nab::parse_column(text.as_bytes(), "value").unwrap();
    assert_eq!(column.times.len(), 4);
    assert!(column.values[1].is_nan() && column.values[2].is_nan() && column.values[3] == 3.0);
}

#[test]
fn hostile_windows_are_named() {
    use ErrorKind::InvalidInput;
    let parse = |text: &str| nab::parse_windows(text.as_bytes());
    for bad in [
        "",
        "{",
        "[]",
        "1",
        "null",
        r#"{"a": 1}"#,
        r#"{"a": [["x"]]}"#,
        r#"{"a": [["x", "y", "z"]]}"#,
        r#"{"a": [[1, 2]]}"#,
        r#"{"a": []} x"#,
    ] {
        refused(parse(bad), InvalidInput, &["line", "windows"]);
    }
    refused(parse(&"[".repeat(1 << 20)), InvalidInput, &["line 1"]);
    refused(nab::parse_windows(b"\xff"), InvalidInput, &["UTF-8"]);
    let (early, late) = ("2014-04-10 07:15:00.000000", "2014-04-11 16:45:00.000000");
    refused(
        parse(&format!(r#"{{"a": [["{early}", "soon"]]}}"#)),
        InvalidInput,
        &["`a`", "soon"],
    );
    refused(
        parse(&format!(r#"{{"a": [["{late}", "{early}"]]}}"#)),
        InvalidInput,
        &["`a`", "window"],
    );
    let read = parse(&format!(
        r#"{{"a": [["{late}", "{late}"], ["{early}", "{early}"]], "b": []}}"#
    ))
    .unwrap();
    assert!(read["a"].is_sorted() && read["a"].len() == 2 && read["b"].is_empty());
}

#[test]
fn folders_are_read_in_natural_order_with_windows_near_by() {
    use ErrorKind::{InsufficientData, InvalidInput, Io};
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let data = root.join("data");
    refused(nab::load(&data), Io, &["data"]);
    for group in ["b", "a10", "a9", "empty"] {
        fs::create_dir_all(data.join(group)).unwrap();
    }
    refused(nab::load(root), InsufficientData, &["data", "csv"]);
    for file in ["b/1.csv", "a10/x.csv", "a9/10.csv", "a9/2.csv"] {
        fs::write(data.join(file), format!("{HEADER}{ROW}")).unwrap();
    }
    fs::write(data.join("a9/notes.txt"), "x").unwrap();
    fs::write(data.join("loose.csv"), "x").unwrap();
    fs::create_dir(data.join("a9/folder.csv")).unwrap();
    let corpus = nab::load(root).unwrap();
    let names: Vec<&str> = corpus.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a9/2.csv", "a9/10.csv", "a10/x.csv", "b/1.csv"]);
    assert!(corpus.iter().all(|s| s.windows.is_none()));
    refused(corpus[0].scorer(), InsufficientData, &["a9/2.csv", "windows"]);

    let window = r#"[["2014-04-01 00:00:00", "2014-04-01 00:00:00"]]"#;
    for place in ["../labels", "..", "labels", "."] {
        let folder = data.join(place);
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("combined_windows.json"),
            format!(r#"{{"b/1.csv": {window}, "gone.csv": []}}"#),
        )
        .unwrap();
        let corpus = nab::load(&data).unwrap();
        assert!(corpus[3].windows.is_some() && corpus[0].windows.is_none(), "{place}");
        assert_eq!(corpus[3].scorer().unwrap().n_windows(), 1);
        fs::write(folder.join("combined_windows.json"), "{").unwrap();
        refused(nab::load(&data), InvalidInput, &["combined_windows.json", "line 1"]);
        fs::remove_file(folder.join("combined_windows.json")).unwrap();
    }
    fs::write(data.join("b/1.csv"), format!("{HEADER}{ROW}x\n")).unwrap();
    refused(nab::load(&data), InvalidInput, &["1.csv", "line 3"]);
}
