//! Recorded lives in an order of their own.

use super::RecordedLife;
use std::cmp::Ordering;

/// The lives sorted by what they hold, so that sums over them are the same bits in whatever order they came.
pub(super) fn in_order<'a>(lives: &[RecordedLife<'a>]) -> Vec<RecordedLife<'a>> {
    let mut sorted = lives.to_vec();
    sorted.sort_by(|a, b| {
        a.end
            .total_cmp(&b.end)
            .then(a.failed.cmp(&b.failed))
            .then_with(|| compared(a.ages, b.ages))
            .then_with(|| compared(a.values, b.values))
    });
    sorted
}

fn compared(a: &[f64], b: &[f64]) -> Ordering {
    let differing = a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne());
    differing.unwrap_or(a.len().cmp(&b.len()))
}

/// The value with the share `p` of `values` below it, linear between order statistics; `None` of nothing. Sorts.
pub(super) fn quantile(values: &mut [f64], p: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = p.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (values[at as usize], values[(at as usize + 1).min(last)]);
    Some(low + at.fract() * (high - low))
}
