use super::*;
use proptest::prelude::*;

const UNIT: LifeUnit = LifeUnit::Hours;

fn uniform(from: f64, to: f64) -> RulDistribution {
    RulDistribution::new(std::array::from_fn(|i| from + (to - from) * i as f64 / 100.0), UNIT).unwrap()
}

/// Uniform from 0 to 100 of which the first `n` percent are known.
fn known(n: usize) -> RulDistribution {
    let life = |i| if i <= n { i as f64 } else { f64::INFINITY };
    RulDistribution::new(std::array::from_fn(life), UNIT).unwrap()
}

fn advisor(planned: f64, failure: f64, objective: Objective) -> MaintenanceAdvisor {
    MaintenanceAdvisor::new(MaintenanceCosts::new(planned, failure).unwrap(), objective).unwrap()
}

fn one_stop(planned: f64, failure: f64, life_value: f64) -> MaintenanceAdvisor {
    advisor(planned, failure, Objective::OneStop { life_value })
}

#[test]
fn the_long_run_of_a_uniform_life_in_closed_form() {
    // (1 + 4t) / (t - t²/2) is least at t = 1/2, where it is 8.
    let advice = advisor(1.0, 5.0, Objective::LongRun { age: 0.0 })
        .advise(&uniform(0.0, 1.0))
        .unwrap();
    let Action::At { time } = advice.action else {
        panic!("{advice:?}")
    };
    assert!((time - 0.5).abs() < 1e-9 && (advice.expected_cost - 8.0).abs() < 1e-9);
    assert_eq!(advice.cost_of_earliest, f64::INFINITY);
    assert!((advice.cost_of_failure - 10.0).abs() < 1e-9);
    // One that has lived long already is stopped at once: (1 + 4t) / (100 + t - t²/2) rises from the start.
    let old = advisor(1.0, 5.0, Objective::LongRun { age: 100.0 })
        .advise(&uniform(0.0, 1.0))
        .unwrap();
    assert_eq!((old.action, old.expected_cost), (Action::Now, 0.01));
}

#[test]
fn without_a_value_of_life_it_stops_before_any_risk() {
    let free = one_stop(1.0, 9.0, 0.0);
    let advice = free.advise(&uniform(40.0, 60.0)).unwrap();
    assert_eq!(
        (advice.action, advice.expected_cost, advice.failure_chance),
        (Action::At { time: 40.0 }, 1.0, 0.0)
    );
    // A bare number is met exactly, and a jump at once calls for a stop now.
    let point = RulDistribution::new([7.0; 101], UNIT).unwrap();
    assert_eq!(
        one_stop(1.0, 9.0, 0.5).advise(&point).unwrap().action,
        Action::At { time: 7.0 }
    );
    let dead = RulDistribution::new([0.0; 101], UNIT).unwrap();
    assert_eq!(free.advise(&dead).unwrap().action, Action::Now);
    assert!(
        advisor(1.0, 9.0, Objective::LongRun { age: 0.0 })
            .advise(&dead)
            .is_err()
    );
}

#[test]
fn what_costs_no_more_than_a_stop_may_fail() {
    let advice = one_stop(2.0, 2.0, 0.1).advise(&uniform(0.0, 10.0)).unwrap();
    assert_eq!(
        (advice.action, advice.expected_cost, advice.failure_chance),
        (Action::RunToFailure, 2.0, 1.0)
    );
    // Nor can a stop be had that comes after all failures.
    let late = one_stop(1.0, 9.0, 0.1)
        .lead(11.0)
        .unwrap()
        .advise(&uniform(0.0, 10.0))
        .unwrap();
    assert_eq!(
        (late.action, late.expected_cost, late.cost_of_earliest),
        (Action::RunToFailure, 9.0, 9.0)
    );
}

#[test]
fn stops_take_time_to_prepare() {
    // Best at 42 h, as in the example of the advisor.
    let plain = one_stop(1.0, 10.0, 0.5);
    let with = |lead: f64| plain.lead(lead).unwrap().advise(&uniform(40.0, 60.0)).unwrap();
    assert_eq!(with(10.0).action, plain.advise(&uniform(40.0, 60.0)).unwrap().action);
    let late = with(50.0);
    assert_eq!(
        (late.action, late.expected_cost),
        (Action::At { time: 50.0 }, late.cost_of_earliest)
    );
    assert!((late.failure_chance - 0.5).abs() < 1e-12);
}

