//! Whole requests, made before the clock starts: a login, the client's assertion, and a DPoP proof.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use narrows_verifier::proof::dpop::sign::sign_p256;
use serde_json::{Value, json};

use crate::cli::bench::appends::random;

/// The identity provider, as far as the service sees it: an issuer with a key set.
pub(super) struct Provider {
    key: Key,
}

/// The client that all callers are, with a key for its assertions; each person's agent has a key of its own.
pub(super) struct Client {
    key: Key,
    agents: [u8; 32],
}

/// Where tokens are asked for.
pub(super) struct Endpoint {
    /// Whom assertions are addressed to.
    pub(super) issuer: String,
    /// The token endpoint below it.
    pub(super) path: String,
}

/// What a request is for.
pub(super) enum Asked<'a> {
    /// A token for the person of this login.
    Exchange(&'a str),
    /// A token for the client itself.
    OfItsOwn,
}

/// By which keys logins, assertions and proofs are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Signatures {
    /// Ed25519, `EdDSA`
    Ed25519,
    /// ECDSA with P-256 and SHA-256, `ES256`
    Es256,
}

struct Key {
    kind: Signatures,
    secret: [u8; 32],
}

impl Provider {
    pub(super) fn new(kind: Signatures) -> Self {
        Self { key: Key { kind, secret: random() } }
    }

    pub(super) fn key_set(&self) -> anyhow::Result<Value> {
        self.key.set()
    }

    pub(super) fn login(&self, person: usize, now_s: u64) -> anyhow::Result<String> {
        let claims = json!({
            "iss": PROVIDER, "sub": format!("person-{person}"), "aud": CLIENT, "iat": now_s - 1, "exp": now_s + 900,
            "jti": URL_SAFE_NO_PAD.encode(random::<16>()),
        });
        self.key.jwt(json!({ "kid": KEY_ID, "typ": "JWT" }), &claims)
    }
}

impl Client {
    pub(super) fn new(kind: Signatures) -> Self {
        Self { key: Key { kind, secret: random() }, agents: random() }
    }

    pub(super) fn key_set(&self) -> anyhow::Result<Value> {
        self.key.set()
    }

    /// One request for a token, as the bytes that go over the wire. `person` is whose agent asks.
    pub(super) fn request(
        &self,
        endpoint: &Endpoint,
        asked: &Asked<'_>,
        person: usize,
        nonce: &str,
        now_s: u64,
    ) -> anyhow::Result<Vec<u8>> {
        let claims = json!({
            "iss": CLIENT, "sub": CLIENT, "aud": endpoint.issuer, "iat": now_s, "exp": now_s + 240,
            "jti": URL_SAFE_NO_PAD.encode(random::<16>()),
        });
        let assertion = self.key.jwt(json!({ "kid": KEY_ID, "typ": "JWT" }), &claims)?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        match asked {
            Asked::Exchange(login) => form
                .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
                .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")
                .append_pair("subject_token", login),
            Asked::OfItsOwn => form.append_pair("grant_type", "client_credentials"),
        };
        let form = form
            .append_pair("resource", AUDIENCE)
            .append_pair("scope", SCOPE)
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &assertion)
            .finish();
        let Endpoint { issuer, path } = endpoint;
        let host = issuer.split_once("://").map_or(issuer.as_str(), |(_, host)| host);
        Ok(format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\ndpop: {}\r\ncontent-length: {}\r\n\r\n{form}",
            self.dpop(endpoint, person, nonce, now_s)?,
            form.len(),
        )
        .into_bytes())
    }

    fn dpop(&self, endpoint: &Endpoint, person: usize, nonce: &str, now_s: u64) -> anyhow::Result<String> {
        let mut seed = self.agents;
        for (byte, of) in seed.iter_mut().zip(person.to_be_bytes()) {
            *byte ^= of;
        }
        let key = Key { kind: self.key.kind, secret: seed };
        let header = json!({ "typ": "dpop+jwt", "jwk": key.public()? });
        let claims = json!({
            "jti": URL_SAFE_NO_PAD.encode(random::<16>()), "htm": "POST", "iat": now_s,
            "htu": format!("{}{}", endpoint.issuer, endpoint.path), "nonce": nonce,
        });
        key.jwt(header, &claims)
    }
}

impl Key {
    /// The public half as a JWK.
    fn public(&self) -> anyhow::Result<Value> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Ok(match self.kind {
            Signatures::Ed25519 => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": text(SigningKey::from_bytes(&self.secret).verifying_key().as_bytes()) })
            }
            Signatures::Es256 => {
                let (_, key) = sign_p256(&self.secret, b"").context(NO_KEY)?;
                let (x, y) = key.split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })
            }
        })
    }

    fn set(&self) -> anyhow::Result<Value> {
        Ok(json!({ "keys": [with(self.public()?, [("alg", self.algorithm()), ("use", "sig"), ("kid", KEY_ID)])] }))
    }

    fn jwt(&self, header: Value, claims: &Value) -> anyhow::Result<String> {
        let header = with(header, [("alg", self.algorithm())]);
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = match self.kind {
            Signatures::Ed25519 => SigningKey::from_bytes(&self.secret).sign(input.as_bytes()).to_bytes(),
            Signatures::Es256 => sign_p256(&self.secret, input.as_bytes()).context(NO_KEY)?.0,
        };
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn algorithm(&self) -> &'static str {
        match self.kind {
            Signatures::Ed25519 => "EdDSA",
            Signatures::Es256 => "ES256",
        }
    }
}

/// The object with more members.
fn with<const N: usize>(object: Value, more: [(&str, &str); N]) -> Value {
    let members = if let Value::Object(members) = object { members } else { serde_json::Map::new() };
    Value::Object(members.into_iter().chain(more.map(|(name, value)| (name.to_owned(), value.into()))).collect())
}

/// The identity provider's issuer identifier; nothing is fetched from there.
pub(super) const PROVIDER: &str = "https://login.example";
/// The client.
pub(super) const CLIENT: &str = "bench";
/// The tool server that the capabilities are for.
pub(super) const AUDIENCE: &str = "https://crm.example";
/// What is asked for there.
pub(super) const SCOPE: &str = "crm";

const KEY_ID: &str = "1";
const NO_KEY: &str = "random bytes that are no key, which happens once in 2^32 times";
