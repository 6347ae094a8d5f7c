//! The issuer's published keys.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::{PublicKey, Reason, RootKey, RootState, Roots, log::VerifierKey};
use serde::Deserialize;

use super::IssuerError;

/// The keys under which an issuer's tokens and receipts verify.
#[derive(Clone, Debug)]
pub struct IssuerKeys {
    /// The keys that sign tokens, with states and bounds in time.
    pub roots: Roots,
    /// The key that signs the log's checkpoints.
    pub log: VerifierKey,
    /// The keys that sign the revocation feed; none of an issuer without one.
    pub feed: Vec<PublicKey>,
    /// Whether this is a development issuer, at which whoever reaches the port can be anyone.
    pub dev: bool,
}

impl IssuerKeys {
    /// Reads the document of `/.well-known/narrows-keys`. Keys of an unknown algorithm or state are left out, so that
    /// nothing of them is accepted; all others are taken, since the verifier knows what each state means.
    ///
    /// # Errors
    /// `PEER_ANSWER` when the document is malformed, holds an unsound key, a set that [`Roots::new`] refuses, or no key that is
    /// known. A set of tainted keys alone is a set: whoever kept the one before would go on accepting what the thief signs.
    pub fn parse(document: &[u8]) -> Result<Self, IssuerError> {
        let document: Document = serde_json::from_slice(document).map_err(|_| Reason::PeerAnswer)?;
        let log = VerifierKey::parse(&document.log.vkey).map_err(|_| Reason::PeerAnswer)?;
        if log.name() != document.log.origin || document.issuer.len() > MAX_KEYS || document.feed.len() > MAX_KEYS {
            return Err(Reason::PeerAnswer.into());
        }
        let known = document.issuer.iter().filter_map(|key| Some((key, key.known()?)));
        let keys = known.map(|(key, state)| key.read(state)).collect::<Option<Vec<_>>>().ok_or(Reason::PeerAnswer)?;
        if keys.is_empty() {
            return Err(Reason::PeerAnswer.into());
        }
        let roots = Roots::new(keys).map_err(|_| Reason::PeerAnswer)?;
        let feed = document.feed.iter().filter(|key| key.alg == "Ed25519").map(FeedKey::read).collect::<Option<_>>();
        Ok(Self { roots, log, feed: feed.ok_or(Reason::PeerAnswer)?, dev: document.dev })
    }
}

#[derive(Deserialize)]
struct Document {
    issuer: Vec<Key>,
    log: Log,
    #[serde(default)]
    feed: Vec<FeedKey>,
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
    #[serde(default)]
    spared_below: Option<u64>,
}

#[derive(Deserialize)]
struct FeedKey {
    alg: String,
    public_key: String,
}

#[derive(Deserialize)]
struct Log {
    origin: String,
    vkey: String,
}

impl FeedKey {
    fn read(&self) -> Option<PublicKey> {
        PublicKey::from_bytes(&URL_SAFE_NO_PAD.decode(&self.public_key).ok()?).ok()
    }
}

impl Key {
    fn known(&self) -> Option<RootState> {
        RootState::from_name(&self.state).filter(|_| self.alg == "Ed25519")
    }

    fn read(&self, state: RootState) -> Option<RootKey> {
        let key = PublicKey::from_bytes(&URL_SAFE_NO_PAD.decode(&self.public_key).ok()?).ok()?;
        Some(RootKey {
            id: self.kid.parse().ok()?,
            key,
            state,
            not_before: self.not_before,
            not_after: self.not_after,
            spared_below: self.spared_below,
        })
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
        IssuerKeys::parse(document.to_string().as_bytes())
    }

    #[test]
    fn published_keys_become_roots() {
        let keys = document(|_| {}).unwrap();
        assert_eq!(keys.roots, RootKey { not_before: NOW - 10, ..root() }.into());
        assert_eq!((keys.log, keys.feed, keys.dev), (log_key(), Vec::new(), false));
        let feed = narrows_verifier::public_key(&[9; 32]);
        let published = |alg: &str, key: &[u8]| {
            let keys = serde_json::json!([{"alg": alg, "public_key": URL_SAFE_NO_PAD.encode(key)}]);
            document(|document| document["feed"] = keys.clone())
        };
        assert_eq!(published("Ed25519", feed.as_bytes()).unwrap().feed, [feed]);
        assert_eq!(published("newer", feed.as_bytes()).unwrap().feed, []);
        assert_eq!(published("Ed25519", &[1; 31]).err().and_then(|error| error.reason()), Some(Reason::PeerAnswer));
        assert!(document(|document| document["dev"] = true.into()).unwrap().dev);
    }

    #[test]
    fn every_state_is_taken_as_published() {
        let second = |state: &str| {
            document(|document| {
                let mut key = document["issuer"][0].clone();
                key["kid"] = "8".into();
                key["public_key"] = URL_SAFE_NO_PAD.encode(narrows_verifier::public_key(&[8; 32]).as_bytes()).into();
                key["state"] = state.into();
                key["not_after"] = (NOW + 10).into();
                document["issuer"].as_array_mut().unwrap().push(key);
            })
        };
        for state in [RootState::Prepared, RootState::Active, RootState::Retired, RootState::Tainted] {
            let keys = second(state.name()).unwrap();
            assert_eq!(
                keys.roots.keys().iter().map(|root| (root.id, root.state)).collect::<Vec<_>>(),
                [(7, RootState::Active), (8, state)]
            );
            assert_eq!(keys.roots.keys()[1].not_after, Some(NOW + 10));
        }
        assert_eq!(second("newer").unwrap().roots.keys().len(), 1);
    }

    #[test]
    fn the_word_that_the_only_key_is_tainted_is_heard() {
        let keys = document(|document| document["issuer"][0]["state"] = "tainted".into()).unwrap();
        assert_eq!(keys.roots.keys().iter().map(|root| root.state).collect::<Vec<_>>(), [RootState::Tainted]);
    }

    #[test]
    fn keys_that_must_not_be_trusted_are_left_out_or_refused() {
        let changes: [(&str, serde_json::Value); 6] = [
            ("/issuer/0/state", "newer".into()),
            ("/issuer/0/state", "retired".into()),
            ("/issuer/0/alg", "none".into()),
            ("/issuer/0/not_after", (NOW - 11).into()),
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
