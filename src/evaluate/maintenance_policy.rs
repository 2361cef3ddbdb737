//! What a policy of stopping machines would have cost over recorded lives: failures it missed, life it threw away.

use crate::{
    decision::MaintenanceCosts,
    error::{Error, Result},
};
use std::{iter::Sum, ops::AddAssign};

/// What a policy did over machines whose failures are known. Tallies of several machines add up.
///
/// Each machine runs from birth to its planned stop or, where none comes in time, to its failure; a stop at the very instant
/// of the failure comes in time. Compare with [`run_to_failure`](PolicyTally::run_to_failure), [`fixed_age`](PolicyTally::fixed_age)
/// and, for what could be had at most without looking at machines, [`best_fixed_age`](PolicyTally::best_fixed_age).
///
/// ```
/// use prognos::{decision::MaintenanceCosts, evaluate::{PolicyTally, first_stop}};
/// // "Stop when 15 h or less are foretold, which takes 5 h to prepare", on one machine that lived 100 h.
/// let stop = first_stop(&[70.0, 80.0, 90.0], &[30.0, 14.0, 9.0], 15.0, 5.0)?;
/// assert_eq!(stop, Some(85.0));
/// let mut policy = PolicyTally::of_machine(100.0, stop)?;
/// policy += PolicyTally::of_machine(95.0, None)?;
/// assert_eq!((policy.n_planned(), policy.n_missed(), policy.mean_unexploited()?), (1, 1, 15.0));
/// let costs = MaintenanceCosts::new(1.0, 8.0)?;
/// assert_eq!(policy.cost_rate(&costs)?, (1.0 + 8.0) / (85.0 + 95.0));
/// let (age, hindsight) = PolicyTally::best_fixed_age(&[100.0, 95.0], &costs)?;
/// assert_eq!((age, hindsight.cost_rate(&costs)?), (Some(95.0), 2.0 / 190.0));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicyTally {
    n_planned: usize,
    n_missed: usize,
    unexploited: f64,
    operated: f64,
}

impl AddAssign for PolicyTally {
    fn add_assign(&mut self, other: Self) {
        self.n_planned += other.n_planned;
        self.n_missed += other.n_missed;
        self.unexploited += other.unexploited;
        self.operated += other.operated;
    }
}

impl Sum for PolicyTally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            sum += tally;
            sum
        })
    }
}

impl PolicyTally {
    /// Of one machine that fails at the age `failure` unless it is stopped at the age `stop`.
    ///
    /// # Errors
    /// `InvalidInput` unless `failure` is finite and above zero, and `stop` not negative and not NaN.
    pub fn of_machine(failure: f64, stop: Option<f64>) -> Result<Self> {
        expect_life("age at failure", failure)?;
        match stop {
            Some(age) if age.is_nan() || age < 0.0 => Err(Error::input("age at the stop", "not negative", age)),
            Some(age) if age <= failure => Ok(Self {
                n_planned: 1,
                n_missed: 0,
                unexploited: failure - age,
                operated: age,
            }),
            _ => Ok(Self {
                n_planned: 0,
                n_missed: 1,
                unexploited: 0.0,
                operated: failure,
            }),
        }
    }

    /// The baseline that never stops a machine of these lives.
    ///
    /// # Errors
    /// `InvalidInput`, naming the life, unless they are finite and above zero; `InsufficientData` without one.
    pub fn run_to_failure(lives: &[f64]) -> Result<Self> {
        Self::of_lives(lives, None)
    }

    /// The baseline that stops every machine at `age`, whatever its sensors say.
    ///
    /// # Errors
    /// As [`run_to_failure`](PolicyTally::run_to_failure), and `InvalidInput` unless `age` is not negative and not NaN.
    pub fn fixed_age(lives: &[f64], age: f64) -> Result<Self> {
        Self::of_lives(lives, Some(age))
    }

    fn of_lives(lives: &[f64], age: Option<f64>) -> Result<Self> {
        if lives.is_empty() {
            return Err(Error::insufficient("policy", "at least 1 life", 0));
        }
        let of = |(i, &life)| Self::of_machine(life, age).map_err(|e| e.context(format!("life {i}")));
        lives.iter().enumerate().map(of).sum()
    }

