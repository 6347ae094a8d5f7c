//! The revocation feed: a signed, sequenced list of what an issuer has revoked, looked up offline.
//!
//! A snapshot travels as `base64url(payload) "." base64url(signature)`, in the form of holders' proofs and under a tag and
//! a key of its own. The payload is canonical JSON (RFC 8785). Each snapshot is complete, so the newest is all that a
//! verifier keeps, and past the age that it allows for a class of tools it denies.

mod list;

use core::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    BlockId, Holder, PublicKey, Reason, TaskId, VerifiedToken,
    json::{Limits, parse},
    key::sign,
    proof::{MAX_AHEAD_SECONDS, message},
};

pub use list::RevocationList;

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

/// Why a token does not pass a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotCurrent {
    /// The stable reason.
    pub reason: Reason,
    /// The entry that revokes the token, when one does.
    pub matched: Option<Matched>,
}

/// The entry of a snapshot that revokes a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// A block of the token.
    Block {
        /// Its id.
        id: BlockId,
        /// Its place, counted from the authority block at 0.
        index: usize,
    },
    /// A block that the token was made from.
    Lineage(BlockId),
    /// The token's task.
    Task(TaskId),
    /// The token's subject; it was issued before this time, in seconds since the Unix epoch.
    Subject(u64),
    /// The key, or its thumbprint, of a holder that a block names.
    Key {
        /// The key's 32 bytes, or the thumbprint.
        key: [u8; 32],
        /// The token was issued before this time, in seconds since the Unix epoch.
        before: u64,
    },
}

impl RevocationList {
    /// The snapshot's text, signed by the issuer's feed key.
    ///
    /// # Errors
    /// `FEED_TOO_LARGE` or `FEED_MALFORMED` for a list that no verifier would load.
    pub fn sign(&self, seed: &[u8; 32]) -> Result<String, Reason> {
        let payload = self.to_json()?.canonical();
        let signature = sign(seed, &message(TAG, payload.as_bytes()));
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(signature));
        if text.len() > MAX_BYTES { Err(Reason::FeedTooLarge) } else { Ok(text) }
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
        if text.len() > MAX_BYTES {
            return Err(Reason::FeedTooLarge);
        }
        let (payload, signature) = text.split_once('.').ok_or(Reason::FeedMalformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::FeedMalformed);
        let payload = decode(payload)?;
        let signature = decode(signature)?.try_into().map_err(|_| Reason::FeedMalformed)?;
        // megabytes are parsed only when the issuer has signed them
        if !feed_key.verifies(&message(TAG, &payload), &signature) {
            return Err(Reason::FeedSignature);
        }
        let value = parse(&payload, LIMITS).map_err(|reason| match reason {
            Reason::JsonTooLarge => Reason::FeedTooLarge,
            _ => Reason::FeedMalformed,
        })?;
        if value.canonical().as_bytes() != payload {
            return Err(Reason::JsonNotCanonical);
        }
        let loaded = Self { list: RevocationList::from_json(&value)?, digest: Sha256::digest(&payload).into() };
        if loaded.list.issuer != issuer {
            return Err(Reason::FeedIssuer);
        }
        if loaded.list.issued > now.saturating_add(MAX_AHEAD_SECONDS) {
            return Err(Reason::FeedAhead);
        }
        previous.map_or(Ok(()), |previous| loaded.follows(previous))?;
        Ok(loaded)
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
        if let Some(matched) = self.matched(token) {
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

    fn matched(&self, token: &VerifiedToken) -> Option<Matched> {
        let (list, authority) = (&self.list, &token.authority);
        if list.tasks.contains(&authority.task) {
            return Some(Matched::Task(authority.task));
        }
        if let Some((index, block)) = token.blocks.iter().enumerate().find(|(_, block)| list.blocks.contains(&block.id)) {
            return Some(Matched::Block { id: block.id, index });
        }
        if let Some(id) = authority.lineage.iter().find(|id| list.blocks.contains(id)) {
            return Some(Matched::Lineage(*id));
        }
        if let Some(before) = list.subjects.get(&authority.subject).filter(|before| authority.issued < **before) {
            return Some(Matched::Subject(*before));
        }
        token.principals().find_map(|(_, holder, _)| {
            let key = match holder {
                Holder::Key(key) => *key.as_bytes(),
                Holder::Thumbprint(thumbprint) => thumbprint,
                Holder::Bearer => return None,
            };
            list.keys.get(&key).filter(|before| authority.issued < **before).map(|before| Matched::Key { key, before: *before })
        })
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

impl From<Reason> for NotCurrent {
    fn from(reason: Reason) -> Self {
        Self { reason, matched: None }
    }
}

impl fmt::Display for NotCurrent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.matched {
            None => write!(formatter, "{}: {}", self.reason, self.reason.meaning()),
            Some(Matched::Block { id, index }) => write!(formatter, "{}: block {index}, `{id}`", self.reason),
            Some(Matched::Lineage(id)) => write!(formatter, "{}: made from block `{id}`", self.reason),
            Some(Matched::Task(task)) => write!(formatter, "{}: task `{task}`", self.reason),
            Some(Matched::Subject(before)) => write!(formatter, "{}: the subject's tokens issued before {before}", self.reason),
            Some(Matched::Key { before, .. }) => write!(formatter, "{}: a holder key's tokens issued before {before}", self.reason),
        }
    }
}

impl core::error::Error for NotCurrent {}

const TAG: &str = "narrows/revocations/1";
/// 4 MiB of text: about 46,000 blocks.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The payload of a text of that size; each entry has at most three values.
const LIMITS: Limits = Limits { bytes: MAX_BYTES / 4 * 3, depth: 4, values: list::MAX_ENTRIES * 3 + 16 };

#[cfg(test)]
mod tests;
