//! The bearing records of Case Western Reserve University: as published, where they are at hand, and made-up ones.

use crate::waveform_files::{golden, is_as_summarised, recorded, refused};
use prognos::{
    ErrorKind, Result,
    dataset::{
        cwru::{self, CwruRecord, Fault, nominal_rpm},
        matlab::MatFile,
    },
    quantity::{Hertz, Timestamp},
};
use std::fs;

fn rate() -> Hertz {
    Hertz::new(12_000.0).unwrap()
}

/// A file of `double` columns.
fn file_of(variables: &[(&str, &[f64])]) -> Vec<u8> {
    let element = |kind: u32, data: &[u8]| {
        let mut element = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        element.extend(data);
        element.resize(element.len().next_multiple_of(8), 0);
        element
    };
    let words = |words: [u32; 2]| words.map(u32::to_le_bytes).concat();
    let mut file = format!("{:124}", "MATLAB 5.0 MAT-file").into_bytes();
    file.extend([0, 1, b'I', b'M']);
    for (name, values) in variables {
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let shape = element(5, &words([values.len() as u32, 1]));
        let parts = [
            element(6, &words([6, 0])),
            shape,
            element(1, name.as_bytes()),
            element(9, &data),
        ];
        file.extend(element(14, &parts.concat()));
    }
    file
}

fn record(variables: &[(&str, &[f64])], named: Option<u32>) -> Result<CwruRecord> {
    cwru::record_in(&MatFile::from_bytes(&file_of(variables))?, named, rate())
}

fn channels(record: &CwruRecord) -> Vec<&str> {
    record.recording.channels().iter().map(|c| c.name.as_str()).collect()
}

