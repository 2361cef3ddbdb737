//! The fitted chain from a row, or a waveform window, to a decision.
//!
//! ```text
//! row -> regimes, scaling -> health indices -> rolling features -> RUL regressor --+
//!                        \-> rolling features -> detector -> alarm machine --------+-> decision
//! ```
//!
//! [`Pipeline::params`] names the parts, [`PipelineParams::fit`] fits them on recorded machines, and the one value that
//! comes of it is saved, loaded and run: over a recording by [`Pipeline::assess_history`], over live machines by
//! [`crate::fleet::Fleet`]. Both give the same decisions to the last bit.

mod cross_validation;
mod fit;
mod front;
mod kinds;
mod one_sided;
mod params;
mod persist;
mod run;
mod standing;
mod succession;

pub use cross_validation::{CrossValidation, HeldOutRow};
pub use fit::Progress;
pub use kinds::ChainDetectorParams;
pub use params::PipelineParams;
pub use persist::PipelineRecord;
pub use run::{PipelineScratch, PipelineState};
pub use succession::Carried;

use crate::{
    decision::AlarmPolicy,
    drift::InputReference,
    envelope::{Fingerprint, Provenance, SigningKey, TrustList},
    error::Result,
    features::{FeatureSchema, WaveformExtractor},
    model::PersistentModel,
    quantity::LifeUnit,
    rul::AnyRul,
};
use front::FrontEnd;
use kinds::ChainDetector;
use one_sided::OneSided;
use std::{path::Path, sync::Arc};

/// A fitted chain from row to decision: itself an [`OnlineModel`](crate::model::OnlineModel) that takes raw rows with
/// their instants and gives a [`Decision`](crate::decision::Decision).
///
/// ```
/// use prognos::{decision::{AlarmPolicy, Decision}, detect::PcaDetector, features, fleet::Fleet, model::Assessment};
/// use prognos::{pipeline::Pipeline, preprocess::Regimes, quantity::Seed, rul::GradientBoosting, simulate};
///
/// let fleet = simulate::turbofan_fleet(Seed(7))?;
/// let (train, unseen) = fleet.split_by_asset(0.8, Seed(1))?;
///
/// let model = Pipeline::params()
///     .regimes(Regimes::automatic(8).on(["setting_1", "setting_2"]))
///     .features(features::telemetry().ewma([3.0, 6.0, 12.0]).slope([15.0, 30.0]).age())
///     .detector(PcaDetector::params().explained_variance(0.95))
///     .rul(GradientBoosting::params().n_trees(50).label_cap(125.0).interval(0.90))
///     .alarm(AlarmPolicy::m_of_n(3, 5))
///     .fit(&train)?;
///
/// let path = std::env::temp_dir().join("doc_turbofan.prognos");
/// model.save(&path)?;
/// let mut fleet = Fleet::new(Pipeline::load(&path)?);
/// let asset = &unseen.assets()[0];
/// for (time, values) in asset.rows() {
///     if let Assessment::Ready(Decision::Alarm(alarm)) = fleet.push(asset.asset(), time, values)? {
///         println!("{alarm}"); // what, since when, which sensors, RUL 38 (29..47) cycles
///     }
/// }
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pipeline {
    fingerprint: Fingerprint,
    life_unit: LifeUnit,
    /// Where rows come from waveform windows.
    extractor: Option<WaveformExtractor>,
    front: FrontEnd,
    detector: ChainDetector,
    rul: Option<AnyRul>,
    alarm: AlarmPolicy,
    one_sided: Option<OneSided>,
    /// The training rows, to compare inputs in service with.
    inputs: Option<InputReference>,
    /// Rows from one prognosis of a machine to its next.
    prognose_every: u32,
    provenance: Provenance,
    /// Names of the channels contributions are summed over, and the channel of each detector feature.
    cause_names: Vec<Arc<str>>,
    cause_of_feature: Vec<usize>,
}

impl Pipeline {
    /// An unfitted chain with usual parts: one regime, EWMAs and slopes, a PCA detector, three alarms of five rows, no RUL.
    pub fn params() -> PipelineParams {
        PipelineParams::default()
    }

