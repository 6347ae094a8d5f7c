//! Token exchange (RFC 8693): a person's login becomes a capability for an agent.
//!
//! One function from top to bottom: who asks, for whom, with which key, what the policy grants, the signed token, its leaf
//! in the log, and only then the answer. This file knows no HTTP, no SQL and no key bytes.

use std::collections::{BTreeMap, BTreeSet};

use narrows_policies::{Claim, Grant, MintRequest};
use narrows_verifier::{
    Caveat, EntryId, PublicKey, Reason, TaskId,
    biscuit::AuthorityClaims,
    caveat::{self, Tools},
    json::Value,
    log::{Kind, Leaf, TraceId, Verdict},
    proof::{HolderClaims, Once, check_holder},
    token_text,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    app::App,
    clients::Client,
    federation::{FederationError, TokenType, VerifiedSubject},
    log::{LogError, SideRow},
    record::{Record, append, spend, text},
};

/// What a client asks for, parsed and bounded, with nothing verified yet. No Debug: it holds the subject token.
pub struct ExchangeRequest {
    /// The person's or workload's token.
    pub subject_token: Zeroizing<String>,
    /// What the client says it is.
    pub subject_token_type: TokenType,
    /// Audiences and resources together; at least one.
    pub audiences: BTreeSet<String>,
    /// The tools asked for.
    pub tools: Tools,
    /// Further caveats asked for.
    pub caveats: Vec<Caveat>,
    /// The agent's name; without it, the client's id.
    pub agent: Option<String>,
    /// The agent's key.
    pub holder: PublicKey,
    /// The proof that the agent holds that key.
    pub holder_proof: String,
    /// Seconds of life asked for.
    pub life_seconds: Option<u64>,
}

/// Who sent the request: a client whose credentials held.
pub struct AuthenticatedClient<'a> {
    /// The client.
    pub client: &'a Client,
    /// What must be spent with this request, for a client that signed an assertion.
    pub once: Option<Once>,
}

/// A capability whose leaf is durable. No Debug: it holds the token.
pub struct Exchanged {
    /// The token's text.
    pub token: Zeroizing<String>,
    /// Seconds until it expires.
    pub expires_in: u64,
    /// What was granted: tools and every other caveat.
    pub granted: Vec<Caveat>,
    /// The new task.
    pub task: TaskId,
    /// The log entry of the mint.
    pub entry: EntryId,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// The receipt.
    pub receipt: String,
}

/// Why nothing was issued.
#[derive(Debug)]
pub enum ExchangeError {
    /// The request is at fault.
    Refused(Reason),
    /// The policy said no; the refusal is in the log.
    Denied {
        /// The stable reason.
        reason: Reason,
        /// What the policy says about it.
        detail: String,
    },
    /// Something that this service needs can't be had now.
    Unavailable {
        /// The stable reason.
        reason: Reason,
        /// Seconds after which asking again can help, where that is known.
        retry_after_s: Option<u32>,
    },
}

/// Exchanges a subject token for a capability bound to the agent's key.
///
/// # Errors
/// Nothing is issued on any error, and a token whose leaf could not be made durable never leaves this function.
pub async fn exchange(
    app: &App,
    client: AuthenticatedClient<'_>,
    request: ExchangeRequest,
    trace: TraceId,
) -> Result<Exchanged, ExchangeError> {
    let now = app.now_seconds();
    let subject = app.federation.verify_subject(&request.subject_token, request.subject_token_type, now).await?;
    refuse_bounded_subject(&subject)?;
    let holder_once = check_holder_proof(app, client.client, &request, now)?;
    let agent = agent_name(client.client, &request)?;
    // a client assertion that was used before authenticates nobody (RFC 7523 §3)
    let assertion = client.once.map(|once| spend(once, Reason::ClientAuth));
    let person = SideRow::Subject(app.log.pseudonym(&subject.issuer, &subject.subject)?);
    let spends = [Some(spend(holder_once, Reason::ProofReplayed)), assertion, Some(person)].into_iter().flatten().collect::<Vec<_>>();

    let mut draft = Leaf::draft(Kind::Mint, app.fresh_entry(), trace);
    draft.dev = app.dev;
    draft.pack = Some(app.pack_digest);
    let mut record = Record::new(app);
    record.chain(Value::object([("issuer", text(&subject.issuer)), ("subject", text(&subject.subject))]));
    record.chain(text(&agent));
    record.field("audience", texts(&request.audiences));
    record.field("client", text(&client.client.id));
    record.field("tools", request.tools.to_json());

    let policy_request = mint_request(client.client, &agent, &subject, &request);
    let grant = match app.pack.decide(&policy_request, now) {
        Ok(grant) => grant,
        Err(refusal) => {
            append(app, draft.because(Verdict::Block, refusal.reason), record, spends).await?;
            return Err(ExchangeError::Denied { reason: refusal.reason, detail: refusal.detail });
        }
    };
    let expires = grant.expires_s;
    record.field("caveats", caveat::to_list(&grant.caveats));
    let task = app.fresh_task();
    let claims = AuthorityClaims {
        task,
        entry: draft.id,
        issued: now,
        issuer: app.identifier.clone(),
        subject: subject_name(app, &grant, &subject, &request.audiences),
        agent,
        holder: request.holder.into(),
        actors: Vec::new(),
        lineage: Vec::new(),
        dev: app.dev,
        caveats: grant.caveats,
    };
    let minted = app.mint.sign(&claims, &app.fresh_seed())?;
    draft.task = Some(task);
    draft.blocks = vec![minted.block];
    let entry = draft.id;
    let mut rows = spends;
    rows.push(SideRow::NewTask { task, expires_s: expires, max_hops: app.max_hops });
    let (leaf, receipt) = append(app, draft, record, rows).await?;
    Ok(Exchanged {
        token: Zeroizing::new(token_text(&minted.token)),
        expires_in: expires.saturating_sub(now),
        granted: claims.caveats,
        task,
        entry,
        leaf,
        receipt,
    })
}