#[test]
fn nothing_is_advised_beyond_what_is_known() {
    // Failure risks 1 in 100 h, life is worth 1 an hour: waiting pays as long as it is known.
    let advice = one_stop(1.0, 10.0, 1.0).advise(&known(60)).unwrap();
    assert_eq!(advice.action, Action::WaitAndReview { until: 60.0 });
    assert!((advice.beyond - 0.4).abs() < 1e-12 && (advice.failure_chance - 0.6).abs() < 1e-12);
    let earlier = one_stop(1.0, 10.0, 1.0)
        .review(25.0)
        .unwrap()
        .advise(&known(60))
        .unwrap();
    assert_eq!(earlier.action, Action::WaitAndReview { until: 25.0 });
    // A best time within what is known is advised, whatever lies beyond: 9/100 an hour against 0.1 of survivors, 0.9 of them.
    let Action::At { time } = one_stop(1.0, 10.0, 0.1).advise(&known(60)).unwrap().action else {
        panic!()
    };
    assert!((time - 10.0).abs() < 1e-9);
    // A lead time beyond what is known leaves only the review.
    let far = one_stop(1.0, 10.0, 0.1).lead(70.0).unwrap().advise(&known(60)).unwrap();
    assert_eq!(far.action, Action::WaitAndReview { until: 60.0 });
    // Only the shortest life is known, and it is none.
    assert_eq!(
        one_stop(1.0, 2.0, 0.1).advise(&known(0)).unwrap_err().kind(),
        crate::ErrorKind::InsufficientData
    );
    // A jump at the end of what is known is a risk to stop before, not ignorance.
    let life = |i| {
        if i <= 10 {
            2.0 * i as f64
        } else if i <= 60 {
            20.0
        } else {
            f64::INFINITY
        }
    };
    let jump = RulDistribution::new(std::array::from_fn(life), UNIT).unwrap();
    assert_eq!(
        one_stop(1.0, 10.0, 1.0).advise(&jump).unwrap().action,
        Action::At { time: 20.0 }
    );
}

#[test]
fn a_stop_that_can_wait_waits_for_the_review() {
    let plain = one_stop(1.0, 10.0, 0.5);
    let with = |review: f64, lead: f64| {
        let advisor = plain.review(review).unwrap().lead(lead).unwrap();
        advisor.advise(&uniform(40.0, 60.0)).unwrap().action
    };
    assert_eq!(with(30.0, 0.0), Action::WaitAndReview { until: 30.0 });
    // To be prepared before the review.
    assert!(matches!(with(30.0, 20.0), Action::At { time } if (time - 42.0).abs() < 1e-9));
    assert!(matches!(with(43.0, 0.0), Action::At { .. }));
}

#[test]
fn bad_costs_are_refused() {
    for (planned, failure) in [
        (0.0, 1.0),
        (-1.0, 1.0),
        (2.0, 1.0),
        (f64::NAN, 1.0),
        (1.0, f64::NAN),
        (1.0, 1e61),
    ] {
        assert!(MaintenanceCosts::new(planned, failure).is_err(), "{planned} {failure}");
    }
    let costs = MaintenanceCosts::new(1.0, 2.0).unwrap();
    let plain = one_stop(1.0, 2.0, 0.0);
    for bad in [f64::NAN, -1.0, f64::INFINITY] {
        assert!(
            MaintenanceAdvisor::new(costs, Objective::OneStop { life_value: bad }).is_err(),
            "{bad}"
        );
        assert!(
            MaintenanceAdvisor::new(costs, Objective::LongRun { age: bad }).is_err(),
            "{bad}"
        );
        assert!(plain.lead(bad).is_err() && plain.review(bad).is_err(), "{bad}");
    }
    assert!(plain.review(0.0).is_err());
    assert!(plain.advise(&uniform(0.0, 1e61)).is_err());
    assert!(plain.advise(&uniform(0.0, 1e-300)).is_ok());
    let bytes = rmp_serde::to_vec_named(&costs).unwrap();
    assert_eq!(rmp_serde::from_slice::<MaintenanceCosts>(&bytes).unwrap(), costs);
    let bad = rmp_serde::to_vec_named(&(2.0, 1.0)).unwrap();
    assert!(rmp_serde::from_slice::<MaintenanceCosts>(&bad).is_err());
}

