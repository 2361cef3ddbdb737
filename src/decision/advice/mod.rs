//! When to stop a machine: the time of least expected cost under what is known of its remaining life.

mod costs;
mod grouping;
mod hazard;

pub use costs::{MaintenanceCosts, Objective};
pub use grouping::{GroupedAsset, MAX_GROUPED, ServiceGroup, ServicePlan, plan_services};

use crate::{
    error::{Error, Result},
    model::RulDistribution,
    quantity::LifeUnit,
};
use costs::LARGEST;
use hazard::{Moment, Piece, pieces};
use serde::Serialize;

/// What to do with a machine. Times are from now, in the unit of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Action {
    /// Stop now: each hour of waiting costs more than it earns.
    Now,
    /// Stop at `time`.
    At {
        /// Time from now.
        time: f64,
    },
    /// No stop yet: at `until` look again with what is known then. It comes where the best time known is the last one that is
    /// known, beyond which lives have a probability but no number, and where the best time can wait until after the review.
    WaitAndReview {
        /// Time from now.
        until: f64,
    },
    /// Let it run to failure: a stop in time costs more than it saves, or cannot be had, all failures that are known coming
    /// before the earliest one.
    RunToFailure,
}

/// The stop of least expected cost, beside what the alternatives cost.
///
/// Costs are in the unit of those given: of one stop for [`Objective::OneStop`], a life unit for [`Objective::LongRun`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// What to do.
    pub action: Action,
    /// Expected cost of the best time that is known; for [`Action::WaitAndReview`] that of a stop then, so that what is seen
    /// until then can only better it; of a failure for [`Action::RunToFailure`].
    pub expected_cost: f64,
    /// Expected cost of stopping at the earliest: now, or after the lead time. Infinite for a machine of age 0 that is stopped
    /// now, by [`Objective::LongRun`].
    pub cost_of_earliest: f64,
    /// Expected cost of running to failure.
    pub cost_of_failure: f64,
    /// The chance that the machine fails before the advised time; 1 for [`Action::RunToFailure`].
    pub failure_chance: f64,
    /// The chance that it lives beyond what is known.
    pub beyond: f64,
    /// Unit of the times, and of the lives that costs refer to.
    pub unit: LifeUnit,
}

/// Advises the stop of least expected cost.
///
/// A machine of remaining life `T` that is to be stopped at `t` is served as planned where it lives until then, and has
/// failed before otherwise: the [`Objective`] says what that costs. Stopping at the very instant of a failure comes in time.
///
/// The search is exact: between percentiles the chance of failure is a line, so that a stretch has its least cost at an end
/// or at the root of one equation. Among times of equal cost the latest is advised. No time is advised beyond the last
/// percentile that is known. Lives beyond it count as long as that: it shifts the cost of all [`Objective::OneStop`] times
/// alike, but a better time beyond is not ruled out. Cost: some 100 stretches, no allocation.
///
/// ```
/// use prognos::{
///     decision::{Action, MaintenanceAdvisor, MaintenanceCosts, Objective},
///     model::RulDistribution,
///     quantity::LifeUnit,
/// };
/// // Fails within 40 to 60 h, all as likely; a failure costs 10 times a planned stop, an hour of life 0.5.
/// let life = RulDistribution::new(std::array::from_fn(|i| 40.0 + 0.2 * i as f64), LifeUnit::Hours)?;
/// let advisor = MaintenanceAdvisor::new(MaintenanceCosts::new(1.0, 10.0)?, Objective::OneStop { life_value: 0.5 })?;
/// let advice = advisor.advise(&life)?;
/// // An hour of waiting earns 0.5 and risks 9 / 20 from 40 h on: worth it until a tenth of machines would have failed.
/// let Action::At { time } = advice.action else { panic!() };
/// assert!((time - 42.0).abs() < 1e-9 && (advice.failure_chance - 0.1).abs() < 1e-9);
/// // Stopped now, it would lose 50 h; run to failure, none.
/// assert!((advice.cost_of_earliest - 26.0).abs() < 1e-9 && advice.cost_of_failure == 10.0);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaintenanceAdvisor {
    costs: MaintenanceCosts,
    objective: Objective,
    lead: f64,
    review: f64,
}

/// The best time of a search.
struct Best {
    moment: Moment,
    cost: f64,
}

/// Where what is known of a remaining life ends.
struct KnownEnd {
    /// The last percentile that is known, before a jump there.
    last: Moment,
    /// The same after the jump, where there is one.
    after_jump: Option<Moment>,
    /// Whether no life lies beyond.
    is_bounded: bool,
}

impl KnownEnd {
    fn of(life: &RulDistribution) -> Result<Self> {
        let last = pieces(life).last().map(|piece| piece.at(1.0)).unwrap_or_default();
        // Percentiles hold no NaN, and the known ones are finite.
        if last.time > LARGEST {
            return Err(Error::input("remaining life", "at most 1e60", last.time));
        }
        let failed = life.failure(last.time);
        // Jumps are whole percents.
        let after_jump = (failed - last.failed > 0.005).then_some(Moment { failed, ..last });
        let is_bounded = life.beyond() == 0.0;
        if last.time == 0.0 && after_jump.is_none() && !is_bounded {
            return Err(Error::insufficient("advice", "a life above 0 that is known", "none"));
        }
        Ok(Self {
            last,
            after_jump,
            is_bounded,
        })
    }
}

