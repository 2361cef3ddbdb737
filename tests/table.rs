//! Fleets and features as Polars tables: there and back, against the chain itself, and hostile frames and files.

use prognos::{
    ErrorKind, Result,
    features::{FeatureSchema, FeatureView, telemetry},
    model::OnlineModel,
    pipeline::Pipeline,
    preprocess::Regimes,
    quantity::{LifeUnit, Seed, Timestamp},
    rul::RidgeRul,
    signal::{AssetHistory, Channel, EndOfLife, FleetHistory},
    simulate::TurbofanFleet,
    table::{self, FleetLayout, polars::prelude::*},
};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_oneof, proptest};
use std::sync::Arc;

const UNITS: [LifeUnit; 4] = [LifeUnit::Cycles, LifeUnit::Seconds, LifeUnit::Hours, LifeUnit::Days];

fn same_bits(a: &FleetHistory, b: &FleetHistory) -> std::result::Result<(), String> {
    if (a.channels(), a.life_unit(), a.assets().len()) != (b.channels(), b.life_unit(), b.assets().len()) {
        return Err(format!(
            "{:?} {:?} differs from {:?} {:?}",
            a.channels(),
            a.life_unit(),
            b.channels(),
            b.life_unit()
        ));
    }
    for (a, b) in a.assets().iter().zip(b.assets()) {
        if (a.asset(), a.end(), a.times()) != (b.asset(), b.end(), b.times()) {
            return Err(format!(
                "asset `{}` {:?} differs from `{}` {:?}",
                a.asset(),
                a.end(),
                b.asset(),
                b.end()
            ));
        }
        for ((t, x), (_, y)) in a.rows().zip(b.rows()) {
            if !x.iter().zip(y).all(|(x, y)| x.to_bits() == y.to_bits()) {
                return Err(format!("asset `{}` at {t}: {x:?} differs from {y:?}", a.asset()));
            }
        }
    }
    Ok(())
}

fn layout_of(fleet: &FleetHistory) -> FleetLayout {
    FleetLayout::new(fleet.life_unit()).channels(fleet.channels().to_vec())
}

fn simulated(n_assets: u32) -> FleetHistory {
    let params = TurbofanFleet::params().seed(Seed(5)).n_assets(n_assets);
    params.generate().unwrap().history
}

/// A small fleet of two channels, all kinds of ends, gaps in time, missing and infinite readings.
fn small(unit: LifeUnit) -> FleetHistory {
    let channels = vec![Channel::new("temperature", "°C"), Channel::new("load", "")];
    let mut fleet = FleetHistory::new(channels, unit).unwrap();
    let ends = [EndOfLife::Failed, EndOfLife::Unknown, EndOfLife::FailedAfter(7.25)];
    for (i, end) in ends.into_iter().enumerate() {
        let n = 3 + i as i64;
        let times = (0..n).map(|k| Timestamp::from_nanos(unit.instant(k * (k + 1)).nanos() + 7));
        let value = |k| match k {
            1 => f64::NAN,
            2 => f64::INFINITY,
            k => 20.1 * k as f64 - i as f64 / 3.0,
        };
        let values = (0..2 * n).map(value).collect();
        let asset = AssetHistory::new(format!("pump {i}"), times.collect(), values, 2, end).unwrap();
        fleet.push(asset).unwrap();
    }
    fleet
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: ErrorKind, words: &[&str]) {
    let e = result.err().expect("it was taken");
    assert_eq!(e.kind(), kind, "{e}");
    for word in words {
        assert!(e.to_string().contains(word), "`{word}` is not in: {e}");
    }
}

fn names(frame: &DataFrame) -> Vec<&str> {
    frame.get_column_names().into_iter().map(|n| n.as_str()).collect()
}

#[track_caller]
fn floats(frame: &DataFrame, name: &str) -> Vec<Option<f64>> {
    frame.column(name).unwrap().f64().unwrap().to_vec()
}

fn bits(values: &[Option<f64>]) -> Vec<Option<u64>> {
    values.iter().map(|v| v.map(f64::to_bits)).collect()
}

#[test]
fn frames_hold_fleets_without_loss() {
    for unit in UNITS {
        let fleet = small(unit);
        let frame = table::fleet_to_frame(&fleet).unwrap();
        assert_eq!(frame.shape(), (fleet.n_rows(), 5));
        assert_eq!(names(&frame), ["asset", "time", "temperature", "load", "rul"]);
        let instants = match unit {
            LifeUnit::Cycles => DataType::Int64,
            _ => DataType::Datetime(TimeUnit::Nanoseconds, None),
        };
        let types = [
            DataType::String,
            instants,
            DataType::Float64,
            DataType::Float64,
            DataType::Float64,
        ];
        assert_eq!(frame.dtypes(), types);
        // Null where a reading is missing or an end unknown, and nowhere else; infinity is a reading.
        let n_null: Vec<usize> = frame.columns().iter().map(Column::null_count).collect();
        assert_eq!(n_null, [0, 0, 0, 3, 4]);
        assert!(floats(&frame, "temperature").contains(&Some(f64::INFINITY)));

        same_bits(&table::fleet_from_frame(&frame, &layout_of(&fleet)).unwrap(), &fleet).unwrap();
        // Without the channels named, all but their units comes back.
        let bare = table::fleet_from_frame(&frame, &FleetLayout::new(unit)).unwrap();
        assert!(bare.channels().iter().all(|c| c.unit.is_empty()));
        assert_eq!(bare.n_rows(), fleet.n_rows());
    }
}

#[test]
fn a_fleet_without_assets_is_a_frame_without_rows() {
    let fleet = FleetHistory::new(vec![Channel::new("load", "A")], LifeUnit::Days).unwrap();
    let frame = table::fleet_to_frame(&fleet).unwrap();
    assert_eq!(frame.shape(), (0, 4));
    same_bits(&table::fleet_from_frame(&frame, &layout_of(&fleet)).unwrap(), &fleet).unwrap();
}

