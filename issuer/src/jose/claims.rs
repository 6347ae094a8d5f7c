//! The registered claims of a JWT, checked at a given time.

use narrows_verifier::Reason;
use serde_json::{Map, Value};

use super::fault::Fault;
use super::profile::{Audience, Kind, Profile};

/// The claims that every profile reads, as plain values.
pub(super) struct CheckedClaims {
    pub(super) subject: String,
    pub(super) expires_s: u64,
    pub(super) issued_s: Option<u64>,
    pub(super) jwt_id: Option<String>,
}

/// Checks everything but the sender, who was compared before the signature.
pub(super) fn check(claims: &Map<String, Value>, profile: &Profile<'_>, now_s: u64) -> Result<CheckedClaims, Fault> {
    let expires = date(claims, "exp")?.ok_or(Fault::at("exp", Reason::JwtClaims))?;
    let issued = date(claims, "iat")?;
    check_window(Some(expires), date(claims, "nbf")?, now_s)?;
    check_age(expires, issued, profile, now_s)?;
    check_audience(claims.get("aud"), profile.audience)?;
    let subject = claims.get("sub").and_then(Value::as_str).filter(|text| is_name(text));
    let subject = subject.ok_or(Fault::at("sub", Reason::JwtSubject))?;
    let jwt_id = match claims.get("jti") {
        None if profile.jwt_id_required => return Err(Fault::at("jti", Reason::JwtClaims)),
        None => None,
        Some(Value::String(id)) if is_name(id) => Some(id.clone()),
        Some(_) => return Err(Fault::at("jti", Reason::JwtClaims)),
    };
    check_kind(claims, profile, subject)?;
    Ok(CheckedClaims { subject: subject.to_owned(), expires_s: expires.floor, issued_s: issued.map(|issued| issued.floor), jwt_id })
}

/// A NumericDate (RFC 7519 section 2). A fraction is rounded to the strict side wherever it is compared.
#[derive(Clone, Copy)]
pub(super) struct Date {
    pub(super) floor: u64,
    pub(super) ceiling: u64,
}

/// A claim that is a date, if it is there: nothing negative or beyond 2^53.
pub(super) fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Date>, Fault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let date = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => Date { floor: seconds, ceiling: seconds },
        (None, Some(seconds)) if (0.0..=MAX_DATE_S as f64).contains(&seconds) => {
            Date { floor: seconds.floor() as u64, ceiling: seconds.ceil() as u64 }
        }
        _ => return Err(Fault::at(name, Reason::JwtClaims)),
    };
    if date.ceiling <= MAX_DATE_S { Ok(Some(date)) } else { Err(Fault::at(name, Reason::JwtClaims)) }
}

pub(super) fn check_window(expires: Option<Date>, not_before: Option<Date>, now_s: u64) -> Result<(), Fault> {
    if expires.is_some_and(|expires| now_s >= expires.floor.saturating_add(SKEW_S)) {
        return Err(Fault::at("exp", Reason::JwtExpired));
    }
    if not_before.is_some_and(|start| start.ceiling > now_s.saturating_add(SKEW_S)) {
        return Err(Fault::at("nbf", Reason::JwtNotYetValid));
    }
    Ok(())
}

fn check_age(expires: Date, issued: Option<Date>, profile: &Profile<'_>, now_s: u64) -> Result<(), Fault> {
    let latest_start = now_s.saturating_add(SKEW_S);
    if issued.is_some_and(|issued| issued.ceiling > latest_start) {
        return Err(Fault::at("iat", Reason::JwtNotYetValid));
    }
    if issued.is_none() && profile.issued_at_required {
        return Err(Fault::at("iat", Reason::JwtClaims));
    }
    if issued.is_some_and(|issued| issued.floor.saturating_add(profile.max_age_s).saturating_add(SKEW_S) < now_s) {
        return Err(Fault::at("iat", Reason::JwtTooOld));
    }
    if profile.max_lifetime_ahead_s.is_some_and(|ahead| expires.ceiling > latest_start.saturating_add(ahead)) {
        return Err(Fault::at("exp", Reason::JwtClaims));
    }
    Ok(())
}

fn check_audience(audience: Option<&Value>, rule: Audience<'_>) -> Result<(), Fault> {
    let addressed = match (rule, audience) {
        (Audience::Sole(ours) | Audience::Alone(ours), Some(Value::String(name))) => name == ours,
        (Audience::Alone(ours), Some(Value::Array(names))) => matches!(names.as_slice(), [Value::String(name)] if name == ours),
        (Audience::AnyOf(ours), Some(Value::String(name))) => ours.contains(name),
        (Audience::AnyOf(ours), Some(Value::Array(names))) => {
            names.iter().all(Value::is_string) && names.iter().any(|name| ours.iter().any(|our| name == our.as_str()))
        }
        _ => false,
    };
    if addressed { Ok(()) } else { Err(Fault::at("aud", Reason::JwtAudience)) }
}

/// What the header's `typ` leaves open. Tokens of several kinds are signed with the same key, for the same audience, and look
/// alike from the header: a logout token has `events`, and some providers mark the kind inside the claims (`typ`).
fn check_kind(claims: &Map<String, Value>, profile: &Profile<'_>, subject: &str) -> Result<(), Fault> {
    let marked_as = claims.get("typ");
    match profile.kind {
        Kind::IdToken | Kind::LegacyAccessToken | Kind::Generic if claims.contains_key("events") => {
            Err(Fault::at("events", Reason::JwtType))
        }
        Kind::IdToken if marked_as.is_some_and(|kind| kind != "ID") => Err(Fault::at("typ", Reason::JwtType)),
        Kind::LegacyAccessToken if marked_as.is_some_and(|kind| kind == "ID") => Err(Fault::at("typ", Reason::JwtType)),
        Kind::LegacyAccessToken => match ID_TOKEN_CLAIMS.iter().find(|name| claims.contains_key(**name)) {
            Some(name) => Err(Fault::at(name, Reason::JwtType)),
            None => Ok(()),
        },
        Kind::ClientAssertion if subject != profile.issuer() => Err(Fault::at("sub", Reason::JwtSubject)),
        Kind::IdJag(client) if claims.get("client_id").is_none_or(|name| name != client) => Err(Fault::at("client_id", Reason::JwtClient)),
        _ => Ok(()),
    }
}

/// Names end up in logs, consoles and other people's databases: no control characters, and none that reorder text on screen.
fn is_name(text: &str) -> bool {
    let misleading = |character: char| {
        character.is_control()
            || matches!(character,
                '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.chars().any(misleading)
}

/// Two clocks may differ by this much. The backend's own default of 60 s is not used.
pub(super) const SKEW_S: u64 = 30;
const MAX_NAME_BYTES: usize = 255;
const MAX_DATE_S: u64 = 1 << 53;

/// Claims that OpenID Connect gives to ID tokens alone (Core 1.0, sections 2 and 3.1.3.6).
const ID_TOKEN_CLAIMS: [&str; 3] = ["nonce", "at_hash", "c_hash"];
