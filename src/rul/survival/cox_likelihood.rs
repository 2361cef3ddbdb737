//! The partial likelihood of proportional hazards.

use super::{
    LifeSpells,
    columns::Columns,
    lanes,
    newton::{Evaluation, Likelihood},
};
use std::cmp::Ordering;

/// Rows worked on at once.
const CHUNK: usize = 256;

/// Rows in the order of their stops, with the failure ages between which each is at risk.
#[derive(Clone, Debug)]
pub(super) struct PartialLikelihood {
    pub(super) columns: Columns,
    names: Vec<String>,
    /// Failure ages, ascending.
    pub(super) ages: Vec<f64>,
    /// Rows that stop at failure age `k` or after it and before the next: `blocks[k]..blocks[k + 1]`, failures first.
    blocks: Vec<u32>,
    n_failed: Vec<u32>,
    /// A row is at risk at the failure ages `first..last`.
    first: Vec<u32>,
    last: Vec<u32>,
    /// Rows that are not at risk from the first failure age on, those that enter last first.
    entering: Vec<u32>,
    weight: Vec<f64>,
    /// Weights of failures, 0 of others.
    failed: Vec<f64>,
    /// In standard units, one covariate after the other.
    z: Vec<f64>,
    /// Row-major, each after a 1.
    rows: Vec<f64>,
    /// Penalizer times the number of rows.
    pub(super) ridge: f64,
    /// Hazards relative to `exp(largest)`, by row.
    relative: Vec<f64>,
    largest: f64,
    /// What each failure age adds to the cumulative hazard, in units of `exp(-largest)`: by Efron, and less so for those who
    /// fail there; by Breslow.
    steps: Vec<Step>,
    cumulative: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    efron: f64,
    tied: f64,
    breslow: f64,
}

/// Sums of which parts are taken off again: what addition rounds away is kept (Neumaier 1974), so that a large hazard that
/// leaves does not take small ones with it.
struct Sums {
    sum: Vec<f64>,
    lost: Vec<f64>,
    total: Vec<f64>,
}

impl Sums {
    fn new(n: usize) -> Self {
        Self {
            sum: vec![0.0; n],
            lost: vec![0.0; n],
            total: vec![0.0; n],
        }
    }

    fn add<const EXACT: bool>(&mut self, c: f64, row: &[f64]) {
        if EXACT {
            for ((s, l), x) in self.sum.iter_mut().zip(&mut self.lost).zip(row) {
                let v = c * x;
                let t = *s + v;
                let back = t - *s;
                *l += (*s - (t - back)) + (v - back);
                *s = t;
            }
        } else {
            lanes::add_scaled(&mut self.sum, c, row);
        }
    }

    fn total<const EXACT: bool>(&mut self) -> &[f64] {
        if !EXACT {
            return &self.sum;
        }
        for ((t, s), l) in self.total.iter_mut().zip(&self.sum).zip(&self.lost) {
            *t = s + l;
        }
        &self.total
    }
}

impl PartialLikelihood {
    /// `O(n log n + n p)`. Rows are brought into an order of their own first, so that theirs does not change a bit.
    pub(super) fn new(spells: &LifeSpells, penalizer: f64) -> Self {
        let order = canonical_order(spells);
        let mut ages: Vec<f64> = order
            .iter()
            .filter(|i| spells.failed()[**i])
            .map(|i| spells.stop()[*i])
            .collect();
        ages.dedup();
        let columns = Columns::fit(spells, order.iter().copied());
        // A row at risk at no failure age says nothing.
        let mut passed = 0;
        let at_risk: Vec<(usize, u32, u32)> = order
            .iter()
            .filter_map(|&i| {
                while passed < ages.len() && ages[passed] <= spells.stop()[i] {
                    passed += 1;
                }
                let start = spells.start()[i];
                let first = if start > 0.0 {
                    ages.partition_point(|a| *a <= start)
                } else {
                    0
                };
                (first < passed).then_some((i, first as u32, passed as u32))
            })
            .collect();
        let (n, p) = (at_risk.len(), columns.n());
        let (mut z, mut rows) = (vec![0.0; n * p], vec![1.0; n * (p + 1)]);
        for ((k, (i, ..)), row) in at_risk.iter().enumerate().zip(rows.chunks_exact_mut(p + 1)) {
            for (j, (v, out)) in columns.standard(spells.row(*i)).zip(&mut row[1..]).enumerate() {
                *out = v;
                z[j * n + k] = v;
            }
        }
        let last: Vec<u32> = at_risk.iter().map(|r| r.2).collect();
        let first: Vec<u32> = at_risk.iter().map(|r| r.1).collect();
        let blocks: Vec<u32> = (0..=ages.len())
            .map(|k| last.partition_point(|l| *l <= k as u32) as u32)
            .collect();
        let is_failure = |k: usize| spells.failed()[at_risk[k].0];
        let n_failed = blocks
            .windows(2)
            .map(|b| (b[0] as usize..b[1] as usize).take_while(|k| is_failure(*k)).count() as u32)
            .collect();
        let mut entering: Vec<u32> = (0..n as u32).filter(|k| first[*k as usize] > 0).collect();
        entering.sort_by_key(|k| std::cmp::Reverse(first[*k as usize]));
        let weight: Vec<f64> = at_risk.iter().map(|r| spells.weight(r.0)).collect();
        Self {
            names: columns
                .kept
                .iter()
                .map(|j| spells.names()[*j as usize].clone())
                .collect(),
            columns,
            failed: weight
                .iter()
                .enumerate()
                .map(|(k, w)| if is_failure(k) { *w } else { 0.0 })
                .collect(),
            relative: vec![0.0; n],
            largest: 0.0,
            steps: vec![Step::default(); ages.len()],
            cumulative: vec![0.0; ages.len() + 1],
            ages,
            blocks,
            n_failed,
            first,
            last,
            entering,
            weight,
            z,
            rows,
            ridge: penalizer * spells.n_rows() as f64,
        }
    }

