//! One operation as the document has it.

use serde_json::Value;
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, HttpMethod, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    security::SecurityRequirement,
};

use super::schema::{OAUTH_REFUSAL, REFUSAL, count, text};

/// A path with one of its methods.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) method: HttpMethod,
    pub(super) operation: Operation,
}

/// How the endpoint words its refusals.
#[derive(Clone, Copy)]
pub(super) enum Words {
    /// RFC 6749 §5.2.
    Oauth,
    Plain,
}

/// What is being said of an operation.
pub(super) struct Describing {
    path: &'static str,
    method: HttpMethod,
    operation: OperationBuilder,
    words: Words,
}

/// Begins with what the operation does.
pub(super) fn route(method: HttpMethod, path: &'static str, (name, summary): (&str, &str)) -> Describing {
    let words = if path.starts_with("/oauth/") { Words::Oauth } else { Words::Plain };
    let operation = OperationBuilder::new().operation_id(Some(name)).summary(Some(summary));
    Describing { path, method, operation, words }
}

impl Describing {
    pub(super) fn parameter(mut self, place: ParameterIn, name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        let required = if place == ParameterIn::Path { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
        self.operation = self.operation.parameter(parameter.description(Some(about)).schema(Some(schema)));
        self
    }

    pub(super) fn query(self, name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.parameter(ParameterIn::Query, name, about, schema)
    }

    /// The body, of this media type.
    pub(super) fn body(mut self, media_type: &str, schema: impl Into<RefOr<Schema>>, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
        self.operation = self
            .operation
            .request_body(Some(RequestBodyBuilder::new().content(media_type, content).required(Some(Required::True)).build()));
        self
    }

    /// Takes this credential, which may also come in another way or not be wanted at all.
    pub(super) fn credential(mut self, scheme: &str) -> Self {
        let none = SecurityRequirement::default();
        self.operation = self.operation.securities(Some([SecurityRequirement::new(scheme, [""; 0]), none]));
        self
    }

    /// Takes this credential and no other.
    pub(super) fn requires(mut self, scheme: &str) -> Self {
        self.operation = self.operation.security(SecurityRequirement::new(scheme, [""; 0]));
        self
    }

    /// A body that may be left out.
    pub(super) fn body_if_any(mut self, media_type: &str, schema: impl Into<RefOr<Schema>>, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
        let body = RequestBodyBuilder::new().content(media_type, content).required(Some(Required::False)).build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// An answer that is no refusal.
    pub(super) fn answers(
        self,
        status: u16,
        about: &str,
        media_type: &str,
        schema: impl Into<RefOr<Schema>>,
        example: Option<Value>,
    ) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).example(example).build();
        self.response(status, ResponseBuilder::new().description(about).content(media_type, content))
    }

    /// An answer without a body.
    pub(super) fn says(self, status: u16, about: &str) -> Self {
        self.response(status, ResponseBuilder::new().description(about))
    }

    /// Refusals of these statuses beside those that every route has.
    pub(super) fn refuses(mut self, statuses: &[(u16, &str)]) -> Route {
        for (status, about) in statuses.iter().chain(&EVERYWHERE) {
            let schema = match self.words {
                Words::Oauth => OAUTH_REFUSAL,
                Words::Plain => REFUSAL,
            };
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            let response = ResponseBuilder::new().description(*about).content(JSON, content);
            let response = match status {
                401 => response.header("WWW-Authenticate", HeaderBuilder::new().schema(Some(text("the scheme to use"))).build()),
                429 | 503 => response.header("Retry-After", HeaderBuilder::new().schema(Some(count("seconds"))).build()),
                _ => response,
            };
            self = self.response(*status, response);
        }
        Route { path: self.path, method: self.method, operation: self.operation.build() }
    }

    fn response(mut self, status: u16, response: ResponseBuilder) -> Self {
        let trace = HeaderBuilder::new().schema(Some(text("the trace id")));
        let response: Response = response.header("Narrows-Trace", trace.build()).build();
        self.operation = self.operation.response(status.to_string(), response);
        self
    }
}

/// The media types.
pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
pub(super) const TEXT: &str = "text/plain";
pub(super) const BYTES: &str = "application/octet-stream";

/// The credentials.
pub(super) const CLIENT: &str = "client";
pub(super) const AUDITOR: &str = "auditor";
pub(super) const OPERATOR: &str = "operator";

/// What the envelope refuses before any endpoint sees it.
const EVERYWHERE: [(u16, &str); 4] = [
    (408, "the body came too slowly"),
    (413, "the body is too large"),
    (415, "the body is encoded or of another media type"),
    (503, "the service can't answer now; nothing was released"),
];
