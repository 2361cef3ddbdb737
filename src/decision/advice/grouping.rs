//! Machines served together: which of them, and when, where a stop has a set-up cost that all share.

use super::{Action, KnownEnd, MaintenanceAdvisor, Objective, hazard::pieces};
use crate::{
    error::{Error, Result},
    model::RulDistribution,
};
use serde::Serialize;
use std::cmp::Ordering;

/// Machines that one plan takes at most.
pub const MAX_GROUPED: usize = 64;

/// One machine of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupedAsset {
    /// Its costs and lead time; its review is not looked at. The objective is [`Objective::OneStop`].
    pub advisor: MaintenanceAdvisor,
    /// What is known of its remaining life.
    pub life: RulDistribution,
}

/// Machines served in one stop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceGroup {
    /// What to do with them; [`Action::WaitAndReview`] where a machine's knowledge ends before the stop would be best.
    pub action: Action,
    /// Their places among those given, rising.
    pub assets: Vec<usize>,
    /// Expected cost of them all, the set-up included unless they are run to failure.
    pub expected_cost: f64,
}

/// Which machines are served together, and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServicePlan {
    /// The stops, soonest first; each machine is in one.
    pub groups: Vec<ServiceGroup>,
    /// Expected cost of all.
    pub expected_cost: f64,
    /// What it would be with a stop for each machine.
    pub cost_apart: f64,
}

/// Groups machines so that the expected cost of all is least, `Σ over groups (set_up + min over t of Σ cost_i(t))`.
///
/// A group is served at one time, no sooner than the longest lead time in it, no later than the first end of what is known.
/// Its set-up is paid once, also where some of its machines have failed before; a machine alone that is run to failure
/// pays none, its failure cost being all of it, and one that waits for a review pays it later, so it is counted.
///
/// The machines are put in order of the times that are best for each alone, and groups are runs of neighbours in it: among
/// those an exact dynamic programme finds the best. For machines of like cost curves no other grouping is better; with
/// curves of different shapes one that skips a neighbour may be. The order of the machines given changes nothing.
///
/// Cost: for `n` machines some `50 n³` steps and `3 n²` kB: 64 machines take a fraction of a second.
///
/// Source: R. E. Wildeman, R. Dekker, A. C. J. M. Smit, Eur. J. Oper. Res. 99, 1997,
/// [doi:10.1016/S0377-2217(97)00319-6](https://doi.org/10.1016/S0377-2217(97)00319-6).
///
/// ```
/// use prognos::{
///     decision::{Action, GroupedAsset, MaintenanceAdvisor, MaintenanceCosts, Objective, plan_services},
///     model::RulDistribution,
///     quantity::LifeUnit,
/// };
/// let advisor = MaintenanceAdvisor::new(MaintenanceCosts::new(1.0, 10.0)?, Objective::OneStop { life_value: 0.1 })?;
/// let fails_from = |start: f64| RulDistribution::new(std::array::from_fn(|i| start + i as f64), LifeUnit::Hours);
/// let machines = [40.0, 500.0, 45.0].map(|start| fails_from(start).map(|life| GroupedAsset { advisor, life }));
/// let machines = machines.into_iter().collect::<Result<Vec<_>, _>>()?;
/// let plan = plan_services(&machines, 3.0)?;
/// // One stop for the first and the last saves a set-up for a few hours of life.
/// assert_eq!(plan.groups[0].assets, [0, 2]);
/// assert!(matches!(plan.groups[0].action, Action::At { time } if (40.0..=55.0).contains(&time)));
/// assert!(plan.expected_cost < plan.cost_apart);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// `InsufficientData` without a machine; `InvalidInput` for more than [`MAX_GROUPED`], lives of different units, and another
/// objective than [`Objective::OneStop`]; `InvalidParameter` unless `set_up` is within 0 to 1e60; and what
/// [`MaintenanceAdvisor::advise`] refuses.
pub fn plan_services(assets: &[GroupedAsset], set_up: f64) -> Result<ServicePlan> {
    let machines = ordered(assets, set_up)?;
    let (groupable, alone): (Vec<Machine>, Vec<Machine>) = machines.into_iter().partition(|m| m.can_be_stopped);
    let grid = Grid::of(assets, &groupable);
    let mut groups: Vec<(f64, ServiceGroup)> = alone.iter().map(Machine::alone).collect();
    // best[k]: the least cost of the first k machines, and where the last group of them begins.
    let mut best = vec![(0.0, 0); 1];
    best.resize(groupable.len() + 1, (f64::INFINITY, 0));
    let mut stops = vec![None; groupable.len()];
    let mut best_stop = vec![None; groupable.len() + 1];
    for (from, machine) in groupable.iter().enumerate() {
        let before = best.get(from).map_or(f64::INFINITY, |b| b.0);
        grid.grow(from, &mut stops);
        for (to, stop) in stops.iter().enumerate().skip(from) {
            let cost = match stop {
                _ if to == from => machine.cost_alone,
                Some(Stop { cost, .. }) => set_up + cost,
                None => break,
            };
            if let Some(entry) = best.get_mut(to + 1)
                && before + cost < entry.0
            {
                *entry = (before + cost, from);
                if let Some(kept) = best_stop.get_mut(to + 1) {
                    *kept = *stop;
                }
            }
        }
    }
    let mut to = groupable.len();
    while to > 0 {
        let from = best.get(to).map_or(0, |b| b.1).min(to - 1);
        let members = groupable.get(from..to).unwrap_or_default();
        match (members, best_stop.get(to).copied().flatten()) {
            ([machine], _) => groups.push(machine.alone()),
            (_, Some(stop)) => groups.push(together(members, stop, set_up)),
            _ => groups.extend(members.iter().map(Machine::alone)),
        }
        to = from;
    }
    groups.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.assets.cmp(&b.1.assets)));
    let apart = alone.iter().chain(&groupable).map(|m| m.cost_alone);
    let groups: Vec<ServiceGroup> = groups.into_iter().map(|(_, group)| group).collect();
    Ok(ServicePlan {
        expected_cost: alone.iter().map(|m| m.cost_alone).sum::<f64>() + best.last().map_or(0.0, |b| b.0),
        cost_apart: apart.sum(),
        groups,
    })
}

