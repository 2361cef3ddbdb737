//! The Page-Hinkley test.

use crate::detect::{
    rows::{Sequences, StreamRow},
    stream::cusum::Side,
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// The largest sum or mean that is kept; scores stay finite.
const LARGEST_SUM: f64 = 1e200;
/// The least forgetting that is no rounding error.
const LEAST_FORGETTING: f64 = 1e-9;

/// Streaming detector by the Page-Hinkley test: a level that leaves the machine's own mean so far.
///
/// Unlike [`Cusum`](crate::detect::Cusum) it needs no reference: each machine's running mean is the reference, so that it serves
/// levels that differ from machine to machine.
///
/// # Method
///
/// With the running mean `m_j(t)` of feature `j` over the rows learnt, `x_j(t)` included, and the tolerance `δ`,
///
/// ```text
/// H_j(t) = max(0, H_j(t-1) + x_j(t) - m_j(t) - δ)      L_j(t) = max(0, L_j(t-1) - x_j(t) + m_j(t) - δ)
/// score  = max_j max(H_j(t), L_j(t))
/// ```
///
/// which are the test's `U_t - min_{s <= t} U_s` of the sums `U_t = Σ_{i <= t} (x_i - m_i - δ)`, and its mirror image. With
/// a [`forgetting`](PageHinkleyParams::forgetting) `f > 0` the newest row weighs `max(1/t, f)` in the mean, so that the
/// reference follows slow drifts. A feature's contribution is the larger of its two sums. Sums never exceed
/// [`ceiling`](PageHinkleyParams::ceiling).
///
/// Rows that the [`LearningPolicy`](crate::detect::LearningPolicy) keeps out leave the mean as it was; the sums follow all rows.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). A row costs `O(n_features)` and allocates nothing; a machine's memory is three
/// numbers a feature.
///
/// # Source
///
/// Page (1954), as for [`Cusum`](crate::detect::Cusum); Hinkley, "Inference about the change-point from cumulative sum tests",
/// Biometrika 58 (1971), doi [10.1093/biomet/58.3.509](https://doi.org/10.1093/biomet/58.3.509).
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::{PageHinkley, Scaling},
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("pressure", "bar")])?;
/// let test = PageHinkley::params().tolerance(0.05).scaling(Scaling::Raw).fixed_threshold(3.0).untrained(schema)?;
/// let mut state = test.new_state();
/// let mut anomalous = |bar: f64| {
///     let score = test.step(&mut state, FeatureView::new(test.schema(), &[bar])?)?;
///     Ok::<_, prognos::Error>(score.ready().is_some_and(|s| s.is_anomalous()))
/// };
/// assert!((0..100).all(|i| !anomalous(6.0 + 0.1 * f64::from(i % 2)).unwrap()));
/// assert!((0..20).any(|_| anomalous(6.5).unwrap()));
/// # Ok::<(), prognos::Error>(())
/// ```
pub type PageHinkley = StreamDetector<PageHinkleyScorer>;

/// Parameters of a [`PageHinkley`] test.
pub type PageHinkleyParams = StreamDetectorParams<PageHinkleySettings>;

/// How a [`PageHinkley`] test adds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageHinkleySettings {
    tolerance: f64,
    forgetting: f64,
    ceiling: f64,
    n_least: u32,
    side: Side,
}

impl Default for PageHinkleySettings {
    fn default() -> Self {
        Self {
            tolerance: 0.1,
            forgetting: 0.0,
            ceiling: 1000.0,
            n_least: 30,
            side: Side::Both,
        }
    }
}

impl PageHinkleyParams {
    /// The tolerance `δ` in the units of rows, at least 0. Default 0.1.
    #[must_use]
    pub fn tolerance(self, tolerance: f64) -> Self {
        self.with(|s| s.tolerance = tolerance)
    }

    /// The least weight of a new row in the mean, 0 (the mean of all rows) or from 10⁻⁹ to 1. Default 0.
    #[must_use]
    pub fn forgetting(self, forgetting: f64) -> Self {
        self.with(|s| s.forgetting = forgetting)
    }

    /// The largest a sum grows, above 0. Default 1000.
    #[must_use]
    pub fn ceiling(self, ceiling: f64) -> Self {
        self.with(|s| s.ceiling = ceiling)
    }

    /// Rows of a machine before its first score. Default 30.
    #[must_use]
    pub fn warm_up(self, n_rows: u32) -> Self {
        self.with(|s| s.n_least = n_rows)
    }

    /// Which deviations count. Default [`Side::Both`].
    #[must_use]
    pub fn side(self, side: Side) -> Self {
        self.with(|s| s.side = side)
    }
}

