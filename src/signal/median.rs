//! Running medians, and outliers found by them.

use crate::error::{Error, Result};

/// The widest window.
const MAX_WIDTH: usize = 1 << 20;
/// `1 / Φ⁻¹(3/4)`: what makes the median deviation of Gaussian noise its standard deviation.
const MAD_TO_SD: f64 = 1.482_602_218_505_602;

/// A running median over a centred window.
///
/// `y[i]` is the median of `x[i - h ..= i + h]`, `h` half the width. Beyond its ends the signal is mirrored, end samples
/// repeated (`scipy.ndimage.median_filter(mode="reflect")`). NaN is left out of windows, the mean of both middle values
/// standing where an even number is left; a window of NaN alone gives NaN.
///
/// # Cost
/// `O(log w)` comparisons and a move of up to `w` places a sample, in memory of the width. Nothing is allocated after
/// construction of the scratch.
///
/// ```
/// use prognos::signal::MedianFilter;
/// let filter = MedianFilter::new(3)?;
/// assert_eq!(filter.apply(&[1.0, 9.0, 2.0, 3.0, 3.0])?, [1.0, 2.0, 3.0, 3.0, 3.0]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MedianFilter {
    half: usize,
}

/// Work space of one thread for a [`MedianFilter`] or [`HampelFilter`].
#[derive(Clone, Debug)]
pub struct MedianScratch {
    sorted: Vec<f64>,
    deviations: Vec<f64>,
}

impl MedianFilter {
    /// A filter of this width.
    ///
    /// # Errors
    /// `InvalidParameter` unless the width is odd and at most 2^20.
    pub fn new(width: usize) -> Result<Self> {
        if width.is_multiple_of(2) || width > MAX_WIDTH {
            return Err(Error::parameter("width", format!("odd and at most {MAX_WIDTH}"), width));
        }
        Ok(Self { half: width / 2 })
    }

    /// Samples of a window.
    pub fn width(&self) -> usize {
        2 * self.half + 1
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> MedianScratch {
        MedianScratch {
            sorted: Vec::with_capacity(self.width()),
            deviations: Vec::with_capacity(self.width()),
        }
    }

    /// Writes the filtered signal.
    ///
    /// # Errors
    /// `InvalidInput` where `out` has another length than `x`.
    pub fn apply_into(&self, x: &[f64], scratch: &mut MedianScratch, out: &mut [f64]) -> Result<()> {
        if out.len() != x.len() {
            return Err(Error::input("places of a median filter", x.len(), out.len()));
        }
        self.each(x, scratch, |i, sorted, _| {
            if let Some(o) = out.get_mut(i) {
                *o = middle(sorted);
            }
        });
        Ok(())
    }

    /// The filtered signal, in memory of its own.
    ///
    /// # Errors
    /// None for a filter that was made.
    pub fn apply(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; x.len()];
        self.apply_into(x, &mut self.new_scratch(), &mut out)?;
        Ok(out)
    }

    /// Hands over each index with its window, sorted.
    fn each(&self, x: &[f64], scratch: &mut MedianScratch, mut f: impl FnMut(usize, &[f64], &mut Vec<f64>)) {
        if x.is_empty() {
            return;
        }
        let h = self.half as i64;
        let MedianScratch { sorted, deviations } = scratch;
        sorted.clear();
        for i in -h..=h {
            insert(sorted, mirrored(x, i));
        }
        for i in 0..x.len() {
            f(i, sorted, deviations);
            remove(sorted, mirrored(x, i as i64 - h));
            insert(sorted, mirrored(x, i as i64 + h + 1));
        }
    }
}

/// `x[i]` of the signal mirrored at both ends, end samples repeated; NaN without samples.
fn mirrored(x: &[f64], i: i64) -> f64 {
    let n = x.len() as i64;
    let i = i.rem_euclid(2 * n);
    let i = if i < n { i } else { 2 * n - 1 - i };
    x.get(i as usize).copied().unwrap_or(f64::NAN)
}

fn insert(sorted: &mut Vec<f64>, v: f64) {
    if !v.is_nan() {
        sorted.insert(sorted.partition_point(|s| *s < v), v);
    }
}

fn remove(sorted: &mut Vec<f64>, v: f64) {
    let at = sorted.partition_point(|s| *s < v);
    if sorted.get(at) == Some(&v) {
        sorted.remove(at);
    }
}

/// The median of what is sorted.
fn middle(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    match (sorted.get(n / 2), sorted.get((n / 2).wrapping_sub(1))) {
        (Some(upper), Some(lower)) if n.is_multiple_of(2) => 0.5 * lower + 0.5 * upper,
        (Some(middle), _) => *middle,
        _ => f64::NAN,
    }
}

/// Hampel's filter: samples far from the running median are replaced by it.
///
/// A sample is an outlier where `|x[i] - m| > k · 1.4826 · MAD`, `m` the median of its window and MAD the median of
/// `|x - m|` over it. Where more than half of a window is equal the MAD is 0 and every other value an outlier. Windows and
/// NaN as in [`MedianFilter`]; a missing sample stays NaN and is no outlier.
///
/// # Cost
/// `O(w)` a sample; nothing is allocated after construction of the scratch.
///
/// Source: Hampel (1974), <https://doi.org/10.1080/01621459.1974.10482962>; Pearson et al. (2016),
/// <https://doi.org/10.1186/s13634-016-0383-6>.
///
/// ```
/// use prognos::signal::HampelFilter;
/// let mut x = [0.1, 0.2, 9.0, 0.4, 0.5, 0.4, 0.3];
/// let filter = HampelFilter::new(5, 3.0)?;
/// let mut out = [0.0; 7];
/// let n = filter.apply_into(&x, &mut filter.new_scratch(), &mut out)?;
/// x[2] = 0.4;
/// assert_eq!((n, out), (1, x));
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HampelFilter {
    window: MedianFilter,
    n_sigmas: f64,
}

