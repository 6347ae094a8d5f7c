use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::egress::{EgressError, Fetched, Fetching};
use crate::jose::forge::{TestKey, token, with};

mod configuration;
mod files;
mod kinds;
mod load;
mod recipes;

const NOW_S: u64 = 1_800_000_000;
const OURS: &str = "https://narrows.example";
const IDP: &str = "https://idp.example";
const DISCOVERY: &str = "https://idp.example/.well-known/openid-configuration";
const KEYS: &str = "https://idp.example/keys";

/// A network of documents and faults that counts what is asked of it.
#[derive(Default)]
struct Network {
    documents: Mutex<HashMap<String, Result<Fetched, EgressError>>>,
    asked: Mutex<Vec<String>>,
}

impl Network {
    fn serve(&self, url: &str, document: Value) {
        self.serve_for(url, document, None);
    }

    fn serve_for(&self, url: &str, document: Value, max_age_s: Option<u64>) {
        let fetched = Fetched { body: document.to_string().into_bytes(), max_age_s };
        self.documents.lock().unwrap().insert(url.to_owned(), Ok(fetched));
    }

    fn break_down(&self, url: &str) {
        self.documents.lock().unwrap().insert(url.to_owned(), Err(EgressError::Unreachable));
    }

    fn asked(&self, url: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == url).count()
    }
}

impl Fetch for Network {
    fn fetch_json<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        self.asked.lock().unwrap().push(url.to_owned());
        Box::pin(async move {
            // Lets every other task run into the fetch, as a slow network would.
            tokio::task::yield_now().await;
            let document = self.documents.lock().unwrap().get(url).cloned();
            document.unwrap_or(Err(EgressError::Status(404)))
        })
    }
}

struct World {
    network: Arc<Network>,
    federation: Arc<Federation>,
    key: TestKey,
}

fn world(configuration: Value) -> World {
    let network = Arc::new(Network::default());
    let key = TestKey::ed25519(1);
    network.serve(DISCOVERY, json!({"issuer": IDP, "jwks_uri": KEYS}));
    network.serve(KEYS, json!({"keys": [key.jwk("one")]}));
    let base = json!({"issuer": IDP, "audiences": ["client-1"]});
    let config: TrustedIssuer = serde_json::from_value(with(&base, configuration)).unwrap();
    let source: Arc<dyn Fetch> = network.clone();
    World { network, federation: Arc::new(Federation::with_source(vec![config], OURS, source, NOW_S).unwrap()), key }
}

impl World {
    async fn verify_at(&self, token: &str, now_s: u64) -> Result<String, FederationError> {
        self.federation.verify(token, TokenType::IdToken, now_s).await.map(|subject| subject.subject)
    }
}

fn claims() -> Value {
    json!({"iss": IDP, "sub": "alice", "aud": "client-1", "exp": NOW_S + 200_000, "iat": NOW_S})
}

fn signed(key: &TestKey, key_id: &str) -> String {
    token(key, &json!({"alg": "EdDSA", "kid": key_id}), &claims())
}

fn accepted() -> Result<String, FederationError> {
    Ok("alice".to_owned())
}

#[tokio::test]
async fn keys_are_discovered_once_and_used_for_ten_minutes_where_nobody_says_how_long() {
    let world = world(json!({}));
    let token = signed(&world.key, "one");
    for second in [0, 1, 599] {
        assert_eq!(world.verify_at(&token, NOW_S + second).await, accepted());
    }
    assert_eq!((world.network.asked(DISCOVERY), world.network.asked(KEYS)), (1, 1));
    assert_eq!(world.verify_at(&token, NOW_S + 600).await, accepted());
    assert_eq!((world.network.asked(DISCOVERY), world.network.asked(KEYS)), (2, 2));
}

