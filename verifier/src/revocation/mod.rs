//! The revocation feed: a signed, sequenced list of what an issuer has revoked, looked up offline.
//!
//! A snapshot travels as `base64url(payload) "." base64url(signature)`, in the form of holders' proofs and under a tag and
//! a key of its own. The payload is canonical JSON (RFC 8785). Each snapshot is complete, so the newest is all that a
//! verifier keeps, and past the age that it allows for a class of tools it denies. Who holds one gets the next as a delta.

mod delta;
mod entries;
mod form;
mod list;
mod lookup;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    PublicKey, Reason, VerifiedToken,
    json::{Limits, Value, parse},
    key::sign,
    proof::{MAX_AHEAD_SECONDS, message},
};

pub use delta::{Changes, RevocationDelta};
pub use entries::{Entries, Revocation};
pub use list::RevocationList;
pub use lookup::{Matched, NotCurrent};

/// What a tool can do, which says how fresh the knowledge of revocations must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolClass {
    /// It only reads.
    Read,
    /// It changes something that can be changed back.
    Write,
    /// It sends something to the outside.
    Egress,
    /// It can't be undone. The strictest class, so it stands where none is named.
    #[default]
    Irreversible,
}

/// How old a snapshot may be, in seconds, for each class of tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxStaleness {
    /// For [`ToolClass::Read`].
    pub read: u64,
    /// For [`ToolClass::Write`].
    pub write: u64,
    /// For [`ToolClass::Egress`].
    pub egress: u64,
    /// For [`ToolClass::Irreversible`].
    pub irreversible: u64,
}

/// A snapshot whose signature and place in the sequence have been checked.
#[derive(Clone, Debug)]
pub struct Revocations {
    list: RevocationList,
    digest: [u8; 32],
}

impl RevocationList {
    /// The snapshot's text, signed by the issuer's feed key.
    ///
    /// # Errors
    /// `FEED_TOO_LARGE` or `FEED_MALFORMED` for a list that no verifier would load.
    pub fn sign(&self, seed: &[u8; 32]) -> Result<String, Reason> {
        signed(SNAPSHOT, &self.to_json()?, seed)
    }

    /// SHA-256 of the snapshot's payload, by which a delta names it.
    ///
    /// # Errors
    /// As [`RevocationList::sign`].
    pub fn digest(&self) -> Result<[u8; 32], Reason> {
        Ok(self.to_json()?.digest())
    }
}

impl RevocationDelta {
    /// The delta's text, signed by the issuer's feed key.
    ///
    /// # Errors
    /// `FEED_TOO_LARGE` or `FEED_MALFORMED` for a delta that no verifier would take.
    pub fn sign(&self, seed: &[u8; 32]) -> Result<String, Reason> {
        signed(DELTA, &self.to_json()?, seed)
    }
}

impl Revocations {
    /// Checks a snapshot of this issuer. `previous` is the one that the caller has trusted so far, if any; a verifier that
    /// keeps none across restarts can be shown an older snapshot once, as old as it then still accepts for each class.
    ///
    /// # Errors
    /// `FEED_TOO_LARGE`, `FEED_MALFORMED`, `JSON_NOT_CANONICAL`, `FEED_SIGNATURE`, `FEED_ISSUER`, `FEED_AHEAD`; and
    /// `FEED_ROLLED_BACK` for a lower sequence number than the previous one's, or the same with another content.
    pub fn load(text: &str, feed_key: &PublicKey, issuer: &str, previous: Option<&Revocations>, now: u64) -> Result<Self, Reason> {
        let statement = Statement::read(text)?;
        if !statement.signed_by(feed_key, SNAPSHOT) {
            return Err(Reason::FeedSignature);
        }
        let loaded = Self { list: RevocationList::from_json(&statement.value()?)?, digest: Sha256::digest(&statement.payload).into() };
        of_issuer(&loaded.list.issuer, issuer)?;
        issued_by(loaded.list.issued, now)?;
        previous.map_or(Ok(()), |previous| loaded.follows(previous))?;
        Ok(loaded)
    }

