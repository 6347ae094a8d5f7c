//! DPoP at the token endpoint of the real program: the dance of the nonce, one use, and what a restart forgets.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ed25519_dalek::SigningKey;
use narrows::{HolderKey, UnverifiedToken};
use narrows_tests::{
    forged::{jwk, jwt},
    holder::fresh,
    http::{Answer, Form, client, send},
    issuer::{Issuer, now},
};
use narrows_verifier::{Holder, public_key};
use serde_json::{Value, json};

use super::trusting;

/// A proof for the token endpoint.
fn proof(issuer: &Issuer, key: &SigningKey, nonce: Option<&str>) -> String {
    let mut jwk = jwk(key, "none");
    jwk.as_object_mut().unwrap().remove("kid");
    let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk });
    let mut claims = json!({ "jti": BASE64URL.encode(fresh::<16>()), "htm": "POST", "htu": issuer.at("/oauth/token"), "iat": now() });
    if let Some(nonce) = nonce {
        claims["nonce"] = Value::from(nonce);
    }
    jwt(key, &header, &claims)
}

async fn post(issuer: &Issuer, form: &Form, proof: &str) -> Answer {
    send(form.request(&client(), &issuer.at("/oauth/token")).header("dpop", proof)).await
}

#[tokio::test]
async fn a_client_that_knows_dpop_and_nothing_of_ours_gets_a_bound_token() {
    let (issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    let seed = fresh();
    let key = SigningKey::from_bytes(&seed);
    let form = issuer.request(&HolderKey::generate(), &login).without("req_cnf").without("holder_proof");
    let before = issuer.log_size().await;
    let first = post(&issuer, &form, &proof(&issuer, &key, None)).await;
    first.refused_as(400, "use_dpop_nonce", "DPOP_NONCE", "no nonce yet");
    assert_eq!(issuer.log_size().await, before);

    let nonce = first.header("dpop-nonce").to_owned();
    let signed = proof(&issuer, &key, Some(&nonce));
    let answer = post(&issuer, &form, &signed).await;
    let body = answer.granted();
    assert_eq!(body["token_type"], "DPoP");
    assert!(!answer.header("dpop-nonce").is_empty(), "the nonce for the next request");
    let (_, keys) = issuer.sdk().await;
    let token = UnverifiedToken::from_text(body["access_token"].as_str().unwrap()).unwrap().verify(&keys.roots).unwrap();
    assert_eq!(token.holder, Holder::Key(public_key(&seed)));

    post(&issuer, &form, &signed).await.refused_as(400, "invalid_dpop_proof", "DPOP_REPLAYED", "the same proof again");
    post(&issuer, &form, &proof(&issuer, &key, Some("invented"))).await.refused_as(
        400,
        "use_dpop_nonce",
        "DPOP_NONCE",
        "an invented nonce",
    );
    let spoofed = send(form.request(&client(), &issuer.at("/oauth/token")).header("host", "evil.example").header("dpop", {
        let jwk = {
            let mut jwk = jwk(&key, "x");
            jwk.as_object_mut().unwrap().remove("kid");
            jwk
        };
        let claims = json!({ "jti": "x", "htm": "POST", "htu": "http://evil.example/oauth/token", "iat": now(), "nonce": nonce });
        jwt(&key, &json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk }), &claims)
    }))
    .await;
    spoofed.refused_as(400, "invalid_dpop_proof", "PROOF_MISMATCH", "an address from the Host header");
    issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn of_fifty_copies_of_one_request_one_is_granted_and_none_after_a_restart() {
    let (mut issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    let key = SigningKey::from_bytes(&fresh());
    let holder = HolderKey::generate();
    let bound = issuer.request(&holder, &login);
    let unbound = bound.clone().without("req_cnf").without("holder_proof");
    let nonce = post(&issuer, &unbound, &proof(&issuer, &key, None)).await.header("dpop-nonce").to_owned();
    let signed = proof(&issuer, &key, Some(&nonce));
    for (form, signed, error, reason) in
        [(&unbound, Some(&signed), "invalid_dpop_proof", "DPOP_REPLAYED"), (&bound, None, "invalid_request", "PROOF_REPLAYED")]
    {
        let before = issuer.log_size().await;
        let copies = (0..50).map(|_| {
            let request = form.request(&client(), &issuer.at("/oauth/token"));
            tokio::spawn(send(match signed {
                Some(signed) => request.header("dpop", signed),
                None => request,
            }))
        });
        let copies: Vec<_> = copies.collect();
        let mut granted = 0;
        for copy in copies {
            let answer = copy.await.unwrap();
            match answer.status {
                200 => granted += 1,
                _ => answer.refused_as(400, error, reason, "a copy"),
            }
        }
        assert_eq!((granted, issuer.log_size().await), (1, before + 1));
    }
    issuer.kill();
    issuer.start().await;
    issuer.token(&bound).await.refused_as(400, "invalid_request", "PROOF_REPLAYED", "after a restart");
    // nonces are of one process, so the proof is refused before anybody asks whether it was used
    post(&issuer, &unbound, &signed).await.refused_as(400, "use_dpop_nonce", "DPOP_NONCE", "after a restart");
}
