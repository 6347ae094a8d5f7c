//! The document that describes every route (OpenAPI 3.1), for whoever generates clients or tests from it.
//!
//! What is described stands here and not at the handlers: they read bodies and queries by hand, more strictly than a type says.

mod audit;
mod log;
mod oauth;
mod operators;
mod route;
mod schema;
mod verifiers;

use std::collections::BTreeMap;

use axum::{Router, response::Response, routing::get};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Server,
    security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::well_known::document;
use route::{AUDITOR, CLIENT, Route};

/// Serves the document at [`PATH`].
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(PATH, get(async || answer()))
}

/// The document as JSON text.
pub fn text() -> String {
    // It is made of texts and numbers alone, which always serialise.
    describe().to_pretty_json().unwrap_or_default()
}

fn answer() -> Response {
    document(&describe())
}

/// Where the document is.
pub(super) const PATH: &str = "/openapi.json";

fn describe() -> OpenApi {
    let mut items: BTreeMap<&str, PathItem> = BTreeMap::new();
    let groups = [oauth::routes(), verifiers::routes(), log::routes(), audit::routes(), operators::routes()];
    for Route { path, method, operation } in groups.into_iter().flatten() {
        let item = PathItem::new(method, operation);
        match items.get_mut(path) {
            Some(known) => known.merge_operations(item),
            None => drop(items.insert(path, item)),
        }
    }
    let paths = items.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let components = schema::components().into_iter().fold(ComponentsBuilder::new(), |all, (name, schema)| all.schema(name, schema));
    let components = components
        .security_scheme(CLIENT, SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)))
        .security_scheme(AUDITOR, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let info = InfoBuilder::new().title("Narrows issuer").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([Server::new("/")]))
        .paths(paths.build())
        .components(Some(components.build()))
        .build()
}

const ABOUT: &str = "Issues capabilities that can only be narrowed, keeps the log of them, and says what is revoked. \
    `docs/http-api.md` says what each route promises. Answers may gain members; whoever reads them ignores unknown ones. \
    Clients authenticate at the token, revocation and introspection endpoint as they are registered: by HTTP Basic, or by \
    `client_id` and `client_secret` or `client_assertion` in the body.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::router::ROUTES;
    use super::*;
    use crate::admin::Act;

    fn parsed() -> Value {
        serde_json::from_str(&text()).unwrap()
    }

    #[test]
    fn the_document_describes_the_routes_of_the_public_listener_and_no_other() {
        let document = parsed();
        let described: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
        // OpenAPI has no word for a parameter that may hold slashes
        let elsewhere: BTreeSet<&str> = Act::ALL.iter().map(|act| act.path()).collect();
        let routes: BTreeSet<String> =
            ROUTES.iter().filter(|route| !elsewhere.contains(**route)).map(|route| route.replace("{*", "{")).collect();
        assert_eq!(described, routes);
        assert_eq!(document["openapi"], "3.1.0");
    }

    #[test]
    fn each_operation_has_its_own_name_its_refusals_and_what_it_refers_to() {
        let document = parsed();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
                let responses = operation["responses"].as_object().unwrap();
                for status in ["408", "413", "415", "503"] {
                    assert!(responses.contains_key(status), "{method} {path} lacks {status}");
                }
                let named = path.matches('{').count();
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                assert_eq!(parameters.filter(|parameter| parameter["in"] == "path").count(), named, "{path}");
            }
        }
        let text = document.to_string();
        let known = document["components"]["schemas"].as_object().unwrap();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(known.contains_key(name), "{name}");
        }
    }
}
