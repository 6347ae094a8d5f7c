//! An MCP server behind the guard, and what reaches it.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{GuardLayer, PermittedCall, PermittedMessage, Revocation, challenge_tests::guard_at};
use crate::{
    HolderKey, Presentation,
    tests::{NOW, arguments, held_at, mint_bearer_at, plain_dpop},
};

/// The address of the server, which is the audience too.
const SERVER: &str = "https://crm.example/mcp";

/// Says what it got: the message, and as what it was permitted.
async fn server(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert!([&AUTHORIZATION].iter().all(|name| !request.headers().contains_key(*name)) && !request.headers().contains_key("dpop"));
    let call = request.extensions().get::<PermittedCall>().map(|call| json!([call.tool, call.arguments.canonical()]));
    let visit = request.extensions().get::<PermittedMessage>().map(|visit| json!([visit.method, visit.tools]));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message: Value = serde_json::from_slice(&body).unwrap();
    Ok(Response::new(Full::new(Bytes::from(json!({"message": message, "call": call, "visit": visit}).to_string()))))
}

async fn ask(request: Request<Full<Bytes>>) -> (u16, Vec<String>, Value) {
    let service = GuardLayer::mcp(guard_at(SERVER, Revocation::NotChecked), Arc::new(|| NOW)).layer(service_fn(server));
    let response = service.oneshot(request).await.unwrap();
    let challenges = response.headers().get_all("www-authenticate").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, challenges, serde_json::from_slice(&body).unwrap())
}

/// Status and reason.
async fn refused(request: Request<Full<Bytes>>) -> (u16, String) {
    let (status, _, body) = ask(request).await;
    let refusal = if body["error"].is_null() { &body } else { &body["error"]["data"] };
    (status, refusal["reason"].as_str().unwrap_or_default().to_owned())
}

fn post(headers: &[(&str, &str)], body: &Value) -> Request<Full<Bytes>> {
    let request = headers.iter().fold(Request::post("/mcp"), |request, (name, value)| request.header(*name, *value));
    request.body(Full::new(Bytes::from(body.to_string()))).unwrap()
}

fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
}

fn call(tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": {"id": 1.0}, "_meta": {"progressToken": 7}}})
}

/// A message with our credentials in `_meta`.
fn with_ours(mut message: Value, call: &Presentation) -> Value {
    let params: Value = serde_json::from_str(&call.mcp_params().ok().unwrap().canonical()).unwrap();
    message["params"]["_meta"] = params["_meta"].clone();
    message
}

