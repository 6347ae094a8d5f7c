//! The grant `client_credentials` (RFC 6749 §4.4): a client asks in its own name.

use std::collections::BTreeSet;

use narrows_policies::GrantType;
use narrows_verifier::{Reason, log::TraceId};

use super::{
    ExchangeError, Issued, Sender, Wanted,
    binding::bind,
    delegation::Party,
    issue::{Parties, issue},
};
use crate::app::App;

/// Issues a token whose subject and actor are the client itself.
///
/// # Errors
/// Nothing is issued on any error.
pub async fn client_credentials(app: &App, sender: Sender, wanted: &Wanted, trace: TraceId) -> Result<Issued, ExchangeError> {
    let Sender { client, dpop } = sender;
    if wanted.audiences.is_empty() {
        return Err(Reason::TargetInvalid.into());
    }
    let bound = bind(app, &client.client, dpop.as_ref(), &wanted.binding, "")?;
    let itself = Party::client(app, &client.client);
    let parties = Parties {
        grant: GrantType::ClientCredentials,
        subject: itself.clone(),
        claims: serde_json::Map::new(),
        earlier: Vec::new(),
        actor: itself,
        actor_named: false,
        audiences: BTreeSet::new(),
        ceilings: client.client.ceiling.iter().cloned().collect(),
        expires_s: None,
        parent: None,
        spends: Vec::new(),
    };
    issue(app, &client, parties, wanted, bound, trace).await
}
