//! What a JWT of one kind, from one sender, has to look like.

use narrows_verifier::Reason;

use super::algorithm::SignatureAlgorithm;
use super::compact::UnverifiedJwt;
use super::fault::Fault;
use super::spiffe::trust_domain;

/// The rules for one kind of JWT. The constructors are the only profiles there are.
#[derive(Clone, Copy)]
pub struct Profile<'a> {
    pub(super) sender: Sender<'a>,
    pub(super) audience: Audience<'a>,
    pub(super) algorithms: &'a [SignatureAlgorithm],
    pub(super) media_types: &'static [&'static str],
    pub(super) media_type_required: bool,
    pub(super) issued_at_required: bool,
    pub(super) jwt_id_required: bool,
    pub(super) max_age_s: u64,
    pub(super) max_lifetime_ahead_s: Option<u64>,
    pub(super) kind: Kind<'a>,
}

/// Who must have sent it.
#[derive(Clone, Copy)]
pub(super) enum Sender<'a> {
    /// `iss` is this string.
    Issuer(&'a str),
    /// `sub` is a SPIFFE ID of this trust domain, such as `spiffe://example.org`; `iss` says nothing.
    TrustDomain(&'a str),
}

#[derive(Clone, Copy)]
pub(super) enum Audience<'a> {
    /// A string or an array that holds one of these.
    AnyOf(&'a [String]),
    /// This one string, or an array with it as its only element.
    Alone(&'a str),
    /// This one string; an array is refused, even with this as its only element.
    Sole(&'a str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    IdToken,
    AccessToken,
    LegacyAccessToken,
    Generic,
    ClientAssertion,
    JwtSvid,
    /// With the client that redeems it.
    IdJag(&'a str),
}

impl<'a> Profile<'a> {
    /// An OpenID Connect ID token: no `typ` or `JWT`, `iat` required, and none of the marks of a logout or access token.
    pub fn id_token(issuer: &'a str, audiences: &'a [String], algorithms: &'a [SignatureAlgorithm], max_age_s: u64) -> Self {
        Self {
            sender: Sender::Issuer(issuer),
            audience: Audience::AnyOf(audiences),
            algorithms,
            media_types: &["jwt"],
            media_type_required: false,
            issued_at_required: true,
            jwt_id_required: false,
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

    /// An access token of an issuer that doesn't mark them: `at+jwt`, `JWT` or no `typ`, and none of the marks of an ID token.
    ///
    /// Only for an issuer that signs nothing else for these audiences: what is not marked can't be told apart for certain.
    pub fn legacy_access_token(issuer: &'a str, audiences: &'a [String], algorithms: &'a [SignatureAlgorithm], max_age_s: u64) -> Self {
        Self { media_types: &["at+jwt", "jwt"], kind: Kind::LegacyAccessToken, ..Self::id_token(issuer, audiences, algorithms, max_age_s) }
    }

    /// A JWT of no particular kind: no `typ` or `JWT`. Without an `iat` its age is bounded by its `exp` alone.
    pub fn generic(issuer: &'a str, audiences: &'a [String], algorithms: &'a [SignatureAlgorithm], max_age_s: u64) -> Self {
        Self { issued_at_required: false, kind: Kind::Generic, ..Self::id_token(issuer, audiences, algorithms, max_age_s) }
    }

    /// A SPIFFE JWT-SVID: `sub` is a SPIFFE ID of the trust domain, the header has nothing but `alg`, `kid` and `typ`, which
    /// is `JWT`, `JOSE` or absent.
    pub fn jwt_svid(trust_domain: &'a str, audiences: &'a [String], algorithms: &'a [SignatureAlgorithm], max_age_s: u64) -> Self {
        Self {
            sender: Sender::TrustDomain(trust_domain),
            media_types: &["jwt", "jose"],
            issued_at_required: false,
            kind: Kind::JwtSvid,
            ..Self::id_token(trust_domain, audiences, algorithms, max_age_s)
        }
    }

    /// An identity assertion grant (draft-ietf-oauth-identity-assertion-authz-grant): `typ` is `oauth-id-jag+jwt`, `aud` is
    /// this service's issuer identifier alone, `client_id` the client that redeems it; `exp`, `iat` and `jti` are required.
    ///
    /// Whoever calls this must spend the `jti` once.
    pub fn id_jag(issuer: &'a str, our_issuer: &'a str, client_id: &'a str, algorithms: &'a [SignatureAlgorithm], max_age_s: u64) -> Self {
        Self {
            audience: Audience::Alone(our_issuer),
            media_types: &["oauth-id-jag+jwt"],
            media_type_required: true,
            jwt_id_required: true,
            kind: Kind::IdJag(client_id),
            ..Self::id_token(issuer, &[], algorithms, max_age_s)
        }
    }

    /// A client's assertion about itself (`private_key_jwt`, RFC 7523): `iss` and `sub` are the client id, `aud` is this
    /// service's issuer identifier as one string, `jti` is required, `exp` at most 10 minutes ahead.
    ///
    /// Whoever calls this must spend the `jti` once.
    pub fn client_assertion(client_id: &'a str, our_issuer: &'a str) -> Self {
        Self {
            sender: Sender::Issuer(client_id),
            audience: Audience::Sole(our_issuer),
            algorithms: &SignatureAlgorithm::DEFAULT,
            media_types: &["jwt", "client-authentication+jwt"],
            media_type_required: false,
            issued_at_required: false,
            jwt_id_required: true,
            max_age_s: MAX_ASSERTION_S,
            max_lifetime_ahead_s: Some(MAX_ASSERTION_S),
            kind: Kind::ClientAssertion,
        }
    }

    /// The same for a token that is accepted once: `jti` is required. Whoever calls this must spend it.
    pub fn single_use(self) -> Self {
        Self { jwt_id_required: true, ..self }
    }

    /// What the profile is called.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::IdToken => "id token",
            Kind::AccessToken => "access token (RFC 9068)",
            Kind::LegacyAccessToken => "access token without `at+jwt`",
            Kind::Generic => "generic jwt",
            Kind::ClientAssertion => "client assertion",
            Kind::JwtSvid => "jwt-svid",
            Kind::IdJag(_) => "id-jag",
        }
    }

    /// Checks what needs no key: algorithm, `typ` and issuer. A caller that must fetch keys asks this first, so that a
    /// token which can't pass makes nobody fetch anything.
    ///
    /// Errors: `JWT_ALGORITHM`, `JWT_TYPE`, `JWT_HEADER`, `JWT_ISSUER`.
    pub fn admit(&self, token: &UnverifiedJwt<'_>) -> Result<SignatureAlgorithm, Fault> {
        let algorithm = SignatureAlgorithm::from_name(&token.header.algorithm)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(Fault::at("alg", Reason::JwtAlgorithm))?;
        let fits = match token.header.media_type.as_deref() {
            Some(name) => self.media_types.contains(&name),
            None => !self.media_type_required,
        };
        if !fits {
            return Err(Fault::at("typ", Reason::JwtType));
        }
        match self.sender {
            Sender::Issuer(issuer) if token.unverified_issuer() == Some(issuer) => Ok(algorithm),
            Sender::Issuer(_) => Err(Fault::at("iss", Reason::JwtIssuer)),
            Sender::TrustDomain(_) if !token.header.plain => Err(Reason::JwtHeader.into()),
            Sender::TrustDomain(domain) if token.unverified_subject().and_then(trust_domain) == Some(domain) => Ok(algorithm),
            Sender::TrustDomain(_) => Err(Fault::at("sub", Reason::JwtIssuer)),
        }
    }

    /// Who vouches for the subject, byte for byte as configured.
    pub(super) fn issuer(&self) -> &'a str {
        match self.sender {
            Sender::Issuer(name) | Sender::TrustDomain(name) => name,
        }
    }
}

const MAX_ASSERTION_S: u64 = 600;
