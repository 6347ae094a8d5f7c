//! What an administrator says about an issuer whose tokens are accepted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use narrows_verifier::json::Pointer;
use serde::{Deserialize, Serialize};

use crate::bounded_file;
use crate::egress::{EgressError, EgressRules, Reach};
use crate::jose::{Profile, SignatureAlgorithm, is_trust_domain};

/// One trusted issuer. Only `issuer` must be given, and `audiences` but for `id_jag`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// The issuer identifier, byte for byte as it stands in `iss`, trailing slash included; of SPIFFE the trust domain, such
    /// as `spiffe://example.org`. Whoever controls this address decides who every subject is.
    pub issuer: String,
    /// What kind of issuer it is. Default: `oidc`.
    #[serde(default)]
    pub kind: IssuerKind,
    /// The values of which a token's `aud` must hold one: client ids for ID tokens, our own identifier for access tokens.
    /// Too wide a list accepts tokens that were meant for, and can be taken from, other services. An ID-JAG is always
    /// addressed to our own identifier.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The signature algorithms accepted. Default: RS256, PS256, ES256, ES384 and EdDSA; of SPIFFE those of JWT-SVIDs.
    #[serde(default)]
    pub algorithms: Option<Vec<SignatureAlgorithm>>,
    /// The kinds of token accepted. Default: `id_token` of `oidc`, `access_token` of `oauth`. With `jwt` any signed JWT of the
    /// issuer passes, whatever it was made for, so name it only for an issuer that signs nothing else for these audiences.
    #[serde(default)]
    pub token_types: Option<Vec<TokenType>>,
    /// Where the key set or SPIFFE bundle is. Default: what the issuer's metadata names, at the issuer's own origin.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// A file with the key set or SPIFFE bundle, read again when it changes; then nothing is fetched. Whoever can write it
    /// signs as this issuer.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of the authorities that vouch for the host of `jwks_url`, or else of `issuer`, in place
    /// of the system's. Read at start. Whoever has a key of one of them, and the network, signs as this issuer.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether metadata and key set may be fetched over plain http on loopback, from exactly the origin of
    /// `jwks_url` or else of `issuer`. Any local process that gets the port can then pose as the issuer.
    #[serde(default)]
    pub allow_loopback_http: bool,
    /// Whether the host of `jwks_url`, or else of `issuer`, may have a private address. With it, whoever controls that name can
    /// make this service send a GET request inside the private network.
    #[serde(default)]
    pub allow_private_address: bool,
    /// How many seconds after its `iat` a token is still accepted, even if it expires later. Default: 86400.
    #[serde(default = "default_max_age_s")]
    pub max_age_s: u64,
    /// Whether each token is accepted once, by its `jti`, which it then must have. An ID-JAG is in any case.
    #[serde(default)]
    pub single_use: bool,
    /// Whether access tokens pass without `typ: at+jwt`, for an issuer that does not mark them. An attacker can then pass off
    /// anything that the issuer signs for these audiences as an access token.
    #[serde(default)]
    pub legacy_typ: bool,
    /// Whether a token that is bound to a key (`cnf`) is taken only with a DPoP proof by that key. Default: true. An attacker
    /// who unsets it can use bound tokens that they have stolen; it is for tokens that a resource server received and hands on.
    #[serde(default = "default_true")]
    pub require_proof_for_bound: bool,
    /// The names of the claims that a policy may see. Default: none. Each one listed may end up in disclosures.
    #[serde(default)]
    pub claims: Vec<String>,
    /// Claims that a policy may see under a name of our own, by JSON pointer: `namespace = "/kubernetes.io/namespace"`.
    #[serde(default)]
    pub claim_map: BTreeMap<String, String>,
    /// Of `id_jag`: the ids of the clients for which its assertions are accepted. A client that is added can redeem what the
    /// issuer gave to it, and nothing that it gave to others.
    #[serde(default)]
    pub clients: Vec<String>,
}

/// What kind of issuer one is: where its keys are found, and which tokens it is believed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerKind {
    /// An OpenID provider (OpenID Connect Discovery 1.0).
    #[default]
    Oidc,
    /// An OAuth authorization server (RFC 8414).
    Oauth,
    /// A SPIFFE trust domain, whose JWT-SVIDs are believed.
    Spiffe,
    /// An identity provider whose ID-JAGs are redeemed; the same issuer may be listed once more for its other tokens.
    IdJag,
}

/// What a client declares a token to be, or, of SPIFFE, what the issuer's kind makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    /// An OpenID Connect ID token.
    IdToken,
    /// A JWT access token with `typ: at+jwt` (RFC 9068).
    AccessToken,
    /// A signed JWT of no particular kind.
    Jwt,
    /// A JWT-SVID, declared as `jwt`: SPIFFE has no token type URI.
    #[serde(skip)]
    JwtSvid,
}

