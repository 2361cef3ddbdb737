//! Bins of equal width over the range of a sample, and what is counted in them.

/// How far edges lie outside the value they stand for, of a bin's width: a value on an edge never falls to rounding.
const MARGIN: f64 = 1e-6;

/// `n` bins of equal width from the lowest value to the highest. Every edge lies 1e-6 of a width below its place, the last
/// one above: the lowest and the highest value are inside, a value on an inner edge belongs to the bin above.
#[derive(Clone, Copy, Debug)]
pub(super) struct EvenBins {
    low: f64,
    high: f64,
    width: f64,
    n: usize,
}

impl EvenBins {
    pub(super) fn new((low, high): (f64, f64), n: usize) -> Self {
        let width = (high - low) / n as f64;
        Self { low, high, width, n }
    }

    fn edge(&self, i: usize) -> f64 {
        if i < self.n {
            self.low + self.width * i as f64 - MARGIN * self.width
        } else {
            self.high + MARGIN * self.width
        }
    }

    pub(super) fn centre(&self, i: usize) -> f64 {
        0.5 * (self.edge(i) + self.edge(i + 1))
    }

    pub(super) fn width_of(&self, i: usize) -> f64 {
        self.edge(i + 1) - self.edge(i)
    }

    /// The bin `v` falls into; below `n` whatever `v` is.
    pub(super) fn index(&self, v: f64) -> usize {
        let i = (((v - self.low) / self.width + MARGIN) as usize).min(self.n - 1);
        if i > 0 && v < self.edge(i) {
            i - 1
        } else if i + 1 < self.n && v >= self.edge(i + 1) {
            i + 1
        } else {
            i
        }
    }
}

/// Centre of the fullest of `N` bins, the mean of the centres where several are.
pub(super) fn mode<const N: usize>(z: &[f64], range: (f64, f64)) -> f64 {
    let bins = EvenBins::new(range, N);
    let mut counts = [0_usize; N];
    for v in z {
        if let Some(count) = counts.get_mut(bins.index(*v)) {
            *count += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    let fullest = counts.iter().enumerate().filter(|(_, count)| **count == most);
    let (sum, n) = fullest.fold((0.0, 0.0), |(sum, n), (i, _)| (sum + bins.centre(i), n + 1.0));
    sum / n
}

/// Mutual information, in nats, of values two samples apart, both in five bins; less the bias of empty cells,
/// `(K - K_row - K_column + 1) / 2 N` with `K` occupied cells, rows and columns of `N` pairs (Miller 1955).
pub(super) fn mutual_information(z: &[f64], range: (f64, f64)) -> f64 {
    const BINS: usize = 5;
    const LAG: usize = 2;
    let bins = EvenBins::new(range, BINS);
    let mut cells = [[0.0_f64; BINS]; BINS];
    for (first, second) in z.iter().zip(z.get(LAG..).unwrap_or_default()) {
        let cell = cells
            .get_mut(bins.index(*first))
            .and_then(|r| r.get_mut(bins.index(*second)));
        if let Some(cell) = cell {
            *cell += 1.0;
        }
    }
    let rows = cells.map(|row| row.iter().sum::<f64>());
    let columns = cells.iter().fold([0.0; BINS], |mut sums, row| {
        sums.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
        sums
    });
    let n: f64 = rows.iter().sum();
    let occupied = |counts: &[f64]| counts.iter().filter(|c| **c > 0.0).count() as f64;
    let (mut information, mut n_cells) = (0.0, 0.0);
    for (row, in_row) in cells.iter().zip(&rows) {
        n_cells += occupied(row);
        for (count, in_column) in row.iter().zip(&columns) {
            if *count > 0.0 {
                information += count / n * libm::log(count * n / (in_row * in_column));
            }
        }
    }
    information - (n_cells - occupied(&rows) - occupied(&columns) + 1.0) / (2.0 * n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_value_lies_between_the_edges_of_its_bin(
            z in prop::collection::vec(-3.0..3.0_f64, 2..50), n in 1..40_usize, on_edge in 0..40_usize,
        ) {
            let range = z.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (v.min(a), v.max(b)));
            prop_assume!(range.1 - range.0 > 1e-3);
            let bins = EvenBins::new(range, n);
            for i in 0..n {
                prop_assert_eq!(bins.index(range.0 + bins.width * i as f64), i);
            }
            for v in z.into_iter().chain([range.0 + bins.width * (on_edge % n) as f64]) {
                let i = bins.index(v);
                prop_assert!(i < n && bins.edge(i) <= v && v < bins.edge(i + 1));
            }
        }
    }

    #[test]
    fn ties_share_the_mode() {
        let z = [0.0, 0.1, 5.0, 9.9, 10.0];
        assert!((mode::<5>(&z, (0.0, 10.0)) - 5.0).abs() < 1e-5);
        assert!((mode::<10>(&z, (0.0, 10.0)) - 5.0).abs() < 1e-5);
    }
}
