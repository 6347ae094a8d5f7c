//! Form and query parameters, each of which may be given once (RFC 6749 section 3.1).

use std::collections::BTreeMap;

/// Parameters by name. No Debug: a form may hold a password.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` text, or `None` when a parameter is repeated or a value is too long. An
    /// empty value counts as absent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            let fits = value.len() <= MAX_VALUE_BYTES && parameters.len() < MAX_PARAMETERS;
            if !fits || parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return None;
            }
        }
        Some(Self(parameters))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

const MAX_VALUE_BYTES: usize = 1024;
const MAX_PARAMETERS: usize = 32;
