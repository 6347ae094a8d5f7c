//! What is good for one use is good for one, however many come at once.

use std::sync::Arc;

use serde_json::json;

use super::desk::{Desk, Dpop, Form};

/// Fifty copies at once: how many were granted, and what the others were told.
async fn race(desk: &Arc<Desk>, form: &Form) -> (usize, Vec<(String, String)>) {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (desk, form) = (Arc::clone(desk), form.clone());
            tokio::spawn(async move { desk.send(&form).await })
        })
        .collect();
    let (mut granted, mut refusals) = (0, Vec::new());
    for task in tasks {
        let answer = task.await.unwrap();
        let text = |member: &str| answer.json()[member].as_str().unwrap_or_default().to_owned();
        match answer.status {
            200 => granted += 1,
            _ => refusals.push((text("error"), text("reason"))),
        }
    }
    refusals.sort();
    refusals.dedup();
    (granted, refusals)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_copies_one_is_granted() {
    let desk = Arc::new(Desk::open());
    let login = desk.login("alice");
    let assertion = desk.assertion(json!({}), json!({}));
    let signed = || {
        let form = desk.exchange_of(&login, 11).anonymous().with("client_assertion", &assertion);
        form.with("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    };
    let id_jag = desk.id_jag(json!({}));
    let key = Dpop::ed25519(9);
    let own = desk.send(&desk.exchange(11)).await.token();
    for (case, form, error, reason) in [
        ("a holder's proof", desk.exchange(11), "invalid_request", "PROOF_REPLAYED"),
        ("a DPoP proof", desk.exchange(11).unbound().dpop(key.proof(&desk)), "invalid_dpop_proof", "DPOP_REPLAYED"),
        ("a client's assertion", signed().unbound().dpop(key.proof(&desk)), "invalid_dpop_proof", "DPOP_REPLAYED"),
        ("an identity assertion", desk.jwt_bearer(&id_jag, 11), "invalid_grant", "SUBJECT_REPLAYED"),
        ("consent to a narrower token", desk.narrowing(&own, 11, 13, &[]), "invalid_request", "PROOF_REPLAYED"),
    ] {
        let before = desk.leaves();
        assert_eq!(race(&desk, &form).await, (1, vec![(error.to_owned(), reason.to_owned())]), "{case}");
        assert_eq!(desk.leaves(), before + 1, "{case}");
    }
}

#[tokio::test]
async fn each_thing_is_spent_by_itself() {
    let desk = Desk::open();
    let login = desk.login("alice");
    let assertion = desk.assertion(json!({}), json!({}));
    let signed = || {
        let form = desk.exchange_of(&login, 11).anonymous().bound(&desk, "signer", &login, 11).with("client_assertion", &assertion);
        form.with("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    };
    desk.send(&signed()).await.granted();
    desk.send(&signed()).await.refused(401, "invalid_client", "CLIENT_AUTH", "the assertion, with a fresh holder's proof");

    let id_jag = desk.id_jag(json!({}));
    desk.send(&desk.jwt_bearer(&id_jag, 11)).await.granted();
    desk.send(&desk.jwt_bearer(&id_jag, 11)).await.refused(
        400,
        "invalid_grant",
        "SUBJECT_REPLAYED",
        "the identity assertion, with a fresh proof",
    );

    let key = Dpop::p256();
    let proof = key.proof(&desk);
    desk.send(&desk.exchange(11).dpop(proof.clone())).await.granted();
    desk.pass(5);
    desk.send(&desk.exchange(11).dpop(proof.clone())).await.refused(400, "invalid_dpop_proof", "DPOP_REPLAYED", "seconds later");
    desk.pass(55);
    desk.send(&desk.exchange(11).dpop(proof.clone())).await.refused(400, "invalid_dpop_proof", "DPOP_REPLAYED", "in the next minute");
    desk.pass(60);
    desk.send(&desk.exchange(11).dpop(proof)).await.refused(400, "use_dpop_nonce", "DPOP_NONCE", "when its nonce is stale");

    let own = desk.send(&desk.exchange(11)).await.token();
    let narrowing = desk.narrowing(&own, 11, 13, &[]);
    desk.send(&narrowing).await.granted();
    let fresh_holder = narrowing.bound(&desk, "app", &own, 13);
    desk.send(&fresh_holder).await.refused(400, "invalid_request", "PROOF_REPLAYED", "the consent, with a fresh holder's proof");
}

#[tokio::test]
async fn a_refusal_by_the_policy_spends_what_came_with_it() {
    let desk = Desk::open();
    let proof = Dpop::ed25519(9).proof(&desk);
    let denied = desk.exchange(11).with("audience", "https://nobody.example").dpop(proof.clone());
    let before = desk.leaves();
    desk.send(&denied).await.refused(400, "invalid_target", "AUDIENCE_NOT_IN_POLICY", "denied");
    assert_eq!(desk.leaves(), before + 1);
    desk.send(&desk.exchange(12).dpop(proof)).await.refused(400, "invalid_dpop_proof", "DPOP_REPLAYED", "spent by the refusal");
}