/// Time of the advice, the last that is known for those that look no further.
fn time_of(advice: &Advice, life: &RulDistribution) -> f64 {
    match advice.action {
        Action::Now => 0.0,
        Action::At { time } => time,
        Action::WaitAndReview { until } => until,
        Action::RunToFailure => life.percentiles()[100],
    }
}

/// Lives with gaps and dense stretches, without jumps.
fn life() -> impl Strategy<Value = RulDistribution> {
    (
        0.0..100.0f64,
        proptest::collection::vec((0.01..1.0f64, 1u32..4), 100),
        30usize..150,
    )
        .prop_map(|(first, steps, n_known)| {
            let mut q = [f64::INFINITY; 101];
            let mut at = first;
            for (i, (step, power)) in steps.iter().enumerate() {
                if i <= n_known {
                    q[i] = at;
                }
                at += step.powi(*power as i32) * 4.0;
            }
            if n_known >= 100 {
                q[100] = at;
            }
            RulDistribution::new(q, UNIT).unwrap()
        })
}

fn any_objective() -> impl Strategy<Value = Objective> {
    prop_oneof![
        (0.0..2.0f64).prop_map(|life_value| Objective::OneStop { life_value }),
        (0.0..300.0f64).prop_map(|age| Objective::LongRun { age }),
    ]
}

proptest! {
    /// Against the definitions, by the distribution's own curves, at many other times. Costs are below 100 + 2 * 500 and sums of
    /// 100 terms: 1e-9 is a bound with room.
    #[test]
    fn no_other_time_is_cheaper(d in life(), planned in 0.1..5.0f64, more in 0.0..50.0f64, objective in any_objective(), lead in 0.0..60.0f64, tried in 0.0..1.0f64) {
        let last = *d.percentiles().iter().rev().find(|q| q.is_finite()).unwrap();
        let naive = |t: f64| {
            let failed = d.failure(t);
            let stop = planned * (1.0 - failed) + (planned + more) * failed;
            let lived = |t| d.mean_within(t).unwrap();
            match objective {
                Objective::OneStop { life_value } => stop + life_value * (lived(last) - lived(t)),
                Objective::LongRun { age } => stop / (age + lived(t)),
            }
        };
        let advice = advisor(planned, planned + more, objective).lead(lead).unwrap().advise(&d).unwrap();
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs());
        if lead <= last {
            let earliest = naive(lead);
            prop_assert!(close(advice.cost_of_earliest, earliest), "{advice:?} {earliest}");
            let t = time_of(&advice, &d);
            prop_assert!(lead <= t && t <= last);
            if advice.action != Action::RunToFailure {
                prop_assert!(close(advice.expected_cost, naive(t)), "{advice:?} {}", naive(t));
                prop_assert!((advice.failure_chance - d.failure(t)).abs() < 1e-9);
            }
            for k in 0..200 {
                let other = lead + (last - lead) * (f64::from(k) + tried) / 200.0;
                prop_assert!(advice.expected_cost <= naive(other) * (1.0 + 1e-9), "{other}: {advice:?} {}", naive(other));
            }
        }
        prop_assert!(advice.expected_cost.is_finite());
    }

    /// Dearer failures never call for a later stop, and money has no unit. Times whose costs are alike to rounding may be
    /// swapped, so the later one must cost as much as the earlier.
    #[test]
    fn dearer_failures_never_wait_longer(d in life(), more in 0.1..20.0f64, dearer in 1.01..5.0f64, objective in any_objective(), scale in -8i32..8) {
        let before = advisor(1.0, 1.0 + more, objective).advise(&d).unwrap();
        let after = advisor(1.0, 1.0 + more * dearer, objective).advise(&d).unwrap();
        prop_assert!(time_of(&after, &d) <= time_of(&before, &d) + 1e-6, "{before:?} {after:?}");
        prop_assert!(after.expected_cost >= before.expected_cost * (1.0 - 1e-12));
        // By powers of two, so that nothing is rounded.
        let k = 2f64.powi(scale);
        let objective = match objective {
            Objective::OneStop { life_value } => Objective::OneStop { life_value: k * life_value },
            other => other,
        };
        let scaled = advisor(k, k * (1.0 + more), objective).advise(&d).unwrap();
        prop_assert_eq!(scaled.action, before.action);
        prop_assert_eq!(scaled.expected_cost, k * before.expected_cost);
    }
}
