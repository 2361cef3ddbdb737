//! A fleet as bytes: all machines, or those that changed.
//!
//! All integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `PROGFLT` and a zero byte |
//! | 4 | version of this layout |
//! | 4 | length `h` of the header |
//! | `h` | header in MessagePack, by name |
//! | 32 | SHA-256 of all bytes before it |
//! | 5 + `n` + 32 | blocks: tag 1 (machines) or 2 (machines that left), length `n`, MessagePack, digest |
//! | 13 + 32 | end: tag 255, length 8, number of entries in all blocks, digest |
//!
//! The digest of a block is the SHA-256 of the digest before it and the block's own bytes, so that no block can be altered, left
//! out, repeated or moved to another place or file. A block is at most 64 MiB; nothing is allocated beyond what has arrived.

use super::{
    Fleet, FleetParams,
    slot::{MAX_COUNT, Memory, Slot},
};
use crate::{
    envelope::{self, Fingerprint},
    error::{Error, Result},
    model::OnlineModel,
    pipeline::Pipeline,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    hash::Hash,
    io::{Read, Write},
    sync::Arc,
};

/// The version of the layout this crate writes, and the highest it reads.
pub const SNAPSHOT_VERSION: u32 = 1;
/// Machines a snapshot holds at most.
pub const MAX_SNAPSHOT_ASSETS: u64 = 1 << 32;

const MAGIC: [u8; 8] = *b"PROGFLT\0";
const MAX_HEADER: u32 = 1 << 20;
const MAX_BLOCK: u32 = 64 << 20;
/// A block is closed once it is this long.
const FULL_BLOCK: usize = 1 << 20;
const MACHINES: u8 = 1;
const LEFT: u8 = 2;
const END: u8 = 255;

/// A snapshot that was written whole: what [`Fleet::write_changes`] counts changes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    call: u64,
    digest: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Header {
    crate_version: String,
    model: Fingerprint,
    shadow: Option<Fingerprint>,
    /// Digest of the snapshot whose machines these are the changes of.
    base: Option<[u8; 32]>,
    call: u64,
    number: u64,
}

fn broken(what: impl std::fmt::Display) -> Error {
    Error::persistence(format!("snapshot: {what}"))
}

struct Writer<W> {
    to: W,
    digest: [u8; 32],
    entries: u64,
}

impl<W: Write> Writer<W> {
    fn begin(mut to: W, header: &Header) -> Result<Self> {
        let header = envelope::encode(header)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&header);
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        bytes.extend_from_slice(&digest);
        to.write_all(&bytes).map_err(write_failed)?;
        Ok(Self { to, digest, entries: 0 })
    }

    fn block(&mut self, tag: u8, payload: &[u8]) -> Result<()> {
        if payload.len() > MAX_BLOCK as usize {
            return Err(broken(format!(
                "a machine of at most {MAX_BLOCK} bytes expected, got {}",
                payload.len()
            )));
        }
        let head = head(tag, payload.len() as u32);
        self.digest = chained(&self.digest, &head, payload);
        self.to.write_all(&head).map_err(write_failed)?;
        self.to.write_all(payload).map_err(write_failed)?;
        self.to.write_all(&self.digest).map_err(write_failed)
    }

    /// Writes entries into blocks.
    fn entries<T: Serialize>(&mut self, tag: u8, entries: impl Iterator<Item = T>) -> Result<()> {
        let mut payload = Vec::new();
        for entry in entries {
            rmp_serde::encode::write_named(&mut payload, &entry)
                .map_err(|e| broken("cannot encode a machine").with_source(e))?;
            self.entries += 1;
            if payload.len() >= FULL_BLOCK {
                self.block(tag, &payload)?;
                payload.clear();
            }
        }
        if payload.is_empty() {
            Ok(())
        } else {
            self.block(tag, &payload)
        }
    }

    fn end(mut self, call: u64) -> Result<Mark> {
        let entries = self.entries.to_le_bytes();
        self.block(END, &entries)?;
        self.to.flush().map_err(write_failed)?;
        Ok(Mark {
            call,
            digest: self.digest,
        })
    }
}

fn write_failed(e: std::io::Error) -> Error {
    Error::new(crate::error::ErrorKind::Io, "snapshot: cannot be written").with_source(e)
}

fn head(tag: u8, length: u32) -> [u8; 5] {
    let [a, b, c, d] = length.to_le_bytes();
    [tag, a, b, c, d]
}

