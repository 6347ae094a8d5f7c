//! What a JWT of one kind, from one sender, has to look like.

use narrows_verifier::Reason;

use super::algorithm::SignatureAlgorithm;
use super::compact::UnverifiedJwt;

/// The rules for one kind of JWT. The constructors are the only profiles there are.
#[derive(Clone, Copy)]
pub struct Profile<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: Audience<'a>,
    pub(super) algorithms: &'a [SignatureAlgorithm],
    pub(super) media_types: &'static [&'static str],
    pub(super) media_type_required: bool,
    pub(super) issued_at_required: bool,
    pub(super) max_age_s: u64,
    pub(super) max_lifetime_ahead_s: Option<u64>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy)]
pub(super) enum Audience<'a> {
    /// A string or an array that holds one of these.
    AnyOf(&'a [String]),
    /// This one string; an array is refused, even with this as its only element.
    Sole(&'a str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    IdToken,
    AccessToken,
    Generic,
    ClientAssertion,
}

impl<'a> Profile<'a> {
    /// An OpenID Connect ID token: no `typ` or `JWT`, `iat` required, and none of the marks of a logout or access token.
    pub fn id_token(issuer: &'a str, audiences: &'a [String], algorithms: &'a [SignatureAlgorithm], max_age_s: u64) -> Self {
        Self {
            issuer,
            audience: Audience::AnyOf(audiences),
            algorithms,
            media_types: &["jwt"],
            media_type_required: false,
            issued_at_required: true,
            max_age_s,
            max_lifetime_ahead_s: None,
            kind: Kind::IdToken,
        }
    }

    /// A JWT access token (RFC 9068): `typ` is `at+jwt`, `iat` is required.
    pub fn access_token(issuer: &'a str, audiences: &'a [String], algorithms: &'a [SignatureAlgorithm], max_age_s: u64) -> Self {
        Self {
            media_types: &["at+jwt"],
            media_type_required: true,
            kind: Kind::AccessToken,
            ..Self::id_token(issuer, audiences, algorithms, max_age_s)
        }
    }

    /// A JWT of no particular kind: no `typ` or `JWT`. Without an `iat` its age is bounded by its `exp` alone.
    pub fn generic(issuer: &'a str, audiences: &'a [String], algorithms: &'a [SignatureAlgorithm], max_age_s: u64) -> Self {
        Self { issued_at_required: false, kind: Kind::Generic, ..Self::id_token(issuer, audiences, algorithms, max_age_s) }
    }

    /// A client's assertion about itself (`private_key_jwt`, RFC 7523): `iss` and `sub` are the client id, `aud` is this
    /// service's issuer identifier as one string, `jti` is required, `exp` at most 10 minutes ahead.
    ///
    /// Whoever calls this must spend the `jti` once.
    pub fn client_assertion(client_id: &'a str, our_issuer: &'a str) -> Self {
        Self {
            issuer: client_id,
            audience: Audience::Sole(our_issuer),
            algorithms: &SignatureAlgorithm::DEFAULT,
            media_types: &["jwt", "client-authentication+jwt"],
            media_type_required: false,
            issued_at_required: false,
            max_age_s: MAX_ASSERTION_S,
            max_lifetime_ahead_s: Some(MAX_ASSERTION_S),
            kind: Kind::ClientAssertion,
        }
    }

    /// Checks what needs no key: algorithm, `typ` and issuer. A caller that must fetch keys asks this first, so that a
    /// token which can't pass makes nobody fetch anything.
    ///
    /// Errors: `JWT_ALGORITHM`, `JWT_TYPE`, `JWT_ISSUER`.
    pub fn admit(&self, token: &UnverifiedJwt<'_>) -> Result<SignatureAlgorithm, Reason> {
        let algorithm = SignatureAlgorithm::from_name(&token.header.algorithm)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(Reason::JwtAlgorithm)?;
        let fits = match token.header.media_type.as_deref() {
            Some(name) => self.media_types.contains(&name),
            None => !self.media_type_required,
        };
        if !fits {
            return Err(Reason::JwtType);
        }
        if token.unverified_issuer() != Some(self.issuer) {
            return Err(Reason::JwtIssuer);
        }
        Ok(algorithm)
    }
}

const MAX_ASSERTION_S: u64 = 600;
