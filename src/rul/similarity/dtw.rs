//! Dynamic time warping.

/// The widest band, in rows.
pub(super) const MAX_BAND: usize = 100;

/// The least sum of squared distances along a path that pairs the rows of `a` with those of `b`, two sequences of the same
/// number of rows of `width`, in order from the first pair to the last, without ever pairing rows more than `band` apart
/// (Sakoe and Chiba 1978, doi 10.1109/TASSP.1978.1163055). `O(n_rows band width)`, nothing is allocated.
pub(super) fn banded(a: &[f64], b: &[f64], width: usize, band: usize) -> f64 {
    let band = band.min(MAX_BAND);
    let n = (a.len().min(b.len())) / width.max(1);
    if n == 0 {
        return 0.0;
    }
    // Cell k of a line holds column i + k - band of row i; one more on the right stays infinite.
    let mut above = [f64::INFINITY; 2 * MAX_BAND + 2];
    let mut here = above;
    for (i, x) in a.chunks_exact(width).take(n).enumerate() {
        let mut left = f64::INFINITY;
        for k in 0..=2 * band {
            let column = (i + k).checked_sub(band).filter(|j| *j < n);
            let cost = column.map_or(f64::INFINITY, |j| {
                let y = &b[j * width..(j + 1) * width];
                let square: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
                // The row above lies one cell further right: the same column at k + 1, the one before at k.
                let before = if i == 0 && j == 0 {
                    0.0
                } else {
                    left.min(above[k]).min(above[k + 1])
                };
                square + before
            });
            here[k] = cost;
            left = cost;
        }
        std::mem::swap(&mut above, &mut here);
        above[2 * band + 1] = f64::INFINITY;
    }
    above[band]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The whole table, cells outside the band infinite.
    fn naive(a: &[f64], b: &[f64], width: usize, band: usize) -> f64 {
        let n = a.len() / width;
        let mut table = vec![vec![f64::INFINITY; n + 1]; n + 1];
        table[0][0] = 0.0;
        for i in 1..=n {
            for j in 1..=n {
                if i.abs_diff(j) <= band {
                    let square: f64 = (0..width)
                        .map(|c| (a[(i - 1) * width + c] - b[(j - 1) * width + c]).powi(2))
                        .sum();
                    table[i][j] = square + table[i - 1][j].min(table[i][j - 1]).min(table[i - 1][j - 1]);
                }
            }
        }
        table[n][n]
    }

    #[test]
    fn a_shift_is_free_within_the_band() {
        let (a, b) = ([0.0, 0.0, 1.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 1.0, 0.0, 0.0]);
        assert_eq!((banded(&a, &b, 1, 0), banded(&a, &b, 1, 1)), (4.0, 0.0));
        assert_eq!(banded(&[], &[], 1, 3), 0.0);
    }

    proptest! {
        #[test]
        fn the_same_as_the_whole_table(
            pairs in prop::collection::vec([-5.0..5.0f64, -5.0..5.0, -5.0..5.0, -5.0..5.0], 1..25), band in 0usize..30,
        ) {
            let a: Vec<f64> = pairs.iter().flat_map(|p| [p[0], p[1]]).collect();
            let b: Vec<f64> = pairs.iter().flat_map(|p| [p[2], p[3]]).collect();
            // The same additions in the same order.
            prop_assert_eq!(banded(&a, &b, 2, band), naive(&a, &b, 2, band));
            prop_assert!(banded(&a, &b, 2, band) >= banded(&a, &b, 2, band + 1));
        }
    }
}
