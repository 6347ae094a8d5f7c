//! What a tool server answers to clients that know OAuth and nothing of us (RFC 6750, RFC 9449, RFC 9728).

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, Request, Response,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt as _, Full};
use narrows_verifier::{Reason, proof::Evidence};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Guard, GuardLayer, GuardOptions, Manifest, PermittedCall, Revocation, ToolKey, trust_tests::snapshot};
use crate::{
    BearerToken, Held, HolderKey,
    tests::{AUDIENCE, EXPIRES, ISSUER, NOW, arguments, held, mint_bearer, plain_dpop, root},
};

const TOOLS: &str = r#"
[[tool]]
name = "crm.read"
requires = "token"
class = "read"
dpop = "url"
bearer = true
scope = "crm:read"

[[tool]]
name = "crm.list"
requires = "token"
class = "read"
bearer = true
scope = "crm:list"

[[tool]]
name = "crm.mail"
requires = "token"
scope = "crm:mail"

[[tool]]
name = "payments.send"
"#;

pub(super) fn guard_at(audience: &str, revocation: Revocation) -> Guard {
    let head = format!("audience = \"{audience}\"\nauthorization_servers = [\"{ISSUER}\"]\nscopes = [\"crm:read\"]\n");
    let options = GuardOptions { accept_dev: false, replay_capacity: 8, revocation };
    Guard::new(Manifest::parse(&format!("{head}{TOOLS}")).unwrap(), root().into(), options)
}

fn guard() -> Guard {
    guard_at(AUDIENCE, Revocation::NotChecked)
}

/// The tool says whose word it has.
async fn tool(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert!(!request.headers().contains_key(AUTHORIZATION) && !request.headers().contains_key("dpop"));
    let word = match request.extensions().get::<PermittedCall>().unwrap().evidence {
        Evidence::Holder => "holder",
        Evidence::ToolWord => "tool",
        Evidence::Nobody => "nobody",
    };
    Ok(Response::new(Full::new(Bytes::from(format!("{{\"reason\":\"{word}\"}}")))))
}

/// An answer: status, the reason in its body, its challenges in order.
struct Said {
    status: u16,
    reason: String,
    challenges: Vec<String>,
    headers: HeaderMap,
    body: serde_json::Value,
}

async fn ask_at(guard: Guard, now: u64, request: Request<Full<Bytes>>) -> Said {
    let service = GuardLayer::new(guard, Arc::new(move || now)).layer(service_fn(tool));
    let response = service.oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    Said { status, reason: body["reason"].as_str().unwrap_or_default().to_owned(), challenges, headers, body }
}

async fn ask(request: Request<Full<Bytes>>) -> Said {
    ask_at(guard(), NOW, request).await
}

