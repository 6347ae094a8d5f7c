//! The kinds of leaves, and one table that says which members a leaf of each kind has.

use super::leaf::{Leaf, Verdict};
use super::refusal::LogRefusal;
use crate::Reason;

macro_rules! kinds {
    ($($variant:ident = $name:literal : $meaning:literal { $($members:tt)* })+) => {
        /// What a leaf records.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $meaning] $variant,)+
            /// A kind that this version does not know; kept, never guessed at.
            Other(String),
        }

        impl Kind {
            /// Every kind that this version knows, in the order of the documentation.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)+];

            /// The kind's name in a leaf.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Other(name) => name,
                }
            }

            /// What a leaf of this kind has; `None` for a kind that this version does not know.
            pub const fn spec(&self) -> Option<KindSpec> {
                match self {
                    $(Self::$variant => Some(KindSpec { meaning: $meaning, $($members)*, ..NONE }),)+
                    Self::Other(_) => None,
                }
            }

            pub(super) fn from_name(name: String) -> Self {
                match name.as_str() {
                    $($name => Self::$variant,)+
                    _ => Self::Other(name),
                }
            }
        }
    };
}

/// Which members a leaf of one kind has, beside those that every leaf has.
///
/// A writer is held to it. A reader is not: what a later version adds to a kind must stay readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindSpec {
    /// What such a leaf records.
    pub meaning: &'static str,
    /// The verdicts that it can have. Every verdict but `allow` is given with a reason.
    pub verdicts: &'static [Verdict],
    /// The task.
    pub task: Presence,
    /// The composite principal.
    pub chain: Presence,
    /// The blocks of the token that it is about.
    pub blocks: Presence,
    /// The blocks that the newest of them was derived from.
    pub parents: Presence,
    /// The entry that it answers.
    pub of: Presence,
    /// The plane that speaks.
    pub plane: Presence,
    /// The mediation point.
    pub point: Presence,
    /// The policy pack that decided.
    pub pack: Presence,
    /// Commitments that it must have.
    pub required: &'static [&'static str],
    /// Commitments that it may have beside them.
    pub allowed: &'static [&'static str],
}

/// Whether a member is there. A list that is empty and a member that is `null` count as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Never.
    Absent,
    /// It may be.
    Allowed,
    /// Always.
    Required,
    /// Always, but for a leaf of verdict `block`, which may have it.
    UnlessBlocked,
    /// Always, but for a leaf of verdict `block`, which never has it: nothing came to be.
    WhenMade,
}

