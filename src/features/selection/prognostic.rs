//! Monotonicity, trendability and prognosability of a feature over recorded lives.

use super::correlation::{pearson, ranks};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How [`monotonicity`] is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monotonicity {
    /// `|number of rises - number of falls| / (n - 1)` from row to row. Noise hides a slow trend: smooth first.
    #[default]
    Signs,
    /// Spearman's correlation with time, its magnitude: sees a trend through noise.
    Rank,
    /// As `Signs` over all pairs of rows `k < p`, each weighing their distance:
    /// `|Σ (p - k) sgn(x[p] - x[k])| / Σ (p - k)`. O(n²).
    WeightedSigns,
}

/// How steadily a feature goes one way over each life: the mean over lives of the measure that `method` names, in [0, 1].
///
/// NaN readings are left out of their life. A life with fewer than two readings is left out; a feature that does not move
/// scores 0.
///
/// # Errors
/// `InsufficientData` where no life has two readings; `InvalidInput` where a reading is infinite.
///
/// Sources: Coble & Hines, *Identifying optimal prognostic parameters from data*, PHM Society (2009); MATLAB's
/// `monotonicity` offers the first two.
///
/// ```
/// use prognos::features::selection::{Monotonicity, monotonicity};
/// let lives: [&[f64]; 2] = [&[1.0, 2.0, 3.0, 5.0], &[0.0, 1.0, 0.5, 2.0]];
/// // Three rises of three, then two rises and a fall.
/// assert_eq!(monotonicity(&lives, Monotonicity::Signs)?, (1.0 + 1.0 / 3.0) / 2.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub fn monotonicity(lives: &[&[f64]], method: Monotonicity) -> Result<f64> {
    let lives = known(lives)?;
    let of = |x: &Vec<f64>| match method {
        Monotonicity::Signs => {
            let net: f64 = x.windows(2).map(|w| sign(w[1] - w[0])).sum();
            net.abs() / (x.len() - 1) as f64
        }
        Monotonicity::Rank => {
            let time: Vec<f64> = (0..x.len()).map(|i| i as f64).collect();
            pearson(&ranks(x), &time).map_or(0.0, f64::abs)
        }
        Monotonicity::WeightedSigns => {
            let (mut net, mut all) = (0.0, 0.0);
            for (k, a) in x.iter().enumerate() {
                for (distance, b) in x[k..].iter().enumerate().skip(1) {
                    net += distance as f64 * sign(b - a);
                    all += distance as f64;
                }
            }
            f64::abs(net) / all
        }
    };
    Ok(lives.iter().map(of).sum::<f64>() / lives.len() as f64)
}

/// How alike a feature's courses are over all lives: the least magnitude of Pearson's correlation between any two, in
/// [0, 1].
///
/// Two lives of different lengths are laid over each other by their share of life: the shorter is interpolated linearly at
/// the places of the longer. NaN readings are bridged the same way. A feature that does not move in some life scores 0.
/// Cost `O(n_lives² n)`.
///
/// # Errors
/// `InsufficientData` with fewer than two lives of two readings; `InvalidInput` where a reading is infinite.
///
/// Source: Coble (2010), *Merging data sources to predict remaining useful life*; the definition of MATLAB's
/// `trendability`.
///
/// ```
/// use prognos::features::selection::trendability;
/// // Twice the same line, once at half the pace and the other way.
/// let lives: [&[f64]; 2] = [&[0.0, 1.0, 2.0], &[5.0, 4.5, 4.0, 3.5, 3.0]];
/// assert!((trendability(&lives)? - 1.0).abs() < 1e-15);
/// # Ok::<(), prognos::Error>(())
/// ```
pub fn trendability(lives: &[&[f64]]) -> Result<f64> {
    let lives = bridged(lives)?;
    if lives.len() < 2 {
        return Err(Error::insufficient(
            "trendability",
            "2 lives with 2 readings",
            lives.len(),
        ));
    }
    let mut least = 1.0_f64;
    for (j, a) in lives.iter().enumerate() {
        for b in &lives[j + 1..] {
            let n = a.len().max(b.len());
            let r = pearson(&stretched(a, n), &stretched(b, n)).map_or(0.0, f64::abs);
            least = least.min(r);
        }
    }
    Ok(least)
}

