//! The unfitted chain.

use super::ChainDetectorParams;
use crate::{
    decision::{AlarmPolicy, Direction},
    detect::PcaDetector,
    diagnose::HealthIndicesParams,
    error::{Error, Result},
    features::{TelemetrySpec, WaveformExtractor, telemetry},
    preprocess::Regimes,
    rul::AnyRulParams,
};

/// Parts and settings of a chain, not yet fitted: see [`Pipeline`](super::Pipeline).
#[derive(Clone, Debug)]
pub struct PipelineParams {
    pub(super) extractor: Option<WaveformExtractor>,
    pub(super) regimes: Regimes,
    pub(super) health_indices: Option<(HealthIndicesParams, TelemetrySpec)>,
    pub(super) features: TelemetrySpec,
    pub(super) detector: ChainDetectorParams,
    pub(super) detector_features: TelemetrySpec,
    pub(super) healthy_share: f64,
    pub(super) rul: Option<AnyRulParams>,
    pub(super) min_label_correlation: f64,
    pub(super) training_rows: usize,
    pub(super) alarm: AlarmPolicy,
    pub(super) one_sided: Vec<(String, Direction)>,
    pub(super) prognose_every: u32,
}

impl Default for PipelineParams {
    fn default() -> Self {
        Self {
            extractor: None,
            regimes: Regimes::single(),
            health_indices: None,
            features: telemetry().ewma([3.0, 12.0]).slope([15.0, 30.0]),
            detector: PcaDetector::params().into(),
            detector_features: telemetry().ewma([10.0]),
            healthy_share: 0.3,
            rul: None,
            min_label_correlation: 0.0,
            training_rows: 16_000,
            alarm: AlarmPolicy::default(),
            one_sided: Vec::new(),
            prognose_every: 1,
        }
    }
}

impl PipelineParams {
    /// Rows are the features of waveform windows: the fleet fitted on holds rows of this extractor, and live machines may
    /// be fed samples.
    #[must_use]
    pub fn extractor(mut self, extractor: WaveformExtractor) -> Self {
        self.extractor = Some(extractor);
        self
    }

    /// How operating regimes are found; one regime unless set.
    #[must_use]
    pub fn regimes(mut self, regimes: Regimes) -> Self {
        self.regimes = regimes;
        self
    }

    /// Health indices fused from the sensors, and the rolling features taken of each. Needs recorded lives.
    #[must_use]
    pub fn health_indices(mut self, params: HealthIndicesParams, features: TelemetrySpec) -> Self {
        self.health_indices = Some((params, features));
        self
    }

    /// Rolling features of each normalised sensor, for the regressor.
    #[must_use]
    pub fn features(mut self, features: TelemetrySpec) -> Self {
        self.features = features;
        self
    }

    /// The anomaly detector.
    #[must_use]
    pub fn detector(mut self, detector: impl Into<ChainDetectorParams>) -> Self {
        self.detector = detector.into();
        self
    }

    /// Rolling features of each normalised sensor, for the detector: EWMAs over 10 life units unless set. Rows of which
    /// less than the longest of these spans is known are not learnt from and count for no alarm.
    #[must_use]
    pub fn detector_features(mut self, features: TelemetrySpec) -> Self {
        self.detector_features = features;
        self
    }

    /// The first share of each training machine's rows that counts as healthy: 0.3 unless set. The detector learns these.
    #[must_use]
    pub fn healthy_share(mut self, share: f64) -> Self {
        self.healthy_share = share;
        self
    }

    /// The regressor of remaining life. Needs recorded lives.
    #[must_use]
    pub fn rul(mut self, rul: impl Into<AnyRulParams>) -> Self {
        self.rul = Some(rul.into());
        self
    }

    /// Asks the regressor at every `n_rows`-th usable row of a machine, beginning with its first: at each one unless set.
    /// Between, a decision carries the last estimate less the time since, not below zero, and says when it was made. A
    /// regressor that remembers takes every row all the same.
    #[must_use]
    pub fn prognose_every(mut self, n_rows: u32) -> Self {
        self.prognose_every = n_rows;
        self
    }