    /// The fixed age of least [`cost_rate`](PolicyTally::cost_rate), chosen **in hindsight** from the very lives it is judged on,
    /// and its tally; `None` where nothing beats running to failure. No age chosen beforehand does better on these lives:
    /// it is a bound, not a policy. It is the life of one of the machines: between two lives an older age costs less.
    /// Cost: a sort.
    ///
    /// # Errors
    /// As [`run_to_failure`](PolicyTally::run_to_failure).
    pub fn best_fixed_age(lives: &[f64], costs: &MaintenanceCosts) -> Result<(Option<f64>, Self)> {
        let never = Self::run_to_failure(lives)?;
        let mut sorted = lives.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let all: f64 = sorted.iter().sum();
        let (mut best, mut age_of_best) = (never.cost_rate(costs)?, None);
        // Lives that ended before an age, and their sum.
        let (mut n_before, mut before) = (0, 0.0);
        for machines in sorted.chunk_by(|a, b| a == b) {
            let age = machines.first().copied().unwrap_or(0.0);
            let n_after = sorted.len() - n_before;
            let tally = Self {
                n_planned: n_after,
                n_missed: n_before,
                unexploited: (all - before - age * n_after as f64).max(0.0),
                operated: before + age * n_after as f64,
            };
            let rate = tally.cost_rate(costs)?;
            if rate < best {
                (best, age_of_best) = (rate, Some(age));
            }
            n_before += machines.len();
            before += age * machines.len() as f64;
        }
        Ok((age_of_best, Self::of_lives(lives, age_of_best)?))
    }

    /// Number of machines.
    pub fn n_machines(&self) -> usize {
        self.n_planned + self.n_missed
    }

    /// Number of machines stopped in time.
    pub fn n_planned(&self) -> usize {
        self.n_planned
    }

    /// Number of machines that failed before a stop.
    pub fn n_missed(&self) -> usize {
        self.n_missed
    }

    /// Life units run, over all machines.
    pub fn operated(&self) -> f64 {
        self.operated
    }

    /// Life units that machines stopped in time would still have run, over all of them.
    pub fn unexploited(&self) -> f64 {
        self.unexploited
    }

    /// The share of machines that failed before a stop.
    ///
    /// # Errors
    /// `InsufficientData` without a machine.
    pub fn missed_share(&self) -> Result<f64> {
        self.per_machine(self.n_missed as f64)
    }

    /// Mean life that machines stopped in time would still have run. Failures are not in it: read
    /// [`missed_share`](PolicyTally::missed_share) beside it.
    ///
    /// # Errors
    /// `InsufficientData` without a machine that was stopped in time.
    pub fn mean_unexploited(&self) -> Result<f64> {
        if self.n_planned == 0 {
            let needed = "at least 1 machine stopped in time";
            return Err(Error::insufficient("unexploited life", needed, 0));
        }
        Ok(self.unexploited / self.n_planned as f64)
    }

    /// Cost a life unit, `(planned n_planned + failure n_missed) / operated`: the long-run rate of machines that are renewed at each
    /// stop and failure, by the theorem of renewal and reward.
    ///
    /// # Errors
    /// `InsufficientData` where no machine ran.
    pub fn cost_rate(&self, costs: &MaintenanceCosts) -> Result<f64> {
        if self.operated > 0.0 {
            return Ok(self.cost(costs) / self.operated);
        }
        Err(Error::insufficient(
            "cost rate",
            "life units run above 0",
            self.operated,
        ))
    }

    /// Cost a machine, with a price on life that is not used:
    /// `(planned n_planned + failure n_missed + life_value unexploited) / n_machines`.
    ///
    /// # Errors
    /// `InsufficientData` without a machine; `InvalidParameter` unless `life_value` is finite and not negative.
    pub fn mean_cost(&self, costs: &MaintenanceCosts, life_value: f64) -> Result<f64> {
        if !(life_value.is_finite() && life_value >= 0.0) {
            return Err(Error::parameter("life_value", "finite and not negative", life_value));
        }
        self.per_machine(self.cost(costs) + life_value * self.unexploited)
    }

    fn cost(&self, costs: &MaintenanceCosts) -> f64 {
        costs.planned() * self.n_planned as f64 + costs.failure() * self.n_missed as f64
    }

    fn per_machine(&self, sum: f64) -> Result<f64> {
        match self.n_machines() {
            0 => Err(Error::insufficient("policy", "at least 1 machine", 0)),
            n => Ok(sum / n as f64),
        }
    }
}