#[test]
fn a_tidy_record_is_read() {
    let r = record(
        &[
            ("X105_BA_time", &[5.0, 6.0]),
            ("X105_DE_time", &[1.0, 2.0]),
            ("X105RPM", &[1797.0]),
            ("i", &[1.0]),
            ("X105_FE_time", &[3.0, 4.0]),
        ],
        Some(105),
    )
    .unwrap();
    assert_eq!(
        (channels(&r), r.number, r.rpm),
        (vec!["DE", "FE", "BA"], 105, Some(1797.0))
    );
    assert_eq!(r.recording.slices(), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    assert!(r.recording.channels().iter().all(|c| c.unit == "g"));
    assert_eq!(
        (r.recording.rate(), r.recording.start()),
        (rate(), Timestamp::default())
    );
    assert_eq!(r.shaft_rate(), Some(Hertz::from_rpm(1797.0).unwrap()));
}

#[test]
fn what_is_missing_is_missing() {
    let r = record(&[("X056_DE_time", &[1.0, f64::NAN])], Some(3001)).unwrap();
    assert_eq!(
        (channels(&r), r.number, r.rpm, r.shaft_rate()),
        (vec!["DE"], 56, None, None)
    );
    assert!(r.recording.channel(0).unwrap()[1].is_nan());
    for bad in [
        &[0.0][..],
        &[-5.0],
        &[f64::NAN],
        &[f64::INFINITY],
        &[],
        &[1797.0, 1797.0],
    ] {
        assert_eq!(
            record(&[("X1_DE_time", &[1.0]), ("X1RPM", bad)], None).unwrap().rpm,
            None,
            "{bad:?}"
        );
    }
}

#[test]
fn of_two_records_the_one_the_file_is_named_after_or_the_most_complete_is_taken() {
    let two: [(&str, &[f64]); 5] = [
        ("X098_DE_time", &[1.0]),
        ("X098_FE_time", &[1.0]),
        ("X098RPM", &[1772.0]),
        ("X099_DE_time", &[2.0]),
        ("X100RPM", &[1750.0]),
    ];
    for (named, number) in [
        (Some(98), 98),
        (Some(99), 99),
        (Some(97), 98),
        (Some(100), 98),
        (None, 98),
    ] {
        assert_eq!(record(&two, named).unwrap().number, number, "{named:?}");
    }
    assert_eq!(record(&two, Some(99)).unwrap().rpm, None); // never that of the other record
    let equal: [(&str, &[f64]); 3] = [("X7_DE_time", &[1.0]), ("X5_DE_time", &[1.0]), ("X6_DE_time", &[1.0])];
    assert_eq!(record(&equal, None).unwrap().number, 5);
    let with_speed = [&equal[..], &[("X6RPM", &[1797.0][..])]].concat();
    assert_eq!(record(&with_speed, None).unwrap().number, 6);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("099.mat");
    fs::write(&path, file_of(&two)).unwrap();
    assert_eq!(cwru::load(&path, rate()).unwrap().number, 99);
}

#[test]
fn malformed_records_are_named() {
    for (variables, kind, words) in [
        (
            &[][..],
            ErrorKind::InsufficientData,
            &["X105_DE_time", "no numeric variable"][..],
        ),
        (
            &[("x\n", &[1.0][..]), ("X1RPM", &[1.0])],
            ErrorKind::InsufficientData,
            &["`x\\n`, `X1RPM`"],
        ),
        (&[("X1_DE_time", &[])], ErrorKind::InsufficientData, &["1 sample"]),
        (
            &[("X1_DE_time", &[1.0]), ("X1_FE_time", &[1.0, 2.0])],
            ErrorKind::InvalidInput,
            &["`FE`", "2"],
        ),
        (
            &[("X1_DE_time", &[1.0]), ("X01_DE_time", &[1.0])],
            ErrorKind::InvalidInput,
            &["channels", "`X01_DE_time`"],
        ),
        (
            &[
                ("X_DE_time", &[1.0]),
                ("X1_XX_time", &[1.0]),
                ("X99999999999_DE_time", &[1.0]),
            ],
            ErrorKind::InsufficientData,
            &["X1_XX_time"],
        ),
    ] {
        refused(record(variables, None), kind, words);
    }
    refused(cwru::load("no/105.mat", rate()), ErrorKind::Io, &["no/105.mat"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("105.mat");
    fs::write(&path, b"no MATLAB").unwrap();
    refused(
        cwru::load(&path, rate()),
        ErrorKind::InvalidInput,
        &["105.mat", "MATLAB 5"],
    );
}

const HEADER: &str = "record,file,fault,diameter_mils,load_hp,position_oclock,sample_rate_hz\n";

#[test]
fn an_index_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let index = format!("{HEADER}97,normal/97.mat,normal,0,0,,48000\r\n130,a/b/130.mat,outer_race,7,3,6,12000\n");
    fs::write(folder.path().join("index.csv"), index).unwrap();
    let entries = cwru::read_index(folder.path()).unwrap();
    assert_eq!(entries.len(), 2);
    let e = &entries[1];
    assert_eq!(
        (e.record, e.fault, e.diameter_mils, e.load_hp),
        (130, Fault::OuterRace, 7, 3)
    );
    assert_eq!((e.position_oclock, entries[0].position_oclock), (Some(6), None));
    assert_eq!((e.sample_rate, entries[0].sample_rate.get()), (rate(), 48_000.0));
    assert_eq!(e.path, folder.path().join("a/b/130.mat"));
    refused(e.load(), ErrorKind::Io, &["130.mat"]);
    for fault in Fault::ALL {
        assert_eq!(fault.to_string().parse::<Fault>().unwrap(), fault);
    }
}

#[test]
fn malformed_indices_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.csv");
    refused(cwru::read_index(folder.path()), ErrorKind::Io, &["index.csv"]);
    for (text, words) in [
        (String::new(), &["index.csv", "header"][..]),
        ("record,file\n1,a\n".into(), &["header", "`record,file`"]),
        (
            format!("{HEADER}1,a.mat,normal,0,0,,48000\n1,a.mat,normal,0,0,,48000\n"),
            &["line 3", "each once"],
        ),
        (format!("{HEADER}1,a.mat,normal,0,0,48000\n"), &["line 2", "7 fields"]),
        (
            format!("{HEADER}x,a.mat,normal,0,0,,48000\n"),
            &["line 2", "column 1 (record)", "`x`"],
        ),
        (
            format!("{HEADER}1,../a.mat,normal,0,0,,48000\n"),
            &["line 2", "column 2 (file)", "below"],
        ),
        (format!("{HEADER}1,/a.mat,normal,0,0,,48000\n"), &["column 2 (file)"]),
        (format!("{HEADER}1,,normal,0,0,,48000\n"), &["column 2 (file)"]),
        (
            format!("{HEADER}1,a.mat,worn,0,0,,48000\n"),
            &["column 3 (fault)", "`worn`"],
        ),
        (
            format!("{HEADER}1,a.mat,ball,-7,0,,48000\n"),
            &["column 4 (diameter_mils)", "`-7`"],
        ),
        (format!("{HEADER}1,a.mat,ball,7,1.5,,48000\n"), &["column 5 (load_hp)"]),
        (
            format!("{HEADER}1,a.mat,ball,7,1,noon,48000\n"),
            &["column 6 (position_oclock)", "`noon`"],
        ),
        (
            format!("{HEADER}1,a.mat,ball,7,1,,0\n"),
            &["column 7 (sample_rate_hz)", "`0`"],
        ),
        (
            format!("{HEADER}1,a.mat,ball,7,1,,NaN\n"),
            &["column 7 (sample_rate_hz)"],
        ),
    ] {
        fs::write(&path, text).unwrap();
        refused(cwru::read_index(folder.path()), ErrorKind::InvalidInput, words);
    }
    fs::write(&path, [HEADER.as_bytes(), b"1,\xFF,ball,7,1,,12000\n"].concat()).unwrap();
    refused(
        cwru::read_index(folder.path()),
        ErrorKind::InvalidInput,
        &["line 2", "UTF-8"],
    );
}

#[test]
fn published_records_are_read_as_scipy_reads_them() {
    let Some(folder) = recorded("cwru") else { return };
    for expected in golden()["cwru"].as_array().unwrap() {
        let path = folder.join(expected["file"].as_str().unwrap());
        let record = cwru::load(path, rate()).unwrap();
        assert_eq!(serde_json::json!(record.rpm), expected["rpm"]);
        let expected = expected["channels"].as_object().unwrap();
        assert_eq!(record.recording.channels().len(), expected.len());
        for (name, summary) in expected {
            is_as_summarised(record.recording.channel_named(name).unwrap(), summary);
        }
    }
}

#[test]
fn every_published_record_of_the_index_is_read() {
    let Some(folder) = recorded("cwru") else { return };
    let entries = cwru::read_index(&folder).unwrap();
    let mut without_speed = Vec::new();
    for entry in &entries {
        let record = entry.load().unwrap();
        let r = &record.recording;
        assert!(
            r.n_samples() > 120_000 && r.rate() == entry.sample_rate,
            "{}",
            entry.record
        );
        assert!(
            r.slices()
                .iter()
                .all(|s| s.iter().all(|v| v.is_finite() && v.abs() < 20.0))
        );
        let nominal = nominal_rpm(entry.load_hp).unwrap();
        match record.rpm {
            Some(rpm) => assert!((rpm - nominal).abs() < 0.01 * nominal, "{}: {rpm}", entry.record),
            None => without_speed.push(entry.record),
        }
        let tidy = record.number == entry.record;
        assert!(tidy || (entry.record == 3001 + record.number - 56) || (entry.record == 3005 + record.number - 48));
    }
    assert_eq!(entries.len(), 46);
    assert_eq!(without_speed, [3005, 3006, 3007, 3001, 3002, 3003]);
}