/// A configuration of trusted issuers that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The same issuer is configured more than once for the same tokens.
    #[error("the issuer `{0}` is configured twice")]
    Twice(String),
    /// This service would believe its own tokens as somebody else's.
    #[error("the issuer `{0}` is this service itself")]
    Ourselves(String),
    /// A list that must name something is empty.
    #[error("the issuer `{issuer}` has an empty `{key}`")]
    Empty {
        /// The issuer concerned.
        issuer: String,
        /// The key that is empty.
        key: &'static str,
    },
    /// A key has a value that does not go with the rest.
    #[error("the issuer `{issuer}`: `{key}` {message}")]
    Unfit {
        /// The issuer concerned.
        issuer: String,
        /// The key concerned.
        key: &'static str,
        /// What is wrong with it.
        message: &'static str,
    },
    /// An address is not usable, or plain http without `allow_loopback_http`.
    #[error("the issuer `{issuer}` has an unusable address: {error}")]
    Address {
        /// The issuer concerned.
        issuer: String,
        /// What is wrong with it.
        error: EgressError,
    },
    /// The file of a key set can't be read or holds none.
    #[error("the `jwks_file` of the issuer `{0}` can't be read, or holds no key set")]
    File(String),
    /// The HTTP client could not be set up.
    #[error("the http client could not be set up: {0}")]
    Egress(EgressError),
}

impl IssuerKind {
    /// The kind as the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::Oauth => "oauth",
            Self::Spiffe => "spiffe",
            Self::IdJag => "id_jag",
        }
    }
}

impl TokenType {
    /// The type with this RFC 8693 token type URI, or `None`.
    pub fn from_uri(uri: &str) -> Option<Self> {
        match uri.strip_prefix("urn:ietf:params:oauth:token-type:")? {
            "id_token" => Some(Self::IdToken),
            "access_token" => Some(Self::AccessToken),
            "jwt" => Some(Self::Jwt),
            _ => None,
        }
    }

    /// The type as the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::IdToken => "id_token",
            Self::AccessToken => "access_token",
            Self::Jwt => "jwt",
            Self::JwtSvid => "jwt_svid",
        }
    }
}

