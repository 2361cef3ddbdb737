//! Scores of remaining-life predictions against their definitions in NumPy (`tests/golden/make_rul_metrics.py`).

use prognos::{
    decision::MaintenanceCosts,
    evaluate::{
        Calibration, HorizonErrors, PolicyTally, PrognosisTrack, WithinBounds, crps, crps_weighted, interval_score,
        interval_score_weighted, phm12_score, phm12_score_weighted, pinball_loss, pinball_loss_weighted, pit,
    },
    model::{N_PERCENTILES, RulDistribution},
    quantity::LifeUnit,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    /// The percentiles that are known.
    distributions: Vec<Vec<f64>>,
    truth: Vec<f64>,
    weights: Vec<f64>,
    crps: f64,
    crps_weighted: f64,
    pit: Vec<f64>,
    /// Level, coverage and mean width, weighted.
    calibration: Vec<(f64, f64, f64)>,
    life: Vec<f64>,
    pred: Vec<f64>,
    w: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    phm12: f64,
    phm12_weighted: f64,
    interval_score: f64,
    interval_score_weighted: f64,
    pinball: f64,
    pinball_weighted: f64,
    edges: Vec<f64>,
    /// Rows, RMSE, MAE, bias.
    bins: Vec<(usize, f64, f64, f64)>,
    tracks: Vec<Track>,
    lives: Vec<f64>,
    costs: (f64, f64),
    best_age: f64,
    best_rate: f64,
    failure_rate: f64,
}

#[derive(Deserialize)]
struct Track {
    ages: Vec<f64>,
    predicted: Vec<f64>,
    end: f64,
    alpha: f64,
    lambda_: f64,
    alpha_lambda: bool,
    share: f64,
    horizon: Option<f64>,
    accuracy: f64,
    cumulative: f64,
    convergence: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("rul_metrics.json")).unwrap()
}

fn distributions(g: &Golden) -> Vec<RulDistribution> {
    let of = |known: &Vec<f64>| {
        let percentiles = std::array::from_fn(|i| known.get(i).copied().unwrap_or(f64::INFINITY));
        RulDistribution::new(percentiles, LifeUnit::Hours).unwrap()
    };
    assert!(g.distributions.iter().all(|d| d.len() <= N_PERCENTILES));
    g.distributions.iter().map(of).collect()
}

/// Sums of at most some hundred terms, each right to a few units of its last place, none cancelling by more than a factor of
/// a hundred: 1e-12 is a bound with room.
fn assert_close(name: &str, got: f64, expected: f64) {
    let bound = 1e-12 * expected.abs().max(1.0);
    assert!((got - expected).abs() <= bound, "{name}: {got} instead of {expected}");
}

#[test]
fn distributions_score_as_integrated() {
    let g = golden();
    let d = distributions(&g);
    assert_close("crps", crps(&d, &g.truth).unwrap(), g.crps);
    let weighted = crps_weighted(&d, &g.truth, &g.weights).unwrap();
    assert_close("crps, weighted", weighted, g.crps_weighted);
    let values = pit(&d, &g.truth).unwrap();
    assert_eq!(values.len(), g.pit.len());
    values.iter().zip(&g.pit).for_each(|(v, e)| assert_close("pit", *v, *e));
    let levels: Vec<f64> = g.calibration.iter().map(|c| c.0).collect();
    let table = Calibration::of_weighted(&d, &g.truth, &levels, &g.weights).unwrap();
    for (level, expected) in table.levels().iter().zip(&g.calibration) {
        assert_close("coverage", level.coverage(), expected.1);
        assert_close("width", level.mean_width().unwrap(), expected.2);
    }
}

#[test]
fn numbers_and_intervals_score_as_defined() {
    let g = golden();
    let (p, t, w) = (&g.pred, &g.life, &g.w);
    assert_close("phm12", phm12_score(p, t).unwrap(), g.phm12);
    assert_close(
        "phm12, weighted",
        phm12_score_weighted(p, t, w).unwrap(),
        g.phm12_weighted,
    );
    let (l, u) = (&g.lower, &g.upper);
    assert_close("interval", interval_score(l, u, t, 0.8).unwrap(), g.interval_score);
    let weighted = interval_score_weighted(l, u, t, 0.8, w).unwrap();
    assert_close("interval, weighted", weighted, g.interval_score_weighted);
    assert_close("pinball", pinball_loss(l, t, 0.1).unwrap(), g.pinball);
    let weighted = pinball_loss_weighted(l, t, 0.1, w).unwrap();
    assert_close("pinball, weighted", weighted, g.pinball_weighted);
    let errors = HorizonErrors::of(p, t, &g.edges).unwrap();
    let n_inside: usize = g.bins.iter().map(|b| b.0).sum();
    assert_eq!(errors.n_outside(), t.len() - n_inside);
    for (bin, expected) in errors.bins().iter().zip(&g.bins) {
        assert_eq!(bin.n_rows(), expected.0);
        assert_close("rmse", bin.rmse().unwrap(), expected.1);
        assert_close("mae", bin.mae().unwrap(), expected.2);
        assert_close("bias", bin.bias().unwrap(), expected.3);
    }
    for bad in [0.0, -1.0, f64::NAN] {
        assert!(phm12_score(&[1.0], &[bad]).is_err(), "{bad}");
    }
}

#[test]
fn tracks_are_judged_as_defined() {
    let g = golden();
    for track in &g.tracks {
        let t = PrognosisTrack::new(&track.ages, &track.predicted, track.end).unwrap();
        let bounds = WithinBounds::new(track.alpha).unwrap();
        assert_eq!(t.alpha_lambda(bounds, track.lambda_).unwrap(), track.alpha_lambda);
        assert_close("share", t.share_within(bounds).unwrap(), track.share);
        assert_eq!(t.prognostic_horizon(bounds).unwrap(), track.horizon);
        assert_close("accuracy", t.relative_accuracy(track.lambda_).unwrap(), track.accuracy);
        let cumulative = t
            .cumulative_relative_accuracy(track.lambda_, |life| 1.0 / life)
            .unwrap();
        assert_close("cumulative", cumulative, track.cumulative);
        assert_close("convergence", t.convergence().unwrap(), track.convergence);
    }
}

#[test]
fn fixed_ages_cost_as_tried_one_by_one() {
    let g = golden();
    let costs = MaintenanceCosts::new(g.costs.0, g.costs.1).unwrap();
    let (age, best) = PolicyTally::best_fixed_age(&g.lives, &costs).unwrap();
    assert_eq!(age, Some(g.best_age));
    assert_close("best", best.cost_rate(&costs).unwrap(), g.best_rate);
    let failing = PolicyTally::run_to_failure(&g.lives).unwrap();
    assert_close("failing", failing.cost_rate(&costs).unwrap(), g.failure_rate);
}
