//! Order statistics, and when a signal has its large values.

/// Distance of thresholds, in standard deviations.
const STEP: f64 = 0.01;
/// No id: the end of a list.
const NONE: u32 = u32::MAX;

/// The `p`-quantile, `0 < p < 1`: linear between order statistics, of which the `i`-th of `n` (from 0) is the quantile
/// `(i + 0.5) / n`. Reorders `values`; NaN without any.
pub(super) fn quantile(values: &mut [f64], p: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else {
        return f64::NAN;
    };
    let rank = (p * values.len() as f64 - 0.5).clamp(0.0, last as f64);
    let lower = rank as usize;
    let (_, low, above) = values.select_nth_unstable_by(lower.min(last), f64::total_cmp);
    let share = rank - lower as f64;
    if share > 0.0 && !above.is_empty() {
        let high = above.iter().copied().fold(f64::INFINITY, f64::min);
        *low + share * (high - *low)
    } else {
        *low
    }
}

/// Work space of [`outlier_timing`].
#[derive(Clone, Debug)]
pub(super) struct OutlierScratch {
    /// Where the samples that reach each threshold and not the next begin in `order`.
    starts: Vec<u32>,
    order: Vec<u32>,
    levels: Vec<u32>,
    position: Vec<u32>,
    before: Vec<u32>,
    after: Vec<u32>,
    medians: Vec<f64>,
}

impl OutlierScratch {
    pub(super) fn new(n: usize) -> Self {
        // A standardised sample stays below √n.
        let n_thresholds = (100.0 * (n as f64).sqrt()) as usize + 2;
        Self {
            starts: Vec::with_capacity(n_thresholds + 1),
            order: Vec::with_capacity(n),
            levels: Vec::with_capacity(n),
            position: Vec::with_capacity(n),
            before: Vec::with_capacity(n),
            after: Vec::with_capacity(n),
            medians: Vec::with_capacity(n_thresholds),
        }
    }
}

/// The number of thresholds above zero that `v` reaches.
fn level(v: f64) -> u32 {
    let mut level = (v / STEP) as u32;
    while f64::from(level) * STEP > v {
        level -= 1;
    }
    while f64::from(level + 1) * STEP <= v {
        level += 1;
    }
    level
}

/// When the values at and above rising thresholds come: the median, over thresholds 0, 0.01, 0.02, .., of the median
/// position of the samples that reach the threshold; -1 at the window's begin, 1 at its end. `sign` -1 for those at and
/// below falling thresholds. Thresholds end where the samples that reach them are, less one, at most 2% of those beyond zero.
///
/// The samples stand in a list in order of time; as the threshold rises they leave it, and the middle moves by one at most.
pub(super) fn outlier_timing(z: &[f64], sign: f64, s: &mut OutlierScratch) -> f64 {
    s.position.clear();
    s.levels.clear();
    for (i, v) in z.iter().enumerate() {
        let v = sign * v;
        if v >= 0.0 {
            s.position.push(i as u32);
            s.levels.push(level(v));
        }
    }
    let n = s.position.len();
    let Some(top) = s.levels.iter().max() else {
        return f64::NAN;
    };
    // Counting sort by level.
    s.starts.clear();
    s.starts.resize(*top as usize + 2, 0);
    for level in &s.levels {
        if let Some(count) = s.starts.get_mut(*level as usize + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut s.starts {
        sum += *start;
        *start = sum;
    }
    s.order.clear();
    s.order.resize(n, 0);
    for (i, level) in s.levels.iter().enumerate() {
        if let Some(next) = s.starts.get_mut(*level as usize) {
            if let Some(place) = s.order.get_mut(*next as usize) {
                *place = i as u32;
            }
            *next += 1;
        }
    }
    // Filling has moved each start to its end.
    s.before.clear();
    s.after.clear();
    s.before
        .extend((0..n).map(|i| if i == 0 { NONE } else { i as u32 - 1 }));
    s.after.extend((1..=n).map(|i| if i == n { NONE } else { i as u32 }));
    let half = 0.5 * z.len() as f64;
    let (mut left, mut middle, mut first) = (n, (n as u32).saturating_sub(1) / 2, 0);
    s.medians.clear();
    for end in s.starts.iter().map(|end| *end as usize) {
        if !s.medians.is_empty() && left.saturating_sub(1) * 100 <= 2 * n {
            break;
        }
        let at = |i: u32| s.position.get(i as usize).map_or(f64::NAN, |p| f64::from(*p) + 1.0);
        let mut median = at(middle);
        if left.is_multiple_of(2) {
            median = 0.5 * (median + at(link(&s.after, middle)));
        }
        s.medians.push(median / half - 1.0);
        for gone in s.order.get(first..end).unwrap_or_default().iter().copied() {
            let (before, after) = (link(&s.before, gone), link(&s.after, gone));
            // The middle is the lower of two where their number is even.
            if left.is_multiple_of(2) && gone <= middle {
                middle = link(&s.after, middle);
            } else if !left.is_multiple_of(2) && gone >= middle {
                middle = link(&s.before, middle);
            }
            if let Some(next) = s.after.get_mut(before as usize) {
                *next = after;
            }
            if let Some(previous) = s.before.get_mut(after as usize) {
                *previous = before;
            }
            left -= 1;
        }
        first = end;
    }
    quantile(&mut s.medians, 0.5)
}

fn link(links: &[u32], i: u32) -> u32 {
    links.get(i as usize).copied().unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        0.5 * (values[(n - 1) / 2] + values[n / 2])
    }

    /// By its definition, a search of the whole signal a threshold.
    fn timing(z: &[f64], sign: f64) -> f64 {
        let reaching = |j: u32| -> Vec<f64> {
            let reach = z.iter().enumerate().filter(|(_, v)| sign * **v >= f64::from(j) * STEP);
            reach.map(|(i, _)| i as f64 + 1.0).collect()
        };
        let all = reaching(0).len();
        let counts = |j: &u32| *j == 0 || (reaching(*j).len().saturating_sub(1)) as f64 * 100.0 / all as f64 > 2.0;
        let medians = (0..)
            .take_while(counts)
            .map(|j| median(reaching(j)) / (0.5 * z.len() as f64) - 1.0);
        median(medians.collect())
    }

    proptest! {
        #[test]
        fn the_list_gives_what_searches_do(z in prop::collection::vec(-3.0..3.0_f64, 1..80), coarse in any::<bool>()) {
            let z: Vec<f64> = z.into_iter().map(|v| if coarse { (4.0 * v).round() / 4.0 } else { v }).collect();
            let mut scratch = OutlierScratch::new(100);
            for sign in [1.0, -1.0] {
                prop_assume!(z.iter().any(|v| sign * v >= 0.0));
                prop_assert_eq!(outlier_timing(&z, sign, &mut scratch), timing(&z, sign));
            }
        }
    }

    #[test]
    fn quantiles_lie_at_the_middle_of_their_share() {
        let mut v = [3.0, 1.0, 2.0, 4.0];
        assert_eq!(quantile(&mut v, 0.125), 1.0);
        assert_eq!(quantile(&mut v, 0.25), 1.5);
        assert_eq!(quantile(&mut v, 0.5), 2.5);
        assert_eq!(quantile(&mut v, 0.99), 4.0);
        assert_eq!(quantile(&mut v[..1], 0.3), 1.0);
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
