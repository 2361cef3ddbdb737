//! What each feature adds to a prediction of trees.

use super::forest::Forest;

/// A feature on the way to a node: the share of rows that comes through its splits where it is not known, and whether the row
/// does.
#[derive(Clone, Copy, Debug)]
struct Passage {
    feature: u16,
    share: f64,
    open: bool,
}

impl Passage {
    /// The chance to come through where it is known with chance `t`.
    fn at(&self, t: f64) -> f64 {
        (1.0 - t) * self.share + if self.open { t } else { 0.0 }
    }
}

/// A node to visit: its passages are those of its parent, `start..start + len`, with one more through the parent's split.
#[derive(Clone, Copy, Debug)]
struct Visit {
    node: usize,
    start: usize,
    len: usize,
    through: Option<Passage>,
}

/// Room for a walk through all branches of a tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathScratch {
    visits: Vec<Visit>,
    passages: Vec<Passage>,
    /// Places and weights of a rule of integration.
    rule: Vec<(f64, f64)>,
}

impl Forest {
    /// Adds the Shapley values of `row` to `out`, one a feature, and gives what the trees predict where nothing is known: the
    /// mean over their training rows. `None`, and nothing added, where training rows were not counted.
    ///
    /// A feature that is not known goes both ways of its splits, in the shares of the training rows (Lundberg et al. 2020). A
    /// leaf of value `v` behind `d` different features is reached by a set `S` of known ones in the share `prod_{j in S} o_j
    /// prod_{j not in S} z_j`, `o_j` 1 where the row passes all splits on `j` and `z_j` the share of rows that does. Shapley's
    /// weight of a set of `k` others is the integral of `t^k (1 - t)^(d - 1 - k)` over 0..1, so feature `i` adds `v (o_i - z_i)`
    /// times the integral of `prod_{j != i} ((1 - t) z_j + t o_j)`: a polynomial of positive terms, integrated exactly by `d / 2`
    /// points. A leaf costs `O(d^2)`.
    pub(crate) fn contributions_into(&self, row: &[f64], scratch: &mut PathScratch, out: &mut [f64]) -> Option<f64> {
        if self.n_rows().len() != self.n_nodes() {
            return None;
        }
        scratch.integrate_below(self.deepest());
        let mut mean = 0.0;
        for root in self.roots() {
            scratch.passages.clear();
            scratch.visits.push(Visit {
                node: root,
                start: 0,
                len: 0,
                through: None,
            });
            while let Some(visit) = scratch.visits.pop() {
                let (start, len) = scratch.enter(visit);
                let Some(split) = self.split_at(visit.node, row) else {
                    mean += scratch.leaf(start, len, self.value_at(visit.node), out);
                    continue;
                };
                let rows = |node: usize| f64::from(self.n_rows()[node]);
                for (node, open) in [(split.left, split.goes_left), (split.right, !split.goes_left)] {
                    scratch.visits.push(Visit {
                        node,
                        start,
                        len,
                        through: Some(Passage {
                            feature: split.feature,
                            share: rows(node) / rows(visit.node),
                            open,
                        }),
                    });
                }
            }
        }
        Some(mean)
    }
}

impl PathScratch {
    /// Writes the passages of a node behind those of its parent; gives where they are.
    fn enter(&mut self, visit: Visit) -> (usize, usize) {
        let end = visit.start + visit.len;
        self.passages.truncate(end);
        self.passages.extend_from_within(visit.start..end);
        if let Some(through) = visit.through {
            match self.passages[end..].iter_mut().find(|p| p.feature == through.feature) {
                Some(known) => {
                    known.share *= through.share;
                    known.open &= through.open;
                }
                None => self.passages.push(through),
            }
        }
        (end, self.passages.len() - end)
    }

    /// Adds what a leaf gives each feature on the way to it; gives its share of the mean.
    fn leaf(&self, start: usize, len: usize, value: f64, out: &mut [f64]) -> f64 {
        let passages = &self.passages[start..start + len];
        for &(t, weight) in &self.rule {
            let reached = passages.iter().map(|p| p.at(t)).product::<f64>() * weight * value;
            for p in passages {
                out[usize::from(p.feature)] += reached / p.at(t) * (if p.open { 1.0 } else { 0.0 } - p.share);
            }
        }
        value * passages.iter().map(|p| p.share).product::<f64>()
    }

