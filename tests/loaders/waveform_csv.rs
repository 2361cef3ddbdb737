//! Waveforms in plain text: layouts, rates from times, and hostile files.

use crate::{
    counting_allocator::measured,
    waveform_files::{damaged, noise_after, refused},
};
use prognos::{
    ErrorKind, Result,
    dataset::waveform_csv::{Column, MAX_COLUMNS, MAX_SAMPLES, Sampling, Separator, WaveformCsv, WaveformCsvParams},
    quantity::{Hertz, Seconds, Timestamp},
    signal::{EvenGrid, Recording},
};
use proptest::prelude::*;
use std::fmt::Write as _;

fn at_rate() -> WaveformCsvParams {
    WaveformCsv::params(Sampling::Rate(Hertz::new(100.0).unwrap()))
}

fn timed(column: impl Into<Column>, tolerance: f64) -> WaveformCsvParams {
    let (column, unit) = (column.into(), Seconds::new(1e-3).unwrap());
    WaveformCsv::params(Sampling::Times {
        column,
        unit,
        tolerance,
    })
}

fn parse(params: WaveformCsvParams, text: impl AsRef<[u8]>) -> Result<Recording> {
    params.build()?.parse(text.as_ref())
}

/// Channels as `name [unit]: samples`.
fn printed(recording: &Recording) -> Vec<String> {
    let channels = recording.channels().iter().zip(recording.slices());
    channels
        .map(|(c, s)| format!("{} [{}]: {s:?}", c.name, c.unit))
        .collect()
}

#[test]
fn layouts_are_found() {
    for (text, expected) in [
        ("1,2\n3,4\n", ["column_1 []: [1.0, 3.0]", "column_2 []: [2.0, 4.0]"]),
        ("1;2\r\n3;4\r\n", ["column_1 []: [1.0, 3.0]", "column_2 []: [2.0, 4.0]"]),
        (
            "1\t2\n3\t4\n\n\n",
            ["column_1 []: [1.0, 3.0]", "column_2 []: [2.0, 4.0]"],
        ),
        ("a [g],b\n1,2\n3,4", ["a [g]: [1.0, 3.0]", "b []: [2.0, 4.0]"]),
        (
            "\u{feff}\"a b [m/s]\" ; \"c\"\n \"1\" ;2\n3; 4e0 ",
            ["a b [m/s]: [1.0, 3.0]", "c []: [2.0, 4.0]"],
        ),
        (
            ",NaN\n-3.5,4\n",
            ["column_1 []: [NaN, -3.5]", "column_2 []: [NaN, 4.0]"],
        ),
        ("1\tnan\n3\t\n", ["column_1 []: [1.0, 3.0]", "column_2 []: [NaN, NaN]"]),
        ("x[1],[g]\n1,2\n", ["x [1]: [1.0]", "[g] []: [2.0]"]),
    ] {
        let recording = parse(at_rate(), text).unwrap();
        assert_eq!(printed(&recording), expected, "{text:?}");
        assert_eq!(
            (recording.rate().get(), recording.start()),
            (100.0, Timestamp::default())
        );
    }
    assert_eq!(
        printed(&parse(at_rate(), "1\n\n3\n").unwrap()),
        ["column_1 []: [1.0, NaN, 3.0]"]
    );
}

#[test]
fn layouts_are_set() {
    let text = "logger 7\nsaid; at noon\n2024;2025;k\n1,5;2;x\n-0,25;;\"y\"\n";
    let params = at_rate()
        .skip_lines(2)
        .header(true)
        .decimal_comma()
        .unit("g")
        .columns(["2025", "2024"]);
    let recording = parse(params.start(Timestamp::from_secs(9)), text).unwrap();
    assert_eq!(printed(&recording), ["2025 [g]: [2.0, NaN]", "2024 [g]: [1.5, -0.25]"]);
    assert_eq!(recording.start(), Timestamp::from_secs(9));

    let recording = parse(
        at_rate().header(false).columns([2_usize]).separator(Separator::Comma),
        "a;b,1\nc\td,2\n",
    )
    .unwrap();
    assert_eq!(printed(&recording), ["column_2 []: [1.0, 2.0]"]);
    let columns = [Column::from(3), "a".into()];
    let recording = parse(at_rate().columns(columns), "a,b,c\n1,2,3\n").unwrap();
    assert_eq!(printed(&recording), ["c []: [3.0]", "a []: [1.0]"]);
}

