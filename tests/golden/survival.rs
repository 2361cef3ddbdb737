//! Survival models against lifelines (`tests/golden/make_survival.py`).

use prognos::{
    quantity::LifeUnit,
    rul::survival::{
        AcceleratedLife, CoxModel, Estimate, KaplanMeier, LifeSpells, LogLife, LogNormal, NelsonAalen, Weibull,
    },
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    curves: Vec<Curves>,
    accelerated: Vec<Accelerated>,
    cox: Vec<Cox>,
}

#[derive(Deserialize)]
struct Table {
    names: Vec<String>,
    values: Vec<f64>,
    start: Vec<f64>,
    stop: Vec<f64>,
    failed: Vec<bool>,
}

impl Table {
    fn spells(&self) -> LifeSpells {
        LifeSpells::new(self.stop.clone(), self.failed.clone())
            .unwrap()
            .entering(self.start.clone())
            .unwrap()
            .with_covariates(self.names.clone(), self.values.clone())
            .unwrap()
    }
}

#[derive(Deserialize)]
struct Curves {
    #[serde(flatten)]
    table: Table,
    weights: Option<Vec<f64>>,
    ages: Vec<f64>,
    survival: Vec<f64>,
    variance: Vec<f64>,
    band: [Vec<f64>; 2],
    median: Option<f64>,
    hazard: Vec<f64>,
    hazard_variance: Vec<f64>,
    hazard_band: [Vec<f64>; 2],
}

#[derive(Deserialize)]
struct Accelerated {
    table: Table,
    weibull: Vec<AcceleratedFit>,
    log_normal: Vec<AcceleratedFit>,
}

#[derive(Deserialize)]
struct AcceleratedFit {
    penalizer: f64,
    estimates: Vec<f64>,
    errors: Vec<f64>,
    log_likelihood: f64,
    ages: Vec<f64>,
    survival: Vec<Vec<f64>>,
    after: f64,
    median_after: Vec<f64>,
}

#[derive(Deserialize)]
struct Cox {
    table: Table,
    asset: Option<Vec<u32>>,
    fits: Vec<CoxFit>,
}

#[derive(Deserialize)]
struct CoxFit {
    penalizer: f64,
    estimates: Vec<f64>,
    errors: Vec<f64>,
    log_likelihood: f64,
    ages: Option<Vec<f64>>,
    hazard: Option<Vec<f64>>,
    survival: Option<Vec<Vec<f64>>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("survival.json")).unwrap()
}

fn close(what: &str, ours: f64, theirs: f64, tolerance: f64) {
    let size = theirs.abs().max(1e-3);
    assert!((ours - theirs).abs() <= tolerance * size, "{what}: {ours} and {theirs}");
}

/// Sums of some 90 terms in another order, and logarithms there where there are products here: 1e-13.
#[test]
fn curves_are_those_of_lifelines() {
    for case in golden().curves {
        let mut spells = case.table.spells();
        if let Some(w) = &case.weights {
            spells = spells.weighted(w.clone()).unwrap();
        }
        let (km, na) = (KaplanMeier::fit(&spells), NelsonAalen::fit(&spells));
        assert_eq!(km.median(), case.median);
        for (i, &age) in case.ages.iter().enumerate() {
            let near = |what: &str, ours: f64, theirs: f64| close(&format!("{what} at {age}"), ours, theirs, 1e-12);
            near("survival", km.survival(age), case.survival[i]);
            near("variance", km.variance(age), case.variance[i]);
            let (lower, upper) = km.interval(age, 0.9).unwrap();
            near("lower", lower, case.band[0][i]);
            near("upper", upper, case.band[1][i]);
            near("hazard", na.cumulative_hazard(age), case.hazard[i]);
            near("hazard's variance", na.variance(age), case.hazard_variance[i]);
            let (lower, upper) = na.interval(age, 0.9).unwrap();
            near("hazard's lower", lower, case.hazard_band[0][i]);
            near("hazard's upper", upper, case.hazard_band[1][i]);
        }
    }
}