    /// Readies the rule that integrates polynomials of degree below `d` over 0..1 exactly: Gauss and Legendre's.
    fn integrate_below(&mut self, d: usize) {
        let n = d.div_ceil(2);
        if self.rule.len() >= n {
            return;
        }
        self.rule.clear();
        for i in 0..n {
            // Newton's way to the i-th root of Legendre's polynomial, from close by.
            let mut x = libm::cos(std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5));
            let mut slope = 1.0;
            for _ in 0..8 {
                let (mut below, mut value) = (1.0, x);
                for k in 2..=n {
                    let k = k as f64;
                    (below, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * below) / k);
                }
                slope = n as f64 * (x * value - below) / (x * x - 1.0);
                x -= value / slope;
            }
            self.rule.push((0.5 + 0.5 * x, 1.0 / ((1.0 - x * x) * slope * slope)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rul::trees::{Binned, Grower, Planted, Round, TreeSettings};
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256Plus;

    const WIDTH: usize = 5;

    /// Trees of many splits on few features, some of whose values are missing.
    fn grown(seed: u64) -> (Forest, Vec<Vec<f64>>) {
        let mut rng = Xoshiro256Plus::seed_from_u64(seed);
        let mut number = || rng.r#gen::<f64>();
        let rows: Vec<Vec<f64>> = (0..400)
            .map(|_| {
                let row = (0..WIDTH).map(|_| number()).collect::<Vec<_>>();
                row.into_iter().map(|x| if x < 0.05 { f64::NAN } else { x }).collect()
            })
            .collect();
        let known = |x: f64| if x.is_nan() { 0.3 } else { x };
        let y: Vec<f64> = rows
            .iter()
            .map(|x| 30.0 * known(x[0]) * known(x[1]) + 9.0 * (7.0 * known(x[2])).sin() + known(x[3]))
            .collect();
        let binned = Binned::new(WIDTH, 63, rows.iter().map(Vec::as_slice));
        let settings = TreeSettings {
            max_leaves: 12,
            min_leaf_rows: 5,
            l2: 1.0,
            learning_rate: 0.3,
            row_fraction: 0.7,
            column_fraction: 1.0,
        };
        let mut grower = Grower::new(&binned, settings, (0..400).collect(), Vec::new());
        let (mut planted, mut fitted) = (Planted::new(WIDTH), vec![0.0; 400]);
        for _ in 0..6 {
            let residual: Vec<f64> = y.iter().zip(&fitted).map(|(y, f)| y - f).collect();
            let round = Round {
                gradient: &residual,
                curvature: &[],
                quantile: None,
            };
            assert!(grower.grow(round, &mut fitted, &mut rng, &mut planted));
        }
        planted.finish(1.0);
        (planted.forest, rows)
    }

    /// What the branch at `node` predicts where only the features of `set` are known.
    fn expected(forest: &Forest, node: usize, row: &[f64], set: usize) -> f64 {
        let Some(fork) = forest.split_at(node, row) else {
            return forest.value_at(node);
        };
        let below = |child| expected(forest, child, row, set);
        if set & (1 << fork.feature) != 0 {
            return below(if fork.goes_left { fork.left } else { fork.right });
        }
        let rows = |n: usize| f64::from(forest.n_rows()[n]);
        (rows(fork.left) * below(fork.left) + rows(fork.right) * below(fork.right)) / rows(node)
    }

    /// The definition, over all subsets of features.
    fn naive(forest: &Forest, row: &[f64]) -> (f64, Vec<f64>) {
        let value = |set: usize| -> f64 { forest.roots().map(|root| expected(forest, root, row, set)).sum() };
        let factorial = |n: usize| (1..=n).product::<usize>() as f64;
        let of = |i: usize| -> f64 {
            let others = (0..1 << WIDTH).filter(|set: &usize| set & (1 << i) == 0);
            others
                .map(|set| {
                    let n = set.count_ones() as usize;
                    let weight = factorial(n) * factorial(WIDTH - 1 - n) / factorial(WIDTH);
                    weight * (value(set | (1 << i)) - value(set))
                })
                .sum()
        };
        (value(0), (0..WIDTH).map(of).collect())
    }

    #[test]
    fn contributions_are_shapley_values() {
        for seed in 0..3 {
            let (forest, rows) = grown(seed);
            let mut scratch = PathScratch::default();
            for row in rows.iter().take(30) {
                let mut got = vec![0.0; WIDTH];
                let mean = forest.contributions_into(row, &mut scratch, &mut got).unwrap();
                let (expected_mean, expected) = naive(&forest, row);
                // Some hundred roundings of numbers below 30.
                assert!((mean - expected_mean).abs() < 1e-11, "{mean} {expected_mean}");
                for (g, e) in got.iter().zip(&expected) {
                    assert!((g - e).abs() < 1e-11, "{got:?} {expected:?}");
                }
                let all = mean + got.iter().sum::<f64>();
                assert!((all - forest.sum(row)).abs() < 1e-11, "{all} {}", forest.sum(row));
                assert_eq!(
                    got[4] == 0.0,
                    expected[4] == 0.0,
                    "a feature without splits adds nothing"
                );
            }
        }
    }

    #[test]
    fn many_splits_on_the_way_add_up() {
        // A chain of 200 splits, each on a feature of its own, one row leaving at each.
        let mut forest = Forest::default();
        forest.begin_tree();
        let mut parent = None;
        for i in 0..200u16 {
            let at = forest.push(
                super::super::forest::Node::split(i, 0.5, false),
                201 - u32::from(i),
                parent,
            );
            forest.push(super::super::forest::Node::leaf(f64::from(i)), 1, None);
            parent = Some(at);
        }
        forest.push(super::super::forest::Node::leaf(-1.0), 1, parent);
        forest.extend(Forest::default());
        for share in [0.0, 0.01, 0.5, 1.0] {
            let row: Vec<f64> = (0..200)
                .map(|i| if f64::from(i) < 200.0 * share { 1.0 } else { 0.0 })
                .collect();
            let mut got = vec![0.0; 200];
            let mean = forest
                .contributions_into(&row, &mut PathScratch::default(), &mut got)
                .unwrap();
            // Leaves of values up to 200, their shares summed by 100 points each.
            let all = mean + got.iter().sum::<f64>();
            assert!((all - forest.sum(&row)).abs() < 1e-9, "{all} {}", forest.sum(&row));
        }
    }
}
