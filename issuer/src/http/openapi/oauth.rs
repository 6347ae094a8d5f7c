//! What clients ask of an authorization server.

use serde_json::{Value, json};
use utoipa::openapi::{HttpMethod::Get, HttpMethod::Post, RefOr, Schema, path::ParameterIn::Header};

use super::{
    route::{CLIENT, FORM, JSON, Route, route},
    schema::{DETAILS, MINTED, Members, choice, count, flag, hex, list, matching, named, object, recorded_example, text},
};

pub(super) fn routes() -> Vec<Route> {
    vec![token(), revoke(), introspect(), authorize(), jwks(), metadata()]
}

fn token() -> Route {
    let example = json!({ "grant_type": "client_credentials", "resource": "https://payments.example", "scope": "crm" });
    route(Post, "/oauth/token", ("token", "Issue a capability for a login, a token, a client or an assertion (RFC 6749, RFC 8693)"))
        .parameter(Header, "DPoP", "a proof of the key that the token is to be bound to (RFC 9449)", text("a JWT"))
        .credential(CLIENT)
        .body(FORM, token_request(), example)
        .answers(200, "the token, what it permits, and its leaf in the log", JSON, token_answer(), Some(token_example()))
        .refuses(&[
            (400, "the request, or whom it is about, is at fault; `error` and `reason` say how"),
            (401, "the client is not authenticated"),
            (429, "the client's or the subject's rate"),
        ])
}

/// Credentials in the body, for clients that are registered for them.
fn authenticated(members: Members) -> Members {
    members
        .maybe("client_id", text("the client"))
        .maybe("client_secret", text("its secret, for `client_secret_post`"))
        .maybe("client_assertion_type", choice(&["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"], "with `client_assertion`"))
        .maybe("client_assertion", text("a JWT, for `private_key_jwt` (RFC 7523)"))
}

fn token_request() -> Schema {
    const TYPE: &str = "a token type URI (RFC 8693 section 3)";
    let grants = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"];
    let members = object()
        .with("grant_type", choice(&grants, "whose authority is asked for"))
        .maybe("subject_token", text("on whose behalf"))
        .maybe("subject_token_type", text(TYPE))
        .maybe("actor_token", text("who acts"))
        .maybe("actor_token_type", text(TYPE))
        .maybe("assertion", text("an ID-JAG, for `jwt-bearer`"))
        .maybe("requested_token_type", choice(&REQUESTED, TYPE))
        .maybe("resource", list(text("an absolute URI"), "where the token goes (RFC 8707); may be repeated"))
        .maybe("audience", list(text("a name"), "where the token goes; may be repeated"))
        .maybe("scope", text("names of the policy, separated by spaces"))
        .maybe("authorization_details", text("a JSON array of one object (RFC 9396)"))
        .maybe("req_cnf", text("the key to bind the token to: a JSON object with `jwk`, or its base64url"))
        .maybe("holder_proof", text("the proof by that key"))
        .maybe("narrow_proof", text("the consent of the holder of a token that is narrowed"))
        .maybe("expires_in", matching("^[1-9][0-9]*$", "seconds of life"));
    authenticated(members).open()
}

fn token_answer() -> Schema {
    object()
        .with("access_token", text("the token"))
        .with("token_type", choice(&["DPoP", "Bearer"], "whether it is bound to a key"))
        .with("expires_in", count("seconds of life"))
        .maybe("issued_token_type", choice(&REQUESTED, "for a token exchange alone"))
        .maybe("scope", text("the scopes whose tools are all granted"))
        .with("authorization_details", named(DETAILS))
        .with("narrows", named(MINTED))
        .open()
}

fn token_example() -> Value {
    let mut recorded = recorded_example();
    if let Some(members) = recorded.as_object_mut() {
        members.insert("task".to_owned(), "2a8975cd867117a4d149fa7b08b0d766".into());
    }
    json!({
        "access_token": "CIvg6t8JEp0HCrAGCgdwcm9maWxl",
        "token_type": "DPoP",
        "expires_in": 600,
        "scope": "crm",
        "authorization_details": [{ "type": "narrows", "tools": ["crm.read"], "caveats": [] }],
        "narrows": recorded,
    })
}

