//! Several thousand JWTs of every profile, some of them genuine: what a forger tries, and what a careless sender writes.
//!
//! The corpus is the same at each run but for the RSA and ECDSA keys, which the backend draws anew.

use aws_lc_rs::hmac;
use serde_json::{Map, Value, json};

use super::forge::{TestKey, bare_jwk, encode, signing_input, token, token_of_texts, with};
use super::world::{CLIENT, DOMAIN, ISSUER, NOW_S, OURS, Rules, URL, World};

/// One token, and what it is held to.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) rules: Rules,
}

/// The whole corpus.
pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for rules in Rules::ALL {
        let mut add = |name: String, token: String| {
            let name = name.chars().take(120).collect::<String>();
            cases.push(Case { name: format!("{rules:?}: {name}"), token, rules });
        };
        for algorithm in ["RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"] {
            add(format!("genuine {algorithm}"), world.good(rules, algorithm));
        }
        header_cases(world, rules, &mut add);
        claim_cases(world, rules, &mut add);
        form_cases(world, rules, &mut add);
        signature_cases(world, rules, &mut add);
        if rules.is_dpop() {
            proof_key_cases(world, rules, &mut add)
        } else {
            published_key_cases(world, rules, &mut add)
        }
        flipped_cases(world, rules, &mut add);
        scribbled_cases(world, rules, &mut add);
        for other in Rules::ALL {
            add(format!("passed as it is: {other:?}"), world.good(other, "ES256"));
        }
    }
    cases
}

type Add<'a> = &'a mut dyn FnMut(String, String);

fn header_cases(world: &World, rules: Rules, add: Add<'_>) {
    let (key, base) = (&world.p256, rules.header(world, "ES256"));
    let media_types = [
        "JWT",
        "jwt",
        "application/jwt",
        "APPLICATION/JWT",
        "JOSE",
        "at+jwt",
        "application/at+jwt",
        "AT+JWT",
        "dpop+jwt",
        "DPoP+JWT",
        "logout+jwt",
        "oauth-id-jag+jwt",
        "client-authentication+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "text/jwt",
        "jwt ",
        "application/application/jwt",
        "",
    ];
    let mut changes: Vec<Value> = media_types.into_iter().map(|name| json!({"typ": name})).collect();
    changes.extend(
        ["none", "None", "nOnE", "", "es256", "ES256K", "ES384", "ES512", "RS256", "EdDSA", "Ed25519", "Ed448", "HS256", "RSA-OAEP", "dir"]
            .map(|name| json!({"alg": name})),
    );
    changes.extend(
        ["other", "", "../../dev/null", "x' OR 1=1 --", "ec\u{0}", "EC", "oct", "no kty", "ed", "rsa", "twice"]
            .map(|name| json!({"kid": name})),
    );
    changes.extend([
        json!({"kid": null}),
        json!({"kid": 1}),
        json!({"kid": ["ec"]}),
        json!({"kid": "k".repeat(256)}),
        json!({"typ": null}),
        json!({"typ": 1}),
        json!({"typ": ["JWT"]}),
        json!({"alg": null}),
        json!({"alg": 7}),
        json!({"alg": ["ES256"]}),
        json!({"crit": []}),
        json!({"crit": ["x"], "x": 1}),
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": ["b64"], "b64": true}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"b64": true}),
        json!({"zip": "DEF"}),
        json!({"enc": "A256GCM"}),
        json!({"jku": "https://evil.example/keys"}),
        json!({"x5u": "https://evil.example/chain"}),
        json!({"x5c": ["AAAA"]}),
        json!({"x5t": "AAAA"}),
        json!({"cty": "JWT"}),
        json!({"jwk": "key"}),
        json!({"jwk": []}),
        json!({"unknown": {"deep": [1, 2, 3]}}),
    ]);
    if !rules.is_dpop() {
        changes.push(json!({"jwk": bare_jwk(key)}));
    }
    for change in changes {
        add(format!("header {change}"), token(key, &with(&base, change), &rules.claims()));
    }
    let good = base.to_string();
    let inner = good.trim_start_matches('{').trim_end_matches('}');
    for text in [
        format!("{{{inner},\"alg\":\"ES256\"}}"),
        format!("{{\"\\u0061lg\":\"none\",{inner}}}"),
        format!("{{{inner},\"__proto__\":{{\"alg\":\"none\"}}}}"),
        format!("[{good}]"),
        format!("{good}{good}"),
        format!(" {good}\n"),
        format!("\u{feff}{good}"),
        format!("{good},"),
        "null".to_owned(),
        "\"ES256\"".to_owned(),
        String::new(),
        "{}".to_owned(),
    ] {
        add(format!("header text {text}"), token_of_texts(key, "ES256", &text, &rules.claims().to_string()));
    }
}

