//! Trust in the identities of others: which issuers are believed, with which keys, and about whom.

mod config;
mod explain;
mod key_cache;
mod key_source;
mod subject;

use std::collections::BTreeMap;
use std::sync::Arc;

use narrows_verifier::Reason;

use crate::egress::{Egress, EgressRules, Fetch};
use crate::jose::{self, Fault, Profile, UnverifiedJwt, VerifiedJwt, trust_domain};

use explain::Trace;
use key_cache::KeyCache;
use key_source::KeySource;

// The public interface is:
pub use config::{ConfigError, IssuerKind, TokenType, TrustedIssuer};
pub use explain::Explanation;
pub use subject::VerifiedSubject;

/// The issuers this service believes, each with its own keys.
pub struct Federation {
    our_issuer: String,
    /// Those whose tokens are believed as subject or actor, by issuer identifier or trust domain.
    issuers: BTreeMap<String, Member>,
    /// Those whose ID-JAGs are redeemed, by issuer identifier.
    assertion_issuers: BTreeMap<String, Member>,
}

/// Why a token was not believed.
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
    /// `our_issuer` is this service's own identifier, to which assertions are addressed and whose tokens are nobody else's.
    ///
    /// # Errors
    /// What is wrong with the configuration, and a key file that can't be read.
    pub fn new(issuers: Vec<TrustedIssuer>, our_issuer: &str, now_s: u64) -> Result<Self, ConfigError> {
        let mut rules = EgressRules::default();
        for issuer in &issuers {
            issuer.check()?;
            issuer.widen(&mut rules)?;
            issuer.vouch(&mut rules)?;
        }
        let egress = Egress::new(rules).map_err(ConfigError::Egress)?;
        Self::with_source(issuers, our_issuer, Arc::new(egress), now_s)
    }

    /// Trusts these issuers, fetching their documents from `network`.
    ///
    /// # Errors
    /// As [`Federation::new`].
    pub fn with_source(issuers: Vec<TrustedIssuer>, our_issuer: &str, network: Arc<dyn Fetch>, now_s: u64) -> Result<Self, ConfigError> {
        let mut federation = Self { our_issuer: our_issuer.to_owned(), issuers: BTreeMap::new(), assertion_issuers: BTreeMap::new() };
        for config in issuers {
            config.check()?;
            if config.issuer == our_issuer {
                return Err(ConfigError::Ourselves(config.issuer));
            }
            let keys = KeyCache::new(KeySource::new(&config), Arc::clone(&network), now_s);
            let keys = keys.map_err(|_| ConfigError::File(config.issuer.clone()))?;
            let members = if config.kind == IssuerKind::IdJag { &mut federation.assertion_issuers } else { &mut federation.issuers };
            if let Some(twin) = members.insert(config.issuer.clone(), Member { config, keys }) {
                return Err(ConfigError::Twice(twin.config.issuer));
            }
        }
        Ok(federation)
    }

    /// The issuers that are trusted.
    pub fn trusted(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.issuers.values().chain(self.assertion_issuers.values()).map(|member| &member.config)
    }

    /// Believes a subject or actor token, or says why not. `declared` is what the client says it is (RFC 8693 section 3) and
    /// must be what it is: an access token passed as an ID token is addressed to somebody else. `now_s` is seconds since the
    /// epoch.
    ///
    /// The caller must honour or refuse every one of [`VerifiedSubject::bounds`], and spend [`VerifiedSubject::once`].
    ///
    /// # Errors
    /// Why it is refused, or that the issuer's keys can't be had now.
    pub async fn verify(&self, token: &str, declared: TokenType, now_s: u64) -> Result<VerifiedSubject, FederationError> {
        self.examine(token, declared, now_s, &mut Trace::default()).await
    }

    /// Believes an identity assertion grant (ID-JAG) that this client redeems, or says why not. The caller must spend
    /// [`VerifiedSubject::once`], which is always there, and take the bounds for ceilings.
    ///
    /// # Errors
    /// As [`Federation::verify`].
    pub async fn verify_id_jag(&self, token: &str, client_id: &str, now_s: u64) -> Result<VerifiedSubject, FederationError> {
        self.examine_id_jag(token, client_id, now_s, &mut Trace::default()).await
    }

    async fn examine<'a>(
        &'a self,
        token: &str,
        declared: TokenType,
        now_s: u64,
        trace: &mut Trace<'a>,
    ) -> Result<VerifiedSubject, FederationError> {
        let unverified = trace.note(UnverifiedJwt::parse(token))?;
        let member = trace.note(self.voucher(&unverified).ok_or(Fault::at("iss", Reason::JwtIssuer)))?;
        trace.issuer = Some(&member.config);
        let profile = trace.note(member.config.profile(declared).ok_or(Reason::JwtType))?;
        let verified = member.verify(token, unverified, &profile, now_s, trace).await?;
        Ok(VerifiedSubject::new(verified, &member.config))
    }

    async fn examine_id_jag<'a>(
        &'a self,
        token: &str,
        client_id: &str,
        now_s: u64,
        trace: &mut Trace<'a>,
    ) -> Result<VerifiedSubject, FederationError> {
        let unverified = trace.note(UnverifiedJwt::parse(token))?;
        let member = unverified.unverified_issuer().and_then(|name| self.assertion_issuers.get(name));
        let member = trace.note(member.ok_or(Fault::at("iss", Reason::JwtIssuer)))?;
        trace.issuer = Some(&member.config);
        let profile =
            trace.note(member.config.assertion_profile(&self.our_issuer, client_id).ok_or(Fault::at("client_id", Reason::JwtClient)))?;
        let verified = member.verify(token, unverified, &profile, now_s, trace).await?;
        Ok(VerifiedSubject::new(verified, &member.config))
    }

    /// Who may vouch for the subject that a token claims. A SPIFFE ID of a configured trust domain is that domain's alone,
    /// whatever issuer the token names.
    fn voucher(&self, token: &UnverifiedJwt<'_>) -> Option<&Member> {
        let domain = token.unverified_subject().and_then(trust_domain).and_then(|domain| self.issuers.get(domain));
        let issuer = || {
            let member = self.issuers.get(token.unverified_issuer()?)?;
            (member.config.kind != IssuerKind::Spiffe).then_some(member)
        };
        domain.or_else(issuer)
    }
}

struct Member {
    config: TrustedIssuer,
    keys: KeyCache,
}

impl Member {
    async fn verify(
        &self,
        token: &str,
        unverified: UnverifiedJwt<'_>,
        profile: &Profile<'_>,
        now_s: u64,
        trace: &mut Trace<'_>,
    ) -> Result<VerifiedJwt, FederationError> {
        trace.profile = Some(profile.name());
        trace.note(profile.admit(&unverified))?;
        let keys = self.keys.current(now_s).await?;
        trace.keys = Some(keys.len());
        match jose::verify(unverified, profile, &keys, now_s) {
            Err(Fault { reason: Reason::JwtUnknownKey, .. }) => {}
            decided => return Ok(trace.note(decided)?),
        }
        // The key may be newer than our copy of the set.
        let keys = self.keys.after_unknown_key(&keys, now_s).await;
        trace.keys = Some(keys.len());
        Ok(trace.note(jose::verify(UnverifiedJwt::parse(token)?, profile, &keys, now_s))?)
    }
}

impl From<Reason> for FederationError {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<Fault> for FederationError {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault.reason)
    }
}

#[cfg(test)]
mod tests;
