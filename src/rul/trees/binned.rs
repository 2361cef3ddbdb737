//! Feature values as bin numbers.

/// The most bins a feature may have, the one of missing values not counted.
pub(crate) const MAX_BINS: usize = 255;

/// Feature values as bin numbers, one column after the other: 0 is missing, bin `b` holds values up to cut `b - 1`.
pub(crate) struct Binned {
    n_rows: usize,
    bins: Vec<u8>,
    cuts: Vec<Vec<f64>>,
}

impl Binned {
    /// Bins of nearly equal counts: `values` row-major, NaN allowed, infinities not.
    pub(crate) fn new<'a>(n_features: usize, n_bins: usize, rows: impl ExactSizeIterator<Item = &'a [f64]>) -> Self {
        let n_rows = rows.len();
        let mut columns = vec![0.0; n_features * n_rows];
        for (i, row) in rows.enumerate() {
            for (f, &v) in row.iter().enumerate().take(n_features) {
                columns[f * n_rows + i] = v;
            }
        }
        let mut bins = vec![0u8; n_features * n_rows];
        let mut cuts = Vec::with_capacity(n_features);
        let mut sorted = Vec::with_capacity(n_rows);
        for (column, bins) in columns
            .chunks_exact(n_rows.max(1))
            .zip(bins.chunks_exact_mut(n_rows.max(1)))
        {
            sorted.clear();
            sorted.extend(column.iter().copied().filter(|v| !v.is_nan()));
            sorted.sort_unstable_by(f64::total_cmp);
            let cut = cuts_of(&sorted, n_bins);
            for (b, v) in bins.iter_mut().zip(column) {
                *b = if v.is_nan() { 0 } else { 1 + position(&cut, *v) };
            }
            cuts.push(cut);
        }
        Self { n_rows, bins, cuts }
    }

    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    pub(super) fn n_features(&self) -> usize {
        self.cuts.len()
    }

    /// Ends of the bins of a feature but the last.
    pub(super) fn cuts(&self, feature: usize) -> &[f64] {
        &self.cuts[feature]
    }

    pub(super) fn bin(&self, feature: usize, row: usize) -> usize {
        usize::from(self.bins[feature * self.n_rows + row])
    }

    pub(super) fn column(&self, feature: usize) -> &[u8] {
        &self.bins[feature * self.n_rows..(feature + 1) * self.n_rows]
    }
}

/// Number of cuts below `v`, without branches: cuts are at most 254.
fn position(cuts: &[f64], v: f64) -> u8 {
    let (mut base, mut n) = (0, cuts.len());
    while n > 0 {
        let half = n.div_ceil(2);
        base += if cuts[base + half - 1] < v { half } else { 0 };
        n -= half;
    }
    base as u8
}

/// At most `n_bins - 1` cuts, each halfway between two neighbouring values, at nearly equal counts.
fn cuts_of(sorted: &[f64], n_bins: usize) -> Vec<f64> {
    let mut cuts: Vec<f64> = Vec::new();
    for k in 1..n_bins {
        let i = k * sorted.len() / n_bins;
        let Some(&high) = sorted.get(i) else { break };
        let below = sorted.partition_point(|v| *v < high);
        if below == 0 {
            continue;
        }
        let low = sorted[below - 1];
        let middle = low + (high - low) / 2.0;
        let cut = if middle < high { middle } else { low };
        if cuts.last().is_none_or(|last| cut > *last) {
            cuts.push(cut);
        }
    }
    cuts
}
