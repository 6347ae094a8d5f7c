//! Which file lies at a path: a database that is swapped under a live process would take commits that nobody finds again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;

/// The database and its journal as they were when they were opened, by device and inode.
pub(super) struct Identity {
    files: Vec<(PathBuf, (u64, u64))>,
}

impl Identity {
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        // The journal keeps its file for as long as a connection is open: a commit to one without a name is lost.
        let mut journal = path.as_os_str().to_owned();
        journal.push("-wal");
        let files = [path.to_path_buf(), PathBuf::from(journal)].into_iter().map(|path| {
            let identity = identity(&path).ok_or(StoreError::Swapped)?;
            Ok((path, identity))
        });
        Ok(Self { files: files.collect::<Result<_, StoreError>>()? })
    }

    /// Fails when another file, or none, lies at one of the paths now.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let same = self.files.iter().all(|(path, known)| identity(path).as_ref() == Some(known));
        if same { Ok(()) } else { Err(StoreError::Swapped) }
    }
}

/// Device and inode.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
