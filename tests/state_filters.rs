//! Filters against each other and against closed forms; prognoses against the models they are made of.

use ndarray::arr2;
use prognos::{
    model::{NoPrognosis, RulDistribution},
    quantity::{LifeUnit, Seed},
    rul::filter::{
        BatteryFade, BearingWear, CrossingSearch, DriftingLevel, FilterStep, GaussianBelief, KalmanFilter, ParisCrack,
        ParticleFilter, StateModel, UnscentedKalmanFilter,
    },
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Chance that shares nothing with the crate's.
struct Chance(Xoshiro256PlusPlus);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (1.0 - self.0.r#gen::<f64>(), self.0.r#gen());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

fn wear() -> BearingWear {
    let wear = BearingWear::new(10.0).unwrap();
    wear.reading_log_sd(0.1).unwrap().walk(0.03, 0.002).unwrap()
}

fn prior() -> GaussianBelief {
    GaussianBelief::new(&[0.1, 0.03], arr2(&[[0.04, 1e-4], [1e-4, 1e-4]]).view()).unwrap()
}

/// The same model as matrices, for steps of 1.
fn kalman() -> KalmanFilter {
    KalmanFilter::new(
        arr2(&[[1.0, 1.0], [0.0, 1.0]]).view(),
        arr2(&[[9e-4, 0.0], [0.0, 4e-6]]).view(),
        arr2(&[[1.0, 0.0]]).view(),
        arr2(&[[0.01]]).view(),
    )
    .unwrap()
}

fn logs(n: u64, seed: u64) -> Vec<f64> {
    let mut chance = Chance::new(seed);
    (1..=n)
        .map(|k| {
            if k % 7 == 0 {
                f64::NAN
            } else {
                0.1 + 0.035 * k as f64 + 0.1 * chance.normal()
            }
        })
        .collect()
}

#[test]
fn unscented_filters_of_linear_models_are_kalmans() {
    let (linear, mut scratch) = (kalman(), kalman().new_scratch());
    for (alpha, beta, kappa) in [(1.0, 2.0, 0.0), (0.1, 2.0, 1.0), (0.6, 0.0, 3.0)] {
        let filter = UnscentedKalmanFilter::new(wear(), prior())
            .unwrap()
            .spread(alpha, beta, kappa)
            .unwrap();
        let (mut a, mut b, mut room) = (prior(), filter.new_state(), filter.new_scratch());
        for (i, y) in logs(60, 1).into_iter().enumerate() {
            let p = linear.step(&mut a, &[y], &mut scratch).unwrap();
            let q = filter.step(&mut b, 1.0, &[y], &mut room).unwrap();
            match (p, q) {
                (FilterStep::Updated { log_likelihood: p }, FilterStep::Updated { log_likelihood: q }) => {
                    assert!((p - q).abs() < 1e-9, "step {i}: {p} {q}");
                }
                (p, q) => assert_eq!(p, q, "step {i}"),
            }
            let values = a
                .mean()
                .iter()
                .chain(a.covariance())
                .zip(b.mean().iter().chain(b.covariance()));
            assert!(
                values.clone().all(|(a, b)| (a - b).abs() < 1e-9),
                "step {i}: {a:?} {b:?}"
            );
        }
    }
    assert!(
        UnscentedKalmanFilter::new(wear(), prior())
            .unwrap()
            .spread(f64::NAN, 2.0, 0.0)
            .is_err()
    );
    assert!(
        UnscentedKalmanFilter::new(wear(), prior())
            .unwrap()
            .spread(0.0, 2.0, 0.0)
            .is_err()
    );
}

/// Twenty seeds give twenty independent means, and their standard error. The filter's bias is of the order of the variance of
/// one of them.
#[test]
fn particles_tend_to_kalmans_belief() {
    let (linear, mut scratch) = (kalman(), kalman().new_scratch());
    let mut exact = prior();
    let mut log_likelihood = 0.0;
    let readings = logs(25, 2);
    for y in &readings {
        if let FilterStep::Updated { log_likelihood: l } = linear.step(&mut exact, &[*y], &mut scratch).unwrap() {
            log_likelihood += l;
        }
    }
    let mut results = [vec![], vec![], vec![], vec![]];
    for seed in 0..20 {
        let filter = ParticleFilter::new(wear(), prior(), 1000, Seed(seed)).unwrap();
        let (mut state, mut room) = (filter.new_state(), filter.new_scratch());
        let mut sum = 0.0;
        for y in &readings {
            if let FilterStep::Updated { log_likelihood: l } = filter.step(&mut state, 1.0, &[*y], &mut room).unwrap() {
                sum += l;
            }
        }
        for (out, v) in results
            .iter_mut()
            .zip([state.mean(0), state.mean(1), state.sd(0).powi(2), sum])
        {
            out.push(v);
        }
    }
    let expected = [exact.mean()[0], exact.mean()[1], exact.sd(0).powi(2), log_likelihood];
    for (i, (values, expected)) in results.iter().zip(expected).enumerate() {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let error = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
        assert!(
            (mean - expected).abs() < 4.0 * error,
            "{i}: {mean} ± {error}, expected {expected}"
        );
        assert!(
            error < 0.05 * expected.abs().max(1e-3),
            "{i}: too little is known to tell: {error}"
        );
    }
}

/// Life of a drifting level: closed form against particles, which see a passage only at the ends of steps.
#[test]
fn closed_lives_are_those_of_particles() {
    let model = wear().walk(0.03, 0.0).unwrap();
    let level = DriftingLevel::new(0.03, 0.0, 0.1).unwrap();
    let (mut belief, mut scratch) = (prior(), level.new_scratch());
    let filter = ParticleFilter::new(model, prior(), 4000, Seed(3)).unwrap();
    let (mut state, mut room) = (filter.new_state(), filter.new_scratch());
    let steps = [1.0, 2.5, 0.5, 4.0, 1.0];
    let mut chance = Chance::new(4);
    let mut age = 0.0;
    for dt in steps.into_iter().cycle().take(15) {
        age += dt;
        let y = 0.1 + 0.03 * age + 0.1 * chance.normal();
        level.step(&mut belief, dt, y, &mut scratch).unwrap();
        filter.step(&mut state, dt, &[y], &mut room).unwrap();
    }
    let end = 10.0_f64.ln();
    let closed = level.prognose(&belief, end, 400.0, LifeUnit::Hours).unwrap().unwrap();
    let search = CrossingSearch::new(400.0, 800).unwrap();
    let sampled = filter
        .prognose(&state, search, LifeUnit::Hours, &mut room)
        .unwrap()
        .unwrap();
    let gaussian = UnscentedKalmanFilter::new(model, belief.clone()).unwrap();
    let drawn = gaussian
        .prognose(&belief, search, 4000, Seed(5), LifeUnit::Hours)
        .unwrap()
        .unwrap();
    for p in [0.1, 0.25, 0.5, 0.75, 0.9] {
        let exact = closed.quantile(p);
        // 4000 draws: a standard error of 0.0079 in p at the middle (more for resampled particles); a delay of
        // 0.58 * 0.03 * sqrt(0.5) / 0.03 = 0.4 h.
        for (life, what) in [(&sampled, "particles"), (&drawn, "normal")] {
            let failure = closed.failure(life.quantile(p) - 0.4);
            assert!(
                (failure - p).abs() < 0.04,
                "{what}, {p}: {} for {exact}",
                life.quantile(p)
            );
        }
    }
}

fn crack() -> ParisCrack {
    ParisCrack::new(100.0, 0.02).unwrap().reading_sd_m(3e-4).unwrap()
}

fn sure<M: StateModel>(model: M, start: &[f64], horizon: f64, n_steps: usize) -> RulDistribution {
    let prior = GaussianBelief::independent(start, &vec![0.0; start.len()]).unwrap();
    let filter = ParticleFilter::new(model, prior, 10, Seed(0)).unwrap();
    let search = CrossingSearch::new(horizon, n_steps).unwrap();
    filter
        .prognose(&filter.new_state(), search, LifeUnit::Cycles, &mut filter.new_scratch())
        .unwrap()
        .unwrap()
}

/// Without noise or doubt there is one life. The error is that of a straight line within the last step: an eighth of the
/// second derivative times the squared step.
#[test]
fn sure_courses_end_when_they_must() {
    for m in [2.0, 2.6, 3.0, 4.0] {
        let life = crack().cycles(0.001, -26.0, m);
        let d = sure(crack(), &[0.001_f64.ln(), -26.0, m], 1.7 * life, 1000);
        for p in [0.0, 0.5, 1.0] {
            assert!(
                (d.quantile(p) / life - 1.0).abs() < 1e-3,
                "{m}: {} for {life}",
                d.quantile(p)
            );
        }
    }
    let life = (1.0_f64 / 0.8).ln() / 1e-3;
    let d = sure(
        BatteryFade::new(0.8).unwrap(),
        &[0.0, 1e-3_f64.ln(), -700.0, -5.0],
        500.0,
        200,
    );
    assert!((d.median().unwrap() / life - 1.0).abs() < 1e-4);
    // With a knee, by bisection.
    let capacity = |k: f64| 1.02 * (-4e-4 * k).exp() - 1e-4 * (0.02 * k).exp();
    let (mut low, mut high) = (0.0, 1000.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if capacity(middle) > 0.8 {
            low = middle
        } else {
            high = middle
        }
    }
    let start = [1.02_f64.ln(), 4e-4_f64.ln(), 1e-4_f64.ln(), 0.02_f64.ln()];
    let d = sure(BatteryFade::new(0.8).unwrap(), &start, 1000.0, 500);
    assert!(
        (d.median().unwrap() / low - 1.0).abs() < 1e-3,
        "{} for {low}",
        d.median().unwrap()
    );
}

/// A machine drawn from prior and model: readings at `n` times `dt` apart, and what was left of its life after them; `None`
/// where it was over before.
fn lived<M: StateModel>(
    model: &M,
    mean: &[f64],
    sd: &[f64],
    dt: f64,
    n: usize,
    chance: &mut Chance,
) -> Option<(Vec<f64>, f64)> {
    const FINE: usize = 20;
    let mut x: Vec<f64> = mean.iter().zip(sd).map(|(m, s)| m + s * chance.normal()).collect();
    let (mut process, mut reading, mut y) = (vec![0.0; x.len()], [0.0], [0.0]);
    let fine = dt / FINE as f64;
    model.process_sd_into(fine, &mut process);
    model.observation_sd_into(&mut reading);
    let mut readings = Vec::new();
    for i in 1..200 * FINE {
        model.transition(&mut x, fine);
        x.iter_mut().zip(&process).for_each(|(x, s)| *x += s * chance.normal());
        if model.margin(&x) <= 0.0 {
            return (readings.len() == n).then(|| (readings, (i - n * FINE) as f64 * fine));
        }
        if i % FINE == 0 && readings.len() < n {
            model.observe(&x, &mut y);
            readings.push(y[0] + reading[0] * chance.normal());
        }
    }
    Some((readings, f64::INFINITY))
}

/// Where machines come from the model itself, 90% intervals hold 90% of lives: 150 machines have a standard error of 0.0245,
/// three of which are allowed.
fn assert_covered<M: StateModel + Clone>(model: M, mean: &[f64], sd: &[f64], dt: f64, n: usize) {
    let prior = GaussianBelief::independent(mean, sd).unwrap();
    let filter = ParticleFilter::new(model.clone(), prior, 300, Seed(7)).unwrap();
    let search = CrossingSearch::new(180.0 * dt, 360).unwrap();
    let mut room = filter.new_scratch();
    let mut chance = Chance::new(8);
    let (mut n_machines, mut n_covered, mut crps, mut blind) = (0, 0, 0.0, 0.0);
    while n_machines < 150 {
        let Some((readings, life)) = lived(&model, mean, sd, dt, n, &mut chance) else {
            continue;
        };
        n_machines += 1;
        let mut state = filter.new_state();
        let before = filter
            .prognose(&state, search, LifeUnit::Hours, &mut room)
            .unwrap()
            .unwrap();
        for y in &readings {
            filter.step(&mut state, dt, &[*y], &mut room).unwrap();
        }
        let d = filter
            .prognose(&state, search, LifeUnit::Hours, &mut room)
            .unwrap()
            .unwrap();
        let (low, high) = d.interval(0.9).unwrap();
        n_covered += usize::from(low <= life && life <= high);
        if life.is_finite() {
            crps += d.crps(life).unwrap();
            blind += before.crps(life + n as f64 * dt).unwrap();
        }
    }
    let share = n_covered as f64 / 150.0;
    assert!((share - 0.9).abs() < 3.0 * 0.0245, "{share}");
    assert!(crps < 0.6 * blind, "readings must tell: {crps} {blind}");
}

#[test]
fn intervals_of_wear_cover() {
    let model = wear().walk(0.03, 0.0).unwrap();
    assert_covered(model, &[0.1, 0.04], &[0.2, 0.008], 1.0, 25);
}

#[test]
fn intervals_of_cracks_cover() {
    let model = crack().rate_walk(3e-4).unwrap();
    assert_covered(
        model,
        &[0.002_f64.ln(), 1.5e-11_f64.ln(), 3.0],
        &[0.1, 0.3, 0.0],
        8000.0,
        15,
    );
}

#[test]
fn beliefs_that_diverged_have_no_prognosis() {
    let filter = UnscentedKalmanFilter::new(wear(), prior()).unwrap();
    let (mut belief, mut room) = (filter.new_state(), filter.new_scratch());
    let search = CrossingSearch::new(100.0, 10).unwrap();
    // Mean and covariance of an absurd reading are absurd; of none at all, no numbers.
    filter.step(&mut belief, 1.0, &[1e300], &mut room).unwrap();
    assert!(belief.mean().iter().all(|m| m.is_finite()));
    let huge = GaussianBelief::independent(&[0.0, 0.0], &[1e150, 1e150]).unwrap();
    let mut belief = huge;
    let step = filter.step(&mut belief, 1e300, &[0.0], &mut room).unwrap();
    if step == FilterStep::Diverged {
        let outcome = filter.prognose(&belief, search, 100, Seed(0), LifeUnit::Hours).unwrap();
        assert_eq!(outcome, Err(NoPrognosis::Diverged));
    }
    assert!(filter.prognose(&belief, search, 5, Seed(0), LifeUnit::Hours).is_err());
    for dt in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(filter.step(&mut filter.new_state(), dt, &[0.0], &mut room).is_err());
    }
    assert!(filter.step(&mut filter.new_state(), 1.0, &[], &mut room).is_err());
    let three = GaussianBelief::independent(&[0.0; 3], &[1.0; 3]).unwrap();
    assert!(filter.step(&mut three.clone(), 1.0, &[0.0], &mut room).is_err());
    assert!(UnscentedKalmanFilter::new(wear(), three).is_err());
}

#[test]
fn covariances_that_are_none_diverge() {
    /// A transition that leaves the range of numbers.
    struct Explosion;
    impl StateModel for Explosion {
        fn n_states(&self) -> usize {
            1
        }
        fn transition(&self, x: &mut [f64], _: f64) {
            x[0] = f64::MAX * (x[0] + 2.0);
        }
        fn process_sd_into(&self, _: f64, sd: &mut [f64]) {
            sd[0] = 0.0;
        }
        fn observe(&self, x: &[f64], y: &mut [f64]) {
            y[0] = x[0];
        }
        fn observation_sd_into(&self, sd: &mut [f64]) {
            sd[0] = 1.0;
        }
        fn margin(&self, x: &[f64]) -> f64 {
            1.0 - x[0]
        }
    }
    let prior = GaussianBelief::independent(&[0.0], &[0.1]).unwrap();
    let filter = UnscentedKalmanFilter::new(Explosion, prior.clone()).unwrap();
    let mut belief = filter.new_state();
    let mut room = filter.new_scratch();
    assert_eq!(
        filter.step(&mut belief, 1.0, &[0.0], &mut room).unwrap(),
        FilterStep::Diverged
    );
    assert!(belief.has_diverged());
    let search = CrossingSearch::new(100.0, 10).unwrap();
    let outcome = filter.prognose(&belief, search, 100, Seed(0), LifeUnit::Hours).unwrap();
    assert_eq!(outcome, Err(NoPrognosis::Diverged));
    let filter = ParticleFilter::new(Explosion, prior, 50, Seed(0)).unwrap();
    let (mut state, mut room) = (filter.new_state(), filter.new_scratch());
    for y in [0.0, f64::NAN] {
        assert_eq!(
            filter.step(&mut state, 1.0, &[y], &mut room).unwrap(),
            FilterStep::Diverged
        );
    }
    assert!(state.particles().all(|(x, w)| x[0].is_finite() && w.is_finite()));
}
