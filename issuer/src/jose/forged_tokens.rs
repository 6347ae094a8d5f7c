//! The table of forged and malformed JWTs: each is refused, for exactly the reason given.

use aws_lc_rs::hmac;
use narrows_verifier::Reason;
use serde_json::{Value, json};

use super::forge::{TestKey, der_signing_key, encode, signing_input, token, token_of_texts, with};
use super::world::{ISSUER, NOW_S, World};
use super::{KeySet, Profile, SignatureAlgorithm, UnverifiedJwt, verify};

impl World {
    fn id_token(&self) -> Profile<'_> {
        Profile::id_token(ISSUER, &self.audiences, &SignatureAlgorithm::DEFAULT, 3_600)
    }

    fn refuses(&self, name: &str, token: &str, reason: Reason) {
        assert_eq!(self.verify(token, &self.id_token()).map(|_| ()), Err(reason), "{name}");
    }
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "ec", "typ": "JWT"})
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "alice", "aud": "client-1", "exp": NOW_S + 600, "iat": NOW_S})
}

#[test]
fn genuine_tokens_of_every_algorithm_are_accepted() {
    let world = World::new();
    let cases = [
        (&world.rsa, "RS256", "rsa"),
        (&world.rsa, "PS256", "rsa"),
        (&world.rsa, "PS256", "rsa-pss"),
        (&world.p256, "ES256", "ec"),
        (&world.ed25519, "EdDSA", "ed"),
        (&world.ed25519, "Ed25519", "ed"),
        (&world.ed25519, "EdDSA", "ed-new-name"),
    ];
    for (key, algorithm, key_id) in cases {
        let token = token(key, &json!({"alg": algorithm, "kid": key_id}), &claims());
        let verified = world.verify(&token, &world.id_token()).unwrap();
        assert_eq!((verified.subject.as_str(), verified.key_id.as_deref()), ("alice", Some(key_id)));
        assert_eq!((verified.expires_s, verified.issued_s), (NOW_S + 600, Some(NOW_S)));
        assert!(!format!("{verified:?}").contains("alice"));
    }
    for media_type in ["jwt", "application/JWT", "Jwt"] {
        let token = token(&world.p256, &with(&header(), json!({"typ": media_type})), &claims());
        assert!(world.verify(&token, &world.id_token()).is_ok(), "{media_type}");
    }
}

