//! The leaf of an issued token, or of a refusal by the policy, with all that is stored in its transaction.

use std::collections::BTreeSet;

use narrows_policies::{Grant, MintRequest, PolicyRefusal};
use narrows_verifier::{
    BlockId, EntryId, Reason, TaskId,
    biscuit::AuthorityClaims,
    caveat::{self, Tools},
    json::Value,
    log::{Kind, Leaf, PackDigest, TraceId, Verdict},
};

use super::{ExchangeError, issue::Parties, narrowing::Parent};
use crate::{
    app::App,
    client_auth::AuthenticatedClient,
    log::{MintedRow, SideRow},
    record::{Record, append, spend, text},
    revocation::Standing,
};

/// A leaf that is being filled in.
pub(super) struct Entry<'a> {
    app: &'a App,
    leaf: Leaf,
    record: Record<'a>,
    rows: Vec<SideRow>,
    minted: Option<MintedRow>,
}

impl<'a> Entry<'a> {
    /// What is known before the policy decides, and what is used up whatever it says.
    ///
    /// # Errors
    /// When the log can't tell whom the leaf is about.
    pub(super) fn begin(
        app: &'a App,
        sender: &AuthenticatedClient,
        parties: &mut Parties,
        (request, pack): (&MintRequest, PackDigest),
        spends: Vec<SideRow>,
        trace: TraceId,
    ) -> Result<Self, ExchangeError> {
        let parent = parties.parent.as_ref();
        let mut rows = std::mem::take(&mut parties.spends);
        rows.extend(spends);
        // a client assertion that was used before authenticates nobody (RFC 7523 §3)
        rows.extend(sender.once.map(|once| spend(once, Reason::ClientAuth)));
        match parent {
            Some(parent) => rows.push(spend(parent.once, Reason::ProofReplayed)),
            None => rows.push(SideRow::Subject(app.log.pseudonym(&parties.subject.issuer, &parties.subject.name)?)),
        }
        let kind = if parent.is_some() { Kind::Exchange } else { Kind::Mint };
        let mut leaf = Leaf::draft(kind, app.fresh_entry(), trace);
        leaf.dev = app.dev;
        leaf.pack = Some(pack);
        leaf.task = parent.map(Parent::task);
        leaf.parents = parent.map_or_else(Vec::new, |parent| parent.token.block_ids());
        let mut record = Record::new(app);
        record.chain(match parent {
            Some(parent) => text(&parent.token.authority.subject),
            None => party(&parties.subject.issuer, &parties.subject.name),
        });
        parties.earlier.iter().map(|actor| &actor.name).chain([&request.agent]).for_each(|name| record.chain(text(name)));
        record.field("actor", party(&parties.actor.issuer, &parties.actor.name));
        record.field("audience", texts(&request.audiences));
        record.field("client", text(&request.client));
        Ok(Self { app, leaf, record, rows, minted: None })
    }

    /// The entry's id, which the token carries.
    pub(super) fn id(&self) -> EntryId {
        self.leaf.id
    }

    /// Records that the policy refused, with what was asked for. A refusal whose leaf can't be written is the log's.
    pub(super) async fn refuse(mut self, request: &MintRequest, refusal: PolicyRefusal) -> ExchangeError {
        self.record.field("tools", asked(request));
        match append(self.app, self.leaf.because(Verdict::Block, refusal.reason), self.record, self.rows).await {
            Ok(_) => ExchangeError::Denied { reason: refusal.reason, detail: refusal.detail },
            Err(error) => error,
        }
    }

    /// What was granted, to which client.
    pub(super) fn granted(&mut self, grant: &Grant, life: u64, client: String, scope: String) {
        self.record.field("tools", grant.tools.to_json());
        self.record.field("caveats", caveat::to_list(&grant.caveats));
        if grant.clamped {
            self.record.field("life", Value::Integer(i64::try_from(life).unwrap_or(i64::MAX)));
        }
        self.minted = Some(MintedRow { client, scope });
    }

    /// The task, and what must not have been revoked when the leaf is written: what the token says, and the token that it
    /// comes from.
    pub(super) fn stands_on(&mut self, parties: &Parties, claims: &AuthorityClaims, expires_s: u64) {
        let task = claims.task;
        self.rows.push(SideRow::Stands(Standing::of_claims(claims)));
        match &parties.parent {
            Some(parent) => self.rows.extend([SideRow::TaskHop { task }, SideRow::Stands(Standing::of(&parent.token))]),
            None => self.rows.push(SideRow::NewTask { task, expires_s, max_hops: self.app.max_hops }),
        }
    }

    /// Makes the leaf durable and gives its bytes and receipt.
    ///
    /// # Errors
    /// What was used or revoked before, a task that has ended or had enough, or what the log met.
    pub(super) async fn record(mut self, task: TaskId, block: BlockId) -> Result<(Vec<u8>, String), ExchangeError> {
        self.leaf.task = Some(task);
        self.leaf.blocks = vec![block];
        self.rows.extend(self.minted.map(|minted| SideRow::Minted { block, minted }));
        append(self.app, self.leaf, self.record, self.rows).await
    }
}

/// What a refused request asked for: tools by name, scopes as such.
fn asked(request: &MintRequest) -> Value {
    let tools = request.tools.as_ref().map(Tools::to_json);
    let named = if let Some(Value::Array(items)) = tools { items } else { Vec::new() };
    let scopes = request.scopes.iter().map(|scope| Value::object([("scope", text(scope))]));
    Value::Array(named.into_iter().chain(scopes).collect())
}

fn party(issuer: &str, name: &str) -> Value {
    Value::object([("issuer", text(issuer)), ("subject", text(name))])
}

fn texts(values: &BTreeSet<String>) -> Value {
    Value::Array(values.iter().map(|value| text(value)).collect())
}
