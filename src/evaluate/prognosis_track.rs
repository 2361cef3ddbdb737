//! One machine's predictions from first to last, against its end: how early they were right, and how soon they settled.

use super::rul_distribution_error::{expect_distributions, failure_before, last_known};
use crate::{
    error::{Error, Result},
    model::RulDistribution,
};
use std::borrow::Cow;

/// What was foretold of one machine that then failed, prediction by prediction.
///
/// Ages are in life units since birth and rise; the true remaining life is the age at the failure less the age. Rows
/// without a prediction (a model that warms up, an honest "no prognosis") are simply left out.
///
/// Source of all measures: A. Saxena et al., Int. J. Progn. Health Manag. 1, 2010,
/// [doi:10.36001/ijphm.2010.v1i1.1336](https://doi.org/10.36001/ijphm.2010.v1i1.1336).
///
/// ```
/// use prognos::evaluate::{PrognosisTrack, WithinBounds};
/// // A failure at 100 h. The predictions come within 10% of its age at 40 h, and stay.
/// let track = PrognosisTrack::new(&[20.0, 40.0, 60.0, 80.0], &[120.0, 65.0, 41.0, 19.0], 100.0)?;
/// let bounds = WithinBounds::new(0.1)?;
/// assert_eq!(track.prognostic_horizon(bounds)?, Some(60.0));
/// assert!(track.alpha_lambda(bounds, 0.5)?);
/// assert!((track.relative_accuracy(0.5)? - 0.975).abs() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PrognosisTrack<'a> {
    ages: &'a [f64],
    predicted: Cow<'a, [f64]>,
    distributions: Option<&'a [RulDistribution]>,
    end: f64,
}

/// When a prediction is right: within `alpha` of the truth, as a number or with enough of its distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WithinBounds {
    alpha: f64,
    mass: Option<f64>,
}

impl WithinBounds {
    /// Right is the predicted number that lies within a share `alpha` of what it is compared with.
    ///
    /// # Errors
    /// `InvalidParameter` unless `alpha` is above 0 and below 1.
    pub fn new(alpha: f64) -> Result<Self> {
        if alpha > 0.0 && alpha < 1.0 {
            return Ok(Self { alpha, mass: None });
        }
        Err(Error::parameter("alpha", "above 0 and below 1", alpha))
    }

    /// Right is the distribution that has at least the probability `beta` between the bounds.
    ///
    /// # Errors
    /// `InvalidParameter` unless `beta` is above 0 and at most 1.
    pub fn holding(self, beta: f64) -> Result<Self> {
        if beta > 0.0 && beta <= 1.0 {
            let mass = Some(beta);
            return Ok(Self { mass, ..self });
        }
        Err(Error::parameter("beta", "above 0 and at most 1", beta))
    }
}

impl<'a> PrognosisTrack<'a> {
    /// Of predicted numbers at `ages`, for a machine that failed at the age `end`.
    ///
    /// # Errors
    /// `InsufficientData` without a prediction; `InvalidInput`, naming the row, for slices of different lengths, ages that are
    /// negative, not finite, do not rise or lie after the end, a prediction that is not finite, and an end that is not
    /// above zero.
    pub fn new(ages: &'a [f64], predicted: &'a [f64], end: f64) -> Result<Self> {
        Self::checked(ages, Cow::Borrowed(predicted), None, end)
    }

    /// Of distributions at `ages`. The number predicted is the median, or the last life that is known where it is not.
    ///
    /// # Errors
    /// As [`new`](PrognosisTrack::new), and `InvalidInput` for distributions of different units.
    pub fn of_distributions(ages: &'a [f64], distributions: &'a [RulDistribution], end: f64) -> Result<Self> {
        let median = |d: &RulDistribution| d.median().unwrap_or_else(|| last_known(d));
        let medians = distributions.iter().map(median).collect();
        let track = Self::checked(ages, Cow::Owned(medians), Some(distributions), end)?;
        let truth: Vec<f64> = ages.iter().map(|age| end - age).collect();
        expect_distributions(distributions, &truth)?;
        Ok(track)
    }

