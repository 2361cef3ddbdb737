//! The checked, versioned container of bytes that models and snapshots travel in; it knows no model.
//!
//! Layout, all integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `PROGNOS` and a zero byte |
//! | 4 | `format_version` of this layout |
//! | 4 | length `h` of the header |
//! | 8 | length `p` of the payload |
//! | `h` | header: [`Header`] in MessagePack, by name |
//! | `p` | payload: the kind's own type in MessagePack, by name |
//! | 32 | SHA-256 of all bytes before it |
//!
//! Reading goes in this order: size limit, magic, lengths, checksum, format version, header; then the kind's version,
//! payload, schema and invariants. Any altered byte, and any truncation, is refused before a byte is interpreted.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{BufWriter, Read, Write},
    path::Path,
};

/// The version of the layout this crate writes, and the highest it reads.
pub const FORMAT_VERSION: u32 = 1;
/// What the names of files begin with while they are written; a process that is killed may leave one.
pub const TEMPORARY_PREFIX: &str = ".prognos-";
/// The largest file that is read: 256 MiB.
pub const MAX_BYTES: u64 = 256 << 20;

const MAGIC: [u8; 8] = *b"PROGNOS\0";
const PREFIX: usize = 24;
const CHECKSUM: usize = 32;

/// Eight bytes that tell one schema, model or parameter set from every other; printed as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// First eight bytes of the SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// The fingerprint of a value's encoding.
    ///
    /// # Errors
    /// `Persistence` where the value cannot be encoded.
    pub fn of_value<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        Ok(Self::of(&encode(value)?))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where the content of an envelope came from; given by who made it, shown by who reads it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Parameters by name, as printed.
    pub parameters: BTreeMap<String, String>,
    /// Seed of the fit.
    pub seed: Option<u64>,
    /// SHA-256 of the training data in hexadecimal.
    pub training_data_sha256: Option<String>,
    /// Training rows.
    pub n_rows: u64,
    /// Training assets.
    pub n_assets: u64,
    /// Measured figures by name.
    pub metrics: BTreeMap<String, f64>,
    /// Date of making, as the caller gave it; never read from a clock here.
    pub date: Option<String>,
}

/// The rows a model takes, in plain words: readable without knowing the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaRecord {
    /// Column names in order.
    pub names: Vec<String>,
    /// Unit of each column.
    pub units: Vec<String>,
    /// Sample rate of the waveforms behind the columns.
    pub rate_hz: Option<f64>,
    /// Window length in samples.
    pub window_samples: Option<u64>,
    /// Samples from one window to the next.
    pub hop_samples: Option<u64>,
    /// Fingerprint of the full schema.
    pub fingerprint: Fingerprint,
}

/// The readable part of an envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Stable name of what the payload is.
    pub kind: String,
    /// Version of the payload of that kind.
    pub kind_version: u32,
    /// Version of the crate that wrote it.
    pub crate_version: String,
    /// The rows it takes.
    pub schema: SchemaRecord,
    /// Where it came from.
    pub provenance: Provenance,
}

impl Header {
    /// A header written by this version of the crate.
    pub fn new(kind: &str, kind_version: u32, schema: SchemaRecord, provenance: Provenance) -> Self {
        let crate_version = env!("CARGO_PKG_VERSION").into();
        Self {
            kind: kind.into(),
            kind_version,
            crate_version,
            schema,
            provenance,
        }
    }

    /// Fails unless the payload is of `kind`.
    ///
    /// # Errors
    /// `Persistence`, naming both kinds.
    pub fn expect_kind(&self, kind: &str) -> Result<()> {
        if self.kind == kind {
            Ok(())
        } else {
            Err(Error::persistence(format!(
                "kind of file: expected `{kind}`, got `{}`",
                self.kind
            )))
        }
    }
}

/// A value in MessagePack, fields by name.
///
/// # Errors
/// `Persistence` where the value cannot be encoded.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(value).map_err(|e| Error::persistence(format!("cannot encode: {e}")).with_source(e))
}

