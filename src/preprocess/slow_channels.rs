//! Channels that drift more slowly than a training period lasts.

use crate::{
    error::{Error, Result},
    features::FeatureTable,
};

/// How slowly each channel of a fleet moves, so that channels can be left out whose training rows say little of the rows
/// to come.
///
/// A detector takes what it saw in training for all that is usual. Of a quantity that wanders over hours (the temperature of
/// a tank, of a casing, of a room) minutes of training show one stretch of its path, and every later stretch is an
/// anomaly. Such a channel betrays itself within the training rows: from row to row it hardly moves, compared with
/// how far it gets. This is a filter for detectors on short training periods; a fault that shows in slow channels alone
/// is lost with them.
///
/// # Method
///
/// Of each asset and channel, [`von_neumann_ratio`] of its rows in order; of each channel, the median over the assets on
/// which it is a number. Drift is a property of a channel, not of a day, so that one recording on which a fast
/// channel happens to wander does not cost that channel. Cost: one pass over the table.
///
/// # Source
///
/// J. von Neumann, "Distribution of the ratio of the mean square successive difference to the variance", Ann. Math.
/// Statist. 12 (1941), doi [10.1214/aoms/1177731677](https://doi.org/10.1214/aoms/1177731677).
///
/// # Example
///
/// ```
/// use ndarray::Array2;
/// use prognos::{features::{FeatureSchema, FeatureTable}, preprocess::SlowChannels, signal::Channel};
/// let schema = FeatureSchema::of_channels(&[Channel::new("tank temperature", "°C"), Channel::new("flow", "L/min")])?;
/// let rows = Array2::from_shape_fn((100, 2), |(i, j)| if j == 0 { 20.0 + 0.01 * i as f64 } else { (i * 37 % 11) as f64 });
/// let slowness = SlowChannels::of(&FeatureTable::new(schema, rows, vec![0; 100])?);
/// assert_eq!(slowness.faster_than(0.4)?, [1]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SlowChannels {
    ratios: Vec<f64>,
}

impl SlowChannels {
    /// Measures the columns of `table`, each asset's rows in the order of the table.
    pub fn of(table: &FeatureTable) -> Self {
        let width = table.schema().len();
        let mut rows_of = vec![Vec::new(); table.n_assets()];
        for (row, &asset) in table.rows().zip(table.asset()) {
            if let Some(rows) = rows_of.get_mut(asset as usize) {
                rows.push(row);
            }
        }
        let mut column = Vec::new();
        let ratios = (0..width).map(|j| {
            let of_asset = |rows: &Vec<&[f64]>| {
                column.clear();
                column.extend(rows.iter().filter_map(|r| r.get(j).copied()));
                von_neumann_ratio(&column)
            };
            median(rows_of.iter().map(of_asset).filter(|r| !r.is_nan()).collect())
        });
        Self {
            ratios: ratios.collect(),
        }
    }

    /// The ratio of each column: near 0 for a slow drift, 1 for noise that is independent from row to row. NaN where no
    /// asset gives one.
    pub fn ratios(&self) -> &[f64] {
        &self.ratios
    }

    /// The columns whose ratio is at least `ratio`, increasing; and those without a ratio, which never moved or
    /// were never there: they say nothing of drift, and detectors ignore or refuse them by themselves.
    ///
    /// A ratio is one minus the correlation of a row with the next, so that 0.4 keeps what a row tells less than 60% of
    /// about the next.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 < ratio <= 2`; `InsufficientData` where no column would be left.
    pub fn faster_than(&self, ratio: f64) -> Result<Vec<usize>> {
        if !(ratio > 0.0 && ratio <= 2.0) {
            return Err(Error::parameter("ratio", "above 0 and at most 2", ratio));
        }
        let slow = |i: &usize| self.ratios.get(*i).is_some_and(|r| *r < ratio);
        let kept: Vec<usize> = (0..self.ratios.len()).filter(|i| !slow(i)).collect();
        if kept.is_empty() {
            return Err(Error::insufficient(
                "channels",
                format!("at least 1 with a von Neumann ratio of {ratio} or more"),
                format!("{} slower ones", self.ratios.len()),
            ));
        }
        Ok(kept)
    }
}