impl TrustedIssuer {
    /// The rules for a token that is declared to be of this type, or `None` when the issuer is not trusted for the type.
    pub(super) fn profile(&self, declared: TokenType) -> Option<Profile<'_>> {
        let meant = match (self.kind, declared) {
            (IssuerKind::Spiffe, TokenType::Jwt) => TokenType::JwtSvid,
            _ => declared,
        };
        let profile = match meant {
            TokenType::IdToken => Profile::id_token,
            TokenType::AccessToken if self.legacy_typ => Profile::legacy_access_token,
            TokenType::AccessToken => Profile::access_token,
            TokenType::Jwt => Profile::generic,
            TokenType::JwtSvid => Profile::jwt_svid,
        };
        let trusted = self.token_types().contains(&meant);
        let profile = trusted.then(|| profile(&self.issuer, &self.audiences, self.algorithms(), self.max_age_s))?;
        Some(if self.single_use { profile.single_use() } else { profile })
    }

    /// The rules for an ID-JAG that this client redeems, or `None` when the issuer is not trusted for this client.
    pub(super) fn assertion_profile<'a>(&'a self, our_issuer: &'a str, client_id: &'a str) -> Option<Profile<'a>> {
        let trusted = self.kind == IssuerKind::IdJag && self.clients.iter().any(|client| client == client_id);
        trusted.then(|| Profile::id_jag(&self.issuer, our_issuer, client_id, self.algorithms(), self.max_age_s))
    }

    /// The signature algorithms accepted.
    pub fn algorithms(&self) -> &[SignatureAlgorithm] {
        match (&self.algorithms, self.kind) {
            (Some(algorithms), _) => algorithms,
            (None, IssuerKind::Spiffe) => &SignatureAlgorithm::JWT_SVID,
            (None, _) => &SignatureAlgorithm::DEFAULT,
        }
    }

    /// The types of subject and actor tokens accepted.
    pub fn token_types(&self) -> &[TokenType] {
        match (&self.token_types, self.kind) {
            (Some(types), _) => types,
            (None, IssuerKind::Oidc) => &[TokenType::IdToken],
            (None, IssuerKind::Oauth) => &[TokenType::AccessToken],
            (None, IssuerKind::Spiffe) => &[TokenType::JwtSvid],
            (None, IssuerKind::IdJag) => &[],
        }
    }

    /// Trusts the development identity provider at this address, for ID tokens to this client.
    pub fn development(issuer: &str, client: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            kind: IssuerKind::Oidc,
            audiences: vec![client.to_owned()],
            algorithms: None,
            token_types: None,
            jwks_url: None,
            jwks_file: None,
            ca_file: None,
            allow_loopback_http: true,
            allow_private_address: false,
            max_age_s: default_max_age_s(),
            single_use: false,
            legacy_typ: false,
            require_proof_for_bound: true,
            claims: vec!["groups".to_owned()],
            claim_map: BTreeMap::new(),
            clients: Vec::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let assertions = self.kind == IssuerKind::IdJag;
        let lists = [
            ("issuer", self.issuer.is_empty()),
            ("audiences", !assertions && self.audiences.is_empty()),
            ("audiences", self.audiences.iter().any(String::is_empty)),
            ("algorithms", self.algorithms().is_empty()),
            ("token_types", !assertions && self.token_types().is_empty()),
            ("clients", assertions && self.clients.is_empty()),
        ];
        if let Some((key, _)) = lists.into_iter().find(|(_, empty)| *empty) {
            return Err(ConfigError::Empty { issuer: self.issuer.clone(), key });
        }
        self.check_keys()?;
        self.check_claims()?;
        self.widen(&mut EgressRules::default())
    }

    /// What does not go together. A key that would do nothing is refused too: whoever wrote it relies on it.
    fn check_keys(&self) -> Result<(), ConfigError> {
        let unfit = |key, message| Err(ConfigError::Unfit { issuer: self.issuer.clone(), key, message });
        let spiffe = self.kind == IssuerKind::Spiffe;
        let assertions = self.kind == IssuerKind::IdJag;
        if self.jwks_url.is_some() && self.jwks_file.is_some() {
            return unfit("jwks_file", "and `jwks_url` exclude each other");
        }
        if self.jwks_file.is_some() && (self.allow_loopback_http || self.allow_private_address) {
            return unfit("jwks_file", "leaves nothing to fetch, so no address is to be allowed");
        }
        if self.ca_file.is_some() && (self.jwks_file.is_some() || self.allow_loopback_http) {
            return unfit("ca_file", "is for what is fetched over https");
        }
        if spiffe && !is_trust_domain(&self.issuer) {
            return unfit("issuer", "must be a trust domain such as `spiffe://example.org`");
        }
        if spiffe && self.jwks_url.is_none() && self.jwks_file.is_none() {
            return unfit("jwks_url", "or `jwks_file` must say where the bundle of a trust domain is");
        }
        if (spiffe || assertions) && self.token_types.is_some() {
            return unfit("token_types", "is decided by this `kind`");
        }
        if assertions && !self.audiences.is_empty() {
            return unfit("audiences", "has no use with `id_jag`, whose assertions are addressed to this service");
        }
        if assertions && self.single_use {
            return unfit("single_use", "has no use with `id_jag`, whose assertions are accepted once in any case");
        }
        if !assertions && !self.clients.is_empty() {
            return unfit("clients", "is for `id_jag` alone");
        }
        if self.legacy_typ && self.token_types() != [TokenType::AccessToken] {
            return unfit("legacy_typ", "is for an issuer of access tokens alone: an unmarked one can't be told from other tokens");
        }
        Ok(())
    }

    fn check_claims(&self) -> Result<(), ConfigError> {
        let unfit = |message| Err(ConfigError::Unfit { issuer: self.issuer.clone(), key: "claim_map", message });
        for (name, pointer) in &self.claim_map {
            if name.is_empty() || self.claims.contains(name) {
                return unfit("must give each claim one name of its own");
            }
            if pointer.is_empty() || Pointer::parse(pointer).is_none() {
                return unfit("must name claims by JSON pointers (RFC 6901) such as `/kubernetes.io/namespace`");
            }
        }
        Ok(())
    }

    /// Adds to the rules what fetching this issuer's keys needs and its configuration allows.
    pub(super) fn widen(&self, rules: &mut EgressRules) -> Result<(), ConfigError> {
        if self.jwks_file.is_some() {
            return Ok(());
        }
        let url = self.jwks_url.as_deref().unwrap_or(&self.issuer);
        let reach = Reach::configured(url, self.allow_loopback_http, self.allow_private_address);
        rules.allow(url, reach).map_err(|error| ConfigError::Address { issuer: self.issuer.clone(), error })
    }

    /// Adds to the rules the authorities that vouch for where this issuer's keys are.
    pub(super) fn vouch(&self, rules: &mut EgressRules) -> Result<(), ConfigError> {
        let unfit = |message| ConfigError::Unfit { issuer: self.issuer.clone(), key: "ca_file", message };
        let url = self.jwks_url.as_deref().unwrap_or(&self.issuer);
        let authorities = self.ca_file.as_deref().map(|path| bounded_file::read(path, MAX_AUTHORITIES_BYTES)).transpose();
        let authorities = authorities.map_err(|_| unfit("can't be read, or is larger than 1 MiB"))?;
        if self.jwks_file.is_some() { Ok(()) } else { rules.trust(url, authorities).map_err(unfit) }
    }
}

const MAX_AUTHORITIES_BYTES: u64 = 1 << 20;

const fn default_true() -> bool {
    true
}

fn default_max_age_s() -> u64 {
    86_400
}