fn any_fleet() -> impl Strategy<Value = FleetHistory> {
    let value = prop_oneof![8 => any::<f64>(), 1 => proptest::strategy::Just(f64::NAN)];
    let end = prop_oneof![
        proptest::strategy::Just(EndOfLife::Failed),
        proptest::strategy::Just(EndOfLife::Unknown),
        (1e-3..1e6f64).prop_map(EndOfLife::FailedAfter),
    ];
    let asset = (1usize..9).prop_flat_map(move |n| {
        let steps = prop::collection::vec(1i64..1_000_000_000_000_000, n);
        (steps, prop::collection::vec(value.clone(), 3 * n), end.clone())
    });
    (prop::collection::vec(asset, 1..5), 0usize..4, any::<i32>()).prop_map(|(assets, unit, start)| {
        let channels = ["a", "b", "c"].map(|n| Channel::new(n, "u"));
        let mut fleet = FleetHistory::new(channels.to_vec(), UNITS[unit]).unwrap();
        for (i, (steps, values, end)) in assets.into_iter().enumerate() {
            let mut at = i64::from(start) * 1_000_000_000;
            let times = steps.into_iter().map(|step| {
                at += step;
                Timestamp::from_nanos(at)
            });
            // A NaN of any payload is the same missing reading.
            let values = values
                .into_iter()
                .map(|v| if v.is_nan() { f64::NAN } else { v })
                .collect();
            let asset = AssetHistory::new(format!("{i}"), times.collect(), values, 3, end).unwrap();
            fleet.push(asset).unwrap();
        }
        fleet
    })
}

proptest! {
    #[test]
    fn any_fleet_comes_back_to_the_bit(fleet in any_fleet()) {
        let mut frame = table::fleet_to_frame(&fleet).unwrap();
        let back = table::fleet_from_frame(&frame, &layout_of(&fleet)).unwrap();
        prop_assert!(same_bits(&back, &fleet).is_ok(), "{:?}", same_bits(&back, &fleet));
        let mut file = Vec::new();
        ParquetWriter::new(&mut file).finish(&mut frame).unwrap();
        let read = ParquetReader::new(std::io::Cursor::new(file)).finish().unwrap();
        let back = table::fleet_from_frame(&read, &layout_of(&fleet)).unwrap();
        prop_assert!(same_bits(&back, &fleet).is_ok(), "{:?}", same_bits(&back, &fleet));
    }
}

#[test]
fn columns_are_found_by_name_and_rows_by_asset() {
    let fleet = small(LifeUnit::Hours);
    let frame = table::fleet_to_frame(&fleet).unwrap();
    let turned = frame.select(["rul", "load", "time", "temperature", "asset"]).unwrap();
    same_bits(&table::fleet_from_frame(&turned, &layout_of(&fleet)).unwrap(), &fleet).unwrap();
    // By time, the rows of the assets lie among each other; assets come in the order of their first rows.
    let mixed = frame.sort(["time", "asset"], SortMultipleOptions::default()).unwrap();
    let assets = mixed.column("asset").unwrap().str().unwrap();
    assert_eq!((assets.get(0), assets.get(1)), (Some("pump 0"), Some("pump 1")));
    same_bits(&table::fleet_from_frame(&mixed, &layout_of(&fleet)).unwrap(), &fleet).unwrap();
    // In several chunks.
    let mut chunks = frame.slice(0, 4);
    chunks.vstack_mut(&frame.slice(4, 8)).unwrap();
    assert!(chunks.first_col_n_chunks() > 1);
    same_bits(&table::fleet_from_frame(&chunks, &layout_of(&fleet)).unwrap(), &fleet).unwrap();
    // In another order of channels, and one alone.
    let one = FleetLayout::new(LifeUnit::Hours).channels([Channel::new("load", "kW")]);
    let one = table::fleet_from_frame(&frame, &one).unwrap();
    assert_eq!(one.channels(), [Channel::new("load", "kW")]);
    assert_eq!(one.assets()[0].rows().nth(1).unwrap().1[0], 20.1 * 3.0);
}

#[test]
fn numbers_of_any_width_are_taken() {
    let wanted = [1.0, 2.0, 100.0];
    let types = [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
    ];
    for dtype in &types {
        let column = |name: &str, values: &[f64]| Column::new(name.into(), values).cast(dtype).unwrap();
        let frame = DataFrame::new(
            3,
            vec![
                column("asset", &[7.0, 7.0, 7.0]).cast(&DataType::Int32).unwrap(),
                column("time", &[1.0, 2.0, 3.0]),
                column("x", &wanted),
                column("rul", &[2.0, 1.0, 0.0]),
            ],
        )
        .unwrap();
        let layout = FleetLayout::new(LifeUnit::Cycles).time_in_life_units();
        let fleet = table::fleet_from_frame(&frame, &layout).unwrap_or_else(|e| panic!("{dtype}: {e}"));
        let asset = &fleet.assets()[0];
        assert_eq!((asset.asset(), asset.end()), ("7", EndOfLife::Failed), "{dtype}");
        assert_eq!(asset.times(), [1, 2, 3].map(|k| LifeUnit::Cycles.instant(k)), "{dtype}");
        assert!(asset.rows().map(|(_, v)| v[0]).eq(wanted), "{dtype}");
    }
    for dtype in types.iter().filter(|t| t.is_integer()) {
        let mut frame = df!("time" => [1i64, 2], "x" => [1.0, 2.0]).unwrap();
        let assets = Column::new("asset".into(), [12i64, 12]).cast(dtype).unwrap();
        frame.with_column(assets).unwrap();
        let fleet = table::fleet_from_frame(&frame, &FleetLayout::new(LifeUnit::Cycles)).unwrap();
        assert_eq!(fleet.assets()[0].asset(), "12", "{dtype}");
        assert_eq!(fleet.assets()[0].times()[1].nanos(), 2);
    }
}

#[test]
fn f32_widens_and_large_integers_round() {
    let frame = df!(
        "asset" => ["a", "a"], "time" => [1i64, 2], "single" => [Some(0.1f32), None], "count" => [(1i64 << 53) + 1, -5],
        "dead" => [None::<f64>, None],
    );
    let mut frame = frame.unwrap();
    frame
        .with_column(Column::new_scalar("none".into(), Scalar::null(DataType::Null), 2))
        .unwrap();
    let fleet = table::fleet_from_frame(&frame, &FleetLayout::new(LifeUnit::Cycles)).unwrap();
    let rows: Vec<&[f64]> = fleet.assets()[0].rows().map(|(_, v)| v).collect();
    assert_eq!(rows[0][..2], [f64::from(0.1f32), (1u64 << 53) as f64]);
    assert!(rows[1][0].is_nan() && rows[1][1] == -5.0);
    assert!(rows.iter().all(|r| r[2].is_nan() && r[3].is_nan()));
}