/// Von Neumann's ratio of `x`, halved: the mean squared step from value to value over twice the variance.
///
/// ```text
/// mean((x_{i+1} - x_i)²) / (2 var(x))        var with divisor n
/// ```
///
/// Near 0 for a slow drift, 1 in the mean for independent values, 2 for values that alternate. Offset and unit do not
/// matter. Missing values (NaN, infinite) are left out; a step counts where both of its ends are there. NaN without a step
/// or where all values are equal. Cost: three passes.
///
/// ```
/// use prognos::preprocess::von_neumann_ratio;
/// assert_eq!(von_neumann_ratio(&[1.0, -1.0, 1.0, -1.0]), 2.0);
/// assert!(von_neumann_ratio(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) < 0.2);
/// assert!(von_neumann_ratio(&[3.0, 3.0]).is_nan());
/// ```
pub fn von_neumann_ratio(x: &[f64]) -> f64 {
    let Some(pivot) = x.iter().copied().find(|v| v.is_finite()) else {
        return f64::NAN;
    };
    // Halves, so that the distance between two numbers of opposite sign stays a number; then in units of the largest.
    let largest = x
        .iter()
        .filter(|v| v.is_finite())
        .fold(0.0_f64, |m, v| m.max((v / 2.0 - pivot / 2.0).abs()));
    if largest == 0.0 {
        return f64::NAN;
    }
    let unit = |v: f64| (v / 2.0 - pivot / 2.0) / largest;
    let (mut n, mut sum) = (0.0, 0.0);
    for &v in x.iter().filter(|v| v.is_finite()) {
        n += 1.0;
        sum += unit(v);
    }
    let mean = sum / n;
    let variance = x
        .iter()
        .filter(|v| v.is_finite())
        .map(|&v| (unit(v) - mean) * (unit(v) - mean))
        .sum::<f64>()
        / n;
    let (mut n_steps, mut steps) = (0.0, 0.0);
    for pair in x.windows(2) {
        if let [a, b] = pair
            && a.is_finite()
            && b.is_finite()
        {
            n_steps += 1.0;
            steps += (unit(*b) - unit(*a)) * (unit(*b) - unit(*a));
        }
    }
    // Without a step this is 0 / 0.
    steps / n_steps / (2.0 * variance)
}

