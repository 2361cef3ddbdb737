//! The search for the best split of a leaf.

use super::{
    binned::Binned,
    histogram::{count, gradients},
};

/// Where the rows of a leaf part: those up to bin `bin` of `feature` go left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    /// How much the score rises, in squared units of gradients.
    pub(super) gain: f64,
    pub(super) feature: usize,
    pub(super) bin: usize,
    pub(super) missing_left: bool,
}

impl Split {
    pub(super) fn goes_left(&self, bin: usize) -> bool {
        goes_left(bin, self.bin, self.missing_left)
    }
}

pub(super) fn goes_left(bin: usize, split: usize, missing_left: bool) -> bool {
    if bin == 0 { missing_left } else { bin <= split }
}

/// Sums over the rows of a leaf: packed gradients and counts, and curvatures where the loss has any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Total {
    pub(super) packed: i64,
    pub(super) curvature: i64,
}

/// Values a leaf may take, in units of gradients, where predictions must rise or fall with some feature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Bounds {
    pub(super) const NONE: Self = Self {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };
}

/// What the search goes by.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) data: &'a Binned,
    pub(super) columns: &'a [usize],
    pub(super) l2: f64,
    /// Rows a leaf has at least.
    pub(super) least: i64,
    /// Size of a whole number of curvature; `None` where curvature is one a row.
    pub(super) curvature_unit: Option<f64>,
    /// 1 where predictions must not fall with a feature, -1 where they must not rise; empty where nothing is asked.
    pub(super) directions: &'a [i8],
}

impl Search<'_> {
    /// What gradients are divided by for the value of a leaf.
    pub(super) fn weight(&self, total: Total) -> f64 {
        let curvature = match self.curvature_unit {
            Some(unit) => total.curvature as f64 * unit,
            None => count(total.packed) as f64,
        };
        curvature + self.l2
    }

    /// The value of a leaf in units of gradients, not shrunken.
    pub(super) fn value(&self, total: Total, bounds: Bounds) -> f64 {
        (gradients(total.packed) as f64 / self.weight(total)).clamp(bounds.low, bounds.high)
    }

    /// The split of greatest gain; the first of equals.
    pub(super) fn best<const B: usize>(
        &self,
        histogram: &[i64],
        curvatures: &[i64],
        total: Total,
        bounds: Bounds,
    ) -> Option<Split> {
        if count(total.packed) < 2 * self.least {
            None
        } else if self.curvature_unit.is_none() && self.directions.is_empty() {
            self.best_plain::<B>(histogram, total.packed)
        } else {
            self.best_bounded::<B>(histogram, curvatures, total, bounds)
        }
    }

    /// By `GL^2/(nL + l2) + GR^2/(nR + l2)` over not splitting.
    fn best_plain<const B: usize>(&self, histogram: &[i64], total: i64) -> Option<Split> {
        let (l2, least) = (self.l2, self.least);
        let (n_all, g_all) = (count(total), gradients(total));
        let g_all_f = g_all as f64;
        let parent = g_all_f * g_all_f / (n_all as f64 + l2);
        let mut best_score = parent * (1.0 + 1e-12);
        let mut best: Option<Split> = None;
        for (&feature, table) in self.columns.iter().zip(histogram.chunks_exact(B)) {
            let n_cuts = self.data.cuts(feature).len();
            let missing = table[0];
            for missing_left in [false, true] {
                if missing_left && missing == 0 {
                    break;
                }
                let mut left = if missing_left { missing } else { 0 };
                for (cut, &bin) in table[1..].iter().take(n_cuts).enumerate() {
                    left += bin;
                    let n_left = count(left);
                    let n_right = n_all - n_left;
                    if n_left < least {
                        continue;
                    }
                    if n_right < least {
                        break;
                    }
                    let g_left = gradients(left) as f64;
                    let g_right = g_all_f - g_left;
                    let (a, b) = (n_left as f64 + l2, n_right as f64 + l2);
                    // Two quotients compared with the best without dividing.
                    let (numerator, denominator) = (g_left * g_left * b + g_right * g_right * a, a * b);
                    if numerator > best_score * denominator {
                        best_score = numerator / denominator;
                        let missing_left = if missing == 0 { n_left > n_right } else { missing_left };
                        best = Some(Split {
                            gain: best_score - parent,
                            feature,
                            bin: cut + 1,
                            missing_left,
                        });
                    }
                }
            }
        }
        best
    }

    /// By `2 G v - (H + l2) v^2` on both sides over not splitting, `v` the value of a side held within the leaf's bounds, and
    /// the order of both sides as asked.
    fn best_bounded<const B: usize>(
        &self,
        histogram: &[i64],
        curvatures: &[i64],
        total: Total,
        bounds: Bounds,
    ) -> Option<Split> {
        let score = |total: Total, value: f64| {
            let gradient = gradients(total.packed) as f64;
            (2.0 * gradient - self.weight(total) * value) * value
        };
        let parent = score(total, self.value(total, bounds));
        let mut best_score = parent + 1e-12 * parent.abs();
        let mut best: Option<Split> = None;
        for (i, (&feature, table)) in self.columns.iter().zip(histogram.chunks_exact(B)).enumerate() {
            let direction = self.directions.get(feature).copied().unwrap_or(0);
            let curvature_of = |bin: usize| curvatures.get(i * B + bin).copied().unwrap_or(0);
            let missing = Total {
                packed: table[0],
                curvature: curvature_of(0),
            };
            for missing_left in [false, true] {
                if missing_left && missing.packed == 0 {
                    break;
                }
                let mut left = Total {
                    packed: 0,
                    curvature: 0,
                };
                if missing_left {
                    left = missing;
                }
                let n_cuts = self.data.cuts(feature).len();
                for (bin, &sum) in table.iter().enumerate().take(n_cuts + 1).skip(1) {
                    left.packed += sum;
                    left.curvature += curvature_of(bin);
                    let right = Total {
                        packed: total.packed - left.packed,
                        curvature: total.curvature - left.curvature,
                    };
                    let (n_left, n_right) = (count(left.packed), count(right.packed));
                    if n_left < self.least {
                        continue;
                    }
                    if n_right < self.least {
                        break;
                    }
                    let (low, high) = (self.value(left, bounds), self.value(right, bounds));
                    if (direction > 0 && low > high) || (direction < 0 && low < high) {
                        continue;
                    }
                    let both = score(left, low) + score(right, high);
                    if both > best_score {
                        best_score = both;
                        let missing_left = if missing.packed == 0 {
                            n_left > n_right
                        } else {
                            missing_left
                        };
                        best = Some(Split {
                            gain: both - parent,
                            feature,
                            bin,
                            missing_left,
                        });
                    }
                }
            }
        }
        best
    }
}