fn revoke() -> Route {
    let members = object()
        .maybe("token", text("the token whose newest hop ends"))
        .maybe("token_type_hint", text("ignored"))
        .maybe("reach", choice(&["last", "chain"], "with `token`: its newest hop, or all of it"))
        .maybe("block", hex(64, "a block by its id"))
        .maybe("task", hex(32, "a task"))
        .maybe("subject", text("a subject by the name in tokens"))
        .maybe("agent", text("an agent by its name"))
        .maybe("key", hex(64, "a holder's key or its thumbprint"))
        .maybe("before", matching("^[0-9]+$", "seconds since 1970: what was issued before ends"));
    let about = "what records the revocation; empty where nothing had to end";
    let answer: RefOr<Schema> = object().open().into();
    route(Post, "/oauth/revoke", ("revoke", "End authority (RFC 7009)"))
        .credential(CLIENT)
        .body(FORM, authenticated(members).open(), json!({ "token": "CIvg6t8JEp0HCrAGCgdwcm9maWxl" }))
        .answers(200, about, JSON, answer, Some(recorded_example()))
        .refuses(&[
            (400, "the request is at fault, or the token is another client's"),
            (401, "the client is not authenticated"),
            (429, "the client's rate"),
        ])
}

fn introspect() -> Route {
    let members = object().with("token", text("the token")).maybe("token_type_hint", text("ignored"));
    let active = object()
        .with("active", flag("whether the token stands, and is the client's to know"))
        .maybe("iss", text("this issuer"))
        .maybe("sub", text("the subject, as tokens name it"))
        .maybe("client_id", text("the client that it was issued to"))
        .maybe("aud", list(text("a name"), "where it may be presented"))
        .maybe("iat", count("seconds since 1970"))
        .maybe("nbf", count("seconds since 1970"))
        .maybe("exp", count("seconds since 1970"))
        .maybe("jti", hex(64, "the id of the newest block"))
        .maybe("scope", text("the scope of the mint, while nothing was narrowed"))
        .maybe("token_type", choice(&["DPoP", "Bearer"], "whether it is bound to a key"))
        .maybe("act", object().open())
        .maybe("cnf", object().with("jkt", text("the thumbprint of the holder's key")).open())
        .maybe("authorization_details", named(DETAILS))
        .maybe("narrows", object().open());
    route(Post, "/oauth/introspect", ("introspect", "Ask whether a token stands, and what it permits (RFC 7662)"))
        .credential(CLIENT)
        .body(FORM, authenticated(members).open(), json!({ "token": "CIvg6t8JEp0HCrAGCgdwcm9maWxl" }))
        .answers(200, "what there is to know", JSON, active.open(), Some(json!({ "active": false })))
        .refuses(&[(400, "the request is at fault"), (401, "the client is not authenticated")])
}

fn authorize() -> Route {
    route(Get, "/oauth/authorize", ("authorize", "Always a refusal: tokens come from the token endpoint"))
        .refuses(&[(400, "`unsupported_response_type`")])
}

fn jwks() -> Route {
    let keys = object().with("keys", list(object().with("kty", text("the kind of key")).open(), "the keys")).open();
    route(Get, "/oauth/jwks", ("jwks", "The keys that sign JWT views (RFC 7517)"))
        .answers(200, "a key set, empty where there are no views", JSON, keys, Some(json!({ "keys": [] })))
        .refuses(&[])
}

fn metadata() -> Route {
    let address = || text("an address");
    let names = |about: &str| list(text("a name"), about);
    let mut members = object().with("issuer", address()).with("scopes_supported", names("the policy's scopes"));
    for endpoint in ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint", "jwks_uri"] {
        members = members.with(endpoint, address());
    }
    for supported in [
        "grant_types_supported",
        "response_types_supported",
        "code_challenge_methods_supported",
        "token_endpoint_auth_methods_supported",
        "token_endpoint_auth_signing_alg_values_supported",
        "authorization_details_types_supported",
        "dpop_signing_alg_values_supported",
    ] {
        members = members.with(supported, names("as RFC 8414 and its kin have it"));
    }
    route(Get, "/.well-known/oauth-authorization-server", ("metadata", "What a client needs to know of the issuer (RFC 8414)"))
        .answers(200, "the metadata", JSON, members.open(), None)
        .refuses(&[])
}

/// The kinds of token that can be asked for.
const REQUESTED: [&str; 3] =
    ["urn:ietf:params:oauth:token-type:access_token", "urn:ietf:params:oauth:token-type:jwt", "urn:narrows:token-type:biscuit"];
