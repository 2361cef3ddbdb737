//! The front of the chain: from a raw row to feature rows.

use crate::{
    diagnose::{HealthIndices, HealthIndicesRecord},
    error::{Error, Result},
    features::{Decays, FeatureSchema, TelemetryExtractor, TelemetrySpec, TelemetryState},
    model::UnusableReason,
    preprocess::{RegimeNormalizer, RegimeNormalizerRecord},
};
use serde::{Deserialize, Serialize};

/// Normaliser, health indices and the rolling features of both: what must be fitted before any model.
#[derive(Clone, Debug)]
pub(super) struct FrontEnd {
    pub(super) normalizer: RegimeNormalizer,
    pub(super) indices: Option<HealthIndices>,
    /// Of normalised sensors and health indices, for the regressor.
    pub(super) features: TelemetryExtractor,
    /// Of normalised sensors, for the detector.
    pub(super) detector_features: TelemetryExtractor,
    specs: Specs,
}

/// The rolling features asked for; the extractors are built of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Specs {
    pub(super) sensors: TelemetrySpec,
    pub(super) indices: TelemetrySpec,
    pub(super) detector: TelemetrySpec,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FrontEndRecord {
    normalizer: RegimeNormalizerRecord,
    indices: Option<HealthIndicesRecord>,
    specs: Specs,
}

/// What the front remembers of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FrontState {
    pub(super) features: TelemetryState,
    pub(super) detector_features: TelemetryState,
}

/// Buffers of one row on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct FrontScratch {
    /// Normalised sensors, then health indices.
    joined: Vec<f64>,
    pub(super) features: Vec<f64>,
    pub(super) detector_features: Vec<f64>,
    decays: Decays,
    detector_decays: Decays,
}

/// What becomes of the regressor's features at a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForRegressor {
    /// There is no regressor: they are not even remembered.
    Nothing,
    /// They are carried along, but nobody asks for them.
    Carried,
    /// They are written.
    Written,
}

impl FrontEnd {
    pub(super) fn new(normalizer: RegimeNormalizer, indices: Option<HealthIndices>, specs: Specs) -> Result<Self> {
        let sensors = normalizer.output();
        let n = sensors.len();
        let mut joined = sensors.features().to_vec();
        joined.extend(indices.iter().flat_map(|h| h.output().features().iter().cloned()));
        let n_joined = joined.len();
        let joined = FeatureSchema::new(joined, None)?;
        let groups = [
            ((n..n_joined).collect(), specs.indices.clone()),
            ((0..n).collect(), specs.sensors.clone()),
        ];
        let features = TelemetryExtractor::new(&joined, &groups)?;
        let detector_features = TelemetryExtractor::new(sensors, &[((0..n).collect(), specs.detector.clone())])?;
        Ok(Self {
            normalizer,
            indices,
            features,
            detector_features,
            specs,
        })
    }

    pub(super) fn input(&self) -> &FeatureSchema {
        self.normalizer.input()
    }

    pub(super) fn new_state(&self) -> FrontState {
        FrontState {
            features: self.features.new_state(),
            detector_features: self.detector_features.new_state(),
        }
    }

    pub(super) fn new_scratch(&self) -> FrontScratch {
        FrontScratch {
            joined: vec![0.0; self.normalizer.output().len() + self.indices.as_ref().map_or(0, |h| h.output().len())],
            features: vec![0.0; self.features.schema().len()],
            detector_features: vec![0.0; self.detector_features.schema().len()],
            ..FrontScratch::default()
        }
    }

    /// Whether the detector's features are those of full spans: before, they are noisier than the rows it learnt from.
    pub(super) fn is_settled(&self, state: &FrontState) -> bool {
        self.detector_features.is_settled(&state.detector_features)
    }

    /// Takes a raw row at `age` into `state`, leaving its features in `scratch`, each finite or NaN, those of the regressor
    /// where asked for; an unusable one leaves `state` as it was.
    pub(super) fn step(
        &self,
        state: &mut FrontState,
        age: f64,
        row: &[f64],
        regressor: ForRegressor,
        scratch: &mut FrontScratch,
    ) -> Result<std::result::Result<(), UnusableReason>> {
        // Instants may differ by less than an age can tell.
        let follows = |s: &TelemetryState| s.n_rows() == 0 || age > s.age();
        if !(follows(&state.features) && follows(&state.detector_features)) {
            return Ok(Err(UnusableReason::TimeNotIncreasing));
        }
        let n = self.normalizer.output().len();
        let (sensors, indices) = scratch.joined.split_at_mut(n);
        let regime = match self.normalizer.normalize_into(row, sensors)? {
            Ok(regime) => regime,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Some(h) = &self.indices {
            h.assess_into(sensors, regime, indices)?;
        }
        self.features.check_state(&state.features)?;
        let numbers = |values: &mut [f64]| {
            values
                .iter_mut()
                .for_each(|v| *v = if v.is_finite() { *v } else { f64::NAN });
        };
        let out = &mut scratch.detector_features;
        self.detector_features.step(
            &mut state.detector_features,
            age,
            &scratch.joined[..n],
            &mut scratch.detector_decays,
            Some(out),
        )?;
        numbers(out);
        if regressor != ForRegressor::Nothing {
            let out = (regressor == ForRegressor::Written).then_some(scratch.features.as_mut_slice());
            self.features
                .step(&mut state.features, age, &scratch.joined, &mut scratch.decays, out)?;
            if regressor == ForRegressor::Written {
                numbers(&mut scratch.features);
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn to_record(&self) -> FrontEndRecord {
        FrontEndRecord {
            normalizer: self.normalizer.to_record(),
            indices: self.indices.as_ref().map(HealthIndices::to_record),
            specs: self.specs.clone(),
        }
    }

    pub(super) fn from_record(r: FrontEndRecord) -> Result<Self> {
        let normalizer = RegimeNormalizer::from_record(r.normalizer)?;
        let indices = r.indices.map(HealthIndices::from_record).transpose()?;
        if let Some(h) = &indices {
            let fits = h.input() == normalizer.output() && h.n_regimes() == normalizer.n_regimes();
            if !fits {
                return Err(Error::persistence(
                    "front end: expected health indices of the normaliser's sensors and regimes",
                ));
            }
        }
        Self::new(normalizer, indices, r.specs).map_err(|e| Error::persistence(format!("front end: {e}")))
    }
}
