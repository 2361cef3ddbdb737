//! Snapshots on disk: a whole one, then changes, then a whole one again.

use super::{Fleet, FleetParams, Mark};
use crate::{
    envelope,
    error::{Error, Result},
    pipeline::Pipeline,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs,
    hash::Hash,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Changes written between two whole snapshots, unless told otherwise.
const CHANGES_BETWEEN: u64 = 20;

/// A folder of one fleet's snapshots: `00000007.whole`, and `00000008.changes`, `00000009.changes`, ... after it.
///
/// Each file is written beside its name, synced and renamed: a kill at any instant leaves the last complete snapshot. A whole
/// one is written first, after twenty of changes, and whenever changes cannot be counted; then files before it are deleted.
/// One process at a time writes into a folder.
#[derive(Clone, Debug)]
pub struct SnapshotFolder {
    path: PathBuf,
    changes_between: u64,
    next: u64,
    since_whole: u64,
    mark: Option<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Numbered {
    number: u64,
    is_whole: bool,
}

impl Numbered {
    fn of(name: &str) -> Option<Self> {
        let (number, kind) = name.split_once('.')?;
        let is_whole = match kind {
            "whole" => true,
            "changes" => false,
            _ => return None,
        };
        let well_formed = number.len() >= 8 && number.bytes().all(|b| b.is_ascii_digit());
        let number = well_formed.then(|| number.parse().ok())??;
        Some(Self { number, is_whole })
    }

    fn name(self) -> String {
        format!("{:08}.{}", self.number, if self.is_whole { "whole" } else { "changes" })
    }
}

impl SnapshotFolder {
    /// The folder at `path`, made where there is none.
    ///
    /// # Errors
    /// `Io`, naming the path.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        fs::create_dir_all(&path).map_err(|e| Error::io("create", &path, e))?;
        let mut folder = Self {
            path,
            changes_between: CHANGES_BETWEEN,
            next: 1,
            since_whole: 0,
            mark: None,
        };
        // What a process that was killed had begun: only one writes here.
        for entry in fs::read_dir(&folder.path).map_err(|e| Error::io("list", &folder.path, e))? {
            let entry = entry.map_err(|e| Error::io("list", &folder.path, e))?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(envelope::TEMPORARY_PREFIX)
            {
                let _ = fs::remove_file(entry.path());
            }
        }
        folder.next = folder.files()?.last().map_or(1, |last| last.number.saturating_add(1));
        Ok(folder)
    }

    /// Writes a whole snapshot after `n` of changes; after each where 0.
    #[must_use]
    pub fn changes_between(mut self, n: u64) -> Self {
        self.changes_between = n;
        self
    }

    /// In order of their numbers.
    fn files(&self) -> Result<Vec<Numbered>> {
        let failed = |e| Error::io("list", &self.path, e);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            files.extend(entry.map_err(failed)?.file_name().to_str().and_then(Numbered::of));
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Writes the next snapshot of `fleet`; gives its path. A folder belongs to one fleet: the one restored from it, or the
    /// first that is saved in it.
    ///
    /// # Errors
    /// `Io`, naming the path; `Persistence` where a key cannot be encoded. The files before stay, and the next call makes good.
    pub fn save<K>(&mut self, fleet: &Fleet<K>) -> Result<PathBuf>
    where
        K: Eq + Hash + Clone + Serialize + DeserializeOwned,
    {
        let changes = match &self.mark {
            Some(mark) if self.since_whole < self.changes_between => {
                let mark = *mark;
                envelope::write_atomic_with(&self.file(false), |to| fleet.write_changes(&mark, to)).ok()
            }
            _ => None,
        };
        let is_whole = changes.is_none();
        let path = self.file(is_whole);
        let mark = match changes {
            Some(mark) => mark,
            None => envelope::write_atomic_with(&path, |to| fleet.write_snapshot(to))?,
        };
        self.mark = Some(mark);
        self.since_whole = if is_whole { 0 } else { self.since_whole + 1 };
        let written = self.next;
        self.next = self.next.saturating_add(1);
        if is_whole {
            for file in self.files()?.into_iter().filter(|file| file.number < written) {
                // What cannot be deleted does no harm; the next whole snapshot tries again.
                let _ = fs::remove_file(self.path.join(file.name()));
            }
        }
        Ok(path)
    }

    fn file(&self, is_whole: bool) -> PathBuf {
        let number = self.next;
        self.path.join(Numbered { number, is_whole }.name())
    }

    /// The fleet of the last complete snapshot; `None` where the folder has none.
    ///
    /// # Errors
    /// As [`FleetParams::restore`], naming the file: a file that is damaged is never passed over.
    pub fn restore<K>(&mut self, params: FleetParams, model: impl Into<Arc<Pipeline>>) -> Result<Option<Fleet<K>>>
    where
        K: Eq + Hash + Clone + Serialize + DeserializeOwned,
    {
        self.restore_models(params, model.into(), None)
    }

    /// [`restore`](SnapshotFolder::restore), of a fleet with a model in the shadow.
    ///
    /// # Errors
    /// As there.
    pub fn restore_with_shadow<K>(
        &mut self,
        params: FleetParams,
        model: impl Into<Arc<Pipeline>>,
        shadow: impl Into<Arc<Pipeline>>,
    ) -> Result<Option<Fleet<K>>>
    where
        K: Eq + Hash + Clone + Serialize + DeserializeOwned,
    {
        self.restore_models(params, model.into(), Some(shadow.into()))
    }

    fn restore_models<K>(
        &mut self,
        params: FleetParams,
        model: Arc<Pipeline>,
        shadow: Option<Arc<Pipeline>>,
    ) -> Result<Option<Fleet<K>>>
    where
        K: Eq + Hash + Clone + Serialize + DeserializeOwned,
    {
        let files = self.files()?;
        let Some(at) = files.iter().rposition(|file| file.is_whole) else {
            return match files.first() {
                None => Ok(None),
                Some(file) => Err(Error::persistence(format!(
                    "{}: a whole snapshot before it expected, got none",
                    self.path.join(file.name()).display()
                ))),
            };
        };
        let open = |file: &Numbered| {
            let path = self.path.join(file.name());
            let opened = fs::File::open(&path).map_err(|e| Error::io("open", &path, e))?;
            Ok::<_, Error>((path, BufReader::new(opened)))
        };
        let (whole, changes) = match files.get(at..) {
            Some([whole, changes @ ..]) => (whole, changes),
            _ => return Ok(None),
        };
        let (path, from) = open(whole)?;
        let mut fleet = params
            .restore_models(model, shadow, from)
            .map_err(|e| e.context(path.display()))?;
        for file in changes {
            let (path, from) = open(file)?;
            fleet.apply(from).map_err(|e| e.context(path.display()))?;
        }
        self.mark = fleet.restored_mark();
        self.since_whole = changes.len() as u64;
        Ok(Some(fleet))
    }
}
