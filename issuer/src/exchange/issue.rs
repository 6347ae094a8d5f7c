//! From verified parties to a durable token: what the policy grants, the signed block, its leaf, and only then the answer.

use std::collections::{BTreeMap, BTreeSet};

use narrows_policies::{Actor, Ceiling, Claim, Grant, GrantType, MintRequest, RequestedType};
use narrows_verifier::{Caveat, EarlierActor, EntryId, Holder, Reason, TaskId, biscuit::AuthorityClaims, log::TraceId, token_text};
use zeroize::Zeroizing;

use super::{
    ExchangeError, Wanted,
    binding::Bound,
    delegation::Party,
    entry::Entry,
    jwt_view::{self, LIFE_SECONDS},
    narrowing::Parent,
};
use crate::{app::App, client_auth::AuthenticatedClient, digest, log::SideRow, mint::Mint};

/// A token whose leaf is durable. No Debug: it holds the token.
pub struct Issued {
    /// The token's text, in the form that was asked for.
    pub token: Zeroizing<String>,
    /// Which form that is.
    pub form: RequestedType,
    /// Whether it is bound to a key.
    pub bound: bool,
    /// Seconds until it expires.
    pub expires_in: u64,
    /// The scopes that it covers whole, with spaces between them.
    pub scope: String,
    /// What was granted: tools and every other caveat.
    pub granted: Vec<Caveat>,
    /// The task.
    pub task: TaskId,
    /// The log entry of the mint or exchange.
    pub entry: EntryId,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// The receipt.
    pub receipt: String,
}

/// Everybody whom a token is about, all of them verified.
pub(super) struct Parties {
    /// By which grant.
    pub grant: GrantType,
    /// Whose authority it is.
    pub subject: Party,
    /// Claims about the subject that a policy may see.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// Those who acted before, the latest last.
    pub earlier: Vec<EarlierActor>,
    /// Who acts now.
    pub actor: Party,
    /// Whether the actor was named by a token of its own, so that the client can't name it otherwise.
    pub actor_named: bool,
    /// Where the token is to be used, if the request does not say it.
    pub audiences: BTreeSet<String>,
    /// What bounds the new token beside the policy.
    pub ceilings: Vec<Ceiling>,
    /// When the tokens end that the new one comes from; it ends no later.
    pub expires_s: Option<u64>,
    /// The token that is narrowed, where it is one of ours.
    pub parent: Option<Parent>,
    /// What may be used once and is used by this.
    pub spends: Vec<SideRow>,
}

/// Decides, signs, records and only then releases.
///
/// # Errors
/// Nothing is issued on any error, and a token whose leaf could not be made durable never leaves this function.
pub(super) async fn issue(
    app: &App,
    sender: &AuthenticatedClient,
    mut parties: Parties,
    wanted: &Wanted,
    bound: Bound,
    trace: TraceId,
) -> Result<Issued, ExchangeError> {
    let mint = app.keyring.mint().map_err(|reason| ExchangeError::Unavailable { reason, retry_after_s: None })?;
    let now = app.now_seconds();
    take_rate(app, &parties)?;
    let agent = agent_name(sender, &parties, wanted)?;
    parties.earlier = match &parties.parent {
        Some(parent) => parent.earlier_actors(&agent)?,
        None => parties.earlier,
    };
    let request = mint_request(sender, &parties, agent, wanted, bound.holder == Holder::Bearer);
    let policy = app.policy.now();
    let mut entry = Entry::begin(app, sender, &mut parties, (&request, policy.digest), bound.spends, trace)?;
    let grant = match policy.pack.decide(&request, now) {
        Ok(grant) => grant,
        Err(refusal) => return Err(entry.refuse(&request, refusal).await),
    };
    let subject = subject_name(&mint, &grant, &parties, &request.audiences);
    let claims = claims(app, &parties, (subject, &request.agent), &grant, bound.holder, entry.id(), now);
    let view = match wanted.form {
        RequestedType::Jwt => Some(jwt_view::sign(app, &claims, &grant.scopes, grant.expires_s, &request.client)?),
        RequestedType::AccessToken | RequestedType::Biscuit => None,
    };
    let minted = mint.sign(&claims, &app.fresh_seed())?;
    let (id, scope, expires_in) = (entry.id(), scope_text(&grant.scopes), grant.expires_s.saturating_sub(now));
    entry.stands_on(&parties, &claims, grant.expires_s);
    entry.granted(&grant, expires_in, request.client, scope.clone());
    let (leaf, receipt) = entry.record(claims.task, minted.block).await?;
    Ok(Issued {
        token: view.unwrap_or_else(|| Zeroizing::new(token_text(&minted.token))),
        form: wanted.form,
        bound: bound.holder != Holder::Bearer,
        expires_in,
        scope,
        granted: claims.caveats,
        task: claims.task,
        entry: id,
        leaf,
        receipt,
    })
}

