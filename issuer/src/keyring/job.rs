//! What a running service does about its keys.

use std::{io, sync::Arc, time::Duration};

use narrows_verifier::{Reason, RootState};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::{
    KeySet, Keyring, Order, Ring, Step,
    proved::{ENDED, number, unsaid},
    set::Answer,
};
use crate::{
    age::Unlock,
    app::App,
    keys::{KeyError, KeyRole, SecretKey},
    log::{KeyRow, Log},
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

/// What a change of keys must know of the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now_s: u64,
    /// The size of the log that is published, under witnesses where there are any.
    pub(super) published: u64,
    pub(super) dev: bool,
}

/// Carries out the order that waits, if there is one. An order that is refused is answered and changes nothing.
///
/// # Errors
/// What keeps it from being answered: log or disk. The order waits.
pub async fn take_order(app: &App) -> Result<(), Reason> {
    let moment = Moment { now_s: app.now_seconds(), published: app.published_size(), dev: app.dev };
    let logged = app.keyring.take_order(&app.log, moment).await?;
    logged.into_iter().for_each(|index| app.metrics.set_log_size(index + 1));
    Ok(())
}

/// Takes an order back that could not be carried out.
///
/// # Errors
/// `KEY_ORDER_WAITING` where leaves say a part of it already, so that it is gone on with; what log or disk say.
pub fn take_back(app: &App, order: &Order) -> Result<(), Reason> {
    let logged = app.log.root_keys().map_err(|error| error.reason())?;
    if logged.iter().any(|row| row.asked == order.id) { Err(Reason::KeyOrderWaiting) } else { app.keyring.clear() }
}

impl Keyring {
    /// As [`take_order`]; the index of the last leaf that it took.
    pub(super) async fn take_order(&self, log: &Log, moment: Moment) -> Result<Option<u64>, Reason> {
        let order = match self.place.order() {
            Ok(None) => return self.let_ended_go(log, moment).await,
            Ok(Some(order)) => order,
            // It may be a key that is to be given up: what can't be read now is read again.
            Err(error) if error.reason != Reason::KeySetMalformed => return Err(error.reason),
            Err(error) => {
                tracing::error!(reason = %error.reason, %error, "an order about keys is none, and is dropped");
                return self.clear().map(|()| None);
            }
        };
        let base = self.ring().set.clone();
        // The service ended before it could take it away.
        if base.last().is_some_and(|answer| answer.order == order.id) {
            return self.clear().map(|()| None);
        }
        let taken = self.place.take();
        if taken.is_err() && !order.step.gives_up() {
            return Err(Reason::KeyFileMissing);
        }
        let logged = log.root_keys().map_err(|error| error.reason())?;
        let kind = format!("{:?}", order.step);
        let answer = |refused: Option<Reason>| Answer { order: order.id.clone(), refused: refused.map(|reason| reason.code().to_owned()) };
        let index = match self.next(&base, &order, &logged, moment) {
            Ok(next) => {
                let next = Arc::new(next);
                let index = self.say(log, &next, unsaid(&base, &next.set, &logged, &order.id), moment.dev).await?;
                self.put_in_force(next.answering(answer(None))).map_err(|error| error.reason)?;
                tracing::info!(step = kind, "the keys that sign tokens have changed");
                index
            }
            // Leaves say a part of it already, so it has to be gone on with.
            Err(error) if logged.iter().any(|row| row.asked == order.id) => return Err(error.reason),
            Err(error) => {
                tracing::warn!(reason = %error.reason, %error, step = kind, "an order about keys is refused");
                self.put_in_force(self.ring().answering(answer(Some(error.reason)))).map_err(|error| error.reason)?;
                None
            }
        };
        self.clear().map(|()| index)
    }

    async fn let_ended_go(&self, log: &Log, moment: Moment) -> Result<Option<u64>, Reason> {
        let base = self.ring().set.clone();
        let ended = base.ended(moment.now_s, &self.pace);
        if ended.is_empty() {
            return Ok(None);
        }
        let mut next = base.clone();
        ended.into_iter().try_for_each(|kid| next.retire(kid, moment.now_s, &self.pace))?;
        let next = Arc::new(self.ring_of(next).map_err(|error| error.reason)?);
        let logged = log.root_keys().map_err(|error| error.reason())?;
        let index = self.say(log, &next, unsaid(&base, &next.set, &logged, ENDED), moment.dev).await?;
        self.put_in_force(next).map_err(|error| error.reason)?;
        Ok(index)
    }

    /// What an order makes of the keys. Files are read here, before anything is written down. Of an order that was begun, what the
    /// log says of it counts, with the times of then.
    pub(super) fn next(&self, base: &KeySet, order: &Order, logged: &[KeyRow], moment: Moment) -> Result<Ring, KeyError> {
        let begun = || logged.iter().filter(|row| row.asked == order.id);
        let mut next = base.clone();
        next.follow(begun());
        if begun().next().is_none() || !next.has_taken(&order.step) {
            self.step(&mut next, order, logged, moment)?;
            next.follow(begun());
        }
        self.ring_of(next)
    }

    fn step(&self, next: &mut KeySet, order: &Order, logged: &[KeyRow], moment: Moment) -> Result<(), KeyError> {
        let (now, pace) = (moment.now_s, &self.pace);
        let refused = |reason: Reason| KeyError { reason, message: reason.meaning().to_owned() };
        match &order.step {
            Step::Prepare { file } => {
                let key = SecretKey::open(file, KeyRole::Issuer, &Unlock::read(&self.unlock)?)?;
                let key = narrows_verifier::public_key(key.danger_seed());
                // What the log knows of was used before, and may have been given up.
                let id = crate::keys::root_key_id(key.as_bytes());
                match logged.iter().any(|row| number(row) == id && row.asked != order.id) {
                    true => Err(Reason::KeyState),
                    false => next.prepare(key, file.clone(), now),
                }
            }
            Step::Activate { kid } => next.activate(*kid, now, pace),
            Step::Retire { kid } => next.retire(*kid, now, pace),
            Step::Taint { spare_below: Some(index), .. } if *index > moment.published => Err(Reason::KeySpareBeyond),
            Step::Taint { kid, spare_below } => next.taint(*kid, *spare_below, now, pace),
        }
        .map_err(refused)
    }

    /// The leaves, one after the other. A key is given up with its leaf: neither witnesses nor the state file may keep a stolen one
    /// in force.
    async fn say(&self, log: &Log, next: &Arc<Ring>, rows: Vec<KeyRow>, dev: bool) -> Result<Option<u64>, Reason> {
        let mut last = None;
        for row in rows {
            last = Some(log.append_key(&row, dev).await.map_err(|error| error.reason())?);
            if row.state == Some(RootState::Tainted) {
                self.follow(Arc::clone(next));
            }
        }
        Ok(last)
    }

    fn clear(&self) -> Result<(), Reason> {
        self.place.clear().map_err(|_| Reason::KeyFileMissing)
    }
}

/// Between two looks for an order.
const LOOK: Duration = Duration::from_secs(1);
