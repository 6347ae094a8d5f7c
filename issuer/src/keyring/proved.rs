//! The state file held against the log: a key is what its newest leaf says, whatever an older copy of the file would have it be.
//!
//! The leaves come first and the file after them. So the file may lack what one order has said in leaves, as long as that order
//! waits to be gone on with; then the leaves count. In any other way it may not differ.

use narrows_verifier::{Reason, RootKey, RootState};

use super::set::{KeySet, OwnKey, Step};
use crate::{
    keys::{KeyError, root_key_id},
    log::KeyRow,
};

/// The set that the log proves: that of the file, or without a file that of the first key alone, which nothing is said of yet.
/// `waiting` are the orders that are to be carried out, or gone on with.
///
/// # Errors
/// `KEY_SET_MISSING` or `KEY_SET_BEHIND`, or why the first key can't be had.
pub(super) fn hold(
    file: Option<KeySet>,
    first: impl FnOnce() -> Result<KeySet, KeyError>,
    logged: &[KeyRow],
    waiting: &[String],
) -> Result<KeySet, KeyError> {
    let begun = |row: &&KeyRow| row.asked == ENDED || waiting.contains(&row.asked);
    let file = match file {
        Some(set) => set,
        // The first change of all was cut off before there was a file.
        None if logged.iter().all(|row| begun(&row) || row.asked == UNCHANGED) => first()?,
        None => return Err(refused(Reason::KeySetMissing)),
    };
    let differs = |row: &&KeyRow| match file.keys().iter().find(|own| own.root.key.as_bytes() == &row.key) {
        Some(own) => !is_as_logged(own, row),
        None => row.state.is_some(),
    };
    if logged.iter().filter(differs).any(|row| !begun(&row)) {
        return Err(refused(Reason::KeySetBehind));
    }
    let mut set = file;
    set.follow(logged.iter().filter(begun));
    // The first key signs before anything is said of it. No other comes without a leaf.
    let unlogged = |own: &&OwnKey| logged.iter().all(|row| &row.key != own.root.key.as_bytes());
    let signing = set.keys().iter().filter(|own| own.root.state == RootState::Active).count();
    // A key that an order publishes comes into the file when the order is gone on with.
    let lacks = |row: &KeyRow| !matches!(row.state, None | Some(RootState::Prepared)) && set.find(number(row)).is_none();
    if signing > 1 || logged.iter().any(lacks) || set.keys().iter().filter(unlogged).any(|own| own.root.state != RootState::Active) {
        return Err(refused(Reason::KeySetBehind));
    }
    Ok(set)
}

/// What is to be said of keys before `next` may take the place of `base`, by the order of this id. What is in the log already is
/// not said again, so that an order can be gone on with.
pub(super) fn unsaid(base: &KeySet, next: &KeySet, logged: &[KeyRow], asked: &str) -> Vec<KeyRow> {
    let removed = base.keys().iter().filter(|own| next.find(own.root.id).is_none()).map(|own| row(own, None, asked));
    let standing = next.keys().iter().map(|own| {
        let same = base.find(own.root.id).is_some_and(|before| before.root == own.root);
        row(own, Some(own.root.state), if same { UNCHANGED } else { asked })
    });
    let mut rows: Vec<_> = removed.chain(standing).filter(|row| !logged.iter().any(|known| known.says_as(row))).collect();
    // What gives a key up waits for nothing else.
    rows.sort_by_key(|row| row.state != Some(RootState::Tainted));
    rows
}

impl KeySet {
    /// What a log would say of its keys.
    pub(crate) fn rows(&self) -> Vec<KeyRow> {
        self.keys().iter().map(|own| row(own, Some(own.root.state), UNCHANGED)).collect()
    }

    /// Takes on what leaves say of the keys that it has.
    pub(super) fn follow<'a>(&mut self, rows: impl Iterator<Item = &'a KeyRow>) {
        for row in rows {
            self.keys.retain(|own| own.root.key.as_bytes() != &row.key || row.state.is_some());
            let own = self.keys.iter_mut().find(|own| own.root.key.as_bytes() == &row.key);
            if let (Some(own), Some(state), Some(not_before)) = (own, row.state, row.not_before) {
                own.root = RootKey { state, not_before, not_after: row.not_after, spared_below: row.spared_below, ..own.root };
            }
        }
    }

    /// Whether a step has been taken.
    pub(super) fn has_taken(&self, step: &Step) -> bool {
        let is = |kid: u32, state| self.find(kid).is_some_and(|own| own.root.state == state);
        match step {
            // Which key a file holds, only the file says.
            Step::Prepare { .. } => false,
            Step::Activate { kid } => is(*kid, RootState::Active),
            Step::Retire { kid } => self.find(*kid).is_none(),
            Step::Taint { kid, spare_below } => {
                is(*kid, RootState::Tainted) && self.find(*kid).is_some_and(|own| own.root.spared_below == *spare_below)
            }
        }
    }
}

/// The number of the key that a row is about.
pub(super) fn number(row: &KeyRow) -> u32 {
    root_key_id(&row.key)
}

fn is_as_logged(own: &OwnKey, row: &KeyRow) -> bool {
    // Leaves of before that was said have no times.
    let bounds = row.not_before.is_none()
        || (row.not_before, row.not_after, row.spared_below) == (Some(own.root.not_before), own.root.not_after, own.root.spared_below);
    row.state == Some(own.root.state) && bounds
}

fn row(own: &OwnKey, state: Option<RootState>, asked: &str) -> KeyRow {
    KeyRow {
        key: *own.root.key.as_bytes(),
        state,
        not_before: Some(own.root.not_before),
        not_after: own.root.not_after,
        spared_below: own.root.spared_below.filter(|_| state.is_some()),
        asked: asked.to_owned(),
    }
}

fn refused(reason: Reason) -> KeyError {
    KeyError { reason, message: format!("{}; `narrows keys rebuild` makes the file anew from the log", reason.meaning()) }
}

/// What asks for keys to go whose tokens are all over, and for what has not changed to be said for the first time. No order has
/// these names.
pub(super) const ENDED: &str = "ended";
const UNCHANGED: &str = "unchanged";
