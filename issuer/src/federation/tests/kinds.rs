//! What each kind of issuer is believed for.

use super::*;

const BUNDLE: &str = "https://spire.example/bundle";

fn spiffe(key: &TestKey, hint_s: Option<u64>) -> (Arc<Network>, Federation) {
    let network = Arc::new(Network::default());
    let keys = json!([with(&key.jwk("one"), json!({"use": "jwt-svid"})), with(&key.jwk("x"), json!({"use": "x509-svid"}))]);
    network.serve(BUNDLE, json!({"keys": keys, "spiffe_sequence": 1, "spiffe_refresh_hint": hint_s}));
    network.serve(KEYS, json!({"keys": [TestKey::ed25519(7).jwk("one")]}));
    let domain = json!({"issuer": "spiffe://example.org", "kind": "spiffe", "audiences": [OURS], "jwks_url": BUNDLE});
    let provider = json!({"issuer": IDP, "audiences": [OURS], "jwks_url": KEYS, "token_types": ["jwt"]});
    let configs = [domain, provider].map(|config| serde_json::from_value(config).unwrap());
    (Arc::clone(&network), Federation::with_source(configs.into(), OURS, network, NOW_S).unwrap())
}

fn svid(key: &TestKey, changes: Value) -> String {
    let claims = json!({"sub": "spiffe://example.org/planner", "aud": [OURS], "exp": NOW_S + 200_000, "jti": "svid-1"});
    token(key, &json!({"alg": "ES256", "kid": "one"}), &with(&claims, changes))
}

#[tokio::test]
async fn a_workload_of_a_trust_domain_is_vouched_for_by_that_domain_alone() {
    let key = TestKey::p256();
    let (_, federation) = spiffe(&key, None);
    let subject = federation.verify(&svid(&key, json!({})), TokenType::Jwt, NOW_S).await.unwrap();
    assert_eq!((subject.issuer.as_str(), subject.subject.as_str()), ("spiffe://example.org", "spiffe://example.org/planner"));
    // workloads present one SVID again and again
    assert_eq!(subject.once, None);
    let refused = async |token: &str, declared| federation.verify(token, declared, NOW_S).await.map(|_| ()).unwrap_err();
    for declared in [TokenType::IdToken, TokenType::AccessToken] {
        assert_eq!(refused(&svid(&key, json!({})), declared).await, FederationError::Refused(Reason::JwtType));
    }
    // another issuer's signature under a name of the trust domain
    let provider = TestKey::ed25519(7);
    let claims = json!({"iss": IDP, "sub": "spiffe://example.org/planner", "aud": OURS, "exp": NOW_S + 600});
    let posing = token(&provider, &json!({"alg": "EdDSA", "kid": "one"}), &claims);
    assert_eq!(refused(&posing, TokenType::Jwt).await, FederationError::Refused(Reason::JwtAlgorithm));
    let own = token(&provider, &json!({"alg": "EdDSA", "kid": "one"}), &with(&claims, json!({"sub": "planner"})));
    assert!(federation.verify(&own, TokenType::Jwt, NOW_S).await.is_ok());
    // the trust domain as the issuer of something else than a workload
    let root = svid(&key, json!({"sub": "planner", "iss": "spiffe://example.org"}));
    assert_eq!(refused(&root, TokenType::Jwt).await, FederationError::Refused(Reason::JwtIssuer));
    let stranger = svid(&key, json!({"sub": "spiffe://other.example/planner"}));
    assert_eq!(refused(&stranger, TokenType::Jwt).await, FederationError::Refused(Reason::JwtIssuer));
}

#[tokio::test]
async fn a_bundle_is_read_again_when_it_asks_to_be() {
    for (hint_s, kept_s) in [(None, 600), (Some(1), 300), (Some(1_800), 1_800), (Some(1_000_000), 86_400)] {
        let key = TestKey::p256();
        let (network, federation) = spiffe(&key, hint_s);
        for second in [0, kept_s - 1, kept_s] {
            assert!(federation.verify(&svid(&key, json!({})), TokenType::Jwt, NOW_S + second).await.is_ok());
        }
        assert_eq!(network.asked(BUNDLE), 2, "{hint_s:?}");
    }
}

