//! The registered claims of a JWT, checked at a given time.

use narrows_verifier::Reason;
use serde_json::{Map, Value};

use super::profile::{Audience, Kind, Profile};

/// The claims that every profile reads, as plain values.
pub(super) struct CheckedClaims {
    pub(super) subject: String,
    pub(super) expires_s: u64,
    pub(super) issued_s: Option<u64>,
    pub(super) jwt_id: Option<String>,
}

/// Checks everything but `iss`, which was compared before the signature.
pub(super) fn check(claims: &Map<String, Value>, profile: &Profile<'_>, now_s: u64) -> Result<CheckedClaims, Reason> {
    let expires_s = date(claims, "exp")?.ok_or(Reason::JwtClaims)?;
    let issued_s = date(claims, "iat")?;
    check_times(expires_s, date(claims, "nbf")?, issued_s, profile, now_s)?;
    check_audience(claims.get("aud"), profile.audience)?;
    let subject = claims.get("sub").and_then(Value::as_str).filter(|text| is_name(text)).ok_or(Reason::JwtSubject)?;
    let jwt_id = match claims.get("jti") {
        None => None,
        Some(Value::String(id)) if is_name(id) => Some(id.clone()),
        Some(_) => return Err(Reason::JwtClaims),
    };
    check_kind(claims, profile, subject, jwt_id.is_some())?;
    Ok(CheckedClaims { subject: subject.to_owned(), expires_s, issued_s, jwt_id })
}

fn check_times(expires_s: u64, not_before_s: Option<u64>, issued_s: Option<u64>, profile: &Profile<'_>, now_s: u64) -> Result<(), Reason> {
    let latest_start = now_s.saturating_add(SKEW_S);
    if now_s >= expires_s.saturating_add(SKEW_S) {
        return Err(Reason::JwtExpired);
    }
    if not_before_s.is_some_and(|start| start > latest_start) || issued_s.is_some_and(|start| start > latest_start) {
        return Err(Reason::JwtNotYetValid);
    }
    if issued_s.is_none() && profile.issued_at_required {
        return Err(Reason::JwtClaims);
    }
    if issued_s.is_some_and(|issued| issued.saturating_add(profile.max_age_s).saturating_add(SKEW_S) < now_s) {
        return Err(Reason::JwtTooOld);
    }
    if profile.max_lifetime_ahead_s.is_some_and(|ahead| expires_s > latest_start.saturating_add(ahead)) {
        return Err(Reason::JwtClaims);
    }
    Ok(())
}

fn check_audience(audience: Option<&Value>, rule: Audience<'_>) -> Result<(), Reason> {
    let addressed = match (rule, audience) {
        (Audience::Sole(ours), Some(Value::String(name))) => name == ours,
        (Audience::AnyOf(ours), Some(Value::String(name))) => ours.contains(name),
        (Audience::AnyOf(ours), Some(Value::Array(names))) => {
            names.iter().all(Value::is_string) && names.iter().any(|name| ours.iter().any(|our| name == our.as_str()))
        }
        _ => false,
    };
    if addressed { Ok(()) } else { Err(Reason::JwtAudience) }
}

fn check_kind(claims: &Map<String, Value>, profile: &Profile<'_>, subject: &str, has_jwt_id: bool) -> Result<(), Reason> {
    match profile.kind {
        // A logout token (`events`) and the access tokens of providers that mark the kind inside the claims (`typ`) are
        // signed with the same key, for the same audience, and look like an ID token from the header.
        Kind::IdToken if claims.contains_key("events") || claims.get("typ").is_some_and(|kind| kind != "ID") => Err(Reason::JwtType),
        Kind::ClientAssertion if subject != profile.issuer => Err(Reason::JwtSubject),
        Kind::ClientAssertion if !has_jwt_id => Err(Reason::JwtClaims),
        _ => Ok(()),
    }
}

/// A NumericDate (RFC 7519 section 2) in whole seconds. Fractions are cut off; nothing negative or beyond 2^53.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Reason> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => seconds,
        (None, Some(seconds)) if (0.0..=MAX_DATE_S as f64).contains(&seconds) => seconds as u64,
        _ => return Err(Reason::JwtClaims),
    };
    if seconds <= MAX_DATE_S { Ok(Some(seconds)) } else { Err(Reason::JwtClaims) }
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
const SKEW_S: u64 = 30;
const MAX_NAME_BYTES: usize = 255;
const MAX_DATE_S: u64 = 1 << 53;