/// A machine and what is best for it alone.
struct Machine {
    index: usize,
    /// The best time, or the last that is known.
    time: f64,
    action: Action,
    /// Set-up included, unless it is run to failure.
    cost_alone: f64,
    can_be_stopped: bool,
    /// The end of what is known, where nothing but ignorance speaks against waiting longer.
    open_end: f64,
}

impl Machine {
    fn alone(&self) -> (f64, ServiceGroup) {
        let group = ServiceGroup {
            action: self.action,
            assets: vec![self.index],
            expected_cost: self.cost_alone,
        };
        (self.time, group)
    }
}

fn together(members: &[Machine], stop: Stop, set_up: f64) -> (f64, ServiceGroup) {
    let mut assets: Vec<usize> = members.iter().map(|m| m.index).collect();
    assets.sort_unstable();
    let Stop { time, cost } = stop;
    let action = if members.iter().any(|m| time >= m.open_end) {
        Action::WaitAndReview { until: time }
    } else if time == 0.0 {
        Action::Now
    } else {
        Action::At { time }
    };
    let expected_cost = set_up + cost;
    let group = ServiceGroup {
        action,
        assets,
        expected_cost,
    };
    (time, group)
}

/// The machines, checked, by their best times; what ties then goes by costs and lives, so that the order given means nothing.
fn ordered(assets: &[GroupedAsset], set_up: f64) -> Result<Vec<Machine>> {
    let Some(first) = assets.first() else {
        return Err(Error::insufficient("plan of services", "at least 1 machine", 0));
    };
    if assets.len() > MAX_GROUPED {
        return Err(Error::input(
            "machines of a plan",
            format!("at most {MAX_GROUPED}"),
            assets.len(),
        ));
    }
    if !(0.0..=super::LARGEST).contains(&set_up) {
        return Err(Error::parameter("set_up", "within 0 to 1e60", set_up));
    }
    let mut machines = Vec::with_capacity(assets.len());
    for (index, asset) in assets.iter().enumerate() {
        let (advisor, life) = (&asset.advisor, &asset.life);
        if !matches!(advisor.objective, Objective::OneStop { .. }) {
            let expected = "`Objective::OneStop`, whose costs add up";
            return Err(Error::input(
                &format!("objective of machine {index}"),
                expected,
                "another",
            ));
        }
        if life.unit() != first.life.unit() {
            let expected = format!("lives in {} as of machine 0", first.life.unit());
            return Err(Error::input(&format!("machine {index}"), expected, life.unit()));
        }
        let advisor = MaintenanceAdvisor {
            review: f64::INFINITY,
            ..*advisor
        };
        let place = |e: Error| e.context(format!("machine {index}"));
        let advice = advisor.advise(life).map_err(place)?;
        let end = KnownEnd::of(life).map_err(place)?;
        let best = advisor.search(life, &end).map(|(best, _)| best);
        // The set-up may make a stop dearer than a failure.
        let stop = set_up + advice.expected_cost;
        let fails = advice.action == Action::RunToFailure || end.is_bounded && stop >= advice.cost_of_failure;
        machines.push(Machine {
            index,
            time: best.as_ref().map_or(end.last.time, |best| best.moment.time),
            action: if fails { Action::RunToFailure } else { advice.action },
            cost_alone: if fails { advice.cost_of_failure } else { stop },
            can_be_stopped: best.is_some(),
            open_end: if end.is_bounded || end.after_jump.is_some() {
                f64::INFINITY
            } else {
                end.last.time
            },
        });
    }
    let numbers = |m: &Machine| {
        let asset = assets.get(m.index);
        asset.into_iter().flat_map(|asset| {
            let Objective::OneStop { life_value } = asset.advisor.objective else {
                return Vec::new();
            };
            let costs = asset.advisor.costs;
            let mut numbers = vec![costs.planned(), costs.failure(), life_value, asset.advisor.lead];
            numbers.extend(asset.life.percentiles());
            numbers
        })
    };
    let by_numbers = |a: &Machine, b: &Machine| {
        let mut pairs = numbers(a).zip(numbers(b));
        let order = pairs.find_map(|(a, b)| Some(a.total_cmp(&b)).filter(|o| o.is_ne()));
        order.unwrap_or(Ordering::Equal)
    };
    machines.sort_by(|a, b| a.time.total_cmp(&b.time).then_with(|| by_numbers(a, b)));
    Ok(machines)
}

