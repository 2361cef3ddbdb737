//! Cumulative sums.

use crate::detect::{
    rows::{Sequences, StreamRow},
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// The largest sum that is kept: nothing is gained beyond, and scores stay finite.
const LARGEST_SUM: f64 = 1e200;

/// Which deviations count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Side {
    /// Values above the usual and values below it.
    #[default]
    Both,
    /// Only values above.
    High,
    /// Only values below.
    Low,
}

impl Side {
    fn high(self) -> bool {
        self != Self::Low
    }

    fn low(self) -> bool {
        self != Self::High
    }
}

/// Streaming detector by cumulative sums (CUSUM): lasting shifts of a level about as large as expected, soonest.
///
/// # Method
///
/// With `z_j` feature `j` in standard units and the allowance `k`, over the rows of a machine
///
/// ```text
/// H_j(t) = max(0, H_j(t-1) + z_j(t) - k)      L_j(t) = max(0, L_j(t-1) - z_j(t) - k)
/// score  = max_j max(H_j(t), L_j(t))
/// ```
///
/// from `H_j(0) = L_j(0) = 0`. `k` is half the shift to be found soonest, in standard deviations; with `k = 0.5` a limit
/// of 4 to 5 is usual, where independent normal rows give a false alarm every 168 to 465 rows. A feature's contribution
/// is the larger of its two sums.
///
/// Sums never exceed [`ceiling`](CusumParams::ceiling), so that a machine is well again soon after a long fault. They follow
/// every usable row, whatever the [`LearningPolicy`](crate::detect::LearningPolicy).
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). A row costs `O(n_features)` and allocates nothing; a machine's memory is two
/// numbers a feature.
///
/// # Source
///
/// Page, "Continuous inspection schemes", Biometrika 41 (1954), doi
/// [10.1093/biomet/41.1-2.100](https://doi.org/10.1093/biomet/41.1-2.100).
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::{Cusum, Scaling, Side},
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("leakage", "l/h")])?;
/// let cusum = Cusum::params().side(Side::High).scaling(Scaling::Raw).fixed_threshold(5.0).untrained(schema)?;
/// let mut state = cusum.new_state();
/// let mut step = |value| Ok::<_, prognos::Error>(cusum.step(&mut state, FeatureView::new(cusum.schema(), &[value])?)?.ready());
/// let scores = [0.2, 1.5, 1.5, 1.5].map(|v| step(v).unwrap().unwrap().value);
/// assert_eq!(scores, [0.0, 1.0, 2.0, 3.0]);
/// # Ok::<(), prognos::Error>(())
/// ```
pub type Cusum = StreamDetector<CusumScorer>;

/// Parameters of a [`Cusum`].
pub type CusumParams = StreamDetectorParams<CusumSettings>;

/// How a [`Cusum`] adds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CusumSettings {
    allowance: f64,
    ceiling: f64,
    side: Side,
}

impl Default for CusumSettings {
    fn default() -> Self {
        Self {
            allowance: 0.5,
            ceiling: 100.0,
            side: Side::Both,
        }
    }
}

impl CusumParams {
    /// The allowance `k` in the units of rows, at least 0: half the shift to be found soonest. Default 0.5.
    #[must_use]
    pub fn allowance(self, allowance: f64) -> Self {
        self.with(|s| s.allowance = allowance)
    }

    /// The largest a sum grows, above 0. Default 100.
    #[must_use]
    pub fn ceiling(self, ceiling: f64) -> Self {
        self.with(|s| s.ceiling = ceiling)
    }

    /// Which deviations count. Default [`Side::Both`].
    #[must_use]
    pub fn side(self, side: Side) -> Self {
        self.with(|s| s.side = side)
    }
}

impl Cusum {
    /// Default parameters: an allowance of 0.5, both sides, training units, a false alarm rate of 0.01, five folds.
    pub fn params() -> CusumParams {
        CusumParams::default()
    }
}

impl StreamAlgorithm for CusumSettings {
    type Scorer = CusumScorer;

    fn check(&self) -> Result<()> {
        if !(self.allowance >= 0.0 && self.allowance <= LARGEST_SUM) {
            return Err(Error::parameter("allowance", "at least 0 and finite", self.allowance));
        }
        if !(self.ceiling > 0.0 && self.ceiling <= LARGEST_SUM) {
            return Err(Error::parameter("ceiling", "above 0 and finite", self.ceiling));
        }
        Ok(())
    }

    fn fit(&self, sequences: &Sequences, _: Seed) -> Result<CusumScorer> {
        Ok(CusumScorer {
            width: sequences.width(),
            settings: *self,
        })
    }
}

/// The fitted half of a [`Cusum`].
#[derive(Clone, Debug)]
pub struct CusumScorer {
    width: usize,
    settings: CusumSettings,
}

/// The sums of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SumsRecord")]
pub struct CusumMemory {
    high: Vec<f64>,
    low: Vec<f64>,
}

#[derive(Deserialize)]
struct SumsRecord {
    high: Vec<f64>,
    low: Vec<f64>,
}

impl TryFrom<SumsRecord> for CusumMemory {
    type Error = Error;

    fn try_from(r: SumsRecord) -> Result<Self> {
        let sound = r.high.len() == r.low.len() && r.high.iter().chain(&r.low).all(|s| (0.0..=LARGEST_SUM).contains(s));
        if !sound {
            return Err(Error::persistence(
                "cumulative sums: expected pairs of numbers from 0 to 1e200, got others",
            ));
        }
        Ok(Self {
            high: r.high,
            low: r.low,
        })
    }
}

