//! EWMA control chart.

use crate::detect::{
    rows::{Sequences, StreamRow},
    stream::averages::{Averages, check_weight},
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};

/// Streaming detector by exponentially weighted moving averages: small lasting shifts of a level.
///
/// # Method
///
/// With `z_j` feature `j` in standard units and the weight `λ` of the newest row, over the rows `t = 1, 2, ..` of a machine
///
/// ```text
/// s_j(t) = (1 - λ) s_j(t-1) + λ z_j(t),   s_j(0) = 0
/// score  = max_j |s_j(t)| / sqrt(λ / (2 - λ) (1 - (1 - λ)^(2t)))
/// ```
///
/// The divisor is the standard deviation of `s_j(t)` for independent rows, so that the score counts standard deviations
/// of the average; limits of 2.7 to 3 are usual. A feature's contribution is its own term of the maximum.
///
/// The averages follow every usable row, whatever the [`LearningPolicy`](crate::detect::LearningPolicy): there is nothing to
/// learn beyond the units. `λ = 1` is Shewhart's chart of single rows.
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). A row costs `O(n_features)` and allocates nothing; a machine's memory is one
/// number a feature.
///
/// # Source
///
/// Roberts, "Control chart tests based on geometric moving averages", Technometrics 1 (1959), doi
/// [10.1080/00401706.1959.10489860](https://doi.org/10.1080/00401706.1959.10489860); Lucas and Saccucci, "Exponentially
/// weighted moving average control schemes", Technometrics 32 (1990), doi
/// [10.1080/00401706.1990.10484583](https://doi.org/10.1080/00401706.1990.10484583).
///
/// # Example
///
/// ```
/// use prognos::{
///     detect::{EwmaChart, Scaling},
///     features::{FeatureSchema, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("temperature", "K")])?;
/// // No training rows: each machine is measured against its own first 50.
/// let chart = EwmaChart::params().weight(0.2).scaling(Scaling::FirstRows(50)).fixed_threshold(3.0).untrained(schema)?;
///
/// let mut state = chart.new_state();
/// let noise = |i: i32| f64::from(i * 7919 % 101) / 50.0 - 1.0;
/// let mut anomalous = |level: f64, i| {
///     let score = chart.step(&mut state, FeatureView::new(chart.schema(), &[level + noise(i)])?)?;
///     Ok::<_, prognos::Error>(score.ready().is_some_and(|s| s.is_anomalous()))
/// };
/// assert_eq!((0..100).filter(|&i| anomalous(350.0, i).unwrap()).count(), 0);
/// assert!((100..120).any(|i| anomalous(351.0, i).unwrap())); // less than two standard deviations of a single row
/// # Ok::<(), prognos::Error>(())
/// ```
pub type EwmaChart = StreamDetector<EwmaScorer>;

/// Parameters of an [`EwmaChart`].
pub type EwmaChartParams = StreamDetectorParams<EwmaSettings>;

/// How an [`EwmaChart`] averages.
#[derive(Clone, Debug, PartialEq)]
pub struct EwmaSettings {
    weight: f64,
}

impl Default for EwmaSettings {
    fn default() -> Self {
        Self { weight: 0.2 }
    }
}

impl EwmaChartParams {
    /// The weight `λ` of the newest row, from 10⁻⁶ to 1. Default 0.2.
    #[must_use]
    pub fn weight(self, weight: f64) -> Self {
        self.with(|s| s.weight = weight)
    }
}

impl EwmaChart {
    /// Default parameters: weight 0.2, training units, a false alarm rate of 0.01, five folds.
    pub fn params() -> EwmaChartParams {
        EwmaChartParams::default()
    }
}

impl StreamAlgorithm for EwmaSettings {
    type Scorer = EwmaScorer;

    fn check(&self) -> Result<()> {
        check_weight(self.weight)
    }

    fn fit(&self, sequences: &Sequences, _: Seed) -> Result<EwmaScorer> {
        Ok(EwmaScorer {
            width: sequences.width(),
            weight: self.weight,
        })
    }
}

/// The fitted half of an [`EwmaChart`].
#[derive(Clone, Debug)]
pub struct EwmaScorer {
    width: usize,
    weight: f64,
}

impl EwmaScorer {
    /// One column's average with `z` in it, in its standard deviations.
    #[inline]
    fn terms(&self, memory: &Averages, z: &[f64]) -> impl Iterator<Item = f64> {
        let rate = 1.0 / memory.next_variance(self.weight).max(f64::MIN_POSITIVE).sqrt();
        memory.with(z, self.weight).map(move |a| a.abs() * rate)
    }
}

impl StreamScorer for EwmaScorer {
    const KIND: &'static str = "detect.ewma_chart";
    type Record = f64;
    type Memory = Averages;

    fn width(&self) -> usize {
        self.width
    }

    fn new_memory(&self) -> Averages {
        Averages::new(self.width)
    }

    fn accepts(&self, memory: &Averages) -> bool {
        memory.width() == self.width
    }

    fn warm_up(&self) -> u32 {
        0
    }

    fn score(&self, memory: &Averages, x: StreamRow<'_>) -> f64 {
        self.terms(memory, x.values).fold(0.0, f64::max)
    }

    fn update(&self, memory: &mut Averages, x: StreamRow<'_>, _: bool) {
        memory.take(x.values, self.weight);
    }

    fn contributions_into(&self, memory: &Averages, x: StreamRow<'_>, out: &mut [f64]) {
        out.iter_mut()
            .zip(self.terms(memory, x.values))
            .for_each(|(o, t)| *o = t);
    }

    fn to_record(&self) -> f64 {
        self.weight
    }

    fn from_record(weight: f64, width: usize) -> Result<Self> {
        let settings = EwmaSettings { weight };
        settings.check().map_err(|e| Error::persistence(e.to_string()))?;
        Ok(Self { width, weight })
    }
}
