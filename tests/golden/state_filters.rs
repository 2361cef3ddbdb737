//! Kalman and unscented filters against NumPy (`tests/golden/make_state_filters.py`).

use ndarray::ArrayView2;
use prognos::rul::filter::{FilterStep, GaussianBelief, KalmanFilter, ParisCrack, UnscentedKalmanFilter};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    kalman: Vec<Kalman>,
    steps: Vec<f64>,
    lengths: Vec<f64>,
    start: Vec<f64>,
    start_sd: Vec<f64>,
    crack: Vec<Crack>,
}

#[derive(Deserialize)]
struct Kalman {
    n: usize,
    m: usize,
    transition: Vec<f64>,
    process_noise: Vec<f64>,
    observation: Vec<f64>,
    observation_noise: Vec<f64>,
    mean: Vec<f64>,
    covariance: Vec<f64>,
    y: Vec<Vec<Option<f64>>>,
    means: Vec<Vec<f64>>,
    covariances: Vec<Vec<f64>>,
    log_likelihoods: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Crack {
    alpha: f64,
    beta: f64,
    kappa: f64,
    means: Vec<Vec<f64>>,
    covariances: Vec<Vec<f64>>,
    log_likelihoods: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("state_filters.json")).unwrap()
}

fn assert_close(got: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (got - expected).abs() / expected.abs().max(1.0);
    assert!(error < tolerance, "{what}: {got}, expected {expected}");
}

fn assert_belief(belief: &GaussianBelief, mean: &[f64], covariance: &[f64], tolerance: f64, what: &str) {
    for (got, expected) in belief.mean().iter().zip(mean) {
        assert_close(*got, *expected, tolerance, what);
    }
    for (got, expected) in belief.covariance().iter().zip(covariance) {
        assert_close(*got, *expected, tolerance, what);
    }
}

/// Both are the same sums in another order, over well-conditioned matrices of at most four rows: 40 steps of a stable filter
/// leave errors of some hundred ulps.
#[test]
fn kalman_filters_are_numpys() {
    for case in golden().kalman {
        let (n, m) = (case.n, case.m);
        let matrix = |v, rows, columns| ArrayView2::from_shape((rows, columns), v).unwrap();
        let filter = KalmanFilter::new(
            matrix(&case.transition, n, n),
            matrix(&case.process_noise, n, n),
            matrix(&case.observation, m, n),
            matrix(&case.observation_noise, m, m),
        )
        .unwrap();
        let mut belief = GaussianBelief::new(&case.mean, matrix(&case.covariance, n, n)).unwrap();
        let mut scratch = filter.new_scratch();
        for (i, y) in case.y.iter().enumerate() {
            let what = format!("{n} states, step {i}");
            let y: Vec<f64> = y.iter().map(|y| y.unwrap_or(f64::NAN)).collect();
            match (
                filter.step(&mut belief, &y, &mut scratch).unwrap(),
                case.log_likelihoods[i],
            ) {
                (FilterStep::Updated { log_likelihood }, Some(l)) => assert_close(log_likelihood, l, 1e-11, &what),
                (step, l) => assert_eq!((step, l), (FilterStep::Predicted, None), "{what}"),
            }
            assert_belief(&belief, &case.means[i], &case.covariances[i], 1e-11, &what);
        }
    }
}

/// As above; lengths are within 1e-3 of standard deviations of 3e-4, so that innovations lose three digits.
#[test]
fn unscented_filters_are_numpys() {
    let golden = golden();
    let crack = ParisCrack::new(80.0, 0.025)
        .unwrap()
        .geometry(1.1)
        .unwrap()
        .reading_sd_m(3e-4)
        .unwrap()
        .rate_walk(1e-4)
        .unwrap();
    for case in &golden.crack {
        let prior = GaussianBelief::independent(&golden.start, &golden.start_sd).unwrap();
        let filter = UnscentedKalmanFilter::new(crack, prior)
            .unwrap()
            .spread(case.alpha, case.beta, case.kappa)
            .unwrap();
        let (mut belief, mut scratch) = (filter.new_state(), filter.new_scratch());
        for (i, (dt, length)) in golden.steps.iter().zip(&golden.lengths).enumerate() {
            let what = format!("alpha {}, step {i}", case.alpha);
            match filter.step(&mut belief, *dt, &[*length], &mut scratch).unwrap() {
                FilterStep::Updated { log_likelihood } => {
                    assert_close(log_likelihood, case.log_likelihoods[i], 1e-9, &what);
                }
                step => panic!("{what}: {step:?}"),
            }
            assert_belief(&belief, &case.means[i], &case.covariances[i], 1e-10, &what);
        }
    }
}