/// Claims of the subject token that restrict its use and that this service can't yet carry on. Dropping one would launder
/// a delegated or bound token into a plain one.
fn refuse_bounded_subject(subject: &VerifiedSubject) -> Result<(), Reason> {
    let bound = ["act", "may_act", "cnf", "authorization_details"].into_iter().any(|claim| subject.bounds.contains_key(claim));
    if bound { Err(Reason::SubjectBound) } else { Ok(()) }
}

fn check_holder_proof(app: &App, client: &Client, request: &ExchangeRequest, now: u64) -> Result<Once, Reason> {
    let subject_digest = Sha256::digest(request.subject_token.as_bytes()).into();
    let claims = HolderClaims { issuer: &app.identifier, client: &client.id, subject_digest };
    check_holder(&request.holder_proof, &claims, &request.holder, now)
}

fn agent_name(client: &Client, request: &ExchangeRequest) -> Result<String, Reason> {
    let agent = request.agent.as_deref().unwrap_or(&client.id);
    match &client.agents {
        Some(allowed) if !allowed.iter().any(|allowed| allowed == agent) => Err(Reason::AgentNotAllowed),
        _ => Ok(agent.to_owned()),
    }
}

fn mint_request(client: &Client, agent: &str, subject: &VerifiedSubject, request: &ExchangeRequest) -> MintRequest {
    MintRequest {
        client: client.id.clone(),
        agent: agent.to_owned(),
        subject_issuer: subject.issuer.clone(),
        subject: subject.subject.clone(),
        claims: subject.claims.iter().filter_map(|(name, value)| Some((name.clone(), read_claim(value)?))).collect::<BTreeMap<_, _>>(),
        audiences: request.audiences.clone(),
        tools: request.tools.clone(),
        caveats: request.caveats.clone(),
        requested_life_seconds: request.life_seconds,
        requested_depth: request.caveats.iter().filter_map(depth).min(),
        subject_expires_s: Some(subject.expires_s),
    }
}

/// A depth asked for as a caveat: above the policy's it must be refused, and not be met with it in silence.
fn depth(caveat: &Caveat) -> Option<u32> {
    if let Caveat::Depth(max) = caveat { Some(*max) } else { None }
}

/// A claim as the policy's facts can hold it; other shapes are not seen by any policy, and a missing fact denies.
fn read_claim(value: &serde_json::Value) -> Option<Claim> {
    match value {
        serde_json::Value::Bool(flag) => Some(Claim::Flag(*flag)),
        serde_json::Value::Number(number) => number.as_i64().map(Claim::Integer),
        serde_json::Value::String(text) => Some(Claim::Text(text.clone())),
        serde_json::Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>().map(Claim::Texts)
        }
        serde_json::Value::Null | serde_json::Value::Object(_) => None,
    }
}

fn subject_name(app: &App, grant: &Grant, subject: &VerifiedSubject, audiences: &BTreeSet<String>) -> String {
    if grant.reveal_subject {
        format!("{} {}", subject.issuer, subject.subject)
    } else {
        app.mint.pseudonym(&subject.issuer, &subject.subject, audiences.iter())
    }
}

fn texts(values: &BTreeSet<String>) -> Value {
    Value::Array(values.iter().map(|value| text(value)).collect())
}

impl From<Reason> for ExchangeError {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<FederationError> for ExchangeError {
    fn from(error: FederationError) -> Self {
        match error {
            FederationError::Refused(reason) => Self::Refused(reason),
            FederationError::Unavailable(reason) => Self::Unavailable { reason, retry_after_s: None },
        }
    }
}

impl From<LogError> for ExchangeError {
    fn from(error: LogError) -> Self {
        tracing::error!(reason = %error.reason(), %error, "the log did not take an entry, so nothing was issued");
        Self::Unavailable { reason: error.reason(), retry_after_s: error.retry_after_s() }
    }
}
