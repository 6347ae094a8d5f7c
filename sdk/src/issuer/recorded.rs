//! The issuer's word that something is in its log, and the check of that word.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use narrows_verifier::{
    EntryId, Reason, VerifiedToken,
    log::{Kind, Leaf, verify_for_token},
};
use serde::Deserialize;

use super::{IssuerError, IssuerKeys};

/// A derivation that is in the log: seen, not approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The entry, which the token's newest hop or authority block names too.
    pub entry: EntryId,
    /// The leaf's bytes: an envelope of salted commitments.
    pub leaf: Vec<u8>,
    /// The receipt (c2sp.org/tlog-proof@v1), which anyone with the log's key can check offline.
    pub receipt: String,
}

impl Recorded {
    pub(super) fn parse(body: &[u8]) -> Result<Self, IssuerError> {
        serde_json::from_slice::<Body>(body).ok().and_then(Self::read).ok_or_else(|| Reason::PeerAnswer.into())
    }

    /// Takes the members apart; `None` when one is malformed.
    pub(super) fn read(body: Body) -> Option<Self> {
        Some(Self { entry: EntryId::from_hex(&body.entry)?, leaf: STANDARD.decode(&body.leaf).ok()?, receipt: body.receipt })
    }

    /// Checks that the leaf is in the log and records exactly this token's newest derivation.
    pub(super) fn check(self, token: &VerifiedToken, kind: Kind, keys: &IssuerKeys) -> Result<Self, IssuerError> {
        verify_for_token(&self.receipt, &self.leaf, core::slice::from_ref(&keys.log), &token.block_ids())
            .map_err(|refusal| refusal.reason)?;
        let leaf = Leaf::parse(&self.leaf).map_err(|refusal| refusal.reason)?;
        let entry = token.principals().last().map(|(_, _, entry)| entry.to_string());
        let same = entry == Some(self.entry.to_string())
            && leaf.id.to_string() == self.entry.to_string()
            && leaf.kind == kind
            && leaf.task.map(|task| task.to_string()) == Some(token.authority.task.to_string());
        if same { Ok(self) } else { Err(Reason::ReceiptOtherToken.into()) }
    }
}

/// The members as they travel.
#[derive(Deserialize)]
pub(super) struct Body {
    entry: String,
    leaf: String,
    receipt: String,
}