fn chained(before: &[u8; 32], head: &[u8; 5], payload: &[u8]) -> [u8; 32] {
    let mut sum = Sha256::new();
    sum.update(before);
    sum.update(head);
    sum.update(payload);
    sum.finalize().into()
}

struct Reader<R> {
    from: R,
    digest: [u8; 32],
    header: Header,
}

impl<R: Read> Reader<R> {
    fn begin(mut from: R) -> Result<Self> {
        let mut prefix = [0; 16];
        fill(&mut from, &mut prefix)?;
        let [magic @ .., _, _, _, _, _, _, _, _] = prefix;
        if magic != MAGIC {
            return Err(broken("its first bytes are not `PROGFLT`"));
        }
        let [.., v0, v1, v2, v3, l0, l1, l2, l3] = prefix;
        let (version, length) = (
            u32::from_le_bytes([v0, v1, v2, v3]),
            u32::from_le_bytes([l0, l1, l2, l3]),
        );
        if length > MAX_HEADER {
            return Err(broken(format!(
                "a header of at most {MAX_HEADER} bytes expected, got {length}"
            )));
        }
        let mut sum = Sha256::new();
        sum.update(prefix);
        let header = take(&mut from, length)?;
        sum.update(&header);
        let mut digest = [0; 32];
        fill(&mut from, &mut digest)?;
        let own: [u8; 32] = sum.finalize().into();
        if own != digest {
            return Err(broken("the header's SHA-256 is not the one it carries"));
        }
        if version == 0 || version > SNAPSHOT_VERSION {
            return Err(broken(format!(
                "version 1..={SNAPSHOT_VERSION} expected, got {version}"
            )));
        }
        let header: Header = envelope::decode(&header).map_err(|e| e.context("header of a snapshot"))?;
        if header.call > MAX_COUNT || header.number > MAX_COUNT {
            return Err(broken(format!(
                "counts of at most {MAX_COUNT} expected, got {} and {}",
                header.call, header.number
            )));
        }
        Ok(Self { from, digest, header })
    }

    fn block(&mut self, payload: &mut Vec<u8>) -> Result<u8> {
        let mut head = [0; 5];
        fill(&mut self.from, &mut head)?;
        let [tag, a, b, c, d] = head;
        let length = u32::from_le_bytes([a, b, c, d]);
        if length > MAX_BLOCK {
            return Err(broken(format!(
                "a block of at most {MAX_BLOCK} bytes expected, got {length}"
            )));
        }
        take_into(&mut self.from, length, payload)?;
        let mut digest = [0; 32];
        fill(&mut self.from, &mut digest)?;
        if chained(&self.digest, &head, payload) != digest {
            return Err(broken("a block's SHA-256 is not the one it carries"));
        }
        self.digest = digest;
        Ok(tag)
    }
}

fn read_failed(e: std::io::Error) -> Error {
    if e.kind() == std::io::ErrorKind::UnexpectedEof {
        broken("truncated")
    } else {
        Error::new(crate::error::ErrorKind::Io, "snapshot: cannot be read").with_source(e)
    }
}

fn fill(from: &mut impl Read, into: &mut [u8]) -> Result<()> {
    from.read_exact(into).map_err(read_failed)
}

fn take(from: &mut impl Read, length: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    take_into(from, length, &mut bytes)?;
    Ok(bytes)
}

/// Grows as bytes arrive, not as a length promises.
fn take_into(from: &mut impl Read, length: u32, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.clear();
    from.take(length.into()).read_to_end(bytes).map_err(read_failed)?;
    if bytes.len() < length as usize {
        return Err(broken("truncated"));
    }
    Ok(())
}

/// Calls `each` with every value of a block.
fn each_entry<T: DeserializeOwned>(mut block: &[u8], mut each: impl FnMut(T) -> Result<()>) -> Result<u64> {
    let mut n = 0;
    while !block.is_empty() {
        let entry = rmp_serde::from_read(&mut block)
            .map_err(|e| broken(format!("a machine cannot be read: {e}")).with_source(e))?;
        each(entry)?;
        n += 1;
    }
    Ok(n)
}

impl<K: Eq + Hash + Clone + Serialize + DeserializeOwned> Fleet<K> {
    /// Writes all machines, in the order they were admitted in: the same fleet gives the same bytes. What was told (events,
    /// metrics, figures of a trial, the open window of watched inputs) is no part of it. Gives the mark that
    /// [`write_changes`](Fleet::write_changes) counts from, once all is written.
    ///
    /// # Errors
    /// `Io` where `to` fails, `Persistence` where a key cannot be encoded.
    pub fn write_snapshot(&self, to: impl Write) -> Result<Mark> {
        self.write(None, to)
    }

