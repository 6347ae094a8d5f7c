//! The grant `jwt-bearer` (RFC 7523 §2.1) with an identity assertion, ID-JAG: an identity provider of the enterprise says that a
//! client may act for a person at this service.

use narrows_policies::GrantType;
use narrows_verifier::{Reason, log::TraceId};
use zeroize::Zeroizing;

use super::{
    ExchangeError, Issued, Sender, Wanted,
    binding::{bind, check_confirmation},
    ceiling::{resources, token_ceilings},
    delegation::{Party, earlier_actors, may_act},
    issue::{Parties, issue},
};
use crate::{app::App, record::spend};

/// Issues a token for an assertion. The client acts; what the assertion names is the most that there is to have.
///
/// # Errors
/// Nothing is issued on any error.
pub async fn jwt_bearer(
    app: &App,
    sender: Sender,
    assertion: Zeroizing<String>,
    wanted: &Wanted,
    trace: TraceId,
) -> Result<Issued, ExchangeError> {
    let Sender { client, dpop } = sender;
    let subject = app.federation.verify_id_jag(&assertion, &client.client.id, app.now_seconds()).await?;
    // the standard asks for one use whatever the issuer's setting (draft-ietf-oauth-identity-assertion-authz-grant)
    let once = subject.once.ok_or(Reason::JwtClaims)?;
    let actor = Party::client(app, &client.client);
    check_confirmation(subject.bounds.get("cnf"), dpop.as_ref())?;
    may_act(subject.bounds.get("may_act"), &actor)?;
    let bound = bind(app, &client.client, dpop.as_ref(), &wanted.binding, &assertion)?;
    let audiences = resources(&subject)?.unwrap_or_default();
    if wanted.audiences.is_empty() && audiences.is_empty() {
        return Err(Reason::TargetInvalid.into());
    }
    let ceilings = token_ceilings(&subject, false)?.into_iter().chain(client.client.ceiling.clone()).collect();
    let parties = Parties {
        grant: GrantType::JwtBearer,
        claims: subject.claims.clone(),
        earlier: earlier_actors(subject.bounds.get("act"))?,
        ceilings,
        expires_s: Some(subject.expires_s),
        subject: Party::of(subject),
        actor,
        actor_named: false,
        audiences,
        parent: None,
        spends: vec![spend(once, Reason::SubjectReplayed)],
    };
    issue(app, &client, parties, wanted, bound, trace).await
}