fn claim_cases(world: &World, rules: Rules, add: Add<'_>) {
    let mut changes = Vec::new();
    let seconds = NOW_S as f64;
    let dates = [
        json!(0),
        json!(-1),
        json!(NOW_S.to_string()),
        json!(1e300),
        json!(u64::MAX),
        json!(true),
        json!({}),
        json!([NOW_S]),
        json!(seconds + 0.5),
        json!(seconds - 29.5),
        json!(seconds + 29.5),
        json!(seconds + 30.5),
        json!(seconds - 30.5),
        json!(NOW_S - 31),
        json!(NOW_S - 30),
        json!(NOW_S - 29),
        json!(NOW_S + 29),
        json!(NOW_S + 30),
        json!(NOW_S + 31),
        json!(NOW_S + 10),
        json!(NOW_S + 11),
        json!(seconds + 10.5),
        json!(NOW_S - 60),
        json!(NOW_S - 61),
        json!(seconds - 60.5),
        json!(NOW_S - 630),
        json!(NOW_S - 631),
        json!(NOW_S - 3_630),
        json!(NOW_S - 3_631),
        json!(seconds - 3_630.5),
        json!(NOW_S + 630),
        json!(NOW_S + 631),
        json!(NOW_S + 100_000_000),
    ];
    for name in ["exp", "iat", "nbf"] {
        changes.push(json!({name: null}));
        changes.extend(dates.iter().map(|date| json!({name: date})));
    }
    let names = |values: &[Value], name: &str| values.iter().map(|value| json!({name: value})).collect::<Vec<_>>();
    let issuers = [
        json!(null),
        json!(""),
        json!([ISSUER]),
        json!([]),
        json!(format!("{ISSUER}/")),
        json!("https://IDP.example"),
        json!("https://evil.example"),
        json!({"id": ISSUER}),
        json!(1),
        json!(DOMAIN),
        json!(CLIENT),
        json!(OURS),
    ];
    changes.extend(names(&issuers, "iss"));
    let audiences = [
        json!(null),
        json!(""),
        json!([]),
        json!("client-1 "),
        json!("client-9"),
        json!(["client-9", "client-2"]),
        json!(["client-1"]),
        json!([["client-1"]]),
        json!(["client-1", 1]),
        json!(["client-1", null]),
        json!({"client-1": true}),
        json!({"0": "client-1", "length": 1}),
        json!(OURS),
        json!([OURS]),
        json!([OURS, "client-1"]),
        json!(format!("{OURS}/")),
        json!(URL),
        json!(1),
        json!(true),
    ];
    changes.extend(names(&audiences, "aud"));
    let subjects = [
        json!(null),
        json!(""),
        json!("bob"),
        json!(7),
        json!(["alice"]),
        json!("a".repeat(255)),
        json!("a".repeat(256)),
        json!("a".repeat(8_000)),
        json!("alice\u{0}"),
        json!("alice\n"),
        json!("alice\u{202e}bob"),
        json!("\u{2066}alice"),
        json!("alice\u{feff}"),
        json!("älice"),
        json!("spiffe://example.org/other"),
        json!("spiffe://example.org"),
        json!("spiffe://example.org/"),
        json!("spiffe://example.org//a"),
        json!("spiffe://example.org/../a"),
        json!("spiffe://EXAMPLE.org/a"),
        json!("spiffe://evil.example/a"),
        json!("spiffe://example.org.evil.example/a"),
        json!("spiffe://example.org@evil.example/a"),
        json!("spiffe://example.org:1/a"),
        json!("https://example.org/a"),
        json!(CLIENT),
    ];
    changes.extend(names(&subjects, "sub"));
    let ids = [json!(null), json!(""), json!(7), json!("j".repeat(128)), json!("j".repeat(129)), json!("j".repeat(10_000)), json!(["one"])];
    changes.extend(names(&ids, "jti"));
    changes.extend(names(&[json!(null), json!(""), json!("agent-2"), json!([CLIENT]), json!(1)], "client_id"));
    changes.extend([
        json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        json!({"typ": "Bearer"}),
        json!({"typ": "ID"}),
        json!({"typ": "Logout"}),
        json!({"nonce": "n-1"}),
        json!({"nonce": 1}),
        json!({"nonce": "n-1", "iat": NOW_S - 7_200}),
        json!({"nonce": "n-1", "iat": NOW_S + 7_200}),
        json!({"at_hash": "x"}),
        json!({"act": {"sub": "agent"}}),
        json!({"scope": "a b"}),
        json!({"cnf": {"jkt": "x"}}),
    ]);
    let methods = [json!(null), json!("GET"), json!("post"), json!(["POST"]), json!("POST "), json!("")];
    changes.extend(names(&methods, "htm"));
    let addresses = [
        json!(null),
        json!("HTTPS://NARROWS.example/oauth/token"),
        json!("https://narrows.example:443/oauth/token"),
        json!(format!("{URL}?x=1")),
        json!(format!("{URL}#x")),
        json!("https://narrows.example/oauth/../oauth/token"),
        json!("https://narrows.example/oauth/%74oken"),
        json!("https://narrows.example/oauth/token/"),
        json!("https://narrows.example/oauth/Token"),
        json!("https://narrows.example/oauth%2Ftoken"),
        json!("http://narrows.example/oauth/token"),
        json!("https://narrows.example:8443/oauth/token"),
        json!("https://evil.example/oauth/token"),
        json!("https://narrows.example.evil.example/oauth/token"),
        json!("https://narrows.example@evil.example/oauth/token"),
        json!("https://user@narrows.example/oauth/token"),
        json!("https://narrows.example/oauth/revoke"),
        json!("https://narrows.example\\oauth\\token"),
        json!("/oauth/token"),
        json!(""),
        json!(" https://narrows.example/oauth/token"),
        json!("https:narrows.example/oauth/token"),
        json!([URL]),
    ];
    changes.extend(names(&addresses, "htu"));
    changes.extend(names(&[json!(null), json!(""), json!("AAAA"), json!(1)], "ath"));
    let (key, header, base) = (&world.p256, rules.header(world, "ES256"), rules.claims());
    for change in &changes {
        add(format!("claims {change}"), token(key, &header, &with(&base, change.clone())));
    }
    let good = base.to_string();
    let inner = good.trim_start_matches('{').trim_end_matches('}');
    for text in [
        format!("{{{inner},\"sub\":\"mallory\",\"sub\":\"alice\"}}"),
        format!("{{\"e\\u0078p\":1,{inner}}}"),
        format!("{{{inner},\"__proto__\":{{\"exp\":1}}}}"),
        format!("{{{inner},\"lone\":\"\\ud800\"}}"),
        format!("{{{inner},\"number\":1e999}}"),
        format!("{{{inner},\"number\":NaN}}"),
        format!("{{{inner},\"deep\":{}{}}}", "[".repeat(200), "]".repeat(200)),
        format!("\u{feff}{good}"),
        format!("[{good}]"),
        format!("{good}{good}"),
        format!("{good}\n"),
        "null".to_owned(),
        "\"text\"".to_owned(),
        "{}".to_owned(),
        String::new(),
    ] {
        add(format!("claims text {}", text.get(..60).unwrap_or(&text)), token_of_texts(key, "ES256", &header.to_string(), &text));
    }
}

