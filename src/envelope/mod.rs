//! The checked, versioned container of bytes that models and snapshots travel in; it knows no model.
//!
//! Layout, all integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `PROGNOS` and a zero byte |
//! | 4 | `format_version` of this layout: 1 for an unsigned envelope, 2 for a signed one |
//! | 4 | length `h` of the header |
//! | 8 | length `p` of the payload |
//! | `h` | header: [`Header`] in MessagePack, by name |
//! | `p` | payload: the kind's own type in MessagePack, by name |
//! | 32 | only in version 2: the public key of who signed |
//! | 64 | only in version 2: the signature |
//! | 32 | SHA-256 of all bytes before it |
//!
//! Reading goes in this order: size limit, magic, checksum, format version, lengths, in version 2 the signature, header;
//! then the kind's version, payload, schema and invariants. Any altered byte, and any truncation, is refused before a byte
//! of the content is interpreted.
//!
//! # Signatures
//!
//! The checksum tells a damaged file from a whole one; who made the file it cannot tell, as anyone can compute it. That
//! takes a signature and a list of the keys that are trusted:
//!
//! ```
//! use prognos::envelope::{self, Header, Provenance, SigningKey, TrustList};
//! # use prognos::{ErrorKind, envelope::{Fingerprint, SchemaRecord}};
//! # let schema = SchemaRecord { names: vec!["a".into()], units: vec!["g".into()], rate_hz: None, window_samples: None,
//! #     hop_samples: None, fingerprint: Fingerprint::of(b"a") };
//! # let header = Header::new("example", 1, schema, Provenance::default());
//! let unsigned = envelope::seal(&header, b"payload")?;
//! let key = SigningKey::from_bytes(&[7; 32]); // from a file: SigningKey::from_pem
//! let signed = envelope::sign(&unsigned, &key)?;
//!
//! let mut trusted = TrustList::new();
//! assert_eq!(envelope::open_trusted(&signed, &trusted).unwrap_err().kind(), ErrorKind::Untrusted);
//! trusted.add(key.public_key(), "plant 4")?;
//! let (header, payload) = envelope::open_trusted(&signed, &trusted)?;
//! assert_eq!(payload, b"payload");
//! assert_eq!(envelope::open_trusted(&unsigned, &trusted).unwrap_err().kind(), ErrorKind::Untrusted);
//! # Ok::<(), prognos::Error>(())
//! ```
//!
//! The signature is Ed25519 (RFC 8032, the pure form) over these bytes, one after the other: the 20 bytes
//! `prognos envelope v2` and a zero byte; all bytes of the file before the public key, version 2 among them; the public
//! key. It is checked strictly: the key and the signature's point must not be of small order, and of a signature only its
//! one canonical form counts. A signed file is refused by earlier versions of this crate as of a later format. Whoever can
//! write a file can also take its signature off and seal the content anew as unsigned: only [`open_trusted`], or a load
//! that takes a [`TrustList`], keeps such files out. Nothing in a file says when it was signed, or that a later one has
//! replaced it: an old file signed by a trusted key stays trusted.

mod file;
mod pem;
mod signature;
mod trust_list;

pub use file::{TEMPORARY_PREFIX, read_limited, write_atomic, write_atomic_with};
pub use signature::{PublicKey, SigningKey};
pub use trust_list::{MAX_TRUST_LIST_BYTES, TrustList};

use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use signature::{CONTEXT, PUBLIC_KEY, SIGNATURE};
use std::{collections::BTreeMap, fmt};

/// The version of the layout without a signature.
pub const FORMAT_VERSION: u32 = 1;
/// The version of the layout with a signature, and the highest that is read.
pub const SIGNED_FORMAT_VERSION: u32 = 2;
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
    let mut bytes = with_room_for(PREFIX as u64 + header.len() as u64 + payload.len() as u64 + CHECKSUM as u64)?;
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(payload);
    Ok(with_checksum(bytes))
}

fn with_room_for(total: u64) -> Result<Vec<u8>> {
    if total > MAX_BYTES {
        return Err(Error::persistence(format!(
            "envelope: expected at most {MAX_BYTES} bytes, got {total}"
        )));
    }
    Ok(Vec::with_capacity(total as usize))
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

/// Header and payload of an envelope, unsigned or signed by anyone. Where there is a signature it must hold for the key the
/// envelope carries; whose key that is only [`open_trusted`] asks.
///
/// # Errors
/// `Persistence` for bytes over [`MAX_BYTES`], without the magic, truncated, followed by others, altered, or of a later
/// format; `Untrusted` for a whole envelope whose signature does not hold. The message names which.
pub fn open(bytes: &[u8]) -> Result<(Header, &[u8])> {
    let parts = Parts::of(bytes)?;
    parts.check_signature()?;
    parts.content()
}

/// Header and payload of an envelope that a key of `trusted` has signed.
///
/// Costs a copy of the bytes while the signature is checked, as does [`open`] for a signed envelope.
///
/// # Errors
/// As [`open`]; `Untrusted` for an envelope without a signature, and for one signed by a key that is not on the list. The
/// message names which.
pub fn open_trusted<'a>(bytes: &'a [u8], trusted: &TrustList) -> Result<(Header, &'a [u8])> {
    let parts = Parts::of(bytes)?;
    match parts.check_signature()? {
        Some(key) if trusted.name_of(&key).is_some() => parts.content(),
        Some(key) => Err(Error::new(
            ErrorKind::Untrusted,
            format!("signature: expected one by a key on the trust list, got one by `{key}`"),
        )),
        None => Err(Error::new(
            ErrorKind::Untrusted,
            "signature: expected one by a key on the trust list, got an unsigned file",
        )),
    }
}

