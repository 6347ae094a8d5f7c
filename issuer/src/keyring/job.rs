//! What a running service does about its keys.

use std::{io, sync::Arc, time::Duration};

use narrows_verifier::{
    Reason, RootState,
    log::{Kind, Leaf, TraceId},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::{
    KeySet, Order, Ring, Step,
    set::{Answer, Change},
};
use crate::{
    age::Unlock,
    app::{App, random},
    exchange::ExchangeError,
    keys::{KeyError, KeyRole, SecretKey},
    record::{Record, append_unwitnessed, text},
};

/// Carries out orders as they come, and lets keys go that have ended, until it is dropped.
///
/// # Errors
/// SIGHUP can't be watched.
pub async fn follow(app: Arc<App>) -> io::Result<()> {
    let mut asked = signal(SignalKind::hangup())?;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut fault = None;
    loop {
        tokio::select! {
            _ = asked.recv() => {}
            _ = ticks.tick() => {}
        }
        let turn = app.key_office.turn().await;
        let taken = take_order(&app).await;
        drop(turn);
        match taken {
            Ok(()) => fault = None,
            Err(reason) if fault == Some(reason) => {}
            Err(reason) => {
                tracing::error!(%reason, "an order about keys can't be carried out now, and waits");
                fault = Some(reason);
            }
        }
    }
}

/// Carries out the order that waits, if there is one. An order that is refused is answered and changes nothing.
///
/// # Errors
/// What keeps it from being answered: log or disk. The order waits.
pub async fn take_order(app: &App) -> Result<(), Reason> {
    let keyring = &app.keyring;
    let order = match keyring.place.order() {
        Ok(None) => return let_ended_go(app).await,
        Ok(Some(order)) => order,
        // It may be a key that is to be given up: what can't be read now is read again.
        Err(error) if error.reason != Reason::KeySetMalformed => return Err(error.reason),
        Err(error) => {
            tracing::error!(reason = %error.reason, %error, "an order about keys is none, and is dropped");
            return keyring.place.clear().map_err(|_| Reason::KeyFileMissing);
        }
    };
    if let Some(ring) = keyring.logged_for(&order.id) {
        keyring.put_in_force(ring).map_err(|error| error.reason)?;
    }
    let set = keyring.ring().set.clone();
    // The service ended before it could take it away.
    if set.last().is_some_and(|answer| answer.order == order.id) {
        return keyring.place.clear().map_err(|_| Reason::KeyFileMissing);
    }
    let (order_id, kind) = (order.id.clone(), format!("{:?}", order.step));
    let answer =
        |refused: Option<Reason>| Some(Answer { order: order_id.clone(), refused: refused.map(|reason| reason.code().to_owned()) });
    match step(app, &set, order) {
        Ok((mut next, changes)) => {
            next.set.last = answer(None);
            change(app, &order_id, next, &changes).await?;
            tracing::info!(step = kind, "the keys that sign tokens have changed");
        }
        Err(error) => {
            tracing::warn!(reason = %error.reason, %error, step = kind, "an order about keys is refused");
            let refused = KeySet { last: answer(Some(error.reason)), ..set };
            let ring = keyring.ring_of(refused).map_err(|error| error.reason)?;
            keyring.put_in_force(Arc::new(ring)).map_err(|error| error.reason)?;
        }
    }
    keyring.place.clear().map_err(|_| Reason::KeyFileMissing)
}

async fn let_ended_go(app: &App) -> Result<(), Reason> {
    let keyring = &app.keyring;
    if let Some(ring) = keyring.logged_for(ENDED) {
        return keyring.put_in_force(ring).map_err(|error| error.reason);
    }
    let mut set = keyring.ring().set.clone();
    let mut changes = Vec::new();
    for kid in set.ended(app.now_seconds(), &keyring.pace) {
        changes.extend(set.retire(kid, app.now_seconds(), &keyring.pace)?);
    }
    if changes.is_empty() {
        return Ok(());
    }
    let ring = keyring.ring_of(set).map_err(|error| error.reason)?;
    change(app, ENDED, ring, &changes).await
}

/// What an order makes of the keys. Files are read here, before anything is written down.
fn step(app: &App, set: &KeySet, order: Order) -> Result<(Ring, Vec<Change>), KeyError> {
    let (now, pace) = (app.now_seconds(), &app.keyring.pace);
    let mut next = set.clone();
    let refused = |reason: Reason| KeyError { reason, message: reason.meaning().to_owned() };
    let changes = match order.step {
        Step::Prepare { file } => {
            let key = SecretKey::open(&file, KeyRole::Issuer, &Unlock::read(&app.keyring.unlock)?)?;
            let key = narrows_verifier::public_key(key.danger_seed());
            next.prepare(key, file, now)
        }
        Step::Activate { kid } => next.activate(kid, now, pace),
        Step::Retire { kid } => next.retire(kid, now, pace),
        Step::Taint { kid, spare_below } => next.taint(kid, spare_below),
    }
    .map_err(refused)?;
    Ok((app.keyring.ring_of(next)?, changes))
}

/// The leaves first, then the file, then the change. A key is given up with its leaf: neither witnesses nor the state file may keep a
/// stolen one in force.
async fn change(app: &App, asked: &str, next: Ring, changes: &[Change]) -> Result<(), Reason> {
    for change in changes {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let mut leaf = Leaf::draft(Kind::Key, app.fresh_entry(), TraceId::new(random()));
        leaf.dev = app.dev;
        let mut record = Record::new(app);
        record.field("key", text(&URL_SAFE_NO_PAD.encode(change.key.as_bytes())));
        record.field("role", text(KeyRole::Issuer.name()));
        record.field("state", text(change.state));
        append_unwitnessed(app, leaf, record, Vec::new()).await.map_err(|error| match error {
            ExchangeError::Refused(reason) | ExchangeError::Denied { reason, .. } | ExchangeError::Unavailable { reason, .. } => reason,
        })?;
    }
    let next = Arc::new(next);
    *app.keyring.logged() = Some((asked.to_owned(), Arc::clone(&next)));
    if changes.iter().any(|change| change.state == RootState::Tainted.name()) {
        app.keyring.follow(Arc::clone(&next));
    }
    app.keyring.put_in_force(next).map_err(|error| error.reason)
}

/// What asks for keys to go whose tokens are all over. No order has this name.
const ENDED: &str = "ended";

/// Between two looks for an order.
const LOOK: Duration = Duration::from_secs(1);
