//! The tools of the table as a server of the Model Context Protocol, behind the guard. Nothing in here looks at a token.
//!
//! It keeps nothing between two messages, so it speaks the stateless protocol of 2026-07-28, and the handshake before it to
//! clients that ask for that.

use axum::{Extension, Json, Router, extract::State, http::StatusCode, response::IntoResponse, response::Response, routing::post};
use narrows::tool::{GuardLayer, PermittedCall, PermittedMessage};
use serde_json::{Value, json};

use crate::tool_server::Table;

/// The server behind the guard, at this path.
pub fn router(table: Table, path: &str, guard: GuardLayer) -> Router {
    Router::new().route(path, post(answer)).layer(guard).with_state(table)
}

/// Answers one message: a permitted call, or one of the few that run no tool.
async fn answer(
    State(table): State<Table>,
    call: Option<Extension<PermittedCall>>,
    permitted: Option<Extension<PermittedMessage>>,
    Json(message): Json<Value>,
) -> Response {
    let result = match (call, permitted) {
        (Some(Extension(call)), _) => run(&table, &call),
        (None, Some(Extension(permitted))) => match permitted.method.as_str() {
            "initialize" => handshake(&message),
            "server/discover" => complete(json!({"supportedVersions": [STATELESS, HANDSHAKE], "capabilities": {"tools": {}}})),
            "tools/list" => complete(json!({"tools": permitted.tools.iter().filter_map(|tool| describe(tool)).collect::<Vec<_>>()})),
            "ping" => json!({}),
            // notifications, which are not answered
            _ => return StatusCode::ACCEPTED.into_response(),
        },
        (None, None) => return StatusCode::FORBIDDEN.into_response(),
    };
    Json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result})).into_response()
}

/// Runs the arguments that were decided on. A tool's own refusal is a result that says so.
fn run(table: &Table, call: &PermittedCall) -> Value {
    let (status, Json(said)) = match call.tool.as_str() {
        "crm.read" => table.read(call),
        "payments.send" => table.send(call),
        _ => (StatusCode::NOT_FOUND, Json(json!({"message": "no such tool"}))),
    };
    let text = json!([{"type": "text", "text": said.to_string()}]);
    complete(json!({"content": text, "structuredContent": said, "isError": status != StatusCode::OK}))
}

/// The handshake's answer, in the version that the client offers if we know it.
fn handshake(message: &Value) -> Value {
    let offered = message["params"]["protocolVersion"].as_str().filter(|version| OLDER.contains(version));
    let server = json!({"name": "narrows-examples", "version": env!("CARGO_PKG_VERSION")});
    json!({"protocolVersion": offered.unwrap_or(HANDSHAKE), "capabilities": {"tools": {}}, "serverInfo": server})
}

/// What a client is told of a tool.
fn describe(tool: &str) -> Option<Value> {
    let integer = json!({"type": "integer"});
    let (about, properties, required) = match tool {
        "crm.read" => ("A customer and its balance.", json!({"id": integer}), json!(["id"])),
        "payments.send" => (
            "Adds to a customer's balance.",
            json!({"to": integer, "amount": integer, "currency": {"const": "EUR"}}),
            json!(["to", "amount", "currency"]),
        ),
        _ => return None,
    };
    Some(json!({
        "name": tool,
        "description": about,
        "inputSchema": {"type": "object", "properties": properties, "required": required, "additionalProperties": false},
    }))
}

/// A result with what the stateless protocol wants beside it: it is whole, and nobody keeps it.
fn complete(mut result: Value) -> Value {
    result["resultType"] = "complete".into();
    result["ttlMs"] = 0.into();
    result["cacheScope"] = "private".into();
    result
}

const STATELESS: &str = "2026-07-28";
const HANDSHAKE: &str = "2025-11-25";
const OLDER: [&str; 3] = ["2025-03-26", "2025-06-18", HANDSHAKE];
