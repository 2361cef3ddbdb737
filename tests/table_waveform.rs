//! Waveforms in frames and Parquet files.

use prognos::{
    ErrorKind, Result,
    quantity::{Hertz, Timestamp},
    signal::{Channel, Recording},
    table::{self, polars::prelude::*},
};

fn from(frame: &DataFrame, channels: &[(&str, &str)]) -> Result<Recording> {
    let channels = channels.iter().map(|&(name, unit)| Channel::new(name, unit));
    table::recording_from_frame(frame, channels, Hertz::new(50.0)?, Timestamp::from_secs(3))
}

fn frame() -> DataFrame {
    df!(
        "text" => ["a", "b", "c"],
        "i8" => [Some(-128i8), None, Some(127)],
        "u16" => [0u16, 1, 65_535],
        "i64" => [i64::MIN, 0, 1 << 53],
        "f32" => [0.1f32, f32::NAN, f32::INFINITY],
        "f64" => [Some(5e-324), None, Some(-0.0)],
    )
    .unwrap()
}

#[test]
fn chosen_columns_become_channels_in_the_order_asked_for() {
    let r = from(
        &frame(),
        &[("f64", "g"), ("i8", "counts"), ("u16", ""), ("i64", ""), ("f32", "")],
    )
    .unwrap();
    assert_eq!(
        (r.channels()[1].clone(), r.rate().get(), r.start()),
        (Channel::new("i8", "counts"), 50.0, Timestamp::from_secs(3))
    );
    let samples: Vec<String> = r.slices().iter().map(|s| format!("{s:?}")).collect();
    assert_eq!(
        samples,
        [
            "[5e-324, NaN, -0.0]",
            "[-128.0, NaN, 127.0]",
            "[0.0, 1.0, 65535.0]",
            "[-9.223372036854776e18, 0.0, 9007199254740992.0]",
            "[0.10000000149011612, NaN, inf]",
        ]
    );
}

#[test]
fn the_same_comes_out_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waveform.parquet");
    table::write_parquet(&mut frame(), &path).unwrap();
    let read = |name: &str| {
        let channel = Channel::new(name, "g");
        table::read_waveform_parquet(&path, [channel], Hertz::new(50.0).unwrap(), Timestamp::from_secs(3))
    };
    assert_eq!(read("u16").unwrap(), from(&frame(), &[("u16", "g")]).unwrap());
    let e = read("speed").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput);
    assert!(
        e.to_string().contains("waveform.parquet") && e.to_string().contains("`speed`"),
        "{e}"
    );
}

#[test]
fn malformed_choices_are_named() {
    let empty = frame().head(Some(0));
    for (frame, channels, kind, word) in [
        (&frame(), &[][..], ErrorKind::InsufficientData, "channels"),
        (&empty, &[("f64", "")], ErrorKind::InsufficientData, "1 sample"),
        (&frame(), &[("no", "")], ErrorKind::InvalidInput, "`no`"),
        (&frame(), &[("text", "")], ErrorKind::InvalidInput, "`text`"),
        (&frame(), &[("f64", ""), ("f64", "")], ErrorKind::InvalidInput, "unique"),
    ] {
        let e = from(frame, channels).unwrap_err();
        assert_eq!(e.kind(), kind, "{e}");
        assert!(e.to_string().contains(word), "{e}");
    }
    let long = DataFrame::new(
        1 << 20,
        vec![Column::new_scalar("x".into(), Scalar::from(1.0), 1 << 20)],
    )
    .unwrap();
    let e = from(&long, &[("x", ""); 257]).unwrap_err();
    assert!(e.to_string().contains("268435456"), "{e}");
}