/// A time to stop a group, and the expected cost without set-up.
#[derive(Clone, Copy, Debug)]
struct Stop {
    time: f64,
    cost: f64,
}

/// One machine's cost about a stretch of time, a parabola; infinite where it cannot be stopped.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// Just before the jump at its start, where there is one.
    before: f64,
    /// Just after.
    after: f64,
    slope: f64,
    growth: f64,
}

impl Cell {
    const NEVER: Self = Self {
        before: f64::INFINITY,
        after: f64::INFINITY,
        slope: 0.0,
        growth: 0.0,
    };
}

/// The costs of all machines over the stretches between all times at which one of them has a percentile.
struct Grid {
    times: Vec<f64>,
    /// A row a machine, in order: cell `g` begins at `times[g]`.
    costs: Vec<Vec<Cell>>,
}

impl Grid {
    fn of(assets: &[GroupedAsset], order: &[Machine]) -> Self {
        let members = || order.iter().filter_map(|m| assets.get(m.index));
        let ends = members().flat_map(|asset| pieces(&asset.life).map(|piece| piece.end));
        let leads = members().map(|asset| asset.advisor.lead);
        let mut times: Vec<f64> = std::iter::once(0.0).chain(ends).chain(leads).collect();
        times.sort_unstable_by(f64::total_cmp);
        times.dedup();
        let costs = members().map(|asset| row(asset, &times)).collect();
        Self { times, costs }
    }

    /// The best stops of the groups of machines `from..=to`, for each `to` from `from` on.
    fn grow(&self, from: usize, stops: &mut [Option<Stop>]) {
        let mut sum = vec![Cell::default(); self.times.len()];
        for (costs, stop) in self.costs.iter().zip(stops).skip(from) {
            for (sum, cell) in sum.iter_mut().zip(costs) {
                sum.before += cell.before;
                sum.after += cell.after;
                sum.slope += cell.slope;
                sum.growth += cell.growth;
            }
            *stop = self.least(&sum);
        }
    }

    fn least(&self, sum: &[Cell]) -> Option<Stop> {
        let mut best = Stop {
            time: 0.0,
            cost: f64::INFINITY,
        };
        let mut offer = |time: f64, cost: f64| {
            if cost.is_finite() && cost <= best.cost {
                best = Stop { time, cost };
            }
        };
        let ends = self.times.iter().skip(1).copied().chain([f64::INFINITY]);
        for ((&time, end), cell) in self.times.iter().zip(ends).zip(sum) {
            offer(time, cell.before);
            let ahead = -cell.slope / cell.growth;
            if ahead > 0.0 && time + ahead < end {
                offer(time + ahead, cell.after + cell.slope * ahead / 2.0);
            }
        }
        best.cost.is_finite().then_some(best)
    }
}

