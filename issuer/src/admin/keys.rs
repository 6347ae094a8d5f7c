//! The keys that sign tokens, by an operator's word: the orders of `narrows keys`, each carried out before the answer.

use std::{fs, sync::Arc};

use narrows_verifier::Reason;
use rand_core::{CryptoRngCore, OsRng};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    age::Unlock,
    app::App,
    clients::generate_secret,
    config::{self, Config},
    exchange::ExchangeError,
    keyring::{Order, Place, Step, new_key, take_back, take_order},
    keys::KeyError,
};

/// Where orders about keys are left, and what makes one wait for another.
pub struct KeyOffice {
    place: Place,
    /// What seals new key files, read anew each time: no passphrase is kept.
    unlock: config::Keys,
    turn: Mutex<()>,
}

/// A step in the life of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// A fresh key is published.
    Prepare,
    /// It signs from now on.
    Activate(u32),
    /// It is published no longer.
    Retire(u32),
    /// Nothing that it signed is accepted, but what lies below an index of the log may be spared.
    Taint(u32, Option<u64>),
}

impl KeyOffice {
    /// The office of one data directory.
    pub fn new(config: &Config) -> Self {
        Self { place: Place::new(&config.data_dir), unlock: config.keys.clone(), turn: Mutex::new(()) }
    }

    /// Waits until no order is being carried out, and keeps others from it until it is dropped.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

/// Has a step happen, and gives the number of its key.
///
/// Whoever asked may go away in the middle: what has begun is finished all the same.
///
/// # Errors
/// Why the step is refused; `KEY_ORDER_WAITING` while another order waits; what the log or the disk says, and then the step is taken
/// back. A key that is to be given up is not taken back: that is tried until it is done.
pub async fn change_key(app: &Arc<App>, step: KeyStep) -> Result<u32, ExchangeError> {
    let app = Arc::clone(app);
    let changing = tokio::spawn(async move { carry_out(&app, step).await });
    Ok(changing.await.map_err(|_| Reason::Internal)??)
}

async fn carry_out(app: &App, step: KeyStep) -> Result<u32, Reason> {
    let office = &app.key_office;
    let _turn = office.turn().await;
    let (kid, order) = office.order(step, &mut OsRng).map_err(|error| error.reason)?;
    if let Err(error) = office.place.leave(&order) {
        discard(&order.step);
        return Err(error.reason);
    }
    if let Err(reason) = take_order(app).await {
        if !matches!(step, KeyStep::Taint(..)) {
            take_back(app, &order).map_err(|_| Reason::KeyOrderWaiting)?;
        }
        return Err(reason);
    }
    let set = office.place.set().map_err(|error| error.reason)?;
    let answer = set.as_ref().and_then(|set| set.last()).filter(|answer| answer.order == order.id);
    match answer.map(|answer| answer.refused.as_deref()) {
        Some(None) => Ok(kid),
        Some(Some(refused)) => {
            discard(&order.step);
            Err(Reason::from_code(refused).unwrap_or(Reason::Internal))
        }
        None => Err(Reason::Internal),
    }
}

impl KeyOffice {
    fn order(&self, step: KeyStep, random: &mut impl CryptoRngCore) -> Result<(u32, Order), KeyError> {
        let (kid, step) = match step {
            KeyStep::Prepare => {
                let (kid, file) = new_key(&self.place, &Unlock::read(&self.unlock)?, random)?;
                (kid, Step::Prepare { file })
            }
            KeyStep::Activate(kid) => (kid, Step::Activate { kid }),
            KeyStep::Retire(kid) => (kid, Step::Retire { kid }),
            KeyStep::Taint(kid, spare_below) => (kid, Step::Taint { kid, spare_below }),
        };
        Ok((kid, Order { id: generate_secret(random).to_string(), step }))
    }
}

/// Takes a key away that was never published: nobody has a use for it.
fn discard(step: &Step) {
    if let Step::Prepare { file } = step
        && let Err(error) = fs::remove_file(file)
    {
        tracing::warn!(file = %file.display(), %error, "a key file of no use can't be removed");
    }
}