/// The age at which "stop when at most `at_most` is foretold" stops a machine: that of the first such prediction, and the
/// `lead` it takes to prepare; `None` where none comes.
///
/// # Errors
/// `InvalidInput` for slices of different lengths, ages that do not rise or are not finite, and predictions of NaN;
/// `InvalidParameter` unless `at_most` is a number and `lead` finite and not negative.
pub fn first_stop(ages: &[f64], predicted: &[f64], at_most: f64, lead: f64) -> Result<Option<f64>> {
    if predicted.len() != ages.len() {
        let expected = format!("{} rows as in `ages`", ages.len());
        return Err(Error::input("`predicted`", expected, predicted.len()));
    }
    if at_most.is_nan() {
        return Err(Error::parameter("at_most", "a number", at_most));
    }
    if !(lead.is_finite() && lead >= 0.0) {
        return Err(Error::parameter("lead", "finite and not negative", lead));
    }
    let mut before = f64::NEG_INFINITY;
    let mut stop = None;
    for (i, (&age, &life)) in ages.iter().zip(predicted).enumerate() {
        if !(age.is_finite() && age > before) {
            return Err(Error::input(
                &format!("`ages` row {i}"),
                format!("finite and above {before}"),
                age,
            ));
        }
        if life.is_nan() {
            return Err(Error::input(&format!("`predicted` row {i}"), "a number", life));
        }
        before = age;
        if stop.is_none() && life <= at_most {
            stop = Some(age + lead);
        }
    }
    Ok(stop)
}

fn expect_life(what: &str, life: f64) -> Result<()> {
    if life.is_finite() && life > 0.0 {
        Ok(())
    } else {
        Err(Error::input(what, "finite and above 0", life))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_refused() {
        for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert!(PolicyTally::of_machine(bad, None).is_err(), "{bad}");
            assert!(PolicyTally::run_to_failure(&[1.0, bad]).is_err(), "{bad}");
        }
        assert!(PolicyTally::of_machine(1.0, Some(f64::NAN)).is_err());
        assert!(PolicyTally::of_machine(1.0, Some(-1.0)).is_err());
        assert!(PolicyTally::run_to_failure(&[]).is_err() && PolicyTally::fixed_age(&[], 1.0).is_err());
        let costs = MaintenanceCosts::new(1.0, 2.0).unwrap();
        let none = PolicyTally::default();
        assert!(none.missed_share().is_err() && none.mean_unexploited().is_err() && none.cost_rate(&costs).is_err());
        assert!(none.mean_cost(&costs, 0.0).is_err());
        let one = PolicyTally::of_machine(9.0, Some(0.0)).unwrap();
        assert!(one.cost_rate(&costs).is_err() && one.mean_cost(&costs, f64::NAN).is_err());
        assert_eq!(one.mean_cost(&costs, 0.5).unwrap(), 1.0 + 4.5);
        assert!(first_stop(&[1.0], &[], 1.0, 0.0).is_err() && first_stop(&[1.0, 1.0], &[1.0, 1.0], 1.0, 0.0).is_err());
        assert!(
            first_stop(&[1.0], &[f64::NAN], 1.0, 0.0).is_err() && first_stop(&[1.0], &[1.0], f64::NAN, 0.0).is_err()
        );
        assert!(first_stop(&[1.0], &[1.0], 1.0, -1.0).is_err());
        assert_eq!(first_stop(&[1.0], &[2.0], 1.0, 0.0).unwrap(), None);
    }

    #[test]
    fn a_stop_too_late_is_a_failure() {
        let late = PolicyTally::of_machine(10.0, Some(10.5)).unwrap();
        assert_eq!((late.n_missed(), late.operated(), late.unexploited()), (1, 10.0, 0.0));
        let just = PolicyTally::of_machine(10.0, Some(10.0)).unwrap();
        assert_eq!((just.n_planned(), just.mean_unexploited().unwrap()), (1, 0.0));
    }

    proptest! {
        /// No fixed age does better than the best one in hindsight, nor does running to failure; a perfect foresight does no worse.
        #[test]
        fn hindsight_is_a_bound(lives in proptest::collection::vec(1u32..200, 1..20), failure in 1.0..50.0f64, age in 0.5..250.0f64) {
            let lives: Vec<f64> = lives.into_iter().map(f64::from).collect();
            let costs = MaintenanceCosts::new(1.0, failure).unwrap();
            let rate = |tally: PolicyTally| tally.cost_rate(&costs).unwrap();
            let (best_age, best) = PolicyTally::best_fixed_age(&lives, &costs).unwrap();
            let bound = rate(best) * (1.0 - 1e-12);
            prop_assert!(bound <= rate(PolicyTally::fixed_age(&lives, age).unwrap()));
            prop_assert!(bound <= rate(PolicyTally::run_to_failure(&lives).unwrap()));
            for life in &lives {
                prop_assert!(bound <= rate(PolicyTally::fixed_age(&lives, *life).unwrap()));
            }
            if let Some(age) = best_age {
                prop_assert_eq!(best, PolicyTally::fixed_age(&lives, age).unwrap());
            }
            let perfect: Result<PolicyTally> = lives.iter().map(|l| PolicyTally::of_machine(*l, Some(*l))).sum();
            prop_assert!(rate(perfect.unwrap()) <= rate(best) * (1.0 + 1e-12));
        }
    }
}
