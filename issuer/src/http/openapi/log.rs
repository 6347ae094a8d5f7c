//! The log as everybody may read it (C2SP tlog-tiles).

use utoipa::openapi::{
    HttpMethod::Get,
    path::ParameterIn::{Header, Path},
};

use super::{
    route::{AUDITOR, BYTES, Route, TEXT, route},
    schema::{hex, text},
};

pub(super) fn routes() -> Vec<Route> {
    vec![checkpoint(), tile(), receipt()]
}

fn checkpoint() -> Route {
    route(Get, "/log/checkpoint", ("checkpoint", "The newest signed checkpoint"))
        .answers(200, "a signed note", TEXT, text("c2sp.org/tlog-checkpoint"), Some("narrows.example/log\n2\n".into()))
        .refuses(&[])
}

fn tile() -> Route {
    route(Get, "/log/tile/{path}", ("tile", "Hash tiles and entry bundles, by the paths of c2sp.org/tlog-tiles"))
        .parameter(Path, "path", "level or `entries`, index and width; it holds slashes", text("such as `0/000` or `entries/000.p/5`"))
        .parameter(Header, "Narrows-Reading", "the reading that a bundle of entries is part of", hex(32, "its id"))
        .credential(AUDITOR)
        .answers(200, "the bytes", BYTES, text("hashes, or leaves behind their lengths"), None)
        .refuses(&[
            (400, "the request is malformed"),
            (401, "the auditor is not authenticated"),
            (403, "entries are not public"),
            (404, "there is no such tile"),
            (410, "the entries have gone, as the policy on retention says"),
            (429, "the auditor's rate"),
        ])
}

fn receipt() -> Route {
    route(Get, "/v1/receipts/{entry}", ("receipt", "A receipt of an entry"))
        .parameter(Path, "entry", "the id of the entry, or its index", text("32 hex digits, or a number"))
        .query("witnessed", "given without a value: under the newest checkpoint that a quorum of witnesses has cosigned", text("empty"))
        .answers(200, "the receipt", TEXT, text("c2sp.org/tlog-proof@v1"), Some("c2sp.org/tlog-proof@v1\nindex 3\n".into()))
        .refuses(&[(400, "another query, or a malformed path"), (404, "there is no such entry")])
}
