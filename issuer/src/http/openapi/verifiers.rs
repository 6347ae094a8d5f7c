//! What agents and tools ask: hops into the log, the keys, what is revoked.

use serde_json::json;
use utoipa::openapi::{
    HttpMethod::{Get, Post},
    Schema,
    path::ParameterIn::Header,
    schema::Type,
};

use super::{
    route::{JSON, Route, TEXT, route},
    schema::{RECORDED, choice, count, flag, list, matching, named, nullable, object, recorded_example, text},
};

pub(super) fn routes() -> Vec<Route> {
    vec![derivations(), keys(), feed(), given_up()]
}

fn derivations() -> Route {
    route(Post, "/v1/derivations", ("report", "Put a hop that was made offline into the log"))
        .body(JSON, presented("the hop is its newest block"), json!({ "token": "CIvg6t8J", "proof": "eyJhdWQi.AAAA" }))
        .answers(200, "the leaf of the hop", JSON, named(RECORDED), Some(recorded_example()))
        .refuses(&[(400, "the request, the token or the proof is at fault"), (429, "the holder's rate")])
}

fn given_up() -> Route {
    route(Post, "/v1/revocations", ("giveUp", "End the newest hop of a token, by its holder's or its delegator's word"))
        .body(JSON, presented("its newest hop ends"), json!({ "token": "CIvg6t8J", "proof": "eyJhdWQi.AAAA" }))
        .answers(200, "the leaf of the revocation", JSON, named(RECORDED), Some(recorded_example()))
        .refuses(&[(400, "the request, the token or the proof is at fault"), (429, "the holder's rate")])
}

fn presented(about: &str) -> Schema {
    let token = text(&format!("a sealed copy of a token; {about}"));
    object().with("token", token).with("proof", text("a statement by the holder or whoever made the hop")).closed()
}

fn feed() -> Route {
    route(Get, "/v1/revocations", ("revocations", "What is revoked, signed: a snapshot, or what has changed since one"))
        .query("since", "the number of the snapshot that the caller has", matching("^(0|[1-9][0-9]*)$", "a number"))
        .parameter(Header, "If-None-Match", "the number of the snapshot that the caller has", text("an entity tag"))
        .answers(200, "a snapshot or a delta, in the form of docs/token-format.md section 16", TEXT, text("payload and signature"), None)
        .says(204, "the snapshot of that number is the newest")
        .says(304, "the snapshot of that tag is the newest")
        .refuses(&[(400, "an unknown parameter, or one that is no number")])
}

fn keys() -> Route {
    let key = || text("32 bytes, base64url");
    let algorithm = || choice(&["Ed25519"], "the algorithm");
    let issuer = object()
        .with("kid", matching("^[0-9]+$", "the root key id"))
        .with("alg", algorithm())
        .with("public_key", key())
        .with("state", choice(&["prepared", "active", "retired", "tainted"], "where it stands in its life"))
        .with("not_before", count("seconds since 1970"))
        .with("not_after", nullable(Type::Integer, "seconds since 1970, or no end"));
    let log = object()
        .with("origin", text("the name of the log"))
        .with("vkey", text("its key in signed-note form"))
        .with("retention", text("the digest of what it keeps"));
    let members = object()
        .with("issuer", list(issuer.open(), "keys that sign tokens"))
        .with("log", log.open())
        .with("feed", list(object().with("alg", algorithm()).with("public_key", key()).open(), "keys that sign the feed"))
        .maybe("dev", flag("whether this is a service for development"));
    route(Get, "/.well-known/narrows-keys", ("keys", "All that a verifier needs to work offline"))
        .answers(200, "the keys", JSON, members.open(), None)
        .refuses(&[])
}
