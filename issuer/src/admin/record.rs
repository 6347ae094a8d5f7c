//! The leaf of an act.

use narrows_verifier::{
    Reason,
    log::{Kind, Leaf, TraceId, Verdict},
};

use super::{Act, Operator};
use crate::{
    app::App,
    clients::Registration,
    exchange::ExchangeError,
    log::{NOBODY, SideRow},
    record::{Record, append, append_unwitnessed, text},
};

/// Records an act that only looked, or that is in force with a leaf which does not say by whom. The latter waits for no witness.
///
/// # Errors
/// When the leaf can't be made durable: then nothing may be shown.
pub async fn done(app: &App, by: &Operator, act: Act, target: &str, trace: TraceId) -> Result<(), ExchangeError> {
    let (leaf, record) = begin(app, by, act, target, trace);
    let rows = vec![SideRow::Subject(NOBODY)];
    match act.only_looks() {
        true => append(app, leaf, record, rows).await.map(|_| ()),
        false => append_unwitnessed(app, leaf, record, rows).await.map(|_| ()),
    }
}

/// Records an act that was refused.
///
/// # Errors
/// When the leaf can't be made durable: then that is the answer.
pub async fn refused(app: &App, by: &Operator, (act, target): (Act, &str), reason: Reason, trace: TraceId) -> Result<(), ExchangeError> {
    let (leaf, record) = begin(app, by, act, target, trace);
    append(app, leaf.because(Verdict::Block, reason), record, vec![SideRow::Subject(NOBODY)]).await.map(|_| ())
}

/// Records what is said of a client from now on, in one commit with its row. The leaf's bytes and receipt.
///
/// # Errors
/// `CLIENT_EXISTS`, `CLIENTS_FULL`, `CLIENT_CHANGED`, or what the log met.
pub(super) async fn registered(
    app: &App,
    by: &Operator,
    act: Act,
    (registration, replaces): (&Registration, Option<u64>),
    trace: TraceId,
) -> Result<(Vec<u8>, String), ExchangeError> {
    let (leaf, mut record) = begin(app, by, act, &registration.client.id, trace);
    record.field("registration", text(&registration.digest()));
    let row = SideRow::Client { registration: registration.clone(), replaces };
    append(app, leaf, record, vec![SideRow::Subject(NOBODY), row]).await
}

fn begin<'a>(app: &'a App, by: &Operator, act: Act, target: &str, trace: TraceId) -> (Leaf, Record<'a>) {
    let mut leaf = Leaf::draft(Kind::Admin, app.fresh_entry(), trace);
    leaf.dev = app.dev;
    let mut record = Record::new(app);
    record.field("act", text(act.name()));
    record.field("by", text(by.name()));
    record.field("target", text(target));
    (leaf, record)
}
