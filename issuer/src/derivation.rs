//! A hop made offline is reported: verified whole, recorded once, and answered with a receipt.
//!
//! The receipt means that the log has seen the hop, not that anybody approved of it.

use narrows_verifier::{
    EntryId, Maker, Reason, Refusal, UnverifiedToken, VerifiedToken, caveat,
    log::{Kind, Leaf, TraceId},
    proof::{ReportClaims, check_report},
};

use crate::{
    app::App,
    exchange::ExchangeError,
    log::SideRow,
    record::{Record, append, spend, text},
    revocation::Standing,
};

/// A recorded hop.
#[derive(Debug)]
pub struct Reported {
    /// The hop's log entry, which its maker chose.
    pub entry: EntryId,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// The receipt.
    pub receipt: String,
}

/// Records the newest hop of a sealed token. Reporting it again gives the same leaf and a fresh receipt.
///
/// # Errors
/// `TOKEN_NOT_SEALED`, `NOT_A_HOP`, whatever the verifier refuses, a `PROOF_…` reason unless delegator or new holder signed
/// the report, `REPORT_RATE`, `TASK_UNKNOWN`, `TASK_QUOTA`, `REVOKED`, or `AUDIT_UNAVAILABLE`.
pub async fn report(app: &App, token: &str, proof: &str, trace: TraceId) -> Result<Reported, ExchangeError> {
    let now = app.now_seconds();
    let token =
        UnverifiedToken::from_text(token).and_then(|token| token.verify(&app.roots())).map_err(|refusal: Refusal| refusal.reason)?;
    // an open copy would put the right to append into a request body for no need
    if !token.sealed {
        return Err(Reason::TokenNotSealed.into());
    }
    if token.expires <= now {
        return Err(Reason::Expired.into());
    }
    if let Some(reason) = app.revocations.refuses(&token) {
        return Err(reason.into());
    }
    let hop = token.blocks.last().ok_or(Reason::NotAHop)?;
    let Maker::Delegator { signer, holder, entry, .. } = &hop.maker else { return Err(Reason::NotAHop.into()) };
    let claims = ReportClaims { issuer: &app.identifier, block: hop.id };
    let once = check_report(proof, &claims, [signer, holder], now)?;
    // after the proof: else anybody could use up the rate of somebody else
    app.report_rate
        .take(signer.as_bytes(), (app.clock)())
        .map_err(|seconds| ExchangeError::Unavailable { reason: Reason::ReportRate, retry_after_s: Some(seconds) })?;

    let mut draft = Leaf::draft(Kind::Hop, *entry, trace);
    draft.dev = app.dev;
    draft.task = Some(token.authority.task);
    draft.blocks = token.block_ids();
    draft.parents = parent(&token).into_iter().collect();
    let mut record = Record::new(app);
    for principal in token.chain() {
        record.chain(text(principal.name));
    }
    record.field("caveats", caveat::to_list(&hop.caveats));
    let rows = vec![
        SideRow::Derivation { block_id: hop.id },
        SideRow::TaskHop { task: token.authority.task },
        SideRow::Stands(Standing::of(&token)),
        spend(once, Reason::ProofReplayed),
    ];
    let entry = *entry;
    let (leaf, receipt) = append(app, draft, record, rows).await?;
    Ok(Reported { entry, leaf, receipt })
}

/// The block that named the delegator: plain blocks in between are no handles and stand in no leaf.
fn parent(token: &VerifiedToken) -> Option<narrows_verifier::BlockId> {
    token.blocks.iter().rev().skip(1).find(|block| block.maker != Maker::Anyone).map(|block| block.id)
}