impl MaintenanceAdvisor {
    /// Of these costs; a stop can be had at once, and no review is foreseen.
    ///
    /// # Errors
    /// `InvalidParameter` for an objective whose number is not within 0 to 1e60.
    pub fn new(costs: MaintenanceCosts, objective: Objective) -> Result<Self> {
        objective.check()?;
        Ok(Self {
            costs,
            objective,
            lead: 0.0,
            review: f64::INFINITY,
        })
    }

    /// A stop takes `lead` life units to prepare: none is advised earlier.
    ///
    /// # Errors
    /// `InvalidParameter` unless `lead` is finite, not negative and at most 1e60.
    pub fn lead(self, lead: f64) -> Result<Self> {
        if (0.0..=LARGEST).contains(&lead) {
            return Ok(Self { lead, ..self });
        }
        Err(Error::parameter("lead", "within 0 to 1e60", lead))
    }

    /// The machine is looked at again after `review` life units: a stop that can still be prepared then, its best time being
    /// later than review and lead time together, is not advised before.
    ///
    /// # Errors
    /// `InvalidParameter` unless `review` is finite and above zero.
    pub fn review(self, review: f64) -> Result<Self> {
        if review.is_finite() && review > 0.0 {
            return Ok(Self { review, ..self });
        }
        Err(Error::parameter("review", "finite and above 0", review))
    }

    /// What to do with a machine of this remaining life.
    ///
    /// # Errors
    /// `InvalidInput` for lives above 1e60; `InsufficientData` where no life above 0 is known; `InvalidParameter` where the age of
    /// [`Objective::LongRun`] and all lives are 0: nothing then has a cost a life unit.
    pub fn advise(&self, life: &RulDistribution) -> Result<Advice> {
        let end = KnownEnd::of(life)?;
        let last = end.last;
        let cost = |moment: &Moment| self.objective.cost(&self.costs, moment, last.lived);
        let cost_of_failure = cost(&last.ran_out());
        if !cost_of_failure.is_finite() {
            return Err(Error::parameter("age", "above 0 where all lives are 0", 0));
        }
        let advice = |action, expected_cost, cost_of_earliest, failure_chance| Advice {
            action,
            expected_cost,
            cost_of_earliest,
            cost_of_failure,
            failure_chance,
            beyond: life.beyond(),
            unit: life.unit(),
        };
        let review_at = |time: f64| Action::WaitAndReview {
            until: time.min(self.review),
        };
        let Some((best, cost_of_earliest)) = self.search(life, &end) else {
            // The earliest stop comes after all that is known.
            return Ok(if end.is_bounded {
                advice(Action::RunToFailure, cost_of_failure, cost_of_failure, 1.0)
            } else {
                advice(review_at(last.time), cost(&last), cost(&last), last.failed)
            });
        };
        let Moment { time, failed, .. } = best.moment;
        let is_last = time >= last.time;
        if is_last && end.is_bounded && (failed >= 1.0 || best.cost >= cost_of_failure) {
            return Ok(advice(Action::RunToFailure, cost_of_failure, cost_of_earliest, 1.0));
        }
        // A jump of the chance of failure at the end of what is known is a reason to stop before it.
        let goes_on = is_last && !end.is_bounded && end.after_jump.is_none_or(|after| cost(&after) <= best.cost);
        let action = if goes_on {
            review_at(time)
        } else if time > self.review + self.lead {
            review_at(self.review)
        } else if time == 0.0 {
            Action::Now
        } else {
            Action::At { time }
        };
        Ok(advice(action, best.cost, cost_of_earliest, failed))
    }

    /// The best time from the lead time to the last that is known, and the cost of the first; `None` where there is none.
    fn search(&self, life: &RulDistribution, end: &KnownEnd) -> Option<(Best, f64)> {
        let mut best: Option<Best> = None;
        let mut earliest = None;
        let mut offer = |moment: Moment| {
            let cost = self.objective.cost(&self.costs, &moment, end.last.lived);
            earliest.get_or_insert(cost);
            if best.as_ref().is_none_or(|best| cost <= best.cost) {
                best = Some(Best { moment, cost });
            }
        };
        for piece in pieces(life) {
            let Some(from) = piece.share_at(self.lead) else {
                continue;
            };
            offer(piece.at(from));
            if let Some(share) = self.stationary(&piece).filter(|s| from < *s && *s < 1.0) {
                offer(piece.at(share));
            }
            if from < 1.0 {
                offer(piece.at(1.0));
            }
        }
        Some((best?, earliest?))
    }

    /// Where the cost is least on the line through a piece, as a share of it.
    fn stationary(&self, piece: &Piece) -> Option<f64> {
        let risk = piece.rise * self.costs.at_stake();
        let lived = 1.0 - piece.failed;
        match self.objective {
            // What waiting risks, `risk / length`, equals what it earns, `life_value * survival`.
            Objective::OneStop { life_value } => {
                let earned = life_value * piece.length();
                let share = (lived - risk / earned) / piece.rise;
                share.is_finite().then_some(share)
            }
            // cost' * life = cost * life', a quadratic equation whose left side outgrows the right.
            Objective::LongRun { age } => {
                let cost = self.costs.planned() + self.costs.at_stake() * piece.failed;
                let a = 0.5 * piece.rise * risk * piece.length();
                let b = cost * piece.rise * piece.length();
                let c = risk * (age + piece.lived) - cost * lived * piece.length();
                let share = -2.0 * c / (b + (b * b - 4.0 * a * c).sqrt());
                share.is_finite().then_some(share)
            }
        }
    }
}

#[cfg(test)]
mod tests;