/// The costs of one machine over a grid that holds the ends of all its pieces and its lead time.
fn row(asset: &GroupedAsset, times: &[f64]) -> Vec<Cell> {
    let (advisor, lead) = (&asset.advisor, asset.advisor.lead);
    let mean = pieces(&asset.life).last().map_or(0.0, |piece| piece.at(1.0).lived);
    let mut cells = vec![Cell::NEVER; times.len()];
    if let Some(first) = cells.first_mut().filter(|_| lead == 0.0) {
        first.before = advisor.objective.cost(&advisor.costs, &Default::default(), mean);
    }
    let Objective::OneStop { life_value } = advisor.objective else {
        return cells;
    };
    let mut g = 0;
    for piece in pieces(&asset.life) {
        while let (Some(&start), Some(&end)) = (times.get(g), times.get(g + 1))
            && end <= piece.end
        {
            let at = |time: f64| piece.share_at(time).map(|share| piece.at(share));
            if let (Some(cell), Some(moment)) = (cells.get_mut(g), at(start))
                && start >= lead
            {
                let per_unit = piece.rise / piece.length();
                cell.after = advisor.objective.cost(&advisor.costs, &moment, mean);
                cell.slope = advisor.costs.at_stake() * per_unit - life_value * (1.0 - moment.failed);
                cell.growth = life_value * per_unit;
            }
            if let (Some(next), Some(moment)) = (cells.get_mut(g + 1), at(end))
                && end >= lead
            {
                next.before = advisor.objective.cost(&advisor.costs, &moment, mean);
            }
            g += 1;
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decision::MaintenanceCosts, quantity::LifeUnit};
    use proptest::prelude::*;

    fn machine(start: f64, width: f64, at_stake: f64, life_value: f64, lead: f64) -> GroupedAsset {
        let costs = MaintenanceCosts::new(1.0, 1.0 + at_stake).unwrap();
        let advisor = MaintenanceAdvisor::new(costs, Objective::OneStop { life_value }).unwrap();
        let percentiles = std::array::from_fn(|i| start + width * i as f64 / 100.0);
        GroupedAsset {
            advisor: advisor.lead(lead).unwrap(),
            life: RulDistribution::new(percentiles, LifeUnit::Hours).unwrap(),
        }
    }

    /// The least cost over all ways to part the machines, of a group by trying all percentiles. Between two
    /// of them its cost is a parabola that rises `life_value / width` a machine at most, below its ends by an eighth of
    /// that times the square of a hundredth of the width: 4e-4 for a value of 0.5 and a width of 60.
    fn by_brute_force(assets: &[GroupedAsset], set_up: f64, neighbours_only: bool) -> f64 {
        let machines = ordered(assets, set_up).unwrap();
        let n = machines.len();
        let of_group = |members: u32| -> f64 {
            let own: Vec<usize> = (0..n).filter(|i| members >> i & 1 == 1).collect();
            if let [one] = own[..] {
                return machines[one].cost_alone;
            }
            let is_run = own.windows(2).all(|w| w[1] == w[0] + 1);
            if neighbours_only && !is_run || own.iter().any(|i| !machines[*i].can_be_stopped) {
                return f64::INFINITY;
            }
            let own = || own.iter().map(|i| &assets[machines[*i].index]);
            let earliest = own().map(|a| a.advisor.lead).fold(0.0, f64::max);
            let latest = own().map(|a| a.life.percentiles()[100]).fold(f64::INFINITY, f64::min);
            let cost = |t: f64| -> f64 {
                own()
                    .map(|a| {
                        let Objective::OneStop { life_value } = a.advisor.objective else {
                            panic!()
                        };
                        let failed = a.life.failure(t);
                        let lost = a.life.mean_within(1e6).unwrap() - a.life.mean_within(t).unwrap();
                        let costs = a.advisor.costs;
                        costs.planned() * (1.0 - failed) + costs.failure() * failed + life_value * lost
                    })
                    .sum()
            };
            let percentiles = own().flat_map(|a| a.life.percentiles().iter().copied());
            let times = percentiles.chain([earliest, latest]);
            set_up
                + times
                    .filter(|t| *t >= earliest && *t <= latest)
                    .map(cost)
                    .fold(f64::INFINITY, f64::min)
        };
        let groups: Vec<f64> = (0..1u32 << n).map(|m| if m == 0 { 0.0 } else { of_group(m) }).collect();
        // least[m]: of the machines in m.
        let mut least = vec![0.0; 1 << n];
        for m in 1..1usize << n {
            let lowest = m & m.wrapping_neg();
            let mut rest = m ^ lowest;
            let mut best = f64::INFINITY;
            loop {
                let group = rest | lowest;
                best = f64::min(best, groups[group] + least[m ^ group]);
                if rest == 0 {
                    break;
                }
                rest = (rest - 1) & (m ^ lowest);
            }
            least[m] = best;
        }
        least[(1 << n) - 1]
    }

    #[test]
    fn like_machines_are_grouped_as_by_brute_force() {
        let assets: Vec<_> = [30.0, 4.0, 60.0, 9.0, 33.0]
            .iter()
            .map(|s| machine(*s, 40.0, 9.0, 0.1, 0.0))
            .collect();
        for set_up in [0.0, 0.5, 2.0, 8.0, 30.0] {
            let plan = plan_services(&assets, set_up).unwrap();
            let brute = by_brute_force(&assets, set_up, false);
            assert!(
                brute > plan.expected_cost - 1e-9 && brute - plan.expected_cost < 2e-3,
                "{set_up}: {plan:?} {brute}"
            );
            let sum: f64 = plan.groups.iter().map(|g| g.expected_cost).sum();
            assert!((sum - plan.expected_cost).abs() < 1e-12 * (1.0 + sum));
        }
        let apart = plan_services(&assets, 0.0).unwrap();
        assert!((apart.expected_cost - apart.cost_apart).abs() < 1e-12);
        // Where a set-up costs more than failures, each runs to its own.
        assert!(
            plan_services(&assets, 1e3)
                .unwrap()
                .groups
                .iter()
                .all(|g| g.action == Action::RunToFailure)
        );
    }

    #[test]
    fn what_cannot_be_stopped_together_is_not() {
        // The second needs more time than the first may live; the third more than it lives itself.
        let assets = [
            machine(5.0, 5.0, 9.0, 0.1, 0.0),
            machine(100.0, 50.0, 9.0, 0.1, 20.0),
            machine(5.0, 5.0, 9.0, 0.1, 20.0),
        ];
        let plan = plan_services(&assets, 4.0).unwrap();
        assert_eq!(plan.groups.len(), 3);
        let last = plan.groups.iter().find(|g| g.assets == [2]).unwrap();
        assert_eq!((last.action, last.expected_cost), (Action::RunToFailure, 10.0));
    }

    #[test]
    fn a_group_waits_where_knowledge_ends() {
        let mut percentiles = [f64::INFINITY; 101];
        percentiles
            .iter_mut()
            .take(51)
            .enumerate()
            .for_each(|(i, q)| *q = 10.0 + i as f64);
        let mut asset = machine(1.0, 1.0, 1.0, 1.0, 0.0);
        asset.life = RulDistribution::new(percentiles, LifeUnit::Hours).unwrap();
        let plan = plan_services(&[asset, asset], 10.0).unwrap();
        assert_eq!(plan.groups.len(), 1);
        assert_eq!(plan.groups[0].action, Action::WaitAndReview { until: 60.0 });
    }

    #[test]
    fn what_is_refused() {
        let good = machine(1.0, 1.0, 1.0, 0.1, 0.0);
        assert!(plan_services(&[], 1.0).is_err() && plan_services(&[good; MAX_GROUPED + 1], 1.0).is_err());
        for bad in [f64::NAN, -1.0, f64::INFINITY, 1e61] {
            assert!(plan_services(&[good], bad).is_err(), "{bad}");
        }
        let mut other = good;
        other.life = RulDistribution::new([1.0; 101], LifeUnit::Days).unwrap();
        assert!(plan_services(&[good, other], 1.0).is_err());
        let mut long_run = good;
        long_run.advisor.objective = Objective::LongRun { age: 1.0 };
        assert!(plan_services(&[long_run], 1.0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn neighbours_are_grouped_as_by_brute_force(
            parts in proptest::collection::vec((0.0..60.0f64, 5.0..60.0f64, 0.0..20.0f64, 0.0..0.5f64, 0.0..8.0f64), 1..5),
            set_up in 0.0..6.0f64,
        ) {
            let assets: Vec<_> = parts.iter().map(|p| machine(p.0, p.1, p.2, p.3, p.4)).collect();
            let plan = plan_services(&assets, set_up).unwrap();
            let runs = by_brute_force(&assets, set_up, true);
            prop_assert!(plan.expected_cost <= runs + 1e-9 && runs - plan.expected_cost < 8e-3, "{runs} {plan:?}");
            prop_assert!(plan.expected_cost <= plan.cost_apart + 1e-9);
            let mut all: Vec<usize> = plan.groups.iter().flat_map(|g| g.assets.clone()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..assets.len()).collect::<Vec<_>>());
            // The order given means nothing.
            let reversed: Vec<_> = assets.iter().rev().copied().collect();
            let other = plan_services(&reversed, set_up).unwrap();
            prop_assert_eq!(plan.expected_cost, other.expected_cost);
            let own = |plan: &ServicePlan| plan.groups.iter().map(|g| (g.action, g.expected_cost, g.assets.len())).collect::<Vec<_>>();
            prop_assert_eq!(own(&plan), own(&other));
        }
    }
}
