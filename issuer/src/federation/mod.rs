//! Trust in the identities of others: which issuers are believed, with which keys, and about whom.

mod config;
mod key_cache;

use std::collections::BTreeMap;
use std::sync::Arc;

use narrows_verifier::Reason;
use serde_json::{Map, Value};

use crate::egress::{Egress, EgressError, EgressRules, Fetch};
use crate::jose::{self, UnverifiedJwt, VerifiedJwt};

use key_cache::KeyCache;

// The public interface is:
pub use config::{ConfigError, TokenType, TrustedIssuer};

/// The issuers this service believes, each with its own keys.
pub struct Federation {
    issuers: BTreeMap<String, Member>,
    source: Arc<dyn Fetch>,
}

/// A person or workload that a trusted issuer vouches for. Its Debug shows no claim.
pub struct VerifiedSubject {
    /// The issuer that vouches, byte for byte as configured.
    pub issuer: String,
    /// The subject's identifier at that issuer.
    pub subject: String,
    /// The claims that the issuer's configuration lets a policy see.
    pub claims: Map<String, Value>,
    /// What the token itself says about its use: `act`, `may_act`, `cnf`, `scope`, `authorization_details`, `client_id`,
    /// where present. The exchange must honour or refuse each one; dropping one would launder a delegated or bound token
    /// into a plain one.
    pub bounds: Map<String, Value>,
    /// When the token expires, in seconds since the epoch. Nothing derived from it may live longer.
    pub expires_s: u64,
    /// The token's `jti`, where it has one.
    pub token_id: Option<String>,
}

/// Why a subject token was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FederationError {
    /// The token is at fault; asking again won't help.
    #[error("the token is refused: {0}")]
    Refused(Reason),
    /// The issuer's keys can't be had now; the same token may pass later.
    #[error("the issuer is unavailable: {0}")]
    Unavailable(Reason),
}

impl Federation {
    /// Trusts these issuers, reaching them over the network within the limits that each one's configuration sets.
    pub fn new(issuers: Vec<TrustedIssuer>) -> Result<Self, ConfigError> {
        let mut rules = EgressRules::default();
        for issuer in &issuers {
            issuer.widen(&mut rules)?;
        }
        let egress = Egress::new(rules).map_err(ConfigError::Egress)?;
        Self::with_source(issuers, Arc::new(egress))
    }

    /// Trusts these issuers, fetching their documents from `source`.
    pub fn with_source(issuers: Vec<TrustedIssuer>, source: Arc<dyn Fetch>) -> Result<Self, ConfigError> {
        let mut members = BTreeMap::new();
        for config in issuers {
            config.check()?;
            let keys = KeyCache::new(config.issuer.clone(), config.jwks_url.clone());
            if let Some(twin) = members.insert(config.issuer.clone(), Member { config, keys }) {
                return Err(ConfigError::Twice(twin.config.issuer));
            }
        }
        Ok(Self { issuers: members, source })
    }

    /// Believes a subject token, or says why not. `declared` is what the client says it is (RFC 8693 section 3) and must be
    /// what it is: an access token passed as an ID token is addressed to somebody else. `now_s` is seconds since the epoch.
    pub async fn verify_subject(&self, token: &str, declared: TokenType, now_s: u64) -> Result<VerifiedSubject, FederationError> {
        let unverified = UnverifiedJwt::parse(token)?;
        let member = unverified.unverified_issuer().and_then(|name| self.issuers.get(name)).ok_or(Reason::JwtIssuer)?;
        let profile = member.config.profile(declared).ok_or(Reason::JwtType)?;
        profile.admit(&unverified)?;
        let keys = member.keys.current(self.source.as_ref(), now_s).await?;
        match jose::verify(unverified, &profile, &keys, now_s) {
            Err(Reason::JwtUnknownKey) => {}
            decided => return Ok(member.subject(decided?)),
        }
        // The key may be newer than our copy of the set.
        let keys = member.keys.after_unknown_key(self.source.as_ref(), &keys, now_s).await?;
        Ok(member.subject(jose::verify(UnverifiedJwt::parse(token)?, &profile, &keys, now_s)?))
    }
}

struct Member {
    config: TrustedIssuer,
    keys: KeyCache,
}

impl Member {
    fn subject(&self, token: VerifiedJwt) -> VerifiedSubject {
        let pick = |visible: &dyn Fn(&str) -> bool| -> Map<String, Value> {
            token.claims.iter().filter(|(name, _)| visible(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        VerifiedSubject {
            claims: pick(&|name| self.config.claims.iter().any(|listed| listed == name)),
            bounds: pick(&|name| BOUNDS.contains(&name)),
            issuer: token.issuer,
            subject: token.subject,
            expires_s: token.expires_s,
            token_id: token.jwt_id,
        }
    }
}

impl core::fmt::Debug for VerifiedSubject {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("VerifiedSubject").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl From<Reason> for FederationError {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<EgressError> for ConfigError {
    fn from(error: EgressError) -> Self {
        Self::Egress(error)
    }
}

const BOUNDS: [&str; 6] = ["act", "may_act", "cnf", "scope", "authorization_details", "client_id"];

#[cfg(test)]
mod tests;
