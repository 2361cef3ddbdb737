//! Saving and loading single models.

use super::OnlineModel;
use crate::{
    envelope::{self, Fingerprint, Header, Provenance, SchemaRecord, SigningKey, TrustList},
    error::{Error, Result},
    features::FeatureSchema,
};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;

/// A model that travels in the crate's [envelope](crate::envelope): checked, versioned, of a stated kind.
///
/// What is written is [`Persisted`](PersistentModel::Persisted), a type of its own, so that a model may change inside
/// without changing its files. Reading goes through [`from_persisted`](PersistentModel::from_persisted), which validates.
pub trait PersistentModel: OnlineModel + Sized {
    /// The stable name of this kind of model in files. Never reused for another.
    const KIND: &'static str;
    /// Version of `Persisted`; a file of a higher one is refused.
    const KIND_VERSION: u32;
    /// What is written.
    type Persisted: Serialize + DeserializeOwned;

    /// The model as it is written.
    fn to_persisted(&self) -> Self::Persisted;

    /// The model that was written as `persisted`, all invariants checked.
    ///
    /// # Errors
    /// `Persistence` where an invariant is broken.
    fn from_persisted(persisted: Self::Persisted) -> Result<Self>;

    /// The same model, told what its file says of its making; for models that keep it.
    #[must_use]
    fn with_provenance(self, _provenance: &Provenance) -> Self {
        self
    }

    /// Migrates a payload of an earlier `version` and reads it. The default knows only the current version.
    ///
    /// # Errors
    /// `Persistence` for a version or bytes it cannot read.
    fn read_payload(version: u32, payload: &[u8]) -> Result<Self> {
        if version != Self::KIND_VERSION {
            return Err(Error::persistence(format!(
                "`{}` version: expected {}, got {version}",
                Self::KIND,
                Self::KIND_VERSION
            )));
        }
        Self::from_persisted(envelope::decode(payload)?)
    }

    /// The model file as bytes.
    ///
    /// # Errors
    /// `Persistence` where the model cannot be encoded.
    fn to_bytes(&self, provenance: &Provenance) -> Result<Vec<u8>> {
        let header = Header::new(
            Self::KIND,
            Self::KIND_VERSION,
            schema_record(self.schema()),
            provenance.clone(),
        );
        envelope::seal(&header, &envelope::encode(&self.to_persisted())?)
    }

    /// The model in a file's bytes, with what the file says of its making.
    ///
    /// # Errors
    /// `Persistence` for bytes that are truncated, altered, of a later format, of another kind or break an invariant;
    /// `Untrusted` for a signature that does not hold.
    fn from_bytes(bytes: &[u8]) -> Result<(Self, Provenance)> {
        let (header, payload) = envelope::open(bytes)?;
        read(header, payload)
    }

    /// The model in the bytes of a file that a key of `trusted` has [signed](crate::envelope), with what the file says of
    /// its making. What was verified is what is decoded: the same bytes.
    ///
    /// # Errors
    /// As [`from_bytes`](PersistentModel::from_bytes); `Untrusted` for an unsigned file or another signer.
    fn from_trusted_bytes(bytes: &[u8], trusted: &TrustList) -> Result<(Self, Provenance)> {
        let (header, payload) = envelope::open_trusted(bytes, trusted)?;
        read(header, payload)
    }

    /// Writes the model file: to a temporary name beside `path`, synced, then renamed.
    ///
    /// # Errors
    /// `Io`, naming the path; `Persistence` where the model cannot be encoded.
    fn save_with(&self, path: impl AsRef<Path>, provenance: &Provenance) -> Result<()> {
        envelope::write_atomic(path.as_ref(), &self.to_bytes(provenance)?)
    }

    /// Writes the model file as [`save_with`](PersistentModel::save_with) does, signed by `key`. The model keeps its
    /// fingerprint.
    ///
    /// # Errors
    /// As [`save_with`](PersistentModel::save_with).
    fn save_signed(&self, path: impl AsRef<Path>, provenance: &Provenance, key: &SigningKey) -> Result<()> {
        let signed = envelope::sign(&self.to_bytes(provenance)?, key)?;
        envelope::write_atomic(path.as_ref(), &signed)
    }

    /// Reads a model file, signed or not; for one from elsewhere see [`load_trusted`](PersistentModel::load_trusted).
    ///
    /// # Errors
    /// `Io`, or as [`from_bytes`](PersistentModel::from_bytes); both name the path.
    fn load_with(path: impl AsRef<Path>) -> Result<(Self, Provenance)> {
        let path = path.as_ref();
        let bytes = envelope::read_limited(path, envelope::MAX_BYTES)?;
        Self::from_bytes(&bytes).map_err(|e| e.context(path.display()))
    }

    /// Reads a model file that a key of `trusted` has signed. The file is read once: what was verified is decoded.
    ///
    /// # Errors
    /// `Io`, or as [`from_trusted_bytes`](PersistentModel::from_trusted_bytes); both name the path.
    fn load_trusted(path: impl AsRef<Path>, trusted: &TrustList) -> Result<(Self, Provenance)> {
        let path = path.as_ref();
        let bytes = envelope::read_limited(path, envelope::MAX_BYTES)?;
        Self::from_trusted_bytes(&bytes, trusted).map_err(|e| e.context(path.display()))
    }
}

/// The model in an opened envelope.
fn read<M: PersistentModel>(header: Header, payload: &[u8]) -> Result<(M, Provenance)> {
    header.expect_kind(M::KIND)?;
    let model = M::read_payload(header.kind_version, payload)?;
    if schema_record(model.schema()) != header.schema {
        return Err(Error::persistence(format!(
            "schema of the payload: expected fingerprint {} as in the header, got {}",
            header.schema.fingerprint,
            model.schema().fingerprint()
        )));
    }
    Ok((model.with_provenance(&header.provenance), header.provenance))
}

/// The fingerprint of a model: of its kind and what it would write.
pub(crate) fn fingerprint_of<T: Serialize>(kind: &str, persisted: &T) -> Result<Fingerprint> {
    Fingerprint::of_value(&(kind, persisted))
}

fn schema_record(schema: &FeatureSchema) -> SchemaRecord {
    let sampling = schema.sampling();
    SchemaRecord {
        names: schema.features().iter().map(|f| f.name.clone()).collect(),
        units: schema.features().iter().map(|f| f.unit.clone()).collect(),
        rate_hz: sampling.map(|s| s.rate.get()),
        window_samples: sampling.map(|s| s.window.length() as u64),
        hop_samples: sampling.map(|s| s.window.hop() as u64),
        fingerprint: schema.fingerprint(),
    }
}