/// Both at the maximum to rounding: what differs is the curvature one step before it, 1e-6 over the root of 80 rows.
fn accelerated<D: LogLife>(table: &Table, fits: &[AcceleratedFit]) {
    let spells = table.spells();
    for fit in fits {
        let model = AcceleratedLife::<D>::params()
            .penalizer(fit.penalizer)
            .fit(&spells)
            .unwrap();
        let told: Vec<Estimate> = model
            .coefficients()
            .iter()
            .copied()
            .chain([model.intercept(), model.log_shape()])
            .collect();
        for (i, e) in told.iter().enumerate() {
            close(&format!("estimate {i}"), e.value, fit.estimates[i], 1e-8);
            close(&format!("error {i}"), e.standard_error, fit.errors[i], 1e-6);
        }
        // Theirs is less the penalty.
        let n = spells.n_rows() as f64;
        let sd = |j: usize| {
            let column = || (0..spells.n_rows()).map(|i| spells.row(i)[j]);
            let mean = column().sum::<f64>() / n;
            (column().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)).sqrt()
        };
        let slopes = (0..3).map(|j| told[j].value * sd(j)).chain([told[4].value]);
        let penalty = 0.5 * n * fit.penalizer * slopes.map(|b| b * b).sum::<f64>();
        close(
            "log likelihood",
            model.log_likelihood() - penalty,
            fit.log_likelihood,
            1e-11,
        );
        for (i, survival) in fit.survival.iter().enumerate() {
            for (age, s) in fit.ages.iter().zip(survival) {
                close("survival", model.survival(spells.row(i), *age).unwrap(), *s, 1e-7);
            }
            let left = model
                .remaining(spells.row(i), fit.after, LifeUnit::Hours)
                .unwrap()
                .unwrap();
            close("median", left.median().unwrap(), fit.median_after[i], 1e-7);
        }
    }
}

#[test]
fn accelerated_lives_are_those_of_lifelines() {
    for case in golden().accelerated {
        accelerated::<Weibull>(&case.table, &case.weibull);
        accelerated::<LogNormal>(&case.table, &case.log_normal);
    }
}

/// lifelines goes to the maximum too, by steps of 95% that end at a decrement of 1e-14: an error of 1e-7 standard errors.
#[test]
fn proportional_hazards_are_those_of_lifelines() {
    for case in golden().cox {
        let mut spells = case.table.spells();
        if let Some(asset) = case.asset {
            spells = spells.of_assets(asset).unwrap();
        }
        for fit in case.fits {
            let model = CoxModel::params().penalizer(fit.penalizer).fit(&spells).unwrap();
            for (i, e) in model.coefficients().iter().enumerate() {
                close(&format!("estimate {i}"), e.value, fit.estimates[i], 1e-6);
                close(&format!("error {i}"), e.standard_error, fit.errors[i], 1e-6);
            }
            if fit.penalizer == 0.0 {
                close("log likelihood", model.log_likelihood(), fit.log_likelihood, 1e-11);
            } else {
                assert!(model.log_likelihood() > fit.log_likelihood);
            }
            let hazard = |age: f64| match model.ages().partition_point(|a| *a <= age) {
                0 => 0.0,
                n => model.baseline_hazard()[n - 1],
            };
            for (age, h) in fit.ages.iter().flatten().zip(fit.hazard.iter().flatten()) {
                close("baseline hazard", hazard(*age), *h, 1e-6);
            }
            for (i, survival) in fit.survival.iter().flatten().enumerate() {
                let ages = fit.ages.as_ref().unwrap();
                for (age, s) in [ages[3], ages[10]].iter().zip(survival) {
                    close("survival", model.survival(spells.row(i), *age).unwrap(), *s, 1e-6);
                }
            }
        }
    }
}
