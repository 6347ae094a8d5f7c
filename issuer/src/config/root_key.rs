//! Root keys beside the one that signs: those of the next and of the last rotation, which verifiers must know too.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::{PublicKey, RootKey, RootState};
use serde::{Deserialize, Serialize};

use crate::keys::root_key_id;

/// A root key that this service publishes and does not sign with. An attacker who can add one signs tokens that every
/// verifier accepts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedRootKey {
    /// The 32 bytes of the public key in base64url. An attacker who controls it signs tokens.
    pub public_key: String,
    /// `prepared`, `retired` or `tainted`; the active key is the one that signs. An attacker who controls it calls a
    /// stolen key sound.
    pub state: String,
    /// Seconds since the epoch before which it signed no token. An attacker who lowers it gains nothing without the key.
    pub not_before: u64,
    /// Seconds since the epoch after which it signed no token; a retired key has one. An attacker who raises it keeps a
    /// key of theirs in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
}

impl PublishedRootKey {
    /// The key as verifiers have it.
    ///
    /// # Errors
    /// The member at fault and what is wrong with it.
    pub fn read(&self) -> Result<RootKey, (&'static str, &'static str)> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.public_key).ok();
        let key = bytes.and_then(|bytes| PublicKey::from_bytes(&bytes).ok());
        let key = key.ok_or(("public_key", "is not 32 bytes of a sound ed25519 key in base64url"))?;
        let state = RootState::from_name(&self.state).filter(|state| *state != RootState::Active);
        let state = state.ok_or(("state", "must be `prepared`, `retired` or `tainted`"))?;
        match self.not_after {
            None if state == RootState::Retired => return Err(("not_after", "is missing, a retired key has an end")),
            Some(end) if end < self.not_before => return Err(("not_after", "is before `not_before`")),
            _ => {}
        }
        Ok(RootKey {
            id: root_key_id(key.as_bytes()),
            key,
            state,
            not_before: self.not_before,
            not_after: self.not_after,
            spared_below: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> PublishedRootKey {
        let public_key = URL_SAFE_NO_PAD.encode(narrows_verifier::public_key(&[1; 32]).as_bytes());
        PublishedRootKey { public_key, state: "retired".into(), not_before: 5, not_after: Some(9) }
    }

    #[test]
    fn a_key_is_published_as_configured() {
        let root = published().read().unwrap();
        assert_eq!((root.key, root.state), (narrows_verifier::public_key(&[1; 32]), RootState::Retired));
        assert_eq!((root.id, root.not_before, root.not_after), (root_key_id(root.key.as_bytes()), 5, Some(9)));
    }

    #[test]
    fn a_key_that_verifiers_would_refuse_is_named_by_its_member() {
        let table = [
            ("public_key", PublishedRootKey { public_key: "AA".into(), ..published() }),
            ("public_key", PublishedRootKey { public_key: URL_SAFE_NO_PAD.encode([0; 32]), ..published() }),
            ("state", PublishedRootKey { state: "active".into(), ..published() }),
            ("state", PublishedRootKey { state: "retiring".into(), ..published() }),
            ("not_after", PublishedRootKey { not_after: None, ..published() }),
            ("not_after", PublishedRootKey { not_after: Some(4), ..published() }),
        ];
        for (member, key) in table {
            assert_eq!(key.read().err().map(|(at, _)| at), Some(member), "{key:?}");
        }
        assert!(PublishedRootKey { state: "tainted".into(), not_after: None, ..published() }.read().is_ok());
    }
}
