//! What each kind of JWT demands beyond what all of them do.

use narrows_verifier::Reason;
use serde_json::{Value, json};

use super::forge::{token, with};
use super::world::{CLIENT, DOMAIN, ISSUER, NOW_S, OURS, Rules, World};
use super::{KeySet, Profile, SignatureAlgorithm, UnverifiedJwt, verify};

fn header() -> Value {
    json!({"alg": "ES256", "kid": "ec", "typ": "JWT"})
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "alice", "aud": "client-1", "exp": NOW_S + 600, "iat": NOW_S})
}

#[test]
fn access_tokens_must_say_that_they_are_access_tokens() {
    let world = World::new();
    let profile = Profile::access_token(ISSUER, &world.audiences, &SignatureAlgorithm::DEFAULT, 3_600);
    let check = |changes: Value| world.verify(&token(&world.p256, &with(&header(), changes), &claims()), &profile).map(|_| ());
    assert_eq!(check(json!({"typ": "at+jwt"})), Ok(()));
    assert_eq!(check(json!({"typ": "application/AT+JWT"})), Ok(()));
    assert_eq!(check(json!({"typ": "JWT"})), Err(Reason::JwtType));
    assert_eq!(check(json!({"typ": null})), Err(Reason::JwtType));
}

#[test]
fn client_assertions_are_for_us_alone_and_short_lived() {
    let world = World::new();
    let ours = "https://issuer.example";
    let profile = Profile::client_assertion("agent-1", ours);
    let base = json!({"iss": "agent-1", "sub": "agent-1", "aud": ours, "exp": NOW_S + 300, "jti": "one"});
    let check = |header_changes: Value, claim_changes: Value| {
        let token = token(&world.p256, &with(&header(), header_changes), &with(&base, claim_changes));
        world.verify(&token, &profile).map(|verified| verified.jwt_id)
    };
    let accepted = Ok(Some("one".to_owned()));
    assert_eq!(check(json!({}), json!({})), accepted);
    assert_eq!(check(json!({"typ": null}), json!({})), accepted);
    assert_eq!(check(json!({"typ": "client-authentication+jwt"}), json!({"iat": NOW_S})), accepted);
    assert_eq!(check(json!({"typ": "at+jwt"}), json!({})), Err(Reason::JwtType));
    assert_eq!(check(json!({"typ": "dpop+jwt"}), json!({})), Err(Reason::JwtType));
    for (changes, reason) in [
        (json!({"aud": [ours]}), Reason::JwtAudience),
        (json!({"aud": format!("{ours}/oauth/token")}), Reason::JwtAudience),
        (json!({"aud": format!("{ours}/")}), Reason::JwtAudience),
        (json!({"iss": "agent-2"}), Reason::JwtIssuer),
        (json!({"sub": "agent-2"}), Reason::JwtSubject),
        (json!({"jti": null}), Reason::JwtClaims),
        (json!({"jti": ""}), Reason::JwtClaims),
        (json!({"exp": NOW_S + 631}), Reason::JwtClaims),
        (json!({"exp": NOW_S - 30}), Reason::JwtExpired),
        (json!({"iat": NOW_S - 631}), Reason::JwtTooOld),
        (json!({"iat": NOW_S + 31}), Reason::JwtNotYetValid),
    ] {
        assert_eq!(check(json!({}), changes.clone()), Err(reason), "{changes}");
    }
}

#[test]
fn unmarked_access_tokens_pass_only_where_an_issuer_is_said_to_make_them() {
    let world = World::new();
    let check = |header_changes: Value, claim_changes: Value| {
        world.judge(&token(&world.p256, &with(&header(), header_changes), &with(&claims(), claim_changes)), Rules::LegacyAccessToken)
    };
    for media_type in [json!("JWT"), json!("at+jwt"), json!(null)] {
        assert_eq!(check(json!({"typ": media_type}), json!({"typ": "Bearer", "scope": "a"})), Ok(()), "{media_type}");
    }
    for changes in [json!({"nonce": "n"}), json!({"at_hash": "h"}), json!({"c_hash": "h"}), json!({"typ": "ID"}), json!({"events": {}})] {
        assert_eq!(check(json!({}), changes.clone()), Err(Reason::JwtType), "{changes}");
    }
    for media_type in ["dpop+jwt", "logout+jwt", "oauth-id-jag+jwt", "client-authentication+jwt"] {
        assert_eq!(check(json!({"typ": media_type}), json!({})), Err(Reason::JwtType), "{media_type}");
    }
}

