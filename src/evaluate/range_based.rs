//! Precision and recall of ranges of rows.

use super::detection::f_beta;
use crate::error::{Error, Result};
use std::ops::AddAssign;

/// Which part of a range counts most. Position `i` of `n` weighs, counted from 1:
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PositionalBias {
    /// All the same. The default.
    #[default]
    Flat,
    /// `n - i + 1`: the first row most, for early detection.
    Front,
    /// `i` in the first half (`i <= n / 2`), `n - i + 1` in the second.
    Middle,
    /// `i`: the last row most.
    Back,
}

impl PositionalBias {
    /// The sum of the weights of the first `i` of `n` positions.
    fn up_to(self, i: usize, n: usize) -> u128 {
        let (i, n) = (i as u128, n as u128);
        let triangle = |k: u128| k * (k + 1) / 2;
        match self {
            Self::Flat => i,
            Self::Back => triangle(i),
            Self::Front => triangle(n) - triangle(n - i),
            // The weights of the second half are those of positions counted from the end.
            Self::Middle if i <= n / 2 => triangle(i),
            Self::Middle => triangle(n / 2) + triangle(n - n / 2) - triangle(n - i),
        }
    }
}

/// What a range that is met by `x > 1` ranges keeps of its overlap.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Cardinality {
    /// `1 / x`: one range in pieces is worth less. The default.
    #[default]
    Reciprocal,
    /// All of it.
    One,
    /// This function of `x`, from 0 to 1.
    Custom(fn(usize) -> f64),
}

impl Cardinality {
    fn factor(self, n_overlaps: usize) -> Result<f64> {
        match self {
            _ if n_overlaps <= 1 => Ok(1.0),
            Self::Reciprocal => Ok(1.0 / n_overlaps as f64),
            Self::One => Ok(1.0),
            Self::Custom(f) => match f(n_overlaps) {
                factor if (0.0..=1.0).contains(&factor) => Ok(factor),
                other => {
                    let name = format!("cardinality of {n_overlaps} overlaps");
                    Err(Error::parameter(&name, "from 0 to 1", other))
                }
            },
        }
    }
}

/// Precision and recall of predicted ranges against real ones.
///
/// With `R` the real and `P` the predicted ranges, a range `r` earns of the others
///
/// - `overlap(r) = cardinality(x) * Σ (bias over r ∩ p) / (bias over r)`, where `x` of the others meet it.
///
/// Recall is the mean over `R` of `α [x > 0] + (1 - α) overlap`: a share `α` for being found at all. Precision is the mean
/// over `P` of `overlap`. With `α = 0`, flat bias and ranges of one row each they are those of rows.
///
/// Source: N. Tatbul et al., "Precision and recall for time series", NeurIPS 2018,
/// [arXiv:1803.03639](https://arxiv.org/abs/1803.03639).
///
/// ```
/// use prognos::evaluate::{PositionalBias, RangeBased};
/// let metric = RangeBased::new().existence_weight(0.5)?.recall_bias(PositionalBias::Front);
/// let tally = metric.compare(&[(10, 19), (40, 49)], &[(15, 19), (60, 60)])?;
/// // The second half of the first range, 15 of 55 with the front bias, and nothing of the second.
/// assert!((tally.recall()? - (0.5 + 0.5 * 15.0 / 55.0) / 2.0).abs() < 1e-15);
/// assert_eq!(tally.precision()?, 0.5);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RangeBased {
    existence_weight: f64,
    recall_bias: PositionalBias,
    precision_bias: PositionalBias,
    cardinality: Cardinality,
}

impl RangeBased {
    /// Existence weight 0, flat biases, cardinality `1 / x`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The share `α` of recall that a range earns for being met at all.
    ///
    /// # Errors
    /// `InvalidParameter` unless it lies from 0 to 1.
    pub fn existence_weight(mut self, alpha: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(Error::parameter("existence_weight", "from 0 to 1", alpha));
        }
        self.existence_weight = alpha;
        Ok(self)
    }

    /// Which part of a real range counts most.
    #[must_use]
    pub fn recall_bias(mut self, bias: PositionalBias) -> Self {
        self.recall_bias = bias;
        self
    }

    /// Which part of a predicted range counts most.
    #[must_use]
    pub fn precision_bias(mut self, bias: PositionalBias) -> Self {
        self.precision_bias = bias;
        self
    }

    /// What ranges in pieces keep.
    #[must_use]
    pub fn cardinality(mut self, cardinality: Cardinality) -> Self {
        self.cardinality = cardinality;
        self
    }

    /// Compares ranges, each its first and last row, in order and apart: [`row_ranges`] gives them from flags. Linear in
    /// their number.
    ///
    /// # Errors
    /// `InvalidInput`, naming the range, for one that ends before it starts or does not start behind the one before;
    /// `InvalidParameter` where a cardinality does not lie from 0 to 1.
    pub fn compare(&self, real: &[(usize, usize)], predicted: &[(usize, usize)]) -> Result<RangeTally> {
        expect_apart("real", real)?;
        expect_apart("predicted", predicted)?;
        let (mut recall_sum, mut precision_sum) = (0.0, 0.0);
        for (overlap, met) in overlaps(real, predicted, self.recall_bias) {
            let existence = if met > 0 { self.existence_weight } else { 0.0 };
            recall_sum += existence + (1.0 - self.existence_weight) * overlap * self.cardinality.factor(met)?;
        }
        for (overlap, met) in overlaps(predicted, real, self.precision_bias) {
            precision_sum += overlap * self.cardinality.factor(met)?;
        }
        Ok(RangeTally {
            recall_sum,
            n_real: real.len(),
            precision_sum,
            n_predicted: predicted.len(),
        })
    }
}

