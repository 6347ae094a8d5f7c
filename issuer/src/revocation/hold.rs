//! Holding a task or an agent for now: what a revocation does, until it is taken back. Who holds, and who lets go, is a leaf.

use narrows_verifier::{
    Reason,
    log::{Kind, Leaf, TraceId, Verdict},
};

use super::{
    revoke::{By, Ended},
    target::Target,
};
use crate::{
    app::App,
    exchange::ExchangeError,
    log::{NOBODY, SideRow},
    record::{Record, append, text},
};

/// What becomes of a hold with a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It begins.
    Pause(Target),
    /// It ends, where it is still the one that this leaf began.
    Resume(Target, u64),
}

/// Pauses a task or an agent. Pausing again what is paused writes nothing and gives the old leaf.
///
/// # Errors
/// `PARAMETER_INVALID` for what can't be paused, `TASK_UNKNOWN`, `REVOCATIONS_FULL`, or what the log met.
pub async fn pause(app: &App, by: By<'_>, target: Target, trace: TraceId) -> Result<Ended, ExchangeError> {
    if !target.can_pause() {
        return Err(Reason::ParameterInvalid.into());
    }
    if let Target::Task(task) = &target
        && app.log.task(task)?.is_none()
    {
        return Err(Reason::TaskUnknown.into());
    }
    app.revocations.live.room_for(&target, app.now_seconds())?;
    let draft = Leaf::draft(Kind::Pause, app.fresh_entry(), trace).because(Verdict::Pause, Reason::Paused);
    written(app, by, draft, Hold::Pause(target)).await
}

/// Lets go of it. What was issued before is accepted again where it has not been revoked or ended meanwhile.
///
/// # Errors
/// `NOT_PAUSED`, or what the log met.
pub async fn resume(app: &App, by: By<'_>, target: Target, trace: TraceId) -> Result<Ended, ExchangeError> {
    let (index, paused) = app.log.paused_by(&target)?.ok_or(Reason::NotPaused)?;
    let mut draft = Leaf::draft(Kind::Resume, app.fresh_entry(), trace);
    draft.of = Some(paused);
    written(app, by, draft, Hold::Resume(target, index)).await
}

async fn written(app: &App, by: By<'_>, mut draft: Leaf, hold: Hold) -> Result<Ended, ExchangeError> {
    draft.dev = app.dev;
    let mut record = Record::new(app);
    record.field("by", text(&by.name()));
    let (Hold::Pause(target) | Hold::Resume(target, _)) = &hold;
    match target {
        Target::Task(task) => draft.task = Some(*task),
        _ => record.field("agent", text(&target.name())),
    }
    let (leaf, receipt) = append(app, draft, record, vec![SideRow::Subject(NOBODY), SideRow::Hold(hold)]).await?;
    let entry = Leaf::parse(&leaf).map_err(|_| Reason::Internal)?.id;
    Ok(Ended { entry, leaf, receipt })
}
