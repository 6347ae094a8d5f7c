//! Whole requests, made before the clock starts: a login, the client's assertion, and a DPoP proof.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use crate::cli::bench::appends::random;

/// The identity provider, as far as the service sees it: an issuer with a key set.
pub(super) struct Provider {
    key: SigningKey,
}

/// The client that all callers are, with a key for its assertions; each person's agent has a key of its own.
pub(super) struct Client {
    key: SigningKey,
    agents: [u8; 32],
}

impl Provider {
    pub(super) fn new() -> Self {
        Self { key: SigningKey::from_bytes(&random()) }
    }

    pub(super) fn key_set(&self) -> Value {
        key_set(&self.key)
    }

    fn login(&self, person: usize, now_s: u64) -> String {
        let claims = json!({
            "iss": PROVIDER, "sub": format!("person-{person}"), "aud": CLIENT, "iat": now_s - 1, "exp": now_s + 900,
            "jti": URL_SAFE_NO_PAD.encode(random::<16>()),
        });
        jwt(&self.key, &json!({ "alg": "EdDSA", "kid": KEY_ID, "typ": "JWT" }), &claims)
    }
}

impl Client {
    pub(super) fn new() -> Self {
        Self { key: SigningKey::from_bytes(&random()), agents: random() }
    }

    pub(super) fn key_set(&self) -> Value {
        key_set(&self.key)
    }

    /// One exchange of a person's login, as the bytes that go over the wire.
    pub(super) fn request(&self, provider: &Provider, issuer: &str, person: usize, nonce: &str, now_s: u64) -> anyhow::Result<Vec<u8>> {
        let claims = json!({
            "iss": CLIENT, "sub": CLIENT, "aud": issuer, "iat": now_s, "exp": now_s + 240, "jti": URL_SAFE_NO_PAD.encode(random::<16>()),
        });
        let assertion = jwt(&self.key, &json!({ "alg": "EdDSA", "kid": KEY_ID, "typ": "JWT" }), &claims);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")
            .append_pair("subject_token", &provider.login(person, now_s))
            .append_pair("audience", AUDIENCE)
            .append_pair("scope", "crm")
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &assertion)
            .finish();
        let host = issuer.split_once("://").map_or(issuer, |(_, host)| host);
        Ok(format!(
            "POST /oauth/token HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\ndpop: {}\r\ncontent-length: {}\r\n\r\n{form}",
            self.dpop(issuer, person, nonce, now_s),
            form.len(),
        )
        .into_bytes())
    }

    fn dpop(&self, issuer: &str, person: usize, nonce: &str, now_s: u64) -> String {
        let mut seed = self.agents;
        for (byte, of) in seed.iter_mut().zip(person.to_be_bytes()) {
            *byte ^= of;
        }
        let key = SigningKey::from_bytes(&seed);
        let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": { "kty": "OKP", "crv": "Ed25519", "x": public(&key) } });
        let claims = json!({
            "jti": URL_SAFE_NO_PAD.encode(random::<16>()), "htm": "POST", "htu": format!("{issuer}/oauth/token"), "iat": now_s, "nonce": nonce,
        });
        jwt(&key, &header, &claims)
    }
}

fn key_set(key: &SigningKey) -> Value {
    json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": public(key) }] })
}

fn public(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes())
}

fn jwt(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()).to_bytes());
    format!("{input}.{signature}")
}

/// The identity provider's issuer identifier; nothing is fetched from there.
pub(super) const PROVIDER: &str = "https://login.example";
/// The client.
pub(super) const CLIENT: &str = "bench";
/// The tool server that the capabilities are for.
pub(super) const AUDIENCE: &str = "https://crm.example";

const KEY_ID: &str = "1";
