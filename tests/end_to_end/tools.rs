//! What a tool must not run: stolen, replayed, moved, expired, foreign.

use narrows::{CallError, Held, Presentation, Reason, ToolClient, UnverifiedToken, arguments};
use narrows_tests::{
    holder::{authority, fresh, holder, mint},
    http::{client, get, send},
    issuer::{AUDIENCE, evidence, now},
    tool,
};
use narrows_verifier::{
    RootKey,
    biscuit::{AuthorityClaims, seal},
    log::verify_for_token,
    proof::{PossessionClaims, sign_possession},
    token_text,
};

use super::{capability, hop_to, trusting};

#[tokio::test]
async fn tools_refuse_stolen_replayed_and_foreign_tokens() {
    let (issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let seed = fresh();
    let planner = capability(&issuer, &provider, &keys, holder(&seed)).await;
    let tools = ToolClient::new(&tool::start(AUDIENCE, keys.roots.clone()).await).unwrap();
    let elsewhere = ToolClient::new(&tool::start("https://elsewhere.example", keys.roots.clone()).await).unwrap();
    let call = |tool: &str, text: &str| planner.prove(tool, &arguments(text).unwrap(), AUDIENCE, now());
    let refusal = async |tools: &ToolClient, call: &Presentation| match tools.call(call).await {
        Err(CallError::Refused(refusal)) => (refusal.status, refusal.known_reason().unwrap()),
        other => panic!("not refused: {other:?}"),
    };

    let good = call("crm.read", r#"{"customer":"c-1"}"#);
    tools.call(&good).await.unwrap();
    assert_eq!(refusal(&tools, &good).await, (401, Reason::ProofReplayed));

    let signed = |seed: &[u8; 32], time: u64, audience: &str| {
        let none = arguments("{}").unwrap().digest();
        let claims = PossessionClaims { block: planner.inspect().newest(), tool: "crm.read", args_digest: none, audience };
        Presentation { proof: sign_possession(&claims, time, &fresh(), seed), ..call("crm.read", "{}") }
    };
    let by_hand = |change: &dyn Fn(&mut AuthorityClaims), root: RootKey, root_seed: &[u8; 32]| {
        let mut claims = authority(issuer.url(), AUDIENCE, &holder(&seed), now() + 600);
        change(&mut claims);
        let bytes = mint(&claims, root, root_seed);
        let token = UnverifiedToken::from_bytes(&bytes).unwrap();
        let block = token.verify(&keys.roots).map_or(planner.inspect().newest(), |token| token.newest());
        let none = arguments("{}").unwrap().digest();
        let claims = PossessionClaims { block, tool: "crm.read", args_digest: none, audience: AUDIENCE };
        let proof = sign_possession(&claims, now(), &fresh(), &seed);
        Presentation { token: token_text(&seal(&bytes).unwrap()), proof, ..call("crm.read", "{}") }
    };
    let (root, own) = (keys.roots.keys()[0], issuer.stolen_seed());
    let expire = |claims: &mut AuthorityClaims| *claims = authority(issuer.url(), AUDIENCE, &holder(&seed), now() - 1);
    let cases = [
        ("a thief's proof", signed(&fresh(), now(), AUDIENCE), 401, Reason::ProofSignature),
        ("no proof", Presentation { proof: String::new(), ..call("crm.read", "{}") }, 401, Reason::ProofMissing),
        ("garbage for a proof", Presentation { proof: "x".into(), ..call("crm.read", "{}") }, 401, Reason::ProofMalformed),
        ("a stale proof", signed(&seed, now() - 120, AUDIENCE), 401, Reason::ProofTime),
        ("a proof for another tool server", signed(&seed, now(), "https://elsewhere.example"), 401, Reason::ProofMismatch),
        (
            "a proof for other arguments",
            Presentation { arguments: r#"{"a":1}"#.into(), ..call("crm.read", "{}") },
            401,
            Reason::ProofMismatch,
        ),
        ("a proof for another tool", Presentation { tool: "payments.send".into(), ..call("crm.read", "{}") }, 401, Reason::ProofMismatch),
        ("no token", Presentation { token: String::new(), ..call("crm.read", "{}") }, 401, Reason::TokenMissing),
        ("garbage for a token", Presentation { token: "AAAA".into(), ..call("crm.read", "{}") }, 401, Reason::TokenMalformed),
        (
            "arguments with two readings",
            Presentation { arguments: r#"{"a":1,"a":2}"#.into(), ..call("crm.read", "{}") },
            400,
            Reason::JsonDuplicateKey,
        ),
        ("an expired token", by_hand(&expire, root, &own), 401, Reason::Expired),
        ("a development token", by_hand(&|claims| claims.dev = true, root, &own), 401, Reason::DevToken),
        ("a foreign issuer's token under our number", by_hand(&|_| {}, root, &fresh()), 401, Reason::BadSignature),
        ("a foreign issuer's token", by_hand(&|_| {}, RootKey { id: root.id ^ 1, ..root }, &fresh()), 401, Reason::UnknownRoot),
        ("an amount above the ceiling", call("payments.send", r#"{"amount":501}"#), 403, Reason::ArgumentRefused),
        ("an amount that is a text", call("payments.send", r#"{"amount":"5"}"#), 403, Reason::ArgumentRefused),
        ("a tool that wants a permit", call("db.drop", "{}"), 403, Reason::PermitRequired),
        ("a tool that is not there", call("db.restore", "{}"), 404, Reason::UnknownTool),
    ];
    for (case, call, status, reason) in &cases {
        assert_eq!(refusal(&tools, call).await, (*status, *reason), "{case}");
    }
    let proved_there = planner.prove("crm.read", &arguments("{}").unwrap(), "https://elsewhere.example", now());
    assert_eq!(refusal(&elsewhere, &proved_there).await, (401, Reason::WrongAudience));
    // the control: made by hand in the same way, with nothing wrong
    tools.call(&by_hand(&|_| {}, root, &own)).await.unwrap();
}

#[tokio::test]
async fn a_tool_reads_neither_a_query_nor_a_second_token() {
    let (issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let planner = capability(&issuer, &provider, &keys, holder(&fresh())).await;
    let address = tool::start(AUDIENCE, keys.roots.clone()).await;
    let call = planner.prove("crm.read", &arguments("{}").unwrap(), AUDIENCE, now());
    let post = |path: &str| {
        let request = client().post(format!("{address}{path}")).body("{}");
        request.header("authorization", format!("Narrows {}", call.token)).header("narrows-proof", &call.proof)
    };
    assert_eq!(send(post("/tools/crm.read?customer=c-2")).await.reason(), "REQUEST_MALFORMED");
    assert_eq!(send(post("/tools/crm.read").header("authorization", "Narrows x")).await.reason(), "TOKEN_ENCODING");
    assert_eq!(send(post("/tools/crm.read").header("narrows-proof", "x")).await.reason(), "PROOF_MALFORMED");
    assert_eq!(get(&format!("{address}/tools/crm.read")).await.status, 405);
    assert_eq!(send(post("/tools/crm.read")).await.status, 200);
}

#[tokio::test]
async fn a_receipt_of_another_token_is_refused() {
    let (issuer, provider) = trusting("").await;
    let (sdk, keys) = issuer.sdk().await;
    let log = std::slice::from_ref(&keys.log);
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let seed = fresh();
        let answer = issuer.granted(&holder(&seed), &provider.login("alice")).await;
        let held = Held::new(answer["access_token"].as_str().unwrap(), holder(&seed), &keys.roots).ok().unwrap();
        tokens.push((held, evidence(&answer)));
    }
    let [(first, own), (_, other)] = tokens.as_slice() else { panic!() };
    let blocks = first.inspect().block_ids();
    verify_for_token(&own.0, &own.1, log, &blocks).unwrap();
    let refused = |(receipt, leaf): &(String, Vec<u8>), blocks: &[_]| verify_for_token(receipt, leaf, log, blocks).unwrap_err().reason;
    assert_eq!(refused(other, &blocks), Reason::ReceiptOtherToken);
    assert_eq!(refused(&(own.0.clone(), other.1.clone()), &blocks), Reason::InclusionProof);

    let narrowed = first.narrow(&hop_to(&holder(&fresh())), now()).unwrap();
    let hop = sdk.report(&first.report_hop(&narrowed, issuer.url(), now()), &keys).await.unwrap();
    let hop_blocks = [blocks.clone(), vec![narrowed.block]].concat();
    let hop = (hop.receipt, hop.leaf);
    verify_for_token(&hop.0, &hop.1, log, &hop_blocks).unwrap();
    assert_eq!(refused(own, &hop_blocks), Reason::ReceiptOtherToken, "a receipt of the parent");
    assert_eq!(refused(&hop, &blocks), Reason::ReceiptOtherToken, "a receipt of the child");

    // a leaf that records a refusal is no token's receipt, not even an empty one's
    issuer.token(&issuer.request(&holder(&fresh()), &provider.login("bob"))).await.refused_as(
        400,
        "invalid_request",
        "POLICY_DENIED",
        "bob",
    );
    let log_check = narrows_issuer::log::check_database(&issuer.database(), &keys.log, Default::default()).unwrap();
    assert_eq!(log_check.size, 6);
}
