//! Regression trees of random cuts.

use super::{
    forest::{MAX_DEPTH, Node},
    grower::Planted,
    histogram::{rounded, scale_of},
};
use rand::Rng;

/// How one tree is grown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RandomCutSettings {
    /// Features a node draws.
    pub(crate) n_candidates: usize,
    pub(crate) min_leaf_rows: usize,
}

/// Leaves of a tree at most: a child lies at most 65,535 nodes behind its parent.
pub(crate) const MAX_LEAVES: usize = 1 << 15;

/// Grows trees on raw values; all buffers are made once. Lives are rounded to 22 bits and summed as whole numbers, so that a
/// tree does not depend on the order of rows.
pub(crate) struct RandomCuts {
    settings: RandomCutSettings,
    n_rows: usize,
    /// One column after the other.
    values: Vec<f64>,
    features: Vec<usize>,
    target: Vec<i64>,
    unit: f64,
    rows: Vec<u32>,
    spare: Vec<u32>,
}

/// Rows that part at a cut; NaN goes by its own flag.
#[derive(Clone, Copy)]
struct Cut {
    score: f64,
    feature: usize,
    threshold: f64,
    missing_left: bool,
}

impl Cut {
    fn goes_left(&self, x: f64) -> bool {
        if x.is_nan() {
            self.missing_left
        } else {
            x <= self.threshold
        }
    }
}

/// Rows of a node still to grow.
struct Open {
    start: usize,
    end: usize,
    depth: u16,
    parent_of_right: Option<usize>,
}

/// A number of rows and the sum of their lives.
#[derive(Clone, Copy, Default)]
struct Side {
    n: usize,
    sum: i64,
}

impl Side {
    fn add(&mut self, value: i64) {
        self.n += 1;
        self.sum += value;
    }

    fn and(self, other: Side) -> Side {
        Side {
            n: self.n + other.n,
            sum: self.sum + other.sum,
        }
    }

    fn score(self) -> f64 {
        let sum = self.sum as f64;
        sum * sum / self.n as f64
    }
}

impl RandomCuts {
    /// On `rows` of `n_features` finite values or NaN, and the life of each.
    pub(crate) fn new<'a>(
        n_features: usize,
        rows: impl ExactSizeIterator<Item = &'a [f64]>,
        lives: &[f64],
        settings: RandomCutSettings,
    ) -> Self {
        let n_rows = rows.len();
        let mut values = vec![0.0; n_features * n_rows];
        for (i, row) in rows.enumerate() {
            for (f, &v) in row.iter().enumerate().take(n_features) {
                values[f * n_rows + i] = v;
            }
        }
        let scale = scale_of(lives.iter().fold(0.0, |m, l| l.max(m))).unwrap_or(1.0);
        Self {
            settings,
            n_rows,
            values,
            features: (0..n_features).collect(),
            target: lives.iter().map(|l| rounded(l * scale)).collect(),
            unit: 1.0 / scale,
            rows: Vec::with_capacity(n_rows),
            spare: Vec::with_capacity(n_rows),
        }
    }

    /// Grows a tree on all rows.
    pub(crate) fn grow(&mut self, rng: &mut impl Rng, planted: &mut Planted) {
        planted.forest.begin_tree();
        self.rows.clear();
        self.rows.extend(0..self.n_rows as u32);
        let mut open = vec![Open {
            start: 0,
            end: self.n_rows,
            depth: 0,
            parent_of_right: None,
        }];
        while let Some(Open {
            start,
            end,
            depth,
            parent_of_right,
        }) = open.pop()
        {
            let mut all = Side::default();
            self.rows[start..end]
                .iter()
                .for_each(|&r| all.add(self.target[r as usize]));
            let cut = if depth < MAX_DEPTH {
                self.best_cut(start, end, all, rng)
            } else {
                None
            };
            let node = match &cut {
                None => Node::leaf(all.sum as f64 / all.n as f64 * self.unit),
                Some(cut) => Node::split(cut.feature as u16, cut.threshold, cut.missing_left),
            };
            let at = planted.forest.push(node, all.n as u32, parent_of_right);
            if let Some(cut) = cut {
                if let Some(gain) = planted.gains.get_mut(cut.feature) {
                    *gain += (cut.score - all.score()) * self.unit * self.unit;
                }
                let middle = self.partition(start, end, &cut);
                for (start, end, parent_of_right) in [(middle, end, Some(at)), (start, middle, None)] {
                    open.push(Open {
                        start,
                        end,
                        depth: depth + 1,
                        parent_of_right,
                    });
                }
            }
        }
    }

    /// The best of one random cut in each of the drawn features that are not constant here; the first of equals.
    fn best_cut(&mut self, start: usize, end: usize, all: Side, rng: &mut impl Rng) -> Option<Cut> {
        let rows = &self.rows[start..end];
        let least = self.settings.min_leaf_rows;
        let first = self.target[*rows.first()? as usize];
        if rows.len() < 2 * least || rows.iter().all(|&r| self.target[r as usize] == first) {
            return None;
        }
        let mut best: Option<Cut> = None;
        let mut n_tried = 0;
        let n_features = self.features.len();
        for i in 0..n_features {
            if n_tried == self.settings.n_candidates {
                break;
            }
            self.features.swap(i, rng.gen_range(i..n_features));
            let feature = self.features[i];
            let column = &self.values[feature * self.n_rows..(feature + 1) * self.n_rows];
            // Comparisons with NaN are false.
            let (low, high) = rows.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &r| {
                let x = column[r as usize];
                (if x < low { x } else { low }, if x > high { x } else { high })
            });
            if low >= high {
                continue;
            }
            n_tried += 1;
            let share = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            let between = low * (1.0 - share) + high * share;
            let threshold = if between >= low && between < high { between } else { low };
            let (mut left, mut missing) = (Side::default(), Side::default());
            for &r in rows {
                let (x, life) = (column[r as usize], self.target[r as usize]);
                if x <= threshold {
                    left.add(life);
                } else if x.is_nan() {
                    missing.add(life);
                }
            }
            for missing_left in [false, true] {
                if missing_left && missing.n == 0 {
                    break;
                }
                let left = if missing_left { left.and(missing) } else { left };
                let right = Side {
                    n: all.n - left.n,
                    sum: all.sum - left.sum,
                };
                if left.n < least || right.n < least {
                    continue;
                }
                let score = left.score() + right.score();
                if best.is_none_or(|b| score > b.score) {
                    best = Some(Cut {
                        score,
                        feature,
                        threshold,
                        // A value that was never missing here goes with the many when it is.
                        missing_left: if missing.n == 0 { left.n > right.n } else { missing_left },
                    });
                }
            }
        }
        best
    }

    /// Puts the rows that go left first, keeping their order on both sides; gives where the right ones start.
    fn partition(&mut self, start: usize, end: usize, cut: &Cut) -> usize {
        let column = &self.values[cut.feature * self.n_rows..(cut.feature + 1) * self.n_rows];
        self.spare.clear();
        let mut at = start;
        for i in start..end {
            let r = self.rows[i];
            if cut.goes_left(column[r as usize]) {
                self.rows[at] = r;
                at += 1;
            } else {
                self.spare.push(r);
            }
        }
        self.rows[at..end].copy_from_slice(&self.spare);
        at
    }
}