/// Sums over ranges, which add up over files.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RangeTally {
    /// What the real ranges earned.
    pub recall_sum: f64,
    /// Number of real ranges.
    pub n_real: usize,
    /// What the predicted ranges earned.
    pub precision_sum: f64,
    /// Number of predicted ranges.
    pub n_predicted: usize,
}

impl AddAssign for RangeTally {
    fn add_assign(&mut self, other: Self) {
        self.recall_sum += other.recall_sum;
        self.n_real = self.n_real.saturating_add(other.n_real);
        self.precision_sum += other.precision_sum;
        self.n_predicted = self.n_predicted.saturating_add(other.n_predicted);
    }
}

impl RangeTally {
    /// Mean over real ranges.
    ///
    /// # Errors
    /// `InsufficientData` without a real range.
    pub fn recall(&self) -> Result<f64> {
        mean("recall", "real range", self.recall_sum, self.n_real)
    }

    /// Mean over predicted ranges.
    ///
    /// # Errors
    /// `InsufficientData` without a predicted range.
    pub fn precision(&self) -> Result<f64> {
        mean("precision", "predicted range", self.precision_sum, self.n_predicted)
    }

    /// `(1 + β²) P R / (β² P + R)`: recall counts `β` times as much as precision. 0 where nothing was found, or nothing
    /// predicted.
    ///
    /// # Errors
    /// `InsufficientData` without a real range; `InvalidParameter` unless `beta` is finite and above zero.
    pub fn f_beta(&self, beta: f64) -> Result<f64> {
        let recall = self.recall()?;
        let precision = if self.n_predicted == 0 { 0.0 } else { self.precision()? };
        f_beta(precision, recall, beta)
    }
}

fn mean(what: &str, of: &str, sum: f64, n: usize) -> Result<f64> {
    if n == 0 {
        return Err(Error::insufficient(what, format!("at least 1 {of}"), 0));
    }
    Ok(sum / n as f64)
}

/// The runs of set flags, each its first and last row.
///
/// ```
/// use prognos::evaluate::row_ranges;
/// assert_eq!(row_ranges(&[true, false, true, true]), [(0, 0), (2, 3)]);
/// ```
pub fn row_ranges(flags: &[bool]) -> Vec<(usize, usize)> {
    let mut first = 0;
    let mut ranges = Vec::new();
    for run in flags.chunk_by(|a, b| a == b) {
        if run.first() == Some(&true) {
            ranges.push((first, first + run.len() - 1));
        }
        first += run.len();
    }
    ranges
}

fn expect_apart(name: &str, ranges: &[(usize, usize)]) -> Result<()> {
    let mut before: Option<usize> = None;
    for (k, &(first, last)) in ranges.iter().enumerate() {
        // The length of a range is a number too.
        if !(first <= last && last < usize::MAX && before.is_none_or(|before| first > before)) {
            let free = before.map_or(0, |before| before.saturating_add(1));
            let expected = format!("first row <= last row, from {free} on");
            return Err(Error::input(
                &format!("`{name}` range {k}"),
                expected,
                format!("{first}..={last}"),
            ));
        }
        before = Some(last);
    }
    Ok(())
}

/// For each range the share of its bias under the others, and how many of them meet it.
fn overlaps<'a>(
    ranges: &'a [(usize, usize)],
    others: &'a [(usize, usize)],
    bias: PositionalBias,
) -> impl Iterator<Item = (f64, usize)> + 'a {
    let mut rest = others;
    ranges.iter().map(move |&(first, last)| {
        // Both are in order: what ends before this range meets none that follows.
        let passed = rest.partition_point(|other| other.1 < first);
        rest = rest.get(passed..).unwrap_or_default();
        let n = last - first + 1;
        let (mut under, mut met) = (0, 0);
        for &(from, to) in rest.iter().take_while(|other| other.0 <= last) {
            let (from, to) = (from.max(first) - first, to.min(last) - first + 1);
            under += bias.up_to(to, n) - bias.up_to(from, n);
            met += 1;
        }
        (under as f64 / bias.up_to(n, n) as f64, met)
    })
}
