//! The compact JWS of a DPoP proof (RFC 7515 §7.1), read so that it has one meaning.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::DpopKey;
use crate::{
    Reason,
    json::{Key, Limits, Value, parse},
};

/// The `typ` of RFC 9449 §4.2.
pub(super) const TYPE: &str = "dpop+jwt";

/// A JWS whose form is right and whose signature is still to be checked.
pub(super) struct Unverified<'a> {
    /// What is signed: header and claims as they travel.
    pub(super) input: &'a str,
    /// The key that the header brings along; whose it is remains to be seen.
    pub(super) key: DpopKey,
    pub(super) signature: [u8; 64],
    pub(super) claims: Members,
}

/// A JSON object.
pub(super) struct Members(Value);

pub(super) fn open(text: &str) -> Result<Unverified<'_>, Reason> {
    if text.len() > MAX_TEXT {
        return Err(Reason::DpopMalformed);
    }
    let (input, signature) = text.rsplit_once('.').ok_or(Reason::DpopMalformed)?;
    let (header, claims) = input.split_once('.').ok_or(Reason::DpopMalformed)?;
    let signature = decode(signature)?.try_into().map_err(|_| Reason::DpopMalformed)?;
    Ok(Unverified { input, key: header_key(&Members::read(header)?)?, signature, claims: Members::read(claims)? })
}

/// A header that says anything else (`crit`, `kid`, `b64`, a private `d` in the key) is refused and not skipped over.
fn header_key(header: &Members) -> Result<DpopKey, Reason> {
    header.only(&["alg", "jwk", "typ"])?;
    if header.text("typ")? != TYPE {
        return Err(Reason::DpopMalformed);
    }
    let jwk = Members(header.member("jwk").ok_or(Reason::DpopMalformed)?.clone());
    let key = read_key(&jwk).map_err(|reason| if reason == Reason::WeakKey { reason } else { Reason::DpopMalformed })?;
    if key.signs_with(header.text("alg")?) { Ok(key) } else { Err(Reason::DpopMalformed) }
}

fn read_key(jwk: &Members) -> Result<DpopKey, Reason> {
    match (jwk.text("kty")?, jwk.text("crv")?) {
        ("OKP", "Ed25519") => {
            jwk.only(&["crv", "kty", "x"])?;
            DpopKey::ed25519(&decode(jwk.text("x")?)?)
        }
        ("EC", "P-256") => {
            jwk.only(&["crv", "kty", "x", "y"])?;
            DpopKey::p256(&decode(jwk.text("x")?)?, &decode(jwk.text("y")?)?)
        }
        _ => Err(Reason::DpopMalformed),
    }
}

impl Members {
    fn read(part: &str) -> Result<Self, Reason> {
        parse(&decode(part)?, Limits::SIGNED).map(Self).map_err(|_| Reason::DpopMalformed)
    }

    /// No members but these.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), Reason> {
        let members = self.0.as_object().ok_or(Reason::DpopMalformed)?;
        if members.keys().all(|key| names.contains(&key.0.as_str())) { Ok(()) } else { Err(Reason::DpopMalformed) }
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, Reason> {
        self.optional_text(name)?.ok_or(Reason::DpopMalformed)
    }

    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&str>, Reason> {
        self.member(name).map(|value| value.as_text().ok_or(Reason::DpopMalformed)).transpose()
    }

    /// Whole seconds since the Unix epoch.
    pub(super) fn time(&self, name: &str) -> Result<u64, Reason> {
        let Some(Value::Integer(time)) = self.member(name) else { return Err(Reason::DpopMalformed) };
        u64::try_from(*time).map_err(|_| Reason::ProofTime)
    }

    fn member(&self, name: &str) -> Option<&Value> {
        self.0.as_object()?.get(&Key(name.to_owned()))
    }
}

/// Unpadded, and without bits left over: each text has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::DpopMalformed)
}

const MAX_TEXT: usize = 8 * 1024;
