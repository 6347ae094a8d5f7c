//! What a token is worth now (RFC 7662), for those who may know.

use std::collections::BTreeSet;

use narrows_verifier::{Caveat, VerifiedToken};

use crate::{
    app::App,
    clients::Client,
    log::LogError,
    revocation::{living, minted},
};

/// A token that stands, and what this service knows of it beside what it says itself.
pub struct Active {
    /// The token.
    pub token: VerifiedToken,
    /// For which client it was minted.
    pub client: Option<String>,
    /// The scope that it was minted with, while nothing was narrowed since. A narrowed token has its caveats alone.
    pub scope: Option<String>,
    /// What all its blocks permit together.
    pub permits: Vec<Caveat>,
    /// Where it may be presented.
    pub audiences: BTreeSet<String>,
    /// From when on it is good, where a block says so.
    pub not_before: Option<u64>,
}

/// The token, when it stands and is the client's own, or is for an audience whose resource server the client is.
///
/// Everything else looks the same: unknown, malformed, expired, revoked, of another issuer, somebody else's.
///
/// # Errors
/// What the log met.
pub fn introspect(app: &App, client: &Client, text: &str) -> Result<Option<Active>, LogError> {
    let Some(token) = living(app, text) else { return Ok(None) };
    let now = app.now_seconds();
    let ahead = token.authority.issued_by(now).is_err();
    if ahead || app.revocations.refuses(&token).is_some() {
        return Ok(None);
    }
    let minted = minted(app, &token)?;
    let effective = token.effective();
    let audiences = audiences(&effective.caveats);
    let own = minted.as_ref().is_some_and(|minted| minted.client == client.id);
    let served = client.audiences.iter().any(|audience| audiences.contains(audience));
    let not_before =
        effective.caveats.iter().filter_map(|caveat| if let Caveat::NotBefore(from) = caveat { Some(*from) } else { None }).max();
    if !own && !served || not_before.is_some_and(|from| now < from) {
        return Ok(None);
    }
    let scope = minted.as_ref().map(|minted| minted.scope.clone()).filter(|scope| !scope.is_empty() && token.blocks.len() == 1);
    Ok(Some(Active { client: minted.map(|minted| minted.client), scope, permits: effective.caveats, audiences, not_before, token }))
}

/// The audiences that every audience caveat names.
fn audiences(caveats: &[Caveat]) -> BTreeSet<String> {
    let mut named = caveats.iter().filter_map(|caveat| if let Caveat::Audience(names) = caveat { Some(names) } else { None });
    let first = named.next().cloned().unwrap_or_default();
    named.fold(first, |all, names| &all & names)
}