impl PageHinkley {
    /// Default parameters: a tolerance of 0.1, the mean of all rows, 30 rows of warm-up, training units, a false alarm rate
    /// of 0.01, five folds.
    pub fn params() -> PageHinkleyParams {
        PageHinkleyParams::default()
    }
}

impl StreamAlgorithm for PageHinkleySettings {
    type Scorer = PageHinkleyScorer;

    fn check(&self) -> Result<()> {
        if !(self.tolerance >= 0.0 && self.tolerance <= LARGEST_SUM) {
            return Err(Error::parameter("tolerance", "at least 0 and finite", self.tolerance));
        }
        if self.forgetting != 0.0 && !(LEAST_FORGETTING..=1.0).contains(&self.forgetting) {
            let range = format!("0, or from {LEAST_FORGETTING} to 1");
            return Err(Error::parameter("forgetting", range, self.forgetting));
        }
        if !(self.ceiling > 0.0 && self.ceiling <= LARGEST_SUM) {
            return Err(Error::parameter("ceiling", "above 0 and finite", self.ceiling));
        }
        Ok(())
    }

    fn fit(&self, sequences: &Sequences, _: Seed) -> Result<PageHinkleyScorer> {
        Ok(PageHinkleyScorer {
            width: sequences.width(),
            settings: *self,
        })
    }
}

/// The fitted half of a [`PageHinkley`] test.
#[derive(Clone, Debug)]
pub struct PageHinkleyScorer {
    width: usize,
    settings: PageHinkleySettings,
}

/// Means and sums of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SumsRecord")]
pub struct PageHinkleyMemory {
    /// Rows learnt.
    n: u64,
    columns: Vec<Sums>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    mean: f64,
    high: f64,
    low: f64,
}

#[derive(Deserialize)]
struct SumsRecord {
    n: u64,
    columns: Vec<Sums>,
}

impl TryFrom<SumsRecord> for PageHinkleyMemory {
    type Error = Error;

    fn try_from(r: SumsRecord) -> Result<Self> {
        let sum = |s: f64| (0.0..=LARGEST_SUM).contains(&s);
        if !r
            .columns
            .iter()
            .all(|c| c.mean.abs() <= LARGEST_SUM && sum(c.high) && sum(c.low))
        {
            return Err(Error::persistence(
                "means and sums: expected numbers up to 1e200, got others",
            ));
        }
        Ok(Self {
            n: r.n,
            columns: r.columns,
        })
    }
}

impl PageHinkleyScorer {
    /// A column's mean and sums with `x` in them, learnt or not.
    #[inline]
    fn next(&self, n: u64, c: Sums, x: f64, learn: bool) -> Sums {
        let s = &self.settings;
        let weight = (1.0 / (n as f64 + 1.0)).max(s.forgetting);
        let mean = if learn { c.mean + (x - c.mean) * weight } else { c.mean };
        let sum = |sum: f64, deviation: f64, off: Side| {
            if s.side == off {
                0.0
            } else {
                (sum + deviation - s.tolerance).clamp(0.0, s.ceiling)
            }
        };
        Sums {
            mean,
            high: sum(c.high, x - mean, Side::Low),
            low: sum(c.low, mean - x, Side::High),
        }
    }

    /// What each column's sums would be with `x` learnt.
    fn sums(&self, memory: &PageHinkleyMemory, x: &[f64]) -> impl Iterator<Item = f64> {
        let columns = memory.columns.iter().zip(x);
        columns.map(|(c, x)| {
            let c = self.next(memory.n, *c, *x, true);
            c.high.max(c.low)
        })
    }
}

impl StreamScorer for PageHinkleyScorer {
    const KIND: &'static str = "detect.page_hinkley";
    type Record = PageHinkleySettings;
    type Memory = PageHinkleyMemory;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> PageHinkleyMemory {
        PageHinkleyMemory {
            n: 0,
            columns: vec![Sums::default(); self.width],
        }
    }

    fn accepts(&self, memory: &PageHinkleyMemory) -> bool {
        memory.columns.len() == self.width
    }

    fn warm_up(&self) -> u32 {
        self.settings.n_least
    }

    fn score(&self, memory: &PageHinkleyMemory, x: StreamRow<'_>) -> f64 {
        self.sums(memory, x.values).fold(0.0, f64::max)
    }

    fn update(&self, memory: &mut PageHinkleyMemory, x: StreamRow<'_>, learn: bool) {
        let n = memory.n;
        for (c, x) in memory.columns.iter_mut().zip(x.values) {
            *c = self.next(n, *c, *x, learn);
        }
        memory.n = n.saturating_add(u64::from(learn));
    }

    fn contributions_into(&self, memory: &PageHinkleyMemory, x: StreamRow<'_>, out: &mut [f64]) {
        out.iter_mut()
            .zip(self.sums(memory, x.values))
            .for_each(|(o, s)| *o = s);
    }

