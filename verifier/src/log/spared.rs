//! Tokens of a tainted key that were made before it can have been stolen.

use std::sync::Arc;

use super::policy::Policy;
use super::receipts::{ReceiptDemand, check_receipts};
use super::refusal::LogRefusal;
use crate::{Reason, Refusal, RootKey, RootState, Roots, VerifiedToken, Verifier};

/// Verifies a token of a tainted key that spares the tokens whose leaves lie below an index of the issuer's log.
///
/// Every block that the issuer signed takes a receipt from below: a thief of the key could add a hop of the issuer's to a good token.
/// Hops that holders sign may be later. The policy must demand witnesses, since who stole one key of the issuer may have stolen
/// that of the log, and name one log, since an index says nothing without its log.
///
/// # Errors
/// [`Reason::RootTainted`] for a key that spares nothing, for a policy that can't tell, and for a leaf that is not below; else what
/// [`Verifier::verify`] or [`check_receipts`] refuses.
pub fn verify_spared(
    verifier: &Verifier,
    text: &str,
    receipts: &str,
    roots: &Roots,
    trust: &Policy,
) -> Result<Arc<VerifiedToken>, Refusal> {
    if !trust.needs_witnesses() || trust.logs().len() != 1 {
        return Err(Reason::RootTainted.into());
    }
    let token = verifier.verify(text, &sparing(roots))?;
    let root = roots.keys().iter().find(|root| root.id == token.root.id);
    let below = root.and_then(|root| root.spared_below).ok_or(Reason::RootTainted)?;
    let early = |receipt: &str, leaf: &[u8]| {
        let verified = trust.verify_receipt(receipt, leaf)?;
        if verified.index < below {
            Ok(verified)
        } else {
            Err(LogRefusal::new(Reason::RootTainted, "the leaf is not from before the key was given up"))
        }
    };
    // Of the hops, this demands those that the issuer signed.
    check_receipts(&token, receipts, ReceiptDemand::Authority, early).map_err(|refusal| Refusal::from(refusal.reason))?;
    Ok(token)
}

/// As [`Roots::admit`], for a token that [`verify_spared`] verified.
///
/// # Errors
/// `UNKNOWN_ROOT`, `ROOT_TAINTED` or `ROOT_NOT_VALID`.
pub fn admit_spared(roots: &Roots, token: &VerifiedToken) -> Result<(), Reason> {
    sparing(roots).admit(token)
}

/// The set in which a tainted key that spares tokens is as good as it was. What it verifies is good only with the receipts.
fn sparing(roots: &Roots) -> Roots {
    let spared = |root: &RootKey| match root.spared_below {
        Some(_) => RootKey { state: RootState::Active, spared_below: None, ..*root },
        None => *root,
    };
    Roots::new(roots.keys().iter().map(spared).collect()).unwrap_or_default()
}