#[test]
fn instants_are_taken_from_datetimes_dates_and_counts() {
    let at = |frame: DataFrame, layout: FleetLayout| {
        let fleet = table::fleet_from_frame(&frame, &layout).unwrap();
        fleet.assets()[0].times().iter().map(|t| t.nanos()).collect::<Vec<_>>()
    };
    let with_time = |time: Column| {
        let mut frame = df!("asset" => ["a"; 2], "x" => [1.0, 2.0]).unwrap();
        frame.with_column(time.with_name("time".into())).unwrap();
        frame
    };
    let ints = || Column::new("time".into(), [-3i64, 5]);
    for (unit, factor) in [
        (TimeUnit::Nanoseconds, 1),
        (TimeUnit::Microseconds, 1_000),
        (TimeUnit::Milliseconds, 1_000_000),
    ] {
        for zone in [None, Some(TimeZone::UTC)] {
            let time = ints().cast(&DataType::Datetime(unit, zone)).unwrap();
            assert_eq!(
                at(with_time(time), FleetLayout::new(LifeUnit::Hours)),
                [-3 * factor, 5 * factor]
            );
        }
    }
    let days = ints().cast(&DataType::Int32).unwrap().cast(&DataType::Date).unwrap();
    let day = 86_400_000_000_000;
    assert_eq!(
        at(with_time(days), FleetLayout::new(LifeUnit::Days)),
        [-3 * day, 5 * day]
    );
    let counted = FleetLayout::new(LifeUnit::Days).time_in_life_units();
    assert_eq!(at(with_time(ints()), counted.clone()), [-3 * day, 5 * day]);
    let halves = Column::new("time".into(), [-0.5, 1e5 + 0.25]);
    assert_eq!(at(with_time(halves), counted), [-day / 2, 100_000 * day + day / 4]);
    // The same column is nanoseconds unless told otherwise.
    assert_eq!(at(with_time(ints()), FleetLayout::new(LifeUnit::Days)), [-3, 5]);
}

#[test]
fn categories_are_assets() {
    let text = Column::new("asset".into(), ["b", "a", "b"]);
    let categories = Categories::new("assets".into(), "".into(), CategoricalPhysical::U32);
    let categories = text.cast(&DataType::from_categories(categories)).unwrap();
    let frame = DataFrame::new(
        3,
        vec![
            categories,
            Column::new("time".into(), [1i64, 1, 2]),
            Column::new("x".into(), [1.0, 2.0, 3.0]),
        ],
    );
    let fleet = table::fleet_from_frame(&frame.unwrap(), &FleetLayout::new(LifeUnit::Cycles)).unwrap();
    let names: Vec<(&str, usize)> = fleet.assets().iter().map(|a| (a.asset(), a.n_rows())).collect();
    assert_eq!(names, [("b", 2), ("a", 1)]);
}

#[test]
fn ends_are_taken_from_the_column_or_the_layout() {
    let frame = df!("asset" => ["a", "a", "b"], "time" => [1i64, 2, 1], "x" => [1.0, 2.0, 3.0],
        "rul" => [Some(9.5), Some(8.5), None], "left" => [1.0, 0.0, f64::NAN])
    .unwrap();
    let layout = || {
        let x = [Channel::new("x", "")];
        FleetLayout::new(LifeUnit::Cycles).time_in_life_units().channels(x)
    };
    let ends = |layout: FleetLayout| {
        let fleet = table::fleet_from_frame(&frame, &layout).unwrap();
        fleet.assets().iter().map(|a| a.end()).collect::<Vec<_>>()
    };
    use EndOfLife::{Failed, FailedAfter, Unknown};
    assert_eq!(ends(layout()), [FailedAfter(8.5), Unknown]);
    assert_eq!(ends(layout().rul("left")), [Failed, Unknown]); // NaN is not known
    assert_eq!(ends(layout().ends(Failed)), [Failed, Failed]);
    let without = frame.drop("rul").unwrap();
    let fleet = table::fleet_from_frame(&without, &layout()).unwrap();
    assert!(fleet.assets().iter().all(|a| a.end() == Unknown));
    // A column of remaining lives is no channel, whether it is looked at or not: it would give the answer away.
    let all = FleetLayout::new(LifeUnit::Cycles).ends(Failed);
    let fleet = table::fleet_from_frame(&frame, &all).unwrap();
    assert_eq!(
        fleet.channels().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["x", "left"]
    );
}

