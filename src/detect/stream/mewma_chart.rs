//! Multivariate EWMA control chart.

use crate::detect::{
    row::mahalanobis::{MahalanobisMetric, MahalanobisRecord, MahalanobisSettings},
    row_detector::{RowAlgorithm, RowScorer},
    rows::{Sequences, StreamRow},
    standard::Row,
    stream::averages::{Averages, check_weight},
    stream_detector::{StreamAlgorithm, StreamDetector, StreamDetectorParams, StreamScorer},
};
use crate::{
    error::{Error, Result},
    quantity::Seed,
};
use serde::{Deserialize, Serialize};

/// The largest average or number of a row that counts; keeps scores finite with the largest weights of a metric that is
/// read.
const LARGEST_AVERAGE: f64 = 1e6;

/// Streaming detector by a multivariate exponentially weighted moving average (MEWMA): small lasting shifts of several
/// related features at once, in any direction.
///
/// # Method
///
/// With the row `z` in standard units, clamped to ±10⁶, the weight `λ` and the covariance `S` of training rows, shrunk as by
/// [`MahalanobisDetector`](crate::detect::MahalanobisDetector) after Ledoit and Wolf,
///
/// ```text
/// s(t)  = (1 - λ) s(t-1) + λ z(t),   s(0) = 0
/// score = s(t)' S⁻¹ s(t) / (λ / (2 - λ) (1 - (1 - λ)^(2t)))
/// ```
///
/// For independent normal rows the score is distributed as chi-squared with `n_features` degrees of freedom. Contributions
/// are `s_j (S⁻¹ s)_j` over the same divisor; they add up to the score, and one may be negative. The averages follow every
/// usable row, whatever the [`LearningPolicy`](crate::detect::LearningPolicy).
///
/// # Missing values, cost
///
/// As said in [the module](crate::detect). It cannot be made [untrained](StreamDetectorParams::untrained): the covariance is
/// that of training rows. A row costs `O(n_features²)` and allocates nothing; a machine's memory is one number a feature.
///
/// # Source
///
/// Lowry, Woodall, Champ and Rigdon, "A multivariate exponentially weighted moving average control chart", Technometrics
/// 34 (1992), doi [10.1080/00401706.1992.10485232](https://doi.org/10.1080/00401706.1992.10485232).
///
/// # Example
///
/// ```
/// use linfa::{DatasetBase, traits::Fit};
/// use ndarray::Array2;
/// use prognos::{
///     detect::MewmaChart,
///     features::{FeatureSchema, FeatureTable, FeatureView},
///     model::OnlineModel,
///     signal::Channel,
/// };
///
/// let schema = FeatureSchema::of_channels(&[Channel::new("speed", "rpm"), Channel::new("current", "A")])?;
/// let load = |i: usize| (i as f64 * 0.7).sin();
/// let values = Array2::from_shape_fn((500, 2), |(i, j)| 50.0 + 10.0 * load(i) + (j as f64) * load(7 * i));
/// let table = FeatureTable::new(schema.clone(), values, (0..500).map(|i| i % 10).collect())?;
/// let chart = MewmaChart::params().weight(0.2).fit(&DatasetBase::new(table, ()))?;
///
/// // Current is low for its speed, by less than the two vary.
/// let mut state = chart.new_state();
/// let row = |i: usize| [50.0 + 10.0 * load(i), 48.0 + 10.0 * load(i)];
/// let late = (0..40).map(|i| chart.step(&mut state, FeatureView::new(&schema, &row(i)).unwrap()).unwrap()).last();
/// assert!(late.unwrap().ready().unwrap().is_anomalous());
/// # Ok::<(), prognos::Error>(())
/// ```
pub type MewmaChart = StreamDetector<MewmaScorer>;

/// Parameters of a [`MewmaChart`].
pub type MewmaChartParams = StreamDetectorParams<MewmaSettings>;

