//! What a fitted chain computes of each row, as frames.

use super::{
    ASSET, RUL, TIME,
    column::{Floats, Keys, assets, floats, instant_dtype, readings},
    fleet_frame::fleet_from_frame,
    layout::FleetLayout,
};
use crate::{
    error::{Error, Result},
    features::{FeatureSchema, FeatureTable, FeatureView},
    model::OnlineModel,
    pipeline::Pipeline,
    signal::{Channel, FleetHistory},
};
use ndarray::Array2;
use polars::prelude::{
    Column, DataFrame, DataType, LazyFrame, OptFlags, PolarsError, PolarsResult, Schema, SchemaRef, col, lit,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

const SCORE: &str = "score";
const THRESHOLD: &str = "threshold";
const LOWER: &str = "lower";
const UPPER: &str = "upper";
const TRUE_RUL: &str = "true_rul";

/// What `model` computes of every row of `fleet`, each asset from its first row:
///
/// | column | what |
/// |---|---|
/// | `asset`, `time` | as in the [frame of readings](super::fleet_to_frame) |
/// | one a feature of [`Pipeline::feature_schema`] | what the regressor takes |
/// | `score`, `threshold` | of the detector; an anomaly where the first lies above the second |
/// | `rul`, `lower`, `upper` | the estimate of remaining life and its interval |
/// | `true_rul` | the remaining life recorded, to train on or to judge by |
///
/// All but the keys are `Float64`, and null where the row gave none: every feature of a row the chain cannot use, a slope
/// over too few readings, estimates of a chain without a regressor. The numbers are those of
/// [`Pipeline::assess_history`] and of a [`Fleet`](crate::fleet::Fleet) fed row by row, to the last bit.
///
/// Cost: one pass of the chain over the fleet; memory: the frame, and one row's buffers.
///
/// ```
/// use prognos::{features, pipeline::Pipeline, preprocess::Regimes, quantity::Seed, simulate, table};
/// let fleet = simulate::turbofan_fleet(Seed(7))?;
/// let model = Pipeline::params()
///     .regimes(Regimes::automatic(8).on(["setting_1", "setting_2"]))
///     .features(features::telemetry().ewma([6.0]).age())
///     .fit(&fleet)?;
/// let frame = table::feature_frame(&model, &fleet)?;
/// assert_eq!(frame.shape(), (fleet.n_rows(), 2 + model.feature_schema().len() + 6));
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `SchemaMismatch` where the fleet's channels are not the model's, in its order; `InvalidInput` where its life is counted
/// in another unit.
pub fn feature_frame(model: &Pipeline, fleet: &FleetHistory) -> Result<DataFrame> {
    expect_life_unit(model, fleet.life_unit())?;
    let names = |features: &FeatureSchema| features.features().iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    let (wanted, given) = (names(model.schema()), fleet.channels());
    if wanted.len() != given.len() {
        return Err(Error::schema(
            "fleet",
            format!("the model's {} channels", wanted.len()),
            given.len(),
        ));
    }
    if let Some((i, (w, g))) = wanted.iter().zip(given).enumerate().find(|(_, (w, g))| **w != g.name) {
        return Err(Error::schema(
            &format!("channel {i} of the fleet"),
            format!("the model's `{w}`"),
            format!("`{}`", g.name),
        ));
    }

    let schema = frame_schema(model);
    let n_rows = fleet.n_rows();
    let mut keys = Keys::new(ASSET, n_rows);
    let mut columns: Vec<Floats> = schema
        .iter_names()
        .skip(2) // the keys
        .map(|name| Floats::new(name, n_rows))
        .collect();
    let n_features = model.feature_schema().len();
    let mut scratch = model.new_scratch().with_features();
    for asset in fleet.assets() {
        let mut state = model.new_state();
        let lives = asset.rul(fleet.life_unit());
        for (i, (time, row)) in asset.rows().enumerate() {
            let x = FeatureView::new(model.schema(), row)?.at(time);
            let outcome = model.step_with(&mut state, x, &mut scratch);
            let decision = outcome
                .map_err(|e| e.context(format!("asset `{}`", asset.asset())))?
                .ready();
            keys.push(asset.asset(), time);
            let (features, rest) = columns.split_at_mut(n_features);
            match scratch.features() {
                Some(values) => features.iter_mut().zip(values).for_each(|(c, v)| c.push(*v)),
                None => features.iter_mut().for_each(|c| c.push(f64::NAN)),
            }
            let score = decision.as_ref().map(|d| d.condition().score);
            let rul = decision.as_ref().and_then(|d| d.condition().rul);
            let given = [
                score.map(|s| s.value),
                score.map(|s| s.threshold),
                rul.map(|r| r.rul),
                rul.map(|r| r.lower),
                rul.map(|r| r.upper),
                lives.as_ref().and_then(|l| l.get(i)).copied(),
            ];
            rest.iter_mut()
                .zip(given)
                .for_each(|(c, v)| c.push(v.unwrap_or(f64::NAN)));
        }
    }
    let mut finished: Vec<Column> = keys.finish(TIME, model.life_unit()).into();
    finished.extend(columns.into_iter().map(Floats::finish));
    Ok(DataFrame::new(n_rows, finished)?)
}

/// [`feature_frame`] over a lazy frame of readings, such as a [scan](super::scan_parquet) of a whole fleet's files:
/// nothing is read before it is collected, and then only the columns the model takes.
///
/// `layout` says what the frame's columns are; its channels need not be named, they are the model's. A filter put on
/// `frame` before is handed down to the scan. One put on the result is applied to the features: a row's features depend
/// on the rows before it, so that it must not sink below them, and does not. Rows come out asset by asset.
///
/// Cost when collected: the readings, the fleet and the features are in memory at once.
///
/// ```
/// use prognos::{pipeline::Pipeline, preprocess::Regimes, quantity::Seed, simulate};
/// use prognos::table::{self, polars::prelude::*};
/// use std::sync::Arc;
/// let fleet = simulate::turbofan_fleet(Seed(7))?;
/// let regimes = Regimes::automatic(8).on(["setting_1", "setting_2"]);
/// let model = Arc::new(Pipeline::params().regimes(regimes).fit(&fleet)?);
///
/// let readings = table::fleet_to_frame(&fleet)?.lazy(); // or table::scan_parquet("fleet-*.parquet")?
/// let layout = table::FleetLayout::new(fleet.life_unit());
/// let anomalies = table::lazy_feature_frame(readings, model, layout)?
///     .filter(col("score").gt(col("threshold")))
///     .select([col("asset"), col("time"), col("score")])
///     .collect()?;
/// assert!(anomalies.height() > 0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`feature_frame`] and [`FleetLayout`] for what the frame's schema shows; the rest, as [`fleet_from_frame`], when it
/// is collected.
pub fn lazy_feature_frame(mut frame: LazyFrame, model: Arc<Pipeline>, layout: FleetLayout) -> Result<LazyFrame> {
    /// Polars takes two maps over the same plan for one, whatever they compute: a number in the plan keeps them apart.
    const NUMBER: &str = "prognos: number of the map";
    static NEXT: AtomicU64 = AtomicU64::new(0);

    expect_life_unit(&model, layout.life_unit)?;
    let schema = frame.collect_schema()?;
    let channels = model.schema().features().iter();
    let layout = layout.channels(channels.map(|f| Channel::new(&f.name, &f.unit)));
    layout.check(&schema)?;
    let mut taken = vec![layout.asset.clone(), layout.time.clone()];
    taken.extend(layout.rul_column(&schema).map(str::to_owned));
    taken.extend(layout.channels_in(&schema)?.into_iter().map(|c| c.name));
    let mut seen = std::collections::HashSet::new();
    taken.retain(|name| seen.insert(name.clone()));
    let mut taken: Vec<_> = taken.iter().map(col).collect();
    taken.push(lit(NEXT.fetch_add(1, Ordering::Relaxed)).alias(NUMBER));

    let output: SchemaRef = Arc::new(frame_schema(&model));
    let compute = move |readings: DataFrame| {
        let fleet = fleet_from_frame(&readings, &layout);
        fleet
            .and_then(|fleet| feature_frame(&model, &fleet))
            .map_err(|e| PolarsError::ComputeError(e.to_string().into()))
    };
    let schema_of = move |_: &Schema| -> PolarsResult<SchemaRef> { Ok(output.clone()) };
    Ok(frame.select(taken).map(
        compute,
        OptFlags::empty(),
        Some(Arc::new(schema_of)),
        Some("prognos features"),
    ))
}

/// The feature rows in a frame: the columns `schema` names, found by name, and the column [`ASSET`](super::ASSET).
///
/// Null becomes NaN, integers and floats of any width `f64`; assets are numbered in the order of their first rows. Other
/// columns are not looked at. With the `true_rul` of a [`feature_frame`] as labels it is what a regressor is fitted on.
///
/// # Errors
/// `InvalidInput`, naming the column and row, where one is missing or of another type, or an asset is null;
/// `InsufficientData` for a frame without a row.
pub fn feature_table_from_frame(frame: &DataFrame, schema: &FeatureSchema) -> Result<FeatureTable> {
    let number = assets(frame, ASSET)?.number;
    let n_features = schema.len();
    let mut values = vec![f64::NAN; number.len() * n_features];
    for (c, feature) in schema.features().iter().enumerate() {
        let column = floats(frame, &feature.name)?;
        for (row, value) in values.chunks_exact_mut(n_features).zip(readings(&column)) {
            row[c] = value;
        }
    }
    let values = Array2::from_shape_vec((number.len(), n_features), values)
        .map_err(|e| Error::input("feature frame", "a full table", e))?;
    FeatureTable::new(schema.clone(), values, number)
}

fn expect_life_unit(model: &Pipeline, given: crate::quantity::LifeUnit) -> Result<()> {
    if model.life_unit() == given {
        return Ok(());
    }
    Err(Error::input(
        "life unit of the fleet",
        format!("the model's ({})", model.life_unit()),
        given,
    ))
}

/// The columns of a [`feature_frame`]; the keys come first. Features are `age` and names with a suffix: none is another's.
fn frame_schema(model: &Pipeline) -> Schema {
    let mut schema = Schema::with_capacity(model.feature_schema().len() + 8);
    schema.with_column(ASSET.into(), DataType::String);
    schema.with_column(TIME.into(), instant_dtype(model.life_unit()));
    let features = model.feature_schema().features().iter().map(|f| f.name.as_str());
    let given = [SCORE, THRESHOLD, RUL, LOWER, UPPER, TRUE_RUL];
    for name in features.chain(given) {
        schema.with_column(name.into(), DataType::Float64);
    }
    schema
}
