//! Tails of scores and combined p-values against SciPy (`tests/golden/make_tail.py`), and the streams against recomputation.

use prognos::{
    detect::{DriftSpot, PValueRule, ParetoTail, PeaksOverThreshold, Spot, SpotParams, SpotVerdict},
    envelope,
    quantity::Seed,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256Plus;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("tail.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn tails_are_those_of_greatest_likelihood() {
    let golden = golden();
    let cases = golden["tails"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let number = |key: &str| case[key].as_f64().unwrap();
        let y = numbers(&case["excesses"]);
        let tail = ParetoTail::fit(&y).unwrap();
        let likelihood = tail.log_likelihood(&y);
        // Sums of a few hundred terms of order ten.
        assert!(
            likelihood >= number("scipy_log_likelihood") - 1e-8,
            "{name}: {likelihood}"
        );
        assert!(
            (likelihood - number("log_likelihood")).abs() <= 1e-8,
            "{name}: {likelihood}"
        );
        // The likelihood is flat at its maximum: a search by its values alone, as the script's, places it to the root of
        // its rounding, some 1e-7 of the parameters' scatter.
        for (what, got, expected) in [
            ("shape", tail.shape(), number("shape")),
            ("scale", tail.scale(), number("scale")),
            ("quantile", tail.quantile(1e-3), number("quantile_1e-3")),
            (
                "exceedance",
                tail.exceedance(2.0 * number("scale")),
                number("exceedance_of_twice_the_scale"),
            ),
        ] {
            assert!(
                (got - expected).abs() <= 2e-6 * expected.abs().max(0.1),
                "{name} {what}: {got} {expected}"
            );
        }
        let back = tail.quantile(tail.exceedance(tail.scale()));
        assert!((back - tail.scale()).abs() <= 1e-12 * tail.scale());
        // In another unit it is the same tail.
        for unit in [1e-200, 3.0, 1e200] {
            let other = ParetoTail::fit(&y.iter().map(|v| v * unit).collect::<Vec<_>>()).unwrap();
            assert!((other.shape() - tail.shape()).abs() <= 1e-9, "{name} {unit}");
            assert!(
                (other.scale() / unit / tail.scale() - 1.0).abs() <= 1e-9,
                "{name} {unit}"
            );
        }
    }
}

#[test]
fn p_values_combine_as_in_scipy() {
    let golden = golden();
    for case in golden["combined"].as_array().unwrap() {
        let p = numbers(&case["p"]);
        for rule in PValueRule::ALL {
            let (got, expected) = (rule.combine(&p), case[rule.name()].as_f64().unwrap());
            // Exponentials of some hundreds carry their rounding times as much; SciPy's Cauchy quantiles near 1/2 theirs.
            assert!(
                (got - expected).abs() <= 1e-11 * expected,
                "{rule:?} of {p:?}: {got:e} {expected:e}"
            );
        }
    }
}

#[test]
fn odd_excesses_have_an_exponential_tail_or_none() {
    let shape_and_scale = |y: &[f64]| {
        let tail = ParetoTail::fit(y).unwrap();
        (tail.shape(), tail.scale())
    };
    assert_eq!(shape_and_scale(&[]), (0.0, 0.0));
    assert_eq!(shape_and_scale(&[3.0]), (0.0, 3.0));
    assert_eq!(shape_and_scale(&[2.0; 50]), (0.0, 2.0));
    assert_eq!(shape_and_scale(&[1.0, 2.0, 3.0]), (0.0, 2.0));
    // The likelihood of these has no maximum inside: they end abruptly.
    let even: Vec<f64> = (1..=100).map(f64::from).collect();
    let tail = ParetoTail::fit(&even).unwrap();
    assert!(tail.shape() > -1.0 && tail.quantile(1e-4) >= 100.0, "{tail:?}");
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(ParetoTail::fit(&[1.0, bad]).is_err(), "{bad}");
    }
    // Excesses hundreds of orders apart.
    let wild: Vec<f64> = (0..40).map(|i| 10f64.powi(15 * (i - 20))).collect();
    let tail = ParetoTail::fit(&wild).unwrap();
    assert!(tail.quantile(1e-3) > 0.0 && tail.exceedance(1.0) >= 0.0, "{tail:?}");
    let none = ParetoTail::fit(&[]).unwrap();
    assert_eq!(
        (none.quantile(1e-9), none.exceedance(1e-9), none.exceedance(0.0)),
        (0.0, 0.0, 1.0)
    );
    assert!(none.quantile(0.0).is_nan() && none.quantile(f64::NAN).is_nan() && none.exceedance(f64::NAN).is_nan());
    for bad in [
        r#"{"shape":-1.0,"scale":1.0}"#,
        r#"{"shape":0.0,"scale":-1.0}"#,
        r#"{"shape":null,"scale":1.0}"#,
    ] {
        assert!(serde_json::from_str::<ParetoTail>(bad).is_err(), "{bad}");
    }
}

