//! The shapes of bodies. Objects are open: members may be added to answers, and unknown parameters are ignored.

use serde_json::{Value, json};
use utoipa::openapi::{
    AllOfBuilder, ArrayBuilder, Object, ObjectBuilder, Ref, RefOr, Schema,
    schema::{SchemaType, Type},
};

pub(super) fn text(about: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).description(Some(about)).build()
}

pub(super) fn count(about: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).description(Some(about)).build()
}

pub(super) fn flag(about: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).description(Some(about)).build()
}

pub(super) fn matching(pattern: &str, about: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).description(Some(about)).build()
}

/// So many hex digits.
pub(super) fn hex(digits: usize, about: &str) -> Object {
    matching(&format!("^[0-9a-f]{{{digits}}}$"), about)
}

pub(super) fn choice(values: &[&str], about: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values.iter().copied())).description(Some(about)).build()
}

/// A value or null.
pub(super) fn nullable(kind: Type, about: &str) -> Object {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null])).description(Some(about)).build()
}

pub(super) fn list(of: impl Into<RefOr<Schema>>, about: &str) -> Schema {
    ArrayBuilder::new().items(of.into()).description(Some(about)).build().into()
}

pub(super) fn named(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// An object of members, of which those marked must be there.
pub(super) struct Members(ObjectBuilder);

pub(super) fn object() -> Members {
    Members(ObjectBuilder::new().schema_type(Type::Object))
}

impl Members {
    pub(super) fn with(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        Self(self.0.property(name, schema).required(name))
    }

    pub(super) fn maybe(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        Self(self.0.property(name, schema))
    }

    /// With no other members than these.
    pub(super) fn closed(self) -> Schema {
        use utoipa::openapi::schema::AdditionalProperties::FreeForm;
        self.0.additional_properties(Some(FreeForm(false))).build().into()
    }

    pub(super) fn open(self) -> Schema {
        self.0.build().into()
    }
}

/// What several routes refer to.
pub(super) fn components() -> Vec<(&'static str, Schema)> {
    let reason = || matching("^[A-Z][A-Z0-9_]*$", "the stable reason, one of docs/reason-codes.md");
    let described = "^[ !#-\\[\\]-~]*$";
    let recorded = || {
        object()
            .with("entry", hex(32, "the id of the leaf"))
            .with("leaf", text("the bytes of the leaf, in base64"))
            .with("receipt", matching("^c2sp\\.org/tlog-proof@v1\n", "that the leaf is in the log"))
    };
    let oauth = object()
        .with("error", choice(&ERRORS, "the code of OAuth"))
        .with("error_description", matching(described, "one sentence for a person"))
        .with("reason", reason())
        .with("trace", hex(32, "as in the header `Narrows-Trace`"));
    let plain = object()
        .with("reason", reason())
        .with("message", matching(described, "one sentence for a person"))
        .with("trace", hex(32, "as in the header `Narrows-Trace`"));
    let detail = object().with("type", choice(&["narrows", "attenuating_agent_token"], "which vocabulary"));
    let own = object().with("task", hex(32, "the task that the token is for"));
    vec![
        (OAUTH_REFUSAL, oauth.open()),
        (REFUSAL, plain.open()),
        (RECORDED, recorded().open()),
        (DETAILS, list(detail.open(), "what a token permits (RFC 9396), in the vocabulary of docs/http-api.md")),
        (MINTED, AllOfBuilder::new().item(named(RECORDED)).item(own.open()).build().into()),
    ]
}

/// An answer of `/oauth/revoke` and its like.
pub(super) fn recorded_example() -> Value {
    json!({
        "entry": "8f0b41d2c1a94a6f9d0a1be1f1f9b1d2",
        "leaf": "eyJibG9ja3MiOls=",
        "receipt": "c2sp.org/tlog-proof@v1\nindex 3\n",
    })
}

/// Names of shapes.
pub(super) const OAUTH_REFUSAL: &str = "OAuthRefusal";
pub(super) const REFUSAL: &str = "Refusal";
pub(super) const RECORDED: &str = "Recorded";
pub(super) const DETAILS: &str = "AuthorizationDetails";
pub(super) const MINTED: &str = "Minted";

const ERRORS: [&str; 13] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "invalid_scope",
    "invalid_target",
    "invalid_authorization_details",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "temporarily_unavailable",
    "server_error",
];
