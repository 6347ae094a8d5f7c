//! The log as auditors question it.

use serde_json::json;
use utoipa::openapi::{
    HttpMethod::{Get, Post},
    Schema,
    path::ParameterIn::Path,
    schema::Type,
};

use super::{
    route::{AUDITOR, Describing, JSON, Route, route},
    schema::{RECORDED, choice, count, hex, list, matching, named, nullable, object, recorded_example, text},
};

pub(super) fn routes() -> Vec<Route> {
    let search = |path, name| filtered(evidence(path, name)).refuses(&READING);
    vec![
        head(),
        proof(),
        consistency(),
        entry(),
        task(),
        search("/v1/audit/search", ("search", "The leaves that a question finds")),
        search("/v1/audit/export", ("export", "The same, recorded as carried away")),
        reading(),
        erasures(),
    ]
}

fn head() -> Route {
    let retention = object()
        .with("policy", text("the policy in force"))
        .with("digest", text("its digest"))
        .with("leaf", nullable(Type::Integer, "the leaf that says what has gone"))
        .with("applied", nullable(Type::String, "the digest of the policy under which"));
    let members = object()
        .with("origin", text("the name of the log"))
        .with("size", count("how many leaves there are"))
        .with("root", text("the root hash, in base64"))
        .with("checkpoint", text("the signed note"))
        .with("minimum_index", count("the first leaf that can be had"))
        .with("retention", retention.open())
        .with("t_ms", matching("^[0-9]+$", "the time of the newest leaf"))
        .with("entries", choice(&["public", "credential"], "who may read entries"));
    route(Get, "/v1/audit/head", ("head", "Where the log stands"))
        .answers(200, "the head", JSON, members.open(), None)
        .refuses(&[(400, "an unknown parameter")])
}

fn proof() -> Route {
    let members = object()
        .with("index", count("the leaf's index"))
        .with("leaf_hash", text("its hash, in base64"))
        .with("receipt", text("c2sp.org/tlog-proof@v1"));
    route(Get, "/v1/audit/proof", ("proof", "A receipt for a leaf that one has"))
        .query("index", "the leaf by its index", count("an index"))
        .query("entry", "the leaf by its id", hex(32, "an id"))
        .query("size", "under the checkpoint of this size", count("a size"))
        .answers(200, "the proof", JSON, members.open(), None)
        .refuses(&[(400, "not one of `index` and `entry`, or a bad value"), (404, "no such entry or checkpoint")])
}

fn consistency() -> Route {
    let hashes = |about: &str| list(text("a hash, in base64"), about);
    let members = object()
        .with("from", count("the smaller size"))
        .with("to", count("the larger size"))
        .with("proof", hashes("RFC 9162 section 2.1.4"))
        .with("path", hashes("what shows the root at the smaller size"))
        .with("checkpoint", text("the signed note of the larger size"));
    route(Get, "/v1/audit/consistency", ("consistency", "That an earlier tree is a prefix of a later one"))
        .query("from", "the smaller size", count("a size"))
        .query("to", "the larger size; else the newest", count("a size"))
        .answers(200, "the proof", JSON, members.open(), None)
        .refuses(&[(400, "`from` is missing, or a bad value"), (404, "no such checkpoint")])
}

fn entry() -> Route {
    let route = evidence("/v1/audit/entries/{id}", ("entry", "One entry with its proof"));
    named_query(route.parameter(Path, "id", "the entry's id", hex(32, "an id"))).refuses(&READING)
}

fn task() -> Route {
    let route = evidence("/v1/audit/tasks/{id}", ("task", "The leaves of a task"));
    paged(route.parameter(Path, "id", "the task's id", hex(32, "an id"))).refuses(&READING)
}

/// An answer that is a bundle.
fn evidence(path: &'static str, name: (&str, &str)) -> Describing {
    let about = "a bundle, in the form of docs/audit-log.md";
    route(Get, path, name).credential(AUDITOR).answers(200, about, JSON, bundle(), None)
}

fn bundle() -> Schema {
    object().open()
}

fn named_query(route: Describing) -> Describing {
    route.query("names", "whether to hand out names too", choice(&["true", "false"], "yes or no"))
}

fn paged(route: Describing) -> Describing {
    named_query(route)
        .query("after", "leaves behind this index", count("an index"))
        .query("limit", "how many leaves at most", matching("^[0-9]{1,3}$", "1 to 256"))
        .query("size", "under the checkpoint of this size", count("a size"))
}

fn filtered(route: Describing) -> Describing {
    let name = || text("at most 1,024 bytes");
    let time = || text("RFC 3339, or milliseconds since 1970");
    paged(route)
        .query("principal", "who is behind it", name())
        .query("agent", "an agent", name())
        .query("tool", "a tool", name())
        .query("kind", "the kind of leaf", name())
        .query("verdict", "the verdict", name())
        .query("reason", "a reason", name())
        .query("task", "a task", hex(32, "an id"))
        .query("trace", "a request", hex(32, "a trace id"))
        .query("block", "a block that the leaf lists", hex(64, "a block id"))
        .query("parent", "a block that something was made from", hex(64, "a block id"))
        .query("from", "from this time on", time())
        .query("to", "before this time", time())
        .query("before", "leaves before this index", count("an index"))
}

fn reading() -> Route {
    let members = object()
        .with("reading", nullable(Type::String, "the id to name with each bundle"))
        .with("first", count("the first leaf"))
        .with("size", count("up to where"))
        .with("checkpoint", text("the signed note of that size"))
        .with("minimum_index", count("the first leaf that can be had"));
    route(Get, "/v1/audit/reading", ("reading", "Announce the reading of many bundles of entries"))
        .credential(AUDITOR)
        .query("first", "the first leaf", count("an index"))
        .query("size", "up to where", count("a size"))
        .answers(200, "the reading", JSON, members.open(), None)
        .refuses(&READING)
}

fn erasures() -> Route {
    let body = object().with("subject", hex(32, "a pseudonym")).with("basis", text("why: 1 to 1,024 bytes, which stay readable")).closed();
    let example = json!({ "subject": "2a8975cd867117a4d149fa7b08b0d766", "basis": "asked for" });
    route(Post, "/v1/audit/erasures", ("erase", "Erase what is disclosed about a person"))
        .credential(AUDITOR)
        .body(JSON, body, example)
        .answers(200, "the leaf that records it", JSON, named(RECORDED), Some(recorded_example()))
        .refuses(&[
            (400, "the body is at fault"),
            (401, "the auditor is not authenticated"),
            (403, "the auditor is no administrator"),
            (404, "nothing is known of that person"),
            (429, "the auditor's rate"),
        ])
}

const READING: [(u16, &str); 6] = [
    (400, "an unknown, repeated or bad parameter"),
    (401, "the auditor is not authenticated"),
    (403, "names are for administrators"),
    (404, "no such entry or checkpoint"),
    (410, "the entries have gone, as the policy on retention says"),
    (429, "the auditor's rate"),
];
