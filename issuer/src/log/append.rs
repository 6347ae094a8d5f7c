//! What callers hand to the log with a leaf, what comes back, and which requests are refused before anything is written.

use narrows_verifier::Reason;
use narrows_verifier::log::{BlockId, Commitment, Disclosure, Leaf, TaskId, commit};

use super::retention::{Bound, Work};
use super::root_keys::refusal_of_key;
use crate::clients::{MAX_REGISTERED, Registration};
use crate::revocation::{Hold, Revoked, Standing};
use crate::store::{Batch, KeyRow, MintedRow, NOBODY, Pseudonym, Rows, StoreError, TaskRow, is_readable};

/// What is stored with a leaf, in the same transaction.
#[derive(Clone, Debug)]
pub enum SideRow {
    /// Opens one of the leaf's commitments until it is deleted.
    Disclosure(Committed),
    /// Whom the disclosures of this leaf are about, and those of later leaves of its task. Without it, it is whom the task is for.
    Subject(Pseudonym),
    /// Takes the values out of all disclosures about a person.
    Erase(Pseudonym),
    /// Destroys a person's key once the commit is durable: what the person's disclosures say is then in no copy any more.
    Shred(Pseudonym),
    /// Makes a task known, with its end in seconds since 1970 and the number of hops that may be reported for it.
    NewTask {
        /// The task.
        task: TaskId,
        /// Its end.
        expires_s: u64,
        /// Its quota of reported hops.
        max_hops: u32,
    },
    /// Counts one hop against the task's quota.
    TaskHop {
        /// The task.
        task: TaskId,
    },
    /// Remembers for which client the leaf's token was minted, so that the client may end it.
    Minted {
        /// Its authority block.
        block: BlockId,
        /// The client, and what it was given.
        minted: MintedRow,
    },
    /// Appends only while nothing of what the leaf's token comes from is revoked. Asked in the writer's own order, so that no
    /// leaf which makes authority stands behind the revocation that forbids it.
    Stands(Standing),
    /// Ends authority. What says no more than an earlier revocation of the same target gets that one's leaf, and nothing is
    /// written.
    Revoke(Revoked),
    /// Holds a task or an agent, or lets go of it. What is held already is not held twice: the caller gets the old leaf.
    Hold(Hold),
    /// Registers a client, or changes one that is registered.
    Client {
        /// What is said of it from now on.
        registration: Registration,
        /// The leaf that says what was known of it before. Where there is a newer one, the change was made of something else and
        /// is refused.
        replaces: Option<u64>,
    },
    /// Says of a key that signs tokens what the leaf says.
    RootKey(KeyRow),
    /// Makes the append idempotent: a block that is logged already gets its old leaf and a fresh receipt.
    Derivation {
        /// The newest block of the derived token.
        block_id: BlockId,
    },
    /// Refuses an append by somebody who is the very person or workload that the task is for.
    NotForSubject {
        /// The task.
        task: TaskId,
        /// Who acts.
        actor: Pseudonym,
    },
    /// Spends a key that must never be seen twice before it expires, such as a proof of possession.
    SingleUse {
        /// A digest that names what is spent, domain-separated by its maker.
        key: [u8; 32],
        /// When the key may be forgotten, in seconds since 1970. It is part of the name: what is spent states its own end, so
        /// that the same thing always comes with the same.
        expires_s: u64,
        /// The reason to answer when it was spent before.
        reason: Reason,
    },
}

impl SideRow {
    /// What is disclosed of a leaf.
    pub fn disclosure(disclosure: Disclosure) -> Self {
        Self::Disclosure(Committed::new(disclosure))
    }
}

/// A disclosure and the commitment that it opens: made where it is handed over, since the writer's time is everybody's.
#[derive(Clone, Debug)]
pub struct Committed {
    disclosure: Disclosure,
    commitment: Commitment,
}

impl Committed {
    /// Commits to what is disclosed.
    pub(crate) fn new(disclosure: Disclosure) -> Self {
        Self { commitment: commit(&disclosure.salt, &disclosure.name, &disclosure.value), disclosure }
    }