    fn to_record(&self) -> PageHinkleySettings {
        self.settings
    }

    fn from_record(settings: PageHinkleySettings, width: usize) -> Result<Self> {
        settings.check().map_err(|e| Error::persistence(e.to_string()))?;
        Ok(Self { width, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        detect::{LearningPolicy, Scaling},
        features::{FeatureSchema, FeatureTable, FeatureView},
        model::OnlineModel,
        signal::Channel,
    };
    use linfa::{DatasetBase, traits::Fit};
    use ndarray::Array2;
    use proptest::prelude::*;

    fn schema() -> FeatureSchema {
        FeatureSchema::of_channels(&[Channel::new("a", "")]).unwrap()
    }

    fn raw(params: PageHinkleyParams) -> PageHinkley {
        params
            .scaling(Scaling::Raw)
            .fixed_threshold(3.0)
            .untrained(schema())
            .unwrap()
    }

    fn run(test: &PageHinkley, values: &[f64]) -> Vec<f64> {
        let mut state = test.new_state();
        let step = |v: &f64| {
            test.step(&mut state, FeatureView::new(test.schema(), &[*v]).unwrap())
                .unwrap()
        };
        values
            .iter()
            .map(step)
            .filter_map(|a| a.ready())
            .map(|s| s.value)
            .collect()
    }

    #[test]
    fn wrong_settings_are_named() {
        let p = PageHinkley::params;
        for (params, name) in [
            (p().tolerance(f64::NAN), "tolerance"),
            (p().forgetting(1e-12), "forgetting"),
            (p().forgetting(-0.5), "forgetting"),
            (p().ceiling(-1.0), "ceiling"),
        ] {
            let e = params
                .scaling(Scaling::Raw)
                .fixed_threshold(1.0)
                .untrained(schema())
                .unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidParameter);
            assert!(e.to_string().contains(name), "{e}");
        }
    }

    /// Nothing is fitted on raw rows, so that held-out machines score as live ones do.
    #[test]
    fn a_threshold_is_that_of_machines_run_as_they_will_be() {
        let level = |i: usize| 0.01 * (i % 100) as f64 + ((i * 7919) % 101) as f64 / 101.0;
        let values = Array2::from_shape_fn((400, 1), |(i, _)| level(i));
        let table = FeatureTable::new(schema(), values, (0..400).map(|i| i / 100).collect()).unwrap();
        for policy in [
            LearningPolicy::Always,
            LearningPolicy::WhenNormal,
            LearningPolicy::Frozen,
        ] {
            let params = PageHinkley::params().scaling(Scaling::Raw).false_alarm_rate(1e-6);
            let test = params
                .learning(policy)
                .fit(&DatasetBase::new(table.clone(), ()))
                .unwrap();
            let scores = (0..4).flat_map(|m| run(&test, &(100 * m..100 * m + 100).map(level).collect::<Vec<_>>()));
            assert_eq!(scores.fold(0.0, f64::max), test.threshold(), "{policy:?}");
        }
    }

    #[test]
    fn a_shift_that_is_not_learnt_stays_high() {
        let values: Vec<f64> = (0..200)
            .map(|i| f64::from(i % 2) + if i < 100 { 0.0 } else { 3.0 })
            .collect();
        let params = PageHinkley::params().tolerance(0.3).ceiling(20.0);
        let frozen = run(&raw(params.clone().learning(LearningPolicy::WhenNormal)), &values);
        assert_eq!(frozen.last(), Some(&20.0));
        // The mean of all rows reaches the new level slowly; with forgetting it does soon, and the sum falls.
        let forgetful = run(&raw(params.forgetting(0.1)), &values);
        assert!(forgetful.last() < Some(&1.0), "{forgetful:?}");
    }

    proptest! {
        /// U_t - min_{s <= t} U_s of the published test.
        #[test]
        fn sums_are_those_of_the_published_test(values in prop::collection::vec(-3.0..3.0, 1..80), delta in 0.0..0.5) {
            let scores = run(&raw(PageHinkley::params().tolerance(delta).ceiling(1e9).warm_up(0)), &values);
            let (mut up, mut down, mut low_up, mut low_down) = (0.0, 0.0, 0.0_f64, 0.0_f64);
            for (t, x) in values.iter().enumerate() {
                let mean = values[..=t].iter().sum::<f64>() / (t as f64 + 1.0);
                up += x - mean - delta;
                down += mean - x - delta;
                low_up = low_up.min(up);
                low_down = low_down.min(down);
                // At most 80 additions of numbers below 500.
                prop_assert!((scores[t] - (up - low_up).max(down - low_down)).abs() < 1e-9);
            }
        }
    }
}