    /// Leaves out sensors whose correlation with the (capped) remaining life is not above this in magnitude; 0 keeps all
    /// that vary.
    #[must_use]
    pub fn min_label_correlation(mut self, r: f64) -> Self {
        self.min_label_correlation = r;
        self
    }

    /// Rows the regressor is fitted on at most: of more, every second, third, ... is taken. 16,000 unless set; successive
    /// rows of a machine tell little more than one of them.
    #[must_use]
    pub fn training_rows(mut self, n: usize) -> Self {
        self.training_rows = n;
        self
    }

    /// When anomalous rows become an alarm.
    #[must_use]
    pub fn alarm(mut self, policy: AlarmPolicy) -> Self {
        self.alarm = policy;
        self
    }

    /// Only deviations of `channel` to one side count for alarms: a temperature below the usual is none.
    ///
    /// Where a feature of the channel lies on the other side of its mean over healthy training rows, its share is taken off
    /// the score that the alarm sees: `score * (1 - share)`, shares being those of [`Cause`](crate::decision::Cause). A
    /// score below zero, as a logarithm may be, has no shares and stays as it is. The
    /// score of the [`Condition`](crate::decision::Condition) stays the detector's. Of two rules for a channel the later
    /// holds.
    #[must_use]
    pub fn one_sided(mut self, channel: impl Into<String>, direction: Direction) -> Self {
        self.one_sided.push((channel.into(), direction));
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        self.alarm.check()?;
        self.features.check()?;
        self.detector_features.check()?;
        if let Some((params, features)) = &self.health_indices {
            params.check()?;
            features.check()?;
            if self.rul.is_none() {
                return Err(Error::parameter(
                    "health_indices",
                    "used with a regressor",
                    "no regressor",
                ));
            }
        }
        if self.min_label_correlation > 0.0 && self.rul.is_none() {
            return Err(Error::parameter(
                "min_label_correlation",
                "used with a regressor",
                "no regressor",
            ));
        }
        self.detector.check()?;
        self.rul.as_ref().map_or(Ok(()), AnyRulParams::check)?;
        if !(self.healthy_share > 0.0 && self.healthy_share <= 1.0) {
            return Err(Error::parameter(
                "healthy_share",
                "above 0 and at most 1",
                self.healthy_share,
            ));
        }
        if !(0.0..1.0).contains(&self.min_label_correlation) {
            return Err(Error::parameter(
                "min_label_correlation",
                "in 0..1",
                self.min_label_correlation,
            ));
        }
        if self.prognose_every == 0 {
            return Err(Error::parameter("prognose_every", "at least 1 row", 0));
        }
        if self.prognose_every > 1 && self.rul.is_none() {
            return Err(Error::parameter(
                "prognose_every",
                "used with a regressor",
                "no regressor",
            ));
        }
        if self.training_rows == 0 {
            return Err(Error::parameter("training_rows", "at least 1", 0));
        }
        Ok(())
    }

    /// The parameters as printed into a model's provenance.
    pub(super) fn described(&self) -> std::collections::BTreeMap<String, String> {
        let mut all = std::collections::BTreeMap::new();
        let mut put = |name: &str, value: String| all.insert(name.to_owned(), value);
        put("regimes", format!("{:?}", self.regimes));
        put("features", format!("{:?}", self.features));
        put(
            "detector",
            match &self.detector {
                ChainDetectorParams::Single(p) => format!("{p:?}"),
                ChainDetectorParams::Fused(p) => format!("{p:?}"),
            },
        );
        put("detector_features", format!("{:?}", self.detector_features));
        put("healthy_share", self.healthy_share.to_string());
        put("min_label_correlation", self.min_label_correlation.to_string());
        put("training_rows", self.training_rows.to_string());
        put("alarm", format!("{:?}", self.alarm));
        if !self.one_sided.is_empty() {
            put("one_sided", format!("{:?}", self.one_sided));
        }
        if self.prognose_every > 1 {
            put("prognose_every", self.prognose_every.to_string());
        }
        if let Some(indices) = &self.health_indices {
            put("health_indices", format!("{indices:?}"));
        }
        if let Some(rul) = &self.rul {
            put("rul", format!("{rul:?}"));
        }
        all
    }
}