    /// The covariates in standard units, one after the other.
    pub(super) fn standard(&self) -> &[f64] {
        &self.z
    }

    pub(super) fn penalty(&self, slopes: &[f64]) -> f64 {
        0.5 * self.ridge * slopes.iter().map(|b| b * b).sum::<f64>()
    }

    /// The cumulative baseline hazard from each failure age on, at the slopes evaluated last.
    pub(super) fn baseline(&self, efron: bool) -> Vec<f64> {
        let scale = libm::exp(-self.largest);
        let mut sum = 0.0;
        self.steps
            .iter()
            .map(|s| {
                sum += if efron { s.efron } else { s.breslow };
                sum * scale
            })
            .collect()
    }

    fn column(&self, j: usize, begin: usize, end: usize) -> &[f64] {
        let n = self.weight.len();
        &self.z[j * n + begin..j * n + end]
    }

    /// Hazards of all rows relative to the largest one, and the sum of the failures' logarithms.
    fn relative_hazards(&mut self, slopes: &[f64]) -> f64 {
        let n = self.weight.len();
        let mut eta = std::mem::take(&mut self.relative);
        eta.fill(0.0);
        let mut largest = f64::NEG_INFINITY;
        for begin in (0..n).step_by(CHUNK) {
            let end = (begin + CHUNK).min(n);
            for (j, b) in slopes.iter().enumerate() {
                lanes::add_scaled(&mut eta[begin..end], *b, self.column(j, begin, end));
            }
            largest = eta[begin..end].iter().fold(largest, |m, e| m.max(*e));
        }
        self.largest = largest;
        eta.iter_mut().for_each(|e| *e -= largest);
        let logs = lanes::dot(&self.failed, &eta);
        lanes::exp_in_place(&mut eta);
        eta.iter_mut().zip(&self.weight).for_each(|(e, w)| *e *= w);
        self.relative = eta;
        logs
    }

    /// From the last failure age down: who is at risk, summed up.
    fn risk_sets<const EXACT: bool>(&mut self, out: &mut Evaluation) {
        let p = self.columns.n();
        let row = |k: usize| &self.rows[k * (p + 1)..(k + 1) * (p + 1)];
        let mut sums = Sums::new(p + 1);
        let mut tied = vec![0.0; p + 1];
        let mut entering = self.entering.iter().map(|k| *k as usize).peekable();
        for k in (0..self.ages.len()).rev() {
            while let Some(gone) = entering.next_if(|e| self.first[*e] as usize > k) {
                sums.add::<EXACT>(-self.relative[gone], row(gone));
            }
            let block = self.blocks[k] as usize..self.blocks[k + 1] as usize;
            for i in block.clone() {
                sums.add::<EXACT>(self.relative[i], row(i));
            }
            let total = sums.total::<EXACT>();
            let n_failed = self.n_failed[k] as usize;
            let failures = block.start..block.start + n_failed;
            let weight: f64 = self.weight[failures.clone()].iter().sum();
            self.steps[k] = if n_failed == 1 {
                let inverse = 1.0 / total[0];
                out.value -= weight * libm::log(total[0]);
                subtract_outer(&mut out.information, weight * inverse * inverse, &total[1..]);
                Step {
                    efron: weight * inverse,
                    tied: 0.0,
                    breslow: weight * inverse,
                }
            } else {
                tied.fill(0.0);
                for i in failures {
                    lanes::add_scaled(&mut tied, self.relative[i], row(i));
                }
                tied_failures(total, &tied, weight, n_failed, out)
            };
        }
    }

