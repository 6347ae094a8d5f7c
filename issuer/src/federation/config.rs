//! What an administrator says about an issuer whose tokens are accepted.

use serde::{Deserialize, Serialize};

use crate::egress::{EgressError, EgressRules};
use crate::jose::{Profile, SignatureAlgorithm};

/// One trusted issuer. Only `issuer` and `audiences` must be given.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// The issuer identifier, byte for byte as it stands in `iss`, trailing slash included. Whoever controls this address
    /// decides who every subject is.
    pub issuer: String,
    /// The values of which a token's `aud` must hold one: client ids for ID tokens, our own identifier for access tokens.
    /// Too wide a list accepts tokens that were meant for, and can be taken from, other services.
    pub audiences: Vec<String>,
    /// The signature algorithms accepted. Default: RS256, PS256, ES256, ES384 and EdDSA.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<SignatureAlgorithm>,
    /// The kinds of token accepted. Default: `id_token`. With `jwt` any signed JWT of the issuer passes, whatever it was
    /// made for, so name it only for an issuer that signs nothing else for these audiences.
    #[serde(default = "default_token_types")]
    pub token_types: Vec<TokenType>,
    /// Where the key set is. Default: what the discovery document of OpenID Connect names.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Whether discovery document and key set may be fetched over plain http on loopback, from exactly the origin of
    /// `jwks_url` or else of `issuer`. Any local process that gets the port can then pose as the issuer.
    #[serde(default)]
    pub allow_loopback_http: bool,
    /// Whether the host of `jwks_url`, or else of `issuer`, may have a private address. With it, whoever controls that name can make this service
    /// send a GET request inside the private network.
    #[serde(default)]
    pub allow_private_address: bool,
    /// How many seconds after its `iat` a token is still accepted, even if it expires later. Default: 86400.
    #[serde(default = "default_max_age_s")]
    pub max_age_s: u64,
    /// The names of the claims that a policy may see. Default: none. Each one listed may end up in disclosures.
    #[serde(default)]
    pub claims: Vec<String>,
}

/// What a client declares a token to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    /// An OpenID Connect ID token.
    IdToken,
    /// A JWT access token with `typ: at+jwt` (RFC 9068).
    AccessToken,
    /// A signed JWT of no particular kind.
    Jwt,
}

/// A configuration of trusted issuers that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The same issuer is configured more than once.
    #[error("the issuer `{0}` is configured twice")]
    Twice(String),
    /// A list that must name something is empty.
    #[error("the issuer `{issuer}` has an empty `{key}`")]
    Empty {
        /// The issuer concerned.
        issuer: String,
        /// The key that is empty.
        key: &'static str,
    },
    /// An address is not usable, or plain http without `allow_loopback_http`.
    #[error("the issuer `{issuer}` has an unusable address: {error}")]
    Address {
        /// The issuer concerned.
        issuer: String,
        /// What is wrong with it.
        error: EgressError,
    },
    /// The HTTP client could not be set up.
    #[error("the http client could not be set up: {0}")]
    Egress(EgressError),
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
}

impl TrustedIssuer {
    /// The rules for a token of this type, or `None` when the issuer is not trusted for the type.
    pub(super) fn profile(&self, declared: TokenType) -> Option<Profile<'_>> {
        let profile = match declared {
            TokenType::IdToken => Profile::id_token,
            TokenType::AccessToken => Profile::access_token,
            TokenType::Jwt => Profile::generic,
        };
        let trusted = self.token_types.contains(&declared);
        trusted.then(|| profile(&self.issuer, &self.audiences, &self.algorithms, self.max_age_s))
    }

    /// Trusts the development identity provider at this address, for ID tokens to this client.
    pub fn development(issuer: &str, client: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audiences: vec![client.to_owned()],
            algorithms: default_algorithms(),
            token_types: default_token_types(),
            jwks_url: None,
            allow_loopback_http: true,
            allow_private_address: false,
            max_age_s: default_max_age_s(),
            claims: vec!["groups".to_owned()],
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let lists = [
            ("audiences", self.audiences.is_empty() || self.audiences.iter().any(String::is_empty)),
            ("algorithms", self.algorithms.is_empty()),
            ("token_types", self.token_types.is_empty()),
        ];
        for (key, empty) in lists {
            if empty {
                return Err(ConfigError::Empty { issuer: self.issuer.clone(), key });
            }
        }
        self.widen(&mut EgressRules::default())
    }

    /// Adds to the rules what fetching this issuer's keys needs and its configuration allows.
    pub(super) fn widen(&self, rules: &mut EgressRules) -> Result<(), ConfigError> {
        let url = self.jwks_url.as_deref().unwrap_or(&self.issuer);
        let widened = match (url.starts_with("https://"), self.allow_loopback_http, self.allow_private_address) {
            (true, _, true) => rules.allow_private_host(url),
            (true, _, false) => rules.check_public_url(url),
            (false, true, _) => rules.allow_plain_loopback(url),
            (false, false, _) => Err(EgressError::PlainHttp),
        };
        widened.map_err(|error| self.unusable(error))
    }

    fn unusable(&self, error: EgressError) -> ConfigError {
        ConfigError::Address { issuer: self.issuer.clone(), error }
    }
}

fn default_algorithms() -> Vec<SignatureAlgorithm> {
    SignatureAlgorithm::DEFAULT.to_vec()
}

fn default_token_types() -> Vec<TokenType> {
    vec![TokenType::IdToken]
}

fn default_max_age_s() -> u64 {
    86_400
}