#[test]
fn hostile_frames_are_refused_by_name_and_row() {
    let good = || df!("asset" => ["a", "a", "b"], "time" => [1i64, 2, 1], "x" => [1.0, 2.0, 3.0]).unwrap();
    let with = |column: Column| {
        let mut frame = good();
        frame.with_column(column).unwrap();
        frame
    };
    let cycles = || FleetLayout::new(LifeUnit::Cycles);
    let read = |frame: &DataFrame| table::fleet_from_frame(frame, &cycles());
    let bad = ErrorKind::InvalidInput;
    read(&good()).unwrap();

    // Missing.
    for name in ["asset", "time"] {
        refused(read(&good().drop(name).unwrap()), bad, &[name, "a frame of `"]);
    }
    refused(read(&good().drop("x").unwrap()), bad, &["channels", "at least 1"]);
    refused(read(&DataFrame::empty()), bad, &["`asset`", "none"]);
    refused(
        table::fleet_from_frame(&good(), &cycles().channels([Channel::new("y", "")])),
        bad,
        &["`y`", "`asset`, `time`, `x`"],
    );
    refused(table::fleet_from_frame(&good(), &cycles().rul("rul")), bad, &["`rul`"]);
    refused(
        table::fleet_from_frame(&good(), &cycles().asset("time")),
        ErrorKind::InvalidParameter,
        &["`time`"],
    );
    let twice = [Channel::new("x", ""), Channel::new("x", "")];
    refused(
        table::fleet_from_frame(&good(), &cycles().channels(twice)),
        bad,
        &["`x`"],
    );

    // Of another type.
    let text = |name: &str| Column::new(name.into(), ["1", "2", "3"]);
    refused(read(&with(text("x"))), bad, &["`x`", "integer or a float", "str"]);
    refused(read(&with(text("time"))), bad, &["`time`", "str"]);
    refused(read(&with(text("rul"))), bad, &["`rul`", "str"]);
    refused(
        read(&with(Column::new("x".into(), [true, false, true]))),
        bad,
        &["`x`", "bool"],
    );
    refused(
        read(&with(Column::new("asset".into(), [1.0, 1.0, 2.0]))),
        bad,
        &["`asset`", "f64"],
    );
    refused(
        read(&with(Column::new("time".into(), [1.0, 2.0, 1.0]))),
        bad,
        &["`time`", "f64", "life units"],
    );
    let dates = Column::new("time".into(), [1i64, 2, 1]);
    let dates = dates.cast(&DataType::Datetime(TimeUnit::Milliseconds, None)).unwrap();
    refused(read(&with(dates)), bad, &["`time`", "cycles"]);
    let none = |name: &str| Column::new_scalar(name.into(), Scalar::null(DataType::Null), 3);
    refused(read(&with(none("time"))), bad, &["`time`", "null"]);
    refused(read(&with(none("asset"))), bad, &["`asset`", "null"]);

    // Null keys.
    refused(
        read(&with(Column::new("asset".into(), [Some("a"), None, Some("b")]))),
        bad,
        &["row 1", "`asset`", "null"],
    );
    refused(
        read(&with(Column::new("asset".into(), [Some(1i32), Some(1), None]))),
        bad,
        &["row 2", "`asset`", "null"],
    );
    refused(
        read(&with(Column::new("time".into(), [None, Some(2i64), Some(1)]))),
        bad,
        &["row 0", "`time`", "null"],
    );

    // Instants that do not increase, or are out of range.
    for (times, row) in [([2i64, 2, 1], "row 1"), ([3, 2, 1], "row 1")] {
        refused(
            read(&with(Column::new("time".into(), times))),
            bad,
            &[row, "`time`", "asset `a`"],
        );
    }
    let units = |time: Column| table::fleet_from_frame(&with(time), &cycles().time_in_life_units());
    refused(
        units(Column::new("time".into(), [1, i64::MAX, 1])),
        bad,
        &["row 1", "1677"],
    );
    for wrong in [f64::NAN, f64::INFINITY, -1e300, 9.3e9] {
        let time = Column::new("time".into(), [wrong, 2.0, 1.0]);
        refused(units(time), bad, &["row 0", "`time`", "1677"]);
    }
    refused(
        read(&with(Column::new("time".into(), [1, 2, u64::MAX]))),
        bad,
        &["`time`"],
    );

    // Remaining lives.
    let lives = |rul: [Option<f64>; 3]| {
        let frame = with(Column::new("rul".into(), rul));
        table::fleet_from_frame(&frame, &cycles().time_in_life_units())
    };
    lives([Some(4.0), Some(3.0), None]).unwrap();
    refused(lives([Some(-1.0), Some(-2.0), None]), bad, &["row 0", "`rul`", "-1"]);
    refused(
        lives([Some(f64::INFINITY), None, None]),
        bad,
        &["row 0", "`rul`", "inf"],
    );
    refused(
        lives([Some(4.0), Some(4.0), None]),
        bad,
        &["row 1", "`rul`", "3, 1 below", "got 4"],
    );
    refused(lives([Some(4.0), None, None]), bad, &["row 1", "`rul`", "got null"]);
    refused(
        lives([None, Some(3.0), None]),
        bad,
        &["row 1", "`rul`", "expected null"],
    );

    // Channels that would stand for something else.
    for name in ["asset", "time", "rul"] {
        let mut fleet = FleetHistory::new(vec![Channel::new(name, "")], LifeUnit::Hours).unwrap();
        let times = vec![Timestamp::from_secs(0)];
        fleet
            .push(AssetHistory::new("a", times, vec![1.0], 1, EndOfLife::Unknown).unwrap())
            .unwrap();
        refused(table::fleet_to_frame(&fleet), bad, &[name]);
    }
}

#[test]
fn polars_errors_become_this_crate_s() {
    fn missing() -> Result<DataFrame> {
        Ok(df!("a" => [1i64])?.select(["b"])?)
    }
    refused(missing(), ErrorKind::InvalidInput, &["b"]);
    let io = PolarsError::from(std::io::Error::other("disc on fire")).wrap_msg(|m| format!("while reading: {m}"));
    refused::<()>(Err(io.into()), ErrorKind::Io, &["disc on fire"]);
}

// ---------------------------------------------------------------------------------------------------------- files

#[test]
fn parquet_files_hold_frames_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleet.parquet");
    for unit in UNITS {
        let fleet = small(unit);
        let mut frame = table::fleet_to_frame(&fleet).unwrap();
        table::write_parquet(&mut frame, &path).unwrap();
        let read = table::read_parquet(&path).unwrap();
        assert_eq!((read.dtypes(), read.equals_missing(&frame)), (frame.dtypes(), true));
        same_bits(&table::fleet_from_frame(&read, &layout_of(&fleet)).unwrap(), &fleet).unwrap();
        let scanned = table::scan_parquet(&path).unwrap().collect().unwrap();
        assert!(scanned.equals_missing(&frame));
        let bytes = std::fs::read(&path).unwrap();
        table::write_parquet(&mut frame, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "the same frame, other bytes");
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "temporary files left: {left:?}");
}

#[test]
fn file_errors_name_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    refused(
        table::read_parquet(at("gone.parquet")),
        ErrorKind::Io,
        &["gone.parquet"],
    );
    refused(
        table::scan_parquet(at("gone.parquet")).map(|_| ()),
        ErrorKind::Io,
        &["gone.parquet"],
    );
    assert!(table::scan_parquet(at("gone-*.parquet")).is_err_and(|e| e.to_string().contains("gone-*.parquet")));
    let mut frame = table::fleet_to_frame(&small(LifeUnit::Hours)).unwrap();
    refused(
        table::write_parquet(&mut frame, at("gone/f.parquet")),
        ErrorKind::Io,
        &["gone/f.parquet"],
    );
    for url in ["s3://bucket/f.parquet", "https://example.org/f.parquet"] {
        refused(
            table::scan_parquet(url).map(|_| ()),
            ErrorKind::InvalidParameter,
            &[url],
        );
    }
    for bytes in [&b""[..], b"PAR1", b"asset,time\n1,2\n", &[0; 64]] {
        std::fs::write(at("other"), bytes).unwrap();
        assert!(table::read_parquet(at("other")).is_err_and(|e| e.to_string().contains("other")));
        assert!(table::scan_parquet(at("other")).is_err_and(|e| e.to_string().contains("other")));
    }
}

