//! The compact form of a JWT, taken apart strictly and believed in nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narrows_verifier::Reason;
use serde_json::{Map, Value};

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
}

impl<'a> UnverifiedJwt<'a> {
    /// Takes a JWT apart. Errors: `JWT_TOO_LARGE`, `JWT_MALFORMED`, `JWT_HEADER`, `JWT_CLAIMS`.
    pub fn parse(token: &'a str) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::JwtTooLarge);
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

    /// The key id that the token names, if any.
    pub fn unverified_key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        let members = parse_object(bytes).ok_or(Reason::JwtHeader)?;
        if REFUSED_MEMBERS.iter().any(|name| members.contains_key(*name)) {
            return Err(Reason::JwtHeader);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_HEADER_TEXT_BYTES => Ok(Some(text.clone())),
            Some(_) => Err(Reason::JwtHeader),
        };
        let media_type = text("typ")?.map(|name| name.to_ascii_lowercase());
        Ok(Self {
            algorithm: text("alg")?.ok_or(Reason::JwtHeader)?,
            key_id: text("kid")?,
            media_type: media_type.map(|name| name.strip_prefix("application/").unwrap_or(&name).to_owned()),
        })
    }
}

fn decode_segment(segment: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Reason::JwtMalformed)
}

/// Looked at before any decoding, so that a flood of large tokens costs nothing.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

const MAX_HEADER_TEXT_BYTES: usize = 255;

/// Members that change what is signed (`crit`, `b64`, `zip`, `enc`) or bring the key along (`jwk`, `jku`, `x5u`).
/// The backend ignores most of them, so a token that carries one would mean something else to a stricter reader.
const REFUSED_MEMBERS: [&str; 7] = ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u"];
