//! The grants: how a login, a client or an assertion becomes a capability for an agent.
//!
//! Each verifies who is behind the request ([`token_exchange`], [`client_credentials`], [`jwt_bearer`]); from there on one
//! function goes from top to bottom: what the policy grants, the signed token, its leaf in the log, and only then the answer.
//! Nothing in here knows HTTP, SQL or key bytes.

mod binding;
mod ceiling;
mod client_credentials;
mod delegation;
mod entry;
mod error;
mod issue;
mod jwt_bearer;
mod jwt_view;
mod narrowing;
mod token_exchange;

use std::collections::BTreeSet;

use narrows_policies::RequestedType;

use crate::{client_auth::AuthenticatedClient, details::Details};

// The public interface is:
pub use binding::{Binding, ProvenKey, check_dpop};
pub use client_credentials::client_credentials;
pub use error::ExchangeError;
pub use issue::Issued;
pub use jwt_bearer::jwt_bearer;
pub use token_exchange::{ActorToken, NarrowProof, SubjectToken, SubjectType, TokenExchange, token_exchange};

/// Who sent a request, and the key that its DPoP proof is by.
pub struct Sender {
    /// The client, whose credentials held.
    pub client: AuthenticatedClient,
    /// The DPoP key.
    pub dpop: Option<ProvenKey>,
}

/// What a request asks for, whichever its grant: parsed and bounded, with nothing verified yet.
pub struct Wanted {
    /// Audiences and resources together.
    pub audiences: BTreeSet<String>,
    /// Scopes, which the policy maps to tools.
    pub scopes: BTreeSet<String>,
    /// Tools by name, further caveats, and the agent's name, which otherwise is the actor's.
    pub details: Option<Details>,
    /// Seconds of life.
    pub life_seconds: Option<u64>,
    /// In which form.
    pub form: RequestedType,
    /// What the token is to be bound to beside a DPoP key.
    pub binding: Binding,
}
