//! Hops that the log must not take, each with its reason, and the ones that it takes once.

use biscuit_auth::{KeyPair, PrivateKey, UnverifiedBiscuit, builder};
use narrows::{Caveat, EntryId, Held, HolderKey, Reason, UnverifiedToken};
use narrows_tests::{
    holder::{authority, fresh, holder, hop, mint},
    http::{client, get, send},
    issuer::{AUDIENCE, now},
};
use narrows_verifier::{
    RootKey,
    biscuit::{HopClaims, append_plain, seal},
    proof::{ReportClaims, sign_report},
    token_bytes, token_text,
};
use serde_json::json;

use super::{capability, hop_to, trusting};

#[tokio::test]
async fn bad_reports_are_refused_with_their_reason() {
    let (issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let seed = fresh();
    let answer = issuer.granted(&holder(&seed), &provider.login("alice")).await;
    let open = token_bytes(answer["access_token"].as_str().unwrap()).unwrap();
    let entry = answer["narrows"]["entry"].as_str().unwrap();
    let executor = HolderKey::generate();
    let claims = |entry, caveats| HopClaims { holder: executor.public(), agent: "executor".into(), entry, caveats };
    let plain = || claims(EntryId(fresh()), Vec::new());
    let root = keys.roots.keys()[0];
    let expires = UnverifiedToken::from_bytes(&open).unwrap().verify(&keys.roots).unwrap().expires;
    let minted = |claims: &_, root: RootKey, root_seed: &[u8; 32]| hop(&mint(claims, root, root_seed), &seed, &plain());
    let fresh_authority = || authority(issuer.url(), AUDIENCE, &holder(&seed), now() + 600);
    let newest = |bytes: &[u8]| UnverifiedToken::from_bytes(bytes).unwrap().verify(&keys.roots).unwrap().newest();
    let prove = |issuer: &str, block, time, seed: &[u8; 32]| sign_report(&ReportClaims { issuer, block }, time, &fresh(), seed);
    let by_planner = |bytes: &[u8]| prove(issuer.url(), newest(bytes), now(), &seed);

    let child = hop(&open, &seed, &plain());
    let other = hop(&open, &seed, &plain());
    let before = issuer.log_size().await;
    let proved = |case, bytes: Vec<u8>, reason| (case, by_planner(&bytes), bytes, reason);
    let with = |case, proof, reason| (case, proof, child.clone(), reason);
    // refused before anybody looks at the proof
    let early = |case, bytes, reason| (case, String::new(), bytes, reason);
    let hopped = |entry, caveats| hop(&open, &seed, &claims(entry, caveats));
    let cases = [
        proved("a mint", open.clone(), Reason::NotAHop),
        proved("a plain block", append_plain(&open, &[Caveat::Depth(1)], &fresh()).unwrap(), Reason::NotAHop),
        with("a thief's proof", prove(issuer.url(), newest(&child), now(), &fresh()), Reason::ProofSignature),
        with("a proof for another issuer", prove("https://other.example", newest(&child), now(), &seed), Reason::ProofMismatch),
        with("a proof for another hop", by_planner(&other), Reason::ProofMismatch),
        with("a stale proof", prove(issuer.url(), newest(&child), now() - 120, &seed), Reason::ProofTime),
        with("no proof", String::new(), Reason::ProofMalformed),
        early("a foreign issuer under our number", minted(&fresh_authority(), root, &fresh()), Reason::BadSignature),
        early(
            "a foreign issuer under its own number",
            minted(&fresh_authority(), RootKey { id: root.id ^ 1, ..root }, &fresh()),
            Reason::UnknownRoot,
        ),
        early("a hop by a thief", hop(&open, &fresh(), &plain()), Reason::HopSigner),
        early("a skipped index", skipping(&open, &seed, &executor), Reason::HopIndex),
        early("a hop that outlives its parent", hopped(EntryId(fresh()), vec![Caveat::Expires(expires + 1)]), Reason::HopOutlivesParent),
        proved("an expired hop", hopped(EntryId(fresh()), vec![Caveat::Expires(now() - 1)]), Reason::Expired),
        proved("an unknown task", minted(&fresh_authority(), root, &issuer.stolen_seed()), Reason::TaskUnknown),
        proved("an entry id that is taken", hopped(EntryId::from_hex(entry).unwrap(), Vec::new()), Reason::EntryExists),
    ];
    for (case, proof, bytes, reason) in cases {
        issuer.report(&token_text(&seal(&bytes).unwrap()), &proof).await.refused(400, reason.code(), case);
    }
    issuer.report(&token_text(&child), &by_planner(&child)).await.refused(400, "TOKEN_NOT_SEALED", "an open token");
    issuer.report(&token_text(b"garbage"), "x").await.refused(400, "TOKEN_MALFORMED", "garbage");
    issuer.report("not base64!", "x").await.refused(400, "TOKEN_ENCODING", "no base64url");
    issuer.report(&"A".repeat(30_000), "x").await.refused(400, "TOKEN_TOO_LARGE", "30 kB");
    let post = |body: String| client().post(issuer.at("/v1/derivations")).header("content-type", "application/json").body(body);
    let more = json!({ "token": "x", "proof": "x", "more": 1 }).to_string();
    send(post(more)).await.refused(400, "JSON_MALFORMED", "an unknown member");
    send(post("{}".into())).await.refused(400, "JSON_MALFORMED", "no member");
    send(post("{}".into()).header("content-encoding", "gzip")).await.refused(415, "CONTENT_ENCODING", "gzip");
    send(client().post(issuer.at("/v1/derivations")).body("{}")).await.refused(415, "CONTENT_TYPE", "no type");
    get(&issuer.at("/v1/derivations")).await.refused(405, "METHOD_NOT_ALLOWED", "GET");
    assert_eq!(issuer.log_size().await, before, "a refused report leaves nothing in the log");

    // the same hop under a proof by the delegator, and again under the very same proof
    let (sealed, proof) = (seal(&child).unwrap(), by_planner(&child));
    let first = issuer.report(&token_text(&sealed), &proof).await.granted();
    let again = issuer.report(&token_text(&sealed), &proof).await.granted();
    assert_eq!((&first["entry"], &first["leaf"]), (&again["entry"], &again["leaf"]));
    assert_eq!(issuer.log_size().await, before + 1);
    issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_task_has_a_quota_of_reported_hops() {
    let (issuer, provider) = trusting("[limits]\nmax_hops_per_task = 2\n").await;
    let (sdk, keys) = issuer.sdk().await;
    let planner = capability(&issuer, &provider, &keys, HolderKey::generate()).await;
    let mut reports = Vec::new();
    for expected in [None, None, Some(Reason::TaskQuota)] {
        let narrowed = planner.narrow(&hop_to(&HolderKey::generate()), now()).unwrap();
        let report = planner.report_hop(&narrowed, issuer.url(), now());
        let refused = sdk.report(&report, &keys).await.err().map(|error| error.reason().unwrap());
        assert_eq!(refused, expected);
        reports.push(report);
    }
    sdk.report(&reports[0], &keys).await.expect("a hop that is logged is answered after the quota too");
    let other = capability(&issuer, &provider, &keys, HolderKey::generate()).await;
    let narrowed = other.narrow(&hop_to(&HolderKey::generate()), now()).unwrap();
    sdk.report(&other.report_hop(&narrowed, issuer.url(), now()), &keys).await.expect("another task has a quota of its own");
}

#[tokio::test]
async fn a_holder_has_a_rate_of_reports_over_all_its_tasks() {
    let (issuer, provider) = trusting("[limits]\nmax_reports_per_minute = 1\n").await;
    let (sdk, keys) = issuer.sdk().await;
    let planner = capability(&issuer, &provider, &keys, HolderKey::generate()).await;
    let report = |held: &Held| {
        let narrowed = held.narrow(&hop_to(&HolderKey::generate()), now()).unwrap();
        held.report_hop(&narrowed, issuer.url(), now())
    };
    sdk.report(&report(&planner), &keys).await.expect("within the rate");
    let refused = sdk.report(&report(&planner), &keys).await.err().and_then(|error| error.reason());
    assert_eq!(refused, Some(Reason::ReportRate));
    let other = capability(&issuer, &provider, &keys, HolderKey::generate()).await;
    sdk.report(&report(&other), &keys).await.expect("another holder has a rate of its own");
}

/// A hop with index 2 where 1 is next.
fn skipping(parent: &[u8], seed: &[u8; 32], to: &HolderKey) -> Vec<u8> {
    let terms = [builder::int(2), builder::bytes(to.public().as_bytes()), builder::string("executor"), builder::bytes(&fresh::<16>())];
    let block = builder::BlockBuilder::new().fact(builder::fact("hop", &terms)).unwrap();
    let token = UnverifiedBiscuit::from(parent).unwrap();
    let key = PrivateKey::from_bytes(seed, builder::Algorithm::Ed25519).unwrap();
    let signed = token.third_party_request().unwrap().create_block(&key, block).unwrap().serialize().unwrap();
    token.append_third_party_with_keypair(&signed, KeyPair::new()).unwrap().to_vec().unwrap()
}
