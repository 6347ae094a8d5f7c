use super::*;
use crate::{BlockId, key::public_key};

const SEED: [u8; 32] = [7; 32];
const NOW: u64 = 1_795_000_000;

fn possession() -> PossessionClaims<'static> {
    PossessionClaims { block: BlockId([1; 32]), tool: "crm.read", args_digest: [2; 32], audience: "https://crm.example" }
}

#[test]
fn a_proof_of_possession_is_bound_to_the_whole_call() {
    let text = sign_possession(&possession(), NOW, &[3; 16], &SEED);
    let holder = public_key(&SEED);
    assert!(check_possession(&text, &possession(), &holder, NOW).is_ok());
    let others = [
        PossessionClaims { block: BlockId([9; 32]), ..possession() },
        PossessionClaims { tool: "crm.write", ..possession() },
        PossessionClaims { args_digest: [9; 32], ..possession() },
        PossessionClaims { audience: "https://other.example", ..possession() },
    ];
    for other in others {
        assert_eq!(check_possession(&text, &other, &holder, NOW), Err(Reason::ProofMismatch));
    }
    assert_eq!(check_possession(&text, &possession(), &public_key(&[8; 32]), NOW), Err(Reason::ProofSignature));
}

#[test]
fn consent_to_a_narrower_token_is_bound_to_the_whole_request() {
    let asked = |value| narrow_request_digest([("scope", "read"), ("resource", value), ("resource", "b"), ("req_cnf", "x")]);
    let claims = || NarrowClaims {
        issuer: "https://issuer.example",
        client: "planner-app",
        block: BlockId([1; 32]),
        new_holder: [2; 32],
        request_digest: asked("a"),
    };
    let text = sign_narrow(&claims(), NOW, &[3; 16], &SEED);
    let holder = public_key(&SEED);
    assert!(check_narrow(&text, &claims(), &holder, NOW).is_ok());
    let others = [
        NarrowClaims { issuer: "https://other.example", ..claims() },
        NarrowClaims { client: "other-app", ..claims() },
        NarrowClaims { block: BlockId([9; 32]), ..claims() },
        NarrowClaims { new_holder: [9; 32], ..claims() },
        NarrowClaims { request_digest: asked("c"), ..claims() },
    ];
    for other in others {
        assert_eq!(check_narrow(&text, &other, &holder, NOW), Err(Reason::ProofMismatch));
    }
    assert_eq!(check_narrow(&text, &claims(), &public_key(&[8; 32]), NOW), Err(Reason::ProofSignature));
    assert_eq!(check_narrow(&text, &claims(), &holder, NOW + 61), Err(Reason::ProofTime));
}

#[test]
fn the_digest_of_a_request_covers_what_is_asked_and_nothing_else() {
    let digest = |parameters: &[(&'static str, &'static str)]| narrow_request_digest(parameters.iter().copied());
    let plain = digest(&[("scope", "a"), ("audience", "b")]);
    assert_eq!(digest(&[("audience", "b"), ("client_id", "x"), ("new", "y"), ("scope", ""), ("scope", "a")]), plain);
    for (name, value) in [("scope", "b"), ("audience", "c"), ("resource", "b"), ("expires_in", "1"), ("actor_token", "x")] {
        assert_ne!(digest(&[("scope", "a"), ("audience", "b"), (name, value)]), plain, "{name}");
    }
    assert_ne!(digest(&[("audience", "a"), ("audience", "b")]), digest(&[("audience", "b"), ("audience", "a")]));
}

#[test]
fn a_proof_outside_its_window_is_refused() {
    let text = sign_possession(&possession(), NOW, &[3; 16], &SEED);
    let holder = public_key(&SEED);
    for (now, fresh) in [(NOW + 60, true), (NOW + 61, false), (NOW - 10, true), (NOW - 11, false)] {
        assert_eq!(check_possession(&text, &possession(), &holder, now).is_ok(), fresh, "{now}");
    }
}

#[test]
fn kinds_of_proofs_do_not_pass_for_each_other() {
    let report = ReportClaims { issuer: "https://issuer.example", block: BlockId([1; 32]) };
    let text = sign_report(&report, NOW, &[3; 16], &SEED);
    let holder = public_key(&SEED);
    assert!(check_report(&text, &report, [&public_key(&[8; 32]), &holder], NOW).is_ok());
    assert!(check_possession(&text, &possession(), &holder, NOW).is_err());
    // same members, another tag
    let value = open(report_tag(), &text).map(|proof| proof.value).ok();
    let forged = seal("narrows/possession/1", &value.unwrap_or(Value::Null), &SEED);
    assert_eq!(check_report(&forged, &report, [&holder, &holder], NOW), Err(Reason::ProofSignature));
}

fn report_tag() -> &'static str {
    "narrows/report/1"
}

#[test]
fn malformed_proofs_are_refused_with_a_reason() {
    let holder = public_key(&SEED);
    let extra = seal("narrows/possession/1", &Value::object([("args", Value::Null), ("extra", Value::Null)]), &SEED);
    let spaced = format!("{}.{}", URL_SAFE_NO_PAD.encode("{ }"), URL_SAFE_NO_PAD.encode([0; 64]));
    let table = [
        ("", Reason::ProofMalformed),
        ("a", Reason::ProofMalformed),
        ("!.!", Reason::ProofMalformed),
        ("e30.e30", Reason::ProofMalformed),
        (spaced.as_str(), Reason::JsonNotCanonical),
        (extra.as_str(), Reason::ProofMalformed),
    ];
    for (text, reason) in table {
        assert_eq!(check_possession(text, &possession(), &holder, NOW), Err(reason), "{text}");
    }
    assert_eq!(check_possession(&"a".repeat(10_000), &possession(), &holder, NOW), Err(Reason::ProofMalformed));
}

#[test]
fn no_proof_can_be_read_as_a_hop_signature() {
    for tag in ["narrows/possession/1", "narrows/holder/1", "narrows/report/1", "narrows/narrow/1"] {
        assert_ne!(message(tag, b"{}").first(), Some(&0));
    }
}

#[test]
fn the_replay_cache_accepts_once_and_fails_closed_when_full() {
    let once = |key| Once { key: [key; 32], forget_after: NOW + 60 };
    let mut cache = ReplayCache::new(2);
    assert_eq!(cache.accept(once(1), NOW), Ok(()));
    assert_eq!(cache.accept(once(1), NOW), Err(Reason::ProofReplayed));
    assert_eq!(cache.accept(once(2), NOW), Ok(()));
    assert_eq!(cache.accept(once(3), NOW), Err(Reason::ReplayCacheFull));
    assert_eq!(cache.accept(once(1), NOW + 60), Err(Reason::ProofReplayed));
    let later = Once { key: [3; 32], forget_after: NOW + 120 };
    assert_eq!(cache.accept(later, NOW + 61), Ok(()));
    // proof 1 has been forgotten by now; a clock that steps back must not make it good again
    assert_eq!(cache.accept(once(1), NOW), Err(Reason::ProofTime));
}
