//! Rolling statistics against pandas (`tests/golden/make_rolling.py`).

use prognos::{
    Result,
    features::rolling::{
        Ewma, Rolling, RollingAutocorrelation, RollingKurtosis, RollingMax, RollingMean, RollingMedian, RollingMin,
        RollingQuantile, RollingSd, RollingSkewness, RollingSlope, RollingVariance, Statistic,
    },
};
use serde::Deserialize;

type Column = Vec<Option<f64>>;

#[derive(Deserialize)]
struct Golden {
    times: Vec<f64>,
    x: Column,
    rows: Vec<Window>,
    spans: Vec<Window>,
    correlations: Vec<Correlation>,
    ewma: Vec<EwmaCase>,
    timed: Vec<TimedCase>,
}

#[derive(Deserialize)]
struct Window {
    rows: Option<usize>,
    span: Option<f64>,
    min_count: usize,
    mean: Column,
    variance: Column,
    sd: Column,
    skewness: Column,
    kurtosis: Column,
    min: Column,
    max: Column,
    median: Column,
    quantile: Column,
    slope: Column,
}

#[derive(Deserialize)]
struct Correlation {
    rows: usize,
    lag: usize,
    min_count: usize,
    values: Column,
}

#[derive(Deserialize)]
struct EwmaCase {
    kind: String,
    value: f64,
    recursive: bool,
    corrected: bool,
    min_count: u64,
    mean: Column,
    variance: Column,
}

#[derive(Deserialize)]
struct TimedCase {
    half_life: f64,
    mean: Column,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("rolling.json")).unwrap()
}

fn numbers(column: &Column) -> Vec<f64> {
    column.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
}

/// Values near 100 that vary by about 1: pandas' running sums round to some 1e-14 of the offset, and their quotients of
/// fourth powers to about 1e-9.
fn assert_close(got: &[f64], expected: &Column, tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        let close = match e {
            Some(e) => (g - e).abs() <= tolerance * e.abs().max(1.0),
            None => g.is_nan(),
        };
        assert!(close, "{what}, {i}: {g} {e:?}");
    }
}

/// The statistic over the rows or the span of a case.
fn over<S: Statistic>(plan: Result<Rolling<S>>, min_count: usize, timed: bool, g: &Golden) -> Vec<f64> {
    let (plan, x) = (plan.unwrap().min_count(min_count).unwrap(), numbers(&g.x));
    if timed {
        plan.apply_at(&g.times, &x).unwrap()
    } else {
        plan.apply(&x).unwrap()
    }
}

macro_rules! plan {
    ($plan:ident, $case:expr $(, $more:expr)*) => {
        match ($case.rows, $case.span) {
            (Some(n), _) => $plan::rows(n $(, $more)*),
            (_, Some(span)) => $plan::span(span, 1000 $(, $more)*),
            _ => panic!("a case without a window"),
        }
    };
}

#[test]
fn windows_are_those_of_pandas() {
    let g = golden();
    assert_eq!((g.rows.len(), g.spans.len()), (5, 3));
    for case in g.rows.iter().chain(&g.spans) {
        let (timed, least) = (case.span.is_some(), case.min_count);
        let what = |name: &str| format!("{name} of {:?} {:?}", case.rows, case.span);
        macro_rules! check {
            ($name:ident, $plan:expr, $tolerance:expr) => {
                assert_close(
                    &over($plan, least, timed, &g),
                    &case.$name,
                    $tolerance,
                    &what(stringify!($name)),
                );
            };
        }
        check!(mean, plan!(RollingMean, case), 1e-12);
        check!(variance, plan!(RollingVariance, case), 1e-10);
        check!(sd, plan!(RollingSd, case).map(|p| p.ddof(1)), 1e-10);
        check!(min, plan!(RollingMin, case), 0.0);
        check!(max, plan!(RollingMax, case), 0.0);
        check!(median, plan!(RollingMedian, case), 1e-15);
        check!(quantile, plan!(RollingQuantile, case, 0.15), 1e-15);
        check!(slope, plan!(RollingSlope, case), 1e-9);
        // pandas calls windows of equal values unskewed and of kurtosis -3.
        let equal: Vec<bool> = case
            .min
            .iter()
            .zip(&case.max)
            .map(|(a, b)| a.is_some() && a == b)
            .collect();
        let unless_equal = |column: &Column| -> Column {
            column
                .iter()
                .zip(&equal)
                .map(|(v, equal)| v.filter(|_| !equal))
                .collect()
        };
        let skewness = over(
            plan!(RollingSkewness, case).map(|p| p.bias_corrected()),
            least,
            timed,
            &g,
        );
        assert_close(&skewness, &unless_equal(&case.skewness), 1e-9, &what("skewness"));
        let kurtosis = over(
            plan!(RollingKurtosis, case).map(|p| p.bias_corrected()),
            least,
            timed,
            &g,
        );
        assert_close(&kurtosis, &unless_equal(&case.kurtosis), 1e-8, &what("kurtosis"));
    }
}

#[test]
fn autocorrelations_are_those_of_pandas() {
    let g = golden();
    for case in &g.correlations {
        let got = over(
            RollingAutocorrelation::rows(case.rows, case.lag),
            case.min_count,
            false,
            &g,
        );
        assert_close(&got, &case.values, 1e-9, &format!("lag {}", case.lag));
    }
}

#[test]
fn exponential_weights_are_those_of_pandas() {
    let g = golden();
    let x = numbers(&g.x);
    let mut out = vec![0.0; x.len()];
    for case in &g.ewma {
        let plan = match &*case.kind {
            "alpha" => Ewma::alpha(case.value),
            "span" => Ewma::span(case.value),
            _ => Ewma::half_life(case.value),
        };
        let mut plan = plan.unwrap().min_count(case.min_count).unwrap();
        if case.recursive {
            plan = plan.recursive();
        }
        if case.corrected {
            plan = plan.bias_corrected();
        }
        plan.mean_into(&x, &mut out).unwrap();
        assert_close(&out, &case.mean, 1e-13, &format!("mean of {plan:?}"));
        plan.variance_into(&x, &mut out).unwrap();
        assert_close(&out, &case.variance, 1e-11, &format!("variance of {plan:?}"));
    }
    for case in &g.timed {
        let plan = Ewma::time_half_life(case.half_life).unwrap();
        plan.mean_at_into(&g.times, &x, &mut out).unwrap();
        assert_close(&out, &case.mean, 1e-13, &format!("mean of {plan:?}"));
    }
}