impl HampelFilter {
    /// A filter of this width that takes samples beyond `n_sigmas` robust standard deviations for outliers.
    ///
    /// # Errors
    /// `InvalidParameter` unless the width is odd and at most 2^20, and `n_sigmas` finite and not negative.
    pub fn new(width: usize, n_sigmas: f64) -> Result<Self> {
        let window = MedianFilter::new(width)?;
        if !(n_sigmas.is_finite() && n_sigmas >= 0.0) {
            return Err(Error::parameter("n_sigmas", "finite and not negative", n_sigmas));
        }
        Ok(Self { window, n_sigmas })
    }

    /// Work space for one thread.
    pub fn new_scratch(&self) -> MedianScratch {
        self.window.new_scratch()
    }

    /// Writes the signal with outliers replaced; tells how many there were.
    ///
    /// # Errors
    /// `InvalidInput` where `out` has another length than `x`.
    pub fn apply_into(&self, x: &[f64], scratch: &mut MedianScratch, out: &mut [f64]) -> Result<usize> {
        if out.len() != x.len() {
            return Err(Error::input("places of a Hampel filter", x.len(), out.len()));
        }
        let mut n_replaced = 0;
        self.window.each(x, scratch, |i, sorted, deviations| {
            let (Some(&v), Some(o)) = (x.get(i), out.get_mut(i)) else {
                return;
            };
            let centre = middle(sorted);
            deviations.clear();
            deviations.extend(sorted.iter().map(|s| (s - centre).abs()));
            let n = deviations.len();
            *o = v;
            if n == 0 || v.is_nan() {
                return;
            }
            let (below, &mut upper, _) = deviations.select_nth_unstable_by(n / 2, f64::total_cmp);
            let lower = below.iter().copied().fold(0.0, f64::max);
            let mad = if n.is_multiple_of(2) {
                0.5 * lower + 0.5 * upper
            } else {
                upper
            };
            if (v - centre).abs() > self.n_sigmas * MAD_TO_SD * mad {
                *o = centre;
                n_replaced += 1;
            }
        });
        Ok(n_replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(x: &[f64], half: i64) -> Vec<f64> {
        let median = |mut w: Vec<f64>| {
            w.retain(|v| !v.is_nan());
            w.sort_by(f64::total_cmp);
            match w.len() {
                0 => f64::NAN,
                n if n % 2 == 0 => 0.5 * w[n / 2 - 1] + 0.5 * w[n / 2],
                n => w[n / 2],
            }
        };
        let n = x.len() as i64;
        let at = |i: i64| {
            let i = i.rem_euclid(2 * n);
            x[if i < n { i } else { 2 * n - 1 - i } as usize]
        };
        (0..n)
            .map(|i| median((i - half..=i + half).map(at).collect()))
            .collect()
    }

    proptest! {
        #[test]
        fn it_is_the_median_of_each_window(x in prop::collection::vec(-4..4_i32, 1..60), half in 0..40_usize) {
            // -4 stands for a missing sample.
            let x: Vec<f64> = x.into_iter().map(|v| if v == -4 { f64::NAN } else { f64::from(v) }).collect();
            let filter = MedianFilter::new(2 * half + 1).unwrap();
            let (got, expected) = (filter.apply(&x).unwrap(), naive(&x, half as i64));
            prop_assert!(got.iter().zip(&expected).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())), "{got:?} {expected:?}");
            // Two robust deviations of nothing replace all but medians; infinitely many nothing.
            let none = HampelFilter::new(2 * half + 1, 1e300).unwrap();
            let mut out = vec![0.0; x.len()];
            none.apply_into(&x, &mut none.new_scratch(), &mut out).unwrap();
            let mad_zero = |i: usize| out[i].to_bits() == x[i].to_bits() || out[i] == expected[i];
            prop_assert!((0..x.len()).all(mad_zero));
        }
    }

    #[test]
    fn bad_widths_and_samples() {
        assert!(
            MedianFilter::new(0).is_err() && MedianFilter::new(4).is_err() && MedianFilter::new(usize::MAX).is_err()
        );
        assert!(HampelFilter::new(3, f64::NAN).is_err() && HampelFilter::new(3, -1.0).is_err());
        let filter = MedianFilter::new(5).unwrap();
        assert!(filter.apply(&[]).unwrap().is_empty());
        assert!(filter.apply(&[f64::NAN; 4]).unwrap().iter().all(|v| v.is_nan()));
        assert_eq!(filter.apply(&[f64::INFINITY, -f64::INFINITY, 1.0]).unwrap()[2], 1.0);
        assert!(filter.apply_into(&[1.0], &mut filter.new_scratch(), &mut []).is_err());
        let hampel = HampelFilter::new(3, 3.0).unwrap();
        assert!(hampel.apply_into(&[1.0], &mut hampel.new_scratch(), &mut []).is_err());
    }
}