#[test]
fn a_jwt_svid_is_its_trust_domains_word_about_one_of_its_workloads() {
    let world = World::new();
    let base = with(&claims(), json!({"iss": null, "iat": null, "sub": "spiffe://example.org/planner"}));
    let check = |header_changes: Value, claim_changes: Value| {
        world.judge(&token(&world.p256, &with(&header(), header_changes), &with(&base, claim_changes)), Rules::Svid)
    };
    for changes in [json!({}), json!({"typ": "JOSE"}), json!({"typ": "jose"}), json!({"typ": null})] {
        assert_eq!(check(changes.clone(), json!({})), Ok(()), "{changes}");
    }
    assert_eq!(check(json!({}), json!({"iss": "https://spire.example", "jti": "one", "aud": ["client-9", "client-1"]})), Ok(()));
    for (changes, reason) in [
        (json!({"typ": "at+jwt"}), Reason::JwtType),
        (json!({"x5t": "AAAA"}), Reason::JwtHeader),
        (json!({"cty": "JWT"}), Reason::JwtHeader),
        (json!({"kid": "x509"}), Reason::JwtUnknownKey),
        (json!({"kid": "sig"}), Reason::JwtUnknownKey),
        (json!({"kid": "no-use"}), Reason::JwtUnknownKey),
        (json!({"alg": "EdDSA", "kid": "ed"}), Reason::JwtAlgorithm),
        (json!({"alg": "HS256"}), Reason::JwtAlgorithm),
    ] {
        assert_eq!(check(changes.clone(), json!({})), Err(reason), "{changes}");
    }
    for (changes, reason) in [
        (json!({"sub": "spiffe://example.org"}), Reason::JwtIssuer),
        (json!({"sub": "spiffe://example.org/"}), Reason::JwtIssuer),
        (json!({"sub": "spiffe://other.example/planner"}), Reason::JwtIssuer),
        (json!({"sub": "spiffe://example.org.evil.example/planner"}), Reason::JwtIssuer),
        (json!({"sub": "spiffe://example.org/../planner"}), Reason::JwtIssuer),
        (json!({"sub": "planner", "iss": DOMAIN}), Reason::JwtIssuer),
        (json!({"sub": ["spiffe://example.org/planner"]}), Reason::JwtIssuer),
        (json!({"sub": null}), Reason::JwtIssuer),
        (json!({"sub": format!("spiffe://example.org/{}", "a".repeat(250))}), Reason::JwtSubject),
        (json!({"aud": null}), Reason::JwtAudience),
        (json!({"aud": "client-9"}), Reason::JwtAudience),
        (json!({"exp": null}), Reason::JwtClaims),
        (json!({"exp": NOW_S - 30}), Reason::JwtExpired),
        (json!({"iat": NOW_S - 3_631}), Reason::JwtTooOld),
    ] {
        assert_eq!(check(json!({}), changes.clone()), Err(reason), "{changes}");
    }
}

#[test]
fn a_bundle_counts_only_keys_for_jwt_svids() {
    let world = World::new();
    let bundle = KeySet::parse_bundle(world.bundle.to_string().as_bytes()).unwrap();
    assert_eq!((bundle.len(), bundle.refresh_hint_s()), (4, Some(3_600)));
    let as_keys = KeySet::parse(world.bundle.to_string().as_bytes()).unwrap();
    let svid = token(&world.p256, &json!({"alg": "ES256", "kid": "ec"}), &claims());
    let plain = Profile::id_token(ISSUER, &world.audiences, &SignatureAlgorithm::DEFAULT, 3_600);
    let refused = verify(UnverifiedJwt::parse(&svid).unwrap(), &plain, &as_keys, NOW_S).map(|_| ()).map_err(Reason::from);
    assert_eq!(refused, Err(Reason::JwtKey), "a key for JWT-SVIDs signs nothing else");
}

#[test]
fn an_id_jag_is_for_us_one_client_and_one_use() {
    let world = World::new();
    let base = with(&claims(), json!({"aud": OURS, "jti": "grant-1", "client_id": CLIENT}));
    let typed = with(&header(), json!({"typ": "oauth-id-jag+jwt"}));
    let check = |header_changes: Value, claim_changes: Value| {
        world.judge(&token(&world.p256, &with(&typed, header_changes), &with(&base, claim_changes)), Rules::IdJag)
    };
    assert_eq!(check(json!({}), json!({})), Ok(()));
    assert_eq!(check(json!({"typ": "application/oauth-id-jag+jwt"}), json!({"aud": [OURS], "scope": "a"})), Ok(()));
    for media_type in [json!(null), json!("JWT"), json!("at+jwt"), json!("id-jag+jwt")] {
        assert_eq!(check(json!({"typ": media_type}), json!({})), Err(Reason::JwtType), "{media_type}");
    }
    for (changes, reason) in [
        (json!({"aud": [OURS, "https://other.example"]}), Reason::JwtAudience),
        (json!({"aud": [OURS, OURS]}), Reason::JwtAudience),
        (json!({"aud": "https://other.example"}), Reason::JwtAudience),
        (json!({"aud": format!("{OURS}/oauth/token")}), Reason::JwtAudience),
        (json!({"aud": null}), Reason::JwtAudience),
        (json!({"client_id": "agent-2"}), Reason::JwtClient),
        (json!({"client_id": [CLIENT]}), Reason::JwtClient),
        (json!({"client_id": null}), Reason::JwtClient),
        (json!({"jti": null}), Reason::JwtClaims),
        (json!({"iat": null}), Reason::JwtClaims),
        (json!({"exp": null}), Reason::JwtClaims),
        (json!({"exp": NOW_S - 30}), Reason::JwtExpired),
        (json!({"sub": ""}), Reason::JwtSubject),
        (json!({"iss": OURS}), Reason::JwtIssuer),
    ] {
        assert_eq!(check(json!({}), changes.clone()), Err(reason), "{changes}");
    }
}

#[test]
fn a_token_for_one_use_has_an_id_and_a_record_of_its_own() {
    let world = World::new();
    let profile = Profile::id_token(ISSUER, &world.audiences, &SignatureAlgorithm::DEFAULT, 3_600).single_use();
    let check = |claim_changes: Value| {
        let token = token(&world.p256, &header(), &with(&claims(), claim_changes));
        verify(UnverifiedJwt::parse(&token).unwrap(), &profile, &world.keys, NOW_S).map_err(Reason::from)
    };
    assert_eq!(check(json!({})).map(|_| ()), Err(Reason::JwtClaims));
    let one = check(json!({"jti": "one"})).unwrap();
    let (first, again, other_kind) = (one.once("a").unwrap(), one.once("a").unwrap(), one.once("b").unwrap());
    assert_eq!((first, first.forget_after), (again, NOW_S + 660));
    assert!(first.key != other_kind.key && first.key != check(json!({"jti": "two"})).unwrap().once("a").unwrap().key);
}
