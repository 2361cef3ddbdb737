//! Whether intervals of remaining life hold the truth as often as they claim.

use super::{
    rul_distribution_error::{expect_distributions, expect_share, last_known},
    rul_error::expect_rows,
};
use crate::{
    error::{Error, Result},
    model::RulDistribution,
};

/// Nominal levels against what the intervals of [`RulDistribution::interval`] held. Tables of several files add up.
///
/// ```
/// use prognos::{evaluate::Calibration, model::RulDistribution, quantity::LifeUnit};
/// // Lives 0 to 100, all as likely as the claim says.
/// let claim = RulDistribution::from_quantiles(LifeUnit::Hours, |p| 100.0 * p)?;
/// let truth: Vec<f64> = (0..100).map(|i| f64::from(i) + 0.5).collect();
/// let table = Calibration::of(&[claim; 100], &truth, &[0.5, 0.9])?;
/// assert_eq!((table.levels()[0].coverage(), table.levels()[1].coverage()), (0.5, 0.9));
/// assert!((table.levels()[1].mean_width()? - 90.0).abs() < 1e-9 && table.error() < 1e-12);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    levels: Vec<CalibrationLevel>,
}

/// What the intervals of one nominal level held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationLevel {
    level: f64,
    n_rows: usize,
    n_unbounded: usize,
    weight: f64,
    held: f64,
    bounded: f64,
    widths: f64,
}

impl Calibration {
    /// Of distributions and true lives, at `levels`.
    ///
    /// An interval whose upper end is not known holds every life above its lower end, and has no width: such rows are in
    /// the coverage, not in the mean width, and are counted in [`n_unbounded`](CalibrationLevel::n_unbounded). Where not even
    /// the lower end is known, the interval begins at the last life that is.
    ///
    /// # Errors
    /// `InvalidParameter` for a level outside 0 to 1; `InvalidInput` for no level, levels that do not rise, slices of different
    /// lengths, distributions of different units, or a true life that is negative or not finite; `InsufficientData` without
    /// a row.
    pub fn of(distributions: &[RulDistribution], truth: &[f64], levels: &[f64]) -> Result<Self> {
        Self::counted(distributions, truth, levels, None)
    }

    /// The same with row `i` counted `weights[i]` times.
    ///
    /// # Errors
    /// As [`of`](Calibration::of), and `InvalidInput` for a weight that is negative or not finite, or weights that sum to zero.
    pub fn of_weighted(
        distributions: &[RulDistribution],
        truth: &[f64],
        levels: &[f64],
        weights: &[f64],
    ) -> Result<Self> {
        Self::counted(distributions, truth, levels, Some(weights))
    }

    fn counted(
        distributions: &[RulDistribution],
        truth: &[f64],
        levels: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        expect_distributions(distributions, truth)?;
        expect_rows(("truth", truth), ("truth", truth), weights)?;
        if levels.is_empty() {
            return Err(Error::input("`levels`", "at least 1", 0));
        }
        levels.iter().try_for_each(|&level| expect_share("level", level))?;
        if let Some((a, b)) = levels.iter().zip(levels.iter().skip(1)).find(|(a, b)| a >= b) {
            return Err(Error::input("`levels`", format!("one above {a} after it"), b));
        }
        let mut table = Vec::with_capacity(levels.len());
        for &level in levels {
            let mut row = CalibrationLevel {
                level,
                n_rows: distributions.len(),
                n_unbounded: 0,
                weight: 0.0,
                held: 0.0,
                bounded: 0.0,
                widths: 0.0,
            };
            for (i, (d, &truth)) in distributions.iter().zip(truth).enumerate() {
                let weight = weights.map_or(Some(1.0), |w| w.get(i).copied()).unwrap_or(0.0);
                let (lower, upper) = d.interval(level)?;
                let lower = lower.min(last_known(d));
                row.weight += weight;
                if lower <= truth && truth <= upper {
                    row.held += weight;
                }
                if upper.is_finite() {
                    row.bounded += weight;
                    row.widths += weight * (upper - lower);
                } else {
                    row.n_unbounded += 1;
                }
            }
            table.push(row);
        }
        Ok(Self { levels: table })
    }

    /// Adds the rows of another file.
    ///
    /// # Errors
    /// `InvalidInput` where it has other levels; nothing is added then.
    pub fn absorb(&mut self, other: &Self) -> Result<()> {
        let nominal = |table: &Self| table.levels.iter().map(|l| l.level).collect::<Vec<_>>();
        if nominal(self) != nominal(other) {
            let (expected, got) = (format!("{:?}", nominal(self)), format!("{:?}", nominal(other)));
            return Err(Error::input("levels of a calibration", expected, got));
        }
        for (row, more) in self.levels.iter_mut().zip(&other.levels) {
            row.n_rows += more.n_rows;
            row.n_unbounded += more.n_unbounded;
            row.weight += more.weight;
            row.held += more.held;
            row.bounded += more.bounded;
            row.widths += more.widths;
        }
        Ok(())
    }