fn form_cases(world: &World, rules: Rules, add: Add<'_>) {
    let good = world.good(rules, "ES256");
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = input.split_once('.').unwrap();
    // 64 bytes leave four unused bits in the last character: a second spelling of one signature.
    let mut other_spelling = good.clone();
    let last = other_spelling.pop().unwrap();
    other_spelling.push(char::from(u8::try_from(last).unwrap() + 1));
    let (early, late) = signature.split_at(20);
    for (name, token) in [
        ("empty", String::new()),
        ("no dots", header.to_owned()),
        ("two segments", input.to_owned()),
        ("four segments", format!("{good}.AA")),
        ("empty fourth segment", format!("{good}.")),
        ("five segments", format!("{good}.AA.AA")),
        ("leading dot", format!(".{good}")),
        ("padded signature", format!("{good}==")),
        ("padded header", format!("{header}==.{claims}.{signature}")),
        ("leading space", format!(" {good}")),
        ("trailing newline", format!("{good}\n")),
        ("inner newline", good.replacen('.', ".\n", 1)),
        ("inner tab", good.replacen('.', "\t.", 1)),
        ("newline in the signature", format!("{input}.{early}\n{late}")),
        ("standard alphabet", format!("{input}.+/+/")),
        ("unused bits set", other_spelling),
        ("signature stripped", format!("{input}.")),
        ("signature twice", format!("{input}.{signature}{signature}")),
        ("claims and header exchanged", format!("{claims}.{header}.{signature}")),
        ("unsecured", format!("{}.{claims}.", encode(r#"{"alg":"none"}"#))),
        ("unsecured with the signature kept", format!("{}.{claims}.{signature}", encode(r#"{"alg":"none"}"#))),
        ("json serialization", json!({"payload": claims, "protected": header, "signature": signature}).to_string()),
        ("17 KiB", format!("{input}.{}", "A".repeat(17 * 1024))),
        ("nested", token_of_texts(&world.p256, "ES256", &rules.header(world, "ES256").to_string(), &good)),
    ] {
        add(format!("form {name}"), token);
    }
}

fn signature_cases(world: &World, rules: Rules, add: Add<'_>) {
    for algorithm in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let (key, _) = world.signer(algorithm);
        let input = signing_input(&rules.header(world, algorithm).to_string(), &rules.claims().to_string());
        let genuine = key.sign(algorithm, input.as_bytes());
        let half = genuine.len() / 2;
        let mut negated = genuine.clone();
        negated.reverse();
        for (name, signature) in [
            ("zero", vec![0; genuine.len()]),
            ("zero first half", [vec![0; half], genuine[half..].to_vec()].concat()),
            ("zero second half", [genuine[..half].to_vec(), vec![0; half]].concat()),
            ("all ones", vec![0xff; genuine.len()]),
            ("second half all ones", [genuine[..half].to_vec(), vec![0xff; half]].concat()),
            ("reversed", negated),
            ("halves exchanged", [genuine[half..].to_vec(), genuine[..half].to_vec()].concat()),
            ("cut", genuine[..genuine.len() - 1].to_vec()),
            ("longer by a zero", [genuine.as_slice(), &[0]].concat()),
            ("longer by a leading zero", [&[0], genuine.as_slice()].concat()),
            ("of one byte", vec![1]),
            ("over other content", key.sign(algorithm, b"other")),
            ("of another padding", key.sign(if algorithm == "PS256" { "RS256" } else { "PS256" }, input.as_bytes())),
            (
                "of another kind of key",
                world.signer(if algorithm == "EdDSA" { "ES256" } else { "EdDSA" }).0.sign("EdDSA", input.as_bytes()),
            ),
        ] {
            add(format!("{algorithm} signature {name}"), format!("{input}.{}", encode(signature)));
        }
        for (name, secret) in [("jwk", key.jwk("").to_string().into_bytes()), ("empty", Vec::new()), ("sevens", vec![7; 32])] {
            let input =
                signing_input(&with(&rules.header(world, algorithm), json!({"alg": "HS256"})).to_string(), &rules.claims().to_string());
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input.as_bytes());
            add(format!("HS256 over {algorithm} key, {name}"), format!("{input}.{}", encode(tag)));
        }
    }
}

fn published_key_cases(world: &World, rules: Rules, add: Add<'_>) {
    let set = if rules == Rules::Svid { &world.bundle } else { &world.published };
    let ids: Vec<&str> = set["keys"].as_array().unwrap().iter().filter_map(|key| key["kid"].as_str()).collect();
    for algorithm in ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"] {
        for key_id in &ids {
            let header = with(&rules.header(world, algorithm), json!({"kid": key_id}));
            add(format!("{algorithm} with key `{key_id}`"), token(world.signer(algorithm).0, &header, &rules.claims()));
        }
    }
    // Under the identity point this signature holds for every message.
    let header = with(&rules.header(world, "EdDSA"), json!({"kid": "small-order"}));
    let mut universal = vec![0; 64];
    universal[0] = 1;
    let input = signing_input(&header.to_string(), &rules.claims().to_string());
    add("signature for every message".to_owned(), format!("{input}.{}", encode(universal)));
}

fn proof_key_cases(world: &World, rules: Rules, add: Add<'_>) {
    let mut identity = [0; 32];
    identity[0] = 1;
    for algorithm in ["ES256", "EdDSA", "Ed25519"] {
        let (key, _) = world.signer(algorithm);
        let (jwk, header) = (bare_jwk(key), rules.header(world, algorithm));
        let mut changes =
            vec![json!({"use": "sig"}), json!({"use": "enc"}), json!({"use": 1}), json!({"kid": "mine"}), json!({"x5t": "AAAA"})];
        changes.extend(["ES256", "EdDSA", "Ed25519", "RS256", "HS256", ""].map(|name| json!({"alg": name})));
        changes.extend([
            json!({"alg": 7}),
            json!({"ext": true}),
            json!({"ext": "true"}),
            json!({"key_ops": ["verify"]}),
            json!({"key_ops": ["sign"]}),
        ]);
        changes.extend([json!({"key_ops": ["verify", "verify"]}), json!({"key_ops": ["sign", "verify"]}), json!({"key_ops": "verify"})]);
        changes.extend(["d", "p", "q", "dp", "dq", "qi", "oth", "k"].map(|name| json!({name: encode([7; 32])})));
        changes.extend([json!({"kty": null}), json!({"kty": "oct"}), json!({"kty": "RSA"}), json!({"kty": "EC"}), json!({"kty": "OKP"})]);
        changes.extend(["P-256", "P-384", "P-521", "secp256k1", "Ed25519", "Ed448", "X25519"].map(|name| json!({"crv": name})));
        changes.extend([
            json!({"crv": null}),
            json!({"x": null}),
            json!({"y": null}),
            json!({"x": ""}),
            json!({"x": 1}),
            json!({"y": encode([1; 32])}),
        ]);
        changes.extend([encode([1; 31]), encode([1; 33]), encode([0; 32]), encode([0xff; 32]), encode(identity)].map(|x| json!({"x": x})));
        changes.push(json!({"x": format!("{}=", jwk["x"].as_str().unwrap())}));
        for change in changes {
            let header = with(&header, json!({"jwk": with(&jwk, change.clone())}));
            add(format!("{algorithm} proof key {change}"), token(key, &header, &rules.claims()));
        }
    }
    for (name, jwk) in [
        ("rsa 2048", bare_jwk(&world.rsa)),
        ("rsa 512", json!({"kty": "RSA", "n": encode([0xff; 64]), "e": "AQAB"})),
        ("rsa e 1", with(&bare_jwk(&world.rsa), json!({"e": "AQ"}))),
        ("symmetric", json!({"kty": "oct", "k": encode([7; 32])})),
        ("p-256 at infinity", json!({"kty": "EC", "crv": "P-256", "x": encode([0; 32]), "y": encode([0; 32])})),
    ] {
        for algorithm in ["RS256", "ES256", "HS256"] {
            let header = with(&rules.header(world, "ES256"), json!({"alg": algorithm, "jwk": jwk}));
            add(format!("proof key {name}, {algorithm}"), token(&world.rsa, &header, &rules.claims()));
        }
    }
    let header = json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode(identity)}});
    let mut universal = vec![0; 64];
    universal[0] = 1;
    let input = signing_input(&header.to_string(), &rules.claims().to_string());
    add("signature for every message".to_owned(), format!("{input}.{}", encode(universal)));
    add("two keys, the thief's signs".to_owned(), token(&TestKey::p256(), &rules.header(world, "ES256"), &rules.claims()));
}