#[test]
fn forged_headers_are_refused() {
    let world = World::new();
    let cases = [
        ("alg none", json!({"alg": "none"}), Reason::JwtAlgorithm),
        ("alg nOnE", json!({"alg": "nOnE"}), Reason::JwtAlgorithm),
        ("alg lower case", json!({"alg": "es256"}), Reason::JwtAlgorithm),
        ("alg unknown", json!({"alg": "ES256K"}), Reason::JwtAlgorithm),
        ("alg not in the issuer's list", json!({"alg": "RS384", "kid": "rsa"}), Reason::JwtAlgorithm),
        ("alg missing", json!({"alg": null}), Reason::JwtHeader),
        ("alg a number", json!({"alg": 7}), Reason::JwtHeader),
        ("alg of another family than the key", json!({"alg": "RS256"}), Reason::JwtKey),
        ("embedded jwk", json!({"jwk": world.p256.jwk("ec")}), Reason::JwtHeader),
        ("jku", json!({"jku": "https://evil.example/keys"}), Reason::JwtHeader),
        ("x5u", json!({"x5u": "https://evil.example/chain"}), Reason::JwtHeader),
        ("x5c is never a key", json!({"x5c": ["AAAA"], "kid": "other"}), Reason::JwtUnknownKey),
        ("crit unknown", json!({"crit": ["x"], "x": 1}), Reason::JwtHeader),
        ("crit empty", json!({"crit": []}), Reason::JwtHeader),
        ("b64 false", json!({"b64": false}), Reason::JwtHeader),
        ("b64 true", json!({"b64": true}), Reason::JwtHeader),
        ("zip", json!({"zip": "DEF"}), Reason::JwtHeader),
        ("enc", json!({"enc": "A256GCM"}), Reason::JwtHeader),
        ("kid unknown", json!({"kid": "other"}), Reason::JwtUnknownKey),
        ("kid a path", json!({"kid": "../../../dev/null"}), Reason::JwtUnknownKey),
        ("kid sql", json!({"kid": "x' UNION SELECT 'k"}), Reason::JwtUnknownKey),
        ("kid of a symmetric key", json!({"kid": "oct"}), Reason::JwtUnknownKey),
        ("kid given by two keys", json!({"kid": "twice"}), Reason::JwtKey),
        ("kid absent, several keys fit", json!({"kid": null}), Reason::JwtUnknownKey),
        ("kid a number", json!({"kid": 1}), Reason::JwtHeader),
        ("kid empty", json!({"kid": ""}), Reason::JwtHeader),
        ("kid too long", json!({"kid": "k".repeat(256)}), Reason::JwtHeader),
        ("typ access token", json!({"typ": "at+jwt"}), Reason::JwtType),
        ("typ access token, long form", json!({"typ": "application/at+jwt"}), Reason::JwtType),
        ("typ dpop proof", json!({"typ": "dpop+jwt"}), Reason::JwtType),
        ("typ logout token", json!({"typ": "logout+jwt"}), Reason::JwtType),
        ("typ id-jag", json!({"typ": "oauth-id-jag+jwt"}), Reason::JwtType),
        ("typ client assertion", json!({"typ": "client-authentication+jwt"}), Reason::JwtType),
        ("typ a number", json!({"typ": 1}), Reason::JwtHeader),
    ];
    for (name, changes, reason) in cases {
        world.refuses(name, &token(&world.p256, &with(&header(), changes), &claims()), reason);
    }
    for (name, text) in [
        ("duplicate alg", r#"{"alg":"ES256","alg":"ES256","kid":"ec"}"#),
        ("duplicate alg by escape", r#"{"alg":"ES256","\u0061lg":"none","kid":"ec"}"#),
        ("not an object", r#"["ES256"]"#),
        ("not json", "ES256"),
        ("two objects", r#"{"alg":"ES256","kid":"ec"}{}"#),
        ("byte order mark", "\u{feff}{\"alg\":\"ES256\",\"kid\":\"ec\"}"),
    ] {
        world.refuses(name, &token_of_texts(&world.p256, "ES256", text, &claims().to_string()), Reason::JwtHeader);
    }
}

#[test]
fn symmetric_signatures_over_public_keys_are_refused() {
    let world = World::new();
    for (key, key_id) in [(&world.rsa, "rsa"), (&world.ed25519, "ed"), (&world.p256, "oct")] {
        let input = signing_input(&json!({"alg": "HS256", "kid": key_id}).to_string(), &claims().to_string());
        let public = key.jwk(key_id);
        for secret in [public.to_string().into_bytes(), public["x"].to_string().into_bytes(), vec![7; 32]] {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input.as_bytes());
            world.refuses("hs256", &format!("{input}.{}", encode(tag)), Reason::JwtAlgorithm);
        }
    }
}

#[test]
fn malformed_compact_forms_are_refused() {
    let world = World::new();
    let good = token(&world.p256, &header(), &claims());
    let (input, _) = good.rsplit_once('.').unwrap();
    // 64 bytes leave four unused bits in the last character: a second spelling of one signature.
    let mut other_spelling = good.clone();
    let last = other_spelling.pop().unwrap();
    other_spelling.push(char::from(u8::try_from(last).unwrap() + 1));
    let cases = [
        ("empty", String::new(), Reason::JwtMalformed),
        ("no dots", "abc".to_owned(), Reason::JwtMalformed),
        ("two segments", input.to_owned(), Reason::JwtMalformed),
        ("four segments", format!("{good}.AA"), Reason::JwtMalformed),
        ("empty fourth segment", format!("{good}."), Reason::JwtMalformed),
        ("five segments", format!("{good}.AA.AA"), Reason::JwtMalformed),
        ("padded", format!("{good}=="), Reason::JwtMalformed),
        ("leading space", format!(" {good}"), Reason::JwtMalformed),
        ("trailing newline", format!("{good}\n"), Reason::JwtMalformed),
        ("inner newline", good.replacen('.', ".\n", 1), Reason::JwtMalformed),
        ("standard alphabet", format!("{input}.+/+/"), Reason::JwtMalformed),
        ("unused bits set", other_spelling, Reason::JwtMalformed),
        ("unsecured", format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(claims().to_string())), Reason::JwtAlgorithm),
        ("signature stripped", format!("{input}."), Reason::JwtSignature),
        ("oversized", format!("{input}.{}", "A".repeat(16 * 1024)), Reason::JwtTooLarge),
    ];
    for (name, token, reason) in cases {
        world.refuses(name, &token, reason);
    }
    let nested = token_of_texts(&world.p256, "ES256", r#"{"alg":"ES256","kid":"ec","cty":"JWT"}"#, &good);
    world.refuses("nested jwt", &nested, Reason::JwtClaims);
}

#[test]
fn forged_signatures_are_refused() {
    let world = World::new();
    let input = signing_input(&header().to_string(), &claims().to_string());
    let signed = |signature: Vec<u8>| format!("{input}.{}", encode(signature));
    let genuine = world.p256.sign("ES256", input.as_bytes());
    let mut flipped = genuine.clone();
    flipped[40] ^= 1;
    let zero_s = [&genuine[..32], &[0; 32]].concat();
    let zero_r = [&[0; 32], &genuine[32..]].concat();
    for (name, signature) in [
        ("zero r and s", vec![0; 64]),
        ("zero r", zero_r),
        ("zero s", zero_s),
        ("flipped bit", flipped),
        ("too short", genuine[..63].to_vec()),
        ("too long", [genuine.as_slice(), &[0]].concat()),
        ("another key", TestKey::p256().sign("ES256", input.as_bytes())),
        ("another kind of key", world.ed25519.sign("EdDSA", input.as_bytes())),
        ("other content", world.p256.sign("ES256", b"other")),
    ] {
        world.refuses(name, &signed(signature), Reason::JwtSignature);
    }
    assert!(world.verify(&signed(genuine), &world.id_token()).is_ok());

    let (key, sign_der) = der_signing_key();
    let keys = KeySet::parse(json!({"keys": [key.jwk("ec")]}).to_string().as_bytes()).unwrap();
    let check = |signature: Vec<u8>| {
        let token = signed(signature);
        verify(UnverifiedJwt::parse(&token).unwrap(), &world.id_token(), &keys, NOW_S).map(|_| ()).map_err(Reason::from)
    };
    assert_eq!(check(key.sign("ES256", input.as_bytes())), Ok(()));
    assert_eq!(check(sign_der(input.as_bytes())), Err(Reason::JwtSignature));
}

#[test]
fn weak_or_foreign_keys_are_refused() {
    let world = World::new();
    for (algorithm, key_id, reason) in [
        ("RS256", "rsa-1024", Reason::JwtKey),
        ("RS256", "rsa-1024-padded", Reason::JwtKey),
        ("RS256", "rsa-e1", Reason::JwtKey),
        ("RS256", "rsa-e3", Reason::JwtKey),
        ("RS256", "rsa-even", Reason::JwtKey),
        ("RS256", "rsa-enc", Reason::JwtKey),
        ("RS256", "rsa-wrap", Reason::JwtKey),
        ("RS256", "rsa-512", Reason::JwtKey),
        ("RS256", "rsa-use-number", Reason::JwtKey),
        ("RS256", "rsa-verify-twice", Reason::JwtKey),
        ("RS256", "rsa-sign-verify", Reason::JwtKey),
        ("RS256", "rsa-ops-text", Reason::JwtKey),
        ("RS256", "rsa-alg-number", Reason::JwtKey),
        ("RS256", "rsa-ext-text", Reason::JwtKey),
        ("RS256", "rsa-private", Reason::JwtKey),
        ("ES256", "ec-private", Reason::JwtKey),
        ("EdDSA", "ed-private", Reason::JwtKey),
        ("EdDSA", "ed-k", Reason::JwtKey),
        ("RS256", "rsa-pss", Reason::JwtKey),
        ("EdDSA", "rsa", Reason::JwtKey),
        ("PS256", "ec", Reason::JwtKey),
        ("ES384", "ec", Reason::JwtKey),
        ("ES256", "ed", Reason::JwtKey),
        ("ES256", "short-point", Reason::JwtKey),
        ("ES256", "off-curve", Reason::JwtSignature),
        ("EdDSA", "x25519", Reason::JwtUnknownKey),
    ] {
        let token = token(&world.rsa, &json!({"alg": algorithm, "kid": key_id}), &claims());
        world.refuses(key_id, &token, reason);
    }
    // Under the identity point this signature holds for every message.
    let input = signing_input(&json!({"alg": "EdDSA", "kid": "small-order"}).to_string(), &claims().to_string());
    let mut universal = vec![0; 64];
    universal[0] = 1;
    world.refuses("small order", &format!("{input}.{}", encode(universal)), Reason::JwtKey);
}

#[test]
fn claims_out_of_bounds_are_refused() {
    let world = World::new();
    let cases = [
        ("iss array", json!({"iss": [ISSUER]}), Reason::JwtIssuer),
        ("iss trailing slash", json!({"iss": format!("{ISSUER}/")}), Reason::JwtIssuer),
        ("iss other case", json!({"iss": "https://IDP.example"}), Reason::JwtIssuer),
        ("iss missing", json!({"iss": null}), Reason::JwtIssuer),
        ("aud missing", json!({"aud": null}), Reason::JwtAudience),
        ("aud empty", json!({"aud": []}), Reason::JwtAudience),
        ("aud other", json!({"aud": "client-9"}), Reason::JwtAudience),
        ("aud prefix", json!({"aud": "client-1 "}), Reason::JwtAudience),
        ("aud object", json!({"aud": {"client-1": true}}), Reason::JwtAudience),
        ("aud others", json!({"aud": ["client-8", "client-9"]}), Reason::JwtAudience),
        ("aud mixed with a number", json!({"aud": ["client-1", 1]}), Reason::JwtAudience),
        ("exp missing", json!({"exp": null}), Reason::JwtClaims),
        ("exp past", json!({"exp": NOW_S - 30}), Reason::JwtExpired),
        ("exp zero", json!({"exp": 0}), Reason::JwtExpired),
        ("exp string", json!({"exp": (NOW_S + 600).to_string()}), Reason::JwtClaims),
        ("exp huge", json!({"exp": 1e300}), Reason::JwtClaims),
        ("exp negative", json!({"exp": -1}), Reason::JwtClaims),
        ("exp above 2^53", json!({"exp": u64::MAX}), Reason::JwtClaims),
        ("nbf future", json!({"nbf": NOW_S + 31}), Reason::JwtNotYetValid),
        ("nbf a fraction after the skew", json!({"nbf": NOW_S as f64 + 30.5}), Reason::JwtNotYetValid),
        ("nbf string", json!({"nbf": "0"}), Reason::JwtClaims),
        ("iat a fraction after the skew", json!({"iat": NOW_S as f64 + 30.5}), Reason::JwtNotYetValid),
        ("iat future", json!({"iat": NOW_S + 3_600}), Reason::JwtNotYetValid),
        ("iat missing", json!({"iat": null}), Reason::JwtClaims),
        ("iat ancient", json!({"iat": NOW_S - 3_631}), Reason::JwtTooOld),
        ("sub missing", json!({"sub": null}), Reason::JwtSubject),
        ("sub empty", json!({"sub": ""}), Reason::JwtSubject),
        ("sub number", json!({"sub": 7}), Reason::JwtSubject),
        ("sub array", json!({"sub": ["alice"]}), Reason::JwtSubject),
        ("sub long", json!({"sub": "a".repeat(256)}), Reason::JwtSubject),
        ("sub nul", json!({"sub": "alice\u{0}"}), Reason::JwtSubject),
        ("sub newline", json!({"sub": "alice\n"}), Reason::JwtSubject),
        ("sub bidi", json!({"sub": "alice\u{202e}bob"}), Reason::JwtSubject),
        ("sub bidi isolate", json!({"sub": "\u{2066}alice"}), Reason::JwtSubject),
        ("jti number", json!({"jti": 7}), Reason::JwtClaims),
        ("jti long", json!({"jti": "j".repeat(256)}), Reason::JwtClaims),
        ("logout token", json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}), Reason::JwtType),
        ("access token marked inside", json!({"typ": "Bearer"}), Reason::JwtType),
    ];
    for (name, changes, reason) in cases {
        world.refuses(name, &token(&world.p256, &header(), &with(&claims(), changes)), reason);
    }
    for (name, changes) in [
        ("aud array", json!({"aud": ["client-9", "client-2"]})),
        ("exp within skew", json!({"exp": NOW_S - 29})),
        ("exp fraction", json!({"exp": NOW_S as f64 + 0.5})),
        ("nbf within skew", json!({"nbf": NOW_S + 30})),
        ("iat as old as allowed", json!({"iat": NOW_S - 3_630})),
        ("sub of 255 bytes", json!({"sub": "a".repeat(255)})),
        ("marked inside as id token", json!({"typ": "ID"})),
    ] {
        let token = token(&world.p256, &header(), &with(&claims(), changes));
        assert_eq!(world.verify(&token, &world.id_token()).map(|_| ()), Ok(()), "{name}");
    }
    for text in [
        r#"{"iss":"https://idp.example","sub":"alice","sub":"bob","aud":"client-1","exp":1800000600,"iat":1800000000}"#,
        r#"{"iss":"https://idp.example","sub":"alice","aud":"client-1","exp":1e999,"iat":1800000000}"#,
        "[]",
        "",
    ] {
        world.refuses(text, &token_of_texts(&world.p256, "ES256", &header().to_string(), text), Reason::JwtClaims);
    }
}

#[test]
fn a_token_without_key_id_needs_exactly_one_fitting_key() {
    let world = World::new();
    let check = |keys: Value| {
        let keys = KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap();
        let token = token(&world.p256, &json!({"alg": "ES256"}), &claims());
        verify(UnverifiedJwt::parse(&token).unwrap(), &world.id_token(), &keys, NOW_S).map(|_| ()).map_err(Reason::from)
    };
    assert_eq!(check(json!([world.rsa.jwk("a"), world.p256.jwk("b")])), Ok(()));
    assert_eq!(check(json!([world.p256.jwk("a"), TestKey::p256().jwk("b")])), Err(Reason::JwtUnknownKey));
    assert_eq!(check(json!([world.rsa.jwk("a")])), Err(Reason::JwtUnknownKey));
    assert_eq!(check(json!([])), Err(Reason::JwtUnknownKey));
}

#[test]
fn key_sets_are_bounded() {
    let key = TestKey::ed25519(1);
    let set = |count: usize| json!({"keys": vec![key.jwk("k"); count]}).to_string();
    assert_eq!(KeySet::parse(set(100).as_bytes()).map(|keys| keys.len()), Ok(100));
    let mixed = json!({"keys": [key.jwk("k"), "not a key"]}).to_string();
    let hundred_thousand = format!("{{\"keys\":[{}{{}}]}}", "{},".repeat(99_999));
    for text in
        [set(101), mixed, hundred_thousand, "{}".to_owned(), r#"{"keys":{}}"#.to_owned(), "[]".to_owned(), " ".repeat(512 * 1024 + 1)]
    {
        assert_eq!(KeySet::parse(text.as_bytes()).map(|keys| keys.len()), Err(Reason::IssuerDocument));
    }
    let symmetric = json!({"keys": [{"kty": "oct", "k": "AAAA"}, {"kty": "X"}]}).to_string();
    assert!(KeySet::parse(symmetric.as_bytes()).is_ok_and(|keys| keys.is_empty()));
}
