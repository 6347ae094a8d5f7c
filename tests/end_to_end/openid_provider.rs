//! The stranger's provider of the other tests, checked on its own: what it hands out is what it says it is.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ed25519_dalek::{Signature, VerifyingKey};
use narrows_tests::provider::Provider;
use serde_json::Value;

#[tokio::test]
async fn a_person_logs_in_at_a_real_openid_provider() {
    let provider = Provider::start();
    assert_eq!(provider.metadata().await["issuer"], provider.issuer());

    let token = provider.login("alice", "alice-password", "agents").await.unwrap();
    let claims = verified(&provider, &token).await;
    assert_eq!(claims["iss"], provider.issuer());
    assert_eq!(claims["aud"], "agents");
    assert_eq!(claims["sub"], "alice");
    assert!(claims["exp"].as_u64() > claims["iat"].as_u64());

    let refused = provider.login("alice", "bob-password", "agents").await.unwrap_err();
    assert!(refused.starts_with("401"), "{refused}");
}

#[tokio::test]
async fn the_provider_signs_id_tokens_by_each_algorithm_it_offers() {
    let provider = Provider::start();
    for (client_id, algorithm) in [("agents", "Ed25519"), ("agents-rs256", "RS256"), ("agents-es256", "ES256")] {
        let token = provider.login("bob", "bob-password", client_id).await.unwrap();
        assert_eq!(part(&token, 0)["alg"], algorithm);
        assert_eq!(part(&token, 1)["aud"], client_id);
        key_of(&provider, &token).await;
    }
}

#[tokio::test]
async fn the_provider_issues_access_tokens_only_for_its_resources() {
    let provider = Provider::start_for(&["https://issuer.example"]);
    let token = provider.access_token("alice", "https://issuer.example").await.unwrap();
    assert_eq!(part(&token, 0)["typ"], "at+jwt");
    let claims = verified(&provider, &token).await;
    assert_eq!(claims["aud"], "https://issuer.example");
    assert_eq!(claims["sub"], "alice");

    let refused = provider.access_token("alice", "https://other.example").await.unwrap_err();
    assert!(refused.contains("invalid_target"), "{refused}");
}

/// The claims of an Ed25519 token whose signature verifies under the key that the provider publishes for it.
async fn verified(provider: &Provider, token: &str) -> Value {
    let key = key_of(provider, token).await;
    let key: [u8; 32] = BASE64URL.decode(key["x"].as_str().unwrap()).unwrap().try_into().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&BASE64URL.decode(signature).unwrap()).unwrap();
    VerifyingKey::from_bytes(&key).unwrap().verify_strict(signed.as_bytes(), &signature).unwrap();
    part(token, 1)
}

async fn key_of(provider: &Provider, token: &str) -> Value {
    let header = part(token, 0);
    let keys = provider.keys().await;
    let mut fitting = keys["keys"].as_array().unwrap().iter().filter(|key| key["kid"] == header["kid"]);
    let (Some(key), None) = (fitting.next(), fitting.next()) else { panic!("not exactly one key for {header}") };
    assert_eq!(key["alg"], header["alg"]);
    key.clone()
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64URL.decode(part).unwrap()).unwrap()
}