kinds! {
    LogOpen = "log.open": "the log begins; a log that continues another one says which, where that ended and why" {
        allowed: &["cause", "kept", "previous"]
    }
    Mint = "mint": "the issuer made a token of a new task, or its policy refused to" {
        verdicts: DONE_OR_NOT, task: WhenMade, chain: Required, blocks: WhenMade, pack: Required,
        required: &["audience", "client", "tools"], allowed: &["actor", "caveats", "life"]
    }
    Exchange = "exchange": "the issuer made a token of a task from another token of it, or its policy refused to" {
        verdicts: DONE_OR_NOT, task: Required, chain: Required, blocks: WhenMade, parents: Required, pack: Required,
        required: &["audience", "client", "tools"], allowed: &["actor", "caveats", "life"]
    }
    Hop = "hop": "a holder narrowed a token and reported it" {
        task: Required, chain: Required, blocks: Required, parents: Required, required: &["caveats"]
    }
    Narrow = "narrow": "the issuer made a narrower token to go on with in place of a wide one, which it revoked" {
        verdicts: DONE_OR_NOT, task: Required, chain: Required, blocks: WhenMade, parents: Required, of: Allowed, pack: Allowed,
        required: &["caveats"], allowed: &["audience", "tools"]
    }
    Permit = "permit": "the issuer made a single-use token for one exact action, or refused to" {
        verdicts: DONE_OR_NOT, task: Required, chain: Required, blocks: WhenMade, parents: Required, of: Allowed, point: Allowed, pack: Required,
        required: &["args", "audience", "tool"], allowed: &["caveats", "directives"]
    }
    Decision = "decision": "a plane decided on a proposed action" {
        verdicts: ALL_VERDICTS, task: UnlessBlocked, chain: UnlessBlocked, blocks: UnlessBlocked, of: Allowed, plane: Required, point: Required,
        pack: Allowed, allowed: &["args", "audience", "detail", "directives", "labels", "rules", "spend", "state", "tool"]
    }
    Outcome = "outcome": "what became of a decision at one plane" {
        verdicts: &[Verdict::Allow, Verdict::Block, Verdict::Modify], task: Required, chain: Allowed, blocks: Required, of: Required,
        plane: Required, point: Allowed, allowed: &["args", "detail", "labels", "result", "spend", "tool"]
    }
    ApprovalAsk = "approval.ask": "people were asked to approve one exact action" {
        verdicts: &[Verdict::Escalate], task: Required, chain: Required, blocks: Required, of: Required, point: Allowed, pack: Allowed,
        required: &["args", "tool"], allowed: &["approvers", "audience", "deadline", "detail", "stages"]
    }
    ApprovalGrant = "approval.grant": "an approver said yes" {
        task: Required, of: Required, required: &["approver"], allowed: &["detail", "stage"]
    }
    ApprovalRefuse = "approval.refuse": "an approver said no" {
        verdicts: &[Verdict::Block], task: Required, of: Required, required: &["approver"], allowed: &["detail", "stage"]
    }
    ApprovalExpire = "approval.expire": "too few approvers answered in time" {
        verdicts: &[Verdict::Block], task: Required, of: Required, allowed: &["detail"]
    }
    Revoke = "revoke": "authority was ended before its time: the blocks named, the task, or what the commitments say" {
        verdicts: DONE_OR_NOT, task: Allowed, blocks: Allowed, of: Allowed, required: &["by"],
        allowed: &["agent", "cut_off", "detail", "holder", "subject", "until"]
    }
    Pause = "pause": "a task or an agent was held until it is resumed" {
        verdicts: &[Verdict::Pause, Verdict::Block], task: Allowed, of: Allowed, pack: Allowed, required: &["by"],
        allowed: &["agent", "detail", "until"]
    }
    Resume = "resume": "what was held may go on, or was refused to" {
        verdicts: DONE_OR_NOT, task: Allowed, of: Required, required: &["by"], allowed: &["agent", "detail"]
    }
    BudgetAuthorize = "budget.authorize": "an amount was set aside for an action, or the budget refused it" {
        verdicts: DONE_OR_NOT, task: Required, blocks: Required, of: Allowed, required: &["amount", "budget"], allowed: &["left"]
    }
    BudgetCommit = "budget.commit": "an amount that was set aside was spent" {
        task: Required, of: Required, required: &["amount"], allowed: &["budget", "left"]
    }
    BudgetRefund = "budget.refund": "an amount that was set aside, or a part of it, was given back" {
        task: Required, of: Required, required: &["amount"], allowed: &["budget", "left"]
    }
    Rollback = "rollback": "a step of a rollback: an earlier action was compensated, or could not be" {
        verdicts: DONE_OR_NOT, task: Required, blocks: Allowed, of: Required, plane: Allowed, allowed: &["args", "detail", "result", "tool"]
    }
    PolicyLoad = "policy.load": "a policy pack came into force, or was refused" {
        verdicts: DONE_OR_NOT, pack: Required, allowed: &["by", "detail", "name"]
    }
    Key = "key": "a key was made, put to use, retired or given up" {
        required: &["key", "role", "state"], allowed: &["by", "detail", "not_after", "not_before", "spared_below"]
    }
    Shadow = "shadow": "what a policy pack that is not in force would have decided" {
        verdicts: ALL_VERDICTS, task: UnlessBlocked, chain: UnlessBlocked, blocks: UnlessBlocked, of: Allowed, plane: Required, point: Required,
        pack: Required, allowed: &["args", "audience", "detail", "directives", "labels", "rules", "spend", "state", "tool"]
    }
    Erasure = "erasure": "disclosures were deleted for good: whose, by whom and on which legal basis" {
        of: Allowed, required: &["basis", "by", "subject"], allowed: &["detail"]
    }
    Admin = "admin": "an operator administered the service, or was refused to: which act on what, and what is said of a client since" {
        verdicts: DONE_OR_NOT, required: &["act", "by", "target"], allowed: &["detail", "registration"]
    }
    AuditRead = "audit.read": "somebody with a credential read evidence, or was refused" {
        verdicts: DONE_OR_NOT, task: Allowed, of: Allowed, required: &["by", "query"]
    }
    AuditExport = "audit.export": "somebody with a credential took evidence away, or was refused" {
        verdicts: DONE_OR_NOT, task: Allowed, of: Allowed, required: &["by", "query"], allowed: &["bundle"]
    }
    Clock = "clock": "the service's clock stepped back; leaves keep their order and the last time" {
        allowed: &["clock_ms", "step_ms"]
    }
    Retention = "retention": "what the log keeps from here on: its minimum index moved, or disclosures expired, under the policy named" {
        allowed: &["policy"]
    }
    Anchor = "anchor": "the checkpoint of another log, such as the spool of an offline tool" {
        required: &["checkpoint", "origin"], allowed: &["by", "detail"]
    }
}

