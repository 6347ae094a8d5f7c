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
    /// `KEY_ORDER_WAITING` where one is waiting already, or is being carried out.
    pub fn leave(&self, order: &Order) -> Result<(), KeyError> {
        if self.taken_file().exists() && !order.step.gives_up() {
            return Err(at_fault(Reason::KeyOrderWaiting, format!("`{}` is being carried out", self.taken_file().display())));
        }
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

    /// Takes an order back; false where there is none any more, such as one that has been taken to be carried out.
    ///
    /// # Errors
    /// What the disk says.
    pub fn take_back(&self) -> io::Result<bool> {
        remove_if_any(&self.order_file())
    }

    /// Takes the order to carry it out, durable when this returns: from now on nobody takes it back, and whatever becomes of the
    /// process, it is gone on with.
    ///
    /// # Errors
    /// What the disk says, but not that it was taken before.
    pub(super) fn take(&self) -> io::Result<()> {
        match fs::rename(self.order_file(), self.taken_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::File::open(&self.directory).and_then(|directory| directory.sync_all()),
        }
    }

    /// Takes the order away with its answer.
    ///
    /// # Errors
    /// What the disk says, but not that there is none.
    pub(super) fn clear(&self) -> io::Result<()> {
        // The one that was taken goes first, and alone: another may wait already.
        if !remove_if_any(&self.taken_file())? {
            remove_if_any(&self.order_file())?;
        }
        Ok(())
    }

    /// The ids of the orders that are there, of which leaves may say a part already.
    pub(super) fn waiting(&self) -> Vec<String> {
        let files = [self.taken_file(), self.order_file()];
        files.iter().filter_map(|file| read_order(file).ok().flatten()).map(|order| order.id).collect()
    }

    /// The order that was taken, or else the one that waits. What gives a key up goes before one that can't be gone on with.
    ///
    /// # Errors
    /// `KEY_SET_MALFORMED` for what is none, or a reason of key files.
    pub(super) fn order(&self) -> Result<Option<Order>, KeyError> {
        match read_order(&self.taken_file())? {
            None => read_order(&self.order_file()),
            taken => Ok(read_order(&self.order_file()).ok().flatten().filter(|order| order.step.gives_up()).or(taken)),
        }
    }

    /// The keys as they stand.
    ///
    /// # Errors
    /// `KEY_SET_MALFORMED`, `KEY_FILE_LINK`, or a reason of key files.
    pub fn set(&self) -> Result<Option<KeySet>, KeyError> {
        if self.set_file().is_symlink() {
            return Err(at_fault(
                Reason::KeyFileLink,
                format!("`{}` is a symbolic link, and is replaced with each change", self.set_file().display()),
            ));
        }
        let Some(text) = read_if_any(&self.set_file())? else { return Ok(None) };
        let set = KeySet::parse(&text);
        set.map(Some).map_err(|reason| at_fault(reason, format!("`{}` can't be used", self.set_file().display())))
    }

    /// Has the keys that spare tokens below an index of the log spare none any more, for a log that follows another: there, the
    /// index means something else.
    ///
    /// # Errors
    /// As [`Place::set`], and what the disk says.
    pub fn spare_nothing(&self) -> Result<(), KeyError> {
        let Some(mut set) = self.set()?.filter(|set| set.keys.iter().any(|own| own.root.spared_below.is_some())) else { return Ok(()) };
        set.keys.iter_mut().for_each(|own| own.root.spared_below = None);
        self.replace_set(&set)
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

    fn taken_file(&self) -> PathBuf {
        self.directory.join(TAKEN_FILE)
    }
}

fn read_order(file: &Path) -> Result<Option<Order>, KeyError> {
    let Some(text) = read_if_any(file)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|_| at_fault(Reason::KeySetMalformed, "the order about keys is none"))
}

fn remove_if_any(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
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
const TAKEN_FILE: &str = "issuer-keys.order.taken";
/// 32 keys with long paths.
const MAX_BYTES: u64 = 262_144;
