//! The one door through which a JWT from outside becomes something to believe.

use core::fmt;

use narrows_verifier::proof::Once;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::claims::{self, SKEW_S};
use super::compact::UnverifiedJwt;
use super::fault::Fault;
use super::keys::KeySet;
use super::profile::Profile;

/// A JWT whose signature and claims hold. Its Debug shows neither subject nor claims.
pub struct VerifiedJwt {
    /// Who vouches for the subject, byte for byte as configured: the issuer, or the trust domain of a JWT-SVID.
    pub issuer: String,
    /// The subject: 1 to 255 bytes without control or direction characters.
    pub subject: String,
    /// Every claim of the token, registered ones included.
    pub claims: Map<String, Value>,
    /// When it expires, in seconds since the epoch.
    pub expires_s: u64,
    /// When it was issued, in seconds since the epoch, where it says so.
    pub issued_s: Option<u64>,
    /// The `kid` it named.
    pub key_id: Option<String>,
    /// The `jti`, where it has one.
    pub jwt_id: Option<String>,
}

/// Checks a JWT against its profile under the issuer's keys at `now_s`, in seconds since the epoch.
///
/// Errors: the reasons of [`Profile::admit`], then `JWT_UNKNOWN_KEY`, `JWT_KEY`, `JWT_SIGNATURE`, and only for a token that is
/// genuine those of its claims: `JWT_CLAIMS`, `JWT_EXPIRED`, `JWT_NOT_YET_VALID`, `JWT_TOO_OLD`, `JWT_AUDIENCE`,
/// `JWT_SUBJECT`, `JWT_TYPE`, `JWT_CLIENT`.
pub fn verify(token: UnverifiedJwt<'_>, profile: &Profile<'_>, keys: &KeySet, now_s: u64) -> Result<VerifiedJwt, Fault> {
    let algorithm = profile.admit(&token)?;
    keys.check(&token, algorithm)?;
    let checked = claims::check(&token.claims, profile, now_s)?;
    Ok(VerifiedJwt {
        issuer: profile.issuer().to_owned(),
        subject: checked.subject,
        claims: token.claims,
        expires_s: checked.expires_s,
        issued_s: checked.issued_s,
        key_id: token.header.key_id,
        jwt_id: checked.jwt_id,
    })
}

impl VerifiedJwt {
    /// What must be spent with a token that is accepted once, if it has a `jti`. `kind` keeps tokens of several kinds apart.
    pub fn once(&self, kind: &str) -> Option<Once> {
        let mut hash = Sha256::new();
        for part in [kind, self.issuer.as_str(), self.jwt_id.as_deref()?] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        // it is accepted up to the skew after it expires
        Some(Once { key: hash.finalize().into(), forget_after: self.expires_s.saturating_add(2 * SKEW_S) })
    }
}

impl fmt::Debug for VerifiedJwt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VerifiedJwt").field("issuer", &self.issuer).field("expires_s", &self.expires_s).finish_non_exhaustive()
    }
}