#[test]
fn the_rate_is_found_from_times() {
    // 1 kHz in milliseconds that are rounded to a tenth, from 5 s on.
    let text = "v,t\n1,5000.0\n2,5001.1\n3,5002.0\n4,5002.9\n5,5004.0\n";
    let recording = parse(timed("t", 0.15), text).unwrap();
    assert_eq!(printed(&recording), ["v []: [1.0, 2.0, 3.0, 4.0, 5.0]"]);
    assert!((recording.rate().get() - 1_000.0).abs() < 1e-9);
    assert_eq!(recording.start(), Timestamp::from_secs(5));
    let e = refused(
        parse(timed(2, 0.05), text),
        ErrorKind::InvalidInput,
        &["line 3, column 2: time", "5001.1", "`prognos::signal::EvenGrid`"],
    );
    assert!(e.to_string().contains("5001 within 0.05 of the period 1"), "{e}");
    // The times themselves, when asked for.
    let both = parse(timed("t", 0.15).columns(["t", "v"]), text).unwrap();
    assert_eq!(both.channel(0).unwrap()[4], 5_004.0);
}

#[test]
fn uneven_times_are_made_even_as_the_error_says() {
    let text = "t [ms],v [g]\n0,0\n10,1\n19,1.9\n40,4\n";
    refused(
        parse(timed("t", 0.05), text),
        ErrorKind::InvalidInput,
        &["uneven", "`prognos::signal::EvenGrid`"],
    );
    let recording = parse(at_rate(), text).unwrap();
    let instant = |ms: &f64| Timestamp::from_nanos((ms * 1e6).round() as i64);
    let times: Vec<Timestamp> = recording.channel_named("t").unwrap().iter().map(instant).collect();
    let grid = EvenGrid::new(recording.rate(), Seconds::new(0.03).unwrap()).unwrap();
    let even = grid.resample(&times, recording.channel_named("v").unwrap()).unwrap();
    // Interpolated between 1.9 and 4 at 20 and 30 of 19 to 40 ms: on the line, to rounding.
    let expected = [0.0, 1.0, 2.0, 3.0, 4.0];
    assert!(
        even.values().iter().zip(expected).all(|(v, e)| (v - e).abs() < 4e-15),
        "{:?}",
        even.values()
    );
    assert_eq!((even.values().len(), even.gaps().n_bridged()), (5, 1));
}

proptest! {
    #[test]
    fn a_lost_line_is_found(n in 3_usize..60, lost in 0_usize..60, rate in 0.1..1e5_f64, part in 1e-3..0.999_f64) {
        // Of n + 1 lines; either end of the gap is the farthest off.
        let lost = 1 + lost % (n - 1);
        let tolerance = (part * (lost - 1).max(n - 1 - lost) as f64 / n as f64).min(0.499);
        let mut text = String::from("t,v\n");
        for i in (0..=n).filter(|&i| i != lost) {
            writeln!(text, "{:e},{i}", 1e3 * i as f64 / rate).unwrap();
        }
        refused(parse(timed("t", tolerance), &text), ErrorKind::InvalidInput, &["column `t`: time", "uneven"]);
    }

    #[test]
    fn what_is_written_is_read(
        values in prop::collection::vec(prop::collection::vec(prop_oneof![4 => any::<f64>(), 1 => Just(f64::NAN)], 3), 1..20),
        separator in prop::sample::select(vec![(Separator::Comma, ','), (Separator::Semicolon, ';'), (Separator::Tab, '\t')]),
        crlf in any::<bool>(),
    ) {
        let mut text = String::from("a;b;c\n").replace(';', &separator.1.to_string());
        let cell = |v: &f64| if v.is_infinite() { "0".into() } else if v.is_nan() { String::new() } else { format!("{v:e}") };
        for row in &values {
            let cells: Vec<String> = row.iter().map(cell).collect();
            text += &cells.join(&separator.1.to_string());
            text += if crlf { "\r\n" } else { "\n" };
        }
        for params in [at_rate(), at_rate().separator(separator.0).header(true)] {
            let recording = parse(params, &text).unwrap();
            for (i, row) in values.iter().enumerate() {
                for (j, v) in row.iter().enumerate() {
                    let got = recording.channel(j).unwrap()[i];
                    let expected = if v.is_infinite() { 0.0 } else { *v };
                    prop_assert!(got == expected || got.is_nan() && expected.is_nan(), "{got} {expected}");
                }
            }
        }
    }
}

