//! What can be revoked, and what of a token can be.

use std::borrow::Cow;

use narrows_verifier::{BlockId, Holder, TaskId, VerifiedToken, biscuit::AuthorityClaims, revocation::Revocation};

/// What a revocation names. A block takes with it whatever contains it or was made from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// An authority block or a hop.
    Block(BlockId),
    /// A task, with every token of it.
    Task(TaskId),
    /// A subject, by the name that tokens carry: those issued before a time.
    Subject(String),
    /// An agent by its name: tokens issued before a time that name it.
    Agent(String),
    /// A holder's key, or the thumbprint of one: tokens issued before a time that name it.
    Key([u8; 32]),
}

/// A revocation as it is stored beside its leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// What is revoked.
    pub target: Target,
    /// For a cut-off: the second before which tokens were issued.
    pub before_s: Option<u64>,
    /// The last second at which a token that this reaches could be accepted anywhere.
    pub until_s: u64,
}

/// What must not be revoked for a token to stand: what is derived from it is recorded only while that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Everything of the token that a revocation can name.
    pub targets: Vec<Target>,
    /// When it was issued, for cut-offs.
    pub issued_s: u64,
}

impl Target {
    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Task(_) => "task",
            Self::Subject(_) => "subject",
            Self::Agent(_) => "agent",
            Self::Key(_) => "key",
        }
    }

    /// Whether it can be held for a while: what others share, such as a key that may be stolen, is ended or not.
    pub const fn can_pause(&self) -> bool {
        matches!(self, Self::Task(_) | Self::Agent(_))
    }

    /// The entry of the feed while it is paused. It reaches whatever was issued and will be.
    pub(super) fn held(&self) -> Option<Revocation> {
        match self {
            Self::Task(task) => Some(Revocation::Task(*task)),
            Self::Agent(name) => Some(Revocation::Agent(name.clone(), FOR_EVER_S)),
            Self::Block(_) | Self::Subject(_) | Self::Key(_) => None,
        }
    }

    /// Whether it reaches only what was issued before a time.
    pub const fn is_cut_off(&self) -> bool {
        matches!(self, Self::Subject(_) | Self::Agent(_) | Self::Key(_))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Block(block) => block.as_bytes(),
            Self::Task(task) => task.as_bytes(),
            Self::Subject(name) | Self::Agent(name) => name.as_bytes(),
            Self::Key(key) => key,
        }
    }

    pub(crate) fn from_stored(kind: &str, bytes: Vec<u8>) -> Option<Self> {
        match kind {
            "block" => BlockId::from_slice(&bytes).map(Self::Block),
            "task" => TaskId::from_slice(&bytes).map(Self::Task),
            "subject" => String::from_utf8(bytes).ok().map(Self::Subject),
            "agent" => String::from_utf8(bytes).ok().map(Self::Agent),
            "key" => bytes.try_into().ok().map(Self::Key),
            _ => None,
        }
    }

    /// Reads what a leaf commits to: a name under `subject` or `agent`, a key in hex under `holder`.
    pub(crate) fn named(field: &str, text: &str) -> Option<Self> {
        match field {
            "subject" => Some(Self::Subject(text.to_owned())),
            "agent" => Some(Self::Agent(text.to_owned())),
            // 32 bytes in hex, as the ids of blocks are
            "holder" => BlockId::from_hex(text).map(|bytes| Self::Key(bytes.0)),
            _ => None,
        }
    }

    /// The value under which a leaf commits to it, for those that stand in no clear member.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Subject(name) | Self::Agent(name) => name.into(),
            Self::Block(block) => block.to_string().into(),
            Self::Task(task) => task.to_string().into(),
            Self::Key(key) => key.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        }
    }
}

impl Revoked {
    /// The entry of the feed. A cut-off without a time reaches nothing, and there is none.
    pub fn entry(&self) -> Revocation {
        let before = self.before_s.unwrap_or(0);
        match self.target.clone() {
            Target::Block(block) => Revocation::Block(block),
            Target::Task(task) => Revocation::Task(task),
            Target::Subject(name) => Revocation::Subject(name, before),
            Target::Agent(name) => Revocation::Agent(name, before),
            Target::Key(key) => Revocation::Key(key, before),
        }
    }

    /// Whether this one says all that `other`, of the same target, says.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.before_s >= other.before_s
    }
}

impl Standing {
    /// What a verified token stands on: its task, its blocks, those that it was made from, subject, agents and holders.
    pub fn of(token: &VerifiedToken) -> Self {
        let authority = &token.authority;
        let blocks = token.blocks.iter().map(|block| block.id).chain(authority.lineage.iter().copied()).map(Target::Block);
        let named = token.principals().flat_map(|(agent, holder, _)| {
            let key = key_of(holder).map(Target::Key);
            [Target::Agent(agent.to_owned())].into_iter().chain(key)
        });
        let first = [Target::Task(authority.task), Target::Subject(authority.subject.clone())];
        Self { targets: first.into_iter().chain(blocks).chain(named).collect(), issued_s: authority.issued }
    }

    /// The same of a token that is about to be minted: a cut-off can lie ahead, and then nothing may be minted either.
    pub fn of_claims(claims: &AuthorityClaims) -> Self {
        let first = [Target::Task(claims.task), Target::Subject(claims.subject.clone()), Target::Agent(claims.agent.clone())];
        let key = key_of(claims.holder).map(Target::Key);
        let targets = first.into_iter().chain(key).chain(claims.lineage.iter().copied().map(Target::Block)).collect();
        Self { targets, issued_s: claims.issued }
    }
}

/// What the feed calls a holder by, where there is one.
fn key_of(holder: Holder) -> Option<[u8; 32]> {
    match holder {
        Holder::Key(key) => Some(*key.as_bytes()),
        Holder::Thumbprint(thumbprint) => Some(thumbprint),
        Holder::Bearer => None,
    }
}

/// The end of the year 9999, behind every time of issue.
const FOR_EVER_S: u64 = 253_402_300_799;
