//! The compact form of a JWT, taken apart strictly and believed in nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narrows_verifier::Reason;
use serde_json::{Map, Value};

use super::fault::Fault;
use super::json::parse_object;

/// A JWT that is well formed and whose signature nobody has looked at yet. It has no Debug: it holds a live token.
pub struct UnverifiedJwt<'a> {
    pub(super) header: Header,
    pub(super) claims: Map<String, Value>,
    pub(super) signing_input: &'a str,
    pub(super) signature: &'a str,
}

/// The header members that a verifier reads; everything else in a header is either refused or ignored.
pub(super) struct Header {
    pub(super) algorithm: String,
    pub(super) key_id: Option<String>,
    /// Lower case and without the `application/` prefix that RFC 7515 section 4.1.9 lets senders omit.
    pub(super) media_type: Option<String>,
    /// The key that the header brings along; only a DPoP proof may.
    pub(super) key: Option<Map<String, Value>>,
    /// Whether there is nothing but `alg`, `kid` and `typ`.
    pub(super) plain: bool,
}

impl<'a> UnverifiedJwt<'a> {
    /// Takes a JWT apart that brings no key along. Errors: `JWT_TOO_LARGE`, `JWT_MALFORMED`, `JWT_HEADER`, `JWT_CLAIMS`.
    pub fn parse(token: &'a str) -> Result<Self, Fault> {
        let parsed = Self::parse_with_key(token)?;
        if parsed.header.key.is_some() { Err(Fault::at("jwk", Reason::JwtHeader)) } else { Ok(parsed) }
    }

    /// The same where `jwk` in the header is an object, if it is there.
    pub(super) fn parse_with_key(token: &'a str) -> Result<Self, Fault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::JwtTooLarge.into());
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Reason::JwtMalformed)?;
        let (header, claims) = signing_input.split_once('.').ok_or(Reason::JwtMalformed)?;
        let header = decode_segment(header)?;
        let claims = decode_segment(claims)?;
        decode_segment(signature)?;
        Ok(Self { header: Header::parse(&header)?, claims: parse_object(&claims).ok_or(Reason::JwtClaims)?, signing_input, signature })
    }

    /// The `iss` that the token claims, to find the keys with which to check it; `None` unless it is a string.
    pub fn unverified_issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// The `sub` that the token claims, to find the trust domain that may vouch for it; `None` unless it is a string.
    pub fn unverified_subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }

    /// The key id that the token names, if any.
    pub fn unverified_key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// The algorithm that the token names.
    pub fn unverified_algorithm(&self) -> &str {
        &self.header.algorithm
    }

    /// The media type that the token names, in lower case and without `application/`.
    pub fn unverified_media_type(&self) -> Option<&str> {
        self.header.media_type.as_deref()
    }

    /// A claim as it stands, for somebody who looks at their own token.
    pub fn unverified_claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    pub(super) fn signature_bytes(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.signature).ok()
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let members = parse_object(bytes).ok_or(Reason::JwtHeader)?;
        if let Some(name) = REFUSED_MEMBERS.iter().find(|name| members.contains_key(**name)) {
            return Err(Fault::at(name, Reason::JwtHeader));
        }
        let text = |name: &'static str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_HEADER_TEXT_BYTES => Ok(Some(text.clone())),
            Some(_) => Err(Fault::at(name, Reason::JwtHeader)),
        };
        let key = match members.get("jwk") {
            None => None,
            Some(Value::Object(key)) => Some(key.clone()),
            Some(_) => return Err(Fault::at("jwk", Reason::JwtHeader)),
        };
        let media_type = text("typ")?.map(|name| name.to_ascii_lowercase());
        Ok(Self {
            algorithm: text("alg")?.ok_or(Fault::at("alg", Reason::JwtHeader))?,
            key_id: text("kid")?,
            media_type: media_type.map(|name| name.strip_prefix("application/").unwrap_or(&name).to_owned()),
            key,
            plain: members.keys().all(|name| matches!(name.as_str(), "alg" | "kid" | "typ")),
        })
    }
}

fn decode_segment(segment: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Reason::JwtMalformed)
}

/// Looked at before any decoding, so that a flood of large tokens costs nothing.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

const MAX_HEADER_TEXT_BYTES: usize = 255;

/// Members that change what is signed (`crit`, `b64`, `zip`, `enc`) or say where the key is (`jku`, `x5u`).
/// The backend ignores them, so a token that carries one would mean something else to a stricter reader.
const REFUSED_MEMBERS: [&str; 6] = ["crit", "b64", "zip", "enc", "jku", "x5u"];