fn id_jag(key: &TestKey, changes: Value) -> String {
    let base = json!({"aud": OURS, "jti": "grant-1", "client_id": "agent-1", "scope": "crm.read", "resource": "https://crm.example"});
    token(key, &json!({"alg": "EdDSA", "kid": "one", "typ": "oauth-id-jag+jwt"}), &with(&with(&claims(), base), changes))
}

#[tokio::test]
async fn an_id_jag_is_redeemed_by_its_client_at_issuers_trusted_for_that_client() {
    let key = TestKey::ed25519(1);
    let network = Arc::new(Network::default());
    network.serve(KEYS, json!({"keys": [key.jwk("one")]}));
    let config = json!({"issuer": IDP, "kind": "id_jag", "clients": ["agent-1", "agent-2"], "jwks_url": KEYS, "claims": ["email"]});
    let federation = Federation::with_source(vec![serde_json::from_value(config).unwrap()], OURS, network, NOW_S).unwrap();
    let redeem = async |token: &str, client| federation.verify_id_jag(token, client, NOW_S).await;
    let subject = redeem(&id_jag(&key, json!({"email": "alice@example.com"})), "agent-1").await.unwrap();
    assert_eq!((subject.issuer.as_str(), subject.subject.as_str()), (IDP, "alice"));
    assert_eq!(Value::Object(subject.claims), json!({"email": "alice@example.com"}));
    let bounds = json!({"client_id": "agent-1", "scope": "crm.read", "resource": "https://crm.example"});
    assert_eq!(Value::Object(subject.bounds), bounds);
    assert_eq!(subject.once.unwrap().forget_after, NOW_S + 200_060);
    for (changes, client, reason) in [
        (json!({}), "agent-2", Reason::JwtClient),
        (json!({"client_id": "agent-3"}), "agent-3", Reason::JwtClient),
        (json!({"iss": OURS}), "agent-1", Reason::JwtIssuer),
        (json!({"iss": "https://evil.example"}), "agent-1", Reason::JwtIssuer),
        (json!({"aud": "https://other.example"}), "agent-1", Reason::JwtAudience),
        (json!({"jti": null}), "agent-1", Reason::JwtClaims),
    ] {
        let refused = redeem(&id_jag(&key, changes.clone()), client).await.map(|_| ()).unwrap_err();
        assert_eq!(refused, FederationError::Refused(reason), "{changes}");
    }
    // it is no subject token, and a login is no assertion
    let as_subject = federation.verify(&id_jag(&key, json!({})), TokenType::Jwt, NOW_S).await.map(|_| ()).unwrap_err();
    assert_eq!(as_subject, FederationError::Refused(Reason::JwtIssuer));
    let login = redeem(&signed(&key, "one"), "agent-1").await.map(|_| ()).unwrap_err();
    assert_eq!(login, FederationError::Refused(Reason::JwtType));
}

#[tokio::test]
async fn an_authorization_server_is_found_by_its_own_metadata() {
    let metadata = "https://idp.example/.well-known/oauth-authorization-server";
    let world = world(json!({"kind": "oauth"}));
    world.network.serve(metadata, json!({"issuer": IDP, "jwks_uri": KEYS}));
    let access_token = token(&world.key, &json!({"alg": "EdDSA", "kid": "one", "typ": "at+jwt"}), &claims());
    let verify = async |token: &str, declared| world.federation.verify(token, declared, NOW_S).await.map(|subject| subject.subject);
    assert_eq!(verify(&access_token, TokenType::AccessToken).await, accepted());
    assert_eq!((world.network.asked(metadata), world.network.asked(DISCOVERY)), (1, 0));
    // an authorization server makes no logins
    assert_eq!(verify(&signed(&world.key, "one"), TokenType::IdToken).await, Err(FederationError::Refused(Reason::JwtType)));
    assert_eq!(verify(&signed(&world.key, "one"), TokenType::AccessToken).await, Err(FederationError::Refused(Reason::JwtType)));
}

