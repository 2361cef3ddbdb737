//! The chain as it is written to files.

use super::{
    Pipeline,
    front::{FrontEnd, FrontEndRecord},
    kinds::ChainDetector,
    one_sided::OneSided,
};
use crate::{
    decision::AlarmPolicy,
    detect::{AnyDetectorRecord, FusionRecord},
    drift::{InputReference, InputReferenceRecord},
    envelope::{Fingerprint, Provenance},
    error::{Error, Result},
    features::{FeatureExtractor, WaveformExtractor},
    model::{OnlineModel, PersistentModel},
    quantity::LifeUnit,
    rul::{AnyRul, AnyRulRecord},
};
use serde::{Deserialize, Serialize};

/// A [`Pipeline`] as it is written to files.
#[derive(Serialize, Deserialize)]
pub struct PipelineRecord {
    life_unit: LifeUnit,
    extractor: Option<WaveformExtractor>,
    front: FrontEndRecord,
    /// The detector where it is a single one.
    detector: Option<AnyDetectorRecord>,
    /// The detector where it is a fusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fused: Option<FusionRecord>,
    rul: Option<AnyRulRecord>,
    alarm: AlarmPolicy,
    /// Not written where there is none, so that such a chain keeps its bytes and its fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    one_sided: Option<OneSided>,
    /// Not written where each row is prognosed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prognose_every: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inputs: Option<InputReferenceRecord>,
}

impl PersistentModel for Pipeline {
    const KIND: &'static str = "pipeline";
    const KIND_VERSION: u32 = 1;
    type Persisted = PipelineRecord;

    fn with_provenance(mut self, provenance: &Provenance) -> Self {
        self.provenance = provenance.clone();
        self
    }

    fn to_persisted(&self) -> PipelineRecord {
        let (detector, fused) = self.detector.to_records();
        PipelineRecord {
            life_unit: self.life_unit,
            extractor: self.extractor.clone(),
            front: self.front.to_record(),
            detector,
            fused,
            rul: self.rul.as_ref().map(AnyRul::to_record),
            alarm: self.alarm,
            one_sided: self.one_sided.clone(),
            inputs: self.inputs.as_ref().map(InputReference::to_record),
            prognose_every: (self.prognose_every > 1).then_some(self.prognose_every),
        }
    }

    fn from_persisted(r: PipelineRecord) -> Result<Self> {
        let broken = |what: &str| Err(Error::persistence(format!("pipeline: {what}")));
        r.alarm
            .check()
            .map_err(|e| Error::persistence(format!("pipeline: {e}")))?;
        let front = FrontEnd::from_record(r.front)?;
        let detector = ChainDetector::from_records(r.detector, r.fused)?;
        if detector.schema() != front.detector_features.schema() {
            return broken("expected a detector of the front end's features");
        }
        let rul = r.rul.map(AnyRul::from_record).transpose()?;
        if rul.as_ref().is_some_and(|m| m.schema() != front.features.schema()) {
            return broken("expected a regressor of the front end's features");
        }
        let mut one_sided = r.one_sided;
        if let Some(rules) = &mut one_sided {
            rules.bind(front.detector_features.schema())?;
        }
        if r.extractor.as_ref().is_some_and(|x| x.schema() != front.input()) {
            return broken("expected an extractor of the front end's rows");
        }
        let inputs = r.inputs.map(InputReference::from_record).transpose()?;
        if inputs.as_ref().is_some_and(|i| i.schema() != front.input()) {
            return broken("expected a reference of the front end's rows");
        }
        let prognose_every = r.prognose_every.unwrap_or(1);
        if prognose_every == 0 || (prognose_every > 1 && rul.is_none()) {
            return broken("expected a prognosis at every row, or at every n-th of a regressor");
        }
        Self {
            fingerprint: Fingerprint::of(&[]),
            life_unit: r.life_unit,
            extractor: r.extractor,
            front,
            detector,
            rul,
            alarm: r.alarm,
            one_sided,
            prognose_every,
            inputs,
            provenance: Provenance::default(),
            cause_names: Vec::new(),
            cause_of_feature: Vec::new(),
        }
        .finished()
    }
}
