//! What operators do, on a listener of its own.

use serde_json::json;
use utoipa::openapi::{HttpMethod, Schema, path::ParameterIn::Path, schema::Type};

use super::{
    PATH,
    route::{Describing, JSON, OPERATOR, Route, route},
    schema::{
        Members, RECORDED, REFUSAL, choice, components as shared, count, flag, hex, list, matching, named, nullable, object,
        recorded_example, text,
    },
};
use crate::admin::{Act, Method};

/// Each act of the table, and this document.
pub(super) fn routes() -> Vec<Route> {
    Act::ALL.iter().map(|act| describe(*act)).chain([document()]).collect()
}

pub(super) fn components() -> Vec<(&'static str, Schema)> {
    let shared = shared().into_iter().filter(|(name, _)| [REFUSAL, RECORDED].contains(name));
    shared.chain([(CLIENT, client().open()), (CHANGED, changed()), (KEYS, keys())]).collect()
}

fn describe(act: Act) -> Route {
    match act {
        Act::ListClients => list_clients(act),
        Act::ShowClient => client_of(act, "showClient", "A client")
            .answers(200, "the client", JSON, named(CLIENT), None)
            .refuses(&refusals(&[(404, "there is no such client")])),
        Act::AddClient => add_client(act),
        Act::DisableClient => changes(client_of(act, "disableClient", "Disable a client, for good")),
        Act::RotateSecret => changes(client_of(act, "rotateSecret", "Give a client one more secret")),
        Act::ForgetSecret => {
            let of = client_of(act, "forgetSecret", "Take a secret from a client");
            changes(of.parameter(Path, "secret", "the secret's id", text("16 hex digits")))
        }
        Act::ListAgents => list_agents(act),
        Act::ListIssuers => looks(act, ("listIssuers", "The trusted issuers"), object().with("issuers", list(open(), "as configured"))),
        Act::ShowPacks => show_packs(act),
        Act::ReloadPacks => begin(act, "reloadPacks", "Read the policy pack's file again")
            .answers(200, "the pack in force from now on, and the leaf that says so", JSON, reloaded(), None)
            .refuses(&refusals(&[(409, "the file can't be used, and the old pack stays in force")])),
        Act::ListKeys => {
            begin(act, "listKeys", "The keys, and their states").answers(200, "the keys", JSON, named(KEYS), None).refuses(&refusals(&[]))
        }
        Act::PrepareKey => steps(begin(act, "prepareKey", "Make a key and publish it; it signs nothing yet")),
        Act::ActivateKey => steps(key_of(act, "activateKey", "Sign with a published key from now on")),
        Act::RetireKey => steps(key_of(act, "retireKey", "Publish a key no longer")),
        Act::TaintKey => {
            let sparing =
                object().maybe("spare_below", nullable(Type::Integer, "the leaf below which verifiers may spare tokens")).closed();
            let of = key_of(act, "taintKey", "Accept nothing that a key signed, from now on");
            steps(of.body_if_any(JSON, sparing, json!({ "spare_below": 17 })))
        }
        Act::ListTasks => list_tasks(act),
        Act::ShowTask => {
            task_of(act, "showTask", "A task").answers(200, "the task", JSON, task().open(), None).refuses(&refusals(&[TASK_UNKNOWN]))
        }
        Act::RevokeTask => ends(task_of(act, "revokeTask", "End a task")),
        Act::Pause => ends(begin(act, "pause", "Hold a task or an agent for now").body(JSON, held(), json!({ "agent": "crawler" }))),
        Act::Resume => begin(act, "resume", "Let go of what is held")
            .body(JSON, held(), json!({ "agent": "crawler" }))
            .answers(200, "the leaf of the resumption", JSON, named(RECORDED), Some(recorded_example()))
            .refuses(&refusals(&[(409, "it is not paused")])),
        Act::Revoke => ends(begin(act, "revoke", "End what was issued").body(JSON, target(), json!({ "agent": "crawler" }))),
    }
}

fn begin(act: Act, name: &str, summary: &str) -> Describing {
    let method = match act.method() {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Delete => HttpMethod::Delete,
    };
    route(method, act.path(), (name, summary)).requires(OPERATOR)
}