    /// One entry a level, as they were given.
    pub fn levels(&self) -> &[CalibrationLevel] {
        &self.levels
    }

    /// Mean of `|coverage - level|` over the levels: 0 is perfect.
    pub fn error(&self) -> f64 {
        let sum: f64 = self.levels.iter().map(|l| (l.coverage() - l.level).abs()).sum();
        sum / self.levels.len() as f64
    }
}

impl CalibrationLevel {
    /// The nominal level.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of rows whose upper end is not known.
    pub fn n_unbounded(&self) -> usize {
        self.n_unbounded
    }

    /// The share of rows whose interval held the truth.
    pub fn coverage(&self) -> f64 {
        self.held / self.weight
    }

    /// Mean width of the intervals with an upper end, in the unit of the lives. The others are not in it: read
    /// [`n_unbounded`](CalibrationLevel::n_unbounded) beside it.
    ///
    /// # Errors
    /// `InsufficientData` without such an interval of weight above zero.
    pub fn mean_width(&self) -> Result<f64> {
        if self.bounded > 0.0 {
            return Ok(self.widths / self.bounded);
        }
        Err(Error::insufficient(
            "mean width",
            "at least 1 interval with an upper end and a weight above 0",
            0,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::N_PERCENTILES, quantity::LifeUnit};
    use proptest::prelude::*;

    const UNIT: LifeUnit = LifeUnit::Hours;

    #[test]
    fn lives_beyond_what_is_known_are_held_and_have_no_width() {
        // 80% of lives known, 0 to 80; and one of which only the shortest third is.
        let until = |known: f64| {
            RulDistribution::from_quantiles(UNIT, |p| if p <= known { 100.0 * p } else { f64::INFINITY }).unwrap()
        };
        let (most, third) = (until(0.8), until(0.3));
        let table = Calibration::of(&[most, third], &[1000.0, 31.0], &[0.2, 0.5, 0.9]).unwrap();
        let [narrow, half, wide] = table.levels() else { panic!() };
        // At 0.2: 40 to 60 misses 1000; the other begins at 30 for want of more.
        assert_eq!((narrow.coverage(), narrow.n_unbounded(), narrow.n_rows()), (0.5, 1, 2));
        assert!((narrow.mean_width().unwrap() - 20.0).abs() < 1e-9);
        assert_eq!((half.coverage(), half.n_unbounded()), (0.5, 1));
        assert_eq!((wide.coverage(), wide.n_unbounded()), (1.0, 2));
        assert!(wide.mean_width().is_err());
    }

    #[test]
    fn what_is_refused() {
        let d = RulDistribution::new([1.0; N_PERCENTILES], UNIT).unwrap();
        for bad in [&[][..], &[0.0], &[1.0], &[f64::NAN], &[0.9, 0.5], &[0.5, 0.5]] {
            assert!(Calibration::of(&[d], &[1.0], bad).is_err(), "{bad:?}");
        }
        assert!(Calibration::of(&[], &[], &[0.5]).is_err() && Calibration::of(&[d], &[f64::NAN], &[0.5]).is_err());
        assert!(Calibration::of_weighted(&[d], &[1.0], &[0.5], &[0.0]).is_err());
        let mut a = Calibration::of(&[d], &[1.0], &[0.5]).unwrap();
        assert!(a.absorb(&Calibration::of(&[d], &[1.0], &[0.6]).unwrap()).is_err());
        assert_eq!(
            (a.levels()[0].coverage(), a.levels()[0].mean_width().unwrap()),
            (1.0, 0.0)
        );
    }

    proptest! {
        /// Higher levels hold no less, parts add up to the whole, and whole weights are repeated rows.
        #[test]
        fn tables_nest_and_add_up(truth in proptest::collection::vec((0.0..150.0f64, 0u32..4), 2..30)) {
            let truth: Vec<(f64, u32)> = std::iter::once((5.0, 1)).chain(truth).collect();
            let lives: Vec<f64> = truth.iter().map(|t| t.0).collect();
            let weights: Vec<f64> = truth.iter().map(|t| f64::from(t.1)).collect();
            let repeated: Vec<f64> = truth.iter().flat_map(|t| vec![t.0; t.1 as usize]).collect();
            let claim = RulDistribution::from_quantiles(UNIT, |p| 100.0 * p).unwrap();
            let levels = [0.1, 0.5, 0.8, 0.9];
            let of = |truth: &[f64]| Calibration::of(&vec![claim; truth.len()], truth, &levels).unwrap();
            let all = of(&lives);
            prop_assert!(all.levels().windows(2).all(|l| l[0].coverage() <= l[1].coverage()));
            let mut sum = of(&lives[..1]);
            sum.absorb(&of(&lives[1..])).unwrap();
            prop_assert!(all.levels().iter().zip(sum.levels()).all(|(a, b)| a.coverage() == b.coverage()));
            let weighted = Calibration::of_weighted(&vec![claim; lives.len()], &lives, &levels, &weights).unwrap();
            prop_assert!(weighted.levels().iter().zip(of(&repeated).levels()).all(|(a, b)| a.coverage() == b.coverage()));
        }
    }
}
