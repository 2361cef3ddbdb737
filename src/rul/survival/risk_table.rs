//! Who was at risk when someone failed.

use super::LifeSpells;

/// A failure age: how many were at risk just before it, and how many failed at it (sums of weights).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AtRisk {
    pub(super) age: f64,
    pub(super) at_risk: f64,
    pub(super) failed: f64,
}

/// One entry a failure age, ascending. `O(n log n)`; the order of rows does not change a bit, since sums are taken in the
/// order of ages and weights.
pub(super) fn risk_table(spells: &LifeSpells) -> Vec<AtRisk> {
    let sorted = |ages: &[f64], only: &dyn Fn(usize) -> bool| {
        let mut pairs: Vec<(f64, f64)> = (0..ages.len())
            .filter(|i| only(*i))
            .map(|i| (ages[i], spells.weight(i)))
            .collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        pairs
    };
    let stops = sorted(spells.stop(), &|_| true);
    let starts = sorted(spells.start(), &|i| spells.start()[i] > 0.0);
    let failures = sorted(spells.stop(), &|i| spells.failed()[i]);

    let mut table: Vec<AtRisk> = Vec::new();
    for &(age, weight) in &failures {
        match table.last_mut() {
            Some(last) if last.age == age => last.failed += weight,
            _ => table.push(AtRisk {
                age,
                at_risk: 0.0,
                failed: weight,
            }),
        }
    }
    // From the last age down: those who stop at it or later, less those who enter at it or later.
    let (mut stopping, mut entering) = (0.0, 0.0);
    let (mut stops, mut starts) = (stops.iter().rev().peekable(), starts.iter().rev().peekable());
    for row in table.iter_mut().rev() {
        while let Some((_, w)) = stops.next_if(|s| s.0 >= row.age) {
            stopping += w;
        }
        while let Some((_, w)) = starts.next_if(|s| s.0 >= row.age) {
            entering += w;
        }
        // Whoever fails is at risk, whatever rounding of weights says.
        row.at_risk = (stopping - entering).max(row.failed);
    }
    table
}