/// How a [`MewmaChart`] averages.
#[derive(Clone, Debug, PartialEq)]
pub struct MewmaSettings {
    weight: f64,
}

impl Default for MewmaSettings {
    fn default() -> Self {
        Self { weight: 0.2 }
    }
}

impl MewmaChartParams {
    /// The weight `λ` of the newest row, from 10⁻⁶ to 1. Default 0.2.
    #[must_use]
    pub fn weight(self, weight: f64) -> Self {
        self.with(|s| s.weight = weight)
    }
}

impl MewmaChart {
    /// Default parameters: weight 0.2, training units, a false alarm rate of 0.01, five folds.
    pub fn params() -> MewmaChartParams {
        MewmaChartParams::default()
    }
}

impl StreamAlgorithm for MewmaSettings {
    type Scorer = MewmaScorer;

    fn check(&self) -> Result<()> {
        check_weight(self.weight)
    }

    /// # Errors
    /// `InsufficientData` below two training rows.
    fn fit(&self, sequences: &Sequences, seed: Seed) -> Result<MewmaScorer> {
        let rows = sequences.all();
        if rows.len() < 2 {
            return Err(Error::insufficient(
                "covariance",
                "at least 2 training rows",
                rows.len(),
            ));
        }
        Ok(MewmaScorer {
            weight: self.weight,
            metric: MahalanobisSettings::default().fit(rows, seed)?,
        })
    }
}

/// The fitted half of a [`MewmaChart`].
#[derive(Clone, Debug)]
pub struct MewmaScorer {
    weight: f64,
    metric: MahalanobisMetric,
}

/// What is written of a [`MewmaScorer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MewmaRecord {
    weight: f64,
    metric: MahalanobisRecord,
}

impl MewmaScorer {
    /// The averages with `z` in them.
    #[inline]
    fn averages(&self, memory: &Averages, z: &[f64]) -> Row {
        let z: Row = z.iter().map(|z| z.clamp(-LARGEST_AVERAGE, LARGEST_AVERAGE)).collect();
        let averages = memory.with(&z, self.weight);
        averages.map(|a| a.clamp(-LARGEST_AVERAGE, LARGEST_AVERAGE)).collect()
    }
}

impl StreamScorer for MewmaScorer {
    const KIND: &'static str = "detect.mewma_chart";
    type Record = MewmaRecord;
    type Memory = Averages;

    fn width(&self) -> usize {
        self.metric.width()
    }

    fn new_memory(&self) -> Averages {
        Averages::new(self.width())
    }

    fn accepts(&self, memory: &Averages) -> bool {
        memory.width() == self.width()
    }

    fn warm_up(&self) -> u32 {
        0
    }

    fn score(&self, memory: &Averages, x: StreamRow<'_>) -> f64 {
        self.metric.score(&self.averages(memory, x.values)) / memory.next_variance(self.weight)
    }

    fn update(&self, memory: &mut Averages, x: StreamRow<'_>, _: bool) {
        let z: Row = x
            .values
            .iter()
            .map(|z| z.clamp(-LARGEST_AVERAGE, LARGEST_AVERAGE))
            .collect();
        memory.take(&z, self.weight);
    }

    fn contributions_into(&self, memory: &Averages, x: StreamRow<'_>, out: &mut [f64]) {
        self.metric.contributions_into(&self.averages(memory, x.values), out);
        let variance = memory.next_variance(self.weight);
        out.iter_mut().for_each(|o| *o /= variance);
    }

    fn to_record(&self) -> MewmaRecord {
        MewmaRecord {
            weight: self.weight,
            metric: self.metric.to_record(),
        }
    }