#[test]
fn truncated_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fleet.parquet");
    table::write_parquet(&mut table::fleet_to_frame(&small(LifeUnit::Hours)).unwrap(), &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for n in 0..bytes.len() {
        std::fs::write(&path, &bytes[..n]).unwrap();
        assert!(
            table::read_parquet(&path).is_err(),
            "first {n} of {} bytes",
            bytes.len()
        );
    }
}

/// `fleet_pyarrow.parquet`, of types that this crate writes nowhere; the numbers are those of `make_parquet.py`.
#[test]
fn files_of_other_programs_are_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/fleet_pyarrow.parquet");
    let layout = FleetLayout::new(LifeUnit::Hours).asset("unit").time("when");
    for frame in [
        table::read_parquet(path).unwrap(),
        table::scan_parquet(path).unwrap().collect().unwrap(),
    ] {
        let fleet = table::fleet_from_frame(&frame, &layout).unwrap();
        let channels: Vec<&str> = fleet.channels().iter().map(|c| c.name.as_str()).collect();
        assert_eq!(channels, ["load", "t", "step", "code", "count"]);
        assert_eq!(
            fleet.assets().iter().map(|a| a.asset()).collect::<Vec<_>>(),
            ["east", "west"]
        );
        let mut n_rows = 0;
        for asset in fleet.assets() {
            let of_asset = (0..12).filter(|i| (i % 3 == 0) == (asset.asset() == "east"));
            for ((time, row), i) in asset.rows().zip(of_asset) {
                assert_eq!(time.nanos(), 1_700_000_000_000_000_000 + 250_000_000 * i);
                let load = if i == 5 { f64::NAN } else { (i * 37 % 256) as f64 };
                let t = if i == 4 {
                    f64::NAN
                } else {
                    f64::from((20.1 + i as f64) as f32)
                };
                let expected = [load, t, (-300 + 55 * i) as f64, (i - 6) as f64, (40_000 + i) as f64];
                assert!(
                    row.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits()),
                    "{row:?}, {expected:?}"
                );
                n_rows += 1;
            }
        }
        assert_eq!(n_rows, 12);
        let summary = table::asset_summary(frame.lazy(), &layout).unwrap().collect().unwrap();
        assert_eq!(floats(&summary, "load_missing"), [Some(0.0), Some(1.0 / 8.0)]);
        assert_eq!(floats(&summary, "t_missing"), [Some(0.0), Some(1.0 / 8.0)]);
    }
}

// ------------------------------------------------------------------------------------------------------- features

fn fitted(fleet: &FleetHistory, with_rul: bool) -> Pipeline {
    let params = Pipeline::params()
        .regimes(Regimes::kmeans(6).on(["setting_1", "setting_2", "setting_3"]))
        .features(telemetry().ewma([6.0]).slope([15.0]).age());
    let params = if with_rul {
        params.rul(RidgeRul::params().label_cap(125.0))
    } else {
        params
    };
    params.fit(fleet).unwrap()
}

/// A fleet with rows the chain cannot use: one without settings, at the start and in the middle.
fn with_dropouts() -> FleetHistory {
    let fleet = simulated(8);
    let mut broken = FleetHistory::new(fleet.channels().to_vec(), fleet.life_unit()).unwrap();
    for asset in fleet.assets() {
        let n = fleet.channels().len();
        let mut values: Vec<f64> = asset.rows().flat_map(|(_, row)| row.to_vec()).collect();
        for row in [0, 20] {
            values[row * n..(row + 1) * n].fill(f64::NAN);
        }
        values[30 * n + 5] = f64::NAN;
        let end = if asset.asset() == fleet.assets()[0].asset() {
            EndOfLife::Unknown
        } else {
            asset.end()
        };
        let asset = AssetHistory::new(asset.asset(), asset.times().to_vec(), values, n, end).unwrap();
        broken.push(asset).unwrap();
    }
    broken
}

fn null_if_nan(v: f64) -> Option<u64> {
    (!v.is_nan()).then_some(v.to_bits())
}