    fn checked(
        ages: &'a [f64],
        predicted: Cow<'a, [f64]>,
        distributions: Option<&'a [RulDistribution]>,
        end: f64,
    ) -> Result<Self> {
        if predicted.len() != ages.len() {
            let expected = format!("{} rows as in `ages`", ages.len());
            return Err(Error::input("predictions", expected, predicted.len()));
        }
        if !(end.is_finite() && end > 0.0) {
            return Err(Error::input("age at failure", "finite and above 0", end));
        }
        if ages.is_empty() {
            return Err(Error::insufficient("prognosis track", "at least 1 prediction", 0));
        }
        let mut before = None;
        for (i, (&age, &predicted)) in ages.iter().zip(predicted.iter()).enumerate() {
            if !(age >= 0.0 && age <= end && before.is_none_or(|before| age > before)) {
                let from = before.map_or("from 0".into(), |b| format!("above {b}"));
                return Err(Error::input(
                    &format!("`ages` row {i}"),
                    format!("{from} and at most {end}"),
                    age,
                ));
            }
            if !predicted.is_finite() {
                return Err(Error::input(&format!("prediction {i}"), "a finite number", predicted));
            }
            before = Some(age);
        }
        Ok(Self {
            ages,
            predicted,
            distributions,
            end,
        })
    }

    /// Number of predictions.
    pub fn n_rows(&self) -> usize {
        self.ages.len()
    }

    /// Age at the failure.
    pub fn end(&self) -> f64 {
        self.end
    }

    /// Predicted and true remaining life of each row, in order.
    pub fn lives(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.predicted
            .iter()
            .zip(self.ages)
            .map(|(&p, age)| (p, self.end - age))
    }

    /// α-λ accuracy: whether the prediction at `lambda` of the way from the first one to the failure lies within
    /// `(1 - alpha) truth` to `(1 + alpha) truth`, a cone that narrows towards the failure.
    ///
    /// The prediction at an age is the last one made until then. See [`alpha_lambda_accuracy`] for many machines.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 <= lambda <= 1`; `InvalidInput` for bounds of a probability where the track holds no
    /// distributions.
    pub fn alpha_lambda(&self, bounds: WithinBounds, lambda: f64) -> Result<bool> {
        let row = self.row_at(lambda)?;
        self.is_within_cone(row, bounds)
    }

    /// The share of all predictions that lie within `(1 - alpha) truth` to `(1 + alpha) truth`.
    ///
    /// # Errors
    /// `InvalidInput` for bounds of a probability where the track holds no distributions.
    pub fn share_within(&self, bounds: WithinBounds) -> Result<f64> {
        let mut n_within = 0u32;
        for row in 0..self.n_rows() {
            n_within += u32::from(self.is_within_cone(row, bounds)?);
        }
        Ok(f64::from(n_within) / self.n_rows() as f64)
    }

    /// Prognostic horizon: the true remaining life from which on every prediction lies within `truth - alpha end` to
    /// `truth + alpha end`, bounds as wide as a share of the whole life. `None` where the last prediction lies outside.
    ///
    /// Stricter than the source, where the first prediction within the bounds counts even if later ones leave them.
    ///
    /// # Errors
    /// `InvalidInput` for bounds of a probability where the track holds no distributions.
    pub fn prognostic_horizon(&self, bounds: WithinBounds) -> Result<Option<f64>> {
        let margin = bounds.alpha * self.end;
        let mut horizon = None;
        for row in (0..self.n_rows()).rev() {
            let truth = self.truth(row);
            if !self.is_within(row, truth - margin, truth + margin, bounds)? {
                break;
            }
            horizon = Some(truth);
        }
        Ok(horizon)
    }