    /// Writes the machines that changed since `mark`, and the names of those that left: [`apply`](Fleet::apply) takes them in,
    /// after the snapshot that the mark is of.
    ///
    /// # Errors
    /// `InvalidInput` where more machines left since than are remembered, or the model or that in the shadow is another since:
    /// a whole snapshot is due. Else as [`write_snapshot`](Fleet::write_snapshot).
    pub fn write_changes(&self, mark: &Mark, to: impl Write) -> Result<Mark> {
        if mark.call < self.left_since || mark.call > self.call {
            return Err(Error::input(
                "mark of a snapshot",
                "one of this fleet, not too long ago",
                "one that changes cannot be counted from",
            ));
        }
        self.write(Some(mark), to)
    }

    fn write(&self, since: Option<&Mark>, to: impl Write) -> Result<Mark> {
        #[cfg(feature = "tracing")]
        let _span = tracing::info_span!("prognos.snapshot", n = self.n_assets, whole = since.is_none()).entered();
        let header = Header {
            crate_version: env!("CARGO_PKG_VERSION").into(),
            model: self.model.fingerprint(),
            shadow: self.shadow.as_ref().map(|m| m.fingerprint()),
            base: since.map(|mark| mark.digest),
            call: self.call,
            number: self.number,
        };
        let mut writer = Writer::begin(to, &header)?;
        if let Some(mark) = since {
            let left = self.left.iter().filter(|(call, _)| *call > mark.call);
            writer.entries(LEFT, left.map(|(_, key)| key))?;
        }
        let mut slots: Vec<&Slot<K>> = self
            .slots()
            .filter(|slot| since.is_none_or(|mark| slot.changed > mark.call))
            .collect();
        slots.sort_unstable_by_key(|slot| slot.memory.number);
        writer.entries(MACHINES, slots.into_iter().map(|slot| (&slot.key, &slot.memory)))?;
        writer.end(self.call)
    }

    /// The mark of the snapshot this fleet was restored from, or of the changes [applied](Fleet::apply) last.
    pub fn restored_mark(&self) -> Option<Mark> {
        self.restored
    }

    /// Takes in the changes that were written after the snapshot this fleet was restored from, or after those applied last. All
    /// of them, or none.
    ///
    /// # Errors
    /// `Persistence` for bytes that are truncated, altered, of a later version or not the next changes; `StateMismatch` for
    /// those of another model; `InvalidParameter` for more machines than the settings allow; `Io` where `from` fails.
    pub fn apply(&mut self, from: impl Read) -> Result<()> {
        let base = self.restored.filter(|mark| mark.call == self.call);
        let Some(base) = base else {
            return Err(Error::input(
                "fleet to apply changes to",
                "one as it was restored",
                "one that has gone on since",
            ));
        };
        let reader = Reader::begin(from)?;
        if reader.header.base != Some(base.digest) {
            return Err(broken("changes that follow what was restored expected, got others"));
        }
        let changes = self.read(reader)?;
        if let Some(n) = self.params.max_assets {
            let gone: HashSet<&K> = changes.left.iter().filter(|key| self.slot(*key).is_some()).collect();
            let is_new = |key: &&K| gone.contains(key) || self.slot(*key).is_none();
            let new: HashSet<&K> = changes.machines.iter().map(|slot| &slot.key).filter(is_new).collect();
            let after = self.n_assets - gone.len() + new.len();
            if after > n {
                return Err(Error::parameter("max_assets", format!("room for {after} machines"), n));
            }
        }
        for key in &changes.left {
            self.take_out(key);
        }
        for slot in changes.machines {
            self.take_out(&slot.key);
            self.settle(slot);
        }
        self.restored_as(&changes.header, changes.digest);
        Ok(())
    }

    fn restored_as(&mut self, header: &Header, digest: [u8; 32]) {
        (self.call, self.number) = (header.call, header.number);
        self.left.clear();
        self.left_since = header.call;
        let call = self.call;
        for slot in self.shards.iter_mut().flat_map(|shard| &mut shard.slots) {
            slot.changed = call;
        }
        self.restored = Some(Mark { call, digest });
    }