#[test]
fn feature_frame_is_what_the_chain_gives() {
    let fleet = with_dropouts();
    for with_rul in [true, false] {
        let model = fitted(&simulated(8), with_rul);
        let frame = table::feature_frame(&model, &fleet).unwrap();
        let features: Vec<&str> = model
            .feature_schema()
            .features()
            .iter()
            .map(|f| f.name.as_str())
            .collect();
        let expected: Vec<&str> = ["asset", "time"]
            .into_iter()
            .chain(features.iter().copied())
            .chain(["score", "threshold", "rul", "lower", "upper", "true_rul"])
            .collect();
        assert_eq!(names(&frame), expected);

        // The decisions, by the call for recordings.
        let mut given: Vec<Vec<Option<u64>>> = vec![Vec::new(); 6];
        let mut n_unusable = 0;
        for asset in fleet.assets() {
            let lives = asset.rul(fleet.life_unit());
            for (i, outcome) in model.assess_history(asset).unwrap().into_iter().enumerate() {
                let decision = outcome.ready();
                n_unusable += usize::from(decision.is_none());
                let condition = decision.as_ref().map(|d| d.condition());
                let rul = condition.and_then(|c| c.rul);
                let row = [
                    condition.map(|c| c.score.value),
                    condition.map(|c| c.score.threshold),
                    rul.map(|r| r.rul),
                    rul.map(|r| r.lower),
                    rul.map(|r| r.upper),
                    lives.as_ref().map(|l| l[i]),
                ];
                given.iter_mut().zip(row).for_each(|(g, v)| g.push(v.map(f64::to_bits)));
            }
        }
        assert_eq!(n_unusable, 2 * fleet.assets().len());
        for (name, given) in expected[expected.len() - 6..].iter().zip(&given) {
            assert_eq!(&bits(&floats(&frame, name)), given, "{name}");
        }
        assert_eq!(frame.column("rul").unwrap().null_count() == frame.height(), !with_rul);

        // The features, by the chain's own buffers: state and scratch per row, as an online service has them.
        let mut columns: Vec<Vec<Option<u64>>> = vec![Vec::new(); features.len()];
        let mut n_null_rows = 0;
        for asset in fleet.assets() {
            let mut state = model.new_state();
            for (time, row) in asset.rows() {
                let mut scratch = model.new_scratch().with_features();
                assert!(scratch.features().is_none(), "of no row yet");
                let x = FeatureView::new(model.schema(), row).unwrap().at(time);
                let outcome = model.step_with(&mut state, x, &mut scratch).unwrap();
                assert_eq!(outcome.ready().is_some(), scratch.features().is_some());
                n_null_rows += usize::from(scratch.features().is_none());
                let nothing = vec![f64::NAN; features.len()];
                let values = scratch.features().unwrap_or(&nothing);
                columns
                    .iter_mut()
                    .zip(values)
                    .for_each(|(c, v)| c.push(null_if_nan(*v)));
            }
        }
        assert_eq!(n_null_rows, n_unusable);
        for (name, column) in features.iter().zip(&columns) {
            assert_eq!(&bits(&floats(&frame, name)), column, "{name}");
        }
        // Features that are not there yet are null in rows that have others.
        let slope = features.iter().find(|n| n.contains("slope")).unwrap();
        assert!(frame.column(slope).unwrap().null_count() > n_unusable);
        // Age is known of every usable row, and can be checked by hand: rows are a cycle apart, the first is lost.
        let age = floats(&frame, "age");
        assert_eq!(age[..4], [None, Some(0.0), Some(1.0), Some(2.0)]);

        // The keys are the fleet's.
        let readings = table::fleet_to_frame(&fleet).unwrap();
        for key in ["asset", "time"] {
            assert!(frame.column(key).unwrap().equals(readings.column(key).unwrap()));
        }
        assert!(
            frame
                .column("true_rul")
                .unwrap()
                .equals_missing(readings.column("rul").unwrap())
        );
    }
}

#[test]
fn a_scratch_forgets_the_features_of_an_unusable_row() {
    let fleet = simulated(8);
    let model = fitted(&fleet, false);
    let (mut state, mut scratch) = (model.new_state(), model.new_scratch().with_features());
    let (time, row) = fleet.assets()[0].rows().next().unwrap();
    let x = FeatureView::new(model.schema(), row).unwrap();
    let mut unasked = model.new_scratch();
    model
        .step_with(&mut model.new_state(), x.at(time), &mut unasked)
        .unwrap();
    assert!(
        unasked.features().is_none(),
        "a chain without a regressor that nobody asks for features"
    );
    model.step_with(&mut state, x.at(time), &mut scratch).unwrap();
    assert!(scratch.features().is_some());
    model.step_with(&mut state, x.at(time), &mut scratch).unwrap(); // late
    assert!(scratch.features().is_none());
    model
        .step_with(&mut state, x.at(Timestamp::from_secs(1 << 20)), &mut scratch)
        .unwrap();
    assert!(scratch.features().is_some());
    assert!(model.step_with(&mut state, x, &mut scratch).is_err()); // no instant
    assert!(scratch.features().is_none());
}

#[test]
fn feature_tables_come_from_frames() {
    let fleet = simulated(8);
    let model = fitted(&fleet, true);
    let frame = table::feature_frame(&model, &fleet).unwrap();
    let features = table::feature_table_from_frame(&frame, model.feature_schema()).unwrap();
    assert_eq!(
        (features.n_rows(), features.n_assets()),
        (fleet.n_rows(), fleet.assets().len())
    );
    assert_eq!(features.schema(), model.feature_schema());
    for (c, feature) in model.feature_schema().features().iter().enumerate() {
        let column = floats(&frame, &feature.name);
        assert!(
            features.rows().map(|r| null_if_nan(r[c])).eq(bits(&column)),
            "{}",
            feature.name
        );
    }
    let counts = fleet.assets().iter().enumerate();
    let expected: Vec<u32> = counts.flat_map(|(i, a)| vec![i as u32; a.n_rows()]).collect();
    assert_eq!(features.asset(), expected);

    let schema = FeatureSchema::of_channels(&[Channel::new("x", "")]).unwrap();
    let bad = ErrorKind::InvalidInput;
    refused(table::feature_table_from_frame(&frame, &schema), bad, &["`x`"]);
    refused(
        table::feature_table_from_frame(&df!("x" => [1.0]).unwrap(), &schema),
        bad,
        &["`asset`"],
    );
    let text = df!("asset" => ["a"], "x" => ["1"]).unwrap();
    refused(table::feature_table_from_frame(&text, &schema), bad, &["`x`", "str"]);
    let empty = df!("asset" => ["a"], "x" => [1.0]).unwrap().slice(0, 0);
    refused(
        table::feature_table_from_frame(&empty, &schema),
        ErrorKind::InsufficientData,
        &["row"],
    );
}

#[test]
fn fleets_of_other_channels_and_units_are_refused() {
    let fleet = simulated(8);
    let model = fitted(&fleet, false);
    let mut turned = fleet.channels().to_vec();
    turned.swap(0, 1);
    let other = FleetHistory::new(turned, fleet.life_unit()).unwrap();
    refused(
        table::feature_frame(&model, &other),
        ErrorKind::SchemaMismatch,
        &["setting_1", "setting_2"],
    );
    let fewer = FleetHistory::new(fleet.channels()[1..].to_vec(), fleet.life_unit()).unwrap();
    refused(
        table::feature_frame(&model, &fewer),
        ErrorKind::SchemaMismatch,
        &["15", "14"],
    );
    let hours = FleetHistory::new(fleet.channels().to_vec(), LifeUnit::Hours).unwrap();
    refused(
        table::feature_frame(&model, &hours),
        ErrorKind::InvalidInput,
        &["cycles", "got h"],
    );
    let none = FleetHistory::new(fleet.channels().to_vec(), LifeUnit::Cycles).unwrap();
    let frame = table::feature_frame(&model, &none).unwrap();
    assert_eq!(frame.height(), 0);

    let lazy = table::fleet_to_frame(&fleet).unwrap().lazy();
    let model = Arc::new(model);
    let hours = FleetLayout::new(LifeUnit::Hours);
    refused(
        table::lazy_feature_frame(lazy.clone(), model.clone(), hours).map(|_| ()),
        ErrorKind::InvalidInput,
        &["cycles"],
    );
    let fewer = lazy.clone().drop(cols(["t30"]));
    let cycles = FleetLayout::new(LifeUnit::Cycles);
    refused(
        table::lazy_feature_frame(fewer, model.clone(), cycles.clone()).map(|_| ()),
        ErrorKind::InvalidInput,
        &["`t30`"],
    );
    // What only the rows show comes when they are read.
    let backwards = lazy.reverse();
    let e = table::lazy_feature_frame(backwards, model, cycles)
        .unwrap()
        .collect()
        .unwrap_err();
    assert!(e.to_string().contains("`time`"), "{e}");
}