    /// Relative accuracy at `lambda` of the way from the first prediction to the failure, `1 - |pred - truth| / truth`: 1 is
    /// perfect, below 0 the error exceeds the truth.
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 <= lambda <= 1`; `InsufficientData` where the prediction there was made at the failure
    /// itself, so that the truth is 0.
    pub fn relative_accuracy(&self, lambda: f64) -> Result<f64> {
        let row = self.row_at(lambda)?;
        self.accuracy(row)
            .ok_or_else(|| Error::insufficient("relative accuracy", "a true remaining life above 0", 0))
    }

    /// Cumulative relative accuracy, `Σ w accuracy / Σ w` over the predictions until `lambda`, each with the weight that
    /// `weight` gives its true remaining life. One made at the failure itself has no relative accuracy and is left out.
    ///
    /// ```
    /// use prognos::evaluate::PrognosisTrack;
    /// let track = PrognosisTrack::new(&[0.0, 60.0, 80.0], &[50.0, 40.0, 25.0], 100.0)?;
    /// let plain = track.cumulative_relative_accuracy(1.0, |_| 1.0)?;
    /// // Accuracies 0.5, 1 and 0.75. What is close to failure should count more:
    /// let late = track.cumulative_relative_accuracy(1.0, |life| 1.0 / life)?;
    /// assert!((plain - 0.75).abs() < 1e-12 && (late - 0.8).abs() < 0.01);
    /// # Ok::<(), prognos::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidParameter` unless `0 <= lambda <= 1`, or where a weight is negative or not finite; `InsufficientData` where the
    /// weights add up to zero.
    pub fn cumulative_relative_accuracy(&self, lambda: f64, weight: impl Fn(f64) -> f64) -> Result<f64> {
        let last = self.row_at(lambda)?;
        let (mut sum, mut total) = (0.0, 0.0);
        for row in 0..=last {
            let Some(accuracy) = self.accuracy(row) else { continue };
            let w = weight(self.truth(row));
            if !(w.is_finite() && w >= 0.0) {
                return Err(Error::parameter("weight", "finite and not negative", w));
            }
            sum += w * accuracy;
            total += w;
        }
        if total > 0.0 {
            Ok(sum / total)
        } else {
            Err(Error::insufficient(
                "cumulative relative accuracy",
                "weights that add up to more than 0",
                total,
            ))
        }
    }

    /// Convergence: how far the centroid of the area under the curve of absolute errors lies from the first prediction at
    /// error 0, in life units; smaller is faster. 0 where all predictions are exact.
    ///
    /// With steps of length `Δ` at ages `t` and errors `M`, the centroid is at `½ Σ (t'² - t²) M / Σ Δ M` and
    /// `½ Σ Δ M² / Σ Δ M`; a prediction stands until the next one, the last until the failure. Only tracks over like spans
    /// compare: a longer record moves the centroid away.
    ///
    /// # Errors
    /// `InsufficientData` where the only prediction was made at the failure, which leaves no curve.
    pub fn convergence(&self) -> Result<f64> {
        let first = self.ages.first().copied().unwrap_or(self.end);
        if first >= self.end {
            return Err(Error::insufficient(
                "convergence",
                "a prediction before the failure",
                "none",
            ));
        }
        let until = self.ages.iter().skip(1).copied().chain([self.end]);
        let (mut area, mut across, mut up) = (0.0, 0.0, 0.0);
        for ((&age, next), (predicted, truth)) in self.ages.iter().zip(until).zip(self.lives()) {
            let (step, error) = (next - age, (predicted - truth).abs());
            area += step * error;
            // From the first prediction on, so that no large squares are subtracted.
            across += step * error * f64::midpoint(age - first, next - first);
            up += step * error * error / 2.0;
        }
        Ok(if area > 0.0 {
            libm::hypot(across / area, up / area)
        } else {
            0.0
        })
    }

    fn truth(&self, row: usize) -> f64 {
        self.ages.get(row).map_or(f64::NAN, |age| self.end - age)
    }

    fn accuracy(&self, row: usize) -> Option<f64> {
        let (truth, predicted) = (self.truth(row), *self.predicted.get(row)?);
        (truth > 0.0).then(|| 1.0 - (predicted - truth).abs() / truth)
    }

    /// The last prediction made until `lambda` of the way from the first to the failure.
    fn row_at(&self, lambda: f64) -> Result<usize> {
        if !(0.0..=1.0).contains(&lambda) {
            return Err(Error::parameter("lambda", "within 0 to 1", lambda));
        }
        let first = self.ages.first().copied().unwrap_or(0.0);
        // Rounding must not hide the last row from lambda 1.
        let age = if lambda == 1.0 {
            self.end
        } else {
            first + lambda * (self.end - first)
        };
        Ok(self.ages.partition_point(|a| *a <= age).saturating_sub(1))
    }

    fn is_within_cone(&self, row: usize, bounds: WithinBounds) -> Result<bool> {
        let truth = self.truth(row);
        self.is_within(row, (1.0 - bounds.alpha) * truth, (1.0 + bounds.alpha) * truth, bounds)
    }

