//! What a tool server says of itself as an OAuth protected resource (RFC 9728): where its tokens come from and what to ask for.

use std::collections::BTreeSet;

use narrows_verifier::{
    json::Value,
    proof::dpop::{ALGORITHMS, normal_url},
};

/// A tool server whose callers can find out by themselves where to get a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// Scheme, host and port.
    origin: String,
    /// What of its address follows the origin; empty where nothing does.
    path: String,
    /// The metadata as it is served.
    document: String,
    /// What to ask for at first, separated by spaces.
    pub(super) first_scope: String,
}

/// What the metadata is made of.
pub(super) struct Description<'a> {
    /// The audience, which is the address: a client compares the two (RFC 9728 §3.3).
    pub(super) audience: &'a str,
    pub(super) authorization_servers: &'a [String],
    pub(super) scopes: &'a BTreeSet<String>,
    /// Whether some tool takes bearer tokens.
    pub(super) bearer: bool,
}

impl Resource {
    /// `None` when the audience is no address, or one that could be written in another way.
    pub(super) fn new(description: &Description<'_>) -> Option<Self> {
        let (origin, path) = split(description.audience)?;
        let text = |text: &String| Value::Text(text.clone());
        let texts = |texts: &[&str]| Value::Array(texts.iter().map(|text| Value::Text((*text).to_owned())).collect());
        let document = Value::object([
            ("resource", Value::Text(description.audience.to_owned())),
            ("authorization_servers", Value::Array(description.authorization_servers.iter().map(text).collect())),
            // also when there are none: some clients then ask for every scope that the authorization server has
            ("scopes_supported", Value::Array(description.scopes.iter().map(text).collect())),
            ("bearer_methods_supported", texts(&["header"])),
            ("dpop_signing_alg_values_supported", texts(ALGORITHMS)),
            ("dpop_bound_access_tokens_required", Value::Flag(!description.bearer)),
        ]);
        let scopes: Vec<&str> = description.scopes.iter().map(String::as_str).collect();
        Some(Self { document: document.canonical(), first_scope: scopes.join(" "), origin, path })
    }

    /// Scheme, host and port of the address.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Where the metadata lies (RFC 9728 §3.1).
    pub(super) fn metadata_url(&self) -> String {
        format!("{}{WELL_KNOWN}{}", self.origin, self.path)
    }

    /// The metadata, for a request to one of its two places: the one that the address gives, and the root, where some clients look
    /// when they find nothing there.
    pub(super) fn document_at(&self, path: &str) -> Option<&str> {
        let rest = path.strip_prefix(WELL_KNOWN)?;
        (rest.is_empty() || rest == self.path).then_some(self.document.as_str())
    }
}

/// Whether a text can stand in `scope` (RFC 6749 §3.3), and so between quotes in a header.
pub(super) fn is_scope(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=MAX_SCOPE).contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether a text is an address in its one spelling: http or https, without query, fragment and a slash at the end.
pub(super) fn is_address(text: &str) -> bool {
    split(text).is_some()
}

/// Origin and path of an address in its one spelling.
fn split(address: &str) -> Option<(String, String)> {
    let normal = normal_url(address).ok()?;
    let (scheme, rest) = address.split_once("://")?;
    let host = rest.split('/').next()?;
    let origin = format!("{scheme}://{host}");
    let path = address.strip_prefix(&origin)?;
    let same = if path.is_empty() { normal.strip_suffix('/') == Some(address) } else { normal == address };
    // nothing that would end a quoted text in a header
    let plain = !address.contains('"') && !address.ends_with('/');
    (same && plain).then(|| (origin.clone(), path.to_owned()))
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const MAX_SCOPE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(audience: &str, bearer: bool) -> Option<Resource> {
        let scopes = ["a", "b:c"].map(str::to_owned).into();
        let authorization_servers = &["https://issuer.example".to_owned()];
        Resource::new(&Description { audience, authorization_servers, scopes: &scopes, bearer })
    }

    #[test]
    fn the_metadata_is_that_of_rfc_9728() {
        let resource = resource("https://crm.example/mcp", false).unwrap();
        assert_eq!(
            resource.document_at("/.well-known/oauth-protected-resource/mcp"),
            Some(
                r#"{"authorization_servers":["https://issuer.example"],"bearer_methods_supported":["header"],"dpop_bound_access_tokens_required":true,"dpop_signing_alg_values_supported":["ES256","EdDSA","Ed25519"],"resource":"https://crm.example/mcp","scopes_supported":["a","b:c"]}"#
            )
        );
        assert_eq!(resource.first_scope, "a b:c");
    }

    #[test]
    fn its_address_is_inserted_before_the_path_and_the_root_answers_too() {
        let table = [
            ("https://crm.example/mcp", "https://crm.example/.well-known/oauth-protected-resource/mcp", Some("/mcp")),
            ("https://crm.example:8443/a/b", "https://crm.example:8443/.well-known/oauth-protected-resource/a/b", Some("/a/b")),
            ("http://127.0.0.1:8430", "http://127.0.0.1:8430/.well-known/oauth-protected-resource", None),
        ];
        for (audience, url, path) in table {
            let resource = resource(audience, true).unwrap();
            assert_eq!(resource.metadata_url(), url);
            let at = |rest: &str| resource.document_at(&format!("/.well-known/oauth-protected-resource{rest}")).is_some();
            assert!(at("") && path.is_none_or(at), "{audience}");
            for other in ["/", "/other", "/mcp/", "x", "/mcp?x"] {
                assert!(!at(other), "{audience} {other}");
            }
        }
    }

    #[test]
    fn an_audience_with_two_spellings_is_no_address() {
        let table = [
            "https://crm.example/",
            "https://crm.example/mcp/",
            "https://CRM.example",
            "https://crm.example:443",
            "https://crm.example/a/../b",
            "https://crm.example/%41",
            "https://crm.example?x",
            "https://crm.example#x",
            "https://user@crm.example",
            "ftp://crm.example",
            "crm.example",
            "",
        ];
        for audience in table {
            assert_eq!(resource(audience, false), None, "{audience}");
        }
    }

    #[test]
    fn a_scope_can_not_break_out_of_a_header() {
        for text in ["crm:read", "a", "!#[]~"] {
            assert!(is_scope(text), "{text}");
        }
        for text in ["", "a b", "a\"b", "a\\b", "a\nb", "ä", &"x".repeat(129)] {
            assert!(!is_scope(text), "{text}");
        }
    }
}
