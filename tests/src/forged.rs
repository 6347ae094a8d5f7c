//! An identity provider that says whatever a test wants: its keys are real and published, its tokens are not.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use crate::issuer::now;

/// The provider. Its key set is served over HTTP on loopback for as long as the test's process lives.
pub struct ForgedProvider {
    issuer: String,
    key: SigningKey,
}

impl ForgedProvider {
    /// Starts it.
    pub fn start() -> Self {
        let key = SigningKey::from_bytes(&[42; 32]);
        let keys = json!({ "keys": [jwk(&key, "published")] }).to_string();
        Self { issuer: canned("200 OK\r\ncontent-type: application/json", &keys), key }
    }

    /// Its issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public half of its key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// What a Narrows configuration says to trust it.
    pub fn trust(&self) -> String {
        let issuer = &self.issuer;
        format!(
            "[[trusted_issuer]]\nissuer = \"{issuer}\"\naudiences = [\"agents\"]\njwks_url = \"{issuer}/keys\"\n\
             allow_loopback_http = true\nclaims = [\"groups\"]\n"
        )
    }

    /// The claims of a good login, a minute old.
    pub fn claims(&self, subject: &str) -> Value {
        json!({ "iss": self.issuer, "sub": subject, "aud": "agents", "iat": now() - 60, "exp": now() + 900, "groups": ["finance"] })
    }

    /// A good login.
    pub fn login(&self, subject: &str) -> String {
        self.sign(&json!({ "alg": "EdDSA", "kid": "published", "typ": "JWT" }), &self.claims(subject))
    }

    /// Header and claims as they stand, truly signed.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        jwt(&self.key, header, claims)
    }
}

/// A server that gives the same answer to every request, for as long as the test's process lives. Returns its origin.
pub fn canned(head: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    thread::spawn(move || {
        for stream in listener.incoming() {
            // who hangs up half-way gets nothing, and the next one is served
            let _served = stream.and_then(|mut stream| {
                for line in BufReader::new(stream.try_clone()?).lines() {
                    if line?.is_empty() {
                        break;
                    }
                }
                stream.write_all(answer.as_bytes())
            });
        }
    });
    origin
}

/// A JWT signed with Ed25519, whatever its header says.
pub fn jwt(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    let signature = BASE64URL.encode(key.sign(input.as_bytes()).to_bytes());
    format!("{input}.{signature}")
}

/// The part of a JWT that is signed.
pub fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode(claims.to_string()))
}

/// The public key as a JWK.
pub fn jwk(key: &SigningKey, key_id: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": key_id, "x": BASE64URL.encode(key.verifying_key().to_bytes()) })
}