#[test]
fn malformed_files_are_named() {
    let wide = ",".repeat(MAX_COLUMNS);
    for (params, text, kind, words) in [
        (at_rate(), &b""[..], ErrorKind::InsufficientData, &["1 line"][..]),
        (at_rate(), b"\n\r\n", ErrorKind::InsufficientData, &["1 line"]),
        (at_rate(), b"a,b\n", ErrorKind::InsufficientData, &["1 sample"]),
        (
            at_rate().skip_lines(5),
            b"1\n2\n",
            ErrorKind::InsufficientData,
            &["1 line"],
        ),
        (
            at_rate(),
            b"1,2\n3\n",
            ErrorKind::InvalidInput,
            &["line 2", "2, as in the first line", "got 1"],
        ),
        (
            at_rate(),
            b"a,b\n1,2\n3,4,5\n",
            ErrorKind::InvalidInput,
            &["line 3", "2, as in the first line", "got 3"],
        ),
        (at_rate(), b"1;2\n3,4\n", ErrorKind::InvalidInput, &["line 2", "got 1"]),
        (
            at_rate(),
            b"1,2\n3,x\n",
            ErrorKind::InvalidInput,
            &["line 2", "column 2", "`x`"],
        ),
        (
            at_rate(),
            b"1,2\n3,inf\n",
            ErrorKind::InvalidInput,
            &["line 2", "column 2", "`inf`"],
        ),
        (
            at_rate(),
            b"1,2\n3,1e999\n",
            ErrorKind::InvalidInput,
            &["line 2", "column 2", "`1e999`"],
        ),
        (
            at_rate().decimal_comma(),
            b"1;2\n3;1,000,5\n",
            ErrorKind::InvalidInput,
            &["line 2", "`1,000,5`"],
        ),
        (
            at_rate().header(false),
            b"a,b\n",
            ErrorKind::InvalidInput,
            &["line 1", "column 1", "`a`"],
        ),
        (at_rate(), b"a,a\n1,2\n", ErrorKind::InvalidInput, &["unique", "`a`"]),
        (at_rate(), b"a,\n1,2\n", ErrorKind::InvalidInput, &["not empty"]),
        (
            at_rate().columns(["c"]),
            b"a,b\n1,2\n",
            ErrorKind::InvalidInput,
            &["line 1", "column `c`", "`a`, `b`"],
        ),
        (
            at_rate().columns(["a"]),
            b"a,a\n1,2\n",
            ErrorKind::InvalidInput,
            &["column `a`", "one of that name"],
        ),
        (
            at_rate().columns(["a"]),
            b"1,2\n",
            ErrorKind::InvalidInput,
            &["column `a`", "2 columns without names"],
        ),
        (
            at_rate().columns([3]),
            b"1,2\n",
            ErrorKind::InvalidInput,
            &["column 3", "to be there"],
        ),
        (at_rate(), b"1\n\xFF\n", ErrorKind::InvalidInput, &["line 2", "UTF-8"]),
        (
            at_rate(),
            wide.as_bytes(),
            ErrorKind::InvalidInput,
            &["line 1", "columns", "65536"],
        ),
        (
            timed("t", 0.1),
            b"v\n1\n2\n",
            ErrorKind::InvalidInput,
            &["column `t`", "to be there"],
        ),
        (
            timed("t", 0.1),
            b"t\n1\n2\n",
            ErrorKind::InsufficientData,
            &["channels"],
        ),
        (
            timed("t", 0.1),
            b"t,v\n",
            ErrorKind::InsufficientData,
            &["2 lines", "got 0"],
        ),
        (
            timed("t", 0.1),
            b"t,v\n1,2\n",
            ErrorKind::InsufficientData,
            &["2 lines", "got 1"],
        ),
        (
            timed("t", 0.1),
            b"t,v\n1,2\n,2\n3,2\n",
            ErrorKind::InvalidInput,
            &["line 3", "time", "none"],
        ),
        (
            timed("t", 0.1),
            b"t,v\n3,2\n2,2\n1,2\n",
            ErrorKind::InvalidInput,
            &["line 4", "after 3", "got 1"],
        ),
        (
            timed("t", 0.1),
            b"t,v\n1,2\n1,2\n",
            ErrorKind::InvalidInput,
            &["line 3", "after 1"],
        ),
        (
            timed("t", 0.1),
            b"t,v\n-1e308,2\n1e308,2\n",
            ErrorKind::InvalidInput,
            &["time"],
        ),
        (
            timed("t", 0.1),
            b"t,v\n1e300,2\n2e300,2\n",
            ErrorKind::InvalidInput,
            &["line 2", "1677"],
        ),
    ] {
        refused(parse(params, text), kind, words);
    }
    let too_many = "1\n".repeat(MAX_SAMPLES + 1);
    refused(
        parse(at_rate(), too_many),
        ErrorKind::InvalidInput,
        &["line 67108865", "67108864"],
    );
    refused(at_rate().build().unwrap().read("no.csv"), ErrorKind::Io, &["no.csv"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.csv");
    std::fs::write(&path, "1,x\n1,2,3\n").unwrap();
    refused(
        at_rate().build().unwrap().read(&path),
        ErrorKind::InvalidInput,
        &["bad.csv", "line 2"],
    );
}

#[test]
fn wrong_settings_are_named() {
    for bad in [0.0, -0.1, 0.5, f64::NAN, f64::INFINITY] {
        refused(
            timed("t", bad).build(),
            ErrorKind::InvalidParameter,
            &["tolerance", "0.5"],
        );
    }
    for bad in [0, MAX_COLUMNS + 1] {
        refused(
            at_rate().columns([bad]).build(),
            ErrorKind::InvalidParameter,
            &["`column`"],
        );
        refused(timed(bad, 0.1).build(), ErrorKind::InvalidParameter, &["`column`"]);
    }
    refused(
        at_rate().columns([""; 0]).build(),
        ErrorKind::InvalidParameter,
        &["number of columns"],
    );
    let both = at_rate().decimal_comma().separator(Separator::Comma).build();
    refused(both, ErrorKind::InvalidParameter, &["decimal comma"]);
}

#[test]
fn damage_of_any_kind_neither_panics_nor_takes_memory() {
    let mut text = String::from("time [ms];a [g];b\n");
    for i in 0..40 {
        writeln!(text, "{i}.0;{}.25;{}", i % 7, if i == 9 { "" } else { "-1e-3" }).unwrap();
    }
    let (mut taken, mut tried) = (0, 0);
    for params in [timed("time", 0.05), at_rate(), at_rate().header(true).decimal_comma()] {
        let mut attempt = |bytes: &[u8]| {
            let (result, held) = measured(|| parse(params.clone(), bytes));
            // For each byte a field of the first line, its channel and its place, at worst.
            assert!(held < 300 * bytes.len() as i64 + 8_192, "{held} for {}", bytes.len());
            match result {
                Ok(_) => taken += 1,
                Err(e) => assert!(
                    matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::InsufficientData),
                    "{e}"
                ),
            }
            tried += 1;
        };
        for n in 0..text.len() {
            attempt(&text.as_bytes()[..n]);
        }
        for seed in 0..4_000 {
            attempt(&damaged(text.as_bytes(), seed));
        }
        for seed in 0..500 {
            attempt(&noise_after(b"1,2\n", 60, seed));
        }
    }
    assert!(
        taken > tried / 50 && taken < tried * 3 / 4,
        "{taken} of {tried} were taken"
    );
}
