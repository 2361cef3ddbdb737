//! Rolling telemetry features against pandas and NumPy; `tests/golden/make_telemetry.py` made the numbers.

use prognos::{
    features::{FeatureSchema, TelemetryExtractor, telemetry},
    signal::Channel,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("telemetry.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    let number = |x: &Value| x.as_f64().unwrap_or(f64::NAN);
    v.as_array().unwrap().iter().map(number).collect()
}

/// The features of the script, in its order.
fn extractor(n_channels: usize, channel: usize) -> TelemetryExtractor {
    let channels: Vec<_> = (0..n_channels).map(|i| Channel::new(format!("c{i}"), "K")).collect();
    let spec = telemetry()
        .ewma([3.0, 12.0])
        .slope([5.0, 20.0])
        .residual_sd([20.0])
        .endpoint([20.0])
        .ewma_change(12.0, [4.0, 10.0]);
    TelemetryExtractor::new(
        &FeatureSchema::of_channels(&channels).unwrap(),
        &[(vec![channel], spec)],
    )
    .unwrap()
}

#[test]
fn features_are_those_of_pandas_and_numpy() {
    let golden = golden();
    let mut n_compared = 0;
    for series in golden["series"].as_array().unwrap() {
        let (times, values) = (numbers(&series["times"]), numbers(&series["values"]));
        // The reading lies between others, and the life began long before the recording: neither may matter.
        for (n_channels, channel, born) in [(1, 0, 0.0), (3, 1, 0.0), (1, 0, 5000.0)] {
            let x = extractor(n_channels, channel);
            let (mut state, mut out) = (x.new_state(), vec![0.0; x.schema().len()]);
            let mut row = vec![1e6; n_channels];
            for (i, (t, v)) in times.iter().zip(&values).enumerate() {
                row[channel] = *v;
                x.step_into(&mut state, born + t, &row, &mut out).unwrap();
                let expected = numbers(&series["features"][i]);
                for ((got, want), f) in out.iter().zip(&expected).zip(x.schema().features()) {
                    // Lines: sums of squares of readings within 100 of the first one and of times within 50 of theirs
                    // leave 30 x 1e4 eps = 7e-11 of a variance of about 1. Times about 5,000 are exact to 1e-12 of the
                    // spacing. A standard deviation of a perfect line would be worse; none here is.
                    let near = (got - want).abs() <= 1e-9 * want.abs().max(1.0);
                    assert!(
                        near || (got.is_nan() && want.is_nan()),
                        "{}, row {i}, {}: {want} expected, {got}",
                        series["name"],
                        f.name
                    );
                    n_compared += usize::from(!want.is_nan());
                }
            }
        }
    }
    assert!(n_compared > 2500, "{n_compared} numbers compared");
}
