//! Keys in a file: nothing is fetched, and a file that changes is read again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A file that is gone at the end.
pub(super) struct KeyFile(PathBuf);

impl KeyFile {
    pub(super) fn new(content: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("narrows-keys-{}-{}.json", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let file = Self(std::env::temp_dir().join(name));
        file.write(content);
        file
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.clone()
    }

    /// Puts another file in its place, as a careful administrator does.
    fn write(&self, content: &str) {
        let beside = self.0.with_extension("new");
        std::fs::write(&beside, content).unwrap();
        std::fs::rename(beside, &self.0).unwrap();
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

fn set(key: &TestKey, key_id: &str) -> String {
    json!({"keys": [key.jwk(key_id)]}).to_string()
}

#[tokio::test]
async fn a_key_file_is_read_again_when_it_changes_and_not_more_often() {
    let (key, next) = (TestKey::ed25519(1), TestKey::ed25519(2));
    let file = KeyFile::new(&set(&key, "one"));
    let world = world(json!({"jwks_file": file.0}));
    assert_eq!(world.verify_at(&signed(&key, "one"), NOW_S).await, accepted());
    file.write(&set(&next, "two"));
    // looked at again after ten seconds, and then only
    let unknown = Err(FederationError::Refused(Reason::JwtUnknownKey));
    assert_eq!(world.verify_at(&signed(&key, "one"), NOW_S + 9).await, accepted());
    assert_eq!(world.verify_at(&signed(&next, "two"), NOW_S + 10).await, accepted());
    assert_eq!(world.verify_at(&signed(&key, "one"), NOW_S + 10).await, unknown);
    file.write(&set(&key, "one"));
    assert_eq!(world.verify_at(&signed(&key, "one"), NOW_S + 15).await, unknown);
    assert_eq!(world.verify_at(&signed(&key, "one"), NOW_S + 20).await, accepted());
    assert!(world.network.asked.lock().unwrap().is_empty(), "nothing is ever fetched");
}

#[tokio::test]
async fn a_key_file_that_breaks_serves_a_day_and_not_longer() {
    let key = TestKey::ed25519(1);
    let file = KeyFile::new(&set(&key, "one"));
    let world = world(json!({"jwks_file": file.0, "max_age_s": 1_000_000}));
    let token = signed(&key, "one");
    assert_eq!(world.verify_at(&token, NOW_S).await, accepted());
    for broken in ["not json".to_owned(), "{}".to_owned(), json!({"keys": vec![key.jwk("one"); 101]}).to_string(), " ".repeat(1 << 20)] {
        file.write(&broken);
        assert_eq!(world.verify_at(&token, NOW_S + 86_410).await, accepted());
        let unavailable = world.verify_at(&token, NOW_S + 86_430).await.unwrap_err();
        assert!(matches!(unavailable, FederationError::Unavailable(_)), "{unavailable}");
    }
    std::fs::remove_file(&file.0).unwrap();
    let unavailable = Err(FederationError::Unavailable(Reason::IssuerUnreachable));
    assert_eq!(world.verify_at(&token, NOW_S + 90_000).await, unavailable);
    file.write(&set(&key, "one"));
    assert_eq!(world.verify_at(&token, NOW_S + 90_002).await, accepted());
}

#[tokio::test]
async fn a_bundle_in_a_file_is_a_trust_domains_keys() {
    let key = TestKey::p256();
    let file = KeyFile::new(&json!({"keys": [with(&key.jwk("one"), json!({"use": "jwt-svid"}))]}).to_string());
    let config = json!({"issuer": "spiffe://example.org", "kind": "spiffe", "audiences": [OURS], "jwks_file": file.0});
    let federation = Federation::new(vec![serde_json::from_value(config).unwrap()], OURS, NOW_S).unwrap();
    let claims = json!({"sub": "spiffe://example.org/planner", "aud": OURS, "exp": NOW_S + 300});
    let svid = token(&key, &json!({"alg": "ES256", "kid": "one"}), &claims);
    assert!(federation.verify(&svid, TokenType::Jwt, NOW_S).await.is_ok());
}
