//! Ending authority at the issuer (RFC 7009): a client what was issued to it, a holder what it holds or handed on.

use form_urlencoded::Serializer;
use http::HeaderMap;
use narrows_verifier::{
    BlockId, PublicKey, Reason, TaskId,
    log::{Kind, Leaf, verify},
};

use super::{ClientAuthentication, IssuerError, IssuerKeys, Recorded, exchange::form_of, recorded::Body};

/// What is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke<'a> {
    /// What a token adds to the one before it: its newest hop, and everything that was made from it. The delegator's own token
    /// stands.
    Token(&'a str),
    /// The whole chain of a token, from the mint on.
    Chain(&'a str),
    /// An authority block or a hop, and everything that was made from it.
    Block(BlockId),
    /// A task.
    Task(TaskId),
    /// A subject's tokens issued before a second, or up to now. It takes a client that may revoke everything.
    Subject(&'a str, Option<u64>),
    /// Tokens issued before a second, or up to now, that name an agent. It takes a client that may revoke everything.
    Agent(&'a str, Option<u64>),
    /// Tokens issued before a second, or up to now, that name a holder's key. It takes a client that may revoke everything.
    Key(&'a PublicKey, Option<u64>),
}

impl Revoke<'_> {
    /// The headers and the form of the request.
    pub(super) fn encode(&self, client: &ClientAuthentication<'_>) -> (HeaderMap, String) {
        let (name, value, before) = match self {
            Self::Token(token) | Self::Chain(token) => ("token", (*token).to_owned(), None),
            Self::Block(block) => ("block", block.to_string(), None),
            Self::Task(task) => ("task", task.to_string(), None),
            Self::Subject(subject, before) => ("subject", (*subject).to_owned(), *before),
            Self::Agent(agent, before) => ("agent", (*agent).to_owned(), *before),
            Self::Key(key, before) => ("key", BlockId(*key.as_bytes()).to_string(), *before),
        };
        let mut form = Serializer::new(String::new());
        form.append_pair(name, &value);
        if let Self::Chain(_) = self {
            form.append_pair("reach", "chain");
        }
        if let Some(before) = before {
            form.append_pair("before", &before.to_string());
        }
        let headers = form_of(client, &mut form);
        (headers, form.finish())
    }
}

/// Reads the answer: the entry that says what has ended, checked; or nothing, for a token that was none any more.
pub(super) fn check(body: &[u8], keys: &IssuerKeys) -> Result<Option<Recorded>, IssuerError> {
    let answer: serde_json::Value = serde_json::from_slice(body).map_err(|_| Reason::PeerAnswer)?;
    if answer.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(None);
    }
    let recorded = serde_json::from_value::<Body>(answer).ok().and_then(Recorded::read).ok_or(Reason::PeerAnswer)?;
    verify(&recorded.receipt, &recorded.leaf, core::slice::from_ref(&keys.log)).map_err(|refusal| refusal.reason)?;
    let leaf = Leaf::parse(&recorded.leaf).map_err(|refusal| refusal.reason)?;
    if leaf.kind == Kind::Revoke && leaf.id == recorded.entry { Ok(Some(recorded)) } else { Err(Reason::ReceiptKind.into()) }
}