fn post(path: &str, authorization: &str) -> Request<Full<Bytes>> {
    let mut request = Request::post(path);
    if !authorization.is_empty() {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(Full::new(Bytes::from_static(b"{\"id\":1}"))).unwrap()
}

fn with_dpop(mut request: Request<Full<Bytes>>, proof: &str) -> Request<Full<Bytes>> {
    request.headers_mut().insert("dpop", proof.parse().unwrap());
    request
}

const METADATA: &str = r#"resource_metadata="https://crm.example/.well-known/oauth-protected-resource""#;

#[tokio::test]
async fn without_a_token_the_challenge_says_where_to_get_one_and_of_no_error() {
    for authorization in ["", "Basic YTpi"] {
        let said = ask(post("/tools/crm.read", authorization)).await;
        assert_eq!((said.status, said.reason.as_str()), (401, "TOKEN_MISSING"));
        let expected = [
            format!(r#"Bearer {METADATA}, scope="crm:read""#),
            format!(r#"DPoP {METADATA}, scope="crm:read", algs="ES256 EdDSA Ed25519""#),
            r#"Narrows reason="TOKEN_MISSING""#.to_owned(),
        ];
        assert_eq!(said.challenges, expected);
    }
}

#[tokio::test]
async fn a_bearer_token_that_is_no_good_here_is_an_invalid_token() {
    let good = mint_bearer("[]");
    let block = BearerToken::new(&good, &root().into()).ok().unwrap().inspect().newest();
    let revoking = guard_at(AUDIENCE, Revocation::Required);
    revoking.replace_revocations(snapshot(1, NOW, &[block])).unwrap();
    let bound = held("[]").sealed().to_owned();
    let cases = [
        (guard(), "AAAA", "crm.read", NOW, "TOKEN_MALFORMED"),
        (guard(), &good, "crm.read", EXPIRES, "EXPIRED"),
        (guard(), &good, "crm.read", NOW - 60, "ISSUED_AHEAD"),
        (revoking, &good, "crm.read", NOW, "REVOKED"),
        (guard(), &bound, "crm.read", NOW, "BEARER_BOUND"),
        (guard(), &good, "crm.mail", NOW, "BEARER_OFF"),
    ];
    for (guard, token, tool, now, reason) in cases {
        let said = ask_at(guard, now, post(&format!("/tools/{tool}"), &format!("Bearer {token}"))).await;
        assert_eq!((said.status, said.reason.as_str()), (401, reason));
        let scope = tool.replace('.', ":");
        assert_eq!(said.challenges[0].split(", scope=").next(), Some(format!(r#"Bearer error="invalid_token", {METADATA}"#).as_str()));
        assert!(said.challenges[0].contains(&scope), "{:?}", said.challenges);
        assert!(said.challenges.iter().skip(1).all(|challenge| !challenge.contains("error=")), "{:?}", said.challenges);
    }
    let other = guard_at("https://other.example", Revocation::NotChecked);
    let said = ask_at(other, NOW, post("/tools/crm.read", &format!("Bearer {good}"))).await;
    assert_eq!((said.status, said.reason.as_str()), (401, "WRONG_AUDIENCE"));
    assert!(said.challenges[0].starts_with(r#"Bearer error="invalid_token", resource_metadata="https://other.example/"#));
}

#[tokio::test]
async fn too_small_an_authority_is_told_every_scope_that_it_takes() {
    let small = mint_bearer(r#"[{"kind":"tools","allow":["crm.read"]}]"#);
    let said = ask(post("/tools/crm.list", &format!("Bearer {small}"))).await;
    assert_eq!((said.status, said.reason.as_str()), (403, "TOOL_NOT_GRANTED"));
    assert_eq!(said.challenges[0], format!(r#"Bearer error="insufficient_scope", {METADATA}, scope="crm:list crm:read""#));
}

#[tokio::test]
async fn a_token_in_the_address_is_not_read() {
    let token = mint_bearer("[]");
    let said = ask(post(&format!("/tools/crm.read?access_token={token}"), "")).await;
    assert_eq!((said.status, said.reason.as_str()), (400, "REQUEST_MALFORMED"));
    assert_eq!(said.challenges[0], format!(r#"Bearer error="invalid_request", {METADATA}, scope="crm:read""#));
    assert!(!said.body.to_string().contains(&token));
}

#[tokio::test]
async fn the_metadata_is_public_and_nothing_else_is() {
    let at = |path: &str| Request::get(path).body(Full::default()).unwrap();
    let said = ask(at("/.well-known/oauth-protected-resource")).await;
    assert_eq!((said.status, &said.body["resource"]), (200, &AUDIENCE.into()));
    assert_eq!(said.body["authorization_servers"], serde_json::json!([ISSUER]));
    assert_eq!(said.headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "*");
    for other in ["/.well-known/oauth-protected-resource/other", "/.well-known/openid-configuration", "/tools/crm.read"] {
        assert_eq!(ask(at(other)).await.status, 405, "{other}");
    }
}

#[tokio::test]
async fn a_bearer_token_calls_where_the_manifest_says_so_and_is_nobodys_word() {
    let said = ask(post("/tools/crm.read", &format!("bearer {}", mint_bearer("[]")))).await;
    assert_eq!((said.status, said.reason.as_str()), (200, "nobody"));
}

#[tokio::test]
async fn no_proof_means_anything_with_a_bearer_token() {
    let (token, key) = (mint_bearer("[]"), HolderKey::of(11));
    let proof = plain_dpop(&token, "https://crm.example/tools/crm.read", "j-1", &key);
    let as_dpop = ask(with_dpop(post("/tools/crm.read", &format!("DPoP {token}")), &proof)).await;
    assert_eq!((as_dpop.status, as_dpop.reason.as_str()), (401, "HOLDER_BEARER"));
    let beside = ask(with_dpop(post("/tools/crm.read", &format!("Bearer {token}")), &proof)).await;
    assert_eq!((beside.status, beside.reason.as_str()), (401, "PROOF_MALFORMED"));
    let signed = held("[]").prove("crm.read", &arguments("{\"id\":1}"), AUDIENCE, NOW).proof;
    let mut as_ours = post("/tools/crm.read", &format!("Narrows {token}"));
    as_ours.headers_mut().insert("narrows-proof", signed.parse().unwrap());
    let as_ours = ask(as_ours).await;
    assert_eq!((as_ours.status, as_ours.reason.as_str()), (401, "HOLDER_BEARER"));
    let opening = held("[]").open_session(&["crm.read"], AUDIENCE, 60, NOW).ok().unwrap();
    let session = Request::post("/sessions").header(AUTHORIZATION, format!("Narrows {token}"));
    let session = session.body(Full::new(Bytes::from(opening.text().to_owned()))).unwrap();
    let refused = ask_at(guard().with_sessions(ToolKey::generate(), 4), NOW, session).await;
    assert_eq!((refused.status, refused.reason.as_str()), (401, "HOLDER_BEARER"));
}

#[tokio::test]
async fn a_client_of_plain_dpop_calls_where_the_manifest_says_so() {
    let (holder, key) = (held("[]"), HolderKey::of(11));
    let call = |tool: &str, token: &str| {
        let proof = plain_dpop(token, &format!("https://crm.example/tools/{tool}"), "j-1", &key);
        with_dpop(post(&format!("/tools/{tool}"), &format!("DPoP {token}")), &proof)
    };
    let said = ask(call("crm.read", holder.sealed())).await;
    assert_eq!((said.status, said.reason.as_str()), (200, "tool"));
    let said = ask(call("crm.list", holder.sealed())).await;
    assert_eq!((said.status, said.reason.as_str()), (401, "DPOP_URL_ONLY"));
    assert_eq!(said.challenges[0], format!(r#"Bearer {METADATA}, scope="crm:list crm:mail crm:read""#));
    let expected = format!(
        r#"DPoP error="invalid_dpop_proof", reason="DPOP_URL_ONLY", {METADATA}, scope="crm:list crm:mail crm:read", algs="ES256 EdDSA Ed25519""#
    );
    assert_eq!(said.challenges[1], expected);
}

#[test]
fn a_bearer_token_is_taken_by_whom_it_is_for() {
    let roots = root().into();
    let held = held("[]");
    assert_eq!(BearerToken::new(held.sealed(), &roots).err(), Some(Reason::BearerBound.into()));
    let token = BearerToken::new(&mint_bearer("[]"), &roots).ok().unwrap();
    assert!(!format!("{token:?}").contains(token.present("crm.read", &arguments("{}")).token.as_str()));
    let as_held = Held::new(&mint_bearer("[]"), HolderKey::of(11), &roots).err();
    assert_eq!(as_held, Some(Reason::HopSigner.into()));
    let call = token.present("crm.read", &arguments("{}"));
    assert!(call.mcp_params().is_err() && call.proof.is_empty());
    let permitted = guard().check(&call.token, (&call).into(), &call.tool, call.arguments.as_bytes(), NOW).unwrap();
    assert_eq!(permitted.evidence, Evidence::Nobody);
}