    fn read<R: Read>(&self, mut reader: Reader<R>) -> Result<Contents<K>> {
        let models = [
            Some(self.model.fingerprint()),
            self.shadow.as_ref().map(|m| m.fingerprint()),
        ];
        let shown = |f: Option<Fingerprint>| f.map_or("none".to_string(), |f| f.to_string());
        for (what, ours, theirs) in [
            ("model of the snapshot", models[0], Some(reader.header.model)),
            ("model in the shadow of the snapshot", models[1], reader.header.shadow),
        ] {
            if ours != theirs {
                return Err(Error::state(what, shown(ours), shown(theirs)));
            }
        }
        let mut machines: Vec<Slot<K>> = Vec::new();
        let mut left = Vec::new();
        let (mut entries, mut payload) = (0u64, Vec::new());
        loop {
            match reader.block(&mut payload)? {
                MACHINES => {
                    entries += each_entry(&payload, |(key, mut memory): (K, Memory)| {
                        memory.check(&self.model, self.shadow.as_deref())?;
                        if memory.number >= reader.header.number {
                            return Err(broken("a machine's number beyond the last"));
                        }
                        // Written under settings without a budget.
                        if self.params.memory_budget.is_some() && memory.charged == 0 {
                            memory.charge()?;
                        }
                        machines.push(Slot {
                            key,
                            memory,
                            changed: 0,
                            last: None,
                            unusable: None,
                            monitored: 0,
                        });
                        Ok(())
                    })?;
                }
                LEFT => {
                    entries += each_entry(&payload, |key| {
                        left.push(key);
                        Ok(())
                    })?;
                }
                END => break,
                tag => return Err(broken(format!("block of kind 1, 2 or 255 expected, got {tag}"))),
            }
        }
        if payload != entries.to_le_bytes() {
            return Err(broken(format!("another number of machines than the {entries} in it")));
        }
        if reader.from.read(&mut [0]).map_err(read_failed)? != 0 {
            return Err(broken("followed by other bytes"));
        }
        Ok(Contents {
            header: reader.header,
            digest: reader.digest,
            machines,
            left,
        })
    }
}

/// What was read of a snapshot.
struct Contents<K> {
    header: Header,
    digest: [u8; 32],
    machines: Vec<Slot<K>>,
    left: Vec<K>,
}

impl FleetParams {
    /// The fleet that was written as a whole snapshot: every machine goes on with the outcomes it would have had, to the last
    /// bit. Bounds on machines are those of these settings; a snapshot of more than they allow is refused.
    ///
    /// # Errors
    /// `Persistence` for bytes that are truncated, altered, of a later version or only changes; `StateMismatch` for a snapshot
    /// of another model, or of a fleet with a model in the shadow; `InvalidParameter` for wrong settings; `Io` where `from`
    /// fails.
    pub fn restore<K>(self, model: impl Into<Arc<Pipeline>>, from: impl Read) -> Result<Fleet<K>>
    where
        K: Eq + Hash + Clone + Serialize + DeserializeOwned,
    {
        self.restore_models(model.into(), None, from)
    }

    /// [`restore`](FleetParams::restore), of a fleet with a model in the shadow.
    ///
    /// # Errors
    /// As there.
    pub fn restore_with_shadow<K>(
        self,
        model: impl Into<Arc<Pipeline>>,
        shadow: impl Into<Arc<Pipeline>>,
        from: impl Read,
    ) -> Result<Fleet<K>>
    where
        K: Eq + Hash + Clone + Serialize + DeserializeOwned,
    {
        self.restore_models(model.into(), Some(shadow.into()), from)
    }

    pub(super) fn restore_models<K>(
        self,
        model: Arc<Pipeline>,
        shadow: Option<Arc<Pipeline>>,
        from: impl Read,
    ) -> Result<Fleet<K>>
    where
        K: Eq + Hash + Clone + Serialize + DeserializeOwned,
    {
        #[cfg(feature = "tracing")]
        let _span = tracing::info_span!("prognos.restore").entered();
        let mut fleet = Fleet::with_params(self, model)?;
        if let Some(shadow) = shadow {
            fleet.shadow(shadow)?;
        }
        let reader = Reader::begin(from)?;
        if reader.header.base.is_some() {
            return Err(broken("a whole one expected, got changes"));
        }
        let read = fleet.read(reader)?;
        if !read.left.is_empty() {
            return Err(broken("machines that left in a whole one"));
        }
        for slot in read.machines {
            if fleet.slot(&slot.key).is_some() {
                return Err(broken("a machine twice"));
            }
            if fleet.params.max_assets.is_some_and(|n| fleet.n_assets >= n) {
                let n = fleet.n_assets;
                return Err(Error::parameter(
                    "max_assets",
                    "room for all machines of the snapshot",
                    n,
                ));
            }
            fleet.settle(slot);
        }
        fleet.restored_as(&read.header, read.digest);
        Ok(fleet)
    }
}
