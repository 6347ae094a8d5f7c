//! The documents that strangers find the service by: RFC 8414 metadata, the Narrows key set and the JWK set of JWT views.

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use narrows_policies::GrantType;
use narrows_verifier::{PublicKey, Reason, RootKey};
use serde::Serialize;

use super::error::ApiError;
use crate::{details, jose::DPOP_ALGORITHMS};

/// Authorization server metadata (RFC 8414 §2).
#[derive(Debug, Serialize)]
pub struct AuthorizationServer {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    jwks_uri: String,
    scopes_supported: Vec<String>,
    grant_types_supported: Vec<&'static str>,
    /// Absent where no client may use the grant that they are for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_grant_profiles_supported: Vec<&'static str>,
    response_types_supported: &'static [&'static str],
    code_challenge_methods_supported: &'static [&'static str],
    token_endpoint_auth_methods_supported: &'static [&'static str],
    token_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
    revocation_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    introspection_endpoint_auth_methods_supported: &'static [&'static str],
    introspection_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    authorization_details_types_supported: Vec<&'static str>,
    dpop_signing_alg_values_supported: &'static [&'static str],
}

/// The key set of `/.well-known/narrows-keys`: everything a verifier needs to work offline.
#[derive(Debug, Serialize)]
pub struct NarrowsKeys {
    /// The keys that sign tokens, will do so or did.
    pub issuer: Vec<PublishedKey>,
    /// The log.
    pub log: PublishedLog,
    /// The keys that sign the revocation feed.
    pub feed: Vec<PublishedFeedKey>,
    /// Marks a service in development mode, whose keys a verifier refuses unless told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dev: bool,
}

/// One key that signs tokens.
#[derive(Debug, Serialize)]
pub struct PublishedKey {
    /// Biscuit's root key id in decimal.
    pub kid: String,
    /// The algorithm, always `Ed25519`.
    pub alg: &'static str,
    /// The 32 bytes of the public key in base64url.
    pub public_key: String,
    /// Where it stands in its life: `prepared`, `active`, `retired` or `tainted`.
    pub state: &'static str,
    /// Seconds since the epoch before which it signed no token.
    pub not_before: u64,
    /// Seconds since the epoch after which it signed no token; `null` while no end is set.
    pub not_after: Option<u64>,
    /// Of a tainted key that spares some: the index in the log below which the leaves of its good tokens lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spared_below: Option<u64>,
}

/// One key that signs the revocation feed.
#[derive(Debug, Serialize)]
pub struct PublishedFeedKey {
    /// The algorithm, always `Ed25519`.
    pub alg: &'static str,
    /// The 32 bytes of the public key in base64url.
    pub public_key: String,
}

/// The log's name and key.
#[derive(Debug, Serialize)]
pub struct PublishedLog {
    /// The origin line of its checkpoints.
    pub origin: String,
    /// Its public key in signed-note form.
    pub vkey: String,
    /// Digest of the policy on what it keeps, whose text `/v1/audit/head` answers.
    pub retention: String,
}

impl AuthorizationServer {
    /// The metadata of an issuer identifier, which appears in it byte for byte, with the scopes that its policy has and the
    /// grants that its clients may use.
    ///
    /// There is an authorization endpoint although no grant uses one: MCP clients refuse metadata without it. The
    /// endpoint answers with [`refuse_authorization`].
    pub fn new<'a>(issuer: &str, scopes: impl Iterator<Item = &'a str>, grants: &[GrantType]) -> Self {
        Self {
            issuer: issuer.to_string(),
            authorization_endpoint: format!("{issuer}/oauth/authorize"),
            token_endpoint: format!("{issuer}/oauth/token"),
            revocation_endpoint: format!("{issuer}/oauth/revoke"),
            introspection_endpoint: format!("{issuer}/oauth/introspect"),
            jwks_uri: format!("{issuer}/oauth/jwks"),
            scopes_supported: scopes.map(str::to_owned).collect(),
            grant_types_supported: grants.iter().copied().map(grant_type).collect(),
            authorization_grant_profiles_supported: grants.iter().filter(|grant| **grant == GrantType::JwtBearer).map(|_| ID_JAG).collect(),
            response_types_supported: &[],
            code_challenge_methods_supported: &["S256"],
            token_endpoint_auth_methods_supported: CLIENT_METHODS,
            token_endpoint_auth_signing_alg_values_supported: CLIENT_ALGORITHMS,
            revocation_endpoint_auth_methods_supported: CLIENT_METHODS,
            revocation_endpoint_auth_signing_alg_values_supported: CLIENT_ALGORITHMS,
            introspection_endpoint_auth_methods_supported: CLIENT_METHODS,
            introspection_endpoint_auth_signing_alg_values_supported: CLIENT_ALGORITHMS,
            authorization_details_types_supported: details::TYPES.to_vec(),
            dpop_signing_alg_values_supported: &DPOP_ALGORITHMS,
        }
    }
}

/// The `grant_type` of a request.
pub(super) const fn grant_type(grant: GrantType) -> &'static str {
    match grant {
        GrantType::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        GrantType::ClientCredentials => "client_credentials",
        GrantType::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
    }
}