/// Sums of three uniform values less than their ends: light tails; their exponentials: heavier ones.
fn scores(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    (0..n)
        .map(|_| (0..3).map(|_| -log_of_rest(rng.r#gen::<f64>())).sum())
        .collect()
}

fn log_of_rest(u: f64) -> f64 {
    (1.0 - u).ln()
}

#[test]
fn thresholds_hold_their_risk() {
    let peaks = PeaksOverThreshold::fit(&scores(1, 20_000), 0.98).unwrap();
    assert_eq!((peaks.n_scores(), peaks.n_excesses()), (20_000, 400));
    // Erlang of order 3: P(X > x) = exp(-x) (1 + x + x²/2).
    let true_risk = |x: f64| (-x).exp() * (1.0 + x + 0.5 * x * x);
    for risk in [1e-2, 1e-3, 1e-4] {
        let threshold = peaks.threshold(risk).unwrap();
        // 400 excesses: an error of the shape of 0.05 is a factor of about 1.5 two decades out.
        let ratio = true_risk(threshold) / risk;
        assert!((0.5..2.0).contains(&ratio), "{risk}: {threshold}, {ratio}");
        assert!((peaks.exceedance(threshold) / risk - 1.0).abs() < 1e-9);
    }
    assert_eq!(peaks.threshold(0.5).unwrap(), peaks.level());
    assert_eq!(peaks.exceedance(-1.0), 0.02);
    for bad in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(peaks.threshold(bad).is_err());
        assert!(PeaksOverThreshold::fit(&[1.0; 100], bad).is_err());
        assert!(SpotParams::new(bad).spot(&[1.0; 100]).is_err());
        assert!(SpotParams::new(1e-3).level(bad).spot(&[1.0; 100]).is_err());
    }
    assert!(PeaksOverThreshold::fit(&[f64::NAN; 100], 0.9).is_err());
    let constant = PeaksOverThreshold::fit(&[2.0; 100], 0.9).unwrap();
    assert_eq!(
        (constant.threshold(1e-6).unwrap(), constant.exceedance(3.0)),
        (2.0, 0.0)
    );
}

/// The published procedure over whole lists.
fn reference(first: &[f64], stream: &[f64], risk: f64, most: usize) -> Vec<(SpotVerdict, f64)> {
    let peaks = PeaksOverThreshold::fit(first, 0.9).unwrap();
    let level = peaks.level();
    let mut excesses: Vec<f64> = first.iter().filter(|s| **s > level).map(|s| s - level).collect();
    let (mut n, mut n_excesses) = (first.len() as f64, excesses.len() as f64);
    let threshold = |excesses: &[f64], n: f64, n_excesses: f64| {
        // The sample of all so far, drawn from the start.
        let mut kept = vec![];
        for (i, y) in excesses.iter().enumerate() {
            let drawn = Seed(0).part(i as u64).0 as usize % (i + 1);
            if i < most {
                kept.push(*y);
            } else if drawn < most {
                kept[drawn] = *y;
            }
        }
        level + ParetoTail::fit(&kept).unwrap().quantile(risk * n / n_excesses)
    };
    let mut now = threshold(&excesses, n, n_excesses);
    let step = |s: &f64| {
        let verdict = if s.is_nan() {
            SpotVerdict::Ignored
        } else if *s > now {
            SpotVerdict::Anomaly
        } else {
            n += 1.0;
            if *s > level {
                excesses.push(s - level);
                n_excesses += 1.0;
            }
            now = threshold(&excesses, n, n_excesses);
            if *s > level {
                SpotVerdict::Peak
            } else {
                SpotVerdict::Normal
            }
        };
        (verdict, now)
    };
    stream.iter().map(step).collect()
}

fn restored<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    envelope::decode(&envelope::encode(value).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_stream_is_the_procedure(seed in any::<u64>(), bad in prop::collection::vec((0usize..150, prop_oneof![Just(f64::NAN), Just(60.0), Just(f64::INFINITY)]), 0..10), restart in 0usize..150) {
        let all = scores(seed, 350);
        let (first, rest) = all.split_at(200);
        let mut rest = rest.to_vec();
        for (i, v) in bad {
            rest[i] = v;
        }
        let expected = reference(first, &rest, 1e-3, 25);
        let mut spot = SpotParams::new(1e-3).level(0.9).max_excesses(25).spot(first).unwrap();
        for (i, (s, (verdict, threshold))) in rest.iter().zip(expected).enumerate() {
            if i == restart {
                let back: Spot = restored(&spot);
                prop_assert_eq!(&back, &spot);
                spot = back;
            }
            prop_assert_eq!(spot.step(*s), verdict, "score {}", i);
            prop_assert!((spot.threshold() - threshold).abs() <= 1e-12 * threshold, "{} {}", spot.threshold(), threshold);
        }
    }

    #[test]
    fn drift_is_taken_off(seed in any::<u64>(), depth in 1usize..40, restart in 0usize..300) {
        let all = scores(seed, 600);
        let (first, rest) = all.split_at(300);
        let params = SpotParams::new(1e-4).level(0.9);
        let mut drift = params.drift_spot(first, depth).unwrap();
        let mut window = first[..depth].to_vec();
        let mut rests = vec![];
        for s in &first[depth..] {
            rests.push(s - window[window.len() - depth..].iter().sum::<f64>() / depth as f64);
            window.push(*s);
        }
        let mut plain = params.spot(&rests).unwrap();
        for (i, s) in rest.iter().enumerate() {
            if i == restart {
                drift = restored(&drift);
            }
            let mean = window[window.len() - depth..].iter().sum::<f64>() / depth as f64;
            let verdict = plain.step(s - mean);
            prop_assert_eq!(drift.step(*s), verdict);
            if verdict != SpotVerdict::Anomaly {
                window.push(*s);
            }
            prop_assert!((drift.spot().threshold() - plain.threshold()).abs() <= 1e-6 * plain.threshold());
        }
    }
}

#[test]
fn spot_raises_about_as_often_as_asked_and_drift_follows() {
    let all = scores(5, 60_000);
    // (risk, excesses kept, first scores, most alarms a healthy one expected)
    for (risk, max_excesses, first, most) in [
        (1e-3, 200, 2000, 4.0),
        (1e-3, 1000, 2000, 4.0),
        (1e-3, 1000, 20_000, 2.5),
        (1e-4, 1000, 2000, 20.0),
        (1e-4, 1000, 20_000, 4.0),
    ] {
        let params = SpotParams::new(risk).max_excesses(max_excesses);
        let (first, rest) = all.split_at(first);
        let mut spot = params.spot(first).unwrap();
        let n = rest.iter().filter(|s| spot.step(**s) == SpotVerdict::Anomaly).count() as f64;
        let ratio = n / (risk * rest.len() as f64);
        println!(
            "risk {risk}, {max_excesses} kept, {} first: {ratio} times the risk",
            first.len()
        );
        assert!((0.3..most).contains(&ratio), "{risk} {max_excesses}: {ratio}");
    }
    // A ramp of twenty times the scores' spread: the plain one alarms all along its end, the other does not.
    let ramp: Vec<f64> = all[..20_000]
        .iter()
        .enumerate()
        .map(|(i, s)| s + 40.0 * i as f64 / 2e4)
        .collect();
    let count =
        |verdicts: &mut dyn Iterator<Item = SpotVerdict>| verdicts.filter(|v| *v == SpotVerdict::Anomaly).count();
    let mut drift: DriftSpot = SpotParams::new(1e-3)
        .max_excesses(200)
        .drift_spot(&ramp[..2000], 50)
        .unwrap();
    let n = count(&mut ramp[2000..].iter().map(|s| drift.step(*s)));
    assert!(n < 60, "{n} of 18 expected");
    assert_eq!(drift.step(drift.threshold() + 1.0), SpotVerdict::Anomaly);
    let before = drift.clone();
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        drift.step(odd);
        assert_eq!(drift, before, "{odd}");
    }
}

#[test]
fn hostile_streams_are_survived_and_records_refused() {
    let first = scores(3, 100);
    let params = SpotParams::new(1e-3).level(0.8);
    for bad in [0, 9, 65_537, usize::MAX] {
        assert!(params.max_excesses(bad).spot(&first).is_err());
    }
    for bad in [0, 4097, usize::MAX] {
        assert!(params.drift_spot(&first, bad).is_err());
    }
    assert!(params.drift_spot(&first, 95).is_err() && params.spot(&[1.0; 9]).is_err());
    let mut spot = params.spot(&[-f64::MAX, f64::MAX].repeat(20)).unwrap();
    let mut drift = params.drift_spot(&[-f64::MAX, f64::MAX].repeat(20), 3).unwrap();
    for (i, s) in [
        f64::MAX,
        -f64::MAX,
        0.0,
        5e-324,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ]
    .iter()
    .cycle()
    .take(100)
    .enumerate()
    {
        spot.step(*s);
        drift.step(*s);
        assert!(spot.threshold().is_finite() && drift.threshold().is_finite(), "{i}");
        assert_eq!(restored(&spot), spot);
        assert_eq!(restored(&drift), drift);
    }
    let mut constant = params.spot(&[1.0; 50]).unwrap();
    assert_eq!(
        (constant.step(1.0), constant.step(1.1)),
        (SpotVerdict::Normal, SpotVerdict::Anomaly)
    );

    let tree = serde_json::to_value(params.drift_spot(&first, 20).unwrap()).unwrap();
    assert!(serde_json::from_value::<DriftSpot>(tree.clone()).is_ok());
    for (path, value) in [
        ("/window/values", serde_json::json!([])),
        ("/window/values/0", Value::Null),
        ("/window/values/0", serde_json::json!(1e301)),
        ("/window/next", serde_json::json!(20)),
        ("/spot/params/risk", serde_json::json!(0.0)),
        ("/spot/params/max_excesses", serde_json::json!(1u64 << 40)),
        ("/spot/params/max_excesses", serde_json::json!(10)),
        ("/spot/excesses/0", serde_json::json!(-1.0)),
        ("/spot/excesses/0", serde_json::json!(9.0)),
        ("/spot/excesses", serde_json::json!([])),
        ("/spot/peaks/n", serde_json::json!(3)),
        ("/spot/peaks/level", serde_json::json!(1e301)),
        ("/spot/peaks/tail/shape", serde_json::json!(0.9)),
        ("/spot/peaks/tail/scale", serde_json::json!(-0.9)),
    ] {
        let mut changed = tree.clone();
        *changed.pointer_mut(path).unwrap_or_else(|| panic!("nothing at {path}")) = value;
        assert!(serde_json::from_value::<DriftSpot>(changed).is_err(), "{path}");
    }
}

/// Prints what a fit costs; no limit, as machines differ.
#[test]
fn a_fit_has_a_cost() {
    let excesses: Vec<f64> = scores(9, 1000).iter().map(|s| s + 1e-3).collect();
    let start = std::time::Instant::now();
    let shapes: f64 = (0..20).map(|_| ParetoTail::fit(&excesses).unwrap().shape()).sum();
    println!("{:?} a fit of 1,000 excesses", start.elapsed() / 20);
    assert!(shapes.is_finite());
}