impl CusumScorer {
    #[inline]
    fn next(&self, sum: f64, deviation: f64, counts: bool) -> f64 {
        if counts {
            (sum + deviation - self.settings.allowance).clamp(0.0, self.settings.ceiling)
        } else {
            0.0
        }
    }

    /// The sums of every column with `z` in them.
    #[inline]
    fn sums(&self, memory: &CusumMemory, z: &[f64]) -> impl Iterator<Item = (f64, f64)> {
        let side = self.settings.side;
        let sums = memory.high.iter().zip(&memory.low).zip(z);
        sums.map(move |((h, l), z)| (self.next(*h, *z, side.high()), self.next(*l, -*z, side.low())))
    }
}

impl StreamScorer for CusumScorer {
    const KIND: &'static str = "detect.cusum";
    type Record = CusumSettings;
    type Memory = CusumMemory;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> CusumMemory {
        CusumMemory {
            high: vec![0.0; self.width],
            low: vec![0.0; self.width],
        }
    }

    fn accepts(&self, memory: &CusumMemory) -> bool {
        memory.high.len() == self.width && memory.low.len() == self.width
    }

    fn warm_up(&self) -> u32 {
        0
    }

    fn score(&self, memory: &CusumMemory, x: StreamRow<'_>) -> f64 {
        self.sums(memory, x.values).fold(0.0, |m, (h, l)| m.max(h).max(l))
    }

    fn update(&self, memory: &mut CusumMemory, x: StreamRow<'_>, _: bool) {
        let side = self.settings.side;
        for ((h, l), z) in memory.high.iter_mut().zip(&mut memory.low).zip(x.values) {
            *h = self.next(*h, *z, side.high());
            *l = self.next(*l, -*z, side.low());
        }
    }

    fn contributions_into(&self, memory: &CusumMemory, x: StreamRow<'_>, out: &mut [f64]) {
        let sums = self.sums(memory, x.values);
        out.iter_mut().zip(sums).for_each(|(o, (h, l))| *o = h.max(l));
    }

    fn to_record(&self) -> CusumSettings {
        self.settings
    }

    fn from_record(settings: CusumSettings, width: usize) -> Result<Self> {
        settings.check().map_err(|e| Error::persistence(e.to_string()))?;
        Ok(Self { width, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        detect::Scaling,
        features::{FeatureSchema, FeatureView},
        model::{AnomalyDetector, OnlineModel},
        signal::Channel,
    };
    use proptest::prelude::*;

    fn schema() -> FeatureSchema {
        FeatureSchema::of_channels(&[Channel::new("a", ""), Channel::new("b", "")]).unwrap()
    }

    fn raw(params: CusumParams) -> Cusum {
        params
            .scaling(Scaling::Raw)
            .fixed_threshold(4.0)
            .untrained(schema())
            .unwrap()
    }

    #[test]
    fn wrong_settings_are_named() {
        let p = Cusum::params;
        for (params, name) in [
            (p().allowance(-0.1), "allowance"),
            (p().allowance(f64::NAN), "allowance"),
            (p().ceiling(0.0), "ceiling"),
            (p().ceiling(f64::INFINITY), "ceiling"),
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

    #[test]
    fn sums_of_another_shape_are_refused() {
        for record in [
            (vec![0.0], vec![]),
            (vec![-1.0], vec![0.0]),
            (vec![f64::NAN], vec![0.0]),
        ] {
            let (high, low) = record;
            assert!(CusumMemory::try_from(SumsRecord { high, low }).is_err());
        }
    }

    proptest! {
        /// max over start s of Σ_{s<i<=t} (z_i - k), the definition as a likelihood ratio.
        #[test]
        fn a_sum_is_the_largest_excess_of_any_stretch_up_to_now(
            rows in prop::collection::vec([-3.0..3.0, -3.0..3.0], 1..60), k in 0.0..1.0,
        ) {
            let cusum = raw(Cusum::params().allowance(k).ceiling(1e6));
            let mut state = cusum.new_state();
            for t in 0..rows.len() {
                let largest = |j: usize, sign: f64| {
                    (0..=t).map(|s| rows[s..=t].iter().map(|r| sign * r[j] - k).sum::<f64>()).fold(0.0, f64::max)
                };
                let expected = [0, 1].map(|j| largest(j, 1.0).max(largest(j, -1.0)));
                let x = FeatureView::new(cusum.schema(), &rows[t]).unwrap();
                let mut shares = [0.0; 2];
                cusum.contributions_into(&state, x, &mut shares).unwrap();
                let score = cusum.step(&mut state, x).unwrap().ready().unwrap().value;
                // At most 60 additions of numbers below 200.
                prop_assert!((score - expected[0].max(expected[1])).abs() < 1e-10);
                prop_assert!(shares.iter().zip(expected).all(|(s, e)| (s - e).abs() < 1e-10));
            }
        }

        #[test]
        fn sides_are_mirror_images(values in prop::collection::vec(-5.0..5.0, 1..60)) {
            let (high, low) = (raw(Cusum::params().side(Side::High)), raw(Cusum::params().side(Side::Low)));
            let (mut h, mut l) = (high.new_state(), low.new_state());
            for v in values {
                let up = high.step(&mut h, FeatureView::new(high.schema(), &[v, 0.0]).unwrap()).unwrap();
                let down = low.step(&mut l, FeatureView::new(low.schema(), &[-v, 0.0]).unwrap()).unwrap();
                prop_assert_eq!(up, down);
                prop_assert!(up.ready().unwrap().value <= 100.0);
            }
        }
    }
}