fn client_of(act: Act, name: &str, summary: &str) -> Describing {
    begin(act, name, summary).parameter(Path, "id", "the client", text("its identifier"))
}

fn key_of(act: Act, name: &str, summary: &str) -> Describing {
    begin(act, name, summary).parameter(Path, "kid", "the key", matching("^[0-9]{1,10}$", "its number"))
}

fn task_of(act: Act, name: &str, summary: &str) -> Describing {
    begin(act, name, summary).parameter(Path, "id", "the task", hex(32, "its id"))
}

/// What only looks, without parameters.
fn looks(act: Act, (name, summary): (&str, &str), members: Members) -> Route {
    begin(act, name, summary).answers(200, "what there is", JSON, members.open(), None).refuses(&refusals(&[]))
}

/// What changes a client.
fn changes(of: Describing) -> Route {
    of.answers(200, "the client as it is now", JSON, named(CHANGED), None).refuses(&refusals(&[
        (404, "there is no such client, or it has no such secret"),
        (409, "the client does not allow it, or was changed in between"),
    ]))
}

/// What makes a step in the life of a key.
fn steps(of: Describing) -> Route {
    of.answers(200, "the keys as they are now", JSON, named(KEYS), None)
        .refuses(&refusals(&[(404, "there is no such key"), (409, "the key does not allow it now")]))
}

fn ends(of: Describing) -> Route {
    of.answers(200, "the leaf that says so", JSON, named(RECORDED), Some(recorded_example())).refuses(&refusals(&[TASK_UNKNOWN]))
}

fn list_clients(act: Act) -> Route {
    let page =
        object().with("clients", list(named(CLIENT), "a page")).with("next", nullable(Type::String, "the last one, if there may be more"));
    begin(act, "listClients", "The clients")
        .query("after", "clients behind this one", text("an identifier"))
        .query("limit", "how many at most", matching("^[0-9]{1,3}$", "1 to 256"))
        .answers(200, "a page of them", JSON, page.open(), None)
        .refuses(&refusals(&[]))
}

fn add_client(act: Act) -> Route {
    let example = json!({ "id": "nightly", "auth_method": "client_secret_basic", "grants": ["client_credentials"], "agents": ["crawler"] });
    begin(act, "addClient", "Register a client")
        .body(JSON, client().closed(), example)
        .answers(200, "the client, with its secret", JSON, named(CHANGED), None)
        .refuses(&refusals(&[(409, "the identifier is taken, or the table is full")]))
}

fn list_agents(act: Act) -> Route {
    let agent = object()
        .with("agent", text("a name"))
        .with("clients", list(text("a client"), "who may give it"))
        .with("state", choice(&["active", "paused"], "whether it is held for now"));
    let members = object()
        .with("agents", list(agent.open(), "the names that some clients may give, and those that are paused"))
        .with("any_name", list(text("a client"), "the clients that may give any name"));
    looks(act, ("listAgents", "The agents"), members)
}

fn show_packs(act: Act) -> Route {
    looks(act, ("showPacks", "The policy pack in force"), packs())
}

fn reloaded() -> Schema {
    packs()
        .with("entry", hex(32, "the id of the leaf"))
        .with("leaf", text("the bytes of the leaf, in base64"))
        .with("receipt", text("c2sp.org/tlog-proof@v1"))
        .open()
}

fn packs() -> Members {
    let names = |about| list(text("a name"), about);
    let pack = object()
        .with("name", text("its name"))
        .with("digest", matching("^sha256:[0-9a-f]{64}$", "its digest, as leaves name it"))
        .with("state", choice(&["active"], "whether it decides"))
        .with("scopes", names("its scopes"))
        .with("rules", names("its rules"));
    object().with("packs", list(pack.open(), "there is one"))
}

fn list_tasks(act: Act) -> Route {
    let page =
        object().with("tasks", list(task().open(), "a page")).with("next", nullable(Type::String, "the last one, if there may be more"));
    begin(act, "listTasks", "The tasks, the newest first")
        .query("before", "tasks that began before this one", hex(32, "an id"))
        .query("limit", "how many at most", matching("^[0-9]{1,3}$", "1 to 256"))
        .answers(200, "a page of them", JSON, page.open(), None)
        .refuses(&refusals(&[]))
}