/// Every request counts that got so far, a refused one too: each may leave a leaf. In a parent's name the task pays.
fn take_rate(app: &App, parties: &Parties) -> Result<(), ExchangeError> {
    let party = match &parties.parent {
        Some(parent) => digest::of_parts(&["task", &parent.task().to_string()]),
        None => digest::of_parts(&["subject", &parties.subject.issuer, &parties.subject.name]),
    };
    let taken = app.subject_rate.take(&party, (app.clock)());
    taken.map_err(|seconds| ExchangeError::Unavailable { reason: Reason::SubjectRate, retry_after_s: Some(seconds) })
}

/// The name that the token gives to who acts: that of its own token, or else one that the client may give.
fn agent_name(sender: &AuthenticatedClient, parties: &Parties, wanted: &Wanted) -> Result<String, Reason> {
    let named = wanted.details.as_ref().and_then(|details| details.agent.as_deref());
    let agent = named.unwrap_or(&parties.actor.name);
    let allowed = sender.client.agents.as_ref().is_none_or(|allowed| allowed.iter().any(|allowed| allowed == agent));
    let itself = !parties.actor_named || agent == parties.actor.name;
    if allowed && itself { Ok(agent.to_owned()) } else { Err(Reason::AgentNotAllowed) }
}

fn mint_request(sender: &AuthenticatedClient, parties: &Parties, agent: String, wanted: &Wanted, bearer: bool) -> MintRequest {
    let tools = wanted.details.as_ref().map(|details| details.tools.clone());
    // whoever narrows a token and names no tools wants all of the token's own
    let of_parent = if wanted.scopes.is_empty() { parties.parent.as_ref().and_then(Parent::tools) } else { None };
    let caveats = wanted.details.as_ref().map(|details| details.caveats.clone()).unwrap_or_default();
    let view_life = (wanted.form == RequestedType::Jwt).then_some(LIFE_SECONDS);
    MintRequest {
        client: sender.client.id.clone(),
        agent,
        subject_issuer: parties.subject.issuer.clone(),
        subject: parties.subject.name.clone(),
        claims: parties.claims.iter().filter_map(|(name, value)| Some((name.clone(), read_claim(value)?))).collect::<BTreeMap<_, _>>(),
        actor: Actor { issuer: parties.actor.issuer.clone(), name: parties.actor.name.clone() },
        grant: parties.grant,
        requested_type: wanted.form,
        bearer,
        audiences: if wanted.audiences.is_empty() { parties.audiences.clone() } else { wanted.audiences.clone() },
        scopes: wanted.scopes.clone(),
        tools: tools.or(of_parent),
        ceilings: parties.ceilings.clone(),
        requested_life_seconds: [wanted.life_seconds, view_life].into_iter().flatten().min(),
        requested_depth: caveats.iter().filter_map(depth).min(),
        caveats,
        subject_expires_s: parties.expires_s,
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

fn claims(
    app: &App,
    parties: &Parties,
    (subject, agent): (String, &str),
    grant: &Grant,
    holder: Holder,
    entry: EntryId,
    issued: u64,
) -> AuthorityClaims {
    let parent = parties.parent.as_ref();
    AuthorityClaims {
        task: parent.map_or_else(|| app.fresh_task(), Parent::task),
        entry,
        issued,
        issuer: app.identifier.clone(),
        subject,
        actors: parties.earlier.clone(),
        agent: agent.to_owned(),
        holder,
        lineage: parent.map_or_else(Vec::new, |parent| parent.lineage.clone()),
        dev: app.dev,
        caveats: grant.caveats.clone(),
    }
}

fn subject_name(mint: &Mint, grant: &Grant, parties: &Parties, audiences: &BTreeSet<String>) -> String {
    match &parties.parent {
        Some(parent) => parent.token.authority.subject.clone(),
        None if grant.reveal_subject => format!("{} {}", parties.subject.issuer, parties.subject.name),
        None => mint.pseudonym(&parties.subject.issuer, &parties.subject.name, audiences.iter()),
    }
}

/// Scopes as a parameter and an answer have them (RFC 6749 §3.3).
pub(super) fn scope_text(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
