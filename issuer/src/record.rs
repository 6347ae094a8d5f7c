//! What a leaf says of names and values: salted commitments, and beside them the disclosures that open them.

use std::collections::BTreeMap;

use narrows_verifier::{
    Reason,
    json::Value,
    log::{Commitment, Disclosure, Leaf, Salt},
    proof::Once,
};

use crate::{
    app::{App, random},
    exchange::ExchangeError,
    log::{Committed, Outcome, SideRow},
};

/// Fields of a leaf as salted commitments, with the disclosures that open them.
pub(crate) struct Record<'a> {
    app: &'a App,
    chain: Vec<Commitment>,
    fields: BTreeMap<String, Commitment>,
    disclosures: Vec<Committed>,
    salts: Vec<Salt>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(app: &'a App) -> Self {
        Self { app, chain: Vec::new(), fields: BTreeMap::new(), disclosures: Vec::new(), salts: Vec::new() }
    }

    pub(crate) fn chain(&mut self, value: Value) {
        let commitment = self.commit(&format!("chain/{}", self.chain.len()), value);
        self.chain.push(commitment);
    }

    pub(crate) fn field(&mut self, name: &str, value: Value) {
        let commitment = self.commit(name, value);
        self.fields.insert(name.to_owned(), commitment);
    }

    fn fresh_salt(&mut self) -> Salt {
        if self.salts.is_empty() {
            self.salts = self.app.fresh_salts();
        }
        self.salts.pop().unwrap_or_else(|| Salt::new(random()))
    }

    fn commit(&mut self, name: &str, value: Value) -> Commitment {
        let salt = self.fresh_salt();
        let committed = Committed::new(Disclosure { name: name.to_owned(), salt, value });
        let commitment = committed.commitment();
        self.disclosures.push(committed);
        commitment
    }
}

/// Makes a leaf durable and gives its bytes and receipt.
pub(crate) async fn append(app: &App, leaf: Leaf, record: Record<'_>, rows: Vec<SideRow>) -> Result<(Vec<u8>, String), ExchangeError> {
    let (index, leaf, receipt) = append_unwitnessed(app, leaf, record, rows).await?;
    Ok((leaf, release(app, index, receipt).await?))
}

/// Makes a leaf durable whatever the witnesses do, for what takes authority away: it must not wait for others.
pub(crate) async fn append_unwitnessed(
    app: &App,
    mut leaf: Leaf,
    record: Record<'_>,
    mut rows: Vec<SideRow>,
) -> Result<(u64, Vec<u8>, String), ExchangeError> {
    leaf.chain = record.chain;
    leaf.fields = record.fields;
    rows.extend(record.disclosures.into_iter().map(SideRow::Disclosure));
    match app.log.append(leaf, rows).await? {
        Outcome::Appended { index, leaf, receipt } => {
            app.metrics.set_log_size(index + 1);
            app.metrics.set_clock_regressions(app.log.clock_regressions());
            Ok((index, leaf, receipt))
        }
        Outcome::Existing { index, leaf, receipt } => Ok((index, leaf, receipt)),
        Outcome::Refused(reason) => Err(ExchangeError::Refused(reason)),
    }
}

/// Waits for the witnesses where nothing may leave without them.
async fn release(app: &App, index: u64, receipt: String) -> Result<String, ExchangeError> {
    match &app.witnesses {
        None => Ok(receipt),
        Some(witnesses) => Ok(witnesses.release(&app.log, index, receipt).await?),
    }
}

/// Remembers what may be used once; `reason` is the refusal of a second use.
pub(crate) fn spend(once: Once, reason: Reason) -> SideRow {
    SideRow::SingleUse { key: once.key, expires_s: once.forget_after, reason }
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}