    /// What the leaf says.
    pub(crate) const fn commitment(&self) -> Commitment {
        self.commitment
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The leaf is durable.
    Appended {
        /// Position in the log.
        index: u64,
        /// The leaf's exact bytes.
        leaf: Vec<u8>,
        /// A receipt under the checkpoint of this very commit.
        receipt: String,
    },
    /// The block was logged before; nothing was written.
    Existing {
        /// Position in the log.
        index: u64,
        /// The old leaf's exact bytes.
        leaf: Vec<u8>,
        /// A receipt under the newest checkpoint.
        receipt: String,
    },
    /// The request was refused; nothing was written.
    Refused(Reason),
}

/// What the tables say about a request before it is written.
pub(super) enum Admission {
    Append(Option<Work>),
    Existing(u64),
    Refuse(Reason),
}

/// Decides from the tables, earlier requests of the same batch included. Whatever a caller can bring about is refused
/// here: an insert that failed later would stop the whole log.
pub(super) fn admit(rows: &Rows<'_>, leaf: &Leaf, index: u64, side_rows: &[SideRow], now_s: u64) -> Result<Admission, StoreError> {
    // First, so that repeating a report is harmless, even though its proof of possession has been spent by then.
    for row in side_rows {
        let known = match row {
            SideRow::Derivation { block_id } => rows.derivation(block_id)?,
            SideRow::Revoke(revoked) => {
                rows.revocation(&revoked.target)?.filter(|known| known.revoked.covers(revoked)).map(|known| known.index)
            }
            SideRow::Hold(Hold::Pause(target)) => rows.pause(target)?,
            _ => None,
        };
        if let Some(index) = known {
            // A token lives shorter than any leaf is handed out, so nobody has a use for this one.
            let pruned = rows.minimum_index()? > index;
            return Ok(if pruned { Admission::Refuse(Reason::EntryPruned) } else { Admission::Existing(index) });
        }
    }
    for row in side_rows {
        if let Some(reason) = refusal(rows, leaf, row, now_s)? {
            return Ok(Admission::Refuse(reason));
        }
    }
    // A delegator chooses the entry id of its hop and may choose one that is taken.
    if rows.leaf_by_entry(&leaf.id)?.is_some() {
        return Ok(Admission::Refuse(Reason::EntryExists));
    }
    match &leaf.retention {
        None => Ok(Admission::Append(None)),
        Some(retention) => Ok(match Work::of(rows, retention, index, Bound::OneStep)? {
            Ok(work) => Admission::Append(Some(work)),
            Err(reason) => Admission::Refuse(reason),
        }),
    }
}

pub(super) fn write_side_rows(batch: &Batch<'_>, index: u64, leaf: &Leaf, side_rows: &[SideRow], now_s: u64) -> Result<(), StoreError> {
    let subject = subject(batch, leaf, side_rows)?;
    let disclosures = side_rows.iter().filter_map(|row| if let SideRow::Disclosure(it) = row { Some(&it.disclosure) } else { None });
    batch.insert_disclosures(&leaf.id, subject, disclosures)?;
    side_rows.iter().try_for_each(|row| match row {
        SideRow::Disclosure(_) | SideRow::Subject(_) | SideRow::Shred(_) | SideRow::Stands(_) | SideRow::NotForSubject { .. } => Ok(()),
        SideRow::Erase(subject) => batch.erase_disclosures(*subject, now_s),
        SideRow::NewTask { task, expires_s, max_hops } => batch.insert_task(task, *expires_s, *max_hops, subject),
        SideRow::TaskHop { task } => batch.count_hop(task),
        SideRow::Minted { block, minted } => leaf.task.map_or(Ok(()), |task| batch.insert_minted(&task, block, minted, index)),
        SideRow::Revoke(revoked) => batch.insert_revocation(revoked, index),
        SideRow::Hold(Hold::Pause(target)) => batch.insert_pause(target, index),
        SideRow::Hold(Hold::Resume(target, paused)) => batch.end_pause(*paused, target),
        SideRow::Client { registration, .. } => batch.put_client(registration, index),
        SideRow::RootKey(key) => batch.put_root_key(key, index),
        SideRow::Derivation { block_id } => batch.insert_derivation(block_id, index),
        SideRow::SingleUse { key, expires_s, .. } => batch.insert_single_use(key, *expires_s),
    })
}

/// Whom a leaf's disclosures are about.
fn subject(batch: &Batch<'_>, leaf: &Leaf, side_rows: &[SideRow]) -> Result<Pseudonym, StoreError> {
    let named = side_rows.iter().find_map(|row| if let SideRow::Subject(subject) = row { Some(*subject) } else { None });
    match (named, &leaf.task) {
        (Some(subject), _) => Ok(subject),
        (None, Some(task)) => Ok(batch.rows().task(task)?.map_or(NOBODY, |task| task.subject)),
        (None, None) => Ok(NOBODY),
    }
}

fn refusal(rows: &Rows<'_>, leaf: &Leaf, row: &SideRow, now_s: u64) -> Result<Option<Reason>, StoreError> {
    Ok(match row {
        SideRow::Disclosure(committed) => refusal_of_disclosure(leaf, committed),
        SideRow::NewTask { task, .. } => rows.task(task)?.map(|_| Reason::TaskExists),
        SideRow::TaskHop { task } => match rows.task(task)? {
            None => Some(Reason::TaskUnknown),
            Some(task) => refusal_of_hop(&task, now_s),
        },
        SideRow::NotForSubject { task, actor } => match rows.task(task)? {
            None => Some(Reason::TaskUnknown),
            Some(task) => (task.subject == *actor).then_some(Reason::SubjectIsActor),
        },
        SideRow::SingleUse { key, expires_s, reason } => rows.is_used(key, *expires_s)?.then_some(*reason),
        SideRow::Stands(standing) => refusal_of_fallen(rows, standing)?,
        SideRow::Hold(Hold::Resume(target, paused)) => (rows.pause(target)? != Some(*paused)).then_some(Reason::NotPaused),
        SideRow::Client { registration, replaces } => refusal_of_client(rows, &registration.client.id, *replaces)?,
        SideRow::RootKey(key) => refusal_of_key(rows, key)?,
        SideRow::Minted { .. }
        | SideRow::Revoke(_)
        | SideRow::Hold(Hold::Pause(_))
        | SideRow::Derivation { .. }
        | SideRow::Subject(_)
        | SideRow::Erase(_)
        | SideRow::Shred(_) => None,
    })
}

fn refusal_of_client(rows: &Rows<'_>, id: &str, replaces: Option<u64>) -> Result<Option<Reason>, StoreError> {
    Ok(match (rows.client_leaf(id)?, replaces) {
        (None, None) => (rows.client_count()? >= MAX_REGISTERED).then_some(Reason::ClientsFull),
        (Some(_), None) => Some(Reason::ClientExists),
        (known, replaced) => (known != replaced).then_some(Reason::ClientChanged),
    })
}

fn refusal_of_fallen(rows: &Rows<'_>, standing: &Standing) -> Result<Option<Reason>, StoreError> {
    for target in &standing.targets {
        if rows.revocation(target)?.is_some_and(|row| row.revoked.before_s.is_none_or(|before| standing.issued_s < before)) {
            return Ok(Some(Reason::Revoked));
        }
        if target.can_pause() && rows.pause(target)?.is_some() {
            return Ok(Some(Reason::Paused));
        }
    }
    Ok(None)
}

/// Uses up what may be used once, without a leaf; the reason when it was used before.
pub(super) fn spend(batch: &Batch<'_>, side_rows: &[SideRow]) -> Result<Option<Reason>, StoreError> {
    for row in side_rows {
        if let SideRow::SingleUse { key, expires_s, reason } = row {
            if batch.rows().is_used(key, *expires_s)? {
                return Ok(Some(*reason));
            }
            batch.insert_single_use(key, *expires_s)?;
        }
    }
    Ok(None)
}

/// What the full check would not accept must never be stored: the log would look forged to whoever checks it later.
fn refusal_of_disclosure(leaf: &Leaf, Committed { disclosure, commitment }: &Committed) -> Option<Reason> {
    match leaf.commitment(&disclosure.name) {
        Some(said) if said == commitment => is_readable(disclosure).err(),
        _ => Some(Reason::DisclosureMismatch),
    }
}

fn refusal_of_hop(task: &TaskRow, now_s: u64) -> Option<Reason> {
    let ended = u64::try_from(task.expires_s).is_ok_and(|expires_s| expires_s <= now_s);
    (ended || task.hops >= task.max_hops).then_some(Reason::TaskQuota)
}