#[test]
fn lazy_features_are_the_eager_ones() {
    let fleet = with_dropouts();
    let model = Arc::new(fitted(&simulated(8), true));
    let eager = table::feature_frame(&model, &fleet).unwrap();
    let layout = FleetLayout::new(fleet.life_unit());

    // One file an asset, of columns in another order and some that no one asked for.
    let dir = tempfile::tempdir().unwrap();
    let readings = table::fleet_to_frame(&fleet).unwrap();
    let mut from = 0;
    for (i, asset) in fleet.assets().iter().enumerate() {
        let mut part = readings.slice(from, asset.n_rows());
        from += asset.n_rows() as i64;
        part.with_column(Column::new_scalar(
            "site".into(),
            Scalar::from(PlSmallStr::from("north")),
            part.height(),
        ))
        .unwrap();
        let mut names = part.get_column_names_owned();
        names.reverse();
        table::write_parquet(
            &mut part.select(names).unwrap(),
            dir.path().join(format!("{i}.parquet")),
        )
        .unwrap();
    }
    let scan = || table::scan_parquet(dir.path().join("*.parquet")).unwrap();
    let lazy = table::lazy_feature_frame(scan(), model.clone(), layout.clone()).unwrap();
    let schema = lazy.clone().collect_schema().unwrap();
    assert_eq!(schema.as_ref(), eager.schema().as_ref());
    assert!(lazy.clone().collect().unwrap().equals_missing(&eager));
    let streamed = lazy.clone().collect_with_engine(Engine::Streaming).unwrap();
    assert!(streamed.unwrap_single().equals_missing(&eager));

    // A filter after must see features computed over all rows; one before makes the fleet smaller.
    let late = lit(fleet.life_unit().instant(100).nanos());
    let after = lazy
        .clone()
        .filter(col("time").gt(late.clone()))
        .select([col("asset"), col("age"), col("score")]);
    let expected = eager
        .clone()
        .lazy()
        .filter(col("time").gt(late))
        .select([col("asset"), col("age"), col("score")]);
    assert!(after.collect().unwrap().equals_missing(&expected.collect().unwrap()));
    let one = fleet.assets()[3].asset();
    let filtered = scan().filter(col("asset").eq(lit(one)));
    let before = table::lazy_feature_frame(filtered, model.clone(), layout.clone());
    let expected = eager
        .clone()
        .lazy()
        .filter(col("asset").eq(lit(one)))
        .collect()
        .unwrap();
    assert!(before.unwrap().collect().unwrap().equals_missing(&expected));

    // Two models over the same scan stay two, though the query optimiser looks for plans that are the same.
    let second = Arc::new(fitted(&simulated(6), true));
    let scan = scan();
    let scores = |model: &Arc<Pipeline>| {
        let lazy = table::lazy_feature_frame(scan.clone(), model.clone(), layout.clone()).unwrap();
        lazy.select([col("asset"), col("time"), col("score")])
    };
    let keys = || [col("asset"), col("time")];
    let both = scores(&model).join(scores(&second), keys(), keys(), JoinArgs::new(JoinType::Left));
    let both = both.collect().unwrap();
    let other = table::feature_frame(&second, &fleet).unwrap();
    assert_ne!(floats(&other, "score"), floats(&eager, "score"));
    assert_eq!(floats(&both, "score"), floats(&eager, "score"));
    assert_eq!(floats(&both, "score_right"), floats(&other, "score"));
}

// -------------------------------------------------------------------------------------------------------- summary

#[test]
fn summary_is_that_of_a_naive_loop() {
    let fleet = with_dropouts();
    let mut frame = table::fleet_to_frame(&fleet).unwrap();
    let dir = tempfile::tempdir().unwrap();
    // Shuffled over three files: a summary needs no order.
    frame = frame.sort(["t30"], SortMultipleOptions::default()).unwrap();
    let third = frame.height() / 3;
    for i in 0..3 {
        let n = if i == 2 { frame.height() } else { third };
        let mut part = frame.slice((i * third) as i64, n);
        table::write_parquet(&mut part, dir.path().join(format!("{i}.parquet"))).unwrap();
    }
    let scan = table::scan_parquet(dir.path().join("*.parquet")).unwrap();
    let summary = table::asset_summary(scan, &FleetLayout::new(fleet.life_unit())).unwrap();
    expect_summary(&summary.clone().collect().unwrap(), &fleet);
    // What is larger than memory goes through the other engine.
    expect_summary(
        &summary.collect_with_engine(Engine::Streaming).unwrap().unwrap_single(),
        &fleet,
    );
}

