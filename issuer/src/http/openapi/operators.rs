//! Health, metrics, and this document.

use serde_json::json;
use utoipa::openapi::HttpMethod::Get;

use super::{
    PATH,
    route::{JSON, Route, TEXT, route},
    schema::{choice, object, text},
};

pub(super) fn routes() -> Vec<Route> {
    let status = |status: &str| (object().with("status", choice(&[status], "how it is")).open(), Some(json!({ "status": status })));
    let (alive, alive_example) = status("alive");
    let (ready, ready_example) = status("ready");
    vec![
        route(Get, "/livez", ("live", "Whether the process lives")).answers(200, "it does", JSON, alive, alive_example).refuses(&[]),
        route(Get, "/readyz", ("ready", "Whether a token could be made durable now"))
            .answers(200, "it could", JSON, ready, ready_example)
            .refuses(&[]),
        route(Get, "/metrics", ("metrics", "Counters for Prometheus"))
            .answers(200, "the counters", TEXT, text("the text format, version 0.0.4"), None)
            .refuses(&[]),
        route(Get, PATH, ("openapi", "This document"))
            .answers(200, "the document", JSON, object().with("openapi", text("3.1.0")).open(), None)
            .refuses(&[]),
    ]
}