    /// The snapshot that a delta leads to from this one. It is the very one that [`Revocations::load`] would give.
    ///
    /// # Errors
    /// As [`Revocations::load`], with `FEED_DELTA_BASE` for a delta that follows another snapshot than this one and
    /// `FEED_DELTA_RESULT` for one that does not lead where it says. Then fetch a snapshot.
    pub fn apply(&self, text: &str, feed_key: &PublicKey, now: u64) -> Result<Self, Reason> {
        let statement = Statement::read(text)?;
        if !statement.signed_by(feed_key, DELTA) {
            return Err(Reason::FeedSignature);
        }
        let delta = RevocationDelta::from_json(&statement.value()?)?;
        of_issuer(&delta.issuer, &self.list.issuer)?;
        issued_by(delta.issued, now)?;
        if delta.sequence < self.list.sequence {
            return Err(Reason::FeedRolledBack);
        }
        if delta.since != self.list.sequence {
            return Err(Reason::FeedDeltaBase);
        }
        let list = delta.apply(&self.list).ok_or(Reason::FeedDeltaResult)?;
        let digest = list.digest()?;
        if digest == delta.result { Ok(Self { list, digest }) } else { Err(Reason::FeedDeltaResult) }
    }

    /// Takes what an issuer answers to whoever holds `previous`: a snapshot, or a delta to it. The tag of the signature tells
    /// which of the two it is.
    ///
    /// # Errors
    /// As [`Revocations::load`] and [`Revocations::apply`].
    pub fn update(text: &str, feed_key: &PublicKey, issuer: &str, previous: Option<&Revocations>, now: u64) -> Result<Self, Reason> {
        match (Self::load(text, feed_key, issuer, previous, now), previous) {
            (Err(Reason::FeedSignature), Some(previous)) => previous.apply(text, feed_key, now),
            (loaded, _) => loaded,
        }
    }

    /// Whether this snapshot may take the place of another one: it is newer, or the same.
    ///
    /// # Errors
    /// `FEED_ISSUER` when they speak for two issuers, `FEED_ROLLED_BACK`.
    pub fn follows(&self, previous: &Revocations) -> Result<(), Reason> {
        if self.list.issuer != previous.list.issuer {
            return Err(Reason::FeedIssuer);
        }
        let newer = self.list.sequence > previous.list.sequence;
        let same = self.list.sequence == previous.list.sequence && self.digest == previous.digest;
        if newer || same { Ok(()) } else { Err(Reason::FeedRolledBack) }
    }

    /// What the snapshot says.
    pub fn list(&self) -> &RevocationList {
        &self.list
    }

    /// Whether the token stands, for a tool of this class at this time. Allocates nothing when it does.
    ///
    /// A revoked token is refused as such however old the snapshot is, since nothing revoked comes back.
    ///
    /// # Errors
    /// `REVOKED` with the entry that says so; `REVOCATIONS_STALE` for a snapshot too old for the class; `ISSUED_AHEAD` for a
    /// token from the future, which no cut-off would reach; `FEED_ISSUER` for a token of an issuer that this feed does not
    /// speak for.
    pub fn check(&self, token: &VerifiedToken, class: ToolClass, now: u64) -> Result<(), NotCurrent> {
        if token.authority.issuer != self.list.issuer {
            return Err(Reason::FeedIssuer.into());
        }
        if let Some(matched) = self.list.revoked.matched(token) {
            return Err(NotCurrent { reason: Reason::Revoked, matched: Some(matched) });
        }
        token.authority.issued_by(now)?;
        if self.is_fresh(class, now) { Ok(()) } else { Err(Reason::RevocationsStale.into()) }
    }