#[tokio::test]
async fn concurrent_requests_share_one_fetch() {
    let world = world(json!({"jwks_url": KEYS}));
    let token = signed(&world.key, "one");
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (federation, token) = (Arc::clone(&world.federation), token.clone());
            tokio::spawn(async move { federation.verify(&token, TokenType::IdToken, NOW_S).await.map(|_| ()) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    assert_eq!((world.network.asked(DISCOVERY), world.network.asked(KEYS)), (0, 1));
}

#[tokio::test]
async fn unknown_keys_cause_one_fetch_in_thirty_seconds() {
    let world = world(json!({"jwks_url": KEYS}));
    assert_eq!(world.verify_at(&signed(&world.key, "one"), NOW_S).await, accepted());
    let invented = signed(&TestKey::ed25519(9), "invented");
    for second in 0..60 {
        let refused = world.verify_at(&invented, NOW_S + 30 + second).await;
        assert_eq!(refused, Err(FederationError::Refused(Reason::JwtUnknownKey)));
    }
    assert_eq!(world.network.asked(KEYS), 3);
}

#[tokio::test]
async fn a_rotated_key_is_found_without_waiting_for_the_refresh() {
    let world = world(json!({"jwks_url": KEYS}));
    assert_eq!(world.verify_at(&signed(&world.key, "one"), NOW_S).await, accepted());
    let next = TestKey::ed25519(2);
    world.network.serve(KEYS, json!({"keys": [next.jwk("two")]}));
    assert_eq!(world.verify_at(&signed(&next, "two"), NOW_S + 30).await, accepted());
    let retired = world.verify_at(&signed(&world.key, "one"), NOW_S + 31).await;
    assert_eq!(retired, Err(FederationError::Refused(Reason::JwtUnknownKey)));
}

#[tokio::test]
async fn old_keys_serve_a_day_of_outage_and_not_longer() {
    let world = world(json!({"max_age_s": 1_000_000}));
    let token = signed(&world.key, "one");
    assert_eq!(world.verify_at(&token, NOW_S).await, accepted());
    world.network.break_down(DISCOVERY);
    assert_eq!(world.verify_at(&token, NOW_S + 3_600).await, accepted());
    assert_eq!(world.verify_at(&token, NOW_S + 600 + 86_400).await, accepted());
    let unavailable = Err(FederationError::Unavailable(Reason::IssuerUnreachable));
    assert_eq!(world.verify_at(&token, NOW_S + 600 + 86_402).await, unavailable);
    world.network.serve(DISCOVERY, json!({"issuer": IDP, "jwks_uri": KEYS}));
    assert_eq!(world.verify_at(&token, NOW_S + 600 + 86_404).await, accepted());
}

#[tokio::test]
async fn an_issuer_without_keys_is_unavailable_and_not_hammered() {
    let world = world(json!({}));
    world.network.break_down(DISCOVERY);
    let token = signed(&world.key, "one");
    let unavailable = Err(FederationError::Unavailable(Reason::IssuerUnreachable));
    for second in [0, 0, 1] {
        assert_eq!(world.verify_at(&token, NOW_S + second).await, unavailable);
    }
    assert_eq!(world.network.asked(DISCOVERY), 1);
    world.network.serve(DISCOVERY, json!({"issuer": IDP, "jwks_uri": KEYS}));
    assert_eq!(world.verify_at(&token, NOW_S + 2).await, accepted());
}

#[tokio::test]
async fn discovery_must_name_the_issuer_byte_for_byte_and_keys_at_its_own_origin() {
    for document in [
        json!({"issuer": "https://idp.example/", "jwks_uri": KEYS}),
        json!({"issuer": "https://other.example", "jwks_uri": KEYS}),
        json!({"issuer": [IDP], "jwks_uri": KEYS}),
        json!({"issuer": IDP}),
        json!({"issuer": IDP, "jwks_uri": "https://elsewhere.example/keys"}),
        json!({"issuer": IDP, "jwks_uri": "https://idp.example:8443/keys"}),
        json!({"issuer": IDP, "jwks_uri": "http://idp.example/keys"}),
        json!({"issuer": IDP, "jwks_uri": "/keys"}),
        json!([]),
    ] {
        let world = world(json!({}));
        world.network.serve(DISCOVERY, document);
        let outcome = world.verify_at(&signed(&world.key, "one"), NOW_S).await;
        assert_eq!(outcome, Err(FederationError::Unavailable(Reason::IssuerDocument)));
        assert_eq!(world.network.asked.lock().unwrap().len(), 1, "nothing but the document itself is asked for");
    }
}

#[tokio::test]
async fn hopeless_tokens_make_nobody_fetch() {
    let world = world(json!({}));
    let header = json!({"alg": "EdDSA", "kid": "one"});
    for (token, reason) in [
        ("a.b".to_owned(), Reason::JwtMalformed),
        ("A".repeat(20_000), Reason::JwtTooLarge),
        (token(&world.key, &header, &with(&claims(), json!({"iss": "https://evil.example"}))), Reason::JwtIssuer),
        (token(&world.key, &header, &with(&claims(), json!({"iss": [IDP]}))), Reason::JwtIssuer),
        (token(&world.key, &with(&header, json!({"alg": "none"})), &claims()), Reason::JwtAlgorithm),
        (token(&world.key, &with(&header, json!({"jku": "https://evil.example"})), &claims()), Reason::JwtHeader),
        (token(&world.key, &with(&header, json!({"typ": "at+jwt"})), &claims()), Reason::JwtType),
    ] {
        assert_eq!(world.verify_at(&token, NOW_S).await, Err(FederationError::Refused(reason)));
    }
    assert!(world.network.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_declared_type_must_match_the_content() {
    let world = world(json!({"token_types": ["id_token", "access_token"]}));
    let id_token = signed(&world.key, "one");
    let access_token = token(&world.key, &json!({"alg": "EdDSA", "kid": "one", "typ": "at+jwt"}), &claims());
    let verify = async |token: &str, declared| world.federation.verify(token, declared, NOW_S).await.map(|subject| subject.issuer);
    let mismatch = Err(FederationError::Refused(Reason::JwtType));
    assert_eq!(verify(&id_token, TokenType::IdToken).await, Ok(IDP.to_owned()));
    assert_eq!(verify(&access_token, TokenType::AccessToken).await, Ok(IDP.to_owned()));
    assert_eq!(verify(&access_token, TokenType::IdToken).await, mismatch);
    assert_eq!(verify(&id_token, TokenType::AccessToken).await, mismatch);
    assert_eq!(verify(&id_token, TokenType::Jwt).await, mismatch);
}

#[tokio::test]
async fn policies_see_listed_claims_and_the_exchange_sees_the_bounds() {
    let world = world(json!({"claims": ["groups"]}));
    let limits = json!({
        "act": {"sub": "other"}, "may_act": {"sub": "agent"}, "cnf": {"jkt": "x"}, "scope": "a b", "authorization_details": [],
        "resource": "https://crm.example", "client_id": "client-1",
    });
    let content = with(&limits, json!({"groups": ["staff"], "email": "alice@example.com", "jti": "j1"}));
    let token = token(&world.key, &json!({"alg": "EdDSA", "kid": "one"}), &with(&claims(), content));
    let subject = world.federation.verify(&token, TokenType::IdToken, NOW_S).await.unwrap();
    assert_eq!(Value::Object(subject.claims.clone()), json!({"groups": ["staff"]}));
    assert_eq!(Value::Object(subject.bounds.clone()), limits);
    assert_eq!(subject.once, None);
    assert_eq!((subject.token_id.as_deref(), subject.expires_s), (Some("j1"), NOW_S + 200_000));
    assert!(!format!("{subject:?}").contains("alice"));
}

#[tokio::test]
async fn keys_of_two_issuers_are_never_merged() {
    let network = Arc::new(Network::default());
    let (ours, theirs) = (TestKey::ed25519(1), TestKey::ed25519(2));
    network.serve("https://a.example/keys", json!({"keys": [ours.jwk("same")]}));
    network.serve("https://b.example/keys", json!({"keys": [theirs.jwk("same")]}));
    let issuers = ["a", "b"].map(|name| {
        let origin = format!("https://{name}.example");
        let config = json!({"issuer": origin, "audiences": ["client-1"], "jwks_url": format!("{origin}/keys")});
        serde_json::from_value(config).unwrap()
    });
    let federation = Federation::with_source(issuers.into(), OURS, network, NOW_S).unwrap();
    let crossed = token(&theirs, &json!({"alg": "EdDSA", "kid": "same"}), &with(&claims(), json!({"iss": "https://a.example"})));
    let outcome = federation.verify(&crossed, TokenType::IdToken, NOW_S).await.map(|_| ());
    assert_eq!(outcome, Err(FederationError::Refused(Reason::JwtSignature)));
}

#[test]
fn only_known_token_type_uris_are_read() {
    let uri = |name: &str| TokenType::from_uri(&format!("urn:ietf:params:oauth:token-type:{name}"));
    assert_eq!(
        (uri("id_token"), uri("access_token"), uri("jwt")),
        (Some(TokenType::IdToken), Some(TokenType::AccessToken), Some(TokenType::Jwt))
    );
    for name in ["refresh_token", "saml1", "saml2", "id-jag", "txn_token", "jwt_svid", "jwt-svid", ""] {
        assert_eq!(uri(name), None, "{name}");
    }
    assert_eq!(TokenType::from_uri("id_token"), None);
}