/// The middle value, or the mean of the two in the middle; NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    match (values.get(n.saturating_sub(1) / 2), values.get(n / 2)) {
        (Some(a), Some(b)) => (a + b) / 2.0,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, features::FeatureSchema, signal::Channel};
    use ndarray::Array2;
    use proptest::prelude::*;

    /// The definition, for values without a gap.
    fn naive(x: &[f64]) -> f64 {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        x.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum::<f64>() / (n - 1.0) / (2.0 * variance)
    }

    fn table(columns: &[&[f64]], asset: Vec<u32>) -> FeatureTable {
        let channels: Vec<Channel> = (0..columns.len()).map(|j| Channel::new(format!("c{j}"), "")).collect();
        let values = Array2::from_shape_fn((asset.len(), columns.len()), |(i, j)| columns[j][i]);
        FeatureTable::new(FeatureSchema::of_channels(&channels).unwrap(), values, asset).unwrap()
    }

    /// The line 0..n: steps of 1 and a variance of (n² - 1) / 12, so the ratio is 6 / (n² - 1).
    #[test]
    fn a_line_has_its_closed_form() {
        for n in [2_u32, 3, 10, 400] {
            let line: Vec<f64> = (0..n).map(|i| 5.0 - 0.25 * f64::from(i)).collect();
            let expected = 6.0 / (f64::from(n) * f64::from(n) - 1.0);
            assert!((von_neumann_ratio(&line) / expected - 1.0).abs() < 1e-12, "{n}");
        }
    }

    #[test]
    fn missing_values_are_left_out_with_their_steps() {
        let nan = f64::NAN;
        // Steps 0 -> 1 and 4 -> 2; values 0, 1, 4, 2 with variance 2.1875.
        let got = von_neumann_ratio(&[nan, 0.0, 1.0, f64::INFINITY, 4.0, 2.0, nan]);
        assert!((got - 2.5 / (2.0 * 2.1875)).abs() < 1e-15, "{got}");
        for none in [&[][..], &[nan], &[1.0], &[2.0, 2.0, 2.0], &[1.0, nan, 2.0]] {
            assert!(von_neumann_ratio(none).is_nan(), "{none:?}");
        }
    }

    #[test]
    fn huge_and_tiny_values_have_a_ratio() {
        for unit in [f64::MAX, 1e-300] {
            let x = [1.0, -1.0, -1.0, 1.0].map(|v| v * unit);
            assert!((von_neumann_ratio(&x) - 8.0 / 3.0 / 2.0).abs() < 1e-14, "{unit}");
        }
    }

    #[test]
    fn a_channel_is_judged_by_its_median_over_assets() {
        // Three assets of four rows; the first column wanders on one only, the second on two.
        let alternating = [0.0, 1.0, 0.0, 1.0];
        let line = [0.0, 1.0, 2.0, 3.0];
        let of = |parts: [[f64; 4]; 3]| parts.concat();
        let (fast, slow) = (of([alternating, line, alternating]), of([line, alternating, line]));
        let constant = [7.0; 12];
        let asset: Vec<u32> = (0..12).map(|i| i / 4).collect();
        let slowness = SlowChannels::of(&table(&[&fast, &slow, &constant], asset));
        assert!((slowness.ratios()[0] - 2.0).abs() < 1e-15 && (slowness.ratios()[1] - 0.4).abs() < 1e-15);
        assert!(slowness.ratios()[2].is_nan());
        assert_eq!(slowness.faster_than(0.5).unwrap(), [0, 2]);
        assert_eq!(slowness.faster_than(0.3).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn rows_of_assets_are_not_mixed() {
        // Interleaved, the two lines would alternate.
        let values: Vec<f64> = (0..20).map(|i| f64::from(i / 2) + 100.0 * f64::from(i % 2)).collect();
        let slowness = SlowChannels::of(&table(&[&values], (0..20).map(|i| i % 2).collect()));
        assert!((slowness.ratios()[0] - 6.0 / 99.0).abs() < 1e-12);
    }

    #[test]
    fn bad_limits_are_named() {
        let slowness = SlowChannels::of(&table(&[&[0.0, 1.0, 2.0, 3.0, 4.0]], vec![0; 5]));
        for bad in [f64::NAN, 0.0, -1.0, 2.1, f64::INFINITY] {
            assert_eq!(
                slowness.faster_than(bad).unwrap_err().kind(),
                ErrorKind::InvalidParameter
            );
        }
        let e = slowness.faster_than(0.5).unwrap_err();
        assert!(
            e.kind() == ErrorKind::InsufficientData && e.to_string().contains("1 slower ones"),
            "{e}"
        );
    }

    proptest! {
        #[test]
        fn the_ratio_is_that_of_the_definition(
            x in proptest::collection::vec(-10.0..10.0f64, 3..60), scale in 0.01..100.0f64, offset in -50.0..50.0f64
        ) {
            prop_assume!(x.iter().any(|v| (v - x[0]).abs() > 1e-3));
            let got = von_neumann_ratio(&x);
            prop_assert!((got / naive(&x) - 1.0).abs() < 1e-10, "{got}");
            let moved: Vec<f64> = x.iter().map(|v| scale * v + offset).collect();
            prop_assert!((von_neumann_ratio(&moved) / got - 1.0).abs() < 1e-6);
            prop_assert!((0.0..=4.0).contains(&got));
        }
    }
}
