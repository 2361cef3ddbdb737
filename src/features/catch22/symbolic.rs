//! A signal as a word of few letters.

use super::distribution::quantile;
use crate::signal::low_pass_into;

const LETTERS: usize = 3;

/// The longest run of what `is` holds for.
pub(super) fn longest_run(values: &[f64], is: impl Fn(f64) -> bool) -> f64 {
    let (longest, _) = values.iter().fold((0_usize, 0), |(longest, run), v| {
        let run = if is(*v) { run + 1 } else { 0 };
        (longest.max(run), run)
    });
    longest as f64
}

/// How often each letter follows each: letters are the thirds between the quantiles 1/3 and 2/3, those on a quantile
/// belonging below. `work` is overwritten.
pub(super) fn transitions(z: &[f64], work: &mut Vec<f64>) -> [[f64; LETTERS]; LETTERS] {
    work.clear();
    work.extend_from_slice(z);
    let thirds = (quantile(work, 1.0 / 3.0), quantile(work, 2.0 / 3.0));
    let letter = |v: f64| usize::from(v > thirds.0) + usize::from(v > thirds.1);
    let mut counts = [[0.0; LETTERS]; LETTERS];
    let mut from: Option<usize> = None;
    for to in z.iter().map(|v| letter(*v)) {
        if let Some(count) = from.and_then(|from| counts.get_mut(from)?.get_mut(to)) {
            *count += 1.0;
        }
        from = Some(to);
    }
    counts
}

/// Entropy of the pairs, in nats, plus `max(0, K - 5) / 2 N` for the bias of `K` pairs seen among `N`.
pub(super) fn pair_entropy(transitions: &[[f64; LETTERS]; LETTERS]) -> f64 {
    let seen = || transitions.iter().flatten().filter(|count| **count > 0.0);
    let n: f64 = seen().sum();
    let entropy: f64 = seen().map(|count| -count / n * libm::log(count / n)).sum();
    entropy + seen().count().saturating_sub(5) as f64 / (2.0 * n)
}

/// The sum of the variances (of `n - 1`) of the columns of the matrix of transition frequencies.
pub(super) fn transition_variance(transitions: &[[f64; LETTERS]; LETTERS]) -> f64 {
    let n: f64 = transitions.iter().flatten().sum();
    let column = |j: usize| transitions.iter().filter_map(move |row| row.get(j)).map(move |c| c / n);
    let variance = |j: usize| {
        let mean = column(j).sum::<f64>() / LETTERS as f64;
        column(j).map(|v| (v - mean) * (v - mean)).sum::<f64>() / (LETTERS as f64 - 1.0)
    };
    (0..LETTERS).map(variance).sum()
}

/// Every `step`-th sample after the low-pass of [`Resampler`](crate::signal::Resampler), beyond its ends the signal counting
/// as zero; `taps` is work space.
pub(super) fn thin_out(z: &[f64], step: usize, taps: &mut Vec<f64>, out: &mut Vec<f64>) {
    low_pass_into(step, 1.0, taps);
    let half = taps.len() / 2;
    out.clear();
    out.extend((0..z.len()).step_by(step).map(|i| {
        let samples = z.get(i.saturating_sub(half)..).unwrap_or_default();
        // Symmetric: the first of the samples meets the tap as far from the middle as it is from `i`.
        let taps = taps.get(half.saturating_sub(i)..).unwrap_or_default();
        samples.iter().zip(taps).map(|(v, t)| v * t).sum::<f64>()
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Resampler;

    #[test]
    fn thinning_out_is_resampling() {
        let z: Vec<f64> = (0..211_i32).map(|i| f64::from(i * 7919 % 1013) / 500.0 - 1.0).collect();
        let (mut taps, mut out) = (Vec::new(), Vec::new());
        for step in 2..6 {
            thin_out(&z, step, &mut taps, &mut out);
            let expected = Resampler::new(1, step).unwrap().resample(&z).unwrap();
            assert_eq!(out.len(), expected.len());
            // The taps are symmetric to rounding only.
            for (a, b) in out.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-14, "{a} {b}");
            }
        }
    }

    #[test]
    fn runs_and_transitions_are_counted() {
        let z = [1.0, 2.0, 3.0, 1.0, 1.0, 3.0];
        assert_eq!(longest_run(&z, |v| v > 1.0), 2.0);
        assert_eq!(longest_run(&[], |_| true), 0.0);
        let t = transitions(&z, &mut Vec::new());
        // The quantile 1/3 is 1, the quantile 2/3 lies between 2 and 3.
        assert_eq!(t, [[1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
        assert!((pair_entropy(&t) - 5.0_f64.ln()).abs() < 1e-15);
        // Columns 1/5, 0, 1/5; 1/5, 0, 0; 1/5, 1/5, 0.
        assert!((transition_variance(&t) - 3.0 / 75.0).abs() < 1e-15);
    }
}
