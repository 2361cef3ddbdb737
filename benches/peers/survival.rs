//! Survival models: one line a task.

use crate::serve::{Job, Task, job};
use prognos::rul::survival::{CoxModel, Estimate, LifeSpells, WeibullAft};

/// Numbers a row of `spells_<n>`: age, whether it failed, covariates.
const WIDTH: usize = 7;

pub const TASKS: &[Task] = &[
    Task::new("cox", "spells_100000", 500 * WIDTH, |x| {
        fitted(x, |s| told(CoxModel::fit(s).unwrap().coefficients()))
    }),
    Task::new("weibull_aft", "spells_100000", 500 * WIDTH, |x| {
        fitted(x, |s| {
            let model = WeibullAft::fit(s).unwrap();
            let mut values = told(model.coefficients());
            values.extend([model.intercept().value, model.log_shape().value]);
            values
        })
    }),
];

fn told(estimates: &[Estimate]) -> Vec<f64> {
    estimates.iter().map(|e| e.value).collect()
}

/// Rows are checked and copied in the time, as they are by the peer.
fn fitted(x: Vec<f64>, fit: fn(&LifeSpells) -> Vec<f64>) -> Box<dyn Job> {
    job(
        (x, fit, Vec::new()),
        |(x, fit, values)| {
            let rows = || x.chunks_exact(WIDTH);
            // Numbers that are no signal of anything start at 0.
            let ages = rows().map(|r| r[0].max(1e-3)).collect();
            let spells = LifeSpells::new(ages, rows().map(|r| r[1] > 0.5).collect()).unwrap();
            let covariates = rows().flat_map(|r| r[2..].iter().copied()).collect();
            *values = fit(&spells.with_covariates(["a", "b", "c", "d", "e"], covariates).unwrap());
        },
        |(.., values)| values.clone(),
    )
}
