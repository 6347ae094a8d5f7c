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

    fn login(&self, person: usize, now_s: u64) -> anyhow::Result<String> {
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

    /// One exchange of a person's login, as the bytes that go over the wire.
    pub(super) fn request(&self, provider: &Provider, issuer: &str, person: usize, nonce: &str, now_s: u64) -> anyhow::Result<Vec<u8>> {
        let claims = json!({
            "iss": CLIENT, "sub": CLIENT, "aud": issuer, "iat": now_s, "exp": now_s + 240, "jti": URL_SAFE_NO_PAD.encode(random::<16>()),
        });
        let assertion = self.key.jwt(json!({ "kid": KEY_ID, "typ": "JWT" }), &claims)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")
            .append_pair("subject_token", &provider.login(person, now_s)?)
            .append_pair("audience", AUDIENCE)
            .append_pair("scope", "crm")
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &assertion)
            .finish();
        let host = issuer.split_once("://").map_or(issuer, |(_, host)| host);
        Ok(format!(
            "POST /oauth/token HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\ndpop: {}\r\ncontent-length: {}\r\n\r\n{form}",
            self.dpop(issuer, person, nonce, now_s)?,
            form.len(),
        )
        .into_bytes())
    }

    fn dpop(&self, issuer: &str, person: usize, nonce: &str, now_s: u64) -> anyhow::Result<String> {
        let mut seed = self.agents;
        for (byte, of) in seed.iter_mut().zip(person.to_be_bytes()) {
            *byte ^= of;
        }
        let key = Key { kind: self.key.kind, secret: seed };
        let header = json!({ "typ": "dpop+jwt", "jwk": key.public()? });
        let claims = json!({
            "jti": URL_SAFE_NO_PAD.encode(random::<16>()), "htm": "POST", "htu": format!("{issuer}/oauth/token"), "iat": now_s, "nonce": nonce,
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

const KEY_ID: &str = "1";
const NO_KEY: &str = "random bytes that are no key, which happens once in 2^32 times";