    fn slope_and_curvature(&mut self, out: &mut Evaluation) {
        let p = self.columns.n();
        let n = self.weight.len();
        for (k, s) in self.steps.iter().enumerate() {
            self.cumulative[k + 1] = self.cumulative[k] + s.efron;
        }
        let (mut expected, mut excess, mut product) = ([0.0; CHUNK], [0.0; CHUNK], [0.0; CHUNK]);
        for begin in (0..n).step_by(CHUNK) {
            let end = (begin + CHUNK).min(n);
            let len = end - begin;
            for (i, (g, r)) in (begin..end).zip(expected.iter_mut().zip(&mut excess)) {
                let (first, last) = (self.first[i] as usize, self.last[i] as usize);
                let mut lived = self.cumulative[last] - self.cumulative[first];
                if self.failed[i] > 0.0 {
                    lived -= self.steps[last - 1].tied;
                }
                *g = self.relative[i] * lived;
                *r = self.failed[i] - *g;
            }
            let (expected, excess, product) = (&expected[..len], &excess[..len], &mut product[..len]);
            for j in 0..p {
                let z = self.column(j, begin, end);
                out.gradient[j] += lanes::dot(excess, z);
                lanes::multiply(product, expected, z);
                for k in 0..=j {
                    out.information[j * p + k] += lanes::dot(product, self.column(k, begin, end));
                }
            }
        }
    }
}

/// Failures at one age by Efron's rule: the `l`-th of `d` is among all at risk less `l / d` of those who fail.
fn tied_failures(total: &[f64], tied: &[f64], weight: f64, n_failed: usize, out: &mut Evaluation) -> Step {
    let d = n_failed as f64;
    let each = weight / d;
    let (mut efron, mut less) = (0.0, 0.0);
    let mut squares = [0.0; 3];
    for l in 0..n_failed {
        let share = l as f64 / d;
        let left = total[0] - share * tied[0];
        let inverse = 1.0 / left;
        out.value -= each * libm::log(left);
        efron += inverse;
        less += share * inverse;
        squares[0] += inverse * inverse;
        squares[1] += share * inverse * inverse;
        squares[2] += share * share * inverse * inverse;
    }
    let (s, t) = (&total[1..], &tied[1..]);
    let p = s.len();
    for i in 0..p {
        for j in 0..=i {
            out.information[i * p + j] -=
                each * (squares[0] * s[i] * s[j] - squares[1] * (s[i] * t[j] + t[i] * s[j]) + squares[2] * t[i] * t[j]);
        }
    }
    Step {
        efron: each * efron,
        tied: each * less,
        breslow: weight / total[0],
    }
}

/// Takes `c s s'` off the lower triangle.
fn subtract_outer(lower: &mut [f64], c: f64, s: &[f64]) {
    let p = s.len();
    for (i, row) in lower.chunks_exact_mut(p.max(1)).enumerate() {
        lanes::add_scaled(&mut row[..=i], -c * s[i], s);
    }
}

impl Likelihood for PartialLikelihood {
    fn evaluate(&mut self, slopes: &[f64], out: &mut Evaluation) {
        out.clear();
        out.value = self.relative_hazards(slopes);
        if self.entering.is_empty() {
            self.risk_sets::<false>(out);
        } else {
            self.risk_sets::<true>(out);
        }
        self.slope_and_curvature(out);
        out.value -= self.penalty(slopes);
        let p = slopes.len();
        for (j, b) in slopes.iter().enumerate() {
            out.gradient[j] -= self.ridge * b;
            out.information[j * p + j] += self.ridge;
        }
    }

    fn name(&self, parameter: usize) -> String {
        self.names
            .get(parameter)
            .map_or_else(|| "a covariate".into(), |n| format!("covariate `{n}`"))
    }
}

/// By stop, failures first, then by all else that a row has: rows that tie are the same.
fn canonical_order(spells: &LifeSpells) -> Vec<usize> {
    // Ages are not negative, so that their bits are in their order; stops are above 0, which leaves the last bit to spare.
    let mut keys: Vec<(u64, u32)> = (0..spells.n_rows())
        .map(|i| {
            (
                spells.stop()[i].to_bits() << 1 | u64::from(!spells.failed()[i]),
                i as u32,
            )
        })
        .collect();
    keys.sort_unstable();
    let by_rest = |a: &(u64, u32), b: &(u64, u32)| {
        let (i, j) = (a.1 as usize, b.1 as usize);
        let covariates = || {
            let pairs = spells.row(i).iter().zip(spells.row(j));
            pairs
                .map(|(x, y)| x.total_cmp(y))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        };
        (spells.start()[i].total_cmp(&spells.start()[j]))
            .then_with(|| spells.weight(i).total_cmp(&spells.weight(j)))
            .then_with(covariates)
    };
    for ties in keys.chunk_by_mut(|a, b| a.0 == b.0) {
        if ties.len() > 1 {
            ties.sort_unstable_by(by_rest);
        }
    }
    keys.into_iter().map(|k| k.1 as usize).collect()
}
