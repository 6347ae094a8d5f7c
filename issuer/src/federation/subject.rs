//! Whom a token of a trusted issuer is about, and what it says of its own use.

use core::fmt;

use narrows_verifier::proof::Once;
use serde_json::{Map, Value};

use super::config::{IssuerKind, TrustedIssuer};
use crate::jose::VerifiedJwt;

/// A person or workload that a trusted issuer vouches for. Its Debug shows no claim.
pub struct VerifiedSubject {
    /// Who vouches, byte for byte as configured: the issuer, or the trust domain of a JWT-SVID.
    pub issuer: String,
    /// The subject's identifier at that issuer.
    pub subject: String,
    /// The claims that the issuer's configuration lets a policy see, under the names that it gives them.
    pub claims: Map<String, Value>,
    /// What the token itself says about its use: `act`, `may_act`, `cnf`, `scope`, `authorization_details`, `resource`,
    /// `client_id`, where present. The exchange must honour or refuse each one; dropping one would launder a delegated or
    /// bound token into a plain one. `scp`, which some issuers write, stands here as `scope`.
    pub bounds: Map<String, Value>,
    /// When the token expires, in seconds since the epoch. Nothing derived from it may live longer.
    pub expires_s: u64,
    /// The token's `jti`, where it has one.
    pub token_id: Option<String>,
    /// What must be spent with the token, where it is accepted once.
    pub once: Option<Once>,
    /// Whether a token that is bound to a key is taken only with a proof by that key.
    pub require_proof: bool,
}

impl VerifiedSubject {
    pub(super) fn new(token: VerifiedJwt, config: &TrustedIssuer) -> Self {
        let listed = config.claims.iter().filter_map(|name| Some((name.clone(), token.claims.get(name)?.clone())));
        let mut claims: Map<String, Value> = listed.collect();
        let whole = Value::Object(token.claims.clone());
        claims.extend(config.claim_map.iter().filter_map(|(name, pointer)| Some((name.clone(), whole.pointer(pointer)?.clone()))));
        let once = match config.kind {
            IssuerKind::IdJag => token.once(ID_JAG),
            _ if config.single_use => token.once(SUBJECT_TOKEN),
            _ => None,
        };
        Self {
            claims,
            bounds: bounds(&token.claims),
            expires_s: token.expires_s,
            once,
            require_proof: config.require_proof_for_bound,
            issuer: token.issuer,
            subject: token.subject,
            token_id: token.jwt_id,
        }
    }
}

fn bounds(claims: &Map<String, Value>) -> Map<String, Value> {
    let mut bounds: Map<String, Value> =
        claims.iter().filter(|(name, _)| BOUNDS.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(scope) = claims.get("scp").filter(|_| !claims.contains_key("scope")) {
        let joined = match scope {
            Value::Array(names) => names.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|names| Value::from(names.join(" "))),
            _ => None,
        };
        bounds.insert("scope".to_owned(), joined.unwrap_or_else(|| scope.clone()));
    }
    bounds
}

impl fmt::Debug for VerifiedSubject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VerifiedSubject").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

const BOUNDS: [&str; 7] = ["act", "may_act", "cnf", "scope", "authorization_details", "resource", "client_id"];

/// Keep what is spent of one kind apart from the other.
const ID_JAG: &str = "narrows/id-jag/1";
const SUBJECT_TOKEN: &str = "narrows/subject-token/1";