    fn from_record(record: MewmaRecord, width: usize) -> Result<Self> {
        let settings = MewmaSettings { weight: record.weight };
        settings.check().map_err(|e| Error::persistence(e.to_string()))?;
        Ok(Self {
            weight: record.weight,
            metric: MahalanobisMetric::from_record(record.metric, width)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        detect::{MahalanobisDetector, Scaling},
        features::{FeatureSchema, FeatureTable, FeatureView},
        model::OnlineModel,
        signal::Channel,
    };
    use linfa::{DatasetBase, ParamGuard, traits::Fit};
    use ndarray::Array2;

    fn table() -> DatasetBase<FeatureTable, ()> {
        let channels: Vec<_> = (0..3).map(|j| Channel::new(format!("c{j}"), "")).collect();
        let schema = FeatureSchema::of_channels(&channels).unwrap();
        let noise = |i: usize, j: usize| (Seed(i as u64).part(j as u64).0 >> 11) as f64 / (1_u64 << 53) as f64;
        let values = Array2::from_shape_fn((300, 3), |(i, j)| noise(i, 9) + noise(i, j));
        DatasetBase::new(
            FeatureTable::new(schema, values, (0..300).map(|i| i % 6).collect()).unwrap(),
            (),
        )
    }

    #[test]
    fn with_weight_one_it_is_the_mahalanobis_distance() {
        let data = table();
        let chart = MewmaChart::params().weight(1.0).fit(&data).unwrap();
        let mahalanobis = MahalanobisDetector::params().fit(&data).unwrap();
        let mut state = chart.new_state();
        for x in data.records().views() {
            let (a, b) = (chart.step(&mut state, x).unwrap(), mahalanobis.assess(&(), x).unwrap());
            let (a, b) = (a.ready().unwrap().value, b.ready().unwrap().value);
            // Rows come by machine in the chart's fit, in another order of additions.
            assert!((a - b).abs() <= 1e-10 * b, "{a} {b}");
        }
    }

    #[test]
    fn scores_are_those_of_the_definition() {
        let data = table();
        let weight = 0.3;
        let chart = MewmaChart::params().weight(weight).fit(&data).unwrap();
        let mahalanobis = MahalanobisDetector::params().fit(&data).unwrap();
        let rows: Vec<Vec<f64>> = data.records().rows().take(40).map(<[f64]>::to_vec).collect();
        let mean: Vec<f64> = data
            .records()
            .values()
            .columns()
            .into_iter()
            .map(|c| c.mean().unwrap())
            .collect();
        let mut state = chart.new_state();
        for t in 0..rows.len() {
            // The weighted sum in one piece, brought to raw units for the other detector.
            let average = |j: usize| {
                let part = |(i, r): (usize, &Vec<f64>)| weight * (1.0 - weight).powi((t - i) as i32) * (r[j] - mean[j]);
                rows[..=t].iter().enumerate().map(part).sum::<f64>()
            };
            let raw: Vec<f64> = (0..3).map(|j| mean[j] + average(j)).collect();
            let distance = mahalanobis
                .assess(&(), FeatureView::new(chart.schema(), &raw).unwrap())
                .unwrap();
            let variance: f64 = (0..=t).map(|i| (weight * (1.0 - weight).powi(i as i32)).powi(2)).sum();
            let expected = distance.ready().unwrap().value / variance;
            let x = FeatureView::new(chart.schema(), &rows[t]).unwrap();
            let score = chart.step(&mut state, x).unwrap().ready().unwrap().value;
            assert!(
                (score - expected).abs() <= 1e-9 * expected.max(1.0),
                "{t}: {score} {expected}"
            );
        }
    }

    #[test]
    fn it_needs_training() {
        let schema = table().records().schema().clone();
        let e = MewmaChart::params()
            .scaling(Scaling::Raw)
            .fixed_threshold(9.0)
            .untrained(schema)
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InsufficientData);
        for bad in [0.0, f64::NAN, 1.5] {
            let e = MewmaChart::params().weight(bad).check_ref().map(|_| ()).unwrap_err();
            assert!(e.to_string().contains("weight"), "{e}");
        }
    }
}