/// The value behind bytes of [`encode`], all of them.
///
/// # Errors
/// `Persistence` for bytes that are no such value, or are followed by others.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut rest = bytes;
    let value = rmp_serde::from_read(&mut rest)
        .map_err(|e| Error::persistence(format!("payload cannot be read: {e}")).with_source(e))?;
    if !rest.is_empty() {
        return Err(Error::persistence(format!(
            "payload: expected {} bytes, got {}",
            bytes.len() - rest.len(),
            bytes.len()
        )));
    }
    Ok(value)
}

/// The bytes of an envelope around `payload`.
///
/// # Errors
/// `Persistence` where it would exceed [`MAX_BYTES`].
pub fn seal(header: &Header, payload: &[u8]) -> Result<Vec<u8>> {
    let header = encode(header)?;
    let total = PREFIX as u64 + header.len() as u64 + payload.len() as u64 + CHECKSUM as u64;
    if total > MAX_BYTES {
        return Err(Error::persistence(format!(
            "envelope: expected at most {MAX_BYTES} bytes, got {total}"
        )));
    }
    let mut bytes = Vec::with_capacity(total as usize);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(payload);
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    Ok(bytes)
}

/// Header and payload of an envelope.
///
/// # Errors
/// `Persistence` for bytes over [`MAX_BYTES`], without the magic, truncated, followed by others, altered, or of a later
/// format; the message names which.
pub fn open(bytes: &[u8]) -> Result<(Header, &[u8])> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::persistence(format!(
            "envelope: expected at most {MAX_BYTES} bytes, got {}",
            bytes.len()
        )));
    }
    if !bytes.starts_with(&MAGIC) {
        return Err(Error::persistence(if MAGIC.starts_with(bytes) {
            format!(
                "truncated: expected at least {} bytes, got {}",
                PREFIX + CHECKSUM,
                bytes.len()
            )
        } else {
            "not a prognos file: its first bytes are not `PROGNOS`".into()
        }));
    }
    if bytes.len() < PREFIX + CHECKSUM {
        let least = PREFIX + CHECKSUM;
        return Err(Error::persistence(format!(
            "truncated: expected at least {least} bytes, got {}",
            bytes.len()
        )));
    }
    let (sealed, sum) = bytes.split_at(bytes.len() - CHECKSUM);
    let intact = Sha256::digest(sealed)[..] == *sum;
    let version = u32_at(bytes, 8);
    let (n_header, n_payload) = (u32_at(bytes, 12) as u64, u64_at(bytes, 16));
    let expected = (PREFIX as u64 + n_header)
        .checked_add(n_payload)
        .and_then(|n| n.checked_add(CHECKSUM as u64));
    // The layout behind the version field is only known for versions up to ours, the checksum at the end for all.
    if !intact {
        return Err(Error::persistence(match expected {
            Some(n) if n > bytes.len() as u64 => {
                format!("truncated or altered: expected {n} bytes, got {}", bytes.len())
            }
            _ => "altered: its SHA-256 is not the one it carries".into(),
        }));
    }
    if version == 0 || version > FORMAT_VERSION {
        return Err(Error::persistence(format!(
            "format version: expected 1..={FORMAT_VERSION}, got {version}{}",
            if version == 0 {
                ""
            } else {
                ", written by a later prognos"
            }
        )));
    }
    if expected != Some(bytes.len() as u64) {
        return Err(Error::persistence(format!(
            "lengths: expected {expected:?} bytes in all, got {}",
            bytes.len()
        )));
    }
    let (header, payload) = sealed[PREFIX..].split_at(n_header as usize);
    Ok((decode(header).map_err(|e| e.context("header"))?, payload))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |n, &b| n << 8 | u32::from(b))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

/// SHA-256 of `bytes` in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// `Io`, naming the path; `Persistence` for a larger file.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io("read", path, e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::persistence(format!(
            "{}: expected at most {limit} bytes, got more",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Writes a file whole or not at all: to a temporary name in the same folder, synced, then renamed over `path`.
///
/// # Errors
/// `Io`, naming the path.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_with(path, |to| to.write_all(bytes).map_err(|e| Error::io("write", path, e)))
}