    fn is_within(&self, row: usize, lower: f64, upper: f64, bounds: WithinBounds) -> Result<bool> {
        let Some(beta) = bounds.mass else {
            return Ok(self.predicted.get(row).is_some_and(|p| lower <= *p && *p <= upper));
        };
        let Some(distributions) = self.distributions else {
            return Err(Error::input(
                "bounds that hold a probability",
                "a track of distributions",
                "numbers only",
            ));
        };
        // A chance of 0.5 made of percentiles may be an ulp short of it.
        let mass = |d: &RulDistribution| d.failure(upper) - failure_before(d, lower);
        Ok(distributions.get(row).is_some_and(|d| mass(d) >= beta - 1e-12))
    }
}

/// The share of machines whose prediction at `lambda` is right, see [`PrognosisTrack::alpha_lambda`].
///
/// ```
/// use prognos::evaluate::{PrognosisTrack, WithinBounds, alpha_lambda_accuracy};
/// // At half of the way both say 52 h: the truth is 50 h for the one, 70 h for the other.
/// let ages = [0.0, 50.0];
/// let tracks = [
///     PrognosisTrack::new(&ages, &[70.0, 52.0], 100.0)?,
///     PrognosisTrack::new(&ages, &[70.0, 52.0], 120.0)?,
/// ];
/// assert_eq!(alpha_lambda_accuracy(&tracks, WithinBounds::new(0.2)?, 0.5)?, 0.5);
/// assert_eq!(alpha_lambda_accuracy(&tracks, WithinBounds::new(0.2)?, 0.0)?, 0.0);
/// # Ok::<(), prognos::Error>(())
/// ```
///
/// # Errors
/// As [`PrognosisTrack::alpha_lambda`]; `InsufficientData` without a track.
pub fn alpha_lambda_accuracy(tracks: &[PrognosisTrack<'_>], bounds: WithinBounds, lambda: f64) -> Result<f64> {
    if tracks.is_empty() {
        return Err(Error::insufficient("alpha-lambda accuracy", "at least 1 track", 0));
    }
    let mut n_within = 0u32;
    for track in tracks {
        n_within += u32::from(track.alpha_lambda(bounds, lambda)?);
    }
    Ok(f64::from(n_within) / tracks.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::N_PERCENTILES, quantity::LifeUnit};
    use proptest::prelude::*;

    const UNIT: LifeUnit = LifeUnit::Hours;

    #[test]
    fn horizons_begin_where_predictions_stay() {
        let bounds = WithinBounds::new(0.05).unwrap();
        let ages = [0.0, 25.0, 50.0, 75.0, 100.0];
        let horizon = |predicted: &[f64]| {
            let track = PrognosisTrack::new(&ages, predicted, 100.0).unwrap();
            track.prognostic_horizon(bounds).unwrap()
        };
        assert_eq!(horizon(&[100.0, 75.0, 50.0, 25.0, 0.0]), Some(100.0));
        // Right, then wrong, then right: only the last counts. Bounds are inclusive.
        assert_eq!(horizon(&[100.0, 75.0, 40.0, 30.0, 5.0]), Some(25.0));
        assert_eq!(horizon(&[100.0, 75.0, 50.0, 25.0, 6.0]), None);
    }

    #[test]
    fn bounds_may_ask_for_a_probability() {
        // At 50 h to go: uniform over 0 to 100 has 20% within 40 to 60, all of it at 50 a point.
        let wide = RulDistribution::from_quantiles(UNIT, |p| 100.0 * p).unwrap();
        let point = RulDistribution::new([40.0; N_PERCENTILES], UNIT).unwrap();
        let (ages, both) = ([50.0, 60.0], [wide, point]);
        let track = PrognosisTrack::of_distributions(&ages, &both, 100.0).unwrap();
        let bounds = WithinBounds::new(0.2).unwrap();
        let right = |beta: f64| track.alpha_lambda(bounds.holding(beta).unwrap(), 0.0).unwrap();
        assert!(track.alpha_lambda(bounds, 0.0).unwrap() && right(0.2) && !right(0.21));
        assert_eq!(track.share_within(bounds.holding(1.0).unwrap()).unwrap(), 0.5);
        // At 0 h to go the cone has no width, and a jump there is within.
        let now = [RulDistribution::new([0.0; N_PERCENTILES], UNIT).unwrap()];
        let at_end = PrognosisTrack::of_distributions(&[9.0], &now, 9.0).unwrap();
        assert!(at_end.alpha_lambda(bounds.holding(1.0).unwrap(), 1.0).unwrap());
        assert!(at_end.relative_accuracy(0.0).is_err() && at_end.convergence().is_err());
        assert!(at_end.cumulative_relative_accuracy(1.0, |_| 1.0).is_err());
        let numbers = PrognosisTrack::new(&[50.0], &[40.0], 100.0).unwrap();
        assert!(numbers.prognostic_horizon(bounds.holding(0.5).unwrap()).is_err());
    }

    #[test]
    fn the_centroid_of_a_constant_error_is_the_middle() {
        let (ages, predicted) = ([10.0, 20.0, 50.0], [94.0, 84.0, 54.0]);
        let track = PrognosisTrack::new(&ages, &predicted, 100.0).unwrap();
        // A rectangle of 90 by 4.
        assert!((track.convergence().unwrap() - 45.0f64.hypot(2.0)).abs() < 1e-12);
        let exact = PrognosisTrack::new(&ages, &[90.0, 80.0, 50.0], 100.0).unwrap();
        assert_eq!(exact.convergence().unwrap(), 0.0);
        assert_eq!(exact.cumulative_relative_accuracy(0.7, |life| life).unwrap(), 1.0);
    }

    #[test]
    fn what_is_refused() {
        assert!(PrognosisTrack::new(&[], &[], 1.0).is_err());
        assert!(PrognosisTrack::new(&[0.0], &[], 1.0).is_err());
        for ages in [
            [0.0, 0.0],
            [1.0, 0.5],
            [-1.0, 0.5],
            [0.0, 2.0],
            [f64::NAN, 1.0],
            [0.0, f64::NAN],
        ] {
            assert!(PrognosisTrack::new(&ages, &[1.0, 1.0], 1.5).is_err(), "{ages:?}");
        }
        for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert!(PrognosisTrack::new(&[0.0], &[1.0], bad).is_err(), "{bad}");
            assert!(WithinBounds::new(bad).is_err() && WithinBounds::new(0.1).unwrap().holding(bad).is_err());
        }
        assert!(PrognosisTrack::new(&[0.0], &[f64::INFINITY], 1.0).is_err());
        let track = PrognosisTrack::new(&[0.0], &[1.0], 1.0).unwrap();
        for lambda in [-0.1, 1.1, f64::NAN] {
            assert!(track.relative_accuracy(lambda).is_err(), "{lambda}");
        }
        for w in [-1.0, f64::NAN, 0.0] {
            assert!(track.cumulative_relative_accuracy(1.0, |_| w).is_err(), "{w}");
        }
        assert!(alpha_lambda_accuracy(&[], WithinBounds::new(0.1).unwrap(), 0.5).is_err());
        let days = RulDistribution::new([1.0; N_PERCENTILES], LifeUnit::Days).unwrap();
        let hours = RulDistribution::new([1.0; N_PERCENTILES], UNIT).unwrap();
        assert!(PrognosisTrack::of_distributions(&[0.0, 1.0], &[days, hours], 2.0).is_err());
    }

    proptest! {
        #[test]
        fn wider_bounds_forgive_more(predicted in proptest::collection::vec(0.0..120.0f64, 1..20), alpha in 0.01..0.5f64, more in 0.0..0.4f64, lambda in 0.0..=1.0f64) {
            let ages: Vec<f64> = (0..predicted.len()).map(|i| 5.0 * i as f64).collect();
            let track = PrognosisTrack::new(&ages, &predicted, 100.0).unwrap();
            let (narrow, wide) = (WithinBounds::new(alpha).unwrap(), WithinBounds::new(alpha + more).unwrap());
            prop_assert!(track.share_within(narrow).unwrap() <= track.share_within(wide).unwrap());
            prop_assert!(track.prognostic_horizon(narrow).unwrap() <= track.prognostic_horizon(wide).unwrap());
            prop_assert!(!track.alpha_lambda(narrow, lambda).unwrap() || track.alpha_lambda(wide, lambda).unwrap());
            prop_assert!(track.relative_accuracy(lambda).unwrap() <= 1.0);
            prop_assert!(track.convergence().unwrap() >= 0.0);
        }
    }
}