impl From<&PublicKey> for PublishedFeedKey {
    fn from(key: &PublicKey) -> Self {
        Self { alg: "Ed25519", public_key: URL_SAFE_NO_PAD.encode(key.as_bytes()) }
    }
}

impl From<&RootKey> for PublishedKey {
    fn from(root: &RootKey) -> Self {
        Self {
            kid: root.id.to_string(),
            alg: "Ed25519",
            public_key: URL_SAFE_NO_PAD.encode(root.key.as_bytes()),
            state: root.state.name(),
            not_before: root.not_before,
            not_after: root.not_after,
            spared_below: root.spared_below,
        }
    }
}

/// Answers with a well-known document: public, cacheable for minutes, readable from any web origin.
pub fn document(value: &impl Serialize) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    match serde_json::to_string(value) {
        Ok(text) => (headers, text).into_response(),
        Err(_) => ApiError::plain(Reason::Internal, Reason::Internal.meaning()).into_response(),
    }
}

/// The whole of the authorization endpoint: it never redirects, so it can't be an open redirector.
pub async fn refuse_authorization() -> ApiError {
    ApiError::oauth(Reason::ResponseType, Reason::ResponseType.meaning())
}

/// The one profile of `jwt-bearer` that is taken.
const ID_JAG: &str = "urn:ietf:params:oauth:grant-profile:id-jag";
/// How clients authenticate, at every endpoint that asks them to.
const CLIENT_METHODS: &[&str] = &["client_secret_basic", "client_secret_post", "private_key_jwt"];
/// The algorithms of their assertions.
const CLIENT_ALGORITHMS: &[&str] = &["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"];

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn metadata_repeats_the_issuer_and_stays_on_its_origin() {
        for issuer in ["https://narrows.example", "http://127.0.0.1:8420"] {
            let document =
                serde_json::to_value(AuthorizationServer::new(issuer, ["crm:read", "mail"].into_iter(), &GrantType::ALL)).unwrap();
            assert_eq!(document["issuer"], issuer);
            for (name, value) in document.as_object().unwrap() {
                if name.ends_with("_endpoint") || name.ends_with("_uri") {
                    assert!(value.as_str().unwrap().starts_with(&format!("{issuer}/")), "{name}");
                }
            }
            assert_eq!(document["response_types_supported"], json!([]));
            assert_eq!(document["scopes_supported"], json!(["crm:read", "mail"]));
            assert!(document["authorization_endpoint"].is_string(), "MCP clients refuse a document without it");
            assert_eq!(document["authorization_details_types_supported"], json!(["narrows", "attenuating_agent_token"]));
        }
    }

    #[test]
    fn metadata_offers_no_grant_that_no_client_may_use() {
        let of =
            |grants: &[GrantType]| serde_json::to_value(AuthorizationServer::new("https://a.example", [].into_iter(), grants)).unwrap();
        assert_eq!(of(&[])["grant_types_supported"], json!([]));
        let document = of(&[GrantType::ClientCredentials]);
        assert_eq!(document["grant_types_supported"], json!(["client_credentials"]));
        assert_eq!(document["authorization_grant_profiles_supported"], Value::Null);
        assert_eq!(of(&[GrantType::JwtBearer])["authorization_grant_profiles_supported"], json!([ID_JAG]));
    }

    #[test]
    fn key_set_has_its_published_form() {
        let root = RootKey { not_before: 1_700_000_000, ..RootKey::active(7, narrows_verifier::public_key(&[1; 32])) };
        let mut keys = NarrowsKeys {
            issuer: vec![PublishedKey::from(&root)],
            log: PublishedLog {
                origin: "narrows.example/log".into(),
                vkey: "narrows.example/log+00000000+AQ==".into(),
                retention: "sha256:00".into(),
            },
            feed: vec![PublishedFeedKey::from(&narrows_verifier::public_key(&[2; 32]))],
            dev: false,
        };
        let expected = json!({
            "issuer": [{
                "kid": "7",
                "alg": "Ed25519",
                "public_key": URL_SAFE_NO_PAD.encode(root.key.as_bytes()),
                "state": "active",
                "not_before": 1_700_000_000,
                "not_after": null,
            }],
            "log": {"origin": "narrows.example/log", "vkey": "narrows.example/log+00000000+AQ==", "retention": "sha256:00"},
            "feed": [{"alg": "Ed25519", "public_key": URL_SAFE_NO_PAD.encode(narrows_verifier::public_key(&[2; 32]).as_bytes())}],
        });
        assert_eq!(serde_json::to_value(&keys).unwrap(), expected);
        keys.dev = true;
        assert_eq!(serde_json::to_value(&keys).unwrap()["dev"], true);
    }

    #[tokio::test]
    async fn documents_are_open_to_every_origin_and_cacheable() {
        let response = document(&json!({"a": 1}));
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(response.headers()[CACHE_CONTROL].to_str().unwrap().contains("max-age"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({"a": 1}));
    }

    #[tokio::test]
    async fn authorization_endpoint_issues_nothing_and_goes_nowhere() {
        let response = refuse_authorization().await.into_response();
        assert_eq!(response.status(), 400);
        assert!(!response.headers().contains_key("location"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("\"unsupported_response_type\""));
    }
}
