//! What the token is bound to: a DPoP key, or a holder key that proves itself, or, where the policy says so, nothing.

use narrows_verifier::{
    Holder, PublicKey, Reason,
    proof::{HolderClaims, MAX_AGE_SECONDS, Once, check_holder, dpop::thumbprint},
};
use sha2::{Digest, Sha256};

use crate::{
    app::App,
    clients::Client,
    jose::{DpopRequest, check_dpop_proof},
    log::SideRow,
    record::spend,
};

/// What a request names to bind the token to, beside a DPoP proof. Nothing of it is proved yet.
#[derive(Clone, Default)]
pub struct Binding {
    /// The holder's key.
    pub key: Option<PublicKey>,
    /// The proof that the holder has it.
    pub proof: Option<String>,
}

/// A DPoP proof that was checked for the token endpoint, nonce included.
#[derive(Clone)]
pub struct ProvenKey {
    /// What a token can be bound to.
    pub holder: Holder,
    /// The key's RFC 7638 thumbprint.
    pub thumbprint: [u8; 32],
    once: Once,
}

/// What a token will be bound to, and what was proved by that.
pub(super) struct Bound {
    pub holder: Holder,
    pub spends: Vec<SideRow>,
}

/// Checks the one DPoP proof of a token request (RFC 9449 §5).
///
/// # Errors
/// `DPOP_MALFORMED`, `WEAK_KEY`, `PROOF_SIGNATURE`, `PROOF_MISMATCH`, `PROOF_TIME`; `DPOP_NONCE` without a nonce that this
/// service made in the last two minutes.
pub fn check_dpop(app: &App, proof: &str, now_s: u64) -> Result<ProvenKey, Reason> {
    let url = format!("{}/oauth/token", app.identifier);
    let proof = check_dpop_proof(proof, &DpopRequest { method: "POST", url: &url, access_token: None }, now_s)?;
    let end = proof.nonce.as_deref().and_then(|nonce| app.dpop_nonces.good_until(nonce, now_s)).ok_or(Reason::DpopNonce)?;
    // what is remembered is found by its end too, so the same proof must give the same: that of its nonce, not one by the clock
    let once = Once { key: proof.once.key, forget_after: end.saturating_add(MAX_AGE_SECONDS) };
    Ok(ProvenKey { holder: proof.holder, thumbprint: proof.thumbprint, once })
}

impl ProvenKey {
    pub(super) fn spend(&self) -> SideRow {
        spend(self.once, Reason::DpopReplayed)
    }
}

/// What the token is to be bound to. `subject` is the token, or assertion, that the holder's proof must name; empty where the
/// grant has none.
///
/// # Errors
/// `PARAMETER_MISSING` for a proof without a key, `PROOF_MISSING` for a key without any proof, `HOLDER_KEYS_DIFFER`, or what
/// [`check_holder`] refuses.
pub(super) fn bind(app: &App, client: &Client, dpop: Option<&ProvenKey>, named: &Binding, subject: &str) -> Result<Bound, Reason> {
    let mut spends: Vec<_> = dpop.map(ProvenKey::spend).into_iter().collect();
    let holder = match (named.key, &named.proof, dpop) {
        (None, Some(_), _) => return Err(Reason::ParameterMissing),
        (None, None, None) => Holder::Bearer,
        (None, None, Some(dpop)) => dpop.holder,
        (Some(_), None, None) => return Err(Reason::ProofMissing),
        (Some(key), None, Some(dpop)) if thumbprint(&key) == dpop.thumbprint => dpop.holder,
        (Some(key), Some(_), Some(dpop)) if client.dpop_bound && thumbprint(&key) != dpop.thumbprint => {
            return Err(Reason::HolderKeysDiffer);
        }
        (Some(_), None, Some(_)) => return Err(Reason::HolderKeysDiffer),
        (Some(key), Some(proof), _) => {
            let claims = HolderClaims { issuer: &app.identifier, client: &client.id, subject_digest: Sha256::digest(subject).into() };
            spends.push(spend(check_holder(proof, &claims, &key, app.now_seconds())?, Reason::ProofReplayed));
            Holder::Key(key)
        }
    };
    Ok(Bound { holder, spends })
}

/// Refuses a token that is bound to another key than the one that this request proves (`cnf`, RFC 7800). Only `jkt` is
/// understood; what another member demands can't be met here.
///
/// # Errors
/// `SUBJECT_BOUND`, `TOKEN_KEY_UNPROVEN`.
pub(super) fn check_confirmation(confirmation: Option<&serde_json::Value>, dpop: Option<&ProvenKey>) -> Result<(), Reason> {
    let Some(confirmation) = confirmation else { return Ok(()) };
    let members = confirmation.as_object().filter(|members| members.len() == 1).ok_or(Reason::SubjectBound)?;
    let expected = members.get("jkt").and_then(serde_json::Value::as_str).ok_or(Reason::SubjectBound)?;
    let proven = dpop.is_some_and(|dpop| text(&dpop.thumbprint) == expected);
    if proven { Ok(()) } else { Err(Reason::TokenKeyUnproven) }
}

/// A thumbprint as `jkt` carries it.
pub(super) fn text(thumbprint: &[u8; 32]) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(thumbprint)
}
