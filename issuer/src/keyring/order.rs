//! How an operator tells a running service about its keys: one file, which the service takes away with its answer.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use narrows_verifier::Reason;
use serde::{Deserialize, Serialize};

use super::set::{KeySet, Step};
use crate::keys::{KeyError, read_private, write_private};

/// An order and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// By which its answer is found.
    pub id: String,
    /// What to do.
    pub step: Step,
}

/// The files of the keys of one data directory.
#[derive(Clone, Debug)]
pub struct Place {
    directory: PathBuf,
}

impl Place {
    /// The files in this data directory.
    pub fn new(data_dir: &Path) -> Self {
        Self { directory: data_dir.to_owned() }
    }

    /// Where a new key of this number belongs.
    pub fn key_file(&self, kid: u32) -> PathBuf {
        self.directory.join(format!("issuer-{kid}.key"))
    }

    /// Leaves an order for the service.
    ///
    /// # Errors
    /// `KEY_ORDER_WAITING` where one is waiting already.
    pub fn leave(&self, order: &Order) -> Result<(), KeyError> {
        let text = serde_json::to_string(order).map_err(|error| at_fault(Reason::Internal, error.to_string()))?;
        // Linked when it is whole: the service never sees half an order.
        let fresh = self.directory.join(format!("{ORDER_FILE}.{}", order.id));
        write_private(&fresh, text.as_bytes())?;
        let linked = fs::hard_link(&fresh, self.order_file());
        let cleared = fs::remove_file(&fresh);
        linked.and(cleared).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => at_fault(Reason::KeyOrderWaiting, format!("`{}` is waiting", self.order_file().display())),
            _ => at_fault(Reason::KeyFileMissing, format!("can't write `{}`: {error}", self.order_file().display())),
        })
    }

    /// Takes an order back, or away with its answer.
    ///
    /// # Errors
    /// What the disk says, but not that there is none.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_file(self.order_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The order that waits.
    ///
    /// # Errors
    /// `KEY_SET_MALFORMED` for what is none, or a reason of key files.
    pub(super) fn order(&self) -> Result<Option<Order>, KeyError> {
        let Some(text) = read_if_any(&self.order_file())? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|_| at_fault(Reason::KeySetMalformed, "the order about keys is none"))
    }

    /// The keys as they stand.
    ///
    /// # Errors
    /// `KEY_SET_MALFORMED`, or a reason of key files.
    pub fn set(&self) -> Result<Option<KeySet>, KeyError> {
        let Some(text) = read_if_any(&self.set_file())? else { return Ok(None) };
        let set = KeySet::parse(&text);
        set.map(Some).map_err(|reason| at_fault(reason, format!("`{}` can't be used", self.set_file().display())))
    }

    /// Writes them, durable when this returns.
    pub(super) fn replace_set(&self, set: &KeySet) -> Result<(), KeyError> {
        let fresh = self.directory.join(format!("{SET_FILE}.new"));
        let failed = |error: io::Error| at_fault(Reason::KeyFileMissing, format!("can't replace `{}`: {error}", self.set_file().display()));
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        write_private(&fresh, set.text().as_bytes())?;
        fs::rename(&fresh, self.set_file()).map_err(failed)?;
        fs::File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }

    fn set_file(&self) -> PathBuf {
        self.directory.join(SET_FILE)
    }

    fn order_file(&self) -> PathBuf {
        self.directory.join(ORDER_FILE)
    }
}

fn read_if_any(path: &Path) -> Result<Option<String>, KeyError> {
    // A link that leads nowhere is no missing file.
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    let bytes = read_private(path, MAX_BYTES)?;
    let text = core::str::from_utf8(&bytes).map_err(|_| at_fault(Reason::KeySetMalformed, format!("`{}` is no text", path.display())))?;
    Ok(Some(text.to_owned()))
}

fn at_fault(reason: Reason, message: impl Into<String>) -> KeyError {
    KeyError { reason, message: message.into() }
}

const SET_FILE: &str = "issuer-keys.json";
const ORDER_FILE: &str = "issuer-keys.order";
/// 32 keys with long paths.
const MAX_BYTES: u64 = 262_144;