/// The same envelope signed by `key`, in the place of any signature it has. Header and payload stay as they are, and with
/// them every fingerprint; nothing of the payload needs to be understood.
///
/// # Errors
/// As [`open`]; `Persistence` where it would exceed [`MAX_BYTES`].
pub fn sign(bytes: &[u8], key: &SigningKey) -> Result<Vec<u8>> {
    let parts = Parts::of(bytes)?;
    parts.check_signature()?;
    parts.content()?;
    let body = parts.body;
    let mut signed = with_room_for((body.len() + PUBLIC_KEY + SIGNATURE + CHECKSUM) as u64)?;
    signed.extend_from_slice(body);
    signed[8..12].copy_from_slice(&SIGNED_FORMAT_VERSION.to_le_bytes());
    signed.extend_from_slice(&key.public_key().to_bytes());
    let signature = key.sign(&[CONTEXT, &signed].concat());
    signed.extend_from_slice(&signature);
    Ok(with_checksum(signed))
}

/// The key that signed an envelope, or nothing where none did. The signature holds; that says nothing of whose key it is.
///
/// # Errors
/// As [`open`].
pub fn signer(bytes: &[u8]) -> Result<Option<PublicKey>> {
    let parts = Parts::of(bytes)?;
    let signer = parts.check_signature()?;
    parts.content()?;
    Ok(signer)
}

/// An envelope whose size, magic, checksum, version and lengths are right.
struct Parts<'a> {
    /// From the magic to the end of the payload.
    body: &'a [u8],
    n_header: usize,
    /// Body and public key, the key, and the signature.
    signed: Option<(&'a [u8], &'a [u8; PUBLIC_KEY], &'a [u8; SIGNATURE])>,
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self> {
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
        let n_signature = if version == SIGNED_FORMAT_VERSION {
            PUBLIC_KEY + SIGNATURE
        } else {
            0
        };
        let expected = (PREFIX as u64 + n_header)
            .checked_add(n_payload)
            .and_then(|n| n.checked_add((n_signature + CHECKSUM) as u64));
        // The layout behind the version field is only known for versions up to ours, the checksum at the end for all.
        if !intact {
            return Err(Error::persistence(match expected {
                Some(n) if n > bytes.len() as u64 => {
                    format!("truncated or altered: expected {n} bytes, got {}", bytes.len())
                }
                _ => "altered: its SHA-256 is not the one it carries".into(),
            }));
        }
        if version == 0 || version > SIGNED_FORMAT_VERSION {
            return Err(Error::persistence(format!(
                "format version: expected 1..={SIGNED_FORMAT_VERSION}, got {version}{}",
                if version == 0 {
                    ""
                } else {
                    ", written by a later prognos"
                }
            )));
        }
        if expected != Some(bytes.len() as u64) {
            return Err(Error::persistence(format!(
                "lengths: expected {} bytes in all, got {}",
                expected.map_or("more than there can be".into(), |n| n.to_string()),
                bytes.len()
            )));
        }
        // The lengths add up to the bytes there are, so none of these falls short.
        let (body, _) = sealed.split_at(sealed.len() - n_signature);
        let signed = sealed[body.len()..]
            .split_first_chunk()
            .and_then(|(key, signature)| Some((&sealed[..body.len() + PUBLIC_KEY], key, signature.try_into().ok()?)));
        Ok(Self {
            body,
            n_header: n_header as usize,
            signed,
        })
    }

    /// The key that signed, where one did; fails unless its signature holds.
    fn check_signature(&self) -> Result<Option<PublicKey>> {
        self.signed
            .map(|(message, key, signature)| PublicKey::verify(key, &[CONTEXT, message].concat(), signature))
            .transpose()
    }

    /// Header and payload.
    fn content(&self) -> Result<(Header, &'a [u8])> {
        let (header, payload) = self.body[PREFIX..].split_at(self.n_header);
        Ok((decode(header).map_err(|e| e.context("header"))?, payload))
    }
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
        later[8] = 3;
        let e = open(&reseal(later)).unwrap_err();
        assert!(e.to_string().contains("later prognos"), "{e}");
        for (at, value) in [(12, 0xFF), (16, 0xFF), (23, 0xFF), (12, 0)] {
            let mut forged = sealed();
            forged[at] = value;
            assert_eq!(open(&reseal(forged)).unwrap_err().kind(), ErrorKind::Persistence);
        }
    }

    #[test]
    fn nothing_larger_than_is_read_is_written() {
        let room = |n: u64| with_room_for(n).map(|bytes| bytes.capacity() as u64 >= n);
        assert!(room(MAX_BYTES).unwrap());
        assert_eq!(room(MAX_BYTES + 1).unwrap_err().kind(), ErrorKind::Persistence);
    }
}
