//! What a log that follows another one takes over from it: each client and each key is a leaf of its own, so that no row of the new
//! log rests on its first leaf alone.

use narrows_verifier::json::Value;
use narrows_verifier::log::{Disclosure, EntryId, Kind, Leaf, Salt, commit};

use super::append::SideRow;
use super::recover::{Kept, Previous};
use super::root_keys::key_leaf;
use super::{NOBODY, Opening};
use crate::app::random;
use crate::clients::Registration;
use crate::store::KeyRow;

/// A leaf with what is stored beside it.
pub(super) type Beginning = (Leaf, Vec<SideRow>);

/// What the first leaf says of the log before it.
pub(super) fn opens(leaf: Leaf, previous: &Previous) -> Beginning {
    let kept = previous.kept.clients.len() + previous.kept.keys.len();
    let members = [
        (PREVIOUS, Value::Text(previous.checkpoint.clone())),
        ("cause", Value::Text(previous.cause.clone())),
        (KEPT, Value::Integer(i64::try_from(kept).unwrap_or(i64::MAX))),
    ];
    committing(leaf, disclosures(members))
}

/// The leaves that follow it, one for each client and each key.
pub(super) fn follow(kept: &Kept, opening: Opening) -> Vec<Beginning> {
    let clients = kept.clients.iter().map(|registration| client(registration, opening));
    // An index says nothing in another log: nothing below it is spared any more.
    let keys = kept.keys.iter().map(|row| key(KeyRow { spared_below: None, asked: BY.to_owned(), ..row.clone() }, opening));
    clients.chain(keys).collect()
}

fn client(registration: &Registration, opening: Opening) -> Beginning {
    let members = [
        ("act", Value::Text(CARRIED.to_owned())),
        ("by", Value::Text(BY.to_owned())),
        ("target", Value::Text(registration.client.id.clone())),
        ("registration", Value::Text(registration.digest())),
    ];
    let mut leaf = Leaf::draft(Kind::Admin, EntryId(random()), opening.trace);
    leaf.dev = opening.dev;
    let (leaf, mut rows) = committing(leaf, disclosures(members));
    rows.push(SideRow::Client { registration: registration.clone(), replaces: None });
    (leaf, rows)
}

/// The leaf of a key that is there from the start.
pub(super) fn key(row: KeyRow, opening: Opening) -> Beginning {
    let (leaf, disclosures) = key_leaf(&row, opening.dev);
    let rows = disclosures.into_iter().map(SideRow::disclosure).chain([SideRow::Subject(NOBODY), SideRow::RootKey(row)]);
    (leaf, rows.collect())
}

fn disclosures<const N: usize>(members: [(&str, Value); N]) -> Vec<Disclosure> {
    members.map(|(name, value)| Disclosure { name: name.to_owned(), salt: Salt::new(random()), value }).into()
}

fn committing(mut leaf: Leaf, disclosures: Vec<Disclosure>) -> Beginning {
    leaf.fields.extend(disclosures.iter().map(|it| (it.name.clone(), commit(&it.salt, &it.name, &it.value))));
    (leaf, disclosures.into_iter().map(SideRow::disclosure).chain([SideRow::Subject(NOBODY)]).collect())
}

/// The commitment of a first leaf that follows another log.
pub(super) const PREVIOUS: &str = "previous";
/// The commitment of one behind which clients and keys have leaves of their own.
pub(super) const KEPT: &str = "kept";
const CARRIED: &str = "client.carry";
const BY: &str = "recovery";
