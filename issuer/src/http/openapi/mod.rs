//! The document that describes every route (OpenAPI 3.1), for whoever generates clients or tests from it.
//!
//! What is described stands here and not at the handlers: they read bodies and queries by hand, more strictly than a type says.

mod administration;
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
    ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Schema, Server,
    security::{Http, HttpAuthScheme, SecurityScheme},
};

use super::{Listener, well_known::document};
use route::{AUDITOR, CLIENT, OPERATOR, Route};

/// Serves a listener's document at [`PATH`].
pub(super) fn routes<S: Clone + Send + Sync + 'static>(listener: Listener) -> Router<S> {
    Router::new().route(PATH, get(async move || answer(listener)))
}

/// The document as JSON text.
pub fn text(listener: Listener) -> String {
    // It is made of texts and numbers alone, which always serialise.
    describe(listener).to_pretty_json().unwrap_or_default()
}

fn answer(listener: Listener) -> Response {
    document(&describe(listener))
}

/// Where the document is.
pub(super) const PATH: &str = "/openapi.json";

fn describe(listener: Listener) -> OpenApi {
    match listener {
        Listener::Public => {
            let groups = [oauth::routes(), verifiers::routes(), log::routes(), audit::routes(), operators::routes()];
            let credentials = [(CLIENT, HttpAuthScheme::Basic), (AUDITOR, HttpAuthScheme::Bearer)];
            made(("Narrows issuer", ABOUT), groups.into_iter().flatten(), schema::components(), &credentials)
        }
        Listener::Administration => {
            let credentials = [(OPERATOR, HttpAuthScheme::Bearer)];
            let about = ("Narrows administration", ABOUT_ADMINISTRATION);
            made(about, administration::routes(), administration::components(), &credentials)
        }
    }
}

fn made(
    (title, about): (&str, &str),
    routes: impl IntoIterator<Item = Route>,
    components: Vec<(&'static str, Schema)>,
    credentials: &[(&str, HttpAuthScheme)],
) -> OpenApi {
    let mut items: BTreeMap<&str, PathItem> = BTreeMap::new();
    for Route { path, method, operation } in routes {
        let item = PathItem::new(method, operation);
        match items.get_mut(path) {
            Some(known) => known.merge_operations(item),
            None => drop(items.insert(path, item)),
        }
    }
    let paths = items.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let components = components.into_iter().fold(ComponentsBuilder::new(), |all, (name, schema)| all.schema(name, schema));
    let components = credentials
        .iter()
        .fold(components, |all, (name, scheme)| all.security_scheme(*name, SecurityScheme::Http(Http::new(scheme.clone()))));
    let info = InfoBuilder::new().title(title).version(env!("CARGO_PKG_VERSION")).description(Some(about));
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

const ABOUT_ADMINISTRATION: &str = "Administers an issuer, on a listener of its own. Each request carries an operator's secret, and each \
    answer but 401 and 429 is on record before it leaves. `docs/http-api.md` says which role each route takes. Answers may gain members; \
    whoever reads them ignores unknown ones.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::router::ROUTES;
    use super::*;
    use crate::admin::{Act, Method};

    fn parsed(listener: Listener) -> Value {
        serde_json::from_str(&text(listener)).unwrap()
    }

    /// Paths with their methods.
    fn described(document: &Value) -> BTreeSet<(String, String)> {
        let items = document["paths"].as_object().unwrap().iter();
        items.flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone()))).collect()
    }

    #[test]
    fn the_document_of_administration_describes_its_acts_and_no_other() {
        let document = parsed(Listener::Administration);
        let method = |act: &Act| match act.method() {
            Method::Get => "get",
            Method::Post => "post",
            Method::Delete => "delete",
        };
        let mut acts: BTreeSet<_> = Act::ALL.iter().map(|act| (act.path().to_owned(), method(act).to_owned())).collect();
        assert!(acts.insert((PATH.to_owned(), "get".to_owned())));
        assert_eq!(described(&document), acts);
        assert_eq!(acts.len(), Act::ALL.len() + 1, "each act has a route of its own");
        for act in Act::ALL {
            assert!(ROUTES.contains(&act.path()), "metrics don't know {}", act.path());
            let operation = &document["paths"][act.path()][method(act)];
            assert_eq!(operation["security"], serde_json::json!([{ "operator": [] }]), "{}", act.name());
            for status in ["401", "403", "429"] {
                assert!(operation["responses"][status].is_object(), "{} lacks {status}", act.name());
            }
        }
    }

    #[test]
    fn the_document_describes_the_routes_of_the_public_listener_and_no_other() {
        let document = parsed(Listener::Public);
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
        for document in [Listener::Public, Listener::Administration].map(parsed) {
            every_operation_is_whole(&document);
        }
    }

    fn every_operation_is_whole(document: &Value) {
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