fn document() -> Route {
    route(HttpMethod::Get, PATH, ("openapi", "This document"))
        .answers(200, "the document", JSON, object().with("openapi", text("3.1.0")).open(), None)
        .refuses(&[])
}

/// The entry of a client, as the configuration has it.
fn client() -> Members {
    let names = |about| list(text("a name"), about);
    object()
        .with("id", text("1 to 128 printable ASCII characters without colon and space"))
        .with("auth_method", choice(&["client_secret_basic", "client_secret_post", "private_key_jwt"], "how it authenticates"))
        .maybe("jwks", open())
        .maybe("grants", list(choice(&["token_exchange", "client_credentials", "jwt_bearer"], "a grant"), "what it may use"))
        .maybe("dpop_bound_access_tokens", flag("whether each request must come with a DPoP proof"))
        .maybe("agents", names("the names that it may give"))
        .maybe("ceiling", open())
        .maybe("resource_server", flag("whether it may ask about tokens"))
        .maybe("audiences", names("for which it may ask"))
        .maybe("revoker", flag("whether it may revoke everything"))
}

fn changed() -> Schema {
    object()
        .with("client", named(CLIENT))
        .maybe("client_secret", text("the fresh secret, told once"))
        .with("entry", hex(32, "the id of the leaf"))
        .with("leaf", text("the bytes of the leaf, in base64"))
        .with("receipt", text("c2sp.org/tlog-proof@v1"))
        .open()
}

fn keys() -> Schema {
    let key = object()
        .with("kid", matching("^[0-9]+$", "its number"))
        .with("state", choice(&["prepared", "active", "retired", "tainted"], "where it stands in its life"))
        .open();
    object()
        .maybe("kid", matching("^[0-9]+$", "the key that has changed"))
        .maybe("entry", hex(32, "the id of the leaf that says so"))
        .maybe("leaf", text("the bytes of the leaf, in base64"))
        .maybe("receipt", text("c2sp.org/tlog-proof@v1"))
        .with("issuer", list(key, "those that sign tokens"))
        .with("log", open())
        .with("feed", list(open(), "those that sign the feed"))
        .with("jwt", list(open(), "those that sign JWT views"))
        .open()
}

fn task() -> Members {
    object()
        .with("task", hex(32, "its id"))
        .with("client", nullable(Type::String, "for which it began"))
        .with("expires", count("its end, in seconds since 1970"))
        .with("hops", count("how many were reported"))
        .with("max_hops", count("how many may be"))
        .with("revoked", flag("whether it was ended as a whole"))
        .with("paused", flag("whether it is held for now"))
}

fn target() -> Schema {
    object()
        .maybe("block", nullable(Type::String, "a block, with all that was made from it"))
        .maybe("task", nullable(Type::String, "a task"))
        .maybe("subject", nullable(Type::String, "a subject"))
        .maybe("agent", nullable(Type::String, "an agent"))
        .maybe("key", nullable(Type::String, "a holder's key"))
        .maybe("before", nullable(Type::Integer, "for the last three: tokens issued before this second"))
        .closed()
}

fn held() -> Schema {
    object().maybe("task", nullable(Type::String, "a task")).maybe("agent", nullable(Type::String, "an agent")).closed()
}

/// What is described elsewhere.
fn open() -> Schema {
    object().open()
}

fn refusals(more: &[(u16, &'static str)]) -> Vec<(u16, &'static str)> {
    more.iter().chain(&EVERY_ACT).copied().collect()
}

const CLIENT: &str = "Client";
const CHANGED: &str = "Changed";
const KEYS: &str = "Keys";

const TASK_UNKNOWN: (u16, &str) = (404, "there is no such task");

const EVERY_ACT: [(u16, &str); 4] = [
    (400, "the request is at fault"),
    (401, "the operator is not authenticated"),
    (403, "none of the operator's roles extends to it"),
    (429, "the operator's rate"),
];