/// [`write_atomic`], of what `write` writes; gives what it gives.
///
/// # Errors
/// `Io`, naming the path; those of `write`, after which nothing has changed.
pub fn write_atomic_with<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .permissions_for_all()
        .tempfile_in(folder)
        .map_err(|e| Error::io("create a file beside", path, e))?;
    let mut buffered = BufWriter::with_capacity(1 << 18, file);
    let given = write(&mut buffered)?;
    let file = buffered
        .into_inner()
        .map_err(|e| Error::io("write", path, e.into_error()))?;
    file.as_file().sync_all().map_err(|e| Error::io("sync", path, e))?;
    file.persist(path)
        .map_err(|e| Error::io("rename onto", path, e.error))?;
    // The rename itself lies in the folder; where folders cannot be opened (Windows) there is nothing to sync.
    if let Ok(folder) = File::open(folder) {
        folder
            .sync_all()
            .map_err(|e| Error::io("sync the folder of", path, e))?;
    }
    Ok(given)
}

/// Files made like any other program's, not private ones as temporary files are.
trait Permissions {
    fn permissions_for_all(&mut self) -> &mut Self;
}

impl Permissions for tempfile::Builder<'_, '_> {
    #[cfg(unix)]
    fn permissions_for_all(&mut self) -> &mut Self {
        use std::os::unix::fs::PermissionsExt;
        self.permissions(std::fs::Permissions::from_mode(0o644))
    }

    #[cfg(not(unix))]
    fn permissions_for_all(&mut self) -> &mut Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn sealed() -> Vec<u8> {
        let schema = SchemaRecord {
            names: vec!["a".into()],
            units: vec!["g".into()],
            rate_hz: None,
            window_samples: None,
            hop_samples: None,
            fingerprint: Fingerprint::of(b"a"),
        };
        seal(
            &Header::new("test", 1, schema, Provenance::default()),
            &encode(&[1.5, f64::NAN]).unwrap(),
        )
        .unwrap()
    }

    fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(bytes.len() - CHECKSUM);
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    #[test]
    fn opens_what_it_sealed() {
        let bytes = sealed();
        let (header, payload) = open(&bytes).unwrap();
        assert_eq!((header.kind.as_str(), header.kind_version), ("test", 1));
        let back: Vec<f64> = decode(payload).unwrap();
        assert_eq!((back[0], back[1].to_bits()), (1.5, f64::NAN.to_bits()));
        let e = header.expect_kind("other").unwrap_err();
        assert!(
            e.to_string().contains("`other`") && e.to_string().contains("`test`"),
            "{e}"
        );
    }

    #[test]
    fn every_truncation_and_every_bit_is_noticed() {
        let bytes = sealed();
        for n in 0..bytes.len() {
            assert_eq!(
                open(&bytes[..n]).unwrap_err().kind(),
                ErrorKind::Persistence,
                "first {n} bytes"
            );
        }
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&altered).unwrap_err().kind(), ErrorKind::Persistence, "bit {bit}");
        }
        let longer = [bytes, vec![0]].concat();
        assert!(open(&longer).is_err());
    }

    #[test]
    fn later_formats_and_forged_lengths_are_named() {
        let mut later = sealed();
        later[8] = 2;
        let e = open(&reseal(later)).unwrap_err();
        assert!(e.to_string().contains("later prognos"), "{e}");
        for (at, value) in [(12, 0xFF), (16, 0xFF), (23, 0xFF), (12, 0)] {
            let mut forged = sealed();
            forged[at] = value;
            assert_eq!(open(&reseal(forged)).unwrap_err().kind(), ErrorKind::Persistence);
        }
    }

    #[test]
    fn files_are_replaced_whole_and_read_with_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.prognos");
        write_atomic(&path, b"first").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(read_limited(&path, 6).unwrap(), b"second");
        assert_eq!(read_limited(&path, 5).unwrap_err().kind(), ErrorKind::Persistence);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let missing = read_limited(&dir.path().join("no"), 5).unwrap_err();
        assert!(
            missing.kind() == ErrorKind::Io && missing.to_string().contains("no"),
            "{missing}"
        );
        assert_eq!(
            write_atomic(&dir.path().join("no/m"), b"").unwrap_err().kind(),
            ErrorKind::Io
        );
    }
}