    /// Whether the snapshot is young enough to decide on a tool of this class. A clock that has stepped back behind the
    /// snapshot can't tell, so it is not.
    pub fn is_fresh(&self, class: ToolClass, now: u64) -> bool {
        let possible = self.list.issued <= now.saturating_add(MAX_AHEAD_SECONDS);
        possible && now.saturating_sub(self.list.issued) <= self.list.max_staleness.of(class)
    }
}

impl ToolClass {
    /// Every class, from the most lenient to the strictest.
    pub const ALL: [ToolClass; 4] = [ToolClass::Read, ToolClass::Write, ToolClass::Egress, ToolClass::Irreversible];

    /// The name in manifests and in snapshots.
    pub const fn name(self) -> &'static str {
        match self {
            ToolClass::Read => "read",
            ToolClass::Write => "write",
            ToolClass::Egress => "egress",
            ToolClass::Irreversible => "irreversible",
        }
    }

    /// The class of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl MaxStaleness {
    /// What suits most issuers: an hour for reads, five minutes for writes, a minute for egress, ten seconds for what
    /// can't be undone.
    pub const USUAL: MaxStaleness = MaxStaleness { read: 3600, write: 300, egress: 60, irreversible: 10 };

    /// The bound for one class.
    pub fn of(&self, class: ToolClass) -> u64 {
        match class {
            ToolClass::Read => self.read,
            ToolClass::Write => self.write,
            ToolClass::Egress => self.egress,
            ToolClass::Irreversible => self.irreversible,
        }
    }
}

/// A signed text in its two parts.
struct Statement {
    payload: Vec<u8>,
    signature: [u8; 64],
}

impl Statement {
    fn read(text: &str) -> Result<Self, Reason> {
        if text.len() > MAX_BYTES {
            return Err(Reason::FeedTooLarge);
        }
        let (payload, signature) = text.split_once('.').ok_or(Reason::FeedMalformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::FeedMalformed);
        Ok(Self { payload: decode(payload)?, signature: decode(signature)?.try_into().map_err(|_| Reason::FeedMalformed)? })
    }

    fn signed_by(&self, feed_key: &PublicKey, tag: &str) -> bool {
        feed_key.verifies(&message(tag, &self.payload), &self.signature)
    }

    /// What the payload says. Megabytes are parsed only when the issuer has signed them, so ask for the signature first.
    fn value(&self) -> Result<Value, Reason> {
        let value = parse(&self.payload, LIMITS).map_err(|reason| match reason {
            Reason::JsonTooLarge => Reason::FeedTooLarge,
            _ => Reason::FeedMalformed,
        })?;
        if value.canonical().as_bytes() == self.payload { Ok(value) } else { Err(Reason::JsonNotCanonical) }
    }
}

fn signed(tag: &str, payload: &Value, seed: &[u8; 32]) -> Result<String, Reason> {
    let payload = payload.canonical();
    let signature = sign(seed, &message(tag, payload.as_bytes()));
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(signature));
    if text.len() > MAX_BYTES { Err(Reason::FeedTooLarge) } else { Ok(text) }
}

fn of_issuer(issuer: &str, expected: &str) -> Result<(), Reason> {
    if issuer == expected { Ok(()) } else { Err(Reason::FeedIssuer) }
}

fn issued_by(issued: u64, now: u64) -> Result<(), Reason> {
    if issued <= now.saturating_add(MAX_AHEAD_SECONDS) { Ok(()) } else { Err(Reason::FeedAhead) }
}

const SNAPSHOT: &str = "narrows/revocations/1";
const DELTA: &str = "narrows/revocations-delta/1";
/// 4 MiB of text: about 46,000 blocks.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The payload of a text of that size; each entry has at most three values.
const LIMITS: Limits = Limits { bytes: MAX_BYTES / 4 * 3, depth: 5, values: form::MAX_ENTRIES * 3 + 32 };

#[cfg(test)]
mod tests;
