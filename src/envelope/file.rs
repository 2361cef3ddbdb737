//! Files read with a limit and written whole or not at all.

use crate::error::{Error, Result};
use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    path::Path,
};

/// What the names of files begin with while they are written; a process that is killed may leave one.
pub const TEMPORARY_PREFIX: &str = ".prognos-";

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
