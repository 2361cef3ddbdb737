//! Ranks and correlations that several measures share.

/// Ranks of `x`, from 1; equal values share the mean of their ranks. `x` holds no NaN.
pub(super) fn ranks(x: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    let mut out = vec![0.0; x.len()];
    let mut first = 0;
    for group in order.chunk_by(|&a, &b| x[a] == x[b]) {
        let rank = first as f64 + 0.5 * (group.len() as f64 + 1.0);
        group.iter().for_each(|&i| out[i] = rank);
        first += group.len();
    }
    out
}

/// Sizes of the groups of equal values in `x`, which is sorted.
pub(super) fn ties(sorted: &[f64]) -> impl Iterator<Item = f64> + '_ {
    sorted.chunk_by(|a, b| a == b).map(|g| g.len() as f64)
}

/// Pearson's correlation of two series of one length; none where either does not vary.
pub(super) fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len().min(y.len()) as f64;
    // Scaled first, so that squares neither overflow nor vanish.
    let centred = |v: &[f64]| -> Option<Vec<f64>> {
        let largest = v.iter().fold(0.0_f64, |m, a| m.max(a.abs()));
        if largest == 0.0 {
            return None;
        }
        let mean = v.iter().map(|a| a / largest).sum::<f64>() / n;
        let d: Vec<f64> = v.iter().map(|a| a / largest - mean).collect();
        let varies = v.windows(2).any(|w| w.first() != w.last());
        varies.then_some(d)
    };
    let (x, y) = (centred(x)?, centred(y)?);
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scale = sum(&x, &x).sqrt() * sum(&y, &y).sqrt();
    let r = sum(&x, &y) / scale;
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_share_ties_and_correlations_are_those_of_lines() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -2.0, 3.0]), [4.0, 2.0, 4.0, 1.0, 4.0]);
        assert_eq!(ranks(&[]), [0.0; 0]);
        let x = [1.0, 2.0, 4.0, 7.0];
        let line = x.map(|v| 5.0 - 2.0 * v);
        assert!((pearson(&x, &line).unwrap() + 1.0).abs() < 1e-15);
        let huge = x.map(|v| v * 1e300);
        assert!((pearson(&huge, &x).unwrap() - 1.0).abs() < 1e-15);
        assert_eq!(
            (pearson(&x, &[0.1; 4]), pearson(&[0.0; 4], &x), pearson(&[], &[])),
            (None, None, None)
        );
    }
}