/// One character exchanged for another one of the alphabet, at places spread over the whole token.
fn flipped_cases(world: &World, rules: Rules, add: Add<'_>) {
    for algorithm in ["ES256", "EdDSA"] {
        let good = world.good(rules, algorithm);
        for step in 0..32 {
            let place = step * good.len() / 32;
            let mut bytes = good.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            add(format!("{algorithm} with character {place} changed"), String::from_utf8(bytes).unwrap());
        }
    }
}

/// Truly signed, with characters of header or claims replaced, left out or put in: what only a parser can refuse.
fn scribbled_cases(world: &World, rules: Rules, add: Add<'_>) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let pieces =
        ["\"", "\\", "{", "}", "[", "]", ",", ":", " ", "\t", "0", "-", ".5", "e9", "null", "\u{0}", "\u{feff}", "é", "\\u0000", "//"];
    for number in 0..60 {
        let mut texts = [rules.header(world, "ES256").to_string(), rules.claims().to_string()];
        let text = &mut texts[random(2)];
        for _ in 0..=random(2) {
            let place = random(text.len());
            if !text.is_char_boundary(place) || !text.is_char_boundary(place + 1) {
                continue;
            }
            let end = if random(2) == 0 { place } else { place + 1 };
            let piece = if random(4) == 0 { "" } else { pieces[random(pieces.len())] };
            text.replace_range(place..end, piece);
        }
        add(format!("scribbled over {number}"), token_of_texts(&world.p256, "ES256", &texts[0], &texts[1]));
    }
}

/// The questions for npm `jose`, one a line behind the key sets.
pub(crate) fn questions(world: &World, cases: &[Case]) -> String {
    // What makes a key one for JWT-SVIDs is no concept of `jose`: the keys that count are published as any other.
    let svid_keys: Vec<Value> = world.bundle["keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["use"] == "jwt-svid")
        .map(|key| with(key, json!({"use": "sig"})))
        .collect();
    let mut lines = json!({"sets": {"published": world.published, "bundle": {"keys": svid_keys}}}).to_string();
    for case in cases {
        let mut question: Map<String, Value> = case.rules.options(&world.audiences).as_object().unwrap().clone();
        question.insert("token".to_owned(), Value::from(case.token.as_str()));
        lines.push('\n');
        lines.push_str(&Value::Object(question).to_string());
    }
    lines.push('\n');
    lines
}