/// How little a feature's value at failure varies between lives, against its way there:
/// `exp(-sd(x_j[last]) / mean |x_j[first] - x_j[last]|)`, in [0, 1]; the SD is the sample's (n - 1).
///
/// NaN readings are left out, so first and last are the first and last known. A feature that does not move scores 0, and
/// so does one that never ends where it began differently.
///
/// # Errors
/// `InsufficientData` with fewer than two lives of two readings; `InvalidInput` where a reading is infinite.
///
/// Source: Coble & Hines (2009); the definition of MATLAB's `prognosability`.
///
/// ```
/// use prognos::features::selection::prognosability;
/// // Both fail at 10: as good as it gets.
/// assert_eq!(prognosability(&[&[0.0, 4.0, 10.0], &[2.0, 10.0]])?, 1.0);
/// # Ok::<(), prognos::Error>(())
/// ```
pub fn prognosability(lives: &[&[f64]]) -> Result<f64> {
    let lives = known(lives)?;
    if lives.len() < 2 {
        return Err(Error::insufficient(
            "prognosability",
            "2 lives with 2 readings",
            lives.len(),
        ));
    }
    let ends = || lives.iter().filter_map(|x| Some((*x.first()?, *x.last()?)));
    let largest = ends().fold(0.0_f64, |m, (a, b)| m.max(a.abs()).max(b.abs()));
    if largest == 0.0 {
        return Ok(0.0);
    }
    // Scaled, so that nothing overflows.
    let n = lives.len() as f64;
    let mean = ends().map(|(_, b)| b / largest).sum::<f64>() / n;
    let variance = ends().map(|(_, b)| (b / largest - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let way = ends().map(|(a, b)| (a / largest - b / largest).abs()).sum::<f64>() / n;
    Ok(if way > 0.0 {
        libm::exp(-variance.sqrt() / way)
    } else {
        0.0
    })
}

fn sign(d: f64) -> f64 {
    if d > 0.0 {
        1.0
    } else if d < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// The lives without their NaN, and without those that keep fewer than two readings.
fn known(lives: &[&[f64]]) -> Result<Vec<Vec<f64>>> {
    check(lives)?;
    let known = lives
        .iter()
        .map(|x| x.iter().copied().filter(|v| !v.is_nan()).collect());
    enough(known.collect())
}

/// The lives with NaN bridged by straight lines; NaN before the first and after the last reading become these.
fn bridged(lives: &[&[f64]]) -> Result<Vec<Vec<f64>>> {
    check(lives)?;
    let bridge = |x: &&[f64]| {
        let at: Vec<usize> = (0..x.len()).filter(|&i| !x[i].is_nan()).collect();
        if at.len() < 2 {
            return Vec::new();
        }
        let mut out = x.to_vec();
        out[..at[0]].fill(x[at[0]]);
        out[at[at.len() - 1]..].fill(x[at[at.len() - 1]]);
        for pair in at.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            for (i, place) in out.iter_mut().enumerate().take(to).skip(from + 1) {
                let t = (i - from) as f64 / (to - from) as f64;
                *place = (1.0 - t) * x[from] + t * x[to];
            }
        }
        out
    };
    enough(lives.iter().map(bridge).collect())
}

fn check(lives: &[&[f64]]) -> Result<()> {
    match lives.iter().position(|x| x.iter().any(|v| v.is_infinite())) {
        Some(life) => Err(Error::input(
            "readings of a life",
            "finite numbers or NaN",
            format!("infinity in life {life}"),
        )),
        None => Ok(()),
    }
}

fn enough(mut lives: Vec<Vec<f64>>) -> Result<Vec<Vec<f64>>> {
    lives.retain(|x| x.len() >= 2);
    if lives.is_empty() {
        return Err(Error::insufficient("lives", "one with 2 readings", 0));
    }
    Ok(lives)
}

/// `x` over `n` places evenly spread from its first to its last reading; `n` is at least the length of `x`.
fn stretched(x: &[f64], n: usize) -> Vec<f64> {
    let last = x.len() - 1;
    let at = |i: usize| {
        let place = i as f64 * last as f64 / (n - 1) as f64;
        let k = (place as usize).min(last);
        let t = place - k as f64;
        // No multiplication by zero of a neighbour that is not there.
        if t == 0.0 || k == last {
            x[k]
        } else {
            (1.0 - t) * x[k] + t * x[k + 1]
        }
    };
    (0..n).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    const METHODS: [Monotonicity; 3] = [Monotonicity::Signs, Monotonicity::Rank, Monotonicity::WeightedSigns];

    #[test]
    fn straight_lines_are_perfect_and_flat_ones_worthless() {
        let up: Vec<f64> = (0..40).map(f64::from).collect();
        let shorter: Vec<f64> = (0..14).map(|i| f64::from(i) * 3.0).collect();
        let flat = [0.1; 20];
        for m in METHODS {
            assert_eq!(monotonicity(&[&up, &shorter], m).unwrap(), 1.0);
            assert_eq!(monotonicity(&[&flat, &flat], m).unwrap(), 0.0);
        }
        assert!((trendability(&[&up, &shorter]).unwrap() - 1.0).abs() < 1e-14);
        assert_eq!(prognosability(&[&up, &shorter]).unwrap(), 1.0);
        assert_eq!(trendability(&[&flat, &up]).unwrap(), 0.0);
        assert_eq!(prognosability(&[&flat, &flat]).unwrap(), 0.0);
        assert_eq!(prognosability(&[&[0.0; 3], &[0.0; 3]]).unwrap(), 0.0);
    }

    #[test]
    fn missing_readings_are_bridged_and_bad_lives_refused() {
        let nan = f64::NAN;
        let gaps = [nan, 0.0, nan, 2.0, nan, nan, 5.0, nan];
        assert_eq!(monotonicity(&[&gaps], Monotonicity::Signs).unwrap(), 1.0);
        assert_eq!(bridged(&[&gaps]).unwrap(), [[0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0]]);
        for bad in [&[][..], &[&[][..]], &[&[1.0], &[nan, 2.0]]] {
            for m in METHODS {
                assert_eq!(monotonicity(bad, m).unwrap_err().kind(), ErrorKind::InsufficientData);
            }
            assert!(trendability(bad).is_err() && prognosability(bad).is_err());
        }
        assert_eq!(
            trendability(&[&[1.0, 2.0]]).unwrap_err().kind(),
            ErrorKind::InsufficientData
        );
        let e = monotonicity(&[&[1.0, 2.0], &[0.0, f64::INFINITY]], Monotonicity::Rank).unwrap_err();
        assert!(e.to_string().contains("life 1"), "{e}");
        assert!(
            prognosability(&[&[f64::MAX, -f64::MAX], &[-f64::MAX, f64::MAX]])
                .unwrap()
                .is_finite()
        );
    }

    proptest! {
        #[test]
        fn measures_lie_in_their_range_and_forget_scale_offset_and_order(
            lives in prop::collection::vec(prop::collection::vec(-1.0..1.0_f64, 2..30), 2..5), scale in 0.5..4.0_f64,
        ) {
            let views: Vec<&[f64]> = lives.iter().map(Vec::as_slice).collect();
            let moved: Vec<Vec<f64>> = lives.iter().rev().map(|x| x.iter().map(|v| 3.0 - scale * v).collect()).collect();
            let moved: Vec<&[f64]> = moved.iter().map(Vec::as_slice).collect();
            for m in METHODS {
                let a = monotonicity(&views, m).unwrap();
                prop_assert!((0.0..=1.0).contains(&a));
                prop_assert!((a - monotonicity(&moved, m).unwrap()).abs() < 1e-9);
            }
            for f in [trendability, prognosability] {
                let a = f(&views).unwrap();
                prop_assert!((0.0..=1.0).contains(&a));
                prop_assert!((a - f(&moved).unwrap()).abs() < 1e-9);
            }
        }
    }
}