#[tokio::test]
async fn without_a_token_every_message_is_met_by_the_challenge() {
    for message in [list(), json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})] {
        let (status, challenges, body) = ask(post(&[], &message)).await;
        assert_eq!((status, &body["error"]["data"]["reason"]), (401, &"TOKEN_MISSING".into()));
        let metadata = r#"resource_metadata="https://crm.example/.well-known/oauth-protected-resource/mcp""#;
        assert_eq!(challenges[0], format!(r#"Bearer {metadata}, scope="crm:read""#));
    }
    let (_, challenges, _) = ask(post(&[], &call("crm.mail"))).await;
    assert!(challenges[0].ends_with(r#", scope="crm:mail""#), "{challenges:?}");
    let found = ask(Request::get("/.well-known/oauth-protected-resource/mcp").body(Full::default()).unwrap()).await;
    assert_eq!((found.0, &found.2["resource"]), (200, &SERVER.into()));
}

#[tokio::test]
async fn a_client_with_a_bearer_token_lists_and_calls_what_takes_one() {
    let bearer = format!("Bearer {}", mint_bearer_at(SERVER, r#"[{"kind":"not_tools","deny":["crm.list"]}]"#));
    let (status, _, body) = ask(post(&[("authorization", &bearer), ("mcp-method", "tools/list")], &list())).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body, json!({"message": list(), "call": null, "visit": ["tools/list", ["crm.mail", "crm.read", "payments.send"]]}));
    let headers = [("authorization", bearer.as_str()), ("mcp-method", "tools/call"), ("mcp-name", "crm.read")];
    let (status, _, body) = ask(post(&headers, &call("crm.read"))).await;
    assert_eq!((status, &body["call"]), (200, &json!(["crm.read", r#"{"id":1}"#])), "{body}");
    assert_eq!(body["message"]["params"], json!({"name": "crm.read", "arguments": {"id": 1}, "_meta": {"progressToken": 7}}));
    assert_eq!(refused(post(&[("authorization", &bearer)], &call("crm.mail"))).await, (401, "BEARER_OFF".into()));
    assert_eq!(refused(post(&[("authorization", &bearer)], &call("payments.send"))).await, (403, "PERMIT_REQUIRED".into()));
    assert_eq!(refused(post(&[("authorization", &bearer)], &call("crm.list"))).await, (403, "TOOL_NOT_GRANTED".into()));
    let bound = format!("Bearer {}", held_at(SERVER, "[]").sealed());
    assert_eq!(refused(post(&[("authorization", &bound)], &list())).await, (401, "BEARER_BOUND".into()));
}

#[tokio::test]
async fn a_client_of_plain_dpop_lists_and_calls_what_takes_one() {
    let (holder, key) = (held_at(SERVER, "[]"), HolderKey::of(11));
    let sent = |message: Value, url: &str, jti: &str| {
        let proof = plain_dpop(holder.sealed(), url, jti, &key);
        post(&[("authorization", &format!("DPoP {}", holder.sealed())), ("dpop", &proof)], &message)
    };
    assert_eq!(ask(sent(list(), SERVER, "j-1")).await.0, 200);
    assert_eq!(ask(sent(call("crm.read"), SERVER, "j-2")).await.0, 200);
    assert_eq!(refused(sent(call("crm.list"), SERVER, "j-3")).await, (401, "DPOP_URL_ONLY".into()));
    assert_eq!(refused(sent(list(), "https://crm.example/other", "j-4")).await, (401, "PROOF_MISMATCH".into()));
    let bare = post(&[("authorization", &format!("DPoP {}", holder.sealed()))], &list());
    assert_eq!(refused(bare).await, (401, "PROOF_MISSING".into()));
}

#[tokio::test]
async fn an_agent_of_ours_proves_each_message_in_its_parameters() {
    let holder = held_at(SERVER, "[]");
    let proved = holder.prove("crm.mail", &arguments(r#"{"id":1}"#), SERVER, NOW);
    let (status, _, body) = ask(post(&[], &with_ours(call("crm.mail"), &proved))).await;
    assert_eq!((status, &body["call"]), (200, &json!(["crm.mail", r#"{"id":1}"#])), "{body}");
    assert_eq!(body["message"]["params"]["_meta"], json!({}));
    let listing = holder.prove("mcp:tools/list", &arguments("{}"), SERVER, NOW);
    assert_eq!(ask(post(&[], &with_ours(list(), &listing))).await.0, 200);
    // a proof for a message is none for another, and none for a tool
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}});
    assert_eq!(refused(post(&[], &with_ours(ping, &listing))).await, (401, "PROOF_MISMATCH".into()));
    assert_eq!(refused(post(&[], &with_ours(call("crm.mail"), &listing))).await, (401, "PROOF_MISMATCH".into()));
}

#[tokio::test]
async fn what_is_no_message_of_one_reading_passes_no_guard() {
    let (holder, token) = (held_at(SERVER, "[]"), mint_bearer_at(SERVER, "[]"));
    let bearer = format!("Bearer {token}");
    let by = |message: &Value| post(&[("authorization", &bearer)], message);
    let proved = holder.prove("crm.read", &arguments(r#"{"id":1}"#), SERVER, NOW);
    let twice = post(&[("authorization", &bearer)], &with_ours(call("crm.read"), &proved));
    assert_eq!(refused(twice).await, (400, "MCP_MALFORMED".into()));
    assert_eq!(refused(by(&json!([list()]))).await, (400, "MCP_MALFORMED".into()));
    for method in ["resources/read", "prompts/get", "completion/complete", "tools/calls", "Tools/call", ""] {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}});
        assert_eq!(refused(by(&message)).await, (404, "MCP_METHOD".into()), "{method}");
    }
    for (name, value) in [("mcp-method", "tools/list"), ("mcp-name", "crm.list")] {
        let request = post(&[("authorization", &bearer), (name, value)], &call("crm.read"));
        assert_eq!(refused(request).await, (400, "MCP_MALFORMED".into()), "{name}");
    }
    let doubled = call("crm.read").to_string().replace(r#""id":2"#, r#""id":2,"id":3"#);
    let mut request = by(&list());
    *request.body_mut() = Full::new(Bytes::from(doubled));
    assert_eq!(refused(request).await, (400, "JSON_DUPLICATE_KEY".into()));
    let mut large = by(&list());
    *large.body_mut() = Full::new(Bytes::from(vec![b' '; 300 * 1024]));
    assert_eq!(refused(large).await, (413, "JSON_TOO_LARGE".into()));
    let mut bad = post(&[("authorization", "Bearer AAAA")], &list());
    *bad.body_mut() = Full::new(Bytes::from(vec![b' '; 300 * 1024]));
    assert_eq!(refused(bad).await, (401, "TOKEN_MALFORMED".into()), "its body is not read");
    assert_eq!(refused(Request::get("/mcp").body(Full::default()).unwrap()).await, (405, "METHOD_NOT_ALLOWED".into()));
}

#[tokio::test]
async fn a_refusal_of_a_request_is_its_json_rpc_error() {
    let ceiling = r#"[{"kind":"arg","tool":"crm.read","path":"/id","is":{"range":{"min":2}}}]"#;
    let bearer = format!("Bearer {}", mint_bearer_at(SERVER, ceiling));
    let (status, challenges, body) = ask(post(&[("authorization", &bearer)], &call("crm.read"))).await;
    assert_eq!((status, challenges.len()), (403, 3));
    assert_eq!((&body["id"], &body["jsonrpc"], &body["error"]["code"]), (&2.into(), &"2.0".into(), &json!(-32010)));
    assert_eq!(body["error"]["message"], "ARGUMENT_REFUSED: `/id` of `crm.read` must be an integer of at least 2");
    assert_eq!((&body["error"]["data"]["reason"], &body["error"]["data"]["block"]), (&"ARGUMENT_REFUSED".into(), &0.into()));
    let unknown = json!({"jsonrpc": "2.0", "id": "a", "method": "resources/list"});
    let (_, _, body) = ask(post(&[("authorization", &bearer)], &unknown)).await;
    assert_eq!((&body["id"], &body["error"]["code"]), (&"a".into(), &json!(-32601)));
}

#[tokio::test]
async fn a_message_that_runs_no_tool_is_decided_by_place_and_time() {
    let elsewhere = post(&[("authorization", &format!("Bearer {}", mint_bearer_at("https://other.example", "[]")))], &list());
    assert_eq!(refused(elsewhere).await, (401, "WRONG_AUDIENCE".into()));
    let later = r#"[{"kind":"not_before","at":"2027-01-01T00:00:00Z"}]"#;
    let early = post(&[("authorization", &format!("Bearer {}", mint_bearer_at(SERVER, later)))], &list());
    assert_eq!(refused(early).await, (401, "NOT_YET_VALID".into()));
    // what speaks of calls is left for calls
    let counted = r#"[{"kind":"calls","name":"n","max":1}]"#;
    let listed = post(&[("authorization", &format!("Bearer {}", mint_bearer_at(SERVER, counted)))], &list());
    assert_eq!(ask(listed).await.0, 200);
}