use Presence::{Absent, Allowed, Required, UnlessBlocked, WhenMade};

/// A kind that always says `allow` and has nothing but what every leaf has.
const NONE: KindSpec = KindSpec {
    meaning: "",
    verdicts: &[Verdict::Allow],
    task: Absent,
    chain: Absent,
    blocks: Absent,
    parents: Absent,
    of: Absent,
    plane: Absent,
    point: Absent,
    pack: Absent,
    required: &[],
    allowed: &[],
};

const DONE_OR_NOT: &[Verdict] = &[Verdict::Allow, Verdict::Block];
const ALL_VERDICTS: &[Verdict] = Verdict::ALL;

impl KindSpec {
    /// The members whose presence depends on the kind, in alphabetical order.
    pub const fn members(&self) -> [(&'static str, Presence); 8] {
        [
            ("blocks", self.blocks),
            ("chain", self.chain),
            ("of", self.of),
            ("pack", self.pack),
            ("parents", self.parents),
            ("plane", self.plane),
            ("point", self.point),
            ("task", self.task),
        ]
    }

    /// Whether a leaf has what its kind demands and nothing else.
    ///
    /// # Errors
    /// [`Reason::LeafKind`].
    pub fn check(&self, leaf: &Leaf) -> Result<(), LogRefusal> {
        let blocked = leaf.verdict == Verdict::Block;
        let members = [
            (self.blocks, !leaf.blocks.is_empty(), "the leaf's kind does not go with its blocks"),
            (self.chain, !leaf.chain.is_empty(), "the leaf's kind does not go with its chain"),
            (self.of, leaf.of.is_some(), "the leaf's kind does not go with its `of`"),
            (self.pack, leaf.pack.is_some(), "the leaf's kind does not go with its pack"),
            (self.parents, !leaf.parents.is_empty(), "the leaf's kind does not go with its parents"),
            (self.plane, leaf.plane.is_some(), "the leaf's kind does not go with its plane"),
            (self.point, leaf.point.is_some(), "the leaf's kind does not go with its mediation point"),
            (self.task, leaf.task.is_some(), "the leaf's kind does not go with its task"),
        ];
        if let Some((.., detail)) = members.iter().find(|(presence, there, _)| !presence.admits(*there, blocked)) {
            return Err(LogRefusal::new(Reason::LeafKind, detail));
        }
        if !self.verdicts.contains(&leaf.verdict) {
            return Err(LogRefusal::new(Reason::LeafKind, "the leaf's kind has no such verdict"));
        }
        if leaf.verdict != Verdict::Allow && leaf.reasons.is_empty() {
            return Err(LogRefusal::new(Reason::LeafKind, "a verdict other than `allow` needs a reason"));
        }
        if !self.required.iter().all(|name| leaf.fields.contains_key(*name)) {
            return Err(LogRefusal::new(Reason::LeafKind, "the leaf lacks a commitment that its kind demands"));
        }
        if !leaf.fields.keys().all(|name| self.names(name)) {
            return Err(LogRefusal::new(Reason::LeafKind, "the leaf has a commitment that its kind does not know"));
        }
        Ok(())
    }

    fn names(&self, name: &str) -> bool {
        self.required.iter().chain(self.allowed).any(|known| *known == name)
    }
}

impl Presence {
    const fn admits(self, there: bool, blocked: bool) -> bool {
        match self {
            Self::Absent => !there,
            Self::Allowed => true,
            Self::Required => there,
            Self::UnlessBlocked => there || blocked,
            Self::WhenMade => there != blocked,
        }
    }
}