#[tokio::test]
async fn unmarked_access_tokens_are_for_issuers_that_make_them() {
    let world = world(json!({"legacy_typ": true, "token_types": ["access_token"]}));
    let content = |changes| token(&world.key, &json!({"alg": "EdDSA", "kid": "one", "typ": "JWT"}), &with(&claims(), changes));
    let verify = async |token: &str| world.federation.verify(token, TokenType::AccessToken, NOW_S).await;
    let subject = verify(&content(json!({"scp": ["crm.read", "crm.tag"]}))).await.unwrap();
    assert_eq!(Value::Object(subject.bounds), json!({"scope": "crm.read crm.tag"}));
    let subject = verify(&content(json!({"scp": "crm.read", "scope": "crm.tag"}))).await.unwrap();
    assert_eq!(Value::Object(subject.bounds), json!({"scope": "crm.tag"}));
    let login = verify(&content(json!({"nonce": "n"}))).await.map(|_| ()).unwrap_err();
    assert_eq!(login, FederationError::Refused(Reason::JwtType));
}

#[tokio::test]
async fn a_token_for_one_use_comes_with_what_must_be_spent() {
    let world = world(json!({"single_use": true}));
    let with_id = |id: &str| token(&world.key, &json!({"alg": "EdDSA", "kid": "one"}), &with(&claims(), json!({"jti": id})));
    let once = async |token: &str| world.federation.verify(token, TokenType::IdToken, NOW_S).await.map(|subject| subject.once.unwrap().key);
    let one = once(&with_id("one")).await.unwrap();
    assert_eq!(once(&with_id("one")).await, Ok(one));
    assert_ne!(once(&with_id("two")).await, Ok(one));
    assert_eq!(once(&signed(&world.key, "one")).await, Err(FederationError::Refused(Reason::JwtClaims)));
}

#[tokio::test]
async fn claims_are_found_by_pointer_and_named_by_us() {
    let map = json!({"namespace": "/kubernetes.io/namespace", "role": "/https:~1~1example.com~1roles/0", "absent": "/nothing"});
    let world = world(json!({"claim_map": map}));
    let content = json!({"kubernetes.io": {"namespace": "default", "pod": {"name": "x"}}, "https://example.com/roles": ["admin", "user"]});
    let token = token(&world.key, &json!({"alg": "EdDSA", "kid": "one"}), &with(&claims(), content));
    let subject = world.federation.verify(&token, TokenType::IdToken, NOW_S).await.unwrap();
    assert_eq!(Value::Object(subject.claims), json!({"namespace": "default", "role": "admin"}));
}

#[tokio::test]
async fn an_explanation_names_issuer_rules_and_member() {
    let world = world(json!({}));
    let explain = async |token: &str| {
        let explained = world.federation.explain(token, TokenType::IdToken, NOW_S).await;
        (explained.issuer.map(|issuer| issuer.issuer.clone()), explained.profile, explained.keys, explained.member, explained.outcome.err())
    };
    let known = Some(IDP.to_owned());
    let refused = |reason| Some(FederationError::Refused(reason));
    let profile = Some("id token");
    let header = json!({"alg": "EdDSA", "kid": "one"});
    let made = |header_changes: Value, changes: Value| token(&world.key, &with(&header, header_changes), &with(&claims(), changes));
    assert_eq!(explain(&made(json!({}), json!({}))).await, (known.clone(), profile, Some(1), None, None));
    for (header_changes, changes, keys, member, reason) in [
        (json!({}), json!({"exp": NOW_S - 60}), Some(1), Some("exp"), Reason::JwtExpired),
        (json!({}), json!({"aud": "client-2"}), Some(1), Some("aud"), Reason::JwtAudience),
        (json!({"kid": "two"}), json!({}), Some(1), Some("kid"), Reason::JwtUnknownKey),
        (json!({"typ": "at+jwt"}), json!({}), None, Some("typ"), Reason::JwtType),
        (json!({"alg": "HS256"}), json!({}), None, Some("alg"), Reason::JwtAlgorithm),
    ] {
        let explained = explain(&made(header_changes, changes.clone())).await;
        assert_eq!(explained, (known.clone(), profile, keys, member, refused(reason)), "{changes}");
    }
    let stranger = explain(&made(json!({}), json!({"iss": "https://evil.example"}))).await;
    assert_eq!(stranger, (None, None, None, Some("iss"), refused(Reason::JwtIssuer)));
    let crit = explain(&made(json!({"crit": ["x"]}), json!({}))).await;
    assert_eq!(crit, (None, None, None, Some("crit"), refused(Reason::JwtHeader)));
}
