//! What a user names on the command line: files, ids, places in the log.

use std::path::Path;

use anyhow::bail;
use narrows_issuer::bounded_file;
use narrows_verifier::{EntryId, Reason, log::MAX_TREE_SIZE};

/// The bytes of a file of at most `most`.
pub(super) fn bytes(file: &Path, most: usize) -> anyhow::Result<Vec<u8>> {
    bounded_file::read(file, most as u64).map_err(|error| unreadable(file, &error))
}

/// A text of at most `most` bytes.
pub(super) fn text(file: &Path, most: usize) -> anyhow::Result<String> {
    bounded_file::read_text(file, most as u64).map_err(|error| unreadable(file, &error))
}

/// The same, or `None` where there is no such file.
pub(super) fn text_if_there(file: &Path, most: usize) -> anyhow::Result<Option<String>> {
    match bounded_file::read_text(file, most as u64) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(file, &error)),
    }
}

/// An entry id, or a leaf's index.
pub(super) enum Place {
    Entry(EntryId),
    Index(u64),
}

/// Reads an entry id or an index.
pub(super) fn place(text: &str) -> anyhow::Result<Place> {
    if let Some(entry) = EntryId::from_hex(text) {
        return Ok(Place::Entry(entry));
    }
    let plain = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    match text.parse() {
        Ok(index) if plain && index < MAX_TREE_SIZE => Ok(Place::Index(index)),
        Ok(_) if plain => bail!("{UNKNOWN_ENTRY}"),
        _ => bail!("{}", invalid(&format!("`{}` is neither an entry id of 32 hex digits nor an index", text.escape_debug()))),
    }
}

/// The fault of an argument, with its code.
pub(super) fn invalid(fault: &str) -> String {
    format!("{fault} ({})", Reason::ParameterInvalid)
}

/// What else has to be given, with the code.
pub(super) fn missing(fault: &str) -> String {
    format!("{fault} ({})", Reason::ParameterMissing)
}

/// The fault of a file that is to be written, with its code.
pub(super) fn unwritable(file: &Path) -> String {
    format!("`{}` can't be written ({})", file.display(), Reason::FileUnusable)
}

fn unreadable(file: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow::anyhow!("`{}` can't be read: {error} ({})", file.display(), Reason::FileUnusable)
}

/// What is said where the log has no such leaf.
pub(super) const UNKNOWN_ENTRY: &str = "the log has no such entry (ENTRY_UNKNOWN)";
