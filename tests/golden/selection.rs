//! Feature selection and rainflow counting against SciPy, NumPy and the `rainflow` package
//! (`tests/golden/make_selection.py`).

use prognos::features::{
    fatigue::Rainflow,
    selection::{
        FalseDiscovery, Monotonicity, class_relevance, fisher_score, kendall_relevance, monotonicity, prognosability,
        trendability,
    },
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    lives: Vec<Lives>,
    relevance: Vec<Relevance>,
    adjusted: Adjusted,
    rainflow: Counted,
}

#[derive(Deserialize)]
struct Lives {
    lives: Vec<Vec<f64>>,
    monotonicity: [f64; 3],
    trendability: f64,
    prognosability: f64,
}

#[derive(Deserialize)]
struct Relevance {
    feature: Vec<f64>,
    target: Vec<f64>,
    classes: Vec<u32>,
    kendall_p: f64,
    kruskal_p: f64,
    fisher_score: f64,
}

#[derive(Deserialize)]
struct Adjusted {
    p: Vec<f64>,
    bh: Vec<f64>,
    by: Vec<f64>,
}

#[derive(Deserialize)]
struct Counted {
    loads: Vec<f64>,
    cycles: Vec<[f64; 3]>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("selection.json")).unwrap()
}

/// Sums of at most a hundred terms of one magnitude: a hundred roundings, with a margin.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * b.abs().max(1e-3)
}

#[test]
fn prognostic_measures_are_those_of_numpy() {
    for case in golden().lives {
        let lives: Vec<&[f64]> = case.lives.iter().map(Vec::as_slice).collect();
        let methods = [Monotonicity::Signs, Monotonicity::Rank, Monotonicity::WeightedSigns];
        for (method, expected) in methods.into_iter().zip(case.monotonicity) {
            let got = monotonicity(&lives, method).unwrap();
            assert!(close(got, expected), "{method:?}: {got} {expected}");
        }
        assert!(close(trendability(&lives).unwrap(), case.trendability));
        assert!(close(prognosability(&lives).unwrap(), case.prognosability));
    }
}

#[test]
fn relevance_is_that_of_scipy() {
    let golden = golden();
    assert_eq!(golden.relevance.len(), 6);
    for case in golden.relevance {
        // The tail of chi-squared and of the normal are relative to about 1e-10 in either library.
        for (got, expected) in [
            (kendall_relevance(&case.feature, &case.target).unwrap(), case.kendall_p),
            (class_relevance(&case.feature, &case.classes).unwrap(), case.kruskal_p),
        ] {
            assert!((got - expected).abs() <= 1e-9 * expected, "{got} {expected}");
        }
        assert!(close(
            fisher_score(&case.feature, &case.classes).unwrap(),
            case.fisher_score
        ));
    }
    let a = golden.adjusted;
    for (rule, expected) in [
        (FalseDiscovery::BenjaminiHochberg, a.bh),
        (FalseDiscovery::BenjaminiYekutieli, a.by),
    ] {
        let got = rule.adjusted(&a.p).unwrap();
        assert!(got.iter().zip(&expected).all(|(g, e)| close(*g, *e)), "{rule:?}");
    }
}

#[test]
fn cycles_are_those_of_the_rainflow_package() {
    let Counted { loads, cycles } = golden().rainflow;
    let mut got: Vec<[f64; 3]> = Rainflow::cycles(&loads)
        .iter()
        .map(|c| [c.range, c.mean, c.count])
        .collect();
    got.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert_eq!(got.len(), cycles.len());
    for (g, e) in got.iter().zip(&cycles) {
        assert!(g.iter().zip(e).all(|(g, e)| close(*g, *e)), "{g:?} {e:?}");
    }
}
