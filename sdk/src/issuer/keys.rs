//! The issuer's published keys.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::{PublicKey, Reason, RootKey, log::VerifierKey};
use serde::Deserialize;

use super::IssuerError;

/// The keys under which an issuer's tokens and receipts verify.
#[derive(Clone, Debug)]
pub struct IssuerKeys {
    /// The keys that sign tokens.
    pub roots: Vec<RootKey>,
    /// The key that signs the log's checkpoints.
    pub log: VerifierKey,
    /// Whether this is a development issuer, at which whoever reaches the port can be anyone.
    pub dev: bool,
}

impl IssuerKeys {
    /// Reads the document of `/.well-known/narrows-keys`. Keys that are tainted, of an unknown state, not yet or no
    /// longer good are left out.
    ///
    /// # Errors
    /// `PEER_ANSWER` when the document is malformed, holds an unsound key or two of one number, or no usable key.
    pub fn parse(document: &[u8], now: u64) -> Result<Self, IssuerError> {
        let document: Document = serde_json::from_slice(document).map_err(|_| Reason::PeerAnswer)?;
        let log = VerifierKey::parse(&document.log.vkey).map_err(|_| Reason::PeerAnswer)?;
        if log.name() != document.log.origin || document.issuer.len() > MAX_KEYS {
            return Err(Reason::PeerAnswer.into());
        }
        let mut roots: Vec<RootKey> = Vec::new();
        for key in document.issuer.iter().filter(|key| key.usable(now)) {
            let root = key.read().ok_or(Reason::PeerAnswer)?;
            if roots.iter().any(|other| other.id == root.id) {
                return Err(Reason::PeerAnswer.into());
            }
            roots.push(root);
        }
        if roots.is_empty() { Err(Reason::PeerAnswer.into()) } else { Ok(Self { roots, log, dev: document.dev }) }
    }
}

#[derive(Deserialize)]
struct Document {
    issuer: Vec<Key>,
    log: Log,
    #[serde(default)]
    dev: bool,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    alg: String,
    public_key: String,
    state: String,
    not_before: u64,
    not_after: Option<u64>,
}

#[derive(Deserialize)]
struct Log {
    origin: String,
    vkey: String,
}

impl Key {
    fn usable(&self, now: u64) -> bool {
        let state = matches!(self.state.as_str(), "active" | "retiring");
        state && self.alg == "Ed25519" && self.not_before <= now && self.not_after.is_none_or(|end| now <= end)
    }

    fn read(&self) -> Option<RootKey> {
        let key = URL_SAFE_NO_PAD.decode(&self.public_key).ok()?;
        Some(RootKey { id: self.kid.parse().ok()?, key: PublicKey::from_bytes(&key).ok()? })
    }
}

const MAX_KEYS: usize = 64;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::tests::{NOW, root};

    /// The log key of the tests, of the seed `[20; 32]`.
    pub(in super::super) fn log_key() -> VerifierKey {
        VerifierKey::new("issuer.example/log", narrows_verifier::public_key(&[20; 32]).as_bytes()).unwrap()
    }

    fn document(change: impl Fn(&mut serde_json::Value)) -> Result<IssuerKeys, IssuerError> {
        let mut document = serde_json::json!({
            "issuer": [{
                "kid": "7", "alg": "Ed25519", "public_key": URL_SAFE_NO_PAD.encode(root().key.as_bytes()),
                "state": "active", "not_before": NOW - 10, "not_after": null,
            }],
            "log": {"origin": "issuer.example/log", "vkey": log_key().to_string()},
        });
        change(&mut document);
        IssuerKeys::parse(document.to_string().as_bytes(), NOW)
    }

    #[test]
    fn published_keys_become_roots() {
        let keys = document(|_| {}).unwrap();
        assert_eq!((keys.roots.len(), keys.roots[0].id, keys.roots[0].key, keys.dev), (1, 7, root().key, false));
        assert_eq!(keys.log, log_key());
        assert!(document(|document| document["dev"] = true.into()).unwrap().dev);
        assert!(document(|document| document["issuer"][0]["state"] = "retiring".into()).is_ok());
    }

    #[test]
    fn keys_that_must_not_be_trusted_are_left_out_or_refused() {
        let changes: [(&str, serde_json::Value); 7] = [
            ("/issuer/0/state", "tainted".into()),
            ("/issuer/0/state", "newer".into()),
            ("/issuer/0/alg", "none".into()),
            ("/issuer/0/not_before", (NOW + 1).into()),
            ("/issuer/0/not_after", (NOW - 1).into()),
            ("/issuer/0/public_key", "AA".into()),
            ("/log/origin", "other.example/log".into()),
        ];
        for (pointer, value) in changes {
            let refused = document(|document| *document.pointer_mut(pointer).unwrap() = value.clone());
            assert_eq!(refused.err().and_then(|error| error.reason()), Some(Reason::PeerAnswer), "{pointer}");
        }
        let twice = document(|document| {
            let key = document["issuer"][0].clone();
            document["issuer"].as_array_mut().unwrap().push(key);
        });
        assert!(twice.is_err());
    }
}
