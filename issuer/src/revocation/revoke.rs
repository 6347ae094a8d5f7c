//! Ending authority: one leaf, one row in the table of revocations, and from then on no token that it reaches stands.

use narrows_verifier::{
    EntryId, PublicKey, Reason, TaskId,
    json::Value,
    log::{Kind, Leaf, TraceId},
};
use sha2::{Digest, Sha256};

use super::target::{Revoked, Target};
use crate::{
    app::App,
    exchange::ExchangeError,
    log::{NOBODY, SideRow},
    record::{Record, append, text},
};

/// By whose word authority ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    /// A registered client, by its id.
    Client(&'a str),
    /// The holder of what ends, or whoever handed it on, who proved that with its key.
    Holder(PublicKey),
    /// An administrator, by name.
    Administrator(&'a str),
}

/// What is to be ended. Whether whoever asks may do that is for the caller to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What.
    pub target: Target,
    /// For a cut-off, the second before which tokens were issued; without it, whatever was issued up to now. At most a day ahead.
    pub before_s: Option<u64>,
    /// The task that the target belongs to, where that is known.
    pub task: Option<TaskId>,
}

/// A recorded revocation.
#[derive(Debug)]
pub struct Ended {
    /// Its log entry; that of an earlier revocation which said as much, if there was one.
    pub entry: EntryId,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// The receipt.
    pub receipt: String,
}

/// Revokes, by the word of `by`. Revoking again what is revoked writes nothing and gives the old leaf.
///
/// # Errors
/// `PARAMETER_INVALID` for a cut-off too far ahead, `REVOCATIONS_FULL`, or `AUDIT_UNAVAILABLE`: then ask again.
pub async fn revoke(app: &App, by: By<'_>, ending: Ending, trace: TraceId) -> Result<Ended, ExchangeError> {
    let now = app.now_seconds();
    let revoked = revoked(app, &ending, now)?;
    app.revocations.live.room_for(&revoked.target, now)?;
    let mut draft = Leaf::draft(Kind::Revoke, app.fresh_entry(), trace);
    draft.dev = app.dev;
    let mut record = Record::new(app);
    record.field("by", text(&by.name()));
    record.field("until", seconds(revoked.until_s));
    if let Some(before) = revoked.before_s {
        record.field("cut_off", seconds(before));
    }
    match &revoked.target {
        Target::Block(block) => draft.blocks = vec![*block],
        Target::Task(_) => {}
        Target::Subject(name) => record.field("subject", text(name)),
        Target::Agent(name) => record.field("agent", text(name)),
        Target::Key(_) => record.field("holder", text(&revoked.target.name())),
    }
    draft.task = match revoked.target {
        Target::Task(task) => Some(task),
        _ => ending.task,
    };
    // What a leaf says about a person goes when the person's disclosures do. This one speaks of an end, and by whom.
    let (leaf, receipt) = append(app, draft, record, vec![SideRow::Subject(NOBODY), SideRow::Revoke(revoked)]).await?;
    let entry = Leaf::parse(&leaf).map_err(|_| Reason::Internal)?.id;
    Ok(Ended { entry, leaf, receipt })
}

impl By<'_> {
    /// Takes one revocation from the rate at which a client or a holder may revoke.
    ///
    /// # Errors
    /// `REVOCATION_RATE`.
    pub fn take_turn(&self, app: &App) -> Result<(), ExchangeError> {
        if let Self::Administrator(_) = self {
            return Ok(());
        }
        let who = Sha256::digest(self.name().as_bytes()).into();
        let taken = app.revocation_rate.take(&who, (app.clock)());
        taken.map_err(|seconds| ExchangeError::Unavailable { reason: Reason::RevocationRate, retry_after_s: Some(seconds) })
    }

    /// As the leaf commits to it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Client(id) => format!("client {id}"),
            Self::Holder(key) => format!("holder {}", Target::Key(*key.as_bytes()).name()),
            Self::Administrator(name) => format!("administrator {name}"),
        }
    }
}

/// The row: what is revoked, and until when that must be known.
///
/// An entry may go once no token that it reaches can live: a task's tokens, and so a block's, end with the task; what was
/// issued before a cut-off lives no longer than any pack may grant; and so does a block of which this log knows no task.
fn revoked(app: &App, ending: &Ending, now: u64) -> Result<Revoked, ExchangeError> {
    let target = ending.target.clone();
    if target.is_cut_off() {
        // Tokens say the second of their issue, and those of this very second are meant as well.
        let before = ending.before_s.unwrap_or(now.saturating_add(1));
        if before > now.saturating_add(MAX_AHEAD_S) {
            return Err(Reason::ParameterInvalid.into());
        }
        let until_s = before.saturating_add(narrows_policies::MAX_LIFE_SECONDS).saturating_add(MARGIN_S);
        return Ok(Revoked { target, before_s: Some(before), until_s });
    }
    if ending.before_s.is_some() {
        return Err(Reason::ParameterInvalid.into());
    }
    let task = if let Target::Task(task) = target { Some(task) } else { ending.task };
    let known = task.map(|task| app.log.task(&task)).transpose()?.flatten();
    let end = known.map_or(now.saturating_add(narrows_policies::MAX_LIFE_SECONDS), |task| task.expires_s);
    Ok(Revoked { target, before_s: None, until_s: end.saturating_add(MARGIN_S) })
}

fn seconds(time: u64) -> Value {
    Value::Integer(i64::try_from(time).unwrap_or(i64::MAX))
}

/// A cut-off further ahead would keep whoever it names out for longer than anybody means by "revoke".
const MAX_AHEAD_S: u64 = 86_400;

/// The clocks of verifiers differ: one that is behind accepts a token for so much longer.
const MARGIN_S: u64 = 60;

/// How long after its leaf a revocation can matter at most.
pub(crate) const LONGEST_REACH_S: u64 = MAX_AHEAD_S + narrows_policies::MAX_LIFE_SECONDS + MARGIN_S;