    /// The unit of ages, spans and remaining lives.
    pub fn life_unit(&self) -> LifeUnit {
        self.life_unit
    }

    /// The extractor of a chain that takes waveforms.
    pub fn extractor(&self) -> Option<&WaveformExtractor> {
        self.extractor.as_ref()
    }

    /// The rows the regressor takes: what is computed of each raw row.
    pub fn feature_schema(&self) -> &FeatureSchema {
        self.front.features.schema()
    }

    /// What the training rows were like, to compare inputs in service with; `None` of a chain fitted before chains kept it.
    pub fn inputs(&self) -> Option<&InputReference> {
        self.inputs.as_ref()
    }

    /// Readings of a row.
    pub(crate) fn width(&self) -> usize {
        self.front.input().len()
    }

    /// Number of operating regimes found.
    pub fn n_regimes(&self) -> usize {
        self.front.normalizer.n_regimes()
    }

    /// When an alarm is raised.
    pub fn alarm_policy(&self) -> AlarmPolicy {
        self.alarm
    }

    /// Parameters, training data and metrics of the fit.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The same chain, its provenance dated.
    #[must_use]
    pub fn dated(mut self, date: impl Into<String>) -> Self {
        self.provenance.date = Some(date.into());
        self
    }

    /// Writes the model file: to a temporary name beside `path`, synced, then renamed.
    ///
    /// # Errors
    /// `Io`, naming the path.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_at(path.as_ref())
    }

    // Not generic, so that what reads and writes every kind of model is compiled here and not in each crate that calls it.
    fn save_at(&self, path: &Path) -> Result<()> {
        self.save_with(path, &self.provenance)
    }

    /// Writes the model file as [`save`](Pipeline::save) does, [signed](crate::envelope) by `key`. The chain keeps its
    /// fingerprint.
    ///
    /// # Errors
    /// As [`save`](Pipeline::save).
    pub fn save_signed(&self, path: impl AsRef<Path>, key: &SigningKey) -> Result<()> {
        self.save_signed_at(path.as_ref(), key)
    }

    fn save_signed_at(&self, path: &Path, key: &SigningKey) -> Result<()> {
        PersistentModel::save_signed(self, path, &self.provenance, key)
    }

    /// Reads a model file, signed or not; for one from elsewhere see [`load_trusted`](Pipeline::load_trusted).
    ///
    /// # Errors
    /// `Io`, `Persistence` for a file that is truncated, altered, of a later format or of another kind, or `Untrusted` for
    /// one whose signature does not hold; each names the path.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_from(path.as_ref())
    }

    /// Reads a model file that a key of `trusted` has signed. The file is read once: what was verified is decoded.
    ///
    /// # Errors
    /// As [`load`](Pipeline::load); `Untrusted` for an unsigned file or another signer.
    pub fn load_trusted(path: impl AsRef<Path>, trusted: &TrustList) -> Result<Self> {
        Self::load_trusted_from(path.as_ref(), trusted)
    }

    fn load_trusted_from(path: &Path, trusted: &TrustList) -> Result<Self> {
        Ok(<Self as PersistentModel>::load_trusted(path, trusted)?.0)
    }

    /// The model file as bytes, with the chain's own [`provenance`](Pipeline::provenance) replaced by this one.
    ///
    /// # Errors
    /// `Persistence` where the chain cannot be encoded.
    pub fn to_bytes(&self, provenance: &Provenance) -> Result<Vec<u8>> {
        PersistentModel::to_bytes(self, provenance)
    }

    /// The chain in a file's bytes, with what the file says of its making.
    ///
    /// # Errors
    /// `Persistence` for bytes that are truncated, altered, of a later format or of another kind; `Untrusted` for a
    /// signature that does not hold.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, Provenance)> {
        PersistentModel::from_bytes(bytes)
    }

    fn load_from(path: &Path) -> Result<Self> {
        Ok(Self::load_with(path)?.0)
    }
}
