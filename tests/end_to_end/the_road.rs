//! The whole road: from a person's login at a real provider to a verified tool call, and the proof of it.

use ed25519_dalek::SigningKey;
use narrows::{
    ACCESS_TOKEN, CallError, ClientAuthentication, ExchangeAnswer, ExchangeRequest, Held, HolderKey, ID_TOKEN, NarrowRequest, Reason,
    ToolClient, UnverifiedToken, arguments, caveat::Tools, caveats,
};
use narrows_tests::{
    forged::{jwk, jwt},
    holder::fresh,
    issuer::{AUDIENCE, CLIENT, Issuer, PACK, now},
    provider::Provider,
    tool,
};
use narrows_verifier::{
    Caveat,
    log::{Leaf, verify_for_token},
};
use serde_json::json;

#[tokio::test]
async fn a_login_becomes_a_tool_call_and_the_log_proves_it() {
    let mut issuer = Issuer::init();
    let provider = Provider::start_for(&[issuer.url()]);
    let batch = SigningKey::from_bytes(&fresh());
    issuer.configure(&trust(&issuer, &provider, &batch), PACK);
    issuer.start().await;
    let (client, keys) = issuer.sdk().await;
    let address = tool::start(AUDIENCE, keys.roots.clone()).await;
    let tools = ToolClient::new(&address).unwrap();

    let basic = || ClientAuthentication::SecretBasic { client: CLIENT, secret: issuer.secret() };
    let mut recorded = Vec::new();
    for (subject_token, subject_token_type, signed) in [
        (provider.login("alice", "alice-password", "agents").await.unwrap(), ID_TOKEN, false),
        (provider.login("alice", "alice-password", "agents-rs256").await.unwrap(), ID_TOKEN, true),
        (provider.login("alice", "alice-password", "agents-es256").await.unwrap(), ID_TOKEN, false),
        (provider.access_token("alice", issuer.url()).await.unwrap(), ACCESS_TOKEN, true),
        (provider.access_token("alice", issuer.url()).await.unwrap(), ACCESS_TOKEN, false),
    ] {
        let planner = HolderKey::generate();
        let assertion = assertion(&batch, &issuer);
        let request = ExchangeRequest {
            subject_token: &subject_token,
            subject_token_type,
            client: if signed { ClientAuthentication::PrivateKeyJwt { client: "batch", assertion: &assertion } } else { basic() },
            holder: &planner,
            audience: AUDIENCE,
            tools: Tools { names: ["crm.read", "payments.send"].map(str::to_owned).into(), ..Tools::default() },
            caveats: caveats(r#"[{"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"min":1,"max":300}}}]"#).unwrap(),
            agent: "planner",
            expires_in: Some(600),
        };
        let granted = client.exchange(&request, &keys, now()).await.unwrap();
        check_receipt(&granted, &keys);

        let planner = Held::new(&granted.access_token, planner, &keys.roots).ok().unwrap();
        let executor = HolderKey::generate();
        let hop = NarrowRequest {
            holder: executor.public(),
            agent: "executor".into(),
            caveats: [
                caveats(
                    r#"[{"kind":"tools","allow":["payments.send"]},
                        {"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"max":50}}}]"#,
                )
                .unwrap(),
                vec![Caveat::Expires(now() + 300)],
            ]
            .concat(),
        };
        let narrowed = planner.narrow(&hop, now()).unwrap();
        let reported = client.report(&planner.report_hop(&narrowed, issuer.url(), now()), &keys).await.unwrap();
        let executor = Held::new(&narrowed.token, executor, &keys.roots).ok().unwrap();
        let again = client.report(&executor.report(issuer.url(), now()), &keys).await.unwrap();
        assert_eq!((&reported.entry, &reported.leaf), (&again.entry, &again.leaf), "the second report is the first one's leaf");
        let leaf = Leaf::parse(&reported.leaf).unwrap();
        assert_eq!(leaf.blocks, executor.inspect().block_ids());
        assert_eq!(leaf.parents, [planner.inspect().newest()]);

        let call = |held: &Held, tool: &str, text: &str| held.prove(tool, &arguments(text).unwrap(), AUDIENCE, now());
        let allowed = tools.call(&call(&executor, "payments.send", r#"{"amount":40}"#)).await.unwrap();
        assert_eq!(allowed, json!({ "tool": "payments.send", "arguments": r#"{"amount":40}"#, "agents": ["planner", "executor"] }));
        let Err(CallError::Refused(wider)) = tools.call(&call(&executor, "payments.send", r#"{"amount":80}"#)).await else { panic!() };
        assert_eq!((wider.status, wider.known_reason()), (403, Some(Reason::ArgumentRefused)));
        assert_eq!((wider.block, wider.added_by.as_deref()), (Some(1), Some("planner")));
        let Err(CallError::Refused(other)) = tools.call(&call(&executor, "crm.read", "{}")).await else { panic!() };
        assert_eq!((other.known_reason(), other.block), (Some(Reason::ToolNotGranted), Some(1)));
        tools.call(&call(&planner, "crm.read", "{}")).await.unwrap();
        recorded.push((granted, reported));
    }

    let mut answers = Vec::new();
    for (number, (granted, reported)) in recorded.iter().enumerate() {
        for (kind, recorded) in [("mint", &granted.recorded), ("hop", reported)] {
            let answer = json!({ "leaf": base64(&recorded.leaf), "receipt": recorded.receipt });
            answers.push(issuer.keep(&format!("{kind}-{number}.json"), answer.to_string()));
        }
    }
    let files: Vec<_> = answers.iter().flat_map(|file| ["--answer", file.to_str().unwrap()]).collect();
    let told = issuer.audit(&files).succeeded();
    assert!(told.contains("receipts     10 of 10"), "{told}");
    assert!(told.contains("leaves       12,"), "{told}");
    for name in ["alice", "planner", "executor"] {
        assert!(told.matches(name).count() >= 5, "`{name}` is not in each of the five trees: {told}");
    }
}

fn check_receipt(granted: &ExchangeAnswer, keys: &narrows::IssuerKeys) {
    let token = UnverifiedToken::from_text(&granted.access_token).unwrap().verify(&keys.roots).unwrap();
    let log = std::slice::from_ref(&keys.log);
    verify_for_token(&granted.recorded.receipt, &granted.recorded.leaf, log, &token.block_ids()).unwrap();
    assert_eq!(Leaf::parse(&granted.recorded.leaf).unwrap().blocks, token.block_ids());
}

fn trust(issuer: &Issuer, provider: &Provider, batch: &SigningKey) -> String {
    format!(
        "[[trusted_issuer]]\nissuer = \"{provider}\"\naudiences = [\"agents\", \"agents-rs256\", \"agents-es256\", \"{ours}\"]\n\
         token_types = [\"id_token\", \"access_token\"]\nallow_loopback_http = true\n\
         [[client]]\nid = \"batch\"\nauth_method = \"private_key_jwt\"\njwks = '{{\"keys\":[{key}]}}'\n",
        provider = provider.issuer(),
        ours = issuer.url(),
        key = jwk(batch, "batch-1"),
    )
}

fn assertion(key: &SigningKey, issuer: &Issuer) -> String {
    let jwt_id = u128::from_be_bytes(fresh()).to_string();
    let claims = json!({ "iss": "batch", "sub": "batch", "aud": issuer.url(), "jti": jwt_id, "iat": now(), "exp": now() + 60 });
    jwt(key, &json!({ "alg": "EdDSA", "kid": "batch-1", "typ": "JWT" }), &claims)
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}