/// Holds a summary against sums over the fleet itself.
#[track_caller]
fn expect_summary(summary: &DataFrame, fleet: &FleetHistory) {
    assert_eq!(summary.shape(), (fleet.assets().len(), 4 + 3 * fleet.channels().len()));

    let mut assets: Vec<&AssetHistory> = fleet.assets().iter().collect();
    assets.sort_by_key(|a| a.asset());
    let names: Vec<Option<&str>> = summary.column("asset").unwrap().str().unwrap().iter().collect();
    assert_eq!(names, assets.iter().map(|a| Some(a.asset())).collect::<Vec<_>>());
    for (i, asset) in assets.iter().enumerate() {
        assert_eq!(
            summary.column("n_rows").unwrap().get(i).unwrap(),
            AnyValue::UInt32(asset.n_rows() as u32)
        );
        let time = |name: &str| summary.column(name).unwrap().i64().unwrap().get(i).unwrap();
        assert_eq!(time("first_time"), asset.times()[0].nanos());
        assert_eq!(time("last_time"), asset.times()[asset.n_rows() - 1].nanos());
        for (c, channel) in fleet.channels().iter().enumerate() {
            let values: Vec<f64> = asset.rows().map(|(_, r)| r[c]).filter(|v| !v.is_nan()).collect();
            let (n, k) = (asset.n_rows() as f64, values.len() as f64);
            let mean = values.iter().sum::<f64>() / k;
            let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (k - 1.0)).sqrt();
            // Sums of k terms: k roundings, relative to the largest partial sum.
            let close = |name: &str, expected: f64| {
                let got = floats(summary, &format!("{}_{name}", channel.name))[i].unwrap();
                let tolerance = 4.0 * k * f64::EPSILON * (mean.abs() + sd);
                assert!(
                    (got - expected).abs() <= tolerance,
                    "{} {name}: {got}, {expected}",
                    channel.name
                );
            };
            close("mean", mean);
            close("sd", sd);
            let missing = floats(summary, &format!("{}_missing", channel.name))[i];
            assert_eq!(missing, Some((n - k) / n));
        }
    }
}

#[test]
fn summary_tells_missing_from_infinite() {
    let frame = df!(
        "unit" => [1i32, 1, 1, 2, 3, 3], "at" => [5i64, 3, 4, 1, 1, 2],
        "x" => [Some(1.0), Some(f64::NAN), None, Some(4.0), Some(f64::INFINITY), Some(1.0)],
        "n" => [1u8, 2, 3, 4, 255, 255], "site" => ["s"; 6],
    )
    .unwrap();
    let layout = FleetLayout::new(LifeUnit::Cycles).asset("unit").time("at");
    refused(
        table::asset_summary(frame.clone().lazy(), &layout).map(|_| ()),
        ErrorKind::InvalidInput,
        &["`site`"],
    );
    let layout = layout.channels([Channel::new("x", ""), Channel::new("n", "")]);
    let summary = table::asset_summary(frame.clone().lazy(), &layout)
        .unwrap()
        .collect()
        .unwrap();
    let expected = [
        "asset",
        "n_rows",
        "first_time",
        "last_time",
        "x_mean",
        "x_sd",
        "x_missing",
        "n_mean",
        "n_sd",
        "n_missing",
    ];
    assert_eq!(names(&summary), expected);
    assert_eq!(floats(&summary, "x_mean"), [Some(1.0), Some(4.0), Some(f64::INFINITY)]);
    assert_eq!(floats(&summary, "x_missing"), [Some(2.0 / 3.0), Some(0.0), Some(0.0)]);
    let sd = floats(&summary, "x_sd");
    assert!(
        sd[0].is_none() && sd[1].is_none(),
        "one reading has no deviation: {sd:?}"
    );
    assert!(sd[2].is_none_or(|v| !v.is_finite()));
    assert_eq!(floats(&summary, "n_mean"), [Some(2.0), Some(4.0), Some(255.0)]);
    assert_eq!(floats(&summary, "n_sd"), [Some(1.0), None, Some(0.0)]);
    let time = |name: &str| summary.column(name).unwrap().i64().unwrap().to_vec();
    assert_eq!(time("first_time"), [Some(3), Some(1), Some(1)]);
    assert_eq!(time("last_time"), [Some(5), Some(1), Some(2)]);
    for name in ["unit", "at", "x"] {
        let without = frame.drop(name).unwrap().lazy();
        refused(
            table::asset_summary(without, &layout).map(|_| ()),
            ErrorKind::InvalidInput,
            &[&format!("`{name}`")],
        );
    }
}

// --------------------------------------------------------------------------------------------------------- C-MAPSS

/// Over the published files where `PROGNOS_DATA` names a folder with `cmapss/`; says so where it does not.
#[cfg(feature = "datasets")]
#[test]
fn published_turbofans_go_through() {
    use prognos::dataset::cmapss::{self, Subset};
    let Some(data) = std::env::var_os("PROGNOS_DATA") else {
        println!("skipped: PROGNOS_DATA is not set, the published C-MAPSS files were not read");
        return;
    };
    let dir = std::path::Path::new(&data).join("cmapss");
    let out = tempfile::tempdir().unwrap();
    for (subset, n_assets, n_rows) in [(Subset::Fd001, 100, 20_631), (Subset::Fd004, 249, 61_249)] {
        let fleet = cmapss::load_train(&dir, subset).unwrap();
        let mut frame = table::fleet_to_frame(&fleet).unwrap();
        assert_eq!(frame.shape(), (n_rows, 27), "{subset}");
        let path = out.path().join(format!("{subset}.parquet"));
        table::write_parquet(&mut frame, &path).unwrap();
        let back = table::fleet_from_frame(&table::read_parquet(&path).unwrap(), &layout_of(&fleet)).unwrap();
        same_bits(&back, &fleet).unwrap();

        let layout = FleetLayout::new(fleet.life_unit());
        let summary = table::asset_summary(table::scan_parquet(&path).unwrap(), &layout).unwrap();
        let summary = summary.collect().unwrap();
        assert_eq!(summary.height(), n_assets);
        let n: u32 = summary.column("n_rows").unwrap().u32().unwrap().iter().flatten().sum();
        assert_eq!(n as usize, n_rows);

        let model = Arc::new(fitted(&fleet, true));
        let lazy = table::lazy_feature_frame(table::scan_parquet(&path).unwrap(), model.clone(), layout).unwrap();
        let eager = table::feature_frame(&model, &fleet).unwrap();
        assert!(lazy.collect().unwrap().equals_missing(&eager), "{subset}");
        let last = fleet.assets().last().unwrap();
        let decision = model.assess_history(last).unwrap().pop().unwrap().ready().unwrap();
        let rul = floats(&eager, "rul")[n_rows - 1];
        assert_eq!(rul, decision.condition().rul.map(|r| r.rul));
        assert_eq!(floats(&eager, "true_rul")[n_rows - 1], Some(0.0));
    }
}
