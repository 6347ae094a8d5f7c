//! The anchor: the last checkpoint, kept in a file of its own outside of the database.
//!
//! A signed tree alone does not show that it is an old one: a restored backup, or a tail cut off with its checkpoints, verifies
//! by itself. The anchor is small and moves forward only, so whoever rolls the database back has to find it too. It is worth
//! most on another volume, or where another account may write.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use narrows_verifier::Reason;
use narrows_verifier::log::{Checkpoint, MAX_NOTE_BYTES, VerifierKey, root, verify_checkpoint};

use super::error::LogError;
use crate::bounded_file;
use crate::store::Rows;

/// An anchor file that this process alone advances.
pub(super) struct Anchor {
    path: PathBuf,
    /// What the file holds, as this process wrote or found it.
    last: String,
    /// Held for its lock: two services on one anchor would each think the other's checkpoints to be a rollback.
    _lock: File,
}

impl Anchor {
    /// Holds the log at `path`'s anchor against the log, and brings it up to the log's newest checkpoint. `known` says that
    /// the log had an anchor before, which must then be there; `accept_missing` is the operator's word to go on without it.
    ///
    /// # Errors
    /// `AUDIT_ROLLBACK_DETECTED`, `AUDIT_ANCHOR_MISSING`, `LOG_BUSY`, or what the disk says.
    pub(super) fn open(path: &Path, rows: &Rows<'_>, key: &VerifierKey, newest: &str, accept_missing: bool) -> Result<Self, LogError> {
        let lock = lock(path)?;
        let found = read(path)?;
        match &found {
            Some(note) => hold_against(rows, &parse(note, key)?, &parse(newest, key)?)?,
            None if rows.is_anchored()? && !accept_missing => {
                let detail = format!("the log's anchor is not at `{}`", path.display());
                return Err(LogError::new(Reason::AuditAnchorMissing, detail));
            }
            None => {}
        }
        let mut anchor = Self { path: path.to_path_buf(), last: found.unwrap_or_default(), _lock: lock };
        if anchor.last != newest {
            anchor.replace(newest).map_err(unwritable)?;
        }
        Ok(anchor)
    }

    /// Puts `note` in the place of the last, which must still be there.
    ///
    /// # Errors
    /// `AUDIT_ROLLBACK_DETECTED` when somebody else changed the file, or what the disk says.
    pub(super) fn advance(&mut self, note: &str) -> Result<(), LogError> {
        if read(&self.path)?.as_deref() != Some(&self.last) {
            return Err(LogError::new(Reason::AuditRollbackDetected, "the anchor is not what this process last wrote there"));
        }
        self.replace(note).map_err(unwritable)
    }

    /// The new file is whole on the disk before it takes the name, so a crash leaves the old or the new one.
    fn replace(&mut self, note: &str) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        File::open(directory(&self.path))?.sync_all()?;
        note.clone_into(&mut self.last);
        Ok(())
    }
}

/// The anchor's note, for recovery, where the log is known to be behind it.
pub(super) fn anchored(path: &Path, key: &VerifierKey) -> Result<(String, Checkpoint), LogError> {
    let note =
        read(path)?.ok_or_else(|| LogError::new(Reason::AuditAnchorMissing, format!("there is no anchor at `{}`", path.display())))?;
    let checkpoint = parse(&note, key)?;
    Ok((note, checkpoint))
}

fn hold_against(rows: &Rows<'_>, anchored: &Checkpoint, newest: &Checkpoint) -> Result<(), LogError> {
    if anchored.size > newest.size {
        let detail = format!("the log has {} leaves and its anchor says that there were {}", newest.size, anchored.size);
        return Err(LogError::new(Reason::AuditRollbackDetected, detail));
    }
    // The stored hashes are those that the newest checkpoint signs: where they lead to another root at the anchor's size, this
    // log is another branch.
    if root(anchored.size, |level, index| rows.expect_node(level, index))? != anchored.root {
        let detail = format!("the log's first {} leaves are not those that were anchored", anchored.size);
        return Err(LogError::new(Reason::AuditRollbackDetected, detail));
    }
    Ok(())
}

fn parse(note: &str, key: &VerifierKey) -> Result<Checkpoint, LogError> {
    verify_checkpoint(note, std::slice::from_ref(key))
        .map_err(|refusal| LogError::new(Reason::AuditAnchorMissing, format!("the anchor is no checkpoint of this log: {refusal}")))
}

fn read(path: &Path) -> Result<Option<String>, LogError> {
    match bounded_file::read_text(path, MAX_NOTE_BYTES as u64) {
        Ok(note) => Ok(Some(note)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::new(Reason::AuditAnchorMissing, format!("the anchor can't be read: {error}"))),
    }
}

fn lock(path: &Path) -> Result<File, LogError> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(beside(path, ".lock")).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::new(Reason::LogBusy, "another process advances this anchor")),
        Err(TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unwritable(error: io::Error) -> LogError {
    LogError::new(Reason::AuditUnavailable, format!("the anchor can't be written: {error}"))
}
